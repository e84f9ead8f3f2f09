/* One connection of the server, on its I/O side: its requests in order, their answers in the same
 * order, its end. A connection dies once (`dead`), the memory goes with the loop's deferred jobs,
 * so every function may be called from below a callback of the parser or the stream. */
#include <errno.h>
#include <stdio.h>

#include "common/base/http_priv.h"

#define BODY_AHEAD_MAX (FL_LOOP_SCRATCH * 4)
/* Connections over the limit are still told 503, but not without limit. */
#define REFUSE_MAX 256

static uint64_t in_seconds(struct http_conn *c, unsigned s)
{
    return fl_loop_now_us(c->io->loop) + s * 1000000ull;
}

static const struct http_limits *limits(const struct http_conn *c)
{
    return &c->io->server->config.limits;
}

static void destroy(void *arg)
{
    struct http_conn *c = arg;
    free(c->peer);
    free(c->local);
    c->magic = 0;
    free(c);
}

/* The owner hears of it unless the answer is complete. */
static void drop_exchange(struct http_conn *c, struct http_exchange *ex)
{
    ex->conn = NULL;
    if (ex->dispatched && !ex->out_end)
        owner_send(c->io, msg_new(MSG_GONE, ex));
    exchange_unref(ex);
}

void conn_close(struct http_conn *c)
{
    struct http_io *io = c->io;
    if (c->dead)
        return;
    c->dead = true;
    fl_stream_free(TAKE_PTR(c->stream));
    if (c->prev)
        c->prev->next = c->next;
    else
        io->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    io->n_conns--;
    atomic_fetch_sub(&io->server->open_connections, 1);
    c->reading = NULL;
    for (struct http_exchange *ex = c->first; ex;) {
        struct http_exchange *next = ex->next;
        drop_exchange(c, ex);
        ex = next;
    }
    c->first = NULL;
    fl_loop_defer(io->loop, destroy, c);
    io_check_idle(io);
}

/* Nothing more is read; what is queued leaves, then the connection ends. */
static void finish(struct http_conn *c)
{
    if (c->dead || c->closing)
        return;
    c->closing = true;
    c->deadline_us = 0; /* the stream has its own */
    fl_stream_close_after_write(c->stream);
}

/* ---- answers ---- */

static void put(struct http_exchange *ex, const void *p, size_t n)
{
    struct http_conn *c = ex->conn;
    HTTP_COUNT(c->io->stats.bytes_out, n);
    if (c->first == ex)
        fl_stream_write(c->stream, p, n);
    else
        fl_buf_add(&ex->out, p, n);
}

static void put_buf(struct http_exchange *ex, struct fl_buf *b)
{
    struct http_conn *c = ex->conn;
    HTTP_COUNT(c->io->stats.bytes_out, b->len);
    if (c->first == ex) {
        fl_stream_write_buf(c->stream, b);
    } else if (ex->out.len == 0) {
        fl_buf_done(&ex->out);
        ex->out = *b;
        *b = (struct fl_buf)FL_BUF_INIT;
    } else {
        fl_buf_add(&ex->out, b->data, b->len);
    }
}

static bool must_block(const struct http_conn *c)
{
    const struct http_exchange *r = c->reading;
    if (c->n_pending >= limits(c)->max_pipelined)
        return true;
    if (r && atomic_load(&((struct http_exchange *)r)->body_ahead) > BODY_AHEAD_MAX)
        return true;
    for (const struct http_exchange *ex = c->first; ex; ex = ex->next)
        if (ex->wants_upgrade)
            return true;
    return false;
}

static void unblock(struct http_conn *c)
{
    if (!c->blocked || c->dead || c->closing || must_block(c))
        return;
    c->blocked = false;
    fl_stream_pause_read(c->stream, false); /* conn_pump() follows when bytes wait */
}

static void pop(struct http_conn *c)
{
    struct http_exchange *ex = c->first;
    c->first = ex->next;
    if (!c->first)
        c->last = &c->first;
    c->n_pending--;
    ex->conn = NULL;
    exchange_unref(ex);
}

static void send_continue(struct http_exchange *ex)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (ex->continue_due && !ex->out_started)
        put(ex, text, sizeof text - 1);
    ex->continue_due = false;
}

static void switch_protocol(struct http_exchange *ex, struct http_msg *m);

/* Sends what has its turn now. */
void conn_advance(struct http_conn *c)
{
    while (!c->dead && !c->closing && c->first) {
        struct http_exchange *ex = c->first;
        if (ex->out.len > 0) {
            fl_stream_write_buf(c->stream, &ex->out);
            atomic_store(&ex->unsent, fl_stream_unsent(c->stream));
        }
        send_continue(ex);
        if (ex->upgrade) {
            _cleanup_(msg_freep) struct http_msg *m = TAKE_PTR(ex->upgrade);
            switch_protocol(ex, m);
            return;
        }
        if (!ex->out_end)
            break;
        if (!ex->keep_alive) {
            finish(c); /* even when the body is not all here: the client hears why */
            return;
        }
        if (!ex->body_done)
            break;
        pop(c);
    }
    if (c->dead || c->closing)
        return;
    if (!c->first && (c->eof || c->io->draining)) {
        finish(c);
        return;
    }
    if (!c->first)
        c->deadline_us = in_seconds(c, limits(c)->idle_timeout_s);
    unblock(c);
}

static void start_answer(struct http_exchange *ex, struct http_head *h)
{
    _cleanup_buf_ struct fl_buf head = FL_BUF_INIT;
    struct http_io *io = ex->conn->io;
    if (io->draining || ex->conn->eof)
        ex->keep_alive = false;
    if (h->status >= 500)
        HTTP_COUNT(io->stats.responses_5xx, 1);
    ex->out_started = true;
    response_head(io, ex, h, &head);
    put(ex, head.data, head.len);
}

static void whole_answer(struct http_exchange *ex, struct http_msg *m)
{
    struct http_conn *c = ex->conn;
    size_t gzip_min = limits(c)->gzip_min;
    struct http_head h = {
        .status = m->status, .content_type = m->content_type, .headers = &m->headers};
    if (ex->accepts_gzip && gzip_min && m->body.len >= gzip_min) {
        _cleanup_buf_ struct fl_buf packed = FL_BUF_INIT;
        if (response_gzip(c->io, &m->body, &packed)) {
            fl_buf_done(&m->body);
            m->body = packed;
            packed = (struct fl_buf)FL_BUF_INIT;
            h.gzip = true;
        }
    }
    h.content_length = m->body.len;
    start_answer(ex, &h);
    if (!ex->head_only && m->body.len > 0)
        put_buf(ex, &m->body);
    ex->out_end = true;
    ex->wants_upgrade = false;
    conn_advance(c);
}

static void stream_head(struct http_exchange *ex, struct http_msg *m)
{
    struct http_conn *c = ex->conn;
    ex->chunked_out = !ex->http10;
    ex->raw_out = ex->http10;
    if (ex->http10)
        ex->keep_alive = false;
    if (c->eof) {
        conn_close(c); /* nobody would read it */
        return;
    }
    start_answer(ex, &(struct http_head){.status = m->status,
                                         .content_type = m->content_type,
                                         .headers = &m->headers,
                                         .chunked = ex->chunked_out,
                                         .raw = ex->raw_out});
    ex->wants_upgrade = false;
}

static size_t unsent_of(struct http_exchange *ex)
{
    struct http_conn *c = ex->conn;
    return c->first == ex ? fl_stream_unsent(c->stream) : ex->out.len;
}

/* Size line, data and line end go into one buffer, so that they leave in one piece. */
static void stream_data(struct http_exchange *ex, struct http_msg *m)
{
    char line[20];
    size_t n = m->body.len;
    if (ex->head_only || n == 0)
        return;
    if (ex->raw_out) {
        put_buf(ex, &m->body);
    } else if (n < 4096) {
        size_t len = chunk_line(line, n);
        char piece[4096 + sizeof line + 2];
        memcpy(piece, line, len);
        memcpy(piece + len, m->body.data, n);
        memcpy(piece + len + n, "\r\n", 2);
        put(ex, piece, len + n + 2);
    } else {
        put(ex, line, chunk_line(line, n));
        fl_buf_add(&m->body, "\r\n", 2);
        put_buf(ex, &m->body);
    }
    size_t unsent = unsent_of(ex);
    atomic_store(&ex->unsent, unsent);
    if (unsent > limits(ex->conn)->max_unsent) {
        HTTP_COUNT(ex->conn->io->stats.overrun_closed, 1);
        conn_close(ex->conn);
    }
}

static void stream_end(struct http_exchange *ex)
{
    if (ex->chunked_out && !ex->head_only)
        put(ex, "0\r\n\r\n", 5);
    ex->out_end = true;
    conn_advance(ex->conn);
}

static void tell_drained(struct http_exchange *ex)
{
    if (!ex->want_drained || unsent_of(ex) > 0)
        return;
    ex->want_drained = false;
    owner_send(ex->conn->io, msg_new(MSG_DRAINED, ex));
}

static void switch_protocol(struct http_exchange *ex, struct http_msg *m)
{
    struct http_conn *c = ex->conn;
    start_answer(ex, &(struct http_head){.status = 101, .headers = &m->headers});
    struct fl_stream *s = TAKE_PTR(c->stream);
    exchange_ref(ex);
    pop(c);
    fl_stream_set_idle_timeout(s, 0);
    fl_stream_move(s, m->loop, m->taken, m->arg);
    exchange_unref(ex);
    conn_close(c);
}

static void apply(struct http_exchange *ex, struct http_msg *m)
{
    switch (m->kind) {
    case MSG_ANSWER:
        whole_answer(ex, m);
        break;
    case MSG_STREAM_HEAD:
        stream_head(ex, m);
        break;
    case MSG_STREAM_DATA:
        stream_data(ex, m);
        break;
    case MSG_STREAM_END:
        stream_end(ex);
        break;
    case MSG_ABORT:
        conn_close(ex->conn);
        break;
    case MSG_WANT_DRAINED:
        ex->want_drained = true;
        tell_drained(ex);
        break;
    case MSG_BODY_TAKEN:
        unblock(ex->conn);
        break;
    case MSG_UPGRADE:
        ex->upgrade = m;
        exchange_unref(TAKE_PTR(m->ex)); /* or the exchange would hold itself */
        conn_advance(ex->conn);
        return;
    default:
        assert(!"a message of the other side");
    }
    msg_free(m);
}

void conn_apply(struct http_msg *m)
{
    struct http_exchange *ex = m->ex;
    if (m->kind == MSG_STREAM_DATA)
        atomic_fetch_sub(&ex->posted, m->n);
    if (ex->conn && !ex->conn->dead && !ex->conn->closing)
        apply(ex, m);
    else
        msg_free(m);
}

/* ---- requests ---- */

void conn_dispatch(struct http_conn *c, struct http_exchange *ex)
{
    HTTP_COUNT(c->io->stats.requests, 1);
    ex->dispatched = true;
    owner_send(c->io, msg_new(MSG_REQUEST, ex));
}

/* An answer of our own, to what never became a request, and the end of the connection. */
void conn_refuse(struct http_conn *c, int status, const char *text)
{
    struct http_exchange *ex = c->reading ? c->reading : exchange_new(c);
    c->reading = NULL;
    c->last_request = true;
    if (ex->dispatched || ex->out_started) {
        conn_close(c); /* a body that breaks after its request was handed on */
        return;
    }
    ex->keep_alive = false;
    ex->body_done = true;
    ex->continue_due = false;
    struct http_msg *m = msg_new(MSG_ANSWER, ex);
    m->status = status;
    m->content_type = xstrdup("text/plain");
    fl_buf_adds(&m->body, text);
    conn_apply(m);
}

/* ---- the stream ---- */

static void on_read(struct fl_stream *s, void *arg)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, arg);
    if (c->dead || c->closing)
        return;
    conn_pump(c);
}

static void on_progress(struct fl_stream *s, void *arg)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, arg);
    if (!c->dead && c->first)
        atomic_store(&c->first->unsent, unsent_of(c->first));
}

static void on_drained(struct fl_stream *s, void *arg)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, arg);
    on_progress(s, arg);
    if (!c->dead && c->first)
        tell_drained(c->first);
}

/* A client that only shut down its sending half (HTTP/1.0 habits, nc) still gets whole answers; a
 * stream's reader that sends end of file is taken as gone. */
static bool serve_after_eof(struct http_conn *c)
{
    if (!c->first || c->reading)
        return false;
    for (struct http_exchange *ex = c->first; ex; ex = ex->next)
        if (ex->chunked_out || ex->raw_out)
            return false;
    return true;
}

static void on_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, arg);
    if (c->dead)
        return;
    if (why->reason == FL_CLOSED && !c->eof && !c->closing && serve_after_eof(c)) {
        c->eof = true;
        c->last_request = true;
        c->deadline_us = 0;
        return;
    }
    conn_close(c);
}

static const struct fl_stream_ops ops = {
    .on_read = on_read,
    .on_drained = on_drained,
    .on_progress = on_progress,
    .on_closed = on_closed,
};

static bool over_limit(struct http_io *io)
{
    unsigned max = io->server->config.limits.max_connections;
    return max && atomic_load(&io->server->open_connections) > max;
}

void conn_accept(struct http_io *io, int fd)
{
    struct fl_err err;
    unsigned open = atomic_fetch_add(&io->server->open_connections, 1) + 1;
    unsigned max = io->server->config.limits.max_connections;
    struct http_conn *c = xnew0(struct http_conn);
    if (io->draining || (max && open > max + REFUSE_MAX) ||
        fl_stream_adopt(io->loop, fd, io->server->config.tls, &ops, c, &c->stream, &err) < 0) {
        HTTP_COUNT(io->stats.refused_connections, 1);
        atomic_fetch_sub(&io->server->open_connections, 1);
        close(fd);
        free(c);
        return;
    }
    c->magic = CONN_MAGIC;
    c->io = io;
    c->last = &c->first;
    c->peer = xstrdup(fl_stream_peer(c->stream));
    c->local = xstrdup(fl_stream_local(c->stream));
    c->next = io->conns;
    if (c->next)
        c->next->prev = c;
    io->conns = c;
    io->n_conns++;
    conn_parser_init(c);
    /* A new connection has the time of a header to say something. */
    c->deadline_us = in_seconds(c, limits(c)->header_timeout_s);
    HTTP_COUNT(io->stats.connections, 1);
    if (over_limit(io)) {
        HTTP_COUNT(io->stats.refused_connections, 1);
        conn_refuse(c, 503, "Too many connections.\n");
    }
}

/* ---- time and the end ---- */

static bool waits_for_peer(const struct http_conn *c)
{
    /* While a whole request waits for our answer, or a stream runs, the delay is ours. */
    if (c->blocked)
        return false;
    return c->reading ? !c->reading->out_started || !c->reading->body_done : !c->first;
}

void conn_sweep(struct http_io *io)
{
    uint64_t now = fl_loop_now_us(io->loop);
    for (struct http_conn *c = io->conns, *next; c; c = next) {
        next = c->next;
        if (!c->deadline_us || now < c->deadline_us || c->closing || !waits_for_peer(c))
            continue;
        if (c->reading) {
            HTTP_COUNT(io->stats.slow_closed, 1);
            conn_refuse(c, 408, "The request took too long to arrive.\n");
        } else {
            conn_close(c);
        }
    }
}

void conn_drain(struct http_io *io)
{
    io->draining = true;
    fl_listener_free(TAKE_PTR(io->listener));
    for (struct http_conn *c = io->conns, *next; c; c = next) {
        next = c->next;
        if (!c->first)
            conn_close(c);
    }
    io_check_idle(io);
}
