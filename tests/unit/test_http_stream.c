/* What streaming answers put on the wire: a chunk for each write, whatever was gathered on the way; the limits; and that requests
 * in bulk leave the owner's loop time for other things. */
#include <semaphore.h>
#include <time.h>

#include "common/base/http_cast.h"
#include "tests/unit/http_fixture.h"

static const unsigned thread_counts[] = {0, 2};

struct state {
    struct fl_loop *owner;
    struct fl_timer *timer;
    unsigned slow_handled, handled_at_timer;
    bool refused;
    sem_t gone;
};

static void record(struct http_stream *st, const char *text, size_t times)
{
    struct fl_buf *b = http_stream_begin(st);

    for (size_t i = 0; i < times; i++)
        fl_buf_adds(b, text);
    ck_assert(http_stream_end_record(st));
}

static void mixed(struct http_exchange *ex, void *arg)
{
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", NULL, NULL);
    struct fl_buf small = FL_BUF_INIT, large = FL_BUF_INIT;

    record(st, "hello", 1);
    ck_assert(http_stream_write_record(st, "ab", 2));
    ck_assert(http_stream_write(st, "xyz", 3));
    ck_assert(http_stream_write(st, "", 0)); /* would be the last chunk */
    fl_buf_adds(&small, "small");
    ck_assert(http_stream_write_buf(st, &small));
    for (int i = 0; i < 20000; i++)
        fl_buf_addc(&large, 'L');
    ck_assert(
        http_stream_write_buf(st, &large)); /* handed over: what follows must not overtake it */
    record(st, "", 0);
    record(st, "0123456789", 1000);
    if (streq(http_exchange_request(ex)->query, "close"))
        http_stream_end_and_close(st);
    else
        http_stream_end(st);
}

/* More than one message takes. */
static void many(struct http_exchange *ex, void *arg)
{
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", NULL, NULL);

    for (int i = 0; i < 2000; i++)
        record(st, "0123456789abcdef", 32);
    http_stream_end(st);
}

static void on_gone(struct http_stream *st, void *arg)
{
    struct state *s = arg;

    sem_post(&s->gone);
}

static void limited(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", on_gone, s);

    http_stream_set_max_unsent(st, 1000);
    s->refused = !http_stream_write(st, "fits", 4);
    struct fl_buf *b = http_stream_begin(st);
    for (int i = 0; i < 2000; i++)
        fl_buf_addc(b, 'x');
    s->refused = !s->refused && !http_stream_end_record(st);
    ck_assert_ptr_null(http_stream_begin(st));
    ck_assert(!http_stream_write(st, "more", 4));
}

/* ---- casts ---- */

#define MEMBERS 8 /* whose connections are on all threads */

static struct {
    struct http_cast *cast;
    struct http_stream *members[MEMBERS];
    unsigned n, refused, overran;
} all;

static void cast_record(const char *text, size_t times)
{
    struct fl_buf *b = http_cast_begin(all.cast);

    for (size_t i = 0; i < times; i++)
        fl_buf_adds(b, text);
    http_cast_end_record(all.cast);
}

static void member_gone(struct http_stream *st, void *arg)
{
    all.overran += http_stream_overran(st);
    on_gone(st, arg);
}

static void cast_join(struct http_exchange *ex, void *arg)
{
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", member_gone, arg);

    all.refused += !http_cast_join(all.cast, st);
    all.members[all.n++] = st;
}

/* What each member gets, alone and with all, is in the order in which it was written; the last one leaves before the end. */
static void cast_mixed(struct http_exchange *ex, void *arg)
{
    cast_record("one", 1);
    record(all.members[1], "alone", 1);
    cast_record("two", 1);
    http_stream_end(all.members[MEMBERS - 1]);
    cast_record("0123456789", 30000); /* more than a socket holds at once */
    record(all.members[0], "alone", 1);
    record(all.members[0], "again", 1);
    cast_record("three", 1);
    for (size_t i = 0; i < MEMBERS - 1; i++)
        http_stream_end(all.members[i]);
    ck_assert_uint_eq(http_cast_members(all.cast), 0);
    cast_record("nobody", 1);
    http_respond(ex, 200, NULL, "");
}

/* Far more than the limit of members that do not read, in turns of the loop. */
static void cast_flood(struct http_exchange *ex, void *arg)
{
    for (int i = 0; i < 100; i++)
        cast_record("0123456789abcdef", 1024);
    http_respond(ex, 200, NULL, "");
}

static void cast_last(struct http_exchange *ex, void *arg)
{
    cast_record("last", 1);
    http_respond(ex, 200, NULL, "");
}

/* ---- slices ---- */

static void on_timer(void *arg)
{
    struct state *s = arg;

    s->handled_at_timer = s->slow_handled;
}

static void slow(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    uint64_t end = fl_loop_now_us(s->owner) + 1000;

    if (s->slow_handled++ == 0) {
        s->timer = fl_timer_new(s->owner, on_timer, s);
        fl_timer_set(s->timer, 1000);
    }
    while (fl_loop_now_us(s->owner) < end)
        ;
    http_respond(ex, 202, NULL, "");
}

static const struct http_route routes[] = {
    {.path = "/mixed", .handler = mixed},           {.path = "/many", .handler = many},
    {.path = "/limited", .handler = limited},       {.path = "/slow", .handler = slow},
    {.path = "/cast/join", .handler = cast_join},   {.path = "/cast/mixed", .handler = cast_mixed},
    {.path = "/cast/flood", .handler = cast_flood}, {.path = "/cast/last", .handler = cast_last},
};

static void start(struct fixture *f, struct state *s, unsigned threads)
{
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "x",
                                   .io_threads = threads,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes),
                                   .arg = s,
                                   .limits = {.max_pipelined = 200}};

    *s = (struct state){0};
    sem_init(&s->gone, 0, 0);
    fixture_start(f, &c);
    s->owner = f->loop;
}

static char *get(uint16_t port, const char *path, const char *version)
{
    _cleanup_free_ char *request =
        xasprintf("GET %s HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n", path, version);

    return talk(port, request, strlen(request));
}

static void add_mixed(struct fl_buf *b, bool chunked)
{
    static const char *const small[] = {"5\nhello", "2\nab", "xyz", "small"};

    for (size_t i = 0; i < ARRAY_SIZE(small); i++)
        if (chunked)
            fl_buf_addf(b, "%zx\r\n%s\r\n", strlen(small[i]), small[i]);
        else
            fl_buf_adds(b, small[i]);
    fl_buf_adds(b, chunked ? "4e20\r\n" : "");
    for (int i = 0; i < 20000; i++)
        fl_buf_addc(b, 'L');
    fl_buf_adds(b, chunked ? "\r\n2\r\n0\n\r\n2716\r\n10000\n" : "0\n10000\n");
    for (int i = 0; i < 1000; i++)
        fl_buf_adds(b, "0123456789");
    fl_buf_adds(b, chunked ? "\r\n0\r\n\r\n" : "");
}

START_TEST(each_write_is_its_own_chunk)
{
    static const char *const versions[] = {"1.1", "1.0"};
    struct fixture f;
    struct state s;

    start(&f, &s, thread_counts[_i]);
    for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
        _cleanup_buf_ struct fl_buf want = FL_BUF_INIT;
        _cleanup_free_ char *got = get(f.port, "/mixed", versions[v]);
        char *body = strstr(got, "\r\n\r\n");

        ck_assert_ptr_nonnull(body);
        add_mixed(&want, v == 0);
        ck_assert_str_eq(body + 4, fl_buf_cstr(&want));
    }
    fixture_stop(&f);
}
END_TEST

START_TEST(more_than_a_message_holds)
{
    struct fixture f;
    struct state s;

    start(&f, &s, thread_counts[_i]);
    _cleanup_free_ char *got = get(f.port, "/many", "1.1");
    ck_assert_uint_eq(count_of(got, "204\r\n512\n0123456789abcdef"), 2000);
    ck_assert_uint_eq(strlen(strstr(got, "\r\n\r\n") + 4), 2000 * (5 + 4 + 512 + 2) + 5);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_stream_may_end_its_connection)
{
    static const char request[] = "GET /mixed?close HTTP/1.1\r\nHost: x\r\n\r\n";
    struct fixture f;
    struct state s;

    start(&f, &s, thread_counts[_i]);
    /* It keeps alive by its own wish: that this returns at all is the end of file. */
    _cleanup_free_ char *got = talk(f.port, request, strlen(request));
    ck_assert_ptr_nonnull(strstr(got, "\r\n0\r\n\r\n"));
    fixture_stop(&f);
}
END_TEST

START_TEST(over_its_own_limit_it_is_cut)
{
    struct fixture f;
    struct timespec until;
    struct state s;

    start(&f, &s, thread_counts[_i]);
    _cleanup_free_ char *got = get(f.port, "/limited", "1.1");
    ck_assert_ptr_null(strstr(got, "xxxx"));
    /* It is told after the client has seen the end. */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 8;
    ck_assert_int_eq(sem_timedwait(&s.gone, &until), 0);
    fixture_stop(&f);
    ck_assert(s.refused);
}
END_TEST

static int join_cast(const struct fixture *f, const char *version)
{
    int fd = dial(f->port);
    _cleanup_free_ char *request = xasprintf("GET /cast/join HTTP/%s\r\nHost: x\r\n\r\n", version);
    _cleanup_free_ char *head = NULL;

    send_text(fd, request);
    head = read_until(fd, "\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(head, " 200 "));
    return fd;
}

static void skip_bytes(int fd, size_t n)
{
    char room[65536];

    while (n > 0) {
        ssize_t got = recv(fd, room, FL_MIN(n, sizeof room), 0);
        ck_assert_int_gt(got, 0);
        n -= (size_t)got;
    }
}

static void begin_cast(struct fixture *f, struct state *s, unsigned threads)
{
    memset(&all, 0, sizeof all);
    all.cast = http_cast_new();
    start(f, s, threads);
}

START_TEST(a_cast_keeps_the_order)
{
    int fds[MEMBERS];
    struct fixture f;
    struct state s;

    begin_cast(&f, &s, thread_counts[_i]);
    for (int i = 0; i < MEMBERS; i++)
        fds[i] = join_cast(&f, "1.1");
    ck_assert_uint_eq(all.refused, 0);
    free(get(f.port, "/cast/mixed", "1.1"));
    for (int i = 0; i < MEMBERS; i++) {
        _cleanup_free_ char *got = read_until(fds[i], "\r\n0\r\n\r\n");
        _cleanup_buf_ struct fl_buf want = FL_BUF_INIT;

        fl_buf_addf(&want, "5\r\n3\none\r\n%s5\r\n3\ntwo\r\n", i == 1 ? "7\r\n5\nalone\r\n" : "");
        if (i < MEMBERS - 1) {
            fl_buf_adds(&want, "493e7\r\n300000\n");
            for (int j = 0; j < 30000; j++)
                fl_buf_adds(&want, "0123456789");
            fl_buf_addf(&want, "\r\n%s7\r\n5\nthree\r\n",
                        i == 0 ? "7\r\n5\nalone\r\n7\r\n5\nagain\r\n" : "");
        }
        fl_buf_adds(&want, "0\r\n\r\n");
        ck_assert_str_eq(got, fl_buf_cstr(&want));
        close(fds[i]);
    }
    fixture_stop(&f);
    http_cast_free(all.cast);
}
END_TEST

START_TEST(a_cast_leaves_the_slow_behind)
{
    struct http_counters n;
    struct fixture f;
    struct timespec until;
    struct state s;

    begin_cast(&f, &s, thread_counts[_i]);
    int slow_fd = join_cast(&f, "1.1"), fd = join_cast(&f, "1.1"), old = join_cast(&f, "1.0");
    ck_assert_uint_eq(all.refused, 1); /* it cannot have chunks */
    http_stream_set_max_unsent(all.members[0], 256 * 1024);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    unsigned floods = 0;
    do {
        free(get(f.port, "/cast/flood", "1.1"));
        skip_bytes(fd, 100 * strlen("4006\r\n16384\n\r\n") + 100 * 16384ul);
        ck_assert_uint_lt(++floods, 100); /* the sockets do not hold more than this */
    } while (sem_trywait(&s.gone) < 0);
    free(get(f.port, "/cast/last", "1.1"));
    free(read_until(fd, "last\r\n"));
    http_server_counters(f.server, &n);
    ck_assert_uint_eq(n.overrun_closed, 1);
    ck_assert_uint_eq(all.overran, 1);
    close(slow_fd);
    close(old);
    close(fd);
    fixture_stop(&f);
    http_cast_free(all.cast);
}
END_TEST

START_TEST(requests_in_bulk_let_timers_run)
{
    static const char one[] = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char last[] = "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    _cleanup_buf_ struct fl_buf requests = FL_BUF_INIT;
    struct http_counters n;
    struct fixture f;
    struct state s;

    start(&f, &s, 2);
    for (int i = 0; i < 99; i++)
        fl_buf_adds(&requests, one);
    fl_buf_adds(&requests, last);
    _cleanup_free_ char *got = talk(f.port, requests.data, requests.len);
    ck_assert_uint_eq(count_of(got, "HTTP/1.1 202 Accepted"), 100);
    http_server_counters(f.server, &n);
    ck_assert_uint_eq(n.waiting, 0);
    fl_loop_stop(f.loop);
    pthread_join(f.thread, NULL);
    fl_timer_free(s.timer);
    http_server_free(f.server);
    fl_loop_free(f.loop);
    ck_assert_uint_gt(s.handled_at_timer, 0);
    ck_assert_uint_lt(s.handled_at_timer, 60); /* all of them, were it not for the slices */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_stream");
    TCase *t = tcase_create("stream");

    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, each_write_is_its_own_chunk, 0, 2);
    tcase_add_loop_test(t, more_than_a_message_holds, 0, 2);
    tcase_add_loop_test(t, a_stream_may_end_its_connection, 0, 2);
    tcase_add_loop_test(t, over_its_own_limit_it_is_cut, 0, 2);
    tcase_add_loop_test(t, a_cast_keeps_the_order, 0, 2);
    tcase_add_loop_test(t, a_cast_leaves_the_slow_behind, 0, 2);
    tcase_add_test(t, requests_in_bulk_let_timers_run);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
