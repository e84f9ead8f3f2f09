/* The calls of subscribed frameworks: the checks that need state, then one function a call. */
#include "master/core.h"

#include "common/model/roles.h"

typedef int call_f(struct master *m, struct framework *f, const Sched__Call *call,
                   struct fl_err *err);

/* ---- offers ---- */

static int call_accept(struct master *m, struct framework *f, const Sched__Call *call,
                       struct fl_err *err)
{
    framework_accept(m, f, call->accept);
    return 202;
}

static int call_decline(struct master *m, struct framework *f, const Sched__Call *call,
                        struct fl_err *err)
{
    metric_inc(m->core->c.messages_decline_offers);
    for (size_t i = 0; i < call->decline->n_offer_ids; i++) {
        struct offer *o = offer_find(m, call->decline->offer_ids[i]->value);
        if (!o || o->framework != f) {
            log_debug("framework %s declines offer %s, which it does not hold", f->id,
                      call->decline->offer_ids[i]->value);
            continue;
        }
        offer_answered(m, o);
        f->counts.declined++;
        offer_withdraw(m, o, false, filters_or_default(m, call->decline->filters));
    }
    return 202;
}

static int call_accept_inverse(struct master *m, struct framework *f, const Sched__Call *call,
                               struct fl_err *err)
{
    const Sched__Call__AcceptInverseOffers *c = call->accept_inverse_offers;

    framework_answer_inverse(m, f, c->inverse_offer_ids, c->n_inverse_offer_ids, true, c->filters);
    return 202;
}

static int call_decline_inverse(struct master *m, struct framework *f, const Sched__Call *call,
                                struct fl_err *err)
{
    const Sched__Call__DeclineInverseOffers *c = call->decline_inverse_offers;

    framework_answer_inverse(m, f, c->inverse_offer_ids, c->n_inverse_offer_ids, false, c->filters);
    return 202;
}

static bool has_role(const struct framework *f, const char *role)
{
    for (size_t i = 0; i < f->n_roles; i++) {
        if (streq(f->roles[i], role))
            return true;
    }
    return false;
}

/* One role that is invalid or not the framework's drops the whole call. */
static bool roles_fine(const struct framework *f, char *const *roles, size_t n, const char *call)
{
    struct fl_err err;

    for (size_t i = 0; i < n; i++) {
        if (role_validate(roles[i], &err) < 0 || !has_role(f, roles[i])) {
            log_warning("dropping %s of framework %s: '%s' is not one of its roles", call, f->id,
                        roles[i]);
            return false;
        }
    }
    return true;
}

static bool among(char *const *list, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++) {
        if (streq(list[i], s))
            return true;
    }
    return false;
}

static int call_revive(struct master *m, struct framework *f, const Sched__Call *call,
                       struct fl_err *err)
{
    char *const *roles = call->revive ? call->revive->roles : NULL;
    size_t n = call->revive ? call->revive->n_roles : 0, kept = 0;

    metric_inc(m->core->c.messages_revive_offers);
    if (!roles_fine(f, roles, n, "REVIVE"))
        return 202;
    for (size_t i = 0; i < f->n_suppressed; i++) {
        if (n == 0 || among(roles, n, f->suppressed[i]))
            free(f->suppressed[i]);
        else
            f->suppressed[kept++] = f->suppressed[i];
    }
    f->n_suppressed = kept;
    m->alloc_ops->revive(m->alloc, f->id, n ? (const char *const *)roles : f->roles,
                         n ? n : f->n_roles, core_now(m));
    allocation_kick(m);
    return 202;
}

static int call_suppress(struct master *m, struct framework *f, const Sched__Call *call,
                         struct fl_err *err)
{
    const char *const *roles = call->suppress && call->suppress->n_roles
                                   ? (const char *const *)call->suppress->roles
                                   : f->roles;
    size_t n = call->suppress && call->suppress->n_roles ? call->suppress->n_roles : f->n_roles;

    metric_inc(m->core->c.messages_suppress_offers);
    if (!roles_fine(f, (char *const *)roles, n, "SUPPRESS"))
        return 202;
    for (size_t i = 0; i < n; i++) {
        if (among(f->suppressed, f->n_suppressed, roles[i]))
            continue;
        f->suppressed = xrealloc(f->suppressed, (f->n_suppressed + 1) * sizeof(char *));
        f->suppressed[f->n_suppressed++] = xstrdup(roles[i]);
    }
    m->alloc_ops->suppress(m->alloc, f->id, roles, n);
    return 202;
}

static int call_request(struct master *m, struct framework *f, const Sched__Call *call,
                        struct fl_err *err)
{
    metric_inc(m->core->c.messages_resource_request);
    if (m->alloc_ops->request)
        m->alloc_ops->request(m->alloc, f->id, call->request->requests, call->request->n_requests);
    return 202;
}

/* ---- tasks ---- */

static int call_kill(struct master *m, struct framework *f, const Sched__Call *call,
                     struct fl_err *err)
{
    const Sched__Call__Kill *kill = call->kill;
    Msg__KillTaskMessage msg = MSG__KILL_TASK_MESSAGE__INIT;
    struct task *t;

    metric_inc(m->core->c.messages_kill_task);
    HASH_FIND_STR(f->tasks, kill->task_id->value, t);
    if (!t) {
        reconcile_one(m, f, kill->task_id->value, kill->agent_id ? kill->agent_id->value : NULL);
        return 202;
    }
    if (kill->agent_id && !streq(kill->agent_id->value, t->agent_id)) {
        log_warning("framework %s asks to kill task '%s' on agent %s, but it is on %s", f->id,
                    t->id, kill->agent_id->value, t->agent_id);
        return 202;
    }
    t->kill_requested = true;
    msg.framework_id = f->info->id;
    msg.task_id = kill->task_id;
    msg.kill_policy = kill->kill_policy;
    agents_send(m, t->agent, &msg.base);
    return 202;
}

static int call_shutdown(struct master *m, struct framework *f, const Sched__Call *call,
                         struct fl_err *err)
{
    struct agent *a = master_agent(m, call->shutdown->agent_id->value);
    Msg__ShutdownExecutorMessage msg = MSG__SHUTDOWN_EXECUTOR_MESSAGE__INIT;

    if (!a) {
        log_warning("framework %s asks to shut down executor '%s' of agent %s, which is not known",
                    f->id, call->shutdown->executor_id->value, call->shutdown->agent_id->value);
        return 202;
    }
    msg.framework_id = f->info->id;
    msg.executor_id = call->shutdown->executor_id;
    agents_send(m, a, &msg.base);
    return 202;
}

/* True when the acknowledgement may go on to the agent. `t`: the task, NULL when it is not there or elsewhere. */
static bool acknowledged(struct master *m, struct task *t, const Sched__Call__Acknowledge *ack)
{
    if (!t)
        return true;
    if (!t->has_status_update) {
        log_debug("ignoring an acknowledgement for task '%s': this master sent no update of it",
                  t->id);
        return false;
    }
    if (task_state_is_terminal(t->status_update_state) && t->has_status_update_uuid &&
        memcmp(t->status_update_uuid, ack->uuid.data, FL_UUID_LEN) == 0)
        task_remove(m, t, false);
    return true;
}

static int call_acknowledge(struct master *m, struct framework *f, const Sched__Call *call,
                            struct fl_err *err)
{
    const Sched__Call__Acknowledge *ack = call->acknowledge;
    Msg__StatusUpdateAcknowledgementMessage msg = MSG__STATUS_UPDATE_ACKNOWLEDGEMENT_MESSAGE__INIT;
    struct agent *a;
    struct task *t;

    metric_inc(m->core->c.messages_status_update_acknowledgement);
    HASH_FIND_STR(f->tasks, ack->task_id->value, t);
    if (t && (!t->agent || !streq(t->agent_id, ack->agent_id->value)))
        t = NULL;
    a = t ? t->agent : master_agent(m, ack->agent_id->value); /* without another look-up */
    if (!a || !a->connected || !acknowledged(m, t, ack)) {
        metric_inc(m->core->c.invalid_status_update_acknowledgements);
        return 202;
    }
    msg.slave_id = ack->agent_id;
    msg.framework_id = f->info->id;
    msg.task_id = ack->task_id;
    msg.uuid = ack->uuid;
    agents_send(m, a, &msg.base);
    metric_inc(m->core->c.valid_status_update_acknowledgements);
    return 202;
}

static int call_reconcile(struct master *m, struct framework *f, const Sched__Call *call,
                          struct fl_err *err)
{
    framework_reconcile(m, f, call->reconcile);
    return 202;
}

static int call_message(struct master *m, struct framework *f, const Sched__Call *call,
                        struct fl_err *err)
{
    struct agent *a = master_agent(m, call->message->agent_id->value);
    Msg__FrameworkToExecutorMessage msg = MSG__FRAMEWORK_TO_EXECUTOR_MESSAGE__INIT;

    metric_inc(m->core->c.messages_framework_to_executor);
    if (!a || !a->connected) {
        log_debug("message of framework %s is dropped: agent %s is not connected", f->id,
                  call->message->agent_id->value);
        metric_inc(m->core->c.invalid_framework_to_executor_messages);
        return 202;
    }
    msg.slave_id = call->message->agent_id;
    msg.framework_id = f->info->id;
    msg.executor_id = call->message->executor_id;
    msg.data = call->message->data;
    agents_send(m, a, &msg.base);
    metric_inc(m->core->c.valid_framework_to_executor_messages);
    return 202;
}

/* ---- the rest ---- */

static int call_teardown(struct master *m, struct framework *f, const Sched__Call *call,
                         struct fl_err *err)
{
    metric_inc(m->core->c.messages_unregister_framework);
    framework_remove(m, f);
    return 202;
}

static int call_update_framework(struct master *m, struct framework *f, const Sched__Call *call,
                                 struct fl_err *err)
{
    return framework_update(m, f, call->update_framework, err);
}

static int call_ack_operation(struct master *m, struct framework *f, const Sched__Call *call,
                              struct fl_err *err)
{
    const V1__AgentID *agent_id = call->acknowledge_operation_status->agent_id;

    framework_ack_operation(m, f, call->acknowledge_operation_status);
    if (agent_id)
        drain_kick(m, master_agent(m, agent_id->value));
    return 202;
}

static int call_reconcile_operations(struct master *m, struct framework *f, const Sched__Call *call,
                                     struct fl_err *err)
{
    framework_reconcile_operations(m, f, call->reconcile_operations);
    return 202;
}

static call_f *const calls[] = {
    [SCHED__CALL__TYPE__TEARDOWN] = call_teardown,
    [SCHED__CALL__TYPE__ACCEPT] = call_accept,
    [SCHED__CALL__TYPE__DECLINE] = call_decline,
    [SCHED__CALL__TYPE__ACCEPT_INVERSE_OFFERS] = call_accept_inverse,
    [SCHED__CALL__TYPE__DECLINE_INVERSE_OFFERS] = call_decline_inverse,
    [SCHED__CALL__TYPE__REVIVE] = call_revive,
    [SCHED__CALL__TYPE__SUPPRESS] = call_suppress,
    [SCHED__CALL__TYPE__KILL] = call_kill,
    [SCHED__CALL__TYPE__SHUTDOWN] = call_shutdown,
    [SCHED__CALL__TYPE__ACKNOWLEDGE] = call_acknowledge,
    [SCHED__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS] = call_ack_operation,
    [SCHED__CALL__TYPE__RECONCILE] = call_reconcile,
    [SCHED__CALL__TYPE__RECONCILE_OPERATIONS] = call_reconcile_operations,
    [SCHED__CALL__TYPE__MESSAGE] = call_message,
    [SCHED__CALL__TYPE__REQUEST] = call_request,
    [SCHED__CALL__TYPE__UPDATE_FRAMEWORK] = call_update_framework,
};

static int refuse(struct fl_err *err, enum fl_reason reason, const char *why)
{
    fl_err_set(err, reason, "%s", why);
    return fl_reason_http_status(reason);
}

static int checked_call(struct master *m, const Sched__Call *call, const char *stream_id,
                        const char *principal, struct fl_err *err)
{
    struct framework *f =
        call->framework_id ? master_framework(m, call->framework_id->value) : NULL;

    if (!f)
        return refuse(err, FL_INVALID, "Framework cannot be found");
    if (principal && !streq(principal, f->info->principal))
        return refuse(err, FL_INVALID,
                      "The authenticated principal does not match that of the FrameworkInfo");
    if (!f->connected)
        return refuse(err, FL_FORBIDDEN, "Framework is not subscribed");
    if (!stream_id)
        return refuse(err, FL_INVALID,
                      "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
    if (!streq(stream_id, f->stream_id)) {
        fl_err_set(err, FL_INVALID,
                   "The stream id '%s' is not that of the current subscription of framework %s",
                   stream_id, f->id);
        return 400;
    }
    if ((size_t)call->type >= ARRAY_SIZE(calls) || !calls[call->type])
        return refuse(err, FL_NOT_IMPLEMENTED, "The type of the call is not known");
    framework_count_call(f, call->type);
    return calls[call->type](m, f, call, err);
}

int master_call(struct master *m, const Sched__Call *call, const char *stream_id_or_null,
                const char *principal, struct fl_err *err)
{
    int status;

    assert(m->magic == MASTER_MAGIC);
    core_enter(m);
    status = checked_call(m, call, stream_id_or_null, principal, err);
    core_leave(m);
    return status;
}
