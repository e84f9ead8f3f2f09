/* What the agent's metrics are; also for the documents. */
#ifndef AGENT_METRIC_ROWS_H
#define AGENT_METRIC_ROWS_H

#include "common/base/metrics.h"

extern const struct metric_row agent_metric_rows[];
extern const size_t agent_metric_rows_n;

#endif
