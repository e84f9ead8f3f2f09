/* Random messages of any type, their bytes made wrong in random ways, and protobuf-c to compare a decoder with. For tests/property and
 * tests/fuzz. */
#ifndef TESTS_PROPERTY_ANY_MESSAGE_H
#define TESTS_PROPERTY_ANY_MESSAGE_H

#include "common/base/json.h"
#include "common/base/pb_priv.h"
#include "proto/agent.pb-c.h"
#include "proto/allocator_log.pb-c.h"
#include "proto/executor.pb-c.h"
#include "proto/internal.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/resource_provider.pb-c.h"

static const ProtobufCMessageDescriptor *const any_types[] = {
#define PB_MESSAGE(descriptor) &descriptor,
#include "proto/all_messages.def"
#undef PB_MESSAGE
};

static uint64_t any_state;

static inline uint64_t any_below(uint64_t n)
{
    any_state = any_state * 6364136223846793005u + 1442695040888963407u;
    return (any_state >> 20) % n;
}

static inline uint64_t any_number(void)
{
    uint64_t v = any_below(UINT64_C(1) << 40) << 24 ^ any_below(UINT64_C(1) << 40);

    return any_below(2) ? v : v >> any_below(64);
}

static inline ProtobufCMessage *any_message(const ProtobufCMessageDescriptor *d, struct fl_arena *a,
                                            int depth);

static inline void any_value(const ProtobufCFieldDescriptor *f, void *p, struct fl_arena *a,
                             int depth)
{
    uint64_t v = any_number();
    size_t n = any_below(any_below(10) ? 20 : any_below(3) ? 90 : 2000);
    char *text = memset(fl_arena_alloc(a, n + 1), 'a' + (int)any_below(26), n + 1);

    text[n] = 0;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)p = text;
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)p = (ProtobufCBinaryData){n, (uint8_t *)text};
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)p = any_message(f->descriptor, a, depth - 1);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)p = v & 1;
        break;
    default:
        memcpy(p, &v, fl_pb_element_size(f->type));
    }
}

static inline void any_field(const ProtobufCFieldDescriptor *f, char *m, struct fl_arena *a,
                             int depth)
{
    size_t n = any_below(4);
    char *array;

    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        if (f->label != PROTOBUF_C_LABEL_REQUIRED &&
            (any_below(3) == 0 || (depth <= 0 && f->type == PROTOBUF_C_TYPE_MESSAGE)))
            return;
        any_value(f, m + f->offset, a, depth);
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
            *(uint32_t *)(m + f->quantifier_offset) = f->id;
        else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
                 f->type != PROTOBUF_C_TYPE_MESSAGE)
            *(protobuf_c_boolean *)(m + f->quantifier_offset) = true;
        return;
    }
    if (depth <= 0)
        return;
    array = fl_arena_alloc(a, n * sizeof(ProtobufCBinaryData) + 1);
    for (size_t i = 0; i < n; i++)
        any_value(f, array + i * fl_pb_element_size(f->type), a, depth);
    *(size_t *)(m + f->quantifier_offset) = n;
    *(char **)(m + f->offset) = array;
}

static inline ProtobufCMessage *any_message(const ProtobufCMessageDescriptor *d, struct fl_arena *a,
                                            int depth)
{
    ProtobufCMessage *m = fl_arena_alloc(a, d->sizeof_message);
    ProtobufCMessageUnknownField *u;

    protobuf_c_message_init(d, m);
    for (unsigned i = 0; i < d->n_fields; i++)
        any_field(&d->fields[i], (char *)m, a, depth);
    if (any_below(8) == 0) {
        u = fl_arena_alloc(a, sizeof(*u));
        *u = (ProtobufCMessageUnknownField){.tag = 5000 + (uint32_t)any_below(1000),
                                            .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT,
                                            .len = 1,
                                            .data = (uint8_t *)fl_arena_strdup(a, "\x07")};
        m->n_unknown_fields = 1;
        m->unknown_fields = u;
    }
    return m;
}

/* ---- bytes that no encoder writes ---- */

static inline void any_varint(struct fl_buf *b, uint64_t v)
{
    unsigned longer = any_below(6) ? 0 : (unsigned)any_below(5);

    for (; v >= 0x80; v >>= 7)
        fl_buf_addc(b, (char)(v | 0x80));
    fl_buf_addc(b, (char)(v | (longer ? 0x80 : 0)));
    for (; longer > 0; longer--)
        fl_buf_addc(b, longer > 1 ? (char)0x80 : '\0');
}

/* A field that the message has, or not, of whatever wire type. */
static inline void any_wire_field(struct fl_buf *b, const ProtobufCMessageDescriptor *d,
                                  struct fl_arena *a)
{
    uint32_t id = d->n_fields && any_below(8) ? d->fields[any_below(d->n_fields)].id
                                              : (uint32_t)any_number() >> any_below(32);
    unsigned wire = (unsigned)any_below(any_below(8) ? 3 : 8);
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, id);
    _cleanup_buf_ struct fl_buf inner = FL_BUF_INIT;
    uint64_t v = any_number();

    any_varint(b, (uint64_t)id << 3 | wire);
    switch (wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        any_varint(b, v);
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        fl_buf_add(b, &v, 8);
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (f && f->type == PROTOBUF_C_TYPE_MESSAGE)
            fl_buf_pack(&inner, any_message(f->descriptor, a, 2));
        else
            for (uint64_t n = any_below(6); n > 0; n--)
                any_varint(&inner, any_number());
        any_varint(b, inner.len);
        fl_buf_add(b, inner.data, inner.len);
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        fl_buf_add(b, &v, 4);
        break;
    default:
        break;
    }
}

/* Cuts, doubles, adds to and spoils what is in `b`. */
static inline void any_damage(struct fl_buf *b, const ProtobufCMessageDescriptor *d,
                              struct fl_arena *a)
{
    switch (any_below(6)) {
    case 0:
        b->len = any_below(b->len + 1);
        break;
    case 1:
        for (uint64_t n = 1 + any_below(3); n > 0 && b->len; n--)
            b->data[any_below(b->len)] = (char)any_number();
        break;
    case 2: /* to be merged with what there is */
        fl_buf_pack(b, any_message(d, a, 2));
        break;
    case 3:
        if (b->len)
            b->data[any_below(b->len)] ^= (char)(1 << any_below(8));
        break;
    default:
        for (uint64_t n = 1 + any_below(4); n > 0; n--)
            any_wire_field(b, d, a);
    }
}

/* ---- comparing ---- */

/* What is wrong with how `p` is decoded, or NULL. Counts what protobuf-c takes in *ret_taken. */
static inline const char *any_compare(const void *p, size_t n, const ProtobufCMessageDescriptor *d,
                                      struct fl_arena *a, unsigned *ret_taken)
{
    struct fl_err err = {0};
    ProtobufCMessage *ours = NULL, *heap = NULL;
    _cleanup_pb_ ProtobufCMessage *theirs = NULL, *owned = NULL, *copy = NULL;
    _cleanup_(pb_back_done) struct pb_back back = {0};
    _cleanup_buf_ struct fl_buf want = FL_BUF_INIT;
    int r = fl_pb_decode(p, n, d, fl_arena_allocator(a), &ours, &err);

    if (fl_pb_decode(p, n, d, NULL, &heap, NULL) != r)
        return "on the heap it is decoded otherwise";
    owned = heap;
    /* It would run out of stack. */
    if (r < 0 && strstr(err.msg, "nested too deeply"))
        return NULL;
    theirs = protobuf_c_message_unpack(d, NULL, n, p);
    *ret_taken += theirs != NULL;
    if (r < 0)
        return theirs && !strstr(err.msg, "field of number 0") ? "refused" : NULL;
    if (!theirs)
        return "protobuf-c refuses it";
    copy = fl_pb_dup(ours, NULL);
    n = protobuf_c_message_get_packed_size(theirs);
    want.len = protobuf_c_message_pack(theirs, (uint8_t *)fl_buf_reserve(&want, n));
    for (int i = 0; i < 4; i++) {
        const ProtobufCMessage *m = (const ProtobufCMessage *[]){ours, theirs, owned, copy}[i];

        if (pb_encode_back(&back, m) != n || (n && memcmp(back.data + back.at, want.data, n) != 0))
            return (const char *[]){"not the same", "not encoded as by protobuf-c",
                                    "not the same on the heap", "not the same when copied"}[i];
    }
    if (protobuf_c_message_get_packed_size(ours) != n)
        return "not the same to protobuf-c";
    return NULL;
}

#endif
