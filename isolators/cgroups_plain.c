/* Controllers of which a container needs a group of its own and no values, as in the reference: what the operator sets on --cgroups_root
 * holds for all containers, and what somebody sets on a container's group for that one.
 *
 *   cgroups/cpuset, cgroups/hugetlb, cgroups/net_prio (version 1 only)
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "isolators/cgroup_isolator.h"

static int create(const struct isolator_ops *ops, const struct isolator_config *config,
                  const char *controller, struct isolator **ret, struct fl_err *err)
{
    struct cgroup_isolator *c = NULL;
    int r = cgroup_isolator_new(ops, config, controller, sizeof(*c), &c, err);

    if (r == 0)
        *ret = &c->base;
    return r;
}

/* ---- cpuset ---- */

static int copy_down(const char *from, const char *to, const char *file, struct fl_err *err)
{
    _cleanup_free_ char *source = xasprintf("%s/%s", from, file),
                        *target = xasprintf("%s/%s", to, file);
    _cleanup_close_ int in = open(source, O_RDONLY | O_CLOEXEC),
                        out = open(target, O_RDWR | O_CLOEXEC);
    char text[4096];

    if (in < 0 || out < 0)
        return fl_err_errno(err, errno, "copy '%s' to '%s'", source, target);
    if (read(out, text, sizeof(text)) > 1)
        return 0;
    ssize_t n = read(in, text, sizeof(text));
    return n < 0 || write(out, text, (size_t)n) < 0
               ? fl_err_errno(err, errno, "copy '%s' to '%s'", source, target)
               : 0;
}

/* From here down the kernel copies what the group above has. */
static int pass_on(const char *group, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/cgroup.clone_children", group);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, "1", 1) == 1 ? 0 : fl_err_errno(err, errno, "write '%s'", path);
}

/* On version 1 a group has no processors and memory at first, and none can join it. --cgroups_root, and each above it, gets what the one
 * above has. */
static int fill_root(const struct cgroup_room *room, struct fl_err *err)
{
    _cleanup_free_ char *from = xstrdup(room->mount);
    int r = 0;

    if (room->v2)
        return 0;
    for (const char *p = room->root; *p && r == 0;) {
        size_t n = strcspn(p, "/");
        char *to = xasprintf("%s/%.*s", from, (int)n, p);
        if (mkdir(to, 0755) < 0 && errno != EEXIST)
            r = fl_err_errno(err, errno, "make the cgroup '%s'", to);
        if (r == 0)
            r = copy_down(from, to, "cpuset.cpus", err);
        if (r == 0)
            r = copy_down(from, to, "cpuset.mems", err);
        free(from);
        from = to;
        p += n + (p[n] == '/');
    }
    return r < 0 ? r : pass_on(from, err);
}

static int cpuset_create(struct fl_loop *loop, const struct isolator_config *config,
                         isolator_limit_f *limit, void *arg, struct isolator **ret,
                         struct fl_err *err)
{
    struct isolator *i = NULL;
    int r = create(&isolator_cgroups_cpuset, config, "cpuset", &i, err);

    if (r < 0)
        return r;
    r = fill_root(&((struct cgroup_isolator *)i)->room, err);
    if (r < 0) {
        cgroup_isolator_free(i);
        return r;
    }
    *ret = i;
    return 0;
}

/* Somebody may have removed --cgroups_root since. */
static int cpuset_prepare(struct isolator *i, const struct isolated_container *c,
                          struct launch_plan *plan, struct fl_err *err)
{
    const struct cgroup_room *room = &((struct cgroup_isolator *)i)->room;
    _cleanup_free_ char *root = xasprintf("%s/%s", room->mount, room->root);
    int r = access(root, F_OK) == 0 ? 0 : fill_root(room, err);

    return r < 0 ? r : cgroup_isolator_prepare(i, c, plan, err);
}

const struct isolator_ops isolator_cgroups_cpuset = {
    .name = "cgroups/cpuset",
    .create = cpuset_create,
    .free = cgroup_isolator_free,
    .prepare = cpuset_prepare,
    .cleanup = cgroup_isolator_cleanup,
    .orphans = cgroup_isolator_orphans,
};

/* ---- the others ---- */

static int hugetlb_create(struct fl_loop *loop, const struct isolator_config *config,
                          isolator_limit_f *limit, void *arg, struct isolator **ret,
                          struct fl_err *err)
{
    return create(&isolator_cgroups_hugetlb, config, "hugetlb", ret, err);
}

static int net_prio_create(struct fl_loop *loop, const struct isolator_config *config,
                           isolator_limit_f *limit, void *arg, struct isolator **ret,
                           struct fl_err *err)
{
    return create(&isolator_cgroups_net_prio, config, "net_prio", ret, err);
}

const struct isolator_ops isolator_cgroups_hugetlb = {
    .name = "cgroups/hugetlb",
    .create = hugetlb_create,
    .free = cgroup_isolator_free,
    .prepare = cgroup_isolator_prepare,
    .cleanup = cgroup_isolator_cleanup,
    .orphans = cgroup_isolator_orphans,
};

const struct isolator_ops isolator_cgroups_net_prio = {
    .name = "cgroups/net_prio",
    .create = net_prio_create,
    .free = cgroup_isolator_free,
    .prepare = cgroup_isolator_prepare,
    .cleanup = cgroup_isolator_cleanup,
    .orphans = cgroup_isolator_orphans,
};
