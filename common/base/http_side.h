/* Requests that are answered on the thread of their connection. The handler looks at the request on the owner loop as always, and then
 * gives the exchange away: what follows (bodies, the answer) never comes to the owner again. For what moves bytes from one connection
 * to another, in any amount.
 *
 * Everything but http_side_move() is for the I/O thread. When the server has its own file tables, descriptors of the owner are not
 * there, and no loop is woken from there but the owner's. `x` is good until its answer is ended, or gone() was called.
 */
#ifndef COMMON_BASE_HTTP_SIDE_H
#define COMMON_BASE_HTTP_SIDE_H

#include "common/base/http.h"

struct http_side;

struct http_side_ops {
    /* First, on the I/O thread, with its loop. http_side_request() is the request. */
    void (*begin)(struct http_side *x, struct fl_loop *loop, void *arg);
    /* A piece of the request's body; (NULL, 0) is its end, and comes for a request without one, too. */
    void (*body)(struct http_side *x, const char *p, size_t n, void *arg);
    /* All that was written has left. */
    void (*room)(struct http_side *x, void *arg);
    /* The client went away, or the server is closed: nothing may be done with `x` any more. */
    void (*gone)(struct http_side *x, void *arg);
    /* Instead of all these, on either thread: the client went away before begin(). */
    void (*never)(void *arg);
};

/* Owner loop, instead of an answer: the exchange is gone. `ops` is static. The bodies of routes with side_body are not read before
 * this; those of others are whole. */
void http_side_move(struct http_exchange *ex, const struct http_side_ops *ops, void *arg);

const struct http_request *http_side_request(const struct http_side *x);
/* No more pieces of the body (but for a few that are read already) until it is called with false. */
void http_side_hold(struct http_side *x, bool hold);

/* The answer: a head ("Name: value\r\n" lines without those about length and connection), pieces, the end. length: of the body, or -1
 * when it is not known. */
void http_side_head(struct http_side *x, int status, const struct fl_buf *headers, int64_t length);
void http_side_write(struct http_side *x, const void *p, size_t n);
size_t http_side_unsent(const struct http_side *x);
/* The following end it: `x` is gone, and no callback comes. */
void http_side_end(struct http_side *x);
/* A whole plain answer, before http_side_head(). */
void http_side_answer(struct http_side *x, int status, const char *text);
void http_side_abort(struct http_side *x); /* closes the connection */

#endif
