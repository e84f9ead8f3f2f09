/* The store that forgets: --registry=in_memory, and tests. A table behind the same front, so that writes complete in
 * the same order and from the same thread as durable ones do. */
#include <uthash.h>

#include "common/coord/store_priv.h"

struct record {
    char *key;
    void *data;
    size_t len;
    UT_hash_handle hh;
};
struct memory {
    struct record *records;
};

static int by_key(const struct record *a, const struct record *b)
{
    return strcmp(a->key, b->key);
}

static int memory_load(void *impl, const char *prefix, store_record_f *fn, void *arg,
                       struct fl_err *err)
{
    struct memory *m = impl;

    HASH_SORT(m->records, by_key);
    for (const struct record *r = m->records; r; r = r->hh.next)
        if (str_starts(r->key, prefix))
            fn(r->key, r->data, r->len, arg);
    return 0;
}

static void record_drop(struct memory *m, struct record *r)
{
    HASH_DEL(m->records, r);
    free(r->key);
    free(r->data);
    free(r);
}

static void put(struct memory *m, const struct store_item *it)
{
    struct record *r;

    HASH_FIND(hh, m->records, it->key, it->key_len, r);
    if (!it->data) {
        if (r)
            record_drop(m, r);
        return;
    }
    if (!r) {
        r = xnew0(struct record);
        r->key = xstrdup(it->key);
        HASH_ADD_KEYPTR(hh, m->records, r->key, it->key_len, r);
    }
    free(r->data);
    r->data = xmemdup(it->data, it->len);
    r->len = it->len;
}

static int memory_commit(void *impl, const struct store_batch *list, struct fl_err *err)
{
    for (; list; list = list->next)
        for (size_t i = 0; i < list->n; i++)
            put(impl, &list->items[i]);
    return 0;
}

static void memory_close(void *impl)
{
    struct memory *m = impl;
    struct record *r, *next;

    HASH_ITER (hh, m->records, r, next)
        record_drop(m, r);
    free(m);
}

static const struct store_backend backend = {
    .name = "memory",
    .load = memory_load,
    .commit = memory_commit,
    .close = memory_close,
};

int store_open_memory(struct fl_loop *loop, struct store **ret, struct fl_err *err)
{
    return store_new(loop, &backend, xnew0(struct memory), ret, err);
}
