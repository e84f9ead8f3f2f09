/* RecordIO: decimal length, newline, bytes. No thread of its own; a reader belongs to whoever feeds
 * it. */
#include "common/base/recordio.h"

#include <stdio.h>

/* UINT64_MAX has 20 digits; a longer line cannot be a length. */
#define MAX_DIGITS 20

void recordio_add(struct fl_buf *out, const void *record, size_t n)
{
    char line[MAX_DIGITS + 2];
    fl_snprintf(line, sizeof line, "%zu\n", n);
    size_t len = strlen(line);
    fl_buf_reserve(out, len + n);
    fl_buf_add(out, line, len);
    if (n > 0)
        fl_buf_add(out, record, n);
}

void recordio_reader_init(struct recordio_reader *r, size_t max_record)
{
    *r = (struct recordio_reader){.max_record = max_record};
}

void recordio_reader_done(struct recordio_reader *r)
{
    fl_buf_done(&r->buf);
}

/* After a bad length nothing that follows can be trusted: max_record 0 with a length wanted marks
 * that. */
static int poison(struct recordio_reader *r)
{
    fl_buf_clear(&r->buf);
    r->have_len = true;
    r->want = SIZE_MAX;
    return 0;
}

static bool poisoned(const struct recordio_reader *r)
{
    return r->have_len && r->want == SIZE_MAX;
}

static int parse_length(const char *line, size_t n, size_t max, size_t *ret_len, struct fl_err *err)
{
    uint64_t v = 0;
    if (n == 0 || n > MAX_DIGITS)
        return fl_err_set(err, FL_INVALID, "read a record: its length line has %zu digits", n);
    for (size_t i = 0; i < n; i++) {
        if (line[i] < '0' || line[i] > '9')
            return fl_err_set(err, FL_INVALID, "read a record: its length '%.*s' is not a number",
                              (int)n, line);
        uint64_t digit = (uint64_t)(line[i] - '0');
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
            return fl_err_set(err, FL_TOO_LARGE, "read a record: its length '%.*s' is too large",
                              (int)n, line);
    }
    if (v > max)
        return fl_err_set(err, FL_TOO_LARGE,
                          "read a record: %llu bytes are more than the %zu allowed",
                          (unsigned long long)v, max);
    *ret_len = (size_t)v;
    return 0;
}

/* Takes what is whole from p; *ret_used tells how much. */
static int take_records(struct recordio_reader *r, const char *p, size_t n, size_t *ret_used,
                        recordio_record_f *fn, void *arg, struct fl_err *err)
{
    size_t off = 0;
    *ret_used = 0;
    for (;;) {
        if (!r->have_len) {
            size_t look = FL_MIN(n - off, (size_t)MAX_DIGITS + 1);
            const char *nl = look ? memchr(p + off, '\n', look) : NULL;
            if (!nl && look <= MAX_DIGITS) {
                /* Digits only, even before the newline is there: garbage is refused at once. */
                for (size_t i = 0; i < look; i++)
                    if (p[off + i] < '0' || p[off + i] > '9')
                        return parse_length(p + off, look, r->max_record, &r->want, err);
                return 0;
            }
            size_t digits = nl ? (size_t)(nl - (p + off)) : look;
            int rc = parse_length(p + off, digits, r->max_record, &r->want, err);
            if (rc < 0)
                return rc;
            r->have_len = true;
            off += digits + 1;
            *ret_used = off;
        }
        if (n - off < r->want)
            return 0;
        r->have_len = false;
        size_t at = off;
        off += r->want;
        *ret_used = off;
        int rc = fn(arg, p + at, r->want, err);
        if (rc < 0)
            return rc;
    }
}

int recordio_feed(struct recordio_reader *r, const void *p, size_t n, recordio_record_f *fn,
                  void *arg, struct fl_err *err)
{
    if (poisoned(r))
        return fl_err_set(err, FL_INVALID, "read a record: the stream was broken before");
    if (n == 0)
        return 0;
    bool direct = r->buf.len == 0;
    if (!direct)
        fl_buf_add(&r->buf, p, n);
    const char *data = direct ? p : r->buf.data;
    size_t len = direct ? n : r->buf.len;
    size_t used = 0;
    int rc = take_records(r, data, len, &used, fn, arg, err);
    if (rc < 0) {
        poison(r);
        return rc;
    }
    if (direct && used < n)
        fl_buf_add(&r->buf, data + used, n - used);
    else if (!direct)
        fl_buf_drain(&r->buf, used);
    return 0;
}
