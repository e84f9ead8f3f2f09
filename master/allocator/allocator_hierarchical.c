/* The built-in allocator "HierarchicalDRF" as a whole: its creation, its end, and the table of its hooks.
 *
 * A callback must not call a hook: offers go out while the agent is being looked at, and the order must not move under a walk.
 */
#include "common/model/intern.h"
#include "master/allocator/allocator_priv.h"

static void set_weight(struct allocator *a, const char *role, double weight)
{
    struct alloc_role *r = alloc_role_get(allocator_cast(a), role);

    if (weight > 0)
        drf_sorter_set_weight(&a->role_order, &r->drf, weight);
    alloc_role_release(a, r);
}

static void set_paused(struct allocator *a, bool paused)
{
    allocator_cast(a)->paused = paused;
}

static double dominant_share(const struct allocator *ca, const char *role_or_framework)
{
    struct allocator *a = allocator_cast((struct allocator *)ca);
    struct alloc_framework *f = alloc_framework_find(a, role_or_framework);
    const char *key = intern(role_or_framework);
    _cleanup_vec_ struct drf_vec sum = DRF_VEC_INIT;
    struct alloc_client *c;
    struct alloc_role *r;

    HASH_FIND_PTR(a->roles, &key, r);
    if (r)
        return drf_share(&a->totals, &r->drf.allocated, 1.0);
    if (!f)
        return 0;
    LL_FOREACH (f->clients, c)
        drf_vec_add(&sum, &c->drf.allocated);
    return drf_share(&a->totals, &sum, 1.0);
}

static int check_sorter(const char *which, const char *name, struct fl_err *err)
{
    if (!name || streq(name, "drf"))
        return 0;
    if (streq(name, "random"))
        return fl_err_set(err, FL_NOT_IMPLEMENTED,
                          "--%s_sorter=random is not there yet: use --%s_sorter=drf", which, which);
    return fl_err_set(err, FL_INVALID, "--%s_sorter='%s' is unknown: use 'drf'", which, name);
}

static void destroy(struct allocator *a)
{
    struct alloc_framework *f, *next;
    struct alloc_role *r, *next_role;

    if (!a)
        return;
    a = allocator_cast(a);
    HASH_ITER (hh, a->frameworks, f, next)
        alloc_remove_framework(a, f->id);
    while (a->n_agents)
        alloc_remove_agent(a, a->agent_list[a->n_agents - 1]->id);
    HASH_ITER (hh, a->roles, r, next_role) {
        r->drf.weight = 1.0;
        alloc_role_release(a, r);
    }
    alloc_clear_whitelist(a);
    alloc_min_done(&a->min);
    drf_sorter_done(&a->role_order);
    drf_totals_done(&a->totals);
    fl_pb_free(a->master_domain);
    free(a->expiries.at);
    free(a->agent_list);
    free(a->queue);
    a->magic = 0;
    free(a);
}

static int create(const struct allocator_options *o, const struct allocator_callbacks *cb,
                  struct allocator **ret, struct fl_err *err)
{
    struct allocator *a;
    int r = check_sorter("role", o->role_sorter, err);

    if (r == 0)
        r = check_sorter("framework", o->framework_sorter, err);
    if (r < 0)
        return r;
    a = xnew0(struct allocator);
    a->magic = ALLOCATOR_MAGIC;
    a->cb = *cb;
    a->interval_us = o->allocation_interval_us;
    a->filter_gpus = o->filter_gpu_resources;
    a->random = o->random_seed;
    if (o->master_domain)
        a->master_domain = (V1__DomainInfo *)fl_pb_dup(&o->master_domain->base, NULL);
    drf_totals_init(&a->totals);
    for (size_t i = 0; i < o->n_fair_share_excluded; i++)
        drf_totals_exclude(&a->totals, intern(o->fair_share_excluded[i]));
    drf_sorter_init(&a->role_order, &a->totals);
    r = alloc_min_parse(&a->totals, o->min_allocatable_resources, &a->min, err);
    if (r < 0) {
        destroy(a);
        return r;
    }
    *ret = a;
    return 0;
}

const struct allocator_ops allocator_hierarchical_drf = {
    .abi = ALLOCATOR_ABI,
    .name = "HierarchicalDRF",
    .create = create,
    .destroy = destroy,
    .run = alloc_run,
    .add_framework = alloc_add_framework,
    .remove_framework = alloc_remove_framework,
    .update_framework = alloc_update_framework,
    .set_framework_active = alloc_set_framework_active,
    .add_agent = alloc_add_agent,
    .remove_agent = alloc_remove_agent,
    .update_agent = alloc_update_agent,
    .set_agent_active = alloc_set_agent_active,
    .set_whitelist = alloc_set_whitelist,
    .transition_to_used = alloc_transition_to_used,
    .recover = alloc_recover,
    .update_allocation = alloc_update_allocation,
    .add_used = alloc_add_used,
    .suppress = alloc_suppress,
    .revive = alloc_revive,
    .set_weight = set_weight,
    .set_paused = set_paused,
    .dominant_share = dominant_share,
};
