/* stdin, stdout and stderr that the agent holds the other ends of, and the relay of a task's terminal.
 *
 * The agent sends the descriptors as the first message on our socket, before we run. The terminal of a task is relayed: what comes out
 * of it goes to the sandbox, and to the agent as long as there is one that reads, so the task neither stops nor ends with the agent.
 * Nothing here waits. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* More than a terminal holds. */
#define MAX_READS 64

static int take_fds(int fds[3])
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control;
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof(control.space)};
    struct cmsghdr *c;
    int n = 0;

    if (recvmsg(SHIM_SOCKET_FD, &mh, MSG_CMSG_CLOEXEC) <= 0)
        return 0;
    c = CMSG_FIRSTHDR(&mh);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), (size_t)n * sizeof(int));
    }
    return n;
}

/* By a name in the runtime folder, from within: its path may be longer than an address. */
static int listen_in_folder(struct shim *s, struct shim_error *e)
{
    static const struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = SHIM_IO_SOCKET};

    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd < 0 || fchdir(s->folder_fd) < 0)
        return fail(e, errno, "listen at", SHIM_IO_SOCKET);
    int r = bind(s->listen_fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
                    listen(s->listen_fd, 4) < 0
                ? fail(e, errno, "listen at", SHIM_IO_SOCKET)
                : 0;
    if (chdir("/") < 0)
        return fail(e, errno, "go to", "/");
    return r;
}

/* A later agent: it gets the terminal, and is who is relayed to from now on. */
static void accept_agent(struct shim *s)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte = 'm';
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof(control.space)};
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    memset(&control, 0, sizeof(control));
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &s->master_fd, sizeof(int));
    if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0) {
        close(fd);
        return;
    }
    if (s->relay_fd >= 0)
        close(s->relay_fd);
    s->relay_fd = fd;
}

int receive_io(struct shim *s, int fds[3], struct shim_error *e)
{
    int got[3] = {-1, -1, -1};
    int n = take_fds(got), want = s->flags & PLAN_TTY ? (s->flags & PLAN_RELAY ? 3 : 1) : 3;

    if (n != want)
        return fail(e, EPROTO, "take stdin, stdout and stderr of", s->program);
    if (!(s->flags & PLAN_TTY)) {
        memcpy(fds, got, sizeof(got));
        return 0;
    }
    fds[0] = got[0];
    fds[1] = fcntl(got[0], F_DUPFD_CLOEXEC, 4);
    fds[2] = fcntl(got[0], F_DUPFD_CLOEXEC, 4);
    if (s->switch_user && fchown(got[0], s->uid, (gid_t)-1) < 0)
        return fail(e, errno, "give the terminal to the user of", s->program);
    if (!(s->flags & PLAN_RELAY))
        return 0;
    s->master_fd = got[1];
    s->relay_fd = got[2];
    /* Kept open: a task that closes its terminal may open it again, and were all of them closed the master would be ready for ever. */
    s->slave_fd = fcntl(got[0], F_DUPFD_CLOEXEC, 4);
    int err = log_open(s, 0, e) < 0 ? -1 : open_output(s, "stderr", e);
    if (err < 0)
        return -1;
    close(err);
    fcntl(s->master_fd, F_SETFL, fcntl(s->master_fd, F_GETFL) | O_NONBLOCK);
    return s->flags & PLAN_CHECKPOINT ? listen_in_folder(s, e) : 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void out(struct shim *s)
{
    char buf[4096];
    ssize_t n = 0;

    /* Not for ever: there are signals to be seen to, and what is typed, which may be the way to end it. */
    for (unsigned k = 0; k < MAX_READS; k++) {
        n = read(s->master_fd, buf, sizeof(buf));
        if (n <= 0)
            break;
        log_write(s, 0, buf, (size_t)n);
        if (s->relay_fd >= 0)
            send(s->relay_fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        /* It was hung up. There is nothing for an agent then: sockets left open, and not read, would be ready for ever. */
        close_fd(&s->master_fd);
        close_fd(&s->slave_fd);
        close_fd(&s->relay_fd);
        close_fd(&s->listen_fd);
        s->n_typed = 0;
    }
}

static void in(struct shim *s)
{
    if (s->n_typed == 0 && s->relay_fd >= 0) {
        ssize_t n = recv(s->relay_fd, s->typed, sizeof(s->typed), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            close(s->relay_fd); /* the agent has gone */
            s->relay_fd = -1;
        }
        s->n_typed = n > 0 ? (size_t)n : 0;
    }
    if (s->n_typed > 0 && s->master_fd >= 0) {
        ssize_t n = write(s->master_fd, s->typed, s->n_typed);
        if (n > 0) {
            s->n_typed -= (size_t)n;
            memmove(s->typed, s->typed + n, s->n_typed);
        }
    }
}

void relay_terminal(struct shim *s)
{
    if (s->listen_fd >= 0 && s->master_fd >= 0)
        accept_agent(s);
    if (s->master_fd >= 0)
        out(s);
    if (s->master_fd >= 0)
        in(s);
}
