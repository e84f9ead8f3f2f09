/* The event loop of one thread: timers, descriptors, signals, children, work posted from other threads.
 * Wraps libevent, which no header outside common/base names. Everything but fl_loop_post() and
 * fl_loop_stop() is for the loop's own thread. Times are microseconds of the monotonic clock. */
#ifndef COMMON_BASE_LOOP_H
#define COMMON_BASE_LOOP_H

#include "common/base/err.h"

struct fl_loop;
struct fl_timer;
struct fl_watch;
struct fl_signal;

typedef void fl_callback_f(void *arg);
typedef void fl_fd_f(int fd, bool readable, bool writable, void *arg);

int fl_loop_new(struct fl_loop **ret_loop, struct fl_err *err);
void fl_loop_free(struct fl_loop *loop);
FL_DEFINE_CLEANUP(struct fl_loop *, fl_loop_free, fl_loop_freep)
void fl_loop_run(struct fl_loop *loop);      /* until fl_loop_stop() */
void fl_loop_run_once(struct fl_loop *loop); /* what is ready now, waiting for one event at most */
void fl_loop_stop(struct fl_loop *loop);     /* any thread */
uint64_t fl_loop_now_us(struct fl_loop *loop); /* CLOCK_MONOTONIC now */

/* Any thread: fn(arg) runs once on the loop's thread, in the order posted. Wakes the loop. */
void fl_loop_post(struct fl_loop *loop, fl_callback_f *fn, void *arg);
/* Own thread: fn(arg) runs after the current callback returned. For freeing what may still be in use. */
void fl_loop_defer(struct fl_loop *loop, fl_callback_f *fn, void *arg);
/* Own thread: what was deferred with this arg does not run any more. For objects that are freed with their loop still alive. */
void fl_loop_forget(struct fl_loop *loop, const void *arg);
/* Own thread: fn(arg) runs when the loop ends, last registered first: with fl_loop_end(), or else when it is freed. For what
 * lives on the loop of somebody else. */
void fl_loop_at_end(struct fl_loop *loop, fl_callback_f *fn, void *arg);
/* On the thread that ran the loop, after fl_loop_run(): the hooks above, what is posted and deferred, and the loop's descriptors
 * but the one that wakes it. Only for a thread that must close its descriptors itself; fl_loop_free(), which is still to be
 * called, does it otherwise. What is posted afterwards runs there, and may use no timer, descriptor or signal. */
void fl_loop_end(struct fl_loop *loop);
/* fl_loop_new() in two steps, for a loop that runs on a thread with a file table of its own. Reserved by one thread, the loop may be
 * posted to and freed; bound, by the thread that will run it, it works. The descriptor that wakes it is made by the first step. */
int fl_loop_reserve(struct fl_loop **ret_loop, struct fl_err *err);
int fl_loop_bind(struct fl_loop *loop, struct fl_err *err);
int fl_loop_wake_fd(const struct fl_loop *loop);

/* One shot; fl_timer_set() again from the callback to repeat. A timer may be freed in its own callback. */
struct fl_timer *fl_timer_new(struct fl_loop *loop, fl_callback_f *fn, void *arg);
void fl_timer_set(struct fl_timer *t, uint64_t in_us);
void fl_timer_stop(struct fl_timer *t);
void fl_timer_free(struct fl_timer *t);

/* Watches a descriptor it does not own. May be freed in its own callback. */
int fl_watch_new(struct fl_loop *loop, int fd, bool read, bool write, fl_fd_f *fn, void *arg,
                 struct fl_watch **ret_watch, struct fl_err *err);
void fl_watch_free(struct fl_watch *w);

int fl_signal_new(struct fl_loop *loop, int signo, fl_callback_f *fn, void *arg,
                  struct fl_signal **ret_signal, struct fl_err *err);
void fl_signal_free(struct fl_signal *s);

/* The libevent base, for other files of common/base only. */
struct event_base;
struct event_base *fl_loop_base(struct fl_loop *loop);

#endif
