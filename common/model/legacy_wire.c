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
    TASK_LABELS = 11,
    TASK_DISCOVERY,
    TASK_CONTAINER,
    TASK_USER,
    TASK_HEALTH_CHECK,
    TASK_LIMITS = 17,
    TASK_FIELDS,
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

void legacy_wire_status(struct legacy_wire *w, struct fl_buf *b,
                        const struct legacy_wire_status *status)
{
    const uint8_t *end = (const uint8_t *)status->rest + status->n_rest;
    struct span labels = {NULL, 0}, container = {NULL, 0};
    bool has_healthy = status->has_healthy, healthy = status->healthy;
    double timestamp = status->has_timestamp ? status->timestamp : 0;
    struct pb_field f;

    for (const uint8_t *p = status->rest; p < end;) {
        p = next_field(p, end, &f);
        if (f.id == STATUS_TIMESTAMP)
            memcpy(&timestamp, &f.value, sizeof(timestamp));
        else if (f.id == STATUS_HEALTHY)
            has_healthy = true, healthy = f.value != 0;
        else if (f.id == STATUS_LABELS)
            labels = (struct span){f.data, f.len};
        else if (f.id == STATUS_CONTAINER)
            container = (struct span){f.data, f.len};
    }
    JSON_PUT(b, "{\"state\":");
    put_chars(b, task_state_name(status->state));
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
    if (has_healthy)
        json_put_raw(b, healthy ? ",\"healthy\":true" : ",\"healthy\":false", healthy ? 15 : 16);
    json_put_char(b, '}');
}

/* ---- what tasks of a job have in common ---- */

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

void legacy_wire_limits(struct fl_buf *b, const void *info, size_t n)
{
    const uint8_t *end = (const uint8_t *)info + n;
    struct pb_field f;
    char sep = '{';

    for (const uint8_t *p = info; p < end;) {
        p = next_field(p, end, &f);
        if (f.id != TASK_LIMITS)
            continue;
        if (sep == '{')
            JSON_PUT(b, ",\"limits\":");
        json_put_char(b, sep);
        sep = ',';
        put_limit(b, (struct span){f.data, f.len});
    }
    if (sep == ',')
        json_put_char(b, '}');
}

void legacy_wire_info(struct legacy_wire *w, struct fl_buf *b, const void *info, size_t n)
{
    const uint8_t *end = (const uint8_t *)info + n;
    struct span of[TASK_FIELDS] = {{NULL, 0}};
    struct pb_field f;

    for (const uint8_t *p = info; p < end;) {
        p = next_field(p, end, &f);
        if (f.id < TASK_FIELDS && f.type == PB_BYTES)
            of[f.id] = (struct span){f.data, f.len};
    }
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
