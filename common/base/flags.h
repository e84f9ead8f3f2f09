/* Flags from one table: command line (--name=value; --name and --no-name for booleans), environment
 * (FAIRLEAD_NAME, and the reference's MESOS_NAME; the first wins), a file of lines name=value and a directory with one
 * file a flag (rows with FLAG_SOURCE_*), file:// values, units. The same rows make --help, /flags and the manual.
 * Setting is all or nothing: on any error nothing has changed.
 *
 * A program's rows live in one .def file (master/flags.def, agent/flags.def) as
 *   FLAG(name, type, field, default text, flags, "help"[, .alias = "older_name"][, .check = "1..65535"])
 *   FLAG_TAKEN(name, type, default, FLAG_..., "what happens instead"[, .alias = ...])
 * the second for flags of the reference that this project has no mechanism for: they are parsed, shown in /flags,
 * and warned about when given. FL_FLAG_FIELD and FL_FLAG_ROW below make the struct and the table of them.
 *
 * One thread; the parsed struct may then be read by any.
 */
#ifndef COMMON_BASE_FLAGS_H
#define COMMON_BASE_FLAGS_H

#include "common/base/buf.h"
#include "common/base/err.h"

enum fl_flag_type {
    FLAG_BOOL,   /* bool */
    FLAG_INT,    /* int64_t */
    FLAG_UINT,   /* uint64_t */
    FLAG_DOUBLE, /* double */
    FLAG_STRING, /* char *, owned; NULL = not set */
    FLAG_DURATION, /* uint64_t microseconds; "5secs", "1.5mins", "100ms", "2hrs", "1days", "3weeks", "10us", "10ns" */
    FLAG_BYTES, /* uint64_t; "1GB", "512MB", "4KB", "100B", "2TB" (powers of 1024, as the reference) */
    FLAG_PATH_OR_TEXT, /* char *, owned: the text, or the content of the file that file:///path or /path names */
    FLAG_PATH, /* char *, owned: a path; "file://" before it is dropped and the file is not read. All other types
                      take file:///path for "the text in this file". */
};

enum fl_flag_opts {
    FLAG_REQUIRED = 1 << 0,
    FLAG_SECRET = 1 << 1, /* shown as *** in /flags and logs */
    FLAG_HIDDEN = 1 << 2, /* not in --help */
    FLAG_REPLACED =
        1 << 3, /* names a mechanism that ours replaces; accepted silently or with one line */
    FLAG_IGNORED = 1 << 4,     /* no meaning here; accepted with a warning line */
    FLAG_SOURCE_FILE = 1 << 5, /* its value is a file of lines name=value with further flags */
    FLAG_SOURCE_DIR = 1 << 6,  /* its value is a directory with a file for each further flag */
};

struct fl_flag {
    const char *name;
    enum fl_flag_type type;
    size_t offset;   /* in the program's flags struct; (size_t)-1 for FLAG_TAKEN rows */
    const char *def; /* default as text; NULL = not set */
    unsigned opts;
    const char *help;
    const char *alias; /* older name or NULL */
    const char
        *env; /* one more environment variable that sets it (after FAIRLEAD_ and MESOS_), or NULL */
    const char *
        check; /* "lo..hi" in the flag's own syntax (hi may be empty), or "one|other|third"; NULL = any */
};

/* The C type of a field, by flag type. */
#define FL_CTYPE_FLAG_BOOL         bool
#define FL_CTYPE_FLAG_INT          int64_t
#define FL_CTYPE_FLAG_UINT         uint64_t
#define FL_CTYPE_FLAG_DOUBLE       double
#define FL_CTYPE_FLAG_STRING       char *
#define FL_CTYPE_FLAG_DURATION     uint64_t
#define FL_CTYPE_FLAG_BYTES        uint64_t
#define FL_CTYPE_FLAG_PATH_OR_TEXT char *
#define FL_CTYPE_FLAG_PATH         char *
#define FL_FLAG_FIELD(type, field) FL_CTYPE_##type field;
#define FL_FLAG_ROW(structure, name_, type_, field_, def_, opts_, help_, ...)                      \
    {.name = #name_,                                                                               \
     .type = type_,                                                                                \
     .offset = offsetof(structure, field_),                                                        \
     .def = def_,                                                                                  \
     .opts = opts_,                                                                                \
     .help = help_,                                                                                \
     ##__VA_ARGS__},
#define FL_FLAG_TAKEN_ROW(name_, type_, def_, opts_, help_, ...)                                   \
    {.name = #name_,                                                                               \
     .type = type_,                                                                                \
     .offset = (size_t)-1,                                                                         \
     .def = def_,                                                                                  \
     .opts = opts_,                                                                                \
     .help = help_,                                                                                \
     ##__VA_ARGS__},

struct fl_flags;
/* `values` is the program's zeroed struct; it gets the defaults at once. */
int fl_flags_new(const char *program, const char *usage, const struct fl_flag *rows, size_t n,
                 void *values, struct fl_flags **ret_flags, struct fl_err *err);
void fl_flags_free(struct fl_flags *f); /* also frees the strings in values */
/* The command line wins over the environment, that over the directory that a FLAG_SOURCE_DIR row names, and that over the
 * file of FLAG_SOURCE_FILE. Unknown flags are an error that names the nearest known one; so is a flag given twice by one of
 * them; what is wrong in a file is named with file and line. With --help or --version no file is read. *ret_rest: index of the first argument that is no flag, or that follows "--"; argc when
 * there is none. --help and --version set the bools and parse on, and then nothing is required. */
int fl_flags_parse(struct fl_flags *f, int argc, char **argv, int *ret_rest, bool *ret_help,
                   bool *ret_version, struct fl_err *err);
/* Warnings of the parse, one call each ("--x has no meaning here, ignoring: ..."). */
void fl_flags_warnings(const struct fl_flags *f, void (*fn)(const char *text, void *arg),
                       void *arg);
void fl_flags_help(const struct fl_flags *f, struct fl_buf *out);
/* name and text of every flag that has a value (secrets redacted), as /flags lists them. */
void fl_flags_each(const struct fl_flags *f,
                   void (*fn)(const char *name, const char *text, void *arg), void *arg);

/* Whether the flag was given (a default does not count). */
bool fl_flags_given(const struct fl_flags *f, const char *name);
/* A default known only at run time: sets the value unless the flag was given. */
int fl_flags_set_default(struct fl_flags *f, const char *name, const char *text,
                         struct fl_err *err);
/* Pairs of flags of which only one may be given. */
struct fl_flag_pair {
    const char *a, *b;
};
int fl_flags_exclude(const struct fl_flags *f, const struct fl_flag_pair *pairs, size_t n,
                     struct fl_err *err);
/* Markdown table of all rows that are not hidden, for docs/flags.md. */
void fl_flags_markdown(const struct fl_flags *f, struct fl_buf *out);

int fl_duration_parse(const char *s, uint64_t *ret_us, struct fl_err *err);
int fl_bytes_parse(const char *s, uint64_t *ret_bytes, struct fl_err *err);
void fl_duration_format(uint64_t us, char *buf,
                        size_t size); /* "10secs", "1.5mins" as the reference prints */
void fl_bytes_format(uint64_t bytes, char *buf,
                     size_t size); /* "2GB": the largest unit that loses nothing */

#endif
