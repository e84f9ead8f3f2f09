/* `fairlead frameworks`: as a table, or one in full; `fairlead teardown`. What each uses is in /state-summary, who they are in
 * GET_FRAMEWORKS: neither tells of tasks, so both are small. */
#include <stdio.h>

#include "cli/details.h"
#include "cli/find.h"

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

static double live_tasks(const json_t *summary)
{
    static const char *const states[] = {"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING",
                                         "TASK_KILLING", "TASK_UNREACHABLE"};
    double sum = 0;

    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        sum += jnum(summary, states[i]);
    return sum;
}

static const json_t *summary_of(const json_t *summaries, const char *id)
{
    const json_t *s;
    size_t i;

    json_array_foreach(summaries, i, s)
    {
        if (streq(jstr(s, "id"), id))
            return s;
    }
    return NULL;
}

static double seconds_of(const json_t *f, const char *key)
{
    const json_t *ns = jpath(json_object_get(f, key), "nanoseconds");

    double value = json_number_value(ns);

    /* 64-bit numbers may come as text. */
    if (json_is_string(ns) && fl_parse_f64(json_string_value(ns), &value) < 0)
        value = 0;
    return value / 1e9;
}

static const char *state_of(const json_t *f, bool completed)
{
    if (completed)
        return "completed";
    if (jtrue(f, "recovered"))
        return "recovered";
    if (!jtrue(f, "connected"))
        return "disconnected";
    return jtrue(f, "active") ? "active" : "inactive";
}

/* One object of what both calls say. */
static json_t *merge(const json_t *f, bool completed, const json_t *summary)
{
    const json_t *info = json_object_get(f, "framework_info"),
                 *roles = json_object_get(info, "roles");
    const json_t *s = summary_of(json_object_get(summary, "frameworks"), framework_id_of(f));
    json_t *o = s ? json_deep_copy(s) : json_object();

    json_object_set_new(o, "id", json_string(framework_id_of(f)));
    json_object_set(o, "name", json_object_get(info, "name"));
    json_object_set(o, "user", json_object_get(info, "user"));
    json_object_set(o, "principal", json_object_get(info, "principal"));
    if (roles)
        json_object_set(o, "roles", (json_t *)(uintptr_t)roles);
    else
        json_object_set_new(o, "roles",
                            json_pack("[s]", *jstr(info, "role") ? jstr(info, "role") : "*"));
    json_object_set_new(o, "active", json_boolean(jtrue(f, "active")));
    json_object_set_new(o, "connected", json_boolean(jtrue(f, "connected")));
    json_object_set_new(o, "recovered", json_boolean(jtrue(f, "recovered")));
    json_object_set_new(o, "state", json_string(state_of(f, completed)));
    json_object_set_new(o, "registered_time", json_real(seconds_of(f, "registered_time")));
    json_object_set_new(o, "unregistered_time", json_real(seconds_of(f, "unregistered_time")));
    json_object_set_new(o, "live_tasks", json_integer((json_int_t)live_tasks(s)));
    json_object_set_new(o, "dominant_share",
                        json_real(dominant_share(o, json_object_get(summary, "slaves"))));
    return o;
}

static void add_row(struct table *t, const json_t *f)
{
    const json_t *used = json_object_get(f, "used_resources");
    _cleanup_buf_ struct fl_buf roles = FL_BUF_INIT;
    char age[16];

    format_age(jnum(f, "registered_time"), age, sizeof(age));
    value_text(json_object_get(f, "roles"), &roles);
    table_cell(t, "%s", jstr(f, "id"));
    table_cell(t, "%s", jstr(f, "name"));
    table_cell(t, "%s", jstr(f, "state"));
    table_cell(t, "%.0f", jnum(f, "live_tasks"));
    table_cell(t, "%g", jnum(used, "cpus"));
    table_cell(t, "%g", jnum(used, "mem"));
    table_cell(t, "%.1f%%", 100 * jnum(f, "dominant_share"));
    table_cell(t, "%s", age);
    table_cell(t, "%s", fl_buf_cstr(&roles));
}

static int show_one(struct cli *c, const char *word)
{
    static const struct detail rows[] = {
        {"id", "framework_info.id"},
        {"name", "framework_info.name"},
        {"user", "framework_info.user"},
        {"principal", "framework_info.principal"},
        {"roles", "framework_info.roles"},
        {"role", "framework_info.role"},
        {"host", "framework_info.hostname"},
        {"page", "framework_info.webui_url"},
        {"failover", "framework_info.failover_timeout"},
        {"checkpoint", "framework_info.checkpoint"},
        {"active", "active"},
        {"connected", "connected"},
        {"recovered", "recovered"},
        {"suppressed", "suppressed_roles"},
    };
    _cleanup_json_ json_t *f = NULL;
    int code = find_framework(c, word, true, &f);

    if (code)
        return code;
    if (c->json)
        cli_print_json(f);
    else
        details_print(f, rows, ARRAY_SIZE(rows));
    return CLI_OK;
}

static void append(json_t *to, const json_t *from, bool completed, const json_t *summary)
{
    json_t *f;
    size_t i;

    json_array_foreach(from, i, f)
    {
        json_array_append_new(to, merge(f, completed, summary));
    }
}

static int list(struct cli *c, bool all)
{
    static const char *const heads[] = {"~FRAMEWORK", "NAME",   "?STATE", "#TASKS", "#CPUS",
                                        "#MEM",       "#SHARE", "SINCE",  "ROLES"};
    _cleanup_json_ json_t *answer = NULL, *summary = NULL, *shown = json_array();
    struct fl_err err = {0};
    json_t *f;
    size_t i;
    int code = cli_call(c, "GET_FRAMEWORKS", NULL, NULL, "get_frameworks", &answer);

    if (code)
        return code;
    if (cli_get_json(c, NULL, "/state-summary", &summary, &err) < 0)
        return cli_fail(&err);
    append(shown, json_object_get(answer, "frameworks"), false, summary);
    if (all)
        append(shown, json_object_get(answer, "completed_frameworks"), true, summary);
    if (c->json) {
        cli_print_json(shown);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(shown, i, f)
    {
        add_row(t, f);
    }
    table_print(c, t);
    return CLI_OK;
}

int verb_frameworks(struct cli *c, int argc, char **argv)
{
    bool all = false;
    const struct opt opts[] = {{"--all", OPT_FLAG, &all, "completed frameworks too", 'a'}};
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 1, &code);

    if (i < 0)
        return code;
    return i < argc ? show_one(c, argv[i]) : list(c, all);
}
