/* Access rules: parsing, who wins, role patterns, refusals. Literal tables. */
#include <check.h>

#include "common/model/acls.h"

/* ---- decisions ---- */

#define ANYBODY "\"principals\":{\"type\":\"ANY\"}"
#define NOBODY  "\"principals\":{\"type\":\"NONE\"}"
#define OPS     "\"principals\":{\"values\":[\"ops\",\"root\"]}"

static const struct {
    const char *acls;
    enum acl_action action;
    const char *principal, *object;
    bool allowed;
} rows[] = {
    /* nothing said */
    {"{}", ACL_RUN_TASKS, NULL, "root", true},
    {"{\"permissive\":false}", ACL_RUN_TASKS, "ops", "root", false},
    {"{\"permissive\":false}", ACL_VIEW_FLAGS, "ops", NULL, false},
    /* an action's rules do not touch another's */
    {"{\"run_tasks\":[{" NOBODY ",\"users\":{\"type\":\"ANY\"}}]}", ACL_VIEW_TASKS, "x", "root",
     true},
    /* SOME, ANY and NONE of principals */
    {"{\"run_tasks\":[{" NOBODY ",\"users\":{\"values\":[\"root\"]}}]}", ACL_RUN_TASKS, "x", "root",
     false},
    {"{\"run_tasks\":[{" NOBODY ",\"users\":{\"values\":[\"root\"]}}]}", ACL_RUN_TASKS, NULL,
     "root", false},
    {"{\"run_tasks\":[{" NOBODY ",\"users\":{\"values\":[\"root\"]}}]}", ACL_RUN_TASKS, NULL, "www",
     true},
    {"{\"permissive\":false,\"run_tasks\":[{" OPS ",\"users\":{\"type\":\"ANY\"}}]}", ACL_RUN_TASKS,
     "ops", "www", true},
    {"{\"permissive\":false,\"run_tasks\":[{" OPS ",\"users\":{\"type\":\"ANY\"}}]}", ACL_RUN_TASKS,
     "op", "www", false},
    {"{\"permissive\":false,\"run_tasks\":[{" OPS ",\"users\":{\"type\":\"ANY\"}}]}", ACL_RUN_TASKS,
     NULL, "www", false},
    {"{\"permissive\":false,\"run_tasks\":[{" ANYBODY ",\"users\":{\"type\":\"ANY\"}}]}",
     ACL_RUN_TASKS, NULL, NULL, true},
    {"{\"run_tasks\":[{" OPS ",\"users\":{\"type\":\"NONE\"}}]}", ACL_RUN_TASKS, "ops", "www",
     false},
    {"{\"run_tasks\":[{" OPS ",\"users\":{\"type\":\"NONE\"}}]}", ACL_RUN_TASKS, "x", "www", true},
    /* an object without a name matches ANY and NONE only */
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"values\":[\"www\"]}}],\"permissive\":false}",
     ACL_RUN_TASKS, "x", NULL, false},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{}}],\"permissive\":false}", ACL_RUN_TASKS, "x", "www",
     false},
    /* the first that matches */
    {"{\"run_tasks\":[{" OPS ",\"users\":{\"type\":\"ANY\"}},{" ANYBODY
     ",\"users\":{\"type\":\"NONE\"}}]}",
     ACL_RUN_TASKS, "root", "www", true},
    {"{\"run_tasks\":[{" OPS ",\"users\":{\"type\":\"ANY\"}},{" ANYBODY
     ",\"users\":{\"type\":\"NONE\"}}]}",
     ACL_RUN_TASKS, "x", "www", false},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"type\":\"NONE\"}},{" OPS
     ",\"users\":{\"type\":\"ANY\"}}]}",
     ACL_RUN_TASKS, "root", "www", false},
    /* role patterns */
    {"{\"permissive\":false,\"register_frameworks\":[{" ANYBODY
     ",\"roles\":{\"values\":[\"eng/%\"]}}]}",
     ACL_REGISTER_FRAMEWORKS, "x", "eng/web", true},
    {"{\"permissive\":false,\"register_frameworks\":[{" ANYBODY
     ",\"roles\":{\"values\":[\"eng/%\"]}}]}",
     ACL_REGISTER_FRAMEWORKS, "x", "eng/web/front", true},
    {"{\"permissive\":false,\"register_frameworks\":[{" ANYBODY
     ",\"roles\":{\"values\":[\"eng/%\"]}}]}",
     ACL_REGISTER_FRAMEWORKS, "x", "eng", false},
    {"{\"permissive\":false,\"register_frameworks\":[{" ANYBODY
     ",\"roles\":{\"values\":[\"eng/%\"]}}]}",
     ACL_REGISTER_FRAMEWORKS, "x", "english", false},
    {"{\"permissive\":false,\"register_frameworks\":[{" ANYBODY
     ",\"roles\":{\"values\":[\"eng\",\"eng/%\"]}}]}",
     ACL_REGISTER_FRAMEWORKS, "x", "eng", true},
    {"{\"register_frameworks\":[{" NOBODY ",\"roles\":{\"values\":[\"a\",\"eng/%\",\"b\"]}}]}",
     ACL_REGISTER_FRAMEWORKS, "x", "eng/web", false},
    /* only roles have patterns */
    {"{\"permissive\":false,\"run_tasks\":[{" ANYBODY ",\"users\":{\"values\":[\"eng/%\"]}}]}",
     ACL_RUN_TASKS, "x", "eng/web", false},
    {"{\"permissive\":false,\"run_tasks\":[{" ANYBODY ",\"users\":{\"values\":[\"eng/%\"]}}]}",
     ACL_RUN_TASKS, "x", "eng/%", true},
    /* those with one object only */
    {"{\"view_flags\":[{" OPS ",\"flags\":{\"type\":\"ANY\"}},{" ANYBODY
     ",\"flags\":{\"type\":\"NONE\"}}]}",
     ACL_VIEW_FLAGS, "ops", NULL, true},
    {"{\"view_flags\":[{" OPS ",\"flags\":{\"type\":\"ANY\"}},{" ANYBODY
     ",\"flags\":{\"type\":\"NONE\"}}]}",
     ACL_VIEW_FLAGS, NULL, NULL, false},
    {"{\"get_endpoints\":[{" NOBODY ",\"paths\":{\"values\":[\"/files/debug\"]}}]}",
     ACL_GET_ENDPOINTS, NULL, "/files/debug", false},
    {"{\"get_endpoints\":[{" NOBODY ",\"paths\":{\"values\":[\"/files/debug\"]}}]}",
     ACL_GET_ENDPOINTS, NULL, "/containers", true},
};

START_TEST(test_decision)
{
    _cleanup_(acls_freep) struct acls *a = NULL;
    struct fl_err err = {0};
    ck_assert_msg(acls_parse(rows[_i].acls, &a, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(acls_allow(a, rows[_i].action, rows[_i].principal, rows[_i].object),
                     rows[_i].allowed);
    _cleanup_approver_ struct acl_approver *ap =
        acl_approver_get(a, rows[_i].action, rows[_i].principal);
    ck_assert_int_eq(acl_approves(ap, rows[_i].object), rows[_i].allowed);
    int r = acls_check(a, rows[_i].action, rows[_i].principal, rows[_i].object, &err);
    ck_assert_int_eq(r == 0, rows[_i].allowed);
    if (r < 0) {
        ck_assert_int_eq(err.reason, FL_FORBIDDEN);
        ck_assert_ptr_nonnull(strstr(err.msg, acl_action_name(rows[_i].action)));
    }
}
END_TEST

START_TEST(test_no_rules)
{
    ck_assert(acls_allow(NULL, ACL_RUN_TASKS, NULL, NULL));
    ck_assert(acl_approves(acl_approver_get(NULL, ACL_RUN_TASKS, "x"), "root"));
    acls_free(NULL);
    acl_approver_free(NULL);
}
END_TEST

/* ---- what is refused, and that it says where ---- */

static const struct {
    const char *acls, *says;
} bad_rows[] = {
    {"", "not JSON"},
    {"[]", "not a JSON object"},
    {"{\"permissive\":1}", "permissive"},
    {"{\"permissive\":true,\"permissive\":false}", "not JSON"},
    {"{\"run_task\":[]}", "run_task"},
    {"{\"run_tasks\":{}}", "run_tasks"},
    {"{\"run_tasks\":[1]}", "rule 1 of 'run_tasks'"},
    {"{\"run_tasks\":[{" ANYBODY "}]}", "'users' of rule 1 of 'run_tasks' is missing"},
    {"{\"run_tasks\":[{\"users\":{}}]}", "'principals' of rule 1"},
    {"{\"run_tasks\":[{" ANYBODY ",\"roles\":{}}]}", "'roles'"},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":[]}]}", "'users' of rule 1"},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"typ\":\"ANY\"}}]}", "'users' of rule 1"},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"type\":\"any\"}}]}", "SOME, ANY or NONE"},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"type\":1}}]}", "SOME, ANY or NONE"},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{\"values\":\"x\"}}]}", "not a list"},
    {"{\"run_tasks\":[{" ANYBODY ",\"users\":{}},{" ANYBODY ",\"users\":{\"values\":[1]}}]}",
     "rule 2"},
    {"{\"view_flags\":[{" ANYBODY ",\"flags\":{\"values\":[\"acls\"]}}]}", "ANY or NONE"},
    {"{\"get_endpoints\":[{" ANYBODY ",\"paths\":{\"values\":[\"/state\"]}}]}", "/state"},
};

START_TEST(test_refused)
{
    struct acls *a = NULL;
    struct fl_err err = {0};
    ck_assert_int_lt(acls_parse(bad_rows[_i].acls, &a, &err), 0);
    ck_assert_ptr_null(a);
    ck_assert_msg(strstr(err.msg, bad_rows[_i].says) != NULL, "'%s' lacks '%s'", err.msg,
                  bad_rows[_i].says);
}
END_TEST

/* Every action can be written down, and forbidden. */
START_TEST(test_every_action)
{
    static const struct {
        const char *key, *objects;
    } keys[] = {
#define ACL_ACTION(name, key, objects, kind) {key, objects},
#include "common/model/acl_actions.def"
#undef ACL_ACTION
    };
    char text[300];
    _cleanup_(acls_freep) struct acls *a = NULL;
    struct fl_err err = {0};
    ck_assert_int_eq(fl_snprintf(text, sizeof text,
                                 "{\"%s\":[{\"principals\":{\"type\":\"ANY\"},\"%s\":{\"type\":"
                                 "\"NONE\"}}]}",
                                 keys[_i].key, keys[_i].objects),
                     0);
    ck_assert_msg(acls_parse(text, &a, &err) == 0, "%s", err.msg);
    for (int k = 0; k < ACL_N_ACTIONS; k++)
        ck_assert_int_eq(acls_allow(a, (enum acl_action)k, "x", "y"), k != _i);
    ck_assert_str_eq(acl_action_name((enum acl_action)_i), keys[_i].key);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("acls");
    TCase *t = tcase_create("acls");
    tcase_add_loop_test(t, test_decision, 0, (int)ARRAY_SIZE(rows));
    tcase_add_test(t, test_no_rules);
    tcase_add_loop_test(t, test_refused, 0, (int)ARRAY_SIZE(bad_rows));
    tcase_add_loop_test(t, test_every_action, 0, ACL_N_ACTIONS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
