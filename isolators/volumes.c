/* volume/host_path, volume/sandbox_path and volume/image: ContainerInfo.volumes.
 *
 * A relative container_path lies in the sandbox and is made there. An absolute one is made in the container's own root, when it has one;
 * otherwise it is a place of the machine that must exist, and is covered in the container's mount namespace only. A volume with a
 * relative host_path means a folder of the sandbox. With mounts, sources and targets in sandboxes are looked for, and made, by the shim,
 * which sees what else is mounted there, and follows no links.
 */
#include "isolators/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

STATELESS_CREATE(host_create, isolator_volume_host_path, true)
STATELESS_CREATE(image_create, isolator_volume_image, true)
STATELESS_CREATE(sandbox_create, isolator_volume_sandbox_path, false)

/* What is not there is made by the shim: in the sandbox, or in a root of the container's own. */
static int target_of(const struct isolated_container *c, const char *container_path,
                     unsigned *options, struct fl_err *err)
{
    struct stat st;

    if (container_path[0] != '/') {
        *options |= PLAN_MOUNT_TARGET_IN_SANDBOX;
        return 0;
    }
    if (!c->rootfs && stat(container_path, &st) < 0)
        return fl_err_errno(err, errno,
                            "Mount point '%s' is an absolute path. It must exist if the container "
                            "shares the host filesystem",
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

int volume_target(const struct isolated_container *c, const char **container_path,
                  unsigned *options, struct fl_err *err)
{
    int r = check_container_path(*container_path, err);

    *container_path = plain(*container_path);
    return r < 0 ? r : target_of(c, *container_path, options, err);
}

static int add_bind(const struct isolated_container *c, const char *source,
                    const char *container_path, unsigned options, struct launch_plan *plan,
                    struct fl_err *err)
{
    int r = target_of(c, plain(container_path), &options, err);

    if (r == 0)
        launch_plan_mount(plan, source, plain(container_path), NULL, MS_BIND | MS_REC, NULL,
                          options);
    return r;
}

static int add(const struct isolated_container *c, const char *source, const char *container_path,
               unsigned options, struct launch_plan *plan, struct fl_err *err)
{
    bool read_only = options & PLAN_MOUNT_READ_ONLY;
    int r = check_container_path(container_path, err);

    if (r < 0)
        return r;
    if (access(source, F_OK) < 0)
        return fl_err_errno(err, errno, "find '%s' for the volume at '%s'", source, container_path);
    if (!launch_plan_has_mounts(plan)) {
        if (container_path[0] == '/' || read_only)
            return fl_err_set(err, FL_UNSUPPORTED,
                              "a volume at '%s' that is %s needs the isolator filesystem/linux",
                              container_path, read_only ? "read-only" : "outside of the sandbox");
        return sandbox_make(c->sandbox, plain(container_path), SANDBOX_LINK, source, err);
    }
    if (!c->rootfs && !options && streq(source, container_path))
        return 0; /* seen there as it is */
    return add_bind(c, source, container_path, options, plan, err);
}

int volume_add(const struct isolated_container *c, const char *source, const char *container_path,
               bool read_only, struct launch_plan *plan, struct fl_err *err)
{
    return add(c, source, container_path, read_only ? PLAN_MOUNT_READ_ONLY : 0, plan, err);
}

/* A folder of its own sandbox or its parent's. */
static int add_from_sandbox(const struct isolated_container *c, bool of_parent, const char *path,
                            const V1__Volume *v, struct launch_plan *plan, struct fl_err *err)
{
    const char *sandbox = of_parent ? c->parent_sandbox : c->sandbox;
    unsigned options = v->mode == V1__VOLUME__MODE__RO ? PLAN_MOUNT_READ_ONLY : 0;
    int r = check_container_path(v->container_path, err);

    if (r < 0)
        return r;
    path = plain(path);
    if (*path == '/' || climbs(path))
        return fl_err_set(err, FL_INVALID,
                          "the path '%s' of a volume must be relative and not contain '..'", path);
    if (!launch_plan_has_mounts(plan)) {
        r = *path && !streq(path, ".") ? sandbox_make(sandbox, path, SANDBOX_DIR, NULL, err) : 0;
        _cleanup_free_ char *whole = xasprintf("%s/%s", sandbox, path);
        return r < 0 ? r : add(c, whole, v->container_path, options, plan, err);
    }
    if (!of_parent)
        return add_bind(c, *path ? path : ".", v->container_path,
                        options | PLAN_MOUNT_SOURCE_IN_SANDBOX, plan, err);
    /* Below the root's, whose user may have put links anywhere. */
    const char *below = sandbox + strlen(c->root_sandbox);
    _cleanup_free_ char *whole = xasprintf("%s%s%s", *below == '/' ? below + 1 : "",
                                           *below == '/' ? "/" : "", *path ? path : ".");
    return add_bind(c, whole, v->container_path, options | PLAN_MOUNT_SOURCE_IN_SANDBOX_ROOT, plan,
                    err);
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

static bool is_bidirectional(const V1__Volume *v)
{
    const V1__Volume__Source__HostPath *h = v->source ? v->source->host_path : NULL;
    const V1__MountPropagation *p = h ? h->mount_propagation : NULL;

    return p && p->has_mode && p->mode == V1__MOUNT_PROPAGATION__MODE__BIDIRECTIONAL;
}

/* Whether the mount that `path` lies on has peers, by its line in /proc/self/mountinfo. */
static bool is_shared(const char *path)
{
    struct statx st;
    _cleanup_free_ char *line = NULL;
    char id[32];
    size_t cap = 0;
    bool found = false, shared = false;

    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
        return false;
    fl_snprintf(id, sizeof(id), "%llu ", (unsigned long long)st.stx_mnt_id);
    FILE *in = fopen("/proc/self/mountinfo", "re");
    while (in && !found && getline(&line, &cap, in) > 0) {
        const char *options = strstr(line, " - "), *at = strstr(line, " shared:");
        found = str_starts(line, id);
        shared = found && at && at < options;
    }
    if (in)
        fclose(in);
    return shared;
}

static int add_host_volume(struct isolator *i, const struct isolated_container *c,
                           const V1__Volume *v, const char *path, struct launch_plan *plan,
                           struct fl_err *err)
{
    unsigned options = v->mode == V1__VOLUME__MODE__RO ? PLAN_MOUNT_READ_ONLY : 0;
    int r = 0;

    if (c->debug)
        return fl_err_set(err, FL_INVALID,
                          "HOST_PATH volume is not supported for DEBUG containers");
    if (access(path, F_OK) < 0) {
        if (!may_create(stateless_config(i)->host_path_volume_force_creation, path))
            return fl_err_set(err, FL_NOT_FOUND, "Path '%s' in HOST_PATH volume does not exist",
                              path);
        r = make_folders(path, err);
    }
    if (r == 0 && is_bidirectional(v)) {
        if (!is_shared(path))
            return fl_err_set(err, FL_INVALID,
                              "Cannot setup bidirectional mount propagation for host path '%s' "
                              "because it is not under a shared mount",
                              path);
        options |= PLAN_MOUNT_SHARED;
        plan->flags |= PLAN_SHARED_MOUNTS;
    }
    return r < 0 ? r : add(c, path, v->container_path, options, plan, err);
}

static int host_prepare(struct isolator *i, const struct isolated_container *c,
                        struct launch_plan *plan, struct fl_err *err)
{
    int r = 0;

    for (size_t k = 0; c->info && k < c->info->n_volumes && r == 0; k++) {
        const V1__Volume *v = c->info->volumes[k];
        const char *path = host_path_of(v);
        if (path)
            r = add_host_volume(i, c, v, path, plan, err);
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

static int sandbox_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    int r = 0;

    for (size_t k = 0; c->info && k < c->info->n_volumes && r == 0; k++) {
        const char *path;
        bool of_parent = false;
        r = sandbox_path_of(c->info->volumes[k], &path, &of_parent, err);
        if (r < 0 || !path)
            continue;
        if (c->debug)
            return fl_err_set(err, FL_INVALID,
                              "SANDBOX_PATH volume is not supported for DEBUG containers");
        if (of_parent && !c->parent_sandbox)
            return fl_err_set(err, FL_INVALID,
                              "SANDBOX_PATH volume PARENT type only works for nested container");
        r = add_from_sandbox(c, of_parent, path, c->info->volumes[k], plan, err);
    }
    return r;
}

static int image_prepare(struct isolator *i, const struct isolated_container *c,
                         struct launch_plan *plan, struct fl_err *err)
{
    int r = 0;

    for (size_t k = 0; c->volume_roots && k < c->info->n_volumes && r == 0; k++) {
        const V1__Volume *v = c->info->volumes[k];
        if (c->volume_roots[k])
            r = volume_add(c, c->volume_roots[k], v->container_path,
                           v->mode == V1__VOLUME__MODE__RO, plan, err);
    }
    return r;
}

const struct isolator_ops isolator_volume_image = {
    .name = "volume/image",
    .create = image_create,
    .free = stateless_free,
    .prepare = image_prepare,
};
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
