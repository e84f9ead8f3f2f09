/* The properties that the published algorithm promises, on random small clusters: one pool, frameworks that run tasks of one shape
 * each until nothing fits. And the algorithm itself, written down once more below in its simplest form (progressive filling, one
 * task at a time, everything recomputed for each), with which the allocator must agree task by task, ties included.
 *
 *   prop_drf          DRF_CASES cases of each property (default 600)
 *   prop_drf SEED     the case of that seed alone
 *
 * Amounts are whole numbers of cpus, mem and disk; shares of the reference are fractions of integers, never rounded.
 */
#include <check.h>

#include "tests/unit/allocator_harness.h"

enum { USERS = 6, KINDS = 3, MAX_DEPTH = 3 };

static const char *const kinds[KINDS] = {"cpus", "mem", "disk"};

struct user {
    char id[16], role[48];
    int64_t demand[KINDS]; /* of one task */
    int64_t cap;           /* tasks that it wants */
    int64_t tasks;
    uint64_t offers; /* how often it was its turn */
    bool over;       /* wants nothing more, or nothing fits */
};
/* Weights are of roles, in halves. */
struct weight {
    char role[48];
    int64_t halves;
};
struct pool {
    uint64_t seed, random;
    int64_t total[KINDS];
    size_t n_users, n_kinds, n_weights;
    struct user users[USERS];
    struct weight weights[USERS * MAX_DEPTH];
    char turns[4096]; /* whose turn it was: one letter a turn */
    size_t n_turns;
    bool by_suppression; /* who is over suppresses its role instead of declining for good */
};

static unsigned rnd(struct pool *p, unsigned n)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(p->random >> 33) % n;
}

static bool fits(const struct pool *p, const struct user *u)
{
    for (size_t k = 0; k < KINDS; k++) {
        int64_t left = p->total[k];
        for (size_t i = 0; i < p->n_users; i++)
            left -= p->users[i].tasks * p->users[i].demand[k];
        if (u->demand[k] > left)
            return false;
    }
    return true;
}

/* ---- the reference ---- */

static int64_t weight_of(const struct pool *p, const char *role)
{
    for (size_t i = 0; i < p->n_weights; i++)
        if (streq(p->weights[i].role, role))
            return p->weights[i].halves;
    return 2;
}

static bool is_within(const char *role, const char *node)
{
    size_t n = strlen(node);

    return strncmp(role, node, n) == 0 && (role[n] == '\0' || role[n] == '/');
}

/* One that competes with its siblings: a role with all below it, a role's own frameworks ("eng/."), or one framework. */
struct sibling {
    char name[64];
    size_t first_user; /* somebody of it */
    int64_t held[KINDS];
    uint64_t offers;
    int64_t weight;
    bool wants;
    bool own; /* of a role's own frameworks */
};

/* held / (total * weight), the largest over the kinds, as a fraction. */
static void dominant(const struct pool *p, const struct sibling *s, int64_t *num, int64_t *den)
{
    *num = 0;
    *den = 1;
    for (size_t k = 0; k < p->n_kinds; k++) {
        int64_t d = p->total[k] * s->weight;
        if (s->held[k] * *den > *num * d) {
            *num = s->held[k];
            *den = d;
        }
    }
}

static bool comes_before(const struct pool *p, const struct sibling *a, const struct sibling *b)
{
    int64_t an, ad, bn, bd;

    dominant(p, a, &an, &ad);
    dominant(p, b, &bn, &bd);
    if (an * bd != bn * ad)
        return an * bd < bn * ad;
    if (a->offers != b->offers)
        return a->offers < b->offers;
    return strcmp(a->name, b->name) < 0;
}

/* What stands for the user among the children of `node` ("" is the root). */
static void name_below(const struct pool *p, const struct user *u, const char *node, char out[64],
                       bool *ret_own)
{
    size_t n = strlen(node), skip = n ? n + 1 : 0, end;

    *ret_own = streq(u->role, node);
    if (*ret_own) {
        fl_snprintf(out, 64, "%s/.", node);
        return;
    }
    end = skip + strcspn(u->role + skip, "/");
    fl_snprintf(out, 64, "%.*s", (int)end, u->role);
}

static void count_in(const struct pool *p, struct sibling *s, const struct user *u)
{
    for (size_t k = 0; k < KINDS; k++)
        s->held[k] += u->tasks * u->demand[k];
    s->offers += u->offers;
    s->wants |= !u->over;
}

static const struct sibling *best_of(const struct pool *p, const struct sibling *s, size_t n)
{
    const struct sibling *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (s[i].wants && (!best || comes_before(p, &s[i], best)))
            best = &s[i];
    return best;
}

static struct user *next_framework(struct pool *p, const char *role)
{
    struct sibling s[USERS];
    size_t n = 0;
    const struct sibling *best;

    memset(s, 0, sizeof(s));
    for (size_t i = 0; i < p->n_users; i++) {
        if (!streq(p->users[i].role, role))
            continue;
        fl_snprintf(s[n].name, sizeof(s[n].name), "%s", p->users[i].id);
        s[n].first_user = i;
        s[n].weight = 2;
        count_in(p, &s[n++], &p->users[i]);
    }
    best = best_of(p, s, n);
    return best ? &p->users[best->first_user] : NULL;
}

/* Whose turn it is: the lowest share among the children of the root, among its children, and so on. */
static struct user *next_user(struct pool *p)
{
    char node[64] = "";

    for (;;) {
        struct sibling s[USERS];
        size_t n = 0, k;
        const struct sibling *best;
        bool has_children = false;

        memset(s, 0, sizeof(s));
        for (size_t i = 0; i < p->n_users; i++) {
            const struct user *u = &p->users[i];
            char name[64];
            bool own;
            if (*node && !is_within(u->role, node))
                continue;
            name_below(p, u, node, name, &own);
            has_children |= !own;
            for (k = 0; k < n && !streq(s[k].name, name); k++)
                ;
            if (k == n) {
                fl_snprintf(s[n].name, sizeof(s[n].name), "%s", name);
                s[n].own = own;
                s[n++].weight = own ? 2 : weight_of(p, name);
            }
            count_in(p, &s[k], u);
        }
        if (!has_children)
            return next_framework(p, node);
        best = best_of(p, s, n);
        if (!best)
            return NULL;
        if (best->own)
            return next_framework(p, node);
        fl_snprintf(node, sizeof(node), "%s", best->name);
    }
}

static void note_turn(struct pool *p, const struct user *u)
{
    ck_assert_uint_lt(p->n_turns + 1, sizeof(p->turns));
    p->turns[p->n_turns++] = (char)('a' + (u - p->users));
    p->turns[p->n_turns] = '\0';
}

/* A turn: one task, or never again. */
static bool take_turn(struct pool *p, struct user *u)
{
    bool runs = u->tasks < u->cap && fits(p, u);

    note_turn(p, u);
    u->offers++;
    u->tasks += runs;
    u->over = !runs;
    return runs;
}

static bool anything_left(const struct pool *p)
{
    for (size_t k = 0; k < p->n_kinds; k++) {
        int64_t left = p->total[k];
        for (size_t i = 0; i < p->n_users; i++)
            left -= p->users[i].tasks * p->users[i].demand[k];
        if (left > 0)
            return true;
    }
    return false;
}

static void fill_by_reference(struct pool *p)
{
    struct user *u;

    while (anything_left(p) && (u = next_user(p)))
        take_turn(p, u);
}

/* ---- the allocator, driven the same way ---- */

static void text_of(const struct pool *p, const int64_t *amounts, char out[128])
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    for (size_t k = 0; k < p->n_kinds; k++)
        if (amounts[k] > 0)
            fl_buf_addf(&b, "%s%s:%lld", b.len ? ";" : "", kinds[k], (long long)amounts[k]);
    fl_snprintf(out, 128, "%s", fl_buf_cstr(&b));
}

static void start(struct pool *p, struct harness *h)
{
    struct allocator_options o = h_options();
    char text[128];

    o.min_allocatable_resources = "cpus:0.001|mem:0.001|disk:0.001";
    h_init_with(h, allocator_builtin("HierarchicalDRF"), &o);
    for (size_t i = 0; i < p->n_weights; i++)
        h->ops->set_weight(h->a, p->weights[i].role, (double)p->weights[i].halves / 2);
    for (size_t i = 0; i < p->n_users; i++)
        h_add_framework(h, p->users[i].id, p->users[i].role);
    text_of(p, p->total, text);
    h_add_agent(h, "agent", text);
}

static void answer(struct pool *p, struct harness *h, struct h_offer *o)
{
    struct user *u = NULL;
    char text[128];

    for (size_t i = 0; i < p->n_users; i++)
        if (streq(p->users[i].id, o->framework))
            u = &p->users[i];
    ck_assert_ptr_nonnull(u);
    ck_assert_str_eq(u->role, o->role);
    text_of(p, u->demand, text);
    if (take_turn(p, u)) {
        ck_assert(h_use(h, o, text));
    } else if (p->by_suppression) {
        const char *const role[] = {u->role};
        h_decline(h, o, 0);
        h->ops->suppress(h->a, u->id, role, 1);
    } else {
        h_decline(h, o, 1e6);
    }
}

static void fill_by_allocator(struct pool *p)
{
    struct harness h;

    start(p, &h);
    while (h_run(&h)) {
        ck_assert_uint_eq(h.n, 1); /* one agent, all of it */
        answer(p, &h, &h.offers[0]);
        h_forget(&h);
    }
    h_done(&h);
}

/* ---- cases ---- */

static void put_weight(struct pool *p, const char *role)
{
    static const int64_t halves[] = {2, 2, 4, 6, 1, 3, 10};

    for (size_t i = 0; i < p->n_weights; i++)
        if (streq(p->weights[i].role, role))
            return;
    fl_snprintf(p->weights[p->n_weights].role, sizeof(p->weights[0].role), "%s", role);
    p->weights[p->n_weights++].halves = halves[rnd(p, ARRAY_SIZE(halves))];
}

/* Small roles share names, so frameworks meet in them. */
static void pick_role(struct pool *p, struct user *u, bool tree)
{
    size_t depth = tree ? 1 + rnd(p, MAX_DEPTH) : 0;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    if (!tree)
        fl_buf_adds(&b, u->id); /* a role each: weights are then of frameworks */
    for (size_t i = 0; i < depth; i++)
        fl_buf_addf(&b, "%s%c", i ? "/" : "", 'r' + (char)rnd(p, 2));
    fl_snprintf(u->role, sizeof(u->role), "%s", fl_buf_cstr(&b));
}

enum shape { SMALL_AND_TIED, FINE };

/* Small: few large tasks, ties all over. Fine: tasks are about a hundredth of the pool, so rounding is little. */
static void make_pool(struct pool *p, uint64_t seed, enum shape shape, bool tree, bool weighted)
{
    *p = (struct pool){.seed = seed, .random = seed * 0x9e3779b97f4a7c15u};
    p->n_kinds = 1 + rnd(p, KINDS);
    p->n_users = 2 + rnd(p, USERS - 1);
    p->by_suppression = rnd(p, 2);
    for (size_t k = 0; k < p->n_kinds; k++)
        p->total[k] = shape == FINE ? 400 + rnd(p, 800) : 4 + rnd(p, 30);
    for (size_t i = 0; i < p->n_users; i++) {
        struct user *u = &p->users[i];
        fl_snprintf(u->id, sizeof(u->id), "f%u%zu", rnd(p, 3), i);
        pick_role(p, u, tree);
        u->cap = rnd(p, 4) ? 1000000 : 1 + rnd(p, 8);
        if (shape == FINE)
            u->cap = 1000000;
        for (size_t k = 0; k < p->n_kinds; k++)
            u->demand[k] = shape == FINE ? 1 + rnd(p, 12) : rnd(p, 5);
        u->demand[rnd(p, (unsigned)p->n_kinds)] += 1; /* none asks for nothing */
        if (weighted)
            put_weight(p, u->role);
        if (weighted && tree && strchr(u->role, '/')) {
            u->role[strcspn(u->role, "/")] = '\0';
            put_weight(p, u->role);
            u->role[strlen(u->role)] = '/';
        }
    }
}

static uint64_t only_seed;
static unsigned cases = 600;

#define EACH_CASE(seed)                                                                            \
    for (uint64_t seed = only_seed ? only_seed : 1, last_ = only_seed ? only_seed : cases;         \
         seed <= last_; seed++)

/* ---- agreement ---- */

static void ck_agree(uint64_t seed, bool tree, bool weighted)
{
    static struct pool want, got;

    make_pool(&want, seed, SMALL_AND_TIED, tree, weighted);
    got = want;
    fill_by_reference(&want);
    fill_by_allocator(&got);
    ck_assert_msg(streq(want.turns, got.turns), "seed %llu tree %d weighted %d: turns\n%s\nnot\n%s",
                  (unsigned long long)seed, tree, weighted, got.turns, want.turns);
    for (size_t i = 0; i < want.n_users; i++)
        ck_assert_int_eq(want.users[i].tasks, got.users[i].tasks);
}

START_TEST(agrees_with_the_reference)
{
    EACH_CASE(seed)
    ck_agree(seed, _i & 1, _i & 2);
}
END_TEST

/* ---- what the filled pool must be ---- */

/* Of the whole pool, by the dominant kind; not weighted. */
static double share(const struct pool *p, const struct user *u, double tasks)
{
    double most = 0;

    for (size_t k = 0; k < p->n_kinds; k++)
        most = FL_MAX(most, tasks * (double)u->demand[k] / (double)p->total[k]);
    return most;
}

static double weight(const struct pool *p, const struct user *u)
{
    return (double)weight_of(p, u->role) / 2;
}

#define CK(p, x) ck_assert_msg(x, "seed %llu: %s", (unsigned long long)(p)->seed, #x)

START_TEST(pareto_efficiency)
{
    static struct pool p;

    EACH_CASE(seed)
    {
        make_pool(&p, seed, SMALL_AND_TIED, seed & 1, seed & 2);
        fill_by_allocator(&p);
        for (size_t i = 0; i < p.n_users; i++)
            CK(&p, p.users[i].tasks == p.users[i].cap || !fits(&p, &p.users[i]));
    }
}
END_TEST

/* Nobody has less than the n-th part (of weights) would give, but for what tasks cannot be divided: when the framework was first told
 * no, everyone else was at most one task of theirs above it. */
START_TEST(sharing_incentive)
{
    static struct pool p;

    EACH_CASE(seed)
    {
        double weights = 0, whole = 0;
        make_pool(&p, seed, FINE, false, seed & 1);
        fill_by_allocator(&p);
        for (size_t i = 0; i < p.n_users; i++) {
            weights += weight(&p, &p.users[i]);
            whole += share(&p, &p.users[i], 1);
        }
        for (size_t i = 0; i < p.n_users; i++) {
            const struct user *u = &p.users[i];
            double least = (1 - whole - share(&p, u, 1)) * weight(&p, u) / weights;
            CK(&p, share(&p, u, (double)u->tasks) >= least - 1e-9);
        }
    }
}
END_TEST

/* How many of its tasks a framework could run with what another one has. */
static double tasks_with(const struct pool *p, const struct user *u, const struct user *of)
{
    double least = 1e18;

    for (size_t k = 0; k < p->n_kinds; k++)
        if (u->demand[k])
            least = FL_MIN(least, (double)(of->tasks * of->demand[k]) / (double)u->demand[k]);
    return least;
}

/* With equal weights nobody would run more with another's part: when it was first told no, the other was at most one task above
 * it, and of what it lacks there is less than one task left since. */
START_TEST(envy_freeness_within_one_task)
{
    static struct pool p;

    EACH_CASE(seed)
    {
        make_pool(&p, seed, FINE, false, false);
        fill_by_allocator(&p);
        for (size_t i = 0; i < p.n_users; i++)
            for (size_t k = 0; k < p.n_users; k++) {
                const struct user *u = &p.users[i], *other = &p.users[k];
                double one_of_theirs = share(&p, other, 1) / share(&p, u, 1);
                CK(&p, tasks_with(&p, u, other) <= (double)u->tasks + 1 + one_of_theirs + 1e-9);
            }
    }
}
END_TEST

/* What it could run of its true tasks with what it got. */
static double truly(const struct pool *p, const struct user *lied, const int64_t *demand)
{
    double least = 1e18;

    for (size_t k = 0; k < p->n_kinds; k++)
        if (demand[k])
            least = FL_MIN(least, (double)(lied->tasks * lied->demand[k]) / (double)demand[k]);
    return least;
}

/* Asking for other amounts than it needs brings a framework no more than the rounding of the tasks in the pool. */
START_TEST(strategy_proofness_on_sampled_lies)
{
    static struct pool truth, lie;

    EACH_CASE(seed)
    {
        double slack = 1;
        int64_t demand[KINDS];
        size_t liar;
        make_pool(&truth, seed, FINE, false, seed & 1);
        lie = truth;
        liar = rnd(&lie, (unsigned)lie.n_users);
        memcpy(demand, truth.users[liar].demand, sizeof(demand));
        for (size_t k = 0; k < lie.n_kinds; k++)
            lie.users[liar].demand[k] =
                FL_MAX(demand[k] * (int64_t)(2 + rnd(&lie, 7)) / 4 + (int64_t)rnd(&lie, 3), 1);
        fill_by_allocator(&truth);
        fill_by_allocator(&lie);
        for (size_t i = 0; i < truth.n_users; i++)
            slack += (share(&truth, &truth.users[i], 1) + share(&lie, &lie.users[i], 1)) /
                     share(&truth, &truth.users[liar], 1);
        CK(&truth,
           truly(&lie, &lie.users[liar], demand) <= (double)truth.users[liar].tasks + slack);
    }
}
END_TEST

/* Of one resource: whoever has a task, had no more than anyone who still wanted one when it got it. */
START_TEST(max_min_on_a_single_resource)
{
    static struct pool p;

    EACH_CASE(seed)
    {
        make_pool(&p, seed, SMALL_AND_TIED, false, seed & 1);
        p.n_kinds = 1;
        p.total[1] = p.total[2] = 0;
        for (size_t i = 0; i < p.n_users; i++)
            memcpy(p.users[i].demand, (const int64_t[KINDS]){1}, sizeof(p.users[i].demand));
        fill_by_allocator(&p);
        for (size_t i = 0; i < p.n_users; i++)
            for (size_t k = 0; k < p.n_users; k++) {
                const struct user *u = &p.users[i], *v = &p.users[k];
                CK(&p, v->tasks == v->cap || u->tasks == 0 ||
                           (double)(u->tasks - 1) / weight(&p, u) <=
                               (double)v->tasks / weight(&p, v) + 1e-9);
            }
    }
}
END_TEST

/* When all want most of the same resource, it is shared as if it were the only one. */
START_TEST(bottleneck_fairness)
{
    static struct pool p;

    EACH_CASE(seed)
    {
        make_pool(&p, seed, FINE, false, seed & 1);
        for (size_t k = 1; k < p.n_kinds; k++)
            p.total[k] = p.total[0] * 20;
        fill_by_allocator(&p);
        for (size_t i = 0; i < p.n_users; i++)
            for (size_t k = 0; k < p.n_users; k++) {
                const struct user *u = &p.users[i], *v = &p.users[k];
                double lead = share(&p, u, (double)u->tasks) / weight(&p, u) -
                              share(&p, v, (double)v->tasks) / weight(&p, v);
                CK(&p, lead <= (share(&p, u, 1) + share(&p, v, 1)) / weight(&p, u) + 1e-9);
            }
    }
}
END_TEST

/* When one leaves, nobody has less, but for rounding. */
START_TEST(population_monotonicity)
{
    static struct pool before, after;

    EACH_CASE(seed)
    {
        double whole = 0;
        make_pool(&before, seed, FINE, false, seed & 1);
        after = before;
        after.n_users--;
        fill_by_allocator(&before);
        fill_by_allocator(&after);
        for (size_t i = 0; i < before.n_users; i++)
            whole += share(&before, &before.users[i], 1);
        for (size_t i = 0; i < after.n_users; i++)
            CK(&before,
               share(&before, &after.users[i], (double)after.users[i].tasks) >=
                   share(&before, &before.users[i], (double)before.users[i].tasks) - 2 * whole);
    }
}
END_TEST

/* ---- quota ---- */

struct quota_case {
    struct harness h;
    int64_t guarantee[4], limit[4], used[4]; /* cpus; limit below 0: none */
    int64_t total;
};
static const char *const quota_roles[4] = {"qa", "qb", "qc", "qd"};

static void settle_quota_case(struct quota_case *q)
{
    while (h_run_all(&q->h, false, NULL)) {
        for (size_t i = 0; i < q->h.n; i++) {
            struct h_offer *o = &q->h.offers[i];
            size_t role = (size_t)(o->role[1] - 'a');
            int64_t cpus = resources_scalar(&o->res, "cpus");
            q->used[role] += cpus;
            ck_assert(q->limit[role] < 0 || q->used[role] <= q->limit[role] * MILLI_ONE);
            if (cpus == 0)
                h_decline(&q->h, o, 1e6);
            else
                q->h.ops->transition_to_used(q->h.a, o->framework, o->agent, &o->res);
        }
        h_forget(&q->h);
    }
}

/* Frameworks that take all they get, and come in any order. A guarantee that fits in the pool with all others is met, however greedy the rest
 * was before; nobody is above its limit; and what nobody may not have is not left lying. */
START_TEST(quota_guarantees_and_limits)
{
    EACH_CASE(seed)
    {
        struct quota_case q = {.total = 0};
        struct pool r = {.random = seed * 77 + 5};
        int64_t left, sum = 0;
        size_t n_agents = 4 + rnd(&r, 12), first = rnd(&r, 4);
        char id[16];

        h_init(&q.h);
        if (!q.h.ops->set_quota) {
            h_done(&q.h);
            return;
        }
        for (size_t i = 0; i < n_agents; i++) {
            char text[64];
            int64_t cpus = 1 + rnd(&r, 8);
            q.total += cpus;
            fl_snprintf(id, sizeof(id), "a%zu", i);
            fl_snprintf(text, sizeof(text), "cpus:%lld;mem:4096", (long long)cpus);
            h_add_agent(&q.h, id, text);
        }
        left = q.total;
        for (size_t i = 0; i < 4; i++) {
            _cleanup_quantities_ struct quantities g = QUANTITIES_INIT, l = QUANTITIES_INIT;
            q.guarantee[i] = rnd(&r, 3) ? rnd(&r, (unsigned)left + 1) : 0;
            left -= q.guarantee[i];
            q.limit[i] = rnd(&r, 2) ? q.guarantee[i] + rnd(&r, 10) : -1;
            quantities_set(&g, "cpus", q.guarantee[i] * MILLI_ONE);
            if (q.limit[i] >= 0)
                quantities_set(&l, "cpus", q.limit[i] * MILLI_ONE);
            q.h.ops->set_quota(q.h.a, quota_roles[i], &g, &l);
        }
        for (size_t i = 0; i < 4; i++) {
            size_t role = (first + i) % 4;
            fl_snprintf(id, sizeof(id), "f%zu", role);
            h_add_framework(&q.h, id, quota_roles[role]);
            settle_quota_case(&q);
        }
        left = q.total * MILLI_ONE;
        for (size_t i = 0; i < 4; i++) {
            left -= q.used[i];
            sum += q.limit[i] < 0 ? q.total : q.limit[i];
            ck_assert_msg(q.used[i] >= q.guarantee[i] * MILLI_ONE,
                          "seed %llu: %s has %lld of the guaranteed %lld", (unsigned long long)seed,
                          quota_roles[i], (long long)q.used[i],
                          (long long)q.guarantee[i] * MILLI_ONE);
        }
        ck_assert_int_ge(left, 0);
        ck_assert_msg(left == 0 || sum < q.total, "seed %llu: %lld are left",
                      (unsigned long long)seed, (long long)left);
        h_done(&q.h);
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("prop_drf");
    TCase *t = tcase_create("properties");
    const char *n = getenv("DRF_CASES");
    uint64_t wanted;
    SRunner *r;
    int failed;

    if (argc > 1 && fl_parse_u64(argv[1], &only_seed) < 0)
        return 2;
    if (n && fl_parse_u64(n, &wanted) == 0)
        cases = (unsigned)wanted;
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, agrees_with_the_reference, 0, 4);
    tcase_add_test(t, pareto_efficiency);
    tcase_add_test(t, sharing_incentive);
    tcase_add_test(t, envy_freeness_within_one_task);
    tcase_add_test(t, strategy_proofness_on_sampled_lies);
    tcase_add_test(t, max_min_on_a_single_resource);
    tcase_add_test(t, bottleneck_fairness);
    tcase_add_test(t, population_monotonicity);
    tcase_add_test(t, quota_guarantees_and_limits);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
