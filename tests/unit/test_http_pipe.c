/* Requests without waiting for answers: against our own server, and against raw sockets that misbehave. */
#include "common/base/http_pipe.h"

#include "tests/unit/http_fixture.h"

enum { MANY = 500 };

static atomic_uint served;
static unsigned order_broken;

/* Answers the number it is sent; 299 says that they came out of order. */
static void number(struct http_exchange *ex, void *arg)
{
    unsigned want = atomic_fetch_add(&served, 1);
    char text[16];

    fl_snprintf(text, sizeof(text), "%u", want);
    if (!streq(http_exchange_request(ex)->body, text))
        order_broken++;
    http_respond(ex, 202, NULL, "");
}

static void refuse(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 403, HTTP_TEXT, "no");
}

static const struct http_route routes[] = {
    {.path = "/number", .handler = number},
    {.path = "/refuse", .handler = refuse},
};

struct outcome {
    struct fl_loop *loop;
    struct http_pipe *pipe;
    unsigned answers, good, lost, want;
    int status;
    char body[32];
    bool free_in_answer;
};

static void on_answer(void *arg, int status, const char *body)
{
    struct outcome *o = arg;

    o->answers++;
    o->good += status == 202;
    o->lost += status == 0;
    o->status = status;
    fl_snprintf(o->body, sizeof(o->body), "%s", body);
    if (o->free_in_answer)
        http_pipe_free(TAKE_PTR(o->pipe));
    if (o->answers == o->want || o->free_in_answer)
        fl_loop_stop(o->loop);
}

static void open_pipe(struct outcome *o, uint16_t port, const char *path, unsigned want)
{
    struct http_header h = {"Content-Type", "text/plain"};
    struct http_pipe_config c = {
        .host = "127.0.0.1", .port = port, .path = path, .headers = &h, .n_headers = 1};
    struct fl_err err;

    *o = (struct outcome){.want = want};
    ck_assert_int_eq(fl_loop_new(&o->loop, &err), 0);
    o->pipe = http_pipe_new(o->loop, &c, on_answer, o, &err);
    ck_assert_ptr_nonnull(o->pipe);
}

static void post_numbers(struct outcome *o, unsigned from, unsigned n)
{
    char text[16];

    for (unsigned i = from; i < from + n; i++) {
        fl_snprintf(text, sizeof(text), "%u", i);
        http_pipe_post(o->pipe, text, strlen(text));
    }
}

static void close_pipe(struct outcome *o)
{
    http_pipe_free(o->pipe);
    fl_loop_free(o->loop);
}

static void start(struct fixture *f, unsigned threads)
{
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "x",
                                   .io_threads = threads,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes)};

    atomic_store(&served, 0);
    order_broken = 0;
    fixture_start(f, &c);
}

START_TEST(many_arrive_in_order_on_one_connection)
{
    struct fixture f;
    struct outcome o;
    struct http_counters n;

    start(&f, _i);
    open_pipe(&o, f.port, "/number", MANY);
    post_numbers(&o, 0, MANY);
    ck_assert_uint_eq(http_pipe_pending(o.pipe), MANY);
    fl_loop_run(o.loop);
    ck_assert_uint_eq(o.good, MANY);
    ck_assert_uint_eq(http_pipe_pending(o.pipe), 0);
    /* The pipe stays open: more go the same way. */
    o.want = MANY + 3;
    post_numbers(&o, MANY, 3);
    fl_loop_run(o.loop);
    ck_assert_uint_eq(o.good, MANY + 3);
    http_server_counters(f.server, &n);
    ck_assert_uint_eq(n.connections, 1);
    close_pipe(&o);
    fixture_stop(&f);
    ck_assert_uint_eq(order_broken, 0);
}
END_TEST

START_TEST(an_answer_with_a_body_is_told)
{
    struct fixture f;
    struct outcome o;

    start(&f, 0);
    open_pipe(&o, f.port, "/refuse", 2);
    http_pipe_post(o.pipe, "a", 1);
    http_pipe_post(o.pipe, NULL, 0);
    fl_loop_run(o.loop);
    ck_assert_int_eq(o.status, 403);
    ck_assert_str_eq(o.body, "no");
    close_pipe(&o);
    fixture_stop(&f);
}
END_TEST

START_TEST(it_may_be_freed_by_an_answer)
{
    struct fixture f;
    struct outcome o;

    start(&f, 0);
    open_pipe(&o, f.port, "/number", 10);
    o.free_in_answer = true;
    post_numbers(&o, 0, 10);
    fl_loop_run(o.loop);
    ck_assert_uint_eq(o.answers, 1);
    ck_assert_ptr_null(o.pipe);
    close_pipe(&o);
    fixture_stop(&f);
}
END_TEST

static int listen_raw(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

START_TEST(nobody_listens)
{
    struct outcome o;
    uint16_t port;
    int fd = listen_raw(&port);

    close(fd);
    open_pipe(&o, port, "/number", 3);
    post_numbers(&o, 0, 3);
    ck_assert_uint_eq(o.answers, 0); /* never from inside the post */
    fl_loop_run(o.loop);
    ck_assert_uint_eq(o.lost, 3);
    close_pipe(&o);
}
END_TEST

/* ---- a server that misbehaves ---- */

struct raw {
    int fd;
    const char *answers[3]; /* one a connection; then it closes */
    size_t n, requests[3];
};

static size_t count_requests(const char *p)
{
    size_t n = 0;

    for (; (p = strstr(p, "POST /number")); p++)
        n++;
    return n;
}

static void *raw_run(void *arg)
{
    struct raw *r = arg;
    char got[8192];

    for (size_t i = 0; i < r->n; i++) {
        int fd = accept(r->fd, NULL, NULL);
        ssize_t n = recv(fd, got, sizeof(got) - 1, 0);
        got[n > 0 ? n : 0] = '\0';
        r->requests[i] = count_requests(got);
        if (r->answers[i][0])
            ck_assert_int_gt(send(fd, r->answers[i], strlen(r->answers[i]), 0), 0);
        shutdown(fd, SHUT_WR);
        while (recv(fd, got, sizeof(got), 0) > 0)
            ;
        close(fd);
    }
    return NULL;
}

#define GOOD "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

START_TEST(what_was_under_way_is_lost_with_its_connection)
{
    struct raw r = {.answers = {GOOD}, .n = 1};
    struct outcome o;
    pthread_t thread;
    uint16_t port;

    r.fd = listen_raw(&port);
    pthread_create(&thread, NULL, raw_run, &r);
    open_pipe(&o, port, "/number", 3);
    post_numbers(&o, 0, 3);
    fl_loop_run(o.loop);
    ck_assert_uint_eq(o.good, 1);
    ck_assert_uint_eq(o.lost, 2); /* they may have been carried out: not sent again */
    close_pipe(&o);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(r.requests[0], 3);
    close(r.fd);
}
END_TEST

START_TEST(an_idle_connection_that_was_closed_is_replaced)
{
    struct raw r = {.answers = {GOOD, GOOD GOOD}, .n = 2};
    struct outcome o;
    pthread_t thread;
    uint16_t port;

    r.fd = listen_raw(&port);
    pthread_create(&thread, NULL, raw_run, &r);
    open_pipe(&o, port, "/number", 1);
    post_numbers(&o, 0, 1);
    fl_loop_run(o.loop);
    /* The end of file may be here or not: both ways the next two must arrive. */
    o.want = 3;
    post_numbers(&o, 1, 2);
    fl_loop_run(o.loop);
    ck_assert_uint_eq(o.good, 3);
    close_pipe(&o);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(r.requests[1], 2);
    close(r.fd);
}
END_TEST

START_TEST(an_answer_that_is_not_http_loses_all)
{
    struct raw r = {.answers = {"nonsense\r\n\r\n"}, .n = 1};
    struct outcome o;
    pthread_t thread;
    uint16_t port;

    r.fd = listen_raw(&port);
    pthread_create(&thread, NULL, raw_run, &r);
    open_pipe(&o, port, "/number", 2);
    post_numbers(&o, 0, 2);
    fl_loop_run(o.loop);
    ck_assert_uint_eq(o.lost, 2);
    close_pipe(&o);
    pthread_join(thread, NULL);
    close(r.fd);
}
END_TEST

START_TEST(a_header_with_a_line_break_is_refused)
{
    struct http_header h = {"X", "a\r\nY: b"};
    struct http_pipe_config c = {
        .host = "h", .port = 1, .path = "/", .headers = &h, .n_headers = 1};
    struct fl_loop *loop;
    struct fl_err err;

    ck_assert_int_eq(fl_loop_new(&loop, &err), 0);
    ck_assert_ptr_null(http_pipe_new(loop, &c, on_answer, NULL, &err));
    ck_assert_int_eq(err.reason, FL_INVALID);
    fl_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_pipe");
    TCase *t = tcase_create("pipe");

    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, many_arrive_in_order_on_one_connection, 0, 3);
    tcase_add_test(t, an_answer_with_a_body_is_told);
    tcase_add_test(t, it_may_be_freed_by_an_answer);
    tcase_add_test(t, nobody_listens);
    tcase_add_test(t, what_was_under_way_is_lost_with_its_connection);
    tcase_add_test(t, an_idle_connection_that_was_closed_is_replaced);
    tcase_add_test(t, an_answer_that_is_not_http_loses_all);
    tcase_add_test(t, a_header_with_a_line_break_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
