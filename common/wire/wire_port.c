/* Accepted channels on the I/O thread that accepted them.
 *
 *     I/O thread                                   owner's loop
 *     reads, cuts and decodes into a batch  ---->  on_message of each, in order; the batch goes back to the pool
 *     one writev a channel                  <----  frames of all channels, encoded into one buffer
 *
 * The owner takes batches as they come; when a slice of time is over what is left is spread over the links, which then have
 * their turns (turns.h), until nothing waits.
 *
 * Each side gathers while its turn lasts and hands over at the turn's end, with one lock and at most one wake. A link has two references:
 * the I/O thread's goes to the owner with the item that says that the socket is gone, behind all messages, and the
 * owner's comes with the order to free it, behind all bytes; so nothing under way names a link that is no more. When the I/O thread
 * ends (http_server_free()) its port is `ended`: what is under way then is dropped, and no callback follows; the links it had are let
 * go when the owner's loop ends. */
#include "common/wire/wire_port.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "common/base/turns.h"

#define ARENA_FIRST ((size_t)32 << 10)
/* A batch is handed over before its turn's end when it has this many encoded bytes or items. */
#define BATCH_BYTES ((size_t)64 << 10)
#define BATCH_ITEMS 256
/* How long the owner takes messages before its timers, other sockets and other queues have their turn. It looks at the clock after so
 * many, where long ones count more. */
#define SLICE_US   2000
#define LOOK       16
#define LOOK_BYTES 1024
/* The part of max_inbox that one link's messages may have. */
#define LINK_PART 16
/* So is what is sent. */
#define FLUSH_NOW  ((size_t)128 << 10)
#define KEEP_BYTES ((size_t)256 << 10)
#define KEEP_ITEMS 4096
#define POOL_MAX   8
#define BACK_KEEP  ((size_t)64 << 10)
#define NO_PIECE   UINT32_MAX
#define VECTORS    32

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
struct batch_in {
    struct batch_in *next;
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
    struct batch_out *next;
    struct fl_buf bytes;
    struct piece *pieces; /* owned */
    size_t n_pieces, cap_pieces;
    struct pieces *links; /* owned */
    size_t n_links, cap_links;
    struct order *orders; /* owned */
    size_t n_orders, cap_orders;
};

struct wire_port {
    atomic_uint refs;
    struct fl_loop *io, *owner; /* borrowed */
    atomic_bool ended;
    /* I/O thread */
    struct wire_port *next;
    struct wire_link *links;
    struct batch_in *gathered; /* owned; NULL: nothing yet */
    bool hand_over_due;
    struct wire_link *waiting;
    /* owner */
    struct batch_out *out; /* owned; NULL: nothing yet */
    bool flush_due;
    bool owner_hooked;     /* end_owner() will run */
    struct fl_turns turns; /* of links with items that wait */
    struct pb_back back;
    /* both */
    atomic_size_t inbox_bytes;  /* decoded and not yet taken */
    atomic_size_t resume_below; /* of them */
    atomic_bool starved;        /* links wait for that */
    pthread_mutex_t lock;       /* of the rest */
    struct batch_in *inbox, **inbox_tail;
    bool take_posted;
    struct batch_out *outbox, **outbox_tail;
    bool apply_posted;
    struct batch_in *pool_in; /* owned */
    struct batch_out *pool_out;
    unsigned n_pool_in, n_pool_out;
};

static _Thread_local struct wire_port *ports; /* of this I/O thread */

static struct {
    _Atomic uint64_t batches_in, messages_in, batches_out, pauses;
    struct fl_peak wait;
} counters;
#define COUNT(what, by) atomic_fetch_add_explicit(&counters.what, by, memory_order_relaxed)

void wire_counters(struct wire_counters *ret)
{
    *ret = (struct wire_counters){
        .batches_in = atomic_load(&counters.batches_in),
        .messages_in = atomic_load(&counters.messages_in),
        .batches_out = atomic_load(&counters.batches_out),
        .pauses = atomic_load(&counters.pauses),
        .wait_max_us = fl_peak_us(&counters.wait),
    };
}

/* ---- memory ---- */

static void batch_in_free(struct batch_in *b)
{
    fl_arena_free(b->arena);
    free(b->items);
    free(b);
}

static void batch_out_free(struct batch_out *b)
{
    fl_buf_done(&b->bytes);
    free(b->pieces);
    free(b->links);
    free(b->orders);
    free(b);
}

static struct wire_port *port_ref(struct wire_port *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

static void port_unref(struct wire_port *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    for (struct batch_in *b = p->pool_in, *next; b; b = next) {
        next = b->next;
        batch_in_free(b);
    }
    for (struct batch_out *b = p->pool_out, *next; b; b = next) {
        next = b->next;
        batch_out_free(b);
    }
    pb_back_done(&p->back);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void link_unref(struct wire_link *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    port_unref(l->port);
    free(l);
}

/* ---- to the owner: its side ---- */

static void open_link(const struct item *it)
{
    struct wire_link *l = it->link;

    l->channel = wire_channel_of_link(l, l->how, it->what);
    l->how->accepted(l->channel, l->how->arg);
}

static void take_item(const struct item *it)
{
    struct wire_link *l = it->link;

    switch ((enum item_kind)it->kind) {
    case ITEM_OPENED:
        open_link(it);
        break;
    case ITEM_MESSAGE:
        atomic_store_explicit(&l->taken,
                              atomic_load_explicit(&l->taken, memory_order_relaxed) + it->size,
                              memory_order_relaxed);
        if (l->channel)
            wire_channel_deliver(
                l->channel,
                &(struct wire_message){.type = it->type, .msg = it->what, .size = it->size});
        break;
    case ITEM_CLOSED:
        if (l->channel)
            wire_channel_over(l->channel, it->what);
        free(it->what);
        break;
    case ITEM_GONE:
        link_unref(l);
        break;
    }
}

static void end_owner(void *arg);

static void hook_owner(struct wire_port *p)
{
    if (!p->owner_hooked)
        fl_loop_at_end(p->owner, end_owner, port_ref(p));
    p->owner_hooked = true;
}

/* Its owner was not told, and will not be: end_owner() frees the channel, unless somebody does before. */
static void drop_gone(struct wire_link *l)
{
    struct wire_port *p = l->port;

    if (!l->channel) {
        link_unref(l);
        return;
    }
    l->next = p->links;
    p->links = l;
    hook_owner(p);
}

/* What the end of the I/O thread overtook. */
static void drop_item(const struct item *it)
{
    if (it->kind == ITEM_OPENED)
        link_unref(it->link); /* no channel will let go of it */
    else if (it->kind == ITEM_GONE)
        drop_gone(it->link);
    if (it->kind == ITEM_OPENED || it->kind == ITEM_CLOSED)
        free(it->what);
}

static void recycle_in(struct wire_port *p, struct batch_in *b)
{
    bool keep = b->cap <= KEEP_ITEMS;

    fl_arena_reset(b->arena);
    b->n = b->messages = b->bytes = b->cost = b->left = 0;
    pthread_mutex_lock(&p->lock);
    keep = keep && p->n_pool_in < POOL_MAX;
    if (keep) {
        b->next = p->pool_in;
        p->pool_in = b;
        p->n_pool_in++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!keep)
        batch_in_free(b);
}

static void resume(void *arg);

static void batch_done(struct wire_port *p, struct batch_in *b, uint64_t now)
{
    size_t cost = b->cost;

    fl_peak_note(&counters.wait, now > b->at_us ? now - b->at_us : 0, now);
    recycle_in(p, b);
    size_t left = atomic_fetch_sub(&p->inbox_bytes, cost) - cost;
    if (left < atomic_load(&p->resume_below) && !atomic_load(&p->ended) &&
        atomic_exchange(&p->starved, false))
        fl_loop_post(p->io, resume, port_ref(p));
}

static struct batch_in *next_batch(struct wire_port *p)
{
    struct batch_in *b;

    pthread_mutex_lock(&p->lock);
    b = p->inbox;
    if (b && !(p->inbox = b->next))
        p->inbox_tail = &p->inbox;
    pthread_mutex_unlock(&p->lock);
    return b;
}

/* Whether the caller is to come again. */
static bool more_waits(struct wire_port *p)
{
    bool more;

    pthread_mutex_lock(&p->lock);
    p->take_posted = more = p->inbox || !fl_turns_empty(&p->turns);
    pthread_mutex_unlock(&p->lock);
    return more;
}

/* Items from the i-th on wait for the turns of their links. */
static void spread(struct wire_port *p, struct batch_in *b, size_t i)
{
    b->left = b->n - i;
    for (; i < b->n; i++) {
        struct item *it = &b->items[i];
        struct wire_link *l = it->link;

        it->batch = b;
        it->next = NULL;
        *l->last = it;
        l->last = &it->next;
        fl_turns_add(&p->turns, &l->turn);
    }
}

static struct item *take_first(struct wire_link *l)
{
    struct item *it = l->first;

    l->first = it->next;
    if (!l->first)
        l->last = &l->first;
    return it;
}

static void take_or_drop(struct wire_port *p, const struct item *it)
{
    if (atomic_load_explicit(&p->ended, memory_order_relaxed))
        drop_item(it);
    else
        take_item(it);
}

/* In order, until the time is over. Returns the time. */
static uint64_t take_batch(struct wire_port *p, struct batch_in *b, uint64_t now, uint64_t end)
{
    size_t i = 0, look = 0;

    while (i < b->n && now < end) {
        look += 1 + b->items[i].size / LOOK_BYTES;
        take_or_drop(p, &b->items[i++]);
        if (look >= LOOK || i == b->n) {
            look = 0;
            now = fl_loop_now_us(p->owner);
        }
    }
    if (i < b->n)
        spread(p, b, i);
    else
        batch_done(p, b, now);
    return now;
}

/* What the link has used of its turn is only known when it has ended or the clock was looked at. Returns the time. */
static uint64_t take_turn(struct wire_port *p, struct wire_link *l, uint64_t start, uint64_t end)
{
    uint64_t now = start, until = FL_MIN(end, start + (uint64_t)l->turn.credit_us);
    size_t look = 0;

    while (l->first && now < until) {
        struct item *it = take_first(l);
        struct batch_in *b = it->batch;
        bool gone = it->kind == ITEM_GONE;

        look += 1 + it->size / LOOK_BYTES;
        take_or_drop(p, it);
        if (--b->left == 0)
            batch_done(p, b, now);
        if (gone)
            return now; /* it was the last, and the link with it */
        if (look >= LOOK || !l->first) {
            look = 0;
            now = fl_loop_now_us(p->owner);
        }
    }
    fl_turns_end(&p->turns, &l->turn, now - start, l->first);
    return now;
}

/* The port has ended: no callback follows. Before links are let go of. */
static void drop_waiting(struct wire_port *p)
{
    struct batch_in *b;
    struct fl_lane *turn;

    while ((b = next_batch(p)))
        spread(p, b, 0);
    while ((turn = fl_turns_next(&p->turns)))
        take_turn(p, container_of(turn, struct wire_link, turn), 0, UINT64_MAX);
}

/* The owner's loop ends, after the HTTP server: channels that nobody freed go, as they would with a stream of the loop's own. */
static void end_owner(void *arg)
{
    struct wire_port *p = arg;
    struct wire_link *l = NULL;

    if (atomic_load(&p->ended)) {
        drop_waiting(p);
        l = TAKE_PTR(p->links);
    }
    p->owner_hooked = false; /* what was under way may still bring links */
    for (struct wire_link *next; l; l = next) {
        next = l->next;
        if (l->channel)
            wire_channel_free(l->channel);
        link_unref(l);
    }
    port_unref(p);
}

/* For a slice of time; then others have theirs. */
static void take_slice(struct wire_port *p)
{
    uint64_t now = fl_loop_now_us(p->owner), end = now + SLICE_US;
    struct batch_in *b;
    struct fl_lane *turn;

    while (fl_turns_empty(&p->turns) && now < end && (b = next_batch(p)))
        now = take_batch(p, b, now, end);
    if (fl_turns_empty(&p->turns))
        return;
    while ((b = next_batch(p)))
        spread(p, b, 0);
    while (now < end && (turn = fl_turns_next(&p->turns)))
        now = take_turn(p, container_of(turn, struct wire_link, turn), now, end);
}

static void take(void *arg)
{
    struct wire_port *p = arg;

    hook_owner(p);
    if (atomic_load(&p->ended))
        drop_waiting(p);
    else
        take_slice(p);
    if (more_waits(p))
        fl_loop_post(p->owner, take, p);
    else
        port_unref(p);
}

/* ---- to the owner: the I/O thread's side ---- */

static void hand_over(struct wire_port *p)
{
    struct batch_in *b = TAKE_PTR(p->gathered);
    bool post;

    if (!b)
        return;
    COUNT(batches_in, 1);
    COUNT(messages_in, b->messages);
    b->cost = fl_arena_used(b->arena) + b->n * sizeof(*b->items);
    b->next = NULL;
    b->at_us = fl_loop_now_us(p->io);
    atomic_fetch_add(&p->inbox_bytes, b->cost);
    pthread_mutex_lock(&p->lock);
    *p->inbox_tail = b;
    p->inbox_tail = &b->next;
    post = !p->take_posted;
    p->take_posted = true;
    pthread_mutex_unlock(&p->lock);
    if (post)
        fl_loop_post(p->owner, take, port_ref(p));
}

static void hand_over_if_full(struct wire_port *p)
{
    const struct batch_in *b = p->gathered;

    if (b && (b->bytes >= BATCH_BYTES || b->n >= BATCH_ITEMS))
        hand_over(p);
}

static void hand_over_later(void *arg)
{
    struct wire_port *p = arg;

    p->hand_over_due = false;
    hand_over(p);
    port_unref(p);
}

static struct batch_in *gathering(struct wire_port *p)
{
    struct batch_in *b = p->gathered;

    if (b)
        return b;
    pthread_mutex_lock(&p->lock);
    b = p->pool_in;
    if (b) {
        p->pool_in = b->next;
        p->n_pool_in--;
    }
    pthread_mutex_unlock(&p->lock);
    if (!b) {
        b = xnew0(struct batch_in);
        b->arena = fl_arena_new(ARENA_FIRST);
    }
    p->gathered = b;
    if (!p->hand_over_due) {
        p->hand_over_due = true;
        fl_loop_defer(p->io, hand_over_later, port_ref(p));
    }
    return b;
}

static struct item *add_item(struct wire_link *l, enum item_kind kind, void *what)
{
    struct batch_in *b = gathering(l->port);

    b->items = xgrow(b->items, &b->cap, b->n + 1, sizeof(*b->items));
    b->items[b->n] = (struct item){.link = l, .kind = (uint16_t)kind, .what = what};
    return &b->items[b->n++];
}

static void stop_waiting(struct wire_link *l)
{
    struct wire_link **at = &l->port->waiting;

    if (!l->waiting)
        return;
    l->waiting = false;
    while (*at != l)
        at = &(*at)->next_waiting;
    *at = l->next_waiting;
}

static void unlink_link(struct wire_link *l)
{
    stop_waiting(l);
    if (l->prev)
        l->prev->next = l->next;
    else
        l->port->links = l->next;
    if (l->next)
        l->next->prev = l->prev;
}

/* The socket is over, by itself (why) or because the owner wants it so (NULL). */
static void end_link(struct wire_link *l, const struct fl_err *why)
{
    struct wire_port *p = l->port;

    if (!l->stream)
        return;
    unlink_link(l);
    fl_stream_free(TAKE_PTR(l->stream));
    if (why)
        add_item(l, ITEM_CLOSED, xmemdup(why, sizeof(*why)));
    add_item(l, ITEM_GONE, NULL); /* with which the owner may let go of it */
    hand_over_if_full(p);
}

static void fail_link(struct wire_link *l, struct fl_err *err)
{
    fl_err_wrap(err, "from %s", fl_stream_peer(l->stream));
    end_link(l, err);
}

static bool link_full(struct wire_link *l)
{
    return l->read - atomic_load(&l->taken) > l->how->limits.max_inbox / LINK_PART;
}

/* The owner has not taken what is there: nothing more is read for it. */
static bool must_wait(struct wire_link *l)
{
    struct wire_port *p = l->port;
    size_t max = l->how->limits.max_inbox;
    bool port_full = atomic_load(&p->inbox_bytes) > max;

    if (!port_full && !link_full(l))
        return false;
    COUNT(pauses, 1);
    l->waiting = true;
    l->next_waiting = p->waiting;
    p->waiting = l;
    fl_stream_pause_read(l->stream, true);
    /* A link that has too much itself looks again with each batch that was taken. */
    atomic_store(&p->resume_below, port_full ? max / 2 + 1 : SIZE_MAX);
    atomic_store(&p->starved, true);
    /* The owner may have taken all before it could see that. */
    if (atomic_load(&p->inbox_bytes) <= max / 2 && !link_full(l) &&
        atomic_exchange(&p->starved, false))
        fl_loop_defer(p->io, resume, port_ref(p));
    return true;
}

static void resume(void *arg)
{
    struct wire_port *p = arg;
    struct wire_link *l = TAKE_PTR(p->waiting);

    if (!atomic_load(&p->ended))
        for (struct wire_link *next; l; l = next) {
            next = l->next_waiting;
            l->waiting = false;
            fl_stream_pause_read(l->stream, false); /* reads by an event of its own */
        }
    port_unref(p);
}

/* One frame at s. 1: go on behind it; 0: more must come; negative: the link is over. */
static int take_frame(struct wire_link *l, const char *s, size_t n, size_t *ret_size)
{
    struct batch_in *b;
    struct wire_frame f;
    struct wire_message m;
    struct fl_err err;
    int r = wire_frame_next(s, n, l->how->limits.max_frame, &f, &err);

    if (r == 0)
        return 0;
    b = gathering(l->port);
    if (r > 0)
        r = wire_frame_decode(&f, b->arena, &m, &err);
    if (r < 0) {
        fail_link(l, &err);
        return r;
    }
    struct item *it = add_item(l, ITEM_MESSAGE, m.msg);
    it->type = (uint16_t)m.type;
    it->size = m.size;
    l->read += m.size;
    b->messages++;
    b->bytes += f.size;
    *ret_size = f.size;
    hand_over_if_full(l->port);
    return 1;
}

static void on_read(struct fl_stream *s, void *arg)
{
    struct wire_link *l = arg;
    size_t n, size = 0, taken = 0;
    const char *p = fl_stream_peek(s, &n);
    int r = 1;

    while (n > taken && !must_wait(l)) {
        r = take_frame(l, p + taken, n - taken, &size);
        if (r < 0)
            return;
        if (r == 0)
            break;
        taken += size;
    }
    fl_stream_consume(s, taken);
}

static void on_written(struct fl_stream *s, void *arg)
{
    struct wire_link *l = arg;

    atomic_store_explicit(&l->written, l->given - fl_stream_unsent(s), memory_order_relaxed);
}

static void on_stream_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    end_link(arg, why);
}

static const struct fl_stream_ops stream_ops = {
    .on_read = on_read,
    .on_drained = on_written,
    .on_progress = on_written,
    .on_closed = on_stream_closed,
};

/* ---- beginning and end, on the I/O thread ---- */

static void end_port(void *arg)
{
    struct wire_port *p = arg;
    struct wire_port **at = &ports;

    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    p->waiting = NULL;
    /* The links stay, for end_owner(). */
    for (struct wire_link *l = p->links; l; l = l->next)
        fl_stream_free(TAKE_PTR(l->stream));
    atomic_store(&p->ended, true); /* from here on they are the owner's */
    port_unref(p);
}

static struct wire_port *find_port(struct fl_loop *io, struct fl_loop *owner)
{
    struct wire_port *p;

    for (p = ports; p; p = p->next)
        if (p->io == io && p->owner == owner)
            return p;
    p = xnew0(struct wire_port);
    atomic_init(&p->refs, 1); /* the I/O thread's */
    p->io = io;
    p->owner = owner;
    p->inbox_tail = &p->inbox;
    p->outbox_tail = &p->outbox;
    fl_turns_init(&p->turns);
    pthread_mutex_init(&p->lock, NULL);
    p->next = ports;
    ports = p;
    fl_loop_at_end(io, end_port, p);
    return p;
}

void wire_port_taken(struct fl_stream *s, void *arg)
{
    const struct wire_accepting *how = arg;
    struct wire_port *p = find_port(fl_stream_loop(s), how->loop);
    struct wire_link *l = xnew0(struct wire_link);

    atomic_init(&l->refs, 2);
    l->port = port_ref(p);
    l->how = how;
    l->stream = s;
    l->slot = NO_PIECE;
    fl_lane_init(&l->turn);
    l->last = &l->first;
    l->next = p->links;
    if (l->next)
        l->next->prev = l;
    p->links = l;
    /* The answer to the upgrade may still be under way. */
    l->given = fl_stream_unsent(s);
    fl_stream_set_ops(s, &stream_ops, l);
    fl_stream_set_idle_timeout(s, how->limits.idle_timeout_s);
    add_item(l, ITEM_OPENED, xstrdup(fl_stream_peer(s)));
    hand_over_if_full(p);
}

/* ---- to the I/O thread: its side ---- */

static void write_pieces(const struct batch_out *b, const struct pieces *of)
{
    struct wire_link *l = of->link;
    struct iovec v[VECTORS];
    uint32_t i = of->first;

    while (i != NO_PIECE && l->stream) {
        int n = 0;
        for (; i != NO_PIECE && n < VECTORS; i = b->pieces[i].next, n++) {
            v[n] = (struct iovec){b->bytes.data + b->pieces[i].at, b->pieces[i].len};
            l->given += b->pieces[i].len;
        }
        fl_stream_writev(l->stream, v, n);
    }
    if (l->stream)
        on_written(l->stream, l);
}

static void recycle_out(struct wire_port *p, struct batch_out *b)
{
    bool keep = b->bytes.cap <= KEEP_BYTES && b->cap_pieces <= KEEP_ITEMS;

    fl_buf_clear(&b->bytes);
    b->n_pieces = b->n_links = b->n_orders = 0;
    pthread_mutex_lock(&p->lock);
    keep = keep && p->n_pool_out < POOL_MAX;
    if (keep) {
        b->next = p->pool_out;
        p->pool_out = b;
        p->n_pool_out++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!keep)
        batch_out_free(b);
}

static void apply(struct wire_port *p, struct batch_out *b)
{
    for (size_t i = 0; i < b->n_links; i++)
        write_pieces(b, &b->links[i]);
    for (size_t i = 0; i < b->n_orders; i++) {
        struct wire_link *l = b->orders[i].link;

        if (b->orders[i].kind == ORDER_CLOSE) {
            if (l->stream)
                fl_stream_close_after_write(l->stream);
        } else {
            end_link(l, NULL);
            link_unref(l);
        }
    }
    recycle_out(p, b);
}

static struct batch_out *next_out(struct wire_port *p)
{
    struct batch_out *b;

    pthread_mutex_lock(&p->lock);
    b = p->outbox;
    if (b && !(p->outbox = b->next))
        p->outbox_tail = &p->outbox;
    p->apply_posted = b;
    pthread_mutex_unlock(&p->lock);
    return b;
}

/* For a slice of time, that what others send is read meanwhile; all when no stream is left. */
static void apply_some(void *arg)
{
    struct wire_port *p = arg;
    uint64_t end = fl_loop_now_us(p->io) + SLICE_US;
    struct batch_out *b;

    while ((b = next_out(p))) {
        apply(p, b);
        if (!atomic_load(&p->ended) && fl_loop_now_us(p->io) >= end) {
            fl_loop_post(p->io, apply_some, p);
            return;
        }
    }
    port_unref(p);
}

/* ---- to the I/O thread: the owner's side ---- */

static void flush(struct wire_port *p)
{
    struct batch_out *b = TAKE_PTR(p->out);

    if (!b)
        return;
    for (size_t i = 0; i < b->n_links; i++)
        b->links[i].link->slot = NO_PIECE;
    COUNT(batches_out, 1);
    b->next = NULL;
    pthread_mutex_lock(&p->lock);
    *p->outbox_tail = b;
    p->outbox_tail = &b->next;
    bool post = !p->apply_posted;
    p->apply_posted = true;
    pthread_mutex_unlock(&p->lock);
    if (post && atomic_load(&p->ended))
        apply_some(port_ref(p)); /* nobody else runs it, and no stream is left */
    else if (post)
        fl_loop_post(p->io, apply_some, port_ref(p));
    if (p->back.cap > BACK_KEEP)
        pb_back_done(&p->back);
}

static void flush_later(void *arg)
{
    struct wire_port *p = arg;

    p->flush_due = false;
    flush(p);
    port_unref(p);
}

static struct batch_out *outgoing(struct wire_port *p)
{
    struct batch_out *b = p->out;

    if (b)
        return b;
    pthread_mutex_lock(&p->lock);
    b = p->pool_out;
    if (b) {
        p->pool_out = b->next;
        p->n_pool_out--;
    }
    pthread_mutex_unlock(&p->lock);
    p->out = b ? b : xnew0(struct batch_out);
    if (!p->flush_due) {
        p->flush_due = true;
        fl_loop_defer(p->owner, flush_later, port_ref(p));
    }
    return p->out;
}

static void add_piece(struct batch_out *b, struct wire_link *l, size_t at, size_t len)
{
    uint32_t i = (uint32_t)b->n_pieces;
    struct pieces *of;

    if (l->slot == NO_PIECE) {
        l->slot = (uint32_t)b->n_links;
        b->links = xgrow(b->links, &b->cap_links, b->n_links + 1, sizeof(*b->links));
        b->links[b->n_links++] = (struct pieces){l, i, i};
    } else {
        of = &b->links[l->slot];
        if (b->pieces[of->last].at + b->pieces[of->last].len == at) {
            b->pieces[of->last].len += len;
            return;
        }
        b->pieces[of->last].next = i;
        of->last = i;
    }
    b->pieces = xgrow(b->pieces, &b->cap_pieces, b->n_pieces + 1, sizeof(*b->pieces));
    b->pieces[b->n_pieces++] = (struct piece){at, len, NO_PIECE};
}

int wire_link_send(struct wire_link *l, const ProtobufCMessage *m, size_t max_frame,
                   struct fl_err *err)
{
    struct wire_port *p = l->port;
    struct batch_out *b = outgoing(p);
    size_t before = b->bytes.len;
    int r = wire_frame_encode(&b->bytes, &p->back, m, max_frame, err);

    if (r < 0)
        return r;
    add_piece(b, l, before, b->bytes.len - before);
    l->sent += b->bytes.len - before;
    if (b->bytes.len >= FLUSH_NOW)
        flush(p);
    return 0;
}

size_t wire_link_unsent(const struct wire_link *l)
{
    uint64_t written = atomic_load_explicit((_Atomic uint64_t *)&l->written, memory_order_relaxed);

    return l->sent > written ? (size_t)(l->sent - written) : 0;
}

bool wire_link_ended(const struct wire_link *l)
{
    return atomic_load(&l->port->ended);
}

static void add_order(struct wire_link *l, enum order_kind kind)
{
    struct batch_out *b = outgoing(l->port);

    b->orders = xgrow(b->orders, &b->cap_orders, b->n_orders + 1, sizeof(*b->orders));
    b->orders[b->n_orders++] = (struct order){l, kind};
}

void wire_link_close(struct wire_link *l)
{
    add_order(l, ORDER_CLOSE);
}

void wire_link_free(struct wire_link *l)
{
    l->channel = NULL;
    add_order(l, ORDER_FREE);
}
