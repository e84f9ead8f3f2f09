/* Metrics and the log. */
#include <check.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "common/base/metrics.h"

static struct metrics *m;
static uint64_t now;

static uint64_t read_now(void *ctx)
{
    return *(uint64_t *)ctx;
}

static void setup(void)
{
    m = metrics_new();
    now = 0;
    metrics_set_clock(m, read_now, &now);
}

static void teardown(void)
{
    metrics_free(m);
}

static void append(const char *name, double value, void *arg)
{
    fl_buf_addf(arg, "%s=%g ", name, value);
}

static void expect(const char *want)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    metrics_each(m, append, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), want);
}

static double twice(void *arg)
{
    return 2 * *(double *)arg;
}

START_TEST(numbers_in_order_of_names)
{
    double x = 21;
    struct metric *c = metrics_counter(m, "master/b");
    metric_inc(c);
    metric_add(c, 2);
    ck_assert_ptr_eq(metrics_counter(m, "master/b"), c);
    metric_set(metrics_gauge(m, "master/a"), 0.5);
    metrics_pull(m, "master/c", twice, &x);
    ck_assert_double_eq(metric_get(c), 3);
    expect("master/a=0.5 master/b=3 master/c=42 ");
}
END_TEST

static void tell_two(metric_tell_f *tell, void *to, void *arg)
{
    char name[] = "b/x";

    tell(name, *(double *)arg, to);
    name[0] = 'z'; /* names are copied */
    tell(name, 2, to);
}

START_TEST(a_source_of_names)
{
    double x = 5;

    metrics_counter(m, "c");
    metrics_source(m, tell_two, &x);
    expect("b/x=5 c=0 z/x=2 ");
    metrics_source(m, NULL, NULL);
    expect("c=0 ");
}
END_TEST

START_TEST(removal_takes_what_is_below)
{
    metrics_counter(m, "f/1");
    metrics_counter(m, "f/1/x");
    metrics_counter(m, "f/10");
    metrics_timer(m, "f/1/t");
    metrics_remove(m, "f/1");
    expect("f/10=0 ");
    metrics_remove(m, "nothing");
    expect("f/10=0 ");
}
END_TEST

START_TEST(timer_statistics)
{
    struct metric *t = metrics_timer(m, "t_ms");
    expect("");
    metric_sample_ms(t, 7);
    expect("t_ms=7 ");
    for (int i = 100; i >= 0; i--)
        metric_sample_ms(t, i);
    expect(
        "t_ms=0 t_ms/count=102 t_ms/max=100 t_ms/min=0 t_ms/p50=49.5 t_ms/p90=89.9 t_ms/p95=94.95 "
        "t_ms/p99=98.99 t_ms/p999=99.899 t_ms/p9999=99.9899 ");
}
END_TEST

START_TEST(timer_forgets)
{
    struct metric *t = metrics_timer(m, "t");
    for (int i = 0; i < 5000; i++)
        metric_sample_ms(t, i);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    metrics_each(m, append, &out);
    ck_assert_ptr_nonnull(strstr(fl_buf_cstr(&out), "t/count=1000 t/max=4999 t/min=4000 "));
    now = 3600ULL * 1000000;
    metric_sample_ms(t, 1);
    metric_sample_ms(t, 2);
    now += 1;
    expect("t=2 t/count=2 t/max=2 t/min=1 t/p50=1.5 t/p90=1.9 t/p95=1.95 t/p99=1.99 t/p999=1.999 "
           "t/p9999=1.9999 ");
    now += 3600ULL * 1000000;
    expect("t=2 ");
}
END_TEST

/* ---- Prometheus ---- */

static const struct metric_row rows[] = {
    {"m/seen", METRIC_GROWS, METRIC_ONE, "seen_total", "", "What was seen."},
    {"m/tasks_{state}", METRIC_LEVEL, METRIC_ONE, "tasks", "kind=\"x\"", "Tasks."},
    {"m/roles/{role}/share", METRIC_LEVEL, METRIC_RATIO, "share", "", "Shares."},
    {"m/roles/{role}/of/{resource}/held", METRIC_LEVEL, METRIC_AMOUNT, "held", "", "Held."},
    {"m/{resource}_total", METRIC_LEVEL, METRIC_AMOUNT, "has", "revocable=\"no\"", "Has."},
    {"m/{resource}_revocable_total", METRIC_LEVEL, METRIC_AMOUNT, "has", "revocable=\"yes\"", ""},
    {"m/frameworks/{framework}/{framework_id}/calls", METRIC_GROWS, METRIC_ONE, "calls_total", "",
     "Calls."},
    {"m/wait_ms", METRIC_TIMES, METRIC_MILLISECONDS, "wait_seconds", "", "Waits."},
    {"m/hidden", METRIC_LEVEL, METRIC_ONE, "", "", "Is the sum of others."},
};

static const char *text_of(struct fl_buf *out, enum metrics_format format)
{
    fl_buf_clear(out);
    metrics_text(m, format, out);
    return fl_buf_cstr(out);
}

START_TEST(prometheus_series)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const char *text;

    metrics_describe(m, rows, ARRAY_SIZE(rows));
    metric_add(metrics_counter(m, "m/seen"), 3);
    metric_set(metrics_gauge(m, "m/mem_total"), 2);
    metric_set(metrics_gauge(m, "m/cpus_revocable_total"), 1.5);
    metric_set(metrics_gauge(m, "m/tasks_running"), 7);
    metric_set(metrics_gauge(m, "m/hidden"), 7);
    metric_set(metrics_gauge(m, "of/a \"module\""), 1);
    text = text_of(&out, METRICS_PROMETHEUS);
    ck_assert_str_eq(text, "# HELP fairlead_seen_total What was seen.\n"
                           "# TYPE fairlead_seen_total counter\n"
                           "fairlead_seen_total 3\n"
                           "# HELP fairlead_tasks Tasks.\n"
                           "# TYPE fairlead_tasks gauge\n"
                           "fairlead_tasks{kind=\"x\",state=\"running\"} 7\n"
                           "# HELP fairlead_has Has.\n"
                           "# TYPE fairlead_has gauge\n"
                           "fairlead_has{revocable=\"yes\",resource=\"cpus\",unit=\"core\"} 1.5\n"
                           "fairlead_has{revocable=\"no\",resource=\"mem\",unit=\"byte\"} 2097152\n"
                           "# HELP fairlead_unlisted Numbers of modules, by name.\n"
                           "# TYPE fairlead_unlisted gauge\n"
                           "fairlead_unlisted{name=\"of/a \\\"module\\\"\"} 1\n");
    text = text_of(&out, METRICS_OPENMETRICS);
    ck_assert_ptr_nonnull(strstr(text, "# TYPE fairlead_seen counter\nfairlead_seen_total 3\n"));
}
END_TEST

START_TEST(prometheus_labels)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const char *text;

    metrics_describe(m, rows, ARRAY_SIZE(rows));
    metrics_gauge(m, "m/roles/a/b/share/share");
    metrics_gauge(m, "m/roles/a/of/b/of/disk/held");
    metrics_counter(m, "m/frameworks/a%20b%2Fc/id-1/calls");
    text = text_of(&out, METRICS_PROMETHEUS);
    ck_assert_ptr_nonnull(strstr(text, "fairlead_share{role=\"a/b/share\"} 0\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "fairlead_held{role=\"a/of/b\",resource=\"disk\",unit=\"byte\"} 0\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "fairlead_calls_total{framework=\"a b/c\",framework_id=\"id-1\"} 0\n"));
    ck_assert_ptr_null(strstr(text, "unlisted"));
}
END_TEST

START_TEST(prometheus_limits)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const char *text;

    metrics_describe(m, rows, ARRAY_SIZE(rows));
    metrics_limit(m, "role", 2);
    metrics_gauge(m, "m/roles/a/share");
    metrics_gauge(m, "m/roles/b/share");
    metrics_gauge(m, "m/roles/c/share");
    text = text_of(&out, METRICS_PROMETHEUS);
    ck_assert_ptr_nonnull(strstr(text, "role=\"b\""));
    ck_assert_ptr_null(strstr(text, "role=\"c\""));
    ck_assert_ptr_nonnull(strstr(text, "fairlead_metrics_left_out{label=\"role\"} 1\n"));
}
END_TEST

/* The bounds of the buckets, from both sides. */
START_TEST(prometheus_histogram)
{
    static const uint64_t samples[] = {0,   1,   64,       65,       96,       97,
                                       128, 129, 50331649, 67108864, 67108865, 1ULL << 60};
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct metric *h = metrics_timer(m, "m/wait_ms");
    const char *text;

    metrics_describe(m, rows, ARRAY_SIZE(rows));
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
        metric_sample_us(h, samples[i]);
    text = text_of(&out, METRICS_PROMETHEUS);
    ck_assert_ptr_nonnull(strstr(text, "# TYPE fairlead_wait_seconds histogram\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"6.4e-05\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"9.6e-05\"} 5\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"0.000128\"} 7\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"50.331648\"} 8\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"67.108864\"} 10\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"+Inf\"} 12\n"));
    ck_assert_ptr_nonnull(strstr(text, "fairlead_wait_seconds_count 12\n"));
    metric_sample_ms(h, 0.5);
    ck_assert_ptr_nonnull(strstr(text_of(&out, METRICS_PROMETHEUS), "_seconds_count 13\n"));
}
END_TEST

START_TEST(levels)
{
    enum fl_log_level level = FL_LOG_ERROR;
    ck_assert_int_eq(fl_log_parse_level("warning", &level), 0);
    ck_assert_int_eq(level, FL_LOG_WARNING);
    ck_assert_int_lt(fl_log_parse_level("LOUD", &level), 0);
    ck_assert_int_eq(level, FL_LOG_WARNING);
    ck_assert_str_eq(fl_log_level_name(FL_LOG_DEBUG), "DEBUG");
}
END_TEST

static char *read_text(const char *path)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    FILE *in = fopen(path, "re");
    char chunk[512];
    size_t n;
    ck_assert_ptr_nonnull(in);
    while ((n = fread(chunk, 1, sizeof(chunk), in)) > 0)
        fl_buf_add(&b, chunk, n);
    fclose(in);
    return fl_buf_take(&b);
}

START_TEST(log_file)
{
    char dir[] = "/tmp/test_log.XXXXXX";
    struct fl_err err = {0};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(fl_log_open("master", dir, &err), 0);
    _cleanup_free_ char *path = xstrdup(fl_log_path());
    _cleanup_free_ char *old = xasprintf("%s.1", path);
    fl_log_set_quiet(true);
    log_info("peer said '%s'", "a\nI fake\x1b[0m");
    log_debug("not this one");
    ck_assert_int_eq(rename(path, old), 0);
    fl_log_reopen();
    fl_log_set_level(FL_LOG_DEBUG);
    log_debug("that one");
    fl_log_close();
    _cleanup_free_ char *first = read_text(old);
    _cleanup_free_ char *second = read_text(path);
    ck_assert_msg(strstr(first, "Z [master] test_metrics.c:"), "%s", first);
    ck_assert_ptr_nonnull(strstr(first, "peer said 'a\\nI fake\\x1b[0m'\n"));
    ck_assert_ptr_null(strstr(first, "not this one"));
    ck_assert_ptr_eq(strchr(first, '\n'), first + strlen(first) - 1);
    ck_assert_int_eq(second[0], 'D');
    ck_assert_ptr_nonnull(strstr(second, "that one\n"));
    ck_assert_int_lt(fl_log_open("x", "/nowhere/at/all", &err), 0);
    unlink(old);
    unlink(path);
    rmdir(dir);
}
END_TEST

START_TEST(log_long_line)
{
    char dir[] = "/tmp/test_log.XXXXXX";
    char big[10000];
    memset(big, '\x01', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(fl_log_open("m", dir, NULL), 0);
    _cleanup_free_ char *path = xstrdup(fl_log_path());
    fl_log_set_quiet(true);
    log_error("%s", big);
    fl_log_close();
    _cleanup_free_ char *text = read_text(path);
    ck_assert_uint_le(strlen(text), 4096);
    ck_assert(str_ends(text, "...\n"));
    unlink(path);
    rmdir(dir);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("metrics");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, numbers_in_order_of_names);
    tcase_add_test(t, a_source_of_names);
    tcase_add_test(t, removal_takes_what_is_below);
    tcase_add_test(t, timer_statistics);
    tcase_add_test(t, timer_forgets);
    tcase_add_test(t, prometheus_series);
    tcase_add_test(t, prometheus_labels);
    tcase_add_test(t, prometheus_limits);
    tcase_add_test(t, prometheus_histogram);
    tcase_add_test(t, levels);
    tcase_add_test(t, log_file);
    tcase_add_test(t, log_long_line);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
