/* Metrics of a daemon: named numbers read at /metrics/snapshot, and the same for Prometheus at /metrics. Names are the reference's
 * (metrics.def of each daemon). Counters and gauges belong to the core's thread; a pull gauge calls back when read. */
#ifndef COMMON_BASE_METRICS_H
#define COMMON_BASE_METRICS_H

#include "common/base/json.h"
#include "common/base/util.h"

struct metrics;
struct metric;
typedef double metric_pull_f(void *arg);

/* ---- what the numbers are: the rows of a daemon's metrics.def ---- */
enum metric_kind {
    METRIC_GROWS, /* a counter: since the daemon started */
    METRIC_LEVEL, /* a gauge */
    METRIC_TIMES, /* durations: a timer or a histogram */
};
enum metric_unit {
    METRIC_ONE,
    METRIC_RATIO,
    METRIC_SECONDS,
    METRIC_MILLISECONDS,
    METRIC_MICROSECONDS,
    METRIC_BYTES,
    METRIC_AMOUNT, /* of the resource that {resource} names: "mem" and "disk" are in MiB */
};
/* `name` may have places, "master/tasks_{state}": each stands for any text up to the character that follows it, one at the end for what
 * is left without a '/', {role} for text with any '/'. No name fits two rows. Prometheus reads fairlead_<series> in seconds and bytes, with
 * `labels` ("state=\"lost\"", or empty), and each place as a label. Rows of one series are of one kind; the first one's help is shown.
 * An empty series: not shown, for it is the sum of others. */
struct metric_row {
    const char *name;
    enum metric_kind kind;
    enum metric_unit unit;
    const char *series, *labels, *help;
};

struct metrics *metrics_new(void);
/* `rows` are borrowed; always the same ones. */
void metrics_describe(struct metrics *m, const struct metric_row *rows, size_t n);
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
/* Durations that only Prometheus is shown, as a histogram: nothing is kept of single ones. */
struct metric *metrics_histogram(struct metrics *m, const char *name);
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
void metric_sample_ms(struct metric *t, double ms);           /* of a timer */
void metric_sample_us(struct metric *histogram, uint64_t us); /* a few nanoseconds */

/* {"name":number,...} in order of names. */
void metrics_json(const struct metrics *m, struct json_out *out);
/* Calls fn for each number, in order of names (GET_METRICS). */
void metrics_each(const struct metrics *m, void (*fn)(const char *name, double value, void *arg),
                  void *arg);

/* process/cpu_secs and process/resident_bytes: of this process. */
void metrics_add_process(struct metrics *m);

/* ---- Prometheus: metrics_text.c ---- */
enum metrics_format { METRICS_PROMETHEUS, METRICS_OPENMETRICS };
/* No more than `max` values of a place ("framework_id", "role") are shown to Prometheus; what is left out is counted in
 * fairlead_metrics_left_out{label}. `place` is borrowed. */
void metrics_limit(struct metrics *m, const char *place, unsigned max);
/* All there is, without the end that OpenMetrics wants. */
void metrics_text(struct metrics *m, enum metrics_format format, struct fl_buf *out);
void metrics_text_end(enum metrics_format format, struct fl_buf *out);
/* Further series, after metrics_text(): the head of each, then its samples. `labels`: as metrics_label() wrote them, or "". */
void metrics_series(struct fl_buf *out, enum metrics_format format, const char *series,
                    enum metric_kind kind, const char *help);
void metrics_value(struct fl_buf *out, const char *series, const char *labels, double value);
void metrics_label(struct fl_buf *labels, const char *name, const char *value); /* appends */

#endif
