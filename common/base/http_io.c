/* The two sides of the HTTP server and the messages between them. Each side gathers messages while
 * its callback runs and hands them over in one piece, so that many requests or answers cost one
 * wake. With io_threads = 0 there is one side: what goes to the I/O side is applied at once,
 * requests are plain calls, and only notices that could surprise their cause (a stream gone while
 * it is written to) wait for the current callback to return. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/base/http_priv.h"

#define SWEEP_US 500000
/* How long an I/O side applies messages before it reads, and after how many it looks at the clock. */
#define SLICE_US   2000
#define SLICE_LOOK 8

struct http_msg *msg_new(enum http_msg_kind kind, struct http_exchange *ex)
{
    struct http_msg *m = xnew0(struct http_msg);
    m->kind = kind;
    m->ex = ex;
    m->fd = -EBADF;
    if (ex)
        exchange_ref(ex);
    return m;
}

struct http_msg *msg_inside(struct http_msg *m, enum http_msg_kind kind, struct http_exchange *ex)
{
    *m = (struct http_msg){.kind = kind, .ex = ex, .fd = -EBADF, .inside = true};
    exchange_ref(ex);
    return m;
}

void msg_free(struct http_msg *m)
{
    if (!m)
        return;
    struct http_exchange *ex = m->ex;
    if (m->kind == MSG_LANE_END) {
        lane_free(container_of(m, struct http_lane, end));
        return;
    }
    if (m->never)
        m->never(m->arg);
    free(m->content_type);
    fl_buf_done(&m->headers);
    fl_buf_done(&m->body);
    fl_region_unref(m->region);
    cast_unref(m->cast);
    if (m->fd >= 0)
        close(m->fd);
    if (!m->inside)
        free(m);
    exchange_unref(ex); /* last: the message may be a part of it */
}

void list_init(struct http_msg_list *l)
{
    l->head = NULL;
    l->tail = &l->head;
}

void list_add(struct http_msg_list *l, struct http_msg *m)
{
    m->next = NULL;
    *l->tail = m;
    l->tail = &m->next;
}

void list_append(struct http_msg_list *to, struct http_msg_list *from)
{
    if (!from->head)
        return;
    *to->tail = from->head;
    to->tail = from->tail;
    list_init(from);
}

struct http_msg *list_take(struct http_msg_list *l)
{
    struct http_msg *m = l->head;
    l->head = m->next;
    if (!m->next)
        list_init(l);
    return m;
}

void list_free(struct http_msg_list *l)
{
    while (l->head)
        msg_free(list_take(l));
}

/* ---- to the I/O side ---- */

static void io_take(struct http_io *io, struct http_msg *m)
{
    switch (m->kind) {
    case MSG_ADOPT:
        conn_accept(io, TAKE_FD(m->fd));
        msg_free(m);
        break;
    case MSG_DRAIN:
        conn_drain(io);
        msg_free(m);
        break;
    case MSG_CLOSE_ALL:
        while (io->conns)
            conn_close(io->conns);
        msg_free(m);
        break;
    case MSG_CAST:
    case MSG_CAST_JOIN:
        cast_apply(m);
        break;
    default:
        conn_apply(m);
        break;
    }
}

static void io_receive(void *arg);

static void io_continue(void *arg)
{
    struct http_io *io = arg;
    io->io_again = false;
    io_receive(io);
}

/* For a slice of time: what others send is read in between. */
static void io_receive(void *arg)
{
    struct http_io *io = arg;
    pthread_mutex_lock(&io->lock);
    list_append(&io->io_rest, &io->io_inbox);
    pthread_mutex_unlock(&io->lock);
    if (io->io_again)
        return; /* its turn comes */
    uint64_t end = fl_loop_now_us(io->loop) + SLICE_US;
    for (unsigned n = 1; io->io_rest.head; n++) {
        io_take(io, list_take(&io->io_rest));
        if (n % SLICE_LOOK == 0 && fl_loop_now_us(io->loop) >= end)
            break;
    }
    if (io->io_rest.head) {
        io->io_again = true;
        fl_loop_post(io->loop, io_continue, io);
    }
}

static bool hand_over(struct http_io *io, struct http_msg_list *to, struct http_msg_list *from)
{
    pthread_mutex_lock(&io->lock);
    bool first = !to->head;
    list_append(to, from);
    pthread_mutex_unlock(&io->lock);
    return first;
}

static void flush_to_io(void *arg)
{
    struct http_io *io = arg;
    io->to_io_due = false;
    io->to_io_turn++;
    if (!io->loop) {
        list_free(&io->to_io); /* stopped meanwhile */
        return;
    }
    if (hand_over(io, &io->io_inbox, &io->to_io))
        fl_loop_post(io->loop, io_receive, io);
}

void io_send(struct http_io *io, struct http_msg *m)
{
    if (!io->loop) {
        msg_free(m); /* stopped */
        return;
    }
    if (!io->threaded) {
        io_take(io, m);
        return;
    }
    list_add(&io->to_io, m);
    if (!io->to_io_due) {
        io->to_io_due = true;
        fl_loop_defer(io->server->owner, flush_to_io, io);
    }
}

void io_adopt(struct http_io *io, int fd)
{
    struct http_msg *m = msg_new(MSG_ADOPT, NULL);
    m->fd = fd;
    pthread_mutex_lock(&io->lock);
    bool first = !io->io_inbox.head;
    list_add(&io->io_inbox, m);
    pthread_mutex_unlock(&io->lock);
    if (first)
        fl_loop_post(io->loop, io_receive, io);
}

/* ---- to the owner ---- */

static void owner_receive(void *arg)
{
    struct http_io *io = arg;
    struct http_msg_list got;
    list_init(&got);
    pthread_mutex_lock(&io->lock);
    list_append(&got, &io->owner_inbox);
    pthread_mutex_unlock(&io->lock);
    turns_receive(io->server, &got);
}

static void flush_to_owner(void *arg)
{
    struct http_io *io = arg;
    io->to_owner_due = false;
    bool first = hand_over(io, &io->owner_inbox, &io->to_owner);
    if (!io->threaded)
        owner_receive(io);
    else if (first)
        fl_loop_post(io->server->owner, owner_receive, io);
}

static bool may_surprise(enum http_msg_kind kind)
{
    return kind != MSG_REQUEST && kind != MSG_BODY && kind != MSG_BODY_END;
}

void owner_send(struct http_io *io, struct http_msg *m)
{
    if (!io->threaded && !may_surprise(m->kind) && !io->to_owner.head && turns_direct(m)) {
        turns_handled(io->server, m, m->ex->read_us);
        exchange_take(m);
        return;
    }
    list_add(&io->to_owner, m);
    if (!io->to_owner_due) {
        io->to_owner_due = true;
        fl_loop_defer(io->loop, flush_to_owner, io);
    }
}

/* ---- life ---- */

static void set_sweep(struct http_io *io)
{
    fl_lateness_due(&io->stats.delay, fl_loop_now_us(io->loop) + SWEEP_US);
    fl_timer_set(io->sweep, SWEEP_US);
}

static void on_sweep(void *arg)
{
    struct http_io *io = arg;
    fl_lateness_note(&io->stats.delay, fl_loop_now_us(io->loop));
    conn_sweep(io);
    set_sweep(io);
}

void io_check_idle(struct http_io *io)
{
    if (!io->draining || io->n_conns > 0 || io->told_idle)
        return;
    io->told_idle = true;
    struct http_msg *m = msg_new(MSG_IDLE, NULL);
    m->arg = io->server;
    owner_send(io, m);
}

const char *io_date(struct http_io *io)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (ts.tv_sec != io->date_s || !io->date[0]) {
        struct tm tm;
        io->date_s = ts.tv_sec;
        gmtime_r(&ts.tv_sec, &tm);
        strftime(io->date, sizeof io->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return io->date;
}

/* On I/O side 0, when it has the only listener. */
static void spread_accept(int fd, void *arg)
{
    struct http_io *first = arg;
    struct http_server *s = first->server;
    struct http_io *io = &s->io[first->next_io++ % s->n_io];
    if (io == first)
        conn_accept(io, fd);
    else
        io_adopt(io, fd);
}

static void own_accept(int fd, void *arg)
{
    conn_accept(arg, fd);
}

static void io_init(struct http_io *io, struct http_server *s, struct fl_loop *loop)
{
    io->server = s;
    io->loop = loop;
    io->threaded = loop != s->owner;
    pthread_mutex_init(&io->lock, NULL);
    sem_init(&io->started, 0, 0);
    list_init(&io->to_owner);
    list_init(&io->to_io);
    list_init(&io->owner_inbox);
    list_init(&io->io_inbox);
    list_init(&io->io_rest);
    io->decode_last = &io->decode_first;
}

/* On the loop's thread. */
static int begin(struct http_io *io, struct fl_err *err)
{
    struct http_server *s = io->server;
    int rc = 0;
    if (s->own_files)
        rc = table_split(io, err);
    if (rc == 0 && io->threaded)
        rc = fl_loop_bind(io->loop, err);
    if (rc < 0)
        return rc;
    io->sweep = fl_timer_new(io->loop, on_sweep, io);
    set_sweep(io);
    if (s->own_files)
        return fl_listener_on(io->loop, s->listen_fd, own_accept, table_gate, io, &io->listener,
                              err);
    if (io == s->io)
        return fl_listener_on(io->loop, s->listen_fd, spread_accept, NULL, io, &io->listener, err);
    return 0;
}

static void io_close(struct http_io *io)
{
    io->draining = true; /* what still arrives is refused */
    fl_listener_free(TAKE_PTR(io->listener));
    while (io->conns)
        conn_close(io->conns);
    fl_timer_free(TAKE_PTR(io->sweep));
}

/* Ends what it has by itself: its streams, and perhaps its descriptors, are nobody else's. */
static void *run_io(void *arg)
{
    struct http_io *io = arg;
    io_here = io;
    int rc = io->start_rc = begin(io, io->start_err);
    sem_post(&io->started);
    if (rc == 0)
        fl_loop_run(io->loop);
    io_close(io);
    fl_loop_end(io->loop);
    return NULL;
}

static int start_thread(struct http_io *io, struct fl_err *err)
{
    sigset_t old;
    io->start_err = err;
    table_block_signals(&old);
    int rc = pthread_create(&io->thread, NULL, run_io, io);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return fl_err_errno(err, rc, "start an HTTP thread");
    io->running = true;
    while (sem_wait(&io->started) < 0)
        ; /* a signal */
    return io->start_rc;
}

int io_add(struct http_server *s, struct http_io *io, struct fl_err *err)
{
    struct fl_loop *loop = s->owner;
    int rc = s->config.io_threads ? fl_loop_reserve(&loop, err) : 0;
    if (rc < 0)
        return rc;
    io_init(io, s, loop);
    rc = io->threaded ? start_thread(io, err) : begin(io, err);
    if (rc < 0) {
        io_join(io);
        io_stop(io);
        return rc;
    }
    if (!s->own_files && io == s->io)
        s->listen_fd = -EBADF; /* the listener's now */
    return 0;
}

/* All are joined before one's loop goes: they look at each other's. */
void io_join(struct http_io *io)
{
    if (!io->running)
        return;
    fl_loop_stop(io->loop);
    pthread_join(io->thread, NULL);
    io->running = false;
}

void io_stop(struct http_io *io)
{
    if (!io->loop)
        return;
    io_close(io); /* nothing is left of a thread that ran */
    if (io->threaded)
        fl_loop_free(io->loop);
    io->loop = NULL;
}

void io_done(struct http_io *io)
{
    if (!io->server)
        return;
    list_free(&io->to_owner);
    list_free(&io->to_io);
    list_free(&io->owner_inbox);
    list_free(&io->io_inbox);
    list_free(&io->io_rest);
    gzip_free(io->gzip);
    exchange_free_spares(io);
    fl_buf_done(&io->head);
    fl_buf_done(&io->accepted);
    sem_destroy(&io->started);
    pthread_mutex_destroy(&io->lock);
}
