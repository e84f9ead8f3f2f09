/* The growing byte buffer. */
#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void fl_buf_done(struct fl_buf *b)
{
    free(b->data);
    *b = (struct fl_buf)FL_BUF_INIT;
}

void fl_buf_clear(struct fl_buf *b)
{
    b->len = 0;
}

char *fl_buf_reserve(struct fl_buf *b, size_t n)
{
    size_t need;

    if (n <= b->cap - b->len && b->data)
        return b->data + b->len;
    if (__builtin_add_overflow(b->len, n, &need))
        abort();
    b->data = xgrow(b->data, &b->cap, FL_MAX(need, (size_t)64), 1);
    return b->data + b->len;
}

void fl_buf_add(struct fl_buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(fl_buf_reserve(b, n), p, n);
    b->len += n;
}

void fl_buf_adds(struct fl_buf *b, const char *s)
{
    fl_buf_add(b, s, strlen(s));
}

void fl_buf_addc(struct fl_buf *b, char c)
{
    *fl_buf_reserve(b, 1) = c;
    b->len++;
}

void fl_buf_addf(struct fl_buf *b, const char *fmt, ...)
{
    char *p = fl_buf_reserve(b, 64);
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(p, b->cap - b->len, fmt, ap);
    assert(n >= 0);
    if ((size_t)n >= b->cap - b->len) {
        p = fl_buf_reserve(b, (size_t)n + 1);
        (void)vsnprintf(p, (size_t)n + 1, fmt, again);
    }
    b->len += (size_t)n;
    va_end(again);
    va_end(ap);
}

void fl_buf_drain(struct fl_buf *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len && n)
        memmove(b->data, b->data + n, b->len);
}

char *fl_buf_cstr(struct fl_buf *b)
{
    *fl_buf_reserve(b, 1) = '\0';
    return b->data;
}

char *fl_buf_take(struct fl_buf *b)
{
    char *s = fl_buf_cstr(b);

    *b = (struct fl_buf)FL_BUF_INIT;
    return s;
}
