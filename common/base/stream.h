/* A connected byte stream, TCP or TLS, on one loop: the base of the HTTP server, the HTTP client and the wire
 * channels. Over libevent's events and buffers. All calls on the stream's loop. What is written leaves when the
 * current callback has returned, so many small writes make one system call. */
#ifndef COMMON_BASE_STREAM_H
#define COMMON_BASE_STREAM_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/loop.h"
#include "common/base/region.h"

struct fl_stream;
struct iovec;
struct fl_tls; /* common/base/tls.h: a TLS context, client or server */

struct fl_stream_ops {
    /* Bytes came: look with fl_stream_peek(), take with fl_stream_consume(). */
    void (*on_read)(struct fl_stream *s, void *arg);
    /* Everything written has been handed to the kernel (optional). */
    void (*on_drained)(struct fl_stream *s, void *arg);
    /* A part of what was written has been handed to the kernel, some is left (optional). */
    void (*on_progress)(struct fl_stream *s, void *arg);
    void (*on_connected)(struct fl_stream *s, void *arg); /* outgoing only; TLS handshake done */
    /* The stream is over: end of file (why->reason FL_CLOSED), error, or idle timeout. Called once; the
     * owner frees the stream, from here if it likes. After an end of file (a peer that only shut down its
     * sending half) it may still be written to first. */
    void (*on_closed)(struct fl_stream *s, const struct fl_err *why, void *arg);
};

/* Adopts an accepted, non-blocking socket. */
int fl_stream_adopt(struct fl_loop *loop, int fd, struct fl_tls *tls_or_null,
                    const struct fl_stream_ops *ops, void *arg, struct fl_stream **ret_stream,
                    struct fl_err *err);
/* Starts connecting to a host (numeric addresses at once; names are resolved without blocking the loop). `bind_ip`
 * may be NULL; it is the source address (emulator). */
int fl_stream_connect(struct fl_loop *loop, const char *host, uint16_t port, const char *bind_ip,
                      struct fl_tls *tls_or_null, const struct fl_stream_ops *ops, void *arg,
                      struct fl_stream **ret_stream, struct fl_err *err);
int fl_stream_connect_unix(struct fl_loop *loop, const char *path, const struct fl_stream_ops *ops,
                           void *arg, struct fl_stream **ret_stream, struct fl_err *err);
/* Closes at once, dropping what is unsent. Safe inside the stream's own callbacks; none follows. */
void fl_stream_free(struct fl_stream *s);
/* No callback after this but on_closed (or none if freed): closes when all is sent. on_closed comes once more if the
 * end of file was told before. */
void fl_stream_close_after_write(struct fl_stream *s);

/* Hands the stream, with what it has read and not yet sent, to another loop (or the same): `taken` runs there and
 * sets new ops. The caller must not touch it afterwards. TLS moves along. */
void fl_stream_move(struct fl_stream *s, struct fl_loop *to,
                    void (*taken)(struct fl_stream *s, void *arg), void *arg);

struct fl_loop *fl_stream_loop(const struct fl_stream *s);
void fl_stream_set_ops(struct fl_stream *s, const struct fl_stream_ops *ops, void *arg);
void fl_stream_write(struct fl_stream *s, const void *p, size_t n); /* copies */
void fl_stream_write_buf(struct fl_stream *s,
                         struct fl_buf *b); /* takes the memory; b is empty afterwards */
void fl_stream_write_region(struct fl_stream *s,
                            struct fl_region *r); /* takes a reference of its own */
/* Several pieces in order. They leave before this returns as far as the kernel takes them; the rest is copied. */
void fl_stream_writev(struct fl_stream *s, const struct iovec *v, int n);
/* The same, but what the kernel does not take at once stays the caller's: on_drained comes when there is room again. Nothing may be unsent.
 * Returns what was taken. */
size_t fl_stream_offer(struct fl_stream *s, const struct iovec *v, int n);
size_t fl_stream_unsent(const struct fl_stream *s);
/* All received bytes in one piece; valid until the next call on the stream. */
const char *fl_stream_peek(struct fl_stream *s, size_t *ret_len);
void fl_stream_consume(struct fl_stream *s, size_t n);
void fl_stream_pause_read(struct fl_stream *s, bool pause);
/* Seconds without a byte read before on_closed(FL_TIMEOUT); 0 = never. */
void fl_stream_set_idle_timeout(struct fl_stream *s, unsigned seconds);
/* "127.0.0.1:5051" of either end; borrowed from the stream. */
const char *fl_stream_peer(const struct fl_stream *s);
const char *fl_stream_local(const struct fl_stream *s);

/* Listening socket; on_accept gets a non-blocking CLOEXEC descriptor it owns. Port 0 picks one.
 * In two steps: the socket, and its listener, which takes it; several threads with file tables of their own may each have one. The
 * gate is asked before each connection is taken: 0, or microseconds to leave it to others. */
struct fl_listener;
typedef void fl_accept_f(int fd, void *arg);
typedef uint64_t fl_accept_gate_f(void *arg);
int fl_listen(const char *ip, uint16_t port, int *ret_fd, uint16_t *ret_port, struct fl_err *err);
int fl_listener_on(struct fl_loop *loop, int fd, fl_accept_f *fn, fl_accept_gate_f *gate, void *arg,
                   struct fl_listener **ret_listener, struct fl_err *err);
void fl_listener_free(struct fl_listener *l);

#endif
