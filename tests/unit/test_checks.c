/* When checks probe, and which results are news: by a clock that the test turns. */
#include <check.h>

#include "common/model/checks.h"
#include "tests/unit/fake_env.h"

#define S(n) ((uint64_t)((n)*1000000.0))

struct world {
    struct fake_env fake;
    struct task_checks *t;
    struct checker *probing;
    unsigned begun, cancelled, news, kills;
    V1__TaskStatus__Reason reason;
};

static void begin(void *arg, struct checker *c)
{
    struct world *w = arg;

    w->probing = c;
    w->begun++;
}

static void cancel(void *arg, struct checker *c)
{
    struct world *w = arg;

    w->probing = NULL;
    w->cancelled++;
}

static void changed(void *arg, V1__TaskStatus__Reason reason, bool kill)
{
    struct world *w = arg;

    w->news++;
    w->kills += kill;
    w->reason = reason;
}

static const struct task_checks_ops ops = {begin, cancel, changed};

static void start(struct world *w, const V1__CheckInfo *check, const V1__HealthCheck *health)
{
    *w = (struct world){.news = 0};
    fake_env_init(&w->fake, 1);
    w->t = task_checks_new(&w->fake.env, check, health, &ops, w);
    task_checks_start(w->t, NULL);
}

static void stop(struct world *w)
{
    task_checks_free(w->t);
    ck_assert_ptr_null(w->fake.timers);
}

static void answer(struct world *w, bool known, int value)
{
    struct checker *c = w->probing;

    ck_assert_ptr_nonnull(c);
    w->probing = NULL;
    checker_answer(c, known, value);
}

/* To the next probe, which answers. */
static void probe(struct world *w, uint64_t after, bool known, int value)
{
    fake_env_pass(&w->fake, after);
    answer(w, known, value);
}

static V1__CheckStatusInfo *told(const struct world *w)
{
    static V1__CheckStatusInfo *last;
    V1__TaskStatus s = V1__TASK_STATUS__INIT;

    fl_pb_free(last);
    task_checks_fill(w->t, &s);
    last = s.check_status;
    return last;
}

START_TEST(nothing_to_check)
{
    struct fake_env fake;

    fake_env_init(&fake, 1);
    ck_assert_ptr_null(task_checks_new(&fake.env, NULL, NULL, &ops, NULL));
}
END_TEST

START_TEST(defaults_of_time)
{
    V1__CheckInfo i = V1__CHECK_INFO__INIT;
    struct world w;

    i.has_type = true;
    i.type = V1__CHECK_INFO__TYPE__COMMAND;
    start(&w, &i, NULL);
    fake_env_pass(&w.fake, S(14.9));
    ck_assert_uint_eq(w.begun, 0);
    fake_env_pass(&w.fake, S(0.2));
    ck_assert_uint_eq(w.begun, 1);
    /* 20 s without an answer, 10 s to the next. */
    fake_env_pass(&w.fake, S(19.8));
    ck_assert_uint_eq(w.cancelled, 0);
    fake_env_pass(&w.fake, S(0.2));
    ck_assert_uint_eq(w.cancelled, 1);
    fake_env_pass(&w.fake, S(9.8));
    ck_assert_uint_eq(w.begun, 1);
    fake_env_pass(&w.fake, S(0.2));
    ck_assert_uint_eq(w.begun, 2);
    ck_assert_uint_eq(w.news, 0);
    stop(&w);
    ck_assert_uint_eq(w.cancelled, 2);
}
END_TEST

static V1__CheckInfo quick_check(V1__CheckInfo__Type type)
{
    V1__CheckInfo i = V1__CHECK_INFO__INIT;

    i.has_type = i.has_delay_seconds = i.has_interval_seconds = i.has_timeout_seconds = true;
    i.type = type;
    i.delay_seconds = 0;
    i.interval_seconds = 1;
    i.timeout_seconds = 3;
    return i;
}

START_TEST(only_changes_are_news)
{
    V1__CheckInfo i = quick_check(V1__CHECK_INFO__TYPE__COMMAND);
    struct world w;

    start(&w, &i, NULL);
    ck_assert(!told(&w)->command->has_exit_code);
    probe(&w, 0, true, 0);
    ck_assert_uint_eq(w.news, 1);
    ck_assert_int_eq((int)w.reason, V1__TASK_STATUS__REASON__REASON_TASK_CHECK_STATUS_UPDATED);
    ck_assert_int_eq(told(&w)->command->exit_code, 0);
    probe(&w, S(1), true, 0);
    ck_assert_uint_eq(w.news, 1);
    probe(&w, S(1), true, 4);
    ck_assert_uint_eq(w.news, 2);
    ck_assert_int_eq(told(&w)->command->exit_code, 4);
    /* A timeout takes what was known away. */
    fake_env_pass(&w.fake, S(1) + S(3));
    ck_assert_uint_eq(w.news, 3);
    ck_assert(!told(&w)->command->has_exit_code);
    ck_assert_uint_eq(w.kills, 0);
    stop(&w);
}
END_TEST

START_TEST(answers_that_come_too_late)
{
    V1__CheckInfo i = quick_check(V1__CHECK_INFO__TYPE__TCP);
    struct world w;
    struct checker *c;

    start(&w, &i, NULL);
    fake_env_pass(&w.fake, 0);
    c = w.probing;
    fake_env_pass(&w.fake, S(3));
    checker_answer(c, true, 1);
    ck_assert_uint_eq(w.news, 0);
    stop(&w);
}
END_TEST

START_TEST(what_was_told_before_a_restart_is_no_news)
{
    V1__CheckInfo i = quick_check(V1__CHECK_INFO__TYPE__HTTP);
    V1__TaskStatus last = V1__TASK_STATUS__INIT;
    V1__CheckStatusInfo info = V1__CHECK_STATUS_INFO__INIT;
    V1__CheckStatusInfo__Http http = V1__CHECK_STATUS_INFO__HTTP__INIT;
    struct world w = {.news = 0};

    http.has_status_code = true;
    http.status_code = 204;
    info.http = &http;
    last.check_status = &info;
    fake_env_init(&w.fake, 1);
    w.t = task_checks_new(&w.fake.env, &i, NULL, &ops, &w);
    task_checks_start(w.t, &last);
    probe(&w, 0, true, 204);
    ck_assert_uint_eq(w.news, 0);
    probe(&w, S(1), true, 500);
    ck_assert_uint_eq(w.news, 1);
    ck_assert_uint_eq(told(&w)->http->status_code, 500);
    stop(&w);
}
END_TEST

static V1__HealthCheck quick_health(V1__HealthCheck__Type type, double grace, unsigned failures)
{
    V1__HealthCheck h = V1__HEALTH_CHECK__INIT;

    h.has_type = h.has_delay_seconds = h.has_interval_seconds = h.has_timeout_seconds = true;
    h.has_grace_period_seconds = h.has_consecutive_failures = true;
    h.type = type;
    h.delay_seconds = 0;
    h.interval_seconds = 1;
    h.timeout_seconds = 3;
    h.grace_period_seconds = grace;
    h.consecutive_failures = failures;
    return h;
}

static bool healthy(const struct world *w)
{
    V1__TaskStatus s = V1__TASK_STATUS__INIT;

    task_checks_fill(w->t, &s);
    ck_assert(s.has_healthy);
    return s.healthy;
}

START_TEST(every_failure_is_told_the_last_one_kills)
{
    V1__HealthCheck h = quick_health(V1__HEALTH_CHECK__TYPE__COMMAND, 0, 3);
    struct world w;

    start(&w, NULL, &h);
    probe(&w, 0, true, 0);
    ck_assert_uint_eq(w.news, 1);
    ck_assert(healthy(&w));
    probe(&w, S(1), true, 0);
    ck_assert_uint_eq(w.news, 1);
    probe(&w, S(1), true, 1);
    probe(&w, S(1), false, 0);
    ck_assert_uint_eq(w.news, 3);
    ck_assert(!healthy(&w));
    ck_assert_uint_eq(w.kills, 0);
    /* Better in time: counted anew. */
    probe(&w, S(1), true, 0);
    ck_assert_uint_eq(w.news, 4);
    ck_assert(healthy(&w));
    for (int k = 0; k < 3; k++)
        probe(&w, S(1), true, 2);
    ck_assert_uint_eq(w.news, 7);
    ck_assert_uint_eq(w.kills, 1);
    ck_assert_int_eq((int)w.reason,
                     V1__TASK_STATUS__REASON__REASON_TASK_HEALTH_CHECK_STATUS_UPDATED);
    stop(&w);
}
END_TEST

START_TEST(grace_until_it_was_healthy_once)
{
    V1__HealthCheck h = quick_health(V1__HEALTH_CHECK__TYPE__HTTP, 5, 1);
    struct world w;

    start(&w, NULL, &h);
    for (int k = 0; k < 5; k++)
        probe(&w, k ? S(1) : 0, true, 503);
    ck_assert_uint_eq(w.news, 0);
    probe(&w, S(1), true, 301);
    ck_assert_uint_eq(w.news, 1);
    ck_assert(healthy(&w));
    stop(&w);

    /* Without ever a success the grace ends with its time. */
    start(&w, NULL, &h);
    for (int k = 0; k < 6; k++)
        probe(&w, k ? S(1) : 0, true, 400);
    ck_assert_uint_eq(w.news, 0);
    probe(&w, S(1), true, 400);
    ck_assert_uint_eq(w.kills, 1);
    stop(&w);

    /* A success ends it at once. */
    start(&w, NULL, &h);
    probe(&w, 0, true, 200);
    probe(&w, S(1), true, 400);
    ck_assert_uint_eq(w.kills, 1);
    stop(&w);
}
END_TEST

START_TEST(what_healthy_means)
{
    static const struct {
        V1__HealthCheck__Type type;
        bool known;
        int value;
        bool healthy;
    } rows[] = {
        {V1__HEALTH_CHECK__TYPE__HTTP, true, 199, false},
        {V1__HEALTH_CHECK__TYPE__HTTP, true, 200, true},
        {V1__HEALTH_CHECK__TYPE__HTTP, true, 399, true},
        {V1__HEALTH_CHECK__TYPE__HTTP, true, 400, false},
        {V1__HEALTH_CHECK__TYPE__TCP, true, 1, true},
        {V1__HEALTH_CHECK__TYPE__TCP, true, 0, false},
        {V1__HEALTH_CHECK__TYPE__TCP, false, 0, false},
        {V1__HEALTH_CHECK__TYPE__COMMAND, true, 0, true},
        {V1__HEALTH_CHECK__TYPE__COMMAND, true, 1, false},
        {V1__HEALTH_CHECK__TYPE__COMMAND, false, 0, false},
    };

    for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
        V1__HealthCheck h = quick_health(rows[k].type, 0, 9);
        struct world w;

        start(&w, NULL, &h);
        probe(&w, 0, rows[k].known, rows[k].value);
        ck_assert_msg(healthy(&w) == rows[k].healthy, "row %zu", k);
        stop(&w);
    }
}
END_TEST

START_TEST(commands_run_where_the_task_does)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(512);
    V1__CommandInfo c = V1__COMMAND_INFO__INIT, *out;
    char *args[] = {(char *)"test", (char *)"-e", (char *)"a b"};

    c.value = (char *)"test -e x";
    out = check_command(&c, false, NULL, arena);
    ck_assert_ptr_nonnull(strstr(out->value, "cd -P ../.."));
    ck_assert_ptr_nonnull(strstr(out->value, "\ntest -e x"));
    out = check_command(&c, true, NULL, arena);
    ck_assert_ptr_null(strstr(out->value, "cd "));
    ck_assert_ptr_nonnull(strstr(out->value, "\ntest -e x"));
    c.has_shell = true;
    c.shell = false;
    c.value = (char *)"/usr/bin/test";
    c.arguments = args;
    c.n_arguments = 3;
    out = check_command(&c, false, NULL, arena);
    ck_assert_str_eq(out->value, "/bin/sh");
    ck_assert_uint_eq(out->n_arguments, 7);
    ck_assert_str_eq(out->arguments[4], "/usr/bin/test");
    ck_assert_str_eq(out->arguments[6], "a b");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("checks");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, nothing_to_check);
    tcase_add_test(tc, defaults_of_time);
    tcase_add_test(tc, only_changes_are_news);
    tcase_add_test(tc, answers_that_come_too_late);
    tcase_add_test(tc, what_was_told_before_a_restart_is_no_news);
    tcase_add_test(tc, every_failure_is_told_the_last_one_kills);
    tcase_add_test(tc, grace_until_it_was_healthy_once);
    tcase_add_test(tc, what_healthy_means);
    tcase_add_test(tc, commands_run_where_the_task_does);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
