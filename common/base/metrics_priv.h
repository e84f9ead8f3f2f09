/* What the files of the metrics share. */
#ifndef COMMON_BASE_METRICS_PRIV_H
#define COMMON_BASE_METRICS_PRIV_H

#include <uthash.h>

#include "common/base/metrics.h"

enum metric_type { COUNTER, GAUGE, PULL, TIMER, HISTOGRAM };

/* Buckets end at 64 us, 96 us, 128 us, 192 us, ... 67.1 s; what took longer is in one more. */
#define HISTOGRAM_FIRST_BIT 6
#define HISTOGRAM_FIRST_US  (1u << HISTOGRAM_FIRST_BIT)
#define HISTOGRAM_BUCKETS   41

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* of each bucket alone */
    uint64_t sum_us;
};

struct metric {
    struct metrics *all; /* borrowed: its owner */
    char *name;          /* owned */
    enum metric_type type;
    double value;
    metric_pull_f *pull;
    void *pull_arg;
    struct timer *timer;         /* owned; of a TIMER */
    struct histogram *histogram; /* owned; of a TIMER or HISTOGRAM */
    UT_hash_handle hh;
};

#define METRICS_LIMITS 4

struct metrics {
    struct metric *by_name; /* owned */
    uint64_t (*now_us)(void *ctx);
    void *now_ctx;
    void (*source)(metric_tell_f *tell, void *to, void *arg);
    void *source_arg;
    const struct metric_row *rows; /* borrowed */
    size_t n_rows;
    size_t *families; /* owned; of each row, the first one of its series */
    struct metrics_limit {
        const char *place; /* borrowed */
        unsigned max;
    } limits[METRICS_LIMITS];
    size_t n_limits;
};

struct metric_entry {
    const char *name; /* borrowed from the metric, or in the arena */
    double value;
    const struct histogram *histogram; /* borrowed; or NULL */
    size_t row;                        /* for Prometheus */
};

struct metric_entries {
    struct metric_entry *list; /* owned */
    size_t n, cap;
    struct fl_arena *arena; /* owned; names that a source told, or NULL */
};
void entries_done(struct metric_entries *e);
void metrics_tell(const struct metrics *m, struct metric_entries *e); /* what the source tells */

/* ---- metrics_rows.c ---- */
#define METRIC_PLACES 4
struct metric_place {
    const char *label; /* in the row: not terminated */
    size_t label_len;
    const char *text; /* in the name: not terminated */
    size_t len;
};
/* Does the name fit the row? Fills the places. */
bool metric_row_fits(const struct metric_row *row, const char *name,
                     struct metric_place places[METRIC_PLACES], size_t *ret_n);
/* The row of a name, tried from `from` on, around; SIZE_MAX: none. */
size_t metric_row_of(const struct metrics *m, const char *name, size_t from);

#endif
