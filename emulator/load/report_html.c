/* The report as one page that needs nothing else: tables, and plots as inline SVG. Well-formed as XML, too. See load.h. */
#include <stdarg.h>
#include <stdio.h>

#include "emulator/load/load.h"
#include "emulator/load/plot.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
    "<meta name=\"viewport\" "
    "content=\"width=device-width\"/><title>fairlead-loadgen</title><style>\n"
    ":root{--back:#fff;--text:#1a1d21;--soft:#5b6470;--line:#dfe3e8;--good:#14743a;--bad:#b3261e;"
    "--c0:#1f66b0;--c1:#c2570c;--c2:#14743a;--c3:#8e3bb0;--c4:#b3261e;--c5:#0b7a85;--c6:#7a6a00;--"
    "c7:#5b6470}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14171b;--text:#e6e9ed;--soft:#9aa4b0;--line:#"
    "2e343c;"
    "--good:#5fcf8b;--bad:#ff8a80;--c0:#6fb1ff;--c1:#ffa657;--c2:#5fcf8b;--c3:#d59bff;--c4:#ff8a80;"
    "--c5:#5fd3df;--c6:#dcc94a;--c7:#9aa4b0}}\n"
    "@media print{:root{--back:#fff;--text:#000}figure,table{break-inside:avoid}}\n"
    "body{background:var(--back);color:var(--text);font:15px/1.5 "
    "system-ui,sans-serif;max-width:860px;"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.2rem .5rem;border-bottom:1px solid var(--line);text-align:right}"
    "th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}\n"
    "figure{margin:1.5rem 0}figcaption{font-weight:600}.legend{margin:.2rem "
    "0;color:var(--soft);font-size:.85rem}"
    ".legend span{margin-right:1rem;white-space:nowrap}"
    ".legend "
    "i{display:inline-block;width:1rem;height:.2rem;margin-right:.3rem;vertical-align:middle}\n"
    "svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}"
    ".grid{stroke:var(--line);stroke-width:1}polyline{fill:none;stroke-width:1.8}\n"
    "polyline.c0{stroke:var(--c0)}polyline.c1{stroke:var(--c1)}polyline.c2{stroke:var(--c2)}"
    "polyline.c3{stroke:var(--c3)}polyline.c4{stroke:var(--c4)}polyline.c5{stroke:var(--c5)}"
    "polyline.c6{stroke:var(--c6)}polyline.c7{stroke:var(--c7)}\n"
    "i.c0{background:var(--c0)}i.c1{background:var(--c1)}i.c2{background:var(--c2)}i.c3{background:"
    "var(--c3)}"
    "i.c4{background:var(--c4)}i.c5{background:var(--c5)}i.c6{background:var(--c6)}i.c7{background:"
    "var(--c7)}\n"
    ".good{color:var(--good)}.bad{color:var(--bad)}\n"
    "</style></head><body>\n";

static double seconds(uint64_t at_us, uint64_t from_us)
{
    return at_us > from_us && from_us ? (double)(at_us - from_us) / 1e6 : 0;
}

/* ---- tables ---- */

static void row(struct fl_buf *out, const char *name, const char *fmt, ...) _printf_(3, 4);
static void row(struct fl_buf *out, const char *name, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fl_buf_adds(out, "<tr><td>");
    html_text(out, name);
    fl_buf_adds(out, "</td><td>");
    html_text(out, text);
    fl_buf_adds(out, "</td></tr>\n");
}

static void usage_row(struct fl_buf *out, const char *name, const struct emu_usage *from,
                      const struct emu_usage *to, uint64_t n)
{
    double us = (double)(to->cpu_us - from->cpu_us);

    if (from->known && to->known)
        row(out, name, "%.2f s of CPU, %.2f us a task, at most %.1f MiB", us / 1e6,
            n ? us / (double)n : 0, (double)to->peak / 1048576);
}

static void summary(struct fl_buf *out, const struct load *l)
{
    uint64_t n = l->total->counts[LOAD_COUNT_RUNNING];
    double s = seconds(l->settled_us, l->began_us);

    fl_buf_adds(out, "<table>\n");
    row(out, "frameworks", "%llu", (unsigned long long)l->subscribed);
    row(out, "all accepted", "%.3f s", seconds(l->accepted_us, l->began_us));
    row(out, "all settled and acknowledged", "%.3f s", s);
    row(out, "tasks that ran", "%llu, %.0f a second", (unsigned long long)n,
        s > 0 ? (double)n / s : 0);
    usage_row(out, "loadgen", &l->at_begin.self, &l->at_settled.self, n);
    usage_row(out, "master", &l->at_begin.master, &l->at_settled.master, n);
    usage_row(out, "emulator", &l->at_begin.emulator, &l->at_settled.emulator, n);
    if (l->killed_us) {
        n = l->total->hists[LOAD_HIST_KILL_TERMINAL].n;
        row(out, "all killed and acknowledged", "%.3f s", seconds(l->killed_us, l->killing_us));
        usage_row(out, "master, kills", &l->at_killing.master, &l->at_killed.master, n);
        usage_row(out, "emulator, kills", &l->at_killing.emulator, &l->at_killed.emulator, n);
    }
    if (l->gangs)
        row(out, "gangs", "%llu, %llu whole, %llu in part, %llu in one zone",
            (unsigned long long)l->gangs, (unsigned long long)l->gangs_whole,
            (unsigned long long)l->gangs_partial, (unsigned long long)l->gangs_pure);
    fl_buf_adds(out, "</table>\n");
}

static void latency_table(struct fl_buf *out, const struct load *l)
{
    fl_buf_adds(
        out,
        "<h2>Latency, milliseconds</h2>\n<table><tr><th></th><th>n</th><th>p50</th><th>p90</th>"
        "<th>p99</th><th>p99.9</th><th>max</th></tr>\n");
    for (size_t i = 0; i < LOAD_HISTS; i++) {
        const struct hist *h = &l->total->hists[i];

        if (h->n == 0)
            continue;
        fl_buf_adds(out, "<tr><td>");
        html_text(out, load_hist_names[i].help);
        fl_buf_addf(out,
                    "</td><td>%llu</td><td>%.3f</td><td>%.3f</td><td>%.3f</td><td>%.3f</"
                    "td><td>%.3f</td></tr>\n",
                    (unsigned long long)h->n, (double)hist_quantile(h, 0.5) / 1e3,
                    (double)hist_quantile(h, 0.9) / 1e3, (double)hist_quantile(h, 0.99) / 1e3,
                    (double)hist_quantile(h, 0.999) / 1e3, (double)h->max / 1e3);
    }
    fl_buf_adds(out, "</table>\n");
}

static void counts_table(struct fl_buf *out, const struct load *l)
{
    fl_buf_adds(out, "<h2>Counts</h2>\n<table>\n");
    for (size_t i = 0; i < LOAD_COUNTS; i++) {
        if (l->total->counts[i])
            row(out, load_count_names[i].help, "%llu", (unsigned long long)l->total->counts[i]);
    }
    for (size_t i = 0; i < l->n_errors; i++)
        row(out, l->errors[i].kind, "%llu: %s", (unsigned long long)l->errors[i].n,
            l->errors[i].message);
    fl_buf_adds(out, "</table>\n");
}

/* ---- plots ---- */

static void cdf_plot(struct fl_buf *out, const struct load *l)
{
    struct plot p = {.title = "Share of all that took at most so long",
                     .x_label = "milliseconds",
                     .y_label = "%",
                     .log_x = true,
                     .y_most = 100};

    for (size_t i = 0; i < LOAD_HISTS && p.n < PLOT_LINES; i++) {
        const struct hist *h = &l->total->hists[i];
        struct plot_line *line = h->n ? plot_line(&p, load_hist_names[i].name) : NULL;
        uint64_t seen = 0;

        for (size_t k = 0; line && k < HIST_BUCKETS && seen < h->n; k++) {
            if (h->counts[k] == 0)
                continue;
            seen += h->counts[k];
            plot_point(line, (double)FL_MIN(hist_upper(k) + 1, h->max + 1) / 1e3,
                       100.0 * (double)seen / (double)h->n);
        }
    }
    if (p.n)
        plot_svg(&p, out);
    plot_done(&p);
}

static void running_plot(struct fl_buf *out, const struct load *l)
{
    struct plot p = {.title = "Tasks that run", .x_label = "seconds", .y_label = "tasks"};
    struct plot_line *line = plot_line(&p, "running");

    for (size_t i = 0; i < l->n_samples; i++)
        plot_point(line, (double)l->samples[i].at_us / 1e6, (double)l->samples[i].running);
    plot_svg(&p, out);
    plot_done(&p);
}

static void rate_plot(struct fl_buf *out, const struct load *l)
{
    struct plot p = {
        .title = "What happened in a second", .x_label = "seconds", .y_label = "a second"};
    struct plot_line *accepted = plot_line(&p, "tasks accepted"), *offers = plot_line(&p, "offers"),
                     *updates = plot_line(&p, "status updates");

    for (size_t i = 1; i < l->n_samples; i++) {
        const struct load_sample *a = &l->samples[i - 1], *b = &l->samples[i];
        double x = (double)b->at_us / 1e6, s = (double)(b->at_us - a->at_us) / 1e6;

        if (s <= 0)
            continue;
        plot_point(accepted, x, (double)(b->accepted - a->accepted) / s);
        plot_point(offers, x, (double)(b->offers - a->offers) / s);
        plot_point(updates, x, (double)(b->updates - a->updates) / s);
    }
    plot_svg(&p, out);
    plot_done(&p);
}

void load_report_html(struct load *l, struct fl_buf *out)
{
    bool good = load_went_well(l);

    load_report_sum(l);
    fl_buf_adds(out, head);
    fl_buf_addf(out, "<h1>fairlead-loadgen: <span class=\"%s\">%s</span></h1>\n",
                good ? "good" : "bad", good ? "ok" : "not ok");
    if (l->why) {
        fl_buf_adds(out, "<p class=\"bad\">");
        html_text(out, l->why);
        fl_buf_adds(out, "</p>\n");
    }
    summary(out, l);
    cdf_plot(out, l);
    running_plot(out, l);
    rate_plot(out, l);
    latency_table(out, l);
    counts_table(out, l);
    fl_buf_adds(out, "</body></html>\n");
}
