/* What other files of common/base need of a loop beyond loop.h. */
#ifndef COMMON_BASE_LOOP_PRIV_H
#define COMMON_BASE_LOOP_PRIV_H

#include "common/base/loop.h"

/* The letter box of a loop, which may outlive it: a helper thread (name resolution) keeps a
 * reference and posts without knowing whether the loop is still there. Any thread. */
struct fl_box;
struct fl_box *fl_loop_box(struct fl_loop *loop); /* a new reference */
void fl_box_unref(struct fl_box *box);
/* False when the loop is gone: fn will never run, arg stays the caller's. */
bool fl_box_post(struct fl_box *box, fl_callback_f *fn, void *arg);

/* Own thread, from what the loop called: spares others the wake until the loop has looked at its letter box. */
void fl_loop_stay_awake(struct fl_loop *loop);
/* Streams of the loop that hold a descriptor. Counted by its thread, read by any. */
void fl_loop_count_sockets(struct fl_loop *loop, int by);
unsigned fl_loop_sockets(const struct fl_loop *loop);

/* One buffer a loop that sockets are read into; its content lives until the current callback
 * returns. */
#define FL_LOOP_SCRATCH (64 * 1024)
char *fl_loop_scratch(struct fl_loop *loop);

/* Name lookups of the loop's streams that are under way; each has a thread of its own for its time.
 */
unsigned *fl_loop_lookups(struct fl_loop *loop);

#endif
