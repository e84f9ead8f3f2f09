/* `fairlead tasks`, as well `fairlead ps`: tasks as a table, or one in full. */
#include <stdio.h>
#include <strings.h>

#include "cli/details.h"
#include "cli/find.h"
#include "cli/task.h"

struct wanted {
    bool all;
    const char *agent, *state, *role, *name; /* NULL: any */
};

static const json_t *last_status(const json_t *task)
{
    const json_t *statuses = json_object_get(task, "statuses");
    size_t n = json_array_size(statuses);

    return json_array_get(statuses, n ? n - 1 : 0);
}

static bool fits_state(const json_t *task, const char *state)
{
    const char *is = jstr(task, "state");

    return strcasecmp(is, state) == 0 ||
           (str_starts(is, "TASK_") && strcasecmp(is + 5, state) == 0);
}

static bool is_wanted(const json_t *task, void *arg)
{
    const struct wanted *w = arg;

    if (w->state ? !fits_state(task, w->state) : !w->all && !task_is_live(task))
        return false;
    return (!w->agent || streq(w->agent, jstr(task, "slave_id"))) &&
           (!w->role || streq(w->role, jstr(task, "role"))) &&
           (!w->name || streq(w->name, jstr(task, "name")));
}

static void add_row(struct table *t, const json_t *task)
{
    const json_t *res = json_object_get(task, "resources");
    char age[16];

    format_age(jnum(last_status(task), "timestamp"), age, sizeof(age));
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

static void print_statuses(const json_t *task)
{
    static const char *const heads[] = {"?STATE", "AGO", "MESSAGE"};
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const struct table_style style = {0};
    json_t *s;
    size_t i;

    json_array_foreach(json_object_get(task, "statuses"), i, s)
    {
        char age[16];
        format_age(jnum(s, "timestamp"), age, sizeof(age));
        table_cell(t, "%s", jstr(s, "state"));
        table_cell(t, "%s", age);
        table_cell(t, "%s%s%s", jstr(s, "reason"), *jstr(s, "reason") ? " " : "",
                   jstr(s, "message"));
    }
    table_text(t, &style, &out);
    printf("\n%s", fl_buf_cstr(&out));
    table_free(t);
}

static int show_one(struct cli *c, const char *word)
{
    static const struct detail rows[] = {
        {"id", "id"},
        {"name", "name"},
        {"state", "state"},
        {"framework", "framework_id"},
        {"executor", "executor_id"},
        {"agent", "slave_id"},
        {"role", "role"},
        {"user", "user"},
        {"resources", "resources"},
        {"limits", "limits"},
        {"labels", "labels"},
        {"discovery", "discovery"},
    };
    _cleanup_json_ json_t *task = NULL;
    struct fl_err err = {0};

    if (task_get(c, word, &task, &err) < 0)
        return cli_fail(&err);
    if (c->json) {
        cli_print_json(task);
        return CLI_OK;
    }
    details_print(task, rows, ARRAY_SIZE(rows));
    print_statuses(task);
    return CLI_OK;
}

static int list(struct cli *c, struct wanted *w, const char *framework)
{
    static const char *const heads[] = {"~TASK", "NAME", "?STATE", "SINCE",     "#CPUS",
                                        "#MEM",  "ROLE", "~AGENT", "~FRAMEWORK"};
    _cleanup_json_ json_t *f = NULL, *a = NULL, *tasks = json_array();
    struct fl_err err = {0};
    json_t *task;
    size_t i;
    int code = framework ? find_framework(c, framework, w->all, &f) : CLI_OK;

    if (code == CLI_OK && w->agent)
        code = find_agent(c, w->agent, &a);
    if (code)
        return code;
    w->agent = a ? jstr(a, "id") : NULL;
    if (list_tasks(c, f ? framework_id_of(f) : NULL, is_wanted, w, tasks, &err) < 0)
        return cli_fail(&err);
    if (c->json) {
        cli_print_json(tasks);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(tasks, i, task)
    {
        add_row(t, task);
    }
    table_print(c, t);
    return CLI_OK;
}

int verb_tasks(struct cli *c, int argc, char **argv)
{
    struct wanted w = {0};
    const char *framework = NULL;
    const struct opt opts[] = {
        {"--all", OPT_FLAG, &w.all, "ended tasks too", 'a'},
        {"--framework FRAMEWORK", OPT_TEXT, &framework, "only tasks of this framework", 0},
        {"--agent AGENT", OPT_TEXT, &w.agent, "only on this agent", 0},
        {"--state STATE", OPT_TEXT, &w.state, "only in this state: running, failed, ...", 0},
        {"--role ROLE", OPT_TEXT, &w.role, "only with resources of this role", 0},
        {"--name NAME", OPT_TEXT, &w.name, "only of this name", 0},
    };
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 1, &code);

    if (i < 0)
        return code;
    return i < argc ? show_one(c, argv[i]) : list(c, &w, framework);
}
