/* `fairlead agents`: as a table, or one in full. */
#include <stdio.h>

#include "cli/details.h"
#include "cli/find.h"

/* In one word; the strongest first. */
static const char *state_of(const json_t *a)
{
    const char *drain = jstr(json_object_get(a, "drain_info"), "state");

    if (streq(drain, "DRAINING"))
        return "draining";
    if (streq(drain, "DRAINED"))
        return "drained";
    if (jtrue(a, "deactivated"))
        return "deactivated";
    return jtrue(a, "active") ? "active" : "inactive";
}

static void add_row(struct table *t, const json_t *a)
{
    const json_t *total = json_object_get(a, "resources"),
                 *used = json_object_get(a, "used_resources");
    char age[16];

    format_age(jnum(a, "registered_time"), age, sizeof(age));
    table_cell(t, "%s", jstr(a, "id"));
    table_cell(t, "%s", jstr(a, "hostname"));
    table_cell(t, "%s", state_of(a));
    table_cell(t, "%g/%g", jnum(used, "cpus"), jnum(total, "cpus"));
    table_cell(t, "%g/%g", jnum(used, "mem"), jnum(total, "mem"));
    table_cell(t, "%g/%g", jnum(used, "disk"), jnum(total, "disk"));
    table_cell(t, "%s", age);
    table_cell(t, "%s", jstr(a, "version"));
}

static int show_one(struct cli *c, const char *word)
{
    static const struct detail rows[] = {
        {"id", "id"},
        {"host", "hostname"},
        {"address", "pid"},
        {"state", "cli_state"},
        {"version", "version"},
        {"region", "domain.fault_domain.region.name"},
        {"zone", "domain.fault_domain.zone.name"},
        {"attributes", "attributes"},
        {"total", "resources"},
        {"used", "used_resources"},
        {"offered", "offered_resources"},
        {"reserved", "reserved_resources"},
        {"unreserved", "unreserved_resources"},
        {"capabilities", "capabilities"},
        {"draining", "drain_info"},
    };
    _cleanup_json_ json_t *a = NULL;
    int code = find_agent(c, word, &a);

    if (code)
        return code;
    if (c->json) {
        cli_print_json(a);
        return CLI_OK;
    }
    json_object_set_new(a, "cli_state", json_string(state_of(a)));
    details_print(a, rows, ARRAY_SIZE(rows));
    return CLI_OK;
}

int verb_agents(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"~AGENT", "HOST",  "?STATE", "#CPUS",
                                        "#MEM",   "#DISK", "SINCE",  "VERSION"};
    _cleanup_json_ json_t *agents = NULL;
    json_t *a;
    size_t k;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 1, &code);

    if (i < 0)
        return code;
    if (i < argc)
        return show_one(c, argv[i]);
    code = cli_get_list(c, "/slaves", "slaves", &agents);
    if (code)
        return code;
    if (c->json) {
        cli_print_json(agents);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(agents, k, a)
    {
        add_row(t, a);
    }
    table_print(c, t);
    return CLI_OK;
}
