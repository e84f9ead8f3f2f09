/* The built-in allocator: features.md 4.1 row by row, and the worked examples of 9.1. Steps named "drf 1" and so on are
 * those at the top of master/allocator/allocator_drf.c, "filters n" of allocator_filters.c, "gates n" of allocator_eligible.c. */
#include <check.h>
#include <math.h>

#include "tests/unit/allocator_harness.h"

#define CAP(name)  V1__FRAMEWORK_INFO__CAPABILITY__TYPE__##name
#define ACAP(name) (1u << V1__AGENT_INFO__CAPABILITY__TYPE__##name)

static struct harness h;

static void setup(void)
{
    h_init(&h);
}

static void teardown(void)
{
    h_done(&h);
}

#define ck_offer(o, fw, ro, ag, text)                                                              \
    do {                                                                                           \
        struct h_offer *_o = (o);                                                                  \
        _cleanup_resources_ struct resources _want = h_res(text);                                  \
        ck_assert_ptr_nonnull(_o);                                                                 \
        ck_assert_str_eq(_o->framework, fw);                                                       \
        ck_assert_str_eq(_o->role, ro);                                                            \
        ck_assert_str_eq(_o->agent, ag);                                                           \
        resources_allocate(&_want, ro);                                                            \
        ck_assert_msg(resources_equal(&_o->res, &_want), "not %s", text);                          \
    } while (0)

START_TEST(first_offer_at_once)
{
    h_add_framework(&h, "f1", "*");
    ck_assert_uint_eq(h_run(&h), 0);
    h_add_agent(&h, "a1", "cpus:4;mem:1024;ports:[1-10]");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "*", "a1", "cpus:4;mem:1024;ports:[1-10]");
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0); /* offered is allocated */
}
END_TEST

START_TEST(a_framework_that_comes_gets_all_agents)
{
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_add_agent(&h, "a2", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 0);
    h_add_framework(&h, "f1", "*");
    ck_assert_uint_eq(h_run(&h), 2);
}
END_TEST

START_TEST(agents_alternate_between_equals)
{
    h_add_framework(&h, "f1", "*");
    h_add_framework(&h, "f2", "*");
    for (int i = 0; i < 4; i++) {
        const char *const ids[] = {"a1", "a2", "a3", "a4"};
        h_add_agent(&h, ids[i], "cpus:4;mem:1024");
    }
    ck_assert_uint_eq(h_run(&h), 4);
    ck_assert_str_eq(h.offers[0].framework, "f1");
    ck_assert_str_eq(h.offers[1].framework, "f2");
    ck_assert_str_ne(h.offers[2].framework, h.offers[3].framework);
}
END_TEST

/* ---- filters ---- */

START_TEST(decline_hides_for_refuse_seconds)
{
    uint64_t next;

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_run(&h);
    h_decline(&h, h_last(&h), 10);
    ck_assert_uint_eq(h_run_all(&h, true, &next), 0);
    ck_assert_uint_eq(next, h.now + 10 * SECOND); /* filters 5: it wants to be woken then */
    h.now += 10 * SECOND - 1;
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
    h.now += 1;
    ck_assert_uint_eq(h_run(&h), 1); /* by time alone */
}
END_TEST

/* filters 1 and 3 */
START_TEST(refuse_seconds_bounds)
{
    const struct {
        double refuse;
        uint64_t us;
    } rows[] = {
        {0.25, SECOND},
        {5, 5 * SECOND},
        {NAN, 5 * SECOND},
        {1e18, 365 * UINT64_C(86400) * SECOND},
    };

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t next;

        h_run(&h);
        h_decline(&h, h_last(&h), rows[i].refuse);
        ck_assert_uint_eq(h_run_all(&h, false, &next), 0);
        ck_assert_uint_eq(next, h.now + rows[i].us);
        h.now = next;
    }
}
END_TEST

START_TEST(negative_or_missing_is_the_default)
{
    V1__Filters f = V1__FILTERS__INIT;
    uint64_t next;

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    for (int i = 0; i < 2; i++) {
        h_run(&h);
        f.has_refuse_seconds = i == 1;
        f.refuse_seconds = -3;
        h.ops->recover(h.a, "f1", "a1", &h_last(&h)->res, &f, h.now);
        h_run_all(&h, false, &next);
        ck_assert_uint_eq(next, h.now + 5 * SECOND);
        h.now = next;
    }
}
END_TEST

START_TEST(filter_hides_subsets_only)
{
    struct resources small, rest = RESOURCES_INIT;
    V1__Filters f = V1__FILTERS__INIT;

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_run(&h);
    small = h_res("cpus:1;mem:512");
    resources_allocate(&small, "*");
    resources_copy(&rest, &h_last(&h)->res);
    resources_subtract(&rest, &small);
    h.ops->transition_to_used(h.a, "f1", "a1", &small);
    h.ops->recover(h.a, "f1", "a1", &rest, &f, h.now); /* refuses cpus:3;mem:512 for 5 s */
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
    h.ops->recover(h.a, "f1", "a1", &small, NULL,
                   h.now); /* all free again: more than was refused */
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "*", "a1", "cpus:4;mem:1024");
    resources_done(&small);
    resources_done(&rest);
}
END_TEST

START_TEST(decline_passes_to_the_other)
{
    h_add_framework(&h, "f1", "*");
    h_add_framework(&h, "f2", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_run(&h);
    ck_assert_str_eq(h_last(&h)->framework, "f1");
    h_decline(&h, h_last(&h), 5);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->framework, "f2");
    h_decline(&h, h_last(&h), 5);
    ck_assert_uint_eq(h_run(&h), 0);
}
END_TEST

/* refuse_seconds 0: no filter, but not in a circle faster than the allocation interval. */
START_TEST(no_filter_waits_for_the_interval)
{
    uint64_t next;

    h.now = 7 * SECOND + 300000;
    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_run(&h);
    h_decline(&h, h_last(&h), 0);
    ck_assert_uint_eq(h_run_all(&h, false, &next), 0);
    ck_assert_uint_eq(next, 8 * SECOND);
    h.now = next;
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert(h_use(&h, h_last(&h), "cpus:1;mem:100"));
    ck_assert_uint_eq(h_run(&h), 1); /* the rest comes at once to one that makes progress */
    ck_offer(h_last(&h), "f1", "*", "a1", "cpus:3;mem:924");
    h_decline(&h, h_last(&h), -1); /* without filters at all: rescinded, freed */
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

/* allocator_filters.c step 4, and 2: what grew is more than was refused. */
START_TEST(filter_outlives_a_smaller_total)
{
    struct h_agent ag = {.id = "a1", .total = "cpus:4;mem:512"};

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 1);
    h_decline(&h, h_last(&h), 600);
    h_tell_agent(&h, &ag, true);
    ck_assert_uint_eq(h_run(&h), 0);
    ag.total = "cpus:8;mem:512";
    h_tell_agent(&h, &ag, true);
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

START_TEST(filters_end_with_revive_and_changed_agents)
{
    struct h_agent bigger = {.id = "a1", .total = "cpus:8;mem:1024"};
    struct h_agent same = {.id = "a1", .total = "cpus:8;mem:1024", .hostname = "other"};

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_run(&h);
    h_decline(&h, h_last(&h), 1000);
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
    h.ops->revive(h.a, "f1", NULL, 0, h.now);
    ck_assert_uint_eq(h_run(&h), 1);
    h_decline(&h, h_last(&h), 1000);
    h_tell_agent(&h, &bigger, true);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "*", "a1", "cpus:8;mem:1024");
    h_decline(&h, h_last(&h), 1000);
    h_tell_agent(&h, &same, true);
    ck_assert_uint_eq(h_run(&h), 0);
    h.ops->set_framework_active(h.a, "f1", false);
    ck_assert_uint_eq(h_run(&h), 0);
    h.ops->set_framework_active(h.a, "f1", true); /* its filters went with the connection */
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

/* ---- suppress, roles ---- */

START_TEST(suppress_and_revive_by_role)
{
    struct h_framework f = {.id = "f1", .roles = {(char *)"r1", (char *)"r2"}};
    const char *const r1[] = {"r1"}, *const r2[] = {"r2"};

    h_tell_framework(&h, &f, false);
    h.ops->suppress(h.a, "f1", r1, 1);
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->role, "r2");
    h.ops->suppress(h.a, "f1", r2, 1);
    h_decline(&h, h_last(&h), -1);
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
    h.ops->revive(h.a, "f1", r1, 1, h.now);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->role, "r1");
}
END_TEST

START_TEST(suppressed_from_the_start_and_by_update)
{
    struct h_framework f = {.id = "f1",
                            .roles = {(char *)"r1", (char *)"r2"},
                            .suppressed = {(char *)"r1", (char *)"r2"}};

    h_tell_framework(&h, &f, false);
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 0);
    f.suppressed[1] = NULL;
    h_tell_framework(&h, &f, true);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->role, "r2");
    f.roles[1] = NULL; /* leaves r2; what it was offered for it stays until it comes back */
    h_tell_framework(&h, &f, true);
    ck_assert_uint_eq(h_run(&h), 0);
    h_decline(&h, h_last(&h), 0);
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
}
END_TEST

START_TEST(no_roles_no_offers)
{
    struct h_framework f = {.id = "f1"};

    h_tell_framework(&h, &f, false);
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 0);
}
END_TEST

START_TEST(roles_share_before_frameworks)
{
    h_add_framework(&h, "f1", "r1");
    h_add_framework(&h, "f2", "r1");
    h_add_framework(&h, "f3", "r2");
    for (int i = 0; i < 4; i++) {
        const char *const ids[] = {"a1", "a2", "a3", "a4"};
        h_add_agent(&h, ids[i], "cpus:4;mem:1024");
    }
    ck_assert_uint_eq(h_run(&h), 4);
    size_t r2 = 0;
    for (size_t i = 0; i < h.n; i++)
        r2 += streq(h.offers[i].role, "r2");
    ck_assert_uint_eq(r2, 2); /* half, though r1 has two frameworks */
    ck_assert_double_eq(h.ops->dominant_share(h.a, "r1"), 0.5);
    ck_assert_double_eq(h.ops->dominant_share(h.a, "f1"), 0.25);
}
END_TEST

START_TEST(weights_of_roles)
{
    static const char *const ids[] = {"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"};
    size_t r1 = 0;

    h.ops->set_weight(h.a, "r1", 3.0);
    h_add_framework(&h, "f1", "r1");
    h_add_framework(&h, "f2", "r2");
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        h_add_agent(&h, ids[i], "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 8);
    for (size_t i = 0; i < h.n; i++)
        r1 += streq(h.offers[i].role, "r1");
    ck_assert_uint_eq(r1, 6);
}
END_TEST

START_TEST(reservations_are_for_their_role_and_below)
{
    h_add_agent(&h, "a1", "cpus:4;mem:1024;cpus(eng):2;mem(eng):512");
    h_add_framework(&h, "f1", "ops");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "ops", "a1", "cpus:4;mem:1024");
    h_add_framework(&h, "f2", "eng/web");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "eng/web", "a1", "cpus(eng):2;mem(eng):512");
    h_decline(&h, &h.offers[0], 5);
    ck_assert_uint_eq(h_run(&h), 1); /* the other is next for the unreserved */
    ck_offer(h_last(&h), "f2", "eng/web", "a1", "cpus:4;mem:1024");
}
END_TEST

/* ---- gates ---- */

START_TEST(min_allocatable)
{
    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:0.005;mem:31;disk:10000");
    ck_assert_uint_eq(h_run(&h), 0);
    h_add_agent(&h, "a2", "cpus:0.01");
    h_add_agent(&h, "a3", "mem:32");
    ck_assert_uint_eq(h_run(&h), 2);
}
END_TEST

START_TEST(min_allocatable_of_a_role)
{
    V1__OfferFilters filters = V1__OFFER_FILTERS__INIT;
    V1__OfferFilters__MinAllocatableResources min =
        V1__OFFER_FILTERS__MIN_ALLOCATABLE_RESOURCES__INIT;
    V1__OfferFilters__ResourceQuantities q = V1__OFFER_FILTERS__RESOURCE_QUANTITIES__INIT,
                                         *qs[] = {&q};
    V1__OfferFilters__ResourceQuantities__QuantitiesEntry
        e = V1__OFFER_FILTERS__RESOURCE_QUANTITIES__QUANTITIES_ENTRY__INIT,
        *es[] = {&e};
    V1__Value__Scalar two = V1__VALUE__SCALAR__INIT;
    struct h_framework f = {.id = "f1", .roles = {(char *)"r1"}, .filters = &filters};

    filters.min_allocatable_resources = &min;
    h_tell_framework(&h, &f, false);
    h_add_agent(&h, "a1", "disk:10");
    ck_assert_uint_eq(h_run(&h), 1); /* an empty list is no minimum at all */
    two.value = 2;
    e.key = (char *)"cpus";
    e.value = &two;
    q.n_quantities = 1;
    q.quantities = es;
    min.n_quantities = 1;
    min.quantities = qs;
    h_tell_framework(&h, &f, true);
    h_add_agent(&h, "a2", "cpus:1;mem:1024");
    ck_assert_uint_eq(h_run(&h), 0);
    h_add_agent(&h, "a3", "cpus:2");
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

START_TEST(gpus_are_for_those_who_know_them)
{
    struct h_framework f = {.id = "f2", .roles = {(char *)"*"}, .caps = {CAP(GPU_RESOURCES)}};

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024;gpus:2");
    ck_assert_uint_eq(h_run(&h), 0);
    h_tell_framework(&h, &f, false);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "*", "a1", "cpus:4;mem:1024;gpus:2");
}
END_TEST

START_TEST(old_agents_and_new_frameworks)
{
    struct h_agent old = {.id = "a1", .total = "cpus:1;mem:100", .without_caps = ACAP(MULTI_ROLE)};
    struct h_agent flat = {
        .id = "a2", .total = "cpus:1;mem:100", .without_caps = ACAP(HIERARCHICAL_ROLE)};
    struct h_framework single = {.id = "f2", .roles = {(char *)"eng"}, .single_role = true};

    h_add_framework(&h, "f1", "eng/web");
    h_tell_agent(&h, &old, false);
    h_tell_agent(&h, &flat, false);
    ck_assert_uint_eq(h_run(&h), 0);
    h_tell_framework(&h, &single, false);
    ck_assert_uint_eq(h_run(&h), 2);
}
END_TEST

static void name_domain(V1__DomainInfo *d, V1__DomainInfo__FaultDomain *f,
                        V1__DomainInfo__FaultDomain__RegionInfo *r,
                        V1__DomainInfo__FaultDomain__ZoneInfo *z, const char *region)
{
    v1__domain_info__init(d);
    v1__domain_info__fault_domain__init(f);
    v1__domain_info__fault_domain__region_info__init(r);
    v1__domain_info__fault_domain__zone_info__init(z);
    r->name = (char *)region;
    z->name = (char *)"z";
    f->region = r;
    f->zone = z;
    d->fault_domain = f;
}

START_TEST(other_regions)
{
    struct allocator_options o = h_options();
    V1__DomainInfo here, there;
    V1__DomainInfo__FaultDomain f1, f2;
    V1__DomainInfo__FaultDomain__RegionInfo r1, r2;
    V1__DomainInfo__FaultDomain__ZoneInfo z1, z2;
    struct h_agent far = {.id = "a2", .total = "cpus:1;mem:100", .domain = &there};
    struct h_framework aware = {.id = "f2", .roles = {(char *)"*"}, .caps = {CAP(REGION_AWARE)}};

    name_domain(&here, &f1, &r1, &z1, "here");
    name_domain(&there, &f2, &r2, &z2, "there");
    o.master_domain = &here;
    h_done(&h);
    h_init_with(&h, allocator_builtin("HierarchicalDRF"), &o);
    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:1;mem:100"); /* says nothing: counts as here */
    h_tell_agent(&h, &far, false);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->agent, "a1");
    h_tell_framework(&h, &aware, false);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->agent, "a2");
}
END_TEST

START_TEST(whitelist_and_activation)
{
    const char *const hosts[] = {"a2"};

    h_add_framework(&h, "f1", "*");
    h.ops->set_whitelist(h.a, hosts, 1);
    h_add_agent(&h, "a1", "cpus:1;mem:100");
    h_add_agent(&h, "a2", "cpus:1;mem:100");
    h.ops->set_agent_active(h.a, "a2", false);
    ck_assert_uint_eq(h_run(&h), 0);
    h.ops->set_agent_active(h.a, "a2", true);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->agent, "a2");
    h.ops->set_whitelist(h.a, NULL, 0);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->agent, "a1");
}
END_TEST

START_TEST(paused)
{
    h.ops->set_paused(h.a, true);
    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:1;mem:100");
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
    h.ops->set_paused(h.a, false);
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

START_TEST(ephemeral_ports_stay_home)
{
    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:1;mem:100;ports:[1-2];ephemeral_ports:[3-4]");
    h_run(&h);
    ck_offer(h_last(&h), "f1", "*", "a1", "cpus:1;mem:100;ports:[1-2]");
}
END_TEST

START_TEST(offer_constraints)
{
    Sched__OfferConstraints pb = SCHED__OFFER_CONSTRAINTS__INIT;
    Sched__OfferConstraints__RoleConstraintsEntry
        entry = SCHED__OFFER_CONSTRAINTS__ROLE_CONSTRAINTS_ENTRY__INIT,
        *entries[] = {&entry};
    Sched__OfferConstraints__RoleConstraints rc = SCHED__OFFER_CONSTRAINTS__ROLE_CONSTRAINTS__INIT;
    Sched__OfferConstraints__RoleConstraints__Group
        g = SCHED__OFFER_CONSTRAINTS__ROLE_CONSTRAINTS__GROUP__INIT,
        *groups[] = {&g};
    Sched__AttributeConstraint ac = SCHED__ATTRIBUTE_CONSTRAINT__INIT, *acs[] = {&ac};
    Sched__AttributeConstraint__Selector sel = SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__INIT;
    Sched__AttributeConstraint__Predicate pred = SCHED__ATTRIBUTE_CONSTRAINT__PREDICATE__INIT;
    Sched__AttributeConstraint__Predicate__TextEquals eq =
        SCHED__ATTRIBUTE_CONSTRAINT__PREDICATE__TEXT_EQUALS__INIT;
    _cleanup_(offer_constraints_freep) struct offer_constraints *c = NULL;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    const char *const roles[] = {"r1"};
    struct h_framework f = {.id = "f1", .roles = {(char *)"r1"}};
    struct h_agent r1 = {.id = "a1", .total = "cpus:1;mem:100"},
                   r2 = {.id = "a2", .total = "cpus:1;mem:100"};
    struct fl_err err;

    eq.value = (char *)"two";
    pred.text_equals = &eq;
    pred.predicate_case = SCHED__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_TEXT_EQUALS;
    sel.attribute_name = (char *)"rack";
    sel.selector_case = SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR_ATTRIBUTE_NAME;
    ac.selector = &sel;
    ac.predicate = &pred;
    g.n_attribute_constraints = 1;
    g.attribute_constraints = acs;
    rc.n_groups = 1;
    rc.groups = groups;
    entry.key = (char *)"r1";
    entry.value = &rc;
    pb.n_role_constraints = 1;
    pb.role_constraints = entries;
    ck_assert_msg(offer_constraints_new(&pb, roles, 1, NULL, &c, &err) == 0, "%s", err.msg);
    f.constraints = c;
    ck_assert_int_eq(attributes_parse("rack:one", arena, &r1.attributes, &r1.n_attributes, NULL),
                     0);
    ck_assert_int_eq(attributes_parse("rack:two", arena, &r2.attributes, &r2.n_attributes, NULL),
                     0);
    h_tell_framework(&h, &f, false);
    h_tell_agent(&h, &r1, false);
    h_tell_agent(&h, &r2, false);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_assert_str_eq(h_last(&h)->agent, "a2");
    f.constraints = NULL;
    h_tell_framework(&h, &f, true);
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

/* ---- books ---- */

START_TEST(used_from_before_counts)
{
    _cleanup_resources_ struct resources used = h_res("cpus:3;mem:600");
    struct allocator_used u = {.framework_id = "f1", .res = &used};
    struct h_agent ag = {.id = "a1", .total = "cpus:4;mem:1024", .used = &u, .n_used = 1};

    resources_allocate(&used, "*");
    h_tell_agent(&h, &ag, false); /* the framework is not back yet */
    ck_assert_double_eq(h.ops->dominant_share(h.a, "f1"), 0.75);
    h_add_framework(&h, "f1", "*");
    h_add_framework(&h, "f2", "*");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "*", "a1", "cpus:1;mem:424");
    h_free_task(&h, "f1", "*", "a1", "cpus:3;mem:600");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "*", "a1", "cpus:3;mem:600");
}
END_TEST

START_TEST(more_used_than_there_is)
{
    struct h_agent small = {.id = "a1", .total = "cpus:2;mem:1024"};

    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_run(&h);
    ck_assert(h_use(&h, h_last(&h), "cpus:3;mem:24"));
    h_run(&h);
    h_tell_agent(&h, &small, true);
    h_decline(&h, h_last(&h), -1);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "*", "a1", "mem:1000");
    h_free_task(&h, "f1", "*", "a1", "cpus:3;mem:24");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "*", "a1", "cpus:2;mem:24"); /* not 3 */
}
END_TEST

START_TEST(what_was_not_held_does_not_come_back)
{
    h_add_framework(&h, "f1", "*");
    h_add_framework(&h, "f2", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_run(&h);
    h_free_task(&h, "f2", "*", "a1", "cpus:4;mem:1024");
    h_free_task(&h, "unknown", "*", "a1", "cpus:4;mem:1024");
    h_free_task(&h, "f1", "*", "unknown", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run_all(&h, true, NULL), 0);
    h_free_task(&h, "f1", "*", "a1", "cpus:400;mem:1024");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "*", "a1", "cpus:4;mem:1024");
}
END_TEST

START_TEST(gone_frameworks_and_agents)
{
    h_add_framework(&h, "f1", "*");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_add_agent(&h, "a2", "cpus:4;mem:1024");
    h_run(&h);
    h_add_framework(&h, "f2", "r2");
    h.ops->remove_framework(h.a, "f1");
    ck_assert_uint_eq(h_run(&h), 2);
    ck_assert_str_eq(h_last(&h)->framework, "f2");
    h.ops->remove_agent(h.a, "a1");
    ck_assert_double_eq(h.ops->dominant_share(h.a, "f2"), 1.0);
    h.ops->remove_agent(h.a, "a2");
    ck_assert_double_eq(h.ops->dominant_share(h.a, "f2"), 0.0);
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_uint_eq(h_run(&h), 1);
}
END_TEST

START_TEST(an_operation_changes_the_shape)
{
    _cleanup_resources_ struct resources from = h_res("cpus:1"), to = h_res("cpus(eng):1");
    struct fl_err err;

    h_add_framework(&h, "f1", "eng");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    ck_assert_int_eq(h.ops->update_allocation(h.a, NULL, "a1", &from, &to, &err), 0);
    h_run(&h);
    ck_offer(h_last(&h), "f1", "eng", "a1", "cpus:3;mem:1024;cpus(eng):1");
    ck_assert_int_lt(h.ops->update_allocation(h.a, NULL, "a1", &from, &to, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT); /* nothing is free */
    resources_allocate(&from, "eng");
    resources_allocate(&to, "eng");
    ck_assert_int_eq(h.ops->update_allocation(h.a, "f1", "a1", &from, &to, &err), 0);
    resources_unallocate(&from);
    h_decline(&h, h_last(&h),
              -1); /* what the master still thinks was offered: 1 cpu less came back */
    h_free_task(&h, "f1", "eng", "a1", "cpus(eng):1");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "eng", "a1", "cpus:2;mem:1024;cpus(eng):2");
}
END_TEST

/* ---- gates 6: kinds of resources ---- */

#define DISK         "\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100}"
#define CPUS(more)   "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2}" more "}"
#define STACK(roles) ",\"reservations\":[" roles "]"
#define BY(role)     "{\"type\":\"DYNAMIC\",\"role\":\"" role "\"}"
#define VOLUME                                                                                     \
    "{" DISK STACK(BY("eng")) ",\"disk\":{\"persistence\":{\"id\":\"v1\"},\"volume\":"             \
                              "{\"container_path\":\"p\",\"mode\":\"RW\"}},\"shared\":{}}"

START_TEST(revocable_is_for_those_who_take_it)
{
    struct h_framework able = {
        .id = "f2", .roles = {(char *)"ops"}, .caps = {CAP(REVOCABLE_RESOURCES)}};

    h_add_framework(&h, "f1", "eng");
    h_add_agent(&h, "a1", "[" CPUS("") "," CPUS(",\"revocable\":{}") "]");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "eng", "a1", "[" CPUS("") "]");
    h_tell_framework(&h, &able, false);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "ops", "a1", "[" CPUS(",\"revocable\":{}") "]");
}
END_TEST

START_TEST(refined_is_for_those_who_know_it)
{
    struct h_framework able = {
        .id = "f2", .roles = {(char *)"eng/a"}, .caps = {CAP(RESERVATION_REFINEMENT)}};

    h_add_framework(&h, "f1", "eng/a");
    h_add_agent(&h, "a1",
                "[" CPUS(STACK(BY("eng"))) "," CPUS(STACK(BY("eng") "," BY("eng/a"))) "]");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "eng/a", "a1", "[" CPUS(STACK(BY("eng"))) "]");
    h_tell_framework(&h, &able, false);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "eng/a", "a1", "[" CPUS(STACK(BY("eng") "," BY("eng/a"))) "]");
}
END_TEST

/* A copy goes with each offer to those who know of sharing; in one look only once. It counts once for a framework. */
START_TEST(shared_is_offered_again)
{
    struct h_framework f1 = {.id = "f1", .roles = {(char *)"eng"}, .caps = {CAP(SHARED_RESOURCES)}};
    struct h_framework f2 = {.id = "f2", .roles = {(char *)"eng"}, .caps = {CAP(SHARED_RESOURCES)}};
    struct h_framework f3 = {.id = "f3", .roles = {(char *)"eng"}};
    _cleanup_resources_ struct resources volume = h_res("[" VOLUME "]");

    h_tell_framework(&h, &f1, false);
    h_add_agent(&h, "a1", "[" VOLUME "," CPUS("") "]");
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f1", "eng", "a1", "[" VOLUME "," CPUS("") "]");
    h_tell_framework(&h, &f2, false);
    resources_allocate(&volume, "eng");
    h.ops->transition_to_used(h.a, "f1", "a1", &volume);
    ck_assert(h_use(&h, &h.offers[0], "cpus:1"));
    ck_assert_double_eq(h.ops->dominant_share(h.a, "f1"), 0.5);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f2", "eng", "a1",
             "[" VOLUME ",{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}]");
    h_decline(&h, h_last(&h), 5);
    h.ops->suppress(h.a, "f1", NULL, 0);
    h_tell_framework(&h, &f3, false);
    ck_assert_uint_eq(h_run(&h), 1);
    ck_offer(h_last(&h), "f3", "eng", "a1", "cpus:1"); /* does not know of sharing */
}
END_TEST

START_TEST(slices)
{
    char id[16];
    uint64_t next;
    size_t runs = 1;

    h_add_framework(&h, "f1", "*");
    for (int i = 0; i < 500; i++) {
        fl_snprintf(id, sizeof(id), "a%d", i);
        h_add_agent(&h, id, "cpus:4;mem:1024");
    }
    next = h.ops->run(h.a, h.now, 100, false);
    ck_assert_uint_gt(h.n, 0);
    ck_assert_uint_lt(h.n, 500);
    ck_assert_uint_eq(next, h.now);
    for (; next <= h.now; runs++)
        next = h.ops->run(h.a, h.now, 100, false);
    ck_assert_uint_eq(h.n, 500);
    ck_assert_uint_gt(runs, 4);
    ck_assert_uint_eq(next, UINT64_MAX);
}
END_TEST

START_TEST(options_are_checked)
{
    struct allocator_options o = h_options();
    struct allocator_callbacks cb = {.offer = h_on_offer, .arg = &h};
    struct allocator *a = NULL;
    struct fl_err err;

    o.min_allocatable_resources = "cpus:x";
    ck_assert_int_lt(h.ops->create(&o, &cb, &a, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "cpus:x"));
    o = h_options();
    o.role_sorter = "fifo";
    ck_assert_int_lt(h.ops->create(&o, &cb, &a, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    ck_assert_ptr_null(a);
}
END_TEST

/* ---- the worked examples: each framework launches one task from an offer, as long as one fits ---- */

struct demand {
    const char *framework, *task;
    unsigned tasks;
};

static void settle(struct demand *d, size_t n)
{
    for (int guard = 0; guard < 1000; guard++) {
        struct h_offer *o;
        size_t who = 0;

        if (!h_run(&h))
            return;
        o = h_last(&h);
        while (who < n && !streq(d[who].framework, o->framework))
            who++;
        ck_assert_uint_lt(who, n);
        if (h_use(&h, o, d[who].task))
            d[who].tasks++;
        else
            h_decline(&h, o, 3600);
    }
    ck_abort_msg("never settles");
}

START_TEST(d1_nine_cpus)
{
    struct demand d[] = {{"A", "cpus:3;mem:1", 0}, {"B", "cpus:1;mem:4", 0}};

    h_add_framework(&h, "A", "*");
    h_add_framework(&h, "B", "*");
    h_add_agent(&h, "a1", "cpus:9;mem:18");
    settle(d, 2);
    ck_assert_uint_eq(d[0].tasks, 2);
    ck_assert_uint_eq(d[1].tasks, 3);
    ck_assert_double_eq(h.ops->dominant_share(h.a, "A"), 6.0 / 9.0);
    ck_assert_double_eq(h.ops->dominant_share(h.a, "B"), 12.0 / 18.0);
}
END_TEST

START_TEST(d1_ten_cpus)
{
    struct demand d[] = {{"A", "cpus:3;mem:2", 0}, {"B", "cpus:1;mem:5", 0}};

    h_add_framework(&h, "A", "*");
    h_add_framework(&h, "B", "*");
    h_add_agent(&h, "a1", "cpus:10;mem:20");
    settle(d, 2);
    ck_assert_uint_eq(d[0].tasks, 2);
    ck_assert_uint_eq(d[1].tasks, 3);
}
END_TEST

START_TEST(d3_small_tasks)
{
    struct demand d[] = {{"A", "cpus:2;mem:1000", 0}, {"B", "cpus:1;mem:2000", 0}};

    h_add_framework(&h, "A", "*");
    h_add_framework(&h, "B", "*");
    h_add_agent(&h, "a1", "cpus:6;mem:6600");
    settle(d, 2);
    ck_assert_uint_eq(d[0].tasks, 2);
    ck_assert_uint_eq(d[1].tasks, 2);
}
END_TEST

START_TEST(d3_large_tasks)
{
    struct demand d[] = {{"A", "cpus:2;mem:1000", 0}, {"B", "cpus:1;mem:2500", 0}};

    h_add_framework(&h, "A", "*");
    h_add_framework(&h, "B", "*");
    h_add_agent(&h, "a1", "cpus:6;mem:6600");
    settle(d, 2);
    ck_assert_uint_eq(d[0].tasks, 2);
    ck_assert_uint_eq(d[1].tasks, 1);
}
END_TEST

static void add_tests(TCase *t)
{
    tcase_add_test(t, first_offer_at_once);
    tcase_add_test(t, a_framework_that_comes_gets_all_agents);
    tcase_add_test(t, agents_alternate_between_equals);
    tcase_add_test(t, decline_hides_for_refuse_seconds);
    tcase_add_test(t, refuse_seconds_bounds);
    tcase_add_test(t, negative_or_missing_is_the_default);
    tcase_add_test(t, filter_hides_subsets_only);
    tcase_add_test(t, decline_passes_to_the_other);
    tcase_add_test(t, no_filter_waits_for_the_interval);
    tcase_add_test(t, filter_outlives_a_smaller_total);
    tcase_add_test(t, filters_end_with_revive_and_changed_agents);
    tcase_add_test(t, suppress_and_revive_by_role);
    tcase_add_test(t, suppressed_from_the_start_and_by_update);
    tcase_add_test(t, no_roles_no_offers);
    tcase_add_test(t, roles_share_before_frameworks);
    tcase_add_test(t, weights_of_roles);
    tcase_add_test(t, reservations_are_for_their_role_and_below);
    tcase_add_test(t, min_allocatable);
    tcase_add_test(t, min_allocatable_of_a_role);
    tcase_add_test(t, gpus_are_for_those_who_know_them);
    tcase_add_test(t, old_agents_and_new_frameworks);
    tcase_add_test(t, other_regions);
    tcase_add_test(t, whitelist_and_activation);
    tcase_add_test(t, paused);
    tcase_add_test(t, ephemeral_ports_stay_home);
    tcase_add_test(t, offer_constraints);
    tcase_add_test(t, used_from_before_counts);
    tcase_add_test(t, more_used_than_there_is);
    tcase_add_test(t, what_was_not_held_does_not_come_back);
    tcase_add_test(t, gone_frameworks_and_agents);
    tcase_add_test(t, an_operation_changes_the_shape);
    tcase_add_test(t, revocable_is_for_those_who_take_it);
    tcase_add_test(t, refined_is_for_those_who_know_it);
    tcase_add_test(t, shared_is_offered_again);
    tcase_add_test(t, slices);
    tcase_add_test(t, options_are_checked);
    tcase_add_test(t, d1_nine_cpus);
    tcase_add_test(t, d1_ten_cpus);
    tcase_add_test(t, d3_small_tasks);
    tcase_add_test(t, d3_large_tasks);
}

int main(void)
{
    Suite *s = suite_create("allocator");
    TCase *t = tcase_create("hierarchical_drf");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    add_tests(t);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
