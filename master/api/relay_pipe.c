/* One relayed request (relay.h), on the I/O thread of its client. It ends with the first of: the agent's answer is whole, the agent
 * fails or is too slow, the client goes away. Its end closes the connection to the agent. */
#include <strings.h>

#include "master/api/relay.h"

#define PIPE_MAGIC 0x7e1a0001
/* Bytes that wait for one side, over which the other is not read. */
#define WAITING_HIGH ((size_t)256 << 10)
/* The client's limit is not used: the timer here looks at both ways. */
#define A_YEAR_S    (365u * 86400u)
#define MAX_HEADERS 128

struct pipe {
    unsigned magic;
    struct relay_target target; /* owned */
    char *path;                 /* owned; with query */
    struct http_side *x;        /* borrowed */
    struct fl_loop *loop;
    struct http_client *client; /* owned */
    struct http_call *call;     /* borrowed; NULL when it ended */
    struct http_call *probe;    /* borrowed; whether the agent lives */
    struct fl_timer *timer;     /* owned */
    uint64_t progress_us;       /* when something moved */
    bool calls;                 /* some of which wait for days: the agent is probed meanwhile */
    bool has_body;              /* the request has one */
    bool body_over;
    bool held;   /* the request's body is not read: the agent does not take it */
    bool paused; /* the agent's answer is not read: the client does not take it */
    bool begun;  /* the answer's head was sent */
};

static void pipe_free(struct pipe *p)
{
    fl_timer_free(p->timer);
    http_client_free(p->client); /* with its call */
    relay_target_done(&p->target);
    free(p->path);
    p->magic = 0;
    free(p);
}

static void moved(struct pipe *p)
{
    p->progress_us = fl_loop_now_us(p->loop);
}

/* The agent's fault; when the answer has begun, all that can be done is to break it off. */
static void fail(struct pipe *p, int status, const char *why)
{
    struct http_side *x = p->x;
    _cleanup_free_ char *name = relay_target_name(&p->target);
    _cleanup_free_ char *text = xasprintf("%s %s\n", name, why);
    bool begun = p->begun;

    atomic_fetch_add(&p->target.service->failed, 1);
    pipe_free(p);
    if (begun)
        http_side_abort(x);
    else
        http_side_answer(x, status, text);
}

static void too_slow(struct pipe *p)
{
    _cleanup_free_ char *why =
        xasprintf("did not begin to answer within %g s: it may hang, or have much to do; try "
                  "again, or raise --agent_relay_timeout of the master",
                  (double)p->target.service->begin_us / 1e6);

    fail(p, 504, why);
}

static void on_probed(struct http_call *c, const struct http_client_response *r,
                      const struct fl_err *why, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);

    p->probe = NULL;
    if (!r || p->begun)
        return; /* the timer will say so */
    moved(p);
    fl_timer_set(p->timer, p->target.service->begin_us / 2);
}

/* A call such as WAIT_CONTAINER is answered when that comes. Half of the time to begin is left for the agent to show that it lives. */
static void probe(struct pipe *p)
{
    static const struct http_call_ops ops = {.on_done = on_probed};
    const struct http_call_config config = {.method = "GET",
                                            .host = p->target.host,
                                            .port = p->target.port,
                                            .path = "/health",
                                            .own_connection = true,
                                            .timeout_s = A_YEAR_S,
                                            .max_body = 65536,
                                            .tls = p->target.service->tls};
    struct fl_err err;

    if (http_client_call(p->client, &config, &ops, p, &p->probe, &err) < 0)
        p->probe = NULL;
}

static void on_time(void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);
    const struct relay_service *s = p->target.service;
    uint64_t now = fl_loop_now_us(p->loop), limit = p->begun ? s->idle_us : s->begin_us;

    /* Who still sends its request keeps the agent waiting, and has limits of its own. */
    if (!p->begun && p->has_body && !p->body_over && !p->held)
        p->progress_us = now;
    uint64_t due = p->progress_us + limit, half = p->progress_us + limit / 2;
    if (now < due && now >= half && p->calls && !p->begun && !p->probe)
        probe(p);
    if (now < due)
        fl_timer_set(p->timer, (p->calls && now < half ? half : due) - now);
    else if (p->begun)
        fail(p, 0, "");
    else
        too_slow(p);
}

/* ---- headers ---- */

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcasecmp(name, *names) == 0)
            return true;
    return false;
}

/* A header that Connection names is for us only. */
static bool is_named_by_connection(const struct http_request *r, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcasecmp(r->headers[i].name, "Connection") != 0)
            continue;
        for (const char *p = r->headers[i].value; *p; p += strcspn(p, ", ")) {
            p += strspn(p, ", ");
            if (strncasecmp(p, name, n) == 0 && strchr(", ", p[n]))
                return true;
        }
    }
    return false;
}

bool relay_passes_request_header(const struct http_request *r, const struct http_header *h)
{
    /* What is between two hops, what our own request has anew, and what only this host's pages are to know. */
    static const char *const ours[] = {"Connection",
                                       "Keep-Alive",
                                       "Proxy-Connection",
                                       "Proxy-Authorization",
                                       "TE",
                                       "Trailer",
                                       "Transfer-Encoding",
                                       "Upgrade",
                                       "Content-Length",
                                       "Host",
                                       "Expect",
                                       "Cookie",
                                       NULL};

    return !is_one_of(h->name, ours) && !is_named_by_connection(r, h->name);
}

/* The agent answers under the master's name: what a browser would keep for all of that name (cookies, policies) must not come from
 * one agent, so only what describes the answer itself passes. */
bool relay_passes_answer_header(const char *name)
{
    static const char *const theirs[] = {"Content-Type",
                                         "Content-Encoding",
                                         "Content-Disposition",
                                         "Content-Range",
                                         "Content-Language",
                                         "Accept-Ranges",
                                         "ETag",
                                         "Last-Modified",
                                         "Cache-Control",
                                         "Expires",
                                         "Vary",
                                         "Allow",
                                         "Retry-After",
                                         "WWW-Authenticate",
                                         "Message-Content-Type",
                                         "Mesos-Stream-Id",
                                         NULL};

    return is_one_of(name, theirs);
}

/* ---- from the agent ---- */

static int64_t length_of(const struct http_client_response *r)
{
    const char *length = http_response_header(r, "Content-Length");
    uint64_t n;

    if (!length || http_response_header(r, "Transfer-Encoding") || fl_parse_u64(length, &n) < 0 ||
        n > INT64_MAX)
        return -1;
    return (int64_t)n;
}

static void on_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);
    _cleanup_buf_ struct fl_buf head = FL_BUF_INIT;

    for (size_t i = 0; i < r->n_headers; i++)
        if (relay_passes_answer_header(r->headers[i].name) && !strpbrk(r->headers[i].value, "\r\n"))
            fl_buf_addf(&head, "%s: %s\r\n", r->headers[i].name, r->headers[i].value);
    /* A file of a task is no page of ours: shown by a browser, it runs nothing. */
    fl_buf_adds(&head, "Content-Security-Policy: sandbox; default-src 'none'\r\n"
                       "X-Content-Type-Options: nosniff\r\n");
    moved(p);
    p->begun = true;
    fl_timer_set(p->timer, p->target.service->idle_us);
    http_side_head(p->x, r->status, &head, length_of(r));
}

static void on_data(struct http_call *c, const char *bytes, size_t n, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);

    moved(p);
    http_side_write(p->x, bytes, n);
    if (!p->paused && http_side_unsent(p->x) > WAITING_HIGH) {
        p->paused = true;
        http_call_pause(c, true);
    }
}

static void on_sent(struct http_call *c, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);

    moved(p);
    if (!p->held)
        return;
    p->held = false;
    http_side_hold(p->x, false);
}

static void on_done(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *why, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);
    struct http_side *x = p->x;

    p->call = NULL;
    if (r) {
        pipe_free(p);
        http_side_end(x);
        return;
    }
    _cleanup_free_ char *text =
        xasprintf("does not answer: %s; see whether it runs, and whether this master reaches that "
                  "address",
                  why->msg);
    fail(p, 502, text);
}

/* ---- from the client ---- */

static int call(struct pipe *p, struct fl_err *err)
{
    static const struct http_call_ops ops = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done, .on_sent = on_sent};
    const struct http_request *r = http_side_request(p->x);
    struct http_header headers[MAX_HEADERS];
    size_t n = 0;

    for (size_t i = 0; i < r->n_headers; i++) {
        if (!relay_passes_request_header(r, &r->headers[i]))
            continue;
        if (n == MAX_HEADERS)
            return fl_err_set(err, FL_INVALID, "the request has more than %d headers", MAX_HEADERS);
        headers[n++] = r->headers[i];
    }
    const struct http_call_config config = {.method = r->method_name,
                                            .host = p->target.host,
                                            .port = p->target.port,
                                            .path = p->path,
                                            .headers = headers,
                                            .n_headers = n,
                                            .chunked_body = p->has_body,
                                            .streaming = true,
                                            .own_connection = true,
                                            .timeout_s = A_YEAR_S,
                                            .tls = p->target.service->tls};
    return http_client_call(p->client, &config, &ops, p, &p->call, err);
}

static void begin(struct http_side *x, struct fl_loop *loop, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);
    const struct http_request *r = http_side_request(x);
    struct fl_err err;

    p->x = x;
    p->loop = loop;
    p->has_body =
        http_request_header(r, "Content-Length") || http_request_header(r, "Transfer-Encoding");
    p->client = http_client_new(loop);
    p->timer = fl_timer_new(loop, on_time, p);
    moved(p);
    fl_timer_set(p->timer, p->target.service->begin_us / 2);
    if (call(p, &err) < 0) {
        _cleanup_free_ char *why = xasprintf("was not asked: %s", err.msg);
        fail(p, err.reason == FL_INVALID ? 400 : 502, why);
    }
}

static void body(struct http_side *x, const char *bytes, size_t n, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);

    if (!p->call)
        return;
    moved(p);
    if (!bytes) {
        p->body_over = true;
        http_call_end_body(p->call);
        return;
    }
    http_call_write(p->call, bytes, n);
    if (!p->held && http_call_unsent(p->call) > WAITING_HIGH) {
        p->held = true;
        http_side_hold(x, true);
    }
}

static void room(struct http_side *x, void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);

    if (!p->paused)
        return;
    moved(p);
    p->paused = false;
    http_call_pause(p->call, false);
}

static void gone(struct http_side *x, void *arg)
{
    pipe_free(FL_CAST(pipe, PIPE_MAGIC, arg));
}

static void never(void *arg)
{
    struct pipe *p = FL_CAST(pipe, PIPE_MAGIC, arg);

    relay_target_done(&p->target);
    free(p->path);
    free(p);
}

void relay_pipe(struct http_exchange *ex, const struct relay_target *t, const char *path)
{
    static const struct http_side_ops ops = {
        .begin = begin, .body = body, .room = room, .gone = gone, .never = never};
    const char *query = http_exchange_request(ex)->query;
    struct pipe *p = xnew0(struct pipe);

    p->magic = PIPE_MAGIC;
    p->target = *t;
    p->calls = streq(path, "/api/v1");
    p->path = *query ? xasprintf("%s?%s", path, query) : xstrdup(path);
    http_side_move(ex, &ops, p);
}
