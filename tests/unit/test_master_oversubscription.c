/* What the master does with an agent's estimate of revocable resources: each replaces the one before, offers that hold some are taken
 * back, others stay, and only frameworks that say so get any. */
#include "tests/unit/master_world.h"

static struct world w;
static const char revocable[] = ",\"capabilities\":[{\"type\":\"REVOCABLE_RESOURCES\"}]";

static void setup(void)
{
    w_init(&w, NULL);
}

static void teardown(void)
{
    w_done(&w);
}

#define REVOCABLE_CPUS(n)                                                                          \
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" n "},\"revocable\":{}}"

static void estimate(const char *resources)
{
    w_agent(&w, "a1", "10.0.0.1:40000", &msg__update_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"},\"update_oversubscribed_resources\":true,"
            "\"oversubscribed_resources\":[%s]}",
            w.aid, resources);
    w_pass(&w, 2 * W_SECOND);
}

static void total_is(const char *expected)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;

    resources_format(&master_agent(w.m, w.aid)->total, &text);
    ck_assert_str_eq(fl_buf_cstr(&text), expected);
}

struct wanted {
    const char *name;
    double value;
};

static void take_value(const char *name, double value, void *arg)
{
    struct wanted *x = arg;

    if (streq(name, x->name))
        x->value = value;
}

static double metric_of(const char *name)
{
    struct wanted x = {name, -1};

    metrics_each(w.metrics, take_value, &x);
    return x.value;
}

START_TEST(each_estimate_replaces_the_last)
{
    w_register(&w, "a1");
    estimate(REVOCABLE_CPUS("3"));
    total_is("cpus(*):4; mem(*):1024; cpus(*){REV}:3");
    ck_assert_double_eq(metric_of("master/cpus_revocable_total"), 3);
    ck_assert_double_eq(metric_of("master/cpus_total"), 4);
    estimate(REVOCABLE_CPUS("1.5"));
    total_is("cpus(*):4; mem(*):1024; cpus(*){REV}:1.5");
    estimate("");
    total_is("cpus(*):4; mem(*):1024");
    ck_assert_double_eq(metric_of("master/cpus_revocable_total"), 0);
}
END_TEST

START_TEST(messages_that_say_nothing_of_it_change_nothing)
{
    w_register(&w, "a1");
    estimate(REVOCABLE_CPUS("3"));
    w_agent(&w, "a1", "10.0.0.1:40000", &msg__update_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"},\"update_oversubscribed_resources\":false}", w.aid);
    total_is("cpus(*):4; mem(*):1024; cpus(*){REV}:3");
    /* An agent of the time before the switch. */
    w_agent(&w, "a1", "10.0.0.1:40000", &msg__update_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"}}", w.aid);
    total_is("cpus(*):4; mem(*):1024");
}
END_TEST

START_TEST(an_estimate_cannot_add_what_is_firm)
{
    w_register(&w, "a1");
    estimate(
        "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100}}," REVOCABLE_CPUS("1"));
    total_is("cpus(*):4; mem(*):1024; cpus(*){REV}:1");
}
END_TEST

START_TEST(offers_with_stale_ones_are_taken_back_and_made_again)
{
    char first[128];

    w_register(&w, "a1");
    estimate(REVOCABLE_CPUS("3"));
    w_subscribe(&w, "s1", revocable);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"revocable\""));
    fl_snprintf(first, sizeof first, "%s", w.oid);
    estimate(REVOCABLE_CPUS("3"));
    w_never(&w, "s1", "\"RESCIND\""); /* nothing has changed */
    estimate(REVOCABLE_CPUS("1"));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"RESCIND\""), first));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"revocable\""));
}
END_TEST

START_TEST(offers_without_any_stay)
{
    w_register(&w, "a1");
    w_subscribe(&w, "s1", "");
    w_expect(&w, "s1", "\"OFFERS\"");
    estimate(REVOCABLE_CPUS("3"));
    estimate("");
    w_never(&w, "s1", "\"RESCIND\"");
    w_never(&w, "s1", "revocable");
}
END_TEST

START_TEST(tasks_keep_theirs_when_the_estimate_shrinks)
{
    w_register(&w, "a1");
    estimate(REVOCABLE_CPUS("3"));
    w_subscribe(&w, "s1", revocable);
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", REVOCABLE_CPUS("2"));
    w_expect(&w, "a1", "RunTaskMessage");
    w_never(&w, "s1", "TASK_ERROR");
    ck_assert_double_eq(metric_of("master/cpus_revocable_used"), 2);
    ck_assert_double_eq(metric_of("master/cpus_revocable_percent"), 2.0 / 3);
    ck_assert_double_eq(metric_of("master/cpus_used"), 0);
    estimate(REVOCABLE_CPUS("1")); /* the agent had not seen the task yet */
    ck_assert_double_eq(metric_of("master/cpus_revocable_used"), 2);
    w_forget(&w);
    estimate(REVOCABLE_CPUS("2.5"));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"value\":0.5"));
}
END_TEST

START_TEST(a_task_does_not_mix_them_with_firm_ones)
{
    w_register(&w, "a1");
    estimate(REVOCABLE_CPUS("3"));
    w_subscribe(&w, "s1", revocable);
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", W_CPUS("1") "," REVOCABLE_CPUS("1"));
    w_expect(&w, "s1", "TASK_ERROR");
    w_never(&w, "a1", "RunTaskMessage");
}
END_TEST

START_TEST(they_outlive_a_broken_channel)
{
    w_register(&w, "a1");
    estimate(REVOCABLE_CPUS("3"));
    master_agent_closed(w.m, (void *)"a1");
    w_reregister(&w, "a1", "");
    estimate(REVOCABLE_CPUS("3"));
    total_is("cpus(*):4; mem(*):1024; cpus(*){REV}:3");
    w_subscribe(&w, "s1", revocable);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"revocable\""));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("master oversubscription");
    TCase *tc = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, each_estimate_replaces_the_last);
    tcase_add_test(tc, messages_that_say_nothing_of_it_change_nothing);
    tcase_add_test(tc, an_estimate_cannot_add_what_is_firm);
    tcase_add_test(tc, offers_with_stale_ones_are_taken_back_and_made_again);
    tcase_add_test(tc, offers_without_any_stay);
    tcase_add_test(tc, tasks_keep_theirs_when_the_estimate_shrinks);
    tcase_add_test(tc, a_task_does_not_mix_them_with_firm_ones);
    tcase_add_test(tc, they_outlive_a_broken_channel);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
