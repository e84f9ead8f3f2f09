/* See fetch_cache.h. */
#include "agent/containerizer/fetch_cache.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <utlist.h>

#define NAME_PART 10 /* of the fetched file's name, from each end */

void fetch_cache_init(struct fetch_cache *c, uint64_t total,
                      void (*remove)(void *arg, const char *file), void *arg)
{
    *c = (struct fetch_cache){.total = total, .remove = remove, .arg = arg};
}

static void entry_free(struct fetch_entry *e)
{
    free(e->key);
    free(e->file);
    free(e);
}

void fetch_cache_done(struct fetch_cache *c)
{
    struct fetch_entry *e, *tmp;

    HASH_CLEAR(hh, c->table);
    DL_FOREACH_SAFE (c->oldest, e, tmp) {
        assert(e->refs == 0);
        entry_free(e);
    }
    c->oldest = NULL;
    c->used = c->n_entries = 0;
}

/* No user's name has a NUL, nor a line's end. */
static char *key_of(const char *user, const char *uri)
{
    return xasprintf("%s\n%s", user ? user : "", uri);
}

struct fetch_entry *fetch_cache_find(struct fetch_cache *c, const char *user, const char *uri)
{
    _cleanup_free_ char *key = key_of(user, uri);
    struct fetch_entry *e;

    HASH_FIND_STR(c->table, key, e);
    if (!e)
        return NULL;
    DL_DELETE(c->oldest, e);
    DL_APPEND(c->oldest, e);
    e->refs++;
    return e;
}

/* "c12-beginning_and-end.tgz", with nothing in it that a shell or a terminal would mind. */
static char *file_name(uint64_t serial, const char *name)
{
    size_t n = strlen(name);
    char *file = n > 2 * NAME_PART ? xasprintf("c%" PRIu64 "-%.*s_%s", serial, NAME_PART, name,
                                               name + n - NAME_PART)
                                   : xasprintf("c%" PRIu64 "-%s", serial, name);

    for (char *p = file; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            *p = '_';
    return file;
}

static struct fetch_entry *victim(const struct fetch_cache *c)
{
    struct fetch_entry *e;

    DL_FOREACH (c->oldest, e) {
        if (e->refs == 0)
            return e;
    }
    return NULL;
}

struct fetch_entry *fetch_cache_add(struct fetch_cache *c, const char *user, const char *uri,
                                    const char *name)
{
    if (c->n_entries >= FETCH_CACHE_MAX_ENTRIES) {
        struct fetch_entry *v = victim(c);
        if (!v)
            return NULL;
        fetch_cache_drop(c, v, false);
    }
    struct fetch_entry *e = xnew0(struct fetch_entry);
    e->key = key_of(user, uri);
    e->file = file_name(++c->serial, name);
    e->refs = 1;
    HASH_ADD_KEYPTR(hh, c->table, e->key, strlen(e->key), e);
    DL_APPEND(c->oldest, e);
    c->n_entries++;
    return e;
}

void fetch_entry_hold(struct fetch_entry *e)
{
    e->refs++;
}

void fetch_entry_release(struct fetch_cache *c, struct fetch_entry *e)
{
    assert(e->refs > 0);
    /* Without a user nobody will make it ready. */
    if (e->refs == 1 && e->state == FETCH_PENDING)
        fetch_cache_drop(c, e, true);
    if (--e->refs == 0 && e->state == FETCH_GONE)
        entry_free(e);
}

void fetch_cache_drop(struct fetch_cache *c, struct fetch_entry *e, bool abandoned)
{
    if (e->state == FETCH_GONE)
        return;
    HASH_DEL(c->table, e);
    DL_DELETE(c->oldest, e);
    c->n_entries--;
    c->used -= e->size;
    e->size = 0;
    e->state = FETCH_GONE;
    e->abandoned = abandoned;
    c->remove(c->arg, e->file);
    if (e->refs == 0)
        entry_free(e);
}

int fetch_cache_reserve(struct fetch_cache *c, struct fetch_entry *e, uint64_t size)
{
    uint64_t can_go = 0;
    struct fetch_entry *v;

    assert(e->state == FETCH_PENDING && e->size == 0);
    DL_FOREACH (c->oldest, v) {
        can_go += v->refs == 0 ? v->size : 0;
    }
    if (size > c->total || c->used - can_go > c->total - size)
        return -ENOSPC;
    while (c->used > c->total - size)
        fetch_cache_drop(c, victim(c), false);
    c->used += size;
    e->size = size;
    return 0;
}

void fetch_cache_ready(struct fetch_cache *c, struct fetch_entry *e, uint64_t size)
{
    if (e->state != FETCH_PENDING)
        return;
    if (size > e->size) {
        fetch_cache_drop(c, e, false);
        return;
    }
    c->used -= e->size - size;
    e->size = size;
    e->state = FETCH_READY;
}
