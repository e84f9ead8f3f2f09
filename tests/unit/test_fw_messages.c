/* The handles of libframework: what setters write is what the protocol's messages say. */
#include <check.h>
#include <errno.h>
#include <math.h>

#include "libframework/messages.h"

START_TEST(task_as_a_message)
{
    fw_task *t = fw_task_new("id", "name");
    _cleanup_free_ void *bytes = NULL;
    size_t n;
    static const char *const argv[] = {"/bin/echo", "a b", NULL};

    ck_assert_int_eq(fw_task_set_shell(t, "first"), 0);
    ck_assert_int_eq(fw_task_set_argv(t, argv), 0); /* replaces the shell command */
    ck_assert_int_eq(fw_task_set_scalar(t, "cpus", 1), 0);
    ck_assert_int_eq(fw_task_set_scalar(t, "cpus", 0.5), 0);
    ck_assert_int_eq(fw_task_add_port(t, 31000), 0);
    ck_assert_int_eq(fw_task_add_port(t, 31002), 0);
    ck_assert_int_eq(fw_task_add_env(t, "A", "b"), 0);
    ck_assert_int_eq(fw_task_add_uri(t, "file:///x", true, false), 0);
    ck_assert_int_eq(fw_task_add_label(t, "k", "v"), 0);
    ck_assert_int_eq(fw_task_set_limit(t, "mem", INFINITY), 0);
    ck_assert_int_eq(fw_task_set_kill_grace(t, 1.5), 0);
    ck_assert_int_eq(fw_task_set_data(t, "x\0y", 3), 0);
    ck_assert_int_eq(fw_task_set_user(t, "u"), 0);
    ck_assert_int_eq(fw_task_encode(t, &bytes, &n), 0);
    _cleanup_pb_ V1__TaskInfo *m = v1__task_info__unpack(NULL, n, bytes);
    ck_assert_ptr_nonnull(m);
    ck_assert_str_eq(m->task_id->value, "id");
    ck_assert(!m->command->shell);
    ck_assert_str_eq(m->command->value, "/bin/echo");
    ck_assert_uint_eq(m->command->n_arguments, 2);
    ck_assert_str_eq(m->command->arguments[1], "a b");
    ck_assert_uint_eq(m->n_resources, 2);
    ck_assert_double_eq(m->resources[0]->scalar->value, 0.5);
    ck_assert_uint_eq(m->resources[1]->ranges->n_range, 2);
    ck_assert(isinf(m->limits[0]->value->value));
    ck_assert_int_eq(m->kill_policy->grace_period->nanoseconds, 1500000000);
    ck_assert_uint_eq(m->data.len, 3);
    ck_assert_str_eq(m->command->user, "u");
    ck_assert_str_eq(m->command->environment->variables[0]->value, "b");
    ck_assert(m->command->uris[0]->executable && !m->command->uris[0]->extract);
    fw_task_free(t);
}
END_TEST

START_TEST(an_empty_argv_is_refused)
{
    static const char *const none[] = {NULL};
    fw_task *t = fw_task_new("id", "name");

    ck_assert_int_eq(fw_task_set_argv(t, none), -EINVAL);
    fw_task_free(t);
}
END_TEST

START_TEST(info_roles_and_capabilities)
{
    fw_info *i = fw_info_new("n", "u");

    ck_assert_int_eq(fw_info_add_role(i, "a"), 0);
    ck_assert_int_eq(fw_info_add_role(i, "b"), 0);
    ck_assert_int_eq(fw_info_add_capability(i, "PARTITION_AWARE"), 0);
    ck_assert_int_eq(fw_info_add_capability(i, "NO_SUCH_THING"), -EINVAL);
    ck_assert_uint_eq(i->pb->n_roles, 2);
    ck_assert_uint_eq(i->pb->n_capabilities, 2); /* MULTI_ROLE once, though two roles were added */
    fw_info_free(i);
    i = fw_info_new("n", NULL);
    ck_assert_uint_gt(strlen(i->pb->user), 0);
    fw_info_free(i);
}
END_TEST

/* An offer with two "cpus" (a reservation beside the rest) and ports 10-11 and 20. */
static fw_offer *make_offer(void)
{
    V1__Offer o = V1__OFFER__INIT;
    V1__OfferID oid = V1__OFFER_ID__INIT;
    V1__FrameworkID fid = V1__FRAMEWORK_ID__INIT;
    V1__AgentID aid = V1__AGENT_ID__INIT;
    V1__Resource r[3] = {V1__RESOURCE__INIT, V1__RESOURCE__INIT, V1__RESOURCE__INIT};
    V1__Resource *list[3] = {&r[0], &r[1], &r[2]};
    V1__Value__Scalar a = V1__VALUE__SCALAR__INIT, b = V1__VALUE__SCALAR__INIT;
    V1__Value__Range r1 = V1__VALUE__RANGE__INIT, r2 = V1__VALUE__RANGE__INIT,
                     *ranges[2] = {&r1, &r2};
    V1__Value__Ranges rs = V1__VALUE__RANGES__INIT;

    oid.value = fid.value = aid.value = o.hostname = (char *)"x";
    a.value = 0.1;
    b.value = 0.2;
    r[0].name = r[1].name = (char *)"cpus";
    r[0].scalar = &a;
    r[1].scalar = &b;
    r1.begin = 10;
    r1.end = 11;
    r2.begin = r2.end = 20;
    rs.n_range = 2;
    rs.range = ranges;
    r[2].name = (char *)"ports";
    r[2].type = V1__VALUE__TYPE__RANGES;
    r[2].ranges = &rs;
    o.id = &oid;
    o.framework_id = &fid;
    o.agent_id = &aid;
    o.n_resources = 3;
    o.resources = list;
    return fw_offer_dup(&(fw_offer){.pb = &o});
}

START_TEST(offers_add_up_and_give_each_port_once)
{
    fw_offer *o = make_offer();
    uint16_t ports[8];

    ck_assert_double_eq(fw_offer_scalar(o, "cpus"), 0.3);
    ck_assert_double_eq(fw_offer_scalar(o, "gpus"), 0);
    ck_assert_str_eq(fw_offer_role(o), "*");
    ck_assert_uint_eq(fw_offer_take_ports(o, 2, ports), 2);
    ck_assert_uint_eq(ports[0], 10);
    ck_assert_uint_eq(ports[1], 11);
    ck_assert_uint_eq(fw_offer_take_ports(o, 5, ports), 1);
    ck_assert_uint_eq(ports[0], 20);
    ck_assert_uint_eq(fw_offer_take_ports(o, 1, ports), 0);
    fw_offer_free(o);
}
END_TEST

START_TEST(rubbish_does_not_decode)
{
    ck_assert_ptr_null(fw_task_decode("\xff\xff\xff", 3));
    ck_assert_ptr_null(fw_info_decode("\x0a", 1));
    ck_assert_ptr_null(fw_executor_info_decode("", 0)); /* the id is required */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fw_messages");
    TCase *t = tcase_create("messages");
    SRunner *r;
    int failed;

    tcase_add_test(t, task_as_a_message);
    tcase_add_test(t, an_empty_argv_is_refused);
    tcase_add_test(t, info_roles_and_capabilities);
    tcase_add_test(t, offers_add_up_and_give_each_port_once);
    tcase_add_test(t, rubbish_does_not_decode);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
