/* `fairlead state`, `health`, `version`, `flags`, `metrics`: what a daemon says of itself; of the master, or of an agent with --agent. */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/details.h"
#include "cli/find.h"
#include "common/base/build.h"

#define AGENT_OPTION(variable)                                                                     \
    {                                                                                              \
        "--agent AGENT", OPT_TEXT, variable, "of this agent, not of the master", 0                 \
    }

/* GETs `path` of the agent (NULL: of the leader). */
static int get_from(struct cli *c, const char *agent, const char *path, json_t **ret)
{
    _cleanup_peer_ struct peer peer = {0};
    const struct peer *from = &peer;
    struct fl_err err = {0};

    if (agent) {
        int code = find_agent_peer(c, agent, &peer);
        if (code)
            return code;
    } else if (connection_leader(c, &from, &err) < 0) {
        return cli_fail(&err);
    }
    return cli_get_json(c, from, path, ret, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

/* ---- state ---- */

static void line(const char *label, const char *fmt, ...) _printf_(2, 3);
static void line(const char *label, const char *fmt, ...)
{
    va_list ap;

    printf("%-12s ", label);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static double metric(const json_t *m, const char *name)
{
    char key[80];

    fl_snprintf(key, sizeof(key), "master/%s", name);
    return jnum(m, key);
}

static void print_use(const json_t *m, const char *name)
{
    char used[40], total[40];

    fl_snprintf(used, sizeof(used), "%s_used", name);
    fl_snprintf(total, sizeof(total), "%s_total", name);
    if (metric(m, total) > 0)
        line(name, "%.15g of %.15g used, %.0f %%", metric(m, used), metric(m, total),
             100 * metric(m, used) / metric(m, total));
}

static void print_tasks(const json_t *m)
{
    static const char *const states[] = {"staging",     "starting", "running", "killing",
                                         "unreachable", "finished", "failed",  "killed",
                                         "lost",        "error",    "dropped", "gone"};
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        char key[40];
        fl_snprintf(key, sizeof(key), "tasks_%s", states[i]);
        if (metric(m, key) > 0)
            fl_buf_addf(&text, "%s%.0f %s", text.len ? ", " : "", metric(m, key), states[i]);
    }
    line("tasks", "%s", text.len ? fl_buf_cstr(&text) : "none");
}

static int print_overview(struct cli *c)
{
    _cleanup_json_ json_t *master = NULL, *m = NULL, *version = NULL;
    struct fl_err err = {0};
    char age[16];
    int code = cli_call(c, "GET_MASTER", NULL, NULL, "get_master", &master);

    if (code)
        return code;
    if (cli_get_json(c, NULL, "/metrics/snapshot", &m, &err) < 0 ||
        cli_get_json(c, NULL, "/version", &version, &err) < 0)
        return cli_fail(&err);
    const json_t *info = json_object_get(master, "master_info");
    format_age(jnum(master, "elected_time"), age, sizeof(age));
    line("leader", "%s at %s, elected %s ago", jstr(info, "hostname"), jstr(info, "pid"), age);
    line("version", "%s", jstr(version, "version"));
    line("agents", "%.0f active, %.0f inactive, %.0f unreachable", metric(m, "slaves_active"),
         metric(m, "slaves_inactive"), metric(m, "slaves_unreachable"));
    line("frameworks", "%.0f active, %.0f inactive, %.0f disconnected",
         metric(m, "frameworks_active"), metric(m, "frameworks_inactive"),
         metric(m, "frameworks_disconnected"));
    line("offers", "%.0f outstanding", metric(m, "outstanding_offers"));
    print_tasks(m);
    print_use(m, "cpus");
    print_use(m, "mem");
    print_use(m, "disk");
    print_use(m, "gpus");
    return CLI_OK;
}

int verb_state(struct cli *c, int argc, char **argv)
{
    const char *agent = NULL;
    const struct opt opts[] = {AGENT_OPTION(&agent)};
    _cleanup_json_ json_t *state = NULL;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    if (!c->json && !agent)
        return print_overview(c);
    code = get_from(c, agent, "/state", &state);
    if (code == CLI_OK)
        cli_print_json(state);
    return code;
}

/* ---- health ---- */

static int print_health(struct cli *c, const char *who, int status, const char *why)
{
    if (c->json) {
        _cleanup_json_ json_t *o =
            json_pack("{s:s, s:b, s:s}", "who", who, "healthy", status == 200, "why", why);
        cli_print_json(o);
    } else {
        printf("%s %s%s%s\n", who, status == 200 ? "healthy" : "not healthy", *why ? ": " : "",
               why);
    }
    return status == 200 ? CLI_OK : CLI_UNREACHABLE;
}

int verb_health(struct cli *c, int argc, char **argv)
{
    const char *agent = NULL;
    const struct opt opts[] = {AGENT_OPTION(&agent)};
    _cleanup_answer_ struct answer a = {0};
    _cleanup_peer_ struct peer peer = {0};
    const struct peer *leader;
    struct fl_err err = {0};
    int r, code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    if (agent) {
        code = find_agent_peer(c, agent, &peer);
        if (code)
            return code;
        r = cli_peer_request(c, &peer, "GET", "/health", NULL, 0, &a, &err);
        return print_health(c, peer.name, r < 0 ? 0 : a.status, r < 0 ? err.msg : "");
    }
    /* There has to be a leader. */
    r = connection_leader(c, &leader, &err);
    if (r == 0)
        r = cli_peer_request(c, leader, "GET", "/health", NULL, 0, &a, &err);
    return print_health(c, r < 0 ? connection_masters(c) : leader->name, r < 0 ? 0 : a.status,
                        r < 0 ? err.msg : "");
}

/* ---- version ---- */

int verb_version(struct cli *c, int argc, char **argv)
{
    const char *agent = NULL;
    const struct opt opts[] = {AGENT_OPTION(&agent)};
    _cleanup_json_ json_t *daemon = NULL;
    _cleanup_peer_ struct peer peer = {0};
    struct fl_err err = {0};
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    if (agent) {
        code = find_agent_peer(c, agent, &peer);
        if (code)
            return code;
    }
    int r = cli_get_json(c, agent ? &peer : NULL, "/version", &daemon, &err);
    if (c->json) {
        _cleanup_json_ json_t *both = json_pack(
            "{s:{s:s,s:s,s:s},s:O?}", "client", "version", FL_VERSION, "build_date", fl_build.date,
            "git_sha", fl_build.git_sha, agent ? "agent" : "master", daemon);
        cli_print_json(both);
        return CLI_OK;
    }
    printf("fairlead %s (%s)\n", FL_VERSION, fl_build.date);
    if (agent)
        printf("%s: ", peer.name + strlen("the "));
    else
        printf("master at %s: ", connection_masters(c));
    if (r < 0)
        printf("%s\n", err.msg);
    else
        printf("%s (%s)\n", jstr(daemon, "version"), jstr(daemon, "build_date"));
    return CLI_OK;
}

/* ---- flags, metrics ---- */

/* Members whose names fit, as a table or as an object; in the order of names. */
static int print_pairs(struct cli *c, json_t *o, const char *pattern, const char *const *heads)
{
    _cleanup_free_ char *anywhere =
        pattern && !strpbrk(pattern, "*?[") ? xasprintf("*%s*", pattern) : NULL;
    _cleanup_json_ json_t *kept = json_object();
    const char *key;
    json_t *value;

    json_object_foreach(o, key, value)
    {
        if (!pattern || fnmatch(anywhere ? anywhere : pattern, key, 0) == 0)
            json_object_set(kept, key, value);
    }
    if (pattern && !json_object_size(kept))
        return cli_fail_as(CLI_NOT_FOUND, "nothing fits '%s'", pattern);
    _cleanup_free_ char *sorted = json_dumps(kept, JSON_SORT_KEYS | JSON_COMPACT);
    _cleanup_json_ json_t *in_order = json_loads(sorted, 0, NULL);
    if (c->json) {
        cli_print_json(in_order);
        return CLI_OK;
    }
    struct table *t = table_new(heads, 2);
    json_object_foreach(in_order, key, value)
    {
        _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
        value_text(value, &text);
        table_cell(t, "%s", key);
        table_cell(t, "%s", fl_buf_cstr(&text));
    }
    table_print(c, t);
    return CLI_OK;
}

/* `member` of what the daemon answers, or all of it (NULL). */
static int pairs_of(struct cli *c, int argc, char **argv, const char *path, const char *member,
                    const char *const *heads)
{
    const char *agent = NULL;
    const struct opt opts[] = {AGENT_OPTION(&agent)};
    _cleanup_json_ json_t *all = NULL;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 1, &code);

    if (i < 0)
        return code;
    code = get_from(c, agent, path, &all);
    if (code)
        return code;
    return print_pairs(c, member ? json_object_get(all, member) : all, i < argc ? argv[i] : NULL,
                       heads);
}

int verb_flags(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"FLAG", "VALUE"};

    return pairs_of(c, argc, argv, "/flags", "flags", heads);
}

int verb_metrics(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"METRIC", "#VALUE"};

    return pairs_of(c, argc, argv, "/metrics/snapshot", NULL, heads);
}
