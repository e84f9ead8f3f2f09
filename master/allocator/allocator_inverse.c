/* Inverse offers of the built-in allocator: who is asked to leave an agent that will be unavailable.
 *
 * The published rules (features.md 4.1 and M23):
 *   1. A framework that was offered or uses anything on the agent is asked, while it is connected; one inverse offer is outstanding
 *      for a framework and agent at a time.
 *   2. An answer, or its end without one, lets the next one go out: after refuse_seconds when it came with filters, read as those of
 *      a decline; in the next periodic pass at the latest.
 *   3. The last answer of each framework is kept, to be shown.
 *   4. Another unavailability of the agent starts anew: no answers, no filters; what is outstanding stays so until it is said to have ended.
 *      REVIVE and a disconnection end the framework's filters.
 *   5. What is offered of the agent otherwise does not change.
 */
#include "master/allocator/allocator_priv.h"

static struct alloc_inverse *find(const struct alloc_agent *ag, const char *framework_id)
{
    struct alloc_inverse *x;

    DL_FOREACH (ag->inverses, x)
        if (streq(x->framework_id, framework_id))
            return x;
    return NULL;
}

static struct alloc_inverse *get(struct alloc_agent *ag, const char *framework_id)
{
    struct alloc_inverse *x = find(ag, framework_id);

    if (x)
        return x;
    x = xnew0(struct alloc_inverse);
    x->framework_id = xstrdup(framework_id);
    DL_APPEND(ag->inverses, x);
    return x;
}

static void drop(struct alloc_agent *ag, struct alloc_inverse *x)
{
    DL_DELETE(ag->inverses, x);
    fl_pb_free(x->status);
    free(x->framework_id);
    free(x);
}

/* ---- agents in maintenance ---- */

/* In the list of the maintained while there is anything to say of it. */
static void list(struct allocator *a, struct alloc_agent *ag)
{
    bool wanted = ag->unavailability || ag->inverses;

    if (wanted && !ag->is_maintained)
        DL_APPEND2(a->maintained, ag, maintained_prev, maintained_next);
    else if (!wanted && ag->is_maintained)
        DL_DELETE2(a->maintained, ag, maintained_prev, maintained_next);
    ag->is_maintained = wanted;
}

void alloc_inverse_clear(struct allocator *a, struct alloc_agent *ag)
{
    while (ag->inverses)
        drop(ag, ag->inverses);
    fl_pb_free(ag->unavailability);
    ag->unavailability = NULL;
    list(a, ag);
}

/* Step 4. */
void alloc_inverse_set(struct allocator *a, struct alloc_agent *ag,
                       const V1__Unavailability *u_or_null)
{
    struct alloc_inverse *x, *next;

    DL_FOREACH_SAFE (ag->inverses, x, next) {
        fl_pb_free(x->status);
        x->status = NULL;
        x->filtered_until = 0;
        if (!x->outstanding)
            drop(ag, x);
    }
    fl_pb_free(ag->unavailability);
    ag->unavailability = u_or_null ? FL_PB_DUP(u_or_null) : NULL;
    ag->inverse_due = a->inverse_due = true;
    list(a, ag);
}

void alloc_set_unavailability(struct allocator *a, const char *agent_id,
                              const V1__Unavailability *u_or_null, uint64_t now_us)
{
    struct alloc_agent *ag = alloc_find_agent(allocator_cast(a), agent_id);

    if (ag)
        alloc_inverse_set(a, ag, u_or_null);
}

/* ---- offering ---- */

/* Step 1. */
static void ask_all_on(struct allocator *a, struct alloc_agent *ag, uint64_t now_us)
{
    struct alloc_holding *h;

    LL_FOREACH (ag->holdings, h) {
        const struct alloc_framework *f = h->client->framework;
        struct alloc_inverse *x;

        if (!f->known || !f->active)
            continue;
        x = get(ag, f->id);
        if (x->outstanding || now_us < x->filtered_until)
            continue;
        x->outstanding = true;
        a->counts.inverse_offers++;
        a->cb.inverse_offer(a->cb.arg, f->id, ag->id, ag->unavailability);
    }
}

void alloc_inverse_run(struct allocator *a, uint64_t now_us, bool all)
{
    struct alloc_agent *ag;

    if (!a->cb.inverse_offer || (!all && !a->inverse_due))
        return;
    a->inverse_due = false;
    DL_FOREACH2(a->maintained, ag, maintained_next)
    {
        if (ag->unavailability && (all || ag->inverse_due))
            ask_all_on(a, ag, now_us);
        ag->inverse_due = false;
    }
}

/* ---- answers ---- */

/* Steps 2 and 3. */
void alloc_update_inverse_offer(struct allocator *a, const char *framework_id, const char *agent_id,
                                const Alloc__InverseOfferStatus *status_or_null,
                                const V1__Filters *filters_or_null, uint64_t now_us)
{
    struct alloc_agent *ag = alloc_find_agent(allocator_cast(a), agent_id);
    struct alloc_inverse *x = ag ? find(ag, framework_id) : NULL;

    if (!x)
        return;
    if (x->outstanding && status_or_null) {
        fl_pb_free(x->status);
        x->status = FL_PB_DUP(status_or_null);
    }
    x->outstanding = false;
    if (filters_or_null)
        x->filtered_until = FL_MAX(x->filtered_until, now_us + alloc_refuse_us(filters_or_null));
}

void alloc_inverse_drop_filters(struct allocator *a, const struct alloc_framework *f)
{
    struct alloc_agent *ag;

    DL_FOREACH2(a->maintained, ag, maintained_next)
    {
        struct alloc_inverse *x = find(ag, f->id);

        if (x)
            x->filtered_until = 0;
        ag->inverse_due = a->inverse_due = true;
    }
}

void alloc_inverse_forget_framework(struct allocator *a, const struct alloc_framework *f)
{
    struct alloc_agent *ag, *next;

    DL_FOREACH_SAFE2(a->maintained, ag, next, maintained_next)
    {
        struct alloc_inverse *x = find(ag, f->id);

        if (x)
            drop(ag, x);
        list(a, ag);
    }
}

void alloc_each_inverse_status(const struct allocator *ca, const char *agent_id,
                               void (*fn)(const Alloc__InverseOfferStatus *status, void *arg),
                               void *arg)
{
    struct allocator *a = allocator_cast((struct allocator *)ca);
    const struct alloc_agent *ag = alloc_find_agent(a, agent_id);
    const struct alloc_inverse *x;

    if (!ag)
        return;
    DL_FOREACH (ag->inverses, x)
        if (x->status)
            fn(x->status, arg);
}
