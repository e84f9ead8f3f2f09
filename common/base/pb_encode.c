/* Messages to bytes in one pass, from the end to the beginning. Pure; any thread.
 *
 * A length stands before what it counts. protobuf-c therefore goes over every message once more for each level above it, only to count;
 * written backwards, the length of a part is known when its turn comes. Same bytes as protobuf_c_message_pack(), as
 * tests/property/prop_wire_encode.c holds; tests/bench/bench_wire.c and bench_codec.c have what it saves.
 */
#include "common/base/pb_priv.h"

/* A tag and a length, or a tag and a number, at their longest. */
enum { ROOM = 16 };

/* The functions that write get the place behind what they write, and return where it begins. */

static uint8_t *grow(struct pb_back *b, uint8_t *at, size_t n)
{
    size_t used = b->cap - (size_t)(at - b->data), cap = FL_MAX(b->cap * 2, used + n + 512);
    uint8_t *p = xmalloc(cap);

    if (used)
        memcpy(p + cap - used, at, used);
    if (!b->borrowed)
        free(b->data);
    b->data = p;
    b->cap = cap;
    b->borrowed = false;
    return p + cap - used;
}

/* There will be room for n bytes before the place returned, which is `at` when it was there already. */
static inline uint8_t *room(struct pb_back *b, uint8_t *at, size_t n)
{
    return __builtin_expect((size_t)(at - b->data) < n, 0) ? grow(b, at, n) : at;
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t v)
{
    unsigned n;

    if (v < 0x80) {
        *--at = (uint8_t)v;
        return at;
    }
    n = (70 - (unsigned)__builtin_clzll(v)) / 7;
    at -= n;
    for (unsigned i = 0; i + 1 < n; i++, v >>= 7)
        at[i] = (uint8_t)(v | 0x80);
    at[n - 1] = (uint8_t)v;
    return at;
}

static inline uint8_t *put_tag(uint8_t *at, const struct pb_field *f)
{
    if (f->tag_len == 1) {
        *--at = f->tag[0];
        return at;
    }
    at -= f->tag_len;
    for (unsigned i = 0; i < f->tag_len; i++)
        at[i] = f->tag[i];
    return at;
}

static inline uint8_t *put_bytes(struct pb_back *b, uint8_t *at, const void *p, size_t n)
{
    at = room(b, at, n + ROOM) - n;
    pb_copy_small((char *)at, p, n);
    return put_varint(at, n);
}

static inline uint8_t *put_fixed(uint8_t *at, uint64_t v, size_t n)
{
    at -= n;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v << (64 - 8 * n));
#endif
    memcpy(at, &v, n);
    return at;
}

/* ---- values ---- */

static uint8_t *put_message(struct pb_back *b, uint8_t *at, const struct pb_table *t,
                            const char *m);

static uint8_t *put_sub_message(struct pb_back *b, uint8_t *at, const struct pb_field *f,
                                const void *m)
{
    size_t end = b->cap - (size_t)(at - b->data);

    if (m)
        at = put_message(b, at, pb_sub_table(f), m);
    at = room(b, at, ROOM);
    return put_varint(at, b->cap - (size_t)(at - b->data) - end);
}

/* The value alone. There is room for the tag when it returns. */
static inline __attribute__((always_inline)) uint8_t *
put_value(struct pb_back *b, uint8_t *at, const struct pb_field *f, const void *p)
{
    const ProtobufCBinaryData *bytes = p;
    const char *s;

    switch ((enum pb_op)f->op) {
    case PB_STRING:
        s = *(const char *const *)p;
        return put_bytes(b, at, s, s ? strlen(s) : 0);
    case PB_MESSAGE:
        return put_sub_message(b, at, f, *(const void *const *)p);
    case PB_BYTES:
        return put_bytes(b, at, bytes->data, bytes->len);
    default:
        break;
    }
    at = room(b, at, ROOM);
    switch ((enum pb_op)f->op) {
    case PB_VARINT32:
        /* int32 and enums are written with their sign, which no uint32 has. */
        return put_varint(at, f->is_signed ? (uint64_t)(int64_t) * (const int32_t *)p
                                           : *(const uint32_t *)p);
    case PB_ZIGZAG32:
        return put_varint(at,
                          *(const uint32_t *)p << 1 ^ (*(const int32_t *)p < 0 ? UINT32_MAX : 0));
    case PB_ZIGZAG64:
        return put_varint(at,
                          *(const uint64_t *)p << 1 ^ (*(const int64_t *)p < 0 ? UINT64_MAX : 0));
    case PB_BOOL:
        return put_varint(at, *(const protobuf_c_boolean *)p ? 1 : 0);
    case PB_FIXED32:
        return put_fixed(at, *(const uint32_t *)p, 4);
    case PB_FIXED64:
        return put_fixed(at, *(const uint64_t *)p, 8);
    default:
        return put_varint(at, *(const uint64_t *)p);
    }
}

/* ---- fields ---- */

static uint8_t *put_repeated(struct pb_back *b, uint8_t *at, const struct pb_field *f, size_t n,
                             const char *array)
{
    size_t end = b->cap - (size_t)(at - b->data);

    for (size_t i = n; i-- > 0;) {
        at = put_value(b, at, f, array + i * f->size);
        if (!f->packed)
            at = put_tag(at, f);
    }
    if (f->packed && n) {
        at = room(b, at, ROOM);
        at = put_varint(at, b->cap - (size_t)(at - b->data) - end);
        at = put_tag(at, f);
    }
    return at;
}

static inline bool may_be_there(const struct pb_probe *probe, const char *m)
{
    uint64_t v;

    memcpy(&v, m + probe->offset, sizeof(v));
    return v & probe->mask;
}

/* Of those that a probe is not sure of. */
static bool is_there(const struct pb_field *f, const char *m)
{
    if (f->shape == PB_ONEOF && *(const uint32_t *)(m + f->quantifier) != f->id)
        return false;
    if (f->op != PB_STRING && f->op != PB_MESSAGE)
        return true;
    return *(const void *const *)(m + f->offset) &&
           *(const void *const *)(m + f->offset) != f->dflt;
}

static uint8_t *put_unknown(struct pb_back *b, uint8_t *at, const ProtobufCMessage *m)
{
    for (unsigned i = m->n_unknown_fields; i-- > 0;) {
        const ProtobufCMessageUnknownField *u = &m->unknown_fields[i];

        at = room(b, at, u->len + ROOM) - u->len;
        if (u->len)
            memcpy(at, u->data, u->len);
        at = put_varint(at, (uint64_t)u->tag << 3 | u->wire_type);
    }
    return at;
}

static uint8_t *put_message(struct pb_back *b, uint8_t *at, const struct pb_table *t, const char *m)
{
    if (((const ProtobufCMessage *)m)->n_unknown_fields)
        at = put_unknown(b, at, (const ProtobufCMessage *)m);
    for (unsigned i = t->n_fields; i-- > 0;) {
        const struct pb_field *f = &t->fields[i];

        if (!may_be_there(&t->probes[i], m) || (!t->probes[i].sure && !is_there(f, m)))
            continue;
        if (f->shape == PB_REPEATED) {
            at = put_repeated(b, at, f, *(const size_t *)(m + f->quantifier),
                              *(const char *const *)(m + f->offset));
        } else {
            at = put_value(b, at, f, m + f->offset);
            at = put_tag(at, f);
        }
    }
    return at;
}

/* ---- the whole ---- */

size_t pb_encode_back(struct pb_back *b, const ProtobufCMessage *m)
{
    uint8_t *at;

    if (!b->data)
        (void)grow(b, NULL, 0);
    at = put_message(b, b->data + b->cap, pb_table(m->descriptor), (const char *)m);
    b->at = (size_t)(at - b->data);
    return b->cap - b->at;
}

void pb_back_done(struct pb_back *b)
{
    if (!b->borrowed)
        free(b->data);
    *b = (struct pb_back){0};
}

void fl_buf_pack(struct fl_buf *b, const ProtobufCMessage *m)
{
    uint8_t small[4096];
    _cleanup_(pb_back_done) struct pb_back back = PB_BACK_ON(small);
    size_t n = pb_encode_back(&back, m);

    /* One that is big is not copied once more, which would need as much memory again. */
    if (!back.borrowed && b->len == 0) {
        memmove(back.data, back.data + back.at, n);
        free(b->data);
        *b = (struct fl_buf){.data = (char *)back.data, .len = n, .cap = back.cap};
        back.data = NULL;
        return;
    }
    fl_buf_add(b, back.data + back.at, n);
}
