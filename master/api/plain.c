/* The small endpoints: flags, metrics, teardown, logging; what agents have as well is in
 * common/model/plain_http.c. */
#include "master/api/handlers.h"

bool api_refuse_unrecovered(struct http_exchange *ex, const struct master_api *api)
{
    if (!api->master->recovered)
        http_respond(ex, 503, HTTP_TEXT, "Master has not finished recovery; try again in a moment");
    return !api->master->recovered;
}

int api_teardown(struct master_api *api, const char *principal, const char *framework_id,
                 struct fl_err *err)
{
    const struct framework *f = master_framework(api->master, framework_id);
    int r = 0;

    if (f)
        r = acls_check(api->master->acls, ACL_TEARDOWN_FRAMEWORKS, principal,
                       f->info->principal ? f->info->principal : "", err);
    return r < 0 ? r : master_teardown(api->master, framework_id, err);
}

void teardown_post(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    struct fl_err err = {0};

    if (r->method != HTTP_M_POST) {
        api_refuse_method(ex, "POST");
        return;
    }
    _cleanup_free_ char *id = http_query_get(r->body, "frameworkId");
    if (!id) {
        http_respond(ex, 400, HTTP_TEXT,
                     "Missing 'frameworkId' query parameter in the request body");
        return;
    }
    if (api_teardown(api, http_guard_principal(ex), id, &err) < 0) {
        http_respond(ex, err.reason == FL_FORBIDDEN ? 403 : 400, HTTP_TEXT, err.msg);
        return;
    }
    http_respond(ex, 200, NULL, "");
}

void flags_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;

    if (!http_guard_forbidden(api->guard, ex, ACL_VIEW_FLAGS, NULL))
        plain_flags(ex, api->flags);
}

void metrics_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;

    plain_metrics(ex, api->master->metrics);
}

void prometheus_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    enum metrics_format format = plain_metrics_format(ex);
    struct fl_buf text = FL_BUF_INIT;

    metrics_text(api->master->metrics, format, &text);
    plain_metrics_respond(ex, format, &text);
}

void logging_toggle(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;

    plain_logging_toggle(ex, api->log_toggle);
}
