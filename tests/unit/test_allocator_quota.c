/* Quota in the built-in allocator: steps "quota n" of master/allocator/allocator_quota.c, "drf 5" of allocator_drf.c, and
 * "queue n" of allocator_queue.c. */
#include <check.h>

#include "common/model/intern.h"
#include "master/allocator/allocator_priv.h"
#include "tests/unit/allocator_harness.h"

static struct harness h;

static void setup(void)
{
    struct allocator_options o = h_options();

    o.min_allocatable_resources = "cpus:0.01";
    h_init_with(&h, allocator_builtin("HierarchicalDRF"), &o);
}

static void teardown(void)
{
    h_done(&h);
}

static void quota(const char *role, const char *guarantees, const char *limits)
{
    _cleanup_quantities_ struct quantities g = QUANTITIES_INIT, l = QUANTITIES_INIT;

    ck_assert_int_eq(quantities_parse(guarantees ? guarantees : "", &g, NULL), 0);
    ck_assert_int_eq(quantities_parse(limits ? limits : "", &l, NULL), 0);
    h.ops->set_quota(h.a, role, guarantees ? &g : NULL, limits ? &l : NULL);
}

#define ck_offer(o, fw, ag, text)                                                                  \
    do {                                                                                           \
        struct h_offer *_o = (o);                                                                  \
        _cleanup_resources_ struct resources _want = h_res(text);                                  \
        ck_assert_ptr_nonnull(_o);                                                                 \
        ck_assert_str_eq(_o->framework, fw);                                                       \
        ck_assert_str_eq(_o->agent, ag);                                                           \
        resources_allocate(&_want, _o->role);                                                      \
        ck_assert_msg(resources_equal(&_o->res, &_want), "not %s", text);                          \
    } while (0)

static struct alloc_role *role_of(const char *name)
{
    return role_tree_find(&h.a->tree, name);
}

static milli_t consumed(const char *role, const char *name)
{
    struct alloc_role *r = role_of(role);

    return r ? drf_vec_at(&r->consumed, drf_scalar_id(&h.a->totals, intern(name))) : 0;
}

/* The sums of allocator_priv.h, counted afresh. */
static void check_sums(void)
{
    _cleanup_vec_ struct drf_vec spare = DRF_VEC_INIT, required = DRF_VEC_INIT;
    struct alloc_quota *q;
    struct alloc_role *r;

    for (r = h.a->tree.roles; r; r = r->hh.next) {
        _cleanup_vec_ struct drf_vec sum = DRF_VEC_INIT;

        if (r != r->top)
            continue;
        for (size_t i = 0; i < h.a->n_agents; i++) {
            struct alloc_agent *ag = h.a->agent_list[i];
            struct alloc_holding *x;
            _cleanup_free_ const char **to = NULL;
            size_t n = resources_reservation_roles(&ag->total, &to);

            LL_FOREACH (ag->holdings, x)
                if (x->client->role->top == r)
                    alloc_add_counted(h.a, &sum, &x->res);
            for (size_t k = 0; k < n; k++) {
                _cleanup_resources_ struct resources part = RESOURCES_INIT;

                resources_reserved_to(&ag->total, to[k], &part);
                if (role_of(to[k])->top == r)
                    drf_vec_add_resources(&sum, &h.a->totals, &part);
            }
        }
        drf_vec_sub(&sum, &r->consumed);
        ck_assert_msg(drf_vec_is_zero(&sum), "consumption of '%s'", r->name);
    }
    for (size_t i = 0; i < h.a->n_agents; i++)
        if (h.a->agent_list[i]->active && h.a->agent_list[i]->whitelisted)
            alloc_add_counted(h.a, &spare, &h.a->agent_list[i]->free);
    drf_vec_sub(&spare, &h.a->spare);
    ck_assert(drf_vec_is_zero(&spare));
    DL_FOREACH (h.a->quotas, q)
        for (size_t i = 0; i < h.a->totals.n; i++) {
            milli_t unmet =
                FL_MAX(drf_vec_at(&q->guarantee, i) - drf_vec_at(&q->role->consumed, i), 0);

            ck_assert_int_eq(unmet, drf_vec_at(&q->unmet, i));
            drf_vec_add_at(&required, i, unmet);
        }
    drf_vec_sub(&required, &h.a->required);
    ck_assert(drf_vec_is_zero(&required));
}

/* ---- limits ---- */

/* quota 4 */
START_TEST(a_limit_leaves_the_rest)
{
    quota("q", NULL, "cpus:2");
    h_add_framework(&h, "f1", "q");
    h_add_agent(&h, "a1", "cpus:6;mem:1024;ports:[1-9]");
    ck_assert_uint_eq(h_run(&h), 1); /* memory has no limit, and what is no scalar comes along */
    ck_offer(h_last(&h), "f1", "a1", "cpus:2;mem:1024;ports:[1-9]");
    ck_assert_int_eq(consumed("q", "cpus"), 2000);
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
    h_add_framework(&h, "f2", "other");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "a1", "cpus:4");
    check_sums();
}
END_TEST

/* queue 4: by a raised limit, and by less that is consumed elsewhere */
START_TEST(more_room_is_noticed)
{
    quota("q", NULL, "cpus:2");
    h_add_framework(&h, "f1", "q");
    h_add_agent(&h, "a1", "cpus:3");
    h_run(&h);
    ck_offer(h_last(&h), "f1", "a1", "cpus:2");
    quota("q", NULL, "cpus:2.5");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a1", "cpus:0.5");
    h_add_agent(&h, "a2", "cpus:1");
    ck_assert_uint_eq(h_run(&h), 0);
    h_decline(&h, h_last(&h), 3600); /* hides it on a1 */
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a2", "cpus:0.5");
    quota("q", NULL, NULL);
    ck_assert_uint_eq(h_run(&h), 2);
    check_sums();
}
END_TEST

START_TEST(two_frameworks_share_a_limit)
{
    quota("q", NULL, "cpus:3");
    h_add_framework(&h, "f1", "q");
    h_add_framework(&h, "f2", "q");
    h_add_agent(&h, "a1", "cpus:2");
    h_add_agent(&h, "a2", "cpus:2");
    ck_assert_uint_eq(h_run(&h), 2);
    ck_assert_int_eq(consumed("q", "cpus"), 3000);
}
END_TEST

START_TEST(a_limit_of_zero)
{
    quota("q", NULL, "cpus:0;mem:0");
    h_add_framework(&h, "f1", "q");
    h_add_agent(&h, "a1", "cpus:6;mem:1024;ports:[1-9]");
    ck_assert_uint_eq(h_run(&h), 0);
}
END_TEST

/* quota 4: the sets of min_allocatable_resources are asked of what is left */
START_TEST(too_small_after_the_cut)
{
    quota("q", NULL, "cpus:0.005");
    h_add_framework(&h, "f1", "q");
    h_add_agent(&h, "a1", "cpus:6;mem:1024");
    ck_assert_uint_eq(h_run(&h), 0);
    quota("q", NULL, "cpus:0.02");
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

/* quota 3 */
START_TEST(a_limit_does_not_reach_below)
{
    quota("eng", NULL, "cpus:2");
    h_add_framework(&h, "f1", "eng/a");
    h_add_agent(&h, "a1", "cpus:6");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a1", "cpus:6");
    ck_assert_int_eq(consumed("eng", "cpus"), 6000); /* quota 1 */
    h_add_framework(&h, "f2", "eng");
    h_add_agent(&h, "a2", "cpus:6");
    ck_assert_uint_eq(h_run(&h), 1); /* to f1: eng itself has no room */
    ck_assert_str_eq(h_last(&h)->framework, "f1");
    quota("eng/a", NULL, "cpus:1"); /* of no top-level role: nothing */
    ck_assert_ptr_null(role_of("eng/a")->quota);
    check_sums();
}
END_TEST

/* quota 1 and 4 */
START_TEST(reservations_consume_and_are_not_cut)
{
    quota("q", NULL, "cpus:3");
    h_add_framework(&h, "f1", "q");
    h_add_agent(&h, "a1", "cpus(q):2;cpus:6;cpus(q/x):0.5");
    ck_assert_int_eq(consumed("q", "cpus"), 2500);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a1", "cpus(q):2;cpus:0.5");
    ck_assert_int_eq(consumed("q", "cpus"), 3000);
    check_sums();
    h.ops->remove_agent(h.a, "a1");
    ck_assert_int_eq(consumed("q", "cpus"), 0);
    check_sums();
}
END_TEST

#define MOUNT(mb)                                                                                  \
    "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #mb                            \
    "},\"disk\":{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/m" #mb "\"}}}}"
#define SCALAR(name, v) "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" #v "}}"

START_TEST(whole_or_nothing)
{
    quota("q", NULL, "disk:100");
    h_add_framework(&h, "f1", "q");
    h_add_agent(&h, "a1", "[" SCALAR("cpus", 1) "," MOUNT(80) "," MOUNT(60) "]");
    h_run(&h);
    ck_offer(h_last(&h), "f1", "a1", "[" SCALAR("cpus", 1) "," MOUNT(80) "]");
    quota("q", NULL, "disk:139");
    ck_assert_uint_eq(h_run(&h), 0);
    quota("q", NULL, "cpus:5;disk:140");
    h_add_agent(&h, "a2", "cpus:1");
    ck_assert_uint_eq(h_run(&h), 1); /* the disk alone is below the smallest offer */
    check_sums();
}
END_TEST

/* ---- guarantees ---- */

/* quota 2 and 5 */
START_TEST(headroom_is_held_back)
{
    quota("q", "cpus:4;mem:100", NULL);
    h_add_framework(&h, "f1", "other");
    h_add_agent(&h, "a1", "cpus:10;mem:1024;ports:[1-9]");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a1", "cpus:6;mem:924;ports:[1-9]");
    h_add_framework(&h, "f2", "q");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "a1", "cpus:4;mem:100");
    ck_assert(!role_of("q")->quota->is_unmet);
    check_sums();
}
END_TEST

/* queue 4: the headroom is no longer needed, is met elsewhere, or there is more of it */
START_TEST(headroom_that_eases)
{
    quota("q", "cpus:4", NULL);
    h_add_framework(&h, "f1", "other");
    h_add_agent(&h, "a1", "cpus:4");
    ck_assert_uint_eq(h_run(&h), 0);
    h_add_agent(&h, "a2", "cpus:3"); /* 3 more than is needed, wherever they are */
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a2", "cpus:3");
    h_add_agent(&h, "a3", "cpus(q):1"); /* consumed by q */
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a1", "cpus:1");
    quota("q", NULL, NULL);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "a1", "cpus:3");
    check_sums();
}
END_TEST

/* What nobody can be offered is no headroom. */
START_TEST(headroom_is_of_agents_that_may_be_offered)
{
    struct h_agent off = {.id = "a2", .total = "cpus:4", .inactive = true};

    quota("q", "cpus:4", NULL);
    h_add_framework(&h, "f1", "other");
    h_tell_agent(&h, &off, false);
    h_add_agent(&h, "a1", "cpus:4");
    ck_assert_uint_eq(h_run(&h), 0);
    h.ops->set_agent_active(h.a, "a2", true);
    ck_assert_uint_ge(h_run(&h), 1);
    check_sums();
}
END_TEST

/* drf 5: the role with the guarantee comes first although its share is larger */
START_TEST(guarantees_come_first)
{
    quota("q", "cpus:6", NULL);
    h_add_framework(&h, "f1", "other");
    h_add_framework(&h, "f2", "q");
    h_add_agent(&h, "a1", "cpus:3");
    h_run(&h);
    ck_assert_str_eq(h_last(&h)->framework, "f2");
    h_add_agent(&h, "a2", "cpus:3");
    h_add_agent(&h, "a3", "cpus:3");
    h_run(&h);
    ck_assert_str_eq(h.offers[1].framework, "f2");
    ck_assert_str_eq(h.offers[2].framework, "f1");
    ck_assert_uint_eq(h.n, 3);
    check_sums();
}
END_TEST

/* quota 4: beyond its guarantee a role is under its limit and others' headroom */
START_TEST(bursting_in_the_first_stage)
{
    quota("p", "cpus:2", NULL);
    quota("q", "cpus:2", "cpus:5;mem:512");
    h_add_framework(&h, "f2", "q");
    h_add_agent(&h, "a1", "cpus:10;mem:1024;ports:[1-9]");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "a1", "cpus:5;mem:512;ports:[1-9]");
    quota("q", "cpus:2", NULL);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "a1", "cpus:3;mem:512"); /* 2 stay for p */
    check_sums();
}
END_TEST

/* quota 4: more is promised than there is, and what there is goes to those it was promised to */
START_TEST(overcommitted_guarantees)
{
    quota("p", "cpus:8", NULL);
    quota("q", "cpus:8", NULL);
    h_add_framework(&h, "f1", "p");
    h_add_framework(&h, "f2", "q");
    h_add_framework(&h, "f3", "other");
    h_add_agent(&h, "a1", "cpus:6");
    h_add_agent(&h, "a2", "cpus:6");
    ck_assert_uint_eq(h_run(&h), 2);
    ck_assert_int_eq(consumed("p", "cpus"), 6000);
    ck_assert_int_eq(consumed("q", "cpus"), 6000);
    check_sums();
}
END_TEST

/* quota 6: nothing for the guarantee, so no first stage; the second gives what is there */
START_TEST(first_stage_is_for_the_guarantee)
{
    quota("q", "gpus:1", NULL);
    h_add_framework(&h, "f2", "q");
    h_add_framework(&h, "f1", "other");
    h_add_agent(&h, "a1", "cpus:3");
    h_run(&h);
    ck_assert_str_eq(h_last(&h)->framework, "f1");
    ck_assert_uint_eq(h.n, 1);
}
END_TEST

/* A role whose task ends is below its guarantee again: what was held back from it on another agent is its own now. */
START_TEST(a_guarantee_unmet_again)
{
    quota("p", "cpus:3", NULL);
    quota("q", "cpus:4", NULL);
    h_add_framework(&h, "f2", "q");
    h_add_agent(&h, "a1", "cpus:4");
    h_run(&h); /* all of it to q, though 3 are for p */
    ck_offer(h_last(&h), "f2", "a1", "cpus:4");
    h_add_agent(&h, "a2", "cpus:3");
    ck_assert_uint_eq(h_run(&h), 0);
    h.ops->set_agent_active(h.a, "a1", false);
    h_free_task(&h, "f2", "q", "a1", "cpus:2");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "a2", "cpus:2");
    check_sums();
}
END_TEST

/* ---- who is asked (queue 1 to 5) ---- */

static uint64_t asked(void)
{
    uint64_t n = h.a->counts.asked;

    h.a->counts.asked = 0;
    return n;
}

/* Five agents that all of ten frameworks refused for an hour. */
static void all_refused(void)
{
    char id[8];

    for (int i = 0; i < 10; i++) {
        fl_snprintf(id, sizeof(id), "f%d", i);
        h_add_framework(&h, id, i % 2 ? "eng/a" : "ops");
    }
    for (int i = 0; i < 5; i++) {
        fl_snprintf(id, sizeof(id), "a%d", i);
        h_add_agent(&h, id, "cpus:4;mem:1024");
    }
    while (h_run(&h))
        for (size_t i = 0; i < h.n; i++)
            if (!h.offers[i].gone)
                h_decline(&h, &h.offers[i], 3600);
    ck_assert_uint_eq(h.n, 50);
    asked();
}

START_TEST(nobody_is_asked_when_nothing_changed)
{
    all_refused();
    for (int i = 0; i < 10; i++)
        h_run_all(&h, true, NULL);
    ck_assert_uint_eq(asked(), 0);
}
END_TEST

START_TEST(a_woken_client_is_asked_alone)
{
    all_refused();
    h.ops->revive(h.a, "f3", NULL, 0, h.now);
    ck_assert_uint_eq(h_run(&h), 5);
    ck_assert_uint_eq(asked(), 5);
    h.ops->revive(h.a, "f4", NULL, 0, h.now);
    ck_assert_uint_eq(h_run(&h), 0); /* nothing is left, so nobody is asked */
    ck_assert_uint_eq(asked(), 0);
    h_add_agent(&h, "a9", "cpus:1"); /* a new agent asks all, until one takes it */
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_uint_ge(asked(), 1);
}
END_TEST

START_TEST(woken_clients_are_asked_in_order)
{
    all_refused();
    h.ops->revive(h.a, "f1", NULL, 0, h.now);
    h.ops->revive(h.a, "f2", NULL, 0, h.now);
    h.ops->revive(h.a, "f3", NULL, 0, h.now);
    ck_assert_uint_eq(h_run(&h), 5);
    ck_assert_uint_eq(asked(), 5); /* the first in order takes each */
    /* ops holds 3 or 2 of 5 agents, and f1 and f3 share the others: never one of them all */
    for (size_t i = 50; i < 54; i++)
        ck_assert_str_ne(h.offers[i].framework, h.offers[i + 1].framework);
}
END_TEST

START_TEST(an_ended_filter_asks_one_on_one_agent)
{
    struct h_agent ag = {.id = "a0", .total = "cpus:4;mem:1025"};

    all_refused();
    h_tell_agent(&h, &ag, true); /* drops its filters */
    ck_assert_uint_eq(h_run(&h), 1);
    asked();
    h_decline(&h, h_last(&h), 5);
    for (size_t i = 50; i < h.n; i++) {
        if (!h.offers[i].gone)
            h_decline(&h, &h.offers[i], 3600);
        h_run(&h);
    }
    asked();
    h.now += 5 * SECOND;
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_uint_eq(asked(), 1);
    ck_assert_str_eq(h_last(&h)->framework, h.offers[50].framework);
}
END_TEST

/* More than a list is worth: found by a walk, with the same result. */
START_TEST(many_woken)
{
    char id[8];

    for (int i = 0; i < 40; i++) {
        fl_snprintf(id, sizeof(id), "f%d", i);
        h_add_framework(&h, id, i % 2 ? "eng/a" : "ops");
    }
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    while (h_run(&h))
        h_decline(&h, h_last(&h), 3600);
    ck_assert_uint_eq(h.n, 40);
    asked();
    for (int i = 0; i < 30; i++) {
        fl_snprintf(id, sizeof(id), "f%d", i);
        h.ops->revive(h.a, id, NULL, 0, h.now);
    }
    while (h_run(&h))
        h_decline(&h, h_last(&h), 3600);
    ck_assert_uint_eq(h.n, 70);
    for (size_t i = 40; i < 70; i++) {
        uint64_t n;

        ck_assert_int_eq(fl_parse_u64(h.offers[i].framework + 1, &n), 0);
        ck_assert_uint_lt(n, 30);
    }
}
END_TEST

/* ---- over random histories ---- */

static uint64_t random_state;

static unsigned rnd(unsigned n)
{
    return (unsigned)(drf_random_next(&random_state) >> 33) % n;
}

static void random_quota(void)
{
    static const char *const roles[] = {"eng", "ops", "q"};
    static const char *const amounts[] = {"cpus:2", "cpus:7;mem:300", "cpus:1;disk:10", ""};
    const char *g = rnd(2) ? amounts[rnd(4)] : NULL, *l = rnd(2) ? amounts[rnd(4)] : NULL;

    quota(roles[rnd(3)], g, l);
}

static void random_event(void)
{
    static const char *const roles[] = {"eng", "eng/a", "ops", "q", "q/b", "*"};
    static const char *const totals[] = {"cpus:4;mem:500", "cpus(q):2;cpus:6;mem:100;disk(eng/a):5",
                                         "cpus:1;mem:9000;disk:100", "cpus:8;mem:1;ports:[1-9]"};
    char id[8];
    struct h_framework f = {.id = id, .roles = {(char *)roles[rnd(6)]}};
    struct h_agent ag = {.id = id, .total = totals[rnd(4)], .inactive = rnd(4) == 0};

    switch (rnd(8)) {
    case 0:
        random_quota();
        return;
    case 1:
        fl_snprintf(id, sizeof(id), "f%u", rnd(6));
        h_tell_framework(&h, &f, rnd(2));
        return;
    case 2:
        fl_snprintf(id, sizeof(id), "a%u", rnd(8));
        if (rnd(3) || h.a->n_agents == 0) {
            for (size_t i = 0; i < h.n; i++) /* what was there is gone */
                h.offers[i].gone = h.offers[i].gone || streq(h.offers[i].agent, id);
            h_tell_agent(&h, &ag, false);
        }
        return;
    case 3:
        fl_snprintf(id, sizeof(id), "f%u", rnd(6));
        h.ops->revive(h.a, id, NULL, 0, h.now);
        return;
    default:
        for (size_t i = 0, from = h.n ? rnd((unsigned)h.n) : 0; i < h.n; i++) {
            struct h_offer *o = &h.offers[(from + i) % h.n];

            if (o->gone)
                continue;
            h_decline(&h, o, rnd(3) ? 5 : 0);
            return;
        }
    }
}

/* No role is offered anything that takes it above its limit. */
static void check_limits(size_t from)
{
    struct alloc_quota *q;

    DL_FOREACH (h.a->quotas, q) {
        static const char *const names[] = {"cpus", "mem", "disk"};

        if (q->role->n_children) /* those are not under the limit */
            continue;
        for (size_t k = 0; k < 3; k++) {
            size_t id = drf_scalar_id(&h.a->totals, intern(names[k]));
            _cleanup_resources_ struct resources part = RESOURCES_INIT;
            milli_t open = 0;

            for (size_t i = from; i < h.n; i++) {
                resources_unreserved(&h.offers[i].res, &part);
                if (streq(h.offers[i].role, q->role->name))
                    open += resources_scalar(&part, names[k]);
            }
            if (open > 0)
                ck_assert_int_le(drf_vec_at(&q->role->consumed, id), alloc_quota_limit(q, id));
        }
    }
}

START_TEST(sums_hold)
{
    random_state = (uint64_t)_i + 1;
    for (int step = 0; step < 1500; step++) {
        size_t from;

        random_event();
        check_sums();
        from = h.n;
        h_run_all(&h, rnd(5) == 0, NULL);
        check_sums();
        check_limits(from);
        h.now += rnd(3) * SECOND;
    }
}
END_TEST

static bool could_have(struct alloc_agent *ag, struct alloc_client *c, enum alloc_stage stage)
{
    _cleanup_resources_ struct resources portion = RESOURCES_INIT, none = RESOURCES_INIT;
    unsigned held;

    return alloc_gate(h.a, ag, c) == GATE_OPEN &&
           alloc_portion(h.a, ag, c, stage, &none, &portion, &held) == GATE_OPEN;
}

/* What is left over at rest is left for a reason: nobody could have any of it. */
START_TEST(nothing_is_missed)
{
    random_state = (uint64_t)_i + 100;
    for (int step = 0; step < 1000; step++) {
        struct alloc_framework *f;
        struct alloc_client *c;

        random_event();
        h_run(&h);
        for (f = h.a->frameworks; f; f = f->hh.next)
            LL_FOREACH (f->clients, c)
                for (size_t i = 0; i < h.a->n_agents; i++) {
                    struct alloc_agent *ag = h.a->agent_list[i];

                    ck_assert_msg(!could_have(ag, c, STAGE_SHARES), "step %d: %s", step, ag->id);
                    ck_assert_msg(!c->role->quota || !c->role->quota->is_unmet ||
                                      !could_have(ag, c, STAGE_GUARANTEES),
                                  "step %d: %s, for the guarantee", step, ag->id);
                }
        h.now += rnd(3) * SECOND;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("allocator_quota");
    TCase *t = tcase_create("quota"), *u = tcase_create("asked");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_limit_leaves_the_rest);
    tcase_add_test(t, more_room_is_noticed);
    tcase_add_test(t, two_frameworks_share_a_limit);
    tcase_add_test(t, a_limit_of_zero);
    tcase_add_test(t, too_small_after_the_cut);
    tcase_add_test(t, a_limit_does_not_reach_below);
    tcase_add_test(t, reservations_consume_and_are_not_cut);
    tcase_add_test(t, whole_or_nothing);
    tcase_add_test(t, headroom_is_held_back);
    tcase_add_test(t, headroom_that_eases);
    tcase_add_test(t, headroom_is_of_agents_that_may_be_offered);
    tcase_add_test(t, guarantees_come_first);
    tcase_add_test(t, bursting_in_the_first_stage);
    tcase_add_test(t, overcommitted_guarantees);
    tcase_add_test(t, first_stage_is_for_the_guarantee);
    tcase_add_test(t, a_guarantee_unmet_again);
    tcase_add_loop_test(t, sums_hold, 0, 8);
    tcase_add_loop_test(t, nothing_is_missed, 0, 24);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(u, setup, teardown);
    tcase_add_test(u, nobody_is_asked_when_nothing_changed);
    tcase_add_test(u, a_woken_client_is_asked_alone);
    tcase_add_test(u, woken_clients_are_asked_in_order);
    tcase_add_test(u, an_ended_filter_asks_one_on_one_agent);
    tcase_add_test(u, many_woken);
    suite_add_tcase(s, t);
    suite_add_tcase(s, u);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
