/* Named numbers in a hash by name; reading makes a sorted list of what is there. Writing a counter is one addition, so
 * that counting costs nothing on the paths that count. The core's thread only. */
#include "common/base/metrics_priv.h"

#define TIMER_SAMPLES   1000
#define TIMER_WINDOW_US (3600ULL * 1000 * 1000)

/* A timer's statistics, in the order of their names after "name/". */
static const struct {
    const char *suffix;
    double quantile;
} quantiles[] = {
    {"/max", 1.0},  {"/min", 0.0},  {"/p50", 0.5},    {"/p90", 0.9},
    {"/p95", 0.95}, {"/p99", 0.99}, {"/p999", 0.999}, {"/p9999", 0.9999},
};

struct sample {
    double ms;
    uint64_t at_us;
};

struct timer {
    struct sample ring[TIMER_SAMPLES];
    size_t first, n;
    double last;
    char *count_name;                            /* owned */
    char *quantile_names[ARRAY_SIZE(quantiles)]; /* owned */
};

struct metrics *metrics_new(void)
{
    return xnew0(struct metrics);
}

static void metric_free(struct metric *x)
{
    if (x->timer) {
        free(x->timer->count_name);
        for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
            free(x->timer->quantile_names[i]);
        free(x->timer);
    }
    free(x->histogram);
    free(x->name);
    free(x);
}

void metrics_free(struct metrics *m)
{
    struct metric *x, *next;
    if (!m)
        return;
    HASH_ITER (hh, m->by_name, x, next) {
        HASH_DEL(m->by_name, x);
        metric_free(x);
    }
    free(m->families);
    free(m);
}

void metrics_set_clock(struct metrics *m, uint64_t (*now_us)(void *ctx), void *ctx)
{
    m->now_us = now_us;
    m->now_ctx = ctx;
}

void metrics_source(struct metrics *m, void (*source)(metric_tell_f *tell, void *to, void *arg),
                    void *arg)
{
    m->source = source;
    m->source_arg = arg;
}

static struct metric *get_or_add(struct metrics *m, const char *name, enum metric_type type)
{
    struct metric *x;
    HASH_FIND_STR(m->by_name, name, x);
    if (x) {
        assert(x->type == type);
        return x;
    }
    x = xnew0(struct metric);
    x->all = m;
    x->name = xstrdup(name);
    x->type = type;
    HASH_ADD_KEYPTR(hh, m->by_name, x->name, strlen(x->name), x);
    return x;
}

struct metric *metrics_counter(struct metrics *m, const char *name)
{
    return get_or_add(m, name, COUNTER);
}

struct metric *metrics_gauge(struct metrics *m, const char *name)
{
    return get_or_add(m, name, GAUGE);
}

struct metric *metrics_pull(struct metrics *m, const char *name, metric_pull_f *fn, void *arg)
{
    struct metric *x = get_or_add(m, name, PULL);
    x->pull = fn;
    x->pull_arg = arg;
    return x;
}

struct metric *metrics_timer(struct metrics *m, const char *name)
{
    struct metric *x = get_or_add(m, name, TIMER);
    if (x->timer)
        return x;
    x->timer = xnew0(struct timer);
    x->histogram = xnew0(struct histogram);
    x->timer->count_name = xasprintf("%s/count", name);
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
        x->timer->quantile_names[i] = xasprintf("%s%s", name, quantiles[i].suffix);
    return x;
}

struct metric *metrics_histogram(struct metrics *m, const char *name)
{
    struct metric *x = get_or_add(m, name, HISTOGRAM);
    if (!x->histogram)
        x->histogram = xnew0(struct histogram);
    return x;
}

void metrics_remove(struct metrics *m, const char *name)
{
    struct metric *x, *next;
    size_t n = strlen(name);
    HASH_ITER (hh, m->by_name, x, next) {
        if (!str_starts(x->name, name) || (x->name[n] != '\0' && x->name[n] != '/'))
            continue;
        HASH_DEL(m->by_name, x);
        metric_free(x);
    }
}

void metric_inc(struct metric *c)
{
    c->value += 1;
}

void metric_add(struct metric *c, double v)
{
    c->value += v;
}

void metric_set(struct metric *g, double v)
{
    g->value = v;
}

double metric_get(const struct metric *c)
{
    if (c->type == PULL)
        return c->pull(c->pull_arg);
    return c->type == TIMER ? c->timer->last : c->value;
}

static uint64_t now_us(const struct metrics *m)
{
    return m->now_us ? m->now_us(m->now_ctx) : 0;
}

void metric_sample_ms(struct metric *x, double ms)
{
    struct timer *t = x->timer;
    size_t at = (t->first + t->n) % TIMER_SAMPLES;
    t->ring[at] = (struct sample){.ms = ms, .at_us = now_us(x->all)};
    if (t->n < TIMER_SAMPLES)
        t->n++;
    else
        t->first = (t->first + 1) % TIMER_SAMPLES;
    t->last = ms;
    metric_sample_us(x, ms > 0 ? (uint64_t)(ms * 1000.0) : 0);
}

/* Two buckets an octave. */
static size_t bucket_of(uint64_t us)
{
    uint64_t below = us - 1;
    size_t octave, at;
    if (us <= HISTOGRAM_FIRST_US)
        return 0;
    octave = 63 - (size_t)__builtin_clzll(below);
    at = (octave - HISTOGRAM_FIRST_BIT) * 2 + ((below >> (octave - 1)) & 1) + 1;
    return FL_MIN(at, (size_t)HISTOGRAM_BUCKETS);
}

void metric_sample_us(struct metric *x, uint64_t us)
{
    struct histogram *h = x->histogram;
    h->counts[bucket_of(us)]++;
    h->sum_us += us;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

void entries_done(struct metric_entries *e)
{
    free(e->list);
    fl_arena_free(e->arena);
}

static void add_entry(struct metric_entries *e, const char *name, double value)
{
    e->list = xgrow(e->list, &e->cap, e->n + 1, sizeof(*e->list));
    e->list[e->n++] = (struct metric_entry){.name = name, .value = value};
}

static void add_told(const char *name, double value, void *to)
{
    struct metric_entries *e = to;
    if (!e->arena)
        e->arena = fl_arena_new(4096);
    add_entry(e, fl_arena_strdup(e->arena, name), value);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct metric_entry *)a)->name, ((const struct metric_entry *)b)->name);
}

/* Between the two samples that the quantile falls between, in proportion. */
static double quantile_of(const double *sorted, size_t n, double q)
{
    double position = q * (double)(n - 1);
    size_t below = (size_t)position;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (position - (double)below) * (sorted[below + 1] - sorted[below]);
}

static void add_timer(struct metric_entries *e, const struct metric *x)
{
    const struct timer *t = x->timer;
    double sorted[TIMER_SAMPLES];
    size_t n = 0;
    uint64_t now = now_us(x->all);
    for (size_t i = 0; i < t->n; i++) {
        const struct sample *s = &t->ring[(t->first + i) % TIMER_SAMPLES];
        if (now - s->at_us <= TIMER_WINDOW_US)
            sorted[n++] = s->ms;
    }
    if (t->n > 0)
        add_entry(e, x->name, t->last);
    if (n < 2)
        return;
    qsort(sorted, n, sizeof(sorted[0]), compare_doubles);
    add_entry(e, t->count_name, (double)n);
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
        add_entry(e, t->quantile_names[i], quantile_of(sorted, n, quantiles[i].quantile));
}

void metrics_tell(const struct metrics *m, struct metric_entries *e)
{
    if (m->source)
        m->source(add_told, e, m->source_arg);
}

static void collect(const struct metrics *m, struct metric_entries *e)
{
    struct metric *x, *next;
    HASH_ITER (hh, m->by_name, x, next) {
        if (x->type == TIMER)
            add_timer(e, x);
        else if (x->type != HISTOGRAM)
            add_entry(e, x->name, metric_get(x));
    }
    metrics_tell(m, e);
    if (e->n > 0)
        qsort(e->list, e->n, sizeof(*e->list), compare_entries);
}

void metrics_each(const struct metrics *m, void (*fn)(const char *name, double value, void *arg),
                  void *arg)
{
    _cleanup_(entries_done) struct metric_entries e = {0};
    collect(m, &e);
    for (size_t i = 0; i < e.n; i++)
        fn(e.list[i].name, e.list[i].value, arg);
}
