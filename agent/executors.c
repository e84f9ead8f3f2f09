/* Executors: one container each, started for the first task that needs it, fed with tasks while it runs, put away when its
 * last update is acknowledged. Custom executors talk over the executor API (executor_link.c); command tasks have none (command.c).
 *
 * REGISTERING -> RUNNING -> TERMINATING -> TERMINATED; the container's end may come in any state.
 */
#include <math.h>
#include <stdio.h>
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

/* ---- life ---- */

static char *user_of(const struct agent_framework *f, const V1__CommandInfo *c)
{
    if (!f->core->flags->switch_user)
        return NULL;
    if (c && c->user)
        return xstrdup(c->user);
    return f->info->user ? xstrdup(f->info->user) : NULL;
}

static void keep_info(struct agent_executor *e, const V1__ExecutorInfo *from)
{
    V1__ExecutorInfo info = *from;

    if (!info.framework_id)
        info.framework_id = e->framework->info->id;
    if (!e->command) {
        e->info = FL_PB_DUP(&info);
        return;
    }
    e->packed = agent_pack(&info.base, &e->packed_len);
}

char *agent_executor_directory(const struct agent_executor *e)
{
    return agent_path_run(e, false);
}

struct agent_executor *agent_executor_new(struct agent_framework *f, const V1__ExecutorInfo *info,
                                          const char *container_id_or_null, bool command)
{
    struct agent_executor *e = xnew0(struct agent_executor);
    _cleanup_free_ char *meta = NULL;
    uint8_t uuid[FL_UUID_LEN];
    struct fl_err err;

    e->magic = AGENT_EXECUTOR_MAGIC;
    e->core = f->core;
    e->framework = f;
    e->id = xstrdup(info->executor_id->value);
    e->command = command;
    keep_info(e, info);
    e->grace_us = info->shutdown_grace_period && info->shutdown_grace_period->nanoseconds >= 0
                      ? (uint64_t)info->shutdown_grace_period->nanoseconds / 1000
                      : f->core->flags->executor_shutdown_grace_period;
    if (container_id_or_null) {
        snprintf(e->container_id, sizeof e->container_id, "%s", container_id_or_null);
    } else {
        fl_uuid_make(agent_time(f->core), uuid);
        fl_uuid_format(uuid, e->container_id);
    }
    if (agent_gc_pending(f->core->gc) > 0) {
        meta = agent_path_executor(e, true);
        agent_gc_unschedule(f->core->gc, meta); /* another run of an executor of that id */
    }
    e->user = user_of(f, info->command);
    if (resources_from_pb(info->resources, info->n_resources, &e->resources, &err) < 0)
        log_warning("Resources of executor '%s': %s, counting none", e->id, err.msg);
    HASH_ADD_KEYPTR(hh, f->executors, e->id, strlen(e->id), e);
    return e;
}

static void stop_timers(struct agent_executor *e)
{
    const struct env *env = agent_time(e->core);

    env_timer_free(env, e->registration_timer);
    env_timer_free(env, e->shutdown_timer);
    env_timer_free(env, e->heartbeat_timer);
    e->registration_timer = e->shutdown_timer = e->heartbeat_timer = NULL;
    agent_command_stop_timers(e);
}

static void leave_container(struct agent_executor *e)
{
    if (!e->contained)
        return;
    HASH_DELETE(hh_container, e->core->containers, e);
    e->contained = false;
}

void agent_executor_free(struct agent_executor *e)
{
    struct agent_task *t, *tmp;

    stop_timers(e);
    leave_container(e);
    agent_executor_hang_up(e);
    DL_FOREACH_SAFE (e->tasks, t, tmp) {
        DL_DELETE(e->tasks, t);
        agent_task_free(t);
    }
    DL_FOREACH_SAFE (e->completed, t, tmp) {
        DL_DELETE(e->completed, t);
        agent_task_free(t);
    }
    resources_done(&e->resources);
    fl_pb_free(e->info);
    free(e->id);
    free(e->packed);
    free(e->pending_end.message);
    free(e->user);
    e->magic = 0;
    free(e);
}

bool agent_executor_has_tasks(const struct agent_executor *e)
{
    return e->tasks != NULL;
}

void agent_executor_allocated(const struct agent_executor *e, struct resources *out)
{
    resources_copy(out, &e->resources);
    for (struct agent_task *t = e->tasks; t; t = t->next) {
        if (t->phase != AGENT_TASK_TERMINATED)
            resources_add(out, &t->resources);
    }
    if (e->state == EXECUTOR_TERMINATED) {
        resources_done(out);
        *out = (struct resources)RESOURCES_INIT;
    }
}

/* ---- what the container gets ---- */

/* Sum of limits where a task has one, of its request where not; < 0: no task has any. */
static double limit_of(const struct agent_executor *e, const char *name)
{
    bool cpus = streq(name, "cpus");
    double sum = milli_to_double(resources_scalar(&e->resources, name));
    bool any = false;

    for (struct agent_task *t = e->tasks; t; t = t->next) {
        double one = milli_to_double(resources_scalar(&t->resources, name));
        double limit = cpus ? t->cpu_limit : t->mem_limit;

        if (limit >= 0) {
            one = limit;
            any = true;
        }
        if (t->phase != AGENT_TASK_TERMINATED)
            sum += one;
    }
    return any ? sum : -1;
}

void agent_executor_resize(struct agent_executor *e)
{
    struct containerizer *c = e->core->containerizer;
    _cleanup_resources_ struct resources sum = RESOURCES_INIT;

    if (!e->contained)
        return;
    agent_executor_allocated(e, &sum);
    c->ops->update(c, e->container_id, &sum, limit_of(e, "cpus"), limit_of(e, "mem"));
}

void agent_executor_attach(struct agent_executor *e)
{
    struct agent_env *env = e->core->env;
    _cleanup_free_ char *latest = agent_path_join("/frameworks/", e->framework->id, "/executors/",
                                                  e->id, "/runs/latest", NULL);
    _cleanup_free_ char *base = agent_path_executor(e, false);
    _cleanup_free_ char *link = agent_path_join(base, "/runs/latest", NULL);
    _cleanup_free_ char *directory = agent_executor_directory(e);

    env->io->attach(env->ctx, directory, directory);
    env->io->attach(env->ctx, latest, directory);
    env->io->attach(env->ctx, link, directory);
}

static int make_sandbox(struct agent_executor *e, struct fl_err *err)
{
    struct agent_env *env = e->core->env;
    _cleanup_free_ char *base = agent_path_executor(e, false);
    _cleanup_free_ char *latest = agent_path_join(base, "/runs/latest", NULL);
    _cleanup_free_ char *directory = agent_executor_directory(e);
    int r = env->io->mkdir(env->ctx, directory, e->user, err);

    if (r < 0)
        return fl_err_wrap(err, "sandbox of executor '%s'", e->id);
    r = env->io->link(env->ctx, directory, latest, err);
    if (r < 0)
        return fl_err_wrap(err, "sandbox of executor '%s'", e->id);
    agent_executor_attach(e);
    return 0;
}

static void on_registration_timeout(void *arg)
{
    struct agent_executor *e = FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg);
    char within[48], message[120];

    if (e->state != EXECUTOR_REGISTERING || e->framework->terminating)
        return;
    fl_duration_format(e->core->flags->executor_registration_timeout, within, sizeof within);
    snprintf(message, sizeof message, "Executor did not register within %s", within);
    agent_executor_destroy(e, V1__TASK_STATE__TASK_FAILED,
                           V1__TASK_STATUS__REASON__REASON_EXECUTOR_REGISTRATION_TIMEOUT, message);
}

/* What to run: the task's own command, or the executor's. For executors of type DEFAULT it is ours. */
static int find_command(const struct agent_executor *e, const V1__TaskInfo *task,
                        V1__CommandInfo *own, const V1__CommandInfo **ret, struct fl_err *err)
{
    const char *program = e->core->default_executor;

    if (!task && agent_executor_is_default(e)) {
        if (!program)
            return fl_err_set(err, FL_NOT_FOUND,
                              "no program 'fairlead-default-executor' in --launcher_dir or beside "
                              "the agent");
        own->has_shell = true;
        own->shell = false;
        own->value = (char *)(uintptr_t)program;
        *ret = own;
        return 0;
    }
    *ret = task ? task->command : e->info->command;
    if (!*ret && !task)
        return fl_err_set(err, FL_INVALID, "executor '%s' has no command", e->id);
    return 0;
}

static int start_container(struct agent_executor *e, const V1__TaskInfo *task, struct fl_err *err)
{
    struct containerizer *c = e->core->containerizer;
    const char *role = resources_allocation_role(task ? &e->tasks->resources : &e->resources);
    _cleanup_resources_ struct resources sum = RESOURCES_INIT;
    struct container_spec spec = {0};
    _cleanup_free_ char *directory = agent_executor_directory(e);
    V1__CommandInfo own = V1__COMMAND_INFO__INIT;
    char **env;
    int r;

    r = find_command(e, task, &own, &spec.command, err);
    if (r < 0)
        return r;
    agent_executor_allocated(e, &sum);
    env = agent_executor_env(e, task ? role : NULL);
    spec.container_id = e->container_id;
    spec.container = task ? task->container : e->info->container;
    spec.user = e->user;
    spec.sandbox = directory;
    spec.labels = task ? task->labels : NULL;
    spec.task_id = task ? task->task_id->value : NULL;
    spec.env = (const char *const *)env;
    spec.resources = &sum;
    spec.cpu_limit = limit_of(e, "cpus");
    spec.mem_limit = limit_of(e, "mem");
    spec.task = task != NULL;
    spec.checkpoint = agent_checkpoints(e->framework);
    r = c->ops->launch(c, &spec, err);
    agent_env_free(env);
    return r;
}

void agent_executor_launch(struct agent_executor *e, const V1__TaskInfo *task)
{
    struct agent_core *a = e->core;
    struct fl_err err;
    int r = make_sandbox(e, &err);

    HASH_ADD_KEYPTR(hh_container, a->containers, e->container_id, strlen(e->container_id), e);
    e->contained = true;
    if (r == 0) {
        agent_checkpoint_executor(e);
        if (task)
            agent_checkpoint_task(e->tasks, task);
        r = start_container(e, task, &err);
    }
    if (r < 0) {
        struct container_end end = {.reason = CONTAINER_LAUNCH_FAILED, .message = err.msg};

        log_warning("Cannot launch executor '%s' of framework '%s': %s", e->id, e->framework->id,
                    err.msg);
        agent_executor_ended(e, &end);
        return;
    }
    if (task || e->registration_timer)
        return;
    e->registration_timer = env_timer_new(agent_time(a), on_registration_timeout, e);
    env_timer_set(agent_time(a), e->registration_timer, a->flags->executor_registration_timeout);
}

/* ---- the end ---- */

static void destroy(struct agent_executor *e)
{
    struct containerizer *c = e->core->containerizer;

    if (e->contained)
        c->ops->destroy(c, e->container_id);
}

static void on_shutdown_timeout(void *arg)
{
    struct agent_executor *e = FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg);

    log_info("Executor '%s' did not end within its grace period, killing it", e->id);
    destroy(e);
}

void agent_executor_shutdown(struct agent_executor *e)
{
    struct agent_core *a = e->core;
    uint64_t grace = e->grace_us;

    if (e->state == EXECUTOR_TERMINATING || e->state == EXECUTOR_TERMINATED)
        return;
    if (e->command && e->state == EXECUTOR_RUNNING) {
        e->state = EXECUTOR_TERMINATING;
        /* A second of it is kept for the end itself. */
        agent_command_kill(e, grace > 1000000 ? grace - 1000000 : 0, false);
        return;
    }
    bool never_came = e->state == EXECUTOR_REGISTERING;

    e->state = EXECUTOR_TERMINATING;
    if (never_came || e->command) {
        destroy(e); /* nobody to tell */
        return;
    }
    /* One that has lost its connection for a moment hears it when it subscribes again. */
    if (e->stream)
        agent_executor_send_shutdown(e);
    e->shutdown_timer = env_timer_new(agent_time(a), on_shutdown_timeout, e);
    env_timer_set(agent_time(a), e->shutdown_timer, grace);
}

void agent_executor_destroy(struct agent_executor *e, V1__TaskState state,
                            V1__TaskStatus__Reason reason, const char *message)
{
    e->pending_end.set = true;
    e->pending_end.state = state;
    e->pending_end.reason = reason;
    free(e->pending_end.message);
    e->pending_end.message = xstrdup(message);
    e->state = EXECUTOR_TERMINATING;
    destroy(e);
}

/* Its message is borrowed. */
static void explain_end(const struct agent_executor *e, const struct container_end *end,
                        struct agent_pending_end *out)
{
    *out = e->pending_end;
    if (out->set)
        return;
    out->state = V1__TASK_STATE__TASK_FAILED;
    out->reason = V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED;
    if (end->reason == CONTAINER_LAUNCH_FAILED)
        out->reason = V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED;
    else if (end->reason == CONTAINER_LIMIT_MEMORY)
        out->reason = V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY;
    else if (end->reason == CONTAINER_LIMIT_DISK)
        out->reason = V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_DISK;
    else if (end->reason == CONTAINER_LIMIT_PORTS)
        out->reason = V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION;
    out->message = (char *)(end->message ? end->message
                            : end->reason == CONTAINER_LOST
                                ? "Abnormal executor termination: unknown container"
                                : "Executor terminated");
}

static void end_tasks(struct agent_executor *e, const struct container_end *end)
{
    struct agent_core *a = e->core;
    struct agent_pending_end why = {0};
    struct agent_task *t, *tmp;

    explain_end(e, end, &why);
    DL_FOREACH_SAFE (e->tasks, t, tmp) {
        _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
        Msg__StatusUpdate *u;

        if (t->phase == AGENT_TASK_TERMINATED)
            continue;
        arena = fl_arena_new(AGENT_UPDATE_ARENA);
        u = agent_update_new(a, arena, e->framework->id, t->id, why.state,
                             V1__TASK_STATUS__SOURCE__SOURCE_AGENT, (int)why.reason, why.message,
                             e->id);
        u->status->limitation = (V1__TaskResourceLimitation *)(uintptr_t)end->limitation;
        agent_status_update(a, arena, u, false);
    }
}

void agent_tell_exited(struct agent_core *a, const char *framework_id, const char *executor_id,
                       int status)
{
    Msg__ExitedExecutorMessage m = MSG__EXITED_EXECUTOR_MESSAGE__INIT;
    V1__FrameworkID fid = V1__FRAMEWORK_ID__INIT;
    V1__ExecutorID eid = V1__EXECUTOR_ID__INIT;

    if (a->state != AGENT_RUNNING)
        return;
    fid.value = (char *)framework_id;
    eid.value = (char *)executor_id;
    m.slave_id = a->info->id;
    m.framework_id = &fid;
    m.executor_id = &eid;
    m.status = status;
    agent_send(a, &m.base);
}

void agent_executor_ended(struct agent_executor *e, const struct container_end *end)
{
    log_info("The container of executor '%s' of framework '%s' has ended%s%s", e->id,
             e->framework->id, end->message ? ": " : "", end->message ? end->message : "");
    leave_container(e);
    agent_count(e->core, COUNT_EXECUTORS_TERMINATED);
    if (e->command) {
        agent_command_ended(e, end);
    } else {
        if (end->reason == CONTAINER_LAUNCH_FAILED)
            agent_count(e->core, COUNT_LAUNCH_ERRORS);
        end_tasks(e, end);
        agent_tell_exited(e->core, e->framework->id, e->id, end->has_status ? end->status : -1);
    }
    stop_timers(e);
    agent_executor_hang_up(e);
    e->state = EXECUTOR_TERMINATED;
    e->recovered = false;
    agent_executor_settle(e);
}

static void put_away(struct agent_executor *e)
{
    struct agent_core *a = e->core;
    struct agent_env *env = a->env;
    _cleanup_free_ char *directory = agent_executor_directory(e);
    struct fl_err err;

    a->containerizer->ops->forget(a->containerizer, e->container_id);
    agent_gc_schedule(a->gc, directory, true);
    if (agent_checkpoints(e->framework)) {
        _cleanup_free_ char *run = agent_path_run(e, true);
        _cleanup_free_ char *sentinel = xasprintf("%s/executor.sentinel", run);
        _cleanup_free_ char *meta = agent_path_executor(e, true);

        if (env->io->write(env->ctx, sentinel, "", 0, false, &err) < 0)
            log_warning("Cannot write '%s': %s, ignoring", sentinel, err.msg);
        agent_gc_schedule(a->gc, meta, false);
    }
}

static void complete_tasks(struct agent_executor *e)
{
    struct agent_task *t, *tmp;

    DL_FOREACH_SAFE (e->tasks, t, tmp) {
        agent_task_put_away(t);
    }
}

void agent_executor_settle(struct agent_executor *e)
{
    struct agent_framework *f = e->framework;
    uint64_t limit = e->core->flags->max_completed_executors_per_framework;
    bool give_up = f->terminating || e->core->state == AGENT_TERMINATING;

    if (e->state != EXECUTOR_TERMINATED || e->contained ||
        (agent_executor_has_tasks(e) && !give_up))
        return;
    complete_tasks(e);
    HASH_DEL(f->executors, e);
    put_away(e);
    DL_APPEND(f->completed, e);
    f->n_completed++;
    while (f->n_completed > limit) {
        struct agent_executor *oldest = f->completed;

        DL_DELETE(f->completed, oldest);
        f->n_completed--;
        agent_executor_free(oldest);
    }
    agent_framework_settle(f);
}

int agent_signal_container(struct agent_core *a, const char *container_id, int signo,
                           struct fl_err *err)
{
    struct agent_executor *e;

    HASH_FIND(hh_container, a->containers, container_id, strlen(container_id), e);
    if (!e)
        return fl_err_set(err, FL_NOT_FOUND, "Container '%s' cannot be found", container_id);
    return a->containerizer->ops->signal(a->containerizer, e->container_id, signo, err);
}
