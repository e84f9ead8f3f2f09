/* The launcher: a process of its own without threads, forked in the agent's main() before anything else runs, because only such
 * a process may clone. It takes one packet at a time (launcher_proto.h), clones a shim or a fetcher, answers with pid and pidfd.
 *
 * It uses nothing of the agent's memory but the flags it was forked with, keeps no state between packets, and ends when the agent's
 * end of the socket closes. Shims outlive it. It never waits for its children: the agent watches the pidfd, the kernel reaps them.
 */
#include "agent/containerizer/containerizer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/containerizer/fetcher.h"
#include "agent/containerizer/launcher_proto.h"
#include "agent/containerizer/runtime_dir.h"
#include "agent/containerizer/shim/note.h"
#include "agent/flags.h"

struct launcher {
    const struct agent_flags *flags;
    int sock;
    int shim_fd; /* the program: opened once, so an upgrade on disk never mixes versions */
};

/* uid, gid and groups as the shim's arguments. */
struct user_args {
    char uid[16], gid[16], groups[4096];
};

static int user_groups(const struct passwd *pw, struct user_args *u)
{
    gid_t groups[256];
    int n = ARRAY_SIZE(groups);
    size_t len = 0;

    if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
        n = ARRAY_SIZE(groups); /* the first 256 of more */
    for (int i = 0; i < n; i++) {
        int k = snprintf(u->groups + len, sizeof(u->groups) - len, "%s%u", i ? "," : "", groups[i]);
        if (k < 0 || (size_t)k >= sizeof(u->groups) - len)
            return -E2BIG;
        len += (size_t)k;
    }
    return 0;
}

/* Name services may block, which is another reason for a process of our own. */
static int user_resolve(const char *user, struct user_args *u, struct fl_err *err)
{
    if (!*user) {
        fl_snprintf(u->uid, sizeof(u->uid), "-");
        fl_snprintf(u->gid, sizeof(u->gid), "-");
        fl_snprintf(u->groups, sizeof(u->groups), "-");
        return 0;
    }
    errno = 0;
    struct passwd *pw = getpwnam(user);
    if (!pw)
        return fl_err_set(err, FL_INVALID,
                          "no user '%s' on this machine; create it or name another", user);
    fl_snprintf(u->uid, sizeof(u->uid), "%u", pw->pw_uid);
    fl_snprintf(u->gid, sizeof(u->gid), "%u", pw->pw_gid);
    int r = user_groups(pw, u);
    return r < 0 ? fl_err_errno(err, -r, "list the groups of user '%s'", user) : 0;
}

/* What the clone starts with; shared memory, so plain pointers do. */
struct shim_args {
    const struct launcher *l;
    int sock;
    const char *folder;
    const struct user_args *user;
    volatile int errnum;
};

static char shim_stack[64 << 10] __attribute__((aligned(16)));

static int shim_main(void *arg)
{
    struct shim_args *a = arg;
    char *argv[] = {"fairlead-shim",
                    (char *)(uintptr_t)a->folder,
                    (char *)(uintptr_t)a->user->uid,
                    (char *)(uintptr_t)a->user->gid,
                    (char *)(uintptr_t)a->user->groups,
                    NULL};
    char *envp[] = {NULL};

    /* dup2 also clears CLOEXEC; equal numbers need that by hand. */
    if (a->sock != SHIM_SOCKET_FD ? dup2(a->sock, SHIM_SOCKET_FD) < 0
                                  : fcntl(SHIM_SOCKET_FD, F_SETFD, 0) < 0)
        goto failed;
    syscall(SYS_execveat, a->l->shim_fd, "", argv, envp, AT_EMPTY_PATH);
failed:
    a->errnum = errno;
    return 127;
}

static int clone_shim(const struct launcher *l, const struct launcher_msg *m, int sock,
                      int *ret_pidfd, struct fl_err *err)
{
    struct user_args user;
    struct shim_args a = {.l = l, .sock = sock, .folder = m->s[0], .user = &user};
    int pidfd = -EBADF;

    int r = user_resolve(m->s[1], &user, err);
    if (r < 0)
        return r;
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD | (int)m->head.flags;
    pid_t pid = clone(shim_main, shim_stack + sizeof(shim_stack), flags, &a, &pidfd);
    if (pid < 0)
        return fl_err_errno(err, errno, "clone into new namespaces (flags 0x%llx) for '%s'",
                            (unsigned long long)m->head.flags, a.folder);
    if (a.errnum) {
        close(pidfd);
        return fl_err_errno(err, a.errnum, "run fairlead-shim for '%s'", a.folder);
    }
    *ret_pidfd = pidfd;
    return pid;
}

static int fork_fetcher(const struct launcher *l, const struct launcher_msg *m, int sock,
                        int *ret_pidfd, struct fl_err *err)
{
    pid_t pid = fork();

    if (pid < 0)
        return fl_err_errno(err, errno, "fork the fetcher for '%s'", m->s[0]);
    if (pid == 0) {
        close(l->sock);
        fetcher_process(l->flags, sock, m->s[0], m->s[1], m->s[2]); /* does not return */
    }
    /* Already over and reaped: then its socket says all. */
    *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return pid;
}

static void serve(const struct launcher *l, const char *buf, size_t len, int fd)
{
    struct launcher_msg m, answer = {.head = {.type = LAUNCHER_DONE}};
    struct fl_err err = {.code = 0};
    int pidfd = -EBADF;

    int r = launcher_decode(buf, len, &m, &err);
    if (r == 0)
        answer.head.seq = m.head.seq;
    if (r == 0 && fd < 0)
        r = fl_err_set(&err, FL_INVALID, "a launcher packet without its descriptor");
    else if (r == 0 && m.head.type == LAUNCHER_LAUNCH)
        r = clone_shim(l, &m, fd, &pidfd, &err);
    else if (r == 0 && m.head.type == LAUNCHER_FETCH)
        r = fork_fetcher(l, &m, fd, &pidfd, &err);
    else if (r == 0)
        r = fl_err_set(&err, FL_INVALID, "a launcher packet of type %u is no request", m.head.type);
    answer.head.value = r;
    answer.s[0] = r < 0 ? err.msg : "";
    launcher_send(l->sock, &answer, pidfd);
    if (pidfd >= 0)
        close(pidfd);
}

/* Default dispositions, which the containers inherit; children are reaped by the kernel. */
static void reset_signals(void)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            sigaction(sig, &sa, NULL);
    sa.sa_flags = SA_NOCLDWAIT;
    sigaction(SIGCHLD, &sa, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* a terminal's Ctrl-C is for the agent, which closes our socket when it goes */
}

/* Keeps stdin, stdout, stderr, the socket and the shim's program, which move to the numbers above SHIM_SOCKET_FD. */
static int keep_fds(struct launcher *l)
{
    int sock = fcntl(l->sock, F_DUPFD_CLOEXEC, 64), shim = fcntl(l->shim_fd, F_DUPFD_CLOEXEC, 64);

    if (sock < 0 || shim < 0)
        return -errno;
    int lo = FL_MIN(sock, shim), hi = FL_MAX(sock, shim);
    syscall(SYS_close_range, 3u, (unsigned)lo - 1, 0u);
    if (hi > lo + 1)
        syscall(SYS_close_range, (unsigned)lo + 1, (unsigned)hi - 1, 0u);
    syscall(SYS_close_range, (unsigned)hi + 1, ~0u, 0u);
    l->sock = sock;
    l->shim_fd = shim;
    return 0;
}

/* The agent may be spared when the machine is out of memory (OOMScoreAdjust= of its unit); what it starts shall not be. */
static void reset_oom_score(void)
{
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    char sign = '0';

    if (fd >= 0 && read(fd, &sign, 1) == 1 && sign == '-')
        (void)!pwrite(fd, "0", 1, 0);
}

static void launcher_process(struct launcher *l)
{
    char buf[LAUNCHER_MAX_PACKET];

    prctl(PR_SET_NAME, "fl-launcher");
    reset_signals();
    reset_oom_score();
    umask(022);
    if (chdir("/") < 0 || keep_fds(l) < 0)
        _exit(1);
    for (;;) {
        int fd = -EBADF;
        int n = launcher_recv(l->sock, buf, sizeof(buf), &fd);
        if (n <= 0)
            _exit(0);
        serve(l, buf, (size_t)n, fd);
        if (fd >= 0)
            close(fd);
    }
}

int launcher_fork(const struct agent_flags *flags, int *ret_fd, struct fl_err *err)
{
    _cleanup_close_ int shim = -EBADF;
    int pair[2];

    int r = shim_open(flags, &shim, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fl_err_errno(err, errno, "make the launcher's socket");
    pid_t pid = fork();
    if (pid < 0) {
        r = fl_err_errno(err, errno, "fork the launcher");
        close(pair[0]);
        close(pair[1]);
        return r;
    }
    if (pid == 0) {
        struct launcher l = {.flags = flags, .sock = pair[1], .shim_fd = shim};
        launcher_process(&l);
    }
    close(pair[1]);
    *ret_fd = pair[0];
    return 0;
}
