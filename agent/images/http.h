/* One GET of a puller: redirections are followed by hand, so that what says who we are goes to the registry alone. Any thread; blocks. */
#ifndef AGENT_IMAGES_HTTP_H
#define AGENT_IMAGES_HTTP_H

#include "common/base/buf.h"
#include "common/base/err.h"

struct http_get {
    const char *url;
    const char *accept;        /* or NULL */
    const char *authorization; /* the header's value, or NULL; not sent to other hosts */
    uint64_t from;             /* > 0: Range: bytes=from- */
    uint64_t stall_us;
    /* The body of a 200 or 206 answer: begin() once before it (partial: it continues at `from`), then body(). Negative: stops. */
    int (*begin)(void *arg, bool partial);
    int (*body)(void *arg, const void *data, size_t n);
    void *arg;
};
struct http_got {
    long status;
    char *challenge;      /* WWW-Authenticate, all of them, or NULL; owned */
    struct fl_buf errors; /* the beginning of another answer's body */
    bool again;           /* failed in a way that may pass */
};
void http_got_done(struct http_got *g);
#define _cleanup_http_got_ _cleanup_(http_got_done)

/* 0 when there is an answer of any status. */
int http_get(const struct http_get *rq, struct http_got *ret, struct fl_err *err);
/* Scheme, host and port are the same. */
bool http_same_place(const char *a, const char *b);

#endif
