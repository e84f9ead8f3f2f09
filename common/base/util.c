/* Checked allocation and number parsing. No state; any thread. */
#include "common/base/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void die_no_memory(size_t n)
{
    fprintf(stderr, "out of memory: %zu bytes asked for\n", n);
    abort();
}

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (!p)
        die_no_memory(n);
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        die_no_memory(n * size);
    return p;
}

void *xrealloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);

    if (!q)
        die_no_memory(n);
    return q;
}

void *xgrow(void *p, size_t *cap, size_t need, size_t size)
{
    size_t n = *cap ? *cap : 8;
    size_t bytes;

    if (p && need <= *cap)
        return p;
    while (n < need) {
        if (__builtin_mul_overflow(n, 2, &n))
            die_no_memory(SIZE_MAX);
    }
    if (__builtin_mul_overflow(n, size, &bytes))
        die_no_memory(SIZE_MAX);
    p = xrealloc(p, bytes);
    *cap = n;
    return p;
}

char *xstrdup(const char *s)
{
    return xmemdup(s, strlen(s) + 1);
}

char *xstrndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *p = xmalloc(len + 1);

    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

void *xmemdup(const void *p, size_t n)
{
    void *q = xmalloc(n);

    if (n)
        memcpy(q, p, n);
    return q;
}

char *xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0 || !s)
        die_no_memory(strlen(fmt));
    return s;
}

int fl_snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (size == 0)
        return -ENOSPC;
    va_start(ap, fmt);
    n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    if (n < 0)
        buf[0] = '\0';
    return n < 0 || (size_t)n >= size ? -ENOSPC : 0;
}

/* Digits only: strtoll() would also take blanks, a plus sign and an octal-looking prefix. */
static int parse_digits(const char *s, uint64_t *ret)
{
    uint64_t v = 0;

    if (*s == '\0')
        return -EINVAL;
    for (const char *p = s; *p; p++) {
        if (*p < '0' || *p > '9')
            return -EINVAL;
    }
    for (; *s; s++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return -ERANGE;
    }
    *ret = v;
    return 0;
}

int fl_parse_u64(const char *s, uint64_t *ret)
{
    return parse_digits(s, ret);
}

int fl_parse_i64(const char *s, int64_t *ret)
{
    bool negative = *s == '-';
    uint64_t v;
    int r = parse_digits(negative ? s + 1 : s, &v);

    if (r < 0)
        return r;
    if (v > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

int fl_parse_f64(const char *s, double *ret)
{
    char *end;
    double v;

    /* strtod() also knows blanks, hexadecimal, "inf" and "nan". */
    if (*s == '\0' || *s == '+' || s[strspn(s, "0123456789+-.eE")] != '\0')
        return -EINVAL;
    errno = 0;
    v = strtod(s, &end);
    if (end == s || *end)
        return -EINVAL;
    if (errno == ERANGE && (v > 1 || v < -1))
        return -ERANGE;
    *ret = v;
    return 0;
}
