/* The inputs of a log as calls of the module. What the records name was checked by nobody before: each is checked here. */
#include "common/model/regex.h"
#include "master/allocator/replay_priv.h"

/* NULL, and the log has failed, when the record names no resources. */
static const struct resources *resources_of(struct replay *p, uint32_t ref)
{
    const struct resources *res = NULL;
    struct fl_err err;

    if (alog_resources(&p->reader, ref, &res, &err) < 0)
        replay_fail(p, &err);
    return res;
}

static const char *need_text(struct replay *p, uint32_t ref)
{
    const char *text = alog_text(&p->reader, ref);
    struct fl_err err;

    if (!text) {
        fl_err_set(&err, FL_INVALID, "allocator log: record %llu lacks a name",
                   (unsigned long long)p->input_number);
        replay_fail(p, &err);
    }
    return text;
}

static void malformed(struct replay *p)
{
    struct fl_err err;

    fl_err_set(&err, FL_INVALID, "allocator log: record %llu, %s, is not complete or out of place",
               (unsigned long long)p->input_number, replay_kind_name(p->input->kind));
    replay_fail(p, &err);
}

static void play_create(struct replay *p, const Alog__Record *rec)
{
    const Alog__Options *pb = rec->options;
    struct allocator_callbacks cb = replay_callbacks(p);
    struct fl_err err = {0};
    int rc;

    if (!pb || p->a) {
        malformed(p);
        return;
    }
    struct allocator_options o = {
        .allocation_interval_us = pb->allocation_interval_us,
        .min_allocatable_resources = pb->min_allocatable_resources,
        .fair_share_excluded = (const char *const *)pb->fair_share_excluded,
        .n_fair_share_excluded = pb->n_fair_share_excluded,
        .role_sorter = pb->role_sorter,
        .framework_sorter = pb->framework_sorter,
        .filter_gpu_resources = pb->filter_gpu_resources,
        .master_domain = pb->master_domain,
        .random_seed = pb->random_seed,
    };
    cb.inverse_offer = pb->inverse_offer ? cb.inverse_offer : NULL;
    cb.flush = pb->flush ? cb.flush : NULL;
    rc = p->ops->create(&o, &cb, &p->a, &err);
    replay_check_result(p, rc, &err);
}

static void play_run(struct replay *p, const Alog__Record *rec)
{
    replay_check_ran(p, p->ops->run(p->a, p->reader.now_us, rec->number, rec->flag));
}

/* The compiled constraints, kept while the framework is there. The older ones are freed by the caller, when the module has
 * heard of these. */
static struct offer_constraints *put_constraints(struct replay *p, const char *id,
                                                 const Sched__OfferConstraints *pb,
                                                 struct offer_constraints **ret_old)
{
    struct offer_constraints *made = NULL;
    struct replay_framework *f;
    _cleanup_free_ const char **roles = NULL;
    struct fl_err err;
    /* They have passed the bounds of the master that recorded them, which are flags; a log may still not take all memory. */
    const struct fl_regex_limits limits = {(int64_t)64 << 20, 1000000};

    *ret_old = NULL;
    if (pb) {
        roles = xcalloc(pb->n_role_constraints + 1, sizeof(*roles));
        for (size_t i = 0; i < pb->n_role_constraints; i++)
            roles[i] = pb->role_constraints[i]->key;
        if (offer_constraints_new(pb, roles, pb->n_role_constraints, &limits, &made, &err) < 0) {
            replay_fail(p, &err);
            return NULL;
        }
    }
    HASH_FIND_STR(p->frameworks, id, f);
    if (!f) {
        f = xnew0(struct replay_framework);
        f->id = xstrdup(id);
        HASH_ADD_KEYPTR(hh, p->frameworks, f->id, strlen(f->id), f);
    }
    *ret_old = f->constraints;
    f->constraints = made;
    return made;
}

static void drop_framework(struct replay *p, struct replay_framework *f)
{
    HASH_DEL(p->frameworks, f);
    offer_constraints_free(f->constraints);
    free(f->id);
    free(f);
}

static void play_framework(struct replay *p, const Alog__Record *rec)
{
    const Alog__Framework *pb = rec->framework_state;
    const char *id = need_text(p, rec->framework);
    struct offer_constraints *old;

    if (!pb || !id) {
        malformed(p);
        return;
    }
    struct allocator_framework f = {
        .id = id,
        .info = pb->info,
        .suppressed_roles = pb->suppressed_roles,
        .n_suppressed = pb->n_suppressed_roles,
        .constraints = put_constraints(p, id, pb->constraints, &old),
        .constraints_pb = pb->constraints,
        .active = pb->active,
    };
    if (replay_over(p))
        return;
    if (rec->kind == ALOG__RECORD__KIND__ADD_FRAMEWORK)
        p->ops->add_framework(p->a, &f, p->reader.now_us);
    else
        p->ops->update_framework(p->a, &f, p->reader.now_us);
    offer_constraints_free(old);
}

static void play_remove_framework(struct replay *p, const Alog__Record *rec)
{
    const char *id = need_text(p, rec->framework);
    struct replay_framework *f;

    if (!id)
        return;
    p->ops->remove_framework(p->a, id);
    HASH_FIND_STR(p->frameworks, id, f);
    if (f)
        drop_framework(p, f);
}

static void play_set_framework_active(struct replay *p, const Alog__Record *rec)
{
    const char *id = need_text(p, rec->framework);

    if (id)
        p->ops->set_framework_active(p->a, id, rec->flag);
}

static struct allocator_used *used_of(struct replay *p, const Alog__Agent *pb)
{
    struct allocator_used *used = fl_arena_alloc(p->input_arena, (pb->n_used + 1) * sizeof(*used));

    for (size_t i = 0; i < pb->n_used; i++)
        used[i] = (struct allocator_used){need_text(p, pb->used[i]->framework),
                                          resources_of(p, pb->used[i]->resources)};
    return used;
}

static void play_agent(struct replay *p, const Alog__Record *rec)
{
    const Alog__Agent *pb = rec->agent_state;
    const char *id = need_text(p, rec->agent);
    const struct resources *total = resources_of(p, rec->resources);

    if (!pb || !id || !total) {
        malformed(p);
        return;
    }
    struct allocator_agent ag = {
        .id = id,
        .info = pb->info,
        .total = total,
        .capabilities = pb->capabilities,
        .n_capabilities = pb->n_capabilities,
        .unavailability = pb->unavailability,
        .active = pb->active,
        .used = used_of(p, pb),
        .n_used = pb->n_used,
    };
    if (replay_over(p))
        return;
    if (rec->kind == ALOG__RECORD__KIND__ADD_AGENT)
        p->ops->add_agent(p->a, &ag, p->reader.now_us);
    else
        p->ops->update_agent(p->a, &ag, p->reader.now_us);
}

static void play_remove_agent(struct replay *p, const Alog__Record *rec)
{
    const char *id = need_text(p, rec->agent);

    if (id)
        p->ops->remove_agent(p->a, id);
}

static void play_set_agent_active(struct replay *p, const Alog__Record *rec)
{
    const char *id = need_text(p, rec->agent);

    if (id)
        p->ops->set_agent_active(p->a, id, rec->flag);
}

/* NULL, and the log has failed, when one is not there. */
static const char **names_of(struct replay *p, const Alog__Record *rec)
{
    const char **names = fl_arena_alloc(p->input_arena, (rec->n_names + 1) * sizeof(*names));

    for (size_t i = 0; i < rec->n_names; i++)
        names[i] = need_text(p, rec->names[i]);
    return p->failed.code ? NULL : names;
}

static void play_set_whitelist(struct replay *p, const Alog__Record *rec)
{
    const char **names = names_of(p, rec);

    if (names)
        p->ops->set_whitelist(p->a, rec->flag ? names : NULL, rec->n_names);
}

static void play_held(struct replay *p, const Alog__Record *rec)
{
    const char *framework = need_text(p, rec->framework), *agent = need_text(p, rec->agent);
    const struct resources *res = resources_of(p, rec->resources);

    if (replay_over(p))
        return;
    if (rec->kind == ALOG__RECORD__KIND__TRANSITION_TO_USED)
        p->ops->transition_to_used(p->a, framework, agent, res);
    else if (rec->kind == ALOG__RECORD__KIND__ADD_USED)
        p->ops->add_used(p->a, framework, agent, res);
    else
        p->ops->recover(p->a, framework, agent, res, rec->filters, p->reader.now_us);
}

static void play_update_allocation(struct replay *p, const Alog__Record *rec)
{
    const char *agent = need_text(p, rec->agent);
    const struct resources *from = resources_of(p, rec->resources), *to = resources_of(p, rec->to);
    struct fl_err err = {0};
    int rc;

    if (replay_over(p))
        return;
    rc = p->ops->update_allocation(p->a, alog_text(&p->reader, rec->framework), agent, from, to,
                                   &err);
    replay_check_result(p, rc, &err);
}

static void play_roles(struct replay *p, const Alog__Record *rec)
{
    const char *id = need_text(p, rec->framework);
    const char **roles = names_of(p, rec);

    if (!id || !roles)
        return;
    if (rec->kind == ALOG__RECORD__KIND__SUPPRESS)
        p->ops->suppress(p->a, id, roles, rec->n_names);
    else
        p->ops->revive(p->a, id, roles, rec->n_names, p->reader.now_us);
}

static void play_request(struct replay *p, const Alog__Record *rec)
{
    const char *id = need_text(p, rec->framework);

    if (id && p->ops->request)
        p->ops->request(p->a, id, rec->requests, rec->n_requests);
}

static const struct quantities *quantities_of(const Alog__Quantities *pb, struct quantities *out)
{
    if (!pb)
        return NULL;
    for (size_t i = 0; i < pb->n_amounts; i++)
        quantities_set(out, pb->amounts[i]->name, pb->amounts[i]->milli);
    return out;
}

static void play_set_quota(struct replay *p, const Alog__Record *rec)
{
    _cleanup_quantities_ struct quantities guarantees = QUANTITIES_INIT, limits = QUANTITIES_INIT;
    const char *role = need_text(p, rec->role);

    if (role && p->ops->set_quota)
        p->ops->set_quota(p->a, role, quantities_of(rec->guarantees, &guarantees),
                          quantities_of(rec->limits, &limits));
}

static void play_set_weight(struct replay *p, const Alog__Record *rec)
{
    const char *role = need_text(p, rec->role);

    if (role)
        p->ops->set_weight(p->a, role, rec->weight);
}

static void play_set_unavailability(struct replay *p, const Alog__Record *rec)
{
    const char *id = need_text(p, rec->agent);

    if (id && p->ops->set_unavailability)
        p->ops->set_unavailability(p->a, id, rec->unavailability, p->reader.now_us);
}

static void play_update_inverse_offer(struct replay *p, const Alog__Record *rec)
{
    const char *framework = need_text(p, rec->framework), *agent = need_text(p, rec->agent);

    if (framework && agent && p->ops->update_inverse_offer)
        p->ops->update_inverse_offer(p->a, framework, agent, rec->status, rec->filters,
                                     p->reader.now_us);
}

static void play_set_paused(struct replay *p, const Alog__Record *rec)
{
    p->ops->set_paused(p->a, rec->flag);
}

#define KIND(name) [ALOG__RECORD__KIND__##name]
static void (*const plays[REPLAY_KINDS])(struct replay *p, const Alog__Record *rec) = {
    KIND(CREATE) = play_create,
    KIND(RUN) = play_run,
    KIND(ADD_FRAMEWORK) = play_framework,
    KIND(UPDATE_FRAMEWORK) = play_framework,
    KIND(REMOVE_FRAMEWORK) = play_remove_framework,
    KIND(SET_FRAMEWORK_ACTIVE) = play_set_framework_active,
    KIND(ADD_AGENT) = play_agent,
    KIND(UPDATE_AGENT) = play_agent,
    KIND(REMOVE_AGENT) = play_remove_agent,
    KIND(SET_AGENT_ACTIVE) = play_set_agent_active,
    KIND(SET_WHITELIST) = play_set_whitelist,
    KIND(TRANSITION_TO_USED) = play_held,
    KIND(ADD_USED) = play_held,
    KIND(RECOVER) = play_held,
    KIND(UPDATE_ALLOCATION) = play_update_allocation,
    KIND(SUPPRESS) = play_roles,
    KIND(REVIVE) = play_roles,
    KIND(REQUEST) = play_request,
    KIND(SET_QUOTA) = play_set_quota,
    KIND(SET_WEIGHT) = play_set_weight,
    KIND(SET_UNAVAILABILITY) = play_set_unavailability,
    KIND(UPDATE_INVERSE_OFFER) = play_update_inverse_offer,
    KIND(SET_PAUSED) = play_set_paused,
};

bool replay_input(struct replay *p, const Alog__Record *rec)
{
    unsigned kind = (unsigned)rec->kind;

    if (kind >= REPLAY_KINDS || !plays[kind] || (!p->a && kind != ALOG__RECORD__KIND__CREATE))
        malformed(p);
    else
        plays[kind](p, rec);
    return !p->failed.code;
}

void replay_drop_frameworks(struct replay *p)
{
    struct replay_framework *f, *next;

    HASH_ITER (hh, p->frameworks, f, next)
        drop_framework(p, f);
}
