/* See task_writer.h. An encoded Task is put together from the core's parts in the order of the fields; from there it is transcoded. */
#include "master/api/task_writer.h"

#include "common/base/json_put.h"
#include "common/base/pb_wire.h"
#include "common/model/legacy_wire.h"
#include "common/model/resources_texts.h"

/* Fields of V1__Task. What is known apart from the kept message stands between these. */
enum {
    TASK_STATE = 6,
    TASK_RESOURCES,
    TASK_STATUSES,
    TASK_UPDATE_STATE,
    TASK_UPDATE_UUID,
};

struct task_writer {
    struct json_wire *json; /* owned */
    const struct json_wire_type *task;
    struct legacy_wire *legacy;    /* owned */
    struct resources_texts *texts; /* owned */
    struct fl_buf encoded;         /* owned */
};

struct task_writer *task_writer_new(void)
{
    struct task_writer *w = xnew0(struct task_writer);

    w->json = json_wire_new(FL_JSON_DEFAULTS);
    w->task = json_wire_type(w->json, &v1__task__descriptor);
    w->legacy = legacy_wire_new();
    w->texts = resources_texts_new(TASK_RESOURCES);
    return w;
}

void task_writer_free(struct task_writer *w)
{
    if (!w)
        return;
    json_wire_free(w->json);
    legacy_wire_free(w->legacy);
    resources_texts_free(w->texts);
    fl_buf_done(&w->encoded);
    free(w);
}

void task_writer_prefetch(const struct task *t)
{
    __builtin_prefetch(t->info);
    __builtin_prefetch(t->info + 64);
    __builtin_prefetch(t->info + 128);
    __builtin_prefetch(t->statuses);
    __builtin_prefetch(t->statuses + 64);
    __builtin_prefetch(t->resources.items);
}

/* From the first field with a number of at least `id` on. */
static const uint8_t *skip_to(const uint8_t *p, const uint8_t *end, uint32_t id)
{
    struct pb_field f;

    while (p < end) {
        const uint8_t *next = pb_next(p, end, &f);

        assert(next); /* we encoded it */
        if (f.id >= id)
            break;
        p = next;
    }
    return p;
}

static void add_statuses(const struct task *t, struct fl_buf *b)
{
    for (uint32_t at = 0; at < t->statuses_len;) {
        uint32_t n;

        memcpy(&n, t->statuses + at, sizeof(n));
        pb_add_bytes(b, TASK_STATUSES, t->statuses + at + sizeof(n), n);
        at += (uint32_t)sizeof(n) + n;
    }
}

/* The whole message, with `resources` or without. */
static void encode(struct task_writer *w, const struct task *t, const struct fl_buf *resources)
{
    const uint8_t *p = t->info, *end = p + t->info_len;
    const uint8_t *head_end = skip_to(p, end, TASK_STATE);
    const uint8_t *rest = skip_to(head_end, end, TASK_UPDATE_UUID + 1);
    struct fl_buf *b = &w->encoded;

    fl_buf_clear(b);
    fl_buf_add(b, p, (size_t)(head_end - p));
    pb_add_varint(b, TASK_STATE, (uint64_t)(int64_t)t->state);
    if (resources)
        fl_buf_add(b, resources->data, resources->len);
    add_statuses(t, b);
    if (t->has_status_update)
        pb_add_varint(b, TASK_UPDATE_STATE, (uint64_t)(int64_t)t->status_update_state);
    if (t->has_status_update_uuid)
        pb_add_bytes(b, TASK_UPDATE_UUID, t->status_update_uuid, FL_UUID_LEN);
    fl_buf_add(b, rest, (size_t)(end - rest));
}

void task_writer_pb(struct task_writer *w, const struct task *t, uint32_t field, struct fl_buf *out)
{
    encode(w, t, &resources_texts_get(w->texts, &t->resources)->encoded);
    pb_add_bytes(out, field, w->encoded.data, w->encoded.len);
}

void task_writer_json(struct task_writer *w, const struct task *t, struct fl_buf *out)
{
    encode(w, t, &resources_texts_get(w->texts, &t->resources)->encoded);
    json_wire_put(out, w->task, w->encoded.data, w->encoded.len);
}

void task_writer_legacy(struct task_writer *w, const struct task *t, struct fl_buf *out)
{
    const struct resources_text *x = resources_texts_get(w->texts, &t->resources);

    encode(w, t, NULL);
    legacy_wire_task(w->legacy, out, w->encoded.data, w->encoded.len, &x->summary, x->role);
}
