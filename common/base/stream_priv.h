/* The stream's parts, for stream.c, stream_io.c and stream_connect.c. */
#ifndef COMMON_BASE_STREAM_PRIV_H
#define COMMON_BASE_STREAM_PRIV_H

#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/stream.h"
#include "common/base/tls_priv.h"

#define STREAM_MAGIC 0x57e4a301

struct resolve;

/* OPEN -> (CLOSING -> LINGER) -> OVER; CONNECTING and HANDSHAKE come before OPEN. */
enum stream_state {
    STREAM_CONNECTING,
    STREAM_HANDSHAKE,
    STREAM_OPEN,
    STREAM_OVER, /* on_closed was called */
};

/* What only a stream that connects needs, until it is established. */
struct stream_dial {
    struct resolve *resolve;        /* under way; cancelled when freed */
    struct sockaddr_storage *addrs; /* owned */
    size_t n_addrs, next_addr;
    struct sockaddr_storage bind_addr;
    socklen_t bind_len;
    int first_fd; /* for the first address, made in the network namespace of the caller; or -EBADF */
};

/* Connections are many and mostly silent: what an idle one does not need is made when it is needed. */
struct fl_stream {
    unsigned magic;
    struct fl_loop *loop; /* borrowed */
    int fd;               /* owned; -EBADF before connecting and after freeing */
    enum stream_state state;
    const struct fl_stream_ops *ops;
    void *arg;
    struct event rd;
    struct event *wr; /* owned; made when something first waits to be written */
    bool have_events;
    bool paused;
    bool eof;           /* the peer sends no more */
    bool closing;       /* close when all is sent */
    bool lingering;     /* all is sent and shut down; waits for the peer to read it */
    bool broken;        /* no more can be written */
    bool outgoing;      /* we connected */
    bool dead;          /* freed; the memory goes with the deferred jobs */
    bool flush_pending; /* a deferred flush will run */
    bool moving;        /* on its way to another loop */
    bool offered;       /* fl_stream_offer() waits for room */

    struct evbuffer *out; /* owned; NULL until something must wait. See stream_unsent(). */
    /* What was read and not consumed: `view` into the loop's scratch while on_read runs, else `in`.
     */
    struct fl_buf in;
    size_t in_off;
    const char *view;
    size_t view_len;

    struct fl_tls *tls;           /* borrowed */
    struct fl_tls_conn *tls_conn; /* owned */
    bool tls_write_wants_read;

    struct fl_timer *timer; /* owned; idle time, or the end of closing */
    unsigned idle_s;
    uint64_t last_read_us;
    uint64_t close_by_us;
    char *peer, *local; /* owned; made when asked for */

    struct stream_dial *dial; /* owned; outgoing, while connecting */
    char *host;               /* owned; outgoing */

    struct fl_loop *move_to; /* borrowed */
    void (*move_taken)(struct fl_stream *s, void *arg);
    void *move_arg;
};

static inline size_t stream_unsent(const struct fl_stream *s)
{
    return s->out ? evbuffer_get_length(s->out) : 0;
}
/* Waiting until the socket takes bytes; have_events. */
void stream_await_write(struct fl_stream *s);
static inline bool stream_awaits_write(const struct fl_stream *s)
{
    return s->wr && event_pending(s->wr, EV_WRITE, NULL);
}
struct evbuffer *stream_out(struct fl_stream *s); /* made when it is not there */
struct fl_stream *stream_new(struct fl_loop *loop, const struct fl_stream_ops *ops, void *arg);
/* Gives the stream its socket and events; for outgoing ones the connect is under way. */
void stream_set_fd(struct fl_stream *s, int fd);
void stream_drop_fd(struct fl_stream *s);
/* Connected: TLS handshake or open. */
void stream_established(struct fl_stream *s);
/* Ends the stream with on_closed. */
void stream_fail(struct fl_stream *s, const struct fl_err *why);
void stream_read_ready(struct fl_stream *s, bool kicked);
void stream_flush(struct fl_stream *s);
void stream_flushed(struct fl_stream *s); /* all is handed over */
void stream_connect_ready(struct fl_stream *s);
void stream_connect_done(struct fl_stream *s); /* drops what connecting needed */
void stream_arm_timer(struct fl_stream *s);
void stream_nodelay(int fd);

#endif
