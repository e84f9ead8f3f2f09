/* Routes that do alike share a histogram, so that a reader of /metrics gets ten of them and not fifty. */
#include "common/model/http_times.h"

/* The first prefix that fits names the group. */
static const struct {
    const char *prefix, *group;
} groups[] = {
    {"/api/v1/scheduler", "scheduler"},
    {"/api/v1/executor", "executor"},
    {"/api/v1", "operator"},
    {"/state", "state"},
    {"/slaves", "state"},
    {"/frameworks", "state"},
    {"/tasks", "state"},
    {"/roles", "state"},
    {"/containers", "statistics"},
    {"/monitor", "statistics"},
    {"/files", "files"},
    {"/agent", "relay"},
    {"/page", "page"},
    {"/metrics", "metrics"},
};
#define OTHER "other"

struct http_times {
    const struct http_route *routes; /* borrowed */
    size_t n;
    struct metric *other;
    struct metric *of[]; /* by route */
};

static const char *group_of(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (str_starts(path, groups[i].prefix))
            return groups[i].group;
    }
    return OTHER;
}

static struct metric *histogram(struct metrics *m, const char *group)
{
    char name[64];

    fl_snprintf(name, sizeof(name), "http/request/%s", group);
    return metrics_histogram(m, name);
}

struct http_times *http_times_new(struct metrics *m, const struct http_route *routes, size_t n)
{
    struct http_times *t = xcalloc(1, sizeof(*t) + n * sizeof(struct metric *));

    t->routes = routes;
    t->n = n;
    t->other = histogram(m, OTHER);
    for (size_t i = 0; i < n; i++)
        t->of[i] = histogram(m, group_of(routes[i].path));
    return t;
}

void http_times_free(struct http_times *t)
{
    free(t);
}

void http_times_note(struct http_times *t, const struct http_route *route, uint64_t us)
{
    size_t i = t && route ? (size_t)(route - t->routes) : 0;

    if (t)
        metric_sample_us(route && i < t->n ? t->of[i] : t->other, us);
}

static struct http_counters count(void *arg)
{
    struct http_counters n = {0};
    struct http_server *const *s = arg;

    if (*s)
        http_server_counters(*s, &n);
    return n;
}

#define METRIC_NAME(...)
#define HTTP_METRIC(id, name, value, ...)                                                          \
    static double pull_##id(void *arg)                                                             \
    {                                                                                              \
        struct http_counters n = count(arg);                                                       \
                                                                                                   \
        return (double)(value);                                                                    \
    }
#include "common/model/plain_metrics.def"
#undef HTTP_METRIC

void metrics_add_http(struct metrics *m, struct http_server *const *s)
{
#define HTTP_METRIC(id, name, value, ...) metrics_pull(m, name, pull_##id, (void *)s);
#include "common/model/plain_metrics.def"
#undef HTTP_METRIC
}
