/* Latencies in microseconds, counted in buckets of at most 3 % of their value: fixed memory, no loss of the tail. Pure. */
#ifndef EMULATOR_LOAD_HIST_H
#define EMULATOR_LOAD_HIST_H

#include <stddef.h>
#include <stdint.h>

enum {
    HIST_SUB_BITS = 5, /* buckets of each power of two: 32 */
    HIST_POWERS = 42,  /* up to 2^42 us, 50 days; what is longer counts as that */
    HIST_BUCKETS = HIST_POWERS << HIST_SUB_BITS,
};
struct hist {
    uint64_t n, sum, max;
    uint32_t counts[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t us);
void hist_merge(struct hist *h, const struct hist *other);
/* The largest value of the bucket in which the share `q` (0..1) of all ends, never over the maximum; 0 when nothing was counted. */
uint64_t hist_quantile(const struct hist *h, double q);
double hist_mean(const struct hist *h);
/* The largest value of a bucket: for drawing. */
uint64_t hist_upper(size_t bucket);

#endif
