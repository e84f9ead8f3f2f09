/* Channels between daemons, both ends in one process: frames, the upgrade, limits, ends. */
#include <check.h>

#include "tests/unit/wire_harness.h"

struct end {
    unsigned opened, messages, closed;
    struct fl_err why;
    size_t bytes;
    unsigned last_type;
    char text[64];
    unsigned free_at; /* frees the channel at this message; 0: never */
    unsigned close_at;
    bool echo;
};

static struct wire_server server;
static struct end at_server, at_client;

static void on_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    struct end *e = arg;

    e->messages++;
    e->bytes += m->size;
    e->last_type = m->type;
    if (m->type == WIRE_SHUTDOWN)
        fl_snprintf(e->text, sizeof(e->text), "%s", ((Msg__ShutdownMessage *)m->msg)->message);
    if (e->echo)
        wire_send(c, m->msg);
    if (e->free_at == e->messages)
        wire_channel_free(c);
    else if (e->close_at == e->messages)
        wire_channel_close(c);
}

static void on_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    struct end *e = arg;

    e->closed++;
    e->why = *why;
    wire_channel_free(c);
}

static void on_open(struct wire_channel *c, void *arg)
{
    ((struct end *)arg)->opened++;
}

static const struct wire_ops ops = {
    .on_message = on_message, .on_closed = on_closed, .on_open = on_open};

static unsigned io_threads; /* of the server: every test runs on one loop and with I/O threads */

static void one_loop(void)
{
    io_threads = 0;
}

static void with_threads(void)
{
    io_threads = 2;
}

static void start(void)
{
    at_server = at_client = (struct end){0};
    w_start(&server, io_threads, &ops, &at_server);
}

static struct wire_channel *dial(void)
{
    struct wire_channel *c = NULL;
    struct fl_err err;

    ck_assert_msg(wire_connect(server.loop, "127.0.0.1", server.port, NULL, NULL, "test/1", NULL,
                               NULL, &ops, &at_client, &c, &err) == 0,
                  "%s", err.msg);
    return c;
}

#define RUN_UNTIL(cond)                                                                            \
    do {                                                                                           \
        while (!(cond))                                                                            \
            fl_loop_run_once(server.loop);                                                         \
    } while (0)

static void shutdown_init(Msg__ShutdownMessage *m, const char *text)
{
    msg__shutdown_message__init(m);
    m->message = (char *)text;
}

/* Turns of the loop, so that what should not come had its chance. */
static void a_few_turns(void)
{
    struct wire_channel *c = dial();
    unsigned opened = at_client.opened;

    RUN_UNTIL(at_client.opened > opened);
    wire_channel_free(c);
    for (unsigned n = at_server.closed; at_server.closed == n;)
        fl_loop_run_once(server.loop);
}

/* ---- frames ---- */

START_TEST(types_both_ways)
{
    unsigned n = 0;

    for (unsigned t = 0; t < 1000; t++) {
        const ProtobufCMessageDescriptor *d = wire_type_descriptor(t);

        if (!d)
            continue;
        ck_assert_int_eq(wire_type_of(d), (int)t);
        n++;
    }
    ck_assert_uint_eq(n, 26);
    ck_assert_int_eq(wire_type_of(&v1__offer__descriptor), -1);
    ck_assert_ptr_eq(wire_type_descriptor(WIRE_STATUS_UPDATE),
                     &msg__status_update_message__descriptor);
}
END_TEST

START_TEST(frame_layout)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_(pb_back_done) struct pb_back back = {0};
    Msg__PingSlaveMessage ping = MSG__PING_SLAVE_MESSAGE__INIT;
    const uint8_t want[] = {6, 0, 0, 0, 6, 0, 0, 0, 8, 1};
    struct wire_frame f;

    ping.connected = true;
    ck_assert_int_eq(wire_frame_encode(&b, &back, &ping.base, 100, NULL), 0);
    ck_assert_uint_eq(b.len, sizeof(want));
    ck_assert_mem_eq(b.data, want, sizeof(want));
    for (size_t n = 0; n < b.len; n++)
        ck_assert_int_eq(wire_frame_next(b.data, n, 100, &f, NULL), 0);
    ck_assert_int_eq(wire_frame_next(b.data, b.len, 100, &f, NULL), 1);
    ck_assert_uint_eq(f.type, WIRE_PING_AGENT);
    ck_assert_uint_eq(f.payload_len, 2);
    ck_assert_uint_eq(f.size, b.len);
    ck_assert_int_lt(wire_frame_encode(&b, &back, &ping.base, 5, NULL), 0);
    ck_assert_uint_eq(b.len, sizeof(want));
}
END_TEST

static const struct bad_frame {
    uint8_t bytes[12];
    size_t n;
    enum fl_reason reason;
    const char *text;
} bad_frames[] = {
    {{0, 0, 0, 5, 1, 0, 0, 0}, 8, FL_TOO_LARGE, "over the limit"},
    {{0, 0, 0, 5}, 4, FL_TOO_LARGE, "over the limit"}, /* before more of it comes */
    {{3, 0, 0, 0, 1, 0, 0}, 7, FL_INVALID, "no room"},
    {{4, 0, 0, 0, 0, 0, 0, 0}, 8, FL_INVALID, "unknown type 0"},
    {{4, 0, 0, 0, 0xff, 0xff, 0, 0}, 8, FL_INVALID, "unknown type 65535"},
    {{4, 0, 0, 0, 6, 0, 1, 0}, 8, FL_INVALID, "unknown flags"},
    {{4, 0, 0, 0, 6, 0, 0, 0}, 8, FL_INVALID, "are no mesos.internal.PingSlaveMessage"},
    {{7, 0, 0, 0, 6, 0, 0, 0, 0xff, 0xff, 0xff}, 11, FL_INVALID, "are no"},
};

/* A message in itself, 5,000 times: must not take the stack with it. */
START_TEST(nested_without_end)
{
    enum { LEVELS = 5000 };
    static V1__ContainerID ids[LEVELS];
    V1__ContainerStatus status = V1__CONTAINER_STATUS__INIT;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    _cleanup_(pb_back_done) struct pb_back back = {0};
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct wire_message m;
    struct wire_frame f;
    struct w_update u;
    struct fl_err err;

    for (size_t i = 0; i < LEVELS; i++) {
        v1__container_id__init(&ids[i]);
        ids[i].value = (char *)"x";
        ids[i].parent = i ? &ids[i - 1] : NULL;
    }
    w_update_init(&u);
    u.status.container_status = &status;
    for (size_t levels = 10; levels <= LEVELS; levels += LEVELS - 10) {
        status.container_id = &ids[levels - 1];
        fl_buf_clear(&b);
        ck_assert_int_eq(wire_frame_encode(&b, &back, &u.msg.base, 1 << 20, NULL), 0);
        ck_assert_int_eq(wire_frame_next(b.data, b.len, 1 << 20, &f, NULL), 1);
        ck_assert_int_eq(wire_frame_decode(&f, arena, &m, &err) == 0, levels == 10);
    }
    ck_assert_msg(strstr(err.msg, "nested too deeply"), "%s", err.msg);
}
END_TEST

/* ---- channels ---- */

START_TEST(messages_both_ways)
{
    struct wire_channel *c;
    Msg__ShutdownMessage m;
    struct w_update u;

    start();
    at_server.echo = true;
    c = dial();
    shutdown_init(&m, "before it is open");
    ck_assert(wire_send(c, &m.base));
    w_update_init(&u);
    ck_assert(wire_send(c, &u.msg.base));
    ck_assert_uint_eq(at_client.opened, 0); /* no callback from inside a call */
    RUN_UNTIL(at_client.messages == 2);
    ck_assert_uint_eq(at_client.opened, 1);
    ck_assert_uint_eq(at_server.messages, 2);
    ck_assert_str_eq(at_client.text, "before it is open");
    ck_assert_uint_eq(at_client.last_type, WIRE_STATUS_UPDATE);
    ck_assert_uint_eq(at_client.bytes, at_server.bytes);
    ck_assert_uint_eq(wire_unsent(c), 0);
    ck_assert_ptr_nonnull(strstr(wire_peer(c), "127.0.0.1:"));
    wire_channel_free(c);
    RUN_UNTIL(at_server.closed);
    ck_assert_int_eq(at_server.why.reason, FL_CLOSED);
    ck_assert_uint_eq(at_client.closed, 0); /* freed: no callback */
    w_stop(&server);
}
END_TEST

START_TEST(thousands_in_order)
{
    struct wire_channel *c;
    char text[32];

    start();
    c = dial();
    for (unsigned i = 0; i < 50000; i++) {
        Msg__ShutdownMessage m;

        fl_snprintf(text, sizeof(text), "%u", i);
        shutdown_init(&m, text);
        ck_assert(wire_send(c, &m.base));
    }
    RUN_UNTIL(at_server.messages == 50000);
    ck_assert_str_eq(at_server.text, "49999");
    wire_channel_free(c);
    RUN_UNTIL(at_server.closed);
    w_stop(&server);
}
END_TEST

START_TEST(a_large_message)
{
    enum { SIZE = 20 << 20 };
    Msg__FrameworkToExecutorMessage m = MSG__FRAMEWORK_TO_EXECUTOR_MESSAGE__INIT;
    _cleanup_free_ uint8_t *data = xcalloc(1, SIZE);
    struct wire_channel *c;
    struct w_update u;

    start();
    w_update_init(&u);
    m.slave_id = &u.agent_id;
    m.framework_id = &u.framework_id;
    m.executor_id = &u.executor_id;
    m.data = (ProtobufCBinaryData){SIZE, data};
    c = dial();
    ck_assert(wire_send(c, &m.base));
    ck_assert(wire_send(c, &u.msg.base));
    RUN_UNTIL(at_server.messages == 2);
    ck_assert_uint_gt(at_server.bytes, SIZE);
    wire_channel_free(c);
    RUN_UNTIL(at_server.closed);
    w_stop(&server);
}
END_TEST

/* What was sent before wire_channel_close() arrives, what comes after it does not. */
START_TEST(close_after_what_is_queued)
{
    struct wire_channel *c;
    Msg__ShutdownMessage m;

    start();
    c = dial();
    RUN_UNTIL(at_client.opened && at_server.messages == 0 && server.accepted);
    shutdown_init(&m, "last");
    for (unsigned i = 0; i < 1000; i++)
        ck_assert(wire_send(c, &m.base));
    wire_channel_close(c);
    ck_assert(!wire_send(c, &m.base));
    wire_channel_close(c); /* again: nothing */
    RUN_UNTIL(at_client.closed && at_server.closed);
    ck_assert_uint_eq(at_server.messages, 1000);
    ck_assert_uint_eq(at_client.closed, 1);
    w_stop(&server);
}
END_TEST

START_TEST(freed_in_its_own_callback)
{
    struct wire_channel *c;
    Msg__ShutdownMessage m;

    start();
    at_server.free_at = 3;
    c = dial();
    shutdown_init(&m, "x");
    for (unsigned i = 0; i < 10; i++)
        ck_assert(wire_send(c, &m.base));
    RUN_UNTIL(at_client.closed);
    ck_assert_uint_eq(at_server.messages, 3);
    ck_assert_uint_eq(at_server.closed, 0);
    w_stop(&server);
}
END_TEST

START_TEST(closed_in_its_own_callback)
{
    struct wire_channel *c;
    Msg__ShutdownMessage m;

    start();
    at_server.close_at = 3;
    at_server.echo = true;
    c = dial();
    shutdown_init(&m, "x");
    for (unsigned i = 0; i < 10; i++)
        ck_assert(wire_send(c, &m.base));
    RUN_UNTIL(at_client.closed && at_server.closed);
    ck_assert_uint_eq(at_server.messages, 3);
    ck_assert_uint_eq(at_client.messages, 3);
    w_stop(&server);
}
END_TEST

START_TEST(closed_before_it_is_open)
{
    struct wire_channel *c;

    start();
    c = dial();
    wire_channel_close(c);
    ck_assert_uint_eq(at_client.closed, 0);
    RUN_UNTIL(at_client.closed);
    ck_assert_uint_eq(at_client.opened, 0);
    w_stop(&server);
}
END_TEST

START_TEST(nobody_there)
{
    struct wire_channel *c = NULL;
    uint16_t port;

    start();
    port = server.port;
    http_server_free(TAKE_PTR(server.http));
    ck_assert_int_eq(wire_connect(server.loop, "127.0.0.1", port, NULL, NULL, "test/1", NULL, NULL,
                                  &ops, &at_client, &c, NULL),
                     0);
    RUN_UNTIL(at_client.closed);
    ck_assert_uint_eq(at_client.opened, 0);
    w_stop(&server);
}
END_TEST

START_TEST(too_large_to_send)
{
    static uint8_t data[2000];
    Msg__FrameworkToExecutorMessage m = MSG__FRAMEWORK_TO_EXECUTOR_MESSAGE__INIT;
    struct wire_limits limits = {.max_frame = 1000, .max_unsent = 10000};
    struct wire_channel *c = NULL;
    struct w_update u;

    start();
    w_update_init(&u);
    m.slave_id = &u.agent_id;
    m.framework_id = &u.framework_id;
    m.executor_id = &u.executor_id;
    m.data = (ProtobufCBinaryData){sizeof(data), data};
    ck_assert_int_eq(wire_connect(server.loop, "127.0.0.1", server.port, NULL, NULL, "test/1", NULL,
                                  &limits, &ops, &at_client, &c, NULL),
                     0);
    ck_assert(!wire_send(c, &m.base));
    ck_assert(!wire_send(c, &u.msg.base));
    RUN_UNTIL(at_client.closed);
    ck_assert_int_eq(at_client.why.reason, FL_TOO_LARGE);
    w_stop(&server);
}
END_TEST

/* ---- the other end as a plain stream: what no channel of ours would send ---- */

struct raw {
    struct fl_stream *s;
    struct fl_buf got;
    bool connected, closed;
};

static void raw_read(struct fl_stream *s, void *arg)
{
    struct raw *r = arg;
    size_t n;
    const char *p = fl_stream_peek(s, &n);

    fl_buf_add(&r->got, p, n);
    fl_stream_consume(s, n);
}

static void raw_connected(struct fl_stream *s, void *arg)
{
    ((struct raw *)arg)->connected = true;
}

static void raw_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    struct raw *r = arg;

    r->closed = true;
    fl_stream_free(TAKE_PTR(r->s));
}

static const struct fl_stream_ops raw_ops = {
    .on_read = raw_read, .on_connected = raw_connected, .on_closed = raw_closed};

static void raw_dial(struct raw *r, const char *request)
{
    *r = (struct raw){0};
    ck_assert_int_eq(fl_stream_connect(server.loop, "127.0.0.1", server.port, NULL, NULL, &raw_ops,
                                       r, &r->s, NULL),
                     0);
    RUN_UNTIL(r->connected);
    fl_stream_write(r->s, request, strlen(request));
}

static void raw_done(struct raw *r)
{
    fl_stream_free(r->s);
    fl_buf_done(&r->got);
}

#define UPGRADE                                                                                    \
    "GET /wire HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: fairlead-wire/1\r\n\r\n"

static bool has(struct raw *r, const char *text)
{
    return strstr(fl_buf_cstr(&r->got), text) != NULL;
}

START_TEST(wrong_upgrades)
{
    static const struct {
        const char *request, *status;
    } rows[] = {
        {"GET /wire HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
        {"GET /wire HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /wire HTTP/1.1\r\nHost: x\r\nUpgrade: fairlead-wire/1\r\n\r\n", "HTTP/1.1 426 "},
        {"POST /wire HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nxx", "HTTP/1.1 400 "},
        {UPGRADE, "HTTP/1.1 101 "},
    };
    struct raw r;

    start();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        raw_dial(&r, rows[i].request);
        RUN_UNTIL(r.closed || has(&r, "\r\n\r\n"));
        ck_assert_msg(has(&r, rows[i].status), "%s: %s", rows[i].request, fl_buf_cstr(&r.got));
        raw_done(&r);
    }
    RUN_UNTIL(at_server.closed == 1);
    ck_assert_uint_eq(server.accepted, 1);
    w_stop(&server);
}
END_TEST

START_TEST(bad_input_closes_its_channel_alone)
{
    const struct bad_frame *b = &bad_frames[_i];
    struct wire_channel *good;
    Msg__ShutdownMessage m;
    struct raw r;

    start();
    server.ops = &ops;
    good = dial();
    RUN_UNTIL(server.accepted == 1 && at_client.opened);
    raw_dial(&r, UPGRADE);
    fl_stream_write(r.s, b->bytes, b->n); /* with the upgrade, before its answer */
    RUN_UNTIL(r.closed);
    RUN_UNTIL(at_server.closed == 1);
    ck_assert_int_eq(at_server.why.reason, b->reason);
    ck_assert_msg(strstr(at_server.why.msg, b->text), "%s", at_server.why.msg);
    raw_done(&r);
    shutdown_init(&m, "still here");
    ck_assert(wire_send(good, &m.base));
    RUN_UNTIL(at_server.messages == 1);
    wire_channel_free(good);
    RUN_UNTIL(at_server.closed == 2);
    w_stop(&server);
}
END_TEST

START_TEST(truncated)
{
    struct raw r;

    start();
    raw_dial(&r, UPGRADE);
    fl_stream_write(r.s, "\x10\0\0\0\x08\0\0\0half", 12);
    RUN_UNTIL(has(&r, "101"));
    a_few_turns();
    at_server = (struct end){0};
    raw_done(&r);
    RUN_UNTIL(at_server.closed);
    ck_assert_uint_eq(at_server.messages, 0);
    ck_assert_int_eq(at_server.why.reason, FL_CLOSED);
    w_stop(&server);
}
END_TEST

/* One byte at a time. */
START_TEST(drop_by_drop)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_(pb_back_done) struct pb_back back = {0};
    Msg__ShutdownMessage m;
    struct raw r;

    start();
    shutdown_init(&m, "slowly");
    fl_buf_adds(&b, UPGRADE);
    ck_assert_int_eq(wire_frame_encode(&b, &back, &m.base, 1000, NULL), 0);
    ck_assert_int_eq(wire_frame_encode(&b, &back, &m.base, 1000, NULL), 0);
    raw_dial(&r, "");
    for (size_t i = 0; i < b.len; i++) {
        fl_stream_write(r.s, b.data + i, 1);
        fl_loop_run_once(server.loop);
    }
    RUN_UNTIL(at_server.messages == 2);
    ck_assert_str_eq(at_server.text, "slowly");
    raw_done(&r);
    RUN_UNTIL(at_server.closed);
    w_stop(&server);
}
END_TEST

START_TEST(slow_reader_is_closed)
{
    struct raw r;
    struct w_update u;
    unsigned sent = 0;

    start();
    server.limits.max_unsent = 1 << 20;
    raw_dial(&r, UPGRADE);
    RUN_UNTIL(server.last && has(&r, "\r\n\r\n"));
    fl_stream_pause_read(r.s, true);
    w_update_init(&u);
    while (wire_send(server.last, &u.msg.base)) {
        if (++sent % 100 == 0)
            fl_loop_run_once(server.loop);
        ck_assert_uint_lt(sent, 1000000);
    }
    ck_assert_uint_eq(at_server.closed, 0);
    RUN_UNTIL(at_server.closed);
    ck_assert_int_eq(at_server.why.reason, FL_LIMIT);
    raw_done(&r);
    w_stop(&server);
}
END_TEST

/* ---- answers to our upgrade ---- */

START_TEST(answers)
{
    static const struct {
        const char *text;
        int want; /* 1: taken */
    } rows[] = {
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: fairlead-wire/1\r\n\r\n", 1},
        {"HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade:   Fairlead-Wire/1\r\n\r\nframe", 1},
        {"HTTP/1.1 101 x\r\nUpgrade: fairlead-wire/1\r\n", 0},
        {"H", 0},
        {"", 0},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", -1},
        {"HTTP/1.1 101 x\r\nXUpgrade: fairlead-wire/1\r\n\r\n", -1},
        {"HTTP/1.1 404 Not Found\r\nUpgrade: fairlead-wire/1\r\n\r\n", -1},
        {"\r\n\r\n", -1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t n = strlen(rows[i].text);
        _cleanup_free_ char *exact = xmemdup(rows[i].text, n); /* no terminator behind it */
        ssize_t r = wire_answer(exact, n, "peer", NULL);

        ck_assert_msg(rows[i].want > 0    ? r > 0 && (size_t)r <= n
                      : rows[i].want == 0 ? r == 0
                                          : r < 0,
                      "row %zu: %zd", i, r);
    }
    ck_assert_int_eq(wire_answer(rows[1].text, strlen(rows[1].text), "peer", NULL),
                     (ssize_t)strlen(rows[1].text) - 5);
}
END_TEST

static void add_tests(TCase *t)
{
    tcase_add_test(t, types_both_ways);
    tcase_add_test(t, frame_layout);
    tcase_add_test(t, nested_without_end);
    tcase_add_test(t, messages_both_ways);
    tcase_add_test(t, thousands_in_order);
    tcase_add_test(t, a_large_message);
    tcase_add_test(t, close_after_what_is_queued);
    tcase_add_test(t, freed_in_its_own_callback);
    tcase_add_test(t, closed_in_its_own_callback);
    tcase_add_test(t, closed_before_it_is_open);
    tcase_add_test(t, nobody_there);
    tcase_add_test(t, too_large_to_send);
    tcase_add_test(t, wrong_upgrades);
    tcase_add_loop_test(t, bad_input_closes_its_channel_alone, 0, (int)ARRAY_SIZE(bad_frames));
    tcase_add_test(t, truncated);
    tcase_add_test(t, drop_by_drop);
    tcase_add_test(t, slow_reader_is_closed);
    tcase_add_test(t, answers);
}

int main(void)
{
    Suite *s = suite_create("wire");
    TCase *t = tcase_create("channels"), *threaded = tcase_create("channels of I/O threads");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 10);
    tcase_set_timeout(threaded, 20);
    tcase_add_checked_fixture(t, one_loop, NULL);
    tcase_add_checked_fixture(threaded, with_threads, NULL);
    add_tests(t);
    add_tests(threaded);
    suite_add_tcase(s, t);
    suite_add_tcase(s, threaded);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
