/* The agent's metrics, under the reference's names: counters from metrics.def, gauges computed when they are read. */
#include <stdio.h>

#include "agent/agent_priv.h"
#include "agent/metric_rows.h"
#include "agent/oversubscription.h"

struct resource_gauge {
    struct agent_core *core;
    const char *name;
    bool revocable;
};
struct state_gauge {
    struct agent_core *core;
    V1__TaskState state;
};
struct executor_gauge {
    struct agent_core *core;
    enum agent_executor_state state;
};

static const char *const resource_names[] = {"cpus", "mem", "disk", "gpus"};

struct agent_counters {
    struct metric *counters[AGENT_COUNTERS];
    struct resource_gauge resources[2 * ARRAY_SIZE(resource_names)];
    struct state_gauge states[4];
    struct executor_gauge executors[3];
};

static double of_kind(const struct resources *r, const struct resource_gauge *g)
{
    _cleanup_resources_ struct resources part = RESOURCES_INIT;

    resources_revocable(r, g->revocable, &part);
    return milli_to_double(resources_scalar(&part, g->name));
}

static double pull_total(void *arg)
{
    struct resource_gauge *g = arg;

    return of_kind(g->revocable ? agent_oversub_total(g->core->oversub) : &g->core->total, g);
}

static double pull_used(void *arg)
{
    struct resource_gauge *g = arg;
    _cleanup_resources_ struct resources used = RESOURCES_INIT;

    agent_allocated(g->core, &used);
    return of_kind(&used, g);
}

static double pull_percent(void *arg)
{
    double total = pull_total(arg);

    return total > 0 ? pull_used(arg) / total : 0;
}

static double pull_uptime(void *arg)
{
    struct agent_core *a = arg;

    return env_wall_s(agent_time(a)) - a->start_time;
}

static double pull_registered(void *arg)
{
    struct agent_core *a = arg;

    return a->state == AGENT_RUNNING;
}

static double pull_frameworks(void *arg)
{
    struct agent_core *a = arg;

    return HASH_COUNT(a->frameworks);
}

static double pull_gc(void *arg)
{
    struct agent_core *a = arg;

    return (double)agent_gc_pending(a->gc);
}

static double pull_max_age(void *arg)
{
    struct agent_core *a = arg;

    return (double)a->flags->gc_delay / 1e6;
}

static struct containerizer_fetch_stats fetch_stats(const struct agent_core *a)
{
    struct containerizer_fetch_stats s = {.cache_total_bytes = a->flags->fetcher_cache_size};

    if (a->containerizer && a->containerizer->ops->fetch_stats)
        a->containerizer->ops->fetch_stats(a->containerizer, &s);
    return s;
}

static double pull_cache_size(void *arg)
{
    return (double)fetch_stats(arg).cache_total_bytes;
}

static double pull_cache_used(void *arg)
{
    return (double)fetch_stats(arg).cache_used_bytes;
}

static double pull_fetches_succeeded(void *arg)
{
    return (double)fetch_stats(arg).succeeded;
}

static double pull_fetches_failed(void *arg)
{
    return (double)fetch_stats(arg).failed;
}

static double pull_tasks(void *arg)
{
    struct state_gauge *g = arg;
    double n = 0;

    for (struct agent_framework *f = g->core->frameworks; f; f = f->hh.next) {
        for (struct agent_executor *e = f->executors; e; e = e->hh.next) {
            for (struct agent_task *t = e->tasks; t; t = t->next)
                n += t->state == g->state;
        }
    }
    return n;
}

static double pull_executors(void *arg)
{
    struct executor_gauge *g = arg;
    double n = 0;

    for (struct agent_framework *f = g->core->frameworks; f; f = f->hh.next) {
        for (struct agent_executor *e = f->executors; e; e = e->hh.next)
            n += e->state == g->state;
    }
    return n;
}

static void add_resources(struct agent_core *a, struct agent_counters *c)
{
    static const struct {
        const char *suffix;
        metric_pull_f *fn;
    } kinds[] = {{"total", pull_total}, {"used", pull_used}, {"percent", pull_percent}};

    for (size_t i = 0; i < ARRAY_SIZE(c->resources); i++) {
        struct resource_gauge *g = &c->resources[i];

        *g = (struct resource_gauge){a, resource_names[i / 2], i % 2 == 1};
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
            _cleanup_free_ char *name = xasprintf(
                "slave/%s%s_%s", g->name, g->revocable ? "_revocable" : "", kinds[k].suffix);

            metrics_pull(a->metrics, name, kinds[k].fn, g);
        }
    }
}

static void add_states(struct agent_core *a, struct agent_counters *c)
{
    static const V1__TaskState states[] = {
        V1__TASK_STATE__TASK_STAGING, V1__TASK_STATE__TASK_STARTING, V1__TASK_STATE__TASK_RUNNING,
        V1__TASK_STATE__TASK_KILLING};
    static const struct {
        const char *name;
        enum agent_executor_state state;
    } executors[] = {
        {"slave/executors_registering", EXECUTOR_REGISTERING},
        {"slave/executors_running", EXECUTOR_RUNNING},
        {"slave/executors_terminating", EXECUTOR_TERMINATING},
    };

    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        _cleanup_free_ char *name = xasprintf("slave/tasks_%s", task_state_metric(states[i]));

        c->states[i] = (struct state_gauge){a, states[i]};
        metrics_pull(a->metrics, name, pull_tasks, &c->states[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(executors); i++) {
        c->executors[i] = (struct executor_gauge){a, executors[i].state};
        metrics_pull(a->metrics, executors[i].name, pull_executors, &c->executors[i]);
    }
}

struct agent_counters *agent_counters_new(struct agent_core *a)
{
    struct agent_counters *c = xnew0(struct agent_counters);

    metrics_describe(a->metrics, agent_metric_rows, agent_metric_rows_n);
#define AGENT_COUNTER(symbol, name, ...)                                                           \
    c->counters[COUNT_##symbol] = metrics_counter(a->metrics, name);
#define AGENT_PULL(name, fn, ...) metrics_pull(a->metrics, name, fn, a);
#define METRIC_NAME(...)
#include "agent/metrics.def"
#undef AGENT_COUNTER
#undef AGENT_PULL
#undef METRIC_NAME
    add_resources(a, c);
    add_states(a, c);
    return c;
}

void agent_counters_free(struct agent_counters *c)
{
    free(c);
}

void agent_count(struct agent_core *a, enum agent_counter c)
{
    metric_inc(a->counters->counters[c]);
}

void agent_count_state(struct agent_core *a, V1__TaskState state)
{
    switch (state) {
    case V1__TASK_STATE__TASK_FINISHED:
        agent_count(a, COUNT_TASKS_FINISHED);
        return;
    case V1__TASK_STATE__TASK_FAILED:
        agent_count(a, COUNT_TASKS_FAILED);
        return;
    case V1__TASK_STATE__TASK_KILLED:
        agent_count(a, COUNT_TASKS_KILLED);
        return;
    case V1__TASK_STATE__TASK_LOST:
        agent_count(a, COUNT_TASKS_LOST);
        return;
    case V1__TASK_STATE__TASK_GONE:
        agent_count(a, COUNT_TASKS_GONE);
        return;
    default:
        return;
    }
}
