/* A group of tasks of LAUNCH_GROUP and its executor: valid whole or not at all. Pure. */
#include "common/model/validate_internal.h"

/* The least a default executor may ask for, as everywhere in the protocol. */
#define EXECUTOR_MIN_CPUS 10               /* thousandths */
#define EXECUTOR_MIN_MEM  (32 * MILLI_ONE) /* MB */

static bool needs_network(const V1__HealthCheck *h)
{
    return h && h->has_type &&
           (h->type == V1__HEALTH_CHECK__TYPE__HTTP || h->type == V1__HEALTH_CHECK__TYPE__TCP);
}

static int validate_member(const V1__TaskInfo *t, const V1__ExecutorInfo *executor,
                           const struct validate_context *c, struct resources *ret_resources,
                           struct fl_err *err)
{
    int rc = validate_task_alone(t, c, ret_resources, err);
    if (rc < 0)
        return rc;
    if (t->container && t->container->n_network_infos && needs_network(t->health_check))
        return fl_err_set(err, FL_INVALID,
                          "HTTP and TCP health checks are not supported for containers with a "
                          "network of their own");
    if (t->container && t->container->type == V1__CONTAINER_INFO__TYPE__DOCKER)
        return fl_err_set(err, FL_INVALID, "Docker ContainerInfo is not supported on the task");
    if (t->n_limits && container_shares_cgroups(t->container))
        return fl_err_set(
            err, FL_INVALID,
            "Resource limits may only be set in a task group when 'share_cgroups' is 'false'");
    if (t->executor && !executors_equal(t->executor, executor))
        return fl_err_set(err, FL_INVALID,
                          "its 'executor' is different from the executor of the group");
    return 0;
}

static int validate_group_executor(const V1__ExecutorInfo *e, const struct resources *its,
                                   struct fl_err *err)
{
    const char *id = e->executor_id->value;
    if (!e->has_type)
        return fl_err_set(err, FL_INVALID, "'ExecutorInfo.type' must be set");
    if (e->type == V1__EXECUTOR_INFO__TYPE__UNKNOWN)
        return fl_err_set(err, FL_INVALID, "Unknown executor type");
    if (e->container && e->container->type == V1__CONTAINER_INFO__TYPE__DOCKER)
        return fl_err_set(err, FL_INVALID, "Docker ContainerInfo is not supported on the executor");
    if (resources_scalar(its, "cpus") < EXECUTOR_MIN_CPUS)
        return fl_err_set(err, FL_INVALID,
                          "Executor '%.100s' asks for fewer cpus than the least allowed, %g", id,
                          milli_to_double(EXECUTOR_MIN_CPUS));
    if (resources_scalar(its, "mem") < EXECUTOR_MIN_MEM)
        return fl_err_set(err, FL_INVALID,
                          "Executor '%.100s' asks for less memory than the least allowed, %g MB",
                          id, milli_to_double(EXECUTOR_MIN_MEM));
    if (resources_scalar(its, "disk") == 0)
        return fl_err_set(err, FL_INVALID, "Executor '%.100s' asks for no disk", id);
    if (e->container && e->container->linux_info && e->container->linux_info->has_share_cgroups &&
        e->container->linux_info->share_cgroups)
        return fl_err_set(err, FL_INVALID,
                          "'share_cgroups' cannot be 'true' on the container of an executor");
    return 0;
}

/* Adds the tasks' resources to *sum; every task is checked before anything that spans them. */
static int validate_members(const V1__TaskGroupInfo *group, const V1__ExecutorInfo *executor,
                            const struct validate_context *c, struct resources *sum,
                            struct fl_err *err)
{
    for (size_t i = 0; i < group->n_tasks; i++) {
        const V1__TaskInfo *t = group->tasks[i];
        _cleanup_resources_ struct resources its = RESOURCES_INIT;
        int rc = validate_member(t, executor, c, &its, err);
        for (size_t j = 0; rc == 0 && j < i; j++)
            if (streq(t->task_id->value, group->tasks[j]->task_id->value))
                rc = fl_err_set(err, FL_INVALID, "the group has its id twice");
        if (rc == 0 && resources_overlap(sum, &its))
            rc = fl_err_set(err, FL_INVALID,
                            "its resources overlap those of its executor or of another task");
        if (rc < 0) {
            fl_err_wrap(err, "Task '%.100s' is invalid", t->task_id->value);
            return rc;
        }
        resources_add(sum, &its);
    }
    return 0;
}

static int validate_uniform_cgroups(const V1__TaskGroupInfo *group, struct fl_err *err)
{
    for (size_t i = 1; i < group->n_tasks; i++)
        if (container_shares_cgroups(group->tasks[i]->container) !=
            container_shares_cgroups(group->tasks[0]->container))
            return fl_err_set(err, FL_INVALID,
                              "'share_cgroups' must be the same for all tasks in a task group");
    return 0;
}

int validate_task_group(const V1__TaskGroupInfo *group, const V1__ExecutorInfo *executor,
                        const struct validate_context *c, struct resources *ret_needs,
                        struct fl_err *err)
{
    _cleanup_resources_ struct resources its = RESOURCES_INIT, tasks = RESOURCES_INIT,
                                         both = RESOURCES_INIT;
    bool known;
    if (group->n_tasks == 0)
        return fl_err_set(err, FL_INVALID, "Task group cannot be empty");
    int rc = validate_members(group, executor, c, &tasks, err);
    if (rc == 0)
        rc = validate_executor(executor, c, &its, &known, err);
    if (rc == 0)
        rc = validate_group_executor(executor, &its, err);
    if (rc < 0)
        return rc;
    if (resources_overlap(&tasks, &its))
        return fl_err_set(err, FL_INVALID,
                          "the resources of the task group and of its executor overlap");
    resources_copy(&both, &tasks);
    resources_add(&both, &its);
    rc = validate_unique_persistence(&both, err);
    if (rc == 0)
        rc = validate_not_mixed_revocable(&both, err);
    struct resources *needs = known ? &tasks : &both;
    if (rc == 0)
        rc = validate_fits(needs, c->offered, "The task group with its executor", err);
    if (rc == 0)
        rc = validate_uniform_cgroups(group, err);
    if (rc == 0)
        resources_move(ret_needs, needs);
    return rc;
}
