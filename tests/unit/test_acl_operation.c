/* Which rule an operation, a task or a framework is subject to, and what its object is. Literal tables. */
#include <check.h>

#include "common/base/json.h"
#include "common/model/acl_operation.h"

/* Forbids the action for that one object. */
static struct acls *forbid(const char *action, const char *objects, const char *value)
{
    _cleanup_free_ char *text =
        xasprintf("{\"%s\":[{\"principals\":{\"type\":\"NONE\"},\"%s\":{\"values\":[\"%s\"]}}]}",
                  action, objects, value);
    struct acls *a = NULL;
    struct fl_err err = {0};
    ck_assert_msg(acls_parse(text, &a, &err) == 0, "%s", err.msg);
    return a;
}

static void *message(const char *json, const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};
    ck_assert_msg(fl_json_to_pb(json, strlen(json), d, 0, NULL, &m, &err) == 0, "%s", err.msg);
    return m;
}

#define CPUS "\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}"
#define DISK "\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}"
/* Reserved for eng by p1, and of that for eng/web by p2. */
#define REFINED                                                                                    \
    "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"eng\",\"principal\":\"p1\"},"              \
    "{\"type\":\"DYNAMIC\",\"role\":\"eng/web\",\"principal\":\"p2\"}]"
#define OLD    "\"role\":\"ops\",\"reservation\":{\"principal\":\"p3\"}"
#define VOLUME "\"disk\":{\"persistence\":{\"id\":\"v\",\"principal\":\"p4\"}}"

static const struct {
    const char *op, *action, *objects, *object;
} rows[] = {
    {"{\"type\":\"RESERVE\",\"reserve\":{\"resources\":[{" CPUS "," REFINED "}]}}",
     "reserve_resources", "roles", "eng/web"},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"resources\":[{" CPUS "," REFINED "},{" CPUS "," OLD
     "}]}}",
     "reserve_resources", "roles", "ops"},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"source\":[{" CPUS "," OLD "}],\"resources\":[{" CPUS
     "," REFINED "}]}}",
     "unreserve_resources", "reserver_principals", "p3"},
    {"{\"type\":\"UNRESERVE\",\"unreserve\":{\"resources\":[{" CPUS "," REFINED "}]}}",
     "unreserve_resources", "reserver_principals", "p2"},
    {"{\"type\":\"UNRESERVE\",\"unreserve\":{\"resources\":[{" CPUS "," OLD "}]}}",
     "unreserve_resources", "reserver_principals", "p3"},
    {"{\"type\":\"UNRESERVE\",\"unreserve\":{\"resources\":[{" CPUS ",\"role\":\"ops\"}]}}",
     "unreserve_resources", "reserver_principals", ""},
    {"{\"type\":\"CREATE\",\"create\":{\"volumes\":[{" DISK "," REFINED "," VOLUME "}]}}",
     "create_volumes", "roles", "eng/web"},
    {"{\"type\":\"CREATE\",\"create\":{\"volumes\":[{" DISK "}]}}", "create_volumes", "roles", "*"},
    {"{\"type\":\"DESTROY\",\"destroy\":{\"volumes\":[{" DISK "," REFINED "," VOLUME "}]}}",
     "destroy_volumes", "creator_principals", "p4"},
    {"{\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":{" DISK "," REFINED "," VOLUME
     "},\"addition\":{" DISK "," REFINED "}}}",
     "resize_volumes", "roles", "eng/web"},
    {"{\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":{" DISK "," REFINED "," VOLUME
     "},\"subtract\":{\"value\":1}}}",
     "resize_volumes", "roles", "eng/web"},
    {"{\"type\":\"CREATE_DISK\",\"create_disk\":{\"source\":{" DISK "," OLD
     "},\"target_type\":\"BLOCK\"}}",
     "create_block_disks", "roles", "ops"},
    {"{\"type\":\"CREATE_DISK\",\"create_disk\":{\"source\":{" DISK "," OLD
     "},\"target_type\":\"MOUNT\"}}",
     "create_mount_disks", "roles", "ops"},
    {"{\"type\":\"DESTROY_DISK\",\"destroy_disk\":{\"source\":{" DISK "," OLD
     ",\"disk\":{\"source\":{\"type\":\"RAW\"}}}}}",
     "destroy_raw_disks", "roles", "ops"},
    {"{\"type\":\"DESTROY_DISK\",\"destroy_disk\":{\"source\":{" DISK "," OLD "}}}",
     "destroy_mount_disks", "roles", "ops"},
};

START_TEST(test_operation)
{
    _cleanup_pb_ V1__Offer__Operation *op = message(rows[_i].op, &v1__offer__operation__descriptor);
    struct fl_err err = {0};
    ck_assert_int_eq(acl_check_operation(NULL, "x", op, &err), 0);
    _cleanup_(acls_freep) struct acls *this =
        forbid(rows[_i].action, rows[_i].objects, rows[_i].object);
    ck_assert_int_lt(acl_check_operation(this, "x", op, &err), 0);
    ck_assert_int_eq(err.reason, FL_FORBIDDEN);
    _cleanup_(acls_freep) struct acls *other = forbid(rows[_i].action, rows[_i].objects, "another");
    ck_assert_msg(acl_check_operation(other, "x", op, &err) == 0, "%s", err.msg);
}
END_TEST

#define IDS "\"name\":\"t\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"}"
#define EXECUTOR                                                                                   \
    "\"executor\":{\"executor_id\":{\"value\":\"e\"},\"command\":{\"user\":\"of-executor\"}}"

static const struct {
    const char *task, *user;
} users[] = {
    {"{" IDS ",\"command\":{\"user\":\"of-task\"}}", "of-task"},
    {"{" IDS ",\"command\":{\"user\":\"of-task\"}," EXECUTOR "}", "of-task"},
    {"{" IDS ",\"command\":{\"value\":\"x\"}," EXECUTOR "}", "of-executor"},
    {"{" IDS "," EXECUTOR "}", "of-executor"},
    {"{" IDS ",\"command\":{\"value\":\"x\"}}", "of-framework"},
};

START_TEST(test_task)
{
    _cleanup_pb_ V1__TaskInfo *t = message(users[_i].task, &v1__task_info__descriptor);
    _cleanup_pb_ V1__FrameworkInfo *f =
        message("{\"name\":\"f\",\"user\":\"of-framework\",\"principal\":\"p\"}",
                &v1__framework_info__descriptor);
    struct fl_err err = {0};
    ck_assert_str_eq(acl_task_user(t, f), users[_i].user);
    ck_assert_int_eq(acl_check_task(NULL, t, f, &err), 0);
    _cleanup_(acls_freep) struct acls *a = forbid("run_tasks", "users", users[_i].user);
    ck_assert_int_lt(acl_check_task(a, t, f, &err), 0);
    _cleanup_(acls_freep) struct acls *b = forbid("run_tasks", "users", "another");
    ck_assert_int_eq(acl_check_task(b, t, f, &err), 0);
}
END_TEST

START_TEST(test_framework)
{
    _cleanup_pb_ V1__FrameworkInfo *f =
        message("{\"name\":\"f\",\"user\":\"u\",\"roles\":[\"a\",\"b\"],\"capabilities\":"
                "[{\"type\":\"MULTI_ROLE\"}]}",
                &v1__framework_info__descriptor);
    _cleanup_pb_ V1__FrameworkInfo *plain =
        message("{\"name\":\"f\",\"user\":\"u\"}", &v1__framework_info__descriptor);
    _cleanup_(acls_freep) struct acls *a = forbid("register_frameworks", "roles", "b");
    _cleanup_(acls_freep) struct acls *star = forbid("register_frameworks", "roles", "*");
    struct fl_err err = {0};
    ck_assert_int_eq(acl_check_framework(NULL, f, &err), 0);
    ck_assert_int_lt(acl_check_framework(a, f, &err), 0);
    ck_assert_int_eq(acl_check_framework(star, f, &err), 0);
    ck_assert_int_eq(acl_check_framework(a, plain, &err), 0);
    ck_assert_int_lt(acl_check_framework(star, plain, &err), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("acl_operation");
    TCase *t = tcase_create("acl_operation");
    tcase_add_loop_test(t, test_operation, 0, (int)ARRAY_SIZE(rows));
    tcase_add_loop_test(t, test_task, 0, (int)ARRAY_SIZE(users));
    tcase_add_test(t, test_framework);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
