/* A stream's life: making, freeing, closing, moving, timeouts. Reading and writing are in
 * stream_io.c, connecting in stream_connect.c. Everything happens on the stream's loop; memory is
 * freed by a deferred job, so a stream may be freed from its own callbacks, and every function
 * looks at `dead` after calling back. */
#include "common/base/stream_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>

#include "common/base/loop_priv.h"

/* How long a peer may take to read our last bytes, and then to notice that we closed. */
#define CLOSE_US  30000000u
#define LINGER_US 2000000u

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    if (s->dead || s->state == STREAM_OVER)
        return;
    fl_loop_stay_awake(s->loop);
    stream_read_ready(s, false);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    if (s->dead)
        return;
    if (s->state == STREAM_CONNECTING)
        stream_connect_ready(s);
    else
        stream_flush(s);
}

static void on_time(void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    struct fl_err why;
    uint64_t now = fl_loop_now_us(s->loop);
    if (s->closing && now >= s->close_by_us) {
        fl_err_set(&why, FL_CLOSED, "close the stream to %s: it took too long", fl_stream_peer(s));
        stream_fail(s, &why);
    } else if (!s->closing && s->idle_s && !s->paused &&
               now >= s->last_read_us + s->idle_s * 1000000ull) {
        fl_err_set(&why, FL_TIMEOUT, "read from %s: nothing came for %u s", fl_stream_peer(s),
                   s->idle_s);
        stream_fail(s, &why);
    } else {
        stream_arm_timer(s);
    }
}

/* The idle time is not set anew with each read: the timer looks, when it fires, how long ago the
 * last was. */
void stream_arm_timer(struct fl_stream *s)
{
    uint64_t now = fl_loop_now_us(s->loop), due;
    if (s->closing)
        due = s->close_by_us;
    else if (s->idle_s) /* who does not read does not know whether the peer is silent */
        due = (s->paused ? now : s->last_read_us) + s->idle_s * 1000000ull;
    else
        return;
    if (!s->timer)
        s->timer = fl_timer_new(s->loop, on_time, s);
    fl_timer_set(s->timer, due > now ? due - now : 0);
}

struct fl_stream *stream_new(struct fl_loop *loop, const struct fl_stream_ops *ops, void *arg)
{
    struct fl_stream *s = xnew0(struct fl_stream);
    s->magic = STREAM_MAGIC;
    s->loop = loop;
    s->fd = -EBADF;
    s->ops = ops;
    s->arg = arg;
    return s;
}

struct evbuffer *stream_out(struct fl_stream *s)
{
    if (!s->out)
        s->out = evbuffer_new();
    if (!s->out)
        abort(); /* out of memory, as in xmalloc() */
    return s->out;
}

void stream_nodelay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a unix socket refuses: fine */
}

void stream_set_fd(struct fl_stream *s, int fd)
{
    s->fd = fd;
    event_assign(&s->rd, fl_loop_base(s->loop), fd, EV_READ | EV_PERSIST, on_readable, s);
    s->have_events = true;
    fl_loop_count_sockets(s->loop, 1);
}

void stream_await_write(struct fl_stream *s)
{
    if (!s->wr)
        s->wr = event_new(fl_loop_base(s->loop), s->fd, EV_WRITE, on_writable, s);
    if (!s->wr)
        abort(); /* out of memory, as in xmalloc() */
    event_add(s->wr, NULL);
}

static void drop_events(struct fl_stream *s)
{
    if (!s->have_events)
        return;
    event_del(&s->rd);
    if (s->wr)
        event_free(TAKE_PTR(s->wr));
    s->have_events = false;
    fl_loop_count_sockets(s->loop, -1);
}

void stream_drop_fd(struct fl_stream *s)
{
    drop_events(s);
    if (s->fd >= 0)
        close(TAKE_FD(s->fd));
}

void stream_established(struct fl_stream *s)
{
    s->last_read_us = fl_loop_now_us(s->loop);
    stream_connect_done(s);
    if (s->tls) {
        struct fl_err err;
        if (fl_tls_conn_new(s->tls, s->fd, s->outgoing ? s->host : NULL, &s->tls_conn, &err) < 0) {
            stream_fail(s, &err);
            return;
        }
        s->state = STREAM_HANDSHAKE;
        event_add(&s->rd, NULL);
        stream_read_ready(s, true);
        return;
    }
    s->state = STREAM_OPEN;
    if (!s->paused)
        event_add(&s->rd, NULL);
    if (s->outgoing && s->ops->on_connected)
        s->ops->on_connected(s, s->arg);
    if (!s->dead && stream_unsent(s) > 0)
        stream_flush(s);
}

int fl_stream_adopt(struct fl_loop *loop, int fd, struct fl_tls *tls_or_null,
                    const struct fl_stream_ops *ops, void *arg, struct fl_stream **ret_stream,
                    struct fl_err *err)
{
    struct fl_stream *s = stream_new(loop, ops, arg);
    stream_nodelay(fd);
    stream_set_fd(s, fd);
    if (tls_or_null) {
        s->tls = tls_or_null;
        int rc = fl_tls_conn_new(tls_or_null, fd, NULL, &s->tls_conn, err);
        if (rc < 0) {
            s->fd = -EBADF; /* stays the caller's */
            fl_stream_free(s);
            return rc;
        }
        s->state = STREAM_HANDSHAKE;
    } else {
        s->state = STREAM_OPEN;
    }
    s->last_read_us = fl_loop_now_us(loop);
    event_add(&s->rd, NULL);
    *ret_stream = s;
    return 0;
}

static void drop_out(struct fl_stream *s)
{
    if (s->out)
        evbuffer_free(s->out);
    s->out = NULL;
}

static void destroy(void *arg)
{
    struct fl_stream *s = arg;
    drop_out(s);
    fl_buf_done(&s->in);
    free(s->host);
    free(s->peer);
    free(s->local);
    s->magic = 0;
    free(s);
}

static void let_go(struct fl_stream *s)
{
    s->dead = true;
    stream_connect_done(s);
    fl_timer_free(TAKE_PTR(s->timer));
    if (s->tls_conn && s->state == STREAM_OPEN && !s->broken)
        fl_tls_close_notify(s->tls_conn);
    fl_tls_conn_free(TAKE_PTR(s->tls_conn));
    stream_drop_fd(s);
}

void fl_stream_free(struct fl_stream *s)
{
    if (!s || s->dead)
        return;
    let_go(s);
    fl_loop_defer(s->loop, destroy, s);
}

void stream_fail(struct fl_stream *s, const struct fl_err *why)
{
    if (s->dead || s->state == STREAM_OVER)
        return;
    /* A peer that only stopped sending may still read. */
    bool half_open = s->state == STREAM_OPEN && s->eof && !s->broken && !s->closing;
    s->state = STREAM_OVER;
    if (s->timer)
        fl_timer_stop(s->timer);
    if (s->have_events)
        event_del(&s->rd);
    if (!half_open) {
        s->broken = true;
        if (s->wr)
            event_del(s->wr);
    }
    s->ops->on_closed(s, why, s->arg);
}

static void over_job(void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    struct fl_err why;
    if (s->dead)
        return;
    s->closing = true; /* the peer's end was told before: this is the end of ours */
    if (s->state == STREAM_OVER)
        s->state = STREAM_OPEN;
    fl_err_set(&why, FL_CLOSED, "the stream to %s is closed", fl_stream_peer(s));
    stream_fail(s, &why);
}

/* All is sent. An immediate close() would, if bytes of the peer are unread, reset the connection
 * and may destroy what we just sent: so shut down our half and wait a little for the peer's. */
static void linger(struct fl_stream *s)
{
    if (s->tls_conn)
        fl_tls_close_notify(s->tls_conn);
    if (s->eof || shutdown(s->fd, SHUT_WR) < 0) {
        fl_loop_defer(s->loop, over_job, s);
        return;
    }
    s->lingering = true;
    s->close_by_us = fl_loop_now_us(s->loop) + LINGER_US;
    event_add(&s->rd, NULL);
    stream_arm_timer(s);
}

void stream_flushed(struct fl_stream *s)
{
    if (s->closing) {
        if (!s->lingering)
            linger(s);
    } else if (s->ops->on_drained && s->state != STREAM_OVER) {
        s->ops->on_drained(s, s->arg);
    }
}

void fl_stream_close_after_write(struct fl_stream *s)
{
    if (s->closing || s->dead)
        return;
    s->closing = true;
    s->close_by_us = fl_loop_now_us(s->loop) + CLOSE_US;
    if (s->broken || s->fd < 0) {
        fl_loop_defer(s->loop, over_job, s);
        return;
    }
    if (s->state == STREAM_OVER)
        s->state = STREAM_OPEN; /* end of file was told; the end is still to come */
    if (s->state == STREAM_HANDSHAKE && stream_unsent(s) > 0) {
        stream_arm_timer(s); /* what waits can only leave when the handshake is done */
        return;
    }
    event_del(&s->rd);
    stream_arm_timer(s);
    if (stream_unsent(s) == 0)
        linger(s);
}

void fl_stream_set_ops(struct fl_stream *s, const struct fl_stream_ops *ops, void *arg)
{
    s->ops = ops;
    s->arg = arg;
    if (s->in.len > s->in_off && s->have_events)
        event_active(&s->rd, EV_READ, 1);
}

void fl_stream_set_idle_timeout(struct fl_stream *s, unsigned seconds)
{
    s->idle_s = seconds;
    s->last_read_us = fl_loop_now_us(s->loop);
    stream_arm_timer(s);
    if (seconds == 0 && s->timer && !s->closing)
        fl_timer_stop(s->timer);
}

/* ---- moving ---- */

static void arrive(void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    s->moving = false;
    s->flush_pending = false;
    if (!s->have_events)
        stream_set_fd(s, s->fd);
    /* The new owner may keep it for days; what the old one made goes. */
    if (stream_unsent(s) == 0)
        drop_out(s);
    free(TAKE_PTR(s->local));
    s->last_read_us = fl_loop_now_us(s->loop);
    s->paused = false;
    event_add(&s->rd, NULL);
    /* An end that came on the way is told to the new owner. */
    if (s->state == STREAM_OVER && !s->broken)
        s->state = STREAM_OPEN;
    s->move_taken(s, s->move_arg);
    if (s->dead)
        return;
    if (s->broken)
        fl_loop_defer(s->loop, over_job, s);
    if (s->in.len > s->in_off)
        event_active(&s->rd, EV_READ, 1);
    if (stream_unsent(s) == 0)
        return;
    /* Mostly the answer to an upgrade, which the socket has room for: to wait until it says so costs three system calls. */
    stream_flush(s);
    if (!s->dead && stream_unsent(s) == 0)
        drop_out(s);
}

static void depart(void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    if (s->dead)
        return;
    bool same = s->loop == s->move_to;
    if (!same)
        drop_events(s);
    fl_timer_free(TAKE_PTR(s->timer));
    s->idle_s = 0;
    s->loop = s->move_to;
    if (same) {
        arrive(s);
        return;
    }
    struct fl_box *box = fl_loop_box(s->move_to);
    if (!fl_box_post(box, arrive, s)) {
        let_go(s);
        destroy(s);
    }
    fl_box_unref(box);
}

static void ignore_stream(struct fl_stream *s, void *arg)
{
}

static void ignore_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
}

static const struct fl_stream_ops moving_ops = {
    .on_read = ignore_stream,
    .on_closed = ignore_closed,
};

void fl_stream_move(struct fl_stream *s, struct fl_loop *to,
                    void (*taken)(struct fl_stream *s, void *arg), void *arg)
{
    /* The jobs of this loop that know the stream run before `depart`, which is the last of them. */
    s->moving = true;
    s->ops = &moving_ops;
    s->move_to = to;
    s->move_taken = taken;
    s->move_arg = arg;
    if (s->have_events && to != s->loop)
        event_del(&s->rd);
    fl_loop_defer(s->loop, depart, s);
}

/* ---- names ---- */

static char *address_name(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    char ip[INET6_ADDRSTRLEN];
    if (fd < 0 || get(fd, (struct sockaddr *)&ss, &len) < 0)
        return xstrdup("?");
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        return xasprintf("%s:%u", ip, ntohs(in->sin_port));
    }
    if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        return xasprintf("[%s]:%u", ip, ntohs(in6->sin6_port));
    }
    return xstrdup("unix");
}

struct fl_loop *fl_stream_loop(const struct fl_stream *s)
{
    return s->loop;
}

const char *fl_stream_peer(const struct fl_stream *s)
{
    struct fl_stream *w = (struct fl_stream *)s; /* made late, kept */
    if (!w->peer && s->fd < 0)
        return s->host ? s->host : "?";
    if (!w->peer)
        w->peer = address_name(s->fd, getpeername);
    return w->peer;
}

const char *fl_stream_local(const struct fl_stream *s)
{
    struct fl_stream *w = (struct fl_stream *)s;
    if (!w->local && s->fd < 0)
        return "?";
    if (!w->local)
        w->local = address_name(s->fd, getsockname);
    return w->local;
}
