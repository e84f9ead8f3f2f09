/* What cgroup isolators compute: net_cls handles, device rules and the program made of them, names of perf events. */
#include <check.h>

#include "common/base/util.h"
#include "isolators/device_rules.h"
#include "isolators/net_cls_handles.h"
#include "isolators/perf_counter.h"

/* ---- net_cls ---- */

START_TEST(handles_are_given_lowest_first_and_given_back)
{
    struct net_cls_handles h;
    uint32_t id;
    struct fl_err err;

    ck_assert_int_eq(net_cls_handles_init(&h, "0x0012", "0xffFD,0xffff", &err), 0);
    for (uint32_t i = 0xfffd; i <= 0xffff; i++) {
        ck_assert_int_eq(net_cls_handles_take(&h, &id, &err), 0);
        ck_assert_uint_eq(id, 0x120000 | i);
    }
    ck_assert_int_lt(net_cls_handles_take(&h, &id, &err), 0);
    ck_assert_int_eq(err.reason, FL_LIMIT);
    net_cls_handles_give_back(&h, 0x12fffe);
    ck_assert(!net_cls_handles_reserve(&h, 0x12ffff)); /* taken */
    ck_assert(!net_cls_handles_reserve(&h, 0x130001)); /* not ours */
    ck_assert(!net_cls_handles_reserve(&h, 0x120001)); /* outside */
    ck_assert(net_cls_handles_reserve(&h, 0x12fffe));
    ck_assert_int_lt(net_cls_handles_take(&h, &id, &err), 0);
}
END_TEST

START_TEST(all_handles_can_be_had)
{
    struct net_cls_handles h;
    uint32_t id, n = 0;

    ck_assert_int_eq(net_cls_handles_init(&h, "1", NULL, NULL), 0);
    while (net_cls_handles_take(&h, &id, NULL) == 0)
        ck_assert_uint_eq(id, 0x10000 | ++n);
    ck_assert_uint_eq(n, 0xffff);
}
END_TEST

START_TEST(handles_that_make_no_sense)
{
    static const char *const bad[][2] = {
        {"x", NULL},        {"0x10000", NULL}, {"", NULL},           {"0x1", "1"}, {"0x1", "0,5"},
        {"0x1", "0x5,0x4"}, {"0x1", "1,2,3"},  {"0x1", "1,0x10000"}, {"-1", NULL},
    };
    struct net_cls_handles h;
    struct fl_err err;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_msg(net_cls_handles_init(&h, bad[i][0], bad[i][1], &err) < 0, "%zu", i);
        ck_assert_uint_gt(strlen(err.msg), 20);
    }
    ck_assert_int_eq(net_cls_handles_init(&h, NULL, NULL, &err), 0);
    ck_assert(!h.given);
}
END_TEST

/* ---- devices ---- */

/* As much of the machine as the program uses. */
static uint64_t run(const struct bpf_insn *code, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
    uint64_t r[11] = {[1] = (uint64_t)(uintptr_t)ctx};

    for (size_t pc = 0; pc < n; pc++) {
        const struct bpf_insn *i = &code[pc];
        uint64_t *d = &r[i->dst_reg];
        switch (i->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            ck_assert_int_eq(i->src_reg, 1);
            ck_assert_int_le(i->off, (int)sizeof(*ctx) - 4);
            *d = *(const uint32_t *)(const void *)((const char *)ctx + i->off);
            break;
        case BPF_ALU | BPF_MOV | BPF_X:
            *d = (uint32_t)r[i->src_reg];
            break;
        case BPF_ALU | BPF_MOV | BPF_K:
            *d = (uint32_t)i->imm;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            *d = (uint32_t)*d & (uint32_t)i->imm;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            *d = (uint32_t)*d >> i->imm;
            break;
        case BPF_JMP | BPF_JNE | BPF_K:
            if (*d != (uint64_t)(int64_t)i->imm)
                pc += (size_t)i->off;
            break;
        case BPF_JMP | BPF_EXIT:
            return r[0];
        default:
            ck_abort_msg("instruction %02x at %zu", i->code, pc);
        }
    }
    ck_abort_msg("ran off the end");
}

#define R BPF_DEVCG_ACC_READ
#define W BPF_DEVCG_ACC_WRITE
#define M BPF_DEVCG_ACC_MKNOD
static const struct {
    char type;
    uint32_t major, minor, access;
    bool allowed;
} asked[] = {
    {'c', 1, 3, R | W, true},  {'c', 1, 3, R | W | M, true}, {'c', 1, 5, R, true},
    {'c', 1, 11, R, false},    {'c', 1, 11, M, true},        {'b', 1, 3, R, false},
    {'b', 8, 0, R, false},     {'b', 8, 0, W, false},        {'b', 8, 0, M, true},
    {'b', 8, 0, R | M, false}, {'c', 136, 7, R | W, true},   {'c', 137, 7, R | W, false},
    {'c', 10, 200, W, true},   {'c', 10, 237, R, false},     {'c', 5, 2, R, true},
    {'c', 5, 3, R, false},     {'c', 0, 0, R, false},        {'c', 1, 65539, R, false},
};

static bool is_allowed(const struct bpf_insn *code, size_t n, size_t i)
{
    const struct bpf_cgroup_dev_ctx ctx = {
        .access_type = asked[i].access << 16 |
                       (asked[i].type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
        .major = asked[i].major,
        .minor = asked[i].minor};

    return run(code, n, &ctx) != 0;
}

START_TEST(program_allows_what_the_rules_do)
{
    struct device_rules rules;
    struct fl_err err;
    size_t n;

    ck_assert_msg(device_rules_make(NULL, &rules, &err) == 0, "%s", err.msg);
    _cleanup_free_ struct bpf_insn *code = device_rules_program(&rules, &n);
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        ck_assert_msg(is_allowed(code, n, i) == asked[i].allowed, "row %zu", i);
    device_rules_done(&rules);
}
END_TEST

START_TEST(lines_as_version_1_wants_them)
{
    static const struct {
        struct device_rule rule;
        const char *text;
    } rows[] = {
        {{'c', DEVICE_ANY, DEVICE_ANY, .mknod = true}, "c *:* m"},
        {{'c', 136, DEVICE_ANY, true, true, true}, "c 136:* rwm"},
        {{'b', 8, 1, .read = true}, "b 8:1 r"},
        {{'b', 8, 1, .write = true}, "b 8:1 w"},
    };
    char text[64];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        device_rule_text(&rows[i].rule, text, sizeof(text));
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

START_TEST(more_devices_by_the_flag)
{
    struct device_rules rules;
    struct fl_err err;
    char text[64];

    ck_assert_msg(
        device_rules_make("{\"allowed_devices\": [{\"device\": {\"path\": \"/dev/zero\"}, "
                          "\"access\": {\"read\": true, \"mknod\": false}}]}",
                          &rules, &err) == 0,
        "%s", err.msg);
    device_rule_text(&rules.v[rules.n - 1], text, sizeof(text));
    ck_assert_str_eq(text, "c 1:5 r");
    device_rules_done(&rules);
}
END_TEST

START_TEST(devices_that_make_no_sense)
{
#define DEVICE(d, a) "{\"allowed_devices\": [{\"device\": " d ", \"access\": " a "}]}"
    static const struct {
        const char *json, *says;
    } rows[] = {
        {"{", "--allowed_devices"},
        {DEVICE("{}", "{\"read\": true}"), "no device path"},
        {DEVICE("{\"path\": \"/dev/null\"}", "{}"), "without any access"},
        {DEVICE("{\"path\": \"/no/such\"}", "{\"read\": true}"), "'/no/such'"},
        {DEVICE("{\"path\": \"/etc/passwd\"}", "{\"read\": true}"), "determine device type"},
    };
    struct device_rules rules;
    struct fl_err err;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_int_lt(device_rules_make(rows[i].json, &rules, &err), 0);
        ck_assert_msg(strstr(err.msg, rows[i].says) != NULL, "%s", err.msg);
    }
}
END_TEST

/* ---- perf ---- */

START_TEST(names_of_events)
{
    static const size_t expected[] = {0, 12, 19, 50};
    bool on[PERF_EVENTS];
    struct fl_err err;
    size_t n = 0;

    ck_assert_int_eq(
        perf_events_parse("page-faults,CYCLES,,L1_dcache-loads,node-prefetch-misses", on, &err), 0);
    for (size_t i = 0; i < PERF_EVENTS; i++)
        if (on[i])
            ck_assert_uint_eq(i, expected[n++]);
    ck_assert_uint_eq(n, ARRAY_SIZE(expected));
    ck_assert_int_lt(perf_events_parse("cycles,nonsense", on, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "'nonsense'"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cgroup_rules");
    TCase *t = tcase_create("rules");

    tcase_add_test(t, handles_are_given_lowest_first_and_given_back);
    tcase_add_test(t, all_handles_can_be_had);
    tcase_add_test(t, handles_that_make_no_sense);
    tcase_add_test(t, program_allows_what_the_rules_do);
    tcase_add_test(t, lines_as_version_1_wants_them);
    tcase_add_test(t, more_devices_by_the_flag);
    tcase_add_test(t, devices_that_make_no_sense);
    tcase_add_test(t, names_of_events);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
