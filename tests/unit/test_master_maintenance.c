/* The maintenance schedule and inverse offers in the master's core: refusals, the registry, what agents and
 * frameworks hear. */
#include "master/core.h"
#include "master/maintenance.h"
#include "tests/unit/master_world.h"

static struct world w;

#define H1    "{\"hostname\":\"H1\",\"ip\":\"10.0.0.1\"}" /* w_register()'s, in other letters */
#define OTHER "{\"hostname\":\"h2\",\"ip\":\"10.0.0.2\"}"
#define WINDOW                                                                                     \
    "\"unavailability\":{\"start\":{\"nanoseconds\":5000},\"duration\":{\"nanoseconds\":7}}"
#define NO "{\"windows\":[]}"

static int answered; /* status of the last answer; 0: none yet */

static void setup(void)
{
    w_init(&w, NULL);
    answered = 0;
}

static void teardown(void)
{
    w_done(&w);
}

static void on_answer(void *arg, int status, const struct fl_err *err)
{
    answered = err ? fl_reason_http_status(err->reason) : status;
}

static ProtobufCMessage *parse(const ProtobufCMessageDescriptor *d, const char *fmt, ...)
{
    ProtobufCMessage *m;
    va_list ap;

    va_start(ap, fmt);
    m = w_parse(d, fmt, ap);
    va_end(ap);
    return m;
}

static int schedule(const char *json)
{
    _cleanup_pb_ ProtobufCMessage *m = parse(&maint__schedule__descriptor, "%s", json);

    answered = 0;
    maintenance_update(w.m, (Maint__Schedule *)m, NULL, on_answer, NULL);
    w_settle(&w);
    return answered;
}

static int change(bool start, const char *machines)
{
    _cleanup_pb_ ProtobufCMessage *m =
        parse(&mapi__call__start_maintenance__descriptor, "{\"machines\":[%s]}", machines);
    const Mapi__Call__StartMaintenance *c = (Mapi__Call__StartMaintenance *)m;

    answered = 0;
    (start ? maintenance_start : maintenance_stop)(w.m, c->machines, c->n_machines, NULL, on_answer,
                                                   NULL);
    w_settle(&w);
    return answered;
}

static const char *shown(bool status)
{
    static char text[4096];
    struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_json_from_pb(&b,
                    status ? &maintenance_status(w.m, NULL, arena)->base
                           : &maintenance_schedule(w.m, NULL, arena)->base,
                    0);
    fl_snprintf(text, sizeof(text), "%s", fl_buf_cstr(&b));
    fl_arena_free(arena);
    return text;
}

#define SCHEDULED "{\"windows\":[{\"machine_ids\":[" H1 "]," WINDOW "}]}"

START_TEST(test_refusals)
{
    ck_assert_int_eq(schedule("{\"windows\":[{\"machine_ids\":[]," WINDOW "}]}"), 400);
    ck_assert_int_eq(schedule("{\"windows\":[{\"machine_ids\":[{}]," WINDOW "}]}"), 400);
    ck_assert_int_eq(
        schedule("{\"windows\":[{\"machine_ids\":[{\"ip\":\"10.0.0.256\"}]," WINDOW "}]}"), 400);
    ck_assert_int_eq(schedule("{\"windows\":[{\"machine_ids\":[" H1 "," H1 "]," WINDOW "}]}"), 400);
    /* The same machine in other letters, in another window. */
    ck_assert_int_eq(schedule("{\"windows\":[{\"machine_ids\":[" H1 "]," WINDOW
                              "},{\"machine_ids\":"
                              "[{\"hostname\":\"h1\",\"ip\":\"10.0.0.1\"}]," WINDOW "}]}"),
                     400);
    ck_assert_int_eq(schedule("{\"windows\":[{\"machine_ids\":[" H1
                              "],\"unavailability\":{\"start\":"
                              "{\"nanoseconds\":1},\"duration\":{\"nanoseconds\":-1}}}]}"),
                     400);
    ck_assert_int_eq(change(true, H1), 400);
    ck_assert_int_eq(change(false, H1), 400);
    ck_assert_int_eq(change(true, ""), 400);
    ck_assert_str_eq(shown(false), "{}");
    ck_assert_int_eq(schedule(SCHEDULED), 200);
    ck_assert_int_eq(change(false, H1), 400); /* not down */
    ck_assert_int_eq(change(true, OTHER), 400);
    ck_assert_int_eq(change(true, H1 "," H1), 400);
    ck_assert_int_eq(change(true, H1), 200);
    ck_assert_int_eq(change(true, H1), 400); /* not draining */
    ck_assert_int_eq(schedule(NO), 400);     /* a machine that is down may not drop out */
}
END_TEST

START_TEST(test_states_are_kept)
{
    ck_assert_int_eq(schedule("{\"windows\":[{\"machine_ids\":[" H1 "," OTHER "]," WINDOW "}]}"),
                     200);
    ck_assert_int_eq(change(true, OTHER), 200);
    for (int i = 0; i < 2; i++) {
        ck_assert_str_eq(shown(true), "{\"draining_machines\":[{\"id\":" H1 "}],\"down_machines\":"
                                      "[" OTHER "]}");
        ck_assert_str_eq(shown(false),
                         "{\"windows\":[{\"machine_ids\":[" H1 "," OTHER "]," WINDOW "}]}");
        w_restart(&w);
    }
    /* A new schedule leaves a machine down. */
    ck_assert_int_eq(schedule("{\"windows\":[{\"machine_ids\":[" OTHER "]," WINDOW "}]}"), 200);
    ck_assert_str_eq(shown(true), "{\"down_machines\":[" OTHER "]}");
    ck_assert_int_eq(change(false, OTHER), 200);
    ck_assert_str_eq(shown(true), "{}");
    ck_assert_str_eq(shown(false), "{}");
    w_restart(&w);
    ck_assert_str_eq(shown(false), "{}");
}
END_TEST

START_TEST(test_each_change_sees_the_one_before)
{
    _cleanup_pb_ ProtobufCMessage *s = parse(&maint__schedule__descriptor, SCHEDULED);
    _cleanup_pb_ ProtobufCMessage *m =
        parse(&mapi__call__start_maintenance__descriptor, "{\"machines\":[" H1 "]}");
    const Mapi__Call__StartMaintenance *c = (Mapi__Call__StartMaintenance *)m;

    /* Nothing is written in between. */
    maintenance_update(w.m, (Maint__Schedule *)s, NULL, on_answer, NULL);
    maintenance_start(w.m, c->machines, c->n_machines, NULL, on_answer, NULL);
    ck_assert_int_eq(answered, 0);
    ck_assert_str_eq(shown(true), "{}");
    w_settle(&w);
    ck_assert_int_eq(answered, 200);
    ck_assert_str_eq(shown(true), "{\"down_machines\":[" H1 "]}");
}
END_TEST

START_TEST(test_offers_tell)
{
    w_register(&w, "a1");
    w_subscribe(&w, "s1", "");
    ck_assert_ptr_null(strstr(w_expect(&w, "s1", "\"OFFERS\""), "unavailability"));
    ck_assert_int_eq(schedule(SCHEDULED), 200);
    w_expect(&w, "s1", "\"RESCIND\"");
    w_pass(&w, 2 * W_SECOND);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), WINDOW));
    /* The same again disturbs nobody. */
    w_forget(&w);
    ck_assert_int_eq(schedule(SCHEDULED), 200);
    w_never(&w, "s1", "RESCIND");
    ck_assert_int_eq(schedule(NO), 200);
    w_expect(&w, "s1", "\"RESCIND\"");
    w_pass(&w, 2 * W_SECOND);
    ck_assert_ptr_null(strstr(w_expect(&w, "s1", "\"OFFERS\""), "unavailability"));
}
END_TEST

START_TEST(test_down)
{
    ck_assert_int_eq(schedule(SCHEDULED), 200);
    w_register(&w, "a1");
    w_subscribe(&w, "s1", ",\"checkpoint\":true");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    ck_assert_int_eq(change(true, H1), 200);
    w_expect(&w, "a1", "ShutdownMessage {\"message\":\"Operator initiated 'Machine DOWN'\"}");
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "TASK_LOST"), "REASON_AGENT_REMOVED"));
    w_expect(&w, "s1", "FAILURE");
    ck_assert_int_eq(HASH_COUNT(w.m->agents), 0);
    w_reregister(&w, "a2", "");
    w_expect(&w, "a2", "ShutdownMessage {\"message\":\"Machine is `DOWN`\"}");
    w_register(&w, "a3");
    w_expect(&w, "a3", "ShutdownMessage {\"message\":\"Machine is `DOWN`\"}");
    w_restart(&w);
    w_register(&w, "a4");
    w_expect(&w, "a4", "ShutdownMessage {\"message\":\"Machine is `DOWN`\"}");
    ck_assert_int_eq(change(false, H1), 200);
    w_register(&w, "a5");
    w_expect(&w, "a5", "SlaveRegisteredMessage");
}
END_TEST

/* The machine goes down while the registry is being told of an agent there. */
START_TEST(test_down_while_registering)
{
    _cleanup_pb_ ProtobufCMessage *m =
        parse(&mapi__call__start_maintenance__descriptor, "{\"machines\":[" H1 "]}");
    const Mapi__Call__StartMaintenance *c = (Mapi__Call__StartMaintenance *)m;

    ck_assert_int_eq(schedule(SCHEDULED), 200);
    maintenance_start(w.m, c->machines, c->n_machines, NULL, on_answer, NULL);
    w_register(&w, "a1");
    w_expect(&w, "a1", "ShutdownMessage {\"message\":\"Operator initiated 'Machine DOWN'\"}");
    ck_assert_int_eq(HASH_COUNT(w.m->agents), 0);
}
END_TEST

/* Runs t1 on the scheduled agent; the id of the inverse offer. */
static const char *asked(void)
{
    static char id[64];
    const char *told, *p;

    w_register(&w, "a1");
    w_subscribe(&w, "s1", ",\"checkpoint\":true,\"failover_timeout\":100");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    ck_assert_int_eq(schedule(SCHEDULED), 200);
    w_pass(&w, 2 * W_SECOND);
    told = w_expect(&w, "s1", "\"INVERSE_OFFERS\"");
    ck_assert_ptr_nonnull(strstr(told, WINDOW));
    p = strstr(told, "\"id\":{\"value\":\"") + strlen("\"id\":{\"value\":\"");
    fl_snprintf(id, sizeof(id), "%.*s", (int)strcspn(p, "\""), p);
    w_forget(&w);
    return id;
}

START_TEST(test_answers)
{
    const char *kinds[] = {"ACCEPT", "DECLINE"};
    const char *id = asked();

    w_call(&w, "s1", "ACCEPT_INVERSE_OFFERS",
           "\"accept_inverse_offers\":{\"inverse_offer_ids\":[{\"value\":\"unknown\"}]}");
    ck_assert_ptr_null(strstr(shown(true), "statuses"));
    w_call(
        &w, "s1", _i ? "DECLINE_INVERSE_OFFERS" : "ACCEPT_INVERSE_OFFERS",
        "\"%s\":{\"inverse_offer_ids\":[{\"value\":\"%s\"}],\"filters\":{\"refuse_seconds\":60}}",
        _i ? "decline_inverse_offers" : "accept_inverse_offers", id);
    ck_assert_ptr_nonnull(strstr(shown(true), kinds[_i]));
    w_pass(&w, 50 * W_SECOND);
    w_never(&w, "s1", "INVERSE");
    w_pass(&w, 20 * W_SECOND);
    w_expect(&w, "s1", "\"INVERSE_OFFERS\"");
}
END_TEST

START_TEST(test_rescinded_when_the_agent_goes)
{
    asked();
    master_agent_closed(w.m, (void *)"a1");
    w_expect(&w, "s1", "\"RESCIND_INVERSE_OFFER\"");
    w_pass(&w, 20 * W_SECOND);
    w_never(&w, "s1", "\"INVERSE_OFFERS\"");
    w_reregister(&w, "a2", "");
    w_pass(&w, 20 * W_SECOND);
    w_expect(&w, "s1", "\"INVERSE_OFFERS\"");
}
END_TEST

START_TEST(test_a_framework_that_is_away_is_not_asked)
{
    asked();
    master_framework_closed(w.m, (void *)"s1");
    w_pass(&w, 20 * W_SECOND);
    ck_assert_ptr_null(w.m->core->inverse_offers);
    w_pass(&w, 200 * W_SECOND); /* it is removed */
    ck_assert_ptr_null(w.m->frameworks);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("master_maintenance");
    TCase *t = tcase_create("schedule");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_refusals);
    tcase_add_test(t, test_states_are_kept);
    tcase_add_test(t, test_each_change_sees_the_one_before);
    tcase_add_test(t, test_offers_tell);
    tcase_add_test(t, test_down);
    tcase_add_test(t, test_down_while_registering);
    tcase_add_loop_test(t, test_answers, 0, 2);
    tcase_add_test(t, test_rescinded_when_the_agent_goes);
    tcase_add_test(t, test_a_framework_that_is_away_is_not_asked);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    int failed;

    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
