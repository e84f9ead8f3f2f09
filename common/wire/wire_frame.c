/* Frames of a channel: u32 length of what follows, u16 type, u16 flags (0), payload; little-endian. Pure. */
#include "common/base/json.h"
#include "common/wire/wire_priv.h"

static uint32_t get_u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get_u32(const uint8_t *p)
{
    return get_u16(p) | get_u16(p + 2) << 16;
}

static void put_u16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

int wire_frame_next(const void *bytes, size_t n, size_t max_frame, struct wire_frame *ret,
                    struct fl_err *err)
{
    const uint8_t *p = bytes;
    size_t len;

    if (n < 4)
        return 0;
    len = get_u32(p);
    if (len > max_frame)
        return fl_err_set(err, FL_TOO_LARGE, "a frame of %zu bytes is over the limit of %zu", len,
                          max_frame);
    if (len < WIRE_HEADER - 4)
        return fl_err_set(err, FL_INVALID, "a frame of %zu bytes has no room for its header", len);
    if (n < WIRE_HEADER)
        return 0;
    /* Before the payload has come: an unknown peer is not listened to for long. */
    if (get_u16(p + 6) != 0)
        return fl_err_set(err, FL_INVALID, "a frame has unknown flags 0x%x", get_u16(p + 6));
    if (!wire_type_descriptor(get_u16(p + 4)))
        return fl_err_set(err, FL_INVALID, "a frame is of the unknown type %u", get_u16(p + 4));
    if (n < len + 4)
        return 0;
    *ret = (struct wire_frame){.type = get_u16(p + 4),
                               .payload = p + WIRE_HEADER,
                               .payload_len = len + 4 - WIRE_HEADER,
                               .size = len + 4};
    return 1;
}

int wire_frame_decode(const struct wire_frame *f, struct fl_arena *arena, struct wire_message *ret,
                      struct fl_err *err)
{
    ProtobufCMessage *m;
    int r = fl_pb_decode(f->payload, f->payload_len, wire_type_descriptor(f->type),
                         fl_arena_allocator(arena), &m, err);

    if (r < 0)
        return fl_err_wrap(err, "a frame");
    *ret = (struct wire_message){.type = f->type, .msg = m, .size = f->payload_len};
    return 0;
}

int wire_frame_encode(struct fl_buf *out, struct pb_back *back, const ProtobufCMessage *m,
                      size_t max_frame, struct fl_err *err)
{
    int type = wire_type_of(m->descriptor);
    size_t size, len;
    uint8_t *p;

    if (type < 0)
        return fl_err_set(err, FL_INVALID, "a %s is no message of the channels",
                          m->descriptor->name);
    size = pb_encode_back(back, m);
    len = size + WIRE_HEADER - 4;
    if (len > max_frame || len > UINT32_MAX)
        return fl_err_set(err, FL_TOO_LARGE, "a %s of %zu bytes is over the limit of %zu",
                          m->descriptor->name, size, max_frame);
    p = (uint8_t *)fl_buf_reserve(out, size + WIRE_HEADER);
    put_u16(p, (unsigned)len & 0xffff);
    put_u16(p + 2, (unsigned)(len >> 16));
    put_u16(p + 4, (unsigned)type);
    put_u16(p + 6, 0);
    if (size)
        memcpy(p + WIRE_HEADER, back->data + back->at, size);
    out->len += size + WIRE_HEADER;
    return 0;
}
