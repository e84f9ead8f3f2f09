/* Metrics as Prometheus reads them: text of version 0.0.4, or OpenMetrics 1.0. Every series comes with all its samples
 * together, as both formats want it. The core's thread. */
#include "common/base/http_priv.h"
#include "common/base/metrics_priv.h"

#define PREFIX "fairlead_"

/* What a name that no row describes is shown as: numbers of modules. */
static const struct metric_row unlisted = {
    .kind = METRIC_LEVEL, .series = "unlisted", .help = "Numbers of modules, by name."};

/* One value of a place that is limited. */
struct shown {
    UT_hash_handle hh;
    char text[];
};

struct writer {
    struct metrics *m;
    enum metrics_format format;
    struct fl_buf *out;
    struct fl_buf labels; /* owned; reused */
    struct shown *shown[METRICS_LIMITS];
    uint64_t left_out[METRICS_LIMITS];
};

/* ---- single lines ---- */

static void put_escaped(struct fl_buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\' || s[i] == '"')
            fl_buf_addc(out, '\\');
        if (s[i] == '\n')
            fl_buf_adds(out, "\\n");
        else
            fl_buf_addc(out, s[i]);
    }
}

static void put_label(struct fl_buf *labels, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    if (labels->len > 0)
        fl_buf_addc(labels, ',');
    fl_buf_add(labels, name, name_len);
    fl_buf_adds(labels, "=\"");
    put_escaped(labels, value, value_len);
    fl_buf_addc(labels, '"');
}

void metrics_label(struct fl_buf *labels, const char *name, const char *value)
{
    put_label(labels, name, strlen(name), value, strlen(value));
}

static void put_number(struct fl_buf *out, double v)
{
    if (v >= 0 && v < 9e15 && v == (double)(uint64_t)v)
        fl_buf_addf(out, "%llu", (unsigned long long)v);
    else
        fl_buf_addf(out, "%.15g", v);
}

void metrics_series(struct fl_buf *out, enum metrics_format format, const char *series,
                    enum metric_kind kind, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    size_t n = strlen(series);

    /* OpenMetrics names the family of a counter without what its samples end with. */
    if (format == METRICS_OPENMETRICS && kind == METRIC_GROWS && str_ends(series, "_total"))
        n -= strlen("_total");
    fl_buf_addf(out, "# HELP " PREFIX "%.*s %s\n# TYPE " PREFIX "%.*s %s\n", (int)n, series, help,
                (int)n, series, types[kind]);
}

static void put_sample(struct fl_buf *out, const char *series, const char *suffix,
                       const char *labels, size_t len)
{
    fl_buf_adds(out, PREFIX);
    fl_buf_adds(out, series);
    fl_buf_adds(out, suffix);
    if (len > 0) {
        fl_buf_addc(out, '{');
        fl_buf_add(out, labels, len);
        fl_buf_addc(out, '}');
    }
    fl_buf_addc(out, ' ');
}

void metrics_value(struct fl_buf *out, const char *series, const char *labels, double value)
{
    put_sample(out, series, "", labels, strlen(labels));
    put_number(out, value);
    fl_buf_addc(out, '\n');
}

/* ---- labels of a name ---- */

/* True when the value may be shown. */
static bool show(struct writer *w, size_t limit, const char *text, size_t len)
{
    struct shown *s;

    HASH_FIND(hh, w->shown[limit], text, len, s);
    if (s)
        return true;
    if (HASH_COUNT(w->shown[limit]) >= w->m->limits[limit].max) {
        w->left_out[limit]++;
        return false;
    }
    s = xmalloc(sizeof(*s) + len + 1);
    memcpy(s->text, text, len);
    s->text[len] = '\0';
    HASH_ADD_KEYPTR(hh, w->shown[limit], s->text, len, s);
    return true;
}

static bool within_limits(struct writer *w, const struct metric_place *p)
{
    for (size_t i = 0; i < w->m->n_limits; i++) {
        const char *place = w->m->limits[i].place;

        if (strlen(place) == p->label_len && memcmp(place, p->label, p->label_len) == 0)
            return show(w, i, p->text, p->len);
    }
    return true;
}

static bool text_is(const struct metric_place *p, const char *text)
{
    return p->len == strlen(text) && memcmp(p->text, text, p->len) == 0;
}

static const char *unit_of(const struct metric_place *p)
{
    if (text_is(p, "mem") || text_is(p, "disk"))
        return "byte";
    return text_is(p, "cpus") ? "core" : "one";
}

static bool is_label(const struct metric_place *p, const char *label)
{
    return p->label_len == strlen(label) && memcmp(p->label, label, p->label_len) == 0;
}

/* The framework's name is percent-encoded within metric names. */
static void put_place(struct writer *w, const struct metric_place *p)
{
    _cleanup_buf_ struct fl_buf decoded = FL_BUF_INIT;

    if (is_label(p, "framework") && memchr(p->text, '%', p->len) &&
        http_percent_decode(p->text, p->len, false, &decoded) == 0)
        put_label(&w->labels, p->label, p->label_len, decoded.data, decoded.len);
    else
        put_label(&w->labels, p->label, p->label_len, p->text, p->len);
}

/* w->labels of the name, and what its value is multiplied with. False: over a limit. */
static bool describe(struct writer *w, const struct metric_row *row, const char *name,
                     double *ret_scale)
{
    static const double scales[] = {[METRIC_ONE] = 1,
                                    [METRIC_RATIO] = 1,
                                    [METRIC_SECONDS] = 1,
                                    [METRIC_MILLISECONDS] = 1e-3,
                                    [METRIC_MICROSECONDS] = 1e-6,
                                    [METRIC_BYTES] = 1,
                                    [METRIC_AMOUNT] = 1};
    struct metric_place places[METRIC_PLACES];
    size_t n = 0;
    double scale = scales[row->unit];

    fl_buf_clear(&w->labels);
    if (row == &unlisted) {
        metrics_label(&w->labels, "name", name);
        *ret_scale = 1;
        return true;
    }
    fl_buf_adds(&w->labels, row->labels);
    (void)metric_row_fits(row, name, places, &n);
    for (size_t i = 0; i < n; i++) {
        if (!within_limits(w, &places[i]))
            return false;
        put_place(w, &places[i]);
        if (row->unit == METRIC_AMOUNT && is_label(&places[i], "resource")) {
            metrics_label(&w->labels, "unit", unit_of(&places[i]));
            scale = streq(unit_of(&places[i]), "byte") ? 1048576 : 1;
        }
    }
    *ret_scale = scale;
    return true;
}

/* ---- all of them ---- */

static void add(struct writer *w, struct metric_entries *e, struct metric_entry entry, size_t *hint)
{
    entry.row = w->m->n_rows ? metric_row_of(w->m, entry.name, *hint) : SIZE_MAX;
    if (entry.row == SIZE_MAX ? entry.histogram != NULL : !*w->m->rows[entry.row].series)
        return;
    if (entry.row != SIZE_MAX)
        *hint = entry.row;
    e->list = xgrow(e->list, &e->cap, e->n + 1, sizeof(*e->list));
    e->list[e->n++] = entry;
}

static void gather(struct writer *w, struct metric_entries *e)
{
    _cleanup_(entries_done) struct metric_entries told = {0};
    struct metric *x, *next;
    size_t hint = 0;

    HASH_ITER (hh, w->m->by_name, x, next) {
        struct metric_entry entry = {.name = x->name, .histogram = x->histogram};

        if (!x->histogram)
            entry.value = metric_get(x);
        add(w, e, entry, &hint);
    }
    metrics_tell(w->m, &told);
    for (size_t i = 0; i < told.n; i++)
        add(w, e, told.list[i], &hint);
    e->arena = TAKE_PTR(told.arena);
}

static size_t family_of(const struct metrics *m, const struct metric_entry *e)
{
    return e->row == SIZE_MAX ? SIZE_MAX : m->families[e->row];
}

static int compare(const void *a, const void *b, void *arg)
{
    const struct metric_entry *x = a, *y = b;
    size_t fx = family_of(arg, x), fy = family_of(arg, y);

    return fx != fy ? (fx > fy) - (fx < fy) : strcmp(x->name, y->name);
}

static void put_histogram(struct writer *w, const char *series, const struct histogram *h)
{
    _cleanup_buf_ struct fl_buf labels = FL_BUF_INIT;
    uint64_t n = 0;
    char le[32];

    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        double end_us = (double)(HISTOGRAM_FIRST_US << (i / 2)) * (i % 2 ? 1.5 : 1.0);

        n += h->counts[i];
        fl_snprintf(le, sizeof(le), i == HISTOGRAM_BUCKETS ? "+Inf" : "%.9g", end_us / 1e6);
        fl_buf_clear(&labels);
        fl_buf_add(&labels, w->labels.data, w->labels.len);
        metrics_label(&labels, "le", le);
        put_sample(w->out, series, "_bucket", labels.data, labels.len);
        fl_buf_addf(w->out, "%llu\n", (unsigned long long)n);
    }
    put_sample(w->out, series, "_sum", w->labels.data, w->labels.len);
    fl_buf_addf(w->out, "%.15g\n", (double)h->sum_us / 1e6);
    put_sample(w->out, series, "_count", w->labels.data, w->labels.len);
    fl_buf_addf(w->out, "%llu\n", (unsigned long long)n);
}

static void put_entry(struct writer *w, const struct metric_entry *e, const struct metric_row *row)
{
    double scale;

    if (!describe(w, row, e->name, &scale))
        return;
    if (e->histogram)
        put_histogram(w, row->series, e->histogram);
    else
        metrics_value(w->out, row->series, fl_buf_cstr(&w->labels), e->value * scale);
}

static void put_left_out(struct writer *w)
{
    static const char series[] = "metrics_left_out";

    if (w->m->n_limits == 0)
        return;
    metrics_series(w->out, w->format, series, METRIC_LEVEL,
                   "Samples that this answer leaves out, by the label whose values are too many.");
    for (size_t i = 0; i < w->m->n_limits; i++) {
        fl_buf_clear(&w->labels);
        metrics_label(&w->labels, "label", w->m->limits[i].place);
        metrics_value(w->out, series, fl_buf_cstr(&w->labels), (double)w->left_out[i]);
    }
}

static void writer_done(struct writer *w)
{
    struct shown *s, *next;

    fl_buf_done(&w->labels);
    for (size_t i = 0; i < METRICS_LIMITS; i++) {
        HASH_ITER (hh, w->shown[i], s, next) {
            HASH_DEL(w->shown[i], s);
            free(s);
        }
    }
}

void metrics_text(struct metrics *m, enum metrics_format format, struct fl_buf *out)
{
    _cleanup_(writer_done) struct writer w = {.m = m, .format = format, .out = out};
    _cleanup_(entries_done) struct metric_entries e = {0};

    gather(&w, &e);
    if (e.n > 0)
        qsort_r(e.list, e.n, sizeof(*e.list), compare, m);
    for (size_t i = 0; i < e.n; i++) {
        size_t family = family_of(m, &e.list[i]);
        const struct metric_row *row =
            e.list[i].row == SIZE_MAX ? &unlisted : &m->rows[e.list[i].row];

        if (i == 0 || family != family_of(m, &e.list[i - 1])) {
            const struct metric_row *first = family == SIZE_MAX ? &unlisted : &m->rows[family];

            metrics_series(out, format, first->series, first->kind, first->help);
        }
        put_entry(&w, &e.list[i], row);
    }
    put_left_out(&w);
}

void metrics_text_end(enum metrics_format format, struct fl_buf *out)
{
    if (format == METRICS_OPENMETRICS)
        fl_buf_adds(out, "# EOF\n");
}
