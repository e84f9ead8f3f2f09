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

static int mount_at(const struct plan_mount *m, const char *source, const char *target,
                    const char *type, const char *data)
{
    if (mount(*source ? source : NULL, target, *type ? type : NULL, m->flags, *data ? data : NULL) <
        0)
        return -1;
    if (m->options & PLAN_MOUNT_READ_ONLY)
        return mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | (m->flags & MS_REC),
                     NULL);
    return 0;
}

static int do_mount(struct shim *s, const struct plan_record *r, struct shim_error *e)
{
    const char *str[4]; /* source, target, type, data */
    struct plan_mount m;
    struct line source, target;
    int source_fd = -1, target_fd = -1, result = -1;

    memcpy(&m, r->data, sizeof(m));
    if (!plan_mount_strings(r, str))
        return fail(e, EPROTO, "understand", "plan");
    line_add(memset(&source, 0, sizeof(source)), str[0]);
    line_add(memset(&target, 0, sizeof(target)), str[1]);
    if (m.options & PLAN_MOUNT_SOURCE_IN_SANDBOX) {
        source_fd = open_in_sandbox(s, str[0]);
        if (source_fd < 0)
            return fail(e, errno, "open in the sandbox", str[0]);
        fd_path(&source, source_fd);
    }
    if (m.options & PLAN_MOUNT_TARGET_IN_SANDBOX) {
        target_fd = open_in_sandbox(s, str[1]);
        if (target_fd < 0) {
            fail(e, errno, "open in the sandbox", str[1]);
            goto out;
        }
        fd_path(&target, target_fd);
    }
    result = mount_at(&m, source.text, target.text, str[2], str[3]);
    if (result < 0)
        fail(e, errno, "mount at", str[1]);
out:
    if (source_fd >= 0)
        close(source_fd);
    if (target_fd >= 0)
        close(target_fd);
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
