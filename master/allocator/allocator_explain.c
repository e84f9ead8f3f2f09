/* Why a framework holds what it holds, and why it is not offered the rest: one JSON object, for `fairlead explain` and
 * GET /explain. docs/explain.md describes it for operators.
 *
 * For an agent and a role the same questions are asked as in a look (allocator_drf.c step 4), by the same functions, so the answer
 * cannot differ from what happens. Nothing is changed. Costs a look at each agent that is shown or counted.
 */
#include "common/model/roles.h"
#include "master/allocator/allocator_priv.h"

/* Agents whose answer is written out when all were asked for; the summary counts every one. */
#define MAX_AGENTS 1000
/* Others that are named in one list. */
#define MAX_OTHERS 5

const char *alloc_gate_name(enum alloc_gate g)
{
    static const char *const names[] = {
#define ALLOC_GATE(name, text, advice) [GATE_##name] = #name,
#include "master/allocator/gates.def"
#undef ALLOC_GATE
    };

    return names[g];
}

static const char *gate_advice(enum alloc_gate g)
{
    static const char *const advices[] = {
#define ALLOC_GATE(name, text, advice) [GATE_##name] = advice,
#include "master/allocator/gates.def"
#undef ALLOC_GATE
    };

    return advices[g];
}

/* ---- pieces ---- */

static void put_resources(struct json_out *j, const char *key, const struct resources *r)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    _cleanup_resources_ struct resources plain = RESOURCES_INIT;

    resources_copy(&plain, r);
    resources_unallocate(&plain);
    if (!resources_empty(&plain))
        resources_format(&plain, &text);
    json_kstr(j, key, fl_buf_cstr(&text));
}

static void put_vec(const struct allocator *a, struct json_out *j, const char *key,
                    const struct drf_vec *v)
{
    json_kobject(j, key);
    for (size_t i = 0; i < v->n; i++)
        if (v->v[i])
            json_kdouble(j, a->totals.scalars[i].name, milli_to_double(v->v[i]));
    json_end_object(j);
}

static const char *dominant(const struct allocator *a, const struct drf_vec *allocated)
{
    const char *name = "";
    double most = 0;

    for (size_t i = 0; i < allocated->n; i++) {
        milli_t total = drf_vec_at(&a->totals.total, i);
        double share = total > 0 && !a->totals.scalars[i].excluded
                           ? (double)allocated->v[i] / (double)total
                           : 0;
        if (share > most) {
            most = share;
            name = a->totals.scalars[i].name;
        }
    }
    return name;
}

static void put_share(const struct allocator *a, struct json_out *j, const struct alloc_client *c)
{
    json_kdouble(j, "dominant_share", drf_share(&a->totals, &c->drf.allocated, 1.0));
    json_kstr(j, "dominant_resource", dominant(a, &c->drf.allocated));
    json_kdouble(j, "role_share",
                 drf_share(&a->totals, &c->role->turn.allocated, c->role->turn.weight));
    json_kdouble(j, "weight", c->role->turn.weight);
}

static void put_other(const struct allocator *a, struct json_out *j, const struct alloc_client *c)
{
    json_kstr(j, "framework_id", c->framework->id);
    json_kstr(j, "role", c->role->name);
    put_share(a, j, c);
}

/* ---- a role of the framework ---- */

/* Who has a turn before it, of those that are active now. */
static void put_ahead(struct allocator *a, struct json_out *j, const struct alloc_client *mine)
{
    struct role_walk w;
    struct alloc_role *r;
    struct drf_client *d;
    size_t ahead = 0;
    bool found = false;

    /* To ask for a random order would draw it, and so change it. */
    if (a->tree.random || a->tree.framework_random)
        return;
    json_karray(j, "first_in_order");
    role_walk_begin(&w, &a->tree);
    while (!found && (r = role_walk_next(&w))) {
        drf_sorter_walk_begin(&r->frameworks);
        while (!found && (d = drf_sorter_walk_next(&r->frameworks))) {
            const struct alloc_client *c = container_of(d, struct alloc_client, drf);

            found = c == mine;
            if (!found && ahead++ < MAX_OTHERS) {
                json_object(j);
                put_other(a, j, c);
                json_end_object(j);
            }
        }
        drf_sorter_walk_end(&r->frameworks);
    }
    role_walk_end(&w);
    json_end_array(j);
    if (found)
        json_kuint(j, "ahead", ahead);
}

static void put_room(struct allocator *a, struct json_out *j, const char *key,
                     milli_t (*room)(const struct allocator *a, const struct alloc_role *r,
                                     size_t id),
                     const struct alloc_role *r)
{
    json_kobject(j, key);
    for (size_t i = 0; i < a->totals.n; i++) {
        milli_t left = room(a, r, i);

        if (left != ALLOC_NO_LIMIT)
            json_kdouble(j, a->totals.scalars[i].name, milli_to_double(left));
    }
    json_end_object(j);
}

static milli_t limit_of(const struct allocator *a, const struct alloc_role *r, size_t id)
{
    return r->quota ? alloc_quota_limit(r->quota, id) : ALLOC_NO_LIMIT;
}

static milli_t limit_room(const struct allocator *a, const struct alloc_role *r, size_t id)
{
    return alloc_limit_room(r, id);
}

static milli_t headroom(const struct allocator *a, const struct alloc_role *r, size_t id)
{
    return alloc_headroom_room(a, r, id);
}

static void put_quota(struct allocator *a, struct json_out *j, const struct alloc_role *r)
{
    const struct alloc_role *top = r->top;
    const struct alloc_quota *q;
    size_t n = 0;

    if (!a->quotas)
        return;
    json_kobject(j, "quota");
    json_kstr(j, "role", top->name);
    put_vec(a, j, "consumed", &top->consumed);
    if (top->quota) {
        put_vec(a, j, "guarantee", &top->quota->guarantee);
        put_room(a, j, "limit", limit_of, top);
        put_room(a, j, "left_by_limit", limit_room, top);
    }
    put_room(a, j, "left_by_guarantees_of_others", headroom, top);
    json_karray(j, "unmet_guarantees");
    DL_FOREACH (a->quotas, q) {
        if (!q->is_unmet || n++ >= MAX_OTHERS)
            continue;
        json_object(j);
        json_kstr(j, "role", q->role->name);
        put_vec(a, j, "unmet", &q->unmet);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

static double seconds_until(uint64_t at_us, uint64_t now_us)
{
    return at_us > now_us ? (double)(at_us - now_us) / 1e6 : 0;
}

static void put_gang(const struct allocator *a, struct json_out *j, const struct alloc_gang *g,
                     uint64_t now_us)
{
    const char *state = g->too_large ? "too large for the cluster" : "waiting";

    if (a->gatherer == g)
        state = "gathering";
    else if (now_us < g->rest_until_us && g->given_up)
        state = "resting";
    json_kobject(j, "gang");
    json_kstr(j, "state", state);
    put_vec(a, j, "total", &g->total);
    put_vec(a, j, "gathered", &g->gathered);
    if (a->gatherer == g) {
        json_kstr(j, "place", g->place);
        json_kdouble(j, "seconds_left", seconds_until(g->until_us, now_us));
    } else if (a->gatherer) {
        json_kstr(j, "gathering_now", a->gatherer->client->framework->id);
    }
    json_kuint(j, "delivered", g->delivered);
    json_kuint(j, "given_up", g->given_up);
    json_end_object(j);
}

static void put_role(struct allocator *a, struct json_out *j, const struct alloc_client *c,
                     uint64_t now_us)
{
    const struct alloc_filter_set *set;
    size_t filters = 0;

    DL_FOREACH2(c->filters, set, of_client_next)
    filters++;
    json_object(j);
    json_kstr(j, "role", c->role->name);
    json_kbool(j, "subscribed", c->subscribed);
    json_kbool(j, "suppressed", c->suppressed);
    put_share(a, j, c);
    put_vec(a, j, "allocated", &c->drf.allocated);
    json_kuint(j, "agents_with_filters", filters);
    put_ahead(a, j, c);
    put_quota(a, j, c->role);
    if (c->gang)
        put_gang(a, j, c->gang, now_us);
    json_end_object(j);
}

/* ---- an agent ---- */

struct answer {
    enum alloc_gate gate;
    struct resources could; /* what it would be offered, if the gate is open */
    const struct alloc_holding *holds;
};

static void ask(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                struct answer *ret)
{
    _cleanup_resources_ struct resources shared = RESOURCES_INIT;
    unsigned held;

    *ret = (struct answer){.gate = alloc_gate(a, ag, c), .holds = alloc_holding_find(ag, c)};
    if (ret->gate != GATE_OPEN)
        return;
    if (ag->has_shared)
        resources_shared(&ag->total, true, &shared);
    ret->gate = alloc_portion(
        a, ag, c, c->role->quota && c->role->quota->is_unmet ? STAGE_GUARANTEES : STAGE_SHARES,
        &shared, &ret->could, &held);
    if (ret->gate == GATE_OPEN && c->gang)
        ret->gate = GATE_GANG_WAITS;
    if (ret->gate == GATE_NOTHING_FREE && ret->holds)
        ret->gate = GATE_HOLDS;
}

static void put_filters(struct json_out *j, const struct alloc_agent *ag,
                        const struct alloc_client *c, uint64_t now_us)
{
    const struct alloc_filter_set *set = alloc_filter_set_find(ag, c);
    const struct alloc_filter *f;

    if (!set)
        return;
    json_karray(j, "filters");
    DL_FOREACH (set->filters, f) {
        json_object(j);
        put_resources(j, "refused", &f->refused);
        json_kdouble(j, "seconds_left", seconds_until(f->expires_us, now_us));
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_holders(const struct allocator *a, struct json_out *j, const struct alloc_agent *ag,
                        const struct alloc_client *mine)
{
    const struct alloc_holding *h;
    size_t n = 0;

    json_karray(j, "held_by_others");
    LL_FOREACH (ag->holdings, h) {
        if (h->client == mine || n++ >= MAX_OTHERS)
            continue;
        json_object(j);
        put_other(a, j, h->client);
        put_resources(j, "holds", &h->res);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_reserved(struct json_out *j, const struct alloc_agent *ag,
                         const struct alloc_client *c)
{
    _cleanup_free_ const char **roles = NULL;
    size_t n = resources_reservation_roles(&ag->free, &roles);

    json_karray(j, "free_but_reserved_to");
    for (size_t i = 0; i < n; i++)
        if (!streq(roles[i], c->role->name) && !role_is_strict_subrole(c->role->name, roles[i]))
            json_string(j, roles[i]);
    json_end_array(j);
}

static void put_agent(struct allocator *a, struct json_out *j, struct alloc_agent *ag,
                      struct alloc_client *c, const struct answer *ans, uint64_t now_us)
{
    json_object(j);
    json_kstr(j, "agent_id", ag->id);
    json_kstr(j, "hostname", ag->info->hostname);
    json_kstr(j, "role", c->role->name);
    json_kstr(j, "reason", alloc_gate_name(ans->gate));
    json_kstr(j, "why", alloc_gate_text(ans->gate));
    json_kstr(j, "advice", gate_advice(ans->gate));
    if (ans->holds)
        put_resources(j, "holds", &ans->holds->res);
    put_resources(j, "free", &ag->free);
    if (ans->gate == GATE_OPEN)
        put_resources(j, "would_be_offered", &ans->could);
    put_filters(j, ag, c, now_us);
    if (ans->gate == GATE_NOTHING_FREE || ans->gate == GATE_TOO_SMALL) {
        put_holders(a, j, ag, c);
        put_reserved(j, ag, c);
    }
    json_end_object(j);
}

/* ---- the whole ---- */

struct counts {
    size_t of[GATE_COUNT], holds, shown, left_out;
};

static void explain_agent(struct allocator *a, struct json_out *j, struct alloc_agent *ag,
                          const struct alloc_framework *f, uint64_t now_us, struct counts *n)
{
    struct alloc_client *c;

    LL_FOREACH (f->clients, c) {
        struct answer ans;

        ask(a, ag, c, &ans);
        n->of[ans.gate]++;
        n->holds += ans.holds != NULL;
        if (n->shown < MAX_AGENTS) {
            n->shown++;
            put_agent(a, j, ag, c, &ans, now_us);
        } else {
            n->left_out++;
        }
        resources_done(&ans.could);
    }
}

static void put_summary(struct json_out *j, const struct counts *n)
{
    json_kobject(j, "summary");
    json_kuint(j, "holds", n->holds);
    for (size_t g = 0; g < GATE_COUNT; g++)
        if (n->of[g])
            json_kuint(j, alloc_gate_name((enum alloc_gate)g), n->of[g]);
    json_kuint(j, "not_shown", n->left_out);
    json_end_object(j);
}

void alloc_explain(const struct allocator *ca, const char *framework_id, const char *agent_id,
                   uint64_t now_us, struct fl_buf *json)
{
    struct allocator *a = allocator_cast((struct allocator *)ca);
    struct alloc_framework *f = alloc_framework_find(a, framework_id);
    struct json_out j = json_out_on(json);
    struct counts n = {.holds = 0};
    struct alloc_client *c;

    json_object(&j);
    json_kstr(&j, "framework_id", framework_id);
    json_kbool(&j, "active", f && f->active);
    json_kbool(&j, "paused", a->paused);
    json_karray(&j, "roles");
    for (c = f ? f->clients : NULL; c; c = c->next)
        put_role(a, &j, c, now_us);
    json_end_array(&j);
    json_karray(&j, "agents");
    for (size_t i = 0; f && i < a->n_agents; i++)
        if (!agent_id || streq(a->agent_list[i]->id, agent_id))
            explain_agent(a, &j, a->agent_list[i], f, now_us, &n);
    json_end_array(&j);
    put_summary(&j, &n);
    json_end_object(&j);
}
