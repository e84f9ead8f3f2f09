/* The dynamic linker's cache, /etc/ld.so.cache: which libraries this machine has, by name. Any thread; no state. */
#ifndef ISOLATORS_LD_CACHE_H
#define ISOLATORS_LD_CACHE_H

#include "common/base/err.h"

/* Calls fn with each: its name ("libcuda.so.1") and path. What is not understood is left out. */
int ld_cache_each(const char *file, void (*fn)(void *arg, const char *name, const char *path),
                  void *arg, struct fl_err *err);

#endif
