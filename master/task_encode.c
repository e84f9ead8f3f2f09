/* A task put together as the encoded V1__Task that protobuf-c would make of master_task_pb(), by copying what is kept encoded. Fields
 * go by their numbers; see task_pack.h for what is kept where. */
#include "master/task_pack.h"

#include "common/base/pb_wire.h"
#include "common/model/intern.h"

/* Fields of V1__Task and V1__TaskStatus. */
enum {
    TASK_NAME = 1,
    TASK_ID,
    TASK_FRAMEWORK_ID,
    TASK_EXECUTOR_ID,
    TASK_AGENT_ID,
    TASK_STATE,
    TASK_STATUSES = 8,
    TASK_UPDATE_STATE,
    TASK_UPDATE_UUID,
    STATUS_TASK_ID = 1,
    STATUS_STATE,
    STATUS_AGENT_ID = 5,
    STATUS_TIMESTAMP,
    STATUS_EXECUTOR_ID,
    STATUS_HEALTHY,
    STATUS_SOURCE,
    STATUS_REASON,
    STATUS_UUID,
    STATUS_REST,
};

/* A message that holds one text as its field 1: any id. */
static void add_id(struct fl_buf *b, uint32_t field, const char *id)
{
    size_t n = strlen(id);

    pb_add_head(b, field, 1 + pb_varint_size(n) + n);
    pb_add_bytes(b, 1, id, n);
}

/* ---- statuses ---- */

struct rest {
    const uint8_t *p, *end;
};

/* What the rest has before that field. */
static void add_before(struct fl_buf *b, struct rest *r, uint32_t id)
{
    const uint8_t *begin = r->p;
    struct pb_field f;

    while (r->p < r->end) {
        const uint8_t *next = pb_next(r->p, r->end, &f);

        assert(next); /* we encoded it */
        if (f.id >= id)
            break;
        r->p = next;
    }
    fl_buf_add(b, begin, (size_t)(r->p - begin));
}

static void add_double(struct fl_buf *b, uint32_t id, double v)
{
    uint8_t head = (uint8_t)(id << 3 | PB_64BIT);

    fl_buf_add(b, &head, 1);
    fl_buf_add(b, &v, sizeof(v));
}

static void add_status(struct fl_buf *b, const struct task *t, const struct task_status_view *v)
{
    struct rest rest = {v->more, v->more + v->n_more};
    size_t begun = pb_begin(b);

    add_id(b, STATUS_TASK_ID, t->id);
    pb_add_varint(b, STATUS_STATE, (uint64_t)(int64_t)v->state);
    add_before(b, &rest, STATUS_AGENT_ID);
    if (v->agent_id)
        add_id(b, STATUS_AGENT_ID, v->agent_id);
    add_before(b, &rest, STATUS_TIMESTAMP);
    if (v->has_timestamp)
        add_double(b, STATUS_TIMESTAMP, v->timestamp);
    add_before(b, &rest, STATUS_EXECUTOR_ID);
    if (v->executor_id)
        add_id(b, STATUS_EXECUTOR_ID, v->executor_id);
    add_before(b, &rest, STATUS_HEALTHY);
    if (v->has_healthy)
        pb_add_varint(b, STATUS_HEALTHY, v->healthy);
    add_before(b, &rest, STATUS_SOURCE);
    if (v->has_source)
        pb_add_varint(b, STATUS_SOURCE, (uint64_t)(int64_t)v->source);
    add_before(b, &rest, STATUS_REASON);
    if (v->has_reason)
        pb_add_varint(b, STATUS_REASON, (uint64_t)(int64_t)v->reason);
    add_before(b, &rest, STATUS_UUID);
    if (v->uuid)
        pb_add_bytes(b, STATUS_UUID, v->uuid, FL_UUID_LEN);
    fl_buf_add(b, rest.p, (size_t)(rest.end - rest.p));
    pb_end(b, TASK_STATUSES, begun);
}

/* ---- the task ---- */

void task_encode(const struct task *t, const struct fl_buf *resources_or_null, struct fl_buf *b)
{
    const char *name = task_name(t);
    struct task_status_view v;
    uint32_t at = 0;

    pb_add_bytes(b, TASK_NAME, name, strlen(name));
    add_id(b, TASK_ID, t->id);
    add_id(b, TASK_FRAMEWORK_ID, t->framework->id);
    if (t->executor_id)
        add_id(b, TASK_EXECUTOR_ID, t->executor_id);
    add_id(b, TASK_AGENT_ID, t->agent_id);
    pb_add_varint(b, TASK_STATE, (uint64_t)(int64_t)t->state);
    if (resources_or_null)
        fl_buf_add(b, resources_or_null->data, resources_or_null->len);
    while (task_status_next(t, &at, &v))
        add_status(b, t, &v);
    if (t->has_status_update)
        pb_add_varint(b, TASK_UPDATE_STATE, (uint64_t)(int64_t)t->status_update_state);
    if (t->has_status_update_uuid)
        pb_add_bytes(b, TASK_UPDATE_UUID, t->status_update_uuid, FL_UUID_LEN);
    if (t->info)
        fl_buf_add(b, t->info, intern_len(t->info));
}
