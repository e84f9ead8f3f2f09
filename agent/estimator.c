/* Built-in resource estimators. Pure: what they answer follows from their parameters and the usage they are shown.
 *
 * noop   nothing is oversubscribed; what stands when no flag is given.
 * fixed  a given amount, however busy the agent is: what of it is not in use may be offered. Parameter `resources`, as in
 *        --resources: text or JSON.
 */
#include "agent/oversubscription.h"

static int noop_create(const struct module_parameters *p, void **ret_self, struct fl_err *err)
{
    *ret_self = NULL;
    return 0;
}

static int noop_estimate(void *self, const struct oversub_usage *u, struct resources *ret,
                         struct fl_err *err)
{
    return 0;
}

static void noop_destroy(void *self)
{
}

static const struct estimator_ops noop = {
    .abi = OVERSUBSCRIPTION_ABI,
    .name = "noop",
    .create = noop_create,
    .estimate = noop_estimate,
    .destroy = noop_destroy,
};

/* ---- fixed ---- */

struct fixed {
    struct resources all; /* revocable */
};

/* The same amounts as revocable ones. */
static int mark_revocable(struct resources *r, struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(2048);
    _cleanup_resources_ struct resources marked = RESOURCES_INIT;
    V1__Resource__RevocableInfo revocable = V1__RESOURCE__REVOCABLE_INFO__INIT;
    V1__Resource **pb;
    size_t n = resources_to_pb(r, RESOURCES_POST_REFINEMENT, false, arena, &pb);
    int rc;

    for (size_t i = 0; i < n; i++) {
        pb[i] = (V1__Resource *)fl_pb_dup(&pb[i]->base, fl_arena_allocator(arena));
        pb[i]->revocable = &revocable;
    }
    rc = resources_from_pb(pb, n, &marked, err);
    if (rc < 0)
        return rc;
    resources_move(r, &marked);
    return 0;
}

static int fixed_create(const struct module_parameters *p, void **ret_self, struct fl_err *err)
{
    const char *text = module_parameter(p, "resources");
    struct resources all = RESOURCES_INIT;
    struct fixed *f;
    int r;

    if (!text)
        return fl_err_set(err, FL_INVALID,
                          "the fixed estimator needs the parameter 'resources' in --modules, or "
                          "--oversubscription_fixed");
    r = resources_parse(text, "*", &all, err);
    if (r == 0)
        r = mark_revocable(&all, err);
    if (r < 0) {
        resources_done(&all);
        return fl_err_wrap(err, "parameter 'resources' of the fixed estimator");
    }
    f = xnew0(struct fixed);
    f->all = all;
    *ret_self = f;
    return 0;
}

static int fixed_estimate(void *self, const struct oversub_usage *u, struct resources *ret,
                          struct fl_err *err)
{
    const struct fixed *f = self;

    resources_copy(ret, &f->all);
    for (size_t i = 0; i < u->n_executors; i++) {
        _cleanup_resources_ struct resources used = RESOURCES_INIT;

        resources_revocable(&u->executors[i].allocated, true, &used);
        resources_unallocate(&used);
        resources_subtract(ret, &used);
    }
    return 0;
}

static void fixed_destroy(void *self)
{
    struct fixed *f = self;

    resources_done(&f->all);
    free(f);
}

static const struct estimator_ops fixed = {
    .abi = OVERSUBSCRIPTION_ABI,
    .name = "org_apache_mesos_FixedResourceEstimator",
    .create = fixed_create,
    .estimate = fixed_estimate,
    .destroy = fixed_destroy,
};

/* ---- by name ---- */

const struct estimator_ops *estimator_find(const char *name)
{
    static const struct {
        const char *name;
        const struct estimator_ops *ops;
    } names[] = {
        {"noop", &noop},
        {"fixed", &fixed},
        {"org_apache_mesos_FixedResourceEstimator", &fixed},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (streq(names[i].name, name))
            return names[i].ops;
    }
    return NULL;
}
