/* linux/seccomp: the system calls a container may make, by a profile of --seccomp_config_dir: the one that ContainerInfo names, else the
 * operator's --seccomp_profile_name, else none. The shim loads the filter just before exec.
 *
 * The operator's profile is read once, at the start. Others are read when their file has changed. A program is made once for each profile
 * and set of capabilities, and kept: there are as few of them as there are kinds of container, and MAX_PROGRAMS at most.
 * A session in a container has the filter of the container, unless it asks for itself. */
#include "isolators/stateless.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <utlist.h>

#include "isolators/capability_set.h"
#include "isolators/id_map.h"
#include "isolators/seccomp_profile.h"

#define MAX_FILE     (1u << 20)
#define MAX_PROGRAMS 64

/* A filter. Containers and profiles share those that are equal. */
struct program {
    struct program *next, *prev;
    size_t refs, n;
    char bytes[]; /* n of them */
};
struct made {
    uint64_t bounding;
    struct program *program;
};
/* By name; "" is the operator's. */
struct known {
    struct id_entry id; /* first */
    struct seccomp_profile *profile;
    dev_t dev; /* which file it was */
    ino_t ino;
    struct timespec mtime;
    struct made *made;
    size_t n_made, cap_made;
};
/* Of a container, for sessions in it. */
struct filtered {
    struct id_entry id; /* first */
    struct program *program;
};
struct seccomp_isolator {
    struct stateless_isolator base; /* first */
    struct id_map known, containers;
    struct program *programs;
    size_t n_made; /* of all profiles */
    uint64_t machine;
};

/* ---- programs ---- */

static struct program *program_ref(struct seccomp_isolator *x, const void *bytes, size_t n)
{
    struct program *p;

    DL_FOREACH (x->programs, p) {
        if (p->n == n && memcmp(p->bytes, bytes, n) == 0)
            break;
    }
    if (!p) {
        p = xcalloc(1, sizeof(*p) + n);
        p->n = n;
        memcpy(p->bytes, bytes, n);
        DL_APPEND(x->programs, p);
    }
    p->refs++;
    return p;
}

static void program_unref(struct seccomp_isolator *x, struct program *p)
{
    if (!p || --p->refs)
        return;
    DL_DELETE(x->programs, p);
    free(p);
}

/* ---- profiles ---- */

static void forget_made(struct seccomp_isolator *x, struct known *k)
{
    x->n_made -= k->n_made;
    for (size_t i = 0; i < k->n_made; i++)
        program_unref(x, k->made[i].program);
    k->n_made = 0;
}

static void known_drop(struct seccomp_isolator *x, struct known *k)
{
    forget_made(x, k);
    free(k->made);
    seccomp_profile_free(k->profile);
    id_map_drop(&x->known, k);
}

/* Below the folder, whatever the name says. */
static int open_profile(const char *dir, const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    _cleanup_close_ int d = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = d < 0 ? -1 : (int)syscall(SYS_openat2, d, name, &how, sizeof(how));

    return fd < 0 ? -errno : fd;
}

static int parse_file(int fd, size_t size, struct seccomp_profile **ret, struct fl_err *err)
{
    _cleanup_free_ char *text = xcalloc(1, size + 1);
    ssize_t n = pread(fd, text, size, 0);

    if (n < 0)
        return fl_err_errno(err, errno, "read it");
    return seccomp_profile_parse(text, (size_t)n, ret, err);
}

static bool same_file(const struct known *k, const struct stat *st)
{
    return k && k->dev == st->st_dev && k->ino == st->st_ino &&
           k->mtime.tv_sec == st->st_mtim.tv_sec && k->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

/* The profile of that name, read anew when its file is another; kept under `key`. */
static int load(struct seccomp_isolator *x, const char *name, const char *key, struct known **ret,
                struct fl_err *err)
{
    const char *dir = x->base.config->seccomp_config_dir;
    struct known *k = id_map_get(&x->known, key);
    _cleanup_close_ int fd = open_profile(dir, name);
    struct seccomp_profile *p;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fl_err_errno(err, fd < 0 ? -fd : errno,
                            "Failed to read Seccomp profile file '%s/%s'", dir, name);
    if (same_file(k, &st)) {
        *ret = k;
        return 0;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
        return fl_err_set(err, FL_INVALID, "Seccomp profile '%s/%s' is no file of at most 1 MB",
                          dir, name);
    int r = parse_file(fd, (size_t)st.st_size, &p, err);
    if (r < 0)
        return fl_err_wrap(err, "Failed to parse Seccomp profile '%s/%s'", dir, name);
    if (k)
        known_drop(x, k);
    k = id_map_make(&x->known, key, sizeof(*k));
    k->profile = p;
    k->dev = st.st_dev;
    k->ino = st.st_ino;
    k->mtime = st.st_mtim;
    *ret = k;
    return 0;
}

static void make_room(struct seccomp_isolator *x)
{
    if (x->n_made < MAX_PROGRAMS)
        return;
    for (struct id_entry *e = x->known.head; e; e = e->hh.next)
        forget_made(x, (struct known *)e);
}

static int program_for(struct seccomp_isolator *x, struct known *k, uint64_t bounding,
                       struct program **ret, struct fl_err *err)
{
    _cleanup_free_ struct sock_filter *v = NULL;
    size_t n;

    for (size_t i = 0; i < k->n_made; i++)
        if (k->made[i].bounding == bounding) {
            *ret = k->made[i].program;
            return 0;
        }
    int r = seccomp_profile_compile(k->profile, bounding, &v, &n, err);
    if (r < 0)
        return r;
    make_room(x);
    k->made = xgrow(k->made, &k->cap_made, k->n_made + 1, sizeof(*k->made));
    *ret = program_ref(x, v, n * sizeof(*v));
    k->made[k->n_made++] = (struct made){bounding, *ret};
    x->n_made++;
    return 0;
}

/* ---- containers ---- */

static void give(struct seccomp_isolator *x, const char *id, const void *bytes, size_t n)
{
    struct filtered *f = id_map_make(&x->containers, id, sizeof(*f));
    struct program *old = f->program;

    f->program = program_ref(x, bytes, n);
    program_unref(x, old);
}

static int seccomp_cleanup(struct isolator *i, const char *id)
{
    struct seccomp_isolator *x = (struct seccomp_isolator *)i;
    struct filtered *f = id_map_get(&x->containers, id);

    if (f) {
        program_unref(x, f->program);
        id_map_drop(&x->containers, f);
    }
    return 0;
}

static void seccomp_free(struct isolator *i)
{
    struct seccomp_isolator *x = (struct seccomp_isolator *)i;

    while (x->containers.head)
        seccomp_cleanup(i, x->containers.head->id);
    while (x->known.head)
        known_drop(x, (struct known *)x->known.head);
    free(x);
}

static bool kernel_filters(void)
{
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT;
}

static int seccomp_create(struct fl_loop *loop, const struct isolator_config *config,
                          isolator_limit_f *limit, void *arg, struct isolator **ret,
                          struct fl_err *err)
{
    struct seccomp_isolator *x;
    struct known *k;
    int r = 0;

    if (geteuid() != 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "it needs root; run the agent as root or leave it out");
    if (!kernel_filters())
        return fl_err_set(err, FL_UNSUPPORTED, "Seccomp is not supported by the kernel");
    if (!config->seccomp_config_dir)
        return fl_err_set(err, FL_INVALID, "Missing required `--seccomp_config_dir` flag");
    x = xnew0(struct seccomp_isolator);
    x->base.base.ops = &isolator_linux_seccomp;
    x->base.config = config;
    x->machine = capability_set_bounding();
    if (config->seccomp_profile_name)
        r = load(x, config->seccomp_profile_name, "", &k, err);
    if (r < 0) {
        seccomp_free(&x->base.base);
        return r;
    }
    *ret = &x->base.base;
    return 0;
}

/* *ret NULL: no filter. */
static int choose(struct seccomp_isolator *x, const V1__SeccompInfo *info, struct known **ret,
                  struct fl_err *err)
{
    *ret = id_map_get(&x->known, "");
    if (!info)
        return 0;
    if (info->unconfined && info->profile_name)
        return fl_err_set(err, FL_INVALID,
                          "Invalid Seccomp configuration: 'profile_name' given even though "
                          "'unconfined' Seccomp setting is enabled");
    *ret = NULL;
    if (info->unconfined)
        return 0;
    if (!info->profile_name || !*info->profile_name)
        return fl_err_set(err, FL_INVALID, "Missing Seccomp profile name");
    return load(x, info->profile_name, info->profile_name, ret, err);
}

static uint64_t bounding_of(const struct seccomp_isolator *x, const struct launch_plan *plan)
{
    struct plan_record r;
    struct plan_capabilities c = {.bounding = x->machine};

    if (plan_find(plan->buf, plan->len, PLAN_CAPABILITIES, &r))
        memcpy(&c, r.data, sizeof(c));
    return c.bounding;
}

static void as_parent(const struct seccomp_isolator *x, const struct isolated_container *c,
                      struct launch_plan *plan)
{
    _cleanup_free_ char *parent = isolated_parent_id(c);
    const struct filtered *f = id_map_get(&x->containers, parent);

    if (f)
        launch_plan_bytes(plan, PLAN_SECCOMP, f->program->bytes, f->program->n);
}

static int seccomp_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    struct seccomp_isolator *x = (struct seccomp_isolator *)i;
    const V1__LinuxInfo *li = c->info ? c->info->linux_info : NULL;
    struct program *p;
    struct known *k;

    if (c->debug && !(li && li->seccomp)) {
        as_parent(x, c, plan);
        return 0;
    }
    int r = choose(x, li ? li->seccomp : NULL, &k, err);
    if (r < 0 || !k)
        return r;
    r = program_for(x, k, bounding_of(x, plan), &p, err);
    if (r < 0)
        return r;
    give(x, c->id, p->bytes, p->n);
    launch_plan_bytes(plan, PLAN_SECCOMP, p->bytes, p->n);
    return 0;
}

static int seccomp_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                           struct fl_err *err)
{
    struct plan_record r;

    if (plan_find(c->plan, c->plan_len, PLAN_SECCOMP, &r))
        give((struct seccomp_isolator *)i, c->id, r.data, r.len);
    return 0;
}

const struct isolator_ops isolator_linux_seccomp = {
    .name = "linux/seccomp",
    .create = seccomp_create,
    .free = seccomp_free,
    .prepare = seccomp_prepare,
    .recover = seccomp_recover,
    .cleanup = seccomp_cleanup,
};
