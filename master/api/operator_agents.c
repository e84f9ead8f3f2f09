/* Calls of the operator API about one agent: DRAIN_AGENT, DEACTIVATE_AGENT, REACTIVATE_AGENT, MARK_AGENT_GONE. */
#include "master/api/operator_call.h"
#include "master/drain.h"

/* Longer than anybody waits, and far from what 64 bits of nanoseconds hold. */
#define GRACE_MAX_S 1000000000

static int read_grace(const V1__Duration *d, V1__DurationInfo *ret, struct fl_err *err)
{
    if (d->seconds < 0 || d->nanos < 0)
        return fl_err_set(err, FL_INVALID, "'max_grace_period' is negative");
    if (d->seconds > GRACE_MAX_S || d->nanos >= 1000000000)
        return fl_err_set(err, FL_INVALID, "'max_grace_period' is too long");
    ret->nanoseconds = d->seconds * 1000000000 + d->nanos;
    return 0;
}

int op_drain_agent(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__DrainAgent *c = op->call->drain_agent;
    V1__DurationInfo grace = V1__DURATION_INFO__INIT;
    int r = 0;

    if (c->has_mark_gone && c->mark_gone)
        r = operator_check(op, ACL_MARK_AGENTS_GONE, NULL, err);
    if (r == 0 && c->max_grace_period)
        r = read_grace(c->max_grace_period, &grace, err);
    if (r < 0)
        return r;
    drain_agent(op->api->master, c->agent_id->value, c->max_grace_period ? &grace : NULL,
                c->has_mark_gone && c->mark_gone, op->principal, operator_answer, op->ex);
    return 1;
}

int op_deactivate_agent(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__DeactivateAgent *c = op->call->deactivate_agent;

    drain_deactivate(op->api->master, c->agent_id->value, op->principal, operator_answer, op->ex);
    return 1;
}

int op_reactivate_agent(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__ReactivateAgent *c = op->call->reactivate_agent;

    drain_reactivate(op->api->master, c->agent_id->value, op->principal, operator_answer, op->ex);
    return 1;
}

int op_mark_agent_gone(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__MarkAgentGone *c = op->call->mark_agent_gone;

    gone_mark(op->api->master, c->agent_id->value, op->principal, operator_answer, op->ex);
    return 1;
}
