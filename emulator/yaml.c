/* See yaml.h. The only file that knows libyaml. */
#include "emulator/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "common/base/buf.h"

enum { MAX_DEPTH = 16, MAX_FILE = 1 << 20 };

int yaml_bad(const struct yaml_reader *r, const struct yaml_node *n, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fl_err_set(r->err, FL_INVALID, "%s:%u: %s", r->name, n->line, text);
}

void yaml_free(struct yaml_node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n; i++) {
        yaml_free(n->items[i]);
        if (n->keys)
            free(n->keys[i]);
    }
    free(n->items);
    free(n->keys);
    free(n->text);
    free(n);
}

static int convert(const struct yaml_reader *r, yaml_document_t *doc, int index, unsigned depth,
                   struct yaml_node **ret);

static int convert_list(const struct yaml_reader *r, yaml_document_t *doc, const yaml_node_t *from,
                        unsigned depth, struct yaml_node *to)
{
    size_t n = (size_t)(from->data.sequence.items.top - from->data.sequence.items.start);

    to->kind = YAML_LIST;
    to->items = xcalloc(n + 1, sizeof(void *));
    for (size_t i = 0; i < n; i++) {
        int rc = convert(r, doc, from->data.sequence.items.start[i], depth + 1, &to->items[i]);

        if (rc < 0)
            return rc;
        to->n++;
    }
    return 0;
}

static int convert_map(const struct yaml_reader *r, yaml_document_t *doc, const yaml_node_t *from,
                       unsigned depth, struct yaml_node *to)
{
    size_t n = (size_t)(from->data.mapping.pairs.top - from->data.mapping.pairs.start);

    to->kind = YAML_MAP;
    to->items = xcalloc(n + 1, sizeof(void *));
    to->keys = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        const yaml_node_pair_t *p = &from->data.mapping.pairs.start[i];
        const yaml_node_t *key = yaml_document_get_node(doc, p->key);
        const char *name = (const char *)key->data.scalar.value;
        int rc;

        if (key->type != YAML_SCALAR_NODE)
            return yaml_bad(r, to, "a key must be a word");
        for (size_t k = 0; k < to->n; k++) {
            if (streq(to->keys[k], name))
                return fl_err_set(r->err, FL_INVALID, "%s:%zu: the key '%s' is there twice",
                                  r->name, key->start_mark.line + 1, name);
        }
        rc = convert(r, doc, p->value, depth + 1, &to->items[i]);
        if (rc < 0)
            return rc;
        to->items[i]->line = (unsigned)key->start_mark.line + 1;
        to->keys[to->n++] = xstrdup(name);
    }
    return 0;
}

static int convert(const struct yaml_reader *r, yaml_document_t *doc, int index, unsigned depth,
                   struct yaml_node **ret)
{
    const yaml_node_t *from = yaml_document_get_node(doc, index);
    _cleanup_(yaml_freep) struct yaml_node *to = xnew0(struct yaml_node);
    int rc = 0;

    to->line = (unsigned)from->start_mark.line + 1;
    if (depth > MAX_DEPTH)
        return yaml_bad(r, to, "more than %d levels", MAX_DEPTH);
    if (from->type == YAML_SEQUENCE_NODE)
        rc = convert_list(r, doc, from, depth, to);
    else if (from->type == YAML_MAPPING_NODE)
        rc = convert_map(r, doc, from, depth, to);
    else
        to->text = xstrndup((const char *)from->data.scalar.value, from->data.scalar.length);
    if (rc < 0)
        return rc;
    *ret = TAKE_PTR(to);
    return 0;
}

int yaml_parse(const char *name, const char *text, size_t n, struct yaml_node **ret,
               struct fl_err *err)
{
    const struct yaml_reader r = {name, err};
    yaml_document_t doc;
    yaml_parser_t p;
    int rc;

    yaml_parser_initialize(&p);
    yaml_parser_set_input_string(&p, (const unsigned char *)text, n);
    if (!yaml_parser_load(&p, &doc)) {
        rc = fl_err_set(err, FL_INVALID, "%s:%zu: %s", name, p.problem_mark.line + 1,
                        p.problem ? p.problem : "this is not YAML");
    } else {
        if (yaml_document_get_root_node(&doc))
            rc = convert(&r, &doc, 1, 0, ret);
        else
            rc = fl_err_set(err, FL_INVALID, "%s:1: the file is empty", name);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&p);
    return rc;
}

/* ---- reading ---- */

static const struct yaml_row *find_row(const struct yaml_row *rows, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (streq(rows[i].key, key))
            return &rows[i];
    }
    return NULL;
}

static int unknown_key(const struct yaml_reader *r, const struct yaml_node *at, const char *key,
                       const char *what, const struct yaml_row *rows, size_t n)
{
    _cleanup_buf_ struct fl_buf names = FL_BUF_INIT;

    for (size_t i = 0; i < n; i++)
        fl_buf_addf(&names, "%s%s", i ? ", " : "", rows[i].key);
    return yaml_bad(r, at, "%s has no key '%s'; it may have: %s", what, key, fl_buf_cstr(&names));
}

int yaml_map(const struct yaml_reader *r, const struct yaml_node *map, const char *what,
             const struct yaml_row *rows, size_t n, void *into)
{
    if (map->kind != YAML_MAP)
        return yaml_bad(r, map, "%s must be a mapping of keys to values", what);
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_row *row = find_row(rows, n, map->keys[i]);
        int rc;

        if (!row)
            return unknown_key(r, map->items[i], map->keys[i], what, rows, n);
        rc = row->take(r, map->items[i], (char *)into + row->offset);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < n; i++) {
        bool there = false;

        for (size_t k = 0; k < map->n; k++)
            there = there || streq(map->keys[k], rows[i].key);
        if (rows[i].required && !there)
            return yaml_bad(r, map, "%s needs the key '%s'", what, rows[i].key);
    }
    return 0;
}

int yaml_take_text(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    char **to = into;

    if (v->kind != YAML_TEXT || !*v->text)
        return yaml_bad(r, v, "a word is wanted here");
    free(*to);
    *to = xstrdup(v->text);
    return 0;
}

int yaml_take_count(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    if (v->kind != YAML_TEXT || fl_parse_u64(v->text, into) < 0)
        return yaml_bad(r, v, "a whole number is wanted here");
    return 0;
}

int yaml_read(const char *path, struct fl_buf *out, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    while ((n = read(fd, fl_buf_reserve(out, 65536), 65536)) > 0) {
        out->len += (size_t)n;
        if (out->len > MAX_FILE)
            return fl_err_set(err, FL_TOO_LARGE, "'%s' is over %d bytes", path, MAX_FILE);
    }
    return n < 0 ? fl_err_errno(err, errno, "read '%s'", path) : 0;
}
