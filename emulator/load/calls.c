/* See calls.h. Field numbers are those of proto/scheduler.proto and proto/mesos.proto. */
#include "emulator/load/calls.h"

/* ---- writing ---- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static size_t varint_size(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static void add_varint(struct fl_buf *b, uint64_t v)
{
    char *p = fl_buf_reserve(b, 10);
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        p[n++] = (char)(v | 0x80);
    p[n++] = (char)v;
    b->len += n;
}

static void add_tag(struct fl_buf *b, unsigned field, unsigned wire)
{
    add_varint(b, (uint64_t)field << 3 | wire);
}

static void add_bytes(struct fl_buf *b, unsigned field, const void *p, size_t n)
{
    add_tag(b, field, WIRE_BYTES);
    add_varint(b, n);
    fl_buf_add(b, p, n);
}

static size_t bytes_size(unsigned field, size_t n)
{
    return varint_size((uint64_t)field << 3) + varint_size(n) + n;
}

/* A message whose only field is 1, a text or bytes: TaskID, AgentID, OfferID. */
static void add_id(struct fl_buf *b, unsigned field, const void *p, size_t n)
{
    add_tag(b, field, WIRE_BYTES);
    add_varint(b, bytes_size(1, n));
    add_bytes(b, 1, p, n);
}

static size_t id_size(unsigned field, size_t n)
{
    return bytes_size(field, bytes_size(1, n));
}

static void add_double(struct fl_buf *b, unsigned field, double v)
{
    add_tag(b, field, WIRE_64);
    fl_buf_add(b, &v, sizeof v); /* little-endian, as the machines we run on */
}

enum { CALL_TYPE = 2, FILTERS_SIZE = 9 };

static void begin(struct fl_buf *b, Sched__Call__Type type)
{
    fl_buf_clear(b);
    add_tag(b, CALL_TYPE, WIRE_VARINT);
    add_varint(b, (uint64_t)type);
}

static void add_filters(struct fl_buf *b, unsigned field, double refuse_seconds)
{
    add_tag(b, field, WIRE_BYTES);
    add_varint(b, FILTERS_SIZE);
    add_double(b, 1, refuse_seconds);
}

void load_call_pattern(struct fl_buf *out, const struct load_entry *e)
{
    V1__CommandInfo command = V1__COMMAND_INFO__INIT;
    V1__Labels labels = V1__LABELS__INIT;
    V1__Label label = V1__LABEL__INIT, *label_list = &label;
    V1__Resource r[LOAD_MAX_SCALARS];
    V1__Value__Scalar scalars[LOAD_MAX_SCALARS];

    /* The fields one by one: a TaskInfo without its ids is no whole message. */
    add_bytes(out, 1, e->name, strlen(e->name));
    for (size_t i = 0; i < e->need.n; i++) {
        _cleanup_buf_ struct fl_buf one = FL_BUF_INIT;

        v1__resource__init(&r[i]);
        v1__value__scalar__init(&scalars[i]);
        r[i].name = e->need.v[i].name;
        r[i].type = V1__VALUE__TYPE__SCALAR;
        scalars[i].value = e->need.v[i].amount;
        r[i].scalar = &scalars[i];
        fl_buf_pack(&one, &r[i].base);
        add_bytes(out, 4, one.data, one.len);
    }
    _cleanup_buf_ struct fl_buf c = FL_BUF_INIT, l = FL_BUF_INIT;
    command.value = (char *)"sleep 1000000";
    fl_buf_pack(&c, &command.base);
    add_bytes(out, 7, c.data, c.len);
    if (e->duration) {
        label.key = (char *)"emulator.duration";
        label.value = e->duration;
        labels.n_labels = 1;
        labels.labels = &label_list;
        fl_buf_pack(&l, &labels.base);
        add_bytes(out, 10, l.data, l.len);
    }
}

void load_call_subscribe(struct fl_buf *out, const V1__FrameworkInfo *info,
                         char *const *suppressed_roles, size_t n_suppressed)
{
    Sched__Call call = SCHED__CALL__INIT;
    Sched__Call__Subscribe s = SCHED__CALL__SUBSCRIBE__INIT;

    fl_buf_clear(out);
    call.has_type = true;
    call.type = SCHED__CALL__TYPE__SUBSCRIBE;
    call.framework_id = info->id;
    call.subscribe = &s;
    s.framework_info = (V1__FrameworkInfo *)info;
    s.suppressed_roles = (char **)suppressed_roles;
    s.n_suppressed_roles = n_suppressed;
    fl_buf_pack(out, &call.base);
}

void load_call_decline(struct fl_buf *out, const char *const *offer_ids, size_t n,
                       double refuse_seconds)
{
    size_t size = bytes_size(2, FILTERS_SIZE);

    begin(out, SCHED__CALL__TYPE__DECLINE);
    for (size_t i = 0; i < n; i++)
        size += id_size(1, strlen(offer_ids[i]));
    add_tag(out, 5, WIRE_BYTES);
    add_varint(out, size);
    for (size_t i = 0; i < n; i++)
        add_id(out, 1, offer_ids[i], strlen(offer_ids[i]));
    add_filters(out, 2, refuse_seconds);
}

void load_call_plain(struct fl_buf *out, Sched__Call__Type type)
{
    begin(out, type);
}

void load_call_kill(struct fl_buf *out, const char *task_id)
{
    size_t n = strlen(task_id);

    begin(out, SCHED__CALL__TYPE__KILL);
    add_tag(out, 6, WIRE_BYTES);
    add_varint(out, id_size(1, n));
    add_id(out, 1, task_id, n);
}

void load_call_acknowledge(struct fl_buf *out, struct load_bytes agent_id,
                           struct load_bytes task_id, struct load_bytes uuid)
{
    begin(out, SCHED__CALL__TYPE__ACKNOWLEDGE);
    add_tag(out, 8, WIRE_BYTES);
    add_varint(out, id_size(1, agent_id.n) + id_size(2, task_id.n) + bytes_size(3, uuid.n));
    add_id(out, 1, agent_id.p, agent_id.n);
    add_id(out, 2, task_id.p, task_id.n);
    add_bytes(out, 3, uuid.p, uuid.n);
}

void load_call_reconcile(struct fl_buf *out, const char *const *task_ids, size_t n)
{
    size_t size = 0;

    begin(out, SCHED__CALL__TYPE__RECONCILE);
    for (size_t i = 0; i < n; i++)
        size += bytes_size(1, id_size(1, strlen(task_ids[i])));
    add_tag(out, 9, WIRE_BYTES);
    add_varint(out, size);
    for (size_t i = 0; i < n; i++) {
        add_tag(out, 1, WIRE_BYTES);
        add_varint(out, id_size(1, strlen(task_ids[i])));
        add_id(out, 1, task_ids[i], strlen(task_ids[i]));
    }
}

void load_accept_add(struct load_accept *a, const char *task_id, const char *agent_id,
                     const struct fl_buf *pattern)
{
    size_t n_task = strlen(task_id), n_agent = strlen(agent_id);

    add_tag(&a->launch, 1, WIRE_BYTES);
    add_varint(&a->launch, id_size(2, n_task) + id_size(3, n_agent) + pattern->len);
    add_id(&a->launch, 2, task_id, n_task);
    add_id(&a->launch, 3, agent_id, n_agent);
    fl_buf_add(&a->launch, pattern->data, pattern->len);
    a->n++;
}

void load_accept_end(struct load_accept *a, struct fl_buf *out, const char *offer_id,
                     double refuse_seconds)
{
    size_t n_id = strlen(offer_id);
    /* Operation: type = LAUNCH, launch. */
    size_t operation = 2 + bytes_size(2, a->launch.len);

    begin(out, SCHED__CALL__TYPE__ACCEPT);
    add_tag(out, 4, WIRE_BYTES);
    add_varint(out, id_size(1, n_id) + bytes_size(2, operation) + bytes_size(3, FILTERS_SIZE));
    add_id(out, 1, offer_id, n_id);
    add_tag(out, 2, WIRE_BYTES);
    add_varint(out, operation);
    add_tag(out, 1, WIRE_VARINT);
    add_varint(out, V1__OFFER__OPERATION__TYPE__LAUNCH);
    add_bytes(out, 2, a->launch.data, a->launch.len);
    add_filters(out, 3, refuse_seconds);
    fl_buf_clear(&a->launch);
    a->n = 0;
}

/* ---- reading ---- */

struct scan {
    const uint8_t *p, *end;
};
struct field {
    unsigned number, wire;
    uint64_t value; /* varint, or the bits of a 64-bit field */
    struct load_bytes bytes;
};

static bool scan_varint(struct scan *s, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; s->p < s->end && shift < 64; shift += 7) {
        uint8_t c = *s->p++;

        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

/* False at the end, or at what is no protobuf. */
static bool scan_next(struct scan *s, struct field *f)
{
    uint64_t tag, n = 0;

    if (s->p >= s->end || !scan_varint(s, &tag))
        return false;
    f->number = (unsigned)(tag >> 3);
    f->wire = tag & 7;
    switch (f->wire) {
    case WIRE_VARINT:
        return scan_varint(s, &f->value);
    case WIRE_64:
        n = 8;
        break;
    case WIRE_32:
        n = 4;
        break;
    case WIRE_BYTES:
        if (!scan_varint(s, &n))
            return false;
        break;
    default:
        return false;
    }
    if (n > (uint64_t)(s->end - s->p))
        return false;
    f->bytes = (struct load_bytes){(const char *)s->p, (size_t)n};
    if (f->wire == WIRE_64)
        memcpy(&f->value, s->p, 8);
    s->p += n;
    return true;
}

static struct scan scan_of(struct load_bytes b)
{
    return (struct scan){(const uint8_t *)b.p, (const uint8_t *)b.p + b.n};
}

/* Field `number` of a message of bytes; empty when it is not there. */
static struct load_bytes sub(struct load_bytes b, unsigned number)
{
    struct scan s = scan_of(b);
    struct field f;

    while (scan_next(&s, &f)) {
        if (f.number == number && f.wire == WIRE_BYTES)
            return f.bytes;
    }
    return (struct load_bytes){"", 0};
}

static void take_status_field(const struct field *f, struct load_update *u)
{
    switch (f->number) {
    case 1:
        u->task_id = sub(f->bytes, 1);
        break;
    case 2:
        u->state = (int)f->value;
        break;
    case 4:
        u->message = f->bytes;
        break;
    case 5:
        u->agent_id = sub(f->bytes, 1);
        break;
    case 6:
        if (f->wire == WIRE_64)
            memcpy(&u->timestamp, &f->value, sizeof u->timestamp);
        break;
    case 10:
        u->reason = (int)f->value;
        break;
    case 11:
        u->uuid = f->bytes;
        break;
    default:
        break;
    }
}

bool load_event_update(const void *p, size_t n, struct load_update *ret)
{
    static const struct load_bytes none = {"", 0};
    struct load_bytes all = {p, n}, status;
    struct load_update u = {none, none, none, none, -1, -1, 0};
    struct scan s = scan_of(sub(all, 5));
    struct field f;

    if (!scan_next(&s, &f) || f.number != 1 || f.wire != WIRE_BYTES)
        return false;
    status = f.bytes;
    s = scan_of(status);
    while (scan_next(&s, &f))
        take_status_field(&f, &u);
    if (u.task_id.n == 0 || u.state < 0)
        return false;
    *ret = u;
    return true;
}
