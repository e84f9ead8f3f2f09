/* See emulator.h. Connections are opened a few hundred at a time: a master has only so long a queue of new ones, and an attempt that is
 * refused costs both ends more than one that waits. */
#include "emulator/emulator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <utlist.h>

#include "agent/detect.h"
#include "common/base/log.h"

#define RETRY_US 500000ull
/* Descriptors of the process that are no connections. */
#define OTHER_FDS 64

/* ---- connecting ---- */

/* Never later than it is set: agents that come one after another must not put it off. */
static void pump_in(struct emulator *e, uint64_t us)
{
    if (e->pump_set && us > 0)
        return;
    e->pump_set = true;
    fl_timer_set(e->pump_timer, us);
}

static void pump(void *arg)
{
    struct emulator *e = arg;

    e->pump_set = false;

    while (e->host && e->waiting && e->connecting < e->options.connecting) {
        struct emu_node *n = e->waiting;

        emulator_not_waiting(n);
        if (n->channel)
            continue;
        e->connecting++;
        emu_node_connect(n);
        if (n->queued) /* failed at once: not again in this turn */
            break;
    }
    if (e->waiting && e->connecting == 0)
        pump_in(e, RETRY_US);
}

void emulator_connect_soon(struct emu_node *n)
{
    struct emulator *e = n->emu;

    if (n->queued || emu_faults_away(n))
        return;
    n->queued = true;
    DL_APPEND(e->waiting, n);
    /* A while later: whatever closed the connection goes on for a moment. */
    pump_in(e, e->disconnects || e->all_told ? RETRY_US : 0);
}

void emulator_not_waiting(struct emu_node *n)
{
    if (!n->queued)
        return;
    n->queued = false;
    DL_DELETE(n->emu->waiting, n);
}

void emulator_connected(struct emulator *e)
{
    e->connecting--;
    if (e->waiting)
        pump_in(e, 0);
}

static double seconds_since(const struct emulator *e)
{
    return (double)(env_now_us(&e->env) - e->began_us) / 1e6;
}

void emulator_registered(struct emulator *e)
{
    detector_worked(e->detector);
    if (e->all_told || e->registered < e->n_nodes)
        return;
    e->all_told = true;
    printf("All %zu agents are registered with %s:%u after %.1f s.\n", e->n_nodes, e->host, e->port,
           seconds_since(e));
    fflush(stdout);
}

static void on_leader(const struct detected_master *leader, void *arg)
{
    struct emulator *e = arg;

    if (leader && e->host && streq(leader->host, e->host) && leader->port == e->port)
        return;
    free(e->host);
    e->host = leader ? xstrdup(leader->host) : NULL;
    e->port = leader ? leader->port : 0;
    for (size_t i = 0; i < e->n_nodes; i++) {
        struct emu_node *n = &e->nodes[i];

        emu_node_drop_channel(n);
        if (n->wanted)
            emulator_connect_soon(n);
    }
    pump_in(e, 0);
}

/* ---- numbers ---- */

static double counter(struct emulator *e, const char *name)
{
    return metric_get(metrics_counter(e->metrics, name));
}

static void on_report(void *arg)
{
    struct emulator *e = arg;
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    printf("%.0f s: %llu of %zu agents registered, tasks: %llu running, %.0f finished, %.0f "
           "failed, %.0f killed; %llu connections and %llu messages lost, "
           "%llu restarts; cpu %.1f s, memory at most "
           "%ld MB\n",
           seconds_since(e), (unsigned long long)e->registered, e->n_nodes,
           (unsigned long long)e->running, counter(e, "slave/tasks_finished"),
           counter(e, "slave/tasks_failed"), counter(e, "slave/tasks_killed"),
           (unsigned long long)e->disconnects, (unsigned long long)e->lost,
           (unsigned long long)e->restarts,
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
           u.ru_maxrss / 1024);
    fflush(stdout);
    fl_timer_set(e->report_timer, e->options.report_us);
}

/* ---- making ---- */

static int raise_descriptors(size_t n, struct fl_err *err)
{
    rlim_t need = n + OTHER_FDS;
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return fl_err_errno(err, errno, "read the limit of open files");
    if (l.rlim_cur >= need)
        return 0;
    l.rlim_cur = need;
    l.rlim_max = FL_MAX(l.rlim_max, need);
    if (setrlimit(RLIMIT_NOFILE, &l) == 0)
        return 0;
    return fl_err_errno(err, errno,
                        "raise the limit of open files to %zu, one an agent; run as root, or set "
                        "'ulimit -Hn' higher",
                        (size_t)need);
}

static int make_flags(struct emulator *e, struct fl_err *err)
{
    const struct emu_cluster *c = e->cluster;
    _cleanup_free_ char *master = xasprintf("--master=%s", e->options.master);
    _cleanup_free_ char **argv = xcalloc(c->n_agent_flags + 8, sizeof(char *));
    bool help, version;
    int n = 0, rest;
    int r = agent_flags_new(&e->flags, &e->flag_table, err);

    argv[n++] = (char *)"agent";
    argv[n++] = (char *)"--work_dir=" EMU_WORK_DIR;
    argv[n++] = master;
    argv[n++] = (char *)"--no-switch_user";
    for (size_t i = 0; i < c->n_agent_flags; i++)
        argv[n++] = c->agent_flags[i];
    if (r == 0)
        r = fl_flags_parse(e->flag_table, n, argv, &rest, &help, &version, err);
    /* What is over is kept for a moment only: there are many agents. */
    if (r == 0)
        r = fl_flags_set_default(e->flag_table, "gc_delay", "5secs", err);
    if (r == 0)
        r = fl_flags_set_default(e->flag_table, "max_completed_executors_per_framework", "0", err);
    if (r == 0)
        r = fl_flags_set_default(e->flag_table, "max_completed_frameworks", "0", err);
    return r < 0 ? fl_err_wrap(err, "agent_flags") : 0;
}

static int make_pattern(struct emulator *e, const struct emu_group *g, const struct emu_place *p,
                        struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    struct agent_flags flags = e->flags; /* the texts stay the table's */
    struct machine none = {0};
    V1__AgentInfo *info;
    int r;

    flags.resources = g->resources;
    flags.attributes = g->attributes;
    flags.domain = NULL;
    r = agent_describe(&flags, &none, g->name, (uint16_t)e->options.port, arena, &info, err);
    if (r < 0)
        return fl_err_wrap(err, "group '%s' (line %u)", g->name, g->line);
    if (p->region) {
        info->domain = FL_ARENA_NEW(arena, V1__DomainInfo, v1__domain_info);
        info->domain->fault_domain =
            FL_ARENA_NEW(arena, V1__DomainInfo__FaultDomain, v1__domain_info__fault_domain);
        info->domain->fault_domain->region =
            FL_ARENA_NEW(arena, V1__DomainInfo__FaultDomain__RegionInfo,
                         v1__domain_info__fault_domain__region_info);
        info->domain->fault_domain->zone = FL_ARENA_NEW(
            arena, V1__DomainInfo__FaultDomain__ZoneInfo, v1__domain_info__fault_domain__zone_info);
        info->domain->fault_domain->region->name = p->region;
        info->domain->fault_domain->zone->name = p->zone;
    }
    e->patterns[e->n_patterns++] = FL_PB_DUP(info);
    return 0;
}

static int make_nodes(struct emulator *e, struct fl_err *err)
{
    size_t n = 0, places = 0;

    for (size_t i = 0; i < e->cluster->n_groups; i++)
        places += e->cluster->groups[i].n_places;
    e->patterns = xcalloc(places, sizeof(void *));
    e->n_nodes = (size_t)emu_cluster_count(e->cluster);
    e->nodes = xcalloc(e->n_nodes, sizeof *e->nodes);
    for (size_t i = 0; i < e->cluster->n_groups; i++) {
        const struct emu_group *g = &e->cluster->groups[i];
        uint32_t number = 0;

        for (size_t k = 0; k < g->n_places; k++) {
            int r = make_pattern(e, g, &g->places[k], err);

            if (r < 0)
                return r;
            for (uint64_t j = 0; j < g->places[k].count; j++, n++) {
                struct emu_node *x = &e->nodes[n];

                x->emu = e;
                x->group = g;
                x->pattern = e->patterns[e->n_patterns - 1];
                x->index = (uint32_t)n;
                x->number = ++number;
                emu_faults_new(x);
            }
        }
    }
    return 0;
}

static int check_options(struct emulator *e, struct fl_err *err)
{
    struct in_addr first;

    if (inet_pton(AF_INET, e->options.first_address, &first) != 1)
        return fl_err_set(err, FL_INVALID, "--first_address: '%s' is no IPv4 address",
                          e->options.first_address);
    e->first_ip = ntohl(first.s_addr);
    return 0;
}

static void on_term(void *arg)
{
    fl_loop_stop(((struct emulator *)arg)->loop);
}

static int make_loop(struct emulator *e, struct fl_err *err)
{
    int r = fl_loop_new(&e->loop, err);

    if (r < 0)
        return r;
    e->env = env_from_loop(e->loop);
    e->began_us = env_now_us(&e->env);
    e->metrics = metrics_new();
    e->pump_timer = fl_timer_new(e->loop, pump, e);
    e->report_timer = fl_timer_new(e->loop, on_report, e);
    signal(SIGPIPE, SIG_IGN);
    r = fl_signal_new(e->loop, SIGTERM, on_term, e, &e->term, err);
    return r < 0 ? r : fl_signal_new(e->loop, SIGINT, on_term, e, &e->interrupt, err);
}

int emulator_new(const struct emu_cluster *cluster, const struct emu_options *options,
                 struct emulator **ret, struct fl_err *err)
{
    _cleanup_(emulator_freep) struct emulator *e = xnew0(struct emulator);
    int r;

    e->cluster = cluster;
    e->options = *options;
    e->random.state = cluster->seed;
    r = check_options(e, err);
    if (r == 0)
        r = raise_descriptors((size_t)emu_cluster_count(cluster), err);
    if (r == 0)
        r = make_loop(e, err);
    if (r == 0)
        r = make_flags(e, err);
    if (r == 0)
        r = make_nodes(e, err);
    for (size_t i = 0; r == 0 && i < e->n_nodes; i++)
        r = emu_node_start(&e->nodes[i], err);
    if (r == 0)
        r = detector_new(e->loop, options->master, on_leader, e, &e->detector, err);
    if (r < 0)
        return r;
    if (options->report_us)
        fl_timer_set(e->report_timer, options->report_us);
    *ret = TAKE_PTR(e);
    return 0;
}

void emulator_run(struct emulator *e)
{
    fl_loop_run(e->loop);
}

void emulator_free(struct emulator *e)
{
    if (!e)
        return;
    for (size_t i = 0; e->nodes && i < e->n_nodes; i++) {
        if (e->nodes[i].emu) {
            emu_node_stop(&e->nodes[i]);
            emu_faults_free(&e->nodes[i]);
        }
        emu_files_done(&e->nodes[i].files);
    }
    free(e->nodes);
    for (size_t i = 0; i < e->n_patterns; i++)
        fl_pb_free(e->patterns[i]);
    free(e->patterns);
    if (e->detector)
        detector_free(e->detector);
    free(e->host);
    fl_timer_free(e->pump_timer);
    fl_timer_free(e->report_timer);
    fl_signal_free(e->term);
    fl_signal_free(e->interrupt);
    metrics_free(e->metrics);
    fl_flags_free(e->flag_table);
    fl_loop_free(e->loop);
    free(e);
}
