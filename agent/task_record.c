/* What is kept of each task and command executor for those who ask: encoded, since it is seldom read and there are many. A V1__Task in
 * memory is ten times as large as its encoding. */
#include "agent/agent_priv.h"

uint8_t *agent_pack(const ProtobufCMessage *m, uint32_t *ret_len)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_pack(&b, m);
    *ret_len = (uint32_t)b.len;
    return xmemdup(b.len ? b.data : "", b.len ? b.len : 1);
}

/* ---- tasks ---- */

static void read_limits(struct agent_task *t, const V1__Task *pb)
{
    t->cpu_limit = t->mem_limit = -1;
    for (size_t i = 0; i < pb->n_limits; i++) {
        const V1__Task__LimitsEntry *l = pb->limits[i];

        if (l->value && streq(l->key, "cpus"))
            t->cpu_limit = l->value->value;
        else if (l->value && streq(l->key, "mem"))
            t->mem_limit = l->value->value;
    }
}

void agent_task_record(struct agent_task *t, const V1__Task *pb)
{
    V1__Task launched = *pb;
    const V1__KillPolicy *policy = pb->kill_policy;

    launched.n_statuses = 0;
    launched.has_status_update_state = launched.has_status_update_uuid = false;
    t->record = agent_pack(&launched.base, &t->record_len);
    t->state = pb->state;
    read_limits(t, pb);
    t->has_grace = policy && policy->grace_period;
    t->grace_ns = t->has_grace ? policy->grace_period->nanoseconds : 0;
    for (size_t i = 0; i < pb->n_statuses; i++)
        agent_task_apply_status(t, pb->statuses[i]);
    t->state = pb->state;
}

V1__Task *agent_task_pb(const struct agent_task *t, struct fl_arena *arena)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err;
    int r = fl_pb_decode(t->record, t->record_len, &v1__task__descriptor, fl_arena_allocator(arena),
                         &m, &err);
    V1__Task *pb = (V1__Task *)m;

    assert(r == 0); /* it was encoded here */
    (void)r;
    pb->state = t->state;
    pb->has_status_update_state = t->told;
    if (t->told) {
        pb->status_update_state = t->told_state;
        pb->has_status_update_uuid = true;
        pb->status_update_uuid = (ProtobufCBinaryData){FL_UUID_LEN, (uint8_t *)t->told_uuid};
    }
    return pb;
}

static uint8_t *put_varint(uint8_t *p, size_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static unsigned number_of(const ProtobufCMessageDescriptor *d, const char *field)
{
    return protobuf_c_message_descriptor_get_field_by_name(d, field)->id;
}

static uint8_t *put_tag(uint8_t *p, const char *field, unsigned wire_type)
{
    return put_varint(p, number_of(&v1__task__descriptor, field) << 3 | wire_type);
}

/* Of a field that is there twice the last one counts: so what is newer than the record stands behind it. */
void agent_task_put(const struct agent_task *t, const char *field, ProtobufCMessage *m,
                    struct fl_arena *arena)
{
    uint8_t newer[6 * 10 + FL_UUID_LEN], *p = newer, *data;
    ProtobufCMessageUnknownField *u = &m->unknown_fields[m->n_unknown_fields++];
    size_t n;

    p = put_varint(put_tag(p, "state", PROTOBUF_C_WIRE_TYPE_VARINT), (size_t)t->state);
    if (t->told) {
        p = put_varint(put_tag(p, "status_update_state", PROTOBUF_C_WIRE_TYPE_VARINT),
                       (size_t)t->told_state);
        p = put_varint(put_tag(p, "status_update_uuid", PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED),
                       FL_UUID_LEN);
        memcpy(p, t->told_uuid, FL_UUID_LEN);
        p += FL_UUID_LEN;
    }
    n = (size_t)(p - newer);
    data = fl_arena_alloc(arena, 10 + t->record_len + n);
    p = put_varint(data, t->record_len + n);
    memcpy(p, t->record, t->record_len);
    memcpy(p + t->record_len, newer, n);
    *u = (ProtobufCMessageUnknownField){.tag = number_of(m->descriptor, field),
                                        .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                        .len = (size_t)(p - data) + t->record_len + n,
                                        .data = data};
}

/* One more element of the repeated field `statuses`. */
void agent_task_apply_status(struct agent_task *t, const V1__TaskStatus *status)
{
    V1__TaskStatus kept = *status;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    uint8_t head[2 * 10], *p;
    uint32_t at = t->record_len, n_head;

    /* `data` may be large and is the framework's alone. */
    kept.has_data = false;
    kept.data = (ProtobufCBinaryData){0, NULL};
    if (t->last_status && t->state == status->state)
        at = t->last_status;
    fl_buf_pack(&b, &kept.base);
    p = put_tag(head, "statuses", PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
    n_head = (uint32_t)(put_varint(p, b.len) - head);
    t->record_len = at + n_head + (uint32_t)b.len;
    t->record = xrealloc(t->record, t->record_len);
    memcpy(t->record + at, head, n_head);
    memcpy(t->record + at + n_head, b.data, b.len);
    t->last_status = at;
    t->state = status->state;
}

void agent_task_keep_info(struct agent_task *t, const V1__TaskInfo *info)
{
    if (!t->executor->command || info->check || info->health_check || info->max_completion_time)
        t->info = FL_PB_DUP(info);
}

/* ---- executors ---- */

const V1__ExecutorInfo *agent_executor_info(const struct agent_executor *e, struct fl_arena *arena)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err;
    int r;

    if (e->info)
        return e->info;
    r = fl_pb_decode(e->packed, e->packed_len, &v1__executor_info__descriptor,
                     fl_arena_allocator(arena), &m, &err);
    assert(r == 0); /* it was encoded here */
    (void)r;
    return (const V1__ExecutorInfo *)m;
}
