/* See task_writer.h. An encoded Task is put together from what the core keeps; from there it is transcoded. */
#include "master/api/task_writer.h"

#include "common/base/json_put.h"
#include "common/base/pb_wire.h"
#include "common/model/legacy_wire.h"
#include "common/model/resources_texts.h"
#include "master/task_pack.h"

#define TASK_RESOURCES 7 /* the field of V1__Task */

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

void task_writer_begin(struct task_writer *w)
{
    resources_texts_forget(w->texts);
}

void task_writer_prefetch(const struct task *t)
{
    __builtin_prefetch(t->statuses);
    __builtin_prefetch(t->statuses + 64);
    __builtin_prefetch(t->resources);
    __builtin_prefetch(t->agent_id);
    __builtin_prefetch(t->info);
}

static void encode(struct task_writer *w, const struct task *t, const struct fl_buf *resources)
{
    fl_buf_clear(&w->encoded);
    task_encode(t, resources, &w->encoded);
}

void task_writer_pb(struct task_writer *w, const struct task *t, uint32_t field, struct fl_buf *out)
{
    encode(w, t, &resources_texts_get(w->texts, t->resources)->encoded);
    pb_add_bytes(out, field, w->encoded.data, w->encoded.len);
}

void task_writer_json(struct task_writer *w, const struct task *t, struct fl_buf *out)
{
    encode(w, t, &resources_texts_get(w->texts, t->resources)->encoded);
    json_wire_put(out, w->task, w->encoded.data, w->encoded.len);
}

void task_writer_legacy(struct task_writer *w, const struct task *t, struct fl_buf *out)
{
    const struct resources_text *x = resources_texts_get(w->texts, t->resources);

    encode(w, t, NULL);
    legacy_wire_task(w->legacy, out, w->encoded.data, w->encoded.len, &x->summary, x->role);
}
