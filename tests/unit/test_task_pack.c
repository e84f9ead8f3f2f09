/* What a task is kept as: all that an agent tells of it comes out again, and what is the same for many is kept once. */
#include "tests/unit/master_world.h"

#include "common/model/intern.h"
#include "master/task_pack.h"

static struct world w;

static const char plain[] =
    "{\"name\":\"%s\",\"task_id\":{\"value\":\"%s\"},\"framework_id\":{\"value\":\"%s\"},"
    "\"agent_id\":{\"value\":\"%s\"},\"state\":\"TASK_RUNNING\",\"resources\":[" W_CPUS("1") "]%s}";

/* The fields beyond `plain`. */
static const char *const more[] = {
    "",
    ",\"executor_id\":{\"value\":\"e\"},\"statuses\":[{\"task_id\":{\"value\":\"t\"},\"state\":"
    "\"TASK_STARTING\",\"executor_id\":{\"value\":\"e\"},\"agent_id\":{\"value\":\"other\"}}]",
    ",\"labels\":{\"labels\":[{\"key\":\"k\",\"value\":\"v\"}]},\"user\":\"u\",\"discovery\":{"
    "\"visibility\":\"CLUSTER\"},\"container\":{\"type\":\"MESOS\"},\"kill_policy\":{\"grace_"
    "period\":{\"nanoseconds\":5}},\"limits\":{\"cpus\":{\"value\":2.0}},"
    "\"health_check\":{\"type\":\"TCP\",\"tcp\":{\"port\":1}}",
    ",\"statuses\":[{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_STARTING\",\"timestamp\":1.5,"
    "\"source\":\"SOURCE_EXECUTOR\",\"reason\":\"REASON_TASK_CHECK_STATUS_UPDATED\",\"healthy\":"
    "false,\"uuid\":\"" W_UUID "\",\"executor_id\":{\"value\":\"t\"}},{\"task_id\":{\"value\":"
    "\"t\"},\"state\":\"TASK_RUNNING\",\"timestamp\":2.5,\"healthy\":true,\"message\":\"hello\","
    "\"uuid\":\"AAAA\",\"labels\":{\"labels\":[{\"key\":\"k\"}]},\"container_status\":{"
    "\"container_id\":{\"value\":\"c\"}}}],\"status_update_state\":\"TASK_RUNNING\","
    "\"status_update_uuid\":\"" W_UUID "\"",
};

static void setup(void)
{
    w_init(&w, NULL);
    w_subscribe(&w, "s1", ",\"checkpoint\":true,\"failover_timeout\":1000");
    w_register(&w, "a1");
    fl_snprintf(w.aid, sizeof(w.aid), "%s-S9", w.m->id);
}

static void teardown(void)
{
    w_done(&w);
}

static char *task_json(const char *id, const char *name, const char *fields)
{
    char *json;

    ck_assert_int_ge(asprintf(&json, plain, name, id, w.fid, w.aid, fields), 0);
    return json;
}

/* An agent that nobody knows brings the tasks. */
static void bring(const char *tasks)
{
    _cleanup_free_ char *said = xasprintf(",\"tasks\":[%s]", tasks);

    w_reregister(&w, "a2", said);
    w_settle(&w);
}

static const struct task *find(const char *id)
{
    struct task *t;

    HASH_FIND_STR(w.m->frameworks->tasks, id, t);
    ck_assert_ptr_nonnull(t);
    return t;
}

START_TEST(all_that_was_told_comes_out)
{
    _cleanup_free_ char *told = task_json("t", _i % 2 ? "t" : "a name", more[_i]);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    ProtobufCMessage *pb = NULL;
    V1__Task *got;

    bring(told);
    got = master_task_pb(find("t"), arena);
    ck_assert_int_eq(fl_json_to_pb(told, strlen(told), &v1__task__descriptor, 0,
                                   fl_arena_allocator(arena), &pb, NULL),
                     0);
    fl_json_from_pb(&out, &got->base, 0);
    ck_assert_msg(fl_pb_equal(&got->base, pb), "told:\n%s\ngot:\n%s", told, fl_buf_cstr(&out));
}
END_TEST

START_TEST(the_same_is_kept_once)
{
    _cleanup_free_ char *one = task_json("one", "n", more[2]),
                        *two = task_json("two", "n", more[2]), *both = xasprintf("%s,%s", one, two);
    size_t texts = intern_count(), sets = resources_held_count();

    bring(both);
    ck_assert_ptr_eq(find("one")->info, find("two")->info);
    ck_assert_ptr_eq(find("one")->resources, find("two")->resources);
    ck_assert_ptr_eq(find("one")->agent_id, find("two")->agent_id);
    ck_assert_str_eq(task_name(find("two")), "n");
    w_done(&w);
    ck_assert_uint_le(intern_count(), texts + 1); /* the agent's id, which offers pin */
    ck_assert_uint_lt(resources_held_count(), sets + 1);
    setup();
}
END_TEST

START_TEST(the_history_can_be_walked)
{
    _cleanup_free_ char *told = task_json("t", "n", more[3]);
    struct task_status_view v;
    uint32_t at = 0;

    bring(told);
    ck_assert(task_status_next(find("t"), &at, &v));
    ck_assert_int_eq(v.state, V1__TASK_STATE__TASK_STARTING);
    ck_assert(v.has_healthy && !v.healthy && !v.has_more);
    ck_assert_str_eq(v.executor_id, "t");
    ck_assert_ptr_null(v.agent_id);
    ck_assert(task_status_next(find("t"), &at, &v));
    ck_assert(v.has_more && !v.uuid && !v.has_reason);
    ck_assert_double_eq(v.timestamp, 2.5);
    ck_assert(!task_status_next(find("t"), &at, &v));
    ck_assert(task_status_last(find("t"), &v));
    ck_assert_int_eq(v.state, V1__TASK_STATE__TASK_RUNNING);
}
END_TEST

/* What an agent says, with a state of `number`. */
static Msg__ReregisterSlaveMessage *odd_task(int which, int number, struct fl_arena *arena)
{
    _cleanup_free_ char *task = task_json("t", "t", more[3]);
    _cleanup_free_ char *json = xasprintf(
        "{\"slave\":{\"hostname\":\"h1\",\"id\":{\"value\":\"%s\"},\"resources\":" W_AGENT_RESOURCES
        "},\"version\":\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS ",\"tasks\":[%s]}",
        w.aid, task);
    ProtobufCMessage *pb = NULL;

    ck_assert_int_eq(fl_json_to_pb(json, strlen(json), &msg__reregister_slave_message__descriptor,
                                   0, fl_arena_allocator(arena), &pb, NULL),
                     0);
    V1__Task *t = ((Msg__ReregisterSlaveMessage *)pb)->tasks[0];
    *(which == 0   ? &t->state
      : which == 1 ? &t->statuses[1]->state
                   : &t->status_update_state) = (V1__TaskState)number;
    return (Msg__ReregisterSlaveMessage *)pb;
}

/* A state that has no name is refused where it comes in: nothing is counted by it, kept or told. */
START_TEST(unknown_states_are_refused)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    Msg__StatusUpdateMessage up = MSG__STATUS_UPDATE_MESSAGE__INIT;
    Msg__StatusUpdate update = MSG__STATUS_UPDATE__INIT;
    static const int numbers[] = {300, -1, 21};
    struct task *t;

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        Msg__ReregisterSlaveMessage *m = odd_task(_i, numbers[i], arena);
        V1__Task *told = m->tasks[0];

        master_agent_message(w.m, (void *)"a2", "10.0.0.2:1", &m->base);
        w_settle(&w);
        HASH_FIND_STR(w.m->frameworks->tasks, "t", t);
        ck_assert_ptr_null(t);
        update.framework_id = told->framework_id;
        update.status = told->statuses[1];
        update.timestamp = 1;
        update.status->state = _i == 1 ? V1__TASK_STATE__TASK_RUNNING : (V1__TaskState)numbers[i];
        update.has_latest_state = _i == 1;
        update.latest_state = (V1__TaskState)numbers[i];
        update.has_uuid = true;
        update.uuid = told->statuses[0]->uuid;
        up.update = &update;
        w_forget(&w);
        master_agent_message(w.m, (void *)"a2", "10.0.0.2:1", &up.base);
        w_settle(&w);
        w_never(&w, "s1", "UPDATE");
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("task_pack");
    TCase *t = tcase_create("all");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, all_that_was_told_comes_out, 0, ARRAY_SIZE(more));
    tcase_add_test(t, the_same_is_kept_once);
    tcase_add_test(t, the_history_can_be_walked);
    tcase_add_loop_test(t, unknown_states_are_refused, 0, 3);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
