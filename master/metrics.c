/* The core's metrics: rows of metrics.def, and the totals of resources (totals.c). Gauges are asked
 * when they are read, and nothing that they ask for goes over all agents: monitors read often. */
#include "master/core.h"
#include "master/metric_rows.h"

static double pull_uptime(void *arg)
{
    struct master *m = arg;
    return env_wall_s(core_env(m)) - m->start_time;
}

static double pull_elected(void *arg)
{
    return ((struct master *)arg)->recovered;
}

static double pull_slaves_connected(void *arg)
{
    return ((struct master *)arg)->core->totals->connected;
}

static double pull_slaves_disconnected(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->agents) - pull_slaves_connected(arg);
}

static double pull_slaves_active(void *arg)
{
    return ((struct master *)arg)->core->totals->active;
}

static double pull_slaves_inactive(void *arg)
{
    return HASH_COUNT(((struct master *)arg)->agents) - pull_slaves_active(arg);
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

struct total_gauge {
    const struct totals *totals;
    int revocable;
    size_t resource;
    enum { GAUGE_TOTAL, GAUGE_USED, GAUGE_PERCENT, GAUGE_HELD } what;
};

static double pull_total(void *arg)
{
    const struct total_gauge *g = arg;
    const struct totals *t = g->totals;
    double total = milli_to_double(t->total.of[g->revocable][g->resource]);
    double used = milli_to_double(t->used.of[g->revocable][g->resource]);

    switch (g->what) {
    case GAUGE_TOTAL:
        return total;
    case GAUGE_USED:
        return used;
    case GAUGE_PERCENT:
        return total > 0 ? used / total : 0;
    case GAUGE_HELD:
        return milli_to_double(t->used.of[0][g->resource] + t->used.of[1][g->resource] +
                               t->offered.of[0][g->resource] + t->offered.of[1][g->resource]);
    }
    return 0;
}

static void total_gauges_init(struct master *m)
{
    static const char *const whats[] = {"total", "used", "percent"};
    const struct totals *t = m->core->totals;
    struct total_gauge *g = xcalloc(TOTALS_NAMES * (2 * ARRAY_SIZE(whats) + 2), sizeof(*g));
    char name[64];

    m->core->total_gauges = g;
    for (int rev = 0; rev < 2; rev++) {
        for (size_t i = 0; i < TOTALS_NAMES; i++) {
            for (size_t w = 0; w < ARRAY_SIZE(whats); w++, g++) {
                *g = (struct total_gauge){t, rev, i, (int)w};
                fl_snprintf(name, sizeof(name), "master/%s_%s%s", totals_names[i],
                            rev ? "revocable_" : "", whats[w]);
                metrics_pull(m->metrics, name, pull_total, g);
            }
        }
    }
    for (size_t i = 0; i < TOTALS_NAMES; i++) {
        *g = (struct total_gauge){t, 0, i, GAUGE_TOTAL};
        fl_snprintf(name, sizeof(name), "allocator/mesos/resources/%s/total", totals_names[i]);
        metrics_pull(m->metrics, name, pull_total, g++);
        *g = (struct total_gauge){t, 0, i, GAUGE_HELD};
        fl_snprintf(name, sizeof(name), "allocator/mesos/resources/%s/offered_or_allocated",
                    totals_names[i]);
        metrics_pull(m->metrics, name, pull_total, g++);
    }
}

void core_metrics_init(struct master *m)
{
    metrics_describe(m->metrics, master_metric_rows, master_metric_rows_n);
#define METRIC_COUNTER(field, name, ...) m->core->c.field = metrics_counter(m->metrics, name);
#define METRIC_PULL(name, fn, ...)       metrics_pull(m->metrics, name, fn, m);
#define METRIC_NAME(...)
#include "master/metrics.def"
#undef METRIC_COUNTER
#undef METRIC_PULL
#undef METRIC_NAME
    m->core->offer_answer = metrics_histogram(m->metrics, "master/offer_answer");
    m->core->launch = metrics_histogram(m->metrics, "master/launch");
    m->core->update_latency = metrics_histogram(m->metrics, "master/status_update_latency");
    totals_init(m);
    total_gauges_init(m);
    counters_init(m);
}
