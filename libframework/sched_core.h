/* The scheduler library's core: a state machine between the master's answers and the framework's callbacks. Single-threaded, no clock, no
 * socket, no random source but through its env, so that a simulation can drive it.
 *
 *   IDLE --leader known--> SUBSCRIBING --SUBSCRIBED event--> SUBSCRIBED
 *     ^                        |  answer or stream fails        | stream ends, or 5 heartbeats missed
 *     '--- leader lost --------+--------- BACKOFF <-------------'
 *   any --ERROR event, or an answer that repeating cannot mend--> DEAD
 *
 * The backoff is random in 0..b, b doubling from 1 s to 60 s, as the reference's library does.
 */
#ifndef LIBFRAMEWORK_SCHED_CORE_H
#define LIBFRAMEWORK_SCHED_CORE_H

#include "common/base/env.h"
#include "common/base/recordio.h"
#include "proto/scheduler.pb-c.h"

struct sched_core;

struct sched_io {
    /* Opens the event stream: POST /api/v1/scheduler with this body (protobuf). Answers by sched_core_headers() and so on. */
    void (*subscribe)(void *ctx, const char *host, uint16_t port, const void *body, size_t n);
    void (*close_stream)(void *ctx); /* and nothing of it is heard any more */
    /* Sends a call on the other connection; in order. */
    void (*call)(void *ctx, const char *host, uint16_t port, const char *stream_id,
                 const void *body, size_t n);
    void (*leader_failed)(void *ctx); /* ask the detector for another */
    /* To the framework. */
    void (*on_event)(void *ctx, const Sched__Event *ev, const void *bytes, size_t n);
    void (*on_disconnected)(void *ctx, const char *why);
    void (*on_dead)(void *ctx, const char *message);
};

enum sched_link { LINK_IDLE, LINK_BACKOFF, LINK_SUBSCRIBING, LINK_SUBSCRIBED, LINK_DEAD };

/* `info` is copied; with an id it is a failover. */
struct sched_core *sched_core_new(const struct env *env, const struct sched_io *io, void *ctx,
                                  const V1__FrameworkInfo *info, char *const *suppressed,
                                  size_t n_suppressed);
void sched_core_free(struct sched_core *c);
FL_DEFINE_CLEANUP(struct sched_core *, sched_core_free, sched_core_freep)

enum sched_link sched_core_state(const struct sched_core *c);
const char *
sched_core_framework_id(const struct sched_core *c); /* "" before the first subscription */
void sched_core_leader(struct sched_core *c, const char *host_or_null, uint16_t port);
/* The answer to subscribe(): its status, and headers that matter (NULL when absent). */
void sched_core_headers(struct sched_core *c, int status, const char *stream_id,
                        const char *location, const char *body, size_t n);
void sched_core_data(struct sched_core *c, const char *p, size_t n);
void sched_core_stream_ended(struct sched_core *c, const char *why);
/* The answer to call(); status 0: it could not be sent. */
void sched_core_call_answered(struct sched_core *c, int status, const char *body);
/* A call of the framework's, encoded; its framework_id is set here. -ENOTCONN while not subscribed. */
int sched_core_call(struct sched_core *c, const void *bytes, size_t n);
/* The framework's last call: the master knows it no more, so what its callbacks still ask for is -ENOTCONN from here on. */
int sched_core_teardown(struct sched_core *c);
/* UPDATE_FRAMEWORK changes what the next subscription says. */
void sched_core_set_info(struct sched_core *c, const V1__FrameworkInfo *info);

#endif
