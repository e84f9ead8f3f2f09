/* Operations on the agent's own resources: dynamic reservations and persistent volumes, checkpointed before they are confirmed.
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

static int take_checkpointed(struct agent_core *a, V1__Resource *const *pb, size_t n,
                             struct fl_err *err)
{
    _cleanup_resources_ struct resources wanted = RESOURCES_INIT, old = RESOURCES_INIT;
    int r = resources_from_pb(pb, n, &wanted, err);

    if (r < 0)
        return r;
    resources_copy(&old, &a->checkpointed);
    resources_copy(&a->checkpointed, &wanted);
    r = agent_resources_rebuild(a, err);
    if (r == 0)
        r = agent_checkpoint_resources(a, err);
    if (r < 0) {
        struct fl_err ignored;

        resources_move(&a->checkpointed, &old);
        agent_resources_rebuild(a, &ignored);
    }
    return r;
}

void agent_checkpoint_resources_message(struct agent_core *a,
                                        const Msg__CheckpointResourcesMessage *m)
{
    struct fl_err err;

    if (take_checkpointed(a, m->resources, m->n_resources, &err) < 0)
        a->env->io->exit(a->env->ctx, 1,
                         err.msg); /* the master counts on it: better gone than wrong */
}

/* ---- ApplyOperation ---- */

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

static void answer(struct agent_core *a, const Msg__ApplyOperationMessage *m,
                   V1__OperationState state, const char *message)
{
    Msg__UpdateOperationStatusMessage out = MSG__UPDATE_OPERATION_STATUS_MESSAGE__INIT;
    V1__OperationStatus status = V1__OPERATION_STATUS__INIT;

    status.operation_id = m->operation_info->id;
    status.state = state;
    status.message = (char *)message;
    status.agent_id = a->info->id;
    out.framework_id = m->framework_id;
    out.slave_id = a->info->id;
    out.status = &status;
    out.latest_status = &status;
    out.operation_uuid = m->operation_uuid;
    agent_send(a, &out.base);
}

void agent_apply_operation(struct agent_core *a, const Msg__ApplyOperationMessage *m)
{
    struct fl_err err;

    if (m->resource_version_uuid->resource_provider_id) {
        answer(a, m, V1__OPERATION_STATE__OPERATION_DROPPED,
               "This agent has no resource providers");
        return;
    }
    if (apply(a, m->operation_info, &err) < 0) {
        log_warning("Operation refused: %s", err.msg);
        answer(a, m, V1__OPERATION_STATE__OPERATION_ERROR, err.msg);
        return;
    }
    answer(a, m, V1__OPERATION_STATE__OPERATION_FINISHED, NULL);
}

/* The master asks after operations that this agent did not report: they never arrived. */
void agent_reconcile_operations(struct agent_core *a, const Msg__ReconcileOperationsMessage *m)
{
    for (size_t i = 0; i < m->n_operations; i++) {
        Msg__UpdateOperationStatusMessage out = MSG__UPDATE_OPERATION_STATUS_MESSAGE__INIT;
        V1__OperationStatus status = V1__OPERATION_STATUS__INIT;

        status.operation_id = m->operations[i]->operation_id;
        status.state = V1__OPERATION_STATE__OPERATION_DROPPED;
        status.agent_id = a->info->id;
        out.framework_id = m->framework_id;
        out.slave_id = a->info->id;
        out.status = &status;
        out.operation_uuid = m->operations[i]->operation_uuid;
        agent_send(a, &out.base);
    }
}
