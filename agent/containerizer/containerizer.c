/* The containerizer's face: the vtable, the table of containers, what is refused at once. The life of each container is in
 * container.c. The agent's thread; nothing here blocks. */
#include "agent/containerizer/containerizer_priv.h"

#include <errno.h>
#include <math.h>
#include <pwd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <utlist.h>

#include "common/base/env.h"
#include "common/base/json.h"

/* ---- the objects ---- */

struct container *container_new(struct real_containerizer *cz, const char *id)
{
    struct container *c = xnew0(struct container);

    c->magic = CONTAINER_MAGIC;
    c->cz = cz;
    c->id = xstrdup(id);
    c->folder = runtime_folder(cz->flags->runtime_dir, id);
    c->note_fd = c->pidfd = -EBADF;
    HASH_ADD_KEYPTR(hh, cz->containers, c->id, strlen(c->id), c);
    cz->n_containers++;
    _cleanup_free_ char *parent = container_parent_id(id);
    if (parent) {
        HASH_FIND_STR(cz->containers, parent, c->parent);
        assert(c->parent);
        DL_APPEND(c->parent->children, c);
    }
    return c;
}

/* Already out of the table. */
void container_free(struct container *c)
{
    if (!c)
        return;
    if (c->parent)
        DL_DELETE(c->parent->children, c);
    fetch_cancel(c->fetch, NULL, NULL);
    fl_loop_forget(c->cz->loop, c);
    fl_timer_free(c->timer);
    fl_timer_free(c->report);
    container_io_free(c->io);
    fl_watch_free(c->note_watch);
    fl_watch_free(c->pidfd_watch);
    if (c->note_fd >= 0)
        close(c->note_fd);
    if (c->pidfd >= 0)
        close(c->pidfd);
    fl_pb_free(c->command);
    fl_pb_free(c->info);
    fl_pb_free(c->end.limitation);
    free(c->end.message);
    env_free(c->env);
    resources_done(&c->resources);
    launch_plan_done(&c->plan);
    for (size_t i = 0; i < c->n_volume_roots; i++)
        free(c->volume_roots[i]);
    free(c->volume_roots);
    image_config_free(c->image);
    free(c->rootfs);
    free(c->user);
    free(c->sandbox);
    free(c->folder);
    free(c->id);
    c->magic = 0;
    free(c);
}

static const struct container *cgroup_owner(const struct container *c)
{
    while (c->shares_cgroups && c->parent)
        c = c->parent;
    return c;
}

struct isolated_container container_isolated(const struct container *c)
{
    return (struct isolated_container){.id = c->id,
                                       .root_id = c->parent ? container_root(c)->id : NULL,
                                       .parent_sandbox = c->parent ? c->parent->sandbox : NULL,
                                       .parent_rootfs = c->parent ? c->parent->rootfs : NULL,
                                       .root_sandbox =
                                           c->parent ? container_root(c)->sandbox : NULL,
                                       .debug = c->debug,
                                       .is_task = c->is_task,
                                       .shares_cgroups = c->shares_cgroups,
                                       .cgroup_id = cgroup_owner(c)->id,
                                       .sandbox = c->sandbox,
                                       .user = c->user,
                                       .info = c->info,
                                       .resources = &c->resources,
                                       .cpu_limit = c->cpu_limit,
                                       .mem_limit = c->mem_limit,
                                       .command = c->command,
                                       .rootfs = c->rootfs,
                                       .image = c->image,
                                       .volume_roots = (const char *const *)c->volume_roots};
}

static struct container *find(struct real_containerizer *cz, const char *id)
{
    struct container *c;

    HASH_FIND_STR(cz->containers, id, c);
    return c;
}

/* ---- launch ---- */

/* Each part becomes the name of a folder, a root also of a cgroup. */
static bool id_ok(const char *id)
{
    size_t n, depth = 0;

    for (const char *p = id;; p += n + 1) {
        n = strcspn(p, ".");
        if (n == 0 || n > CONTAINER_MAX_NAME || ++depth > CONTAINER_MAX_DEPTH)
            return false;
        if (!p[n])
            break;
    }
    return !strpbrk(id, "/\n");
}

static int check_user(const struct real_containerizer *cz, const char *user, char **ret_user,
                      struct fl_err *err)
{
    if (!user || !cz->flags->switch_user || streq(user, cz->own_user)) {
        *ret_user = NULL;
        return 0;
    }
    if (geteuid() != 0)
        return fl_err_set(err, FL_FORBIDDEN,
                          "cannot run as user '%s', because the agent does not run as root; run it "
                          "as root or with "
                          "--no-switch_user",
                          user);
    *ret_user = xstrdup(user);
    return 0;
}

static char **env_copy(const char *const *env)
{
    size_t n = 0;

    while (env && env[n])
        n++;
    char **copy = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(env[i]);
    return copy;
}

/* What makes a launch impossible. */
static int check_launch(struct real_containerizer *cz, const struct container_spec *spec,
                        struct container **ret_parent, struct fl_err *err)
{
    if (!id_ok(spec->container_id))
        return fl_err_set(err, FL_INVALID, "'%s' cannot be the id of a container",
                          spec->container_id);
    if (find(cz, spec->container_id))
        return fl_err_set(err, FL_CONFLICT, "there is already a container '%s'",
                          spec->container_id);
    if (cz->n_containers >= cz->flags->max_executors)
        return fl_err_set(err, FL_LIMIT,
                          "there are already %zu containers, which is --max_executors",
                          cz->n_containers);
    _cleanup_free_ char *id = container_parent_id(spec->container_id);
    struct container *parent = id ? find(cz, id) : NULL;
    if (id && !parent)
        return fl_err_set(err, FL_INVALID, "Parent container %s does not exist", id);
    if (parent && parent->state != CONTAINER_RUNNING)
        return fl_err_set(err, FL_INVALID, "Parent container %s is in '%s' state", id,
                          parent->state == CONTAINER_DESTROYING ? "DESTROYING" : "PREPARING");
    *ret_parent = parent;
    return 0;
}

static bool shares_cgroups(const V1__ContainerInfo *info)
{
    const V1__LinuxInfo *li = info ? info->linux_info : NULL;

    return !li || !li->has_share_cgroups || li->share_cgroups;
}

static void fill_container(struct container *c, const struct container_spec *spec)
{
    c->command = FL_PB_DUP(spec->command);
    if (spec->container)
        c->info = FL_PB_DUP(spec->container);
    else if (!c->parent && !spec->standalone && c->cz->default_info)
        c->info = FL_PB_DUP(c->cz->default_info);
    c->env = env_copy(spec->env);
    resources_copy(&c->resources, spec->resources);
    c->cpu_limit = spec->cpu_limit;
    c->mem_limit = spec->mem_limit;
    c->checkpoint = c->parent ? c->parent->checkpoint : spec->checkpoint;
    c->standalone = spec->standalone;
    c->debug = spec->debug;
    c->is_task = spec->task;
    c->shares_cgroups = c->parent && shares_cgroups(spec->container);
    c->asked = true;
    fl_loop_defer(c->cz->loop, container_begin, c);
}

static int real_launch(struct containerizer *base, const struct container_spec *spec,
                       struct fl_err *err)
{
    struct real_containerizer *cz = real_of(base);
    struct container *parent = NULL;
    _cleanup_free_ char *user = NULL, *sandbox = NULL;
    int r = check_launch(cz, spec, &parent, err);

    if (r == 0)
        r = check_user(cz, spec->user, &user, err);
    if (r == 0 && parent)
        r = container_nested_sandbox(parent, spec->container_id, user, &sandbox, err);
    if (r < 0)
        return r;
    struct container *c = container_new(cz, spec->container_id);
    if (!user && parent && parent->user && !spec->user)
        user = xstrdup(parent->user);
    c->user = TAKE_PTR(user);
    c->sandbox = sandbox ? TAKE_PTR(sandbox) : xstrdup(spec->sandbox);
    fill_container(c, spec);
    return 0;
}

/* ---- the rest of the vtable ---- */

static int real_signal(struct containerizer *base, const char *id, int signo, struct fl_err *err)
{
    struct container *c = find(real_of(base), id);

    if (!c || c->state != CONTAINER_RUNNING || c->pid <= 0)
        return fl_err_set(err, FL_NOT_FOUND, "no running container '%s' to signal", id);
    /* The first process leads a session and group of its own; the shim keeps its pid from being reused. */
    if (kill(-c->pid, signo) < 0 && kill(c->pid, signo) < 0)
        return fl_err_errno(err, errno, "send signal %d to container '%s'", signo, id);
    return 0;
}

static void real_destroy(struct containerizer *base, const char *id)
{
    struct container *c = find(real_of(base), id);

    if (c)
        container_destroy(c);
}

static void real_update(struct containerizer *base, const char *id, const struct resources *res,
                        double cpu_limit, double mem_limit)
{
    struct real_containerizer *cz = real_of(base);
    struct container *c = find(cz, id);

    if (!c || c->state == CONTAINER_DESTROYING)
        return;
    resources_copy(&c->resources, res);
    c->cpu_limit = cpu_limit;
    c->mem_limit = mem_limit;
    if (c->state == CONTAINER_PROVISIONING)
        return; /* prepare will see it */
    const struct isolated_container ic = container_isolated(c);
    for (size_t i = 0; i < cz->n_isolators; i++) {
        struct isolator *iso = cz->isolators[i];
        struct fl_err err;
        if (iso->ops->update && iso->ops->update(iso, &ic, &err) < 0) {
            container_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
            return;
        }
    }
}

static int real_usage(struct containerizer *base, const char *id, struct container_usage *out)
{
    struct real_containerizer *cz = real_of(base);
    struct container *c = find(cz, id);
    struct timespec now;

    if (!c || c->state != CONTAINER_RUNNING)
        return -ENOENT;
    memset(out, 0, sizeof(*out));
    clock_gettime(CLOCK_REALTIME, &now);
    out->timestamp = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    out->cpus_limit = milli_to_double(resources_scalar(&c->resources, "cpus"));
    out->mem_limit_bytes =
        (uint64_t)(milli_to_double(resources_scalar(&c->resources, "mem")) * 1048576.0);
    for (size_t i = 0; i < cz->n_isolators; i++) {
        struct isolator *iso = cz->isolators[i];
        if (iso->ops->usage)
            iso->ops->usage(iso, id, out);
    }
    return 0;
}

static int real_status(struct containerizer *base, const char *id, struct fl_arena *arena,
                       V1__ContainerStatus **ret)
{
    struct real_containerizer *cz = real_of(base);
    struct container *c = find(cz, id);

    if (!c)
        return -ENOENT;
    V1__ContainerStatus *s = fl_arena_alloc(arena, sizeof(*s));
    v1__container_status__init(s);
    s->container_id = container_id_pb(arena, id);
    if (c->pid > 0) {
        s->has_executor_pid = true;
        s->executor_pid = (uint32_t)c->pid;
    }
    for (size_t i = 0; i < cz->n_isolators; i++) {
        struct isolator *iso = cz->isolators[i];
        if (iso->ops->status)
            iso->ops->status(iso, id, arena, s);
    }
    *ret = s;
    return 0;
}

static void real_forget(struct containerizer *base, const char *id)
{
    struct real_containerizer *cz = real_of(base);

    if (find(cz, id) || !id_ok(id))
        return;
    _cleanup_free_ char *folder = runtime_folder(cz->flags->runtime_dir, id);
    runtime_folder_remove(folder);
}

static void real_free(struct containerizer *base)
{
    struct real_containerizer *cz = real_of(base);
    struct container *c;

    fl_loop_forget(cz->loop, cz);
    fetches_close(cz->fetches);
    launcher_client_free(cz->launcher);
    while (cz->containers) {
        /* What is nested first. */
        for (c = cz->containers; c->children;)
            c = c->children;
        HASH_DEL(cz->containers, c);
        container_free(c);
    }
    if (cz->provisioner)
        provisioner_free(cz->provisioner);
    fetches_free(cz->fetches);
    for (size_t i = cz->n_isolators; i-- > 0;)
        cz->isolators[i]->ops->free(cz->isolators[i]);
    free(cz->isolators);
    env_free(cz->inherited_env);
    container_logs_done(&cz->logs);
    fl_pb_free(cz->default_info);
    free(cz->own_user);
    cz->magic = 0;
    free(cz);
}

static void real_each(struct containerizer *base, void (*fn)(void *arg, const char *id), void *arg)
{
    struct real_containerizer *cz = real_of(base);

    for (struct container *c = cz->containers; c; c = c->hh.next) {
        if (!c->unwanted)
            fn(arg, c->id);
    }
}

static void real_fetch_stats(const struct containerizer *base,
                             struct containerizer_fetch_stats *out)
{
    fetches_stats(((const struct real_containerizer *)base)->fetches, out);
}

static int real_prune_images(struct containerizer *base, const V1__Image *const *excluded, size_t n,
                             containerizer_pruned_f *done, void *arg, struct fl_err *err)
{
    struct real_containerizer *cz = real_of(base);

    if (cz->provisioner)
        return provisioner_prune(cz->provisioner, excluded, n, done, arg, err);
    done(arg, NULL); /* no images, nothing to do */
    return 0;
}

static bool real_knows(struct containerizer *base, const char *id)
{
    _cleanup_free_ char *folder = runtime_folder(real_of(base)->flags->runtime_dir, id);

    return id_ok(id) && access(folder, F_OK) == 0;
}

struct fetches *containerizer_fetches(struct containerizer *base)
{
    return real_of(base)->fetches;
}

const struct containerizer_ops containerizer_real_ops = {
    .launch = real_launch,
    .signal = real_signal,
    .destroy = real_destroy,
    .update = real_update,
    .usage = real_usage,
    .status = real_status,
    .recover = containerizer_recover,
    .forget = real_forget,
    .free = real_free,
    .attach = container_io_attach,
    .detach = container_io_detach,
    .resume = container_io_resume,
    .input = container_io_input,
    .window = container_io_window,
    .each = real_each,
    .prune_images = real_prune_images,
    .fetch_stats = real_fetch_stats,
    .knows = real_knows,
};
