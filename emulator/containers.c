/* See containers.h. */
#include "emulator/containers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "emulator/executor.h"

enum phase { STARTING, RUNNING, ENDING };

struct emu_container {
    struct emu_containers *owner;
    char id[FL_UUID_STR];
    enum phase phase;
    bool destroyed, over; /* over: nobody has been told yet */
    struct emu_plan plan;
    uint64_t *running;          /* what it counts for while it runs */
    struct emu_executor *plays; /* NULL: a task with a command */
    struct env_timer *timer;    /* NULL: nothing is to come by itself */
    UT_hash_handle hh;          /* owner->all, by id */
};

/* No process has it; operators see that there is one. */
enum { FAKE_PID = 1 };

static struct emu_container *find(struct emu_containers *c, const char *id)
{
    struct emu_container *x;

    HASH_FIND_STR(c->all, id, x);
    return x;
}

static void drop(struct emu_container *x)
{
    struct emu_containers *c = x->owner;

    HASH_DEL(c->all, x);
    *x->running -= x->phase != STARTING && !x->over;
    emu_executor_free(x->plays);
    env_timer_free(c->env, x->timer);
    free(x);
}

static void on_timer(void *arg);

/* Most containers run until they are told to end: those have none meanwhile. */
static void set_timer(struct emu_container *x, uint64_t in_us)
{
    const struct env *env = x->owner->env;

    if (in_us == UINT64_MAX) {
        env_timer_free(env, x->timer);
        x->timer = NULL;
        return;
    }
    if (!x->timer)
        x->timer = env_timer_new(env, on_timer, x);
    env_timer_set(env, x->timer, in_us);
}

static void end(struct emu_container *x)
{
    struct emu_containers *c = x->owner;
    struct container_end e = {.reason = x->destroyed ? CONTAINER_DESTROYED : CONTAINER_EXITED,
                              .has_status = true,
                              .status = x->plan.status};
    char id[FL_UUID_STR];

    if (!c->core) { /* the agent learns of it when it is back */
        *x->running -= !x->over;
        x->over = true;
        return;
    }
    memcpy(id, x->id, sizeof id);
    drop(x);
    c->cb.ended(c->cb.arg, id, &e);
}

static void on_timer(void *arg)
{
    struct emu_container *x = arg;
    struct emu_containers *c = x->owner;

    if (x->phase != STARTING) {
        end(x);
        return;
    }
    x->phase = RUNNING;
    ++*x->running;
    set_timer(x, x->plan.run_us);
    if (x->plays)
        emu_executor_begin(x->plays);
    if (c->core)
        c->cb.started(c->cb.arg, x->id, FAKE_PID);
}

static void on_executor_over(void *arg)
{
    struct emu_container *x = arg;

    *x->running += x->phase == STARTING;
    x->phase = ENDING;
    end(x);
}

/* Its tasks take the time; it is there as soon as it is launched, until it is told to go or has nothing to do. */
static const struct emu_plan executor_plan = {.run_us = UINT64_MAX};

static int launch(struct containerizer *base, const struct container_spec *spec, struct fl_err *err)
{
    struct emu_containers *c = container_of(base, struct emu_containers, base);
    struct agent_executor *e = agent_find_container(c->core, spec->container_id);
    struct emu_container *x;
    struct emu_plan plan;
    int r;

    if (!e)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "emulated agents run tasks and executors, not containers of operators");
    plan = executor_plan;
    r = e->command ? emu_plan_make(c->workload, spec->labels, c->random, &plan, err) : 0;
    if (r < 0)
        return r;
    x = xnew0(struct emu_container);
    x->owner = c;
    x->plan = plan;
    x->running = e->command ? c->running : &c->executors;
    snprintf(x->id, sizeof x->id, "%s", spec->container_id);
    if (!e->command)
        x->plays = emu_executor_new(c, x->id, on_executor_over, x);
    HASH_ADD_STR(c->all, id, x);
    set_timer(x, plan.start_us);
    return 0;
}

static int send_signal(struct containerizer *base, const char *id, int signo, struct fl_err *err)
{
    struct emu_container *x = find(container_of(base, struct emu_containers, base), id);

    if (!x)
        return fl_err_set(err, FL_NOT_FOUND, "no container '%s'", id);
    if (x->phase == ENDING || (signo != SIGTERM && signo != SIGKILL && signo != SIGINT))
        return 0;
    *x->running += x->phase == STARTING;
    x->phase = ENDING;
    x->plan.status = signo;
    set_timer(x, signo == SIGKILL ? 0 : x->plan.kill_us);
    return 0;
}

static void destroy(struct containerizer *base, const char *id)
{
    struct emu_container *x = find(container_of(base, struct emu_containers, base), id);

    if (!x || x->destroyed)
        return;
    *x->running += x->phase == STARTING;
    x->phase = ENDING;
    x->destroyed = true;
    x->plan.status = SIGKILL;
    set_timer(x, 0);
}

static void update(struct containerizer *base, const char *id, const struct resources *r,
                   double cpu, double mem)
{
}

static int usage(struct containerizer *base, const char *id, struct container_usage *out)
{
    return -ENOENT;
}

static int status(struct containerizer *base, const char *id, struct fl_arena *arena,
                  V1__ContainerStatus **ret)
{
    *ret = FL_ARENA_NEW(arena, V1__ContainerStatus, v1__container_status);
    return 0;
}

static bool wanted(const char *const *ids, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++) {
        if (streq(ids[i], id))
            return true;
    }
    return false;
}

static void recovered(struct emu_container *x)
{
    struct emu_containers *c = x->owner;

    if (x->plays)
        emu_executor_begin(x->plays);
    c->cb.recovered(c->cb.arg, x->id, FAKE_PID);
}

/* What is still here went on while the agent was away. What the agent does not know of any more is ended, as orphans are. */
static void recover(struct containerizer *base, const char *const *ids, size_t n)
{
    struct emu_containers *c = container_of(base, struct emu_containers, base);
    const struct container_end lost = {.reason = CONTAINER_LOST};
    struct emu_container *x, *tmp;

    HASH_ITER (hh, c->all, x, tmp) {
        if (!wanted(ids, n, x->id))
            drop(x);
    }
    for (size_t i = 0; i < n; i++) {
        x = find(c, ids[i]);
        if (!x)
            c->cb.ended(c->cb.arg, ids[i], &lost);
        else if (x->over)
            end(x);
        else
            recovered(x);
    }
    c->cb.recovery_done(c->cb.arg, NULL);
}

static void forget(struct containerizer *base, const char *id)
{
}

static void no_free(struct containerizer *base)
{
}

static const struct containerizer_ops ops = {.launch = launch,
                                             .signal = send_signal,
                                             .destroy = destroy,
                                             .update = update,
                                             .usage = usage,
                                             .status = status,
                                             .recover = recover,
                                             .forget = forget,
                                             .free = no_free};

void emu_containers_init(struct emu_containers *c, struct agent_core *core)
{
    c->base.ops = &ops;
    c->core = core;
    agent_containerizer_callbacks(core, &c->cb);
    agent_set_containerizer(core, &c->base);
}

void emu_containers_orphan(struct emu_containers *c)
{
    c->core = NULL;
}

void emu_containers_done(struct emu_containers *c)
{
    c->core = NULL;
    while (c->all)
        drop(c->all);
}
