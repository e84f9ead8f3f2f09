/* Commands in a running Docker container, by the engine's exec API: what checks and sessions start as containers nested in it (debug
 * ones, which share all of it). POST /containers/NAME/exec makes one, POST /exec/ID/start runs it and answers with its output until it
 * ends, GET /exec/ID/json has its process and exit code. The engine has no request that ends one: its process is signalled.
 *
 * Output waits for the first who listens, up to a limit; what comes beyond it, or faster than it is taken, is dropped. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <utlist.h>

#include "agent/docker/docker_priv.h"
#include "common/base/log.h"

#define MAX_HELD      ((size_t)1 << 20)
#define MAX_LISTENERS 64
/* For the process, and for its exit code when its output is over. */
#define FIRST_LOOK_US  5000u
#define LATEST_LOOK_US 500000u

struct held {
    int fd;
    size_t n;
    struct held *prev, *next;
    char data[];
};
struct listener {
    struct container_listener l;
    struct listener *prev, *next;
};

#define DOCKER_EXEC_MAGIC 0xd0c4e005u
struct docker_exec {
    unsigned magic;
    struct docker_containerizer *dz;
    struct docker_container *root;
    char *id, *engine_id; /* owned; engine_id NULL: not made yet */
    bool tty, started, over, destroying;
    struct docker_call *step, *output;
    struct fl_timer
        *retry; /* looks for the process, which comes a little after the answer begins */
    uint64_t retry_us;
    struct docker_frames frames;
    pid_t pid;
    int pidfd;
    struct listener *listeners;
    unsigned n_listeners;
    struct held *held;
    size_t n_held;
    bool paused;
    UT_hash_handle hh; /* dz->execs */
};

struct docker_exec *docker_exec_find(struct docker_containerizer *dz, const char *id)
{
    struct docker_exec *x;

    HASH_FIND_STR(dz->execs, id, x);
    return x;
}

static void drop_held(struct docker_exec *x)
{
    struct held *h, *tmp;

    DL_FOREACH_SAFE (x->held, h, tmp) {
        DL_DELETE(x->held, h);
        free(h);
    }
    x->n_held = 0;
}

static void exec_free(struct docker_exec *x)
{
    struct listener *l, *tmp;

    HASH_DEL(x->dz->execs, x);
    fl_loop_forget(x->dz->loop, x);
    fl_timer_free(x->retry);
    docker_cancel(x->step);
    docker_cancel(x->output);
    docker_frames_done(&x->frames);
    drop_held(x);
    DL_FOREACH_SAFE (x->listeners, l, tmp) {
        DL_DELETE(x->listeners, l);
        free(l);
    }
    if (x->pidfd >= 0)
        close(x->pidfd);
    free(x->id);
    free(x->engine_id);
    x->magic = 0;
    free(x);
}

void docker_exec_free_all(struct docker_containerizer *dz)
{
    struct docker_exec *x, *tmp;

    HASH_ITER (hh, dz->execs, x, tmp) {
        exec_free(x);
    }
}

/* ---- the end ---- */

static void end(struct docker_exec *x, enum container_end_reason reason, int exit_code,
                const char *message)
{
    struct docker_containerizer *dz = x->dz;
    const struct container_end e = {.reason = x->destroying ? CONTAINER_DESTROYED : reason,
                                    .has_status = exit_code >= 0,
                                    .status = exit_code >= 0 ? W_EXITCODE(exit_code & 0xff, 0) : 0,
                                    .message = message};
    struct listener *l, *tmp;
    _cleanup_free_ char *id = xstrdup(x->id);

    DL_FOREACH_SAFE (x->listeners, l, tmp) {
        struct container_listener told = l->l;
        DL_DELETE(x->listeners, l);
        free(l);
        told.end(told.arg);
    }
    exec_free(x);
    dz->cb.ended(dz->cb.arg, id, &e);
}

void docker_exec_end_all(struct docker_container *c)
{
    struct docker_exec *x, *tmp;

    HASH_ITER (hh, c->dz->execs, x, tmp) {
        if (x->root == c)
            end(x, CONTAINER_DESTROYED, -1, NULL);
    }
}

static void fail(struct docker_exec *x, const char *message)
{
    end(x, CONTAINER_LAUNCH_FAILED, -1, message);
}

static void signal_it(struct docker_exec *x, int signo)
{
    /* While the pidfd takes signals the number is its own; it leads a session. */
    if (x->pidfd >= 0 && syscall(SYS_pidfd_send_signal, x->pidfd, signo, NULL, 0) == 0)
        kill(-x->pid, signo);
}

void docker_exec_destroy(struct docker_exec *x)
{
    x->destroying = true;
    signal_it(x, SIGKILL);
}

int docker_exec_signal(struct docker_exec *x, int signo, struct fl_err *err)
{
    if (x->pidfd < 0)
        return fl_err_set(err, FL_NOT_FOUND, "no running container '%s' to signal", x->id);
    signal_it(x, signo);
    return 0;
}

int docker_exec_status(struct docker_exec *x, struct fl_arena *arena, V1__ContainerStatus **ret)
{
    V1__ContainerStatus *s = FL_ARENA_NEW(arena, V1__ContainerStatus, v1__container_status);

    s->container_id = container_id_pb(arena, x->id);
    s->has_executor_pid = x->pid > 0;
    s->executor_pid = (uint32_t)x->pid;
    *ret = s;
    return 0;
}

/* ---- output ---- */

static void give(struct docker_exec *x, int fd, const char *p, size_t n)
{
    struct listener *l, *tmp;

    DL_FOREACH_SAFE (x->listeners, l, tmp) {
        if (l->l.output && !l->l.output(l->l.arg, fd, p, n))
            x->paused = true;
    }
}

static void on_output(void *arg, int fd, const char *p, size_t n)
{
    struct docker_exec *x = arg;

    if (fd != 1 && fd != 2)
        return;
    if (x->listeners && !x->paused && !x->held) {
        give(x, fd, p, n);
        return;
    }
    if (x->n_held + n > MAX_HELD)
        return;
    struct held *h = xmalloc(sizeof *h + n);
    *h = (struct held){.fd = fd, .n = n};
    memcpy(h->data, p, n);
    DL_APPEND(x->held, h);
    x->n_held += n;
}

static void release(void *arg)
{
    struct docker_exec *x = FL_CAST(docker_exec, DOCKER_EXEC_MAGIC, arg);

    while (x->held && x->listeners && !x->paused) {
        struct held *h = x->held;
        DL_DELETE(x->held, h);
        x->n_held -= h->n;
        give(x, h->fd, h->data, h->n);
        free(h);
    }
}

int docker_exec_attach(struct docker_exec *x, const struct container_listener *l,
                       struct fl_err *err)
{
    if (x->n_listeners >= MAX_LISTENERS)
        return fl_err_set(err, FL_LIMIT, "too many are attached to container '%s'", x->id);
    struct listener *added = xnew0(struct listener);
    added->l = *l;
    DL_APPEND(x->listeners, added);
    x->n_listeners++;
    x->paused = false;
    fl_loop_defer(x->dz->loop, release, x); /* who attaches is not ready for it yet */
    return 0;
}

void docker_exec_detach(struct docker_exec *x, const void *arg)
{
    struct listener *l, *tmp;

    DL_FOREACH_SAFE (x->listeners, l, tmp) {
        if (l->l.arg == arg) {
            DL_DELETE(x->listeners, l);
            x->n_listeners--;
            free(l);
        }
    }
    docker_exec_resume(x);
}

void docker_exec_resume(struct docker_exec *x)
{
    x->paused = false;
    fl_loop_defer(x->dz->loop, release, x);
}

static void on_data(void *arg, const char *p, size_t n)
{
    struct docker_exec *x = FL_CAST(docker_exec, DOCKER_EXEC_MAGIC, arg);
    struct fl_err err;

    if (x->tty)
        on_output(x, 1, p, n);
    else if (docker_frames_add(&x->frames, p, n, on_output, x, &err) < 0)
        log_warning("Output of container '%s': %s, ignoring", x->id, err.msg);
}

/* ---- running ---- */

static void look(void *arg);

static void look_later(struct docker_exec *x)
{
    x->retry_us = x->retry_us ? FL_MIN(x->retry_us * 2, LATEST_LOOK_US) : FIRST_LOOK_US;
    if (!x->retry)
        x->retry = fl_timer_new(x->dz->loop, look, x);
    fl_timer_set(x->retry, x->retry_us);
}

static void on_over(void *arg, const struct docker_answer *a)
{
    struct docker_exec *x = FL_CAST(docker_exec, DOCKER_EXEC_MAGIC, arg);

    x->output = NULL;
    x->over = true;
    if (a->err && a->status) {
        fail(x, a->err->msg);
        return;
    }
    if (!x->step)
        look(x);
}

static void take_pid(struct docker_exec *x, const json_t *j)
{
    json_int_t pid = json_integer_value(json_object_get(j, "Pid"));

    if (x->pidfd >= 0 || pid <= 0 || pid > INT_MAX)
        return;
    x->pid = (pid_t)pid;
    x->pidfd = (int)syscall(SYS_pidfd_open, x->pid, 0);
    if (x->destroying)
        signal_it(x, SIGKILL);
}

static void on_looked(void *arg, const struct docker_answer *a)
{
    struct docker_exec *x = FL_CAST(docker_exec, DOCKER_EXEC_MAGIC, arg);
    const json_t *code = json_object_get(a->json, "ExitCode");
    bool running = json_is_true(json_object_get(a->json, "Running"));

    x->step = NULL;
    if (a->err) {
        fail(x, a->err->msg);
        return;
    }
    if (running)
        take_pid(x, a->json);
    if (!x->over && x->pidfd < 0 && x->retry_us < LATEST_LOOK_US) {
        look_later(x);
        return;
    }
    if (!x->started) {
        x->started = true;
        x->dz->cb.started(x->dz->cb.arg, x->id, x->pid);
        if (x->over) /* who heard of its start may listen now */
            look_later(x);
        return;
    }
    if (x->over && running)
        look_later(x);
    else if (x->over)
        end(x, CONTAINER_EXITED, json_is_integer(code) ? (int)json_integer_value(code) : -1, NULL);
}

static void look(void *arg)
{
    struct docker_exec *x = FL_CAST(docker_exec, DOCKER_EXEC_MAGIC, arg);
    _cleanup_free_ char *path = xasprintf("/exec/%s/json", x->engine_id);
    const struct docker_request r = {.method = "GET", .path = path, .done = on_looked, .arg = x};

    docker_cancel(TAKE_PTR(x->step));
    docker_ask(x->dz->engine, &r, &x->step);
}

static void on_begun(void *arg)
{
    struct docker_exec *x = FL_CAST(docker_exec, DOCKER_EXEC_MAGIC, arg);

    if (!x->step)
        look(x);
}

static void start(struct docker_exec *x)
{
    _cleanup_free_ char *path = xasprintf("/exec/%s/start", x->engine_id);
    json_t *body = json_pack("{s:b, s:b}", "Detach", 0, "Tty", x->tty);
    const struct docker_request r = {.method = "POST",
                                     .path = path,
                                     .body = body,
                                     .endless = true,
                                     .begun = on_begun,
                                     .data = on_data,
                                     .done = on_over,
                                     .arg = x};

    docker_ask(x->dz->engine, &r, &x->output);
    json_decref(body);
}

static void on_made(void *arg, const struct docker_answer *a)
{
    struct docker_exec *x = FL_CAST(docker_exec, DOCKER_EXEC_MAGIC, arg);
    const char *id = json_string_value(json_object_get(a->json, "Id"));

    x->step = NULL;
    if (x->destroying)
        end(x, CONTAINER_DESTROYED, -1, NULL);
    else if (a->err)
        fail(x, a->err->msg);
    else if (!id || !*id || id[strspn(id, "0123456789abcdef")])
        fail(x, "the Docker Engine made a command without an id");
    else {
        x->engine_id = xstrdup(id);
        start(x);
    }
}

/* ---- the request ---- */

static void put_words(const V1__CommandInfo *c, json_t *body)
{
    if (!c->has_shell || c->shell) {
        docker_append(body, "Cmd", "/bin/sh");
        docker_append(body, "Cmd", "-c");
        docker_append(body, "Cmd", c->value);
        return;
    }
    docker_append(body, "Cmd", c->value);
    /* The first is the name that it is called by, which the engine does not offer. */
    for (size_t i = 1; i < c->n_arguments; i++)
        docker_append(body, "Cmd", c->arguments[i]);
}

static json_t *make_body(const struct docker_exec *x, const struct container_spec *spec)
{
    const V1__Environment *e = spec->command->environment;
    json_t *body =
        json_pack("{s:b, s:b, s:b}", "AttachStdout", 1, "AttachStderr", 1, "Tty", x->tty);

    put_words(spec->command, body);
    for (size_t i = 0; e && i < e->n_variables; i++) {
        const V1__Environment__Variable *v = e->variables[i];
        _cleanup_free_ char *entry = xasprintf("%s=%s", v->name, v->value ? v->value : "");
        docker_append(body, "Env", entry);
    }
    if (spec->user)
        json_object_set_new(body, "User", docker_json_text(spec->user));
    return body;
}

int docker_exec_launch(struct docker_container *c, const struct container_spec *spec,
                       struct fl_err *err)
{
    if (!spec->debug)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "Nested containers are not supported in Docker containers; only commands "
                          "can be run in them");
    if (c->state != DOCKER_RUNNING || c->exited || c->destroying)
        return fl_err_set(err, FL_INVALID, "Parent container %s is in '%s' state", c->id,
                          c->state == DOCKER_STARTING ? "PREPARING" : "DESTROYING");
    if (!spec->command || !spec->command->value)
        return fl_err_set(err, FL_INVALID, "the command has no value, so there is nothing to run");

    struct docker_exec *x = xnew0(struct docker_exec);
    x->magic = DOCKER_EXEC_MAGIC;
    x->dz = c->dz;
    x->root = c;
    x->id = xstrdup(spec->container_id);
    x->pidfd = -EBADF;
    x->tty = spec->container && spec->container->tty_info;
    HASH_ADD_KEYPTR(hh, c->dz->execs, x->id, strlen(x->id), x);

    _cleanup_free_ char *path = docker_path(c, "exec");
    json_t *body = make_body(x, spec);
    const struct docker_request r = {
        .method = "POST", .path = path, .body = body, .done = on_made, .arg = x};
    docker_ask(c->dz->engine, &r, &x->step);
    json_decref(body);
    return 0;
}

void docker_exec_each(struct docker_containerizer *dz, void (*fn)(void *arg, const char *id),
                      void *arg)
{
    for (struct docker_exec *x = dz->execs; x; x = x->hh.next)
        fn(arg, x->id);
}
