/* RECONCILE: what became of tasks, as far as the master knows (features.md 3.4). */
#include "master/core.h"

static void answer_known(struct master *m, struct framework *f, const struct task *t)
{
    struct made_status s = {
        .task_id = t->id,
        .agent_id = t->agent_id,
        .executor_id = t->executor_id,
        .state = t->has_status_update ? t->status_update_state : t->state,
        .reason = V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
        .message = "Reconciliation: Latest task state",
        .like = task_last_status(m, t),
    };

    status_send(m, f, status_make(m, &s));
}

static void answer_unknown(struct master *m, struct framework *f, const char *task_id,
                           const char *agent_id)
{
    struct made_status s = {
        .task_id = task_id,
        .agent_id = agent_id,
        .state = V1__TASK_STATE__TASK_UNKNOWN,
        .reason = V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
        .message = "Reconciliation: Task is unknown",
    };
    struct known_agent *k;

    if (agent_id && master_agent(m, agent_id)) {
        s.state = V1__TASK_STATE__TASK_GONE;
        s.message = "Reconciliation: Task is unknown to the agent";
    } else if (agent_id && (k = known_find(m->unreachable_agents, agent_id))) {
        s.state = V1__TASK_STATE__TASK_UNREACHABLE;
        s.message = "Reconciliation: Task is unreachable";
        s.unreachable_ns = k->since_ns;
    } else if (agent_id && known_find(m->gone_agents, agent_id)) {
        s.state = V1__TASK_STATE__TASK_GONE_BY_OPERATOR;
        s.message = "Reconciliation: Task is gone";
    }
    s.state = state_told(f, s.state);
    status_send(m, f, status_make(m, &s));
}

void reconcile_one(struct master *m, struct framework *f, const char *task_id,
                   const char *agent_id_or_null)
{
    struct task *t;

    HASH_FIND_STR(f->tasks, task_id, t);
    if (t) {
        answer_known(m, f, t);
        return;
    }
    /* Whoever is not back yet may still have it: no answer is better than a wrong one. */
    if (agent_id_or_null ? known_find(m->recovered_agents, agent_id_or_null) != NULL
                         : m->recovered_agents != NULL) {
        log_debug("no answer about task '%s' of framework %s until the agents are back", task_id,
                  f->id);
        return;
    }
    answer_unknown(m, f, task_id, agent_id_or_null);
}

void framework_reconcile(struct master *m, struct framework *f, const Sched__Call__Reconcile *call)
{
    struct task *t, *tmp;

    metric_inc(m->core->c.messages_reconcile_tasks);
    if (call->n_tasks == 0) {
        HASH_ITER (hh, f->tasks, t, tmp)
            answer_known(m, f, t);
        return;
    }
    for (size_t i = 0; i < call->n_tasks; i++) {
        const Sched__Call__Reconcile__Task *asked = call->tasks[i];
        reconcile_one(m, f, asked->task_id->value, asked->agent_id ? asked->agent_id->value : NULL);
    }
}
