/* The load generator's parts that need no socket: latencies, arrival, the file, calls and events as bytes, plots. */
#include <check.h>
#include <math.h>
#include <stdio.h>

#include "common/base/json.h"
#include "emulator/load/calls.h"
#include "emulator/load/hist.h"
#include "emulator/load/offers.h"
#include "emulator/load/plot.h"

/* ---- latencies ---- */

START_TEST(test_hist_bounds)
{
    _cleanup_free_ struct hist *h = xnew0(struct hist);

    for (uint64_t v = 0; v < 1000000; v += v < 2000 ? 1 : v / 100) {
        uint64_t q;

        memset(h, 0, sizeof *h);
        hist_add(h, v);
        hist_add(h, UINT64_MAX / 2); /* so that the maximum does not hide the bucket's bound */
        q = hist_quantile(h, 0.5);
        ck_assert_msg(q >= v && (double)q <= (double)v * 1.04, "%llu: %llu", (unsigned long long)v,
                      (unsigned long long)q);
    }
}
END_TEST

START_TEST(test_hist_quantiles)
{
    _cleanup_free_ struct hist *h = xnew0(struct hist), *other = xnew0(struct hist);

    ck_assert_uint_eq(hist_quantile(h, 0.99), 0);
    for (uint64_t i = 1; i <= 500; i++)
        hist_add(h, i * 10);
    for (uint64_t i = 501; i <= 1000; i++)
        hist_add(other, i * 10);
    hist_merge(h, other);
    ck_assert_uint_eq(h->n, 1000);
    ck_assert_uint_eq(h->max, 10000);
    ck_assert_double_eq_tol(hist_mean(h), 5005, 0.01);
    ck_assert_double_eq_tol((double)hist_quantile(h, 0.5), 5000, 5000 * 0.04);
    ck_assert_double_eq_tol((double)hist_quantile(h, 0.99), 9900, 9900 * 0.04);
    ck_assert_uint_eq(hist_quantile(h, 1), 10000);
    ck_assert_uint_le(hist_quantile(h, 0), 10);
}
END_TEST

START_TEST(test_hist_buckets)
{
    _cleanup_free_ struct hist *h = xnew0(struct hist);

    for (size_t i = 1; i < HIST_BUCKETS; i++)
        ck_assert_uint_gt(hist_upper(i), hist_upper(i - 1));
    hist_add(h, UINT64_MAX);
    ck_assert_uint_eq(hist_quantile(h, 0.5), UINT64_MAX);
}
END_TEST

/* ---- arrival ---- */

START_TEST(test_arrival)
{
    struct emu_random r = {7}, again = {7};
    struct load_arrival a;
    struct fl_err err;
    uint64_t at = 0, same = 0;

    ck_assert_int_eq(load_arrival_parse("at once", &a, &err), 0);
    ck_assert_uint_eq(load_arrival_next(&a, 5, &r), 5);
    ck_assert_int_eq(load_arrival_parse("every 10ms", &a, &err), 0);
    ck_assert_uint_eq(load_arrival_next(&a, 5, &r), 10005);
    ck_assert_int_eq(load_arrival_parse("poisson 20/s", &a, &err), 0);
    for (int i = 0; i < 20000; i++) {
        at = load_arrival_next(&a, at, &r);
        same = load_arrival_next(&a, same, &again);
    }
    ck_assert_uint_eq(at, same);
    /* 20,000 at 20 a second: 1,000 s, with a deviation of 7. */
    ck_assert_double_eq_tol((double)at / 1e6, 1000, 40);
}
END_TEST

/* ---- the file ---- */

#define ENTRY "workload:\n  - name: a\n"

static struct load_plan *parse(const char *text, struct fl_err *err)
{
    struct load_plan *p = NULL;

    *err = (struct fl_err){0};
    if (load_plan_parse("f.yaml", text, strlen(text), &p, err) < 0)
        ck_assert_ptr_null(p);
    return p;
}

static const struct {
    const char *text, *message; /* the message begins so */
} mistakes[] = {
    {"seed: 1\n", "f.yaml:1: the file has no list 'workload'"},
    {"workload: 3\n", "f.yaml:1: 'workload' is a list"},
    {"workload:\n  - jobs: 2\n", "f.yaml:2: an entry needs the key 'name'"},
    {ENTRY "    colour: red\n", "f.yaml:3: an entry has no key 'colour'; it may have: name,"},
    {ENTRY "    frameworks: 0\n", "f.yaml:2: 'a' must have 1 to"},
    {ENTRY "    tasks: 0\n", "f.yaml:2: 'a' must have jobs"},
    {ENTRY "    jobs: 1000000\n    tasks: 1000000\n", "f.yaml:2: 'a' must have jobs"},
    {ENTRY "    jobs: -1\n", "f.yaml:3: a whole number"},
    {ENTRY "    api: soap\n", "f.yaml:3: one of these words is wanted here: libframework, http"},
    {ENTRY "    encoding: json\n", "f.yaml:2: 'a': libframework speaks protobuf"},
    {ENTRY "    arrival: soon\n", "f.yaml:3: 'soon' is no arrival"},
    {ENTRY "    arrival: poisson 0/s\n", "f.yaml:3: 'poisson 0/s' is no arrival"},
    {ENTRY "    arrival: every day\n", "f.yaml:3: "},
    {ENTRY "    duration: long\n", "f.yaml:3: "},
    {ENTRY "    resources: {}\n", "f.yaml:3: 'resources' is a mapping"},
    {ENTRY "    resources: {cpus: none}\n", "f.yaml:3: 'cpus' needs an amount"},
    {ENTRY "    gang: {as: one}\n", "f.yaml:3: 'gang' has no key 'as'"},
    {ENTRY "    gang: true\n    parallel: 3\n", "f.yaml:2: 'a': a gang is placed whole"},
    {ENTRY "    principal: p\n", "f.yaml:2: 'a' needs both 'principal' and 'secret'"},
    {ENTRY "    keep: true\n", "f.yaml:2: 'a': 'keep' replaces ended tasks"},
    {ENTRY "  - name: a\n", "f.yaml:3: there are two entries 'a'"},
    {ENTRY "    after: b\n", "f.yaml:2: 'after: b' names no entry before 'a'"},
    {ENTRY "    after: a\n", "f.yaml:2: 'after: a' names no entry before 'a'"},
    {ENTRY "    place: anywhere\n", "f.yaml:3: one of these words is wanted here: pack, spread"},
};

START_TEST(test_mistake)
{
    struct fl_err err;

    ck_assert_ptr_null(parse(mistakes[_i].text, &err));
    ck_assert_msg(str_starts(err.msg, mistakes[_i].message), "'%s'", err.msg);
}
END_TEST

START_TEST(test_entry)
{
    struct fl_err err;
    _cleanup_buf_ struct fl_buf label = FL_BUF_INIT;
    _cleanup_(load_plan_freep) struct load_plan *p =
        parse("seed: 9\ngroups: [whatever]\n" ENTRY
              "    duration: forever\n  - name: b\n    tasks: 25\n    after: a\n"
              "    resources: {cpus: 0.5, gpus: 8}\n    gang: {same: zone, hold: 1mins}\n    "
              "duration: 3secs\n",
              &err);

    ck_assert_msg(p, "%s", err.msg);
    ck_assert_uint_eq(p->seed, 9);
    ck_assert_uint_eq(p->n_entries, 2);
    ck_assert(!p->entries[0].ends && p->entries[0].retry && p->entries[0].api == LOAD_LIBFRAMEWORK);
    ck_assert_uint_eq(p->entries[0].need.n, 2);
    ck_assert(p->entries[1].ends && p->entries[1].gang);
    load_gang_label(&p->entries[1], &label);
    ck_assert_str_eq(fl_buf_cstr(&label), "count=25 unit=cpus:0.5;gpus:8 same=zone hold=1mins");
}
END_TEST

static const char *const examples[] = {"load-small", "load-million", "load-kemu", "load-place",
                                       "load-churn", "load-scale",   "load-soak"};

START_TEST(test_example)
{
    _cleanup_free_ char *path = xasprintf("emulator/examples/%s.yaml", examples[_i]);
    _cleanup_(load_plan_freep) struct load_plan *p = NULL;
    struct fl_err err;

    ck_assert_msg(load_plan_load(path, &p, &err) == 0, "%s", err.msg);
    ck_assert_uint_gt(p->n_entries, 0);
}
END_TEST

/* ---- calls, as protobuf-c reads them ---- */

static Sched__Call *read_call(const struct fl_buf *b)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err;

    ck_assert_msg(fl_pb_decode(b->data, b->len, &sched__call__descriptor, NULL, &m, &err) == 0,
                  "%s", err.msg);
    return (Sched__Call *)m;
}

START_TEST(test_accept)
{
    struct fl_err err;
    _cleanup_(load_plan_freep) struct load_plan *p =
        parse(ENTRY "    resources: {cpus: 0.5, mem: 64}\n    duration: 3secs\n", &err);
    _cleanup_buf_ struct fl_buf pattern = FL_BUF_INIT, out = FL_BUF_INIT;
    struct load_accept a = {.n = 0};

    load_call_pattern(&pattern, &p->entries[0]);
    for (int round = 0; round < 2; round++) {
        _cleanup_pb_ Sched__Call *c = NULL;
        const V1__TaskInfo *t;

        for (int i = 0; i < 300; i++)
            load_accept_add(&a, i ? "other" : "first", "agent-7", &pattern);
        load_accept_end(&a, &out, "offer-1", 2.5);
        c = read_call(&out);
        ck_assert_int_eq(c->type, SCHED__CALL__TYPE__ACCEPT);
        ck_assert_uint_eq(c->accept->n_operations, 1);
        ck_assert_str_eq(c->accept->offer_ids[0]->value, "offer-1");
        ck_assert_double_eq(c->accept->filters->refuse_seconds, 2.5);
        ck_assert_uint_eq(c->accept->operations[0]->launch->n_task_infos, 300);
        t = c->accept->operations[0]->launch->task_infos[0];
        ck_assert_str_eq(t->task_id->value, "first");
        ck_assert_str_eq(t->agent_id->value, "agent-7");
        ck_assert_str_eq(t->resources[1]->name, "mem");
        ck_assert_double_eq(t->resources[1]->scalar->value, 64);
        ck_assert_str_eq(t->labels->labels[0]->value, "3secs");
    }
    fl_buf_done(&a.launch);
}
END_TEST

START_TEST(test_other_calls)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const char *ids[] = {"one", "two"};
    struct load_bytes agent = {"ag", 2}, task = {"t-1", 3}, uuid = {"0123456789abcdef", 16};
    _cleanup_pb_ Sched__Call *c = NULL, *d = NULL, *k = NULL, *r = NULL;

    load_call_acknowledge(&out, agent, task, uuid);
    c = read_call(&out);
    ck_assert_str_eq(c->acknowledge->agent_id->value, "ag");
    ck_assert_str_eq(c->acknowledge->task_id->value, "t-1");
    ck_assert_uint_eq(c->acknowledge->uuid.len, 16);
    load_call_decline(&out, ids, 2, 0);
    d = read_call(&out);
    ck_assert_uint_eq(d->decline->n_offer_ids, 2);
    ck_assert_str_eq(d->decline->offer_ids[1]->value, "two");
    load_call_kill(&out, "t-1");
    k = read_call(&out);
    ck_assert_str_eq(k->kill->task_id->value, "t-1");
    load_call_reconcile(&out, ids, 2);
    r = read_call(&out);
    ck_assert_str_eq(r->reconcile->tasks[1]->task_id->value, "two");
}
END_TEST

/* ---- events ---- */

static void make_update(struct fl_buf *out)
{
    Sched__Event ev = SCHED__EVENT__INIT;
    Sched__Event__Update update = SCHED__EVENT__UPDATE__INIT;
    V1__TaskStatus s = V1__TASK_STATUS__INIT;
    V1__TaskID task = V1__TASK_ID__INIT;
    V1__AgentID agent = V1__AGENT_ID__INIT;

    task.value = (char *)"1f-2";
    agent.value = (char *)"agent-7";
    s.task_id = &task;
    s.agent_id = &agent;
    s.state = V1__TASK_STATE__TASK_FAILED;
    s.message = (char *)"it broke";
    s.has_reason = s.has_uuid = s.has_timestamp = s.has_healthy = true;
    s.reason = V1__TASK_STATUS__REASON__REASON_COMMAND_EXECUTOR_FAILED;
    s.timestamp = 12.5;
    s.uuid = (ProtobufCBinaryData){16, (uint8_t *)"0123456789abcdef"};
    update.status = &s;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__UPDATE;
    ev.update = &update;
    fl_buf_pack(out, &ev.base);
}

START_TEST(test_update)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct load_update u;
    uint32_t attempt;
    size_t index;

    make_update(&b);
    ck_assert(load_event_update(b.data, b.len, &u));
    ck_assert_int_eq(u.state, V1__TASK_STATE__TASK_FAILED);
    ck_assert_int_eq(u.reason, 0);
    ck_assert_double_eq(u.timestamp, 12.5);
    ck_assert(u.uuid.n == 16 && u.agent_id.n == 7 && memcmp(u.message.p, "it broke", 8) == 0);
    ck_assert(load_task_id_parse(u.task_id, &index, &attempt));
    ck_assert_uint_eq(index, 0x1f);
    ck_assert_uint_eq(attempt, 2);
    /* Whatever is cut off, nothing is read beyond. */
    for (size_t n = 0; n < b.len; n++) {
        _cleanup_free_ char *copy = xmemdup(b.data, n);

        load_event_update(copy, n, &u);
    }
}
END_TEST

START_TEST(test_no_update)
{
    static const char heartbeat[] = {0x08, 0x08};
    struct load_update u;

    ck_assert(!load_event_update(heartbeat, sizeof heartbeat, &u));
    ck_assert(!load_event_update("", 0, &u));
}
END_TEST

static const struct {
    uint64_t index;
    uint32_t attempt;
    const char *text;
} ids[] = {{0, 0, "0-0"},
           {10, 1, "a-1"},
           {0xfffff, 16, "fffff-10"},
           {99999999, UINT32_MAX, "5f5e0ff-ffffffff"}};

START_TEST(test_task_id)
{
    char text[LOAD_TASK_ID];
    uint32_t attempt;
    size_t index;

    load_task_id(text, ids[_i].index, ids[_i].attempt);
    ck_assert_str_eq(text, ids[_i].text);
    ck_assert(load_task_id_parse((struct load_bytes){text, strlen(text)}, &index, &attempt));
    ck_assert_uint_eq(index, ids[_i].index);
    ck_assert_uint_eq(attempt, ids[_i].attempt);
}
END_TEST

START_TEST(test_no_task_id)
{
    static const char *const others[] = {"", "-", "1-", "-1", "fence-1", "1-2x", "1-2-3", "x"};
    uint32_t attempt;
    size_t index;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        ck_assert(!load_task_id_parse((struct load_bytes){others[i], strlen(others[i])}, &index,
                                      &attempt));
}
END_TEST

/* ---- agents and plots ---- */

START_TEST(test_agents)
{
    struct load_agents a = {0};
    char id[40];

    for (unsigned i = 0; i < 5000; i++) {
        fl_snprintf(id, sizeof id, "agent-%u", i);
        load_agents_get(&a, id, strlen(id))->freed_us = i + 1;
    }
    for (unsigned i = 0; i < 5000; i++) {
        fl_snprintf(id, sizeof id, "agent-%u-and-more", i);
        ck_assert_uint_eq(load_agents_get(&a, id, strlen(id) - 9)->freed_us, i + 1);
    }
    ck_assert_uint_eq(a.n, 5000);
    load_agents_done(&a);
}
END_TEST

START_TEST(test_plot)
{
    struct plot p = {.title = "a < b & \"c\"", .x_label = "x", .y_label = "y", .log_x = _i == 1};
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct plot_line *l = plot_line(&p, "one");

    /* None, one, many points: always finite numbers. */
    plot_svg(&p, &out);
    plot_point(l, 0, 0);
    plot_svg(&p, &out);
    for (int i = 0; i < 5000; i++)
        plot_point(l, i, sqrt(i));
    plot_svg(&p, &out);
    ck_assert_ptr_null(strstr(fl_buf_cstr(&out), "nan"));
    ck_assert_ptr_null(strstr(fl_buf_cstr(&out), "inf"));
    ck_assert_ptr_nonnull(strstr(fl_buf_cstr(&out), "a &lt; b &amp; &quot;c&quot;"));
    ck_assert_uint_lt(out.len, 60000);
    plot_done(&p);
}
END_TEST

static void add_tests(TCase *t)
{
    tcase_add_test(t, test_hist_bounds);
    tcase_add_test(t, test_hist_quantiles);
    tcase_add_test(t, test_hist_buckets);
    tcase_add_test(t, test_arrival);
    tcase_add_loop_test(t, test_mistake, 0, (int)ARRAY_SIZE(mistakes));
    tcase_add_test(t, test_entry);
    tcase_add_loop_test(t, test_example, 0, (int)ARRAY_SIZE(examples));
    tcase_add_test(t, test_accept);
    tcase_add_test(t, test_other_calls);
    tcase_add_test(t, test_update);
    tcase_add_test(t, test_no_update);
    tcase_add_loop_test(t, test_task_id, 0, (int)ARRAY_SIZE(ids));
    tcase_add_test(t, test_no_task_id);
    tcase_add_test(t, test_agents);
    tcase_add_loop_test(t, test_plot, 0, 2);
}

int main(void)
{
    Suite *s = suite_create("loadgen");
    TCase *t = tcase_create("loadgen");
    SRunner *r;
    int failed;

    add_tests(t);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
