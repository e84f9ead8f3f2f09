/* The report as text and as JSON. docs/loadgen.md lists the keys. See load.h. */
#include <stdio.h>

#include "common/base/json.h"
#include "emulator/load/load.h"

void load_report_sum(struct load *l)
{
    if (l->total)
        return;
    l->total = xnew0(struct load_figures);
    for (size_t i = 0; i < l->n_groups; i++)
        load_figures_merge(l->total, l->groups[i].figures);
}

static double seconds(const struct load *l, uint64_t at_us, uint64_t from_us)
{
    return at_us && from_us && at_us >= from_us ? (double)(at_us - from_us) / 1e6 : 0;
}

static double rate(uint64_t n, double s)
{
    return s > 0 ? (double)n / s : 0;
}

/* ---- parts ---- */

static void add_hist(struct json_out *j, const char *key, const struct hist *h)
{
    json_kobject(j, key);
    json_kuint(j, "n", h->n);
    json_kdouble(j, "mean_us", hist_mean(h));
    json_kuint(j, "p50_us", hist_quantile(h, 0.5));
    json_kuint(j, "p90_us", hist_quantile(h, 0.9));
    json_kuint(j, "p99_us", hist_quantile(h, 0.99));
    json_kuint(j, "p999_us", hist_quantile(h, 0.999));
    json_kuint(j, "max_us", h->max);
    json_end_object(j);
}

static void add_figures(struct json_out *j, const struct load_figures *f)
{
    json_kobject(j, "counts");
    for (size_t i = 0; i < LOAD_COUNTS; i++)
        json_kuint(j, load_count_names[i].name, f->counts[i]);
    json_end_object(j);
    json_kobject(j, "latency");
    for (size_t i = 0; i < LOAD_HISTS; i++)
        add_hist(j, load_hist_names[i].name, &f->hists[i]);
    json_end_object(j);
}

static void add_seconds(struct json_out *j, const struct load *l)
{
    double running = seconds(l, l->settled_us, l->began_us);
    uint64_t n = l->total->counts[LOAD_COUNT_RUNNING];

    json_kobject(j, "seconds");
    json_kdouble(j, "subscribed", seconds(l, l->began_us, l->first_subscribe_us));
    json_kdouble(j, "accepted", seconds(l, l->accepted_us, l->began_us));
    json_kdouble(j, "settled_heard", seconds(l, l->running_us, l->began_us));
    json_kdouble(j, "settled", running);
    json_kdouble(j, "killed", seconds(l, l->killed_us, l->killing_us));
    json_end_object(j);
    json_kdouble(j, "tasks_per_second", rate(n, running));
    json_kdouble(
        j, "accepted_per_second",
        rate(l->total->counts[LOAD_COUNT_ACCEPTED], seconds(l, l->accepted_us, l->began_us)));
}

static void add_errors(struct json_out *j, const struct load *l)
{
    json_karray(j, "errors_by_kind");
    for (size_t i = 0; i < l->n_errors; i++) {
        json_object(j);
        json_kstr(j, "kind", l->errors[i].kind);
        json_kuint(j, "n", l->errors[i].n);
        json_kstr(j, "first", l->errors[i].message);
        json_end_object(j);
    }
    json_end_array(j);
}

struct fairness {
    uint64_t least, most;
    double mean, jain;
};

/* Over the frameworks of an entry: tasks accepted. Jain's index is 1 when all have the same, 1/n when one has all. */
static struct fairness fairness_of(const struct load_group *g)
{
    struct fairness r = {UINT64_MAX, 0, 0, 1};
    double sum = 0, squares = 0, n = (double)g->n_frameworks;

    for (size_t i = 0; i < g->n_frameworks; i++) {
        uint64_t v = g->frameworks[i].accepted;

        r.least = FL_MIN(r.least, v);
        r.most = FL_MAX(r.most, v);
        sum += (double)v;
        squares += (double)v * (double)v;
    }
    if (g->n_frameworks == 0)
        r.least = 0;
    r.mean = n > 0 ? sum / n : 0;
    if (squares > 0)
        r.jain = sum * sum / (n * squares);
    return r;
}

static void add_group(struct json_out *j, const struct load_group *g)
{
    static const char *const apis[] = {"libframework", "http"}, *const encodings[] = {"protobuf",
                                                                                      "json"};
    struct fairness f = fairness_of(g);

    json_object(j);
    json_kstr(j, "name", g->entry->name);
    json_kstr(j, "api", apis[g->entry->api]);
    json_kstr(j, "encoding", encodings[g->entry->encoding]);
    json_kuint(j, "frameworks", g->entry->frameworks);
    json_kuint(j, "jobs", g->entry->jobs);
    json_kuint(j, "tasks_of_a_job", g->entry->tasks);
    json_kdouble(j, "started_s", seconds(g->load, g->started_us, g->load->began_us));
    json_kdouble(j, "complete_s", seconds(g->load, g->complete_us, g->load->began_us));
    json_kobject(j, "accepted_per_framework");
    json_kuint(j, "min", f.least);
    json_kdouble(j, "mean", f.mean);
    json_kuint(j, "max", f.most);
    json_kdouble(j, "jain", f.jain);
    json_end_object(j);
    add_figures(j, g->figures);
    json_end_object(j);
}

/* What happened between two readings of a process, for each of `n` tasks. */
static void add_usage(struct json_out *j, const char *key, const struct emu_usage *from,
                      const struct emu_usage *to, uint64_t n)
{
    uint64_t us = to->cpu_us - from->cpu_us;

    if (!from->known || !to->known)
        return;
    json_kobject(j, key);
    json_kuint(j, "cpu_us", us);
    json_kdouble(j, "cpu_us_per_task", n ? (double)us / (double)n : 0);
    json_kuint(j, "rss_before", from->rss);
    json_kuint(j, "rss_after", to->rss);
    json_kuint(j, "rss_peak", to->peak);
    json_end_object(j);
}

static void add_usages(struct json_out *j, const char *key, const struct load_usages *from,
                       const struct load_usages *to, uint64_t n)
{
    json_kobject(j, key);
    add_usage(j, "loadgen", &from->self, &to->self, n);
    add_usage(j, "master", &from->master, &to->master, n);
    add_usage(j, "emulator", &from->emulator, &to->emulator, n);
    json_end_object(j);
}

static void add_processes(struct json_out *j, const struct load *l)
{
    uint64_t n = l->total->counts[LOAD_COUNT_RUNNING];

    json_kobject(j, "processes");
    add_usages(j, "work", &l->at_begin, &l->at_settled, n);
    if (l->killed_us)
        add_usages(j, "kill", &l->at_killing, &l->at_killed,
                   l->total->hists[LOAD_HIST_KILL_TERMINAL].n);
    json_end_object(j);
}

static void add_series(struct json_out *j, const struct load *l)
{
    json_kobject(j, "series");
    json_kdouble(j, "every_s", (double)l->sample_every_us / 1e6);
    json_karray(j, "columns");
    json_string(j, "seconds");
    json_string(j, "running");
    json_string(j, "accepted");
    json_string(j, "offers");
    json_string(j, "updates");
    json_end_array(j);
    json_karray(j, "rows");
    for (size_t i = 0; i < l->n_samples; i++) {
        const struct load_sample *s = &l->samples[i];

        json_array(j);
        json_double(j, (double)s->at_us / 1e6);
        json_uint(j, s->running);
        json_uint(j, s->accepted);
        json_uint(j, s->offers);
        json_uint(j, s->updates);
        json_end_array(j);
    }
    json_end_array(j);
    json_end_object(j);
}

static void add_metrics(struct json_out *j, const struct load *l)
{
    json_kobject(j, "master_metrics");
    for (size_t i = 0; i < l->metrics_after.n; i++) {
        const struct load_metric *m = &l->metrics_after.v[i];
        const double *before = load_metrics_get(&l->metrics_before, m->name);

        if (before && *before == m->value)
            continue;
        json_kobject(j, m->name);
        json_kdouble(j, "after", m->value);
        json_kdouble(j, "difference", m->value - (before ? *before : 0));
        json_end_object(j);
    }
    json_end_object(j);
}

static void add_place(struct json_out *j, const struct load *l)
{
    const struct hist *idle = &l->total->hists[LOAD_HIST_FREED_RUNNING],
                      *loaded = &l->total->hists[LOAD_HIST_FREED_RUNNING_LOADED];

    if (idle->n) {
        json_kuint(j, "place.p50_us", hist_quantile(idle, 0.5));
        json_kuint(j, "place.p99_us", hist_quantile(idle, 0.99));
    }
    if (loaded->n) {
        json_kuint(j, "place.loaded_p50_us", hist_quantile(loaded, 0.5));
        json_kuint(j, "place.loaded_p99_us", hist_quantile(loaded, 0.99));
    }
}

void load_report_json(struct load *l, struct fl_buf *out)
{
    struct json_out j = json_out_on(out);

    load_report_sum(l);
    json_object(&j);
    json_kbool(&j, "ok", load_went_well(l));
    json_kstr(&j, "why", l->why ? l->why : "");
    json_kuint(&j, "frameworks", l->subscribed);
    json_kuint(&j, "running_at_end", l->settled_running);
    json_kuint(&j, "peak_running", l->peak_running);
    add_seconds(&j, l);
    add_figures(&j, l->total);
    add_errors(&j, l);
    json_kobject(&j, "gangs");
    json_kuint(&j, "jobs", l->gangs);
    json_kuint(&j, "whole", l->gangs_whole);
    json_kuint(&j, "partial", l->gangs_partial);
    json_kuint(&j, "zone_pure", l->gangs_pure);
    json_end_object(&j);
    add_place(&j, l);
    json_karray(&j, "entries");
    for (size_t i = 0; i < l->n_groups; i++)
        add_group(&j, &l->groups[i]);
    json_end_array(&j);
    add_processes(&j, l);
    add_metrics(&j, l);
    add_series(&j, l);
    json_end_object(&j);
    fl_buf_addc(out, '\n');
}

/* ---- text ---- */

static void text_usage(struct fl_buf *out, const char *name, const struct emu_usage *from,
                       const struct emu_usage *to, uint64_t n)
{
    double us = (double)(to->cpu_us - from->cpu_us);

    if (!from->known || !to->known)
        return;
    fl_buf_addf(out, "  %-10s CPU %.2f s, %.2f us a task; memory %.1f MiB, at most %.1f MiB\n",
                name, us / 1e6, n ? us / (double)n : 0, (double)to->rss / 1048576,
                (double)to->peak / 1048576);
}

static void text_usages(struct fl_buf *out, const struct load_usages *from,
                        const struct load_usages *to, uint64_t n)
{
    text_usage(out, "loadgen", &from->self, &to->self, n);
    text_usage(out, "master", &from->master, &to->master, n);
    text_usage(out, "emulator", &from->emulator, &to->emulator, n);
}

static void text_hists(struct fl_buf *out, const struct load_figures *f)
{
    fl_buf_addf(out, "\n%-26s %9s %9s %9s %9s %9s %9s\n", "latency, ms", "n", "p50", "p90", "p99",
                "p99.9", "max");
    for (size_t i = 0; i < LOAD_HISTS; i++) {
        const struct hist *h = &f->hists[i];

        if (h->n == 0)
            continue;
        fl_buf_addf(out, "  %-24s %9llu %9.3f %9.3f %9.3f %9.3f %9.3f\n", load_hist_names[i].name,
                    (unsigned long long)h->n, (double)hist_quantile(h, 0.5) / 1e3,
                    (double)hist_quantile(h, 0.9) / 1e3, (double)hist_quantile(h, 0.99) / 1e3,
                    (double)hist_quantile(h, 0.999) / 1e3, (double)h->max / 1e3);
    }
}

static void text_times(struct fl_buf *out, const struct load *l)
{
    double s = seconds(l, l->settled_us, l->began_us);
    uint64_t n = l->total->counts[LOAD_COUNT_RUNNING];

    fl_buf_addf(out, "%llu frameworks subscribed in %.3f s\n", (unsigned long long)l->subscribed,
                seconds(l, l->began_us, l->first_subscribe_us));
    if (l->accepted_us)
        fl_buf_addf(out, "all accepted after %.3f s\n", seconds(l, l->accepted_us, l->began_us));
    if (l->settled_us)
        fl_buf_addf(out, "settled and acknowledged after %.3f s: %llu tasks ran, %.0f a second\n",
                    s, (unsigned long long)n, rate(n, s));
    text_usages(out, &l->at_begin, &l->at_settled, n);
    if (!l->killed_us)
        return;
    n = l->total->hists[LOAD_HIST_KILL_TERMINAL].n;
    s = seconds(l, l->killed_us, l->killing_us);
    fl_buf_addf(out, "%llu tasks killed and acknowledged in %.3f s, %.0f a second\n",
                (unsigned long long)n, s, rate(n, s));
    text_usages(out, &l->at_killing, &l->at_killed, n);
}

void load_report_text(struct load *l, struct fl_buf *out)
{
    const struct load_figures *f;

    load_report_sum(l);
    f = l->total;
    text_times(out, l);
    fl_buf_adds(out, "\n");
    for (size_t i = 0; i < LOAD_COUNTS; i++) {
        if (f->counts[i])
            fl_buf_addf(out, "  %-24s %9llu\n", load_count_names[i].name,
                        (unsigned long long)f->counts[i]);
    }
    text_hists(out, f);
    if (l->gangs)
        fl_buf_addf(out, "\ngangs: %llu jobs, %llu whole, %llu in part, %llu in one zone\n",
                    (unsigned long long)l->gangs, (unsigned long long)l->gangs_whole,
                    (unsigned long long)l->gangs_partial, (unsigned long long)l->gangs_pure);
    for (size_t i = 0; i < l->n_errors; i++)
        fl_buf_addf(out, "\n%llu x %s: %s", (unsigned long long)l->errors[i].n, l->errors[i].kind,
                    l->errors[i].message);
    if (l->n_errors)
        fl_buf_adds(out, "\n");
    fl_buf_addf(out, "\n%s%s%s\n", load_went_well(l) ? "ok" : "NOT OK", l->why ? ": " : "",
                l->why ? l->why : "");
}
