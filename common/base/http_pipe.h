/* POST requests to one path of one server, over one connection, sent without waiting for the answers to those before: the server
 * handles them in their order and answers in it. What they have in common (the head) is written once. One loop's thread.
 *
 * A server may close an idle connection just when it is used: requests on their way that got not one byte of an answer, on a
 * connection that had answered others before and stood idle, are sent once more on a new one. In any other case of a lost connection
 * those under way are told as not answered, and what was queued behind them goes over a new one. */
#ifndef COMMON_BASE_HTTP_PIPE_H
#define COMMON_BASE_HTTP_PIPE_H

#include "common/base/http.h"

struct http_pipe;

/* In the order of the requests. Status 0: it was not answered. `body` is terminated and at most a few KiB of it are kept. The
 * pipe may be freed or cleared from here. */
typedef void http_pipe_answer_f(void *arg, int status, const char *body);

struct http_pipe_config {
    const char *host;
    uint16_t port;
    const char *path;
    const struct http_header *headers; /* without Host and Content-Length */
    size_t n_headers;
    unsigned depth;     /* requests under way at most; 0 = 48 */
    unsigned timeout_s; /* without an answer to the oldest; 0 = 60 */
};

/* The connection is made with the first request. NULL and err: a header or the host has a line break. */
struct http_pipe *http_pipe_new(struct fl_loop *loop, const struct http_pipe_config *c,
                                http_pipe_answer_f *answer, void *arg, struct fl_err *err);
void http_pipe_free(struct http_pipe *p); /* forgets all requests, without callbacks */
void http_pipe_post(struct http_pipe *p, const void *body, size_t n); /* copies */
/* Requests that are not answered yet, queued or under way. */
size_t http_pipe_pending(const struct http_pipe *p);

#endif
