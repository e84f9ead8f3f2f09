/* See http_pipe.h. Requests wait in one list: the first `in_flight` of it are sent. Memory of a pipe that is freed from its own
 * callbacks goes with the loop's deferred jobs; `dead` stops what runs above. */
#include "common/base/http_pipe.h"

#include <stdio.h>
#include <strings.h>

#define http_method http_parser_method
#include <http_parser.h>
#undef http_method

#define PIPE_MAGIC      0x477c2001
#define DEFAULT_DEPTH   48 /* below the 64 at which our servers stop reading */
#define DEFAULT_TIMEOUT 60
#define IDLE_S          60
#define BODY_KEPT       4096

struct pipe_request {
    struct pipe_request *next;
    size_t n;
    char bytes[]; /* the body */
};

struct http_pipe {
    unsigned magic;
    struct fl_loop *loop; /* borrowed */
    char *host;           /* owned */
    uint16_t port;
    struct fl_buf head; /* owned; up to and with "Content-Length: " */
    unsigned depth;
    uint64_t timeout_us;
    http_pipe_answer_f *answer;
    void *arg;

    struct pipe_request *first, **last; /* owned */
    struct pipe_request *unsent;        /* of them, or NULL */
    size_t pending, in_flight;

    struct fl_stream *stream; /* owned, or NULL */
    http_parser parser;
    struct fl_buf body;     /* owned; of the answer at hand */
    struct fl_timer *timer; /* owned */
    uint64_t progress_us;   /* when the oldest began to wait, or its predecessor was answered */
    bool served;            /* this connection has answered a request */
    bool
        idle_before; /* it had nothing under way when the oldest was sent, and no byte came since */
    bool retried;    /* those under way are on their second connection */
    bool armed, aging; /* the timer runs; the stream's idle time is set */
    bool eof, feeding,
        dead; /* feeding: what is posted now is sent when the callback has returned */
};

static void send_more(struct http_pipe *p);

/* ---- requests ---- */

static void drop_first(struct http_pipe *p)
{
    struct pipe_request *q = p->first;

    p->first = q->next;
    if (!p->first)
        p->last = &p->first;
    if (p->unsent == q)
        p->unsent = q->next;
    p->pending--;
    free(q);
}

static void write_request(struct http_pipe *p, const struct pipe_request *q)
{
    char length[32];
    size_t n = p->head.len + sizeof(length) + q->n;
    struct fl_buf out = FL_BUF_INIT;
    int digits = snprintf(length, sizeof(length), "%zu\r\n\r\n", q->n);

    if (q->n > 4096) {
        fl_buf_reserve(&out, n);
        fl_buf_add(&out, p->head.data, p->head.len);
        fl_buf_add(&out, length, (size_t)digits);
        fl_buf_add(&out, q->bytes, q->n);
        fl_stream_write_buf(p->stream, &out);
        fl_buf_done(&out);
        return;
    }
    fl_stream_write(p->stream, p->head.data, p->head.len);
    fl_stream_write(p->stream, length, (size_t)digits);
    fl_stream_write(p->stream, q->bytes, q->n);
}

/* ---- the connection's end ---- */

static void drop_connection(struct http_pipe *p)
{
    fl_stream_free(TAKE_PTR(p->stream));
    fl_timer_stop(p->timer);
    p->armed = p->aging = false;
    fl_buf_clear(&p->body);
    p->unsent = p->first;
    p->in_flight = 0;
    p->served = p->idle_before = p->eof = false;
}

static void tell(struct http_pipe *p, int status, const char *body)
{
    p->progress_us = fl_loop_now_us(p->loop);
    drop_first(p);
    p->answer(p->arg, status, body);
}

/* Those under way are lost, unless the connection only was too old for them. */
static void connection_lost(struct http_pipe *p)
{
    size_t lost = p->in_flight;
    bool again = p->served && p->idle_before && !p->retried;

    drop_connection(p);
    p->retried = again;
    p->feeding = true;
    for (size_t i = 0; !again && i < lost && !p->dead && p->first; i++)
        tell(p, 0, "");
    p->feeding = false;
    if (!p->dead)
        send_more(p);
}

/* ---- answers ---- */

static int on_body(http_parser *parser, const char *at, size_t n)
{
    struct http_pipe *p = FL_CAST(http_pipe, PIPE_MAGIC, parser->data);

    if (p->body.len < BODY_KEPT)
        fl_buf_add(&p->body, at, FL_MIN(n, BODY_KEPT - p->body.len));
    return 0;
}

static int on_complete(http_parser *parser)
{
    struct http_pipe *p = FL_CAST(http_pipe, PIPE_MAGIC, parser->data);

    if (parser->status_code < 200)
        return 0; /* 100: the answer follows */
    if (p->in_flight == 0)
        return -1;
    p->in_flight--;
    p->served = true;
    p->retried = p->idle_before = false;
    if (!http_should_keep_alive(parser))
        p->eof = true;
    struct fl_buf body = p->body;
    p->body = (struct fl_buf)FL_BUF_INIT;
    tell(p, (int)parser->status_code, body.len ? fl_buf_cstr(&body) : "");
    fl_buf_done(&body);
    return p->dead || p->eof ? -1 : 0;
}

static const http_parser_settings settings = {.on_body = on_body,
                                              .on_message_complete = on_complete};

static void on_read(struct fl_stream *s, void *arg)
{
    struct http_pipe *p = FL_CAST(http_pipe, PIPE_MAGIC, arg);
    size_t n;
    const char *bytes = fl_stream_peek(s, &n);

    if (n == 0)
        return;
    p->idle_before = false;
    p->feeding = true;
    size_t used = http_parser_execute(&p->parser, &settings, bytes, n);
    p->feeding = false;
    fl_stream_consume(s, used); /* also of a stream that was freed: its memory goes later */
    if (p->dead)
        return;
    if (HTTP_PARSER_ERRNO(&p->parser) != HPE_OK || p->parser.upgrade || used < n)
        connection_lost(p);
    else
        send_more(p);
}

static void on_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    struct http_pipe *p = FL_CAST(http_pipe, PIPE_MAGIC, arg);

    if (why->reason == FL_CLOSED && p->in_flight > 0) {
        p->feeding = true;
        http_parser_execute(&p->parser, &settings, "",
                            0); /* an answer without a length ends here */
        p->feeding = false;
    }
    if (!p->dead)
        connection_lost(p);
}

/* ---- sending ---- */

static const struct fl_stream_ops ops = {.on_read = on_read, .on_closed = on_closed};

static void connect_failed(void *arg)
{
    struct http_pipe *p = FL_CAST(http_pipe, PIPE_MAGIC, arg);

    if (!p->dead && !p->stream && p->first) {
        p->in_flight = 1;
        p->served = false;
        connection_lost(p);
    }
}

static bool connected(struct http_pipe *p)
{
    struct fl_err err;

    if (p->stream)
        return true;
    http_parser_init(&p->parser, HTTP_RESPONSE);
    p->parser.data = p;
    if (fl_stream_connect(p->loop, p->host, p->port, NULL, NULL, &ops, p, &p->stream, &err) == 0)
        return true;
    p->stream = NULL;
    fl_loop_defer(p->loop, connect_failed, p); /* never from inside http_pipe_post() */
    return false;
}

static void expect_answers(struct http_pipe *p)
{
    if (p->aging)
        fl_stream_set_idle_timeout(p->stream, 0);
    if (!p->armed)
        fl_timer_set(p->timer, p->timeout_us);
    p->aging = false;
    p->armed = true;
}

static void send_more(struct http_pipe *p)
{
    if (!p->unsent || p->in_flight >= p->depth || p->feeding || !connected(p))
        return;
    if (p->in_flight == 0) {
        p->idle_before = p->served;
        p->progress_us = fl_loop_now_us(p->loop);
        expect_answers(p);
    }
    for (; p->unsent && p->in_flight < p->depth; p->unsent = p->unsent->next, p->in_flight++)
        write_request(p, p->unsent);
}

/* Looks now and then, instead of being set anew with each answer. */
static void on_time(void *arg)
{
    struct http_pipe *p = FL_CAST(http_pipe, PIPE_MAGIC, arg);
    uint64_t now = fl_loop_now_us(p->loop), due = p->progress_us + p->timeout_us;

    p->armed = p->in_flight > 0 && now < due;
    if (p->armed) {
        fl_timer_set(p->timer, due - now);
    } else if (p->in_flight > 0) {
        connection_lost(p);
    } else if (p->stream) {
        p->aging = true;
        fl_stream_set_idle_timeout(p->stream, IDLE_S);
    }
}

void http_pipe_post(struct http_pipe *p, const void *body, size_t n)
{
    struct pipe_request *q = xmalloc(sizeof(*q) + n);

    q->next = NULL;
    q->n = n;
    if (n > 0)
        memcpy(q->bytes, body, n);
    *p->last = q;
    p->last = &q->next;
    if (!p->unsent)
        p->unsent = q;
    p->pending++;
    send_more(p);
}

size_t http_pipe_pending(const struct http_pipe *p)
{
    return p->pending;
}

/* ---- life ---- */

static int write_head(struct http_pipe *p, const struct http_pipe_config *c, struct fl_err *err)
{
    bool v6 = strchr(c->host, ':');

    fl_buf_addf(&p->head, "POST %s HTTP/1.1\r\n", c->path);
    fl_buf_addf(&p->head, v6 ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", c->host, c->port);
    for (size_t i = 0; i < c->n_headers; i++) {
        const struct http_header *h = &c->headers[i];
        if (strpbrk(h->name, " :\r\n") || strpbrk(h->value, "\r\n"))
            return fl_err_set(err, FL_INVALID, "call by HTTP: the header '%s' has a line break",
                              h->name);
        fl_buf_addf(&p->head, "%s: %s\r\n", h->name, h->value);
    }
    fl_buf_adds(&p->head, "Content-Length: ");
    if (strpbrk(c->host, " \r\n\t/") || !*c->host || strpbrk(c->path, " \r\n\t"))
        return fl_err_set(err, FL_INVALID, "call by HTTP: '%s' is not a host, or '%s' not a path",
                          c->host, c->path);
    return 0;
}

struct http_pipe *http_pipe_new(struct fl_loop *loop, const struct http_pipe_config *c,
                                http_pipe_answer_f *answer, void *arg, struct fl_err *err)
{
    struct http_pipe *p = xnew0(struct http_pipe);

    p->magic = PIPE_MAGIC;
    p->loop = loop;
    p->host = xstrdup(c->host);
    p->port = c->port;
    p->depth = c->depth ? c->depth : DEFAULT_DEPTH;
    p->timeout_us = (c->timeout_s ? c->timeout_s : DEFAULT_TIMEOUT) * 1000000ull;
    p->answer = answer;
    p->arg = arg;
    p->last = &p->first;
    p->timer = fl_timer_new(loop, on_time, p);
    if (write_head(p, c, err) < 0) {
        http_pipe_free(p);
        return NULL;
    }
    return p;
}

static void destroy(void *arg)
{
    struct http_pipe *p = arg;

    fl_buf_done(&p->head);
    fl_buf_done(&p->body);
    free(p->host);
    p->magic = 0;
    free(p);
}

void http_pipe_free(struct http_pipe *p)
{
    if (!p || p->dead)
        return;
    p->dead = true;
    drop_connection(p);
    while (p->first)
        drop_first(p);
    fl_timer_free(TAKE_PTR(p->timer));
    fl_loop_defer(p->loop, destroy, p);
}
