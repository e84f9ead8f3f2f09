/* See sender.h. */
#include "libframework/sender.h"

#include "common/base/http_pipe.h"
#include "common/base/log.h"

#define TYPE_PROTOBUF "application/x-protobuf"

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

void fw_sender_clear(struct fw_sender *s)
{
    http_pipe_free(TAKE_PTR(s->pipe));
    free(TAKE_PTR(s->host));
    free(TAKE_PTR(s->stream_id));
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && streq(a, b));
}

/* A pipe for this address and stream id. NULL: they are not fit for a request. */
static struct http_pipe *pipe_for(struct fw_sender *s, const char *host, uint16_t port,
                                  const char *stream_id)
{
    struct http_header headers[4];
    struct fl_err err;

    if (s->pipe && port == s->port && streq(host, s->host) && same_text(stream_id, s->stream_id))
        return s->pipe;
    fw_sender_clear(s);
    struct http_pipe_config cfg = {
        .host = host,
        .port = port,
        .path = s->path,
        .headers = headers,
        .n_headers = fw_headers(stream_id, s->authorization, headers),
    };
    s->pipe = http_pipe_new(s->loop, &cfg, s->answered, s->arg, &err);
    if (!s->pipe) {
        log_debug("a call to '%s' could not be sent, ignoring: %s", host, err.msg);
        return NULL;
    }
    s->host = xstrdup(host);
    s->port = port;
    s->stream_id = stream_id ? xstrdup(stream_id) : NULL;
    return s->pipe;
}

void fw_sender_push(struct fw_sender *s, const char *host, uint16_t port, const char *stream_id,
                    const void *body, size_t n)
{
    struct http_pipe *pipe = pipe_for(s, host, port, stream_id);

    if (pipe)
        http_pipe_post(pipe, body, n);
}

bool fw_sender_idle(const struct fw_sender *s)
{
    return !s->pipe || http_pipe_pending(s->pipe) == 0;
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
