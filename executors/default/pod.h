/* The default executor's core: task groups as nested containers of its own container (features.md 1.1a, 5.2).
 *
 * It starts a container for each task through the agent's API, waits for its end, and tells the agent what became of the task. When one
 * task of a group fails or is killed, the rest of the group is killed; it ends after its last task. A state machine: time, the
 * agent and the network come through struct pod_env. One thread. */
#ifndef EXECUTORS_DEFAULT_POD_H
#define EXECUTORS_DEFAULT_POD_H

#include "common/base/buf.h"
#include "common/model/checks.h"
#include "proto/agent.pb-c.h"
#include "proto/executor.pb-c.h"

struct pod;
struct pod_call;

/* status 0: no answer came. `response`: of a WAIT that was answered with 200, else NULL. Borrowed. */
typedef void pod_answer_f(void *arg, int status, const Aapi__Response *response, const char *text);

struct pod_env {
    struct env env;
    const struct pod_io *io;
    void *ctx;
};
struct pod_io {
    /* A call to the agent; `fn` comes once, never within post(), unless it is cancelled. */
    struct pod_call *(*post)(void *ctx, const Aapi__Call *call, pod_answer_f *fn, void *arg);
    void (*cancel)(void *ctx, struct pod_call *call);
    /* A status for the agent: gets its uuid and time and is repeated until it is acknowledged. */
    void (*update)(void *ctx, const V1__TaskStatus *status);
    struct net_probe *(*probe)(void *ctx, const struct net_target *t, net_probe_f *fn, void *arg);
    void (*probe_cancel)(void *ctx, struct net_probe *p);
    /* The sandbox of a task's container is shown as tasks/ID. */
    void (*show_sandbox)(void *ctx, const char *task_id, const char *container);
    /* No task is left (true), or there are some again (false). */
    void (*idle)(void *ctx, bool idle);
};

struct pod_config {
    const char *container_ip; /* or NULL */
    uint64_t shutdown_grace_us;
};

struct pod *pod_new(struct pod_env *env, const struct pod_config *c);
void pod_free(struct pod *p);
void pod_event(struct pod *p, const Exec__Event *ev);
/* The agent is away: what was under way begins again with the next SUBSCRIBED. */
void pod_disconnected(struct pod *p);

#endif
