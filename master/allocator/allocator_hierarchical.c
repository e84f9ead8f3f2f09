/* The built-in allocator "HierarchicalDRF" as a whole: its creation, its end, and the table of its hooks.
 *
 * A callback must not call a hook: offers go out while the agent is being looked at, and the order must not move under a walk.
 */
#include "common/model/intern.h"
#include "master/allocator/allocator_priv.h"

static void set_weight(struct allocator *a, const char *role, double weight)
{
    struct alloc_role *r = role_tree_get(&allocator_cast(a)->tree, role);

    if (weight > 0)
        role_tree_set_weight(&a->tree, r, weight);
    if (r->quota)
        drf_sorter_changed(r->closed ? &a->closed : &a->guaranteed, &r->quota->turn, false);
    role_tree_release(&a->tree, r);
}

static void set_paused(struct allocator *a, bool paused)
{
    allocator_cast(a)->paused = paused;
}

static double dominant_share(const struct allocator *ca, const char *role_or_framework)
{
    struct allocator *a = allocator_cast((struct allocator *)ca);
    struct alloc_framework *f = alloc_framework_find(a, role_or_framework);
    struct alloc_role *r = role_tree_find(&a->tree, role_or_framework);
    _cleanup_vec_ struct drf_vec sum = DRF_VEC_INIT;
    struct alloc_client *c;

    if (r)
        return drf_share(&a->totals, &r->turn.allocated, 1.0);
    if (!f)
        return 0;
    LL_FOREACH (f->clients, c)
        drf_vec_add(&sum, &c->drf.allocated);
    return drf_share(&a->totals, &sum, 1.0);
}

static int check_sorter(const char *which, const char *name, bool *ret_random, struct fl_err *err)
{
    *ret_random = name && streq(name, "random");
    if (!name || *ret_random || streq(name, "drf"))
        return 0;
    return fl_err_set(err, FL_INVALID, "--%s_sorter='%s' is unknown: use 'drf' or 'random'", which,
                      name);
}

static void destroy(struct allocator *a)
{
    struct alloc_framework *f, *next;

    if (!a)
        return;
    a = allocator_cast(a);
    HASH_ITER (hh, a->frameworks, f, next)
        alloc_remove_framework(a, f->id);
    while (a->n_agents)
        alloc_remove_agent(a, a->agent_list[a->n_agents - 1]->id);
    while (a->quotas)
        alloc_quota_free(a, a->quotas->role);
    role_tree_done(&a->tree);
    alloc_clear_whitelist(a);
    alloc_min_done(&a->min);
    drf_vec_done(&a->required);
    drf_vec_done(&a->spare);
    drf_totals_done(&a->totals);
    fl_pb_free(a->master_domain);
    free(a->expiries.at);
    free(a->agent_list);
    alloc_queue_done(a);
    drf_sorter_done(&a->guaranteed);
    drf_sorter_done(&a->closed);
    a->magic = 0;
    free(a);
}

static int create(const struct allocator_options *o, const struct allocator_callbacks *cb,
                  struct allocator **ret, struct fl_err *err)
{
    struct allocator *a;
    bool random_roles, random_frameworks;
    int r = check_sorter("role", o->role_sorter, &random_roles, err);

    if (r == 0)
        r = check_sorter("framework", o->framework_sorter, &random_frameworks, err);
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
    role_tree_init(&a->tree, &a->totals, random_roles ? &a->random : NULL,
                   random_frameworks ? &a->random : NULL);
    drf_sorter_init(&a->guaranteed, &a->totals);
    drf_sorter_set_random(&a->guaranteed, a->tree.random);
    drf_sorter_init(&a->closed, &a->totals);
    drf_sorter_set_random(&a->closed, a->tree.random);
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
    .set_quota = alloc_set_quota,
    .set_weight = set_weight,
    .set_paused = set_paused,
    .set_unavailability = alloc_set_unavailability,
    .update_inverse_offer = alloc_update_inverse_offer,
    .each_inverse_status = alloc_each_inverse_status,
    .dominant_share = dominant_share,
    .numbers = alloc_numbers,
    .explain = alloc_explain,
};
