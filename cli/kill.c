/* `fairlead kill`: a task, by asking its agent to end the container; or a whole framework, by TEARDOWN. */
#include <signal.h>
#include <stdio.h>

#include "cli/task.h"

static int kill_framework(struct cli *c, const char *id)
{
    _cleanup_free_ char *body =
        xasprintf("{\"type\":\"TEARDOWN\",\"teardown\":{\"framework_id\":{\"value\":\"%s\"}}}", id);
    _cleanup_answer_ struct answer a = {0};
    struct fl_err err = {0};

    if (cli_request(c->master, "POST", "/api/v1", body, &a, &err) < 0)
        return cli_fail(&err);
    if (a.status != 200)
        return cli_failf("the master does not end '%s': %s", id, a.body);
    return CLI_OK;
}

static int kill_task(struct cli *c, const char *id)
{
    _cleanup_task_place_ struct task_place p = {0};
    _cleanup_answer_ struct answer a = {0};
    struct fl_err err = {0};

    if (task_find(c, id, &p, &err) < 0)
        return cli_fail(&err);
    if (!p.container)
        return cli_failf("the task '%s' is %s: it has no container yet", id, jstr(p.task, "state"));
    _cleanup_free_ char *container = json_dumps(p.container, JSON_COMPACT);
    _cleanup_free_ char *body = xasprintf(
        "{\"type\":\"KILL_CONTAINER\",\"kill_container\":{\"container_id\":%s,\"signal\":%d}}",
        container, SIGTERM);
    if (cli_request(p.agent_address, "POST", "/api/v1", body, &a, &err) < 0)
        return cli_fail(&err);
    if (a.status == 404)
        return cli_failf("the task '%s' is %s: there is nothing to end", id, jstr(p.task, "state"));
    if (a.status != 200)
        return cli_failf("the agent at '%s' does not end '%s': %s", p.agent_address, id, a.body);
    return CLI_OK;
}

int verb_kill(struct cli *c, int argc, char **argv)
{
    const char *framework = NULL;
    const struct opt opts[] = {
        {"--framework ID", OPT_TEXT, &framework, "end this framework and all its tasks"}};
    bool help;
    int i = opt_parse(c, opts, ARRAY_SIZE(opts), argc, argv, &help), code = CLI_OK;

    if (i < 0)
        return help ? CLI_OK : CLI_USAGE;
    if (framework)
        return kill_framework(c, framework);
    if (i >= argc)
        return cli_failf("what? `fairlead kill TASK...` or `fairlead kill --framework ID`"),
               CLI_USAGE;
    for (; i < argc && code == CLI_OK; i++)
        code = kill_task(c, argv[i]);
    return code;
}
