/* The table of the master's metrics, for readers: metrics.def, and what masters and agents have alike. */
#include "master/metric_rows.h"

const struct metric_row master_metric_rows[] = {
#define METRIC_COUNTER(field, name, series, labels, help)                                          \
    {name, METRIC_GROWS, METRIC_ONE, series, labels, help},
#define METRIC_PULL(name, fn, ...)        {name, __VA_ARGS__},
#define METRIC_NAME(...)                  {__VA_ARGS__},
#define WIRE_METRIC(id, name, value, ...) {name, __VA_ARGS__},
#define HTTP_METRIC(id, name, value, ...) {name, __VA_ARGS__},
#include "master/metrics.def"
#include "master/shell_metrics.def"
#include "common/model/plain_metrics.def"
};
const size_t master_metric_rows_n = ARRAY_SIZE(master_metric_rows);
