/* What the codec of protobuf-c's messages shares: the arena's inside, and a table for every type of message.
 *
 * A table is made from protobuf-c's descriptor when a type is first met and lives as long as the process; it never changes once
 * pb_table() has returned it. Any thread.
 */
#ifndef COMMON_BASE_PB_PRIV_H
#define COMMON_BASE_PB_PRIV_H

#include <stdatomic.h>

#include "common/base/buf.h"

#define PB_AT(type, base, offset) (*(type *)((char *)(base) + (offset)))

/* ---- arena.c ---- */

#define FL_ARENA_ALIGN 16u

struct fl_arena {
    ProtobufCAllocator alloc;
    char *at, *end; /* what is free of the newest block; `at` need not be aligned */
    struct fl_arena_block *blocks;
    size_t used; /* bytes handed out of other blocks */
    size_t next_size;
};
struct fl_arena *fl_arena_of(const ProtobufCAllocator *alloc); /* NULL: no arena's */

/* Like fl_arena_alloc(), aligned only to `align` (1 to 16, a power of two). */
static inline void *fl_arena_take(struct fl_arena *a, size_t n, size_t align)
{
    char *p = (char *)(((uintptr_t)a->at + align - 1) & ~(uintptr_t)(align - 1));

    if (p > a->end || n > (size_t)(a->end - p))
        return fl_arena_alloc(a, n);
    a->at = p + n;
    return p;
}

/* An array that grows has its capacity in front of it; NULL has none. All arrays of decoded messages are such. */
static inline size_t fl_arena_capacity(const void *array)
{
    return array ? ((const size_t *)array)[-1] : 0;
}

/* Room for `more` elements behind the n there are; moves. */
static inline void *fl_arena_grow(struct fl_arena *a, void *array, size_t n, size_t more,
                                  size_t size)
{
    size_t cap = FL_MAX(n + more, 2 * fl_arena_capacity(array));
    size_t *head;

    if (n + more <= fl_arena_capacity(array))
        return array;
    head = (size_t *)fl_arena_take(a, sizeof(*head) + cap * size, 8);
    *head = cap;
    if (n)
        memcpy(head + 1, array, n * size);
    return head + 1;
}

/* ---- pb_table.c ---- */

enum pb_op {
    PB_VARINT32,
    PB_VARINT64,
    PB_ZIGZAG32,
    PB_ZIGZAG64,
    PB_BOOL,
    PB_FIXED32,
    PB_FIXED64,
    PB_STRING,
    PB_BYTES,
    PB_MESSAGE,
};

enum pb_shape {
    PB_ALWAYS,  /* required */
    PB_POINTER, /* optional; unset is NULL or the default */
    PB_HAS,     /* optional, with a has_ field */
    PB_ONEOF,
    PB_REPEATED,
};

struct pb_field {
    uint32_t id, offset;
    uint32_t quantifier; /* offset of the has_ field, the count or the oneof's case; 0: none */
    uint8_t op, shape;
    uint8_t wire;          /* type of one element */
    uint8_t size;          /* of one element in memory */
    bool packed, packable; /* written so; may come so */
    bool is_signed;        /* of PB_VARINT32 */
    uint8_t tag_len;
    uint8_t tag[5];
    uint64_t required; /* its bit in pb_table.required, or 0 */
    const void *dflt;
    const ProtobufCMessageDescriptor *sub;
    _Atomic(const struct pb_table *) sub_table; /* NULL until asked for */
};

/* Whether an encoder need look at a field at all: not when the eight bytes have none of the mask's bits. */
struct pb_probe {
    uint64_t mask;
    uint32_t offset;
    bool sure; /* when they have, it is set */
};

#define PB_IMAGE_STEP 32

struct pb_table {
    const ProtobufCMessageDescriptor *desc;
    const struct pb_table *next; /* in its bucket */
    size_t size;
    size_t image_size; /* that size, rounded up to PB_IMAGE_STEP */
    const char *image; /* an initialised message */
    uint64_t required; /* fields that must come */
    unsigned n_tags, n_owned;
    uint16_t *by_tag; /* tag (number and wire type) -> 1 + index of its field; 0: look closer */
    uint16_t *owned;  /* the fields that own memory */
    struct pb_probe *probes; /* one a field */
    unsigned n_fields;
    struct pb_field fields[]; /* by number */
};

const struct pb_table *pb_table(const ProtobufCMessageDescriptor *d);

static inline const struct pb_table *pb_sub_table(const struct pb_field *f)
{
    const struct pb_table *t = atomic_load_explicit(&f->sub_table, memory_order_acquire);

    if (__builtin_expect(!t, 0)) {
        t = pb_table(f->sub);
        atomic_store_explicit((_Atomic(const struct pb_table *) *)&f->sub_table, t,
                              memory_order_release);
    }
    return t;
}

const struct pb_field *pb_field_by_id(const struct pb_table *t, uint32_t id);

/* ---- pb_merge.c ---- */

/* Two decoded messages of one type in an arena: what only `from` has goes into `to`. False when protobuf-c would refuse it. */
bool pb_merge(struct fl_arena *a, const struct pb_table *t, char *from, char *to);

/* ---- pb_encode.c ---- */

/* A buffer that is filled from its end. {0} and one around memory of the caller are both good to begin with. */
struct pb_back {
    uint8_t *data;
    size_t cap, at; /* what is written is [at, cap) */
    bool borrowed;  /* `data` is the caller's */
};
#define PB_BACK_ON(array)                                                                          \
    {                                                                                              \
        .data = (array), .cap = sizeof(array), .at = sizeof(array), .borrowed = true               \
    }
/* The encoded message (proto2) is the last *return* bytes of the buffer, until the next call. */
size_t pb_encode_back(struct pb_back *b, const ProtobufCMessage *m);
void pb_back_done(struct pb_back *b);

/* ---- small copies ----
 * Most strings are ids of 10 to 50 bytes, for which calling memcpy costs more than copying. */
static inline void pb_copy_small(char *to, const char *from, size_t n)
{
    if (n >= 16 && n <= 64) {
        memcpy(to, from, 16);
        if (n > 32) {
            memcpy(to + 16, from + 16, 16);
            if (n > 48)
                memcpy(to + 32, from + 32, 16);
        }
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8 && n < 16) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4 && n < 8) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else if (n < 4) {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    } else {
        memcpy(to, from, n);
    }
}

#endif
