/* Sends requests one after another, so that they arrive in the order they were made: each waits for the answer to the one before.
 * Loop thread. */
#ifndef LIBFRAMEWORK_SENDER_H
#define LIBFRAMEWORK_SENDER_H

#include "common/base/http.h"

/* status 0: it could not be sent or answered. */
typedef void fw_answered_f(void *arg, int status, const char *body);

struct fw_request;
struct fw_sender {
    struct http_client *http; /* borrowed */
    const char *path;
    const char *authorization; /* borrowed, or NULL */
    fw_answered_f *answered;
    void *arg;
    struct http_call *in_flight;
    struct fw_request *queue; /* the first one is in flight */
};
void fw_sender_push(struct fw_sender *s, const char *host, uint16_t port,
                    const char *stream_id_or_null, const void *body, size_t n);
void fw_sender_clear(struct fw_sender *s); /* forgets all, the one in flight too */
static inline bool fw_sender_idle(const struct fw_sender *s)
{
    return !s->queue;
}

/* SUBSCRIBE: the answer is a stream of events on a connection of its own. On failure *ret_call is NULL. */
int fw_open_stream(struct http_client *http, const char *host, uint16_t port, const char *path,
                   const char *authorization, const void *body, size_t n,
                   const struct http_call_ops *ops, void *arg, struct http_call **ret_call,
                   struct fl_err *err);

/* The protobuf headers of the protocol; at most 4. */
size_t fw_headers(const char *stream_id, const char *authorization, struct http_header h[4]);

#endif
