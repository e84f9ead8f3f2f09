/* See session.h: our terminal on one side, a session of the agent (common/model/container_session.h) on the other. */
#include "cli/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "common/model/container_session.h"

#define UNSENT_HIGH  ((size_t)256 << 10) /* no more is read of our input above it */
#define ESCAPE_FIRST 0x10                /* Ctrl-P */
#define ESCAPE_LAST  0x11                /* Ctrl-Q */

struct session {
    const struct session_config *config;
    struct fl_loop *loop;
    struct container_session *remote; /* owned */
    struct fl_watch *stdin_watch;
    struct fl_timer *again; /* for input that cannot be watched: files */
    struct fl_signal *winch;
    bool escape;     /* the first of the two keys came */
    bool input_over; /* ours ended, or the container takes none */
    int status;
    int result;
    struct fl_err err;
};

static void finish(struct session *s, int result, const struct fl_err *err)
{
    if (result < 0 && s->result == 0) {
        s->result = result;
        s->err = *err;
    }
    fl_loop_stop(s->loop);
}

/* ---- input ---- */

static void send_window(void *arg)
{
    struct session *s = arg;
    unsigned rows, columns;

    if (terminal_size(&rows, &columns))
        container_session_window(s->remote, rows, columns);
}

static void stop_reading(struct session *s)
{
    fl_watch_free(s->stdin_watch);
    s->stdin_watch = NULL;
    if (s->again)
        fl_timer_stop(s->again);
}

/* True when the user asked to leave; the keys of the sequence are not passed on. */
static bool leaves(struct session *s, const char *p, ssize_t n)
{
    for (ssize_t i = 0; s->config->detaches && i < n; i++) {
        if (s->escape && p[i] == ESCAPE_LAST)
            return true;
        s->escape = p[i] == ESCAPE_FIRST;
    }
    return false;
}

static void on_stdin(int fd, bool readable, bool writable, void *arg);

/* Files and /dev/null are always readable, which the kernel does not watch for. */
static bool can_be_watched(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && (!S_ISCHR(st.st_mode) || isatty(fd));
}

static void read_on(struct session *s)
{
    struct fl_err err;

    if (s->input_over || s->stdin_watch)
        return;
    if (!can_be_watched(STDIN_FILENO))
        fl_timer_set(s->again, 0);
    else if (fl_watch_new(s->loop, STDIN_FILENO, true, false, on_stdin, s, &s->stdin_watch, &err) <
             0)
        finish(s, err.code, &err);
}

static void read_file(void *arg)
{
    on_stdin(STDIN_FILENO, true, false, arg);
}

static void on_stdin(int fd, bool readable, bool writable, void *arg)
{
    struct session *s = arg;
    char buf[32 << 10];
    ssize_t n = read(fd, buf, sizeof(buf));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0 && leaves(s, buf, n)) {
        fl_loop_stop(s->loop);
        return;
    }
    if (n <= 0) {
        s->input_over = true;
        stop_reading(s);
        container_session_input(s->remote, "", 0);
        return;
    }
    container_session_input(s->remote, buf, (size_t)n);
    if (container_session_unsent(s->remote) > UNSENT_HIGH)
        stop_reading(s); /* on_input_room() goes on */
    else
        read_on(s);
}

static void on_input_room(struct container_session *remote, void *arg)
{
    read_on(arg);
}

static void on_input_over(struct container_session *remote, void *arg)
{
    struct session *s = arg;

    s->input_over = true;
    stop_reading(s);
}

/* ---- output ---- */

static void write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno != EINTR)
            return; /* nobody reads it */
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
}

static void on_output(struct container_session *remote, bool is_stderr, const void *p, size_t n,
                      void *arg)
{
    write_all(is_stderr ? STDERR_FILENO : STDOUT_FILENO, p, n);
}

/* ---- beginning and end ---- */

static int take_terminal(struct session *s, struct fl_err *err)
{
    int r = fl_signal_new(s->loop, SIGWINCH, send_window, s, &s->winch, err);

    if (r == 0)
        r = terminal_raw(err);
    if (r == 0)
        send_window(s);
    return r;
}

static void on_started(struct container_session *remote, void *arg)
{
    struct session *s = arg;
    struct fl_err err;

    if (!s->config->input)
        return;
    if (s->config->tty && take_terminal(s, &err) < 0)
        finish(s, err.code, &err);
    else
        read_on(s);
}

static void on_ended(struct container_session *remote, int wait_status, const struct fl_err *err,
                     void *arg)
{
    struct session *s = arg;

    if (s->config->status && wait_status >= 0)
        s->status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
    else if (s->config->status)
        s->status = CLI_FAILED;
    finish(s, err ? err->code : 0, err);
}

static int open_remote(struct session *s, struct fl_err *err)
{
    static const struct container_session_ops ops = {.started = on_started,
                                                     .output = on_output,
                                                     .input_room = on_input_room,
                                                     .input_over = on_input_over,
                                                     .ended = on_ended};
    const struct session_config *c = s->config;
    struct http_header headers[3];
    size_t n = cli_headers(c->cli, "", headers);
    struct http_call_config where = {0};

    cli_fill_call(c->cli, c->peer, &where);
    const struct container_session_config config = {.host = where.host,
                                                    .port = where.port,
                                                    .tls = where.tls,
                                                    .prefix = c->peer->prefix,
                                                    .headers = headers + 2,
                                                    .n_headers = n - 2,
                                                    .call = c->call,
                                                    .container = c->container,
                                                    .input = c->input,
                                                    .status = c->status};
    return container_session_new(s->loop, &config, &ops, s, &s->remote, err);
}

static void session_done(struct session *s)
{
    terminal_restore();
    stop_reading(s);
    fl_timer_free(s->again);
    fl_signal_free(s->winch);
    container_session_free(s->remote);
    fl_loop_free(s->loop);
}

int session_run(const struct session_config *config, int *ret_status, struct fl_err *err)
{
    struct session s = {.config = config};
    int r = fl_loop_new(&s.loop, err);

    if (r == 0) {
        s.again = fl_timer_new(s.loop, read_file, &s);
        r = open_remote(&s, err);
    }
    if (r == 0) {
        fl_loop_run(s.loop);
        r = s.result;
        if (r < 0)
            *err = s.err;
    }
    *ret_status = s.status;
    session_done(&s);
    return r;
}

static V1__ContainerID *from_json(const json_t *j, struct fl_arena *arena)
{
    if (!json_is_object(j))
        return NULL;
    V1__ContainerID *id = fl_arena_alloc(arena, sizeof(*id));
    v1__container_id__init(id);
    id->value = fl_arena_strdup(arena, jstr(j, "value"));
    id->parent = from_json(json_object_get(j, "parent"), arena);
    return id;
}

V1__ContainerID *session_container(const struct task_place *p, struct fl_arena *arena)
{
    return from_json(p->container, arena);
}
