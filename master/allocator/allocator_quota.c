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
 *   5. What 2 holds back leaves a role, of each name, spare - what of `required` is for others: a role below a top-level role
 *      uses the guarantee of that, as what it gets counts there.
 *   6. A role that gets nothing for its guarantee on an agent gets nothing there in the first stage.
 *   7. A role whose limits leave less than any of the sets of min_allocatable_resources needs is `closed`: it stands in no order, so that
 *      thousands of roles at their limits cost nothing. Agents with reservations or revocable or shared resources ask it after all
 *      others. When headroom leaves nobody enough on an agent, nobody is asked.
 *   8. Whoever was cut is asked again when there is more room: `easings` here, the rest in allocator_queue.c.
 */
#include "common/model/intern.h"
#include "master/allocator/allocator_priv.h"

/* ---- steps 1 and 3 ---- */

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
    q->wants_more = q->wants_more || is > was;
    drf_vec_add_at(&q->unmet, id, is - was);
    drf_vec_add_at(&a->required, id, is - was);
    q->is_unmet = !drf_vec_is_zero(&q->unmet);
    turn_is_old(a, q);
}

/* Step 7. */
static bool limits_close(const struct allocator *a, const struct alloc_role *r)
{
    if (!a->min.n || r->n_own_min)
        return false;
    for (size_t i = 0; i < a->min.n; i++) {
        bool fits = true;

        for (size_t id = 0; id < a->min.sets[i].n && fits; id++)
            fits = a->min.sets[i].v[id] <= alloc_limit_room(r, id);
        if (fits)
            return false;
    }
    return true;
}

/* Step 8. */
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
    if (top->quota->limit.n && limits_close(a, top) != top->closed)
        turn_is_old(a, top->quota);
    drf_sorter_changed(top->closed ? &a->closed : &a->guaranteed, &top->quota->turn, sign > 0);
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

/* Step 7. */
/* Step 8. */
static void wake_role(struct allocator *a, const struct alloc_role *r,
                      void (*wake)(struct allocator *a, struct alloc_client *c))
{
    for (size_t i = 0; i < r->frameworks.order.n; i++)
        wake(a, container_of(r->frameworks.order.at[i], struct alloc_client, drf.node));
}

/* More of the guarantee is unmet: for the role and those below it. */
static void wake_guaranteed(struct allocator *a, const struct alloc_role *top)
{
    wake_role(a, top, alloc_wake_held);
    if (!top->n_children)
        return;
    for (const struct alloc_role *r = a->tree.roles; r; r = r->hh.next)
        if (r->top == top && r != top)
            wake_role(a, r, alloc_wake_held);
}

static void close_or_open(struct allocator *a, struct alloc_role *r)
{
    bool closed = limits_close(a, r);

    if (closed == r->closed)
        return;
    r->closed = closed;
    role_tree_refresh(&a->tree, r);
    if (!closed)
        wake_role(a, r, alloc_wake);
}

static void place_turn(struct allocator *a, struct alloc_quota *q)
{
    bool active = drf_sorter_active(&q->role->frameworks) > 0;

    drf_sorter_deactivate(q->role->closed ? &a->closed : &a->guaranteed, &q->turn);
    close_or_open(a, q->role);
    if (q->wants_more)
        wake_guaranteed(a, q->role);
    q->wants_more = false;
    if (active && q->role->closed)
        drf_sorter_activate(&a->closed, &q->turn);
    else if (active && q->is_unmet)
        drf_sorter_activate(&a->guaranteed, &q->turn);
}

void alloc_quota_settle(struct allocator *a)
{
    struct alloc_quota *q;

    while ((q = a->old_turns)) {
        drop_old_turn(a, q);
        place_turn(a, q);
    }
}

static bool somebody_uses_a_guarantee(const struct allocator *a)
{
    const struct alloc_quota *q;

    DL_FOREACH (a->quotas, q)
        if (q->is_unmet && drf_client_is_active(&q->role->turn))
            return true;
    return false;
}

bool alloc_nothing_for_anyone(const struct allocator *a, const struct alloc_agent *ag)
{
    if (!a->quotas || !ag->is_plain || !a->min.n || a->n_own_min)
        return false;
    for (size_t i = 0; i < a->min.n; i++) {
        bool fits = true;

        for (size_t id = 0; id < a->min.sets[i].n && fits; id++)
            fits = a->min.sets[i].v[id] <=
                   FL_MIN(drf_vec_at(&ag->free_vec, id), alloc_headroom_room(a, NULL, id));
        if (fits)
            return false;
    }
    return !somebody_uses_a_guarantee(a);
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

milli_t alloc_headroom_room(const struct allocator *a, const struct alloc_role *r_or_null,
                            size_t id)
{
    const struct alloc_quota *q = r_or_null ? r_or_null->top->quota : NULL;
    milli_t required = drf_vec_at(&a->required, id) - (q ? drf_vec_at(&q->unmet, id) : 0);

    if (!required)
        return ALLOC_NO_LIMIT;
    return FL_MAX(drf_vec_at(&a->spare, id) - required, 0);
}

/* ---- steps 4 to 6 ---- */

struct cutting {
    struct allocator *a;
    const struct alloc_role *r;
    enum alloc_stage stage;
    struct drf_vec promised, taken; /* so far: for the guarantee, and in all */
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
    milli_t promised = fit(amount, whole, unmet), taken = drf_vec_at(&x->taken, id) + promised;
    milli_t more = amount - promised, under;

    under = fit(more, whole, less(alloc_limit_room(x->r, id), taken));
    if (under < more)
        x->held |= ALLOC_HELD_BY_LIMIT;
    more = fit(under, whole, less(alloc_headroom_room(x->a, x->r, id), taken));
    if (more < under)
        x->held |= ALLOC_HELD_BY_HEADROOM;
    drf_vec_add_at(&x->promised, id, promised);
    drf_vec_add_at(&x->taken, id, promised + more);
    x->for_guarantee = x->for_guarantee || promised > 0;
    return promised + more;
}

void alloc_chop(struct allocator *a, const struct alloc_role *r, enum alloc_stage stage,
                const struct resources *offerable, struct resources *ret, unsigned *ret_held)
{
    struct cutting x = {.a = a, .r = r, .stage = stage};

    resources_chop(offerable, cut, &x, ret);
    if (stage == STAGE_GUARANTEES && !x.for_guarantee)
        resources_done(ret);
    drf_vec_done(&x.promised);
    drf_vec_done(&x.taken);
    *ret_held = x.held;
}

enum alloc_left alloc_left(const struct allocator *a, const struct alloc_role *r,
                           enum alloc_stage stage, const struct drf_vec *v, struct drf_vec *ret,
                           unsigned *ret_held)
{
    bool for_guarantee = stage == STAGE_SHARES, whole = true;

    *ret_held = 0;
    drf_vec_copy(ret, v);
    for (size_t i = 0; i < v->n; i++) {
        milli_t unmet = stage == STAGE_GUARANTEES ? drf_vec_at(&r->quota->unmet, i) : 0;
        milli_t limit = alloc_limit_room(r, i), head = alloc_headroom_room(a, r, i);

        if (v->v[i] <= 0)
            continue;
        for_guarantee = for_guarantee || unmet > 0;
        if (v->v[i] > limit)
            *ret_held |= ALLOC_HELD_BY_LIMIT;
        if (FL_MIN(v->v[i], limit) > FL_MAX(unmet, head))
            *ret_held |= ALLOC_HELD_BY_HEADROOM;
        ret->v[i] = FL_MIN(v->v[i], FL_MIN(limit, FL_MAX(unmet, head)));
        whole = whole && ret->v[i] == v->v[i];
    }
    if (!for_guarantee)
        return LEFT_NOTHING;
    return whole ? LEFT_WHOLE : LEFT_PART;
}

/* ---- the hook ---- */

static void drop_quota(struct allocator *a, struct alloc_role *r)
{
    struct alloc_quota *q = r->quota;

    if (!q)
        return;
    drf_vec_sub(&a->required, &q->unmet);
    drop_old_turn(a, q);
    drf_sorter_deactivate(r->closed ? &a->closed : &a->guaranteed, &q->turn);
    drf_client_done(&q->turn);
    DL_DELETE(a->quotas, q);
    drf_vec_done(&q->guarantee);
    drf_vec_done(&q->limit);
    drf_vec_done(&q->unmet);
    free(q);
    r->quota = NULL;
    close_or_open(a, r);
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
        turn_is_old(a, q);
    }
    ease(a, r);
    role_tree_release(&a->tree, r);
}
