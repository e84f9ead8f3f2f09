/* The built-in command executor: a command task is one container, and the agent itself does what the reference's mesos-executor
 * process does beside it - the updates it would send (source EXECUTOR), the kill policy, the longest time allowed.
 *
 * Kill policy: SIGTERM, then after the grace period SIGKILL to everything in the container. A second kill with a
 * shorter period brings the end forward, counted from the first; a longer one changes nothing.
 */
#include <math.h>
#include <stdio.h>
#include <sys/wait.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"
#include "common/model/wait_status.h"

#define DEFAULT_GRACE_US (3ull * 1000000)
/* Resources of the process that the reference has beside every command: they are added here, not by the master. */
#define OVERHEAD_CPUS 0.1
#define OVERHEAD_MEM  32.0

static V1__Resource *overhead(struct fl_arena *arena, const char *name, double value,
                              V1__Resource__AllocationInfo *allocation)
{
    V1__Resource *r = fl_arena_alloc(arena, sizeof *r);
    V1__Value__Scalar *s = fl_arena_alloc(arena, sizeof *s);

    v1__resource__init(r);
    v1__value__scalar__init(s);
    s->value = value;
    r->name = fl_arena_strdup(arena, name);
    r->type = V1__VALUE__TYPE__SCALAR;
    r->scalar = s;
    r->allocation_info = allocation;
    return r;
}

static char *describe(const V1__CommandInfo *c, struct fl_arena *arena)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    bool shell = !c->has_shell || c->shell;

    if (!c->value)
        return shell ? "NO COMMAND" : "NO EXECUTABLE";
    fl_buf_adds(&text, c->value);
    for (size_t i = 0; !shell && i < c->n_arguments; i++)
        fl_buf_addf(&text, ", %s", c->arguments[i]);
    if (text.len > 15) {
        text.len = 12;
        fl_buf_adds(&text, "...");
    }
    fl_buf_addf(&b, shell ? "sh -c '%s'" : "[%s]", fl_buf_cstr(&text));
    return fl_arena_strdup(arena, fl_buf_cstr(&b));
}

V1__ExecutorInfo *agent_command_executor_info(const V1__FrameworkInfo *framework,
                                              const V1__TaskInfo *task, struct fl_arena *arena)
{
    V1__ExecutorInfo *e = fl_arena_alloc(arena, sizeof *e);
    V1__Resource__AllocationInfo *allocation =
        task->n_resources > 0 ? task->resources[0]->allocation_info : NULL;
    _cleanup_free_ char *name = NULL;

    v1__executor_info__init(e);
    e->executor_id = fl_arena_alloc(arena, sizeof *e->executor_id);
    v1__executor_id__init(e->executor_id);
    e->executor_id->value = task->task_id->value;
    e->framework_id = framework->id;
    name = agent_path_join(
        "Command Executor (Task: ", task->task_id->value,
        ") (Command: ", task->command ? describe(task->command, arena) : "NO COMMAND", ")", NULL);
    e->name = fl_arena_strdup(arena, name);
    e->source = task->task_id->value;
    e->command = task->command;
    e->container = task->container;
    e->labels = task->labels;
    e->discovery = task->discovery;
    e->n_resources = 2;
    e->resources = fl_arena_alloc(arena, 2 * sizeof(void *));
    e->resources[0] = overhead(arena, "cpus", OVERHEAD_CPUS, allocation);
    e->resources[1] = overhead(arena, "mem", OVERHEAD_MEM, allocation);
    return e;
}

static struct agent_task *the_task(const struct agent_executor *e)
{
    return e->tasks; /* one, or none when its terminal update is acknowledged */
}

static void report(struct agent_executor *e, V1__TaskState state, V1__TaskStatus__Source source,
                   int reason, const char *message)
{
    struct agent_core *a = e->core;
    const struct agent_task *t = the_task(e);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(AGENT_UPDATE_ARENA);
    _cleanup_pb_ V1__CheckStatusInfo *check = NULL;
    Msg__StatusUpdate *u =
        agent_update_new(a, arena, e->framework->id, e->id, state, source, reason, message, e->id);

    /* A task with a check says so in all that its executor tells of it. */
    if (t && t->info && t->info->check && source == V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR)
        u->status->check_status = check = check_status_empty(t->info->check);
    if (e->cmd.unhealthy && task_state_is_terminal(state)) {
        u->status->has_healthy = true;
        u->status->healthy = false;
    }
    agent_status_update(a, arena, u, false);
}

static void report_as_executor(struct agent_executor *e, V1__TaskState state, int reason,
                               const char *message)
{
    report(e, state, V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR, reason, message);
}

/* ---- the longest time ---- */

static void on_max_time(void *arg)
{
    struct agent_executor *e = FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg);

    log_info("Task '%s' has run for its maximum completion time", e->id);
    agent_command_kill(e, 0, true);
}

static void arm_max_time(struct agent_executor *e, uint64_t already_us)
{
    const struct agent_task *t = the_task(e);
    uint64_t max_us;

    if (!t || !t->info || !t->info->max_completion_time ||
        t->info->max_completion_time->nanoseconds <= 0)
        return;
    max_us = (uint64_t)t->info->max_completion_time->nanoseconds / 1000;
    if (!e->cmd.max_timer)
        e->cmd.max_timer = env_timer_new(agent_time(e->core), on_max_time, e);
    env_timer_set(agent_time(e->core), e->cmd.max_timer,
                  max_us > already_us ? max_us - already_us : 0);
}

void agent_command_stop_timers(struct agent_executor *e)
{
    agent_checks_stop(e);
    env_timer_free(agent_time(e->core), e->cmd.kill_timer);
    env_timer_free(agent_time(e->core), e->cmd.max_timer);
    e->cmd.kill_timer = e->cmd.max_timer = NULL;
}

/* ---- running ---- */

static bool describe_container(const struct agent_executor *e, struct container_description *out)
{
    struct containerizer *c = e->core->containerizer;

    return c && c->ops->describe && c->ops->describe(c, e->container_id, out);
}

/* Frameworks and name services read of a Docker container here what Docker says of it. */
static void report_running(struct agent_executor *e)
{
    struct agent_core *a = e->core;
    struct container_description d;

    if (!describe_container(e, &d) || !d.inspection) {
        report_as_executor(e, V1__TASK_STATE__TASK_RUNNING, -1, NULL);
        return;
    }
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(AGENT_UPDATE_ARENA);
    _cleanup_pb_ V1__CheckStatusInfo *check = NULL;
    const struct agent_task *t = the_task(e);
    V1__Label label = V1__LABEL__INIT, *label_v = &label;
    V1__Labels labels = V1__LABELS__INIT;
    Msg__StatusUpdate *u =
        agent_update_new(a, arena, e->framework->id, e->id, V1__TASK_STATE__TASK_RUNNING,
                         V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR, -1, NULL, e->id);

    if (t && t->info && t->info->check)
        u->status->check_status = check = check_status_empty(t->info->check);
    u->status->has_data = true;
    u->status->data =
        (ProtobufCBinaryData){strlen(d.inspection), (uint8_t *)(uintptr_t)d.inspection};
    if (d.ip_address) {
        label.key = (char *)(uintptr_t) "Docker.NetworkSettings.IPAddress";
        label.value = (char *)(uintptr_t)d.ip_address;
        labels.n_labels = 1;
        labels.labels = &label_v;
        u->status->labels = &labels;
    }
    agent_status_update(a, arena, u, false);
}

/* ---- checks ---- */

static void start_checks(struct agent_executor *e, const V1__TaskStatus *last_or_null)
{
    const struct agent_task *t = the_task(e);

    if (t && t->info && !e->cmd.checks)
        agent_checks_start(e, t->info, last_or_null);
}

void agent_command_checked(struct agent_executor *e, V1__TaskStatus__Reason reason, bool kill)
{
    struct agent_core *a = e->core;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(AGENT_UPDATE_ARENA);
    Msg__StatusUpdate *u =
        agent_update_new(a, arena, e->framework->id, e->id, V1__TASK_STATE__TASK_RUNNING,
                         V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR, (int)reason, NULL, e->id);
    _cleanup_pb_ V1__CheckStatusInfo *check = NULL;

    task_checks_fill(e->cmd.checks, u->status);
    check = u->status->check_status;
    agent_status_update(a, arena, u, false);
    if (!kill || e->cmd.killed)
        return;
    log_info("Task '%s' has failed its health check too often, killing it", e->id);
    e->cmd.unhealthy = true;
    agent_command_kill(e, the_task(e) ? agent_command_grace(the_task(e), NULL) : DEFAULT_GRACE_US,
                       false);
}

/* ---- started ---- */

void agent_command_started(struct agent_executor *e)
{
    struct agent_task *t = the_task(e);

    if (e->state != EXECUTOR_REGISTERING || !t || t->phase != AGENT_TASK_QUEUED)
        return; /* killed while it was being launched: its end follows */
    env_timer_free(agent_time(e->core), e->registration_timer);
    e->registration_timer = NULL;
    e->state = EXECUTOR_RUNNING;
    agent_task_launched(t);
    report_as_executor(e, V1__TASK_STATE__TASK_STARTING, -1, NULL);
    arm_max_time(e, 0);
    report_running(e);
    start_checks(e, NULL);
}

void agent_command_recovered(struct agent_executor *e)
{
    struct agent_task *t = the_task(e);
    double now = env_wall_s(agent_time(e->core)), began = now;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    const V1__Task *pb;

    e->recovered = false;
    e->state = EXECUTOR_RUNNING;
    if (!t)
        return;
    if (t->phase == AGENT_TASK_TERMINATED) {
        agent_executor_shutdown(e);
        return;
    }
    /* The agent died between starting the container and saying so. */
    if (t->state == V1__TASK_STATE__TASK_STAGING)
        report_as_executor(e, V1__TASK_STATE__TASK_STARTING, -1, NULL);
    pb = agent_task_pb(t, arena);
    if (pb->n_statuses > 0 && pb->statuses[0]->has_timestamp)
        began = pb->statuses[0]->timestamp;
    if (t->state == V1__TASK_STATE__TASK_STARTING)
        report_running(e);
    /* A kill under way when the agent died goes on with a fresh grace period. */
    if (t->state == V1__TASK_STATE__TASK_KILLING)
        agent_command_kill(e, agent_command_grace(t, NULL), false);
    else
        arm_max_time(e, now > began ? (uint64_t)((now - began) * 1e6) : 0);
    if (!e->cmd.killed)
        start_checks(e, pb->n_statuses > 0 ? pb->statuses[pb->n_statuses - 1] : NULL);
}

/* ---- killing ---- */

uint64_t agent_command_grace(const struct agent_task *t, const V1__KillPolicy *override_or_null)
{
    int64_t ns = t->grace_ns;

    if (override_or_null && override_or_null->grace_period)
        ns = override_or_null->grace_period->nanoseconds;
    else if (!t->has_grace)
        return DEFAULT_GRACE_US;
    return ns > 0 ? (uint64_t)ns / 1000 : 0;
}

static void on_grace_over(void *arg)
{
    struct agent_executor *e = FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg);

    if (!e->contained)
        return;
    log_info("Task '%s' did not end within its grace period, killing its container", e->id);
    e->core->containerizer->ops->destroy(e->core->containerizer, e->container_id);
}

static void set_kill_timer(struct agent_executor *e, uint64_t at_us)
{
    uint64_t now = env_now_us(agent_time(e->core));

    e->cmd.kill_at_us = at_us;
    if (!e->cmd.kill_timer)
        e->cmd.kill_timer = env_timer_new(agent_time(e->core), on_grace_over, e);
    env_timer_set(agent_time(e->core), e->cmd.kill_timer, at_us > now ? at_us - now : 0);
}

void agent_command_kill(struct agent_executor *e, uint64_t grace_us, bool by_max_time)
{
    struct agent_core *a = e->core;
    struct agent_task *t = the_task(e);
    uint64_t now = env_now_us(agent_time(a));
    struct fl_err err;

    if (!e->contained)
        return;
    if (e->cmd.killed) {
        if (e->cmd.kill_start_us + grace_us < e->cmd.kill_at_us)
            set_kill_timer(e, e->cmd.kill_start_us + grace_us);
        return;
    }
    if (e->cmd.max_timer)
        env_timer_stop(agent_time(a), e->cmd.max_timer);
    agent_checks_stop(e);
    e->cmd.killed = true;
    e->cmd.killed_by_max_time = by_max_time;
    e->cmd.kill_start_us = now;
    if (!by_max_time && t && t->phase == AGENT_TASK_LAUNCHED &&
        t->state != V1__TASK_STATE__TASK_KILLING &&
        agent_framework_has(e->framework, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE))
        report_as_executor(e, V1__TASK_STATE__TASK_KILLING, -1, NULL);
    set_kill_timer(e, now + grace_us);
    if (a->containerizer->ops->signal(a->containerizer, e->container_id, SIGTERM, &err) < 0)
        log_warning("Cannot send SIGTERM to task '%s': %s, ignoring", e->id, err.msg);
}

/* ---- the end ---- */

/* What the command itself came to: by its exit, or by the kill that was asked for. */
static void report_exit(struct agent_executor *e, const struct container_end *end)
{
    V1__TaskState state = V1__TASK_STATE__TASK_FAILED;
    struct container_description d;
    char text[160], message[200];
    int reason = -1;
    /* Destroyed at the end of the grace period: SIGKILL, whether or not its status was still read. */
    int status = end->has_status ? end->status : SIGKILL;

    wait_status_text(status, text, sizeof text);
    snprintf(message, sizeof message, "%s %s", describe_container(e, &d) ? "Container" : "Command",
             text);
    if (e->cmd.killed_by_max_time)
        reason = V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED;
    else if (e->cmd.killed)
        state = V1__TASK_STATE__TASK_KILLED;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        state = V1__TASK_STATE__TASK_FINISHED;
    report_as_executor(e, state, reason, message);
}

static void report_limit(struct agent_executor *e, const struct container_end *end)
{
    int reason = end->reason == CONTAINER_LIMIT_MEMORY
                     ? V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY
                 : end->reason == CONTAINER_LIMIT_DISK
                     ? V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_DISK
                     : V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION;
    struct agent_core *a = e->core;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(AGENT_UPDATE_ARENA);
    Msg__StatusUpdate *u =
        agent_update_new(a, arena, e->framework->id, e->id, V1__TASK_STATE__TASK_FAILED,
                         V1__TASK_STATUS__SOURCE__SOURCE_AGENT, reason, end->message, e->id);

    u->status->limitation = (V1__TaskResourceLimitation *)(uintptr_t)end->limitation;
    agent_status_update(a, arena, u, false);
}

void agent_command_ended(struct agent_executor *e, const struct container_end *end)
{
    struct agent_task *t = the_task(e);
    const struct agent_pending_end *p = &e->pending_end;

    agent_command_stop_timers(e);
    if (!t || task_state_is_terminal(t->state))
        return;
    if (p->set) {
        report(e, p->state, V1__TASK_STATUS__SOURCE__SOURCE_AGENT, (int)p->reason, p->message);
        return;
    }
    switch (end->reason) {
    case CONTAINER_EXITED:
        /* Over before `started` could be said, or while the agent was away: the states in between are told all the same. */
        if (t->phase == AGENT_TASK_QUEUED)
            agent_command_started(e);
        report_exit(e, end);
        return;
    case CONTAINER_DESTROYED:
        if (e->cmd.killed) {
            report_exit(e, end);
            return;
        }
        break;
    case CONTAINER_LIMIT_MEMORY:
    case CONTAINER_LIMIT_DISK:
    case CONTAINER_LIMIT_PORTS:
        report_limit(e, end);
        return;
    case CONTAINER_LAUNCH_FAILED:
        agent_count(e->core, COUNT_LAUNCH_ERRORS);
        report(e, V1__TASK_STATE__TASK_FAILED, V1__TASK_STATUS__SOURCE__SOURCE_AGENT,
               V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED,
               end->message ? end->message : "Failed to launch container");
        return;
    case CONTAINER_LOST:
        break;
    }
    report(e, V1__TASK_STATE__TASK_FAILED, V1__TASK_STATUS__SOURCE__SOURCE_AGENT,
           V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED,
           end->message ? end->message : "Container lost");
}
