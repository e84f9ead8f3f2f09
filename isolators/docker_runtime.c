/* docker/runtime: how an image says it is to be run, where the task does not say it.
 *
 *   shell true, or a value                    the task's command; Entrypoint and Cmd are not looked at
 *   else, with Entrypoint                     Entrypoint, then the task's arguments, or Cmd if it has none
 *   else, with Cmd                            Cmd[0], then the task's arguments, or the rest of Cmd if it has none
 *   else, or shell without a value            refused
 *
 * Env is added to the environment, behind what the agent sets and before CommandInfo.environment; WorkingDir becomes the working directory.
 * User is not followed, as the reference does not: tasks run as CommandInfo.user or their framework's. --docker_ignore_runtime: nothing. */
#include "isolators/docker_runtime.h"

#include <errno.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "isolators/stateless.h"

static size_t count(char *const *v)
{
    size_t n = 0;

    while (v && v[n])
        n++;
    return n;
}

/* `own`: what the image begins with, whose first is the program. `rest`: what follows it when the task has no arguments. */
static V1__CommandInfo *merged(const V1__CommandInfo *command, char *const *own, size_t n_own,
                               char *const *rest)
{
    V1__CommandInfo c = *command;
    size_t n_rest = command->n_arguments ? command->n_arguments : count(rest);
    char **args = xcalloc(n_own + n_rest, sizeof(*args));

    memcpy(args, own, n_own * sizeof(*args));
    if (n_rest)
        memcpy(args + n_own, command->n_arguments ? command->arguments : rest,
               n_rest * sizeof(*args));
    c.value = own[0];
    c.arguments = args;
    c.n_arguments = n_own + n_rest;
    V1__CommandInfo *copy = FL_PB_DUP(&c);
    free(args);
    return copy;
}

int docker_runtime_command(const V1__CommandInfo *command, const struct image_config *image,
                           V1__CommandInfo **ret, struct fl_err *err)
{
    bool shell = !command->has_shell || command->shell;

    *ret = NULL;
    if (shell && !command->value)
        return fl_err_set(err, FL_INVALID, "Shell specified but no command value provided");
    if (shell || command->value)
        return 0;
    if (count(image->entrypoint))
        *ret = merged(command, image->entrypoint, count(image->entrypoint), image->cmd);
    else if (count(image->cmd))
        *ret = merged(command, image->cmd, 1, image->cmd + 1);
    else
        return fl_err_set(err, FL_INVALID,
                          "No executable is found: the command has no value, the image neither "
                          "Entrypoint nor Cmd");
    return 0;
}

static int runtime_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    const struct image_config *image = c->image;

    if (stateless_config(i)->docker_ignore_runtime || !image)
        return 0;
    if (image->user)
        log_warning("Container '%s': its image wants user '%.100s', which is not followed; give "
                    "CommandInfo.user",
                    c->id, image->user);
    for (char **e = image->env; e && *e; e++)
        if (strchr(*e, '=') && **e != '=')
            launch_plan_env(plan, *e);
    if (image->working_dir)
        launch_plan_string(plan, PLAN_DIRECTORY, image->working_dir);
    fl_pb_free(plan->command);
    plan->command = NULL;
    return docker_runtime_command(c->command, image, &plan->command, err);
}

STATELESS_CREATE(runtime_create, isolator_docker_runtime, false)

const struct isolator_ops isolator_docker_runtime = {
    .name = "docker/runtime",
    .create = runtime_create,
    .free = stateless_free,
    .prepare = runtime_prepare,
};
