/* The executor's shell and public calls: reads the environment the agent gave, wires the core to a loop and HTTP. */
#include <errno.h>

#include "common/base/flags.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "libframework/exec_link.h"
#include "libframework/fairlead/executor.h"
#include "libframework/messages.h"
#include "libframework/runner.h"

#define FW_EXECUTOR_MAGIC 0xe8ec0001u
#define STOP_WAIT_US      5000000ull

enum fw_exec_notice { FWE_EVENT, FWE_DISCONNECTED, FWE_DEAD };

struct fw_executor {
    unsigned magic;
    struct fw_executor_callbacks cb;
    void *arg;
    struct fw_runner runner;
    struct exec_core *core;
    struct exec_link link;
    struct fl_timer *stop_timer;
    bool stopping;
    atomic_bool dead;
};

/* ---- HTTP ---- */

static void io_subscribe(void *ctx, const void *body, size_t n)
{
    struct fw_executor *e = ctx;

    exec_link_subscribe(&e->link, body, n);
}

static void io_close_stream(void *ctx)
{
    struct fw_executor *e = ctx;

    exec_link_close_stream(&e->link);
}

static void io_call(void *ctx, const void *body, size_t n)
{
    struct fw_executor *e = ctx;

    exec_link_call(&e->link, body, n);
}

/* An update that is refused would be refused again: the agent has said why, and the stream tells what follows. */
static void answered(void *arg, int status, const char *body)
{
    if (status != 202 && status != 200 && status != 0)
        log_debug("the agent refused a call with status %d: %s", status, body);
}

/* ---- to the callbacks ---- */

static void call_launch(struct fw_executor *e, V1__TaskInfo *info)
{
    fw_task task = {.pb = info, .borrowed = true};

    if (e->cb.on_launch)
        e->cb.on_launch(e, &task, e->arg);
}

static void call_launch_group(struct fw_executor *e, const V1__TaskGroupInfo *g)
{
    if (!e->cb.on_launch_group) {
        for (size_t i = 0; i < g->n_tasks; i++)
            call_launch(e, g->tasks[i]);
        return;
    }
    _cleanup_free_ fw_task *tasks = xcalloc(g->n_tasks + 1, sizeof(*tasks));
    _cleanup_free_ fw_task **list = xcalloc(g->n_tasks + 1, sizeof(*list));
    for (size_t i = 0; i < g->n_tasks; i++) {
        tasks[i] = (fw_task){.pb = g->tasks[i], .borrowed = true};
        list[i] = &tasks[i];
    }
    e->cb.on_launch_group(e, list, g->n_tasks, e->arg);
}

static void run_event(struct fw_executor *e, const Exec__Event *ev)
{
    const struct fw_executor_callbacks *cb = &e->cb;

    if (ev->subscribed && cb->on_subscribed) {
        const V1__AgentInfo *agent = ev->subscribed->agent_info;
        const V1__FrameworkInfo *framework = ev->subscribed->framework_info;
        cb->on_subscribed(e, framework->id ? framework->id->value : "",
                          ev->subscribed->executor_info->executor_id->value,
                          agent->id ? agent->id->value : "", e->arg);
    }
    if (ev->launch)
        call_launch(e, ev->launch->task);
    if (ev->launch_group)
        call_launch_group(e, ev->launch_group->task_group);
    if (ev->kill && cb->on_kill) {
        const V1__KillPolicy *k = ev->kill->kill_policy;
        double grace = k && k->grace_period ? (double)k->grace_period->nanoseconds / 1e9 : -1;
        cb->on_kill(e, ev->kill->task_id->value, grace, e->arg);
    }
    if (ev->acknowledged && cb->on_acknowledged)
        cb->on_acknowledged(e, ev->acknowledged->task_id->value, e->arg);
    if (ev->message && cb->on_message)
        cb->on_message(e, ev->message->data.data, ev->message->data.len, e->arg);
    if (ev->type == EXEC__EVENT__TYPE__SHUTDOWN && cb->on_shutdown)
        cb->on_shutdown(e, e->arg);
}

static void notice(void *owner, int kind, const void *bytes, size_t n, const void *message)
{
    struct fw_executor *e = FL_CAST(fw_executor, FW_EXECUTOR_MAGIC, owner);

    if (kind == FWE_DISCONNECTED) {
        if (e->cb.on_disconnected)
            e->cb.on_disconnected(e, bytes, e->arg);
    } else if (kind == FWE_DEAD) {
        if (e->cb.on_error)
            e->cb.on_error(e, bytes, e->arg);
    } else if (message) {
        run_event(e, message);
    } else {
        _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4 * n);
        ProtobufCMessage *ev;

        if (fl_pb_decode(bytes, n, &exec__event__descriptor, fl_arena_allocator(arena), &ev,
                         NULL) == 0)
            run_event(e, (const Exec__Event *)ev);
    }
}

static void end_if_idle(struct fw_executor *e)
{
    if (e->stopping && exec_core_idle(e->core) && fw_sender_idle(&e->link.sender))
        fw_runner_end(&e->runner);
}

static void io_event(void *ctx, const Exec__Event *ev, const void *bytes, size_t n)
{
    struct fw_executor *e = ctx;

    if (ev->type != EXEC__EVENT__TYPE__ERROR)
        fw_runner_tell(&e->runner, FWE_EVENT, bytes, n, ev);
    end_if_idle(e);
}

static void io_disconnected(void *ctx, const char *why)
{
    struct fw_executor *e = ctx;

    fw_runner_tell(&e->runner, FWE_DISCONNECTED, why, strlen(why), NULL);
}

static void io_dead(void *ctx, const char *message)
{
    struct fw_executor *e = ctx;

    atomic_store(&e->dead, true);
    fw_runner_tell(&e->runner, FWE_DEAD, message, strlen(message), NULL);
    fw_runner_end(&e->runner);
}

static const struct exec_io io = {
    .subscribe = io_subscribe,
    .close_stream = io_close_stream,
    .call = io_call,
    .on_event = io_event,
    .on_disconnected = io_disconnected,
    .on_dead = io_dead,
};

static void on_call(void *owner, const void *bytes, size_t n)
{
    struct fw_executor *e = FL_CAST(fw_executor, FW_EXECUTOR_MAGIC, owner);

    exec_core_call(e->core, bytes, n);
}

static const struct fw_runner_ops runner_ops = {.on_call = on_call, .on_notice = notice};

/* ---- life ---- */

int fw_executor_new(const struct fw_executor_callbacks *cb, void *arg, fw_executor **ret_executor)
{
    struct exec_config config;
    struct fw_executor *e;

    if (!cb || cb->size > sizeof(e->cb) || cb->size < sizeof(size_t))
        return -EINVAL;
    e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->magic = FW_EXECUTOR_MAGIC;
    memcpy(&e->cb, cb, cb->size);
    e->arg = arg;
    if (fw_runner_init(&e->runner, &runner_ops, e, NULL) < 0) {
        fw_executor_free(e);
        return -ENOMEM;
    }
    if (exec_link_read_environment(&e->link, &config, NULL) < 0) {
        fw_executor_free(e);
        return -EINVAL;
    }
    exec_link_init(&e->link, e->runner.loop, answered, e);
    e->core = e->link.core = exec_core_new(&e->runner.env, &io, e, &config);
    *ret_executor = e;
    return 0;
}

void fw_executor_free(fw_executor *e)
{
    if (!e)
        return;
    fw_runner_quit(&e->runner);
    exec_link_done(&e->link);
    if (e->stop_timer)
        fl_timer_free(e->stop_timer);
    exec_core_free(e->core);
    fw_runner_done(&e->runner);
    e->magic = 0;
    free(e);
}

static void begin(void *arg)
{
    struct fw_executor *e = FL_CAST(fw_executor, FW_EXECUTOR_MAGIC, arg);

    exec_core_start(e->core);
}

static int outcome(struct fw_executor *e, int r)
{
    return r == 0 && atomic_load(&e->dead) ? -ECONNABORTED : r;
}

int fw_executor_run(fw_executor *e)
{
    fl_loop_post(e->runner.loop, begin, e);
    return outcome(e, fw_runner_run(&e->runner));
}

int fw_executor_start(fw_executor *e)
{
    fl_loop_post(e->runner.loop, begin, e);
    return fw_runner_start(&e->runner);
}

int fw_executor_join(fw_executor *e)
{
    return outcome(e, fw_runner_join(&e->runner));
}

int fw_executor_fd(fw_executor *e)
{
    if (!e->runner.started)
        fl_loop_post(e->runner.loop, begin, e);
    return fw_runner_fd(&e->runner);
}

int fw_executor_dispatch(fw_executor *e)
{
    return fw_runner_dispatch(&e->runner);
}

static void stop_waited(void *arg)
{
    struct fw_executor *e = FL_CAST(fw_executor, FW_EXECUTOR_MAGIC, arg);

    fw_runner_end(&e->runner);
}

static void stop(void *arg)
{
    struct fw_executor *e = FL_CAST(fw_executor, FW_EXECUTOR_MAGIC, arg);

    if (e->stopping)
        return;
    fw_runner_drain(&e->runner);
    e->stopping = true;
    e->stop_timer = fl_timer_new(e->runner.loop, stop_waited, e);
    fl_timer_set(e->stop_timer, STOP_WAIT_US);
    end_if_idle(e);
}

void fw_executor_stop(fw_executor *e)
{
    fl_loop_post(e->runner.loop, stop, e);
}

/* ---- calls ---- */

/* The required ids are empty here: the core, which knows them, puts them behind the message. */
static int send_call(fw_executor *e, Exec__Call *call)
{
    V1__FrameworkID framework = V1__FRAMEWORK_ID__INIT;
    V1__ExecutorID executor = V1__EXECUTOR_ID__INIT;
    void *bytes;
    size_t n;
    int r;

    framework.value = executor.value = (char *)"";
    call->framework_id = &framework;
    call->executor_id = &executor;
    r = fw_encode(&call->base, &bytes, &n);
    if (r < 0)
        return r;
    r = fw_runner_call(&e->runner, bytes, n);
    free(bytes);
    return r;
}

int fw_executor_update_data(fw_executor *e, const char *task_id, enum fw_task_state state,
                            const char *message, const void *data, size_t n)
{
    Exec__Call call = EXEC__CALL__INIT;
    Exec__Call__Update update = EXEC__CALL__UPDATE__INIT;
    V1__TaskStatus status = V1__TASK_STATUS__INIT;
    V1__TaskID id = V1__TASK_ID__INIT;

    id.value = (char *)task_id;
    status.task_id = &id;
    status.state = (V1__TaskState)state;
    status.message = (char *)message;
    if (data) {
        status.has_data = true;
        status.data = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)data};
    }
    update.status = &status;
    call.has_type = true;
    call.type = EXEC__CALL__TYPE__UPDATE;
    call.update = &update;
    return send_call(e, &call);
}

int fw_executor_update(fw_executor *e, const char *task_id, enum fw_task_state state,
                       const char *message)
{
    return fw_executor_update_data(e, task_id, state, message, NULL, 0);
}

int fw_executor_message(fw_executor *e, const void *data, size_t n)
{
    Exec__Call call = EXEC__CALL__INIT;
    Exec__Call__Message m = EXEC__CALL__MESSAGE__INIT;

    m.data = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)data};
    call.has_type = true;
    call.type = EXEC__CALL__TYPE__MESSAGE;
    call.message = &m;
    return send_call(e, &call);
}
