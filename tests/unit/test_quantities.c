/* Amounts by name: zero is kept, order is by name, text is checked. */
#include <check.h>

#include "common/model/quantities.h"

static struct quantities parse(const char *text)
{
    struct quantities q = QUANTITIES_INIT;
    struct fl_err err = {0};

    ck_assert_msg(quantities_parse(text, &q, &err) == 0, "%s", err.msg);
    return q;
}

START_TEST(zero_is_not_missing)
{
    _cleanup_quantities_ struct quantities q = parse("mem:0; cpus:1.5");

    ck_assert_ptr_nonnull(quantities_find(&q, "mem"));
    ck_assert_int_eq(quantities_get(&q, "mem"), 0);
    ck_assert_ptr_null(quantities_find(&q, "disk"));
    ck_assert_int_eq(quantities_get(&q, "cpus"), 1500);
    ck_assert_str_eq(q.items[0].name, "cpus");
    quantities_remove(&q, "mem");
    ck_assert_uint_eq(q.n, 1);
}
END_TEST

START_TEST(algebra)
{
    _cleanup_quantities_ struct quantities a = parse("cpus:2;mem:10"), b = parse("cpus:3;gpus:1");
    _cleanup_quantities_ struct quantities c = QUANTITIES_INIT;

    quantities_copy(&c, &a);
    quantities_add(&c, &b);
    ck_assert(quantities_contains(&c, &a));
    ck_assert(quantities_contains(&c, &b));
    ck_assert(!quantities_contains(&a, &b));
    quantities_subtract(&c, &b);
    ck_assert_int_eq(quantities_get(&c, "gpus"), 0);
    ck_assert(!quantities_equal(&c, &a));
    quantities_remove(&c, "gpus");
    ck_assert(quantities_equal(&c, &a));
    quantities_subtract(&c, &b);
    ck_assert_int_eq(quantities_get(&c, "cpus"), -1000);
}
END_TEST

static void count_one(const struct counted_item *item, void *arg)
{
    fl_buf_addf(arg, "%s:%lld:%s:%s ", item->name, (long long)item->amount,
                item->reserved_to ? item->reserved_to : "-",
                item->allocated_to ? item->allocated_to : "-");
}

START_TEST(items_are_counted)
{
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct fl_err err;

    ck_assert_int_eq(
        resources_parse("cpus:1.5;ports:[1-4,8-8];zone:{a,b};mem(eng):64", "*", &r, &err), 0);
    resources_allocate(&r, "ops");
    resources_each_counted(&r, count_one, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), "cpus:1500:-:ops ports:5000:-:ops zone:2000:-:ops "
                                        "mem:64000:eng:ops ");
}
END_TEST

START_TEST(zeros_can_be_dropped)
{
    _cleanup_quantities_ struct quantities q = parse("cpus:1;gpus:0;mem:2");

    ck_assert_int_eq(quantities_change(&q, "cpus", -1000), 0);
    ck_assert_int_eq(quantities_change(&q, "disk", -1), -1);
    quantities_drop_zeros(&q);
    ck_assert_uint_eq(q.n, 1);
    ck_assert_int_eq(quantities_get(&q, "mem"), 2000);
}
END_TEST

START_TEST(text)
{
    static const char *const bad[] = {"cpus",    "cpus:",         ":1",       "cpus:x",
                                      "cpus:-1", "cpus:1;cpus:2", "cpus:nan", "cpus:inf"};
    _cleanup_quantities_ struct quantities q = parse(" mem:1024 ;cpus:0.5;");
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    quantities_format(&q, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), "cpus:0.5; mem:1024");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct fl_err err = {0};
        ck_assert_int_lt(quantities_parse(bad[i], &q, &err), 0);
        ck_assert_int_eq(quantities_get(&q, "cpus"), 500);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("quantities");
    TCase *t = tcase_create("all");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(t, zero_is_not_missing);
    tcase_add_test(t, algebra);
    tcase_add_test(t, items_are_counted);
    tcase_add_test(t, zeros_can_be_dropped);
    tcase_add_test(t, text);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
