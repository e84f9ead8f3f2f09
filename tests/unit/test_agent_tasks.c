/* Command tasks: what is launched, what is told in which order. */
#include "tests/unit/agent_harness.h"

static struct harness *h;

static void setup(void)
{
    h = h_new(NULL);
    h_register(h);
}

static void teardown(void)
{
    h_free(h);
}

START_TEST(tells_starting_running_finished_each_after_the_acknowledgement)
{
    h_run(h, "t", "", H_COMMAND);
    ck_assert_ptr_null(h_update(h));
    ck_assert_str_eq(h_last(h)->command, "sleep 5");
    h_started(h);
    ck_assert_uint_eq(h_updates(h), 1);
    ck_assert_int_eq(h_update(h)->status->source, V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR);
    ck_assert_str_eq(h_update(h)->status->executor_id->value, "t");
    ck_assert_int_eq(h_update(h)->latest_state, V1__TASK_STATE__TASK_STARTING);
    h_ack(h, "t", V1__TASK_STATE__TASK_STARTING);
    ck_assert_int_eq(h_update(h)->status->container_status->executor_pid, 777);
    ck_assert_str_eq(h_update(h)->status->container_status->container_id->value, h_last(h)->id);
    ck_assert_str_eq(
        h_update(h)->status->container_status->network_infos[0]->ip_addresses[0]->ip_address,
        "127.0.0.1");
    h_ended(h, CONTAINER_EXITED, 0);
    ck_assert_uint_eq(h_updates(h), 2);
    h_ack(h, "t", V1__TASK_STATE__TASK_RUNNING);
    ck_assert_uint_eq(h_updates(h), 3);
    ck_assert_str_eq(h_update(h)->status->message, "Command exited with status 0");
    ck_assert(!h_update(h)->status->has_reason);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
    ck_assert_ptr_null(agent_find_framework(h->a, H_FRAMEWORK));
    ck_assert_ptr_nonnull(h->a->completed_frameworks);
    ck_assert(h_last(h)->forgotten);
}
END_TEST

START_TEST(repeats_the_head_after_10_20_40_seconds_up_to_ten_minutes)
{
    static const unsigned after[] = {10, 20, 40, 80, 160, 320, 600, 600};
    unsigned sent = 1;
    uint8_t uuid[FL_UUID_LEN];

    h_run(h, "t", "", H_COMMAND);
    h_started(h);
    memcpy(uuid, h_update(h)->uuid.data, sizeof uuid);
    h->a->link.ping_timeout_us = SECONDS(1000000);
    env_timer_stop(agent_time(h->a), h->a->link.ping_timer);
    for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
        h_pass(h, SECONDS(after[i]) - 1);
        ck_assert_uint_eq(h_updates(h), sent);
        h_pass(h, 1);
        ck_assert_uint_eq(h_updates(h), ++sent);
        ck_assert_mem_eq(h_update(h)->uuid.data, uuid, sizeof uuid);
        ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_STARTING);
    }
    h_ack(h, "t", V1__TASK_STATE__TASK_STARTING);
    h_pass(h, SECONDS(10) - 1);
    ck_assert_uint_eq(h_updates(h), sent + 1);
    h_pass(h, 1);
    ck_assert_uint_eq(h_updates(h), sent + 2);
}
END_TEST

/* One timer serves them all: what one task's stream does must not move another's. */
START_TEST(each_stream_has_its_own_times)
{
    h_run(h, "a", "", H_COMMAND);
    h_started(h);
    h_pass(h, SECONDS(7));
    h_run(h, "b", "", H_COMMAND);
    h_started(h);
    ck_assert_uint_eq(h_updates(h), 2);
    h_pass(h, SECONDS(3)); /* a: 10 s */
    ck_assert_uint_eq(h_updates(h), 3);
    ck_assert_str_eq(h_update(h)->status->task_id->value, "a");
    h_pass(h, SECONDS(7) - 1);
    ck_assert_uint_eq(h_updates(h), 3);
    h_pass(h, 1); /* b: 10 s */
    ck_assert_uint_eq(h_updates(h), 4);
    h_ack(h, "b", V1__TASK_STATE__TASK_STARTING); /* at 17 s; RUNNING follows */
    ck_assert_uint_eq(h_updates(h), 5);
    h_pass(h, SECONDS(10) - 1);
    ck_assert_uint_eq(h_updates(h), 5);
    h_pass(h, 1); /* b's RUNNING: 10 s again */
    ck_assert_uint_eq(h_updates(h), 6);
    ck_assert_str_eq(h_update(h)->status->task_id->value, "b");
    h_pass(h, SECONDS(3)); /* a: 20 s after the second */
    ck_assert_uint_eq(h_updates(h), 7);
    ck_assert_str_eq(h_update(h)->status->task_id->value, "a");
    h_ack(h, "a", V1__TASK_STATE__TASK_STARTING);
}
END_TEST

START_TEST(refuses_an_acknowledgement_of_another_update)
{
    uint8_t other[FL_UUID_LEN] = {1, 2, 3};
    ProtobufCBinaryData uuid = {FL_UUID_LEN, other};

    h_run(h, "t", "", H_COMMAND);
    h_started(h);
    h_ack_uuid(h, "t", &uuid);
    ck_assert_uint_eq(h_updates(h), 1);
    h_ack_uuid(h, "unknown", &uuid);
    h_ack(h, "t", V1__TASK_STATE__TASK_STARTING);
    ck_assert_uint_eq(h_updates(h), 2);
}
END_TEST

START_TEST(a_failing_command_names_its_status_and_no_reason)
{
    static const struct {
        int status;
        const char *message;
    } rows[] = {{3 << 8, "Command exited with status 3"},
                {9, "Command terminated with signal Killed"}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char id[8];

        snprintf(id, sizeof id, "t%zu", i);
        h_running(h, id, "", H_COMMAND);
        h_ended(h, CONTAINER_EXITED, rows[i].status);
        ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_FAILED);
        ck_assert_int_eq(h_update(h)->status->source, V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR);
        ck_assert_str_eq(h_update(h)->status->message, rows[i].message);
        ck_assert(!h_update(h)->status->has_reason);
    }
}
END_TEST

START_TEST(ends_that_are_not_the_commands_own_have_reasons)
{
    static const struct {
        enum container_end_reason end;
        V1__TaskStatus__Reason reason;
        bool started;
    } rows[] = {
        {CONTAINER_LAUNCH_FAILED, V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED, false},
        {CONTAINER_LIMIT_MEMORY, V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY, true},
        {CONTAINER_LIMIT_DISK, V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_DISK, true},
        {CONTAINER_DESTROYED, V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char id[8];

        snprintf(id, sizeof id, "t%zu", i);
        if (rows[i].started)
            h_running(h, id, "", H_COMMAND);
        else
            h_run(h, id, "", H_COMMAND);
        h_ended(h, rows[i].end, 0);
        ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_FAILED);
        ck_assert_int_eq(h_update(h)->status->reason, rows[i].reason);
        ck_assert_int_eq(h_update(h)->status->source, V1__TASK_STATUS__SOURCE__SOURCE_AGENT);
    }
}
END_TEST

START_TEST(a_refused_launch_ends_the_task)
{
    h->refuse_launch = true;
    h_run(h, "t", "", H_COMMAND);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED);
    ck_assert_str_eq(h_update(h)->status->message, "no such image");
    h_ack(h, "t", V1__TASK_STATE__TASK_FAILED);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

START_TEST(adds_what_the_reference_spends_on_an_executor)
{
    _cleanup_resources_ struct resources used = RESOURCES_INIT;

    h_running(h, "t", "", H_COMMAND);
    ck_assert_double_eq_tol(h_last(h)->cpus, 1.1, 1e-9);
    ck_assert_double_eq_tol(h_last(h)->mem, 96, 1e-9);
    agent_allocated(h->a, &used);
    ck_assert_int_eq(resources_scalar(&used, "cpus"), 1100);
    h_ended(h, CONTAINER_EXITED, 0);
    agent_allocated(h->a, &used);
    ck_assert(resources_empty(&used));
}
END_TEST

START_TEST(environment_names_the_executor_and_no_task)
{
    const char *env;

    h_run(h, "t", "", H_COMMAND);
    env = h_last(h)->env;
    ck_assert_ptr_nonnull(strstr(env, "MESOS_EXECUTOR_ID=t\n"));
    ck_assert_ptr_nonnull(strstr(env, "MESOS_FRAMEWORK_ID=" H_FRAMEWORK "\n"));
    ck_assert_ptr_nonnull(strstr(env, "MESOS_ALLOCATION_ROLE=r\n"));
    ck_assert_ptr_nonnull(strstr(env, "MESOS_SLAVE_PID=slave(1)@127.0.0.1:5051\n"));
    ck_assert_ptr_nonnull(strstr(env, "MESOS_CHECKPOINT=0\n"));
    ck_assert_ptr_null(strstr(env, "MESOS_TASK_ID"));
    ck_assert_ptr_null(strstr(env, "MESOS_RECOVERY_TIMEOUT"));
    ck_assert_str_eq(h_last(h)->user, "u");
}
END_TEST

START_TEST(a_duplicate_launch_is_ignored)
{
    h_running(h, "t", "", H_COMMAND);
    h_run(h, "t", "", H_COMMAND);
    ck_assert_ptr_eq(h->containers, h->containers->prev);
}
END_TEST

START_TEST(drops_launches_of_an_older_resource_version)
{
    h_deliver(
        h, &msg__run_task_message__descriptor,
        "{\"framework\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"" H_FRAMEWORK "\"}},"
        "\"task\":{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},"
        "\"command\":{\"value\":\"x\"}},"
        "\"resource_version_uuids\":[{\"uuid\":{\"value\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}]}");
    ck_assert_ptr_null(h->containers);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_LOST);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS);
}
END_TEST

START_TEST(ids_that_are_no_file_names_are_not_run)
{
    h_run(h, "../../etc", "", H_COMMAND);
    ck_assert_ptr_null(h->containers);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

START_TEST(limits_refuse_what_is_too_much)
{
    h->flags.max_tasks = 1;
    h_run(h, "t", "", H_COMMAND);
    h_run(h, "more", "", H_COMMAND);
    ck_assert_str_eq(h_update(h)->status->task_id->value, "more");
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_LOST);
    ck_assert_double_eq(metric_get(metrics_counter(h->metrics, "slave/tasks_over_limit")), 1);
    h->flags.max_pending_updates = 1;
    h_started(h);
    h_ended(h, CONTAINER_EXITED, 0); /* RUNNING has no place, the end has */
    ck_assert_double_eq(metric_get(metrics_counter(h->metrics, "slave/updates_over_limit")), 2);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_FINISHED);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
    ck_assert_uint_eq(h->a->n_tasks, 0);
}
END_TEST

static void run_asking(bool launch)
{
    _cleanup_free_ char *json = xasprintf(
        "{\"framework\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"" H_FRAMEWORK "\"}},"
        "\"task\":{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":"
        "\"" H_AGENT_ID "\"}" H_EXECUTOR "},\"launch_executor\":%s}",
        launch ? "first" : "second", launch ? "true" : "false");

    h_deliver(h, &msg__run_task_message__descriptor, json);
}

/* The master has it on its books already. */
START_TEST(an_executor_that_will_not_start_is_given_back)
{
    const Msg__ExitedExecutorMessage *m;

    run_asking(false);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED);
    ck_assert_ptr_null(h_sent(h, &msg__exited_executor_message__descriptor));
    h_running(h, "t", "", H_COMMAND); /* an agent without anything to kill does not drain */
    h_deliver(h, &msg__drain_slave_message__descriptor, "{\"config\":{}}");
    run_asking(true);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING);
    m = h_sent(h, &msg__exited_executor_message__descriptor);
    ck_assert_ptr_nonnull(m);
    ck_assert_str_eq(m->executor_id->value, "e1");
    ck_assert_int_eq(m->status, -1);
}
END_TEST

START_TEST(an_executor_is_not_started_twice)
{
    h_run(h, "t", "", H_EXECUTOR);
    run_asking(true);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED);
    ck_assert_ptr_null(h_sent(h, &msg__exited_executor_message__descriptor));
    h_ended(h, CONTAINER_DESTROYED, 9);
    ck_assert_ptr_nonnull(h_sent(h, &msg__exited_executor_message__descriptor));
}
END_TEST

START_TEST(a_new_subscription_gets_what_was_not_acknowledged)
{
    unsigned n;

    h_running(h, "t", "", H_COMMAND);
    h_ended(h, CONTAINER_EXITED, 0);
    n = h_updates(h);
    h_deliver(h, &msg__update_framework_message__descriptor,
              "{\"framework_id\":{\"value\":\"other\"}}");
    ck_assert_uint_eq(h_updates(h), n);
    h_deliver(h, &msg__update_framework_message__descriptor,
              "{\"framework_id\":{\"value\":\"" H_FRAMEWORK "\"}}");
    ck_assert_uint_eq(h_updates(h), n + 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_tasks");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_new_subscription_gets_what_was_not_acknowledged);
    tcase_add_test(tc, an_executor_that_will_not_start_is_given_back);
    tcase_add_test(tc, an_executor_is_not_started_twice);
    tcase_add_test(tc, tells_starting_running_finished_each_after_the_acknowledgement);
    tcase_add_test(tc, repeats_the_head_after_10_20_40_seconds_up_to_ten_minutes);
    tcase_add_test(tc, each_stream_has_its_own_times);
    tcase_add_test(tc, refuses_an_acknowledgement_of_another_update);
    tcase_add_test(tc, a_failing_command_names_its_status_and_no_reason);
    tcase_add_test(tc, ends_that_are_not_the_commands_own_have_reasons);
    tcase_add_test(tc, a_refused_launch_ends_the_task);
    tcase_add_test(tc, adds_what_the_reference_spends_on_an_executor);
    tcase_add_test(tc, environment_names_the_executor_and_no_task);
    tcase_add_test(tc, a_duplicate_launch_is_ignored);
    tcase_add_test(tc, drops_launches_of_an_older_resource_version);
    tcase_add_test(tc, ids_that_are_no_file_names_are_not_run);
    tcase_add_test(tc, limits_refuse_what_is_too_much);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
