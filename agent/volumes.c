/* Persistent volumes as folders: which of them come and go between two states of the agent's resources, and carrying that out
 * (features.md 3.7; where they lie: isolators/persistent_path.h).
 *
 * A folder that is there when its volume is made stays as it is. What a task of any user left in a volume that goes is removed
 * without following links. The folder of a MOUNT disk stays, empty. Everything may be done twice: after a crash it is.
 *
 * Finding out is for the core's thread, carrying out for any.
 */
#include "agent/agent_priv.h"
#include "common/base/log.h"
#include "isolators/persistent_path.h"

struct paths {
    struct agent_volume *v; /* owned */
    size_t n, cap;
};

static void paths_done(struct paths *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i].path);
    free(p->v);
}

static void add_path(const V1__Resource *volume, char *path, void *arg)
{
    struct paths *p = arg;

    p->v = xgrow(p->v, &p->cap, p->n + 1, sizeof *p->v);
    p->v[p->n++] = (struct agent_volume){path, persistent_volume_is_mount(volume)};
}

static int volume_paths(const struct agent_core *a, const struct resources *of, struct paths *out,
                        struct fl_err *err)
{
    return persistent_volumes_each(a->work_dir, of, add_path, out, err);
}

static bool among(const struct paths *p, const char *path)
{
    for (size_t i = 0; i < p->n; i++) {
        if (streq(p->v[i].path, path))
            return true;
    }
    return false;
}

/* Moves those of `from` that are not in `other` to `out`. */
static void take_others(struct paths *from, const struct paths *other, struct agent_volume **out,
                        size_t *ret_n)
{
    *out = xcalloc(from->n + 1, sizeof **out);
    for (size_t i = 0; i < from->n; i++) {
        if (among(other, from->v[i].path))
            continue;
        (*out)[(*ret_n)++] = (struct agent_volume){xstrdup(from->v[i].path), from->v[i].mount};
    }
}

int agent_volumes_compare(const struct agent_core *a, const struct resources *before,
                          const struct resources *after, struct agent_volume_changes *out,
                          struct fl_err *err)
{
    _cleanup_(paths_done) struct paths old = {0}, new = {0};
    int r = volume_paths(a, before, &old, err);

    if (r == 0)
        r = volume_paths(a, after, &new, err);
    if (r < 0)
        return r;
    take_others(&new, &old, &out->made, &out->n_made);
    take_others(&old, &new, &out->gone, &out->n_gone);
    return 0;
}

void agent_volume_changes_done(struct agent_volume_changes *c)
{
    for (size_t i = 0; i < c->n_made; i++)
        free(c->made[i].path);
    for (size_t i = 0; i < c->n_gone; i++)
        free(c->gone[i].path);
    free(c->made);
    free(c->gone);
}

static int sync_folder_of(struct agent_env *env, const char *path, struct fl_err *err)
{
    _cleanup_free_ char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');

    if (!slash || slash == parent)
        return 0;
    *slash = '\0';
    return env->io->sync(env->ctx, parent, err);
}

int agent_volumes_carry_out(struct agent_env *env, const struct agent_volume_changes *c,
                            struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; i < c->n_gone && r == 0; i++) {
        const struct agent_volume *v = &c->gone[i];

        r = env->io->empty(env->ctx, v->path, !v->mount, err);
        /* Once the state says that it is gone nobody looks for its data again. */
        if (r == 0 && !v->mount)
            r = sync_folder_of(env, v->path, err);
        if (r < 0)
            fl_err_wrap(err, "cannot remove the persistent volume at '%s'", v->path);
    }
    for (size_t i = 0; i < c->n_made && r == 0; i++) {
        r = env->io->mkdir(env->ctx, c->made[i].path, NULL, err);
        if (r < 0)
            fl_err_wrap(err, "cannot make the persistent volume at '%s'", c->made[i].path);
    }
    return r;
}

/* Whether a volume of `op` would lie where the data of one that was destroyed may still be. */
bool agent_volumes_must_wait(const struct agent_core *a, const struct resources *on_disk,
                             const V1__Offer__Operation *op)
{
    _cleanup_(paths_done) struct paths old = {0}, now = {0};
    struct fl_err err;
    bool wait = false;

    if (op->type != V1__OFFER__OPERATION__TYPE__CREATE || !op->create)
        return false;
    if (volume_paths(a, on_disk, &old, &err) < 0 || old.n == 0 ||
        volume_paths(a, &a->checkpointed, &now, &err) < 0)
        return false;
    for (size_t i = 0; i < op->create->n_volumes && !wait; i++) {
        const V1__Resource *v = op->create->volumes[i];
        _cleanup_free_ char *path = NULL;

        if (v->disk && v->disk->persistence &&
            persistent_volume_path(a->work_dir, v, &path, &err) == 0)
            wait = among(&old, path) && !among(&now, path);
    }
    return wait;
}
