/* POST /api/v1 of the master: the operator API. A table of calls; those that are not in it answer
 * 501. */
#include "master/api/handlers.h"

#include "common/base/log.h"
#include "master/api/views.h"
#include "common/model/operator_parts.h"

struct operator_call {
    struct http_exchange *ex;
    struct master_api *api;
    const Mapi__Call *call;
    enum api_encoding encoding; /* of the answer */
    struct fl_arena *arena;
    Mapi__Response response; /* type set */
};

/* Fills op->response and returns 0, or answers by itself and returns 1, or fails. */
typedef int operator_f(struct operator_call *op, struct fl_err *err);

/* ---- JSON of answers whose empty lists are written ---- */

static const char *const lists_agents[] = {"agents", "recovered_agents", NULL};
static const char *const lists_frameworks[] = {"frameworks", "completed_frameworks", NULL};
static const char *const lists_executors[] = {"executors", NULL};
static const char *const lists_tasks[] = {"tasks", "unreachable_tasks", "completed_tasks", NULL};

void operator_state_json(struct json_out *j, const Mapi__Response__GetState *s)
{
    json_object(j);
    json_key(j, "get_tasks");
    operator_json_lists(j, &s->get_tasks->base, lists_tasks);
    json_key(j, "get_executors");
    operator_json_lists(j, &s->get_executors->base, lists_executors);
    json_key(j, "get_frameworks");
    operator_json_lists(j, &s->get_frameworks->base, lists_frameworks);
    json_key(j, "get_agents");
    operator_json_lists(j, &s->get_agents->base, lists_agents);
    json_end_object(j);
}

static void response_json(struct json_out *j, const Mapi__Response *r)
{
    json_object(j);
    json_kstr(j, "type", fl_enum_name(&mapi__response__type__descriptor, (int)r->type));
    if (r->get_agents) {
        json_key(j, "get_agents");
        operator_json_lists(j, &r->get_agents->base, lists_agents);
    } else if (r->get_frameworks) {
        json_key(j, "get_frameworks");
        operator_json_lists(j, &r->get_frameworks->base, lists_frameworks);
    } else if (r->get_executors) {
        json_key(j, "get_executors");
        operator_json_lists(j, &r->get_executors->base, lists_executors);
    } else if (r->get_tasks) {
        json_key(j, "get_tasks");
        operator_json_lists(j, &r->get_tasks->base, lists_tasks);
    } else if (r->get_state) {
        json_key(j, "get_state");
        operator_state_json(j, r->get_state);
    }
    json_end_object(j);
}

static void respond(struct operator_call *op)
{
    const Mapi__Response *r = &op->response;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    bool lists =
        r->get_agents || r->get_frameworks || r->get_executors || r->get_tasks || r->get_state;

    if (op->encoding == API_JSON && lists) {
        struct json_out j = json_out_on(&out);
        response_json(&j, r);
    } else {
        api_encode(&out, &r->base, op->encoding);
    }
    http_respond_buf(op->ex, 200, api_content_type(op->encoding), &out);
}

/* ---- calls ---- */

#define NEW(op, Type, prefix) FL_ARENA_NEW((op)->arena, Type, prefix)

static int get_health(struct operator_call *op, struct fl_err *err)
{
    op->response.get_health = NEW(op, Mapi__Response__GetHealth, mapi__response__get_health);
    op->response.get_health->healthy = true;
    return 0;
}

static int get_flags(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetFlags *m = NEW(op, Mapi__Response__GetFlags, mapi__response__get_flags);

    m->n_flags = operator_flags(op->api->flags, op->arena, &m->flags);
    op->response.get_flags = m;
    return 0;
}

static int get_version(struct operator_call *op, struct fl_err *err)
{
    op->response.get_version = NEW(op, Mapi__Response__GetVersion, mapi__response__get_version);
    op->response.get_version->version_info = operator_version(op->arena);
    return 0;
}

static int get_metrics(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetMetrics *m =
        NEW(op, Mapi__Response__GetMetrics, mapi__response__get_metrics);

    if (!op->call->get_metrics)
        return fl_err_set(err, FL_INVALID, "Expecting 'get_metrics' to be present");
    m->n_metrics = operator_metrics(op->api->master->metrics, op->arena, &m->metrics);
    op->response.get_metrics = m;
    return 0;
}

static int get_logging_level(struct operator_call *op, struct fl_err *err)
{
    op->response.get_logging_level =
        NEW(op, Mapi__Response__GetLoggingLevel, mapi__response__get_logging_level);
    op->response.get_logging_level->level = log_toggle_level(op->api->log_toggle);
    return 0;
}

static int empty_answer(struct operator_call *op, int status)
{
    http_respond(op->ex, status, NULL, "");
    return 1;
}

static int set_logging_level(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__SetLoggingLevel *c = op->call->set_logging_level;
    int r;

    if (!c || !c->duration)
        return fl_err_set(err, FL_INVALID, "Expecting 'set_logging_level' to be present");
    r = log_toggle_set(op->api->log_toggle, c->level,
                       (uint64_t)FL_MAX(c->duration->nanoseconds, 0) / 1000, err);
    if (r < 0)
        return r;
    return empty_answer(op, 200);
}

static int get_state(struct operator_call *op, struct fl_err *err)
{
    op->response.get_state = view_state(op->api->master, op->arena);
    return 0;
}

static int get_agents(struct operator_call *op, struct fl_err *err)
{
    op->response.get_agents = view_agents(op->api->master, op->arena);
    return 0;
}

static int get_frameworks(struct operator_call *op, struct fl_err *err)
{
    op->response.get_frameworks = view_frameworks(op->api->master, op->arena);
    return 0;
}

static int get_executors(struct operator_call *op, struct fl_err *err)
{
    op->response.get_executors = view_executors(op->api->master, op->arena);
    return 0;
}

static int get_tasks(struct operator_call *op, struct fl_err *err)
{
    op->response.get_tasks = view_tasks(op->api->master, op->arena);
    return 0;
}

static int get_master(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetMaster *g = NEW(op, Mapi__Response__GetMaster, mapi__response__get_master);

    g->master_info = op->api->master->info;
    g->has_start_time = g->has_elected_time = true;
    g->start_time = op->api->master->start_time;
    g->elected_time = op->api->master->elected_time;
    op->response.get_master = g;
    return 0;
}

static int subscribe(struct operator_call *op, struct fl_err *err)
{
    operator_subscribe(op->ex, op->api, op->encoding);
    return 1;
}

static int teardown(struct operator_call *op, struct fl_err *err)
{
    int r;

    if (!op->call->teardown || !op->call->teardown->framework_id)
        return fl_err_set(err, FL_INVALID, "Expecting 'teardown' to be present");
    r = master_teardown(op->api->master, op->call->teardown->framework_id->value, err);
    if (r < 0) {
        /* An unknown framework is a bad request here, not a missing resource. */
        if (err->reason == FL_NOT_FOUND)
            err->reason = FL_INVALID;
        return r;
    }
    return empty_answer(op, 200);
}

static const struct {
    Mapi__Call__Type type;
    operator_f *fn;
} calls[] = {
    {MAPI__CALL__TYPE__GET_HEALTH, get_health},
    {MAPI__CALL__TYPE__GET_FLAGS, get_flags},
    {MAPI__CALL__TYPE__GET_VERSION, get_version},
    {MAPI__CALL__TYPE__GET_METRICS, get_metrics},
    {MAPI__CALL__TYPE__GET_LOGGING_LEVEL, get_logging_level},
    {MAPI__CALL__TYPE__SET_LOGGING_LEVEL, set_logging_level},
    {MAPI__CALL__TYPE__GET_STATE, get_state},
    {MAPI__CALL__TYPE__GET_AGENTS, get_agents},
    {MAPI__CALL__TYPE__GET_FRAMEWORKS, get_frameworks},
    {MAPI__CALL__TYPE__GET_EXECUTORS, get_executors},
    {MAPI__CALL__TYPE__GET_TASKS, get_tasks},
    {MAPI__CALL__TYPE__GET_MASTER, get_master},
    {MAPI__CALL__TYPE__SUBSCRIBE, subscribe},
    {MAPI__CALL__TYPE__TEARDOWN, teardown},
};

/* ---- the endpoint ---- */

void *operator_decode(const struct http_request *r, struct fl_err *err)
{
    struct api_call *c = api_decode(r, &mapi__call__descriptor, err);

    if (c && !((const Mapi__Call *)c->msg)->has_type) {
        fl_err_set(err, FL_INVALID,
                   "Failed to validate master::Call: Expecting 'type' to be present");
        api_call_free(c);
        return NULL;
    }
    return c;
}

static void run(struct operator_call *op, operator_f *fn)
{
    struct fl_err err = {0};
    int r = fn(op, &err);

    if (r < 0)
        http_respond_err(op->ex, &err);
    else if (r == 0)
        respond(op);
}

void operator_post(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;

    if (!api->master->recovered) {
        http_respond(ex, 503, HTTP_TEXT, "Master has not finished recovery");
        return;
    }
    if (api_refuse_early(ex))
        return;
    const struct http_request *r = http_exchange_request(ex);
    const struct api_call *c = r->decoded;
    struct operator_call op = {
        .ex = ex,
        .api = api,
        .call = (const Mapi__Call *)c->msg,
        .arena = c->arena,
    };

    if (api_accept(r, &op.encoding) < 0) {
        http_respondf(ex, 406, HTTP_TEXT, "Expecting 'Accept' to allow '%s' or '%s'",
                      api_content_type(API_PROTOBUF), api_content_type(API_JSON));
        return;
    }
    mapi__response__init(&op.response);
    op.response.has_type = true;
    op.response.type = (Mapi__Response__Type)op.call->type;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        if (calls[i].type == op.call->type) {
            /* The names of calls and answers are the same; their numbers are not. */
            int value = 0;
            if (fl_enum_value(&mapi__response__type__descriptor,
                              fl_enum_name(&mapi__call__type__descriptor, (int)op.call->type),
                              &value) == 0)
                op.response.type = (Mapi__Response__Type)value;
            run(&op, calls[i].fn);
            return;
        }
    }
    http_respondf(ex, 501, HTTP_TEXT, "The call '%s' is not implemented",
                  fl_enum_name(&mapi__call__type__descriptor, (int)op.call->type));
}
