/* See json_wire.h. A table (json_wire_type) has for each field its key with quotes and colon, how its value is written, and
 * what is written when it is absent. Fields come in the order of their numbers, as protobuf-c packs
 * them, which is also the order of the descriptor and so of the JSON. */
#include "common/base/json_wire.h"

#include "common/base/json_put.h"
#include "common/base/pb_wire.h"

/* Keys up to this long are copied by one fixed move. */
#define KEY_FIXED 32
#define BY_ID     32

struct wire_field {
    const ProtobufCFieldDescriptor *f;
    struct json_wire_type *sub; /* of messages */
    char key[KEY_FIXED];        /* `"name":`, when it fits */
    uint32_t key_len;
    enum pb_wire_type wire;
    bool repeated, map;
    char *long_key; /* owned; when it does not fit */
    char *absent;   /* owned: `"name":value` of an absent field that is shown; or NULL */
    uint32_t absent_len;
    /* Enums: the quoted names of the values 0 to n_texts - 1, NULL where there is none. */
    char **texts; /* owned */
    unsigned n_texts;
    unsigned flags;
};

struct json_wire_type {
    const ProtobufCMessageDescriptor *d;
    struct json_wire *owner;
    struct json_wire_type *next;
    bool generic; /* has a oneof */
    unsigned n;
    struct wire_field *fields; /* owned */
    uint8_t by_id[BY_ID];      /* index + 1 of fields with small numbers */
    unsigned *
        next_absent; /* owned, n + 1: the first field from there on that shows when absent; n: none */
};

struct json_wire {
    unsigned flags;
    struct json_wire_type *types; /* owned */
};

/* ---- tables ---- */

static enum pb_wire_type wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PB_BYTES;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PB_64BIT;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PB_32BIT;
    default:
        return PB_VARINT;
    }
}

static void fill_key(struct wire_field *w, const ProtobufCMessageDescriptor *d, unsigned flags)
{
    const char *older = flags & FL_JSON_V0 ? json_v0_field(d, w->f->name) : NULL;
    _cleanup_free_ char *key = xasprintf("\"%s\":", older ? older : w->f->name);

    w->key_len = (uint32_t)strlen(key);
    if (w->key_len <= KEY_FIXED)
        memcpy(w->key, key, w->key_len);
    else
        w->long_key = TAKE_PTR(key);
}

static void fill_absent(struct wire_field *w, const ProtobufCMessageDescriptor *d, unsigned flags)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    if (!(flags & FL_JSON_DEFAULTS) || !json_shows_default(d, w->f))
        return;
    fl_buf_add(&b, w->long_key ? w->long_key : w->key, w->key_len);
    json_text_default(&b, w->f, flags);
    w->absent_len = (uint32_t)b.len;
    w->absent = fl_buf_take(&b);
}

static void fill_enum(struct wire_field *w, unsigned flags)
{
    const ProtobufCEnumDescriptor *d = w->f->descriptor;
    int top = -1;

    for (unsigned i = 0; i < d->n_values; i++)
        if (d->values[i].value >= 0 && d->values[i].value < 256)
            top = FL_MAX(top, d->values[i].value);
    w->n_texts = (unsigned)(top + 1);
    w->texts = xcalloc(w->n_texts + 1, sizeof(*w->texts));
    for (int v = 0; v <= top; v++) {
        const char *name = fl_enum_name(d, v);
        const char *older = name && flags & FL_JSON_V0 ? json_v0_enum(name) : NULL;

        if (name)
            w->texts[v] = xasprintf("\"%s\"", older ? older : name);
    }
}

static void fill_field(struct json_wire *owner, struct json_wire_type *t, unsigned i)
{
    struct wire_field *w = &t->fields[i];
    const ProtobufCFieldDescriptor *f = &t->d->fields[i];

    w->f = f;
    w->flags = owner->flags;
    w->wire = wire_of(f->type);
    w->repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    t->generic |= (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    fill_key(w, t->d, owner->flags);
    fill_absent(w, t->d, owner->flags);
    if (f->type == PROTOBUF_C_TYPE_ENUM)
        fill_enum(w, owner->flags);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        w->sub = (struct json_wire_type *)json_wire_type(owner, f->descriptor);
        w->map = w->repeated && json_is_map_entry(f->descriptor);
    }
    if (f->id < BY_ID && i < UINT8_MAX)
        t->by_id[f->id] = (uint8_t)(i + 1);
}

const struct json_wire_type *json_wire_type(struct json_wire *w,
                                            const ProtobufCMessageDescriptor *d)
{
    struct json_wire_type *t = w->types;

    while (t && t->d != d)
        t = t->next;
    if (t)
        return t;
    t = xnew0(struct json_wire_type);
    t->d = d;
    t->owner = w;
    t->n = d->n_fields;
    t->fields = xcalloc(t->n + 1, sizeof(*t->fields));
    t->next_absent = xcalloc(t->n + 1, sizeof(*t->next_absent));
    /* In the list before its fields are looked at: messages may hold messages of their own type. */
    t->next = w->types;
    w->types = t;
    for (unsigned i = 0; i < t->n; i++)
        fill_field(w, t, i);
    t->next_absent[t->n] = t->n;
    for (unsigned i = t->n; i-- > 0;)
        t->next_absent[i] = t->fields[i].absent ? i : t->next_absent[i + 1];
    return t;
}

struct json_wire *json_wire_new(unsigned flags)
{
    struct json_wire *w = xnew0(struct json_wire);

    w->flags = flags;
    return w;
}

static void type_free(struct json_wire_type *t)
{
    for (unsigned i = 0; i < t->n; i++) {
        struct wire_field *w = &t->fields[i];

        free(w->long_key);
        free(w->absent);
        for (unsigned v = 0; w->texts && v < w->n_texts; v++)
            free(w->texts[v]);
        free(w->texts);
    }
    free(t->fields);
    free(t->next_absent);
    free(t);
}

void json_wire_free(struct json_wire *w)
{
    if (!w)
        return;
    while (w->types) {
        struct json_wire_type *t = w->types;

        w->types = t->next;
        type_free(t);
    }
    free(w);
}

/* ---- values ---- */

static bool put_message(struct fl_buf *b, const struct json_wire_type *t, const uint8_t *p,
                        const uint8_t *end);

static void put_generic(struct fl_buf *b, const struct json_wire_type *t, const void *data,
                        size_t n)
{
    _cleanup_pb_ ProtobufCMessage *m = protobuf_c_message_unpack(t->d, NULL, n, data);

    assert(m); /* we encoded it, or decoded it before */
    fl_json_from_pb(b, m, t->owner->flags);
}

static int64_t zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void put_enum(struct fl_buf *b, const struct wire_field *w, int32_t v)
{
    const char *text = NULL;

    if (v >= 0 && (uint32_t)v < w->n_texts)
        text = w->texts[v];
    if (text)
        json_put_raw(b, text, strlen(text));
    else
        json_text_enum(b, w->f, v, w->flags);
}

static double as_double(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}

static double as_float(uint64_t bits)
{
    uint32_t half = (uint32_t)bits;
    float f;

    memcpy(&f, &half, sizeof(f));
    return (double)f;
}

static void put_number(struct fl_buf *b, const struct wire_field *w, uint64_t v)
{
    switch (w->f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        json_put_int(b, (int32_t)(uint32_t)v);
        break;
    case PROTOBUF_C_TYPE_SINT32:
        json_put_int(b, (int32_t)zigzag((uint32_t)v));
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        json_put_uint(b, (uint32_t)v);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        json_put_int(b, (int64_t)v);
        break;
    case PROTOBUF_C_TYPE_SINT64:
        json_put_int(b, zigzag(v));
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        json_put_uint(b, v);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        json_text_double(b, as_double(v));
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        json_text_double(b, as_float(v));
        break;
    case PROTOBUF_C_TYPE_BOOL:
        json_put_raw(b, v ? "true" : "false", v ? 4 : 5);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(b, w, (int32_t)(uint32_t)v);
        break;
    default:
        assert(!"not a number");
    }
}

static bool put_value(struct fl_buf *b, const struct wire_field *w, const struct pb_field *v)
{
    switch (w->f->type) {
    case PROTOBUF_C_TYPE_STRING:
        json_put_cstring(b, (const char *)v->data, v->len);
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        json_text_base64(b, v->data, v->len);
        return true;
    case PROTOBUF_C_TYPE_MESSAGE:
        return put_message(b, w->sub, v->data, v->data + v->len);
    default:
        put_number(b, w, v->value);
        return true;
    }
}

/* `"key":value` of a map's entry, both of which have to be there, in order. */
static bool put_entry(struct fl_buf *b, const struct json_wire_type *t, const struct pb_field *v)
{
    const uint8_t *p = v->data, *end = v->data + v->len;
    struct pb_field key, value;

    if (p == end || !(p = pb_next(p, end, &key)) || key.id != t->d->fields[0].id ||
        key.type != PB_BYTES)
        return false;
    if (p == end || !(p = pb_next(p, end, &value)) || value.id != t->d->fields[1].id ||
        value.type != t->fields[1].wire || p != end)
        return false;
    json_put_cstring(b, (const char *)key.data, key.len);
    json_put_char(b, ':');
    return put_value(b, &t->fields[1], &value);
}

static bool has_no_name(const struct wire_field *w, uint64_t v)
{
    int32_t value = (int32_t)(uint32_t)v;

    if (w->f->type != PROTOBUF_C_TYPE_ENUM)
        return false;
    if (value >= 0 && (uint32_t)value < w->n_texts && w->texts[value])
        return false;
    return !fl_enum_name(w->f->descriptor, value);
}

/* All elements of a repeated field, of which *v is the first. Where the next field is, or NULL. */
static const uint8_t *put_repeated(struct fl_buf *b, const struct wire_field *w, struct pb_field *v,
                                   const uint8_t *p, const uint8_t *end)
{
    bool first = true;
    const uint8_t *next = p;

    json_put_char(b, w->map ? '{' : '[');
    while (next) {
        if (v->type != w->wire)
            return NULL; /* packed, or not what was agreed: the slow way knows */
        p = next;
        if (!has_no_name(w, v->value)) {
            if (!first)
                json_put_char(b, ',');
            first = false;
            if (!(w->map ? put_entry(b, w->sub, v) : put_value(b, w, v)))
                return NULL;
        }
        next = p < end ? pb_next(p, end, v) : NULL;
        if (p < end && !next)
            return NULL;
        if (next && v->id != w->f->id)
            break;
    }
    json_put_char(b, w->map ? '}' : ']');
    return p;
}

/* ---- messages ---- */

static inline void put_key(struct fl_buf *b, const struct wire_field *w, char sep)
{
    char *o = json_room(b, KEY_FIXED + 1);

    *o = sep;
    if (!w->long_key) {
        memcpy(o + 1, w->key, KEY_FIXED);
        b->len += w->key_len + 1;
        return;
    }
    b->len++;
    json_put_raw(b, w->long_key, w->key_len);
}

static unsigned find(const struct json_wire_type *t, uint32_t id)
{
    if (id < BY_ID)
        return t->by_id[id] ? t->by_id[id] - 1u : t->n;
    for (unsigned i = 0; i < t->n; i++)
        if (t->fields[i].f->id == id)
            return i;
    return t->n;
}

/* What shows though it is absent, of the fields from `at` to before `to`. */
static char put_absent(struct fl_buf *b, const struct json_wire_type *t, unsigned at, unsigned to,
                       char sep)
{
    for (at = t->next_absent[at]; at < to; at = t->next_absent[at + 1]) {
        json_put_char(b, sep);
        json_put_raw(b, t->fields[at].absent, t->fields[at].absent_len);
        sep = ',';
    }
    return sep;
}

static bool put_message(struct fl_buf *b, const struct json_wire_type *t, const uint8_t *p,
                        const uint8_t *end)
{
    unsigned at = 0; /* fields before it are done */
    char sep = '{';

    if (t->generic) {
        put_generic(b, t, p, (size_t)(end - p));
        return true;
    }
    while (p < end) {
        struct pb_field v;
        const uint8_t *next = pb_next(p, end, &v);
        unsigned i;

        if (!next)
            return false;
        i = find(t, v.id);
        if (i == t->n) {
            p = next;
            continue;
        }
        const struct wire_field *w = &t->fields[i];
        if (i < at || v.type != w->wire)
            return false;
        if (!w->repeated && w->f->label != PROTOBUF_C_LABEL_REQUIRED && has_no_name(w, v.value)) {
            p = next; /* counts as absent */
            continue;
        }
        if (t->next_absent[at] < i)
            sep = put_absent(b, t, at, i, sep);
        put_key(b, w, sep);
        sep = ',';
        at = i + 1;
        if (w->repeated)
            p = put_repeated(b, w, &v, next, end);
        else
            p = put_value(b, w, &v) ? next : NULL;
        if (!p)
            return false;
    }
    sep = put_absent(b, t, at, t->n, sep);
    if (sep == '{')
        json_put_char(b, '{');
    json_put_char(b, '}');
    return true;
}

const void *json_wire_put_fields(struct fl_buf *b, const struct json_wire_type *t, const void *data,
                                 const void *data_end, uint32_t before)
{
    const uint8_t *p = data, *end = data_end, *next;
    struct pb_field v;

    assert(t->next_absent[0] == t->n);
    while (p && p < end && (next = pb_next(p, end, &v)) && v.id < before) {
        unsigned i = find(t, v.id);
        const struct wire_field *w = &t->fields[i];

        if (i == t->n || (!w->repeated && has_no_name(w, v.value))) {
            p = next;
            continue;
        }
        if (v.type != w->wire)
            return NULL;
        put_key(b, w, ',');
        if (w->repeated)
            p = put_repeated(b, w, &v, next, end);
        else
            p = put_value(b, w, &v) ? next : NULL;
    }
    return p;
}

void json_wire_put(struct fl_buf *b, const struct json_wire_type *t, const void *data, size_t n)
{
    size_t before = b->len;

    if (put_message(b, t, data, (const uint8_t *)data + n))
        return;
    b->len = before;
    put_generic(b, t, data, n);
}
