/* One thing in full: its members as lines "label  value". */
#ifndef CLI_DETAILS_H
#define CLI_DETAILS_H

#include "cli/cli.h"

struct detail {
    const char *label, *path; /* of jpath() */
};
/* Members that are not there are left out. */
void details_print(const json_t *o, const struct detail *rows, size_t n);
/* A value in words: "cpus 2, mem 32", "a, b", "yes". */
void value_text(const json_t *value, struct fl_buf *out);

#endif
