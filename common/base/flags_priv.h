/* Shared by flags.c (the table and its sources) and flags_parse.c (single values). */
#ifndef COMMON_BASE_FLAGS_PRIV_H
#define COMMON_BASE_FLAGS_PRIV_H

#include "common/base/flags.h"

/* A parsed value before it reaches the program's struct. */
union flag_value {
    bool b;
    int64_t i;
    uint64_t u;
    double d;
    char *s; /* owned */
};

bool flag_type_is_text(enum fl_flag_type type);
/* What the user should write for VALUE: "5secs", "1GB", ... */
const char *flag_type_hint(enum fl_flag_type type);
/* Resolves file:// (and /path of FLAG_PATH_OR_TEXT) into the text to parse. */
int flag_fetch(enum fl_flag_type type, const char *given, char **ret_text, struct fl_err *err);
/* Parses fetched text and holds it against row->check. *ret_value's string is the caller's. */
int flag_value_parse(const struct fl_flag *row, const char *text, union flag_value *ret_value,
                     struct fl_err *err);
/* One flag found in a file. `value` NULL: none was written. `source` is for messages: "/etc/x.conf:3". */
typedef int flag_found_fn(void *arg, const char *name, const char *value, const char *source,
                          struct fl_err *err);
/* Lines name=value, --name=value, name, no-name; empty ones and those that begin with # are skipped. */
int flag_file_each(const char *path, flag_found_fn *found, void *arg, struct fl_err *err);
/* Files called NAME hold its value; ?NAME and ?no-NAME are switches. A directory NAME (attributes, resources) holds a file
 * for each of its parts: part:content;... What editors and dpkg leave there is skipped. In order of names. */
int flag_dir_each(const char *path, flag_found_fn *found, void *arg, struct fl_err *err);
/* The value as /flags shows it. */
char *flag_value_format(enum fl_flag_type type, const union flag_value *v);

#endif
