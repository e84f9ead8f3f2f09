/* /metrics of the agent: its own metrics, and what each executor's container uses, as series that end with the container. */
#include "agent/api/handlers.h"

/* How a field of the statistics is read. */
enum field_type { FIELD_DOUBLE, FIELD_U64, FIELD_U32 };

static const struct usage_series {
    const char *series;
    enum metric_kind kind;
    const char *label, *value; /* one more label, or NULL */
    size_t has, at;
    enum field_type type;
    const char *help;
} usage_series[] = {
#define USAGE(series, kind, label, value, field, type, help)                                       \
    {series,                                                                                       \
     METRIC_##kind,                                                                                \
     label,                                                                                        \
     value,                                                                                        \
     offsetof(V1__ResourceStatistics, has_##field),                                                \
     offsetof(V1__ResourceStatistics, field),                                                      \
     FIELD_##type,                                                                                 \
     help},
#include "agent/api/usage_series.def"
#undef USAGE
};

struct asked {
    struct http_exchange *ex;
    const struct agent_api *api;
};

static double field(const V1__ResourceStatistics *s, const struct usage_series *u)
{
    const char *at = (const char *)s + u->at;

    switch (u->type) {
    case FIELD_DOUBLE:
        return *(const double *)(const void *)at;
    case FIELD_U64:
        return (double)*(const uint64_t *)(const void *)at;
    case FIELD_U32:
        return *(const uint32_t *)(const void *)at;
    }
    return 0;
}

static bool is_there(const V1__ResourceStatistics *s, const struct usage_series *u)
{
    return *(const protobuf_c_boolean *)((const char *)s + u->has);
}

/* What an executor runs for is one task, mostly. */
static void put_labels(struct fl_buf *out, const struct agent_executor *e)
{
    const struct agent_task *t = e->tasks;

    metrics_label(out, "framework", e->framework->info->name);
    metrics_label(out, "framework_id", e->framework->id);
    metrics_label(out, "executor", e->id);
    metrics_label(out, "task", t && !t->next ? t->id : "");
}

struct usage_of {
    const V1__ResourceStatistics *s; /* borrowed of the round */
    char *labels;                    /* owned */
};

static void put_series(const struct usage_series *u, bool first, enum metrics_format format,
                       const struct usage_of *of, size_t n, struct fl_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_buf_ struct fl_buf labels = FL_BUF_INIT;

        if (!is_there(of[i].s, u))
            continue;
        if (first)
            metrics_series(out, format, u->series, u->kind, u->help);
        first = false;
        fl_buf_adds(&labels, of[i].labels);
        if (u->label)
            metrics_label(&labels, u->label, u->value);
        metrics_value(out, u->series, fl_buf_cstr(&labels), field(of[i].s, u));
    }
}

static size_t choose(const struct asked *a, struct usage_of *of, size_t max, size_t *ret_left_out)
{
    const struct agent_viewer v = agent_viewer_of(a->api, a->ex);
    size_t n = 0;

    for (const struct agent_executor *e = a->api->core->containers; e; e = e->hh_container.next) {
        const V1__ResourceStatistics *s = usage_round_of(a->api->usage, e->container_id);
        struct fl_buf labels = FL_BUF_INIT;

        if (!s || !agent_viewer_executor(&v, ACL_VIEW_CONTAINERS, e))
            continue;
        if (n == max) {
            (*ret_left_out)++;
            continue;
        }
        put_labels(&labels, e);
        of[n++] = (struct usage_of){s, fl_buf_take(&labels)};
    }
    return n;
}

static void put_usage(const struct asked *a, enum metrics_format format, struct fl_buf *out)
{
    size_t max = a->api->core->flags->metrics_max_executors, left_out = 0, n;
    _cleanup_free_ struct usage_of *of =
        xcalloc(FL_MIN(max, HASH_CNT(hh_container, a->api->core->containers)) + 1, sizeof(*of));

    n = choose(a, of, max, &left_out);
    for (size_t i = 0; i < ARRAY_SIZE(usage_series); i++) {
        bool first = i == 0 || !streq(usage_series[i].series, usage_series[i - 1].series);

        put_series(&usage_series[i], first, format, of, n, out);
    }
    for (size_t i = 0; i < n; i++)
        free(of[i].labels);
    metrics_series(out, format, "metrics_left_out", METRIC_LEVEL,
                   "What this answer leaves out, by the label whose values are too many.");
    metrics_value(out, "metrics_left_out", "label=\"executor\"", (double)left_out);
}

static void ready(void *arg, bool gone)
{
    struct asked *a = arg;
    enum metrics_format format = plain_metrics_format(a->ex);
    struct fl_buf out = FL_BUF_INIT;

    if (gone) {
        http_respond(a->ex, 503, HTTP_TEXT, "The agent is ending");
    } else {
        metrics_text(a->api->core->metrics, format, &out);
        put_usage(a, format, &out);
        plain_metrics_respond(a->ex, format, &out);
    }
    free(a);
}

void agent_prometheus_get(struct http_exchange *ex, void *arg)
{
    struct asked *a = xnew0(struct asked);

    *a = (struct asked){.ex = ex, .api = arg};
    usage_round_ask(a->api->usage, ready, a);
}
