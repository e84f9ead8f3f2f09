/* The life of a Docker container on the agent's side; see docs/docker.md.
 *
 *   launch -> [fetch] -> image there, or pulled -> created -> started -> inspected -> `started`
 *   then, beside each other: a request that is answered when the container ends; its output (logs.c); its process by a pidfd
 *   end: the engine says so (or the process is gone and the engine does not answer) -> inspected -> output drained -> `ended`
 *
 * One request of the life at a time (`step`). What creates and starts is never given up half-way: a destroy waits for its answer. An
 * engine that is away fails a launch, and is asked again for everything else; whether a container runs is then known by its process. */
#include "agent/docker/docker_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/base/log.h"

#define FIRST_RETRY_US     100000u
#define MAX_RETRY_US       5000000u
#define FORCE_US           5000000u  /* beyond --docker_stop_timeout, and again */
#define OUTPUT_PATIENCE_US 5000000u  /* the container has ended, its output has not */
#define GONE_PATIENCE_US   60000000u /* its process is gone, the engine says nothing */
#define GIVE_UP_US         60000000u
#define MEGA               (UINT64_C(1) << 20)

static void wait_for_end(void *arg);
static void stop(struct docker_container *c);

/* ---- the end ---- */

static void decide(struct docker_container *c, enum container_end_reason reason,
                   const char *message)
{
    if (c->end.decided)
        return;
    c->end.decided = true;
    c->end.reason = reason;
    c->end.message = message ? xstrdup(message) : NULL;
}

static void report(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    struct docker_containerizer *dz = c->dz;
    const struct container_end end = {.reason = c->end.reason,
                                      .has_status = c->end.has_status,
                                      .status = c->end.status,
                                      .message = c->end.message,
                                      .limitation = c->end.limitation};

    c->recovered = false;
    docker_exec_end_all(c);
    /* In the table while it is told: what Docker says of it belongs into the last status. */
    dz->cb.ended(dz->cb.arg, c->id, &end);
    HASH_DEL(dz->containers, c);
    docker_container_free(c);
    docker_recovery_check(dz);
}

/* Nothing more is asked about it. */
static void let_go(struct docker_container *c)
{
    docker_cancel(TAKE_PTR(c->step));
    docker_cancel(TAKE_PTR(c->wait));
    fetch_cancel(c->fetch, NULL, NULL);
    fl_timer_free(TAKE_PTR(c->retry));
    fl_timer_free(TAKE_PTR(c->force));
    fl_timer_free(TAKE_PTR(c->patience));
    fl_watch_free(TAKE_PTR(c->pidfd_watch));
    docker_logs_free(TAKE_PTR(c->logs));
}

static void finish(struct docker_container *c)
{
    if (c->state == DOCKER_ENDED)
        return;
    c->state = DOCKER_ENDED;
    let_go(c);
    fl_loop_forget(c->dz->loop, c);
    fl_loop_defer(c->dz->loop, report, c);
}

void docker_end_with(struct docker_container *c, enum container_end_reason reason,
                     const char *message)
{
    decide(c, reason, message);
    finish(c);
}

/* ---- asking ---- */

static void ask(struct docker_container *c, const char *method, const char *path,
                const json_t *body, unsigned timeout_s,
                void (*done)(void *arg, const struct docker_answer *a))
{
    const struct docker_request r = {.method = method,
                                     .path = path,
                                     .body = body,
                                     .timeout_s = timeout_s,
                                     .done = done,
                                     .arg = c};

    docker_cancel(TAKE_PTR(c->step));
    docker_ask(c->dz->engine, &r, &c->step);
}

void docker_again(struct docker_container *c, fl_callback_f *fn)
{
    c->retry_us = c->retry_us ? FL_MIN(c->retry_us * 2, MAX_RETRY_US) : FIRST_RETRY_US;
    fl_timer_free(c->retry);
    c->retry = fl_timer_new(c->dz->loop, fn, c);
    fl_timer_set(c->retry, c->retry_us);
}

static void set_timer(struct docker_container *c, struct fl_timer **t, fl_callback_f *fn,
                      uint64_t us)
{
    fl_timer_free(*t);
    *t = fl_timer_new(c->dz->loop, fn, c);
    fl_timer_set(*t, us);
}

/* ---- it has ended ---- */

static void on_patience(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    if (c->exited)
        log_warning("The last output of Docker container '%s' does not come, ignoring", c->name);
    else
        decide(c, CONTAINER_LOST, "Failed to get exit status of container");
    finish(c);
}

void docker_output_over(struct docker_container *c)
{
    if (c->exited)
        finish(c);
}

static void tell_memory(struct docker_container *c)
{
    V1__TaskResourceLimitation limitation = V1__TASK_RESOURCE_LIMITATION__INIT;
    V1__Resource res = V1__RESOURCE__INIT, *res_v = &res;
    V1__Value__Scalar scalar = V1__VALUE__SCALAR__INIT;
    uint64_t hard = docker_memory(&c->resources, c->mem_limit) / MEGA;
    char text[1600];

    if (c->memory_peak)
        fl_snprintf(text, sizeof text,
                    "Memory limit exceeded: Requested: %" PRIu64 "MB Maximum Used: %" PRIu64
                    "MB\n\nMEMORY STATISTICS: \n%s",
                    hard, c->memory_peak / MEGA, c->memory_stat ? c->memory_stat : "");
    else
        fl_snprintf(text, sizeof text,
                    "Memory limit exceeded: Requested: %" PRIu64
                    "MB; a process of the container was killed for using more",
                    hard);
    res.name = (char *)(uintptr_t) "mem";
    res.type = V1__VALUE__TYPE__SCALAR;
    res.scalar = &scalar;
    scalar.value = (double)hard;
    limitation.n_resources = 1;
    limitation.resources = &res_v;
    c->end.limitation = FL_PB_DUP(&limitation);
    decide(c, CONTAINER_LIMIT_MEMORY, text);
}

/* What the engine says of one that does not run. */
static void settle(struct docker_container *c, const struct docker_state_seen *s)
{
    c->exited = true;
    c->end.has_status = true;
    c->end.status = W_EXITCODE(s->exit_code & 0xff, 0);
    if (s->oom_killed && s->exit_code != 0 && !c->destroying)
        tell_memory(c);
    decide(c, CONTAINER_EXITED, s->error && *s->error ? s->error : NULL);
    if (!c->logs || docker_logs_over(c->logs))
        finish(c);
    else
        set_timer(c, &c->patience, on_patience, OUTPUT_PATIENCE_US);
}

static void gone(struct docker_container *c)
{
    docker_end_with(c, CONTAINER_LOST, "the container was removed from Docker by somebody else");
}

static void look_at_end(void *arg);

static void on_end_seen(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    struct docker_state_seen s;

    c->step = NULL;
    if (a->status == 404) {
        gone(c);
        return;
    }
    if (a->err) {
        docker_again(c, look_at_end);
        return;
    }
    docker_read_state(a->json, &s);
    if (s.running)
        docker_again(c, wait_for_end);
    else
        settle(c, &s);
}

static void look_at_end(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    _cleanup_free_ char *path = docker_path(c, "json");

    ask(c, "GET", path, NULL, 0, on_end_seen);
}

static void on_waited(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    c->wait = NULL;
    if (a->status == 404)
        gone(c);
    else if (a->err)
        docker_again(c, wait_for_end);
    else
        look_at_end(c);
}

static void on_waiting(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    c->retry_us = 0; /* the engine is back */
}

static void wait_for_end(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    _cleanup_free_ char *path = docker_path(c, "wait");
    const struct docker_request r = {.method = "POST",
                                     .path = path,
                                     .endless = true,
                                     .begun = on_waiting,
                                     .done = on_waited,
                                     .arg = c};

    docker_cancel(TAKE_PTR(c->wait));
    docker_ask(c->dz->engine, &r, &c->wait);
}

/* Its first process has ended, and with it, in a namespace of its own, all others. */
static void on_process_gone(int fd, bool readable, bool writable, void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    char stat[1024] = "";

    fl_watch_free(TAKE_PTR(c->pidfd_watch));
    c->memory_peak = docker_memory_peak(c, stat, sizeof stat);
    c->memory_stat = xstrdup(stat);
    if (!c->exited)
        set_timer(c, &c->patience, on_patience, GONE_PATIENCE_US);
}

/* ---- destroying ---- */

static void on_force(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    if (c->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
    if (fl_loop_now_us(c->dz->loop) - c->since_us >
        GIVE_UP_US + c->dz->flags->docker_stop_timeout) {
        log_warning("Docker container '%s' cannot be ended, giving it up", c->name);
        finish(c);
        return;
    }
    stop(c);
}

static void on_stopped(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    c->step = NULL;
    if (a->status == 404)
        finish(c);
    else if (a->err)
        log_warning("Cannot stop Docker container '%s': %s, trying again", c->name, a->err->msg);
    else if (!c->wait && !c->retry)
        wait_for_end(c);
}

static void stop(struct docker_container *c)
{
    unsigned t = (unsigned)(c->dz->flags->docker_stop_timeout / 1000000);
    _cleanup_free_ char *stop_path = docker_path(c, "stop");
    _cleanup_free_ char *path = xasprintf("%s?t=%u", stop_path, t);

    set_timer(c, &c->force, on_force, t * UINT64_C(1000000) + FORCE_US);
    if (!c->step)
        ask(c, "POST", path, NULL, t + 30, on_stopped);
}

void docker_destroy(struct docker_container *c)
{
    if (c->destroying || c->state == DOCKER_ENDED || c->exited)
        return;
    c->destroying = true;
    c->since_us = fl_loop_now_us(c->dz->loop);
    decide(c, CONTAINER_DESTROYED, NULL);
    if (c->cannot_die)
        return;
    if (!c->made) {
        finish(c);
        return;
    }
    docker_cancel(TAKE_PTR(c->step));
    stop(c);
}

/* ---- running ---- */

static void watch_process(struct docker_container *c)
{
    struct fl_err err;

    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pidfd < 0)
        c->pidfd = -EBADF; /* it has ended already, or is on another machine */
    else if (fl_watch_new(c->dz->loop, c->pidfd, true, false, on_process_gone, c, &c->pidfd_watch,
                          &err) < 0)
        log_warning("Cannot watch the process of Docker container '%s': %s, ignoring", c->name,
                    err.msg);
}

static void runs(struct docker_container *c)
{
    struct docker_containerizer *dz = c->dz;
    struct fl_err err;
    bool recovered = c->recovered;

    c->state = DOCKER_RUNNING;
    c->recovered = false;
    if (c->pid > 0) {
        watch_process(c);
        docker_usage_find(c);
        if (runtime_process_write(c->folder, "started", c->pid, &err) < 0)
            log_warning("%s, ignoring", err.msg);
    }
    if (!c->logs && docker_logs_begin(c, &err) < 0)
        log_warning("No output of Docker container '%s': %s", c->name, err.msg);
    wait_for_end(c);
    if (c->resized)
        docker_send_amounts(c, c->more_memory);
    if (recovered)
        dz->cb.recovered(dz->cb.arg, c->id, c->pid);
    else
        dz->cb.started(dz->cb.arg, c->id, c->pid);
    docker_recovery_check(dz);
}

/* It is over before it was seen running. */
static void ran(struct docker_container *c, const struct docker_state_seen *s)
{
    struct fl_err err;

    if (s->never_started) {
        docker_end_with(c, CONTAINER_LAUNCH_FAILED,
                        c->recovered
                            ? "the agent was restarted while the container was being started"
                            : "the container was created, but does not start");
        return;
    }
    c->state = DOCKER_RUNNING;
    if (docker_logs_begin(c, &err) < 0)
        log_warning("No output of Docker container '%s': %s", c->name, err.msg);
    settle(c, s);
}

/* The engine is away while we recover: what the process says must do, for the agent has others to go on with. */
static void recover_without_engine(struct docker_container *c, const struct fl_err *why)
{
    int pidfd = -EBADF;
    pid_t pid = runtime_process(c->folder, "started", &pidfd);

    if (pid <= 0) {
        docker_end_with(c, CONTAINER_LOST, why->msg);
        return;
    }
    close(pidfd);
    c->pid = pid;
    runs(c);
}

static bool waited_long(const struct docker_container *c)
{
    return c->recovered &&
           fl_loop_now_us(c->dz->loop) - c->dz->recover_since_us > DOCKER_PATIENCE_US;
}

static void on_inspected(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    struct docker_state_seen s;

    c->step = NULL;
    if (a->status == 404 && c->recovered) {
        docker_end_with(c, CONTAINER_LOST,
                        "the container ended while no agent ran, and Docker knows it no more");
        return;
    }
    if (a->status == 404) {
        gone(c);
        return;
    }
    if (a->err) {
        if (waited_long(c))
            recover_without_engine(c, a->err);
        else
            docker_again(c, docker_inspect);
        return;
    }
    c->retry_us = 0;
    docker_keep_inspection(c, a);
    docker_read_state(a->json, &s);
    c->pid = s.running ? s.pid : 0;
    if (s.running)
        runs(c);
    else
        ran(c, &s);
}

void docker_inspect(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    _cleanup_free_ char *path = docker_path(c, "json");

    ask(c, "GET", path, NULL, 0, on_inspected);
}

/* ---- starting ---- */

/* False: it was to be destroyed meanwhile, and is. */
static bool goes_on(struct docker_container *c)
{
    c->cannot_die = false;
    if (!c->destroying)
        return true;
    if (c->made)
        stop(c);
    else
        finish(c);
    return false;
}

static void fail(struct docker_container *c, const char *what, const struct fl_err *why)
{
    struct fl_err err = *why;

    fl_err_wrap(&err, "Failed to run docker container: %s", what);
    docker_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
}

static void on_started(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    c->step = NULL;
    if (!goes_on(c))
        return;
    if (a->err)
        fail(c, "start", a->err);
    else
        docker_inspect(c);
}

static void on_created(void *arg, const struct docker_answer *a)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    _cleanup_free_ char *path = docker_path(c, "start");

    c->step = NULL;
    c->made = !a->err || docker_away(a);
    if (!goes_on(c))
        return;
    if (a->err) {
        fail(c, "create", a->err);
        return;
    }
    json_decref(TAKE_PTR(c->body));
    c->cannot_die = true;
    ask(c, "POST", path, NULL, 120, on_started);
}

void docker_create(struct docker_container *c)
{
    _cleanup_free_ char *path = xasprintf("/containers/create?name=%s", c->name);

    c->cannot_die = true;
    ask(c, "POST", path, c->body, 120, on_created);
}

static void on_fetched(void *arg, const char *why)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);

    if (why)
        docker_end_with(c, CONTAINER_LAUNCH_FAILED, why);
    else
        docker_image(c);
}

void docker_begin(void *arg)
{
    struct docker_container *c = FL_CAST(docker_container, DOCKER_CONTAINER_MAGIC, arg);
    const struct fetch_spec what = {c->id, c->folder, c->user, c->sandbox, c->command};
    struct fl_err err;
    int r = runtime_folder_make(c->folder, &err);

    if (r == 0)
        r = docker_plan_write(c, &err);
    if (r < 0)
        docker_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
    else if (c->command && c->command->n_uris > 0)
        fetch_begin(c->dz->fetches, &what, on_fetched, c, &c->fetch);
    else
        docker_image(c);
}
