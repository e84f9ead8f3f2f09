/* See operator_resources.h.
 *
 * The operator takes what is free. What is offered counts as free once the offer is rescinded; what tasks use does not.
 */
#include "master/operator_resources.h"

#include "common/model/acl_operation.h"
#include "master/core.h"

/* ---- is it valid? ---- */

static int check(struct master *m, const struct agent *a, V1__Offer__Operation *op,
                 const char *principal, struct fl_err *err)
{
    _cleanup_resources_ struct resources total = RESOURCES_INIT, used = RESOURCES_INIT;
    struct validate_context c = {0};
    int r = operation_upgrade(m, op, err);

    if (r < 0)
        return r;
    operation_context(a, &total, &used, &c);
    r = validate_operation(op, &c, principal, err);
    if (r < 0)
        fl_err_wrap(err, "Invalid %s operation on agent %s",
                    fl_enum_name(&v1__offer__operation__type__descriptor, (int)op->type), a->id);
    return r;
}

/* ---- does it fit? ---- */

static int conflict(struct fl_err *err)
{
    char why[sizeof(err->msg)];

    fl_snprintf(why, sizeof(why), "%s", err->msg);
    return fl_err_set(err, FL_CONFLICT, "%s", why);
}

/* Every copy of a shared volume is somebody's, and there is always another: those are not counted. */
static int check_fits(const struct agent *a, const struct resources *from, struct fl_err *err)
{
    _cleanup_resources_ struct resources left = RESOURCES_INIT, used = RESOURCES_INIT,
                                         own = RESOURCES_INIT;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;

    resources_copy(&used, &a->used);
    resources_unallocate(&used);
    resources_copy(&left, &a->total);
    resources_subtract(&left, &used);
    resources_shared(from, false, &own);
    if (resources_contains(&left, &own))
        return 0;
    resources_format(&own, &text);
    return fl_err_set(err, FL_CONFLICT, "Tasks use so much of agent %s that it lacks %.300s", a->id,
                      fl_buf_cstr(&text));
}

static bool helps(const struct offer *o, const struct resources *needed)
{
    _cleanup_resources_ struct resources offered = RESOURCES_INIT, rest = RESOURCES_INIT;

    resources_copy(&offered, &o->resources);
    resources_unallocate(&offered);
    resources_copy(&rest, needed);
    resources_subtract(&rest, &offered);
    return !resources_equal(&rest, needed);
}

static struct offer *first_that_helps(struct agent *a, const struct resources *needed)
{
    struct offer *o;

    DL_FOREACH2(a->offers, o, agent_next)
    {
        if (helps(o, needed))
            return o;
    }
    return NULL;
}

static int take(struct master *m, struct agent *a, const struct resources *from,
                const struct resources *to, struct fl_err *err)
{
    struct offer *o;
    int r;

    for (;;) {
        r = m->alloc_ops->update_allocation(m->alloc, NULL, a->id, from, to, err);
        if (r == 0)
            return 0;
        o = first_that_helps(a, from);
        if (!o)
            return conflict(err);
        log_info("offer %s is rescinded for an operator's operation on agent %s", o->id, a->id);
        offer_withdraw(m, o, true, filters_or_default(m, NULL));
    }
}

/* ---- doing it ---- */

static int apply(struct master *m, struct agent *a, V1__Offer__Operation *op, struct fl_err *err)
{
    _cleanup_resources_ struct resources from = RESOURCES_INIT, to = RESOURCES_INIT;
    int r = operation_conversion(&a->total, op, &from, &to, err);

    if (r < 0)
        return conflict(err);
    r = check_fits(a, &from, err);
    if (r < 0)
        return r;
    if (op->type == V1__OFFER__OPERATION__TYPE__DESTROY)
        operation_rescind_destroyed(m, a, op);
    r = take(m, a, &from, &to, err);
    if (r < 0)
        return r;
    operation_start(m, NULL, a, op, &from, &to);
    allocation_kick(m);
    return 0;
}

static int run(struct master *m, const char *agent_id, V1__Offer__Operation *op,
               const char *principal, struct fl_err *err)
{
    struct agent *a = master_agent(m, agent_id);
    int r;

    if (!a)
        return fl_err_set(err, FL_INVALID, "No agent found with specified ID");
    r = check(m, a, op, principal, err);
    if (r == 0)
        r = acl_check_operation(m->acls, principal, op, err);
    if (r < 0)
        return r;
    if (!a->connected)
        return fl_err_set(err, FL_CONFLICT, "Agent %s is not connected; try again when it is",
                          a->id);
    if (!operation_room(a, err))
        return err->code;
    return apply(m, a, op, err);
}

int master_operator_resources(struct master *m, const char *agent_id, V1__Offer__Operation *op,
                              const char *principal_or_null, struct fl_err *err)
{
    int r;

    core_enter(m);
    r = run(m, agent_id, op, principal_or_null, err);
    core_leave(m);
    return r;
}
