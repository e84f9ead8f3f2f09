/* Calls of the HTTP client: their request's text, their time, their end. Connections are in http_client_conn.c. */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/base/http_client_priv.h"

#define DEFAULT_TIMEOUT_S 60
#define DEFAULT_MAX_BODY  (64 * 1024 * 1024)

struct http_client *http_client_new(struct fl_loop *loop)
{
    struct http_client *c = xnew0(struct http_client);
    c->magic = CLIENT_MAGIC;
    c->loop = loop;
    return c;
}

static void free_memory(void *arg)
{
    free(arg);
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    while (c->calls)
        http_call_cancel(c->calls);
    while (c->conns)
        client_conn_close(c->conns);
    fl_loop_defer(c->loop, free_memory, c);
}

/* ---- the request's text ---- */

static bool is_clean(const char *s, const char *forbidden)
{
    return s && s[strcspn(s, forbidden)] == '\0';
}

static int check_config(const struct http_call_config *cfg, struct fl_err *err)
{
    if (!is_clean(cfg->method, " \r\n\t") || !*cfg->method)
        return fl_err_set(err, FL_INVALID, "call by HTTP: the method is missing or not a word");
    if (!is_clean(cfg->path, " \r\n\t") || cfg->path[0] != '/')
        return fl_err_set(err, FL_INVALID, "call by HTTP: the path '%s' does not begin with '/'",
                          cfg->path ? cfg->path : "");
    if (!cfg->unix_path && (!is_clean(cfg->host, " \r\n\t/") || !*cfg->host))
        return fl_err_set(err, FL_INVALID, "call by HTTP: the host is missing or not a name");
    for (size_t i = 0; i < cfg->n_headers; i++)
        if (!is_clean(cfg->headers[i].name, " :\r\n") || !is_clean(cfg->headers[i].value, "\r\n"))
            return fl_err_set(err, FL_INVALID, "call by HTTP: the header '%s' has a line break",
                              cfg->headers[i].name ? cfg->headers[i].name : "");
    return 0;
}

static bool has_header(const struct http_call_config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->n_headers; i++)
        if (strcasecmp(cfg->headers[i].name, name) == 0)
            return true;
    return false;
}

static void write_request(const struct http_call_config *cfg, struct fl_buf *out)
{
    bool posts = !streq(cfg->method, "GET") && !streq(cfg->method, "HEAD");
    fl_buf_addf(out, "%s %s HTTP/1.1\r\n", cfg->method, cfg->path);
    if (!has_header(cfg, "Host")) {
        bool v6 = cfg->host && strchr(cfg->host, ':');
        if (cfg->unix_path)
            fl_buf_adds(out, "Host: localhost\r\n");
        else
            fl_buf_addf(out, v6 ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", cfg->host, cfg->port);
    }
    for (size_t i = 0; i < cfg->n_headers; i++)
        fl_buf_addf(out, "%s: %s\r\n", cfg->headers[i].name, cfg->headers[i].value);
    if (cfg->chunked_body)
        fl_buf_adds(out, "Transfer-Encoding: chunked\r\n");
    else if (cfg->body_len > 0 || posts)
        fl_buf_addf(out, "Content-Length: %zu\r\n", cfg->body_len);
    fl_buf_adds(out, "\r\n");
    if (!cfg->chunked_body)
        fl_buf_add(out, cfg->body, cfg->body_len);
}

/* ---- life ---- */

static void on_time(void *arg)
{
    struct http_call *c = FL_CAST(http_call, CALL_MAGIC, arg);
    struct fl_err err;
    fl_err_set(&err, FL_TIMEOUT, "%s: no answer within %u s", c->what, c->cfg.timeout_s);
    call_done(c, &err);
}

static struct http_call *call_new(struct http_client *client, const struct http_call_config *cfg,
                                  const struct http_call_ops *ops, void *arg)
{
    struct http_call *c = xnew0(struct http_call);
    c->magic = CALL_MAGIC;
    c->client = client;
    c->ops = *ops;
    c->arg = arg;
    c->cfg = *cfg;
    c->cfg.timeout_s = cfg->timeout_s ? cfg->timeout_s : DEFAULT_TIMEOUT_S;
    c->cfg.max_body = cfg->max_body ? cfg->max_body : DEFAULT_MAX_BODY;
    write_request(cfg, &c->request);
    c->head_only = streq(cfg->method, "HEAD");
    c->body_open = cfg->chunked_body;
    c->unix_path = cfg->unix_path ? xstrdup(cfg->unix_path) : NULL;
    c->host = cfg->host ? xstrdup(cfg->host) : NULL;
    c->bind_ip = cfg->bind_ip ? xstrdup(cfg->bind_ip) : NULL;
    c->what = cfg->unix_path
                  ? xasprintf("%s %s at '%s'", cfg->method, cfg->path, cfg->unix_path)
                  : xasprintf("%s %s at '%s:%u'", cfg->method, cfg->path, cfg->host, cfg->port);
    c->key = xasprintf("%s|%u|%s|%s|%p", cfg->host ? cfg->host : "", cfg->port,
                       cfg->unix_path ? cfg->unix_path : "", cfg->bind_ip ? cfg->bind_ip : "",
                       (void *)cfg->tls);
    /* The caller's memory is not ours after this call. */
    c->cfg.method = c->cfg.host = c->cfg.path = c->cfg.unix_path = c->cfg.bind_ip = NULL;
    c->cfg.headers = NULL;
    c->cfg.body = NULL;
    c->next = client->calls;
    if (c->next)
        c->next->prev = c;
    client->calls = c;
    c->timer = fl_timer_new(client->loop, on_time, c);
    return c;
}

static void destroy(void *arg)
{
    struct http_call *c = arg;
    free(c->host);
    free(c->unix_path);
    free(c->bind_ip);
    free(c->key);
    free(c->what);
    fl_buf_done(&c->request);
    fl_buf_done(&c->text);
    fl_buf_done(&c->body);
    free(c->headers);
    c->magic = 0;
    free(c);
}

/* Out of the client's list, without its connection; the memory goes with the deferred jobs. */
static void retire(struct http_call *c)
{
    c->done = true;
    if (c->prev)
        c->prev->next = c->next;
    else
        c->client->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
    fl_timer_free(TAKE_PTR(c->timer));
    fl_loop_defer(c->client->loop, destroy, c);
}

int http_client_call(struct http_client *client, const struct http_call_config *cfg,
                     const struct http_call_ops *ops, void *arg, struct http_call **ret_call,
                     struct fl_err *err)
{
    int rc = check_config(cfg, err);
    if (rc < 0)
        return rc;
    struct http_call *c = call_new(client, cfg, ops, arg);
    rc = client_conn_start(c, false, err);
    if (rc < 0) {
        retire(c);
        return rc;
    }
    fl_timer_set(c->timer, c->cfg.timeout_s * 1000000ull);
    if (ret_call)
        *ret_call = c;
    return 0;
}

void call_done(struct http_call *c, const struct fl_err *err)
{
    struct client_conn *conn = TAKE_PTR(c->conn);
    if (c->done)
        return;
    if (conn) {
        conn->call = NULL;
        client_conn_close(conn);
    }
    if (!err && !c->cfg.streaming) {
        c->response.body = fl_buf_cstr(&c->body);
        c->response.body_len = c->body.len;
    }
    retire(c);
    if (c->ops.on_done)
        c->ops.on_done(c, err ? NULL : &c->response, err, c->arg);
}

void http_call_cancel(struct http_call *c)
{
    if (!c || c->done)
        return;
    struct client_conn *conn = TAKE_PTR(c->conn);
    if (conn) {
        conn->call = NULL;
        client_conn_close(conn);
    }
    retire(c);
}

/* ---- bodies sent in pieces ---- */

void http_call_write(struct http_call *c, const void *p, size_t n)
{
    if (c->done || !c->body_open || !c->conn || n == 0)
        return;
    _cleanup_buf_ struct fl_buf chunk = FL_BUF_INIT;
    fl_buf_reserve(&chunk, n + 20);
    fl_buf_addf(&chunk, "%zx\r\n", n);
    fl_buf_add(&chunk, p, n);
    fl_buf_add(&chunk, "\r\n", 2);
    fl_stream_write_buf(c->conn->stream, &chunk);
}

size_t http_call_unsent(const struct http_call *c)
{
    return c->done || !c->conn ? 0 : fl_stream_unsent(c->conn->stream);
}

void http_call_pause(struct http_call *c, bool pause)
{
    if (!c->done && c->conn)
        fl_stream_pause_read(c->conn->stream, pause);
}

void http_call_end_body(struct http_call *c)
{
    if (c->done || !c->body_open)
        return;
    c->body_open = false;
    if (c->conn)
        fl_stream_write(c->conn->stream, "0\r\n\r\n", 5);
}
