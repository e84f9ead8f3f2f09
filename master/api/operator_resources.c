/* Calls of the operator API about reservations and volumes: RESERVE_RESOURCES .. SHRINK_VOLUME, GET_OPERATIONS. Each of the
 * first makes one operation out of its call; master/operator_resources.h does it.
 */
#include "master/operator_resources.h"

#include "master/api/operator_call.h"

static V1__Offer__Operation *operation(struct operator_call *op, V1__Offer__Operation__Type type)
{
    V1__Offer__Operation *o = OPERATOR_NEW(op, V1__Offer__Operation, v1__offer__operation);

    o->has_type = true;
    o->type = type;
    return o;
}

static int run(struct operator_call *op, const V1__AgentID *agent, V1__Offer__Operation *o,
               struct fl_err *err)
{
    int r = master_operator_resources(op->api->master, agent->value, o, op->principal, err);

    return r < 0 ? r : operator_empty(op, 202);
}

int op_reserve_resources(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__ReserveResources *c = op->call->reserve_resources;
    V1__Offer__Operation *o = operation(op, V1__OFFER__OPERATION__TYPE__RESERVE);

    o->reserve = OPERATOR_NEW(op, V1__Offer__Operation__Reserve, v1__offer__operation__reserve);
    o->reserve->resources = c->resources;
    o->reserve->n_resources = c->n_resources;
    o->reserve->source = c->source;
    o->reserve->n_source = c->n_source;
    return run(op, c->agent_id, o, err);
}

int op_unreserve_resources(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__UnreserveResources *c = op->call->unreserve_resources;
    V1__Offer__Operation *o = operation(op, V1__OFFER__OPERATION__TYPE__UNRESERVE);

    o->unreserve =
        OPERATOR_NEW(op, V1__Offer__Operation__Unreserve, v1__offer__operation__unreserve);
    o->unreserve->resources = c->resources;
    o->unreserve->n_resources = c->n_resources;
    return run(op, c->agent_id, o, err);
}

int op_create_volumes(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__CreateVolumes *c = op->call->create_volumes;
    V1__Offer__Operation *o = operation(op, V1__OFFER__OPERATION__TYPE__CREATE);

    o->create = OPERATOR_NEW(op, V1__Offer__Operation__Create, v1__offer__operation__create);
    o->create->volumes = c->volumes;
    o->create->n_volumes = c->n_volumes;
    return run(op, c->agent_id, o, err);
}

int op_destroy_volumes(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__DestroyVolumes *c = op->call->destroy_volumes;
    V1__Offer__Operation *o = operation(op, V1__OFFER__OPERATION__TYPE__DESTROY);

    o->destroy = OPERATOR_NEW(op, V1__Offer__Operation__Destroy, v1__offer__operation__destroy);
    o->destroy->volumes = c->volumes;
    o->destroy->n_volumes = c->n_volumes;
    return run(op, c->agent_id, o, err);
}

#define NEED_AGENT(c)                                                                              \
    if (!(c)->agent_id)                                                                            \
    return fl_err_set(err, FL_INVALID,                                                             \
                      "Failed to validate master::Call: Expecting 'agent_id' to be present: only " \
                      "resources of agents, not of "                                               \
                      "resource providers, can be resized")

int op_grow_volume(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__GrowVolume *c = op->call->grow_volume;
    V1__Offer__Operation *o = operation(op, V1__OFFER__OPERATION__TYPE__GROW_VOLUME);

    NEED_AGENT(c);
    o->grow_volume =
        OPERATOR_NEW(op, V1__Offer__Operation__GrowVolume, v1__offer__operation__grow_volume);
    o->grow_volume->volume = c->volume;
    o->grow_volume->addition = c->addition;
    return run(op, c->agent_id, o, err);
}

int op_shrink_volume(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__ShrinkVolume *c = op->call->shrink_volume;
    V1__Offer__Operation *o = operation(op, V1__OFFER__OPERATION__TYPE__SHRINK_VOLUME);

    NEED_AGENT(c);
    o->shrink_volume =
        OPERATOR_NEW(op, V1__Offer__Operation__ShrinkVolume, v1__offer__operation__shrink_volume);
    o->shrink_volume->volume = c->volume;
    o->shrink_volume->subtract = c->subtract;
    return run(op, c->agent_id, o, err);
}

int op_get_operations(struct operator_call *op, struct fl_err *err)
{
    const struct master *m = op->api->master;
    Mapi__Response__GetOperations *g =
        OPERATOR_NEW(op, Mapi__Response__GetOperations, mapi__response__get_operations);
    size_t n = 0;

    for (const struct agent *a = m->agents; a; a = a->hh.next)
        n += a->n_operations;
    g->operations = fl_arena_alloc(op->arena, (n + 1) * sizeof(*g->operations));
    for (const struct agent *a = m->agents; a; a = a->hh.next)
        for (const struct operation *o = a->operations; o; o = o->next)
            if (viewer_sees_operation(op->viewer, o->pb->info))
                g->operations[g->n_operations++] = o->pb;
    op->response.get_operations = g;
    return 0;
}
