/* Encoding of messages in one pass, from the end to the beginning. Pure.
 *
 * A length stands before what it counts. protobuf-c therefore goes over every message once more for each level above it, only to count;
 * written backwards, the length of a part is known when its turn comes. Same bytes as protobuf_c_message_pack(), as
 * tests/property/prop_wire_encode.c holds; tests/bench/bench_wire.c has what it saves.
 */
#include "common/wire/wire_priv.h"

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* Room for n more bytes before `at`. */
static inline uint8_t *room(struct wire_back *b, size_t n)
{
    if (b->at < n) {
        size_t used = b->cap - b->at, cap = FL_MAX(b->cap * 2, used + n + 512);
        uint8_t *p = xmalloc(cap);

        if (used)
            memcpy(p + cap - used, b->data + b->at, used);
        free(b->data);
        b->data = p;
        b->cap = cap;
        b->at = cap - used;
    }
    b->at -= n;
    return b->data + b->at;
}

static inline void put_varint(struct wire_back *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    if (v < 0x80) {
        *room(b, 1) = (uint8_t)v;
        return;
    }
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    memcpy(room(b, n), bytes, n);
}

static inline void put_tag(struct wire_back *b, uint32_t id, unsigned wire_type)
{
    put_varint(b, (uint64_t)id << 3 | wire_type);
}

static inline void put_bytes(struct wire_back *b, const void *p, size_t n)
{
    if (n)
        memcpy(room(b, n), p, n);
    put_varint(b, n);
}

static inline void put_fixed(struct wire_back *b, const void *p, size_t n)
{
    uint8_t *to = room(b, n);

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(to, p, n);
#else
    for (size_t i = 0; i < n; i++)
        to[i] = ((const uint8_t *)p)[n - 1 - i];
#endif
}

/* ---- values ---- */

static inline int32_t i32_at(const void *p)
{
    return *(const int32_t *)p;
}

static inline int64_t i64_at(const void *p)
{
    return *(const int64_t *)p;
}

static void put_message(struct wire_back *b, const ProtobufCMessage *m);

static void put_sub_message(struct wire_back *b, const ProtobufCMessage *m)
{
    size_t end = b->cap - b->at;

    if (m)
        put_message(b, m);
    put_varint(b, b->cap - b->at - end);
}

static void put_string(struct wire_back *b, const char *s)
{
    put_bytes(b, s, s ? strlen(s) : 0);
}

/* The value alone; returns its wire type. */
static inline unsigned put_value(struct wire_back *b, ProtobufCType type, const void *p)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        put_varint(b, (uint64_t)(int64_t)i32_at(p));
        return VARINT;
    case PROTOBUF_C_TYPE_SINT32:
        put_varint(b, (uint32_t)i32_at(p) << 1 ^ (i32_at(p) < 0 ? UINT32_MAX : 0));
        return VARINT;
    case PROTOBUF_C_TYPE_UINT32:
        put_varint(b, *(const uint32_t *)p);
        return VARINT;
    case PROTOBUF_C_TYPE_SINT64:
        put_varint(b, (uint64_t)i64_at(p) << 1 ^ (i64_at(p) < 0 ? UINT64_MAX : 0));
        return VARINT;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        put_varint(b, *(const uint64_t *)p);
        return VARINT;
    case PROTOBUF_C_TYPE_BOOL:
        put_varint(b, *(const protobuf_c_boolean *)p ? 1 : 0);
        return VARINT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        put_fixed(b, p, 4);
        return FIXED32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        put_fixed(b, p, 8);
        return FIXED64;
    case PROTOBUF_C_TYPE_STRING:
        put_string(b, *(const char *const *)p);
        return LENGTH;
    case PROTOBUF_C_TYPE_BYTES:
        put_bytes(b, ((const ProtobufCBinaryData *)p)->data, ((const ProtobufCBinaryData *)p)->len);
        return LENGTH;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_sub_message(b, *(const ProtobufCMessage *const *)p);
        return LENGTH;
    }
    return VARINT;
}

/* ---- fields ---- */

static void put_repeated(struct wire_back *b, const ProtobufCFieldDescriptor *f, size_t n,
                         const char *array)
{
    size_t size = fl_pb_element_size(f->type), end = b->cap - b->at;
    bool packed = f->flags & PROTOBUF_C_FIELD_FLAG_PACKED;

    for (size_t i = n; i-- > 0;) {
        unsigned wire_type = put_value(b, f->type, array + i * size);

        if (!packed)
            put_tag(b, f->id, wire_type);
    }
    if (packed && n) {
        put_varint(b, b->cap - b->at - end);
        put_tag(b, f->id, LENGTH);
    }
}

static bool is_there(const ProtobufCFieldDescriptor *f, const char *m)
{
    const void *p = m + f->offset;

    if (f->label == PROTOBUF_C_LABEL_REQUIRED)
        return true;
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)(m + f->quantifier_offset) != f->id)
        return false;
    if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(const void *const *)p && *(const void *const *)p != f->default_value;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return true;
    return *(const protobuf_c_boolean *)(m + f->quantifier_offset);
}

static void put_message(struct wire_back *b, const ProtobufCMessage *msg)
{
    const ProtobufCMessageDescriptor *d = msg->descriptor;
    const char *m = (const char *)msg;

    for (unsigned i = msg->n_unknown_fields; i-- > 0;) {
        const ProtobufCMessageUnknownField *u = &msg->unknown_fields[i];

        if (u->len)
            memcpy(room(b, u->len), u->data, u->len);
        put_tag(b, u->tag, u->wire_type);
    }
    for (unsigned i = d->n_fields; i-- > 0;) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)(m + f->quantifier_offset);

            if (n)
                put_repeated(b, f, n, *(const char *const *)(m + f->offset));
        } else if (is_there(f, m)) {
            put_tag(b, f->id, put_value(b, f->type, m + f->offset));
        }
    }
}

size_t wire_encode_back(struct wire_back *b, const ProtobufCMessage *m)
{
    b->at = b->cap;
    put_message(b, m);
    return b->cap - b->at;
}

void wire_back_done(struct wire_back *b)
{
    free(b->data);
    *b = (struct wire_back){0};
}
