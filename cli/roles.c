/* `fairlead roles`, `quota`, `weights`: how the cluster is shared. */
#include <stdio.h>

#include "cli/amounts.h"
#include "cli/details.h"
#include "cli/find.h"

static void amounts_cell(struct table *t, const json_t *amounts)
{
    static const char *const names[] = {"cpus", "mem", "disk", "gpus"};
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)amounts, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
            known = known || streq(name, names[i]);
        double number = json_is_object(value) ? jnum(value, "value") : json_number_value(value);
        if (known && number > 0)
            fl_buf_addf(&text, "%s%s:%g", text.len ? ";" : "", name, number);
    }
    table_cell(t, "%s", fl_buf_cstr(&text));
}

int verb_roles(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"ROLE",    "#WEIGHT",  "#FRAMEWORKS", "ALLOCATED",
                                        "OFFERED", "RESERVED", "GUARANTEE",   "LIMIT"};
    _cleanup_json_ json_t *roles = NULL;
    json_t *r;
    size_t k;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = cli_get_list(c, "/roles", "roles", &roles);
    if (code)
        return code;
    if (c->json) {
        cli_print_json(roles);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(roles, k, r)
    {
        table_cell(t, "%s", jstr(r, "name"));
        table_cell(t, "%g", jnum(r, "weight"));
        table_cell(t, "%zu", json_array_size(json_object_get(r, "frameworks")));
        amounts_cell(t, json_object_get(r, "allocated"));
        amounts_cell(t, json_object_get(r, "offered"));
        amounts_cell(t, json_object_get(r, "reserved"));
        amounts_cell(t, jpath(r, "quota.guarantee"));
        amounts_cell(t, jpath(r, "quota.limit"));
    }
    table_print(c, t);
    return CLI_OK;
}

/* ---- quota ---- */

int verb_quota(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"ROLE", "GUARANTEE", "LIMIT", "CONSUMED"};
    _cleanup_json_ json_t *answer = NULL, *roles = NULL;
    json_t *q, *r;
    size_t k, m;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = cli_call(c, "GET_QUOTA", NULL, NULL, "get_quota", &answer);
    if (code == CLI_OK)
        code = cli_get_list(c, "/roles", "roles", &roles);
    if (code)
        return code;
    json_t *configs = json_object_get(json_object_get(answer, "status"), "configs");
    /* A quota that was removed is one without anything. */
    for (k = json_array_size(configs); k-- > 0;) {
        q = json_array_get(configs, k);
        if (!json_object_size(json_object_get(q, "guarantees")) &&
            !json_object_size(json_object_get(q, "limits")))
            json_array_remove(configs, k);
    }
    json_array_foreach(configs, k, q)
    {
        json_array_foreach(roles, m, r)
        {
            if (streq(jstr(r, "name"), jstr(q, "role")) && jpath(r, "quota.consumed"))
                json_object_set(q, "consumed", (json_t *)(uintptr_t)jpath(r, "quota.consumed"));
        }
    }
    if (c->json) {
        _cleanup_json_ json_t *none = json_array();
        cli_print_json(configs ? configs : none);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(configs, k, q)
    {
        table_cell(t, "%s", jstr(q, "role"));
        amounts_cell(t, json_object_get(q, "guarantees"));
        amounts_cell(t, json_object_get(q, "limits"));
        amounts_cell(t, json_object_get(q, "consumed"));
    }
    table_print(c, t);
    return CLI_OK;
}

static int update_quota(struct cli *c, const char *role, json_t *guarantees, json_t *limits,
                        bool force)
{
    json_t *config =
        json_pack("{s:s, s:o, s:o}", "role", role, "guarantees", guarantees, "limits", limits);

    if (!config)
        return cli_fail_as(CLI_USAGE, "the role is no UTF-8");
    return cli_call(c, "UPDATE_QUOTA", "update_quota",
                    json_pack("{s:b, s:[o]}", "force", force, "quota_configs", config), NULL, NULL);
}

static int add_all(const struct opt_list *list, json_t *to, const char *flag)
{
    struct fl_err err = {0};

    for (size_t i = 0; i < list->n; i++)
        if (amounts_scalars(list->items[i], to, &err) < 0)
            return cli_fail_as(CLI_USAGE, "%s: %s", flag, err.msg);
    return CLI_OK;
}

int verb_quota_set(struct cli *c, int argc, char **argv)
{
    struct opt_list guarantee = {0}, limit = {0};
    bool force = false;
    const struct opt opts[] = {
        {"--guarantee AMOUNTS", OPT_LIST, &guarantee,
         "kept for the role: cpus:10;mem:4096; may be repeated", 0},
        {"--limit AMOUNTS", OPT_LIST, &limit, "what it may have at most; may be repeated", 0},
        {"--force", OPT_FLAG, &force, "though there is less, or more is used already", 0},
    };
    _cleanup_json_ json_t *guarantees = json_object(), *limits = json_object();
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 1, 1, &code);

    if (i >= 0 && !guarantee.n && !limit.n)
        code = cli_fail_as(CLI_USAGE, "what? --guarantee cpus:10;mem:4096, --limit cpus:20");
    else if (i >= 0)
        code = add_all(&guarantee, guarantees, "--guarantee");
    if (i >= 0 && code == CLI_OK)
        code = add_all(&limit, limits, "--limit");
    if (i >= 0 && code == CLI_OK)
        code = update_quota(c, argv[i], json_incref(guarantees), json_incref(limits), force);
    free(guarantee.items);
    free(limit.items);
    return code;
}

int verb_quota_remove(struct cli *c, int argc, char **argv)
{
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1, &code);

    return i < 0 ? code : update_quota(c, argv[i], json_object(), json_object(), false);
}

/* ---- weights ---- */

int verb_weights(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"ROLE", "#WEIGHT"};
    _cleanup_json_ json_t *answer = NULL, *none = json_array();
    json_t *w;
    size_t k;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = cli_call(c, "GET_WEIGHTS", NULL, NULL, "get_weights", &answer);
    if (code)
        return code;
    json_t *infos = json_object_get(answer, "weight_infos");
    if (c->json) {
        cli_print_json(infos ? infos : none);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(infos, k, w)
    {
        table_cell(t, "%s", jstr(w, "role"));
        table_cell(t, "%g", jnum(w, "weight"));
    }
    table_print(c, t);
    return CLI_OK;
}

int verb_weights_set(struct cli *c, int argc, char **argv)
{
    _cleanup_json_ json_t *infos = json_array();
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1000, &code);

    if (i < 0)
        return code;
    for (; i < argc; i++) {
        char *equals = strrchr(argv[i], '=');
        double weight;
        if (!equals || equals == argv[i] || fl_parse_f64(equals + 1, &weight) < 0 || !(weight > 0))
            return cli_fail_as(CLI_USAGE, "ROLE=WEIGHT is wanted, a weight above zero, not '%s'",
                               argv[i]);
        *equals = '\0';
        if (json_array_append_new(infos,
                                  json_pack("{s:s, s:f}", "role", argv[i], "weight", weight)) < 0)
            return cli_fail_as(CLI_USAGE, "the role is no UTF-8");
    }
    return cli_call(c, "UPDATE_WEIGHTS", "update_weights",
                    json_pack("{s:O}", "weight_infos", infos), NULL, NULL);
}
