/* See seccomp_profile.h. libseccomp makes the program; nothing of it is loaded here. */
#include "isolators/seccomp_profile.h"

#include <errno.h>
#include <jansson.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "isolators/capability_set.h"

#define MAX_FILTER 4096 /* instructions that the kernel takes */
#define MAX_ARGS   6

struct seccomp_profile {
    json_t *root; /* owned */
};

/* What is being made. */
struct making {
    scmp_filter_ctx ctx;
    uint32_t default_action;
    uint64_t bounding;
    struct fl_err *err;
};

static void ctx_freep(scmp_filter_ctx *ctx)
{
    if (*ctx)
        seccomp_release(*ctx);
}

/* ---- words ---- */

static int action_of(const json_t *j, const char *field, int errnum, uint32_t *ret,
                     struct fl_err *err)
{
    const struct {
        const char *name;
        uint32_t action;
    } actions[] = {
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO((unsigned)errnum)},
        {"SCMP_ACT_KILL", SCMP_ACT_KILL},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
        {"SCMP_ACT_TRACE", SCMP_ACT_TRACE((unsigned)errnum)},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    };
    const char *name = json_string_value(json_object_get(j, field));

    if (!name)
        return fl_err_set(err, FL_INVALID, "'%s' is missing or no string", field);
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (streq(actions[i].name, name)) {
            *ret = actions[i].action;
            return 0;
        }
    return fl_err_set(err, FL_INVALID, "Unknown syscall action: '%s'", name);
}

static int errno_of(const json_t *j, const char *field, int *ret, struct fl_err *err)
{
    const json_t *v = json_object_get(j, field);

    *ret = EPERM;
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 4095)
        return fl_err_set(err, FL_INVALID, "'%s' is no error number", field);
    *ret = (int)json_integer_value(v);
    return 0;
}

/* Architectures have a name in profiles and one among compilers' targets. */
static const struct {
    const char *name, *word;
    uint32_t token;
} architectures[] = {
    {"SCMP_ARCH_X86", "x86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", "amd64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", "x32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", "arm", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", "arm64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", "mips", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPSEL", "mipsel", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPS64", "mips64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPSEL64", "mipsel64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPS64N32", "mips64n32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL64N32", "mipsel64n32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", "ppc", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64LE", "ppc64le", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", "s390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", "s390x", SCMP_ARCH_S390X},
    {"SCMP_ARCH_RISCV64", "riscv64", SCMP_ARCH_RISCV64},
};

static int arch_of(const json_t *v, bool word, uint32_t *ret, struct fl_err *err)
{
    const char *name = json_string_value(v);

    for (size_t i = 0; name && i < ARRAY_SIZE(architectures); i++)
        if (streq(word ? architectures[i].word : architectures[i].name, name)) {
            *ret = architectures[i].token;
            return 0;
        }
    return fl_err_set(err, FL_INVALID, "Unknown architecture: '%s'", name ? name : "(no string)");
}

/* NULL, with r 0, when there is none; anything but a list is an error. */
static int list_of(const json_t *j, const char *field, const json_t **ret, struct fl_err *err)
{
    const json_t *v = json_object_get(j, field);

    *ret = v && !json_is_null(v) ? v : NULL;
    if (*ret && !json_is_array(v))
        return fl_err_set(err, FL_INVALID, "'%s' is no list", field);
    return 0;
}

/* ---- architectures ---- */

static int add_arch(struct making *m, const json_t *v)
{
    uint32_t token;
    int r = arch_of(v, false, &token, m->err);

    if (r < 0)
        return r;
    r = seccomp_arch_add(m->ctx, token);
    if (r < 0 && r != -EEXIST)
        return fl_err_errno(m->err, -r, "add the architecture '%s'", json_string_value(v));
    return 0;
}

static int add_archs(struct making *m, const json_t *list)
{
    int r = 0;

    for (size_t i = 0; i < json_array_size(list) && r == 0; i++)
        r = add_arch(m, json_array_get(list, i));
    return r;
}

static int add_mapped(struct making *m, const json_t *item)
{
    const json_t *arch = json_object_get(item, "architecture"), *below;
    uint32_t token;
    int r = arch_of(arch, false, &token, m->err);

    if (r < 0 || token != seccomp_arch_native())
        return r;
    r = add_arch(m, arch);
    if (r == 0)
        r = list_of(item, "subArchitectures", &below, m->err);
    return r == 0 ? add_archs(m, below) : r;
}

static int add_architectures(struct making *m, const json_t *root)
{
    const json_t *list, *map;
    int r = list_of(root, "architectures", &list, m->err);

    if (r == 0)
        r = list_of(root, "archMap", &map, m->err);
    if (r == 0)
        r = add_archs(m, list);
    for (size_t i = 0; r == 0 && i < json_array_size(map); i++)
        r = add_mapped(m, json_array_get(map, i));
    return r;
}

/* ---- includes and excludes ---- */

struct condition {
    bool has_caps, has_archs, has_kernel;
    uint64_t caps;
    bool arch_matches, kernel_matches;
};

/* The first two numbers of "6.1.0-13-amd64". */
static bool version_of(const char *text, uint64_t v[2])
{
    for (int i = 0; i < 2; i++) {
        char digits[8] = "";
        size_t n = strspn(text, "0123456789");
        if (n == 0 || n >= sizeof(digits) || (i == 0 && text[n] != '.'))
            return false;
        memcpy(digits, text, n);
        if (fl_parse_u64(digits, &v[i]) < 0)
            return false;
        text += n + 1;
    }
    return true;
}

static int read_kernel(const json_t *j, struct condition *c, struct fl_err *err)
{
    struct utsname u;
    uint64_t want[2], have[2];

    if (!j || json_is_null(j))
        return 0;
    if (!json_is_string(j) || !version_of(json_string_value(j), want))
        return fl_err_set(err, FL_INVALID, "'minKernel' is no version");
    c->has_kernel = true;
    c->kernel_matches = uname(&u) == 0 && version_of(u.release, have) &&
                        (have[0] > want[0] || (have[0] == want[0] && have[1] >= want[1]));
    return 0;
}

static int read_condition(const json_t *rule, const char *field, struct condition *c,
                          struct fl_err *err)
{
    const json_t *j = json_object_get(rule, field), *caps, *archs;
    int r;

    *c = (struct condition){0};
    if (!j || json_is_null(j))
        return 0;
    if (!json_is_object(j))
        return fl_err_set(err, FL_INVALID, "'%s' is no object", field);
    r = list_of(j, "caps", &caps, err);
    if (r == 0)
        r = list_of(j, "arches", &archs, err);
    if (r == 0)
        r = read_kernel(json_object_get(j, "minKernel"), c, err);
    for (size_t i = 0; r == 0 && i < json_array_size(caps); i++) {
        const char *name = json_string_value(json_array_get(caps, i));
        unsigned n;
        if (!name || !capability_by_name(name, &n))
            return fl_err_set(err, FL_INVALID, "Unknown capability: '%s'", name ? name : "");
        c->has_caps = true;
        c->caps |= 1ull << n;
    }
    for (size_t i = 0; r == 0 && i < json_array_size(archs); i++) {
        uint32_t token;
        r = arch_of(json_array_get(archs, i), true, &token, err);
        c->has_archs = true;
        c->arch_matches = c->arch_matches || (r == 0 && token == seccomp_arch_native());
    }
    return r;
}

/* Included when all of it holds, excluded when any does. */
static int applies(const struct making *m, const json_t *rule, bool *ret)
{
    struct condition in, ex;
    int r = read_condition(rule, "includes", &in, m->err);

    if (r == 0)
        r = read_condition(rule, "excludes", &ex, m->err);
    if (r < 0)
        return r;
    *ret = !(in.caps & ~m->bounding) && !(in.has_archs && !in.arch_matches) &&
           !(in.has_kernel && !in.kernel_matches) && !(ex.caps & m->bounding) &&
           !(ex.has_archs && ex.arch_matches) && !(ex.has_kernel && ex.kernel_matches);
    return 0;
}

/* ---- rules ---- */

static int number_of(const json_t *j, const char *field, bool needed, uint64_t *ret,
                     struct fl_err *err)
{
    const json_t *v = json_object_get(j, field);

    *ret = 0;
    if (!v && !needed)
        return 0;
    if (!json_is_integer(v))
        return fl_err_set(err, FL_INVALID, "'%s' of an item of 'args' is missing or no number",
                          field);
    *ret = (uint64_t)json_integer_value(v);
    return 0;
}

static int read_arg(const json_t *j, struct scmp_arg_cmp *ret, struct fl_err *err)
{
    static const struct {
        const char *name;
        enum scmp_compare op;
    } ops[] = {
        {"SCMP_CMP_NE", SCMP_CMP_NE},
        {"SCMP_CMP_LT", SCMP_CMP_LT},
        {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
        {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT},
        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
    };
    const char *op = json_string_value(json_object_get(j, "op"));
    uint64_t index, a, b;
    int r = number_of(j, "index", true, &index, err);

    if (r == 0)
        r = number_of(j, "value", true, &a, err);
    if (r == 0)
        r = number_of(j, "valueTwo", false, &b, err);
    if (r < 0)
        return r;
    if (index >= MAX_ARGS)
        return fl_err_set(err, FL_INVALID, "a system call has no argument %" PRIu64, index);
    for (size_t i = 0; op && i < ARRAY_SIZE(ops); i++)
        if (streq(ops[i].name, op)) {
            *ret = (struct scmp_arg_cmp){(unsigned)index, ops[i].op, a, b};
            return 0;
        }
    return fl_err_set(err, FL_INVALID, "Unknown operator: '%s'", op ? op : "");
}

static int read_args(const json_t *rule, struct scmp_arg_cmp v[MAX_ARGS], unsigned *ret_n,
                     struct fl_err *err)
{
    const json_t *list;
    int r = list_of(rule, "args", &list, err);

    *ret_n = (unsigned)json_array_size(list);
    if (r == 0 && *ret_n > MAX_ARGS)
        r = fl_err_set(err, FL_INVALID, "'args' has more items than a system call has arguments");
    for (unsigned i = 0; r == 0 && i < *ret_n; i++)
        r = read_arg(json_array_get(list, i), &v[i], err);
    return r;
}

static int add_call(struct making *m, const json_t *name, uint32_t action,
                    const struct scmp_arg_cmp *args, unsigned n)
{
    if (!json_is_string(name))
        return fl_err_set(m->err, FL_INVALID, "'names' has an item that is no string");
    int nr = seccomp_syscall_resolve_name(json_string_value(name));
    if (nr == __NR_SCMP_ERROR)
        return fl_err_set(m->err, FL_INVALID, "Unrecognized syscall '%s'", json_string_value(name));
    if (action == m->default_action)
        return 0;
    int r = seccomp_rule_add_array(m->ctx, action, nr, n, args);
    if (r < 0)
        return fl_err_errno(m->err, -r, "add the rule for syscall '%s'", json_string_value(name));
    return 0;
}

static int add_rule(struct making *m, const json_t *rule)
{
    struct scmp_arg_cmp args[MAX_ARGS];
    const json_t *names;
    uint32_t action;
    unsigned n_args;
    bool on;
    int errnum, r;

    if (!json_is_object(rule))
        return fl_err_set(m->err, FL_INVALID, "'syscalls' has an item that is no object");
    r = errno_of(rule, "errnoRet", &errnum, m->err);
    if (r == 0)
        r = action_of(rule, "action", errnum, &action, m->err);
    if (r == 0)
        r = list_of(rule, "names", &names, m->err);
    if (r == 0 && json_array_size(names) == 0)
        r = fl_err_set(m->err, FL_INVALID, "Syscall 'names' list is empty");
    if (r == 0)
        r = read_args(rule, args, &n_args, m->err);
    if (r == 0)
        r = applies(m, rule, &on);
    for (size_t i = 0; r == 0 && on && i < json_array_size(names); i++)
        r = add_call(m, json_array_get(names, i), action, args, n_args);
    return r;
}

static int add_rules(struct making *m, const json_t *root)
{
    const json_t *list;
    int r = list_of(root, "syscalls", &list, m->err);

    if (r == 0 && !list)
        r = fl_err_set(m->err, FL_INVALID, "'syscalls' is missing");
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        r = add_rule(m, json_array_get(list, i));
        if (r < 0)
            fl_err_wrap(m->err, "item %zu of 'syscalls'", i);
    }
    return r;
}

/* ---- the program ---- */

/* libseccomp hands it out by a file only. */
static int export_filter(scmp_filter_ctx ctx, struct sock_filter **ret, size_t *ret_n,
                         struct fl_err *err)
{
    _cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return fl_err_errno(err, errno, "make a file in memory");
    int r = seccomp_export_bpf(ctx, fd);
    if (r < 0)
        return fl_err_errno(err, -r, "make the filter program");
    if (fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "look at the filter program");
    size_t n = (size_t)st.st_size / sizeof(**ret);
    if (n == 0 || n > MAX_FILTER)
        return fl_err_set(err, FL_INVALID,
                          "the filter has %zu instructions, and the kernel takes %d; have fewer "
                          "rules or architectures",
                          n, MAX_FILTER);
    _cleanup_free_ struct sock_filter *v = xcalloc(n, sizeof(*v));
    if (pread(fd, v, n * sizeof(*v), 0) != (ssize_t)(n * sizeof(*v)))
        return fl_err_errno(err, EIO, "read the filter program");
    *ret = TAKE_PTR(v);
    *ret_n = n;
    return 0;
}

int seccomp_profile_compile(const struct seccomp_profile *p, uint64_t bounding,
                            struct sock_filter **ret, size_t *ret_n, struct fl_err *err)
{
    _cleanup_(ctx_freep) scmp_filter_ctx ctx = NULL;
    struct making m = {.bounding = bounding, .err = err};
    int errnum, r = errno_of(p->root, "defaultErrnoRet", &errnum, err);

    if (r == 0)
        r = action_of(p->root, "defaultAction", errnum, &m.default_action, err);
    if (r < 0)
        return r;
    m.ctx = ctx = seccomp_init(m.default_action);
    if (!ctx)
        return fl_err_set(err, FL_UNSUPPORTED, "libseccomp cannot begin a filter");
    /* no_new_privs is linux/nnp's. Sorted, a call is looked up in few steps instead of one for each rule before it. */
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    r = add_architectures(&m, p->root);
    if (r == 0)
        r = add_rules(&m, p->root);
    return r == 0 ? export_filter(ctx, ret, ret_n, err) : r;
}

/* With all capabilities and with none: each rule is in one of them, or will never be. */
static int check(const struct seccomp_profile *p, struct fl_err *err)
{
    const uint64_t sets[] = {CAPABILITIES_ALL, 0};
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(sets) && r == 0; i++) {
        _cleanup_free_ struct sock_filter *v = NULL;
        size_t n;
        r = seccomp_profile_compile(p, sets[i], &v, &n, err);
    }
    return r;
}

int seccomp_profile_parse(const char *json, size_t n, struct seccomp_profile **ret,
                          struct fl_err *err)
{
    _cleanup_(seccomp_profile_freep) struct seccomp_profile *p = xnew0(struct seccomp_profile);
    json_error_t why;

    p->root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
    if (!p->root)
        return fl_err_set(err, FL_INVALID, "line %d: %s", why.line, why.text);
    if (!json_is_object(p->root))
        return fl_err_set(err, FL_INVALID, "it is no JSON object");
    int r = check(p, err);
    if (r == 0)
        *ret = TAKE_PTR(p);
    return r;
}

void seccomp_profile_free(struct seccomp_profile *p)
{
    if (!p)
        return;
    json_decref(p->root);
    free(p);
}
