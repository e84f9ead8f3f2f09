/* cgroups/pids: at most as many processes and threads as the scalar resource `pids` says, if the container has one. */
#include "isolators/cgroup_isolator.h"

#include <errno.h>
#include <inttypes.h>

static int pids_create(struct fl_loop *loop, const struct isolator_config *config,
                       isolator_limit_f *limit, void *arg, struct isolator **ret,
                       struct fl_err *err)
{
    struct cgroup_isolator *c = NULL;
    int r = cgroup_isolator_new(&isolator_cgroups_pids, config, "pids", sizeof(*c), &c, err);

    if (r < 0)
        return r;
    *ret = &c->base;
    return 0;
}

/* The shim is one more. */
static size_t values_of(const struct isolated_container *c, struct cgroup_value *v)
{
    milli_t pids = resources_scalar(c->resources, "pids");

    if (pids <= 0)
        return 0;
    v->name = "pids.max";
    fl_snprintf(v->text, sizeof(v->text), "%" PRId64, pids / MILLI_ONE + 1);
    return 1;
}

static int pids_prepare(struct isolator *i, const struct isolated_container *c,
                        struct launch_plan *plan, struct fl_err *err)
{
    struct cgroup_value v;
    size_t n = values_of(c, &v);

    if (c->shares_cgroups) {
        cgroup_isolator_join((struct cgroup_isolator *)i, c->cgroup_id, plan);
        return 0;
    }
    return cgroup_isolator_make((struct cgroup_isolator *)i, c->id, &v, n, plan, err);
}

static int pids_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct cgroup_value v;

    return values_of(c, &v)
               ? cgroup_write(&((struct cgroup_isolator *)i)->room, c->id, v.name, v.text, err)
               : 0;
}

const struct isolator_ops isolator_cgroups_pids = {
    .name = "cgroups/pids",
    .create = pids_create,
    .free = cgroup_isolator_free,
    .prepare = pids_prepare,
    .update = pids_update,
    .cleanup = cgroup_isolator_cleanup,
    .orphans = cgroup_isolator_orphans,
};
