/* What is written to streaming answers, on the owner's side. Each write is a chunk of its own, framed here; the chunks of one stream
 * that are written while one callback runs are gathered in one message, so that they cost one hand-over, one buffer and one
 * system call. Records are encoded straight into it: the lines before them, whose lengths are not known yet, get a gap
 * that is closed afterwards. */
#include <stdio.h>

#include "common/base/http_priv.h"

/* Over this a message is sent as it is, and the next chunk begins another. */
#define GATHER_MAX (256 * 1024)
/* The longest a chunk's and a record's length lines can be: 16 digits and CR LF, 20 digits and LF. */
#define GAP (16 + 2 + 20 + 1)
/* Longer buffers are handed over instead of copied. */
#define COPY_MAX (16 * 1024)

static struct http_exchange *of_stream(struct http_stream *st)
{
    return FL_CAST(http_exchange, EXCHANGE_MAGIC, st);
}

/* No more is sent; on_gone comes from the I/O side. */
static void cut(struct http_exchange *ex)
{
    ex->gone = true;
    ex->gather = NULL;
    atomic_store(&ex->overran, true);
    io_send(ex->io, msg_new(MSG_ABORT, ex));
}

/* A message may grow until its side hands over what it has gathered. */
static struct http_msg *growing(struct http_exchange *ex)
{
    struct http_msg *m = ex->gather;
    bool open = m && ex->gather_turn == ex->io->to_io_turn && m->body.len < GATHER_MAX;

    return open ? m : NULL;
}

size_t http_frame_begin(struct fl_buf *b)
{
    size_t from = b->len;

    fl_buf_reserve(b, GAP + 256);
    b->len += GAP;
    return from;
}

struct fl_buf *http_stream_begin(struct http_stream *st)
{
    struct http_exchange *ex = of_stream(st);

    if (ex->gone || !ex->server)
        return NULL;
    if (ex->cast_owner)
        http_cast_flush(ex->cast_owner);
    struct http_msg *m = growing(ex);
    ex->gather_new = !m;
    if (!m) {
        m = msg_new(MSG_STREAM_DATA, ex);
        m->framed = true;
        ex->gather = m;
    }
    ex->gather_at = http_frame_begin(&m->body);
    return &m->body;
}

static size_t record_line(char out[21], size_t n)
{
    char rev[20];
    size_t len = 0, at = 0;

    do
        rev[len++] = (char)('0' + n % 10);
    while (n /= 10);
    while (len > 0)
        out[at++] = rev[--len];
    out[at++] = '\n';
    return at;
}

/* Puts the lines before what was written and closes the gap. */
void http_frame_end(struct fl_buf *b, size_t from, bool record, bool chunked)
{
    char line[21], head[GAP];
    size_t n = b->len - from - GAP;
    size_t line_len = record ? record_line(line, n) : 0;
    size_t head_len = chunked ? chunk_line(head, line_len + n) : 0;

    memcpy(head + head_len, line, line_len);
    head_len += line_len;
    memcpy(b->data + from, head, head_len);
    memmove(b->data + from + head_len, b->data + from + GAP, n);
    b->len = from + head_len + n;
    if (chunked)
        fl_buf_add(b, "\r\n", 2);
}

/* Takes back what http_stream_begin() gave. */
static void take_back(struct http_exchange *ex)
{
    ex->gather->body.len = ex->gather_at;
    if (ex->gather_new)
        msg_free(TAKE_PTR(ex->gather));
}

static bool commit(struct http_exchange *ex, bool record)
{
    struct http_msg *m = ex->gather;
    size_t at = ex->gather_at;

    if (m->body.len == at + GAP && !record) {
        take_back(ex); /* a chunk of no bytes would be the last one */
        return true;
    }
    http_frame_end(&m->body, at, record, !ex->http10);
    size_t n = m->body.len - at;
    if (atomic_fetch_add(&ex->posted, n) + n > ex->max_unsent) {
        take_back(ex);
        cut(ex);
        return false;
    }
    m->n += n;
    ex->written += n;
    if (ex->gather_new) {
        ex->gather_turn = ex->io->to_io_turn;
        if (!ex->io->threaded)
            ex->gather = NULL; /* it is applied at once */
        io_send(ex->io, m);
    }
    return ex->io->threaded || ex->conn != NULL;
}

bool http_stream_end_record(struct http_stream *st)
{
    return commit(of_stream(st), true);
}

bool http_stream_write(struct http_stream *st, const void *p, size_t n)
{
    struct fl_buf *b = http_stream_begin(st);

    if (!b)
        return false;
    fl_buf_add(b, p, n);
    return commit(of_stream(st), false);
}

bool http_stream_write_record(struct http_stream *st, const void *p, size_t n)
{
    struct fl_buf *b = http_stream_begin(st);

    if (!b)
        return false;
    fl_buf_add(b, p, n);
    return commit(of_stream(st), true);
}

bool http_stream_write_buf(struct http_stream *st, struct fl_buf *b)
{
    struct http_exchange *ex = of_stream(st);
    size_t n = b->len;

    if (n <= COPY_MAX || ex->gone || !ex->server) {
        bool ok = http_stream_write(st, b->data, n);
        fl_buf_done(b);
        *b = (struct fl_buf)FL_BUF_INIT;
        return ok;
    }
    if (atomic_fetch_add(&ex->posted, n) + n > ex->max_unsent) {
        fl_buf_done(b);
        cut(ex);
        return false;
    }
    if (ex->cast_owner)
        http_cast_flush(ex->cast_owner);
    struct http_msg *m = msg_new(MSG_STREAM_DATA, ex);
    m->n = n;
    ex->written += n;
    m->body = *b;
    *b = (struct fl_buf)FL_BUF_INIT;
    ex->gather = NULL; /* what follows goes behind this */
    io_send(ex->io, m);
    return ex->io->threaded || ex->conn != NULL;
}

void http_stream_write_region(struct http_stream *st, struct fl_region *r)
{
    struct http_exchange *ex = of_stream(st);

    if (ex->gone || !ex->server)
        return;
    if (ex->cast_owner)
        http_cast_flush(ex->cast_owner);
    struct http_msg *m = msg_new(MSG_STREAM_DATA, ex);
    m->region = fl_region_ref(r);
    ex->written += fl_region_len(r);
    ex->gather = NULL;
    io_send(ex->io, m);
}

size_t http_stream_unsent(const struct http_stream *st)
{
    struct http_exchange *ex = of_stream((struct http_stream *)st);

    return atomic_load(&ex->posted) + atomic_load(&ex->unsent);
}

uint64_t http_stream_taken(const struct http_stream *st)
{
    uint64_t written = of_stream((struct http_stream *)st)->written;
    size_t unsent = http_stream_unsent(st);

    return written > unsent ? written - unsent : 0;
}

bool http_stream_overran(const struct http_stream *st)
{
    return atomic_load(&of_stream((struct http_stream *)st)->overran);
}

const char *http_stream_peer(const struct http_stream *st)
{
    return of_stream((struct http_stream *)st)->peer;
}

void http_stream_set_max_unsent(struct http_stream *st, size_t n)
{
    of_stream(st)->max_unsent = n;
}
