/* JSON -> protobuf-c message, straight from the text along the message's descriptor; no tree between (jansson's
 * took fifteen times as long as the same message in protobuf, tests/bench/bench_codec.c). What is lenient and
 * what is not follows the protocol's own reader, for there are clients that lean on it: a number or a boolean may
 * come as a string, a fraction given for an integer is cut, a single value does for a list of one, null is the
 * same as absent, the last of two equal keys wins (but a map keeps both, as it does in bytes).
 *
 * On an error the message made so far is freed and the path of the culprit named. Any thread. */
#include "common/base/json_decode.h"

#define DEPTH_MAX  100
#define FIELDS_MAX 256 /* of one message */

#define AT(type, base, offset) (*(type *)(void *)((char *)(base) + (offset)))

static int decode_message(struct json_dec *d, const struct json_path *path, unsigned depth,
                          const ProtobufCMessageDescriptor *desc, ProtobufCMessage **ret_m);

/* ---- memory ---- */

void *json_dec_alloc(struct json_dec *d, size_t n)
{
    return d->alloc ? d->alloc->alloc(d->alloc->allocator_data, n ? n : 1) : xmalloc(n);
}

void json_dec_free(struct json_dec *d, void *p)
{
    if (!p)
        return;
    if (d->alloc)
        d->alloc->free(d->alloc->allocator_data, p);
    else
        free(p);
}

static void free_value(struct json_dec *d, const ProtobufCFieldDescriptor *f, void *at)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (AT(ProtobufCMessage *, at, 0))
            protobuf_c_message_free_unpacked(AT(ProtobufCMessage *, at, 0), d->alloc);
    } else if (f->type == PROTOBUF_C_TYPE_STRING) {
        if (AT(char *, at, 0) != f->default_value)
            json_dec_free(d, AT(char *, at, 0));
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        json_dec_free(d, AT(ProtobufCBinaryData, at, 0).data);
    }
}

/* Gives up what an earlier key of the same oneof stored. */
static void clear_oneof(struct json_dec *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    uint32_t which = AT(uint32_t, m, f->quantifier_offset);

    if (which) {
        f = protobuf_c_message_descriptor_get_field(m->descriptor, which);
        free_value(d, f, (char *)m + f->offset);
        AT(uint32_t, m, f->quantifier_offset) = 0;
    }
}

/* Back to unset: the key comes a second time. */
static void clear_field(struct json_dec *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    size_t size = fl_pb_element_size(f->type);

    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        char *list = AT(char *, m, f->offset);

        for (size_t i = 0; i < AT(size_t, m, f->quantifier_offset); i++)
            free_value(d, f, list + i * size);
        json_dec_free(d, list);
        AT(size_t, m, f->quantifier_offset) = 0;
        AT(void *, m, f->offset) = NULL;
    } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        if (AT(uint32_t, m, f->quantifier_offset) == f->id)
            clear_oneof(d, m, f);
    } else {
        free_value(d, f, (char *)m + f->offset);
        if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
            f->type != PROTOBUF_C_TYPE_MESSAGE)
            AT(protobuf_c_boolean, m, f->quantifier_offset) = 0;
        memset((char *)m + f->offset, 0, size);
        if (f->default_value && f->type == PROTOBUF_C_TYPE_STRING)
            AT(const void *, m, f->offset) = f->default_value;
        else if (f->default_value)
            memcpy((char *)m + f->offset, f->default_value, size);
    }
}

/* ---- values ---- */

/* By type, into `at`. */
static int decode_value(struct json_dec *d, const struct json_path *path, unsigned depth, int kind,
                        const ProtobufCFieldDescriptor *f, void *at)
{
    int64_t n = 0;
    double real = 0;
    int r;

    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        r = json_dec_int(d, path, kind, INT32_MIN, INT32_MAX, &n);
        AT(int32_t, at, 0) = (int32_t)n;
        return r;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        r = json_dec_int(d, path, kind, 0, UINT32_MAX, &n);
        AT(uint32_t, at, 0) = (uint32_t)n;
        return r;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_dec_int(d, path, kind, INT64_MIN, INT64_MAX, at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_dec_u64(d, path, kind, at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_dec_double(d, path, kind, at);
    case PROTOBUF_C_TYPE_FLOAT:
        r = json_dec_double(d, path, kind, &real);
        AT(float, at, 0) = (float)real;
        return r;
    case PROTOBUF_C_TYPE_BOOL:
        return json_dec_bool(d, path, kind, at);
    case PROTOBUF_C_TYPE_ENUM:
        return json_dec_enum(d, path, kind, f, at);
    case PROTOBUF_C_TYPE_STRING:
        return json_dec_string(d, path, kind, at);
    case PROTOBUF_C_TYPE_BYTES:
        return json_dec_bytes(d, path, kind, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        r = decode_message(d, path, depth + 1, f->descriptor, at);
        return r < 0 ? r : 1;
    }
    return json_dec_fail(d, path, "a type that is not supported");
}

/* ---- fields ---- */

union value {
    uint64_t scalar;
    void *pointer;
    ProtobufCBinaryData bytes;
};

static int decode_singular(struct json_dec *d, const struct json_path *path, unsigned depth,
                           int kind, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    union value value = {0};
    int r = decode_value(d, path, depth, kind, f, &value);

    if (r <= 0)
        return r;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        clear_oneof(d, m, f);
        AT(uint32_t, m, f->quantifier_offset) = f->id;
    } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
               f->type != PROTOBUF_C_TYPE_MESSAGE) {
        AT(protobuf_c_boolean, m, f->quantifier_offset) = 1;
    }
    memcpy((char *)m + f->offset, &value, fl_pb_element_size(f->type));
    return 1;
}

/* Appends to a repeated field, whose array has room for the next power of two, at least four. */
static void push(struct json_dec *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                 const void *value)
{
    size_t size = fl_pb_element_size(f->type);
    size_t *n = &AT(size_t, m, f->quantifier_offset);
    char **list = &AT(char *, m, f->offset);

    if (*n == 0 || (*n >= 4 && (*n & (*n - 1)) == 0)) {
        char *bigger = json_dec_alloc(d, FL_MAX(*n * 2, (size_t)4) * size);

        if (*n)
            memcpy(bigger, *list, *n * size);
        json_dec_free(d, *list);
        *list = bigger;
    }
    memcpy(*list + *n * size, value, size);
    (*n)++;
}

/* A list within the list counts as its elements. */
static int decode_elements(struct json_dec *d, const struct json_path *path, unsigned depth,
                           int kind, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    struct json_path here = {.up = path};
    union value value = {0};
    bool first = true;
    int r;

    if (kind == 'n')
        return FL_MIN(json_in_literal(&d->in), 0);
    if (kind != '[') {
        r = decode_value(d, path, depth, kind, f, &value);
        if (r > 0)
            push(d, m, f, &value);
        return r;
    }
    if (depth >= DEPTH_MAX)
        return json_dec_fail(d, path, "nested too deeply");
    json_in_open(&d->in);
    for (; (r = json_in_more(&d->in, ']', &first)) > 0; here.index++) {
        kind = json_in_peek(&d->in);
        if (kind < 0)
            return kind;
        r = decode_elements(d, &here, depth + 1, kind, m, f);
        if (r < 0)
            return r;
    }
    return r;
}

/* One member of an object that is a map: its key has been read. */
static int decode_entry(struct json_dec *d, const struct json_path *path, unsigned depth,
                        const struct json_slice *key, ProtobufCMessage *m,
                        const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *desc = f->descriptor;
    ProtobufCMessage *e = json_dec_alloc(d, desc->sizeof_message);
    char *name = json_dec_alloc(d, key->len + 1);
    struct json_path here = {.up = path, .name = name};
    int kind;

    protobuf_c_message_init(desc, e);
    (void)json_slice_copy(key, name);
    AT(char *, e, desc->fields[0].offset) = name;
    push(d, m, f, &e);
    kind = json_in_peek(&d->in);
    if (kind < 0)
        return kind;
    if (kind == 'n')
        return json_dec_fail(d, &here, "required but missing");
    return decode_singular(d, &here, depth + 1, kind, e, &desc->fields[1]);
}

static int decode_map(struct json_dec *d, const struct json_path *path, unsigned depth, int kind,
                      ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    struct json_slice key;
    bool first = true;
    int r;

    if (kind != '{')
        return json_dec_fail(d, path, "expected an object");
    json_in_open(&d->in);
    while ((r = json_in_more(&d->in, '}', &first)) > 0) {
        r = json_in_key(&d->in, &key);
        if (r == 0)
            r = decode_entry(d, path, depth, &key, m, f);
        if (r < 0)
            return r;
    }
    return r;
}

/* ---- messages ---- */

static const ProtobufCFieldDescriptor *
find_field(struct json_dec *d, const ProtobufCMessageDescriptor *desc, const char *key)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(desc, key);
    const char *newer = !f && (d->flags & FL_JSON_V0) ? json_v1_field(desc, key) : NULL;

    return newer ? protobuf_c_message_descriptor_get_field_by_name(desc, newer) : f;
}

/* The value of `f`, which is at hand. */
static int decode_field(struct json_dec *d, const struct json_path *path, unsigned depth,
                        ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, bool *seen)
{
    int kind = json_in_peek(&d->in), r;

    if (kind < 0)
        return kind;
    if (*seen)
        clear_field(d, m, f);
    *seen = kind != 'n';
    if (kind == 'n')
        r = json_in_literal(&d->in);
    else if (f->label != PROTOBUF_C_LABEL_REPEATED)
        r = decode_singular(d, path, depth, kind, m, f);
    else if (f->type == PROTOBUF_C_TYPE_MESSAGE && json_is_map_entry(f->descriptor))
        r = decode_map(d, path, depth, kind, m, f);
    else
        r = decode_elements(d, path, depth, kind, m, f);
    return FL_MIN(r, 0);
}

static int fill_message(struct json_dec *d, const struct json_path *path, unsigned depth,
                        ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *desc = m->descriptor;
    bool seen[FIELDS_MAX], first = true;
    char buf[NAME_SIZE];
    int r;

    assert(desc->n_fields <= FIELDS_MAX);
    memset(seen, 0, desc->n_fields);
    json_in_open(&d->in);
    while ((r = json_in_more(&d->in, '}', &first)) > 0) {
        const ProtobufCFieldDescriptor *f = NULL;
        struct json_path here = {.up = path, .name = buf};
        struct json_slice key;

        r = json_in_key(&d->in, &key);
        if (r < 0)
            return r;
        if (json_slice_small(&key, buf, sizeof buf))
            f = find_field(d, desc, buf);
        r = f ? decode_field(d, &here, depth, m, f, &seen[f - desc->fields]) : json_in_skip(&d->in);
        if (r < 0)
            return r;
    }
    for (unsigned i = 0; r == 0 && i < desc->n_fields; i++) {
        struct json_path here = {.up = path, .name = desc->fields[i].name};

        if (desc->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && !seen[i])
            return json_dec_fail(d, &here, "required but missing");
    }
    return r;
}

static int decode_message(struct json_dec *d, const struct json_path *path, unsigned depth,
                          const ProtobufCMessageDescriptor *desc, ProtobufCMessage **ret_m)
{
    int kind = json_in_peek(&d->in), r;
    ProtobufCMessage *m;

    if (kind < 0)
        return kind;
    if (kind != '{')
        return json_dec_fail(d, path, "expected an object");
    if (depth > DEPTH_MAX)
        return json_dec_fail(d, path, "nested too deeply");
    m = json_dec_alloc(d, desc->sizeof_message);
    protobuf_c_message_init(desc, m);
    r = fill_message(d, path, depth, m);
    if (r < 0) {
        protobuf_c_message_free_unpacked(m, d->alloc);
        return r;
    }
    *ret_m = m;
    return 0;
}

int fl_json_to_pb(const char *json, size_t n, const ProtobufCMessageDescriptor *desc,
                  unsigned flags, ProtobufCAllocator *alloc, ProtobufCMessage **ret_m,
                  struct fl_err *err)
{
    struct json_dec d = {
        .in = {.begin = json, .p = json, .end = json + n, .err = err},
        .alloc = alloc,
        .flags = flags,
    };
    struct json_path root = {0};
    ProtobufCMessage *m = NULL;
    int r = decode_message(&d, &root, 1, desc, &m);

    if (r < 0)
        return r;
    r = json_in_end(&d.in);
    if (r < 0) {
        protobuf_c_message_free_unpacked(m, alloc);
        return r;
    }
    *ret_m = m;
    return 0;
}

/* A tree of jansson's is rare (flags, files) and small: its text goes the one way that there is. */
int fl_json_value_to_pb(const void *value, const ProtobufCMessageDescriptor *desc, unsigned flags,
                        ProtobufCAllocator *alloc, ProtobufCMessage **ret_m, struct fl_err *err)
{
    _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (!text)
        return fl_err_set(err, FL_INVALID, "a value that JSON cannot hold");
    return fl_json_to_pb(text, strlen(text), desc, flags, alloc, ret_m, err);
}
