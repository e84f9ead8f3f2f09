/* `fairlead kill`: a task, by asking its agent to end the container. `fairlead teardown`, and `kill --framework`: a whole framework. */
#include <signal.h>
#include <stdio.h>

#include "cli/find.h"
#include "cli/task.h"

static int teardown(struct cli *c, const char *word)
{
    _cleanup_json_ json_t *f = NULL;
    int code = find_framework(c, word, false, &f);

    if (code == CLI_OK)
        code = cli_confirm(c, "End framework %s (%s) and all its tasks?", framework_id_of(f),
                           jstr(json_object_get(f, "framework_info"), "name"));
    if (code)
        return code;
    return cli_call(c, "TEARDOWN", "teardown",
                    json_pack("{s:{s:s}}", "framework_id", "value", framework_id_of(f)), NULL,
                    NULL);
}

int verb_teardown(struct cli *c, int argc, char **argv)
{
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1, &code);

    return i < 0 ? code : teardown(c, argv[i]);
}

static int kill_task(struct cli *c, const char *word, unsigned signo)
{
    _cleanup_task_place_ struct task_place p = {0};
    _cleanup_peer_ struct peer peer = {0};
    _cleanup_answer_ struct answer a = {0};
    struct fl_err err = {0};
    int code;

    if (task_find(c, word, &p, &err) < 0)
        return cli_fail(&err);
    const char *id = jstr(p.task, "id"), *state = jstr(p.task, "state");
    if (!p.container)
        return cli_failf("the task '%s' is %s: it has no container yet", id, state);
    code = cli_confirm(c, "End task %s (%s)?", id, state);
    if (code)
        return code;
    _cleanup_json_ json_t *call =
        json_pack("{s:s, s:{s:O, s:i}}", "type", "KILL_CONTAINER", "kill_container", "container_id",
                  p.container, "signal", (int)signo);
    _cleanup_free_ char *body = json_dumps(call, JSON_COMPACT);
    if (task_peer(c, &p, &peer, &err) < 0 ||
        cli_peer_request(c, &peer, "POST", "/api/v1", body, 0, &a, &err) < 0)
        return cli_fail(&err);
    if (a.status == 404)
        return cli_failf("the task '%s' is %s: there is nothing to end", id, state);
    if (a.status != 200) {
        cli_status_err(&a, peer.name, "to end it", &err);
        return cli_fail(&err);
    }
    return CLI_OK;
}

int verb_kill(struct cli *c, int argc, char **argv)
{
    const char *framework = NULL;
    unsigned signo = SIGTERM;
    const struct opt opts[] = {
        {"--framework FRAMEWORK", OPT_TEXT, &framework, "end this framework and all its tasks", 0},
        {"--signal N", OPT_COUNT, &signo, "send this signal (15)", 's'},
    };
    int code, i = opt_parse(c, opts, ARRAY_SIZE(opts), argc, argv, &code);

    if (i < 0)
        return code;
    if (framework)
        return i < argc ? cli_fail_as(CLI_USAGE, "tasks or --framework, not both")
                        : teardown(c, framework);
    if (i >= argc)
        return cli_fail_as(CLI_USAGE,
                           "what? `fairlead kill TASK...` or `fairlead kill --framework ID`");
    if (signo >= NSIG)
        return cli_fail_as(CLI_USAGE, "there is no signal %u", signo);
    for (code = CLI_OK; i < argc && code == CLI_OK; i++)
        code = kill_task(c, argv[i], signo);
    return code;
}
