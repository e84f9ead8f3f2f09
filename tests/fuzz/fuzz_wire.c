/* Fuzzes what comes over a channel. The first byte says which end is fuzzed: even, frames one after another (what decodes must
 * encode and decode again to the same bytes); odd, the answer to our upgrade. */
#include "common/wire/wire_priv.h"

#define MAX_FRAME (1 << 20)

static void fuzz_answer(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *exact = xmemdup(data, size);
    struct fl_err err;
    ssize_t r = wire_answer(exact, size, "peer", &err);

    assert(r <= (ssize_t)size);
}

static void check_again(const struct wire_message *m, struct fl_arena *arena)
{
    _cleanup_buf_ struct fl_buf one = FL_BUF_INIT, two = FL_BUF_INIT;
    _cleanup_(pb_back_done) struct pb_back back = {0};
    struct wire_message again;
    struct wire_frame f;
    struct fl_err err;

    if (wire_frame_encode(&one, &back, m->msg, MAX_FRAME, &err) < 0) {
        assert(err.reason == FL_TOO_LARGE);
        return;
    }
    assert(wire_frame_next(one.data, one.len, MAX_FRAME, &f, &err) == 1 && f.size == one.len);
    if (wire_frame_decode(&f, arena, &again, &err) < 0)
        abort();
    if (wire_frame_encode(&two, &back, again.msg, MAX_FRAME, &err) < 0)
        abort();
    assert(two.len == one.len && memcmp(one.data, two.data, one.len) == 0);
}

static void fuzz_frames(const uint8_t *data, size_t size)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    struct fl_err err;

    for (size_t at = 0;;) {
        /* Memory of exactly what has come, so that reading beyond it is seen. */
        _cleanup_free_ uint8_t *exact = xmemdup(data + at, size - at);
        struct wire_message m;
        struct wire_frame f;

        if (wire_frame_next(exact, size - at, MAX_FRAME, &f, &err) != 1 ||
            wire_frame_decode(&f, arena, &m, &err) < 0)
            return;
        assert(f.size <= size - at && m.type == f.type);
        check_again(&m, arena);
        fl_arena_reset(arena);
        at += f.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        fuzz_answer(data + 1, size - 1);
    else
        fuzz_frames(data + 1, size - 1);
    return 0;
}
