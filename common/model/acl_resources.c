/* See acl_resources.h. */
#include "common/model/acl_resources.h"

bool acl_sees_resource(const struct acl_approver *roles, const V1__Resource *r)
{
    if (!roles)
        return true;
    if (r->role && !streq(r->role, "*") && !acl_approves(roles, r->role))
        return false;
    for (size_t i = 0; i < r->n_reservations; i++) {
        if (!acl_approves(roles, r->reservations[i]->role))
            return false;
    }
    return !r->allocation_info || acl_approves(roles, r->allocation_info->role);
}

static bool sees_all(const struct acl_approver *roles, V1__Resource *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!acl_sees_resource(roles, list[i]))
            return false;
    }
    return true;
}

bool acl_sees_operation(const struct acl_approver *roles, const V1__Offer__Operation *op)
{
    if (!roles)
        return true;
    if (op->reserve)
        return sees_all(roles, op->reserve->resources, op->reserve->n_resources) &&
               sees_all(roles, op->reserve->source, op->reserve->n_source);
    if (op->unreserve)
        return sees_all(roles, op->unreserve->resources, op->unreserve->n_resources);
    if (op->create)
        return sees_all(roles, op->create->volumes, op->create->n_volumes);
    if (op->destroy)
        return sees_all(roles, op->destroy->volumes, op->destroy->n_volumes);
    if (op->grow_volume)
        return acl_sees_resource(roles, op->grow_volume->volume);
    if (op->shrink_volume)
        return acl_sees_resource(roles, op->shrink_volume->volume);
    if (op->create_disk)
        return acl_sees_resource(roles, op->create_disk->source);
    return !op->destroy_disk || acl_sees_resource(roles, op->destroy_disk->source);
}

void acl_keep_resources(const struct acl_approver *roles, V1__Resource ***list, size_t *n,
                        struct fl_arena *arena)
{
    V1__Resource **kept = fl_arena_alloc(arena, (*n + 1) * sizeof(*kept));
    size_t k = 0;

    for (size_t i = 0; i < *n; i++) {
        if (acl_sees_resource(roles, (*list)[i]))
            kept[k++] = (*list)[i];
    }
    *list = kept;
    *n = k;
}

const struct resources *acl_visible_resources(const struct acl_approver *roles,
                                              const struct resources *from, struct resources *room)
{
    struct fl_arena *arena;
    V1__Resource **list;
    size_t n;
    struct fl_err err;

    if (!roles)
        return from;
    arena = fl_arena_new(4096);
    n = resources_to_pb(from, RESOURCES_POST_REFINEMENT, true, arena, &list);
    acl_keep_resources(roles, &list, &n, arena);
    /* They come from resources and are some again. */
    if (resources_from_pb(list, n, room, &err) < 0)
        abort();
    fl_arena_free(arena);
    return room;
}
