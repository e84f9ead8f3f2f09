/* The JSON writer: texts of single values, and structure with commas by itself. Nothing is kept but
 * the buffer, so a document of any size is written in one pass. Any thread. */
#include "common/base/json_put.h"

#include <math.h>

/* ---- texts ---- */

size_t json_plain_run(const char *p, const char *limit)
{
    const unsigned char *s = (const unsigned char *)p, *end = (const unsigned char *)limit;

    while (end - s >= 8) {
        uint64_t w;

        memcpy(&w, s, 8);
        if (!json_plain8(w))
            break;
        s += 8;
    }
    while (s < end && *s >= ' ' && *s < 0x80 && *s != '"' && *s != '\\')
        s++;
    return (size_t)((const char *)s - p);
}

static char *put_u16(char *out, unsigned v)
{
    static const char hex[] = "0123456789abcdef";

    *out++ = '\\';
    *out++ = 'u';
    *out++ = hex[v >> 12];
    *out++ = hex[v >> 8 & 15];
    *out++ = hex[v >> 4 & 15];
    *out++ = hex[v & 15];
    return out;
}

size_t json_utf8_next(const char *text, size_t left, unsigned *ret_char)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned c = p[0], min, v;
    size_t n;

    *ret_char = 0xfffd;
    if (c >= 0xc2 && c <= 0xdf) {
        n = 2, min = 0x80, v = c & 0x1f;
    } else if ((c & 0xf0) == 0xe0) {
        n = 3, min = 0x800, v = c & 0x0f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4, min = 0x10000, v = c & 0x07;
    } else {
        return 1;
    }
    if (left < n)
        return 1;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        v = v << 6 | (p[i] & 0x3f);
    }
    if (v < min || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 1;
    *ret_char = v;
    return n;
}

static char *put_escape(char *out, unsigned c)
{
    static const char short_form[128] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };

    if (c < 128 && short_form[c]) {
        *out++ = '\\';
        *out++ = short_form[c];
        return out;
    }
    if (c >= 0x10000) {
        c -= 0x10000;
        out = put_u16(out, 0xd800 + (c >> 10));
        return put_u16(out, 0xdc00 + (c & 0x3ff));
    }
    return put_u16(out, c);
}

void json_text_string_slow(struct fl_buf *b, const char *text, size_t n)
{
    const char *s = text, *end = text + n;
    char *out = fl_buf_reserve(b, n + 2);

    *out++ = '"';
    for (;;) {
        size_t run = json_plain_run(s, end);
        unsigned c;

        memcpy(out, s, run);
        out += run;
        s += run;
        if (s == end)
            break;
        if ((unsigned char)*s < 0x80) {
            c = (unsigned char)*s++;
        } else {
            s += json_utf8_next(s, (size_t)(end - s), &c);
        }
        /* An escape is 12 bytes at most; after it, room again for the rest as it is. */
        b->len = (size_t)(out - b->data);
        out = fl_buf_reserve(b, 12 + (size_t)(end - s) + 1);
        out = put_escape(out, c);
    }
    *out++ = '"';
    b->len = (size_t)(out - b->data);
}

/* Writes the digits so that they end before `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t v)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";

    while (v >= 100) {
        end -= 2;
        memcpy(end, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        end -= 2;
        memcpy(end, pairs + v * 2, 2);
    } else {
        *--end = (char)('0' + v);
    }
    return end;
}

void json_text_uint(struct fl_buf *b, uint64_t v)
{
    char tmp[20];
    char *p = digits_before(tmp + sizeof tmp, v);

    fl_buf_add(b, p, (size_t)(tmp + sizeof tmp - p));
}

void json_text_int(struct fl_buf *b, int64_t v)
{
    if (v < 0)
        fl_buf_addc(b, '-');
    json_text_uint(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* `v` as a decimal of `decimals` digits behind the point, scale = 10^decimals, when that reads back
 * as `v`. The quotient of two exact doubles is rounded correctly, as a reader rounds the decimal,
 * so comparing it with `v` is the whole proof. Covers nearly all there is: quantities are
 * thousandths, times microseconds. */
static bool put_decimal(struct fl_buf *b, double v, double scale, unsigned decimals)
{
    double r = v * scale;
    char tmp[32];
    char *end = tmp + sizeof tmp, *p, *frac;
    uint64_t u;

    if (!(fabs(r) < 9e15))
        return false;
    r = (double)llrint(r); /* to even, as all rounding here */
    if (r / scale != v)
        return false;
    u = (uint64_t)fabs(r);
    frac = end;
    for (unsigned i = 0; i < decimals; i++) {
        *--frac = (char)('0' + u % 10);
        u /= 10;
    }
    while (end > frac + 1 && end[-1] == '0')
        end--;
    *--frac = '.';
    p = digits_before(frac, u);
    if (signbit(v))
        *--p = '-';
    fl_buf_add(b, p, (size_t)(end - p));
    return true;
}

/* Times of today in seconds, in nanoseconds once, need all 17 digits: seven decimals. The value is m / 2^22, so it is rounded as printf()
 * would in integers. */
static bool put_time(struct fl_buf *b, double v)
{
    const unsigned shift = 22;
    unsigned __int128 n;
    uint64_t bits, half = 1ull << (shift - 1), rest;
    char tmp[32];
    char *end = tmp + sizeof tmp, *p, *frac;

    memcpy(&bits, &v, sizeof(bits));
    if (bits >> 52 != 1023 + 30) /* 2^30 <= v < 2^31 */
        return false;
    n = (unsigned __int128)((bits & ((1ull << 52) - 1)) | 1ull << 52) * 10000000u;
    rest = (uint64_t)n & (2 * half - 1);
    n >>= shift;
    if (rest > half || (rest == half && n & 1))
        n++;
    frac = end;
    for (unsigned i = 0; i < 7; i++) {
        *--frac = (char)('0' + (unsigned)((uint64_t)n % 10));
        n = (uint64_t)n / 10;
    }
    while (end > frac + 1 && end[-1] == '0')
        end--;
    *--frac = '.';
    p = digits_before(frac, (uint64_t)n);
    fl_buf_add(b, p, (size_t)(end - p));
    return true;
}

void json_text_double(struct fl_buf *b, double v)
{
    char text[40];
    double back;

    if (isnan(v)) {
        fl_buf_adds(b, "\"NaN\"");
        return;
    }
    if (isinf(v)) {
        fl_buf_adds(b, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    if (put_decimal(b, v, 1e3, 3) || put_decimal(b, v, 1e6, 6) || put_decimal(b, v, 10, 1) ||
        put_time(b, v))
        return;
    for (int digits = 15; digits <= 17; digits++) {
        (void)fl_snprintf(text, sizeof text, "%.*g", digits, v);
        if (digits == 17 || (fl_parse_f64(text, &back) == 0 && back == v))
            break;
    }
    fl_buf_adds(b, text);
    if (!strpbrk(text, ".e"))
        fl_buf_adds(b, ".0");
}

/* ---- structure ---- */

static inline void begin_value(struct json_out *j)
{
    if (j->need_comma)
        json_put_char(j->buf, ',');
    j->need_comma = true;
}

void json_object(struct json_out *j)
{
    begin_value(j);
    json_put_char(j->buf, '{');
    j->need_comma = false;
}

void json_end_object(struct json_out *j)
{
    json_put_char(j->buf, '}');
    j->need_comma = true;
}

void json_array(struct json_out *j)
{
    begin_value(j);
    json_put_char(j->buf, '[');
    j->need_comma = false;
}

void json_end_array(struct json_out *j)
{
    json_put_char(j->buf, ']');
    j->need_comma = true;
}

void json_key(struct json_out *j, const char *key)
{
    begin_value(j);
    json_put_string(j->buf, key, strlen(key));
    json_put_char(j->buf, ':');
    j->need_comma = false;
}

void json_string(struct json_out *j, const char *s)
{
    json_stringn(j, s ? s : "", s ? strlen(s) : 0);
}

void json_stringn(struct json_out *j, const char *s, size_t n)
{
    begin_value(j);
    json_put_string(j->buf, s, n);
}

void json_int(struct json_out *j, int64_t v)
{
    begin_value(j);
    json_text_int(j->buf, v);
}

void json_uint(struct json_out *j, uint64_t v)
{
    begin_value(j);
    json_text_uint(j->buf, v);
}

void json_double(struct json_out *j, double v)
{
    begin_value(j);
    json_text_double(j->buf, v);
}

void json_bool(struct json_out *j, bool v)
{
    begin_value(j);
    fl_buf_adds(j->buf, v ? "true" : "false");
}

void json_null(struct json_out *j)
{
    begin_value(j);
    fl_buf_adds(j->buf, "null");
}

void json_base64(struct json_out *j, const void *p, size_t n)
{
    begin_value(j);
    json_text_base64(j->buf, p, n);
}

void json_raw(struct json_out *j, const char *json, size_t n)
{
    begin_value(j);
    fl_buf_add(j->buf, json, n);
}

void json_pb(struct json_out *j, const ProtobufCMessage *m, unsigned flags)
{
    begin_value(j);
    fl_json_from_pb(j->buf, m, flags);
}
