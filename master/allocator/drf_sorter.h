/* The order of Dominant Resource Fairness over a set of clients. Pure; nothing here knows of agents, offers or frameworks.
 *
 * Clients live inside their owners' structs. A change of an allocation only notes the client; its place in the order is put right
 * when the order is next asked for. So the order does not move under a walk: what is allocated during a walk counts from the next.
 *
 * Shares are compared as doubles that one division each gives from exact integers: equal fractions give
 * equal shares, and nothing drifts however often resources come and go.
 */
#ifndef MASTER_ALLOCATOR_DRF_SORTER_H
#define MASTER_ALLOCATOR_DRF_SORTER_H

#include "common/model/resources.h"
#include "master/allocator/idx_heap.h"

/* Amounts by scalar id; ids beyond n are zero. */
struct drf_vec {
    milli_t *v; /* owned */
    size_t n, cap;
};
#define DRF_VEC_INIT                                                                               \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
void drf_vec_done(struct drf_vec *a);
#define _cleanup_vec_ _cleanup_(drf_vec_done)
void drf_vec_clear(struct drf_vec *a);
void drf_vec_copy(struct drf_vec *dst, const struct drf_vec *src);
void drf_vec_add(struct drf_vec *a, const struct drf_vec *b);
void drf_vec_sub(struct drf_vec *a, const struct drf_vec *b);
void drf_vec_add_at(struct drf_vec *a, size_t id, milli_t amount);
static inline milli_t drf_vec_at(const struct drf_vec *a, size_t id)
{
    return id < a->n ? a->v[id] : 0;
}
/* At least as much of everything. */
bool drf_vec_covers(const struct drf_vec *have, const struct drf_vec *want);
bool drf_vec_is_zero(const struct drf_vec *a);

/* What there is to share, and the ids of the scalar names. One for all sorters of an allocator. */
struct drf_totals {
    struct drf_scalar {
        const char *name; /* interned */
        bool excluded;    /* does not count for shares */
    } * scalars;          /* owned */
    size_t n, cap;
    struct drf_vec total;
    uint64_t generation; /* changes with the totals: shares of older ones are stale */
};
void drf_totals_init(struct drf_totals *t);
void drf_totals_done(struct drf_totals *t);
size_t drf_scalar_id(struct drf_totals *t,
                     const char *interned_name); /* makes a new one when needed */
void drf_totals_exclude(struct drf_totals *t, const char *interned_name);
void drf_totals_add(struct drf_totals *t, const struct drf_vec *v);
void drf_totals_sub(struct drf_totals *t, const struct drf_vec *v);
/* Adds the scalar sums of the resources to the vector. */
void drf_vec_add_resources(struct drf_vec *a, struct drf_totals *t, const struct resources *r);

struct drf_client {
    struct idx_node node;
    const char *name;         /* borrowed from the owner; the last tie-breaker */
    double weight;            /* > 0 */
    struct drf_vec allocated; /* owned */
    uint64_t allocations;     /* how often something was allocated to it; never goes down */
    double share_key;         /* the key it stands in the order with */
    uint64_t count_key;
    struct drf_client *as; /* NULL: itself; the one by whose allocation, count and weight it goes */
    bool drawn;            /* of a random order: false when its key is due to be drawn anew */
    size_t stale_at;       /* index in the sorter's list of noted clients, or IDX_HEAP_OUT */
};
void drf_client_init(struct drf_client *c, const char *name, double weight);
void drf_client_done(struct drf_client *c); /* must be out of its sorter */

struct drf_sorter {
    const struct drf_totals *totals; /* borrowed */
    struct idx_heap order;           /* active clients only */
    struct drf_client **stale;       /* noted: their key is old */
    size_t n_stale, stale_cap;
    uint64_t generation;
    uint64_t *random; /* not NULL: the order is a random one, drawn from this state (borrowed) */
    double clock;     /* of a random order */
    size_t *frontier; /* of the walk under way: indices into the order, a heap itself */
    size_t n_frontier, frontier_cap;
    size_t walked; /* clients that the walk gave out */
    struct drf_client *
        *sorted; /* the whole order, while is_sorted: for walks that go far, see there */
    size_t sorted_cap;
    bool is_sorted;
    unsigned short_walks; /* in a row since it was sorted */
    bool walking;
};
void drf_sorter_init(struct drf_sorter *s, const struct drf_totals *totals);
/* Before anything is in it: a weighted random order in place of DRF's. NULL: DRF. */
void drf_sorter_set_random(struct drf_sorter *s, uint64_t *state);
void drf_sorter_done(struct drf_sorter *s);

/* In or out of the order; allocations are counted either way. Not during a walk. O(log n). */
void drf_sorter_activate(struct drf_sorter *s, struct drf_client *c);
void drf_sorter_deactivate(struct drf_sorter *s, struct drf_client *c);
static inline bool drf_client_is_active(const struct drf_client *c)
{
    return c->node.pos != IDX_HEAP_OUT;
}
static inline size_t drf_sorter_active(const struct drf_sorter *s)
{
    return s->order.n;
}
/* O(1) now, O(log n) when the order is next asked for. */
void drf_sorter_allocated(struct drf_sorter *s, struct drf_client *c, const struct drf_vec *v);
void drf_sorter_unallocated(struct drf_sorter *s, struct drf_client *c, const struct drf_vec *v);
void drf_sorter_set_weight(struct drf_sorter *s, struct drf_client *c, double weight);

/* What a client goes by (`as`) changed: something was `given`, or not. O(1) now. */
void drf_sorter_changed(struct drf_sorter *s, struct drf_client *c, bool given);

/* Puts right the places of all that changed; then two active clients of it can be compared. */
void drf_sorter_settle(struct drf_sorter *s);
bool drf_client_before(const struct drf_client *a, const struct drf_client *b);
/* The client next in turn, or NULL. */
struct drf_client *drf_sorter_first(struct drf_sorter *s);
/* The active clients in order, the first k of n in O(k log k). One walk at a time. */
void drf_sorter_walk_begin(struct drf_sorter *s);
struct drf_client *drf_sorter_walk_next(struct drf_sorter *s); /* NULL at the end */
void drf_sorter_walk_end(struct drf_sorter *s);

/* The next number of a seeded sequence (splitmix64). */
uint64_t drf_random_next(uint64_t *state);
/* Steps 1 and 2 of drf_sorter.c for any vector. */
double drf_share(const struct drf_totals *t, const struct drf_vec *allocated, double weight);

#endif
