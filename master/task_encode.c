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
};

/* Bytes are put where room was made for all of them, so nothing below checks. */
static inline uint8_t *put_head(uint8_t *p, uint32_t field, size_t n)
{
    *p++ = (uint8_t)(field << 3 | PB_BYTES); /* all fields here are below 16 */
    return pb_put_varint(p, n);
}

static inline uint8_t *put_bytes(uint8_t *p, const void *data, size_t n)
{
    memcpy(p, data, n);
    return p + n;
}

/* A message that holds one text as its field 1: any id. */
static inline uint8_t *put_id(uint8_t *p, uint32_t field, const char *id, size_t n)
{
    p = put_head(p, field, 1 + pb_varint_size(n) + n);
    p = put_head(p, 1, n);
    return put_bytes(p, id, n);
}

static inline uint8_t *put_varint(uint8_t *p, uint32_t field, uint64_t v)
{
    *p++ = (uint8_t)(field << 3 | PB_VARINT);
    return pb_put_varint(p, v);
}

/* ---- statuses ---- */

/* Beyond ids and rest: heads, and what has a fixed size. */
#define STATUS_FIXED 128

struct lengths {
    size_t id, name, framework, agent, executor;
};

struct rest {
    const uint8_t *p, *end;
};

/* What the rest has before that field. */
static inline uint8_t *put_before(uint8_t *p, struct rest *r, uint32_t id)
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
    return r->p == begin ? p : put_bytes(p, begin, (size_t)(r->p - begin));
}

static uint8_t *put_status_fields(uint8_t *p, const struct task *t,
                                  const struct task_status_view *v, const struct lengths *l)
{
    struct rest rest = {v->more, v->more + v->n_more};

    p = put_id(p, STATUS_TASK_ID, t->id, l->id);
    p = put_varint(p, STATUS_STATE, (uint64_t)(int64_t)v->state);
    p = put_before(p, &rest, STATUS_AGENT_ID);
    if (v->agent_id)
        p = put_id(p, STATUS_AGENT_ID, v->agent_id, l->agent);
    p = put_before(p, &rest, STATUS_TIMESTAMP);
    if (v->has_timestamp) {
        *p++ = STATUS_TIMESTAMP << 3 | PB_64BIT;
        p = put_bytes(p, &v->timestamp, sizeof(v->timestamp));
    }
    p = put_before(p, &rest, STATUS_EXECUTOR_ID);
    if (v->executor_id)
        p = put_id(p, STATUS_EXECUTOR_ID, v->executor_id,
                   v->executor_id == t->id ? l->id : l->executor);
    p = put_before(p, &rest, STATUS_HEALTHY);
    if (v->has_healthy)
        p = put_varint(p, STATUS_HEALTHY, v->healthy);
    p = put_before(p, &rest, STATUS_SOURCE);
    if (v->has_source)
        p = put_varint(p, STATUS_SOURCE, (uint64_t)(int64_t)v->source);
    p = put_before(p, &rest, STATUS_REASON);
    if (v->has_reason)
        p = put_varint(p, STATUS_REASON, (uint64_t)(int64_t)v->reason);
    p = put_before(p, &rest, STATUS_UUID);
    if (v->uuid) {
        p = put_head(p, STATUS_UUID, FL_UUID_LEN);
        p = put_bytes(p, v->uuid, FL_UUID_LEN);
    }
    return put_bytes(p, rest.p, (size_t)(rest.end - rest.p));
}

/* The length stands in front: most have one of two bytes, so for these nothing moves. */
static uint8_t *put_status(uint8_t *p, const struct task *t, const struct task_status_view *v,
                           const struct lengths *l)
{
    uint8_t *begin = p + 3, *end = put_status_fields(begin, t, v, l);
    size_t n = (size_t)(end - begin), head = 1 + pb_varint_size(n);

    if (head != 3)
        memmove(p + head, begin, n);
    put_head(p, TASK_STATUSES, n);
    return p + head + n;
}

/* ---- the task ---- */

static size_t bound(const struct task *t, const struct lengths *l, size_t resources, size_t info)
{
    return l->name + l->id + l->framework + l->agent + l->executor + resources + info + 256 +
           t->statuses_len + t->n_statuses * (2 * l->id + l->agent + l->executor + STATUS_FIXED);
}

void task_encode(const struct task *t, const struct fl_buf *resources_or_null, struct fl_buf *b)
{
    const char *name = task_name(t);
    struct lengths l = {
        .id = strlen(t->id),
        .framework = strlen(t->framework->id),
        .agent = strlen(t->agent_id),
        .executor = t->executor_id ? strlen(t->executor_id) : 0,
    };
    size_t n_resources = resources_or_null ? resources_or_null->len : 0;
    size_t n_info = t->info ? intern_len(t->info) : 0;
    struct task_status_view v;
    uint32_t at = 0;
    uint8_t *p;

    l.name = name == t->id ? l.id : strlen(name);
    p = (uint8_t *)fl_buf_reserve(b, bound(t, &l, n_resources, n_info));
    p = put_head(p, TASK_NAME, l.name);
    p = put_bytes(p, name, l.name);
    p = put_id(p, TASK_ID, t->id, l.id);
    p = put_id(p, TASK_FRAMEWORK_ID, t->framework->id, l.framework);
    if (t->executor_id)
        p = put_id(p, TASK_EXECUTOR_ID, t->executor_id, l.executor);
    p = put_id(p, TASK_AGENT_ID, t->agent_id, l.agent);
    p = put_varint(p, TASK_STATE, (uint64_t)(int64_t)t->state);
    if (n_resources)
        p = put_bytes(p, resources_or_null->data, n_resources);
    while (task_status_next(t, &at, &v))
        p = put_status(p, t, &v, &l);
    if (t->has_status_update)
        p = put_varint(p, TASK_UPDATE_STATE, (uint64_t)(int64_t)t->status_update_state);
    if (t->has_status_update_uuid) {
        p = put_head(p, TASK_UPDATE_UUID, FL_UUID_LEN);
        p = put_bytes(p, t->status_update_uuid, FL_UUID_LEN);
    }
    if (n_info)
        p = put_bytes(p, t->info, n_info);
    b->len = (size_t)((char *)p - b->data);
}
