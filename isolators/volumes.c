/* volume/host_path and volume/sandbox_path: ContainerInfo.volumes.
 *
 * A relative container_path lies in the sandbox and is made there; an absolute one is a place of the machine that must exist, and is
 * covered in the container's mount namespace only. A volume with a relative host_path means a folder of the sandbox.
 */
#include "isolators/volume.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

STATELESS_CREATE(host_create, isolator_volume_host_path, true)
STATELESS_CREATE(sandbox_create, isolator_volume_sandbox_path, false)

static int target_of(const struct isolated_container *c, const char *container_path, bool dir,
                     unsigned *options, struct fl_err *err)
{
    struct stat st;

    if (container_path[0] != '/') {
        *options |= PLAN_MOUNT_TARGET_IN_SANDBOX;
        return sandbox_make(c->sandbox, container_path, dir ? SANDBOX_DIR : SANDBOX_FILE, NULL,
                            err);
    }
    if (stat(container_path, &st) < 0)
        return fl_err_errno(err, errno, "find the mount point '%s', which must exist on the agent",
                            container_path);
    return 0;
}

/* The path of openat2 in the shim: no leading "./", no "." alone. */
static const char *plain(const char *path)
{
    while (str_starts(path, "./"))
        path += 2;
    return path;
}

/* Whether a component of the path is "..", which would lead out of the place it names. */
static bool climbs(const char *path)
{
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (!p[2] || p[2] == '/'))
            return true;
    }
    return false;
}

static int check_container_path(const char *path, struct fl_err *err)
{
    const char *rest = plain(path);

    if (climbs(path))
        return fl_err_set(err, FL_INVALID,
                          "the container_path '%s' of a volume must not contain '..'", path);
    if (!*rest || streq(rest, ".") || strspn(rest, "/") == strlen(rest))
        return fl_err_set(err, FL_INVALID, "the container_path '%s' of a volume names no place",
                          path);
    return 0;
}

int volume_link(const char *sandbox, const char *source, const char *container_path,
                struct fl_err *err)
{
    int r = check_container_path(container_path, err);

    if (r < 0)
        return r;
    if (container_path[0] == '/')
        return fl_err_set(err, FL_UNSUPPORTED,
                          "a volume at '%s', which is outside of the sandbox, needs the isolator "
                          "filesystem/linux and can only be there from the start of the container",
                          container_path);
    return sandbox_make(sandbox, plain(container_path), SANDBOX_LINK, source, err);
}

void volume_unlink(const char *sandbox, const char *source, const char *container_path)
{
    if (container_path[0] != '/')
        sandbox_unlink(sandbox, plain(container_path), source);
}

int volume_add(const struct isolated_container *c, const char *source, const char *container_path,
               bool read_only, struct launch_plan *plan, struct fl_err *err)
{
    unsigned options = read_only ? PLAN_MOUNT_READ_ONLY : 0;
    struct stat st;
    int r = check_container_path(container_path, err);

    if (r < 0)
        return r;
    if (stat(source, &st) < 0)
        return fl_err_errno(err, errno, "find '%s' for the volume at '%s'", source, container_path);
    if (!launch_plan_has_mounts(plan)) {
        if (container_path[0] == '/' || read_only)
            return fl_err_set(err, FL_UNSUPPORTED,
                              "a volume at '%s' that is %s needs the isolator filesystem/linux",
                              container_path, read_only ? "read-only" : "outside of the sandbox");
        return sandbox_make(c->sandbox, plain(container_path), SANDBOX_LINK, source, err);
    }
    r = target_of(c, plain(container_path), S_ISDIR(st.st_mode), &options, err);
    if (r == 0)
        launch_plan_mount(plan, source, plain(container_path), NULL, MS_BIND | MS_REC, NULL,
                          options);
    return r;
}

int volume_add_from_sandbox(const struct isolated_container *c, const char *source,
                            const char *container_path, bool read_only, struct launch_plan *plan,
                            struct fl_err *err)
{
    unsigned options = PLAN_MOUNT_SOURCE_IN_SANDBOX | (read_only ? PLAN_MOUNT_READ_ONLY : 0);

    int r = check_container_path(container_path, err);
    if (r < 0)
        return r;
    source = plain(source);
    r = sandbox_make(c->sandbox, source, SANDBOX_DIR, NULL, err);
    if (r < 0)
        return r;
    if (!launch_plan_has_mounts(plan)) {
        _cleanup_free_ char *whole = xasprintf("%s/%s", c->sandbox, source);
        return volume_add(c, whole, container_path, read_only, plan, err);
    }
    r = target_of(c, plain(container_path), true, &options, err);
    if (r == 0)
        launch_plan_mount(plan, source, plain(container_path), NULL, MS_BIND | MS_REC, NULL,
                          options);
    return r;
}

/* Below one of the colon-separated folders of --host_path_volume_force_creation? */
static bool may_create(const char *list, const char *path)
{
    if (strstr(path, "/.."))
        return false;
    for (const char *p = list; p && *p;) {
        size_t n = strcspn(p, ":");
        if (n && strncmp(path, p, n) == 0 && (path[n] == '/' || path[n] == '\0' || p[n - 1] == '/'))
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

/* The absolute host path of a volume, NULL when it has none. */
static const char *host_path_of(const V1__Volume *v)
{
    const char *path = v->host_path;

    if (v->source && v->source->has_type &&
        v->source->type == V1__VOLUME__SOURCE__TYPE__HOST_PATH && v->source->host_path)
        path = v->source->host_path->path;
    return path && *path == '/' ? path : NULL;
}

static int host_prepare(struct isolator *i, const struct isolated_container *c,
                        struct launch_plan *plan, struct fl_err *err)
{
    int r = 0;

    for (size_t k = 0; c->info && k < c->info->n_volumes && r == 0; k++) {
        const V1__Volume *v = c->info->volumes[k];
        const char *path = host_path_of(v);
        if (!path)
            continue;
        if (access(path, F_OK) < 0 &&
            may_create(stateless_config(i)->host_path_volume_force_creation, path))
            r = make_folders(path, err);
        if (r == 0)
            r = volume_add(c, path, v->container_path, v->mode == V1__VOLUME__MODE__RO, plan, err);
    }
    return r;
}

/* The sandbox path of a volume, NULL when it has none. */
static int sandbox_path_of(const V1__Volume *v, const char **ret, bool *ret_parents,
                           struct fl_err *err)
{
    const V1__Volume__Source *s = v->source;

    *ret = NULL;
    if (!s || !s->has_type || s->type != V1__VOLUME__SOURCE__TYPE__SANDBOX_PATH) {
        if (v->host_path && *v->host_path != '/')
            *ret = v->host_path;
        return 0;
    }
    if (!s->sandbox_path)
        return fl_err_set(err, FL_INVALID, "a volume of type SANDBOX_PATH has no sandbox_path");
    if (s->sandbox_path->has_type &&
        s->sandbox_path->type == V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__PARENT)
        *ret_parents = true;
    *ret = s->sandbox_path->path;
    return 0;
}

/* A folder of the parent's sandbox, made if need be. */
static int volume_add_from_parent(const struct isolated_container *c, const char *source,
                                  const char *container_path, bool read_only,
                                  struct launch_plan *plan, struct fl_err *err)
{
    if (!c->parent_sandbox)
        return fl_err_set(err, FL_INVALID,
                          "a volume of a container without a parent cannot be of type PARENT");
    if (climbs(source))
        return fl_err_set(err, FL_INVALID, "the path '%s' of a volume must not contain '..'",
                          source);
    int r = sandbox_make(c->parent_sandbox, plain(source), SANDBOX_DIR, NULL, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *whole = xasprintf("%s/%s", c->parent_sandbox, plain(source));
    return volume_add(c, whole, container_path, read_only, plan, err);
}

static int sandbox_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    int r = 0;

    for (size_t k = 0; c->info && k < c->info->n_volumes && r == 0; k++) {
        const V1__Volume *v = c->info->volumes[k];
        const char *path;
        bool parents = false;
        r = sandbox_path_of(v, &path, &parents, err);
        if (r == 0 && parents)
            r = volume_add_from_parent(c, path, v->container_path, v->mode == V1__VOLUME__MODE__RO,
                                       plan, err);
        else if (r == 0 && path)
            r = volume_add_from_sandbox(c, path, v->container_path, v->mode == V1__VOLUME__MODE__RO,
                                        plan, err);
    }
    return r;
}

const struct isolator_ops isolator_volume_host_path = {
    .name = "volume/host_path",
    .create = host_create,
    .free = stateless_free,
    .prepare = host_prepare,
};
const struct isolator_ops isolator_volume_sandbox_path = {
    .name = "volume/sandbox_path",
    .create = sandbox_create,
    .free = stateless_free,
    .prepare = sandbox_prepare,
};
