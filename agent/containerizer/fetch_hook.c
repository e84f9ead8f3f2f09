/* See fetch_get.h: whatever is neither a file nor libcurl's goes through the hadoop client (hdfs, s3a, maprfs ...), or a program of that
 * shape which the operator puts in its place. It runs as the container's user, in the fetcher's process group, so it ends with it. */
#include "agent/containerizer/fetch_get.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/flags.h"
#include "common/base/buf.h"

#define MAX_SAID (64u << 10) /* of each output, the rest is read and forgotten */

extern char **environ;

/* ---- running it ---- */

static char *program(const struct agent_flags *flags)
{
    const char *home =
        flags->hadoop_home && *flags->hadoop_home ? flags->hadoop_home : getenv("HADOOP_HOME");

    return home && *home ? xasprintf("%s/bin/hadoop", home) : xstrdup("hadoop");
}

/* The agent's own, but for what configures agents. */
static char **environment(const struct agent_flags *flags)
{
    static const char *const ours[] = {"MESOS_", "LIBPROCESS_", "FAIRLEAD_", "HADOOP_HOME="};
    bool home = flags->hadoop_home && *flags->hadoop_home;
    size_t n = 0, kept = 0;

    while (environ[n])
        n++;
    char **env = xcalloc(n + 2, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        bool drop = false;
        for (size_t k = 0; k < ARRAY_SIZE(ours) - !home; k++)
            drop = drop || str_starts(environ[i], ours[k]);
        if (!drop)
            env[kept++] = environ[i];
    }
    if (home)
        env[kept] = xasprintf("HADOOP_HOME=%s", flags->hadoop_home);
    return env; /* the process is short-lived */
}

static void run_child(char *const argv[], char **env, int out, int errs)
{
    struct rlimit as;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Ours is for archives; a Java machine reserves more. */
    if (getrlimit(RLIMIT_AS, &as) == 0) {
        as.rlim_cur = as.rlim_max;
        setrlimit(RLIMIT_AS, &as);
    }
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(errs, STDERR_FILENO) >= 0)
        execvpe(argv[0], argv, env);
    dprintf(errs, "cannot run '%s': %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void take_said(struct pollfd *p, struct fl_buf *b)
{
    char buf[4096];

    ssize_t n = read(p->fd, buf, sizeof(buf));
    if (n > 0 && b->len < MAX_SAID)
        fl_buf_add(b, buf, (size_t)n);
    if (n == 0 || (n < 0 && errno != EINTR))
        p->fd = -1;
}

static int wait_for(pid_t pid, int out, int errs, struct fl_buf said[2])
{
    struct pollfd p[2] = {{.fd = out, .events = POLLIN}, {.fd = errs, .events = POLLIN}};
    int status;

    while (p[0].fd >= 0 || p[1].fd >= 0)
        if (poll(p, 2, -1) > 0)
            for (int i = 0; i < 2; i++)
                if (p[i].revents)
                    take_said(&p[i], &said[i]);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

/* The last line that is not empty. */
static const char *last_line(struct fl_buf *b)
{
    char *text = (char *)(uintptr_t)fl_buf_cstr(b);
    size_t n = strlen(text);

    while (n && strchr(" \n\r\t", text[n - 1]))
        text[--n] = '\0';
    const char *nl = strrchr(text, '\n');
    return nl ? nl + 1 : text;
}

/* Runs `hadoop fs OPTION URI [PATH]`. */
static int run(const struct agent_flags *flags, const char *option, const char *uri,
               const char *path, struct fl_buf *said, struct fl_err *err)
{
    _cleanup_free_ char *hadoop = program(flags);
    char *argv[] = {
        hadoop, "fs", (char *)(uintptr_t)option, (char *)(uintptr_t)uri, (char *)(uintptr_t)path,
        NULL};
    int out[2], errs[2];

    /* The launcher has its children reaped by the kernel. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (pipe2(out, O_CLOEXEC) < 0)
        return fl_err_errno(err, errno, "make a pipe for '%s'", hadoop);
    if (pipe2(errs, O_CLOEXEC) < 0) {
        close(out[0]);
        close(out[1]);
        return fl_err_errno(err, errno, "make a pipe for '%s'", hadoop);
    }
    char **env = environment(flags);
    pid_t pid = fork();
    if (pid == 0)
        run_child(argv, env, out[1], errs[1]);
    int errnum = errno;
    free(env);
    close(out[1]);
    close(errs[1]);
    int status = pid < 0 ? -1 : wait_for(pid, out[0], errs[0], said);
    close(out[0]);
    close(errs[0]);
    if (pid < 0)
        return fl_err_errno(err, errnum, "fork for '%s'", hadoop);
    if (status != 0)
        return fl_err_set(err, FL_UNAVAILABLE,
                          "'%s fs %s' of '%.150s' failed (status %d): %.200s; schemes other than "
                          "http, https, ftp, ftps and file need a Hadoop client (--hadoop_home)",
                          hadoop, option, uri, WIFEXITED(status) ? WEXITSTATUS(status) : status,
                          last_line(&said[1]));
    return 0;
}

static void said_done(struct fl_buf said[2])
{
    fl_buf_done(&said[0]);
    fl_buf_done(&said[1]);
}

/* ---- what it is asked ---- */

static int copy_made(int dir, struct fetch_sink *sink, struct fl_err *err)
{
    _cleanup_close_ int in = openat(dir, "file", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (in < 0 || fstat(in, &st) < 0)
        return fl_err_errno(err, errno, "read what the Hadoop client should have copied");
    if (!S_ISREG(st.st_mode))
        return fl_err_set(err, FL_INVALID, "what the Hadoop client copied is not a file");
    return fetch_copy(in, sink, err);
}

/* It wants a path that is not there yet, and makes files beside it. */
int fetch_hook_get(const char *uri, const struct agent_flags *flags, int sandbox,
                   struct fetch_sink *sink, struct fl_err *err)
{
    struct fl_buf said[2] = {FL_BUF_INIT, FL_BUF_INIT};
    char name[64];
    uint64_t random = 0;

    getrandom(&random, sizeof(random), 0);
    fl_snprintf(name, sizeof(name), ".fetching-%016llx", (unsigned long long)random);
    if (mkdirat(sandbox, name, 0700) < 0)
        return fl_err_errno(err, errno, "make a folder for the Hadoop client");
    _cleanup_close_ int dir =
        openat(sandbox, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_free_ char *here = getcwd(NULL, 0);
    _cleanup_free_ char *path = xasprintf("%s/%s/file", here ? here : ".", name);
    int r = dir < 0 ? fl_err_errno(err, errno, "open the folder of the Hadoop client")
                    : run(flags, "-copyToLocal", uri, path, said, err);
    if (r == 0)
        r = copy_made(dir, sink, err);
    if (dir >= 0) {
        unlinkat(dir, "file", 0);
        unlinkat(dir, ".file.crc", 0);
        unlinkat(dir, "file._COPYING_", 0);
    }
    unlinkat(sandbox, name, AT_REMOVEDIR);
    said_done(said);
    return r;
}

int fetch_hook_size(const char *uri, const struct agent_flags *flags, uint64_t *ret,
                    struct fl_err *err)
{
    struct fl_buf said[2] = {FL_BUF_INIT, FL_BUF_INIT};

    int r = run(flags, "-du", uri, NULL, said, err);
    if (r == 0 && fetch_du_size(fl_buf_cstr(&said[0]), uri, ret) < 0)
        r = fl_err_set(err, FL_UNAVAILABLE, "the Hadoop client does not say how large '%.200s' is",
                       uri);
    said_done(said);
    return r;
}
