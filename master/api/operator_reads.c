/* Calls of the operator API that need nothing but the master's state and settings, and TEARDOWN. */
#include "master/api/operator_call.h"
#include "master/api/state.h"
#include "common/model/operator_parts.h"

int op_get_health(struct operator_call *op, struct fl_err *err)
{
    op->response.get_health =
        OPERATOR_NEW(op, Mapi__Response__GetHealth, mapi__response__get_health);
    op->response.get_health->healthy = true;
    return 0;
}

int op_get_flags(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetFlags *m =
        OPERATOR_NEW(op, Mapi__Response__GetFlags, mapi__response__get_flags);

    m->n_flags = operator_flags(op->api->flags, op->arena, &m->flags);
    op->response.get_flags = m;
    return 0;
}

int op_get_version(struct operator_call *op, struct fl_err *err)
{
    op->response.get_version =
        OPERATOR_NEW(op, Mapi__Response__GetVersion, mapi__response__get_version);
    op->response.get_version->version_info = operator_version(op->arena);
    return 0;
}

int op_get_metrics(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetMetrics *m =
        OPERATOR_NEW(op, Mapi__Response__GetMetrics, mapi__response__get_metrics);

    m->n_metrics = operator_metrics(op->api->master->metrics, op->arena, &m->metrics);
    op->response.get_metrics = m;
    return 0;
}

int op_get_logging_level(struct operator_call *op, struct fl_err *err)
{
    op->response.get_logging_level =
        OPERATOR_NEW(op, Mapi__Response__GetLoggingLevel, mapi__response__get_logging_level);
    op->response.get_logging_level->level = log_toggle_level(op->api->log_toggle);
    return 0;
}

int op_set_logging_level(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__SetLoggingLevel *c = op->call->set_logging_level;
    int r;

    r = log_toggle_set(op->api->log_toggle, c->level,
                       (uint64_t)FL_MAX(c->duration->nanoseconds, 0) / 1000, err);
    if (r < 0)
        return r;
    return operator_empty(op, 200);
}

/* ---- the state ---- */

static int respond_view(struct operator_call *op, const struct state_view *view)
{
    state_respond_call(op->ex, op->api, view, op->encoding, op->principal);
    return 1;
}

int op_get_state(struct operator_call *op, struct fl_err *err)
{
    return respond_view(op, &state_view_get_state);
}

int op_get_agents(struct operator_call *op, struct fl_err *err)
{
    return respond_view(op, &state_view_get_agents);
}

int op_get_frameworks(struct operator_call *op, struct fl_err *err)
{
    return respond_view(op, &state_view_get_frameworks);
}

int op_get_executors(struct operator_call *op, struct fl_err *err)
{
    return respond_view(op, &state_view_get_executors);
}

int op_get_tasks(struct operator_call *op, struct fl_err *err)
{
    return respond_view(op, &state_view_get_tasks);
}

int op_get_master(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetMaster *g =
        OPERATOR_NEW(op, Mapi__Response__GetMaster, mapi__response__get_master);

    g->master_info = op->api->master->info;
    g->has_start_time = g->has_elected_time = true;
    g->start_time = op->api->master->start_time;
    g->elected_time = op->api->master->elected_time;
    op->response.get_master = g;
    return 0;
}

int op_subscribe(struct operator_call *op, struct fl_err *err)
{
    operator_subscribe(op->ex, op->api, op->principal, op->encoding);
    return 1;
}

int op_teardown(struct operator_call *op, struct fl_err *err)
{
    int r;

    r = api_teardown(op->api, op->principal, op->call->teardown->framework_id->value, err);
    if (r < 0) {
        /* An unknown framework is a bad request here, not a missing resource. */
        if (err->reason == FL_NOT_FOUND)
            err->reason = FL_INVALID;
        return r;
    }
    return operator_empty(op, 200);
}
