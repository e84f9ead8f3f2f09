/* Values of resources: a scalar in thousandths, sorted coalesced ranges, or a sorted set. Internal
 * to common/model; pure.
 *
 * Ranges never touch or overlap and sets hold no text twice, so two equal values have equal arrays.
 */
#ifndef COMMON_MODEL_RESOURCE_VALUE_H
#define COMMON_MODEL_RESOURCE_VALUE_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "proto/mesos.pb-c.h"

struct range {
    uint64_t begin, end; /* both inclusive */
};

struct value {
    union {
        int64_t scalar;       /* thousandths */
        struct range *ranges; /* n of them, owned */
        char **items;         /* n of them, each owned */
    };
    uint32_t n;
} __attribute__((packed,
                 aligned(4))); /* 12 bytes: an item of resources is 24, and there are millions */

/* The largest scalar taken from a peer: beyond it a double no longer holds thousandths. */
#define VALUE_SCALAR_MAX 9000000000000.0

/* Sorts and joins in place; returns how many are left. */
size_t ranges_normalise(struct range *v, size_t n);

/* The type of a value is the caller's to remember: V1__VALUE__TYPE__SCALAR, RANGES or SET. */
void value_done(struct value *v, V1__Value__Type type);
void value_copy(struct value *dst, const struct value *src,
                V1__Value__Type type); /* dst is raw memory */
bool value_empty(const struct value *v, V1__Value__Type type);
bool value_equal(const struct value *a, const struct value *b, V1__Value__Type type);
bool value_contains(const struct value *a, const struct value *b, V1__Value__Type type);
void value_add(struct value *a, const struct value *b, V1__Value__Type type);
void value_subtract(struct value *a, const struct value *b,
                    V1__Value__Type type); /* scalars stop at zero */

/* Checked conversions; *ret is raw memory, filled on success only. */
int value_from_scalar(double d, struct value *ret, struct fl_err *err);
int value_from_ranges(const V1__Value__Ranges *pb, struct value *ret, struct fl_err *err);
int value_from_set(const V1__Value__Set *pb, struct value *ret, struct fl_err *err);

/* Into the arena. */
V1__Value__Scalar *value_to_scalar(const struct value *v, struct fl_arena *arena);
V1__Value__Ranges *value_to_ranges(const struct value *v, struct fl_arena *arena);
V1__Value__Set *value_to_set(const struct value *v, struct fl_arena *arena);

/* "4", "0.5", "[1-2, 5-6]", "{a, b}". */
void value_format(const struct value *v, V1__Value__Type type, struct fl_buf *out);

/* The text of a value: a number, "[1-2,5-6]", "{a,b}" or, for attributes, anything else
 * (V1__VALUE__TYPE__TEXT, the words without blanks in *ret_text, owned by the caller). */
int value_parse(const char *text, size_t n, V1__Value__Type *ret_type, struct value *ret,
                char **ret_text, struct fl_err *err);

#endif
