/* POST /api/v1 of the master: the operator API. Which function serves
 * which call is in operator_calls.def; those that are not in it answer 501. */
#include "master/api/operator_call.h"

#include "common/base/log.h"

static void respond(struct operator_call *op)
{
    const Mapi__Response *r = &op->response;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    api_encode(&out, &r->base, op->encoding);
    http_respond_buf(op->ex, 200, api_content_type(op->encoding), &out);
}

int operator_empty(struct operator_call *op, int status)
{
    http_respond(op->ex, status, NULL, "");
    return 1;
}

void operator_answer(void *exchange, int status, const struct fl_err *err_or_null)
{
    if (err_or_null)
        http_respond_err(exchange, err_or_null);
    else
        http_respond(exchange, status, NULL, "");
}

static const struct {
    Mapi__Call__Type type;
    operator_f *fn;
} calls[] = {
#define OPERATOR_CALL(type, fn, answers, text) {MAPI__CALL__TYPE__##type, fn},
#include "master/api/operator_calls.def"
#undef OPERATOR_CALL
};

/* ---- the endpoint ---- */

static int check_call(const Mapi__Call *c, struct fl_err *err)
{
    const char *name = fl_enum_name(&mapi__call__type__descriptor, (int)c->type);
    int r = 0;

    if (!c->has_type)
        r = fl_err_set(err, FL_INVALID, "Expecting 'type' to be present");
    else if (name)
        r = api_check_part(&c->base, name, err);
    return r < 0 ? fl_err_wrap(err, "Failed to validate master::Call") : 0;
}

void *operator_decode(const struct http_request *r, struct fl_err *err)
{
    struct api_call *c = api_decode(r, &mapi__call__descriptor, err);

    if (c && check_call((const Mapi__Call *)c->msg, err) < 0) {
        api_call_free(c);
        return NULL;
    }
    return c;
}

/* Calls that are allowed or forbidden as a whole. Those about roles, users and the like ask where they know them. */
static const struct {
    Mapi__Call__Type type;
    enum acl_action action;
} whole_calls[] = {
    {MAPI__CALL__TYPE__GET_FLAGS, ACL_VIEW_FLAGS},
    {MAPI__CALL__TYPE__SET_LOGGING_LEVEL, ACL_SET_LOG_LEVEL},
    {MAPI__CALL__TYPE__UPDATE_MAINTENANCE_SCHEDULE, ACL_UPDATE_MAINTENANCE_SCHEDULES},
    {MAPI__CALL__TYPE__START_MAINTENANCE, ACL_START_MAINTENANCES},
    {MAPI__CALL__TYPE__STOP_MAINTENANCE, ACL_STOP_MAINTENANCES},
    {MAPI__CALL__TYPE__DRAIN_AGENT, ACL_DRAIN_AGENTS},
    {MAPI__CALL__TYPE__DEACTIVATE_AGENT, ACL_DEACTIVATE_AGENTS},
    {MAPI__CALL__TYPE__REACTIVATE_AGENT, ACL_REACTIVATE_AGENTS},
    {MAPI__CALL__TYPE__MARK_AGENT_GONE, ACL_MARK_AGENTS_GONE},
};

int operator_check(const struct operator_call *op, enum acl_action action, const char *object,
                   struct fl_err *err)
{
    return acls_check(op->api->master->acls, action, op->principal, object, err);
}

static int check_whole(const struct operator_call *op, struct fl_err *err)
{
    int r = 0;

    if (!op->api->master->acls)
        return 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(whole_calls); i++) {
        if (whole_calls[i].type == op->call->type)
            r = operator_check(op, whole_calls[i].action, NULL, err);
    }
    return r;
}

static void run(struct operator_call *op, operator_f *fn)
{
    struct fl_err err = {0};
    int r = check_whole(op, &err);

    if (r == 0)
        r = fn(op, &err);

    if (r < 0)
        http_respond_err(op->ex, &err);
    else if (r == 0)
        respond(op);
}

void operator_post(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;

    if (api_refuse_unrecovered(ex, api) || api_refuse_early(ex))
        return;
    const struct http_request *r = http_exchange_request(ex);
    const struct api_call *c = r->decoded;
    struct operator_call op = {
        .ex = ex,
        .api = api,
        .call = (const Mapi__Call *)c->msg,
        .arena = c->arena,
        .principal = http_guard_principal(ex),
    };

    if (api_accept(r, &op.encoding) < 0) {
        http_respondf(ex, 406, HTTP_TEXT, "Expecting 'Accept' to allow '%s' or '%s'",
                      api_content_type(API_PROTOBUF), api_content_type(API_JSON));
        return;
    }
    _cleanup_viewer_ struct viewer *viewer = viewer_new(api->master, op.principal);
    op.viewer = viewer;
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
