/* See hist.h. A value below 32 is its own bucket; above, the five bits after the leading one choose among 32 of its power. */
#include "emulator/load/hist.h"

enum { SUBS = 1 << HIST_SUB_BITS };

static size_t bucket_of(uint64_t us)
{
    unsigned power;

    if (us < SUBS)
        return (size_t)us;
    power = 63u - (unsigned)__builtin_clzll(us);
    power -= HIST_SUB_BITS;
    if (power >= HIST_POWERS - 1)
        return HIST_BUCKETS - 1;
    return ((size_t)(power + 1) << HIST_SUB_BITS) + (size_t)((us >> power) - SUBS);
}

uint64_t hist_upper(size_t bucket)
{
    unsigned power = (unsigned)(bucket >> HIST_SUB_BITS);

    if (power == 0)
        return bucket;
    return (((uint64_t)(bucket & (SUBS - 1)) + SUBS + 1) << (power - 1)) - 1;
}

void hist_add(struct hist *h, uint64_t us)
{
    h->n++;
    h->sum += us;
    if (us > h->max)
        h->max = us;
    h->counts[bucket_of(us)]++;
}

void hist_merge(struct hist *h, const struct hist *other)
{
    h->n += other->n;
    h->sum += other->sum;
    if (other->max > h->max)
        h->max = other->max;
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        h->counts[i] += other->counts[i];
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    uint64_t want = (uint64_t)(q * (double)h->n + 0.999999), seen = 0;

    if (h->n == 0)
        return 0;
    if (want == 0)
        want = 1;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= want) {
            uint64_t upper = hist_upper(i);

            return upper > h->max || i == HIST_BUCKETS - 1 ? h->max : upper;
        }
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->n ? (double)h->sum / (double)h->n : 0;
}
