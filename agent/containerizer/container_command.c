/* The command of a container as program, arguments and environment of its launch plan.
 *
 * Environment, later wins: the agent's own without what configures the agent itself (or --executor_environment_variables instead);
 * what the core adds (MESOS_...); what isolators add (of images, secrets); CommandInfo.environment. MESOS_SANDBOX is the sandbox as
 * the command sees it.
 */
#include "agent/containerizer/containerizer_priv.h"

#include <jansson.h>

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void env_free(char **env)
{
    for (char **e = env; e && *e; e++)
        free(*e);
    free(env);
}

struct env_list {
    char **v; /* owned strings */
    size_t n, cap;
};

static void env_list_done(struct env_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

/* Takes `entry`, "NAME=value"; replaces one of that name. */
static void env_set(struct env_list *l, char *entry)
{
    size_t name = strcspn(entry, "=") + 1;

    for (size_t i = 0; i < l->n; i++)
        if (strncmp(l->v[i], entry, name) == 0) {
            free(l->v[i]);
            l->v[i] = entry;
            return;
        }
    l->v = xgrow(l->v, &l->cap, l->n + 2, sizeof(char *));
    l->v[l->n++] = entry;
    l->v[l->n] = NULL;
}

/* What configures this agent is not for its tasks. */
static bool is_private(const char *entry)
{
    return str_starts(entry, "LIBPROCESS_") || str_starts(entry, "MESOS_") ||
           str_starts(entry, "FAIRLEAD_");
}

static int env_from_json(const char *text, struct env_list *l, struct fl_err *err)
{
    json_error_t je;
    const char *name;
    json_t *value, *root = json_loads(text, 0, &je);
    int r = 0;

    if (!json_is_object(root)) {
        json_decref(root);
        return fl_err_set(err, FL_INVALID,
                          "--executor_environment_variables must be a JSON object of texts: %s",
                          root ? "it is another value" : je.text);
    }
    json_object_foreach(root, name, value)
    {
        if (!json_is_string(value) || strchr(name, '=') || !*name)
            r = fl_err_set(err, FL_INVALID, "--executor_environment_variables: '%s' must be a text",
                           name);
        else
            env_set(l, xasprintf("%s=%s", name, json_string_value(value)));
    }
    json_decref(root);
    return r;
}

char **inherited_environment(const struct agent_flags *flags, struct fl_err *err)
{
    struct env_list l = {NULL, 0, 0};

    env_set(&l, xstrdup(DEFAULT_PATH));
    if (flags->executor_environment_variables) {
        if (env_from_json(flags->executor_environment_variables, &l, err) < 0) {
            env_list_done(&l);
            return NULL;
        }
        return l.v;
    }
    for (char **e = environ; e && *e; e++)
        if (strchr(*e, '=') && **e != '=' && !is_private(*e))
            env_set(&l, xstrdup(*e));
    return l.v;
}

static bool is_secret(const V1__Environment__Variable *v)
{
    return v->has_type && v->type == V1__ENVIRONMENT__VARIABLE__TYPE__SECRET;
}

/* `ret_entry`: the caller's. */
static int variable_entry(const V1__Environment__Variable *v, char **ret_entry, struct fl_err *err)
{
    if (!*v->name || strchr(v->name, '='))
        return fl_err_set(err, FL_INVALID, "'%s' cannot be the name of an environment variable",
                          v->name);
    *ret_entry = xasprintf("%s=%s", v->name, v->value ? v->value : "");
    return 0;
}

/* Whoever looks into a container sees what its command sees, from where its command began. */
static void take_from_parent(struct container *c, struct env_list *l)
{
    _cleanup_free_ char *data = NULL, *directory = NULL;
    struct plan_record r;
    size_t n, pos;

    if (runtime_file_read(c->parent->folder, "plan", PLAN_MAX_SIZE, &data, &n, NULL) < 0 ||
        !plan_begin(data, n, &pos))
        return;
    while (plan_next(data, n, &pos, &r) > 0) {
        if (r.tag == PLAN_ENV)
            env_set(l, xstrdup(r.data));
        if (r.tag == PLAN_DIRECTORY || (r.tag == PLAN_SANDBOX && !directory)) {
            free(directory);
            directory = xstrdup(r.data);
        }
    }
    if (directory)
        launch_plan_string(&c->plan, PLAN_DIRECTORY, directory);
}

static int plan_environment(struct container *c, struct fl_err *err)
{
    _cleanup_(env_list_done) struct env_list l = {NULL, 0, 0};
    const V1__Environment *e = c->command->environment;

    for (char **i = c->cz->inherited_env; *i; i++)
        env_set(&l, xstrdup(*i));
    if (c->debug)
        take_from_parent(c, &l);
    for (char **i = c->env; i && *i; i++) {
        if (!c->debug || !str_starts(*i, "MESOS_SANDBOX="))
            env_set(&l, xstrdup(*i));
    }
    if (c->rootfs)
        env_set(&l, xasprintf("MESOS_SANDBOX=%s", c->cz->flags->sandbox_directory));
    for (size_t i = 0; i < c->plan.n_env; i++)
        env_set(&l, xstrdup(c->plan.env[i]));
    for (size_t i = 0; e && i < e->n_variables; i++) {
        char *entry = NULL;
        if (is_secret(e->variables[i]))
            continue; /* environment_secret has it */
        int r = variable_entry(e->variables[i], &entry, err);
        if (r < 0)
            return r;
        env_set(&l, entry);
    }
    for (size_t i = 0; i < l.n; i++)
        launch_plan_string(&c->plan, PLAN_ENV, l.v[i]);
    return 0;
}

/* Shell: `/bin/sh -c value`. Otherwise `value` is looked for in PATH and `arguments` is the whole argv. */
static int plan_program(struct container *c, struct fl_err *err)
{
    const V1__CommandInfo *cmd = c->plan.command ? c->plan.command : c->command;

    if (!cmd->value || !*cmd->value)
        return fl_err_set(err, FL_INVALID, "the command has no value, so there is nothing to run");
    if (!cmd->has_shell || cmd->shell) {
        launch_plan_string(&c->plan, PLAN_PROGRAM, "/bin/sh");
        launch_plan_string(&c->plan, PLAN_ARG, "sh");
        launch_plan_string(&c->plan, PLAN_ARG, "-c");
        launch_plan_string(&c->plan, PLAN_ARG, cmd->value);
        return 0;
    }
    launch_plan_string(&c->plan, PLAN_PROGRAM, cmd->value);
    if (cmd->n_arguments == 0)
        launch_plan_string(&c->plan, PLAN_ARG, cmd->value);
    for (size_t i = 0; i < cmd->n_arguments; i++)
        launch_plan_string(&c->plan, PLAN_ARG, cmd->arguments[i]);
    return 0;
}

static void plan_for_recovery(struct container *c)
{
    struct fl_arena *arena = fl_arena_new(1024);
    Msg__CheckpointResourcesMessage m = MSG__CHECKPOINT_RESOURCES_MESSAGE__INIT;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    m.n_resources =
        resources_to_pb(&c->resources, RESOURCES_POST_REFINEMENT, true, arena, &m.resources);
    fl_buf_pack(&b, &m.base);
    launch_plan_bytes(&c->plan, PLAN_RESOURCES, b.data, b.len);
    fl_arena_free(arena);
    launch_plan_limits(&c->plan, c->cpu_limit, c->mem_limit);
    if (c->user)
        launch_plan_string(&c->plan, PLAN_USER, c->user);
}

int container_plan_command(struct container *c, struct fl_err *err)
{
    launch_plan_string(&c->plan, PLAN_SANDBOX, c->sandbox);
    if (c->parent) {
        launch_plan_string(&c->plan, PLAN_SANDBOX_ROOT, container_root(c)->sandbox);
        launch_plan_join(&c->plan, c->parent->folder);
    }
    int r = plan_program(c, err);
    if (r == 0)
        r = plan_environment(c, err);
    plan_for_recovery(c);
    return r;
}
