/* Between messages and sets of resources, in the three formats of reservations. Pure. */
#include "common/model/resources_internal.h"

/* ---- in ---- */

/* The newer format of `pb`: a shallow copy, whose one reservation, when `role` said it, lies in
 * `*one`. */
static V1__Resource upgrade(const V1__Resource *pb, V1__Resource__ReservationInfo *one,
                            V1__Resource__ReservationInfo **one_ptr)
{
    V1__Resource m = *pb;
    m.role = NULL;
    m.reservation = NULL;
    if (pb->n_reservations > 0 || !resource_has_role(pb) || streq(pb->role, "*"))
        return m;
    v1__resource__reservation_info__init(one);
    if (pb->reservation)
        *one = *pb->reservation;
    one->has_type = true;
    one->type = pb->reservation ? V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC
                                : V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
    one->role = pb->role;
    *one_ptr = one;
    m.n_reservations = 1;
    m.reservations = one_ptr;
    return m;
}

static int value_from_pb(const V1__Resource *pb, struct value *ret, struct fl_err *err)
{
    switch (pb->type) {
    case V1__VALUE__TYPE__SCALAR:
        return value_from_scalar(pb->scalar->value, ret, err);
    case V1__VALUE__TYPE__RANGES:
        return value_from_ranges(pb->ranges, ret, err);
    default:
        return value_from_set(pb->set, ret, err);
    }
}

int resources_add_pb(struct resources *out, const V1__Resource *pb, struct fl_err *err)
{
    struct value value;
    int rc = resource_check(pb, err);
    if (rc == 0)
        rc = value_from_pb(pb, &value, err);
    if (rc < 0) {
        fl_err_wrap(err, "Resource '%.100s' is invalid", pb->name);
        return rc;
    }
    V1__Resource__ReservationInfo one, *one_ptr;
    V1__Resource m = upgrade(pb, &one, &one_ptr);
    const struct kind *kind = kind_intern(&m);
    resources_add_item(out, kind, &value, 1);
    kind_unref(kind);
    value_done(&value, pb->type);
    return 0;
}

int resources_from_pb(V1__Resource *const *pb, size_t n, struct resources *out, struct fl_err *err)
{
    _cleanup_resources_ struct resources made = RESOURCES_INIT;
    if (n > RESOURCES_PER_MESSAGE)
        return fl_err_set(err, FL_INVALID, "%zu resources in one list are more than the %d allowed",
                          n, RESOURCES_PER_MESSAGE);
    for (size_t i = 0; i < n; i++) {
        int rc = resources_add_pb(&made, pb[i], err);
        if (rc < 0)
            return rc;
    }
    resources_move(out, &made);
    return 0;
}

/* ---- out ---- */

/* Names and roles are copied too, though they are interned: a caller may change or free what it was
 * given. */
static V1__Resource__ReservationInfo *copy_reservation(const V1__Resource__ReservationInfo *from,
                                                       struct fl_arena *arena)
{
    return (V1__Resource__ReservationInfo *)fl_pb_dup(&from->base, fl_arena_allocator(arena));
}

static void put_old_format(V1__Resource *pb, const V1__Resource *m, struct fl_arena *arena)
{
    if (m->n_reservations == 0) {
        pb->role = fl_arena_strdup(arena, "*");
        return;
    }
    if (m->n_reservations > 1)
        return;
    const V1__Resource__ReservationInfo *one = m->reservations[0];
    pb->role = fl_arena_strdup(arena, one->role);
    if (one->type != V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC)
        return;
    pb->reservation = copy_reservation(one, arena);
    pb->reservation->has_type = false;
    pb->reservation->type = V1__RESOURCE__RESERVATION_INFO__TYPE__UNKNOWN;
    pb->reservation->role = NULL;
}

static V1__Resource__AllocationInfo *new_allocation(const char *role, struct fl_arena *arena)
{
    V1__Resource__AllocationInfo *a = fl_arena_alloc(arena, sizeof(*a));
    v1__resource__allocation_info__init(a);
    a->role = fl_arena_strdup(arena, role);
    return a;
}

/* Of a kind that is not reserved, no disk and nothing else: what a copy would be, without its cost. */
static V1__Resource *plain_to_pb(const V1__Resource *m, struct fl_arena *arena)
{
    V1__Resource *pb = FL_ARENA_NEW(arena, V1__Resource, v1__resource);
    pb->name = fl_arena_strdup(arena, m->name);
    pb->type = m->type;
    return pb;
}

static bool is_bare(const V1__Resource *m)
{
    return m->n_reservations == 0 && !m->disk && !m->revocable && !m->shared && !m->provider_id &&
           m->base.n_unknown_fields == 0;
}

V1__Resource *resource_to_pb(const struct resource *r, enum resources_format format,
                             bool keep_allocation, struct fl_arena *arena)
{
    const V1__Resource *m = kind_message(r->kind);
    V1__Resource *pb = is_bare(m) ? plain_to_pb(m, arena)
                                  : (V1__Resource *)fl_pb_dup(&m->base, fl_arena_allocator(arena));
    if (format != RESOURCES_POST_REFINEMENT)
        put_old_format(pb, m, arena);
    if (format == RESOURCES_PRE_REFINEMENT) {
        pb->n_reservations = 0;
        pb->reservations = NULL;
    }
    if (keep_allocation && r->kind->allocation)
        pb->allocation_info = new_allocation(r->kind->allocation, arena);
    if (m->type == V1__VALUE__TYPE__SCALAR)
        pb->scalar = value_to_scalar(&r->value, arena);
    else if (m->type == V1__VALUE__TYPE__RANGES)
        pb->ranges = value_to_ranges(&r->value, arena);
    else
        pb->set = value_to_set(&r->value, arena);
    return pb;
}

size_t resources_to_pb(const struct resources *r, enum resources_format format,
                       bool keep_allocation, struct fl_arena *arena, V1__Resource ***ret_pb)
{
    V1__Resource **pb = fl_arena_alloc(arena, (r->n + 1) * sizeof(*pb));
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (format != RESOURCES_PRE_REFINEMENT || r->items[i].kind->n_reservations <= 1)
            pb[n++] = resource_to_pb(&r->items[i], format, keep_allocation, arena);
    *ret_pb = pb;
    return n;
}
