/* Encoded messages to JSON without decoding them, and by way of the decoded message: the same text, for bytes that our decoder takes
 * and for what our encoder makes of them. The first two bytes choose the type of the message, the third the spelling. */
#include "common/base/json_wire.h"
#include "tests/property/any_message.h"

#include <stdio.h>

static const unsigned spellings[] = {0, FL_JSON_V0, FL_JSON_DEFAULTS, FL_JSON_LEGACY};
static struct json_wire *tables[ARRAY_SIZE(spellings)];

/* A copy that ends where its memory ends: a byte read too much is seen. */
static void compare(unsigned spelling, const ProtobufCMessageDescriptor *d, const void *p, size_t n,
                    const struct fl_buf *want)
{
    _cleanup_free_ void *exact = xmemdup(p, n);
    _cleanup_buf_ struct fl_buf got = FL_BUF_INIT;

    if (!tables[spelling])
        tables[spelling] = json_wire_new(spellings[spelling]);
    json_wire_put(&got, json_wire_type(tables[spelling], d), exact, n);
    if (got.len == want->len && memcmp(got.data, want->data, got.len) == 0)
        return;
    fprintf(stderr, "%s:\n%.*s\ninstead of\n%.*s\n", d->name, (int)got.len, got.data,
            (int)want->len, want->data);
    abort();
}

/* Decoding puts required fields that are missing and have a default (the port of a MasterInfo) into the message; what is written without
 * decoding has only what is there. The master writes so what it has encoded itself, where nothing is missing. */
static bool fills_in(const ProtobufCMessageDescriptor *d, unsigned depth)
{
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        if (f->label == PROTOBUF_C_LABEL_REQUIRED && f->default_value)
            return true;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && depth > 0 && fills_in(f->descriptor, depth - 1))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *d;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    _cleanup_buf_ struct fl_buf want = FL_BUF_INIT, again = FL_BUF_INIT;
    ProtobufCMessage *m = NULL;
    static enum { NOT_ASKED, NO, YES } fills[ARRAY_SIZE(any_types)];
    unsigned spelling;
    size_t type;

    if (size < 3)
        return 0;
    type = (data[0] | (size_t)data[1] << 8) % ARRAY_SIZE(any_types);
    d = any_types[type];
    if (fills[type] == NOT_ASKED)
        fills[type] = fills_in(d, 5) ? YES : NO;
    spelling = data[2] % ARRAY_SIZE(spellings);
    arena = fl_arena_new(256);
    if (fl_pb_decode(data + 3, size - 3, d, fl_arena_allocator(arena), &m, NULL) < 0)
        return 0;
    fl_json_from_pb(&want, m, spellings[spelling]);
    fl_buf_pack(&again, m);
    if (fills[type] == NO)
        compare(spelling, d, data + 3, size - 3, &want);
    compare(spelling, d, again.data, again.len, &want);
    return 0;
}
