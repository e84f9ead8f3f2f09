/* Fuzzes a connection of the HTTP server with what a client sends: the whole path from the socket to handlers and back.
 * The first byte says where the rest is cut in two pieces. */
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/http_priv.h"

static void echo(struct http_exchange *ex, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    struct fl_buf b = FL_BUF_INIT;
    _cleanup_free_ char *q = http_query_get(r->query, "q");
    fl_buf_addf(&b, "%s|%s|%s|%s", r->path, r->path_rest, r->query, q ? q : "");
    fl_buf_add(&b, r->body, r->body_len);
    assert(r->path[0] == '/' && r->body[r->body_len] == '\0');
    for (size_t i = 0; i < r->n_headers; i++)
        fl_buf_adds(&b, r->headers[i].value);
    http_respond_json(ex, 200, &b);
}

static void stream(struct http_exchange *ex, void *arg)
{
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", NULL, NULL);
    http_stream_write(st, "abc", 3);
    http_stream_end(st);
}

static void on_body(struct http_exchange *ex, const char *p, size_t n, void *arg)
{
    if (!p)
        http_respond(ex, n ? 400 : 200, NULL, "");
}

static void upload(struct http_exchange *ex, void *arg)
{
    http_on_body(ex, on_body, NULL);
}

static void early(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 403, "text/plain", "before the body");
}

static void taken(struct fl_stream *st, void *arg)
{
    fl_stream_free(st);
}

static void upgrade(struct http_exchange *ex, void *arg)
{
    http_upgrade(ex, "x", http_exchange_loop(ex), taken, NULL);
}

static const struct http_route routes[] = {
    {.path = "/e", .handler = echo, .json_alias = true},
    {.path = "/s", .handler = stream, .exact = true},
    {.path = "/b", .handler = upload, .stream_body = true},
    {.path = "/n", .handler = early, .stream_body = true},
    {.path = "/u", .handler = upgrade},
};

static struct fl_loop *loop;
static struct http_server *server;

static void open_server(void)
{
    struct fl_err err;
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "m",
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes),
                                   .limits = http_limits_default};
    c.limits.max_header = 8192;
    c.limits.max_body = 16384;
    c.limits.max_pipelined = 4;
    c.limits.gzip_min = 256;
    if (fl_loop_new(&loop, &err) < 0 || http_server_new(loop, &c, &server, &err) < 0)
        abort();
}

static void feed(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int sv[2];
    if (!server)
        open_server();
    if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return 0;
    size_t cut = data[0] % size;
    data++;
    size--;
    cut = FL_MIN(cut, size);
    conn_accept(&server->io[0], sv[0]);
    if (cut > 0) {
        feed(sv[1], data, cut);
        fl_loop_run_once(loop);
    }
    feed(sv[1], data + cut, size - cut);
    shutdown(sv[1], SHUT_WR);
    for (int i = 0; i < 3 && server->io[0].conns; i++)
        fl_loop_run_once(loop);
    close(sv[1]);
    while (server->io[0].conns)
        fl_loop_run_once(loop);
    assert(!server->live);
    return 0;
}
