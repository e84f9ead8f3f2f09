/* Outgoing streams: look the name up, then try its addresses in turn. */
#include "common/base/stream_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "common/base/resolve.h"

static int make_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int connect_to(struct fl_stream *s, const struct sockaddr *addr, socklen_t len,
                      struct fl_err *err)
{
    struct stream_dial *d = s->dial;
    _cleanup_close_ int fd = d->first_fd >= 0 ? TAKE_FD(d->first_fd) : make_socket(addr->sa_family);
    if (fd < 0)
        return fl_err_errno(err, errno, "make a socket for '%s'", s->host);

    /* The port is chosen when it connects: then it must be free for this peer only, not among all of the address. */
    if (d->bind_len > 0 && addr->sa_family == AF_INET)
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (d->bind_len > 0 && bind(fd, (const struct sockaddr *)&d->bind_addr, d->bind_len) < 0)
        return fl_err_errno(err, errno, "bind the source address of a connection to '%s'", s->host);
    stream_nodelay(fd);
    if (connect(fd, addr, len) < 0 && errno != EINPROGRESS)
        return fl_err_errno(err, errno, "connect to '%s'", s->host);
    stream_drop_fd(s);
    stream_set_fd(s, TAKE_FD(fd));
    stream_await_write(s);
    return 0;
}

/* Starts with the next address; fails the stream with `err` when there is none. */
static void try_next(struct fl_stream *s, struct fl_err *err)
{
    struct stream_dial *d = s->dial;
    while (d->next_addr < d->n_addrs) {
        const struct sockaddr_storage *ss = &d->addrs[d->next_addr++];
        if (connect_to(s, (const struct sockaddr *)ss, resolve_addr_len(ss), err) == 0)
            return;
    }
    s->broken = true;
    stream_fail(s, err);
}

void stream_connect_ready(struct fl_stream *s)
{
    struct fl_err err;
    int e = 0;
    socklen_t len = sizeof e;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
        e = errno;
    if (e == 0) {
        stream_established(s);
        return;
    }
    fl_err_errno(&err, e, "connect to '%s'", s->host);
    try_next(s, &err);
}

static void on_resolved(struct sockaddr_storage *addrs, size_t n, const struct fl_err *err,
                        void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    struct fl_err last = {0};
    s->dial->resolve = NULL;
    if (err) {
        s->broken = true;
        stream_fail(s, err);
        return;
    }
    s->dial->addrs = addrs;
    s->dial->n_addrs = n;
    try_next(s, &last);
}

void stream_connect_done(struct fl_stream *s)
{
    struct stream_dial *d = TAKE_PTR(s->dial);
    if (!d)
        return;
    resolve_cancel(d->resolve);
    if (d->first_fd >= 0)
        close(d->first_fd);
    free(d->addrs);
    free(d);
}

static struct fl_stream *new_outgoing(struct fl_loop *loop, const char *host,
                                      const struct fl_stream_ops *ops, void *arg)
{
    struct fl_stream *s = stream_new(loop, ops, arg);
    s->outgoing = true;
    s->state = STREAM_CONNECTING;
    s->dial = xnew0(struct stream_dial);
    s->dial->first_fd = -EBADF;
    s->host = xstrdup(host);
    s->last_read_us = fl_loop_now_us(loop);
    return s;
}

static void start_job(void *arg)
{
    struct fl_stream *s = FL_CAST(fl_stream, STREAM_MAGIC, arg);
    struct fl_err err = {0};
    if (!s->dead)
        try_next(s, &err);
}

int fl_stream_connect(struct fl_loop *loop, const char *host, uint16_t port, const char *bind_ip,
                      struct fl_tls *tls_or_null, const struct fl_stream_ops *ops, void *arg,
                      struct fl_stream **ret_stream, struct fl_err *err)
{
    struct sockaddr_storage addr, source;
    if (bind_ip && resolve_numeric(bind_ip, 0, &source) < 0)
        return fl_err_set(err, FL_INVALID, "connect from '%s': not a numeric address", bind_ip);
    struct fl_stream *s = new_outgoing(loop, host, ops, arg);
    s->tls = tls_or_null;
    if (bind_ip) {
        s->dial->bind_addr = source;
        s->dial->bind_len = resolve_addr_len(&source);
    }
    if (resolve_numeric(host, port, &addr) == 0) {
        s->dial->addrs = xmemdup(&addr, sizeof addr);
        s->dial->n_addrs = 1;
        /* Who calls from another network namespace is out of it again when the job below runs. */
        s->dial->first_fd = make_socket(addr.ss_family);
        fl_loop_defer(loop, start_job, s);
    } else {
        int rc = resolve_start(loop, host, port, on_resolved, s, &s->dial->resolve, err);
        if (rc < 0) {
            fl_stream_free(s);
            return rc;
        }
    }
    *ret_stream = s;
    return 0;
}

int fl_stream_connect_unix(struct fl_loop *loop, const char *path, const struct fl_stream_ops *ops,
                           void *arg, struct fl_stream **ret_stream, struct fl_err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof un.sun_path)
        return fl_err_set(err, FL_INVALID, "connect to '%s': a socket's path has at most %zu bytes",
                          path, sizeof un.sun_path - 1);
    memcpy(un.sun_path, path, strlen(path) + 1);
    struct fl_stream *s = new_outgoing(loop, path, ops, arg);
    int rc = connect_to(s, (const struct sockaddr *)&un, sizeof un, err);
    if (rc < 0) {
        fl_stream_free(s);
        return rc;
    }
    *ret_stream = s;
    return 0;
}
