/* What all workers read: the agents' flags and what the nodes of each group say of themselves. See shared.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>

#include "agent/detect.h"
#include "emulator/files.h"
#include "emulator/shared.h"

static int make_flags(struct emu_kit *k, struct fl_err *err)
{
    const struct emu_cluster *c = k->cluster;
    _cleanup_free_ char *master = xasprintf("--master=%s", k->options.master);
    _cleanup_free_ char **argv = xcalloc(c->n_agent_flags + 8, sizeof(char *));
    bool help, version;
    int n = 0, rest;
    int r = agent_flags_new(&k->flags, &k->flag_table, err);

    argv[n++] = (char *)"agent";
    argv[n++] = (char *)"--work_dir=" EMU_WORK_DIR;
    argv[n++] = master;
    argv[n++] = (char *)"--no-switch_user";
    for (size_t i = 0; i < c->n_agent_flags; i++)
        argv[n++] = c->agent_flags[i];
    if (r == 0)
        r = fl_flags_parse(k->flag_table, n, argv, &rest, &help, &version, err);
    /* What is over is kept for a moment only: there are many agents. */
    if (r == 0)
        r = fl_flags_set_default(k->flag_table, "gc_delay", "5secs", err);
    if (r == 0)
        r = fl_flags_set_default(k->flag_table, "max_completed_executors_per_framework", "0", err);
    if (r == 0)
        r = fl_flags_set_default(k->flag_table, "max_completed_frameworks", "0", err);
    return r < 0 ? fl_err_wrap(err, "agent_flags") : 0;
}

static void set_place(V1__AgentInfo *info, const struct emu_place *p, struct fl_arena *arena)
{
    V1__DomainInfo__FaultDomain *d =
        FL_ARENA_NEW(arena, V1__DomainInfo__FaultDomain, v1__domain_info__fault_domain);

    d->region = FL_ARENA_NEW(arena, V1__DomainInfo__FaultDomain__RegionInfo,
                             v1__domain_info__fault_domain__region_info);
    d->zone = FL_ARENA_NEW(arena, V1__DomainInfo__FaultDomain__ZoneInfo,
                           v1__domain_info__fault_domain__zone_info);
    d->region->name = p->region;
    d->zone->name = p->zone;
    info->domain = FL_ARENA_NEW(arena, V1__DomainInfo, v1__domain_info);
    info->domain->fault_domain = d;
}

static int make_pattern(struct emu_kit *k, const struct emu_group *g, const struct emu_place *p,
                        V1__AgentInfo **ret, struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    struct agent_flags flags = k->flags; /* the texts stay the table's */
    struct machine none = {0};
    V1__AgentInfo *info;
    int r;

    flags.resources = g->resources;
    flags.attributes = g->attributes;
    flags.domain = NULL;
    r = agent_describe(&flags, &none, g->name, (uint16_t)k->options.port, arena, &info, err);
    if (r < 0)
        return fl_err_wrap(err, "group '%s' (line %u)", g->name, g->line);
    if (p->region)
        set_place(info, p, arena);
    *ret = FL_PB_DUP(info);
    return 0;
}

static int make_patterns(struct emu_kit *k, struct fl_err *err)
{
    k->patterns = xcalloc(k->cluster->n_groups, sizeof *k->patterns);
    for (size_t i = 0; i < k->cluster->n_groups; i++) {
        const struct emu_group *g = &k->cluster->groups[i];

        k->patterns[i] = xcalloc(g->n_places, sizeof **k->patterns);
        for (size_t p = 0; p < g->n_places; p++) {
            int r = make_pattern(k, g, &g->places[p], &k->patterns[i][p], err);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

int emu_kit_new(const struct emu_cluster *cluster, const struct emu_options *options,
                struct emu_kit **ret, struct fl_err *err)
{
    _cleanup_(emu_kit_freep) struct emu_kit *k = xnew0(struct emu_kit);
    struct in_addr first;
    int r;

    k->cluster = cluster;
    k->options = *options;
    if (inet_pton(AF_INET, options->first_address, &first) != 1)
        return fl_err_set(err, FL_INVALID, "--first_address: '%s' is no IPv4 address",
                          options->first_address);
    k->first_ip = ntohl(first.s_addr);
    r = make_flags(k, err);
    if (r == 0)
        r = make_patterns(k, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(k);
    return 0;
}

void emu_kit_free(struct emu_kit *k)
{
    if (!k)
        return;
    for (size_t i = 0; k->patterns && i < k->cluster->n_groups; i++) {
        for (size_t p = 0; k->patterns[i] && p < k->cluster->groups[i].n_places; p++)
            fl_pb_free(k->patterns[i][p]);
        free(k->patterns[i]);
    }
    free(k->patterns);
    fl_flags_free(k->flag_table);
    free(k);
}

/* ---- numbers ---- */

/* Two workers never write the same cache line. */
static size_t slot_size(size_t n_groups)
{
    size_t n = sizeof(struct emu_worker_stats) + n_groups * sizeof(struct emu_group_stats);

    return (n + 63) / 64 * 64;
}

void *emu_stats_map(size_t n_groups, struct fl_err *err)
{
    size_t n = slot_size(n_groups) * EMU_MAX_WORKERS;
    const int prot = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_ANONYMOUS;
    /* cppcheck-suppress invalidFunctionArg ; -1 is right where there is no file */
    void *p = mmap(NULL, n, prot, how, -1, 0);

    if (p != MAP_FAILED)
        return p;
    fl_err_errno(err, errno, "map the workers' numbers");
    return NULL;
}

struct emu_worker_stats *emu_stats_at(void *map, size_t n_groups, unsigned worker)
{
    return (struct emu_worker_stats *)((char *)map + slot_size(n_groups) * worker);
}
