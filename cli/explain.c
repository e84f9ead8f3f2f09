/* explain: why a framework is offered what it is offered, agent by agent, in words. */
#include <stdio.h>
#include <string.h>

#include "cli/find.h"
#include "common/base/buf.h"

static json_t *frameworks; /* of the master, for their names; NULL: not known */

/* ---- names and ids ---- */

static const char *name_of(const char *framework_id)
{
    const json_t *f;
    size_t i;

    json_array_foreach(frameworks, i, f)
    {
        if (streq(framework_id_of(f), framework_id))
            return jstr(json_object_get(f, "framework_info"), "name");
    }
    return framework_id;
}

/* The path of the question, with ids. */
static int make_path(struct cli *c, char **words, int n, struct fl_buf *path)
{
    _cleanup_json_ json_t *answer = NULL, *framework = NULL, *agent = NULL;
    int code = find_framework(c, words[0], false, &framework);

    if (code == CLI_OK)
        code = cli_call(c, "GET_FRAMEWORKS", NULL, NULL, "get_frameworks", &answer);
    if (code == CLI_OK && n == 2)
        code = find_agent(c, words[1], &agent);
    if (code)
        return code;
    json_decref(frameworks);
    frameworks = json_incref(json_object_get(answer, "frameworks"));
    fl_buf_adds(path, "/explain");
    query_add(path, "framework_id", framework_id_of(framework));
    if (agent)
        query_add(path, "agent_id", jstr(agent, "id"));
    return CLI_OK;
}

/* ---- in words ---- */

static void print_amounts(const char *before, const json_t *amounts)
{
    const char *name;
    json_t *value;
    bool any = false;

    printf("%s", before);
    json_object_foreach((json_t *)amounts, name, value)
    {
        printf("%s%s %g", any ? ", " : "", name, json_number_value(value));
        any = true;
    }
    printf("%s\n", any ? "" : "nothing");
}

static void print_order(const json_t *role)
{
    const json_t *first = json_object_get(role, "first_in_order"), *o;
    double ahead = jnum(role, "ahead");
    size_t i;

    if (!json_object_get(role, "ahead"))
        return;
    if (ahead == 0) {
        printf("  first in the order of fair sharing\n");
        return;
    }
    printf("  %g come before it in the order of fair sharing, first:\n", ahead);
    json_array_foreach(first, i, o)
        printf("    %s (role %s, dominant share %.1f %% of %s)\n", name_of(jstr(o, "framework_id")),
               jstr(o, "role"), 100 * jnum(o, "dominant_share"), jstr(o, "dominant_resource"));
}

static void print_quota(const json_t *quota)
{
    const json_t *unmet = json_object_get(quota, "unmet_guarantees"), *o;
    size_t i;

    if (!quota)
        return;
    printf("  quota of role %s\n", jstr(quota, "role"));
    print_amounts("    consumed: ", json_object_get(quota, "consumed"));
    if (json_object_get(quota, "limit")) {
        print_amounts("    guarantee: ", json_object_get(quota, "guarantee"));
        print_amounts("    limit: ", json_object_get(quota, "limit"));
        print_amounts("    left by the limit: ", json_object_get(quota, "left_by_limit"));
    }
    json_array_foreach(unmet, i, o)
    {
        printf("    held back for role %s", jstr(o, "role"));
        print_amounts(": ", json_object_get(o, "unmet"));
    }
}

static void print_gang(const json_t *gang)
{
    if (!gang)
        return;
    printf("  gang offers: %s", jstr(gang, "state"));
    if (json_object_get(gang, "seconds_left"))
        printf(", for %.0f seconds more", jnum(gang, "seconds_left"));
    if (json_object_get(gang, "gathering_now"))
        printf("; framework %s gathers now", name_of(jstr(gang, "gathering_now")));
    printf("\n");
    print_amounts("    wanted: ", json_object_get(gang, "total"));
    print_amounts("    gathered: ", json_object_get(gang, "gathered"));
}

static void print_role(const json_t *role)
{
    printf("role %s: dominant share %.1f %%", jstr(role, "role"),
           100 * jnum(role, "dominant_share"));
    if (*jstr(role, "dominant_resource"))
        printf(" (%s)", jstr(role, "dominant_resource"));
    printf(", weight %g%s%s\n", jnum(role, "weight"),
           json_is_true(json_object_get(role, "suppressed")) ? ", suppressed" : "",
           json_is_true(json_object_get(role, "subscribed")) ? "" : ", not subscribed");
    print_order(role);
    print_quota(json_object_get(role, "quota"));
    print_gang(json_object_get(role, "gang"));
}

static double longest_filter(const json_t *agent)
{
    const json_t *f;
    double longest = 0;
    size_t i;

    json_array_foreach(json_object_get(agent, "filters"), i, f) longest =
        FL_MAX(longest, jnum(f, "seconds_left"));
    return longest;
}

/* Without the "(*)" of what is not reserved, for it is most of all. */
static char *shorten(const char *resources)
{
    char *text = xstrdup(*resources ? resources : "-"), *to = text;

    for (const char *p = text; *p;) {
        if (strncmp(p, "(*)", 3) == 0)
            p += 3;
        else
            *to++ = *p++;
    }
    *to = '\0';
    return text;
}

static void add_why(struct table *t, const json_t *agent)
{
    const json_t *others = json_object_get(agent, "held_by_others"), *o;
    double filter = streq(jstr(agent, "reason"), "FILTERED") ? longest_filter(agent) : 0;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    size_t i;

    fl_buf_adds(&text, jstr(agent, "why"));
    if (filter > 0)
        fl_buf_addf(&text, " (%.1f s left)", filter);
    json_array_foreach(others, i, o)
        fl_buf_addf(&text, "%s%s (share %.1f %%)", i ? ", " : "; held by ",
                    name_of(jstr(o, "framework_id")), 100 * jnum(o, "dominant_share"));
    table_cell(t, "%s", fl_buf_cstr(&text));
}

static void print_agents(struct cli *c, const json_t *agents)
{
    static const char *const heads[] = {"~AGENT", "HOST", "ROLE", "HOLDS", "FREE", "WHY"};
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    const json_t *a;
    size_t i;

    json_array_foreach(agents, i, a)
    {
        _cleanup_free_ char *holds = shorten(jstr(a, "holds"));
        _cleanup_free_ char *is_free = shorten(jstr(a, "free"));

        table_cell(t, "%s", jstr(a, "agent_id"));
        table_cell(t, "%s", jstr(a, "hostname"));
        table_cell(t, "%s", jstr(a, "role"));
        table_cell(t, "%s", holds);
        table_cell(t, "%s", is_free);
        add_why(t, a);
    }
    table_print(c, t);
}

static void print_holders(const json_t *agent)
{
    const json_t *h, *role;
    size_t i;

    json_array_foreach(json_object_get(agent, "held_by_others"), i, h) printf(
        "  %s (role %s, dominant share %.1f %%) holds %s\n", name_of(jstr(h, "framework_id")),
        jstr(h, "role"), 100 * jnum(h, "dominant_share"), jstr(h, "holds"));
    json_array_foreach(json_object_get(agent, "free_but_reserved_to"), i, role)
        printf("  something is free but reserved to role %s\n", json_string_value(role));
}

/* What to do, once for each reason that was seen; of one agent also who holds it. */
static void print_advice(const json_t *agents)
{
    const json_t *a, *before;
    size_t i, k;

    json_array_foreach(agents, i, a)
    {
        bool said = false;

        if (json_array_size(agents) == 1)
            print_holders(a);
        for (k = 0; k < i && !said; k++) {
            before = json_array_get(agents, k);
            said = streq(jstr(before, "reason"), jstr(a, "reason"));
        }
        if (!said)
            printf("%s: %s\n", jstr(a, "reason"), jstr(a, "advice"));
    }
}

static void print_answer(struct cli *c, const json_t *answer)
{
    const json_t *agents = json_object_get(answer, "agents"), *role;
    double left_out = jnum(json_object_get(answer, "summary"), "not_shown");
    size_t i;

    printf("framework %s (%s)%s%s\n", name_of(jstr(answer, "framework_id")),
           jstr(answer, "framework_id"),
           json_is_true(json_object_get(answer, "active")) ? "" : ", disconnected",
           json_is_true(json_object_get(answer, "paused"))
               ? "; no offers are made until enough agents are back"
               : "");
    json_array_foreach(json_object_get(answer, "roles"), i, role) print_role(role);
    printf("\n");
    print_agents(c, agents);
    if (left_out > 0)
        printf("... and %.0f more\n", left_out);
    printf("\n");
    print_advice(agents);
}

int verb_explain(struct cli *c, int argc, char **argv)
{
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 1, 2, &code);
    _cleanup_buf_ struct fl_buf path = FL_BUF_INIT;
    _cleanup_json_ json_t *answer = NULL;
    struct fl_err err = {0};

    if (i < 0)
        return code;
    code = make_path(c, argv + i, argc - i, &path);
    if (code)
        return code;
    if (cli_get_json(c, NULL, fl_buf_cstr(&path), &answer, &err) < 0)
        return cli_fail(&err);
    if (c->json) {
        cli_print_json(answer);
    } else {
        print_answer(c, answer);
    }
    json_decref(frameworks);
    frameworks = NULL;
    return CLI_OK;
}
