/* Finding a task of the cluster and what is needed to reach it. */
#ifndef CLI_TASK_H
#define CLI_TASK_H

#include "cli/cli.h"

struct task_place {
    json_t *task;        /* as /tasks shows it; owned */
    char *agent_address; /* "ip:port"; owned */
    const json_t
        *container; /* ContainerID of its last status that has one, or NULL; borrowed from task */
    const char *executor_id;  /* borrowed from task */
    const char *framework_id; /* borrowed from task */
};
/* FL_NOT_FOUND: no task of that id (the newest one counts when several frameworks used it). */
int task_find(struct cli *c, const char *task_id, struct task_place *ret, struct fl_err *err);
void task_place_done(struct task_place *p);
#define _cleanup_task_place_ _cleanup_(task_place_done)

#endif
