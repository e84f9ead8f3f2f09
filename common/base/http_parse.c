/* Requests out of bytes: Debian's http-parser calls back for each piece, here it becomes an
 * exchange. I/O side. What is refused here never reaches a handler. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/base/http_priv.h"

/* Memory set aside at once for a body whose length is announced; longer ones grow as they come. */
#define BODY_AT_ONCE (256 * 1024)

/* The callbacks' way to stop the parser; what to answer is in the connection already. */
enum { GO_ON = 0, STOP = -1 };

static enum http_method method_of(unsigned m)
{
    switch (m) {
    case HTTP_GET:
        return HTTP_M_GET;
    case HTTP_HEAD:
        return HTTP_M_HEAD;
    case HTTP_POST:
        return HTTP_M_POST;
    case HTTP_PUT:
        return HTTP_M_PUT;
    case HTTP_DELETE:
        return HTTP_M_DELETE;
    case HTTP_PATCH:
        return HTTP_M_PATCH;
    case HTTP_OPTIONS:
        return HTTP_M_OPTIONS;
    default:
        return HTTP_M_OTHER;
    }
}

static int on_begin(http_parser *p)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, p->data);
    const struct http_limits *l = &c->io->server->config.limits;
    c->reading = exchange_new(c);
    c->in_value = false;
    c->deadline_us = c->now_us + l->header_timeout_s * 1000000ull;
    return GO_ON;
}

static int too_large(struct http_conn *c, int status, const char *text)
{
    HTTP_COUNT(c->io->stats.too_large, 1);
    conn_refuse(c, status, text);
    return STOP;
}

static int add_text(struct http_conn *c, const char *p, size_t n)
{
    struct http_exchange *ex = c->reading;
    if (ex->text.len + n > c->io->server->config.limits.max_header)
        return too_large(c, 431, "The request's header is too large.\n");
    fl_buf_add(&ex->text, p, n);
    return GO_ON;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, p->data);
    if (!c->reading)
        return STOP;
    int rc = add_text(c, at, n);
    if (rc == GO_ON)
        c->reading->target_len += n;
    return rc;
}

/* While text still grows, headers hold offsets into it. */
static int on_field(http_parser *p, const char *at, size_t n)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, p->data);
    struct http_exchange *ex = c->reading;
    if (!ex)
        return STOP;
    if (ex->headers_done)
        return GO_ON; /* trailers mean nothing to us */
    if (ex->n_headers == 0 || c->in_value) {
        fl_buf_addc(&ex->text, '\0'); /* ends the target, or the value before */
        ex->headers = xgrow(ex->headers, &ex->cap_headers, ex->n_headers + 1, sizeof *ex->headers);
        ex->headers[ex->n_headers++] =
            (struct http_header){.name = (const char *)(uintptr_t)ex->text.len};
        c->in_value = false;
    }
    return add_text(c, at, n);
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, p->data);
    struct http_exchange *ex = c->reading;
    if (!ex)
        return STOP;
    if (ex->headers_done || ex->n_headers == 0)
        return GO_ON;
    if (!c->in_value) {
        fl_buf_addc(&ex->text, '\0');
        ex->headers[ex->n_headers - 1].value = (const char *)(uintptr_t)ex->text.len;
        c->in_value = true;
    }
    return add_text(c, at, n);
}

static void fix_headers(struct http_exchange *ex)
{
    fl_buf_addc(&ex->text, '\0');
    for (size_t i = 0; i < ex->n_headers; i++) {
        struct http_header *h = &ex->headers[i];
        h->name = ex->text.data + (uintptr_t)h->name;
        h->value = h->value ? ex->text.data + (uintptr_t)h->value : "";
        /* Space at a value's end is no part of it. */
        char *v = ex->text.data + (h->value - ex->text.data);
        size_t n = strlen(v);
        while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
            v[--n] = '\0';
    }
}

/* The parser lets spaces pass in a name ("Content-Length : 5"), which others would read as another header: the way
 * requests are smuggled past a proxy. */
static bool names_are_words(const struct http_exchange *ex)
{
    for (size_t i = 0; i < ex->n_headers; i++)
        if (strpbrk(ex->headers[i].name, " \t") || !*ex->headers[i].name)
            return false;
    return true;
}

static int bad_request(struct http_conn *c, const char *text)
{
    HTTP_COUNT(c->io->stats.bad_requests, 1);
    conn_refuse(c, 400, text);
    return STOP;
}

/* "/path?query", "http://host/path?query" and "*". False when it is none of these. */
static bool split_target(struct http_exchange *ex)
{
    struct http_request *r = &ex->req;
    r->target = ex->text.data;
    if (strlen(r->target) != ex->target_len)
        return false;
    const char *path = r->target;
    if (strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0) {
        path = strstr(path, "://") + 3;
        path += strcspn(path, "/?#");
    } else if (streq(path, "*")) {
        path = "/";
    } else if (*path != '/') {
        return false;
    }
    size_t n = strcspn(path, "?#");
    r->query = "";
    if (path[n] == '?') {
        char *query = ex->text.data + (path + n + 1 - ex->text.data);
        query[strcspn(query, "#")] = '\0';
        r->query = query;
    }
    if (n == 0)
        fl_buf_addc(&ex->path, '/');
    if (http_percent_decode(path, n, false, &ex->path) < 0)
        return false;
    r->path = fl_buf_cstr(&ex->path);
    return *r->path == '/';
}

static bool streams_body(const struct http_exchange *ex)
{
    const struct http_route *r = ex->route;

    return r && (r->stream_body || r->side_body ||
                 (r->stream_type &&
                  streq(http_request_header(&ex->req, "Content-Type"), r->stream_type)));
}

static int check_body(struct http_conn *c, http_parser *p)
{
    struct http_exchange *ex = c->reading;
    size_t max = c->io->server->config.limits.max_body;
    bool has_length = p->content_length != UINT64_MAX && !(p->flags & F_CHUNKED);
    bool bounded = !streams_body(ex);
    if (has_length && bounded && p->content_length > max)
        return too_large(c, 413, "The request's body is too large.\n");
    if (has_length && bounded && p->content_length > 0)
        fl_buf_reserve(&ex->body, FL_MIN((size_t)p->content_length, (size_t)BODY_AT_ONCE) + 1);
    const char *expect = http_request_header(&ex->req, "Expect");
    if (!expect)
        return GO_ON;
    if (strcasecmp(expect, "100-continue") != 0) {
        conn_refuse(c, 417, "Only 'Expect: 100-continue' is known.\n");
        return STOP;
    }
    ex->continue_due = !ex->http10 && ((p->flags & F_CHUNKED) || (has_length && p->content_length));
    return GO_ON;
}

static void fill_request(struct http_conn *c, http_parser *p)
{
    struct http_exchange *ex = c->reading;
    struct http_request *r = &ex->req;
    r->headers = ex->headers;
    r->n_headers = ex->n_headers;
    r->method = method_of(p->method);
    r->method_name = http_method_str(p->method);
    r->body = "";
    memcpy(ex->peer, c->peer, sizeof ex->peer);
    memcpy(ex->local, c->local, sizeof ex->local);
    r->peer = ex->peer;
    r->local = ex->local;
    r->tls = c->io->server->config.tls != NULL;
    ex->http10 = p->http_major < 1 || (p->http_major == 1 && p->http_minor == 0);
    ex->keep_alive = http_should_keep_alive(p);
    ex->head_only = r->method == HTTP_M_HEAD;
    ex->accepts_gzip = http_accepts_coding(http_request_header(r, "Accept-Encoding"), "gzip");
    ex->asks_upgrade = ex->wants_upgrade = p->upgrade && p->method != HTTP_CONNECT;
}

static int on_headers(http_parser *p)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, p->data);
    struct http_exchange *ex = c->reading;
    if (!ex)
        return STOP;
    fix_headers(ex);
    ex->headers_done = true;
    fill_request(c, p);
    /* The parser would stop at the head's end; whether we switch protocols is the handler's to say.
     */
    p->upgrade = 0;
    if (p->http_major != 1) {
        conn_refuse(c, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.\n");
        return STOP;
    }
    if (!names_are_words(ex))
        return bad_request(c, "A header's name has a space.\n");
    if (p->method == HTTP_CONNECT || !split_target(ex))
        return bad_request(c, "The request's target is not a path.\n");
    if (!http_query_is_valid(ex->req.query))
        return bad_request(c, "The request's query has a '%' without two hexadecimal digits "
                              "behind it; a percent sign is written %25.\n");
    ex->route = router_find(c->io->server->router, ex->req.path, &ex->req.path_rest);
    if (!ex->req.path_rest)
        ex->req.path_rest = "";
    if (check_body(c, p) != GO_ON)
        return STOP;
    const struct http_limits *l = &c->io->server->config.limits;
    c->deadline_us = c->now_us + l->body_timeout_s * 1000000ull;
    if (ex->continue_due)
        conn_advance(c);
    if (streams_body(ex))
        conn_dispatch(c, ex);
    return c->dead || c->closing ? STOP : GO_ON;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, p->data);
    struct http_exchange *ex = c->reading;
    if (!ex)
        return STOP;
    const struct http_limits *l = &c->io->server->config.limits;
    ex->body_seen += n;
    if (ex->dispatched) {
        c->deadline_us = c->now_us + l->idle_timeout_s * 1000000ull;
        if (ex->out_end)
            return GO_ON; /* answered before it was read */
        if (ex->route->side_body) {
            side_body(ex, at, n);
            return c->dead || c->closing ? STOP : GO_ON;
        }
        struct http_msg *m = msg_new(MSG_BODY, ex);
        fl_buf_add(&m->body, at, n);
        if (atomic_fetch_add(&ex->body_ahead, n) + n > FL_LOOP_SCRATCH * 4)
            c->blocked = true;
        owner_send(c->io, m);
        return c->dead || c->closing ? STOP : GO_ON;
    }
    c->deadline_us = c->now_us + l->body_timeout_s * 1000000ull;
    if (ex->body_seen > l->max_body)
        return too_large(c, 413, "The request's body is too large.\n");
    fl_buf_add(&ex->body, at, n);
    return GO_ON;
}

static int on_complete(http_parser *p)
{
    struct http_conn *c = FL_CAST(http_conn, CONN_MAGIC, p->data);
    struct http_exchange *ex = c->reading;
    if (!ex)
        return STOP;
    c->reading = NULL;
    ex->body_done = true;
    ex->continue_due = false;
    const struct http_limits *l = &c->io->server->config.limits;
    c->deadline_us = c->now_us + l->idle_timeout_s * 1000000ull;
    if (!ex->keep_alive)
        c->last_request = true;
    if (!ex->dispatched)
        c->ahead += ex->counted = ex->body.len;
    if (ex->wants_upgrade)
        c->blocked = true;
    conn_block_if_full(c);
    if (!ex->dispatched) {
        conn_decode(c, ex);
    } else if (ex->route->side_body) {
        if (ex->side)
            side_body(ex, NULL, 0);
        if (!c->dead)
            conn_advance(c);
    } else {
        owner_send(c->io, msg_new(MSG_BODY_END, ex));
        if (!c->dead)
            conn_advance(c);
    }
    if (c->dead || c->closing)
        return STOP;
    if (c->blocked || c->last_request)
        http_parser_pause(p, 1);
    return GO_ON;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void conn_parser_init(struct http_conn *c)
{
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
}

static void parse_failed(struct http_conn *c, enum http_errno e)
{
    if (c->dead || c->closing || c->last_request)
        return; /* a callback has answered */
    HTTP_COUNT(c->io->stats.bad_requests, 1);
    if (e == HPE_HEADER_OVERFLOW) {
        HTTP_COUNT(c->io->stats.too_large, 1);
        conn_refuse(c, 431, "The request's header is too large.\n");
        return;
    }
    _cleanup_free_ char *text =
        xasprintf("This is not an HTTP/1.1 request: %s.\n", http_errno_description(e));
    conn_refuse(c, 400, text);
}

void conn_pump(struct http_conn *c)
{
    size_t n;
    struct fl_stream *s = c->stream; /* which a switch of protocol takes away from the connection */
    const char *p = fl_stream_peek(s, &n);
    /* Reading on, though nothing of it is wanted, is how the end of the peer is noticed. */
    if (c->last_request) {
        fl_stream_consume(c->stream, n);
        return;
    }
    while (n > 0 && !c->last_request && !c->blocked && !c->dead && !c->closing) {
        if (HTTP_PARSER_ERRNO(&c->parser) == HPE_PAUSED)
            http_parser_pause(&c->parser, 0);
        c->now_us = fl_loop_now_us(c->io->loop);
        size_t used = http_parser_execute(&c->parser, &settings, p, n);
        HTTP_COUNT(c->io->stats.bytes_in, used);
        enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
        fl_stream_consume(s, used); /* also of a stream that was freed: its memory goes later */
        if (c->dead)
            return;
        if (e != HPE_OK && e != HPE_PAUSED) {
            parse_failed(c, e);
            return;
        }
        p = fl_stream_peek(c->stream, &n);
        if (used == 0 && e == HPE_OK)
            break;
    }
    if (!c->dead && !c->closing)
        fl_stream_pause_read(c->stream, c->blocked);
}
