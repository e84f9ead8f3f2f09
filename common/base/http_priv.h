/* The HTTP server's parts. Three structs carry it:
 *
 * http_io        one thread (or, with io_threads = 0, the owner loop) with its connections
 * http_conn      one connection; its I/O thread only
 * http_exchange  one request and its answer; handed from the I/O thread to the owner and back by
 * messages. Its fields are grouped by the side that may touch them. Counted: the connection's
 * queue, the owner and each message under way hold a reference, so either side may finish first.
 *
 * Between the sides only struct http_msg travels (http_io.c), in order within a connection; the owner takes those of different
 * connections by turns (http_turns.c). With io_threads = 0 messages to the I/O side and requests to the owner are plain calls.
 */
#ifndef COMMON_BASE_HTTP_PRIV_H
#define COMMON_BASE_HTTP_PRIV_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

/* The parser has an enum of the name of ours. */
#define http_method http_parser_method
#include <http_parser.h>
#undef http_method

#include "common/base/http.h"
#include "common/base/loop_priv.h"
#include "common/base/turns.h"

#define EXCHANGE_MAGIC 0x477ee001
#define CONN_MAGIC     0x477c0001
#define SERVER_MAGIC   0x47750001

#define HTTP_NAME 64 /* "[address]:port" and its end */

/* ---- routes (http_route.c) ---- */
struct router;
struct router *router_new(const struct http_route *routes, size_t n, const char *process_id);
void router_free(struct router *r);
/* The route of a decoded path; *ret_rest points into path (behind the route's part, "" or "/x"). */
const struct http_route *router_find(const struct router *r, const char *path,
                                     const char **ret_rest);

/* ---- text (http_query.c) ---- */
/* Percent-decodes n bytes; `plus` turns '+' to a space. -EINVAL on a bad escape or a NUL. */
int http_percent_decode(const char *s, size_t n, bool plus, struct fl_buf *out);
bool http_query_is_valid(const char *query); /* every percent sign begins an escape */
const char *http_header_find(const struct http_header *h, size_t n, const char *name);
/* By an Accept-Encoding header: what is named decides, then "*"; "gzip;q=0" refuses. */
bool http_accepts_coding(const char *list, const char *coding);

/* ---- messages between the sides ---- */
enum http_msg_kind {
    MSG_ANSWER, /* owner to I/O from here */
    MSG_STREAM_HEAD,
    MSG_STREAM_DATA,
    MSG_STREAM_END,
    MSG_STREAM_END_CLOSE,
    MSG_ABORT,
    MSG_WANT_DRAINED,
    MSG_SIDE, /* http_side_move() */
    MSG_BODY_TAKEN,
    MSG_UPGRADE,
    MSG_CAST, /* http_cast.c; to a side, not to one exchange */
    MSG_CAST_JOIN,
    MSG_ADOPT, /* I/O thread 0 to another: a new connection */
    MSG_DRAIN,
    MSG_CLOSE_ALL,
    MSG_REQUEST, /* I/O to owner from here */
    MSG_BODY,
    MSG_BODY_END,
    MSG_GONE,
    MSG_DRAINED,
    MSG_IDLE,     /* a draining I/O thread has no connection left */
    MSG_LANE_END, /* a connection's last; a part of its lane, which goes with it */
};

struct http_msg {
    struct http_msg *next;
    enum http_msg_kind kind;
    struct http_exchange *ex; /* a reference */
    int status;
    char *content_type;       /* owned */
    struct fl_buf headers;    /* owned; "Name: value\r\n"... */
    struct fl_buf body;       /* owned */
    struct fl_region *region; /* instead of body, a reference; or NULL */
    bool gzipped;
    bool inside; /* a part of its exchange */
    bool framed; /* body is chunks already */
    size_t n;
    int fd; /* MSG_ADOPT; owned */
    struct fl_loop *loop;
    http_taken_f *taken;
    struct http_cast *cast;           /* MSG_CAST*: a reference */
    const struct http_side_ops *side; /* MSG_SIDE */
    void (*never)(void *arg);         /* instead of what it was sent for; NULL: it was done */
    void *arg;
};

struct http_msg_list {
    struct http_msg *head, **tail;
};

/* What the owner has to do for one connection. Made with it, and passed on by messages only: freed by the owner. */
struct http_lane {
    struct fl_lane turn;
    struct http_msg_list waiting;
    struct http_msg end;
};

struct http_stats {
    _Atomic uint64_t connections, requests, responses_5xx, refused_connections, bad_requests,
        too_large, slow_closed, overrun_closed, bytes_in, bytes_out, tables_filled, reads_paused;
    _Atomic uint64_t handled; /* requests; the owner's */
    struct fl_lateness delay; /* of the loop */
};
/* Each counter has one writer, so no locked instruction is needed. */
#define HTTP_COUNT(c, by)                                                                          \
    atomic_store_explicit(&(c), atomic_load_explicit(&(c), memory_order_relaxed) + (by),           \
                          memory_order_relaxed)

struct gzip;
struct http_cast;
struct cast_side;
struct cast_piece;

struct http_side_ops;

struct http_io {
    struct http_server *server; /* borrowed; read-only parts, and the owner's side of the queues */
    struct fl_loop *loop;       /* owned when threaded */
    bool threaded;
    bool running; /* the thread is to be joined */
    pthread_t thread;
    sem_t started; /* how that went is in start_rc and *start_err */
    int start_rc;
    struct fl_err *start_err; /* borrowed, until it started */
    atomic_bool full;         /* the thread's file table, when it has one */
    struct http_conn *conns;  /* doubly linked */
    unsigned n_conns;
    struct fl_timer *sweep;       /* owned; looks for connections past their time */
    struct fl_listener *listener; /* owned; of I/O side 0, or of each that has its own file table */
    unsigned next_io;             /* which thread gets the next connection */
    bool draining, told_idle;
    char date[40]; /* of the second date_s */
    int64_t date_s;
    struct gzip *gzip;            /* owned; made when first needed */
    struct fl_buf head, accepted; /* owned; reused; the bare 202 of the second accepted_s */
    int64_t accepted_s;
    struct http_exchange *spare; /* exchanges that ended on this side, with their memory */
    unsigned n_spare;
    struct http_stats stats;
    /* Messages gathered on each side until its callback has returned. */
    struct http_msg_list to_owner, to_io;
    bool to_owner_due, to_io_due;
    unsigned to_io_turn; /* counts hand-overs of to_io */
    /* Messages handed over; `lock` guards both. */
    pthread_mutex_t lock;
    struct http_msg_list owner_inbox, io_inbox;
    /* The I/O side's: taken out of its box, and not applied in the slice of time it got. */
    struct http_msg_list io_rest;
    bool io_again; /* a job for the rest is posted */
    /* Connections whose large bodies wait to be decoded, one a turn of the loop. */
    struct http_conn *decode_first, **decode_last;
    bool decode_due;
};

struct http_conn {
    unsigned magic;
    struct http_io *io; /* borrowed */
    struct http_conn *prev, *next;
    struct fl_stream *stream; /* owned */
    char peer[HTTP_NAME], local[HTTP_NAME];
    http_parser parser;
    uint64_t now_us;                     /* when what is parsed was read */
    uint64_t deadline_us;                /* of the sweep; 0 = none */
    struct http_exchange *first, **last; /* requests in order, each with one reference */
    unsigned n_pending;
    size_t queued;                  /* bytes in the `out` of requests that are not first */
    size_t ahead;                   /* bytes of bodies that are read and not answered */
    struct http_lane *lane;         /* the owner's, who frees it behind the last message */
    struct http_exchange *decoding; /* its body waits in the io's list; nothing is read meanwhile */
    struct http_conn *next_decoding;
    struct http_exchange *reading; /* the one the parser fills: the queue's last, or none */
    bool in_value;                 /* the parser's last header callback was a value */
    bool blocked;                  /* nothing is read until an answer leaves */
    bool last_request;             /* what follows is thrown away */
    bool eof, closing, dead;
};

struct http_exchange {
    unsigned magic;
    atomic_uint refs;
    struct http_io *io; /* borrowed; valid while the server is */

    /* Filled by the I/O side before the owner sees it, then read-only. */
    struct http_request req;
    struct fl_buf text;          /* owned; target, header names and values, NUL-terminated */
    struct fl_buf path;          /* owned */
    struct http_header *headers; /* owned */
    size_t n_headers, cap_headers;
    size_t target_len;
    struct fl_buf body;     /* owned */
    struct fl_arena *arena; /* owned; of the decode hook */
    char peer[HTTP_NAME], local[HTTP_NAME];
    const struct http_route *route;
    struct http_lane *lane; /* its connection's; not for the owner once that is over */
    uint64_t read_us;       /* when it was complete */
    bool http10, head_only, asks_upgrade;
    struct http_msg request_msg,
        answer_msg; /* these two of each request need no memory of their own */

    /* I/O side. */
    struct http_conn *conn; /* NULL when the connection is gone */
    struct http_exchange *next;
    struct fl_buf out;            /* owned; bytes waiting for the answers before */
    struct fl_region *out_region; /* a reference; behind `out` */
    size_t unsent_more;           /* of the stream's regions: on top of max_unsent */
    bool keep_alive, accepts_gzip, wants_upgrade, continue_due;
    bool headers_done, body_done, dispatched;
    bool chunked_out, raw_out, out_started, out_end;
    bool want_drained;
    struct http_msg *upgrade; /* owned; waits for the answers before */
    size_t body_seen;
    size_t counted;                   /* in the connection's `ahead` */
    const struct http_side_ops *side; /* http_side.c: who answers here, or NULL */
    void *side_arg;
    bool side_holds;
    struct cast_side *cast; /* http_cast.c: of which it is a member, a reference; or NULL */
    struct http_exchange *cast_prev, *cast_next;
    struct cast_piece *cast_at; /* the last of which it has something */
    uint64_t cast_read;         /* bytes of the cast, with those of before it joined */

    /* Both. */
    size_t max_unsent;        /* of this stream; set before anything is sent */
    atomic_size_t posted;     /* stream bytes the I/O side has not yet seen */
    atomic_size_t unsent;     /* as the I/O side saw them last */
    atomic_bool overran;      /* its stream was cut: the client was too slow */
    atomic_size_t body_ahead; /* body bytes the owner has not yet taken */

    /* Owner. */
    struct http_server *server; /* NULL when the server is gone */
    struct http_exchange *owner_prev, *owner_next;
    struct fl_buf add_headers;        /* owned */
    struct http_principal *principal; /* owned */
    bool answered, streaming, finished, gone;
    http_gone_f *on_gone;
    void *stream_arg;
    void (*on_drained)(struct http_stream *st, void *arg);
    http_body_f *on_body;
    void *body_arg;
    struct http_msg *
        gather; /* in io->to_io, or NULL: chunks of this turn; valid while gather_turn is io->to_io_turn */
    unsigned gather_turn;
    struct http_cast *cast_owner;              /* a reference, or NULL */
    uint64_t written;                          /* bytes, to a stream */
    size_t gather_at;                          /* of the chunk being written */
    bool gather_new;                           /* it is not in io->to_io yet */
    struct http_msg *early_body, **early_tail; /* pieces before http_on_body() */
};

struct http_server {
    unsigned magic;
    struct fl_loop *owner; /* borrowed */
    struct http_server_config config;
    char *ip, *process_id; /* owned */
    struct router *router; /* owned */
    struct http_io *io;    /* owned; HTTP_MAX_IO of them when there may be more later */
    atomic_uint n_io;
    bool own_files;
    bool stopped;
    unsigned room; /* connections a file table */
    int listen_fd; /* owned, in the owner's table; handed to the only listener when there is one */
    atomic_bool growing;
    _Atomic uint64_t grow_after_us;
    atomic_uint failed_threads;
    uint16_t port;
    _Atomic unsigned open_connections;
    struct http_exchange *live; /* the owner's exchanges */
    /* Owner: what came from the I/O sides and had no turn yet. */
    struct fl_turns turns;
    struct http_msg_list idle; /* MSG_IDLE, which come behind all else */
    bool again;                /* a job for the rest is posted */
    struct fl_peak wait;       /* of requests, from read to handler */
    /* draining */
    unsigned io_left;
    struct fl_timer *drain_timer; /* owned */
    fl_callback_f *drain_done;
    void *drain_arg;
    bool draining;
};

/* http_exchange.c */
struct http_exchange *exchange_new(struct http_conn *c);
void exchange_ref(struct http_exchange *ex);
void exchange_unref(struct http_exchange *ex);
void exchange_free_spares(struct http_io *io);
/* The thread's own I/O side; NULL on the owner's thread. */
extern _Thread_local struct http_io *io_here;
/* Owner side: what came from the I/O side. */
void exchange_take(struct http_msg *m);
void exchange_orphan_all(struct http_server *s);

/* http_cast.c: on the I/O side */
void cast_apply(struct http_msg *m);        /* takes it */
void cast_feed(struct http_exchange *ex);   /* a member's socket may have room */
void cast_settle(struct http_exchange *ex); /* puts all that waits for a member into its stream */
void cast_leave(struct http_exchange *ex);  /* also of who is none */
/* On the owner's. */
void cast_owner_left(struct http_exchange *ex); /* also of who is none */
void http_cast_flush(struct http_cast *c);      /* hands over what was gathered */
/* Either; takes NULL. */
void cast_unref(struct http_cast *c);

/* http_stream.c: a chunk that is written into a buffer; begin() gives its place */
size_t http_frame_begin(struct fl_buf *b);
void http_frame_end(struct fl_buf *b, size_t from, bool record, bool chunked);

/* http_io.c */
struct http_msg *msg_new(enum http_msg_kind kind, struct http_exchange *ex);
struct http_msg *msg_inside(struct http_msg *m, enum http_msg_kind kind, struct http_exchange *ex);
void msg_free(struct http_msg *m);
FL_DEFINE_CLEANUP(struct http_msg *, msg_free, msg_freep)
void list_init(struct http_msg_list *l);
void list_add(struct http_msg_list *l, struct http_msg *m);
void list_append(struct http_msg_list *to, struct http_msg_list *from); /* empties `from` */
struct http_msg *list_take(struct http_msg_list *l); /* the first; there is one */
void list_free(struct http_msg_list *l);
void io_send(struct http_io *io, struct http_msg *m);    /* owner to I/O; takes m */
void owner_send(struct http_io *io, struct http_msg *m); /* I/O to owner; takes m */
void io_stop(struct http_io *io);          /* after io_join() of all: drops what is left */
void io_done(struct http_io *io);          /* after io_stop(), when no job names it any more */
void io_adopt(struct http_io *io, int fd); /* from I/O side 0: a connection for another */
void io_check_idle(struct http_io *io);
const char *io_date(struct http_io *io);

/* Makes and starts one; it is to be counted in n_io, or io_done() and forgotten when that failed. */
int io_add(struct http_server *s, struct http_io *io, struct fl_err *err);
void io_join(struct http_io *io);

/* http_turns.c: on the owner's thread, but lane_new() and lane_end() */
struct http_lane *lane_new(void);
/* Its connection is over: the owner frees it when it has taken what is before. */
void lane_end(struct http_io *io, struct http_lane *l);
void lane_free(struct http_lane *l);
/* Takes over what came, and handles some of all that waits. */
void turns_receive(struct http_server *s, struct http_msg_list *got);
bool turns_direct(const struct http_msg *m); /* nothing of its connection waits before it */
void turns_handled(struct http_server *s, const struct http_msg *m, uint64_t now_us);
void turns_done(struct http_server *s);

/* http_table.c */
#define HTTP_MAX_IO 64
unsigned table_room(void);
int table_split(struct http_io *io,
                struct fl_err *err); /* on its thread, before its loop is bound */
void table_block_signals(sigset_t *ret_old);
uint64_t table_gate(void *arg);
unsigned table_full(const struct http_server *s);

/* http_conn.c */
void conn_accept(struct http_io *io, int fd);
void conn_close(struct http_conn *c);
/* Nothing more is read; what is queued leaves, then the connection ends. */
void conn_finish(struct http_conn *c);
void conn_overrun(struct http_exchange *ex); /* its client is too slow: closes, and counts it */
void conn_sweep(struct http_io *io);
void conn_drain(struct http_io *io);
void conn_dispatch(struct http_conn *c, struct http_exchange *ex);
void conn_refuse(struct http_conn *c, int status, const char *text);

/* http_answer.c */
struct http_head;
void conn_apply(struct http_msg *m);    /* what the owner sent for an exchange; takes m */
void conn_advance(struct http_conn *c); /* sends what has its turn now */
void conn_sent(struct http_conn *c);    /* the kernel took bytes */
/* Reads no more when too much of it waits already; conn_unblock() looks again. */
void conn_block_if_full(struct http_conn *c);
void conn_unblock(struct http_conn *c);

void conn_head(struct http_exchange *ex, struct http_head *h);
void conn_put(struct http_exchange *ex, const void *p, size_t n); /* when it has its turn */

/* http_side.c */
void side_begin(struct http_exchange *ex, struct http_msg *m);
void side_body(struct http_exchange *ex, const char *p, size_t n); /* (NULL, 0): its end */
void side_sent(struct http_exchange *ex);
void side_gone(struct http_exchange *ex);

/* http_parse.c */
void conn_parser_init(struct http_conn *c);
/* Takes what the stream has; false when the connection was closed. */
void conn_pump(struct http_conn *c);

/* http_decode.c: a whole request goes to the owner, at once or, when its body takes time, in its turn */
void conn_decode(struct http_conn *c, struct http_exchange *ex);
void conn_forget_decode(struct http_conn *c);

/* http_response.c */
struct http_head {
    int status;
    const char *content_type; /* NULL = none */
    const struct fl_buf *headers;
    bool chunked, raw; /* neither: content_length */
    size_t content_length;
    bool gzip;
};
/* Valid until the next one on this side. */
const struct fl_buf *response_head(struct http_io *io, const struct http_exchange *ex,
                                   const struct http_head *h);
bool response_gzip(struct http_io *io, const struct fl_buf *body, struct fl_buf *out);
void gzip_free(struct gzip *z);
size_t chunk_line(char out[20], size_t n); /* "1f\r\n" */

#endif
