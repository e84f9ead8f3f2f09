/* Finding a task of the cluster and what is needed to reach it. */
#ifndef CLI_TASK_H
#define CLI_TASK_H

#include "cli/connection.h"

struct task_place {
    json_t *task;        /* as /tasks shows it; owned */
    char *agent_address; /* "ip:port"; owned */
    const json_t
        *container; /* ContainerID of its last status that has one, or NULL; borrowed from task */
    const char *executor_id;  /* borrowed from task */
    const char *framework_id; /* borrowed from task */
    const char *agent_id;     /* borrowed from task */
};
/* By the whole id, or a part of it that only one has. FL_NOT_FOUND: no task of that id (the newest one counts when several frameworks
 * used it), or several fit the part. */
int task_find(struct cli *c, const char *task_id, struct task_place *ret, struct fl_err *err);
/* The task alone, without its agent. */
int task_get(struct cli *c, const char *task_id, json_t **ret, struct fl_err *err);
void task_place_done(struct task_place *p);
#define _cleanup_task_place_ _cleanup_(task_place_done)
/* How the task's agent is asked. */
int task_peer(struct cli *c, const struct task_place *p, struct peer *ret, struct fl_err *err);
bool task_is_live(const json_t *task);

#endif
