/* Tasks and executors in the master's books.
 *
 * A task is in exactly one place: on its agent and in framework->tasks (known to run, or terminal
 * and not yet acknowledged), in framework->unreachable_tasks (and listed at its known_agent), or
 * among framework->completed_tasks. Its resources are given back once, at the first terminal or
 * unreachable state.
 */
#include "master/core.h"

#include "common/model/intern.h"

/* ---- encoded parts ---- */

static void pack_info(struct master *m, struct task *t, V1__Task *pb)
{
    struct fl_buf *b = &m->core->pack;

    fl_buf_clear(b);
    fl_buf_pack(b, &pb->base);
    t->info = xmemdup(b->data, b->len);
    t->info_len = (uint32_t)b->len;
    if (m->acls)
        t->user = intern_ref(pb->user);
}

static uint32_t status_len_at(const struct task *t, uint32_t at)
{
    uint32_t n;

    memcpy(&n, t->statuses + at, sizeof(n));
    return n;
}

static uint32_t last_status_at(const struct task *t)
{
    uint32_t at = 0;

    for (uint32_t i = 1; i < t->n_statuses; i++)
        at += (uint32_t)sizeof(uint32_t) + status_len_at(t, at);
    return at;
}

static V1__TaskStatus *decode_status(const struct task *t, uint32_t at, struct fl_arena *arena)
{
    V1__TaskStatus *st = v1__task_status__unpack(fl_arena_allocator(arena), status_len_at(t, at),
                                                 t->statuses + at + sizeof(uint32_t));

    assert(st); /* we encoded it */
    return st;
}

V1__TaskStatus *task_last_status(struct master *m, const struct task *t)
{
    return t->n_statuses ? decode_status(t, last_status_at(t), m->core->scratch) : NULL;
}

/* The history has one entry a state: a repeated state replaces the entry. True when it is new. */
static bool add_status(struct master *m, struct task *t, const V1__TaskStatus *st)
{
    struct fl_buf *b = &m->core->pack;
    V1__TaskStatus slim = *st;
    bool is_new = t->n_statuses == 0 || t->last_status_state != st->state;
    uint32_t at = is_new ? t->statuses_len : last_status_at(t), len;

    slim.has_data = false;
    fl_buf_clear(b);
    fl_buf_pack(b, &slim.base);
    len = (uint32_t)b->len;
    t->statuses = xrealloc(t->statuses, at + sizeof(len) + len);
    memcpy(t->statuses + at, &len, sizeof(len));
    memcpy(t->statuses + at + sizeof(len), b->data, len);
    t->statuses_len = at + (uint32_t)sizeof(len) + len;
    if (is_new && t->n_statuses++ == 0)
        t->first_status_time = st->timestamp;
    t->last_status_state = st->state;
    return is_new;
}

static void put_statuses(V1__Task *pb, const struct task *t, struct fl_arena *arena)
{
    uint32_t at = 0;

    if (t->n_statuses == 0)
        return;
    pb->statuses = fl_arena_alloc(arena, t->n_statuses * sizeof(*pb->statuses));
    while (pb->n_statuses < t->n_statuses) {
        pb->statuses[pb->n_statuses++] = decode_status(t, at, arena);
        at += (uint32_t)sizeof(uint32_t) + status_len_at(t, at);
    }
}

V1__Task *master_task_pb(const struct task *t, struct fl_arena *arena)
{
    V1__Task *pb = v1__task__unpack(fl_arena_allocator(arena), t->info_len, t->info);

    assert(pb); /* we encoded it */
    pb->state = t->state;
    pb->n_resources =
        resources_to_pb(&t->resources, RESOURCES_POST_REFINEMENT, true, arena, &pb->resources);
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

static void count_state(struct master *m, V1__TaskState state, int by)
{
    assert((size_t)state < ARRAY_SIZE(m->core->task_count));
    m->core->task_count[state] += (unsigned)by;
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

static struct task *task_new(struct master *m, struct framework *f, struct agent *a, V1__Task *pb,
                             V1__TaskState state)
{
    struct task *t = xnew0(struct task);

    t->id = xstrdup(pb->task_id->value);
    t->framework = f;
    t->agent = a;
    fl_snprintf(t->agent_id, sizeof(t->agent_id), "%s", a->id);
    if (pb->executor_id)
        t->executor_id = xstrdup(pb->executor_id->value);
    t->state = state;
    pack_info(m, t, pb);
    HASH_ADD_KEYPTR(hh, f->tasks, t->id, strlen(t->id), t);
    DL_APPEND2(a->tasks, t, agent_prev, agent_next);
    count_state(m, state, 1);
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
                      const V1__TaskInfo *info)
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
    t = task_new(m, f, a, &pb, V1__TASK_STATE__TASK_STAGING);
    /* Validated before: cannot fail. */
    (void)resources_from_pb(info->resources, info->n_resources, &t->resources, NULL);
    usage_add(a, f, &t->resources, false);
    publish_task_added(m, t);
    return t;
}

struct task *task_add_known(struct master *m, struct framework *f, struct agent *a,
                            const V1__Task *known)
{
    V1__Task pb = *known;
    struct task *t;
    struct fl_err err;

    pb.n_statuses = 0;
    pb.n_resources = 0;
    pb.has_status_update_state = pb.has_status_update_uuid = false;
    pb.state = V1__TASK_STATE__TASK_STAGING;
    pb.agent_id = a->info->id;
    t = task_new(m, f, a, &pb, known->state);
    if (resources_from_pb(known->resources, known->n_resources, &t->resources, &err) < 0)
        log_warning("task '%s' of agent %s has resources that are not valid and counts as having "
                    "none: %s",
                    t->id, a->id, err.msg);
    for (size_t i = 0; i < known->n_statuses; i++)
        add_status(m, t, known->statuses[i]);
    if (known->has_status_update_state && known->has_status_update_uuid &&
        known->status_update_uuid.len == FL_UUID_LEN) {
        t->has_status_update = t->has_status_update_uuid = true;
        t->status_update_state = known->status_update_state;
        memcpy(t->status_update_uuid, known->status_update_uuid.data, FL_UUID_LEN);
    }
    if (task_state_is_released(t->state))
        t->released = true;
    else
        usage_add(a, f, &t->resources, false);
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
    allocation_recover(m, t->framework->id, t->agent->id, &t->resources, NULL);
    usage_subtract(t->agent, t->framework, &t->resources, false);
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
        count_state(m, t->state, -1);
        count_state(m, now, 1);
        t->state = now;
    }
    tell |= add_status(m, t, st);
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
    resources_done(&t->resources);
    if (t->user)
        intern_unref(t->user);
    free(t->id);
    free(t->executor_id);
    free(t->info);
    free(t->statuses);
    free(t);
}

void tasks_trim_completed(struct master *m, struct framework *f)
{
    while (f->n_completed > m->flags->max_completed_tasks_per_framework) {
        struct task *oldest = f->completed_tasks;
        f->completed_tasks = oldest->next_completed;
        if (!f->completed_tasks)
            f->completed_tail = NULL;
        f->n_completed--;
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
    drain_kick(m, t->agent);
    t->agent = NULL;
    if (unreachable) {
        make_unreachable(m, t);
    } else {
        count_state(m, t->state, -1);
        task_append_completed(m, f, t);
    }
}

static void take_unreachable(struct master *m, struct task *t)
{
    struct known_agent *k = known_find(m->unreachable_agents, t->agent_id);

    HASH_DEL(t->framework->unreachable_tasks, t);
    if (k)
        DL_DELETE2(k->tasks, t, agent_prev, agent_next);
    count_state(m, t->state, -1);
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

void tasks_forget_completed(struct framework *f, const char *task_id)
{
    struct task *t, *prev = NULL, *next;

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
