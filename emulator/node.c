/* One emulated agent: the real core, its link to the master, its disk in memory. */
#include <arpa/inet.h>
#include <stdio.h>
#include <utlist.h>

#include "common/base/log.h"
#include "emulator/emulator.h"
#include "emulator/executor.h"

struct emu_job {
    struct emu_node *node;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct emu_job *prev, *next;
};

static void address_of(const struct emu_node *n, char *buf, size_t size)
{
    struct in_addr a = {htonl(n->emu->kit->first_ip + n->index)};

    inet_ntop(AF_INET, &a, buf, (socklen_t)size);
}

/* ---- the link ---- */

/* Without telling the core. */
static void close_channel(struct emu_node *n)
{
    struct wire_channel *c = TAKE_PTR(n->channel);

    if (!c)
        return;
    wire_channel_free(c);
    emu_faults_forget(n);
    if (n->open)
        n->emu->stats->disconnects++;
    else
        emulator_attempt_over(n->emu);
    n->open = false;
    emulator_registered(n, false);
}

void emu_node_drop_channel(struct emu_node *n)
{
    bool was_open = n->open;

    close_channel(n);
    if (was_open && n->core)
        agent_master_down(n->core);
}

static void on_open(struct wire_channel *c, void *arg)
{
    struct emu_node *n = arg;

    n->open = true;
    emulator_attempt_worked(n->emu);
    agent_master_up(n->core, wire_peer(c));
}

void emu_node_deliver(struct emu_node *n, const ProtobufCMessage *m)
{
    agent_master_message(n->core, m);
    if (n->registered || !n->open || !n->core || n->core->state != AGENT_RUNNING)
        return;
    emulator_registered(n, true);
}

static void on_message(struct wire_channel *c, const struct wire_message *m, void *arg)
{
    struct emu_node *n = arg;

    if (!emu_faults_take(n, m->msg, false))
        emu_node_deliver(n, m->msg);
}

static void on_closed(struct wire_channel *c, const struct fl_err *why, void *arg)
{
    struct emu_node *n = arg;

    log_info("Agent %u: no connection to the master: %s", n->index, why ? why->msg : "closed");
    if (n->leaving) {
        emulator_gone(n);
        return;
    }
    if (!n->open)
        emulator_attempt_failed(n->emu);
    emu_node_drop_channel(n);
    if (n->wanted)
        emulator_connect_soon(n);
}

static const struct wire_ops ops = {
    .on_message = on_message, .on_closed = on_closed, .on_open = on_open};

void emu_node_connect(struct emu_node *n)
{
    struct emulator *e = n->emu;
    struct wire_limits limits = wire_limits_default;
    char ip[INET_ADDRSTRLEN];
    struct fl_err err;

    limits.max_frame = e->kit->flags.wire_max_frame;
    limits.max_unsent = e->kit->flags.wire_max_unsent;
    address_of(n, ip, sizeof ip);
    /* Only to a master of this machine can one come from 127.0.0.0/8. */
    if (wire_connect(e->loop, e->host, e->port, str_starts(e->host, "127.") ? ip : NULL, NULL,
                     "fairlead-emulator/" FL_VERSION, NULL, &limits, &ops, n, &n->channel,
                     &err) < 0) {
        log_warning("Agent %u: cannot connect from %s to %s:%u: %s", n->index, ip, e->host, e->port,
                    err.msg);
        emulator_attempt_failed(e);
        emulator_attempt_over(e);
        emulator_connect_soon(n);
    }
}

/* ---- struct agent_io ---- */

bool emu_node_send(struct emu_node *n, const ProtobufCMessage *m)
{
    return n->open && wire_send(n->channel, m);
}

static bool io_master_send(void *ctx, const ProtobufCMessage *m)
{
    struct emu_node *n = ctx;

    return n->open && (emu_faults_take(n, m, true) || emu_node_send(n, m));
}

static void io_master_find(void *ctx)
{
    struct emu_node *n = ctx;

    n->wanted = true;
    emulator_connect_soon(n);
}

static void io_master_reset(void *ctx, enum agent_link_reset how)
{
    struct emu_node *n = ctx;

    close_channel(n);
    n->wanted = how == AGENT_LINK_RETRY;
    if (n->wanted)
        emulator_connect_soon(n);
}

void emu_node_start_again(struct emu_node *n)
{
    struct fl_err err;

    if (n->core || n->leaving)
        return;
    n->emu->stats->restarts++;
    if (emu_node_start(n, &err) < 0)
        log_error("Agent %u does not start again: %s", n->index, err.msg);
}

static void restart(void *arg)
{
    struct emu_node *n = arg;

    emu_node_stop(n);
    if (!emu_faults_dead(n))
        emu_node_start_again(n);
}

/* The agent's process ends, and what watches over it starts it again. Within a call of the core, which must return first. */
static void io_exit(void *ctx, int status, const char *why)
{
    struct emu_node *n = ctx;

    emulator_not_waiting(n);
    n->wanted = false;
    if (n->leaving && n->open) { /* its last word must still be sent: on_closed() follows */
        wire_channel_close(n->channel);
        return;
    }
    if (n->leaving) {
        emulator_gone(n);
        return;
    }
    log_warning("Agent %u ends: %s", n->index, why);
    close_channel(n);
    fl_loop_forget(n->emu->loop, n);
    fl_loop_defer(n->emu->loop, restart, n);
}

static void io_executor_send(void *ctx, void *stream, const Exec__Event *ev)
{
    emu_executor_event(stream, ev);
}

static void io_executor_close(void *ctx, void *stream)
{
    emu_executor_hung_up(stream);
}

static int io_write(void *ctx, const char *path, const void *p, size_t n, bool durable,
                    struct fl_err *err)
{
    emu_files_write(&((struct emu_node *)ctx)->files, path, p, n);
    return 0;
}

static int io_append(void *ctx, const char *path, const void *p, size_t n, struct fl_err *err)
{
    emu_files_append(&((struct emu_node *)ctx)->files, path, p, n);
    return 0;
}

static int io_truncate(void *ctx, const char *path, size_t n, struct fl_err *err)
{
    return emu_files_truncate(&((struct emu_node *)ctx)->files, path, n, err);
}

static int io_read(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err)
{
    return emu_files_read(&((struct emu_node *)ctx)->files, path, out, err);
}

static int io_list(void *ctx, const char *path, void (*fn)(const char *name, void *arg), void *arg,
                   struct fl_err *err)
{
    return emu_files_list(&((struct emu_node *)ctx)->files, path, fn, arg, err);
}

static int io_mkdir(void *ctx, const char *path, const char *user_or_null, struct fl_err *err)
{
    return 0;
}

static int io_link(void *ctx, const char *target, const char *path, struct fl_err *err)
{
    emu_files_link(&((struct emu_node *)ctx)->files, target, path);
    return 0;
}

static int io_readlink(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err)
{
    return emu_files_readlink(&((struct emu_node *)ctx)->files, path, out, err);
}

static int io_remove(void *ctx, const char *path, struct fl_err *err)
{
    emu_files_remove(&((struct emu_node *)ctx)->files, path);
    return 0;
}

static int io_sync(void *ctx, const char *path, struct fl_err *err)
{
    return 0;
}

static int io_empty(void *ctx, const char *path, bool root, struct fl_err *err)
{
    return io_remove(ctx, path, err);
}

static void run_job(void *arg)
{
    struct emu_job *j = arg;
    struct emu_node *n = j->node;

    DL_DELETE(n->jobs, j);
    j->work(j->arg);
    j->done(j->arg);
    free(j);
}

/* In memory nothing takes long enough for a thread. */
static void io_background(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct emu_node *n = ctx;
    struct emu_job *j = xnew0(struct emu_job);

    *j = (struct emu_job){.node = n, .work = work, .done = done, .arg = arg};
    DL_APPEND(n->jobs, j);
    fl_loop_defer(n->emu->loop, run_job, j);
}

static void io_attach(void *ctx, const char *virtual_path, const char *real)
{
}

static void io_detach(void *ctx, const char *real)
{
}

static const struct agent_io io = {
    .master_send = io_master_send,
    .master_find = io_master_find,
    .master_reset = io_master_reset,
    .executor_send = io_executor_send,
    .executor_close = io_executor_close,
    .write = io_write,
    .append = io_append,
    .truncate = io_truncate,
    .read = io_read,
    .list = io_list,
    .mkdir = io_mkdir,
    .link = io_link,
    .readlink = io_readlink,
    .remove = io_remove,
    .discard = io_remove,
    .sync = io_sync,
    .empty = io_empty,
    .background = io_background,
    .attach = io_attach,
    .detach = io_detach,
    .exit = io_exit,
};

/* ---- life ---- */

int emu_node_start(struct emu_node *n, struct fl_err *err)
{
    struct emulator *e = n->emu;
    V1__AgentInfo info = *n->pattern;
    char ip[INET_ADDRSTRLEN], address[INET_ADDRSTRLEN + 8], host[256];
    int r;

    address_of(n, ip, sizeof ip);
    snprintf(address, sizeof address, "%s:%u", ip, (unsigned)e->kit->options.port);
    emu_roster_name(e->kit->cluster, &e->roster->all[n->index], host, sizeof host);
    info.hostname = host;
    n->env = (struct agent_env){.env = e->env, .io = &io, .ctx = n};
    r = agent_new(&n->env, &e->kit->flags, e->metrics, &info, address, &n->core, err);
    if (r < 0)
        return r;
    n->core->default_executor = "emulated";
    n->containers.env = &n->env.env;
    n->containers.workload = &n->group->tasks;
    n->containers.random = &n->random;
    n->containers.running = &n->stats->running;
    emu_containers_init(&n->containers, n->core);
    return agent_recover(n->core, err);
}

/* The process, and nothing that outlives it. */
static void end_process(struct emu_node *n)
{
    struct emu_job *j, *tmp;

    fl_loop_forget(n->emu->loop, n);
    emulator_not_waiting(n);
    n->wanted = false;
    close_channel(n);
    DL_FOREACH_SAFE (n->jobs, j, tmp) {
        DL_DELETE(n->jobs, j);
        fl_loop_forget(n->emu->loop, j);
        free(j);
    }
    agent_free(TAKE_PTR(n->core));
}

void emu_node_stop(struct emu_node *n)
{
    end_process(n);
    emu_containers_done(&n->containers);
}

void emu_node_kill(struct emu_node *n)
{
    emu_containers_orphan(&n->containers);
    end_process(n);
}

void emu_node_leave(struct emu_node *n, bool kill)
{
    bool polite = !kill && n->open && n->core && n->core->state == AGENT_RUNNING;

    n->leaving = true;
    if (polite)
        agent_shutdown(n->core, "the cluster shrinks", true);
    else
        emulator_gone(n);
}
