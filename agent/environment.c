/* The environment that executors and command tasks are given (features.md 1.3). Order: the operator's
 * --executor_environment_variables (or the agent's own PATH), then ours; the command's own variables come after, in the containerizer. */
#include <jansson.h>
#include <stdio.h>

#include "agent/agent_priv.h"
#include "common/base/http_auth.h"
#include "common/base/log.h"

struct env_list {
    char **p;
    size_t n, cap;
};

static void add(struct env_list *l, const char *name, const char *value)
{
    l->p = xgrow(l->p, &l->cap, l->n + 2, sizeof(char *));
    l->p[l->n++] = agent_path_join(name, "=", value, NULL);
    l->p[l->n] = NULL;
}

static void add_operators(struct env_list *l, const char *text)
{
    json_error_t why;
    json_t *root = text ? json_loads(text, 0, &why) : NULL;
    const char *name;
    json_t *value;

    if (text && !json_is_object(root))
        log_warning("--executor_environment_variables is not a JSON object, ignoring");
    json_object_foreach(root, name, value)
    {
        if (json_is_string(value))
            add(l, name, json_string_value(value));
    }
    json_decref(root);
}

static void add_duration(struct env_list *l, const char *name, uint64_t us)
{
    char text[48];

    fl_duration_format(us, text, sizeof text);
    add(l, name, text);
}

/* Who it is, for its calls: features.md section 7. */
static void add_token(struct env_list *l, const struct agent_executor *e)
{
    const struct http_claim claims[] = {
        {(char *)"fid", e->framework->id},
        {(char *)"eid", e->id},
        {(char *)"cid", (char *)e->container_id},
    };
    _cleanup_free_ char *token = http_token_make(claims, ARRAY_SIZE(claims), e->core->token_key);

    add(l, "MESOS_EXECUTOR_AUTHENTICATION_TOKEN", token);
}

char **agent_executor_env(struct agent_executor *e, const char *role_or_null)
{
    struct agent_core *a = e->core;
    bool checkpoint = agent_checkpoints(e->framework);
    _cleanup_free_ char *directory = agent_executor_directory(e);
    struct env_list l = {0};

    add_operators(&l, a->flags->executor_environment_variables);
    add(&l, "LIBPROCESS_IP", a->ip);
    add(&l, "LIBPROCESS_PORT", "0");
    add(&l, "MESOS_FRAMEWORK_ID", e->framework->id);
    add(&l, "MESOS_EXECUTOR_ID", e->id);
    add(&l, "MESOS_DIRECTORY", directory);
    add(&l, "MESOS_SANDBOX", directory);
    add(&l, "MESOS_CONTAINER_IP", a->ip);
    add(&l, "MESOS_SLAVE_ID", a->info->id->value);
    add(&l, "MESOS_SLAVE_PID", a->pid);
    add(&l, "MESOS_AGENT_ENDPOINT", a->endpoint);
    add(&l, "MESOS_CHECKPOINT", checkpoint ? "1" : "0");
    add(&l, "MESOS_HTTP_COMMAND_EXECUTOR", "0");
    add_duration(&l, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", e->grace_us);
    if (checkpoint) {
        add_duration(&l, "MESOS_RECOVERY_TIMEOUT", a->flags->recovery_timeout);
        add_duration(&l, "MESOS_SUBSCRIPTION_BACKOFF_MAX",
                     a->flags->executor_reregistration_timeout);
    }
    /* A command task is nobody's client: its secret would only lie about. */
    if (a->token_key && !e->command)
        add_token(&l, e);
    if (role_or_null)
        add(&l, "MESOS_ALLOCATION_ROLE", role_or_null);
    return l.p;
}

void agent_env_free(char **env)
{
    for (size_t i = 0; env && env[i]; i++)
        free(env[i]);
    free(env);
}
