/* See session.h. Three requests to one agent: output, which is a stream of records until the container ends; input, a request whose body
 * goes on as long as we have any; and the wait for the exit status. */
#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "common/base/http.h"
#include "common/base/http_v1.h"
#include "common/base/recordio.h"

#define UNSENT_HIGH  ((size_t)256 << 10) /* no more is read of our input above it */
#define LOOK_US      5000 /* until it is looked at again; also for input that cannot be watched: files */
#define BEAT_US      (30 * 1000000ull)
#define A_YEAR_S     (365 * 24 * 3600u)
#define MAX_RECORD   (8u << 20)
#define ESCAPE_FIRST 0x10 /* Ctrl-P */
#define ESCAPE_LAST  0x11 /* Ctrl-Q */

struct session {
    const struct session_config *config;
    struct fl_loop *loop;
    struct http_client *http;
    struct http_call *out, *in, *wait; /* NULL: not asked, or over */
    struct fl_watch *stdin_watch;
    struct fl_timer *look, *beat;
    struct fl_signal *winch;
    struct recordio_reader reader;
    bool escape; /* the first of the two keys came */
    bool out_ended, waited;
    int out_status;        /* of the answer to the output's request */
    struct fl_buf refusal; /* its text, when that is not 200 */
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

static void over_when_all_is(struct session *s)
{
    if (s->out_ended && (s->waited || !s->config->status))
        fl_loop_stop(s->loop);
}

/* ---- requests ---- */

static int start(struct session *s, const void *body, size_t n, bool chunked, bool records,
                 const struct http_call_ops *ops, struct http_call **ret, struct fl_err *err)
{
    struct http_header headers[5];
    size_t k = cli_headers(s->config->cli, "application/x-protobuf", headers);

    if (chunked) {
        headers[0].value = "application/recordio";
        headers[k++] = (struct http_header){"Message-Content-Type", "application/x-protobuf"};
    }
    if (records) {
        headers[1].value = "application/recordio";
        headers[k++] = (struct http_header){"Message-Accept", "application/x-protobuf"};
    }
    _cleanup_free_ char *path = xasprintf("%s/api/v1", s->config->peer->prefix);
    struct http_call_config cfg = {
        .method = "POST",
        .path = path,
        .headers = headers,
        .n_headers = k,
        .body = body,
        .body_len = n,
        .chunked_body = chunked,
        .streaming = records,
        .own_connection = true,
        /* Input and the wait for the end are answered when that comes. */
        .timeout_s = records ? 60 : A_YEAR_S,
    };
    cli_fill_call(s->config->cli, s->config->peer, &cfg);
    return http_client_call(s->http, &cfg, ops, s, ret, err);
}

static int refused(int status, const char *text, size_t n, struct fl_err *err)
{
    return fl_err_set(err, FL_IO, "the agent answered with status %d: %.*s", status,
                      (int)FL_MIN(n, (size_t)300), n ? text : "");
}

/* ---- the end ---- */

static void on_waited(struct http_call *c, const struct http_client_response *r,
                      const struct fl_err *why, void *arg)
{
    struct session *s = arg;
    Aapi__Response *m = NULL;

    s->wait = NULL;
    s->waited = true;
    if (r && r->status == 200)
        m = (Aapi__Response *)protobuf_c_message_unpack(&aapi__response__descriptor, NULL,
                                                        r->body_len, (const uint8_t *)r->body);
    if (m && m->wait_nested_container && m->wait_nested_container->has_exit_status) {
        int st = m->wait_nested_container->exit_status;
        s->status = WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
    } else {
        s->status = CLI_FAILED;
    }
    fl_pb_free(m);
    over_when_all_is(s);
}

static void wait_for_end(struct session *s)
{
    static const struct http_call_ops ops = {.on_done = on_waited};
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__WaitNestedContainer w = AAPI__CALL__WAIT_NESTED_CONTAINER__INIT;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;

    call.has_type = true;
    call.type = AAPI__CALL__TYPE__WAIT_NESTED_CONTAINER;
    call.wait_nested_container = &w;
    w.container_id = (V1__ContainerID *)(uintptr_t)s->config->container;
    fl_buf_pack(&b, &call.base);
    if (start(s, b.data, b.len, false, false, &ops, &s->wait, &err) < 0)
        finish(s, err.code, &err);
}

/* ---- input ---- */

static void send_record(struct session *s, Aapi__Call__AttachContainerInput *a)
{
    Aapi__Call call = AAPI__CALL__INIT;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT, record = FL_BUF_INIT;

    call.has_type = true;
    call.type = AAPI__CALL__TYPE__ATTACH_CONTAINER_INPUT;
    call.attach_container_input = a;
    fl_buf_pack(&b, &call.base);
    recordio_add(&record, b.data, b.len);
    if (s->in)
        http_call_write(s->in, record.data, record.len);
}

static void send_io(struct session *s, Aapi__ProcessIO *io)
{
    Aapi__Call__AttachContainerInput a = AAPI__CALL__ATTACH_CONTAINER_INPUT__INIT;

    a.has_type = io->has_type = true;
    a.type = AAPI__CALL__ATTACH_CONTAINER_INPUT__TYPE__PROCESS_IO;
    a.process_io = io;
    send_record(s, &a);
}

static void send_data(struct session *s, const char *p, size_t n)
{
    Aapi__ProcessIO io = AAPI__PROCESS_IO__INIT;
    Aapi__ProcessIO__Data d = AAPI__PROCESS_IO__DATA__INIT;

    d.has_type = d.has_data = true;
    d.type = AAPI__PROCESS_IO__DATA__TYPE__STDIN;
    d.data.data = (uint8_t *)(uintptr_t)p;
    d.data.len = n;
    io.type = AAPI__PROCESS_IO__TYPE__DATA;
    io.data = &d;
    send_io(s, &io);
}

static void send_window(void *arg)
{
    struct session *s = arg;
    Aapi__ProcessIO io = AAPI__PROCESS_IO__INIT;
    Aapi__ProcessIO__Control control = AAPI__PROCESS_IO__CONTROL__INIT;
    V1__TTYInfo tty = V1__TTYINFO__INIT;
    V1__TTYInfo__WindowSize size = V1__TTYINFO__WINDOW_SIZE__INIT;

    if (!terminal_size(&size.rows, &size.columns))
        return;
    tty.window_size = &size;
    control.has_type = true;
    control.type = AAPI__PROCESS_IO__CONTROL__TYPE__TTY_INFO;
    control.tty_info = &tty;
    io.type = AAPI__PROCESS_IO__TYPE__CONTROL;
    io.control = &control;
    send_io(s, &io);
}

/* So that nobody in between takes the connection for dead. */
static void send_beat(void *arg)
{
    struct session *s = arg;
    Aapi__ProcessIO io = AAPI__PROCESS_IO__INIT;
    Aapi__ProcessIO__Control control = AAPI__PROCESS_IO__CONTROL__INIT;
    Aapi__ProcessIO__Control__Heartbeat beat = AAPI__PROCESS_IO__CONTROL__HEARTBEAT__INIT;
    V1__DurationInfo interval = V1__DURATION_INFO__INIT;

    interval.nanoseconds = (int64_t)(BEAT_US * 1000);
    beat.interval = &interval;
    control.has_type = true;
    control.type = AAPI__PROCESS_IO__CONTROL__TYPE__HEARTBEAT;
    control.heartbeat = &beat;
    io.type = AAPI__PROCESS_IO__TYPE__CONTROL;
    io.control = &control;
    send_io(s, &io);
    fl_timer_set(s->beat, BEAT_US);
}

static void stop_reading(struct session *s)
{
    fl_watch_free(s->stdin_watch);
    s->stdin_watch = NULL;
    if (s->look)
        fl_timer_stop(s->look);
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

static void read_on(void *arg)
{
    struct session *s = arg;
    struct fl_err err;

    if (http_call_unsent(s->in) > UNSENT_HIGH)
        fl_timer_set(s->look, LOOK_US);
    else if (!can_be_watched(STDIN_FILENO))
        on_stdin(STDIN_FILENO, true, false, s);
    else if (!s->stdin_watch && fl_watch_new(s->loop, STDIN_FILENO, true, false, on_stdin, s,
                                             &s->stdin_watch, &err) < 0)
        finish(s, err.code, &err);
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
    if (n > 0) {
        send_data(s, buf, (size_t)n);
        if (!s->in || (s->stdin_watch && http_call_unsent(s->in) <= UNSENT_HIGH))
            return;
        stop_reading(s);
        fl_timer_set(s->look, http_call_unsent(s->in) > UNSENT_HIGH ? LOOK_US : 0);
        return;
    }
    stop_reading(s);
    send_data(s, "", 0);
    if (s->in)
        http_call_end_body(s->in);
}

static void on_input_done(struct http_call *c, const struct http_client_response *r,
                          const struct fl_err *why, void *arg)
{
    struct session *s = arg;
    struct fl_err err;

    s->in = NULL;
    stop_reading(s);
    if (s->beat)
        fl_timer_stop(s->beat);
    /* That it ended is told by the output. */
    if (r && r->status != 200 && !s->out_ended) {
        refused(r->status, r->body, r->body_len, &err);
        finish(s, err.code, &err);
    }
}

static int start_input(struct session *s, struct fl_err *err)
{
    static const struct http_call_ops ops = {.on_done = on_input_done};
    Aapi__Call__AttachContainerInput a = AAPI__CALL__ATTACH_CONTAINER_INPUT__INIT;
    int r = start(s, NULL, 0, true, false, &ops, &s->in, err);

    if (r < 0)
        return r;
    a.has_type = true;
    a.type = AAPI__CALL__ATTACH_CONTAINER_INPUT__TYPE__CONTAINER_ID;
    a.container_id = (V1__ContainerID *)(uintptr_t)s->config->container;
    send_record(s, &a);
    s->look = fl_timer_new(s->loop, read_on, s);
    s->beat = fl_timer_new(s->loop, send_beat, s);
    fl_timer_set(s->beat, BEAT_US);
    if (s->config->tty) {
        r = fl_signal_new(s->loop, SIGWINCH, send_window, s, &s->winch, err);
        if (r == 0)
            r = terminal_raw(err);
        if (r < 0)
            return r;
        send_window(s);
    }
    read_on(s);
    return 0;
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

static int on_record(void *arg, const char *record, size_t n, struct fl_err *err)
{
    Aapi__ProcessIO *io = (Aapi__ProcessIO *)protobuf_c_message_unpack(
        &aapi__process_io__descriptor, NULL, n, (const uint8_t *)record);

    if (!io)
        return fl_err_set(err, FL_INVALID, "the agent sent a record that is no output");
    if (io->data && io->data->has_data)
        write_all(io->data->type == AAPI__PROCESS_IO__DATA__TYPE__STDERR ? STDERR_FILENO
                                                                         : STDOUT_FILENO,
                  io->data->data.data, io->data->data.len);
    fl_pb_free(io);
    return 0;
}

static void on_output_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct session *s = arg;
    struct fl_err err;

    s->out_status = r->status;
    if (r->status != 200)
        return;
    if (s->config->status)
        wait_for_end(s);
    if (s->config->input && start_input(s, &err) < 0)
        finish(s, err.code, &err);
}

static void on_output_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    struct session *s = arg;
    struct fl_err err;

    if (s->out_status != 200)
        fl_buf_add(&s->refusal, p, n);
    else if (recordio_feed(&s->reader, p, n, on_record, s, &err) < 0)
        finish(s, err.code, &err);
}

static void on_output_done(struct http_call *c, const struct http_client_response *r,
                           const struct fl_err *why, void *arg)
{
    struct session *s = arg;
    struct fl_err err;

    s->out = NULL;
    s->out_ended = true;
    if (!r) {
        finish(s, why->code, why);
    } else if (r->status != 200) {
        refused(r->status, s->refusal.data, s->refusal.len, &err);
        finish(s, err.code, &err);
    } else {
        over_when_all_is(s);
    }
}

static int start_output(struct session *s, struct fl_err *err)
{
    static const struct http_call_ops ops = {
        .on_headers = on_output_headers, .on_data = on_output_data, .on_done = on_output_done};
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_pack(&b, &s->config->call->base);
    return start(s, b.data, b.len, false, true, &ops, &s->out, err);
}

static void session_done(struct session *s)
{
    terminal_restore();
    stop_reading(s);
    fl_timer_free(s->look);
    fl_timer_free(s->beat);
    fl_signal_free(s->winch);
    recordio_reader_done(&s->reader);
    fl_buf_done(&s->refusal);
    if (s->http)
        http_client_free(s->http);
    fl_loop_free(s->loop);
}

int session_run(const struct session_config *config, int *ret_status, struct fl_err *err)
{
    struct session s = {.config = config};
    int r = fl_loop_new(&s.loop, err);

    recordio_reader_init(&s.reader, MAX_RECORD);
    if (r == 0) {
        s.http = http_client_new(s.loop);
        r = start_output(&s, err);
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
