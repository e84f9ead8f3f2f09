/* Command tasks: how they are killed, by their frameworks, by time, with their framework, and by draining. */
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

START_TEST(killed_by_term_then_after_three_seconds_by_kill)
{
    h_running(h, "t", "", H_COMMAND);
    h_kill(h, "t", "");
    ck_assert_uint_eq(h_last(h)->n_signals, 1);
    ck_assert_int_eq(h_last(h)->signals[0], SIGTERM);
    h_pass(h, SECONDS(3) - 1);
    ck_assert(!h_last(h)->destroyed);
    h_pass(h, 1);
    ck_assert(h_last(h)->destroyed);
    h_ended(h, CONTAINER_DESTROYED, 0);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_KILLED);
    ck_assert_str_eq(h_update(h)->status->message, "Command terminated with signal Killed");
    ck_assert_int_eq(h_update(h)->status->source, V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR);
}
END_TEST

START_TEST(killed_task_that_exits_by_itself_is_killed)
{
    h_running(h, "t", "", H_COMMAND);
    h_kill(h, "t", "");
    h_ended(h, CONTAINER_EXITED, 0);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_KILLED);
}
END_TEST

#define GRACE(ns) ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":" #ns "}}"

START_TEST(grace_of_the_call_over_that_of_the_task)
{
    h_running(h, "own", "", H_COMMAND GRACE(60000000000));
    h_kill(h, "own", "");
    h_pass(h, SECONDS(60) - 1);
    ck_assert(!h_last(h)->destroyed);
    h_pass(h, 1);
    ck_assert(h_last(h)->destroyed);
    h_running(h, "call", "", H_COMMAND GRACE(60000000000));
    h_kill(h, "call", GRACE(1000000000));
    h_pass(h, SECONDS(1));
    ck_assert(h_last(h)->destroyed);
}
END_TEST

START_TEST(a_second_kill_can_only_shorten)
{
    h_running(h, "t", "", H_COMMAND GRACE(20000000000));
    h_kill(h, "t", "");
    h_pass(h, SECONDS(2));
    h_kill(h, "t", GRACE(30000000000));
    h_kill(h, "t", GRACE(5000000000));
    ck_assert_uint_eq(h_last(h)->n_signals, 1);
    h_pass(h, SECONDS(3) - 1);
    ck_assert(!h_last(h)->destroyed);
    h_pass(h, 1);
    ck_assert(h_last(h)->destroyed);
}
END_TEST

START_TEST(killing_is_told_to_those_who_know_the_state)
{
    h_running(h, "t", ",\"capabilities\":[{\"type\":\"TASK_KILLING_STATE\"}]", H_COMMAND);
    h_kill(h, "t", "");
    h_ack(h, "t", V1__TASK_STATE__TASK_KILLING);
    h_ended(h, CONTAINER_EXITED, SIGTERM);
    h_ack(h, "t", V1__TASK_STATE__TASK_KILLED);
}
END_TEST

START_TEST(killed_before_it_was_started)
{
    h_run(h, "t", "", H_COMMAND);
    h_kill(h, "t", "");
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_KILLED);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH);
    ck_assert(h_last(h)->destroyed);
    h_started(h); /* was under way */
    ck_assert_uint_eq(h_updates(h), 1);
    h_ended(h, CONTAINER_DESTROYED, 0);
    ck_assert_uint_eq(h_updates(h), 1);
    h_ack(h, "t", V1__TASK_STATE__TASK_KILLED);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

START_TEST(kill_of_an_unknown_task_is_answered)
{
    h_kill(h, "nobody", "");
    ck_assert_ptr_null(h_update(h)); /* nor is its framework known here */
    h_running(h, "t", ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]", H_COMMAND);
    h_kill(h, "nobody", "");
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_DROPPED);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED);
}
END_TEST

START_TEST(longest_time_fails_the_task)
{
    h_running(h, "t", ",\"capabilities\":[{\"type\":\"TASK_KILLING_STATE\"}]",
              H_COMMAND ",\"max_completion_time\":{\"nanoseconds\":7000000000}");
    h_pass(h, SECONDS(7) - 1);
    ck_assert_uint_eq(h_last(h)->n_signals, 0);
    h_pass(h, 1);
    ck_assert(h_last(h)->destroyed);
    h_ended(h, CONTAINER_DESTROYED, 0);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_FAILED);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED);
}
END_TEST

#define SHUTDOWN_FRAMEWORK                                                                         \
    h_deliver(h, &msg__shutdown_framework_message__descriptor,                                     \
              "{\"framework_id\":{\"value\":\"" H_FRAMEWORK "\"}}")

START_TEST(framework_shutdown_kills_in_silence)
{
    unsigned before;

    h_running(h, "t", "", H_COMMAND);
    before = h_updates(h);
    SHUTDOWN_FRAMEWORK;
    ck_assert_int_eq(h_last(h)->signals[0], SIGTERM);
    h_pass(h, SECONDS(4));
    ck_assert(h_last(h)->destroyed);
    h_ended(h, CONTAINER_DESTROYED, 0);
    ck_assert_uint_eq(h_updates(h), before);
    ck_assert_ptr_null(h->a->frameworks);
    ck_assert_int_eq(h->a->completed_frameworks->completed->completed->state,
                     V1__TASK_STATE__TASK_KILLED);
}
END_TEST

/* Each has an update that was not acknowledged. */
static unsigned streams(void)
{
    unsigned before = h_updates(h);

    agent_updates_resume(h->a->updates);
    return h_updates(h) - before;
}

START_TEST(framework_shutdown_drops_what_nobody_will_acknowledge)
{
    h_running(h, "t", "", H_COMMAND);
    h_ended(h, CONTAINER_EXITED, 0);
    ck_assert_uint_eq(streams(), 1);
    SHUTDOWN_FRAMEWORK;
    ck_assert_uint_eq(streams(), 0);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

START_TEST(draining_kills_and_refuses)
{
    h_running(h, "t", "", H_COMMAND);
    h_deliver(h, &msg__drain_slave_message__descriptor,
              "{\"config\":{\"max_grace_period\":{\"nanoseconds\":1000000000}}}");
    ck_assert_int_eq(h_last(h)->signals[0], SIGTERM);
    h_ended(h, CONTAINER_EXITED, SIGTERM);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_KILLED);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING);
    h_run(h, "later", "", H_COMMAND);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_LOST);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_kills");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, killed_by_term_then_after_three_seconds_by_kill);
    tcase_add_test(tc, killed_task_that_exits_by_itself_is_killed);
    tcase_add_test(tc, grace_of_the_call_over_that_of_the_task);
    tcase_add_test(tc, a_second_kill_can_only_shorten);
    tcase_add_test(tc, killing_is_told_to_those_who_know_the_state);
    tcase_add_test(tc, killed_before_it_was_started);
    tcase_add_test(tc, kill_of_an_unknown_task_is_answered);
    tcase_add_test(tc, longest_time_fails_the_task);
    tcase_add_test(tc, framework_shutdown_kills_in_silence);
    tcase_add_test(tc, framework_shutdown_drops_what_nobody_will_acknowledge);
    tcase_add_test(tc, draining_kills_and_refuses);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
