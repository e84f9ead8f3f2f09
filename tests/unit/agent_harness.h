/* A world for the agent's core: a clock that is turned by hand, files in memory, a containerizer that does what the test says, and a
 * master that only listens. Included by the tests of agent/; nothing here sleeps or touches the machine. */
#ifndef TESTS_UNIT_AGENT_HARNESS_H
#define TESTS_UNIT_AGENT_HARNESS_H

#ifndef AGENT_HARNESS_WITHOUT_CHECK
#include <check.h>
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <uthash.h>
#include <utlist.h>

#include "agent/agent_priv.h"

#define SECONDS(n) ((uint64_t)((n)*1000000ull))

struct env_timer {
    struct harness *h;
    fl_callback_f *fn;
    void *arg;
    uint64_t due;
    bool set, freed;
    struct env_timer *prev, *next;
};

struct fake_file {
    char *path;
    char *link; /* a symlink's target, or NULL */
    struct fl_buf data;
    UT_hash_handle hh;
};

struct fake_container {
    char id[FL_UUID_STR];
    bool checkpoint, destroyed, forgotten, gone;
    int signals[8];
    unsigned n_signals;
    double cpus, mem;
    char user[32];
    char *env; /* one NAME=value a line */
    char *command;
    struct fake_container *prev, *next;
};

struct fake_job {
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct fake_job *prev, *next;
};

struct sent {
    ProtobufCMessage *m;
    struct sent *prev, *next;
};

/* What the containerizer finds after a restart. */
struct fake_survivor {
    const char *id;
    bool alive;
    int status;
};

struct harness {
    struct agent_env env;
    struct agent_flags flags;
    struct fl_flags *table;
    struct metrics *metrics;
    struct agent_core *a;
    struct containerizer containerizer;
    struct containerizer_callbacks cb;
    uint64_t now;
    uint64_t seed;
    struct env_timer *timers;
    struct fake_file *files;
    struct fake_container *containers;
    struct sent *sent;   /* to the master, oldest first */
    struct sent *events; /* to executors */
    unsigned closed_streams, finds, resets;
    bool link_open;
    bool refuse_launch;
    int exit_status; /* -1: not asked to exit */
    struct fake_survivor survivors[4];
    struct fake_job *jobs; /* of the disk's thread */
    bool hold_jobs;        /* they wait for h_work() */
    unsigned writes;       /* changes of files so far */
    unsigned
        killed_after; /* 0: never; beyond that many changes nothing happens any more, as to a killed process */
};

/* Whether the process is still alive to make another change. */
static inline bool h_alive(struct harness *h)
{
    return !h->killed_after || h->writes < h->killed_after;
}

static inline bool h_may_write(struct harness *h)
{
    if (!h_alive(h))
        return false;
    h->writes++;
    return true;
}

/* ---- time ---- */

static uint64_t h_now(void *ctx)
{
    return ((struct harness *)ctx)->now;
}

static uint64_t h_wall(void *ctx)
{
    return 1700000000000000000ull + ((struct harness *)ctx)->now * 1000;
}

static void h_random(void *ctx, void *buf, size_t n)
{
    struct harness *h = ctx;

    for (size_t i = 0; i < n; i++) {
        h->seed = h->seed * 6364136223846793005ull + 1442695040888963407ull;
        ((uint8_t *)buf)[i] = (uint8_t)(h->seed >> 33);
    }
}

static struct env_timer *h_timer_new(void *ctx, fl_callback_f *fn, void *arg)
{
    struct env_timer *t = xnew0(struct env_timer);

    t->h = ctx;
    t->fn = fn;
    t->arg = arg;
    DL_APPEND(t->h->timers, t);
    return t;
}

static void h_timer_set(struct env_timer *t, uint64_t in_us)
{
    t->due = t->h->now + in_us;
    t->set = true;
}

static void h_timer_stop(struct env_timer *t)
{
    t->set = false;
}

static void h_timer_free(struct env_timer *t)
{
    DL_DELETE(t->h->timers, t);
    free(t);
}

static const struct env_ops h_env_ops = {h_now,       h_wall,       h_random,    h_timer_new,
                                         h_timer_set, h_timer_stop, h_timer_free};

static inline void h_work(struct harness *h);

/* Lets `us` pass, running what falls due in its order. */
static inline void h_pass(struct harness *h, uint64_t us)
{
    uint64_t end = h->now + us;

    if (!h->hold_jobs)
        h_work(h);

    for (;;) {
        struct env_timer *t, *first = NULL;

        DL_FOREACH (h->timers, t) {
            if (t->set && t->due <= end && (!first || t->due < first->due))
                first = t;
        }
        if (!first)
            break;
        h->now = FL_MAX(h->now, first->due);
        first->set = false;
        first->fn(first->arg);
        if (!h->hold_jobs)
            h_work(h);
    }
    h->now = end;
}

/* ---- files ---- */

static inline struct fake_file *h_file(struct harness *h, const char *path)
{
    struct fake_file *f;

    HASH_FIND_STR(h->files, path, f);
    return f;
}

static struct fake_file *h_make(struct harness *h, const char *path)
{
    struct fake_file *f = h_file(h, path);

    if (f)
        return f;
    f = xnew0(struct fake_file);
    f->path = xstrdup(path);
    HASH_ADD_KEYPTR(hh, h->files, f->path, strlen(f->path), f);
    return f;
}

static int h_write(void *ctx, const char *path, const void *p, size_t n, bool durable,
                   struct fl_err *err)
{
    struct fake_file *f;

    if (!h_may_write(ctx))
        return 0;
    f = h_make(ctx, path);
    f->data.len = 0;
    fl_buf_add(&f->data, p, n);
    return 0;
}

static int h_append(void *ctx, const char *path, const void *p, size_t n, struct fl_err *err)
{
    if (!h_may_write(ctx))
        return 0;
    fl_buf_add(&h_make(ctx, path)->data, p, n);
    return 0;
}

static int h_truncate(void *ctx, const char *path, size_t n, struct fl_err *err)
{
    h_make(ctx, path)->data.len = n;
    return 0;
}

static int h_read(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err)
{
    struct fake_file *f = h_file(ctx, path);

    if (!f || f->link)
        return fl_err_set(err, FL_NOT_FOUND, "no '%s'", path);
    fl_buf_add(out, f->data.data, f->data.len);
    return 0;
}

/* Names directly below, each once. */
static int h_list(void *ctx, const char *path, void (*fn)(const char *name, void *arg), void *arg,
                  struct fl_err *err)
{
    struct harness *h = ctx;
    size_t n = strlen(path);
    char seen[64][80];
    unsigned n_seen = 0;

    for (struct fake_file *f = h->files; f; f = f->hh.next) {
        const char *rest = f->path + n + 1;
        unsigned i = 0;
        char name[80];

        if (strncmp(f->path, path, n) != 0 || f->path[n] != '/')
            continue;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(rest, "/"), rest);
        while (i < n_seen && strcmp(seen[i], name) != 0)
            i++;
        if (i < n_seen)
            continue;
        ck_assert_uint_lt(n_seen, 64);
        memcpy(seen[n_seen++], name, sizeof name);
        fn(name, arg);
    }
    return n_seen ? 0 : fl_err_set(err, FL_NOT_FOUND, "no '%s'", path);
}

/* Folders are files of one byte, so that they are seen. */
static int h_mkdir(void *ctx, const char *path, const char *user, struct fl_err *err)
{
    _cleanup_free_ char *mark = xasprintf("%s/.", path);

    if (h_may_write(ctx))
        h_make(ctx, mark);
    return 0;
}

static int h_link(void *ctx, const char *target, const char *path, struct fl_err *err)
{
    struct fake_file *f = h_make(ctx, path);

    free(f->link);
    f->link = xstrdup(target);
    return 0;
}

static int h_readlink(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err)
{
    struct fake_file *f = h_file(ctx, path);

    if (!f || !f->link)
        return fl_err_set(err, FL_NOT_FOUND, "no '%s'", path);
    fl_buf_adds(out, f->link);
    return 0;
}

static void h_unmake(struct harness *h, struct fake_file *f)
{
    HASH_DEL(h->files, f);
    fl_buf_done(&f->data);
    free(f->link);
    free(f->path);
    free(f);
}

static int h_remove(void *ctx, const char *path, struct fl_err *err)
{
    struct harness *h = ctx;
    size_t n = strlen(path);
    struct fake_file *f, *tmp;

    if (!h_may_write(h))
        return 0;
    HASH_ITER (hh, h->files, f, tmp) {
        if (strncmp(f->path, path, n) == 0 && (f->path[n] == '\0' || f->path[n] == '/'))
            h_unmake(h, f);
    }
    return 0;
}

static int h_sync(void *ctx, const char *path, struct fl_err *err)
{
    return 0;
}

static int h_empty(void *ctx, const char *path, bool root, struct fl_err *err)
{
    int r = h_remove(ctx, path, err);

    return r == 0 && !root ? h_mkdir(ctx, path, NULL, err) : r;
}

static int h_empty_below(void *ctx, const char *base, const char *path, struct fl_err *err)
{
    char whole[512];

    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return h_empty(ctx, whole, true, err);
}

static void h_background(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct harness *h = ctx;
    struct fake_job *j = xnew0(struct fake_job);

    *j = (struct fake_job){.work = work, .done = done, .arg = arg};
    DL_APPEND(h->jobs, j);
}

/* The disk's thread does what it has been given. */
static inline void h_work(struct harness *h)
{
    while (h->jobs) {
        struct fake_job *j = h->jobs;

        DL_DELETE(h->jobs, j);
        j->work(j->arg);
        if (h_alive(h))
            j->done(j->arg);
        free(j);
    }
}

/* The one file whose path ends so. */
static inline struct fake_file *h_find_file(struct harness *h, const char *suffix)
{
    for (struct fake_file *f = h->files; f; f = f->hh.next) {
        if (str_ends(f->path, suffix))
            return f;
    }
    return NULL;
}

/* ---- the rest of agent_io ---- */

static ProtobufCMessage *h_as_received(const ProtobufCMessage *m)
{
    struct fl_buf b = FL_BUF_INIT;
    ProtobufCMessage *copy;

    fl_buf_pack(&b, m);
    copy = protobuf_c_message_unpack(m->descriptor, NULL, b.len, (const uint8_t *)b.data);
    fl_buf_done(&b);
    ck_assert_ptr_nonnull(copy);
    return copy;
}

static bool h_master_send(void *ctx, const ProtobufCMessage *m)
{
    struct harness *h = ctx;
    struct sent *s = xnew0(struct sent);

    if (!h->link_open || !h_alive(h)) {
        free(s);
        return false;
    }
    s->m = h_as_received(m);
    DL_APPEND(h->sent, s);
    return true;
}

static void h_master_find(void *ctx)
{
    ((struct harness *)ctx)->finds++;
}

static void h_master_reset(void *ctx, enum agent_link_reset how)
{
    struct harness *h = ctx;

    h->resets++;
    h->link_open = false;
}

static void h_executor_send(void *ctx, void *stream, const Exec__Event *ev)
{
    struct harness *h = ctx;
    struct sent *s = xnew0(struct sent);

    s->m = fl_pb_dup(&ev->base, NULL);
    DL_APPEND(h->events, s);
}

static void h_executor_close(void *ctx, void *stream)
{
    ((struct harness *)ctx)->closed_streams++;
}

static void h_attach(void *ctx, const char *virtual_path, const char *real)
{
}

static void h_detach(void *ctx, const char *real)
{
}

static void h_exit(void *ctx, int status, const char *why)
{
    ((struct harness *)ctx)->exit_status = status;
}

static const struct agent_io h_io = {
    h_master_send, h_master_find, h_master_reset, h_executor_send, h_executor_close, h_write,
    h_append,      h_truncate,    h_read,         h_list,          h_mkdir,          h_link,
    h_readlink,    h_remove,      h_remove,       h_sync,          h_empty,          h_empty_below,
    h_background,  NULL, /* probes of ports: no test needs an answer */
    NULL,          h_attach,      h_detach,       h_exit,
};

/* ---- the containerizer ---- */

#define H_OF(c) container_of(c, struct harness, containerizer)

static inline struct fake_container *h_container(struct harness *h, const char *id)
{
    struct fake_container *x;

    DL_FOREACH (h->containers, x) {
        if (strcmp(x->id, id) == 0)
            return x;
    }
    return NULL;
}

/* The container made last. */
static inline struct fake_container *h_last(struct harness *h)
{
    ck_assert_ptr_nonnull(h->containers);
    return h->containers->prev;
}

static int c_launch(struct containerizer *c, const struct container_spec *spec, struct fl_err *err)
{
    struct harness *h = H_OF(c);
    _cleanup_buf_ struct fl_buf env = FL_BUF_INIT;
    struct fake_container *x;

    if (h->refuse_launch)
        return fl_err_set(err, FL_INVALID, "no such image");
    x = xnew0(struct fake_container);
    snprintf(x->id, sizeof x->id, "%s", spec->container_id);
    snprintf(x->user, sizeof x->user, "%s", spec->user ? spec->user : "");
    x->checkpoint = spec->checkpoint;
    x->cpus = milli_to_double(resources_scalar(spec->resources, "cpus"));
    x->mem = milli_to_double(resources_scalar(spec->resources, "mem"));
    for (size_t i = 0; spec->env[i]; i++)
        fl_buf_addf(&env, "%s\n", spec->env[i]);
    x->env = xstrdup(env.data ? fl_buf_cstr(&env) : "");
    x->command = xstrdup(spec->command && spec->command->value ? spec->command->value : "");
    DL_APPEND(h->containers, x);
    return 0;
}

static int c_signal(struct containerizer *c, const char *id, int signo, struct fl_err *err)
{
    struct fake_container *x = h_container(H_OF(c), id);

    ck_assert_ptr_nonnull(x);
    x->signals[x->n_signals++ % 8] = signo;
    return 0;
}

static void c_destroy(struct containerizer *c, const char *id)
{
    struct fake_container *x = h_container(H_OF(c), id);

    if (x)
        x->destroyed = true;
}

static void c_update(struct containerizer *c, const char *id, const struct resources *r, double cpu,
                     double mem)
{
    struct fake_container *x = h_container(H_OF(c), id);

    if (x)
        x->cpus = milli_to_double(resources_scalar(r, "cpus"));
}

static int c_usage(struct containerizer *c, const char *id, struct container_usage *out)
{
    return -ENOENT;
}

static int c_status(struct containerizer *c, const char *id, struct fl_arena *arena,
                    V1__ContainerStatus **ret)
{
    V1__ContainerStatus *s = fl_arena_alloc(arena, sizeof *s);

    v1__container_status__init(s);
    *ret = s;
    return 0;
}

static void c_recover(struct containerizer *c, const char *const *ids, size_t n)
{
    struct harness *h = H_OF(c);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(h->survivors); k++) {
            struct fake_survivor *s = &h->survivors[k];
            struct container_end end = {
                .reason = CONTAINER_EXITED, .has_status = true, .status = s->status};

            if (!s->id || strcmp(s->id, ids[i]) != 0)
                continue;
            if (s->alive)
                h->cb.recovered(h->cb.arg, ids[i], 4242);
            else
                h->cb.ended(h->cb.arg, ids[i], &end);
            break;
        }
    }
    h->cb.recovery_done(h->cb.arg, NULL);
}

static void c_forget(struct containerizer *c, const char *id)
{
    struct fake_container *x = h_container(H_OF(c), id);

    if (x)
        x->forgotten = true;
}

static void c_free(struct containerizer *c)
{
}

static int c_attach(struct containerizer *c, const char *id, const struct container_listener *l,
                    struct fl_err *err)
{
    return fl_err_set(err, FL_NOT_FOUND, "no container '%s'", id);
}

static void c_detach(struct containerizer *c, const char *id, const void *arg)
{
}

static void c_resume(struct containerizer *c, const char *id)
{
}

static int c_input(struct containerizer *c, const char *id, const void *data, size_t n,
                   struct fl_err *err)
{
    return fl_err_set(err, FL_NOT_FOUND, "no container '%s'", id);
}

static void c_window(struct containerizer *c, const char *id, unsigned rows, unsigned columns)
{
}

static void c_each(struct containerizer *c, void (*fn)(void *arg, const char *id), void *arg)
{
}

static const struct containerizer_ops h_containerizer_ops = {
    .launch = c_launch,
    .signal = c_signal,
    .destroy = c_destroy,
    .update = c_update,
    .usage = c_usage,
    .status = c_status,
    .recover = c_recover,
    .forget = c_forget,
    .free = c_free,
    .attach = c_attach,
    .detach = c_detach,
    .resume = c_resume,
    .input = c_input,
    .window = c_window,
    .each = c_each,
};

static inline void h_started(struct harness *h)
{
    h->cb.started(h->cb.arg, h_last(h)->id, 777);
}

static inline void h_ended(struct harness *h, enum container_end_reason reason, int status)
{
    struct container_end end = {
        .reason = reason, .has_status = reason == CONTAINER_EXITED, .status = status};

    h_last(h)->gone = true;
    h->cb.ended(h->cb.arg, h_last(h)->id, &end);
}

/* ---- what was sent ---- */

static inline void h_clear(struct sent **list)
{
    struct sent *s, *tmp;

    DL_FOREACH_SAFE (*list, s, tmp) {
        DL_DELETE(*list, s);
        protobuf_c_message_free_unpacked(s->m, NULL);
        free(s);
    }
}

/* The newest message of the type; NULL: none. */
static inline const void *h_sent(struct harness *h, const ProtobufCMessageDescriptor *d)
{
    const void *found = NULL;
    struct sent *s;

    DL_FOREACH (h->sent, s) {
        if (s->m->descriptor == d)
            found = s->m;
    }
    return found;
}

static inline unsigned h_count(struct harness *h, const ProtobufCMessageDescriptor *d)
{
    unsigned n = 0;
    struct sent *s;

    DL_FOREACH (h->sent, s) {
        n += s->m->descriptor == d;
    }
    return n;
}

static inline const Msg__StatusUpdate *h_update(struct harness *h)
{
    const Msg__StatusUpdateMessage *m = h_sent(h, &msg__status_update_message__descriptor);

    return m ? m->update : NULL;
}

static inline unsigned h_updates(struct harness *h)
{
    return h_count(h, &msg__status_update_message__descriptor);
}

/* The newest event, which must be of the type. */
static inline const Exec__Event *h_event(struct harness *h, Exec__Event__Type type)
{
    const Exec__Event *ev;

    ck_assert_ptr_nonnull(h->events);
    ev = (const Exec__Event *)h->events->prev->m;
    ck_assert_int_eq(ev->type, type);
    return ev;
}

/* ---- life ---- */

#define H_AGENT_ID  "m-S0"
#define H_FRAMEWORK "m-0000"

static void h_start_agent(struct harness *h, const char *resources)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    V1__AgentInfo info = V1__AGENT_INFO__INIT;
    struct fl_err err;

    ck_assert_int_eq(resources_parse(resources, "*", &r, &err), 0);
    info.hostname = (char *)"host";
    info.has_port = true;
    info.n_resources =
        resources_to_pb(&r, RESOURCES_POST_REFINEMENT, false, arena, &info.resources);
    h->metrics = metrics_new();
    ck_assert_int_eq(
        agent_new(&h->env, &h->flags, h->metrics, &info, "127.0.0.1:5051", &h->a, &err), 0);
    agent_containerizer_callbacks(h->a, &h->cb);
    agent_set_containerizer(h->a, &h->containerizer);
}

#define H_RESOURCES "cpus:8;mem:4096;disk:10000;ports:[31000-32000]"

static inline struct harness *h_new(const char *flag_or_null)
{
    struct harness *h = xnew0(struct harness);
    char *argv[] = {(char *)"agent", (char *)"--work_dir=/w", (char *)"--master=127.0.0.1:5050",
                    (char *)flag_or_null, NULL};
    bool help, version;
    struct fl_err err;
    int rest;

    h->now = SECONDS(1000);
    h->seed = 42;
    h->exit_status = -1;
    h->env.env = (struct env){&h_env_ops, h};
    h->env.io = &h_io;
    h->env.ctx = h;
    h->containerizer.ops = &h_containerizer_ops;
    ck_assert_int_eq(agent_flags_new(&h->flags, &h->table, &err), 0);
    ck_assert_int_eq(
        fl_flags_parse(h->table, flag_or_null ? 4 : 3, argv, &rest, &help, &version, &err), 0);
    h_start_agent(h, H_RESOURCES);
    return h;
}

static inline void h_stop_agent(struct harness *h)
{
    struct fake_job *j, *tmp;

    DL_FOREACH_SAFE (h->jobs, j, tmp) {
        DL_DELETE(h->jobs, j);
        free(j);
    }
    agent_free(h->a);
    metrics_free(h->metrics);
    h->a = NULL;
    h->link_open = false;
    h_clear(&h->sent);
    h_clear(&h->events);
}

static inline void h_free(struct harness *h)
{
    struct fake_file *f, *ftmp;
    struct fake_container *c, *ctmp;

    if (h->a)
        h_stop_agent(h);
    ck_assert_ptr_null(h->timers); /* every timer has been freed */
    HASH_ITER (hh, h->files, f, ftmp) {
        h_unmake(h, f);
    }
    DL_FOREACH_SAFE (h->containers, c, ctmp) {
        DL_DELETE(h->containers, c);
        free(c->env);
        free(c->command);
        free(c);
    }
    fl_flags_free(h->table);
    free(h);
}

static inline void h_connect(struct harness *h)
{
    h->link_open = true;
    agent_master_up(h->a, "127.0.0.1:5050");
    h_pass(h, h->flags.registration_backoff_factor);
}

/* From nothing to registered. */
static inline void h_register(struct harness *h)
{
    Msg__SlaveRegisteredMessage m = MSG__SLAVE_REGISTERED_MESSAGE__INIT;
    V1__AgentID id = V1__AGENT_ID__INIT;
    struct fl_err err;

    ck_assert_int_eq(agent_recover(h->a, &err), 0);
    ck_assert_uint_eq(h->finds, 1);
    h_connect(h);
    id.value = (char *)H_AGENT_ID;
    m.slave_id = &id;
    agent_master_message(h->a, &m.base);
    ck_assert_int_eq(h->a->state, AGENT_RUNNING);
}

static inline void h_reregister(struct harness *h)
{
    Msg__SlaveReregisteredMessage m = MSG__SLAVE_REREGISTERED_MESSAGE__INIT;
    V1__AgentID id = V1__AGENT_ID__INIT;

    id.value = (char *)H_AGENT_ID;
    m.slave_id = &id;
    agent_master_message(h->a, &m.base);
    ck_assert_int_eq(h->a->state, AGENT_RUNNING);
}

/* ---- messages of the master, from JSON in the older spelling ---- */

static inline void h_deliver(struct harness *h, const ProtobufCMessageDescriptor *d,
                             const char *json)
{
    ProtobufCMessage *m = NULL;
    struct fl_err err = {0};

    ck_assert_msg(fl_json_to_pb(json, strlen(json), d, 0, NULL, &m, &err) == 0, "%s", err.msg);
    agent_master_message(h->a, m);
    protobuf_c_message_free_unpacked(m, NULL);
}

/* `framework` and `task`: more fields, beginning with a comma, or "". */
static inline void h_run(struct harness *h, const char *task_id, const char *framework,
                         const char *task)
{
    _cleanup_free_ char *json = xasprintf(
        "{\"framework\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"" H_FRAMEWORK "\"}%s},"
        "\"task\":{\"name\":\"n\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":"
        "\"" H_AGENT_ID "\"},"
        "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},"
        "\"allocation_info\":{\"role\":\"r\"}},{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{"
        "\"value\":64},"
        "\"allocation_info\":{\"role\":\"r\"}}]%s}}",
        framework, task_id, task);

    h_deliver(h, &msg__run_task_message__descriptor, json);
}

#define H_COMMAND ",\"command\":{\"value\":\"sleep 5\"}"
#define H_EXECUTOR                                                                                 \
    ",\"executor\":{\"type\":\"CUSTOM\",\"executor_id\":{\"value\":\"e1\"},\"command\":{"          \
    "\"value\":\"./exec\"},"                                                                       \
    "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.1},"            \
    "\"allocation_info\":{\"role\":\"r\"}}]}"
#define H_CHECKPOINT ",\"checkpoint\":true"

static inline void h_kill(struct harness *h, const char *task_id, const char *more)
{
    _cleanup_free_ char *json = xasprintf("{\"framework_id\":{\"value\":\"" H_FRAMEWORK
                                          "\"},\"task_id\":{\"value\":\"%s\"}%s}",
                                          task_id, more);

    h_deliver(h, &msg__kill_task_message__descriptor, json);
}

static inline void h_ack_uuid(struct harness *h, const char *task_id,
                              const ProtobufCBinaryData *uuid)
{
    Msg__StatusUpdateAcknowledgementMessage m = MSG__STATUS_UPDATE_ACKNOWLEDGEMENT_MESSAGE__INIT;
    V1__AgentID agent = V1__AGENT_ID__INIT;
    V1__FrameworkID fid = V1__FRAMEWORK_ID__INIT;
    V1__TaskID tid = V1__TASK_ID__INIT;

    agent.value = (char *)H_AGENT_ID;
    fid.value = (char *)H_FRAMEWORK;
    tid.value = (char *)task_id;
    m.slave_id = &agent;
    m.framework_id = &fid;
    m.task_id = &tid;
    m.uuid = *uuid;
    agent_master_message(h->a, &m.base);
}

/* Acknowledges the newest update, which must say `state` of the task. */
static inline void h_ack(struct harness *h, const char *task_id, V1__TaskState state)
{
    const Msg__StatusUpdate *u = h_update(h);
    uint8_t copy[FL_UUID_LEN];
    ProtobufCBinaryData uuid = {FL_UUID_LEN, copy};

    ck_assert_ptr_nonnull(u);
    ck_assert_str_eq(task_state_name(u->status->state), task_state_name(state));
    ck_assert_str_eq(u->status->task_id->value, task_id);
    memcpy(copy, u->uuid.data, FL_UUID_LEN);
    h_ack_uuid(h, task_id, &uuid);
}

/* A command task that is running, both first updates acknowledged. */
static inline void h_running(struct harness *h, const char *task_id, const char *framework,
                             const char *task)
{
    h_run(h, task_id, framework, task);
    h_started(h);
    h_ack(h, task_id, V1__TASK_STATE__TASK_STARTING);
    h_ack(h, task_id, V1__TASK_STATE__TASK_RUNNING);
}

static inline struct agent_task *h_task(struct harness *h, const char *task_id)
{
    struct agent_framework *f = agent_find_framework(h->a, H_FRAMEWORK);

    return f ? agent_find_task(f, task_id) : NULL;
}

#endif
