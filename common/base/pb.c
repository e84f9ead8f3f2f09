/* Whole protobuf-c messages: copying, comparing, decoding. Driven by the descriptors; any thread.
 */
#include "common/base/json.h"

#define AT(type, base, offset) (*(type *)((char *)(base) + (offset)))

static void *alloc_bytes(ProtobufCAllocator *alloc, size_t n)
{
    return alloc ? alloc->alloc(alloc->allocator_data, n) : xmalloc(n);
}

static void *copy_bytes(ProtobufCAllocator *alloc, const void *p, size_t n)
{
    void *q = alloc_bytes(alloc, n ? n : 1);

    if (n)
        memcpy(q, p, n);
    return q;
}

size_t fl_pb_element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

/* `at` holds a value copied bit by bit: gives it memory of its own. */
static void own_value(const ProtobufCFieldDescriptor *f, void *at, ProtobufCAllocator *alloc)
{
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage **m = at;

        if (*m)
            *m = fl_pb_dup(*m, alloc);
    } else if (f->type == PROTOBUF_C_TYPE_STRING) {
        char **s = at;

        /* The default is shared by all, and protobuf-c does not free it. */
        if (*s && *s != f->default_value)
            *s = copy_bytes(alloc, *s, strlen(*s) + 1);
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData *b = at;
        const ProtobufCBinaryData *def = f->default_value;

        if (b->data && (!def || b->data != def->data))
            b->data = copy_bytes(alloc, b->data, b->len);
    }
}

static void own_field(const ProtobufCFieldDescriptor *f, ProtobufCMessage *m,
                      ProtobufCAllocator *alloc)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = AT(size_t, m, f->quantifier_offset);
        size_t size = fl_pb_element_size(f->type);
        void **list = &AT(void *, m, f->offset);

        if (n == 0) {
            *list = NULL;
            return;
        }
        *list = copy_bytes(alloc, *list, n * size);
        for (size_t i = 0; i < n; i++)
            own_value(f, (char *)*list + i * size, alloc);
        return;
    }
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && AT(uint32_t, m, f->quantifier_offset) != f->id)
        return;
    own_value(f, (char *)m + f->offset, alloc);
}

ProtobufCMessage *fl_pb_dup(const ProtobufCMessage *m, ProtobufCAllocator *alloc)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    ProtobufCMessage *copy = copy_bytes(alloc, m, d->sizeof_message);

    for (unsigned i = 0; i < d->n_fields; i++)
        own_field(&d->fields[i], copy, alloc);
    if (m->n_unknown_fields == 0) {
        copy->unknown_fields = NULL;
        return copy;
    }
    copy->unknown_fields =
        copy_bytes(alloc, m->unknown_fields, m->n_unknown_fields * sizeof *m->unknown_fields);
    for (unsigned i = 0; i < m->n_unknown_fields; i++) {
        ProtobufCMessageUnknownField *u = &copy->unknown_fields[i];

        u->data = copy_bytes(alloc, u->data, u->len);
    }
    return copy;
}

bool fl_pb_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    _cleanup_free_ uint8_t *heap = NULL;
    uint8_t small[2048];
    uint8_t *p = small;
    size_t n;

    if (a == b)
        return true;
    if (!a || !b || a->descriptor != b->descriptor)
        return false;
    n = protobuf_c_message_get_packed_size(a);
    if (n != protobuf_c_message_get_packed_size(b))
        return false;
    if (2 * n > sizeof small)
        p = heap = xmalloc(2 * n);
    protobuf_c_message_pack(a, p);
    protobuf_c_message_pack(b, p + n);
    return memcmp(p, p + n, n) == 0;
}

/* ---- decoding ----
 * protobuf-c unpacks by recursion with no limit, so bytes that nest a message in itself
 * (ContainerID.parent does) could run it out of stack. It allocates each message before going into
 * it: that is where the depth is watched, as the distance on the stack from where decoding began.
 */
#define STACK_MAX (512u * 1024)

struct guard {
    ProtobufCAllocator alloc; /* what protobuf-c sees */
    ProtobufCAllocator *to;   /* NULL: the heap */
    uintptr_t stack;
    bool too_deep;
};

static void *guard_alloc(void *data, size_t n)
{
    struct guard *g = data;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if ((here > g->stack ? here - g->stack : g->stack - here) > STACK_MAX) {
        g->too_deep = true;
        return NULL;
    }
    return alloc_bytes(g->to, n);
}

static void guard_free(void *data, void *p)
{
    struct guard *g = data;

    if (g->to)
        g->to->free(g->to->allocator_data, p);
    else
        free(p);
}

/* ---- field number 0 ----
 * No field has it, and protobuf-c takes it only when its varint is written longer than need be (80 00), as an unknown field;
 * but it packs it short, and that it refuses to unpack. Someone's task would be stored and never read again. Such
 * messages are refused. The bytes are looked at first, eight at a time: hardly a message has two that could
 * begin such a tag, and only those are searched. */
static bool may_have_zero_tag(const uint8_t *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101u;

    for (; n >= 9; n -= 8, p += 8) {
        uint64_t a, b, hit;

        memcpy(&a, p, 8);
        memcpy(&b, p + 1, 8);
        /* A byte is zero where this one is 80..87 and the next 00 or 80. */
        hit = ((a ^ ones * 0x80) & ones * 0xf8) | (b & ones * 0x7f);
        if ((hit - ones) & ~hit & ones * 0x80)
            return true;
    }
    for (; n >= 2; n--, p++) {
        if ((p[0] & 0xf8) == 0x80 && (p[1] & 0x7f) == 0)
            return true;
    }
    return false;
}

static bool has_zero_tag(const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->n_unknown_fields; i++) {
        if (m->unknown_fields[i].tag == 0)
            return true;
    }
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
        ProtobufCMessage **list;

        if (f->type != PROTOBUF_C_TYPE_MESSAGE || ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                                                   AT(uint32_t, m, f->quantifier_offset) != f->id))
            continue;
        list = repeated ? AT(ProtobufCMessage **, m, f->offset)
                        : &AT(ProtobufCMessage *, m, f->offset);
        for (size_t k = 0, n = repeated ? AT(size_t, m, f->quantifier_offset) : 1; k < n; k++) {
            if (list[k] && has_zero_tag(list[k]))
                return true;
        }
    }
    return false;
}

int fl_pb_decode(const void *p, size_t n, const ProtobufCMessageDescriptor *desc,
                 ProtobufCAllocator *alloc, ProtobufCMessage **ret_m, struct fl_err *err)
{
    struct guard g = {
        .alloc = {.alloc = guard_alloc, .free = guard_free, .allocator_data = &g},
        .to = alloc,
        .stack = (uintptr_t)__builtin_frame_address(0),
    };
    ProtobufCMessage *m = protobuf_c_message_unpack(desc, &g.alloc, n, p);

    if (!m)
        return fl_err_set(err, FL_INVALID, "%zu bytes are no %s: %s", n, desc->name,
                          g.too_deep ? "nested too deeply"
                                     : "they cannot be parsed, or a required field is missing");
    if (may_have_zero_tag(p, n) && has_zero_tag(m)) {
        protobuf_c_message_free_unpacked(m, &g.alloc);
        return fl_err_set(err, FL_INVALID, "%zu bytes are no %s: there is a field of number 0", n,
                          desc->name);
    }
    *ret_m = m;
    return 0;
}
