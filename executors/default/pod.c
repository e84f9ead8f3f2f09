/* See pod.h. This file: a task's way from LAUNCH_GROUP to its terminal status. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <utlist.h>

#include "common/base/log.h"
#include "common/model/task_state.h"
#include "common/model/wait_status.h"
#include "executors/default/pod_priv.h"

#define RETRY_US 1000000

/* ---- telling ---- */

static void tell(struct pod_task *t, V1__TaskStatus *s)
{
    V1__ContainerStatus cs = V1__CONTAINER_STATUS__INIT;

    cs.container_id = &t->id;
    s->task_id = t->info->task_id;
    s->container_status = &cs;
    t->pod->env->io->update(t->pod->env->ctx, s);
}

static void tell_with(struct pod_task *t, V1__TaskState state, int reason, const char *message,
                      V1__TaskResourceLimitation *limitation)
{
    V1__TaskStatus s = V1__TASK_STATUS__INIT;
    V1__CheckStatusInfo *none = t->info->check ? check_status_empty(t->info->check) : NULL;

    s.state = state;
    s.message = (char *)(uintptr_t)message;
    s.limitation = limitation;
    s.check_status = none;
    if (reason >= 0) {
        s.has_reason = true;
        s.reason = (V1__TaskStatus__Reason)reason;
    }
    if (t->unhealthy) {
        s.has_healthy = true;
        s.healthy = false;
    }
    tell(t, &s);
    fl_pb_free(none);
}

void pod_report(struct pod_task *t, V1__TaskState state, int reason, const char *message)
{
    tell_with(t, state, reason, message, NULL);
}

void pod_report_check(struct pod_task *t, V1__TaskStatus__Reason reason)
{
    V1__TaskStatus s = V1__TASK_STATUS__INIT;

    s.state = V1__TASK_STATE__TASK_RUNNING;
    s.has_reason = true;
    s.reason = reason;
    task_checks_fill(t->checks, &s);
    t->has_health = s.has_healthy;
    t->healthy = s.healthy;
    if (s.check_status) {
        fl_pb_free(t->check_status);
        t->check_status = s.check_status;
    }
    tell(t, &s);
}

/* ---- the end of a task ---- */

static void cancel_call(struct pod_task *t)
{
    if (t->call)
        t->pod->env->io->cancel(t->pod->env->ctx, TAKE_PTR(t->call));
    env_timer_stop(pod_time(t->pod), t->retry);
}

static void task_free(struct pod_task *t)
{
    pod_checks_stop(t);
    pod_kill_stop(t);
    cancel_call(t);
    env_timer_free(pod_time(t->pod), t->retry);
    DL_DELETE(t->pod->tasks, t);
    fl_pb_free(t->check_status);
    fl_pb_free(t->info);
    free(t);
}

static void kill_group(struct pod *p, uint64_t group)
{
    struct pod_task *t;

    DL_FOREACH (p->tasks, t) {
        if (t->group == group && !t->killing)
            pod_kill(t, pod_grace(t, NULL));
    }
}

void pod_task_over(struct pod_task *t, V1__TaskState state)
{
    struct pod *p = t->pod;
    uint64_t group = t->group;

    log_info("Task '%s' is over: %s", t->info->task_id->value, task_state_name(state));
    task_free(t);
    if (state != V1__TASK_STATE__TASK_FINISHED)
        kill_group(p, group);
    if (!p->tasks)
        p->env->io->idle(p->env->ctx, true);
}

static void end_task(struct pod_task *t, const Aapi__Response__WaitNestedContainer *w)
{
    V1__TaskState state = V1__TASK_STATE__TASK_FAILED;
    int status = w->exit_status, reason = -1;
    _cleanup_buf_ struct fl_buf message = FL_BUF_INIT;
    char text[160] = "terminated with unknown status";

    if (w->has_exit_status)
        wait_status_text(status, text, sizeof(text));
    fl_buf_addf(&message, "Command %s", text);
    if (t->by_max_time)
        reason = V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED;
    else if (t->killing)
        state = V1__TASK_STATE__TASK_KILLED;
    else if (w->has_exit_status && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        state = V1__TASK_STATE__TASK_FINISHED;
    /* The agent knows more, of limits for one. */
    if (w->has_state)
        state = w->state;
    if (w->has_reason)
        reason = (int)w->reason;
    if (w->message)
        fl_buf_addf(&message, ": %s", w->message);
    pod_checks_stop(t);
    tell_with(t, state, reason, fl_buf_cstr(&message), w->limitation);
    pod_task_over(t, state);
}

static void fail_task(struct pod_task *t, int reason, const char *message)
{
    V1__TaskState state = t->killing ? V1__TASK_STATE__TASK_KILLED : V1__TASK_STATE__TASK_FAILED;

    pod_checks_stop(t);
    pod_report(t, state, t->killing ? -1 : reason, message);
    pod_task_over(t, state);
}

/* ---- waiting for it ---- */

static void retry_later(struct pod_task *t)
{
    env_timer_set(pod_time(t->pod), t->retry, RETRY_US);
}

static void on_waited(void *arg, int status, const Aapi__Response *r, const char *text)
{
    struct pod_task *t = arg;

    t->call = NULL;
    if (status == 200 && r && r->wait_nested_container)
        end_task(t, r->wait_nested_container);
    else if (status == 404)
        fail_task(t, -1, "Unable to retrieve command's termination information");
    else
        retry_later(t);
}

static void wait_for(struct pod_task *t)
{
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__WaitNestedContainer w = AAPI__CALL__WAIT_NESTED_CONTAINER__INIT;

    w.container_id = &t->id;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__WAIT_NESTED_CONTAINER;
    call.wait_nested_container = &w;
    t->call = t->pod->env->io->post(t->pod->env->ctx, &call, on_waited, t);
}

/* ---- starting it ---- */

/* From here on it is told of: once, however often the launch had to be repeated. */
static void started(struct pod_task *t)
{
    t->phase = POD_RUNNING;
    t->pod->env->io->show_sandbox(t->pod->env->ctx, t->info->task_id->value, t->name);
    wait_for(t);
    if (t->killing) {
        pod_kill_again(t);
        return;
    }
    t->ran = true;
    pod_report(t, V1__TASK_STATE__TASK_RUNNING, -1, NULL);
    pod_arm_max_time(t);
    pod_checks_start(t);
}

static void on_launched(void *arg, int status, const Aapi__Response *r, const char *text)
{
    struct pod_task *t = arg;

    t->call = NULL;
    /* 202: it was, before the agent went away. */
    if (status == 200 || status == 202)
        started(t);
    else if (status == 0 || status == 503)
        retry_later(t);
    else
        fail_task(t, V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED,
                  text && *text ? text : "The agent refused to start the container");
}

/* Disks are mounted in the executor's sandbox: a task reaches those it brings through its parent. */
static void add_volumes(const V1__TaskInfo *info, struct fl_arena *arena, V1__ContainerInfo **into)
{
    for (size_t i = 0; i < info->n_resources; i++) {
        const V1__Resource *r = info->resources[i];
        const V1__Volume *disk = r->disk ? r->disk->volume : NULL;
        V1__ContainerInfo *c = *into;

        if (!disk)
            continue;
        if (!c) {
            c = *into = FL_ARENA_NEW(arena, V1__ContainerInfo, v1__container_info);
            c->type = V1__CONTAINER_INFO__TYPE__MESOS;
        }
        V1__Volume *v = FL_ARENA_NEW(arena, V1__Volume, v1__volume);
        v->mode = disk->mode;
        v->container_path = disk->container_path;
        v->source = FL_ARENA_NEW(arena, V1__Volume__Source, v1__volume__source);
        v->source->has_type = true;
        v->source->type = V1__VOLUME__SOURCE__TYPE__SANDBOX_PATH;
        v->source->sandbox_path =
            FL_ARENA_NEW(arena, V1__Volume__Source__SandboxPath, v1__volume__source__sandbox_path);
        v->source->sandbox_path->has_type = true;
        v->source->sandbox_path->type = V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__PARENT;
        v->source->sandbox_path->path = disk->container_path;
        V1__Volume **all = fl_arena_alloc(arena, (c->n_volumes + 1) * sizeof(*all));
        if (c->n_volumes > 0)
            memcpy(all, c->volumes, c->n_volumes * sizeof(*all));
        all[c->n_volumes++] = v;
        c->volumes = all;
    }
}

/* Then its address is not ours: the agent tells it. */
static bool has_network(const V1__TaskInfo *info)
{
    for (size_t i = 0; info->container && i < info->container->n_network_infos; i++)
        if (info->container->network_infos[i]->name)
            return true;
    return false;
}

V1__CommandInfo *pod_task_command(const struct pod_task *t, struct fl_arena *arena)
{
    const V1__TaskInfo *info = t->info;
    V1__CommandInfo *c = FL_ARENA_NEW(arena, V1__CommandInfo, v1__command_info);
    V1__Environment *env = FL_ARENA_NEW(arena, V1__Environment, v1__environment);
    const struct {
        const char *name, *value;
    } own[] = {
        {"MESOS_TASK_ID", info->task_id->value},
        {"MESOS_CONTAINER_IP", has_network(info) ? NULL : t->pod->container_ip},
        {"MESOS_ALLOCATION_ROLE", info->n_resources > 0 && info->resources[0]->allocation_info
                                      ? info->resources[0]->allocation_info->role
                                      : NULL},
    };

    if (info->command)
        *c = *info->command;
    if (c->environment)
        *env = *c->environment;
    V1__Environment__Variable **all =
        fl_arena_alloc(arena, (env->n_variables + ARRAY_SIZE(own)) * sizeof(*all));
    if (env->n_variables > 0)
        memcpy(all, env->variables, env->n_variables * sizeof(*all));
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        if (!own[i].value)
            continue;
        V1__Environment__Variable *v =
            FL_ARENA_NEW(arena, V1__Environment__Variable, v1__environment__variable);
        v->name = (char *)(uintptr_t)own[i].name;
        v->value = (char *)(uintptr_t)own[i].value;
        all[env->n_variables++] = v;
    }
    env->variables = all;
    c->environment = env;
    return c;
}

static void launch(struct pod_task *t)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(2048);
    V1__TaskInfo *info = t->info;
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__LaunchContainer l = AAPI__CALL__LAUNCH_CONTAINER__INIT;
    V1__ContainerInfo container;

    l.container_id = &t->id;
    l.command = pod_task_command(t, arena);
    if (info->container) {
        container = *info->container;
        l.container = &container;
    }
    add_volumes(info, arena, &l.container);
    l.n_resources = info->n_resources;
    l.resources = info->resources;
    l.n_limits = info->n_limits;
    /* The same two fields under another name. */
    l.limits = (Aapi__Call__LaunchContainer__LimitsEntry **)info->limits;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__LAUNCH_CONTAINER;
    call.launch_container = &l;
    t->call = t->pod->env->io->post(t->pod->env->ctx, &call, on_launched, t);
}

static void proceed(struct pod_task *t)
{
    if (t->phase == POD_LAUNCHING)
        launch(t);
    else
        wait_for(t);
}

static void on_retry(void *arg)
{
    struct pod_task *t = arg;

    if (t->pod->connected && !t->call)
        proceed(t);
}

static struct pod_task *task_new(struct pod *p, const V1__TaskInfo *info, uint64_t group)
{
    struct pod_task *t = xnew0(struct pod_task);
    uint8_t uuid[FL_UUID_LEN];

    t->pod = p;
    t->info = FL_PB_DUP(info);
    t->group = group;
    fl_uuid_make(pod_time(p), uuid);
    fl_uuid_format(uuid, t->name);
    v1__container_id__init(&t->id);
    t->id.value = t->name;
    t->id.parent = &p->root;
    t->retry = env_timer_new(pod_time(p), on_retry, t);
    DL_APPEND(p->tasks, t);
    return t;
}

static bool has_task(const struct pod *p, const char *id)
{
    const struct pod_task *t;

    DL_FOREACH (p->tasks, t) {
        if (streq(t->info->task_id->value, id))
            return true;
    }
    return false;
}

static void launch_all(struct pod *p, V1__TaskInfo *const *tasks, size_t n)
{
    uint64_t group = ++p->groups;

    if (p->stopping)
        return; /* the agent ends what it has handed to an executor that goes */
    if (n > 0)
        p->env->io->idle(p->env->ctx, false);
    for (size_t i = 0; i < n; i++) {
        if (has_task(p, tasks[i]->task_id->value))
            continue;
        struct pod_task *t = task_new(p, tasks[i], group);
        pod_report(t, V1__TASK_STATE__TASK_STARTING, -1, NULL);
        launch(t);
    }
}

/* ---- events ---- */

static void subscribed(struct pod *p, const Exec__Event__Subscribed *s)
{
    struct pod_task *t;

    p->connected = true;
    fl_pb_free(p->framework);
    p->framework = FL_PB_DUP(s->framework_info);
    if (s->container_id && !p->root_name) {
        p->root_name = xstrdup(s->container_id->value);
        p->root.value = p->root_name;
    }
    DL_FOREACH (p->tasks, t) {
        proceed(t);
        if (t->phase != POD_RUNNING)
            continue;
        if (t->killing)
            pod_kill_again(t);
        else
            pod_checks_start(t);
    }
}

void pod_disconnected(struct pod *p)
{
    struct pod_task *t;

    p->connected = false;
    DL_FOREACH (p->tasks, t) {
        cancel_call(t);
        if (t->kill_call)
            p->env->io->cancel(p->env->ctx, TAKE_PTR(t->kill_call));
        pod_checks_stop(t);
    }
    pod_probes_drop(p);
}

static void kill_one(struct pod *p, const Exec__Event__Kill *k)
{
    struct pod_task *t;

    DL_FOREACH (p->tasks, t) {
        if (!streq(t->info->task_id->value, k->task_id->value))
            continue;
        pod_kill(t, pod_grace(t, k->kill_policy));
        return;
    }
    log_info("Asked to kill task '%s', which is over", k->task_id->value);
}

static void shut_down(struct pod *p)
{
    /* A second is left for the ends themselves to be told. */
    uint64_t most =
        p->config.shutdown_grace_us > 1000000 ? p->config.shutdown_grace_us - 1000000 : 0;
    struct pod_task *t;

    if (p->stopping)
        return;
    log_info("Shutting down");
    p->stopping = true;
    DL_FOREACH (p->tasks, t)
        pod_kill(t, FL_MIN(pod_grace(t, NULL), most));
    if (!p->tasks)
        p->env->io->idle(p->env->ctx, true);
}

void pod_event(struct pod *p, const Exec__Event *ev)
{
    if (ev->subscribed)
        subscribed(p, ev->subscribed);
    if (ev->launch_group)
        launch_all(p, ev->launch_group->task_group->tasks, ev->launch_group->task_group->n_tasks);
    if (ev->launch)
        launch_all(p, &ev->launch->task, 1);
    if (ev->kill)
        kill_one(p, ev->kill);
    if (ev->type == EXEC__EVENT__TYPE__SHUTDOWN)
        shut_down(p);
}

/* ---- life ---- */

struct pod *pod_new(struct pod_env *env, const struct pod_config *c)
{
    struct pod *p = xnew0(struct pod);

    p->env = env;
    p->config = *c;
    p->container_ip = c->container_ip ? xstrdup(c->container_ip) : NULL;
    v1__container_id__init(&p->root);
    p->root.value = (char *)"";
    return p;
}

void pod_free(struct pod *p)
{
    if (!p)
        return;
    while (p->tasks)
        task_free(p->tasks);
    pod_probes_drop(p);
    fl_pb_free(p->framework);
    free(p->root_name);
    free(p->container_ip);
    free(p);
}
