/* Agents that are marked gone: their ids are never admitted again, what ran there is given up. */
#include "master/core.h"

void gone_state(const struct framework *f, V1__TaskState *ret_state,
                V1__TaskStatus__Reason *ret_reason)
{
    *ret_state = state_told(f, V1__TASK_STATE__TASK_GONE_BY_OPERATOR);
    *ret_reason = f->cap_partition_aware ? V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED_BY_OPERATOR
                                         : V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED;
}

/* Of an agent that was unreachable before: frameworks learn that nothing comes back. */
static void end_unreachable(struct master *m, struct task *t, const char *why)
{
    struct framework *f = t->framework;
    struct made_status s = {
        .task_id = fl_arena_strdup(m->core->scratch, t->id),
        .agent_id = fl_arena_strdup(m->core->scratch, t->agent_id),
        .executor_id = t->executor_id ? fl_arena_strdup(m->core->scratch, t->executor_id) : NULL,
        .message = why,
    };
    V1__TaskStatus *st;

    gone_state(f, &s.state, &s.reason);
    st = status_make(m, &s);
    task_update(m, t, st, NULL);
    task_complete_unreachable(m, t);
    if (f->connected)
        status_send(m, f, st);
}

void gone_apply(struct master *m, struct transition *tr)
{
    struct known_agent *unreachable = known_find(m->unreachable_agents, tr->id);
    struct agent *a = master_agent(m, tr->id);

    known_add(&m->gone_agents, tr->id)->since_ns = tr->since_ns;
    if (!unreachable) {
        if (a && a->peer)
            agents_shutdown(m, a->peer, tr->why);
        agents_left(m, tr);
        return;
    }
    while (unreachable->tasks)
        end_unreachable(m, unreachable->tasks, tr->why);
    known_remove(m, &m->unreachable_agents, unreachable);
}
