/* Amounts of scalar resources by name, without role, reservation or disk: what quota and gangs are stated in. Unlike in `struct
 * resources` an amount of zero is kept: a limit of zero is a limit, a missing one is none. Names are interned, sorted by text.
 * Pure; not shared between threads.
 */
#ifndef COMMON_MODEL_QUANTITIES_H
#define COMMON_MODEL_QUANTITIES_H

#include "common/model/resources.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

struct quantity {
    const char *name; /* interned */
    milli_t amount;
};
struct quantities {
    struct quantity *items; /* owned */
    size_t n, cap;
};
#define QUANTITIES_INIT                                                                            \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
void quantities_done(struct quantities *q);
#define _cleanup_quantities_ _cleanup_(quantities_done)
void quantities_copy(struct quantities *dst, const struct quantities *src); /* dst is replaced */
void quantities_set(struct quantities *q, const char *name, milli_t amount);
void quantities_remove(struct quantities *q, const char *name);
/* NULL: the name is not there. */
const struct quantity *quantities_find(const struct quantities *q, const char *name);
milli_t quantities_get(const struct quantities *q, const char *name); /* 0 when missing */
/* Adds `by`, which may be negative; returns what is there then. */
milli_t quantities_change(struct quantities *q, const char *name, milli_t by);
/* Names with an amount of zero or less go. */
void quantities_drop_zeros(struct quantities *q);
void quantities_add(struct quantities *a, const struct quantities *b);
/* May go below zero; a name that is missing in `a` counts as zero. */
void quantities_subtract(struct quantities *a, const struct quantities *b);
/* Every name of `b` is in `a` with at least as much (zero of a missing name is contained). */
bool quantities_contains(const struct quantities *a, const struct quantities *b);
bool quantities_equal(const struct quantities *a, const struct quantities *b);
/* Adds the scalars of `r`, of all reservations and roles. */
void quantities_add_resources(struct quantities *q, const struct resources *r);
/* One item of a set as roles are shown it: a scalar's amount, or how many numbers its ranges have, how many texts its set. Shared ones
 * count once, whatever their copies. Texts are borrowed for the call; they are interned, so pointers compare. */
struct counted_item {
    const char *name;
    milli_t amount;
    const char *allocated_to, *reserved_to; /* roles; NULL: none */
    bool shared, revocable;
};
void resources_each_counted(const struct resources *r,
                            void (*fn)(const struct counted_item *item, void *arg), void *arg);
/* "cpus:10;mem:1024"; FL_INVALID for what is no scalar, is negative or comes twice. */
int quantities_parse(const char *text, struct quantities *out, struct fl_err *err);
void quantities_format(const struct quantities *q, struct fl_buf *out); /* "cpus:10; mem:1024" */

#pragma GCC visibility pop

#endif
