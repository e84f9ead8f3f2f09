/* The Docker containerizer's face: the vtable and the table of containers. The life of each is in life.c. The agent's thread; nothing
 * here waits for the engine. */
#include "agent/docker/docker_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "common/base/log.h"

static const struct containerizer_ops docker_ops;

/* ---- the objects ---- */

struct docker_container *docker_find(struct docker_containerizer *dz, const char *id)
{
    struct docker_container *c;

    HASH_FIND_STR(dz->containers, id, c);
    return c;
}

struct docker_container *docker_container_new(struct docker_containerizer *dz, const char *id)
{
    struct docker_container *c = xnew0(struct docker_container);

    c->magic = DOCKER_CONTAINER_MAGIC;
    c->dz = dz;
    c->id = xstrdup(id);
    c->name = xasprintf(DOCKER_NAME_PREFIX "%s", id);
    c->folder = runtime_folder(dz->runtime_dir, id);
    c->pidfd = -EBADF;
    HASH_ADD_KEYPTR(hh, dz->containers, c->id, strlen(c->id), c);
    return c;
}

static void free_texts(struct docker_container *c)
{
    char *const all[] = {c->id,          c->name,       c->folder,     c->sandbox,
                         c->user,        c->image,      c->ip,         c->ip6,
                         c->stop_signal, c->inspection, c->cgroup_cpu, c->cgroup_memory,
                         c->memory_stat, c->end.message};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]);
}

void docker_container_free(struct docker_container *c)
{
    fl_loop_forget(c->dz->loop, c);
    docker_cancel(c->step);
    docker_cancel(c->wait);
    fetch_cancel(c->fetch, NULL, NULL);
    docker_logs_free(c->logs);
    fl_timer_free(c->retry);
    fl_timer_free(c->force);
    fl_timer_free(c->patience);
    fl_watch_free(c->pidfd_watch);
    if (c->pidfd >= 0)
        close(c->pidfd);
    fl_pb_free(c->command);
    fl_pb_free(c->network);
    fl_pb_free(c->end.limitation);
    json_decref(c->body);
    fl_buf_done(&c->pull_line);
    resources_done(&c->resources);
    free_texts(c);
    c->magic = 0;
    free(c);
}

char *docker_path(const struct docker_container *c, const char *what)
{
    return xasprintf("/containers/%s/%s", c->name, what);
}

/* ---- launch ---- */

/* Becomes part of a name in the engine, whose alphabet is this. */
static bool id_ok(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return n > 0 && n <= CONTAINER_MAX_NAME && id[n] == '\0';
}

static int check_launch(struct docker_containerizer *dz, const struct container_spec *spec,
                        struct fl_err *err)
{
    if (!spec->container || spec->container->type != V1__CONTAINER_INFO__TYPE__DOCKER)
        return fl_err_set(err, FL_UNSUPPORTED, "container '%s' is not of type DOCKER",
                          spec->container_id);
    if (spec->standalone)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "Docker containers cannot be standalone; give one of type MESOS");
    if (!id_ok(spec->container_id))
        return fl_err_set(err, FL_INVALID, "'%s' cannot be the id of a container",
                          spec->container_id);
    if (docker_find(dz, spec->container_id))
        return fl_err_set(err, FL_CONFLICT, "there is already a container '%s'",
                          spec->container_id);
    if (HASH_COUNT(dz->containers) >= dz->flags->max_executors)
        return fl_err_set(err, FL_LIMIT,
                          "there are already %u containers, which is --max_executors",
                          HASH_COUNT(dz->containers));
    return 0;
}

static void keep_network(struct docker_container *c, const V1__ContainerInfo *info)
{
    if (info->n_network_infos == 0)
        return;
    V1__NetworkInfo shallow = *info->network_infos[0];
    shallow.n_ip_addresses = 0;
    c->network = FL_PB_DUP(&shallow);
}

static int launch_nested(struct docker_containerizer *dz, const struct container_spec *spec,
                         struct fl_err *err)
{
    _cleanup_free_ char *root = xstrndup(spec->container_id, strcspn(spec->container_id, "."));
    struct docker_container *c = docker_find(dz, root);

    if (!c)
        return fl_err_set(err, FL_INVALID, "Parent container %s does not exist", root);
    if (docker_exec_find(dz, spec->container_id))
        return fl_err_set(err, FL_CONFLICT, "there is already a container '%s'",
                          spec->container_id);
    return docker_exec_launch(c, spec, err);
}

static int d_launch(struct containerizer *base, const struct container_spec *spec,
                    struct fl_err *err)
{
    struct docker_containerizer *dz = docker_of(base);
    _cleanup_free_ char *name = xasprintf(DOCKER_NAME_PREFIX "%s", spec->container_id);
    json_t *body = NULL;
    int r;

    if (strchr(spec->container_id, '.'))
        return launch_nested(dz, spec, err);
    r = check_launch(dz, spec, err);
    if (r < 0)
        return r;
    r = docker_create_body(dz->flags, spec, name, &body, err);
    if (r < 0)
        return fl_err_wrap(err, "Failed to create docker run options");
    const V1__ContainerInfo__DockerInfo *info = spec->container->docker;
    struct docker_container *c = docker_container_new(dz, spec->container_id);
    c->sandbox = xstrdup(spec->sandbox);
    c->user = spec->user ? xstrdup(spec->user) : NULL;
    c->checkpoint = spec->checkpoint;
    c->command = spec->command ? FL_PB_DUP(spec->command) : NULL;
    c->body = body;
    c->image = xstrdup(info->image);
    c->force_pull = info->has_force_pull_image && info->force_pull_image;
    c->cpu_limit = spec->cpu_limit;
    c->mem_limit = spec->mem_limit;
    resources_copy(&c->resources, spec->resources);
    keep_network(c, spec->container);
    fl_loop_defer(dz->loop, docker_begin, c);
    return 0;
}

/* ---- signals ---- */

static void on_signalled(void *arg, const struct docker_answer *a)
{
    if (a->err)
        log_warning("A signal to a Docker container did not get there: %s", a->err->msg);
}

static int d_signal(struct containerizer *base, const char *id, int signo, struct fl_err *err)
{
    struct docker_containerizer *dz = docker_of(base);
    struct docker_container *c = docker_find(dz, id);
    struct docker_exec *x = docker_exec_find(dz, id);
    char number[16];

    if (x)
        return docker_exec_signal(x, signo, err);
    if (!c || c->state != DOCKER_RUNNING || c->exited)
        return fl_err_set(err, FL_NOT_FOUND, "no running container '%s' to signal", id);
    fl_snprintf(number, sizeof number, "%d", signo);
    /* What asks it to end is what its image says. */
    const char *name = signo == SIGTERM && c->stop_signal ? c->stop_signal : number;
    if (name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-")])
        name = number;
    _cleanup_free_ char *base_path = docker_path(c, "kill");
    _cleanup_free_ char *path = xasprintf("%s?signal=%s", base_path, name);
    const struct docker_request r = {
        .method = "POST", .path = path, .done = on_signalled, .arg = dz};
    docker_ask(dz->engine, &r, NULL);
    return 0;
}

static void d_destroy(struct containerizer *base, const char *id)
{
    struct docker_containerizer *dz = docker_of(base);
    struct docker_container *c = docker_find(dz, id);
    struct docker_exec *x = docker_exec_find(dz, id);

    if (c)
        docker_destroy(c);
    else if (x)
        docker_exec_destroy(x);
}

/* ---- amounts ---- */

static void on_updated(void *arg, const struct docker_answer *a)
{
    if (a->err)
        log_warning("A Docker container keeps its limits: %s", a->err->msg);
}

void docker_send_amounts(struct docker_container *c, bool more_memory)
{
    struct docker_containerizer *dz = c->dz;
    uint64_t memory = docker_memory(&c->resources, c->mem_limit);
    _cleanup_free_ char *path = docker_path(c, "update");
    json_t *amounts = docker_json_object();
    const struct docker_request r = {
        .method = "POST", .path = path, .body = amounts, .done = on_updated, .arg = dz};

    docker_put_amounts(dz->flags, &c->resources, c->cpu_limit, c->mem_limit, amounts);
    if (memory && more_memory) /* with swap, as the engine sets it by itself */
        json_object_set_new(amounts, "MemorySwap", json_integer((json_int_t)memory * 2));
    else /* only ever raised: lowering it below what is used would kill */
        json_object_del(amounts, "Memory");
    docker_ask(dz->engine, &r, NULL);
    json_decref(amounts);
}

static void d_update(struct containerizer *base, const char *id, const struct resources *res,
                     double cpu_limit, double mem_limit)
{
    struct docker_container *c = docker_find(docker_of(base), id);

    if (!c || c->destroying || c->exited || c->state == DOCKER_ENDED ||
        (resources_equal(&c->resources, res) && c->cpu_limit == cpu_limit &&
         c->mem_limit == mem_limit))
        return;
    uint64_t before = docker_memory(&c->resources, c->mem_limit);
    resources_copy(&c->resources, res);
    c->cpu_limit = cpu_limit;
    c->mem_limit = mem_limit;
    bool more = before && docker_memory(res, mem_limit) > before;
    if (c->state == DOCKER_RUNNING) {
        docker_send_amounts(c, more);
        return;
    }
    c->resized = true; /* once it runs */
    c->more_memory |= more;
}

static int d_usage(struct containerizer *base, const char *id, struct container_usage *out)
{
    struct docker_container *c = docker_find(docker_of(base), id);

    if (!c || c->state != DOCKER_RUNNING || c->exited)
        return -ENOENT;
    docker_usage(c, out);
    return 0;
}

/* ---- looking ---- */

static int d_status(struct containerizer *base, const char *id, struct fl_arena *arena,
                    V1__ContainerStatus **ret)
{
    struct docker_containerizer *dz = docker_of(base);
    struct docker_container *c = docker_find(dz, id);
    struct docker_exec *x = docker_exec_find(dz, id);

    return c ? docker_status(c, arena, ret) : x ? docker_exec_status(x, arena, ret) : -ENOENT;
}

static bool d_describe(struct containerizer *base, const char *id,
                       struct container_description *out)
{
    const struct docker_container *c = docker_find(docker_of(base), id);

    if (!c)
        return false;
    *out = (struct container_description){.inspection = c->inspection, .ip_address = c->ip};
    return true;
}

static bool d_knows(struct containerizer *base, const char *id)
{
    _cleanup_free_ char *folder = runtime_folder(docker_of(base)->runtime_dir, id);

    return id_ok(id) && access(folder, F_OK) == 0;
}

static void d_each(struct containerizer *base, void (*fn)(void *arg, const char *id), void *arg)
{
    struct docker_containerizer *dz = docker_of(base);

    for (struct docker_container *c = dz->containers; c; c = c->hh.next)
        fn(arg, c->id);
    docker_exec_each(dz, fn, arg);
}

static void d_forget(struct containerizer *base, const char *id)
{
    struct docker_containerizer *dz = docker_of(base);

    if (!id_ok(id) || !d_knows(base, id))
        return;
    const struct docker_container *c = docker_find(dz, id);
    if (c && c->state != DOCKER_ENDED)
        return;
    _cleanup_free_ char *name = xasprintf(DOCKER_NAME_PREFIX "%s", id);
    _cleanup_free_ char *folder = runtime_folder(dz->runtime_dir, id);
    runtime_folder_remove(folder);
    docker_remove_later(dz, name, dz->flags->docker_remove_delay);
}

/* ---- input and output: of executed commands; a task's output goes to its sandbox ---- */

static int no_terminal(const char *id, struct fl_err *err)
{
    return fl_err_set(err, FL_INTERNAL, "Docker container '%s' has neither input nor a terminal",
                      id);
}

static int d_attach(struct containerizer *base, const char *id, const struct container_listener *l,
                    struct fl_err *err)
{
    struct docker_containerizer *dz = docker_of(base);
    struct docker_exec *x = docker_exec_find(dz, id);

    if (x)
        return docker_exec_attach(x, l, err);
    if (docker_find(dz, id))
        return no_terminal(id, err);
    return fl_err_set(err, FL_NOT_FOUND, "no container '%s'", id);
}

static void d_detach(struct containerizer *base, const char *id, const void *arg)
{
    struct docker_exec *x = docker_exec_find(docker_of(base), id);

    if (x)
        docker_exec_detach(x, arg);
}

static void d_resume(struct containerizer *base, const char *id)
{
    struct docker_exec *x = docker_exec_find(docker_of(base), id);

    if (x)
        docker_exec_resume(x);
}

static int d_input(struct containerizer *base, const char *id, const void *data, size_t n,
                   struct fl_err *err)
{
    struct docker_containerizer *dz = docker_of(base);

    if (docker_exec_find(dz, id) || docker_find(dz, id))
        return n == 0 ? 0 : no_terminal(id, err);
    return fl_err_set(err, FL_NOT_FOUND, "no container '%s'", id);
}

static void d_window(struct containerizer *base, const char *id, unsigned rows, unsigned columns)
{
}

/* ---- making ---- */

static void d_free(struct containerizer *base)
{
    struct docker_containerizer *dz = docker_of(base);
    struct docker_container *c, *tmp;

    fl_loop_forget(dz->loop, dz);
    docker_cancel(dz->list);
    fl_timer_free(dz->list_retry);
    docker_exec_free_all(dz);
    HASH_ITER (hh, dz->containers, c, tmp) {
        HASH_DEL(dz->containers, c);
        docker_container_free(c);
    }
    docker_removals_free(dz);
    docker_engine_free(dz->engine);
    free(dz->runtime_dir);
    dz->magic = 0;
    free(dz);
}

static const struct containerizer_ops docker_ops = {
    .launch = d_launch,
    .signal = d_signal,
    .destroy = d_destroy,
    .update = d_update,
    .usage = d_usage,
    .status = d_status,
    .recover = docker_recover,
    .forget = d_forget,
    .free = d_free,
    .attach = d_attach,
    .detach = d_detach,
    .resume = d_resume,
    .input = d_input,
    .window = d_window,
    .describe = d_describe,
    .knows = d_knows,
    .each = d_each,
};

int docker_containerizer_new(struct fl_loop *loop, const struct agent_flags *flags,
                             struct fetches *fetches, const struct containerizer_callbacks *cb,
                             struct containerizer **ret, struct fl_err *err)
{
    _cleanup_free_ char *runtime_dir = xasprintf("%s/docker", flags->runtime_dir);
    _cleanup_free_ char *v2 = xasprintf("%s/cgroup.controllers", flags->cgroups_hierarchy);
    int r = runtime_dir_prepare(runtime_dir, err);

    if (r < 0)
        return r;
    struct docker_containerizer *dz = xnew0(struct docker_containerizer);
    dz->base.ops = &docker_ops;
    dz->magic = DOCKER_MAGIC;
    dz->loop = loop;
    dz->flags = flags;
    dz->fetches = fetches;
    dz->cb = *cb;
    dz->runtime_dir = TAKE_PTR(runtime_dir);
    dz->engine = docker_engine_new(loop, flags->docker_socket);
    dz->v2 = access(v2, F_OK) == 0;
    *ret = &dz->base;
    return 0;
}
