/* Flags from one table: command line (--name=value, --name value, --no-name for booleans), environment
 * (FAIRLEAD_NAME, and the reference's MESOS_NAME), file:// values, units. The same rows make --help, /flags and the
 * manual. Setting is all or nothing: on any error nothing has changed.
 *
 * A program's rows live in one .def file (master/flags.def, agent/flags.def) as
 *   FLAG(name, type, field, default text, flags, "help")
 * and FLAG_TAKEN(name, type, default, FLAG_..., "what happens instead") for flags of the reference that this project has no
 * mechanism for: they are parsed, shown in /flags, and warned about when given.
 */
#ifndef COMMON_BASE_FLAGS_H
#define COMMON_BASE_FLAGS_H

#include "common/base/buf.h"
#include "common/base/err.h"

enum fl_flag_type {
    FLAG_BOOL,     /* bool */
    FLAG_INT,      /* int64_t */
    FLAG_UINT,     /* uint64_t */
    FLAG_DOUBLE,   /* double */
    FLAG_STRING,   /* char *, owned; NULL = not set */
    FLAG_DURATION, /* uint64_t microseconds; "5secs", "1.5mins", "100ms", "2hrs", "1days", "3weeks", "10us", "10ns" */
    FLAG_BYTES,    /* uint64_t; "1GB", "512MB", "4KB", "100B", "2TB" (powers of 1024, as the reference) */
    FLAG_PATH_OR_TEXT, /* char *, owned: the text, or the content of the file that file:///path or /path names */
};

enum fl_flag_opts {
    FLAG_REQUIRED = 1 << 0,
    FLAG_SECRET = 1 << 1,   /* shown as *** in /flags and logs */
    FLAG_HIDDEN = 1 << 2,   /* not in --help */
    FLAG_REPLACED = 1 << 3, /* names a mechanism that ours replaces; accepted silently or with one line */
    FLAG_IGNORED = 1 << 4,  /* no meaning here; accepted with a warning line */
};

struct fl_flag {
    const char *name;
    enum fl_flag_type type;
    size_t offset;         /* in the program's flags struct; (size_t)-1 for FLAG_TAKEN rows */
    const char *def;       /* default as text; NULL = not set */
    unsigned opts;
    const char *help;
    const char *alias;     /* older name or NULL */
};

struct fl_flags;
/* `values` is the program's zeroed struct; it gets the defaults at once. */
int fl_flags_new(const char *program, const char *usage, const struct fl_flag *rows, size_t n, void *values,
                 struct fl_flags **ret_flags, struct fl_err *err);
void fl_flags_free(struct fl_flags *f); /* also frees the strings in values */
/* Environment first, then the command line, which wins. Unknown flags are an error that names the nearest known one.
 * *ret_rest: index of the first argument that is no flag. --help and --version set the bools and parse on. */
int fl_flags_parse(struct fl_flags *f, int argc, char **argv, int *ret_rest, bool *ret_help, bool *ret_version,
                   struct fl_err *err);
/* Warnings of the parse, one call each ("--x has no meaning here, ignoring: ..."). */
void fl_flags_warnings(const struct fl_flags *f, void (*fn)(const char *text, void *arg), void *arg);
void fl_flags_help(const struct fl_flags *f, struct fl_buf *out);
/* name and text of every flag that has a value (secrets redacted), as /flags lists them. */
void fl_flags_each(const struct fl_flags *f, void (*fn)(const char *name, const char *text, void *arg), void *arg);

int fl_duration_parse(const char *s, uint64_t *ret_us, struct fl_err *err);
int fl_bytes_parse(const char *s, uint64_t *ret_bytes, struct fl_err *err);
void fl_duration_format(uint64_t us, char *buf, size_t size); /* "10secs", "1.5mins" as the reference prints */

#endif
