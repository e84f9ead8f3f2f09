/* See state_fork.h.
 *
 * The child has the core's thread only. So it may take no lock that another thread can have held at that instant: those of
 * interned texts, resources and the log are held by us around the fork, malloc's are glibc's care, and the child calls nothing of the loop,
 * the HTTP server, the registry or the log. It ends by _exit(), or dies with us.
 *
 * Its bytes go into a memfd, the piece that stands in front of them to where room was left for it. Then it tells how much there is through a
 * pipe; the pipe's end without that says that it died. Descriptors stay in the core's thread: I/O threads are given memory. */
#include "master/api/state_fork.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <zlib.h>

#include "common/base/log.h"
#include "common/model/intern.h"

/* Room in front of the bytes. */
#define HEAD_ROOM  4096
#define GZIP_PIECE (4u * 1024 * 1024)
/* What the child steps back behind the core and its I/O threads. */
#define CHILD_NICE 5

/* What the child tells. */
struct told {
    uint64_t offset, len, write_us;
    int32_t gzipped, over_limit;
};

struct state_child {
    struct state_child_config config;
    char *what; /* owned: for messages */
    pid_t pid;
    bool gone;
    int memfd, pipe; /* owned */
    struct fl_watch *watch;
    struct fl_timer *timer;
    bool late;
    struct told told;
    size_t n_told; /* bytes of it that came */
};

/* ---- the child ---- */

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct sink {
    int memfd;
    uint64_t at; /* where the next bytes go */
    size_t max;
    bool over_limit;
};

static void write_at(int fd, const char *p, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t w = pwrite(fd, p, n, (off_t)at);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            _exit(EXIT_FAILURE);
        p += w;
        n -= (size_t)w;
        at += (uint64_t)w;
    }
}

static void sink_add(struct sink *s, const char *p, size_t n)
{
    if (s->at + n > s->max)
        s->over_limit = true;
    if (s->over_limit)
        return;
    write_at(s->memfd, p, n, s->at);
    s->at += n;
}

static void spill(struct state_out *o)
{
    sink_add(o->spill_arg, o->buf.data, o->buf.len);
    o->spilled += o->buf.len;
    fl_buf_clear(&o->buf);
}

static void deflate_all(z_stream *z, const struct fl_buf *in, int flush, struct sink *s,
                        struct fl_buf *out)
{
    size_t at = 0;

    do {
        size_t n = FL_MIN(in->len - at, (size_t)GZIP_PIECE);

        z->next_in = (Bytef *)in->data + at;
        z->avail_in = (uInt)n;
        at += n;
        do {
            z->next_out = (Bytef *)out->data;
            z->avail_out = (uInt)out->cap;
            (void)deflate(z, at == in->len ? flush : Z_NO_FLUSH);
            sink_add(s, out->data, out->cap - z->avail_out);
        } while (z->avail_out == 0 && !s->over_limit);
    } while (at < in->len && !s->over_limit);
}

/* Everything is in the buffer: what stands in front is known before the first byte is compressed. */
static bool compress_into(struct sink *s, const struct state_out *o)
{
    z_stream z = {0};
    struct fl_buf out = FL_BUF_INIT;

    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    fl_buf_reserve(&out, 256 * 1024);
    if (o->head.len)
        deflate_all(&z, &o->head, Z_NO_FLUSH, s, &out);
    deflate_all(&z, &o->buf, Z_FINISH, s, &out);
    return true;
}

static void write_view(const struct state_child_config *c, int memfd, struct told *told)
{
    struct sink s = {.memfd = memfd, .at = HEAD_ROOM, .max = c->max_bytes};
    struct state_out o = {.api = c->api, .rq = c->rq, .tasks = c->tasks, .spill_arg = &s};

    o.spill = c->rq->gzip ? NULL : spill;
    state_write(&o);
    if (c->rq->gzip && o.head.len + o.buf.len >= c->gzip_min && compress_into(&s, &o)) {
        told->gzipped = true;
        told->offset = HEAD_ROOM;
    } else {
        spill(&o);
        assert(o.head.len <= HEAD_ROOM);
        told->offset = HEAD_ROOM - o.head.len;
        write_at(memfd, o.head.data, o.head.len, told->offset);
    }
    told->len = s.at - told->offset;
    told->over_limit = s.over_limit;
}

/* Everything but the two that it needs, and the standard ones. */
static void close_others(int a, int b)
{
    unsigned lo = (unsigned)FL_MIN(a, b), hi = (unsigned)FL_MAX(a, b);

    if (lo > 3)
        (void)close_range(3, lo - 1, 0);
    if (hi > lo + 1)
        (void)close_range(lo + 1, hi - 1, 0);
    (void)close_range(hi + 1, ~0u, 0);
}

/* Our handlers would write to the loop's descriptors, which are the parent's. */
static void default_signals(const sigset_t *before)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2};

    for (size_t i = 0; i < ARRAY_SIZE(handled); i++)
        (void)signal(handled[i], SIG_DFL);
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

static _Noreturn void child_main(const struct state_child_config *c, int memfd, int pipe_end,
                                 pid_t parent, const sigset_t *signals)
{
    uint64_t begun = now_us();
    struct told told = {0};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    default_signals(signals);
    (void)prctl(PR_SET_NAME, "state-snapshot");
    close_others(memfd, pipe_end);
    (void)setpriority(PRIO_PROCESS, 0, CHILD_NICE);
    write_view(c, memfd, &told);
    told.write_us = now_us() - begun;
    if (write(pipe_end, &told, sizeof(told)) != (ssize_t)sizeof(told))
        _exit(EXIT_FAILURE);
    _exit(EXIT_SUCCESS);
}

/* ---- the parent ---- */

static void hold_locks(bool hold)
{
    if (hold) {
        resources_fork_hold(true);
        intern_fork_hold(true);
        fl_log_fork_hold(true);
    } else {
        fl_log_fork_hold(false);
        intern_fork_hold(false);
        resources_fork_hold(false);
    }
}

static pid_t fork_child(const struct state_child_config *c, int memfd, int pipe_end)
{
    pid_t parent = getpid(), pid;
    sigset_t all, before;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    hold_locks(true);
    pid = fork();
    hold_locks(false);
    if (pid == 0)
        child_main(c, memfd, pipe_end, parent, &before);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

bool state_child_gone(struct state_child *c)
{
    if (!c->gone && waitpid(c->pid, NULL, WNOHANG) != 0)
        c->gone = true;
    return c->gone;
}

struct mapping {
    void *at;
    size_t len;
    _Atomic size_t *held;
};

/* On the thread that sent the last byte. */
static void unmap(void *arg)
{
    struct mapping *m = arg;

    (void)munmap(m->at, m->len);
    atomic_fetch_sub(m->held, m->len);
    free(m);
}

static int map_bytes(struct state_child *c, struct fl_region **ret, struct fl_err *err)
{
    size_t len = (size_t)(c->told.offset + c->told.len);
    void *at = mmap(NULL, len, PROT_READ, MAP_SHARED, c->memfd, 0);
    struct mapping *m;

    if (at == MAP_FAILED)
        return fl_err_errno(err, errno, "map the %zu bytes of %s", len, c->what);
    m = xnew0(struct mapping);
    *m = (struct mapping){at, len, c->config.held};
    atomic_fetch_add(m->held, len);
    *ret = fl_region_new((const char *)at + c->told.offset, (size_t)c->told.len, unmap, m);
    return 0;
}

static void finish(struct state_child *c)
{
    struct state_child_result r = {.gzipped = c->told.gzipped, .write_us = c->told.write_us};
    struct fl_err err = {0};

    fl_watch_free(TAKE_PTR(c->watch));
    fl_timer_free(TAKE_PTR(c->timer));
    closep(&c->pipe);
    c->pipe = -EBADF;
    if (c->late)
        fl_err_set(&err, FL_UNAVAILABLE, "Writing %s took longer than %u s", c->what,
                   c->config.timeout_s);
    else if (c->n_told < sizeof(c->told))
        fl_err_set(&err, FL_INTERNAL,
                   "The process that wrote %s ended before it was done; try again", c->what);
    else if (c->told.over_limit)
        fl_err_set(&err, FL_UNAVAILABLE,
                   "%s needs more memory than --max_state_snapshot_bytes leaves; try again when "
                   "others have read theirs, or ask for parts of it",
                   c->what);
    else
        (void)map_bytes(c, &r.bytes, &err);
    closep(&c->memfd);
    c->memfd = -EBADF;
    c->config.done(c->config.arg, &r, &err);
}

static void on_pipe(int fd, bool readable, bool writable, void *arg)
{
    struct state_child *c = arg;
    ssize_t n;

    do
        n = read(fd, (char *)&c->told + c->n_told, sizeof(c->told) - c->n_told);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0)
        c->n_told += (size_t)n;
    if (n <= 0 || c->n_told == sizeof(c->told))
        finish(c);
}

static void on_late(void *arg)
{
    struct state_child *c = arg;

    c->late = true; /* the pipe's end follows */
    (void)kill(c->pid, SIGKILL);
}

int state_child_new(const struct state_child_config *config, struct state_child **ret,
                    struct fl_err *err)
{
    struct state_child *c = xnew0(struct state_child);
    int ends[2] = {-EBADF, -EBADF}, r = 0;

    c->config = *config;
    c->what = xstrdup(config->rq->view->name);
    c->pipe = c->memfd = -EBADF;
    c->gone = true;
    c->memfd = memfd_create("fairlead-state", MFD_CLOEXEC);
    if (c->memfd < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        r = fl_err_errno(err, errno, "make room for %s", c->what);
    } else {
        c->pipe = ends[0];
        c->pid = fork_child(config, c->memfd, ends[1]);
        c->gone = c->pid < 0;
        if (c->pid < 0)
            r = fl_err_errno(err, errno, "fork a process for %s", c->what);
        close(ends[1]);
    }
    if (r == 0)
        r = fl_watch_new(config->loop, c->pipe, true, false, on_pipe, c, &c->watch, err);
    if (r < 0) {
        state_child_free(c);
        return r;
    }
    c->config.rq = NULL;
    c->timer = fl_timer_new(config->loop, on_late, c);
    fl_timer_set(c->timer, config->timeout_s * 1000000ull);
    *ret = c;
    return 0;
}

void state_child_free(struct state_child *c)
{
    if (!c)
        return;
    if (!state_child_gone(c)) {
        (void)kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    fl_watch_free(c->watch);
    fl_timer_free(c->timer);
    closep(&c->pipe);
    closep(&c->memfd);
    free(c->what);
    free(c);
}
