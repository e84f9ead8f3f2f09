/* The books of the fetcher's cache: which URI of which user lies in which file, who uses it, how much room is taken. Pure: files are only
 * named here, and removed through a callback. One thread.
 *
 * An entry is PENDING while its first user fetches it, READY while its file may be used, GONE once it is out of the books (failed, evicted,
 * found damaged); who still holds it then sees that, and the last one frees it. Only what nobody holds is evicted, the least recently
 * found first. */
#ifndef AGENT_CONTAINERIZER_FETCH_CACHE_H
#define AGENT_CONTAINERIZER_FETCH_CACHE_H

#include <uthash.h>

#include "common/base/err.h"

#define FETCH_CACHE_MAX_ENTRIES 65536

enum fetch_entry_state { FETCH_PENDING, FETCH_READY, FETCH_GONE };

struct fetch_entry {
    enum fetch_entry_state state;
    bool abandoned; /* GONE because its first user ended, not because it cannot be had */
    char *key, *file;
    uint64_t size; /* taken from the room */
    unsigned refs;
    struct fetch_entry *next, *prev; /* least recently found first */
    UT_hash_handle hh;
};

struct fetch_cache {
    uint64_t total, used;
    uint64_t serial;
    size_t n_entries;
    struct fetch_entry *table, *oldest;
    void (*remove)(void *arg, const char *file);
    void *arg;
};

void fetch_cache_init(struct fetch_cache *c, uint64_t total,
                      void (*remove)(void *arg, const char *file), void *arg);
/* Nothing may be held any more. Files stay. */
void fetch_cache_done(struct fetch_cache *c);

/* Pending or ready; held for the caller, or NULL. `user` may be NULL. */
struct fetch_entry *fetch_cache_find(struct fetch_cache *c, const char *user, const char *uri);
/* A new one, pending, held; it must not be there. `name`: of the fetched file, for people who look into the folder. NULL: too many are held. */
struct fetch_entry *fetch_cache_add(struct fetch_cache *c, const char *user, const char *uri,
                                    const char *name);
void fetch_entry_hold(struct fetch_entry *e);
void fetch_entry_release(struct fetch_cache *c, struct fetch_entry *e);

/* Takes room for a pending entry, evicting others; -ENOSPC without evicting any when that cannot make enough. */
int fetch_cache_reserve(struct fetch_cache *c, struct fetch_entry *e, uint64_t size);
/* Its file is whole. More than was reserved: it becomes GONE instead. */
void fetch_cache_ready(struct fetch_cache *c, struct fetch_entry *e, uint64_t size);
/* Out of the books, its file removed. Does nothing to one that is gone. */
void fetch_cache_drop(struct fetch_cache *c, struct fetch_entry *e, bool abandoned);

#endif
