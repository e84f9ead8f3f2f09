/* What becomes of a framework's tasks: its status updates. See load.h. */
#include "common/base/json.h"
#include "common/model/task_state.h"
#include "emulator/load/offers.h"

static const char *reason_of(const struct load_update *u)
{
    const char *name =
        u->reason >= 0 ? fl_enum_name(&v1__task_status__reason__descriptor, u->reason) : NULL;

    return name ? name : "no reason";
}

static void count_bad(struct load_framework *f, const struct load_update *u)
{
    char kind[120];
    const char *state = task_state_name((V1__TaskState)u->state);

    fl_snprintf(kind, sizeof kind, "%s %s", state ? state : "?", reason_of(u));
    f->group->figures->counts[LOAD_COUNT_ERRORS]++;
    load_error_count(f->load, kind, u->message.p, u->message.n);
}

static void acknowledge(struct load_framework *f, const struct load_update *u, uint64_t ref_us)
{
    if (u->uuid.n == 0 || u->agent_id.n == 0)
        return;
    f->group->figures->counts[LOAD_COUNT_ACKS]++;
    load_call_acknowledge(&f->load->out, u->agent_id, u->task_id, u->uuid);
    load_framework_send(f, ref_us);
}

static bool is_loaded(const struct load_group *g)
{
    const struct load *l = g->load;

    for (size_t i = 0; i < l->n_groups; i++) {
        const struct load_group *o = &l->groups[i];

        if (o != g && !o->entry->measure && o->entry->jobs && o->started_us && !o->complete_us)
            return true;
    }
    return false;
}

static void settle(struct load_group *g, int by)
{
    if (g->entry->keep)
        return;
    g->settled += (uint64_t)(int64_t)by;
    if (g->settled == g->total && !g->complete_us)
        g->complete_us = g->load->now_us;
}

static void runs(struct load_framework *f, size_t i)
{
    struct load *l = f->load;
    struct load_group *g = f->group;
    struct load_task *t = &f->tasks[i];
    struct load_job *job = &f->jobs[i / g->entry->tasks];

    t->state = LOAD_RUNNING;
    t->changed_us = l->now_us;
    l->running++;
    l->peak_running = FL_MAX(l->peak_running, l->running);
    g->figures->counts[LOAD_COUNT_RUNNING]++;
    hist_add(&g->figures->hists[LOAD_HIST_ACCEPT_RUNNING], l->now_us - t->accepted_us);
    if (!t->ran) {
        t->ran = true;
        job->ran++;
        hist_add(&g->figures->hists[LOAD_HIST_SUBMITTED_RUNNING], l->now_us - job->arrived_us);
        if (g->entry->gang && job->ran == g->entry->tasks)
            l->gangs_whole++;
    }
    if (g->entry->measure && f->freed_us)
        hist_add(&g->figures->hists[is_loaded(g) ? LOAD_HIST_FREED_RUNNING_LOADED
                                                 : LOAD_HIST_FREED_RUNNING],
                 l->now_us - f->freed_us);
    f->freed_us = 0;
    if (!g->entry->ends)
        settle(g, 1);
}

static enum load_count count_of(int state)
{
    switch (state) {
    case V1__TASK_STATE__TASK_FINISHED:
        return LOAD_COUNT_FINISHED;
    case V1__TASK_STATE__TASK_FAILED:
    case V1__TASK_STATE__TASK_ERROR:
        return LOAD_COUNT_FAILED;
    case V1__TASK_STATE__TASK_KILLED:
        return LOAD_COUNT_KILLED;
    default:
        return LOAD_COUNT_LOST;
    }
}

static void launch_again(struct load_framework *f, size_t i)
{
    f->tasks[i].state = LOAD_WAITING;
    f->again = xgrow(f->again, &f->cap_again, f->n_again + 1, sizeof *f->again);
    f->again[f->n_again++] = (uint32_t)i;
}

/* After its end: once more, or that was it. */
static void what_now(struct load_framework *f, size_t i, const struct load_update *u)
{
    struct load_group *g = f->group;
    struct load_task *t = &f->tasks[i];
    bool good = u->state == V1__TASK_STATE__TASK_FINISHED && g->entry->ends;
    bool again =
        !good && (g->entry->retry || u->reason == V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS);

    if (f->load->phase >= LOAD_KILLING) {
        f->killing -= t->killed;
        f->load->kill_left -= f->load->kill_left > 0;
        return;
    }
    if (!good && !g->entry->keep)
        count_bad(f, u);
    if (g->entry->keep || (again && !g->entry->gang)) {
        g->figures->counts[good ? LOAD_COUNT_REPLACED : LOAD_COUNT_RETRIED]++;
        launch_again(f, i);
        return;
    }
    f->load->failed = f->load->failed || !good;
    settle(g, 1);
}

static void ends(struct load_framework *f, size_t i, const struct load_update *u)
{
    struct load *l = f->load;
    struct load_group *g = f->group;
    struct load_task *t = &f->tasks[i];

    g->figures->counts[count_of(u->state)]++;
    if (t->killed)
        hist_add(&g->figures->hists[LOAD_HIST_KILL_TERMINAL], l->now_us - t->changed_us);
    if (t->state == LOAD_RUNNING) {
        l->running--;
        if (!g->entry->ends)
            settle(g, -1);
    }
    t->state = LOAD_ENDED;
    f->in_flight--;
    if (!f->freed_us)
        f->freed_us = l->now_us;
    if (u->agent_id.n) {
        struct load_agent *a = load_agents_get(&l->agents, u->agent_id.p, u->agent_id.n);

        if (!a->freed_us)
            a->freed_us = l->now_us;
    }
    what_now(f, i, u);
    if (l->phase == LOAD_KILLING)
        load_framework_kill_some(f);
    load_want(f, false);
}

static bool fence_heard(struct load_framework *f, struct load_bytes id)
{
    char wanted[40];

    if (id.n < 6 || memcmp(id.p, "fence-", 6) != 0)
        return false;
    fl_snprintf(wanted, sizeof wanted, "fence-%llx", (unsigned long long)f->fence);
    if (id.n == strlen(wanted) && memcmp(id.p, wanted, id.n) == 0 && f->fence_seen < f->fence) {
        f->fence_seen = f->fence;
        hist_add(&f->group->figures->hists[LOAD_HIST_FENCE], f->load->now_us - f->fence_sent_us);
    }
    return true;
}

void load_framework_heard(struct load_framework *f, const struct load_update *u)
{
    struct load_task *t = NULL;
    uint32_t attempt;
    uint64_t ref = 0;
    size_t i;

    if (fence_heard(f, u->task_id))
        return;
    if (load_task_id_parse(u->task_id, &i, &attempt) && i < f->n_tasks)
        t = &f->tasks[i];
    if (t && t->attempt == attempt && t->state == LOAD_ACCEPTED &&
        u->state == V1__TASK_STATE__TASK_RUNNING)
        ref = t->accepted_us;
    /* First of all: its answer is what the next update of the task waits for. */
    acknowledge(f, u, ref);
    f->group->figures->counts[LOAD_COUNT_UPDATES]++;
    if (!t || t->attempt != attempt || (t->state != LOAD_ACCEPTED && t->state != LOAD_RUNNING))
        return;
    if (u->state == V1__TASK_STATE__TASK_UNREACHABLE)
        f->group->figures->counts[LOAD_COUNT_UNREACHABLE]++;
    else if (task_state_is_terminal((V1__TaskState)u->state) ||
             u->state == V1__TASK_STATE__TASK_UNKNOWN)
        ends(f, i, u);
    else if (u->state == V1__TASK_STATE__TASK_RUNNING && t->state == LOAD_ACCEPTED)
        runs(f, i);
}
