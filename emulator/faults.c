/* See emulator.h. A connection is TCP and loses nothing, so what is lost or late here is so before it is written or after it was read:
 * to both ends it looks like a peer that was stopped, or died, in between. */
#include <utlist.h>

#include "emulator/emulator.h"

struct late {
    ProtobufCMessage *m; /* owned */
    bool to_master;
    uint64_t due_us;
    struct late *prev, *next;
};

struct emu_faults {
    bool away;
    struct env_timer *flap_timer, *late_timer;
    struct late *late; /* in the order in which they fall due */
};

static const struct emu_fault_plan *plan_of(const struct emu_node *n)
{
    return &n->group->faults;
}

static bool zero(const struct emu_time *t)
{
    return t->shape == EMU_FIXED && t->a_us == 0;
}

/* ---- connections that break ---- */

static void set_flap(struct emu_node *n, const struct emu_time *t)
{
    uint64_t us = emu_time_draw(t, &n->emu->random);

    if (us != UINT64_MAX)
        env_timer_set(&n->emu->env, n->faults->flap_timer, FL_MAX(us, 1000));
}

static void on_flap(void *arg)
{
    struct emu_node *n = arg;
    struct emu_faults *f = n->faults;

    f->away = !f->away;
    set_flap(n, f->away ? &plan_of(n)->flap_away : &plan_of(n)->flap_every);
    if (f->away) {
        emulator_not_waiting(n);
        emu_node_drop_channel(n);
    } else if (n->wanted) {
        emulator_connect_soon(n);
    }
}

bool emu_faults_away(const struct emu_node *n)
{
    return n->faults && n->faults->away;
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
    uint64_t lag = emu_time_draw(&plan_of(n)->lag, &n->emu->random);
    struct emu_faults *f = n->faults;
    struct late *l = xnew0(struct late);

    l->m = fl_pb_dup(m, NULL);
    l->to_master = to_master;
    l->due_us = env_now_us(&n->emu->env) + lag;
    if (f->late)
        l->due_us = FL_MAX(l->due_us, f->late->prev->due_us);
    else
        env_timer_set(&n->emu->env, f->late_timer, lag);
    DL_APPEND(f->late, l);
}

bool emu_faults_take(struct emu_node *n, const ProtobufCMessage *m, bool to_master)
{
    const struct emu_fault_plan *p = plan_of(n);

    if (!n->faults)
        return false;
    if (p->lose > 0 && emu_random_unit(&n->emu->random) < p->lose) {
        n->emu->lost++;
        return true;
    }
    if (zero(&p->lag))
        return false;
    delay(n, m, to_master);
    return true;
}

void emu_faults_forget(struct emu_node *n)
{
    while (n->faults && n->faults->late)
        drop(n->faults, n->faults->late);
}

/* ---- life ---- */

void emu_faults_new(struct emu_node *n)
{
    const struct emu_fault_plan *p = plan_of(n);
    const struct env *env = &n->emu->env;

    if (zero(&p->flap_every) && zero(&p->lag) && p->lose <= 0)
        return;
    n->faults = xnew0(struct emu_faults);
    n->faults->late_timer = env_timer_new(env, on_late, n);
    if (zero(&p->flap_every))
        return;
    n->faults->flap_timer = env_timer_new(env, on_flap, n);
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
