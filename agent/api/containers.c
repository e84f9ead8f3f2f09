/* What containers use: /monitor/statistics, /containers, /containerizer/debug (features.md 2.2). */
#include "agent/api/handlers.h"
#include "common/base/log.h"

#define SET(s, field, v)                                                                           \
    do {                                                                                           \
        (s)->has_##field = true;                                                                   \
        (s)->field = (v);                                                                          \
    } while (0)

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

/* A request that waits for the measurements. */
struct listing {
    struct http_exchange *ex;
    const struct agent_api *api;
    /* Of /containers: ?container_id=, or ?framework_id= with or without ?executor_id=, or nothing. */
    char *container, *framework, *executor;
    bool whole; /* with status: /containers */
};

static void listing_free(struct listing *l)
{
    free(l->container);
    free(l->framework);
    free(l->executor);
    free(l);
}

static bool passes(const struct listing *l, const struct agent_executor *e)
{
    return (!l->container || streq(l->container, e->container_id)) &&
           (!l->framework || streq(l->framework, e->framework->id)) &&
           (!l->executor || streq(l->executor, e->id));
}

/* Whoever asks for one container does not have all of them read. */
static const V1__ResourceStatistics *
statistics_of(const struct listing *l, const struct agent_executor *e, struct fl_arena *arena)
{
    if (!l->container)
        return usage_round_of(l->api->usage, e->container_id);
    return e->contained ? agent_api_container_statistics(e->core, e->container_id, arena) : NULL;
}

static void write_one(struct json_out *j, const struct listing *l, const struct agent_executor *e,
                      struct fl_arena *arena)
{
    const V1__ExecutorInfo *info = agent_executor_info(e, arena);
    const V1__ResourceStatistics *s = statistics_of(l, e, arena);

    json_object(j);
    if (l->whole)
        json_kstr(j, "container_id", e->container_id);
    json_kstr(j, "executor_id", e->id);
    json_kstr(j, "executor_name", info->name ? info->name : "");
    json_kstr(j, "framework_id", e->framework->id);
    json_kstr(j, "source", info->source ? info->source : "");
    if (s)
        json_kpb(j, "statistics", &s->base, FL_JSON_LEGACY);
    if (l->whole)
        json_kpb(j, "status", &agent_api_container_status(e, arena)->base, FL_JSON_LEGACY);
    json_end_object(j);
}

static void listing_ready(void *arg, bool gone)
{
    struct listing *l = arg;
    const struct agent_viewer v = agent_viewer_of(l->api, l->ex);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(8192);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_array(&j);
    for (struct agent_executor *e = gone ? NULL : l->api->core->containers; e;
         e = e->hh_container.next) {
        if (passes(l, e) && (!l->whole || agent_viewer_executor(&v, ACL_VIEW_CONTAINERS, e)))
            write_one(&j, l, e, arena);
    }
    json_end_array(&j);
    if (gone)
        http_respond(l->ex, 503, HTTP_TEXT, "The agent is ending");
    else
        http_respond_json(l->ex, 200, &out);
    listing_free(l);
}

void agent_statistics_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;
    struct listing *l = xnew0(struct listing);

    l->ex = ex;
    l->api = api;
    usage_round_ask(api->usage, listing_ready, l);
}

void agent_containers_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;
    const char *query = http_exchange_request(ex)->query;
    struct listing *l = xnew0(struct listing);

    *l = (struct listing){.ex = ex,
                          .api = api,
                          .container = http_query_get(query, "container_id"),
                          .framework = http_query_get(query, "framework_id"),
                          .executor = http_query_get(query, "executor_id"),
                          .whole = true};
    if ((l->container && (l->framework || l->executor)) || (l->executor && !l->framework)) {
        http_respond(ex, 400, HTTP_TEXT,
                     "Expecting only 'container_id', only 'framework_id', or 'framework_id' with "
                     "'executor_id'");
        listing_free(l);
        return;
    }
    if (l->container)
        listing_ready(l, false);
    else
        usage_round_ask(api->usage, listing_ready, l);
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
