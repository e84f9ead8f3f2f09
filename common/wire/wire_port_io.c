/* Accepted channels, on the I/O thread that accepted them: reads, cuts and decodes, and writes what the owner sends. See wire_port.c. */
#include <sys/uio.h>

#include "common/wire/wire_port_priv.h"

/* A batch is handed over before its turn's end when it has this many encoded bytes or items. */
#define BATCH_BYTES ((size_t)64 << 10)
#define BATCH_ITEMS 256
#define VECTORS     32

static _Thread_local struct wire_port *ports; /* of this I/O thread */

/* ---- to the owner ---- */

static void hand_over(struct wire_port *p)
{
    struct batch *gathered = TAKE_PTR(p->in.gathered);
    struct batch_in *b;

    if (!gathered)
        return;
    b = container_of(gathered, struct batch_in, link);
    COUNT(batches_in, 1);
    COUNT(messages_in, b->messages);
    b->cost = fl_arena_used(b->arena) + b->n * sizeof(*b->items);
    b->at_us = fl_loop_now_us(p->io);
    atomic_fetch_add(&p->inbox_bytes, b->cost);
    if (port_put(p, &p->in, gathered))
        fl_loop_post(p->owner, port_take, port_ref(p));
}

static void hand_over_later(void *arg)
{
    struct wire_port *p = arg;

    p->in.due = false;
    hand_over(p);
    port_unref(p);
}

static struct batch_in *gathering(struct wire_port *p)
{
    return port_gather_in(p, hand_over_later);
}

static void hand_over_if_full(struct wire_port *p)
{
    const struct batch_in *b = gathering(p);

    if (b->bytes >= BATCH_BYTES || b->n >= BATCH_ITEMS)
        hand_over(p);
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
        fl_loop_defer(p->io, port_resume, port_ref(p));
    return true;
}

void port_resume(void *arg)
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
    p = port_new(io, owner); /* the I/O thread's reference */
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

/* ---- from the owner ---- */

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
    port_recycle_out(p, b);
}

/* For a slice of time, that what others send is read meanwhile; all when no stream is left. */
void port_apply(void *arg)
{
    struct wire_port *p = arg;
    uint64_t end = fl_loop_now_us(p->io) + SLICE_US;
    struct batch *b;

    do {
        while ((b = port_next(p, &p->out))) {
            apply(p, container_of(b, struct batch_out, link));
            if (!atomic_load(&p->ended) && fl_loop_now_us(p->io) >= end) {
                fl_loop_post(p->io, port_apply, p);
                return;
            }
        }
    } while (port_comes_again(p, &p->out, false));
    port_unref(p);
}
