/* Finding the leading master: specifications, lists, loss. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/base/http.h"
#include "common/coord/detector.h"

static struct fl_loop *loop;

struct heard {
    unsigned calls, leaders;
    char host[64];
    uint16_t port;
    bool known;
    struct detector *free_it;
};

static void on_leader(const struct detected_master *m, void *arg)
{
    struct heard *h = arg;

    h->calls++;
    h->known = m != NULL;
    if (m) {
        h->leaders++;
        fl_snprintf(h->host, sizeof(h->host), "%s", m->host);
        h->port = m->port;
    }
    if (h->free_it)
        detector_free(TAKE_PTR(h->free_it));
}

static void setup(void)
{
    ck_assert_int_eq(fl_loop_new(&loop, NULL), 0);
}

static void teardown(void)
{
    fl_loop_free(loop);
}

static struct detector *look_for(const char *spec, struct heard *h)
{
    struct detector *d = NULL;
    struct fl_err err;

    *h = (struct heard){0};
    ck_assert_msg(detector_new(loop, spec, on_leader, h, &d, &err) == 0, "%s", err.msg);
    return d;
}

START_TEST(one_master_is_the_leader)
{
    struct heard h;
    struct detector *d = look_for("localhost:7000", &h);

    ck_assert_uint_eq(h.calls, 0);
    while (!h.calls)
        fl_loop_run_once(loop);
    ck_assert(h.known);
    ck_assert_str_eq(h.host, "localhost");
    ck_assert_uint_eq(h.port, 7000);
    detector_failed(d);
    detector_failed(d); /* once is enough */
    ck_assert_uint_eq(h.calls, 1);
    while (h.calls == 1)
        fl_loop_run_once(loop);
    ck_assert(!h.known);
    while (h.calls == 2)
        fl_loop_run_once(loop);
    ck_assert(h.known);
    detector_free(d);
}
END_TEST

START_TEST(default_port_and_file)
{
    char path[] = "/tmp/fl-master-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    _cleanup_free_ char *spec = xasprintf("file://%s", path);
    struct heard h;
    struct detector *d;

    ck_assert_int_eq((int)write(fd, "somewhere\n", 10), 10);
    close(fd);
    d = look_for(spec, &h);
    remove(path);
    while (!h.calls)
        fl_loop_run_once(loop);
    ck_assert_str_eq(h.host, "somewhere");
    ck_assert_uint_eq(h.port, 5050);
    detector_free(d);
}
END_TEST

START_TEST(bad_specifications)
{
    static const struct {
        const char *spec, *says;
        enum fl_reason reason;
    } rows[] = {
        {"", "missing", FL_INVALID},
        {"a:1,,b:2", "missing", FL_INVALID},
        {"a:1,", "missing", FL_INVALID},
        {"a:99999", "99999", FL_INVALID},
        {"a:b", "a:b", FL_INVALID},
        {"zk://a:2181/mesos", "ZooKeeper", FL_NOT_IMPLEMENTED},
        {"file:///nowhere/at/all", "/nowhere/at/all", FL_NOT_FOUND},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct detector *d = NULL;
        struct fl_err err;

        ck_assert_int_lt(detector_new(loop, rows[i].spec, on_leader, NULL, &d, &err), 0);
        ck_assert_msg(strstr(err.msg, rows[i].says), "'%s': %s", rows[i].spec, err.msg);
        ck_assert_int_eq(err.reason, rows[i].reason);
        ck_assert_ptr_null(d);
    }
}
END_TEST

/* ---- lists ---- */

static unsigned asked;

static void standing_by(struct http_exchange *ex, void *arg)
{
    asked++;
    http_respond(ex, 503, "text/plain", "no leader\n");
}

static void leading(struct http_exchange *ex, void *arg)
{
    asked++;
    http_exchange_add_header(ex, "Location", "//leader.example:6000");
    http_respond(ex, 307, NULL, "");
}

static struct http_server *serve(http_handler_f *handler)
{
    static struct http_route routes[2];
    static unsigned used;
    struct http_route *r = &routes[used++];
    struct http_server *s = NULL;
    struct http_server_config cfg = {.ip = "127.0.0.1",
                                     .process_id = "master",
                                     .limits = http_limits_default,
                                     .routes = r,
                                     .n_routes = 1};

    *r = (struct http_route){.path = "/redirect", .handler = handler};
    ck_assert_int_eq(http_server_new(loop, &cfg, &s, NULL), 0);
    return s;
}

START_TEST(a_list_is_asked_in_turn)
{
    struct http_server *one = serve(standing_by), *two = serve(leading);
    _cleanup_free_ char *spec = xasprintf("127.0.0.1:1,127.0.0.1:%u, 127.0.0.1:%u",
                                          http_server_port(one), http_server_port(two));
    struct heard h;
    struct detector *d = look_for(spec, &h);

    asked = 0;
    while (!h.calls)
        fl_loop_run_once(loop);
    ck_assert_uint_eq(asked, 2); /* nobody listens at the first */
    ck_assert_str_eq(h.host, "leader.example");
    ck_assert_uint_eq(h.port, 6000);
    detector_failed(d);
    while (h.leaders < 2)
        fl_loop_run_once(loop);
    ck_assert_uint_eq(h.calls, 3); /* leader, none, leader */
    detector_free(d);
    http_server_free(one);
    http_server_free(two);
}
END_TEST

START_TEST(freed_in_its_callback_and_while_asking)
{
    struct http_server *one = serve(leading);
    _cleanup_free_ char *spec =
        xasprintf("127.0.0.1:%u,127.0.0.1:%u", http_server_port(one), http_server_port(one));
    struct heard h;
    struct detector *d = look_for(spec, &h);

    h.free_it = d;
    while (!h.calls)
        fl_loop_run_once(loop);
    ck_assert_ptr_null(h.free_it);
    asked = 0;
    d = look_for(spec, &h);
    while (!asked)
        fl_loop_run_once(loop);
    detector_free(d);
    for (int i = 0; i < 3; i++) {
        fl_loop_defer(loop, (fl_callback_f *)free, NULL);
        fl_loop_run_once(loop);
    }
    ck_assert_uint_eq(h.calls, 0);
    http_server_free(one);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("detector");
    TCase *t = tcase_create("standalone");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, one_master_is_the_leader);
    tcase_add_test(t, default_port_and_file);
    tcase_add_test(t, bad_specifications);
    tcase_add_test(t, a_list_is_asked_in_turn);
    tcase_add_test(t, freed_in_its_callback_and_while_asking);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
