/* See sender.h. */
#include "libframework/sender.h"

#include <utlist.h>

#include "common/base/log.h"

#define TYPE_PROTOBUF "application/x-protobuf"

struct fw_request {
    char *host, *stream_id;
    uint16_t port;
    uint8_t *body;
    size_t n;
    struct fw_request *next, *prev;
};

static void send_first(struct fw_sender *s);

size_t fw_headers(const char *stream_id, const char *authorization, struct http_header h[4])
{
    size_t n = 0;

    h[n++] = (struct http_header){"Content-Type", TYPE_PROTOBUF};
    h[n++] = (struct http_header){"Accept", TYPE_PROTOBUF};
    if (stream_id)
        h[n++] = (struct http_header){"Mesos-Stream-Id", stream_id};
    if (authorization)
        h[n++] = (struct http_header){"Authorization", authorization};
    return n;
}

static void request_free(struct fw_request *q)
{
    free(q->host);
    free(q->stream_id);
    free(q->body);
    free(q);
}

static void drop_first(struct fw_sender *s)
{
    struct fw_request *q = s->queue;

    DL_DELETE(s->queue, q);
    request_free(q);
}

static void done(struct http_call *c, const struct http_client_response *r,
                 const struct fl_err *err, void *arg)
{
    struct fw_sender *s = arg;

    s->in_flight = NULL;
    drop_first(s);
    /* The answer may clear the queue or add to it. */
    s->answered(s->arg, r ? r->status : 0, r && r->body ? r->body : "");
    send_first(s);
}

static void send_first(struct fw_sender *s)
{
    static const struct http_call_ops ops = {.on_done = done};

    while (s->queue && !s->in_flight) {
        struct fw_request *q = s->queue;
        struct http_header headers[4];
        struct fl_err err = {0};
        struct http_call_config cfg = {
            .method = "POST",
            .host = q->host,
            .port = q->port,
            .path = s->path,
            .headers = headers,
            .n_headers = fw_headers(q->stream_id, s->authorization, headers),
            .body = q->body,
            .body_len = q->n,
        };
        if (http_client_call(s->http, &cfg, &ops, s, &s->in_flight, &err) == 0)
            return;
        log_debug("a call to '%s' could not be sent, ignoring: %s", q->host, err.msg);
        s->in_flight = NULL;
        drop_first(s);
    }
}

void fw_sender_push(struct fw_sender *s, const char *host, uint16_t port, const char *stream_id,
                    const void *body, size_t n)
{
    struct fw_request *q = xnew0(struct fw_request);

    q->host = xstrdup(host);
    q->port = port;
    q->stream_id = stream_id ? xstrdup(stream_id) : NULL;
    q->body = xmemdup(body, n);
    q->n = n;
    DL_APPEND(s->queue, q);
    send_first(s);
}

void fw_sender_clear(struct fw_sender *s)
{
    if (s->in_flight)
        http_call_cancel(s->in_flight);
    s->in_flight = NULL;
    while (s->queue)
        drop_first(s);
}

int fw_open_stream(struct http_client *http, const char *host, uint16_t port, const char *path,
                   const char *authorization, const void *body, size_t n,
                   const struct http_call_ops *ops, void *arg, struct http_call **ret_call,
                   struct fl_err *err)
{
    struct http_header headers[4];
    struct http_call_config cfg = {
        .method = "POST",
        .host = host,
        .port = port,
        .path = path,
        .headers = headers,
        .n_headers = fw_headers(NULL, authorization, headers),
        .body = body,
        .body_len = n,
        .streaming = true,
        .own_connection = true,
        .timeout_s = 30,
    };
    int r = http_client_call(http, &cfg, ops, arg, ret_call, err);

    if (r < 0)
        *ret_call = NULL;
    return r;
}
