/* Answers on the I/O side: each has its turn in the order of requests; until then its bytes wait in its exchange. */
#include <stdio.h>

#include "common/base/http_priv.h"

#define BODY_AHEAD_MAX (FL_LOOP_SCRATCH * 4)
/* Bytes of answers on a connection over which its next request waits. */
#define CLOGGED (1024 * 1024)
/* Chunks below this are put together on the stack. */
#define SMALL_CHUNK 4096

static const struct http_limits *limits(const struct http_conn *c)
{
    return &c->io->server->config.limits;
}

void conn_put(struct http_exchange *ex, const void *p, size_t n)
{
    struct http_conn *c = ex->conn;
    HTTP_COUNT(c->io->stats.bytes_out, n);
    if (c->first == ex) {
        fl_stream_write(c->stream, p, n);
    } else {
        c->queued += n;
        fl_buf_add(&ex->out, p, n);
    }
}

static void put_buf(struct http_exchange *ex, struct fl_buf *b)
{
    struct http_conn *c = ex->conn;
    HTTP_COUNT(c->io->stats.bytes_out, b->len);
    if (c->first == ex) {
        fl_stream_write_buf(c->stream, b);
        return;
    }
    c->queued += b->len;
    if (ex->out.len == 0) {
        fl_buf_done(&ex->out);
        ex->out = *b;
        *b = (struct fl_buf)FL_BUF_INIT;
    } else {
        fl_buf_add(&ex->out, b->data, b->len);
    }
}

/* The body of an answer, so nothing follows it. */
static void put_region(struct http_exchange *ex, struct fl_region *r)
{
    struct http_conn *c = ex->conn;
    HTTP_COUNT(c->io->stats.bytes_out, fl_region_len(r));
    if (c->first == ex) {
        fl_stream_write_region(c->stream, r);
        return;
    }
    c->queued += fl_region_len(r);
    assert(!ex->out_region);
    ex->out_region = fl_region_ref(r);
}

/* Answers that nobody takes: then no further request is read. */
static bool clogged(const struct http_conn *c)
{
    return fl_stream_unsent(c->stream) + c->queued > CLOGGED;
}

/* As many requests, or bytes of them, as may wait for their answers. */
static bool full(const struct http_conn *c)
{
    return c->n_pending >= limits(c)->max_pipelined || c->ahead > limits(c)->max_ahead ||
           clogged(c);
}

static bool must_block(const struct http_conn *c)
{
    const struct http_exchange *r = c->reading;
    if (c->decoding || full(c))
        return true;
    if (r && atomic_load(&((struct http_exchange *)r)->body_ahead) > BODY_AHEAD_MAX)
        return true;
    if (r && !r->out_end && (r->side ? r->side_holds : r->dispatched && r->route->side_body))
        return true;
    for (const struct http_exchange *ex = c->first; ex; ex = ex->next)
        if (ex->wants_upgrade)
            return true;
    return false;
}

void conn_unblock(struct http_conn *c)
{
    if (!c->blocked || c->dead || c->closing || must_block(c))
        return;
    c->blocked = false;
    fl_stream_pause_read(c->stream, false); /* conn_pump() follows when bytes wait */
}

void conn_block_if_full(struct http_conn *c)
{
    if (!full(c))
        return;
    c->blocked = true;
    HTTP_COUNT(c->io->stats.reads_paused, 1);
}

static void pop(struct http_conn *c)
{
    struct http_exchange *ex = c->first;
    c->first = ex->next;
    if (!c->first)
        c->last = &c->first;
    c->n_pending--;
    c->ahead -= ex->counted;
    cast_leave(ex);
    ex->conn = NULL;
    exchange_unref(ex);
}

static void send_continue(struct http_exchange *ex)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (ex->continue_due && !ex->out_started)
        conn_put(ex, text, sizeof text - 1);
    ex->continue_due = false;
}

static void switch_protocol(struct http_exchange *ex, struct http_msg *m);

static void put_waiting_region(struct http_conn *c, struct http_exchange *ex)
{
    _cleanup_(fl_region_unrefp) struct fl_region *r = TAKE_PTR(ex->out_region);
    if (!r)
        return;
    c->queued -= fl_region_len(r);
    fl_stream_write_region(c->stream, r);
}

/* Sends what has its turn now. */
void conn_advance(struct http_conn *c)
{
    while (!c->dead && !c->closing && c->first) {
        struct http_exchange *ex = c->first;
        if (ex->out.len > 0) {
            c->queued -= ex->out.len;
            fl_stream_write_buf(c->stream, &ex->out);
            atomic_store(&ex->unsent, fl_stream_unsent(c->stream));
        }
        put_waiting_region(c, ex);
        if (ex->cast)
            cast_feed(ex);
        send_continue(ex);
        if (ex->upgrade && !ex->body_done)
            break;
        if (ex->upgrade) {
            _cleanup_(msg_freep) struct http_msg *m = TAKE_PTR(ex->upgrade);
            switch_protocol(ex, m);
            return;
        }
        if (!ex->out_end)
            break;
        if (!ex->keep_alive) {
            conn_finish(c); /* even when the body is not all here: the client hears why */
            return;
        }
        if (!ex->body_done)
            break;
        pop(c);
    }
    if (c->dead || c->closing)
        return;
    if (!c->first && (c->eof || c->io->draining)) {
        conn_finish(c);
        return;
    }
    if (!c->first)
        c->deadline_us = fl_loop_now_us(c->io->loop) + limits(c)->idle_timeout_s * 1000000ull;
    conn_unblock(c);
}

void conn_head(struct http_exchange *ex, struct http_head *h)
{
    struct http_io *io = ex->conn->io;
    if (io->draining || ex->conn->eof)
        ex->keep_alive = false;
    if (h->status >= 500)
        HTTP_COUNT(io->stats.responses_5xx, 1);
    ex->out_started = true;
    const struct fl_buf *head = response_head(io, ex, h);
    conn_put(ex, head->data, head->len);
}

void conn_overrun(struct http_exchange *ex)
{
    HTTP_COUNT(ex->conn->io->stats.overrun_closed, 1);
    atomic_store(&ex->overran, true);
    conn_close(ex->conn);
}

static void whole_answer(struct http_exchange *ex, struct http_msg *m)
{
    struct http_conn *c = ex->conn;
    size_t gzip_min = limits(c)->gzip_min;
    if (fl_stream_unsent(c->stream) + c->queued > limits(c)->max_unsent) {
        ex->out_end = true; /* the owner is done with it: no notice */
        conn_overrun(ex);
        return;
    }
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
    h.content_length = m->region ? fl_region_len(m->region) : m->body.len;
    h.gzip |= m->gzipped;
    conn_head(ex, &h);
    if (!ex->head_only && m->region)
        put_region(ex, m->region);
    else if (!ex->head_only && m->body.len > 0)
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
    conn_head(ex, &(struct http_head){.status = m->status,
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

/* One chunk, never copied unless answers before it have to leave first. */
static void stream_region(struct http_exchange *ex, struct fl_region *r)
{
    char line[20];
    size_t n = fl_region_len(r);
    if (ex->head_only || n == 0)
        return;
    ex->unsent_more += n;
    if (ex->chunked_out)
        conn_put(ex, line, chunk_line(line, n));
    if (ex->conn->first == ex) {
        HTTP_COUNT(ex->conn->io->stats.bytes_out, n);
        fl_stream_write_region(ex->conn->stream, r);
    } else {
        conn_put(ex, fl_region_data(r), n);
    }
    if (ex->chunked_out)
        conn_put(ex, "\r\n", 2);
    atomic_store(&ex->unsent, unsent_of(ex));
}

/* Size line, data and line end go into one buffer, so that they leave in one piece. */
static void stream_data(struct http_exchange *ex, struct http_msg *m)
{
    char line[20];
    size_t n = m->body.len;
    if (ex->head_only || n == 0)
        return;
    if (ex->raw_out || m->framed) {
        put_buf(ex, &m->body);
    } else if (n < SMALL_CHUNK) {
        size_t len = chunk_line(line, n);
        char piece[SMALL_CHUNK + sizeof line + 2];
        memcpy(piece, line, len);
        memcpy(piece + len, m->body.data, n);
        memcpy(piece + len + n, "\r\n", 2);
        conn_put(ex, piece, len + n + 2);
    } else {
        _cleanup_buf_ struct fl_buf piece = FL_BUF_INIT;
        fl_buf_reserve(&piece, n + sizeof line + 2);
        fl_buf_add(&piece, line, chunk_line(line, n));
        fl_buf_add(&piece, m->body.data, n);
        fl_buf_add(&piece, "\r\n", 2);
        put_buf(ex, &piece);
    }
    atomic_store(&ex->unsent, unsent_of(ex));
    if (unsent_of(ex) > ex->max_unsent + ex->unsent_more)
        conn_overrun(ex);
}

static void stream_end(struct http_exchange *ex)
{
    if (ex->cast)
        cast_settle(ex);
    cast_leave(ex);
    if (ex->chunked_out && !ex->head_only)
        conn_put(ex, "0\r\n\r\n", 5);
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

void conn_sent(struct http_conn *c)
{
    if (c->first) {
        if (c->first->cast)
            cast_feed(c->first);
        atomic_store(&c->first->unsent, unsent_of(c->first));
        tell_drained(c->first);
        side_sent(c->first);
        if (c->dead)
            return;
    }
    conn_unblock(c);
}

static void switch_protocol(struct http_exchange *ex, struct http_msg *m)
{
    struct http_conn *c = ex->conn;
    conn_head(ex, &(struct http_head){.status = 101, .headers = &m->headers});
    struct fl_stream *s = TAKE_PTR(c->stream);
    exchange_ref(ex);
    pop(c);
    fl_stream_set_idle_timeout(s, 0);
    assert(!c->io->server->own_files || !m->loop || m->loop == c->io->loop);
    m->never = NULL;
    fl_stream_move(s, m->loop ? m->loop : c->io->loop, m->taken, m->arg);
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
        if (ex->cast)
            cast_settle(ex);
        if (m->region)
            stream_region(ex, m->region);
        else
            stream_data(ex, m);
        break;
    case MSG_STREAM_END_CLOSE:
        ex->keep_alive = false;
        /* fall through */
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
    case MSG_SIDE:
        if (ex->conn->eof)
            conn_close(ex->conn); /* nobody would read it */
        else
            side_begin(ex, m);
        break;
    case MSG_BODY_TAKEN:
        conn_unblock(ex->conn);
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
