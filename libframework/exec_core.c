/* See exec_core.h. Runs on the executor's loop thread. */
#include "libframework/exec_core.h"

#include <stdio.h>
#include <utlist.h>

#include "common/base/json.h"

#define MAX_RECORD (256u << 20)

/* What the agent may have to be told again. */
struct pending_task {
    V1__TaskInfo *task; /* owned */
    struct pending_task *next, *prev;
};
struct pending_update {
    Exec__Call__Update *update; /* owned; its status has a uuid */
    struct pending_update *next, *prev;
};

struct exec_core {
    const struct env *env;
    const struct exec_io *io;
    void *ctx;
    struct exec_config config;
    char *framework_id, *executor_id;
    V1__FrameworkID framework;
    V1__ExecutorID executor;
    bool subscribed, dead, ever_subscribed;
    struct pending_task *tasks;
    struct pending_update *updates;
    struct recordio_reader reader;
    struct fl_arena *arena;
    struct env_timer *retry;
    uint64_t backoff_us;
    uint64_t lost_at_us; /* when the agent went away; 0 while it is there */
};

static void subscribe(struct exec_core *c)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;
    Exec__Call call = EXEC__CALL__INIT;
    Exec__Call__Subscribe sub = EXEC__CALL__SUBSCRIBE__INIT;
    struct pending_task *t;
    struct pending_update *u;
    size_t nt = 0, nu = 0;

    DL_COUNT(c->tasks, t, nt);
    DL_COUNT(c->updates, u, nu);
    _cleanup_free_ V1__TaskInfo **tasks = xcalloc(nt + 1, sizeof(*tasks));
    _cleanup_free_ Exec__Call__Update **updates = xcalloc(nu + 1, sizeof(*updates));
    DL_FOREACH (c->tasks, t)
        tasks[sub.n_unacknowledged_tasks++] = t->task;
    DL_FOREACH (c->updates, u)
        updates[sub.n_unacknowledged_updates++] = u->update;
    sub.unacknowledged_tasks = tasks;
    sub.unacknowledged_updates = updates;
    call.has_type = true;
    call.type = EXEC__CALL__TYPE__SUBSCRIBE;
    call.framework_id = &c->framework;
    call.executor_id = &c->executor;
    call.subscribe = &sub;
    fl_buf_pack(&body, &call.base);
    c->io->subscribe(c->ctx, body.data, body.len);
}

static void retry_due(void *arg)
{
    struct exec_core *c = arg;

    if (!c->dead)
        subscribe(c);
}

struct exec_core *exec_core_new(const struct env *env, const struct exec_io *io, void *ctx,
                                const struct exec_config *config)
{
    struct exec_core *c = xnew0(struct exec_core);

    c->env = env;
    c->io = io;
    c->ctx = ctx;
    c->config = *config;
    c->framework_id = xstrdup(config->framework_id);
    c->executor_id = xstrdup(config->executor_id);
    v1__framework_id__init(&c->framework);
    c->framework.value = c->framework_id;
    v1__executor_id__init(&c->executor);
    c->executor.value = c->executor_id;
    c->retry = env_timer_new(env, retry_due, c);
    c->arena = fl_arena_new(16 * 1024);
    c->backoff_us = 100000;
    recordio_reader_init(&c->reader, MAX_RECORD);
    return c;
}

static void forget_task(struct exec_core *c, struct pending_task *t)
{
    DL_DELETE(c->tasks, t);
    fl_pb_free(t->task);
    free(t);
}

static void forget_update(struct exec_core *c, struct pending_update *u)
{
    DL_DELETE(c->updates, u);
    fl_pb_free(u->update);
    free(u);
}

void exec_core_free(struct exec_core *c)
{
    if (!c)
        return;
    while (c->tasks)
        forget_task(c, c->tasks);
    while (c->updates)
        forget_update(c, c->updates);
    env_timer_free(c->env, c->retry);
    recordio_reader_done(&c->reader);
    fl_arena_free(c->arena);
    free(c->framework_id);
    free(c->executor_id);
    free(c);
}

void exec_core_start(struct exec_core *c)
{
    c->lost_at_us = env_now_us(c->env);
    subscribe(c);
}

static void die(struct exec_core *c, const char *message)
{
    if (c->dead)
        return;
    c->dead = true;
    env_timer_stop(c->env, c->retry);
    c->io->close_stream(c->ctx);
    c->io->on_dead(c->ctx, message);
}

/* Without checkpointing an executor ends with its agent's connection; with it, it looks for the agent until the recovery timeout. */
static void start_over(struct exec_core *c, const char *why)
{
    bool was_subscribed = c->subscribed;
    uint64_t now = env_now_us(c->env), r;

    if (c->dead)
        return;
    c->subscribed = false;
    c->io->close_stream(c->ctx);
    recordio_reader_done(&c->reader);
    recordio_reader_init(&c->reader, MAX_RECORD);
    if (was_subscribed) {
        c->lost_at_us = now;
        c->io->on_disconnected(c->ctx, why);
    }
    if (c->ever_subscribed && !c->config.checkpoint) {
        die(c, "the agent is gone and this framework does not checkpoint");
        return;
    }
    if (now - c->lost_at_us >= c->config.recovery_timeout_us) {
        die(c, "the agent did not come back within the recovery timeout");
        return;
    }
    env_random(c->env, &r, sizeof(r));
    env_timer_set(c->env, c->retry, r % c->backoff_us);
    c->backoff_us = FL_MIN(c->backoff_us * 2, FL_MAX(c->config.max_backoff_us, 100000));
}

void exec_core_headers(struct exec_core *c, int status, const char *body, size_t n)
{
    char text[500];

    if (status == 200 || c->dead)
        return;
    snprintf(text, sizeof(text), "the agent answered the subscription with status %d: %.*s", status,
             (int)FL_MIN(n, (size_t)300), body ? body : "");
    /* 503: the agent recovers; 404: it has not begun to serve. Everything else stays as it is. */
    if (status == 503 || status == 404 || status >= 500)
        start_over(c, text);
    else
        die(c, text);
}

static void acknowledged(struct exec_core *c, const Exec__Event__Acknowledged *a)
{
    struct pending_update *u, *unext;
    struct pending_task *t, *tnext;

    DL_FOREACH_SAFE (c->updates, u, unext) {
        const ProtobufCBinaryData *uuid = &u->update->status->uuid;
        if (uuid->len == a->uuid.len && memcmp(uuid->data, a->uuid.data, uuid->len) == 0)
            forget_update(c, u);
    }
    /* The agent knows the task once it has any update of it. */
    DL_FOREACH_SAFE (c->tasks, t, tnext) {
        if (streq(t->task->task_id->value, a->task_id->value))
            forget_task(c, t);
    }
}

static void remember(struct exec_core *c, const V1__TaskInfo *task)
{
    struct pending_task *t = xnew0(struct pending_task);

    t->task = FL_PB_DUP(task);
    DL_APPEND(c->tasks, t);
}

static int event(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct exec_core *c = arg;
    ProtobufCMessage *m;
    int r;

    fl_arena_reset(c->arena);
    r = fl_pb_decode(record, n, &exec__event__descriptor, fl_arena_allocator(c->arena), &m, err);
    if (r < 0)
        return r;
    const Exec__Event *ev = (const Exec__Event *)m;
    if (ev->subscribed) {
        c->subscribed = c->ever_subscribed = true;
        c->lost_at_us = 0;
        c->backoff_us = 100000;
    }
    if (ev->acknowledged)
        acknowledged(c, ev->acknowledged);
    if (ev->launch)
        remember(c, ev->launch->task);
    for (size_t i = 0; ev->launch_group && i < ev->launch_group->task_group->n_tasks; i++)
        remember(c, ev->launch_group->task_group->tasks[i]);
    c->io->on_event(c->ctx, ev, record, n);
    if (ev->type == EXEC__EVENT__TYPE__ERROR)
        die(c, ev->error ? ev->error->message : "the agent sent an ERROR event without a message");
    if (c->dead)
        return fl_err_set(err, FL_CLOSED, "the subscription is over");
    return 0;
}

void exec_core_data(struct exec_core *c, const char *p, size_t n)
{
    struct fl_err err = {0};

    if (!c->dead && recordio_feed(&c->reader, p, n, event, c, &err) < 0)
        start_over(c, err.msg);
}

void exec_core_stream_ended(struct exec_core *c, const char *why)
{
    start_over(c, why);
}

static void send(struct exec_core *c, Exec__Call *call)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;

    call->framework_id = &c->framework;
    call->executor_id = &c->executor;
    fl_buf_pack(&body, &call->base);
    c->io->call(c->ctx, body.data, body.len);
}

static void complete_status(struct exec_core *c, V1__TaskStatus *s)
{
    if (!s->has_uuid) {
        s->uuid.data = xmalloc(FL_UUID_LEN);
        s->uuid.len = FL_UUID_LEN;
        s->has_uuid = true;
        fl_uuid_make(c->env, s->uuid.data);
    }
    if (!s->has_timestamp) {
        s->has_timestamp = true;
        s->timestamp = env_wall_s(c->env);
    }
    s->has_source = true;
    s->source = V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    if (!s->executor_id)
        s->executor_id = FL_PB_DUP(&c->executor);
}

void exec_core_call(struct exec_core *c, const void *bytes, size_t n)
{
    /* It lacks the ids, which are required: they are put behind it (encoded messages concatenate). */
    _cleanup_buf_ struct fl_buf whole = FL_BUF_INIT;
    Exec__Call ids = EXEC__CALL__INIT;

    ids.framework_id = &c->framework;
    ids.executor_id = &c->executor;
    fl_buf_add(&whole, bytes, n);
    fl_buf_pack(&whole, &ids.base);
    _cleanup_pb_ Exec__Call *call =
        exec__call__unpack(NULL, whole.len, (const uint8_t *)whole.data);
    if (!call)
        return;
    if (call->update) {
        struct pending_update *u = xnew0(struct pending_update);
        complete_status(c, call->update->status);
        u->update = FL_PB_DUP(call->update);
        DL_APPEND(c->updates, u);
    }
    if (c->subscribed) {
        fl_pb_free(call->framework_id);
        fl_pb_free(call->executor_id);
        send(c, call);
        /* They are the core's own, not the message's. */
        call->framework_id = NULL;
        call->executor_id = NULL;
    }
}

bool exec_core_idle(const struct exec_core *c)
{
    return !c->updates;
}
