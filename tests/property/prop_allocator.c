/* Properties of the built-in allocator over seeded random histories. After every event:
 *   - on every agent free + held == total, nothing negative, and what the allocator thinks is held is what this test
 *     was offered and has not given back;
 *   - no offer went to a suppressed, inactive or absent role, or within a filter;
 *   - the shares in the order are those of the holdings.
 * A failure prints the seed: `prop_allocator SEED` repeats it.
 */
#include <check.h>

#include "master/allocator/allocator_priv.h"
#include "tests/unit/allocator_harness.h"

enum { FRAMEWORKS = 8, AGENTS = 12, ROLES = 3, STEPS = 1500, SEEDS = 25 };

static const char *const role_names[ROLES] = {"*", "eng", "eng/web"};
static const char *const totals[] = {
    "cpus:4;mem:1024;disk:100;ports:[1-20]",
    "cpus:8;mem:512",
    "cpus:2;mem:2048;cpus(eng):2;mem(eng):256",
    "cpus:16;mem:4096;ports:[100-200];gpus:1",
};

struct refusal {
    size_t framework, role, agent;
    struct resources res;
    uint64_t until;
};
struct used {
    char framework[16], role[16], agent[16];
    struct resources res;
    bool there;
};

struct world {
    struct harness h;
    uint64_t random;
    bool here[FRAMEWORKS], active[FRAMEWORKS], suppressed[FRAMEWORKS][ROLES];
    bool agent_here[AGENTS];
    struct refusal *refusals;
    size_t n_refusals, refusals_cap;
    struct used *used;
    size_t n_used, used_cap;
    size_t seen; /* offers checked so far */
};

static unsigned rnd(struct world *w, unsigned n)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->random >> 33) % n;
}

static void name(char out[16], char kind, size_t i)
{
    fl_snprintf(out, 16, "%c%zu", kind, i);
}

static size_t role_index(const char *role)
{
    for (size_t i = 0; i < ROLES; i++)
        if (streq(role, role_names[i]))
            return i;
    ck_abort_msg("role '%s'", role);
}

static size_t id_index(const char *id)
{
    uint64_t i;

    ck_assert_int_eq(fl_parse_u64(id + 1, &i), 0);
    return (size_t)i;
}

/* ---- the checks ---- */

static void check_offers(struct world *w)
{
    for (; w->seen < w->h.n; w->seen++) {
        struct h_offer *o = &w->h.offers[w->seen];
        size_t f = id_index(o->framework), r = role_index(o->role), ag = id_index(o->agent);
        _cleanup_resources_ struct resources bare = RESOURCES_INIT;

        ck_assert(w->here[f] && w->active[f] && !w->suppressed[f][r]);
        ck_assert(w->agent_here[ag]);
        ck_assert(!resources_empty(&o->res));
        resources_copy(&bare, &o->res);
        resources_unallocate(&bare);
        for (size_t i = 0; i < w->n_refusals; i++) {
            const struct refusal *x = &w->refusals[i];

            ck_assert(x->framework != f || x->role != r || x->agent != ag || x->until <= w->h.now ||
                      !resources_contains(&x->res, &bare));
        }
    }
}

/* All that this test has been given on the agent and still holds. */
static void sum_of_mine(struct world *w, const char *agent, struct resources *out)
{
    for (size_t i = 0; i < w->h.n; i++)
        if (!w->h.offers[i].gone && streq(w->h.offers[i].agent, agent))
            resources_add(out, &w->h.offers[i].res);
    for (size_t i = 0; i < w->n_used; i++)
        if (w->used[i].there && streq(w->used[i].agent, agent))
            resources_add(out, &w->used[i].res);
}

static void check_agent(struct world *w, const struct alloc_agent *ag)
{
    _cleanup_resources_ struct resources sum = RESOURCES_INIT, held = RESOURCES_INIT;
    _cleanup_resources_ struct resources mine = RESOURCES_INIT;
    _cleanup_vec_ struct drf_vec free_vec = DRF_VEC_INIT;
    const struct alloc_holding *x;

    LL_FOREACH (ag->holdings, x)
        resources_add(&held, &x->res);
    sum_of_mine(w, ag->id, &mine);
    ck_assert(resources_equal(&held, &mine));
    resources_copy(&sum, &held);
    resources_unallocate(&sum);
    resources_add(&sum, &ag->free);
    ck_assert(resources_equal(&sum, &ag->total));
    drf_vec_add_resources(&free_vec, &w->h.a->totals, &ag->free);
    for (size_t i = 0; i < FL_MAX(free_vec.n, ag->free_vec.n); i++)
        ck_assert_int_eq(drf_vec_at(&free_vec, i), drf_vec_at(&ag->free_vec, i));
}

static void check_shares(struct world *w)
{
    struct allocator *a = w->h.a;
    struct alloc_framework *f;
    struct alloc_client *c;

    for (f = a->frameworks; f; f = f->hh.next)
        LL_FOREACH (f->clients, c) {
            _cleanup_vec_ struct drf_vec sum = DRF_VEC_INIT;
            size_t holdings = 0;

            for (size_t i = 0; i < a->n_agents; i++) {
                struct alloc_holding *x = alloc_holding_find(a->agent_list[i], c);

                holdings += x != NULL;
                if (x)
                    drf_vec_add_resources(&sum, &a->totals, &x->res);
            }
            ck_assert_uint_eq(holdings, c->n_holdings);
            drf_vec_sub(&sum, &c->drf.allocated);
            ck_assert(drf_vec_is_zero(&sum));
        }
}

/* ---- the events ---- */

static void forget_refusals(struct world *w, size_t f, size_t r, size_t ag)
{
    for (size_t i = w->n_refusals; i-- > 0;) {
        struct refusal *x = &w->refusals[i];

        if ((f != SIZE_MAX && x->framework != f) || (r != SIZE_MAX && x->role != r) ||
            (ag != SIZE_MAX && x->agent != ag))
            continue;
        resources_done(&x->res);
        *x = w->refusals[--w->n_refusals];
    }
}

static void forget_mine(struct world *w, const char *framework, const char *agent)
{
    for (size_t i = 0; i < w->h.n; i++)
        if ((framework && streq(w->h.offers[i].framework, framework)) ||
            (agent && streq(w->h.offers[i].agent, agent)))
            w->h.offers[i].gone = true;
    for (size_t i = 0; i < w->n_used; i++)
        if ((framework && streq(w->used[i].framework, framework)) ||
            (agent && streq(w->used[i].agent, agent)))
            w->used[i].there = false;
}

static void event_framework(struct world *w)
{
    size_t i = rnd(w, FRAMEWORKS);
    char id[16];
    struct h_framework f = {.id = id, .roles = {(char *)role_names[i % ROLES], NULL}};

    name(id, 'f', i);
    if (w->here[i] && rnd(w, 2)) {
        w->h.ops->remove_framework(w->h.a, id);
        w->here[i] = false;
        forget_mine(w, id, NULL);
        forget_refusals(w, i, SIZE_MAX, SIZE_MAX);
        return;
    }
    if (w->here[i]) {
        w->active[i] = !w->active[i];
        w->h.ops->set_framework_active(w->h.a, id, w->active[i]);
        if (!w->active[i])
            forget_refusals(w, i, SIZE_MAX, SIZE_MAX);
        return;
    }
    if (i % 2)
        f.roles[1] = (char *)role_names[(i + 1) % ROLES];
    if (i % 3 == 0)
        f.caps[0] = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES;
    h_tell_framework(&w->h, &f, false);
    w->here[i] = w->active[i] = true;
    memset(w->suppressed[i], 0, sizeof(w->suppressed[i]));
}

static void event_agent(struct world *w)
{
    size_t i = rnd(w, AGENTS);
    char id[16];

    name(id, 'a', i);
    if (w->agent_here[i]) {
        w->h.ops->remove_agent(w->h.a, id);
        forget_mine(w, NULL, id);
        forget_refusals(w, SIZE_MAX, SIZE_MAX, i);
    } else {
        h_add_agent(&w->h, id, totals[i % ARRAY_SIZE(totals)]);
    }
    w->agent_here[i] = !w->agent_here[i];
}

static void event_suppress(struct world *w)
{
    size_t i = rnd(w, FRAMEWORKS), r = rnd(w, ROLES);
    const char *const roles[] = {role_names[r]};
    char id[16];

    name(id, 'f', i);
    if (rnd(w, 2)) {
        w->h.ops->suppress(w->h.a, id, roles, 1);
        w->suppressed[i][r] = true;
    } else {
        w->h.ops->revive(w->h.a, id, roles, 1, w->h.now);
        w->suppressed[i][r] = false;
        forget_refusals(w, i, r, SIZE_MAX);
    }
}

static struct h_offer *pick_offer(struct world *w)
{
    for (unsigned tries = 0; w->h.n && tries < 20; tries++) {
        struct h_offer *o = &w->h.offers[rnd(w, (unsigned)w->h.n)];

        if (!o->gone)
            return o;
    }
    return NULL;
}

static void event_decline(struct world *w)
{
    struct h_offer *o = pick_offer(w);
    double refuse = (double)rnd(w, 12) - 1;
    size_t f;
    struct refusal *x;

    if (!o)
        return;
    f = id_index(o->framework);
    if (refuse > 0 && w->active[f]) {
        w->refusals = xgrow(w->refusals, &w->refusals_cap, w->n_refusals + 1, sizeof(*x));
        x = &w->refusals[w->n_refusals++];
        *x = (struct refusal){.framework = f,
                              .role = role_index(o->role),
                              .agent = id_index(o->agent),
                              .until = w->h.now + (uint64_t)refuse * SECOND};
        resources_copy(&x->res, &o->res);
        resources_unallocate(&x->res);
    }
    h_decline(&w->h, o, refuse);
}

static void event_use(struct world *w)
{
    struct h_offer *o = pick_offer(w);
    struct used *u;

    if (!o)
        return;
    w->used = xgrow(w->used, &w->used_cap, w->n_used + 1, sizeof(*u));
    u = &w->used[w->n_used];
    memset(u, 0, sizeof(*u));
    u->res = h_res(rnd(w, 2) ? "cpus:1;mem:100" : "cpus:0.5;mem:300");
    resources_allocate(&u->res, o->role);
    if (!resources_contains(&o->res, &u->res)) {
        resources_done(&u->res);
        return;
    }
    fl_snprintf(u->framework, 16, "%s", o->framework);
    fl_snprintf(u->role, 16, "%s", o->role);
    fl_snprintf(u->agent, 16, "%s", o->agent);
    u->there = true;
    w->n_used++;
    _cleanup_resources_ struct resources bare = RESOURCES_INIT;
    resources_copy(&bare, &o->res);
    resources_subtract(&bare, &u->res);
    w->h.ops->transition_to_used(w->h.a, o->framework, o->agent, &u->res);
    w->h.ops->recover(w->h.a, o->framework, o->agent, &bare, NULL, w->h.now);
    o->gone = true;
}

static void event_finish(struct world *w)
{
    struct used *u = w->n_used ? &w->used[rnd(w, (unsigned)w->n_used)] : NULL;

    if (!u || !u->there)
        return;
    u->there = false;
    w->h.ops->recover(w->h.a, u->framework, u->agent, &u->res, NULL, w->h.now);
}

static void (*const events[])(struct world *) = {
    event_framework, event_agent, event_suppress, event_decline, event_decline,
    event_use,       event_use,   event_use,      event_finish,  event_finish,
};

static void history(uint64_t seed)
{
    struct world w = {.random = seed};

    h_init(&w.h);
    for (unsigned step = 0; step < STEPS; step++) {
        events[rnd(&w, ARRAY_SIZE(events))](&w);
        if (rnd(&w, 3) == 0)
            w.h.now += rnd(&w, 2000) * 1000;
        h_run_all(&w.h, rnd(&w, 10) == 0, NULL);
        check_offers(&w);
        for (size_t i = 0; i < w.h.a->n_agents; i++)
            check_agent(&w, w.h.a->agent_list[i]);
        if (step % 16 == 0)
            check_shares(&w);
    }
    ck_assert_uint_gt(w.h.n, STEPS / 10);
    for (size_t i = 0; i < w.n_used; i++)
        resources_done(&w.used[i].res);
    forget_refusals(&w, SIZE_MAX, SIZE_MAX, SIZE_MAX);
    free(w.used);
    free(w.refusals);
    h_done(&w.h);
}

static uint64_t only_seed;

START_TEST(random_histories)
{
    uint64_t seed = only_seed ? only_seed : (uint64_t)_i + 1;

    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    history(seed);
}
END_TEST

/* Sharing incentive at its simplest: n equal frameworks, k agents each, all the same: each gets k. */
START_TEST(equals_get_equal_parts)
{
    enum { K = 7 };
    unsigned n = (unsigned)_i + 1;
    struct harness h;
    unsigned got[FRAMEWORKS] = {0};
    char id[16];

    h_init(&h);
    for (unsigned i = 0; i < n; i++) {
        name(id, 'f', i);
        h_add_framework(&h, id, "*");
    }
    for (unsigned i = 0; i < n * K; i++) {
        name(id, 'a', i);
        h_add_agent(&h, id, "cpus:4;mem:1024");
    }
    ck_assert_uint_eq(h_run(&h), n * K);
    for (size_t i = 0; i < h.n; i++)
        got[id_index(h.offers[i].framework)]++;
    for (unsigned i = 0; i < n; i++)
        ck_assert_uint_eq(got[i], K);
    h_done(&h);
}
END_TEST

/* The same history gives the same offers. */
START_TEST(same_input_same_offers)
{
    struct world w[2] = {{.random = 99}, {.random = 99}};

    for (int k = 0; k < 2; k++) {
        h_init(&w[k].h);
        for (unsigned step = 0; step < 300; step++) {
            events[rnd(&w[k], ARRAY_SIZE(events))](&w[k]);
            h_run_all(&w[k].h, step % 10 == 0, NULL);
        }
    }
    ck_assert_uint_eq(w[0].h.n, w[1].h.n);
    for (size_t i = 0; i < w[0].h.n; i++) {
        ck_assert_str_eq(w[0].h.offers[i].framework, w[1].h.offers[i].framework);
        ck_assert_str_eq(w[0].h.offers[i].agent, w[1].h.offers[i].agent);
        ck_assert(resources_equal(&w[0].h.offers[i].res, &w[1].h.offers[i].res));
    }
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < w[k].n_used; i++)
            resources_done(&w[k].used[i].res);
        forget_refusals(&w[k], SIZE_MAX, SIZE_MAX, SIZE_MAX);
        free(w[k].used);
        free(w[k].refusals);
        h_done(&w[k].h);
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("prop_allocator");
    TCase *t = tcase_create("properties");
    SRunner *r;
    int failed;

    if (argc > 1 && fl_parse_u64(argv[1], &only_seed) < 0)
        return 2;
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, random_histories, 0, only_seed ? 1 : SEEDS);
    tcase_add_loop_test(t, equals_get_equal_parts, 0, FRAMEWORKS);
    tcase_add_test(t, same_input_same_offers);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
