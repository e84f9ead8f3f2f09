/* Tables for people. Nothing that a cell says can move the cursor or break a line; rows fit the terminal. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdio.h>

#include "common/base/buf.h"

struct cli;
struct table;

/* A head begins with '#': numbers, to the right; '~': ids, whose middle is left out when it is too long; '?': states, in colour. */
struct table *table_new(const char *const *heads, size_t n);
void table_cell(struct table *t, const char *fmt, ...) _printf_(2, 3); /* row by row */
size_t table_rows(const struct table *t);
void table_free(struct table *t);

struct table_style {
    unsigned width;    /* of the terminal; 0: as wide as it needs */
    unsigned max_rows; /* 0: all */
    bool no_headers, colours, utf8;
    bool first_only; /* the first column, whole */
};
/* Lines of at most `width` columns. The process's LC_CTYPE has to be one of UTF-8. */
void table_text(const struct table *t, const struct table_style *s, struct fl_buf *out);
/* As the terminal and the options want it; frees it. */
void table_print(struct cli *c, struct table *t);

/* "3m", "2h", "5d" since a time in seconds. */
void format_age(double since, char *buf, size_t size);
/* MB as the API counts them: "512M", "1.5G", "2T". */
void format_mb(double mb, char *buf, size_t size);
/* Without control characters and broken UTF-8; heap memory. */
char *text_clean(const char *s);

#endif
