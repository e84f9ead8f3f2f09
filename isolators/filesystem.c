/* filesystem/posix and filesystem/linux: the container sees the machine's files; volumes are links in the sandbox (posix) or bind
 * mounts in a mount namespace of its own (linux), so nothing has to be unmounted afterwards.
 *
 * Persistent volumes are here: they come with resources, not with ContainerInfo.volumes (volumes.c).
 */
#include "isolators/volume.h"

#include <sched.h>
#include <sys/mount.h>

STATELESS_CREATE(posix_create, isolator_filesystem_posix, false)
STATELESS_CREATE(linux_create, isolator_filesystem_linux, true)

static const char *reservation_role(const V1__Resource *r)
{
    if (r->n_reservations)
        return r->reservations[r->n_reservations - 1]->role;
    return r->role ? r->role : "*";
}

/* <work_dir>/volumes/roles/<role, with / as space>/<persistence id> */
static char *persistent_path(const char *work_dir, const V1__Resource *r)
{
    char *path = xasprintf("%s/volumes/roles/%s/%s", work_dir, reservation_role(r),
                           r->disk->persistence->id);
    size_t role = strlen(work_dir) + strlen("/volumes/roles/"), n = strlen(reservation_role(r));

    for (size_t i = role; i < role + n; i++)
        if (path[i] == '/')
            path[i] = ' ';
    return path;
}

static int add_persistent(const struct isolator_config *config, const struct isolated_container *c,
                          const V1__Resource *r, struct launch_plan *plan, struct fl_err *err)
{
    const V1__Volume *v = r->disk->volume;

    if (!v ||
        (r->disk->source && r->disk->source->type != V1__RESOURCE__DISK_INFO__SOURCE__TYPE__PATH))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "persistent volume '%s' is on a kind of disk that is not supported",
                          r->disk->persistence->id);
    _cleanup_free_ char *path = persistent_path(config->work_dir, r);
    int k = make_folders(path, err);
    return k < 0
               ? k
               : volume_add(c, path, v->container_path, v->mode == V1__VOLUME__MODE__RO, plan, err);
}

static int add_persistent_volumes(struct isolator *i, const struct isolated_container *c,
                                  struct launch_plan *plan, struct fl_err *err)
{
    _cleanup_resources_ struct resources volumes = RESOURCES_INIT;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    V1__Resource **pb;
    int r = 0;

    resources_persistent_volumes(c->resources, &volumes);
    if (resources_empty(&volumes))
        return 0;
    arena = fl_arena_new(1024);
    size_t n = resources_to_pb(&volumes, RESOURCES_POST_REFINEMENT, false, arena, &pb);
    for (size_t k = 0; k < n && r == 0; k++)
        r = add_persistent(stateless_config(i), c, pb[k], plan, err);
    return r;
}

static int linux_prepare(struct isolator *i, const struct isolated_container *c,
                         struct launch_plan *plan, struct fl_err *err)
{
    plan->clone_flags |= CLONE_NEWNS;
    /* The machine's later mounts come in, ours never go out. */
    launch_plan_mount(plan, NULL, "/", NULL, MS_SLAVE | MS_REC, NULL, 0);
    return add_persistent_volumes(i, c, plan, err);
}

static int no_image(const struct isolated_container *c, struct fl_err *err)
{
    if (c->info && c->info->mesos && c->info->mesos->image)
        return fl_err_set(
            err, FL_UNSUPPORTED,
            "container images are not supported; leave out ContainerInfo.mesos.image");
    return 0;
}

static int posix_prepare(struct isolator *i, const struct isolated_container *c,
                         struct launch_plan *plan, struct fl_err *err)
{
    int r = no_image(c, err);

    return r < 0 ? r : add_persistent_volumes(i, c, plan, err);
}

static int linux_prepare_checked(struct isolator *i, const struct isolated_container *c,
                                 struct launch_plan *plan, struct fl_err *err)
{
    int r = no_image(c, err);

    return r < 0 ? r : linux_prepare(i, c, plan, err);
}

const struct isolator_ops isolator_filesystem_posix = {
    .name = "filesystem/posix",
    .create = posix_create,
    .free = stateless_free,
    .prepare = posix_prepare,
};
const struct isolator_ops isolator_filesystem_linux = {
    .name = "filesystem/linux",
    .create = linux_create,
    .free = stateless_free,
    .prepare = linux_prepare_checked,
};
