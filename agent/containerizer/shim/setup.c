/* What the plan wants done inside the new namespaces before the command: cgroups, mounts, host name, the root. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
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

static int mount_record(struct shim *s, const struct plan_record *r, struct shim_error *e)
{
    const char *str[4]; /* source, target, type, data */
    struct plan_mount m;

    memcpy(&m, r->data, sizeof(m));
    if (!plan_mount_strings(r, str))
        return fail(e, EPROTO, "understand", "plan");
    if (m.flags & MS_BIND)
        return bind_mount(s, &m, str, m.flags & MS_REC, e);
    const char *source = *str[0] ? str[0] : NULL, *type = *str[2] ? str[2] : NULL,
               *data = *str[3] ? str[3] : NULL;
    int result = s->root_fd >= 0 && type ? mount_in_root(s, source, str[1], type, m.flags, data)
                                         : mount(source, str[1], type, m.flags, data);
    return result < 0 ? fail(e, errno, "mount at", str[1]) : 0;
}

static int put_borrowed(struct shim *s, size_t i, const struct plan_record *r, struct shim_error *e)
{
    struct plan_borrow b;
    const char *str[2];

    memcpy(&b, r->data, sizeof(b));
    if (b.kind != PLAN_BORROW_MOUNT || s->borrowed[i] < 0 || !plan_strings(r, sizeof(b), str, 2))
        return 0;
    int result =
        put_at(s, s->borrowed[i], str[1], false) < 0 ? fail(e, errno, "mount at", str[1]) : 0;
    close(s->borrowed[i]);
    s->borrowed[i] = -1;
    return result;
}

int join_cgroups(const struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    size_t pos;
    int result = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (result == 0 && plan_next(s->plan, s->plan_len, &pos, &r) > 0)
        if (r.tag == PLAN_CGROUP)
            result = join_cgroup(r.data, e);
    return result;
}

int setup_run(struct shim *s, struct shim_error *e)
{
    struct plan_record r;
    size_t pos, n_borrowed = 0;
    bool secrets = false;
    int result = 0;

    plan_begin(s->plan, s->plan_len, &pos);
    while (result == 0 && plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        if (r.tag == PLAN_MOUNT)
            result = mount_record(s, &r, e);
        else if (r.tag == PLAN_BORROW)
            result = put_borrowed(s, n_borrowed++, &r, e);
        else if (r.tag == PLAN_ROOTFS)
            result = root_prepare(s, e) < 0 ? -1 : make_nodes(s, e);
        else if (r.tag == PLAN_SECRET)
            secrets = true;
        else if (r.tag == PLAN_HOSTNAME && sethostname(r.data, r.len - 1) < 0)
            result = fail(e, errno, "set the host name", r.data);
    }
    if (result == 0 && secrets)
        result = put_secrets(s, e);
    return result == 0 && s->root_fd >= 0 ? root_enter(s, e) : result;
}
