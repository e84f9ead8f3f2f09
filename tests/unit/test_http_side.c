/* Requests that are answered on the thread of their connection (http_side.h), over real sockets, with and without such threads. */
#include "common/base/http_side.h"
#include "tests/unit/http_fixture.h"

static atomic_uint n_begun, n_gone, n_never, n_rooms, n_ended;

/* Sends the body back; by the query "hold": only what came first, until the client has read it. */
struct echo {
    bool known, held;
};

static void echo_begin(struct http_side *x, struct fl_loop *loop, void *arg)
{
    struct echo *e = arg;
    const struct http_request *r = http_side_request(x);
    const char *length = http_request_header(r, "Content-Length");
    _cleanup_buf_ struct fl_buf head = FL_BUF_INIT;
    uint64_t n = 0;

    atomic_fetch_add(&n_begun, 1);
    if (streq(r->query, "refuse")) {
        free(e);
        http_side_answer(x, 418, "no\n");
        return;
    }
    if (streq(r->query, "abort")) {
        free(e);
        http_side_abort(x);
        return;
    }
    if (streq(r->query, "wait"))
        return;
    fl_buf_adds(&head, "X-Side: yes\r\n");
    e->known = length && fl_parse_u64(length, &n) == 0;
    http_side_head(x, 200, &head, e->known ? (int64_t)n : -1);
    if (streq(r->query, "hold")) {
        e->held = true;
        http_side_hold(x, true);
    }
}

static void echo_body(struct http_side *x, const char *p, size_t n, void *arg)
{
    struct echo *e = arg;

    if (streq(http_side_request(x)->query, "wait"))
        return;
    if (p) {
        http_side_write(x, p, n);
        return;
    }
    atomic_fetch_add(&n_ended, 1);
    free(e);
    http_side_end(x);
}

static void echo_room(struct http_side *x, void *arg)
{
    struct echo *e = arg;

    atomic_fetch_add(&n_rooms, 1);
    if (e->held) {
        e->held = false;
        http_side_hold(x, false);
    }
}

static void echo_gone(struct http_side *x, void *arg)
{
    atomic_fetch_add(&n_gone, 1);
    free(arg);
}

static void echo_never(void *arg)
{
    atomic_fetch_add(&n_never, 1);
    free(arg);
}

static const struct http_side_ops echo_ops = {echo_begin, echo_body, echo_room, echo_gone,
                                              echo_never};

static void echo(struct http_exchange *ex, void *arg)
{
    http_side_move(ex, &echo_ops, xnew0(struct echo));
}

static void plain(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 200, HTTP_TEXT, "plain\n");
}

static void refused(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 403, HTTP_TEXT, "refused\n");
}

static const struct http_route routes[] = {
    {.path = "/echo", .handler = echo, .side_body = true},
    {.path = "/whole", .handler = echo},
    {.path = "/refused", .handler = refused, .side_body = true},
    {.path = "/plain", .handler = plain},
};

static void start(struct fixture *f, int threads)
{
    const struct http_server_config c = {.ip = "127.0.0.1",
                                         .io_threads = (unsigned)threads,
                                         .limits = http_limits_default,
                                         .routes = routes,
                                         .n_routes = ARRAY_SIZE(routes),
                                         .own_files = threads > 0};

    n_begun = n_gone = n_never = n_rooms = n_ended = 0;
    fixture_start(f, &c);
}

static void wait_for(atomic_uint *n, unsigned want)
{
    for (int i = 0; i < 8000 && atomic_load(n) < want; i++)
        usleep(1000);
    ck_assert_uint_ge(atomic_load(n), want);
}

#define POST(path, more) "POST " path " HTTP/1.1\r\nHost: x\r\n" more "\r\n"

START_TEST(bodies_go_through)
{
    struct fixture f;
    start(&f, _i);
    int fd = dial(f.port);
    /* All in one piece: whole and in chunks, a route without side_body, others in between, and the last without a body. */
    send_text(
        fd, POST("/echo", "Content-Length: 5\r\n") "hello" POST(
                "/echo",
                "Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                                                  "GET /plain HTTP/1.1\r\n\r\n" POST(
                                                      "/whole",
                                                      "Content-Length: 3\r\n") "xyz"
                                                                               "GET /echo "
                                                                               "HTTP/"
                                                                               "1.1\r\nConnection: "
                                                                               "close\r\n\r\n");
    char *got = read_until(fd, NULL);
    ck_assert_uint_eq(count_of(got, "HTTP/1.1 200 OK"), 5);
    ck_assert_uint_eq(count_of(got, "X-Side: yes"), 4);
    ck_assert(strstr(got, "Content-Length: 5\r\n\r\nhello"));
    ck_assert(strstr(got, "abc\r\n") || strstr(got, "abcde"));
    const char *first = strstr(got, "hello"), *p = strstr(got, "plain"), *last = strstr(got, "xyz");
    ck_assert(first && p && last && first < p && p < last);
    free(got);
    close(fd);
    wait_for(&n_ended, 4);
    ck_assert_uint_eq(n_gone + n_never, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(refusals)
{
    struct fixture f;
    start(&f, _i);
    int fd = dial(f.port);
    /* What is refused while its body is on its way: the body is thrown away, the connection serves the next. */
    send_text(fd, POST("/echo?refuse", "Content-Length: 6\r\n") "abc");
    char *got = read_until(fd, "no\n");
    ck_assert(strstr(got, " 418 "));
    free(got);
    send_text(fd, "def"
                  "GET /plain HTTP/1.1\r\n\r\n");
    got = read_until(fd, "plain\n");
    free(got);
    send_text(fd, POST("/echo?abort", "Content-Length: 0\r\n"));
    got = read_until(fd, NULL);
    ck_assert_str_eq(got, "");
    free(got);
    close(fd);
    fixture_stop(&f);
    ck_assert_uint_eq(n_gone + n_never, 0);
}
END_TEST

START_TEST(clients_that_leave)
{
    struct fixture f;
    start(&f, _i);
    int fd = dial(f.port);
    send_text(fd, POST("/echo", "Content-Length: 6\r\n") "abc");
    free(read_until(fd, "abc"));
    close(fd);
    wait_for(&n_gone, 1);
    fd = dial(f.port);
    send_text(fd, "GET /echo?wait HTTP/1.1\r\n\r\n");
    wait_for(&n_begun, 2);
    close(fd);
    wait_for(&n_gone, 2);
    /* Those that are there when the server goes. */
    fd = dial(f.port);
    send_text(fd, "GET /echo?wait HTTP/1.1\r\n\r\n");
    wait_for(&n_begun, 3);
    fixture_stop(&f);
    close(fd);
    ck_assert_uint_eq(n_gone, 3);
}
END_TEST

static void *send_much(void *arg)
{
    int fd = *(int *)arg;
    _cleanup_free_ char *block = xmalloc(1 << 16);

    memset(block, 'x', 1 << 16);
    send_text(fd, POST("/echo?hold", "Content-Length: 16777216\r\n"));
    for (int i = 0; i < 256; i++)
        send_all(fd, block, 1 << 16);
    return NULL;
}

START_TEST(much_and_held)
{
    struct fixture f;
    start(&f, _i);
    int fd = dial(f.port);
    pthread_t t;
    size_t n = 0;
    char buf[65536];

    ck_assert_int_eq(pthread_create(&t, NULL, send_much, &fd), 0);
    char *head = read_until(fd, "\r\n\r\n");
    n = strlen(strstr(head, "\r\n\r\n") + 4);
    free(head);
    while (n < 16777216) {
        ssize_t k = recv(fd, buf, sizeof(buf), 0);
        ck_assert_int_gt(k, 0);
        n += (size_t)k;
    }
    pthread_join(t, NULL);
    ck_assert_uint_eq(n, 16777216);
    ck_assert_uint_ge(n_rooms, 1);
    close(fd);
    fixture_stop(&f);
    ck_assert_uint_eq(n_ended, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_side");
    TCase *t = tcase_create("side");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, bodies_go_through, 0, 3);
    tcase_add_loop_test(t, refusals, 0, 3);
    tcase_add_loop_test(t, clients_that_leave, 0, 3);
    tcase_add_loop_test(t, much_and_held, 0, 3);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
