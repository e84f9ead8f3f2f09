/* Decline filters of the built-in allocator.
 *
 * The published rule (features.md 4.1): a framework that declines may say for how long it does not want the like again.
 *   1. refuse_seconds is 5 when not given, negative or not a number; 365 days at most; 0 makes no filter.
 *   2. A filter belongs to a framework, a role and an agent, and hides what is a subset of what was refused.
 *   3. It lives one allocation interval at least (the caller sees to that), and ends by time,
 *   4. when the framework revives that role or disconnects, when the agent's attributes change, or either goes. (The
 *      reference's documents say its total as well; its code does not.)
 *   5. An end by time is an event: the client is asked again on that agent.
 */
#include <math.h>

#include "master/allocator/allocator_priv.h"

#define DEFAULT_REFUSE_S 5.0
#define MAX_REFUSE_S     (365.0 * 24 * 3600)
/* Of one client on one agent; a framework that declines in ever new shapes loses the filter that ends first. */
#define MAX_FILTERS 16

/* Step 1. */
uint64_t alloc_refuse_us(const V1__Filters *f)
{
    double s = f->has_refuse_seconds ? f->refuse_seconds : DEFAULT_REFUSE_S;

    if (isnan(s) || s < 0)
        s = DEFAULT_REFUSE_S;
    return (uint64_t)(FL_MIN(s, MAX_REFUSE_S) * 1e6);
}

static bool sooner(const struct idx_node *na, const struct idx_node *nb)
{
    return container_of(na, struct alloc_filter, node)->expires_us <
           container_of(nb, struct alloc_filter, node)->expires_us;
}

struct alloc_filter_set *alloc_filter_set_find(const struct alloc_agent *ag,
                                               const struct alloc_client *c)
{
    struct alloc_filter_set *set;

    HASH_FIND_PTR(ag->filter_sets, &c, set);
    return set;
}

static struct alloc_filter_set *get_set(struct alloc_agent *ag, struct alloc_client *c)
{
    struct alloc_filter_set *set = alloc_filter_set_find(ag, c);

    if (set)
        return set;
    set = xnew0(struct alloc_filter_set);
    set->client = c;
    set->agent = ag;
    HASH_ADD_PTR(ag->filter_sets, client, set);
    DL_APPEND2(c->filters, set, of_client_prev, of_client_next);
    return set;
}

/* Frees the set as well when it was the last of it. */
static void drop(struct allocator *a, struct alloc_filter *f)
{
    struct alloc_filter_set *set = f->set;

    idx_remove(&a->expiries, &f->node, sooner);
    DL_DELETE(set->filters, f);
    resources_done(&f->refused);
    free(f);
    set->client->role->n_filters--;
    if (--set->n)
        return;
    HASH_DEL(set->agent->filter_sets, set);
    DL_DELETE2(set->client->filters, set, of_client_prev, of_client_next);
    free(set);
}

static void drop_set(struct allocator *a, struct alloc_filter_set *set)
{
    struct alloc_filter *f, *next;

    DL_FOREACH_SAFE (set->filters, f, next)
        drop(a, f);
}

void alloc_filter_add(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                      const struct resources *refused, uint64_t expires_us)
{
    struct alloc_filter_set *set = get_set(ag, c);
    struct alloc_filter *f = xnew0(struct alloc_filter), *old, *next, *first = NULL;

    f->set = set;
    f->expires_us = expires_us;
    resources_copy(&f->refused, refused);
    resources_unallocate(&f->refused);
    DL_APPEND(set->filters, f);
    set->n++;
    c->role->n_filters++;
    idx_insert(&a->expiries, &f->node, sooner);
    DL_FOREACH_SAFE (set->filters, old, next) {
        if (old == f)
            continue;
        if (old->expires_us <= f->expires_us && resources_contains(&f->refused, &old->refused))
            drop(a, old); /* it hides nothing that the new one does not */
        else if (!first || old->expires_us < first->expires_us)
            first = old;
    }
    if (set->n > MAX_FILTERS) {
        alloc_ask(a, ag, c);
        drop(a, first);
    }
}

/* Step 2. */
bool alloc_filtered(const struct alloc_agent *ag, const struct alloc_client *c,
                    const struct resources *offered)
{
    const struct alloc_filter_set *set;
    const struct alloc_filter *f;

    if (!ag->filter_sets || !c->filters || !(set = alloc_filter_set_find(ag, c)))
        return false;
    DL_FOREACH (set->filters, f)
        if (resources_contains(&f->refused, offered))
            return true;
    return false;
}

/* Step 4. */
void alloc_filters_drop_client(struct allocator *a, struct alloc_client *c)
{
    while (c->filters)
        drop_set(a, c->filters);
}

void alloc_filters_drop_agent(struct allocator *a, struct alloc_agent *ag)
{
    while (ag->filter_sets)
        drop_set(a, ag->filter_sets);
}

/* Step 5. */
void alloc_filters_expire(struct allocator *a, uint64_t now_us)
{
    while (a->expiries.n) {
        struct alloc_filter *f = container_of(idx_first(&a->expiries), struct alloc_filter, node);

        if (f->expires_us > now_us)
            return;
        alloc_ask(a, f->set->agent, f->set->client);
        drop(a, f);
    }
}

uint64_t alloc_filters_next(const struct allocator *a)
{
    if (!a->expiries.n)
        return UINT64_MAX;
    return container_of(idx_first(&a->expiries), struct alloc_filter, node)->expires_us;
}
