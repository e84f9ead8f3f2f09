/* The HTTP server over real loopback sockets, with and without I/O threads. */
#include "tests/unit/http_fixture.h"

static const unsigned thread_counts[] = {0, 2};

static void echo(struct http_exchange *ex, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    http_respondf(ex, 200, "text/plain", "%s %s rest=%s query=%s body=%s", r->method_name, r->path,
                  r->path_rest, r->query, r->body);
}

static void empty(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 202, NULL, "");
}

static void big(struct http_exchange *ex, void *arg)
{
    struct fl_buf b = FL_BUF_INIT;
    for (int i = 0; i < 5000; i++)
        fl_buf_adds(&b, "0123456789");
    http_respond_buf(ex, 200, "text/plain", &b);
}

static void json(struct http_exchange *ex, void *arg)
{
    struct fl_buf b = FL_BUF_INIT;
    fl_buf_adds(&b, "{\"a\":1}");
    http_respond_json(ex, 200, &b);
}

static void chunks(struct http_exchange *ex, void *arg)
{
    struct http_stream *st = http_respond_stream(ex, 200, "application/json", NULL, NULL);
    http_stream_write(st, "5\nhello", 7);
    http_stream_write(st, "3\nabc", 5);
    http_stream_end(st);
}

/* 3 MB that two answers share; `?stream` sends them as one chunk of a stream. */
static void shared(struct http_exchange *ex, void *arg)
{
    struct fl_buf b = FL_BUF_INIT;
    char *p = fl_buf_reserve(&b, 3000000);
    for (int i = 0; i < 3000000; i++)
        p[i] = (char)('a' + i % 23);
    b.len = 3000000;
    _cleanup_(fl_region_unrefp) struct fl_region *r = fl_region_of_buf(&b);
    if (!streq(http_exchange_request(ex)->query, "stream")) {
        http_respond_region(ex, 200, "text/plain", r, false);
        return;
    }
    struct http_stream *st = http_respond_stream(ex, 200, "text/plain", NULL, NULL);
    http_stream_write_region(st, r);
    http_stream_write(st, "abc", 3);
    http_stream_end(st);
}

static const struct http_route routes[] = {
    {.path = "/echo", .handler = echo, .json_alias = true},
    {.path = "/echo/deep", .handler = empty},
    {.path = "/exact", .handler = echo, .exact = true},
    {.path = "/empty", .handler = empty},
    {.path = "/big", .handler = big},
    {.path = "/json", .handler = json},
    {.path = "/shared", .handler = shared},
    {.path = "/chunks", .handler = chunks},
};

static struct http_server_config config(int i)
{
    return (struct http_server_config){.ip = "127.0.0.1",
                                       .process_id = "slave(1)",
                                       .io_threads = thread_counts[i],
                                       .limits = http_limits_default,
                                       .routes = routes,
                                       .n_routes = ARRAY_SIZE(routes)};
}

#define CLOSE "Connection: close\r\n\r\n"

static char *ask(struct fixture *f, const char *request)
{
    return talk(f->port, request, strlen(request));
}

static void expect(struct fixture *f, const char *request, const char *want)
{
    _cleanup_free_ char *got = ask(f, request);
    ck_assert_msg(strstr(got, want) != NULL, "asked %s\nwanted '%s'\ngot %s", request, want, got);
}

START_TEST(answers)
{
    struct fixture f;
    struct http_server_config c = config(_i);
    fixture_start(&f, &c);
    _cleanup_free_ char *got = ask(&f, "GET /empty HTTP/1.1\r\n" CLOSE);
    ck_assert_msg(str_starts(got, "HTTP/1.1 202 Accepted\r\nDate: "), "%s", got);
    ck_assert_ptr_null(strstr(got, "Content-Type"));
    ck_assert_ptr_nonnull(strstr(got, "Content-Length: 0\r\n"));
    expect(&f, "POST /echo?a=%20b HTTP/1.1\r\nContent-Length: 3\r\n" CLOSE "xyz",
           "Content-Type: text/plain\r\nContent-Length: 38\r\nConnection: close\r\n\r\n"
           "POST /echo rest= query=a=%20b body=xyz");
    expect(&f,
           "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE
           "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
           "body=abcde");
    expect(&f, "HEAD /big HTTP/1.1\r\n" CLOSE,
           "Content-Length: 50000\r\nConnection: close\r\n\r\n");
    expect(&f, "GET /echo HTTP/1.0\r\n\r\n", "Connection: close\r\n\r\nGET /echo");
    expect(&f, "GET /nothing HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 Not Found");
    fixture_stop(&f);
}
END_TEST

START_TEST(routing)
{
    struct fixture f;
    struct http_server_config c = config(_i);
    fixture_start(&f, &c);
    expect(&f, "GET /echo/ HTTP/1.1\r\n" CLOSE, "GET /echo/ rest= ");
    expect(&f, "GET /echo/x/y HTTP/1.1\r\n" CLOSE, "rest=/x/y ");
    expect(&f, "GET /echo.json HTTP/1.1\r\n" CLOSE, "rest= ");
    expect(&f, "GET /slave(1)/echo.json HTTP/1.1\r\n" CLOSE, "rest= ");
    expect(&f, "GET /slave%281%29/echo/a%20b HTTP/1.1\r\n" CLOSE, "rest=/a b ");
    expect(&f, "GET http://h:1/echo?x HTTP/1.1\r\n" CLOSE, "GET /echo rest= query=x");
    expect(&f, "GET /echo/deep/er HTTP/1.1\r\n" CLOSE, " 202 ");
    expect(&f, "GET /echoes HTTP/1.1\r\n" CLOSE, " 404 ");
    expect(&f, "GET /exact/x HTTP/1.1\r\n" CLOSE, " 404 ");
    expect(&f, "GET /exact/ HTTP/1.1\r\n" CLOSE, " 200 ");
    expect(&f, "GET /exact.json HTTP/1.1\r\n" CLOSE, " 404 ");
    expect(&f, "GET /e%63ho HTTP/1.1\r\n" CLOSE, " 200 ");
    expect(&f, "GET /echo%00 HTTP/1.1\r\n" CLOSE, " 400 ");
    expect(&f, "GET /echo%zz HTTP/1.1\r\n" CLOSE, " 400 ");
    expect(&f, "GET /echo?a=%zz HTTP/1.1\r\n" CLOSE, " 400 ");
    expect(&f, "GET /echo?a=%2 HTTP/1.1\r\n" CLOSE, "written %25");
    expect(&f, "GET /echo?% HTTP/1.1\r\n" CLOSE, " 400 ");
    expect(&f, "GET /echo?a=%25zz HTTP/1.1\r\n" CLOSE, "GET /echo rest= query=a=%25zz");
    expect(&f, "GET /echo/../x HTTP/1.1\r\n" CLOSE, " 404 ");
    expect(&f, "GET /echo/%2e%2E/x HTTP/1.1\r\n" CLOSE, " 404 ");
    expect(&f, "GET //echo HTTP/1.1\r\n" CLOSE, "rest= query=");
    expect(&f, "GET ///echo//x HTTP/1.1\r\n" CLOSE, "rest=//x query=");
    fixture_stop(&f);
}
END_TEST

START_TEST(streams)
{
    struct fixture f;
    struct http_server_config c = config(_i);
    fixture_start(&f, &c);
    expect(&f, "GET /chunks HTTP/1.1\r\n" CLOSE,
           "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
           "7\r\n5\nhello\r\n5\r\n3\nabc\r\n0\r\n\r\n");
    expect(&f, "GET /chunks HTTP/1.0\r\n\r\n", "Connection: close\r\n\r\n5\nhello3\nabc");
    expect(&f, "GET /json?jsonp=a.b_1 HTTP/1.1\r\n" CLOSE,
           "Content-Type: text/javascript\r\nContent-Length: 15\r\n" CLOSE "a.b_1({\"a\":1});");
    expect(&f, "GET /json?jsonp=a%3Cb HTTP/1.1\r\n" CLOSE, " 400 ");
    fixture_stop(&f);
}
END_TEST

START_TEST(pipelining)
{
    struct fixture f;
    struct http_server_config c = config(_i);
    struct fl_buf b = FL_BUF_INIT;
    fixture_start(&f, &c);
    for (int i = 0; i < 1000; i++)
        fl_buf_addf(&b, "GET /echo/%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
    fl_buf_adds(&b, "GET /chunks HTTP/1.1\r\n\r\nGET /echo/last HTTP/1.1\r\n" CLOSE);
    _cleanup_free_ char *got = talk(f.port, b.data, b.len);
    const char *at = got;
    for (int i = 0; i < 1000; i++) {
        char want[40];
        fl_snprintf(want, sizeof want, "rest=/%d ", i);
        at = strstr(at, want);
        ck_assert_msg(at != NULL, "no answer %d", i);
    }
    ck_assert_ptr_nonnull(strstr(at, "0\r\n\r\nHTTP/1.1 200"));
    ck_assert_int_eq((int)count_of(got, "HTTP/1.1 200 OK\r\n"), 1002);
    fl_buf_done(&b);
    fixture_stop(&f);
}
END_TEST

static const char *after_letters(const char *p)
{
    int i = 0;
    while (i < 3000000 && p[i] == 'a' + i % 23)
        i++;
    ck_assert_int_eq(i, 3000000); /* one assertion: each leaves a mark in a file */
    return p + 3000000;
}

/* The second and the third wait for the first; the limit on what is unsent is not for them. */
START_TEST(regions)
{
    struct fixture f;
    struct http_server_config c = config(_i);
    c.limits.max_unsent = 1000000;
    fixture_start(&f, &c);
    expect(&f, "HEAD /shared HTTP/1.1\r\n" CLOSE, "Content-Length: 3000000\r\n" CLOSE);
    _cleanup_free_ char *got = ask(&f, "GET /shared HTTP/1.1\r\n\r\n"
                                       "GET /shared?stream HTTP/1.1\r\n" CLOSE);
    const char *at = strstr(got, "Content-Length: 3000000\r\n\r\n");
    ck_assert_ptr_nonnull(at);
    at = after_letters(strstr(at, "\r\n\r\n") + 4);
    ck_assert_msg(str_starts(at, "HTTP/1.1 200 OK\r\n"), "%.100s", at);
    at = strstr(at, CLOSE "2dc6c0\r\n");
    ck_assert_ptr_nonnull(at);
    at = after_letters(at + strlen(CLOSE "2dc6c0\r\n"));
    ck_assert_str_eq(at, "\r\n3\r\nabc\r\n0\r\n\r\n");
    fixture_stop(&f);
}
END_TEST

START_TEST(byte_by_byte)
{
    struct fixture f;
    struct http_server_config c = config(_i);
    fixture_start(&f, &c);
    const char *text = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE
                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    int fd = dial(f.port);
    for (const char *p = text; *p; p++)
        send_all(fd, p, 1);
    _cleanup_free_ char *got = read_until(fd, NULL);
    ck_assert_ptr_nonnull(strstr(got, "body=abcde"));
    close(fd);
    fixture_stop(&f);
}
END_TEST

START_TEST(refusals)
{
    struct fixture f;
    struct http_server_config c = config(_i);
    fixture_start(&f, &c);
    expect(&f, "\x16\x03\x01 what is this\r\n\r\n", "HTTP/1.1 400 Bad Request");
    expect(&f,
           "GET /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
           "0\r\n\r\n",
           " 400 ");
    expect(&f, "GET /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", " 400 ");
    expect(&f, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", " 400 ");
    expect(&f,
           "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
           "fffffffffffffffff\r\n",
           " 400 ");
    expect(&f, "POST /echo HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", " 413 ");
    expect(&f, "GET /echo HTTP/1.1\r\nExpect: tea\r\n\r\n", " 417 ");
    expect(&f, "POST /echo HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", " 400 ");
    expect(&f, "POST /echo HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\nabc", " 400 ");
    expect(&f, "POST /echo HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", " 400 ");
    expect(&f, "POST /echo HTTP/1.1\r\nContent-Length: 3 3\r\n\r\nabc", " 400 ");
    expect(&f, "CONNECT x:1 HTTP/1.1\r\n\r\n", " 400 ");
    expect(&f, "GET /echo HTTP/2.0\r\n\r\n", " 505 ");
    const char with_nul[] = "GET /echo HTTP/1.1\r\nA: b\0c\r\n\r\n";
    _cleanup_free_ char *got = talk(f.port, with_nul, sizeof with_nul - 1);
    ck_assert_msg(strstr(got, " 400 ") != NULL, "%s", got);
    struct http_counters n;
    http_server_counters(f.server, &n);
    ck_assert_uint_ge(n.bad_requests, 6);
    ck_assert_uint_eq(n.too_large, 1);
    fixture_stop(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_server");
    TCase *t = tcase_create("server");
    int n = (int)ARRAY_SIZE(thread_counts);
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, answers, 0, n);
    tcase_add_loop_test(t, routing, 0, n);
    tcase_add_loop_test(t, streams, 0, n);
    tcase_add_loop_test(t, pipelining, 0, n);
    tcase_add_loop_test(t, regions, 0, n);
    tcase_add_loop_test(t, byte_by_byte, 0, n);
    tcase_add_loop_test(t, refusals, 0, n);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
