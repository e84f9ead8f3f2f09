/* JSON -> protobuf-c message. jansson reads the text; this walks its tree along the message's
 * descriptor and fills the message in memory of the caller's allocator. What is lenient and what is
 * not follows the protocol's own reader, for there are clients that lean on it: a number or a
 * boolean may come as a string, a fraction given for an integer is cut, a single value does for a
 * list of one, null is the same as absent.
 *
 * On an error the message made so far is freed and the path of the culprit named. A path is a chain
 * of frames on the stack and becomes text only then. Any thread. */
#include "common/base/json_text.h"

#include <jansson.h>
#include <math.h>

#define DEPTH_MAX  100
#define FIELDS_MAX 256 /* of one message */

#define AT(type, base, offset) (*(type *)((char *)(base) + (offset)))

struct path {
    const struct path *up; /* NULL: the document itself */
    const char *name;      /* NULL: an element, `index` tells which */
    size_t index;
};

struct dec {
    ProtobufCAllocator *alloc; /* NULL: the heap */
    unsigned flags;
    struct fl_err *err;
};

static int decode_message(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
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
    if (b.len == 0)
        return fl_err_set(d->err, FL_INVALID, "%s", what);
    return fl_err_set(d->err, FL_INVALID, "%s: %s", fl_buf_cstr(&b), what);
}

/* ---- memory ---- */

static void *alloc_bytes(struct dec *d, size_t n)
{
    return d->alloc ? d->alloc->alloc(d->alloc->allocator_data, n ? n : 1) : xmalloc(n);
}

static void free_bytes(struct dec *d, void *p)
{
    if (d->alloc)
        d->alloc->free(d->alloc->allocator_data, p);
    else
        free(p);
}

/* ---- single values ----
 * Each returns 1 when it stored something, 0 when the value counts as absent, or an error. */

static int decode_int(struct dec *d, const struct path *path, const json_t *v, int64_t min,
                      int64_t max, int64_t *ret)
{
    int64_t n = 0;
    double real = NAN;

    if (json_is_integer(v)) {
        n = json_integer_value(v);
    } else if (json_is_real(v)) {
        real = json_real_value(v);
    } else if (!json_is_string(v)) {
        return fail(d, path, "expected an integer");
    } else if (fl_parse_i64(json_string_value(v), &n) < 0 &&
               fl_parse_f64(json_string_value(v), &real) < 0) {
        return fail(d, path, "expected an integer, or a string that is one");
    }
    if (!isnan(real)) {
        if (!(real > -9.3e18 && real < 9.2233720368547e18))
            return fail(d, path, "the number is out of range");
        n = (int64_t)real;
    }
    if (n < min || n > max)
        return fail(d, path, "the number is out of range");
    *ret = n;
    return 1;
}

static int decode_u64(struct dec *d, const struct path *path, const json_t *v, uint64_t *ret)
{
    int64_t n;
    double real;
    int r;

    if (json_is_string(v) && fl_parse_u64(json_string_value(v), ret) == 0)
        return 1;
    real = json_is_real(v) ? json_real_value(v) : 0;
    if (real >= 9.2e18 && real < 18446744073709551616.0) {
        *ret = (uint64_t)real;
        return 1;
    }
    r = decode_int(d, path, v, 0, INT64_MAX, &n);
    if (r > 0)
        *ret = (uint64_t)n;
    return r;
}

static int decode_double(struct dec *d, const struct path *path, const json_t *v, double *ret)
{
    static const struct {
        const char *text;
        double value;
    } names[] = {{"Infinity", INFINITY}, {"-Infinity", -INFINITY}, {"NaN", NAN}};

    if (json_is_number(v)) {
        *ret = json_number_value(v);
        return 1;
    }
    if (!json_is_string(v))
        return fail(d, path, "expected a number");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (streq(names[i].text, json_string_value(v))) {
            *ret = names[i].value;
            return 1;
        }
    }
    if (fl_parse_f64(json_string_value(v), ret) < 0)
        return fail(d, path, "expected a number, or a string that is one");
    return 1;
}

static int decode_bool(struct dec *d, const struct path *path, const json_t *v,
                       protobuf_c_boolean *ret)
{
    const char *text = json_string_value(v);

    if (json_is_boolean(v))
        *ret = json_is_true(v);
    else if (text && (streq(text, "true") || streq(text, "false")))
        *ret = streq(text, "true");
    else
        return fail(d, path, "expected true or false");
    return 1;
}

static int decode_enum(struct dec *d, const struct path *path, const json_t *v,
                       const ProtobufCFieldDescriptor *f, int *ret)
{
    const char *text = json_string_value(v), *newer;
    char what[200];

    if (!text)
        return fail(d, path, "expected the name of an enum value");
    newer = d->flags & FL_JSON_V0 ? json_v1_enum(text) : NULL;
    if (fl_enum_value(f->descriptor, newer ? newer : text, ret) == 0)
        return 1;
    if (f->label != PROTOBUF_C_LABEL_REQUIRED)
        return 0;
    (void)fl_snprintf(what, sizeof what, "unknown value '%.100s'", text);
    return fail(d, path, what);
}

static int decode_string(struct dec *d, const struct path *path, const json_t *v, char **ret)
{
    size_t n;

    if (!json_is_string(v))
        return fail(d, path, "expected a string");
    n = json_string_length(v);
    *ret = alloc_bytes(d, n + 1);
    memcpy(*ret, json_string_value(v), n + 1);
    return 1;
}

static int decode_bytes(struct dec *d, const struct path *path, const json_t *v,
                        ProtobufCBinaryData *ret)
{
    uint8_t *data;
    size_t n;

    if (!json_is_string(v))
        return fail(d, path, "expected a string of base64");
    data = alloc_bytes(d, json_string_length(v) / 4 * 3 + 3);
    if (json_base64_decode(json_string_value(v), data, &n) < 0) {
        free_bytes(d, data);
        return fail(d, path, "not valid base64");
    }
    ret->data = data;
    ret->len = n;
    return 1;
}

/* By type, into `at`. */
static int decode_value(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
                        const ProtobufCFieldDescriptor *f, void *at)
{
    int64_t n = 0;
    double real = 0;
    int r;

    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        r = decode_int(d, path, v, INT32_MIN, INT32_MAX, &n);
        *(int32_t *)at = (int32_t)n;
        return r;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        r = decode_int(d, path, v, 0, UINT32_MAX, &n);
        *(uint32_t *)at = (uint32_t)n;
        return r;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return decode_int(d, path, v, INT64_MIN, INT64_MAX, at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return decode_u64(d, path, v, at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return decode_double(d, path, v, at);
    case PROTOBUF_C_TYPE_FLOAT:
        r = decode_double(d, path, v, &real);
        *(float *)at = (float)real;
        return r;
    case PROTOBUF_C_TYPE_BOOL:
        return decode_bool(d, path, v, at);
    case PROTOBUF_C_TYPE_ENUM:
        return decode_enum(d, path, v, f, at);
    case PROTOBUF_C_TYPE_STRING:
        return decode_string(d, path, v, at);
    case PROTOBUF_C_TYPE_BYTES:
        return decode_bytes(d, path, v, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        r = decode_message(d, path, depth + 1, v, f->descriptor, at);
        return r < 0 ? r : 1;
    }
    return fail(d, path, "a type that is not supported");
}

/* ---- fields ---- */

/* Gives up what an earlier key of the same oneof stored: the last one wins. */
static void clear_oneof(struct dec *d, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    uint32_t which = AT(uint32_t, m, f->quantifier_offset);
    const ProtobufCFieldDescriptor *old =
        which ? protobuf_c_message_descriptor_get_field(m->descriptor, which) : NULL;

    AT(uint32_t, m, f->quantifier_offset) = 0;
    if (!old)
        return;
    if (old->type == PROTOBUF_C_TYPE_MESSAGE)
        protobuf_c_message_free_unpacked(AT(ProtobufCMessage *, m, old->offset), d->alloc);
    else if (old->type == PROTOBUF_C_TYPE_STRING)
        free_bytes(d, AT(char *, m, old->offset));
    else if (old->type == PROTOBUF_C_TYPE_BYTES)
        free_bytes(d, AT(ProtobufCBinaryData, m, old->offset).data);
}

static int decode_singular(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
                           ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    union {
        uint64_t scalar;
        void *pointer;
        ProtobufCBinaryData bytes;
    } value = {0};
    size_t size = fl_pb_element_size(f->type);
    int r = decode_value(d, path, depth, v, f, &value);

    if (r <= 0)
        return r;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        clear_oneof(d, m, f);
        AT(uint32_t, m, f->quantifier_offset) = f->id;
    } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
               f->type != PROTOBUF_C_TYPE_MESSAGE) {
        AT(protobuf_c_boolean, m, f->quantifier_offset) = 1;
    }
    memcpy((char *)m + f->offset, &value, size);
    return 1;
}

/* A list within the list counts as its elements. */
static size_t count_elements(const json_t *v)
{
    size_t n = 0;

    if (!json_is_array(v))
        return json_is_null(v) ? 0 : 1;
    for (size_t i = 0; i < json_array_size(v); i++)
        n += count_elements(json_array_get(v, i));
    return n;
}

static int decode_elements(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
                           ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    size_t size = fl_pb_element_size(f->type);
    size_t *n = &AT(size_t, m, f->quantifier_offset);
    int r = 0;

    if (json_is_null(v))
        return 0;
    if (!json_is_array(v)) {
        r = decode_value(d, path, depth, v, f, AT(char *, m, f->offset) + *n * size);
        *n += r > 0;
        return r;
    }
    if (depth >= DEPTH_MAX)
        return fail(d, path, "nested too deeply");
    for (size_t i = 0; i < json_array_size(v) && r >= 0; i++) {
        struct path here = {.up = path, .index = i};

        r = decode_elements(d, &here, depth + 1, json_array_get(v, i), m, f);
    }
    return r;
}

/* An object's members, each as an entry's key and value. */
static int decode_map(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
                      ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *entry = f->descriptor;
    size_t *n = &AT(size_t, m, f->quantifier_offset);
    const char *key;
    json_t *value;
    int r;

    json_object_foreach((json_t *)v, key, value)
    {
        struct path here = {.up = path, .name = key};
        ProtobufCMessage *e = alloc_bytes(d, entry->sizeof_message);
        size_t len = strlen(key) + 1;
        char *copy = alloc_bytes(d, len);

        protobuf_c_message_init(entry, e);
        AT(char *, e, entry->fields[0].offset) = memcpy(copy, key, len);
        AT(ProtobufCMessage **, m, f->offset)[(*n)++] = e;
        r = json_is_null(value) ? fail(d, &here, "required but missing")
                                : decode_singular(d, &here, depth + 1, value, e, &entry->fields[1]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int decode_repeated(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
                           ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const bool map = f->type == PROTOBUF_C_TYPE_MESSAGE && json_is_map_entry(f->descriptor);
    size_t n;

    if (map && !json_is_object(v))
        return fail(d, path, "expected an object");
    n = map ? json_object_size(v) : count_elements(v);
    if (n == 0)
        return 0;
    AT(void *, m, f->offset) = alloc_bytes(d, n * fl_pb_element_size(f->type));
    return map ? decode_map(d, path, depth, v, m, f) : decode_elements(d, path, depth, v, m, f);
}

static const ProtobufCFieldDescriptor *
find_field(struct dec *d, const ProtobufCMessageDescriptor *desc, const char *key)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(desc, key);
    const char *newer = !f && (d->flags & FL_JSON_V0) ? json_v1_field(desc, key) : NULL;

    return newer ? protobuf_c_message_descriptor_get_field_by_name(desc, newer) : f;
}

/* ---- messages ---- */

static int fill_message(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
                        ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *desc = m->descriptor;
    bool seen[FIELDS_MAX] = {false};
    const char *key;
    json_t *value;

    assert(desc->n_fields <= FIELDS_MAX);
    json_object_foreach((json_t *)v, key, value)
    {
        const ProtobufCFieldDescriptor *f = find_field(d, desc, key);
        struct path here = {.up = path, .name = key};
        int r;

        /* Seen already: both spellings of one field. */
        if (!f || json_is_null(value) || seen[f - desc->fields])
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            r = decode_repeated(d, &here, depth, value, m, f);
        else
            r = decode_singular(d, &here, depth, value, m, f);
        if (r < 0)
            return r;
        seen[f - desc->fields] = true;
    }
    for (unsigned i = 0; i < desc->n_fields; i++) {
        struct path here = {.up = path, .name = desc->fields[i].name};

        if (desc->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && !seen[i])
            return fail(d, &here, "required but missing");
    }
    return 0;
}

static int decode_message(struct dec *d, const struct path *path, unsigned depth, const json_t *v,
                          const ProtobufCMessageDescriptor *desc, ProtobufCMessage **ret_m)
{
    ProtobufCMessage *m;
    int r;

    if (!json_is_object(v))
        return fail(d, path, "expected an object");
    if (depth > DEPTH_MAX)
        return fail(d, path, "nested too deeply");
    m = alloc_bytes(d, desc->sizeof_message);
    protobuf_c_message_init(desc, m);
    r = fill_message(d, path, depth, v, m);
    if (r < 0) {
        protobuf_c_message_free_unpacked(m, d->alloc);
        return r;
    }
    *ret_m = m;
    return 0;
}

int fl_json_value_to_pb(const void *value, const ProtobufCMessageDescriptor *desc, unsigned flags,
                        ProtobufCAllocator *alloc, ProtobufCMessage **ret_m, struct fl_err *err)
{
    struct dec d = {.alloc = alloc, .flags = flags, .err = err};
    struct path root = {0};

    return decode_message(&d, &root, 1, value, desc, ret_m);
}

/* jansson refuses integers beyond 63 bits, which a field may hold. Copies the text with every
 * integer of 19 digits or more in quotes, as which a number may come anyway. */
static void quote_long_integers(const char *json, size_t n, struct fl_buf *out)
{
    bool in_string = false;
    size_t i = 0;

    while (i < n) {
        size_t len = 0;

        if (in_string && json[i] == '\\' && i + 1 < n)
            fl_buf_addc(out, json[i++]);
        else if (json[i] == '"')
            in_string = !in_string;
        else if (!in_string)
            len = strspn(json + i, "-+.eE0123456789");
        if (len < 19 || memchr(json + i, '.', len) || memchr(json + i, 'e', len) ||
            memchr(json + i, 'E', len)) {
            len = FL_MAX(len, (size_t)1);
            fl_buf_add(out, json + i, len);
        } else {
            fl_buf_addf(out, "\"%.*s\"", (int)FL_MIN(len, (size_t)400), json + i);
        }
        i += len;
    }
}

static json_t *parse(const char *json, size_t n, json_error_t *e)
{
    json_t *v = json_loadb(json, n, 0, e);
    _cleanup_buf_ struct fl_buf copy = FL_BUF_INIT, quoted = FL_BUF_INIT;

    if (v || json_error_code(e) != json_error_numeric_overflow)
        return v;
    fl_buf_add(&copy, json, n);
    quote_long_integers(fl_buf_cstr(&copy), n, &quoted);
    return json_loadb(quoted.data, quoted.len, 0, e);
}

int fl_json_to_pb(const char *json, size_t n, const ProtobufCMessageDescriptor *desc,
                  unsigned flags, ProtobufCAllocator *alloc, ProtobufCMessage **ret_m,
                  struct fl_err *err)
{
    json_error_t e;
    json_t *v = parse(json, n, &e);
    int r;

    if (!v)
        return fl_err_set(err, FL_INVALID, "not valid JSON: line %d, column %d: %s", e.line,
                          e.column, e.text);
    r = fl_json_value_to_pb(v, desc, flags, alloc, ret_m, err);
    json_decref(v);
    return r;
}
