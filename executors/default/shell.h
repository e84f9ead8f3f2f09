/* The default executor's process: gives the pod (pod.h) a loop, the agent, and the sandbox. */
#ifndef EXECUTORS_DEFAULT_SHELL_H
#define EXECUTORS_DEFAULT_SHELL_H

#include "executors/default/pod.h"
#include "libframework/exec_link.h"

struct pod_shell {
    struct fl_loop *loop;
    struct pod_env env;
    struct pod *pod;
    struct exec_core *core; /* the executor API */
    struct exec_link link;
    struct net_prober *prober;
    struct pod_call *calls; /* to the operator API */
    bool idle;              /* nothing left to do but telling */
    struct fl_timer *patience;
    int exit_status;
};

/* From the environment that the agent gives executors. */
int pod_shell_init(struct pod_shell *s, struct fl_err *err);
void pod_shell_done(struct pod_shell *s);

/* calls.c: what of struct pod_io goes to /api/v1 */
struct pod_call *pod_shell_post(void *ctx, const Aapi__Call *call, pod_answer_f *fn, void *arg);
void pod_shell_cancel(void *ctx, struct pod_call *call);

#endif
