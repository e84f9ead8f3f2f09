/* A YAML file as a tree of nodes that know their lines, and a table-driven reading of its mappings. No anchors' cycles, one document, a
 * limit on depth and size. One thread. */
#ifndef EMULATOR_YAML_H
#define EMULATOR_YAML_H

#include "common/base/buf.h"
#include "common/base/err.h"

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line; /* from 1 */
    char *text;    /* of YAML_TEXT */
    /* YAML_LIST: items; YAML_MAP: values, each with its key. */
    struct yaml_node **items;
    char **keys;
    size_t n;
};

/* `name` stands before the line in messages: "FILE:LINE: ...". */
int yaml_parse(const char *name, const char *text, size_t n, struct yaml_node **ret,
               struct fl_err *err);
/* The text of a file, of a megabyte at most. */
int yaml_read(const char *path, struct fl_buf *out, struct fl_err *err);
void yaml_free(struct yaml_node *n);
FL_DEFINE_CLEANUP(struct yaml_node *, yaml_free, yaml_freep)

/* Reading. The file's name is told once, here. */
struct yaml_reader {
    const char *name;
    struct fl_err *err;
};
/* Sets the message with file and line; returns its code. */
int yaml_bad(const struct yaml_reader *r, const struct yaml_node *n, const char *fmt, ...)
    _printf_(3, 4);

typedef int yaml_take_f(const struct yaml_reader *r, const struct yaml_node *value, void *into);
struct yaml_row {
    const char *key;
    yaml_take_f *take;
    size_t offset; /* of what is filled, in the struct given to yaml_map() */
    bool required;
};
/* Every key must be a row's; `what` is said in messages ("a group"). */
int yaml_map(const struct yaml_reader *r, const struct yaml_node *map, const char *what,
             const struct yaml_row *rows, size_t n, void *into);

/* For rows. */
int yaml_take_text(const struct yaml_reader *r, const struct yaml_node *v, void *into); /* char * */
int yaml_take_count(const struct yaml_reader *r, const struct yaml_node *v,
                    void *into); /* uint64_t */

#endif
