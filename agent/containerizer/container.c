/* The life of one container on the agent's side, from the deferred beginning to the `ended` callback, which comes exactly once.
 *
 *   begin: container_prepare.c -> launcher asked -> shim's note STARTED -> running
 *   end:   the shim's socket closed (or its pidfd became ready, when recovered), or we decided to destroy
 *          -> shim told to end -> remaining processes killed, isolators clean up, until nothing is left -> ended
 *
 * Whatever goes wrong on the way goes through container_end_with(), so every failure is cleaned up by the same code.
 */
#include "agent/containerizer/containerizer_priv.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <utlist.h>

#include "agent/containerizer/shim/note.h"
#include "common/base/log.h"

#define FIRST_RETRY_US   500
#define MAX_RETRY_US     100000
#define SHIM_PATIENCE_US (3 * 1000000ull) /* a shim told to end that has not is killed */

/* ---- ending ---- */

static void watch_stop(struct container *c)
{
    fl_watch_free(c->note_watch);
    fl_watch_free(c->pidfd_watch);
    c->note_watch = c->pidfd_watch = NULL;
    if (c->note_fd >= 0)
        close(c->note_fd);
    c->note_fd = -EBADF;
}

/* While a container runs its socket is its one descriptor: an agent has some thousands of them, and a limit on descriptors. */
static void close_pidfd(struct container *c)
{
    if (c->pidfd >= 0)
        close(c->pidfd);
    c->pidfd = -EBADF;
}

static void forget_pidfd(struct container *c)
{
    close_pidfd(c);
    c->shim_pid = 0;
}

/* Opens it again, by what the shim noted of itself: a number that another process has by now is not taken for it. */
static bool find_shim(struct container *c)
{
    if (c->pidfd < 0 && c->shim_pid > 0)
        runtime_process(c->folder, "shim", &c->pidfd);
    return c->pidfd >= 0;
}

static void report_end(void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);
    struct real_containerizer *cz = c->cz;
    const struct container_end end = {.reason = c->end.reason,
                                      .has_status = c->end.has_status,
                                      .status = c->end.status,
                                      .message = c->end.message,
                                      .limitation = c->end.limitation};

    if (c->children) {
        /* Orphans turned up below it meanwhile; the last of them brings us back. */
        fl_timer_free(TAKE_PTR(c->report));
        c->reporting = false;
        return;
    }
    /* A checkpointed container's status stays until forget(): the agent may die before it has noted the end. */
    if (!c->checkpoint || c->unwanted)
        runtime_folder_remove(c->folder);
    struct container *parent = c->parent;
    container_io_end(c);
    HASH_DEL(cz->containers, c);
    cz->n_containers--;
    if (!c->unwanted)
        cz->cb.ended(cz->cb.arg, c->id, &end);
    container_free(c);
    if (parent && parent->cleaning)
        container_clean_up(parent);
    containerizer_recovery_check(cz);
}

/* True when every isolator has let go. */
static bool isolators_cleaned(struct container *c)
{
    bool gone = true;

    for (size_t i = c->cz->n_isolators; i-- > 0;) {
        struct isolator *iso = c->cz->isolators[i];
        if (iso->ops->cleanup && iso->ops->cleanup(iso, c->id) < 0)
            gone = false;
    }
    /* Last: what is mounted in a root file system goes first. */
    if (gone && c->cz->provisioner && provisioner_destroy(c->cz->provisioner, c->id) < 0)
        gone = false;
    return gone;
}

static bool too_late(const struct container *c)
{
    return fl_loop_now_us(c->cz->loop) - c->destroying_since_us >
           c->cz->flags->cgroups_destroy_timeout;
}

void container_clean_up(void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);

    c->cleaning = true;
    if (c->asked || c->reporting || c->children)
        return; /* the answer brings us back, or the end of the last child */
    bool gone = isolators_cleaned(c);
    if (!gone && too_late(c)) {
        log_warning("processes or cgroups of container '%s' cannot be removed, giving up on them",
                    c->id);
        gone = true;
    }
    if (gone) {
        /* Deferred: whoever calls destroy() must not find the container gone when the call returns. */
        c->reporting = true;
        c->report = fl_timer_new(c->cz->loop, report_end, c);
        fl_timer_set(c->report, 0);
        return;
    }
    c->retry_us = c->retry_us ? FL_MIN(c->retry_us * 2, MAX_RETRY_US) : FIRST_RETRY_US;
    if (!c->timer)
        c->timer = fl_timer_new(c->cz->loop, container_clean_up, c);
    fl_timer_set(c->timer, c->retry_us);
}

static void timer_drop(struct container *c)
{
    fl_timer_free(c->timer);
    c->timer = NULL;
}

/* The shim is gone, and with it its descendants; what is in the cgroups goes next. */
static void shim_gone(struct container *c)
{
    watch_stop(c);
    forget_pidfd(c);
    timer_drop(c);
    container_clean_up(c);
}

void container_signal_shim(struct container *c, int signo)
{
    if (find_shim(c))
        syscall(SYS_pidfd_send_signal, c->pidfd, signo, NULL, 0);
}

static void shim_impatience(void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);

    container_signal_shim(c, SIGKILL);
    /* Its socket closes now. A process that cannot be killed must not keep the agent waiting for ever. */
    if (too_late(c))
        shim_gone(c);
    else
        fl_timer_set(c->timer, SHIM_PATIENCE_US);
}

static bool in_pid_namespace(const struct container *c)
{
    return c->plan.clone_flags & CLONE_NEWPID;
}

/* Killing process 1 of a namespace ends all of it at once; otherwise the shim must live to find its descendants. */
static void stop_shim(struct container *c)
{
    container_signal_shim(c, in_pid_namespace(c) ? SIGKILL : SIGTERM);
    if (!c->timer)
        c->timer = fl_timer_new(c->cz->loop, shim_impatience, c);
    fl_timer_set(c->timer, SHIM_PATIENCE_US);
}

static void decide(struct container *c, enum container_end_reason reason, const char *message)
{
    if (c->end.decided)
        return;
    c->end.decided = true;
    c->end.reason = reason;
    if (message && !c->end.message)
        c->end.message = xstrdup(message);
}

/* Destroyed while the launcher was asked for its fetcher: that has ended now. */
static void fetcher_gone(void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);

    c->asked = false;
    container_clean_up(c);
}

void container_end_with(struct container *c, enum container_end_reason reason, const char *message)
{
    decide(c, reason, message);
    if (c->state == CONTAINER_DESTROYING)
        return;
    bool provisioning = c->state == CONTAINER_PROVISIONING;
    c->state = CONTAINER_DESTROYING;
    if (!fetch_cancel(c->fetch, fetcher_gone, c))
        c->asked = true;
    c->destroying_since_us = fl_loop_now_us(c->cz->loop);
    struct container *child, *tmp;
    DL_FOREACH_SAFE (c->children, child, tmp) {
        container_destroy(child);
    }
    if (c->asked) {
        /* A pull may take long: it ends now, and says so. */
        if (provisioning && c->cz->provisioner)
            provisioner_destroy(c->cz->provisioner, c->id);
        return;
    }
    if (!find_shim(c)) {
        shim_gone(c);
        return;
    }
    stop_shim(c);
}

void container_destroy(struct container *c)
{
    container_end_with(c, CONTAINER_DESTROYED, NULL);
}

void container_limit(void *containerizer, const char *id, enum isolator_limit limit,
                     const char *message, const V1__TaskResourceLimitation *l)
{
    static const enum container_end_reason reasons[] = {
        [ISOLATOR_LIMIT_MEMORY] = CONTAINER_LIMIT_MEMORY,
        [ISOLATOR_LIMIT_DISK] = CONTAINER_LIMIT_DISK,
        [ISOLATOR_LIMIT_PORTS] = CONTAINER_LIMIT_PORTS,
    };
    struct real_containerizer *cz = containerizer;
    struct container *c;

    HASH_FIND_STR(cz->containers, id, c);
    if (!c || c->end.decided)
        return;
    c->end.limitation = l ? FL_PB_DUP(l) : NULL;
    container_end_with(c, reasons[limit], message);
}

/* ---- what the shim says ---- */

/* It ended by itself: an isolator may know why (a kill for memory is told on two ways, and either may be first). */
static void ask_isolators_why(struct container *c)
{
    for (size_t i = 0; i < c->cz->n_isolators && !c->end.decided; i++) {
        struct isolator *iso = c->cz->isolators[i];
        if (iso->ops->exited)
            iso->ops->exited(iso, c->id);
    }
}

static void shim_ended(struct container *c)
{
    watch_stop(c);
    forget_pidfd(c);
    ask_isolators_why(c);
    if (!c->end.decided && !c->end.has_status) {
        c->end.has_status = true;
        c->end.status = SIGKILL;
        if (c->pid > 0 && !in_pid_namespace(c))
            kill(-c->pid, SIGKILL);
        decide(c, CONTAINER_EXITED, "its supervising process was killed");
    }
    if (!c->end.has_status && c->pid > 0 && in_pid_namespace(c)) {
        /* Its process 1 was killed by us, which is how all of it ended. */
        c->end.has_status = true;
        c->end.status = SIGKILL;
    }
    decide(c, CONTAINER_EXITED, NULL);
    if (c->state != CONTAINER_DESTROYING)
        container_end_with(c, c->end.reason, NULL);
    else
        shim_gone(c);
}

static void failed_note(struct container *c, int errnum, const char *what)
{
    struct fl_err err;

    fl_err_errno(&err, errnum, "cannot %s", what);
    decide(c, CONTAINER_LAUNCH_FAILED, err.msg);
}

static void started_note(struct container *c, pid_t pid)
{
    if (c->state != CONTAINER_LAUNCHING)
        return;
    c->pid = pid;
    c->state = CONTAINER_RUNNING;
    close_pidfd(c);
    for (size_t i = 0; i < c->cz->n_isolators; i++) {
        struct isolator *iso = c->cz->isolators[i];
        struct fl_err err;
        if (iso->ops->isolate && iso->ops->isolate(iso, c->id, c->shim_pid, &err) < 0) {
            container_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
            return;
        }
    }
    c->cz->cb.started(c->cz->cb.arg, c->id, pid);
}

static void on_exit_complete(int fd, bool readable, bool writable, void *arg)
{
    shim_ended(FL_CAST(container, CONTAINER_MAGIC, arg));
}

/* Process 1 of a namespace closes its socket before the kernel has ended the others; its pidfd becomes ready after. */
static void socket_closed(struct container *c)
{
    struct pollfd p = {.events = POLLIN};

    p.fd = in_pid_namespace(c) && find_shim(c) ? c->pidfd : -1;
    if (p.fd >= 0 && poll(&p, 1, 0) == 0) {
        fl_watch_free(c->note_watch);
        c->note_watch = NULL;
        if (fl_watch_new(c->cz->loop, c->pidfd, true, false, on_exit_complete, c, &c->pidfd_watch,
                         NULL) == 0)
            return;
    }
    shim_ended(c);
}

/* True while there is more to read. */
static bool take_note(struct container *c)
{
    struct shim_note n;
    ssize_t len = recv(c->note_fd, &n, sizeof(n), MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (len <= (ssize_t)offsetof(struct shim_note, text) || ((char *)&n)[len - 1] != '\0') {
        socket_closed(c);
        return false;
    }
    switch (n.type) {
    case SHIM_STARTED:
        started_note(c, n.value);
        return true;
    case SHIM_FAILED:
        failed_note(c, n.value, n.text);
        return true;
    case SHIM_EXITED:
        c->end.has_status = true;
        c->end.status = n.value;
        return true;
    default:
        return true;
    }
}

static void on_note(int fd, bool readable, bool writable, void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);

    while (c->note_fd >= 0 && take_note(c))
        ;
}

static void on_pidfd(int fd, bool readable, bool writable, void *arg)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);
    char text[SHIM_TEXT_MAX];
    int value;

    switch (runtime_status_read(c->folder, &value, text, sizeof(text))) {
    case RUNTIME_EXITED:
        c->end.has_status = true;
        c->end.status = value;
        break;
    case RUNTIME_FAILED:
        failed_note(c, value, text);
        break;
    case RUNTIME_NO_STATUS:
        break;
    }
    shim_ended(c);
}

int container_watch_shim(struct container *c, struct fl_err *err)
{
    return fl_watch_new(c->cz->loop, c->pidfd, true, false, on_pidfd, c, &c->pidfd_watch, err);
}

/* ---- beginning ---- */

static void launch_answered(void *arg, int64_t value, int pidfd, const char *text)
{
    struct container *c = FL_CAST(container, CONTAINER_MAGIC, arg);
    struct fl_err err;

    c->asked = false;
    c->pidfd = pidfd;
    if (value < 0) {
        decide(c, CONTAINER_LAUNCH_FAILED, text);
        if (c->state == CONTAINER_DESTROYING)
            shim_gone(c);
        else
            container_end_with(c, CONTAINER_LAUNCH_FAILED, NULL);
        return;
    }
    c->shim_pid = (pid_t)value;
    if (fl_watch_new(c->cz->loop, c->note_fd, true, false, on_note, c, &c->note_watch, &err) < 0)
        container_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
    else if (c->state == CONTAINER_DESTROYING)
        stop_shim(c);
}

static int ask_launcher(struct container *c, struct fl_err *err)
{
    const struct launcher_msg m = {.head = {.type = LAUNCHER_LAUNCH, .flags = c->plan.clone_flags},
                                   .s = {c->folder, c->user ? c->user : ""}};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return fl_err_errno(err, errno, "make a socket for container '%s'", c->id);
    c->state = CONTAINER_LAUNCHING;
    c->note_fd = pair[0];
    if (container_io_wanted(c)) {
        int r = container_io_open(c, err);
        if (r < 0) {
            close(pair[1]);
            return r;
        }
    }
    c->asked = true;
    launcher_client_ask(c->cz->launcher, &m, pair[1], launch_answered, c);
    return 0;
}

void container_launch(struct container *c)
{
    struct fl_err err;

    if (ask_launcher(c, &err) < 0)
        container_end_with(c, CONTAINER_LAUNCH_FAILED, err.msg);
}
