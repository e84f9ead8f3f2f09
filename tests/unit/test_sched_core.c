/* The scheduler library's core against a fake world: subscription, backoff, heartbeats, redirects, failover, ends. */
#include <check.h>

#include "libframework/sched_core.h"
#include "tests/unit/fake_env.h"

#define S 1000000ull

struct world {
    struct fake_env env;
    struct sched_core *core;
    unsigned subscribes, closes, calls, events, disconnects, deaths, leader_failures;
    char host[64], message[700], stream_id[64];
    uint16_t port;
    Sched__Call *last; /* the last body sent, decoded */
};

static void keep(struct world *w, const void *body, size_t n)
{
    fl_pb_free(w->last);
    w->last = sched__call__unpack(NULL, n, body);
    ck_assert_ptr_nonnull(w->last);
}

static void io_subscribe(void *ctx, const char *host, uint16_t port, const void *body, size_t n)
{
    struct world *w = ctx;

    w->subscribes++;
    fl_snprintf(w->host, sizeof(w->host), "%s", host);
    w->port = port;
    keep(w, body, n);
}

static void io_close(void *ctx)
{
    ((struct world *)ctx)->closes++;
}

static void io_call(void *ctx, const char *host, uint16_t port, const char *stream_id,
                    const void *body, size_t n)
{
    struct world *w = ctx;

    w->calls++;
    fl_snprintf(w->stream_id, sizeof(w->stream_id), "%s", stream_id);
    keep(w, body, n);
}

static void io_leader_failed(void *ctx)
{
    ((struct world *)ctx)->leader_failures++;
}

static void io_event(void *ctx, const Sched__Event *ev, const void *bytes, size_t n)
{
    ((struct world *)ctx)->events++;
}

static void io_disconnected(void *ctx, const char *why)
{
    ((struct world *)ctx)->disconnects++;
}

static void io_dead(void *ctx, const char *message)
{
    struct world *w = ctx;

    w->deaths++;
    fl_snprintf(w->message, sizeof(w->message), "%s", message);
}

static const struct sched_io io = {io_subscribe, io_close,        io_call, io_leader_failed,
                                   io_event,     io_disconnected, io_dead};

static void begin(struct world *w)
{
    V1__FrameworkInfo info = V1__FRAMEWORK_INFO__INIT;

    *w = (struct world){0};
    fake_env_init(&w->env, 7);
    info.name = (char *)"n";
    info.user = (char *)"u";
    w->core = sched_core_new(&w->env.env, &io, w, &info, NULL, 0);
}

static void end(struct world *w)
{
    sched_core_free(w->core);
    ck_assert_ptr_null(w->env.timers);
    fl_pb_free(w->last);
}

static void feed(struct world *w, const Sched__Event *ev)
{
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT, framed = FL_BUF_INIT;

    fl_buf_pack(&record, &ev->base);
    recordio_add(&framed, record.data, record.len);
    sched_core_data(w->core, framed.data, framed.len);
}

static void feed_subscribed(struct world *w, const char *id)
{
    Sched__Event ev = SCHED__EVENT__INIT;
    Sched__Event__Subscribed sub = SCHED__EVENT__SUBSCRIBED__INIT;
    V1__FrameworkID fid = V1__FRAMEWORK_ID__INIT;

    fid.value = (char *)id;
    sub.framework_id = &fid;
    sub.has_heartbeat_interval_seconds = true;
    sub.heartbeat_interval_seconds = 15;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__SUBSCRIBED;
    ev.subscribed = &sub;
    feed(w, &ev);
}

static void feed_heartbeat(struct world *w)
{
    Sched__Event ev = SCHED__EVENT__INIT;

    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__HEARTBEAT;
    feed(w, &ev);
}

static void subscribe_whole(struct world *w)
{
    sched_core_leader(w->core, "10.0.0.1", 5050);
    sched_core_headers(w->core, 200, "stream-1", NULL, NULL, 0);
    feed_subscribed(w, "fw-1");
    ck_assert_int_eq(sched_core_state(w->core), LINK_SUBSCRIBED);
}

START_TEST(subscribes_once_a_leader_is_known)
{
    struct world w;

    begin(&w);
    fake_env_pass(&w.env, 60 * S);
    ck_assert_uint_eq(w.subscribes, 0);
    subscribe_whole(&w);
    ck_assert_uint_eq(w.subscribes, 1);
    ck_assert_str_eq(w.host, "10.0.0.1");
    ck_assert_str_eq(sched_core_framework_id(w.core), "fw-1");
    end(&w);
}
END_TEST

START_TEST(calls_carry_framework_and_stream)
{
    struct world w;
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    Sched__Call call = SCHED__CALL__INIT;

    begin(&w);
    call.has_type = true;
    call.type = SCHED__CALL__TYPE__REVIVE;
    fl_buf_pack(&body, &call.base);
    ck_assert_int_lt(sched_core_call(w.core, body.data, body.len), 0);
    subscribe_whole(&w);
    ck_assert_int_eq(sched_core_call(w.core, body.data, body.len), 0);
    ck_assert_str_eq(w.stream_id, "stream-1");
    ck_assert_str_eq(w.last->framework_id->value, "fw-1");
    ck_assert_int_eq(w.last->type, SCHED__CALL__TYPE__REVIVE);
    end(&w);
}
END_TEST

START_TEST(nothing_follows_a_teardown)
{
    struct world w;
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    Sched__Call call = SCHED__CALL__INIT;

    begin(&w);
    call.has_type = true;
    call.type = SCHED__CALL__TYPE__ACKNOWLEDGE;
    fl_buf_pack(&body, &call.base);
    ck_assert_int_lt(sched_core_teardown(w.core), 0);
    subscribe_whole(&w);
    ck_assert_int_eq(sched_core_call(w.core, body.data, body.len), 0);
    ck_assert_int_eq(sched_core_teardown(w.core), 0);
    ck_assert_int_eq(w.last->type, SCHED__CALL__TYPE__TEARDOWN);
    ck_assert_str_eq(w.last->framework_id->value, "fw-1");
    /* As when the callback that stopped the scheduler returns, and its update is acknowledged. */
    ck_assert_int_lt(sched_core_call(w.core, body.data, body.len), 0);
    ck_assert_uint_eq(w.calls, 2);
    end(&w);
}
END_TEST

START_TEST(stream_end_is_followed_by_a_resubscription_with_the_id)
{
    struct world w;

    begin(&w);
    subscribe_whole(&w);
    sched_core_stream_ended(w.core, "cut");
    ck_assert_uint_eq(w.disconnects, 1);
    ck_assert_uint_eq(w.subscribes, 1);
    fake_env_pass(&w.env, 1 * S);
    ck_assert_uint_eq(w.subscribes, 2);
    ck_assert_str_eq(w.last->subscribe->framework_info->id->value, "fw-1");
    ck_assert_str_eq(w.last->framework_id->value, "fw-1");
    end(&w);
}
END_TEST

START_TEST(backoff_grows_and_is_bounded)
{
    struct world w;
    unsigned in_first_minute, before;

    begin(&w);
    sched_core_leader(w.core, "h", 1);
    for (int i = 0; i < 600; i++) {
        if (sched_core_state(w.core) == LINK_SUBSCRIBING)
            sched_core_headers(w.core, 503, NULL, NULL, NULL, 0);
        fake_env_pass(&w.env, S / 10);
    }
    in_first_minute = w.subscribes;
    ck_assert_uint_le(in_first_minute, 25);
    for (int i = 0; i < 6000; i++) {
        if (sched_core_state(w.core) == LINK_SUBSCRIBING)
            sched_core_headers(w.core, 503, NULL, NULL, NULL, 0);
        fake_env_pass(&w.env, S / 10);
    }
    before = w.subscribes;
    /* Ten minutes at up to a minute each: it never gives up, and never hurries. */
    ck_assert_uint_ge(before - in_first_minute, 8);
    ck_assert_uint_le(before - in_first_minute, 60);
    ck_assert_uint_eq(w.deaths, 0);
    end(&w);
}
END_TEST

START_TEST(five_missed_heartbeats_end_the_subscription)
{
    struct world w;

    begin(&w);
    subscribe_whole(&w);
    for (int i = 0; i < 20; i++) {
        fake_env_pass(&w.env, 15 * S);
        feed_heartbeat(&w);
    }
    ck_assert_uint_eq(w.disconnects, 0);
    fake_env_pass(&w.env, 74 * S);
    ck_assert_uint_eq(w.disconnects, 0);
    fake_env_pass(&w.env, 2 * S);
    ck_assert_uint_eq(w.disconnects, 1);
    end(&w);
}
END_TEST

START_TEST(a_standby_redirects_to_the_leader)
{
    struct world w;

    begin(&w);
    sched_core_leader(w.core, "standby", 5050);
    sched_core_headers(w.core, 307, NULL, "//leader:5055/api/v1/scheduler", NULL, 0);
    fake_env_pass(&w.env, 1 * S);
    ck_assert_uint_eq(w.subscribes, 2);
    ck_assert_str_eq(w.host, "leader");
    ck_assert_uint_eq(w.port, 5055);
    end(&w);
}
END_TEST

START_TEST(refusals_and_errors_are_final)
{
    static const struct {
        int status;
        bool final;
    } rows[] = {{400, true},  {401, true},  {403, true}, {406, true},
                {404, false}, {500, false}, {503, false}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world w;
        begin(&w);
        sched_core_leader(w.core, "h", 1);
        sched_core_headers(w.core, rows[i].status, NULL, NULL, "because", 7);
        ck_assert_uint_eq(w.deaths, rows[i].final);
        if (rows[i].final)
            ck_assert_ptr_nonnull(strstr(w.message, "because"));
        end(&w);
    }
}
END_TEST

START_TEST(an_error_event_is_final)
{
    struct world w;
    Sched__Event ev = SCHED__EVENT__INIT;
    Sched__Event__Error error = SCHED__EVENT__ERROR__INIT;

    begin(&w);
    subscribe_whole(&w);
    error.message = (char *)"Framework has been removed";
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__ERROR;
    ev.error = &error;
    feed(&w, &ev);
    ck_assert_uint_eq(w.deaths, 1);
    ck_assert_str_eq(w.message, "Framework has been removed");
    fake_env_pass(&w.env, 600 * S);
    ck_assert_uint_eq(w.subscribes, 1);
    end(&w);
}
END_TEST

START_TEST(rubbish_on_the_stream_starts_over)
{
    struct world w;

    begin(&w);
    subscribe_whole(&w);
    sched_core_data(w.core, "no length\n", 10);
    ck_assert_uint_eq(w.disconnects, 1);
    fake_env_pass(&w.env, 1 * S);
    ck_assert_uint_eq(w.subscribes, 2);
    end(&w);
}
END_TEST

START_TEST(a_new_leader_is_followed)
{
    struct world w;

    begin(&w);
    subscribe_whole(&w);
    sched_core_leader(w.core, "other", 6060);
    ck_assert_uint_eq(w.disconnects, 1);
    fake_env_pass(&w.env, 1 * S);
    ck_assert_str_eq(w.host, "other");
    sched_core_leader(w.core, NULL, 0);
    fake_env_pass(&w.env, 600 * S);
    ck_assert_uint_eq(w.subscribes, 2);
    end(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sched_core");
    TCase *t = tcase_create("core");
    SRunner *r;
    int failed;

    tcase_add_test(t, subscribes_once_a_leader_is_known);
    tcase_add_test(t, calls_carry_framework_and_stream);
    tcase_add_test(t, nothing_follows_a_teardown);
    tcase_add_test(t, stream_end_is_followed_by_a_resubscription_with_the_id);
    tcase_add_test(t, backoff_grows_and_is_bounded);
    tcase_add_test(t, five_missed_heartbeats_end_the_subscription);
    tcase_add_test(t, a_standby_redirects_to_the_leader);
    tcase_add_test(t, refusals_and_errors_are_final);
    tcase_add_test(t, an_error_event_is_final);
    tcase_add_test(t, rubbish_on_the_stream_starts_over);
    tcase_add_test(t, a_new_leader_is_followed);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
