/* See persistent_path.h. Any thread. */
#include "isolators/persistent_path.h"

#include "common/model/roles.h"
#include "common/model/validate.h"

static const char *reservation_role(const V1__Resource *r)
{
    if (r->n_reservations > 0)
        return r->reservations[r->n_reservations - 1]->role;
    return r->role ? r->role : "*";
}

bool persistent_volume_is_mount(const V1__Resource *volume)
{
    const V1__Resource__DiskInfo__Source *s = volume->disk ? volume->disk->source : NULL;

    return s && s->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT;
}

static char *below(const char *work_dir, const char *root)
{
    return *root == '/' ? xstrdup(root) : xasprintf("%s/%s", work_dir, root);
}

/* The disk's root; NULL: a kind without one. */
static char *root_of(const char *work_dir, const V1__Resource *v)
{
    const V1__Resource__DiskInfo__Source *s = v->disk->source;

    if (v->provider_id)
        return NULL;
    if (!s)
        return xstrdup(work_dir);
    if (s->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__PATH && s->path && s->path->root)
        return below(work_dir, s->path->root);
    if (s->type == V1__RESOURCE__DISK_INFO__SOURCE__TYPE__MOUNT && s->mount && s->mount->root)
        return below(work_dir, s->mount->root);
    return NULL;
}

int persistent_volume_path(const char *work_dir, const V1__Resource *volume, char **ret,
                           struct fl_err *err)
{
    const char *id = volume->disk->persistence->id;
    _cleanup_free_ char *role = xstrdup(reservation_role(volume));
    _cleanup_free_ char *root = root_of(work_dir, volume);
    int r = validate_id(id, err);

    if (r == 0)
        r = role_validate(role, err);
    if (r < 0)
        return fl_err_wrap(err, "persistent volume '%s'", id);
    if (!root)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "persistent volume '%s' is on a kind of disk that holds no files", id);
    for (char *p = role; *p; p++) {
        if (*p == '/')
            *p = ' ';
    }
    *ret = persistent_volume_is_mount(volume) ? TAKE_PTR(root)
                                              : xasprintf("%s/volumes/roles/%s/%s", root, role, id);
    return 0;
}
