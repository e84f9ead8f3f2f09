/* Many clients at once that do everything in any order and leave whenever they like; afterwards nothing is left over and
 * the server answers as before. The sequence is seeded, the interleaving is not: run it under ASan and TSan. */
#include "tests/unit/http_fixture.h"

#define CLIENTS 6
#define ROUNDS  150

static const unsigned thread_counts[] = {0, 2};

struct state {
    struct fl_loop *owner;
    atomic_int streams, gone, ended, bodies, body_ends, taken, taken_closed;
    uint16_t port;
};

struct feed {
    struct state *s;
    struct http_stream *st;
    struct fl_timer *timer;
    int left;
};

static void feed_free(struct feed *f)
{
    fl_timer_free(f->timer);
    free(f);
}

static void on_gone(struct http_stream *st, void *arg)
{
    struct feed *f = arg;
    f->s->gone++;
    feed_free(f);
}

static void feed_more(void *arg)
{
    struct feed *f = arg;
    static const char block[20000];
    if (--f->left == 0) {
        f->s->ended++;
        http_stream_end(f->st);
        feed_free(f);
        return;
    }
    if (http_stream_write(f->st, block, (size_t)f->left * 1000))
        fl_timer_set(f->timer, 500);
}

static void stream(struct http_exchange *ex, void *arg)
{
    struct feed *f = xnew0(struct feed);
    f->s = arg;
    f->s->streams++;
    f->left = 15;
    f->timer = fl_timer_new(f->s->owner, feed_more, f);
    fl_timer_set(f->timer, 100);
    f->st = http_respond_stream(ex, 200, "text/plain", on_gone, f);
}

static void hello(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 200, "text/plain", "hello");
}

struct late {
    struct http_exchange *ex;
    struct fl_timer *timer;
};

static void answer_late(void *arg)
{
    struct late *l = arg;
    struct fl_buf b = FL_BUF_INIT;
    memset(fl_buf_reserve(&b, 200000), 'x', 200000);
    b.len = 200000;
    http_respond_buf(l->ex, 200, "text/plain", &b);
    fl_timer_free(l->timer);
    free(l);
}

static void late(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    struct late *l = xnew0(struct late);
    l->ex = ex;
    l->timer = fl_timer_new(s->owner, answer_late, l);
    fl_timer_set(l->timer, 1500);
}

static void on_body(struct http_exchange *ex, const char *p, size_t n, void *arg)
{
    struct state *s = arg;
    if (p)
        return;
    s->body_ends++;
    http_respond(ex, n ? 400 : 200, NULL, "");
}

static void upload(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    s->bodies++;
    http_on_body(ex, on_body, s);
}

static void early(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 403, NULL, "");
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
    ((struct state *)arg)->taken_closed++;
    fl_stream_free(st);
}

static const struct fl_stream_ops echo_ops = {.on_read = echo_read, .on_closed = echo_closed};

static void taken(struct fl_stream *st, void *arg)
{
    ((struct state *)arg)->taken++;
    fl_stream_set_ops(st, &echo_ops, arg);
}

static void upgrade(struct http_exchange *ex, void *arg)
{
    http_upgrade(ex, "echo", http_exchange_loop(ex), taken, arg);
}

static const struct http_route routes[] = {
    {.path = "/hello", .handler = hello},
    {.path = "/late", .handler = late},
    {.path = "/stream", .handler = stream},
    {.path = "/upload", .handler = upload, .stream_body = true},
    {.path = "/early", .handler = early, .stream_body = true},
    {.path = "/upgrade", .handler = upgrade},
};

static const char *const pieces[] = {
    "GET /hello HTTP/1.1\r\n\r\n",
    "GET /hello HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n",
    "GET /late HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n",
    "GET /late HTTP/1.1\r\n\r\n",
    "GET /stream HTTP/1.1\r\n\r\n",
    "HEAD /stream HTTP/1.1\r\n\r\n",
    "GET /stream HTTP/1.0\r\n\r\n",
    "GET /late HTTP/1.1\r\nConnection: close\r\n\r\n",
    "POST /upload HTTP/1.1\r\nContent-Length: 20\r\n\r\n01234567890123456789",
    "POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    "POST /early HTTP/1.1\r\nContent-Length: 20\r\n\r\n01234567890123456789",
    "POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nbad\r\n",
    "POST /late HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "GET /upgrade HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    "GARBAGE\r\n\r\n",
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void one_client(uint16_t port, unsigned *seed)
{
    static _Thread_local char got[65536];
    int fd = dial(port);
    unsigned n = 1 + next_random(seed) % 8;
    for (unsigned i = 0; i < n; i++) {
        const char *p = pieces[next_random(seed) % ARRAY_SIZE(pieces)];
        size_t len = strlen(p);
        if (next_random(seed) % 8 == 0)
            len = next_random(seed) % len; /* and what follows does not fit */
        send_all(fd, p, len);
        if (next_random(seed) % 3 == 0)
            (void)!recv(fd, got, sizeof got, MSG_DONTWAIT);
    }
    switch (next_random(seed) % 4) {
    case 0: /* at once */
        break;
    case 1: /* after a look */
        usleep(next_random(seed) % 3000);
        break;
    case 2: /* half, then what comes for a while */
        shutdown(fd, SHUT_WR);
        /* fall through */
    default:
        for (int i = 0; i < 10; i++) {
            if (recv(fd, got, sizeof got, MSG_DONTWAIT) == 0)
                break;
            usleep(500);
        }
    }
    close(fd);
}

static void *client_thread(void *arg)
{
    struct state *s = arg;
    static atomic_uint number;
    unsigned seed = ++number * 7919u;
    for (int i = 0; i < ROUNDS; i++)
        one_client(s->port, &seed);
    return NULL;
}

static bool settled(struct fixture *f, struct state *s)
{
    struct http_counters n;
    http_server_counters(f->server, &n);
    return n.open_connections == 0 && s->streams == s->gone + s->ended &&
           s->bodies == s->body_ends && s->taken == s->taken_closed;
}

START_TEST(storm)
{
    struct fixture f;
    struct state s = {0};
    struct fl_err err;
    pthread_t clients[CLIENTS];
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "master",
                                   .io_threads = thread_counts[_i],
                                   .limits = http_limits_default,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes),
                                   .arg = &s};
    c.limits.max_unsent = 300000;
    c.limits.max_pipelined = 3;
    ck_assert_int_eq(fl_loop_new(&f.loop, &err), 0);
    s.owner = f.loop;
    ck_assert_int_eq(http_server_new(f.loop, &c, &f.server, &err), 0);
    s.port = f.port = http_server_port(f.server);
    pthread_create(&f.thread, NULL, fixture_run, &f);
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, client_thread, &s);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    for (int i = 0; i < 2000 && !settled(&f, &s); i++)
        usleep(5000);
    ck_assert_int_eq(s.streams, s.gone + s.ended);
    ck_assert_int_eq(s.bodies, s.body_ends);
    ck_assert_int_eq(s.taken, s.taken_closed);
    ck_assert(settled(&f, &s));
    ck_assert_int_gt(s.taken, 0);
    ck_assert_int_gt(s.gone, 0);
    const char *ask = "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n";
    _cleanup_free_ char *got = talk(s.port, ask, strlen(ask));
    ck_assert_ptr_nonnull(strstr(got, "hello"));
    fixture_stop(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_storm");
    TCase *t = tcase_create("storm");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, storm, 0, (int)ARRAY_SIZE(thread_counts));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
