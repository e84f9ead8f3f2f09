/* ps, agents, frameworks, version: the master's state as tables or JSON. */
#include <stdio.h>

#include "cli/cli.h"
#include "common/base/build.h"

/* Options of a listing verb; true when the verb is done and *ret_code says how. */
static bool list_options(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
                         int *ret_code)
{
    bool help;
    int i = opt_parse(c, opts, n, argc, argv, &help);

    if (i < 0) {
        *ret_code = help ? CLI_OK : CLI_USAGE;
        return true;
    }
    *ret_code = opt_no_words(argc, argv, i);
    return *ret_code != CLI_OK;
}

static bool task_is_live(const json_t *t)
{
    static const char *const live[] = {"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING",
                                       "TASK_KILLING", "TASK_UNREACHABLE"};

    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        if (streq(jstr(t, "state"), live[i]))
            return true;
    return false;
}

static void ps_row(struct table *t, const json_t *task)
{
    const json_t *res = json_object_get(task, "resources");
    const json_t *statuses = json_object_get(task, "statuses");
    const json_t *last =
        json_array_get(statuses, json_array_size(statuses) ? json_array_size(statuses) - 1 : 0);
    char age[16];

    format_age(jnum(last, "timestamp"), age, sizeof(age));
    table_cell(t, "%s", jstr(task, "id"));
    table_cell(t, "%s", jstr(task, "name"));
    table_cell(t, "%s", jstr(task, "state"));
    table_cell(t, "%s", age);
    table_cell(t, "%g", jnum(res, "cpus"));
    table_cell(t, "%g", jnum(res, "mem"));
    table_cell(t, "%s", jstr(task, "role"));
    table_cell(t, "%s", jstr(task, "slave_id"));
    table_cell(t, "%s", jstr(task, "framework_id"));
}

int verb_ps(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"TASK", "NAME", "STATE", "SINCE",    "CPUS",
                                        "MEM",  "ROLE", "AGENT", "FRAMEWORK"};
    bool all = false;
    const char *framework = NULL;
    const struct opt opts[] = {
        {"--all", OPT_FLAG, &all, "ended tasks too"},
        {"--framework ID", OPT_TEXT, &framework, "only tasks of this framework"},
    };
    _cleanup_json_ json_t *tasks = NULL, *shown = json_array();
    json_t *task;
    size_t i;
    int code;

    if (list_options(c, opts, ARRAY_SIZE(opts), argc, argv, &code))
        return code;
    code = cli_get_list(c, "/tasks?limit=1000000&order=asc", "tasks", &tasks);
    if (code)
        return code;
    json_array_foreach(tasks, i,
                       task) if ((all || task_is_live(task)) &&
                                 (!framework || streq(framework, jstr(task, "framework_id"))))
        json_array_append(shown, task);
    if (c->json) {
        cli_print_json(shown);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(shown, i, task) ps_row(t, task);
    table_print(t);
    return CLI_OK;
}

int verb_agents(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"AGENT", "HOST", "STATE", "CPUS",
                                        "MEM",   "DISK", "SINCE", "VERSION"};
    _cleanup_json_ json_t *agents = NULL;
    json_t *a;
    size_t i;
    int code;

    if (list_options(c, NULL, 0, argc, argv, &code))
        return code;
    code = cli_get_list(c, "/slaves", "slaves", &agents);
    if (code)
        return code;
    if (c->json) {
        cli_print_json(agents);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(agents, i, a)
    {
        const json_t *total = json_object_get(a, "resources"),
                     *used = json_object_get(a, "used_resources");
        char age[16];
        format_age(jnum(a, "registered_time"), age, sizeof(age));
        table_cell(t, "%s", jstr(a, "id"));
        table_cell(t, "%s", jstr(a, "hostname"));
        table_cell(t, "%s", json_is_true(json_object_get(a, "active")) ? "active" : "inactive");
        table_cell(t, "%g/%g", jnum(used, "cpus"), jnum(total, "cpus"));
        table_cell(t, "%g/%g", jnum(used, "mem"), jnum(total, "mem"));
        table_cell(t, "%g/%g", jnum(used, "disk"), jnum(total, "disk"));
        table_cell(t, "%s", age);
        table_cell(t, "%s", jstr(a, "version"));
    }
    table_print(t);
    return CLI_OK;
}

/* The dominant share: the largest part of any one resource of the cluster that the framework uses (DRF). */
static double dominant_share(const json_t *framework, const json_t *agents)
{
    static const char *const names[] = {"cpus", "mem", "disk", "gpus"};
    const json_t *used = json_object_get(framework, "used_resources");
    double share = 0;

    for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
        double total = 0;
        json_t *a;
        size_t i;
        json_array_foreach(agents, i, a) total += jnum(json_object_get(a, "resources"), names[k]);
        if (total > 0)
            share = FL_MAX(share, jnum(used, names[k]) / total);
    }
    return share;
}

static void framework_row(struct table *t, const json_t *f)
{
    const json_t *used = json_object_get(f, "used_resources");
    bool active = json_is_true(json_object_get(f, "active"));
    char age[16];

    format_age(jnum(f, "registered_time"), age, sizeof(age));
    table_cell(t, "%s", jstr(f, "id"));
    table_cell(t, "%s", jstr(f, "name"));
    table_cell(t, "%s",
               jnum(f, "unregistered_time") > 0 ? "completed"
               : active                         ? "active"
                                                : "inactive");
    table_cell(t, "%zu", json_array_size(json_object_get(f, "tasks")));
    table_cell(t, "%g", jnum(used, "cpus"));
    table_cell(t, "%g", jnum(used, "mem"));
    table_cell(t, "%.1f%%", 100 * jnum(f, "dominant_share"));
    table_cell(t, "%s", age);
}

int verb_frameworks(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"FRAMEWORK", "NAME", "STATE", "TASKS",
                                        "CPUS",      "MEM",  "SHARE", "SINCE"};
    bool all = false;
    const struct opt opts[] = {{"--all", OPT_FLAG, &all, "completed frameworks too"}};
    _cleanup_json_ json_t *state = NULL;
    struct fl_err err = {0};
    json_t *list, *f;
    size_t i;
    int code;

    if (list_options(c, opts, ARRAY_SIZE(opts), argc, argv, &code))
        return code;
    if (cli_get_json(c->master, "/state", &state, &err) < 0)
        return cli_fail(&err);
    list = json_object_get(state, "frameworks");
    if (all)
        json_array_extend(list, json_object_get(state, "completed_frameworks"));
    json_array_foreach(list, i, f) json_object_set_new(
        f, "dominant_share", json_real(dominant_share(f, json_object_get(state, "slaves"))));
    if (c->json) {
        cli_print_json(list);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(list, i, f) framework_row(t, f);
    table_print(t);
    return CLI_OK;
}

int verb_version(struct cli *c, int argc, char **argv)
{
    _cleanup_json_ json_t *master = NULL;
    struct fl_err err = {0};
    int code;

    if (list_options(c, NULL, 0, argc, argv, &code))
        return code;
    int r = cli_get_json(c->master, "/version", &master, &err);
    if (c->json) {
        _cleanup_json_ json_t *both =
            json_pack("{s:{s:s,s:s,s:s},s:O?}", "client", "version", FL_VERSION, "build_date",
                      fl_build.date, "git_sha", fl_build.git_sha, "master", master);
        cli_print_json(both);
        return CLI_OK;
    }
    printf("fairlead %s (%s)\n", FL_VERSION, fl_build.date);
    if (r < 0)
        printf("master at %s: %s\n", c->master, err.msg);
    else
        printf("master at %s: %s (%s)\n", c->master, jstr(master, "version"),
               jstr(master, "build_date"));
    return CLI_OK;
}
