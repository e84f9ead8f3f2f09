/* Inverse offers of the built-in allocator (steps of master/allocator/allocator_inverse.c), and its numbers. */
#include <check.h>

#include "tests/unit/allocator_harness.h"

static struct harness h;

/* "f1/a1 f2/a1", in the order in which they came. */
static char asked[256];

static void on_inverse(void *arg, const char *framework_id, const char *agent_id,
                       const V1__Unavailability *u)
{
    size_t n = strlen(asked);

    ck_assert_int_eq(u->start->nanoseconds, 7);
    fl_snprintf(asked + n, sizeof(asked) - n, "%s%s/%s", n ? " " : "", framework_id, agent_id);
}

/* What was asked since the last call. */
static const char *news(void)
{
    static char text[256];

    memcpy(text, asked, sizeof(text));
    asked[0] = 0;
    return text;
}

static void setup(void)
{
    struct allocator_options o = h_options();
    struct allocator_callbacks cb = {.offer = h_on_offer, .inverse_offer = on_inverse, .arg = &h};

    h = (struct harness){.ops = allocator_builtin("HierarchicalDRF"), .now = SECOND};
    ck_assert_int_eq(h.ops->create(&o, &cb, &h.a, NULL), 0);
    asked[0] = 0;
    h_add_framework(&h, "f1", "eng");
    h_add_framework(&h, "f2", "ops");
    h_add_agent(&h, "a1", "cpus:4;mem:1024");
    h_add_agent(&h, "a2", "cpus:4;mem:1024");
    h_run(&h); /* f1 holds a1, f2 holds a2 */
}

static void teardown(void)
{
    h_done(&h);
}

static void unavailable(const char *agent, bool is)
{
    V1__Unavailability u = V1__UNAVAILABILITY__INIT;
    V1__TimeInfo start = V1__TIME_INFO__INIT;

    start.nanoseconds = 7;
    u.start = &start;
    h.ops->set_unavailability(h.a, agent, is ? &u : NULL, h.now);
}

static void answer(const char *framework, const char *agent, Alloc__InverseOfferStatus__Status s,
                   double refuse_seconds)
{
    Alloc__InverseOfferStatus status = ALLOC__INVERSE_OFFER_STATUS__INIT;
    V1__FrameworkID id = V1__FRAMEWORK_ID__INIT;
    V1__TimeInfo at = V1__TIME_INFO__INIT;
    V1__Filters f = V1__FILTERS__INIT;

    id.value = (char *)framework;
    status.status = s;
    status.framework_id = &id;
    status.timestamp = &at;
    f.has_refuse_seconds = refuse_seconds >= 0;
    f.refuse_seconds = refuse_seconds;
    h.ops->update_inverse_offer(h.a, framework, agent, &status, &f, h.now);
}

static void add_status(const Alloc__InverseOfferStatus *s, void *arg)
{
    size_t n = strlen(arg);

    fl_snprintf((char *)arg + n, 64 - n, "%s:%d ", s->framework_id->value, (int)s->status);
}

static const char *statuses(const char *agent)
{
    static char text[64];

    text[0] = 0;
    h.ops->each_inverse_status(h.a, agent, add_status, text);
    return text;
}

#define ACCEPT  ALLOC__INVERSE_OFFER_STATUS__STATUS__ACCEPT
#define DECLINE ALLOC__INVERSE_OFFER_STATUS__STATUS__DECLINE

/* 1 and 5 */
START_TEST(who_holds_something_is_asked_once)
{
    size_t offers = h.n;

    unavailable("a1", true);
    h_run(&h);
    ck_assert_str_eq(news(), "f1/a1");
    for (int i = 0; i < 3; i++)
        h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), ""); /* outstanding */
    ck_assert_uint_eq(h.n, offers);
    h_decline(&h, &h.offers[0], 3600);
    ck_assert_uint_eq(h_run(&h), 1); /* it is offered as ever, and who holds it now is asked too */
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f2/a1");
}
END_TEST

/* 1 */
START_TEST(who_is_not_connected_is_not_asked)
{
    h.ops->set_framework_active(h.a, "f1", false);
    unavailable("a1", true);
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "");
    h.ops->set_framework_active(h.a, "f1", true);
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f1/a1");
}
END_TEST

/* 2 and 3 */
START_TEST(answers_and_filters)
{
    unavailable("a1", true);
    h_run(&h);
    news();
    answer("f1", "a1", DECLINE, 3);
    ck_assert_str_eq(statuses("a1"), "f1:3 ");
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "");
    h.now += 3 * SECOND;
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f1/a1");
    answer("f1", "a1", ACCEPT, -1); /* five seconds when none are given */
    ck_assert_str_eq(statuses("a1"), "f1:2 ");
    h.now += 5 * SECOND - 1;
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "");
    h.now += 1;
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f1/a1");
    h.ops->update_inverse_offer(h.a, "f1", "a1", NULL, NULL, h.now); /* rescinded */
    ck_assert_str_eq(statuses("a1"), "f1:2 ");
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f1/a1");
}
END_TEST

/* An answer to what is no longer outstanding is no answer. */
START_TEST(late_answers_do_not_count)
{
    unavailable("a1", true);
    h_run(&h);
    h.ops->update_inverse_offer(h.a, "f1", "a1", NULL, NULL, h.now);
    answer("f1", "a1", ACCEPT, 0);
    ck_assert_str_eq(statuses("a1"), "");
    answer("f2", "a1", ACCEPT, 0); /* never asked */
    answer("f1", "nowhere", ACCEPT, 0);
    ck_assert_str_eq(statuses("a1"), "");
}
END_TEST

/* 4 */
START_TEST(another_unavailability_starts_anew)
{
    unavailable("a1", true);
    h_run(&h);
    news();
    answer("f1", "a1", ACCEPT, 3600);
    unavailable("a1", true);
    ck_assert_str_eq(statuses("a1"), "");
    h_run(&h);
    ck_assert_str_eq(news(), "f1/a1");
    unavailable("a1", false);
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "");
    unavailable("a1", true);
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), ""); /* still outstanding */
    unavailable("a1", false);
    h.ops->update_inverse_offer(h.a, "f1", "a1", NULL, NULL, h.now);
    unavailable("a1", true);
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f1/a1");
}
END_TEST

/* 4 */
START_TEST(revive_ends_filters)
{
    unavailable("a1", true);
    h_run(&h);
    news();
    answer("f1", "a1", DECLINE, 3600);
    h.ops->revive(h.a, "f1", NULL, 0, h.now);
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f1/a1");
    answer("f1", "a1", DECLINE, 3600);
    h.ops->set_framework_active(h.a, "f1", false);
    h.ops->set_framework_active(h.a, "f1", true);
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(news(), "f1/a1");
}
END_TEST

START_TEST(gone_frameworks_and_agents)
{
    unavailable("a1", true);
    unavailable("a2", true);
    h_run(&h);
    ck_assert_str_eq(news(), "f1/a1 f2/a2");
    answer("f2", "a2", ACCEPT, 0);
    h.ops->remove_framework(h.a, "f2");
    ck_assert_str_eq(statuses("a2"), "");
    h.ops->remove_agent(h.a, "a1");
    h_run_all(&h, true, NULL);
    ck_assert_str_eq(statuses("a1"), "");
}
END_TEST

/* ---- numbers ---- */

struct wanted {
    const char *name;
    double value;
    unsigned times;
};

static void match(const char *name, double value, void *arg)
{
    for (struct wanted *w = arg; w->name; w++)
        if (streq(w->name, name)) {
            w->value = value;
            w->times++;
        }
}

static double number(const char *name)
{
    struct wanted w[] = {{name, 0, 0}, {NULL, 0, 0}};

    h.ops->numbers(h.a, match, w);
    ck_assert_msg(w[0].times == 1, "%s: %u times", name, w[0].times);
    return w[0].value;
}

START_TEST(numbers)
{
    _cleanup_quantities_ struct quantities q = QUANTITIES_INIT;

    ck_assert_int_eq(quantities_parse("cpus:3", &q, NULL), 0);
    h.ops->set_quota(h.a, "eng", &q, NULL);
    h_decline(&h, &h.offers[1], 3600);
    ck_assert_double_eq(number("resources/cpus/total"), 8);
    ck_assert_double_eq(number("resources/mem/offered_or_allocated"), 1024);
    ck_assert_double_eq(number("roles/eng/shares/dominant"), 0.5);
    ck_assert_double_eq(number("offer_filters/roles/ops/active"), 1);
    ck_assert_double_eq(number("offer_filters/roles/eng/active"), 0);
    ck_assert_double_eq(number("quota/roles/eng/resources/cpus/guarantee"), 3);
    ck_assert_double_eq(number("quota/roles/eng/resources/cpus/offered_or_allocated"), 4);
    ck_assert_double_eq(number("quota/roles/eng/resources/cpus/consumed"), 4);
    ck_assert_double_eq(number("mismatched"), 0);
    ck_assert_double_eq(number("allocations"), 2);
    h.ops->set_quota(h.a, "eng", NULL, &q);
    ck_assert_double_eq(number("quota/roles/eng/resources/cpus/limit"), 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("allocator_inverse");
    TCase *t = tcase_create("inverse");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, who_holds_something_is_asked_once);
    tcase_add_test(t, who_is_not_connected_is_not_asked);
    tcase_add_test(t, answers_and_filters);
    tcase_add_test(t, late_answers_do_not_count);
    tcase_add_test(t, another_unavailability_starts_anew);
    tcase_add_test(t, revive_ends_filters);
    tcase_add_test(t, gone_frameworks_and_agents);
    tcase_add_test(t, numbers);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
