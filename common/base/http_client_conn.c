/* The HTTP client's connections: kept alive while idle, one call at a time, answers parsed as they come. A server may
 * close an idle connection just when we use it: a call that got not one byte of an answer on a used connection is
 * sent once more on a new one. */
#include <errno.h>
#include <stdio.h>

#include "common/base/http_client_priv.h"

#define MAX_IDLE   256
#define IDLE_S     60
#define MAX_HEADER (64 * 1024)

enum { GO_ON = 0, SKIP_BODY = 1, STOP = -1 };

static void destroy(void *arg)
{
    struct client_conn *conn = arg;
    free(conn->key);
    conn->magic = 0;
    free(conn);
}

void client_conn_close(struct client_conn *conn)
{
    struct http_client *client = conn->client;
    if (conn->dead)
        return;
    conn->dead = true;
    fl_stream_free(TAKE_PTR(conn->stream));
    if (conn->idle)
        client->n_idle--;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        client->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    fl_loop_defer(client->loop, destroy, conn);
}

/* ---- parsing ---- */

static struct http_call *call_of(http_parser *p)
{
    struct client_conn *conn = FL_CAST(client_conn, CLIENT_CONN_MAGIC, p->data);
    return conn->call;
}

static int stop_with(struct http_call *c, enum fl_reason reason, const char *text)
{
    fl_err_set(&c->fail, reason, "%s: %s", c->what, text);
    return STOP;
}

static int on_begin(http_parser *p)
{
    struct client_conn *conn = FL_CAST(client_conn, CLIENT_CONN_MAGIC, p->data);
    struct http_call *c = conn->call;
    if (!c)
        return STOP;
    fl_buf_clear(&c->text);
    c->n_headers = 0;
    c->headers_done = false;
    conn->in_value = false;
    return GO_ON;
}

static int add_text(struct http_call *c, const char *at, size_t n)
{
    if (c->text.len + n > MAX_HEADER)
        return stop_with(c, FL_TOO_LARGE, "the answer's header is too large");
    fl_buf_add(&c->text, at, n);
    return GO_ON;
}

/* While text still grows, headers hold offsets into it. */
static int on_field(http_parser *p, const char *at, size_t n)
{
    struct client_conn *conn = FL_CAST(client_conn, CLIENT_CONN_MAGIC, p->data);
    struct http_call *c = conn->call;
    if (!c)
        return STOP;
    if (c->headers_done)
        return GO_ON;
    if (c->n_headers == 0 || conn->in_value) {
        fl_buf_addc(&c->text, '\0');
        c->headers = xgrow(c->headers, &c->cap_headers, c->n_headers + 1, sizeof *c->headers);
        c->headers[c->n_headers++] =
            (struct http_header){.name = (const char *)(uintptr_t)c->text.len};
        conn->in_value = false;
    }
    return add_text(c, at, n);
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct client_conn *conn = FL_CAST(client_conn, CLIENT_CONN_MAGIC, p->data);
    struct http_call *c = conn->call;
    if (!c)
        return STOP;
    if (c->headers_done || c->n_headers == 0)
        return GO_ON;
    if (!conn->in_value) {
        fl_buf_addc(&c->text, '\0');
        c->headers[c->n_headers - 1].value = (const char *)(uintptr_t)c->text.len;
        conn->in_value = true;
    }
    return add_text(c, at, n);
}

static int on_headers(http_parser *p)
{
    struct http_call *c = call_of(p);
    if (!c)
        return STOP;
    fl_buf_addc(&c->text, '\0');
    for (size_t i = 0; i < c->n_headers; i++) {
        struct http_header *h = &c->headers[i];
        h->name = c->text.data + (uintptr_t)h->name;
        h->value = h->value ? c->text.data + (uintptr_t)h->value : "";
    }
    c->headers_done = true;
    if (p->status_code == 101)
        return stop_with(c, FL_UNSUPPORTED, "the server switched to a protocol nobody asked for");
    if (p->status_code < 200)
        return GO_ON; /* 100: the answer follows */
    c->response = (struct http_client_response){.status = (int)p->status_code,
                                                .headers = c->headers,
                                                .n_headers = c->n_headers,
                                                .body = ""};
    if (c->cfg.streaming) {
        fl_timer_stop(c->timer);
        fl_stream_set_idle_timeout(c->conn->stream, c->cfg.idle_timeout_s);
        if (c->ops.on_headers)
            c->ops.on_headers(c, &c->response, c->arg);
    }
    return c->done ? STOP : c->head_only ? SKIP_BODY : GO_ON;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct http_call *c = call_of(p);
    if (!c)
        return STOP;
    if (c->cfg.streaming) {
        if (c->ops.on_data)
            c->ops.on_data(c, at, n, c->arg);
        return c->done ? STOP : GO_ON;
    }
    if (c->body.len + n > c->cfg.max_body)
        return stop_with(c, FL_TOO_LARGE, "the answer's body is too large");
    fl_buf_add(&c->body, at, n);
    return GO_ON;
}

static int on_complete(http_parser *p)
{
    if (p->status_code >= 200)
        http_parser_pause(p, 1); /* the call ends when the parser has returned */
    return GO_ON;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- the answer's end ---- */

static void put_aside(struct client_conn *conn)
{
    conn->call = NULL;
    conn->served = true;
    conn->idle = true;
    conn->client->n_idle++;
    fl_stream_set_idle_timeout(conn->stream, IDLE_S);
}

static void answered(struct client_conn *conn)
{
    struct http_call *c = conn->call;
    size_t left;
    fl_stream_peek(conn->stream, &left);
    bool keep = http_should_keep_alive(&conn->parser) && left == 0 && !c->body_open &&
                !c->cfg.own_connection && fl_stream_unsent(conn->stream) == 0 && !conn->eof &&
                conn->client->n_idle < MAX_IDLE;
    if (keep) {
        c->conn = NULL;
        put_aside(conn);
    }
    call_done(c, NULL);
}

static void parse_failed(struct client_conn *conn)
{
    struct http_call *c = conn->call;
    struct fl_err err = c->fail;
    if (err.reason == FL_OK)
        fl_err_set(&err, FL_INVALID, "%s: the answer is not HTTP: %s", c->what,
                   http_errno_description(HTTP_PARSER_ERRNO(&conn->parser)));
    call_done(c, &err);
}

static void pump(struct client_conn *conn)
{
    size_t n;
    const char *p = fl_stream_peek(conn->stream, &n);
    if (n == 0)
        return;
    if (!conn->call) {
        client_conn_close(conn); /* bytes that nobody asked for */
        return;
    }
    conn->answering = true;
    size_t used = http_parser_execute(&conn->parser, &settings, p, n);
    if (conn->dead)
        return;
    fl_stream_consume(conn->stream, used);
    enum http_errno e = HTTP_PARSER_ERRNO(&conn->parser);
    if (e == HPE_PAUSED) {
        http_parser_pause(&conn->parser, 0);
        answered(conn);
    } else if (e != HPE_OK || conn->parser.upgrade) {
        parse_failed(conn);
    }
}

/* ---- the stream ---- */

static void on_read(struct fl_stream *s, void *arg)
{
    pump(FL_CAST(client_conn, CLIENT_CONN_MAGIC, arg));
}

/* An answer without a length ends with its connection. */
static bool ends_here(struct client_conn *conn)
{
    if (!conn->answering)
        return false;
    http_parser_execute(&conn->parser, &settings, "", 0);
    return !conn->dead && HTTP_PARSER_ERRNO(&conn->parser) == HPE_PAUSED;
}

static void on_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    struct client_conn *conn = FL_CAST(client_conn, CLIENT_CONN_MAGIC, arg);
    struct http_call *c = conn->call;
    struct fl_err err = *why;
    if (conn->dead)
        return;
    conn->eof = true;
    if (!c) {
        client_conn_close(conn);
        return;
    }
    if (conn->served && !conn->answering && !c->retried && why->reason != FL_TIMEOUT) {
        c->retried = true;
        conn->call = NULL;
        c->conn = NULL;
        client_conn_close(conn);
        if (client_conn_start(c, true, &err) == 0)
            return;
    } else if (why->reason == FL_CLOSED && ends_here(conn)) {
        http_parser_pause(&conn->parser, 0);
        answered(conn);
        return;
    }
    if (c->done)
        return;
    fl_err_wrap(&err, "%s", c->what);
    call_done(c, &err);
}

static void on_drained(struct fl_stream *s, void *arg)
{
    struct client_conn *conn = FL_CAST(client_conn, CLIENT_CONN_MAGIC, arg);
    struct http_call *c = conn->call;
    if (c && c->ops.on_sent && !c->done)
        c->ops.on_sent(c, c->arg);
}

static const struct fl_stream_ops ops = {
    .on_read = on_read,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

/* ---- starting ---- */

static struct client_conn *find_idle(struct http_call *c)
{
    for (struct client_conn *conn = c->client->conns; conn; conn = conn->next)
        if (conn->idle && streq(conn->key, c->key))
            return conn;
    return NULL;
}

static int connect_new(struct http_call *c, struct client_conn **ret, struct fl_err *err)
{
    struct http_client *client = c->client;
    struct client_conn *conn = xnew0(struct client_conn);
    conn->magic = CLIENT_CONN_MAGIC;
    conn->client = client;
    int rc = c->unix_path ? fl_stream_connect_unix(client->loop, c->unix_path, &ops, conn,
                                                   &conn->stream, err)
                          : fl_stream_connect(client->loop, c->host, c->cfg.port, c->bind_ip,
                                              c->cfg.tls, &ops, conn, &conn->stream, err);
    if (rc < 0) {
        free(conn);
        return fl_err_wrap(err, "%s", c->what);
    }
    conn->key = xstrdup(c->key);
    conn->next = client->conns;
    if (conn->next)
        conn->next->prev = conn;
    client->conns = conn;
    *ret = conn;
    return 0;
}

int client_conn_start(struct http_call *c, bool fresh, struct fl_err *err)
{
    /* A body in pieces could not be sent a second time, so it gets a connection that nobody has used. */
    bool share = !fresh && !c->cfg.own_connection && !c->cfg.chunked_body;
    struct client_conn *conn = share ? find_idle(c) : NULL;
    if (conn) {
        conn->idle = false;
        c->client->n_idle--;
        fl_stream_set_idle_timeout(conn->stream, 0);
    } else {
        int rc = connect_new(c, &conn, err);
        if (rc < 0)
            return rc;
    }
    conn->call = c;
    conn->answering = false;
    c->conn = conn;
    http_parser_init(&conn->parser, HTTP_RESPONSE);
    conn->parser.data = conn;
    fl_stream_write(conn->stream, c->request.data, c->request.len);
    return 0;
}
