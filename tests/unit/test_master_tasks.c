/* The master's core and tasks: ACCEPT, status updates and their acknowledgements, KILL, RECONCILE. */
#include "tests/unit/master_world.h"

#include "master/core.h"

static struct world w;
static const char aware[] = ",\"checkpoint\":true,\"failover_timeout\":1000,"
                            "\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]";
static const char unaware[] = ",\"checkpoint\":true,\"failover_timeout\":1000";

static void begin(const char *info)
{
    w_init(&w, NULL);
    w_subscribe(&w, "s1", info);
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
}

static void setup(void)
{
    begin(aware);
}

static void teardown(void)
{
    w_done(&w);
}

static struct task *task(const char *id)
{
    struct task *t;

    HASH_FIND_STR(w.m->frameworks->tasks, id, t);
    return t;
}

/* ---- ACCEPT ---- */

START_TEST(a_task_goes_to_its_agent)
{
    const char *run;

    w_launch(&w, "s1", "t1", W_CPUS("1.5"));
    run = w_expect(&w, "a1", "RunTaskMessage");
    ck_assert_ptr_nonnull(strstr(run, "\"task_id\":{\"value\":\"t1\"}"));
    ck_assert_ptr_nonnull(strstr(run, "\"launch_executor\":true"));
    ck_assert_ptr_nonnull(strstr(run, "\"allocation_info\":{\"role\":\"*\"}"));
    ck_assert_int_eq(task("t1")->state, V1__TASK_STATE__TASK_STAGING);
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 1500);
    ck_assert_uint_eq(master_task_count(w.m, V1__TASK_STATE__TASK_STAGING), 1);
    w_never(&w, "s1", "\"UPDATE\"");
    w_pass(&w, 2 * W_SECOND);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"value\":2.5"));
}
END_TEST

static const struct {
    const char *id, *resources, *reason;
} invalid[] = {
    {"t1", W_CPUS("5"), "REASON_TASK_INVALID"},  /* more than offered */
    {"a/b", W_CPUS("1"), "REASON_TASK_INVALID"}, /* no id */
    {"t1", W_CPUS("-1"), "REASON_TASK_INVALID"}, /* no amount */
};

START_TEST(an_invalid_task_is_told)
{
    const char *ev;

    w_launch(&w, "s1", invalid[_i].id, invalid[_i].resources);
    ev = w_expect(&w, "s1", "TASK_ERROR");
    ck_assert_ptr_nonnull(strstr(ev, invalid[_i].reason));
    ck_assert_ptr_nonnull(strstr(ev, "SOURCE_MASTER"));
    ck_assert_ptr_null(strstr(ev, "uuid"));
    w_never(&w, "a1", "RunTaskMessage");
    ck_assert_ptr_null(w.m->frameworks->tasks);
    w_pass(&w, 2 * W_SECOND); /* and the resources are free again */
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"value\":4.0"));
}
END_TEST

START_TEST(a_used_offer_drops_the_task)
{
    char used[128];

    fl_snprintf(used, sizeof(used), "%s", w.oid);
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    fl_snprintf(w.oid, sizeof(w.oid), "%s", used);
    w_launch(&w, "s1", "t2", W_CPUS("1"));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "TASK_DROPPED"), "REASON_INVALID_OFFERS"));
    ck_assert_ptr_null(task("t2"));
}
END_TEST

START_TEST(without_partition_aware_dropped_is_lost)
{
    w_done(&w);
    begin(unaware);
    fl_snprintf(w.oid, sizeof(w.oid), "none");
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "TASK_LOST"), "REASON_INVALID_OFFERS"));
}
END_TEST

START_TEST(nobody_takes_anothers_offer)
{
    w_subscribe(&w, "s2", "");
    w_launch(&w, "s2", "t1", W_CPUS("1"));
    w_expect(&w, "s2", "REASON_INVALID_OFFERS");
    ck_assert_ptr_nonnull(w.m->offers); /* it is still the first one's */
}
END_TEST

static const char group[] =
    "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{\"type\":\"LAUNCH_GROUP\","
    "\"launch_group\":{\"executor\":{\"type\":\"DEFAULT\",\"executor_id\":{\"value\":\"e\"},"
    "\"framework_id\":{\"value\":\"%s\"},\"resources\":[" W_CPUS(
        "0.1") ",{\"name\":\"disk\","
               "\"type\":\"SCALAR\",\"scalar\":{\"value\":32}}]},\"task_group\":{\"tasks\":["
               "{\"name\":\"t\",\"task_id\":{\"value\":\"g1\"},\"agent_id\":{\"value\":\"%s\"},"
               "\"command\":"
               "{\"value\":\"x\"},\"resources\":[" W_CPUS(
                   "1") "]},"
                        "{\"name\":\"t\",\"task_id\":{\"value\":\"g2\"},\"agent_id\":{\"value\":\"%"
                        "s\"},\"command\":"
                        "{\"value\":\"x\"},\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\","
                        "\"scalar\":{\"value\":"
                        "%s}}]}]}}}]}";

START_TEST(a_group_is_all_or_nothing)
{
    /* The agent has no disk at all: refused, every task of it. */
    w_call(&w, "s1", "ACCEPT", group, w.oid, w.fid, w.aid, w.aid, "1");
    w_expect(&w, "s1", "\"value\":\"g1\"");
    ck_assert_ptr_nonnull(
        strstr(w_expect(&w, "s1", "\"value\":\"g2\""), "REASON_TASK_GROUP_INVALID"));
    w_never(&w, "a1", "RunTaskGroupMessage");
    ck_assert_ptr_null(w.m->agents->executors);
}
END_TEST

START_TEST(a_task_with_an_executor_books_it_once)
{
    static const char body[] =
        "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{\"type\":\"LAUNCH\","
        "\"launch\":{\"task_infos\":[{\"name\":\"t\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":"
        "{\"value\":\"%s\"},\"executor\":{\"type\":\"CUSTOM\",\"executor_id\":{\"value\":\"e\"},"
        "\"command\":{\"value\":\"x\"},\"resources\":[" W_CPUS("0.5") "]},\"resources\":[" W_CPUS(
            "1") "]}]}}],\"filters\":{\"refuse_seconds\":0}}";

    w_call(&w, "s1", "ACCEPT", body, w.oid, "t1", w.aid);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "a1", "RunTaskMessage"), "\"launch_executor\":true"));
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 1500);
    w_pass(&w, 2 * W_SECOND);
    ck_assert_ptr_nonnull(
        strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"executor_ids\":[{\"value\":\"e\"}]"));
    w_call(&w, "s1", "ACCEPT", body, w.oid, "t2", w.aid);
    ck_assert_ptr_nonnull(
        strstr(w_expect(&w, "a1", "RunTaskMessage"), "\"launch_executor\":false"));
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 2500);
    w_agent(&w, "a1", "", &msg__exited_executor_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"},\"executor_id\":"
            "{\"value\":\"e\"},\"status\":1792}",
            w.aid, w.fid);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"FAILURE\""), "\"status\":1792"));
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 2000);
}
END_TEST

/* ---- updates ---- */

START_TEST(updates_are_forwarded_and_acknowledged)
{
    const char *ev;

    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    ev = w_expect(&w, "s1", "TASK_RUNNING");
    ck_assert_ptr_nonnull(strstr(ev, "\"uuid\":\"" W_UUID "\""));
    ck_assert_ptr_nonnull(strstr(ev, "\"timestamp\":5.5"));
    ck_assert_ptr_nonnull(strstr(ev, w.aid));
    ck_assert_int_eq(task("t1")->state, V1__TASK_STATE__TASK_RUNNING);
    w_call(
        &w, "s1", "ACKNOWLEDGE",
        "\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"t1\"},\"uuid\":"
        "\"" W_UUID "\"}",
        w.aid);
    w_expect(&w, "a1", "StatusUpdateAcknowledgementMessage");
    ck_assert_ptr_nonnull(task("t1"));
}
END_TEST

START_TEST(a_finished_task_is_kept_until_acknowledged)
{
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    w_status(&w, "a1", "t1", "TASK_FINISHED", "AQAAAAAAAAAAAAAAAAAAAA==", NULL);
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 0); /* free at once */
    ck_assert_ptr_nonnull(task("t1"));
    w_call(
        &w, "s1", "ACKNOWLEDGE", /* of the one before: no end */
        "\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"t1\"},\"uuid\":"
        "\"" W_UUID "\"}",
        w.aid);
    ck_assert_ptr_nonnull(task("t1"));
    w_call(
        &w, "s1", "ACKNOWLEDGE",
        "\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"t1\"},\"uuid\":"
        "\"AQAAAAAAAAAAAAAAAAAAAA==\"}",
        w.aid);
    ck_assert_ptr_null(task("t1"));
    ck_assert_str_eq(w.m->frameworks->completed_tasks->id, "t1");
    ck_assert_uint_eq(w.m->frameworks->completed_tasks->n_statuses, 2);
}
END_TEST

START_TEST(latest_state_frees_resources_before_the_update_is_told)
{
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_status(&w, "a1", "t1", "TASK_STARTING", W_UUID, "TASK_FAILED");
    ck_assert_int_eq(task("t1")->state, V1__TASK_STATE__TASK_FAILED);
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 0);
    w_expect(&w, "s1", "TASK_STARTING");
    w_call(
        &w, "s1", "ACKNOWLEDGE",
        "\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"t1\"},\"uuid\":"
        "\"" W_UUID "\"}",
        w.aid);
    ck_assert_ptr_nonnull(task("t1")); /* STARTING was told, FAILED was not */
}
END_TEST

START_TEST(updates_wait_for_an_absent_framework)
{
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    master_framework_closed(w.m, (void *)"s1");
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    w_never(&w, "s1", "TASK_RUNNING");
    ck_assert_int_eq(task("t1")->state, V1__TASK_STATE__TASK_RUNNING);
    ck_assert(!task("t1")->has_status_update);
}
END_TEST

START_TEST(history_has_one_entry_a_state_and_no_data)
{
    _cleanup_buf_ struct fl_buf json = FL_BUF_INIT;
    struct fl_arena *arena = fl_arena_new(1024);

    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    w_status(&w, "a1", "t1", "TASK_RUNNING", "AQAAAAAAAAAAAAAAAAAAAA==", NULL);
    fl_json_from_pb(&json, &master_task_pb(task("t1"), arena)->base, 0);
    fl_buf_cstr(&json);
    ck_assert_uint_eq(task("t1")->n_statuses, 1);
    ck_assert_ptr_nonnull(strstr(json.data, "\"uuid\":\"AQAAAAAAAAAAAAAAAAAAAA==\""));
    ck_assert_ptr_null(strstr(json.data, "\"data\""));
    ck_assert_ptr_nonnull(strstr(json.data, "\"state\":\"TASK_RUNNING\""));
    fl_arena_free(arena);
}
END_TEST

START_TEST(a_bad_uuid_is_not_forwarded)
{
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_status(&w, "a1", "t1", "TASK_RUNNING", "AQID", NULL);
    w_never(&w, "s1", "TASK_RUNNING");
    ck_assert_int_eq(task("t1")->state, V1__TASK_STATE__TASK_STAGING);
}
END_TEST

START_TEST(completed_tasks_have_a_limit)
{
    w_done(&w);
    w_init(&w, (const char *[]){"--max_completed_tasks_per_framework=2", NULL});
    w_subscribe(&w, "s1", unaware);
    w_register(&w, "a1");
    for (int i = 0; i < 4; i++) {
        _cleanup_free_ char *id = xasprintf("t%d", i);
        w_pass(&w, 2 * W_SECOND);
        w_launch(&w, "s1", id, W_CPUS("1"));
        w_status(&w, "a1", id, "TASK_FINISHED", W_UUID, NULL);
        w_call(&w, "s1", "ACKNOWLEDGE",
               "\"acknowledge\":{\"agent_id\":{\"value\":\"%s\"},\"task_id\":{\"value\":\"%s\"},"
               "\"uuid\":\"" W_UUID "\"}",
               w.aid, id);
    }
    ck_assert_uint_eq(w.m->frameworks->n_completed, 2);
    ck_assert_str_eq(w.m->frameworks->completed_tasks->id, "t2");
    ck_assert_str_eq(w.m->frameworks->completed_tail->id, "t3");
}
END_TEST

/* ---- KILL, MESSAGE, SHUTDOWN ---- */

START_TEST(kill_is_passed_on_with_its_policy)
{
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_call(&w, "s1", "KILL",
           "\"kill\":{\"task_id\":{\"value\":\"t1\"},\"kill_policy\":{\"grace_period\":"
           "{\"nanoseconds\":5}}}");
    ck_assert_ptr_nonnull(
        strstr(w_expect(&w, "a1", "KillTaskMessage"), "\"grace_period\":{\"nanoseconds\":5}"));
    w_call(&w, "s1", "KILL", "\"kill\":{\"task_id\":{\"value\":\"t1\"}}");
    w_expect(&w, "a1", "KillTaskMessage"); /* again is allowed */
    w_call(&w, "s1", "KILL",
           "\"kill\":{\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":\"other\"}}");
    w_never(&w, "a1", "KillTaskMessage");
}
END_TEST

START_TEST(messages_and_shutdown_reach_the_agent)
{
    w_call(
        &w, "s1", "MESSAGE",
        "\"message\":{\"agent_id\":{\"value\":\"%s\"},\"executor_id\":{\"value\":\"e\"},\"data\":"
        "\"aGk=\"}",
        w.aid);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "a1", "FrameworkToExecutorMessage"), "aGk="));
    w_call(&w, "s1", "SHUTDOWN",
           "\"shutdown\":{\"agent_id\":{\"value\":\"%s\"},\"executor_id\":{\"value\":\"e\"}}",
           w.aid);
    w_expect(&w, "a1", "ShutdownExecutorMessage");
    w_agent(&w, "a1", "", &msg__executor_to_framework_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"},\"executor_id\":"
            "{\"value\":\"e\"},\"data\":\"aG8=\"}",
            w.aid, w.fid);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"MESSAGE\""), "aG8="));
}
END_TEST

/* ---- RECONCILE ---- */

static void ask(const char *task_id, const char *agent_id)
{
    if (agent_id)
        w_call(&w, "s1", "RECONCILE",
               "\"reconcile\":{\"tasks\":[{\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":"
               "\"%s\"}}]}",
               task_id, agent_id);
    else
        w_call(&w, "s1", "RECONCILE",
               "\"reconcile\":{\"tasks\":[{\"task_id\":{\"value\":\"%s\"}}]}", task_id);
}

START_TEST(the_six_answers)
{
    bool is_aware = _i == 0;
    const char *ev;

    w_done(&w);
    begin(is_aware ? aware : unaware);
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    known_add(&w.m->unreachable_agents, "U")->since_ns = 77;
    known_add(&w.m->gone_agents, "G")->since_ns = 77;
    ask("t1", NULL); /* known */
    ev = w_expect(&w, "s1", "REASON_RECONCILIATION");
    ck_assert_ptr_nonnull(strstr(ev, "TASK_STAGING"));
    ck_assert_ptr_null(strstr(ev, "uuid"));
    ask("x", w.aid); /* agent registered */
    w_expect(&w, "s1", is_aware ? "TASK_GONE\"" : "TASK_LOST");
    ask("x", "U"); /* unreachable, with its time */
    ev = w_expect(&w, "s1", is_aware ? "TASK_UNREACHABLE" : "TASK_LOST");
    ck_assert_ptr_nonnull(strstr(ev, "\"unreachable_time\":{\"nanoseconds\":77}"));
    ask("x", "G");
    w_expect(&w, "s1", is_aware ? "TASK_GONE_BY_OPERATOR" : "TASK_LOST");
    ask("x", "never-heard-of");
    w_expect(&w, "s1", is_aware ? "TASK_UNKNOWN" : "TASK_LOST");
    ask("x", NULL);
    w_expect(&w, "s1", is_aware ? "TASK_UNKNOWN" : "TASK_LOST");
    known_add(&w.m->recovered_agents, "R"); /* not back yet: no answer */
    ask("x", "R");
    ask("x", NULL);
    w_never(&w, "s1", "REASON_RECONCILIATION");
}
END_TEST

START_TEST(implicit_reconciliation_lists_all)
{
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_pass(&w, 2 * W_SECOND);
    w_launch(&w, "s1", "t2", W_CPUS("1"));
    w_status(&w, "a1", "t2", "TASK_RUNNING", W_UUID, NULL);
    w_expect(&w, "s1", "TASK_RUNNING");
    w_call(&w, "s1", "RECONCILE", "\"reconcile\":{}");
    w_expect(&w, "s1", "TASK_STAGING");
    w_expect(&w, "s1", "TASK_RUNNING");
}
END_TEST

START_TEST(killing_an_unknown_task_is_a_question)
{
    w_call(&w, "s1", "KILL", "\"kill\":{\"task_id\":{\"value\":\"x\"}}");
    w_expect(&w, "s1", "TASK_UNKNOWN");
}
END_TEST

/* ---- the end of the framework ---- */

START_TEST(teardown_kills_tasks_without_a_word)
{
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    ck_assert_int_eq(w_call(&w, "s1", "TEARDOWN", ""), 202);
    w_expect(&w, "a1", "ShutdownFrameworkMessage");
    w_expect(&w, "s1", "CLOSE");
    w_never(&w, "s1", "TASK_KILLED");
    ck_assert_int_eq(w.m->completed_frameworks->completed_tasks->state,
                     V1__TASK_STATE__TASK_KILLED);
    ck_assert(resources_empty(&w.m->agents->used));
    ck_assert_ptr_null(w.m->agents->usages);
}
END_TEST

/* ---- operations ---- */

START_TEST(an_operation_without_agent_support_is_answered)
{
    w_call(
        &w, "s1", "ACCEPT",
        "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{\"type\":\"CREATE_DISK\","
        "\"id\":{\"value\":\"op\"},\"create_disk\":{\"source\":{\"name\":\"disk\",\"type\":"
        "\"SCALAR\",\"scalar\":{\"value\":1}},\"target_type\":\"MOUNT\"}}]}",
        w.oid);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "OPERATION_ERROR"), "\"value\":\"op\""));
}
END_TEST

#define RESERVED                                                                                   \
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"reservations\":[{\"type\":" \
    "\"DYNAMIC\",\"role\":\"a\"}]}"

START_TEST(a_reservation_is_booked_at_once_and_told_to_the_agent)
{
    _cleanup_free_ const char **roles = NULL;
    const char *said;

    w_done(&w);
    w_init(&w, NULL);
    w_subscribe(&w, "s1",
                ",\"roles\":[\"a\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":"
                "\"RESERVATION_REFINEMENT\"}]");
    w_agent(&w, "a1", "10.0.0.1:1", &msg__register_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h1\",\"resources\":" W_AGENT_RESOURCES "},\"version\":"
            "\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS
            ",\"resource_version_uuid\":{\"value\":\"" W_UUID "\"}}");
    ck_assert_int_eq(w_call(&w, "s1", "ACCEPT",
                            "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{"
                            "\"type\":\"RESERVE\",\"reserve\":{\"resources\":[" RESERVED "]}},"
                            "{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[{\"name\":\"t\","
                            "\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":\"%s\"},"
                            "\"command\":{\"value\":\"x\"},\"resources\":[" RESERVED "]}]}}]}",
                            w.oid, w.aid),
                     202);
    said = w_expect(&w, "a1", "ApplyOperationMessage");
    ck_assert_ptr_nonnull(strstr(said, "\"RESERVE\""));
    w_expect(&w, "a1", "RunTaskMessage"); /* sees what the operation made */
    w_never(&w, "s1", "TASK_ERROR");
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 2000);
    ck_assert_int_eq(resources_scalar(&w.m->agents->total, "cpus"), 4000);
    ck_assert_uint_eq(resources_reservation_roles(&w.m->agents->total, &roles), 1);
    ck_assert_str_eq(roles[0], "a");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("master tasks");
    TCase *tc = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_task_goes_to_its_agent);
    tcase_add_loop_test(tc, an_invalid_task_is_told, 0, ARRAY_SIZE(invalid));
    tcase_add_test(tc, a_used_offer_drops_the_task);
    tcase_add_test(tc, without_partition_aware_dropped_is_lost);
    tcase_add_test(tc, nobody_takes_anothers_offer);
    tcase_add_test(tc, a_group_is_all_or_nothing);
    tcase_add_test(tc, a_task_with_an_executor_books_it_once);
    tcase_add_test(tc, updates_are_forwarded_and_acknowledged);
    tcase_add_test(tc, a_finished_task_is_kept_until_acknowledged);
    tcase_add_test(tc, latest_state_frees_resources_before_the_update_is_told);
    tcase_add_test(tc, updates_wait_for_an_absent_framework);
    tcase_add_test(tc, history_has_one_entry_a_state_and_no_data);
    tcase_add_test(tc, a_bad_uuid_is_not_forwarded);
    tcase_add_test(tc, completed_tasks_have_a_limit);
    tcase_add_test(tc, kill_is_passed_on_with_its_policy);
    tcase_add_test(tc, messages_and_shutdown_reach_the_agent);
    tcase_add_loop_test(tc, the_six_answers, 0, 2);
    tcase_add_test(tc, implicit_reconciliation_lists_all);
    tcase_add_test(tc, killing_an_unknown_task_is_a_question);
    tcase_add_test(tc, teardown_kills_tasks_without_a_word);
    tcase_add_test(tc, a_reservation_is_booked_at_once_and_told_to_the_agent);
    tcase_add_test(tc, an_operation_without_agent_support_is_answered);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
