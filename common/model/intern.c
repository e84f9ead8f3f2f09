/* One table of strings for the whole process, open hashing, never shrinking. The lock is held for
 * one look-up; strings live until the process ends, so a pointer may be kept and compared by
 * anybody. */
#include "common/model/intern.h"

#include <pthread.h>

struct entry {
    struct entry *next;
    uint32_t hash;
    uint32_t len;
    unsigned refs;           /* under the lock */
    bool pinned;             /* set by whoever holds a reference */
    _Alignas(8) char text[]; /* arrays are held, too */
};

static struct {
    pthread_mutex_t lock;
    struct entry **buckets;
    size_t n, n_buckets; /* a power of two */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (; n >= 8; s += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, s, 8);
        h = (h ^ word) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    for (; n; s++, n--)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return (uint32_t)(h ^ (h >> 32));
}

static void grow_table(void)
{
    size_t wider = table.n_buckets ? table.n_buckets * 2 : 256;
    struct entry **buckets = xcalloc(wider, sizeof(*buckets));
    for (size_t i = 0; i < table.n_buckets; i++) {
        struct entry *next;
        for (struct entry *e = table.buckets[i]; e; e = next) {
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
static struct entry *find_or_add(const char *s, size_t n, uint32_t hash)
{
    if (table.n >= table.n_buckets)
        grow_table();
    struct entry **bucket = &table.buckets[hash & (table.n_buckets - 1)];
    for (struct entry *e = *bucket; e; e = e->next)
        if (e->hash == hash && e->len == n && memcmp(e->text, s, n) == 0)
            return e;
    struct entry *e = xmalloc(sizeof(*e) + n + 1);
    *e = (struct entry){.next = *bucket, .hash = hash, .len = (uint32_t)n};
    memcpy(e->text, s, n);
    e->text[n] = 0;
    *bucket = e;
    table.n++;
    return e;
}

static struct entry *entry_of(const char *interned)
{
    return container_of(interned, struct entry, text[0]);
}

const char *intern_n(const char *s, size_t n)
{
    if (!s)
        return NULL;
    uint32_t hash = hash_bytes(s, n);
    pthread_mutex_lock(&table.lock);
    struct entry *e = find_or_add(s, n, hash);
    intern_pin(e->text);
    pthread_mutex_unlock(&table.lock);
    return e->text;
}

const char *intern(const char *s)
{
    return s ? intern_n(s, strlen(s)) : NULL;
}

const char *intern_ref(const char *s)
{
    return s ? intern_ref_n(s, strlen(s)) : NULL;
}

size_t intern_len(const char *interned)
{
    return entry_of(interned)->len;
}

const char *intern_ref_n(const void *s, size_t n)
{
    uint32_t hash = hash_bytes(s, n);
    pthread_mutex_lock(&table.lock);
    struct entry *e = find_or_add(s, n, hash);
    e->refs++;
    pthread_mutex_unlock(&table.lock);
    return e->text;
}

void intern_unref(const char *interned)
{
    if (!interned)
        return;
    struct entry *e = entry_of(interned);
    pthread_mutex_lock(&table.lock);
    assert(e->refs > 0);
    bool last = --e->refs == 0 && !__atomic_load_n(&e->pinned, __ATOMIC_RELAXED);
    if (last) {
        struct entry **p = &table.buckets[e->hash & (table.n_buckets - 1)];
        while (*p != e)
            p = &(*p)->next;
        *p = e->next;
        table.n--;
    }
    pthread_mutex_unlock(&table.lock);
    if (last)
        free(e);
}

const char *intern_pin(const char *interned)
{
    if (interned)
        __atomic_store_n(&entry_of(interned)->pinned, true, __ATOMIC_RELAXED);
    return interned;
}

size_t intern_count(void)
{
    pthread_mutex_lock(&table.lock);
    size_t n = table.n;
    pthread_mutex_unlock(&table.lock);
    return n;
}

void intern_fork_hold(bool hold)
{
    if (hold)
        pthread_mutex_lock(&table.lock);
    else
        pthread_mutex_unlock(&table.lock);
}
