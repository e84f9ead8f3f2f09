/* Gang offers: the numbered steps of allocator_gang.c, and the example of many jobs that must be admitted whole. */
#include <check.h>

#include "common/model/gang.h"
#include "tests/unit/allocator_harness.h"

static unsigned flushes;

static void on_flush(void *arg)
{
    flushes++;
}

static void init(struct harness *h)
{
    struct allocator_options o = h_options();
    struct allocator_callbacks cb = {.offer = h_on_offer, .flush = on_flush, .arg = h};

    flushes = 0;
    *h = (struct harness){.ops = allocator_builtin("HierarchicalDRF"), .now = SECOND};
    ck_assert_int_eq(h->ops->create(&o, &cb, &h->a, NULL), 0);
}

static void add_gang(struct harness *h, const char *id, const char *role, const char *text)
{
    V1__FrameworkInfo info = V1__FRAMEWORK_INFO__INIT;
    V1__Label label = V1__LABEL__INIT, *list = &label;
    V1__Labels labels = V1__LABELS__INIT;
    V1__FrameworkInfo__Capability cap = V1__FRAMEWORK_INFO__CAPABILITY__INIT, *caps = &cap;
    V1__FrameworkInfo__Capability gpu = V1__FRAMEWORK_INFO__CAPABILITY__INIT;
    V1__FrameworkInfo__Capability *both[] = {caps, &gpu};
    char *roles[] = {(char *)role};
    struct allocator_framework f = {.id = id, .info = &info, .active = true};

    cap.has_type = gpu.has_type = true;
    cap.type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE;
    gpu.type = V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES;
    label.key = (char *)GANG_LABEL;
    label.value = (char *)text;
    labels.labels = &list;
    labels.n_labels = 1;
    info.user = (char *)"u";
    info.name = (char *)id;
    info.labels = &labels;
    info.roles = roles;
    info.n_roles = 1;
    info.capabilities = both;
    info.n_capabilities = 2;
    h->ops->add_framework(h->a, &f, h->now);
}

static void add_in_zone(struct harness *h, const char *id, const char *total, const char *zone)
{
    V1__DomainInfo domain = V1__DOMAIN_INFO__INIT;
    V1__DomainInfo__FaultDomain fault = V1__DOMAIN_INFO__FAULT_DOMAIN__INIT;
    V1__DomainInfo__FaultDomain__RegionInfo r = V1__DOMAIN_INFO__FAULT_DOMAIN__REGION_INFO__INIT;
    V1__DomainInfo__FaultDomain__ZoneInfo z = V1__DOMAIN_INFO__FAULT_DOMAIN__ZONE_INFO__INIT;
    struct h_agent ag = {.id = id, .total = total, .domain = &domain};

    r.name = (char *)"east";
    z.name = (char *)zone;
    fault.region = &r;
    fault.zone = &z;
    domain.fault_domain = &fault;
    h_tell_agent(h, &ag, false);
}

static milli_t offered(const struct harness *h, const char *framework, const char *name)
{
    milli_t sum = 0;

    for (size_t i = 0; i < h->n; i++)
        if (!h->offers[i].gone && streq(h->offers[i].framework, framework))
            sum += resources_scalar(&h->offers[i].res, name);
    return sum;
}

static size_t later(struct harness *h, double seconds)
{
    h->now += (uint64_t)(seconds * SECOND);
    return h_run(h);
}

/* Step 2: nothing of less; all of it in one event. */
START_TEST(all_or_nothing)
{
    struct harness h;

    init(&h);
    add_gang(&h, "g", "eng", "total=cpus:8 hold=0secs");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 0);
    h_add_agent(&h, "a2", "cpus:4;mem:1024");
    ck_assert_uint_eq(later(&h, 0.2), 2);
    ck_assert_uint_eq(flushes, 2);
    ck_assert_int_eq(offered(&h, "g", "cpus"), 8000);
    /* Used or given back, the offers are offers like any other. */
    ck_assert(h_use(&h, &h.offers[0], "cpus:4;mem:512"));
    h_decline(&h, &h.offers[1], 1);
    ck_assert_uint_eq(later(&h, 3), 0);
    h_done(&h);
}
END_TEST

/* Only what is needed is taken; the rest of the agent is others'. */
START_TEST(no_more_than_needed)
{
    struct harness h;

    init(&h);
    add_gang(&h, "g", "eng", "count=3 unit=cpus:2;mem:100");
    h_add_agent(&h, "a1", "cpus:5;mem:1024");
    h_add_agent(&h, "a2", "cpus:5;mem:1024");
    ck_assert_uint_eq(h_run(&h), 2);
    ck_assert_int_eq(offered(&h, "g", "cpus"), 6000);
    ck_assert_int_eq(offered(&h, "g", "mem"), 300 * MILLI_ONE);
    h_add_framework(&h, "other", "ops");
    ck_assert_uint_eq(h_run(&h), 2);
    ck_assert_int_eq(offered(&h, "other", "cpus"), 4000);
    h_done(&h);
}
END_TEST

/* Step 3: the smallest place that is enough. */
START_TEST(in_one_zone)
{
    struct harness h;

    init(&h);
    add_in_zone(&h, "a1", "cpus:4;mem:1024", "z1");
    add_in_zone(&h, "a2", "cpus:4;mem:1024", "z1");
    add_in_zone(&h, "a3", "cpus:4;mem:1024", "z1");
    add_in_zone(&h, "b1", "cpus:4;mem:1024", "z2");
    add_in_zone(&h, "b2", "cpus:4;mem:1024", "z2");
    add_in_zone(&h, "c1", "cpus:4;mem:1024", "z3");
    h_add_agent(&h, "nowhere", "cpus:64;mem:1024");
    add_gang(&h, "g", "eng", "count=8 unit=cpus:1 same=zone");
    ck_assert_uint_eq(h_run(&h), 2);
    for (size_t i = 0; i < h.n; i++)
        ck_assert_int_eq(h.offers[i].agent[0], 'b');
    h_done(&h);
}
END_TEST

/* A framework that takes whatever it is offered, on four agents of one processor. */
static void busy_cluster(struct harness *h)
{
    static const char *const ids[] = {"a1", "a2", "a3", "a4"};

    init(h);
    h_add_framework(h, "hog", "ops");
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        h_add_agent(h, ids[i], "cpus:1;mem:64");
    ck_assert_uint_eq(h_run(h), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert(h_use(h, &h->offers[i], "cpus:1;mem:64"));
}

static void end_task(struct harness *h, const char *agent)
{
    h_free_task(h, "hog", "ops", agent, "cpus:1;mem:64");
}

/* Step 4: what comes free one by one is held, for the share of a gang without anything is the lowest. */
START_TEST(gathers)
{
    struct harness h;

    busy_cluster(&h);
    add_gang(&h, "g", "eng", "count=2 unit=cpus:1 hold=60secs");
    ck_assert_uint_eq(later(&h, 1), 0);
    end_task(&h, "a2");
    ck_assert_uint_eq(later(&h, 1), 0);
    end_task(&h, "a4");
    ck_assert_uint_eq(later(&h, 1), 2);
    ck_assert_int_eq(offered(&h, "g", "cpus"), 2000);
    h_done(&h);
}
END_TEST

/* Step 5: too long, so the others have it back; and it does not gather again at once. */
START_TEST(gives_up_and_rests)
{
    struct harness h;

    busy_cluster(&h);
    add_gang(&h, "g", "eng", "count=4 unit=cpus:1 hold=10secs");
    h_run(&h);
    end_task(&h, "a1");
    end_task(&h, "a2");
    ck_assert_uint_eq(later(&h, 1), 0);
    ck_assert_uint_eq(later(&h, 8), 0);
    ck_assert_uint_eq(later(&h, 2), 2);
    ck_assert_int_eq(offered(&h, "hog", "cpus"), 2000);
    ck_assert(h_use(&h, &h.offers[4], "cpus:1;mem:64"));
    end_task(&h, "a3");
    ck_assert_uint_eq(later(&h, 1), 1);
    ck_assert_str_eq(h_last(&h)->framework, "hog");
    h_done(&h);
}
END_TEST

/* Step 4: a gang larger than its share gets what others leave, and they come first once it holds more than they do. */
START_TEST(its_share_first)
{
    struct harness h;

    busy_cluster(&h);
    add_gang(&h, "g", "eng", "count=3 unit=cpus:1 hold=60secs");
    h_run(&h);
    end_task(&h, "a1");
    end_task(&h, "a2");
    ck_assert_uint_eq(later(&h, 1), 0);
    end_task(&h, "a3");
    ck_assert_uint_eq(later(&h, 1), 1);
    ck_assert_str_eq(h_last(&h)->framework, "hog");
    h_decline(&h, h_last(&h), 3600);
    ck_assert_uint_eq(later(&h, 1), 3);
    ck_assert_int_eq(offered(&h, "g", "cpus"), 3000);
    h_done(&h);
}
END_TEST

/* Step 5: two that want two of four each, and a hog. One gathers, the other waits; neither holds a part for ever. */
START_TEST(two_gangs_do_not_block_each_other)
{
    struct harness h;
    unsigned got = 0;

    busy_cluster(&h);
    add_gang(&h, "g1", "eng", "count=2 unit=cpus:1 hold=20secs");
    add_gang(&h, "g2", "ops", "count=2 unit=cpus:1 hold=20secs");
    h_run(&h);
    for (int round = 0; round < 8; round++) {
        static const char *const ids[] = {"a1", "a2", "a3", "a4"};

        if (round < 4)
            end_task(&h, ids[round]);
        later(&h, 5);
        for (size_t i = 0; i < 2; i++) {
            milli_t has = offered(&h, i ? "g2" : "g1", "cpus");
            ck_assert(has == 0 || has == 2000);
            got |= has ? 1u << i : 0;
        }
        /* Its job ends, and it wants no more for now. */
        for (size_t i = 0; i < h.n; i++)
            if (!h.offers[i].gone && h.offers[i].framework[0] == 'g')
                h_decline(&h, &h.offers[i], 3600);
    }
    ck_assert_uint_eq(got, 3);
    h_done(&h);
}
END_TEST

/* Step 6. */
START_TEST(too_large_never_gathers)
{
    struct harness h;

    busy_cluster(&h);
    add_gang(&h, "g", "eng", "count=5 unit=cpus:1 hold=60secs");
    h_run(&h);
    end_task(&h, "a1");
    ck_assert_uint_eq(later(&h, 1), 1);
    ck_assert_str_eq(h_last(&h)->framework, "hog");
    h_done(&h);
}
END_TEST

static struct quantities amounts(const char *text)
{
    struct quantities q = QUANTITIES_INIT;

    ck_assert_int_eq(quantities_parse(text, &q, NULL), 0);
    return q;
}

/* Quota counts what is gathered: a limit below the gang keeps all of it away. */
START_TEST(quota_holds)
{
    struct harness h;
    _cleanup_quantities_ struct quantities three = amounts("cpus:3"), four = amounts("cpus:4");

    init(&h);
    for (char id[] = "a1"; id[1] < '7'; id[1]++)
        h_add_agent(&h, id, "cpus:1;mem:64");
    h.ops->set_quota(h.a, "eng", NULL, &three);
    add_gang(&h, "g", "eng", "count=4 unit=cpus:1");
    ck_assert_uint_eq(later(&h, 1), 0);
    h.ops->set_quota(h.a, "eng", NULL, &four);
    ck_assert_uint_eq(later(&h, 1), 4);
    h_done(&h);
}
END_TEST

/* An agent, the role or the framework goes while parts are held. */
START_TEST(what_goes_meanwhile)
{
    for (int what = 0; what < 5; what++) {
        struct harness h;
        const char *roles[] = {"eng"};

        busy_cluster(&h);
        add_gang(&h, "g", "eng", "total=cpus:2;mem:192 hold=60secs");
        h_run(&h);
        end_task(&h, "a1");
        end_task(&h, "a2");
        ck_assert_uint_eq(later(&h, 1), 0);
        if (what == 0)
            h.ops->remove_agent(h.a, "a1");
        else if (what == 1)
            h.ops->set_agent_active(h.a, "a1", false);
        else if (what == 2)
            h.ops->remove_framework(h.a, "g");
        else if (what == 3)
            h.ops->set_framework_active(h.a, "g", false);
        else
            h.ops->suppress(h.a, "g", roles, 1);
        /* The gang's end is the hog's gain; an agent's end is nobody's. */
        ck_assert_uint_eq(later(&h, 1), what < 2 ? 0 : 2);
        if (what < 2) {
            end_task(&h, "a3");
            end_task(&h, "a4");
            later(&h, 1);
            h_decline(&h, h_last(&h), 3600);
            ck_assert_uint_eq(later(&h, 1), 3);
            ck_assert_int_eq(offered(&h, "g", "mem"), 192 * MILLI_ONE);
        }
        h_done(&h);
    }
}
END_TEST

/* KEMU's example (features.md K3): 2,550 machines of 8 GPUs in three zones, 42 jobs that each want one zone. All are admitted
 * whole, whatever the order, and nothing is left. */
START_TEST(many_jobs)
{
    static const struct {
        const char *kind;
        unsigned machines, jobs, workers;
    } kinds[] = {{"a100", 1500, 15, 100}, {"h100", 750, 15, 50}, {"h200", 300, 12, 25}};
    struct harness h;
    unsigned job = 0;
    milli_t sum = 0;

    init(&h);
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
        for (unsigned i = 0; i < kinds[k].machines; i++) {
            char id[32], total[96], zone[] = "z1";
            fl_snprintf(id, sizeof(id), "%s-%u", kinds[k].kind, i);
            fl_snprintf(total, sizeof(total), "cpus:96;mem:1000000;gpus:8;%s:1", kinds[k].kind);
            zone[1] = (char)('1' + i % 3);
            add_in_zone(&h, id, total, zone);
        }
    for (unsigned n = 0; n < 15; n++)
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
            char id[32], text[128];
            if (n >= kinds[k].jobs)
                continue;
            fl_snprintf(id, sizeof(id), "job-%u", job++);
            fl_snprintf(text, sizeof(text),
                        "count=%u unit=gpus:8;cpus:90;%s:1 same=zone hold=30secs", kinds[k].workers,
                        kinds[k].kind);
            add_gang(&h, id, "ml", text);
        }
    ck_assert_uint_eq(job, 42);
    ck_assert_uint_eq(h_run(&h), 2550);
    for (unsigned n = 0; n < job; n++) {
        char id[32];
        fl_snprintf(id, sizeof(id), "job-%u", n);
        milli_t gpus = offered(&h, id, "gpus");
        ck_assert(gpus == 800000 || gpus == 400000 || gpus == 200000);
        sum += gpus;
    }
    ck_assert_int_eq(sum, 20400 * MILLI_ONE);
    h_done(&h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("allocator gang");
    TCase *t = tcase_create("all");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_test(t, all_or_nothing);
    tcase_add_test(t, no_more_than_needed);
    tcase_add_test(t, in_one_zone);
    tcase_add_test(t, gathers);
    tcase_add_test(t, gives_up_and_rests);
    tcase_add_test(t, its_share_first);
    tcase_add_test(t, two_gangs_do_not_block_each_other);
    tcase_add_test(t, too_large_never_gathers);
    tcase_add_test(t, quota_holds);
    tcase_add_test(t, what_goes_meanwhile);
    tcase_add_test(t, many_jobs);
    suite_add_tcase(s, t);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
