/* Accepted channels, on their owner's loop: takes what came, by turns over the links, and gathers what is sent. See wire_port.c. */
#include "common/wire/wire_port_priv.h"

/* The owner looks at the clock after so many messages, where long ones count more. */
#define LOOK       16
#define LOOK_BYTES 1024
/* What is gathered is handed over before the turn's end when it has so many bytes. */
#define FLUSH_NOW ((size_t)128 << 10)
#define BACK_KEEP ((size_t)64 << 10)

/* ---- from the I/O thread ---- */

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

static void batch_done(struct wire_port *p, struct batch_in *b, uint64_t now)
{
    size_t cost = b->cost;

    fl_peak_note(&port_counters.wait, now > b->at_us ? now - b->at_us : 0, now);
    port_recycle_in(p, b);
    size_t left = atomic_fetch_sub(&p->inbox_bytes, cost) - cost;
    if (left < atomic_load(&p->resume_below) && !atomic_load(&p->ended) &&
        atomic_exchange(&p->starved, false))
        fl_loop_post(p->io, port_resume, port_ref(p));
}

static struct batch_in *next_batch(struct wire_port *p)
{
    struct batch *b = port_next(p, &p->in);

    return b ? container_of(b, struct batch_in, link) : NULL;
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

void port_take(void *arg)
{
    struct wire_port *p = arg;

    hook_owner(p);
    if (atomic_load(&p->ended))
        drop_waiting(p);
    else
        take_slice(p);
    if (port_comes_again(p, &p->in, !fl_turns_empty(&p->turns)))
        fl_loop_post(p->owner, port_take, p);
    else
        port_unref(p);
}

/* ---- to the I/O thread ---- */

static void flush(struct wire_port *p)
{
    struct batch *gathered = TAKE_PTR(p->out.gathered);
    struct batch_out *b;

    if (!gathered)
        return;
    b = container_of(gathered, struct batch_out, link);
    for (size_t i = 0; i < b->n_links; i++)
        b->links[i].link->slot = NO_PIECE;
    COUNT(batches_out, 1);
    if (port_put(p, &p->out, gathered)) {
        if (atomic_load(&p->ended))
            port_apply(port_ref(p)); /* nobody else runs it, and no stream is left */
        else
            fl_loop_post(p->io, port_apply, port_ref(p));
    }
    if (p->back.cap > BACK_KEEP)
        pb_back_done(&p->back);
}

static void flush_later(void *arg)
{
    struct wire_port *p = arg;

    p->out.due = false;
    flush(p);
    port_unref(p);
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
    struct batch_out *b = port_gather_out(p, flush_later);
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
    struct batch_out *b = port_gather_out(l->port, flush_later);

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
