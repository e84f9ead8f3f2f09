/* What the core says to frameworks and agents, and the task statuses that it makes itself. */
#include "master/core.h"

#include "common/model/roles.h"

void framework_send(struct master *m, struct framework *f, const Sched__Event *ev)
{
    if (!f->connected || !f->stream) {
        log_debug("event %d for framework %s is dropped: it is not connected", (int)ev->type,
                  f->id);
        return;
    }
    framework_count_event(f, ev->type);
    m->env->io->framework_send(m->env->ctx, f->stream, ev);
}

void framework_error(struct master *m, void *stream, const char *why)
{
    Sched__Event__Error error = SCHED__EVENT__ERROR__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    error.message = (char *)why;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__ERROR;
    ev.error = &error;
    m->env->io->framework_send(m->env->ctx, stream, &ev);
    m->env->io->framework_close(m->env->ctx, stream);
}

void agents_send(struct master *m, struct agent *a, const ProtobufCMessage *msg)
{
    if (!a->peer) {
        log_debug("%s for agent %s is dropped: it is not connected", msg->descriptor->short_name,
                  a->id);
        return;
    }
    m->env->io->agent_send(m->env->ctx, a->peer, msg);
}

void agents_shutdown(struct master *m, void *peer, const char *why)
{
    Msg__ShutdownMessage msg = MSG__SHUTDOWN_MESSAGE__INIT;

    msg.message = (char *)why;
    m->env->io->agent_send(m->env->ctx, peer, &msg.base);
}

/* ---- statuses made by the master ---- */

V1__TaskState state_told(const struct framework *f, V1__TaskState aware_state)
{
    return task_state_for_framework(aware_state, f->cap_partition_aware);
}

static void copy_details(V1__TaskStatus *st, const V1__TaskStatus *like)
{
    st->has_healthy = like->has_healthy;
    st->healthy = like->healthy;
    st->check_status = like->check_status;
    st->container_status = like->container_status;
}

V1__TaskStatus *status_make(struct master *m, const struct made_status *s)
{
    V1__TaskStatus *st = core_new(m, V1__TaskStatus);

    v1__task_status__init(st);
    st->task_id = core_new(m, V1__TaskID);
    v1__task_id__init(st->task_id);
    st->task_id->value = (char *)s->task_id;
    if (s->agent_id) {
        st->agent_id = core_new(m, V1__AgentID);
        v1__agent_id__init(st->agent_id);
        st->agent_id->value = (char *)s->agent_id;
    }
    if (s->executor_id) {
        st->executor_id = core_new(m, V1__ExecutorID);
        v1__executor_id__init(st->executor_id);
        st->executor_id->value = (char *)s->executor_id;
    }
    if (s->unreachable_ns) {
        st->unreachable_time = core_new(m, V1__TimeInfo);
        v1__time_info__init(st->unreachable_time);
        st->unreachable_time->nanoseconds = (int64_t)s->unreachable_ns;
    }
    st->state = s->state;
    st->message = (char *)s->message;
    st->has_reason = true;
    st->reason = s->reason;
    st->has_source = true;
    st->source = V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
    st->has_timestamp = true;
    st->timestamp = env_wall_s(core_env(m));
    if (s->like)
        copy_details(st, s->like);
    return st;
}

void status_send(struct master *m, struct framework *f, const V1__TaskStatus *st)
{
    Sched__Event__Update update = SCHED__EVENT__UPDATE__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;

    update.status = (V1__TaskStatus *)st;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__UPDATE;
    ev.update = &update;
    framework_send(m, f, &ev);
}

void status_refuse(struct master *m, struct framework *f, const V1__TaskInfo *t,
                   V1__TaskState state, V1__TaskStatus__Reason reason, const char *why)
{
    struct made_status s = {.task_id = t->task_id->value,
                            .agent_id = t->agent_id->value,
                            .state = state_told(f, state),
                            .reason = reason,
                            .message = why};
    V1__TaskStatus *st;

    log_info("task '%s' of framework %s: %s, %s", t->task_id->value, f->id,
             task_state_name(s.state), why);
    st = status_make(m, &s);
    count_terminal(m, s.state);
    count_end(m, s.state, st);
    status_send(m, f, st);
}
