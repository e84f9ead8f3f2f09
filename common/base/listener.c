/* A listening socket on a loop. */
#include "common/base/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base/resolve.h"

#define LISTENER_MAGIC 0x115e4e01
/* Connections taken in one go before other events have their turn. */
#define ACCEPT_BATCH 64
#define RETRY_US     100000

struct fl_listener {
    unsigned magic;
    struct fl_loop *loop; /* borrowed */
    int fd;               /* owned */
    uint16_t port;
    struct fl_watch *watch; /* owned; NULL while resting */
    struct fl_timer *rest;  /* owned */
    fl_accept_f *fn;
    fl_accept_gate_f *gate; /* NULL: always */
    void *arg;
    bool closed; /* freed, perhaps by its own callback; the memory goes with the deferred jobs */
};

static void on_ready(int fd, bool readable, bool writable, void *arg);

static void name_of(const struct sockaddr_storage *ss, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (ss->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)ss;
        inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof ip);
        fl_snprintf(out, size, "[%s]:%u", ip, ntohs(a->sin6_port));
    } else {
        const struct sockaddr_in *a = (const struct sockaddr_in *)ss;
        inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip);
        fl_snprintf(out, size, "%s:%u", ip, ntohs(a->sin_port));
    }
}

static void rest(struct fl_listener *l, uint64_t us)
{
    fl_watch_free(TAKE_PTR(l->watch));
    fl_timer_set(l->rest, us);
}

static void rested(void *arg)
{
    struct fl_listener *l = FL_CAST(fl_listener, LISTENER_MAGIC, arg);
    if (fl_watch_new(l->loop, l->fd, true, false, on_ready, l, &l->watch, NULL) < 0)
        fl_timer_set(l->rest, RETRY_US);
}

static void on_ready(int fd, bool readable, bool writable, void *arg)
{
    struct fl_listener *l = FL_CAST(fl_listener, LISTENER_MAGIC, arg);
    for (int i = 0; i < ACCEPT_BATCH && !l->closed; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        char peer[INET6_ADDRSTRLEN + 16];
        uint64_t wait_us = l->gate ? l->gate(l->arg) : 0;
        if (wait_us) {
            rest(l, wait_us);
            break;
        }
        int c = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (c < 0) {
            /* Out of descriptors: the backlog stays readable, so rest instead of spinning. */
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                rest(l, RETRY_US);
            break;
        }
        name_of(&ss, peer, sizeof peer);
        l->fn(c, peer, l->arg);
    }
}

int fl_listen(const char *ip, uint16_t port, int *ret_fd, uint16_t *ret_port, struct fl_err *err)
{
    struct sockaddr_storage ss;
    socklen_t len;
    int one = 1;
    if (resolve_numeric(ip, port, &ss) < 0)
        return fl_err_set(err, FL_INVALID, "listen on '%s': give a numeric address", ip);
    _cleanup_close_ int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fl_err_errno(err, errno, "make a socket to listen on '%s:%u'", ip, port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&ss, resolve_addr_len(&ss)) < 0 || listen(fd, 4096) < 0)
        return fl_err_errno(err, errno,
                            "listen on '%s:%u' (is another process there? choose another port)", ip,
                            port);
    len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return fl_err_errno(err, errno, "ask for the port of '%s'", ip);
    *ret_port = ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
                                               : ((struct sockaddr_in *)&ss)->sin_port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int fl_listener_on(struct fl_loop *loop, int fd, fl_accept_f *fn, fl_accept_gate_f *gate, void *arg,
                   struct fl_listener **ret_listener, struct fl_err *err)
{
    struct fl_listener *l = xnew0(struct fl_listener);
    *l = (struct fl_listener){
        .magic = LISTENER_MAGIC, .loop = loop, .fd = fd, .fn = fn, .gate = gate, .arg = arg};
    l->rest = fl_timer_new(loop, rested, l);
    int rc = fl_watch_new(loop, l->fd, true, false, on_ready, l, &l->watch, err);
    if (rc < 0) {
        l->fd = -EBADF; /* stays the caller's */
        fl_listener_free(l);
        return rc;
    }
    *ret_listener = l;
    return 0;
}

int fl_listener_new(struct fl_loop *loop, const char *ip, uint16_t port, fl_accept_f *fn, void *arg,
                    struct fl_listener **ret_listener, struct fl_err *err)
{
    _cleanup_close_ int fd = -EBADF;
    uint16_t got;
    int rc = fl_listen(ip, port, &fd, &got, err);
    if (rc == 0)
        rc = fl_listener_on(loop, fd, fn, NULL, arg, ret_listener, err);
    if (rc < 0)
        return rc;
    TAKE_FD(fd);
    (*ret_listener)->port = got;
    return 0;
}

uint16_t fl_listener_port(const struct fl_listener *l)
{
    return l->port;
}

static void destroy(void *arg)
{
    struct fl_listener *l = arg;
    l->magic = 0;
    free(l);
}

void fl_listener_free(struct fl_listener *l)
{
    if (!l || l->closed)
        return;
    l->closed = true;
    fl_watch_free(TAKE_PTR(l->watch));
    fl_timer_free(TAKE_PTR(l->rest));
    if (l->fd >= 0)
        close(TAKE_FD(l->fd));
    fl_loop_defer(l->loop, destroy, l);
}
