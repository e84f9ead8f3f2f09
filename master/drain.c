/* Agents that an operator drains, deactivates or reactivates; and the queue of what operators ask about
 * agents, gone.c's MARK_AGENT_GONE included.
 *
 * A draining agent is deactivated, and told to kill what it runs. When the last terminal update is acknowledged and no
 * operation is left it is DRAINED, or gone if that was asked for. Looked for from a timer: what ends a task may be in the
 * middle of something else with the agent.
 */
#include "master/drain.h"

#include <stdarg.h>
#include <stdio.h>

#include "master/core.h"
#include "master/maintenance.h"

#define MAX_WAITING 1000

enum drain_kind { DRAIN_START, DRAIN_DONE, DRAIN_DEACTIVATE, DRAIN_REACTIVATE, DRAIN_GONE };

struct drain_request {
    enum drain_kind kind;
    char id[64];
    V1__DrainInfo *info;   /* owned: what DRAIN_START makes it */
    operator_done_f *done; /* NULL: nobody asked */
    void *arg;
    struct drain_request *next;
};

/* Where the agent is in the master's books. */
struct place {
    struct agent *a;
    struct known_agent *k; /* recovered or unreachable */
};

static bool find(struct master *m, const char *id, struct place *ret)
{
    *ret = (struct place){.a = master_agent(m, id)};
    if (!ret->a)
        ret->k = known_find(m->recovered_agents, id);
    if (!ret->a && !ret->k)
        ret->k = known_find(m->unreachable_agents, id);
    return ret->a || ret->k;
}

static bool is_draining(const V1__DrainInfo *info)
{
    return info && info->state == V1__DRAIN_STATE__DRAINING;
}

/* ---- answers ---- */

/* Takes the request. `err` NULL: 200. */
static void answer(struct drain_request *r, const struct fl_err *err)
{
    if (r->done)
        r->done(r->arg, 200, err);
    fl_pb_free(r->info);
    free(r);
}

static void _printf_(3, 4)
    refuse(struct drain_request *r, enum fl_reason reason, const char *fmt, ...)
{
    char text[400];
    struct fl_err err;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fl_err_set(&err, reason, "%s", text);
    answer(r, &err);
}

void drain_request_free(struct drain_request *r)
{
    if (r)
        refuse(r, FL_UNAVAILABLE, "the master is ending");
}

/* ---- draining ---- */

void drain_tell(struct master *m, struct agent *a)
{
    Msg__DrainSlaveMessage msg = MSG__DRAIN_SLAVE_MESSAGE__INIT;

    if (!a->drain_info)
        return;
    msg.config = a->drain_info->config;
    if (a->drain_start_time <= 0)
        a->drain_start_time = env_wall_s(core_env(m));
    agents_send(m, a, &msg.base);
}

static struct drain_request *request_new(enum drain_kind kind, const char *id)
{
    struct drain_request *r = xnew0(struct drain_request);

    r->kind = kind;
    fl_snprintf(r->id, sizeof(r->id), "%s", id);
    return r;
}

static void run(struct master *m, struct drain_request *r);

static void look(struct master *m, struct agent *a)
{
    bool gone;

    if (!is_draining(a->drain_info) || !a->connected || a->tasks || a->operations || a->removing)
        return;
    gone = a->drain_info->config->has_mark_gone && a->drain_info->config->mark_gone;
    log_info("agent %s (%s) is drained%s", a->id, a->info->hostname,
             gone ? " and to be marked gone" : "");
    run(m, request_new(gone ? DRAIN_GONE : DRAIN_DONE, a->id));
}

static void on_due(void *arg)
{
    struct master *m = arg;
    struct agent *a, *tmp;

    core_enter(m);
    HASH_ITER (hh, m->agents, a, tmp) {
        /* A change that is being written looks again when it is through. */
        if (a->drain_due && !transition_find(m, a->id)) {
            a->drain_due = false;
            look(m, a);
        }
    }
    core_leave(m);
}

void drain_kick(struct master *m, struct agent *a)
{
    if (!a || !is_draining(a->drain_info) || a->drain_due)
        return;
    a->drain_due = true;
    if (!m->core->drain_timer)
        m->core->drain_timer = env_timer_new(core_env(m), on_due, m);
    env_timer_set(core_env(m), m->core->drain_timer, 0);
}

/* ---- the registry has it ---- */

static void activate(struct master *m, struct agent *a)
{
    a->drain_start_time = 0;
    if (!a->connected || a->active)
        return; /* or when it is back */
    agents_set_active(a, true);
    m->alloc_ops->set_agent_active(m->alloc, a->id, true);
    allocation_kick(m);
}

static void apply(struct master *m, struct agent *a, enum drain_kind kind)
{
    switch (kind) {
    case DRAIN_START:
        agents_deactivate(m, a);
        a->drain_start_time = env_wall_s(core_env(m));
        drain_tell(m, a);
        drain_kick(m, a);
        break;
    case DRAIN_DEACTIVATE:
        agents_deactivate(m, a);
        break;
    case DRAIN_REACTIVATE:
        activate(m, a);
        break;
    case DRAIN_DONE:
    case DRAIN_GONE:
        break;
    }
}

static const char *const done_names[] = {
    [DRAIN_START] = "is draining",         [DRAIN_DONE] = "is marked as drained",
    [DRAIN_DEACTIVATE] = "is deactivated", [DRAIN_REACTIVATE] = "is reactivated",
    [DRAIN_GONE] = "is marked gone",
};

void drain_stored(struct master *m, struct transition *tr)
{
    struct drain_request *r = TAKE_PTR(tr->request);
    struct place p;

    if (!find(m, tr->id, &p)) {
        refuse(r, FL_CONFLICT, "Agent removed while processing the call");
        return;
    }
    V1__DrainInfo **info = p.a ? &p.a->drain_info : &p.k->drain_info;
    fl_pb_free(*info);
    *info = TAKE_PTR(tr->drain_info);
    *(p.a ? &p.a->deactivated : &p.k->deactivated) = tr->deactivated;
    if (p.a)
        agent_changed(p.a, true);
    else
        known_changed(m, p.k);
    log_info("agent %s %s", tr->id, done_names[r->kind]);
    if (p.a)
        apply(m, p.a, r->kind);
    /* The reference's answer for agents that are not registered at the moment. */
    if (!p.a && r->kind == DRAIN_REACTIVATE)
        refuse(r, FL_CONFLICT, "Agent removed while processing the call");
    else
        answer(r, NULL);
    if (p.a)
        maintenance_enforce(m, p.a); /* its machine may have gone down meanwhile */
}

void gone_stored(struct master *m, struct transition *tr)
{
    struct drain_request *r = TAKE_PTR(tr->request);

    log_info("agent %s is marked gone", tr->id);
    gone_apply(m, tr);
    answer(r, NULL);
}

/* ---- writing it ---- */

/* Takes `r` and `info`. */
static void write_state(struct master *m, struct drain_request *r, const struct place *p,
                        V1__DrainInfo *info, bool deactivated)
{
    struct transition *tr = transition_new(m, TRANSITION_MARK, r->id);

    tr->request = r;
    tr->drain_info = info;
    tr->deactivated = deactivated;
    if (p->k)
        tr->since_ns = p->k->since_ns;
    transition_start(tr, p->a ? p->a->info : p->k->info, info, deactivated);
}

static V1__DrainInfo *drained(const V1__DrainInfo *info)
{
    V1__DrainInfo *d = FL_PB_DUP(info);

    d->state = V1__DRAIN_STATE__DRAINED;
    return d;
}

/* ---- what is asked ---- */

static bool refuse_drain(struct master *m, struct drain_request *r, const struct place *p)
{
    if (p->a && maintenance_scheduled(m, p->a)) {
        refuse(r, FL_INVALID, "Agent %s is part of a maintenance schedule", r->id);
        return true;
    }
    if (p->a && !agents_has_capability(p->a, V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING)) {
        refuse(r, FL_INVALID, "Agent %s is not capable of draining", r->id);
        return true;
    }
    return false;
}

static void run_gone(struct master *m, struct drain_request *r)
{
    struct transition *tr = transition_new(m, TRANSITION_GONE, r->id);
    struct agent *a = master_agent(m, r->id);

    log_info("marking agent %s gone", r->id);
    if (a)
        a->removing = true;
    tr->request = r;
    tr->why = xstrdup("Agent has been marked gone");
    transition_start(tr, NULL, NULL, false);
}

static void run_free(struct master *m, struct drain_request *r)
{
    const V1__DrainInfo *info;
    struct place p;
    bool found = find(m, r->id, &p), deactivated;

    if (r->kind == DRAIN_GONE && known_find(m->gone_agents, r->id)) {
        answer(r, NULL);
        return;
    }
    if (r->kind == DRAIN_START && found && refuse_drain(m, r, &p))
        return;
    if (!found && r->kind != DRAIN_REACTIVATE) {
        if (r->kind == DRAIN_GONE)
            refuse(r, FL_NOT_FOUND, "Agent '%s' not found", r->id);
        else
            refuse(r, FL_INVALID, "Unknown agent");
        return;
    }
    info = !found ? NULL : p.a ? p.a->drain_info : p.k->drain_info;
    deactivated = found && (p.a ? p.a->deactivated : p.k->deactivated);
    switch (r->kind) {
    case DRAIN_START:
        write_state(m, r, &p, TAKE_PTR(r->info), true);
        break;
    case DRAIN_DONE:
        write_state(m, r, &p, drained(info), deactivated);
        break;
    case DRAIN_DEACTIVATE:
        write_state(m, r, &p, info ? FL_PB_DUP(info) : NULL, true);
        break;
    case DRAIN_REACTIVATE:
        if (!deactivated)
            refuse(r, FL_INVALID, "Agent is not deactivated");
        else if (is_draining(info))
            refuse(r, FL_INVALID, "Agent is still in the DRAINING state");
        else
            write_state(m, r, &p, NULL, false);
        break;
    case DRAIN_GONE:
        run_gone(m, r);
        break;
    }
}

static void wait_for(struct master *m, struct drain_request *r)
{
    struct drain_request *other;
    unsigned n = 0;

    LL_FOREACH (m->core->drain_waiting, other)
        n++;
    if (n >= MAX_WAITING)
        refuse(r, FL_UNAVAILABLE, "too many changes of agents wait already: try again");
    else
        LL_APPEND(m->core->drain_waiting, r);
}

/* Takes `r`. */
static void run(struct master *m, struct drain_request *r)
{
    const struct transition *tr = transition_find(m, r->id);

    if (!tr)
        run_free(m, r);
    else if (tr->kind == TRANSITION_GONE && r->kind == DRAIN_START)
        refuse(r, FL_CONFLICT, "Agent is currently being marked gone");
    else if (tr->kind == TRANSITION_GONE && r->kind == DRAIN_GONE)
        refuse(r, FL_UNAVAILABLE, "Agent '%s' is already being transitioned to gone", r->id);
    else if (tr->kind == TRANSITION_REMOVE && r->kind == DRAIN_GONE)
        refuse(r, FL_UNAVAILABLE, "Agent '%s' is being transitioned to removed", r->id);
    else if (tr->kind == TRANSITION_UNREACHABLE && r->kind == DRAIN_GONE)
        refuse(r, FL_UNAVAILABLE, "Agent '%s' is being transitioned to unreachable", r->id);
    else
        wait_for(m, r);
}

void drain_next(struct master *m, const char *agent_id)
{
    struct drain_request *r, *tmp;
    struct agent *a;

    LL_FOREACH_SAFE (m->core->drain_waiting, r, tmp) {
        if (!streq(r->id, agent_id))
            continue;
        if (transition_find(m, agent_id))
            return;
        LL_DELETE(m->core->drain_waiting, r);
        run(m, r);
    }
    a = master_agent(m, agent_id);
    if (a && a->drain_due) {
        a->drain_due = false;
        drain_kick(m, a);
    }
}

void drain_free(struct master *m)
{
    while (m->core->drain_waiting) {
        struct drain_request *r = m->core->drain_waiting;
        LL_DELETE(m->core->drain_waiting, r);
        drain_request_free(r);
    }
    env_timer_free(core_env(m), m->core->drain_timer);
}

/* ---- the operator's calls ---- */

static void ask(struct master *m, enum drain_kind kind, const char *id, V1__DrainInfo *info,
                operator_done_f *done, void *arg)
{
    struct drain_request *r = request_new(kind, id);

    r->info = info;
    r->done = done;
    r->arg = arg;
    core_enter(m);
    if (strlen(id) >= sizeof(r->id))
        refuse(r, kind == DRAIN_GONE ? FL_NOT_FOUND : FL_INVALID, "Unknown agent");
    else
        run(m, r);
    core_leave(m);
}

void drain_agent(struct master *m, const char *agent_id, const V1__DurationInfo *grace,
                 bool mark_gone, const char *principal, operator_done_f *done, void *arg)
{
    V1__DrainInfo info = V1__DRAIN_INFO__INIT;
    V1__DrainConfig config = V1__DRAIN_CONFIG__INIT;

    config.max_grace_period = (V1__DurationInfo *)grace;
    config.has_mark_gone = true;
    config.mark_gone = mark_gone;
    info.state = V1__DRAIN_STATE__DRAINING;
    info.config = &config;
    ask(m, DRAIN_START, agent_id, FL_PB_DUP(&info), done, arg);
}

void drain_deactivate(struct master *m, const char *agent_id, const char *principal,
                      operator_done_f *done, void *arg)
{
    ask(m, DRAIN_DEACTIVATE, agent_id, NULL, done, arg);
}

void drain_reactivate(struct master *m, const char *agent_id, const char *principal,
                      operator_done_f *done, void *arg)
{
    ask(m, DRAIN_REACTIVATE, agent_id, NULL, done, arg);
}

void gone_mark(struct master *m, const char *agent_id, const char *principal, operator_done_f *done,
               void *arg)
{
    ask(m, DRAIN_GONE, agent_id, NULL, done, arg);
}
