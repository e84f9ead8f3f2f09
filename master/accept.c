/* ACCEPT: takes the offers off the books, lets the operations have of them what they ask for, in order,
 * and gives the rest back with the call's filter. What is wrong with one operation is told and does
 * not stop the next. */
#include "master/core.h"

const V1__Filters *filters_or_default(struct master *m, const V1__Filters *filters)
{
    V1__Filters *f;

    if (filters && filters->has_refuse_seconds)
        return filters;
    f = core_new(m, V1__Filters);
    v1__filters__init(f);
    f->has_refuse_seconds = true;
    f->refuse_seconds = 5;
    return f;
}

/* ---- are these offers that can be accepted? ---- */

static int check_offers(struct master *m, struct framework *f, const Sched__Call__Accept *call,
                        struct offer **ret_first, struct fl_err *err)
{
    struct offer *first = NULL;

    if (call->n_offer_ids == 0)
        return fl_err_set(err, FL_INVALID, "No offers specified");
    for (size_t i = 0; i < call->n_offer_ids; i++) {
        const char *id = call->offer_ids[i]->value;
        struct offer *o = offer_find(m, id);

        for (size_t k = 0; k < i; k++) {
            if (streq(call->offer_ids[k]->value, id))
                return fl_err_set(err, FL_INVALID, "Offer %s is named twice", id);
        }
        if (!o)
            return fl_err_set(err, FL_INVALID, "Offer %s is no longer valid", id);
        if (o->framework != f)
            return fl_err_set(err, FL_INVALID, "Offer %s is another framework's", id);
        if (first && o->role != first->role)
            return fl_err_set(err, FL_INVALID,
                              "Offers of several roles cannot be accepted at once");
        if (first && o->agent != first->agent)
            return fl_err_set(err, FL_INVALID,
                              "Offers of several agents cannot be accepted at once");
        first = first ? first : o;
    }
    *ret_first = first;
    return 0;
}

static void refuse_tasks(struct master *m, struct framework *f, V1__TaskInfo *const *tasks,
                         size_t n, const char *why)
{
    for (size_t i = 0; i < n; i++)
        status_refuse(m, f, tasks[i], V1__TASK_STATE__TASK_DROPPED,
                      V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, why);
}

static void refuse_all(struct master *m, struct framework *f, const Sched__Call__Accept *call,
                       const char *reason)
{
    const char *why = core_printf(m, "Task launched with invalid offers: %s", reason);

    for (size_t i = 0; i < call->n_offer_ids; i++) {
        struct offer *o = offer_find(m, call->offer_ids[i]->value);
        if (o && o->framework == f)
            offer_withdraw(m, o, false, NULL);
    }
    for (size_t i = 0; i < call->n_operations; i++) {
        const V1__Offer__Operation *op = call->operations[i];
        if (op->launch)
            refuse_tasks(m, f, op->launch->task_infos, op->launch->n_task_infos, why);
        else if (op->launch_group)
            refuse_tasks(m, f, op->launch_group->task_group->tasks,
                         op->launch_group->task_group->n_tasks, why);
        else
            operation_refuse(m, f, op, reason);
    }
}

/* ---- doing it ---- */

static void count(struct master *m, const Sched__Call__Accept *call)
{
    for (size_t i = 0; i < call->n_operations; i++) {
        const V1__Offer__Operation *op = call->operations[i];
        if (op->launch)
            metric_inc(op->launch->n_task_infos > 0 ? m->core->c.messages_launch_tasks
                                                    : m->core->c.messages_decline_offers);
    }
    if (call->n_operations == 0)
        metric_inc(m->core->c.messages_decline_offers);
}

static void apply(struct acceptance *acc, V1__Offer__Operation *op)
{
    switch (op->type) {
    case V1__OFFER__OPERATION__TYPE__LAUNCH:
        if (op->launch)
            accept_launch(acc, op);
        break;
    case V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP:
        if (op->launch_group)
            accept_launch_group(acc, op);
        break;
    case V1__OFFER__OPERATION__TYPE__UNKNOWN:
        log_warning("framework %s sends an operation of a type that is not known", acc->f->id);
        break;
    default:
        accept_operation(acc, op);
    }
}

/* Gives back what nothing took. The filter is for what was offered and not wanted; what an operation
 * made of it is new and comes back at once. */
static void settle(struct acceptance *acc, const V1__Filters *filters)
{
    struct master *m = acc->m;
    _cleanup_resources_ struct resources converted = RESOURCES_INIT, declined = RESOURCES_INIT;

    if (!resources_empty(&acc->launched))
        m->alloc_ops->transition_to_used(m->alloc, acc->f->id, acc->a->id, &acc->launched);
    resources_copy(&converted, &acc->remaining);
    resources_subtract(&converted, &acc->offered);
    resources_copy(&declined, &acc->remaining);
    resources_subtract(&declined, &converted);
    allocation_recover(m, acc->f->id, acc->a->id, &converted, NULL);
    allocation_recover(m, acc->f->id, acc->a->id, &declined, filters_or_default(m, filters));
}

static const V1__ExecutorInfo *context_executor(const char *id, void *arg)
{
    struct acceptance *acc = arg;
    struct executor *e = executor_find(acc->a, acc->f, id);

    return e ? e->info : NULL;
}

static bool context_task_known(const char *id, void *arg)
{
    struct acceptance *acc = arg;
    struct task *t;

    HASH_FIND_STR(acc->f->tasks, id, t);
    if (!t)
        HASH_FIND_STR(acc->f->unreachable_tasks, id, t);
    return t != NULL;
}

void accept_context(struct acceptance *acc, struct validate_context *ret_c)
{
    *ret_c = (struct validate_context){
        .framework = acc->f->info,
        .framework_id = acc->f->id,
        .agent_id = acc->a->id,
        .agent_has_task_limits =
            agents_has_capability(acc->a, V1__AGENT_INFO__CAPABILITY__TYPE__TASK_RESOURCE_LIMITS),
        .offered = &acc->remaining,
        .executor = context_executor,
        .task_known = context_task_known,
        .arg = acc,
    };
}

void framework_accept(struct master *m, struct framework *f, Sched__Call__Accept *call)
{
    struct acceptance acc = {.m = m, .f = f};
    struct offer *first = NULL;
    struct fl_err err;

    count(m, call);
    if (check_offers(m, f, call, &first, &err) < 0) {
        refuse_all(m, f, call, err.msg);
        return;
    }
    acc.a = first->agent;
    acc.role = first->role;
    for (size_t i = 0; i < call->n_offer_ids; i++) {
        struct offer *o = offer_find(m, call->offer_ids[i]->value);
        resources_add(&acc.offered, &o->resources);
        offer_answered(m, o);
        f->counts.accepted++;
        offer_remove(m, o);
    }
    resources_copy(&acc.remaining, &acc.offered);
    resources_shared(&acc.offered, true, &acc.shared);
    for (size_t i = 0; i < call->n_operations; i++)
        apply(&acc, call->operations[i]);
    settle(&acc, call->filters);
    resources_done(&acc.offered);
    resources_done(&acc.remaining);
    resources_done(&acc.shared);
    resources_done(&acc.launched);
}
