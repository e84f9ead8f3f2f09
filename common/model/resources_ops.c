/* What changes the shape of resources: finding some in a pool, and the operations of offers. Pure.
 */
#include "common/model/resources_internal.h"

/* ---- find ---- */

enum preference { RESERVED_TO_ROLE, UNRESERVED, ANYTHING };

static bool preferred(const struct kind *k, enum preference p, const char *role)
{
    switch (p) {
    case RESERVED_TO_ROLE:
        return role && streq(k->role, role);
    case UNRESERVED:
        return !k->role;
    default:
        return true;
    }
}

/* Whether the item, were it not reserved, is of the wanted (unreserved) kind. */
static bool kind_fits(const struct resource *item, const struct kind *bare_want)
{
    _cleanup_resources_ struct resources bare = RESOURCES_INIT;
    resources_append_copy(&bare, item);
    resources_to_unreserved(&bare, &bare);
    return kind_same(bare.items[0].kind, bare_want);
}

static void move_to(struct resources *left, const struct resource *taken, struct resources *found)
{
    resources_add_item(found, taken->kind, &taken->value, taken->copies);
    resources_subtract_item(left, taken);
}

/* Walks the pool once: an item that covers the rest ends the search, one that the rest covers is
 * taken whole. */
static bool take_preferred(struct resources *left, struct resource *rest, enum preference p,
                           const char *role, struct resources *found)
{
    V1__Value__Type type = rest->kind->type;
    for (size_t i = 0; i < left->n; i++) {
        const struct resource *item = &left->items[i];
        if (!preferred(item->kind, p, role) || !kind_fits(item, rest->kind))
            continue;
        struct resource taken = {.kind = item->kind, .copies = rest->copies};
        bool whole = item->kind->whole || item->kind->shared;
        if (whole ? value_equal(&item->value, &rest->value, type)
                  : value_contains(&item->value, &rest->value, type)) {
            kind_ref(taken.kind);
            taken.value = rest->value;
            move_to(left, &taken, found);
            kind_unref(taken.kind);
            return true;
        }
        if (whole || !value_contains(&rest->value, &item->value, type))
            continue;
        value_subtract(&rest->value, &item->value, type);
        resources_add_item(found, item->kind, &item->value, item->copies);
        resources_remove_at(left, i--);
    }
    return false;
}

static bool find_item(struct resources *left, const struct resource *want, struct resources *found)
{
    _cleanup_resources_ struct resources rest = RESOURCES_INIT;
    resources_append_copy(&rest, want);
    resources_to_unreserved(&rest, &rest);
    for (enum preference p = RESERVED_TO_ROLE; p <= ANYTHING; p++)
        if (take_preferred(left, &rest.items[0], p, want->kind->role, found))
            return true;
    return false;
}

bool resources_find(const struct resources *pool, const struct resources *want,
                    struct resources *ret_found)
{
    _cleanup_resources_ struct resources left = RESOURCES_INIT, found = RESOURCES_INIT;
    resources_copy(&left, pool);
    for (size_t i = 0; i < want->n; i++)
        if (!find_item(&left, &want->items[i], &found))
            return false;
    resources_move(ret_found, &found);
    return true;
}

/* ---- operations ---- */

/* Takes `consumed` out of `total` and puts `converted` in. */
static int convert(struct resources *total, const struct resources *consumed,
                   const struct resources *converted, struct fl_err *err)
{
    if (!resources_contains(total, consumed)) {
        _cleanup_buf_ struct fl_buf have = FL_BUF_INIT, need = FL_BUF_INIT;
        resources_format(total, &have);
        resources_format(consumed, &need);
        return fl_err_set(err, FL_INVALID, "%.200s does not contain %.200s", fl_buf_cstr(&have),
                          fl_buf_cstr(&need));
    }
    resources_subtract(total, consumed);
    resources_add(total, converted);
    return 0;
}

static int reserve(struct resources *total, const V1__Offer__Operation__Reserve *op,
                   struct fl_err *err)
{
    _cleanup_resources_ struct resources reserved = RESOURCES_INIT, source = RESOURCES_INIT;
    int rc = resources_from_pb(op->resources, op->n_resources, &reserved, err);
    if (rc == 0)
        rc = resources_from_pb(op->source, op->n_source, &source, err);
    if (rc < 0)
        return rc;
    if (op->n_source == 0 && !resources_pop_reservation(&reserved, &source))
        return fl_err_set(err, FL_INVALID, "RESERVE names resources without a reservation");
    return convert(total, &source, &reserved, err);
}

static int unreserve(struct resources *total, const V1__Offer__Operation__Unreserve *op,
                     struct fl_err *err)
{
    _cleanup_resources_ struct resources reserved = RESOURCES_INIT, popped = RESOURCES_INIT;
    int rc = resources_from_pb(op->resources, op->n_resources, &reserved, err);
    if (rc < 0)
        return rc;
    if (!resources_pop_reservation(&reserved, &popped))
        return fl_err_set(err, FL_INVALID, "UNRESERVE names resources without a reservation");
    return convert(total, &reserved, &popped, err);
}

/* The disk below a volume: no persistence, no volume, not shared. A borrowed shallow copy in *m and
 * *disk. */
static void strip_volume(const V1__Resource *volume, V1__Resource *m, V1__Resource__DiskInfo *disk)
{
    *m = *volume;
    m->shared = NULL;
    m->disk = NULL;
    if (!volume->disk || !volume->disk->source)
        return;
    *disk = *volume->disk;
    disk->persistence = NULL;
    disk->volume = NULL;
    m->disk = disk;
}

/* CREATE and DESTROY are each other's reverse. */
static int change_volume(struct resources *total, const V1__Resource *pb, bool create,
                         struct fl_err *err)
{
    V1__Resource m, *m_ptr = &m;
    V1__Resource__DiskInfo disk;
    strip_volume(pb, &m, &disk);
    _cleanup_resources_ struct resources volume = RESOURCES_INIT, below = RESOURCES_INIT;
    int rc = resources_from_pb((V1__Resource *const *)&pb, 1, &volume, err);
    if (rc == 0)
        rc = resources_from_pb(&m_ptr, 1, &below, err);
    if (rc < 0)
        return rc;
    if (create)
        return convert(total, &below, &volume, err);
    rc = convert(total, &volume, &below, err);
    if (rc == 0 && resources_contains(total, &volume))
        return fl_err_set(
            err, FL_INVALID,
            "persistent volume '%s' cannot be destroyed: there are shared copies of it",
            pb->disk && pb->disk->persistence ? pb->disk->persistence->id : "");
    return rc;
}

static int change_volumes(struct resources *total, V1__Resource *const *volumes, size_t n,
                          bool create, struct fl_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int rc = change_volume(total, volumes[i], create, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_resizable(const V1__Resource *volume, struct fl_err *err)
{
    if (volume->provider_id)
        return fl_err_set(err, FL_INVALID, "volumes of a resource provider cannot be resized");
    if (volume->type != V1__VALUE__TYPE__SCALAR || !volume->scalar)
        return fl_err_set(err, FL_INVALID, "a volume to be resized must be a SCALAR");
    return 0;
}

static int grow_volume(struct resources *total, const V1__Offer__Operation__GrowVolume *op,
                       struct fl_err *err)
{
    V1__Resource *const parts[] = {op->volume, op->addition};
    _cleanup_resources_ struct resources consumed = RESOURCES_INIT, grown = RESOURCES_INIT;
    int rc = check_resizable(op->volume, err);
    if (rc == 0)
        rc = check_resizable(op->addition, err);
    if (rc == 0)
        rc = resources_from_pb(parts, 2, &consumed, err);
    if (rc == 0)
        rc = resources_from_pb(parts, 1, &grown, err);
    if (rc < 0)
        return rc;
    if (grown.n)
        resources_own_at(&grown, 0)->value.scalar += milli_from_double(op->addition->scalar->value);
    return convert(total, &consumed, &grown, err);
}

static int shrink_volume(struct resources *total, const V1__Offer__Operation__ShrinkVolume *op,
                         struct fl_err *err)
{
    _cleanup_resources_ struct resources volume = RESOURCES_INIT, shrunk = RESOURCES_INIT,
                                         freed = RESOURCES_INIT;
    int rc = check_resizable(op->volume, err);
    if (rc == 0)
        rc = resources_from_pb(&op->volume, 1, &volume, err);
    if (rc < 0)
        return rc;
    V1__Resource m, *m_ptr = &m;
    V1__Resource__DiskInfo disk;
    V1__Value__Scalar by = *op->subtract;
    strip_volume(op->volume, &m, &disk);
    m.scalar = &by;
    rc = resources_from_pb(&m_ptr, 1, &freed, err);
    if (rc < 0)
        return rc;
    milli_t rest = milli_from_double(op->volume->scalar->value) - milli_from_double(by.value);
    if (rest <= 0)
        return fl_err_set(err, FL_INVALID, "a volume cannot be shrunk by its whole size");
    resources_copy(&shrunk, &volume);
    if (shrunk.n)
        resources_own_at(&shrunk, 0)->value.scalar = rest;
    resources_add(&shrunk, &freed);
    return convert(total, &volume, &shrunk, err);
}

static int apply(struct resources *total, const V1__Offer__Operation *op, struct fl_err *err)
{
    if (op->reserve && op->type == V1__OFFER__OPERATION__TYPE__RESERVE)
        return reserve(total, op->reserve, err);
    if (op->unreserve && op->type == V1__OFFER__OPERATION__TYPE__UNRESERVE)
        return unreserve(total, op->unreserve, err);
    if (op->create && op->type == V1__OFFER__OPERATION__TYPE__CREATE)
        return change_volumes(total, op->create->volumes, op->create->n_volumes, true, err);
    if (op->destroy && op->type == V1__OFFER__OPERATION__TYPE__DESTROY)
        return change_volumes(total, op->destroy->volumes, op->destroy->n_volumes, false, err);
    if (op->grow_volume && op->type == V1__OFFER__OPERATION__TYPE__GROW_VOLUME)
        return grow_volume(total, op->grow_volume, err);
    if (op->shrink_volume && op->type == V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME)
        return shrink_volume(total, op->shrink_volume, err);
    return fl_err_set(err, FL_INVALID, "this operation does not change the shape of resources");
}

int resources_apply_operation(struct resources *total, const V1__Offer__Operation *op,
                              struct fl_err *err)
{
    _cleanup_resources_ struct resources changed = RESOURCES_INIT;
    resources_copy(&changed, total);
    int rc = apply(&changed, op, err);
    if (rc == 0)
        resources_move(total, &changed);
    return rc;
}
