/* The recorder: every hook writes its arguments down and passes them on; every callback of the module is written down before
 * the master hears of it. So the log is in the order of causes: an input, then the decisions that it led to.
 */
#include "master/allocator/allocator_record.h"

#include "master/allocator/allocator_record_log.h"

#define RECORDER_MAGIC 0x7ec07de7u

struct recorder {
    unsigned magic;
    struct allocator_ops ops; /* what the master calls */
    const struct allocator_ops *inner_ops;
    struct allocator *inner;
    struct allocator_callbacks cb; /* the master's */
    struct alog_writer w;
};

/* The master holds a `struct allocator *`, of which only the module knows what it is: here a recorder. */
static struct recorder *cast(const struct allocator *a)
{
    return FL_CAST(recorder, RECORDER_MAGIC, (struct allocator *)a);
}

struct allocator *allocator_record_inner(struct allocator *recorded)
{
    return cast(recorded)->inner;
}

/* Opens a record named `rec` of the recorder `r`; its body is skipped when recording has stopped. */
#define RECORD(r, KIND)                                                                            \
    for (Alog__Record rec,                                                                         \
         *_once = alog_begin(&(r)->w, &rec, ALOG__RECORD__KIND__##KIND) ? &rec : NULL;             \
         _once; alog_end(&(r)->w, &rec), _once = NULL)

static void put_flag(Alog__Record *rec, bool value)
{
    rec->has_flag = true;
    rec->flag = value;
}

static void put_number(Alog__Record *rec, uint64_t value)
{
    rec->has_number = true;
    rec->number = value;
}

static uint32_t put_ref(protobuf_c_boolean *has, uint32_t ref)
{
    *has = ref != 0;
    return ref;
}

#define PUT_TEXT(r, rec, field, text)                                                              \
    ((rec).field = put_ref(&(rec).has_##field, alog_text_ref(&(r)->w, text)))
#define PUT_RESOURCES(r, rec, field, res)                                                          \
    ((rec).field = put_ref(&(rec).has_##field, alog_resources_ref(&(r)->w, res)))

/* ---- decisions ---- */

static void on_offer(void *arg, const char *framework_id, const char *role, const char *agent_id,
                     const struct resources *res)
{
    struct recorder *r = cast(arg);

    RECORD(r, OFFER)
    {
        PUT_TEXT(r, rec, framework, framework_id);
        PUT_TEXT(r, rec, role, role);
        PUT_TEXT(r, rec, agent, agent_id);
        PUT_RESOURCES(r, rec, resources, res);
    }
    r->cb.offer(r->cb.arg, framework_id, role, agent_id, res);
}

static void on_inverse_offer(void *arg, const char *framework_id, const char *agent_id,
                             const V1__Unavailability *unavailability)
{
    struct recorder *r = cast(arg);

    RECORD(r, INVERSE_OFFER)
    {
        PUT_TEXT(r, rec, framework, framework_id);
        PUT_TEXT(r, rec, agent, agent_id);
        rec.unavailability = (V1__Unavailability *)unavailability;
    }
    r->cb.inverse_offer(r->cb.arg, framework_id, agent_id, unavailability);
}

static void on_flush(void *arg)
{
    struct recorder *r = cast(arg);

    RECORD(r, FLUSH);
    r->cb.flush(r->cb.arg);
}

static void record_result(struct recorder *r, int code, const struct fl_err *err)
{
    Alog__Result result = ALOG__RESULT__INIT;

    RECORD(r, RESULT)
    {
        result.code = code;
        result.message = code < 0 ? (char *)err->msg : NULL;
        rec.result = &result;
    }
}

/* ---- frameworks ---- */

static void record_framework(struct recorder *r, Alog__Record *rec,
                             const struct allocator_framework *f, uint64_t now_us)
{
    Alog__Framework *pb = FL_ARENA_NEW(r->w.arena, Alog__Framework, alog__framework);

    alog_put_now(&r->w, rec, now_us);
    PUT_TEXT(r, *rec, framework, f->id);
    pb->info = (V1__FrameworkInfo *)f->info;
    pb->suppressed_roles = (char **)f->suppressed_roles;
    pb->n_suppressed_roles = f->n_suppressed;
    pb->constraints = (Sched__OfferConstraints *)f->constraints_pb;
    pb->active = f->active;
    rec->framework_state = pb;
}

static void add_framework(struct allocator *a, const struct allocator_framework *f, uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, ADD_FRAMEWORK)
    record_framework(r, &rec, f, now_us);
    r->inner_ops->add_framework(r->inner, f, now_us);
}

static void update_framework(struct allocator *a, const struct allocator_framework *f,
                             uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, UPDATE_FRAMEWORK)
    record_framework(r, &rec, f, now_us);
    r->inner_ops->update_framework(r->inner, f, now_us);
}

static void remove_framework(struct allocator *a, const char *framework_id)
{
    struct recorder *r = cast(a);

    RECORD(r, REMOVE_FRAMEWORK)
    PUT_TEXT(r, rec, framework, framework_id);
    r->inner_ops->remove_framework(r->inner, framework_id);
}

static void set_framework_active(struct allocator *a, const char *framework_id, bool active)
{
    struct recorder *r = cast(a);

    RECORD(r, SET_FRAMEWORK_ACTIVE)
    {
        PUT_TEXT(r, rec, framework, framework_id);
        put_flag(&rec, active);
    }
    r->inner_ops->set_framework_active(r->inner, framework_id, active);
}

static void suppress(struct allocator *a, const char *framework_id, const char *const *roles,
                     size_t n)
{
    struct recorder *r = cast(a);

    RECORD(r, SUPPRESS)
    {
        PUT_TEXT(r, rec, framework, framework_id);
        alog_put_names(&r->w, &rec, roles, n);
    }
    r->inner_ops->suppress(r->inner, framework_id, roles, n);
}

static void revive(struct allocator *a, const char *framework_id, const char *const *roles,
                   size_t n, uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, REVIVE)
    {
        alog_put_now(&r->w, &rec, now_us);
        PUT_TEXT(r, rec, framework, framework_id);
        alog_put_names(&r->w, &rec, roles, n);
    }
    r->inner_ops->revive(r->inner, framework_id, roles, n, now_us);
}

static void request(struct allocator *a, const char *framework_id, V1__Request *const *requests,
                    size_t n)
{
    struct recorder *r = cast(a);

    RECORD(r, REQUEST)
    {
        PUT_TEXT(r, rec, framework, framework_id);
        rec.requests = (V1__Request **)requests;
        rec.n_requests = n;
    }
    r->inner_ops->request(r->inner, framework_id, requests, n);
}

/* ---- agents ---- */

static void record_agent(struct recorder *r, Alog__Record *rec, const struct allocator_agent *ag,
                         uint64_t now_us)
{
    Alog__Agent *pb = FL_ARENA_NEW(r->w.arena, Alog__Agent, alog__agent);

    alog_put_now(&r->w, rec, now_us);
    PUT_TEXT(r, *rec, agent, ag->id);
    PUT_RESOURCES(r, *rec, resources, ag->total);
    pb->info = (V1__AgentInfo *)ag->info;
    pb->capabilities = (V1__AgentInfo__Capability **)ag->capabilities;
    pb->n_capabilities = ag->n_capabilities;
    pb->unavailability = (V1__Unavailability *)ag->unavailability;
    pb->active = ag->active;
    pb->used = fl_arena_alloc(r->w.arena, (ag->n_used + 1) * sizeof(*pb->used));
    for (size_t i = 0; i < ag->n_used; i++) {
        pb->used[i] = FL_ARENA_NEW(r->w.arena, Alog__Agent__Used, alog__agent__used);
        pb->used[i]->framework = alog_text_ref(&r->w, ag->used[i].framework_id);
        pb->used[i]->resources = alog_resources_ref(&r->w, ag->used[i].res);
    }
    pb->n_used = ag->n_used;
    rec->agent_state = pb;
}

static void add_agent(struct allocator *a, const struct allocator_agent *ag, uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, ADD_AGENT)
    record_agent(r, &rec, ag, now_us);
    r->inner_ops->add_agent(r->inner, ag, now_us);
}

static void update_agent(struct allocator *a, const struct allocator_agent *ag, uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, UPDATE_AGENT)
    record_agent(r, &rec, ag, now_us);
    r->inner_ops->update_agent(r->inner, ag, now_us);
}

static void remove_agent(struct allocator *a, const char *agent_id)
{
    struct recorder *r = cast(a);

    RECORD(r, REMOVE_AGENT)
    PUT_TEXT(r, rec, agent, agent_id);
    r->inner_ops->remove_agent(r->inner, agent_id);
}

static void set_agent_active(struct allocator *a, const char *agent_id, bool active)
{
    struct recorder *r = cast(a);

    RECORD(r, SET_AGENT_ACTIVE)
    {
        PUT_TEXT(r, rec, agent, agent_id);
        put_flag(&rec, active);
    }
    r->inner_ops->set_agent_active(r->inner, agent_id, active);
}

static void set_whitelist(struct allocator *a, const char *const *hostnames, size_t n)
{
    struct recorder *r = cast(a);

    RECORD(r, SET_WHITELIST)
    {
        put_flag(&rec, hostnames != NULL);
        if (hostnames)
            alog_put_names(&r->w, &rec, hostnames, n);
    }
    r->inner_ops->set_whitelist(r->inner, hostnames, n);
}

static void set_unavailability(struct allocator *a, const char *agent_id,
                               const V1__Unavailability *u, uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, SET_UNAVAILABILITY)
    {
        alog_put_now(&r->w, &rec, now_us);
        PUT_TEXT(r, rec, agent, agent_id);
        rec.unavailability = (V1__Unavailability *)u;
    }
    r->inner_ops->set_unavailability(r->inner, agent_id, u, now_us);
}

/* ---- resources ---- */

static void record_held(struct recorder *r, Alog__Record *rec, const char *framework_id,
                        const char *agent_id, const struct resources *res)
{
    PUT_TEXT(r, *rec, framework, framework_id);
    PUT_TEXT(r, *rec, agent, agent_id);
    PUT_RESOURCES(r, *rec, resources, res);
}

static void transition_to_used(struct allocator *a, const char *framework_id, const char *agent_id,
                               const struct resources *res)
{
    struct recorder *r = cast(a);

    RECORD(r, TRANSITION_TO_USED)
    record_held(r, &rec, framework_id, agent_id, res);
    r->inner_ops->transition_to_used(r->inner, framework_id, agent_id, res);
}

static void add_used(struct allocator *a, const char *framework_id, const char *agent_id,
                     const struct resources *res)
{
    struct recorder *r = cast(a);

    RECORD(r, ADD_USED)
    record_held(r, &rec, framework_id, agent_id, res);
    r->inner_ops->add_used(r->inner, framework_id, agent_id, res);
}

static void recover(struct allocator *a, const char *framework_id, const char *agent_id,
                    const struct resources *res, const V1__Filters *filters, uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, RECOVER)
    {
        alog_put_now(&r->w, &rec, now_us);
        record_held(r, &rec, framework_id, agent_id, res);
        rec.filters = (V1__Filters *)filters;
    }
    r->inner_ops->recover(r->inner, framework_id, agent_id, res, filters, now_us);
}

static int update_allocation(struct allocator *a, const char *framework_id, const char *agent_id,
                             const struct resources *from, const struct resources *to,
                             struct fl_err *err)
{
    struct recorder *r = cast(a);
    struct fl_err why = {0};
    int rc;

    RECORD(r, UPDATE_ALLOCATION)
    {
        record_held(r, &rec, framework_id, agent_id, from);
        PUT_RESOURCES(r, rec, to, to);
    }
    rc = r->inner_ops->update_allocation(r->inner, framework_id, agent_id, from, to, &why);
    record_result(r, rc, &why);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

static void update_inverse_offer(struct allocator *a, const char *framework_id,
                                 const char *agent_id, const Alloc__InverseOfferStatus *status,
                                 const V1__Filters *filters, uint64_t now_us)
{
    struct recorder *r = cast(a);

    RECORD(r, UPDATE_INVERSE_OFFER)
    {
        alog_put_now(&r->w, &rec, now_us);
        PUT_TEXT(r, rec, framework, framework_id);
        PUT_TEXT(r, rec, agent, agent_id);
        rec.status = (Alloc__InverseOfferStatus *)status;
        rec.filters = (V1__Filters *)filters;
    }
    r->inner_ops->update_inverse_offer(r->inner, framework_id, agent_id, status, filters, now_us);
}

/* ---- shares ---- */

static Alog__Quantities *pack_quantities(struct recorder *r, const struct quantities *q)
{
    Alog__Quantities *pb;

    if (!q)
        return NULL;
    pb = FL_ARENA_NEW(r->w.arena, Alog__Quantities, alog__quantities);
    pb->amounts = fl_arena_alloc(r->w.arena, (q->n + 1) * sizeof(*pb->amounts));
    for (size_t i = 0; i < q->n; i++) {
        pb->amounts[i] =
            FL_ARENA_NEW(r->w.arena, Alog__Quantities__Amount, alog__quantities__amount);
        pb->amounts[i]->name = (char *)q->items[i].name;
        pb->amounts[i]->milli = q->items[i].amount;
    }
    pb->n_amounts = q->n;
    return pb;
}

static void set_quota(struct allocator *a, const char *role, const struct quantities *guarantees,
                      const struct quantities *limits)
{
    struct recorder *r = cast(a);

    RECORD(r, SET_QUOTA)
    {
        PUT_TEXT(r, rec, role, role);
        rec.guarantees = pack_quantities(r, guarantees);
        rec.limits = pack_quantities(r, limits);
    }
    r->inner_ops->set_quota(r->inner, role, guarantees, limits);
}

static void set_weight(struct allocator *a, const char *role, double weight)
{
    struct recorder *r = cast(a);

    RECORD(r, SET_WEIGHT)
    {
        PUT_TEXT(r, rec, role, role);
        rec.has_weight = true;
        rec.weight = weight;
    }
    r->inner_ops->set_weight(r->inner, role, weight);
}

static void set_paused(struct allocator *a, bool paused)
{
    struct recorder *r = cast(a);

    RECORD(r, SET_PAUSED)
    put_flag(&rec, paused);
    r->inner_ops->set_paused(r->inner, paused);
}

/* ---- running ---- */

static uint64_t run(struct allocator *a, uint64_t now_us, uint64_t budget_us, bool all)
{
    struct recorder *r = cast(a);
    uint64_t next;

    RECORD(r, RUN)
    {
        alog_put_now(&r->w, &rec, now_us);
        put_number(&rec, budget_us);
        put_flag(&rec, all);
    }
    next = r->inner_ops->run(r->inner, now_us, budget_us, all);
    RECORD(r, RAN)
    put_number(&rec, next);
    return next;
}

/* ---- reading: not recorded ---- */

static void each_inverse_status(const struct allocator *a, const char *agent_id,
                                void (*fn)(const Alloc__InverseOfferStatus *status, void *arg),
                                void *arg)
{
    cast(a)->inner_ops->each_inverse_status(cast(a)->inner, agent_id, fn, arg);
}

static double dominant_share(const struct allocator *a, const char *name)
{
    return cast(a)->inner_ops->dominant_share(cast(a)->inner, name);
}

static void numbers(const struct allocator *a,
                    void (*fn)(const char *name, double value, void *arg), void *arg)
{
    cast(a)->inner_ops->numbers(cast(a)->inner, fn, arg);
}

static void explain(const struct allocator *a, const char *framework_id, const char *agent_id,
                    uint64_t now_us, struct fl_buf *json)
{
    cast(a)->inner_ops->explain(cast(a)->inner, framework_id, agent_id, now_us, json);
}

/* ---- beginning and end ---- */

static void recorder_free(struct recorder *r)
{
    alog_writer_done(&r->w);
    r->magic = 0;
    free(r);
}

static void destroy(struct allocator *a)
{
    struct recorder *r = cast(a);

    r->inner_ops->destroy(r->inner);
    recorder_free(r);
}

/* A hook that the module lacks must be missing here, too: the master asks. */
static struct allocator_ops ops_like(const struct allocator_ops *inner)
{
#define OPTIONAL(hook) .hook = inner->hook ? hook : NULL
    return (struct allocator_ops){
        .abi = inner->abi,
        .name = inner->name,
        .create = inner->create,
        .destroy = destroy,
        .run = run,
        .add_framework = add_framework,
        .remove_framework = remove_framework,
        .update_framework = update_framework,
        .set_framework_active = set_framework_active,
        .add_agent = add_agent,
        .remove_agent = remove_agent,
        .update_agent = update_agent,
        .set_agent_active = set_agent_active,
        .set_whitelist = set_whitelist,
        .transition_to_used = transition_to_used,
        .recover = recover,
        .update_allocation = update_allocation,
        .add_used = add_used,
        .suppress = suppress,
        .revive = revive,
        .set_weight = set_weight,
        .set_paused = set_paused,
        OPTIONAL(request),
        OPTIONAL(set_quota),
        OPTIONAL(set_unavailability),
        OPTIONAL(update_inverse_offer),
        OPTIONAL(each_inverse_status),
        OPTIONAL(dominant_share),
        OPTIONAL(numbers),
        OPTIONAL(explain),
    };
#undef OPTIONAL
}

static void record_options(struct recorder *r, const struct allocator_options *o)
{
    Alog__Options pb = ALOG__OPTIONS__INIT;

    pb.allocation_interval_us = o->allocation_interval_us;
    pb.min_allocatable_resources = (char *)o->min_allocatable_resources;
    pb.fair_share_excluded = (char **)o->fair_share_excluded;
    pb.n_fair_share_excluded = o->n_fair_share_excluded;
    pb.role_sorter = (char *)o->role_sorter;
    pb.framework_sorter = (char *)o->framework_sorter;
    pb.filter_gpu_resources = o->filter_gpu_resources;
    pb.master_domain = (V1__DomainInfo *)o->master_domain;
    pb.random_seed = o->random_seed;
    pb.inverse_offer = r->cb.inverse_offer != NULL;
    pb.flush = r->cb.flush != NULL;
    RECORD(r, CREATE)
    rec.options = &pb;
}

int allocator_record_new(const struct allocator_ops *inner, const struct allocator_options *o,
                         const struct allocator_callbacks *cb, const struct allocator_sink *sink,
                         const struct allocator_ops **ret_ops, struct allocator **ret,
                         struct fl_err *err)
{
    struct recorder *r = xnew0(struct recorder);
    struct allocator_callbacks own = {
        .offer = on_offer,
        .inverse_offer = cb->inverse_offer ? on_inverse_offer : NULL,
        .flush = cb->flush ? on_flush : NULL,
        .arg = r,
    };
    struct fl_err why = {0};
    int rc;

    r->magic = RECORDER_MAGIC;
    r->ops = ops_like(inner);
    r->inner_ops = inner;
    r->cb = *cb;
    alog_writer_init(&r->w, sink);
    alog_write_header(&r->w, inner->name);
    record_options(r, o);
    rc = inner->create(o, &own, &r->inner, &why);
    record_result(r, rc, &why);
    if (rc < 0) {
        if (err)
            *err = why;
        recorder_free(r);
        return rc;
    }
    *ret_ops = &r->ops;
    *ret = (struct allocator *)r;
    return 0;
}
