/* A binary min-heap of intrusive nodes that know their position, so any member is moved or removed in O(log n). Static inline
 * with the comparison as a constant argument: the compiler folds it in. Not for sharing between threads.
 */
#ifndef MASTER_ALLOCATOR_IDX_HEAP_H
#define MASTER_ALLOCATOR_IDX_HEAP_H

#include "common/base/util.h"

#define IDX_HEAP_OUT SIZE_MAX

struct idx_node {
    size_t pos; /* IDX_HEAP_OUT when in no heap */
};
struct idx_heap {
    struct idx_node **at; /* the array is owned, the nodes are not */
    size_t n, cap;
};
typedef bool idx_less_f(const struct idx_node *a, const struct idx_node *b);

static inline void idx_put(struct idx_heap *h, size_t i, struct idx_node *x)
{
    h->at[i] = x;
    x->pos = i;
}

static inline void idx_up(struct idx_heap *h, size_t i, idx_less_f *less)
{
    struct idx_node *x = h->at[i];

    while (i > 0) {
        size_t up = (i - 1) / 2;

        if (!less(x, h->at[up]))
            break;
        idx_put(h, i, h->at[up]);
        i = up;
    }
    idx_put(h, i, x);
}

static inline void idx_down(struct idx_heap *h, size_t i, idx_less_f *less)
{
    struct idx_node *x = h->at[i];

    for (;;) {
        size_t c = 2 * i + 1;

        if (c >= h->n)
            break;
        if (c + 1 < h->n && less(h->at[c + 1], h->at[c]))
            c++;
        if (!less(h->at[c], x))
            break;
        idx_put(h, i, h->at[c]);
        i = c;
    }
    idx_put(h, i, x);
}

/* After the key of x changed. */
static inline void idx_fix(struct idx_heap *h, struct idx_node *x, idx_less_f *less)
{
    size_t i = x->pos;

    idx_up(h, i, less);
    if (x->pos == i)
        idx_down(h, i, less);
}

static inline void idx_insert(struct idx_heap *h, struct idx_node *x, idx_less_f *less)
{
    h->at = xgrow(h->at, &h->cap, h->n + 1, sizeof(*h->at));
    idx_put(h, h->n++, x);
    idx_up(h, h->n - 1, less);
}

static inline void idx_remove(struct idx_heap *h, struct idx_node *x, idx_less_f *less)
{
    size_t i = x->pos;
    struct idx_node *last = h->at[--h->n];

    x->pos = IDX_HEAP_OUT;
    if (last == x)
        return;
    idx_put(h, i, last);
    idx_fix(h, last, less);
}

/* After many keys changed: O(n). */
static inline void idx_rebuild(struct idx_heap *h, idx_less_f *less)
{
    for (size_t i = h->n / 2; i-- > 0;)
        idx_down(h, i, less);
}

static inline struct idx_node *idx_first(const struct idx_heap *h)
{
    return h->n ? h->at[0] : NULL;
}

#endif
