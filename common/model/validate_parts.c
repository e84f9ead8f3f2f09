/* Commands, containers, checks: parts that tasks and executors have in common. Pure. */
#include "common/model/validate_internal.h"

static int expecting(const char *what, struct fl_err *err)
{
    return fl_err_set(err, FL_INVALID, "Expecting %s", what);
}

/* ---- commands ---- */

static int validate_secret(const V1__Secret *s, struct fl_err *err)
{
    if (s->has_type && s->type == V1__SECRET__TYPE__REFERENCE && (!s->reference || s->value))
        return fl_err_set(err, FL_INVALID,
                          "a secret of type REFERENCE has 'reference' and not 'value'");
    if (s->has_type && s->type == V1__SECRET__TYPE__VALUE && (!s->value || s->reference))
        return fl_err_set(err, FL_INVALID,
                          "a secret of type VALUE has 'value' and not 'reference'");
    return 0;
}

static int validate_secret_variable(const V1__Environment__Variable *v, struct fl_err *err)
{
    if (!v->secret || v->value)
        return fl_err_set(
            err, FL_INVALID,
            "environment variable '%.100s' of type SECRET has 'secret' and not 'value'", v->name);
    int rc = validate_secret(v->secret, err);
    if (rc < 0) {
        fl_err_wrap(err, "environment variable '%.100s'", v->name);
        return rc;
    }
    const V1__Secret__Value *value = v->secret->value;
    if (value && value->data.len && memchr(value->data.data, 0, value->data.len))
        return fl_err_set(err, FL_INVALID,
                          "the secret of environment variable '%.100s' has a zero byte", v->name);
    return 0;
}

static int validate_variable(const V1__Environment__Variable *v, struct fl_err *err)
{
    switch (v->type) {
    case V1__ENVIRONMENT__VARIABLE__TYPE__SECRET:
        return validate_secret_variable(v, err);
    case V1__ENVIRONMENT__VARIABLE__TYPE__VALUE:
        if (!v->value || v->secret)
            return fl_err_set(
                err, FL_INVALID,
                "environment variable '%.100s' of type VALUE has 'value' and not 'secret'",
                v->name);
        return 0;
    default:
        return fl_err_set(err, FL_INVALID, "environment variable '%.100s' has an unknown type",
                          v->name);
    }
}

int validate_command(const V1__CommandInfo *command, struct fl_err *err)
{
    for (size_t i = 0; command->environment && i < command->environment->n_variables; i++) {
        int rc = validate_variable(command->environment->variables[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- containers ---- */

static int validate_volume_source(const V1__Volume__Source *s, struct fl_err *err)
{
    switch (s->has_type ? s->type : V1__VOLUME__SOURCE__TYPE__UNKNOWN) {
    case V1__VOLUME__SOURCE__TYPE__DOCKER_VOLUME:
        return s->docker_volume ? 0 : expecting("'source.docker_volume' of a DOCKER_VOLUME", err);
    case V1__VOLUME__SOURCE__TYPE__HOST_PATH:
        return s->host_path ? 0 : expecting("'source.host_path' of a HOST_PATH volume", err);
    case V1__VOLUME__SOURCE__TYPE__SANDBOX_PATH:
        return s->sandbox_path ? 0
                               : expecting("'source.sandbox_path' of a SANDBOX_PATH volume", err);
    case V1__VOLUME__SOURCE__TYPE__SECRET:
        return s->secret ? 0 : expecting("'source.secret' of a SECRET volume", err);
    case V1__VOLUME__SOURCE__TYPE__CSI_VOLUME:
        if (s->csi_volume && s->csi_volume->static_provisioning)
            return 0;
        return expecting("'source.csi_volume.static_provisioning' of a CSI_VOLUME", err);
    default:
        return fl_err_set(err, FL_INVALID, "'source.type' of a volume is not known");
    }
}

static int validate_volume(const V1__Volume *v, struct fl_err *err)
{
    if ((v->host_path != NULL) + (v->image != NULL) + (v->source != NULL) != 1)
        return fl_err_set(
            err, FL_INVALID,
            "volume '%.100s' must have exactly one of 'host_path', 'image' and 'source'",
            v->container_path);
    return v->source ? validate_volume_source(v->source, err) : 0;
}

int validate_container(const V1__ContainerInfo *container, struct fl_err *err)
{
    for (size_t i = 0; i < container->n_volumes; i++) {
        int rc = validate_volume(container->volumes[i], err);
        if (rc < 0)
            return rc;
    }
    if (container->type != V1__CONTAINER_INFO__TYPE__DOCKER)
        return 0;
    if (!container->docker)
        return expecting("'docker' in a container of type DOCKER", err);
    for (size_t i = 0; i < container->docker->n_parameters; i++)
        if (streq(container->docker->parameters[i]->key, "name"))
            return fl_err_set(err, FL_INVALID,
                              "a parameter of a DOCKER container must not be 'name'");
    return 0;
}

bool container_shares_cgroups(const V1__ContainerInfo *container)
{
    const V1__LinuxInfo *info = container ? container->linux_info : NULL;
    return !info || !info->has_share_cgroups || info->share_cgroups;
}

/* ---- checks ---- */

static int validate_check_command(const V1__CommandInfo *command, struct fl_err *err)
{
    if (!command->value)
        return fl_err_set(err, FL_INVALID, "a command check must contain %s",
                          command->shell ? "a shell command" : "the path of a program");
    return validate_command(command, err);
}

static int validate_path(const char *path, struct fl_err *err)
{
    if (path && path[0] != '/')
        return fl_err_set(err, FL_INVALID, "the path '%.200s' of an HTTP check must start with '/'",
                          path);
    return 0;
}

static int validate_not_negative(bool has, double seconds, const char *name, struct fl_err *err)
{
    if (has && !(seconds >= 0))
        return fl_err_set(err, FL_INVALID, "Expecting '%s' to be non-negative", name);
    return 0;
}

static int validate_check_kind(const V1__CheckInfo *check, struct fl_err *err)
{
    if (!check->has_type)
        return fl_err_set(err, FL_INVALID, "CheckInfo must specify 'type'");
    switch (check->type) {
    case V1__CHECK_INFO__TYPE__COMMAND:
        return check->command ? validate_check_command(check->command->command, err)
                              : expecting("'command' to be set for COMMAND check", err);
    case V1__CHECK_INFO__TYPE__HTTP:
        return check->http ? validate_path(check->http->path, err)
                           : expecting("'http' to be set for HTTP check", err);
    case V1__CHECK_INFO__TYPE__TCP:
        return check->tcp ? 0 : expecting("'tcp' to be set for TCP check", err);
    default:
        return fl_err_set(err, FL_INVALID, "the type of the check is not known");
    }
}

int validate_check(const V1__CheckInfo *check, struct fl_err *err)
{
    int rc = validate_check_kind(check, err);
    if (rc == 0)
        rc = validate_not_negative(check->has_delay_seconds, check->delay_seconds, "delay_seconds",
                                   err);
    if (rc == 0)
        rc = validate_not_negative(check->has_interval_seconds, check->interval_seconds,
                                   "interval_seconds", err);
    if (rc == 0)
        rc = validate_not_negative(check->has_timeout_seconds, check->timeout_seconds,
                                   "timeout_seconds", err);
    return rc;
}

static int validate_http(const V1__HealthCheck__HTTPCheckInfo *http, struct fl_err *err)
{
    if (!http)
        return expecting("'http' to be set for HTTP health check", err);
    if (http->scheme && !streq(http->scheme, "http") && !streq(http->scheme, "https"))
        return fl_err_set(err, FL_INVALID,
                          "the scheme '%.50s' of an HTTP health check is not supported",
                          http->scheme);
    return validate_path(http->path, err);
}

static int validate_health_kind(const V1__HealthCheck *check, struct fl_err *err)
{
    if (!check->has_type)
        return fl_err_set(err, FL_INVALID, "HealthCheck must specify 'type'");
    switch (check->type) {
    case V1__HEALTH_CHECK__TYPE__COMMAND:
        return check->command ? validate_check_command(check->command, err)
                              : expecting("'command' to be set for COMMAND health check", err);
    case V1__HEALTH_CHECK__TYPE__HTTP:
        return validate_http(check->http, err);
    case V1__HEALTH_CHECK__TYPE__TCP:
        return check->tcp ? 0 : expecting("'tcp' to be set for TCP health check", err);
    default:
        return fl_err_set(err, FL_INVALID, "the type of the health check is not known");
    }
}

int validate_health_check(const V1__HealthCheck *check, struct fl_err *err)
{
    int rc = validate_health_kind(check, err);
    if (rc == 0)
        rc = validate_not_negative(check->has_delay_seconds, check->delay_seconds, "delay_seconds",
                                   err);
    if (rc == 0)
        rc = validate_not_negative(check->has_grace_period_seconds, check->grace_period_seconds,
                                   "grace_period_seconds", err);
    if (rc == 0)
        rc = validate_not_negative(check->has_interval_seconds, check->interval_seconds,
                                   "interval_seconds", err);
    if (rc == 0)
        rc = validate_not_negative(check->has_timeout_seconds, check->timeout_seconds,
                                   "timeout_seconds", err);
    return rc;
}
