/* See http_side.h. The exchange stays in its connection's queue, which keeps it alive; `side` is set from MSG_SIDE to the answer's end. */
#include "common/base/http_side.h"

#include "common/base/http_priv.h"

static struct http_exchange *of_side(const struct http_side *x)
{
    return FL_CAST(http_exchange, EXCHANGE_MAGIC, (void *)(uintptr_t)x);
}

static struct http_side *as_side(struct http_exchange *ex)
{
    return (struct http_side *)ex;
}

/* ---- what the connection tells ---- */

/* Any of the calls may answer, which ends `side`. */
void side_begin(struct http_exchange *ex, struct http_msg *m)
{
    m->never = NULL;
    ex->side = m->side;
    ex->side_arg = m->arg;
    ex->wants_upgrade = false;
    exchange_ref(ex);
    ex->side->begin(as_side(ex), ex->conn->io->loop, ex->side_arg);
    _cleanup_buf_ struct fl_buf early = ex->body;
    ex->body = (struct fl_buf)FL_BUF_INIT;
    if (ex->side && early.len > 0)
        ex->side->body(as_side(ex), early.data, early.len, ex->side_arg);
    if (ex->side && ex->body_done)
        ex->side->body(as_side(ex), NULL, 0, ex->side_arg);
    if (ex->conn)
        conn_unblock(ex->conn);
    exchange_unref(ex);
}

void side_body(struct http_exchange *ex, const char *p, size_t n)
{
    if (ex->out_end)
        return; /* answered before it was read */
    if (ex->side) {
        ex->side->body(as_side(ex), p, n, ex->side_arg);
        return;
    }
    if (n > 0)
        fl_buf_add(&ex->body, p, n);
    ex->conn->blocked = true; /* nobody waits for it yet */
}

void side_sent(struct http_exchange *ex)
{
    if (ex->side && http_side_unsent(as_side(ex)) == 0)
        ex->side->room(as_side(ex), ex->side_arg);
}

void side_gone(struct http_exchange *ex)
{
    const struct http_side_ops *ops = TAKE_PTR(ex->side);
    ops->gone(as_side(ex), ex->side_arg);
}

/* ---- for the holder ---- */

const struct http_request *http_side_request(const struct http_side *x)
{
    return &of_side(x)->req;
}

void http_side_hold(struct http_side *x, bool hold)
{
    struct http_exchange *ex = of_side(x);
    struct http_conn *c = ex->conn;
    ex->side_holds = hold;
    if (!c || c->reading != ex)
        return;
    if (hold && !c->blocked) {
        c->blocked = true;
        fl_stream_pause_read(c->stream, true);
    } else if (!hold) {
        conn_unblock(c);
    }
}

size_t http_side_unsent(const struct http_side *x)
{
    const struct http_exchange *ex = of_side(x);
    const struct http_conn *c = ex->conn;
    if (!c)
        return 0;
    return c->first == ex ? fl_stream_unsent(c->stream) : ex->out.len;
}

void http_side_head(struct http_side *x, int status, const struct fl_buf *headers, int64_t length)
{
    struct http_exchange *ex = of_side(x);
    bool known = length >= 0 || status == 204 || status == 304;
    ex->chunked_out = !known && !ex->http10;
    ex->raw_out = !ex->chunked_out;
    if (!known && ex->http10)
        ex->keep_alive = false;
    if (ex->conn)
        conn_head(ex, &(struct http_head){.status = status,
                                          .headers = headers,
                                          .chunked = ex->chunked_out,
                                          .raw = !known && ex->http10,
                                          .content_length = length > 0 ? (size_t)length : 0});
}

void http_side_write(struct http_side *x, const void *p, size_t n)
{
    struct http_exchange *ex = of_side(x);
    char line[20];
    if (!ex->conn || ex->head_only || n == 0)
        return;
    if (ex->chunked_out)
        conn_put(ex, line, chunk_line(line, n));
    conn_put(ex, p, n);
    if (ex->chunked_out)
        conn_put(ex, "\r\n", 2);
}

/* What is left of the request's body is read and thrown away. */
static void leave(struct http_exchange *ex)
{
    ex->side = NULL;
    ex->side_holds = false;
}

static void apply_here(struct http_exchange *ex, struct http_msg *m)
{
    leave(ex);
    conn_apply(m);
}

void http_side_end(struct http_side *x)
{
    struct http_exchange *ex = of_side(x);
    apply_here(ex, msg_new(MSG_STREAM_END, ex));
}

void http_side_answer(struct http_side *x, int status, const char *text)
{
    struct http_exchange *ex = of_side(x);
    struct http_msg *m = msg_new(MSG_ANSWER, ex);
    m->status = status;
    m->content_type = xstrdup(HTTP_TEXT);
    fl_buf_adds(&m->body, text);
    apply_here(ex, m);
}

void http_side_abort(struct http_side *x)
{
    struct http_exchange *ex = of_side(x);
    apply_here(ex, msg_new(MSG_ABORT, ex));
}
