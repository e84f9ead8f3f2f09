/* Tasks and executors in the master's books.
 *
 * A task is in exactly one place: on its agent and in framework->tasks (known to run, or terminal
 * and not yet acknowledged), in framework->unreachable_tasks (and listed at its known_agent), or
 * among framework->completed_tasks. Its resources are given back once, at the first terminal or
 * unreachable state.
 */
#include "master/core.h"

#include "master/task_pack.h"

/* ---- reading ---- */

V1__TaskStatus *task_last_status(struct master *m, const struct task *t)
{
    struct task_status_view v;

    return task_status_last(t, &v) ? task_status_pb(t, &v, m->core->scratch) : NULL;
}

static void put_statuses(V1__Task *pb, const struct task *t, struct fl_arena *arena)
{
    struct task_status_view v;
    uint32_t at = 0;

    if (t->n_statuses == 0)
        return;
    pb->statuses = fl_arena_alloc(arena, t->n_statuses * sizeof(*pb->statuses));
    while (task_status_next(t, &at, &v))
        pb->statuses[pb->n_statuses++] = task_status_pb(t, &v, arena);
}

static void put_ids(V1__Task *pb, const struct task *t, struct fl_arena *arena)
{
    pb->name = fl_arena_strdup(arena, task_name(t));
    pb->task_id = FL_ARENA_NEW(arena, V1__TaskID, v1__task_id);
    pb->task_id->value = fl_arena_strdup(arena, t->id);
    pb->framework_id = FL_ARENA_NEW(arena, V1__FrameworkID, v1__framework_id);
    pb->framework_id->value = fl_arena_strdup(arena, t->framework->id);
    pb->agent_id = FL_ARENA_NEW(arena, V1__AgentID, v1__agent_id);
    pb->agent_id->value = fl_arena_strdup(arena, t->agent_id);
    if (t->executor_id) {
        pb->executor_id = FL_ARENA_NEW(arena, V1__ExecutorID, v1__executor_id);
        pb->executor_id->value = fl_arena_strdup(arena, t->executor_id);
    }
}

V1__Task *master_task_pb(const struct task *t, struct fl_arena *arena)
{
    V1__Task *pb = task_info_pb(t, arena);

    if (!pb)
        pb = FL_ARENA_NEW(arena, V1__Task, v1__task);
    put_ids(pb, t, arena);
    pb->state = t->state;
    pb->n_resources =
        resources_to_pb(t->resources, RESOURCES_POST_REFINEMENT, true, arena, &pb->resources);
    put_statuses(pb, t, arena);
    if (t->has_status_update) {
        pb->has_status_update_state = true;
        pb->status_update_state = t->status_update_state;
    }
    if (t->has_status_update_uuid) {
        pb->has_status_update_uuid = true;
        pb->status_update_uuid.data = fl_arena_alloc(arena, FL_UUID_LEN);
        pb->status_update_uuid.len = FL_UUID_LEN;
        memcpy(pb->status_update_uuid.data, t->status_update_uuid, FL_UUID_LEN);
    }
    return pb;
}

/* ---- counters ---- */

static void count_state(struct master *m, struct framework *f, V1__TaskState state, int by)
{
    assert((size_t)state < ARRAY_SIZE(m->core->task_count));
    m->core->task_count[state] += (unsigned)by;
    framework_count_state(f, state, by);
}

static void count_launch(struct master *m, struct task *t)
{
    uint64_t now = core_now(m);

    if (t->launched_us > 0 && now >= t->launched_us)
        metric_sample_us(m->core->launch, now - t->launched_us);
    t->launched_us = 0;
}

void count_terminal(struct master *m, V1__TaskState state)
{
    struct core_metrics *c = &m->core->c;
    struct metric *of[] = {
        [V1__TASK_STATE__TASK_FINISHED] = c->tasks_finished,
        [V1__TASK_STATE__TASK_FAILED] = c->tasks_failed,
        [V1__TASK_STATE__TASK_KILLED] = c->tasks_killed,
        [V1__TASK_STATE__TASK_LOST] = c->tasks_lost,
        [V1__TASK_STATE__TASK_ERROR] = c->tasks_error,
        [V1__TASK_STATE__TASK_DROPPED] = c->tasks_dropped,
        [V1__TASK_STATE__TASK_GONE] = c->tasks_gone,
        [V1__TASK_STATE__TASK_GONE_BY_OPERATOR] = c->tasks_gone_by_operator,
    };

    if ((size_t)state < ARRAY_SIZE(of) && of[state])
        metric_inc(of[state]);
}

/* ---- entering the books ---- */

/* Takes the resources. */
static struct task *task_new(struct master *m, struct framework *f, struct agent *a,
                             const V1__Task *pb, V1__TaskState state, struct resources *res)
{
    struct task *t = task_pack_new(m, pb, a->id);

    t->framework = f;
    t->agent = a;
    t->resources = resources_hold(res);
    t->state = state;
    HASH_ADD_KEYPTR(hh, f->tasks, t->id, strlen(t->id), t);
    DL_APPEND2(a->tasks, t, agent_prev, agent_next);
    a->n_tasks++;
    count_state(m, f, state, 1);
    task_changed(t);
    agent_changed(a, false);
    framework_changed(f, false);
    return t;
}

static char *user_of(const V1__TaskInfo *info)
{
    if (info->command && info->command->user)
        return info->command->user;
    if (info->executor && info->executor->command)
        return info->executor->command->user;
    return NULL;
}

static void put_limits(struct master *m, V1__Task *pb, const V1__TaskInfo *info)
{
    if (info->n_limits == 0)
        return;
    pb->limits = core_alloc(m, info->n_limits * sizeof(*pb->limits));
    while (pb->n_limits < info->n_limits) {
        V1__Task__LimitsEntry *e = core_new(m, V1__Task__LimitsEntry);
        v1__task__limits_entry__init(e);
        e->key = info->limits[pb->n_limits]->key;
        e->value = info->limits[pb->n_limits]->value;
        pb->limits[pb->n_limits++] = e;
    }
}

struct task *task_add(struct master *m, struct framework *f, struct agent *a,
                      const V1__TaskInfo *info, struct resources *res)
{
    V1__Task pb = V1__TASK__INIT;
    struct task *t;

    pb.name = info->name;
    pb.task_id = info->task_id;
    pb.framework_id = f->info->id;
    pb.executor_id = info->executor ? info->executor->executor_id : NULL;
    pb.agent_id = a->info->id;
    pb.labels = info->labels;
    pb.discovery = info->discovery;
    pb.container = info->container;
    pb.user = user_of(info);
    pb.health_check = info->health_check;
    pb.kill_policy = info->kill_policy;
    put_limits(m, &pb, info);
    t = task_new(m, f, a, &pb, V1__TASK_STATE__TASK_STAGING, res);
    t->launched_us = core_now(m);
    publish_task_added(m, t);
    return t;
}

struct task *task_add_known(struct master *m, struct framework *f, struct agent *a,
                            const V1__Task *known)
{
    struct resources res = RESOURCES_INIT;
    struct task *t;
    struct fl_err err;

    if (resources_from_pb(known->resources, known->n_resources, &res, &err) < 0)
        log_warning("task '%s' of agent %s has resources that are not valid and counts as having "
                    "none: %s",
                    known->task_id->value, a->id, err.msg);
    t = task_new(m, f, a, known, known->state, &res);
    for (size_t i = 0; i < known->n_statuses; i++)
        task_pack_status(m, t, known->statuses[i]);
    if (known->has_status_update_state && known->has_status_update_uuid &&
        known->status_update_uuid.len == FL_UUID_LEN) {
        t->has_status_update = t->has_status_update_uuid = true;
        t->status_update_state = known->status_update_state;
        memcpy(t->status_update_uuid, known->status_update_uuid.data, FL_UUID_LEN);
    }
    if (task_state_is_released(t->state))
        t->released = true;
    else
        usage_add(a, f, t->resources, false);
    publish_task_added(m, t);
    return t;
}

/* ---- changing ---- */

static void release(struct master *m, struct task *t)
{
    if (t->released)
        return;
    t->released = true;
    if (!t->agent)
        return;
    allocation_recover(m, t->framework->id, t->agent->id, t->resources, NULL);
    usage_subtract(t->agent, t->framework, t->resources, false);
}

void task_update(struct master *m, struct task *t, const V1__TaskStatus *st,
                 const V1__TaskState *latest_or_null)
{
    V1__TaskState now = latest_or_null ? *latest_or_null : st->state;
    bool ends = !task_state_is_released(t->state) && task_state_is_released(now);
    bool tell = st->has_reason &&
                (st->reason == V1__TASK_STATUS__REASON__REASON_TASK_CHECK_STATUS_UPDATED ||
                 st->reason == V1__TASK_STATUS__REASON__REASON_TASK_HEALTH_CHECK_STATUS_UPDATED);

    if (!task_state_is_terminal(t->state) && t->state != now) {
        count_state(m, t->framework, t->state, -1);
        count_state(m, t->framework, now, 1);
        t->state = now;
        if (now == V1__TASK_STATE__TASK_RUNNING)
            count_launch(m, t);
    }
    tell |= task_pack_status(m, t, st);
    task_changed(t);
    if (tell)
        publish_task_updated(m, t, st);
    log_debug("task '%s' of framework %s is %s (told: %s)", t->id, t->framework->id,
              task_state_name(t->state), task_state_name(st->state));
    if (ends) {
        release(m, t);
        count_terminal(m, now);
        count_end(m, now, st);
    }
}

/* ---- leaving ---- */

void task_free(struct task *t)
{
    task_gone(t);
    task_pack_free(t);
}

void tasks_trim_completed(struct master *m, struct framework *f)
{
    while (f->n_completed > m->flags->max_completed_tasks_per_framework) {
        struct task *oldest = f->completed_tasks;
        f->completed_tasks = oldest->next_completed;
        if (!f->completed_tasks)
            f->completed_tail = NULL;
        f->n_completed--;
        HASH_DEL(f->completed_by_id, oldest);
        task_free(oldest);
    }
}

void task_append_completed(struct master *m, struct framework *f, struct task *t)
{
    t->agent = NULL;
    t->next_completed = NULL;
    if (f->completed_tail)
        f->completed_tail->next_completed = t;
    else
        f->completed_tasks = t;
    f->completed_tail = t;
    HASH_ADD_KEYPTR(hh, f->completed_by_id, t->id, strlen(t->id), t);
    f->n_completed++;
    tasks_trim_completed(m, f);
}

static void make_unreachable(struct master *m, struct task *t)
{
    struct framework *f = t->framework;
    struct known_agent *k = known_find(m->unreachable_agents, t->agent_id);

    HASH_ADD_KEYPTR(hh, f->unreachable_tasks, t->id, strlen(t->id), t);
    if (k)
        DL_APPEND2(k->tasks, t, agent_prev, agent_next);
    while (HASH_COUNT(f->unreachable_tasks) > m->flags->max_unreachable_tasks_per_framework)
        task_forget_unreachable(m, f->unreachable_tasks); /* the oldest */
}

void task_remove(struct master *m, struct task *t, bool unreachable)
{
    struct framework *f = t->framework;

    release(m, t);
    HASH_DEL(f->tasks, t);
    DL_DELETE2(t->agent->tasks, t, agent_prev, agent_next);
    t->agent->n_tasks--;
    agent_changed(t->agent, false);
    framework_changed(f, false);
    drain_kick(m, t->agent);
    t->agent = NULL;
    if (unreachable) {
        make_unreachable(m, t);
    } else {
        count_state(m, f, t->state, -1);
        task_append_completed(m, f, t);
    }
}

static void take_unreachable(struct master *m, struct task *t)
{
    struct known_agent *k = known_find(m->unreachable_agents, t->agent_id);

    HASH_DEL(t->framework->unreachable_tasks, t);
    if (k)
        DL_DELETE2(k->tasks, t, agent_prev, agent_next);
    count_state(m, t->framework, t->state, -1);
}

void task_complete_unreachable(struct master *m, struct task *t)
{
    take_unreachable(m, t);
    task_append_completed(m, t->framework, t);
}

void task_forget_unreachable(struct master *m, struct task *t)
{
    take_unreachable(m, t);
    task_free(t);
}

bool task_is_completed(const struct framework *f, const char *task_id)
{
    const struct task *t;

    HASH_FIND_STR(f->completed_by_id, task_id, t);
    return t != NULL;
}

void tasks_forget_completed(struct framework *f, const char *task_id)
{
    struct task *t, *prev = NULL, *next;

    if (!task_is_completed(f, task_id))
        return;
    for (t = f->completed_tasks; t; t = next) {
        next = t->next_completed;
        if (!streq(t->id, task_id)) {
            prev = t;
            continue;
        }
        if (prev)
            prev->next_completed = next;
        else
            f->completed_tasks = next;
        if (f->completed_tail == t)
            f->completed_tail = prev;
        f->n_completed--;
        HASH_DEL(f->completed_by_id, t);
        task_free(t);
    }
}

/* ---- executors ---- */

struct executor *executor_find(struct agent *a, const struct framework *f, const char *id)
{
    struct executor *e;

    DL_FOREACH (a->executors, e) {
        if (e->framework == f && streq(e->id, id))
            return e;
    }
    return NULL;
}

struct executor *executor_add(struct master *m, struct framework *f, struct agent *a,
                              const V1__ExecutorInfo *info)
{
    struct executor *e = xnew0(struct executor);

    e->info = FL_PB_DUP(info);
    e->id = e->info->executor_id->value;
    e->framework = f;
    e->agent = a;
    if (resources_from_pb(info->resources, info->n_resources, &e->resources, NULL) < 0)
        log_warning("executor '%s' of agent %s has resources that are not valid", e->id, a->id);
    DL_APPEND(a->executors, e);
    usage_add(a, f, &e->resources, false);
    return e;
}

void executor_remove(struct master *m, struct executor *e)
{
    allocation_recover(m, e->framework->id, e->agent->id, &e->resources, NULL);
    usage_subtract(e->agent, e->framework, &e->resources, false);
    DL_DELETE(e->agent->executors, e);
    resources_done(&e->resources);
    fl_pb_free(e->info);
    free(e);
}
