/* Channels: messages of both directions over one stream. On the loop of the channel's owner. A channel has either a stream of its own, on the
 * same loop, or a link to one on an I/O thread (wire_port.c).
 *
 * Sending encodes at once, so the message may go, into `out`; what has gathered there is handed to the stream once per turn of the loop, or
 * earlier when it is much. Receiving decodes each frame into one arena, which is reset after its callback.
 *
 * A channel ends once: by wire_channel_free(), or by fail() and then on_closed. Both may happen inside its own callbacks, so every
 * function looks at the state after calling back; memory goes by a deferred job.
 */
#include "common/wire/wire_port.h"

#define WIRE_MAGIC 0x31e0f1a5u
/* What has gathered is written at once when it is this long. */
#define FLUSH_NOW (128u << 10)
/* An arena that one large message has made larger than this does not stay. */
#define ARENA_KEEP ((size_t)1 << 20)
/* So does the working memory of encoding. */
#define BACK_KEEP   ((size_t)64 << 10)
#define ARENA_FIRST 4096

const struct wire_limits wire_limits_default = {
    .max_frame = (size_t)64 << 20,
    .max_unsent = (size_t)256 << 20,
    .max_inbox = (size_t)64 << 20,
};

enum wire_state { WIRE_OPENING, WIRE_OPEN, WIRE_CLOSING, WIRE_CLOSED, WIRE_FREED };

/* What a channel with a stream of its own has besides. */
struct direct {
    struct fl_stream *stream; /* owned */
    struct fl_timer *timer;   /* owned; while opening */
    struct fl_buf request;    /* of an outgoing channel, until it is connected */
    struct fl_buf out;
    struct pb_back back;
    struct fl_arena *arena; /* owned */
    bool flush_coming;
};

struct wire_channel {
    unsigned magic;
    enum wire_state state;
    struct fl_loop *loop;
    struct direct *d;       /* owned; NULL: it has a link */
    struct wire_link *link; /* owned, NULL when it was let go */
    size_t max_frame, max_unsent;
    unsigned idle_timeout_s;
    bool failing;               /* on_closed is on its way, with `why` */
    const struct wire_ops *ops; /* borrowed */
    void *arg;
    struct fl_err *why; /* owned; of a channel that fails */
    char *peer;         /* owned; NULL while it is not known */
};

static void direct_free(struct direct *d)
{
    if (!d)
        return;
    fl_buf_done(&d->request);
    fl_buf_done(&d->out);
    pb_back_done(&d->back);
    fl_arena_free(d->arena);
    free(d);
}

static void free_memory(void *arg)
{
    struct wire_channel *c = arg;

    direct_free(c->d);
    free(c->peer);
    free(c->why);
    c->magic = 0;
    free(c);
}

static struct wire_channel *new_channel(struct fl_loop *loop, const struct wire_limits *limits)
{
    struct wire_channel *c = xnew0(struct wire_channel);

    c->magic = WIRE_MAGIC;
    c->loop = loop;
    if (!limits)
        limits = &wire_limits_default;
    c->max_frame = limits->max_frame;
    c->max_unsent = limits->max_unsent;
    c->idle_timeout_s = limits->idle_timeout_s;
    return c;
}

struct wire_channel *wire_channel_new(struct fl_loop *loop, const struct wire_limits *limits)
{
    struct wire_channel *c = new_channel(loop, limits);

    c->d = xnew0(struct direct);
    return c;
}

void wire_set_ops(struct wire_channel *c, const struct wire_ops *ops, void *arg)
{
    c->ops = ops;
    c->arg = arg;
}

/* ---- the end ---- */

static void drop_stream(struct wire_channel *c)
{
    if (c->link)
        wire_link_free(TAKE_PTR(c->link));
    if (!c->d)
        return;
    fl_stream_free(TAKE_PTR(c->d->stream));
    fl_timer_free(TAKE_PTR(c->d->timer));
    fl_buf_done(&c->d->out);
}

static void fail(struct wire_channel *c, const struct fl_err *why)
{
    struct fl_err err = *why;

    if (c->state >= WIRE_CLOSED)
        return;
    c->state = WIRE_CLOSED;
    drop_stream(c);
    if (c->ops && c->ops->on_closed)
        c->ops->on_closed(c, &err, c->arg);
}

static void fail_now(void *arg)
{
    struct wire_channel *c = FL_CAST(wire_channel, WIRE_MAGIC, arg);

    fail(c, c->why);
}

/* For failures found inside a call of the owner, who does not expect its callback before that returns. */
static void fail_soon(struct wire_channel *c, const struct fl_err *why)
{
    if (c->failing)
        return;
    c->failing = true;
    c->why = xmemdup(why, sizeof(*why));
    fl_loop_defer(c->loop, fail_now, c);
}

void wire_channel_free(struct wire_channel *c)
{
    if (!c || c->state == WIRE_FREED)
        return;
    c->state = WIRE_FREED;
    drop_stream(c);
    /* After the jobs that know the channel: deferred ones run in order. */
    fl_loop_defer(c->loop, free_memory, c);
}

/* ---- sending ---- */

static void flush(struct wire_channel *c)
{
    if (c->d->out.len && c->d->stream && (c->state == WIRE_OPEN || c->state == WIRE_CLOSING))
        fl_stream_write_buf(c->d->stream, &c->d->out);
}

static void flush_later(void *arg)
{
    struct wire_channel *c = FL_CAST(wire_channel, WIRE_MAGIC, arg);

    c->d->flush_coming = false;
    flush(c);
    /* Channels are many and mostly silent: between turns they keep no working memory. */
    pb_back_done(&c->d->back);
}

static int encode(struct wire_channel *c, const ProtobufCMessage *m, struct fl_err *err)
{
    if (c->link)
        return wire_link_send(c->link, m, c->max_frame, err);
    int r = wire_frame_encode(&c->d->out, &c->d->back, m, c->max_frame, err);
    if (r < 0)
        return r;
    if (c->d->back.cap > BACK_KEEP)
        pb_back_done(&c->d->back);
    return 0;
}

static void gather(struct wire_channel *c)
{
    if (!c->d)
        return; /* the link has it */
    if (c->d->out.len >= FLUSH_NOW)
        flush(c);
    if (c->d->out.len && !c->d->flush_coming) {
        c->d->flush_coming = true;
        fl_loop_defer(c->loop, flush_later, c);
    }
}

bool wire_send(struct wire_channel *c, const ProtobufCMessage *m)
{
    struct fl_err err;

    if (c->state > WIRE_OPEN || c->failing || (c->link && wire_link_ended(c->link)))
        return false;
    if (encode(c, m, &err) < 0) {
        fail_soon(c, &err);
        return false;
    }
    if (wire_unsent(c) > c->max_unsent) {
        fl_err_set(&err, FL_LIMIT, "%s does not read: %zu bytes are unsent, over the limit of %zu",
                   wire_peer(c), wire_unsent(c), c->max_unsent);
        fail_soon(c, &err);
        return false;
    }
    gather(c);
    return true;
}

size_t wire_unsent(const struct wire_channel *c)
{
    if (!c->d)
        return c->link ? wire_link_unsent(c->link) : 0;
    return c->d->out.len + (c->d->stream ? fl_stream_unsent(c->d->stream) : 0);
}

const char *wire_peer(const struct wire_channel *c)
{
    return c->peer ? c->peer : "?";
}

void wire_channel_close(struct wire_channel *c)
{
    struct fl_err err;

    if (c->state >= WIRE_CLOSING || c->failing)
        return;
    if (c->state == WIRE_OPENING) {
        fl_err_set(&err, FL_CLOSED, "the channel to %s was closed before it was open",
                   wire_peer(c));
        fail_soon(c, &err);
        return;
    }
    c->state = WIRE_CLOSING;
    if (c->link) {
        wire_link_close(c->link);
        return;
    }
    flush(c);
    fl_stream_close_after_write(c->d->stream);
}

/* ---- receiving ---- */

static void reset_arena(struct wire_channel *c)
{
    if (fl_arena_used(c->d->arena) <= ARENA_KEEP) {
        fl_arena_reset(c->d->arena);
        return;
    }
    fl_arena_free(c->d->arena);
    c->d->arena = fl_arena_new(ARENA_FIRST);
}

/* One frame at p. 1: go on behind it; 0: more must come; negative: the channel is over (or the owner ended it). */
static int take_frame(struct wire_channel *c, const char *p, size_t n, size_t *ret_size)
{
    struct wire_frame f;
    struct wire_message m;
    struct fl_err err;
    int r = wire_frame_next(p, n, c->max_frame, &f, &err);

    if (r == 0)
        return 0;
    if (r > 0)
        r = wire_frame_decode(&f, c->d->arena, &m, &err);
    if (r < 0) {
        fl_err_wrap(&err, "from %s", wire_peer(c));
        fail(c, &err);
        return r;
    }
    *ret_size = f.size;
    c->ops->on_message(c, &m, c->arg);
    if (c->state != WIRE_OPEN)
        return -1;
    reset_arena(c);
    return 1;
}

static void receive(struct wire_channel *c)
{
    size_t n, size = 0, taken = 0;

    if (!c->d->arena)
        c->d->arena = fl_arena_new(ARENA_FIRST);
    for (;;) {
        const char *p = fl_stream_peek(c->d->stream, &n);
        int r = take_frame(c, p + taken, n - taken, &size);

        if (r < 0)
            return; /* over, or closing: nothing more is delivered */
        if (r == 0)
            break;
        taken += size;
    }
    fl_stream_consume(c->d->stream, taken);
    fl_arena_free(TAKE_PTR(c->d->arena)); /* see flush_later() */
}

static void on_answer(struct wire_channel *c)
{
    struct fl_err err;
    size_t n;
    const char *p = fl_stream_peek(c->d->stream, &n);
    ssize_t r = wire_answer(p, n, wire_peer(c), &err);

    if (r < 0)
        fail(c, &err);
    if (r <= 0)
        return;
    fl_stream_consume(c->d->stream, (size_t)r);
    fl_timer_free(TAKE_PTR(c->d->timer));
    fl_stream_set_idle_timeout(c->d->stream, c->idle_timeout_s);
    c->state = WIRE_OPEN;
    flush(c);
    if (c->ops->on_open)
        c->ops->on_open(c, c->arg);
}

static void on_read(struct fl_stream *s, void *arg)
{
    struct wire_channel *c = FL_CAST(wire_channel, WIRE_MAGIC, arg);
    size_t n;

    if (c->failing)
        return;
    if (c->state == WIRE_OPENING)
        on_answer(c);
    if (c->state == WIRE_OPEN && fl_stream_peek(c->d->stream, &n) && n)
        receive(c);
}

static void on_stream_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    fail(FL_CAST(wire_channel, WIRE_MAGIC, arg), why);
}

/* ---- the beginning ---- */

static void take_peer(struct wire_channel *c)
{
    free(c->peer);
    c->peer = xstrdup(fl_stream_peer(c->d->stream));
}

static void on_connected(struct fl_stream *s, void *arg)
{
    struct wire_channel *c = FL_CAST(wire_channel, WIRE_MAGIC, arg);

    take_peer(c);
    fl_stream_write_buf(s, &c->d->request);
}

static const struct fl_stream_ops stream_ops = {
    .on_read = on_read,
    .on_connected = on_connected,
    .on_closed = on_stream_closed,
};

static void on_open_timeout(void *arg)
{
    struct wire_channel *c = FL_CAST(wire_channel, WIRE_MAGIC, arg);
    struct fl_err err;

    fl_err_set(&err, FL_TIMEOUT, "%s did not open the channel within %d s", wire_peer(c),
               WIRE_OPEN_S);
    fail(c, &err);
}

int wire_channel_connect(struct wire_channel *c, const char *host, uint16_t port,
                         const char *bind_ip, struct fl_tls *tls, const char *self,
                         const char *authorization, struct fl_err *err)
{
    int r =
        fl_stream_connect(c->loop, host, port, bind_ip, tls, &stream_ops, c, &c->d->stream, err);

    if (r < 0)
        return r;
    free(c->peer);
    c->peer = xasprintf("%s:%u", host, port);
    wire_request(&c->d->request, host, port, self, authorization);
    c->d->timer = fl_timer_new(c->loop, on_open_timeout, c);
    fl_timer_set(c->d->timer, (uint64_t)WIRE_OPEN_S * 1000000);
    return 0;
}

void wire_channel_attach(struct wire_channel *c, struct fl_stream *s)
{
    c->d->stream = s;
    c->state = WIRE_OPEN;
    take_peer(c);
    fl_stream_set_ops(s, &stream_ops, c);
    fl_stream_set_idle_timeout(s, c->idle_timeout_s);
}

/* ---- with a link ---- */

struct wire_channel *wire_channel_of_link(struct wire_link *l, const struct wire_accepting *how,
                                          char *peer)
{
    struct wire_channel *c = new_channel(how->loop, &how->limits);

    c->link = l;
    c->state = WIRE_OPEN;
    c->peer = peer;
    return c;
}

void wire_channel_deliver(struct wire_channel *c, const struct wire_message *m)
{
    if (c->state == WIRE_OPEN && !c->failing)
        c->ops->on_message(c, m, c->arg);
}

void wire_channel_over(struct wire_channel *c, const struct fl_err *why)
{
    fail(c, why);
}
