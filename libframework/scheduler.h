/* Inside libframework: the scheduler handle, shared by the files that make it (scheduler.c, sched_deliver.c, sched_calls.c). */
#ifndef LIBFRAMEWORK_SCHEDULER_H
#define LIBFRAMEWORK_SCHEDULER_H

#include "common/coord/detector.h"
#include "libframework/fairlead/scheduler.h"
#include "libframework/messages.h"
#include "libframework/runner.h"
#include "libframework/sched_core.h"
#include "libframework/sender.h"

#define FW_SCHEDULER_MAGIC 0x5c4ed001u

enum fw_sched_notice { FW_EVENT, FW_DISCONNECTED, FW_DEAD };

struct fw_scheduler {
    unsigned magic;
    struct fw_scheduler_callbacks cb;
    void *arg;
    fw_info *info;       /* owned */
    char *authorization; /* header value, owned, or NULL */
    char **suppressed;   /* owned */
    size_t n_suppressed;
    bool explicit_acks;
    struct fw_runner runner;

    /* Loop thread only. */
    struct sched_core *core;
    struct detector *detector;
    struct http_client *http;
    struct http_call *stream; /* SUBSCRIBE */
    struct fw_sender sender;
    struct fl_timer *stop_timer;
    bool stopping;

    atomic_bool subscribed;
    atomic_bool dead;
    char framework_id[260]; /* written before `subscribed` turns true, under the runner's lock */
    char last_error[600];   /* written before `dead` turns true */
};

/* Encodes and queues a call. Any thread. */
int fw_send(struct fw_scheduler *s, const Sched__Call *call);
/* Runs the framework's callbacks for a notice (fw_runner_ops.on_notice). */
void fw_sched_notice(void *scheduler, int kind, const void *bytes, size_t n, const void *message);

#endif
