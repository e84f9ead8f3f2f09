/* A task as an agent tells of it, any bytes that our decoder takes: what the master keeps of it is written to the same bytes by the
 * writers that read its encoded parts and by way of the whole message. */
#define W_NO_CHECK
#include "common/base/log.h"
#include "common/base/pb_wire.h"
#include "common/model/legacy_json.h"
#include "master/api/task_writer.h"
#include "tests/unit/master_world.h"

static struct world w;

static void same_bytes(const char *what, struct fl_buf *got, struct fl_buf *want)
{
    if (got->len != want->len || (got->len && memcmp(got->data, want->data, got->len) != 0)) {
        fprintf(stderr, "%s:\n%.*s\ninstead of\n%.*s\n", what, (int)got->len, got->data,
                (int)want->len, want->data);
        abort();
    }
    fl_buf_clear(got);
    fl_buf_clear(want);
}

static void compare(struct task_writer *tw, const struct task *t, struct fl_arena *arena)
{
    _cleanup_buf_ struct fl_buf got = FL_BUF_INIT, want = FL_BUF_INIT;
    struct json_out j = json_out_on(&want);
    V1__Task *pb = master_task_pb(t, arena);

    task_writer_pb(tw, t, 2, &got);
    pb_add_head(&want, 2, v1__task__get_packed_size(pb));
    fl_buf_pack(&want, &pb->base);
    same_bytes("protobuf", &got, &want);
    task_writer_json(tw, t, &got);
    fl_json_from_pb(&want, &pb->base, FL_JSON_DEFAULTS);
    same_bytes("JSON", &got, &want);
    task_writer_legacy(tw, t, &got);
    legacy_json_task(&j, pb, t->resources);
    same_bytes("JSON of the older endpoints", &got, &want);
}

/* The agent comes with the task; ids are as they would have been checked. */
static void bring(V1__Task *t, struct fl_arena *arena)
{
    static const char said[] =
        "{\"slave\":{\"hostname\":\"h1\",\"id\":{\"value\":\"%s\"},\"resources\":" W_AGENT_RESOURCES
        "},\"version\":\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS "}";
    _cleanup_free_ char *json = xasprintf(said, w.aid);
    ProtobufCMessage *pb = NULL;

    if (fl_json_to_pb(json, strlen(json), &msg__reregister_slave_message__descriptor, 0,
                      fl_arena_allocator(arena), &pb, NULL) < 0)
        abort();
    Msg__ReregisterSlaveMessage *m = (Msg__ReregisterSlaveMessage *)pb;
    t->framework_id->value = w.fid;
    t->agent_id->value = w.aid;
    if (!t->task_id->value[0])
        t->task_id->value = (char *)"t";
    /* A status is kept with its task's id. */
    for (size_t i = 0; i < t->n_statuses; i++)
        t->statuses[i]->task_id->value = t->task_id->value;
    m->tasks = &t;
    m->n_tasks = 1;
    master_agent_message(w.m, (void *)"a2", "10.0.0.2:1", pb);
    w_settle(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_(task_writer_freep) struct task_writer *tw = NULL;
    ProtobufCMessage *m = NULL;

    fl_log_set_level(FL_LOG_ERROR);
    if (fl_pb_decode(data, size, &v1__task__descriptor, fl_arena_allocator(arena), &m, NULL) < 0)
        return 0;
    w_init(&w, NULL);
    w_subscribe(&w, "s1", ",\"checkpoint\":true,\"failover_timeout\":1000");
    fl_snprintf(w.aid, sizeof(w.aid), "%s-S9", w.m->id);
    bring((V1__Task *)m, arena);
    tw = task_writer_new();
    task_writer_begin(tw);
    for (const struct task *t = w.m->frameworks->tasks; t; t = t->hh.next)
        compare(tw, t, arena);
    w_done(&w);
    return 0;
}
