/* The front of the store: a queue of batches, and the thread that commits them.
 *
 * Group commit: the thread takes whatever has come since it last looked and commits it as one transaction; while that is being synced
 * to the disk the next group gathers. So the rate of operations does not hang on the time of one sync.
 *
 * Owner's thread: store_load, store_apply, store_free, complete(). Store's thread: write_loop() and the back end's commit.
 * Everything between is under `lock`. Completions are handed over in one list, by one posted call at a time.
 */
#include <pthread.h>
#include <time.h>

#include "common/coord/store_priv.h"

#define STORE_MAGIC 0x5707e5u
/* Of one transaction: a bound for its memory and for how long a small batch behind it waits. */
#define GROUP_MAX_OPS   20000
#define GROUP_MAX_BYTES (32u << 20)

/* Of which the owner hears in one turn: an agent is registered with each. */
#define TURN_BATCHES 64

struct batch_list {
    struct store_batch *first, **end;
};

struct store {
    unsigned magic;
    struct fl_loop *loop;
    const struct store_backend *backend;
    void *impl; /* owned, the back end's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct batch_list queued, done;
    bool stopping;
    bool
        idle; /* the thread waits for `work`: to signal one that does not is a system call for nothing */
    bool posted; /* complete() is on its way; it frees a store that was freed meanwhile */
    bool freed;
    bool applied;
    bool failed; /* with `why`: everything is refused from then on */
    struct fl_err why;
    struct store_counters counters;
};

static void list_init(struct batch_list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static void list_append(struct batch_list *l, struct store_batch *first, struct store_batch **end)
{
    *l->end = first;
    l->end = end;
}

static void list_free(struct store_batch *b)
{
    while (b) {
        struct store_batch *next = b->next;

        free(b);
        b = next;
    }
}

static void destroy(struct store *s)
{
    list_free(s->queued.first);
    list_free(s->done.first);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    s->magic = 0;
    free(s);
}

/* ---- completions: owner's thread ---- */

/* Some; what is left of a large group has its turn after other work of the loop. */
static void complete(void *arg)
{
    struct store *s = FL_CAST(store, STORE_MAGIC, arg);
    struct store_batch *b, *last;

    pthread_mutex_lock(&s->lock);
    b = last = s->done.first;
    for (int i = 1; i < TURN_BATCHES && last; i++)
        last = last->next;
    if (last) {
        s->done.first = last->next;
        last->next = NULL;
    }
    if (!last || !s->done.first)
        list_init(&s->done);
    pthread_mutex_unlock(&s->lock);
    /* `posted` stays set, so that a callback that frees the store leaves it to the end of this. */
    while (b) {
        struct store_batch *next = b->next;

        if (b->done && !s->freed)
            b->done(b->refused ? &b->why : NULL, b->arg);
        free(b);
        b = next;
    }
    pthread_mutex_lock(&s->lock);
    s->posted = s->done.first && !s->freed;
    if (s->posted)
        fl_loop_post(s->loop, complete, s);
    pthread_mutex_unlock(&s->lock);
    if (s->freed)
        destroy(s);
}

/* Under the lock. */
static void hand_over(struct store *s, struct store_batch *first, struct store_batch **end)
{
    list_append(&s->done, first, end);
    if (s->posted)
        return;
    s->posted = true;
    fl_loop_post(s->loop, complete, s);
}

/* ---- the store's thread ---- */

static struct store_batch *take_group(struct store *s, struct store_batch ***ret_end,
                                      size_t *ret_ops, size_t *ret_bytes)
{
    struct store_batch *first = s->queued.first, **end = &s->queued.first;
    size_t ops = 0, bytes = 0;

    while (*end && ops < GROUP_MAX_OPS && bytes < GROUP_MAX_BYTES) {
        ops += (*end)->n;
        bytes += (*end)->bytes;
        end = &(*end)->next;
    }
    s->queued.first = *end;
    if (!s->queued.first)
        s->queued.end = &s->queued.first;
    *end = NULL;
    *ret_end = end;
    *ret_ops = ops;
    *ret_bytes = bytes;
    return first;
}

static void refuse_all(struct store_batch *b, const struct fl_err *why)
{
    for (; b; b = b->next) {
        b->refused = true;
        b->why = *why;
    }
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Under the lock, which it lets go while the back end works. */
static void commit_group(struct store *s)
{
    size_t ops, bytes;
    struct store_batch **end, *first = take_group(s, &end, &ops, &bytes);
    struct fl_err err = s->why;
    double start = now_ms();
    int r = -1;

    if (!s->failed) {
        pthread_mutex_unlock(&s->lock);
        r = s->backend->commit(s->impl, first, &err);
        pthread_mutex_lock(&s->lock);
        if (r < 0) {
            s->failed = true;
            s->why = err;
        }
    }
    s->counters.queued -= ops;
    if (r < 0) {
        refuse_all(first, &err);
    } else {
        s->counters.ops += ops;
        s->counters.bytes += bytes;
        s->counters.commits++;
        s->counters.last_commit_ms = now_ms() - start;
        for (const struct store_batch *b = first; b; b = b->next)
            s->counters.batches++;
    }
    hand_over(s, first, end);
}

/* Under the lock. */
static void wake_writer(struct store *s)
{
    if (s->idle)
        pthread_cond_signal(&s->work);
    s->idle = false;
}

static void *write_loop(void *arg)
{
    struct store *s = FL_CAST(store, STORE_MAGIC, arg);

    pthread_mutex_lock(&s->lock);
    while (s->queued.first || !s->stopping) {
        if (s->queued.first) {
            commit_group(s);
        } else {
            s->idle = true;
            pthread_cond_wait(&s->work, &s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- the owner's side ---- */

int store_new(struct fl_loop *loop, const struct store_backend *backend, void *impl,
              struct store **ret, struct fl_err *err)
{
    struct store *s = xnew0(struct store);
    int r;

    s->magic = STORE_MAGIC;
    s->loop = loop;
    s->backend = backend;
    s->impl = impl;
    list_init(&s->queued);
    list_init(&s->done);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    r = pthread_create(&s->thread, NULL, write_loop, s);
    if (r != 0) {
        backend->close(impl);
        destroy(s);
        return fl_err_errno(err, r, "start the thread of the %s store", backend->name);
    }
    *ret = s;
    return 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    wake_writer(s);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    s->backend->close(s->impl);
    s->freed = true;
    if (!s->posted)
        destroy(s);
}

int store_load(struct store *s, const char *prefix, store_record_f *fn, void *arg,
               struct fl_err *err)
{
    assert(!s->applied);
    return s->backend->load(s->impl, prefix, fn, arg, err);
}

/* One allocation: the items, then keys and data behind them. */
static struct store_batch *copy_batch(const struct store_op *ops, size_t n)
{
    size_t bytes = 0, keys = 0;
    struct store_batch *b;
    char *p;

    for (size_t i = 0; i < n; i++) {
        keys += strlen(ops[i].key) + 1;
        bytes += ops[i].data ? ops[i].len : 0;
    }
    b = xmalloc(sizeof(*b) + n * sizeof(b->items[0]) + keys + bytes);
    *b = (struct store_batch){.n = n, .bytes = keys - n + bytes};
    p = (char *)&b->items[n];
    for (size_t i = 0; i < n; i++) {
        struct store_item *it = &b->items[i];

        it->key_len = (uint32_t)strlen(ops[i].key);
        it->key = memcpy(p, ops[i].key, it->key_len + 1);
        p += it->key_len + 1;
        it->len = ops[i].data ? ops[i].len : 0;
        it->data = ops[i].data ? p : NULL;
        if (it->len)
            memcpy(p, ops[i].data, it->len);
        p += it->len;
    }
    return b;
}

static int check_keys(const struct store_batch *b, struct fl_err *err)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->items[i].key_len == 0 || b->items[i].key_len > STORE_MAX_KEY)
            return fl_err_set(err, FL_INVALID, "store key '%.40s...' is empty or over %d bytes",
                              b->items[i].key, STORE_MAX_KEY);
    return 0;
}

void store_apply(struct store *s, const struct store_op *ops, size_t n, store_done_f *done,
                 void *arg)
{
    struct store_batch *b = copy_batch(ops, n);

    b->done = done;
    b->arg = arg;
    s->applied = true;
    /* A key that cannot be is the caller's mistake and spoils this batch alone. It waits for its turn like the others. */
    if (check_keys(b, &b->why) < 0) {
        b->refused = true;
        b->n = 0;
    }
    pthread_mutex_lock(&s->lock);
    s->counters.queued += b->n;
    list_append(&s->queued, b, &b->next);
    wake_writer(s);
    pthread_mutex_unlock(&s->lock);
}

void store_counters(const struct store *cs, struct store_counters *out)
{
    struct store *s = (struct store *)cs; /* for its lock */

    pthread_mutex_lock(&s->lock);
    *out = s->counters;
    pthread_mutex_unlock(&s->lock);
}
