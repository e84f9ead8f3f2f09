/* `fairlead drain`, `reactivate`, `deactivate`, `gone`: what becomes of an agent. */
#include <stdio.h>
#include <time.h>

#include "cli/amounts.h"
#include "cli/find.h"

static json_t *agent_body(const char *id)
{
    return json_pack("{s:{s:s}}", "agent_id", "value", id);
}

/* Until it says DRAINED, or is gone. */
static int wait_drained(struct cli *c, const char *id)
{
    const struct timespec pause = {.tv_nsec = 200000000};

    for (;;) {
        _cleanup_buf_ struct fl_buf path = FL_BUF_INIT;
        _cleanup_json_ json_t *list = NULL;
        fl_buf_adds(&path, "/slaves");
        query_add(&path, "slave_id", id);
        int code = cli_get_list(c, fl_buf_cstr(&path), "slaves", &list);
        if (code)
            return code;
        const json_t *a = json_array_get(list, 0);
        if (!a || streq(jstr(json_object_get(a, "drain_info"), "state"), "DRAINED"))
            return CLI_OK;
        if (!json_object_get(a, "drain_info"))
            return cli_failf("the agent '%s' is not being drained any more", id);
        nanosleep(&pause, NULL);
    }
}

static int drain(struct cli *c, const json_t *agent, const char *grace, bool mark_gone, bool wait)
{
    const char *id = jstr(agent, "id");
    json_t *body = agent_body(id);
    struct fl_err err = {0};
    int64_t ns;
    int code = CLI_OK;

    if (grace && amounts_duration(grace, &ns, &err) < 0)
        code = cli_fail_as(CLI_USAGE, "--grace: %s", err.msg);
    else if (grace)
        json_object_set_new(body, "max_grace_period",
                            json_pack("{s:I, s:I}", "seconds", (json_int_t)(ns / 1000000000),
                                      "nanos", (json_int_t)(ns % 1000000000)));
    if (code == CLI_OK)
        code = cli_confirm(c, "End all tasks of agent %s (%s)%s?", id, jstr(agent, "hostname"),
                           mark_gone ? " and mark it gone for ever" : "");
    if (code) {
        json_decref(body);
        return code;
    }
    json_object_set_new(body, "mark_gone", json_boolean(mark_gone));
    code = cli_call(c, "DRAIN_AGENT", "drain_agent", body, NULL, NULL);
    return code == CLI_OK && wait ? wait_drained(c, id) : code;
}

int verb_drain(struct cli *c, int argc, char **argv)
{
    const char *grace = NULL;
    bool mark_gone = false, wait = false;
    const struct opt opts[] = {
        {"--grace DURATION", OPT_TEXT, &grace, "tasks get at most so long to end: 90s, 10m", 0},
        {"--mark-gone", OPT_FLAG, &mark_gone, "and then the agent is gone for ever", 0},
        {"--wait", OPT_FLAG, &wait, "until it is empty", 0},
    };
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 1, 1000, &code);

    for (; i >= 0 && i < argc && code == CLI_OK; i++) {
        _cleanup_json_ json_t *agent = NULL;
        code = find_agent(c, argv[i], &agent);
        if (code == CLI_OK)
            code = drain(c, agent, grace, mark_gone, wait);
    }
    return code;
}

static int each_agent(struct cli *c, int argc, char **argv, const char *type, const char *key)
{
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1000, &code);

    for (; i >= 0 && i < argc && code == CLI_OK; i++) {
        _cleanup_json_ json_t *agent = NULL;
        code = find_agent(c, argv[i], &agent);
        if (code == CLI_OK)
            code = cli_call(c, type, key, agent_body(jstr(agent, "id")), NULL, NULL);
    }
    return code;
}

int verb_deactivate(struct cli *c, int argc, char **argv)
{
    return each_agent(c, argc, argv, "DEACTIVATE_AGENT", "deactivate_agent");
}

int verb_reactivate(struct cli *c, int argc, char **argv)
{
    return each_agent(c, argc, argv, "REACTIVATE_AGENT", "reactivate_agent");
}

/* Not only registered agents can be gone: an id that the master lists nowhere is passed on as it is. */
int verb_gone(struct cli *c, int argc, char **argv)
{
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1000, &code);

    for (; i >= 0 && i < argc && code == CLI_OK; i++) {
        _cleanup_json_ json_t *agent = NULL;
        const char *id = argv[i];
        if (!strstr(id, "-S")) {
            code = find_agent(c, id, &agent);
            id = agent ? jstr(agent, "id") : id;
        }
        if (code == CLI_OK)
            code = cli_confirm(
                c, "Mark agent %s gone for ever? Its tasks are lost and it may not come back.", id);
        if (code == CLI_OK)
            code = cli_call(c, "MARK_AGENT_GONE", "mark_agent_gone", agent_body(id), NULL, NULL);
    }
    return code;
}
