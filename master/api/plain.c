/* The small endpoints: health, version, flags, redirect, metrics, teardown, system, logging. */
#include <sys/sysinfo.h>

#include "common/base/log.h"
#include "common/model/legacy_json.h"
#include "master/api/handlers.h"

void health_get(struct http_exchange *ex, void *arg)
{
    http_respond(ex, 200, NULL, "");
}

void version_get(struct http_exchange *ex, void *arg)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    json_object(&j);
    legacy_json_build_fields(&j);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

void flags_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    if (r->method != HTTP_M_GET && r->method != HTTP_M_HEAD) {
        http_exchange_add_header(ex, "Allow", "GET");
        http_respondf(ex, 405, "text/plain", "Expecting 'GET', received '%s'", r->method_name);
        return;
    }
    json_object(&j);
    json_key(&j, "flags");
    legacy_flags_object(&j, api->flags);
    json_end_object(&j);
    http_respond_json(ex, 200, &out);
}

void redirect_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const V1__MasterInfo *info = api->master->info;
    char location[320];

    /* Protocol-relative, so that a client keeps http or https as it came. */
    if (fl_snprintf(location, sizeof(location), "//%s:%u", info->hostname, (unsigned)info->port) <
        0) {
        http_respond(ex, 500, "text/plain", "the host name of this master is too long");
        return;
    }
    http_exchange_add_header(ex, "Location", location);
    http_respond(ex, 307, NULL, "");
}

void metrics_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);

    metrics_json(api->master->metrics, &j);
    http_respond_json(ex, 200, &out);
}

void teardown_post(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    struct fl_err err = {0};

    if (r->method != HTTP_M_POST) {
        http_exchange_add_header(ex, "Allow", "POST");
        http_respondf(ex, 405, "text/plain", "Expecting 'POST', received '%s'", r->method_name);
        return;
    }
    _cleanup_free_ char *id = http_query_get(r->body, "frameworkId");
    if (!id) {
        http_respond(ex, 400, "text/plain",
                     "Missing 'frameworkId' form parameter in the request body");
        return;
    }
    if (master_teardown(api->master, id, &err) < 0) {
        http_respond(ex, 400, "text/plain", err.msg);
        return;
    }
    http_respond(ex, 200, NULL, "");
}

void system_stats_get(struct http_exchange *ex, void *arg)
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

/* The log's level as a number that grows with the detail (0 = what --logging_level gave), for a
 * while: see log_level_raise(). */
void logging_toggle(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    _cleanup_free_ char *level_text = http_query_get(r->query, "level");
    _cleanup_free_ char *duration_text = http_query_get(r->query, "duration");
    uint64_t level, duration_us;
    struct fl_err err = {0};

    if (!level_text && !duration_text) {
        http_respondf(ex, 200, "text/plain", "%u\n", log_toggle_level(api->log_toggle));
        return;
    }
    if (!level_text || !duration_text) {
        http_respondf(ex, 400, "text/plain", "Expecting '%s=value' in query.\n",
                      level_text ? "duration" : "level");
        return;
    }
    if (fl_parse_u64(level_text, &level) < 0) {
        http_respondf(ex, 400, "text/plain", "Invalid level '%s': a number is wanted.\n",
                      level_text);
        return;
    }
    if (fl_duration_parse(duration_text, &duration_us, &err) < 0) {
        http_respondf(ex, 400, "text/plain", "%s.\n", err.msg);
        return;
    }
    if (log_toggle_set(api->log_toggle, (unsigned)level, duration_us, &err) < 0) {
        http_respondf(ex, 400, "text/plain", "%s.\n", err.msg);
        return;
    }
    http_respond(ex, 200, NULL, "");
}
