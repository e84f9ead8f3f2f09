/* The core's metrics: rows of metrics.def, and the totals of resources. Gauges are asked when they
 * are read; totals over all agents are added up once for all of them that one reading asks for. */
#include "master/core.h"

#include <math.h>
#include <stdio.h>

static double pull_uptime(void *arg)
{
    struct master *m = arg;
    return env_wall_s(core_env(m)) - m->start_time;
}

static double pull_elected(void *arg)
{
    return ((struct master *)arg)->recovered;
}

static double count_agents(struct master *m, bool (*is)(const struct agent *a))
{
    struct agent *a, *tmp;
    unsigned n = 0;

    HASH_ITER (hh, m->agents, a, tmp)
        n += is(a);
    return n;
}

static bool is_connected(const struct agent *a)
{
    return a->connected;
}

static bool is_active(const struct agent *a)
{
    return a->active;
}

static double pull_slaves_connected(void *arg)
{
    return count_agents(arg, is_connected);
}

static double pull_slaves_disconnected(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->agents) - count_agents(arg, is_connected);
}

static double pull_slaves_active(void *arg)
{
    return count_agents(arg, is_active);
}

static double pull_slaves_inactive(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->agents) - count_agents(arg, is_active);
}

static double pull_slaves_unreachable(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->unreachable_agents);
}

static double count_frameworks(struct master *m, bool active)
{
    struct framework *f, *tmp;
    unsigned n = 0;

    HASH_ITER (hh, m->frameworks, f, tmp)
        n += active ? f->active : f->connected;
    return n;
}

static double pull_frameworks_connected(void *arg)
{
    return count_frameworks(arg, false);
}

static double pull_frameworks_disconnected(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->frameworks) - count_frameworks(arg, false);
}

static double pull_frameworks_active(void *arg)
{
    return count_frameworks(arg, true);
}

static double pull_frameworks_inactive(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->frameworks) - count_frameworks(arg, true);
}

static double pull_outstanding_offers(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->offers);
}

static double pull_subscribers(void *arg)
{
    return ((struct master *)arg)->n_subscribers;
}

#define TASK_GAUGE(name, state)                                                                    \
    static double pull_tasks_##name(void *arg)                                                     \
    {                                                                                              \
        return master_task_count(arg, V1__TASK_STATE__TASK_##state);                               \
    }
TASK_GAUGE(staging, STAGING)
TASK_GAUGE(starting, STARTING)
TASK_GAUGE(running, RUNNING)
TASK_GAUGE(killing, KILLING)
TASK_GAUGE(unreachable, UNREACHABLE)

/* ---- totals of resources ---- */

static const char *const counted[] = {"cpus", "gpus", "mem", "disk"};
/* Long enough for one reading of all gauges, too short for anybody to see an old sum. */
#define TOTALS_FRESH_US 2000

struct totals {
    struct master *m;
    uint64_t at_us;
    double total[2][ARRAY_SIZE(counted)]; /* [0] as they are, [1] revocable */
    double used[2][ARRAY_SIZE(counted)];
    double held[2][ARRAY_SIZE(counted)]; /* used or offered */
};

struct total_gauge {
    struct totals *totals;
    int revocable;
    size_t resource;
    enum { GAUGE_TOTAL, GAUGE_USED, GAUGE_PERCENT, GAUGE_HELD } what;
};

static void add_up(double sums[2][ARRAY_SIZE(counted)], const struct resources *r)
{
    struct resources revocable = RESOURCES_INIT;

    if (resources_has_revocable(r))
        resources_revocable(r, true, &revocable);
    for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
        milli_t rev = resources_scalar(&revocable, counted[i]);
        sums[1][i] += milli_to_double(rev);
        sums[0][i] += milli_to_double(resources_scalar(r, counted[i]) - rev);
    }
    resources_done(&revocable);
}

static void refresh(struct totals *t)
{
    struct agent *a, *tmp;
    uint64_t now = core_now(t->m);

    if (t->at_us && now - t->at_us < TOTALS_FRESH_US)
        return;
    t->at_us = now;
    memset(t->total, 0, sizeof(t->total));
    memset(t->used, 0, sizeof(t->used));
    memset(t->held, 0, sizeof(t->held));
    HASH_ITER (hh, t->m->agents, a, tmp) {
        add_up(t->total, &a->total);
        add_up(t->used, &a->used);
        add_up(t->held, &a->used);
        add_up(t->held, &a->offered);
    }
}

/* Sums of thousandths, without what adding doubles leaves behind them. */
static double in_thousandths(double sum)
{
    return round(sum * 1000) / 1000;
}

static double pull_total(void *arg)
{
    const struct total_gauge *g = arg;
    double total, used;

    refresh(g->totals);
    total = in_thousandths(g->totals->total[g->revocable][g->resource]);
    used = in_thousandths(g->totals->used[g->revocable][g->resource]);
    if (g->what == GAUGE_TOTAL)
        return total;
    if (g->what == GAUGE_USED)
        return used;
    if (g->what == GAUGE_HELD)
        return g->totals->held[0][g->resource] + g->totals->held[1][g->resource];
    return total > 0 ? used / total : 0;
}

static void totals_init(struct master *m)
{
    static const char *const whats[] = {"total", "used", "percent"};
    struct totals *t = xnew0(struct totals);
    struct total_gauge *g = xcalloc(ARRAY_SIZE(counted) * (2 * ARRAY_SIZE(whats) + 2), sizeof(*g));
    char name[64];

    m->core->totals = t;
    m->core->total_gauges = g;
    t->m = m;
    for (int rev = 0; rev < 2; rev++) {
        for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
            for (size_t w = 0; w < ARRAY_SIZE(whats); w++, g++) {
                *g = (struct total_gauge){t, rev, i, (int)w};
                fl_snprintf(name, sizeof(name), "master/%s_%s%s", counted[i],
                            rev ? "revocable_" : "", whats[w]);
                metrics_pull(m->metrics, name, pull_total, g);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
        *g = (struct total_gauge){t, 0, i, GAUGE_TOTAL};
        fl_snprintf(name, sizeof(name), "allocator/mesos/resources/%s/total", counted[i]);
        metrics_pull(m->metrics, name, pull_total, g++);
        *g = (struct total_gauge){t, 0, i, GAUGE_HELD};
        fl_snprintf(name, sizeof(name), "allocator/mesos/resources/%s/offered_or_allocated",
                    counted[i]);
        metrics_pull(m->metrics, name, pull_total, g++);
    }
}

void core_metrics_init(struct master *m)
{
#define METRIC_COUNTER(field, name) m->core->c.field = metrics_counter(m->metrics, name);
#define METRIC_PULL(name, fn)       metrics_pull(m->metrics, name, fn, m);
#include "master/metrics.def"
#undef METRIC_COUNTER
#undef METRIC_PULL
    totals_init(m);
    counters_init(m);
}
