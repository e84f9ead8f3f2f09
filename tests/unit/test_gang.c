/* The label that asks for gang offers: what it means, and what is refused with which words. */
#include <check.h>

#include "common/model/gang.h"
#include "master/allocator/allocator_gang.h"

static void to_vec(struct drf_totals *t, const struct quantities *q, struct drf_vec *v)
{
    for (size_t i = 0; i < q->n; i++)
        drf_vec_add_at(v, drf_scalar_id(t, q->items[i].name), q->items[i].amount);
}

/* As the allocator counts them. */
static uint64_t units(const struct gang *g, const struct quantities *have)
{
    struct alloc_gang ag = {.unit = DRF_VEC_INIT};
    _cleanup_vec_ struct drf_vec v = DRF_VEC_INIT;
    struct drf_totals t;
    uint64_t n;

    drf_totals_init(&t);
    to_vec(&t, &g->unit, &ag.unit);
    to_vec(&t, have, &v);
    n = gang_units_in(&ag, &v);
    drf_vec_done(&ag.unit);
    drf_totals_done(&t);
    return n;
}

START_TEST(count_of_units)
{
    _cleanup_gang_ struct gang g = {.count = 0};
    struct fl_err err = {0};
    _cleanup_quantities_ struct quantities have = QUANTITIES_INIT;

    ck_assert_int_eq(
        gang_parse("count=100  unit=cpus:8;gpus:8 same=zone hold=5secs role=eng/ml", &g, &err), 0);
    ck_assert_int_eq(quantities_get(&g.total, "gpus"), 800000);
    ck_assert_int_eq((int)g.same, GANG_SAME_ZONE);
    ck_assert_uint_eq(g.hold_us, 5000000);
    ck_assert_str_eq(g.role, "eng/ml");
    ck_assert_int_eq(quantities_parse("cpus:17;gpus:24", &have, &err), 0);
    ck_assert_uint_eq(units(&g, &have), 2);
    quantities_remove(&have, "gpus");
    ck_assert_uint_eq(units(&g, &have), 0);
}
END_TEST

START_TEST(a_total)
{
    _cleanup_gang_ struct gang g = {.count = 0};
    struct fl_err err = {0};

    ck_assert_int_eq(gang_parse("total=cpus:20 same=attribute:rack", &g, &err), 0);
    ck_assert_int_eq(quantities_get(&g.total, "cpus"), 20000);
    ck_assert_str_eq(g.attribute, "rack");
    ck_assert_uint_eq(g.hold_us, GANG_DEFAULT_HOLD_US);
    ck_assert_ptr_null(g.role);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "either 'total=' or 'count='"},
        {"total=cpus:1 count=2 unit=cpus:1", "either 'total=' or 'count='"},
        {"count=2", "needs 'unit='"},
        {"count=0 unit=cpus:1", "no number from 1"},
        {"count=-1 unit=cpus:1", "no number from 1"},
        {"count=1000000 unit=cpus:900000000000", "in no cluster"},
        {"total=cpus:0", "asks for nothing"},
        {"total=", "1 to 16 amounts"},
        {"total=cpus:x", "NAME:AMOUNT"},
        {"total=cpus:1 total=cpus:2", "twice"},
        {"total=cpus:1 same=planet", "none of region"},
        {"total=cpus:1 same=attribute:", "none of region"},
        {"total=cpus:1 hold=1hrs", "over 10mins"},
        {"total=cpus:1 hold=soon", "hold"},
        {"total=cpus:1 role=a//b", "role"},
        {"total=cpus:1 color=red", "none of total="},
        {"nonsense", "none of total="},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_gang_ struct gang g = {.count = 0};
        struct fl_err err = {0};

        ck_assert_msg(gang_parse(rows[i].text, &g, &err) < 0, "'%s' passed", rows[i].text);
        ck_assert_msg(strstr(err.msg, rows[i].part) != NULL, "'%s': %s", rows[i].text, err.msg);
        ck_assert_ptr_nonnull(strstr(err.msg, GANG_LABEL));
    }
}
END_TEST

struct labelled {
    V1__FrameworkInfo info;
    V1__Labels labels;
    V1__Label label[2], *list[2];
};

static V1__FrameworkInfo *labelled(struct labelled *l, const char *first, const char *second)
{
    v1__framework_info__init(&l->info);
    v1__labels__init(&l->labels);
    for (size_t i = 0; i < 2; i++) {
        v1__label__init(&l->label[i]);
        l->label[i].key = (char *)GANG_LABEL;
        l->list[i] = &l->label[i];
    }
    l->label[0].value = (char *)first;
    l->label[1].value = (char *)second;
    l->labels.labels = l->list;
    l->labels.n_labels = second ? 2 : 1;
    l->info.labels = &l->labels;
    return &l->info;
}

START_TEST(of_a_framework)
{
    static const char *const roles[] = {"a", "b"};
    _cleanup_gang_ struct gang g = {.count = 0};
    struct labelled l;
    struct fl_err err = {0};
    V1__FrameworkInfo *info = labelled(&l, "total=cpus:1 role=a", "total=cpus:2 role=b");

    ck_assert_int_eq(gang_validate_framework(info, roles, 2, &err), 0);
    ck_assert_int_eq(gang_of_framework(info, "b", &g, &err), 1);
    ck_assert_int_eq(quantities_get(&g.total, "cpus"), 2000);
    ck_assert_int_eq(gang_of_framework(info, "c", &g, &err), 0);

    info = labelled(&l, "total=cpus:1", "total=cpus:2 role=b");
    ck_assert_int_lt(gang_validate_framework(info, roles, 2, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "more than one"));
    info = labelled(&l, "total=cpus:1 role=c", NULL);
    ck_assert_int_lt(gang_validate_framework(info, roles, 2, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "does not have"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gang");
    TCase *t = tcase_create("all");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(t, count_of_units);
    tcase_add_test(t, a_total);
    tcase_add_test(t, refused);
    tcase_add_test(t, of_a_framework);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
