/* Turns over connections: whose it is (common/base/turns.h), and that a server's owner and its I/O thread keep to it. The servers' loop
 * only runs once all requests are there, so what is compared is numbers of requests, never times. */
#include <sched.h>
#include <semaphore.h>

#include "common/base/turns.h"
#include "tests/unit/http_fixture.h"

/* ---- the rule ---- */

START_TEST(light_ones_do_not_wait_behind_busy_ones)
{
    struct fl_turns t;
    struct fl_lane busy[2], light;

    fl_turns_init(&t);
    ck_assert_ptr_null(fl_turns_next(&t));
    fl_lane_init(&light);
    for (int i = 0; i < 2; i++) {
        fl_lane_init(&busy[i]);
        fl_turns_add(&t, &busy[i]);
        fl_turns_add(&t, &busy[i]); /* once is enough */
    }
    for (int i = 0; i < 2; i++) {
        struct fl_lane *l = fl_turns_next(&t);
        ck_assert_ptr_eq(l, &busy[i]);
        fl_turns_end(&t, l, 600, true);
    }
    fl_turns_add(&t, &light);
    ck_assert_ptr_eq(fl_turns_next(&t), &light);
    fl_turns_end(&t, &light, 5, false);
    ck_assert_ptr_eq(fl_turns_next(&t), &busy[0]);
}
END_TEST

/* One's messages take 3 ms, the other's 100 us: both get half of the time. */
START_TEST(time_is_shared_evenly)
{
    static const uint64_t cost[2] = {3000, 100};
    uint64_t used[2] = {0};
    struct fl_turns t;
    struct fl_lane lanes[2];

    fl_turns_init(&t);
    for (int i = 0; i < 2; i++) {
        fl_lane_init(&lanes[i]);
        fl_turns_add(&t, &lanes[i]);
    }
    for (int n = 0; n < 10000; n++) {
        struct fl_lane *l = fl_turns_next(&t);
        ck_assert_int_gt(l->credit_us, 0);
        used[l - lanes] += cost[l - lanes];
        fl_turns_end(&t, l, cost[l - lanes], true);
    }
    ck_assert_uint_lt(used[0], used[1] + 4000);
    ck_assert_uint_lt(used[1], used[0] + 4000);
}
END_TEST

START_TEST(busy_ones_are_not_starved_by_light_ones)
{
    struct fl_turns t;
    struct fl_lane busy, light[2];
    unsigned of_busy = 0;

    fl_turns_init(&t);
    fl_lane_init(&busy);
    fl_turns_add(&t, &busy);
    fl_turns_end(&t, fl_turns_next(&t), 10000, true);
    for (int i = 0; i < 2; i++)
        fl_lane_init(&light[i]);
    for (int n = 0; n < 1000; n++) {
        fl_turns_add(&t, &light[n % 2]); /* there is always one */
        struct fl_lane *l = fl_turns_next(&t);
        of_busy += l == &busy;
        fl_turns_end(&t, l, 100, l == &busy);
    }
    ck_assert_uint_gt(of_busy, 50);
    ck_assert_uint_lt(of_busy, 600);
}
END_TEST

/* Who asks for one long thing after the other is not taken for light between them. */
START_TEST(debts_are_kept)
{
    struct fl_turns t;
    struct fl_lane heavy, busy, light;

    fl_turns_init(&t);
    fl_lane_init(&heavy);
    fl_lane_init(&busy);
    fl_lane_init(&light);
    fl_turns_add(&t, &heavy);
    fl_turns_end(&t, fl_turns_next(&t), 3000, false);
    fl_turns_add(&t, &busy);
    fl_turns_end(&t, fl_turns_next(&t), 3000, true);
    fl_turns_add(&t, &heavy);
    fl_turns_add(&t, &light);
    ck_assert_ptr_eq(fl_turns_next(&t), &light);
    ck_assert_ptr_eq(fl_turns_next(&t), &busy);
    ck_assert_ptr_eq(fl_turns_next(&t), &heavy);
    ck_assert_ptr_null(fl_turns_next(&t));
}
END_TEST

/* ---- servers ---- */

enum { CONNECTIONS = 10, EACH = 20 };

struct state {
    struct fl_loop *owner;
    unsigned handled, light_at, next_of[CONNECTIONS + 1];
    bool out_of_order;
    sem_t go, entered;
    atomic_uint decoded, decoded_at_light;
};

static struct state *now_under_test;

/* "/slow?<connection>,<number>" takes longer than a turn. */
static void slow(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    unsigned who = 0, n = 0;
    uint64_t end = fl_loop_now_us(s->owner) + FL_TURN_US + 100;

    ck_assert_int_eq(sscanf(http_exchange_request(ex)->query, "%u,%u", &who, &n), 2);
    s->out_of_order |= s->next_of[who]++ != n;
    s->handled++;
    while (fl_loop_now_us(s->owner) < end)
        ;
    http_respond(ex, 202, NULL, "");
}

static void light(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;

    s->light_at = s->handled;
    http_respond(ex, 200, NULL, "");
}

static void *decode_light(const struct http_request *r, struct fl_err *err)
{
    atomic_store(&now_under_test->decoded_at_light, atomic_load(&now_under_test->decoded));
    return NULL;
}

/* The first holds up the I/O thread until the test lets it go. */
static void *decode_large(const struct http_request *r, struct fl_err *err)
{
    struct state *s = now_under_test;

    if (atomic_load(&s->decoded) == 0) {
        sem_post(&s->entered);
        while (sem_wait(&s->go) < 0)
            ;
    }
    atomic_fetch_add(&s->decoded, 1);
    return NULL;
}

static void large(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 202, NULL, "");
}

static const struct http_route routes[] = {
    {.path = "/slow", .handler = slow},
    {.path = "/light", .handler = light, .decode = decode_light},
    {.path = "/large", .handler = large, .decode = decode_large},
};

static struct http_server *start(struct state *s, struct http_limits limits)
{
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "x",
                                   .io_threads = 1,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes),
                                   .arg = s,
                                   .limits = limits};
    struct http_server *server;
    struct fl_err err;

    *s = (struct state){0};
    sem_init(&s->go, 0, 0);
    sem_init(&s->entered, 0, 0);
    now_under_test = s;
    ck_assert_int_eq(fl_loop_new(&s->owner, &err), 0);
    ck_assert_msg(http_server_new(s->owner, &c, &server, &err) == 0, "%s", err.msg);
    return server;
}

static void stop(struct state *s, struct http_server *server)
{
    http_server_free(server);
    fl_loop_free(s->owner);
    sem_destroy(&s->go);
    sem_destroy(&s->entered);
}

static struct http_counters counters(struct http_server *server)
{
    struct http_counters c;

    http_server_counters(server, &c);
    return c;
}

static void await_waiting(struct http_server *server, unsigned n)
{
    while (counters(server).waiting < n)
        sched_yield();
}

static void ask_slow(int fd, unsigned who)
{
    for (unsigned n = 0; n < EACH; n++) {
        _cleanup_free_ char *request =
            xasprintf("GET /slow?%u,%u HTTP/1.1\r\nHost: x\r\n\r\n", who, n);
        send_text(fd, request);
    }
}

START_TEST(the_owner_takes_turns)
{
    struct state s;
    struct http_server *server = start(&s, (struct http_limits){.max_pipelined = EACH});
    int fds[CONNECTIONS + 1];

    for (unsigned i = 0; i < CONNECTIONS; i++) {
        ask_slow(fds[i] = dial(http_server_port(server)), i);
        await_waiting(server, (i + 1) * EACH);
    }
    fds[CONNECTIONS] = dial(http_server_port(server));
    send_text(fds[CONNECTIONS], "GET /light HTTP/1.1\r\nHost: x\r\n\r\n");
    await_waiting(server, CONNECTIONS * EACH + 1);
    s.light_at = UINT_MAX;
    while (s.handled < CONNECTIONS * EACH || s.light_at == UINT_MAX)
        fl_loop_run_once(s.owner);
    /* Behind the first of each, for nobody has asked before, and some of theirs in between; 200 by order of arrival. */
    ck_assert_uint_le(s.light_at, 2 * CONNECTIONS);
    ck_assert(!s.out_of_order);
    ck_assert_uint_gt(counters(server).wait_max_us, CONNECTIONS * EACH * FL_TURN_US);
    for (unsigned i = 0; i <= CONNECTIONS; i++)
        close(fds[i]);
    stop(&s, server);
}
END_TEST

START_TEST(freed_with_requests_waiting)
{
    struct state s;
    struct http_server *server = start(&s, (struct http_limits){.max_pipelined = EACH});
    int fds[CONNECTIONS];

    for (unsigned i = 0; i < CONNECTIONS; i++) {
        ask_slow(fds[i] = dial(http_server_port(server)), i);
        await_waiting(server, (i + 1) * EACH);
        if (i % 2)
            close(fds[i]);
    }
    while (s.handled < CONNECTIONS)
        fl_loop_run_once(s.owner);
    stop(&s, server); /* nothing leaks: ASan looks */
    ck_assert_uint_lt(s.handled, CONNECTIONS * EACH);
    for (unsigned i = 0; i < CONNECTIONS; i += 2)
        close(fds[i]);
}
END_TEST

static void ask_large(int fd, size_t n)
{
    _cleanup_free_ char *body = xmalloc(n);
    _cleanup_free_ char *head =
        xasprintf("POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);

    memset(body, 'x', n);
    send_text(fd, head);
    send_all(fd, body, n);
}

START_TEST(large_bodies_are_decoded_one_a_turn)
{
    struct state s;
    struct http_server *server = start(&s, (struct http_limits){0});
    int fds[CONNECTIONS + 1];

    for (unsigned i = 0; i <= CONNECTIONS; i++)
        fds[i] = dial(http_server_port(server));
    while (counters(server).connections <= CONNECTIONS)
        sched_yield();
    ask_large(fds[0], 40000);
    while (sem_wait(&s.entered) < 0)
        ;
    for (unsigned i = 1; i < CONNECTIONS; i++)
        ask_large(fds[i], 40000);
    send_text(fds[CONNECTIONS], "GET /light HTTP/1.1\r\nHost: x\r\n\r\n");
    sem_post(&s.go);
    await_waiting(server, CONNECTIONS + 1);
    /* Its event comes in one round with those of the others, whatever their order. */
    ck_assert_uint_le(atomic_load(&s.decoded_at_light), 2);
    for (unsigned i = 0; i <= CONNECTIONS; i++)
        close(fds[i]);
    stop(&s, server);
}
END_TEST

/* A second is read: only then is it known that too much waits. */
START_TEST(bodies_that_wait_are_bounded)
{
    struct state s;
    struct http_server *server = start(&s, (struct http_limits){.max_ahead = 50000});
    int fd = dial(http_server_port(server)), big = 1 << 20;

    atomic_store(&s.decoded, 1);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    for (unsigned i = 0; i < 5; i++)
        ask_large(fd, 40000);
    send_text(fd, "GET /light HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await_waiting(server, 2);
    s.light_at = UINT_MAX;
    ck_assert_uint_eq(counters(server).waiting, 2);
    while (s.light_at == UINT_MAX) {
        ck_assert_uint_le(counters(server).waiting, 2);
        fl_loop_run_once(s.owner);
    }
    ck_assert_uint_eq(counters(server).requests, 6);
    ck_assert_uint_ge(counters(server).reads_paused, 2);
    _cleanup_free_ char *got = read_until(fd, NULL);
    ck_assert_uint_eq(count_of(got, "HTTP/1.1 202 "), 5);
    ck_assert_uint_eq(count_of(got, "HTTP/1.1 200 "), 1);
    close(fd);
    stop(&s, server);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_turns");
    TCase *t = tcase_create("turns");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, light_ones_do_not_wait_behind_busy_ones);
    tcase_add_test(t, time_is_shared_evenly);
    tcase_add_test(t, busy_ones_are_not_starved_by_light_ones);
    tcase_add_test(t, debts_are_kept);
    tcase_add_test(t, the_owner_takes_turns);
    tcase_add_test(t, freed_with_requests_waiting);
    tcase_add_test(t, large_bodies_are_decoded_one_a_turn);
    tcase_add_test(t, bodies_that_wait_are_bounded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
