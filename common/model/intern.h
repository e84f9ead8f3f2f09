/* Interned strings: one copy a text for the life of the process, compared by pointer. Any thread (a lock inside; the core
 * threads intern rarely: names, roles, principals, capability texts — never ids of tasks). */
#ifndef COMMON_MODEL_INTERN_H
#define COMMON_MODEL_INTERN_H

#include "common/base/util.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

const char *intern(const char *s); /* NULL stays NULL */
const char *intern_n(const char *s, size_t n);

#pragma GCC visibility pop

#endif
