/* What the three files of accepted channels share, and nobody else includes: wire_port.c (what crosses, and its memory), wire_port_io.c
 * (the I/O thread's side), wire_port_owner.c (the owner's). */
#ifndef COMMON_WIRE_WIRE_PORT_PRIV_H
#define COMMON_WIRE_WIRE_PORT_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/turns.h"
#include "common/wire/wire_port.h"

/* How long either side takes what the other gave it before its timers, other sockets and other queues have their turn. */
#define SLICE_US 2000
/* The part of max_inbox that one link's messages may have. */
#define LINK_PART 16
#define NO_PIECE  UINT32_MAX

struct wire_port;

struct wire_link {
    struct wire_port *port; /* one reference */
    atomic_uint refs;
    const struct wire_accepting *how;
    /* I/O thread */
    struct fl_stream *stream; /* owned; NULL when it is over */
    struct wire_link *prev, *next;
    struct wire_link *next_waiting;
    uint64_t given; /* bytes, to the stream */
    uint64_t read;  /* bytes of messages, to the owner */
    bool waiting;   /* is in the port's list of those that do not read */
    /* both */
    _Atomic uint64_t written; /* bytes the kernel has */
    _Atomic uint64_t taken;   /* of those read; the owner's */
    /* owner */
    struct wire_channel *channel; /* NULL: not made yet, or let go */
    uint64_t sent;
    uint32_t slot; /* in what is being gathered; NO_PIECE: nothing there */
    struct fl_lane turn;
    struct item *first, **last; /* that wait for it */
};

enum item_kind { ITEM_MESSAGE, ITEM_OPENED, ITEM_CLOSED, ITEM_GONE };

struct item {
    struct wire_link *link;
    void *
        what; /* the message in the arena, the peer's name, or a struct fl_err; the latter two owned */
    size_t size;
    uint16_t kind, type;
    struct item *next;      /* of the same link, once they wait for their turn */
    struct batch_in *batch; /* then */
};

/* To the owner. */
/* What crosses in one piece, in either direction; first in it. */
struct batch {
    struct batch *next;
};

/* To the owner. */
struct batch_in {
    struct batch link;
    struct fl_arena *arena; /* owned */
    struct item *items;     /* owned */
    size_t n, cap;
    size_t messages;
    size_t bytes;   /* encoded */
    size_t cost;    /* in the port's `inbox_bytes` */
    size_t left;    /* items that wait for their turn */
    uint64_t at_us; /* when it was handed over */
};

struct piece {
    size_t at, len;
    uint32_t next; /* of the same link */
};
struct pieces {
    struct wire_link *link;
    uint32_t first, last;
};
enum order_kind { ORDER_CLOSE, ORDER_FREE };
struct order {
    struct wire_link *link;
    enum order_kind kind;
};

/* To the I/O thread: first the pieces, then the orders. */
struct batch_out {
    struct batch link;
    struct fl_buf bytes;
    struct piece *pieces; /* owned */
    size_t n_pieces, cap_pieces;
    struct pieces *links; /* owned */
    size_t n_links, cap_links;
    struct order *orders; /* owned */
    size_t n_orders, cap_orders;
};

/* One direction. The first two are the giver's, the rest is under the port's lock. */
struct crossing {
    struct batch *gathered; /* owned; NULL: nothing yet */
    bool due;               /* the giver's turn ends with handing over */
    struct batch *head, **tail;
    bool posted;        /* the taker is called, and will see what comes */
    struct batch *pool; /* owned */
    unsigned n_pool;
};

struct wire_port {
    atomic_uint refs;
    struct fl_loop *io, *owner; /* borrowed */
    atomic_bool ended;
    struct crossing in, out;
    pthread_mutex_t lock; /* of both */
    /* I/O thread */
    struct wire_port *next;
    struct wire_link *links; /* the owner's when it has ended */
    struct wire_link *waiting;
    /* owner */
    bool owner_hooked;     /* it is told when its loop ends */
    struct fl_turns turns; /* of links with items that wait */
    struct pb_back back;
    /* both */
    atomic_size_t inbox_bytes;  /* decoded and not yet taken */
    atomic_size_t resume_below; /* of them */
    atomic_bool starved;        /* links wait for that */
};

struct port_counters {
    _Atomic uint64_t batches_in, messages_in, batches_out, pauses;
    struct fl_peak wait;
};
extern struct port_counters port_counters;
#define COUNT(what, by) atomic_fetch_add_explicit(&port_counters.what, by, memory_order_relaxed)

/* ---- wire_port.c ---- */
struct wire_port *port_new(struct fl_loop *io, struct fl_loop *owner);
struct wire_port *port_ref(struct wire_port *p);
void port_unref(struct wire_port *p);
void link_unref(struct wire_link *l);
/* What is being gathered; at the end of the turn of `loop` a call of `hand_over` is due, with a reference of the port. */
struct batch_in *port_gather_in(struct wire_port *p, fl_callback_f *hand_over);
struct batch_out *port_gather_out(struct wire_port *p, fl_callback_f *hand_over);
void port_recycle_in(struct wire_port *p, struct batch_in *b);
void port_recycle_out(struct wire_port *p, struct batch_out *b);
/* True: the taker is to be called. */
bool port_put(struct wire_port *p, struct crossing *c, struct batch *b);
struct batch *port_next(struct wire_port *p, struct crossing *c);
/* The taker has seen all and has `more` to do, or not. Whether it is to come again. */
bool port_comes_again(struct wire_port *p, struct crossing *c, bool more);

/* ---- run by the other side's order; arg is the port, with a reference ---- */
fl_callback_f port_take;   /* owner */
fl_callback_f port_apply;  /* I/O thread; the owner when it has ended */
fl_callback_f port_resume; /* I/O thread: the owner has taken what links waited for */

#endif
