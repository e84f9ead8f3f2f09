/* Packs and unpacks what a task is kept as (task_pack.h).
 *
 * An encoded part leaves out the required fields of its message that a struct task has. Fields are
 * encoded in the order of their numbers, and these come first: the part is the encoding of the
 * message with these fields empty, less that beginning, which is put before it again to decode it.
 */
#include "master/task_pack.h"

#include <stddef.h>

#include "common/model/intern.h"
#include "master/core.h"

/* ---- the info ---- */

/* name and the ids of task, framework and agent are empty, state is 0. */
static const uint8_t info_lead[] = {0x0a, 0, 0x12, 2, 0x0a, 0, 0x1a, 2,
                                    0x0a, 0, 0x2a, 2, 0x0a, 0, 0x30, 0};

/* The encoding of `m` after the lead that it is known to begin with. */
static struct fl_buf *pack_after(struct master *m, const ProtobufCMessage *msg, const uint8_t *lead,
                                 size_t n_lead)
{
    struct fl_buf *b = &m->core->pack;

    fl_buf_clear(b);
    fl_buf_pack(b, msg);
    assert(b->len >= n_lead && memcmp(b->data, lead, n_lead) == 0);
    fl_buf_drain(b, n_lead);
    return b;
}

/* Most tasks have nothing to pack. */
static bool has_info(const V1__Task *pb)
{
    return pb->labels || pb->discovery || pb->container || pb->user || pb->health_check ||
           pb->kill_policy || pb->n_limits > 0 || pb->base.n_unknown_fields > 0;
}

static const char *pack_info(struct master *m, const V1__Task *pb)
{
    V1__TaskID task = V1__TASK_ID__INIT;
    V1__FrameworkID framework = V1__FRAMEWORK_ID__INIT;
    V1__AgentID agent = V1__AGENT_ID__INIT;
    V1__Task slim = *pb;
    struct fl_buf *b;

    if (!has_info(pb))
        return NULL;
    task.value = framework.value = agent.value = slim.name = (char *)"";
    slim.task_id = &task;
    slim.framework_id = &framework;
    slim.executor_id = NULL;
    slim.agent_id = &agent;
    slim.state = 0;
    slim.n_statuses = slim.n_resources = 0;
    slim.has_status_update_state = slim.has_status_update_uuid = false;
    b = pack_after(m, &slim.base, info_lead, sizeof(info_lead));
    return b->len == 0 ? NULL : intern_ref_n(b->data, b->len);
}

/* The part with its lead, decoded in the arena. */
static ProtobufCMessage *unpack_after(const ProtobufCMessageDescriptor *d, const uint8_t *lead,
                                      size_t n_lead, const void *part, size_t n,
                                      struct fl_arena *arena)
{
    uint8_t *whole = fl_arena_alloc(arena, n_lead + n);
    ProtobufCMessage *msg = NULL;
    int r;

    memcpy(whole, lead, n_lead);
    if (n > 0)
        memcpy(whole + n_lead, part, n);
    r = fl_pb_decode(whole, n_lead + n, d, fl_arena_allocator(arena), &msg, NULL);
    assert(r == 0); /* we encoded it */
    (void)r;
    return msg;
}

V1__Task *task_info_pb(const struct task *t, struct fl_arena *arena)
{
    if (!t->info)
        return NULL;
    return (V1__Task *)unpack_after(&v1__task__descriptor, info_lead, sizeof(info_lead), t->info,
                                    intern_len(t->info), arena);
}

const char *task_name(const struct task *t)
{
    return t->id + t->name_at;
}

/* ---- the history ---- */

/* The id of the task is empty, state is 0. */
static const uint8_t status_lead[] = {0x0a, 2, 0x0a, 0, 0x10, 0};

enum status_flag {
    HAS_TIMESTAMP = 1,
    HAS_UUID = 2,
    HAS_SOURCE = 4,
    HAS_REASON = 8,
    HAS_HEALTHY = 16,
    HEALTHY = 32,
    OF_AGENT = 64,     /* agent_id is the task's */
    OF_EXECUTOR = 128, /* executor_id is the task's */
    OF_COMMAND = 256,  /* executor_id is the id of the task: its command executor */
};

/* The head of a status; what it has none of is zero. `len` bytes of the encoded rest follow. */
struct status_head {
    double timestamp;
    uint8_t uuid[FL_UUID_LEN];
    uint32_t len;
    uint16_t flags;
    uint8_t state, source, reason;
} __attribute__((packed));

#define FITS_BYTE(v) ((unsigned)(v) <= UINT8_MAX)

static uint16_t take_ids(const struct task *t, V1__TaskStatus *slim)
{
    uint16_t flags = 0;

    if (slim->agent_id && streq(slim->agent_id->value, t->agent_id)) {
        slim->agent_id = NULL;
        flags |= OF_AGENT;
    }
    if (slim->executor_id && t->executor_id && streq(slim->executor_id->value, t->executor_id)) {
        slim->executor_id = NULL;
        flags |= OF_EXECUTOR;
    } else if (slim->executor_id && streq(slim->executor_id->value, t->id)) {
        slim->executor_id = NULL;
        flags |= OF_COMMAND;
    }
    return flags;
}

/* Moves what fits from `slim` into the head. */
static void take_head(const struct task *t, V1__TaskStatus *slim, struct status_head *h)
{
    *h = (struct status_head){.state = (uint8_t)slim->state};
    slim->state = 0;
    h->flags = take_ids(t, slim);
    if (slim->has_timestamp) {
        h->timestamp = slim->timestamp;
        h->flags |= HAS_TIMESTAMP;
        slim->has_timestamp = false;
    }
    if (slim->has_uuid && slim->uuid.len == FL_UUID_LEN) {
        memcpy(h->uuid, slim->uuid.data, FL_UUID_LEN);
        h->flags |= HAS_UUID;
        slim->has_uuid = false;
    }
    if (slim->has_source && FITS_BYTE(slim->source)) {
        h->source = (uint8_t)slim->source;
        h->flags |= HAS_SOURCE;
        slim->has_source = false;
    }
    if (slim->has_reason && FITS_BYTE(slim->reason)) {
        h->reason = (uint8_t)slim->reason;
        h->flags |= HAS_REASON;
        slim->has_reason = false;
    }
    if (slim->has_healthy) {
        h->flags |= (uint16_t)(HAS_HEALTHY | (slim->healthy ? HEALTHY : 0));
        slim->has_healthy = false;
    }
}

static void read_head(const struct task *t, uint32_t at, struct status_head *ret)
{
    memcpy(ret, t->statuses + at, sizeof(*ret));
}

static uint32_t last_status_at(const struct task *t)
{
    struct status_head h;
    uint32_t at = 0;

    for (uint32_t i = 1; i < t->n_statuses; i++) {
        read_head(t, at, &h);
        at += (uint32_t)sizeof(h) + h.len;
    }
    return at;
}

/* Anything that take_head() left, or does not know. */
static bool has_more(const V1__TaskStatus *slim)
{
    return slim->message || slim->agent_id || slim->executor_id || slim->has_source ||
           slim->has_reason || slim->has_uuid || slim->labels || slim->container_status ||
           slim->unreachable_time || slim->check_status || slim->limitation ||
           slim->base.n_unknown_fields > 0;
}

/* The encoding of what a head does not have, in the core's buffer. */
static struct fl_buf *pack_more(struct master *m, V1__TaskStatus *slim)
{
    V1__TaskID empty = V1__TASK_ID__INIT;

    if (!has_more(slim)) {
        fl_buf_clear(&m->core->pack);
        return &m->core->pack;
    }
    empty.value = (char *)"";
    slim->task_id = &empty; /* it is the task's, or the status would not have come here */
    return pack_after(m, &slim->base, status_lead, sizeof(status_lead));
}

bool task_pack_status(struct master *m, struct task *t, const V1__TaskStatus *st)
{
    bool is_new = t->n_statuses == 0 || t->last_status_state != st->state;
    uint32_t at = is_new ? t->statuses_len : last_status_at(t);
    V1__TaskStatus slim = *st;
    struct status_head h;
    struct fl_buf *b;

    assert(FITS_BYTE(st->state)); /* counted by state before */
    slim.has_data = false;
    take_head(t, &slim, &h);
    b = pack_more(m, &slim);
    h.len = (uint32_t)b->len;
    t->statuses_len = at + (uint32_t)sizeof(h) + h.len;
    t->statuses = xrealloc(t->statuses, t->statuses_len);
    memcpy(t->statuses + at, &h, sizeof(h));
    if (h.len > 0)
        memcpy(t->statuses + at + sizeof(h), b->data, h.len);
    if (is_new && t->n_statuses++ == 0)
        t->first_status_time = st->timestamp;
    t->last_status_state = st->state;
    return is_new;
}

static void view_at(const struct task *t, uint32_t at, struct task_status_view *ret)
{
    struct status_head h;

    read_head(t, at, &h);
    *ret = (struct task_status_view){
        .state = h.state,
        .has_timestamp = h.flags & HAS_TIMESTAMP,
        .has_source = h.flags & HAS_SOURCE,
        .has_reason = h.flags & HAS_REASON,
        .has_healthy = h.flags & HAS_HEALTHY,
        .healthy = h.flags & HEALTHY,
        .timestamp = h.timestamp,
        .source = h.source,
        .reason = h.reason,
        .uuid = h.flags & HAS_UUID ? t->statuses + at + offsetof(struct status_head, uuid) : NULL,
        .agent_id = h.flags & OF_AGENT ? t->agent_id : NULL,
        .executor_id = h.flags & OF_EXECUTOR  ? t->executor_id
                       : h.flags & OF_COMMAND ? t->id
                                              : NULL,
        .has_more = h.len > 0,
        .more = t->statuses + at + sizeof(h),
        .n_more = h.len,
    };
}

bool task_status_next(const struct task *t, uint32_t *at, struct task_status_view *ret)
{
    if (*at >= t->statuses_len)
        return false;
    view_at(t, *at, ret);
    *at += (uint32_t)sizeof(struct status_head) + ret->n_more;
    return true;
}

bool task_status_last(const struct task *t, struct task_status_view *ret)
{
    if (t->n_statuses == 0)
        return false;
    view_at(t, last_status_at(t), ret);
    return true;
}

static void put_ids(V1__TaskStatus *st, const struct task *t, const struct task_status_view *v,
                    struct fl_arena *arena)
{
    st->task_id = FL_ARENA_NEW(arena, V1__TaskID, v1__task_id);
    st->task_id->value = fl_arena_strdup(arena, t->id);
    if (v->agent_id) {
        st->agent_id = FL_ARENA_NEW(arena, V1__AgentID, v1__agent_id);
        st->agent_id->value = fl_arena_strdup(arena, v->agent_id);
    }
    if (v->executor_id) {
        st->executor_id = FL_ARENA_NEW(arena, V1__ExecutorID, v1__executor_id);
        st->executor_id->value = fl_arena_strdup(arena, v->executor_id);
    }
}

V1__TaskStatus *task_status_pb(const struct task *t, const struct task_status_view *v,
                               struct fl_arena *arena)
{
    V1__TaskStatus *st;

    if (v->has_more)
        st = (V1__TaskStatus *)unpack_after(&v1__task_status__descriptor, status_lead,
                                            sizeof(status_lead), v->more, v->n_more, arena);
    else
        st = FL_ARENA_NEW(arena, V1__TaskStatus, v1__task_status);
    st->state = v->state;
    put_ids(st, t, v, arena);
    if (v->has_timestamp) {
        st->has_timestamp = true;
        st->timestamp = v->timestamp;
    }
    if (v->uuid) {
        st->has_uuid = true;
        st->uuid.len = FL_UUID_LEN;
        st->uuid.data = fl_arena_alloc(arena, FL_UUID_LEN);
        memcpy(st->uuid.data, v->uuid, FL_UUID_LEN);
    }
    if (v->has_source) {
        st->has_source = true;
        st->source = v->source;
    }
    if (v->has_reason) {
        st->has_reason = true;
        st->reason = v->reason;
    }
    if (v->has_healthy) {
        st->has_healthy = true;
        st->healthy = v->healthy;
    }
    return st;
}

/* ---- the task ---- */

struct task *task_pack_new(struct master *m, const V1__Task *pb, const char *agent_id)
{
    const char *id = pb->task_id->value, *name = pb->name;
    size_t n_id = strlen(id) + 1, n_name = streq(id, name) ? 0 : strlen(name) + 1;
    struct task *t = xcalloc(1, offsetof(struct task, id) + n_id + n_name);

    memcpy(t->id, id, n_id);
    if (n_name > 0) {
        t->name_at = (uint32_t)n_id;
        memcpy(t->id + n_id, name, n_name);
    }
    t->agent_id = intern_ref(agent_id);
    t->executor_id = pb->executor_id ? intern_ref(pb->executor_id->value) : NULL;
    t->info = pack_info(m, pb);
    if (m->acls)
        t->user = intern_ref(pb->user);
    return t;
}

void task_pack_free(struct task *t)
{
    resources_release(t->resources);
    intern_unref(t->agent_id);
    intern_unref(t->executor_id);
    intern_unref(t->user);
    intern_unref(t->info);
    free(t->statuses);
    free(t);
}
