/* Exchanges and streams as the owner sees them: requests come in, answers and chunks go out as
 * messages. */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/http_auth.h"
#include "common/base/http_priv.h"
#include "common/base/http_side.h"

_Thread_local struct http_io *io_here;

/* How many exchanges an I/O side keeps, and what memory of each. */
#define SPARES     256
#define KEEP_TEXT  (8 * 1024)
#define KEEP_BODY  (16 * 1024)
#define FIRST_TEXT 512

struct http_exchange *exchange_new(struct http_conn *c)
{
    struct http_exchange *ex = c->io->spare;
    if (ex) {
        c->io->spare = ex->next;
        c->io->n_spare--;
        ex->next = NULL;
    } else {
        ex = xnew0(struct http_exchange);
        fl_buf_reserve(&ex->text, FIRST_TEXT);
    }
    ex->magic = EXCHANGE_MAGIC;
    atomic_init(&ex->refs, 1); /* the connection's queue */
    ex->io = c->io;
    ex->server = c->io->server;
    ex->conn = c;
    ex->lane = c->lane;
    ex->early_tail = &ex->early_body;
    ex->max_unsent = c->io->server->config.limits.max_unsent;
    *c->last = ex;
    c->last = &ex->next;
    c->n_pending++;
    return ex;
}

void exchange_ref(struct http_exchange *ex)
{
    atomic_fetch_add_explicit(&ex->refs, 1, memory_order_relaxed);
}

/* What belongs to the request that is over. */
static void forget(struct http_exchange *ex)
{
    if (ex->req.decoded && ex->route->decoded_free)
        ex->route->decoded_free(ex->req.decoded);
    fl_buf_done(&ex->out);
    fl_region_unref(ex->out_region);
    fl_buf_done(&ex->add_headers);
    msg_free(ex->upgrade);
    http_principal_free(ex->principal);
}

static void destroy(struct http_exchange *ex)
{
    fl_buf_done(&ex->text);
    fl_buf_done(&ex->path);
    fl_buf_done(&ex->body);
    free(ex->headers);
    fl_arena_free(ex->arena);
    ex->magic = 0;
    free(ex);
}

/* As new, but with its memory. */
static void put_aside(struct http_io *io, struct http_exchange *ex)
{
    struct fl_buf text = ex->text, path = ex->path, body = ex->body;
    struct http_header *headers = ex->headers;
    struct fl_arena *arena = ex->arena;
    size_t cap_headers = ex->cap_headers;
    fl_buf_clear(&text);
    fl_buf_clear(&path);
    fl_buf_clear(&body);
    if (arena)
        fl_arena_reset(arena);
    memset(ex, 0, sizeof *ex);
    ex->text = text;
    ex->path = path;
    ex->body = body;
    ex->headers = headers;
    ex->cap_headers = cap_headers;
    ex->arena = arena;
    ex->next = io->spare;
    io->spare = ex;
    io->n_spare++;
}

/* The I/O side that may keep it: the one it came from, when this is its thread. */
static struct http_io *keeper(const struct http_exchange *ex)
{
    struct http_io *io = io_here;
    if (!io && ex->server && !ex->io->threaded)
        io = ex->io;
    bool small = ex->text.cap + ex->path.cap <= KEEP_TEXT && ex->body.cap <= KEEP_BODY;
    return io && io == ex->io && io->n_spare < SPARES && small ? io : NULL;
}

void exchange_unref(struct http_exchange *ex)
{
    if (!ex || atomic_fetch_sub(&ex->refs, 1) != 1)
        return;
    forget(ex);
    struct http_io *io = keeper(ex);
    if (io)
        put_aside(io, ex);
    else
        destroy(ex);
}

void exchange_free_spares(struct http_io *io)
{
    while (io->spare) {
        struct http_exchange *ex = io->spare;
        io->spare = ex->next;
        destroy(ex);
    }
}

static struct http_exchange *of_stream(struct http_stream *st)
{
    return FL_CAST(http_exchange, EXCHANGE_MAGIC, st);
}

static struct http_stream *as_stream(struct http_exchange *ex)
{
    return (struct http_stream *)ex;
}

/* ---- the owner's list: what outlives the server is cut off from it ---- */

static void owner_hold(struct http_exchange *ex)
{
    struct http_server *s = ex->server;
    exchange_ref(ex);
    ex->owner_next = s->live;
    if (s->live)
        s->live->owner_prev = ex;
    s->live = ex;
}

static void unlink_live(struct http_exchange *ex)
{
    if (ex->owner_prev)
        ex->owner_prev->owner_next = ex->owner_next;
    else
        ex->server->live = ex->owner_next;
    if (ex->owner_next)
        ex->owner_next->owner_prev = ex->owner_prev;
    ex->owner_prev = ex->owner_next = NULL;
}

/* The owner is done with it. */
static void owner_release(struct http_exchange *ex)
{
    if (ex->finished)
        return;
    ex->finished = true;
    while (ex->early_body) {
        struct http_msg *m = ex->early_body;
        ex->early_body = m->next;
        msg_free(m);
    }
    ex->early_tail = &ex->early_body;
    cast_owner_left(ex);
    if (ex->server)
        unlink_live(ex);
    exchange_unref(ex);
}

void exchange_orphan_all(struct http_server *s)
{
    while (s->live) {
        struct http_exchange *ex = s->live;
        unlink_live(ex);
        ex->server = NULL;
        ex->gone = true;
    }
}

static void send(struct http_exchange *ex, struct http_msg *m)
{
    if (!ex->server || ex->gone)
        msg_free(m);
    else
        io_send(ex->io, m);
}

/* ---- from the I/O side ---- */

static void handle(struct http_exchange *ex)
{
    struct http_server *s = ex->server;
    owner_hold(ex);
    if (s->config.before && s->config.before(ex, s->config.arg))
        return;
    if (ex->route)
        ex->route->handler(ex, s->config.arg);
    else if (s->config.fallback)
        s->config.fallback(ex, s->config.arg);
    else
        http_respond(ex, 404, NULL, "");
}

static void body_taken(struct http_exchange *ex, size_t n)
{
    if (n > 0 && atomic_fetch_sub(&ex->body_ahead, n) > FL_LOOP_SCRATCH * 4)
        send(ex, msg_new(MSG_BODY_TAKEN, ex));
}

static void give_body(struct http_exchange *ex, struct http_msg *m)
{
    size_t n = m->body.len;
    exchange_ref(ex);
    if (m->kind == MSG_BODY)
        ex->on_body(ex, m->body.data, n, ex->body_arg);
    else
        ex->on_body(ex, NULL, m->kind == MSG_BODY_END ? 0 : SIZE_MAX, ex->body_arg);
    if (m->kind != MSG_BODY)
        ex->on_body = NULL;
    body_taken(ex, n);
    exchange_unref(ex);
}

static void take_body(struct http_exchange *ex, struct http_msg *m)
{
    if (ex->on_body && !ex->finished) {
        give_body(ex, m);
        msg_free(m);
    } else if (ex->finished || ex->answered) {
        body_taken(ex, m->body.len); /* nobody reads it any more */
        msg_free(m);
    } else {
        /* Waits for http_on_body(); its own reference is dropped, or the exchange would hold
         * itself. */
        m->next = NULL;
        exchange_unref(TAKE_PTR(m->ex));
        *ex->early_tail = m;
        ex->early_tail = &m->next;
    }
}

static void take_gone(struct http_exchange *ex)
{
    if (ex->finished)
        return;
    ex->gone = true;
    exchange_ref(ex);
    if (ex->on_body) {
        http_body_f *fn = ex->on_body;
        ex->on_body = NULL;
        fn(ex, NULL, SIZE_MAX, ex->body_arg);
    }
    if (ex->streaming && !ex->finished) {
        if (ex->on_gone)
            ex->on_gone(as_stream(ex), ex->stream_arg);
        owner_release(ex);
    }
    exchange_unref(ex);
}

static void gone_job(void *arg)
{
    struct http_exchange *ex = FL_CAST(http_exchange, EXCHANGE_MAGIC, arg);
    if (ex->server)
        take_gone(ex);
    exchange_unref(ex);
}

static void server_idle(struct http_server *s)
{
    if (!s->draining || s->io_left == 0 || --s->io_left > 0)
        return;
    fl_timer_stop(s->drain_timer);
    fl_callback_f *done = s->drain_done;
    s->drain_done = NULL;
    if (done)
        done(s->drain_arg);
}

void exchange_take(struct http_msg *m)
{
    struct http_exchange *ex = m->ex;
    if (m->kind == MSG_IDLE) {
        server_idle(m->arg);
    } else if (!ex->server) {
        ; /* the server is gone: so is the interest */
    } else if (m->kind == MSG_REQUEST) {
        handle(ex);
    } else if (m->kind == MSG_BODY || m->kind == MSG_BODY_END) {
        take_body(ex, m);
        return;
    } else if (m->kind == MSG_GONE) {
        take_gone(ex);
    } else if (m->kind == MSG_DRAINED && ex->streaming && !ex->finished && ex->on_drained) {
        void (*fn)(struct http_stream *, void *) = ex->on_drained;
        ex->on_drained = NULL;
        fn(as_stream(ex), ex->stream_arg);
    }
    msg_free(m);
}

/* ---- answering ---- */

const struct http_request *http_exchange_request(const struct http_exchange *ex)
{
    return &ex->req;
}

struct fl_loop *http_exchange_loop(const struct http_exchange *ex)
{
    return ex->server ? ex->server->owner : NULL;
}

bool http_exchange_threaded(const struct http_exchange *ex)
{
    return ex->server && ex->io->threaded;
}

const struct http_route *http_exchange_route(const struct http_exchange *ex)
{
    return ex->route;
}

const struct http_principal *http_exchange_principal(const struct http_exchange *ex)
{
    return ex->principal;
}

void http_exchange_set_principal(struct http_exchange *ex, struct http_principal *p)
{
    http_principal_free(ex->principal);
    ex->principal = p;
}

void http_exchange_add_header(struct http_exchange *ex, const char *name, const char *value)
{
    /* A line break in a value would let user data write headers of its own. */
    fl_buf_adds(&ex->add_headers, name);
    fl_buf_adds(&ex->add_headers, ": ");
    for (const char *p = value; *p; p++)
        fl_buf_addc(&ex->add_headers, *p == '\r' || *p == '\n' ? ' ' : *p);
    fl_buf_adds(&ex->add_headers, "\r\n");
}

static void tell_answered(const struct http_exchange *ex, int status)
{
    const struct http_server_config *c = ex->server ? &ex->server->config : NULL;
    if (!c || !c->answered || ex->read_us == 0)
        return;
    uint64_t now = fl_loop_now_us(ex->server->owner);
    c->answered(ex->route, status, now > ex->read_us ? now - ex->read_us : 0, c->arg);
}

static struct http_msg *answer_msg(struct http_exchange *ex, enum http_msg_kind kind, int status,
                                   const char *content_type)
{
    assert(!ex->answered);
    ex->answered = true;
    tell_answered(ex, status);
    struct http_msg *m =
        kind == MSG_ANSWER ? msg_inside(&ex->answer_msg, kind, ex) : msg_new(kind, ex);
    m->status = status;
    m->content_type = content_type ? xstrdup(content_type) : NULL;
    m->headers = ex->add_headers;
    ex->add_headers = (struct fl_buf)FL_BUF_INIT;
    return m;
}

void http_respond_buf(struct http_exchange *ex, int status, const char *content_type,
                      struct fl_buf *body)
{
    struct http_msg *m = answer_msg(ex, MSG_ANSWER, status, content_type);
    if (body) {
        m->body = *body;
        *body = (struct fl_buf)FL_BUF_INIT;
    }
    send(ex, m);
    owner_release(ex);
}

void http_respond_region(struct http_exchange *ex, int status, const char *content_type,
                         struct fl_region *body, bool gzipped)
{
    struct http_msg *m = answer_msg(ex, MSG_ANSWER, status, content_type);
    m->region = fl_region_ref(body);
    m->gzipped = gzipped;
    send(ex, m);
    owner_release(ex);
}

bool http_exchange_takes_gzip(const struct http_exchange *ex, size_t len)
{
    size_t min = ex->server ? ex->server->config.limits.gzip_min : 0;
    return ex->accepts_gzip && min && len >= min;
}

void http_respond(struct http_exchange *ex, int status, const char *content_type, const char *body)
{
    struct fl_buf b = FL_BUF_INIT;
    if (body && *body)
        fl_buf_adds(&b, body);
    http_respond_buf(ex, status, content_type, &b);
}

void http_respondf(struct http_exchange *ex, int status, const char *content_type, const char *fmt,
                   ...)
{
    struct fl_buf b = FL_BUF_INIT;
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort(); /* out of memory, as in xmalloc() */
    fl_buf_add(&b, text, (size_t)n);
    free(text);
    http_respond_buf(ex, status, content_type, &b);
}

void http_respond_err(struct http_exchange *ex, const struct fl_err *err)
{
    http_respond(ex, fl_reason_http_status(err->reason), HTTP_TEXT, err->msg);
}

/* What may stand in a callback's name; anything else would let a link run a script of its own. */
static bool is_callback_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.[]");
    return n > 0 && n <= 256 && s[n] == '\0';
}

bool http_exchange_jsonp(struct http_exchange *ex, char **ret_callback)
{
    _cleanup_free_ char *callback = http_query_get(ex->req.query, "jsonp");
    if (callback && *callback && !is_callback_name(callback)) {
        http_respond(ex, 400, HTTP_TEXT, "The 'jsonp' parameter is not the name of a function.\n");
        return false;
    }
    *ret_callback = callback && *callback ? TAKE_PTR(callback) : NULL;
    return true;
}

void http_respond_json(struct http_exchange *ex, int status, struct fl_buf *body)
{
    _cleanup_free_ char *callback = NULL;
    if (!http_exchange_jsonp(ex, &callback)) {
        fl_buf_done(body);
        return;
    }
    if (!callback) {
        http_respond_buf(ex, status, "application/json", body);
        return;
    }
    struct fl_buf wrapped = FL_BUF_INIT;
    fl_buf_adds(&wrapped, callback);
    fl_buf_addc(&wrapped, '(');
    fl_buf_add(&wrapped, body->data, body->len);
    fl_buf_adds(&wrapped, ");");
    fl_buf_done(body);
    http_respond_buf(ex, status, "text/javascript", &wrapped);
}

/* ---- streams ---- */

struct http_stream *http_respond_stream(struct http_exchange *ex, int status,
                                        const char *content_type, http_gone_f *on_gone, void *arg)
{
    struct http_msg *m = answer_msg(ex, MSG_STREAM_HEAD, status, content_type);
    ex->on_gone = on_gone;
    ex->stream_arg = arg;
    ex->streaming = true;
    if (ex->gone && ex->server) {
        /* The client left before: it hears so once, after the caller has stored the stream. */
        msg_free(m);
        exchange_ref(ex);
        fl_loop_defer(ex->server->owner, gone_job, ex);
        return as_stream(ex);
    }
    send(ex, m);
    return as_stream(ex);
}

void http_stream_on_drained(struct http_stream *st, void (*fn)(struct http_stream *st, void *arg))
{
    struct http_exchange *ex = of_stream(st);
    ex->on_drained = fn;
    if (fn)
        send(ex, msg_new(MSG_WANT_DRAINED, ex));
}

static void stream_leave(struct http_stream *st, enum http_msg_kind kind)
{
    struct http_exchange *ex = of_stream(st);
    if (ex->cast_owner && !ex->gone && ex->server)
        http_cast_flush(ex->cast_owner);
    send(ex, msg_new(kind, ex));
    ex->on_body = NULL;
    owner_release(ex);
}

void http_stream_end(struct http_stream *st)
{
    stream_leave(st, MSG_STREAM_END);
}

void http_stream_end_and_close(struct http_stream *st)
{
    stream_leave(st, MSG_STREAM_END_CLOSE);
}

void http_stream_abort(struct http_stream *st)
{
    stream_leave(st, MSG_ABORT);
}

/* ---- bodies that stream in, and switches of protocol ---- */

void http_on_body(struct http_exchange *ex, http_body_f *fn, void *arg)
{
    ex->on_body = fn;
    ex->body_arg = arg;
    exchange_ref(ex);
    while (ex->early_body && ex->on_body && !ex->finished) {
        struct http_msg *m = ex->early_body;
        ex->early_body = m->next;
        if (!ex->early_body)
            ex->early_tail = &ex->early_body;
        give_body(ex, m);
        msg_free(m);
    }
    if (ex->gone && ex->on_body && !ex->finished) {
        ex->on_body = NULL;
        fn(ex, NULL, SIZE_MAX, arg);
    }
    exchange_unref(ex);
}

void http_hold_body(struct http_exchange *ex)
{
    ex->on_body = NULL;
}

void http_side_move(struct http_exchange *ex, const struct http_side_ops *ops, void *arg)
{
    struct http_msg *m = answer_msg(ex, MSG_SIDE, 0, NULL);
    m->side = ops;
    m->never = ops->never;
    m->arg = arg;
    send(ex, m);
    owner_release(ex);
}

bool http_exchange_asks_upgrade(const struct http_exchange *ex)
{
    return ex->asks_upgrade;
}

void http_upgrade_or(struct http_exchange *ex, const char *protocol, struct fl_loop *loop,
                     http_taken_f *taken, void (*never)(void *arg), void *arg)
{
    http_exchange_add_header(ex, "Upgrade", protocol);
    if (!ex->asks_upgrade) {
        http_respond(ex, 426, HTTP_TEXT, "This path only serves a switch of protocol.\n");
        if (never)
            never(arg);
        return;
    }
    http_exchange_add_header(ex, "Connection", "Upgrade");
    struct http_msg *m = answer_msg(ex, MSG_UPGRADE, 101, NULL);
    m->loop = loop;
    m->taken = taken;
    m->never = never;
    m->arg = arg;
    send(ex, m);
    owner_release(ex);
}

void http_upgrade(struct http_exchange *ex, const char *protocol, struct fl_loop *loop,
                  http_taken_f *taken, void *arg)
{
    http_upgrade_or(ex, protocol, loop, taken, NULL, arg);
}
