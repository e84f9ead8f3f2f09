/* Metrics of what is around the master's core: the registry's store, sockets, channels. Main thread. */
#include "common/model/plain_http.h"
#include "common/wire/wire.h"
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

struct socket_counters {
    struct http_counters http;
    struct wire_counters wire;
};

static struct socket_counters count(const struct shell *s)
{
    struct socket_counters n;

    http_server_counters(s->http, &n.http);
    wire_counters(&n.wire);
    return n;
}

#define SHELL_METRIC(id, name, value)                                                              \
    static double pull_##id(void *arg)                                                             \
    {                                                                                              \
        struct socket_counters n = count(arg);                                                     \
                                                                                                   \
        return (double)(value);                                                                    \
    }
#include "master/shell_metrics.def"
#undef SHELL_METRIC

void shell_metrics(struct shell *s)
{
    metrics_add_system(s->metrics);
    s->store_ms = metrics_timer(s->metrics, "registrar/state_store_ms");
    metrics_pull(s->metrics, "registrar/queued_operations", pull_queued, s);
    metrics_pull(s->metrics, "registrar/registry_size_bytes", pull_size, s);
    metrics_pull(s->metrics, "registrar/log/recovered", pull_recovered, s);
#define SHELL_METRIC(id, name, value) metrics_pull(s->metrics, name, pull_##id, s);
#include "master/shell_metrics.def"
#undef SHELL_METRIC
}
