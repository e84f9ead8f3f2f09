/* After a restart: what the runtime folders and the engine say of containers that an earlier agent started.
 *
 *   wanted, runs                       -> `recovered`; its output goes on where it was
 *   wanted, ended                      -> the rest of its output, then `ended` with its exit status
 *   wanted, created and not started    -> `ended`, CONTAINER_LAUNCH_FAILED
 *   wanted, not in the engine          -> `ended`, CONTAINER_LOST
 *   named as ours, not wanted          -> stopped and removed (--docker_kill_orphans), unless its label names another agent's work_dir
 * An engine that is away is asked again for 30 seconds; then who is alive by its process is taken as running, and who is not as lost. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "agent/docker/docker_priv.h"
#include "common/base/log.h"

#define RETRY_US 500000u
#define MAX_PLAN ((size_t)1 << 20)

/* ---- what is kept of a container ---- */

int docker_plan_write(const struct docker_container *c, struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    Msg__CheckpointResourcesMessage m = MSG__CHECKPOINT_RESOURCES_MESSAGE__INIT;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    uint32_t head[2] = {0};
    double limits[2] = {c->cpu_limit, c->mem_limit};

    m.n_resources =
        resources_to_pb(&c->resources, RESOURCES_POST_REFINEMENT, true, arena, &m.resources);
    head[0] = (uint32_t)strlen(c->sandbox) + 1;
    head[1] = c->network ? (uint32_t)protobuf_c_message_get_packed_size(&c->network->base) : 0;
    fl_buf_add(&b, head, sizeof head);
    fl_buf_add(&b, limits, sizeof limits);
    fl_buf_add(&b, c->sandbox, head[0]);
    if (c->network)
        fl_buf_pack(&b, &c->network->base);
    fl_buf_pack(&b, &m.base);
    return runtime_file_write(c->folder, "plan", b.data, b.len, err);
}

static bool plan_parse(struct docker_container *c, const char *p, size_t n)
{
    uint32_t head[2];
    double limits[2];
    size_t at = sizeof head + sizeof limits;

    if (n < at)
        return false;
    memcpy(head, p, sizeof head);
    memcpy(limits, p + sizeof head, sizeof limits);
    if (head[0] == 0 || head[0] > n - at || head[1] > n - at - head[0] ||
        p[at + head[0] - 1] != '\0')
        return false;
    c->cpu_limit = limits[0];
    c->mem_limit = limits[1];
    c->sandbox = xstrdup(p + at);
    at += head[0];
    if (head[1])
        c->network = v1__network_info__unpack(NULL, head[1], (const uint8_t *)p + at);
    at += head[1];
    Msg__CheckpointResourcesMessage *m =
        msg__checkpoint_resources_message__unpack(NULL, n - at, (const uint8_t *)p + at);
    if (m)
        resources_from_pb(m->resources, m->n_resources, &c->resources, NULL);
    fl_pb_free(m);
    return m != NULL;
}

static bool plan_read(struct docker_container *c)
{
    _cleanup_free_ char *data = NULL;
    size_t n;

    c->cpu_limit = c->mem_limit = -1;
    return runtime_file_read(c->folder, "plan", MAX_PLAN, &data, &n, NULL) == 0 &&
           plan_parse(c, data, n);
}

/* ---- done? ---- */

void docker_recovery_check(struct docker_containerizer *dz)
{
    if (!dz->recovering || !dz->listed)
        return;
    for (struct docker_container *c = dz->containers; c; c = c->hh.next)
        if (c->recovered)
            return;
    dz->recovering = false;
    dz->cb.recovery_done(dz->cb.arg, NULL);
}

static void check_later(void *arg)
{
    docker_recovery_check(arg);
}

/* ---- orphans ---- */

/* A container's id by the engine's names for it, which begin with '/'. */
static const char *id_of(const json_t *entry)
{
    const json_t *name;
    size_t i;

    json_array_foreach(json_object_get(entry, "Names"), i, name)
    {
        const char *text = json_string_value(name);
        if (text && text[0] == '/')
            text++;
        /* A name with another '/' is a link to it. */
        if (text && str_starts(text, DOCKER_NAME_PREFIX) && !strchr(text, '/'))
            return text + strlen(DOCKER_NAME_PREFIX);
    }
    return NULL;
}

/* Reference agents of long ago had their own id in the name, too; nobody wants those any more. */
static void look_at(struct docker_containerizer *dz, const json_t *entry)
{
    const char *id = id_of(entry), *engine_id = json_string_value(json_object_get(entry, "Id"));
    const char *owner =
        json_string_value(json_object_get(json_object_get(entry, "Labels"), DOCKER_OWNER_LABEL));

    if (!id || !engine_id || docker_find(dz, id) || strspn(engine_id, "0123456789abcdef") == 0)
        return;
    if (owner && !streq(owner, dz->flags->work_dir))
        return;
    log_info("Removing the Docker container '" DOCKER_NAME_PREFIX "%s', which no task or executor "
             "knows",
             id);
    docker_remove_later(dz, engine_id, 0);
}

static void list(void *arg);

static void on_list(void *arg, const struct docker_answer *a)
{
    struct docker_containerizer *dz = arg;
    const json_t *entry;
    size_t i;

    dz->list = NULL;
    if (docker_away(a) && fl_loop_now_us(dz->loop) - dz->recover_since_us < DOCKER_PATIENCE_US) {
        dz->list_retry = dz->list_retry ? dz->list_retry : fl_timer_new(dz->loop, list, dz);
        fl_timer_set(dz->list_retry, RETRY_US);
        return;
    }
    if (a->err)
        log_warning("Cannot look for Docker containers that nobody knows: %s, ignoring",
                    a->err->msg);
    else
        json_array_foreach(a->json, i, entry)
        {
            look_at(dz, entry);
        }
    dz->listed = true;
    docker_recovery_check(dz);
}

static void list(void *arg)
{
    struct docker_containerizer *dz = arg;
    const struct docker_request r = {
        .method = "GET",
        .path = "/containers/json?all=true&filters=%7B%22name%22%3A%5B%22mesos-%22%5D%7D",
        .done = on_list,
        .arg = dz};

    docker_ask(dz->engine, &r, &dz->list);
}

/* ---- folders ---- */

static bool wanted(const char *const *ids, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (streq(ids[i], id))
            return true;
    return false;
}

static void recover_folder(struct docker_containerizer *dz, const char *id)
{
    struct docker_container *c = docker_container_new(dz, id);

    c->recovered = c->made = c->checkpoint = true;
    if (plan_read(c))
        docker_inspect(c);
    else
        docker_end_with(c, CONTAINER_LAUNCH_FAILED,
                        "the agent was restarted while the container was being started");
}

static void remove_unwanted(struct docker_containerizer *dz, const char *const *ids, size_t n)
{
    _cleanup_free_ char *path = xasprintf("%s/containers", dz->runtime_dir);
    DIR *d = opendir(path);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && !wanted(ids, n, e->d_name)) {
            _cleanup_free_ char *folder = runtime_folder(dz->runtime_dir, e->d_name);
            runtime_folder_remove(folder);
        }
    if (d)
        closedir(d);
}

void docker_recover(struct containerizer *base, const char *const *ids, size_t n)
{
    struct docker_containerizer *dz = docker_of(base);

    dz->recovering = true;
    dz->recover_since_us = fl_loop_now_us(dz->loop);
    remove_unwanted(dz, ids, n);
    for (size_t i = 0; i < n; i++)
        recover_folder(dz, ids[i]);
    dz->listed = !dz->flags->docker_kill_orphans;
    if (dz->listed)
        fl_loop_defer(dz->loop, check_later, dz);
    else
        list(dz);
}
