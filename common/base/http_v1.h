/* What every v1 endpoint shares, of the master and of the agent: content types, bodies, the order of refusals
 * (features.md 1.0). */
#ifndef COMMON_BASE_HTTP_V1_H
#define COMMON_BASE_HTTP_V1_H

#include "common/base/http.h"
#include "common/base/json.h"

enum api_encoding { API_JSON, API_PROTOBUF };

/* The Content-Type and body of a POST endpoint, checked and decoded on an I/O thread as the order
 * of features.md 1.0 wants it. */
struct api_call {
    struct fl_arena *arena; /* this and the message are in it */
    bool owns_arena;        /* else it is the request's */
    ProtobufCMessage *msg;
    enum api_encoding encoding;
};
void *api_decode(const struct http_request *r, const ProtobufCMessageDescriptor *desc,
                 struct fl_err *err);
void api_call_free(void *call);
/* A call's part bears its type's name in small letters: FL_INVALID when the message has such a field and it is not there. */
int api_check_part(const ProtobufCMessage *call, const char *type, struct fl_err *err);
/* What the client accepts: missing or any = JSON, both = JSON; negative when it accepts neither
 * (406). */
int api_accept(const struct http_request *r, enum api_encoding *ret_encoding);
const char *
api_content_type(enum api_encoding e); /* "application/json", "application/x-protobuf" */
/* Answers 405. `allowed` as the header has it: "GET, POST". */
void api_refuse_method(struct http_exchange *ex, const char *allowed);
/* 405 with `Allow: POST`, 400 and 415 as far as they come before the call's own validation; true
 * when it answered. */
bool api_refuse_early(struct http_exchange *ex);
void api_encode(struct fl_buf *out, const ProtobufCMessage *m, enum api_encoding e);

#endif
