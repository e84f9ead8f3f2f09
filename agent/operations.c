/* Operations on the agent's own resources: dynamic reservations and persistent volumes (features.md 1.1a, 3.3).
 *
 * An operation is applied in memory at once, so that what comes after it sees it; it is told to the master only when it is on disk
 * (operation_commit.c). Its status has a uuid and is told again after 10 s, 20 s, ... up to 10 min until it is acknowledged, over
 * restarts of both. One that arrives twice is answered twice and done once. One that was built on an older resource version than
 * the agent's is dropped.
 *
 * Total = what the agent was given (flags or detection) with each checkpointed resource put in the place of what it was made
 * from: the same resource without its dynamic reservations and without its volume.
 */
#include <stdio.h>

#include "agent/agent_priv.h"
#include "common/base/log.h"

static bool is_dynamic(const V1__Resource *r)
{
    for (size_t i = 0; i < r->n_reservations; i++) {
        if (r->reservations[i]->has_type &&
            r->reservations[i]->type == V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC)
            return true;
    }
    return r->disk && r->disk->persistence;
}

/* In place: a copy that nobody else sees, whose memory is an arena's. */
static void strip(V1__Resource *r)
{
    while (r->n_reservations > 0 && r->reservations[r->n_reservations - 1]->has_type &&
           r->reservations[r->n_reservations - 1]->type ==
               V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC)
        r->n_reservations--;
    r->shared = NULL;
    if (!r->disk)
        return;
    r->disk->persistence = NULL;
    r->disk->volume = NULL;
    if (!r->disk->source)
        r->disk = NULL;
}

int agent_resources_rebuild(struct agent_core *a, struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_resources_ struct resources total = RESOURCES_INIT, base = RESOURCES_INIT;
    V1__Resource **pb;
    size_t n = resources_to_pb(&a->checkpointed, RESOURCES_POST_REFINEMENT, false, arena, &pb);
    int r = resources_from_pb(a->info->resources, a->info->n_resources, &total, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        V1__Resource *copy = (V1__Resource *)fl_pb_dup(&pb[i]->base, fl_arena_allocator(arena));

        strip(copy);
        pb[i] = copy;
    }
    r = resources_from_pb(pb, n, &base, err);
    if (r < 0)
        return r;
    if (!resources_contains(&total, &base))
        return fl_err_set(err, FL_CONFLICT,
                          "the checkpointed reservations and volumes do not fit in the agent's "
                          "resources; give it at "
                          "least what it had");
    resources_subtract(&total, &base);
    resources_add(&total, &a->checkpointed);
    resources_move(&a->total, &total);
    return 0;
}

/* ---- what the checkpoint is to hold ---- */

static void replace_checkpointed(struct agent_core *a, struct resources *wanted)
{
    resources_move(&a->checkpointed, wanted);
}

/* The total with `wanted` in the place of what is checkpointed; unchanged when that cannot be. */
static int take_checkpointed(struct agent_core *a, V1__Resource *const *pb, size_t n,
                             struct fl_err *err)
{
    _cleanup_resources_ struct resources wanted = RESOURCES_INIT, old = RESOURCES_INIT;
    struct agent_volume_changes volumes = {0};
    struct fl_err ignored;
    int r = resources_from_pb(pb, n, &wanted, err);

    if (r == 0)
        r = agent_volumes_compare(a, &a->operations->on_disk, &wanted, &volumes, err);
    agent_volume_changes_done(&volumes);
    if (r < 0)
        return r;
    resources_copy(&old, &a->checkpointed);
    replace_checkpointed(a, &wanted);
    r = agent_resources_rebuild(a, err);
    if (r < 0) {
        replace_checkpointed(a, &old);
        agent_resources_rebuild(a, &ignored);
    }
    return r;
}

/* Of a master that takes agents for too old to give feedback. */
void agent_checkpoint_resources_message(struct agent_core *a,
                                        const Msg__CheckpointResourcesMessage *m)
{
    struct fl_err err;

    if (take_checkpointed(a, m->resources, m->n_resources, &err) < 0)
        a->env->io->exit(a->env->ctx, 1,
                         err.msg); /* the master counts on it: better gone than wrong */
    else
        agent_commit_needed(a);
}

static void unallocate(V1__Resource **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        list[i]->allocation_info = NULL;
}

/* What a framework was offered carries its role; what the agent has does not. In place: a copy in an arena. */
static void unallocate_operation(V1__Offer__Operation *op)
{
    if (op->reserve) {
        unallocate(op->reserve->resources, op->reserve->n_resources);
        unallocate(op->reserve->source, op->reserve->n_source);
    }
    if (op->unreserve)
        unallocate(op->unreserve->resources, op->unreserve->n_resources);
    if (op->create)
        unallocate(op->create->volumes, op->create->n_volumes);
    if (op->destroy)
        unallocate(op->destroy->volumes, op->destroy->n_volumes);
    if (op->grow_volume) {
        unallocate(&op->grow_volume->volume, 1);
        unallocate(&op->grow_volume->addition, 1);
    }
    if (op->shrink_volume)
        unallocate(&op->shrink_volume->volume, 1);
}

static int apply(struct agent_core *a, const V1__Offer__Operation *op, struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_resources_ struct resources after = RESOURCES_INIT;
    V1__Offer__Operation *own =
        (V1__Offer__Operation *)fl_pb_dup(&op->base, fl_arena_allocator(arena));
    V1__Resource **pb;
    size_t n, kept = 0;
    int r;

    unallocate_operation(own);
    resources_copy(&after, &a->total);
    r = resources_apply_operation(&after, own, err);
    if (r < 0)
        return r;
    n = resources_to_pb(&after, RESOURCES_POST_REFINEMENT, false, arena, &pb);
    for (size_t i = 0; i < n; i++) {
        if (is_dynamic(pb[i]))
            pb[kept++] = pb[i];
    }
    return take_checkpointed(a, pb, kept, err);
}

/* ---- the operations that are not over ---- */

struct agent_operations *agent_operations_new(struct agent_core *a)
{
    struct agent_operations *o = xnew0(struct agent_operations);

    o->core = a;
    o->paused = true;
    return o;
}

static void operation_free(struct agent_operation *op)
{
    HASH_DEL(op->core->operations->all, op);
    env_timer_free(agent_time(op->core), op->timer);
    fl_pb_free(op->pb);
    free(op);
}

void agent_operations_free(struct agent_operations *o)
{
    struct agent_operation *op, *tmp;

    if (!o)
        return;
    agent_commit_free(o);
    agent_hold_drop(o);
    HASH_ITER (hh, o->all, op, tmp) {
        operation_free(op);
    }
    free(o);
}

static struct agent_operation *find(const struct agent_operations *o, const V1__UUID *uuid)
{
    struct agent_operation *op = NULL;

    if (uuid && uuid->value.len == FL_UUID_LEN)
        HASH_FIND(hh, o->all, uuid->value.data, FL_UUID_LEN, op);
    return op;
}

static struct agent_operation *find_by_id(const struct agent_operations *o, const char *framework,
                                          const V1__OperationID *id)
{
    for (struct agent_operation *op = o->all; id && op; op = op->hh.next) {
        if (op->pb->info->id && streq(op->pb->info->id->value, id->value) && op->pb->framework_id &&
            streq(op->pb->framework_id->value, framework))
            return op;
    }
    return NULL;
}

/* ---- telling ---- */

static void tell(struct agent_operation *op)
{
    Msg__UpdateOperationStatusMessage m = MSG__UPDATE_OPERATION_STATUS_MESSAGE__INIT;
    struct agent_core *a = op->core;

    if (a->operations->paused || !op->committed)
        return;
    env_timer_set(agent_time(a), op->timer, op->interval_us);
    m.framework_id = op->pb->framework_id;
    m.slave_id = a->info->id;
    m.status = op->pb->latest_status;
    m.latest_status = op->pb->latest_status;
    m.operation_uuid = op->pb->uuid;
    agent_send(a, &m.base);
}

static void retry(void *arg)
{
    struct agent_operation *op = arg;

    op->interval_us =
        FL_MIN(op->interval_us * 2, op->core->flags->status_update_retry_interval_max);
    tell(op);
}

static void tell_anew(struct agent_operation *op)
{
    op->interval_us = op->core->flags->status_update_retry_interval_min;
    tell(op);
}

static struct agent_operation *operation_add(struct agent_operations *o, V1__Operation *pb)
{
    struct agent_operation *op = xnew0(struct agent_operation);

    op->core = o->core;
    op->pb = pb;
    memcpy(op->uuid, pb->uuid->value.data, FL_UUID_LEN);
    op->interval_us = o->core->flags->status_update_retry_interval_min;
    op->timer = env_timer_new(agent_time(o->core), retry, op);
    HASH_ADD(hh, o->all, uuid, FL_UUID_LEN, op);
    return op;
}

void agent_operation_recover(struct agent_operations *o, V1__Operation *pb)
{
    /* One that was only begun, by an agent of another make, was not applied: the master asks for it. */
    if (pb->latest_status->state == V1__OPERATION_STATE__OPERATION_PENDING ||
        !pb->latest_status->uuid || find(o, pb->uuid)) {
        fl_pb_free(pb);
        return;
    }
    operation_add(o, pb)->committed = true;
}

void agent_operation_committed(struct agent_operation *op)
{
    op->committed = true;
    tell(op);
}

void agent_operations_pause(struct agent_operations *o)
{
    o->paused = true;
    for (struct agent_operation *op = o->all; op; op = op->hh.next)
        env_timer_stop(agent_time(o->core), op->timer);
    /* The master asks again for what it does not find in the re-registration. */
    agent_hold_drop(o);
}

void agent_operations_resume(struct agent_operations *o)
{
    o->paused = false;
    for (struct agent_operation *op = o->all; op; op = op->hh.next)
        tell_anew(op);
}

void agent_operations_resend(struct agent_operations *o, const char *framework_id)
{
    for (struct agent_operation *op = o->all; op; op = op->hh.next) {
        if (op->pb->framework_id && streq(op->pb->framework_id->value, framework_id))
            tell_anew(op);
    }
}

/* A status that nobody need acknowledge, of an operation that is not kept. */
static void answer(struct agent_core *a, V1__FrameworkID *framework, V1__OperationID *id,
                   V1__UUID *uuid, V1__OperationState state, const char *message)
{
    Msg__UpdateOperationStatusMessage out = MSG__UPDATE_OPERATION_STATUS_MESSAGE__INIT;
    V1__OperationStatus status = V1__OPERATION_STATUS__INIT;

    status.operation_id = id;
    status.state = state;
    status.message = (char *)message;
    status.agent_id = a->info->id;
    out.framework_id = framework;
    out.slave_id = a->info->id;
    out.status = &status;
    out.latest_status = &status;
    out.operation_uuid = uuid;
    agent_send(a, &out.base);
}

/* ---- ApplyOperation ---- */

static void drop(struct agent_core *a, const Msg__ApplyOperationMessage *m, const char *why)
{
    log_warning("Operation dropped: %s", why);
    agent_count(a, COUNT_OPERATIONS_DROPPED);
    answer(a, m->framework_id, m->operation_info->id, m->operation_uuid,
           V1__OPERATION_STATE__OPERATION_DROPPED, why);
}

/* Keeps the operation with its end, which is told once it is on disk. */
static void keep(struct agent_core *a, const Msg__ApplyOperationMessage *m,
                 V1__OperationState state, const char *message)
{
    V1__Operation pb = V1__OPERATION__INIT;
    V1__OperationStatus status = V1__OPERATION_STATUS__INIT, *statuses[] = {&status};
    V1__UUID uuid = V1__UUID__INIT;
    uint8_t bytes[FL_UUID_LEN];
    struct agent_operation *op;

    fl_uuid_make(agent_time(a), bytes);
    uuid.value = (ProtobufCBinaryData){FL_UUID_LEN, bytes};
    status.operation_id = m->operation_info->id;
    status.state = state;
    status.message = (char *)message;
    status.uuid = &uuid;
    status.agent_id = a->info->id;
    pb.framework_id = m->framework_id;
    pb.agent_id = a->info->id;
    pb.info = m->operation_info;
    pb.latest_status = &status;
    pb.n_statuses = 1;
    pb.statuses = statuses;
    pb.uuid = m->operation_uuid;
    op = operation_add(a->operations, FL_PB_DUP(&pb));
    op->generation = agent_commit_needed(a);
}

/* The master has booked what cannot be: it is told what there is, and what it sent meanwhile in that belief is void. */
static void set_right(struct agent_core *a)
{
    fl_uuid_make(agent_time(a), a->resource_version);
    agent_reregister(a);
}

static const char *why_not(const struct agent_core *a, const Msg__ApplyOperationMessage *m)
{
    const V1__UUID *version = m->resource_version_uuid->uuid;

    if (m->resource_version_uuid->resource_provider_id)
        return "This agent has no resource providers";
    if (version->value.len != FL_UUID_LEN ||
        memcmp(version->value.data, a->resource_version, FL_UUID_LEN) != 0)
        return "Operation assumes outdated resource state";
    if (HASH_COUNT(a->operations->all) >= a->flags->max_pending_updates)
        return "The agent holds as many unacknowledged operations as --max_pending_updates allows";
    return NULL;
}

void agent_apply_operation(struct agent_core *a, const Msg__ApplyOperationMessage *m)
{
    struct agent_operation *known = find(a->operations, m->operation_uuid);
    const char *why = known ? NULL : why_not(a, m);
    struct fl_err err;

    if (m->operation_uuid->value.len != FL_UUID_LEN) {
        log_warning("Ignoring an operation whose uuid has not 16 bytes");
        return;
    }
    if (known) {
        tell(known);
        return;
    }
    if (why) {
        drop(a, m, why);
        return;
    }
    if (apply(a, m->operation_info, &err) == 0) {
        keep(a, m, V1__OPERATION_STATE__OPERATION_FINISHED, NULL);
        return;
    }
    log_warning("Operation refused: %s", err.msg);
    agent_count(a, COUNT_OPERATIONS_REFUSED);
    keep(a, m, V1__OPERATION_STATE__OPERATION_ERROR, err.msg);
    set_right(a);
}

/* ---- acknowledgement, reconciliation ---- */

void agent_ack_operation(struct agent_core *a, const Msg__AcknowledgeOperationStatusMessage *m)
{
    struct agent_operation *op = find(a->operations, m->operation_uuid);
    const V1__UUID *uuid = op && op->committed ? op->pb->latest_status->uuid : NULL;

    if (!uuid || uuid->value.len != m->status_uuid->value.len ||
        memcmp(uuid->value.data, m->status_uuid->value.data, uuid->value.len) != 0) {
        log_info("Acknowledgement of an operation refused: no such status waits for one");
        return;
    }
    operation_free(op);
    agent_commit_later(a);
    agent_drain_settle(a);
}

/* On behalf of a framework: what is known, not to be acknowledged. */
static void answer_framework(struct agent_core *a, const Msg__ReconcileOperationsMessage *m,
                             const Msg__ReconcileOperationsMessage__Operation *asked)
{
    struct agent_operation *op = find(a->operations, asked->operation_uuid);
    V1__OperationState state = V1__OPERATION_STATE__OPERATION_UNKNOWN;

    if (!op)
        op = find_by_id(a->operations, m->framework_id->value, asked->operation_id);
    if (op)
        state =
            op->committed ? op->pb->latest_status->state : V1__OPERATION_STATE__OPERATION_PENDING;
    answer(a, m->framework_id, asked->operation_id, op ? op->pb->uuid : asked->operation_uuid,
           state, op ? op->pb->latest_status->message : "Reconciliation: Operation is unknown");
}

/* The master asks after operations that this agent did not report: what is not known never arrived. */
void agent_reconcile_operations(struct agent_core *a, const Msg__ReconcileOperationsMessage *m)
{
    for (size_t i = 0; i < m->n_operations; i++) {
        Msg__ReconcileOperationsMessage__Operation *asked = m->operations[i];
        struct agent_operation *op;

        if (m->framework_id) {
            answer_framework(a, m, asked);
            continue;
        }
        op = find(a->operations, asked->operation_uuid);
        if (op)
            tell(op);
        else
            answer(a, NULL, asked->operation_id, asked->operation_uuid,
                   V1__OPERATION_STATE__OPERATION_DROPPED,
                   "Reconciliation: Operation is unknown to the agent");
    }
}

/* ---- showing ---- */

size_t agent_operations_pb(const struct agent_core *a, struct fl_arena *arena, V1__Operation ***ret)
{
    size_t n = HASH_COUNT(a->operations->all), i = 0;
    V1__Operation **list = fl_arena_alloc(arena, (n + 1) * sizeof(void *));

    for (struct agent_operation *op = a->operations->all; op; op = op->hh.next) {
        V1__Operation *copy = fl_arena_alloc(arena, sizeof *copy);

        *copy = *op->pb;
        if (!op->committed) {
            V1__OperationStatus *pending = fl_arena_alloc(arena, sizeof *pending);

            v1__operation_status__init(pending);
            pending->operation_id = copy->info->id;
            pending->state = V1__OPERATION_STATE__OPERATION_PENDING;
            pending->agent_id = a->info->id;
            copy->latest_status = pending;
            copy->n_statuses = 0;
        }
        list[i++] = copy;
    }
    *ret = list;
    return n;
}
