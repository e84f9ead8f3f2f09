/* What the plan wants done inside the new namespaces before the command: cgroups, mounts, host name, limits. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int join_cgroup(const char *procs, struct shim_error *e)
{
    int fd = open(procs, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(e, errno, "open", procs);
    int r = write(fd, "0", 1) == 1 ? 0 : fail(e, errno, "join the cgroup by", procs);
    close(fd);
    return r;
}

/* A place in the sandbox, whose content belongs to the user: no symbolic link may lead the mount elsewhere. */
static int open_in_sandbox(const struct shim *s, const char *path)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, s->sandbox_fd, path, &how, sizeof(how));
}

/* "/proc/self/fd/N" names what is open. */
static void fd_path(struct line *l, int fd)
{
    l->n = 0;
    line_add(l, "/proc/self/fd/");
    line_int(l, fd);
}

/* A place of the plan: a path as it is, or held open because it lies in the sandbox. */
struct place {
    struct line path;
    int fd; /* -1: none */
};

static int place_open(const struct shim *s, const char *path, bool in_sandbox, struct place *p)
{
    p->path.n = 0;
    p->fd = -1;
    if (!in_sandbox) {
        line_add(&p->path, path);
        return 0;
    }
    p->fd = open_in_sandbox(s, path);
    if (p->fd < 0)
        return -1;
    fd_path(&p->path, p->fd);
    return 0;
}

static void place_close(struct place *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static int mount_open(const struct plan_mount *m, const char *str[4], struct place *source,
                      struct place *target, const struct shim *s)
{
    bool in_sandbox = m->options & PLAN_MOUNT_TARGET_IN_SANDBOX;

    if (mount(*source->path.text ? source->path.text : NULL, target->path.text,
              *str[2] ? str[2] : NULL, m->flags, *str[3] ? str[3] : NULL) < 0)
        return -1;
    if (!(m->options & PLAN_MOUNT_READ_ONLY))
        return 0;
    /* What is open is below the new mount: look again, to reach what now lies above it. */
    place_close(target);
    if (place_open(s, str[1], in_sandbox, target) < 0)
        return -1;
    return mount(NULL, target->path.text, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static int do_mount(const struct shim *s, const struct plan_record *r, struct shim_error *e)
{
    struct place source = {.fd = -1}, target = {.fd = -1};
    const char *str[4]; /* source, target, type, data */
    struct plan_mount m;
    int result;

    memcpy(&m, r->data, sizeof(m));
    if (!plan_mount_strings(r, str))
        return fail(e, EPROTO, "understand", "plan");
    if (place_open(s, str[0], m.options & PLAN_MOUNT_SOURCE_IN_SANDBOX, &source) < 0)
        result = fail(e, errno, "open in the sandbox", str[0]);
    else if (place_open(s, str[1], m.options & PLAN_MOUNT_TARGET_IN_SANDBOX, &target) < 0)
        result = fail(e, errno, "open in the sandbox", str[1]);
    else if (mount_open(&m, str, &source, &target, s) < 0)
        result = fail(e, errno, "mount at", str[1]);
    else
        result = 0;
    place_close(&source);
    place_close(&target);
    return result;
}

int setup_run(struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    size_t pos;
    int result = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (result == 0 && plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag == PLAN_CGROUP)
            result = join_cgroup(r.data, e);
        else if (r.tag == PLAN_MOUNT)
            result = do_mount(s, &r, e);
        else if (r.tag == PLAN_HOSTNAME && sethostname(r.data, r.len - 1) < 0)
            result = fail(e, errno, "set the host name", r.data);
    }
    return result;
}
