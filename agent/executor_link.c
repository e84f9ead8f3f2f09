/* The agent's side of the executor API (features.md 1.3): an executor subscribes, is given its tasks, sends messages, is asked to end. What
 * becomes of its container is in executors.c.
 *
 * Core's thread.
 */
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

bool agent_executor_is_default(const struct agent_executor *e)
{
    return e->info && e->info->has_type && e->info->type == V1__EXECUTOR_INFO__TYPE__DEFAULT;
}

void agent_executor_hang_up(struct agent_executor *e)
{
    struct agent_env *env = e->core->env;

    if (e->stream)
        env->io->executor_close(env->ctx, TAKE_PTR(e->stream));
}

/* ---- feeding ---- */

void agent_executor_send_event(struct agent_executor *e, const Exec__Event *ev)
{
    struct agent_env *env = e->core->env;

    if (e->stream)
        env->io->executor_send(env->ctx, e->stream, ev);
    else
        log_warning("Executor '%s' is not connected, dropping an event for it", e->id);
}

static void send_launch(struct agent_executor *e, struct agent_task *t)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Launch l = EXEC__EVENT__LAUNCH__INIT;

    l.task = t->info;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__LAUNCH;
    ev.launch = &l;
    agent_executor_send_event(e, &ev);
    agent_task_launched(t);
}

static void send_group(struct agent_executor *e, const void *group)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__LaunchGroup l = EXEC__EVENT__LAUNCH_GROUP__INIT;
    V1__TaskGroupInfo g = V1__TASK_GROUP_INFO__INIT;
    _cleanup_free_ V1__TaskInfo **list = NULL;
    struct agent_task *t;
    size_t n = 0;

    DL_COUNT(e->tasks, t, n);
    list = xcalloc(n, sizeof(void *));
    for (t = e->tasks; t; t = t->next) {
        if (t->phase == AGENT_TASK_QUEUED && t->group == group)
            list[g.n_tasks++] = t->info;
    }
    g.tasks = list;
    l.task_group = &g;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__LAUNCH_GROUP;
    ev.launch_group = &l;
    agent_executor_send_event(e, &ev);
    for (t = e->tasks; t; t = t->next) {
        if (t->phase == AGENT_TASK_QUEUED && t->group == group)
            agent_task_launched(t);
    }
}

void agent_executor_deliver(struct agent_executor *e)
{
    struct agent_task *t, *tmp;

    if (e->state != EXECUTOR_RUNNING || !e->stream)
        return;
    /* It may be quicker to subscribe than the launcher is to say that it runs; only then can containers be nested in its own. */
    if (agent_executor_is_default(e) && e->pid <= 0)
        return;
    agent_executor_resize(e);
    DL_FOREACH_SAFE (e->tasks, t, tmp) {
        if (t->phase != AGENT_TASK_QUEUED)
            continue;
        if (t->group)
            send_group(e, t->group);
        else
            send_launch(e, t);
    }
}

/* ---- the executor API ---- */

int agent_executor_check(struct agent_core *a, const Exec__Call *call,
                         struct agent_executor **ret_executor, struct fl_err *err)
{
    struct agent_framework *f;
    struct agent_executor *e;

    if (a->state == AGENT_RECOVERING && call->type != EXEC__CALL__TYPE__SUBSCRIBE)
        return fl_err_set(err, FL_UNAVAILABLE, "Agent has not finished recovery");
    f = agent_find_framework(a, call->framework_id->value);
    if (!f)
        return fl_err_set(err, FL_INVALID, "Framework cannot be found");
    e = agent_find_executor(f, call->executor_id->value);
    if (!e || e->command)
        return fl_err_set(err, FL_INVALID, "Executor cannot be found");
    if (e->state == EXECUTOR_REGISTERING && call->type != EXEC__CALL__TYPE__SUBSCRIBE)
        return fl_err_set(err, FL_FORBIDDEN, "Executor is not subscribed");
    *ret_executor = e;
    return 0;
}

static void on_heartbeat(void *arg)
{
    struct agent_executor *e = FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg);
    Exec__Event ev = EXEC__EVENT__INIT;

    if (!e->stream)
        return;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__HEARTBEAT;
    agent_executor_send_event(e, &ev);
    env_timer_set(agent_time(e->core), e->heartbeat_timer,
                  e->core->flags->executor_heartbeat_interval);
}

void agent_executor_send_shutdown(struct agent_executor *e)
{
    Exec__Event ev = EXEC__EVENT__INIT;

    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__SHUTDOWN;
    agent_executor_send_event(e, &ev);
}

static void send_subscribed(struct agent_executor *e)
{
    Exec__Event ev = EXEC__EVENT__INIT;
    Exec__Event__Subscribed s = EXEC__EVENT__SUBSCRIBED__INIT;
    V1__ContainerID cid = V1__CONTAINER_ID__INIT;

    cid.value = e->container_id;
    s.executor_info = e->info;
    s.framework_info = e->framework->info;
    s.agent_info = e->core->info;
    s.container_id = &cid;
    ev.has_type = true;
    ev.type = EXEC__EVENT__TYPE__SUBSCRIBED;
    ev.subscribed = &s;
    agent_executor_send_event(e, &ev);
}

static bool among(const Exec__Call__Subscribe *sub, const char *task_id)
{
    for (size_t i = 0; i < sub->n_unacknowledged_tasks; i++) {
        if (streq(sub->unacknowledged_tasks[i]->task_id->value, task_id))
            return true;
    }
    return false;
}

/* A task still in STAGING that the executor does not know: the agent died before it could hand it over. */
static void drop_undelivered(struct agent_executor *e, const Exec__Call__Subscribe *sub)
{
    struct agent_task *t, *tmp;

    DL_FOREACH_SAFE (e->tasks, t, tmp) {
        if (t->phase == AGENT_TASK_LAUNCHED && t->state == V1__TASK_STATE__TASK_STAGING &&
            !among(sub, t->id))
            agent_drop_task(e->core, e->framework->id, e->framework->info, t->id, e->id,
                            V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED,
                            "Task launched during agent restart");
    }
}

/* The agent died between the start of the executor and its first task: it would wait for one for ever. */
static bool never_needed(const struct agent_executor *e, const Exec__Call__Subscribe *sub)
{
    return !e->sent_task && sub->n_unacknowledged_tasks == 0 &&
           sub->n_unacknowledged_updates == 0 && !agent_executor_has_queued(e);
}

static void mark_http(struct agent_executor *e)
{
    struct agent_env *env = e->core->env;
    _cleanup_free_ char *run = NULL, *path = NULL;
    struct fl_err err;

    if (!agent_checkpoints(e->framework))
        return;
    run = agent_path_run(e, true);
    path = xasprintf("%s/http.marker", run);
    if (env->io->write(env->ctx, path, "", 0, false, &err) < 0)
        log_warning("Cannot write '%s': %s, ignoring", path, err.msg);
}

static void take_stream(struct agent_executor *e, void *stream)
{
    struct agent_core *a = e->core;

    agent_executor_hang_up(e);
    e->stream = stream;
    e->state = EXECUTOR_RUNNING;
    e->recovered = false;
    env_timer_free(agent_time(a), e->registration_timer);
    e->registration_timer = NULL;
    if (!e->heartbeat_timer)
        e->heartbeat_timer = env_timer_new(agent_time(a), on_heartbeat, e);
    env_timer_set(agent_time(a), e->heartbeat_timer, e->core->flags->executor_heartbeat_interval);
}

void agent_executor_subscribe(struct agent_executor *e, void *stream,
                              const Exec__Call__Subscribe *sub)
{
    struct agent_core *a = e->core;
    struct agent_env *env = a->env;
    Exec__Event ev = EXEC__EVENT__INIT;

    if (a->state == AGENT_TERMINATING || e->framework->terminating ||
        e->state == EXECUTOR_TERMINATING || e->state == EXECUTOR_TERMINATED) {
        ev.has_type = true;
        ev.type = EXEC__EVENT__TYPE__SHUTDOWN;
        env->io->executor_send(env->ctx, stream, &ev);
        env->io->executor_close(env->ctx, stream);
        return;
    }
    log_info("Executor '%s' of framework '%s' subscribed", e->id, e->framework->id);
    take_stream(e, stream);
    mark_http(e);
    /* First of all events: executors take nothing before it, and the updates below are acknowledged at once. */
    send_subscribed(e);
    for (size_t i = 0; i < sub->n_unacknowledged_updates; i++)
        agent_executor_update(e, sub->unacknowledged_updates[i]->status);
    if (e->state != EXECUTOR_RUNNING || e->stream != stream)
        return; /* an update of its own ended it */
    drop_undelivered(e, sub);
    if (never_needed(e, sub)) {
        log_info("Shutting down executor '%s', which has no tasks to run", e->id);
        agent_executor_shutdown(e);
    } else {
        e->sent_task |= sub->n_unacknowledged_tasks > 0 || sub->n_unacknowledged_updates > 0;
        agent_executor_deliver(e);
    }
    agent_recovery_executor_back(a);
}

void agent_executor_closed(struct agent_executor *e, void *stream)
{
    if (e->stream != stream)
        return;
    log_info("Executor '%s' of framework '%s' has closed its connection", e->id, e->framework->id);
    e->stream = NULL;
}

void agent_executor_message(struct agent_executor *e, const ProtobufCBinaryData *data)
{
    struct agent_core *a = e->core;
    Msg__ExecutorToFrameworkMessage m = MSG__EXECUTOR_TO_FRAMEWORK_MESSAGE__INIT;
    V1__ExecutorID eid = V1__EXECUTOR_ID__INIT;

    if (a->state != AGENT_RUNNING) {
        agent_count(a, COUNT_INVALID_MESSAGES);
        return;
    }
    eid.value = e->id;
    m.slave_id = a->info->id;
    m.framework_id = e->framework->info->id;
    m.executor_id = &eid;
    m.data = *data;
    agent_count(a, COUNT_VALID_MESSAGES);
    agent_send(a, &m.base);
}
