/* Asking for a fetcher and hearing from it; the agent's thread. */
#include "agent/containerizer/containerizer_priv.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "agent/containerizer/shim/note.h"

static void let_go(struct container *c)
{
    fl_watch_free(c->note_watch);
    c->note_watch = NULL;
    close(c->note_fd);
    c->note_fd = -EBADF;
    if (c->pidfd >= 0)
        close(c->pidfd);
    c->pidfd = -EBADF;
}

static void on_fetched(int fd, bool readable, bool writable, void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);
    struct shim_note n;
    ssize_t len = recv(fd, &n, sizeof(n), MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    let_go(c);
    if (len <= (ssize_t)offsetof(struct shim_note, text) || ((char *)&n)[len - 1] != '\0') {
        container_end_with(c, CONTAINER_LAUNCH_FAILED, "the fetcher ended without a word");
        return;
    }
    if (n.type == SHIM_FAILED) {
        container_end_with(c, CONTAINER_LAUNCH_FAILED, n.text);
        return;
    }
    container_launch(c);
}

static void fetch_answered(void *arg, int64_t value, int pidfd, const char *text)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);
    struct fl_err err;

    c->asked = false;
    c->pidfd = pidfd;
    if (c->state == CONTAINER_DESTROYING) {
        container_signal_shim(c, SIGKILL);
        container_clean_up(c);
    } else if (value < 0) {
        container_end_with(c, CONTAINER_LAUNCH_FAILED, text);
    } else if (fl_watch_new(c->cz->loop, c->note_fd, true, false, on_fetched, c, &c->note_watch,
                            &err) < 0) {
        container_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
    }
}

int container_fetch(struct container *c, struct fl_err *err)
{
    const struct launcher_msg m = {.head = {.type = LAUNCHER_FETCH},
                                   .s = {c->folder, c->user ? c->user : "", c->sandbox}};
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    int pair[2];

    fl_buf_pack(&b, &c->command->base);
    int r = runtime_file_write(c->folder, "fetch", b.data, b.len, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fl_err_errno(err, errno, "make a socket for container '%s'", c->id);
    c->note_fd = pair[0];
    c->asked = true;
    launcher_client_ask(c->cz->launcher, &m, pair[1], fetch_answered, c);
    return 0;
}
