/* Interned strings: one copy a text for the life of the process, compared by pointer. Any thread (a lock inside; the core
 * threads intern rarely: names, roles, principals, capability texts — never ids of tasks). */
#ifndef COMMON_MODEL_INTERN_H
#define COMMON_MODEL_INTERN_H

#include "common/base/util.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

const char *intern(const char *s); /* NULL stays NULL */
const char *intern_n(const char *s, size_t n);

/* For common/model itself: what peers name without end (resources, roles in messages) must not stay for ever, so a text can also be held by
 * reference. Every intern_ref() needs an intern_unref(); a text that is handed out to be kept is pinned first. intern() of the same
 * text gives the same pointer. NULL stays NULL. */
const char *intern_ref(const char *s);
const char *intern_ref_n(const void *p, size_t n); /* any bytes; a zero follows them */
void intern_unref(const char *interned);
size_t intern_len(const char *interned);
const char *intern_pin(const char *interned);
size_t intern_count(void); /* texts in the table */
/* Around fork() in a process with threads: the child must not find the lock held by a thread that it does not have. Of several such locks
 * the outer one is taken first: resources_held, kinds, intern, log. */
void intern_fork_hold(bool hold);

#pragma GCC visibility pop

#endif
