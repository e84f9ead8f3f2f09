/* What a scheduler and an executor have in common: a loop, on a thread of its own or the caller's, a queue of calls into it and, in
 * dispatch mode, a queue of notices out of it. */
#ifndef LIBFRAMEWORK_RUNNER_H
#define LIBFRAMEWORK_RUNNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/env.h"

#define FW_MAX_QUEUED                                                                              \
    100000 /* calls waiting for the loop; beyond it they are refused with -EAGAIN */

/* Bytes on their way into the loop (a call) or out of it (an event, or a text that is terminated). */
struct fw_item {
    int kind;
    uint8_t *bytes; /* in the same block */
    size_t n;
    struct fw_item *next, *prev;
};

struct fw_runner_ops {
    /* Loop thread: a call from any thread. */
    void (*on_call)(void *owner, const void *bytes, size_t n);
    /* The thread callbacks run on: the loop's, or the one of dispatch. `message` is the notice decoded, or NULL when it has to be. */
    void (*on_notice)(void *owner, int kind, const void *bytes, size_t n, const void *message);
};

struct fw_runner {
    const struct fw_runner_ops *ops;
    void *owner;
    struct fl_loop *loop;
    bool
        shared; /* the loop is a fw_loop, of others as well: it is neither run, stopped nor freed here */
    bool closed; /* what is still posted to a shared loop finds nothing to do */
    struct env env;
    pthread_mutex_t lock; /* guards what follows, and the owner's texts */
    struct fw_item *calls, *notices;
    size_t n_calls;
    bool wake_posted;
    pthread_t thread;
    bool thread_started, started;
    int notice_fd; /* eventfd of dispatch mode, or -1 */
    atomic_bool ended;
};

/* `loop_or_null`: a shared one. */
int fw_runner_init(struct fw_runner *r, const struct fw_runner_ops *ops, void *owner,
                   struct fl_loop *loop_or_null);
/* Ends the thread and waits for it. Loop objects of the owner may be freed afterwards, before fw_runner_done(). */
void fw_runner_quit(struct fw_runner *r);
void fw_runner_done(struct fw_runner *r);
/* After it: frees `owner`, of which the runner is a part, as soon as nothing is posted for it any more. */
void fw_runner_free_owner(struct fw_runner *r, void *owner);

/* Any thread. Copies. 0, -ENOMEM, -EAGAIN. */
int fw_runner_call(struct fw_runner *r, const void *bytes, size_t n);
/* Loop thread: hands everything queued to on_call now. */
void fw_runner_drain(struct fw_runner *r);
/* Loop thread: tells the owner's callbacks, at once or by way of dispatch. */
void fw_runner_tell(struct fw_runner *r, int kind, const void *bytes, size_t n,
                    const void *message);

/* -EALREADY: it ran before; -EINVAL: on a shared loop. */
int fw_runner_run(struct fw_runner *r);
int fw_runner_start(struct fw_runner *r);
int fw_runner_join(struct fw_runner *r);
int fw_runner_fd(struct fw_runner *r);
int fw_runner_dispatch(struct fw_runner *r); /* how many notices; -ECONNABORTED at the end */
void fw_runner_end(struct fw_runner *r);     /* loop thread: run, join and dispatch return */

#endif
