/* Bytes to messages, driven by the tables of pb_table.c. Pure; any thread.
 *
 * The same structs as protobuf_c_message_unpack() makes, and it accepts and refuses what that does (tests/property/prop_pb_decode.c,
 * tests/fuzz/fuzz_pb_decode.c), in one pass: protobuf-c first lists the fields of a message, and then reads them. Two things are
 * refused that protobuf-c takes:
 * - Messages nested more than DEPTH_MAX deep (ContainerID.parent holds a ContainerID): protobuf-c would run out of stack.
 * - Fields of number 0. protobuf-c takes one only when its varint is written longer than need be (80 00), as an unknown field; but
 *   it packs it short, and that it refuses to unpack. Someone's task would be stored and never read again.
 *
 * What is decoded lies in an arena; a message that fails half way is left there. For other allocators it is copied out of one.
 */
#include "common/base/json.h"
#include "common/base/pb_priv.h"

enum { DEPTH_MAX = 100, SHORT_STRING = 64 };

struct decoder {
    struct fl_arena *arena;
    const uint8_t *input_end; /* of the whole input */
    int depth;                /* how many levels more */
    const char *why;          /* what is wrong; NULL: the usual */
};

/* The functions that read return the place behind what they read, or NULL. */

static const uint8_t *get_varint_slow(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; p < end && shift < 70; shift += 7) {
        uint8_t byte = *p++;

        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = v;
            return p;
        }
    }
    return NULL;
}

static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
    if (p < end && *p < 0x80) {
        *ret = *p;
        return p + 1;
    }
    return get_varint_slow(p, end, ret);
}

/* A length, and that so much is there. */
static inline const uint8_t *get_length(const uint8_t *p, const uint8_t *end, size_t *ret)
{
    const uint8_t *start = p;
    uint64_t n;

    p = get_varint(p, end, &n);
    if (!p || p - start > 5 || n > (size_t)(end - p))
        return NULL;
    *ret = (size_t)n;
    return p;
}

static const uint8_t *skip_value(const uint8_t *p, const uint8_t *end, unsigned wire)
{
    uint64_t v;
    size_t n;

    switch (wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return get_varint(p, end, &v);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return end - p >= 8 ? p + 8 : NULL;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return end - p >= 4 ? p + 4 : NULL;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        p = get_length(p, end, &n);
        return p ? p + n : NULL;
    default: /* groups are refused */
        return NULL;
    }
}

static inline uint32_t fixed32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t fixed64(const uint8_t *p)
{
    return fixed32(p) | (uint64_t)fixed32(p + 4) << 32;
}

static bool any_bit(const uint8_t *p, const uint8_t *end)
{
    for (; p < end; p++) {
        if (*p & 0x7f)
            return true;
    }
    return false;
}

/* ---- values ---- */

static const uint8_t *get_fields(struct decoder *d, const struct pb_table *t, char *m,
                                 const uint8_t *p, const uint8_t *end);

static inline char *get_string(struct decoder *d, const uint8_t *p, size_t n)
{
    struct fl_arena *a = d->arena;
    char *s;

    /* Where there is room on both sides, a fixed number of bytes is copied: no call, no branches. */
    if (n < SHORT_STRING && a->end - a->at >= SHORT_STRING && d->input_end - p >= SHORT_STRING) {
        s = a->at;
        memcpy(s, p, SHORT_STRING);
        a->at += n + 1;
    } else {
        s = fl_arena_take(a, n + 1, 1);
        memcpy(s, p, n);
    }
    s[n] = '\0';
    return s;
}

static uint8_t *get_bytes(struct decoder *d, const uint8_t *p, size_t n)
{
    return n ? memcpy(fl_arena_take(d->arena, n, 1), p, n) : NULL;
}

static ProtobufCMessage *get_message(struct decoder *d, const struct pb_table *t, const uint8_t *p,
                                     size_t n)
{
    char *m = fl_arena_take(d->arena, t->image_size, 8);

    /* A call of memcpy would cost more than the copying. */
    for (size_t i = 0; i < t->image_size; i += PB_IMAGE_STEP) {
        memcpy(m + i, t->image + i, PB_IMAGE_STEP);
        __asm__ volatile("" ::: "memory"); /* lest the compiler make it one */
    }
    if (d->depth == 0) {
        d->why = "nested too deeply";
        return NULL;
    }
    d->depth--;
    p = get_fields(d, t, m, p, p + n);
    d->depth++;
    return p ? (ProtobufCMessage *)m : NULL;
}

/* A message that came before is merged into the one that comes now. */
static const uint8_t *get_sub_message(struct decoder *d, const struct pb_field *f,
                                      ProtobufCMessage **at, const uint8_t *p, size_t n)
{
    const struct pb_table *t = pb_sub_table(f);
    ProtobufCMessage *m = get_message(d, t, p, n);

    if (!m || (*at && !pb_merge(d->arena, t, (char *)*at, (char *)m)))
        return NULL;
    *at = m;
    return p + n;
}

/* Reads one value of the type that the field has into `at`. */
static inline __attribute__((always_inline)) const uint8_t *get_value(struct decoder *d,
                                                                      const struct pb_field *f,
                                                                      void *at, const uint8_t *p,
                                                                      const uint8_t *end)
{
    const uint8_t *start = p;
    uint64_t v;
    size_t n;

    switch ((enum pb_op)f->op) {
    case PB_STRING:
        if (!(p = get_length(p, end, &n)))
            return NULL;
        *(char **)at = get_string(d, p, n);
        return p + n;
    case PB_MESSAGE:
        if (!(p = get_length(p, end, &n)))
            return NULL;
        return get_sub_message(d, f, at, p, n);
    case PB_VARINT32:
        if ((p = get_varint(p, end, &v)))
            *(uint32_t *)at = (uint32_t)v;
        return p;
    case PB_VARINT64:
        if ((p = get_varint(p, end, &v)))
            *(uint64_t *)at = v;
        return p;
    case PB_ZIGZAG32:
        if ((p = get_varint(p, end, &v)))
            *(uint32_t *)at = (uint32_t)v >> 1 ^ (v & 1 ? UINT32_MAX : 0);
        return p;
    case PB_ZIGZAG64:
        if ((p = get_varint(p, end, &v)))
            *(uint64_t *)at = v >> 1 ^ (v & 1 ? UINT64_MAX : 0);
        return p;
    case PB_BOOL: /* also bits that no 64-bit number holds count */
        if ((p = get_varint(p, end, &v)))
            *(protobuf_c_boolean *)at = any_bit(start, p);
        return p;
    case PB_FIXED32:
        if (end - p < 4)
            return NULL;
        *(uint32_t *)at = fixed32(p);
        return p + 4;
    case PB_FIXED64:
        if (end - p < 8)
            return NULL;
        *(uint64_t *)at = fixed64(p);
        return p + 8;
    case PB_BYTES:
        if (!(p = get_length(p, end, &n)))
            return NULL;
        *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){n, get_bytes(d, p, n)};
        return p + n;
    }
    return NULL;
}

/* ---- arrays ---- */

static inline bool has_tag(const struct pb_field *f, const uint8_t *p, const uint8_t *end)
{
    if (end - p < f->tag_len || *p != f->tag[0])
        return false;
    return f->tag_len == 1 || memcmp(p, f->tag, f->tag_len) == 0;
}

/* How many elements follow each other from p on, which is behind the tag of the first: an encoder writes them so, and the array need
 * not grow. Only counts; what is wrong will be found. */
static size_t count_run(const struct pb_field *f, const uint8_t *p, const uint8_t *end)
{
    size_t n = 1;

    while ((p = skip_value(p, end, f->wire)) && has_tag(f, p, end)) {
        p += f->tag_len;
        n++;
    }
    return n;
}

static const uint8_t *get_repeated(struct decoder *d, const struct pb_field *f, char *m,
                                   const uint8_t *p, const uint8_t *end)
{
    size_t *n = &PB_AT(size_t, m, f->quantifier);
    void **array = &PB_AT(void *, m, f->offset);

    for (;;) {
        char *at;

        if (*n == fl_arena_capacity(*array))
            *array =
                fl_arena_grow(d->arena, *array, *n, f->packed ? 1 : count_run(f, p, end), f->size);
        at = (char *)*array + *n * f->size;
        if (f->op == PB_MESSAGE)
            *(void **)at = NULL; /* nothing to merge with */
        if (!(p = get_value(d, f, at, p, end)))
            return NULL;
        ++*n;
        if (f->packed || !has_tag(f, p, end))
            return p;
        p += f->tag_len;
    }
}

static const uint8_t *get_packed(struct decoder *d, const struct pb_field *f, char *m,
                                 const uint8_t *p, const uint8_t *end)
{
    size_t *n = &PB_AT(size_t, m, f->quantifier);
    void **array = &PB_AT(void *, m, f->offset);
    size_t len, more = 0;

    if (!(p = get_length(p, end, &len)))
        return NULL;
    end = p + len;
    if (f->wire == PROTOBUF_C_WIRE_TYPE_VARINT) {
        for (size_t i = 0; i < len; i++)
            more += p[i] < 0x80;
    } else {
        more = len / f->size;
    }
    if (more)
        *array = fl_arena_grow(d->arena, *array, *n, more, f->size);
    while (p < end) {
        /* The end of the last varint may be missing; no array was made for it. */
        if (more-- == 0)
            return NULL;
        if (!(p = get_value(d, f, (char *)*array + *n * f->size, p, end)))
            return NULL;
        ++*n;
    }
    return p;
}

/* ---- what is rare ---- */

/* Another member of the oneof, or the same again: nothing is left of the one before. */
static const uint8_t *get_oneof(struct decoder *d, const struct pb_table *t,
                                const struct pb_field *f, char *m, const uint8_t *p,
                                const uint8_t *end)
{
    uint32_t *which = &PB_AT(uint32_t, m, f->quantifier);
    const struct pb_field *old = *which ? pb_field_by_id(t, *which) : NULL;

    if (old)
        memset(m + f->offset, 0, old->size);
    if ((p = get_value(d, f, m + f->offset, p, end)))
        *which = f->id;
    return p;
}

static const uint8_t *get_unknown(struct decoder *d, ProtobufCMessage *m, uint32_t id,
                                  unsigned wire, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *start = p;
    size_t n = m->n_unknown_fields;

    if (id == 0) {
        d->why = "there is a field of number 0";
        return NULL;
    }
    if (!(p = skip_value(p, end, wire)))
        return NULL;
    if (n == fl_arena_capacity(m->unknown_fields))
        m->unknown_fields =
            fl_arena_grow(d->arena, m->unknown_fields, n, 1, sizeof(*m->unknown_fields));
    m->unknown_fields[n] =
        (ProtobufCMessageUnknownField){.tag = id,
                                       .wire_type = wire,
                                       .len = (size_t)(p - start),
                                       .data = get_bytes(d, start, (size_t)(p - start))};
    m->n_unknown_fields++;
    return p;
}

/* protobuf-c takes a bool of any wire type: true when its bytes hold any bit. */
static const uint8_t *get_odd_bool(struct decoder *d, const struct pb_field *f, void *at,
                                   unsigned wire, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *start = p;

    if ((p = skip_value(p, end, wire)))
        *(protobuf_c_boolean *)at = any_bit(start, p);
    return p;
}

static const uint8_t *get_tag(const uint8_t *p, const uint8_t *end, uint32_t *ret_id,
                              unsigned *ret_wire)
{
    const uint8_t *start = p;
    uint64_t tag;

    p = get_varint(p, end, &tag);
    if (!p || p - start > 5 || (*start & 0xf8) == 0)
        return NULL;
    *ret_id = (uint32_t)(tag >> 3);
    *ret_wire = (unsigned)tag & 7;
    return p;
}

/* A field by any tag. */
static const uint8_t *get_any_field(struct decoder *d, const struct pb_table *t, char *m,
                                    const uint8_t *p, const uint8_t *end, uint64_t *missing)
{
    const struct pb_field *f;
    unsigned wire;
    uint32_t id;

    if (!(p = get_tag(p, end, &id, &wire)))
        return NULL;
    if (!(f = pb_field_by_id(t, id)))
        return get_unknown(d, (ProtobufCMessage *)m, id, wire, p, end);
    *missing &= ~f->required;
    if (f->shape == PB_REPEATED && f->packable && wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        return get_packed(d, f, m, p, end);
    if (wire != f->wire && f->op == PB_BOOL && f->shape == PB_REPEATED) {
        size_t *n = &PB_AT(size_t, m, f->quantifier);
        void **array = &PB_AT(void *, m, f->offset);

        *array = fl_arena_grow(d->arena, *array, *n, 1, f->size);
        return get_odd_bool(d, f, (char *)*array + (*n)++ * f->size, wire, p, end);
    }
    if (wire != f->wire && f->op != PB_BOOL)
        return NULL;
    if (f->shape == PB_REPEATED)
        return get_repeated(d, f, m, p, end);
    if (wire == f->wire && f->shape == PB_ONEOF)
        return get_oneof(d, t, f, m, p, end);
    if (f->shape == PB_ONEOF) {
        const struct pb_field *old = pb_field_by_id(t, PB_AT(uint32_t, m, f->quantifier));

        if (old)
            memset(m + f->offset, 0, old->size);
        PB_AT(uint32_t, m, f->quantifier) = f->id;
    }
    if (f->shape == PB_HAS)
        PB_AT(protobuf_c_boolean, m, f->quantifier) = true;
    return wire == f->wire ? get_value(d, f, m + f->offset, p, end)
                           : get_odd_bool(d, f, m + f->offset, wire, p, end);
}

/* ---- messages ---- */

static const uint8_t *get_fields(struct decoder *d, const struct pb_table *t, char *m,
                                 const uint8_t *p, const uint8_t *end)
{
    uint64_t missing = t->required;

    while (p < end) {
        const struct pb_field *f;
        const uint8_t *start = p;
        uint32_t tag = *p++;

        if (tag >= 0x80) {
            /* A second byte that goes on makes it a number that no table has. */
            tag = p < end ? (tag & 0x7f) | (uint32_t)*p++ << 7 : UINT32_MAX;
        }
        if (tag >= t->n_tags || t->by_tag[tag] == 0) {
            if (!(p = get_any_field(d, t, m, start, end, &missing)))
                return NULL;
            continue;
        }
        f = &t->fields[t->by_tag[tag] - 1];
        missing &= ~f->required;
        if (f->shape == PB_REPEATED)
            p = get_repeated(d, f, m, p, end);
        else if (f->shape == PB_ONEOF)
            p = get_oneof(d, t, f, m, p, end);
        else
            p = get_value(d, f, m + f->offset, p, end);
        if (!p)
            return NULL;
        if (f->shape == PB_HAS)
            PB_AT(protobuf_c_boolean, m, f->quantifier) = true;
    }
    return missing ? NULL : p;
}

/* ---- the whole ---- */

int fl_pb_decode(const void *p, size_t n, const ProtobufCMessageDescriptor *desc,
                 ProtobufCAllocator *alloc, ProtobufCMessage **ret_m, struct fl_err *err)
{
    struct fl_arena *arena = fl_arena_of(alloc);
    _cleanup_(fl_arena_freep) struct fl_arena *own = arena ? NULL : fl_arena_new(2 * n);
    struct decoder d = {
        .arena = arena ? arena : own,
        .input_end = n ? (const uint8_t *)p + n : NULL,
        .depth = DEPTH_MAX,
    };
    ProtobufCMessage *m = get_message(&d, pb_table(desc), n ? p : "", n);

    if (!m)
        return fl_err_set(err, FL_INVALID, "%zu bytes are no %s: %s", n, desc->name,
                          d.why ? d.why : "they cannot be parsed, or a required field is missing");
    *ret_m = arena ? m : fl_pb_dup(m, alloc);
    return 0;
}
