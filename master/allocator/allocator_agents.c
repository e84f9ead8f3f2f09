/* What happens to agents, told to the built-in allocator: hooks of allocator.h. Each changes the books and touches the agent when
 * it may have something to give because of it. No hook makes an offer: alloc_run() does.
 */
#include "common/model/agent_info.h"
#include "common/model/intern.h"
#include "master/allocator/allocator_priv.h"

struct alloc_agent *alloc_find_agent(struct allocator *a, const char *id)
{
    struct alloc_agent *ag;

    HASH_FIND_STR(a->agents, id, ag);
    return ag;
}

static bool host_allowed(struct allocator *a, const char *hostname)
{
    struct alloc_host *h;

    if (!a->whitelisting)
        return true;
    HASH_FIND_STR(a->whitelist, hostname, h);
    return h != NULL;
}

/* Resources are kept in `total`, so the copy of the info goes without. */
static void take_agent_info(struct allocator *a, struct alloc_agent *ag,
                            const struct allocator_agent *in)
{
    V1__AgentInfo *lean = agent_info_keep(in->info, true);

    agent_info_release(ag->info);
    ag->info = lean;
    ag->capabilities = 0;
    for (size_t i = 0; i < in->n_capabilities; i++)
        if ((unsigned)in->capabilities[i]->type < 32)
            ag->capabilities |= 1u << in->capabilities[i]->type;
    alloc_spare_out(a, ag);
    ag->is_remote = alloc_in_other_region(a, ag->info->domain);
    ag->active = in->active;
    ag->whitelisted = host_allowed(a, ag->info->hostname);
    alloc_spare_in(a, ag);
}

struct used_on {
    struct allocator *a;
    struct alloc_agent *ag;
    struct alloc_framework *f;
};

static void hold_part(const char *role, const struct resources *part, void *arg)
{
    struct used_on *u = arg;

    alloc_hold(u->a, u->ag, alloc_client_get(u->a, u->f, role), part);
}

void alloc_hold_used(struct allocator *a, struct alloc_agent *ag, const char *framework_id,
                     const struct resources *res)
{
    struct used_on u = {.a = a, .ag = ag};

    if (resources_empty(res))
        return;
    u.f = alloc_framework_get(a, framework_id);
    alloc_each_allocation_role(res, hold_part, &u);
    if (!u.f->known && !u.f->clients) { /* nothing was allocated to a role */
        HASH_DEL(a->frameworks, u.f);
        free(u.f->id);
        free(u.f);
    }
}

void alloc_remove_agent(struct allocator *a, const char *agent_id)
{
    struct alloc_agent *ag = alloc_find_agent(allocator_cast(a), agent_id), *last;

    if (!ag)
        return;
    alloc_gang_forget_agent(a, ag);
    while (ag->holdings)
        alloc_unhold_all(a, ag, ag->holdings);
    alloc_filters_drop_agent(a, ag);
    alloc_queue_forget_agent(a, ag);
    alloc_inverse_clear(a, ag);
    alloc_spare_out(a, ag);
    alloc_drop_reserved(a, ag);
    drf_totals_sub(&a->totals, &ag->total_vec);
    last = a->agent_list[--a->n_agents];
    a->agent_list[ag->index] = last;
    last->index = ag->index;
    HASH_DEL(a->agents, ag);
    resources_done(&ag->total);
    resources_done(&ag->free);
    drf_vec_done(&ag->total_vec);
    drf_vec_done(&ag->free_vec);
    drf_vec_done(&ag->spare_vec);
    agent_info_release(ag->info);
    intern_unref(ag->id);
    free(ag);
}

void alloc_add_agent(struct allocator *a, const struct allocator_agent *in, uint64_t now_us)
{
    struct alloc_agent *ag = xnew0(struct alloc_agent);

    a = allocator_cast(a);
    alloc_remove_agent(a, in->id);
    ag->id = intern_ref(in->id);
    ag->queued_at = ag->held_at = IDX_HEAP_OUT;
    take_agent_info(a, ag, in);
    HASH_ADD_KEYPTR(hh, a->agents, ag->id, strlen(ag->id), ag);
    a->agent_list =
        xgrow(a->agent_list, &a->agents_cap, a->n_agents + 1, sizeof(struct alloc_agent *));
    ag->index = a->n_agents;
    a->agent_list[a->n_agents++] = ag;
    alloc_set_total(a, ag, in->total);
    for (size_t i = 0; i < in->n_used; i++)
        alloc_hold_used(a, ag, in->used[i].framework_id, in->used[i].res);
    alloc_inverse_set(a, ag, in->unavailability);
    alloc_touch(a, ag);
}

void alloc_update_agent(struct allocator *a, const struct allocator_agent *in, uint64_t now_us)
{
    struct alloc_agent *ag = alloc_find_agent(allocator_cast(a), in->id);
    bool changed;

    if (!ag)
        return;
    changed = !attributes_equal(ag->info->attributes, ag->info->n_attributes, in->info->attributes,
                                in->info->n_attributes);
    alloc_gang_forget_agent(a, ag);
    take_agent_info(a, ag, in);
    alloc_set_total(a, ag, in->total);
    /* Not when only its total did: a larger one passes the filters by itself, and an estimate of slack changes all the time. */
    if (changed)
        alloc_filters_drop_agent(a, ag);
    alloc_touch(a, ag);
}

void alloc_set_agent_active(struct allocator *a, const char *agent_id, bool active)
{
    struct alloc_agent *ag = alloc_find_agent(allocator_cast(a), agent_id);

    if (!ag || ag->active == active)
        return;
    alloc_gang_forget_agent(a, ag);
    alloc_spare_out(a, ag);
    ag->active = active;
    alloc_spare_in(a, ag);
    if (active)
        alloc_touch(a, ag);
}

void alloc_clear_whitelist(struct allocator *a)
{
    struct alloc_host *h, *next;

    HASH_ITER (hh, a->whitelist, h, next) {
        HASH_DEL(a->whitelist, h);
        free(h->name);
        free(h);
    }
}

void alloc_set_whitelist(struct allocator *a, const char *const *hostnames, size_t n)
{
    a = allocator_cast(a);
    alloc_clear_whitelist(a);
    a->whitelisting = hostnames != NULL;
    for (size_t i = 0; hostnames && i < n; i++) {
        struct alloc_host *h;

        HASH_FIND_STR(a->whitelist, hostnames[i], h);
        if (h)
            continue;
        h = xnew0(struct alloc_host);
        h->name = xstrdup(hostnames[i]);
        HASH_ADD_KEYPTR(hh, a->whitelist, h->name, strlen(h->name), h);
    }
    for (size_t i = 0; i < a->n_agents; i++) {
        struct alloc_agent *ag = a->agent_list[i];
        bool was = ag->whitelisted;

        alloc_gang_forget_agent(a, ag);
        alloc_spare_out(a, ag);
        ag->whitelisted = host_allowed(a, ag->info->hostname);
        alloc_spare_in(a, ag);
        if (!was && ag->whitelisted)
            alloc_touch(a, ag);
    }
}
