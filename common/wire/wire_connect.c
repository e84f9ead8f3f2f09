/* How a channel begins: an HTTP/1.1 request that asks for an upgrade, and its answer; both ends. */
#include <strings.h>

#include "common/wire/wire_port.h"

/* ---- the end that asks ---- */

#define MAX_ANSWER 8192

void wire_request(struct fl_buf *out, const char *host, uint16_t port, const char *self,
                  const char *authorization)
{
    fl_buf_addf(out,
                strchr(host, ':') ? "GET %s HTTP/1.1\r\nHost: [%s]:%u\r\n"
                                  : "GET %s HTTP/1.1\r\nHost: %s:%u\r\n",
                WIRE_PATH, host, port);
    fl_buf_addf(out, "Connection: Upgrade\r\nUpgrade: %s\r\nUser-Agent: %s\r\n", WIRE_PROTOCOL,
                self);
    if (authorization)
        fl_buf_addf(out, "Authorization: %s\r\n", authorization);
    fl_buf_adds(out, "\r\n");
}

/* The value of a header in the text of an answer's head, which ends with an empty line. */
static bool has_header(const char *head, const char *end, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);

    for (const char *line = head; line < end;) {
        const char *eol = memmem(line, (size_t)(end - line), "\r\n", 2);
        const char *p = line + n + 1;

        if (!eol)
            return false;
        if ((size_t)(eol - line) > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
            while (p < eol && *p == ' ')
                p++;
            if ((size_t)(eol - p) == v && strncasecmp(p, value, v) == 0)
                return true;
        }
        line = eol + 2;
    }
    return false;
}

ssize_t wire_answer(const char *p, size_t n, const char *peer, struct fl_err *err)
{
    const char *end = memmem(p, FL_MIN(n, MAX_ANSWER), "\r\n\r\n", 4);
    const char *eol = memchr(p, '\r', n);
    size_t first;

    if (!end && n < MAX_ANSWER)
        return 0;
    if (!end)
        return fl_err_set(err, FL_TOO_LARGE,
                          "%s answered the upgrade with over %d bytes of headers", peer,
                          MAX_ANSWER);
    first = eol ? FL_MIN((size_t)(eol - p), 100) : 0;
    if (first >= 12 && (memcmp(p, "HTTP/1.1 401", 12) == 0 || memcmp(p, "HTTP/1.1 403", 12) == 0))
        return fl_err_set(err, FL_UNAUTHENTICATED,
                          "%s refused who this is ('%.*s'): give the right credentials", peer,
                          (int)first, p);
    if (first < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "%s answered '%.*s' to the upgrade to %s: is it a daemon of Fairlead?",
                          peer, (int)first, p, WIRE_PROTOCOL);
    if (!has_header(p, end + 2, "Upgrade", WIRE_PROTOCOL))
        return fl_err_set(err, FL_UNSUPPORTED, "%s upgraded to something else than %s", peer,
                          WIRE_PROTOCOL);
    return end + 4 - p;
}

int wire_connect(struct fl_loop *loop, const char *host, uint16_t port, const char *bind_ip,
                 struct fl_tls *tls, const char *self, const char *authorization,
                 const struct wire_limits *limits, const struct wire_ops *ops, void *arg,
                 struct wire_channel **ret_channel, struct fl_err *err)
{
    struct wire_channel *c = wire_channel_new(loop, limits);
    int r;

    wire_set_ops(c, ops, arg);
    r = wire_channel_connect(c, host, port, bind_ip, tls, self, authorization, err);
    if (r < 0) {
        wire_channel_free(c);
        return r;
    }
    *ret_channel = c;
    return 0;
}

/* ---- the end that is asked ---- */

/* A connection may end between the answer and its handing over without a word, so what wire_accept() was called with
 * belongs to the thread and not to the connection: one a server. */
static _Thread_local struct wire_accepting *acceptings;

static bool same_limits(const struct wire_limits *a, const struct wire_limits *b)
{
    return a->max_frame == b->max_frame && a->max_unsent == b->max_unsent &&
           a->idle_timeout_s == b->idle_timeout_s && a->max_inbox == b->max_inbox;
}

static struct wire_accepting *find_accepting(struct wire_limits limits, struct fl_loop *loop,
                                             wire_accepted_f *accepted, void *arg)
{
    struct wire_accepting *a;

    if (!limits.max_inbox)
        limits.max_inbox = wire_limits_default.max_inbox;
    for (a = acceptings; a; a = a->next)
        if (a->loop == loop && a->accepted == accepted && a->arg == arg &&
            same_limits(&a->limits, &limits))
            return a;
    a = xnew0(struct wire_accepting);
    *a = (struct wire_accepting){limits, loop, accepted, arg, acceptings};
    acceptings = a;
    return a;
}

static void on_taken(struct fl_stream *s, void *arg)
{
    const struct wire_accepting *a = arg;
    struct wire_channel *c = wire_channel_new(a->loop, &a->limits);

    wire_channel_attach(c, s);
    a->accepted(c, a->arg);
}

void wire_accept(struct http_exchange *ex, const struct wire_limits *limits,
                 wire_accepted_f *accepted, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *upgrade = http_request_header(r, "Upgrade");
    struct fl_loop *loop = http_exchange_loop(ex);

    if (r->method != HTTP_M_GET || r->body_len) {
        http_respond(ex, 400, HTTP_TEXT, "A channel begins with a GET without a body.\n");
        return;
    }
    if (!upgrade || strcasecmp(upgrade, WIRE_PROTOCOL) != 0) {
        http_exchange_add_header(ex, "Upgrade", WIRE_PROTOCOL);
        http_respond(ex, 426, HTTP_TEXT,
                     "This is where daemons of Fairlead meet: Upgrade: " WIRE_PROTOCOL "\n");
        return;
    }
    struct wire_accepting *a =
        find_accepting(limits ? *limits : wire_limits_default, loop, accepted, arg);
    if (http_exchange_threaded(ex))
        http_upgrade(ex, WIRE_PROTOCOL, NULL, wire_port_taken, a);
    else
        http_upgrade(ex, WIRE_PROTOCOL, loop, on_taken, a);
}
