/* The thread that waits for the disk, so that the core does not. */
#ifndef AGENT_DISK_THREAD_H
#define AGENT_DISK_THREAD_H

#include "common/base/loop.h"

struct agent_disk_thread;
/* The thread itself begins with the first job. */
struct agent_disk_thread *agent_disk_thread_new(struct fl_loop *loop);
/* The loop's thread: work(arg) runs on the other thread, then done(arg) on the loop's. Jobs run one after another. */
void agent_disk_thread_run(struct agent_disk_thread *t, void (*work)(void *arg),
                           void (*done)(void *arg), void *arg);
/* Waits for the job that runs; no `done` is called any more, what was still queued is not begun. Takes NULL. */
void agent_disk_thread_free(struct agent_disk_thread *t);

#endif
