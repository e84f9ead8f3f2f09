/* See net_probe.h. A socket belongs to the network namespace that its thread was in when it was made: the loop's thread goes there for
 * the two calls that this takes, and comes back. */
#include "common/base/net_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <utlist.h>

#include "common/base/http.h"
#include "common/base/tls.h"

/* Longer than any timeout of a check, which are the caller's. */
#define HTTP_TIMEOUT_S 86400

struct net_probe {
    struct net_prober *prober;
    net_probe_f *fn;
    void *arg;
    struct fl_stream *stream; /* TCP */
    struct http_call *call;   /* HTTP */
    bool known;               /* the answer, while it is deferred */
    int value;
    struct net_probe *prev, *next;
};

struct net_prober {
    struct fl_loop *loop;
    struct http_client *http;
    struct fl_tls *tls; /* checks nobody's certificate; made for the first https */
    struct net_probe *probes;
};

struct net_prober *net_prober_new(struct fl_loop *loop)
{
    struct net_prober *p = xnew0(struct net_prober);

    p->loop = loop;
    p->http = http_client_new(loop);
    return p;
}

static void stop(struct net_probe *p)
{
    if (p->stream)
        fl_stream_free(p->stream);
    if (p->call)
        http_call_cancel(p->call);
    fl_loop_forget(p->prober->loop, p);
    DL_DELETE(p->prober->probes, p);
    free(p);
}

void net_probe_cancel(struct net_probe *p)
{
    stop(p);
}

void net_prober_free(struct net_prober *p)
{
    if (!p)
        return;
    while (p->probes)
        stop(p->probes);
    http_client_free(p->http);
    fl_tls_free(p->tls);
    free(p);
}

static void answer(struct net_probe *p, bool known, int value)
{
    net_probe_f *fn = p->fn;
    void *arg = p->arg;

    stop(p);
    fn(arg, known, value);
}

static void deferred(void *arg)
{
    struct net_probe *p = arg;

    answer(p, p->known, p->value);
}

static void answer_later(struct net_probe *p, bool known)
{
    p->known = known;
    fl_loop_defer(p->prober->loop, deferred, p);
}

/* ---- TCP ---- */

static void on_connected(struct fl_stream *s, void *arg)
{
    answer(arg, true, 1);
}

static void on_closed(struct fl_stream *s, const struct fl_err *why, void *arg)
{
    answer(arg, true, 0);
}

static void on_read(struct fl_stream *s, void *arg)
{
}

static int begin_tcp(struct net_probe *p, const struct net_target *t, const char *host,
                     struct fl_err *err)
{
    static const struct fl_stream_ops ops = {
        .on_read = on_read, .on_connected = on_connected, .on_closed = on_closed};

    return fl_stream_connect(p->prober->loop, host, t->port, NULL, NULL, &ops, p, &p->stream, err);
}

/* ---- HTTP ---- */

static void on_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    /* The body is of no interest: the connection is closed. */
    answer(arg, true, r->status);
}

static void on_data(struct http_call *c, const char *bytes, size_t n, void *arg)
{
}

static void on_done(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *err, void *arg)
{
    struct net_probe *p = arg;

    p->call = NULL;
    answer(p, false, 0);
}

static int begin_http(struct net_probe *p, const struct net_target *t, const char *host,
                      struct fl_err *err)
{
    static const struct http_call_ops ops = {on_headers, on_data, on_done, NULL};
    static const struct fl_tls_config trusting = {.verify_peer = false};
    static const struct http_header accept[] = {{"Accept", "*/*"}};
    struct http_call_config cfg = {
        .method = "GET",
        .host = host,
        .port = t->port,
        .path = t->path,
        .headers = accept,
        .n_headers = ARRAY_SIZE(accept),
        .streaming = true,
        .own_connection = true,
        .timeout_s = HTTP_TIMEOUT_S,
    };
    int r = 0;

    if (t->tls && !p->prober->tls)
        r = fl_tls_client_new(&trusting, &p->prober->tls, err);
    if (r < 0)
        return r;
    cfg.tls = t->tls ? p->prober->tls : NULL;
    return http_client_call(p->prober->http, &cfg, &ops, p, &p->call, err);
}

/* ---- where ---- */

/* *ret_back: our own namespace, to go back to; -1: the process is in it. */
static int go_to_network(pid_t pid, int *ret_back, struct fl_err *err)
{
    _cleanup_close_ int own = -1, theirs = -1;
    struct stat a, b;
    char path[64];

    *ret_back = -1;
    if (pid <= 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    theirs = open(path, O_RDONLY | O_CLOEXEC);
    /* Of somebody else's process it may not even be looked at; without privileges there is only one network. */
    if (own < 0 || theirs < 0)
        return errno == EACCES || errno == EPERM
                   ? 0
                   : fl_err_errno(err, errno, "open the network namespace of process %d", (int)pid);
    if (fstat(own, &a) < 0 || fstat(theirs, &b) < 0)
        return fl_err_errno(err, errno, "look at the network namespace of process %d", (int)pid);
    if (a.st_ino == b.st_ino && a.st_dev == b.st_dev)
        return 0;
    if (setns(theirs, CLONE_NEWNET) < 0)
        return fl_err_errno(err, errno, "enter the network namespace of process %d", (int)pid);
    *ret_back = TAKE_FD(own);
    return 0;
}

static void come_back(int own)
{
    if (own < 0)
        return;
    /* A thread that were left in a task's network would serve the daemon's calls from there. */
    if (setns(own, CLONE_NEWNET) < 0)
        abort();
    close(own);
}

struct net_probe *net_probe_begin(struct net_prober *prober, const struct net_target *t, pid_t pid,
                                  net_probe_f *fn, void *arg)
{
    struct net_probe *p = xnew0(struct net_probe);
    const char *host = t->ipv6 ? "::1" : "127.0.0.1";
    bool tcp = !t->http;
    struct fl_err err;
    int own, r;

    p->prober = prober;
    p->fn = fn;
    p->arg = arg;
    DL_APPEND(prober->probes, p);
    r = go_to_network(pid, &own, &err);
    if (r == 0)
        r = tcp ? begin_tcp(p, t, host, &err) : begin_http(p, t, host, &err);
    come_back(own);
    if (r < 0)
        answer_later(p, tcp);
    return p;
}
