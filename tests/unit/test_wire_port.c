/* Channels whose sockets stay on I/O threads: order over many of them, owners that are slow, ends of all kinds while messages are
 * under way. The clients are on the owner's loop. Made for TSan as well (HACKING.md). */
#include <check.h>

#include "tests/unit/wire_harness.h"

enum { CHANNELS = 40, MESSAGES = 500, THREADS = 3 };

/* TSan takes equal numbers of descriptors in different tables for one descriptor. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:close\nrace:closedir\nrace:opendir\nrace:read\nrace:epoll_\n";
}

struct peer {
    struct wire_channel *c; /* NULL: over */
    unsigned sent, received, closed, opened;
    bool freed;
};

static struct wire_server server;
static struct peer clients[CHANNELS];
static struct {
    unsigned messages, closed, accepted, free_every, close_every;
    bool echo, out_of_order;
    unsigned work_us;   /* that a message takes */
    unsigned second_at; /* of `messages`, when the second one's first came */
    struct peer peers[CHANNELS];
} at_server;

/* A number is the message's order on its channel. */
static bool send_number(struct wire_channel *c, unsigned n)
{
    Msg__ShutdownMessage m = MSG__SHUTDOWN_MESSAGE__INIT;
    char text[200];

    fl_snprintf(text, sizeof(text), "%u and something that fills a frame: %0100u", n, n);
    m.message = text;
    return wire_send(c, &m.base);
}

static unsigned number_of(const struct wire_message *m)
{
    uint64_t n = 0;
    const char *text = ((const Msg__ShutdownMessage *)m->msg)->message;

    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (unsigned)(*text - '0');
    return (unsigned)n;
}

/* ---- the clients' end ---- */

static void client_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    struct peer *p = arg;

    ck_assert_uint_eq(number_of(m), p->received);
    p->received++;
}

static void client_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    struct peer *p = arg;

    p->closed++;
    p->c = NULL;
    wire_channel_free(c);
}

static void client_open(struct wire_channel *c, void *arg)
{
    ((struct peer *)arg)->opened++;
}

static const struct wire_ops client_ops = {
    .on_message = client_message, .on_closed = client_closed, .on_open = client_open};

static void dial(struct peer *p)
{
    struct fl_err err;

    ck_assert_msg(wire_connect(server.loop, "127.0.0.1", server.port, NULL, NULL, "test/1", NULL,
                               NULL, &client_ops, p, &p->c, &err) == 0,
                  "%s", err.msg);
}

/* ---- the server's ---- */

static void server_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    struct peer *p = arg;

    ck_assert(!p->freed);
    ck_assert_uint_eq(number_of(m), p->received);
    p->received++;
    at_server.messages++;
    if (p == &at_server.peers[1] && p->received == 1)
        at_server.second_at = at_server.messages;
    for (uint64_t end = fl_loop_now_us(server.loop) + at_server.work_us;
         at_server.work_us && fl_loop_now_us(server.loop) < end;)
        ;
    if (at_server.echo)
        send_number(c, p->sent++);
    if (at_server.free_every && at_server.messages % at_server.free_every == 0) {
        /* Not only this one: another, of which messages may wait in the same batch. */
        struct peer *other = &at_server.peers[at_server.messages % at_server.accepted];
        if (!other->freed) {
            other->freed = true;
            wire_channel_free(other->c);
        }
    } else if (at_server.close_every && at_server.messages % at_server.close_every == 0) {
        wire_channel_close(c);
    }
}

static void server_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    struct peer *p = arg;

    ck_assert(!p->freed);
    ck_assert_uint_eq(p->closed, 0);
    p->closed++;
    p->freed = true;
    at_server.closed++;
    wire_channel_free(c);
}

static const struct wire_ops server_ops = {.on_message = server_message,
                                           .on_closed = server_closed};

static void on_accepted(struct wire_channel *c, void *arg)
{
    struct peer *p = &at_server.peers[at_server.accepted++];

    p->c = c;
    wire_set_ops(c, &server_ops, p);
}

static void on_wire(struct http_exchange *ex, void *arg)
{
    wire_accept(ex, &server.limits, on_accepted, NULL);
}

static const struct http_route routes[] = {{.path = "/wire", .handler = on_wire, .exact = true}};

static bool own_files; /* every test runs with and without */

static void start(void)
{
    struct http_server_config cfg = {.ip = "127.0.0.1",
                                     .process_id = "master",
                                     .io_threads = THREADS,
                                     .limits = http_limits_default,
                                     .routes = routes,
                                     .n_routes = 1,
                                     .own_files = own_files};
    struct fl_err err;

    memset(clients, 0, sizeof(clients));
    memset(&at_server, 0, sizeof(at_server));
    server = (struct wire_server){.limits = wire_limits_default};
    ck_assert_msg(fl_loop_new(&server.loop, &err) == 0 &&
                      http_server_new(server.loop, &cfg, &server.http, &err) == 0,
                  "%s", err.msg);
    server.port = http_server_port(server.http);
}

#define RUN_UNTIL(cond)                                                                            \
    do {                                                                                           \
        while (!(cond))                                                                            \
            fl_loop_run_once(server.loop);                                                         \
    } while (0)

static void open_all(void)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        dial(&clients[i]);
    for (unsigned i = 0; i < CHANNELS; i++)
        RUN_UNTIL(clients[i].opened);
    RUN_UNTIL(at_server.accepted == CHANNELS);
}

/* One message of each client that is still there. */
static bool send_round(void)
{
    bool any = false;

    for (unsigned i = 0; i < CHANNELS; i++) {
        struct peer *p = &clients[i];
        if (p->c && p->sent < MESSAGES && send_number(p->c, p->sent)) {
            p->sent++;
            any = true;
        }
    }
    return any;
}

static void free_rest(void)
{
    for (unsigned i = 0; i < CHANNELS; i++) {
        wire_channel_free(TAKE_PTR(clients[i].c));
        if (at_server.peers[i].c && !at_server.peers[i].freed)
            wire_channel_free(at_server.peers[i].c);
    }
}

static unsigned total_received(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CHANNELS; i++)
        n += clients[i].received;
    return n;
}

/* ---- tests ---- */

START_TEST(many_in_order)
{
    struct wire_counters before, after;

    wire_counters(&before);
    own_files = _i;
    start();
    at_server.echo = true;
    open_all();
    while (send_round())
        fl_loop_run_once(server.loop);
    RUN_UNTIL(total_received() == CHANNELS * MESSAGES);
    for (unsigned i = 0; i < CHANNELS; i++) {
        ck_assert_uint_eq(at_server.peers[i].received, MESSAGES);
        RUN_UNTIL(wire_unsent(at_server.peers[i].c) == 0);
    }
    wire_counters(&after);
    ck_assert_uint_eq(after.messages_in - before.messages_in, CHANNELS * MESSAGES);
    ck_assert_uint_lt(after.batches_in - before.batches_in, CHANNELS * MESSAGES);
    ck_assert_uint_lt(after.batches_out - before.batches_out, CHANNELS * MESSAGES);
    free_rest();
    w_stop(&server);
}
END_TEST

static void on_late(void *arg)
{
    *(bool *)arg = true;
}

/* An owner that takes nothing for a while: the senders must wait, and lose nothing. */
START_TEST(slow_owner)
{
    struct wire_counters before, after;
    struct fl_loop *other = NULL;
    struct peer *p = &clients[0];
    bool late = false;

    own_files = _i;
    start();
    server.limits.max_inbox = 64 << 10;
    wire_counters(&before);
    /* The client is on a loop of its own, for the owner's does not run. */
    ck_assert_int_eq(fl_loop_new(&other, NULL), 0);
    ck_assert_int_eq(wire_connect(other, "127.0.0.1", server.port, NULL, NULL, "test/1", NULL, NULL,
                                  &client_ops, p, &p->c, NULL),
                     0);
    struct fl_timer *tick = fl_timer_new(other, on_late, &late);
    while (!p->opened) {
        fl_timer_set(tick, 1000);
        fl_loop_run_once(other);
        fl_loop_post(server.loop, on_late, &late);
        fl_loop_run_once(server.loop);
    }
    RUN_UNTIL(at_server.accepted == 1);
    for (after = before; after.pauses == before.pauses; wire_counters(&after)) {
        while (wire_unsent(p->c) < (1 << 20))
            ck_assert(send_number(p->c, p->sent++));
        fl_timer_set(tick, 1000);
        fl_loop_run_once(other);
    }
    ck_assert_uint_eq(at_server.messages, 0);
    while (at_server.messages < p->sent) {
        fl_timer_set(tick, 1000);
        fl_loop_run_once(other);
        fl_loop_post(server.loop, on_late, &late);
        fl_loop_run_once(server.loop);
    }
    fl_timer_free(tick);
    wire_channel_free(p->c);
    RUN_UNTIL(at_server.closed == 1);
    fl_loop_free(other);
    w_stop(&server);
}
END_TEST

static void nothing(void *arg)
{
}

static uint64_t messages_read(void)
{
    struct wire_counters c;

    wire_counters(&c);
    return c.messages_in;
}

/* One channel's flood is there before another's message, which still has its turn within some slices. */
START_TEST(a_flood_does_not_hold_up_others)
{
    enum { FLOOD = 1000 };
    struct fl_loop *other = NULL;
    struct wire_counters after;
    bool late = false;

    own_files = _i;
    start();
    ck_assert_int_eq(fl_loop_new(&other, NULL), 0);
    struct fl_timer *tick = fl_timer_new(other, on_late, &late);
    for (unsigned i = 0; i < 2; i++) {
        struct peer *p = &clients[i];
        ck_assert_int_eq(wire_connect(other, "127.0.0.1", server.port, NULL, NULL, "test/1", NULL,
                                      NULL, &client_ops, p, &p->c, NULL),
                         0);
        while (at_server.accepted == i) {
            fl_timer_set(tick, 1000);
            fl_loop_run_once(other);
            fl_loop_post(server.loop, on_late, &late);
            fl_loop_run_once(server.loop);
        }
    }
    at_server.work_us = 100;
    uint64_t before = messages_read();
    for (unsigned i = 0; i < FLOOD; i++)
        ck_assert(send_number(clients[0].c, clients[0].sent++));
    while (messages_read() < before + FLOOD) {
        fl_timer_set(tick, 1000);
        fl_loop_run_once(other);
    }
    ck_assert(send_number(clients[1].c, clients[1].sent++));
    while (messages_read() < before + FLOOD + 1) {
        fl_timer_set(tick, 1000);
        fl_loop_run_once(other);
    }
    ck_assert_uint_eq(at_server.messages, 0);
    RUN_UNTIL(at_server.messages == FLOOD + 1);
    ck_assert_uint_ge(at_server.second_at, 1);
    ck_assert_uint_le(at_server.second_at, 100);
    wire_counters(&after);
    ck_assert_uint_ge(after.wait_max_us, FLOOD * at_server.work_us / 2);
    fl_timer_free(tick);
    for (unsigned i = 0; i < 2; i++)
        wire_channel_free(TAKE_PTR(clients[i].c));
    RUN_UNTIL(at_server.closed == 2);
    fl_loop_free(other);
    w_stop(&server);
}
END_TEST

/* What waits for its turn when the server is freed is dropped. */
START_TEST(freed_with_turns_waiting)
{
    own_files = _i;
    start();
    at_server.work_us = 300;
    open_all();
    uint64_t before = messages_read();
    for (unsigned round = 0; round < 20; round++)
        send_round();
    while (messages_read() < before + CHANNELS * 10)
        fl_loop_run_once(server.loop);
    ck_assert_uint_lt(at_server.messages, CHANNELS * 20);
    http_server_free(server.http);
    unsigned messages = at_server.messages;
    for (unsigned i = 0; i < CHANNELS; i++)
        wire_channel_free(TAKE_PTR(clients[i].c));
    for (unsigned i = 0; i < 10; i++) {
        fl_loop_post(server.loop, nothing, NULL);
        fl_loop_run_once(server.loop);
    }
    ck_assert_uint_eq(at_server.messages, messages);
    for (unsigned i = 0; i < CHANNELS; i += 2) /* the others go with the loop */
        wire_channel_free(at_server.peers[i].c);
    fl_loop_free(server.loop);
}
END_TEST

START_TEST(freed_while_messages_come)
{
    own_files = _i;
    start();
    at_server.free_every = 97;
    at_server.echo = true;
    open_all();
    while (send_round())
        fl_loop_run_once(server.loop);
    /* All that were not freed have heard everything, and all clients of freed ones know. */
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (at_server.peers[i].freed)
            continue;
        RUN_UNTIL(at_server.peers[i].freed || at_server.peers[i].received == MESSAGES);
    }
    free_rest();
    w_stop(&server);
}
END_TEST

START_TEST(closed_from_both_ends_at_once)
{
    unsigned alive = CHANNELS;

    own_files = _i;
    start();
    at_server.close_every = 50;
    at_server.echo = true;
    open_all();
    for (unsigned round = 0; send_round(); round++) {
        struct peer *p = &clients[round % CHANNELS];
        if (p->c && round % 3 == 0)
            wire_channel_free(TAKE_PTR(p->c));
        else if (p->c && round % 3 == 1)
            wire_channel_close(p->c);
        fl_loop_run_once(server.loop);
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        wire_channel_free(TAKE_PTR(clients[i].c));
    RUN_UNTIL(at_server.closed == alive); /* each exactly once: server_closed() looks */
    w_stop(&server);
}
END_TEST

/* With everything under way: no callback follows, sending is refused, nothing leaks (ASan looks). */
START_TEST(server_freed_under_way)
{
    unsigned closed;

    own_files = _i;
    start();
    at_server.echo = true;
    open_all();
    for (unsigned i = 0; i < 20; i++) {
        send_round();
        fl_loop_run_once(server.loop);
    }
    for (unsigned i = 0; i < CHANNELS; i += 2)
        send_number(at_server.peers[i].c, at_server.peers[i].sent++);
    http_server_free(server.http);
    closed = at_server.closed;
    for (unsigned i = 0; i < CHANNELS; i++) {
        ck_assert(!send_number(at_server.peers[i].c, 0));
        if (i % 3 == 0)
            wire_channel_close(at_server.peers[i].c);
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        RUN_UNTIL(clients[i].closed);
    ck_assert_uint_eq(at_server.closed, closed);
    for (unsigned i = 0; i < CHANNELS; i++) {
        wire_channel_free(TAKE_PTR(clients[i].c));
        if (i % 2) /* the others go with the loop */
            wire_channel_free(at_server.peers[i].c);
    }
    fl_loop_free(server.loop);
}
END_TEST

/* The clients go, which I/O threads notice, and the server goes before its owner hears of it: the channels go with the loop. */
START_TEST(server_freed_before_ends_are_heard)
{
    struct wire_counters before, now;

    own_files = _i;
    start();
    open_all();
    wire_counters(&before);
    for (unsigned i = 0; i < CHANNELS; i++)
        wire_channel_free(TAKE_PTR(clients[i].c));
    do
        wire_counters(&now);
    while (now.batches_in == before.batches_in);
    http_server_free(server.http);
    ck_assert_uint_eq(at_server.closed, 0);
    wire_channel_free(at_server.peers[0].c);
    fl_loop_free(server.loop);
    ck_assert_uint_eq(at_server.closed, 0);
}
END_TEST

START_TEST(idle_ones_end)
{
    own_files = _i;
    start();
    server.limits.idle_timeout_s = 1;
    dial(&clients[0]);
    RUN_UNTIL(at_server.closed == 1);
    RUN_UNTIL(clients[0].closed == 1);
    w_stop(&server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wire_port");
    TCase *t = tcase_create("ports");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, many_in_order, 0, 2);
    tcase_add_loop_test(t, slow_owner, 0, 2);
    tcase_add_loop_test(t, a_flood_does_not_hold_up_others, 0, 2);
    tcase_add_loop_test(t, freed_with_turns_waiting, 0, 2);
    tcase_add_loop_test(t, freed_while_messages_come, 0, 2);
    tcase_add_loop_test(t, closed_from_both_ends_at_once, 0, 2);
    tcase_add_loop_test(t, server_freed_under_way, 0, 2);
    tcase_add_loop_test(t, server_freed_before_ends_are_heard, 0, 2);
    tcase_add_loop_test(t, idle_ones_end, 0, 2);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK); /* LeakSanitizer does not see what forked tests leave */
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
