/* The probes of command tasks' checks. A command runs in a container of its own inside the task's, with the task's namespaces and
 * environment; HTTP and TCP are asked by the agent itself, in the task's network. */
#include <stdio.h>
#include <sys/wait.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

/* A probe by command. Lives until its container is gone, which may be after the checker lost interest. */
struct check_run {
    struct agent_core *core;
    struct checker *checker; /* NULL: cancelled */
    char *id;                /* owned; of the container */
    struct env_timer *clean; /* it has ended; what it leaves behind is removed next */
};

static void answer(struct check_run *run, bool known, int value)
{
    struct checker *c = run->checker;

    run->checker = NULL;
    if (!c)
        return;
    *checker_slot(c) = NULL;
    checker_answer(c, known, value);
}

static void run_free(struct check_run *run)
{
    env_timer_free(agent_time(run->core), run->clean);
    free(run->id);
    free(run);
}

static void on_removed(void *arg, const struct fl_err *err)
{
    if (err)
        log_warning("The sandbox of a check stays: %s", err->msg);
}

static void on_clean(void *arg)
{
    struct check_run *run = arg;
    struct fl_err err;

    if (agent_nested_remove(run->core, run->id, on_removed, run->core, &err) < 0)
        log_debug("The container of a check is gone already: %s", err.msg);
    run_free(run);
}

static void on_end(void *arg, const struct container_end *end)
{
    struct check_run *run = arg;
    struct agent_core *a = run->core;
    bool exited = end->has_status && WIFEXITED(end->status);

    if (end->reason == CONTAINER_LAUNCH_FAILED && end->message)
        log_info("A check could not be run: %s", end->message);
    answer(run, exited, exited ? WEXITSTATUS(end->status) : 0);
    if (!a->containerizer) { /* the agent itself ends */
        run_free(run);
        return;
    }
    /* It counts as ended only when everybody has been told. */
    run->clean = env_timer_new(agent_time(a), on_clean, run);
    env_timer_set(agent_time(a), run->clean, 0);
}

/* It runs, or could not be started: either way it is waited for. */
static void on_launched(void *arg, const struct container_end *end)
{
    struct check_run *run = arg;
    struct fl_err err;

    if (!end && agent_nested_wait(run->core, run->id, on_end, run, &err) == 0)
        return;
    if (end) {
        on_end(run, end);
        return;
    }
    log_warning("Cannot wait for the check '%s': %s", run->id, err.msg);
    answer(run, false, 0);
    run_free(run);
}

static void begin_command(struct agent_executor *e, struct checker *c)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    const struct check_target *t = checker_target(c);
    struct agent_core *a = e->core;
    struct resources none = RESOURCES_INIT;
    struct check_run *run = xnew0(struct check_run);
    uint8_t uuid[FL_UUID_LEN];
    char name[FL_UUID_STR];
    struct fl_err err;

    fl_uuid_make(agent_time(a), uuid);
    fl_uuid_format(uuid, name);
    *run = (struct check_run){
        .core = a,
        .checker = c,
        .id = xasprintf("%s.%scheck-%s", e->container_id, checker_is_health(c) ? "health-" : "",
                        name),
    };
    const struct agent_nested_launch l = {
        .container_id = run->id,
        /* The container has the task's variables by itself. */
        .command = check_command(t->command, true, NULL, arena),
        .user = t->command->user,
        .resources = &none,
        .cpu_limit = -1,
        .mem_limit = -1,
        .debug = true,
    };
    *checker_slot(c) = run;
    if (agent_nested_launch(a, &l, on_launched, run, &err) == 0)
        return;
    /* Its timeout, or the end of the task, comes next: no answer is one too. */
    log_info("A check of task '%s' could not be run: %s", e->id, err.msg);
    *checker_slot(c) = NULL;
    run_free(run);
}

static void on_net_answer(void *arg, bool known, int value)
{
    struct checker *c = arg;

    *checker_slot(c) = NULL;
    checker_answer(c, known, value);
}

static void begin(void *arg, struct checker *c)
{
    struct agent_executor *e = FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg);
    const struct check_target *t = checker_target(c);
    struct agent_env *env = e->core->env;

    if (t->kind == V1__CHECK_INFO__TYPE__COMMAND)
        begin_command(e, c);
    else if (env->io->probe)
        *checker_slot(c) = env->io->probe(env->ctx, &t->net, e->pid, on_net_answer, c);
}

static void cancel(void *arg, struct checker *c)
{
    struct agent_executor *e = FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg);
    struct agent_env *env = e->core->env;
    void *under_way = *checker_slot(c);

    *checker_slot(c) = NULL;
    if (!under_way)
        return;
    if (checker_target(c)->kind == V1__CHECK_INFO__TYPE__COMMAND) {
        struct check_run *run = under_way;

        run->checker = NULL;
        if (e->core->containerizer)
            agent_nested_destroy(e->core, run->id);
    } else {
        env->io->probe_cancel(env->ctx, under_way);
    }
}

static void changed(void *arg, V1__TaskStatus__Reason reason, bool kill)
{
    agent_command_checked(FL_CAST(agent_executor, AGENT_EXECUTOR_MAGIC, arg), reason, kill);
}

void agent_checks_start(struct agent_executor *e, const V1__TaskInfo *info,
                        const V1__TaskStatus *last_or_null)
{
    static const struct task_checks_ops ops = {
        .begin = begin, .cancel = cancel, .changed = changed};

    e->cmd.checks = task_checks_new(agent_time(e->core), info->check, info->health_check, &ops, e);
    if (e->cmd.checks)
        task_checks_start(e->cmd.checks, last_or_null);
}

void agent_checks_stop(struct agent_executor *e)
{
    task_checks_free(TAKE_PTR(e->cmd.checks));
}
