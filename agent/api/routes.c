/* The table of the agent's endpoints, made from routes.def, and the handlers that only pass on. */
#include "agent/api/handlers.h"
#include "common/model/api_doc.h"

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
        .rules_get = ((opts)&AGENT_ROUTE_GET) != 0,                                                \
    },
const struct http_route agent_routes[] = {
#include "agent/api/routes.def"
};
const size_t agent_routes_n = ARRAY_SIZE(agent_routes);

#define ROUTE(p, h, d, opts, t)                                                                    \
    {                                                                                              \
        .kind = API_DOC_ROUTE,                                                                     \
        .name = (p),                                                                               \
        .text = (t),                                                                               \
        .realm = AGENT_ROUTE_REALM(opts),                                                          \
        .json_alias = ((opts)&AGENT_ROUTE_JSON_ALIAS) != 0,                                        \
        .own_process = ((opts)&AGENT_ROUTE_OWN) != 0,                                              \
        .filtered = ((opts)&AGENT_ROUTE_FILTERED) != 0,                                            \
    },
#define METHOD(name, text) API_DOC_PART(API_DOC_METHOD, name, text)
#define QUERY(name, text)  API_DOC_PART(API_DOC_QUERY, name, text)
#define FORM(name, text)   API_DOC_PART(API_DOC_FORM, name, text)
#define ANSWER(name, text) API_DOC_PART(API_DOC_ANSWER, name, text)
static const struct api_doc_row doc_rows[] = {
#include "agent/api/routes.def"
};

#define OPERATOR_CALL(type, fn, answers, text) {#type, answers, text},
static const struct api_doc_call doc_calls[] = {
#include "agent/api/operator_calls.def"
};

const struct api_doc agent_api_doc = {
    .title = "Agent",
    .process_id = "slave(1)",
    .rows = doc_rows,
    .n_rows = ARRAY_SIZE(doc_rows),
    .calls_path = "/api/v1",
    .calls = doc_calls,
    .n_calls = ARRAY_SIZE(doc_calls),
};

void agent_help_get(struct http_exchange *ex, void *arg)
{
    api_doc_help(ex, &agent_api_doc);
}

void agent_processes_get(struct http_exchange *ex, void *arg)
{
    api_doc_processes(ex, &agent_api_doc);
}

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
