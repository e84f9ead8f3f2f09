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
#include "common/wire/wire_port_priv.h"

#define ARENA_FIRST ((size_t)32 << 10)
#define KEEP_BYTES  ((size_t)256 << 10)
#define KEEP_ITEMS  4096
#define POOL_MAX    8

struct port_counters port_counters;

void wire_counters(struct wire_counters *ret)
{
    *ret = (struct wire_counters){
        .batches_in = atomic_load(&port_counters.batches_in),
        .messages_in = atomic_load(&port_counters.messages_in),
        .batches_out = atomic_load(&port_counters.batches_out),
        .pauses = atomic_load(&port_counters.pauses),
        .wait_max_us = fl_peak_us(&port_counters.wait),
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

static struct batch_in *in_of(struct batch *b)
{
    return container_of(b, struct batch_in, link);
}

static struct batch_out *out_of(struct batch *b)
{
    return container_of(b, struct batch_out, link);
}

struct wire_port *port_new(struct fl_loop *io, struct fl_loop *owner)
{
    struct wire_port *p = xnew0(struct wire_port);

    atomic_init(&p->refs, 1);
    p->io = io;
    p->owner = owner;
    p->in.tail = &p->in.head;
    p->out.tail = &p->out.head;
    fl_turns_init(&p->turns);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

struct wire_port *port_ref(struct wire_port *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

static struct batch *take_pooled(struct wire_port *p, struct crossing *c)
{
    struct batch *b;

    pthread_mutex_lock(&p->lock);
    b = c->pool;
    if (b) {
        c->pool = b->next;
        c->n_pool--;
    }
    pthread_mutex_unlock(&p->lock);
    return b;
}

/* False: there are enough. */
static bool keep_pooled(struct wire_port *p, struct crossing *c, struct batch *b)
{
    bool keep;

    pthread_mutex_lock(&p->lock);
    keep = c->n_pool < POOL_MAX;
    if (keep) {
        b->next = c->pool;
        c->pool = b;
        c->n_pool++;
    }
    pthread_mutex_unlock(&p->lock);
    return keep;
}

void port_unref(struct wire_port *p)
{
    struct batch *b;

    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    while ((b = take_pooled(p, &p->in)))
        batch_in_free(in_of(b));
    while ((b = take_pooled(p, &p->out)))
        batch_out_free(out_of(b));
    pb_back_done(&p->back);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void link_unref(struct wire_link *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    port_unref(l->port);
    free(l);
}

void port_recycle_in(struct wire_port *p, struct batch_in *b)
{
    fl_arena_reset(b->arena);
    b->n = b->messages = b->bytes = b->cost = b->left = 0;
    if (b->cap > KEEP_ITEMS || !keep_pooled(p, &p->in, &b->link))
        batch_in_free(b);
}

void port_recycle_out(struct wire_port *p, struct batch_out *b)
{
    fl_buf_clear(&b->bytes);
    b->n_pieces = b->n_links = b->n_orders = 0;
    if (b->bytes.cap > KEEP_BYTES || b->cap_pieces > KEEP_ITEMS ||
        !keep_pooled(p, &p->out, &b->link))
        batch_out_free(b);
}

/* ---- what crosses ---- */

static void begin(struct wire_port *p, struct crossing *c, struct batch *b, struct fl_loop *loop,
                  fl_callback_f *hand_over)
{
    c->gathered = b;
    if (c->due)
        return;
    c->due = true;
    fl_loop_defer(loop, hand_over, port_ref(p));
}

struct batch_in *port_gather_in(struct wire_port *p, fl_callback_f *hand_over)
{
    struct batch *pooled;
    struct batch_in *b;

    if (p->in.gathered)
        return in_of(p->in.gathered);
    pooled = take_pooled(p, &p->in);
    b = pooled ? in_of(pooled) : xnew0(struct batch_in);
    if (!pooled)
        b->arena = fl_arena_new(ARENA_FIRST);
    begin(p, &p->in, &b->link, p->io, hand_over);
    return b;
}

struct batch_out *port_gather_out(struct wire_port *p, fl_callback_f *hand_over)
{
    struct batch *pooled;
    struct batch_out *b;

    if (p->out.gathered)
        return out_of(p->out.gathered);
    pooled = take_pooled(p, &p->out);
    b = pooled ? out_of(pooled) : xnew0(struct batch_out);
    begin(p, &p->out, &b->link, p->owner, hand_over);
    return b;
}

bool port_put(struct wire_port *p, struct crossing *c, struct batch *b)
{
    bool post;

    b->next = NULL;
    pthread_mutex_lock(&p->lock);
    *c->tail = b;
    c->tail = &b->next;
    post = !c->posted;
    c->posted = true;
    pthread_mutex_unlock(&p->lock);
    return post;
}

struct batch *port_next(struct wire_port *p, struct crossing *c)
{
    struct batch *b;

    pthread_mutex_lock(&p->lock);
    b = c->head;
    if (b && !(c->head = b->next))
        c->tail = &c->head;
    pthread_mutex_unlock(&p->lock);
    return b;
}

bool port_comes_again(struct wire_port *p, struct crossing *c, bool more)
{
    pthread_mutex_lock(&p->lock);
    c->posted = more = more || c->head;
    pthread_mutex_unlock(&p->lock);
    return more;
}
