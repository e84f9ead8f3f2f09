/* `fairlead reserve`, `unreserve`, `volumes`: resources of one agent, set aside for a role. What is given back has to be named as it was
 * reserved (role, principal, labels), so it is looked up at the agent and not asked of the user. */
#include <stdio.h>

#include "cli/amounts.h"
#include "cli/find.h"
#include "cli/reserve.h"

int reserve_words(int argc, char **argv, int first, json_t *to)
{
    struct fl_err err = {0};

    for (int i = first; i < argc; i++)
        if (amounts_parse(argv[i], to, &err) < 0)
            return cli_fail_as(CLI_USAGE, "%s", err.msg);
    return CLI_OK;
}

static json_t *agent_call_body(const json_t *agent, const char *key, json_t *list)
{
    return json_pack("{s:{s:s}, s:o}", "agent_id", "value", jstr(agent, "id"), key, list);
}

/* "key=value" to the array of labels. */
static int add_labels(const struct opt_list *labels, json_t *to)
{
    for (size_t i = 0; i < labels->n; i++) {
        _cleanup_free_ char *key = xstrdup(labels->items[i]);
        char *equals = strchr(key, '=');
        if (equals)
            *equals++ = '\0';
        json_t *label = equals ? json_pack("{s:s, s:s}", "key", key, "value", equals)
                               : json_pack("{s:s}", "key", key);
        if (!*key || json_array_append_new(to, label) < 0)
            return cli_fail_as(CLI_USAGE, "--label takes KEY=VALUE, not '%s'", labels->items[i]);
    }
    return CLI_OK;
}

int verb_reserve(struct cli *c, int argc, char **argv)
{
    const char *role = NULL, *principal = NULL;
    struct opt_list labels = {0};
    const struct opt opts[] = {
        {"--role ROLE", OPT_TEXT, &role, "for whom", 0},
        {"--principal NAME", OPT_TEXT, &principal, "who reserves (who asks)", 0},
        {"--label KEY=VALUE", OPT_LIST, &labels, "of the reservation; may be repeated", 0},
    };
    _cleanup_json_ json_t *agent = NULL, *wanted = json_array(), *reservation = NULL,
                          *label_list = json_array();
    json_t *r;
    size_t k;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 2, 1000, &code);

    if (i >= 0 && !role)
        code = cli_fail_as(CLI_USAGE, "for whom? --role ROLE");
    if (i >= 0 && code == CLI_OK)
        code = reserve_words(argc, argv, i + 1, wanted);
    if (i >= 0 && code == CLI_OK)
        code = add_labels(&labels, label_list);
    free(labels.items);
    if (i < 0 || code)
        return code;
    code = find_agent(c, argv[i], &agent);
    if (code)
        return code;
    if (!principal)
        principal = connection_principal(c);
    reservation = json_pack("{s:s, s:s}", "type", "DYNAMIC", "role", role);
    if (!reservation)
        return cli_fail_as(CLI_USAGE, "the role is no UTF-8");
    if (principal)
        json_object_set_new(reservation, "principal", json_string(principal));
    if (json_array_size(label_list))
        json_object_set_new(reservation, "labels", json_pack("{s:O}", "labels", label_list));
    json_array_foreach(wanted, k, r)
    {
        json_object_set_new(r, "reservations", json_pack("[O]", reservation));
    }
    return cli_call(c, "RESERVE_RESOURCES", "reserve_resources",
                    agent_call_body(agent, "resources", json_incref(wanted)), NULL, NULL);
}

/* ---- what is reserved ---- */

/* The reservations of a resource as /slaves shows it, in whichever form: the caller's. */
static json_t *reservations_of(const json_t *resource, const char *role)
{
    json_t *list = json_object_get(resource, "reservations"), *old;

    if (json_array_size(list))
        return json_incref(list);
    old = json_object_get(resource, "reservation");
    json_t *one = json_pack("{s:s, s:s}", "type", old ? "DYNAMIC" : "STATIC", "role", role);
    json_object_update(one, old);
    return json_pack("[o]", one);
}

json_t *reserved_of(const json_t *agent, const char *role)
{
    json_t *all = json_array(), *list, *r;
    const char *name;
    size_t i;

    json_object_foreach(json_object_get(agent, "reserved_resources_full"), name, list)
    {
        if (role && !streq(role, name))
            continue;
        json_array_foreach(list, i, r)
        {
            json_t *copy = json_deep_copy(r);
            json_object_set_new(copy, "reservations", reservations_of(r, name));
            json_object_del(copy, "role");
            json_object_del(copy, "reservation");
            json_object_del(copy, "allocation_info");
            json_array_append_new(all, copy);
        }
    }
    return all;
}

static bool is_dynamic(const json_t *resource)
{
    const json_t *list = json_object_get(resource, "reservations");

    return !streq(jstr(json_array_get(list, json_array_size(list) - 1), "type"), "STATIC");
}

/* Gives each wanted resource the reservations of one that can hold it; volumes are not among them. */
static int match_reserved(const json_t *reserved, json_t *wanted, const char *role)
{
    json_t *w, *r;
    size_t i, k;

    json_array_foreach(wanted, i, w)
    {
        double amount = jnum(json_object_get(w, "scalar"), "value");
        json_array_foreach(reserved, k, r)
        {
            if (is_dynamic(r) && streq(jstr(r, "name"), jstr(w, "name")) &&
                !jpath(r, "disk.persistence") &&
                jnum(json_object_get(r, "scalar"), "value") >= amount - 1e-6)
                break;
        }
        if (k == json_array_size(reserved))
            return cli_fail_as(CLI_NOT_FOUND,
                               "there is no reservation of so much '%s' for role '%s' there; "
                               "`fairlead agents AGENT` shows what is",
                               jstr(w, "name"), role);
        json_object_set(w, "reservations",
                        json_object_get(json_array_get(reserved, k), "reservations"));
    }
    return CLI_OK;
}

int verb_unreserve(struct cli *c, int argc, char **argv)
{
    const char *role = NULL;
    bool all = false;
    const struct opt opts[] = {
        {"--role ROLE", OPT_TEXT, &role, "whose they are", 0},
        {"--all", OPT_FLAG, &all, "all that is reserved there for the role, but volumes", 0},
    };
    _cleanup_json_ json_t *agent = NULL, *wanted = json_array(), *reserved = NULL;
    json_t *r;
    size_t k;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 1, 1000, &code);

    if (i < 0)
        return code;
    if (!role || all == (i + 1 < argc))
        return cli_fail_as(CLI_USAGE,
                           "what? `fairlead unreserve AGENT --role ROLE cpus:1;mem:32`, or --all");
    code = reserve_words(argc, argv, i + 1, wanted);
    if (code == CLI_OK)
        code = find_agent(c, argv[i], &agent);
    if (code)
        return code;
    reserved = reserved_of(agent, role);
    if (all) {
        json_array_foreach(reserved, k, r)
        {
            if (is_dynamic(r) && !jpath(r, "disk.persistence"))
                json_array_append(wanted, r);
        }
        if (!json_array_size(wanted))
            return cli_fail_as(CLI_NOT_FOUND, "nothing is reserved there for role '%s'", role);
    } else {
        code = match_reserved(reserved, wanted, role);
    }
    if (code)
        return code;
    return cli_call(c, "UNRESERVE_RESOURCES", "unreserve_resources",
                    agent_call_body(agent, "resources", json_incref(wanted)), NULL, NULL);
}
