/* protobuf-c message -> JSON, straight into the buffer, driven by the message's descriptor; no tree
 * between. Any thread. */
#include "common/base/json_put.h"

#define AT(type, base, offset) (*(const type *)(const void *)((const char *)(base) + (offset)))

/* ---- writing ---- */

/* Names of the .proto need no escape. */
static void put_name(struct fl_buf *b, const char *name)
{
    size_t n = strlen(name);
    char *p = json_room(b, n + 2);

    p[0] = '"';
    memcpy(p + 1, name, n);
    p[n + 1] = '"';
    b->len += n + 2;
}

void json_text_enum(struct fl_buf *b, const ProtobufCFieldDescriptor *f, int value, unsigned flags)
{
    const char *name = fl_enum_name(f->descriptor, value), *older;

    /* Only a required field comes here with a number that has no name. */
    if (!name) {
        json_text_int(b, value);
        return;
    }
    older = flags & FL_JSON_V0 ? json_v0_enum(name) : NULL;
    put_name(b, older ? older : name);
}

static void put_value(struct fl_buf *b, const ProtobufCFieldDescriptor *f, const void *at,
                      unsigned flags)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        json_put_int(b, AT(int32_t, at, 0));
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        json_put_uint(b, AT(uint32_t, at, 0));
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        json_put_int(b, AT(int64_t, at, 0));
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        json_put_uint(b, AT(uint64_t, at, 0));
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        json_text_double(b, (double)AT(float, at, 0));
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        json_text_double(b, AT(double, at, 0));
        break;
    case PROTOBUF_C_TYPE_BOOL:
        fl_buf_adds(b, AT(protobuf_c_boolean, at, 0) ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        json_text_enum(b, f, AT(int, at, 0), flags);
        break;
    case PROTOBUF_C_TYPE_STRING:
        json_put_string(b, AT(char *, at, 0), strlen(AT(char *, at, 0)));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        json_text_base64(b, AT(ProtobufCBinaryData, at, 0).data,
                         AT(ProtobufCBinaryData, at, 0).len);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        fl_json_from_pb(b, AT(ProtobufCMessage *, at, 0), flags);
        break;
    }
}

static void put_map(struct fl_buf *b, ProtobufCMessage *const *entries, size_t n, unsigned flags)
{
    const ProtobufCFieldDescriptor *f = entries[0]->descriptor->fields;

    for (size_t i = 0; i < n; i++) {
        const char *key = AT(char *, entries[i], f[0].offset);

        json_put_char(b, i == 0 ? '{' : ',');
        json_put_string(b, key, strlen(key));
        json_put_char(b, ':');
        put_value(b, &f[1], (const char *)entries[i] + f[1].offset, flags);
    }
    json_put_char(b, '}');
}

static void put_repeated(struct fl_buf *b, const ProtobufCFieldDescriptor *f, const void *list,
                         size_t n, unsigned flags)
{
    size_t size = fl_pb_element_size(f->type);
    char sep = '[';

    if (f->type == PROTOBUF_C_TYPE_MESSAGE && json_is_map_entry(f->descriptor)) {
        put_map(b, list, n, flags);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const char *at = (const char *)list + i * size;

        if (f->type == PROTOBUF_C_TYPE_ENUM && !fl_enum_name(f->descriptor, AT(int, at, 0)))
            continue;
        json_put_char(b, sep);
        sep = ',';
        put_value(b, f, at, flags);
    }
    if (sep == '[')
        json_put_char(b, '[');
    json_put_char(b, ']');
}

/* Is the singular field set, that is to be written? */
static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const void *p;

    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        if (AT(uint32_t, m, f->quantifier_offset) != f->id)
            return false;
    } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
               f->type != PROTOBUF_C_TYPE_MESSAGE) {
        if (!AT(protobuf_c_boolean, m, f->quantifier_offset))
            return false;
    }
    if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE) {
        p = AT(void *, m, f->offset);
        return p && (f->label == PROTOBUF_C_LABEL_REQUIRED || p != f->default_value);
    }
    return f->type != PROTOBUF_C_TYPE_ENUM || f->label == PROTOBUF_C_LABEL_REQUIRED ||
           fl_enum_name(f->descriptor, AT(int, m, f->offset));
}

/* Unset fields with a default of their own, but not those that the protocol has retired. */
bool json_shows_default(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f)
{
    if (!f->default_value || f->label != PROTOBUF_C_LABEL_OPTIONAL)
        return false;
    return !(streq(f->name, "role") &&
             (streq(d->name, "mesos.v1.Resource") || streq(d->name, "mesos.v1.FrameworkInfo")));
}

void json_text_default(struct fl_buf *b, const ProtobufCFieldDescriptor *f, unsigned flags)
{
    const char *text = f->default_value;

    put_value(b, f, f->type == PROTOBUF_C_TYPE_STRING ? (const void *)&text : f->default_value,
              flags);
}

void fl_json_from_pb(struct fl_buf *b, const ProtobufCMessage *m, unsigned flags)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    char sep = '{';

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
        size_t n = repeated ? AT(size_t, m, f->quantifier_offset) : is_set(m, f);
        const char *older;

        if (n == 0 && (!(flags & FL_JSON_DEFAULTS) || !json_shows_default(d, f)))
            continue;
        json_put_char(b, sep);
        sep = ',';
        older = flags & FL_JSON_V0 ? json_v0_field(d, f->name) : NULL;
        put_name(b, older ? older : f->name);
        json_put_char(b, ':');
        if (n == 0)
            json_text_default(b, f, flags);
        else if (repeated)
            put_repeated(b, f, AT(void *, m, f->offset), n, flags);
        else
            put_value(b, f, (const char *)m + f->offset, flags);
    }
    if (sep == '{')
        json_put_char(b, '{');
    json_put_char(b, '}');
}
