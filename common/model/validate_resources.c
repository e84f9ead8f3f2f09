/* Rules on sets of resources that tasks, executors and operations share. Pure. */
#include "common/model/validate_internal.h"

static int validate_disk(const struct kind *k, struct fl_err *err)
{
    const V1__Resource__DiskInfo *disk = kind_message(k)->disk;
    if (!disk)
        return 0;
    if (!disk->persistence) {
        if (disk->volume)
            return fl_err_set(err, FL_INVALID, "a disk with 'volume' must have 'persistence'");
        if (!disk->source)
            return fl_err_set(err, FL_INVALID, "a resource has an empty 'disk'");
        return 0;
    }
    if (k->revocable)
        return fl_err_set(err, FL_INVALID,
                          "persistent volumes cannot be made from revocable resources");
    if (!k->role)
        return fl_err_set(err, FL_INVALID,
                          "persistent volumes cannot be made from unreserved resources");
    if (!disk->volume)
        return fl_err_set(err, FL_INVALID,
                          "Expecting 'volume' to be set for persistent volume '%s'",
                          disk->persistence->id);
    if (disk->volume->host_path)
        return fl_err_set(err, FL_INVALID,
                          "Expecting 'host_path' to be unset for persistent volume '%s'",
                          disk->persistence->id);
    int rc = validate_id(disk->persistence->id, err);
    if (rc < 0)
        fl_err_wrap(err, "the id of a persistent volume is invalid");
    return rc;
}

int validate_and_convert(V1__Resource *const *pb, size_t n, struct resources *ret,
                         struct fl_err *err)
{
    _cleanup_resources_ struct resources made = RESOURCES_INIT;
    int rc = resources_from_pb(pb, n, &made, err);
    if (rc < 0)
        return rc;
    if (resources_scalar(&made, "gpus") % MILLI_ONE != 0)
        return fl_err_set(err, FL_INVALID, "the resource 'gpus' must be a whole number");
    for (size_t i = 0; i < made.n; i++) {
        const struct kind *k = made.items[i].kind;
        rc = validate_disk(k, err);
        if (rc < 0)
            return rc;
        if (k->dynamic && k->revocable)
            return fl_err_set(err, FL_INVALID,
                              "resource '%s' is dynamically reserved and revocable at once",
                              k->name);
    }
    resources_move(ret, &made);
    return 0;
}

int validate_unique_persistence(const struct resources *r, struct fl_err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *a = r->items[i].kind;
        for (size_t j = 0; a->persistent && j < i; j++) {
            const struct kind *b = r->items[j].kind;
            if (b->persistent && a->role == b->role &&
                streq(a->message->disk->persistence->id, b->message->disk->persistence->id))
                return fl_err_set(err, FL_INVALID, "persistence id '%s' is used more than once",
                                  a->message->disk->persistence->id);
        }
    }
    return 0;
}

int validate_one_allocation(V1__Resource *const *pb, size_t n, struct fl_err *err)
{
    const char *role = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *its = pb[i]->allocation_info ? pb[i]->allocation_info->role : NULL;
        if (!its)
            return fl_err_set(err, FL_INVALID, "resource '%.100s' is not allocated to a role",
                              pb[i]->name);
        if (role && !streq(role, its))
            return fl_err_set(err, FL_INVALID,
                              "the resources are allocated to two roles, '%s' and '%s'", role, its);
        role = its;
    }
    return 0;
}

int validate_not_mixed_revocable(const struct resources *r, struct fl_err *err)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j < i; j++)
            if (r->items[i].kind->name == r->items[j].kind->name &&
                r->items[i].kind->revocable != r->items[j].kind->revocable)
                return fl_err_set(err, FL_INVALID,
                                  "revocable and non-revocable '%s' cannot be used together",
                                  r->items[i].kind->name);
    return 0;
}

int validate_one_provider(V1__Resource *const *pb, size_t n, struct fl_err *err)
{
    if (n == 0)
        return fl_err_set(err, FL_INVALID, "the operation names no resources");
    const char *first = pb[0]->provider_id ? pb[0]->provider_id->value : NULL;
    for (size_t i = 1; i < n; i++)
        if (!streq(first, pb[i]->provider_id ? pb[i]->provider_id->value : NULL))
            return fl_err_set(err, FL_INVALID,
                              "the resources are not all of one resource provider");
    return 0;
}

int validate_volumes(V1__Resource *const *pb, size_t n, struct fl_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const V1__Resource__DiskInfo *disk = pb[i]->disk;
        if (!disk || !disk->persistence)
            return fl_err_set(err, FL_INVALID, "resource '%.100s' is not a persistent volume",
                              pb[i]->name);
        if (!disk->volume)
            return fl_err_set(err, FL_INVALID,
                              "Expecting 'volume' to be set for persistent volume '%s'",
                              disk->persistence->id);
        if (disk->volume->mode == V1__VOLUME__MODE__RO)
            return fl_err_set(err, FL_INVALID, "persistent volume '%s' must not be read-only",
                              disk->persistence->id);
    }
    return 0;
}

static bool values_overlap(const struct resource *a, const struct resource *b)
{
    struct value rest;
    value_copy(&rest, &a->value, a->kind->type);
    value_subtract(&rest, &b->value, a->kind->type);
    bool overlap = !value_equal(&rest, &a->value, a->kind->type);
    value_done(&rest, a->kind->type);
    return overlap;
}

bool resources_overlap(const struct resources *a, const struct resources *b)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++)
            if (a->items[i].kind->type != V1__VALUE__TYPE__SCALAR &&
                resource_addable(&a->items[i], &b->items[j]) &&
                values_overlap(&a->items[i], &b->items[j]))
                return true;
    return false;
}
