/* Operations on resources, of a framework or of the operator. Pure. The order of the checks is the protocol's. */
#include "common/model/roles.h"
#include "common/model/validate_internal.h"

/* ---- RESERVE, UNRESERVE ---- */

/* What a reservation's principal must be when somebody is authenticated. */
static int validate_principal(const V1__Resource__ReservationInfo *r, const char *principal,
                              struct fl_err *err)
{
    if (!principal)
        return 0;
    if (!r->principal)
        return fl_err_set(err, FL_INVALID,
                          "'%.100s' must name itself as principal of the reservation", principal);
    if (!streq(r->principal, principal))
        return fl_err_set(err, FL_INVALID, "'%.100s' cannot reserve for the principal '%.100s'",
                          principal, r->principal);
    return 0;
}

static bool has_role(const V1__FrameworkInfo *framework, const char *role)
{
    _cleanup_free_ const char **roles = NULL;
    size_t n = framework_roles(framework, &roles);
    for (size_t i = 0; i < n; i++)
        if (streq(roles[i], role))
            return true;
    return false;
}

/* What an agent of an older release could not keep. */
static int validate_stack(const struct kind *k, const struct validate_context *c,
                          struct fl_err *err)
{
    if (c && c->agent_lacks_hierarchical_role && k->role && strchr(k->role, '/'))
        return fl_err_set(err, FL_INVALID,
                          "resource '%s' cannot be reserved to the hierarchical role '%s' on an "
                          "agent without HIERARCHICAL_ROLE capability",
                          k->name, k->role);
    if (c && c->agent_lacks_refinement && k->n_reservations > 1)
        return fl_err_set(err, FL_INVALID,
                          "resource '%s' cannot have a refined reservation on an agent without "
                          "RESERVATION_REFINEMENT capability",
                          k->name);
    return 0;
}

/* A framework reserves what is allocated to the role it reserves to. */
static int validate_framework_reserve(const struct kind *k, const V1__FrameworkInfo *framework,
                                      struct fl_err *err)
{
    if (!k->allocation)
        return fl_err_set(err, FL_INVALID, "frameworks can only reserve allocated resources");
    if (!streq(k->allocation, k->role))
        return fl_err_set(err, FL_INVALID,
                          "resource '%s' is allocated to role '%s' and cannot be reserved to '%s'",
                          k->name, k->allocation, k->role);
    if (!has_role(framework, k->role))
        return fl_err_set(err, FL_INVALID,
                          "the framework cannot reserve to '%s', which is not one of its roles",
                          k->role);
    return 0;
}

static int validate_reserved(const struct resources *r, const struct validate_context *c,
                             const char *principal, struct fl_err *err)
{
    const V1__FrameworkInfo *framework = c ? c->framework : NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *k = r->items[i].kind;
        const V1__Resource *m = kind_message(k);
        if (!k->dynamic)
            return fl_err_set(err, FL_INVALID, "resource '%s' is not dynamically reserved",
                              k->name);
        int rc = validate_stack(k, c, err);
        if (rc == 0)
            rc = validate_principal(m->reservations[m->n_reservations - 1], principal, err);
        if (rc < 0)
            return rc;
        if (framework)
            rc = validate_framework_reserve(k, framework, err);
        else if (k->allocation)
            rc = fl_err_set(err, FL_INVALID, "the operator can only reserve unallocated resources");
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* All of one stack: the first item tells which. */
static bool same_reservations(const struct resources *r)
{
    for (size_t i = 1; i < r->n; i++) {
        const V1__Resource *a = kind_message(r->items[0].kind), *b = kind_message(r->items[i].kind);
        if (a->n_reservations != b->n_reservations)
            return false;
        for (size_t j = 0; j < a->n_reservations; j++)
            if (!fl_pb_equal(&a->reservations[j]->base, &b->reservations[j]->base))
                return false;
    }
    return r->n > 0;
}

/* `source` re-reserves: the same amounts under another stack. */
static int validate_source(const V1__Offer__Operation__Reserve *op, const struct resources *target,
                           struct fl_err *err)
{
    _cleanup_resources_ struct resources source = RESOURCES_INIT, bare = RESOURCES_INIT,
                                         bare_target = RESOURCES_INIT;
    int rc = validate_and_convert(op->source, op->n_source, &source, err);
    if (rc < 0 || op->n_source == 0)
        return rc;
    if (!same_reservations(&source) || !same_reservations(target))
        return fl_err_set(err, FL_INVALID,
                          "'source' and 'resources' must each have one stack of reservations");
    resources_to_unreserved(&source, &bare);
    resources_to_unreserved(target, &bare_target);
    if (!resources_equal(&bare, &bare_target))
        return fl_err_set(
            err, FL_INVALID,
            "'source' and 'resources' must be the same amounts of the same resources");
    return 0;
}

static int validate_reserve(const V1__Offer__Operation__Reserve *op,
                            const struct validate_context *c, const char *principal,
                            struct fl_err *err)
{
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    int rc = validate_and_convert(op->resources, op->n_resources, &r, err);
    if (rc == 0)
        rc = validate_source(op, &r, err);
    if (rc == 0)
        rc = validate_one_provider(op->resources, op->n_resources, err);
    if (rc == 0)
        rc = validate_reserved(&r, c, principal, err);
    if (rc == 0 && c && c->framework)
        rc = validate_one_allocation(op->resources, op->n_resources, err);
    return rc;
}

static int validate_unreserve(const V1__Offer__Operation__Unreserve *op, struct fl_err *err)
{
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    int rc = validate_and_convert(op->resources, op->n_resources, &r, err);
    if (rc == 0)
        rc = validate_one_provider(op->resources, op->n_resources, err);
    for (size_t i = 0; rc == 0 && i < r.n; i++) {
        const struct kind *k = r.items[i].kind;
        if (!k->dynamic)
            rc = fl_err_set(err, FL_INVALID, "resource '%s' is not dynamically reserved", k->name);
        else if (k->persistent)
            rc = fl_err_set(err, FL_INVALID,
                            "persistent volume '%s' must be destroyed before it is unreserved",
                            kind_message(k)->disk->persistence->id);
    }
    return rc;
}

/* ---- CREATE, DESTROY ---- */

static int validate_creator(const V1__Resource *volume, const V1__FrameworkInfo *framework,
                            const char *principal, struct fl_err *err)
{
    const V1__Resource__DiskInfo__Persistence *p = volume->disk->persistence;
    if (framework && volume->shared &&
        !framework_has_capability(framework,
                                  V1__FRAMEWORK_INFO__CAPABILITY__TYPE__SHARED_RESOURCES))
        return fl_err_set(
            err, FL_INVALID,
            "a framework without SHARED_RESOURCES cannot create the shared volume '%s'", p->id);
    if (principal && !p->principal)
        return fl_err_set(err, FL_INVALID, "'%.100s' must name itself as principal of volume '%s'",
                          principal, p->id);
    if (principal && !streq(p->principal, principal))
        return fl_err_set(err, FL_INVALID,
                          "'%.100s' cannot create volume '%s' for the principal '%.100s'",
                          principal, p->id, p->principal);
    return 0;
}

/* Ids of volumes are unique per role, among the new ones and with those the agent has. */
static int validate_new_ids(const struct resources *volumes, const struct resources *total,
                            struct fl_err *err)
{
    _cleanup_resources_ struct resources all = RESOURCES_INIT, fresh = RESOURCES_INIT;
    if (total)
        resources_persistent_volumes(total, &all);
    resources_unallocate(&all);
    resources_copy(&fresh, volumes);
    resources_unallocate(&fresh);
    /* A shared volume would merge with itself and hide its second creation. */
    for (size_t i = 0; i < fresh.n; i++)
        resources_append_copy(&all, &fresh.items[i]);
    return validate_unique_persistence(&all, err);
}

static int validate_create(const V1__Offer__Operation__Create *op, const struct validate_context *c,
                           const char *principal, struct fl_err *err)
{
    const V1__FrameworkInfo *framework = c ? c->framework : NULL;
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    int rc = validate_and_convert(op->volumes, op->n_volumes, &r, err);
    if (rc == 0)
        rc = validate_one_provider(op->volumes, op->n_volumes, err);
    if (rc == 0)
        rc = validate_volumes(op->volumes, op->n_volumes, err);
    if (rc == 0)
        rc = validate_new_ids(&r, c ? c->agent_total : NULL, err);
    for (size_t i = 0; rc == 0 && i < r.n; i++)
        rc = validate_stack(r.items[i].kind, c, err);
    for (size_t i = 0; rc == 0 && i < op->n_volumes; i++)
        rc = validate_creator(op->volumes[i], framework, principal, err);
    if (rc == 0 && framework)
        rc = validate_one_allocation(op->volumes, op->n_volumes, err);
    return rc;
}

/* Whether a volume of that role and id is there, shared or not, whatever its copies. */
static bool has_volume(const struct resources *r, const struct kind *volume)
{
    const char *id = kind_message(volume)->disk->persistence->id;
    for (size_t i = 0; i < r->n; i++) {
        const struct kind *k = r->items[i].kind;
        if (k->persistent && k->role == volume->role &&
            streq(kind_message(k)->disk->persistence->id, id))
            return true;
    }
    return false;
}

static int validate_destroy(const V1__Offer__Operation__Destroy *op,
                            const struct validate_context *c, struct fl_err *err)
{
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    int rc = validate_and_convert(op->volumes, op->n_volumes, &r, err);
    if (rc == 0)
        rc = validate_one_provider(op->volumes, op->n_volumes, err);
    if (rc == 0)
        rc = validate_volumes(op->volumes, op->n_volumes, err);
    resources_unallocate(&r);
    for (size_t i = 0; rc == 0 && c && i < r.n; i++) {
        const struct resources one = resources_view(&r, i);
        const struct kind *k = r.items[i].kind;
        const char *id = kind_message(k)->disk->persistence->id;
        if (c->agent_total && !resources_contains(c->agent_total, &one))
            rc =
                fl_err_set(err, FL_INVALID, "persistent volume '%s' is not found on the agent", id);
        else if (c->agent_used && has_volume(c->agent_used, k))
            rc = fl_err_set(err, FL_INVALID, "persistent volume '%s' is in use", id);
    }
    return rc;
}

/* ---- GROW_VOLUME, SHRINK_VOLUME ---- */

static int validate_resized(const V1__Resource *volume, struct fl_err *err)
{
    if (volume->provider_id)
        return fl_err_set(err, FL_INVALID, "volumes of a resource provider cannot be resized");
    int rc = validate_volumes((V1__Resource *const *)&volume, 1, err);
    if (rc == 0 && volume->shared)
        rc = fl_err_set(err, FL_INVALID, "the shared persistent volume '%s' cannot be resized",
                        volume->disk->persistence->id);
    return rc;
}

/* The disk that the volume would be without its persistence. */
static bool grows_with(const struct resources *volume, const struct resources *addition)
{
    _cleanup_pb_ V1__Resource *m = kind_to_template(volume->items[0].kind);
    fl_pb_free(m->disk->persistence);
    m->disk->persistence = NULL;
    fl_pb_free(m->disk->volume);
    m->disk->volume = NULL;
    if (!m->disk->source) {
        fl_pb_free(m->disk);
        m->disk = NULL;
    }
    const struct kind *below = kind_intern(m);
    bool same = kind_same(below, addition->items[0].kind) && !below->whole;
    kind_unref(below);
    return same;
}

static int validate_can_resize(const struct validate_context *c, struct fl_err *err)
{
    if (c && c->agent_lacks_resize)
        return fl_err_set(err, FL_INVALID,
                          "volumes cannot be resized on an agent without RESIZE_VOLUME capability");
    return 0;
}

static int validate_grow(const V1__Offer__Operation__GrowVolume *op,
                         const struct validate_context *c, struct fl_err *err)
{
    _cleanup_resources_ struct resources volume = RESOURCES_INIT, addition = RESOURCES_INIT;
    int rc = resources_from_pb(&op->volume, 1, &volume, err);
    if (rc == 0)
        rc = resources_from_pb(&op->addition, 1, &addition, err);
    if (rc == 0 && (addition.n == 0 || op->addition->type != V1__VALUE__TYPE__SCALAR))
        rc = fl_err_set(err, FL_INVALID,
                        "the size of 'GrowVolume.addition' must be greater than zero");
    if (rc == 0)
        rc = validate_resized(op->volume, err);
    if (rc == 0 && (volume.n == 0 || !grows_with(&volume, &addition)))
        rc = fl_err_set(err, FL_INVALID,
                        "'GrowVolume.volume' and 'GrowVolume.addition' are not of one disk");
    return rc == 0 ? validate_can_resize(c, err) : rc;
}

static int validate_shrink(const V1__Offer__Operation__ShrinkVolume *op,
                           const struct validate_context *c, struct fl_err *err)
{
    _cleanup_resources_ struct resources volume = RESOURCES_INIT;
    struct value by;
    int rc = resources_from_pb(&op->volume, 1, &volume, err);
    if (rc == 0)
        rc = value_from_scalar(op->subtract->value, &by, err);
    if (rc < 0)
        return rc;
    if (by.scalar <= 0)
        return fl_err_set(err, FL_INVALID, "'ShrinkVolume.subtract' must be greater than zero");
    if (resources_scalar(&volume, "disk") <= by.scalar)
        return fl_err_set(err, FL_INVALID,
                          "'ShrinkVolume.subtract' must be smaller than the volume");
    rc = validate_resized(op->volume, err);
    if (rc < 0)
        return rc;
    const V1__Resource__DiskInfo__Source *source = op->volume->disk->source;
    if (source && source->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT)
        return fl_err_set(err, FL_INVALID, "a volume on a MOUNT disk cannot be shrunk");
    return validate_can_resize(c, err);
}

/* ---- CREATE_DISK, DESTROY_DISK ---- */

static int validate_provided(V1__Resource *const *source,
                             const V1__Resource__DiskInfo__Source **ret_disk, struct fl_err *err)
{
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    int rc = validate_and_convert(source, 1, &r, err);
    if (rc < 0)
        return rc;
    if (!(*source)->provider_id)
        return fl_err_set(err, FL_INVALID, "'source' is not managed by a resource provider");
    if (!(*source)->disk || !(*source)->disk->source)
        return fl_err_set(err, FL_INVALID, "'source' is not a disk with a source");
    *ret_disk = (*source)->disk->source;
    return 0;
}

static int validate_create_disk(const V1__Offer__Operation__CreateDisk *op, struct fl_err *err)
{
    const V1__Resource__DiskInfo__Source *disk;
    int rc = validate_provided(&op->source, &disk, err);
    if (rc < 0)
        return rc;
    if (disk->type != V1__RESOURCE__DISK_INFO__SOURCE__TYPE__RAW)
        return fl_err_set(err, FL_INVALID, "'source' is not a RAW disk resource");
    if (op->target_type != V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT &&
        op->target_type != V1__RESOURCE__DISK_INFO__SOURCE__TYPE__BLOCK)
        return fl_err_set(err, FL_INVALID, "'target_type' is neither MOUNT nor BLOCK");
    if ((disk->profile != NULL) == (op->target_profile != NULL))
        return fl_err_set(err, FL_INVALID,
                          "'target_profile' must be set exactly when 'source' has no profile");
    return 0;
}

static int validate_destroy_disk(const V1__Offer__Operation__DestroyDisk *op, struct fl_err *err)
{
    const V1__Resource__DiskInfo__Source *disk;
    int rc = validate_provided(&op->source, &disk, err);
    if (rc < 0)
        return rc;
    if (disk->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__PATH)
        return fl_err_set(err, FL_INVALID,
                          "'source' is neither a MOUNT, BLOCK nor RAW disk resource");
    if (!disk->id)
        return fl_err_set(err, FL_INVALID, "'source' is not backed by a CSI volume");
    if (op->source->disk->persistence)
        return fl_err_set(err, FL_INVALID,
                          "persistent volume '%s' must be destroyed before its disk",
                          op->source->disk->persistence->id);
    return 0;
}

/* ---- all of them ---- */

#define NEED(part)                                                                                 \
    if (!op->part)                                                                                 \
    return fl_err_set(err, FL_INVALID, "the operation must have the field '%s'", #part)

int validate_operation(const V1__Offer__Operation *op, const struct validate_context *c_or_null,
                       const char *principal_or_null, struct fl_err *err)
{
    switch (op->has_type ? op->type : V1__OFFER__OPERATION__TYPE__UNKNOWN) {
    case V1__OFFER__OPERATION__TYPE__RESERVE:
        NEED(reserve);
        return validate_reserve(op->reserve, c_or_null, principal_or_null, err);
    case V1__OFFER__OPERATION__TYPE__UNRESERVE:
        NEED(unreserve);
        return validate_unreserve(op->unreserve, err);
    case V1__OFFER__OPERATION__TYPE__CREATE:
        NEED(create);
        return validate_create(op->create, c_or_null, principal_or_null, err);
    case V1__OFFER__OPERATION__TYPE__DESTROY:
        NEED(destroy);
        return validate_destroy(op->destroy, c_or_null, err);
    case V1__OFFER__OPERATION__TYPE__GROW_VOLUME:
        NEED(grow_volume);
        return validate_grow(op->grow_volume, c_or_null, err);
    case V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME:
        NEED(shrink_volume);
        return validate_shrink(op->shrink_volume, c_or_null, err);
    case V1__OFFER__OPERATION__TYPE__CREATE_DISK:
        NEED(create_disk);
        return validate_create_disk(op->create_disk, err);
    case V1__OFFER__OPERATION__TYPE__DESTROY_DISK:
        NEED(destroy_disk);
        return validate_destroy_disk(op->destroy_disk, err);
    default:
        return fl_err_set(err, FL_INVALID, "Unknown offer operation");
    }
}
