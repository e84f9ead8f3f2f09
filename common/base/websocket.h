/* The server's end of a WebSocket (RFC 6455): the handshake, on the owner loop, and the connection, on the loop it was handed over to.
 * No extensions and no subprotocols. What breaks the protocol, a message that is too long, and a peer that is silent (it is pinged)
 * close the connection with the code for it. */
#ifndef COMMON_BASE_WEBSOCKET_H
#define COMMON_BASE_WEBSOCKET_H

#include "common/base/http.h"

#define WEBSOCKET_KEY 29 /* what answers a key, with its NUL */

/* Of RFC 6455, section 7.4.1. */
enum websocket_code {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_UNSUPPORTED_DATA = 1003,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_INTERNAL_ERROR = 1011,
};

/* Whether the request may become a WebSocket; answers it otherwise: 400 without an Upgrade or with a bad key, 426 for another version,
 * 403 when a page of another host sent it. */
bool websocket_refused(struct http_exchange *ex);
/* After that: the answer 101, see http_upgrade_or(). */
void websocket_accept(struct http_exchange *ex, http_taken_f *taken, void (*never)(void *arg),
                      void *arg);
/* The parts of it, for tests. 0 or -EINVAL: it is no key. */
int websocket_answer_key(const char *key, char ret[WEBSOCKET_KEY]);
/* No Origin (no browser), or that of Host. */
bool websocket_same_origin(const char *origin, const char *host);

struct websocket;
struct websocket_ops {
    void (*message)(struct websocket *w, bool text, const char *p, size_t n, void *arg);
    /* All that was written has left. */
    void (*room)(struct websocket *w, void *arg);
    /* The connection is over; nothing follows. Free it, from here if you like. */
    void (*closed)(struct websocket *w, void *arg);
};
struct websocket_limits {
    size_t max_message;
    uint64_t ping_us;  /* how often the peer is asked whether it is there */
    unsigned silent_s; /* after this time without a byte of it, it is not */
};

/* Takes the stream. */
struct websocket *websocket_new(struct fl_stream *s, const struct websocket_limits *limits,
                                const struct websocket_ops *ops, void *arg);
void websocket_free(struct websocket *w); /* at once; no callback follows */
void websocket_send(struct websocket *w, bool text, const void *p, size_t n);
size_t websocket_unsent(const struct websocket *w);
/* The peer is not read. */
void websocket_pause(struct websocket *w, bool pause);
/* Sends what is written, the close frame, and ends; closed() follows, and no message(). */
void websocket_close(struct websocket *w, enum websocket_code code, const char *reason);

#endif
