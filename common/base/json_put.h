/* The pieces JSON texts are made of, for code that writes very much of it: no commas, no structure, everything inline that is short. For
 * the rest there is json.h. Any thread. */
#ifndef COMMON_BASE_JSON_PUT_H
#define COMMON_BASE_JSON_PUT_H

#include "common/base/json_text.h"

/* Room for n more bytes at the end. */
static inline char *json_room(struct fl_buf *b, size_t n)
{
    return b->cap - b->len >= n ? b->data + b->len : fl_buf_reserve(b, n);
}

static inline void json_put_char(struct fl_buf *b, char c)
{
    *json_room(b, 1) = c;
    b->len++;
}

static inline void json_put_raw(struct fl_buf *b, const char *s, size_t n)
{
    if (n == 0)
        return; /* `s` may be NULL: the bytes of an empty buffer */
    memcpy(json_room(b, n), s, n);
    b->len += n;
}
/* A literal. */
#define JSON_PUT(b, text) json_put_raw(b, text, sizeof(text) - 1)

/* 8 bytes of which none needs an escape. A byte has its top bit set in the sum when it is beyond ASCII, below ' ', '"' or '\\'; one above
 * such a byte may be taken for one as well. */
static inline bool json_plain8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t q = w ^ (ones * '"'), e = w ^ (ones * '\\');

    return !((w | (w - ones * ' ') | (q - ones) | (e - ones)) & tops);
}

typedef signed char json_v16 __attribute__((vector_size(16)));
typedef uint64_t json_v2 __attribute__((vector_size(16)));

/* The same of 16; bytes beyond ASCII are negative. */
static inline bool json_plain16(json_v16 v)
{
    json_v2 bad = (json_v2)((v < ' ') | (v == '"') | (v == '\\'));

    return (bad[0] | bad[1]) == 0;
}

/* Copies n bytes as long as they are plain; false when they are not. */
static inline bool json_copy_plain(char *o, const char *s, size_t n)
{
    uint64_t w, last;
    json_v16 v;

    if (n >= 16) {
        for (size_t i = 0; i + 16 <= n; i += 16) {
            memcpy(&v, s + i, 16);
            memcpy(o + i, &v, 16);
            if (!json_plain16(v))
                return false;
        }
        memcpy(&v, s + (n - 16), 16);
        memcpy(o + (n - 16), &v, 16);
        return json_plain16(v);
    }
    if (n >= 8) {
        memcpy(&w, s, 8);
        memcpy(&last, s + (n - 8), 8);
        memcpy(o, &w, 8);
        memcpy(o + (n - 8), &last, 8);
        return json_plain8(w) && json_plain8(last);
    }
    if (n >= 4) {
        uint32_t a, b;

        memcpy(&a, s, 4);
        memcpy(&b, s + (n - 4), 4);
        memcpy(o, &a, 4);
        memcpy(o + (n - 4), &b, 4);
        return json_plain8(a | (uint64_t)b << 32);
    }
    w = 0x2020202020202020u;
    for (size_t i = 0; i < n; i++) {
        o[i] = s[i];
        w = w << 8 | (unsigned char)s[i];
    }
    return json_plain8(w);
}

/* With its quotes. False: it needs escapes, and nothing is written. */
static inline bool json_put_plain(struct fl_buf *b, const char *s, size_t n)
{
    char *o = json_room(b, n + 2);

    o[0] = '"';
    if (!json_copy_plain(o + 1, s, n))
        return false;
    o[n + 1] = '"';
    b->len += n + 2;
    return true;
}

/* With its quotes. */
static inline void json_put_string(struct fl_buf *b, const char *s, size_t n)
{
    if (!json_put_plain(b, s, n))
        json_text_string_slow(b, s, n);
}

/* The same of bytes that C would take for a string: ends where a NUL is, if there is one. */
static inline void json_put_cstring(struct fl_buf *b, const char *s, size_t n)
{
    if (!json_put_plain(b, s, n))
        json_text_string_slow(b, s, strnlen(s, n));
}

static inline void json_put_uint(struct fl_buf *b, uint64_t v)
{
    if (v < 10)
        json_put_char(b, (char)('0' + v));
    else
        json_text_uint(b, v);
}

static inline void json_put_int(struct fl_buf *b, int64_t v)
{
    if (v >= 0 && v < 10)
        json_put_char(b, (char)('0' + v));
    else
        json_text_int(b, v);
}

#endif
