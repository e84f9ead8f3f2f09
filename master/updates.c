/* What agents report of tasks and executors, and its way to the frameworks. */
#include "master/core.h"

#include "common/base/json.h"

/* ---- status updates ---- */

/* Remembers what the framework is about to hear, so that its acknowledgement can be matched. */
static void remember_told(struct task *t, const Msg__StatusUpdate *up)
{
    t->has_status_update = true;
    t->status_update_state = up->status->state;
    t->has_status_update_uuid = true;
    memcpy(t->status_update_uuid, up->uuid.data, FL_UUID_LEN);
}

/* The envelope's ids, time and uuid belong into the status that a framework sees. */
static V1__TaskStatus whole_status(const Msg__StatusUpdate *up)
{
    V1__TaskStatus st = *up->status;

    if (up->slave_id)
        st.agent_id = up->slave_id;
    if (up->executor_id)
        st.executor_id = up->executor_id;
    st.has_timestamp = true;
    st.timestamp = up->timestamp;
    st.has_uuid = true;
    st.uuid = up->uuid;
    return st;
}

static bool states_known(const Msg__StatusUpdate *up)
{
    return task_state_is_known(up->status->state) &&
           (!up->has_latest_state || task_state_is_known(up->latest_state));
}

/* Of clocks that differ it tells nothing: what seems to come from the future took no time. */
static void count_latency(struct master *m, const V1__TaskStatus *st)
{
    double s = st->has_timestamp ? env_wall_s(core_env(m)) - st->timestamp : 0;

    metric_sample_us(m->core->update_latency, s > 0 && s < 1e6 ? (uint64_t)(s * 1e6) : 0);
}

void agents_status_update(struct master *m, struct agent *a, const Msg__StatusUpdateMessage *msg)
{
    const Msg__StatusUpdate *up = msg->update;
    struct framework *f = master_framework(m, up->framework_id->value);
    struct task *t = NULL;
    V1__TaskStatus st;
    bool heard = f && f->connected;

    metric_inc(m->core->c.messages_status_update);
    if (!up->has_uuid || up->uuid.len != FL_UUID_LEN ||
        (up->slave_id && !streq(up->slave_id->value, a->id)) || !states_known(up)) {
        log_warning("ignoring a status update of task '%s' from agent %s: it has no uuid of 16 "
                    "bytes, another agent's id, or a state that is not known",
                    up->status->task_id->value, a->id);
        metric_inc(m->core->c.invalid_status_updates);
        return;
    }
    st = whole_status(up);
    if (f)
        HASH_FIND_STR(f->tasks, up->status->task_id->value, t);
    if (t && t->agent != a)
        t = NULL;
    if (heard) {
        if (t)
            remember_told(t, up);
        status_send(m, f, &st);
    } else {
        log_debug("update of task '%s' waits at agent %s: framework %s is %s", st.task_id->value,
                  a->id, up->framework_id->value, f ? "not connected" : "unknown");
    }
    count_latency(m, &st);
    if (t)
        task_update(m, t, &st, up->has_latest_state ? &up->latest_state : NULL);
    metric_inc(t && heard ? m->core->c.valid_status_updates : m->core->c.invalid_status_updates);
}

/* ---- executors ---- */

static void tell_exited(struct master *m, struct framework *f,
                        const Msg__ExitedExecutorMessage *msg)
{
    Sched__Event__Failure failure = SCHED__EVENT__FAILURE__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    failure.agent_id = msg->slave_id;
    failure.executor_id = msg->executor_id;
    failure.has_status = true;
    failure.status = msg->status;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__FAILURE;
    ev.failure = &failure;
    framework_send(m, f, &ev);
}

void agents_exited_executor(struct master *m, struct agent *a,
                            const Msg__ExitedExecutorMessage *msg)
{
    struct framework *f = master_framework(m, msg->framework_id->value);
    struct executor *e = f ? executor_find(a, f, msg->executor_id->value) : NULL;

    metric_inc(m->core->c.messages_exited_executor);
    if (!e) {
        log_debug("ignoring the end of executor '%s' on agent %s: it is not known",
                  msg->executor_id->value, a->id);
        return;
    }
    log_info("executor '%s' of framework %s on agent %s ended, wait status %d", e->id, f->id, a->id,
             (int)msg->status);
    executor_remove(m, e);
    if (f->connected)
        tell_exited(m, f, msg);
}

void agents_executor_message(struct master *m, struct agent *a,
                             const Msg__ExecutorToFrameworkMessage *msg)
{
    struct framework *f = master_framework(m, msg->framework_id->value);
    Sched__Event__Message message = SCHED__EVENT__MESSAGE__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    metric_inc(m->core->c.messages_executor_to_framework);
    if (!f || !f->connected) {
        log_debug("message of executor '%s' is dropped: framework %s is not connected",
                  msg->executor_id->value, msg->framework_id->value);
        metric_inc(m->core->c.invalid_executor_to_framework_messages);
        return;
    }
    message.agent_id = a->info->id;
    message.executor_id = msg->executor_id;
    message.data = msg->data;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__MESSAGE;
    ev.message = &message;
    framework_send(m, f, &ev);
    metric_inc(m->core->c.valid_executor_to_framework_messages);
}
