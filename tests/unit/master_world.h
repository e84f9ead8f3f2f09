/* A world for the master's core: a clock that stands still until it is moved, timers, a store that
 * completes when told, and everything the core sends, as text. Streams and channels are plain names.
 * The allocator is the built-in one. */
#ifndef TESTS_UNIT_MASTER_WORLD_H
#define TESTS_UNIT_MASTER_WORLD_H

#ifdef W_NO_CHECK /* a fuzz target has no libcheck */
#define ck_assert(x)            assert(x)
#define ck_assert_msg(x, ...)   assert(x)
#define ck_assert_int_eq(a, b)  assert((a) == (b))
#define ck_assert_int_ge(a, b)  assert((a) >= (b))
#define ck_assert_uint_lt(a, b) assert((a) < (b))
#define ck_assert_uint_le(a, b) assert((a) <= (b))
#define ck_assert_ptr_null(p)   assert(!(p))
#else
#include <check.h>
#endif
#include <stdarg.h>
#include <stdio.h>

#include <utlist.h>

#include "common/base/json.h"
#include "master/master.h"

#define W_UNUSED __attribute__((unused))
#define W_SECOND 1000000ull
#define W_UUID   "AAAAAAAAAAAAAAAAAAAAAA==" /* 16 bytes */

struct env_timer {
    struct world *w;
    fl_callback_f *fn;
    void *arg;
    uint64_t at_us; /* 0: stopped */
    struct env_timer *next;
};

struct w_record {
    char *key;
    void *data;
    size_t len;
};

struct w_commit {
    struct w_record ops[4];
    size_t n;
    store_done_f *done;
    void *arg;
};

struct world {
    struct master_env env;
    struct master_flags flags;
    struct fl_flags *table;
    struct metrics *metrics;
    struct master *m;
    uint64_t now_us, seed;
    struct env_timer *timers;
    struct w_commit commits[64];
    size_t n_commits;
    bool store_fails;
    struct w_record disk[256];
    size_t n_disk;
    char *sent[4096]; /* "name: Type {json}", NULL once expected */
    size_t n_sent;
    char fatal[512];
    char fid[128], aid[128], oid[128]; /* last ones heard of */
};

/* ---- env ---- */

static uint64_t w_now(void *ctx)
{
    return ((struct world *)ctx)->now_us;
}

static uint64_t w_wall(void *ctx)
{
    return 1700000000ull * 1000000000ull + ((struct world *)ctx)->now_us * 1000;
}

static void w_random(void *ctx, void *buf, size_t n)
{
    struct world *w = ctx;
    uint8_t *p = buf;

    while (n--) {
        w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
        *p++ = (uint8_t)(w->seed >> 33);
    }
}

static struct env_timer *w_timer_new(void *ctx, fl_callback_f *fn, void *arg)
{
    struct world *w = ctx;
    struct env_timer *t = xnew0(struct env_timer);

    *t = (struct env_timer){w, fn, arg, 0, w->timers};
    w->timers = t;
    return t;
}

static void w_timer_set(struct env_timer *t, uint64_t in_us)
{
    t->at_us = t->w->now_us + in_us + 1;
}

static void w_timer_stop(struct env_timer *t)
{
    t->at_us = 0;
}

static void w_timer_free(struct env_timer *t)
{
    struct env_timer **p = &t->w->timers;

    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    free(t);
}

static const struct env_ops w_env_ops = {w_now,       w_wall,       w_random,    w_timer_new,
                                         w_timer_set, w_timer_stop, w_timer_free};

/* ---- io ---- */

static void w_note(struct world *w, const char *who, const char *text)
{
#ifdef W_NO_CHECK
    if (w->n_sent == ARRAY_SIZE(w->sent))
        return;
#endif
    ck_assert_uint_lt(w->n_sent, ARRAY_SIZE(w->sent));
    w->sent[w->n_sent++] = xasprintf("%s: %s", who, text);
}

static void w_hear(char *into, const char *text, const char *key)
{
    _cleanup_free_ char *pattern = xasprintf("\"%s\":{\"value\":\"", key);
    const char *p = strstr(text, pattern);

    if (p)
        fl_snprintf(into, 128, "%.*s", (int)strcspn(p + strlen(pattern), "\""),
                    p + strlen(pattern));
}

static void w_sent(struct world *w, const char *who, const ProtobufCMessage *m)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    fl_buf_addf(&b, "%s ", m->descriptor->short_name);
    fl_json_from_pb(&b, m, 0);
    w_note(w, who, fl_buf_cstr(&b));
    if (strstr(b.data, "\"SUBSCRIBED\""))
        w_hear(w->fid, b.data, "framework_id");
    if (str_starts(b.data, "SlaveRegistered"))
        w_hear(w->aid, b.data, "slave_id");
    if (strstr(b.data, "\"OFFERS\""))
        w_hear(w->oid, b.data, "id");
}

static void w_agent_send(void *ctx, void *peer, const ProtobufCMessage *m)
{
    w_sent(ctx, peer, m);
}

static void w_framework_send(void *ctx, void *stream, const Sched__Event *ev)
{
    w_sent(ctx, stream, &ev->base);
}

static void w_close(void *ctx, void *who)
{
    w_note(ctx, who, "CLOSE");
}

static void w_publish(void *ctx, const Mapi__Event *ev)
{
    w_sent(ctx, "operator", &ev->base);
}

static void w_store(void *ctx, const struct store_op *ops, size_t n, store_done_f *done, void *arg)
{
    struct world *w = ctx;
    struct w_commit *c = &w->commits[w->n_commits++];

    ck_assert_uint_le(w->n_commits, ARRAY_SIZE(w->commits));
    *c = (struct w_commit){.n = n, .done = done, .arg = arg};
    for (size_t i = 0; i < n; i++) {
        c->ops[i].key = xstrdup(ops[i].key);
        c->ops[i].data = ops[i].data ? xmemdup(ops[i].data, ops[i].len) : NULL;
        c->ops[i].len = ops[i].len;
    }
}

static void w_fatal(void *ctx, const char *why)
{
    struct world *w = ctx;

    fl_snprintf(w->fatal, sizeof(w->fatal), "%s", why);
}

static const struct master_io w_io = {w_agent_send, w_close, w_framework_send, w_close,
                                      w_publish,    w_store, w_fatal};

/* ---- time ---- */

static struct env_timer *w_due(struct world *w, uint64_t until)
{
    struct env_timer *t, *first = NULL;

    for (t = w->timers; t; t = t->next) {
        if (t->at_us && t->at_us <= until && (!first || t->at_us < first->at_us))
            first = t;
    }
    return first;
}

static void w_put(struct world *w, struct w_record *op)
{
    size_t i = 0;

    while (i < w->n_disk && !streq(w->disk[i].key, op->key))
        i++;
    if (i < w->n_disk) {
        free(w->disk[i].key);
        free(w->disk[i].data);
        w->disk[i] = w->disk[--w->n_disk];
    }
    if (op->data) {
        ck_assert_uint_lt(w->n_disk, ARRAY_SIZE(w->disk));
        w->disk[w->n_disk++] = *op;
    } else {
        free(op->key);
    }
}

/* Completes what the store was given. */
static W_UNUSED void w_commit(struct world *w)
{
    while (w->n_commits > 0) {
        struct w_commit c = w->commits[0];
        struct fl_err err = {0};

        memmove(w->commits, w->commits + 1, --w->n_commits * sizeof(w->commits[0]));
        for (size_t i = 0; i < c.n; i++)
            w_put(w, &c.ops[i]);
        if (w->store_fails)
            fl_err_set(&err, FL_IO, "disk on fire");
        if (c.done)
            c.done(w->store_fails ? &err : NULL, c.arg);
    }
}

static W_UNUSED void w_pass(struct world *w, uint64_t us)
{
    uint64_t until = w->now_us + us + 10;
    struct env_timer *t;

    w_commit(w);
    while ((t = w_due(w, until))) {
        w->now_us = t->at_us;
        t->at_us = 0;
        t->fn(t->arg);
        w_commit(w);
    }
    w->now_us = until;
}

static W_UNUSED void w_settle(struct world *w)
{
    w_pass(w, 100);
}

/* ---- life ---- */

static void w_start(struct world *w)
{
    V1__MasterInfo info = V1__MASTER_INFO__INIT;
    struct fl_err err = {0};

    info.id = (char *)"";
    info.hostname = (char *)"master.example";
    info.ip = 16777343;
    info.port = 5050;
    ck_assert_msg(master_new(&w->env, &w->flags, w->metrics, allocator_builtin("HierarchicalDRF"),
                             &info, &w->m, &err) == 0,
                  "%s", err.msg);
    for (size_t i = 0; i < w->n_disk; i++)
        ck_assert_int_eq(
            master_recover_record(w->m, w->disk[i].key, w->disk[i].data, w->disk[i].len, &err), 0);
    master_recovered(w->m);
}

/* `args`: "--name=value" ..., NULL at the end. */
static W_UNUSED void w_init(struct world *w, const char *const *args)
{
    char *argv[16] = {(char *)"master", (char *)"--registry=in_memory"};
    struct fl_err err = {0};
    bool help, version;
    int argc = 2, rest;

    *w = (struct world){.now_us = 1000 * W_SECOND, .seed = 42};
    while (args && *args)
        argv[argc++] = (char *)*args++;
    ck_assert_int_eq(master_flags_new(&w->flags, &w->table, &err), 0);
    ck_assert_msg(fl_flags_parse(w->table, argc, argv, &rest, &help, &version, &err) == 0, "%s",
                  err.msg);
    w->env = (struct master_env){.env = {&w_env_ops, w}, .io = &w_io, .ctx = w};
    w->metrics = metrics_new();
    w_start(w);
}

/* What was under way is lost with the process. */
static void w_lose_commits(struct world *w)
{
    for (size_t i = 0; i < w->n_commits; i++) {
        for (size_t k = 0; k < w->commits[i].n; k++) {
            free(w->commits[i].ops[k].key);
            free(w->commits[i].ops[k].data);
        }
    }
    w->n_commits = 0;
}

/* A master killed and started again: the disk is what it knows. */
static W_UNUSED void w_restart(struct world *w)
{
    w_lose_commits(w);
    master_free(w->m);
    metrics_free(w->metrics);
    w->metrics = metrics_new();
    w_start(w);
}

static W_UNUSED void w_forget(struct world *w)
{
    for (size_t i = 0; i < w->n_sent; i++)
        free(w->sent[i]);
    w->n_sent = 0;
}

static W_UNUSED void w_done(struct world *w)
{
    w_forget(w);
    w_lose_commits(w);
    master_free(w->m);
    metrics_free(w->metrics);
    fl_flags_free(w->table);
    ck_assert_ptr_null(w->timers);
    for (size_t i = 0; i < w->n_disk; i++) {
        free(w->disk[i].key);
        free(w->disk[i].data);
    }
}

/* ---- what was said ---- */

static W_UNUSED const char *w_find(struct world *w, const char *who, const char *part, bool take)
{
    static char found[65536];

    for (size_t i = 0; i < w->n_sent; i++) {
        size_t n = strlen(who);
        if (!w->sent[i] || strncmp(w->sent[i], who, n) != 0 || w->sent[i][n] != ':' ||
            !strstr(w->sent[i], part))
            continue;
        fl_snprintf(found, sizeof(found), "%s", w->sent[i]);
        if (take) {
            free(w->sent[i]);
            w->sent[i] = NULL;
        }
        return found;
    }
    return NULL;
}

static W_UNUSED void w_show(struct world *w)
{
    for (size_t i = 0; i < w->n_sent; i++) {
        if (w->sent[i])
            fprintf(stderr, "  %s\n", w->sent[i]);
    }
}

/* The first thing said to `who` that has `part` in it; taken off the record. */
static W_UNUSED const char *w_expect(struct world *w, const char *who, const char *part)
{
    const char *found = w_find(w, who, part, true);

    if (!found)
        w_show(w);
    ck_assert_msg(found != NULL, "'%s' was not told %s", who, part);
    return found;
}

static W_UNUSED void w_never(struct world *w, const char *who, const char *part)
{
    const char *found = w_find(w, who, part, false);

    ck_assert_msg(found == NULL, "told: %s", found);
}

/* ---- frameworks ---- */

static W_UNUSED ProtobufCMessage *w_parse(const ProtobufCMessageDescriptor *d, const char *fmt,
                                          va_list ap)
{
    _cleanup_free_ char *json = NULL;
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};

    ck_assert_int_ge(vasprintf(&json, fmt, ap), 0);
    ck_assert_msg(fl_json_to_pb(json, strlen(json), d, 0, NULL, &m, &err) == 0, "%s in %s", err.msg,
                  json);
    return m;
}

/* `rest` is JSON after "name" in the FrameworkInfo, such as ",\"checkpoint\":true". */
static W_UNUSED void w_subscribe(struct world *w, const char *stream, const char *rest)
{
    _cleanup_free_ char *json =
        xasprintf("{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"nobody\","
                  "\"name\":\"f\"%s}}}",
                  rest);
    _cleanup_pb_ ProtobufCMessage *m = NULL;
    struct fl_err err = {0};

    ck_assert_msg(fl_json_to_pb(json, strlen(json), &sched__call__descriptor, 0, NULL, &m, &err) ==
                      0,
                  "%s", err.msg);
    master_subscribe(w->m, (void *)stream, stream, (Sched__Call *)m, NULL);
    w_settle(w);
}

/* A call of the framework last subscribed. The stream's name is its id. */
static W_UNUSED int w_call(struct world *w, const char *stream, const char *type, const char *fmt,
                           ...)
{
    _cleanup_free_ char *body = NULL, *json = NULL;
    struct fl_arena *arena = fl_arena_new(4096);
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};
    va_list ap;
    int status;

    va_start(ap, fmt);
    ck_assert_int_ge(vasprintf(&body, fmt, ap), 0);
    va_end(ap);
    json = xasprintf("{\"type\":\"%s\",\"framework_id\":{\"value\":\"%s\"}%s%s}", type, w->fid,
                     *body ? "," : "", body);
    ck_assert_msg(fl_json_to_pb(json, strlen(json), &sched__call__descriptor, 0,
                                fl_arena_allocator(arena), &m, &err) == 0,
                  "%s in %s", err.msg, json);
    status = master_call(w->m, (Sched__Call *)m, stream, NULL, &err);
    fl_arena_free(arena);
    w_settle(w);
    return status;
}

/* One command task on the offer last heard of. */
static W_UNUSED void w_launch(struct world *w, const char *stream, const char *task,
                              const char *resources)
{
    ck_assert_int_eq(
        w_call(
            w, stream, "ACCEPT",
            "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{\"type\":\"LAUNCH\","
            "\"launch\":{\"task_infos\":[{\"name\":\"t\",\"task_id\":{\"value\":\"%s\"},"
            "\"agent_id\":{\"value\":\"%s\"},\"command\":{\"value\":\"true\"},\"resources\":[%s]"
            "}]}}],\"filters\":{\"refuse_seconds\":0}}",
            w->oid, task, w->aid, resources),
        202);
}

#define W_CPUS(n)                                                                                  \
    "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" n "}},"                        \
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":64}}"

/* ---- agents ---- */

static W_UNUSED void w_agent(struct world *w, const char *peer, const char *address,
                             const ProtobufCMessageDescriptor *d, const char *fmt, ...)
{
    _cleanup_pb_ ProtobufCMessage *m = NULL;
    va_list ap;

    va_start(ap, fmt);
    m = w_parse(d, fmt, ap);
    va_end(ap);
    master_agent_message(w->m, (void *)peer, address, m);
    w_settle(w);
}

#define W_AGENT_RESOURCES                                                                          \
    "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},"                           \
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1024}}]"
#define W_AGENT_CAPS                                                                               \
    "[{\"type\":\"MULTI_ROLE\"},{\"type\":\"HIERARCHICAL_ROLE\"},"                                 \
    "{\"type\":\"RESERVATION_REFINEMENT\"},{\"type\":\"RESOURCE_PROVIDER\"}]"

static W_UNUSED void w_register(struct world *w, const char *peer)
{
    w_agent(w, peer, "10.0.0.1:40000", &msg__register_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h1\",\"port\":5051,\"resources\":" W_AGENT_RESOURCES
            "},\"version\":\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS "}");
}

/* `more` is JSON after the capabilities, such as ",\"tasks\":[...]". */
static W_UNUSED void w_reregister(struct world *w, const char *peer, const char *more)
{
    w_agent(w, peer, "10.0.0.1:40001", &msg__reregister_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h1\",\"port\":5051,\"id\":{\"value\":\"%s\"},"
            "\"resources\":" W_AGENT_RESOURCES
            "},\"version\":\"1.11.0\",\"agent_capabilities\":" W_AGENT_CAPS "%s}",
            w->aid, more);
}

static W_UNUSED void w_status(struct world *w, const char *peer, const char *task,
                              const char *state, const char *uuid, const char *latest)
{
    _cleanup_free_ char *last =
        latest ? xasprintf(",\"latest_state\":\"%s\"", latest) : xstrdup("");

    w_agent(w, peer, "10.0.0.1:40000", &msg__status_update_message__descriptor,
            "{\"pid\":\"slave(1)@10.0.0.1:5051\",\"update\":{\"framework_id\":{\"value\":\"%s\"},"
            "\"slave_id\":{\"value\":\"%s\"},\"status\":{\"task_id\":{\"value\":\"%s\"},"
            "\"state\":\"%s\",\"source\":\"SOURCE_EXECUTOR\",\"data\":\"aGk=\"},\"timestamp\":5.5,"
            "\"uuid\":\"%s\"%s}}",
            w->fid, w->aid, task, state, uuid, last);
}

#endif
