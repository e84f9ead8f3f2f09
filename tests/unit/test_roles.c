/* Role names, subroles, roles of frameworks; task states and reasons. Literal tables. */
#include <check.h>

#include "common/model/intern.h"
#include "common/model/roles.h"
#include "common/model/task_state.h"

static const struct {
    const char *role;
    bool valid;
} role_rows[] = {
    {"*", true},     {"web", true},    {"a/b/c", true}, {"a-b", true},   {"a.b", true},
    {"...", true},   {"a*", true},     {"", false},     {"/a", false},   {"a/", false},
    {"a//b", false}, {".", false},     {"..", false},   {"a/..", false}, {"a/./b", false},
    {"a/*", false},  {"*/a", false},   {"-a", false},   {"a/-b", false}, {"a b", false},
    {"a\tb", false}, {"a\x7f", false}, {"a\nb", false}, {"/", false},
};

START_TEST(test_role)
{
    struct fl_err err = {0};
    int rc = role_validate(role_rows[_i].role, &err);
    ck_assert_msg((rc == 0) == role_rows[_i].valid, "'%s': %d %s", role_rows[_i].role, rc, err.msg);
    if (rc < 0)
        ck_assert(err.reason == FL_INVALID && err.msg[0]);
}
END_TEST

START_TEST(test_role_length)
{
    char role[ROLE_MAX + 2];

    memset(role, 'a', sizeof(role));
    role[ROLE_MAX] = '\0';
    ck_assert_int_eq(role_validate(role, NULL), 0);
    role[ROLE_MAX] = 'a';
    role[ROLE_MAX + 1] = '\0';
    ck_assert_int_lt(role_validate(role, NULL), 0);
}
END_TEST

START_TEST(test_subrole)
{
    ck_assert(role_is_strict_subrole("a/b", "a"));
    ck_assert(role_is_strict_subrole("a/b/c", "a"));
    ck_assert(role_is_strict_subrole("a/b/c", "a/b"));
    ck_assert(!role_is_strict_subrole("a", "a"));
    ck_assert(!role_is_strict_subrole("ab", "a"));
    ck_assert(!role_is_strict_subrole("a", "a/b"));
    ck_assert(!role_is_strict_subrole("b/a", "a"));
}
END_TEST

START_TEST(test_framework_roles)
{
    V1__FrameworkInfo info = V1__FRAMEWORK_INFO__INIT;
    V1__FrameworkInfo__Capability multi = V1__FRAMEWORK_INFO__CAPABILITY__INIT;
    V1__FrameworkInfo__Capability *list[] = {&multi};
    char *names[] = {"a", "b"};
    const char **roles;

    ck_assert_uint_eq(framework_roles(&info, &roles), 1);
    ck_assert_str_eq(roles[0], "*");
    free(roles);

    info.role = "web";
    ck_assert_uint_eq(framework_roles(&info, &roles), 1);
    ck_assert_str_eq(roles[0], "web");
    free(roles);

    multi.has_type = true;
    multi.type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE;
    info.n_capabilities = 1;
    info.capabilities = list;
    ck_assert(framework_has_capability(&info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE));
    ck_assert(
        !framework_has_capability(&info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES));
    ck_assert_uint_eq(framework_roles(&info, &roles), 0);
    free(roles);

    info.n_roles = 2;
    info.roles = names;
    ck_assert_uint_eq(framework_roles(&info, &roles), 2);
    ck_assert_str_eq(roles[1], "b");
    free(roles);
}
END_TEST

START_TEST(test_intern)
{
    char text[] = "interned";
    ck_assert_ptr_eq(intern(text), intern("interned"));
    ck_assert_ptr_ne(intern(text), text);
    ck_assert_ptr_eq(intern_n("interned-long", 8), intern("interned"));
    ck_assert_ptr_null(intern(NULL));
    for (int i = 0; i < 2000; i++) { /* past several growths of the table */
        fl_snprintf(text, sizeof(text), "x%d", i);
        const char *p = intern(text);
        ck_assert_str_eq(p, text);
        ck_assert_ptr_eq(intern(text), p);
    }
}
END_TEST

static const struct {
    V1__TaskState state;
    const char *name, *metric;
    bool terminal, released;
    V1__TaskState legacy;
} state_rows[] = {
#define S(x) V1__TASK_STATE__TASK_##x
    {S(STAGING), "TASK_STAGING", "staging", false, false, S(STAGING)},
    {S(RUNNING), "TASK_RUNNING", "running", false, false, S(RUNNING)},
    {S(KILLING), "TASK_KILLING", "killing", false, false, S(KILLING)},
    {S(FINISHED), "TASK_FINISHED", "finished", true, true, S(FINISHED)},
    {S(ERROR), "TASK_ERROR", "error", true, true, S(ERROR)},
    {S(LOST), "TASK_LOST", "lost", true, true, S(LOST)},
    {S(DROPPED), "TASK_DROPPED", "dropped", true, true, S(LOST)},
    {S(UNREACHABLE), "TASK_UNREACHABLE", "unreachable", false, true, S(LOST)},
    {S(GONE), "TASK_GONE", "gone", true, true, S(LOST)},
    {S(GONE_BY_OPERATOR), "TASK_GONE_BY_OPERATOR", "gone_by_operator", true, true, S(LOST)},
    {S(UNKNOWN), "TASK_UNKNOWN", "unknown", false, false, S(LOST)},
};

START_TEST(test_task_state)
{
    V1__TaskState s = state_rows[_i].state;
    ck_assert_str_eq(task_state_name(s), state_rows[_i].name);
    ck_assert_str_eq(task_state_metric(s), state_rows[_i].metric);
    ck_assert_int_eq(task_state_is_terminal(s), state_rows[_i].terminal);
    ck_assert_int_eq(task_state_is_released(s), state_rows[_i].released);
    ck_assert_int_eq(task_state_for_framework(s, true), s);
    ck_assert_int_eq(task_state_for_framework(s, false), state_rows[_i].legacy);
}
END_TEST

/* The tables against the protocol's own lists. */
START_TEST(test_tables_complete)
{
    ck_assert_uint_eq(task_state_count(), v1__task_state__descriptor.n_values);
    for (size_t i = 0; i < task_state_count(); i++) {
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
            &v1__task_state__descriptor, (int)task_state_at(i));
        ck_assert_str_eq(v->name, task_state_name(task_state_at(i)));
    }
    const ProtobufCEnumDescriptor *d = &v1__task_status__reason__descriptor;
    for (unsigned i = 0; i < d->n_values; i++)
        ck_assert_str_eq(d->values[i].name,
                         task_reason_name((V1__TaskStatus__Reason)d->values[i].value));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("roles");
    TCase *t = tcase_create("roles");
    tcase_add_loop_test(t, test_role, 0, ARRAY_SIZE(role_rows));
    tcase_add_test(t, test_role_length);
    tcase_add_test(t, test_subrole);
    tcase_add_test(t, test_framework_roles);
    tcase_add_test(t, test_intern);
    tcase_add_loop_test(t, test_task_state, 0, ARRAY_SIZE(state_rows));
    tcase_add_test(t, test_tables_complete);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
