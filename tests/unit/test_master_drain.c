/* Agents that operators drain, deactivate, reactivate or mark gone: in the master's core. */
#include "master/core.h"
#include "master/drain.h"
#include "master/maintenance.h"
#include "tests/unit/master_world.h"

static struct world w;
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

typedef void call_f(struct master *m, const char *id, const char *principal, operator_done_f *done,
                    void *arg);

static int call(call_f *fn, const char *id)
{
    answered = 0;
    fn(w.m, id, NULL, on_answer, NULL);
    w_settle(&w);
    return answered;
}

static int drain(const char *id, bool gone)
{
    V1__DurationInfo grace = V1__DURATION_INFO__INIT;

    grace.nanoseconds = 7;
    answered = 0;
    drain_agent(w.m, id, &grace, gone, NULL, on_answer, NULL);
    w_settle(&w);
    return answered;
}

#define CAPS "\"agent_capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":\"AGENT_DRAINING\"}]"
#define SLAVE(id)                                                                                  \
    "\"slave\":{\"hostname\":\"h1\",\"port\":5051," id "\"resources\":" W_AGENT_RESOURCES          \
    "},\"version\":\"1.11.0\"," CAPS

static void enrol(const char *peer)
{
    w_agent(&w, peer, "10.0.0.1:40000", &msg__register_slave_message__descriptor,
            "{" SLAVE("") "}");
}

static void come_back(const char *peer, const char *more)
{
    w_agent(&w, peer, "10.0.0.1:40001", &msg__reregister_slave_message__descriptor,
            "{" SLAVE("\"id\":{\"value\":\"%s\"},") "%s}", w.aid, more);
}

static const char aware[] = ",\"checkpoint\":true,\"failover_timeout\":10000,"
                            "\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]";

static void run_task(const char *info)
{
    w_subscribe(&w, "s1", info);
    enrol("a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    w_expect(&w, "s1", "TASK_RUNNING");
    w_pass(&w, 2 * W_SECOND);
}

static void end_task(void)
{
    w_status(&w, "a1", "t1", "TASK_KILLED", "AAAAAAAAAAAAAAAAAAAAAQ==", NULL);
    w_call(&w, "s1", "ACKNOWLEDGE",
           "\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"t1\"},"
           "\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAQ==\"}",
           w.aid);
}

static struct agent *the_agent(void)
{
    return master_agent(w.m, w.aid);
}

static bool on_disk(const char *kind)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", kind, w.aid);

    for (size_t i = 0; i < w.n_disk; i++) {
        if (streq(w.disk[i].key, key))
            return true;
    }
    return false;
}

START_TEST(unknown_agents)
{
    static const char too_long[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    for (int i = 0; i < 2; i++) {
        const char *id = i ? too_long : "nobody";
        ck_assert_int_eq(drain(id, false), 400);
        ck_assert_int_eq(call(drain_deactivate, id), 400);
        ck_assert_int_eq(call(drain_reactivate, id), 400);
        ck_assert_int_eq(call(gone_mark, id), 404);
    }
}
END_TEST

#define MACHINE "{\"hostname\":\"h1\",\"ip\":\"10.0.0.1\"}"
static const char schedule[] = "{\"windows\":[{\"machine_ids\":[" MACHINE
                               "],\"unavailability\":{\"start\":{\"nanoseconds\":1}}}]}";
static const char machine[] = "{\"machines\":[" MACHINE "]}";

START_TEST(who_cannot_be_drained)
{
    _cleanup_pb_ ProtobufCMessage *s = NULL;
    struct fl_err err;

    w_register(&w, "a1"); /* without AGENT_DRAINING */
    ck_assert_int_eq(drain(w.aid, false), 400);
    enrol("a2");
    ck_assert_int_eq(
        fl_json_to_pb(schedule, strlen(schedule), &maint__schedule__descriptor, 0, NULL, &s, &err),
        0);
    maintenance_update(w.m, (Maint__Schedule *)s, NULL, on_answer, NULL);
    w_settle(&w);
    ck_assert_int_eq(drain(w.aid, false), 400);
}
END_TEST

START_TEST(deactivated_agents_are_not_offered)
{
    enrol("a1");
    w_subscribe(&w, "s1", "");
    w_expect(&w, "s1", "\"OFFERS\"");
    ck_assert_int_eq(call(drain_reactivate, w.aid), 400);
    ck_assert_int_eq(call(drain_deactivate, w.aid), 200);
    w_expect(&w, "s1", "\"RESCIND\"");
    ck_assert(the_agent()->deactivated && !the_agent()->active);
    w_forget(&w);
    w_pass(&w, 10 * W_SECOND);
    w_never(&w, "s1", "OFFERS");
    /* Neither when it is back nor when the master is. */
    master_agent_closed(w.m, (void *)"a1");
    come_back("a2", "");
    ck_assert(the_agent()->connected && !the_agent()->active);
    w_restart(&w);
    come_back("a3", "");
    ck_assert(the_agent()->connected && !the_agent()->active);
    ck_assert_int_eq(call(drain_reactivate, w.aid), 200);
    w_subscribe(&w, "s2", "");
    w_expect(&w, "s2", "\"OFFERS\"");
    w_restart(&w);
    come_back("a4", "");
    ck_assert(the_agent()->active);
}
END_TEST

START_TEST(draining_ends_when_all_is_acknowledged)
{
    run_task(aware);
    w_forget(&w);
    ck_assert_int_eq(drain(w.aid, false), 200);
    w_expect(&w, "s1", "\"RESCIND\"");
    w_expect(&w, "a1",
             "DrainSlaveMessage {\"config\":{\"max_grace_period\":{\"nanoseconds\":7},"
             "\"mark_gone\":false}}");
    ck_assert_int_eq(the_agent()->drain_info->state, V1__DRAIN_STATE__DRAINING);
    ck_assert(the_agent()->drain_start_time > 0);
    ck_assert_int_eq(call(drain_reactivate, w.aid), 400);
    w_status(&w, "a1", "t1", "TASK_KILLED", "AAAAAAAAAAAAAAAAAAAAAQ==", NULL);
    ck_assert_int_eq(the_agent()->drain_info->state, V1__DRAIN_STATE__DRAINING);
    end_task();
    w_settle(&w);
    ck_assert_int_eq(the_agent()->drain_info->state, V1__DRAIN_STATE__DRAINED);
    w_restart(&w);
    come_back("a2", "");
    w_expect(&w, "a2", "DrainSlaveMessage");
    ck_assert_int_eq(the_agent()->drain_info->state, V1__DRAIN_STATE__DRAINED);
    ck_assert(!the_agent()->active);
    ck_assert_int_eq(call(drain_reactivate, w.aid), 200);
    ck_assert_ptr_null(the_agent()->drain_info);
    ck_assert(the_agent()->active);
}
END_TEST

START_TEST(an_idle_agent_is_drained_at_once)
{
    enrol("a1");
    ck_assert_int_eq(drain(w.aid, false), 200);
    w_settle(&w);
    ck_assert_int_eq(the_agent()->drain_info->state, V1__DRAIN_STATE__DRAINED);
}
END_TEST

START_TEST(draining_survives_the_master)
{
    _cleanup_free_ char *more = NULL;

    run_task(aware);
    ck_assert_int_eq(drain(w.aid, true), 200);
    w_restart(&w);
    more =
        xasprintf(",\"tasks\":[{\"name\":\"t\",\"task_id\":{\"value\":\"t1\"},\"framework_id\":"
                  "{\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s\"},\"state\":\"TASK_RUNNING\","
                  "\"resources\":[]}],\"frameworks\":[{\"user\":\"nobody\",\"name\":\"f\",\"id\":"
                  "{\"value\":\"%s\"}}]",
                  w.fid, w.aid, w.fid);
    come_back("a1", more);
    w_expect(&w, "a1", "\"mark_gone\":true");
    ck_assert_int_eq(the_agent()->drain_info->state, V1__DRAIN_STATE__DRAINING);
    ck_assert(!the_agent()->active);
}
END_TEST

START_TEST(draining_an_agent_that_is_away)
{
    enrol("a1");
    master_agent_closed(w.m, (void *)"a1");
    w_pass(&w, 601 * W_SECOND);
    ck_assert_ptr_null(the_agent());
    ck_assert_int_eq(drain(w.aid, false), 200);
    w_restart(&w);
    come_back("a2", "");
    w_expect(&w, "a2", "DrainSlaveMessage");
    w_settle(&w);
    ck_assert_int_eq(the_agent()->drain_info->state, V1__DRAIN_STATE__DRAINED);
}
END_TEST

START_TEST(drained_and_gone)
{
    run_task(aware);
    ck_assert_int_eq(drain(w.aid, true), 200);
    end_task();
    w_settle(&w);
    ck_assert_ptr_null(the_agent());
    w_expect(&w, "a1", "ShutdownMessage {\"message\":\"Agent has been marked gone\"}");
    ck_assert(on_disk("gone") && !on_disk("agent"));
}
END_TEST

START_TEST(gone)
{
    bool is_aware = _i;
    const char *told;

    run_task(is_aware ? aware : ",\"checkpoint\":true");
    ck_assert_int_eq(call(gone_mark, w.aid), 200);
    ck_assert_ptr_null(the_agent());
    w_expect(&w, "a1", "ShutdownMessage {\"message\":\"Agent has been marked gone\"}");
    told = w_expect(&w, "s1", is_aware ? "TASK_GONE_BY_OPERATOR" : "TASK_LOST");
    ck_assert_ptr_nonnull(strstr(told, is_aware ? "\"REASON_AGENT_REMOVED_BY_OPERATOR\""
                                                : "\"REASON_AGENT_REMOVED\""));
    w_expect(&w, "s1", "FAILURE");
    ck_assert_int_eq(call(gone_mark, w.aid), 200); /* again */
    ck_assert_int_eq(drain(w.aid, false), 400);
    w_restart(&w);
    come_back("a2", "");
    w_expect(&w, "a2", "ShutdownMessage {\"message\":\"Agent has been marked gone\"}");
    ck_assert_ptr_null(the_agent());
}
END_TEST

START_TEST(gone_after_unreachable)
{
    run_task(aware);
    master_agent_closed(w.m, (void *)"a1");
    w_pass(&w, 601 * W_SECOND);
    w_expect(&w, "s1", "TASK_UNREACHABLE");
    ck_assert_int_eq(call(gone_mark, w.aid), 200);
    ck_assert_ptr_nonnull(
        strstr(w_expect(&w, "s1", "TASK_GONE_BY_OPERATOR"), "REASON_AGENT_REMOVED_BY_OPERATOR"));
    ck_assert(on_disk("gone") && !on_disk("unreachable"));
    ck_assert_ptr_null(w.m->unreachable_agents);
}
END_TEST

static int answers[8], n_answers;

static void note(void *arg, int status, const struct fl_err *err)
{
    answers[n_answers++] = err ? fl_reason_http_status(err->reason) : status;
}

/* Asked while another change is being written. */
START_TEST(one_after_another)
{
    enrol("a1");
    n_answers = 0;
    drain_deactivate(w.m, w.aid, NULL, note, NULL);
    drain_reactivate(w.m, w.aid, NULL, note, NULL);
    drain_reactivate(w.m, w.aid, NULL, note, NULL);
    gone_mark(w.m, w.aid, NULL, note, NULL);
    gone_mark(w.m, w.aid, NULL, note, NULL);
    ck_assert_int_eq(n_answers, 0);
    w_settle(&w);
    ck_assert_int_eq(n_answers, 5);
    ck_assert_int_eq(answers[0], 200);
    ck_assert_int_eq(answers[1], 200);
    ck_assert_int_eq(answers[2], 400); /* it is active already */
    ck_assert_int_eq(answers[3], 200);
    ck_assert_int_eq(answers[4], 200);
    enrol("a2");
    n_answers = 0;
    gone_mark(w.m, w.aid, NULL, note, NULL);
    gone_mark(w.m, w.aid, NULL, note, NULL);
    drain_agent(w.m, w.aid, NULL, false, NULL, note, NULL);
    ck_assert_int_eq(n_answers, 2);
    ck_assert_int_eq(answers[0], 503);
    ck_assert_int_eq(answers[1], 409);
    w_settle(&w);
    ck_assert_int_eq(answers[2], 200);
}
END_TEST

/* The machine goes down while the registry is being told that the agent drains. */
START_TEST(down_meanwhile)
{
    _cleanup_pb_ ProtobufCMessage *s = NULL, *machines = NULL;
    struct fl_err err;

    enrol("a1");
    ck_assert_int_eq(call(drain_deactivate, w.aid), 200);
    ck_assert_int_eq(
        fl_json_to_pb(schedule, strlen(schedule), &maint__schedule__descriptor, 0, NULL, &s, &err),
        0);
    maintenance_update(w.m, (Maint__Schedule *)s, NULL, on_answer, NULL);
    w_settle(&w);
    ck_assert_int_eq(fl_json_to_pb(machine, strlen(machine),
                                   &mapi__call__start_maintenance__descriptor, 0, NULL, &machines,
                                   &err),
                     0);
    maintenance_start(w.m, ((Mapi__Call__StartMaintenance *)machines)->machines, 1, NULL, on_answer,
                      NULL);
    drain_reactivate(w.m, w.aid, NULL, on_answer, NULL);
    w_settle(&w);
    ck_assert_ptr_null(the_agent());
}
END_TEST

/* What waits when the master ends is answered, too. */
START_TEST(nobody_waits_for_ever)
{
    enrol("a1");
    n_answers = 0;
    drain_deactivate(w.m, w.aid, NULL, note, NULL);
    drain_reactivate(w.m, w.aid, NULL, note, NULL);
    w_restart(&w);
    ck_assert_int_eq(n_answers, 2);
    ck_assert_int_eq(answers[0], 503);
    ck_assert_int_eq(answers[1], 503);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("master drain");
    TCase *tc = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, unknown_agents);
    tcase_add_test(tc, who_cannot_be_drained);
    tcase_add_test(tc, deactivated_agents_are_not_offered);
    tcase_add_test(tc, draining_ends_when_all_is_acknowledged);
    tcase_add_test(tc, an_idle_agent_is_drained_at_once);
    tcase_add_test(tc, draining_survives_the_master);
    tcase_add_test(tc, draining_an_agent_that_is_away);
    tcase_add_test(tc, drained_and_gone);
    tcase_add_loop_test(tc, gone, 0, 2);
    tcase_add_test(tc, gone_after_unreachable);
    tcase_add_test(tc, one_after_another);
    tcase_add_test(tc, down_meanwhile);
    tcase_add_test(tc, nobody_waits_for_ever);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
