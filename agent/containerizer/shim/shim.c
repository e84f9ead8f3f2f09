/* fairlead-shim: one a container, parent of its first process, and process 1 when the container has a pid namespace.
 *
 *     fairlead-shim FOLDER UID GID GROUPS      (UID "-": stay who we are; GROUPS: "1,2,3" or "-")
 *
 * It carries out the plan of the runtime FOLDER, runs the command, keeps its exit status, ends what the command left behind, and
 * goes. As a subreaper it inherits whatever daemonises, so even without cgroups nothing escapes it. A container that is not
 * checkpointed ends when the agent's end of the socket closes; a checkpointed one goes on. SIGTERM ends everything.
 * It closes no gaps by waiting: every step is an event on signal_fd or the socket.
 */
#include "agent/containerizer/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* True when somebody took it. */
static bool tell(uint32_t type, int32_t value, const char *text)
{
    struct shim_note n = {.type = type, .value = value};
    size_t len = strlen(text);

    if (len >= sizeof(n.text))
        len = sizeof(n.text) - 1;
    memcpy(n.text, text, len);
    return send(SHIM_SOCKET_FD, &n, offsetof(struct shim_note, text) + len + 1,
                MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

static bool parse_id(const char **text, uint32_t *ret)
{
    uint64_t v = 0;
    const char *p = *text;

    for (; *p >= '0' && *p <= '9' && v <= UINT32_MAX; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    if (p == *text || v > UINT32_MAX)
        return false;
    *text = *p == ',' ? p + 1 : p;
    *ret = (uint32_t)v;
    return true;
}

static int parse_user(struct shim *s, char **argv)
{
    const char *uid = argv[2], *gid = argv[3], *groups = argv[4];

    if (*uid == '-')
        return 0;
    s->switch_user = true;
    s->groups = (gid_t *)calloc(strlen(groups) / 2 + 1, sizeof(gid_t));
    if (!s->groups || !parse_id(&uid, &s->uid) || !parse_id(&gid, &s->gid))
        return -1;
    while (*groups && *groups != '-')
        if (!parse_id(&groups, &s->groups[s->n_groups++]))
            return -1;
    return 0;
}

static int prepare(struct shim *s, char **argv, struct shim_error *e)
{
    sigset_t mask;
    char identity[64];

    fcntl(SHIM_SOCKET_FD, F_SETFD, FD_CLOEXEC);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    s->folder_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->folder_fd < 0 || s->proc_fd < 0 || s->signal_fd < 0)
        return fail(e, errno, "open /proc and", argv[1]);
    if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return fail(e, errno, "become subreaper of", argv[1]);
    if (parse_user(s, argv) < 0)
        return fail(e, EINVAL, "understand the user", argv[2]);
    int n = proc_identity(s, "self", identity, sizeof(identity));
    if (n < 0)
        return fail(e, -n, "read", "/proc/self/stat");
    int r = file_write(s, "shim", identity, (size_t)n, false);
    if (r < 0)
        return fail(e, -r, "write in", argv[1]);
    if (plan_load(s, e) < 0)
        return -1;
    return 0;
}

/* A session is in all of its parent's mounts, where its own sandbox may not be seen. */
static int enter_and_open(struct shim *s, struct shim_error *e)
{
    if ((s->rootfs || s->flags & PLAN_DEBUG) && root_hide_ourselves(s, e) < 0)
        return -1;
    if (s->flags & PLAN_SHARED_MOUNTS && take_shared(s, e) < 0)
        return -1;
    if (s->flags & PLAN_DEBUG)
        return open_sandbox(s, e) < 0 ? -1 : join_parent(s, e);
    return join_parent(s, e) < 0 ? -1 : open_sandbox(s, e);
}

static int start(struct shim *s, char **argv, struct shim_error *e)
{
    char identity[64];
    struct line who = {.n = 0};

    if (prepare(s, argv, e) < 0 || join_cgroups(s, e) < 0 || enter_network(s, e) < 0 ||
        enter_and_open(s, e) < 0 || setup_run(s, e) < 0 || spawn_child(s, e) < 0)
        return -1;
    if (s->flags & PLAN_CHECKPOINT) {
        line_int(&who, s->child_host);
        int n = proc_identity(s, who.text, identity, sizeof(identity));
        if (n > 0)
            file_write(s, "started", identity, (size_t)n, false);
    }
    tell(SHIM_STARTED, s->child_host, "");
    plan_unload(s);
    if (!s->logs[0].max_size && !s->logs[1].max_size)
        close(s->sandbox_fd);
    if (s->hidden) {
        /* Of the agent, and of the machine; kill_all() needs no /proc in a pid namespace of its own. */
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        if (s->flags & PLAN_PID_NAMESPACE)
            close(s->proc_fd);
    }
    return 0;
}

static void kill_listed(int fd)
{
    char text[4096];
    pid_t pid = 0;
    ssize_t n;

    while ((n = read(fd, text, sizeof(text))) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            if (pid > 0)
                kill(pid, SIGKILL);
            pid = 0;
        }
}

/* Whatever is below us. Those whose parent dies become our children and are found the next time round. */
static void kill_all(const struct shim *s)
{
    if (s->flags & PLAN_PID_NAMESPACE) {
        kill(-1, SIGKILL);
        return;
    }
    if (s->child)
        kill(-s->child, SIGKILL);
    /* The machine's /proc, where we are to be found whatever namespaces we have joined. */
    int fd = openat(s->proc_fd, "thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    kill_listed(fd);
    close(fd);
}

/* Waits until the first process ended or the container must end. */
static void wait_for_end(struct shim *s, int *status, bool *have_status)
{
    struct pollfd p[7] = {
        {.fd = s->signal_fd, .events = POLLIN},
        {.fd = s->flags & PLAN_CHECKPOINT ? -1 : SHIM_SOCKET_FD, .events = POLLIN}};
    struct signalfd_siginfo si;
    int st;

    for (;;) {
        pid_t pid;
        while ((pid = waitpid(-1, &st, WNOHANG)) > 0)
            if (pid == s->child) {
                *status = st;
                *have_status = true;
                s->child = 0;
            }
        if (*have_status)
            return;
        p[2].fd = s->master_fd;
        p[2].events = (short)(POLLIN | (s->n_typed ? POLLOUT : 0));
        p[3].fd = s->n_typed ? -1 : s->relay_fd;
        p[3].events = POLLIN;
        p[6] = (struct pollfd){.fd = s->listen_fd, .events = POLLIN};
        for (unsigned i = 0; i < SHIM_LOGS; i++)
            p[4 + i] = (struct pollfd){.fd = s->logs[i].pipe_fd, .events = POLLIN};
        if (poll(p, 7, -1) < 0 && errno != EINTR)
            return;
        relay_terminal(s);
        logs_take(s);
        if (p[1].revents & (POLLHUP | POLLERR))
            return;
        while (read(s->signal_fd, &si, sizeof(si)) == sizeof(si))
            if (si.ssi_signo == SIGTERM)
                return;
    }
}

static void end_the_rest(struct shim *s, int *status, bool *have_status)
{
    int st;

    for (;;) {
        pid_t pid = waitpid(-1, &st, WNOHANG);
        if (pid < 0)
            return;
        if (pid == 0) {
            kill_all(s);
            pid = waitpid(-1, &st, 0);
        }
        if (pid > 0 && pid == s->child) {
            *status = st;
            *have_status = true;
            s->child = 0;
        }
    }
}

static void save(const struct shim *s, const char *verb, int value, const char *text, bool durable)
{
    struct line l = {.n = 0};

    line_add(&l, verb);
    line_int(&l, value);
    line_add(&l, " ");
    line_add(&l, text);
    line_add(&l, "\n");
    if (s->folder_fd >= 0)
        file_write(s, "status", l.text, l.n, durable);
}

int main(int argc, char **argv)
{
    struct shim s = {.folder_fd = -1,
                     .proc_fd = -1,
                     .sandbox_fd = -1,
                     .root_fd = -1,
                     .signal_fd = -1,
                     .master_fd = -1,
                     .slave_fd = -1,
                     .relay_fd = -1,
                     .listen_fd = -1,
                     .logs = {{.fd = -1, .pipe_fd = -1}, {.fd = -1, .pipe_fd = -1}}};
    struct shim_error e = {.errnum = 0};
    bool have_status = false;
    int status = 0;

    if (argc != 5)
        return 2;
    if (start(&s, argv, &e) < 0) {
        if (!tell(SHIM_FAILED, e.errnum, e.text))
            save(&s, "failed ", e.errnum, e.text, true);
        return 1;
    }
    wait_for_end(&s, &status, &have_status);
    end_the_rest(&s, &status, &have_status);
    relay_terminal(&s);
    logs_take(&s);
    if (s.flags & PLAN_CHECKPOINT)
        save(&s, "exited ", status, "", true);
    if (!tell(SHIM_EXITED, status, "") && !(s.flags & PLAN_CHECKPOINT))
        save(&s, "exited ", status, "", false);
    return 0;
}
