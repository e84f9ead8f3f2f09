/* Whether one Resource message is well formed: value, disk, reservations in either format, sharing.
 * Pure. The order of the checks is the protocol's, so that the first complaint is the one a
 * framework knows. */
#include "common/model/resources_internal.h"
#include "common/model/roles.h"

#define STATIC  V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC
#define DYNAMIC V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC

static int check_value_fields(const V1__Resource *r, struct fl_err *err)
{
    bool scalar = r->scalar, ranges = r->ranges, set = r->set;
    switch (r->type) {
    case V1__VALUE__TYPE__SCALAR:
        if (!scalar || ranges || set)
            return fl_err_set(err, FL_INVALID,
                              "a SCALAR has the field 'scalar' and no other value");
        return 0;
    case V1__VALUE__TYPE__RANGES:
        if (scalar || !ranges || set)
            return fl_err_set(err, FL_INVALID, "RANGES have the field 'ranges' and no other value");
        return 0;
    case V1__VALUE__TYPE__SET:
        if (scalar || ranges || !set)
            return fl_err_set(err, FL_INVALID, "a SET has the field 'set' and no other value");
        return 0;
    default:
        return fl_err_set(err, FL_INVALID, "its type is not one of SCALAR, RANGES and SET");
    }
}

static int check_disk(const V1__Resource *r, struct fl_err *err)
{
    if (!r->disk)
        return 0;
    if (!streq(r->name, "disk"))
        return fl_err_set(err, FL_INVALID, "only the resource 'disk' may have the field 'disk'");
    const V1__Resource__DiskInfo__Source *source = r->disk->source;
    if (!source)
        return 0;
    switch (source->type) {
    case V1__RESOURCE__DISK_INFO__SOURCE__TYPE__PATH:
    case V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT:
        return 0;
    case V1__RESOURCE__DISK_INFO__SOURCE__TYPE__BLOCK:
    case V1__RESOURCE__DISK_INFO__SOURCE__TYPE__RAW:
        if (source->mount || source->path)
            return fl_err_set(err, FL_INVALID,
                              "a BLOCK or RAW disk source has neither 'mount' nor 'path'");
        return 0;
    default:
        return fl_err_set(err, FL_INVALID, "the type of its disk source is not known");
    }
}

/* `role` and perhaps `reservation`. */
static int check_old_reservation(const V1__Resource *r, struct fl_err *err)
{
    const char *role = r->role ? r->role : "*";
    int rc = role_validate(role, err);
    if (rc < 0 || !r->reservation)
        return rc;
    if (r->reservation->has_type)
        return fl_err_set(err, FL_INVALID,
                          "'reservation.type' must not be set in the field 'reservation'");
    if (r->reservation->role)
        return fl_err_set(err, FL_INVALID,
                          "'reservation.role' must not be set in the field 'reservation'");
    if (streq(role, "*"))
        return fl_err_set(err, FL_INVALID, "role '*' cannot be reserved");
    return 0;
}

static int check_stack(const V1__Resource *r, struct fl_err *err)
{
    for (size_t i = 0; i < r->n_reservations; i++) {
        const V1__Resource__ReservationInfo *one = r->reservations[i];
        if (!one->has_type)
            return fl_err_set(err, FL_INVALID, "'type' of a reservation must be set");
        if (!one->role)
            return fl_err_set(err, FL_INVALID, "'role' of a reservation must be set");
        int rc = role_validate(one->role, err);
        if (rc < 0)
            return rc;
        if (streq(one->role, "*"))
            return fl_err_set(err, FL_INVALID, "role '*' cannot be reserved");
        if (one->type != STATIC && one->type != DYNAMIC)
            return fl_err_set(err, FL_INVALID,
                              "the type of a reservation is neither STATIC nor DYNAMIC");
        if (i == 0)
            continue;
        if (one->type == STATIC)
            return fl_err_set(err, FL_INVALID, "a refined reservation must not be STATIC");
        if (!role_is_strict_subrole(one->role, r->reservations[i - 1]->role))
            return fl_err_set(err, FL_INVALID,
                              "role '%s' of a refined reservation is not below role '%s'",
                              one->role, r->reservations[i - 1]->role);
    }
    return 0;
}

static bool labels_equal(const V1__Labels *a, const V1__Labels *b)
{
    static const V1__Labels none = V1__LABELS__INIT;
    return fl_pb_equal(a ? &a->base : &none.base, b ? &b->base : &none.base);
}

/* One reservation may be said in both formats at once, when they agree. */
static int check_both_formats(const V1__Resource *r, struct fl_err *err)
{
    const V1__Resource__ReservationInfo *one = r->reservations[0], *old = r->reservation;
    bool has_role = resource_has_role(r);
    if (has_role && !streq(r->role, one->role))
        return fl_err_set(err, FL_INVALID, "'role' is '%s' but it is reserved to '%s'", r->role,
                          one->role);
    if (one->type == STATIC) {
        if (old)
            return fl_err_set(err, FL_INVALID,
                              "'reservation' must not be set beside a STATIC reservation");
        return 0;
    }
    if (has_role != (old != NULL))
        return fl_err_set(err, FL_INVALID,
                          "'role' and 'reservation' must both be set or both be unset beside a "
                          "DYNAMIC reservation");
    if (!old)
        return 0;
    const char *old_principal = old->principal ? old->principal : "";
    if (!streq(old_principal, one->principal ? one->principal : ""))
        return fl_err_set(err, FL_INVALID,
                          "'reservation' and 'reservations' name different principals");
    if (!labels_equal(old->labels, one->labels))
        return fl_err_set(err, FL_INVALID,
                          "'reservation' and 'reservations' have different labels");
    return 0;
}

static int check_reservations(const V1__Resource *r, struct fl_err *err)
{
    if (r->n_reservations == 0)
        return check_old_reservation(r, err);
    int rc = check_stack(r, err);
    if (rc < 0)
        return rc;
    if (r->n_reservations == 1)
        return check_both_formats(r, err);
    if (resource_has_role(r) || r->reservation)
        return fl_err_set(
            err, FL_INVALID,
            "'role' and 'reservation' must not be set beside more than one reservation");
    return 0;
}

int resource_check(const V1__Resource *r, struct fl_err *err)
{
    if (r->name[0] == 0)
        return fl_err_set(err, FL_INVALID, "its name is empty");
    int rc = check_value_fields(r, err);
    if (rc == 0)
        rc = check_disk(r, err);
    if (rc == 0)
        rc = check_reservations(r, err);
    if (rc < 0 || !r->shared)
        return rc;
    if (!streq(r->name, "disk"))
        return fl_err_set(err, FL_INVALID, "only a disk can be shared");
    if (!r->disk || !r->disk->persistence)
        return fl_err_set(err, FL_INVALID, "only persistent volumes can be shared");
    return 0;
}
