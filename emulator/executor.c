/* See executor.h. Everything from outside only notes what is to be done and sets a timer: the core may be in the middle of a call. */
#include "emulator/executor.h"

#include <stdio.h>
#include <utlist.h>

enum phase { STARTING, RUNNING, ENDING, OVER };

struct task {
    struct emu_executor *x;
    char *id;
    unsigned group; /* 0: alone */
    enum phase phase;
    struct emu_plan plan;
    struct env_timer *timer;
    V1__TaskState state;
    uint8_t uuid[FL_UUID_LEN]; /* of the update that says so */
    bool unsent, acknowledged;
    struct task *prev, *next;
};

struct emu_executor {
    struct emu_containers *c;
    char container_id[FL_UUID_STR];
    fl_callback_f *over;
    void *arg;
    struct env_timer *timer; /* for work() */
    struct task *tasks;
    unsigned groups; /* so far */
    bool subscribed, ending;
};

static void soon(struct emu_executor *x)
{
    env_timer_set(x->c->env, x->timer, 0);
}

/* ---- tasks ---- */

static void count(struct task *t, bool runs)
{
    *t->x->c->running += runs ? 1 : (uint64_t)-1;
}

static void set_timer(struct task *t, uint64_t in_us)
{
    if (in_us == UINT64_MAX)
        env_timer_stop(t->x->c->env, t->timer);
    else
        env_timer_set(t->x->c->env, t->timer, in_us);
}

static void free_task(struct task *t)
{
    struct emu_executor *x = t->x;

    DL_DELETE(x->tasks, t);
    if (t->phase == RUNNING || t->phase == ENDING)
        count(t, false);
    env_timer_free(x->c->env, t->timer);
    free(t->id);
    free(t);
}

static void say(struct task *t, V1__TaskState state)
{
    t->state = state;
    fl_uuid_make(t->x->c->env, t->uuid);
    t->unsent = true;
    t->acknowledged = false;
    soon(t->x);
}

static void end_task(struct task *t)
{
    if (t->phase != STARTING && t->phase != RUNNING)
        return;
    if (t->phase == STARTING)
        count(t, true);
    t->phase = ENDING;
    set_timer(t, t->plan.kill_us);
}

/* A group ends with the first of its tasks that does not end well. */
static void end_group(const struct task *first)
{
    struct task *t;

    DL_FOREACH (first->x->tasks, t) {
        if (first->group && t != first && t->group == first->group)
            end_task(t);
    }
}

static void on_task(void *arg)
{
    struct task *t = arg;
    bool killed = t->phase == ENDING;

    if (t->phase == STARTING) {
        t->phase = RUNNING;
        count(t, true);
        say(t, V1__TASK_STATE__TASK_RUNNING);
        set_timer(t, t->plan.run_us);
        return;
    }
    t->phase = OVER;
    count(t, false);
    if (killed)
        say(t, V1__TASK_STATE__TASK_KILLED);
    else
        say(t, t->plan.status == 0 ? V1__TASK_STATE__TASK_FINISHED : V1__TASK_STATE__TASK_FAILED);
    if (killed || t->plan.status != 0)
        end_group(t);
}

static void add_task(struct emu_executor *x, const V1__TaskInfo *info, unsigned group)
{
    struct task *t = xnew0(struct task);
    struct fl_err err;

    t->x = x;
    t->id = xstrdup(info->task_id->value);
    t->group = group;
    t->timer = env_timer_new(x->c->env, on_task, t);
    DL_APPEND(x->tasks, t);
    if (emu_plan_make(x->c->workload, info->labels, x->c->random, &t->plan, &err) < 0) {
        t->phase = OVER;
        say(t, V1__TASK_STATE__TASK_FAILED);
        end_group(t);
        return;
    }
    say(t, V1__TASK_STATE__TASK_STARTING);
    set_timer(t, t->plan.start_us);
}

static struct task *find_task(struct emu_executor *x, const V1__TaskID *id)
{
    struct task *t;

    DL_FOREACH (x->tasks, t) {
        if (streq(t->id, id->value))
            return t;
    }
    return NULL;
}

/* ---- with the core ---- */

static void send_update(struct agent_executor *e, struct task *t)
{
    V1__TaskStatus s = V1__TASK_STATUS__INIT;
    V1__TaskID id = V1__TASK_ID__INIT;

    id.value = t->id;
    s.task_id = &id;
    s.state = t->state;
    s.has_uuid = true;
    s.uuid = (ProtobufCBinaryData){FL_UUID_LEN, t->uuid};
    s.has_timestamp = true;
    s.timestamp = env_wall_s(t->x->c->env);
    t->unsent = false;
    agent_executor_update(e, &s);
}

/* To an agent that was away all is said again that it may not have heard. It needs no more of a task than its id. */
static void subscribe(struct emu_executor *x, struct agent_executor *e)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    Exec__Call__Subscribe s = EXEC__CALL__SUBSCRIBE__INIT;
    struct task *t;
    size_t n;

    DL_COUNT(x->tasks, t, n);
    s.unacknowledged_tasks = fl_arena_alloc(arena, (n + 1) * sizeof(void *));
    DL_FOREACH (x->tasks, t) {
        V1__TaskInfo *info = FL_ARENA_NEW(arena, V1__TaskInfo, v1__task_info);

        info->task_id = FL_ARENA_NEW(arena, V1__TaskID, v1__task_id);
        info->task_id->value = t->id;
        s.unacknowledged_tasks[s.n_unacknowledged_tasks++] = info;
        t->unsent = t->unsent || !t->acknowledged;
    }
    x->subscribed = true;
    agent_executor_subscribe(e, x, &s);
}

/* True: the default executor, and it has nothing more to do. */
static bool idle(const struct emu_executor *x, const struct agent_executor *e)
{
    return x->groups > 0 && !x->tasks && e->info->has_type &&
           e->info->type == V1__EXECUTOR_INFO__TYPE__DEFAULT;
}

static void work(void *arg)
{
    struct emu_executor *x = arg;
    struct agent_executor *e =
        x->c->core ? agent_find_container(x->c->core, x->container_id) : NULL;
    struct task *t, *tmp;

    if (!x->ending && e && !x->subscribed)
        subscribe(x, e);
    if (!x->ending && e && x->subscribed) {
        DL_FOREACH (x->tasks, t) {
            if (t->unsent)
                send_update(e, t);
        }
    }
    DL_FOREACH_SAFE (x->tasks, t, tmp) {
        if (t->phase == OVER && t->acknowledged)
            free_task(t);
    }
    if (x->ending || (e && idle(x, e)))
        x->over(x->arg);
}

static void acknowledged(struct emu_executor *x, const Exec__Event__Acknowledged *a)
{
    struct task *t = find_task(x, a->task_id);

    if (!t || a->uuid.len != FL_UUID_LEN || memcmp(a->uuid.data, t->uuid, FL_UUID_LEN) != 0)
        return;
    t->acknowledged = true;
    soon(x);
}

static void launch_group(struct emu_executor *x, const V1__TaskGroupInfo *g)
{
    x->groups++;
    for (size_t i = 0; i < g->n_tasks; i++)
        add_task(x, g->tasks[i], x->groups);
}

static void kill_task(struct emu_executor *x, const V1__TaskID *id)
{
    struct task *t = find_task(x, id);

    if (t)
        end_task(t);
}

void emu_executor_event(struct emu_executor *x, const Exec__Event *ev)
{
    if (ev->launch)
        add_task(x, ev->launch->task, 0);
    else if (ev->launch_group)
        launch_group(x, ev->launch_group->task_group);
    else if (ev->kill)
        kill_task(x, ev->kill->task_id);
    else if (ev->acknowledged)
        acknowledged(x, ev->acknowledged);
    else if (ev->type == EXEC__EVENT__TYPE__SHUTDOWN)
        emu_executor_hung_up(x);
}

void emu_executor_hung_up(struct emu_executor *x)
{
    x->subscribed = false;
    x->ending = x->ending || x->c->core; /* an agent that was killed comes back */
    soon(x);
}

/* ---- life ---- */

void emu_executor_begin(struct emu_executor *x)
{
    x->subscribed = false;
    soon(x);
}

struct emu_executor *emu_executor_new(struct emu_containers *c, const char *container_id,
                                      fl_callback_f *over, void *arg)
{
    struct emu_executor *x = xnew0(struct emu_executor);

    x->c = c;
    snprintf(x->container_id, sizeof x->container_id, "%s", container_id);
    x->over = over;
    x->arg = arg;
    x->timer = env_timer_new(c->env, work, x);
    return x;
}

void emu_executor_free(struct emu_executor *x)
{
    struct agent_executor *e;

    if (!x)
        return;
    /* Its connection ends with it, before the core hears of the process. */
    e = x->c->core ? agent_find_container(x->c->core, x->container_id) : NULL;
    if (e)
        agent_executor_closed(e, x);
    while (x->tasks)
        free_task(x->tasks);
    env_timer_free(x->c->env, x->timer);
    free(x);
}
