/* Answers about the state: what is written from encoded tasks is what comes by way of their messages, byte for byte. */
#include "tests/unit/master_world.h"

#include "common/base/pb_wire.h"
#include "common/model/legacy_json.h"
#include "master/api/state.h"
#include "tests/unit/random_message.h"
#include "tests/unit/state_reference.h"

#define N_TASKS 300

static struct world w;
static struct rnd r;
static struct fl_arena *arena;

static const char *const resource_sets[] = {
    "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.5},\"allocation_info\":{"
    "\"role\":\"*\"}},"
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":64},\"allocation_info\":{\"role\":"
    "\"*\"}}]",
    "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.25},\"allocation_info\":{"
    "\"role\":\"a/b\"}},"
    "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":9},{"
    "\"begin\":31000,\"end\":31000}]},"
    "\"allocation_info\":{\"role\":\"a/b\"}}]",
    "[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":7},\"reservations\":[{\"type\":"
    "\"DYNAMIC\",\"role\":\"r\","
    "\"principal\":\"p\"}],\"disk\":{\"persistence\":{\"id\":\"v1\"},\"volume\":{\"container_"
    "path\":\"p\",\"mode\":\"RW\"}},"
    "\"allocation_info\":{\"role\":\"r\"}},"
    "{\"name\":\"gpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"revocable\":{},\"allocation_"
    "info\":{\"role\":\"r\"}},"
    "{\"name\":\"zones\",\"type\":\"SET\",\"set\":{\"item\":[\"x\",\"y\\\"\"]},\"allocation_info\":"
    "{\"role\":\"r\"}}]",
    "[]",
};

static const V1__TaskState states[] = {
    V1__TASK_STATE__TASK_STAGING,  V1__TASK_STATE__TASK_RUNNING, V1__TASK_STATE__TASK_KILLING,
    V1__TASK_STATE__TASK_FINISHED, V1__TASK_STATE__TASK_FAILED,
};

static void *parse(const ProtobufCMessageDescriptor *d, const char *json)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};

    ck_assert_msg(fl_json_to_pb(json, strlen(json), d, 0, fl_arena_allocator(arena), &m, &err) == 0,
                  "%s", err.msg);
    return m;
}

static void put_resources(V1__Task *t)
{
    _cleanup_free_ char *json =
        xasprintf("{\"id\":{\"value\":\"o\"},\"framework_id\":{\"value\":\"f\"},\"agent_id\":{"
                  "\"value\":\"a\"},\"hostname\":\"h\",\"resources\":%s}",
                  resource_sets[rnd_below(&r, ARRAY_SIZE(resource_sets))]);
    const V1__Offer *o = parse(&v1__offer__descriptor, json);

    t->resources = o->resources;
    t->n_resources = o->n_resources;
}

/* Everything at random but what the books go by. */
static V1__Task *random_task(unsigned i)
{
    V1__Task *t = (V1__Task *)rnd_message(&r, &v1__task__descriptor, 0, arena);

    t->task_id->value = fl_arena_alloc(arena, 32);
    fl_snprintf(t->task_id->value, 32, "%st%u", i % 7 ? "" : "\"\\", i);
    t->framework_id->value = w.fid;
    t->agent_id->value = w.aid;
    if (rnd_below(&r, 3) == 0)
        t->name = t->task_id->value;
    t->state = states[rnd_below(&r, ARRAY_SIZE(states))];
    put_resources(t);
    for (size_t k = 0; k < t->n_statuses; k++) {
        V1__TaskStatus *st = t->statuses[k];
        st->task_id->value = t->task_id->value;
        st->state = states[rnd_below(&r, ARRAY_SIZE(states))];
        if (st->agent_id && rnd_below(&r, 2))
            st->agent_id->value = w.aid;
        if (st->executor_id && rnd_below(&r, 2))
            st->executor_id->value =
                rnd_below(&r, 2) && t->executor_id ? t->executor_id->value : t->task_id->value;
    }
    return t;
}

static void setup(void)
{
    Msg__ReregisterSlaveMessage *m;
    V1__Task *tasks[N_TASKS];

    w_init(&w, NULL);
    r = (struct rnd){.state = 0xabcdef};
    arena = fl_arena_new(1024 * 1024);
    w_subscribe(&w, "s1", ",\"checkpoint\":true,\"failover_timeout\":1000");
    w_register(&w, "a1");
    fl_snprintf(w.aid, sizeof(w.aid), "%s-S9", w.m->id);
    _cleanup_free_ char *json =
        xasprintf("{\"slave\":{\"hostname\":\"h\\u00e4\",\"id\":{\"value\":\"%s\"},\"attributes\":["
                  "{\"name\":\"rack\",\"type\":\"TEXT\",\"text\":"
                  "{\"value\":\"r\"}}],\"resources\":" W_AGENT_RESOURCES
                  "},\"version\":\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS
                  ",\"executor_infos\":[{\"executor_id\":{\"value\":\"e\"},\"framework_id\":{"
                  "\"value\":\"%s\"},\"command\":{\"value\":\"x\"}}]}",
                  w.aid, w.fid);
    m = parse(&msg__reregister_slave_message__descriptor, json);
    for (unsigned i = 0; i < N_TASKS; i++)
        tasks[i] = random_task(i);
    m->tasks = tasks;
    m->n_tasks = N_TASKS;
    master_agent_message(w.m, (void *)"a2", "10.0.0.2:1", &m->base);
    w_settle(&w);
    ck_assert_uint_ge(HASH_COUNT(w.m->frameworks->tasks), N_TASKS / 2);
}

static void teardown(void)
{
    fl_arena_free(arena);
    w_done(&w);
}

static void same_bytes(const struct fl_buf *got, const struct fl_buf *want)
{
    size_t at = 0;

    while (at < got->len && at < want->len && got->data[at] == want->data[at])
        at++;
    ck_assert_msg(got->len == want->len && at == got->len,
                  "%zu and %zu bytes differ at %zu:\n%.*s\n%.*s", got->len, want->len, at,
                  (int)FL_MIN((size_t)300, got->len - at), got->data + at,
                  (int)FL_MIN((size_t)300, want->len - at), want->data + at);
}

START_TEST(one_task)
{
    _cleanup_(task_writer_freep) struct task_writer *tw = task_writer_new();
    unsigned n = 0;

    task_writer_begin(tw);
    for (const struct task *t = w.m->frameworks->tasks; t; t = t->hh.next, n++) {
        _cleanup_buf_ struct fl_buf got = FL_BUF_INIT, want = FL_BUF_INIT;
        struct json_out j = json_out_on(&want);
        V1__Task *pb = master_task_pb(t, arena);

        task_writer_pb(tw, t, 2, &got);
        pb_add_head(&want, 2, v1__task__get_packed_size(pb));
        fl_buf_pack(&want, &pb->base);
        same_bytes(&got, &want);
        fl_buf_clear(&got);
        fl_buf_clear(&want);
        task_writer_json(tw, t, &got);
        fl_json_from_pb(&want, &pb->base, FL_JSON_DEFAULTS);
        same_bytes(&got, &want);
        fl_buf_clear(&got);
        fl_buf_clear(&want);
        task_writer_legacy(tw, t, &got);
        legacy_json_task(&j, pb, t->resources);
        same_bytes(&got, &want);
    }
    ck_assert_uint_ge(n, N_TASKS / 2);
}
END_TEST

static const struct {
    const struct state_view *view;
    Mapi__Response__Type type;
} calls[] = {
    {&state_view_get_state, MAPI__RESPONSE__TYPE__GET_STATE},
    {&state_view_get_tasks, MAPI__RESPONSE__TYPE__GET_TASKS},
    {&state_view_get_agents, MAPI__RESPONSE__TYPE__GET_AGENTS},
    {&state_view_get_frameworks, MAPI__RESPONSE__TYPE__GET_FRAMEWORKS},
    {&state_view_get_executors, MAPI__RESPONSE__TYPE__GET_EXECUTORS},
};

/* Full buffers are passed on in small pieces when asked: the result must not depend on it. */
static void keep(struct state_out *o)
{
    struct fl_buf *all = o->spill_arg;

    fl_buf_add(all, o->buf.data, o->buf.len);
    o->spilled += o->buf.len;
    fl_buf_clear(&o->buf);
}

static void write_view(const struct state_view *view, enum api_encoding encoding, bool pieces,
                       struct fl_buf *ret)
{
    struct master_api api = {.master = w.m};
    struct state_request rq = {
        .view = view, .encoding = encoding, .query = (char *)"", .path_rest = (char *)""};
    _cleanup_(task_writer_freep) struct task_writer *tw = task_writer_new();
    _cleanup_buf_ struct fl_buf all = FL_BUF_INIT;
    struct state_out o = {.api = &api, .rq = &rq, .tasks = tw, .spill_arg = &all};

    o.spill = pieces ? keep : NULL;
    state_write(&o);
    fl_buf_add(ret, o.head.data, o.head.len);
    fl_buf_add(ret, all.data, all.len);
    fl_buf_add(ret, o.buf.data, o.buf.len);
    state_out_done(&o);
}

START_TEST(operator_calls)
{
    Mapi__Response *ref = ref_response(w.m, calls[_i].type, arena);

    for (int pieces = 0; pieces < 2; pieces++) {
        _cleanup_buf_ struct fl_buf got = FL_BUF_INIT, want = FL_BUF_INIT, json = FL_BUF_INIT;
        struct json_out j = json_out_on(&want);

        write_view(calls[_i].view, API_JSON, pieces, &json);
        ref_json(&j, ref);
        same_bytes(&json, &want);
        fl_buf_clear(&want);
        write_view(calls[_i].view, API_PROTOBUF, pieces, &got);
        fl_buf_pack(&want, &ref->base);
        same_bytes(&got, &want);
    }
}
END_TEST

START_TEST(subscribed)
{
    Mapi__Event ev = MAPI__EVENT__INIT;
    Mapi__Event__Subscribed sub = MAPI__EVENT__SUBSCRIBED__INIT;
    _cleanup_buf_ struct fl_buf got = FL_BUF_INIT, want = FL_BUF_INIT, pb = FL_BUF_INIT;

    ev.has_type = true;
    ev.type = MAPI__EVENT__TYPE__SUBSCRIBED;
    ev.subscribed = &sub;
    sub.get_state = ref_response(w.m, MAPI__RESPONSE__TYPE__GET_STATE, arena)->get_state;
    sub.has_heartbeat_interval_seconds = true;
    sub.heartbeat_interval_seconds = STATE_HEARTBEAT_S;
    fl_buf_pack(&pb, &ev.base);
    fl_buf_addf(&want, "%zu\n", pb.len);
    fl_buf_add(&want, pb.data, pb.len);
    write_view(&state_view_subscribed, API_PROTOBUF, true, &got);
    same_bytes(&got, &want);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("state_views");
    TCase *t = tcase_create("state_views");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, one_task);
    tcase_add_loop_test(t, operator_calls, 0, (int)ARRAY_SIZE(calls));
    tcase_add_test(t, subscribed);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
