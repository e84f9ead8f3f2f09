/* The table of the agent's metrics, for readers: metrics.def, and what masters and agents have alike. */
#include "agent/metric_rows.h"

const struct metric_row agent_metric_rows[] = {
#define AGENT_COUNTER(symbol, name, series, labels, help)                                          \
    {name, METRIC_GROWS, METRIC_ONE, series, labels, help},
#define AGENT_PULL(name, fn, ...)         {name, __VA_ARGS__},
#define METRIC_NAME(...)                  {__VA_ARGS__},
#define HTTP_METRIC(id, name, value, ...) {name, __VA_ARGS__},
#include "agent/metrics.def"
#include "common/model/plain_metrics.def"
};
const size_t agent_metric_rows_n = ARRAY_SIZE(agent_metric_rows);
