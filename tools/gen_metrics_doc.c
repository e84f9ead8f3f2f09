/* Prints the tables of metrics for docs/metrics.md (`make docs`; `make lint` compares). */
#include <stdio.h>

#include "agent/metric_rows.h"
#include "common/base/buf.h"
#include "master/metric_rows.h"

static const char *const units[] = {
    [METRIC_ONE] = "",
    [METRIC_RATIO] = "0 to 1",
    [METRIC_SECONDS] = "s",
    [METRIC_MILLISECONDS] = "ms",
    [METRIC_MICROSECONDS] = "us",
    [METRIC_BYTES] = "bytes",
    [METRIC_AMOUNT] = "MiB of mem and disk",
};
static const char *const kinds[] = {"counter", "gauge", "times"};

/* The labels of the series: those of the row, then the places of the name. */
static void print_series(const struct metric_row *r)
{
    _cleanup_buf_ struct fl_buf labels = FL_BUF_INIT;

    if (!*r->series) {
        printf("not shown");
        return;
    }
    fl_buf_adds(&labels, r->labels);
    for (const char *p = strchr(r->name, '{'); p; p = strchr(p + 1, '{')) {
        if (labels.len > 0)
            fl_buf_addc(&labels, ',');
        fl_buf_add(&labels, p + 1, strcspn(p + 1, "}"));
        if (r->unit == METRIC_AMOUNT && str_starts(p, "{resource}"))
            fl_buf_adds(&labels, ",unit");
    }
    printf("`fairlead_%s%s%s%s`", r->series, labels.len ? "{" : "", fl_buf_cstr(&labels),
           labels.len ? "}" : "");
}

static void print_table(const char *title, const struct metric_row *rows, size_t n)
{
    printf("\n## %s\n\n| name at /metrics/snapshot | kind | unit | series at /metrics | what it "
           "is |\n|---|---|---|---|---|\n",
           title);
    for (size_t i = 0; i < n; i++) {
        bool hidden = rows[i].kind == METRIC_TIMES && rows[i].unit == METRIC_MICROSECONDS;

        if (hidden)
            printf("| none ");
        else
            printf("| `%s` ", rows[i].name);
        printf("| %s | %s | ", kinds[rows[i].kind], units[rows[i].unit]);
        print_series(&rows[i]);
        printf(" | %s |\n", rows[i].help);
    }
}

static const struct {
    const char *series, *label, *help;
} usage[] = {
#define USAGE(series, kind, label, value, field, type, help) {series, label, help},
#include "agent/api/usage_series.def"
#undef USAGE
};

static void print_usage(void)
{
    printf("\n## Of each container, at /metrics of the agent\n\n"
           "Labels: `framework`, `framework_id`, `executor`, `task`, and what the table says.\n\n"
           "| series | label | what it is |\n|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_SIZE(usage); i++) {
        if (i > 0 && streq(usage[i].series, usage[i - 1].series))
            continue;
        printf("| `fairlead_%s` | %s | %s |\n", usage[i].series,
               usage[i].label ? usage[i].label : "", usage[i].help);
    }
}

int main(void)
{
    print_table("Names of the master", master_metric_rows, master_metric_rows_n);
    print_table("Names of the agent", agent_metric_rows, agent_metric_rows_n);
    print_usage();
    return 0;
}
