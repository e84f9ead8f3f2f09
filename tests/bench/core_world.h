/* A master's core without sockets for benchmarks of many agents: its clock stands still until it is moved, timers are in a heap, the
 * store is done as soon as cw_commit() is called. tests/unit/master_world.h keeps all that was said and is for few. */
#ifndef TESTS_BENCH_CORE_WORLD_H
#define TESTS_BENCH_CORE_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "master/master.h"
#include "proto/registry.pb-c.h"

/* ---- timers: a heap of times; one that was set again is put in again, and what was is ignored ---- */

struct env_timer {
    struct core_world *w;
    fl_callback_f *fn;
    void *arg;
    uint64_t at_us;     /* 0: stopped */
    unsigned n_in_heap; /* entries of it, old ones too */
    bool freed;         /* with the last of them */
};

struct cw_entry {
    uint64_t at_us;
    struct env_timer *t;
};

struct cw_commit {
    store_done_f *done;
    void *arg;
};

struct core_world {
    struct master_env env;
    struct master_io io;
    struct master_flags flags;
    struct fl_flags *table;
    struct metrics *metrics;
    struct master *m;
    struct fl_arena *arena; /* of messages under way */
    uint64_t now_us, seed;
    struct cw_entry *heap;
    size_t n_heap, cap_heap;
    struct cw_commit *commits;
    size_t n_commits, cap_commits;
};

#define cw_fail(...) (fprintf(stderr, "bench_core: " __VA_ARGS__), fputc('\n', stderr), exit(1))

static uint64_t cw_now(void *ctx)
{
    return ((struct core_world *)ctx)->now_us;
}

static uint64_t cw_wall(void *ctx)
{
    return 1700000000ull * 1000000000ull + ((struct core_world *)ctx)->now_us * 1000;
}

static void cw_random(void *ctx, void *buf, size_t n)
{
    struct core_world *w = ctx;
    uint8_t *p = buf;

    while (n--) {
        w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
        *p++ = (uint8_t)(w->seed >> 33);
    }
}

static struct env_timer *cw_timer_new(void *ctx, fl_callback_f *fn, void *arg)
{
    struct env_timer *t = xnew0(struct env_timer);

    t->w = ctx;
    t->fn = fn;
    t->arg = arg;
    return t;
}

static void cw_timer_set(struct env_timer *t, uint64_t in_us)
{
    struct core_world *w = t->w;
    size_t i = w->n_heap;

    t->at_us = w->now_us + in_us + 1;
    t->n_in_heap++;
    w->heap = xgrow(w->heap, &w->cap_heap, w->n_heap + 1, sizeof(*w->heap));
    w->n_heap++;
    for (; i > 0 && w->heap[(i - 1) / 2].at_us > t->at_us; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = (struct cw_entry){t->at_us, t};
}

static void cw_timer_stop(struct env_timer *t)
{
    t->at_us = 0;
}

static void cw_timer_free(struct env_timer *t)
{
    t->at_us = 0;
    t->freed = true;
    if (t->n_in_heap == 0)
        free(t);
}

static struct cw_entry cw_heap_take(struct core_world *w)
{
    struct cw_entry first = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0, k;

    while ((k = 2 * i + 1) < w->n_heap) {
        if (k + 1 < w->n_heap && w->heap[k + 1].at_us < w->heap[k].at_us)
            k++;
        if (w->heap[k].at_us >= last.at_us)
            break;
        w->heap[i] = w->heap[k];
        i = k;
    }
    w->heap[i] = last;
    first.t->n_in_heap--;
    return first;
}

/* ---- the store ---- */

static void cw_store(void *ctx, const struct store_op *ops, size_t n, store_done_f *done, void *arg)
{
    struct core_world *w = ctx;

    w->commits = xgrow(w->commits, &w->cap_commits, w->n_commits + 1, sizeof(*w->commits));
    w->commits[w->n_commits++] = (struct cw_commit){done, arg};
}

static void cw_commit(struct core_world *w)
{
    for (size_t i = 0; i < w->n_commits; i++) {
        if (w->commits[i].done)
            w->commits[i].done(NULL, w->commits[i].arg);
    }
    w->n_commits = 0;
}

/* Time passes, and what is due is done. */
static void cw_pass(struct core_world *w, uint64_t us)
{
    uint64_t until = w->now_us + us + 10;

    cw_commit(w);
    while (w->n_heap > 0 && w->heap[0].at_us <= until) {
        struct cw_entry e = cw_heap_take(w);
        if (e.t->freed) {
            if (e.t->n_in_heap == 0)
                free(e.t);
            continue;
        }
        if (e.t->at_us != e.at_us)
            continue;
        w->now_us = e.at_us;
        e.t->at_us = 0;
        e.t->fn(e.t->arg);
        cw_commit(w);
    }
    w->now_us = until;
}

/* ---- life ---- */

static void cw_nothing(void *ctx, void *who)
{
}

static void cw_publish(void *ctx, const Mapi__Event *ev)
{
}

static void cw_fatal(void *ctx, const char *why)
{
    cw_fail("%s", why);
}

static void cw_new_master(struct core_world *w, bool recovered)
{
    V1__MasterInfo info = V1__MASTER_INFO__INIT;
    struct fl_err err;

    w->metrics = metrics_new();
    info.id = (char *)"";
    info.hostname = (char *)"master.example";
    info.ip = 16777343;
    info.port = 5050;
    if (master_new(&w->env, &w->flags, w->metrics, allocator_builtin("HierarchicalDRF"), &info,
                   &w->m, &err) < 0)
        cw_fail("%s", err.msg);
    if (recovered)
        master_recovered(w->m);
    cw_commit(w);
}

static void cw_init(struct core_world *w, const char *const *args,
                    void (*agent_send)(void *, void *, const ProtobufCMessage *),
                    void (*framework_send)(void *, void *, const Sched__Event *))
{
    static const struct env_ops ops = {cw_now,       cw_wall,       cw_random,    cw_timer_new,
                                       cw_timer_set, cw_timer_stop, cw_timer_free};
    char *argv[16] = {(char *)"master", (char *)"--registry=in_memory"};
    struct fl_err err;
    bool help, version;
    int argc = 2, rest;

    *w = (struct core_world){.now_us = 1000000000, .seed = 42};
    while (*args)
        argv[argc++] = (char *)*args++;
    if (master_flags_new(&w->flags, &w->table, &err) < 0 ||
        fl_flags_parse(w->table, argc, argv, &rest, &help, &version, &err) < 0)
        cw_fail("%s", err.msg);
    w->io = (struct master_io){agent_send, cw_nothing, framework_send, cw_nothing,
                               cw_publish, cw_store,   cw_fatal};
    w->env = (struct master_env){.env = {&ops, w}, .io = &w->io, .ctx = w};
    w->arena = fl_arena_new(1024 * 1024);
    cw_new_master(w, true);
}

static void cw_free_master(struct core_world *w)
{
    master_free(w->m);
    metrics_free(w->metrics);
    w->m = NULL;
}

static void cw_done(struct core_world *w)
{
    cw_free_master(w);
    while (w->n_heap > 0) {
        struct cw_entry e = cw_heap_take(w);
        if (e.t->freed && e.t->n_in_heap == 0)
            free(e.t);
    }
    fl_flags_free(w->table);
    fl_arena_free(w->arena);
    free(w->heap);
    free(w->commits);
}

#endif
