/* Calls of the operator API about roles: GET_ROLES, quota, weights. What changes something is answered when the registry has it. */
#include "master/api/operator_call.h"
#include "master/quota.h"
#include "master/roles.h"
#include "master/weights.h"

/* ---- quota ---- */

int op_get_quota(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetQuota *g =
        OPERATOR_NEW(op, Mapi__Response__GetQuota, mapi__response__get_quota);

    g->status = master_quota_status(op->api->master, op->principal, op->arena);
    op->response.get_quota = g;
    return 0;
}

int op_update_quota(struct operator_call *op, struct fl_err *err)
{
    int r = master_update_quota(op->api->master, op->call->update_quota, op->principal,
                                operator_answer, op->ex, err);
    return r < 0 ? r : 1;
}

int op_set_quota(struct operator_call *op, struct fl_err *err)
{
    int r = master_set_quota(op->api->master, op->call->set_quota->quota_request, op->principal,
                             operator_answer, op->ex, err);
    return r < 0 ? r : 1;
}

int op_remove_quota(struct operator_call *op, struct fl_err *err)
{
    int r = master_remove_quota(op->api->master, op->call->remove_quota->role, op->principal,
                                operator_answer, op->ex, err);
    return r < 0 ? r : 1;
}

/* ---- weights ---- */

int op_get_weights(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetWeights *g =
        OPERATOR_NEW(op, Mapi__Response__GetWeights, mapi__response__get_weights);

    g->n_weight_infos = master_weights(op->api->master, op->principal, op->arena, &g->weight_infos);
    /* Without weights the reference's answer has no such part. */
    if (g->n_weight_infos > 0)
        op->response.get_weights = g;
    return 0;
}

int op_update_weights(struct operator_call *op, struct fl_err *err)
{
    const Mapi__Call__UpdateWeights *u = op->call->update_weights;

    int r = master_update_weights(op->api->master, u->weight_infos, u->n_weight_infos,
                                  op->principal, operator_answer, op->ex, err);
    return r < 0 ? r : 1;
}

/* ---- roles ---- */

/* Allocated and offered together. Only the four that are scalars everywhere, as in the reference. */
static void put_resources(V1__Role *pb, const struct role *r, struct fl_arena *arena)
{
    static const char *const names[] = {"cpus", "disk", "gpus", "mem"};

    pb->resources = fl_arena_alloc(arena, ARRAY_SIZE(names) * sizeof(*pb->resources));
    for (size_t i = 0; r && i < ARRAY_SIZE(names); i++) {
        milli_t amount = quantities_get(&r->books[ROLE_ALLOCATED], names[i]) +
                         quantities_get(&r->books[ROLE_OFFERED], names[i]);
        if (amount == 0)
            continue;
        V1__Resource *res = FL_ARENA_NEW(arena, V1__Resource, v1__resource);
        res->name = (char *)names[i];
        res->type = V1__VALUE__TYPE__SCALAR;
        res->scalar = FL_ARENA_NEW(arena, V1__Value__Scalar, v1__value__scalar);
        res->scalar->value = milli_to_double(amount);
        pb->resources[pb->n_resources++] = res;
    }
}

static V1__Role *role_pb(const struct role_view *v, struct fl_arena *arena)
{
    V1__Role *pb = FL_ARENA_NEW(arena, V1__Role, v1__role);

    pb->name = (char *)v->name;
    pb->weight = v->role && v->role->weight > 0 ? v->role->weight : 1;
    pb->frameworks = fl_arena_alloc(arena, (v->n_frameworks + 1) * sizeof(*pb->frameworks));
    for (size_t i = 0; i < v->n_frameworks; i++)
        pb->frameworks[pb->n_frameworks++] = v->frameworks[i]->info->id;
    put_resources(pb, v->role, arena);
    return pb;
}

int op_get_roles(struct operator_call *op, struct fl_err *err)
{
    Mapi__Response__GetRoles *g =
        OPERATOR_NEW(op, Mapi__Response__GetRoles, mapi__response__get_roles);
    struct role_view **views;
    size_t n = roles_list(op->api->master, op->principal, op->arena, &views);

    g->roles = fl_arena_alloc(op->arena, (n + 1) * sizeof(*g->roles));
    for (size_t i = 0; i < n; i++)
        g->roles[g->n_roles++] = role_pb(views[i], op->arena);
    op->response.get_roles = g;
    return 0;
}
