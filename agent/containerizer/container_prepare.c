/* What comes before the launcher is asked; the agent's thread.
 *
 *   PROVISIONING  the container's image, then those of its volumes, one after the other
 *   PREPARING     the isolators in order; one that needs time says so and calls back (container_ready)
 *   then the plan is written into the runtime folder, URIs are fetched, and container_launch() goes on.
 *
 * While something is under way `asked` is set, so a container that is destroyed in the meantime is cleaned up when the answer comes.
 */
#include "agent/containerizer/containerizer_priv.h"

#include <errno.h>
#include <sched.h>

static void provision_next(struct container *c);
static void prepare_next(struct container *c);

/* True when the container is to end; whoever set it on that way waits for us. */
static bool is_over(struct container *c)
{
    c->asked = false;
    if (c->state != CONTAINER_DESTROYING)
        return false;
    container_clean_up(c);
    return true;
}

static void give_up(struct container *c, const struct fl_err *err)
{
    container_end_with(c, CONTAINER_LAUNCH_FAILED, err->msg);
}

/* ---- images ---- */

/* Which of `1 + n_volumes` images; NULL: none. */
static const V1__Image *image_at(const struct container *c, size_t i)
{
    const V1__ContainerInfo *info = c->info;

    if (i == 0)
        return info->mesos ? info->mesos->image : NULL;
    return info->volumes[i - 1]->image;
}

static void provisioned(void *arg, char *rootfs, struct image_config *config,
                        const struct fl_err *err)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);

    if (rootfs && c->provisioned == 0) {
        c->rootfs = rootfs;
        c->image = config;
    } else {
        if (rootfs)
            c->volume_roots[c->provisioned - 1] = rootfs;
        image_config_free(config);
    }
    if (is_over(c))
        return;
    if (err) {
        give_up(c, err);
        return;
    }
    c->provisioned++;
    provision_next(c);
}

static void provision_next(struct container *c)
{
    size_t n = c->info && !c->debug ? 1 + c->info->n_volumes : 0;
    struct fl_err err;

    while (c->provisioned < n && !image_at(c, c->provisioned))
        c->provisioned++;
    if (c->provisioned >= n) {
        c->state = CONTAINER_PREPARING;
        launch_plan_init(&c->plan);
        c->plan.flags = (c->checkpoint ? PLAN_CHECKPOINT : 0) |
                        (c->standalone ? PLAN_STANDALONE : 0) | (c->debug ? PLAN_DEBUG : 0) |
                        (c->shares_cgroups ? PLAN_SHARES_CGROUPS : 0) | container_io_flags(c);
        prepare_next(c);
        return;
    }
    if (!c->cz->provisioner) {
        fl_err_set(&err, FL_UNSUPPORTED,
                   "container '%s' wants an image, and this agent provides none; start it with "
                   "--image_providers=docker",
                   c->id);
        give_up(c, &err);
        return;
    }
    if (!c->volume_roots) {
        c->n_volume_roots = c->info->n_volumes;
        c->volume_roots = xcalloc(c->n_volume_roots + 1, sizeof(*c->volume_roots));
    }
    c->asked = true;
    provisioner_provision(c->cz->provisioner, c->id, image_at(c, c->provisioned), provisioned, c);
}

/* ---- isolators ---- */

static int write_plan(struct container *c, struct fl_err *err)
{
    int r = launch_plan_finish(&c->plan, err);

    if (r == 0)
        r = runtime_folder_make(c->folder, err);
    if (r == 0)
        r = runtime_file_write(c->folder, "plan", c->plan.buf, c->plan.len, err);
    uint64_t clone_flags = c->plan.clone_flags;
    launch_plan_done(&c->plan);
    c->plan.clone_flags = clone_flags;
    return r;
}

static void on_fetched(void *arg, const char *why)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);

    if (why)
        container_end_with(c, CONTAINER_LAUNCH_FAILED, why);
    else
        container_launch(c);
}

static void all_prepared(struct container *c)
{
    struct fl_err err;

    if (c->plan.clone_flags & CLONE_NEWPID)
        c->plan.flags |= PLAN_PID_NAMESPACE;
    int r = container_plan_logs(c, &err);
    if (r == 0)
        r = container_plan_command(c, &err);
    if (r == 0)
        r = write_plan(c, &err);
    if (r < 0) {
        give_up(c, &err);
        return;
    }
    if (!c->command->n_uris) {
        container_launch(c);
        return;
    }
    const struct fetch_spec what = {c->id, c->folder, c->user, c->sandbox, c->command};
    c->state = CONTAINER_FETCHING;
    fetch_begin(c->cz->fetches, &what, on_fetched, c, &c->fetch);
}

static void prepare_next(struct container *c)
{
    const struct isolated_container ic = container_isolated(c);
    struct fl_err err;

    while (c->prepared < c->cz->n_isolators) {
        struct isolator *iso = c->cz->isolators[c->prepared];
        int r = iso->ops->prepare ? iso->ops->prepare(iso, &ic, &c->plan, &err) : 0;
        if (r < 0) {
            fl_err_wrap(&err, "isolator '%s'", iso->ops->name);
            give_up(c, &err);
            return;
        }
        if (r == ISOLATOR_WAIT) {
            c->asked = true;
            return;
        }
        c->prepared++;
    }
    all_prepared(c);
}

void container_ready(void *containerizer, const char *id, const struct fl_err *err)
{
    struct real_containerizer *cz = containerizer;
    struct container *c;
    struct fl_err why;

    HASH_FIND_STR(cz->containers, id, c);
    assert(c && c->asked && c->prepared < cz->n_isolators);
    if (is_over(c))
        return;
    if (err) {
        why = *err;
        fl_err_wrap(&why, "isolator '%s'", cz->isolators[c->prepared]->ops->name);
        give_up(c, &why);
        return;
    }
    c->prepared++;
    prepare_next(c);
}

void container_begin(void *container)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, container);

    if (!is_over(c))
        provision_next(c);
}
