/* See acl_operation.h. */
#include "common/model/acl_operation.h"

#include "common/model/roles.h"

/* ---- operations ---- */

/* The innermost reservation's role: that of whom it is for. Both formats of resources. */
static const char *role_of(const V1__Resource *r)
{
    if (r->n_reservations > 0)
        return r->reservations[r->n_reservations - 1]->role;
    return r->role ? r->role : "*";
}

static const char *reserver_of(const V1__Resource *r)
{
    const V1__Resource__ReservationInfo *info =
        r->n_reservations > 0 ? r->reservations[r->n_reservations - 1] : r->reservation;

    return info && info->principal ? info->principal : "";
}

static const char *creator_of(const V1__Resource *r)
{
    const V1__Resource__DiskInfo__Persistence *p = r->disk ? r->disk->persistence : NULL;

    return p && p->principal ? p->principal : "";
}

typedef const char *object_f(const V1__Resource *r);

struct question {
    const struct acls *acls;
    const char *principal;
    struct fl_err *err;
};

static int each(const struct question *q, enum acl_action action, object_f *object,
                V1__Resource *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int r = acls_check(q->acls, action, q->principal, object(list[i]), q->err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_reserve(const struct question *q, const V1__Offer__Operation__Reserve *op)
{
    int r = each(q, ACL_UNRESERVE_RESOURCES, reserver_of, op->source, op->n_source);

    return r < 0 ? r : each(q, ACL_RESERVE_RESOURCES, role_of, op->resources, op->n_resources);
}

static enum acl_action disk_action(V1__Resource__DiskInfo__Source__Type type, bool create)
{
    switch (type) {
    case V1__RESOURCE__DISK_INFO__SOURCE__TYPE__BLOCK:
        return create ? ACL_CREATE_BLOCK_DISKS : ACL_DESTROY_BLOCK_DISKS;
    case V1__RESOURCE__DISK_INFO__SOURCE__TYPE__RAW:
        return create ? ACL_CREATE_MOUNT_DISKS : ACL_DESTROY_RAW_DISKS;
    default:
        return create ? ACL_CREATE_MOUNT_DISKS : ACL_DESTROY_MOUNT_DISKS;
    }
}

static int check_destroy_disk(const struct question *q, V1__Resource *const *source)
{
    const V1__Resource__DiskInfo *disk = source[0]->disk;
    enum acl_action action = disk_action(
        disk && disk->source ? disk->source->type : V1__RESOURCE__DISK_INFO__SOURCE__TYPE__UNKNOWN,
        false);

    return each(q, action, role_of, source, 1);
}

int acl_check_operation(const struct acls *acls, const char *principal,
                        const V1__Offer__Operation *op, struct fl_err *err)
{
    const struct question q = {acls, principal, err};

    if (!acls)
        return 0;
    if (op->reserve)
        return check_reserve(&q, op->reserve);
    if (op->unreserve)
        return each(&q, ACL_UNRESERVE_RESOURCES, reserver_of, op->unreserve->resources,
                    op->unreserve->n_resources);
    if (op->create)
        return each(&q, ACL_CREATE_VOLUMES, role_of, op->create->volumes, op->create->n_volumes);
    if (op->destroy)
        return each(&q, ACL_DESTROY_VOLUMES, creator_of, op->destroy->volumes,
                    op->destroy->n_volumes);
    if (op->grow_volume)
        return each(&q, ACL_RESIZE_VOLUMES, role_of, &op->grow_volume->volume, 1);
    if (op->shrink_volume)
        return each(&q, ACL_RESIZE_VOLUMES, role_of, &op->shrink_volume->volume, 1);
    if (op->create_disk)
        return each(&q, disk_action(op->create_disk->target_type, true), role_of,
                    &op->create_disk->source, 1);
    if (op->destroy_disk)
        return check_destroy_disk(&q, &op->destroy_disk->source);
    return 0;
}

/* ---- tasks and frameworks ---- */

const char *acl_executor_user(const V1__ExecutorInfo *e, const V1__FrameworkInfo *framework)
{
    return e && e->command && e->command->user ? e->command->user : framework->user;
}

const char *acl_task_user(const V1__TaskInfo *t, const V1__FrameworkInfo *framework)
{
    if (t->command && t->command->user)
        return t->command->user;
    return acl_executor_user(t->executor, framework);
}

int acl_check_task(const struct acls *acls, const V1__TaskInfo *t,
                   const V1__FrameworkInfo *framework, struct fl_err *err)
{
    int r = 0;

    if (acls)
        r = acls_check(acls, ACL_RUN_TASKS, framework->principal, acl_task_user(t, framework), err);
    return r < 0 ? fl_err_wrap(err, "Not authorized to launch task '%.100s'", t->task_id->value)
                 : 0;
}

int acl_check_framework(const struct acls *acls, const V1__FrameworkInfo *info, struct fl_err *err)
{
    _cleanup_free_ const char **roles = NULL;
    size_t n = acls ? framework_roles(info, &roles) : 0;

    for (size_t i = 0; i < n; i++) {
        int r = acls_check(acls, ACL_REGISTER_FRAMEWORKS, info->principal, roles[i], err);
        if (r < 0)
            return fl_err_wrap(err, "Not authorized to use role '%.100s'", roles[i]);
    }
    return 0;
}
