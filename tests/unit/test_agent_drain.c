/* Draining in the agent's core: whom it kills how soon, when it is over, and a restart in between. */
#include "tests/unit/agent_harness.h"

static struct harness *h;

static void setup(void)
{
    h = h_new(NULL);
    h_write(h, "/proc/sys/kernel/random/boot_id", "boot-1\n", 7, false, NULL);
    h_register(h);
}

static void teardown(void)
{
    h_free(h);
}

static void drain(const char *config)
{
    _cleanup_free_ char *json = xasprintf("{\"config\":{%s}}", config);

    h_deliver(h, &msg__drain_slave_message__descriptor, json);
}

#define GRACE(s) "\"max_grace_period\":{\"nanoseconds\":" s "000000000}"

START_TEST(an_idle_agent_has_nothing_to_do)
{
    drain(GRACE("1"));
    ck_assert_ptr_null(h->a->drain);
    ck_assert_ptr_null(h_find_file(h, "/drain.config"));
    h_running(h, "t", "", H_COMMAND);
}
END_TEST

START_TEST(it_is_over_with_the_last_acknowledgement)
{
    h_running(h, "t", "", H_COMMAND);
    drain(GRACE("1"));
    ck_assert_ptr_nonnull(h->a->drain);
    ck_assert_ptr_nonnull(h_find_file(h, "/meta/slaves/" H_AGENT_ID "/drain.config"));
    h_ended(h, CONTAINER_EXITED, SIGTERM);
    ck_assert_ptr_nonnull(h->a->drain);
    h_ack(h, "t", V1__TASK_STATE__TASK_KILLED);
    ck_assert_ptr_null(h->a->drain);
    ck_assert_ptr_null(h_find_file(h, "/drain.config"));
}
END_TEST

static const struct {
    const char *config, *task;
    unsigned destroyed_after_s;
} graces[] = {
    {"", "", 3},
    {GRACE("1"), "", 1},
    {GRACE("1"), ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":5000000000}}", 1},
    {GRACE("9"), ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":5000000000}}", 5},
    {"", ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":5000000000}}", 5},
    {GRACE("9"), "", 9},
};

START_TEST(the_shorter_grace_period_counts)
{
    _cleanup_free_ char *task = xasprintf("%s%s", H_COMMAND, graces[_i].task);

    h_running(h, "t", "", task);
    drain(graces[_i].config);
    ck_assert_int_eq(h_last(h)->signals[0], SIGTERM);
    h_pass(h, graces[_i].destroyed_after_s * 1000000ull - 100000);
    ck_assert(!h_last(h)->destroyed);
    h_pass(h, 200000);
    ck_assert(h_last(h)->destroyed);
}
END_TEST

START_TEST(before_gone_those_who_understand_hear_that)
{
    bool aware = _i;

    h_running(h, "t", aware ? ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]" : "", H_COMMAND);
    drain("\"mark_gone\":true");
    h_ended(h, CONTAINER_EXITED, SIGTERM);
    ck_assert_int_eq(h_update(h)->status->state,
                     aware ? V1__TASK_STATE__TASK_GONE_BY_OPERATOR : V1__TASK_STATE__TASK_KILLED);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING);
}
END_TEST

START_TEST(a_restarted_agent_goes_on)
{
    struct fl_err err = {0};

    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    drain("\"mark_gone\":false," GRACE("1"));
    h->survivors[0] = (struct fake_survivor){h_last(h)->id, true, 0};
    h_last(h)->n_signals = 0;
    h_stop_agent(h);
    h_start_agent(h, H_RESOURCES);
    ck_assert_msg(agent_recover(h->a, &err) == 0, "%s", err.msg);
    ck_assert_ptr_nonnull(h->a->drain);
    ck_assert_int_eq(h->a->drain->max_grace_period->nanoseconds, 1000000000);
    ck_assert_uint_eq(h_last(h)->n_signals, 1);
    ck_assert_int_eq(h_last(h)->signals[0], SIGTERM);
    h_connect(h);
    h_reregister(h);
    h_ended(h, CONTAINER_EXITED, SIGTERM);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING);
    h_ack(h, "t", V1__TASK_STATE__TASK_KILLED);
    ck_assert_ptr_null(h->a->drain);
}
END_TEST

/* Everything ended while the agent was away. */
START_TEST(an_order_without_anything_left_is_forgotten)
{
    struct fl_err err = {0};

    h_running(h, "t", "", H_COMMAND); /* not checkpointed */
    drain("");
    h_stop_agent(h);
    h_start_agent(h, H_RESOURCES);
    ck_assert_msg(agent_recover(h->a, &err) == 0, "%s", err.msg);
    ck_assert_ptr_null(h->a->drain);
    ck_assert_ptr_null(h_find_file(h, "/drain.config"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent drain");
    TCase *tc = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_idle_agent_has_nothing_to_do);
    tcase_add_test(tc, it_is_over_with_the_last_acknowledgement);
    tcase_add_loop_test(tc, the_shorter_grace_period_counts, 0, ARRAY_SIZE(graces));
    tcase_add_loop_test(tc, before_gone_those_who_understand_hear_that, 0, 2);
    tcase_add_test(tc, a_restarted_agent_goes_on);
    tcase_add_test(tc, an_order_without_anything_left_is_forgotten);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
