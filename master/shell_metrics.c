/* Metrics of what is around the master's core: the registry's store, sockets, channels. Main thread. */
#include "common/model/http_times.h"
#include "common/model/plain_http.h"
#include "common/wire/wire.h"
#include "master/api/handlers.h"
#include "master/shell.h"

static double pull_queued(void *arg)
{
    struct store_counters c = {0};

    store_counters(((struct shell *)arg)->store, &c);
    return (double)c.queued;
}

static double pull_size(void *arg)
{
    struct store_counters c = {0};

    store_counters(((struct shell *)arg)->store, &c);
    return (double)c.bytes;
}

static double pull_recovered(void *arg)
{
    return ((struct shell *)arg)->master->recovered;
}

static double pull_one(void *arg)
{
    return 1;
}

#define WIRE_METRIC(id, name, value, ...)                                                          \
    static double pull_##id(void *arg)                                                             \
    {                                                                                              \
        struct wire_counters n;                                                                    \
                                                                                                   \
        wire_counters(&n);                                                                         \
        return (double)(value);                                                                    \
    }
#include "master/shell_metrics.def"
#undef WIRE_METRIC

void shell_metrics(struct shell *s)
{
    metrics_add_system(s->metrics);
    metrics_add_http(s->metrics, &s->http);
    metrics_limit(s->metrics, "framework_id", (unsigned)s->flags.metrics_max_frameworks);
    metrics_limit(s->metrics, "role", (unsigned)s->flags.metrics_max_roles);
    s->store_ms = metrics_timer(s->metrics, "registrar/state_store_ms");
    metrics_pull(s->metrics, "registrar/queued_operations", pull_queued, s);
    metrics_pull(s->metrics, "registrar/registry_size_bytes", pull_size, s);
    if (!streq(s->flags.registry, "in_memory")) {
        /* The registry is kept by this master alone. */
        metrics_pull(s->metrics, "registrar/log/recovered", pull_recovered, s);
        metrics_pull(s->metrics, "registrar/log/ensemble_size", pull_one, NULL);
    }
#define WIRE_METRIC(id, name, value, ...) metrics_pull(s->metrics, name, pull_##id, s);
#include "master/shell_metrics.def"
#undef WIRE_METRIC
    s->api.times = http_times_new(s->metrics, master_routes, master_routes_n);
}
