/* JSON's tokens. Strings are checked where they stand (UTF-8, escapes, no NUL) and copied by the caller; numbers
 * take a fast way when that is exact and strtod() otherwise. No state; any thread. */
#include "common/base/json_lex.h"

#include <errno.h>

#define SKIP_DEPTH_MAX 500 /* of what is under a key that nobody knows */

int json_in_fail(struct json_in *in, const char *what)
{
    const char *line_begin = in->begin;
    size_t line = 1;

    for (const char *p = in->begin; p < in->p && p < in->end; p++) {
        if (*p == '\n') {
            line++;
            line_begin = p + 1;
        }
    }
    return fl_err_set(in->err, FL_INVALID, "not valid JSON: line %zu, column %zu: %s", line,
                      (size_t)(in->p - line_begin) + 1, what);
}

static inline void skip_blanks(struct json_in *in)
{
    while (in->p < in->end && (*in->p == ' ' || *in->p == '\n' || *in->p == '\r' || *in->p == '\t'))
        in->p++;
}

int json_in_peek(struct json_in *in)
{
    skip_blanks(in);
    if (in->p == in->end)
        return json_in_fail(in, "a value is missing at the end");
    switch (*in->p) {
    case '{':
    case '[':
    case '"':
    case 't':
    case 'f':
    case 'n':
        return *in->p;
    case '-':
    case '0' ... '9':
        return 0;
    default:
        return json_in_fail(in, "a value must begin here");
    }
}

int json_in_literal(struct json_in *in)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        size_t n = strlen(words[i]);

        if ((size_t)(in->end - in->p) >= n && memcmp(in->p, words[i], n) == 0) {
            in->p += n;
            return words[i][0];
        }
    }
    return json_in_fail(in, "neither true, false nor null");
}

/* ---- strings ---- */

static int hex4(const char *p, const char *end)
{
    int v = 0;

    if (end - p < 4)
        return -EINVAL;
    for (int i = 0; i < 4; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v << 4 | ((c | 32) - 'a' + 10);
        else
            return -EINVAL;
    }
    return v;
}

static char simple_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '"':
    case '\\':
    case '/':
        return c;
    default:
        return 0;
    }
}

/* `*p` is behind a backslash; moves it behind the escape. The character, or -EINVAL. */
static int read_escape(const char **p, const char *end)
{
    int c, low;

    if (*p == end)
        return -EINVAL;
    if (**p != 'u') {
        c = simple_escape(**p);
        (*p)++;
        return c ? c : -EINVAL;
    }
    c = hex4(*p + 1, end);
    if (c < 0 || c == 0 || (c >= 0xdc00 && c <= 0xdfff))
        return -EINVAL;
    *p += 5;
    if (c < 0xd800 || c > 0xdbff)
        return c;
    if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return -EINVAL;
    low = hex4(*p + 2, end);
    if (low < 0xdc00 || low > 0xdfff)
        return -EINVAL;
    *p += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

int json_in_string(struct json_in *in, struct json_slice *ret)
{
    ret->raw = ++in->p;
    ret->plain = true;
    for (;;) {
        unsigned c;
        size_t n;

        in->p += json_plain_run(in->p, in->end);
        if (in->p == in->end)
            return json_in_fail(in, "a string has no end");
        if (*in->p == '"') {
            ret->len = (size_t)(in->p - ret->raw);
            in->p++;
            return 0;
        }
        if (*in->p == '\\') {
            in->p++;
            ret->plain = false;
            if (read_escape(&in->p, in->end) < 0)
                return json_in_fail(in, "an escape that is none, or that no text may hold");
            continue;
        }
        n = json_utf8_next(in->p, (size_t)(in->end - in->p), &c);
        if (n < 2)
            return json_in_fail(in, "a raw control character, or bytes that are not UTF-8");
        in->p += n;
    }
}

static char *put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

size_t json_slice_copy(const struct json_slice *slice, char *out)
{
    const char *p = slice->raw, *end = p + slice->len;
    char *begin = out;

    while (p < end) {
        const char *slash = slice->plain ? NULL : memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((slash ? slash : end) - p);

        memcpy(out, p, run);
        out += run;
        p += run;
        if (slash) {
            p++;
            out = put_utf8(out, (unsigned)read_escape(&p, end));
        }
    }
    *out = '\0';
    return (size_t)(out - begin);
}

const char *json_slice_small(const struct json_slice *slice, char *buf, size_t size)
{
    if (slice->len >= size)
        return NULL;
    (void)json_slice_copy(slice, buf);
    return buf;
}

/* ---- numbers ---- */

/* Digits of one part, into the mantissa as long as that is exact. Returns how many there were. */
static size_t read_digits(struct json_in *in, uint64_t *mantissa, bool *exact)
{
    const char *begin = in->p;

    for (; in->p < in->end && *in->p >= '0' && *in->p <= '9'; in->p++) {
        uint64_t m = *mantissa;

        if (*exact && !__builtin_mul_overflow(m, 10, &m) &&
            !__builtin_add_overflow(m, (uint64_t)(*in->p - '0'), &m))
            *mantissa = m;
        else
            *exact = false;
    }
    return (size_t)(in->p - begin);
}

static double slow_real(const char *begin, const char *end)
{
    char small[64];
    size_t n = (size_t)(end - begin);
    _cleanup_free_ char *big = n < sizeof small ? NULL : xstrndup(begin, n);
    double v;

    if (!big) {
        memcpy(small, begin, n);
        small[n] = '\0';
    }
    v = strtod(big ? big : small, NULL);
    return v;
}

/* Two exact doubles give an exactly rounded product or quotient: that is all numbers of up to 15 digits and
 * an exponent that is not far out. */
static bool fast_real(uint64_t mantissa, long exponent, double *ret)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    if (mantissa > 1ull << 53 || exponent > 22 || exponent < -22)
        return false;
    *ret = exponent < 0 ? (double)mantissa / tens[-exponent] : (double)mantissa * tens[exponent];
    return true;
}

static int read_exponent(struct json_in *in, long *exponent)
{
    bool negative, exact = true;
    uint64_t v = 0;

    in->p++;
    negative = in->p < in->end && *in->p == '-';
    if (in->p < in->end && (*in->p == '-' || *in->p == '+'))
        in->p++;
    if (read_digits(in, &v, &exact) == 0)
        return json_in_fail(in, "a number has no digits behind its 'e'");
    v = exact && v < 100000 ? v : 100000;
    *exponent += negative ? -(long)v : (long)v;
    return 0;
}

int json_in_number(struct json_in *in, struct json_number *ret)
{
    const char *begin = in->p;
    bool exact = true, zero;
    uint64_t mantissa = 0;
    long exponent = 0;
    size_t n;

    ret->negative = *in->p == '-';
    in->p += ret->negative;
    zero = in->p < in->end && *in->p == '0';
    n = read_digits(in, &mantissa, &exact);
    if (n == 0 || (zero && n > 1))
        return json_in_fail(in, "a number has no digits, or begins with a zero");
    ret->integer = exact;
    ret->magnitude = mantissa;
    if (in->p < in->end && *in->p == '.') {
        ret->integer = false;
        in->p++;
        n = read_digits(in, &mantissa, &exact);
        if (n == 0)
            return json_in_fail(in, "a number has no digits behind its point");
        exponent = -(long)FL_MIN(n, (size_t)100000);
    }
    if (in->p < in->end && (*in->p == 'e' || *in->p == 'E')) {
        ret->integer = false;
        if (read_exponent(in, &exponent) < 0)
            return -EINVAL;
    }
    if (!exact || !fast_real(mantissa, exponent, &ret->real))
        ret->real = slow_real(begin, in->p);
    else if (ret->negative)
        ret->real = -ret->real;
    return 0;
}

/* ---- structure ---- */

void json_in_open(struct json_in *in)
{
    in->p++;
}

int json_in_more(struct json_in *in, char close, bool *first)
{
    bool was_first = *first;

    skip_blanks(in);
    *first = false;
    if (in->p < in->end && *in->p == close) {
        in->p++;
        return 0;
    }
    if (was_first)
        return 1;
    if (in->p == in->end || *in->p != ',')
        return json_in_fail(in, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    in->p++;
    return 1;
}

int json_in_key(struct json_in *in, struct json_slice *ret)
{
    int r;

    skip_blanks(in);
    if (in->p == in->end || *in->p != '"')
        return json_in_fail(in, "a key must begin here");
    r = json_in_string(in, ret);
    if (r < 0)
        return r;
    skip_blanks(in);
    if (in->p == in->end || *in->p != ':')
        return json_in_fail(in, "expected ':'");
    in->p++;
    return 0;
}

int json_in_end(struct json_in *in)
{
    skip_blanks(in);
    return in->p == in->end ? 0 : json_in_fail(in, "there is more behind the value");
}

static int skip_value(struct json_in *in, unsigned depth)
{
    struct json_number number;
    struct json_slice slice;
    bool first = true;
    int kind = json_in_peek(in), r;

    if (kind < 0)
        return kind;
    if (kind == 0)
        return json_in_number(in, &number);
    if (kind == '"')
        return json_in_string(in, &slice);
    if (kind != '{' && kind != '[')
        return FL_MIN(json_in_literal(in), 0);
    if (depth >= SKIP_DEPTH_MAX)
        return json_in_fail(in, "nested too deeply");
    json_in_open(in);
    while ((r = json_in_more(in, kind == '{' ? '}' : ']', &first)) > 0) {
        r = kind == '{' ? json_in_key(in, &slice) : 0;
        if (r == 0)
            r = skip_value(in, depth + 1);
        if (r < 0)
            return r;
    }
    return r;
}

int json_in_skip(struct json_in *in)
{
    return skip_value(in, 0);
}
