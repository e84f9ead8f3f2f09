/* Protobuf's encoding, field by field, for code that reads encoded messages without building structs. Inline, any thread. */
#ifndef COMMON_BASE_PB_WIRE_H
#define COMMON_BASE_PB_WIRE_H

#include "common/base/buf.h"

enum pb_wire_type { PB_VARINT = 0, PB_64BIT = 1, PB_BYTES = 2, PB_32BIT = 5 };

struct pb_field {
    uint32_t id;
    enum pb_wire_type type;
    uint64_t value;      /* VARINT, 64BIT, 32BIT */
    const uint8_t *data; /* BYTES */
    size_t len;
};

/* NULL when the varint is cut or too long. */
static inline const uint8_t *pb_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
    uint64_t v = 0;

    if (p < end && *p < 0x80) {
        *ret = *p;
        return p + 1;
    }
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (p == end)
            return NULL;
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            *ret = v;
            return p;
        }
    }
    return NULL;
}

/* The field at `p`, p < end; where the next one is, or NULL when this is no protobuf. */
static inline const uint8_t *pb_next(const uint8_t *p, const uint8_t *end, struct pb_field *f)
{
    uint64_t head, n;
    uint32_t v32;

    p = pb_varint(p, end, &head);
    if (!p || head >> 3 == 0 || head >> 3 > UINT32_MAX)
        return NULL;
    f->id = (uint32_t)(head >> 3);
    f->type = (enum pb_wire_type)(head & 7);
    switch (f->type) {
    case PB_VARINT:
        return pb_varint(p, end, &f->value);
    case PB_64BIT:
        if (end - p < 8)
            return NULL;
        memcpy(&f->value, p, 8);
        return p + 8;
    case PB_32BIT:
        if (end - p < 4)
            return NULL;
        memcpy(&v32, p, 4);
        f->value = v32;
        return p + 4;
    case PB_BYTES:
        p = pb_varint(p, end, &n);
        if (!p || n > (uint64_t)(end - p))
            return NULL;
        f->data = p;
        f->len = (size_t)n;
        return p + n;
    }
    return NULL;
}

static inline size_t pb_varint_size(uint64_t v)
{
    return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}

static inline uint8_t *pb_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* Appends a field's head: `id` and the length of the bytes that follow. */
static inline void pb_add_head(struct fl_buf *b, uint32_t id, size_t len)
{
    uint8_t *p = (uint8_t *)fl_buf_reserve(b, 16), *at = p;

    at = pb_put_varint(at, (uint64_t)id << 3 | PB_BYTES);
    at = pb_put_varint(at, len);
    b->len += (size_t)(at - p);
}

static inline void pb_add_bytes(struct fl_buf *b, uint32_t id, const void *p, size_t len)
{
    pb_add_head(b, id, len);
    fl_buf_add(b, p, len);
}

static inline void pb_add_varint(struct fl_buf *b, uint32_t id, uint64_t v)
{
    uint8_t *p = (uint8_t *)fl_buf_reserve(b, 20), *at = p;

    at = pb_put_varint(at, (uint64_t)id << 3 | PB_VARINT);
    at = pb_put_varint(at, v);
    b->len += (size_t)(at - p);
}

/* A message inside another: begun with room for a head, ended when its length is known. What is in it moves when the head turns out to be
 * of another size than that of most: a small field number and a length of two bytes. */
#define PB_ROOM 3
static inline size_t pb_begin(struct fl_buf *b)
{
    fl_buf_reserve(b, PB_ROOM);
    b->len += PB_ROOM;
    return b->len;
}

static inline void pb_end(struct fl_buf *b, uint32_t id, size_t begun)
{
    size_t len = b->len - begun, at = begun - PB_ROOM;
    size_t head = pb_varint_size((uint64_t)id << 3) + pb_varint_size(len);

    if (head > PB_ROOM)
        fl_buf_reserve(b, head - PB_ROOM);
    if (head != PB_ROOM)
        memmove(b->data + at + head, b->data + begun, len);
    b->len = at;
    pb_add_head(b, id, len);
    b->len += len;
}

#endif
