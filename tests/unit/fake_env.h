/* A world for cores under test: a clock that moves only when the test says so, timers that fire in order of time (then of setting),
 * and random bytes from a seed. Include it in one file a test program. */
#ifndef TESTS_UNIT_FAKE_ENV_H
#define TESTS_UNIT_FAKE_ENV_H

#include "common/base/env.h"

struct env_timer {
    struct fake_env *world;
    fl_callback_f *fn;
    void *arg;
    bool set;
    uint64_t at, order;
    struct env_timer *next;
};

struct fake_env {
    struct env env;
    uint64_t now, seed, order;
    struct env_timer *timers;
};

static inline uint64_t fake_now(void *ctx)
{
    return ((struct fake_env *)ctx)->now;
}

static inline uint64_t fake_wall(void *ctx)
{
    /* 2026-01-01 at the beginning. */
    return 1767225600000000000ull + ((struct fake_env *)ctx)->now * 1000;
}

static inline void fake_random(void *ctx, void *buf, size_t n)
{
    struct fake_env *w = ctx;

    for (size_t i = 0; i < n; i++) {
        w->seed ^= w->seed << 13;
        w->seed ^= w->seed >> 7;
        w->seed ^= w->seed << 17;
        ((uint8_t *)buf)[i] = (uint8_t)(w->seed >> 24);
    }
}

static inline struct env_timer *fake_timer_new(void *ctx, fl_callback_f *fn, void *arg)
{
    struct fake_env *w = ctx;
    struct env_timer *t = xnew0(struct env_timer);

    *t = (struct env_timer){.world = w, .fn = fn, .arg = arg, .next = w->timers};
    w->timers = t;
    return t;
}

static inline void fake_timer_set(struct env_timer *t, uint64_t in_us)
{
    t->set = true;
    t->at = t->world->now + in_us;
    t->order = t->world->order++;
}

static inline void fake_timer_stop(struct env_timer *t)
{
    t->set = false;
}

static inline void fake_timer_free(struct env_timer *t)
{
    for (struct env_timer **p = &t->world->timers; *p; p = &(*p)->next) {
        if (*p == t) {
            *p = t->next;
            free(t);
            return;
        }
    }
}

static const struct env_ops fake_env_ops = {
    .now_us = fake_now,
    .wall_ns = fake_wall,
    .random = fake_random,
    .timer_new = fake_timer_new,
    .timer_set = fake_timer_set,
    .timer_stop = fake_timer_stop,
    .timer_free = fake_timer_free,
};

static inline void fake_env_init(struct fake_env *w, uint64_t seed)
{
    *w = (struct fake_env){.seed = seed ? seed : 1, .now = 1000000};
    w->env = (struct env){.ops = &fake_env_ops, .ctx = w};
}

/* Lets `us` pass; every timer due on the way fires at its own time. */
static inline void fake_env_pass(struct fake_env *w, uint64_t us)
{
    uint64_t end = w->now + us;

    for (;;) {
        struct env_timer *due = NULL;
        for (struct env_timer *t = w->timers; t; t = t->next)
            if (t->set && t->at <= end &&
                (!due || t->at < due->at || (t->at == due->at && t->order < due->order)))
                due = t;
        if (!due)
            break;
        w->now = due->at;
        due->set = false;
        due->fn(due->arg);
    }
    w->now = end;
}

static inline size_t fake_env_timers_set(const struct fake_env *w)
{
    size_t n = 0;

    for (const struct env_timer *t = w->timers; t; t = t->next)
        n += t->set;
    return n;
}

#endif
