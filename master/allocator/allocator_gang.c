/* Gang offers: a framework that asked for them (common/model/gang.h) is offered agents of at least so much together, or nothing. Ours
 * alone; docs/gang-offers.md is for those who use it.
 *
 *   1. A gang client has its turn like any other, by share, but is not offered what it may have of one agent: that is noted.
 *   2. When everyone was asked, each waiting gang that was asked since its last try is tried, in the order of DRF: is what is free now, and what it has
 *      gathered, enough? Then all of it is offered at once, in one OFFERS event.
 *   3. With same=... the smallest place that is enough is taken; of equal ones the lower name.
 *   4. One gang at a time may gather: what it has a turn for is held for it. A held part counts as allocated to it, so it gets no
 *      more than its share lets it have before others, and quota counts it.
 *   5. It gathers for at most `hold`; then all it holds goes back to everyone, and it rests for as long, as it does after it was
 *      offered a gang. The next to gather is the first
 *      in the order of DRF that does not rest. So no two gangs can wait for each other, others lose at most what one gang
 *      needs for half of the time, and every gang has its turn to gather.
 *   6. A gang that the cluster could not hold if it were empty never gathers.
 *   7. A try costs a look at every agent. After one that failed the next comes no sooner than RETRY_US.
 */
#include "master/allocator/allocator_gang.h"

#define RETRY_US 100000

/* ---- parts ---- */

static bool is_waiting(const struct alloc_gang *g)
{
    return drf_client_is_active(&g->client->drf);
}

struct need {
    struct allocator *a;
    struct drf_vec
        left; /* what is still to be taken, by scalar; names that the gang does not name: all */
    const struct alloc_gang *g;
};

static milli_t take_needed(const char *name, milli_t amount, bool whole, void *arg)
{
    struct need *n = arg;
    size_t id = drf_scalar_id(&n->a->totals, name);
    milli_t left = drf_vec_at(&n->left, id), taken;

    if (drf_vec_at(&n->g->total, id) <= 0)
        return amount;
    taken = amount <= left ? amount : whole ? 0 : FL_MAX(left, 0);
    drf_vec_add_at(&n->left, id, -taken);
    return taken;
}

/* What is to be taken of an agent that has `have`: whole units, of which the last may be more than is needed. */
static void put_need(const struct alloc_gang *g, const struct drf_vec *have, struct drf_vec *left)
{
    uint64_t units, wanted;

    drf_vec_copy(left, &g->total);
    drf_vec_sub(left, &g->gathered);
    if (!gang_has_unit(g))
        return;
    wanted = gang_units_in(g, left);
    for (size_t i = 0; i < g->unit.n; i++)
        if (g->unit.v[i] > 0 && drf_vec_at(left, i) > (milli_t)wanted * g->unit.v[i])
            wanted++;
    units = FL_MIN(gang_units_in(g, have), wanted);
    for (size_t i = 0; i < g->unit.n; i++)
        if (g->unit.v[i] > 0)
            drf_vec_add_at(left, i, (milli_t)units * g->unit.v[i] - drf_vec_at(left, i));
}

static void add_part(struct allocator *a, struct alloc_gang *g, struct alloc_agent *ag,
                     struct resources *res)
{
    _cleanup_vec_ struct drf_vec amounts = DRF_VEC_INIT;

    drf_vec_add_resources(&amounts, &a->totals, res);
    gang_add_useful(g, &amounts, &g->gathered);
    resources_allocate(res, g->client->role->name);
    alloc_hold(a, ag, g->client, res);
    g->parts = xgrow(g->parts, &g->parts_cap, g->n_parts + 1, sizeof(*g->parts));
    g->parts[g->n_parts++] = (struct alloc_gang_part){.agent = ag, .res = *res};
    *res = (struct resources)RESOURCES_INIT;
    ag->n_gang_parts++;
}

/* Holds what the gang needs of the agent and may have. */
static void gather(struct allocator *a, struct alloc_gang *g, struct alloc_agent *ag)
{
    _cleanup_resources_ struct resources may = RESOURCES_INIT, part = RESOURCES_INIT;
    _cleanup_vec_ struct drf_vec have = DRF_VEC_INIT, useful = DRF_VEC_INIT;
    struct need need = {.a = a, .g = g};

    if (drf_vec_covers(&g->gathered, &g->total) || resources_empty(&ag->free) ||
        !gang_portion(a, g, ag, &may))
        return;
    drf_vec_add_resources(&have, &a->totals, &may);
    put_need(g, &have, &need.left);
    /* Reservations are never cut: what they bring need not be taken elsewhere. */
    drf_vec_sub(&need.left, &have);
    alloc_add_counted(a, &need.left, &may);
    resources_chop(&may, take_needed, &need, &part);
    drf_vec_done(&need.left);
    drf_vec_clear(&have);
    drf_vec_add_resources(&have, &a->totals, &part);
    gang_add_useful(g, &have, &useful);
    if (!drf_vec_is_zero(&useful))
        add_part(a, g, ag, &part);
}

static void drop_part(struct allocator *a, struct alloc_gang *g, size_t i, bool touch)
{
    struct alloc_gang_part p = g->parts[i];
    struct drf_vec amounts = DRF_VEC_INIT, useful = DRF_VEC_INIT;

    g->parts[i] = g->parts[--g->n_parts];
    drf_vec_add_resources(&amounts, &a->totals, &p.res);
    gang_add_useful(g, &amounts, &useful);
    drf_vec_sub(&g->gathered, &useful);
    drf_vec_done(&amounts);
    drf_vec_done(&useful);
    p.agent->n_gang_parts--;
    alloc_unhold(a, p.agent, g->client, &p.res);
    if (touch)
        alloc_touch(a, p.agent);
    resources_done(&p.res);
}

/* The client may be released with its last part; it is kept while it is subscribed. */
static bool stop_gathering(struct allocator *a, struct alloc_gang *g)
{
    bool any = g->n_parts > 0;

    while (g->n_parts)
        drop_part(a, g, g->n_parts - 1, true);
    free(g->place);
    g->place = NULL;
    if (a->gatherer == g)
        a->gatherer = NULL;
    return any;
}

/* ---- steps 2 and 3 ---- */

static void deliver(struct allocator *a, struct alloc_gang *g, uint64_t now_us)
{
    if (a->cb.flush)
        a->cb.flush(a->cb.arg);
    for (size_t i = 0; i < g->n_parts; i++) {
        struct alloc_gang_part *p = &g->parts[i];

        p->agent->n_gang_parts--;
        alloc_holding_find(p->agent, g->client)->used_of_last_offer = false;
        alloc_give(a, p->agent, g->client, &p->res);
        resources_done(&p->res);
    }
    if (a->cb.flush)
        a->cb.flush(a->cb.arg);
    g->n_parts = 0;
    drf_vec_clear(&g->gathered);
    stop_gathering(a, g);
    /* Whether it wants another one shows in its answer: until then nothing is held for it. */
    g->rest_until_us = now_us + g->spec.hold_us;
    g->wants_to_gather = false;
    g->delivered++;
    a->counts.gangs_delivered++;
}

static bool in_place(const struct alloc_gang *g, const struct alloc_agent *ag, const char *place)
{
    _cleanup_free_ char *name = gang_place_of(g, ag);

    return name && streq(name, place);
}

static void gather_all(struct allocator *a, struct alloc_gang *g, const char *place)
{
    for (size_t i = 0; i < a->n_agents && !drf_vec_covers(&g->gathered, &g->total); i++)
        if (in_place(g, a->agent_list[i], place))
            gather(a, g, a->agent_list[i]);
}

/* What was planned can come out short where quota limits the sum: then nothing is kept of it. */
static bool take_at(struct allocator *a, struct alloc_gang *g, const char *place, uint64_t now_us)
{
    size_t had = g->n_parts;

    gather_all(a, g, place);
    if (drf_vec_covers(&g->gathered, &g->total)) {
        deliver(a, g, now_us);
        return true;
    }
    while (a->gatherer != g && g->n_parts > had)
        drop_part(a, g, g->n_parts - 1, false);
    return false;
}

/* A cheap look before the dear one. What is reserved is in no sum. */
static bool may_be_enough(const struct allocator *a, const struct alloc_gang *g)
{
    for (const struct alloc_role *r = g->client->role; r; r = r->parent)
        if (r->n_reserved)
            return true;
    for (size_t i = 0; i < g->total.n; i++)
        if (drf_vec_at(&a->spare, i) + drf_vec_at(&g->gathered, i) < g->total.v[i])
            return false;
    return true;
}

static bool try_gang(struct allocator *a, struct alloc_gang *g, uint64_t now_us)
{
    struct gang_place *places = NULL, *p;
    bool done = false;

    g->asked = false;
    g->next_try_us = now_us + RETRY_US;
    a->counts.gang_tries++;
    gang_survey(a, g, &places);
    p = gang_smallest_enough(g, places);
    /* What is held elsewhere helps nobody here. */
    if (p && g->place && !streq(g->place, p->name))
        stop_gathering(a, g);
    if (p)
        done = take_at(a, g, p->name, now_us);
    gang_places_free(&places);
    return done;
}

/* ---- steps 4 to 6 ---- */

/* Becomes the one that gathers, if there is anything for it now: on the agent at which it has its turn, or, when everyone was
 * asked, anywhere. */
static void start_gathering(struct allocator *a, struct alloc_gang *g,
                            struct alloc_agent *turn_or_null, uint64_t now_us)
{
    struct gang_place *places = NULL, *p;

    g->wants_to_gather = false;
    gang_survey(a, g, &places);
    p = gang_best_to_gather(g, places);
    g->too_large = p == NULL;
    if (turn_or_null)
        p = gang_place_at(g, places, turn_or_null);
    if (p) {
        a->gatherer = g;
        g->place = xstrdup(p->name);
        g->until_us = now_us + g->spec.hold_us;
        if (turn_or_null)
            gather(a, g, turn_or_null);
        else
            gather_all(a, g, p->name);
    }
    if (!g->n_parts) {
        stop_gathering(a, g);
        g->rest_until_us = now_us + RETRY_US;
    }
    gang_places_free(&places);
}

static bool may_start(const struct allocator *a, const struct alloc_gang *g, uint64_t now_us)
{
    return !a->gatherer && g->spec.hold_us && now_us >= g->rest_until_us;
}

static bool give_up_when_due(struct allocator *a, uint64_t now_us)
{
    struct alloc_gang *g = a->gatherer;

    if (!g || now_us < g->until_us)
        return false;
    g->rest_until_us = now_us + g->spec.hold_us;
    g->wants_to_gather = true;
    g->given_up++;
    a->counts.gangs_given_up++;
    return stop_gathering(a, g);
}

/* ---- in the run ---- */

static size_t waiting_in_order(struct allocator *a, struct alloc_client ***ret)
{
    struct alloc_gang *g;
    size_t n = 0;

    DL_FOREACH (a->gangs, g)
        n += is_waiting(g);
    a->candidates = xgrow(a->candidates, &a->candidates_cap, n + 1, sizeof(struct alloc_client *));
    n = 0;
    DL_FOREACH (a->gangs, g)
        if (is_waiting(g))
            a->candidates[n++] = g->client;
    alloc_clients_sort(a->candidates, n);
    *ret = a->candidates;
    return n;
}

bool alloc_gangs_run(struct allocator *a, uint64_t now_us)
{
    struct alloc_client **list;
    size_t n;
    bool freed;

    if (!a->gangs)
        return false;
    freed = give_up_when_due(a, now_us);
    if (a->gatherer && drf_vec_covers(&a->gatherer->gathered, &a->gatherer->total))
        deliver(a, a->gatherer, now_us);
    n = waiting_in_order(a, &list);
    for (size_t i = 0; i < n; i++) {
        struct alloc_gang *g = list[i]->gang;

        if (g->asked && now_us >= g->next_try_us && may_be_enough(a, g))
            try_gang(a, g, now_us);
    }
    /* What was just given back is everyone's first. */
    for (size_t i = 0; i < n && !freed; i++) {
        struct alloc_gang *g = list[i]->gang;

        if (g->wants_to_gather && may_start(a, g, now_us))
            start_gathering(a, g, NULL, now_us);
    }
    return freed;
}

uint64_t alloc_gangs_next(const struct allocator *a)
{
    const struct alloc_gang *g;
    uint64_t next = a->gatherer ? a->gatherer->until_us : UINT64_MAX;

    DL_FOREACH (a->gangs, g) {
        if (!is_waiting(g))
            continue;
        if (g->asked && may_be_enough(a, g))
            next = FL_MIN(next, g->next_try_us);
        if (!a->gatherer && g->spec.hold_us && g->wants_to_gather)
            next = FL_MIN(next, g->rest_until_us);
    }
    return next;
}

void alloc_gang_ask(struct allocator *a, struct alloc_agent *ag, struct alloc_client *c,
                    uint64_t now_us)
{
    struct alloc_gang *g = c->gang;

    g->asked = g->wants_to_gather = true;
    if (may_start(a, g, now_us))
        start_gathering(a, g, ag, now_us);
    else if (a->gatherer == g && in_place(g, ag, g->place))
        gather(a, g, ag);
}

/* ---- what comes and goes ---- */

void alloc_gang_drop(struct allocator *a, struct alloc_client *c)
{
    if (c->gang)
        stop_gathering(a, c->gang);
}

void alloc_gang_forget_agent(struct allocator *a, struct alloc_agent *ag)
{
    struct alloc_gang *g = a->gatherer;

    for (size_t i = g && ag->n_gang_parts ? g->n_parts : 0; i-- > 0;)
        if (g->parts[i].agent == ag)
            drop_part(a, g, i, true);
}

static void gang_free(struct allocator *a, struct alloc_client *c)
{
    struct alloc_gang *g = c->gang;

    if (!g)
        return;
    stop_gathering(a, g);
    DL_DELETE(a->gangs, g);
    c->gang = NULL;
    gang_done(&g->spec);
    drf_vec_done(&g->unit);
    drf_vec_done(&g->total);
    drf_vec_done(&g->gathered);
    free(g->parts);
    free(g);
}

static void vec_of(struct allocator *a, const struct quantities *q, struct drf_vec *ret)
{
    for (size_t i = 0; i < q->n; i++)
        drf_vec_add_at(ret, drf_scalar_id(&a->totals, q->items[i].name), q->items[i].amount);
}

void alloc_gang_set(struct allocator *a, struct alloc_client *c,
                    const V1__FrameworkInfo *info_or_null)
{
    struct gang spec = {.count = 0};
    struct alloc_gang *g;

    /* The master refused labels that make no sense; whoever did not has no gang. */
    if (!info_or_null || gang_of_framework(info_or_null, c->role->name, &spec, NULL) <= 0) {
        gang_free(a, c);
        return;
    }
    if (c->gang && gang_equal(&c->gang->spec, &spec)) {
        gang_done(&spec);
        return;
    }
    gang_free(a, c);
    g = xnew0(struct alloc_gang);
    g->client = c;
    g->spec = spec;
    vec_of(a, &spec.unit, &g->unit);
    vec_of(a, &spec.total, &g->total);
    DL_APPEND(a->gangs, g);
    c->gang = g;
}
