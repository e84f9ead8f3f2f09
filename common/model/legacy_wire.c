/* See legacy_wire.h. The bytes are our own encoding, so fields come in the order of their numbers; unknown ones are passed over. */
#include "common/model/legacy_wire.h"

#include "common/base/json_put.h"
#include "common/base/pb_wire.h"
#include "common/model/task_state.h"

struct legacy_wire {
    struct json_wire *json; /* owned; FL_JSON_LEGACY */
    const struct json_wire_type *label, *discovery, *container, *health_check, *container_id,
        *cgroup_info, *ip_address, *port_mapping;
};

struct span {
    const uint8_t *p; /* NULL: not there */
    size_t n;
};

/* Fields of the messages that are taken apart here. */
enum {
    TASK_NAME = 1,
    TASK_ID,
    TASK_FRAMEWORK_ID,
    TASK_EXECUTOR_ID,
    TASK_AGENT_ID,
    TASK_STATE,
    TASK_STATUSES = 8,
    TASK_LABELS = 11,
    TASK_DISCOVERY,
    TASK_CONTAINER,
    TASK_USER,
    TASK_HEALTH_CHECK,
    TASK_LIMITS = 17,
    TASK_FIELDS,
    STATUS_STATE = 2,
    STATUS_TIMESTAMP = 6,
    STATUS_HEALTHY = 8,
    STATUS_LABELS = 12,
    STATUS_CONTAINER = 13,
    CONTAINER_NETWORKS = 1,
    CONTAINER_CGROUP,
    CONTAINER_ID = 4,
    NETWORK_GROUPS = 3,
    NETWORK_LABELS,
    NETWORK_IPS,
    NETWORK_NAME,
    NETWORK_PORTS,
};

struct legacy_wire *legacy_wire_new(void)
{
    struct legacy_wire *w = xnew0(struct legacy_wire);

    w->json = json_wire_new(FL_JSON_LEGACY);
    w->label = json_wire_type(w->json, &v1__label__descriptor);
    w->discovery = json_wire_type(w->json, &v1__discovery_info__descriptor);
    w->container = json_wire_type(w->json, &v1__container_info__descriptor);
    w->health_check = json_wire_type(w->json, &v1__health_check__descriptor);
    w->container_id = json_wire_type(w->json, &v1__container_id__descriptor);
    w->cgroup_info = json_wire_type(w->json, &v1__cgroup_info__descriptor);
    w->ip_address = json_wire_type(w->json, &v1__network_info__ipaddress__descriptor);
    w->port_mapping = json_wire_type(w->json, &v1__network_info__port_mapping__descriptor);
    return w;
}

void legacy_wire_free(struct legacy_wire *w)
{
    if (!w)
        return;
    json_wire_free(w->json);
    free(w);
}

static const uint8_t *next_field(const uint8_t *p, const uint8_t *end, struct pb_field *f)
{
    p = pb_next(p, end, f);
    assert(p); /* we encoded it */
    return p;
}

/* The first field of a message: the text of an id. */
static struct span id_of(struct span m)
{
    struct pb_field f;

    if (m.n == 0)
        return (struct span){(const uint8_t *)"", 0};
    next_field(m.p, m.p + m.n, &f);
    return (struct span){f.data, f.len};
}

static void put_text(struct fl_buf *b, struct span s)
{
    json_put_cstring(b, (const char *)s.p, s.n);
}

static void put_chars(struct fl_buf *b, const char *s)
{
    json_put_string(b, s, strlen(s));
}

/* ---- pieces ---- */

/* An array of the messages that are the field `id` of `m`, each written as `t`. */
static void put_list(struct fl_buf *b, const struct json_wire_type *t, uint32_t id, struct span m)
{
    const uint8_t *end = m.p + m.n;
    struct pb_field f;
    char sep = '[';

    for (const uint8_t *p = m.p; p < end;) {
        p = next_field(p, end, &f);
        if (f.id != id)
            continue;
        json_put_char(b, sep);
        sep = ',';
        if (t)
            json_wire_put(b, t, f.data, f.len);
        else
            put_text(b, (struct span){f.data, f.len});
    }
    if (sep == '[')
        json_put_char(b, '[');
    json_put_char(b, ']');
}

static void put_labels(struct legacy_wire *w, struct fl_buf *b, struct span labels)
{
    put_list(b, w->label, 1, labels);
}

/* The list of `id` in `m`, whose first element was just seen. */
static void put_member_list(struct fl_buf *b, char sep, const char *key,
                            const struct json_wire_type *t, uint32_t id, struct span m)
{
    json_put_char(b, sep);
    put_chars(b, key);
    json_put_char(b, ':');
    put_list(b, t, id, m);
}

static void put_network(struct legacy_wire *w, struct fl_buf *b, struct span m)
{
    const uint8_t *end = m.p + m.n;
    struct pb_field f;
    uint32_t last = 0; /* a list is written when its first element comes */
    char sep = '{';

    for (const uint8_t *p = m.p; p < end;) {
        p = next_field(p, end, &f);
        if (f.id == last || f.id < NETWORK_GROUPS || f.id > NETWORK_PORTS)
            continue;
        last = f.id;
        if (f.id == NETWORK_GROUPS) {
            put_member_list(b, sep, "groups", NULL, f.id, m);
        } else if (f.id == NETWORK_LABELS) {
            json_put_char(b, sep);
            JSON_PUT(b, "\"labels\":");
            put_labels(w, b, (struct span){f.data, f.len});
        } else if (f.id == NETWORK_IPS) {
            put_member_list(b, sep, "ip_addresses", w->ip_address, f.id, m);
        } else if (f.id == NETWORK_NAME) {
            json_put_char(b, sep);
            JSON_PUT(b, "\"name\":");
            put_text(b, (struct span){f.data, f.len});
        } else {
            put_member_list(b, sep, "port_mappings", w->port_mapping, f.id, m);
        }
        sep = ',';
    }
    if (sep == '{')
        json_put_char(b, '{');
    json_put_char(b, '}');
}

static void put_networks(struct legacy_wire *w, struct fl_buf *b, struct span m)
{
    const uint8_t *end = m.p + m.n;
    struct pb_field f;
    char sep = '[';

    for (const uint8_t *p = m.p; p < end;) {
        p = next_field(p, end, &f);
        if (f.id != CONTAINER_NETWORKS)
            continue;
        json_put_char(b, sep);
        sep = ',';
        put_network(w, b, (struct span){f.data, f.len});
    }
    json_put_char(b, ']');
}

static void put_container_status(struct legacy_wire *w, struct fl_buf *b, struct span m)
{
    struct span of[CONTAINER_ID + 1] = {{NULL, 0}};
    const uint8_t *end = m.p + m.n;
    struct pb_field f;
    char sep = '{';

    for (const uint8_t *p = m.p; p < end;) {
        p = next_field(p, end, &f);
        if (f.id < ARRAY_SIZE(of) && f.type == PB_BYTES)
            of[f.id] = (struct span){f.data, f.len};
    }
    if (of[CONTAINER_ID].p) {
        JSON_PUT(b, "{\"container_id\":");
        json_wire_put(b, w->container_id, of[CONTAINER_ID].p, of[CONTAINER_ID].n);
        sep = ',';
    }
    if (of[CONTAINER_NETWORKS].p) {
        json_put_char(b, sep);
        JSON_PUT(b, "\"network_infos\":");
        put_networks(w, b, m);
        sep = ',';
    }
    if (of[CONTAINER_CGROUP].p) {
        json_put_char(b, sep);
        JSON_PUT(b, "\"cgroup_info\":");
        json_wire_put(b, w->cgroup_info, of[CONTAINER_CGROUP].p, of[CONTAINER_CGROUP].n);
        sep = ',';
    }
    if (sep == '{')
        json_put_char(b, '{');
    json_put_char(b, '}');
}

static void put_status(struct legacy_wire *w, struct fl_buf *b, struct span m)
{
    const uint8_t *end = m.p + m.n;
    struct span labels = {NULL, 0}, container = {NULL, 0};
    V1__TaskState state = V1__TASK_STATE__TASK_STAGING;
    double timestamp = 0;
    int healthy = -1;
    struct pb_field f;

    for (const uint8_t *p = m.p; p < end;) {
        p = next_field(p, end, &f);
        if (f.id == STATUS_STATE)
            state = (V1__TaskState)f.value;
        else if (f.id == STATUS_TIMESTAMP)
            memcpy(&timestamp, &f.value, sizeof(timestamp));
        else if (f.id == STATUS_HEALTHY)
            healthy = f.value != 0;
        else if (f.id == STATUS_LABELS)
            labels = (struct span){f.data, f.len};
        else if (f.id == STATUS_CONTAINER)
            container = (struct span){f.data, f.len};
    }
    JSON_PUT(b, "{\"state\":");
    put_chars(b, task_state_name(state));
    JSON_PUT(b, ",\"timestamp\":");
    json_text_double(b, timestamp);
    if (labels.p) {
        JSON_PUT(b, ",\"labels\":");
        put_labels(w, b, labels);
    }
    if (container.p) {
        JSON_PUT(b, ",\"container_status\":");
        put_container_status(w, b, container);
    }
    if (healthy >= 0)
        json_put_raw(b, healthy ? ",\"healthy\":true" : ",\"healthy\":false", healthy ? 15 : 16);
    json_put_char(b, '}');
}

/* ---- the task ---- */

struct task_spans {
    struct span of[TASK_FIELDS]; /* of a list: its first element */
    V1__TaskState state;
    struct span statuses, limits; /* from the first to the end of the last, heads included */
};

static void find_spans(const uint8_t *p, const uint8_t *end, struct task_spans *s)
{
    struct pb_field f;

    memset(s, 0, sizeof(*s));
    while (p < end) {
        const uint8_t *begin = p;
        struct span *run;

        p = next_field(p, end, &f);
        run = f.id == TASK_STATUSES ? &s->statuses : f.id == TASK_LIMITS ? &s->limits : NULL;
        if (run) {
            if (!run->p)
                run->p = begin;
            run->n = (size_t)(p - run->p);
        } else if (f.id == TASK_STATE) {
            s->state = (V1__TaskState)f.value;
        } else if (f.id < TASK_FIELDS && f.type == PB_BYTES) {
            s->of[f.id] = (struct span){f.data, f.len};
        }
    }
}

/* `"key":amount` of an entry: a key, and a Value.Scalar, which is one double. */
static void put_limit(struct fl_buf *b, struct span entry)
{
    const uint8_t *end = entry.p + entry.n;
    struct span key = {(const uint8_t *)"", 0};
    double amount = 0;
    struct pb_field f, scalar;

    for (const uint8_t *p = entry.p; p < end;) {
        p = next_field(p, end, &f);
        if (f.id == 1) {
            key = (struct span){f.data, f.len};
        } else if (f.id == 2 && f.len > 0) {
            next_field(f.data, f.data + f.len, &scalar);
            memcpy(&amount, &scalar.value, sizeof(amount));
        }
    }
    put_text(b, key);
    json_put_char(b, ':');
    json_text_double(b, amount);
}

static void put_limits(struct fl_buf *b, struct span run)
{
    const uint8_t *end = run.p + run.n;
    struct pb_field f;
    char sep = '{';

    JSON_PUT(b, ",\"limits\":");
    for (const uint8_t *p = run.p; p < end;) {
        p = next_field(p, end, &f);
        json_put_char(b, sep);
        sep = ',';
        put_limit(b, (struct span){f.data, f.len});
    }
    json_put_char(b, '}');
}

static void put_statuses(struct legacy_wire *w, struct fl_buf *b, struct span run)
{
    const uint8_t *end = run.p + run.n;
    struct pb_field f;

    JSON_PUT(b, ",\"statuses\":[");
    for (const uint8_t *p = run.p; p < end;) {
        if (p != run.p)
            json_put_char(b, ',');
        p = next_field(p, end, &f);
        put_status(w, b, (struct span){f.data, f.len});
    }
    json_put_char(b, ']');
}

static void put_rest(struct legacy_wire *w, struct fl_buf *b, const struct span *of)
{
    if (of[TASK_USER].p) {
        JSON_PUT(b, ",\"user\":");
        put_text(b, of[TASK_USER]);
    }
    if (of[TASK_LABELS].p) {
        JSON_PUT(b, ",\"labels\":");
        put_labels(w, b, of[TASK_LABELS]);
    }
    if (of[TASK_DISCOVERY].p) {
        JSON_PUT(b, ",\"discovery\":");
        json_wire_put(b, w->discovery, of[TASK_DISCOVERY].p, of[TASK_DISCOVERY].n);
    }
    if (of[TASK_CONTAINER].p) {
        JSON_PUT(b, ",\"container\":");
        json_wire_put(b, w->container, of[TASK_CONTAINER].p, of[TASK_CONTAINER].n);
    }
    if (of[TASK_HEALTH_CHECK].p) {
        JSON_PUT(b, ",\"health_check\":");
        json_wire_put(b, w->health_check, of[TASK_HEALTH_CHECK].p, of[TASK_HEALTH_CHECK].n);
    }
}

void legacy_wire_task(struct legacy_wire *w, struct fl_buf *b, const void *task, size_t n,
                      const struct fl_buf *summary, const char *role_or_null)
{
    struct task_spans s;

    find_spans(task, (const uint8_t *)task + n, &s);
    JSON_PUT(b, "{\"id\":");
    put_text(b, id_of(s.of[TASK_ID]));
    JSON_PUT(b, ",\"name\":");
    put_text(b, s.of[TASK_NAME]);
    JSON_PUT(b, ",\"framework_id\":");
    put_text(b, id_of(s.of[TASK_FRAMEWORK_ID]));
    JSON_PUT(b, ",\"executor_id\":");
    put_text(b, id_of(s.of[TASK_EXECUTOR_ID]));
    JSON_PUT(b, ",\"slave_id\":");
    put_text(b, id_of(s.of[TASK_AGENT_ID]));
    JSON_PUT(b, ",\"state\":");
    put_chars(b, task_state_name(s.state));
    JSON_PUT(b, ",\"resources\":");
    json_put_raw(b, summary->data, summary->len);
    if (s.limits.p)
        put_limits(b, s.limits);
    JSON_PUT(b, ",\"role\":");
    put_chars(b, role_or_null ? role_or_null : "*");
    put_statuses(w, b, s.statuses);
    put_rest(w, b, s.of);
    json_put_char(b, '}');
}
