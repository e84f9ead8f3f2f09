/* The small HTTP endpoints that master and agent answer alike: /health, /version, /flags, /metrics/snapshot,
 * /system/stats.json, /logging/toggle, /profiler, /memory-profiler. Each answers the exchange. Owner loop of the server. */
#ifndef COMMON_MODEL_PLAIN_HTTP_H
#define COMMON_MODEL_PLAIN_HTTP_H

#include "common/base/flags.h"
#include "common/base/http.h"
#include "common/base/log_toggle.h"
#include "common/base/metrics.h"

/* As handlers; `arg` is not looked at. */
http_handler_f plain_health, plain_version, plain_system_stats;
http_handler_f plain_profiler, plain_memory_profiler, plain_memory_profiler_state;
http_handler_f plain_not_found; /* for the server's fallback */
void plain_flags(struct http_exchange *ex, const struct fl_flags *flags);
void plain_metrics(struct http_exchange *ex, const struct metrics *metrics);
/* /metrics. OpenMetrics when the client prefers it. */
enum metrics_format plain_metrics_format(const struct http_exchange *ex);
/* Ends the text and sends it. */
void plain_metrics_respond(struct http_exchange *ex, enum metrics_format format,
                           struct fl_buf *text);
void plain_logging_toggle(struct http_exchange *ex, struct log_toggle *toggle);
/* {"name":"value",...} */
void legacy_flags_object(struct json_out *j, const struct fl_flags *flags);
/* system/load_1min, system/mem_free_bytes and their kin. */
void metrics_add_system(struct metrics *m);

#endif
