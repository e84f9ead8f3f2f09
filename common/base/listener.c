/* A listening socket on a loop. */
#include "common/base/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/resolve.h"

#define LISTENER_MAGIC 0x115e4e01
/* Connections taken in one go before other events have their turn. */
#define ACCEPT_BATCH 64
#define RETRY_US     100000

struct fl_listener {
    unsigned magic;
    struct fl_loop *loop;   /* borrowed */
    int fd;                 /* owned */
    struct fl_watch *watch; /* owned; NULL while resting */
    struct fl_timer *rest;  /* owned */
    fl_accept_f *fn;
    fl_accept_gate_f *gate; /* NULL: always */
    void *arg;
    bool closed; /* freed, perhaps by its own callback; the memory goes with the deferred jobs */
};

static void on_ready(int fd, bool readable, bool writable, void *arg);

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
        uint64_t wait_us = l->gate ? l->gate(l->arg) : 0;
        if (wait_us) {
            rest(l, wait_us);
            break;
        }
        int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (c < 0) {
            /* Out of descriptors: the backlog stays readable, so rest instead of spinning. */
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                rest(l, RETRY_US);
            break;
        }
        l->fn(c, l->arg);
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
