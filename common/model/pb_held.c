/* One table under one lock; the key of a message is its type and its encoding. */
#include "common/model/pb_held.h"

#include <pthread.h>

struct held {
    struct held *next;
    ProtobufCMessage *msg; /* owned */
    uint32_t hash, len;
    unsigned refs;
    uint8_t key[];
};

static struct {
    pthread_mutex_t lock;
    struct held **buckets;
    size_t n, n_buckets; /* a power of two */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t hash_bytes(const uint8_t *p, size_t n)
{
    uint64_t h = 14695981039346656037u;

    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    for (; n; n--, p++)
        h = (h ^ *p) * 1099511628211u;
    return (uint32_t)(h ^ (h >> 32));
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

/* Where the entry is, or would be put. With the lock held. */
static struct held **place(const ProtobufCMessageDescriptor *d, const uint8_t *key, size_t n)
{
    uint32_t hash = hash_bytes(key, n);
    struct held **p = &table.buckets[hash & (table.n_buckets - 1)];

    while (*p && ((*p)->hash != hash || (*p)->len != n || (*p)->msg->descriptor != d ||
                  memcmp((*p)->key, key, n) != 0))
        p = &(*p)->next;
    return p;
}

static struct held *held_new(const ProtobufCMessage *m, const uint8_t *key, size_t n)
{
    struct held *e = xcalloc(1, sizeof(*e) + n);

    e->msg = fl_pb_dup(m, NULL);
    e->hash = hash_bytes(key, n);
    e->len = (uint32_t)n;
    memcpy(e->key, key, n);
    return e;
}

/* The encoding, in `small` when it fits and else in *ret_big, which is the caller's. */
static const uint8_t *encode(const ProtobufCMessage *m, uint8_t small[512], uint8_t **ret_big,
                             size_t *ret_n)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *to = n <= 512 ? small : (*ret_big = xmalloc(n));

    *ret_n = protobuf_c_message_pack(m, to);
    return to;
}

const ProtobufCMessage *pb_hold(const ProtobufCMessage *m)
{
    _cleanup_free_ uint8_t *big = NULL;
    const ProtobufCMessage *msg;
    uint8_t small[512];
    const uint8_t *key;
    struct held **p;
    size_t n;

    if (!m)
        return NULL;
    key = encode(m, small, &big, &n);
    pthread_mutex_lock(&table.lock);
    if (table.n >= table.n_buckets)
        grow_table();
    p = place(m->descriptor, key, n);
    if (!*p) {
        *p = held_new(m, key, n);
        table.n++;
    }
    (*p)->refs++;
    msg = (*p)->msg;
    pthread_mutex_unlock(&table.lock);
    return msg;
}

void pb_release(const ProtobufCMessage *held)
{
    _cleanup_free_ uint8_t *big = NULL;
    struct held **p, *e = NULL;
    uint8_t small[512];
    const uint8_t *key;
    size_t n;

    if (!held)
        return;
    key = encode(held, small, &big, &n);
    pthread_mutex_lock(&table.lock);
    p = place(held->descriptor, key, n);
    assert(*p && (*p)->msg == held);
    if (--(*p)->refs == 0) {
        e = *p;
        *p = e->next;
        table.n--;
    }
    pthread_mutex_unlock(&table.lock);
    if (!e)
        return;
    fl_pb_free(e->msg);
    free(e);
}

size_t pb_held_count(void)
{
    size_t n;

    pthread_mutex_lock(&table.lock);
    n = table.n;
    pthread_mutex_unlock(&table.lock);
    return n;
}
