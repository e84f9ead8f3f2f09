/* Tables for people, and small readers of JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "cli/cli.h"

struct table {
    size_t columns, n, cap;
    char **cells; /* owned, heads first */
};

struct table *table_new(const char *const *heads, size_t n)
{
    struct table *t = xnew0(struct table);

    t->columns = n;
    for (size_t i = 0; i < n; i++)
        table_cell(t, "%s", heads[i]);
    return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t->cells = xgrow(t->cells, &t->cap, t->n + 1, sizeof(*t->cells));
    t->cells[t->n++] = xstrdup(text[0] ? text : "-");
}

void table_print(struct table *t)
{
    _cleanup_free_ int *width = xcalloc(t->columns, sizeof(int));

    for (size_t i = 0; i < t->n; i++)
        width[i % t->columns] = FL_MAX(width[i % t->columns], (int)strlen(t->cells[i]));
    for (size_t i = 0; i < t->n; i++) {
        bool last = i % t->columns == t->columns - 1;
        printf("%-*s%s", last ? 0 : width[i % t->columns], t->cells[i], last ? "\n" : "  ");
        free(t->cells[i]);
    }
    free(t->cells);
    free(t);
}

const char *jstr(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

double jnum(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

void format_age(double since, char *buf, size_t size)
{
    double s = (double)time(NULL) - since;

    if (since <= 0)
        fl_snprintf(buf, size, "-");
    else if (s < 120)
        fl_snprintf(buf, size, "%.0fs", s < 0 ? 0 : s);
    else if (s < 7200)
        fl_snprintf(buf, size, "%.0fm", s / 60);
    else if (s < 172800)
        fl_snprintf(buf, size, "%.0fh", s / 3600);
    else
        fl_snprintf(buf, size, "%.0fd", s / 86400);
}
