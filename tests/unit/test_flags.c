/* Flags: syntax of values, sources and their order, all-or-nothing, messages, and the two daemons' own tables. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/flags.h"
#include "common/base/flags.h"
#include "master/flags.h"

struct values {
    bool on;
    int64_t number;
    uint64_t count;
    double ratio;
    char *text;
    uint64_t wait;
    uint64_t size;
    char *body;
    char *path;
    char *key;
};

#define ROW(name, type, field, def, opts, help, ...)                                               \
    FL_FLAG_ROW(struct values, name, type, field, def, opts, help, ##__VA_ARGS__)
static const struct fl_flag rows[] = {
    ROW(on, FLAG_BOOL, on, "true", 0, "A switch.") ROW(number, FLAG_INT, number, "-3", 0,
                                                       "A number.")
        ROW(count, FLAG_UINT, count, "5", 0, "A count.", .alias = "old_count", .check = "1..100")
            ROW(ratio, FLAG_DOUBLE, ratio, "0.1", 0, "A ratio.", .check = "0..1")
                ROW(text, FLAG_STRING, text, NULL, 0, "A text.", .env = "SOME_TEXT")
                    ROW(mode, FLAG_STRING, key, "drf", 0, "A choice.", .check = "drf|random")
                        ROW(wait, FLAG_DURATION, wait, "15secs", 0, "A time.", .check = "1ms..")
                            ROW(size, FLAG_BYTES, size, "2GB", 0, "A size.")
                                ROW(body, FLAG_PATH_OR_TEXT, body, NULL, FLAG_SECRET, "A body.")
                                    ROW(path, FLAG_PATH, path, NULL, 0, "A path.")
                                        FL_FLAG_TAKEN_ROW(useless, FLAG_BOOL, "false", FLAG_IGNORED,
                                                          "nothing needs it")
                                            FL_FLAG_TAKEN_ROW(quorum, FLAG_INT, NULL, FLAG_REPLACED,
                                                              "there is no log")};

static struct values v;
static struct fl_flags *f;
static struct fl_err err;
static int rest;
static bool help, version;

static void setup(void)
{
    clearenv();
    memset(&v, 0, sizeof(v));
    memset(&err, 0, sizeof(err));
    ck_assert_int_eq(fl_flags_new("prog", NULL, rows, ARRAY_SIZE(rows), &v, &f, &err), 0);
}

static void teardown(void)
{
    fl_flags_free(f);
    f = NULL;
}

#define PARSE(...)                                                                                 \
    ({                                                                                             \
        char *argv[] = {"prog", ##__VA_ARGS__, NULL};                                              \
        fl_flags_parse(f, (int)ARRAY_SIZE(argv) - 1, argv, &rest, &help, &version, &err);          \
    })
#define FAILS(part, ...)                                                                           \
    do {                                                                                           \
        ck_assert_int_lt(PARSE(__VA_ARGS__), 0);                                                   \
        ck_assert_msg(strstr(err.msg, part), "message: %s", err.msg);                              \
    } while (0)

static void put_text(const char *name, const char *text, void *arg)
{
    const char **want = arg;
    if (streq(name, want[0]))
        want[1] = text;
}

static const char *shown(const char *name)
{
    const char *want[2] = {name, NULL};
    fl_flags_each(f, put_text, want);
    return want[1];
}

START_TEST(durations)
{
    static const struct {
        const char *text;
        uint64_t us;
        const char *shown;
    } cases[] = {
        {"5secs", 5000000, "5secs"},
        {"1.5mins", 90000000, "90secs"},
        {"100ms", 100000, "100ms"},
        {"0.1secs", 100000, "100ms"},
        {"2hrs", 7200000000, "2hrs"},
        {"1days", 86400000000, "1days"},
        {"10days", 864000000000, "10days"},
        {"3weeks", 1814400000000, "3weeks"},
        {"60secs", 60000000, "1mins"},
        {"90mins", 5400000000, "90mins"},
        {"36hrs", 129600000000, "36hrs"},
        {"10us", 10, "10us"},
        {"1500us", 1500, "1500us"},
        {"10ns", 1, "1us"},
        {"0ns", 0, "0ns"},
        {"0secs", 0, "0ns"},
        {"61.5secs", 61500000, "1.025mins"},
    };
    static const char *const bad[] = {
        "",      "5",     "secs",     "-5secs",     "5 secs",
        "5sec",  "5SECS", "1..5secs", "1e9secs",    "5secsx",
        ".secs", "inf",   "nansecs",  "16000weeks", "99999999999999999999weeks"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t us = 77;
        char buf[64];
        ck_assert_msg(fl_duration_parse(cases[i].text, &us, &err) == 0, "%s: %s", cases[i].text,
                      err.msg);
        ck_assert_uint_eq(us, cases[i].us);
        fl_duration_format(us, buf, sizeof(buf));
        ck_assert_str_eq(buf, cases[i].shown);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t us = 77;
        ck_assert_msg(fl_duration_parse(bad[i], &us, &err) < 0, "%s", bad[i]);
        ck_assert_uint_eq(us, 77);
    }
}
END_TEST

START_TEST(sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *shown;
    } cases[] = {
        {"1GB", 1ULL << 30, "1GB"},
        {"512MB", 512ULL << 20, "512MB"},
        {"4096B", 4096, "4KB"},
        {"2TB", 2ULL << 40, "2TB"},
        {"100B", 100, "100B"},
        {"0B", 0, "0B"},
        {"1024KB", 1 << 20, "1MB"},
        {"1gb", 1ULL << 30, "1GB"},
        {"1025KB", 1025 << 10, "1025KB"},
    };
    static const char *const bad[] = {
        "", "1", "GB", "1.5GB", "-1GB", "1 GB", "1PB", "99999999999TB", "1GBB"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t bytes = 77;
        char buf[64];
        ck_assert_int_eq(fl_bytes_parse(cases[i].text, &bytes, &err), 0);
        ck_assert_uint_eq(bytes, cases[i].bytes);
        fl_bytes_format(bytes, buf, sizeof(buf));
        ck_assert_str_eq(buf, cases[i].shown);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t bytes = 77;
        ck_assert_msg(fl_bytes_parse(bad[i], &bytes, &err) < 0, "%s", bad[i]);
        ck_assert_uint_eq(bytes, 77);
    }
}
END_TEST

START_TEST(defaults)
{
    ck_assert(v.on);
    ck_assert_int_eq(v.number, -3);
    ck_assert_uint_eq(v.count, 5);
    ck_assert_double_eq(v.ratio, 0.1);
    ck_assert_ptr_null(v.text);
    ck_assert_uint_eq(v.wait, 15000000);
    ck_assert_uint_eq(v.size, 2ULL << 30);
    ck_assert_str_eq(shown("wait"), "15secs");
    ck_assert_str_eq(shown("size"), "2GB");
    ck_assert_str_eq(shown("on"), "true");
    ck_assert_str_eq(shown("ratio"), "0.1");
    ck_assert_str_eq(shown("help"), "false");
    ck_assert_ptr_null(shown("text"));
}
END_TEST

START_TEST(command_line)
{
    ck_assert_int_eq(PARSE("--no-on", "--number=7", "--OLD_count=9", " --wait=1.5mins ",
                           "--text=a=b", "run", "--x"),
                     0);
    ck_assert(!v.on);
    ck_assert_int_eq(v.number, 7);
    ck_assert_uint_eq(v.count, 9);
    ck_assert_uint_eq(v.wait, 90000000);
    ck_assert_str_eq(v.text, "a=b");
    ck_assert_str_eq(shown("wait"), "90secs");
    ck_assert_int_eq(rest, 6);
    ck_assert(fl_flags_given(f, "number"));
    ck_assert(!fl_flags_given(f, "size"));
}
END_TEST

START_TEST(rest_after_dashes)
{
    ck_assert_int_eq(PARSE("--on", "--", "--number=7"), 0);
    ck_assert_int_eq(rest, 3);
    ck_assert_int_eq(v.number, -3);
    ck_assert_int_eq(PARSE("--on=false"), 0);
    ck_assert_int_eq(rest, 2);
    ck_assert(!v.on);
    ck_assert_int_eq(PARSE("--on="), 0);
    ck_assert(v.on);
}
END_TEST

START_TEST(help_and_version)
{
    ck_assert_int_eq(PARSE("-h"), 0);
    ck_assert(help);
    ck_assert(!version);
    ck_assert_int_eq(PARSE("--no-help", "--version"), 0);
    ck_assert(!help);
    ck_assert(version);
}
END_TEST

START_TEST(mistakes_are_named)
{
    FAILS("did you mean '--number'?", "--nubmer=1");
    FAILS("'prog --help'", "--somethingquitedifferent=1");
    FAILS("write --wait=VALUE", "--wait");
    FAILS("is no switch", "--no-wait");
    FAILS("takes no value", "--no-on=true");
    FAILS("given twice", "--number=1", "--number=1");
    FAILS("given twice", "--count=1", "--old_count=1");
    FAILS("'x' is not a whole number", "--number=x");
    FAILS("flag '--number'", "--number=");
    FAILS("'-1' is not a whole number from 0", "--count=-1");
    FAILS("not between 1 and 100", "--count=101");
    FAILS("not between 0 and 1", "--ratio=1.01");
    FAILS("the least is 1ms", "--wait=10us");
    FAILS("none of drf|random", "--mode=fair");
    FAILS("'maybe' is not true or false", "--on=maybe");
    FAILS("written --name=value", "-n");
    FAILS("/nowhere/at/all", "--text=file:///nowhere/at/all");
}
END_TEST

START_TEST(all_or_nothing)
{
    setenv("FAIRLEAD_TEXT", "from the environment", 1);
    FAILS("count", "--number=8", "--body=secret", "--no-on", "--count=0");
    ck_assert_int_eq(v.number, -3);
    ck_assert(v.on);
    ck_assert_ptr_null(v.text);
    ck_assert_ptr_null(v.body);
    ck_assert(!fl_flags_given(f, "number"));
    ck_assert_str_eq(shown("number"), "-3");
}
END_TEST

START_TEST(environment)
{
    setenv("MESOS_NUMBER", "1", 1);
    setenv("FAIRLEAD_NUMBER", "2", 1);
    setenv("MESOS_old_count", "3", 1);
    setenv("MESOS_NO-ON", "", 1);
    setenv("FAIRLEAD_WAIT", "1secs", 1);
    setenv("SOME_TEXT", "named", 1);
    setenv("MESOS_SANDBOX", "someone else's", 1);
    setenv("MESOS_HELP", "true", 1);
    ck_assert_int_eq(PARSE("--wait=2secs"), 0);
    ck_assert_int_eq(v.number, 2);
    ck_assert_uint_eq(v.count, 3);
    ck_assert(!v.on);
    ck_assert_uint_eq(v.wait, 2000000);
    ck_assert_str_eq(v.text, "named");
    ck_assert(!help);
    setenv("MESOS_SIZE", "big", 1);
    FAILS("flag 'MESOS_SIZE'", "--on");
}
END_TEST

START_TEST(files)
{
    char name[] = "/tmp/test_flags.XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "[{\"x\": 1}] \n", 12), 12);
    close(fd);
    _cleanup_free_ char *by_url = xasprintf("--text=file://%s", name);
    _cleanup_free_ char *by_path = xasprintf("--body=%s", name);
    _cleanup_free_ char *path = xasprintf("--path=file://%s", name);
    ck_assert_msg(PARSE(by_url, by_path, path) == 0, "%s", err.msg);
    ck_assert_str_eq(v.text, "[{\"x\": 1}]");
    ck_assert_str_eq(v.body, "[{\"x\": 1}]");
    ck_assert_str_eq(v.path, name);
    ck_assert_str_eq(shown("body"), "***");
    ck_assert_int_eq(PARSE("--body={}"), 0);
    ck_assert_str_eq(v.body, "{}");
    unlink(name);
}
END_TEST

static void collect(const char *text, void *arg)
{
    fl_buf_addf(arg, "%s\n", text);
}

START_TEST(warnings)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    ck_assert_int_eq(PARSE("--useless", "--quorum=2", "--old_count=3"), 0);
    fl_flags_warnings(f, collect, &out);
    const char *text = fl_buf_cstr(&out);
    ck_assert_ptr_nonnull(
        strstr(text, "--useless has no meaning here, ignoring: nothing needs it\n"));
    ck_assert_ptr_nonnull(strstr(text, "--quorum is replaced here: there is no log\n"));
    ck_assert_ptr_nonnull(strstr(text, "'--old_count' is an older name, write --count\n"));
    ck_assert_str_eq(shown("useless"), "true");
    ck_assert_str_eq(shown("quorum"), "2");
}
END_TEST

START_TEST(help_text)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    fl_flags_help(f, &out);
    const char *text = fl_buf_cstr(&out);
    ck_assert_ptr_nonnull(strstr(text, "  --[no-]on  (default: true)\n      A switch.\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "  --count=VALUE  (older name: --old_count)  (default: 5)\n"));
    ck_assert_ptr_nonnull(strstr(text, "  --[no-]help"));
}
END_TEST

START_TEST(bad_default_is_an_error)
{
    static const struct fl_flag bad[] = {ROW(wait, FLAG_DURATION, wait, "soon", 0, "A time.")};
    struct values own = {0};
    struct fl_flags *g = NULL;
    ck_assert_int_lt(fl_flags_new("prog", NULL, bad, 1, &own, &g, &err), 0);
    ck_assert_ptr_null(g);
}
END_TEST

/* The reference's values, which runbooks and clients count on. */
START_TEST(master_table)
{
    struct master_flags m = {0};
    struct fl_flags *g = NULL;
    ck_assert_msg(master_flags_new(&m, &g, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(m.port, 5050);
    ck_assert_uint_eq(m.agent_ping_timeout, 15000000);
    ck_assert_uint_eq(m.max_agent_ping_timeouts, 5);
    ck_assert_uint_eq(m.agent_reregister_timeout, 600000000);
    ck_assert_uint_eq(m.allocation_interval, 1000000);
    ck_assert_str_eq(m.registry, "replicated_log");
    ck_assert_str_eq(m.min_allocatable_resources, "cpus:0.01|mem:32");
    ck_assert_uint_eq(m.max_completed_frameworks, 50);
    ck_assert_uint_eq(m.registry_max_agent_age, 14ULL * 86400 * 1000000);
    ck_assert_int_lt(master_flags_finish(g, &m, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "--work_dir"));
    char *argv[] = {"m", "--registry=in_memory", "--slave_ping_timeout=2secs", "--quorum=1", NULL};
    ck_assert_msg(fl_flags_parse(g, 4, argv, &rest, &help, &version, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(m.agent_ping_timeout, 2000000);
    ck_assert_int_eq(master_flags_finish(g, &m, &err), 0);
    fl_flags_free(g);
}
END_TEST

START_TEST(agent_table)
{
    struct agent_flags a = {0};
    struct fl_flags *g = NULL;
    ck_assert_msg(agent_flags_new(&a, &g, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(a.port, 5051);
    ck_assert_str_eq(a.isolation, "posix/cpu,posix/mem");
    ck_assert_str_eq(a.launcher, geteuid() == 0 ? "linux" : "posix");
    ck_assert_uint_eq(a.executor_shutdown_grace_period, 5000000);
    ck_assert_uint_eq(a.gc_delay, 7ULL * 86400 * 1000000);
    ck_assert_uint_eq(a.fetcher_cache_size, 2ULL << 30);
    ck_assert(a.switch_user);
    char *none[] = {"a", NULL};
    ck_assert_int_lt(fl_flags_parse(g, 1, none, &rest, &help, &version, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "is required"));
    char *ask[] = {"a", "--help", NULL};
    ck_assert_int_eq(fl_flags_parse(g, 2, ask, &rest, &help, &version, &err), 0);
    char *argv[] = {"a", "--master=h:1", "--work_dir=/w", "--no-systemd_enable_support", NULL};
    ck_assert_msg(fl_flags_parse(g, 4, argv, &rest, &help, &version, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(agent_flags_finish(g, &a, &err), 0);
    ck_assert_ptr_nonnull(a.runtime_dir);
    ck_assert_ptr_nonnull(strstr(a.domain_socket_location, "/agent.sock"));
    fl_flags_free(g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flags");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, durations);
    tcase_add_test(t, sizes);
    tcase_add_test(t, defaults);
    tcase_add_test(t, command_line);
    tcase_add_test(t, rest_after_dashes);
    tcase_add_test(t, help_and_version);
    tcase_add_test(t, mistakes_are_named);
    tcase_add_test(t, all_or_nothing);
    tcase_add_test(t, environment);
    tcase_add_test(t, files);
    tcase_add_test(t, warnings);
    tcase_add_test(t, help_text);
    tcase_add_test(t, bad_default_is_an_error);
    tcase_add_test(t, master_table);
    tcase_add_test(t, agent_table);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
