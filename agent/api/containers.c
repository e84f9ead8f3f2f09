/* What containers use: /monitor/statistics, /containers, /containerizer/debug (features.md 2.2). */
#include "agent/api/handlers.h"
#include "common/base/log.h"

#define SET(s, field, v)                                                                           \
    do {                                                                                           \
        (s)->has_##field = true;                                                                   \
        (s)->field = (v);                                                                          \
    } while (0)

V1__ResourceStatistics *agent_api_statistics(const struct agent_executor *e, struct fl_arena *arena)
{
    return e->contained ? agent_api_container_statistics(e->core, e->container_id, arena) : NULL;
}

V1__ResourceStatistics *agent_api_container_statistics(const struct agent_core *a, const char *id,
                                                       struct fl_arena *arena)
{
    struct containerizer *c = a->containerizer;
    struct container_usage u = {0};
    V1__ResourceStatistics *s;

    if (c->ops->usage(c, id, &u) < 0)
        return NULL;
    s = FL_ARENA_NEW(arena, V1__ResourceStatistics, v1__resource_statistics);
    s->timestamp = u.timestamp;
    SET(s, cpus_limit, u.cpus_limit);
    SET(s, cpus_user_time_secs, u.cpus_user_s);
    SET(s, cpus_system_time_secs, u.cpus_system_s);
    SET(s, mem_limit_bytes, u.mem_limit_bytes);
    SET(s, mem_rss_bytes, u.mem_rss_bytes);
    SET(s, mem_total_bytes, u.mem_total_bytes);
    if (u.mem_soft_limit_bytes)
        SET(s, mem_soft_limit_bytes, u.mem_soft_limit_bytes);
    if (u.mem_cache_bytes)
        SET(s, mem_cache_bytes, u.mem_cache_bytes);
    SET(s, processes, u.processes);
    SET(s, threads, u.threads);
    if (u.has_cfs) {
        SET(s, cpus_nr_periods, (uint32_t)u.cpus_nr_periods);
        SET(s, cpus_nr_throttled, (uint32_t)u.cpus_nr_throttled);
        SET(s, cpus_throttled_time_secs, u.cpus_throttled_s);
    }
    if (u.has_disk) {
        SET(s, disk_limit_bytes, u.disk_limit_bytes);
        SET(s, disk_used_bytes, u.disk_used_bytes);
    }
    return s;
}

V1__ContainerStatus *agent_api_container_status(const struct agent_executor *e,
                                                struct fl_arena *arena)
{
    struct containerizer *c = e->core->containerizer;
    V1__ContainerStatus *status = NULL;

    if (!e->contained || c->ops->status(c, e->container_id, arena, &status) < 0)
        status = FL_ARENA_NEW(arena, V1__ContainerStatus, v1__container_status);
    if (!status->container_id) {
        status->container_id = FL_ARENA_NEW(arena, V1__ContainerID, v1__container_id);
        status->container_id->value = (char *)e->container_id;
    }
    if (!status->has_executor_pid && e->pid > 0)
        SET(status, executor_pid, (uint32_t)e->pid);
    return status;
}

static void write_common(struct json_out *j, const struct agent_executor *e, struct fl_arena *arena)
{
    const V1__ExecutorInfo *info = agent_executor_info(e, arena);
    V1__ResourceStatistics *s = agent_api_statistics(e, arena);

    json_kstr(j, "executor_id", e->id);
    json_kstr(j, "executor_name", info->name ? info->name : "");
    json_kstr(j, "framework_id", e->framework->id);
    json_kstr(j, "source", info->source ? info->source : "");
    if (s)
        json_kpb(j, "statistics", &s->base, FL_JSON_LEGACY);
}

void agent_statistics_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(8192);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_array(&j);
    for (struct agent_executor *e = api->core->containers; e; e = e->hh_container.next) {
        json_object(&j);
        write_common(&j, e, arena);
        json_end_object(&j);
    }
    json_end_array(&j);
    http_respond_json(ex, 200, &out);
}

/* ?container_id=, or ?framework_id= with or without ?executor_id=, or nothing. */
struct filter {
    char *container, *framework, *executor;
};

static void filter_done(struct filter *f)
{
    free(f->container);
    free(f->framework);
    free(f->executor);
}

static bool passes(const struct filter *f, const struct agent_executor *e)
{
    return (!f->container || streq(f->container, e->container_id)) &&
           (!f->framework || streq(f->framework, e->framework->id)) &&
           (!f->executor || streq(f->executor, e->id));
}

void agent_containers_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;
    const char *query = http_exchange_request(ex)->query;
    const struct agent_viewer v = agent_viewer_of(api, ex);
    _cleanup_(filter_done) struct filter f = {http_query_get(query, "container_id"),
                                              http_query_get(query, "framework_id"),
                                              http_query_get(query, "executor_id")};
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(8192);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    if ((f.container && (f.framework || f.executor)) || (f.executor && !f.framework)) {
        http_respond(ex, 400, HTTP_TEXT,
                     "Expecting only 'container_id', only 'framework_id', or 'framework_id' with "
                     "'executor_id'");
        return;
    }
    json_array(&j);
    for (struct agent_executor *e = api->core->containers; e; e = e->hh_container.next) {
        if (!passes(&f, e) || !agent_viewer_executor(&v, ACL_VIEW_CONTAINERS, e))
            continue;
        json_object(&j);
        json_kstr(&j, "container_id", e->container_id);
        write_common(&j, e, arena);
        json_kpb(&j, "status", &agent_api_container_status(e, arena)->base, FL_JSON_LEGACY);
        json_end_object(&j);
    }
    json_end_array(&j);
    http_respond_json(ex, 200, &out);
}

void agent_containerizer_debug_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    json_karray(&j, "pending");
    for (struct agent_executor *e = api->core->containers; e; e = e->hh_container.next) {
        if (e->pid > 0)
            continue;
        json_object(&j);
        json_kstr(&j, "operation", "launch");
        json_kobject(&j, "args");
        json_kstr(&j, "containerId", e->container_id);
        json_end_object(&j);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}
