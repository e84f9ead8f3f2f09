/* /state-summary: agents and frameworks with counts of task states, and who runs where. */
#include "master/api/legacy_parts.h"

/* Counts of task states, and who runs where. */
struct tally {
    const void *who; /* framework; or agent id text */
    char agent_id[64];
    unsigned counts[32];
    const char **others; /* ids, borrowed; each once */
    size_t n_others, cap;
    UT_hash_handle hh;
};

static void tally_add(struct tally *t, V1__TaskState state, const char *other)
{
    if ((size_t)state < ARRAY_SIZE(t->counts))
        t->counts[state]++;
    /* Tasks of one framework come in a row, so the last one is nearly always the same. */
    for (size_t i = t->n_others; i-- > 0;)
        if (streq(t->others[i], other))
            return;
    t->others = xgrow(t->others, &t->cap, t->n_others + 1, sizeof(*t->others));
    t->others[t->n_others++] = other;
}

static void tally_task(struct tally **agents, struct tally *framework, const struct framework *f,
                       const struct task *t)
{
    struct tally *a;

    HASH_FIND_STR(*agents, t->agent_id, a);
    if (!a) {
        a = xnew0(struct tally);
        fl_snprintf(a->agent_id, sizeof(a->agent_id), "%s", t->agent_id);
        HASH_ADD_STR(*agents, agent_id, a);
    }
    tally_add(a, t->state, f->id);
    tally_add(framework, t->state, t->agent_id);
}

static void tally_fields(struct json_out *j, const struct tally *t, const char *others_key)
{
    static const V1__TaskState states[] = {
        V1__TASK_STATE__TASK_STAGING,  V1__TASK_STATE__TASK_STARTING,
        V1__TASK_STATE__TASK_RUNNING,  V1__TASK_STATE__TASK_KILLING,
        V1__TASK_STATE__TASK_FINISHED, V1__TASK_STATE__TASK_KILLED,
        V1__TASK_STATE__TASK_FAILED,   V1__TASK_STATE__TASK_LOST,
        V1__TASK_STATE__TASK_ERROR,    V1__TASK_STATE__TASK_UNREACHABLE,
    };

    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        json_kuint(j, task_state_name(states[i]), t ? t->counts[states[i]] : 0);
    json_karray(j, others_key);
    for (size_t i = 0; t && i < t->n_others; i++)
        json_string(j, t->others[i]);
    json_end_array(j);
}

static void tally_free(struct tally *list)
{
    struct tally *t, *next;

    HASH_ITER (hh, list, t, next) {
        HASH_DEL(list, t);
        free(t->others);
        free(t);
    }
}

static void tally_all(const struct master *m, struct tally **agents, struct tally **frameworks)
{
    for (const struct framework *f = m->frameworks; f; f = f->hh.next) {
        struct tally *x = xnew0(struct tally);
        x->who = f;
        HASH_ADD_PTR(*frameworks, who, x);
        for (const struct task *t = f->tasks; t; t = t->hh.next)
            tally_task(agents, x, f, t);
        for (const struct task *t = f->unreachable_tasks; t; t = t->hh.next)
            tally_task(agents, x, f, t);
        for (const struct task *t = f->completed_tasks; t; t = t->next_completed)
            tally_task(agents, x, f, t);
    }
}

static void write_agents(struct state_out *o, struct tally *agents)
{
    struct json_out *j = &o->j;
    struct tally *t;

    json_karray(j, "slaves");
    for (const struct agent *a = o->m->agents; a; a = a->hh.next) {
        HASH_FIND_STR(agents, a->id, t);
        json_object(j);
        legacy_agent_fields(j, a, o->viewer);
        tally_fields(j, t, "framework_ids");
        json_end_object(j);
        state_step(o);
    }
    json_end_array(j);
}

static void write_frameworks(struct state_out *o, struct tally *frameworks)
{
    struct json_out *j = &o->j;
    struct tally *t;

    json_karray(j, "frameworks");
    for (const struct framework *f = o->m->frameworks; f; f = f->hh.next) {
        const void *key = f;
        if (!viewer_sees_framework(o->viewer, f->info))
            continue;
        HASH_FIND_PTR(frameworks, &key, t);
        json_object(j);
        legacy_framework_fields(j, f);
        tally_fields(j, t, "slave_ids");
        json_end_object(j);
        state_step(o);
    }
    json_end_array(j);
}

static void write_summary(struct state_out *o)
{
    struct tally *agents = NULL, *frameworks = NULL;

    tally_all(o->m, &agents, &frameworks);
    json_object(&o->j);
    json_kstr(&o->j, "hostname", o->m->info->hostname);
    if (o->m->flags->cluster)
        json_kstr(&o->j, "cluster", o->m->flags->cluster);
    write_agents(o, agents);
    write_frameworks(o, frameworks);
    json_end_object(&o->j);
    tally_free(agents);
    tally_free(frameworks);
}

const struct state_view state_view_summary = {"/state-summary", write_summary, false};

void state_summary_get(struct http_exchange *ex, void *arg)
{
    state_respond(ex, arg, &state_view_summary);
}
