/* The status-update manager: every update of a task reaches the framework, in order, once acknowledged (features.md 3.3).
 *
 * One stream a task. Only the head of a stream is in flight; it is sent again after 10 s, then 20 s, ... up to 10 min, until its
 * acknowledgement comes; then the next leaves. Nothing leaves while the agent has no master; when it has one again every head
 * is sent at once. A stream with a path is also an append log of UPDATE and ACK records, from which it is rebuilt after a restart: the
 * log is written before the update is sent, or the acknowledgement believed.
 *
 * Core's thread. Invariant: a stream's timer runs if and only if it has a head and the manager is not paused.
 */
#include <uthash.h>
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

/* A task that reports faster than its framework acknowledges: beyond this only terminal updates are taken. */
#define MAX_PENDING 1000

struct seen {
    uint8_t uuid[FL_UUID_LEN];
    UT_hash_handle hh;
};

struct pending {
    Msg__StatusUpdate *update; /* owned */
    struct pending *prev, *next;
};

struct stream {
    char *key;            /* owned: "framework id/task id" */
    char *path;           /* owned; NULL: not checkpointed */
    size_t framework_len; /* of key */
    struct agent_updates *manager;
    struct seen *seen; /* every uuid ever taken */
    struct pending *pending;
    unsigned n_pending;
    struct env_timer *timer;
    uint64_t interval_us;
    UT_hash_handle hh;
};

struct agent_updates {
    struct agent_core *core;
    struct stream *streams;
    size_t n_pending; /* of all streams */
    bool paused;
};

struct agent_updates *agent_updates_new(struct agent_core *a)
{
    struct agent_updates *u = xnew0(struct agent_updates);

    u->core = a;
    u->paused = true;
    return u;
}

static void pop(struct stream *s)
{
    struct pending *p = s->pending;

    DL_DELETE(s->pending, p);
    s->n_pending--;
    s->manager->n_pending--;
    fl_pb_free(p->update);
    free(p);
}

static void stream_free(struct stream *s)
{
    struct seen *x, *tmp;

    HASH_DEL(s->manager->streams, s);
    while (s->pending)
        pop(s);
    HASH_ITER (hh, s->seen, x, tmp) {
        HASH_DEL(s->seen, x);
        free(x);
    }
    env_timer_free(agent_time(s->manager->core), s->timer);
    free(s->key);
    free(s->path);
    free(s);
}

void agent_updates_free(struct agent_updates *u)
{
    struct stream *s, *tmp;

    if (!u)
        return;
    HASH_ITER (hh, u->streams, s, tmp) {
        stream_free(s);
    }
    free(u);
}

size_t agent_updates_streams(const struct agent_updates *u)
{
    return HASH_COUNT(u->streams);
}

static struct stream *find_stream(const struct agent_updates *u, const char *framework_id,
                                  const char *task_id)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", framework_id, task_id);
    struct stream *s;

    HASH_FIND_STR(u->streams, key, s);
    return s;
}

static void send_head(struct stream *s);

static void retry(void *arg)
{
    struct stream *s = arg;

    s->interval_us =
        FL_MIN(s->interval_us * 2, s->manager->core->flags->status_update_retry_interval_max);
    send_head(s);
}

static struct stream *add_stream(struct agent_updates *u, const char *framework_id,
                                 const char *task_id, const char *path)
{
    struct stream *s = xnew0(struct stream);

    s->key = xasprintf("%s/%s", framework_id, task_id);
    s->framework_len = strlen(framework_id);
    s->path = path ? xstrdup(path) : NULL;
    s->manager = u;
    s->interval_us = s->manager->core->flags->status_update_retry_interval_min;
    s->timer = env_timer_new(agent_time(u->core), retry, s);
    HASH_ADD_KEYPTR(hh, u->streams, s->key, strlen(s->key), s);
    return s;
}

static void send_head(struct stream *s)
{
    if (s->manager->paused || !s->pending)
        return;
    env_timer_set(agent_time(s->manager->core), s->timer, s->interval_us);
    agent_forward(s->manager->core, s->pending->update);
}

static int keep(struct stream *s, Msg__StatusUpdateRecord__Type type, const Msg__StatusUpdate *up,
                const void *uuid)
{
    Msg__StatusUpdateRecord r = MSG__STATUS_UPDATE_RECORD__INIT;
    struct agent_env *env = s->manager->core->env;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;
    int r2;

    if (!s->path)
        return 0;
    r.type = type;
    r.update = (Msg__StatusUpdate *)up;
    if (uuid) {
        r.has_uuid = true;
        r.uuid = (ProtobufCBinaryData){FL_UUID_LEN, (uint8_t *)uuid};
    }
    agent_record_add(&b, &r.base);
    r2 = env->io->append(env->ctx, s->path, b.data, b.len, &err);
    if (r2 < 0)
        log_error("Cannot keep a status update of task '%s': %s", s->key, err.msg);
    return r2;
}

static bool seen_before(struct stream *s, const void *uuid)
{
    struct seen *x;

    HASH_FIND(hh, s->seen, uuid, FL_UUID_LEN, x);
    if (x)
        return true;
    x = xnew0(struct seen);
    memcpy(x->uuid, uuid, FL_UUID_LEN);
    HASH_ADD(hh, s->seen, uuid, FL_UUID_LEN, x);
    return false;
}

static void enqueue(struct stream *s, const Msg__StatusUpdate *up)
{
    struct pending *p = xnew0(struct pending);

    p->update = FL_PB_DUP(up);
    DL_APPEND(s->pending, p);
    s->n_pending++;
    s->manager->n_pending++;
}

/* Terminal updates are taken all the same: there is one a task, and it must not be lost. */
static bool is_full(const struct agent_updates *u, const struct stream *s)
{
    return (s && s->n_pending >= MAX_PENDING) ||
           u->n_pending >= u->core->flags->max_pending_updates;
}

enum agent_update_result agent_updates_handle(struct agent_updates *u, const Msg__StatusUpdate *up,
                                              const char *path)
{
    const char *fid = up->framework_id->value, *tid = up->status->task_id->value;
    struct stream *s = find_stream(u, fid, tid);

    assert(up->has_uuid && up->uuid.len == FL_UUID_LEN);
    if (!task_state_is_terminal(up->status->state) && is_full(u, s)) {
        agent_count(u->core, COUNT_UPDATES_OVER_LIMIT);
        log_warning("Too many unacknowledged updates, refusing one of task '%s' of framework '%s'",
                    tid, fid);
        return UPDATE_REFUSED;
    }
    if (!s)
        s = add_stream(u, fid, tid, path);
    if (seen_before(s, up->uuid.data))
        return UPDATE_DUPLICATE;
    /* An update that cannot be kept is still worth sending: the loss would only show after another crash. */
    keep(s, MSG__STATUS_UPDATE_RECORD__TYPE__UPDATE, up, NULL);
    enqueue(s, up);
    if (s->n_pending == 1)
        send_head(s);
    return UPDATE_NEW;
}

/* Takes the head away; true when it was terminal, and the stream is gone with it. */
static bool advance(struct stream *s)
{
    bool terminal = task_state_is_terminal(s->pending->update->status->state);

    env_timer_stop(agent_time(s->manager->core), s->timer);
    s->interval_us = s->manager->core->flags->status_update_retry_interval_min;
    pop(s);
    if (terminal)
        stream_free(s);
    return terminal;
}

int agent_updates_ack(struct agent_updates *u, const char *framework_id, const char *task_id,
                      const void *uuid, size_t uuid_len, bool *ret_finished, struct fl_err *err)
{
    struct stream *s = find_stream(u, framework_id, task_id);
    const Msg__StatusUpdate *head;

    if (!s)
        return fl_err_set(err, FL_NOT_FOUND,
                          "task '%s' of framework '%s' has no update to acknowledge", task_id,
                          framework_id);
    head = s->pending ? s->pending->update : NULL;
    if (!head || uuid_len != FL_UUID_LEN || memcmp(head->uuid.data, uuid, FL_UUID_LEN) != 0)
        return fl_err_set(
            err, FL_INVALID,
            "the acknowledgement is not for the update of task '%s' that is waiting for one",
            task_id);
    keep(s, MSG__STATUS_UPDATE_RECORD__TYPE__ACK, NULL, uuid);
    *ret_finished = advance(s);
    if (!*ret_finished)
        send_head(s);
    return 0;
}

void agent_updates_pause(struct agent_updates *u)
{
    struct stream *s, *tmp;

    u->paused = true;
    HASH_ITER (hh, u->streams, s, tmp) {
        env_timer_stop(agent_time(u->core), s->timer);
    }
}

void agent_updates_resume(struct agent_updates *u)
{
    struct stream *s, *tmp;

    u->paused = false;
    HASH_ITER (hh, u->streams, s, tmp) {
        s->interval_us = s->manager->core->flags->status_update_retry_interval_min;
        send_head(s);
    }
}

static bool is_of(const struct stream *s, const char *framework_id, size_t n)
{
    return s->framework_len == n && memcmp(s->key, framework_id, n) == 0;
}

void agent_updates_resend(struct agent_updates *u, const char *framework_id)
{
    size_t n = strlen(framework_id);
    struct stream *s, *tmp;

    HASH_ITER (hh, u->streams, s, tmp) {
        if (!is_of(s, framework_id, n))
            continue;
        s->interval_us = s->manager->core->flags->status_update_retry_interval_min;
        send_head(s);
    }
}

void agent_updates_drop_framework(struct agent_updates *u, const char *framework_id)
{
    size_t n = strlen(framework_id);
    struct stream *s, *tmp;

    HASH_ITER (hh, u->streams, s, tmp) {
        if (is_of(s, framework_id, n))
            stream_free(s);
    }
}

static int replay(struct stream *s, const Msg__StatusUpdateRecord *r, agent_update_seen_f *fn,
                  void *arg, bool *ret_finished, struct fl_err *err)
{
    if (r->type == MSG__STATUS_UPDATE_RECORD__TYPE__UPDATE) {
        if (!r->update || !r->update->has_uuid || r->update->uuid.len != FL_UUID_LEN)
            return fl_err_set(err, FL_INVALID, "an UPDATE record of '%s' has no update or no uuid",
                              s->path);
        if (seen_before(s, r->update->uuid.data))
            return 0;
        enqueue(s, r->update);
        fn(r->update, arg);
        return 0;
    }
    if (!s->pending || !r->has_uuid || r->uuid.len != FL_UUID_LEN ||
        memcmp(s->pending->update->uuid.data, r->uuid.data, FL_UUID_LEN) != 0)
        return fl_err_set(err, FL_INVALID,
                          "an ACK record of '%s' does not belong to the update before it", s->path);
    *ret_finished = advance(s);
    return 0;
}

int agent_updates_recover(struct agent_updates *u, const char *framework_id, const char *task_id,
                          const char *path, const void *data, size_t n, agent_update_seen_f *fn,
                          void *arg, size_t *ret_valid, bool *ret_finished, struct fl_err *err)
{
    struct stream *s = add_stream(u, framework_id, task_id, path);
    bool finished = false;
    size_t off = 0;
    int r = 0;

    while (!finished) {
        ProtobufCMessage *m = NULL;

        r = agent_record_next(data, n, &off, &msg__status_update_record__descriptor, &m, err);
        if (r <= 0)
            break;
        r = replay(s, (Msg__StatusUpdateRecord *)m, fn, arg, &finished, err);
        fl_pb_free(m);
        if (r < 0)
            break;
    }
    if (r < 0) {
        stream_free(s);
        return r;
    }
    *ret_valid = off;
    *ret_finished = finished;
    return 0;
}
