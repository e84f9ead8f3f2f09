/* JSON -> protobuf-c message, straight from the text along the message's descriptor; no tree between (jansson's
 * took fifteen times as long as the same message in protobuf, tests/bench/bench_codec.c). What is lenient and
 * what is not follows the protocol's own reader, for there are clients that lean on it: a number or a boolean may
 * come as a string, a fraction given for an integer is cut, a single value does for a list of one, null is the
 * same as absent, the last of two equal keys wins (but a map keeps both, as it does in bytes).
 *
 * On an error the message made so far is freed and the path of the culprit named. A path is a chain of frames
 * on the stack and becomes text only then. Any thread. */
#include <errno.h>
#include <math.h>

#include "common/base/json_lex.h"

#define DEPTH_MAX  100
#define FIELDS_MAX 256 /* of one message */
#define PATH_SHOWN 300 /* characters: the message must have room for what is wrong */
#define NAME_MAX_  128 /* of a field, an enum value, a number in quotes */

#define AT(type, base, offset) (*(type *)(void *)((char *)(base) + (offset)))

struct path {
    const struct path *up; /* NULL: the document itself */
    const char *name;      /* NULL: an element, `index` tells which */
    size_t index;
};

struct dec {
    struct json_in in;
    ProtobufCAllocator *alloc; /* NULL: the heap */
    unsigned flags;
};

static int decode_message(struct dec *d, const struct path *path, unsigned depth,
                          const ProtobufCMessageDescriptor *desc, ProtobufCMessage **ret_m);

/* ---- errors ---- */

static void path_text(struct fl_buf *b, const struct path *p)
{
    if (!p || !p->up)
        return;
    path_text(b, p->up);
    if (!p->name) {
        fl_buf_addf(b, "[%zu]", p->index);
        return;
    }
    if (b->len)
        fl_buf_addc(b, '.');
    fl_buf_adds(b, p->name);
}

static int fail(struct dec *d, const struct path *path, const char *what)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    path_text(&b, path);
    if (b.len > PATH_SHOWN) {
        fl_buf_drain(&b, b.len - PATH_SHOWN);
        memcpy(b.data, "...", 3);
    }
    if (b.len == 0)
        return fl_err_set(d->in.err, FL_INVALID, "%s", what);
    return fl_err_set(d->in.err, FL_INVALID, "%s: %s", fl_buf_cstr(&b), what);
}

/* ---- memory ---- */

static void *alloc_bytes(struct dec *d, size_t n)
{
    return d->alloc ? d->alloc->alloc(d->alloc->allocator_data, n ? n : 1) : xmalloc(n);
}

static void free_bytes(struct dec *d, void *p)
{
    if (!p)
        return;
    if (d->alloc)
        d->alloc->free(d->alloc->allocator_data, p);
    else
        free(p);
}

static void free_value(struct dec *d, const ProtobufCFieldDescriptor *f, void *at)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (AT(ProtobufCMessage *, at, 0))
            protobuf_c_message_free_unpacked(AT(ProtobufCMessage *, at, 0), d->alloc);
    } else if (f->type == PROTOBUF_C_TYPE_STRING) {
        if (AT(char *, at, 0) != f->default_value)
            free_bytes(d, AT(char *, at, 0));
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        free_bytes(d, AT(ProtobufCBinaryData, at, 0).data);
    }
}

/* Gives up what an earlier key of the same oneof stored. */
static void clear_oneof(struct dec *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    uint32_t which = AT(uint32_t, m, f->quantifier_offset);

    if (which) {
        f = protobuf_c_message_descriptor_get_field(m->descriptor, which);
        free_value(d, f, (char *)m + f->offset);
        AT(uint32_t, m, f->quantifier_offset) = 0;
    }
}

/* Back to unset: the key comes a second time. */
static void clear_field(struct dec *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    size_t size = fl_pb_element_size(f->type);

    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        char *list = AT(char *, m, f->offset);

        for (size_t i = 0; i < AT(size_t, m, f->quantifier_offset); i++)
            free_value(d, f, list + i * size);
        free_bytes(d, list);
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

/* ---- single values ----
 * `kind` is what json_in_peek() saw. Each returns 1 when it stored something, 0 when the value counts as absent,
 * or an error. */

/* A number, or a string that is one. */
static int read_number(struct dec *d, const struct path *path, int kind, const char *expected,
                       struct json_number *ret)
{
    struct json_in quoted = {0};
    struct json_slice slice;
    char text[NAME_MAX_];
    int r;

    if (kind == 0)
        return json_in_number(&d->in, ret);
    if (kind != '"')
        return fail(d, path, expected);
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    if (json_slice_small(&slice, text, sizeof text) &&
        (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))) {
        quoted.begin = quoted.p = text;
        quoted.end = text + strlen(text);
        if (json_in_number(&quoted, ret) == 0 && quoted.p == quoted.end)
            return 0;
    }
    return fail(d, path, expected);
}

static int decode_int(struct dec *d, const struct path *path, int kind, int64_t min, int64_t max,
                      int64_t *ret)
{
    struct json_number n;
    int r = read_number(d, path, kind, "expected an integer, or a string that is one", &n);
    int64_t v;

    if (r < 0)
        return r;
    if (!n.integer) {
        if (!(n.real > -9.3e18 && n.real < 9223372036854775808.0))
            return fail(d, path, "the number is out of range");
        v = n.real < -9223372036854775808.0 ? INT64_MIN : (int64_t)n.real;
    } else if (n.magnitude > (uint64_t)INT64_MAX + n.negative) {
        return fail(d, path, "the number is out of range");
    } else {
        v = n.negative ? (int64_t)(0 - n.magnitude) : (int64_t)n.magnitude;
    }
    if (v < min || v > max)
        return fail(d, path, "the number is out of range");
    *ret = v;
    return 1;
}

static int decode_u64(struct dec *d, const struct path *path, int kind, uint64_t *ret)
{
    struct json_number n;
    int r = read_number(d, path, kind, "expected an integer, or a string that is one", &n);

    if (r < 0)
        return r;
    if (n.integer && (!n.negative || n.magnitude == 0))
        *ret = n.magnitude;
    else if (!n.integer && n.real > -1 && n.real < 18446744073709551616.0)
        *ret = n.real < 0 ? 0 : (uint64_t)n.real;
    else
        return fail(d, path, "the number is out of range");
    return 1;
}

static int decode_double(struct dec *d, const struct path *path, int kind, double *ret)
{
    static const struct {
        const char *text;
        double value;
    } names[] = {{"\"Infinity\"", INFINITY}, {"\"-Infinity\"", -INFINITY}, {"\"NaN\"", NAN}};
    struct json_number n;
    int r;

    for (size_t i = 0; kind == '"' && i < ARRAY_SIZE(names); i++) {
        size_t len = strlen(names[i].text);

        if ((size_t)(d->in.end - d->in.p) >= len && memcmp(d->in.p, names[i].text, len) == 0) {
            d->in.p += len;
            *ret = names[i].value;
            return 1;
        }
    }
    r = read_number(d, path, kind, "expected a number, or a string that is one", &n);
    if (r < 0)
        return r;
    if (!isfinite(n.real))
        return fail(d, path, "the number is out of range");
    *ret = n.real;
    return 1;
}

static int decode_bool(struct dec *d, const struct path *path, int kind, protobuf_c_boolean *ret)
{
    struct json_slice slice;
    char text[NAME_MAX_];
    int r;

    if (kind == 't' || kind == 'f') {
        r = json_in_literal(&d->in);
        *ret = r == 't';
        return r < 0 ? r : 1;
    }
    if (kind != '"')
        return fail(d, path, "expected true or false");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    if (!json_slice_small(&slice, text, sizeof text) ||
        !(streq(text, "true") || streq(text, "false")))
        return fail(d, path, "expected true or false");
    *ret = text[0] == 't';
    return 1;
}

static int decode_enum(struct dec *d, const struct path *path, int kind,
                       const ProtobufCFieldDescriptor *f, int *ret)
{
    char what[NAME_MAX_ + 40], buf[NAME_MAX_];
    const char *text, *newer;
    struct json_slice slice;
    int r;

    if (kind != '"')
        return fail(d, path, "expected the name of an enum value");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    text = json_slice_small(&slice, buf, sizeof buf);
    if (!text)
        text = "...";
    newer = d->flags & FL_JSON_V0 ? json_v1_enum(text) : NULL;
    if (fl_enum_value(f->descriptor, newer ? newer : text, ret) == 0)
        return 1;
    if (f->label != PROTOBUF_C_LABEL_REQUIRED)
        return 0;
    (void)fl_snprintf(what, sizeof what, "unknown value '%s'", text);
    return fail(d, path, what);
}

static int decode_string(struct dec *d, const struct path *path, int kind, char **ret)
{
    struct json_slice slice;
    int r;

    if (kind != '"')
        return fail(d, path, "expected a string");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    *ret = alloc_bytes(d, slice.len + 1);
    (void)json_slice_copy(&slice, *ret);
    return 1;
}

static int decode_bytes(struct dec *d, const struct path *path, int kind, ProtobufCBinaryData *ret)
{
    _cleanup_free_ char *copy = NULL;
    struct json_slice slice;
    uint8_t *data;
    int r;

    if (kind != '"')
        return fail(d, path, "expected a string of base64");
    r = json_in_string(&d->in, &slice);
    if (r < 0)
        return r;
    if (!slice.plain) {
        copy = xmalloc(slice.len + 1);
        slice.len = json_slice_copy(&slice, copy);
        slice.raw = copy;
    }
    data = alloc_bytes(d, slice.len / 4 * 3 + 3);
    if (json_base64_decode(slice.raw, slice.len, data, &ret->len) < 0) {
        free_bytes(d, data);
        return fail(d, path, "not valid base64");
    }
    ret->data = data;
    return 1;
}

/* By type, into `at`. */
static int decode_value(struct dec *d, const struct path *path, unsigned depth, int kind,
                        const ProtobufCFieldDescriptor *f, void *at)
{
    int64_t n = 0;
    double real = 0;
    int r;

    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        r = decode_int(d, path, kind, INT32_MIN, INT32_MAX, &n);
        AT(int32_t, at, 0) = (int32_t)n;
        return r;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        r = decode_int(d, path, kind, 0, UINT32_MAX, &n);
        AT(uint32_t, at, 0) = (uint32_t)n;
        return r;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return decode_int(d, path, kind, INT64_MIN, INT64_MAX, at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return decode_u64(d, path, kind, at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return decode_double(d, path, kind, at);
    case PROTOBUF_C_TYPE_FLOAT:
        r = decode_double(d, path, kind, &real);
        AT(float, at, 0) = (float)real;
        return r;
    case PROTOBUF_C_TYPE_BOOL:
        return decode_bool(d, path, kind, at);
    case PROTOBUF_C_TYPE_ENUM:
        return decode_enum(d, path, kind, f, at);
    case PROTOBUF_C_TYPE_STRING:
        return decode_string(d, path, kind, at);
    case PROTOBUF_C_TYPE_BYTES:
        return decode_bytes(d, path, kind, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        r = decode_message(d, path, depth + 1, f->descriptor, at);
        return r < 0 ? r : 1;
    }
    return fail(d, path, "a type that is not supported");
}

/* ---- fields ---- */

union value {
    uint64_t scalar;
    void *pointer;
    ProtobufCBinaryData bytes;
};

static int decode_singular(struct dec *d, const struct path *path, unsigned depth, int kind,
                           ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
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
static void push(struct dec *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                 const void *value)
{
    size_t size = fl_pb_element_size(f->type);
    size_t *n = &AT(size_t, m, f->quantifier_offset);
    char **list = &AT(char *, m, f->offset);

    if (*n == 0 || (*n >= 4 && (*n & (*n - 1)) == 0)) {
        char *bigger = alloc_bytes(d, FL_MAX(*n * 2, (size_t)4) * size);

        if (*n)
            memcpy(bigger, *list, *n * size);
        free_bytes(d, *list);
        *list = bigger;
    }
    memcpy(*list + *n * size, value, size);
    (*n)++;
}

/* A list within the list counts as its elements. */
static int decode_elements(struct dec *d, const struct path *path, unsigned depth, int kind,
                           ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    struct path here = {.up = path};
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
        return fail(d, path, "nested too deeply");
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
static int decode_entry(struct dec *d, const struct path *path, unsigned depth,
                        const struct json_slice *key, ProtobufCMessage *m,
                        const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *desc = f->descriptor;
    ProtobufCMessage *e = alloc_bytes(d, desc->sizeof_message);
    char *name = alloc_bytes(d, key->len + 1);
    struct path here = {.up = path, .name = name};
    int kind;

    protobuf_c_message_init(desc, e);
    (void)json_slice_copy(key, name);
    AT(char *, e, desc->fields[0].offset) = name;
    push(d, m, f, &e);
    kind = json_in_peek(&d->in);
    if (kind < 0)
        return kind;
    if (kind == 'n')
        return fail(d, &here, "required but missing");
    return decode_singular(d, &here, depth + 1, kind, e, &desc->fields[1]);
}

static int decode_map(struct dec *d, const struct path *path, unsigned depth, int kind,
                      ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    struct json_slice key;
    bool first = true;
    int r;

    if (kind != '{')
        return fail(d, path, "expected an object");
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
find_field(struct dec *d, const ProtobufCMessageDescriptor *desc, const char *key)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(desc, key);
    const char *newer = !f && (d->flags & FL_JSON_V0) ? json_v1_field(desc, key) : NULL;

    return newer ? protobuf_c_message_descriptor_get_field_by_name(desc, newer) : f;
}

/* The value of `f`, which is at hand. */
static int decode_field(struct dec *d, const struct path *path, unsigned depth, ProtobufCMessage *m,
                        const ProtobufCFieldDescriptor *f, bool *seen)
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

static int fill_message(struct dec *d, const struct path *path, unsigned depth, ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *desc = m->descriptor;
    bool seen[FIELDS_MAX], first = true;
    char buf[NAME_MAX_];
    int r;

    assert(desc->n_fields <= FIELDS_MAX);
    memset(seen, 0, desc->n_fields);
    json_in_open(&d->in);
    while ((r = json_in_more(&d->in, '}', &first)) > 0) {
        const ProtobufCFieldDescriptor *f = NULL;
        struct path here = {.up = path, .name = buf};
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
        struct path here = {.up = path, .name = desc->fields[i].name};

        if (desc->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && !seen[i])
            return fail(d, &here, "required but missing");
    }
    return r;
}

static int decode_message(struct dec *d, const struct path *path, unsigned depth,
                          const ProtobufCMessageDescriptor *desc, ProtobufCMessage **ret_m)
{
    int kind = json_in_peek(&d->in), r;
    ProtobufCMessage *m;

    if (kind < 0)
        return kind;
    if (kind != '{')
        return fail(d, path, "expected an object");
    if (depth > DEPTH_MAX)
        return fail(d, path, "nested too deeply");
    m = alloc_bytes(d, desc->sizeof_message);
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
    struct dec d = {
        .in = {.begin = json, .p = json, .end = json + n, .err = err},
        .alloc = alloc,
        .flags = flags,
    };
    struct path root = {0};
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
