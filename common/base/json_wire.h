/* Encoded messages straight to JSON: what fl_json_from_pb() writes of the decoded message, byte for byte, without decoding it. For the
 * answers that hold hundreds of thousands of messages which are kept encoded.
 *
 * What protobuf-c has packed is written field by field by tables made once of the descriptors. What is out of order, repeated where it
 * should not be, or has a oneof in it, is decoded and written by fl_json_from_pb(), so the result does not depend on who encoded it.
 */
#ifndef COMMON_BASE_JSON_WIRE_H
#define COMMON_BASE_JSON_WIRE_H

#include "common/base/json.h"

/* The tables of one spelling (fl_json_flags). Not shared between threads. */
struct json_wire;
struct json_wire_type;
struct json_wire *json_wire_new(unsigned flags);
void json_wire_free(struct json_wire *w);
FL_DEFINE_CLEANUP(struct json_wire *, json_wire_free, json_wire_freep)
/* The table of a message, made when first asked for; lives as long as `w`. */
const struct json_wire_type *json_wire_type(struct json_wire *w,
                                            const ProtobufCMessageDescriptor *d);
/* The message as one value, appended without a comma. What does not decode at all is our own bug: bytes of peers are decoded before they are kept. */
void json_wire_put(struct fl_buf *b, const struct json_wire_type *t, const void *data, size_t n);

/* Of the message at `p`, whose type shows nothing that is absent: its fields with numbers below `before`, each as `,"key":value`. Where the
 * first of the others is, or NULL when it takes the slow way (what was appended is to be thrown away then). */
const void *json_wire_put_fields(struct fl_buf *b, const struct json_wire_type *t, const void *p,
                                 const void *end, uint32_t before);

#endif
