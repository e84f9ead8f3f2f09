/* Starts the command: its files, limits, user, working directory. The child shares our memory until it execs, so it needs no copy
 * of our pages and can tell in `child_error` why it failed; it touches nothing else of ours. */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* volatile: clone() is declared as one that never calls back into this file, and it does. */
static volatile struct {
    struct shim *s;
    int in, out, err;
    const char *what, *subject;
    int errnum;
    int host_pid;
} child;

static char child_stack[64 << 10] __attribute__((aligned(16)));

static int child_fail(const char *what, const char *subject)
{
    child.errnum = errno;
    child.what = what;
    child.subject = subject;
    return -1;
}

/* As the protocol names it. */
static const char *limit_name(uint32_t resource)
{
    static const char *const names[] = {
        [RLIMIT_AS] = "RLMT_AS",
        [RLIMIT_CORE] = "RLMT_CORE",
        [RLIMIT_CPU] = "RLMT_CPU",
        [RLIMIT_DATA] = "RLMT_DATA",
        [RLIMIT_FSIZE] = "RLMT_FSIZE",
        [RLIMIT_LOCKS] = "RLMT_LOCKS",
        [RLIMIT_MEMLOCK] = "RLMT_MEMLOCK",
        [RLIMIT_MSGQUEUE] = "RLMT_MSGQUEUE",
        [RLIMIT_NICE] = "RLMT_NICE",
        [RLIMIT_NOFILE] = "RLMT_NOFILE",
        [RLIMIT_NPROC] = "RLMT_NPROC",
        [RLIMIT_RSS] = "RLMT_RSS",
        [RLIMIT_RTPRIO] = "RLMT_RTPRIO",
        [RLIMIT_RTTIME] = "RLMT_RTTIME",
        [RLIMIT_SIGPENDING] = "RLMT_SIGPENDING",
        [RLIMIT_STACK] = "RLMT_STACK",
    };

    return resource < sizeof(names) / sizeof(names[0]) && names[resource] ? names[resource] : "";
}

static int set_limits(const struct shim *s)
{
    struct plan_record r;
    size_t pos;

    plan_begin(s->plan, s->plan_len, &pos);
    while (plan_next(s->plan, s->plan_len, &pos, &r) > 0) {
        struct plan_rlimit l;
        if (r.tag != PLAN_RLIMIT)
            continue;
        memcpy(&l, r.data, sizeof(l));
        const struct rlimit rl = {.rlim_cur = l.soft, .rlim_max = l.hard};
        if (syscall(SYS_prlimit64, 0, l.resource, &rl, NULL) < 0)
            return child_fail("set the resource limit", limit_name(l.resource));
    }
    return 0;
}

static void learn_host_pid(const struct shim *s)
{
    char text[24];
    ssize_t n = readlinkat(s->proc_fd, "self", text, sizeof(text));

    child.host_pid = 0;
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        child.host_pid = child.host_pid * 10 + (text[i] - '0');
}

/* A file that is executable but no program is a script of the shell, as execvp() of the GNU library has it, and others have not. */
static void run_file(const char *path, const struct shim *s)
{
    size_t n = 0;

    execve(path, s->argv, s->env);
    if (errno != ENOEXEC)
        return;
    while (s->argv[n])
        n++;
    const char **argv = calloc(n + 3, sizeof(*argv));
    if (!argv)
        return;
    argv[0] = "/bin/sh";
    argv[1] = path;
    for (size_t i = 1; i < n; i++)
        argv[i + 1] = s->argv[i];
    execve(argv[0], (char **)(uintptr_t)argv, s->env);
    free(argv);
}

static const char *path_of(const struct shim *s)
{
    for (char **e = s->env; *e; e++)
        if (strncmp(*e, "PATH=", 5) == 0)
            return *e + 5;
    return "/bin:/usr/bin";
}

/* Looks for the program in the PATH it will have. Returns only on failure, errno set: EACCES if anything was found but not allowed. */
static void run_program(const struct shim *s)
{
    char file[4096];
    size_t len = strlen(s->program);
    bool denied = false;

    if (strchr(s->program, '/')) {
        run_file(s->program, s);
        return;
    }
    errno = ENOENT;
    for (const char *p = path_of(s); len > 0;) {
        size_t n = strcspn(p, ":");
        if (n + len + 2 <= sizeof(file)) {
            memcpy(file, p, n);
            file[n] = '/';
            memcpy(file + n + (n > 0), s->program, len + 1);
            run_file(file, s);
            denied = denied || errno == EACCES;
            if (errno != ENOENT && errno != EACCES && errno != ENOTDIR)
                return;
        }
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    errno = denied ? EACCES : ENOENT;
}

static int child_main(void *arg)
{
    struct shim *s = (struct shim *)arg;
    sigset_t none;

    setsid();
    learn_host_pid(s);
    if (s->directory ? chdir(s->directory) < 0 : fchdir(s->sandbox_fd) < 0)
        return child_fail("enter the working directory", s->directory ? s->directory : s->sandbox),
               127;
    if (s->flags & PLAN_TTY && ioctl(child.in, TIOCSCTTY, 0) < 0)
        return child_fail("have a terminal for", s->program), 127;
    if (dup2(child.in, 0) < 0 || dup2(child.out, 1) < 0 || dup2(child.err, 2) < 0)
        return child_fail("open stdin, stdout, stderr of", s->program), 127;
    if (set_limits(s) < 0)
        return 127;
    const char *failed = rights_take(s);
    if (failed)
        return child_fail(failed, s->program), 127;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    run_program(s);
    return child_fail("run", s->program), 127;
}

static int clone_child(struct shim *s, struct shim_error *e)
{
    child.s = s;
    child.errnum = 0;
    pid_t pid =
        clone(child_main, child_stack + sizeof(child_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, s);
    if (pid < 0)
        return fail(e, errno, "start a process for", s->program);
    if (child.errnum) {
        waitpid(pid, NULL, 0);
        return fail(e, child.errnum, child.what, child.subject);
    }
    s->child = pid;
    s->child_host = child.host_pid;
    return 0;
}

/* The files of the sandbox, or what the agent sent. */
static int open_files(struct shim *s, int fds[3], struct shim_error *e)
{
    if (s->flags & PLAN_IO)
        return receive_io(s, fds, e);
    fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fds[0] < 0)
        return fail(e, errno, "open", "/dev/null");
    fds[1] = log_open_for_command(s, 0, e);
    fds[2] = fds[1] < 0 ? -1 : log_open_for_command(s, 1, e);
    return fds[2] < 0 ? -1 : 0;
}

int spawn_child(struct shim *s, struct shim_error *e)
{
    int fds[3] = {-1, -1, -1};
    int r = open_files(s, fds, e);

    child.in = fds[0];
    child.out = fds[1];
    child.err = fds[2];
    if (r == 0)
        r = clone_child(s, e);
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return r;
}
