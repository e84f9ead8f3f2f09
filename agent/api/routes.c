/* The table of the agent's endpoints, made from routes.def, and the handlers that only pass on. */
#include "agent/api/handlers.h"

#define ROUTE(p, h, d, opts, text)                                                                 \
    {                                                                                              \
        .path = (p),                                                                               \
        .handler = (h),                                                                            \
        .decode = (d),                                                                             \
        .decoded_free = api_call_free,                                                             \
        .json_alias = ((opts)&AGENT_ROUTE_JSON_ALIAS) != 0,                                        \
        .exact = ((opts)&AGENT_ROUTE_EXACT) != 0,                                                  \
        .stream_type = (opts)&AGENT_ROUTE_RECORDIO ? "application/recordio" : NULL,                \
        .help = (text),                                                                            \
        .realm = AGENT_ROUTE_REALM(opts),                                                          \
    },
const struct http_route agent_routes[] = {
#include "agent/api/routes.def"
};
const size_t agent_routes_n = ARRAY_SIZE(agent_routes);

void agent_flags_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    if (!http_guard_forbidden(api->guard, ex, ACL_VIEW_FLAGS, NULL))
        plain_flags(ex, api->flags);
}

void agent_metrics_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    plain_metrics(ex, api->core->metrics);
}

void agent_logging_toggle(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    plain_logging_toggle(ex, api->log_toggle);
}

/* True when it answered. */
static bool file_forbidden(const struct agent_api *api, struct http_exchange *ex)
{
    const struct agent_viewer v = agent_viewer_of(api, ex);
    _cleanup_free_ char *path =
        v.acls ? http_query_get(http_exchange_request(ex)->query, "path") : NULL;
    struct fl_err err = {0};

    if (!path || agent_viewer_file(&v, api, path, &err) == 0)
        return false;
    http_respond_err(ex, &err);
    return true;
}

void agent_files_browse_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    if (!file_forbidden(api, ex))
        http_files_browse(api->files, ex);
}

void agent_files_read_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    if (!file_forbidden(api, ex))
        http_files_read(api->files, ex);
}

void agent_files_download_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    if (!file_forbidden(api, ex))
        http_files_download(api->files, ex);
}

void agent_files_debug_get(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    http_files_debug(api->files, ex);
}
