/* See cgroup_isolator.h. On version 2 all controllers share one group, which the launcher's isolator has the shim join. */
#include "isolators/cgroup_isolator.h"

#include <errno.h>

int cgroup_isolator_new(const struct isolator_ops *ops, const struct isolator_config *config,
                        const char *controller, size_t size, struct cgroup_isolator **ret,
                        struct fl_err *err)
{
    struct cgroup_isolator *c = xcalloc(1, size);

    c->base.ops = ops;
    int r = cgroup_room_open(config, controller, &c->room, err);
    if (r < 0) {
        free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void cgroup_isolator_free(struct isolator *i)
{
    struct cgroup_isolator *c = (struct cgroup_isolator *)i;

    cgroup_room_done(&c->room);
    free(c);
}

int cgroup_isolator_make(struct cgroup_isolator *i, const char *id,
                         const struct cgroup_value *values, size_t n, struct launch_plan *plan,
                         struct fl_err *err)
{
    int r = cgroup_make(&i->room, id, values, n, err);

    if (r < 0)
        return r;
    cgroup_isolator_join(i, id, plan);
    return 0;
}

void cgroup_isolator_join(const struct cgroup_isolator *i, const char *id, struct launch_plan *plan)
{
    if (i->room.launcher_joins)
        return;
    _cleanup_free_ char *procs = cgroup_procs(&i->room, id);
    launch_plan_cgroup(plan, procs);
}

int cgroup_isolator_prepare(struct isolator *i, const struct isolated_container *c,
                            struct launch_plan *plan, struct fl_err *err)
{
    struct cgroup_isolator *ci = (struct cgroup_isolator *)i;

    if (!c->shares_cgroups)
        return cgroup_isolator_make(ci, c->id, NULL, 0, plan, err);
    cgroup_isolator_join(ci, c->cgroup_id, plan);
    return 0;
}

int cgroup_isolator_cleanup(struct isolator *i, const char *id)
{
    return cgroup_remove(&((struct cgroup_isolator *)i)->room, id);
}

void cgroup_isolator_orphans(struct isolator *i, void (*found)(void *arg, const char *id),
                             void *arg)
{
    cgroup_each(&((struct cgroup_isolator *)i)->room, found, arg);
}
