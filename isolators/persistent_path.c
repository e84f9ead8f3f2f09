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

int persistent_volumes_each(const char *work_dir, const struct resources *of,
                            persistent_volume_f *fn, void *arg, struct fl_err *err)
{
    _cleanup_resources_ struct resources volumes = RESOURCES_INIT;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    V1__Resource **pb;
    size_t n;

    resources_persistent_volumes(of, &volumes);
    if (resources_empty(&volumes))
        return 0;
    arena = fl_arena_new(1024);
    n = resources_to_pb(&volumes, RESOURCES_POST_REFINEMENT, false, arena, &pb);
    for (size_t i = 0; i < n; i++) {
        char *path;
        int r = persistent_volume_path(work_dir, pb[i], &path, err);

        if (r < 0)
            return r;
        fn(pb[i], path, arg);
    }
    return 0;
}
