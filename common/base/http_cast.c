/* See http_cast.h. On each I/O side the pieces are one list, which only grows at its end, and each member points to the last piece of which it
 * has something. A job goes over the members and writes from there to their sockets, in slices of time, so that other connections of the thread have
 * their turns; what comes meanwhile is taken along. A member whose socket is full goes on by itself when that has room.
 *
 * The first pieces that all have read are dropped at the end of each round; the last one always stays, as the place of who has read all. */
#include "common/base/http_cast.h"

#include <sys/uio.h>

#include "common/base/http_priv.h"

#define CAST_MAGIC 0x477ca001
/* How long a side writes before others of its thread have their turn, and after how many members it looks at the clock. */
#define SLICE_US   250
#define SLICE_LOOK 4
/* A member's share of a round. */
#define SHARE_VECS  64
#define SHARE_BYTES (256 * 1024)
/* What is written within that time of a member's is handed over at once: a round costs about as much a member. */
#define GATHER_MEMBER_US 5
#define GATHER_MAX_US    5000
#define GATHER_BYTES     (256 * 1024)

/* Of one I/O side; its thread only, but for the owner's count. */
struct cast_piece {
    struct cast_piece *next;
    struct fl_region *bytes; /* NULL: the very first, of none */
    uint64_t end;            /* of all bytes before and with it */
};

struct cast_side {
    struct http_cast *cast;
    struct http_io *io;
    unsigned n_owner; /* the owner's: members it knows of here */
    struct cast_piece *first, *last;
    struct http_exchange *members;
    struct http_exchange *next; /* of the round */
    uint64_t least;             /* what all members of the round so far have read */
    bool due;                   /* a job is posted */
    bool in_round, again;       /* again: something came since it began */
};

struct http_cast {
    unsigned magic;
    atomic_uint refs; /* the owner, each member on either side, each message and job */
    struct cast_side sides[HTTP_MAX_IO];
    /* Owner. */
    struct http_server *server; /* borrowed; of the first member */
    unsigned n_members;
    struct fl_buf gather; /* owned */
    size_t at;            /* of the piece that is written */
    uint64_t handed_us;
    struct fl_timer *timer; /* owned */
    bool due, timed;
};

static void cast_ref(struct http_cast *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

static void drop_piece(struct cast_side *s)
{
    struct cast_piece *p = s->first;

    s->first = p->next;
    fl_region_unref(p->bytes);
    free(p);
}

void cast_unref(struct http_cast *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(c->sides); i++)
        while (c->sides[i].first)
            drop_piece(&c->sides[i]);
    fl_buf_done(&c->gather);
    c->magic = 0;
    free(c);
}

/* ---- on the I/O side ---- */

static void add_piece(struct cast_side *s, struct fl_region *bytes)
{
    struct cast_piece *p = xnew0(struct cast_piece);

    p->bytes = bytes ? fl_region_ref(bytes) : NULL;
    p->end = (s->last ? s->last->end : 0) + (bytes ? fl_region_len(bytes) : 0);
    if (s->last)
        s->last->next = p;
    else
        s->first = p;
    s->last = p;
}

static void run(void *arg);

static void make_due(struct cast_side *s)
{
    if (s->due)
        return;
    s->due = true;
    cast_ref(s->cast);
    fl_loop_post(s->io->loop, run, s);
}

static void one_more_round(struct cast_side *s)
{
    s->again = true;
    if (!s->in_round)
        make_due(s);
}

/* What the member has still to get, from its place on. */
static int collect(const struct http_exchange *ex, struct iovec v[SHARE_VECS], size_t *ret_n)
{
    const struct cast_piece *p = ex->cast_at;
    uint64_t from = ex->cast_read;
    size_t sum = 0;
    int n = 0;

    for (; p && n < SHARE_VECS && sum < SHARE_BYTES; p = p->next) {
        size_t left = (size_t)(p->end - from);
        if (left == 0)
            continue;
        v[n].iov_base = (char *)fl_region_data(p->bytes) + fl_region_len(p->bytes) - left;
        v[n++].iov_len = left;
        sum += left;
        from = p->end;
    }
    *ret_n = sum;
    return n;
}

static void advance(struct http_exchange *ex, size_t n)
{
    ex->cast_read += n;
    while (ex->cast_at->end < ex->cast_read)
        ex->cast_at = ex->cast_at->next;
}

static size_t waiting(const struct http_exchange *ex)
{
    return (size_t)(ex->cast->last->end - ex->cast_read);
}

void cast_feed(struct http_exchange *ex)
{
    struct http_conn *c = ex->conn;
    struct iovec v[SHARE_VECS];
    size_t n;

    if (waiting(ex) == 0 || c->first != ex || fl_stream_unsent(c->stream) > 0)
        return; /* it hears when there is room */
    int pieces = collect(ex, v, &n);
    size_t taken = fl_stream_offer(c->stream, v, pieces);
    HTTP_COUNT(c->io->stats.bytes_out, taken);
    advance(ex, taken);
    if (taken == n && waiting(ex) > 0)
        one_more_round(ex->cast); /* its share was less than it has room for */
}

void cast_settle(struct http_exchange *ex)
{
    struct cast_piece *last = ex->cast->last;

    for (struct cast_piece *p = ex->cast_at; p; p = p->next) {
        size_t left = p->end > ex->cast_read ? (size_t)(p->end - ex->cast_read) : 0;
        if (left == 0)
            continue;
        if (left < fl_region_len(p->bytes) || ex->conn->first != ex) {
            conn_put(ex, fl_region_data(p->bytes) + fl_region_len(p->bytes) - left, left);
        } else {
            HTTP_COUNT(ex->conn->io->stats.bytes_out, left);
            fl_stream_write_region(ex->conn->stream, p->bytes);
        }
        ex->cast_read = p->end;
    }
    ex->cast_at = last;
}

void cast_leave(struct http_exchange *ex)
{
    struct cast_side *s = TAKE_PTR(ex->cast);

    if (!s)
        return;
    if (s->next == ex)
        s->next = ex->cast_next;
    if (ex->cast_prev)
        ex->cast_prev->cast_next = ex->cast_next;
    else
        s->members = ex->cast_next;
    if (ex->cast_next)
        ex->cast_next->cast_prev = ex->cast_prev;
    ex->cast_prev = ex->cast_next = NULL;
    cast_unref(s->cast);
}

static void join(struct cast_side *s, struct http_exchange *ex)
{
    if (!s->last)
        add_piece(s, NULL);
    ex->cast = s;
    ex->cast_at = s->last;
    ex->cast_read = s->last->end;
    ex->cast_next = s->members;
    if (s->members)
        s->members->cast_prev = ex;
    s->members = ex;
    cast_ref(s->cast);
}

/* One member's turn. */
static void serve(struct cast_side *s, struct http_exchange *ex)
{
    cast_feed(ex);
    size_t unsent = fl_stream_unsent(ex->conn->stream) + waiting(ex);
    atomic_store(&ex->unsent, unsent);
    if (unsent > ex->max_unsent + ex->unsent_more)
        conn_overrun(ex);
    else
        s->least = FL_MIN(s->least, ex->cast_read);
}

static void end_round(struct cast_side *s)
{
    s->in_round = false;
    while (s->first != s->last && (!s->members || s->first->end < s->least))
        drop_piece(s);
    if (s->again)
        make_due(s);
}

static void run(void *arg)
{
    struct cast_side *s = arg;
    uint64_t end = fl_loop_now_us(s->io->loop) + SLICE_US;

    s->due = false;
    if (!s->in_round) {
        s->in_round = true;
        s->again = false;
        s->next = s->members;
        s->least = s->last->end;
    }
    for (unsigned n = 1; s->next; n++) {
        struct http_exchange *ex = s->next;
        s->next = ex->cast_next;
        serve(s, ex);
        if (n % SLICE_LOOK == 0 && fl_loop_now_us(s->io->loop) >= end)
            break;
    }
    if (s->next)
        make_due(s);
    else
        end_round(s);
    cast_unref(s->cast);
}

void cast_apply(struct http_msg *m)
{
    struct cast_side *s = m->arg;
    struct http_exchange *ex = m->ex;

    if (m->kind == MSG_CAST_JOIN) {
        if (ex->conn && !ex->conn->dead && !ex->conn->closing && !ex->head_only)
            join(s, ex);
    } else if (s->members) {
        add_piece(s, m->region);
        one_more_round(s);
    }
    msg_free(m);
}

/* ---- on the owner's side ---- */

struct http_cast *http_cast_new(void)
{
    struct http_cast *c = xnew0(struct http_cast);

    c->magic = CAST_MAGIC;
    atomic_init(&c->refs, 1);
    return c;
}

static struct http_msg *cast_msg(struct cast_side *s, enum http_msg_kind kind,
                                 struct http_exchange *ex)
{
    struct http_msg *m = msg_new(kind, ex);

    m->arg = s;
    m->cast = s->cast;
    cast_ref(s->cast);
    return m;
}

void http_cast_flush(struct http_cast *c)
{
    if (c->gather.len == 0)
        return;
    _cleanup_(fl_region_unrefp) struct fl_region *r = fl_region_of_buf(&c->gather);
    for (size_t i = 0; i < ARRAY_SIZE(c->sides); i++) {
        struct cast_side *s = &c->sides[i];
        if (s->n_owner == 0)
            continue;
        struct http_msg *m = cast_msg(s, MSG_CAST, NULL);
        m->region = fl_region_ref(r);
        s->io->to_io_turn++; /* what is written to a member next goes behind this */
        io_send(s->io, m);
    }
    c->handed_us = fl_loop_now_us(c->server->owner);
}

static void on_time(void *arg)
{
    struct http_cast *c = FL_CAST(http_cast, CAST_MAGIC, arg);

    c->timed = false;
    http_cast_flush(c);
}

/* The turn is over. */
static void turn_over(void *arg)
{
    struct http_cast *c = FL_CAST(http_cast, CAST_MAGIC, arg);
    uint64_t gather_us = FL_MIN((uint64_t)c->n_members * GATHER_MEMBER_US, GATHER_MAX_US);

    c->due = false;
    if (c->server && c->gather.len > 0 && !c->timed) {
        uint64_t now = fl_loop_now_us(c->server->owner), ripe = c->handed_us + gather_us;
        if (now >= ripe || c->gather.len >= GATHER_BYTES) {
            http_cast_flush(c);
        } else {
            c->timed = true;
            fl_timer_set(c->timer, ripe - now);
        }
    }
    cast_unref(c);
}

bool http_cast_join(struct http_cast *c, struct http_stream *st)
{
    struct http_exchange *ex = FL_CAST(http_exchange, EXCHANGE_MAGIC, st);

    if (ex->http10 || ex->gone || ex->finished || !ex->server)
        return false;
    assert(!ex->cast_owner && (!c->server || c->server == ex->server));
    if (!c->server)
        c->timer = fl_timer_new(ex->server->owner, on_time, c);
    c->server = ex->server;
    http_cast_flush(c); /* the others' */
    struct cast_side *s = &c->sides[ex->io - ex->server->io];
    if (!s->io) {
        s->cast = c;
        s->io = ex->io;
    }
    s->n_owner++;
    c->n_members++;
    ex->cast_owner = c;
    cast_ref(c);
    ex->io->to_io_turn++;
    io_send(ex->io, cast_msg(s, MSG_CAST_JOIN, ex));
    return true;
}

void cast_owner_left(struct http_exchange *ex)
{
    struct http_cast *c = TAKE_PTR(ex->cast_owner);

    if (!c)
        return;
    c->n_members--;
    for (size_t i = 0; i < ARRAY_SIZE(c->sides); i++)
        if (c->sides[i].io == ex->io) /* the server may be gone */
            c->sides[i].n_owner--;
    cast_unref(c);
}

unsigned http_cast_members(const struct http_cast *c)
{
    return c->n_members;
}

struct fl_buf *http_cast_begin(struct http_cast *c)
{
    c->at = http_frame_begin(&c->gather);
    return &c->gather;
}

void http_cast_end_record(struct http_cast *c)
{
    http_frame_end(&c->gather, c->at, true, true);
    if (c->n_members == 0) {
        fl_buf_clear(&c->gather);
        return;
    }
    if (c->due || c->timed)
        return;
    c->due = true;
    cast_ref(c);
    fl_loop_defer(c->server->owner, turn_over, c);
}

void http_cast_free(struct http_cast *c)
{
    if (!c)
        return;
    if (c->n_members > 0)
        http_cast_flush(c);
    fl_timer_free(TAKE_PTR(c->timer));
    c->timed = true; /* nothing is timed any more */
    cast_unref(c);
}
