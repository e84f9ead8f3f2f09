/* How agents go: pings that stay unanswered, channels that close, agents that unregister or are
 * replaced (features.md 3.5). */
#include "common/model/agent_info.h"
#include "master/core.h"

/* ---- pings: one list for all agents, as every one waits the same time for the next ---- */

/* So many in one go; and those that are due a moment later, a part of the interval, go with them, so that a large cluster does not
 * wake the master for each. */
enum { PINGS_AT_ONCE = 256, PING_SLACK_US = 50000, PING_SLACK_PART = 200 };

static void send_ping(struct master *m, struct agent *a)
{
    Msg__PingSlaveMessage ping = MSG__PING_SLAVE_MESSAGE__INIT;

    ping.connected = a->connected;
    a->pong_missing = true;
    agents_send(m, a, &ping.base);
}

static void wait_for_next(struct master *m)
{
    const struct agent *next = m->core->pings;
    uint64_t now = core_now(m);

    if (next)
        env_timer_set(core_env(m), m->core->ping_timer,
                      next->ping_due_us > now ? next->ping_due_us - now : 0);
}

static void ping(struct master *m, struct agent *a)
{
    if (a->pong_missing)
        a->missed_pings++;
    send_ping(m, a);
    DL_DELETE2(m->core->pings, a, ping_prev, ping_next);
    a->ping_due_us = core_now(m) + m->flags->agent_ping_timeout;
    DL_APPEND2(m->core->pings, a, ping_prev, ping_next);
    if (a->missed_pings >= m->flags->max_agent_ping_timeouts)
        removal_queue(m, a->id, "health check timed out");
}

static void on_pings_due(void *arg)
{
    struct master *m = FL_CAST(master, MASTER_MAGIC, arg);
    uint64_t slack = FL_MIN(m->flags->agent_ping_timeout / PING_SLACK_PART, PING_SLACK_US);
    uint64_t until = core_now(m) + slack;

    core_enter(m);
    for (int i = 0; i < PINGS_AT_ONCE && m->core->pings; i++) {
        if (m->core->pings->ping_due_us > until)
            break;
        ping(m, m->core->pings);
    }
    wait_for_next(m);
    core_leave(m);
}

void agents_start_pings(struct master *m, struct agent *a)
{
    bool first = !m->core->pings;

    send_ping(m, a);
    a->ping_due_us = core_now(m) + m->flags->agent_ping_timeout;
    DL_APPEND2(m->core->pings, a, ping_prev, ping_next);
    if (first)
        wait_for_next(m);
}

void agents_stop_pings(struct master *m, struct agent *a)
{
    if (a->ping_prev)
        DL_DELETE2(m->core->pings, a, ping_prev, ping_next);
    a->ping_prev = NULL;
}

void pings_init(struct master *m)
{
    m->core->ping_timer = env_timer_new(core_env(m), on_pings_due, m);
}

void pings_free(struct master *m)
{
    env_timer_free(core_env(m), m->core->ping_timer);
}

void agents_pong(struct master *m, struct agent *a)
{
    a->pong_missing = false;
    a->missed_pings = 0;
    removal_cancel(m, a);
}

/* ---- disconnection ---- */

static void on_reregister_timeout(void *arg)
{
    struct agent *a = FL_CAST(agent, AGENT_MAGIC, arg);
    struct master *m = a->master;

    core_enter(m);
    if (!a->connected)
        removal_queue(m, a->id, "agent did not re-register in time after disconnecting");
    core_leave(m);
}

static void end_task(struct master *m, struct task *t, V1__TaskState state,
                     V1__TaskStatus__Reason reason, const char *why, uint64_t unreachable_ns)
{
    struct framework *f = t->framework;
    struct made_status s = {
        .task_id = t->id,
        .agent_id = t->agent_id,
        .executor_id = t->executor_id,
        .state = state,
        .reason = reason,
        .message = why,
        .unreachable_ns = unreachable_ns,
    };
    V1__TaskStatus *st = status_make(m, &s);

    /* The status tells ids by value: the task may not outlive its removal. */
    st->task_id->value = fl_arena_strdup(m->core->scratch, t->id);
    if (st->executor_id)
        st->executor_id->value = fl_arena_strdup(m->core->scratch, t->executor_id);
    st->agent_id->value = fl_arena_strdup(m->core->scratch, t->agent_id);
    task_update(m, t, st, NULL);
    task_remove(m, t, unreachable_ns != 0);
    if (f->connected)
        status_send(m, f, st);
}

/* Frameworks that do not checkpoint lose what they had there: its executors end with the agent. */
static void end_not_checkpointing(struct master *m, struct agent *a)
{
    const char *why = core_printf(m, "Agent %s disconnected", a->info->hostname);
    struct executor *e, *e_tmp;
    struct task *t, *t_tmp;

    DL_FOREACH_SAFE2(a->tasks, t, t_tmp, agent_next)
    {
        if (!t->framework->info->checkpoint)
            end_task(m, t, V1__TASK_STATE__TASK_LOST,
                     V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED, why, 0);
    }
    DL_FOREACH_SAFE (a->executors, e, e_tmp) {
        if (!e->framework->info->checkpoint)
            executor_remove(m, e);
    }
}

void agents_deactivate(struct master *m, struct agent *a)
{
    if (a->active) {
        agents_set_active(a, false);
        m->alloc_ops->set_agent_active(m->alloc, a->id, false);
    }
    while (a->offers)
        offer_withdraw(m, a->offers, true, NULL);
    inverse_offers_withdraw_agent(m, a);
}

void agents_disconnected(struct master *m, struct agent *a)
{
    if (!a->connected)
        return;
    log_info("agent %s at %s (%s) disconnected", a->id, a->pid, a->info->hostname);
    agents_set_connected(a, false);
    a->peer = NULL;
    agents_deactivate(m, a);
    end_not_checkpointing(m, a);
    if (!a->reregister_timer)
        a->reregister_timer = env_timer_new(core_env(m), on_reregister_timeout, a);
    env_timer_set(core_env(m), a->reregister_timer, m->flags->agent_reregister_timeout);
}

/* ---- leaving the books ---- */

void agents_mark_unreachable(struct master *m, struct agent *a, const char *why)
{
    struct transition *tr;

    if (a->removing || transition_find(m, a->id))
        return;
    log_info("marking agent %s (%s) unreachable: %s", a->id, a->info->hostname, why);
    a->removing = true;
    tr = transition_new(m, TRANSITION_UNREACHABLE, a->id);
    tr->why = xstrdup(why);
    tr->reason = m->core->c.slave_removals_unhealthy;
    transition_start(tr, a->info, a->drain_info, a->deactivated);
}

void agents_unregister(struct master *m, struct agent *a, const char *why, struct metric *reason)
{
    struct transition *tr;

    if (a->removing || transition_find(m, a->id))
        return;
    log_info("removing agent %s (%s): %s", a->id, a->info->hostname, why);
    a->removing = true;
    tr = transition_new(m, TRANSITION_REMOVE, a->id);
    tr->why = xstrdup(why);
    tr->reason = reason;
    transition_start(tr, a->info, NULL, false);
}

static void tell_lost(struct master *m, const char *agent_id)
{
    Sched__Event__Failure failure = SCHED__EVENT__FAILURE__INIT;
    V1__AgentID id = V1__AGENT_ID__INIT;
    Sched__Event ev = SCHED__EVENT__INIT;
    struct framework *f, *tmp;

    id.value = (char *)agent_id;
    failure.agent_id = &id;
    ev.has_type = true;
    ev.type = SCHED__EVENT__TYPE__FAILURE;
    ev.failure = &failure;
    HASH_ITER (hh, m->frameworks, f, tmp) {
        if (f->connected)
            framework_send(m, f, &ev);
    }
}

static void end_all(struct master *m, struct agent *a, const struct transition *tr)
{
    bool unreachable = tr->kind == TRANSITION_UNREACHABLE;
    const char *why =
        unreachable ? core_printf(m, "Agent %s is unreachable: %s", a->info->hostname, tr->why)
        : tr->kind == TRANSITION_GONE
            ? tr->why
            : core_printf(m, "Agent %s removed: %s", a->info->hostname, tr->why);
    struct task *t, *tmp;

    DL_FOREACH_SAFE2(a->tasks, t, tmp, agent_next)
    {
        V1__TaskStatus__Reason reason = V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED;
        V1__TaskState state = unreachable
                                  ? state_told(t->framework, V1__TASK_STATE__TASK_UNREACHABLE)
                                  : V1__TASK_STATE__TASK_LOST;
        if (tr->kind == TRANSITION_GONE)
            gone_state(t->framework, &state, &reason);
        end_task(m, t, state, reason, why, unreachable ? tr->since_ns : 0);
    }
    while (a->executors)
        executor_remove(m, a->executors);
    while (a->offers)
        offer_withdraw(m, a->offers, true, NULL);
    inverse_offers_drop_agent(m, a, true);
    if (unreachable)
        operations_lost(m, a, V1__OPERATION_STATE__OPERATION_UNREACHABLE,
                        "Agent was marked unreachable");
    else
        operations_lost(m, a, V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR,
                        tr->kind == TRANSITION_GONE ? tr->why : NULL);
}

static void left_registered(struct master *m, struct agent *a, const struct transition *tr)
{
    struct link *l = a->peer ? link_find(m, a->peer) : NULL;

    m->alloc_ops->remove_agent(m->alloc, a->id);
    end_all(m, a, tr);
    metric_inc(m->core->c.slave_removals);
    if (l) {
        l->agent = NULL;
        link_drop(m, l, true); /* so that it finds out, should it be alive */
    }
    agents_free(m, a);
    tell_lost(m, tr->id);
    if (tr->kind == TRANSITION_REMOVE)
        publish_agent_removed(m, tr->id);
    allocation_kick(m);
}

void agents_left(struct master *m, struct transition *tr)
{
    struct known_agent *recovered = known_find(m->recovered_agents, tr->id);
    struct agent *a = master_agent(m, tr->id);
    struct known_agent *k;

    if (tr->kind == TRANSITION_UNREACHABLE) {
        k = known_add(&m->unreachable_agents, tr->id);
        k->since_ns = tr->since_ns;
        /* Until this master ends it can say which machine it was. */
        agent_info_release(k->info);
        k->info = a           ? agent_info_keep(a->info, false)
                  : recovered ? agent_info_keep(recovered->info, false)
                              : NULL;
        if (a) {
            k->drain_info = TAKE_PTR(a->drain_info);
            k->deactivated = a->deactivated;
            known_from_agent(k, a);
        } else if (recovered) {
            k->drain_info = TAKE_PTR(recovered->drain_info);
            k->deactivated = recovered->deactivated;
            known_from_known(m, k, recovered);
        } else {
            known_changed(m, k);
        }
    }
    if (recovered)
        known_remove(m, &m->recovered_agents, recovered);
    if (tr->reason)
        metric_inc(tr->reason);
    if (a)
        left_registered(m, a, tr);
    else
        tell_lost(m, tr->id);
}
