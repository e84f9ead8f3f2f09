/* Fuzzes the RecordIO reader: the same bytes in one piece and cut up must give the same records and the same end. */
#include <stdint.h>

#include "common/base/recordio.h"

struct seen {
    struct fl_buf all;
    size_t n;
};

static int take(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct seen *s = arg;
    s->n++;
    fl_buf_add(&s->all, record, n);
    fl_buf_addc(&s->all, '|');
    return 0;
}

static int feed(const uint8_t *p, size_t n, size_t step, struct seen *s)
{
    struct recordio_reader r;
    struct fl_err err;
    int rc = 0;
    recordio_reader_init(&r, 4096);
    for (size_t at = 0; at < n && rc == 0; at += step)
        rc = recordio_feed(&r, p + at, FL_MIN(step, n - at), take, s, &err);
    recordio_reader_done(&r);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = {0}, cut = {0};
    if (size < 2)
        return 0;
    int a = feed(data + 1, size - 1, size, &whole);
    int b = feed(data + 1, size - 1, data[0] % 31 + 1u, &cut);
    assert((a < 0) == (b < 0));
    assert(whole.n == cut.n && whole.all.len == cut.all.len);
    assert(whole.all.len == 0 || memcmp(whole.all.data, cut.all.data, whole.all.len) == 0);
    fl_buf_done(&whole.all);
    fl_buf_done(&cut.all);
    return 0;
}
