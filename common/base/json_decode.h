/* What the two halves of reading JSON into messages share. Private to common/base/json_*.c. */
#ifndef COMMON_BASE_JSON_DECODE_H
#define COMMON_BASE_JSON_DECODE_H

#include "common/base/json_lex.h"

#define NAME_SIZE 128 /* of a field, an enum value, a number in quotes */

/* Where in the document: a chain of frames on the stack, which becomes text only for an error. */
struct json_path {
    const struct json_path *up; /* NULL: the document itself */
    const char *name;           /* NULL: an element, `index` tells which */
    size_t index;
};

struct json_dec {
    struct json_in in;
    ProtobufCAllocator *alloc; /* NULL: the heap */
    unsigned flags;
};

/* Sets the error "path: what". A path that is too long loses its beginning. */
int json_dec_fail(struct json_dec *d, const struct json_path *path, const char *what);

void *json_dec_alloc(struct json_dec *d, size_t n);
void json_dec_free(struct json_dec *d, void *p); /* takes NULL */

/* The value at hand, of which json_in_peek() gave `kind`: 1 when it was stored, 0 when it counts as absent (an enum
 * value that nobody knows), or an error. Strings and bytes are in memory of the decoder's allocator. */
int json_dec_int(struct json_dec *d, const struct json_path *path, int kind, int64_t min,
                 int64_t max, int64_t *ret);
int json_dec_u64(struct json_dec *d, const struct json_path *path, int kind, uint64_t *ret);
int json_dec_double(struct json_dec *d, const struct json_path *path, int kind, double *ret);
int json_dec_bool(struct json_dec *d, const struct json_path *path, int kind,
                  protobuf_c_boolean *ret);
int json_dec_enum(struct json_dec *d, const struct json_path *path, int kind,
                  const ProtobufCFieldDescriptor *f, int *ret);
int json_dec_string(struct json_dec *d, const struct json_path *path, int kind, char **ret);
int json_dec_bytes(struct json_dec *d, const struct json_path *path, int kind,
                   ProtobufCBinaryData *ret);

#endif
