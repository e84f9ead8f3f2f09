/* fairlead/executor.h - an executor: runs the tasks of one framework on one agent and reports their
 * states.
 *
 * Everything it needs (agent, ids, sandbox) is in the environment that the agent gave it. Threads
 * and loops as in scheduler.h. An update is kept and repeated until the agent has it; with
 * checkpointing the executor outlives a restart of its agent and subscribes again within
 * MESOS_RECOVERY_TIMEOUT.
 */
#ifndef FAIRLEAD_EXECUTOR_H
#define FAIRLEAD_EXECUTOR_H

#include <fairlead/framework.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fw_executor fw_executor;

struct fw_executor_callbacks {
    size_t size; /* sizeof(struct fw_executor_callbacks) */
    void (*on_subscribed)(fw_executor *e, const char *framework_id, const char *executor_id,
                          const char *agent_id, void *arg);
    void (*on_disconnected)(fw_executor *e, const char *why, void *arg);
    void (*on_launch)(fw_executor *e, const fw_task *task, void *arg);
    /* All or nothing. Without this callback each task comes by on_launch. */
    void (*on_launch_group)(fw_executor *e, fw_task *const *tasks, size_t n, void *arg);
    void (*on_kill)(fw_executor *e, const char *task_id, double grace_or_minus_1, void *arg);
    void (*on_acknowledged)(fw_executor *e, const char *task_id, void *arg);
    void (*on_message)(fw_executor *e, const void *data, size_t n, void *arg);
    /* End all tasks, report them, then stop. The agent destroys what is left after the grace
     * period. */
    void (*on_shutdown)(fw_executor *e, void *arg);
    void (*on_error)(fw_executor *e, const char *message, void *arg);
};

/* -EINVAL: not started by an agent (the environment lacks MESOS_AGENT_ENDPOINT, MESOS_FRAMEWORK_ID
 * or MESOS_EXECUTOR_ID). */
FW_PUBLIC int fw_executor_new(const struct fw_executor_callbacks *cb, void *arg,
                              fw_executor **ret_executor);
FW_PUBLIC void fw_executor_free(fw_executor *e);
FW_PUBLIC int fw_executor_run(fw_executor *e);
FW_PUBLIC int fw_executor_start(fw_executor *e);
FW_PUBLIC int fw_executor_join(fw_executor *e);
FW_PUBLIC int fw_executor_fd(fw_executor *e);
FW_PUBLIC int fw_executor_dispatch(fw_executor *e);
/* Ends when every update is with the agent, or after five seconds. */
FW_PUBLIC void fw_executor_stop(fw_executor *e);

/* message may be NULL. Any thread. */
FW_PUBLIC int fw_executor_update(fw_executor *e, const char *task_id, enum fw_task_state state,
                                 const char *message);
FW_PUBLIC int fw_executor_update_data(fw_executor *e, const char *task_id, enum fw_task_state state,
                                      const char *message, const void *data, size_t n);
FW_PUBLIC int fw_executor_message(fw_executor *e, const void *data, size_t n);

#ifdef __cplusplus
}
#endif
#endif
