/* See table.h. Widths are columns of the terminal, not bytes: names of tasks are anything. */
#include "cli/table.h"

#include <stdarg.h>
#include <time.h>
#include <wchar.h>

#include "cli/cli.h"
#include "cli/terminal.h"

#define GAP    2 /* columns between two cells */
#define LEAST  4 /* no column is made smaller, while it can be avoided */
#define NARROW 1
#define DOTS   "\xe2\x80\xa6"

struct table {
    size_t columns, n, cap;
    char **cells; /* owned, heads first */
    char *kinds;  /* of columns: '#', '~', '?' or ' ' */
};

/* ---- text ---- */

char *text_clean(const char *s)
{
    struct fl_buf out = FL_BUF_INIT;
    mbstate_t state = {0};
    size_t n = strlen(s);

    while (n) {
        wchar_t w;
        size_t k = mbrtowc(&w, s, n, &state);
        if (k == (size_t)-1 || k == (size_t)-2 || k == 0) {
            state = (mbstate_t){0};
            k = 1;
            fl_buf_addc(&out, '?');
        } else if (wcwidth(w) < 0) {
            fl_buf_addc(&out, w == '\n' || w == '\t' ? ' ' : '?');
        } else {
            fl_buf_add(&out, s, k);
        }
        s += k;
        n -= k;
    }
    return fl_buf_take(&out);
}

/* Of clean text: the columns of its first character and its bytes. */
static unsigned step(const char *s, size_t *ret_bytes)
{
    mbstate_t state = {0};
    wchar_t w;
    size_t k = mbrtowc(&w, s, strlen(s), &state);

    if (k == (size_t)-1 || k == (size_t)-2 || k == 0) {
        *ret_bytes = 1;
        return 1;
    }
    *ret_bytes = k;
    return (unsigned)FL_MAX(wcwidth(w), 0);
}

static unsigned columns_of(const char *s)
{
    unsigned sum = 0;
    size_t k;

    for (; *s; s += k)
        sum += step(s, &k);
    return sum;
}

/* As much of the text as fits `width`; returns the columns used. */
static unsigned add_head(struct fl_buf *out, const char *s, unsigned width)
{
    unsigned used = 0;
    size_t k;

    for (; *s; s += k) {
        unsigned w = step(s, &k);
        if (used + w > width)
            break;
        fl_buf_add(out, s, k);
        used += w;
    }
    return used;
}

/* The end of the text, in at most `width` columns. */
static unsigned add_tail(struct fl_buf *out, const char *s, unsigned width)
{
    unsigned left = columns_of(s);
    size_t k;

    for (; left > width; s += k)
        left -= step(s, &k);
    fl_buf_adds(out, s);
    return left;
}

static unsigned add_shortened(struct fl_buf *out, const char *s, unsigned width, bool middle,
                              bool utf8)
{
    unsigned used, tail;

    if (columns_of(s) <= width)
        return add_head(out, s, width);
    if (width <= NARROW)
        return add_head(out, s, width);
    tail = middle ? (width - 1) * 2 / 3 : 0;
    used = add_head(out, s, width - 1 - tail);
    fl_buf_adds(out, utf8 ? DOTS : "~");
    return used + 1 + (tail ? add_tail(out, s, tail) : 0);
}

/* ---- the table ---- */

struct table *table_new(const char *const *heads, size_t n)
{
    struct table *t = xnew0(struct table);

    t->columns = n;
    t->kinds = xcalloc(n + 1, 1);
    for (size_t i = 0; i < n; i++) {
        bool marked = strchr("#~?", heads[i][0]) != NULL;
        t->kinds[i] = marked ? heads[i][0] : ' ';
        table_cell(t, "%s", heads[i] + marked);
    }
    return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t->cells = xgrow(t->cells, &t->cap, t->n + 1, sizeof(*t->cells));
    t->cells[t->n++] = text_clean(text[0] ? text : "-");
}

size_t table_rows(const struct table *t)
{
    return t->n / t->columns - 1;
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->kinds);
    free(t);
}

/* Numbers and states say less when they are cut, ids and names are known by a part. */
static unsigned weight(char kind, unsigned width)
{
    return kind == '#' || kind == '?' ? width - FL_MIN(width, 12u) : width;
}

/* Takes columns from the widest, again and again, until all fit or all are small. Returns the room that is still missing. */
static unsigned shrink(const char *kinds, unsigned *width, size_t n, unsigned missing)
{
    while (missing) {
        size_t widest = 0;
        for (size_t i = 1; i < n; i++)
            if (weight(kinds[i], width[i]) > weight(kinds[widest], width[widest]))
                widest = i;
        if (weight(kinds[widest], width[widest]) <= LEAST)
            break;
        width[widest]--;
        missing--;
    }
    return missing;
}

static void fit(const char *kinds, unsigned *width, size_t n, unsigned room)
{
    _cleanup_free_ char *equal = xcalloc(n, 1);
    unsigned sum = (unsigned)(n - 1) * GAP;

    for (size_t i = 0; i < n; i++)
        sum += width[i];
    if (sum > room)
        shrink(equal, width, n, shrink(kinds, width, n, sum - room));
}

static const char *colour_of(const char *state)
{
    static const struct {
        const char *word, *code;
    } colours[] = {
        {"RUNNING", "32"},      {"active", "32"},      {"healthy", "32"},     {"up", "32"},
        {"FINISHED", "36"},     {"STAGING", "33"},     {"STARTING", "33"},    {"KILLING", "33"},
        {"draining", "33"},     {"drained", "33"},     {"deactivated", "33"}, {"recovered", "33"},
        {"disconnected", "33"}, {"inactive", "31"},    {"unreachable", "31"}, {"down", "31"},
        {"FAILED", "31"},       {"LOST", "31"},        {"ERROR", "31"},       {"GONE", "31"},
        {"DROPPED", "31"},      {"UNREACHABLE", "31"}, {"KILLED", "35"},      {"completed", "2"},
    };

    if (str_starts(state, "TASK_"))
        state += 5;
    for (size_t i = 0; i < ARRAY_SIZE(colours); i++)
        if (str_starts(state, colours[i].word))
            return colours[i].code;
    return NULL;
}

static void add_spaces(struct fl_buf *out, unsigned n)
{
    while (n--)
        fl_buf_addc(out, ' ');
}

static void add_row(const struct table *t, size_t row, const unsigned *width,
                    const struct table_style *s, struct fl_buf *out)
{
    for (size_t i = 0; i < t->columns; i++) {
        _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
        const char *cell = t->cells[row * t->columns + i], *colour = NULL;
        bool last = i == t->columns - 1;
        unsigned used = add_shortened(&text, cell, width[i], t->kinds[i] == '~', s->utf8);

        if (s->colours)
            colour = row == 0 ? "1" : t->kinds[i] == '?' ? colour_of(cell) : NULL;
        if (t->kinds[i] == '#')
            add_spaces(out, width[i] - used);
        if (colour)
            fl_buf_addf(out, "\033[%sm", colour);
        fl_buf_adds(out, fl_buf_cstr(&text));
        if (colour)
            fl_buf_adds(out, "\033[0m");
        if (t->kinds[i] != '#' && !last)
            add_spaces(out, width[i] - used);
        if (!last)
            add_spaces(out, GAP);
    }
    fl_buf_addc(out, '\n');
}

/* So narrow that not even the smallest columns fit: as many of them as do. */
static size_t columns_that_fit(const struct table *t, const unsigned *width, unsigned room)
{
    unsigned sum = 0;
    size_t i;

    for (i = 0; i < t->columns; i++) {
        sum += width[i] + (i ? GAP : 0);
        if (sum > room && i)
            break;
    }
    return i;
}

static void add_ids(const struct table *t, struct fl_buf *out)
{
    for (size_t i = t->columns; i < t->n; i += t->columns)
        fl_buf_addf(out, "%s\n", t->cells[i]);
}

void table_text(const struct table *t, const struct table_style *s, struct fl_buf *out)
{
    _cleanup_free_ unsigned *width = xcalloc(t->columns, sizeof(*width));
    size_t rows = t->n / t->columns, last = rows;
    struct table shown = *t;

    if (s->first_only) {
        add_ids(t, out);
        return;
    }
    if (s->max_rows && rows > s->max_rows)
        last = s->max_rows > 1 ? s->max_rows - 1 : 1;
    for (size_t i = s->no_headers ? t->columns : 0; i < last * t->columns; i++)
        width[i % t->columns] = FL_MAX(width[i % t->columns], columns_of(t->cells[i]));
    if (s->width) {
        fit(t->kinds, width, t->columns, s->width);
        shown.columns = columns_that_fit(t, width, s->width);
        width[0] = FL_MIN(width[0], s->width);
    }
    for (size_t r = s->no_headers; r < last; r++) {
        shown.cells = t->cells + r * t->columns - r * shown.columns;
        add_row(&shown, r, width, s, out);
    }
    if (last < rows)
        fl_buf_addf(out, "... and %zu more\n", rows - last);
}

void table_print(struct cli *c, struct table *t)
{
    unsigned rows = 0, columns = 0;
    bool tty = terminal_size(&rows, &columns);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    const struct table_style s = {
        .width = tty && !c->wide ? columns : 0,
        .max_rows = tty && c->watch_s > 0 ? FL_MAX(rows, 4u) - 2 : 0,
        .no_headers = c->no_headers,
        .first_only = c->ids,
        .colours = terminal_colours(),
        .utf8 = terminal_is_utf8(),
    };

    table_text(t, &s, &out);
    fwrite(out.data ? out.data : "", 1, out.len, stdout);
    table_free(t);
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

void format_mb(double mb, char *buf, size_t size)
{
    if (mb < 10240)
        fl_snprintf(buf, size, "%.0fM", mb);
    else if (mb < 10240 * 1024.0)
        fl_snprintf(buf, size, "%.1fG", mb / 1024);
    else
        fl_snprintf(buf, size, "%.1fT", mb / 1048576);
}
