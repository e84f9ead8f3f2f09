/* LAUNCH and LAUNCH_GROUP of an ACCEPT: each task is checked, booked and sent to its agent.
 *
 * The messages of the call are completed in place (executor's framework id, allocation roles): they
 * are the call's own memory, and nobody reads them afterwards.
 */
#include "master/core.h"

#include "common/model/acl_operation.h"

static struct fl_arena *scratch(struct acceptance *acc)
{
    return acc->m->core->scratch;
}

/* ---- what both messages to the agent carry ---- */

static size_t resource_versions(struct acceptance *acc, Msg__ResourceVersionUUID ***ret)
{
    Msg__ResourceVersionUUID *v;

    if (!acc->a->has_resource_version)
        return 0;
    v = core_new(acc->m, Msg__ResourceVersionUUID);
    msg__resource_version_uuid__init(v);
    v->uuid = core_new(acc->m, V1__UUID);
    v1__uuid__init(v->uuid);
    v->uuid->value.data = acc->a->resource_version;
    v->uuid->value.len = FL_UUID_LEN;
    *ret = core_alloc(acc->m, sizeof(**ret));
    (*ret)[0] = v;
    return 1;
}

/* The agent is spoken to in the newer format, whichever the framework used. */
static void upgrade(struct acceptance *acc, V1__Resource ***pb, size_t *n,
                    const struct resources *res)
{
    *n = resources_to_pb(res, RESOURCES_POST_REFINEMENT, true, scratch(acc), pb);
}

static void take(struct acceptance *acc, const struct resources *needs)
{
    resources_subtract(&acc->remaining, needs);
    resources_add(&acc->launched, needs);
}

/* The executor goes on the books unless it is there; true when the agent shall start it. */
static bool need_executor(struct acceptance *acc, V1__ExecutorInfo *info)
{
    struct executor *e;

    if (executor_find(acc->a, acc->f, info->executor_id->value))
        return false;
    e = executor_add(acc->m, acc->f, acc->a, info);
    upgrade(acc, &info->resources, &info->n_resources, &e->resources);
    return true;
}

static int check_room(struct acceptance *acc, size_t more, struct fl_err *err)
{
    if (HASH_COUNT(acc->f->tasks) + more <= acc->m->flags->max_tasks_per_framework)
        return 0;
    return fl_err_set(err, FL_LIMIT, "The framework has %u tasks, and --max_tasks_per_framework=%u",
                      HASH_COUNT(acc->f->tasks), (unsigned)acc->m->flags->max_tasks_per_framework);
}

/* ---- onto the books ---- */

/* `needs` may be taken: it is what the task needs, and `with_executor` that of its executor, too. */
static struct task *add_task(struct acceptance *acc, V1__TaskInfo *info, struct resources *needs,
                             bool with_executor)
{
    _cleanup_resources_ struct resources own = RESOURCES_INIT;

    if (with_executor) /* validated before: cannot fail */
        (void)resources_from_pb(info->resources, info->n_resources, &own, NULL);
    else
        resources_move(&own, needs);
    resources_add(&acc->to_book, &own);
    return task_add(acc->m, acc->f, acc->a, info, &own);
}

/* What an operation launched counts as used before the next operation is looked at. */
static void book(struct acceptance *acc)
{
    if (!resources_empty(&acc->to_book))
        usage_add(acc->a, acc->f, &acc->to_book, false);
    resources_done(&acc->to_book);
}

/* ---- LAUNCH ---- */

static void complete_task(struct acceptance *acc, V1__TaskInfo *t)
{
    if (t->executor && !t->executor->framework_id)
        t->executor->framework_id = acc->f->info->id;
    if (t->health_check && !t->health_check->has_type) {
        t->health_check->has_type = t->health_check->command || t->health_check->http;
        t->health_check->type =
            t->health_check->http ? V1__HEALTH_CHECK__TYPE__HTTP : V1__HEALTH_CHECK__TYPE__COMMAND;
    }
    inject_allocation_role_task(t, acc->role, scratch(acc));
}

static void send_task(struct acceptance *acc, V1__TaskInfo *info, const struct task *t,
                      bool launch_executor)
{
    Msg__RunTaskMessage msg = MSG__RUN_TASK_MESSAGE__INIT;

    upgrade(acc, &info->resources, &info->n_resources, t->resources);
    msg.framework = acc->f->info;
    msg.task = info;
    msg.n_resource_version_uuids = resource_versions(acc, &msg.resource_version_uuids);
    msg.has_launch_executor = true;
    msg.launch_executor = launch_executor;
    agents_send(acc->m, acc->a, &msg.base);
    framework_count_operation(acc->f, V1__OFFER__OPERATION__TYPE__LAUNCH);
}

/* There is always another copy of a shared volume: what earlier tasks took is replaced. */
static void share_again(struct acceptance *acc)
{
    _cleanup_resources_ struct resources missing = RESOURCES_INIT;
    struct master *m = acc->m;

    resources_copy(&missing, &acc->shared);
    resources_subtract(&missing, &acc->remaining);
    if (resources_empty(&missing))
        return;
    m->alloc_ops->add_used(m->alloc, acc->f->id, acc->a->id, &missing);
    resources_add(&acc->remaining, &missing);
}

static void launch_one(struct acceptance *acc, const struct validate_context *c, V1__TaskInfo *info)
{
    _cleanup_resources_ struct resources needs = RESOURCES_INIT;
    struct fl_err err;
    bool launch_executor = true;
    int r;

    if (acl_check_task(acc->m->acls, info, acc->f->info, &err) < 0) {
        status_refuse(acc->m, acc->f, info, V1__TASK_STATE__TASK_ERROR,
                      V1__TASK_STATUS__REASON__REASON_TASK_UNAUTHORIZED, err.msg);
        return;
    }
    complete_task(acc, info);
    share_again(acc);
    r = validate_task(info, c, &needs, &err);
    if (r == 0)
        r = check_room(acc, 1, &err);
    if (r < 0) {
        status_refuse(acc->m, acc->f, info, V1__TASK_STATE__TASK_ERROR,
                      V1__TASK_STATUS__REASON__REASON_TASK_INVALID, err.msg);
        return;
    }
    if (info->executor)
        launch_executor = need_executor(acc, info->executor);
    take(acc, &needs);
    send_task(acc, info, add_task(acc, info, &needs, info->executor != NULL), launch_executor);
}

/* Feedback for operations is asked by an id; tasks have their own updates. */
static bool refuse_id(struct acceptance *acc, const V1__Offer__Operation *op,
                      V1__TaskInfo *const *tasks, size_t n, V1__TaskStatus__Reason reason)
{
    if (!op->id)
        return false;
    for (size_t i = 0; i < n; i++)
        status_refuse(acc->m, acc->f, tasks[i], V1__TASK_STATE__TASK_ERROR, reason,
                      op->launch ? "The `id` field cannot be set on LAUNCH operations"
                                 : "The `id` field cannot be set on LAUNCH_GROUP operations");
    return true;
}

void accept_launch(struct acceptance *acc, V1__Offer__Operation *op)
{
    V1__Offer__Operation__Launch *launch = op->launch;
    struct validate_context c;

    if (refuse_id(acc, op, launch->task_infos, launch->n_task_infos,
                  V1__TASK_STATUS__REASON__REASON_TASK_INVALID))
        return;
    accept_context(acc, &c);
    for (size_t i = 0; i < launch->n_task_infos; i++)
        launch_one(acc, &c, launch->task_infos[i]);
    book(acc);
}

/* ---- LAUNCH_GROUP ---- */

static void complete_group(struct acceptance *acc, V1__Offer__Operation__LaunchGroup *g)
{
    inject_allocation_role_executor(g->executor, acc->role, scratch(acc));
    for (size_t i = 0; i < g->task_group->n_tasks; i++) {
        V1__TaskInfo *t = g->task_group->tasks[i];
        if (!t->executor)
            t->executor = g->executor;
        inject_allocation_role_task(t, acc->role, scratch(acc));
    }
}

static void send_group(struct acceptance *acc, V1__Offer__Operation__LaunchGroup *g,
                       bool launch_executor)
{
    Msg__RunTaskGroupMessage msg = MSG__RUN_TASK_GROUP_MESSAGE__INIT;

    msg.framework = acc->f->info;
    msg.executor = g->executor;
    msg.task_group = g->task_group;
    msg.n_resource_version_uuids = resource_versions(acc, &msg.resource_version_uuids);
    msg.has_launch_executor = true;
    msg.launch_executor = launch_executor;
    agents_send(acc->m, acc->a, &msg.base);
    framework_count_operation(acc->f, V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP);
}

/* One task that may not run is enough. */
static int check_group_users(struct acceptance *acc, const V1__Offer__Operation__LaunchGroup *g,
                             struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; acc->m->acls && r == 0 && i < g->task_group->n_tasks; i++)
        r = acl_check_task(acc->m->acls, g->task_group->tasks[i], acc->f->info, err);
    return r;
}

static void refuse_group(struct acceptance *acc, const V1__Offer__Operation__LaunchGroup *g,
                         V1__TaskStatus__Reason reason, const char *why)
{
    for (size_t i = 0; i < g->task_group->n_tasks; i++)
        status_refuse(acc->m, acc->f, g->task_group->tasks[i], V1__TASK_STATE__TASK_ERROR, reason,
                      why);
}

void accept_launch_group(struct acceptance *acc, V1__Offer__Operation *op)
{
    V1__Offer__Operation__LaunchGroup *g = op->launch_group;
    V1__TaskInfo **tasks = g->task_group->tasks;
    size_t n = g->task_group->n_tasks;
    _cleanup_resources_ struct resources needs = RESOURCES_INIT;
    struct validate_context c;
    struct fl_err err;
    bool launch_executor;
    int r;

    if (refuse_id(acc, op, tasks, n, V1__TASK_STATUS__REASON__REASON_TASK_GROUP_INVALID))
        return;
    complete_group(acc, g);
    accept_context(acc, &c);
    r = check_group_users(acc, g, &err);
    if (r < 0) {
        refuse_group(acc, g, V1__TASK_STATUS__REASON__REASON_TASK_GROUP_UNAUTHORIZED, err.msg);
        return;
    }
    r = validate_task_group(g->task_group, g->executor, &c, &needs, &err);
    if (r == 0)
        r = check_room(acc, n, &err);
    if (r < 0) {
        refuse_group(acc, g, V1__TASK_STATUS__REASON__REASON_TASK_GROUP_INVALID, err.msg);
        return;
    }
    launch_executor = need_executor(acc, g->executor);
    take(acc, &needs);
    for (size_t i = 0; i < n; i++) {
        struct task *t = add_task(acc, tasks[i], &needs, true);
        upgrade(acc, &tasks[i]->resources, &tasks[i]->n_resources, t->resources);
    }
    book(acc);
    send_group(acc, g, launch_executor);
}
