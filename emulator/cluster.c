/* See cluster.h. */
#include "emulator/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/base/buf.h"

enum { MAX_NODES = 1000000 };

/* ---- parts ---- */

/* name:value;name:value, as the agent's flags take them. */
static int take_pairs(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    char **to = into;

    if (v->kind != YAML_MAP || v->n == 0)
        return yaml_bad(r, v, "a mapping of names to values is wanted here");
    for (size_t i = 0; i < v->n; i++) {
        const struct yaml_node *value = v->items[i];

        if (value->kind != YAML_TEXT || !*value->text)
            return yaml_bad(r, value, "'%s' needs a value", v->keys[i]);
        if (v->keys[i][strcspn(v->keys[i], ":;")] || strchr(value->text, ';'))
            return yaml_bad(r, value, "neither ';' nor, in a name, ':' may stand in '%s: %s'",
                            v->keys[i], value->text);
        fl_buf_addf(&b, "%s%s:%s", i ? ";" : "", v->keys[i], value->text);
    }
    free(*to);
    *to = fl_buf_take(&b);
    return 0;
}

static int take_resources(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    static const char *const needed[] = {"cpus", "mem"};

    for (size_t k = 0; k < ARRAY_SIZE(needed); k++) {
        bool there = false;

        for (size_t i = 0; v->kind == YAML_MAP && i < v->n; i++)
            there = there || streq(v->keys[i], needed[k]);
        if (!there)
            return yaml_bad(r, v, "'resources' needs '%s'", needed[k]);
    }
    return take_pairs(r, v, into);
}

static int take_flags(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct emu_cluster *c = into;

    if (v->kind != YAML_MAP)
        return yaml_bad(r, v, "'agent_flags' is a mapping of the agent's flags to values");
    c->agent_flags = xcalloc(v->n + 1, sizeof(char *));
    for (size_t i = 0; i < v->n; i++) {
        if (v->items[i]->kind != YAML_TEXT)
            return yaml_bad(r, v->items[i], "the flag '%s' needs a text", v->keys[i]);
        c->agent_flags[c->n_agent_flags++] = xasprintf("--%s=%s", v->keys[i], v->items[i]->text);
    }
    return 0;
}

/* Names of regions and zones stand in JSON and in tables of terminals. */
static int take_name(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    static const char *const fine =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (v->kind != YAML_TEXT || v->text[strspn(v->text, fine)] || strlen(v->text) > 100)
        return yaml_bad(r, v, "a name of up to 100 letters, digits, '.', '_' and '-' is wanted");
    return yaml_take_text(r, v, into);
}

static int take_place(const struct yaml_reader *r, const struct yaml_node *v, struct emu_place *p)
{
    static const struct yaml_row rows[] = {
        {"region", take_name, offsetof(struct emu_place, region), true},
        {"zone", take_name, offsetof(struct emu_place, zone), true},
        {"count", yaml_take_count, offsetof(struct emu_place, count), false},
    };

    p->count = UINT64_MAX;
    return yaml_map(r, v, "a place", rows, ARRAY_SIZE(rows), p);
}

static int take_places(const struct yaml_reader *r, const struct yaml_node *v, void *group)
{
    struct emu_group *g = group;

    if (v->kind != YAML_LIST || v->n == 0)
        return yaml_bad(r, v, "'placement' is a list of places");
    g->places = xcalloc(v->n, sizeof *g->places);
    for (size_t i = 0; i < v->n; i++) {
        int rc;

        g->n_places++;
        rc = take_place(r, v->items[i], &g->places[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- groups ---- */

/* Either every place says how many nodes it has, or they share alike. */
static int share_out(const struct yaml_reader *r, const struct yaml_node *v, struct emu_group *g)
{
    uint64_t sum = 0;
    size_t said = 0;

    if (g->n_places == 0) {
        g->places = xcalloc(1, sizeof *g->places);
        g->n_places = 1;
        g->places[0].count = g->count;
        return 0;
    }
    for (size_t i = 0; i < g->n_places; i++) {
        if (g->places[i].count == UINT64_MAX)
            continue;
        if (g->places[i].count > g->count)
            return yaml_bad(r, v, "a place of group '%s' has more nodes than the group", g->name);
        said++;
        sum += g->places[i].count;
    }
    if (said == 0) {
        for (size_t i = 0; i < g->n_places; i++)
            g->places[i].count = g->count / g->n_places + (i < g->count % g->n_places);
        return 0;
    }
    if (said < g->n_places)
        return yaml_bad(r, v, "in group '%s' some places have a count and some have none", g->name);
    if (sum != g->count)
        return yaml_bad(r, v, "group '%s' has %llu nodes, and its places %llu", g->name,
                        (unsigned long long)g->count, (unsigned long long)sum);
    return 0;
}

static int take_group(const struct yaml_reader *r, const struct yaml_node *v, struct emu_group *g)
{
    static const struct yaml_row rows[] = {
        {"name", take_name, offsetof(struct emu_group, name), true},
        {"count", yaml_take_count, offsetof(struct emu_group, count), true},
        {"placement", take_places, 0, false},
        {"attributes", take_pairs, offsetof(struct emu_group, attributes), false},
        {"resources", take_resources, offsetof(struct emu_group, resources), true},
        {"tasks", emu_workload_take, offsetof(struct emu_group, tasks), false},
        {"faults", emu_fault_plan_take, offsetof(struct emu_group, faults), false},
    };
    int rc = yaml_map(r, v, "a group", rows, ARRAY_SIZE(rows), g);

    if (rc < 0)
        return rc;
    g->line = v->line;
    if (g->count == 0 || g->count > MAX_NODES)
        return yaml_bad(r, v, "group '%s' must have 1 to %d nodes", g->name, MAX_NODES);
    return share_out(r, v, g);
}

static int take_groups(const struct yaml_reader *r, const struct yaml_node *v,
                       struct emu_cluster *c)
{
    if (v->kind != YAML_LIST || v->n == 0)
        return yaml_bad(r, v, "'groups' is a list of groups");
    c->groups = xcalloc(v->n, sizeof *c->groups);
    for (size_t i = 0; i < v->n; i++) {
        struct emu_group *g = &c->groups[c->n_groups++];
        int rc;

        g->tasks = c->tasks;
        g->faults = c->faults;
        rc = take_group(r, v->items[i], g);
        if (rc < 0)
            return rc;
        for (size_t k = 0; k < i; k++) {
            if (streq(c->groups[k].name, g->name))
                return yaml_bad(r, v->items[i], "there are two groups '%s'", g->name);
        }
    }
    return 0;
}

/* ---- the file ---- */

struct file {
    struct emu_cluster *cluster;
    const struct yaml_node *groups;
};

static int keep_groups(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    *(const struct yaml_node **)into = v;
    return 0;
}

static int into_cluster(yaml_take_f *take, size_t offset, const struct yaml_reader *r,
                        const struct yaml_node *v, void *file)
{
    return take(r, v, (char *)((struct file *)file)->cluster + offset);
}

static int file_name(const struct yaml_reader *r, const struct yaml_node *v, void *file)
{
    return into_cluster(yaml_take_text, offsetof(struct emu_cluster, name), r, v, file);
}

static int file_seed(const struct yaml_reader *r, const struct yaml_node *v, void *file)
{
    return into_cluster(yaml_take_count, offsetof(struct emu_cluster, seed), r, v, file);
}

static int file_tasks(const struct yaml_reader *r, const struct yaml_node *v, void *file)
{
    return into_cluster(emu_workload_take, offsetof(struct emu_cluster, tasks), r, v, file);
}

static int file_faults(const struct yaml_reader *r, const struct yaml_node *v, void *file)
{
    return into_cluster(emu_fault_plan_take, offsetof(struct emu_cluster, faults), r, v, file);
}

static int file_flags(const struct yaml_reader *r, const struct yaml_node *v, void *file)
{
    return into_cluster(take_flags, 0, r, v, file);
}

/* Whoever runs schedulers reads it for itself; agents have no use for it. */
static int skip(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    return 0;
}

int emu_cluster_parse(const char *name, const char *text, size_t n, struct emu_cluster **ret,
                      struct fl_err *err)
{
    static const struct yaml_row rows[] = {
        {"cluster", file_name, 0, false},
        {"seed", file_seed, 0, false},
        {"tasks", file_tasks, 0, false},
        {"faults", file_faults, 0, false},
        {"agent_flags", file_flags, 0, false},
        {"workload", skip, 0, false},
        {"groups", keep_groups, offsetof(struct file, groups), true},
    };
    _cleanup_(emu_cluster_freep) struct emu_cluster *c = xnew0(struct emu_cluster);
    _cleanup_(yaml_freep) struct yaml_node *root = NULL;
    struct file f = {.cluster = c};
    const struct yaml_reader r = {name, err};
    int rc = yaml_parse(name, text, n, &root, err);

    c->seed = 1;
    c->tasks = emu_workload_default;
    if (rc == 0)
        rc = yaml_map(&r, root, "the file", rows, ARRAY_SIZE(rows), &f);
    /* Last, wherever they stand: a group begins with the tasks of the whole. */
    if (rc == 0)
        rc = take_groups(&r, f.groups, c);
    if (rc == 0 && emu_cluster_count(c) > MAX_NODES)
        rc = yaml_bad(&r, f.groups, "more than %d nodes", MAX_NODES);
    if (rc == 0)
        *ret = TAKE_PTR(c);
    return rc;
}

int emu_cluster_load(const char *path, struct emu_cluster **ret, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    int rc = yaml_read(path, &b, err);

    return rc < 0 ? rc : emu_cluster_parse(path, b.data, b.len, ret, err);
}

static void group_done(struct emu_group *g)
{
    for (size_t i = 0; i < g->n_places; i++) {
        free(g->places[i].region);
        free(g->places[i].zone);
    }
    free(g->places);
    free(g->name);
    free(g->attributes);
    free(g->resources);
}

void emu_cluster_free(struct emu_cluster *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_groups; i++)
        group_done(&c->groups[i]);
    for (size_t i = 0; i < c->n_agent_flags; i++)
        free(c->agent_flags[i]);
    free(c->agent_flags);
    free(c->groups);
    free(c->name);
    free(c);
}

uint64_t emu_cluster_count(const struct emu_cluster *c)
{
    uint64_t n = 0;

    for (size_t i = 0; i < c->n_groups; i++)
        n += c->groups[i].count;
    return n;
}
