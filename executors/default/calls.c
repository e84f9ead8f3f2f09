/* Calls to the agent's API, each on a connection of its own: a wait may last as long as its task. */
#include <utlist.h>

#include "common/base/log.h"
#include "executors/default/shell.h"

/* Longer than any task. */
#define TIMEOUT_S (20u * 365 * 86400)

struct pod_call {
    struct pod_shell *shell;
    struct http_call *http;
    pod_answer_f *fn;
    void *arg;
    struct pod_call *prev, *next;
};

static void forget(struct pod_call *c)
{
    fl_loop_forget(c->shell->loop, c);
    DL_DELETE(c->shell->calls, c);
    free(c);
}

static void answer(struct pod_call *c, int status, const Aapi__Response *r, const char *text)
{
    pod_answer_f *fn = c->fn;
    void *arg = c->arg;

    forget(c);
    fn(arg, status, r, text);
}

static void done(struct http_call *http, const struct http_client_response *r,
                 const struct fl_err *err, void *arg)
{
    struct pod_call *c = arg;
    Aapi__Response *decoded = NULL;

    c->http = NULL;
    if (!r) {
        answer(c, 0, NULL, err ? err->msg : "the connection was closed");
        return;
    }
    if (r->status == 200 && r->body_len > 0)
        decoded = aapi__response__unpack(NULL, r->body_len, (const uint8_t *)r->body);
    answer(c, r->status, decoded, r->status == 200 ? NULL : r->body);
    if (decoded)
        aapi__response__free_unpacked(decoded, NULL);
}

static void refused(void *arg)
{
    answer(arg, 0, NULL, "the call could not be sent");
}

struct pod_call *pod_shell_post(void *ctx, const Aapi__Call *call, pod_answer_f *fn, void *arg)
{
    static const struct http_call_ops ops = {.on_done = done};
    struct pod_shell *s = ctx;
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    struct pod_call *c = xnew0(struct pod_call);
    struct http_header headers[4];
    struct fl_err err;
    struct http_call_config cfg = {
        .method = "POST",
        .host = s->link.host,
        .port = s->link.port,
        .path = "/api/v1",
        .headers = headers,
        .n_headers = fw_headers(NULL, s->link.authorization, headers),
        .own_connection = true,
        .timeout_s = TIMEOUT_S,
    };

    c->shell = s;
    c->fn = fn;
    c->arg = arg;
    DL_APPEND(s->calls, c);
    fl_buf_pack(&body, &call->base);
    cfg.body = body.data;
    cfg.body_len = body.len;
    if (http_client_call(s->link.http, &cfg, &ops, c, &c->http, &err) < 0) {
        log_warning("Cannot call the agent: %s", err.msg);
        fl_loop_defer(s->loop, refused, c);
    }
    return c;
}

void pod_shell_cancel(void *ctx, struct pod_call *c)
{
    if (c->http)
        http_call_cancel(c->http);
    forget(c);
}
