/* Reading JSON's text token by token, without a tree. Private to common/base/json_*.c.
 *
 * The functions return 0 or a positive answer, or -EINVAL with the error set to where the text is wrong. What
 * they accept is RFC 8259 and UTF-8, less one thing: a NUL character in a string, which no C string can hold. */
#ifndef COMMON_BASE_JSON_LEX_H
#define COMMON_BASE_JSON_LEX_H

#include "common/base/json_text.h"

struct json_in {
    const char *begin, *p, *end; /* borrowed */
    struct fl_err *err;
};

/* A string where it stands in the text, without its quotes; valid. */
struct json_slice {
    const char *raw;
    size_t len;
    bool plain; /* no escapes: `raw` is the string itself */
};

struct json_number {
    bool integer;       /* it had no fraction and no exponent, and ... */
    bool negative;      /* */
    uint64_t magnitude; /* ... this is all of it */
    double real;        /* always; infinite when too large */
};

int json_in_fail(struct json_in *in, const char *what);

/* Skips blanks. The next value's first character: { [ " t f n, or 0 for a number; -EINVAL for anything else. */
int json_in_peek(struct json_in *in);
/* true, false, null: their first character. */
int json_in_literal(struct json_in *in);
int json_in_string(struct json_in *in, struct json_slice *ret);
int json_in_number(struct json_in *in, struct json_number *ret);
/* Past a whole value. */
int json_in_skip(struct json_in *in);

/* Past the bracket that peek has seen. */
void json_in_open(struct json_in *in);
/* 1: another element or member follows; 0: that was `close`, which has been read. `*first` begins as true. */
int json_in_more(struct json_in *in, char close, bool *first);
/* A member's key and its colon. */
int json_in_key(struct json_in *in, struct json_slice *ret);
/* Nothing but blanks is left. */
int json_in_end(struct json_in *in);

/* Writes the string and a NUL to `out`, which has room for slice->len + 1 bytes. */
size_t json_slice_copy(const struct json_slice *slice, char *out);
/* The string in `buf` when it fits in there with its NUL, else NULL. */
const char *json_slice_small(const struct json_slice *slice, char *buf, size_t size);

#endif
