/* The reference's own benchmarks of its allocator, by name and parameters (docs/performance.md says where each is from), driven
 * through master/allocator/allocator.h. CPU time of this thread, without the time that the benchmark itself needs between.
 *
 *     bench_mirror                        every benchmark at one size: what `make bench` keeps
 *     bench_mirror NAME AGENTS FRAMEWORKS one of them at another size
 *     bench_mirror --grid > grid.csv      DeclineOffers over all sizes, for the curves in docs/performance.md
 *
 * Where ours differs: ResourceLabels' reservations are part of the agents' totals, which the reference's left out.
 */
#include <malloc.h>
#include <time.h>

#include "tests/unit/allocator_harness.h"

#define PORTS "ports:[31000-32000]"

/* Sixteen pieces, every other number, as tasks leave them. */
#define USED_PORTS                                                                                 \
    "ports:[31000-31030,31062-31092,31124-31154,31186-31216,31248-31278,31310-31340,31372-31402,"  \
    "31434-31464,31496-31526,31558-31588,31620-31650,31682-31712,31744-31774,31806-31836,"         \
    "31868-31898,31930-31960]"

enum { MAX_AGENTS = 50000, MAX_FRAMEWORKS = 6000, ROUNDS = 6 };

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- a cluster of equal agents, each with a part in use ---- */

struct world {
    struct harness h;
    const char *bench;
    unsigned agents, frameworks;
    const char *role;
    struct resources rest; /* of an agent: what its offer is made of */
    struct made {
        unsigned framework, agent;
    } made[MAX_AGENTS];
    unsigned n_made;
};
static struct world w;

static unsigned number(const char *id)
{
    unsigned n = 0;

    for (const char *p = id + 1; *p; p++)
        n = n * 10 + (unsigned)(*p - '0');
    return n;
}

static void on_offer(void *arg, const char *framework_id, const char *role, const char *agent_id,
                     const struct resources *res)
{
    if (w.n_made < MAX_AGENTS)
        w.made[w.n_made] = (struct made){number(framework_id), number(agent_id)};
    w.n_made++;
}

static void name(char *id, char kind, unsigned i)
{
    fl_snprintf(id, 16, "%c%u", kind, i);
}

static void tell(const char *what, double value, const char *unit)
{
    printf("mirror.%s.%s %.4f %s\n", w.bench, what, value, unit);
}

static void begin(const char *bench, unsigned agents, unsigned frameworks, const char *sorter)
{
    struct allocator_options o = h_options();
    struct allocator_callbacks cb = {.offer = on_offer};

    o.role_sorter = o.framework_sorter = sorter;
    w = (struct world){.bench = bench, .agents = agents, .frameworks = frameworks, .role = "*"};
    w.h = (struct harness){.ops = allocator_builtin("HierarchicalDRF"), .now = SECOND};
    if (w.h.ops->create(&o, &cb, &w.h.a, NULL) < 0)
        abort();
}

static void end(void)
{
    w.h.ops->destroy(w.h.a);
    resources_done(&w.rest);
    malloc_trim(0);
}

/* One pass over everything, as the reference's allocation interval is. */
static double pass(void)
{
    double start;

    w.n_made = 0;
    w.h.now += SECOND;
    start = now_us();
    while (w.h.ops->run(w.h.a, w.h.now, UINT64_MAX, true) <= w.h.now)
        ;
    return now_us() - start;
}

static double add_frameworks(const char *role, V1__FrameworkInfo__Capability__Type cap)
{
    double start = now_us();
    char id[16];

    w.role = role;
    for (unsigned i = 0; i < w.frameworks; i++) {
        struct h_framework f = {.id = id, .roles = {(char *)role}, .caps = {cap}};
        name(id, 'f', i);
        h_tell_framework(&w.h, &f, false);
    }
    return now_us() - start;
}

/* As --resources takes it, or a JSON array of anything a Resource can be. */
static struct resources read_resources(const char *text)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct resources out = RESOURCES_INIT;
    ProtobufCMessage *m;
    struct fl_err err;

    if (text[0] != '[')
        return h_res(text);
    fl_buf_addf(&b, "{\"resources\":%s}", text);
    if (fl_json_to_pb(b.data, b.len, &v1__offer__operation__reserve__descriptor, 0, NULL, &m,
                      &err) < 0 ||
        resources_from_pb(((V1__Offer__Operation__Reserve *)m)->resources,
                          ((V1__Offer__Operation__Reserve *)m)->n_resources, &out, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    fl_pb_free(m);
    return out;
}

static void tell_agent(const char *id, const struct resources *total,
                       const struct allocator_used *used)
{
    static V1__AgentInfo__Capability caps[3], *list[3];
    V1__AgentInfo info = V1__AGENT_INFO__INIT;
    struct allocator_agent ag = {.id = id,
                                 .info = &info,
                                 .total = total,
                                 .active = true,
                                 .capabilities = list,
                                 .n_capabilities = ARRAY_SIZE(list),
                                 .used = used,
                                 .n_used = used && used->res ? 1 : 0};

    for (unsigned i = 0; i < ARRAY_SIZE(caps); i++) {
        v1__agent_info__capability__init(&caps[i]);
        caps[i].has_type = true;
        caps[i].type =
            (V1__AgentInfo__Capability__Type)(V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE + i);
        list[i] = &caps[i];
    }
    info.hostname = (char *)id;
    w.h.ops->add_agent(w.h.a, &ag, w.h.now);
}

/* `used` of each agent is held by the frameworks in turn. */
static void add_agent(unsigned i, const char *total_text, const struct resources *used)
{
    char id[16], framework[16];
    struct allocator_used u = {.framework_id = framework, .res = used};
    struct resources total = read_resources(total_text);

    name(id, 'a', i);
    name(framework, 'f', i % w.frameworks);
    tell_agent(id, &total, &u);
    resources_done(&total);
}

static double add_agents(const char *total, const char *used_text)
{
    struct resources used = h_res(used_text);
    double start;

    struct resources all = h_res(total);
    resources_copy(&w.rest, &all);
    resources_subtract(&w.rest, &used);
    resources_allocate(&w.rest, w.role);
    resources_allocate(&used, w.role);
    start = now_us();
    for (unsigned i = 0; i < w.agents; i++) {
        char id[16], framework[16];
        struct allocator_used u = {.framework_id = framework, .res = &used};
        name(id, 'a', i);
        name(framework, 'f', i % w.frameworks);
        tell_agent(id, &all, &u);
    }
    start = now_us() - start;
    resources_done(&all);
    resources_done(&used);
    return start;
}

/* Every offer of the last pass comes back. */
static double take_back(double refuse_seconds)
{
    V1__Filters f = V1__FILTERS__INIT;
    unsigned n = FL_MIN(w.n_made, (unsigned)MAX_AGENTS);
    double start = now_us();
    char framework[16], agent[16];

    f.has_refuse_seconds = true;
    f.refuse_seconds = refuse_seconds;
    for (unsigned i = 0; i < n; i++) {
        name(framework, 'f', w.made[i].framework);
        name(agent, 'a', w.made[i].agent);
        w.h.ops->recover(w.h.a, framework, agent, &w.rest, refuse_seconds < 0 ? NULL : &f, w.h.now);
    }
    w.n_made = 0;
    return now_us() - start;
}

static void suppress(unsigned i)
{
    char id[16];
    const char *roles[] = {w.role};

    name(id, 'f', i);
    w.h.ops->suppress(w.h.a, id, roles, 1);
}

/* ---- hierarchical_allocator_tests ---- */

static struct resources revocable_cpus(double n)
{
    V1__Resource r = V1__RESOURCE__INIT, *list = &r;
    V1__Value__Scalar scalar = V1__VALUE__SCALAR__INIT;
    V1__Resource__RevocableInfo revocable = V1__RESOURCE__REVOCABLE_INFO__INIT;
    struct resources out = RESOURCES_INIT;

    scalar.value = n;
    r.name = (char *)"cpus";
    r.type = V1__VALUE__TYPE__SCALAR;
    r.scalar = &scalar;
    r.revocable = &revocable;
    if (resources_from_pb(&list, 1, &out, NULL) < 0)
        abort();
    return out;
}

static double oversubscribe(const char *total_text)
{
    struct resources total = h_res(total_text), more = revocable_cpus(10);
    V1__AgentInfo info = V1__AGENT_INFO__INIT;
    char id[16];
    struct allocator_agent ag = {.id = id, .info = &info, .total = &total, .active = true};
    double start;

    info.hostname = id;
    resources_add(&total, &more);
    start = now_us();
    for (unsigned i = 0; i < w.agents; i++) {
        name(id, 'a', i);
        w.h.ops->update_agent(w.h.a, &ag, w.h.now);
    }
    resources_done(&total);
    resources_done(&more);
    return now_us() - start;
}

static void add_and_update_slave(unsigned agents, unsigned frameworks)
{
    const char *total = "cpus:2;mem:1024;disk:4096;" PORTS;
    double start;

    begin("add_and_update_slave", agents, frameworks, "drf");
    tell("frameworks_us",
         add_frameworks("*", V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REVOCABLE_RESOURCES), "us");
    start = add_agents(total, "cpus:1;mem:128;disk:1024;"
                              "ports:[31126-31510,31512-31623,31810-31852,31854-31964]");
    tell("agents_ms", (start + pass()) / 1e3, "ms");
    start = oversubscribe(total);
    tell("update_ms", (start + pass()) / 1e3, "ms");
    end();
}

/* Prints the first pass, the median of all, and the one after everybody has declined everything. */
static double decline_rounds(unsigned rounds, double *ret_median)
{
    double first = 0, *all = xcalloc(rounds, sizeof(*all));

    for (unsigned r = 0; r < rounds; r++) {
        take_back(365.0 * 86400);
        all[r] = pass();
        if (r == 0)
            first = all[0];
    }
    for (unsigned i = 1; i < rounds; i++)
        for (unsigned k = i; k > 0 && all[k] < all[k - 1]; k--) {
            double t = all[k];
            all[k] = all[k - 1];
            all[k - 1] = t;
        }
    *ret_median = all[rounds / 2];
    free(all);
    return first;
}

static void decline_offers(unsigned agents, unsigned frameworks)
{
    double median, first;

    begin("decline_offers", agents, frameworks, "drf");
    tell("frameworks_us", add_frameworks("*", 0), "us");
    tell("agents_ms",
         add_agents("cpus:24;mem:4096;disk:4096;" PORTS, "cpus:16;mem:2014;disk:1024;" USED_PORTS) /
             1e3,
         "ms");
    first = decline_rounds(2 * ROUNDS, &median);
    tell("first_ms", first / 1e3, "ms");
    tell("round_ms", median / 1e3, "ms");
    end();
}

static char *labelled(unsigned agent, const char *role)
{
    struct fl_buf b = FL_BUF_INIT;

    fl_buf_adds(&b, "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":8}},"
                    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}},"
                    "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}}");
    for (unsigned set = 1; set <= 2; set++) {
        fl_buf_addf(&b,
                    ",{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":8},"
                    "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"%s\",\"principal\":"
                    "\"principal1\",\"labels\":{\"labels\":[{\"key\":\"unique_key_%u\","
                    "\"value\":\"value_%u\"}",
                    role, set, agent);
        for (unsigned i = 0; i < 11; i++)
            fl_buf_addf(&b, ",{\"key\":\"key%u\",\"value\":\"value%u\"}", i, i);
        fl_buf_adds(&b, "]}}]}");
    }
    fl_buf_addc(&b, ']');
    return fl_buf_take(&b);
}

static void resource_labels(unsigned agents, unsigned frameworks)
{
    double median, first;
    struct resources used = h_res("mem:2014;disk:1024");

    begin("resource_labels", agents, frameworks, "drf");
    add_frameworks("role1", V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT);
    resources_allocate(&used, w.role);
    for (unsigned i = 0; i < agents; i++) {
        _cleanup_free_ char *total = labelled(i, "role1");
        add_agent(i, total, &used);
    }
    w.rest = h_res("cpus:8;mem:2082;disk:3072");
    resources_allocate(&w.rest, w.role);
    first = decline_rounds(ROUNDS, &median);
    tell("first_ms", first / 1e3, "ms");
    tell("round_ms", median / 1e3, "ms");
    resources_done(&used);
    end();
}

static void fill_for_suppress(void)
{
    add_frameworks("*", 0);
    add_agents("cpus:24;mem:4096;disk:4096;" PORTS, "cpus:16;mem:1024;disk:1024;" USED_PORTS);
}

static void suppress_offers(unsigned agents, unsigned frameworks)
{
    double sum = 0;
    unsigned suppressed = 0, rounds = 5;

    begin("suppress_offers", agents, frameworks, "drf");
    fill_for_suppress();
    for (unsigned r = 0; r < rounds; r++) {
        take_back(-1);
        for (unsigned i = 0; i < frameworks / rounds; i++)
            suppress(suppressed++);
        sum += pass();
    }
    tell("round_ms", sum / rounds / 1e3, "ms");
    end();
}

static void extreme_suppress_offers(unsigned agents, unsigned frameworks)
{
    double sum = 0;
    unsigned rounds = 5;

    begin("extreme_suppress_offers", agents, frameworks, "drf");
    fill_for_suppress();
    for (unsigned i = 0; i < (unsigned)(frameworks * 0.99); i++)
        suppress(i);
    for (unsigned r = 0; r < rounds; r++) {
        take_back(-1);
        sum += pass();
    }
    tell("round_ms", sum / rounds / 1e3, "ms");
    end();
}

static void count_number(const char *number_name, double value, void *arg)
{
    (*(size_t *)arg)++;
}

static struct quantities amounts(const char *text)
{
    struct quantities q = QUANTITIES_INIT;

    if (quantities_parse(text, &q, NULL) < 0)
        abort();
    return q;
}

static void add_role_frameworks(const char *prefix, unsigned n, unsigned first)
{
    char id[16], role[32];

    for (unsigned i = 0; i < n; i++) {
        name(id, 'f', first + i);
        fl_snprintf(role, sizeof(role), "%s%u", prefix, i);
        h_add_framework(&w.h, id, role);
    }
}

static void set_quotas(const char *prefix, unsigned n, const char *text)
{
    _cleanup_quantities_ struct quantities q = amounts(text);
    char role[32];

    for (unsigned i = 0; i < n && w.h.ops->set_quota; i++) {
        fl_snprintf(role, sizeof(role), "%s%u", prefix, i);
        w.h.ops->set_quota(w.h.a, role, &q, &q);
    }
}

static void metrics(unsigned agents, unsigned frameworks)
{
    size_t n = 0;
    double start;

    begin("metrics", agents, frameworks, "drf");
    start = now_us();
    set_quotas("r", frameworks, "cpus:1;mem:512;disk:256");
    tell("quota_us", now_us() - start, "us");
    add_role_frameworks("r", frameworks, 0);
    for (unsigned i = 0; i < agents; i++)
        add_agent(i, "cpus:16;mem:2048;disk:1024", NULL);
    pass();
    start = now_us();
    if (w.h.ops->numbers)
        w.h.ops->numbers(w.h.a, count_number, &n);
    tell("read_ms", (now_us() - start) / 1e3, "ms");
    tell("numbers", (double)n, "numbers");
    end();
}

static void allocator_backlog(unsigned agents, unsigned frameworks)
{
    double start;
    char id[16];
    const char *roles[] = {"*"};

    begin("allocator_backlog", agents, frameworks, "drf");
    start = add_frameworks("*", 0);
    tell("frameworks_ms", (start + pass()) / 1e3, "ms");
    start = now_us();
    for (unsigned i = 0; i < agents; i++)
        add_agent(i, "cpus:24;mem:4096;disk:4096;" PORTS, NULL);
    start = now_us() - start;
    tell("agents_ms", (start + pass()) / 1e3, "ms");
    start = now_us();
    for (unsigned i = 0; i < frameworks; i++) {
        name(id, 'f', i);
        w.h.ops->revive(w.h.a, id, roles, 1, w.h.now);
    }
    start = now_us() - start;
    tell("revive_ms", (start + pass()) / 1e3, "ms");
    end();
}

static char *with_volume(unsigned agent, bool shared)
{
    struct fl_buf b = FL_BUF_INIT;
    static const struct {
        const char *scalar;
        unsigned amount;
    } parts[] = {{"cpus", 24}, {"mem", 4096}, {"disk", 3072}};

    fl_buf_addc(&b, '[');
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        fl_buf_addf(&b,
                    "{\"name\":\"%s\",\"type\":\"SCALAR\",\"scalar\":{\"value\":%u},"
                    "\"reservations\":[{\"type\":\"STATIC\",\"role\":\"test\"}]},",
                    parts[i].scalar, parts[i].amount);
    fl_buf_addf(&b,
                "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1024},"
                "\"reservations\":[{\"type\":\"STATIC\",\"role\":\"test\"}],\"disk\":{"
                "\"persistence\":{\"id\":\"id%u\"},\"volume\":{\"mode\":\"RW\","
                "\"container_path\":\"path%u\"}}%s}]",
                agent, agent, shared ? ",\"shared\":{}" : "");
    return fl_buf_take(&b);
}

/* How many of the agents' volumes are shared: none, all, every other one. */
static void persistent_volumes(const char *bench, unsigned agents, unsigned frameworks,
                               unsigned shared_of_two)
{
    struct resources used = h_res("cpus(test):16;mem(test):1024;disk(test):1024");
    double sum = 0;

    begin(bench, agents, frameworks, "drf");
    add_frameworks("test",
                   shared_of_two ? V1__FRAMEWORK_INFO__CAPABILITY__TYPE__SHARED_RESOURCES : 0);
    resources_allocate(&used, w.role);
    for (unsigned i = 0; i < agents; i++) {
        _cleanup_free_ char *total = with_volume(i, shared_of_two > i % 2);
        add_agent(i, total, &used);
    }
    w.rest = h_res("cpus(test):8;mem(test):3072;disk(test):2048");
    resources_allocate(&w.rest, w.role);
    for (unsigned r = 0; r < ROUNDS; r++) {
        sum += pass();
        take_back(-1);
    }
    tell("round_ms", sum / ROUNDS / 1e3, "ms");
    resources_done(&used);
    end();
}

static void persistent_volumes_regular(unsigned agents, unsigned frameworks)
{
    persistent_volumes("persistent_volumes_regular", agents, frameworks, 0);
}

static void persistent_volumes_shared(unsigned agents, unsigned frameworks)
{
    persistent_volumes("persistent_volumes_shared", agents, frameworks, 2);
}

static void persistent_volumes_mixed(unsigned agents, unsigned frameworks)
{
    persistent_volumes("persistent_volumes_mixed", agents, frameworks, 1);
}

/* ---- UpdateAllocation: one agent with four reserved resources of each role ---- */

static void reserve_four(struct fl_buf *b, unsigned role)
{
    static const char *const parts[] = {
        "\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100}",
        "\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100}",
        "\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100}",
        "\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":2,\"end\":2}]}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        fl_buf_addf(b,
                    "%c{%s,\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"role-%u-of-a-length-"
                    "as-it-is-there\",\"labels\":{\"labels\":[{\"key\":\"Label\",\"value\":"
                    "\"value-%u-%zu-and-some-more-letters\"}]}}]}",
                    b->len ? ',' : '[', parts[i], role, role, i);
}

static void update_allocation(unsigned agents, unsigned roles)
{
    _cleanup_buf_ struct fl_buf total = FL_BUF_INIT, mine = FL_BUF_INIT;
    struct resources all, reserved, plain = h_res("cpus:100;mem:100;disk:100;ports:[2-2]");
    struct allocator_used used = {.framework_id = "f0"};
    struct fl_err err;
    double start;

    begin("update_allocation", agents, roles, "drf");
    for (unsigned i = 0; i < roles; i++)
        reserve_four(&total, i);
    fl_buf_addc(&total, ']');
    reserve_four(&mine, 0);
    fl_buf_addc(&mine, ']');
    reserved = read_resources(fl_buf_cstr(&mine));
    resources_allocate(&reserved, "role-0-of-a-length-as-it-is-there");
    resources_allocate(&plain, "role-0-of-a-length-as-it-is-there");
    h_add_framework(&w.h, "f0", "role-0-of-a-length-as-it-is-there");
    used.res = &reserved;
    all = read_resources(fl_buf_cstr(&total));
    tell_agent("a0", &all, &used);
    start = now_us();
    for (unsigned i = 0; i < 20; i++)
        if (w.h.ops->update_allocation(w.h.a, "f0", "a0", &reserved, &plain, &err) < 0 ||
            w.h.ops->update_allocation(w.h.a, "f0", "a0", &plain, &reserved, &err) < 0)
            abort();
    tell("operation_us", (now_us() - start) / 40, "us");
    resources_done(&all);
    resources_done(&reserved);
    resources_done(&plain);
    end();
}

/* ---- hierarchical_allocator_benchmarks ---- */

static void large_and_small_quota(const char *bench, const char *sorter, unsigned agents)
{
    unsigned small = agents * 5 / 6, large = agents / 6;

    begin(bench, small / 5 + large * 5, small + large, sorter);
    w.h.ops->set_paused(w.h.a, true);
    add_role_frameworks("small", small, 0);
    add_role_frameworks("large", large, small);
    for (unsigned i = 0; i < w.agents; i++)
        add_agent(i, "cpus:2;mem:2048;disk:2048", NULL);
    set_quotas("small", small, "cpus:1;mem:1024;disk:1024");
    set_quotas("large", large, "cpus:4;mem:4096;disk:4096");
    w.h.ops->set_paused(w.h.a, false);
    tell("round_ms", pass() / 1e3, "ms");
    tell("allocations", (double)w.n_made, "offers");
    tell("empty_ms", pass() / 1e3, "ms");
    if (w.n_made)
        abort();
    end();
}

static void large_and_small_quota_drf(unsigned agents, unsigned frameworks)
{
    large_and_small_quota("large_and_small_quota_drf", "drf", agents);
}

static void large_and_small_quota_random(unsigned agents, unsigned frameworks)
{
    large_and_small_quota("large_and_small_quota_random", "random", agents);
}

static void quota_or_not(const char *bench, unsigned roles, bool quota)
{
    char id[16], role[32];

    begin(bench, 2 * roles, 2 * roles, "drf");
    w.h.ops->set_paused(w.h.a, true);
    for (unsigned i = 0; i < w.frameworks; i++) {
        name(id, 'f', i);
        fl_snprintf(role, sizeof(role), "role%u", i / 2);
        h_add_framework(&w.h, id, role);
    }
    for (unsigned i = 0; i < w.agents; i++)
        add_agent(i, "cpus:2;mem:2048;disk:2048", NULL);
    if (quota)
        set_quotas("role", roles, "cpus:4;mem:4096;disk:4096");
    w.h.ops->set_paused(w.h.a, false);
    tell("round_ms", pass() / 1e3, "ms");
    tell("empty_ms", pass() / 1e3, "ms");
    end();
}

static void non_quota(unsigned agents, unsigned roles)
{
    quota_or_not("non_quota", roles, false);
}

static void with_quota(unsigned agents, unsigned roles)
{
    quota_or_not("quota", roles, true);
}

/* ---- choosing ---- */

typedef void bench_f(unsigned agents, unsigned frameworks);
static const struct {
    const char *name;
    bench_f *run;
    unsigned agents, frameworks; /* of `make bench` */
} benches[] = {
    {"add_and_update_slave", add_and_update_slave, 10000, 1000},
    {"decline_offers", decline_offers, 10000, 1000},
    {"resource_labels", resource_labels, 10000, 1000},
    {"suppress_offers", suppress_offers, 10000, 1000},
    {"extreme_suppress_offers", extreme_suppress_offers, 10000, 1000},
    {"metrics", metrics, 10000, 1000},
    {"allocator_backlog", allocator_backlog, 10000, 1000},
    {"persistent_volumes_regular", persistent_volumes_regular, 10000, 1000},
    {"persistent_volumes_shared", persistent_volumes_shared, 10000, 1000},
    {"persistent_volumes_mixed", persistent_volumes_mixed, 10000, 1000},
    {"update_allocation", update_allocation, 1, 200},
    {"large_and_small_quota_drf", large_and_small_quota_drf, 3000, 3000},
    {"large_and_small_quota_random", large_and_small_quota_random, 3000, 3000},
    {"non_quota", non_quota, 2000, 1000},
    {"quota", with_quota, 2000, 1000},
};

static void grid(void)
{
    static const unsigned agents[] = {1000, 5000, 10000, 20000, 30000, 50000};
    static const unsigned frameworks[] = {1, 50, 100, 200, 500, 1000, 3000, 6000};

    printf("agents,frameworks,agents_us,first_us,round_us\n");
    for (size_t i = 0; i < ARRAY_SIZE(agents); i++)
        for (size_t k = 0; k < ARRAY_SIZE(frameworks); k++) {
            double add, median, first;

            begin("decline_offers", agents[i], frameworks[k], "drf");
            add_frameworks("*", 0);
            add = add_agents("cpus:24;mem:4096;disk:4096;" PORTS,
                             "cpus:16;mem:2014;disk:1024;" USED_PORTS);
            first = decline_rounds(2 * ROUNDS, &median);
            printf("%u,%u,%.0f,%.0f,%.0f\n", agents[i], frameworks[k], add, first, median);
            fflush(stdout);
            end();
        }
}

int main(int argc, char **argv)
{
    uint64_t agents = 0, frameworks = 0;

    if (argc == 2 && streq(argv[1], "--grid")) {
        grid();
        return 0;
    }
    if (argc != 1 &&
        (argc != 4 || fl_parse_u64(argv[2], &agents) < 0 || !agents || agents > MAX_AGENTS ||
         fl_parse_u64(argv[3], &frameworks) < 0 || !frameworks || frameworks > MAX_FRAMEWORKS)) {
        fprintf(stderr, "usage: bench_mirror [--grid | NAME AGENTS FRAMEWORKS]\n");
        return 2;
    }
    for (size_t i = 0; i < ARRAY_SIZE(benches); i++)
        if (argc == 1)
            benches[i].run(benches[i].agents, benches[i].frameworks);
        else if (streq(benches[i].name, argv[1]))
            benches[i].run((unsigned)agents, (unsigned)frameworks);
    return 0;
}
