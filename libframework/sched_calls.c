/* The calls of fairlead/scheduler.h: each builds its message from borrowed parts, encodes it and puts it in the outbox. Any thread. */
#include <errno.h>

#include "common/model/resources.h"
#include "libframework/scheduler.h"

int fw_call(fw_scheduler *s, const void *bytes, size_t n)
{
    return atomic_load(&s->subscribed) ? fw_runner_call(&s->runner, bytes, n) : -ENOTCONN;
}

int fw_send(struct fw_scheduler *s, const Sched__Call *call)
{
    void *bytes;
    size_t n;
    int r = fw_encode(&call->base, &bytes, &n);

    if (r < 0)
        return r;
    r = fw_call(s, bytes, n);
    free(bytes);
    return r;
}

#define CALL_OF(call_type)                                                                         \
    (Sched__Call)                                                                                  \
    {                                                                                              \
        .base = PROTOBUF_C_MESSAGE_INIT(&sched__call__descriptor), .has_type = true,               \
        .type = SCHED__CALL__TYPE__##call_type,                                                    \
    }

static const V1__Filters *set_filters(V1__Filters *f, double refuse_seconds)
{
    v1__filters__init(f);
    if (refuse_seconds < 0)
        return NULL;
    f->has_refuse_seconds = true;
    f->refuse_seconds = refuse_seconds;
    return f;
}

/* A list of ids as messages on the heap: two arrays in one block. */
#define ID_LIST(Type, prefix, values, n)                                                           \
    ({                                                                                             \
        Type *_ids = calloc((n) + 1, sizeof(Type) + sizeof(Type *));                               \
        Type **_list = NULL;                                                                       \
        if (_ids) {                                                                                \
            _list = (Type **)(_ids + (n) + 1);                                                     \
            for (size_t _i = 0; _i < (n); _i++) {                                                  \
                prefix##__init(&_ids[_i]);                                                         \
                _ids[_i].value = (char *)(values)[_i];                                             \
                _list[_i] = &_ids[_i];                                                             \
            }                                                                                      \
        }                                                                                          \
        _list;                                                                                     \
    })
/* The block begins n + 1 messages before the list. */
#define ID_LIST_FREE(Type, list, n) free((char *)(list) - ((n) + 1) * sizeof(Type))

/* An ACCEPT of one operation on these offers. */
static int accept(fw_scheduler *s, const char *const *offer_ids, size_t n_offers,
                  V1__Offer__Operation *op, double refuse_seconds)
{
    Sched__Call call = CALL_OF(ACCEPT);
    Sched__Call__Accept a = SCHED__CALL__ACCEPT__INIT;
    V1__Filters filters;
    int r;

    a.offer_ids = ID_LIST(V1__OfferID, v1__offer_id, offer_ids, n_offers);
    if (!a.offer_ids)
        return -ENOMEM;
    a.n_offer_ids = n_offers;
    a.n_operations = op ? 1 : 0;
    a.operations = &op;
    a.filters = (V1__Filters *)set_filters(&filters, refuse_seconds);
    call.accept = &a;
    r = fw_send(s, &call);
    ID_LIST_FREE(V1__OfferID, a.offer_ids, n_offers);
    return r;
}

/* Copies of the tasks' structs with the agent's id set, without touching the caller's handles. NULL: out of memory. */
static V1__TaskInfo **tasks_for(fw_task *const *tasks, size_t n, V1__AgentID *agent)
{
    V1__TaskInfo *copies = calloc(n + 1, sizeof(*copies) + sizeof(V1__TaskInfo *));
    V1__TaskInfo **list;

    if (!copies)
        return NULL;
    list = (V1__TaskInfo **)(copies + n + 1);
    for (size_t i = 0; i < n; i++) {
        copies[i] = *tasks[i]->pb;
        if (agent && (!copies[i].agent_id || !copies[i].agent_id->value[0]))
            copies[i].agent_id = agent;
        list[i] = &copies[i];
    }
    return list;
}

/* ---- what the tasks need, in the offer's own words ---- */

static bool is_simple(const V1__TaskInfo *t)
{
    for (size_t i = 0; i < t->n_resources; i++) {
        const V1__Resource *r = t->resources[i];

        if (r->n_reservations || r->reservation || r->disk || r->shared || r->revocable ||
            (r->role && !streq(r->role, "*")))
            return false;
    }
    return t->n_resources > 0;
}

static enum resources_format format_of(const V1__Offer *o)
{
    for (size_t i = 0; i < o->n_resources; i++)
        if (o->resources[i]->n_reservations)
            return RESOURCES_POST_REFINEMENT;
    return RESOURCES_PRE_REFINEMENT;
}

/* Of resources that are reserved to the framework's role a task has to say so. One that names plain amounts gets what the offer
 * has of them, what is reserved first. One that does not fit stays as it is: the master says what is wrong. */
static void fit(V1__TaskInfo *t, struct resources *pool, const fw_offer *offer,
                struct fl_arena *arena)
{
    _cleanup_resources_ struct resources want = RESOURCES_INIT, found = RESOURCES_INIT;

    if (!is_simple(t) || resources_from_pb(t->resources, t->n_resources, &want, NULL) < 0)
        return;
    resources_allocate(&want, fw_offer_role(offer));
    if (!resources_find(pool, &want, &found))
        return;
    resources_subtract(pool, &found);
    t->n_resources = resources_to_pb(&found, format_of(offer->pb), false, arena, &t->resources);
}

static void fit_all(V1__TaskInfo **tasks, size_t n, const fw_offer *offer, struct fl_arena *arena)
{
    _cleanup_resources_ struct resources pool = RESOURCES_INIT;

    if (resources_from_pb(offer->pb->resources, offer->pb->n_resources, &pool, NULL) < 0)
        return;
    resources_unallocate(&pool);
    resources_allocate(&pool, fw_offer_role(offer));
    for (size_t i = 0; i < n; i++)
        fit(tasks[i], &pool, offer, arena);
}

/* `offer_or_null`: the one of which the tasks are, when it is known. */
static int launch(fw_scheduler *s, const char *const *offer_ids, size_t n_offers,
                  fw_task *const *tasks, size_t n_tasks, const fw_offer *offer_or_null,
                  double refuse_seconds)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;
    V1__Offer__Operation op = V1__OFFER__OPERATION__INIT;
    V1__Offer__Operation__Launch l = V1__OFFER__OPERATION__LAUNCH__INIT;
    V1__AgentID agent = V1__AGENT_ID__INIT;
    int r;

    agent.value = (char *)(offer_or_null ? fw_offer_agent_id(offer_or_null) : "");
    l.task_infos = tasks_for(tasks, n_tasks, &agent);
    if (!l.task_infos)
        return -ENOMEM;
    l.n_task_infos = n_tasks;
    if (offer_or_null) {
        arena = fl_arena_new(4096);
        fit_all(l.task_infos, n_tasks, offer_or_null, arena);
    }
    op.has_type = true;
    op.type = V1__OFFER__OPERATION__TYPE__LAUNCH;
    op.launch = &l;
    r = accept(s, offer_ids, n_offers, n_tasks ? &op : NULL, refuse_seconds);
    free((V1__TaskInfo *)l.task_infos - (n_tasks + 1));
    return r;
}

int fw_accept(fw_scheduler *s, const char *const *offer_ids, size_t n_offers, fw_task *const *tasks,
              size_t n_tasks, double refuse_seconds)
{
    return launch(s, offer_ids, n_offers, tasks, n_tasks, NULL, refuse_seconds);
}

int fw_launch(fw_scheduler *s, const fw_offer *offer, fw_task *const *tasks, size_t n_tasks,
              double refuse_seconds)
{
    const char *id = fw_offer_id(offer);

    return launch(s, &id, 1, tasks, n_tasks, offer, refuse_seconds);
}

int fw_launch_group(fw_scheduler *s, const fw_offer *offer, const fw_executor_info *executor,
                    fw_task *const *tasks, size_t n_tasks, double refuse_seconds)
{
    V1__Offer__Operation op = V1__OFFER__OPERATION__INIT;
    V1__Offer__Operation__LaunchGroup l = V1__OFFER__OPERATION__LAUNCH_GROUP__INIT;
    V1__TaskGroupInfo group = V1__TASK_GROUP_INFO__INIT;
    const char *id = fw_offer_id(offer);
    int r;

    group.tasks = tasks_for(tasks, n_tasks, offer->pb->agent_id);
    if (!group.tasks)
        return -ENOMEM;
    group.n_tasks = n_tasks;
    l.executor = executor->pb;
    l.task_group = &group;
    op.has_type = true;
    op.type = V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP;
    op.launch_group = &l;
    r = accept(s, &id, 1, &op, refuse_seconds);
    free((V1__TaskInfo *)group.tasks - (n_tasks + 1));
    return r;
}

int fw_decline(fw_scheduler *s, const char *const *offer_ids, size_t n, double refuse_seconds)
{
    Sched__Call call = CALL_OF(DECLINE);
    Sched__Call__Decline d = SCHED__CALL__DECLINE__INIT;
    V1__Filters filters;
    int r;

    d.offer_ids = ID_LIST(V1__OfferID, v1__offer_id, offer_ids, n);
    if (!d.offer_ids)
        return -ENOMEM;
    d.n_offer_ids = n;
    d.filters = (V1__Filters *)set_filters(&filters, refuse_seconds);
    call.decline = &d;
    r = fw_send(s, &call);
    ID_LIST_FREE(V1__OfferID, d.offer_ids, n);
    return r;
}

int fw_accept_inverse(fw_scheduler *s, const char *inverse_offer_id, double refuse_seconds)
{
    Sched__Call call = CALL_OF(ACCEPT_INVERSE_OFFERS);
    Sched__Call__AcceptInverseOffers a = SCHED__CALL__ACCEPT_INVERSE_OFFERS__INIT;
    V1__OfferID id = V1__OFFER_ID__INIT, *list = &id;
    V1__Filters filters;

    id.value = (char *)inverse_offer_id;
    a.n_inverse_offer_ids = 1;
    a.inverse_offer_ids = &list;
    a.filters = (V1__Filters *)set_filters(&filters, refuse_seconds);
    call.accept_inverse_offers = &a;
    return fw_send(s, &call);
}

int fw_decline_inverse(fw_scheduler *s, const char *inverse_offer_id, double refuse_seconds)
{
    Sched__Call call = CALL_OF(DECLINE_INVERSE_OFFERS);
    Sched__Call__DeclineInverseOffers d = SCHED__CALL__DECLINE_INVERSE_OFFERS__INIT;
    V1__OfferID id = V1__OFFER_ID__INIT, *list = &id;
    V1__Filters filters;

    id.value = (char *)inverse_offer_id;
    d.n_inverse_offer_ids = 1;
    d.inverse_offer_ids = &list;
    d.filters = (V1__Filters *)set_filters(&filters, refuse_seconds);
    call.decline_inverse_offers = &d;
    return fw_send(s, &call);
}

int fw_revive(fw_scheduler *s, const char *const *roles, size_t n)
{
    Sched__Call call = CALL_OF(REVIVE);
    Sched__Call__Revive v = SCHED__CALL__REVIVE__INIT;

    v.n_roles = n;
    v.roles = (char **)roles;
    call.revive = &v;
    return fw_send(s, &call);
}

int fw_suppress(fw_scheduler *s, const char *const *roles, size_t n)
{
    Sched__Call call = CALL_OF(SUPPRESS);
    Sched__Call__Suppress v = SCHED__CALL__SUPPRESS__INIT;

    v.n_roles = n;
    v.roles = (char **)roles;
    call.suppress = &v;
    return fw_send(s, &call);
}

int fw_kill(fw_scheduler *s, const char *task_id, const char *agent_id, double grace)
{
    Sched__Call call = CALL_OF(KILL);
    Sched__Call__Kill k = SCHED__CALL__KILL__INIT;
    V1__TaskID task = V1__TASK_ID__INIT;
    V1__AgentID agent = V1__AGENT_ID__INIT;
    V1__KillPolicy policy = V1__KILL_POLICY__INIT;
    V1__DurationInfo period = V1__DURATION_INFO__INIT;

    task.value = (char *)task_id;
    agent.value = (char *)agent_id;
    k.task_id = &task;
    k.agent_id = agent_id ? &agent : NULL;
    if (grace >= 0) {
        period.nanoseconds = (int64_t)(grace * 1e9);
        policy.grace_period = &period;
        k.kill_policy = &policy;
    }
    call.kill = &k;
    return fw_send(s, &call);
}

int fw_shutdown_executor(fw_scheduler *s, const char *agent_id, const char *executor_id)
{
    Sched__Call call = CALL_OF(SHUTDOWN);
    Sched__Call__Shutdown d = SCHED__CALL__SHUTDOWN__INIT;
    V1__AgentID agent = V1__AGENT_ID__INIT;
    V1__ExecutorID executor = V1__EXECUTOR_ID__INIT;

    agent.value = (char *)agent_id;
    executor.value = (char *)executor_id;
    d.agent_id = &agent;
    d.executor_id = &executor;
    call.shutdown = &d;
    return fw_send(s, &call);
}

int fw_acknowledge(fw_scheduler *s, const fw_status *status)
{
    Sched__Call call = CALL_OF(ACKNOWLEDGE);
    Sched__Call__Acknowledge a = SCHED__CALL__ACKNOWLEDGE__INIT;

    if (!fw_status_needs_ack(status) || !status->pb->agent_id)
        return 0;
    a.agent_id = status->pb->agent_id;
    a.task_id = status->pb->task_id;
    a.uuid = status->pb->uuid;
    call.acknowledge = &a;
    return fw_send(s, &call);
}

int fw_reconcile(fw_scheduler *s, const char *const *task_ids, const char *const *agent_ids,
                 size_t n)
{
    Sched__Call call = CALL_OF(RECONCILE);
    Sched__Call__Reconcile rec = SCHED__CALL__RECONCILE__INIT;
    struct item {
        Sched__Call__Reconcile__Task task;
        V1__TaskID id;
        V1__AgentID agent;
    };
    _cleanup_free_ struct item *items = calloc(n + 1, sizeof(*items));
    _cleanup_free_ Sched__Call__Reconcile__Task **list = calloc(n + 1, sizeof(*list));

    if (!items || !list)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        sched__call__reconcile__task__init(&items[i].task);
        v1__task_id__init(&items[i].id);
        items[i].id.value = (char *)task_ids[i];
        items[i].task.task_id = &items[i].id;
        if (agent_ids && agent_ids[i]) {
            v1__agent_id__init(&items[i].agent);
            items[i].agent.value = (char *)agent_ids[i];
            items[i].task.agent_id = &items[i].agent;
        }
        list[i] = &items[i].task;
    }
    rec.n_tasks = n;
    rec.tasks = list;
    call.reconcile = &rec;
    return fw_send(s, &call);
}

int fw_message(fw_scheduler *s, const char *agent_id, const char *executor_id, const void *data,
               size_t n)
{
    Sched__Call call = CALL_OF(MESSAGE);
    Sched__Call__Message m = SCHED__CALL__MESSAGE__INIT;
    V1__AgentID agent = V1__AGENT_ID__INIT;
    V1__ExecutorID executor = V1__EXECUTOR_ID__INIT;

    agent.value = (char *)agent_id;
    executor.value = (char *)executor_id;
    m.agent_id = &agent;
    m.executor_id = &executor;
    m.data = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)data};
    call.message = &m;
    return fw_send(s, &call);
}

int fw_request(fw_scheduler *s, const char *agent_id, const char *resources_text)
{
    Sched__Call call = CALL_OF(REQUEST);
    Sched__Call__Request q = SCHED__CALL__REQUEST__INIT;
    V1__Request request = V1__REQUEST__INIT, *list = &request;
    V1__AgentID agent = V1__AGENT_ID__INIT;
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = NULL;

    if (resources_parse(resources_text, "*", &res, NULL) < 0)
        return -EINVAL;
    arena = fl_arena_new(1024);
    agent.value = (char *)agent_id;
    request.agent_id = agent_id ? &agent : NULL;
    request.n_resources =
        resources_to_pb(&res, RESOURCES_PRE_REFINEMENT, false, arena, &request.resources);
    q.n_requests = 1;
    q.requests = &list;
    call.request = &q;
    return fw_send(s, &call);
}

int fw_update_framework(fw_scheduler *s, const fw_info *info)
{
    Sched__Call call = CALL_OF(UPDATE_FRAMEWORK);
    Sched__Call__UpdateFramework u = SCHED__CALL__UPDATE_FRAMEWORK__INIT;
    V1__FrameworkInfo copy = *info->pb;
    V1__FrameworkID id = V1__FRAMEWORK_ID__INIT;

    if (!copy.id) {
        id.value = (char *)fw_scheduler_framework_id(s);
        copy.id = &id;
    }
    u.framework_info = &copy;
    call.update_framework = &u;
    return fw_send(s, &call);
}
