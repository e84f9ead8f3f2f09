/* The emulator's parts that need no socket: the cluster's file, the workload, the files in memory. */
#include <check.h>
#include <stdio.h>

#include "emulator/cluster.h"
#include "emulator/files.h"
#include "emulator/roster.h"

#define GROUP "groups:\n  - name: a\n    count: 5\n    resources: {cpus: 4, mem: 1024, gpus: 2}\n"

static struct emu_cluster *parse(const char *text, struct fl_err *err)
{
    struct emu_cluster *c = NULL;

    *err = (struct fl_err){0};
    if (emu_cluster_parse("f.yaml", text, strlen(text), &c, err) < 0)
        ck_assert_ptr_null(c);
    return c;
}

/* ---- the file ---- */

static const struct {
    const char *text, *message; /* the message begins so */
} mistakes[] = {
    {"", "f.yaml:1: the file is empty"},
    {"groups: [", "f.yaml:"},
    {"cluster: x\n", "f.yaml:1: the file needs the key 'groups'"},
    {"a: b\n" GROUP, "f.yaml:1: the file has no key 'a'"},
    {GROUP "    colour: red\n", "f.yaml:5: a group has no key 'colour'; it may have: name,"},
    {GROUP "    count: 6\n", "f.yaml:5: the key 'count' is there twice"},
    {GROUP "tasks:\n  duraton: 5secs\n", "f.yaml:6: 'tasks' has no key 'duraton'"},
    {GROUP "tasks:\n  duration: soon\n", "f.yaml:6: "},
    {GROUP "tasks:\n  duration: uniform 5secs 1secs\n", "f.yaml:6: in 'uniform 5secs 1secs' the l"},
    {GROUP "tasks:\n  exits: [{code: 300, probability: 1}]\n", "f.yaml:6: '300' must be a whole"},
    {GROUP "tasks:\n  exits: [{code: 1, signal: 9, probability: 1}]\n", "f.yaml:6: an exit has"},
    {GROUP "tasks:\n  exits: [{code: 1, probability: 0.7}, {code: 2, probability: 0.7}]\n",
     "f.yaml:6: the probabilities of 'exits' add up to 1.4"},
    {GROUP "faults: {lose: 1.5}\n", "f.yaml:5: '1.5' is no probability"},
    {GROUP "faults: {lag: forever}\n", "f.yaml:5: a message cannot be late for ever"},
    {GROUP "faults: {flap: {every: 1mins}}\n", "f.yaml:5: 'flap' needs the key 'away'"},
    {GROUP "faults: {flap: {every: 1us, away: 1secs}}\n", "f.yaml:5: 'every' must be 1ms"},
    {GROUP "    placement: [{region: r, zone: z, count: 4}]\n",
     "f.yaml:2: group 'a' has 5 nodes, and its places 4"},
    {GROUP "    placement: [{region: r, zone: y, count: 4}, {region: r, zone: z}]\n",
     "f.yaml:2: in group 'a' some places have a count"},
    {GROUP "    placement: [{zone: z}]\n", "f.yaml:5: a place needs the key 'region'"},
    {GROUP "    placement: [{region: 'a\"b', zone: z}]\n", "f.yaml:5: a name of up to 100"},
    {GROUP "  - name: a\n    count: 1\n    resources: {cpus: 1, mem: 1}\n",
     "f.yaml:5: there are two groups 'a'"},
    {"groups: [{name: a, count: 0, resources: {cpus: 1, mem: 1}}]\n", "f.yaml:1: group 'a' must"},
    {"groups: [{name: a, count: 1, resources: {cpus: 1}}]\n", "f.yaml:1: 'resources' needs 'mem'"},
    {"groups: [{name: a, count: -1, resources: {cpus: 1, mem: 1}}]\n", "f.yaml:1: a whole number"},
};

START_TEST(test_mistake)
{
    struct fl_err err;

    ck_assert_ptr_null(parse(mistakes[_i].text, &err));
    ck_assert_msg(str_starts(err.msg, mistakes[_i].message), "'%s'", err.msg);
}
END_TEST

START_TEST(test_places)
{
    struct fl_err err;
    _cleanup_(emu_cluster_freep) struct emu_cluster *c =
        parse("seed: 7\nagent_flags: {max_tasks: 9}\n" GROUP "    attributes: {kind: x, rack: r1}\n"
              "    placement: [{region: r, zone: y}, {region: r, zone: z}]\n"
              "    tasks: {start_delay: 2secs}\n"
              "    faults: {lose: 0.5}\n"
              "faults: {lag: 3ms}\n"
              "tasks: {duration: 1mins, start_delay: 1secs}\n",
              &err);

    ck_assert_msg(c, "%s", err.msg);
    ck_assert_uint_eq(c->seed, 7);
    ck_assert_str_eq(c->agent_flags[0], "--max_tasks=9");
    ck_assert_uint_eq(emu_cluster_count(c), 5);
    ck_assert_uint_eq(c->groups[0].places[0].count, 3);
    ck_assert_uint_eq(c->groups[0].places[1].count, 2);
    ck_assert_str_eq(c->groups[0].attributes, "kind:x;rack:r1");
    ck_assert_str_eq(c->groups[0].resources, "cpus:4;mem:1024;gpus:2");
    ck_assert_uint_eq(c->groups[0].faults.lag.a_us, 3000);
    ck_assert_double_eq(c->groups[0].faults.lose, 0.5);
    ck_assert_double_eq(c->faults.lose, 0);
    /* The tasks of the whole, though they stand below, with the group's own over them. */
    ck_assert_uint_eq(c->groups[0].tasks.duration.a_us, 60000000);
    ck_assert_uint_eq(c->groups[0].tasks.start_delay.a_us, 2000000);
}
END_TEST

static const struct {
    const char *path;
    uint64_t nodes, gpus;
} examples[] = {
    {"emulator/examples/small.yaml", 30, 6 * 8},
    {"emulator/examples/kemu.yaml", 2550, 20400},
    {"emulator/examples/nomad-c1m.yaml", 5000, 0},
    {"emulator/examples/huge.yaml", 50000, 2000 * 8},
};

/* What schedulers do stands in the same file. */
START_TEST(test_workload_is_skipped)
{
    struct fl_err err;
    _cleanup_(emu_cluster_freep) struct emu_cluster *c =
        parse(GROUP "workload:\n  frameworks: [{name: x}]\n", &err);

    ck_assert_msg(c, "%s", err.msg);
    ck_assert_uint_eq(emu_cluster_count(c), 5);
}
END_TEST

START_TEST(test_example)
{
    _cleanup_(emu_cluster_freep) struct emu_cluster *c = NULL;
    struct fl_err err = {0};
    uint64_t gpus = 0;

    ck_assert_msg(emu_cluster_load(examples[_i].path, &c, &err) == 0, "%s", err.msg);
    ck_assert_uint_eq(emu_cluster_count(c), examples[_i].nodes);
    for (size_t i = 0; i < c->n_groups; i++) {
        if (strstr(c->groups[i].resources, "gpus:8"))
            gpus += 8 * c->groups[i].count;
    }
    ck_assert_uint_eq(gpus, examples[_i].gpus);
}
END_TEST

/* ---- the workload ---- */

START_TEST(test_times)
{
    struct emu_random r = {3};
    struct emu_time uniform, exponential, fixed, forever;
    double sum = 0, n = 20000;
    struct fl_err err;

    ck_assert_int_eq(emu_time_parse("uniform 1secs 3secs", &uniform, &err), 0);
    ck_assert_int_eq(emu_time_parse("exponential 1secs 2secs", &exponential, &err), 0);
    ck_assert_int_eq(emu_time_parse("5secs", &fixed, &err), 0);
    ck_assert_int_eq(emu_time_parse("forever", &forever, &err), 0);
    ck_assert_uint_eq(emu_time_draw(&fixed, &r), 5000000);
    ck_assert_uint_eq(emu_time_draw(&forever, &r), UINT64_MAX);
    for (int i = 0; i < (int)n; i++) {
        uint64_t us = emu_time_draw(&uniform, &r);

        ck_assert(us >= 1000000 && us <= 3000000);
        ck_assert_uint_le(emu_time_draw(&exponential, &r), 2000000);
        sum += (double)us;
    }
    ck_assert_double_eq_tol(sum / n, 2e6, 2e4);
    exponential.b_us = 0;
    sum = 0;
    for (int i = 0; i < (int)n; i++)
        sum += (double)emu_time_draw(&exponential, &r);
    ck_assert_double_eq_tol(sum / n, 1e6, 4e4);
}
END_TEST

START_TEST(test_exits)
{
    struct emu_workload w = emu_workload_default;
    struct emu_random r = {3};
    struct emu_plan p;
    unsigned ones = 0, nines = 0;
    struct fl_err err;

    w.exits[0] = (struct emu_exit){1 << 8, 0.25};
    w.exits[1] = (struct emu_exit){9, 0.5};
    w.n_exits = 2;
    for (int i = 0; i < 10000; i++) {
        ck_assert_int_eq(emu_plan_make(&w, NULL, &r, &p, &err), 0);
        ones += p.status == 1 << 8;
        nines += p.status == 9;
    }
    ck_assert(ones > 2300 && ones < 2700);
    ck_assert(nines > 4800 && nines < 5200);
}
END_TEST

static int plan_of(const char *key, const char *value, struct emu_plan *p, struct fl_err *err)
{
    struct emu_random r = {3};
    V1__Label l = V1__LABEL__INIT, *list[] = {&l};
    V1__Labels labels = V1__LABELS__INIT;

    l.key = (char *)key;
    l.value = (char *)value;
    labels.labels = list;
    labels.n_labels = 1;
    return emu_plan_make(&emu_workload_default, &labels, &r, p, err);
}

START_TEST(test_labels)
{
    struct emu_plan p;
    struct fl_err err;

    ck_assert_int_eq(plan_of("other", NULL, &p, &err), 0);
    ck_assert_uint_eq(p.run_us, UINT64_MAX);
    ck_assert_int_eq(plan_of("emulator.duration", "250ms", &p, &err), 0);
    ck_assert_uint_eq(p.run_us, 250000);
    ck_assert_int_eq(p.status, 0);
    ck_assert_int_eq(plan_of("emulator.exit", "7", &p, &err), 0);
    ck_assert_int_eq(p.status, 7 << 8);
    ck_assert_int_lt(plan_of("emulator.exit", "256", &p, &err), 0);
    ck_assert_int_lt(plan_of("emulator.duration", NULL, &p, &err), 0);
    ck_assert_msg(str_starts(err.msg, "label 'emulator.duration': "), "'%s'", err.msg);
}
END_TEST

/* ---- files ---- */

#define META EMU_WORK_DIR "/meta"

static void join(const char *name, void *arg)
{
    fl_buf_addf(arg, "%s ", name);
}

START_TEST(test_files)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct emu_files f = {0};
    struct fl_err err;

    emu_files_write(&f, META "/a/one", "12", 2);
    emu_files_append(&f, META "/a/one", "34", 2);
    emu_files_write(&f, META "/a/d/two", "x", 1);
    emu_files_write(&f, META "/a/d/three", "", 0);
    emu_files_link(&f, META "/a/d", META "/ab");
    emu_files_write(&f, EMU_WORK_DIR "/slaves/sandbox", "x", 1);
    emu_files_write(&f, META "/slaves/s/frameworks/f/framework.info", "x", 1);
    ck_assert_int_eq(emu_files_read(&f, META "/slaves/s/frameworks/f/framework.info", &b, &err), 0);
    fl_buf_clear(&b);
    ck_assert_int_lt(emu_files_read(&f, META "/slaves/s/frameworks/f", &b, &err), 0);
    ck_assert_int_lt(emu_files_read(&f, META "/slaves/s/frameworks/f/framework.inf", &b, &err), 0);
    ck_assert_int_eq(emu_files_read(&f, META "/a/one", &b, &err), 0);
    ck_assert_str_eq(fl_buf_cstr(&b), "1234");
    ck_assert_int_eq(emu_files_truncate(&f, META "/a/one", 1, &err), 0);
    ck_assert_int_lt(emu_files_truncate(&f, META "/a/one", 2, &err), 0);
    fl_buf_clear(&b);
    ck_assert_int_eq(emu_files_readlink(&f, META "/ab", &b, &err), 0);
    ck_assert_str_eq(fl_buf_cstr(&b), META "/a/d");
    fl_buf_clear(&b);
    ck_assert_int_eq(emu_files_list(&f, META "/a", join, &b, &err), 0);
    ck_assert(streq(fl_buf_cstr(&b), "d one ") || streq(fl_buf_cstr(&b), "one d "));
    ck_assert_int_lt(emu_files_read(&f, EMU_WORK_DIR "/slaves/sandbox", &b, &err), 0);
    emu_files_remove(&f, META "/a");
    ck_assert_int_lt(emu_files_list(&f, META "/a", join, &b, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
    fl_buf_clear(&b);
    ck_assert_int_eq(emu_files_readlink(&f, META "/ab", &b, &err), 0);
    emu_files_done(&f);
}
END_TEST

/* ---- the roster ---- */

#define TWO_GROUPS                                                                                 \
    "groups:\n"                                                                                    \
    "  - name: a\n    count: 10\n    resources: {cpus: 4, mem: 1024}\n"                            \
    "    placement: [{region: r, zone: y, count: 8}, {region: r, zone: z, count: 2}]\n"            \
    "  - name: b\n    count: 3\n    resources: {cpus: 4, mem: 1024}\n"

static struct emu_roster *make_roster(const struct emu_cluster *c, unsigned workers)
{
    struct emu_roster *r = emu_roster_new(c, workers);

    for (unsigned i = 0; i < c->n_groups; i++)
        emu_roster_grow(r, i, c->groups[i].count, NULL, NULL);
    return r;
}

static struct emu_cluster *two_groups(void)
{
    struct fl_err err;
    struct emu_cluster *c = parse(TWO_GROUPS, &err);

    ck_assert_msg(c, "%s", err.msg);
    return c;
}

static void add_index(size_t index, void *arg)
{
    fl_buf_addf(arg, "%zu ", index);
}

START_TEST(test_roster_grows_and_shrinks)
{
    _cleanup_(emu_cluster_freep) struct emu_cluster *c = two_groups();
    _cleanup_(emu_roster_freep) struct emu_roster *r = make_roster(c, 3);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    char name[64];

    ck_assert_uint_eq(r->present, 13);
    ck_assert_uint_eq(r->all[7].place, 0);
    ck_assert_uint_eq(r->all[8].place, 1);
    /* Places keep their shares, workers share alike. */
    emu_roster_grow(r, 0, 10, add_index, &b);
    ck_assert_str_eq(fl_buf_cstr(&b), "13 14 15 16 17 18 19 20 21 22 ");
    ck_assert_uint_eq(r->groups[0].at[0], 16);
    ck_assert_uint_eq(r->groups[0].at[1], 4);
    ck_assert_uint_eq(r->load[0] + r->load[1] + r->load[2], 23);
    ck_assert(r->load[0] >= 7 && r->load[1] >= 7 && r->load[2] >= 7);
    emu_roster_name(c, &r->all[22], name, sizeof name);
    ck_assert_str_eq(name, "a-20");
    /* The last ones go first; numbers are not given again. */
    fl_buf_clear(&b);
    ck_assert_uint_eq(emu_roster_shrink(r, 0, 2, add_index, &b), 2);
    ck_assert_str_eq(fl_buf_cstr(&b), "22 21 ");
    ck_assert_uint_eq(emu_roster_shrink(r, 1, 9, NULL, NULL), 3);
    ck_assert_uint_eq(r->groups[1].present, 0);
    emu_roster_grow(r, 0, 1, NULL, NULL);
    ck_assert_uint_eq(r->all[r->n - 1].number, 21);
    ck_assert_uint_eq(r->present, 19);
}
END_TEST

static void never(size_t index, void *arg)
{
    ck_abort_msg("node %zu was told", index);
}

START_TEST(test_roster_chooses)
{
    _cleanup_(emu_cluster_freep) struct emu_cluster *c = two_groups();
    _cleanup_(emu_roster_freep) struct emu_roster *one = make_roster(c, 1);
    _cleanup_(emu_roster_freep) struct emu_roster *many = make_roster(c, 5);
    struct emu_choice choice = {.group = EMU_ALL_GROUPS, .fraction = 0.3};
    struct fl_err err;
    uint64_t n = 0;

    /* The number of workers changes nothing. */
    for (int i = 0; i < 20; i++) {
        _cleanup_buf_ struct fl_buf a = FL_BUF_INIT, b = FL_BUF_INIT;

        ck_assert_int_eq(emu_roster_choose(one, &choice, add_index, &a, &n, &err), 0);
        ck_assert_uint_eq(n, 4);
        ck_assert_int_eq(emu_roster_choose(many, &choice, add_index, &b, &n, &err), 0);
        ck_assert_str_eq(fl_buf_cstr(&a), fl_buf_cstr(&b));
    }
    choice = (struct emu_choice){.group = 1, .count = 99};
    ck_assert_int_eq(emu_roster_choose(one, &choice, NULL, NULL, &n, &err), 0);
    ck_assert_uint_eq(n, 3);
    {
        _cleanup_buf_ struct fl_buf a = FL_BUF_INIT;

        choice = (struct emu_choice){.group = EMU_ALL_GROUPS, .names = "b-2,a-10"};
        ck_assert_int_eq(emu_roster_choose(one, &choice, add_index, &a, &n, &err), 0);
        ck_assert_str_eq(fl_buf_cstr(&a), "11 9 ");
    }
    /* All or nothing. */
    choice.names = "b-2,b-4";
    ck_assert_int_lt(emu_roster_choose(one, &choice, never, NULL, &n, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.msg, "'b-4'"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("emulator");
    TCase *t = tcase_create("emulator");
    SRunner *r;
    int failed;

    tcase_add_loop_test(t, test_mistake, 0, (int)ARRAY_SIZE(mistakes));
    tcase_add_test(t, test_places);
    tcase_add_test(t, test_workload_is_skipped);
    tcase_add_loop_test(t, test_example, 0, (int)ARRAY_SIZE(examples));
    tcase_add_test(t, test_times);
    tcase_add_test(t, test_exits);
    tcase_add_test(t, test_labels);
    tcase_add_test(t, test_files);
    tcase_add_test(t, test_roster_grows_and_shrinks);
    tcase_add_test(t, test_roster_chooses);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
