/* The master's flags as a struct, made from master/flags.def. Durations are microseconds, sizes bytes; text is NULL, and a
 * number 0, where nothing was given and there is no default. Filled by one thread at the start, then only read.
 * main() does it with fl_daemon_parse() of common/base/daemon.h, which has the rest of a daemon's start as well. */
#ifndef MASTER_FLAGS_H
#define MASTER_FLAGS_H

#include "common/base/flags.h"

struct master_flags {
#define FLAG(name, type, field, def, opts, help, ...) FL_FLAG_FIELD(type, field)
#define FLAG_TAKEN(name, type, def, opts, help, ...)
#include "master/flags.def"
#undef FLAG
#undef FLAG_TAKEN
};

extern const struct fl_flag master_flags_rows[];
extern const size_t master_flags_n;

/* `values` is zeroed memory that outlives *ret_flags, which owns the texts in it. */
int master_flags_new(struct master_flags *values, struct fl_flags **ret_flags, struct fl_err *err);
/* After fl_flags_parse: the rules between flags, and the defaults that depend on others. */
int master_flags_finish(struct fl_flags *f, const struct master_flags *values, struct fl_err *err);

#endif
