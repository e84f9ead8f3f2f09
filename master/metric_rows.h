/* What the master's metrics are; also for the documents. */
#ifndef MASTER_METRIC_ROWS_H
#define MASTER_METRIC_ROWS_H

#include "common/base/metrics.h"

extern const struct metric_row master_metric_rows[];
extern const size_t master_metric_rows_n;

#endif
