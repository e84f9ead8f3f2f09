/* One connection of the server, on its I/O side: its beginning, its time, its end (what is read is in
 * http_parse.c, what is answered in http_answer.c). A connection dies once (`dead`), the memory goes with the loop's deferred jobs,
 * so every function may be called from below a callback of the parser or the stream. */
#include <errno.h>
#include <stdio.h>

#include "common/base/http_priv.h"

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
    c->magic = 0;
    free(c);
}

/* The owner hears of it unless the answer is complete. */
static void drop_exchange(struct http_conn *c, struct http_exchange *ex)
{
    cast_leave(ex);
    ex->conn = NULL;
    if (ex->side)
        side_gone(ex);
    else if (ex->dispatched && !ex->out_end)
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
    conn_forget_decode(c);
    lane_end(io, TAKE_PTR(c->lane));
    fl_loop_defer(io->loop, destroy, c);
    io_check_idle(io);
}

void conn_finish(struct http_conn *c)
{
    if (c->dead || c->closing)
        return;
    c->closing = true;
    c->deadline_us = 0; /* the stream has its own */
    fl_stream_close_after_write(c->stream);
}

/* ---- requests ---- */

void conn_dispatch(struct http_conn *c, struct http_exchange *ex)
{
    HTTP_COUNT(c->io->stats.requests, 1);
    ex->dispatched = true;
    ex->read_us = c->now_us;
    owner_send(c->io, msg_inside(&ex->request_msg, MSG_REQUEST, ex));
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
    m->content_type = xstrdup(HTTP_TEXT);
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

/* A client that takes its answers slowly, but takes them, is not idle. */
static void on_progress(struct fl_stream *s, void *arg)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, arg);
    if (c->dead)
        return;
    if (!c->first)
        c->deadline_us = in_seconds(c, limits(c)->idle_timeout_s);
    conn_sent(c);
}

/* A client that only shut down its sending half (HTTP/1.0 habits, nc) still gets whole answers; a
 * stream's reader that sends end of file is taken as gone. */
static bool serve_after_eof(struct http_conn *c)
{
    if (!c->first || c->reading)
        return false;
    for (struct http_exchange *ex = c->first; ex; ex = ex->next)
        if (ex->chunked_out || ex->raw_out || ex->side)
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
    .on_drained = on_progress,
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
    c->lane = lane_new();
    fl_snprintf(c->peer, sizeof c->peer, "%s", fl_stream_peer(c->stream));
    fl_snprintf(c->local, sizeof c->local, "%s", fl_stream_local(c->stream));
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
    if (!c->first)
        return true; /* it asks nothing, or does not take what it got */
    /* While a whole request waits for our answer, or a stream runs, the delay is ours. */
    return c->reading && !c->blocked && (!c->reading->out_started || !c->reading->body_done);
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
