/* Sets of resources that many hold and nobody changes: the tasks of a job all need the same, and
 * thousands of agents have the same. A table under one lock, like that of kinds; an entry leaves
 * when its last reference goes. */
#include <pthread.h>

#include "common/model/resources_internal.h"

struct held {
    struct resources res; /* first: what is handed out */
    struct held *next;
    uint32_t hash;
    unsigned refs; /* under the lock, but for those who have one and add another */
};

static struct {
    pthread_mutex_t lock;
    struct held **buckets;
    size_t n, n_buckets; /* a power of two */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    return h ^ (h >> 29);
}

static uint64_t hash_value(uint64_t h, const struct value *v, V1__Value__Type type)
{
    if (type == V1__VALUE__TYPE__SCALAR)
        return mix(h, (uint64_t)v->scalar);
    for (uint32_t i = 0; i < v->n; i++) {
        if (type == V1__VALUE__TYPE__RANGES)
            h = mix(mix(h, v->ranges[i].begin), v->ranges[i].end);
        else
            h = mix(h, strlen(v->items[i]));
    }
    return h;
}

static uint32_t hash_set(const struct resources *r)
{
    uint64_t h = r->n;

    for (size_t i = 0; i < r->n; i++) {
        const struct resource *item = &r->items[i];
        h = mix(mix(h, (uintptr_t)item->kind), item->copies);
        h = hash_value(h, &item->value, item->kind->type);
    }
    return (uint32_t)(h ^ (h >> 32));
}

/* The very same: kinds are told apart even where they may merge, and the order counts. */
static bool same(const struct resources *a, const struct resources *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct resource *x = &a->items[i], *y = &b->items[i];
        if (x->kind != y->kind || x->copies != y->copies ||
            !value_equal(&x->value, &y->value, x->kind->type))
            return false;
    }
    return true;
}

static void grow_table(void)
{
    size_t wider = table.n_buckets ? table.n_buckets * 2 : 256;
    struct held **buckets = xcalloc(wider, sizeof(*buckets));

    for (size_t i = 0; i < table.n_buckets; i++) {
        struct held *next;
        for (struct held *e = table.buckets[i]; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (wider - 1)];
            buckets[e->hash & (wider - 1)] = e;
        }
    }
    free(table.buckets);
    table.buckets = buckets;
    table.n_buckets = wider;
}

/* With the lock held. */
static struct held *find_or_add(struct resources *r, uint32_t hash)
{
    struct held *e, **bucket;

    if (table.n >= table.n_buckets)
        grow_table();
    bucket = &table.buckets[hash & (table.n_buckets - 1)];
    for (e = *bucket; e; e = e->next) {
        if (e->hash == hash && same(&e->res, r))
            return e;
    }
    e = xmalloc(sizeof(*e));
    *e = (struct held){.res = *r, .next = *bucket, .hash = hash};
    *r = (struct resources)RESOURCES_INIT;
    *bucket = e;
    table.n++;
    return e;
}

const struct resources *resources_hold(struct resources *r)
{
    uint32_t hash = hash_set(r);
    struct held *e;

    pthread_mutex_lock(&table.lock);
    e = find_or_add(r, hash);
    __atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&table.lock);
    resources_done(r);
    return &e->res;
}

const struct resources *resources_hold_again(const struct resources *held)
{
    __atomic_add_fetch(&container_of(held, struct held, res)->refs, 1, __ATOMIC_RELAXED);
    return held;
}

void resources_release(const struct resources *held)
{
    struct held *e, **p;
    bool last;

    if (!held)
        return;
    e = container_of(held, struct held, res);
    pthread_mutex_lock(&table.lock);
    last = __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last) {
        for (p = &table.buckets[e->hash & (table.n_buckets - 1)]; *p != e; p = &(*p)->next)
            ;
        *p = e->next;
        table.n--;
    }
    pthread_mutex_unlock(&table.lock);
    if (!last)
        return;
    resources_done(&e->res);
    free(e);
}

size_t resources_held_count(void)
{
    size_t n;

    pthread_mutex_lock(&table.lock);
    n = table.n;
    pthread_mutex_unlock(&table.lock);
    return n;
}

void resources_fork_hold(bool hold)
{
    if (hold) {
        pthread_mutex_lock(&table.lock);
        kinds_fork_hold(true);
    } else {
        kinds_fork_hold(false);
        pthread_mutex_unlock(&table.lock);
    }
}
