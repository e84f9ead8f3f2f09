/* Metrics of a daemon: named numbers read at /metrics/snapshot. Names are the reference's (metrics.def of each daemon).
 * Counters and gauges belong to the core's thread; a pull gauge calls back when read. */
#ifndef COMMON_BASE_METRICS_H
#define COMMON_BASE_METRICS_H

#include "common/base/json.h"
#include "common/base/util.h"

struct metrics;
struct metric;
typedef double metric_pull_f(void *arg);

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
/* The clock that ages timers' samples (monotonic microseconds, env_now_us of the core). Without one they do not age. */
void metrics_set_clock(struct metrics *m, uint64_t (*now_us)(void *ctx), void *ctx);
/* Names are copied. A counter or gauge starts at 0. The same name twice returns the same metric. */
struct metric *metrics_counter(struct metrics *m, const char *name);
struct metric *metrics_gauge(struct metrics *m, const char *name);
struct metric *metrics_pull(struct metrics *m, const char *name, metric_pull_f *fn, void *arg);
/* A timer: keeps the last 1000 samples within an hour; reads as name (last, ms), name/count, /max, /min, /p50, /p90, /p95,
 * /p99, /p999, /p9999, as the reference's do: nothing before the first sample, the statistics from two samples on. The
 * name is given whole ("registrar/state_store_ms"). */
struct metric *metrics_timer(struct metrics *m, const char *name);
/* Numbers whose names come and go: asked for all of them when somebody reads, by calling `tell` with `to`. The names must be
 * nobody else's. `source` may not add or remove metrics. One a `struct metrics`. */
typedef void metric_tell_f(const char *name, double value, void *to);
void metrics_source(struct metrics *m, void (*source)(metric_tell_f *tell, void *to, void *arg),
                    void *arg);
void metrics_remove(struct metrics *m, const char *name); /* and all names below "name/" */

void metric_inc(struct metric *c);
void metric_add(struct metric *c, double v);
void metric_set(struct metric *g, double v);
double metric_get(const struct metric *c);
void metric_sample_ms(struct metric *t, double ms);

/* {"name":number,...} in order of names. */
void metrics_json(const struct metrics *m, struct json_out *out);
/* Calls fn for each number, in order of names (GET_METRICS). */
void metrics_each(const struct metrics *m, void (*fn)(const char *name, double value, void *arg),
                  void *arg);

#endif
