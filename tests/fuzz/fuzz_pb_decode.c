/* Our decoder and protobuf-c's on the same bytes, of every type of message: the first two bytes choose it. */
#include "tests/property/any_message.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *d;
    unsigned taken = 0;
    struct fl_arena *arena;
    const char *wrong;
    uint8_t *exact;

    if (size < 2)
        return 0;
    d = any_types[(data[0] | (size_t)data[1] << 8) % ARRAY_SIZE(any_types)];
    arena = fl_arena_new(256);
    /* Where it ends, so ends its memory: a byte read too much is seen. */
    exact = xmemdup(data + 2, size - 2);
    wrong = any_compare(exact, size - 2, d, arena, &taken);
    if (wrong) {
        fprintf(stderr, "%s: %s\n", d->name, wrong);
        abort();
    }
    free(exact);
    fl_arena_free(arena);
    return 0;
}
