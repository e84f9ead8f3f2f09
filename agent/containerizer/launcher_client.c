/* See launcher_client.h. The launcher answers in the order of the questions, so the first in line is always the one answered.
 * When the launcher is gone every question is answered with an error, at once and from then on. */
#include "agent/containerizer/launcher_client.h"

#include <errno.h>
#include <fcntl.h>
#include <utlist.h>

struct ask {
    struct ask *next, *prev;
    struct launcher_msg msg; /* strings owned */
    int fd;
    launcher_done_f *done;
    void *arg;
};

#define LAUNCHER_CLIENT_MAGIC 0x1a0c4e21u
struct launcher_client {
    unsigned magic;
    struct fl_loop *loop;
    int sock;
    bool broken;
    bool failing, closed;          /* fail_all() waits in the loop; and frees us */
    struct fl_watch *read, *write; /* write: only while the socket is full */
    size_t in_flight, max_in_flight;
    uint64_t seq;
    struct ask *waiting, *sent;
};

static void ask_free(struct ask *a)
{
    for (size_t i = 0; i < LAUNCHER_STRINGS; i++)
        free((void *)(uintptr_t)a->msg.s[i]);
    if (a->fd >= 0)
        close(a->fd);
    free(a);
}

static void fail_all(void *arg)
{
    struct launcher_client *c = FL_CAST(launcher_client, LAUNCHER_CLIENT_MAGIC, arg);
    struct ask *a;

    c->failing = false;
    if (c->closed) {
        free(c);
        return;
    }
    while ((a = c->sent ? c->sent : c->waiting)) {
        if (c->sent)
            DL_DELETE(c->sent, a);
        else
            DL_DELETE(c->waiting, a);
        a->done(
            a->arg, -EPIPE, -EBADF,
            "the agent's launcher process has ended, so nothing can be started; restart the agent");
        ask_free(a);
    }
    c->in_flight = 0;
}

static void broken(struct launcher_client *c)
{
    c->broken = true;
    fl_watch_free(c->read);
    fl_watch_free(c->write);
    c->read = c->write = NULL;
    if (!c->failing) {
        c->failing = true;
        fl_loop_defer(c->loop, fail_all, c);
    }
}

static void send_waiting(struct launcher_client *c);

static void on_writable(int fd, bool readable, bool writable, void *arg)
{
    struct launcher_client *c = FL_CAST(launcher_client, LAUNCHER_CLIENT_MAGIC, arg);

    fl_watch_free(c->write);
    c->write = NULL;
    send_waiting(c);
}

static void send_waiting(struct launcher_client *c)
{
    while (c->waiting && !c->broken && !c->write && c->in_flight < c->max_in_flight) {
        struct ask *a = c->waiting;
        int r = launcher_send(c->sock, &a->msg, a->fd);
        if (r == -EAGAIN &&
            fl_watch_new(c->loop, c->sock, false, true, on_writable, c, &c->write, NULL) == 0)
            return;
        if (r < 0) {
            broken(c);
            return;
        }
        close(a->fd);
        a->fd = -EBADF;
        DL_DELETE(c->waiting, a);
        DL_APPEND(c->sent, a);
        c->in_flight++;
    }
}

static void answer(struct launcher_client *c, const struct launcher_msg *m, int pidfd)
{
    struct ask *a = c->sent;

    if (!a || m->head.type != LAUNCHER_DONE || m->head.seq != a->msg.head.seq) {
        if (pidfd >= 0)
            close(pidfd);
        broken(c);
        return;
    }
    DL_DELETE(c->sent, a);
    c->in_flight--;
    a->done(a->arg, m->head.value, pidfd, m->s[0]);
    ask_free(a);
}

static void on_readable(int fd, bool readable, bool writable, void *arg)
{
    struct launcher_client *c = FL_CAST(launcher_client, LAUNCHER_CLIENT_MAGIC, arg);
    char buf[LAUNCHER_MAX_PACKET];

    /* A slice at a time, so that nothing else waits for long. */
    for (int i = 0; i < 32 && !c->broken; i++) {
        struct launcher_msg m;
        int pidfd = -EBADF;
        int n = launcher_recv(c->sock, buf, sizeof(buf), &pidfd);
        if (n == -EAGAIN)
            break;
        if (n <= 0 || launcher_decode(buf, (size_t)n, &m, NULL) < 0) {
            if (pidfd >= 0)
                close(pidfd);
            broken(c);
            return;
        }
        answer(c, &m, pidfd);
    }
    send_waiting(c);
}

int launcher_client_new(struct fl_loop *loop, int sock, size_t max_in_flight,
                        struct launcher_client **ret, struct fl_err *err)
{
    struct launcher_client *c = xnew0(struct launcher_client);

    c->magic = LAUNCHER_CLIENT_MAGIC;
    c->loop = loop;
    c->sock = sock;
    c->max_in_flight = max_in_flight;
    int r = fcntl(sock, F_SETFL, O_NONBLOCK) < 0
                ? fl_err_errno(err, errno, "use the launcher's socket")
                : 0;
    if (r == 0)
        r = fl_watch_new(loop, sock, true, false, on_readable, c, &c->read, err);
    if (r < 0) {
        c->sock = -EBADF;
        launcher_client_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void launcher_client_free(struct launcher_client *c)
{
    struct ask *a, *next;

    if (!c)
        return;
    fl_watch_free(c->read);
    fl_watch_free(c->write);
    DL_FOREACH_SAFE (c->waiting, a, next)
        ask_free(a);
    DL_FOREACH_SAFE (c->sent, a, next)
        ask_free(a);
    if (c->sock >= 0)
        close(c->sock);
    c->closed = true;
    if (!c->failing)
        free(c);
}

void launcher_client_ask(struct launcher_client *c, const struct launcher_msg *m, int fd,
                         launcher_done_f *done, void *arg)
{
    struct ask *a = xnew0(struct ask);

    a->msg.head = m->head;
    a->msg.head.seq = ++c->seq;
    for (size_t i = 0; i < LAUNCHER_STRINGS; i++)
        a->msg.s[i] = xstrdup(m->s[i] ? m->s[i] : "");
    a->fd = fd;
    a->done = done;
    a->arg = arg;
    DL_APPEND(c->waiting, a);
    if (c->broken)
        broken(c);
    else
        send_waiting(c);
}
