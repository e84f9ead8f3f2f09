/* Status updates on their way: from an executor or the agent itself, through the task's record and the update manager, to the
 * master; and acknowledgements on their way back (features.md 3.3). */
#include "agent/agent_priv.h"
#include "common/base/log.h"
#include "common/model/roles.h"

Msg__StatusUpdate *agent_update_new(struct agent_core *a, struct fl_arena *arena,
                                    const char *framework_id, const char *task_id,
                                    V1__TaskState state, V1__TaskStatus__Source source, int reason,
                                    const char *message, const char *executor_id)
{
    Msg__StatusUpdate *u = FL_ARENA_NEW(arena, Msg__StatusUpdate, msg__status_update);
    V1__TaskStatus *s = FL_ARENA_NEW(arena, V1__TaskStatus, v1__task_status);
    uint8_t *uuid = fl_arena_alloc(arena, FL_UUID_LEN);

    fl_uuid_make(agent_time(a), uuid);
    s->task_id = FL_ARENA_NEW(arena, V1__TaskID, v1__task_id);
    s->task_id->value = (char *)(uintptr_t)task_id;
    s->state = state;
    s->agent_id = a->info->id;
    s->message = (char *)(uintptr_t)message;
    s->has_source = true;
    s->source = source;
    if (reason >= 0) {
        s->has_reason = true;
        s->reason = (V1__TaskStatus__Reason)reason;
    }
    s->has_timestamp = true;
    s->timestamp = env_wall_s(agent_time(a));
    s->has_uuid = true;
    s->uuid = (ProtobufCBinaryData){FL_UUID_LEN, uuid};
    if (executor_id) {
        s->executor_id = FL_ARENA_NEW(arena, V1__ExecutorID, v1__executor_id);
        s->executor_id->value = (char *)(uintptr_t)executor_id;
        u->executor_id = s->executor_id;
    }
    u->framework_id = FL_ARENA_NEW(arena, V1__FrameworkID, v1__framework_id);
    u->framework_id->value = (char *)(uintptr_t)framework_id;
    u->slave_id = a->info->id;
    u->status = s;
    u->timestamp = s->timestamp;
    u->has_uuid = true;
    u->uuid = s->uuid;
    return u;
}

void agent_drop_task(struct agent_core *a, const char *framework_id, const V1__FrameworkInfo *info,
                     const char *task_id, const char *executor_id, V1__TaskStatus__Reason reason,
                     const char *message)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(AGENT_UPDATE_ARENA);
    bool aware = info && framework_has_capability(
                             info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);

    log_warning("Dropping task '%s' of framework '%s': %s", task_id, framework_id, message);
    agent_status_update(
        a, arena,
        agent_update_new(a, arena, framework_id, task_id,
                         task_state_for_framework(V1__TASK_STATE__TASK_DROPPED, aware),
                         V1__TASK_STATUS__SOURCE__SOURCE_AGENT, (int)reason, message, executor_id),
        false);
}

/* ---- the task's own record ---- */

void agent_task_phase_from_state(struct agent_task *t)
{
    if (!task_state_is_terminal(t->state))
        return;
    if (t->phase == AGENT_TASK_TERMINATED)
        return;
    t->phase = AGENT_TASK_TERMINATED;
    agent_count_state(t->executor->core, t->state);
}

/* ---- upwards ---- */

/* The address a task has when no network isolator gave it one of its own is the agent's. */
static void add_address(struct agent_core *a, V1__ContainerStatus *cs, struct fl_arena *arena)
{
    V1__NetworkInfo *n;
    V1__NetworkInfo__IPAddress *ip;

    if (cs->n_network_infos > 0)
        return;
    n = fl_arena_alloc(arena, sizeof *n);
    v1__network_info__init(n);
    ip = fl_arena_alloc(arena, sizeof *ip);
    v1__network_info__ipaddress__init(ip);
    ip->ip_address = a->ip;
    n->n_ip_addresses = 1;
    n->ip_addresses = fl_arena_alloc(arena, sizeof(void *));
    n->ip_addresses[0] = ip;
    cs->n_network_infos = 1;
    cs->network_infos = fl_arena_alloc(arena, sizeof(void *));
    cs->network_infos[0] = n;
}

/* An executor that names a (nested) container speaks for that one; what it does not say, the containerizer may know. */
static void add_nested_status(struct agent_executor *e, V1__ContainerStatus *own,
                              struct fl_arena *arena)
{
    _cleanup_free_ char *id = container_id_text(own->container_id);
    struct containerizer *c = e->core->containerizer;
    V1__ContainerStatus *cs = NULL;

    if (c->ops->status(c, id, arena, &cs) == 0) {
        if (own->n_network_infos == 0) {
            own->n_network_infos = cs->n_network_infos;
            own->network_infos = cs->network_infos;
        }
        if (!own->cgroup_info)
            own->cgroup_info = cs->cgroup_info;
        if (!own->has_executor_pid) {
            own->has_executor_pid = cs->has_executor_pid;
            own->executor_pid = cs->executor_pid;
        }
    }
    add_address(e->core, own, arena);
}

static void add_container_status(struct agent_executor *e, V1__TaskStatus *s,
                                 struct fl_arena *arena)
{
    struct containerizer *c = e->core->containerizer;
    V1__ContainerStatus *own = s->container_status, *cs = NULL;

    if (own && own->container_id) {
        add_nested_status(e, own, arena);
        return;
    }
    if (!e->contained || c->ops->status(c, e->container_id, arena, &cs) < 0)
        cs = FL_ARENA_NEW(arena, V1__ContainerStatus, v1__container_status);
    if (own && own->n_network_infos > 0) {
        cs->n_network_infos = own->n_network_infos;
        cs->network_infos = own->network_infos;
    }
    cs->container_id = FL_ARENA_NEW(arena, V1__ContainerID, v1__container_id);
    cs->container_id->value = e->container_id;
    if (!cs->has_executor_pid && e->pid > 0) {
        cs->has_executor_pid = true;
        cs->executor_pid = (uint32_t)e->pid;
    }
    add_address(e->core, cs, arena);
    s->container_status = cs;
}

static void ack_executor(struct agent_executor *e, const Msg__StatusUpdate *u)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Acknowledged ack = EXEC__EVENT__ACKNOWLEDGED__INIT;

    if (!e->stream)
        return;
    ack.task_id = u->status->task_id;
    ack.uuid = u->uuid;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__ACKNOWLEDGED;
    ev.acknowledged = &ack;
    agent_executor_send_event(e, &ev);
}

/* While the agent drains, whatever is killed is killed by the drain (features.md 3.2). */
static void mark_drained(struct agent_core *a, const struct agent_framework *f, V1__TaskStatus *s)
{
    if (!a->drain ||
        (s->state != V1__TASK_STATE__TASK_KILLING && s->state != V1__TASK_STATE__TASK_KILLED))
        return;
    s->has_reason = true;
    s->reason = V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING;
    if (a->drain->has_mark_gone && a->drain->mark_gone && s->state == V1__TASK_STATE__TASK_KILLED &&
        agent_framework_has(f, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE))
        s->state = V1__TASK_STATE__TASK_GONE_BY_OPERATOR;
}

static void handle_known(struct agent_task *t, struct fl_arena *arena, Msg__StatusUpdate *u,
                         bool from_executor)
{
    struct agent_executor *e = t->executor;
    struct agent_core *a = e->core;
    _cleanup_free_ char *path = NULL;
    bool was_terminal = task_state_is_terminal(t->state);
    enum agent_update_result res;

    if (t->phase != AGENT_TASK_QUEUED)
        add_container_status(e, u->status, arena);
    if (agent_checkpoints(e->framework))
        path = agent_path_task(e, t->id, "task.updates");
    /* The record changes first: forward() reads the latest state from it. After a terminal state nothing changes any more. */
    if (!was_terminal) {
        agent_task_apply_status(t, u->status);
        agent_task_phase_from_state(t);
    }
    /* An executor that goes on after the end is quieted; its framework has heard the end. */
    if (was_terminal && from_executor) {
        ack_executor(e, u);
        return;
    }
    res = agent_updates_handle(a->updates, u, path, t);
    if (res == UPDATE_REFUSED)
        return;
    if (from_executor)
        ack_executor(e, u);
    if (!was_terminal && t->phase == AGENT_TASK_TERMINATED && !e->command)
        agent_executor_resize(e);
}

void agent_status_update(struct agent_core *a, struct fl_arena *arena, Msg__StatusUpdate *u,
                         bool from_executor)
{
    struct agent_framework *f = agent_find_framework(a, u->framework_id->value);
    struct agent_task *t;

    log_debug("Status update %s for task '%s' of framework '%s'", task_state_name(u->status->state),
              u->status->task_id->value, u->framework_id->value);
    if (f && f->terminating) {
        /* Nobody is left who could acknowledge; the record shows how the task ended. */
        t = agent_find_task(f, u->status->task_id->value);
        if (t && !task_state_is_terminal(t->state)) {
            agent_task_apply_status(t, u->status);
            agent_task_phase_from_state(t);
        }
        return;
    }
    agent_count(a, COUNT_VALID_UPDATES);
    t = f ? agent_find_task(f, u->status->task_id->value) : NULL;
    if (!t) {
        agent_updates_handle(a->updates, u, NULL, NULL);
        return;
    }
    mark_drained(a, f, u->status);
    handle_known(t, arena, u, from_executor);
}

static struct agent_task *task_of(struct agent_core *a, const Msg__StatusUpdate *u)
{
    struct agent_framework *f = agent_find_framework(a, u->framework_id->value);

    return f ? agent_find_task(f, u->status->task_id->value) : NULL;
}

void agent_forward(struct agent_core *a, const Msg__StatusUpdate *u, struct agent_task *t_or_null)
{
    Msg__StatusUpdateMessage m = MSG__STATUS_UPDATE_MESSAGE__INIT;
    struct agent_task *t = t_or_null ? t_or_null : task_of(a, u);
    Msg__StatusUpdate copy = *u;

    if (a->state != AGENT_RUNNING)
        return;
    if (t) {
        t->told = true;
        t->told_state = u->status->state;
        memcpy(t->told_uuid, u->uuid.data, FL_UUID_LEN);
    }
    copy.has_latest_state = true;
    copy.latest_state = t ? t->state : u->status->state;
    m.update = &copy;
    m.pid = a->pid;
    agent_send(a, &m.base);
}

/* ---- downwards ---- */

void agent_status_ack(struct agent_core *a, const Msg__StatusUpdateAcknowledgementMessage *m)
{
    const char *fid = m->framework_id->value, *tid = m->task_id->value;
    struct agent_framework *f;
    struct agent_task *t;
    struct fl_err err;
    bool finished = false;

    if (agent_updates_ack(a->updates, fid, tid, m->uuid.data, m->uuid.len, &finished, &err) < 0) {
        log_info("Acknowledgement refused: %s", err.msg);
        return;
    }
    if (!finished)
        return;
    f = agent_find_framework(a, fid);
    t = f ? agent_find_task(f, tid) : NULL;
    if (t && t->phase == AGENT_TASK_TERMINATED)
        agent_task_complete(t);
}

void agent_executor_update(struct agent_executor *e, const V1__TaskStatus *status)
{
    struct agent_core *a = e->core;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    V1__TaskStatus s = *status; /* what it points to is not changed */
    Msg__StatusUpdate u = MSG__STATUS_UPDATE__INIT;
    V1__ExecutorID eid = V1__EXECUTOR_ID__INIT;

    if (!s.has_uuid || s.uuid.len != FL_UUID_LEN || !task_state_is_known(s.state) ||
        (s.agent_id && !streq(s.agent_id->value, a->info->id->value))) {
        log_warning("Ignoring an update of executor '%s': no uuid, of another agent, or with a "
                    "state that is not known",
                    e->id);
        agent_count(a, COUNT_INVALID_UPDATES);
        return;
    }
    if (s.state == V1__TASK_STATE__TASK_STAGING) {
        log_warning("Executor '%s' sent TASK_STAGING, which only masters may say: shutting it down",
                    e->id);
        agent_count(a, COUNT_INVALID_UPDATES);
        agent_executor_shutdown(e);
        return;
    }
    if (!s.agent_id)
        s.agent_id = a->info->id;
    eid.value = e->id;
    s.executor_id = &eid;
    s.has_source = true;
    s.source = V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    u.framework_id = e->framework->info->id;
    u.executor_id = &eid;
    u.slave_id = a->info->id;
    u.status = &s;
    u.timestamp = s.has_timestamp ? s.timestamp : env_wall_s(agent_time(a));
    u.has_uuid = true;
    u.uuid = s.uuid;
    arena = fl_arena_new(AGENT_UPDATE_ARENA);
    agent_status_update(a, arena, &u, true);
}
