/* ExecutorInfo of a launch. Pure. */
#include "common/model/validate_internal.h"

static int validate_type(const V1__ExecutorInfo *e, struct fl_err *err)
{
    if (!e->has_type || e->type == V1__EXECUTOR_INFO__TYPE__UNKNOWN)
        return 0;
    if (e->type == V1__EXECUTOR_INFO__TYPE__CUSTOM) {
        if (!e->command)
            return fl_err_set(err, FL_INVALID,
                              "'ExecutorInfo.command' must be set for 'CUSTOM' executor");
        return 0;
    }
    if (e->command)
        return fl_err_set(err, FL_INVALID,
                          "'ExecutorInfo.command' must not be set for 'DEFAULT' executor");
    if (!e->container)
        return 0;
    if (e->container->type != V1__CONTAINER_INFO__TYPE__MESOS)
        return fl_err_set(err, FL_INVALID,
                          "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor");
    if (e->container->mesos && e->container->mesos->image)
        return fl_err_set(
            err, FL_INVALID,
            "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor");
    return 0;
}

static int validate_fields(const V1__ExecutorInfo *e, struct fl_err *err)
{
    int rc = validate_type(e, err);
    if (rc == 0)
        rc = validate_id(e->executor_id->value, err);
    if (rc < 0)
        return rc;
    if (e->shutdown_grace_period && e->shutdown_grace_period->nanoseconds < 0)
        return fl_err_set(err, FL_INVALID,
                          "ExecutorInfo's 'shutdown_grace_period' must be non-negative");
    if (e->command)
        rc = validate_command(e->command, err);
    if (rc == 0 && e->container)
        rc = validate_container(e->container, err);
    return rc;
}

static int validate_executor_resources(const V1__ExecutorInfo *e, struct resources *ret,
                                       struct fl_err *err)
{
    int rc = validate_and_convert(e->resources, e->n_resources, ret, err);
    if (rc == 0)
        rc = validate_unique_persistence(ret, err);
    if (rc == 0)
        rc = validate_one_allocation(e->resources, e->n_resources, err);
    if (rc == 0)
        rc = validate_not_mixed_revocable(ret, err);
    return rc;
}

/* The framework's id may be left out, and resources may be written in two formats: neither makes a difference. */
bool executors_equal(const V1__ExecutorInfo *a, const V1__ExecutorInfo *b)
{
    V1__ExecutorInfo x = *a, y = *b;
    x.framework_id = y.framework_id = NULL;
    x.n_resources = y.n_resources = 0;
    x.resources = y.resources = NULL;
    if (!fl_pb_equal(&x.base, &y.base))
        return false;
    _cleanup_resources_ struct resources rx = RESOURCES_INIT, ry = RESOURCES_INIT;
    return resources_from_pb(a->resources, a->n_resources, &rx, NULL) == 0 &&
           resources_from_pb(b->resources, b->n_resources, &ry, NULL) == 0 &&
           resources_equal(&rx, &ry);
}

int validate_executor(const V1__ExecutorInfo *e, const struct validate_context *c,
                      struct resources *ret_resources, bool *ret_known, struct fl_err *err)
{
    int rc = validate_fields(e, err);
    if (rc == 0 && e->framework_id && !streq(e->framework_id->value, c->framework_id))
        rc = fl_err_set(err, FL_INVALID, "the executor names framework '%.100s', not its own",
                        e->framework_id->value);
    if (rc == 0)
        rc = validate_executor_resources(e, ret_resources, err);
    if (rc < 0) {
        fl_err_wrap(err, "Executor '%.100s' is invalid", e->executor_id->value);
        return rc;
    }
    const V1__ExecutorInfo *known = c->executor ? c->executor(e->executor_id->value, c->arg) : NULL;
    if (known && !executors_equal(known, e))
        return fl_err_set(
            err, FL_INVALID,
            "Executor '%.100s' runs on the agent already, with a different ExecutorInfo",
            e->executor_id->value);
    *ret_known = known != NULL;
    return 0;
}
