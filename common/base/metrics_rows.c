/* Which row of a daemon's table describes a name. */
#include "common/base/metrics_priv.h"

static bool label_is(const struct metric_place *p, const char *label)
{
    return p->label_len == strlen(label) && memcmp(p->label, label, p->label_len) == 0;
}

/* A role's text may hold any '/': it ends at the last place where the text of the row goes on. */
static const char *end_of_role(const char *name, const char *after)
{
    size_t n = strcspn(after, "{"), len = strlen(name);

    for (const char *p = name + len - FL_MIN(n, len); p > name; p--) {
        if (memcmp(p, after, n) == 0 && (after[n] || p[n] == '\0'))
            return p;
    }
    return NULL;
}

static const char *end_of_place(const struct metric_place *p, const char *after)
{
    const char *end;

    if (label_is(p, "role"))
        return end_of_role(p->text, after);
    if (*after)
        return strchr(p->text, *after);
    end = p->text + strlen(p->text);
    return memchr(p->text, '/', (size_t)(end - p->text)) ? NULL : end;
}

bool metric_row_fits(const struct metric_row *row, const char *name,
                     struct metric_place places[METRIC_PLACES], size_t *ret_n)
{
    const char *r = row->name;
    size_t n = 0;

    for (;;) {
        const char *close, *end;

        while (*r && *r != '{' && *r == *name) {
            r++;
            name++;
        }
        if (*r != '{' || n == METRIC_PLACES)
            break;
        close = strchr(r, '}');
        places[n] = (struct metric_place){r + 1, (size_t)(close - r - 1), name, 0};
        end = end_of_place(&places[n], close + 1);
        if (!end || end == name)
            return false;
        places[n++].len = (size_t)(end - name);
        name = end;
        r = close + 1;
    }
    *ret_n = n;
    return *r == '\0' && *name == '\0';
}

size_t metric_row_of(const struct metrics *m, const char *name, size_t from)
{
    struct metric_place places[METRIC_PLACES];
    size_t n;

    for (size_t i = 0; i < m->n_rows; i++) {
        size_t at = (from + i) % m->n_rows;

        if (metric_row_fits(&m->rows[at], name, places, &n))
            return at;
    }
    return SIZE_MAX;
}

void metrics_describe(struct metrics *m, const struct metric_row *rows, size_t n)
{
    if (m->rows == rows)
        return;
    assert(!m->rows);
    m->rows = rows;
    m->n_rows = n;
    m->families = xcalloc(n, sizeof(*m->families));
    for (size_t i = 0; i < n; i++) {
        size_t first = 0;

        while (first < i && !streq(rows[first].series, rows[i].series))
            first++;
        assert(rows[first].kind == rows[i].kind || !*rows[i].series);
        m->families[i] = first;
    }
}

void metrics_limit(struct metrics *m, const char *place, unsigned max)
{
    assert(m->n_limits < METRICS_LIMITS);
    m->limits[m->n_limits++] = (struct metrics_limit){place, max};
}
