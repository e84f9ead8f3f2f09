/* Quota of top-level roles: what of a guarantee is not met yet, and how much room a limit and the guarantees of others leave.
 *
 * The published rules (features.md 4.1 and 11), and the numbers kept for them so that an event costs no more than its scalar names:
 *   1. A role consumes what is offered to it or used in it and below it, of scalars that are neither reserved nor revocable; and all
 *      scalars that agents reserve to it or below it, used or not. Shared ones are reserved, and an agent has one copy of them.
 *   2. unmet = guarantee - consumed, name by name, never below 0. The sum over all roles is held back from everyone else (`required`), out
 *      of what is spare: unreserved, not revocable, free, on agents that may be offered.
 *   3. A limit holds for the frameworks of the top-level role itself. One in a role below it is not held back by it, though what it
 *      has counts; so it was seen on the reference.
 */
#include "common/model/intern.h"
#include "master/allocator/allocator_priv.h"

/* ---- step 1 ---- */

struct sum_into {
    struct drf_vec *vec;
    struct drf_totals *totals;
};

static void add_counted(const char *name, milli_t amount, void *arg)
{
    struct sum_into *into = arg;

    drf_vec_add_at(into->vec, drf_scalar_id(into->totals, name), amount);
}

void alloc_add_counted(struct allocator *a, struct drf_vec *v, const struct resources *r)
{
    struct sum_into into = {.vec = v, .totals = &a->totals};

    resources_each_open_scalar(r, add_counted, &into);
}

/* Step 2, of one name. */
static void note_consumed(struct allocator *a, struct alloc_quota *q, size_t id)
{
    milli_t was = drf_vec_at(&q->unmet, id);
    milli_t is = FL_MAX(drf_vec_at(&q->guarantee, id) - drf_vec_at(&q->role->consumed, id), 0);

    if (is == was)
        return;
    drf_vec_add_at(&q->unmet, id, is - was);
    drf_vec_add_at(&a->required, id, is - was);
    q->is_unmet = !drf_vec_is_zero(&q->unmet);
}

void alloc_consume(struct allocator *a, struct alloc_role *r, const struct drf_vec *v, int sign)
{
    struct alloc_role *top = r->top;

    if (sign > 0)
        drf_vec_add(&top->consumed, v);
    else
        drf_vec_sub(&top->consumed, v);
    if (!top->quota)
        return;
    for (size_t i = 0; i < v->n; i++)
        note_consumed(a, top->quota, i);
}

/* ---- step 2 ---- */

static const struct drf_vec *spare_of(const struct alloc_agent *ag)
{
    return ag->is_plain ? &ag->free_vec : &ag->spare_vec;
}

void alloc_spare_out(struct allocator *a, struct alloc_agent *ag)
{
    if (!ag->is_spare)
        return;
    drf_vec_sub(&a->spare, spare_of(ag));
    ag->is_spare = false;
}

void alloc_spare_in(struct allocator *a, struct alloc_agent *ag)
{
    if (!ag->is_plain) {
        drf_vec_clear(&ag->spare_vec);
        alloc_add_counted(a, &ag->spare_vec, &ag->free);
    }
    if (!ag->active || !ag->whitelisted)
        return;
    drf_vec_add(&a->spare, spare_of(ag));
    ag->is_spare = true;
}

milli_t alloc_headroom_room(const struct allocator *a, size_t id)
{
    return FL_MAX(drf_vec_at(&a->spare, id) - drf_vec_at(&a->required, id), 0);
}

/* ---- step 3 ---- */

milli_t alloc_quota_limit(const struct alloc_quota *q, size_t id)
{
    return id < q->limit.n ? q->limit.v[id] : ALLOC_NO_LIMIT;
}

milli_t alloc_limit_room(const struct alloc_role *r, size_t id)
{
    milli_t limit = r->quota ? alloc_quota_limit(r->quota, id) : ALLOC_NO_LIMIT;

    if (limit == ALLOC_NO_LIMIT)
        return limit;
    return FL_MAX(limit - drf_vec_at(&r->consumed, id), 0);
}

/* ---- the hook ---- */

static void drop_quota(struct allocator *a, struct alloc_role *r)
{
    struct alloc_quota *q = r->quota;

    if (!q)
        return;
    drf_vec_sub(&a->required, &q->unmet);
    DL_DELETE(a->quotas, q);
    drf_vec_done(&q->guarantee);
    drf_vec_done(&q->limit);
    drf_vec_done(&q->unmet);
    free(q);
    r->quota = NULL;
}

void alloc_quota_free(struct allocator *a, struct alloc_role *r)
{
    drop_quota(a, r);
    role_tree_release(&a->tree, r);
}

static void set_limit(struct drf_vec *limit, size_t id, milli_t amount)
{
    while (limit->n <= id)
        drf_vec_add_at(limit, limit->n, ALLOC_NO_LIMIT);
    limit->v[id] = amount;
}

void alloc_set_quota(struct allocator *a, const char *role, const struct quantities *guarantees,
                     const struct quantities *limits)
{
    struct alloc_role *r = role_tree_get(&allocator_cast(a)->tree, role);
    size_t n_guarantees = guarantees ? guarantees->n : 0, n_limits = limits ? limits->n : 0;
    struct alloc_quota *q;

    drop_quota(a, r);
    if (r == r->top && n_guarantees + n_limits > 0) {
        q = xnew0(struct alloc_quota);
        q->role = r;
        r->quota = q;
        DL_APPEND(a->quotas, q);
        for (size_t i = 0; i < n_limits; i++)
            set_limit(&q->limit, drf_scalar_id(&a->totals, limits->items[i].name),
                      limits->items[i].amount);
        for (size_t i = 0; i < n_guarantees; i++) {
            size_t id = drf_scalar_id(&a->totals, guarantees->items[i].name);

            drf_vec_add_at(&q->guarantee, id, guarantees->items[i].amount);
            note_consumed(a, q, id);
        }
    }
    role_tree_release(&a->tree, r);
    a->all_touched = true;
}
