/* `fairlead volumes`: persistent volumes, on disk that is reserved. */
#include <stdio.h>

#include "cli/amounts.h"
#include "cli/find.h"
#include "cli/reserve.h"

static const char *volume_id(const json_t *r)
{
    return jstr(jpath(r, "disk.persistence"), "id");
}

static const char *role_of(const json_t *r)
{
    const json_t *list = json_object_get(r, "reservations");

    return jstr(json_array_get(list, json_array_size(list) - 1), "role");
}

static void add_volumes(const json_t *agent, json_t *to)
{
    _cleanup_json_ json_t *reserved = reserved_of(agent, NULL);
    json_t *r;
    size_t i;

    json_array_foreach(reserved, i, r)
    {
        if (!*volume_id(r))
            continue;
        json_object_set(r, "agent_id", json_object_get(agent, "id"));
        json_object_set(r, "hostname", json_object_get(agent, "hostname"));
        json_array_append(to, r);
    }
}

int verb_volumes(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"VOLUME", "ROLE", "#MB", "PRINCIPAL", "HOST", "~AGENT"};
    const char *on = NULL;
    const struct opt opts[] = {{"--agent AGENT", OPT_TEXT, &on, "only on this agent", 0}};
    _cleanup_json_ json_t *agents = NULL, *one = NULL, *volumes = json_array();
    json_t *a;
    size_t k;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = on ? find_agent(c, on, &one) : cli_get_list(c, "/slaves", "slaves", &agents);
    if (code)
        return code;
    if (one)
        add_volumes(one, volumes);
    json_array_foreach(agents, k, a)
    {
        add_volumes(a, volumes);
    }
    if (c->json) {
        cli_print_json(volumes);
        return CLI_OK;
    }
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    json_array_foreach(volumes, k, a)
    {
        table_cell(t, "%s", volume_id(a));
        table_cell(t, "%s", role_of(a));
        table_cell(t, "%g", jnum(json_object_get(a, "scalar"), "value"));
        table_cell(t, "%s", jstr(jpath(a, "disk.persistence"), "principal"));
        table_cell(t, "%s", jstr(a, "hostname"));
        table_cell(t, "%s", jstr(a, "agent_id"));
    }
    table_print(c, t);
    return CLI_OK;
}

/* ---- make ---- */

/* Reserved disk of the role that is no volume yet, and is plain or of a source; borrowed. */
static json_t *find_disk(const json_t *reserved, double mb)
{
    json_t *r;
    size_t i;

    json_array_foreach(reserved, i, r)
    {
        if (streq(jstr(r, "name"), "disk") && !*volume_id(r) &&
            jnum(json_object_get(r, "scalar"), "value") >= mb - 1e-6)
            return r;
    }
    return NULL;
}

static json_t *make_volume(const json_t *disk, const char *id, const char *path, double mb,
                           const char *principal)
{
    json_t *v = json_deep_copy(disk), *info = json_object_get(v, "disk");

    if (!info) {
        info = json_object();
        json_object_set_new(v, "disk", info);
    }
    json_object_set_new(info, "persistence", json_pack("{s:s}", "id", id));
    if (principal)
        json_object_set_new(json_object_get(info, "persistence"), "principal",
                            json_string(principal));
    json_object_set_new(info, "volume",
                        json_pack("{s:s, s:s}", "mode", "RW", "container_path", path));
    json_object_set_new(v, "scalar", json_pack("{s:f}", "value", mb));
    return v;
}

int verb_volumes_create(struct cli *c, int argc, char **argv)
{
    const char *role = NULL, *path = NULL, *principal = NULL;
    double mb = 0;
    const struct opt opts[] = {
        {"--role ROLE", OPT_TEXT, &role, "whose reserved disk it is made of", 0},
        {"--size MB", OPT_NUMBER, &mb, "how large", 0},
        {"--path PATH", OPT_TEXT, &path, "where containers see it (its id)", 0},
        {"--principal NAME", OPT_TEXT, &principal, "who makes it (who asks)", 0},
    };
    _cleanup_json_ json_t *agent = NULL, *reserved = NULL;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 2, 2, &code);

    if (i < 0)
        return code;
    if (!role || !(mb > 0))
        return cli_fail_as(CLI_USAGE, "--role ROLE and --size MB are wanted");
    code = find_agent(c, argv[i], &agent);
    if (code)
        return code;
    reserved = reserved_of(agent, role);
    const json_t *disk = find_disk(reserved, mb);
    if (!disk)
        return cli_fail_as(CLI_NOT_FOUND,
                           "the agent has no %g MB of disk reserved for role '%s': `fairlead "
                           "reserve %s --role %s disk:%g`",
                           mb, role, argv[i], role, mb);
    json_t *v = make_volume(disk, argv[i + 1], path ? path : argv[i + 1], mb,
                            principal ? principal : connection_principal(c));
    return cli_call(
        c, "CREATE_VOLUMES", "create_volumes",
        json_pack("{s:{s:s}, s:[o]}", "agent_id", "value", jstr(agent, "id"), "volumes", v), NULL,
        NULL);
}

/* ---- one that is there ---- */

struct place {
    json_t *agent, *reserved, *volume; /* volume: borrowed from reserved */
};

static void place_done(struct place *p)
{
    json_decref(p->agent);
    json_decref(p->reserved);
}

static int find_volume(struct cli *c, const char *agent, const char *id, struct place *p)
{
    json_t *r;
    size_t i;
    int code = find_agent(c, agent, &p->agent);

    if (code)
        return code;
    p->reserved = reserved_of(p->agent, NULL);
    json_array_foreach(p->reserved, i, r)
    {
        if (streq(volume_id(r), id))
            p->volume = r;
    }
    if (p->volume)
        return CLI_OK;
    return cli_fail_as(CLI_NOT_FOUND,
                       "the agent has no volume '%s'; `fairlead volumes --agent %s` lists them", id,
                       agent);
}

int verb_volumes_destroy(struct cli *c, int argc, char **argv)
{
    _cleanup_(place_done) struct place p = {0};
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 2, 2, &code);

    if (i < 0)
        return code;
    code = find_volume(c, argv[i], argv[i + 1], &p);
    if (code == CLI_OK)
        code = cli_confirm(c, "Destroy volume %s of agent %s with all its data?", argv[i + 1],
                           jstr(p.agent, "id"));
    if (code)
        return code;
    return cli_call(c, "DESTROY_VOLUMES", "destroy_volumes",
                    json_pack("{s:{s:s}, s:[O]}", "agent_id", "value", jstr(p.agent, "id"),
                              "volumes", p.volume),
                    NULL, NULL);
}

/* argv[i]: AGENT VOLUME MB */
static int parse_resize(struct cli *c, char **argv, int i, struct place *p, double *ret_mb)
{
    if (fl_parse_f64(argv[i + 2], ret_mb) < 0 || !(*ret_mb > 0) || *ret_mb > 1e15)
        return cli_fail_as(CLI_USAGE, "by how many MB? '%s' is no such number", argv[i + 2]);
    return find_volume(c, argv[i], argv[i + 1], p);
}

int verb_volumes_grow(struct cli *c, int argc, char **argv)
{
    _cleanup_(place_done) struct place p = {0};
    double mb;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 3, 3, &code);

    if (i < 0)
        return code;
    code = parse_resize(c, argv, i, &p, &mb);
    if (code)
        return code;
    json_t *addition = json_deep_copy(p.volume), *info = json_object_get(addition, "disk");
    json_object_set_new(addition, "scalar", json_pack("{s:f}", "value", mb));
    json_object_del(info, "persistence");
    json_object_del(info, "volume");
    if (!json_object_size(info))
        json_object_del(addition, "disk");
    return cli_call(c, "GROW_VOLUME", "grow_volume",
                    json_pack("{s:{s:s}, s:O, s:o}", "agent_id", "value", jstr(p.agent, "id"),
                              "volume", p.volume, "addition", addition),
                    NULL, NULL);
}

int verb_volumes_shrink(struct cli *c, int argc, char **argv)
{
    _cleanup_(place_done) struct place p = {0};
    double mb;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 3, 3, &code);

    if (i < 0)
        return code;
    code = parse_resize(c, argv, i, &p, &mb);
    if (code == CLI_OK)
        code = cli_confirm(c, "Take %g MB from volume %s of agent %s?", mb, argv[i + 1],
                           jstr(p.agent, "id"));
    if (code)
        return code;
    return cli_call(c, "SHRINK_VOLUME", "shrink_volume",
                    json_pack("{s:{s:s}, s:O, s:{s:f}}", "agent_id", "value", jstr(p.agent, "id"),
                              "volume", p.volume, "subtract", "value", mb),
                    NULL, NULL);
}
