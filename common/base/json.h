/* JSON: a streaming writer, and one codec between JSON and protobuf-c messages driven by their descriptors.
 *
 * The codec's rules are the protocol's (features.md 1.0): field names as in the .proto (snake_case), enums as
 * names, bytes as base64, 64-bit integers as numbers, map fields as objects, `google.protobuf.Duration`-like
 * messages field by field. Reading: null means unset, unknown keys are ignored, an unknown enum name in an
 * optional field is dropped and in a required one an error, a wrong type is an error that names the field's path,
 * a missing required field is an error. Reading is limited in depth (100) and size by the caller.
 *
 * JSON written is compact and has no raw newline; characters beyond ASCII are written as \uXXXX, because there
 * are stream clients that count characters as bytes. NaN and infinities are written as strings ("Infinity"), and read.
 *
 * Any thread; no shared state.
 */
#ifndef COMMON_BASE_JSON_H
#define COMMON_BASE_JSON_H

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"

/* jansson, which some files read JSON with, has functions of these names that make values. Files that include this header get
 * the writer's under them, whichever was included first; the symbols are apart. */
#define json_object  fl_jsonw_object
#define json_array   fl_jsonw_array
#define json_string  fl_jsonw_string
#define json_stringn fl_jsonw_stringn
#define json_null    fl_jsonw_null

enum fl_json_flags {
    /* v0 spelling of the names v1 changed: agent_id -> slave_id, ... (for the older endpoints). */
    FL_JSON_V0 = 1 << 0,
    /* Writing: also unset optional fields that have a default of their own in the .proto ("shell":true), as the
     * reference does. Off: what is unset is not written. */
    FL_JSON_DEFAULTS = 1 << 1,
    /* What the older endpoints use. */
    FL_JSON_LEGACY = FL_JSON_V0 | FL_JSON_DEFAULTS,
};

/* ---- writer: into a buffer, commas by itself ---- */
struct json_out {
    struct fl_buf *buf; /* borrowed */
    bool need_comma;
};
static inline struct json_out json_out_on(struct fl_buf *buf)
{
    return (struct json_out){.buf = buf};
}
void json_object(struct json_out *j); /* { */
void json_end_object(struct json_out *j);
void json_array(struct json_out *j); /* [ */
void json_end_array(struct json_out *j);
void json_key(struct json_out *j, const char *key);
void json_string(struct json_out *j, const char *s); /* invalid UTF-8 becomes U+FFFD; NULL -> "" */
void json_stringn(struct json_out *j, const char *s, size_t n);
void json_int(struct json_out *j, int64_t v);
void json_uint(struct json_out *j, uint64_t v);
void json_double(struct json_out *j,
                 double v); /* shortest text that reads back the same; 1.0 -> 1.0 */
void json_bool(struct json_out *j, bool v);
void json_null(struct json_out *j);
void json_base64(struct json_out *j, const void *p, size_t n);
void json_raw(struct json_out *j, const char *json, size_t n); /* one finished value */
/* A message as a value; flags of fl_json_flags. */
void json_pb(struct json_out *j, const ProtobufCMessage *m, unsigned flags);

/* Key and value in one. */
static inline void json_kstr(struct json_out *j, const char *k, const char *v)
{
    json_key(j, k);
    json_string(j, v);
}
static inline void json_kint(struct json_out *j, const char *k, int64_t v)
{
    json_key(j, k);
    json_int(j, v);
}
static inline void json_kuint(struct json_out *j, const char *k, uint64_t v)
{
    json_key(j, k);
    json_uint(j, v);
}
static inline void json_kdouble(struct json_out *j, const char *k, double v)
{
    json_key(j, k);
    json_double(j, v);
}
static inline void json_kbool(struct json_out *j, const char *k, bool v)
{
    json_key(j, k);
    json_bool(j, v);
}
static inline void json_kobject(struct json_out *j, const char *k)
{
    json_key(j, k);
    json_object(j);
}
static inline void json_karray(struct json_out *j, const char *k)
{
    json_key(j, k);
    json_array(j);
}
static inline void json_kpb(struct json_out *j, const char *k, const ProtobufCMessage *m,
                            unsigned flags)
{
    json_key(j, k);
    json_pb(j, m, flags);
}

/* ---- codec ---- */
void fl_json_from_pb(struct fl_buf *out, const ProtobufCMessage *m, unsigned flags);
/* Decodes into memory of `alloc` (NULL: heap; free with fl_pb_free). FL_INVALID with the path of the culprit. */
int fl_json_to_pb(const char *json, size_t n, const ProtobufCMessageDescriptor *desc,
                  unsigned flags, ProtobufCAllocator *alloc, ProtobufCMessage **ret_m,
                  struct fl_err *err);
/* The same for a value that is already parsed (a jansson json_t, passed as void to keep the header lean). */
int fl_json_value_to_pb(const void *json_t_value, const ProtobufCMessageDescriptor *desc,
                        unsigned flags, ProtobufCAllocator *alloc, ProtobufCMessage **ret_m,
                        struct fl_err *err);

/* Whole-message protobuf decode with our errors: unparsable, trailing rubbish, or a required field missing
 * is FL_INVALID. */
int fl_pb_decode(const void *p, size_t n, const ProtobufCMessageDescriptor *desc,
                 ProtobufCAllocator *alloc, ProtobufCMessage **ret_m, struct fl_err *err);

/* Enum value <-> name through descriptors: NULL / negative when unknown. */
const char *fl_enum_name(const ProtobufCEnumDescriptor *d, int value);
int fl_enum_value(const ProtobufCEnumDescriptor *d, const char *name, int *ret_value);

#endif
