/* The server's end of a WebSocket (common/base/websocket.h): handshakes and frames over real sockets, with and without I/O threads. */
#include "common/base/websocket.h"

#include "tests/unit/http_fixture.h"

START_TEST(answers_the_key)
{
    char answer[WEBSOCKET_KEY];

    /* RFC 6455, section 1.3. */
    ck_assert_int_eq(websocket_answer_key("dGhlIHNhbXBsZSBub25jZQ==", answer), 0);
    ck_assert_str_eq(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ck_assert_int_lt(websocket_answer_key("", answer), 0);
    ck_assert_int_lt(websocket_answer_key("dGhlIHNhbXBsZSBub25jZQ", answer), 0);
    ck_assert_int_lt(websocket_answer_key("dGhlIHNhbXBsZSBub25jZQ==x", answer), 0);
    ck_assert_int_lt(websocket_answer_key("dGhlIHNhbXBsZSBub25jZSEh", answer), 0);
    ck_assert_int_lt(websocket_answer_key("!!!!IHNhbXBsZSBub25jZQ==", answer), 0);
}
END_TEST

static const struct {
    const char *origin, *host;
    bool same;
} origins[] = {
    {NULL, "a:1", true},
    {"http://a:1", "a:1", true},
    {"https://A.example", "a.Example", true},
    {"http://a:2", "a:1", false},
    {"http://b", "a", false},
    {"http://a.b", "a", false},
    {"null", "a", false},
    {"", "a", false},
    {"http://a", NULL, false},
};

START_TEST(looks_at_the_origin)
{
    ck_assert_int_eq(websocket_same_origin(origins[_i].origin, origins[_i].host), origins[_i].same);
}
END_TEST

/* ---- connections ---- */

static atomic_uint n_closed;

struct echo {
    bool hold;
};

static void on_message(struct websocket *w, bool text, const char *p, size_t n, void *arg)
{
    struct echo *e = arg;

    if (n == 4 && memcmp(p, "quit", 4) == 0)
        websocket_close(w, WEBSOCKET_GOING_AWAY, "bye");
    websocket_send(w, text, p, n); /* nothing, behind a close */
    if (!e->hold && websocket_unsent(w) > 65536) {
        e->hold = true;
        websocket_pause(w, true);
    }
}

static void on_room(struct websocket *w, void *arg)
{
    struct echo *e = arg;

    e->hold = false;
    websocket_pause(w, false);
}

static void on_closed(struct websocket *w, void *arg)
{
    free(arg);
    websocket_free(w);
    atomic_fetch_add(&n_closed, 1);
}

static const struct websocket_ops ops = {on_message, on_room, on_closed};
static struct websocket_limits limits;

static void on_taken(struct fl_stream *s, void *arg)
{
    websocket_new(s, &limits, &ops, arg);
}

static void handler(struct http_exchange *ex, void *arg)
{
    if (!websocket_refused(ex))
        websocket_accept(ex, on_taken, free, xnew0(struct echo));
}

static const struct http_route routes[] = {
    {.path = "/ws", .handler = handler}, {.path = "/side", .handler = handler, .side_body = true}};

static void start(struct fixture *f, int threads)
{
    const struct http_server_config c = {.ip = "127.0.0.1",
                                         .io_threads = (unsigned)threads,
                                         .limits = http_limits_default,
                                         .routes = routes,
                                         .n_routes = ARRAY_SIZE(routes),
                                         .own_files = threads > 0};

    n_closed = 0;
    limits = (struct websocket_limits){100000, 60000000, 60};
    fixture_start(f, &c);
}

static int greet(uint16_t port, const char *path)
{
    int fd = dial(port);
    _cleanup_free_ char *text = xasprintf(
        "GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        path);
    send_text(fd, text);
    char *got = NULL;
    size_t n = 0;
    /* Byte by byte: frames may follow at once. */
    got = xcalloc(4096, 1);
    while (n < 4095 && !strstr(got, "\r\n\r\n")) {
        ck_assert_int_eq(recv(fd, got + n, 1, 0), 1);
        n++;
    }
    ck_assert_msg(strstr(got, "HTTP/1.1 101 ") && strstr(got, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "%s",
                  got);
    free(got);
    return fd;
}

/* Masked with zeros, which leaves the bytes as they are. */
static void put_frame(struct fl_buf *b, unsigned first, const void *p, size_t n)
{
    fl_buf_addc(b, (char)first);
    if (n < 126) {
        fl_buf_addc(b, (char)(0x80 | n));
    } else if (n < 65536) {
        const char length[] = {(char)(0x80 | 126), (char)(n >> 8), (char)n};
        fl_buf_add(b, length, sizeof(length));
    } else {
        const char length[] = {
            (char)(0x80 | 127), 0,      0, 0, 0, (char)(n >> 24), (char)(n >> 16),
            (char)(n >> 8),     (char)n};
        fl_buf_add(b, length, sizeof(length));
    }
    fl_buf_add(b, "\0\0\0\0", 4);
    fl_buf_add(b, p, n);
}

static void send_frame(int fd, unsigned first, const void *p, size_t n)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    put_frame(&b, first, p, n);
    send_all(fd, b.data, b.len);
}

static void get_bytes(int fd, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = recv(fd, (char *)p + at, n - at, 0);
        ck_assert_msg(k > 0, "the connection ended %zu bytes early", n - at);
        at += (size_t)k;
    }
}

/* The first byte; the data in *b, terminated. */
static unsigned get_frame(int fd, struct fl_buf *b)
{
    unsigned char head[2], length[8];
    size_t n, more;

    get_bytes(fd, head, 2);
    ck_assert_uint_eq(head[1] & 0x80, 0);
    n = head[1];
    more = n == 126 ? 2 : n == 127 ? 8 : 0;
    get_bytes(fd, length, more);
    if (more > 0)
        n = 0;
    for (size_t i = 0; i < more; i++)
        n = n << 8 | length[i];
    fl_buf_clear(b);
    get_bytes(fd, fl_buf_reserve(b, n + 1), n);
    b->len = n;
    fl_buf_cstr(b);
    return head[0];
}

static void wait_closed(unsigned n)
{
    for (int i = 0; i < 8000 && atomic_load(&n_closed) < n; i++)
        usleep(1000);
    ck_assert_uint_eq(n_closed, n);
}

START_TEST(messages)
{
    struct fixture f;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT, big = FL_BUF_INIT;
    start(&f, _i);
    int fd = greet(f.port, _i ? "/side" : "/ws");

    send_frame(fd, 0x81, "text", 4);
    ck_assert_uint_eq(get_frame(fd, &b), 0x81);
    ck_assert_str_eq(b.data, "text");
    send_frame(fd, 0x82, "", 0);
    ck_assert_uint_eq(get_frame(fd, &b), 0x82);
    ck_assert_uint_eq(b.len, 0);
    /* In parts, with a ping between them. */
    send_frame(fd, 0x02, "one ", 4);
    send_frame(fd, 0x89, "?", 1);
    send_frame(fd, 0x00, "two ", 4);
    send_frame(fd, 0x80, "three", 5);
    ck_assert_uint_eq(get_frame(fd, &b), 0x8a);
    ck_assert_str_eq(b.data, "?");
    ck_assert_uint_eq(get_frame(fd, &b), 0x82);
    ck_assert_str_eq(b.data, "one two three");
    memset(fl_buf_reserve(&big, 100000), 'x', 100000);
    for (size_t n = 125; n <= 100000; n = n == 125 ? 126 : n == 126 ? 65536 : n + 34464) {
        send_frame(fd, 0x82, big.data, n);
        ck_assert_uint_eq(get_frame(fd, &b), 0x82);
        ck_assert_uint_eq(b.len, n);
    }
    send_frame(fd, 0x88, "\3\xe8", 2);
    ck_assert_uint_eq(get_frame(fd, &b), 0x88);
    ck_assert_mem_eq(b.data, "\3\xe8", 2);
    ck_assert_int_eq(recv(fd, big.data, 1, 0), 0);
    close(fd);
    wait_closed(1);
    fixture_stop(&f);
}
END_TEST

static const struct {
    const char *bytes;
    size_t n;
    unsigned code;
} wrong[] = {
    {"\x82\x01x", 3, 1002},                             /* no mask */
    {"\xc2\x81\0\0\0\0x", 7, 1002},                     /* a reserved bit */
    {"\x83\x80\0\0\0\0", 6, 1002},                      /* no such kind */
    {"\x80\x80\0\0\0\0", 6, 1002},                      /* goes on with nothing */
    {"\x09\x80\0\0\0\0", 6, 1002},                      /* half a ping */
    {"\x89\xfe\x00\x7e\0\0\0\0", 8, 1002},              /* a long ping */
    {"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, 1002},   /* a length with the highest bit */
    {"\x02\x81\0\0\0\0x\x82\x81\0\0\0\0x", 14, 1002},   /* another message in the middle of one */
    {"\x82\xff\0\0\0\0\0\1\x86\xa1\0\0\0\0", 14, 1009}, /* 100,001 bytes are announced */
    {"\x81\x82\0\0\0\0\xc3(", 8, 1007},                 /* no UTF-8 */
    {"\x82\x84\0\0\0\0quit", 10, 1001},                 /* the owner's wish */
};

START_TEST(closes)
{
    struct fixture f;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    start(&f, 1);
    int fd = greet(f.port, "/ws");

    send_all(fd, wrong[_i].bytes, wrong[_i].n);
    send_frame(fd, 0x82, "not looked at", 13);
    ck_assert_uint_eq(get_frame(fd, &b), 0x88);
    ck_assert_uint_ge(b.len, 2);
    ck_assert_uint_eq((unsigned char)b.data[0] * 256u + (unsigned char)b.data[1], wrong[_i].code);
    close(fd);
    wait_closed(1);
    fixture_stop(&f);
}
END_TEST

START_TEST(back_pressure)
{
    struct fixture f;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT, all = FL_BUF_INIT;
    char block[50000];
    start(&f, _i);
    int fd = greet(f.port, "/ws");

    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 10; i++)
        put_frame(&all, 0x82, block, sizeof(block));
    for (int round = 0; round < 20; round++) {
        send_all(fd, all.data, all.len);
        for (int i = 0; i < 10; i++) {
            ck_assert_uint_eq(get_frame(fd, &b), 0x82);
            ck_assert_uint_eq(b.len, sizeof(block));
        }
    }
    close(fd);
    wait_closed(1);
    fixture_stop(&f);
}
END_TEST

START_TEST(silence)
{
    struct fixture f;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    start(&f, 1);
    limits.ping_us = 10000;
    limits.silent_s = 1;
    int fd = greet(f.port, "/ws");

    /* Pings are not answered: it ends. */
    ck_assert_uint_eq(get_frame(fd, &b), 0x89);
    wait_closed(1);
    close(fd);
    fixture_stop(&f);
}
END_TEST

static const struct {
    const char *headers, *answer;
} refusals[] = {
    {"", " 400 "},
    {"Connection: Upgrade\r\nUpgrade: h2c\r\n", " 400 "},
    {"Connection: Upgrade\r\nUpgrade: websocket\r\n", " 426 "},
    {"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", " 400 "},
    {"Connection: Upgrade\r\nUpgrade: x, websocket\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://other\r\n",
     " 403 "},
};

START_TEST(refuses)
{
    struct fixture f;
    start(&f, _i % 2);
    _cleanup_free_ char *text =
        xasprintf("GET /side HTTP/1.1\r\nHost: h\r\n%s\r\nGET /none HTTP/1.1\r\nConnection: "
                  "close\r\n\r\n",
                  refusals[_i].headers);
    char *got = talk(f.port, text, strlen(text));

    ck_assert_msg(strncmp(got + 8, refusals[_i].answer, 5) == 0, "%s", got);
    ck_assert(strstr(got, " 404 ")); /* the connection goes on with HTTP */
    free(got);
    fixture_stop(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("websocket");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, answers_the_key);
    tcase_add_loop_test(t, looks_at_the_origin, 0, (int)ARRAY_SIZE(origins));
    tcase_add_loop_test(t, messages, 0, 2);
    tcase_add_loop_test(t, closes, 0, (int)ARRAY_SIZE(wrong));
    tcase_add_loop_test(t, back_pressure, 0, 2);
    tcase_add_test(t, silence);
    tcase_add_loop_test(t, refuses, 0, (int)ARRAY_SIZE(refusals));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
