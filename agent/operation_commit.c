/* The checkpoint of the agent's reservations, volumes and operations, in the reference's layout (features.md 3.7):
 *
 *   meta/resources/resources_and_operations.state   the truth: one ResourceState
 *   meta/resources/resources_and_operations.target  what is being made true; there only while it is
 *   meta/resources/resources.{info,target}          the same resources for agents of before operations: Resource records
 *   meta/slaves/<agent>/operations/<uuid>/operation.updates   read only: an ACK there means that the operation is over
 *
 * A change goes this way, all changes of one turn of the loop together:
 *   1. the target is written beside and renamed: from here on a killed agent finds it and goes on;
 *   2. on a thread of its own: volumes are removed and made, the state is written beside, synced, renamed, its folder synced;
 *   3. back on the core's thread: the operations in it are told, launches that waited go on, the target is removed unless it is
 *      newer by now.
 * One change is in step 2 at a time; step 1 of the next does not wait for it. So at every instant the files are the old state, or
 * the old state and a target; recovery carries the target out, which may be done any number of times.
 *
 * An error of the disk ends the agent: the master already counts on the change, and a restart tries again.
 */
#include <stdio.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

struct agent_commit {
    struct agent_operations *o;
    struct agent_env *env;
    char *target, *state, *info;
    struct fl_buf state_data, info_data;
    struct agent_volume_changes volumes;
    struct resources resources; /* on disk when it is done */
    uint64_t generation;
    int r;
    struct fl_err err;
};

static char *file(const struct agent_core *a, const char *name)
{
    return xasprintf("%s/resources/%s", a->meta_dir, name);
}

#define STATE       "resources_and_operations.state"
#define TARGET      "resources_and_operations.target"
#define INFO        "resources.info"
#define INFO_TARGET "resources.target"

/* ---- what is written ---- */

static void encode_state(const struct agent_core *a, struct fl_buf *out)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(8192);
    Msg__ResourceState s = MSG__RESOURCE_STATE__INIT;
    size_t n = HASH_COUNT(a->operations->all);

    s.n_resources =
        resources_to_pb(&a->checkpointed, RESOURCES_POST_REFINEMENT, false, arena, &s.resources);
    s.operations = fl_arena_alloc(arena, (n + 1) * sizeof(void *));
    for (struct agent_operation *op = a->operations->all; op; op = op->hh.next)
        s.operations[s.n_operations++] = op->pb;
    agent_record_add(out, &s.base);
}

static void encode_info(const struct agent_core *a, struct fl_buf *out)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    V1__Resource **pb;
    size_t n = resources_to_pb(&a->checkpointed, RESOURCES_POST_REFINEMENT, false, arena, &pb);

    for (size_t i = 0; i < n; i++)
        agent_record_add(out, &pb[i]->base);
}

static int write_file(struct agent_core *a, const char *name, const struct fl_buf *b, bool durable,
                      struct fl_err *err)
{
    _cleanup_free_ char *path = file(a, name);

    return a->env->io->write(a->env->ctx, path, b->data, b->len, durable, err);
}

static void remove_file(struct agent_core *a, const char *name)
{
    _cleanup_free_ char *path = file(a, name);
    struct fl_err err;

    if (a->env->io->remove(a->env->ctx, path, &err) < 0)
        log_warning("%s, ignoring", err.msg);
}

static void give_up(struct agent_core *a, const struct fl_err *err)
{
    _cleanup_free_ char *why = xasprintf("cannot keep the agent's resources and operations: %s; "
                                         "the next start tries again",
                                         err->msg);

    a->env->io->exit(a->env->ctx, 1, why);
}

/* ---- 1: the intent ---- */

void agent_commit_intend(struct agent_core *a)
{
    struct agent_operations *o = a->operations;
    _cleanup_buf_ struct fl_buf state = FL_BUF_INIT, info = FL_BUF_INIT;
    struct fl_err err;
    int r;

    if (o->intended == o->generation)
        return;
    encode_info(a, &info);
    encode_state(a, &state);
    /* In this order: without the first the second would be taken for an older agent's. */
    r = write_file(a, TARGET, &state, false, &err);
    if (r == 0)
        r = write_file(a, INFO_TARGET, &info, false, &err);
    if (r < 0)
        give_up(a, &err);
    else
        o->intended = o->generation;
}

/* ---- 2: on the other thread ---- */

static void carry_out(void *arg)
{
    struct agent_commit *c = arg;
    struct agent_env *env = c->env;

    c->r = 0;
    /* Data that is half removed must not be taken for whole after a power failure. */
    if (c->volumes.n_gone > 0)
        c->r = env->io->sync(env->ctx, c->target, &c->err);
    if (c->r == 0)
        c->r = agent_volumes_carry_out(env, &c->volumes, &c->err);
    if (c->r == 0)
        c->r =
            env->io->write(env->ctx, c->info, c->info_data.data, c->info_data.len, false, &c->err);
    if (c->r == 0)
        c->r = env->io->write(env->ctx, c->state, c->state_data.data, c->state_data.len, true,
                              &c->err);
}

static void commit_free(struct agent_commit *c)
{
    free(c->target);
    free(c->state);
    free(c->info);
    fl_buf_done(&c->state_data);
    fl_buf_done(&c->info_data);
    agent_volume_changes_done(&c->volumes);
    resources_done(&c->resources);
    free(c);
}

/* ---- 3: on disk ---- */

static void begin(struct agent_core *a);
static void arm(struct agent_core *a);

static void tell_committed(struct agent_operations *o)
{
    for (struct agent_operation *op = o->all; op; op = op->hh.next) {
        if (!op->committed && op->generation <= o->committed)
            agent_operation_committed(op);
    }
}

static void remove_targets(struct agent_core *a)
{
    remove_file(a, INFO_TARGET);
    remove_file(a, TARGET);
}

static void on_carried_out(void *arg)
{
    struct agent_commit *c = arg;
    struct agent_operations *o = c->o;
    struct agent_core *a = o->core;

    o->running = NULL;
    if (c->r < 0) {
        give_up(a, &c->err);
        commit_free(c);
        return;
    }
    o->committed = c->generation;
    resources_move(&o->on_disk, &c->resources);
    commit_free(c);
    if (o->intended == o->committed)
        remove_targets(a);
    tell_committed(o);
    agent_commit_intend(a);
    if (agent_commit_pending(o))
        begin(a);
    else if (o->stale)
        arm(a);
    agent_hold_release(a);
}

static void begin(struct agent_core *a)
{
    struct agent_operations *o = a->operations;
    struct agent_commit *c = xnew0(struct agent_commit);

    c->o = o;
    c->env = a->env;
    c->target = file(a, TARGET);
    c->state = file(a, STATE);
    c->info = file(a, INFO);
    c->generation = o->generation;
    encode_state(a, &c->state_data);
    encode_info(a, &c->info_data);
    resources_copy(&c->resources, &a->checkpointed);
    o->stale = false;
    if (agent_volumes_compare(a, &o->on_disk, &a->checkpointed, &c->volumes, &c->err) < 0) {
        give_up(a, &c->err);
        commit_free(c);
        return;
    }
    o->running = c;
    a->env->io->background(a->env->ctx, carry_out, on_carried_out, c);
}

/* ---- when ---- */

/* Without a sync: what a power failure brings back is told and acknowledged once more. */
static void write_without_change(struct agent_core *a)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;

    a->operations->stale = false;
    encode_state(a, &b);
    if (write_file(a, STATE, &b, false, &err) < 0)
        log_warning("%s; an operation that is over may be told again after a restart", err.msg);
}

static void on_turn(void *arg)
{
    struct agent_operations *o = arg;
    struct agent_core *a = o->core;

    agent_commit_intend(a);
    if (o->running)
        return;
    if (agent_commit_pending(o))
        begin(a);
    else if (o->stale)
        write_without_change(a);
}

static void arm(struct agent_core *a)
{
    struct agent_operations *o = a->operations;

    if (!o->turn)
        o->turn = env_timer_new(agent_time(a), on_turn, o);
    env_timer_set(agent_time(a), o->turn, 0);
}

uint64_t agent_commit_needed(struct agent_core *a)
{
    arm(a);
    return ++a->operations->generation;
}

void agent_commit_later(struct agent_core *a)
{
    a->operations->stale = true;
    if (!agent_commit_pending(a->operations))
        arm(a);
}

bool agent_commit_pending(const struct agent_operations *o)
{
    return o->committed != o->generation;
}

void agent_commit_free(struct agent_operations *o)
{
    if (o->running)
        commit_free(o->running); /* its thread has ended */
    env_timer_free(agent_time(o->core), o->turn);
    resources_done(&o->on_disk);
}

/* ---- recovery ---- */

static int read_state(struct agent_core *a, const char *name, Msg__ResourceState **ret,
                      struct fl_err *err)
{
    _cleanup_free_ char *path = file(a, name);

    return agent_record_read(a, path, &msg__resource_state__descriptor, (ProtobufCMessage **)ret,
                             err);
}

/* The older form. */
static int read_info(struct agent_core *a, const char *name, struct resources *out,
                     struct fl_err *err)
{
    _cleanup_free_ char *path = file(a, name);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    size_t off = 0;
    int r = a->env->io->read(a->env->ctx, path, &b, err);

    while (r >= 0) {
        _cleanup_pb_ V1__Resource *pb = NULL;
        _cleanup_resources_ struct resources one = RESOURCES_INIT;

        r = agent_record_next(b.data, b.len, &off, &v1__resource__descriptor,
                              (ProtobufCMessage **)&pb, err);
        if (r == 0)
            return 0;
        if (r > 0)
            r = resources_from_pb(&pb, 1, &one, err);
        if (r < 0)
            return fl_err_wrap(err, "'%s'", path);
        resources_add(out, &one);
    }
    return r;
}

static bool not_there(int r, const struct fl_err *err)
{
    return r < 0 && err->reason == FL_NOT_FOUND;
}

/* The newest state that was begun, in *ret_state and a->checkpointed; the last whole one in on_disk. */
static int read_all(struct agent_core *a, Msg__ResourceState **ret_state, struct fl_err *err)
{
    struct agent_operations *o = a->operations;
    _cleanup_pb_ Msg__ResourceState *state = NULL, *target = NULL;
    int r = read_state(a, STATE, &state, err);

    if (not_there(r, err)) {
        r = read_info(a, INFO, &o->on_disk, err);
        if (not_there(r, err))
            r = 0;
    } else if (r == 0) {
        r = resources_from_pb(state->resources, state->n_resources, &o->on_disk, err);
    }
    if (r < 0)
        return r;
    resources_copy(&a->checkpointed, &o->on_disk);
    r = read_state(a, TARGET, &target, err);
    if (r == 0) {
        r = resources_from_pb(target->resources, target->n_resources, &a->checkpointed, err);
        fl_pb_free(state);
        state = TAKE_PTR(target);
    } else if (not_there(r, err)) {
        r = 0;
    }
    *ret_state = TAKE_PTR(state);
    return r;
}

/* An agent of before operations died between its two files. */
static int read_older_target(struct agent_core *a, bool has_state, struct fl_err *err)
{
    _cleanup_resources_ struct resources target = RESOURCES_INIT;
    int r = has_state ? 0 : read_info(a, INFO_TARGET, &target, err);

    if (has_state || not_there(r, err))
        return 0;
    if (r == 0)
        resources_move(&a->checkpointed, &target);
    return r;
}

/* The folders are as the checkpoint says, whatever happened when. */
static int make_true(struct agent_core *a, struct fl_err *err)
{
    static const struct resources nothing = RESOURCES_INIT;
    struct agent_volume_changes gone = {0}, all = {0};
    int r = agent_volumes_compare(a, &a->operations->on_disk, &a->checkpointed, &gone, err);

    if (r == 0)
        r = agent_volumes_compare(a, &nothing, &a->checkpointed, &all, err);
    if (r == 0)
        r = agent_volumes_carry_out(a->env, &gone, err);
    if (r == 0)
        r = agent_volumes_carry_out(a->env, &all, err);
    agent_volume_changes_done(&gone);
    agent_volume_changes_done(&all);
    return r;
}

/* Whether the log of an agent that keeps one says that the operation's end was acknowledged. */
static bool is_over(struct agent_core *a, const V1__Operation *pb)
{
    _cleanup_free_ char *dir = agent_path_operation(a, pb->uuid->value.data);
    _cleanup_free_ char *path = xasprintf("%s/operation.updates", dir);
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;
    size_t off = 0;
    bool over = false;

    if (a->env->io->read(a->env->ctx, path, &b, &err) < 0)
        return false;
    while (!over) {
        _cleanup_pb_ Msg__UpdateOperationStatusRecord *rec = NULL;

        if (agent_record_next(b.data, b.len, &off, &msg__update_operation_status_record__descriptor,
                              (ProtobufCMessage **)&rec, &err) <= 0)
            break;
        over = rec->type == MSG__UPDATE_OPERATION_STATUS_RECORD__TYPE__ACK;
    }
    if (a->env->io->remove(a->env->ctx, dir, &err) < 0)
        log_warning("%s, ignoring", err.msg);
    return over;
}

static void recover_operations(struct agent_core *a, Msg__ResourceState *s)
{
    for (size_t i = 0; i < s->n_operations; i++) {
        V1__Operation *pb = s->operations[i];

        s->operations[i] = NULL;
        if (pb->uuid->value.len != FL_UUID_LEN || is_over(a, pb))
            fl_pb_free(pb);
        else
            agent_operation_recover(a->operations, pb);
    }
    s->n_operations = 0;
}

static int keep_recovered(struct agent_core *a, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf state = FL_BUF_INIT, info = FL_BUF_INIT;
    int r;

    encode_info(a, &info);
    encode_state(a, &state);
    r = write_file(a, INFO, &info, false, err);
    if (r == 0)
        r = write_file(a, STATE, &state, true, err);
    if (r < 0)
        return r;
    remove_targets(a);
    resources_copy(&a->operations->on_disk, &a->checkpointed);
    return 0;
}

int agent_recover_resources(struct agent_core *a, bool operations, struct fl_err *err)
{
    _cleanup_pb_ Msg__ResourceState *state = NULL;
    int r = read_all(a, &state, err);

    if (r == 0)
        r = read_older_target(a, state != NULL, err);
    if (r == 0 && !state && resources_empty(&a->checkpointed) &&
        resources_empty(&a->operations->on_disk))
        return 0;
    if (r == 0)
        r = agent_resources_rebuild(a, err);
    if (r == 0)
        r = make_true(a, err);
    if (r < 0)
        return r;
    if (state && operations)
        recover_operations(a, state);
    return keep_recovered(a, err);
}
