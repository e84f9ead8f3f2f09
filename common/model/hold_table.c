/* Hash table of what is held by reference: open hashing under one lock, buckets never shrink. */
#include "common/model/hold_table.h"

static void put(struct hold_link **buckets, size_t n_buckets, struct hold_link *l)
{
    struct hold_link **bucket = &buckets[l->hash & (n_buckets - 1)];
    l->next = *bucket;
    *bucket = l;
}

static void grow_table(struct hold_table *t)
{
    size_t wider = t->n_buckets ? t->n_buckets * 2 : 256;
    struct hold_link **buckets = xcalloc(wider, sizeof(*buckets));
    for (size_t i = 0; i < t->n_buckets; i++) {
        struct hold_link *next;
        for (struct hold_link *l = t->buckets[i]; l; l = next) {
            next = l->next;
            put(buckets, wider, l);
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->n_buckets = wider;
}

void hold_add(struct hold_table *t, struct hold_link *l)
{
    if (t->n >= t->n_buckets)
        grow_table(t);
    put(t->buckets, t->n_buckets, l);
    t->n++;
}

void hold_remove(struct hold_table *t, struct hold_link *l)
{
    struct hold_link **p = &t->buckets[l->hash & (t->n_buckets - 1)];
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    t->n--;
}

size_t hold_count(struct hold_table *t)
{
    hold_lock(t);
    size_t n = t->n;
    hold_unlock(t);
    return n;
}

void hold_over_fork(struct hold_table *t, bool hold)
{
    if (hold)
        hold_lock(t);
    else
        hold_unlock(t);
}
