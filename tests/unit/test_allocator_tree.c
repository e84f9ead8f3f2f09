/* The order of a tree of roles: steps of master/allocator/role_tree.c, and the random order of drf_sorter.c (steps 6 to 8). */
#include <check.h>

#include "master/allocator/role_tree.h"

enum { CPU, MEM };

static struct drf_totals totals;
static struct role_tree tree;
static uint64_t random_state;

static struct drf_vec vec(milli_t cpus, milli_t mem)
{
    struct drf_vec v = DRF_VEC_INIT;

    drf_vec_add_at(&v, CPU, cpus * MILLI_ONE);
    drf_vec_add_at(&v, MEM, mem * MILLI_ONE);
    return v;
}

static void init_totals(void)
{
    _cleanup_vec_ struct drf_vec total = vec(100, 100);

    drf_totals_init(&totals);
    ck_assert_uint_eq(drf_scalar_id(&totals, "cpus"), CPU);
    ck_assert_uint_eq(drf_scalar_id(&totals, "mem"), MEM);
    drf_totals_add(&totals, &total);
}

static void setup(void)
{
    init_totals();
    role_tree_init(&tree, &totals, NULL, NULL);
}

static void setup_random(void)
{
    init_totals();
    random_state = 7;
    role_tree_init(&tree, &totals, &random_state, NULL);
}

/* A role with one active framework of its own. */
struct one {
    struct alloc_role *role;
    struct drf_client framework;
};
static struct one ones[16];
static size_t n_ones;

static struct alloc_role *role(const char *name)
{
    struct one *o = &ones[n_ones++];

    o->role = role_tree_get(&tree, name);
    o->role->n_clients++;
    drf_client_init(&o->framework, "f", 1.0);
    drf_sorter_activate(&o->role->frameworks, &o->framework);
    role_tree_refresh(&tree, o->role);
    return o->role;
}

static void set_active(const char *name, bool active)
{
    for (size_t i = 0; i < n_ones; i++) {
        if (!streq(ones[i].role->name, name))
            continue;
        if (active)
            drf_sorter_activate(&ones[i].role->frameworks, &ones[i].framework);
        else
            drf_sorter_deactivate(&ones[i].role->frameworks, &ones[i].framework);
        role_tree_refresh(&tree, ones[i].role);
    }
}

static void leave(size_t i)
{
    struct alloc_role *r = ones[i].role;

    drf_sorter_deactivate(&r->frameworks, &ones[i].framework);
    role_tree_refresh(&tree, r);
    r->n_clients--;
    role_tree_release(&tree, r);
}

static void teardown(void)
{
    for (size_t i = 0; i < n_ones; i++)
        drf_sorter_deactivate(&ones[i].role->frameworks, &ones[i].framework);
    n_ones = 0;
    role_tree_done(&tree);
    drf_totals_done(&totals);
}

static void hold(struct alloc_role *r, milli_t cpus, milli_t mem)
{
    _cleanup_vec_ struct drf_vec v = vec(cpus, mem);

    role_tree_allocated(&tree, r, &v);
}

static void give_back(struct alloc_role *r, milli_t cpus, milli_t mem)
{
    _cleanup_vec_ struct drf_vec v = vec(cpus, mem);

    role_tree_unallocated(&tree, r, &v);
}

static const char *order(void)
{
    static char text[256];
    struct role_walk w;
    struct alloc_role *r;

    text[0] = 0;
    role_walk_begin(&w, &tree);
    while ((r = role_walk_next(&w))) {
        size_t n = strlen(text);

        fl_snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "", r->name);
    }
    role_walk_end(&w);
    return text;
}

START_TEST(depth_first_by_the_share_of_all_below)
{
    struct alloc_role *a = role("eng/a"), *b = role("eng/b"), *ops = role("ops");

    ck_assert_str_eq(order(), "eng/a eng/b ops");
    hold(a, 10, 0);
    ck_assert_str_eq(order(), "ops eng/b eng/a"); /* eng has 0.1 */
    hold(b, 20, 0);
    hold(ops, 25, 0); /* eng has 0.3 */
    ck_assert_str_eq(order(), "ops eng/a eng/b");
    give_back(b, 20, 0);
    ck_assert_str_eq(order(), "eng/b eng/a ops");
    ck_assert_int_eq(drf_vec_at(&a->top->turn.allocated, CPU), 10 * MILLI_ONE); /* step 1 */
}
END_TEST

/* step 2 */
START_TEST(weights_are_of_paths)
{
    struct alloc_role *a = role("eng/a"), *b = role("eng/b"), *ops = role("ops");

    hold(a, 20, 0);
    hold(b, 10, 0);
    hold(ops, 20, 0);
    ck_assert_str_eq(order(), "ops eng/b eng/a");
    role_tree_set_weight(&tree, a->parent, 2); /* eng: 0.3 / 2 */
    ck_assert_str_eq(order(), "eng/b eng/a ops");
    role_tree_set_weight(&tree, a, 4);
    ck_assert_str_eq(order(), "eng/a eng/b ops");
    role_tree_set_weight(&tree, a->parent, 1);
    ck_assert_str_eq(order(), "ops eng/a eng/b");
    role_tree_set_weight(&tree, a, 1);
}
END_TEST

/* step 3 */
START_TEST(a_leaf_for_the_role_itself)
{
    struct alloc_role *eng = role("eng"), *a;

    hold(eng, 10, 0);
    ck_assert_str_eq(order(), "eng");
    a = role("eng/a");
    ck_assert_str_eq(order(), "eng/a eng"); /* what eng held is the leaf's now */
    hold(a, 20, 0);
    ck_assert_str_eq(order(), "eng eng/a");
    role_tree_set_weight(&tree, eng, 9); /* of eng among the others, not of its leaf */
    ck_assert_str_eq(order(), "eng eng/a");
    hold(eng, 11, 0);
    ck_assert_str_eq(order(), "eng/a eng");
    role_tree_set_weight(&tree, eng, 1);
    give_back(a, 20, 0);
    leave(1);
    ck_assert_str_eq(order(), "eng");
    ck_assert_int_eq(drf_vec_at(&eng->turn.allocated, CPU), 21 * MILLI_ONE);
    n_ones--;
}
END_TEST

/* Equal shares: fewer allocations, then the path; "eng/." comes before "eng/a". */
START_TEST(ties)
{
    struct alloc_role *a = role("eng/a"), *eng = role("eng");

    role("eng/b");
    ck_assert_str_eq(order(), "eng eng/a eng/b");
    hold(a, 1, 0);
    give_back(a, 1, 0);
    ck_assert_str_eq(order(), "eng eng/b eng/a");
    hold(eng, 1, 0);
    give_back(eng, 1, 0);
    ck_assert_str_eq(order(), "eng/b eng eng/a");
}
END_TEST

/* step 4 */
START_TEST(inactive_roles_count_and_have_no_turn)
{
    struct alloc_role *a = role("eng/a"), *ops = role("ops");

    role("eng/b");
    hold(a, 30, 0);
    hold(ops, 20, 0);
    set_active("eng/a", false);
    ck_assert_str_eq(order(), "ops eng/b");
    set_active("eng/b", false);
    ck_assert_str_eq(order(), "ops");
    ck_assert(!drf_client_is_active(&a->top->turn));
    set_active("ops", false);
    ck_assert(!role_tree_active(&tree));
    set_active("eng/a", true);
    set_active("ops", true);
    give_back(a, 30, 0);
    ck_assert_str_eq(order(), "eng/a ops");
}
END_TEST

START_TEST(roles_go_when_nothing_needs_them)
{
    role("a/b/c");
    ck_assert_ptr_nonnull(role_tree_find(&tree, "a/b"));
    ck_assert_ptr_eq(role_tree_find(&tree, "a/b/c")->top, role_tree_find(&tree, "a"));
    role_tree_set_weight(&tree, role_tree_find(&tree, "a"), 2);
    leave(0);
    ck_assert_ptr_null(role_tree_find(&tree, "a/b"));
    ck_assert_ptr_nonnull(role_tree_find(&tree, "a")); /* has a weight */
    n_ones = 0;
}
END_TEST

/* step 5: a walk that stops early goes nowhere else, and can be begun again. */
START_TEST(a_walk_may_stop_anywhere)
{
    struct role_walk w;

    role("x/y/z");
    role("b");
    role_walk_begin(&w, &tree);
    ck_assert_str_eq(role_walk_next(&w)->name, "b");
    ck_assert(!tree.roles->children.walking);
    ck_assert_str_eq(role_walk_next(&w)->name, "x/y/z");
    role_walk_end(&w);
    ck_assert_str_eq(order(), "b x/y/z");
}
END_TEST

/* Each turn goes to the first in order: shares of the turns are the weights. */
static void take_turns(size_t *turns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct role_walk w;
        struct alloc_role *r;

        role_walk_begin(&w, &tree);
        r = role_walk_next(&w);
        role_walk_end(&w);
        hold(r, 1, 0);
        for (size_t k = 0; k < n_ones; k++)
            turns[k] += ones[k].role == r;
    }
}

/* step 6 */
START_TEST(random_by_weight)
{
    size_t turns[3] = {0};

    role("a");
    role_tree_set_weight(&tree, role("b"), 3);
    role("c");
    take_turns(turns, 20000); /* 4000, 12000, 4000; five deviations are under 360 */
    ck_assert_int_lt(labs((long)turns[0] - 4000), 360);
    ck_assert_int_lt(labs((long)turns[1] - 12000), 360);
    role_tree_set_weight(&tree, ones[1].role, 1);
}
END_TEST

/* step 6, of a tree: eng has one half, and each of its two a half of that. */
START_TEST(random_tree)
{
    size_t turns[3] = {0};

    role("eng/a");
    role("eng/b");
    role("ops");
    take_turns(turns, 20000);
    ck_assert_int_lt(labs((long)turns[0] - 5000), 360);
    ck_assert_int_lt(labs((long)turns[2] - 10000), 360);
}
END_TEST

/* step 7: independent turns. After each role's turn the other's chance is one half. */
START_TEST(random_turns_are_independent)
{
    size_t turns[2] = {0}, again = 0;

    role("a");
    role("b");
    for (int i = 0; i < 10000; i++) {
        size_t was = turns[0], now[2] = {0};

        take_turns(now, 1);
        turns[0] = now[0];
        again += i > 0 && was == turns[0];
    }
    ck_assert_int_lt(labs((long)again - 5000), 260);
}
END_TEST

/* step 7: being away gives no turns to make up for. */
START_TEST(random_nobody_catches_up)
{
    size_t turns[2] = {0};

    role("a");
    role("b");
    set_active("b", false);
    take_turns(turns, 5000);
    ck_assert_uint_eq(turns[0], 5000);
    set_active("b", true);
    turns[0] = 0;
    take_turns(turns, 10000);
    ck_assert_int_lt(labs((long)turns[1] - 5000), 260);
}
END_TEST

/* step 8 */
START_TEST(random_repeats_with_its_seed)
{
    char first[512] = "", second[512] = "";

    for (int round = 0; round < 2; round++) {
        char *text = round ? second : first;

        role("a");
        role("b");
        role("c");
        for (int i = 0; i < 20; i++) {
            size_t turns[3] = {0}, n = strlen(text);

            fl_snprintf(text + n, 512 - n, "%s;", order());
            take_turns(turns, 1);
        }
        teardown();
        setup_random();
    }
    ck_assert_str_eq(first, second);
    ck_assert_ptr_nonnull(strstr(first, "c b a"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("allocator_tree");
    TCase *t = tcase_create("tree"), *u = tcase_create("random");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, depth_first_by_the_share_of_all_below);
    tcase_add_test(t, weights_are_of_paths);
    tcase_add_test(t, a_leaf_for_the_role_itself);
    tcase_add_test(t, ties);
    tcase_add_test(t, inactive_roles_count_and_have_no_turn);
    tcase_add_test(t, roles_go_when_nothing_needs_them);
    tcase_add_test(t, a_walk_may_stop_anywhere);
    tcase_add_checked_fixture(u, setup_random, teardown);
    tcase_add_test(u, random_by_weight);
    tcase_add_test(u, random_tree);
    tcase_add_test(u, random_turns_are_independent);
    tcase_add_test(u, random_nobody_catches_up);
    tcase_add_test(u, random_repeats_with_its_seed);
    suite_add_tcase(s, t);
    suite_add_tcase(s, u);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
