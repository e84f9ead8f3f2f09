/* Custom executors over the executor API: who may call what, what they are handed, how they end. */
#include "tests/unit/agent_harness.h"

static struct harness *h;
static int streams[4]; /* only their addresses matter */

static void setup(void)
{
    h = h_new(NULL);
    h_register(h);
}

static void teardown(void)
{
    h_free(h);
}

static int check(const char *type, const char *framework, const char *executor, struct fl_err *err)
{
    _cleanup_free_ char *json = xasprintf(
        "{\"type\":\"%s\",\"framework_id\":{\"value\":\"%s\"},\"executor_id\":{\"value\":\"%s\"}}",
        type, framework, executor);
    ProtobufCMessage *m = NULL;
    struct agent_executor *e = NULL;
    int r;

    ck_assert_int_eq(fl_json_to_pb(json, strlen(json), &exec__call__descriptor, 0, NULL, &m, err),
                     0);
    r = agent_executor_check(h->a, (Exec__Call *)m, &e, err);
    fl_pb_free(m);
    return r;
}

static struct agent_executor *executor(void)
{
    struct agent_framework *f = agent_find_framework(h->a, H_FRAMEWORK);

    return f ? agent_find_executor(f, "e1") : NULL;
}

static void subscribe_with(void *stream, const char *json)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};

    ck_assert_msg(fl_json_to_pb(json, strlen(json), &exec__call__subscribe__descriptor, 0, NULL, &m,
                                &err) == 0,
                  "%s", err.msg);
    agent_executor_subscribe(executor(), stream, (Exec__Call__Subscribe *)m);
    fl_pb_free(m);
}

static void update_uuid(const char *task_id, const char *state, const char *uuid)
{
    _cleanup_free_ char *json =
        xasprintf("{\"task_id\":{\"value\":\"%s\"},\"state\":\"%s\"%s%s%s}", task_id, state,
                  uuid ? ",\"uuid\":\"" : "", uuid ? uuid : "", uuid ? "\"" : "");
    ProtobufCMessage *m = NULL;
    struct fl_err err;

    ck_assert_int_eq(
        fl_json_to_pb(json, strlen(json), &v1__task_status__descriptor, 0, NULL, &m, &err), 0);
    agent_executor_update(executor(), (V1__TaskStatus *)m);
    fl_pb_free(m);
}

#define UUID_A "AAECAwQFBgcICQoLDA0ODw=="
#define UUID_B "EBECAwQFBgcICQoLDA0ODw=="

static unsigned events_of(Exec__Event__Type type)
{
    unsigned n = 0;
    struct sent *s;

    DL_FOREACH (h->events, s) {
        n += ((Exec__Event *)s->m)->type == type;
    }
    return n;
}

START_TEST(refusals_in_the_protocols_order)
{
    struct fl_err err;

    check("SUBSCRIBE", "nobody", "e1", &err);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 400);
    h_run(h, "t", "", H_EXECUTOR);
    check("SUBSCRIBE", H_FRAMEWORK, "nobody", &err);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 400);
    check("MESSAGE", H_FRAMEWORK, "e1", &err);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 403);
    ck_assert_int_eq(check("SUBSCRIBE", H_FRAMEWORK, "e1", &err), 0);
    h_run(h, "command", "", H_COMMAND);
    check("SUBSCRIBE", H_FRAMEWORK, "command", &err);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 400);
}
END_TEST

START_TEST(subscribes_and_gets_its_task)
{
    const Exec__Event *ev;

    h_run(h, "t", "", H_EXECUTOR ",\"data\":\"aGk=\"");
    h_started(h);
    ck_assert_ptr_null(h_update(h));
    subscribe_with(&streams[0], "{}");
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__SUBSCRIBED), 1);
    ev = (Exec__Event *)h->events->m;
    ck_assert_str_eq(ev->subscribed->executor_info->executor_id->value, "e1");
    ck_assert_str_eq(ev->subscribed->framework_info->id->value, H_FRAMEWORK);
    ck_assert_str_eq(ev->subscribed->agent_info->id->value, H_AGENT_ID);
    ck_assert_str_eq(ev->subscribed->container_id->value, h_last(h)->id);
    ev = h_event(h, EXEC__EVENT__TYPE__LAUNCH);
    ck_assert_str_eq(ev->launch->task->task_id->value, "t");
    ck_assert_mem_eq(ev->launch->task->data.data, "hi", 2);
    h_run(h, "t2", "", H_EXECUTOR);
    ck_assert_str_eq(h_event(h, EXEC__EVENT__TYPE__LAUNCH)->launch->task->task_id->value, "t2");
    ck_assert_double_eq_tol(h_last(h)->cpus, 2.1, 1e-9);
}
END_TEST

START_TEST(a_subscription_during_the_launch_does_no_harm)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    h_event(h, EXEC__EVENT__TYPE__LAUNCH);
    h_started(h);
    ck_assert_int_eq(executor()->state, EXECUTOR_RUNNING);
}
END_TEST

START_TEST(an_update_is_forwarded_and_acknowledged_to_the_executor_at_once)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    update_uuid("t", "TASK_RUNNING", UUID_A);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_RUNNING);
    ck_assert_int_eq(h_update(h)->uuid.data[1], 1);
    ck_assert_str_eq(h_update(h)->status->executor_id->value, "e1");
    ck_assert_str_eq(h_update(h)->status->agent_id->value, H_AGENT_ID);
    ck_assert_str_eq(h_event(h, EXEC__EVENT__TYPE__ACKNOWLEDGED)->acknowledged->task_id->value,
                     "t");
    update_uuid("t", "TASK_RUNNING", UUID_A);
    ck_assert_uint_eq(h_updates(h), 1);
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__ACKNOWLEDGED), 2);
    update_uuid("t", "TASK_FINISHED", UUID_B);
    ck_assert_uint_eq(h_updates(h), 1);
    ck_assert_int_eq(h_task(h, "t")->state, V1__TASK_STATE__TASK_FINISHED);
    h_ack(h, "t", V1__TASK_STATE__TASK_RUNNING);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
    ck_assert_ptr_null(h_task(h, "t"));
    ck_assert_ptr_nonnull(executor()); /* lives on */
}
END_TEST

START_TEST(updates_that_cannot_be_are_ignored)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    update_uuid("t", "TASK_RUNNING", NULL);
    update_uuid("t", "TASK_RUNNING", "AAEC");
    ck_assert_uint_eq(h_updates(h), 0);
    update_uuid("t", "TASK_STAGING", UUID_A);
    ck_assert_uint_eq(h_updates(h), 0);
    h_event(h, EXEC__EVENT__TYPE__SHUTDOWN);
}
END_TEST

START_TEST(messages_pass_both_ways)
{
    uint8_t data[] = {0, 255, 7};
    ProtobufCBinaryData b = {sizeof data, data};
    const Msg__ExecutorToFrameworkMessage *m;

    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    h_deliver(h, &msg__framework_to_executor_message__descriptor,
              "{\"slave_id\":{\"value\":\"" H_AGENT_ID
              "\"},\"framework_id\":{\"value\":\"" H_FRAMEWORK "\"},"
              "\"executor_id\":{\"value\":\"e1\"},\"data\":\"AP8H\"}");
    ck_assert_mem_eq(h_event(h, EXEC__EVENT__TYPE__MESSAGE)->message->data.data, data, sizeof data);
    agent_executor_message(executor(), &b);
    m = h_sent(h, &msg__executor_to_framework_message__descriptor);
    ck_assert_mem_eq(m->data.data, data, sizeof data);
    ck_assert_str_eq(m->executor_id->value, "e1");
}
END_TEST

START_TEST(a_kill_carries_the_policy_of_the_call)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    h_kill(h, "t", ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":4000000000}}");
    ck_assert_int_eq(
        h_event(h, EXEC__EVENT__TYPE__KILL)->kill->kill_policy->grace_period->nanoseconds,
        4000000000);
    h_kill(h, "t", "");
    ck_assert_ptr_null(h_event(h, EXEC__EVENT__TYPE__KILL)->kill->kill_policy);
}
END_TEST

START_TEST(one_that_never_registers_fails_its_tasks)
{
    h_run(h, "t", "", H_EXECUTOR);
    h_started(h);
    h_pass(h, SECONDS(60) - 1);
    ck_assert(!h_last(h)->destroyed);
    h_pass(h, 1);
    ck_assert(h_last(h)->destroyed);
    h_ended(h, CONTAINER_DESTROYED, 0);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_FAILED);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_EXECUTOR_REGISTRATION_TIMEOUT);
    ck_assert_str_eq(h_update(h)->status->message, "Executor did not register within 1mins");
    ck_assert_ptr_nonnull(h_sent(h, &msg__exited_executor_message__descriptor));
}
END_TEST

START_TEST(one_that_dies_fails_its_tasks)
{
    const Msg__ExitedExecutorMessage *m;

    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    update_uuid("t", "TASK_RUNNING", UUID_A);
    h_ended(h, CONTAINER_EXITED, 7 << 8);
    h_ack(h, "t", V1__TASK_STATE__TASK_RUNNING);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_FAILED);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED);
    m = h_sent(h, &msg__exited_executor_message__descriptor);
    ck_assert_int_eq(m->status, 7 << 8);
    ck_assert_uint_eq(h->closed_streams, 1);
    h_ack(h, "t", V1__TASK_STATE__TASK_FAILED);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

START_TEST(shutdown_leaves_it_its_grace_period)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    h_deliver(h, &msg__shutdown_executor_message__descriptor,
              "{\"executor_id\":{\"value\":\"e1\"},\"framework_id\":{\"value\":\"" H_FRAMEWORK
              "\"}}");
    h_event(h, EXEC__EVENT__TYPE__SHUTDOWN);
    h_pass(h, SECONDS(5) - 1);
    ck_assert(!h_last(h)->destroyed);
    h_pass(h, 1);
    ck_assert(h_last(h)->destroyed);
    subscribe_with(&streams[1], "{}");
    h_event(h, EXEC__EVENT__TYPE__SHUTDOWN);
    ck_assert_uint_eq(h->closed_streams, 1);
}
END_TEST

START_TEST(coming_again_it_hands_over_what_was_not_acknowledged)
{
    h_run(h, "t", H_CHECKPOINT, H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    subscribe_with(&streams[1],
                   "{\"unacknowledged_tasks\":[{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},"
                   "\"agent_id\":{\"value\":\"" H_AGENT_ID "\"}}],"
                   "\"unacknowledged_updates\":[{\"status\":{\"task_id\":{\"value\":\"t\"},"
                   "\"state\":\"TASK_RUNNING\",\"uuid\":\"" UUID_A "\"}}]}");
    ck_assert_uint_eq(h->closed_streams, 1);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_RUNNING);
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__SUBSCRIBED), 2);
    agent_executor_closed(executor(), &streams[0]); /* of the old stream: nothing */
    ck_assert_ptr_eq(executor()->stream, &streams[1]);
    agent_executor_closed(executor(), &streams[1]);
    ck_assert_ptr_null(executor()->stream);
}
END_TEST

START_TEST(it_hears_that_it_is_subscribed_before_anything_else)
{
    struct sent *s;
    bool after = false;

    h_run(h, "t", H_CHECKPOINT, H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    subscribe_with(&streams[1],
                   "{\"unacknowledged_updates\":[{\"status\":{\"task_id\":{\"value\":\"t\"},"
                   "\"state\":\"TASK_RUNNING\",\"uuid\":\"" UUID_A "\"}}]}");
    DL_FOREACH (h->events, s) {
        Exec__Event__Type type = ((Exec__Event *)s->m)->type;

        if (type == EXEC__EVENT__TYPE__ACKNOWLEDGED)
            after = true;
        ck_assert(!(after && type == EXEC__EVENT__TYPE__SUBSCRIBED));
    }
    ck_assert(after);
}
END_TEST

START_TEST(nothing_is_told_after_the_end_but_the_executor_is_acknowledged)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    update_uuid("t", "TASK_FINISHED", UUID_A);
    update_uuid("t", "TASK_RUNNING", UUID_B);
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__ACKNOWLEDGED), 2);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
    ck_assert_uint_eq(h_updates(h), 1);
    ck_assert_ptr_null(h_task(h, "t"));
}
END_TEST

START_TEST(a_lost_connection_does_not_cost_the_grace_period)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    agent_executor_closed(executor(), &streams[0]);
    h_deliver(h, &msg__shutdown_executor_message__descriptor,
              "{\"executor_id\":{\"value\":\"e1\"},\"framework_id\":{\"value\":\"" H_FRAMEWORK
              "\"}}");
    ck_assert(!h_last(h)->destroyed);
    subscribe_with(&streams[1], "{}");
    h_event(h, EXEC__EVENT__TYPE__SHUTDOWN);
    h_pass(h, SECONDS(5));
    ck_assert(h_last(h)->destroyed);
}
END_TEST

START_TEST(a_task_it_never_got_is_dropped)
{
    h_run(h, "t", ",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    subscribe_with(&streams[1], "{}");
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_DROPPED);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED);
}
END_TEST

START_TEST(its_only_task_killed_before_it_came_ends_it)
{
    h_run(h, "t", "", H_EXECUTOR);
    h_kill(h, "t", "");
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH);
    ck_assert(h_last(h)->destroyed);
}
END_TEST

#define GROUP_TASK(id)                                                                             \
    "{\"name\":\"n\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"" H_AGENT_ID     \
    "\"}}"
#define GROUP                                                                                      \
    "{\"framework\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"" H_FRAMEWORK "\"}},"       \
    "\"executor\":{\"type\":\"CUSTOM\",\"executor_id\":{\"value\":\"e1\"},\"command\":{\"value\":" \
    "\"./exec\"}},"                                                                                \
    "\"task_group\":{\"tasks\":[" GROUP_TASK("a") "," GROUP_TASK("b") "]}}"

START_TEST(a_group_is_delivered_whole)
{
    const Exec__Event *ev;

    h_deliver(h, &msg__run_task_group_message__descriptor, GROUP);
    subscribe_with(&streams[0], "{}");
    ev = h_event(h, EXEC__EVENT__TYPE__LAUNCH_GROUP);
    ck_assert_uint_eq(ev->launch_group->task_group->n_tasks, 2);
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__LAUNCH_GROUP), 1);
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__LAUNCH), 0);
}
END_TEST

START_TEST(one_of_a_group_killed_in_the_queue_kills_all)
{
    h_deliver(h, &msg__run_task_group_message__descriptor, GROUP);
    h_kill(h, "b", "");
    ck_assert_uint_eq(h_updates(h), 2);
    ck_assert_int_eq(h_task(h, "a")->state, V1__TASK_STATE__TASK_KILLED);
    ck_assert_int_eq(h_task(h, "b")->state, V1__TASK_STATE__TASK_KILLED);
}
END_TEST

START_TEST(heartbeats_every_thirty_minutes)
{
    h_run(h, "t", "", H_EXECUTOR);
    subscribe_with(&streams[0], "{}");
    env_timer_stop(agent_time(h->a), h->a->link.ping_timer);
    h_pass(h, SECONDS(1800) - 1);
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__HEARTBEAT), 0);
    h_pass(h, 1);
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__HEARTBEAT), 1);
    h_pass(h, SECONDS(1800));
    ck_assert_uint_eq(events_of(EXEC__EVENT__TYPE__HEARTBEAT), 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_executor");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, refusals_in_the_protocols_order);
    tcase_add_test(tc, subscribes_and_gets_its_task);
    tcase_add_test(tc, a_subscription_during_the_launch_does_no_harm);
    tcase_add_test(tc, an_update_is_forwarded_and_acknowledged_to_the_executor_at_once);
    tcase_add_test(tc, updates_that_cannot_be_are_ignored);
    tcase_add_test(tc, messages_pass_both_ways);
    tcase_add_test(tc, a_kill_carries_the_policy_of_the_call);
    tcase_add_test(tc, one_that_never_registers_fails_its_tasks);
    tcase_add_test(tc, one_that_dies_fails_its_tasks);
    tcase_add_test(tc, shutdown_leaves_it_its_grace_period);
    tcase_add_test(tc, coming_again_it_hands_over_what_was_not_acknowledged);
    tcase_add_test(tc, it_hears_that_it_is_subscribed_before_anything_else);
    tcase_add_test(tc, nothing_is_told_after_the_end_but_the_executor_is_acknowledged);
    tcase_add_test(tc, a_lost_connection_does_not_cost_the_grace_period);
    tcase_add_test(tc, a_task_it_never_got_is_dropped);
    tcase_add_test(tc, its_only_task_killed_before_it_came_ends_it);
    tcase_add_test(tc, a_group_is_delivered_whole);
    tcase_add_test(tc, one_of_a_group_killed_in_the_queue_kills_all);
    tcase_add_test(tc, heartbeats_every_thirty_minutes);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
