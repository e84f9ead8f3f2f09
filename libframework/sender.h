/* Sends requests so that they arrive in the order they were made, without waiting for the answer to each. Loop thread. */
#ifndef LIBFRAMEWORK_SENDER_H
#define LIBFRAMEWORK_SENDER_H

#include "common/base/http.h"

/* status 0: it could not be sent or answered. */
typedef void fw_answered_f(void *arg, int status, const char *body);

struct http_pipe;
struct fw_sender {
    struct fl_loop *loop; /* borrowed */
    const char *path;
    const char *authorization; /* borrowed, or NULL */
    fw_answered_f *answered;
    void *arg;
    struct http_pipe *pipe; /* owned; to the address of the latest request, with its stream id */
    char *host, *stream_id; /* owned; what the pipe was made for */
    uint16_t port;
};
/* Another address or stream id than the request before: what is under way is forgotten, as by fw_sender_clear(). */
void fw_sender_push(struct fw_sender *s, const char *host, uint16_t port,
                    const char *stream_id_or_null, const void *body, size_t n);
void fw_sender_clear(struct fw_sender *s); /* forgets all, those in flight too */
bool fw_sender_idle(const struct fw_sender *s);

/* SUBSCRIBE: the answer is a stream of events on a connection of its own. On failure *ret_call is NULL. */
int fw_open_stream(struct http_client *http, const char *host, uint16_t port, const char *path,
                   const char *authorization, const void *body, size_t n,
                   const struct http_call_ops *ops, void *arg, struct http_call **ret_call,
                   struct fl_err *err);

/* The protobuf headers of the protocol; at most 4. */
size_t fw_headers(const char *stream_id, const char *authorization, struct http_header h[4]);

#endif
