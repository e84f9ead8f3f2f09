/* See fetching.h. */
#include "agent/containerizer/fetching.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "agent/containerizer/fetch_note.h"
#include "agent/containerizer/runtime_dir.h"
#include "common/base/buf.h"

#define FETCHING_MAGIC 0xfe7c41a6u

struct fetching {
    unsigned magic;
    struct fl_loop *loop;
    bool asked;          /* the launcher still has us as its argument */
    fetching_done_f *fn; /* NULL: nobody waits any more */
    void *arg;
    int note_fd, pidfd; /* -EBADF: none */
    struct fl_watch *watch;
};

void fetching_free(struct fetching *f)
{
    if (!f)
        return;
    fl_watch_free(f->watch);
    if (f->pidfd >= 0) {
        syscall(SYS_pidfd_send_signal, f->pidfd, SIGTERM, NULL, 0);
        close(f->pidfd);
    }
    if (f->note_fd >= 0)
        close(f->note_fd);
    f->magic = 0;
    free(f);
}

void fetching_cancel(struct fetching *f)
{
    if (!f)
        return;
    f->fn = NULL;
    if (!f->asked)
        fetching_free(f);
}

static void finish(struct fetching *f, const struct fl_err *err)
{
    fetching_done_f *fn = f->fn;
    void *arg = f->arg;

    fetching_free(f);
    if (fn)
        fn(arg, err);
}

static void on_note(int fd, bool readable, bool writable, void *arg)
{
    struct fetching *f = FL_CAST(fetching, FETCHING_MAGIC, arg);
    struct fetch_note n;
    struct fl_err err;

    int r = fetch_note_recv(fd, &n, false);
    if (r == -EAGAIN)
        return;
    if (r == 1 && n.type == FETCH_NOTE_DONE) {
        finish(f, NULL);
        return;
    }
    fl_err_set(&err, FL_INTERNAL, "%s",
               r == 1 && n.type == FETCH_NOTE_FAILED ? n.text : "the fetcher ended without a word");
    finish(f, &err);
}

static void on_answered(void *arg, int64_t value, int pidfd, const char *text)
{
    struct fetching *f = FL_CAST(fetching, FETCHING_MAGIC, arg);
    struct fl_err err;

    f->asked = false;
    f->pidfd = pidfd;
    if (!f->fn) {
        fetching_free(f);
    } else if (value < 0) {
        fl_err_set(&err, FL_INTERNAL, "%s", text);
        finish(f, &err);
    } else if (fl_watch_new(f->loop, f->note_fd, true, false, on_note, f, &f->watch, &err) < 0) {
        finish(f, &err);
    }
}

/* Everything directly: the cache is the mesos containerizer's. */
static int write_orders(const char *folder, const V1__CommandInfo *command, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fetch_orders o = {.n = command->n_uris};

    o.items = xcalloc(o.n + 1, sizeof *o.items);
    for (size_t i = 0; i < o.n; i++)
        o.items[i].action = FETCH_DIRECT;
    _cleanup_free_ char *text = fetch_orders_text(&o);
    free(o.items);
    fl_buf_pack(&b, &command->base);
    int r = runtime_file_write(folder, "fetch", b.data, b.len, err);
    return r < 0 ? r : runtime_file_write(folder, "fetch-cache", text, strlen(text), err);
}

int fetching_begin(struct fl_loop *loop, struct launcher_client *launcher, const char *folder,
                   const char *user, const char *sandbox, const V1__CommandInfo *command,
                   fetching_done_f *fn, void *arg, struct fetching **ret, struct fl_err *err)
{
    const struct launcher_msg m = {.head = {.type = LAUNCHER_FETCH},
                                   .s = {folder, user ? user : "", sandbox}};
    int pair[2];

    int r = write_orders(folder, command, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fl_err_errno(err, errno, "make a socket for the fetcher");
    struct fetching *f = xnew0(struct fetching);
    *f = (struct fetching){.magic = FETCHING_MAGIC,
                           .loop = loop,
                           .asked = true,
                           .fn = fn,
                           .arg = arg,
                           .note_fd = pair[0],
                           .pidfd = -EBADF};
    launcher_client_ask(launcher, &m, pair[1], on_answered, f);
    *ret = f;
    return 0;
}
