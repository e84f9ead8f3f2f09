/* The executor library's core: subscribes to the agent, remembers the tasks and updates the agent has not acknowledged, and hands them
 * over again after a restart of the agent. Single-threaded; the world comes through env and io. */
#ifndef LIBFRAMEWORK_EXEC_CORE_H
#define LIBFRAMEWORK_EXEC_CORE_H

#include "common/base/env.h"
#include "common/base/recordio.h"
#include "proto/executor.pb-c.h"

struct exec_core;

struct exec_io {
    void (*subscribe)(void *ctx, const void *body, size_t n);
    void (*close_stream)(void *ctx);
    void (*call)(void *ctx, const void *body, size_t n);
    void (*on_event)(void *ctx, const Exec__Event *ev, const void *bytes, size_t n);
    void (*on_disconnected)(void *ctx, const char *why);
    /* The agent told to end, or is lost for good: a SHUTDOWN event has been or will be delivered. */
    void (*on_dead)(void *ctx, const char *message);
};

struct exec_config {
    const char *framework_id, *executor_id;
    bool checkpoint;              /* MESOS_CHECKPOINT */
    uint64_t recovery_timeout_us; /* MESOS_RECOVERY_TIMEOUT: how long to look for the agent */
    uint64_t max_backoff_us;      /* MESOS_SUBSCRIPTION_BACKOFF_MAX */
};

struct exec_core *exec_core_new(const struct env *env, const struct exec_io *io, void *ctx,
                                const struct exec_config *config);
void exec_core_free(struct exec_core *c);
void exec_core_start(struct exec_core *c);
/* The answer to subscribe(), and its stream. */
void exec_core_headers(struct exec_core *c, int status, const char *body, size_t n);
void exec_core_data(struct exec_core *c, const char *p, size_t n);
void exec_core_stream_ended(struct exec_core *c, const char *why);
/* An encoded Exec__Call (UPDATE or MESSAGE); ids are set here. An update gets its uuid and time, is kept until it is acknowledged,
 * and waits when there is no agent; a message without an agent is lost. */
void exec_core_call(struct exec_core *c, const void *bytes, size_t n);
/* Nothing waits for the agent's acknowledgement. */
bool exec_core_idle(const struct exec_core *c);

#endif
