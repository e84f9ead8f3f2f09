/* Messages of any type filled at random, from their descriptor, for tests that compare two ways to write one. */
#ifndef TESTS_UNIT_RANDOM_MESSAGE_H
#define TESTS_UNIT_RANDOM_MESSAGE_H

#include <stdio.h>

#include "common/base/buf.h"

struct rnd {
    uint64_t state;
};

static inline uint64_t rnd_next(struct rnd *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * 0x2545f4914f6cdd1du;
}

static inline uint64_t rnd_below(struct rnd *r, uint64_t n)
{
    return (rnd_next(r) >> 16) % n;
}

/* Mostly plain; sometimes with what needs escapes, beyond ASCII, or no UTF-8 at all. */
static inline char *rnd_text(struct rnd *r, struct fl_arena *a)
{
    static const char *const odd[] = {"\"", "\\", "\n",   "\x01", "\x7f", "ä",
                                      "€",  "😀",  "\xff", "\xc3", "/",    " "};
    size_t n = rnd_below(r, rnd_below(r, 8) ? 24 : 80), len = 0;
    char *s = fl_arena_alloc(a, n * 4 + 8);
    bool plain = rnd_below(r, 4) != 0;

    for (size_t i = 0; i < n; i++) {
        if (plain || rnd_below(r, 6)) {
            s[len++] = (char)(' ' + 1 + rnd_below(r, 0x7e - ' '));
            if (plain && (s[len - 1] == '"' || s[len - 1] == '\\'))
                s[len - 1] = 'x';
        } else {
            const char *o = odd[rnd_below(r, ARRAY_SIZE(odd))];
            memcpy(s + len, o, strlen(o));
            len += strlen(o);
        }
    }
    s[len] = '\0';
    return s;
}

static inline uint64_t rnd_number(struct rnd *r)
{
    uint64_t v = rnd_next(r);

    return rnd_below(r, 3) == 0 ? v : v >> (8 + rnd_below(r, 56));
}

static inline double rnd_double(struct rnd *r)
{
    switch (rnd_below(r, 6)) {
    case 0:
        return (double)(int64_t)rnd_number(r) / 1000.0;
    case 1:
        return 1700000000.0 + (double)rnd_below(r, 1000000000) / 1e6;
    case 2:
        return (double)rnd_below(r, 1000);
    case 3:
        return -(double)rnd_below(r, 100) / 7;
    case 4: {
        static const double odd[] = {0.0,
                                     -0.0,
                                     1e300,
                                     5e-324,
                                     9e15,
                                     9007199254740993.0,
                                     __builtin_inf(),
                                     -__builtin_inf(),
                                     __builtin_nan("")};
        return odd[rnd_below(r, ARRAY_SIZE(odd))];
    }
    default:
        return (double)rnd_below(r, 1u << 30) / 1000.0;
    }
}

static inline ProtobufCMessage *rnd_message(struct rnd *r, const ProtobufCMessageDescriptor *d,
                                            unsigned depth, struct fl_arena *a);

static inline void rnd_value(struct rnd *r, const ProtobufCFieldDescriptor *f, void *at,
                             unsigned depth, struct fl_arena *a)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)at = rnd_text(r, a);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)at = rnd_message(r, f->descriptor, depth + 1, a);
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData *b = at;
        b->len = rnd_below(r, 20);
        b->data = fl_arena_alloc(a, b->len + 1);
        for (size_t i = 0; i < b->len; i++)
            b->data[i] = (uint8_t)rnd_next(r);
        break;
    }
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)at = rnd_double(r);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)at = (float)rnd_double(r);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = (protobuf_c_boolean)rnd_below(r, 2);
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *e = f->descriptor;
        *(int *)at = rnd_below(r, 12) ? e->values[rnd_below(r, e->n_values)].value
                                      : (int)rnd_below(r, 500) - 20;
        break;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *(uint64_t *)at = rnd_number(r);
        break;
    default:
        *(uint32_t *)at = (uint32_t)rnd_number(r);
        break;
    }
}

/* Deep ones end by leaving out what may be left out. */
static inline ProtobufCMessage *rnd_message(struct rnd *r, const ProtobufCMessageDescriptor *d,
                                            unsigned depth, struct fl_arena *a)
{
    ProtobufCMessage *m = fl_arena_alloc(a, d->sizeof_message);
    unsigned often = depth > 4 ? 0 : depth > 2 ? 3 : 6; /* of ten */

    d->message_init(m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        char *at = (char *)m + f->offset, *quantifier = (char *)m + f->quantifier_offset;

        if (f->label != PROTOBUF_C_LABEL_REQUIRED && rnd_below(r, 10) >= often)
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = rnd_below(r, 4), size = fl_pb_element_size(f->type);
            char *list = fl_arena_alloc(a, n * size + 1);
            for (size_t k = 0; k < n; k++)
                rnd_value(r, f, list + k * size, depth, a);
            *(size_t *)(void *)quantifier = n;
            *(void **)(void *)at = list;
            continue;
        }
        rnd_value(r, f, at, depth, a);
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
            *(uint32_t *)(void *)quantifier = f->id;
        else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
                 f->type != PROTOBUF_C_TYPE_MESSAGE)
            *(protobuf_c_boolean *)quantifier = true;
    }
    return m;
}

#endif
