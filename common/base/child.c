/* See child.h. posix_spawn() clones with the caller's memory, so it is safe in a process with threads and costs the same however
 * large the daemon is. */
#include "common/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/base/buf.h"

#define DEFAULT_OUTPUT (64u << 10)
#define CHILD_MAGIC    0xc411d001u
#define MAX_READS      64 /* more than a pipe holds */

/* One of stdin, stdout, stderr, our end. */
struct pipe_end {
    int fd; /* -EBADF: closed */
    struct fl_watch *watch;
    struct fl_buf data; /* stdin: what is left to write */
};

struct child {
    unsigned magic;
    struct fl_loop *loop;
    child_done_f *done;
    void *arg;
    pid_t pid;
    int pidfd;
    struct fl_watch *exit_watch;
    struct fl_timer *timer;
    struct pipe_end end[3];
    size_t max_output;
    bool hold_input, exited, timed_out, cut;
    int status;
};

static void end_close(struct pipe_end *e)
{
    fl_watch_free(e->watch);
    e->watch = NULL;
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -EBADF;
}

static void release(struct child *c)
{
    for (int i = 0; i < 3; i++) {
        end_close(&c->end[i]);
        fl_buf_done(&c->end[i].data);
    }
    fl_watch_free(c->exit_watch);
    fl_timer_free(c->timer);
    if (c->pidfd >= 0)
        close(c->pidfd);
    fl_loop_forget(c->loop, c);
    c->magic = 0;
    free(c);
}

void child_free(struct child *c)
{
    if (!c)
        return;
    assert(c->magic == CHILD_MAGIC);
    if (c->pid > 0 && !c->exited) {
        kill(-c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    release(c);
}

void child_leave(struct child *c)
{
    if (c)
        release(c);
}

/* What a process that the program left behind still writes is not waited for. */
static void finish(void *arg)
{
    struct child *c = FL_CAST(child, CHILD_MAGIC, arg);
    struct child_result r = {.status = c->status,
                             .timed_out = c->timed_out,
                             .out_len = c->end[1].data.len,
                             .err_len = c->end[2].data.len,
                             .cut = c->cut};

    r.out = fl_buf_cstr(&c->end[1].data);
    r.err = fl_buf_cstr(&c->end[2].data);
    c->done(c->arg, &r);
    release(c);
}

/* Returns false at the end of it. Not for ever: others wait for the loop, and who writes may be as quick as we are. */
static bool take_output(struct child *c, struct pipe_end *e)
{
    char buf[16 << 10];

    for (unsigned i = 0; i < MAX_READS; i++) {
        ssize_t n = read(e->fd, buf, sizeof(buf));
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        size_t room = c->max_output - FL_MIN(e->data.len, c->max_output);
        c->cut = c->cut || (size_t)n > room;
        fl_buf_add(&e->data, buf, FL_MIN((size_t)n, room));
    }
    return true;
}

static void on_output(int fd, bool readable, bool writable, void *arg)
{
    struct child *c = FL_CAST(child, CHILD_MAGIC, arg);
    struct pipe_end *e = &c->end[fd == c->end[1].fd ? 1 : 2];

    if (!take_output(c, e))
        end_close(e);
}

static void on_input(int fd, bool readable, bool writable, void *arg)
{
    struct child *c = FL_CAST(child, CHILD_MAGIC, arg);
    struct pipe_end *e = &c->end[0];

    while (e->data.len > 0) {
        ssize_t n = write(fd, e->data.data, e->data.len);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            end_close(e); /* it does not want to hear more */
            return;
        }
        fl_buf_drain(&e->data, (size_t)n);
    }
    fl_watch_free(e->watch);
    e->watch = NULL;
    if (!c->hold_input)
        end_close(e);
}

static void on_exit_ready(int fd, bool readable, bool writable, void *arg)
{
    struct child *c = FL_CAST(child, CHILD_MAGIC, arg);

    if (waitpid(c->pid, &c->status, WNOHANG) == 0)
        return;
    c->exited = true;
    fl_watch_free(c->exit_watch);
    c->exit_watch = NULL;
    for (int i = 1; i < 3; i++)
        if (c->end[i].fd >= 0)
            take_output(c, &c->end[i]);
    fl_loop_defer(c->loop, finish, c);
}

static void on_timeout(void *arg)
{
    struct child *c = FL_CAST(child, CHILD_MAGIC, arg);

    c->timed_out = true;
    kill(-c->pid, SIGKILL);
}

static int open_pipes(struct child *c, int theirs[3], struct fl_err *err)
{
    for (int i = 0; i < 3; i++) {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) < 0)
            return fl_err_errno(err, errno, "make a pipe");
        theirs[i] = fds[i == 0 ? 0 : 1];
        c->end[i].fd = fds[i == 0 ? 1 : 0];
        fcntl(c->end[i].fd, F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static int spawn(struct child *c, const struct child_spec *spec, const int theirs[3],
                 struct fl_err *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&files, theirs[i], i);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETPGROUP);
    int r = posix_spawn(&c->pid, spec->argv[0], &files, &attr, (char *const *)(uintptr_t)spec->argv,
                        spec->env ? (char *const *)(uintptr_t)spec->env : environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    if (r != 0) {
        c->pid = 0;
        return fl_err_errno(err, r, "run '%s'", spec->argv[0]);
    }
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    return c->pidfd < 0 ? fl_err_errno(err, errno, "watch '%s'", spec->argv[0]) : 0;
}

static int watch_all(struct child *c, struct fl_err *err)
{
    int r = fl_watch_new(c->loop, c->pidfd, true, false, on_exit_ready, c, &c->exit_watch, err);

    if (r == 0 && (c->end[0].data.len > 0 || !c->hold_input))
        r = fl_watch_new(c->loop, c->end[0].fd, false, true, on_input, c, &c->end[0].watch, err);
    for (int i = 1; i < 3 && r == 0; i++)
        r = fl_watch_new(c->loop, c->end[i].fd, true, false, on_output, c, &c->end[i].watch, err);
    return r;
}

int child_run(struct fl_loop *loop, const struct child_spec *spec, child_done_f *done, void *arg,
              struct child **ret, struct fl_err *err)
{
    struct child *c = xnew0(struct child);
    int theirs[3] = {-EBADF, -EBADF, -EBADF};

    *c = (struct child){
        .magic = CHILD_MAGIC, .loop = loop, .done = done, .arg = arg, .pidfd = -EBADF};
    for (int i = 0; i < 3; i++)
        c->end[i] = (struct pipe_end){.fd = -EBADF, .data = FL_BUF_INIT};
    c->max_output = spec->max_output ? spec->max_output : DEFAULT_OUTPUT;
    c->hold_input = spec->hold_input;
    fl_buf_add(&c->end[0].data, spec->input, spec->input_len);
    int r = open_pipes(c, theirs, err);
    if (r == 0)
        r = spawn(c, spec, theirs, err);
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    if (r == 0)
        r = watch_all(c, err);
    if (r < 0) {
        child_free(c);
        return r;
    }
    if (spec->timeout_us) {
        c->timer = fl_timer_new(loop, on_timeout, c);
        fl_timer_set(c->timer, spec->timeout_us);
    }
    if (ret)
        *ret = c;
    return 0;
}

int child_check(const struct child_result *r, const char *what, struct fl_err *err)
{
    const char *said = *r->err ? r->err : r->out;
    int n = (int)strcspn(said, "\n");

    if (r->timed_out)
        return fl_err_set(err, FL_TIMEOUT, "%s did not end in time and was killed", what);
    if (WIFSIGNALED(r->status))
        return fl_err_set(err, FL_UNAVAILABLE, "%s was ended by signal %d", what,
                          WTERMSIG(r->status));
    if (WEXITSTATUS(r->status) != 0)
        return fl_err_set(err, FL_UNAVAILABLE, "%s failed with status %d: %.*s", what,
                          WEXITSTATUS(r->status), n, n ? said : "it said nothing");
    return 0;
}
