/* Whole protobuf-c messages: copying, comparing. Driven by the codec's tables; any thread.
 */
#include "common/base/pb_priv.h"

struct copier {
    struct fl_arena *arena;    /* or */
    ProtobufCAllocator *alloc; /* NULL: heap */
};

static inline void *take(const struct copier *c, size_t n, size_t align)
{
    if (c->arena)
        return fl_arena_take(c->arena, n, align);
    return c->alloc ? c->alloc->alloc(c->alloc->allocator_data, n) : xmalloc(n);
}

static inline void *copy_bytes(const struct copier *c, const void *p, size_t n, size_t align)
{
    char *q = take(c, n ? n : 1, align);

    if (n)
        pb_copy_small(q, p, n);
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

static void *copy_message(const struct copier *c, const struct pb_table *t, const void *m);

/* `at` holds a value copied bit by bit: gives it memory of its own. */
static inline void own_value(const struct copier *c, const struct pb_field *f, void *at)
{
    const ProtobufCBinaryData *dflt = f->dflt;
    ProtobufCBinaryData *b = at;
    char **s = at;
    void **m = at;

    switch ((enum pb_op)f->op) {
    case PB_MESSAGE:
        if (*m)
            *m = copy_message(c, pb_sub_table(f), *m);
        break;
    case PB_STRING:
        /* The default is shared by all, and protobuf-c does not free it. */
        if (*s && *s != f->dflt)
            *s = copy_bytes(c, *s, strlen(*s) + 1, 1);
        break;
    case PB_BYTES:
        if (b->data && (!dflt || b->data != dflt->data))
            b->data = copy_bytes(c, b->data, b->len, 1);
        break;
    default:
        break;
    }
}

static void own_array(const struct copier *c, const struct pb_field *f, char *m)
{
    size_t n = PB_AT(size_t, m, f->quantifier);
    void **array = &PB_AT(void *, m, f->offset);

    if (n == 0) {
        *array = NULL;
        return;
    }
    *array = copy_bytes(c, *array, n * f->size, 8);
    if (f->op < PB_STRING)
        return;
    for (size_t i = 0; i < n; i++)
        own_value(c, f, (char *)*array + i * f->size);
}

static void own_unknown(const struct copier *c, ProtobufCMessage *m)
{
    if (m->n_unknown_fields == 0) {
        m->unknown_fields = NULL;
        return;
    }
    m->unknown_fields =
        copy_bytes(c, m->unknown_fields, m->n_unknown_fields * sizeof *m->unknown_fields, 8);
    for (unsigned i = 0; i < m->n_unknown_fields; i++) {
        ProtobufCMessageUnknownField *u = &m->unknown_fields[i];

        u->data = copy_bytes(c, u->data, u->len, 1);
    }
}

static void *copy_message(const struct copier *c, const struct pb_table *t, const void *m)
{
    char *copy = copy_bytes(c, m, t->size, 8);

    for (unsigned i = 0; i < t->n_owned; i++) {
        const struct pb_field *f = &t->fields[t->owned[i]];

        if (f->shape == PB_REPEATED)
            own_array(c, f, copy);
        else if (f->shape != PB_ONEOF || PB_AT(uint32_t, copy, f->quantifier) == f->id)
            own_value(c, f, copy + f->offset);
    }
    own_unknown(c, (ProtobufCMessage *)copy);
    return copy;
}

ProtobufCMessage *fl_pb_dup(const ProtobufCMessage *m, ProtobufCAllocator *alloc)
{
    const struct copier c = {.arena = fl_arena_of(alloc), .alloc = alloc};

    return copy_message(&c, pb_table(m->descriptor), m);
}

bool fl_pb_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    uint8_t small_a[1024], small_b[1024];
    _cleanup_(pb_back_done) struct pb_back x = PB_BACK_ON(small_a), y = PB_BACK_ON(small_b);
    size_t n;

    if (a == b)
        return true;
    if (!a || !b || a->descriptor != b->descriptor)
        return false;
    n = pb_encode_back(&x, a);
    return n == pb_encode_back(&y, b) && memcmp(x.data + x.at, y.data + y.at, n) == 0;
}
