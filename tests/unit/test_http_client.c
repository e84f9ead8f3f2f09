/* The HTTP client against our own server, and against raw sockets that misbehave. */
#include <dirent.h>
#include <sys/un.h>

#include "tests/unit/http_fixture.h"

static void echo(struct http_exchange *ex, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *host = http_request_header(r, "host");
    http_exchange_add_header(ex, "X-Host", host ? host : "");
    http_respondf(ex, 200, "text/plain", "%s %s %.*s", r->method_name, r->path, (int)r->body_len,
                  r->body);
}

static void never(struct http_exchange *ex, void *arg)
{
    *(struct http_exchange **)arg = ex;
}

static void count_stream(struct http_exchange *ex, void *arg)
{
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", NULL, NULL);
    for (int i = 0; i < 1000; i++)
        http_stream_write(st, "0123456789", 10);
    http_stream_end(st);
}

static const struct http_route routes[] = {
    {.path = "/echo", .handler = echo},
    {.path = "/never", .handler = never},
    {.path = "/stream", .handler = count_stream},
};

struct outcome {
    struct fl_loop *loop;
    int done, headers;
    int status;
    char *body, *host_header;
    size_t streamed;
    struct fl_err err;
    struct http_call *call;
    bool cancel_in_data;
};

static void on_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct outcome *o = arg;
    o->headers++;
    o->status = r->status;
}

static void on_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    struct outcome *o = arg;
    o->streamed += n;
    if (o->cancel_in_data) {
        http_call_cancel(c);
        fl_loop_stop(o->loop);
    }
}

static void on_done(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *err, void *arg)
{
    struct outcome *o = arg;
    o->done++;
    if (err) {
        o->err = *err;
    } else {
        o->status = r->status;
        if (r->body)
            o->body = xstrdup(r->body);
        if (http_response_header(r, "x-host"))
            o->host_header = xstrdup(http_response_header(r, "x-host"));
    }
    fl_loop_stop(o->loop);
}

static const struct http_call_ops ops = {on_headers, on_data, on_done, NULL};

struct world {
    struct fixture f;
    struct fl_loop *loop;
    struct http_client *client;
    struct http_exchange *kept;
};

static void open_world(struct world *w)
{
    struct fl_err err;
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "x",
                                   .limits = http_limits_default,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes),
                                   .arg = &w->kept};
    *w = (struct world){0};
    fixture_start(&w->f, &c);
    ck_assert_int_eq(fl_loop_new(&w->loop, &err), 0);
    w->client = http_client_new(w->loop);
}

static void close_world(struct world *w)
{
    http_client_free(w->client);
    fl_loop_free(w->loop);
    fl_loop_stop(w->f.loop);
    pthread_join(w->f.thread, NULL);
    http_server_free(w->f.server);
    if (w->kept)
        http_respond(w->kept, 200, NULL, ""); /* allowed after the server's end */
    fl_loop_free(w->f.loop);
}

static struct outcome call(struct world *w, struct http_call_config cfg)
{
    struct outcome o = {.loop = w->loop};
    if (!cfg.method)
        cfg.method = "GET";
    if (!cfg.host && !cfg.unix_path)
        cfg.host = "127.0.0.1";
    if (!cfg.port)
        cfg.port = w->f.port;
    int rc = http_client_call(w->client, &cfg, &ops, &o, &o.call, &o.err);
    if (rc == 0)
        fl_loop_run(w->loop);
    ck_assert_int_le(o.done, 1);
    return o;
}

static void drop(struct outcome *o)
{
    free(o->body);
    free(o->host_header);
}

START_TEST(calls_share_a_connection)
{
    struct world w;
    open_world(&w);
    for (int i = 0; i < 5; i++) {
        struct outcome o =
            call(&w, (struct http_call_config){
                         .method = "POST", .path = "/echo/a", .body = "xyz", .body_len = 3});
        ck_assert_msg(o.status == 200, "%s", o.err.msg);
        ck_assert_str_eq(o.body, "POST /echo/a xyz");
        ck_assert(str_starts(o.host_header, "127.0.0.1:"));
        drop(&o);
    }
    struct http_counters n;
    http_server_counters(w.f.server, &n);
    ck_assert_uint_eq(n.connections, 1);
    struct outcome o = call(&w, (struct http_call_config){.path = "/echo", .own_connection = true});
    ck_assert_int_eq(o.status, 200);
    drop(&o);
    o = call(&w, (struct http_call_config){.method = "HEAD", .path = "/echo"});
    ck_assert_int_eq(o.status, 200);
    ck_assert_str_eq(o.body, "");
    drop(&o);
    http_server_counters(w.f.server, &n);
    ck_assert_uint_eq(n.connections, 2);
    close_world(&w);
}
END_TEST

/* The thread of a lookup that was left alone frees what it has by itself; the leak check at the end must not come before. */
static void wait_for_lookups(void)
{
    for (int tries = 0; tries < 5000; tries++) {
        DIR *d = opendir("/proc/self/task");
        int threads = 0;
        for (const struct dirent *e; d && (e = readdir(d));)
            threads += e->d_name[0] != '.';
        if (d)
            closedir(d);
        if (threads <= 1)
            return;
        usleep(1000);
    }
}

START_TEST(names_are_looked_up)
{
    struct world w;
    open_world(&w);
    struct outcome o = call(&w, (struct http_call_config){.host = "localhost", .path = "/echo"});
    ck_assert_msg(o.status == 200, "%s", o.err.msg);
    drop(&o);
    o = call(&w, (struct http_call_config){.host = "no.such.host.invalid", .path = "/echo"});
    ck_assert_int_eq(o.status, 0);
    ck_assert_int_eq(o.err.reason, FL_UNAVAILABLE);
    o = call(&w, (struct http_call_config){.host = "127.0.0.1", .port = 1, .path = "/echo"});
    ck_assert_ptr_nonnull(strstr(o.err.msg, "GET /echo at '127.0.0.1:1'"));
    ck_assert_ptr_nonnull(strstr(o.err.msg, "refused"));
    o = call(&w, (struct http_call_config){.path = "/a\r\nX: y"});
    ck_assert_int_eq(o.err.reason, FL_INVALID);
    /* Freed while a lookup is under way: the answer finds nobody. */
    struct http_call_config cfg = {.method = "GET", .host = "localhost", .port = 1, .path = "/"};
    ck_assert_int_eq(http_client_call(w.client, &cfg, &ops, &o, NULL, &o.err), 0);
    close_world(&w);
    wait_for_lookups();
}
END_TEST

START_TEST(streams_in)
{
    struct world w;
    open_world(&w);
    struct outcome o = call(&w, (struct http_call_config){.path = "/stream", .streaming = true});
    ck_assert_int_eq(o.headers, 1);
    ck_assert_int_eq(o.done, 1);
    ck_assert_uint_eq(o.streamed, 10000);
    drop(&o);
    o = call(&w, (struct http_call_config){.path = "/stream"});
    ck_assert_uint_eq(strlen(o.body), 10000);
    drop(&o);
    o = call(&w, (struct http_call_config){.path = "/stream", .max_body = 9999});
    ck_assert_int_eq(o.err.reason, FL_TOO_LARGE);
    struct outcome c = {.loop = w.loop, .cancel_in_data = true};
    struct http_call_config cfg = {.method = "GET",
                                   .host = "127.0.0.1",
                                   .port = w.f.port,
                                   .path = "/stream",
                                   .streaming = true};
    ck_assert_int_eq(http_client_call(w.client, &cfg, &ops, &c, &c.call, &c.err), 0);
    fl_loop_run(w.loop);
    ck_assert_int_eq(c.done, 0);
    close_world(&w);
}
END_TEST

static void push(void *arg)
{
    struct outcome *o = arg;
    http_call_write(o->call, "abc", 3);
    http_call_write(o->call, "de", 2);
    http_call_end_body(o->call);
}

START_TEST(chunks_out)
{
    struct world w;
    open_world(&w);
    struct outcome o = {.loop = w.loop};
    struct http_call_config cfg = {.method = "POST",
                                   .host = "127.0.0.1",
                                   .port = w.f.port,
                                   .path = "/echo",
                                   .chunked_body = true};
    ck_assert_int_eq(http_client_call(w.client, &cfg, &ops, &o, &o.call, &o.err), 0);
    fl_loop_post(w.loop, push, &o);
    fl_loop_run(w.loop);
    ck_assert_str_eq(o.body, "POST /echo abcde");
    drop(&o);
    close_world(&w);
}
END_TEST

START_TEST(times_out)
{
    struct world w;
    open_world(&w);
    struct outcome o = call(&w, (struct http_call_config){.path = "/never", .timeout_s = 1});
    ck_assert_int_eq(o.err.reason, FL_TIMEOUT);
    close_world(&w);
}
END_TEST

/* A server of raw bytes: for each connection it reads a head and sends the next script, then closes. */
struct raw {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *const
        *scripts; /* NULL ends; "" closes without a word; "~..." keeps open for the next */
};

static void *raw_run(void *arg)
{
    struct raw *r = arg;
    int c = -1;
    for (size_t i = 0; r->scripts[i]; i++) {
        const char *s = r->scripts[i];
        if (c < 0)
            c = accept(r->fd, NULL, NULL);
        if (*s) {
            free(read_until(c, "\r\n\r\n"));
            send_text(c, *s == '~' ? s + 1 : s);
        }
        if (*s != '~') {
            close(c);
            c = -1;
        }
    }
    return NULL;
}

static void raw_start(struct raw *r, const char *const *scripts)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    r->scripts = scripts;
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(r->fd, (struct sockaddr *)&a, len), 0);
    ck_assert_int_eq(listen(r->fd, 8), 0);
    getsockname(r->fd, (struct sockaddr *)&a, &len);
    r->port = ntohs(a.sin_port);
    pthread_create(&r->thread, NULL, raw_run, r);
}

static void raw_stop(struct raw *r)
{
    pthread_join(r->thread, NULL);
    close(r->fd);
}

START_TEST(odd_servers)
{
    static const char *const scripts[] = {
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "SSH-2.0-what\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        NULL,
    };
    struct world w;
    struct raw r;
    open_world(&w);
    raw_start(&r, scripts);
    struct http_call_config cfg = {.path = "/", .port = r.port};
    struct outcome o = call(&w, cfg);
    ck_assert_msg(o.status == 200, "%s", o.err.msg);
    ck_assert_str_eq(o.body, "until the end");
    drop(&o);
    o = call(&w, cfg);
    ck_assert_int_eq(o.status, 204);
    drop(&o);
    o = call(&w, cfg);
    ck_assert_int_eq(o.err.reason, FL_CLOSED);
    o = call(&w, cfg);
    ck_assert_int_eq(o.err.reason, FL_INVALID);
    o = call(&w, cfg);
    ck_assert_int_eq(o.err.reason, FL_UNSUPPORTED);
    cfg.streaming = true;
    o = call(&w, cfg);
    ck_assert_int_eq(o.err.reason, FL_CLOSED);
    ck_assert_uint_eq(o.streamed, 3);
    raw_stop(&r);
    close_world(&w);
}
END_TEST

START_TEST(stale_connection_is_retried)
{
    static const char *const scripts[] = {
        "~HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        "", /* closes on the second use */
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
        NULL,
    };
    struct world w;
    struct raw r;
    open_world(&w);
    raw_start(&r, scripts);
    struct http_call_config cfg = {.path = "/", .port = r.port};
    struct outcome o = call(&w, cfg);
    ck_assert_str_eq(o.body, "a");
    drop(&o);
    o = call(&w, cfg);
    ck_assert_msg(o.status == 200, "%s", o.err.msg);
    ck_assert_str_eq(o.body, "b");
    drop(&o);
    raw_stop(&r);
    close_world(&w);
}
END_TEST

START_TEST(unix_sockets)
{
    struct world w;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    static const char *const scripts[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NULL};
    struct raw r = {.scripts = scripts};
    open_world(&w);
    char dir[] = "/tmp/fl_client_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    fl_snprintf(un.sun_path, sizeof un.sun_path, "%s/sock", dir);
    r.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(r.fd, (struct sockaddr *)&un, sizeof un), 0);
    ck_assert_int_eq(listen(r.fd, 8), 0);
    pthread_create(&r.thread, NULL, raw_run, &r);
    struct outcome o = call(&w, (struct http_call_config){.path = "/", .unix_path = un.sun_path});
    ck_assert_msg(o.status == 200, "%s", o.err.msg);
    drop(&o);
    raw_stop(&r);
    unlink(un.sun_path);
    rmdir(dir);
    close_world(&w);
}
END_TEST

START_TEST(host_port)
{
    static const struct {
        const char *text, *host;
        int port;
    } rows[] = {
        {"http://h:1/path", "h", 1}, {"//h:2/x", "h", 2},  {"h:3", "h", 3},   {"h", "h", 77},
        {"[::1]:5050", "::1", 5050}, {"[::1]", "::1", 77}, {"h:", NULL, 0},   {":1", NULL, 0},
        {"h:65536", NULL, 0},        {"h:x", NULL, 0},     {"[::1", NULL, 0}, {"", NULL, 0},
        {"u@h:1", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *host = NULL;
        uint16_t port = 0;
        struct fl_err err;
        int rc = http_parse_host_port(rows[i].text, 77, &host, &port, &err);
        ck_assert_msg((rc == 0) == (rows[i].host != NULL), "%s", rows[i].text);
        if (rc == 0) {
            ck_assert_str_eq(host, rows[i].host);
            ck_assert_int_eq(port, rows[i].port);
        }
    }
}
END_TEST

START_TEST(queries)
{
    _cleanup_free_ char *a = http_query_get("x=1&a=b%20c+d&a=2&e", "a");
    ck_assert_str_eq(a, "b c d");
    _cleanup_free_ char *e = http_query_get("x=1&e", "e");
    ck_assert_str_eq(e, "");
    _cleanup_free_ char *bad = http_query_get("p=%zz", "p");
    ck_assert_str_eq(bad, "%zz");
    ck_assert_ptr_null(http_query_get("xa=1", "a"));
    ck_assert_ptr_null(http_query_get("", "a"));
    ck_assert_ptr_null(http_query_get(NULL, "a"));
    _cleanup_free_ char *last = http_query_get("p=%41", "p");
    ck_assert_str_eq(last, "A");
}
END_TEST

/* A client that adds the type it means to its default one: what it said last counts. */
START_TEST(header_twice)
{
    const struct http_header h[] = {
        {"Accept", "application/x-protobuf"}, {"Host", "x"}, {"accept", "application/recordio"}};
    const struct http_request r = {.headers = h, .n_headers = 3};

    ck_assert_str_eq(http_request_header(&r, "Accept"), "application/recordio");
    ck_assert_str_eq(http_request_header(&r, "HOST"), "x");
    ck_assert_ptr_null(http_request_header(&r, "Accep"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_client");
    TCase *t = tcase_create("client");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, calls_share_a_connection);
    tcase_add_test(t, names_are_looked_up);
    tcase_add_test(t, streams_in);
    tcase_add_test(t, chunks_out);
    tcase_add_test(t, times_out);
    tcase_add_test(t, odd_servers);
    tcase_add_test(t, stale_connection_is_retried);
    tcase_add_test(t, unix_sockets);
    tcase_add_test(t, host_port);
    tcase_add_test(t, queries);
    tcase_add_test(t, header_twice);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
