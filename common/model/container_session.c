/* See container_session.h. */
#include "common/model/container_session.h"

#include "common/base/recordio.h"

#define SESSION_MAGIC   0x5e551001
#define BEAT_US         (30 * 1000000ull)
#define A_YEAR_S        (365 * 24 * 3600u)
#define DEFAULT_BEGIN_S 60
#define MAX_RECORD      (8u << 20)
#define MAX_REFUSAL     4096

struct container_session {
    unsigned magic;
    struct fl_loop *loop;     /* borrowed */
    struct http_client *http; /* owned */
    char *host, *path;        /* owned */
    uint16_t port;
    struct fl_tls *tls;                                    /* borrowed */
    struct http_header headers[CONTAINER_SESSION_HEADERS]; /* owned texts */
    size_t n_headers;
    V1__ContainerID *container; /* owned */
    bool wants_input, wants_status;
    unsigned begin_s, silent_s, exit_s;
    const struct container_session_ops *ops;
    void *arg;
    struct http_call *out, *in, *wait; /* borrowed; NULL: not asked, or over */
    struct fl_timer *beat, *patience;  /* owned; patience: for the exit status */
    struct recordio_reader reader;
    bool out_ended, waited;
    bool over, dead;       /* ended() was called; freed */
    int out_status;        /* of the answer to the output's request */
    struct fl_buf refusal; /* owned; its text, when that is not 200 */
    int wait_status;
};

static void free_memory(void *arg)
{
    struct container_session *s = arg;

    recordio_reader_done(&s->reader);
    fl_buf_done(&s->refusal);
    s->magic = 0;
    free(s);
}

void container_session_free(struct container_session *s)
{
    if (!s || s->dead)
        return;
    s->dead = s->over = true;
    http_client_free(s->http);
    s->out = s->in = s->wait = NULL;
    fl_timer_free(s->beat);
    fl_timer_free(s->patience);
    for (size_t i = 0; i < s->n_headers; i++) {
        free((char *)(uintptr_t)s->headers[i].name);
        free((char *)(uintptr_t)s->headers[i].value);
    }
    fl_pb_free(s->container);
    free(s->host);
    free(s->path);
    fl_loop_defer(s->loop, free_memory, s); /* records may be on the stack */
}

static void end(struct container_session *s, const struct fl_err *err)
{
    if (s->over)
        return;
    s->over = true;
    s->ops->ended(s, s->wait_status, err, s->arg);
}

static void end_when_all_is(struct container_session *s)
{
    if (s->out_ended && (s->waited || !s->wants_status))
        end(s, NULL);
    else if (s->out_ended && s->exit_s)
        fl_timer_set(s->patience, s->exit_s * 1000000ull);
}

static void on_impatient(void *arg)
{
    end(FL_CAST(container_session, SESSION_MAGIC, arg), NULL);
}

/* ---- requests ---- */

enum kind { CALL, OUTPUT, INPUT };

static int start(struct container_session *s, enum kind kind, const struct fl_buf *body,
                 const struct http_call_ops *ops, struct http_call **ret, struct fl_err *err)
{
    static const char protobuf[] = "application/x-protobuf", records[] = "application/recordio";
    struct http_header headers[3 + CONTAINER_SESSION_HEADERS] = {
        {"Content-Type", kind == INPUT ? records : protobuf},
        {"Accept", kind == OUTPUT ? records : protobuf},
    };
    size_t n = 2;

    if (kind != CALL)
        headers[n++] = (struct http_header){
            kind == INPUT ? "Message-Content-Type" : "Message-Accept", protobuf};
    for (size_t i = 0; i < s->n_headers; i++)
        headers[n++] = s->headers[i];
    const struct http_call_config config = {
        .method = "POST",
        .host = s->host,
        .port = s->port,
        .tls = s->tls,
        .path = s->path,
        .headers = headers,
        .n_headers = n,
        .body = body ? body->data : NULL,
        .body_len = body ? body->len : 0,
        .chunked_body = kind == INPUT,
        .streaming = kind == OUTPUT,
        .own_connection = true,
        /* Input and the wait for the end are answered when that comes. */
        .timeout_s = kind == OUTPUT ? s->begin_s : A_YEAR_S,
        .idle_timeout_s = s->silent_s,
    };
    return http_client_call(s->http, &config, ops, s, ret, err);
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
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);
    Aapi__Response *m = NULL;

    s->wait = NULL;
    s->waited = true;
    if (r && r->status == 200)
        m = (Aapi__Response *)protobuf_c_message_unpack(&aapi__response__descriptor, NULL,
                                                        r->body_len, (const uint8_t *)r->body);
    if (m && m->wait_nested_container && m->wait_nested_container->has_exit_status)
        s->wait_status = m->wait_nested_container->exit_status;
    fl_pb_free(m);
    end_when_all_is(s);
}

static int wait_for_end(struct container_session *s, struct fl_err *err)
{
    static const struct http_call_ops ops = {.on_done = on_waited};
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__WaitNestedContainer w = AAPI__CALL__WAIT_NESTED_CONTAINER__INIT;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    call.has_type = true;
    call.type = AAPI__CALL__TYPE__WAIT_NESTED_CONTAINER;
    call.wait_nested_container = &w;
    w.container_id = s->container;
    fl_buf_pack(&b, &call.base);
    return start(s, CALL, &b, &ops, &s->wait, err);
}

/* ---- input ---- */

static void send_record(struct container_session *s, Aapi__Call__AttachContainerInput *a)
{
    Aapi__Call call = AAPI__CALL__INIT;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT, record = FL_BUF_INIT;

    if (!s->in)
        return;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__ATTACH_CONTAINER_INPUT;
    call.attach_container_input = a;
    fl_buf_pack(&b, &call.base);
    recordio_add(&record, b.data, b.len);
    http_call_write(s->in, record.data, record.len);
}

static void send_io(struct container_session *s, Aapi__ProcessIO *io)
{
    Aapi__Call__AttachContainerInput a = AAPI__CALL__ATTACH_CONTAINER_INPUT__INIT;

    a.has_type = io->has_type = true;
    a.type = AAPI__CALL__ATTACH_CONTAINER_INPUT__TYPE__PROCESS_IO;
    a.process_io = io;
    send_record(s, &a);
}

static void send_control(struct container_session *s, Aapi__ProcessIO__Control *control,
                         Aapi__ProcessIO__Control__Type type)
{
    Aapi__ProcessIO io = AAPI__PROCESS_IO__INIT;

    control->has_type = true;
    control->type = type;
    io.type = AAPI__PROCESS_IO__TYPE__CONTROL;
    io.control = control;
    send_io(s, &io);
}

void container_session_input(struct container_session *s, const void *p, size_t n)
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
    if (n == 0 && s->in)
        http_call_end_body(s->in);
}

void container_session_window(struct container_session *s, unsigned rows, unsigned columns)
{
    Aapi__ProcessIO__Control control = AAPI__PROCESS_IO__CONTROL__INIT;
    V1__TTYInfo tty = V1__TTYINFO__INIT;
    V1__TTYInfo__WindowSize size = V1__TTYINFO__WINDOW_SIZE__INIT;

    size.rows = rows;
    size.columns = columns;
    tty.window_size = &size;
    control.tty_info = &tty;
    send_control(s, &control, AAPI__PROCESS_IO__CONTROL__TYPE__TTY_INFO);
}

/* So that nobody in between takes the connection for dead. */
static void send_beat(void *arg)
{
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);
    Aapi__ProcessIO__Control control = AAPI__PROCESS_IO__CONTROL__INIT;
    Aapi__ProcessIO__Control__Heartbeat beat = AAPI__PROCESS_IO__CONTROL__HEARTBEAT__INIT;
    V1__DurationInfo interval = V1__DURATION_INFO__INIT;

    interval.nanoseconds = (int64_t)(BEAT_US * 1000);
    beat.interval = &interval;
    control.heartbeat = &beat;
    send_control(s, &control, AAPI__PROCESS_IO__CONTROL__TYPE__HEARTBEAT);
    fl_timer_set(s->beat, BEAT_US);
}

static void on_input_sent(struct http_call *c, void *arg)
{
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);

    s->ops->input_room(s, s->arg);
}

static void on_input_done(struct http_call *c, const struct http_client_response *r,
                          const struct fl_err *why, void *arg)
{
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);
    struct fl_err err;

    s->in = NULL;
    fl_timer_stop(s->beat);
    if (s->ops->input_over)
        s->ops->input_over(s, s->arg);
    /* That it ended is told by the output. */
    if (r && r->status != 200 && !s->out_ended) {
        refused(r->status, r->body, r->body_len, &err);
        end(s, &err);
    }
}

static int start_input(struct container_session *s, struct fl_err *err)
{
    static const struct http_call_ops ops = {.on_done = on_input_done, .on_sent = on_input_sent};
    Aapi__Call__AttachContainerInput a = AAPI__CALL__ATTACH_CONTAINER_INPUT__INIT;
    int r = start(s, INPUT, NULL, &ops, &s->in, err);

    if (r < 0)
        return r;
    a.has_type = true;
    a.type = AAPI__CALL__ATTACH_CONTAINER_INPUT__TYPE__CONTAINER_ID;
    a.container_id = s->container;
    send_record(s, &a);
    fl_timer_set(s->beat, BEAT_US);
    return 0;
}

size_t container_session_unsent(const struct container_session *s)
{
    return s->in ? http_call_unsent(s->in) : 0;
}

/* ---- output ---- */

static int on_record(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);
    Aapi__ProcessIO *io = (Aapi__ProcessIO *)protobuf_c_message_unpack(
        &aapi__process_io__descriptor, NULL, n, (const uint8_t *)record);

    if (!io && !s->over)
        return fl_err_set(err, FL_INVALID, "the agent sent a record that is no output");
    if (!s->over && io->data && io->data->has_data && io->data->data.len > 0)
        s->ops->output(s, io->data->type == AAPI__PROCESS_IO__DATA__TYPE__STDERR,
                       io->data->data.data, io->data->data.len, s->arg);
    fl_pb_free(io);
    return 0;
}

static void on_output_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);
    struct fl_err err;
    int rc = 0;

    s->out_status = r->status;
    if (r->status != 200)
        return;
    if (s->wants_status)
        rc = wait_for_end(s, &err);
    if (rc == 0 && s->wants_input)
        rc = start_input(s, &err);
    if (rc < 0)
        end(s, &err);
    else
        s->ops->started(s, s->arg);
}

static void on_output_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);
    struct fl_err err;

    if (s->out_status != 200)
        fl_buf_add(&s->refusal, p, FL_MIN(n, MAX_REFUSAL - FL_MIN(s->refusal.len, MAX_REFUSAL)));
    else if (recordio_feed(&s->reader, p, n, on_record, s, &err) < 0)
        end(s, &err);
}

static void on_output_done(struct http_call *c, const struct http_client_response *r,
                           const struct fl_err *why, void *arg)
{
    struct container_session *s = FL_CAST(container_session, SESSION_MAGIC, arg);
    struct fl_err err;

    s->out = NULL;
    s->out_ended = true;
    if (!r) {
        end(s, why);
    } else if (r->status != 200) {
        refused(r->status, s->refusal.data, s->refusal.len, &err);
        end(s, &err);
    } else {
        end_when_all_is(s);
    }
}

void container_session_pause(struct container_session *s, bool pause)
{
    if (s->out)
        http_call_pause(s->out, pause);
}

/* ---- life ---- */

static V1__ContainerID *copy_of(const V1__ContainerID *id)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_pack(&b, &id->base);
    return (V1__ContainerID *)protobuf_c_message_unpack(&v1__container_id__descriptor, NULL, b.len,
                                                        (const uint8_t *)b.data);
}

int container_session_new(struct fl_loop *loop, const struct container_session_config *config,
                          const struct container_session_ops *ops, void *arg,
                          struct container_session **ret, struct fl_err *err)
{
    static const struct http_call_ops output_ops = {
        .on_headers = on_output_headers, .on_data = on_output_data, .on_done = on_output_done};
    struct container_session *s = xnew0(struct container_session);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    s->magic = SESSION_MAGIC;
    s->loop = loop;
    s->http = http_client_new(loop);
    s->host = xstrdup(config->host);
    s->path = xasprintf("%s/api/v1", config->prefix ? config->prefix : "");
    s->port = config->port;
    s->tls = config->tls;
    assert(config->n_headers <= CONTAINER_SESSION_HEADERS);
    for (size_t i = 0; i < config->n_headers; i++)
        s->headers[s->n_headers++] = (struct http_header){xstrdup(config->headers[i].name),
                                                          xstrdup(config->headers[i].value)};
    s->container = copy_of(config->container);
    s->wants_input = config->input;
    s->wants_status = config->status;
    s->begin_s = config->begin_timeout_s ? config->begin_timeout_s : DEFAULT_BEGIN_S;
    s->silent_s = config->silent_s;
    s->exit_s = config->exit_timeout_s;
    s->patience = fl_timer_new(loop, on_impatient, s);
    s->ops = ops;
    s->arg = arg;
    s->wait_status = -1;
    s->beat = fl_timer_new(loop, send_beat, s);
    recordio_reader_init(&s->reader, MAX_RECORD);
    fl_buf_pack(&b, &config->call->base);
    int r = start(s, OUTPUT, &b, &output_ops, &s->out, err);
    if (r < 0)
        container_session_free(s);
    else
        *ret = s;
    return r;
}
