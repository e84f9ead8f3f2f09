/* See plain_http.h. */
#include "common/model/plain_http.h"

#include <sys/sysinfo.h>

#include "common/base/build.h"
#include "common/base/log.h"
#include "common/model/legacy_json.h"

void plain_health(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 200, NULL, "");
}

void plain_version(struct http_exchange *ex, void *arg)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    legacy_json_build_fields(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

static void flag_field(const char *name, const char *text, void *arg)
{
    json_kstr(arg, name, text);
}

void legacy_flags_object(struct json_out *j, const struct fl_flags *flags)
{
    json_object(j);
    fl_flags_each(flags, flag_field, j);
    json_end_object(j);
}

void plain_flags(struct http_exchange *ex, const struct fl_flags *flags)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    json_key(&j, "flags");
    legacy_flags_object(&j, flags);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

void plain_metrics(struct http_exchange *ex, const struct metrics *metrics)
{
    _cleanup_free_ char *timeout = http_query_get(http_exchange_request(ex)->query, "timeout");
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    uint64_t unused_us;
    struct fl_err err;

    /* No metric here is slow, so there is nothing to wait for; what is no duration is still refused. */
    if (timeout && fl_duration_parse(timeout + (*timeout == '-'), &unused_us, &err) < 0) {
        http_respondf(ex, 400, HTTP_TEXT, "Invalid timeout '%s': %s.\n", timeout, err.msg);
        return;
    }
    metrics_json(metrics, &j);
    http_respond_json(ex, 200, &out);
}

enum metrics_format plain_metrics_format(const struct http_exchange *ex)
{
    const char *accept = http_request_header(http_exchange_request(ex), "Accept");

    return accept && strstr(accept, "application/openmetrics-text") ? METRICS_OPENMETRICS
                                                                    : METRICS_PROMETHEUS;
}

void plain_metrics_respond(struct http_exchange *ex, enum metrics_format format,
                           struct fl_buf *text)
{
    static const char *const types[] = {
        [METRICS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
        [METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };

    metrics_series(text, format, "build_info", METRIC_LEVEL, "The version that runs; always 1.");
    metrics_value(text, "build_info", "version=\"" FL_VERSION "\"", 1);
    metrics_text_end(format, text);
    http_respond_buf(ex, 200, types[format], text);
}

void plain_system_stats(struct http_exchange *ex, void *arg)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    double load[3] = {0};
    struct sysinfo info;

    json_object(&j);
    if (getloadavg(load, 3) == 3) {
        json_kdouble(&j, "avg_load_1min", load[0]);
        json_kdouble(&j, "avg_load_5min", load[1]);
        json_kdouble(&j, "avg_load_15min", load[2]);
    }
    json_kint(&j, "cpus_total", sysconf(_SC_NPROCESSORS_ONLN));
    if (sysinfo(&info) == 0) {
        json_kuint(&j, "mem_total_bytes", (uint64_t)info.totalram * info.mem_unit);
        json_kuint(&j, "mem_free_bytes", (uint64_t)info.freeram * info.mem_unit);
    }
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

static double pull_load(void *arg)
{
    double load[3] = {0};

    return getloadavg(load, 3) == 3 ? load[(intptr_t)arg] : 0;
}

static double pull_cpus(void *arg)
{
    return (double)sysconf(_SC_NPROCESSORS_ONLN);
}

static double pull_mem(void *arg)
{
    struct sysinfo info;

    if (sysinfo(&info) < 0)
        return 0;
    return (double)(arg ? info.freeram : info.totalram) * info.mem_unit;
}

void metrics_add_system(struct metrics *m)
{
    metrics_add_process(m);
    metrics_pull(m, "system/cpus_total", pull_cpus, NULL);
    metrics_pull(m, "system/load_1min", pull_load, (void *)0);
    metrics_pull(m, "system/load_5min", pull_load, (void *)1);
    metrics_pull(m, "system/load_15min", pull_load, (void *)2);
    metrics_pull(m, "system/mem_total_bytes", pull_mem, NULL);
    metrics_pull(m, "system/mem_free_bytes", pull_mem, (void *)1);
}

/* The log's level as a number that grows with the detail (0 = what --logging_level gave), for a
 * while: see log_level_raise(). */
void plain_logging_toggle(struct http_exchange *ex, struct log_toggle *toggle)
{
    const struct http_request *r = http_exchange_request(ex);
    _cleanup_free_ char *level_text = http_query_get(r->query, "level");
    _cleanup_free_ char *duration_text = http_query_get(r->query, "duration");
    uint64_t level, duration_us;
    struct fl_err err = {0};

    if (!level_text && !duration_text) {
        http_respondf(ex, 200, HTTP_TEXT, "%u\n", log_toggle_level(toggle));
        return;
    }
    if (!level_text || !duration_text) {
        http_respondf(ex, 400, HTTP_TEXT, "Expecting '%s=value' in query.\n",
                      level_text ? "duration" : "level");
        return;
    }
    if (fl_parse_u64(level_text, &level) < 0 || level > UINT32_MAX) {
        http_respondf(ex, 400, HTTP_TEXT, "Invalid level '%s': a number is wanted.\n", level_text);
        return;
    }
    if (fl_duration_parse(duration_text, &duration_us, &err) < 0) {
        http_respondf(ex, 400, HTTP_TEXT, "%s.\n", err.msg);
        return;
    }
    if (log_toggle_set(toggle, (unsigned)level, duration_us, &err) < 0) {
        http_respondf(ex, 400, HTTP_TEXT, "%s.\n", err.msg);
        return;
    }
    http_respond(ex, 200, NULL, "");
}

/* ---- what libprocess has, and this has not: clients ask, and are told what to use ---- */

void plain_profiler(struct http_exchange *ex, void *arg)
{
    http_respondf(ex, 400, HTTP_TEXT,
                  "The profiler is not enabled: this daemon has none built in. To profile it, run "
                  "'perf record -g -p %d' on its host.\n",
                  (int)getpid());
}

void plain_memory_profiler(struct http_exchange *ex, void *arg)
{
    http_respondf(ex, 400, HTTP_TEXT,
                  "The current binary is not linked against jemalloc, so there are no memory "
                  "profiles. To see the memory of this daemon, read its metrics, or "
                  "'/proc/%d/smaps' on its host.\n",
                  (int)getpid());
}

void plain_memory_profiler_state(struct http_exchange *ex, void *arg)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    json_kobject(&j, "memory_profiler");
    json_kbool(&j, "jemalloc_detected", false);
    json_kstr(&j, "tmp_dir", "Not yet generated");
    json_kobject(&j, "current_run");
    json_key(&j, "id");
    json_null(&j);
    json_end_object(&j);
    json_end_object(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

void plain_not_found(struct http_exchange *ex, void *arg)
{
    http_respondf(ex, 404, HTTP_TEXT, "There is nothing at '%s'; /help lists what there is.",
                  http_exchange_request(ex)->path);
}
