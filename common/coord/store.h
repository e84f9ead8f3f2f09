/* The registry's store: small records by key, durable, written in groups. Back ends: `lmdb` (one master) and `memory`
 * (--registry=in_memory, tests); `zookeeper` joins behind the same vtable.
 *
 * Writes are asynchronous: batches handed in while one is being committed are committed together (one transaction, one
 * fsync), in order, by the store's own thread; completions come on the owner's loop in order. A batch is all or nothing.
 * After a failed write the store refuses everything: the master must stop (features.md 6, fail-fast).
 * Survives kill -9 at any instant: a record is either old or new.
 */
#ifndef COMMON_COORD_STORE_H
#define COMMON_COORD_STORE_H

#include "common/base/err.h"
#include "common/base/loop.h"

struct store;
struct store_op {
    const char *key;  /* "agent/<id>", "quota/<role>", ... up to 500 bytes */
    const void *data; /* NULL deletes */
    size_t len;
};
typedef void store_record_f(const char *key, const void *data, size_t len, void *arg);
typedef void store_done_f(const struct fl_err *err_or_null, void *arg);

/* `path` is a folder (created 0700). The path is locked: a second process gets FL_CONFLICT. */
int store_open_lmdb(struct fl_loop *loop, const char *path, struct store **ret, struct fl_err *err);
int store_open_memory(struct fl_loop *loop, struct store **ret, struct fl_err *err);
void store_free(struct store *s); /* waits for what is being committed; no completions afterwards */
FL_DEFINE_CLEANUP(struct store *, store_free, store_freep)

/* All records with the prefix, in order of keys; before the first apply (blocking: start-up only). */
int store_load(struct store *s, const char *prefix, store_record_f *fn, void *arg,
               struct fl_err *err);
/* Copies the ops. `done` may be NULL. */
void store_apply(struct store *s, const struct store_op *ops, size_t n, store_done_f *done,
                 void *arg);

struct store_counters {
    uint64_t ops, batches, commits, queued, bytes;
    double last_commit_ms;
};
void store_counters(const struct store *s, struct store_counters *out);

#endif
