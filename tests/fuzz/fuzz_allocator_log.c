/* Fuzzes what fairlead-allocator-replay reads: the input is the frames of a log, once as they are, once as messages whose lengths and
 * checksums are right, so that the records behind them are reached. Printing and playing may refuse; they must not fall over. */
#include <stdint.h>

#include <zlib.h>

#include "master/allocator/replay.h"

static void put_frame(struct fl_buf *b, const uint8_t *p, size_t n)
{
    uint32_t sum = (uint32_t)crc32(0, p, (uInt)n);
    size_t v = n;

    for (; v >= 0x80; v >>= 7)
        fl_buf_addc(b, (char)(v | 0x80));
    fl_buf_addc(b, (char)v);
    for (unsigned i = 0; i < 32; i += 8)
        fl_buf_addc(b, (char)(sum >> i));
    fl_buf_add(b, p, n);
}

static void put_header(struct fl_buf *b)
{
    Alog__Header h = ALOG__HEADER__INIT;
    _cleanup_buf_ struct fl_buf m = FL_BUF_INIT;

    h.format = ALOG_FORMAT;
    h.abi = ALLOCATOR_ABI;
    h.allocator = (char *)"HierarchicalDRF";
    fl_buf_pack(&m, &h.base);
    fl_buf_add(b, ALOG_MAGIC, ALOG_MAGIC_LEN);
    put_frame(b, (const uint8_t *)m.data, m.len);
}

static void use(const struct fl_buf *log)
{
    struct replay_config c = {
        .log = log->data, .log_len = log->len, .ops = allocator_builtin("HierarchicalDRF")};
    struct fl_arena *arena = fl_arena_new(1024);
    struct fl_buf line = FL_BUF_INIT;
    struct replay_result res;
    struct alog_reader r;
    Alog__Record *rec;

    if (alog_reader_init(&r, log->data, log->len, NULL) == 0)
        while (alog_next(&r, arena, &rec, NULL) > 0) {
            fl_buf_clear(&line);
            replay_format(&r, rec, &line);
            fl_arena_reset(arena);
        }
    alog_reader_done(&r);
    replay_log(&c, &res, NULL);
    replay_result_done(&res);
    fl_buf_done(&line);
    fl_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fl_buf log = FL_BUF_INIT;

    fl_buf_add(&log, data, size);
    use(&log);
    fl_buf_clear(&log);
    put_header(&log);
    fl_buf_add(&log, data, size);
    use(&log);
    /* Messages of the lengths that two bytes before each of them say. */
    fl_buf_clear(&log);
    put_header(&log);
    for (size_t i = 0; i + 2 <= size;) {
        size_t n = FL_MIN((size_t)(data[i] | data[i + 1] << 8), size - i - 2);
        put_frame(&log, data + i + 2, n);
        i += 2 + n;
    }
    use(&log);
    fl_buf_done(&log);
    return 0;
}
