/* Secrets as files: on a file system in memory that is not swapped, each bound to where it is wanted. The file system itself is nowhere to
 * be seen afterwards, and in the plan the secrets are overwritten. As in the reference every user of the container may read them. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DETACH 2 /* MNT_DETACH of sys/mount.h, which cannot be read together with linux/mount.h */

struct secret {
    struct plan_secret head;
    const char *target, *data;
    size_t n;
};

static bool parse(const struct plan_record *r, struct secret *out)
{
    memcpy(&out->head, r->data, sizeof(out->head));
    if (!plan_strings(r, sizeof(out->head), &out->target, 1))
        return false;
    out->data = out->target + strlen(out->target) + 1;
    out->n = (size_t)(r->data + r->len - out->data);
    return true;
}

static int make_memory(void)
{
    int fs = (int)syscall(SYS_fsopen, "ramfs", FSOPEN_CLOEXEC), fd = -1;

    if (fs < 0)
        return -1;
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
                          MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    int errnum = errno;
    close(fs);
    errno = errnum;
    return fd;
}

static int write_file(int dir, const char *name, const struct secret *x)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t done = 0;

    if (fd < 0)
        return -1;
    while (done < x->n) {
        ssize_t w = write(fd, x->data + done, x->n - done);
        if (w <= 0)
            break;
        done += (size_t)w;
    }
    int errnum = errno;
    close(fd);
    errno = errnum;
    return done == x->n ? 0 : -1;
}

static int put_secret(const struct shim *s, int memory, int number, const struct secret *x,
                      struct shim_error *e)
{
    struct line name = {.n = 0};
    int r = 0;

    line_int(&name, number);
    int tree = write_file(memory, name.text, x) < 0 ? -1 : copy_tree(memory, name.text, false);
    if (tree < 0 ||
        restrict_tree(tree, x->head.options & PLAN_MOUNT_READ_ONLY ? 1 /* MS_RDONLY */ : 0, false) <
            0 ||
        put_at(s, tree, x->target, x->head.options & PLAN_MOUNT_TARGET_IN_SANDBOX) < 0)
        r = fail(e, errno, "put the secret at", x->target);
    if (tree >= 0)
        close(tree);
    return r;
}

/* Where the secret lies in the file of the plan. */
static int wipe(const struct shim *s, const struct secret *x, struct shim_error *e)
{
    static const char zeros[4096];
    int fd = openat(s->folder_fd, "plan", O_WRONLY | O_CLOEXEC);
    off_t at = x->data - s->plan;
    size_t left = x->n;

    while (fd >= 0 && left > 0) {
        ssize_t w = pwrite(fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros), at);
        if (w <= 0)
            break;
        at += w;
        left -= (size_t)w;
    }
    int r = fd < 0 || left > 0 ? fail(e, errno, "wipe a secret from", "plan") : 0;
    if (fd >= 0)
        close(fd);
    return r;
}

static int put_all(const struct shim *s, int memory, struct shim_error *e)
{
    struct plan_record r;
    struct secret x;
    size_t pos;
    int number = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag != PLAN_SECRET)
            continue;
        if (!parse(&r, &x))
            return fail(e, EPROTO, "understand", "plan");
        if (put_secret(s, memory, number++, &x, e) < 0 || wipe(s, &x, e) < 0)
            return -1;
    }
    return 0;
}

int put_secrets(const struct shim *s, struct shim_error *e)
{
    int memory = make_memory();

    /* Files can be bound from what is mounted only, so it is, over the sandbox, for as long as it takes. */
    if (memory < 0 || put_tree(memory, s->sandbox_fd) < 0)
        return fail(e, errno, "make a file system in memory for secrets of", s->sandbox);
    int r = put_all(s, memory, e);
    if (r == 0 && (fchdir(memory) < 0 || syscall(SYS_umount2, ".", DETACH) < 0 || chdir("/") < 0))
        r = fail(e, errno, "hide the file system of secrets of", s->sandbox);
    close(memory);
    return r;
}
