/* One worker; see emulator.h. Connections are opened a few hundred at a time: a master has only so long a queue of new ones, and an
 * attempt that is refused costs both ends more than one that waits. When one is refused, a single agent goes on asking, ten times a second,
 * and the others follow, twice as many after each success. */
#include "emulator/emulator.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/base/log.h"

#define RETRY_US   500000ull
#define PROBE_US   100000ull
#define PUBLISH_US 1000000ull
#define BURST_US   20000ull /* of connections, as a part of the rate */

/* ---- connecting ---- */

/* Never later than it is set: agents that come one after another must not put it off. */
static void pump_in(struct emulator *e, uint64_t us)
{
    if (e->pump_set && us > 0)
        return;
    e->pump_set = true;
    fl_timer_set(e->pump_timer, us);
}

/* Whether one more may begin in this slice of time; the share of a worker is that of its agents. */
static bool within_rate(struct emulator *e, uint64_t now)
{
    uint64_t rate = e->kit->options.connect_rate, share;

    if (rate == 0)
        return true;
    if (now - e->rate_from_us >= BURST_US) {
        e->rate_from_us = now;
        e->rate_used = 0;
    }
    share = rate * BURST_US / 1000000 / e->roster->n_workers;
    return e->rate_used++ < FL_MAX(share, 1);
}

static void pump(void *arg)
{
    struct emulator *e = arg;
    uint64_t now = env_now_us(&e->env);

    e->pump_set = false;
    if (now < e->hold_until_us) {
        pump_in(e, e->hold_until_us - now);
        return;
    }
    while (e->host && e->waiting && e->connecting < e->window) {
        struct emu_node *n = e->waiting;

        if (!within_rate(e, now)) {
            pump_in(e, BURST_US);
            return;
        }
        emulator_not_waiting(n);
        if (n->channel || !n->core)
            continue;
        e->connecting++;
        emu_node_connect(n);
        if (n->queued) /* failed at once: not again in this turn */
            break;
    }
    if (e->waiting && e->connecting == 0)
        pump_in(e, RETRY_US);
}

void emulator_connect_soon(struct emu_node *n)
{
    struct emulator *e = n->emu;

    if (n->queued || emu_faults_away(n))
        return;
    n->queued = true;
    DL_APPEND(e->waiting, n);
    /* A while later: whatever closed the connection goes on for a moment. */
    pump_in(e, e->stats->disconnects || e->told ? PROBE_US : 0);
}

void emulator_not_waiting(struct emu_node *n)
{
    if (!n->queued)
        return;
    n->queued = false;
    DL_DELETE(n->emu->waiting, n);
}

void emulator_attempt_over(struct emulator *e)
{
    e->connecting--;
    if (e->waiting)
        pump_in(e, 0);
}

void emulator_attempt_worked(struct emulator *e)
{
    e->window = FL_MIN(e->window * 2, e->max_window);
    emulator_attempt_over(e);
}

void emulator_attempt_failed(struct emulator *e)
{
    e->window = 1;
    e->hold_until_us = env_now_us(&e->env) + PROBE_US;
    /* Of several masters another may lead now. */
    if (e->stats->registered == 0 && strpbrk(e->kit->options.master, ",/"))
        detector_failed(e->detector);
}

static void on_leader(const struct detected_master *leader, void *arg)
{
    struct emulator *e = arg;

    if (leader && e->host && streq(leader->host, e->host) && leader->port == e->port)
        return;
    free(e->host);
    e->host = leader ? xstrdup(leader->host) : NULL;
    e->port = leader ? leader->port : 0;
    for (size_t i = 0; i < e->n_nodes; i++) {
        struct emu_node *n = e->nodes[i];

        if (!n)
            continue;
        emu_node_drop_channel(n);
        if (n->wanted)
            emulator_connect_soon(n);
    }
    pump_in(e, 0);
}

/* ---- numbers ---- */

/* To the supervisor: look at the numbers. It does not matter if one is lost: then it has not yet read another. */
static void nudge(struct emulator *e)
{
    static const char look = 'l';

    (void)send(e->fd, &look, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void tell_when_whole(struct emulator *e)
{
    bool whole = e->stats->registered == e->stats->agents;

    if (whole && !e->told)
        nudge(e);
    e->told = e->told || whole;
}

void emulator_registered(struct emu_node *n, bool registered)
{
    struct emulator *e = n->emu;

    if (n->registered == registered)
        return;
    n->registered = registered;
    if (!registered) {
        n->stats->registered--;
        e->stats->registered--;
        return;
    }
    n->stats->registered++;
    if (e->stats->registered++ == 0 && e->host)
        snprintf(e->stats->master, sizeof e->stats->master, "%s:%u", e->host, e->port);
    detector_worked(e->detector);
    tell_when_whole(e);
}

static uint64_t counter(struct emulator *e, const char *name)
{
    return (uint64_t)metric_get(metrics_counter(e->metrics, name));
}

static void on_publish(void *arg)
{
    struct emulator *e = arg;

    e->stats->finished = counter(e, "slave/tasks_finished");
    e->stats->failed = counter(e, "slave/tasks_failed");
    e->stats->killed = counter(e, "slave/tasks_killed");
    fl_timer_set(e->publish_timer, PUBLISH_US);
}

/* ---- nodes ---- */

static void set_agents(struct emu_node *n, int more)
{
    n->stats->agents += (uint64_t)more;
    n->emu->stats->agents += (uint64_t)more;
}

static struct emu_node *make_node(struct emulator *e, size_t index)
{
    const struct emu_member *m = &e->roster->all[index];
    struct emu_node *n = xnew0(struct emu_node);

    n->emu = e;
    n->group = &e->kit->cluster->groups[m->group];
    n->stats = &e->stats->groups[m->group];
    n->pattern = e->kit->patterns[m->group][m->place];
    n->index = (uint32_t)index;
    n->random.state = e->kit->cluster->seed + index * UINT64_C(0xd1b54a32d192ed03);
    e->nodes = xgrow(e->nodes, &e->cap_nodes, index + 1, sizeof *e->nodes);
    for (; e->n_nodes <= index; e->n_nodes++)
        e->nodes[e->n_nodes] = NULL;
    e->nodes[index] = n;
    set_agents(n, 1);
    emu_faults_new(n);
    return n;
}

static void free_node(struct emu_node *n)
{
    emu_node_stop(n);
    emu_faults_free(n);
    emu_files_done(&n->files);
    n->emu->nodes[n->index] = NULL;
    free(n);
}

static void free_gone(void *arg)
{
    struct emu_node *n = arg;
    struct emulator *e = n->emu;

    free_node(n);
    tell_when_whole(e);
}

void emulator_gone(struct emu_node *n)
{
    fl_loop_forget(n->emu->loop, n);
    fl_loop_defer(n->emu->loop, free_gone, n);
}

/* ---- commands ---- */

static void on_new_member(size_t index, void *arg)
{
    struct emulator *e = arg;
    struct fl_err err;

    if (e->roster->all[index].worker == e->index && emu_node_start(make_node(e, index), &err) < 0)
        log_error("Agent %zu does not start: %s", index, err.msg);
}

struct applying {
    struct emulator *e;
    const struct emu_command *c;
};

static void on_member_gone(size_t index, void *arg)
{
    const struct applying *a = arg;
    struct emu_node *n = a->e->roster->all[index].worker == a->e->index ? a->e->nodes[index] : NULL;

    if (!n)
        return;
    set_agents(n, -1);
    emu_node_leave(n, a->c->kill);
}

struct emu_timed {
    struct emulator *e;
    uint64_t id;
    struct fl_timer *timer;
    struct emu_timed *prev, *next;
};

static void heal(struct emulator *e, unsigned group, uint64_t id)
{
    for (size_t i = 0; i < e->n_nodes; i++) {
        if (e->nodes[i] && (group == EMU_ALL_GROUPS || e->roster->all[i].group == group))
            emu_faults_heal(e->nodes[i], id);
    }
}

static void free_timed(struct emu_timed *t)
{
    DL_DELETE(t->e->timed, t);
    fl_timer_free(t->timer);
    free(t);
}

static void on_time_up(void *arg)
{
    struct emu_timed *t = arg;

    heal(t->e, EMU_ALL_GROUPS, t->id);
    free_timed(t);
}

static void heal_later(struct emulator *e, uint64_t id, uint64_t in_us)
{
    struct emu_timed *t = xnew0(struct emu_timed);

    t->e = e;
    t->id = id;
    t->timer = fl_timer_new(e->loop, on_time_up, t);
    DL_APPEND(e->timed, t);
    fl_timer_set(t->timer, in_us);
}

static void on_struck(size_t index, void *arg)
{
    const struct applying *a = arg;

    if (a->e->roster->all[index].worker == a->e->index && a->e->nodes[index])
        emu_faults_set(a->e->nodes[index], a->c, a->e->stats->applied + 1);
}

static void fail(struct emulator *e, const struct emu_command *c)
{
    const struct emu_choice choice = {
        .group = c->group, .fraction = c->fraction, .count = c->count, .names = c->names};
    struct applying a = {e, c};
    struct fl_err err;
    uint64_t n;

    /* The supervisor has tried it on its own roster, which is the same. */
    if (emu_roster_choose(e->roster, &choice, on_struck, &a, &n, &err) < 0)
        log_error("A fault that strikes nobody: %s", err.msg);
    if (c->for_us)
        heal_later(e, e->stats->applied + 1, c->for_us);
}

static void apply(struct emulator *e, const struct emu_command *c)
{
    struct applying a = {e, c};

    switch (c->verb) {
    case EMU_NEW_WORKER:
        emu_roster_add_worker(e->roster);
        break;
    case EMU_GROW:
        e->told = false;
        emu_roster_grow(e->roster, c->group, c->count, on_new_member, e);
        break;
    case EMU_SHRINK:
        emu_roster_shrink(e->roster, c->group, c->count, on_member_gone, &a);
        break;
    case EMU_FAIL:
        fail(e, c);
        break;
    case EMU_HEAL:
        heal(e, c->group, 0);
        break;
    }
    e->stats->applied++;
    tell_when_whole(e);
}

static void on_command(int fd, bool readable, bool writable, void *arg)
{
    struct emulator *e = arg;
    struct emu_command c;
    ssize_t n = recv(fd, &c, sizeof c, MSG_DONTWAIT);

    if (n == (ssize_t)sizeof c)
        apply(e, &c);
    else if (n >= 0 || (errno != EAGAIN && errno != EINTR))
        fl_loop_stop(e->loop); /* the supervisor is gone */
}

/* ---- making ---- */

static int raise_descriptors(size_t n, struct fl_err *err)
{
    rlim_t need = n + EMU_OTHER_FDS;
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return fl_err_errno(err, errno, "read the limit of open files");
    /* All that there is: the cluster may grow. */
    l.rlim_max = FL_MAX(l.rlim_max, need);
    l.rlim_cur = l.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &l) == 0)
        return 0;
    return fl_err_errno(err, errno, "raise the limit of open files to %zu, one an agent",
                        (size_t)need);
}

static void on_term(void *arg)
{
    fl_loop_stop(((struct emulator *)arg)->loop);
}

static int make_loop(struct emulator *e, struct fl_err *err)
{
    int r = fl_loop_new(&e->loop, err);

    if (r < 0)
        return r;
    e->env = env_from_loop(e->loop);
    e->metrics = metrics_new();
    e->pump_timer = fl_timer_new(e->loop, pump, e);
    e->publish_timer = fl_timer_new(e->loop, on_publish, e);
    r = fl_watch_new(e->loop, e->fd, true, false, on_command, e, &e->watch, err);
    return r < 0 ? r : fl_signal_new(e->loop, SIGTERM, on_term, e, &e->term, err);
}

static int make_nodes(struct emulator *e, struct fl_err *err)
{
    for (size_t i = 0; i < e->roster->n; i++) {
        const struct emu_member *m = &e->roster->all[i];
        int r;

        if (!m->present || m->worker != e->index)
            continue;
        r = emu_node_start(make_node(e, i), err);
        if (r < 0)
            return r;
    }
    return 0;
}

int emulator_new(const struct emu_kit *kit, struct emu_roster *roster, unsigned index,
                 struct emu_worker_stats *stats, int fd, struct emulator **ret, struct fl_err *err)
{
    _cleanup_(emulator_freep) struct emulator *e = xnew0(struct emulator);
    int r;

    e->kit = kit;
    e->roster = roster;
    e->index = index;
    e->stats = stats;
    e->fd = fd;
    e->max_window = FL_MAX(kit->options.connecting / roster->n_workers, 1);
    e->window = e->max_window;
    r = raise_descriptors(roster->load[index], err);
    if (r == 0)
        r = make_loop(e, err);
    if (r == 0)
        r = make_nodes(e, err);
    if (r == 0)
        r = detector_new(e->loop, kit->options.master, on_leader, e, &e->detector, err);
    if (r < 0)
        return r;
    fl_timer_set(e->publish_timer, PUBLISH_US);
    *ret = TAKE_PTR(e);
    return 0;
}

void emulator_run(struct emulator *e)
{
    fl_loop_run(e->loop);
}

void emulator_free(struct emulator *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_nodes; i++) {
        if (e->nodes[i])
            free_node(e->nodes[i]);
    }
    free(e->nodes);
    while (e->timed)
        free_timed(e->timed);
    if (e->detector)
        detector_free(e->detector);
    free(e->host);
    fl_timer_free(e->pump_timer);
    fl_timer_free(e->publish_timer);
    fl_signal_free(e->term);
    fl_watch_free(e->watch);
    metrics_free(e->metrics);
    fl_loop_free(e->loop);
    free(e);
}
