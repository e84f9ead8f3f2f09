/* base64, RFC 4648 section 4, as the value of a field of bytes. Any thread. */
#include "common/base/base64.h"

#include <errno.h>

static const char base64_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void json_text_base64(struct fl_buf *b, const void *data, size_t n)
{
    const unsigned char *p = data;
    char *out = fl_buf_reserve(b, (n + 2) / 3 * 4 + 2);
    char *begin = out;

    *out++ = '"';
    for (; n >= 3; n -= 3, p += 3) {
        unsigned v = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];

        *out++ = base64_chars[v >> 18];
        *out++ = base64_chars[v >> 12 & 63];
        *out++ = base64_chars[v >> 6 & 63];
        *out++ = base64_chars[v & 63];
    }
    if (n > 0) {
        unsigned v = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0);

        *out++ = base64_chars[v >> 18];
        *out++ = base64_chars[v >> 12 & 63];
        *out++ = n > 1 ? base64_chars[v >> 6 & 63] : '=';
        *out++ = '=';
    }
    *out++ = '"';
    b->len += (size_t)(out - begin);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int json_base64_decode(const char *s, size_t len, uint8_t *out, size_t *ret_n)
{
    const char *end = s + len;
    uint8_t *begin = out;
    unsigned v = 0;
    size_t n = 0;

    for (; s < end && *s != '='; s++) {
        int digit = base64_digit(*s);

        if (digit < 0 && (*s == ' ' || (*s >= '\t' && *s <= '\r')))
            continue;
        if (digit < 0)
            return -EINVAL;
        v = v << 6 | (unsigned)digit;
        if (++n % 4 == 0) {
            *out++ = (uint8_t)(v >> 16);
            *out++ = (uint8_t)(v >> 8);
            *out++ = (uint8_t)v;
        }
    }
    if (n % 4 == 1)
        return -EINVAL;
    if (n % 4 == 2) {
        *out++ = (uint8_t)(v >> 4);
    } else if (n % 4 == 3) {
        *out++ = (uint8_t)(v >> 10);
        *out++ = (uint8_t)(v >> 2);
    }
    *ret_n = (size_t)(out - begin);
    return 0;
}
