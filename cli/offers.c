/* `fairlead offers`: what is offered to frameworks now; GET_FRAMEWORKS tells of it, without tasks. */
#include <stdio.h>

#include "cli/find.h"

static double scalar(const json_t *offer, const char *name)
{
    double sum = 0;
    json_t *r;
    size_t i;

    json_array_foreach(json_object_get(offer, "resources"), i, r)
    {
        if (streq(jstr(r, "name"), name))
            sum += jnum(json_object_get(r, "scalar"), "value");
    }
    return sum;
}

static void add_row(struct table *t, const json_t *o)
{
    table_cell(t, "%s", jid(o, "id"));
    table_cell(t, "%s", jstr(o, "framework_name"));
    table_cell(t, "%s", jstr(json_object_get(o, "allocation_info"), "role"));
    table_cell(t, "%g", scalar(o, "cpus"));
    table_cell(t, "%g", scalar(o, "mem"));
    table_cell(t, "%g", scalar(o, "disk"));
    table_cell(t, "%s", jstr(o, "hostname"));
    table_cell(t, "%s", jid(o, "agent_id"));
    table_cell(t, "%s", jid(o, "framework_id"));
}

int verb_offers(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"~OFFER", "NAME", "ROLE",   "#CPUS",     "#MEM",
                                        "#DISK",  "HOST", "~AGENT", "~FRAMEWORK"};
    const char *framework = NULL;
    const struct opt opts[] = {
        {"--framework FRAMEWORK", OPT_TEXT, &framework, "only to this framework", 0}};
    _cleanup_json_ json_t *answer = NULL, *offers = json_array(), *one = NULL;
    json_t *f, *o;
    size_t k, m;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    if (framework)
        code = find_framework(c, framework, false, &one);
    if (code == CLI_OK)
        code = cli_call(c, "GET_FRAMEWORKS", NULL, NULL, "get_frameworks", &answer);
    if (code)
        return code;
    json_array_foreach(json_object_get(answer, "frameworks"), k, f)
    {
        if (one && !streq(framework_id_of(f), framework_id_of(one)))
            continue;
        json_array_foreach(json_object_get(f, "offers"), m, o)
        {
            json_object_set(o, "framework_name",
                            json_object_get(json_object_get(f, "framework_info"), "name"));
            json_array_append(offers, o);
        }
    }
    if (c->json) {
        cli_print_json(offers);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(offers, k, o)
    {
        add_row(t, o);
    }
    table_print(c, t);
    return CLI_OK;
}
