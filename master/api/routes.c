/* The table of the master's endpoints, made from routes.def. */
#include "common/model/api_doc.h"
#include "master/api/handlers.h"

#define ROUTE(p, h, d, opts, text)                                                                 \
    {                                                                                              \
        .path = (p),                                                                               \
        .handler = (h),                                                                            \
        .decode = (d),                                                                             \
        .decoded_free = api_call_free,                                                             \
        .json_alias = ((opts)&ROUTE_JSON_ALIAS) != 0,                                              \
        .exact = ((opts)&ROUTE_EXACT) != 0,                                                        \
        .side_body = ((opts)&ROUTE_SIDE) != 0,                                                     \
        .help = (text),                                                                            \
        .realm = ROUTE_REALM(opts),                                                                \
        .leader_only = ((opts)&ROUTE_LEADER) != 0,                                                 \
        .rules_get = ((opts)&ROUTE_GET) != 0,                                                      \
    },
const struct http_route master_routes[] = {
#include "master/api/routes.def"
};
const size_t master_routes_n = ARRAY_SIZE(master_routes);

#define ROUTE(p, h, d, opts, t)                                                                    \
    {                                                                                              \
        .kind = API_DOC_ROUTE,                                                                     \
        .name = (p),                                                                               \
        .text = (t),                                                                               \
        .realm = ROUTE_REALM(opts),                                                                \
        .json_alias = ((opts)&ROUTE_JSON_ALIAS) != 0,                                              \
        .own_process = ((opts)&ROUTE_OWN) != 0,                                                    \
        .leader_only = ((opts)&ROUTE_LEADER) != 0,                                                 \
        .filtered = ((opts)&ROUTE_FILTERED) != 0,                                                  \
    },
#define METHOD(name, text) API_DOC_PART(API_DOC_METHOD, name, text)
#define QUERY(name, text)  API_DOC_PART(API_DOC_QUERY, name, text)
#define FORM(name, text)   API_DOC_PART(API_DOC_FORM, name, text)
#define ANSWER(name, text) API_DOC_PART(API_DOC_ANSWER, name, text)
static const struct api_doc_row doc_rows[] = {
#include "master/api/routes.def"
};

#define OPERATOR_CALL(type, fn, answers, text) {#type, answers, text},
static const struct api_doc_call doc_calls[] = {
#include "master/api/operator_calls.def"
};

const struct api_doc master_api_doc = {
    .title = "Master",
    .process_id = "master",
    .rows = doc_rows,
    .n_rows = ARRAY_SIZE(doc_rows),
    .calls_path = "/api/v1",
    .calls = doc_calls,
    .n_calls = ARRAY_SIZE(doc_calls),
};

void help_get(struct http_exchange *ex, void *arg)
{
    api_doc_help(ex, &master_api_doc);
}

void processes_get(struct http_exchange *ex, void *arg)
{
    api_doc_processes(ex, &master_api_doc);
}
