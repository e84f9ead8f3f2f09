/* Resources that move: used, declined, freed, converted. Hooks of the built-in allocator (allocator.h) that change the books and
 * touch the agent concerned. No hook makes an offer: alloc_run() does.
 */
#include "master/allocator/allocator_priv.h"

struct part_of {
    struct allocator *a;
    struct alloc_agent *ag;
    struct alloc_framework *f;
    const V1__Filters *filters;
    uint64_t now_us;
};

static void note_used(const char *role, const struct resources *part, void *arg)
{
    struct part_of *p = arg;
    struct alloc_client *c = alloc_client_find(p->f, role);
    struct alloc_holding *h = c ? alloc_holding_find(p->ag, c) : NULL;

    if (h)
        h->used_of_last_offer = true;
}

void alloc_transition_to_used(struct allocator *a, const char *framework_id, const char *agent_id,
                              const struct resources *res)
{
    struct part_of p = {.a = allocator_cast(a),
                        .ag = alloc_find_agent(a, agent_id),
                        .f = alloc_framework_find(a, framework_id)};

    if (p.ag && p.f)
        alloc_each_allocation_role(res, note_used, &p);
}

/* When the filter ends, 0 for no filter. A decline with refuse_seconds 0 asks for none; so that it does not come straight
 * back, only to be declined again, for as long as the two ends can go, it waits for the next allocation interval, as it does in
 * the reference. A framework that used some of the offer gets the rest again at once. */
static uint64_t filter_end(const struct part_of *p, const struct alloc_holding *h)
{
    uint64_t us, interval = p->a->interval_us;

    if (!p->filters)
        return 0;
    us = alloc_refuse_us(p->filters);
    if (us)
        return p->now_us + FL_MAX(us, interval);
    if (!interval || (h && h->used_of_last_offer))
        return 0;
    return (p->now_us / interval + 1) * interval;
}

static void recover_part(const char *role, const struct resources *part, void *arg)
{
    struct part_of *p = arg;
    struct alloc_client *c = alloc_client_find(p->f, role);
    uint64_t end;

    if (!c) {
        p->a->n_mismatched++;
        return;
    }
    end = filter_end(p, alloc_holding_find(p->ag, c));
    if (end && c->subscribed && p->f->active)
        alloc_filter_add(p->a, p->ag, c, part, end);
    alloc_unhold(p->a, p->ag, c, part);
}

void alloc_recover(struct allocator *a, const char *framework_id, const char *agent_id,
                   const struct resources *res, const V1__Filters *filters, uint64_t now_us)
{
    struct part_of p = {.a = allocator_cast(a),
                        .ag = alloc_find_agent(a, agent_id),
                        .f = alloc_framework_find(a, framework_id),
                        .filters = filters,
                        .now_us = now_us};

    if (!p.ag || !p.f)
        return;
    alloc_each_allocation_role(res, recover_part, &p);
    alloc_touch(a, p.ag);
}

void alloc_add_used(struct allocator *a, const char *framework_id, const char *agent_id,
                    const struct resources *res)
{
    struct alloc_agent *ag = alloc_find_agent(allocator_cast(a), agent_id);

    if (ag)
        alloc_hold_used(a, ag, framework_id, res);
}

static void replace(struct resources *in, const struct resources *from, const struct resources *to)
{
    resources_subtract(in, from);
    resources_add(in, to);
}

static int update_held(struct allocator *a, struct alloc_agent *ag, const char *framework_id,
                       const struct resources *from, const struct resources *to, struct fl_err *err)
{
    const char *role = resources_allocation_role(from);
    struct alloc_framework *f = alloc_framework_find(a, framework_id);
    struct alloc_client *c = f && role ? alloc_client_find(f, role) : NULL;
    struct alloc_holding *h = c ? alloc_holding_find(ag, c) : NULL;
    _cleanup_resources_ struct resources now = RESOURCES_INIT;

    if (!h || !resources_contains(&h->res, from))
        return fl_err_set(err, FL_CONFLICT,
                          "framework '%s' does not hold what the operation needs on agent '%s'",
                          framework_id, ag->id);
    /* Books the new before the old goes, so that an emptied holding does not take the client with it. */
    resources_copy(&now, &h->res);
    replace(&now, from, to);
    c->n_holdings++;
    alloc_unhold_all(a, ag, h);
    if (!resources_empty(&now))
        alloc_hold(a, ag, c, &now);
    c->n_holdings--;
    alloc_client_release(a, c);
    return 0;
}

int alloc_update_allocation(struct allocator *a, const char *framework_id, const char *agent_id,
                            const struct resources *from, const struct resources *to,
                            struct fl_err *err)
{
    struct alloc_agent *ag = alloc_find_agent(allocator_cast(a), agent_id);
    _cleanup_resources_ struct resources old = RESOURCES_INIT, new = RESOURCES_INIT;
    _cleanup_resources_ struct resources own = RESOURCES_INIT, total = RESOURCES_INIT;
    int r;

    if (!ag)
        return fl_err_set(err, FL_NOT_FOUND, "no agent '%s'", agent_id);
    resources_copy(&old, from);
    resources_unallocate(&old);
    resources_copy(&new, to);
    resources_unallocate(&new);
    resources_shared(&old, false, &own);
    if (!resources_contains(&ag->total, &old) ||
        (!framework_id && !resources_contains(&ag->free, &own)))
        return fl_err_set(err, FL_CONFLICT,
                          "agent '%s' does not have free what the operation needs", agent_id);
    if (framework_id) {
        r = update_held(a, ag, framework_id, from, to, err);
        if (r < 0)
            return r;
    }
    resources_copy(&total, &ag->total);
    replace(&total, &old, &new);
    alloc_set_total(a, ag, &total);
    alloc_touch(a, ag);
    return 0;
}
