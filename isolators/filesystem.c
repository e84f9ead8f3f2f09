/* filesystem/posix and filesystem/linux: the container sees the machine's files; volumes are links in the sandbox (posix) or bind
 * mounts in a mount namespace of its own (linux), so nothing has to be unmounted afterwards.
 *
 * Persistent volumes are here: they come with resources, not with ContainerInfo.volumes (volumes.c). Those of later tasks of an
 * executor appear as links under both isolators, for a link is as good where the machine's files are seen; they go with the task.
 * A volume belongs to the user of the sandbox that shows it, a shared one to that of the first.
 */
#include "isolators/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "isolators/filesystem_root.h"
#include "isolators/id_map.h"
#include "isolators/persistent_path.h"

/* A persistent volume and where a container shows it. */
struct view {
    char *source, *at; /* owned */
    bool read_only, shared;
};
struct views {
    struct view *v;
    size_t n, cap;
};

struct fs_isolator {
    struct stateless_isolator base; /* first */
    struct id_map containers;       /* of struct fs_entry */
};
struct fs_entry {
    struct id_entry id; /* first */
    struct views views;
};

static void views_done(struct views *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].source);
        free(l->v[i].at);
    }
    free(l->v);
    *l = (struct views){0};
}

static void add_view(const V1__Resource *volume, char *path, void *arg)
{
    const V1__Volume *v = volume->disk->volume;
    struct views *l = arg;

    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = (struct view){path, xstrdup(v ? v->container_path : ""),
                                 v && v->mode == V1__VOLUME__MODE__RO, volume->shared != NULL};
}

static int views_of(const struct isolator *i, const struct resources *of, struct views *out,
                    struct fl_err *err)
{
    return of ? persistent_volumes_each(stateless_config(i)->work_dir, of, add_view, out, err) : 0;
}

static bool shows(const struct views *l, const struct view *what)
{
    for (size_t i = 0; i < l->n; i++) {
        if (streq(l->v[i].source, what->source) && streq(l->v[i].at, what->at))
            return true;
    }
    return false;
}

static bool used_elsewhere(const struct fs_isolator *fs, const char *id, const char *source)
{
    for (struct id_entry *x = fs->containers.head; x; x = x->hh.next) {
        const struct fs_entry *e = (const struct fs_entry *)x;

        for (size_t i = 0; i < e->views.n && !streq(x->id, id); i++) {
            if (streq(e->views.v[i].source, source))
                return true;
        }
    }
    return false;
}

/* The folder above belongs to the agent, so its user cannot put a link in the volume's place. */
static int give_to_user(const struct fs_isolator *fs, const struct isolated_container *c,
                        const struct view *v, struct fl_err *err)
{
    _cleanup_close_ int fd = open(v->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat sandbox, now;

    if (fd < 0 || stat(c->sandbox, &sandbox) < 0 || fstat(fd, &now) < 0)
        return fl_err_errno(err, errno, "open the persistent volume '%s'", v->source);
    if (sandbox.st_uid == 0 || (now.st_uid == sandbox.st_uid && now.st_gid == sandbox.st_gid) ||
        (v->shared && used_elsewhere(fs, c->id, v->source)))
        return 0;
    if (fchown(fd, sandbox.st_uid, sandbox.st_gid) < 0 && geteuid() == 0)
        return fl_err_errno(err, errno, "give the persistent volume '%s' to user %u", v->source,
                            (unsigned)sandbox.st_uid);
    return 0;
}

static int take_up(const struct fs_isolator *fs, const struct isolated_container *c,
                   const struct view *v, struct fl_err *err)
{
    int r = make_folders(v->source, err);

    return r < 0 ? r : give_to_user(fs, c, v, err);
}

/* A link cannot be read-only; the protocol's posix isolator lets the task have it all the same. */
static bool only_by_link(const struct view *v, const struct launch_plan *plan_or_null)
{
    bool link = !plan_or_null || !launch_plan_has_mounts(plan_or_null);

    if (link && v->read_only)
        log_warning("The read-only persistent volume '%s' can be written through the link at '%s'; "
                    "the isolator filesystem/linux would prevent it",
                    v->source, v->at);
    return link;
}

static int add_persistent_volumes(struct isolator *i, const struct isolated_container *c,
                                  struct launch_plan *plan, struct fl_err *err)
{
    struct fs_isolator *fs = (struct fs_isolator *)i;
    struct fs_entry *e = id_map_make(&fs->containers, c->id, sizeof *e);
    int r;

    views_done(&e->views);
    r = views_of(i, c->resources, &e->views, err);
    for (size_t k = 0; k < e->views.n && r == 0; k++) {
        const struct view *v = &e->views.v[k];

        r = take_up(fs, c, v, err);
        if (r == 0)
            r = volume_add(c, v->source, v->at, v->read_only && !only_by_link(v, plan), plan, err);
    }
    return r;
}

static int add_link(const struct fs_isolator *fs, const struct isolated_container *c,
                    const struct view *v, struct fl_err *err)
{
    int r = take_up(fs, c, v, err);

    if (r < 0)
        return r;
    if (c->rootfs || (v->read_only && fs->base.base.ops == &isolator_filesystem_linux))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "the %s at '%s' can only be there from the start of its executor",
                          c->rootfs ? "persistent volume of a container with an image"
                                    : "read-only persistent volume",
                          v->at);
    only_by_link(v, NULL);
    return volume_link(c->sandbox, v->source, v->at, err);
}

/* A later task of the executor brings volumes, a task that ended takes its own along. */
static int fs_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct fs_isolator *fs = (struct fs_isolator *)i;
    struct fs_entry *e = id_map_get(&fs->containers, c->id);
    _cleanup_(views_done) struct views now = {0};
    int r = e ? views_of(i, c->resources, &now, err) : 0;

    for (size_t k = 0; e && k < e->views.n && r == 0; k++) {
        if (!shows(&now, &e->views.v[k]))
            volume_unlink(c->sandbox, e->views.v[k].source, e->views.v[k].at);
    }
    for (size_t k = 0; k < now.n && r == 0; k++) {
        if (!shows(&e->views, &now.v[k]))
            r = add_link(fs, c, &now.v[k], err);
    }
    if (e && r == 0) {
        struct views old = e->views;

        e->views = now;
        now = old;
    }
    return r;
}

static int fs_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                      struct fl_err *err)
{
    struct fs_entry *e = id_map_make(&((struct fs_isolator *)i)->containers, c->id, sizeof *e);

    views_done(&e->views);
    return views_of(i, c->resources, &e->views, err);
}

static int fs_cleanup(struct isolator *i, const char *id)
{
    struct fs_isolator *fs = (struct fs_isolator *)i;
    struct fs_entry *e = id_map_get(&fs->containers, id);

    if (e) {
        views_done(&e->views);
        id_map_drop(&fs->containers, e);
    }
    return 0;
}

static void fs_free(struct isolator *i)
{
    struct fs_isolator *fs = (struct fs_isolator *)i;

    while (fs->containers.head)
        fs_cleanup(i, fs->containers.head->id);
    free(fs);
}

static int fs_create(const struct isolator_ops *ops, const struct isolator_config *config,
                     struct isolator **ret)
{
    struct fs_isolator *fs = xnew0(struct fs_isolator);

    fs->base.base.ops = ops;
    fs->base.config = config;
    *ret = &fs->base.base;
    return 0;
}

static int posix_create(struct fl_loop *loop, const struct isolator_config *config,
                        isolator_limit_f *limit, void *arg, struct isolator **ret,
                        struct fl_err *err)
{
    return fs_create(&isolator_filesystem_posix, config, ret);
}

static int linux_create(struct fl_loop *loop, const struct isolator_config *config,
                        isolator_limit_f *limit, void *arg, struct isolator **ret,
                        struct fl_err *err)
{
    int r = need_linux(config, err);

    return r < 0 ? r : fs_create(&isolator_filesystem_linux, config, ret);
}

static int check_debug(const struct isolated_container *c, struct fl_err *err)
{
    if (c->info && c->info->mesos && c->info->mesos->image)
        return fl_err_set(err, FL_INVALID, "A 'rootfs' cannot be set for DEBUG containers");
    if (c->info && c->info->n_volumes)
        return fl_err_set(err, FL_INVALID, "Volumes not supported for DEBUG containers");
    return 0;
}

/* The machine's later mounts come in, ours never go out. */
static void plan_mounts(const struct isolator *i, const struct isolated_container *c,
                        struct launch_plan *plan)
{
    const struct isolator_config *config = stateless_config(i);

    if (filesystem_is_fresh(c)) {
        filesystem_plan_fresh(config, c, plan);
    } else {
        if (c->root_id) {
            /* The parent's volumes are there; what comes on top is for itself. */
            plan->join |= CLONE_NEWNS;
            plan->unshare |= CLONE_NEWNS;
        } else {
            plan->clone_flags |= CLONE_NEWNS;
        }
        launch_plan_mount(plan, NULL, "/", NULL, MS_SLAVE | MS_REC, NULL, 0);
    }
    if (c->rootfs)
        filesystem_plan_root(config, c, plan);
}

static int linux_prepare(struct isolator *i, const struct isolated_container *c,
                         struct launch_plan *plan, struct fl_err *err)
{
    if (c->debug) {
        plan->join |= CLONE_NEWNS;
        return check_debug(c, err);
    }
    plan_mounts(i, c, plan);
    return c->root_id ? 0 : add_persistent_volumes(i, c, plan, err);
}

static int posix_prepare(struct isolator *i, const struct isolated_container *c,
                         struct launch_plan *plan, struct fl_err *err)
{
    if (c->info && c->info->mesos && c->info->mesos->image)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "a container with an image needs the isolator filesystem/linux");
    return add_persistent_volumes(i, c, plan, err);
}

const struct isolator_ops isolator_filesystem_posix = {
    .name = "filesystem/posix",
    .create = posix_create,
    .free = fs_free,
    .recover = fs_recover,
    .update = fs_update,
    .cleanup = fs_cleanup,
    .prepare = posix_prepare,
};
const struct isolator_ops isolator_filesystem_linux = {
    .name = "filesystem/linux",
    .create = linux_create,
    .free = fs_free,
    .recover = fs_recover,
    .update = fs_update,
    .cleanup = fs_cleanup,
    .prepare = linux_prepare,
};
