/* Quota of top-level roles: what of a guarantee is not met yet, and how much room a limit and the guarantees of others leave.
 *
 * The published rules (features.md 4.1 and 11), and the numbers kept for them so that an event costs no more than its scalar names:
 *   1. A role consumes what is offered to it or used in it and below it, of scalars that are neither reserved nor revocable; and all
 *      scalars that agents reserve to it or below it, used or not. Shared ones are reserved, and an agent has one copy of them.
 *   2. unmet = guarantee - consumed, name by name, never below 0. The sum over all roles is held back from everyone else (`required`), out
 *      of what is spare: unreserved, not revocable, free, on agents that may be offered.
 *   3. A limit holds for the frameworks of the top-level role itself. One in a role below it is not held back by it, though what it
 *      has counts; so it was seen on the reference.
 *   4. Reservations, what is no scalar, and what is revocable are never cut. Of other scalars, name by name,
 *        in the first stage (roles whose guarantee is unmet): unmet, always; of the rest what 3 and 5 leave;
 *        in the second stage (everyone): what 3 and 5 leave.
 *      What can only be taken whole (MOUNT disks) is taken whole or not at all.
 *   5. What 2 holds back leaves of each name spare - required.
 *   6. A role that gets nothing for its guarantee on an agent gets nothing there in the first stage.
 *   7. Whoever was cut is asked again when there is more room: `easings` here, the rest in allocator_queue.c.
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

static void turn_is_old(struct allocator *a, struct alloc_quota *q)
{
    if (q->turn_is_old)
        return;
    q->turn_is_old = true;
    DL_APPEND2(a->old_turns, q, old_prev, old_next);
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
    turn_is_old(a, q);
}

/* Step 7. */
static void ease(struct allocator *a, struct alloc_role *r)
{
    r->eased = ++a->easings;
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
    if (sign < 0)
        ease(a, top);
    drf_sorter_changed(&a->guaranteed, &top->quota->turn, sign > 0);
}

/* ---- who has the first stage ---- */

void alloc_quota_refresh(struct allocator *a, struct alloc_role *r)
{
    if (r->quota)
        turn_is_old(a, r->quota);
}

static void drop_old_turn(struct allocator *a, struct alloc_quota *q)
{
    if (!q->turn_is_old)
        return;
    q->turn_is_old = false;
    DL_DELETE2(a->old_turns, q, old_prev, old_next);
}

void alloc_quota_settle(struct allocator *a)
{
    struct alloc_quota *q;

    while ((q = a->old_turns)) {
        drop_old_turn(a, q);
        if (q->is_unmet && drf_sorter_active(&q->role->frameworks))
            drf_sorter_activate(&a->guaranteed, &q->turn);
        else
            drf_sorter_deactivate(&a->guaranteed, &q->turn);
    }
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
    milli_t required = drf_vec_at(&a->required, id);

    if (!required)
        return ALLOC_NO_LIMIT;
    return FL_MAX(drf_vec_at(&a->spare, id) - required, 0);
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

/* ---- steps 4 to 6 ---- */

struct cutting {
    struct allocator *a;
    const struct alloc_role *r;
    enum alloc_stage stage;
    struct drf_vec promised, more; /* taken so far: for the guarantee, and beyond */
    bool for_guarantee;
    unsigned held;
};

static milli_t fit(milli_t amount, bool whole, milli_t room)
{
    if (amount <= room)
        return amount;
    return whole ? 0 : FL_MAX(room, 0);
}

static milli_t less(milli_t room, milli_t taken)
{
    return room == ALLOC_NO_LIMIT ? room : room - taken;
}

/* Of one item; there may be several of a name (disks). */
static milli_t cut(const char *name, milli_t amount, bool whole, void *arg)
{
    struct cutting *x = arg;
    size_t id = drf_scalar_id(&x->a->totals, name);
    const struct alloc_quota *q = x->stage == STAGE_GUARANTEES ? x->r->quota : NULL;
    milli_t unmet = q ? drf_vec_at(&q->unmet, id) - drf_vec_at(&x->promised, id) : 0;
    milli_t promised = fit(amount, whole, unmet), more = amount - promised, left;

    drf_vec_add_at(&x->promised, id, promised);
    x->for_guarantee = x->for_guarantee || promised > 0;
    left = fit(
        more, whole,
        less(alloc_limit_room(x->r, id), drf_vec_at(&x->promised, id) + drf_vec_at(&x->more, id)));
    if (left < more)
        x->held |= ALLOC_HELD_BY_LIMIT;
    more = left;
    /* What is taken for the guarantee leaves `spare` and `required` alike. */
    left = fit(more, whole, less(alloc_headroom_room(x->a, id), drf_vec_at(&x->more, id)));
    if (left < more)
        x->held |= ALLOC_HELD_BY_HEADROOM;
    drf_vec_add_at(&x->more, id, left);
    return promised + left;
}

void alloc_chop(struct allocator *a, const struct alloc_role *r, enum alloc_stage stage,
                const struct resources *offerable, struct resources *ret, unsigned *ret_held)
{
    struct cutting x = {.a = a, .r = r, .stage = stage};

    resources_chop(offerable, cut, &x, ret);
    if (stage == STAGE_GUARANTEES && !x.for_guarantee)
        resources_done(ret);
    drf_vec_done(&x.promised);
    drf_vec_done(&x.more);
    *ret_held = x.held;
}

bool alloc_leaves_whole(const struct allocator *a, const struct alloc_role *r,
                        enum alloc_stage stage, const struct drf_vec *v)
{
    bool for_guarantee = stage == STAGE_SHARES;

    for (size_t i = 0; i < v->n; i++) {
        milli_t promised = stage == STAGE_GUARANTEES ? drf_vec_at(&r->quota->unmet, i) : 0;

        promised = FL_MIN(promised, v->v[i]);
        for_guarantee = for_guarantee || promised > 0;
        if (v->v[i] > alloc_limit_room(r, i) || v->v[i] - promised > alloc_headroom_room(a, i))
            return false;
    }
    return for_guarantee;
}

/* ---- the hook ---- */

static void drop_quota(struct allocator *a, struct alloc_role *r)
{
    struct alloc_quota *q = r->quota;

    if (!q)
        return;
    drf_vec_sub(&a->required, &q->unmet);
    drop_old_turn(a, q);
    drf_sorter_deactivate(&a->guaranteed, &q->turn);
    drf_client_done(&q->turn);
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
        drf_client_init(&q->turn, r->name, 1.0);
        q->turn.as = &r->turn;
        r->quota = q;
        DL_APPEND(a->quotas, q);
        for (size_t i = 0; i < n_limits; i++)
            set_limit(&q->limit, drf_scalar_id(&a->totals, limits->items[i].name),
                      limits->items[i].amount);
        for (size_t i = 0; i < n_guarantees; i++) {
            size_t id = drf_scalar_id(&a->totals, guarantees->items[i].name);

            /* A guarantee above the limit could never be met. */
            drf_vec_add_at(&q->guarantee, id,
                           FL_MIN(guarantees->items[i].amount, alloc_quota_limit(q, id)));
            note_consumed(a, q, id);
        }
    }
    ease(a, r);
    role_tree_release(&a->tree, r);
}
