/* Standard input and output of a container, over the agent's operator API (features.md 1.6): what `exec` and `attach` share. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/task.h"
#include "proto/agent.pb-c.h"

struct session_config {
    struct cli *cli;
    const struct peer *peer; /* the agent */
    const Aapi__Call *call;  /* LAUNCH_NESTED_CONTAINER_SESSION or ATTACH_CONTAINER_OUTPUT */
    const V1__ContainerID *container; /* whose input it is, and whose end is waited for */
    bool input;                       /* standard input is sent */
    bool tty;                         /* it is a terminal, ours becomes raw */
    bool detaches;                    /* Ctrl-P Ctrl-Q leaves the container running */
    bool status;                      /* ask for its exit status */
};
/* Until the container or the user ends it. *ret_status: an exit code for ours: that of the container, 128 + signal, or 0. */
int session_run(const struct session_config *config, int *ret_status, struct fl_err *err);

/* The container of a task, or NULL when its status tells of none; in the arena. */
V1__ContainerID *session_container(const struct task_place *p, struct fl_arena *arena);

#endif
