/* Back ends of the store: what they get from the front (store.c), and what they owe it. For the files of the store only. */
#ifndef COMMON_COORD_STORE_PRIV_H
#define COMMON_COORD_STORE_PRIV_H

#include "common/coord/store.h"

#define STORE_MAX_KEY 500

struct store_item {
    const char *key; /* terminated */
    uint32_t key_len;
    const void *data; /* NULL deletes; deleting what is not there is no error */
    size_t len;
};
/* All or nothing. One piece of memory, keys and data included. */
struct store_batch {
    struct store_batch *next;
    store_done_f *done;
    void *arg;
    bool refused; /* with `why`: never handed to the back end */
    struct fl_err why;
    size_t n;
    size_t bytes; /* of keys and data */
    struct store_item items[];
};

struct store_backend {
    const char *name;
    /* Owner's thread, before the first commit. */
    int (*load)(void *impl, const char *prefix, store_record_f *fn, void *arg, struct fl_err *err);
    /* The store's thread. All batches of the list become durable together, in order, or the call fails and nothing of them is
     * there. After a failure there is no other call but close. */
    int (*commit)(void *impl, const struct store_batch *list, struct fl_err *err);
    void (*close)(void *impl);
};

int store_new(struct fl_loop *loop, const struct store_backend *backend, void *impl,
              struct store **ret, struct fl_err *err); /* takes impl, also on failure */

#endif
