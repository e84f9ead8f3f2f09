/* Event streams of frameworks when the master ends: the core still names them for as long as others are answered. */
#include "master/api/scheduler.h"
#include "tests/unit/http_fixture.h"

struct state {
    struct master_api api; /* its master is not looked at */
    bool closes;
};

static void subscribe(struct http_exchange *ex, void *arg)
{
    struct state *s = arg;
    Sched__Event ev = SCHED__EVENT__INIT;
    struct sched_stream *stream = sched_stream_new(&s->api, ex, API_JSON);

    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__HEARTBEAT;
    sched_api_close(s->api.sched);
    sched_stream_send(stream, &ev);
    sched_api_close(s->api.sched);
    if (s->closes) /* as when the framework subscribes again */
        sched_stream_close(stream);
}

START_TEST(ended_streams_take_nothing)
{
    static const struct http_route routes[] = {
        {.path = "/", .handler = subscribe},
    };
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct state s = {.closes = _i};
    struct fixture f;
    struct http_server_config c = {
        .ip = "127.0.0.1",
        .process_id = "master",
        .io_threads = 1,
        .limits = http_limits_default,
        .routes = routes,
        .n_routes = ARRAY_SIZE(routes),
        .arg = &s,
    };

    s.api.sched = sched_api_new();
    fixture_start(&f, &c);
    _cleanup_free_ char *got = talk(f.port, request, strlen(request));
    ck_assert_ptr_nonnull(strstr(got, "\r\n\r\n0\r\n\r\n")); /* no event */
    fixture_stop(&f);
    sched_api_free(s.api.sched);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sched_stream");
    TCase *t = tcase_create("end");
    SRunner *r;
    int failed;

    tcase_add_loop_test(t, ended_streams_take_nothing, 0, 2);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
