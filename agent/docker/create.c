/* See create.h. What `docker run` is given by the reference, option by option, is here a field of the API (docs/docker.md). */
#include "agent/docker/create_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "isolators/persistent_path.h"

#define CPU_SHARES_PER_CPU 1024
#define MIN_CPU_SHARES     2
#define CFS_PERIOD_US      100000
#define MIN_CFS_QUOTA_US   1000
#define MEGA               (UINT64_C(1) << 20)
#define MIN_MEMORY         (32 * MEGA)

static void put_int(json_t *in, const char *name, int64_t v)
{
    json_object_set_new(in, name, json_integer(v));
}

/* ---- amounts ---- */

static uint64_t requested_memory(const struct resources *res)
{
    uint64_t bytes = (uint64_t)(milli_to_double(resources_scalar(res, "mem")) * (double)MEGA);

    return FL_MAX(bytes, MIN_MEMORY);
}

uint64_t docker_memory(const struct resources *res, double mem_limit)
{
    if (isinf(mem_limit))
        return 0;
    if (mem_limit >= 0)
        return FL_MAX((uint64_t)mem_limit * MEGA, MIN_MEMORY);
    return requested_memory(res);
}

static void put_cpus(const struct agent_flags *flags, double request, double limit, json_t *host)
{
    double hard = limit >= 0 ? limit : flags->cgroups_enable_cfs ? request : INFINITY;

    put_int(host, "CpuShares",
            FL_MAX((int64_t)(request * CPU_SHARES_PER_CPU), (int64_t)MIN_CPU_SHARES));
    if (!isinf(hard))
        put_int(host, "CpuQuota",
                FL_MAX((int64_t)(hard * CFS_PERIOD_US), (int64_t)MIN_CFS_QUOTA_US));
}

void docker_put_amounts(const struct agent_flags *flags, const struct resources *res,
                        double cpu_limit, double mem_limit, json_t *host)
{
    uint64_t hard = docker_memory(res, mem_limit);

    put_cpus(flags, milli_to_double(resources_scalar(res, "cpus")), cpu_limit, host);
    if (hard)
        put_int(host, "Memory", (int64_t)hard);
    if (mem_limit >= 0)
        put_int(host, "MemoryReservation", (int64_t)requested_memory(res));
}

/* Who may use more than it asked for goes first when the machine's memory is full, the smaller the request the sooner. */
static void put_oom_score(const struct container_spec *spec, json_t *host)
{
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t request = requested_memory(spec->resources);

    if (spec->mem_limit < 0 || total == 0)
        return;
    if (isinf(spec->mem_limit) || request < docker_memory(spec->resources, spec->mem_limit))
        put_int(host, "OomScoreAdj", 1000 - (int64_t)(1000 * FL_MIN(request, total) / total));
}

/* ---- command and environment ---- */

static int put_command(struct making *m, struct fl_err *err)
{
    const V1__CommandInfo *c = m->spec->command;
    bool shell = c && (!c->has_shell || c->shell);

    if (shell && !c->value)
        return making_refuse(err, "Shell specified but no command value provided");
    if (shell) {
        json_object_set_new(m->body, "Entrypoint", json_pack("[s]", "/bin/sh"));
        docker_append(m->body, "Cmd", "-c");
        docker_append(m->body, "Cmd", c->value);
        return 0;
    }
    if (c && c->value)
        docker_append(m->body, "Cmd", c->value);
    for (size_t i = 0; c && i < c->n_arguments; i++)
        docker_append(m->body, "Cmd", c->arguments[i]);
    return 0;
}

static const char *env_value(const struct container_spec *spec, const char *name)
{
    size_t n = strlen(name);

    for (const char *const *e = spec->env; e && *e; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    return NULL;
}

static void put_env(json_t *body, const char *name, const char *value, int n)
{
    _cleanup_free_ char *entry = xasprintf("%s=%.*s", name, n, value);

    docker_append(body, "Env", entry);
}

static int put_variable(struct making *m, const V1__Environment__Variable *v, struct fl_err *err)
{
    const V1__Secret *s = v->secret;

    if (!*v->name || strchr(v->name, '='))
        return fl_err_set(err, FL_INVALID, "'%s' cannot be the name of an environment variable",
                          v->name);
    if (!v->has_type || v->type != V1__ENVIRONMENT__VARIABLE__TYPE__SECRET) {
        put_env(m->body, v->name, v->value ? v->value : "", INT32_MAX);
        return 0;
    }
    if (!s || !s->value || memchr(s->value->data.data, 0, s->value->data.len))
        return fl_err_set(err, FL_UNSUPPORTED,
                          "environment variable '%s' is a secret by reference or of bytes that no "
                          "variable can hold; give the secret by value",
                          v->name);
    put_env(m->body, v->name, (const char *)s->value->data.data, (int)s->value->data.len);
    return 0;
}

/* A task gets its command's variables alone, for the agent's describe the machine outside; an executor gets these, too, and they win. */
static int put_environment(struct making *m, struct fl_err *err)
{
    const struct container_spec *spec = m->spec;
    const V1__Environment *e = spec->command ? spec->command->environment : NULL;
    const char *role = env_value(spec, "MESOS_ALLOCATION_ROLE");
    bool task = spec->task_id != NULL;
    int r = 0;

    for (const char *const *i = spec->env; !task && i && *i; i++)
        if (!str_starts(*i, "MESOS_SANDBOX=") && !str_starts(*i, "MESOS_CONTAINER_NAME="))
            docker_append(m->body, "Env", *i);
    for (size_t i = 0; e && i < e->n_variables && r == 0; i++)
        if (task || !env_value(spec, e->variables[i]->name))
            r = put_variable(m, e->variables[i], err);
    put_env(m->body, "MESOS_SANDBOX", m->flags->sandbox_directory, INT32_MAX);
    put_env(m->body, "MESOS_CONTAINER_NAME", m->name, INT32_MAX);
    if (task && role)
        put_env(m->body, "MESOS_ALLOCATION_ROLE", role, INT32_MAX);
    return r;
}

/* ---- volumes ---- */

static int take_driver(struct making *m, const char *driver, const char *why, struct fl_err *err)
{
    if (m->volume_driver && !streq(m->volume_driver, driver))
        return making_refuse(err, why);
    m->volume_driver = driver;
    return 0;
}

static void bind(struct making *m, const char *from, const char *to, const V1__Volume *v)
{
    _cleanup_free_ char *text =
        xasprintf("%s:%s:%s", from, to, v->mode == V1__VOLUME__MODE__RO ? "ro" : "rw");

    docker_append(m->host, "Binds", text);
}

static int put_host_volume(struct making *m, const V1__Volume *v, const char *to,
                           struct fl_err *err)
{
    bool relative = v->host_path[0] != '/';

    if (relative && v->container_path[0] != '/')
        return fl_err_set(err, FL_INVALID,
                          "Both host_path '%s' and container_path '%s' of a volume are relative",
                          v->host_path, v->container_path);
    if (relative && !m->docker->volume_driver) {
        _cleanup_free_ char *from = xasprintf("%s/%s", m->spec->sandbox, v->host_path);
        bind(m, from, to, v);
        return 0;
    }
    bind(m, v->host_path, to, v);
    return 0;
}

static int put_volume(struct making *m, const V1__Volume *v, struct fl_err *err)
{
    _cleanup_free_ char *to =
        v->container_path[0] == '/'
            ? xstrdup(v->container_path)
            : xasprintf("%s/%s", m->flags->sandbox_directory, v->container_path);
    const V1__Volume__Source__DockerVolume *dv = v->source ? v->source->docker_volume : NULL;

    if (v->host_path)
        return put_host_volume(m, v, to, err);
    if (!v->source)
        return making_refuse(err, "Host path or volume source is required");
    if (v->source->type != V1__VOLUME__SOURCE__TYPE__DOCKER_VOLUME || !dv) {
        log_info("A volume at '%s' of container '%s' is not one that Docker has, ignoring",
                 v->container_path, m->name);
        return 0;
    }
    bind(m, dv->name, to, v);
    return dv->driver ? take_driver(m, dv->driver, "Only one volume driver is supported", err) : 0;
}

static void put_persistent(const V1__Resource *r, char *path, void *arg)
{
    struct making *m = arg;
    const V1__Volume *v = r->disk->volume;
    _cleanup_free_ char *from = path;

    if (strchr(v->container_path, '/')) {
        log_warning("The persistent volume '%s' of container '%s' has a path with '/', ignoring",
                    v->container_path, m->name);
        return;
    }
    _cleanup_free_ char *to = xasprintf("%s/%s", m->flags->sandbox_directory, v->container_path);
    bind(m, from, to, v);
}

static int put_volumes(struct making *m, struct fl_err *err)
{
    const char *own = m->docker->volume_driver;
    _cleanup_free_ char *sandbox =
        xasprintf("%s:%s", m->spec->sandbox, m->flags->sandbox_directory);
    int r = 0;

    for (size_t i = 0; i < m->info->n_volumes && r == 0; i++)
        r = put_volume(m, m->info->volumes[i], err);
    if (r == 0)
        docker_append(m->host, "Binds", sandbox);
    if (r == 0)
        r = persistent_volumes_each(m->flags->work_dir, m->spec->resources, put_persistent, m, err);
    if (r == 0 && own)
        r = take_driver(m, own, "Only one volume driver per task is supported", err);
    if (r == 0 && m->volume_driver)
        json_object_set_new(m->host, "VolumeDriver", docker_json_text(m->volume_driver));
    return r;
}

/* ---- all of it ---- */

static int put_parameters(struct making *m, struct fl_err *err)
{
    bool network = false;
    int r = 0;

    for (size_t i = 0; i < m->docker->n_parameters && r == 0; i++) {
        const V1__Parameter *p = m->docker->parameters[i];
        if (!network && (streq(p->key, "net") || streq(p->key, "network")))
            network = true;
        else
            r = docker_parameter_put(m->body, p->key, p->value, err);
    }
    return r;
}

static void put_labels(struct making *m)
{
    docker_set_in(m->body, "Labels", DOCKER_OWNER_LABEL, m->flags->work_dir);
    if (m->spec->task_id)
        docker_set_in(m->body, "Labels", "MESOS_TASK_ID", m->spec->task_id);
}

/* What becomes part of paths of the API. */
static int check_image(const char *image, struct fl_err *err)
{
    size_t n = strlen(image);

    for (const char *p = image; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@", *p))
            n = 0;
    if (n == 0 || n > 1024 || image[0] == '/' || strstr(image, ".."))
        return fl_err_set(err, FL_INVALID, "'%.200s' cannot be the name of a Docker image", image);
    return 0;
}

static int make(struct making *m, struct fl_err *err)
{
    const struct container_spec *spec = m->spec;
    int r = check_image(m->docker->image, err);

    if (r < 0)
        return r;
    if (resources_scalar(spec->resources, "gpus") > 0)
        return making_refuse(err,
                             "the resource 'gpus' is not given to Docker containers, for nothing "
                             "would keep two from the same one; use a container of type MESOS");
    json_object_set_new(m->body, "Image", docker_json_text(m->docker->image));
    if (m->docker->has_privileged && m->docker->privileged)
        json_object_set_new(m->host, "Privileged", json_true());
    docker_put_amounts(m->flags, spec->resources, spec->cpu_limit, spec->mem_limit, m->host);
    put_oom_score(spec, m->host);
    put_labels(m);
    r = put_command(m, err);
    if (r == 0)
        r = put_environment(m, err);
    if (r == 0)
        r = put_volumes(m, err);
    if (r == 0)
        r = making_put_network(m, err);
    if (r == 0)
        r = put_parameters(m, err);
    return r == 0 ? making_put_dns(m, err) : r;
}

int docker_create_body(const struct agent_flags *flags, const struct container_spec *spec,
                       const char *name, json_t **ret, struct fl_err *err)
{
    struct making m = {.flags = flags,
                       .spec = spec,
                       .info = spec->container,
                       .docker = spec->container->docker,
                       .name = name,
                       .body = docker_json_object(),
                       .host = docker_json_object()};
    int r;

    json_object_set_new(m.body, "HostConfig", m.host);
    if (!m.docker)
        r = making_refuse(err, "No docker info found in container info");
    else
        r = make(&m, err);
    if (r == 0) {
        _cleanup_free_ char *whole = json_dumps(m.body, JSON_COMPACT);
        if (!whole)
            r = making_refuse(err,
                              "a text of the command or container is no UTF-8, which Docker wants");
    }
    if (r < 0) {
        json_decref(m.body);
        return r;
    }
    *ret = m.body;
    return 0;
}
