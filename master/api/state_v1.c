/* Views of the operator API: GET_STATE, GET_TASKS, GET_AGENTS, GET_FRAMEWORKS, GET_EXECUTORS, and SUBSCRIBED. Tasks are written from
 * the bytes that the core keeps; the other objects, of which there are fewer, by way of their messages, one at a time.
 *
 * An encoded answer has its lengths in front. Those of the outermost messages, which hold the very many tasks, are known at the
 * end and go into `head`. Resources go out in endpoint format, as the reference's operator API has them. */
#include "common/base/pb_wire.h"
#include "master/api/state.h"

/* Fields of GetTasks, GetState, Response and Event. */
enum {
    GET_TASKS_TASKS = 2,
    GET_TASKS_COMPLETED = 3,
    GET_TASKS_UNREACHABLE = 5,
    GET_STATE_TASKS = 1,
    GET_STATE_EXECUTORS,
    GET_STATE_FRAMEWORKS,
    GET_STATE_AGENTS,
    RESPONSE_TYPE = 1,
    RESPONSE_STATE = 9,
    RESPONSE_AGENTS,
    RESPONSE_FRAMEWORKS,
    RESPONSE_EXECUTORS,
    RESPONSE_TASKS,
    EVENT_TYPE = 1,
    EVENT_SUBSCRIBED = 2,
    SUBSCRIBED_STATE = 1,
};

/* One message of a list: its field's number when encoded. */
static void put(struct state_out *o, const ProtobufCMessage *m, uint32_t field)
{
    if (o->rq->encoding == API_JSON) {
        json_pb(&o->j, m, FL_JSON_DEFAULTS);
    } else {
        pb_add_head(&o->buf, field, protobuf_c_message_get_packed_size(m));
        fl_buf_pack(&o->buf, m);
    }
    fl_arena_reset(o->arena);
    state_step(o);
}

static void begin_list(struct state_out *o, const char *name)
{
    if (o->rq->encoding == API_JSON)
        json_karray(&o->j, name);
}

static void end_list(struct state_out *o)
{
    if (o->rq->encoding == API_JSON)
        json_end_array(&o->j);
}

/* ---- the parts: what stands between the braces ---- */

static void write_agents(struct state_out *o)
{
    begin_list(o, "agents");
    for (const struct agent *a = o->m->agents; a; a = a->hh.next)
        put(o, &viewer_agent(o->viewer, master_agent_pb(o->m, a, o->arena), o->arena)->base, 1);
    end_list(o);
    begin_list(o, "recovered_agents");
    for (const struct known_agent *k = o->m->recovered_agents; k; k = k->hh.next)
        if (k->info)
            put(o, &viewer_agent_info(o->viewer, k->info, o->arena)->base, 2);
    end_list(o);
}

static void write_frameworks(struct state_out *o)
{
    begin_list(o, "frameworks");
    for (const struct framework *f = o->m->frameworks; f; f = f->hh.next)
        if (viewer_sees_framework(o->viewer, f->info))
            put(o, &master_framework_pb(o->m, f, o->arena)->base, 1);
    end_list(o);
    begin_list(o, "completed_frameworks");
    for (const struct framework *f = o->m->completed_frameworks; f; f = f->next_completed)
        if (viewer_sees_framework(o->viewer, f->info))
            put(o, &master_framework_pb(o->m, f, o->arena)->base, 2);
    end_list(o);
}

static void write_executors(struct state_out *o)
{
    begin_list(o, "executors");
    for (const struct agent *a = o->m->agents; a; a = a->hh.next) {
        for (const struct executor *e = a->executors; e; e = e->next) {
            Mapi__Response__GetExecutors__Executor x =
                MAPI__RESPONSE__GET_EXECUTORS__EXECUTOR__INIT;
            V1__AgentID id = V1__AGENT_ID__INIT;

            if (!viewer_sees_executor(o->viewer, e))
                continue;
            id.value = (char *)a->id;
            x.executor_info = e->info;
            x.agent_id = &id;
            put(o, &x.base, 1);
        }
    }
    end_list(o);
}

static void put_task(struct state_out *o, const struct task *t, void *field)
{
    if (o->rq->encoding == API_JSON) {
        state_comma(o);
        task_writer_json(o->tasks, t, &o->buf);
    } else {
        task_writer_pb(o->tasks, t, *(const uint32_t *)field, &o->buf);
    }
}

static void write_task_list(struct state_out *o, const char *name, enum task_list list,
                            uint32_t field)
{
    begin_list(o, name);
    state_each_task(o, list, put_task, &field);
    end_list(o);
}

/* Encoded fields go by their numbers; in JSON the reference has the unreachable ones before. */
static void write_tasks(struct state_out *o)
{
    bool json = o->rq->encoding == API_JSON;

    write_task_list(o, "tasks", TASKS_LIVE, GET_TASKS_TASKS);
    if (json)
        write_task_list(o, "unreachable_tasks", TASKS_UNREACHABLE, GET_TASKS_UNREACHABLE);
    write_task_list(o, "completed_tasks", TASKS_COMPLETED, GET_TASKS_COMPLETED);
    if (!json)
        write_task_list(o, "unreachable_tasks", TASKS_UNREACHABLE, GET_TASKS_UNREACHABLE);
}

/* ---- whole answers in JSON ---- */

static void json_part(struct state_out *o, const char *key, state_write_f *part)
{
    json_kobject(&o->j, key);
    part(o);
    json_end_object(&o->j);
}

static void json_get_state(struct state_out *o)
{
    json_part(o, "get_tasks", write_tasks);
    json_part(o, "get_executors", write_executors);
    json_part(o, "get_frameworks", write_frameworks);
    json_part(o, "get_agents", write_agents);
}

/* ---- whole answers, encoded ---- */

/* A message in front of which its length has to stand, small enough to be kept meanwhile. */
static void pb_part(struct state_out *o, uint32_t field, state_write_f *part)
{
    struct state_out inner = *o;

    inner.buf = (struct fl_buf)FL_BUF_INIT;
    inner.spill = NULL;
    part(&inner);
    pb_add_bytes(&o->buf, field, inner.buf.data, inner.buf.len);
    fl_buf_done(&inner.buf);
    state_step(o);
}

/* Everything of GetState but the head of its first field, which comes back in `head`. */
static void pb_get_state(struct state_out *o, struct fl_buf *head)
{
    size_t begun = state_pos(o);

    write_tasks(o);
    pb_add_head(head, GET_STATE_TASKS, state_pos(o) - begun);
    pb_part(o, GET_STATE_EXECUTORS, write_executors);
    pb_part(o, GET_STATE_FRAMEWORKS, write_frameworks);
    pb_part(o, GET_STATE_AGENTS, write_agents);
}

static void pb_response(struct state_out *o, Mapi__Response__Type type, uint32_t field,
                        state_write_f *part)
{
    _cleanup_buf_ struct fl_buf inner = FL_BUF_INIT;

    if (part)
        part(o);
    else
        pb_get_state(o, &inner);
    pb_add_varint(&o->head, RESPONSE_TYPE, (uint64_t)type);
    pb_add_head(&o->head, field, inner.len + state_pos(o));
    fl_buf_add(&o->head, inner.data, inner.len);
}

/* ---- the views ---- */

static void response(struct state_out *o, Mapi__Response__Type type, const char *key,
                     uint32_t field, state_write_f *part)
{
    if (o->rq->encoding == API_PROTOBUF) {
        pb_response(o, type, field, part);
        return;
    }
    json_object(&o->j);
    json_kstr(&o->j, "type", fl_enum_name(&mapi__response__type__descriptor, (int)type));
    json_part(o, key, part ? part : json_get_state);
    json_end_object(&o->j);
}

static void get_state(struct state_out *o)
{
    response(o, MAPI__RESPONSE__TYPE__GET_STATE, "get_state", RESPONSE_STATE, NULL);
}

static void get_agents(struct state_out *o)
{
    response(o, MAPI__RESPONSE__TYPE__GET_AGENTS, "get_agents", RESPONSE_AGENTS, write_agents);
}

static void get_frameworks(struct state_out *o)
{
    response(o, MAPI__RESPONSE__TYPE__GET_FRAMEWORKS, "get_frameworks", RESPONSE_FRAMEWORKS,
             write_frameworks);
}

static void get_executors(struct state_out *o)
{
    response(o, MAPI__RESPONSE__TYPE__GET_EXECUTORS, "get_executors", RESPONSE_EXECUTORS,
             write_executors);
}

static void get_tasks(struct state_out *o)
{
    response(o, MAPI__RESPONSE__TYPE__GET_TASKS, "get_tasks", RESPONSE_TASKS, write_tasks);
}

static void pb_subscribed(struct state_out *o)
{
    _cleanup_buf_ struct fl_buf state = FL_BUF_INIT, subscribed = FL_BUF_INIT;
    Mapi__Event__Subscribed rest = MAPI__EVENT__SUBSCRIBED__INIT;

    pb_get_state(o, &state);
    pb_add_head(&subscribed, SUBSCRIBED_STATE, state.len + state_pos(o));
    rest.has_heartbeat_interval_seconds = true;
    rest.heartbeat_interval_seconds = STATE_HEARTBEAT_S;
    fl_buf_pack(&o->buf, &rest.base);
    pb_add_varint(&o->head, EVENT_TYPE, MAPI__EVENT__TYPE__SUBSCRIBED);
    pb_add_head(&o->head, EVENT_SUBSCRIBED, subscribed.len + state.len + state_pos(o));
    fl_buf_add(&o->head, subscribed.data, subscribed.len);
    fl_buf_add(&o->head, state.data, state.len);
}

/* A whole record of the stream. */
static void subscribed(struct state_out *o)
{
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT;

    if (o->rq->encoding == API_PROTOBUF) {
        pb_subscribed(o);
    } else {
        json_object(&o->j);
        json_kstr(&o->j, "type", "SUBSCRIBED");
        json_kobject(&o->j, "subscribed");
        json_part(o, "get_state", json_get_state);
        json_kdouble(&o->j, "heartbeat_interval_seconds", STATE_HEARTBEAT_S);
        json_end_object(&o->j);
        json_end_object(&o->j);
    }
    fl_buf_addf(&record, "%zu\n", o->head.len + state_pos(o));
    fl_buf_add(&record, o->head.data, o->head.len);
    fl_buf_done(&o->head);
    o->head = record;
    record = (struct fl_buf)FL_BUF_INIT;
}

const struct state_view state_view_get_state = {"GET_STATE", get_state, false};
const struct state_view state_view_get_agents = {"GET_AGENTS", get_agents, false};
const struct state_view state_view_get_frameworks = {"GET_FRAMEWORKS", get_frameworks, false};
const struct state_view state_view_get_executors = {"GET_EXECUTORS", get_executors, false};
const struct state_view state_view_get_tasks = {"GET_TASKS", get_tasks, false};
const struct state_view state_view_subscribed = {"SUBSCRIBE", subscribed, false};
