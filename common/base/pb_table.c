/* The codec's tables, one for every type of message: made from the descriptor under a lock when first asked for, found without one. */
#include "common/base/pb_priv.h"

#include <pthread.h>

enum { BUCKETS = 1024, MAX_TAGS = 1024, MAX_REQUIRED = 64 };

static _Atomic(const struct pb_table *) buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const struct {
    uint8_t op, wire;
} ops[] = {
    [PROTOBUF_C_TYPE_INT32] = {PB_VARINT32, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_SINT32] = {PB_ZIGZAG32, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_SFIXED32] = {PB_FIXED32, PROTOBUF_C_WIRE_TYPE_32BIT},
    [PROTOBUF_C_TYPE_INT64] = {PB_VARINT64, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_SINT64] = {PB_ZIGZAG64, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_SFIXED64] = {PB_FIXED64, PROTOBUF_C_WIRE_TYPE_64BIT},
    [PROTOBUF_C_TYPE_UINT32] = {PB_VARINT32, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_FIXED32] = {PB_FIXED32, PROTOBUF_C_WIRE_TYPE_32BIT},
    [PROTOBUF_C_TYPE_UINT64] = {PB_VARINT64, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_FIXED64] = {PB_FIXED64, PROTOBUF_C_WIRE_TYPE_64BIT},
    [PROTOBUF_C_TYPE_FLOAT] = {PB_FIXED32, PROTOBUF_C_WIRE_TYPE_32BIT},
    [PROTOBUF_C_TYPE_DOUBLE] = {PB_FIXED64, PROTOBUF_C_WIRE_TYPE_64BIT},
    [PROTOBUF_C_TYPE_BOOL] = {PB_BOOL, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_ENUM] = {PB_VARINT32, PROTOBUF_C_WIRE_TYPE_VARINT},
    [PROTOBUF_C_TYPE_STRING] = {PB_STRING, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED},
    [PROTOBUF_C_TYPE_BYTES] = {PB_BYTES, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED},
    [PROTOBUF_C_TYPE_MESSAGE] = {PB_MESSAGE, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED},
};

static enum pb_shape shape_of(const ProtobufCFieldDescriptor *fd)
{
    if (fd->label == PROTOBUF_C_LABEL_REPEATED)
        return PB_REPEATED;
    if (fd->label == PROTOBUF_C_LABEL_REQUIRED)
        return PB_ALWAYS;
    assert(fd->label == PROTOBUF_C_LABEL_OPTIONAL); /* we have no proto3 */
    if (fd->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return PB_ONEOF;
    return fd->quantifier_offset ? PB_HAS : PB_POINTER;
}

static void init_field(struct pb_field *f, const ProtobufCFieldDescriptor *fd)
{
    enum pb_op op = ops[fd->type].op;
    uint64_t tag = (uint64_t)fd->id << 3;
    bool packed =
        fd->label == PROTOBUF_C_LABEL_REPEATED && (fd->flags & PROTOBUF_C_FIELD_FLAG_PACKED);

    *f = (struct pb_field){
        .id = fd->id,
        .offset = fd->offset,
        .quantifier = fd->quantifier_offset,
        .op = op,
        .shape = shape_of(fd),
        .wire = ops[fd->type].wire,
        .size = (uint8_t)fl_pb_element_size(fd->type),
        .packed = packed,
        .packable = op < PB_STRING,
        .is_signed = fd->type == PROTOBUF_C_TYPE_INT32 || fd->type == PROTOBUF_C_TYPE_ENUM,
        .dflt = fd->default_value,
        .sub = fd->type == PROTOBUF_C_TYPE_MESSAGE ? fd->descriptor : NULL,
    };
    tag |= (uint64_t)(packed ? PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED : f->wire);
    for (; tag >= 0x80; tag >>= 7)
        f->tag[f->tag_len++] = (uint8_t)(tag | 0x80);
    f->tag[f->tag_len++] = (uint8_t)tag;
}

/* Tags of which a decoder need know nothing more than the field: those with the wire type of one element. */
static void index_fields(struct pb_table *t)
{
    unsigned n_required = 0;

    for (unsigned i = 0; i < t->n_fields; i++) {
        uint32_t tag = t->fields[i].id << 3 | t->fields[i].wire;

        if (t->fields[i].id < MAX_TAGS / 8 && tag >= t->n_tags)
            t->n_tags = tag + 1;
    }
    t->by_tag = xcalloc(t->n_tags + 1, sizeof(*t->by_tag));
    t->owned = xcalloc(t->n_fields + 1, sizeof(*t->owned));
    for (unsigned i = 0; i < t->n_fields; i++) {
        struct pb_field *f = &t->fields[i];

        if (f->id < MAX_TAGS / 8)
            t->by_tag[f->id << 3 | f->wire] = (uint16_t)(i + 1);
        if (f->op >= PB_STRING || f->shape == PB_REPEATED)
            t->owned[t->n_owned++] = (uint16_t)i;
        /* protobuf-c does not miss a required field that has a default. */
        if (f->shape == PB_ALWAYS && !f->dflt) {
            assert(n_required < MAX_REQUIRED);
            f->required = UINT64_C(1) << n_required++;
            t->required |= f->required;
        }
    }
}

/* A message has always a descriptor: what is there always is looked for in its place. */
static struct pb_probe probe_for(const struct pb_field *f, size_t message_size)
{
    size_t len = f->shape == PB_HAS || f->shape == PB_ONEOF ? sizeof(uint32_t) : sizeof(void *);
    size_t at = f->shape == PB_ALWAYS    ? offsetof(ProtobufCMessage, descriptor)
                : f->shape == PB_POINTER ? f->offset
                                         : f->quantifier;
    size_t from = FL_MIN(at, message_size - sizeof(uint64_t));
    struct pb_probe p = {
        .offset = (uint32_t)from,
        .sure = f->shape != PB_ONEOF && !(f->shape == PB_POINTER && f->dflt),
    };

    memset((char *)&p.mask + (at - from), 0xff, len);
    return p;
}

static struct pb_table *table_new(const ProtobufCMessageDescriptor *d)
{
    struct pb_table *t = xcalloc(1, sizeof(*t) + d->n_fields * sizeof(t->fields[0]));
    size_t image_size = (d->sizeof_message + PB_IMAGE_STEP - 1) / PB_IMAGE_STEP * PB_IMAGE_STEP;
    char *image = xcalloc(1, image_size);

    assert(d->n_fields < UINT16_MAX && d->message_init);
    protobuf_c_message_init(d, image);
    t->desc = d;
    t->size = d->sizeof_message;
    t->image_size = image_size;
    t->image = image;
    t->n_fields = d->n_fields;
    t->probes = xcalloc(d->n_fields + 1, sizeof(*t->probes));
    for (unsigned i = 0; i < d->n_fields; i++) {
        init_field(&t->fields[i], &d->fields[i]);
        t->probes[i] = probe_for(&t->fields[i], t->size);
    }
    index_fields(t);
    return t;
}

static const struct pb_table *find(const struct pb_table *t, const ProtobufCMessageDescriptor *d)
{
    while (t && t->desc != d)
        t = t->next;
    return t;
}

const struct pb_table *pb_table(const ProtobufCMessageDescriptor *d)
{
    _Atomic(const struct pb_table *) *bucket =
        &buckets[((uintptr_t)d * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
    const struct pb_table *t = find(atomic_load_explicit(bucket, memory_order_acquire), d);

    if (__builtin_expect(t != NULL, 1))
        return t;
    pthread_mutex_lock(&lock);
    t = find(atomic_load_explicit(bucket, memory_order_relaxed), d);
    if (!t) {
        struct pb_table *made = table_new(d);

        made->next = atomic_load_explicit(bucket, memory_order_relaxed);
        atomic_store_explicit(bucket, made, memory_order_release);
        t = made;
    }
    pthread_mutex_unlock(&lock);
    return t;
}

const struct pb_field *pb_field_by_id(const struct pb_table *t, uint32_t id)
{
    size_t low = 0, high = t->n_fields;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (t->fields[mid].id == id)
            return &t->fields[mid];
        if (t->fields[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
