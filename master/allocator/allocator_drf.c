/* The allocation itself of the built-in allocator "HierarchicalDRF": which agents are looked at, and who gets what of each.
 *
 * The published rule: whenever resources are free, they go to the client with the lowest dominant share (drf_sorter.c). Mesos
 * applies it to whole agents: in each cycle, for each agent, roles in the order of their shares, in each role its frameworks in the
 * order of theirs; the first that may have and wants any of the agent gets all it may have.
 *
 * Ours gives the same decisions without a cycle:
 *   1. an agent is looked at only when an event touched it: it joined, changed, or something on it came back. Everyone is asked then.
 *   2. An agent that is not touched has nothing to give, but to those who could not take it when it was looked at. So an event of a
 *      framework (it subscribed, revived, changed, a filter ended) or of quota (there is more room) has only those asked whom
 *      it concerns: allocator_queue.c.
 *   3. Touched agents are taken in the order of the events; when all are queued, and in the periodic pass (`all`), in a seeded random
 *      order, so that no framework always gets the same machines.
 *   4. For each agent: roles in the order of the tree (role_tree.c); in a role, frameworks by share; each that passes the gates
 *      (allocator_eligible.c), has something left by quota (allocator_quota.c) and has no filter (allocator_filters.c) is offered
 *      all it may have; then the next, until nothing is free. The order is the one at the start of the agent; what was given
 *      moves the clients before the next agent.
 *   5. Roles whose guarantee is unmet have a first stage for themselves: all queued agents are looked at for them alone, then again
 *      for everyone.
 *      A client that wants gang offers is not offered agents one by one: allocator_gang.c decides for it when the queue is empty.
 *   6. Work is done in slices. The module has no clock: a slice ends when its work, at a fixed price a step, reaches the
 *      budget. The rest waits in the queue for the next call, which is asked for at once.
 */
#include "master/allocator/allocator_priv.h"

/* Prices of step 6, nanoseconds; measured with bench_allocator on a slow machine and rounded up. */
#define PRICE_AGENT  100
#define PRICE_CLIENT 60
#define PRICE_OFFER  1200

/* ---- step 4: one agent ---- */

struct look {
    struct allocator *a;
    struct alloc_agent *ag;
    enum alloc_stage stage;
    uint64_t now_us;
    struct resources shared; /* not yet offered in this look */
    uint64_t spent_ns;
};

enum alloc_gate alloc_portion(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                              enum alloc_stage stage, const struct resources *shared,
                              struct resources *ret_portion, unsigned *ret_held)
{
    _cleanup_vec_ struct drf_vec amounts = DRF_VEC_INIT;

    *ret_held = 0;
    alloc_offerable(ag, c, shared, ret_portion);
    if (resources_empty(ret_portion))
        return GATE_NOTHING_FREE;
    if (a->quotas)
        alloc_chop(a, c->role, stage, ret_portion, ret_portion, ret_held);
    drf_vec_add_resources(&amounts, &a->totals, ret_portion);
    if (resources_empty(ret_portion) || !alloc_min_fits(alloc_client_min(a, c), &amounts)) {
        if (*ret_held & ALLOC_HELD_BY_LIMIT)
            return GATE_QUOTA_LIMIT;
        return *ret_held ? GATE_QUOTA_HEADROOM : GATE_TOO_SMALL;
    }
    return alloc_filtered(ag, c, ret_portion) ? GATE_FILTERED : GATE_OPEN;
}

void alloc_give(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                const struct resources *portion)
{
    a->counts.offers++;
    a->cb.offer(a->cb.arg, c->framework->id, c->role->name, ag->id, portion);
}

void alloc_offer(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                 struct resources *portion)
{
    resources_allocate(portion, c->role->name);
    alloc_hold(a, ag, c, portion);
    alloc_holding_find(ag, c)->used_of_last_offer = false;
    alloc_give(a, ag, c, portion);
}

/* Nothing special on the agent, and quota takes nothing off: all of it, without copies. */
static void ask_plain(struct look *l, struct alloc_client *c)
{
    struct alloc_agent *ag = l->ag;
    struct resources take = RESOURCES_INIT;

    if (!alloc_min_fits(alloc_client_min(l->a, c), &ag->free_vec) ||
        alloc_filtered(ag, c, &ag->free))
        return;
    alloc_take_all_free(l->a, ag, c, &take);
    resources_allocate(&take, c->role->name);
    alloc_give(l->a, ag, c, &take);
    alloc_hold_taken(ag, c, &take)->used_of_last_offer = false;
    resources_done(&take);
    l->spent_ns += PRICE_OFFER;
}

static void ask_part(struct look *l, struct alloc_client *c)
{
    struct alloc_agent *ag = l->ag;
    _cleanup_resources_ struct resources take = RESOURCES_INIT;
    _cleanup_resources_ struct resources shared = RESOURCES_INIT;
    unsigned held;
    enum alloc_gate g = alloc_portion(l->a, ag, c, l->stage, &l->shared, &take, &held);

    l->spent_ns += PRICE_CLIENT * 4;
    if (g == GATE_OPEN) {
        if (ag->has_shared) {
            resources_shared(&take, true, &shared);
            resources_subtract(&l->shared, &shared);
        }
        alloc_offer(l->a, ag, c, &take);
        l->spent_ns += PRICE_OFFER;
    }
    /* With the room that this offer left. */
    if (held && l->stage == STAGE_SHARES)
        alloc_note_held(l->a, ag, c, held);
}

/* Without copying resources, which thousands of roles at their limits are worth. False: that cannot tell. */
static bool ask_quickly(struct look *l, struct alloc_client *c)
{
    struct allocator *a = l->a;
    unsigned held;

    if (!l->ag->is_plain)
        return false;
    if (!a->quotas) {
        ask_plain(l, c);
        return true;
    }
    switch (alloc_left(a, c->role, l->stage, &l->ag->free_vec, &a->left, &held)) {
    case LEFT_WHOLE:
        ask_plain(l, c);
        return true;
    case LEFT_NOTHING:
        return true;
    case LEFT_PART:
        if (alloc_min_fits(alloc_client_min(a, c), &a->left))
            return false;
        if (l->stage == STAGE_SHARES)
            alloc_note_held(a, l->ag, c, held);
        return true;
    }
    return false;
}

static void ask(struct look *l, struct alloc_client *c)
{
    l->spent_ns += PRICE_CLIENT;
    l->a->counts.asked++;
    if (c->gang) {
        if (l->stage == STAGE_SHARES)
            alloc_gang_ask(l->a, l->ag, c, l->now_us);
        return;
    }
    if (alloc_gate(l->a, l->ag, c) == GATE_OPEN && !ask_quickly(l, c))
        ask_part(l, c);
}

static bool anything_left(const struct look *l)
{
    return !resources_empty(&l->ag->free) || !resources_empty(&l->shared);
}

/* What tasks left over, such as disk alone: without quota, gangs and minima of their own nobody has to be asked. */
static bool too_little_for_anyone(const struct allocator *a, const struct alloc_agent *ag)
{
    return ag->is_plain && !a->quotas && !a->gangs && a->n_own_min == 0 &&
           !alloc_min_fits(&a->min, &ag->free_vec);
}

static uint64_t look_at(struct allocator *a, struct alloc_agent *ag, enum alloc_stage stage,
                        uint64_t now_us)
{
    struct look l = {.a = a, .ag = ag, .stage = stage, .now_us = now_us, .spent_ns = PRICE_AGENT};
    struct alloc_turns turns;
    struct alloc_client *c;

    if (!ag->active || !ag->whitelisted)
        return l.spent_ns;
    if (ag->has_shared)
        resources_shared(&ag->total, true, &l.shared);
    if (!anything_left(&l))
        return l.spent_ns;
    if (too_little_for_anyone(a, ag))
        return l.spent_ns;
    if (stage == STAGE_SHARES && alloc_nothing_for_anyone(a, ag)) {
        alloc_note_held_from_all(a, ag);
    } else {
        a->counts.looks++;
        alloc_turns_begin(&turns, a, ag, stage);
        while (anything_left(&l) && (c = alloc_turns_next(&turns)))
            ask(&l, c);
        alloc_turns_end(&turns);
    }
    resources_done(&l.shared);
    return l.spent_ns;
}

/* ---- steps 5 and 6 ---- */

/* Until the queue is empty (true) or the budget is spent. */
static bool work(struct allocator *a, uint64_t budget_ns, uint64_t now_us)
{
    uint64_t spent_ns = 0;
    struct alloc_agent *ag;

    for (;;) {
        alloc_quota_settle(a);
        if (!drf_sorter_active(&a->guaranteed) || !(ag = alloc_queue_next(a, STAGE_GUARANTEES)))
            break;
        spent_ns += look_at(a, ag, STAGE_GUARANTEES, now_us);
        if (spent_ns >= budget_ns)
            return false;
    }
    while ((ag = alloc_queue_next(a, STAGE_SHARES))) {
        alloc_quota_settle(a);
        spent_ns += look_at(a, ag, STAGE_SHARES, now_us);
        alloc_looked(a, ag);
        if (spent_ns >= budget_ns && a->queue_head < a->queue_tail)
            return false;
    }
    return true;
}

uint64_t alloc_run(struct allocator *a, uint64_t now_us, uint64_t budget_us, bool all)
{
    uint64_t budget_ns = budget_us > UINT64_MAX / 1000 ? UINT64_MAX : budget_us * 1000;

    a = allocator_cast(a);
    alloc_filters_expire(a, now_us);
    if (a->paused)
        return UINT64_MAX;
    a->counts.runs++;
    alloc_inverse_run(a, now_us, all);
    alloc_quota_settle(a);
    alloc_queue_fill(a, all);
    do {
        if (!work(a, budget_ns, now_us))
            return now_us;
        alloc_queue_drained(a);
    } while (alloc_queue_eased(a) || alloc_gangs_run(a, now_us));
    return FL_MIN(alloc_filters_next(a), alloc_gangs_next(a));
}
