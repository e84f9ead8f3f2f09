/* POST /api/v1 of the agent: the operator API (features.md 1.6). A table of calls; those that are not in it answer 501, once their
 * message has been found complete. */
#include <errno.h>

#include "agent/api/handlers.h"
#include "common/base/log.h"
#include "common/model/acl_resources.h"
#include "common/model/operator_files.h"
#include "common/model/operator_parts.h"

struct operation {
    struct http_exchange *ex;
    struct agent_api *api;
    const Aapi__Call *call;
    enum api_encoding encoding;      /* of the answer */
    struct agent_stream_type stream; /* or of its records */
    struct fl_arena *arena;
    struct agent_viewer viewer; /* who asks, and what he may see */
    Aapi__Response response;    /* type set */
};

/* Fills op->response and returns 0, or answers by itself and returns 1, or fails. */
typedef int operation_f(struct operation *op, struct fl_err *err);

#define NEW(op, Type, prefix) FL_ARENA_NEW((op)->arena, Type, prefix)

/* ---- JSON of answers whose empty lists are written ---- */

static void optional_lists(struct json_out *j, const char *key, const void *message)
{
    if (!message)
        return;
    json_key(j, key);
    operator_json_lists(j, message);
}

static void lists_json(struct json_out *j, const Aapi__Response *r)
{
    const Aapi__Response__GetState *s = r->get_state;

    json_object(j);
    json_kstr(j, "type", fl_enum_name(&aapi__response__type__descriptor, (int)r->type));
    optional_lists(j, "get_frameworks", r->get_frameworks);
    optional_lists(j, "get_executors", r->get_executors);
    optional_lists(j, "get_tasks", r->get_tasks);
    if (s) {
        json_kobject(j, "get_state");
        optional_lists(j, "get_tasks", s->get_tasks);
        optional_lists(j, "get_executors", s->get_executors);
        optional_lists(j, "get_frameworks", s->get_frameworks);
        json_end_object(j);
    }
    json_end_object(j);
}

static void respond(struct operation *op)
{
    const Aapi__Response *r = &op->response;
    bool lists = r->get_frameworks || r->get_executors || r->get_tasks || r->get_state;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    if (op->encoding == API_JSON && lists) {
        struct json_out j = json_out_on(&out);

        lists_json(&j, r);
    } else {
        api_encode(&out, &r->base, op->encoding);
    }
    http_respond_buf(op->ex, 200, api_content_type(op->encoding), &out);
}

/* ---- the daemon ---- */

static int get_health(struct operation *op, struct fl_err *err)
{
    op->response.get_health = NEW(op, Aapi__Response__GetHealth, aapi__response__get_health);
    op->response.get_health->healthy = true;
    return 0;
}

static int get_flags(struct operation *op, struct fl_err *err)
{
    Aapi__Response__GetFlags *m = NEW(op, Aapi__Response__GetFlags, aapi__response__get_flags);

    m->n_flags = operator_flags(op->api->flags, op->arena, &m->flags);
    op->response.get_flags = m;
    return 0;
}

static int get_version(struct operation *op, struct fl_err *err)
{
    op->response.get_version = NEW(op, Aapi__Response__GetVersion, aapi__response__get_version);
    op->response.get_version->version_info = operator_version(op->arena);
    return 0;
}

static int get_metrics(struct operation *op, struct fl_err *err)
{
    Aapi__Response__GetMetrics *m =
        NEW(op, Aapi__Response__GetMetrics, aapi__response__get_metrics);

    m->n_metrics = operator_metrics(op->api->core->metrics, op->arena, &m->metrics);
    op->response.get_metrics = m;
    return 0;
}

static int get_logging_level(struct operation *op, struct fl_err *err)
{
    op->response.get_logging_level =
        NEW(op, Aapi__Response__GetLoggingLevel, aapi__response__get_logging_level);
    op->response.get_logging_level->level = log_toggle_level(op->api->log_toggle);
    return 0;
}

static int set_logging_level(struct operation *op, struct fl_err *err)
{
    const Aapi__Call__SetLoggingLevel *c = op->call->set_logging_level;
    int r = log_toggle_set(op->api->log_toggle, c->level,
                           (uint64_t)FL_MAX(c->duration->nanoseconds, 0) / 1000, err);

    if (r < 0)
        return r;
    http_respond(op->ex, 200, NULL, "");
    return 1;
}

/* ---- files ---- */

static int list_files(struct operation *op, struct fl_err *err)
{
    const char *path = op->call->list_files->path;
    Aapi__Response__ListFiles *m = NEW(op, Aapi__Response__ListFiles, aapi__response__list_files);
    int r = agent_viewer_file(&op->viewer, op->api, path, err);

    if (r == 0)
        r = operator_list_files(op->api->files, path, op->arena, &m->file_infos, &m->n_file_infos,
                                err);
    op->response.list_files = m;
    return r;
}

static int read_file(struct operation *op, struct fl_err *err)
{
    const Aapi__Call__ReadFile *c = op->call->read_file;
    Aapi__Response__ReadFile *m = NEW(op, Aapi__Response__ReadFile, aapi__response__read_file);
    int r = agent_viewer_file(&op->viewer, op->api, c->path, err);

    if (r == 0)
        r = operator_read_file(op->api->files, c->path, c->offset,
                               c->has_length ? c->length : UINT64_MAX, op->arena, &m->data,
                               &m->size, err);
    op->response.read_file = m;
    return r;
}

static int read_log(struct operation *op, struct fl_err *err)
{
    return agent_read_log(op->api, &op->viewer, op->call->read_log, op->arena,
                          &op->response.read_log, err);
}

/* ---- state ---- */

static int get_state(struct operation *op, struct fl_err *err)
{
    const struct agent_core *a = op->api->core;
    Aapi__Response__GetState *s = NEW(op, Aapi__Response__GetState, aapi__response__get_state);

    s->get_tasks = agent_view_tasks(a, &op->viewer, op->arena);
    s->get_executors = agent_view_executors(a, &op->viewer, op->arena);
    s->get_frameworks = agent_view_frameworks(a, &op->viewer, op->arena);
    op->response.get_state = s;
    return 0;
}

static int get_frameworks(struct operation *op, struct fl_err *err)
{
    op->response.get_frameworks = agent_view_frameworks(op->api->core, &op->viewer, op->arena);
    return 0;
}

static int get_executors(struct operation *op, struct fl_err *err)
{
    op->response.get_executors = agent_view_executors(op->api->core, &op->viewer, op->arena);
    return 0;
}

static int get_tasks(struct operation *op, struct fl_err *err)
{
    op->response.get_tasks = agent_view_tasks(op->api->core, &op->viewer, op->arena);
    return 0;
}

/* The operation while it waits for the measurements; what it borrows lives as long as the exchange. */
static void containers_ready(void *arg, bool gone)
{
    struct operation *op = arg;
    const Aapi__Call__GetContainers *c = op->call->get_containers;

    if (gone) {
        http_respond(op->ex, 503, HTTP_TEXT, "The agent is ending");
    } else {
        op->response.get_containers =
            agent_view_containers(op->api, &op->viewer, c && c->has_show_nested && c->show_nested,
                                  c && c->has_show_standalone && c->show_standalone, op->arena);
        respond(op);
    }
    free(op);
}

static int get_containers(struct operation *op, struct fl_err *err)
{
    struct operation *copy = xnew0(struct operation);

    *copy = *op;
    usage_round_ask(op->api->usage, containers_ready, copy);
    return 1;
}

static int get_agent(struct operation *op, struct fl_err *err)
{
    const struct agent_core *a = op->api->core;
    Aapi__Response__GetAgent *m = NEW(op, Aapi__Response__GetAgent, aapi__response__get_agent);

    m->agent_info = a->info;
    if (a->drain) {
        m->drain_config = a->drain;
        m->estimated_drain_start_time = NEW(op, V1__TimeInfo, v1__time_info);
        m->estimated_drain_start_time->nanoseconds = (int64_t)(a->drain_start_time * 1e9);
    }
    op->response.get_agent = m;
    return 0;
}

static int get_operations(struct operation *op, struct fl_err *err)
{
    Aapi__Response__GetOperations *m =
        NEW(op, Aapi__Response__GetOperations, aapi__response__get_operations);

    _cleanup_approver_ struct acl_approver *roles =
        acl_approver_get(op->viewer.acls, ACL_VIEW_ROLES, op->viewer.principal);
    size_t n = agent_operations_pb(op->api->core, op->arena, &m->operations);

    for (size_t i = 0; i < n; i++) {
        if (acl_sees_operation(roles, m->operations[i]->info))
            m->operations[m->n_operations++] = m->operations[i];
    }
    op->response.get_operations = m;
    return 0;
}

static int get_resource_providers(struct operation *op, struct fl_err *err)
{
    op->response.get_resource_providers =
        NEW(op, Aapi__Response__GetResourceProviders, aapi__response__get_resource_providers);
    return 0;
}

/* Answers by itself, now or later. */
static int container_call(struct operation *op, struct fl_err *err)
{
    int r = agent_container_call(op->ex, op->api, op->call, op->encoding, err);

    return r < 0 ? r : 1;
}

static int attach_output(struct operation *op, struct fl_err *err)
{
    int r = agent_attach_output(op->ex, op->api, op->call, &op->stream, err);

    return r < 0 ? r : 1;
}

static int session(struct operation *op, struct fl_err *err)
{
    int r = agent_session(op->ex, op->api, op->call, &op->stream, err);

    return r < 0 ? r : 1;
}

static int attach_input(struct operation *op, struct fl_err *err)
{
    return fl_err_set(err, FL_UNSUPPORTED,
                      "Expecting 'Content-Type' to be application/recordio for "
                      "ATTACH_CONTAINER_INPUT call");
}

static void pruned(void *arg, const struct fl_err *err)
{
    struct http_exchange *ex = arg;

    if (err)
        http_respond_err(ex, err);
    else
        http_respond(ex, 200, NULL, "");
}

/* The answer waits until it is done. */
static int prune_images(struct operation *op, struct fl_err *err)
{
    const Aapi__Call__PruneImages *p = op->call->prune_images;
    struct containerizer *c = op->api->core->containerizer;
    int r = 0;

    if (c && c->ops->prune_images)
        r = c->ops->prune_images(c, p ? (const V1__Image *const *)p->excluded_images : NULL,
                                 p ? p->n_excluded_images : 0, pruned, op->ex, err);
    else
        pruned(op->ex, NULL);
    return r < 0 ? r : 1;
}

static int provider_call(struct operation *op, struct fl_err *err)
{
    return agent_provider_call(op->call, err);
}

static const struct {
    Aapi__Call__Type type;
    operation_f *fn;
} calls[] = {
#define OPERATOR_CALL(type, fn, answers, text) {AAPI__CALL__TYPE__##type, fn},
#include "agent/api/operator_calls.def"
};

/* ---- the endpoint ---- */

static int check_call(const Aapi__Call *c, struct fl_err *err)
{
    const char *name = fl_enum_name(&aapi__call__type__descriptor, (int)c->type);

    if (!c->has_type)
        return fl_err_set(err, FL_INVALID,
                          "Failed to validate agent::Call: Expecting 'type' to be present");
    /* These two say something without it. */
    if (!name || c->type == AAPI__CALL__TYPE__GET_CONTAINERS ||
        c->type == AAPI__CALL__TYPE__PRUNE_IMAGES)
        return 0;
    if (api_check_part(&c->base, name, err) < 0)
        return fl_err_wrap(err, "Failed to validate agent::Call");
    if (agent_provider_check(c, err) < 0)
        return -EINVAL;
    return agent_container_check(c, err);
}

void *agent_operator_decode(const struct http_request *r, struct fl_err *err)
{
    struct api_call *c = api_decode(r, &aapi__call__descriptor, err);

    if (c && check_call((const Aapi__Call *)c->msg, err) < 0) {
        api_call_free(c);
        return NULL;
    }
    return c;
}

/* Calls that are allowed or forbidden as a whole. Those about users ask where they know them. */
static const struct {
    Aapi__Call__Type type;
    enum acl_action action;
} whole_calls[] = {
    {AAPI__CALL__TYPE__GET_FLAGS, ACL_VIEW_FLAGS},
    {AAPI__CALL__TYPE__SET_LOGGING_LEVEL, ACL_SET_LOG_LEVEL},
    {AAPI__CALL__TYPE__PRUNE_IMAGES, ACL_PRUNE_IMAGES},
    {AAPI__CALL__TYPE__ADD_RESOURCE_PROVIDER_CONFIG, ACL_MODIFY_PROVIDER_CONFIGS},
    {AAPI__CALL__TYPE__UPDATE_RESOURCE_PROVIDER_CONFIG, ACL_MODIFY_PROVIDER_CONFIGS},
    {AAPI__CALL__TYPE__REMOVE_RESOURCE_PROVIDER_CONFIG, ACL_MODIFY_PROVIDER_CONFIGS},
    {AAPI__CALL__TYPE__MARK_RESOURCE_PROVIDER_GONE, ACL_MARK_PROVIDERS_GONE},
};

/* Who is known by claims only is an executor: nothing here is for it but its own containers. */
static int check_caller(const struct operation *op, operation_f *fn, struct fl_err *err)
{
    const struct http_principal *p = http_exchange_principal(op->ex);
    const struct acls *acls = op->viewer.acls;
    int r = 0;

    if (p && !p->value && fn != container_call && fn != session && fn != attach_output)
        return fl_err_set(err, FL_FORBIDDEN,
                          "The request's authenticated principal contains claims, but no value "
                          "string");
    for (size_t i = 0; acls && r == 0 && i < ARRAY_SIZE(whole_calls); i++) {
        if (whole_calls[i].type == op->call->type)
            r = acls_check(acls, whole_calls[i].action, op->viewer.principal, NULL, err);
    }
    return r;
}

static void run(struct operation *op)
{
    const char *name = fl_enum_name(&aapi__call__type__descriptor, (int)op->call->type);
    operation_f *fn = NULL;
    struct fl_err err = {0};
    int value = 0, r;

    for (size_t i = 0; i < ARRAY_SIZE(calls) && !fn; i++) {
        if (calls[i].type == op->call->type)
            fn = calls[i].fn;
    }
    r = check_caller(op, fn, &err);
    if (r == 0 && !fn) {
        http_respondf(op->ex, 501, HTTP_TEXT, "The call '%s' is not implemented", name);
        return;
    }
    aapi__response__init(&op->response);
    op->response.has_type = true;
    /* The names of calls and answers are the same; their numbers are not. */
    if (fl_enum_value(&aapi__response__type__descriptor, name, &value) == 0)
        op->response.type = (Aapi__Response__Type)value;
    if (r == 0)
        r = fn(op, &err);
    if (r < 0)
        http_respond_err(op->ex, &err);
    else if (r == 0)
        respond(op);
}

static bool streams(const Aapi__Call *c)
{
    return c->type == AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION ||
           c->type == AAPI__CALL__TYPE__ATTACH_CONTAINER_OUTPUT;
}

/* Only what streams has messages within messages; a request that does so has been dealt with. */
static bool refuse_streaming(struct http_exchange *ex, const struct http_request *r, bool answers)
{
    if (http_request_header(r, "Message-Content-Type")) {
        http_respond(ex, 415, HTTP_TEXT,
                     "Expecting 'Message-Content-Type' to be not set for a non-streaming request");
        return true;
    }
    if (!answers && http_request_header(r, "Message-Accept")) {
        http_respond(ex, 406, HTTP_TEXT,
                     "Expecting 'Message-Accept' to be not set for a non-streaming response");
        return true;
    }
    return false;
}

void agent_operator_post(struct http_exchange *ex, void *arg)
{
    struct agent_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    const struct api_call *c;
    struct operation op = {.ex = ex, .api = api};

    if (api->core->state == AGENT_RECOVERING) {
        http_respond(ex, 503, HTTP_TEXT, "Agent has not finished recovery; try again in a moment");
        return;
    }
    if (agent_is_recordio(r)) {
        agent_attach_input(ex, api);
        return;
    }
    if (api_refuse_early(ex))
        return;
    c = r->decoded;
    op.call = (const Aapi__Call *)c->msg;
    op.arena = c->arena;
    op.viewer = agent_viewer_of(api, ex);
    if (refuse_streaming(ex, r, streams(op.call)))
        return;
    if (streams(op.call)) {
        if (agent_stream_accept(ex, &op.stream) == 0)
            run(&op);
        return;
    }
    if (api_accept(r, &op.encoding) < 0) {
        http_respondf(ex, 406, HTTP_TEXT, "Expecting 'Accept' to allow '%s' or '%s'",
                      api_content_type(API_PROTOBUF), api_content_type(API_JSON));
        return;
    }
    run(&op);
}
