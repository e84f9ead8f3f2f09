/* Allocators from shared objects: loading, refusing, and one that works on this program's own functions. */
#include <check.h>
#include <libgen.h>

#include "common/model/intern.h"
#include "tests/unit/allocator_harness.h"

static char *module_path(const char *name)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    ck_assert_int_gt(n, 0);
    self[n] = 0;
    return xasprintf("%s/../modules/%s.so", dirname(self), name);
}

START_TEST(loads_and_allocates)
{
    _cleanup_free_ char *path = module_path("allocator_first_fit");
    const struct allocator_ops *ops = NULL;
    struct allocator_options o = h_options();
    struct harness h;
    struct fl_err err;

    ck_assert_msg(allocator_load(path, "FirstFit", &ops, &err) == 0, "%s", err.msg);
    ck_assert_str_eq(ops->name, "FirstFit");
    h_init_with(&h, ops, &o);
    h_add_framework(&h, "f1", "eng");
    h_add_framework(&h, "f2", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024;cpus(eng):2");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->framework, "f1");
    /* Roles are compared by pointer: the module's are this program's. */
    ck_assert_ptr_eq(resources_allocation_role(&h_last(&h)->res), intern("eng"));
    h_decline(&h, h_last(&h), 5);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->framework, "f2");
    h_done(&h);
}
END_TEST

START_TEST(refuses_another_version)
{
    _cleanup_free_ char *path = module_path("allocator_old_abi");
    const struct allocator_ops *ops = NULL;
    struct fl_err err;
    char theirs[32], ours[32];

    fl_snprintf(theirs, sizeof(theirs), "version %d", ALLOCATOR_ABI + 7);
    fl_snprintf(ours, sizeof(ours), "version %d", ALLOCATOR_ABI);
    ck_assert_int_lt(allocator_load(path, NULL, &ops, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.msg, theirs));
    ck_assert_ptr_nonnull(strstr(err.msg, ours));
    ck_assert_ptr_null(ops);
}
END_TEST

START_TEST(refuses_what_is_none)
{
    _cleanup_free_ char *path = module_path("allocator_first_fit");
    const struct allocator_ops *ops = NULL;
    struct fl_err err;

    ck_assert_int_lt(allocator_load("/nowhere/x.so", NULL, &ops, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "/nowhere/x.so"));
    ck_assert_int_lt(allocator_load("libm.so.6", NULL, &ops, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "no allocator module"));
    ck_assert_int_lt(allocator_load(path, "SecondFit", &ops, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
    ck_assert_ptr_null(ops);
}
END_TEST

START_TEST(builtins_by_name)
{
    ck_assert_ptr_nonnull(allocator_builtin("HierarchicalDRF"));
    ck_assert_ptr_null(allocator_builtin("FirstFit"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("allocator_load");
    TCase *t = tcase_create("modules");
    SRunner *r;
    int failed;

    tcase_add_test(t, loads_and_allocates);
    tcase_add_test(t, refuses_another_version);
    tcase_add_test(t, refuses_what_is_none);
    tcase_add_test(t, builtins_by_name);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
