/* See supervisor.h. Workers are forked before there is a loop, or, when the cluster has grown, from it: the child closes what it inherited
 * and never touches the parent's loop. */
#include "emulator/supervisor.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "emulator/emulator.h"

/* More workers than descriptors ask for pay only when there are many agents: each costs a few megabytes. */
#define AGENTS_A_WORKER 15000
#define END_US          10000000ull
#define SEND_S          10

/* ---- workers ---- */

static _Noreturn void be_worker(struct emu_supervisor *s, unsigned index, int fd, pid_t parent)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct emulator *e;
    struct fl_err err;
    int r;

    /* Whatever becomes of the parent, no worker stays behind. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(1);
    if (fd > 3)
        close_range(3, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0u, 0);
    sigaction(SIGPIPE, &ignore, NULL);
    /* An interrupt at the terminal reaches all: the parent ends them. */
    sigaction(SIGINT, &ignore, NULL);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
    r = emulator_new(s->kit, s->roster, index, emu_supervisor_stats(s, index), fd, &e, &err);
    if (r == 0)
        emulator_run(e);
    else
        fprintf(stderr, "fairlead-emulator: worker %u: %s\n", index + 1, err.msg);
    /* What the agents hold goes with the process. */
    fflush(NULL);
    _exit(r < 0 ? 1 : 0);
}

static int fork_worker(struct emu_supervisor *s, struct fl_err *err)
{
    const struct timeval limit = {.tv_sec = SEND_S};
    struct emu_worker *w;
    pid_t parent = getpid(), pid;
    int fds[2];

    if (s->n_workers == EMU_MAX_WORKERS)
        return fl_err_set(err, FL_LIMIT, "there are %d workers already", EMU_MAX_WORKERS);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return fl_err_errno(err, errno, "make a socket for a worker");
    /* A worker that takes no commands must not stop everything for ever. */
    setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        be_worker(s, s->n_workers, fds[1], parent);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return fl_err_errno(err, errno, "fork worker %u", s->n_workers + 1);
    }
    w = xnew0(struct emu_worker);
    *w = (struct emu_worker){.s = s, .pid = pid, .fd = fds[0]};
    s->workers[s->n_workers++] = w;
    return 0;
}

/* ---- the end ---- */

static void begin_end(struct emu_supervisor *s)
{
    if (s->ending)
        return;
    s->ending = true;
    for (unsigned i = 0; i < s->n_workers; i++) {
        if (s->workers[i]->pid)
            kill(s->workers[i]->pid, SIGTERM);
    }
    if (s->end_timer)
        fl_timer_set(s->end_timer, END_US);
}

static void on_end_late(void *arg)
{
    struct emu_supervisor *s = arg;

    for (unsigned i = 0; i < s->n_workers; i++) {
        if (s->workers[i]->pid)
            kill(s->workers[i]->pid, SIGKILL);
    }
}

static void worker_ended(struct emu_supervisor *s, unsigned i, int status)
{
    struct emu_worker *w = s->workers[i];
    pid_t pid = w->pid;

    w->pid = 0;
    if (s->ending)
        return;
    s->status = fl_err_set(&s->why, FL_UNAVAILABLE,
                           "worker %u of %u (process %d), with %zu agents, %s %d: the others end, "
                           "too",
                           i + 1, s->n_workers, (int)pid, s->roster->load[i],
                           WIFSIGNALED(status) ? "was killed by signal" : "ended with status",
                           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    begin_end(s);
}

/* True: none is left. */
static bool reap(struct emu_supervisor *s)
{
    bool left = false;

    for (unsigned i = 0; i < s->n_workers; i++) {
        int status;

        if (s->workers[i]->pid && waitpid(s->workers[i]->pid, &status, WNOHANG) > 0)
            worker_ended(s, i, status);
        left = left || s->workers[i]->pid;
    }
    return !left;
}

static void on_signal(int fd, bool readable, bool writable, void *arg)
{
    struct emu_supervisor *s = arg;
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD)
            begin_end(s);
    }
    if (reap(s) && s->ending)
        fl_loop_stop(s->loop);
}

/* ---- numbers ---- */

static void tell_when_whole(struct emu_supervisor *s)
{
    struct emu_totals t;

    if (s->told)
        return;
    emu_supervisor_totals(s, &t);
    for (unsigned i = 0; i < s->n_workers; i++) {
        if (emu_supervisor_stats(s, i)->applied < s->commands)
            return;
    }
    if (t.registered < s->roster->present)
        return;
    s->told = true;
    printf("All %zu agents are registered with %s after %.1f s.\n", s->roster->present, t.master,
           emu_supervisor_age(s));
    fflush(stdout);
}

static void on_nudge(int fd, bool readable, bool writable, void *arg)
{
    struct emu_worker *w = arg;
    char buf[16];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
        ;
    if (n == 0) { /* it ends: SIGCHLD says how */
        fl_watch_free(w->watch);
        w->watch = NULL;
        return;
    }
    tell_when_whole(w->s);
}

static void on_report(void *arg)
{
    struct emu_supervisor *s = arg;
    struct emu_totals t;

    tell_when_whole(s);
    emu_supervisor_totals(s, &t);
    printf("%.0f s: %llu of %zu agents registered, tasks: %llu running, %llu finished, %llu "
           "failed, %llu killed; %llu connections and %llu messages lost, %llu restarts; cpu %.1f "
           "s, memory %llu MB in %u workers; faults:",
           emu_supervisor_age(s), (unsigned long long)t.registered, s->roster->present,
           (unsigned long long)t.running, (unsigned long long)t.finished,
           (unsigned long long)t.failed, (unsigned long long)t.killed,
           (unsigned long long)t.disconnects, (unsigned long long)t.faults[EMU_LOSE],
           (unsigned long long)t.restarts, t.cpu_s, (unsigned long long)t.rss_kb / 1024,
           s->n_workers);
#define EMU_FAULT(name, word, counted)                                                             \
    printf(" %llu " counted "%s", (unsigned long long)t.faults[EMU_##name],                        \
           EMU_##name + 1 < EMU_N_FAULTS ? "," : "\n");
#include "emulator/faults.def"
#undef EMU_FAULT
    fflush(stdout);
    fl_timer_set(s->report_timer, s->kit->options.report_us);
}

/* ---- commands ---- */

static int send_all(struct emu_supervisor *s, const struct emu_command *c, struct fl_err *err)
{
    for (unsigned i = 0; i < s->n_workers; i++) {
        struct emu_worker *w = s->workers[i];

        if (send(w->fd, c, sizeof *c, MSG_NOSIGNAL) == (ssize_t)sizeof *c)
            continue;
        /* The others have it, and this one never will: they would not agree any more. */
        s->status =
            fl_err_set(&s->why, FL_UNAVAILABLE, "worker %u (process %d) takes no commands: all end",
                       i + 1, (int)w->pid);
        begin_end(s);
        *err = s->why;
        return s->status;
    }
    s->commands++;
    return 0;
}

static int make_room(struct emu_supervisor *s, uint64_t more, struct fl_err *err)
{
    static const struct emu_command command = {.verb = EMU_NEW_WORKER};

    while (s->roster->n_workers * s->capacity < s->roster->present + more) {
        struct emu_worker_stats *stats = emu_supervisor_stats(s, s->n_workers);
        int r;

        if (s->n_workers == EMU_MAX_WORKERS)
            return fl_err_set(err, FL_LIMIT, "%d workers carry no more than %zu agents",
                              EMU_MAX_WORKERS, EMU_MAX_WORKERS * s->capacity);
        r = send_all(s, &command, err);
        if (r < 0)
            return r;
        emu_roster_add_worker(s->roster);
        stats->applied = s->commands; /* it begins after them */
        r = fork_worker(s, err);
        if (r == 0)
            r = fl_watch_new(s->loop, s->workers[s->n_workers - 1]->fd, true, false, on_nudge,
                             s->workers[s->n_workers - 1], &s->workers[s->n_workers - 1]->watch,
                             err);
        if (r < 0) {
            s->status = r;
            s->why = *err;
            begin_end(s);
            return r;
        }
    }
    return 0;
}

int emu_supervisor_command(struct emu_supervisor *s, const struct emu_command *c, uint64_t *ret_n,
                           struct fl_err *err)
{
    const struct emu_choice choice = {
        .group = c->group, .fraction = c->fraction, .count = c->count, .names = c->names};
    uint64_t n = c->count;
    int r = 0;

    if (s->ending)
        return fl_err_set(err, FL_UNAVAILABLE, "the emulator ends");
    if (c->verb == EMU_GROW) {
        r = make_room(s, c->count, err);
        if (r == 0)
            emu_roster_grow(s->roster, c->group, c->count, NULL, NULL);
        s->told = false;
    } else if (c->verb == EMU_SHRINK) {
        n = emu_roster_shrink(s->roster, c->group, c->count, NULL, NULL);
    } else if (c->verb == EMU_FAIL) {
        r = emu_roster_choose(s->roster, &choice, NULL, NULL, &n, err);
    } else {
        n = c->group == EMU_ALL_GROUPS ? s->roster->present : s->roster->groups[c->group].present;
    }
    if (r == 0)
        r = send_all(s, c, err);
    if (r == 0)
        *ret_n = n;
    return r;
}

/* ---- life ---- */

static int count_workers(struct emu_supervisor *s, unsigned *ret, struct fl_err *err)
{
    uint64_t agents = emu_cluster_count(s->kit->cluster), need, n = s->kit->options.workers;
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return fl_err_errno(err, errno, "read the limit of open files");
    if (l.rlim_max <= EMU_OTHER_FDS)
        return fl_err_set(err, FL_LIMIT, "the hard limit of open files is %llu: too low",
                          (unsigned long long)l.rlim_max);
    s->capacity = FL_MIN(l.rlim_max - EMU_OTHER_FDS, 1000000);
    need = (agents + s->capacity - 1) / s->capacity;
    if (n == 0)
        n = FL_MAX(need, (agents + AGENTS_A_WORKER - 1) / AGENTS_A_WORKER);
    if (n < need || n > EMU_MAX_WORKERS)
        return fl_err_set(err, FL_INVALID,
                          "--workers=%llu: %llu agents need %llu to %d workers, for each of them "
                          "may open %llu files",
                          (unsigned long long)n, (unsigned long long)agents,
                          (unsigned long long)need, EMU_MAX_WORKERS,
                          (unsigned long long)l.rlim_max);
    *ret = (unsigned)n;
    return 0;
}

static int start_workers(struct emu_supervisor *s, struct fl_err *err)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    unsigned n = 0;
    sigset_t set;
    int r = count_workers(s, &n, err);

    if (r < 0)
        return r;
    s->stats = emu_stats_map(s->kit->cluster->n_groups, err);
    if (!s->stats)
        return -ENOMEM;
    s->roster = emu_roster_new(s->kit->cluster, n);
    for (unsigned i = 0; i < s->kit->cluster->n_groups; i++)
        emu_roster_grow(s->roster, i, s->kit->cluster->groups[i].count, NULL, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &s->mask);
    sigaction(SIGPIPE, &ignore, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return fl_err_errno(err, errno, "watch signals");
    for (unsigned i = 0; r == 0 && i < n; i++)
        r = fork_worker(s, err);
    return r;
}

static int make_loop(struct emu_supervisor *s, struct fl_err *err)
{
    int r = fl_loop_new(&s->loop, err);

    if (r < 0)
        return r;
    s->began_us = fl_loop_now_us(s->loop);
    s->report_timer = fl_timer_new(s->loop, on_report, s);
    s->end_timer = fl_timer_new(s->loop, on_end_late, s);
    if (s->kit->options.report_us)
        fl_timer_set(s->report_timer, s->kit->options.report_us);
    r = fl_watch_new(s->loop, s->signal_fd, true, false, on_signal, s, &s->signals, err);
    for (unsigned i = 0; r == 0 && i < s->n_workers; i++)
        r = fl_watch_new(s->loop, s->workers[i]->fd, true, false, on_nudge, s->workers[i],
                         &s->workers[i]->watch, err);
    return r;
}

static void done(struct emu_supervisor *s)
{
    emu_control_free(s->control);
    for (unsigned i = 0; i < s->n_workers; i++) {
        struct emu_worker *w = s->workers[i];

        fl_watch_free(w->watch);
        close(w->fd); /* to one that still runs, the end */
        if (w->pid)
            waitpid(w->pid, NULL, 0);
        free(w);
    }
    fl_watch_free(s->signals);
    fl_timer_free(s->report_timer);
    fl_timer_free(s->end_timer);
    fl_loop_free(s->loop);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    emu_roster_free(s->roster);
}

int emu_supervise(const struct emu_cluster *cluster, const struct emu_options *options,
                  struct fl_err *err)
{
    _cleanup_(emu_kit_freep) struct emu_kit *kit = NULL;
    _cleanup_(done) struct emu_supervisor s = {.signal_fd = -1};
    int r = emu_kit_new(cluster, options, &kit, err);

    if (r < 0)
        return r;
    s.kit = kit;
    r = start_workers(&s, err);
    if (r == 0)
        r = make_loop(&s, err);
    if (r == 0 && *options->control)
        r = emu_control_new(&s, options->control, &s.control, err);
    if (r < 0)
        return r;
    fl_loop_run(s.loop);
    if (s.status < 0)
        *err = s.why;
    return s.status;
}
