/* See engine.h. */
#include "agent/docker/engine.h"

#include <stdio.h>

#include "common/base/http.h"

#define ENGINE_MAGIC 0xd0c4e001u
#define CALL_MAGIC   0xd0c4e002u

#define MAX_BODY    ((size_t)16 << 20)
#define MAX_REFUSAL ((size_t)64 << 10) /* of the body of a refusal */
#define MAX_FRAME   ((size_t)8 << 20)
#define FRAME_HEAD  8

struct docker_engine {
    unsigned magic;
    struct fl_loop *loop; /* borrowed */
    char *socket;
    struct http_client *http;
    struct docker_call *calls; /* doubly linked */
};

struct docker_call {
    unsigned magic;
    struct docker_engine *engine;
    struct docker_call *prev, *next;
    struct docker_request r; /* its texts are not kept */
    struct http_call *http;  /* NULL: it could not be asked */
    int status;
    struct fl_buf body;
    struct fl_err failed;
};

struct docker_engine *docker_engine_new(struct fl_loop *loop, const char *socket_path)
{
    struct docker_engine *e = xnew0(struct docker_engine);

    e->magic = ENGINE_MAGIC;
    e->loop = loop;
    e->socket =
        xstrdup(str_starts(socket_path, "unix://") ? socket_path + strlen("unix://") : socket_path);
    e->http = http_client_new(loop);
    return e;
}

void docker_engine_free(struct docker_engine *e)
{
    if (!e)
        return;
    while (e->calls)
        docker_cancel(e->calls);
    http_client_free(e->http);
    free(e->socket);
    e->magic = 0;
    free(e);
}

const char *docker_engine_socket(const struct docker_engine *e)
{
    return e->socket;
}

/* ---- the end of a call ---- */

static void unlink_call(struct docker_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->engine->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
}

static void call_free(struct docker_call *c)
{
    unlink_call(c);
    fl_loop_forget(c->engine->loop, c);
    fl_buf_done(&c->body);
    c->magic = 0;
    free(c);
}

void docker_cancel(struct docker_call *c)
{
    if (!c)
        return;
    assert(c->magic == CALL_MAGIC);
    http_call_cancel(c->http);
    call_free(c);
}

static void tell(struct docker_call *c, const struct docker_answer *a)
{
    struct docker_request r = c->r;

    c->http = NULL;
    /* Out of the list first: who is told may free the engine. */
    unlink_call(c);
    r.done(r.arg, a);
    fl_buf_done(&c->body);
    c->magic = 0;
    free(c);
}

static void tell_away(struct docker_call *c, const struct fl_err *why)
{
    struct fl_err err;
    const struct docker_answer a = {.text = "", .err = &err};

    fl_err_set(&err, why->reason == FL_TIMEOUT ? FL_TIMEOUT : FL_UNAVAILABLE,
               "the Docker Engine at '%s' does not answer (is it running?): %s", c->engine->socket,
               why->msg);
    tell(c, &a);
}

static void tell_failed(void *arg)
{
    struct docker_call *c = FL_CAST(docker_call, CALL_MAGIC, arg);

    tell_away(c, &c->failed);
}

static enum fl_reason reason_of(int status)
{
    switch (status) {
    case 404:
        return FL_NOT_FOUND;
    case 409:
        return FL_CONFLICT;
    case 400:
        return FL_INVALID;
    default:
        return FL_INTERNAL;
    }
}

static void tell_whole(struct docker_call *c)
{
    const char *text = fl_buf_cstr(&c->body);
    json_error_t where;
    json_t *json = c->body.len ? json_loadb(text, c->body.len, 0, &where) : NULL;
    struct docker_answer a = {.status = c->status, .json = json, .text = text};
    struct fl_err err;

    if (c->status >= 400) {
        const char *says = json_string_value(json_object_get(json, "message"));
        fl_err_set(&err, reason_of(c->status), "the Docker Engine answered %d: %.400s", c->status,
                   says ? says : text);
        a.err = &err;
    } else if (c->body.len && !json && c->status != 204 && c->status != 304) {
        fl_err_set(&err, FL_INTERNAL,
                   "the Docker Engine at '%s' answered %d with what is no JSON: %s",
                   c->engine->socket, c->status, where.text);
        a.err = &err;
    }
    tell(c, &a);
    json_decref(json);
}

/* ---- what the HTTP client says ---- */

static void on_headers(struct http_call *h, const struct http_client_response *r, void *arg)
{
    struct docker_call *c = FL_CAST(docker_call, CALL_MAGIC, arg);

    c->status = r->status;
    if (r->status < 300 && c->r.begun)
        c->r.begun(c->r.arg);
}

static void on_data(struct http_call *h, const char *p, size_t n, void *arg)
{
    struct docker_call *c = FL_CAST(docker_call, CALL_MAGIC, arg);

    if (c->status < 300 && c->r.data)
        c->r.data(c->r.arg, p, n);
    else if (c->body.len < MAX_REFUSAL)
        fl_buf_add(&c->body, p, FL_MIN(n, MAX_REFUSAL - c->body.len));
}

static void on_done(struct http_call *h, const struct http_client_response *r,
                    const struct fl_err *err, void *arg)
{
    struct docker_call *c = FL_CAST(docker_call, CALL_MAGIC, arg);

    c->http = NULL;
    if (err) {
        tell_away(c, err);
        return;
    }
    if (!c->r.endless) {
        c->status = r->status;
        fl_buf_add(&c->body, r->body, r->body_len);
    }
    tell_whole(c);
}

/* ---- asking ---- */

static int begin(struct docker_call *c, const struct docker_request *r, struct fl_err *err)
{
    static const struct http_call_ops ops = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done};
    _cleanup_free_ char *body =
        r->body ? json_dumps(r->body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct http_header headers[2];
    struct http_call_config cfg = {
        .method = r->method,
        .unix_path = c->engine->socket,
        .path = r->path,
        .headers = headers,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .streaming = r->endless,
        /* On a connection that is used again the client may send twice. */
        .own_connection = r->endless || !streq(r->method, "GET"),
        .timeout_s = r->timeout_s,
        .idle_timeout_s = r->idle_timeout_s,
        .max_body = r->max_body ? r->max_body : MAX_BODY,
    };

    if (body)
        headers[cfg.n_headers++] = (struct http_header){"Content-Type", "application/json"};
    if (r->registry_auth)
        headers[cfg.n_headers++] = (struct http_header){"X-Registry-Auth", r->registry_auth};
    return http_client_call(c->engine->http, &cfg, &ops, c, &c->http, err);
}

void docker_ask(struct docker_engine *e, const struct docker_request *r, struct docker_call **ret)
{
    struct docker_call *c = xnew0(struct docker_call);

    c->magic = CALL_MAGIC;
    c->engine = e;
    c->r = *r;
    c->next = e->calls;
    if (c->next)
        c->next->prev = c;
    e->calls = c;
    if (begin(c, r, &c->failed) < 0)
        fl_loop_defer(e->loop, tell_failed, c);
    /* The texts are the caller's. */
    c->r.method = c->r.path = c->r.registry_auth = NULL;
    c->r.body = NULL;
    if (ret)
        *ret = c;
}

/* ---- frames ---- */

/* The bytes of the first frame, 0 when it is not whole, or a negative errno. */
static ssize_t whole_frame(const char *p, size_t n, struct fl_err *err)
{
    const uint8_t *h = (const uint8_t *)p;

    if (n < FRAME_HEAD)
        return 0;
    size_t len = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | (size_t)h[7];
    if (h[0] > 3 || h[1] || h[2] || h[3] || len > MAX_FRAME)
        return fl_err_set(err, FL_INVALID,
                          "the Docker Engine sent what is no frame of a container's output");
    return n < FRAME_HEAD + len ? 0 : (ssize_t)(FRAME_HEAD + len);
}

int docker_frames_add(struct docker_frames *f, const char *p, size_t n, docker_frame_f *fn,
                      void *arg, struct fl_err *err)
{
    size_t at = 0;
    ssize_t len;

    fl_buf_add(&f->held, p, n);
    while ((len = whole_frame(f->held.data + at, f->held.len - at, err)) > 0) {
        const char *head = f->held.data + at;
        /* 0 is input, which the engine shows as output; 3 is the engine's own complaint. */
        fn(arg, head[0] == 0 ? 1 : head[0], head + FRAME_HEAD, (size_t)len - FRAME_HEAD);
        at += (size_t)len;
    }
    fl_buf_drain(&f->held, at);
    return len < 0 ? (int)len : 0;
}
