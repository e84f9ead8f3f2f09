/* A task of LAUNCH. Pure. The order of the checks is the protocol's. */
#include <math.h>

#include "common/model/validate_internal.h"

static int validate_identity(const V1__TaskInfo *t, const struct validate_context *c,
                             struct fl_err *err)
{
    int rc = validate_id(t->task_id->value, err);
    if (rc < 0) {
        fl_err_wrap(err, "the task's id is invalid");
        return rc;
    }
    if (c->task_known && c->task_known(t->task_id->value, c->arg))
        return fl_err_set(err, FL_INVALID, "Task has duplicate ID: '%.200s'", t->task_id->value);
    if (!streq(t->agent_id->value, c->agent_id))
        return fl_err_set(err, FL_INVALID,
                          "Task uses invalid agent '%.100s' while agent '%s' is expected",
                          t->agent_id->value, c->agent_id);
    return 0;
}

static int validate_times_and_checks(const V1__TaskInfo *t, struct fl_err *err)
{
    if (t->kill_policy && t->kill_policy->grace_period &&
        t->kill_policy->grace_period->nanoseconds < 0)
        return fl_err_set(err, FL_INVALID,
                          "Task's 'kill_policy.grace_period' must be non-negative");
    if (t->max_completion_time && t->max_completion_time->nanoseconds < 0)
        return fl_err_set(err, FL_INVALID, "Task's 'max_completion_time' must be non-negative");
    int rc = t->check ? validate_check(t->check, err) : 0;
    if (rc < 0) {
        fl_err_wrap(err, "Task uses invalid check");
        return rc;
    }
    rc = t->health_check ? validate_health_check(t->health_check, err) : 0;
    if (rc < 0)
        fl_err_wrap(err, "Task uses invalid health check");
    return rc;
}

static int validate_task_resources(const V1__TaskInfo *t, struct resources *ret, struct fl_err *err)
{
    if (t->n_resources == 0)
        return fl_err_set(err, FL_INVALID, "Task uses no resources");
    int rc = validate_and_convert(t->resources, t->n_resources, ret, err);
    if (rc == 0)
        rc = validate_unique_persistence(ret, err);
    if (rc == 0)
        rc = validate_one_allocation(t->resources, t->n_resources, err);
    if (rc == 0)
        rc = validate_not_mixed_revocable(ret, err);
    if (rc < 0)
        fl_err_wrap(err, "Task uses invalid resources");
    return rc;
}

/* Only cpus and mem, each asked for as well, and not below what is asked for. */
static int validate_limit(const V1__TaskInfo__LimitsEntry *limit, const struct resources *asked,
                          struct fl_err *err)
{
    milli_t request = resources_scalar(asked, limit->key);
    double value = limit->value->value;
    if (!streq(limit->key, "cpus") && !streq(limit->key, "mem"))
        return fl_err_set(err, FL_INVALID,
                          "a task's limits may be of cpus and mem only, not of '%.100s'",
                          limit->key);
    if (request == 0)
        return fl_err_set(err, FL_INVALID, "a limit of '%s' needs a request of '%s' too",
                          limit->key, limit->key);
    if (isnan(value) || milli_from_double(value) < request)
        return fl_err_set(err, FL_INVALID, "the limit of '%s', %g, is less than the request, %g",
                          limit->key, value, milli_to_double(request));
    return 0;
}

static int validate_limits(const V1__TaskInfo *t, const struct validate_context *c,
                           const struct resources *asked, struct fl_err *err)
{
    if (t->n_limits && !c->agent_has_task_limits)
        return fl_err_set(err, FL_INVALID, "Agent is not capable of handling task resource limits");
    for (size_t i = 0; i < t->n_limits; i++) {
        int rc = validate_limit(t->limits[i], asked, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int validate_task_alone(const V1__TaskInfo *t, const struct validate_context *c,
                        struct resources *ret_resources, struct fl_err *err)
{
    int rc = validate_identity(t, c, err);
    if (rc == 0)
        rc = validate_times_and_checks(t, err);
    if (rc == 0)
        rc = validate_task_resources(t, ret_resources, err);
    if (rc == 0 && t->command) {
        rc = validate_command(t->command, err);
        if (rc < 0)
            fl_err_wrap(err, "Task's 'command' is invalid");
    }
    if (rc == 0 && t->container) {
        rc = validate_container(t->container, err);
        if (rc < 0)
            fl_err_wrap(err, "Task's 'container' is invalid");
    }
    if (rc == 0)
        rc = validate_limits(t, c, ret_resources, err);
    return rc;
}

/* What a custom executor must be beyond any executor, and what it and the task are together. */
static int validate_custom_executor(const V1__TaskInfo *t, const struct validate_context *c,
                                    struct resources *needs, struct fl_err *err)
{
    const V1__ExecutorInfo *e = t->executor;
    _cleanup_resources_ struct resources its = RESOURCES_INIT, both = RESOURCES_INIT,
                                         shared = RESOURCES_INIT;
    bool known;
    int rc = validate_executor(e, c, &its, &known, err);
    if (rc < 0)
        return rc;
    if (e->has_type && e->type != V1__EXECUTOR_INFO__TYPE__CUSTOM)
        return fl_err_set(err, FL_INVALID, "'ExecutorInfo.type' must be 'CUSTOM'");
    if (!e->command)
        return fl_err_set(err, FL_INVALID, "'ExecutorInfo.command' must be set");
    resources_shared(&its, true, &shared);
    if (!resources_empty(&shared))
        return fl_err_set(err, FL_INVALID, "an executor must not ask for shared resources");
    if (e->container && e->container->linux_info && e->container->linux_info->has_share_cgroups &&
        e->container->linux_info->share_cgroups)
        return fl_err_set(err, FL_INVALID,
                          "'share_cgroups' cannot be 'true' on the container of an executor");
    if (resources_overlap(needs, &its))
        return fl_err_set(err, FL_INVALID, "the resources of the task and of its executor overlap");
    resources_copy(&both, needs);
    resources_add(&both, &its);
    rc = validate_unique_persistence(&both, err);
    if (rc == 0)
        rc = validate_not_mixed_revocable(&both, err);
    if (rc == 0 && !known)
        resources_move(needs, &both);
    return rc;
}

int validate_fits(const struct resources *needs, const struct resources *offered, const char *whose,
                  struct fl_err *err)
{
    if (resources_contains(offered, needs))
        return 0;
    _cleanup_buf_ struct fl_buf need = FL_BUF_INIT, have = FL_BUF_INIT;
    resources_format(needs, &need);
    resources_format(offered, &have);
    return fl_err_set(err, FL_INVALID, "%s needs %.180s, which is more than available: %.180s",
                      whose, fl_buf_cstr(&need), fl_buf_cstr(&have));
}

int validate_task(const V1__TaskInfo *t, const struct validate_context *c,
                  struct resources *ret_needs, struct fl_err *err)
{
    _cleanup_resources_ struct resources needs = RESOURCES_INIT;
    int rc = validate_task_alone(t, c, &needs, err);
    if (rc < 0)
        return rc;
    if ((t->executor != NULL) == (t->command != NULL))
        return fl_err_set(err, FL_INVALID,
                          "Task should have either 'command' or 'executor' and not both");
    if (t->executor)
        rc = validate_custom_executor(t, c, &needs, err);
    if (rc == 0)
        rc = validate_fits(&needs, c->offered, "The task with its executor", err);
    if (rc < 0)
        return rc;
    if (!container_shares_cgroups(t->container))
        return fl_err_set(err, FL_INVALID,
                          "Only tasks in a task group may have 'share_cgroups' set to 'false'");
    resources_move(ret_needs, &needs);
    return 0;
}
