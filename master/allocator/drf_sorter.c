/* Dominant Resource Fairness.
 *
 * The published rule (Ghodsi et al., NSDI 2011): the share of user u of resource j is u's allocation of j over the
 * cluster's total of j. u's dominant share is the largest of them. Whenever resources are free, the next task goes to the user
 * with the lowest dominant share.  With weights, the dominant share is divided by the user's weight.
 *
 * Ours orders clients (roles, or the frameworks of one role) and leaves it to the allocator what is given:
 *   1. dominant share: the largest, over all scalar names that are not excluded and of which there is any, of allocated / total;
 *   2. divided by the client's weight;
 *   3. lower comes first; of equals the one to which less often something was allocated; of those the smaller name.
 *      So the same input always gives the same order, and clients that hold nothing take turns.
 *   4. Inactive (suppressed, disconnected) clients stand in no order, and what they hold still counts in theirs.
 *   5. A change of the totals changes all shares at once: the order is built again when it is next asked for.
 *
 * The random order, the second built in, asks of clients only their weights: each next turn is a client's with the chance
 * of its weight among all. Ours is a race, so that it costs O(log n) a turn as well:
 *   6. a client's key is the time of its next arrival, arrivals being exponential with its weight as the rate; the earliest is first.
 *   7. A client that is given something draws its next arrival from then on. As the waits have no memory, turns are independent of
 *      each other. One that comes (back) into the order draws from the latest arrival that was served, so it has no turns to make up for.
 *   8. All draws come from one seeded state: same seed and same events, same order.
 */
#include "master/allocator/drf_sorter.h"

#include <math.h>
#include <stdlib.h>

/* Of walks: how far is far; after how many short ones in a row, or with how many moved at once, a sorted order is given up. */
#define FAR        32
#define MANY_SHORT 8
#define MANY_STALE 4

/* ---- vectors ---- */

void drf_vec_done(struct drf_vec *a)
{
    free(a->v);
    *a = (struct drf_vec)DRF_VEC_INIT;
}

void drf_vec_clear(struct drf_vec *a)
{
    a->n = 0;
}

static void widen(struct drf_vec *a, size_t n)
{
    if (n <= a->n)
        return;
    a->v = xgrow(a->v, &a->cap, n, sizeof(*a->v));
    memset(a->v + a->n, 0, (n - a->n) * sizeof(*a->v));
    a->n = n;
}

void drf_vec_copy(struct drf_vec *dst, const struct drf_vec *src)
{
    dst->n = 0;
    drf_vec_add(dst, src);
}

void drf_vec_add(struct drf_vec *a, const struct drf_vec *b)
{
    widen(a, b->n);
    for (size_t i = 0; i < b->n; i++)
        a->v[i] += b->v[i];
}

void drf_vec_sub(struct drf_vec *a, const struct drf_vec *b)
{
    widen(a, b->n);
    for (size_t i = 0; i < b->n; i++)
        a->v[i] -= b->v[i];
}

void drf_vec_add_at(struct drf_vec *a, size_t id, milli_t amount)
{
    widen(a, id + 1);
    a->v[id] += amount;
}

bool drf_vec_covers(const struct drf_vec *have, const struct drf_vec *want)
{
    for (size_t i = 0; i < want->n; i++)
        if (want->v[i] > drf_vec_at(have, i))
            return false;
    return true;
}

bool drf_vec_is_zero(const struct drf_vec *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i])
            return false;
    return true;
}

/* ---- totals ---- */

void drf_totals_init(struct drf_totals *t)
{
    *t = (struct drf_totals){.generation = 1};
}

void drf_totals_done(struct drf_totals *t)
{
    free(t->scalars);
    drf_vec_done(&t->total);
    *t = (struct drf_totals){0};
}

size_t drf_scalar_id(struct drf_totals *t, const char *interned_name)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->scalars[i].name == interned_name)
            return i;
    t->scalars = xgrow(t->scalars, &t->cap, t->n + 1, sizeof(*t->scalars));
    t->scalars[t->n] = (struct drf_scalar){.name = interned_name};
    return t->n++;
}

void drf_totals_exclude(struct drf_totals *t, const char *interned_name)
{
    size_t id = drf_scalar_id(t, interned_name);

    t->scalars[id].excluded = true;
    t->generation++;
}

void drf_totals_add(struct drf_totals *t, const struct drf_vec *v)
{
    drf_vec_add(&t->total, v);
    t->generation++;
}

void drf_totals_sub(struct drf_totals *t, const struct drf_vec *v)
{
    drf_vec_sub(&t->total, v);
    t->generation++;
}

struct sum_into {
    struct drf_vec *vec;
    struct drf_totals *totals;
};

static void add_scalar(const char *name, milli_t sum, void *arg)
{
    struct sum_into *into = arg;

    drf_vec_add_at(into->vec, drf_scalar_id(into->totals, name), sum);
}

void drf_vec_add_resources(struct drf_vec *a, struct drf_totals *t, const struct resources *r)
{
    struct sum_into into = {.vec = a, .totals = t};

    resources_each_scalar(r, add_scalar, &into);
}

/* ---- clients and their order ---- */

/* Steps 1 and 2. */
double drf_share(const struct drf_totals *t, const struct drf_vec *allocated, double weight)
{
    size_t n = FL_MIN(allocated->n, t->total.n);
    double share = 0;

    for (size_t i = 0; i < n; i++) {
        if (allocated->v[i] <= 0 || t->total.v[i] <= 0 || t->scalars[i].excluded)
            continue;
        /* One division: equal fractions tie under weights like 3, too. */
        double s = (double)allocated->v[i] / ((double)t->total.v[i] * weight);
        share = FL_MAX(share, s);
    }
    return share;
}

static struct drf_client *of_node(const struct idx_node *n)
{
    return container_of(n, struct drf_client, node);
}

/* Step 3. */
static inline bool before(const struct idx_node *na, const struct idx_node *nb)
{
    const struct drf_client *a = of_node(na), *b = of_node(nb);

    if (a->share_key != b->share_key)
        return a->share_key < b->share_key;
    if (a->count_key != b->count_key)
        return a->count_key < b->count_key;
    return strcmp(a->name, b->name) < 0;
}

void drf_client_init(struct drf_client *c, const char *name, double weight)
{
    assert(weight > 0);
    *c = (struct drf_client){
        .node = {.pos = IDX_HEAP_OUT}, .name = name, .weight = weight, .stale_at = IDX_HEAP_OUT};
}

void drf_client_done(struct drf_client *c)
{
    assert(c->node.pos == IDX_HEAP_OUT && c->stale_at == IDX_HEAP_OUT);
    drf_vec_done(&c->allocated);
}

void drf_sorter_init(struct drf_sorter *s, const struct drf_totals *totals)
{
    *s = (struct drf_sorter){.totals = totals, .generation = totals->generation};
}

void drf_sorter_done(struct drf_sorter *s)
{
    free(s->order.at);
    free(s->stale);
    free(s->frontier);
    free(s->sorted);
    *s = (struct drf_sorter){0};
}

void drf_sorter_set_random(struct drf_sorter *s, uint64_t *state)
{
    s->random = state;
}

uint64_t drf_random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u); /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Step 6: after `from`. */
static void draw_key(struct drf_sorter *s, struct drf_client *c, double from)
{
    /* over 0, at most 1 */
    double u = ((double)(drf_random_next(s->random) >> 11) + 1) * 0x1p-53;

    c->share_key = from - log(u) / (c->as ? c->as : c)->weight;
    c->count_key = 0;
    c->drawn = true;
}

static void take_key(struct drf_sorter *s, struct drf_client *c)
{
    const struct drf_client *by = c->as ? c->as : c;

    if (s->random) {
        if (!c->drawn) {
            s->clock = FL_MAX(s->clock, c->share_key); /* step 7 */
            draw_key(s, c, s->clock);
        }
        return;
    }
    c->share_key = drf_share(s->totals, &by->allocated, by->weight);
    c->count_key = by->allocations;
}

static void note(struct drf_sorter *s, struct drf_client *c)
{
    if (!drf_client_is_active(c) || c->stale_at != IDX_HEAP_OUT)
        return;
    s->stale = xgrow(s->stale, &s->stale_cap, s->n_stale + 1, sizeof(*s->stale));
    c->stale_at = s->n_stale;
    s->stale[s->n_stale++] = c;
}

static void unnote(struct drf_sorter *s, struct drf_client *c)
{
    size_t i = c->stale_at;

    if (i == IDX_HEAP_OUT)
        return;
    s->stale[i] = s->stale[--s->n_stale];
    s->stale[i]->stale_at = i;
    c->stale_at = IDX_HEAP_OUT;
}

/* Step 5: every key is taken afresh. */
static void rebuild(struct drf_sorter *s)
{
    for (size_t i = 0; i < s->order.n; i++)
        take_key(s, of_node(s->order.at[i]));
    for (size_t i = 0; i < s->n_stale; i++)
        s->stale[i]->stale_at = IDX_HEAP_OUT;
    s->n_stale = 0;
    s->generation = s->totals->generation;
    s->is_sorted = false;
    idx_rebuild(&s->order, before);
}

/* How many of the first `n` sorted ones come before c. */
static size_t count_before(const struct drf_sorter *s, const struct drf_client *c, size_t n)
{
    size_t low = 0;

    while (low < n) {
        size_t mid = (low + n) / 2;

        if (before(&s->sorted[mid]->node, &c->node))
            low = mid + 1;
        else
            n = mid;
    }
    return low;
}

/* Takes a new key for the client, and puts it where that belongs. */
static void renew(struct drf_sorter *s, struct drf_client *c)
{
    size_t from = s->is_sorted ? count_before(s, c, s->order.n) : 0, to;

    take_key(s, c);
    idx_fix(&s->order, &c->node, before);
    if (!s->is_sorted)
        return;
    memmove(s->sorted + from, s->sorted + from + 1, (s->order.n - 1 - from) * sizeof(*s->sorted));
    to = count_before(s, c, s->order.n - 1);
    memmove(s->sorted + to + 1, s->sorted + to, (s->order.n - 1 - to) * sizeof(*s->sorted));
    s->sorted[to] = c;
}

void drf_sorter_settle(struct drf_sorter *s)
{
    if (s->generation != s->totals->generation || s->n_stale > s->order.n / 4 + 1) {
        rebuild(s);
        return;
    }
    if (s->n_stale > MANY_STALE)
        s->is_sorted = false;
    while (s->n_stale) {
        struct drf_client *c = s->stale[--s->n_stale];

        c->stale_at = IDX_HEAP_OUT;
        renew(s, c);
    }
}

void drf_sorter_activate(struct drf_sorter *s, struct drf_client *c)
{
    assert(!s->walking);
    if (drf_client_is_active(c))
        return;
    if (s->random)
        draw_key(s, c, s->clock);
    else
        take_key(s, c);
    s->is_sorted = false;
    idx_insert(&s->order, &c->node, before);
}

void drf_sorter_deactivate(struct drf_sorter *s, struct drf_client *c)
{
    assert(!s->walking);
    if (!drf_client_is_active(c))
        return;
    unnote(s, c);
    s->is_sorted = false;
    idx_remove(&s->order, &c->node, before);
}

void drf_sorter_allocated(struct drf_sorter *s, struct drf_client *c, const struct drf_vec *v)
{
    drf_vec_add(&c->allocated, v);
    c->allocations++;
    c->drawn = false;
    note(s, c);
}

void drf_sorter_unallocated(struct drf_sorter *s, struct drf_client *c, const struct drf_vec *v)
{
    drf_vec_sub(&c->allocated, v);
    note(s, c);
}

void drf_sorter_changed(struct drf_sorter *s, struct drf_client *c, bool given)
{
    c->drawn = c->drawn && !given;
    note(s, c);
}

bool drf_client_before(const struct drf_client *a, const struct drf_client *b)
{
    return before(&a->node, &b->node);
}

void drf_sorter_set_weight(struct drf_sorter *s, struct drf_client *c, double weight)
{
    assert(weight > 0 && !s->walking);
    c->weight = weight;
    if (s->random && drf_client_is_active(c)) {
        draw_key(s, c, s->clock);
        s->is_sorted = false;
        idx_fix(&s->order, &c->node, before);
        return;
    }
    note(s, c);
}

struct drf_client *drf_sorter_first(struct drf_sorter *s)
{
    drf_sorter_settle(s);
    return s->order.n ? of_node(idx_first(&s->order)) : NULL;
}

/* ---- walking ----
 * The order is a heap, so only its first is known. A walk keeps the frontier, the nodes whose parents have been given out, as
 * a second heap: the next is always its smallest, and brings its two children in. That is good for walks that end soon.
 * One that goes far sorts the order whole; it stays sorted for the next ones, which mostly find it unchanged or with a client or two
 * moved, until walks are short again. */

static int compare_clients(const void *x, const void *y)
{
    const struct drf_client *a = *(struct drf_client *const *)x,
                            *b = *(struct drf_client *const *)y;

    return before(&a->node, &b->node) ? -1 : 1;
}

static void sort_whole(struct drf_sorter *s)
{
    s->sorted = xgrow(s->sorted, &s->sorted_cap, s->order.n, sizeof(struct drf_client *));
    for (size_t i = 0; i < s->order.n; i++)
        s->sorted[i] = of_node(s->order.at[i]);
    qsort(s->sorted, s->order.n, sizeof(struct drf_client *), compare_clients);
    s->is_sorted = true;
    s->short_walks = 0;
}

static bool before_at(const struct drf_sorter *s, size_t a, size_t b)
{
    return before(s->order.at[a], s->order.at[b]);
}

static void frontier_push(struct drf_sorter *s, size_t index)
{
    size_t i = s->n_frontier;

    if (index >= s->order.n)
        return;
    s->frontier = xgrow(s->frontier, &s->frontier_cap, i + 1, sizeof(*s->frontier));
    s->n_frontier++;
    for (; i > 0 && before_at(s, index, s->frontier[(i - 1) / 2]); i = (i - 1) / 2)
        s->frontier[i] = s->frontier[(i - 1) / 2];
    s->frontier[i] = index;
}

static size_t frontier_pop(struct drf_sorter *s)
{
    size_t first = s->frontier[0], last = s->frontier[--s->n_frontier], n = s->n_frontier, i = 0;

    for (;;) {
        size_t c = 2 * i + 1;

        if (c >= n)
            break;
        if (c + 1 < n && before_at(s, s->frontier[c + 1], s->frontier[c]))
            c++;
        if (!before_at(s, s->frontier[c], last))
            break;
        s->frontier[i] = s->frontier[c];
        i = c;
    }
    if (n)
        s->frontier[i] = last;
    return first;
}

void drf_sorter_walk_begin(struct drf_sorter *s)
{
    assert(!s->walking);
    drf_sorter_settle(s);
    s->walking = true;
    s->walked = s->n_frontier = 0;
    if (!s->is_sorted)
        frontier_push(s, 0);
}

struct drf_client *drf_sorter_walk_next(struct drf_sorter *s)
{
    size_t i;

    assert(s->walking);
    if (!s->is_sorted && s->walked == FAR)
        sort_whole(s);
    if (s->is_sorted)
        return s->walked < s->order.n ? s->sorted[s->walked++] : NULL;
    if (!s->n_frontier)
        return NULL;
    s->walked++;
    i = frontier_pop(s);
    frontier_push(s, 2 * i + 1);
    frontier_push(s, 2 * i + 2);
    return of_node(s->order.at[i]);
}

void drf_sorter_walk_end(struct drf_sorter *s)
{
    s->walking = false;
    if (!s->is_sorted)
        return;
    s->short_walks = s->walked < FAR ? s->short_walks + 1 : 0;
    s->is_sorted = s->short_walks < MANY_SHORT;
}
