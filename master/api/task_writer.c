/* See task_writer.h. An encoded Task is put together from what the core keeps; from there it is transcoded. */
#include "master/api/task_writer.h"

#include "common/base/json_put.h"
#include "common/base/pb_wire.h"
#include "common/model/intern.h"
#include "common/model/legacy_wire.h"
#include "common/model/resources_texts.h"
#include "master/task_pack.h"

#define TASK_RESOURCES 7 /* the field of V1__Task */
#define STATES         64
/* Fields of V1__TaskStatus. */
#define STATUS_AGENT_ID    5
#define STATUS_TIMESTAMP   6
#define STATUS_EXECUTOR_ID 7
#define STATUS_HEALTHY     8
#define STATUS_SOURCE      9
#define STATUS_REASON      10
#define STATUS_UUID        11

struct task_writer {
    struct json_wire *json; /* owned */
    const struct json_wire_type *task, *status;
    char *states[STATES];          /* owned: names of task states with their quotes */
    struct legacy_wire *legacy;    /* owned */
    struct resources_texts *texts; /* owned */
    struct fl_buf encoded;         /* owned */
    uint64_t round;                /* counts task_writer_begin() */
    const char *info;              /* whose JSON `info_json` is, in that round */
    uint64_t info_round;
    struct fl_buf info_json; /* owned */
    const char *legacy_info; /* the same of the older endpoints' */
    uint64_t legacy_round;
    struct fl_buf limits_json, legacy_json; /* owned */
};

struct task_writer *task_writer_new(void)
{
    struct task_writer *w = xnew0(struct task_writer);

    w->json = json_wire_new(FL_JSON_DEFAULTS);
    w->task = json_wire_type(w->json, &v1__task__descriptor);
    w->status = json_wire_type(w->json, &v1__task_status__descriptor);
    for (int i = 0; i < STATES; i++) {
        const char *name = fl_enum_name(&v1__task_state__descriptor, i);

        w->states[i] = name ? xasprintf("\"%s\"", name) : NULL;
    }
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
    for (int i = 0; i < STATES; i++)
        free(w->states[i]);
    fl_buf_done(&w->encoded);
    fl_buf_done(&w->info_json);
    fl_buf_done(&w->limits_json);
    fl_buf_done(&w->legacy_json);
    free(w);
}

void task_writer_begin(struct task_writer *w)
{
    resources_texts_forget(w->texts);
    w->round++;
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
    size_t begun = pb_begin(out);

    task_encode(t, &resources_texts_get(w->texts, t->resources)->encoded, out);
    pb_end(out, field, begun);
}

/* ---- JSON ---- */

/* An id that the task's JSON says several times: where it stands in the buffer, quotes included. */
struct text {
    size_t at, n;
};

static void put_again(struct fl_buf *b, struct text t)
{
    char *o = json_room(b, t.n);

    memcpy(o, b->data + t.at, t.n);
    b->len += t.n;
}

static struct text put_text(struct fl_buf *b, const char *s)
{
    struct text t = {.at = b->len};

    json_put_string(b, s, strlen(s));
    t.n = b->len - t.at;
    return t;
}

static bool put_state(struct task_writer *w, struct fl_buf *b, V1__TaskState state)
{
    const char *name = (unsigned)state < STATES ? w->states[state] : NULL;

    if (!name)
        return false;
    json_put_raw(b, name, strlen(name));
    return true;
}

static void put_enum(struct fl_buf *b, const char *key, size_t n, const ProtobufCEnumDescriptor *d,
                     int value)
{
    const char *name = fl_enum_name(d, value);

    if (!name)
        return; /* as what is absent */
    json_put_raw(b, key, n);
    json_put_raw(b, name, strlen(name));
    json_put_char(b, '"');
}
#define PUT_ENUM(b, key, d, value) put_enum(b, key, sizeof(key) - 1, d, (int)(value))

struct ids {
    struct text task, agent, executor; /* executor: n 0 when there is none */
};

static void put_own_fields(struct fl_buf *b, const struct task_status_view *v, unsigned field)
{
    if (field == STATUS_HEALTHY && v->has_healthy)
        json_put_raw(b, v->healthy ? ",\"healthy\":true" : ",\"healthy\":false",
                     v->healthy ? 15 : 16);
    if (field == STATUS_SOURCE && v->has_source)
        PUT_ENUM(b, ",\"source\":\"", &v1__task_status__source__descriptor, v->source);
    if (field == STATUS_REASON && v->has_reason)
        PUT_ENUM(b, ",\"reason\":\"", &v1__task_status__reason__descriptor, v->reason);
    if (field == STATUS_UUID && v->uuid) {
        JSON_PUT(b, ",\"uuid\":");
        json_text_base64(b, v->uuid, FL_UUID_LEN);
    }
}

static bool put_status(struct task_writer *w, struct fl_buf *b, const struct task *t,
                       const struct task_status_view *v, const struct ids *ids)
{
    const void *p = v->more, *end = v->more + v->n_more;

    JSON_PUT(b, "{\"task_id\":{\"value\":");
    put_again(b, ids->task);
    JSON_PUT(b, "},\"state\":");
    if (!put_state(w, b, v->state))
        return false;
    p = json_wire_put_fields(b, w->status, p, end, STATUS_AGENT_ID);
    if (v->agent_id) {
        JSON_PUT(b, ",\"agent_id\":{\"value\":");
        put_again(b, ids->agent);
        json_put_char(b, '}');
    }
    p = json_wire_put_fields(b, w->status, p, end, STATUS_TIMESTAMP);
    if (v->has_timestamp) {
        JSON_PUT(b, ",\"timestamp\":");
        json_text_double(b, v->timestamp);
    }
    p = json_wire_put_fields(b, w->status, p, end, STATUS_EXECUTOR_ID);
    if (v->executor_id) {
        JSON_PUT(b, ",\"executor_id\":{\"value\":");
        put_again(b, v->executor_id == t->id ? ids->task : ids->executor);
        json_put_char(b, '}');
    }
    for (unsigned field = STATUS_HEALTHY; field <= STATUS_UUID; field++) {
        p = json_wire_put_fields(b, w->status, p, end, field);
        put_own_fields(b, v, field);
    }
    p = json_wire_put_fields(b, w->status, p, end, UINT32_MAX);
    json_put_char(b, '}');
    return p == end;
}

static bool put_statuses(struct task_writer *w, struct fl_buf *b, const struct task *t,
                         const struct ids *ids)
{
    struct task_status_view v;
    uint32_t at = 0;
    char sep = '[';

    if (t->n_statuses == 0)
        return true;
    JSON_PUT(b, ",\"statuses\":");
    while (task_status_next(t, &at, &v)) {
        json_put_char(b, sep);
        sep = ',';
        if (!put_status(w, b, t, &v, ids))
            return false;
    }
    json_put_char(b, ']');
    return true;
}

/* What tasks of a job have in common comes last; the one before had mostly the same. */
static bool put_info(struct task_writer *w, struct fl_buf *b, const struct task *t)
{
    const char *end;

    if (!t->info)
        return true;
    if (t->info != w->info || w->info_round != w->round) {
        fl_buf_clear(&w->info_json);
        end = t->info + intern_len(t->info);
        w->info = NULL;
        if (json_wire_put_fields(&w->info_json, w->task, t->info, end, UINT32_MAX) != end)
            return false;
        w->info = t->info;
        w->info_round = w->round;
    }
    json_put_raw(b, w->info_json.data, w->info_json.len);
    return true;
}

/* False when the general way has to be taken. */
static bool put_json(struct task_writer *w, const struct task *t, struct fl_buf *b)
{
    const struct resources_text *x = resources_texts_get(w->texts, t->resources);
    const char *name = task_name(t);
    struct ids ids = {0};
    struct text name_text;

    JSON_PUT(b, "{\"name\":");
    name_text = put_text(b, name);
    JSON_PUT(b, ",\"task_id\":{\"value\":");
    if (name == t->id)
        put_again(b, name_text);
    ids.task = name == t->id ? name_text : put_text(b, t->id);
    JSON_PUT(b, "},\"framework_id\":{\"value\":");
    (void)put_text(b, t->framework->id);
    if (t->executor_id) {
        JSON_PUT(b, "},\"executor_id\":{\"value\":");
        ids.executor = put_text(b, t->executor_id);
    }
    JSON_PUT(b, "},\"agent_id\":{\"value\":");
    ids.agent = put_text(b, t->agent_id);
    JSON_PUT(b, "},\"state\":");
    if (!put_state(w, b, t->state))
        return false;
    if (t->resources->n) {
        JSON_PUT(b, ",\"resources\":");
        json_put_raw(b, x->json.data, x->json.len);
    }
    if (!put_statuses(w, b, t, &ids))
        return false;
    if (t->has_status_update) {
        JSON_PUT(b, ",\"status_update_state\":");
        if (!put_state(w, b, t->status_update_state))
            return false;
    }
    if (t->has_status_update_uuid) {
        JSON_PUT(b, ",\"status_update_uuid\":");
        json_text_base64(b, t->status_update_uuid, FL_UUID_LEN);
    }
    if (!put_info(w, b, t))
        return false;
    json_put_char(b, '}');
    return true;
}

void task_writer_json(struct task_writer *w, const struct task *t, struct fl_buf *out)
{
    size_t before = out->len;

    if (put_json(w, t, out))
        return;
    out->len = before;
    encode(w, t, &resources_texts_get(w->texts, t->resources)->encoded);
    json_wire_put(out, w->task, w->encoded.data, w->encoded.len);
}

/* ---- the older endpoints ---- */

static void find_legacy_info(struct task_writer *w, const struct task *t)
{
    size_t n = intern_len(t->info);

    if (t->info == w->legacy_info && w->legacy_round == w->round)
        return;
    w->legacy_info = t->info;
    w->legacy_round = w->round;
    fl_buf_clear(&w->limits_json);
    fl_buf_clear(&w->legacy_json);
    legacy_wire_limits(&w->limits_json, t->info, n);
    legacy_wire_info(w->legacy, &w->legacy_json, t->info, n);
}

static void put_legacy_statuses(struct task_writer *w, const struct task *t, struct fl_buf *b)
{
    struct task_status_view v;
    uint32_t at = 0;

    JSON_PUT(b, ",\"statuses\":[");
    for (uint32_t i = 0; task_status_next(t, &at, &v); i++) {
        const struct legacy_wire_status st = {
            .state = v.state,
            .has_timestamp = v.has_timestamp,
            .timestamp = v.timestamp,
            .has_healthy = v.has_healthy,
            .healthy = v.healthy,
            .rest = v.more,
            .n_rest = v.n_more,
        };

        if (i > 0)
            json_put_char(b, ',');
        legacy_wire_status(w->legacy, b, &st);
    }
    json_put_char(b, ']');
}

void task_writer_legacy(struct task_writer *w, const struct task *t, struct fl_buf *b)
{
    const struct resources_text *x = resources_texts_get(w->texts, t->resources);
    const char *name = task_name(t);
    struct text id;

    JSON_PUT(b, "{\"id\":");
    id = put_text(b, t->id);
    JSON_PUT(b, ",\"name\":");
    if (name == t->id)
        put_again(b, id);
    else
        (void)put_text(b, name);
    JSON_PUT(b, ",\"framework_id\":");
    (void)put_text(b, t->framework->id);
    JSON_PUT(b, ",\"executor_id\":");
    (void)put_text(b, t->executor_id ? t->executor_id : "");
    JSON_PUT(b, ",\"slave_id\":");
    (void)put_text(b, t->agent_id);
    JSON_PUT(b, ",\"state\":");
    (void)put_text(b, task_state_name(t->state));
    JSON_PUT(b, ",\"resources\":");
    json_put_raw(b, x->summary.data, x->summary.len);
    if (t->info) {
        find_legacy_info(w, t);
        json_put_raw(b, w->limits_json.data, w->limits_json.len);
    }
    JSON_PUT(b, ",\"role\":");
    (void)put_text(b, x->role ? x->role : "*");
    put_legacy_statuses(w, t, b);
    if (t->info)
        json_put_raw(b, w->legacy_json.data, w->legacy_json.len);
    json_put_char(b, '}');
}
