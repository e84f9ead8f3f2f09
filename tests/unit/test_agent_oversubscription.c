/* Oversubscription on the agent: estimates and when the master hears of them, corrections and what becomes of the tasks, and what is
 * refused of flags and parameters. */
#include "agent/oversubscription.h"
#include "tests/unit/agent_harness.h"

#define INTERVAL SECONDS(15)
#define AWARE    ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]"
#define FIXED(amount)                                                                              \
    "{\"libraries\":[{\"file\":\"libfixed_resource_estimator.so\",\"modules\":[{\"name\":"         \
    "\"org_apache_mesos_FixedResourceEstimator\",\"parameters\":[{\"key\":\"resources\","          \
    "\"value\":\"" amount "\"}]}]}]}"

static struct harness *h;

static void setup(void)
{
    h = h_new(NULL);
    h_stop_agent(h);
}

static void teardown(void)
{
    h_free(h);
}

static void set(char **flag, const char *value)
{
    free(*flag);
    *flag = xstrdup(value);
}

static void start(void)
{
    h->finds = 0;
    h_start_agent(h, H_RESOURCES);
    h_register(h);
}

static void start_fixed(const char *amount)
{
    set(&h->flags.resource_estimator, "fixed");
    set(&h->flags.oversubscription_fixed, amount);
    start();
}

/* Lets time pass with a master that pings. */
static void pass(uint64_t us)
{
    while (us > 0) {
        uint64_t step = FL_MIN(us, SECONDS(10));

        h_deliver(h, &msg__ping_slave_message__descriptor, "{\"connected\":true}");
        h_pass(h, step);
        us -= step;
    }
}

/* A task of so many cpus, revocable or not; memory never is. */
static void run(const char *id, double cpus, bool revocable, const char *framework,
                const char *what)
{
    _cleanup_free_ char *json = xasprintf(
        "{\"framework\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"" H_FRAMEWORK "\"}%s},"
        "\"task\":{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":"
        "\"" H_AGENT_ID "\"},\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{"
        "\"value\":%.1f},\"allocation_info\":{\"role\":\"r\"}%s},{\"name\":\"mem\",\"type\":"
        "\"SCALAR\",\"scalar\":{\"value\":64},\"allocation_info\":{\"role\":\"r\"}}]%s}}",
        framework, id, cpus, revocable ? ",\"revocable\":{}" : "", what);

    h_deliver(h, &msg__run_task_message__descriptor, json);
}

static void run_command(const char *id, double cpus, bool revocable, const char *framework)
{
    run(id, cpus, revocable, framework, H_COMMAND);
    h_started(h);
    h_ack(h, id, V1__TASK_STATE__TASK_STARTING);
    h_ack(h, id, V1__TASK_STATE__TASK_RUNNING);
}

/* ---- what the master is told ---- */

static unsigned updates(void)
{
    return h_count(h, &msg__update_slave_message__descriptor);
}

/* The newest message's total as text. */
static void told(const char *expected)
{
    const Msg__UpdateSlaveMessage *m = h_sent(h, &msg__update_slave_message__descriptor);
    _cleanup_resources_ struct resources r = RESOURCES_INIT, revocable = RESOURCES_INIT;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    struct fl_err err;

    ck_assert_ptr_nonnull(m);
    ck_assert_str_eq(m->slave_id->value, H_AGENT_ID);
    ck_assert(m->has_update_oversubscribed_resources && m->update_oversubscribed_resources);
    ck_assert_int_eq(
        resources_from_pb(m->oversubscribed_resources, m->n_oversubscribed_resources, &r, &err), 0);
    resources_revocable(&r, true, &revocable);
    ck_assert(resources_equal(&r, &revocable));
    ck_assert_ptr_null(resources_allocation_role(&r));
    resources_format(&r, &text);
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

    metrics_each(h->metrics, take_value, &x);
    return x.value;
}

START_TEST(without_an_estimator_there_is_nothing)
{
    start();
    told("{}");
    ck_assert_uint_eq(updates(), 1);
    pass(4 * INTERVAL);
    ck_assert_uint_eq(updates(), 1);
    ck_assert_double_eq(metric_of("slave/cpus_revocable_total"), 0);
}
END_TEST

START_TEST(the_fixed_amount_is_told_once)
{
    start_fixed("cpus:4;mem:512");
    told("cpus(*){REV}:4; mem(*){REV}:512");
    pass(4 * INTERVAL);
    ck_assert_uint_eq(updates(), 1);
    ck_assert_double_eq(metric_of("slave/cpus_revocable_total"), 4);
    ck_assert_double_eq(metric_of("slave/mem_revocable_total"), 512);
    ck_assert_double_eq(metric_of("slave/cpus_total"), 8);
}
END_TEST

START_TEST(what_is_in_use_is_part_of_the_total)
{
    start_fixed("cpus:4");
    run_command("t", 1.5, true, "");
    run_command("firm", 2, false, "");
    pass(2 * INTERVAL);
    ck_assert_uint_eq(updates(), 1); /* 1.5 in use and 2.5 left are still 4 */
    ck_assert_double_eq(metric_of("slave/cpus_revocable_used"), 1.5);
    ck_assert_double_eq(metric_of("slave/cpus_revocable_percent"), 1.5 / 4);
    ck_assert_double_eq_tol(metric_of("slave/cpus_used"), 2.2, 1e-9);
}
END_TEST

/* More in use than the estimator gives: it stays, and shrinks only when the task has ended. */
START_TEST(the_total_never_falls_below_what_is_in_use)
{
    start_fixed("cpus:1");
    run_command("t", 3, true, "");
    pass(INTERVAL);
    ck_assert_uint_eq(updates(), 2);
    told("cpus(*){REV}:3");
    h_ended(h, CONTAINER_EXITED, 0);
    pass(INTERVAL);
    ck_assert_uint_eq(updates(), 3);
    told("cpus(*){REV}:1");
}
END_TEST

/* Restarted without an estimator: nothing new, but what its tasks hold stays theirs until they end. */
START_TEST(tasks_of_an_earlier_estimator_keep_theirs)
{
    char id[FL_UUID_STR];

    start_fixed("cpus:4");
    run_command("t", 2, true, H_CHECKPOINT);
    fl_snprintf(id, sizeof id, "%s", h_last(h)->id);
    h_stop_agent(h);
    free(h->flags.resource_estimator);
    h->flags.resource_estimator = NULL;
    h->survivors[0] = (struct fake_survivor){id, true, 0};
    h->finds = 0;
    h_start_agent(h, H_RESOURCES);
    {
        struct fl_err err;
        ck_assert_int_eq(agent_recover(h->a, &err), 0);
    }
    h_connect(h);
    h_reregister(h);
    told("cpus(*){REV}:2");
    h_ended(h, CONTAINER_EXITED, 0);
    pass(INTERVAL);
    told("{}");
    pass(4 * INTERVAL);
    ck_assert_uint_eq(updates(), 2);
}
END_TEST

START_TEST(told_again_after_every_registration)
{
    start_fixed("cpus:4");
    agent_master_down(h->a);
    h_clear(&h->sent);
    pass(2 * INTERVAL); /* estimates go on, nobody listens */
    h_connect(h);
    ck_assert_uint_eq(updates(), 0);
    h_reregister(h);
    ck_assert_uint_eq(updates(), 1);
    told("cpus(*){REV}:4");
}
END_TEST

START_TEST(the_interval_is_a_flag)
{
    h->flags.oversubscribed_resources_interval = SECONDS(3);
    start_fixed("cpus:1");
    run_command("t", 2, true, "");
    /* Registering took a second of it. */
    h_pass(h, SECONDS(2) - 1);
    ck_assert_uint_eq(updates(), 1);
    h_pass(h, 1);
    ck_assert_uint_eq(updates(), 2);
}
END_TEST

START_TEST(parameters_come_from_modules_as_the_reference_writes_them)
{
    set(&h->flags.resource_estimator, "org_apache_mesos_FixedResourceEstimator");
    set(&h->flags.modules, FIXED("cpus:7"));
    start();
    told("cpus(*){REV}:7");
}
END_TEST

START_TEST(parameters_come_from_a_directory_too)
{
    static const char one[] = FIXED("cpus:1"), two[] = FIXED("cpus:2");
    struct fl_err err;

    h->env.io->write(h, "/etc/modules/10-first", one, sizeof one - 1, false, &err);
    h->env.io->write(h, "/etc/modules/20-second", two, sizeof two - 1, false, &err);
    set(&h->flags.resource_estimator, "org_apache_mesos_FixedResourceEstimator");
    set(&h->flags.modules_dir, "/etc/modules");
    start();
    told("cpus(*){REV}:2"); /* the later file wins */
}
END_TEST

/* ---- corrections ---- */

static void load_is(const char *text)
{
    struct fl_err err;

    h->env.io->write(h, "/proc/loadavg", text, strlen(text), false, &err);
}

static void start_loaded(const char *five, const char *fifteen)
{
    set(&h->flags.qos_controller, "load");
    if (five)
        set(&h->flags.qos_load_threshold_5min, five);
    if (fifteen)
        set(&h->flags.qos_load_threshold_15min, fifteen);
    load_is("9.00 1.00 1.00 1/80 4711\n");
    start_fixed("cpus:4");
}

static struct fake_container *container_of_task(const char *id)
{
    struct agent_task *t = h_task(h, id);

    ck_assert_ptr_nonnull(t);
    return h_container(h, t->executor->container_id);
}

static void container_ends(const char *id)
{
    struct container_end end = {.reason = CONTAINER_DESTROYED};

    h->cb.ended(h->cb.arg, container_of_task(id)->id, &end);
}

static double preempted(void)
{
    return metric_get(metrics_counter(h->metrics, "slave/executors_preempted"));
}

static void high_load_kills(const char *framework, V1__TaskState state)
{
    start_loaded("5", NULL);
    run_command("firm", 1, false, framework);
    run_command("rev", 1, true, framework);
    pass(SECONDS(5));
    ck_assert(!container_of_task("rev")->destroyed);
    load_is("1.00 5.00 9.00 1/80 4711\n"); /* at the threshold is not above it */
    pass(SECONDS(5));
    ck_assert(!container_of_task("rev")->destroyed);
    load_is("1.00 5.01 1.00 1/80 4711\n");
    pass(SECONDS(5));
    ck_assert(container_of_task("rev")->destroyed);
    ck_assert(!container_of_task("firm")->destroyed);
    ck_assert_double_eq(preempted(), 1); /* once, however often it was asked for */
    container_ends("rev");
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_CONTAINER_PREEMPTED);
    ck_assert_int_eq(h_update(h)->status->source, V1__TASK_STATUS__SOURCE__SOURCE_AGENT);
    ck_assert_str_eq(h_update(h)->status->message, "Container preempted by QoS correction");
    h_ack(h, "rev", state);
    pass(SECONDS(5));
    ck_assert(!container_of_task("firm")->destroyed);
}

START_TEST(high_load_kills_what_is_revocable)
{
    high_load_kills("", V1__TASK_STATE__TASK_LOST);
}
END_TEST

START_TEST(the_partition_aware_hear_that_it_is_gone)
{
    high_load_kills(AWARE, V1__TASK_STATE__TASK_GONE);
}
END_TEST

START_TEST(fifteen_minutes_have_their_own_threshold)
{
    start_loaded(NULL, "2");
    run_command("rev", 1, true, "");
    load_is("9.00 9.00 2.00 1/80 4711\n");
    pass(SECONDS(5));
    ck_assert(!container_of_task("rev")->destroyed);
    load_is("0.00 0.00 2.50 1/80 4711\n");
    pass(SECONDS(5));
    ck_assert(container_of_task("rev")->destroyed);
}
END_TEST

START_TEST(a_custom_executor_goes_with_all_its_tasks)
{
    start_loaded("5", NULL);
    run("a", 1, true, AWARE, H_EXECUTOR);
    run("b", 1, false, AWARE, H_EXECUTOR);
    load_is("9.00 9.00 9.00 1/80 4711\n");
    pass(SECONDS(5));
    ck_assert(container_of_task("a")->destroyed);
    container_ends("a");
    h_ack(h, "b", V1__TASK_STATE__TASK_GONE);
    ck_assert_uint_eq(h_updates(h), 2);
    ck_assert_double_eq(preempted(), 1);
}
END_TEST

START_TEST(corrections_keep_their_distance)
{
    h->flags.qos_correction_interval_min = SECONDS(60);
    start_loaded("5", NULL);
    pass(SECONDS(1));
    load_is("9.00 9.00 9.00 1/80 4711\n");
    run_command("rev", 1, true, "");
    pass(SECONDS(57)); /* and two have gone by */
    ck_assert(!container_of_task("rev")->destroyed);
    pass(SECONDS(2));
    ck_assert(container_of_task("rev")->destroyed);
}
END_TEST

START_TEST(an_unknown_load_kills_nothing)
{
    start_loaded("0", NULL);
    run_command("rev", 1, true, "");
    load_is("rubbish");
    pass(SECONDS(5));
    ck_assert(!container_of_task("rev")->destroyed);
    load_is("0.00 0.01 0.00 1/80 4711\n");
    pass(SECONDS(5));
    ck_assert(container_of_task("rev")->destroyed);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *estimator, *qos, *modules, *word;
} refused[] = {
    {"org_example_Guess", NULL, NULL, "--resource_estimator=org_example_Guess"},
    {NULL, "org_example_Guess", NULL, "--qos_controller=org_example_Guess"},
    {"fixed", NULL, NULL, "'resources'"},
    {"fixed", NULL, "{", "'--modules'"},
    {"fixed", NULL, FIXED("cpus"), "'resources'"},
    {"fixed", NULL, FIXED("cpus:-1"), "'resources'"},
    {"fixed", NULL,
     "{\"libraries\":[{\"modules\":[{\"name\":\"fixed\",\"parameters\":[{\"key\":\"resources\"}]}]}"
     "]}",
     "'fixed'"},
    {"org_apache_mesos_FixedResourceEstimator", NULL,
     "{\"libraries\":[{\"modules\":[{\"name\":\"org_apache_mesos_LoadQoSController\","
     "\"parameters\":[{\"key\":\"resources\",\"value\":\"cpus:1\"}]}]}]}",
     "'resources'"}, /* of another module */
    {NULL, "load", NULL, "'load_threshold_5min'"},
    {NULL, "org_apache_mesos_LoadQoSController",
     "{\"libraries\":[{\"modules\":[{\"name\":\"org_apache_mesos_LoadQoSController\","
     "\"parameters\":[{\"key\":\"load_threshold_5min\",\"value\":\"much\"}]}]}]}",
     "'much'"},
};

START_TEST(mistakes_are_named)
{
    struct metrics *m = metrics_new();
    V1__AgentInfo info = V1__AGENT_INFO__INIT;
    struct agent_core *a = NULL;
    struct fl_err err = {0};

    info.hostname = (char *)"host";
    if (refused[_i].estimator)
        set(&h->flags.resource_estimator, refused[_i].estimator);
    if (refused[_i].qos)
        set(&h->flags.qos_controller, refused[_i].qos);
    if (refused[_i].modules)
        set(&h->flags.modules, refused[_i].modules);
    ck_assert_int_lt(agent_new(&h->env, &h->flags, m, &info, "127.0.0.1:5051", &a, &err), 0);
    ck_assert_ptr_null(a);
    metrics_free(m);
    ck_assert_msg(strstr(err.msg, refused[_i].word) != NULL, "%s", err.msg);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_oversubscription");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, without_an_estimator_there_is_nothing);
    tcase_add_test(tc, the_fixed_amount_is_told_once);
    tcase_add_test(tc, what_is_in_use_is_part_of_the_total);
    tcase_add_test(tc, the_total_never_falls_below_what_is_in_use);
    tcase_add_test(tc, tasks_of_an_earlier_estimator_keep_theirs);
    tcase_add_test(tc, told_again_after_every_registration);
    tcase_add_test(tc, the_interval_is_a_flag);
    tcase_add_test(tc, parameters_come_from_modules_as_the_reference_writes_them);
    tcase_add_test(tc, parameters_come_from_a_directory_too);
    tcase_add_test(tc, high_load_kills_what_is_revocable);
    tcase_add_test(tc, the_partition_aware_hear_that_it_is_gone);
    tcase_add_test(tc, fifteen_minutes_have_their_own_threshold);
    tcase_add_test(tc, a_custom_executor_goes_with_all_its_tasks);
    tcase_add_test(tc, corrections_keep_their_distance);
    tcase_add_test(tc, an_unknown_load_kills_nothing);
    tcase_add_loop_test(tc, mistakes_are_named, 0, ARRAY_SIZE(refused));
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
