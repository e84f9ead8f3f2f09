/* Standard input and output of sessions, and of containers with a terminal, as far as the agent holds them.
 *
 *   session              pipes; the agent reads the one and writes the other end
 *   session + terminal   the agent holds its master
 *   task + terminal      the shim holds the master and relays to us (shim/io.c); we keep a second for the size of its window
 *
 * A session's output is not read before somebody listens, so it loses nothing and waits for the first one; a task's is read always.
 * After a restart of the agent sessions have ended. The shim of a terminal listens in its runtime folder, so that the next agent finds
 * it again; what came meanwhile went to the sandbox alone.
 * The agent's thread. */
#include "agent/containerizer/containerizer_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <utlist.h>

#include "agent/containerizer/shim/note.h"

#define PIECE         (32u << 10)
#define MAX_TYPED     ((size_t)1 << 20)
#define ENOUGH_TYPED  ((size_t)64 << 10)
#define MAX_LISTENERS 64

struct listener {
    struct container_listener l;
    struct listener *prev, *next;
};

struct container_io {
    struct container *c;
    int in, out, err; /* `out` may be `in`; -EBADF: none, or at its end */
    int master;       /* a terminal's; may be `in` */
    struct fl_watch *in_watch, *out_watch, *err_watch;
    struct fl_buf typed; /* not yet taken */
    bool eof;            /* no more comes; `in` is closed once `typed` is gone */
    bool full;           /* who types has been asked to wait */
    bool joining;        /* after a restart, and the terminal has not been handed over yet */
    struct listener *listeners;
    unsigned n_listeners;
};

static const V1__TTYInfo *tty_of(const struct container *c)
{
    return c->info ? c->info->tty_info : NULL;
}

bool container_io_wanted(const struct container *c)
{
    return c->debug || tty_of(c);
}

uint64_t container_io_flags(const struct container *c)
{
    if (!container_io_wanted(c))
        return 0;
    return PLAN_IO | (tty_of(c) ? PLAN_TTY | (c->debug ? 0 : PLAN_RELAY) : 0);
}

/* ---- output ---- */

static void stop_reading(struct container_io *io)
{
    fl_watch_free(io->out_watch);
    fl_watch_free(io->err_watch);
    io->out_watch = io->err_watch = NULL;
}

/* The slowest listener sets the pace: the container waits when its pipe is full. */
static void tell(struct container_io *io, int fd, const void *data, size_t n)
{
    struct listener *l, *tmp;

    DL_FOREACH_SAFE (io->listeners, l, tmp) {
        if (l->l.output && !l->l.output(l->l.arg, fd, data, n))
            stop_reading(io);
    }
}

static void close_out(struct container_io *io, int which)
{
    int *fd = which == 1 ? &io->out : &io->err;
    struct fl_watch **w = which == 1 ? &io->out_watch : &io->err_watch;

    fl_watch_free(*w);
    *w = NULL;
    if (*fd >= 0 && *fd != io->in && *fd != io->master)
        close(*fd);
    *fd = -EBADF;
}

/* One piece; false when there is none now. */
static bool take_output(struct container_io *io, int which)
{
    char buf[PIECE];
    int fd = which == 1 ? io->out : io->err;

    if (fd < 0)
        return false;
    ssize_t n = read(fd, buf, sizeof(buf));
    if (n > 0) {
        tell(io, which, buf, (size_t)n);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_out(io, which);
    return false;
}

static void on_out(int fd, bool readable, bool writable, void *arg)
{
    take_output(arg, 1);
}

static void on_err(int fd, bool readable, bool writable, void *arg)
{
    take_output(arg, 2);
}

static int start_reading(struct container_io *io, struct fl_err *err)
{
    struct fl_loop *loop = io->c->cz->loop;
    int r = 0;

    if (io->joining)
        return 0;
    if (io->out >= 0 && !io->out_watch)
        r = fl_watch_new(loop, io->out, true, false, on_out, io, &io->out_watch, err);
    if (r == 0 && io->err >= 0 && !io->err_watch)
        r = fl_watch_new(loop, io->err, true, false, on_err, io, &io->err_watch, err);
    return r;
}

/* ---- input ---- */

static void input_taken(struct container_io *io)
{
    struct listener *l, *tmp;

    fl_watch_free(io->in_watch);
    io->in_watch = NULL;
    if (io->eof && io->in >= 0 && io->master < 0) {
        close(io->in);
        io->in = -EBADF;
    }
    bool full = io->full;
    io->full = false;
    DL_FOREACH_SAFE (io->listeners, l, tmp) {
        if (full && l->l.drained)
            l->l.drained(l->l.arg);
    }
}

static void on_in(int fd, bool readable, bool writable, void *arg)
{
    struct container_io *io = arg;
    ssize_t n = write(fd, io->typed.data, io->typed.len);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* After an error nobody reads it any more. */
    fl_buf_drain(&io->typed, n < 0 ? io->typed.len : (size_t)n);
    if (io->typed.len == 0)
        input_taken(io);
}

/* ---- making ---- */

static int send_fds(const struct container *c, const int *fds, size_t n, struct fl_err *err)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control = {.space = {0}};
    char byte = 'i';
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *m = CMSG_FIRSTHDR(&mh);

    m->cmsg_level = SOL_SOCKET;
    m->cmsg_type = SCM_RIGHTS;
    m->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(m), fds, n * sizeof(int));
    if (sendmsg(c->note_fd, &mh, MSG_NOSIGNAL) < 0)
        return fl_err_errno(err, errno, "send descriptors to container '%s'", c->id);
    return 0;
}

static void not_blocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int open_pipes(struct container_io *io, struct fl_err *err)
{
    int p[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    int r = 0;

    for (int i = 0; i < 3 && r == 0; i++)
        if (pipe2(p[i], O_CLOEXEC) < 0)
            r = fl_err_errno(err, errno, "make pipes for container '%s'", io->c->id);
    const int theirs[3] = {p[0][0], p[1][1], p[2][1]};
    if (r == 0)
        r = send_fds(io->c, theirs, 3, err);
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    io->in = p[0][1];
    io->out = p[1][0];
    io->err = p[2][0];
    if (r == 0) {
        not_blocking(io->in);
        not_blocking(io->out);
        not_blocking(io->err);
    }
    return r;
}

static void set_window(int master, unsigned rows, unsigned columns)
{
    const struct winsize w = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    ioctl(master, TIOCSWINSZ, &w);
}

static int open_terminal(struct container_io *io, int *ret_slave, struct fl_err *err)
{
    const V1__TTYInfo *tty = tty_of(io->c);
    int unlock = 0;

    io->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (io->master < 0 || ioctl(io->master, TIOCSPTLCK, &unlock) < 0)
        return fl_err_errno(err, errno, "make a terminal for container '%s'", io->c->id);
    *ret_slave = ioctl(io->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*ret_slave < 0)
        return fl_err_errno(err, errno, "open the terminal of container '%s'", io->c->id);
    if (tty->window_size)
        set_window(io->master, tty->window_size->rows, tty->window_size->columns);
    return 0;
}

static int open_tty(struct container_io *io, struct fl_err *err)
{
    _cleanup_close_ int slave = -EBADF;
    int pair[2], r = open_terminal(io, &slave, err);

    if (r < 0)
        return r;
    if (io->c->debug) {
        io->in = io->out = io->master;
        not_blocking(io->master);
        return send_fds(io->c, &slave, 1, err);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return fl_err_errno(err, errno, "make a socket for container '%s'", io->c->id);
    io->in = io->out = pair[0];
    const int fds[3] = {slave, io->master, pair[1]};
    r = send_fds(io->c, fds, 3, err);
    close(pair[1]);
    return r == 0 ? start_reading(io, err) : r;
}

int container_io_open(struct container *c, struct fl_err *err)
{
    struct container_io *io = xnew0(struct container_io);

    io->c = c;
    io->in = io->out = io->err = io->master = -EBADF;
    c->io = io;
    return tty_of(c) ? open_tty(io, err) : open_pipes(io, err);
}

/* ---- after a restart ---- */

/* The first message of the shim is the terminal itself. */
static void on_joined(int fd, bool readable, bool writable, void *arg)
{
    struct container_io *io = arg;
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof(control.space)};
    struct fl_err ignored;

    ssize_t n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    fl_watch_free(io->out_watch);
    io->out_watch = NULL;
    io->joining = false;
    const struct cmsghdr *m = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
    if (m && m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS)
        memcpy(&io->master, CMSG_DATA(m), sizeof(int));
    start_reading(io, &ignored);
}

/* Through the folder's descriptor: a path may be longer than an address. */
static int join_shim(const char *folder)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    _cleanup_close_ int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (dir < 0 || fd < 0)
        return -errno;
    fl_snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir, SHIM_IO_SOCKET);
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

void container_io_recover(struct container *c)
{
    struct fl_err err;
    int fd = join_shim(c->folder);

    if (fd < 0)
        return;
    struct container_io *io = xnew0(struct container_io);
    io->c = c;
    io->err = io->master = -EBADF;
    io->in = io->out = fd;
    io->joining = true;
    c->io = io;
    if (fl_watch_new(c->cz->loop, fd, true, false, on_joined, io, &io->out_watch, &err) < 0) {
        container_io_free(io);
        c->io = NULL;
    }
}

/* ---- the end ---- */

void container_io_end(struct container *c)
{
    struct container_io *io = c->io;
    struct listener *l, *tmp;

    if (!io)
        return;
    /* Whoever wrote is gone: there is no more than the pipes hold. */
    while (take_output(io, 1) || take_output(io, 2))
        ;
    DL_FOREACH_SAFE (io->listeners, l, tmp) {
        DL_DELETE(io->listeners, l);
        l->l.end(l->l.arg);
        free(l);
    }
    io->n_listeners = 0;
}

void container_io_free(struct container_io *io)
{
    struct listener *l, *tmp;

    if (!io)
        return;
    fl_watch_free(io->in_watch);
    close_out(io, 1);
    close_out(io, 2);
    if (io->in >= 0 && io->in != io->master)
        close(io->in);
    if (io->master >= 0)
        close(io->master);
    DL_FOREACH_SAFE (io->listeners, l, tmp) {
        DL_DELETE(io->listeners, l);
        free(l);
    }
    fl_buf_done(&io->typed);
    free(io);
}

/* ---- the vtable ---- */

static struct container_io *find(struct containerizer *base, const char *id, struct fl_err *err)
{
    struct container *c;

    HASH_FIND_STR(real_of(base)->containers, id, c);
    if (!c)
        fl_err_set(err, FL_NOT_FOUND, "Container %s cannot be found", id);
    else if (!c->io)
        fl_err_set(err, FL_INTERNAL,
                   "Container %s has no terminal and is no session, so nothing can be attached to "
                   "it",
                   id);
    return c ? c->io : NULL;
}

int container_io_attach(struct containerizer *base, const char *id,
                        const struct container_listener *l, struct fl_err *err)
{
    struct container_io *io = find(base, id, err);
    struct listener *own;

    if (!io)
        return err->code;
    if (io->n_listeners >= MAX_LISTENERS)
        return fl_err_set(err, FL_LIMIT, "%u are attached to container '%s' already",
                          io->n_listeners, id);
    if (l->output && start_reading(io, err) < 0)
        return err->code;
    own = xnew0(struct listener);
    own->l = *l;
    DL_APPEND(io->listeners, own);
    io->n_listeners++;
    return 0;
}

void container_io_detach(struct containerizer *base, const char *id, const void *arg)
{
    struct fl_err ignored;
    struct container_io *io = find(base, id, &ignored);
    struct listener *l, *tmp;

    if (!io)
        return;
    DL_FOREACH_SAFE (io->listeners, l, tmp) {
        if (l->l.arg != arg)
            continue;
        DL_DELETE(io->listeners, l);
        io->n_listeners--;
        free(l);
    }
    if (io->listeners)
        start_reading(io, &ignored);
}

void container_io_resume(struct containerizer *base, const char *id)
{
    struct fl_err ignored;
    struct container_io *io = find(base, id, &ignored);

    if (io)
        start_reading(io, &ignored);
}

int container_io_input(struct containerizer *base, const char *id, const void *data, size_t n,
                       struct fl_err *err)
{
    static const char end_of_transmission = 4;
    struct container_io *io = find(base, id, err);

    if (!io)
        return err->code;
    if (io->in < 0 || io->eof)
        return 0;
    if (io->typed.len + n > MAX_TYPED)
        return fl_err_set(err, FL_LIMIT, "container '%s' reads its input too slowly", id);
    if (n > 0)
        fl_buf_add(&io->typed, data, n);
    else if (io->in == io->out || io->master >= 0)
        fl_buf_add(&io->typed, &end_of_transmission, 1); /* a terminal's way to say so */
    else
        io->eof = true;
    if (io->typed.len == 0)
        input_taken(io);
    else if (!io->in_watch) {
        int r = fl_watch_new(io->c->cz->loop, io->in, false, true, on_in, io, &io->in_watch, err);
        if (r < 0)
            return r;
    }
    io->full = io->typed.len > ENOUGH_TYPED;
    return io->full;
}

void container_io_window(struct containerizer *base, const char *id, unsigned rows,
                         unsigned columns)
{
    struct fl_err ignored;
    struct container_io *io = find(base, id, &ignored);

    if (io && io->master >= 0)
        set_window(io->master, rows, columns);
}
