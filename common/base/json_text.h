/* JSON's texts of single values, shared by the writer and the codec. Private to
 * common/base/json_*.c. */
#ifndef COMMON_BASE_JSON_TEXT_H
#define COMMON_BASE_JSON_TEXT_H

#include "common/base/base64.h"
#include "common/base/json.h"

/* With its quotes; for what is known to need escapes. json_put.h has the quick way for the others. */
void json_text_string_slow(struct fl_buf *b, const char *s, size_t n);
void json_text_int(struct fl_buf *b, int64_t v);
void json_text_uint(struct fl_buf *b, uint64_t v);
void json_text_double(struct fl_buf *b, double v);

/* A value of an enum field: its name, or the number. */
void json_text_enum(struct fl_buf *b, const ProtobufCFieldDescriptor *f, int value, unsigned flags);
/* Whether the field of that message is shown when it is absent, and as what. */
bool json_shows_default(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f);
void json_text_default(struct fl_buf *b, const ProtobufCFieldDescriptor *f, unsigned flags);

/* How many bytes from `p` on need no escape: printable ASCII but '"' and '\\'. */
size_t json_plain_run(const char *p, const char *end);
/* The UTF-8 character at `p`: its length. What is none has length 1 and counts as U+FFFD; so it is less than 2
 * for ASCII and for what is wrong. */
size_t json_utf8_next(const char *p, size_t left, unsigned *ret_char);

/* What the older spelling calls a field or an enum value, or NULL when both spell it alike. `text`
 * is the newer name; the result is static. */
const char *json_v0_field(const ProtobufCMessageDescriptor *d, const char *text);
const char *json_v0_enum(const char *text);
/* The other way round, for reading: the newer name of an older field, or NULL. */
const char *json_v1_field(const ProtobufCMessageDescriptor *d, const char *text);
const char *json_v1_enum(const char *text);

/* A map of the protocol is a repeated message of this shape (see proto/mesos.proto). */
bool json_is_map_entry(const ProtobufCMessageDescriptor *d);

#endif
