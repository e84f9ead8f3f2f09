/* The rules of device_rules.h as a program that the kernel asks at each opening and making of a device in a version 2 group. It gets a
 * struct bpf_cgroup_dev_ctx in r1. Made:
 *
 *   r2 = what kind of device, r3 = what is to be done, r4, r5 = its numbers
 *   for each rule: another kind, more than the rule allows, or other numbers -> next rule; else return 1
 *   return 0
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "common/base/buf.h"
#include "isolators/device_rules.h"

#define MOST_OF_A_RULE 8

static struct bpf_insn load(int to, int offset)
{
    return (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
                             .dst_reg = (uint8_t)(to & 15),
                             .src_reg = BPF_REG_1,
                             .off = (int16_t)offset};
}

static struct bpf_insn with_number(int code, int reg, int32_t number)
{
    return (struct bpf_insn){.code = (uint8_t)code, .dst_reg = (uint8_t)(reg & 15), .imm = number};
}

static struct bpf_insn copy(int to, int from)
{
    return (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_X,
                             .dst_reg = (uint8_t)(to & 15),
                             .src_reg = (uint8_t)(from & 15)};
}

static const struct bpf_insn leave = {.code = BPF_JMP | BPF_EXIT};

/* Where it is not equal to the number, on to the next rule; how far that is, is filled in when the rule is whole. */
static struct bpf_insn unless(int reg, int64_t number)
{
    return with_number(BPF_JMP | BPF_JNE | BPF_K, reg, (int32_t)number);
}

static size_t add_rule(const struct device_rule *r, struct bpf_insn *at)
{
    uint32_t may = (r->read ? BPF_DEVCG_ACC_READ : 0u) | (r->write ? BPF_DEVCG_ACC_WRITE : 0u) |
                   (r->mknod ? BPF_DEVCG_ACC_MKNOD : 0u);
    size_t n = 0;

    at[n++] = unless(BPF_REG_2, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    at[n++] = copy(BPF_REG_6, BPF_REG_3);
    at[n++] = with_number(BPF_ALU | BPF_AND | BPF_K, BPF_REG_6, (int32_t)(~may & 0xffff));
    at[n++] = unless(BPF_REG_6, 0);
    if (r->major != DEVICE_ANY)
        at[n++] = unless(BPF_REG_4, r->major);
    if (r->minor != DEVICE_ANY)
        at[n++] = unless(BPF_REG_5, r->minor);
    at[n++] = with_number(BPF_ALU | BPF_MOV | BPF_K, BPF_REG_0, 1);
    at[n++] = leave;
    for (size_t i = 0; i < n; i++)
        if (at[i].code == (BPF_JMP | BPF_JNE | BPF_K))
            at[i].off = (int16_t)(n - i - 1);
    return n;
}

struct bpf_insn *device_rules_program(const struct device_rules *r, size_t *ret_n)
{
    struct bpf_insn *code = xcalloc(r->n * MOST_OF_A_RULE + 8, sizeof(*code));
    size_t n = 0;

    code[n++] = load(BPF_REG_2, (int)offsetof(struct bpf_cgroup_dev_ctx, access_type));
    code[n++] = copy(BPF_REG_3, BPF_REG_2);
    code[n++] = with_number(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 16);
    code[n++] = with_number(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0xffff);
    code[n++] = load(BPF_REG_4, (int)offsetof(struct bpf_cgroup_dev_ctx, major));
    code[n++] = load(BPF_REG_5, (int)offsetof(struct bpf_cgroup_dev_ctx, minor));
    for (size_t i = 0; i < r->n; i++)
        n += add_rule(&r->v[i], code + n);
    code[n++] = with_number(BPF_ALU | BPF_MOV | BPF_K, BPF_REG_0, 0);
    code[n++] = leave;
    *ret_n = n;
    return code;
}

/* ---- the kernel ---- */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int device_program_load(const struct bpf_insn *code, size_t n, int *ret_fd, struct fl_err *err)
{
    static const char license[] = "Apache-2.0";
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uint64_t)(uintptr_t)code;
    attr.insn_cnt = (uint32_t)n;
    attr.license = (uint64_t)(uintptr_t)license;
    int fd = bpf(BPF_PROG_LOAD, &attr);
    if (fd < 0)
        return fl_err_errno(err, errno,
                            "load the BPF program of cgroups/devices (does the kernel have "
                            "CONFIG_CGROUP_BPF, and may we use bpf(2)?)");
    *ret_fd = fd; /* CLOEXEC at birth, as all of bpf(2) */
    return 0;
}

/* With MULTI, that of a nested container and those above it must all agree. */
int device_program_attach(int program, const char *group, struct fl_err *err)
{
    _cleanup_close_ int fd = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.target_fd = (uint32_t)fd;
    attr.attach_bpf_fd = (uint32_t)program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    if (fd < 0 || bpf(BPF_PROG_ATTACH, &attr) < 0)
        return fl_err_errno(err, errno, "attach the BPF program of cgroups/devices to '%s'", group);
    return 0;
}

/* The one program at a group: that of cgroups/devices. */
static int attached(int group_fd, int *ret_program)
{
    uint32_t ids[2];
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.query.target_fd = (uint32_t)group_fd;
    attr.query.attach_type = BPF_CGROUP_DEVICE;
    attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
    attr.query.prog_cnt = ARRAY_SIZE(ids);
    if (bpf(BPF_PROG_QUERY, &attr) < 0)
        return -errno;
    if (attr.query.prog_cnt != 1)
        return -EUCLEAN;
    memset(&attr, 0, sizeof(attr));
    attr.prog_id = ids[0];
    *ret_program = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
    return *ret_program < 0 ? -errno : 0;
}

int device_program_replace(int program, const char *group, struct fl_err *err)
{
    _cleanup_close_ int fd = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int old = -EBADF;
    union bpf_attr attr;
    int r = fd < 0 ? -errno : attached(fd, &old);

    if (r < 0)
        return fl_err_errno(err, -r, "find the one BPF program of cgroups/devices at '%s'", group);
    memset(&attr, 0, sizeof(attr));
    attr.target_fd = (uint32_t)fd;
    attr.attach_bpf_fd = (uint32_t)program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE;
    attr.replace_bpf_fd = (uint32_t)old;
    if (bpf(BPF_PROG_ATTACH, &attr) < 0)
        return fl_err_errno(err, errno, "replace the BPF program of cgroups/devices at '%s'",
                            group);
    return 0;
}
