/* What became of operations: statuses from agents, on their way to frameworks and back as acknowledgements;
 * RECONCILE_OPERATIONS.
 *
 * An agent repeats a status that has a uuid until it is acknowledged: by the framework that gave the operation an id, or by
 * the master when there is none that could. Statuses without a uuid are told once.
 */
#include "master/core.h"

/* So long after its agent's (re-)registration a framework that the master does not know may come back for the status of its
 * operation, as agents may be back before frameworks after a restart of the master. */
#define ADOPTION_WAIT_S 600.0

bool operation_state_is_terminal(V1__OperationState s)
{
    return s == V1__OPERATION_STATE__OPERATION_FINISHED ||
           s == V1__OPERATION_STATE__OPERATION_FAILED ||
           s == V1__OPERATION_STATE__OPERATION_ERROR ||
           s == V1__OPERATION_STATE__OPERATION_DROPPED ||
           s == V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR;
}

void operation_tell(struct master *m, struct framework *f, V1__OperationStatus *st)
{
    Sched__Event__UpdateOperationStatus update = SCHED__EVENT__UPDATE_OPERATION_STATUS__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    update.status = st;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__UPDATE_OPERATION_STATUS;
    ev.update_operation_status = &update;
    framework_send(m, f, &ev);
}

static void forward(struct master *m, const char *framework_id, V1__OperationStatus *st)
{
    struct framework *f = master_framework(m, framework_id);

    if (f && f->connected)
        operation_tell(m, f, st);
    else
        log_debug("a status of an operation waits for framework %s", framework_id);
}

static void acknowledge(struct master *m, struct agent *a, V1__UUID *status_uuid,
                        V1__UUID *operation_uuid)
{
    Msg__AcknowledgeOperationStatusMessage msg = MSG__ACKNOWLEDGE_OPERATION_STATUS_MESSAGE__INIT;

    msg.status_uuid = status_uuid;
    msg.operation_uuid = operation_uuid;
    agents_send(m, a, &msg.base);
}

/* ---- from the agent ---- */

static bool is_failure(V1__OperationState s)
{
    return operation_state_is_terminal(s) && s != V1__OPERATION_STATE__OPERATION_FINISHED;
}

/* Of one operation; an agent sends one, or a few while a provider works. */
#define STATUSES_MAX 32

static void remember(struct operation *o, const V1__OperationStatus *st)
{
    V1__Operation *pb = o->pb;

    for (size_t i = 0; i < pb->n_statuses; i++) {
        if (fl_pb_equal(&pb->statuses[i]->base, &st->base))
            return;
    }
    if (pb->n_statuses == STATUSES_MAX)
        return;
    pb->statuses = xrealloc(pb->statuses, (pb->n_statuses + 1) * sizeof(*pb->statuses));
    pb->statuses[pb->n_statuses++] = FL_PB_DUP(st);
}

/* The end of an operation stays what it first was. */
static void take(struct master *m, struct operation *o, const V1__OperationStatus *st)
{
    V1__OperationState was = o->pb->latest_status->state;

    remember(o, st);
    if (operation_state_is_terminal(was))
        return;
    if (was != st->state)
        count_operation(m, o->pb->info->type, was, st->state);
    fl_pb_free(o->pb->latest_status);
    o->pb->latest_status = FL_PB_DUP(st);
    if (is_failure(st->state))
        operation_undo(m, o);
    if (operation_state_is_terminal(st->state)) {
        resources_done(&o->from);
        resources_done(&o->to);
    }
}

/* Somebody will acknowledge: a framework that is there, or that may still come back. */
static bool is_waited_for(struct master *m, const struct operation *o)
{
    const struct agent *a = o->agent;
    const char *id = o->pb->framework_id ? o->pb->framework_id->value : NULL;
    double since = FL_MAX(a->registered_time, a->reregistered_time);

    if (!id || !o->pb->info->id || framework_is_completed(m, id))
        return false;
    return master_framework(m, id) || env_wall_s(core_env(m)) - since < ADOPTION_WAIT_S;
}

static void end(struct master *m, struct operation *o)
{
    struct agent *a = o->agent;

    operation_free(m, o);
    drain_kick(m, a); /* a draining agent waits for its operations */
}

static void settle(struct master *m, struct operation *o, V1__OperationStatus *st)
{
    if (is_waited_for(m, o)) {
        forward(m, o->pb->framework_id->value, st);
        if (st->uuid)
            return; /* its acknowledgement ends the operation */
    } else if (st->uuid) {
        acknowledge(m, o->agent, st->uuid, o->pb->uuid);
    }
    if (operation_state_is_terminal(o->pb->latest_status->state))
        end(m, o);
}

/* The master does not know it: only a framework can say what it is about. Its agent shall not repeat it for ever when no
 * framework will answer. */
static void unknown(struct master *m, struct agent *a, const Msg__UpdateOperationStatusMessage *msg)
{
    const char *id = msg->framework_id ? msg->framework_id->value : NULL;

    if (msg->operation_uuid)
        metric_inc(m->core->c.invalid_operation_status_updates);
    if (id && msg->status->operation_id && !framework_is_completed(m, id))
        forward(m, id, msg->status);
    else if (msg->status->uuid && msg->operation_uuid)
        acknowledge(m, a, msg->status->uuid, msg->operation_uuid);
}

void agents_operation_status(struct master *m, struct agent *a,
                             const Msg__UpdateOperationStatusMessage *msg)
{
    struct operation *o =
        msg->operation_uuid ? operation_find(m, &msg->operation_uuid->value) : NULL;
    V1__OperationStatus st = *msg->status, latest = msg->latest_status ? *msg->latest_status : st;

    metric_inc(m->core->c.messages_operation_status_update);
    if (!o || o->agent != a) {
        unknown(m, a, msg);
        return;
    }
    metric_inc(m->core->c.valid_operation_status_updates);
    /* What the agent never had, it cannot name. */
    st.operation_id = latest.operation_id = o->pb->info->id;
    st.agent_id = latest.agent_id = a->info->id;
    remember(o, &st);
    take(m, o, &latest);
    settle(m, o, &st);
}

/* ---- from the framework ---- */

static const V1__OperationStatus *status_of(const struct operation *o,
                                            const ProtobufCBinaryData *uuid)
{
    for (size_t i = 0; i < o->pb->n_statuses; i++) {
        const V1__OperationStatus *st = o->pb->statuses[i];
        if (st->uuid && st->uuid->value.len == uuid->len &&
            memcmp(st->uuid->value.data, uuid->data, uuid->len) == 0)
            return st;
    }
    return NULL;
}

/* Why it cannot be passed on, or NULL. */
static const char *refuse_ack(const struct agent *a, const struct operation *o,
                              const Sched__Call__AcknowledgeOperationStatus *ack)
{
    if (!a)
        return "its agent is not registered";
    if (!a->connected)
        return "its agent is not connected";
    if (!agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_OPERATION_FEEDBACK))
        return "its agent has no capability AGENT_OPERATION_FEEDBACK";
    if (!o || o->agent != a)
        return "the operation is unknown";
    if (!status_of(o, &ack->uuid))
        return "the status is unknown";
    return NULL;
}

void framework_ack_operation(struct master *m, struct framework *f,
                             const Sched__Call__AcknowledgeOperationStatus *ack)
{
    struct agent *a = ack->agent_id ? master_agent(m, ack->agent_id->value) : NULL;
    struct operation *o = operation_find_by_id(m, f->id, ack->operation_id->value);
    const char *why = refuse_ack(a, o, ack);
    V1__UUID uuid = V1__UUID__INIT;

    metric_inc(m->core->c.messages_operation_status_update_acknowledgement);
    if (why) {
        log_warning("an acknowledgement of framework %s for operation '%s' is dropped: %s", f->id,
                    ack->operation_id->value, why);
        metric_inc(m->core->c.invalid_operation_status_update_acknowledgements);
        return;
    }
    uuid.value = ack->uuid;
    acknowledge(m, a, &uuid, o->pb->uuid);
    metric_inc(m->core->c.valid_operation_status_update_acknowledgements);
    if (operation_state_is_terminal(status_of(o, &ack->uuid)->state))
        end(m, o);
}

/* ---- what the agent has in all ---- */

static void ask(struct master *m, struct agent *a, V1__Operation *const *ops, size_t n)
{
    Msg__ReconcileOperationsMessage msg = MSG__RECONCILE_OPERATIONS_MESSAGE__INIT;
    Msg__ReconcileOperationsMessage__Operation *asked;
    struct operation *o;
    size_t cap = a->n_operations;

    if (cap == 0)
        return;
    msg.operations = core_alloc(m, cap * sizeof(*msg.operations));
    for (size_t i = 0; i < n; i++) {
        o = operation_find(m, &ops[i]->uuid->value);
        if (o)
            o->told = true;
    }
    DL_FOREACH (a->operations, o) {
        if (!o->told && !operation_again(m, o)) {
            log_warning("agent %s does not tell of an operation that it was sent: asking", a->id);
            asked = core_new(m, Msg__ReconcileOperationsMessage__Operation);
            msg__reconcile_operations_message__operation__init(asked);
            asked->operation_uuid = o->pb->uuid;
            msg.operations[msg.n_operations++] = asked;
        }
        o->told = false;
    }
    if (msg.n_operations > 0)
        agents_send(m, a, &msg.base);
}

void operations_told(struct master *m, struct agent *a, V1__Operation *const *ops, size_t n)
{
    struct fl_err err;

    for (size_t i = 0; i < n; i++) {
        struct operation *o = operation_find(m, &ops[i]->uuid->value);

        if (ops[i]->uuid->value.len != FL_UUID_LEN)
            log_warning("agent %s tells of an operation without a fit uuid", a->id);
        else if (!o && operation_room(a, &err))
            operation_known(m, a, ops[i]);
        else if (o && o->agent == a && operation_state_is_terminal(ops[i]->latest_status->state))
            take(m, o, ops[i]->latest_status);
    }
    ask(m, a, ops, n);
}

void operations_lost(struct master *m, struct agent *a, V1__OperationState state, const char *why)
{
    while (a->operations) {
        struct operation *o = a->operations;
        const char *id = o->pb->framework_id ? o->pb->framework_id->value : NULL;
        V1__OperationStatus st = V1__OPERATION_STATUS__INIT;

        st.operation_id = o->pb->info->id;
        st.agent_id = a->info->id;
        st.state = state;
        st.message = (char *)why;
        if (why && id && st.operation_id)
            forward(m, id, &st);
        count_operation(m, o->pb->info->type, o->pb->latest_status->state, state);
        operation_free(m, o);
    }
}

/* ---- RECONCILE_OPERATIONS ---- */

/* What the framework was last told; it is not told reliably, so without a uuid. */
static void answer_known(struct master *m, struct framework *f, const struct operation *o)
{
    const V1__Operation *pb = o->pb;
    V1__OperationStatus st =
        pb->n_statuses > 0 ? *pb->statuses[pb->n_statuses - 1] : *pb->latest_status;

    st.uuid = NULL;
    operation_tell(m, f, &st);
}

static const struct {
    V1__OperationState state;
    const char *message;
} answers[] = {
    {V1__OPERATION_STATE__OPERATION_RECOVERING,
     "Reconciliation: Agent is recovered but has not re-registered"},
    {V1__OPERATION_STATE__OPERATION_UNKNOWN, "Reconciliation: Operation is unknown"},
    {V1__OPERATION_STATE__OPERATION_UNREACHABLE, "Reconciliation: Agent is unreachable"},
    {V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR,
     "Reconciliation: Agent marked gone by operator"},
    {V1__OPERATION_STATE__OPERATION_UNKNOWN,
     "Reconciliation: Both operation and agent are unknown"},
    {V1__OPERATION_STATE__OPERATION_UNKNOWN,
     "Reconciliation: Operation is unknown and no 'agent_id' was provided"},
};
enum { RECOVERED, REGISTERED, UNREACHABLE, GONE, UNKNOWN_AGENT, NO_AGENT };

static int agent_case(const struct master *m, const char *id)
{
    if (!id)
        return NO_AGENT;
    if (known_find(m->recovered_agents, id))
        return RECOVERED;
    if (master_agent(m, id))
        return REGISTERED;
    if (known_find(m->unreachable_agents, id))
        return UNREACHABLE;
    return known_find(m->gone_agents, id) ? GONE : UNKNOWN_AGENT;
}

static void reconcile_one_operation(struct master *m, struct framework *f,
                                    const Sched__Call__ReconcileOperations__Operation *asked)
{
    struct operation *o = operation_find_by_id(m, f->id, asked->operation_id->value);
    V1__OperationStatus st = V1__OPERATION_STATUS__INIT;
    int i;

    if (o) {
        answer_known(m, f, o);
        return;
    }
    i = agent_case(m, asked->agent_id ? asked->agent_id->value : NULL);
    st.operation_id = asked->operation_id;
    st.agent_id = asked->agent_id;
    st.resource_provider_id = asked->resource_provider_id;
    st.state = answers[i].state;
    st.message = (char *)answers[i].message;
    operation_tell(m, f, &st);
}

void framework_reconcile_operations(struct master *m, struct framework *f,
                                    const Sched__Call__ReconcileOperations *call)
{
    struct operation *o, *tmp;

    metric_inc(m->core->c.messages_reconcile_operations);
    for (size_t i = 0; i < call->n_operations; i++)
        reconcile_one_operation(m, f, call->operations[i]);
    if (call->n_operations > 0)
        return;
    HASH_ITER (hh, m->core->operations, o, tmp) {
        if (o->pb->info->id && o->pb->framework_id && streq(o->pb->framework_id->value, f->id))
            answer_known(m, f, o);
    }
}
