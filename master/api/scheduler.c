/* POST /api/v1/scheduler: the checks of features.md 1.0 in their order, then the core's calls. The body is
 * decoded on an I/O thread; everything else runs on the core's thread. */
#include "master/api/handlers.h"

#include "common/model/validate.h"
#include "master/api/scheduler.h"

#define STREAM_ID "Mesos-Stream-Id"

void *scheduler_decode(const struct http_request *r, struct fl_err *err)
{
    return api_decode(r, &sched__call__descriptor, err);
}

static void subscribe(struct http_exchange *ex, struct master_api *api, const Sched__Call *call,
                      enum api_encoding encoding)
{
    _cleanup_pb_ Sched__Call *copy = NULL;
    struct sched_stream *stream;
    uint8_t uuid[FL_UUID_LEN];
    char stream_id[FL_UUID_STR];
    /* A copy as well: the stream may end, and the exchange with it, before the call is through. */
    _cleanup_free_ char *principal =
        http_guard_principal(ex) ? xstrdup(http_guard_principal(ex)) : NULL;

    if (http_request_header(http_exchange_request(ex), STREAM_ID)) {
        http_respond(ex, 400, HTTP_TEXT,
                     "Subscribe calls should not include the '" STREAM_ID "' header");
        return;
    }
    fl_uuid_make(&api->master->env->env, uuid);
    fl_uuid_format(uuid, stream_id);
    http_exchange_add_header(ex, STREAM_ID, stream_id);
    copy = FL_PB_DUP(call); /* the request ends where the stream begins */
    stream = sched_stream_new(api, ex, encoding);
    master_subscribe(api->master, stream, stream_id, copy, principal);
}

static void other_call(struct http_exchange *ex, struct master_api *api, const Sched__Call *call)
{
    const char *stream_id = http_request_header(http_exchange_request(ex), STREAM_ID);
    struct fl_err err = {0};
    int status = master_call(api->master, call, stream_id, http_guard_principal(ex), &err);

    if (status < 300)
        http_respond(ex, status, NULL, "");
    else
        http_respond(ex, status, HTTP_TEXT, err.msg);
}

/* Who is authenticated may not subscribe in another's name. */
static int check_principal(const struct http_exchange *ex, const Sched__Call *call,
                           struct fl_err *err)
{
    const char *principal = http_guard_principal(ex), *named = NULL;

    if (call->type == SCHED__CALL__TYPE__SUBSCRIBE)
        named = call->subscribe->framework_info->principal;
    if (!principal || !named || streq(principal, named))
        return 0;
    return fl_err_set(err, FL_INVALID,
                      "Authenticated principal '%.100s' does not match principal '%.100s' set in "
                      "`FrameworkInfo`",
                      principal, named);
}

void scheduler_post(struct http_exchange *ex, void *arg)
{
    struct master_api *api = arg;
    const struct api_call *decoded;
    const Sched__Call *call;
    enum api_encoding encoding = API_JSON;
    struct fl_err err = {0};

    if (api_refuse_unrecovered(ex, api) || api_refuse_early(ex))
        return;
    decoded = http_exchange_request(ex)->decoded;
    call = (const Sched__Call *)decoded->msg;
    if (validate_scheduler_call(call, &err) < 0 || check_principal(ex, call, &err) < 0) {
        http_respondf(ex, 400, HTTP_TEXT, "Failed to validate scheduler::Call: %s", err.msg);
        return;
    }
    if ((call->type == SCHED__CALL__TYPE__SUBSCRIBE ||
         call->type == SCHED__CALL__TYPE__RECONCILE_OPERATIONS) &&
        api_accept(http_exchange_request(ex), &encoding) < 0) {
        http_respondf(ex, 406, HTTP_TEXT, "Expecting 'Accept' to allow '%s' or '%s'",
                      api_content_type(API_PROTOBUF), api_content_type(API_JSON));
        return;
    }
    if (call->type == SCHED__CALL__TYPE__SUBSCRIBE)
        subscribe(ex, api, call, encoding);
    else
        other_call(ex, api, call);
}
