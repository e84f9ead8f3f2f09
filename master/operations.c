/* Operations on resources (RESERVE .. DESTROY_DISK) that frameworks ask for in an ACCEPT and operators by their calls
 * (operator_resources.c): what they are refused for, and the books.
 *
 * RESERVE .. SHRINK_VOLUME are speculative: the master books their result at once, so that later operations of the same
 * ACCEPT and later offers see it, and the agent is told to do the same. When the agent fails to, the books go back
 * (operation_undo). CREATE_DISK and DESTROY_DISK need a resource provider; none is served, so they are refused.
 *
 * An operation is on the books from when the agent was told of it until its last status is acknowledged.
 */
#include "master/core.h"

#include "common/model/acl_operation.h"
#include "master/roles.h"

/* Of one agent, told and not acknowledged. */
#define OPERATIONS_PER_AGENT 10000
/* Of one agent, failed and waiting to be taken back. */
#define UNDOS_PER_AGENT 1000

/* ---- refusing ---- */

void operation_refuse(struct master *m, struct framework *f, const V1__Offer__Operation *op,
                      const char *why)
{
    V1__OperationStatus st = V1__OPERATION_STATUS__INIT;

    log_warning("dropping an operation of framework %s: %s", f->id, why);
    count_operation(m, op->type, V1__OPERATION_STATE__OPERATION_ERROR,
                    V1__OPERATION_STATE__OPERATION_ERROR);
    if (!op->id)
        return;
    st.operation_id = op->id;
    st.state = V1__OPERATION_STATE__OPERATION_ERROR;
    st.message = (char *)why;
    operation_tell(m, f, &st);
}

/* ---- formats ---- */

static int upgrade(struct master *m, V1__Resource **list, size_t n, struct fl_err *err)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_resources_ struct resources one = RESOURCES_INIT;
        V1__Resource__AllocationInfo *allocation = list[i]->allocation_info;
        V1__Resource **pb;
        int r = resources_from_pb(&list[i], 1, &one, err);

        if (r < 0)
            return r;
        if (resources_to_pb(&one, RESOURCES_POST_REFINEMENT, false, m->core->scratch, &pb) != 1)
            continue; /* it is empty, and refused when it is validated */
        list[i] = pb[0];
        list[i]->allocation_info = allocation;
    }
    return 0;
}

int operation_upgrade(struct master *m, V1__Offer__Operation *op, struct fl_err *err)
{
    int r = 0;

    if (op->reserve)
        r = upgrade(m, op->reserve->resources, op->reserve->n_resources, err);
    if (r == 0 && op->reserve)
        r = upgrade(m, op->reserve->source, op->reserve->n_source, err);
    if (r == 0 && op->unreserve)
        r = upgrade(m, op->unreserve->resources, op->unreserve->n_resources, err);
    if (r == 0 && op->create)
        r = upgrade(m, op->create->volumes, op->create->n_volumes, err);
    if (r == 0 && op->destroy)
        r = upgrade(m, op->destroy->volumes, op->destroy->n_volumes, err);
    if (r == 0 && op->grow_volume)
        r = upgrade(m, &op->grow_volume->volume, 1, err);
    if (r == 0 && op->grow_volume)
        r = upgrade(m, &op->grow_volume->addition, 1, err);
    if (r == 0 && op->shrink_volume)
        r = upgrade(m, &op->shrink_volume->volume, 1, err);
    return r;
}

/* ---- the table ---- */

struct operation *operation_find(struct master *m, const ProtobufCBinaryData *uuid)
{
    struct operation *o = NULL;

    if (uuid->len == FL_UUID_LEN)
        HASH_FIND(hh, m->core->operations, uuid->data, FL_UUID_LEN, o);
    return o;
}

struct operation *operation_find_by_id(struct master *m, const char *framework_id, const char *id)
{
    const char *key = core_printf(m, "%s %s", framework_id, id);
    struct operation *o;

    HASH_FIND(hh_id, m->core->operations_by_id, key, strlen(key), o);
    return o;
}

static void forget_id(struct master *m, struct operation *o)
{
    if (o->id_key)
        HASH_DELETE(hh_id, m->core->operations_by_id, o);
    free(o->id_key);
    o->id_key = NULL;
}

/* An id that is used again means the newer operation. */
static void index_id(struct master *m, struct operation *o)
{
    struct operation *old;

    if (!o->pb->info->id || !o->pb->framework_id)
        return;
    old = operation_find_by_id(m, o->pb->framework_id->value, o->pb->info->id->value);
    if (old)
        forget_id(m, old);
    o->id_key = xasprintf("%s %s", o->pb->framework_id->value, o->pb->info->id->value);
    HASH_ADD_KEYPTR(hh_id, m->core->operations_by_id, o->id_key, strlen(o->id_key), o);
}

static struct operation *add(struct master *m, struct agent *a, const V1__Operation *pb)
{
    struct operation *o = xnew0(struct operation);

    memcpy(o->uuid, pb->uuid->value.data, FL_UUID_LEN);
    o->pb = FL_PB_DUP(pb);
    o->agent = a;
    DL_APPEND(a->operations, o);
    a->n_operations++;
    HASH_ADD(hh, m->core->operations, uuid, FL_UUID_LEN, o);
    index_id(m, o);
    count_operation(m, o->pb->info->type, o->pb->latest_status->state, o->pb->latest_status->state);
    return o;
}

struct operation *operation_known(struct master *m, struct agent *a, const V1__Operation *told)
{
    return add(m, a, told);
}

void operation_free(struct master *m, struct operation *o)
{
    forget_id(m, o);
    HASH_DEL(m->core->operations, o);
    DL_DELETE(o->agent->operations, o);
    o->agent->n_operations--;
    resources_done(&o->from);
    resources_done(&o->to);
    fl_pb_free(o->pb);
    free(o);
}

static void undos_drop(struct agent *a)
{
    while (a->undos) {
        struct operation_undo *u = a->undos;
        LL_DELETE(a->undos, u);
        resources_done(&u->from);
        resources_done(&u->to);
        free(u);
    }
}

void operations_drop(struct master *m, struct agent *a)
{
    while (a->operations)
        operation_free(m, a->operations);
    undos_drop(a);
}

bool operation_room(const struct agent *a, struct fl_err *err)
{
    if (a->n_operations < OPERATIONS_PER_AGENT)
        return true;
    fl_err_set(err, FL_LIMIT,
               "Agent %s has %u operations whose status is not acknowledged, and no more is taken",
               a->id, a->n_operations);
    return false;
}

/* ---- the agent's total ---- */

void operations_total_told(struct master *m, struct agent *a)
{
    struct operation *o;

    undos_drop(a);
    DL_FOREACH (a->operations, o) {
        resources_done(&o->from);
        resources_done(&o->to);
    }
    /* What is out may be of what the agent does not have after all. */
    while (a->offers)
        offer_withdraw(m, a->offers, true, NULL);
}

/* False when something else stands on the result: a later operation, or a task. */
static bool undo(struct master *m, struct agent *a, const struct resources *from,
                 const struct resources *to)
{
    _cleanup_resources_ struct resources total = RESOURCES_INIT, used = RESOURCES_INIT;

    if (!resources_contains(&a->total, to))
        return false;
    resources_copy(&total, &a->total);
    resources_subtract(&total, to);
    resources_add(&total, from);
    resources_shared(&a->used, false, &used);
    resources_unallocate(&used);
    if (!resources_contains(&total, &used))
        return false;
    while (a->offers)
        offer_withdraw(m, a->offers, true, NULL);
    resources_move(&a->total, &total);
    agents_total_changed(a);
    allocation_add_agent(m, a, true);
    return true;
}

static bool undo_one_more(struct master *m, struct agent *a)
{
    struct operation_undo *u, *tmp;

    LL_FOREACH_SAFE (a->undos, u, tmp) {
        if (!undo(m, a, &u->from, &u->to))
            continue;
        LL_DELETE(a->undos, u);
        resources_done(&u->from);
        resources_done(&u->to);
        free(u);
        return true;
    }
    return false;
}

void operation_undo(struct master *m, struct operation *o)
{
    struct agent *a = o->agent;
    struct operation_undo *u;
    unsigned n;

    if (resources_empty(&o->from) && resources_empty(&o->to))
        return;
    LL_COUNT(a->undos, u, n);
    if (n == UNDOS_PER_AGENT) {
        log_warning("agent %s fails too many operations: its re-registration must set its total "
                    "right",
                    a->id);
        return;
    }
    log_warning("agent %s did not do an operation that was counted on: its resources are put back",
                a->id);
    u = xnew0(struct operation_undo);
    resources_move(&u->from, &o->from);
    resources_move(&u->to, &o->to);
    /* Later ones stand on earlier ones, so the last is undone first. */
    LL_PREPEND(a->undos, u);
    while (undo_one_more(m, a))
        ;
}

/* ---- telling the agent ---- */

static void send_operation(struct master *m, const struct operation *o)
{
    Msg__ApplyOperationMessage msg = MSG__APPLY_OPERATION_MESSAGE__INIT;
    Msg__ResourceVersionUUID version = MSG__RESOURCE_VERSION_UUID__INIT;
    V1__UUID uuid = V1__UUID__INIT;

    uuid.value.data = o->agent->resource_version;
    uuid.value.len = FL_UUID_LEN;
    version.uuid = &uuid;
    msg.framework_id = o->pb->framework_id;
    msg.operation_info = o->pb->info;
    msg.operation_uuid = o->pb->uuid;
    msg.resource_version_uuid = &version;
    agents_send(m, o->agent, &msg.base);
}

/* Needs to be kept by the agent: what its flags do not say. */
static bool is_made(const V1__Resource *r)
{
    const V1__Resource__ReservationInfo *last =
        r->n_reservations ? r->reservations[r->n_reservations - 1] : NULL;

    return (last && last->type == V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC) ||
           (r->disk && r->disk->persistence);
}

/* Agents from before operations are told all that they have to keep. */
static void send_checkpointed(struct master *m, struct agent *a)
{
    Msg__CheckpointResourcesMessage msg = MSG__CHECKPOINT_RESOURCES_MESSAGE__INIT;
    bool refined =
        agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT);
    V1__Resource **newer, **kept;
    size_t n =
        resources_to_pb(&a->total, RESOURCES_POST_REFINEMENT, false, m->core->scratch, &newer);
    _cleanup_resources_ struct resources made = RESOURCES_INIT;
    struct fl_err err;

    kept = core_alloc(m, (n + 1) * sizeof(*kept));
    for (size_t i = 0; i < n; i++) {
        if (is_made(newer[i]))
            kept[msg.n_resources++] = newer[i];
    }
    msg.resources = kept;
    if (!refined && resources_from_pb(kept, msg.n_resources, &made, &err) == 0)
        msg.n_resources = resources_to_pb(&made, RESOURCES_PRE_REFINEMENT, false, m->core->scratch,
                                          &msg.resources);
    agents_send(m, a, &msg.base);
}

static bool speaks_operations(const struct agent *a)
{
    return a->has_resource_version &&
           agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__RESOURCE_PROVIDER);
}

/* ---- starting ---- */

int operation_conversion(const struct resources *pool, const V1__Offer__Operation *op,
                         struct resources *from, struct resources *to, struct fl_err *err)
{
    _cleanup_resources_ struct resources after = RESOURCES_INIT;
    int r;

    resources_copy(&after, pool);
    r = resources_apply_operation(&after, op, err);
    if (r < 0)
        return r;
    resources_copy(from, pool);
    resources_subtract(from, &after);
    resources_copy(to, &after);
    resources_subtract(to, pool);
    return 0;
}

static struct operation *operation_new(struct master *m, struct framework *f, struct agent *a,
                                       V1__Offer__Operation *op)
{
    V1__Operation pb = V1__OPERATION__INIT;
    V1__OperationStatus st = V1__OPERATION_STATUS__INIT;
    V1__UUID uuid = V1__UUID__INIT;
    uint8_t bytes[FL_UUID_LEN];

    fl_uuid_make(core_env(m), bytes);
    uuid.value.data = bytes;
    uuid.value.len = FL_UUID_LEN;
    st.operation_id = op->id;
    st.state = V1__OPERATION_STATE__OPERATION_PENDING;
    st.agent_id = a->info->id;
    pb.framework_id = f ? f->info->id : NULL;
    pb.agent_id = a->info->id;
    pb.info = op;
    pb.latest_status = &st;
    pb.uuid = &uuid;
    return add(m, a, &pb);
}

void operation_start(struct master *m, struct framework *f, struct agent *a,
                     V1__Offer__Operation *op, const struct resources *from,
                     const struct resources *to)
{
    _cleanup_resources_ struct resources old = RESOURCES_INIT, new = RESOURCES_INIT;
    struct operation *o;

    resources_copy(&old, from);
    resources_unallocate(&old);
    resources_copy(&new, to);
    resources_unallocate(&new);
    resources_subtract(&a->total, &old);
    resources_add(&a->total, &new);
    agents_total_changed(a);
    if (!speaks_operations(a)) {
        send_checkpointed(m, a);
        return;
    }
    o = operation_new(m, f, a, op);
    resources_move(&o->from, &old);
    resources_move(&o->to, &new);
    send_operation(m, o);
}

/* The role to which what a framework's operation takes is allocated; NULL for the operator's. */
static const char *allocated_to(const V1__Offer__Operation *op)
{
    const V1__Resource *r = NULL;

    if (op->reserve && op->reserve->n_resources > 0)
        r = op->reserve->resources[0];
    else if (op->unreserve && op->unreserve->n_resources > 0)
        r = op->unreserve->resources[0];
    else if (op->create && op->create->n_volumes > 0)
        r = op->create->volumes[0];
    else if (op->destroy && op->destroy->n_volumes > 0)
        r = op->destroy->volumes[0];
    else if (op->grow_volume)
        r = op->grow_volume->volume;
    else if (op->shrink_volume)
        r = op->shrink_volume->volume;
    return r && r->allocation_info ? r->allocation_info->role : NULL;
}

bool operation_again(struct master *m, struct operation *o)
{
    _cleanup_resources_ struct resources pool = RESOURCES_INIT, from = RESOURCES_INIT,
                                         to = RESOURCES_INIT;
    struct agent *a = o->agent;
    const char *role = allocated_to(o->pb->info);
    struct fl_err err;

    /* One that is still booked is on its way; the agent may have it any moment. */
    if (!speaks_operations(a) ||
        o->pb->latest_status->state != V1__OPERATION_STATE__OPERATION_PENDING ||
        !resources_empty(&o->from) || !resources_empty(&o->to))
        return false;
    resources_copy(&pool, &a->total);
    if (role)
        resources_allocate(&pool, role);
    if (operation_conversion(&pool, o->pb->info, &from, &to, &err) < 0)
        return false;
    resources_unallocate(&from);
    resources_unallocate(&to);
    while (a->offers)
        offer_withdraw(m, a->offers, true, NULL);
    if (m->alloc_ops->update_allocation(m->alloc, NULL, a->id, &from, &to, &err) < 0)
        return false;
    log_info("agent %s has not had an operation that was on its way when it left: sent again",
             a->id);
    resources_subtract(&a->total, &from);
    resources_add(&a->total, &to);
    agents_total_changed(a);
    resources_move(&o->from, &from);
    resources_move(&o->to, &to);
    send_operation(m, o);
    return true;
}

void operation_rescind_destroyed(struct master *m, struct agent *a, const V1__Offer__Operation *op)
{
    struct offer *o, *tmp;

    DL_FOREACH_SAFE2(a->offers, o, tmp, agent_next)
    {
        _cleanup_resources_ struct resources bare = RESOURCES_INIT;
        bool holds = false;

        resources_copy(&bare, &o->resources);
        resources_unallocate(&bare);
        for (size_t i = 0; i < op->destroy->n_volumes && !holds; i++) {
            _cleanup_resources_ struct resources volume = RESOURCES_INIT;
            holds = resources_from_pb(&op->destroy->volumes[i], 1, &volume, NULL) == 0;
            resources_unallocate(&volume);
            holds = holds && resources_contains(&bare, &volume);
        }
        if (holds)
            offer_withdraw(m, o, true, NULL);
    }
}

/* ---- an operation of an ACCEPT ---- */

static int check_agent(const struct agent *a, const V1__Offer__Operation *op, struct fl_err *err)
{
    if (op->id && !speaks_operations(a))
        return fl_err_set(err, FL_INVALID,
                          "Operation requested feedback, but agent %s does not have the required "
                          "RESOURCE_PROVIDER capability",
                          a->id);
    if (op->id &&
        !agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_OPERATION_FEEDBACK))
        return fl_err_set(err, FL_INVALID,
                          "Operation on agent default resources requested feedback, but agent %s "
                          "does not have the required AGENT_OPERATION_FEEDBACK capability",
                          a->id);
    if (op->reserve && op->reserve->n_source > 0)
        return fl_err_set(err, FL_INVALID,
                          "Reservation updates ('source') are for the operator's calls, not for "
                          "frameworks");
    if (op->type == V1__OFFER__OPERATION__TYPE__CREATE_DISK ||
        op->type == V1__OFFER__OPERATION__TYPE__DESTROY_DISK)
        return fl_err_set(err, FL_INVALID, "Agent %s has no resource provider of disks", a->id);
    return operation_room(a, err) ? 0 : err->code;
}

void operation_context(const struct agent *a, struct resources *total, struct resources *used,
                       struct validate_context *c)
{
    resources_copy(total, &a->total);
    resources_copy(used, &a->used);
    resources_unallocate(used);
    c->agent_total = total;
    c->agent_used = used;
    c->agent_lacks_hierarchical_role =
        !agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE);
    c->agent_lacks_refinement =
        !agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT);
    c->agent_lacks_resize =
        !agents_has_capability(a, V1__AGENT_INFO__CAPABILITY__TYPE__RESIZE_VOLUME);
}

static int check(struct acceptance *acc, V1__Offer__Operation *op, struct fl_err *err)
{
    _cleanup_resources_ struct resources total = RESOURCES_INIT, used = RESOURCES_INIT;
    struct validate_context c;
    int r = operation_upgrade(acc->m, op, err);

    if (r < 0) {
        fl_err_wrap(err, "Operation attempted with invalid resources");
        return r;
    }
    r = check_agent(acc->a, op, err);
    if (r < 0)
        return r;
    inject_allocation_role_operation(op, acc->role, acc->m->core->scratch);
    accept_context(acc, &c);
    operation_context(acc->a, &total, &used, &c);
    r = validate_operation(op, &c, acc->f->info->principal, err);
    if (r < 0)
        return r;
    return acl_check_operation(acc->m->acls, acc->f->info->principal, op, err);
}

static int apply(struct acceptance *acc, V1__Offer__Operation *op, struct fl_err *err)
{
    _cleanup_resources_ struct resources from = RESOURCES_INIT, to = RESOURCES_INIT,
                                         shared = RESOURCES_INIT;
    int r = operation_conversion(&acc->remaining, op, &from, &to, err);

    if (r == 0 && op->type == V1__OFFER__OPERATION__TYPE__DESTROY)
        operation_rescind_destroyed(acc->m, acc->a, op);
    if (r == 0)
        r = acc->m->alloc_ops->update_allocation(acc->m->alloc, acc->f->id, acc->a->id, &from, &to,
                                                 err);
    if (r < 0)
        return r;
    resources_subtract(&acc->remaining, &from);
    resources_add(&acc->remaining, &to);
    resources_subtract(&acc->shared, &from);
    resources_shared(&to, true, &shared);
    resources_add(&acc->shared, &shared);
    operation_start(acc->m, acc->f, acc->a, op, &from, &to);
    return 0;
}

void accept_operation(struct acceptance *acc, V1__Offer__Operation *op)
{
    struct fl_err err = {0};
    int r = check(acc, op, &err);

    if (r == 0)
        r = apply(acc, op, &err);
    if (r == 0)
        framework_count_operation(acc->f, op->type);
    if (r < 0)
        operation_refuse(acc->m, acc->f, op, err.msg);
}
