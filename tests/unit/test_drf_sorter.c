/* The order of DRF: steps of master/allocator/drf_sorter.c. */
#include <check.h>

#include "master/allocator/drf_sorter.h"

enum { CPU, MEM };

struct fixture {
    struct drf_totals totals;
    struct drf_sorter sorter;
    struct drf_client c[8];
};

static struct drf_vec vec(milli_t cpus, milli_t mem)
{
    struct drf_vec v = DRF_VEC_INIT;

    drf_vec_add_at(&v, CPU, cpus * MILLI_ONE);
    drf_vec_add_at(&v, MEM, mem * MILLI_ONE);
    return v;
}

static void setup(struct fixture *f, milli_t cpus, milli_t mem, size_t n)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    _cleanup_vec_ struct drf_vec total = vec(cpus, mem);

    drf_totals_init(&f->totals);
    ck_assert_uint_eq(drf_scalar_id(&f->totals, "cpus"), CPU);
    ck_assert_uint_eq(drf_scalar_id(&f->totals, "mem"), MEM);
    drf_totals_add(&f->totals, &total);
    drf_sorter_init(&f->sorter, &f->totals);
    for (size_t i = 0; i < n; i++) {
        drf_client_init(&f->c[i], names[i], 1.0);
        drf_sorter_activate(&f->sorter, &f->c[i]);
    }
    for (size_t i = n; i < ARRAY_SIZE(f->c); i++)
        drf_client_init(&f->c[i], names[i], 1.0);
}

static void teardown(struct fixture *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(f->c); i++) {
        drf_sorter_deactivate(&f->sorter, &f->c[i]);
        drf_client_done(&f->c[i]);
    }
    drf_sorter_done(&f->sorter);
    drf_totals_done(&f->totals);
}

static void give(struct fixture *f, size_t i, milli_t cpus, milli_t mem)
{
    _cleanup_vec_ struct drf_vec v = vec(cpus, mem);

    drf_sorter_allocated(&f->sorter, &f->c[i], &v);
}

static void take(struct fixture *f, size_t i, milli_t cpus, milli_t mem)
{
    _cleanup_vec_ struct drf_vec v = vec(cpus, mem);

    drf_sorter_unallocated(&f->sorter, &f->c[i], &v);
}

static const char *order(struct fixture *f)
{
    static char text[16];
    struct drf_client *c;
    size_t n = 0;

    drf_sorter_walk_begin(&f->sorter);
    while ((c = drf_sorter_walk_next(&f->sorter)))
        text[n++] = c->name[0];
    drf_sorter_walk_end(&f->sorter);
    text[n] = 0;
    return text;
}

START_TEST(dominant_share)
{
    struct fixture f;
    _cleanup_vec_ struct drf_vec v = vec(3, 1);

    setup(&f, 9, 18, 1);
    ck_assert_double_eq(drf_share(&f.totals, &v, 1.0), 3.0 / 9.0);
    ck_assert_double_eq(drf_share(&f.totals, &v, 2.0), 3.0 / 9.0 / 2.0);
    drf_totals_exclude(&f.totals, "cpus");
    ck_assert_double_eq(drf_share(&f.totals, &v, 1.0), 1.0 / 18.0);
    teardown(&f);
}
END_TEST

START_TEST(lower_share_first)
{
    struct fixture f;

    setup(&f, 100, 100, 4);
    ck_assert_str_eq(order(&f), "abcd");
    give(&f, 0, 10, 40); /* 0.4 */
    give(&f, 1, 30, 10); /* 0.3 */
    give(&f, 2, 0, 50);  /* 0.5 */
    ck_assert_str_eq(order(&f), "dbac");
    take(&f, 2, 0, 45);
    give(&f, 3, 90, 0);
    ck_assert_str_eq(order(&f), "cbad");
    teardown(&f);
}
END_TEST

START_TEST(ties_by_count_then_name)
{
    struct fixture f;

    setup(&f, 100, 100, 3);
    for (unsigned i = 0; i < 2; i++) {
        give(&f, 0, 10, 0);
        take(&f, 0, 10, 0);
    }
    give(&f, 1, 10, 0);
    take(&f, 1, 10, 0);
    ck_assert_str_eq(order(&f), "cba"); /* all hold nothing: counts 0, 1, 2 */
    give(&f, 2, 0, 10);
    take(&f, 2, 0, 10);
    ck_assert_str_eq(order(&f), "bca"); /* counts 1, 1, 2 */
    teardown(&f);
}
END_TEST

/* Fractions that are equal must be equal shares, whatever the names: 3/9 of cpus and 6/18 of mem. */
START_TEST(equal_fractions_tie)
{
    struct fixture f;

    setup(&f, 9, 18, 2);
    give(&f, 1, 3, 0);
    give(&f, 0, 0, 6);
    ck_assert_str_eq(order(&f), "ab");
    teardown(&f);
}
END_TEST

START_TEST(weights)
{
    struct fixture f;

    setup(&f, 100, 100, 2);
    drf_sorter_set_weight(&f.sorter, &f.c[0], 3.0);
    give(&f, 0, 20, 0);
    give(&f, 1, 10, 0);
    ck_assert_str_eq(order(&f), "ab");
    drf_sorter_set_weight(&f.sorter, &f.c[0], 1.0);
    ck_assert_str_eq(order(&f), "ba");
    teardown(&f);
}
END_TEST

START_TEST(inactive_keep_their_share)
{
    struct fixture f;

    setup(&f, 100, 100, 3);
    give(&f, 0, 20, 0);
    drf_sorter_deactivate(&f.sorter, &f.c[0]);
    ck_assert_str_eq(order(&f), "bc");
    give(&f, 0, 20, 0);
    give(&f, 1, 10, 0);
    give(&f, 2, 50, 0);
    drf_sorter_activate(&f.sorter, &f.c[0]);
    ck_assert_str_eq(order(&f), "bac");
    teardown(&f);
}
END_TEST

START_TEST(totals_change_all_shares)
{
    struct fixture f;
    _cleanup_vec_ struct drf_vec more = vec(0, 900);

    setup(&f, 100, 100, 2);
    give(&f, 0, 10, 0); /* 0.1 */
    give(&f, 1, 0, 20); /* 0.2, then 0.02 */
    ck_assert_str_eq(order(&f), "ab");
    drf_totals_add(&f.totals, &more);
    ck_assert_str_eq(order(&f), "ba");
    drf_totals_sub(&f.totals, &more);
    ck_assert_str_eq(order(&f), "ab");
    teardown(&f);
}
END_TEST

START_TEST(order_holds_still_during_a_walk)
{
    struct fixture f;

    setup(&f, 100, 100, 3);
    drf_sorter_walk_begin(&f.sorter);
    ck_assert_ptr_eq(drf_sorter_walk_next(&f.sorter), &f.c[0]);
    give(&f, 1, 90, 0);
    ck_assert_ptr_eq(drf_sorter_walk_next(&f.sorter), &f.c[1]);
    ck_assert_ptr_eq(drf_sorter_walk_next(&f.sorter), &f.c[2]);
    ck_assert_ptr_null(drf_sorter_walk_next(&f.sorter));
    drf_sorter_walk_end(&f.sorter);
    ck_assert_str_eq(order(&f), "acb");
    teardown(&f);
}
END_TEST

/* The heap against a plain sort, over thousands of random changes. */
START_TEST(agrees_with_sorting)
{
    enum { N = 60 };
    static struct drf_client c[N];
    static char names[N][8];
    struct drf_totals totals;
    struct drf_sorter s;
    _cleanup_vec_ struct drf_vec total = vec(1000, 1000);
    uint64_t x = 42;

    drf_totals_init(&totals);
    drf_scalar_id(&totals, "cpus");
    drf_scalar_id(&totals, "mem");
    drf_totals_add(&totals, &total);
    drf_sorter_init(&s, &totals);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(fl_snprintf(names[i], sizeof(names[i]), "n%02d", i), 0);
        drf_client_init(&c[i], names[i], 1.0 + i % 3);
        drf_sorter_activate(&s, &c[i]);
    }
    for (int step = 0; step < 3000; step++) {
        struct drf_client *prev = NULL, *cur;
        size_t seen = 0;

        x = x * 6364136223846793005u + 1442695040888963407u;
        struct drf_client *who = &c[(x >> 33) % N];
        _cleanup_vec_ struct drf_vec v = vec((milli_t)((x >> 20) % 9), (milli_t)((x >> 25) % 7));
        switch ((x >> 40) % 4) {
        case 0:
            drf_sorter_deactivate(&s, who);
            break;
        case 1:
            drf_sorter_activate(&s, who);
            break;
        default:
            drf_sorter_allocated(&s, who, &v);
        }
        drf_sorter_walk_begin(&s);
        while ((cur = drf_sorter_walk_next(&s))) {
            double a = prev ? drf_share(&totals, &prev->allocated, prev->weight) : -1;
            double b = drf_share(&totals, &cur->allocated, cur->weight);

            ck_assert(a < b || (a == b && (prev->allocations < cur->allocations ||
                                           (prev->allocations == cur->allocations &&
                                            strcmp(prev->name, cur->name) < 0))));
            prev = cur;
            seen++;
        }
        drf_sorter_walk_end(&s);
        ck_assert_uint_eq(seen, drf_sorter_active(&s));
        if (seen)
            ck_assert_ptr_nonnull(drf_sorter_first(&s));
    }
    for (int i = 0; i < N; i++) {
        drf_sorter_deactivate(&s, &c[i]);
        drf_client_done(&c[i]);
    }
    drf_sorter_done(&s);
    drf_totals_done(&totals);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("drf_sorter");
    TCase *t = tcase_create("order");
    SRunner *r;
    int failed;

    tcase_add_test(t, dominant_share);
    tcase_add_test(t, lower_share_first);
    tcase_add_test(t, ties_by_count_then_name);
    tcase_add_test(t, equal_fractions_tie);
    tcase_add_test(t, weights);
    tcase_add_test(t, inactive_keep_their_share);
    tcase_add_test(t, totals_change_all_shares);
    tcase_add_test(t, order_holds_still_during_a_walk);
    tcase_add_test(t, agrees_with_sorting);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
