/* See shell.h. */
#include "executors/default/shell.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"

/* Default of the agent's flag, when it did not say. */
#define GRACE_US 5000000ull
/* How long the last updates may stay unacknowledged. */
#define PATIENCE_US 60000000ull

/* ---- ending ---- */

static void end(struct pod_shell *s, int status)
{
    s->exit_status = status;
    fl_loop_stop(s->loop);
}

static void end_if_told(struct pod_shell *s)
{
    if (s->idle && exec_core_idle(s->core) && fw_sender_idle(&s->link.sender))
        end(s, 0);
}

static void on_patience(void *arg)
{
    log_warning("The agent did not acknowledge the last updates, ending without");
    end(arg, 0);
}

static void io_idle(void *ctx, bool idle)
{
    struct pod_shell *s = ctx;

    s->idle = idle;
    if (!idle) {
        fl_timer_stop(s->patience);
        return;
    }
    fl_timer_set(s->patience, PATIENCE_US);
    end_if_told(s);
}

/* ---- the executor API ---- */

static void core_subscribe(void *ctx, const void *body, size_t n)
{
    struct pod_shell *s = ctx;

    exec_link_subscribe(&s->link, body, n);
}

static void core_close_stream(void *ctx)
{
    struct pod_shell *s = ctx;

    exec_link_close_stream(&s->link);
}

static void core_call(void *ctx, const void *body, size_t n)
{
    struct pod_shell *s = ctx;

    exec_link_call(&s->link, body, n);
}

static void core_event(void *ctx, const Exec__Event *ev, const void *bytes, size_t n)
{
    struct pod_shell *s = ctx;

    pod_event(s->pod, ev);
    end_if_told(s);
}

static void core_disconnected(void *ctx, const char *why)
{
    struct pod_shell *s = ctx;

    log_info("The agent is away: %s", why);
    pod_disconnected(s->pod);
}

static void core_dead(void *ctx, const char *message)
{
    log_error("Ending: %s", message);
    end(ctx, 1);
}

/* One that is refused would be refused again. */
static void answered(void *arg, int status, const char *body)
{
    if (status != 202 && status != 200 && status != 0)
        log_warning("The agent refused a call with status %d: %s", status, body);
    end_if_told(arg);
}

/* ---- what the pod asks for ---- */

static void io_update(void *ctx, const V1__TaskStatus *status)
{
    struct pod_shell *s = ctx;
    _cleanup_buf_ struct fl_buf bytes = FL_BUF_INIT;
    Exec__Call call = EXEC__CALL__INIT;
    Exec__Call__Update update = EXEC__CALL__UPDATE__INIT;
    V1__FrameworkID framework = V1__FRAMEWORK_ID__INIT;
    V1__ExecutorID executor = V1__EXECUTOR_ID__INIT;

    /* The core, which knows the ids, puts them behind the message. */
    framework.value = executor.value = (char *)"";
    call.framework_id = &framework;
    call.executor_id = &executor;
    update.status = (V1__TaskStatus *)(uintptr_t)status;
    call.has_type = true;
    call.type = EXEC__CALL__TYPE__UPDATE;
    call.update = &update;
    fl_buf_pack(&bytes, &call.base);
    exec_core_call(s->core, bytes.data, bytes.len);
}

static struct net_probe *io_probe(void *ctx, const struct net_target *t, net_probe_f *fn, void *arg)
{
    struct pod_shell *s = ctx;

    return net_probe_begin(s->prober, t, 0, fn, arg);
}

static void io_probe_cancel(void *ctx, struct net_probe *p)
{
    net_probe_cancel(p);
}

static void io_show_sandbox(void *ctx, const char *task_id, const char *container)
{
    _cleanup_free_ char *path = xasprintf("tasks/%s", task_id);
    _cleanup_free_ char *target = xasprintf("../containers/%s", container);

    if ((mkdir("tasks", 0755) < 0 && errno != EEXIST) ||
        (symlink(target, path) < 0 && errno != EEXIST))
        log_warning("Cannot make the link '%s' to the sandbox of task '%s': %m, ignoring", path,
                    task_id);
}

static const struct exec_io core_io = {
    .subscribe = core_subscribe,
    .close_stream = core_close_stream,
    .call = core_call,
    .on_event = core_event,
    .on_disconnected = core_disconnected,
    .on_dead = core_dead,
};

static const struct pod_io pod_io = {
    .post = pod_shell_post,
    .cancel = pod_shell_cancel,
    .update = io_update,
    .probe = io_probe,
    .probe_cancel = io_probe_cancel,
    .show_sandbox = io_show_sandbox,
    .idle = io_idle,
};

/* ---- life ---- */

static int read_environment(struct pod_shell *s, struct exec_config *c, struct fl_err *err)
{
    const char *sandbox = getenv("MESOS_SANDBOX");
    int r = exec_link_read_environment(&s->link, c, err);

    if (r == 0 && sandbox && chdir(sandbox) < 0)
        r = fl_err_errno(err, errno, "enter the sandbox '%s'", sandbox);
    return r;
}

int pod_shell_init(struct pod_shell *s, struct fl_err *err)
{
    struct exec_config core;
    const struct pod_config pod = {
        .container_ip = getenv("MESOS_CONTAINER_IP"),
        .shutdown_grace_us = exec_link_duration("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", GRACE_US),
    };
    int r;

    *s = (struct pod_shell){0};
    r = read_environment(s, &core, err);
    if (r == 0)
        r = fl_loop_new(&s->loop, err);
    if (r < 0)
        return r;
    s->env.env = env_from_loop(s->loop);
    s->env.io = &pod_io;
    s->env.ctx = s;
    exec_link_init(&s->link, s->loop, answered, s);
    s->prober = net_prober_new(s->loop);
    s->patience = fl_timer_new(s->loop, on_patience, s);
    s->pod = pod_new(&s->env, &pod);
    s->core = s->link.core = exec_core_new(&s->env.env, &core_io, s, &core);
    exec_core_start(s->core);
    return 0;
}

void pod_shell_done(struct pod_shell *s)
{
    pod_free(s->pod);
    if (s->core)
        core_close_stream(s);
    exec_core_free(s->core);
    net_prober_free(s->prober);
    exec_link_done(&s->link);
    if (s->patience)
        fl_timer_free(s->patience);
    if (s->loop)
        fl_loop_free(s->loop);
}
