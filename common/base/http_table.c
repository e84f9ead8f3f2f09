/* I/O threads with file tables of their own (http_server_config.own_files).
 *
 * RLIMIT_NOFILE counts per file table, and a thread may have one: so the process carries as many connections as its I/O threads have room
 * for, without privileges. A number of a descriptor then means another file on each thread. What several threads use is
 * therefore made before the table is split off, and keeps its number: the descriptors that wake the owner's loop and the thread's own, and the
 * listening socket. All else is closed at once in the new table, or files and connections of others would stay open after their owners
 * closed them. Signals are blocked: libevent's handler writes to a descriptor of the owner's.
 *
 * Each thread takes connections from the one listening socket by itself, as long as it has not many more than the thread with the
 * fewest. When all are nearly full, the owner starts another thread. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "common/base/http_priv.h"
#include "common/base/log.h"

/* Descriptors of a table that are not for connections. */
#define RESERVE 24
/* Connections more than the thread with the fewest has. */
#define SPREAD       16
#define FULL_US      100000
#define OTHERS_US    5000
#define TRY_AGAIN_US 1000000

unsigned table_room(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur > INT32_MAX)
        return INT32_MAX;
    return l.rlim_cur > 2 * RESERVE ? (unsigned)l.rlim_cur - RESERVE : RESERVE;
}

static void close_between(unsigned from, unsigned to)
{
    if (from > to || close_range(from, to, 0) == 0)
        return;
    /* A kernel without that call. */
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur > INT32_MAX)
        l.rlim_cur = 1 << 20;
    for (unsigned fd = from; fd <= to && fd < l.rlim_cur; fd++)
        close((int)fd);
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void close_others(int *keep, size_t n)
{
    unsigned from = 3; /* stdio stays */

    qsort(keep, n, sizeof(*keep), by_number);
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < (int)from)
            continue;
        close_between(from, (unsigned)keep[i] - 1);
        from = (unsigned)keep[i] + 1;
    }
    close_between(from, ~0u);
}

int table_split(struct http_io *io, struct fl_err *err)
{
    int keep[] = {fl_loop_wake_fd(io->loop), fl_loop_wake_fd(io->server->owner),
                  io->server->listen_fd};

    if (unshare(CLONE_FILES) < 0)
        return fl_err_errno(err, errno, "give an HTTP thread a file table of its own");
    close_others(keep, ARRAY_SIZE(keep));
    fl_log_thread_to_stderr();
    return 0;
}

void table_block_signals(sigset_t *ret_old)
{
    sigset_t all;
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};

    sigfillset(&all);
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, ret_old);
}

/* ---- who takes the next connection ---- */

/* Of the threads that have room; UINT32_MAX when none has. */
struct load {
    unsigned fewest, nearly_full, n;
};

static struct load survey(struct http_server *s)
{
    struct load l = {.fewest = UINT32_MAX, .n = atomic_load(&s->n_io)};

    for (unsigned i = 0; i < l.n; i++) {
        unsigned k = fl_loop_sockets(s->io[i].loop);
        l.nearly_full += k >= s->room - s->room / 8;
        if (k < s->room)
            l.fewest = FL_MIN(l.fewest, k);
    }
    return l;
}

/* Owner. */
static void grow(void *arg)
{
    struct http_server *s = FL_CAST(http_server, SERVER_MAGIC, arg);
    struct fl_err err;
    unsigned n = atomic_load(&s->n_io);

    if (s->draining || s->stopped || n >= HTTP_MAX_IO)
        return; /* `growing` stays: no more questions */
    if (io_add(s, &s->io[n], &err) == 0) {
        atomic_store(&s->n_io, n + 1);
    } else {
        io_done(&s->io[n]);
        memset(&s->io[n], 0, sizeof(s->io[n]));
        atomic_fetch_add(&s->failed_threads, 1);
        atomic_store(&s->grow_after_us, fl_loop_now_us(s->owner) + TRY_AGAIN_US);
    }
    atomic_store(&s->growing, false);
}

static void want_another(struct http_io *io)
{
    struct http_server *s = io->server;

    if (atomic_load(&s->growing) || fl_loop_now_us(io->loop) < atomic_load(&s->grow_after_us))
        return;
    if (!atomic_exchange(&s->growing, true))
        fl_loop_post(s->owner, grow, s);
}

uint64_t table_gate(void *arg)
{
    struct http_io *io = arg;
    struct http_server *s = io->server;
    unsigned mine = fl_loop_sockets(io->loop);
    struct load l = survey(s);

    /* Connections that switched protocol are not in the limit. */
    if (l.n > 0 && l.nearly_full == l.n &&
        atomic_load(&s->open_connections) < s->config.limits.max_connections)
        want_another(io);
    if (mine >= s->room) {
        if (!atomic_exchange(&io->full, true))
            HTTP_COUNT(io->stats.tables_filled, 1);
        return FULL_US;
    }
    atomic_store(&io->full, false);
    return l.fewest != UINT32_MAX && mine > l.fewest + SPREAD ? OTHERS_US : 0;
}

unsigned table_full(const struct http_server *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->n_io; i++)
        n += fl_loop_sockets(s->io[i].loop) >= s->room;
    return n;
}
