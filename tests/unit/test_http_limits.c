/* The HTTP server under bad weather: slow, silent, greedy and vanishing clients; switches of protocol; the end. */
#include <zlib.h>

#include "tests/unit/http_fixture.h"

static const unsigned thread_counts[] = {0, 2};

struct state {
    struct fl_loop *owner, *other;
    struct http_stream *stream;
    atomic_int gone, drained, body_end, body_cut, taken, decoded_freed, done;
    atomic_size_t body_bytes, refused_writes;
    struct fl_timer *timer;
    struct http_exchange *kept;
};

static void hello(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 200, "text/plain", "hello");
}

static void text10k(struct http_exchange *ex, void *arg)
{
    struct fl_buf b = FL_BUF_INIT;
    for (int i = 0; i < 1000; i++)
        fl_buf_adds(&b, "0123456789");
    http_respond_buf(ex, 200, "text/plain", &b);
}

static void on_gone(struct http_stream *st, void *arg)
{
    struct state *s = arg;
    s->stream = NULL;
    s->gone++;
}

static void endless(void *arg)
{
    struct state *s = arg;
    static char block[65536];
    for (int i = 0; i < 16 && s->stream; i++)
        if (!http_stream_write(s->stream, block, sizeof block)) {
            s->refused_writes++;
            break;
        }
    if (s->stream)
        fl_timer_set(s->timer, 1000);
}

static void flood(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    s->stream = http_respond_stream(ex, 200, "text/plain", on_gone, s);
    s->timer = fl_timer_new(s->owner, endless, s);
    fl_timer_set(s->timer, 0);
}

static void quiet_stream(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    s->stream = http_respond_stream(ex, 200, "text/plain", on_gone, s);
    http_stream_write(s->stream, "x", 1);
}

static void drained(struct http_stream *st, void *arg)
{
    struct state *s = arg;
    s->drained++;
    http_stream_end(st);
}

static void back_pressure(struct http_exchange *ex, void *arg)
{
    static char block[1000000];
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", on_gone, arg);
    for (int i = 0; i < 16; i++)
        http_stream_write(st, block, sizeof block);
    ck_assert_uint_gt(http_stream_unsent(st), 0);
    http_stream_on_drained(st, drained);
}

static void on_piece(struct http_exchange *ex, const char *p, size_t n, void *arg)
{
    struct state *s = arg;
    if (p) {
        s->body_bytes += n;
    } else if (n == 0) {
        s->body_end++;
        http_respondf(ex, 200, "text/plain", "got %zu", (size_t)s->body_bytes);
    } else {
        s->body_cut++;
        http_respond(ex, 400, NULL, "");
    }
}

static void upload(struct http_exchange *ex, void *arg)
{
    http_on_body(ex, on_piece, arg);
}

static void start_late(void *arg)
{
    struct state *s = arg;
    http_on_body(s->kept, on_piece, s);
}

static void upload_late(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    s->kept = ex;
    s->timer = fl_timer_new(s->owner, start_late, s);
    fl_timer_set(s->timer, 50000);
}

static void *decode(const struct http_request *r, struct fl_err *err)
{
    if (!r->body_len) {
        fl_err_set(err, FL_INVALID, "nothing to decode");
        return NULL;
    }
    return xstrdup(r->body);
}

static atomic_int freed;

static void decoded_free(void *p)
{
    freed++;
    free(p);
}

static void decoded(struct http_exchange *ex, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    if (r->decoded)
        http_respondf(ex, 200, "text/plain", "decoded %s", (char *)r->decoded);
    else
        http_respond_err(ex, &r->decode_err);
}

static void echo_read(struct fl_stream *st, void *arg)
{
    size_t n;
    const char *p = fl_stream_peek(st, &n);
    fl_stream_write(st, p, n);
    fl_stream_consume(st, n);
}

static void echo_closed(struct fl_stream *st, const struct fl_err *why, void *arg)
{
    fl_stream_free(st);
}

static const struct fl_stream_ops echo_ops = {.on_read = echo_read, .on_closed = echo_closed};

static void taken(struct fl_stream *st, void *arg)
{
    struct state *s = arg;
    s->taken++;
    fl_stream_set_ops(st, &echo_ops, s);
}

static void upgrade(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    http_upgrade(ex, "echo/1", s->other, taken, s);
}

static void keep(struct http_exchange *ex, void *arg)
{
    ((struct state *)arg)->kept = ex;
}

static const struct http_route routes[] = {
    {.path = "/hello", .handler = hello},
    {.path = "/text", .handler = text10k},
    {.path = "/flood", .handler = flood},
    {.path = "/quiet", .handler = quiet_stream},
    {.path = "/pressure", .handler = back_pressure},
    {.path = "/upload", .handler = upload, .stream_body = true},
    {.path = "/late", .handler = upload_late, .stream_body = true},
    {.path = "/decoded", .handler = decoded, .decode = decode, .decoded_free = decoded_free},
    {.path = "/upgrade", .handler = upgrade},
    {.path = "/keep", .handler = keep},
};

struct setup {
    struct fixture f;
    struct state s;
    struct http_server_config c;
    pthread_t other_thread;
};

static void *run_loop(void *arg)
{
    fl_loop_run(arg);
    return NULL;
}

static void prepare(struct setup *u, int i)
{
    struct fl_err err;
    *u = (struct setup){0};
    u->c = (struct http_server_config){.ip = "127.0.0.1",
                                       .process_id = "master",
                                       .io_threads = thread_counts[i],
                                       .limits = http_limits_default,
                                       .routes = routes,
                                       .n_routes = ARRAY_SIZE(routes),
                                       .arg = &u->s};
    ck_assert_int_eq(fl_loop_new(&u->s.other, &err), 0);
    pthread_create(&u->other_thread, NULL, run_loop, u->s.other);
}

static void begin(struct setup *u)
{
    struct fl_err err;
    ck_assert_int_eq(fl_loop_new(&u->f.loop, &err), 0);
    u->s.owner = u->f.loop;
    ck_assert_msg(http_server_new(u->f.loop, &u->c, &u->f.server, &err) == 0, "%s", err.msg);
    u->f.port = http_server_port(u->f.server);
    pthread_create(&u->f.thread, NULL, fixture_run, &u->f);
}

static void end(struct setup *u)
{
    fl_loop_stop(u->f.loop);
    pthread_join(u->f.thread, NULL);
    http_server_free(u->f.server);
    if (u->s.stream)
        http_stream_end(u->s.stream); /* allowed after the server's end */
    fl_timer_free(u->s.timer);
    fl_loop_stop(u->s.other);
    pthread_join(u->other_thread, NULL);
    fl_loop_free(u->s.other);
    fl_loop_free(u->f.loop);
}

static struct http_counters counters(struct setup *u)
{
    struct http_counters n;
    http_server_counters(u->f.server, &n);
    return n;
}

/* Until the other threads have done it, ten seconds at most; what is waited for has no event to wait on. */
#define EVENTUALLY(cond)                                                                           \
    do {                                                                                           \
        int _tries = 0;                                                                            \
        while (!(cond) && _tries++ < 2000)                                                         \
            usleep(5000);                                                                          \
        ck_assert(cond);                                                                           \
    } while (0)

START_TEST(large_headers)
{
    struct setup u;
    prepare(&u, _i);
    u.c.limits.max_header = 20000;
    begin(&u);
    struct fl_buf b = FL_BUF_INIT;
    fl_buf_adds(&b, "GET /hello HTTP/1.1\r\nConnection: close\r\nX: ");
    for (int i = 0; i < 1000; i++)
        fl_buf_adds(&b, "0123456789");
    size_t fits = b.len;
    fl_buf_adds(&b, "\r\n\r\n");
    _cleanup_free_ char *ok = talk(u.f.port, b.data, b.len);
    ck_assert_ptr_nonnull(strstr(ok, " 200 "));
    b.len = fits;
    for (int i = 0; i < 200; i++)
        fl_buf_addf(&b, "\r\nheader-%d: %060d", i, i);
    fl_buf_adds(&b, "\r\n\r\n");
    _cleanup_free_ char *many = talk(u.f.port, b.data, b.len);
    ck_assert_msg(str_starts(many, "HTTP/1.1 431 "), "%.200s", many);
    fl_buf_clear(&b);
    fl_buf_adds(&b, "GET /");
    for (int i = 0; i < 20000; i++)
        fl_buf_adds(&b, "0123456789");
    _cleanup_free_ char *line = talk(u.f.port, b.data, b.len);
    ck_assert_msg(str_starts(line, "HTTP/1.1 431 "), "%.200s", line);
    ck_assert_uint_eq(counters(&u).too_large, 2);
    fl_buf_done(&b);
    end(&u);
}
END_TEST

START_TEST(large_bodies)
{
    struct setup u;
    prepare(&u, _i);
    u.c.limits.max_body = 100000;
    begin(&u);
    struct fl_buf b = FL_BUF_INIT;
    fl_buf_adds(&b, "POST /hello HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 50; i++) {
        fl_buf_adds(&b, "1000\r\n");
        memset(fl_buf_reserve(&b, 4096), 'x', 4096);
        b.len += 4096;
        fl_buf_adds(&b, "\r\n");
    }
    _cleanup_free_ char *got = talk(u.f.port, b.data, b.len);
    ck_assert_msg(str_starts(got, "HTTP/1.1 413 "), "%.200s", got);
    fl_buf_done(&b);
    end(&u);
}
END_TEST

START_TEST(slow_clients)
{
    struct setup u;
    prepare(&u, _i);
    u.c.limits.header_timeout_s = 1;
    u.c.limits.body_timeout_s = 1;
    u.c.limits.idle_timeout_s = 1;
    begin(&u);
    int head = dial(u.f.port), body = dial(u.f.port), idle = dial(u.f.port), mute = dial(u.f.port);
    int waits = dial(u.f.port);
    send_text(head, "GET /hello HTTP/1.1\r\nA: b");
    send_text(body, "POST /hello HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    send_text(idle, "GET /hello HTTP/1.1\r\n\r\n");
    send_text(waits, "GET /quiet HTTP/1.1\r\n\r\n");
    _cleanup_free_ char *a = read_until(head, NULL), *b = read_until(body, NULL),
                        *c = read_until(idle, NULL), *d = read_until(mute, NULL);
    ck_assert_msg(strstr(a, " 408 ") != NULL, "%s", a);
    ck_assert_msg(strstr(b, " 408 ") != NULL, "%s", b);
    ck_assert_ptr_nonnull(strstr(c, "hello"));
    ck_assert_str_eq(d, "");
    ck_assert_uint_eq(counters(&u).slow_closed, 2);
    /* The stream, on which nothing came for as long, is still there. */
    ck_assert_int_eq(u.s.gone, 0);
    close(head);
    close(body);
    close(idle);
    close(mute);
    EVENTUALLY(counters(&u).open_connections == 1);
    close(waits);
    EVENTUALLY(u.s.gone == 1);
    end(&u);
}
END_TEST

START_TEST(slow_reader)
{
    struct setup u;
    prepare(&u, _i);
    u.c.limits.max_unsent = 4 * 1024 * 1024;
    begin(&u);
    int fd = dial(u.f.port);
    send_text(fd, "GET /flood HTTP/1.1\r\n\r\n");
    EVENTUALLY(u.s.gone == 1);
    ck_assert_uint_eq(counters(&u).overrun_closed, 1);
    EVENTUALLY(counters(&u).open_connections == 0);
    close(fd);
    end(&u);
}
END_TEST

/* One who asks and asks but takes no answers is not served further until it does. */
START_TEST(greedy_client)
{
    struct setup u;
    prepare(&u, _i);
    u.c.limits.idle_timeout_s = 2;
    begin(&u);
    struct fl_buf b = FL_BUF_INIT;
    for (int i = 0; i < 3000; i++)
        fl_buf_adds(&b, "GET /text HTTP/1.1\r\n\r\n");
    int fd = dial(u.f.port), stuck = dial(u.f.port);
    send_all(fd, b.data, b.len);
    send_all(stuck, b.data, b.len);
    uint64_t before;
    do { /* until nothing moves */
        before = counters(&u).requests;
        usleep(100000);
    } while (counters(&u).requests != before);
    ck_assert_uint_lt(before, 3000);
    size_t got = 0;
    static char block[1 << 20];
    while (got < 3000 * 10000) {
        ssize_t n = recv(fd, block, sizeof block, 0);
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    /* Who takes nothing at all is closed when its idle time is over. */
    EVENTUALLY(counters(&u).open_connections == 0);
    close(fd);
    close(stuck);
    fl_buf_done(&b);
    end(&u);
}
END_TEST

START_TEST(client_leaves)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    int fd = dial(u.f.port);
    send_text(fd, "GET /quiet HTTP/1.1\r\nConnection: close\r\n\r\n");
    free(read_until(fd, "1\r\nx\r\n"));
    close(fd);
    EVENTUALLY(u.s.gone == 1);
    fd = dial(u.f.port);
    send_text(fd, "POST /upload HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    EVENTUALLY(u.s.body_bytes == 3);
    close(fd);
    EVENTUALLY(u.s.body_cut == 1);
    /* A client that only closes its sending half is answered. */
    fd = dial(u.f.port);
    send_text(fd, "GET /text HTTP/1.1\r\n\r\n");
    shutdown(fd, SHUT_WR);
    _cleanup_free_ char *got = read_until(fd, NULL);
    ck_assert_int_eq((int)count_of(got, "0123456789"), 1000);
    close(fd);
    end(&u);
}
END_TEST

START_TEST(pressure_is_felt)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    int fd = dial(u.f.port);
    send_text(fd, "GET /pressure HTTP/1.1\r\n\r\n");
    _cleanup_free_ char *got = read_until(fd, "0\r\n\r\n");
    ck_assert_ptr_nonnull(got);
    ck_assert_int_eq(u.s.drained, 1);
    close(fd);
    end(&u);
}
END_TEST

static void unzip(const char *p, size_t n, char *out, size_t size)
{
    z_stream z = {.next_in = (Bytef *)p,
                  .avail_in = (uInt)n,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)size};
    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    ck_assert_uint_eq(z.total_out, 10000);
    inflateEnd(&z);
}

START_TEST(compression)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    for (int i = 0; i < 2; i++) { /* twice: the compressor is used again */
        char plain[10001];
        int fd = dial(u.f.port);
        send_text(fd, "GET /text HTTP/1.1\r\nAccept-Encoding: br, gzip;q=0.5\r\n"
                      "Connection: close\r\n\r\n");
        char got[20000];
        size_t n = 0;
        ssize_t r;
        while ((r = recv(fd, got + n, sizeof got - n, 0)) > 0)
            n += (size_t)r;
        char *body = memmem(got, n, "\r\n\r\n", 4);
        ck_assert_ptr_nonnull(body);
        ck_assert_ptr_nonnull(memmem(got, n, "Content-Encoding: gzip\r\n", 24));
        body += 4;
        unzip(body, n - (size_t)(body - got), plain, sizeof plain);
        ck_assert_int_eq(memcmp(plain, "01234567890123", 14), 0);
        close(fd);
    }
    const char *refused =
        "GET /text HTTP/1.1\r\nAccept-Encoding: gzip;q=0\r\nConnection: close\r\n\r\n";
    _cleanup_free_ char *a = talk(u.f.port, refused, strlen(refused));
    ck_assert_ptr_null(strstr(a, "Content-Encoding"));
    const char *small = "GET /hello HTTP/1.1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    _cleanup_free_ char *b = talk(u.f.port, small, strlen(small));
    ck_assert_ptr_null(strstr(b, "Content-Encoding"));
    end(&u);
}
END_TEST

START_TEST(continues)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    int fd = dial(u.f.port);
    send_text(fd, "POST /decoded HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    free(read_until(fd, "HTTP/1.1 100 Continue\r\n\r\n"));
    send_text(fd, "abc");
    free(read_until(fd, "decoded abc"));
    send_text(fd, "POST /decoded HTTP/1.1\r\nConnection: close\r\n\r\n");
    _cleanup_free_ char *got = read_until(fd, NULL);
    ck_assert_msg(strstr(got, " 400 ") && strstr(got, "nothing to decode"), "%s", got);
    EVENTUALLY(freed == 1);
    close(fd);
    end(&u);
}
END_TEST

START_TEST(streamed_bodies)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    static char block[65536];
    int fd = dial(u.f.port);
    send_text(fd, "POST /upload HTTP/1.1\r\nContent-Length: 6553600\r\n\r\n");
    for (int i = 0; i < 100; i++)
        send_all(fd, block, sizeof block);
    free(read_until(fd, "got 6553600"));
    u.s.body_bytes = 0;
    /* A handler that listens late loses nothing, and the client is held back meanwhile. */
    send_text(fd, "POST /late HTTP/1.1\r\nContent-Length: 6553600\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 100; i++)
        send_all(fd, block, sizeof block);
    free(read_until(fd, "got 6553600"));
    close(fd);
    end(&u);
}
END_TEST

START_TEST(protocol_switch)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    int fd = dial(u.f.port);
    /* Behind another request, and with the first words of the new protocol in the same piece. */
    send_text(fd, "GET /text HTTP/1.1\r\n\r\n"
                  "GET /upgrade HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\nearly");
    _cleanup_free_ char *got = read_until(fd, "early");
    ck_assert_ptr_nonnull(strstr(got, "HTTP/1.1 101 Switching Protocols\r\n"));
    ck_assert_ptr_nonnull(strstr(got, "Upgrade: echo/1\r\nConnection: Upgrade\r\n"));
    send_text(fd, "GET /hello HTTP/1.1\r\n\r\n");
    _cleanup_free_ char *echoed = read_until(fd, "\r\n\r\n");
    ck_assert_str_eq(echoed, "GET /hello HTTP/1.1\r\n\r\n");
    ck_assert_int_eq(u.s.taken, 1);
    close(fd);
    fd = dial(u.f.port);
    send_text(fd, "GET /upgrade HTTP/1.1\r\n\r\n");
    free(read_until(fd, "HTTP/1.1 426 Upgrade Required"));
    send_text(fd, "GET /hello HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    free(read_until(fd, "hello"));
    send_text(fd, "GET /hello HTTP/1.1\r\n\r\n");
    free(read_until(fd, "hello"));
    close(fd);
    EVENTUALLY(counters(&u).open_connections == 0);
    end(&u);
}
END_TEST

START_TEST(connection_limit)
{
    struct setup u;
    prepare(&u, _i);
    u.c.limits.max_connections = 2;
    begin(&u);
    int a = dial(u.f.port), b = dial(u.f.port);
    EVENTUALLY(counters(&u).open_connections == 2);
    int c = dial(u.f.port);
    send_text(c, "GET /hello HTTP/1.1\r\n\r\n");
    _cleanup_free_ char *got = read_until(c, NULL);
    ck_assert_msg(str_starts(got, "HTTP/1.1 503 "), "%s", got);
    ck_assert_uint_eq(counters(&u).refused_connections, 1);
    send_text(a, "GET /hello HTTP/1.1\r\n\r\n");
    free(read_until(a, "hello"));
    close(a);
    close(b);
    close(c);
    end(&u);
}
END_TEST

static void on_drain_done(void *arg)
{
    ((struct state *)arg)->done++;
}

static void drain_long(void *arg)
{
    struct setup *u = arg;
    http_server_drain(u->f.server, 60000, on_drain_done, &u->s);
}

static void drain_short(void *arg)
{
    struct setup *u = arg;
    http_server_drain(u->f.server, 100, on_drain_done, &u->s);
}

static void answer_kept(void *arg)
{
    struct state *s = arg;
    http_respond(s->kept, 200, "text/plain", "late answer");
}

START_TEST(draining)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    int idle = dial(u.f.port), busy = dial(u.f.port);
    send_text(busy, "GET /keep HTTP/1.1\r\n\r\n");
    EVENTUALLY(counters(&u).requests == 1 && counters(&u).open_connections == 2);
    fl_loop_post(u.f.loop, drain_long, &u);
    free(read_until(idle, NULL));
    ck_assert_int_eq(u.s.done, 0);
    fl_loop_post(u.f.loop, answer_kept, &u.s);
    _cleanup_free_ char *got = read_until(busy, NULL);
    ck_assert_msg(strstr(got, "Connection: close\r\n\r\nlate answer") != NULL, "%s", got);
    close(busy);
    close(idle);
    EVENTUALLY(u.s.done == 1);
    end(&u);
}
END_TEST

START_TEST(draining_by_force)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    int busy = dial(u.f.port);
    send_text(busy, "GET /quiet HTTP/1.1\r\n\r\n");
    free(read_until(busy, "1\r\nx\r\n"));
    fl_loop_post(u.f.loop, drain_short, &u);
    free(read_until(busy, NULL));
    EVENTUALLY(u.s.done == 1 && u.s.gone == 1);
    close(busy);
    end(&u);
}
END_TEST

START_TEST(freed_with_all_open)
{
    struct setup u;
    prepare(&u, _i);
    begin(&u);
    int a = dial(u.f.port), b = dial(u.f.port);
    send_text(a, "GET /quiet HTTP/1.1\r\n\r\n");
    free(read_until(a, "1\r\nx\r\n"));
    send_text(b, "GET /text HTTP/1.1\r\n\r\nGET /te");
    free(read_until(b, "HTTP/1.1 200"));
    end(&u);
    close(a);
    close(b);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        large_headers,   large_bodies,     slow_clients, slow_reader,       greedy_client,
        client_leaves,   pressure_is_felt, compression,  continues,         streamed_bodies,
        protocol_switch, connection_limit, draining,     draining_by_force, freed_with_all_open,
    };
    Suite *s = suite_create("http_limits");
    TCase *t = tcase_create("limits");
    int n = (int)ARRAY_SIZE(thread_counts);
    tcase_set_timeout(t, 60);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
        tcase_add_loop_test(t, tests[i], 0, n);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
