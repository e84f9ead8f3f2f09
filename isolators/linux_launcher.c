/* launcher/linux: the cgroup by which everything of a container can be found and killed, whatever it did to leave: freezer on
 * version 1, the container's own group on version 2, where each nested container has one, also when it shares the limits of what it is
 * nested in. Comes with --launcher=linux, not with --isolation.
 *
 * A container with a pid namespace needs none of it on version 1: when its process 1 dies the kernel ends the rest, and joining a
 * cgroup is the dearest part of a launch. */
#include "isolators/cgroup_isolator.h"

#include <sched.h>

static int create(struct fl_loop *loop, const struct isolator_config *config,
                  isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    struct cgroup_isolator *c = NULL;
    int r = cgroup_isolator_new(&isolator_linux_launcher, config, "freezer", sizeof(*c), &c, err);

    if (r < 0)
        return r;
    c->room.launcher_joins = false; /* it is us */
    *ret = &c->base;
    return 0;
}

static int prepare(struct isolator *i, const struct isolated_container *c, struct launch_plan *plan,
                   struct fl_err *err)
{
    struct cgroup_isolator *ci = (struct cgroup_isolator *)i;

    if (!ci->room.v2 && (plan->clone_flags & CLONE_NEWPID))
        return 0;
    return cgroup_isolator_make(ci, c->id, NULL, 0, plan, err);
}

const struct isolator_ops isolator_linux_launcher = {
    .name = "launcher/linux",
    .create = create,
    .free = cgroup_isolator_free,
    .prepare = prepare,
    .cleanup = cgroup_isolator_cleanup,
    .orphans = cgroup_isolator_orphans,
};
