/* The kind of a resource: all that says which resource it is, apart from how much of it. Internal
 * to common/model.
 *
 * Kinds are interned by their contents and counted by reference, so two resources that may merge
 * have one kind and are compared by one pointer. The table has a lock and the counts are atomic:
 * any thread may use it.
 *
 * Two layers, because allocating and unallocating is the hot change: a base kind has name, type,
 * reservations, disk, revocable, shared and provider; an allocated kind is a pair of a base kind
 * and a role.
 */
#ifndef COMMON_MODEL_RESOURCE_KIND_H
#define COMMON_MODEL_RESOURCE_KIND_H

#include "common/base/buf.h"
#include "common/model/hold_table.h"
#include "proto/mesos.pb-c.h"

struct kind {
    /* What counts when two are compared: the kind without the volume and the principal of a
     * persistent volume, which say how it is used and not what it is. Mostly the kind itself. */
    const struct kind *identity;
    struct kind *base; /* of an allocated kind; NULL in a base kind */
    /* Interned, with a reference of the kind's: pinned before they are handed out. */
    const char *name;
    const char *allocation; /* role it is allocated to, or NULL */
    const char *role;       /* role it is reserved to (the last of the stack), or NULL */
    V1__Value__Type type;
    uint8_t n_reservations; /* capped at 255 */
    bool dynamic;           /* the last reservation is a dynamic one */
    bool revocable, shared;
    bool persistent; /* a persistent volume */
    bool whole; /* never merged and taken only whole: persistent volumes, MOUNT, BLOCK, RAW with an
                   id */
    /* The message without value and allocation, reservations in the newer format. Owned by the base
     * kind. */
    const V1__Resource *message;

    /* For the table. */
    struct hold_link link;
    size_t key_len;
    uint8_t key[];
};

/* `message` in the newer format (`reservations`, no `role`); its value is ignored, its
 * allocation_info is not. The kind takes a copy. The caller owns a reference. */
const struct kind *kind_intern(const V1__Resource *message);
/* The same resource allocated to `role` (NULL: to none). The caller owns a reference. */
const struct kind *kind_allocated(const struct kind *k, const char *role);
const struct kind *kind_allocated_to(const struct kind *k,
                                     const char *interned_role); /* the caller holds the role */
const struct kind *kind_ref(const struct kind *k);
void kind_unref(const struct kind *k);

static inline const V1__Resource *kind_message(const struct kind *k)
{
    return k->message;
}
static inline bool kind_same(const struct kind *a, const struct kind *b)
{
    return a == b || a->identity == b->identity;
}

/* A copy of the message (heap), allocation included, no value: to be changed and interned again. */
V1__Resource *kind_to_template(const struct kind *k);
void kinds_fork_hold(bool hold); /* as intern_fork_hold() */
/* For tests: kinds in the table. */
size_t kind_count(void);

/* Whether the optional field is there: protobuf-c points an absent one at its default. */
static inline bool resource_has_role(const V1__Resource *r)
{
    return r->role && r->role != v1__resource__role__default_value;
}

#endif
