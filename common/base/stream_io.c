/* Reading and writing of streams. Bytes are read into the loop's scratch buffer and shown from
 * there; only what the owner leaves is copied, so an idle connection holds no buffer. Writes are
 * collected and flushed when the current callback has returned. */
#include "common/base/stream_priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>

#include "common/base/loop_priv.h"

/* Collected output this long is sent at once, so that the kernel works while we produce more. */
#define FLUSH_NOW (128 * 1024)
/* What one connection may send before others of its loop have their turn: a reader as fast as we are would keep the loop for as long as
 * its answer is. */
#define TURN_MAX (1024 * 1024)
/* What is read from a peer that no longer lets us write, to see its last words. */
#define LAST_WORDS (1024 * 1024)

enum io_result { IO_OK, IO_AGAIN, IO_EOF, IO_FAILED };

static enum io_result tls_result(struct fl_stream *s, enum fl_tls_need need)
{
    switch (need) {
    case FL_TLS_OK:
        return IO_OK;
    case FL_TLS_NEED_WRITE:
        stream_await_write(s);
        return IO_AGAIN;
    case FL_TLS_NEED_READ:
        return IO_AGAIN;
    case FL_TLS_EOF:
        return IO_EOF;
    case FL_TLS_FAILED:
        break;
    }
    return IO_FAILED;
}

static enum io_result read_some(struct fl_stream *s, char *p, size_t n, size_t *ret_n,
                                struct fl_err *err)
{
    *ret_n = 0;
    if (s->tls_conn)
        return tls_result(s, fl_tls_read(s->tls_conn, p, n, ret_n, err));
    ssize_t got;
    do
        got = recv(s->fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        *ret_n = (size_t)got;
        return IO_OK;
    }
    if (got == 0)
        return IO_EOF;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return IO_AGAIN;
    fl_err_errno(err, errno, "read from %s", fl_stream_peer(s));
    return IO_FAILED;
}

static void show(struct fl_stream *s, const char *p, size_t n)
{
    if (s->in.len > s->in_off) {
        fl_buf_add(&s->in, p, n);
    } else {
        fl_buf_clear(&s->in);
        s->in_off = 0;
        s->view = p;
        s->view_len = n;
    }
    s->ops->on_read(s, s->arg);
    if (s->view && s->view_len > 0 && !s->dead)
        fl_buf_add(&s->in, s->view, s->view_len);
    s->view = NULL;
    s->view_len = 0;
    if (s->in.len == s->in_off) {
        fl_buf_done(&s->in);
        s->in = (struct fl_buf)FL_BUF_INIT;
        s->in_off = 0;
    }
}

static void handshake(struct fl_stream *s)
{
    struct fl_err err = {0};
    switch (tls_result(s, fl_tls_handshake(s->tls_conn, &err))) {
    case IO_OK:
        s->state = STREAM_OPEN;
        if (s->paused)
            event_del(&s->rd);
        if (s->outgoing && s->ops->on_connected)
            s->ops->on_connected(s, s->arg);
        if (!s->dead && s->state == STREAM_OPEN && stream_unsent(s) > 0)
            stream_flush(s);
        /* Bytes that came with the end of the handshake are in the session, not in the socket. */
        if (!s->dead && s->state == STREAM_OPEN && !s->paused)
            event_active(&s->rd, EV_READ, 1);
        break;
    case IO_EOF:
        fl_err_set(&err, FL_CLOSED, "the peer %s closed during the TLS handshake",
                   fl_stream_peer(s));
        /* fall through */
    case IO_FAILED:
        s->broken = true;
        stream_fail(s, &err);
        break;
    case IO_AGAIN:
        break;
    }
}

static void over(struct fl_stream *s, enum io_result r, struct fl_err *err)
{
    event_del(&s->rd);
    if (r == IO_EOF) {
        s->eof = true;
        if (s->closing && !s->lingering && stream_unsent(s) > 0)
            return; /* the flush ends it */
        fl_err_set(err, FL_CLOSED, "%s closed the connection", fl_stream_peer(s));
    } else {
        s->broken = true;
    }
    stream_fail(s, err);
}

void stream_read_ready(struct fl_stream *s, bool kicked)
{
    struct fl_err err = {0};
    size_t n;
    if (s->state == STREAM_HANDSHAKE) {
        handshake(s);
        return;
    }
    if (s->paused && !s->closing) {
        event_del(&s->rd); /* fl_stream_pause_read() left it */
        return;
    }
    if (s->moving)
        return;
    char *scratch = fl_loop_scratch(s->loop);
    enum io_result r = read_some(s, scratch, FL_LOOP_SCRATCH, &n, &err);
    if (r == IO_EOF || r == IO_FAILED) {
        over(s, r, &err);
        return;
    }
    if (s->closing)
        return; /* lingering: thrown away */
    if (r == IO_OK) {
        s->last_read_us = fl_loop_now_us(s->loop);
        show(s, scratch, n);
        /* A TLS session may hold more than it gave, about which the socket says nothing. */
        if (s->tls_conn && !s->dead && s->have_events && !s->paused && s->state == STREAM_OPEN)
            event_active(&s->rd, EV_READ, 1);
    } else if (s->in.len > s->in_off) {
        show(s, NULL, 0);
    }
    if (!s->dead && s->tls_write_wants_read && s->state == STREAM_OPEN)
        stream_flush(s);
}

const char *fl_stream_peek(struct fl_stream *s, size_t *ret_len)
{
    if (s->view) {
        *ret_len = s->view_len;
        return s->view;
    }
    *ret_len = s->in.len - s->in_off;
    return s->in.data ? s->in.data + s->in_off : "";
}

void fl_stream_consume(struct fl_stream *s, size_t n)
{
    if (s->view) {
        assert(n <= s->view_len);
        s->view += n;
        s->view_len -= n;
        return;
    }
    assert(n <= s->in.len - s->in_off);
    s->in_off += n;
    if (s->in_off == s->in.len) {
        fl_buf_clear(&s->in);
        s->in_off = 0;
    } else if (s->in_off > 64 * 1024 && s->in_off > s->in.len / 2) {
        fl_buf_drain(&s->in, s->in_off);
        s->in_off = 0;
    }
}

void fl_stream_pause_read(struct fl_stream *s, bool pause)
{
    if (s->paused == pause || s->dead)
        return;
    s->paused = pause;
    /* Nothing is done for a pause until something has come: most are over before, and cost no system call then. */
    if (s->state != STREAM_OPEN || s->closing || s->moving || pause)
        return;
    event_add(&s->rd, NULL);
    if (s->in.len > s->in_off || s->tls_conn)
        event_active(&s->rd, EV_READ, 1);
}

/* ---- writing ---- */

static enum io_result write_tls(struct fl_stream *s, struct fl_err *err)
{
    size_t sent = 0;
    s->tls_write_wants_read = false;
    while (stream_unsent(s) > 0) {
        size_t done;
        if (sent > TURN_MAX)
            return IO_AGAIN;
        size_t n = evbuffer_get_contiguous_space(s->out);
        /* Small pieces are joined, so that a head and its body share a TLS record. */
        size_t want = FL_MIN(stream_unsent(s), (size_t)16384);
        n = FL_MAX(n, want);
        const void *p = evbuffer_pullup(s->out, (ev_ssize_t)FL_MIN(n, want));
        enum fl_tls_need need = fl_tls_write(s->tls_conn, p, FL_MIN(n, want), &done, err);
        s->tls_write_wants_read = need == FL_TLS_NEED_READ;
        enum io_result r = tls_result(s, need);
        if (r != IO_OK)
            return r;
        evbuffer_drain(s->out, done);
        sent += done;
    }
    return IO_OK;
}

static enum io_result write_plain(struct fl_stream *s, struct fl_err *err)
{
    size_t sent = 0;
    while (stream_unsent(s) > 0) {
        size_t before = stream_unsent(s);
        if (sent >= TURN_MAX)
            return IO_AGAIN;
        int n = evbuffer_write_atmost(s->out, s->fd, TURN_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return IO_AGAIN;
        if (n < 0) {
            fl_err_errno(err, errno, "write to %s", fl_stream_peer(s));
            return IO_FAILED;
        }
        /* A short write means a full socket buffer, unless the call was bounded by its vector
         * count. */
        if ((size_t)n < before && before < FLUSH_NOW)
            return IO_AGAIN;
        sent += (size_t)n;
    }
    return IO_OK;
}

static enum io_result write_some(struct fl_stream *s, struct fl_err *err)
{
    enum io_result r = s->tls_conn ? write_tls(s, err) : write_plain(s, err);
    if (r == IO_AGAIN && !s->tls_write_wants_read)
        stream_await_write(s);
    return r;
}

/* A peer that refuses before it has read all (413 and close) must still be heard. */
static void hear_last_words(struct fl_stream *s)
{
    struct fl_err err;
    size_t n, total = 0;
    char *scratch = fl_loop_scratch(s->loop);
    while (!s->dead && !s->eof && !s->closing && s->state == STREAM_OPEN && total < LAST_WORDS &&
           read_some(s, scratch, FL_LOOP_SCRATCH, &n, &err) == IO_OK) {
        total += n;
        show(s, scratch, n);
    }
}

void stream_flush(struct fl_stream *s)
{
    struct fl_err err = {0};
    if (s->state == STREAM_HANDSHAKE) {
        handshake(s);
        return;
    }
    if (s->dead || s->broken || s->fd < 0 || s->state == STREAM_CONNECTING || s->moving)
        return;
    size_t before = stream_unsent(s);
    bool offered = s->offered;
    s->offered = false;
    if (before == 0 && offered)
        stream_flushed(s);
    if (before == 0)
        return;
    switch (write_some(s, &err)) {
    case IO_OK:
        stream_flushed(s);
        break;
    case IO_AGAIN:
        if (stream_unsent(s) < before && s->ops->on_progress && s->state == STREAM_OPEN)
            s->ops->on_progress(s, s->arg);
        break;
    case IO_EOF:
        fl_err_set(&err, FL_CLOSED, "%s closed the connection", fl_stream_peer(s));
        /* fall through */
    case IO_FAILED:
        hear_last_words(s);
        s->broken = true;
        if (s->state == STREAM_OVER && !s->dead)
            evbuffer_drain(s->out, stream_unsent(s)); /* end of file was told before */
        else
            stream_fail(s, &err);
        break;
    }
}

static void flush_job(void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    s->flush_pending = false;
    if (!s->dead && s->have_events && !stream_awaits_write(s))
        stream_flush(s);
}

static void wrote(struct fl_stream *s)
{
    if (s->fd < 0 || s->moving || s->state == STREAM_CONNECTING || s->state == STREAM_HANDSHAKE ||
        stream_awaits_write(s))
        return;
    if (!s->tls_conn && stream_unsent(s) >= FLUSH_NOW) {
        struct fl_err err;
        write_plain(s, &err); /* failures show again in the job */
    }
    if (!s->flush_pending) {
        s->flush_pending = true;
        fl_loop_defer(s->loop, flush_job, s);
    }
}

void fl_stream_write(struct fl_stream *s, const void *p, size_t n)
{
    if (n == 0 || s->broken || s->dead || s->lingering)
        return;
    evbuffer_add(stream_out(s), p, n);
    wrote(s);
}

/* What the kernel takes at once; 0 when it must wait or fail in the usual way. */
static size_t write_through(struct fl_stream *s, const struct iovec *v, int n)
{
    ssize_t sent;

    if (s->tls_conn || s->fd < 0 || s->state != STREAM_OPEN || s->moving || stream_unsent(s) > 0)
        return 0;
    do
        sent = writev(s->fd, v, n);
    while (sent < 0 && errno == EINTR);
    return sent > 0 ? (size_t)sent : 0;
}

void fl_stream_writev(struct fl_stream *s, const struct iovec *v, int n)
{
    if (s->broken || s->dead || s->lingering)
        return;
    size_t sent = write_through(s, v, n);
    for (int i = 0; i < n; i++) {
        size_t skip = FL_MIN(sent, v[i].iov_len);
        sent -= skip;
        fl_stream_write(s, (const char *)v[i].iov_base + skip, v[i].iov_len - skip);
    }
}

size_t fl_stream_offer(struct fl_stream *s, const struct iovec *v, int n)
{
    size_t sum = 0, sent;

    for (int i = 0; i < n; i++)
        sum += v[i].iov_len;
    if (s->broken || s->dead || s->lingering || s->offered)
        return 0;
    if (s->tls_conn || s->fd < 0 || s->state != STREAM_OPEN || s->moving) {
        fl_stream_writev(s, v, n);
        return sum;
    }
    sent = write_through(s, v, n);
    if (sent == sum)
        return sum;
    if (sent == 0 && errno != EAGAIN) {
        fl_stream_writev(s, v, n); /* fails again in the usual way */
        return sum;
    }
    s->offered = true;
    stream_await_write(s);
    return sent;
}

static void free_memory(const void *data, size_t n, void *extra)
{
    free(extra);
}

void fl_stream_write_buf(struct fl_stream *s, struct fl_buf *b)
{
    /* Below this a copy is cheaper than a chain link with memory of its own. */
    const size_t copy_below = 4096;
    if (b->len > 0 && b->len < copy_below) {
        fl_stream_write(s, b->data, b->len);
    } else if (b->len > 0 && !s->broken && !s->dead && !s->lingering) {
        evbuffer_add_reference(stream_out(s), b->data, b->len, free_memory, b->data);
        *b = (struct fl_buf)FL_BUF_INIT;
        wrote(s);
    }
    fl_buf_done(b);
    *b = (struct fl_buf)FL_BUF_INIT;
}

static void unref_region(const void *data, size_t n, void *extra)
{
    fl_region_unref(extra);
}

void fl_stream_write_region(struct fl_stream *s, struct fl_region *r)
{
    if (fl_region_len(r) == 0 || s->broken || s->dead || s->lingering)
        return;
    if (evbuffer_add_reference(stream_out(s), fl_region_data(r), fl_region_len(r), unref_region,
                               fl_region_ref(r)) < 0)
        abort(); /* out of memory, as in xmalloc() */
    wrote(s);
}

size_t fl_stream_unsent(const struct fl_stream *s)
{
    return stream_unsent(s);
}
