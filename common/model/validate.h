/* Validation of what frameworks and agents send (features.md 1.1, 1.1a). Pure: state comes in as arguments. Every failure is one
 * clear sentence in err->msg, FL_INVALID. */
#ifndef COMMON_MODEL_VALIDATE_H
#define COMMON_MODEL_VALIDATE_H

#include "common/model/resources.h"
#include "proto/executor.pb-c.h"
#include "proto/scheduler.pb-c.h"

/* Ids of tasks, executors, frameworks, volumes: 1..255 characters, no '/', '\', control characters, not "." or "..". */
int validate_id(const char *id, struct fl_err *err);
/* What the call's own message can tell (type set, sub-message there, uuid of 16 bytes, ...). */
int validate_scheduler_call(const Sched__Call *call, struct fl_err *err);
int validate_executor_call(const Exec__Call *call, struct fl_err *err);

/* FrameworkInfo at SUBSCRIBE / UPDATE_FRAMEWORK: roles, MULTI_ROLE rules, failover_timeout, offer_filters, id. `role_whitelist` is NULL when
 * --roles is not given. `suppressed` must be among the roles. */
int validate_framework_info(const V1__FrameworkInfo *info, const char *const *role_whitelist,
                            size_t n_whitelist, char *const *suppressed, size_t n_suppressed,
                            struct fl_err *err);
/* What UPDATE_FRAMEWORK (and a re-subscription) may not change: principal, user, checkpoint. */
int validate_framework_update(const V1__FrameworkInfo *old, const V1__FrameworkInfo *new_info,
                              struct fl_err *err);

/* What the agent and framework around a task are, as far as validation asks. */
struct validate_context {
    const V1__FrameworkInfo *framework;
    const char *framework_id;
    const char *agent_id;
    bool agent_has_task_limits;      /* capability TASK_RESOURCE_LIMITS */
    const struct resources *offered; /* what is left of the offers, with allocation_info */
    /* Executor already there with that id on the agent, or NULL. */
    const V1__ExecutorInfo *(*executor)(const char *executor_id, void *arg);
    bool (*task_known)(const char *task_id,
                       void *arg); /* running or unreachable in the framework */
    void *arg;
    /* For validate_operation(), unallocated; NULL: not checked. What the agent has in all, for the ids of its volumes, and
     * what tasks and executors of any framework use there. */
    const struct resources *agent_total, *agent_used;
    /* Also for validate_operation(): capabilities that the agent does not have. */
    bool agent_lacks_hierarchical_role, agent_lacks_refinement, agent_lacks_resize;
};
/* One task of LAUNCH: `task` has allocation_info injected already. *ret_needs (initialised; replaced): task + new executor
 * resources. A task that comes twice in one LAUNCH is told by task_known, when tasks are launched one by one. */
int validate_task(const V1__TaskInfo *task, const struct validate_context *c,
                  struct resources *ret_needs, struct fl_err *err);
/* A group of LAUNCH_GROUP. */
int validate_task_group(const V1__TaskGroupInfo *group, const V1__ExecutorInfo *executor,
                        const struct validate_context *c, struct resources *ret_needs,
                        struct fl_err *err);
/* RESERVE .. DESTROY_DISK of an ACCEPT or of the operator (no context, or one whose framework is NULL). `principal`: who is
 * authenticated, NULL when nobody is. */
int validate_operation(const V1__Offer__Operation *op, const struct validate_context *c_or_null,
                       const char *principal_or_null, struct fl_err *err);

/* Fills allocation_info.role in every resource of the task/executor/operation that has none. In place (arena memory). */
void inject_allocation_role_task(V1__TaskInfo *task, const char *role, struct fl_arena *arena);
void inject_allocation_role_executor(V1__ExecutorInfo *executor, const char *role,
                                     struct fl_arena *arena);
void inject_allocation_role_operation(V1__Offer__Operation *op, const char *role,
                                      struct fl_arena *arena);

#endif
