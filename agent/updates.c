/* The status-update manager: every update of a task reaches the framework, in order, once acknowledged (features.md 3.3).
 *
 * One stream a task. Only the head of a stream is in flight; it is sent again after 10 s, then 20 s, ... up to 10 min, until its
 * acknowledgement comes; then the next leaves. Nothing leaves while the agent has no master; when it has one again every head
 * is sent at once. A stream with a path is also an append log of UPDATE and ACK records, from which it is rebuilt after a restart: the
 * log is written before the update is sent, or the acknowledgement believed.
 *
 * Streams whose head is in flight wait in one list for each interval: in such a list they fall due in the order they came, so one
 * timer for all looks only at the lists' first.
 *
 * Core's thread. Invariant: a stream waits if and only if it has a head and the manager is not paused.
 */
#include <uthash.h>
#include <utlist.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

/* A task that reports faster than its framework acknowledges: beyond this only terminal updates are taken. */
#define MAX_PENDING 1000

/* Intervals: the least, doubled; the last is the longest whatever it is. */
#define LEVELS 16

/* The uuids a stream has taken, in an open table: most streams see two or three. Free slots are zero. */
struct seen {
    uint8_t (*slots)[FL_UUID_LEN];
    uint32_t n, cap; /* a power of two, or 0 */
    bool zero;       /* the uuid of zeros has been there */
};

struct pending {
    struct pending *prev, *next;
    uint8_t uuid[FL_UUID_LEN];
    bool terminal;
    uint32_t len;
    uint8_t update[]; /* encoded: most are sent once, from the message they came as */
};

struct stream {
    char *key;            /* owned: "framework id/task id" */
    char *path;           /* owned; NULL: not checkpointed */
    size_t framework_len; /* of key */
    struct agent_updates *manager;
    struct seen seen;
    struct pending *pending;
    unsigned n_pending;
    unsigned level; /* of the interval after which the head is sent again */
    bool waiting;   /* in manager->waiting[level] */
    uint64_t due_us;
    struct stream *prev, *next;
    UT_hash_handle hh;
};

struct agent_updates {
    struct agent_core *core;
    struct stream *streams;
    size_t n_pending; /* of all streams */
    bool paused;
    struct env_timer *timer; /* NULL until there was something to wait for */
    uint64_t timer_due_us;   /* UINT64_MAX: it is not set */
    struct stream **waiting; /* owned; LEVELS lists; an idle agent has none */
};

struct agent_updates *agent_updates_new(struct agent_core *a)
{
    struct agent_updates *u = xnew0(struct agent_updates);

    u->core = a;
    u->paused = true;
    u->timer_due_us = UINT64_MAX;
    return u;
}

static void retry(void *arg);
static void send_again(struct stream *s);

static void pop(struct stream *s)
{
    struct pending *p = s->pending;

    DL_DELETE(s->pending, p);
    s->n_pending--;
    s->manager->n_pending--;
    free(p);
}

/* ---- waiting ---- */

static uint64_t interval_of(const struct agent_updates *u, unsigned level)
{
    uint64_t min = u->core->flags->status_update_retry_interval_min;
    uint64_t max = u->core->flags->status_update_retry_interval_max;

    if (level == 0)
        return min;
    if (level == LEVELS - 1 || min > max >> level)
        return max;
    return min << level;
}

static void stop_waiting(struct stream *s)
{
    if (!s->waiting)
        return;
    DL_DELETE(s->manager->waiting[s->level], s);
    s->waiting = false;
}

static void set_timer(struct agent_updates *u, uint64_t due_us)
{
    uint64_t now = env_now_us(agent_time(u->core));

    /* One that is due earlier finds nothing to do, and looks for the next. */
    if (u->timer_due_us <= due_us)
        return;
    u->timer_due_us = due_us;
    if (!u->timer)
        u->timer = env_timer_new(agent_time(u->core), retry, u);
    env_timer_set(agent_time(u->core), u->timer, due_us > now ? due_us - now : 0);
}

static void wait_for_ack(struct stream *s)
{
    struct agent_updates *u = s->manager;

    if (!u->waiting)
        u->waiting = xcalloc(LEVELS, sizeof *u->waiting);
    stop_waiting(s);
    s->waiting = true;
    s->due_us = env_now_us(agent_time(u->core)) + FL_MAX(interval_of(u, s->level), 1u);
    DL_APPEND(u->waiting[s->level], s);
    set_timer(u, s->due_us);
}

static struct stream *first_due(const struct agent_updates *u)
{
    struct stream *first = NULL;

    for (unsigned i = 0; u->waiting && i < LEVELS; i++) {
        struct stream *s = u->waiting[i];

        if (s && (!first || s->due_us < first->due_us))
            first = s;
    }
    return first;
}

static void retry(void *arg)
{
    struct agent_updates *u = arg;
    uint64_t now = env_now_us(agent_time(u->core));
    struct stream *s;

    u->timer_due_us = UINT64_MAX;
    while ((s = first_due(u)) && s->due_us <= now) {
        stop_waiting(s);
        s->level = FL_MIN(s->level + 1, LEVELS - 1u);
        send_again(s);
    }
    if (s)
        set_timer(u, s->due_us);
}

/* ---- streams ---- */

static void stream_free(struct stream *s)
{
    HASH_DEL(s->manager->streams, s);
    stop_waiting(s);
    while (s->pending)
        pop(s);
    free(s->seen.slots);
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
    env_timer_free(agent_time(u->core), u->timer);
    free(u->waiting);
    free(u);
}

static struct stream *find_stream(const struct agent_updates *u, const char *framework_id,
                                  const char *task_id)
{
    char small[256];
    _cleanup_free_ char *large = NULL;
    size_t n = strlen(framework_id), m = strlen(task_id);
    char *key = small;
    struct stream *s;

    if (n + 1 + m > sizeof small)
        key = large = xmalloc(n + 1 + m);
    memcpy(key, framework_id, n);
    key[n] = '/';
    memcpy(key + n + 1, task_id, m);
    HASH_FIND(hh, u->streams, key, n + 1 + m, s);
    return s;
}

static struct stream *add_stream(struct agent_updates *u, const char *framework_id,
                                 const char *task_id, const char *path)
{
    struct stream *s = xnew0(struct stream);

    s->key = agent_path_join(framework_id, "/", task_id, NULL);
    s->framework_len = strlen(framework_id);
    s->path = path ? xstrdup(path) : NULL;
    s->manager = u;
    HASH_ADD_KEYPTR(hh, u->streams, s->key, strlen(s->key), s);
    return s;
}

/* The head, from what is kept of it. */
static void send_again(struct stream *s)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    ProtobufCMessage *m = NULL;
    struct fl_err err;
    int r;

    if (s->manager->paused || !s->pending)
        return;
    wait_for_ack(s);
    arena = fl_arena_new(2048);
    r = fl_pb_decode(s->pending->update, s->pending->len, &msg__status_update__descriptor,
                     fl_arena_allocator(arena), &m, &err);
    assert(r == 0); /* it was encoded here */
    (void)r;
    agent_forward(s->manager->core, (const Msg__StatusUpdate *)m, NULL);
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

/* Where the uuid is, or would be. Uuids are random: their first bytes are as good as a hash. */
static uint8_t (*seen_slot(const struct seen *seen, const void *uuid))[FL_UUID_LEN]
{
    static const uint8_t zero[FL_UUID_LEN];
    uint32_t i;

    memcpy(&i, uuid, sizeof i);
    for (i &= seen->cap - 1; memcmp(seen->slots[i], uuid, FL_UUID_LEN) != 0 &&
                             memcmp(seen->slots[i], zero, FL_UUID_LEN) != 0;)
        i = (i + 1) & (seen->cap - 1);
    return &seen->slots[i];
}

static void seen_grow(struct seen *seen)
{
    static const uint8_t zero[FL_UUID_LEN];
    struct seen old = *seen;

    seen->cap = old.cap ? 2 * old.cap : 4;
    seen->slots = xcalloc(seen->cap, FL_UUID_LEN);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (memcmp(old.slots[i], zero, FL_UUID_LEN) != 0)
            memcpy(*seen_slot(seen, old.slots[i]), old.slots[i], FL_UUID_LEN);
    }
    free(old.slots);
}

static bool seen_before(struct stream *s, const void *uuid)
{
    static const uint8_t zero[FL_UUID_LEN];
    struct seen *seen = &s->seen;
    uint8_t(*at)[FL_UUID_LEN];

    if (memcmp(uuid, zero, FL_UUID_LEN) == 0) {
        bool before = seen->zero;

        seen->zero = true;
        return before;
    }
    if (4 * (seen->n + 1) > 3 * seen->cap)
        seen_grow(seen);
    at = seen_slot(seen, uuid);
    if (memcmp(*at, uuid, FL_UUID_LEN) == 0)
        return true;
    memcpy(*at, uuid, FL_UUID_LEN);
    seen->n++;
    return false;
}

static void enqueue(struct stream *s, const Msg__StatusUpdate *up)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct pending *p;

    fl_buf_pack(&b, &up->base);
    p = xmalloc(sizeof *p + b.len);
    memcpy(p->uuid, up->uuid.data, FL_UUID_LEN);
    p->terminal = task_state_is_terminal(up->status->state);
    p->len = (uint32_t)b.len;
    memcpy(p->update, b.data, b.len);
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
                                              const char *path, struct agent_task *t_or_null)
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
    if (s->n_pending == 1 && !u->paused) {
        wait_for_ack(s);
        agent_forward(u->core, up, t_or_null);
    }
    return UPDATE_NEW;
}

/* Takes the head away; true when it was terminal, and the stream is gone with it. */
static bool advance(struct stream *s)
{
    bool terminal = s->pending->terminal;

    stop_waiting(s);
    s->level = 0;
    pop(s);
    if (terminal)
        stream_free(s);
    return terminal;
}

int agent_updates_ack(struct agent_updates *u, const char *framework_id, const char *task_id,
                      const void *uuid, size_t uuid_len, bool *ret_finished, struct fl_err *err)
{
    struct stream *s = find_stream(u, framework_id, task_id);

    if (!s)
        return fl_err_set(err, FL_NOT_FOUND,
                          "task '%s' of framework '%s' has no update to acknowledge", task_id,
                          framework_id);
    if (!s->pending || uuid_len != FL_UUID_LEN || memcmp(s->pending->uuid, uuid, FL_UUID_LEN) != 0)
        return fl_err_set(
            err, FL_INVALID,
            "the acknowledgement is not for the update of task '%s' that is waiting for one",
            task_id);
    keep(s, MSG__STATUS_UPDATE_RECORD__TYPE__ACK, NULL, uuid);
    *ret_finished = advance(s);
    if (!*ret_finished)
        send_again(s);
    return 0;
}

void agent_updates_pause(struct agent_updates *u)
{
    struct stream *s, *tmp;

    u->paused = true;
    HASH_ITER (hh, u->streams, s, tmp) {
        stop_waiting(s);
    }
}

void agent_updates_resume(struct agent_updates *u)
{
    struct stream *s, *tmp;

    u->paused = false;
    HASH_ITER (hh, u->streams, s, tmp) {
        stop_waiting(s);
        s->level = 0;
        send_again(s);
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
        stop_waiting(s);
        s->level = 0;
        send_again(s);
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
        memcmp(s->pending->uuid, r->uuid.data, FL_UUID_LEN) != 0)
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
