/* Operations on resources (RESERVE .. DESTROY_DISK) that frameworks ask for in an ACCEPT, and what
 * agents say became of them.
 *
 * RESERVE .. SHRINK_VOLUME are speculative: the master books their result at once, so that later
 * operations of the same ACCEPT and later offers see it, and the agent is told to do the same.
 * CREATE_DISK and DESTROY_DISK need a resource provider; none is served yet, so they are refused.
 */
#include "master/core.h"

#include "common/model/acl_operation.h"

/* ---- refusing ---- */

void operation_refuse(struct master *m, struct framework *f, const V1__Offer__Operation *op,
                      const char *why)
{
    V1__OperationStatus st = V1__OPERATION_STATUS__INIT;
    Sched__Event__UpdateOperationStatus update = SCHED__EVENT__UPDATE_OPERATION_STATUS__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    log_warning("dropping an operation of framework %s: %s", f->id, why);
    count_operation(m, op->type, V1__OPERATION_STATE__OPERATION_ERROR,
                    V1__OPERATION_STATE__OPERATION_ERROR);
    if (!op->id)
        return;
    st.operation_id = op->id;
    st.state = V1__OPERATION_STATE__OPERATION_ERROR;
    st.message = (char *)why;
    update.status = &st;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__UPDATE_OPERATION_STATUS;
    ev.update_operation_status = &update;
    framework_send(m, f, &ev);
}

/* ---- booking ---- */

static void book_total(struct agent *a, const struct resources *from, const struct resources *to)
{
    _cleanup_resources_ struct resources f = RESOURCES_INIT, t = RESOURCES_INIT;

    resources_copy(&f, from);
    resources_copy(&t, to);
    resources_unallocate(&f);
    resources_unallocate(&t);
    resources_subtract(&a->total, &f);
    resources_add(&a->total, &t);
}

static int apply(struct acceptance *acc, const V1__Offer__Operation *op, struct fl_err *err)
{
    _cleanup_resources_ struct resources after = RESOURCES_INIT, from = RESOURCES_INIT,
                                         to = RESOURCES_INIT;
    int r;

    resources_copy(&after, &acc->remaining);
    r = resources_apply_operation(&after, op, err);
    if (r < 0)
        return r;
    resources_copy(&from, &acc->remaining);
    resources_subtract(&from, &after);
    resources_copy(&to, &after);
    resources_subtract(&to, &acc->remaining);
    r = acc->m->alloc_ops->update_allocation(acc->m->alloc, acc->f->id, acc->a->id, &from, &to,
                                             err);
    if (r < 0)
        return r;
    book_total(acc->a, &from, &to);
    resources_move(&acc->remaining, &after);
    return 0;
}

/* ---- telling the agent ---- */

static struct operation *operation_new(struct acceptance *acc, V1__Offer__Operation *op)
{
    struct operation *o = xnew0(struct operation);
    V1__Operation pb = V1__OPERATION__INIT;
    V1__OperationStatus st = V1__OPERATION_STATUS__INIT;
    V1__UUID uuid = V1__UUID__INIT;

    fl_uuid_make(core_env(acc->m), o->uuid);
    uuid.value.data = o->uuid;
    uuid.value.len = FL_UUID_LEN;
    st.operation_id = op->id;
    st.state = V1__OPERATION_STATE__OPERATION_PENDING;
    st.agent_id = acc->a->info->id;
    pb.framework_id = acc->f->info->id;
    pb.agent_id = acc->a->info->id;
    pb.info = op;
    pb.latest_status = &st;
    pb.uuid = &uuid;
    o->pb = FL_PB_DUP(&pb);
    o->agent = acc->a;
    DL_APPEND(acc->a->operations, o);
    count_operation(acc->m, op->type, st.state, st.state);
    return o;
}

static void operation_free(struct operation *o)
{
    DL_DELETE(o->agent->operations, o);
    fl_pb_free(o->pb);
    free(o);
}

void operations_drop(struct agent *a)
{
    while (a->operations)
        operation_free(a->operations);
}

static void send_operation(struct acceptance *acc, const struct operation *o)
{
    Msg__ApplyOperationMessage msg = MSG__APPLY_OPERATION_MESSAGE__INIT;
    Msg__ResourceVersionUUID version = MSG__RESOURCE_VERSION_UUID__INIT;
    V1__UUID uuid = V1__UUID__INIT;

    uuid.value.data = acc->a->resource_version;
    uuid.value.len = FL_UUID_LEN;
    version.uuid = &uuid;
    msg.framework_id = acc->f->info->id;
    msg.operation_info = o->pb->info;
    msg.operation_uuid = o->pb->uuid;
    msg.resource_version_uuid = &version;
    agents_send(acc->m, acc->a, &msg.base);
}

/* ---- an operation of an ACCEPT ---- */

static int check_agent(struct acceptance *acc, const V1__Offer__Operation *op, struct fl_err *err)
{
    const struct agent *a = acc->a;

    if (!a->has_resource_version ||
        !agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__RESOURCE_PROVIDER))
        return fl_err_set(err, FL_INVALID,
                          "Agent %s is too old: it has no capability RESOURCE_PROVIDER", a->id);
    if (op->id &&
        !agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_OPERATION_FEEDBACK))
        return fl_err_set(err, FL_INVALID,
                          "Agent %s cannot give feedback: it has no capability "
                          "AGENT_OPERATION_FEEDBACK",
                          a->id);
    if (op->type == V1__OFFER__OPERATION__TYPE__CREATE_DISK ||
        op->type == V1__OFFER__OPERATION__TYPE__DESTROY_DISK)
        return fl_err_set(err, FL_INVALID, "Agent %s has no resource provider of disks", a->id);
    return 0;
}

void accept_operation(struct acceptance *acc, V1__Offer__Operation *op)
{
    struct validate_context c;
    struct fl_err err;
    int r;

    inject_allocation_role_operation(op, acc->role, acc->m->core->scratch);
    accept_context(acc, &c);
    r = acl_check_operation(acc->m->acls, acc->f->info->principal, op, &err);
    if (r == 0)
        r = check_agent(acc, op, &err);
    if (r == 0)
        r = validate_operation(op, &c, acc->f->info->principal, &err);
    if (r == 0)
        r = apply(acc, op, &err);
    if (r < 0) {
        operation_refuse(acc->m, acc->f, op, err.msg);
        return;
    }
    send_operation(acc, operation_new(acc, op));
}

/* ---- what became of it ---- */

static struct operation *find(struct agent *a, const ProtobufCBinaryData *uuid)
{
    struct operation *o;

    if (uuid->len != FL_UUID_LEN)
        return NULL;
    DL_FOREACH (a->operations, o) {
        if (memcmp(o->uuid, uuid->data, FL_UUID_LEN) == 0)
            return o;
    }
    return NULL;
}

static bool is_terminal(V1__OperationState s)
{
    return s == V1__OPERATION_STATE__OPERATION_FINISHED ||
           s == V1__OPERATION_STATE__OPERATION_FAILED ||
           s == V1__OPERATION_STATE__OPERATION_ERROR ||
           s == V1__OPERATION_STATE__OPERATION_DROPPED ||
           s == V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR;
}

static void acknowledge(struct master *m, struct agent *a, V1__UUID *status_uuid,
                        V1__UUID *operation_uuid)
{
    Msg__AcknowledgeOperationStatusMessage msg = MSG__ACKNOWLEDGE_OPERATION_STATUS_MESSAGE__INIT;

    msg.status_uuid = status_uuid;
    msg.operation_uuid = operation_uuid;
    agents_send(m, a, &msg.base);
}

static void tell(struct master *m, struct framework *f, V1__OperationStatus *st)
{
    Sched__Event__UpdateOperationStatus update = SCHED__EVENT__UPDATE_OPERATION_STATUS__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    update.status = st;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__UPDATE_OPERATION_STATUS;
    ev.update_operation_status = &update;
    framework_send(m, f, &ev);
}

void agents_operation_status(struct master *m, struct agent *a,
                             const Msg__UpdateOperationStatusMessage *msg)
{
    struct operation *o = msg->operation_uuid ? find(a, &msg->operation_uuid->value) : NULL;
    struct framework *f = msg->framework_id ? master_framework(m, msg->framework_id->value) : NULL;
    V1__OperationStatus *st = msg->status;
    bool wants_feedback = st->operation_id != NULL;

    metric_inc(m->core->c.messages_operation_status_update);
    if (o) {
        V1__OperationStatus *latest = FL_PB_DUP(msg->latest_status ? msg->latest_status : st);
        if (latest->state != o->pb->latest_status->state)
            count_operation(m, o->pb->info->type, o->pb->latest_status->state, latest->state);
        fl_pb_free(o->pb->latest_status);
        o->pb->latest_status = latest;
    }
    metric_inc(o ? m->core->c.valid_operation_status_updates
                 : m->core->c.invalid_operation_status_updates);
    if (wants_feedback && f) {
        if (f->connected)
            tell(m, f, st);
        if (st->uuid)
            return; /* its acknowledgement removes the operation */
    }
    if (st->uuid && msg->operation_uuid)
        acknowledge(m, a, st->uuid, msg->operation_uuid);
    if (o && is_terminal(o->pb->latest_status->state))
        operation_free(o);
}

static struct operation *find_by_id(struct agent *a, const char *framework_id, const char *id)
{
    struct operation *o;

    DL_FOREACH (a->operations, o) {
        if (o->pb->info->id && streq(o->pb->info->id->value, id) &&
            streq(o->pb->framework_id->value, framework_id))
            return o;
    }
    return NULL;
}

void framework_ack_operation(struct master *m, struct framework *f,
                             const Sched__Call__AcknowledgeOperationStatus *ack)
{
    struct agent *a = ack->agent_id ? master_agent(m, ack->agent_id->value) : NULL;
    struct operation *o = a ? find_by_id(a, f->id, ack->operation_id->value) : NULL;
    V1__UUID uuid = V1__UUID__INIT;

    metric_inc(m->core->c.messages_operation_status_update_acknowledgement);
    if (!o || !a->connected) {
        metric_inc(m->core->c.invalid_operation_status_update_acknowledgements);
        return;
    }
    uuid.value = ack->uuid;
    acknowledge(m, a, &uuid, o->pb->uuid);
    metric_inc(m->core->c.valid_operation_status_update_acknowledgements);
    if (is_terminal(o->pb->latest_status->state) && o->pb->latest_status->uuid &&
        o->pb->latest_status->uuid->value.len == ack->uuid.len &&
        memcmp(o->pb->latest_status->uuid->value.data, ack->uuid.data, ack->uuid.len) == 0)
        operation_free(o);
}

void operations_told(struct master *m, struct agent *a, V1__Operation *const *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct operation *o;
        if (ops[i]->uuid->value.len != FL_UUID_LEN || find(a, &ops[i]->uuid->value))
            continue;
        o = xnew0(struct operation);
        memcpy(o->uuid, ops[i]->uuid->value.data, FL_UUID_LEN);
        o->pb = FL_PB_DUP(ops[i]);
        o->agent = a;
        DL_APPEND(a->operations, o);
    }
}

/* ---- RECONCILE_OPERATIONS ---- */

static void reconcile_one_operation(struct master *m, struct framework *f,
                                    const Sched__Call__ReconcileOperations__Operation *asked)
{
    const char *agent_id = asked->agent_id ? asked->agent_id->value : NULL;
    struct agent *a = agent_id ? master_agent(m, agent_id) : NULL;
    struct operation *o = a ? find_by_id(a, f->id, asked->operation_id->value) : NULL;
    V1__OperationStatus st = V1__OPERATION_STATUS__INIT;

    if (o) {
        tell(m, f, o->pb->latest_status);
        return;
    }
    st.operation_id = asked->operation_id;
    st.agent_id = asked->agent_id;
    st.state = V1__OPERATION_STATE__OPERATION_UNKNOWN;
    st.message = (char *)"Reconciliation: Operation is unknown";
    if (agent_id && known_find(m->recovered_agents, agent_id)) {
        st.state = V1__OPERATION_STATE__OPERATION_RECOVERING;
        st.message = (char *)"Reconciliation: Agent is recovered but has not re-registered";
    } else if (agent_id && known_find(m->unreachable_agents, agent_id)) {
        st.state = V1__OPERATION_STATE__OPERATION_UNREACHABLE;
        st.message = (char *)"Reconciliation: Agent is unreachable";
    } else if (agent_id && known_find(m->gone_agents, agent_id)) {
        st.state = V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR;
        st.message = (char *)"Reconciliation: Agent marked gone by operator";
    }
    tell(m, f, &st);
}

void framework_reconcile_operations(struct master *m, struct framework *f,
                                    const Sched__Call__ReconcileOperations *call)
{
    struct agent *a, *tmp;
    struct operation *o;

    metric_inc(m->core->c.messages_reconcile_operations);
    for (size_t i = 0; i < call->n_operations; i++)
        reconcile_one_operation(m, f, call->operations[i]);
    if (call->n_operations > 0)
        return;
    HASH_ITER (hh, m->agents, a, tmp) {
        DL_FOREACH (a->operations, o) {
            if (o->pb->info->id && o->pb->framework_id && streq(o->pb->framework_id->value, f->id))
                tell(m, f, o->pb->latest_status);
        }
    }
}
