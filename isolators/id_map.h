/* A table from container id to an isolator's own record; records are freed with it. One thread. */
#ifndef ISOLATORS_ID_MAP_H
#define ISOLATORS_ID_MAP_H

#include <uthash.h>

#include "common/base/util.h"

/* A record begins with this. */
struct id_entry {
    char *id; /* owned */
    UT_hash_handle hh;
};
struct id_map {
    struct id_entry *head;
};

static inline void *id_map_get(const struct id_map *m, const char *id)
{
    struct id_entry *e;

    HASH_FIND_STR(m->head, id, e);
    return e;
}

/* The record of that id, made of `size` zeroed bytes when there is none. */
static inline void *id_map_make(struct id_map *m, const char *id, size_t size)
{
    struct id_entry *e = (struct id_entry *)id_map_get(m, id);

    if (!e) {
        e = (struct id_entry *)xcalloc(1, size);
        e->id = xstrdup(id);
        HASH_ADD_KEYPTR(hh, m->head, e->id, strlen(e->id), e);
    }
    return e;
}

/* The caller has let go of what the record holds. */
static inline void id_map_drop(struct id_map *m, void *record)
{
    struct id_entry *e = (struct id_entry *)record;

    HASH_DEL(m->head, e);
    free(e->id);
    free(e);
}

static inline void id_map_done(struct id_map *m)
{
    while (m->head)
        id_map_drop(m, m->head);
}

#endif
