/* What a loop waits for: timers, descriptors, signals. Each is an event of libevent; see loop.c. */
#include "common/base/loop_priv.h"

#include <errno.h>
#include <signal.h>

#include <event2/event.h>

#define TIMER_MAGIC  0x100910a2
#define WATCH_MAGIC  0x100910a3
#define SIGNAL_MAGIC 0x100910a4

struct fl_timer {
    unsigned magic;
    struct fl_loop *loop; /* borrowed */
    struct event *ev;     /* owned */
    uint64_t due_us;
    fl_callback_f *fn;
    void *arg;
};

struct fl_watch {
    unsigned magic;
    struct event *ev; /* owned */
    fl_fd_f *fn;
    void *arg;
};

struct fl_signal {
    unsigned magic;
    struct event *ev; /* owned */
    fl_callback_f *fn;
    void *arg;
};

static struct timeval to_timeval(uint64_t us)
{
    return (struct timeval){.tv_sec = (time_t)(us / 1000000u),
                            .tv_usec = (suseconds_t)(us % 1000000u)};
}

/* ---- timers ---- */

static void add_timer(struct fl_timer *t, uint64_t in_us)
{
    struct timeval tv = to_timeval(in_us);
    event_add(t->ev, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct fl_timer *t = FL_CAST(fl_timer, TIMER_MAGIC, arg);
    fl_loop_stay_awake(t->loop);
    /* libevent counts by a coarse clock; a timer of ours never fires before its time. */
    uint64_t now = fl_loop_now_us(t->loop);
    if (now < t->due_us)
        add_timer(t, t->due_us - now);
    else
        t->fn(t->arg);
}

struct fl_timer *fl_timer_new(struct fl_loop *loop, fl_callback_f *fn, void *arg)
{
    struct fl_timer *t = xnew0(struct fl_timer);
    t->magic = TIMER_MAGIC;
    t->loop = loop;
    t->fn = fn;
    t->arg = arg;
    t->ev = event_new(fl_loop_base(loop), -1, 0, on_timer, t);
    if (!t->ev)
        abort(); /* out of memory, as in xmalloc() */
    return t;
}

void fl_timer_set(struct fl_timer *t, uint64_t in_us)
{
    const uint64_t century_us = 100ull * 366 * 86400 * 1000000;
    in_us = FL_MIN(in_us, century_us);
    t->due_us = fl_loop_now_us(t->loop) + in_us;
    add_timer(t, in_us);
}

void fl_timer_stop(struct fl_timer *t)
{
    event_del(t->ev);
}

void fl_timer_free(struct fl_timer *t)
{
    if (!t)
        return;
    event_free(t->ev);
    t->magic = 0;
    free(t);
}

/* ---- descriptors ---- */

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
    struct fl_watch *w = FL_CAST(fl_watch, WATCH_MAGIC, arg);
    w->fn((int)fd, what & EV_READ, what & EV_WRITE, w->arg);
}

int fl_watch_new(struct fl_loop *loop, int fd, bool read, bool write, fl_fd_f *fn, void *arg,
                 struct fl_watch **ret_watch, struct fl_err *err)
{
    struct fl_watch *w = xnew0(struct fl_watch);
    short what = (short)(EV_PERSIST | (read ? EV_READ : 0) | (write ? EV_WRITE : 0));
    w->magic = WATCH_MAGIC;
    w->fn = fn;
    w->arg = arg;
    w->ev = event_new(fl_loop_base(loop), fd, what, on_fd, w);
    if (!w->ev || event_add(w->ev, NULL) != 0) {
        int e = errno ? errno : EINVAL;
        fl_watch_free(w);
        return fl_err_errno(err, e, "watch descriptor %d", fd);
    }
    *ret_watch = w;
    return 0;
}

void fl_watch_free(struct fl_watch *w)
{
    if (!w)
        return;
    if (w->ev)
        event_free(w->ev);
    w->magic = 0;
    free(w);
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct fl_signal *s = FL_CAST(fl_signal, SIGNAL_MAGIC, arg);
    s->fn(s->arg);
}

int fl_signal_new(struct fl_loop *loop, int signo, fl_callback_f *fn, void *arg,
                  struct fl_signal **ret_signal, struct fl_err *err)
{
    struct fl_signal *s = xnew0(struct fl_signal);
    sigset_t set;
    s->magic = SIGNAL_MAGIC;
    s->fn = fn;
    s->arg = arg;
    s->ev = evsignal_new(fl_loop_base(loop), signo, on_signal, s);
    if (!s->ev || event_add(s->ev, NULL) != 0) {
        int e = errno ? errno : EINVAL;
        fl_signal_free(s);
        return fl_err_errno(err, e, "catch signal %d", signo);
    }
    /* Who started this process may have blocked it. */
    sigemptyset(&set);
    sigaddset(&set, signo);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    *ret_signal = s;
    return 0;
}

void fl_signal_free(struct fl_signal *s)
{
    if (!s)
        return;
    if (s->ev)
        event_free(s->ev);
    s->magic = 0;
    free(s);
}
