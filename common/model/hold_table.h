/* Hash table of things that are held once for all who have the same: strings, kinds of resources, sets of them, messages. Counted by
 * reference; a thing leaves when its last reference goes. One lock a table, for one look-up; any thread. Internal to common/model.
 *
 * A thing has a struct hold_link in it. Who looks for one compares what hold_first() and hold_next() give, which have the right hash. */
#ifndef COMMON_MODEL_HOLD_TABLE_H
#define COMMON_MODEL_HOLD_TABLE_H

#include <pthread.h>

#include "common/base/util.h"

struct hold_link {
    struct hold_link *next;
    uint32_t hash;
    unsigned refs; /* under the lock; or all of a table's are changed by atomic operations */
};

struct hold_table {
    pthread_mutex_t lock;
    struct hold_link **buckets;
    size_t n, n_buckets; /* a power of two */
};
#define HOLD_TABLE_INIT                                                                            \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }

static inline uint64_t hold_mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    return h ^ (h >> 29);
}
static inline uint32_t hold_fold(uint64_t h)
{
    return (uint32_t)(h ^ (h >> 32));
}
static inline uint32_t hold_hash(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t h = 14695981039346656037u;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = hold_mix(h, word);
    }
    for (; n; p++, n--)
        h = (h ^ *p) * 1099511628211u;
    return hold_fold(h);
}

static inline void hold_lock(struct hold_table *t)
{
    pthread_mutex_lock(&t->lock);
}
static inline void hold_unlock(struct hold_table *t)
{
    pthread_mutex_unlock(&t->lock);
}

/* ---- with the lock held ---- */

static inline struct hold_link *hold_same_hash(struct hold_link *l, uint32_t hash)
{
    while (l && l->hash != hash)
        l = l->next;
    return l;
}
static inline struct hold_link *hold_first(const struct hold_table *t, uint32_t hash)
{
    return t->n_buckets ? hold_same_hash(t->buckets[hash & (t->n_buckets - 1)], hash) : NULL;
}
static inline struct hold_link *hold_next(const struct hold_link *l)
{
    return hold_same_hash(l->next, l->hash);
}
/* `l->hash` is set. */
void hold_add(struct hold_table *t, struct hold_link *l);
void hold_remove(struct hold_table *t, struct hold_link *l);
/* One reference less. Whether it was the last: then the thing is out, and the caller's to free. */
static inline bool hold_drop(struct hold_table *t, struct hold_link *l)
{
    assert(l->refs > 0);
    if (--l->refs > 0)
        return false;
    hold_remove(t, l);
    return true;
}

/* ---- without it ---- */

size_t hold_count(struct hold_table *t);
/* As intern_fork_hold(). */
void hold_over_fork(struct hold_table *t, bool hold);

#endif
