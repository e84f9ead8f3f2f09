/* POST /api/v1/executor: the v1 executor API (features.md 1.3), and the streams of its SUBSCRIBE.
 *
 * Order of refusals: 503 until containers are recovered, 405, 400/415 of the body, 400 of the call, 406, 202 for HEARTBEAT before any
 * look-up, then what the core says.
 *
 * A stream belongs to this file while its HTTP stream lives. The core holds it by agent_executor_subscribe() until it closes it
 * (agent_api_executor_close) or is told that it is gone (agent_executor_closed); never both.
 */
#include "agent/api/handlers.h"
#include "common/base/log.h"
#include "common/base/recordio.h"
#include "common/model/validate.h"

#define STREAM_MAGIC 0x41455853

struct executor_stream {
    unsigned magic;
    struct http_stream *http;
    enum api_encoding encoding;
    struct agent_executor *executor;
};

static void stream_free(struct executor_stream *s)
{
    s->magic = 0;
    free(s);
}

static void on_gone(struct http_stream *st, void *arg)
{
    struct executor_stream *s = FL_CAST(executor_stream, STREAM_MAGIC, arg);

    agent_executor_closed(s->executor, s);
    stream_free(s);
}

void agent_api_executor_send(void *stream, const Exec__Event *ev)
{
    struct executor_stream *s = FL_CAST(executor_stream, STREAM_MAGIC, stream);
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT, out = FL_BUF_INIT;

    api_encode(&record, &ev->base, s->encoding);
    recordio_add(&out, record.data, record.len);
    if (!http_stream_write_buf(s->http, &out))
        log_warning("Executor '%s' does not read its events, closing its connection",
                    s->executor->id);
}

void agent_api_executor_close(void *stream)
{
    struct executor_stream *s = FL_CAST(executor_stream, STREAM_MAGIC, stream);

    http_stream_end(s->http);
    stream_free(s);
}

static void subscribe(struct http_exchange *ex, struct agent_executor *e, const Exec__Call *call,
                      enum api_encoding accept)
{
    struct executor_stream *s = xnew0(struct executor_stream);

    s->magic = STREAM_MAGIC;
    s->encoding = accept;
    s->executor = e;
    s->http = http_respond_stream(ex, 200, api_content_type(accept), on_gone, s);
    agent_executor_subscribe(e, s, call->subscribe);
}

void *agent_executor_decode(const struct http_request *r, struct fl_err *err)
{
    struct api_call *c = api_decode(r, &exec__call__descriptor, err);

    if (c && validate_executor_call((const Exec__Call *)c->msg, err) < 0) {
        fl_err_wrap(err, "Failed to validate executor::Call");
        api_call_free(c);
        return NULL;
    }
    return c;
}

/* An executor speaks for itself only. Without a principal nobody had to authenticate. */
static int check_claims(const struct http_exchange *ex, const struct agent_executor *e,
                        struct fl_err *err)
{
    const struct http_principal *p = http_exchange_principal(ex);

    if (!p || (streq(http_principal_claim(p, "fid"), e->framework->id) &&
               streq(http_principal_claim(p, "eid"), e->id) &&
               streq(http_principal_claim(p, "cid"), e->container_id)))
        return 0;
    return fl_err_set(err, FL_FORBIDDEN,
                      "The authenticated principal's claims are not those of this executor");
}

static void run(struct http_exchange *ex, struct agent_api *api, const Exec__Call *call,
                enum api_encoding accept)
{
    struct agent_executor *e = NULL;
    struct fl_err err;

    if (agent_executor_check(api->core, call, &e, &err) < 0 || check_claims(ex, e, &err) < 0) {
        http_respond_err(ex, &err);
        return;
    }
    switch (call->type) {
    case EXEC__CALL__TYPE__SUBSCRIBE:
        subscribe(ex, e, call, accept);
        return;
    case EXEC__CALL__TYPE__UPDATE:
        agent_executor_update(e, call->update->status);
        http_respond(ex, 202, NULL, "");
        return;
    case EXEC__CALL__TYPE__MESSAGE:
        agent_executor_message(e, &call->message->data);
        http_respond(ex, 202, NULL, "");
        return;
    default:
        http_respond(ex, 501, HTTP_TEXT, "The call is not implemented");
    }
}

void agent_executor_post(struct http_exchange *ex, void *arg)
{
    struct agent_api *api = arg;
    const struct http_request *r = http_exchange_request(ex);
    enum api_encoding accept = API_JSON;
    const struct api_call *c;
    const Exec__Call *call;

    if (!api->core->containers_recovered) {
        http_respond(ex, 503, HTTP_TEXT, "Agent has not finished recovery; try again in a moment");
        return;
    }
    if (api_refuse_early(ex))
        return;
    c = r->decoded;
    call = (const Exec__Call *)c->msg;
    if (call->type == EXEC__CALL__TYPE__SUBSCRIBE && api_accept(r, &accept) < 0) {
        http_respondf(ex, 406, HTTP_TEXT, "Expecting 'Accept' to allow '%s' or '%s'",
                      api_content_type(API_PROTOBUF), api_content_type(API_JSON));
        return;
    }
    if (call->type == EXEC__CALL__TYPE__HEARTBEAT) {
        http_respond(ex, 202, NULL, "");
        return;
    }
    run(ex, api, call, accept);
}
