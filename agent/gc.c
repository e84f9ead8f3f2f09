/* Old sandboxes and their checkpoints are removed gc_delay after they came out of use. A plain queue: every entry has the same
 * delay, so the oldest is always next. What comes into use again is taken out: ids of frameworks and executors
 * may return. */
#include <uthash.h>
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

struct entry {
    char *path;    /* owned */
    bool attached; /* /files serves it */
    uint64_t due_us;
    struct entry *prev, *next;
    UT_hash_handle hh; /* by path */
};

struct agent_gc {
    struct agent_core *core;
    struct entry *entries;
    struct entry *by_path;
    size_t n;
    struct env_timer *timer;
};

static void entry_free(struct agent_gc *g, struct entry *x)
{
    DL_DELETE(g->entries, x);
    HASH_DEL(g->by_path, x);
    g->n--;
    free(x->path);
    free(x);
}

static void arm(struct agent_gc *g)
{
    uint64_t now = env_now_us(agent_time(g->core));

    if (g->entries)
        env_timer_set(agent_time(g->core), g->timer,
                      g->entries->due_us > now ? g->entries->due_us - now : 0);
}

static void remove_entry(struct agent_gc *g, struct entry *x)
{
    struct agent_env *env = g->core->env;
    struct fl_err err;

    if (x->attached)
        env->io->detach(env->ctx, x->path);
    if (env->io->discard(env->ctx, x->path, &err) < 0) {
        agent_count(g->core, COUNT_GC_FAILED);
        log_warning("Cannot remove '%s': %s, ignoring", x->path, err.msg);
        return;
    }
    agent_count(g->core, COUNT_GC_SUCCEEDED);
}

static void collect(void *arg)
{
    struct agent_gc *g = arg;
    uint64_t now = env_now_us(agent_time(g->core));

    while (g->entries && g->entries->due_us <= now) {
        remove_entry(g, g->entries);
        entry_free(g, g->entries);
    }
    arm(g);
}

struct agent_gc *agent_gc_new(struct agent_core *a)
{
    struct agent_gc *g = xnew0(struct agent_gc);

    g->core = a;
    g->timer = env_timer_new(agent_time(a), collect, g);
    return g;
}

void agent_gc_free(struct agent_gc *g)
{
    if (!g)
        return;
    while (g->entries)
        entry_free(g, g->entries);
    env_timer_free(agent_time(g->core), g->timer);
    free(g);
}

void agent_gc_unschedule(struct agent_gc *g, const char *path)
{
    struct entry *x;

    HASH_FIND_STR(g->by_path, path, x);
    if (x)
        entry_free(g, x);
}

void agent_gc_schedule(struct agent_gc *g, const char *path, bool attached)
{
    struct entry *x = xnew0(struct entry);

    agent_gc_unschedule(g, path);
    x->path = xstrdup(path);
    x->attached = attached;
    x->due_us = env_now_us(agent_time(g->core)) + g->core->flags->gc_delay;
    DL_APPEND(g->entries, x);
    HASH_ADD_KEYPTR(hh, g->by_path, x->path, strlen(x->path), x);
    g->n++;
    arm(g);
}

size_t agent_gc_pending(const struct agent_gc *g)
{
    return g->n;
}
