/* The codec as a filter, for comparison with an independent one (tests/system/test_00_proto.py). Reads frames
 * from standard input until its end and answers each on standard output; one thread, nothing kept between frames.
 *
 *   request:  u32 length, message name | u8 operation | u32 length, payload      (little-endian)
 *   answer:   u8 0 or 1 (failed) | u32 length, result or error message
 *
 * Operations: p bytes -> bytes; c the same through a copy of the message; a the same in an arena;
 * j bytes -> JSON; v in the older spelling; d with defaults; J JSON -> bytes; V from the older spelling;
 * l (no name) -> the names of all messages, one a line. */
#include <stdio.h>

#include "common/base/json.h"
#include "proto/agent.pb-c.h"
#include "proto/allocator_log.pb-c.h"
#include "proto/executor.pb-c.h"
#include "proto/internal.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/resource_provider.pb-c.h"

static const ProtobufCMessageDescriptor *const messages[] = {
#define PB_MESSAGE(descriptor) &descriptor,
#include "proto/all_messages.def"
#undef PB_MESSAGE
};

#define FRAME_MAX (64u << 20)

static const ProtobufCMessageDescriptor *find_message(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        if (streq(messages[i]->name, name))
            return messages[i];
    }
    return NULL;
}

static int decode(char op, const struct fl_buf *in, const ProtobufCMessageDescriptor *desc,
                  struct fl_arena *arena, ProtobufCMessage **ret_m, struct fl_err *err)
{
    ProtobufCAllocator *alloc = op == 'a' ? fl_arena_allocator(arena) : NULL;
    ProtobufCMessage *m = NULL;
    int r;

    if (op == 'J' || op == 'V')
        return fl_json_to_pb(in->data, in->len, desc, op == 'V' ? FL_JSON_V0 : 0, NULL, ret_m, err);
    r = fl_pb_decode(in->data, in->len, desc, alloc, &m, err);
    if (r < 0)
        return r;
    if (op == 'c') {
        *ret_m = fl_pb_dup(m, NULL);
        fl_pb_free(m);
    } else {
        *ret_m = m;
    }
    return 0;
}

static int answer(const char *name, char op, const struct fl_buf *in, struct fl_buf *out,
                  struct fl_err *err)
{
    const ProtobufCMessageDescriptor *desc = find_message(name);
    struct fl_arena *arena = NULL;
    ProtobufCMessage *m = NULL;
    int r;

    if (op == 'l') {
        for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
            fl_buf_addf(out, "%s\n", messages[i]->name);
        return 0;
    }
    if (!desc)
        return fl_err_set(err, FL_NOT_FOUND, "no message '%s'", name);
    arena = fl_arena_new(256);
    r = decode(op, in, desc, arena, &m, err);
    if (r == 0) {
        if (op == 'j' || op == 'v' || op == 'd')
            fl_json_from_pb(out, m, op == 'v' ? FL_JSON_V0 : op == 'd' ? FL_JSON_DEFAULTS : 0);
        else
            fl_buf_pack(out, m);
        if (op != 'a')
            fl_pb_free(m);
    }
    fl_arena_free(arena);
    return r;
}

static bool read_block(struct fl_buf *b)
{
    uint32_t n;

    fl_buf_clear(b);
    if (fread(&n, sizeof n, 1, stdin) != 1 || n > FRAME_MAX)
        return false;
    b->len = fread(fl_buf_reserve(b, n + 1), 1, n, stdin);
    return b->len == n;
}

int main(void)
{
    _cleanup_buf_ struct fl_buf name = FL_BUF_INIT, in = FL_BUF_INIT, out = FL_BUF_INIT;

    while (read_block(&name)) {
        struct fl_err err = {0};
        int op = getchar();
        uint32_t n;

        if (op == EOF || !read_block(&in))
            return 1;
        fl_buf_clear(&out);
        if (answer(fl_buf_cstr(&name), (char)op, &in, &out, &err) < 0) {
            fl_buf_clear(&out);
            fl_buf_adds(&out, err.msg);
        }
        putchar(err.code != 0);
        n = (uint32_t)out.len;
        if (fwrite(&n, sizeof n, 1, stdout) != 1 || fwrite(out.data, 1, n, stdout) != n ||
            fflush(stdout) != 0)
            return 1;
    }
    return 0;
}
