/* The allocation itself of the built-in allocator "HierarchicalDRF": which agents are looked at, and who gets what of each.
 *
 * The published rule: whenever resources are free, they go to the client with the lowest dominant share (drf_sorter.c). Mesos
 * applies it to whole agents: in each cycle, for each agent, roles in the order of their shares, in each role its frameworks in the
 * order of theirs; the first that may have and wants any of the agent gets all it may have.
 *
 * Ours gives the same decisions without a cycle:
 *   1. an agent is looked at only when an event touched it: it joined, changed, something on it came back, a filter on it ended.
 *      An event of a framework (it subscribed, revived, changed) touches all agents. So does the periodic pass (`all`).
 *   2. An agent that is not touched has nothing to give: every client that could want it was asked since it changed.
 *   3. Touched agents are taken in the order of the events; when all are touched, in a seeded random order, so that no
 *      framework always gets the same machines.
 *   4. For each agent: roles by share; in a role, frameworks by share; each that passes the gates (allocator_eligible.c) and has no
 *      filter (allocator_filters.c) is offered all it may have; then the next, until nothing is free. The order is the one at
 *      the start of the agent; what was given moves the clients before the next agent.
 *   5. Work is done in slices. The module has no clock: a slice ends when its work, at a fixed price a step, reaches the
 *      budget. The rest waits in the queue for the next call, which is asked for at once.
 *
 */
#include "master/allocator/allocator_priv.h"

/* Prices of step 5, nanoseconds; measured with bench_allocator on a slow machine and rounded up. */
#define PRICE_AGENT  100
#define PRICE_CLIENT 60
#define PRICE_OFFER  1200

/* ---- steps 1 and 3: what is to be looked at ---- */

void alloc_touch(struct allocator *a, struct alloc_agent *ag)
{
    if (ag->queued_at != IDX_HEAP_OUT || a->all_touched)
        return;
    if (a->queue_head == a->queue_tail)
        a->queue_head = a->queue_tail = 0;
    a->queue = xgrow(a->queue, &a->queue_cap, a->queue_tail + 1, sizeof(struct alloc_agent *));
    ag->queued_at = a->queue_tail;
    a->queue[a->queue_tail++] = ag;
}

void alloc_untouch(struct allocator *a, struct alloc_agent *ag)
{
    if (ag->queued_at == IDX_HEAP_OUT)
        return;
    a->queue[ag->queued_at] = NULL;
    ag->queued_at = IDX_HEAP_OUT;
}

static struct alloc_agent *next_touched(struct allocator *a)
{
    while (a->queue_head < a->queue_tail) {
        struct alloc_agent *ag = a->queue[a->queue_head++];

        if (!ag)
            continue;
        ag->queued_at = IDX_HEAP_OUT;
        return ag;
    }
    return NULL;
}

static void queue_all(struct allocator *a)
{
    struct alloc_agent *ag;

    while (next_touched(a))
        ;
    a->queue_head = a->queue_tail = 0;
    a->queue = xgrow(a->queue, &a->queue_cap, a->n_agents + 1, sizeof(struct alloc_agent *));
    for (size_t i = 0; i < a->n_agents; i++)
        if (!resources_empty(&a->agent_list[i]->free))
            a->queue[a->queue_tail++] = a->agent_list[i];
    for (size_t i = a->queue_tail; i > 1; i--) {
        size_t k = drf_random_next(&a->random) % i;

        ag = a->queue[i - 1];
        a->queue[i - 1] = a->queue[k];
        a->queue[k] = ag;
    }
    for (size_t i = 0; i < a->queue_tail; i++)
        a->queue[i]->queued_at = i;
    a->all_touched = false;
}

/* ---- step 4: one agent ---- */

struct look {
    struct allocator *a;
    struct alloc_agent *ag;
    struct resources shared; /* not yet offered in this look */
    uint64_t spent_ns;
};

static void give(struct look *l, struct alloc_client *c, const struct resources *res)
{
    l->spent_ns += PRICE_OFFER;
    l->a->cb.offer(l->a->cb.arg, c->framework->id, c->role->name, l->ag->id, res);
}

/* Nothing special on the agent: whoever may have any of it may have all. No copies. */
static void offer_plain(struct look *l, struct alloc_client *c)
{
    struct alloc_agent *ag = l->ag;
    struct resources take = RESOURCES_INIT;

    if (!alloc_min_fits(alloc_client_min(l->a, c), &ag->free_vec) ||
        alloc_filtered(ag, c, &ag->free))
        return;
    alloc_take_all_free(l->a, ag, c, &take);
    resources_allocate(&take, c->role->name);
    give(l, c, &take);
    alloc_hold_taken(ag, c, &take)->used_of_last_offer = false;
    resources_done(&take);
}

static void offer_part(struct look *l, struct alloc_client *c)
{
    struct alloc_agent *ag = l->ag;
    _cleanup_resources_ struct resources take = RESOURCES_INIT;
    _cleanup_resources_ struct resources shared = RESOURCES_INIT;
    _cleanup_vec_ struct drf_vec amounts = DRF_VEC_INIT;

    alloc_offerable(ag, c, &l->shared, &take);
    if (resources_empty(&take))
        return;
    drf_vec_add_resources(&amounts, &l->a->totals, &take);
    if (!alloc_min_fits(alloc_client_min(l->a, c), &amounts) || alloc_filtered(ag, c, &take))
        return;
    if (ag->has_shared) {
        resources_shared(&take, true, &shared);
        resources_subtract(&l->shared, &shared);
    }
    resources_allocate(&take, c->role->name);
    alloc_hold(l->a, ag, c, &take);
    alloc_holding_find(ag, c)->used_of_last_offer = false;
    give(l, c, &take);
}

static void look_at_role(struct look *l, struct alloc_role *r)
{
    struct alloc_agent *ag = l->ag;
    struct drf_client *d;

    drf_sorter_walk_begin(&r->frameworks);
    while (!resources_empty(&ag->free) && (d = drf_sorter_walk_next(&r->frameworks))) {
        struct alloc_client *c = container_of(d, struct alloc_client, drf);

        l->spent_ns += PRICE_CLIENT;
        if (alloc_gate(l->a, ag, c) != GATE_OPEN)
            continue;
        if (ag->is_plain)
            offer_plain(l, c);
        else
            offer_part(l, c);
    }
    drf_sorter_walk_end(&r->frameworks);
}

static uint64_t look_at(struct allocator *a, struct alloc_agent *ag)
{
    struct look l = {.a = a, .ag = ag, .spent_ns = PRICE_AGENT};
    struct role_walk walk;
    struct alloc_role *r;

    if (!ag->active || !ag->whitelisted || resources_empty(&ag->free))
        return l.spent_ns;
    if (ag->has_shared)
        resources_shared(&ag->total, true, &l.shared);
    role_walk_begin(&walk, &a->tree);
    while (!resources_empty(&ag->free) && (r = role_walk_next(&walk)))
        look_at_role(&l, r);
    role_walk_end(&walk);
    resources_done(&l.shared);
    return l.spent_ns;
}

/* ---- step 5 ---- */

uint64_t alloc_run(struct allocator *a, uint64_t now_us, uint64_t budget_us, bool all)
{
    uint64_t budget_ns = budget_us > UINT64_MAX / 1000 ? UINT64_MAX : budget_us * 1000;
    uint64_t spent_ns = 0;
    struct alloc_agent *ag;

    a = allocator_cast(a);
    alloc_filters_expire(a, now_us);
    if (all)
        a->all_touched = true;
    if (a->paused)
        return UINT64_MAX;
    if (!role_tree_active(&a->tree)) {
        /* Nobody wants anything; whoever comes to want touches all. */
        while (next_touched(a))
            ;
        a->all_touched = false;
        return alloc_filters_next(a);
    }
    if (a->all_touched)
        queue_all(a);
    while ((ag = next_touched(a))) {
        spent_ns += look_at(a, ag);
        if (spent_ns >= budget_ns && a->queue_head < a->queue_tail)
            return now_us;
    }
    return alloc_filters_next(a);
}
