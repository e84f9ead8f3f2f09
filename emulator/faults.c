/* See emulator.h. A connection is TCP and loses nothing, so what is lost or late here is so before it is written or after it was read:
 * to both ends it looks like a peer that was stopped, or died, in between.
 *
 * What is wrong with a node is its own: its group's plan, and over it what commands said. */
#include <utlist.h>

#include "emulator/emulator.h"

struct late {
    ProtobufCMessage *m; /* owned */
    bool to_master;
    uint64_t due_us;
    struct late *prev, *next;
};

struct emu_faults {
    struct emu_fault_plan plan;
    uint64_t by[EMU_N_FAULTS]; /* the command that began it; 0: none */
    bool away;
    struct env_timer *flap_timer, *late_timer;
    struct late *late; /* in the order in which they fall due */
};

static bool zero(const struct emu_time *t)
{
    return t->shape == EMU_FIXED && t->a_us == 0;
}

/* ---- connections that break ---- */

static void set_flap(struct emu_node *n, const struct emu_time *t)
{
    uint64_t us = emu_time_draw(t, &n->random);

    if (us == UINT64_MAX)
        env_timer_stop(&n->emu->env, n->faults->flap_timer);
    else
        env_timer_set(&n->emu->env, n->faults->flap_timer, FL_MAX(us, 1000));
}

static void come_back(struct emu_node *n)
{
    n->faults->away = false;
    if (n->wanted)
        emulator_connect_soon(n);
}

static void on_flap(void *arg)
{
    struct emu_node *n = arg;
    struct emu_faults *f = n->faults;

    set_flap(n, f->away ? &f->plan.flap_every : &f->plan.flap_away);
    if (f->away) {
        come_back(n);
        return;
    }
    f->away = true;
    n->stats->faults[EMU_FLAP] += n->open;
    emulator_not_waiting(n);
    emu_node_drop_channel(n);
}

/* Anew, or no more. */
static void begin_flap(struct emu_node *n)
{
    struct emu_faults *f = n->faults;

    if (!zero(&f->plan.flap_every)) {
        if (!f->away)
            set_flap(n, &f->plan.flap_every);
        return;
    }
    env_timer_stop(&n->emu->env, f->flap_timer);
    if (f->away)
        come_back(n);
}

bool emu_faults_away(const struct emu_node *n)
{
    return n->faults && n->faults->away;
}

bool emu_faults_dead(const struct emu_node *n)
{
    return n->faults && n->faults->by[EMU_KILL];
}

/* ---- messages ---- */

static void drop(struct emu_faults *f, struct late *l)
{
    DL_DELETE(f->late, l);
    fl_pb_free(l->m);
    free(l);
}

static void on_late(void *arg)
{
    struct emu_node *n = arg;
    struct emu_faults *f = n->faults;

    while (f->late && f->late->due_us <= env_now_us(&n->emu->env)) {
        struct late *l = f->late;
        ProtobufCMessage *m = TAKE_PTR(l->m);
        bool to_master = l->to_master;

        /* First: what it does may break the connection, and forget the others. */
        drop(f, l);
        if (to_master)
            emu_node_send(n, m);
        else
            emu_node_deliver(n, m);
        fl_pb_free(m);
    }
    if (f->late) {
        uint64_t now = env_now_us(&n->emu->env);

        env_timer_set(&n->emu->env, f->late_timer,
                      f->late->due_us > now ? f->late->due_us - now : 0);
    }
}

static void delay(struct emu_node *n, const ProtobufCMessage *m, bool to_master)
{
    struct emu_faults *f = n->faults;
    uint64_t lag = emu_time_draw(&f->plan.lag, &n->random);
    struct late *l = xnew0(struct late);

    l->m = fl_pb_dup(m, NULL);
    l->to_master = to_master;
    l->due_us = env_now_us(&n->emu->env) + lag;
    if (f->late)
        l->due_us = FL_MAX(l->due_us, f->late->prev->due_us);
    else
        env_timer_set(&n->emu->env, f->late_timer, lag);
    DL_APPEND(f->late, l);
    n->stats->faults[EMU_LAG]++;
}

bool emu_faults_take(struct emu_node *n, const ProtobufCMessage *m, bool to_master)
{
    struct emu_faults *f = n->faults;

    if (!f)
        return false;
    if (f->by[EMU_PARTITION] || (f->plan.lose > 0 && emu_random_unit(&n->random) < f->plan.lose)) {
        n->stats->faults[EMU_LOSE]++;
        return true;
    }
    /* Not before those that are late already. */
    if (zero(&f->plan.lag) && !f->late)
        return false;
    delay(n, m, to_master);
    return true;
}

void emu_faults_forget(struct emu_node *n)
{
    while (n->faults && n->faults->late)
        drop(n->faults, n->faults->late);
}

/* ---- commands ---- */

static void make(struct emu_node *n)
{
    const struct env *env = &n->emu->env;

    if (n->faults)
        return;
    n->faults = xnew0(struct emu_faults);
    n->faults->plan = n->group->faults;
    n->faults->late_timer = env_timer_new(env, on_late, n);
    n->faults->flap_timer = env_timer_new(env, on_flap, n);
}

/* The plan's part of one kind of fault. */
static void take_part(struct emu_node *n, enum emu_fault kind, const struct emu_fault_plan *from)
{
    struct emu_fault_plan *to = &n->faults->plan;

    if (kind == EMU_LAG)
        to->lag = from->lag;
    if (kind == EMU_LOSE)
        to->lose = from->lose;
    if (kind != EMU_FLAP)
        return;
    to->flap_every = from->flap_every;
    to->flap_away = from->flap_away;
    begin_flap(n);
}

void emu_faults_set(struct emu_node *n, const struct emu_command *c, uint64_t id)
{
    make(n);
    n->faults->by[c->fault] = id;
    take_part(n, c->fault, &c->plan);
    if (c->fault == EMU_PARTITION)
        n->stats->faults[EMU_PARTITION]++;
    if (c->fault != EMU_KILL || !n->core)
        return;
    n->stats->faults[EMU_KILL]++;
    emu_node_kill(n);
}

void emu_faults_heal(struct emu_node *n, uint64_t id_or_0)
{
    for (unsigned kind = 0; n->faults && kind < EMU_N_FAULTS; kind++) {
        uint64_t by = n->faults->by[kind];

        if (!by || (id_or_0 && by != id_or_0))
            continue;
        n->faults->by[kind] = 0;
        take_part(n, (enum emu_fault)kind, &n->group->faults);
        if (kind == EMU_KILL)
            emu_node_start_again(n);
    }
}

/* ---- life ---- */

void emu_faults_new(struct emu_node *n)
{
    const struct emu_fault_plan *p = &n->group->faults;

    if (zero(&p->flap_every) && zero(&p->lag) && p->lose <= 0)
        return;
    make(n);
    if (!zero(&p->flap_every))
        set_flap(n, &p->flap_every);
}

void emu_faults_free(struct emu_node *n)
{
    struct emu_faults *f = n->faults;

    if (!f)
        return;
    emu_faults_forget(n);
    env_timer_free(&n->emu->env, f->flap_timer);
    env_timer_free(&n->emu->env, f->late_timer);
    free(TAKE_PTR(n->faults));
}
