/* Metrics as the JSON of /metrics/snapshot. The core's thread only. */
#include "common/base/metrics.h"

static void add_number(const char *name, double value, void *arg)
{
    json_kdouble(arg, name, value);
}

void metrics_json(const struct metrics *m, struct json_out *out)
{
    json_object(out);
    metrics_each(m, add_number, out);
    json_end_object(out);
}
