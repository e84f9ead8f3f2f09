/* Inside libframework: the scheduler handle, shared by the files that make it (scheduler.c, sched_deliver.c, sched_calls.c). */
#ifndef LIBFRAMEWORK_SCHEDULER_H
#define LIBFRAMEWORK_SCHEDULER_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/http.h"
#include "common/coord/detector.h"
#include "libframework/fairlead/scheduler.h"
#include "libframework/messages.h"
#include "libframework/sched_core.h"

#define FW_SCHEDULER_MAGIC  0x5c4ed001u
#define FW_MAX_QUEUED_CALLS 100000 /* beyond it calls are refused with -EAGAIN */

/* An encoded call on its way to the master. */
struct fw_outgoing {
    uint8_t *bytes; /* owned */
    size_t n;
    struct fw_outgoing *next, *prev;
};

/* Something to tell the framework, waiting for fw_scheduler_dispatch(). */
enum fw_notice_kind { FW_EVENT, FW_DISCONNECTED, FW_DEAD };
struct fw_notice {
    enum fw_notice_kind kind;
    uint8_t *bytes; /* event, or terminated text; owned */
    size_t n;
    struct fw_notice *next, *prev;
};

struct fw_scheduler {
    unsigned magic;
    struct fw_scheduler_callbacks cb;
    void *arg;
    fw_info *info;
    char *master;
    char *authorization; /* header value or NULL */
    char **suppressed;
    size_t n_suppressed;
    bool explicit_acks;

    /* Loop thread only. */
    struct fl_loop *loop;
    struct env env;
    struct sched_core *core;
    struct detector *detector;
    struct http_client *http;
    struct http_call *stream;    /* SUBSCRIBE */
    struct http_call *in_flight; /* the call being answered */
    struct fw_outgoing *sending; /* calls in order; the first one is in flight */
    char *host;                  /* where calls go */
    uint16_t port;
    char *stream_id;
    struct fl_timer *stop_timer;
    bool stopping;
    char *master_text; /* "host:port" of the subscription */

    /* Any thread, under `lock`. */
    pthread_mutex_t lock;
    struct fw_outgoing *outbox; /* not yet seen by the loop */
    size_t n_queued;            /* outbox and sending */
    bool drain_posted;
    struct fw_notice *notices;
    char framework_id[260];
    char last_error[600];
    bool dead;

    atomic_bool subscribed;
    atomic_bool ended;
    pthread_t thread;
    bool thread_started;
    int notice_fd; /* eventfd of dispatch mode, or -1: callbacks run on the loop's thread */
};

/* sched_deliver.c: runs or queues the framework's callbacks. Loop thread. */
void fw_deliver_event(struct fw_scheduler *s, const Sched__Event *ev, const void *bytes, size_t n);
void fw_deliver_text(struct fw_scheduler *s, enum fw_notice_kind kind, const char *text);
void fw_notices_free(struct fw_scheduler *s);

/* sched_calls.c: encodes and queues. Any thread. */
int fw_send(struct fw_scheduler *s, const Sched__Call *call);

/* scheduler.c: wakes the loop for what is in the outbox. With the lock held. */
void fw_wake(struct fw_scheduler *s);

#endif
