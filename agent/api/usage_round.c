/* See usage_round.h. */
#include "agent/api/usage_round.h"

#include <uthash.h>
#include <utlist.h>

#include "agent/api/handlers.h"

#define SLICE_US 2000 /* of the core's time, between looks at everything else */

struct waiter {
    usage_ready_f *ready;
    void *arg;
    struct waiter *prev, *next;
};

struct sample {
    char *id;                           /* owned */
    const V1__ResourceStatistics *seen; /* the arena's; NULL: not measured */
    UT_hash_handle hh;
};

struct usage_round {
    struct fl_loop *loop;
    struct agent_core *core;
    struct fl_timer *timer;
    struct waiter *served; /* by the round that runs */
    struct waiter *later;  /* by the one after */
    struct fl_arena *arena;
    struct sample *samples, *next; /* in the order of the containers; next: to be read */
    bool running;
};

static void begin(struct usage_round *r);

struct usage_round *usage_round_new(struct fl_loop *loop, struct agent_core *core)
{
    struct usage_round *r = xnew0(struct usage_round);

    *r = (struct usage_round){.loop = loop, .core = core};
    return r;
}

static void forget_samples(struct usage_round *r)
{
    struct sample *s, *tmp;

    HASH_ITER (hh, r->samples, s, tmp) {
        HASH_DEL(r->samples, s);
        free(s->id);
        free(s);
    }
    r->next = NULL;
    fl_arena_free(r->arena);
    r->arena = NULL;
}

static void tell_first(struct waiter **list, bool gone)
{
    struct waiter *w = *list;

    DL_DELETE(*list, w);
    w->ready(w->arg, gone);
    free(w);
}

void usage_round_free(struct usage_round *r)
{
    if (!r)
        return;
    fl_timer_free(r->timer);
    while (r->served)
        tell_first(&r->served, true);
    while (r->later)
        tell_first(&r->later, true);
    forget_samples(r);
    free(r);
}

static void add(struct usage_round *r, const char *id)
{
    struct sample *s;

    HASH_FIND_STR(r->samples, id, s);
    if (s)
        return;
    s = xnew0(struct sample);
    s->id = xstrdup(id);
    HASH_ADD_KEYPTR(hh, r->samples, s->id, strlen(s->id), s);
}

static bool out_of_time(const struct usage_round *r, uint64_t start)
{
    return fl_loop_now_us(r->loop) - start > SLICE_US;
}

/* One slice: readings first, then those who wait for them. */
static void step(void *arg)
{
    struct usage_round *r = arg;
    uint64_t start = fl_loop_now_us(r->loop);

    while (r->next && !out_of_time(r, start)) {
        r->next->seen = agent_api_container_statistics(r->core, r->next->id, r->arena);
        r->next = r->next->hh.next;
    }
    while (!r->next && r->served && !out_of_time(r, start))
        tell_first(&r->served, false);
    if (!r->next && !r->served) {
        forget_samples(r);
        r->running = false;
        if (!r->later)
            return;
        begin(r);
    }
    if (!r->timer)
        r->timer = fl_timer_new(r->loop, step, r);
    fl_timer_set(r->timer, 0);
}

static void begin(struct usage_round *r)
{
    r->running = true;
    r->served = r->later;
    r->later = NULL;
    r->arena = fl_arena_new(16384);
    for (const struct agent_executor *e = r->core->containers; e; e = e->hh_container.next) {
        if (e->contained)
            add(r, e->container_id);
    }
    for (const struct agent_nested *n = agent_nested_first(r->core); n; n = n->hh.next)
        if (n->phase != AGENT_NESTED_ENDED)
            add(r, n->id);
    r->next = r->samples;
}

void usage_round_ask(struct usage_round *r, usage_ready_f *ready, void *arg)
{
    struct waiter *w = xnew0(struct waiter);

    *w = (struct waiter){.ready = ready, .arg = arg};
    DL_APPEND(r->later, w);
    if (r->running)
        return;
    begin(r);
    step(r);
}

const V1__ResourceStatistics *usage_round_of(const struct usage_round *r, const char *id)
{
    struct sample *s;

    HASH_FIND_STR(r->samples, id, s);
    return s ? s->seen : NULL;
}
