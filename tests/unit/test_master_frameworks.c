/* The master's core and frameworks: subscription, the checks of calls, failover, offers, updates. */
#include "tests/unit/master_world.h"

static struct world w;

static void setup(void)
{
    w_init(&w, NULL);
}

static void teardown(void)
{
    w_done(&w);
}

/* ---- subscription ---- */

START_TEST(subscribed_then_heartbeat_and_every_15_s)
{
    const char *ev;

    w_subscribe(&w, "s1", "");
    ev = w_expect(&w, "s1", "SUBSCRIBED");
    ck_assert_ptr_nonnull(strstr(ev, "\"heartbeat_interval_seconds\":15.0"));
    ck_assert_ptr_nonnull(strstr(ev, "\"master_info\":{\"id\":\""));
    ck_assert_msg(str_ends(w.fid, "-0000"), "%s", w.fid);
    w_expect(&w, "s1", "HEARTBEAT");
    w_pass(&w, 14 * W_SECOND);
    w_never(&w, "s1", "HEARTBEAT");
    w_pass(&w, 17 * W_SECOND);
    w_expect(&w, "s1", "HEARTBEAT");
    w_expect(&w, "s1", "HEARTBEAT");
    w_never(&w, "s1", "HEARTBEAT");
    w_subscribe(&w, "s2", "");
    ck_assert_msg(str_ends(w.fid, "-0001"), "%s", w.fid);
}
END_TEST

static const struct {
    const char *info, *part;
} refused[] = {
    {",\"role\":\"a/\"", "a/"},
    {",\"roles\":[\"a\"]", "MULTI_ROLE"},
    {",\"role\":\"b\",\"roles\":[\"a\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]", ""},
    {",\"roles\":[\"a\",\"a\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]", ""},
    {",\"failover_timeout\":1e12", ""},
};

START_TEST(refusal_is_an_error_and_the_end)
{
    w_subscribe(&w, "s1", refused[_i].info);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"ERROR\""), refused[_i].part));
    w_expect(&w, "s1", "CLOSE");
    w_never(&w, "s1", "SUBSCRIBED");
    ck_assert_ptr_null(w.m->frameworks);
}
END_TEST

START_TEST(a_framework_may_choose_its_id)
{
    w_subscribe(&w, "s1", ",\"id\":{\"value\":\"mine\"}");
    w_expect(&w, "s1", "SUBSCRIBED");
    ck_assert_str_eq(w.fid, "mine");
    ck_assert(!w.m->frameworks->recovered);
}
END_TEST

START_TEST(subscribing_again_takes_over)
{
    w_subscribe(&w, "s1", ",\"failover_timeout\":60,\"id\":{\"value\":\"mine\"}");
    w_subscribe(&w, "s2", ",\"failover_timeout\":60,\"id\":{\"value\":\"mine\"}");
    w_expect(&w, "s1", "Framework failed over");
    w_expect(&w, "s1", "CLOSE");
    w_expect(&w, "s2", "SUBSCRIBED");
    w_expect(&w, "s2", "HEARTBEAT");
    ck_assert_int_eq(w_call(&w, "s1", "REVIVE", ""), 400);
    ck_assert_int_eq(w_call(&w, "s2", "REVIVE", ""), 202);
    master_framework_closed(w.m, (void *)"s1"); /* the old one's end means nothing now */
    ck_assert(w.m->frameworks->connected);
}
END_TEST

START_TEST(user_is_kept_and_principal_may_not_change)
{
    w_subscribe(&w, "s1",
                ",\"principal\":\"p\",\"failover_timeout\":60,\"id\":{\"value\":\"mine\"}");
    w_subscribe(&w, "s2",
                ",\"principal\":\"q\",\"failover_timeout\":60,\"id\":{\"value\":\"mine\"}");
    w_expect(&w, "s2", "\"ERROR\"");
    w_expect(&w, "s2", "CLOSE");
    w_never(&w, "s1", "CLOSE");
}
END_TEST

START_TEST(without_failover_timeout_the_end_is_the_end)
{
    _cleanup_free_ char *again = NULL;

    w_subscribe(&w, "s1", "");
    master_framework_closed(w.m, (void *)"s1");
    ck_assert_ptr_null(w.m->frameworks);
    ck_assert_str_eq(w.m->completed_frameworks->id, w.fid);
    again = xasprintf(",\"id\":{\"value\":\"%s\"}", w.fid);
    w_subscribe(&w, "s2", again);
    w_expect(&w, "s2", "Framework has been removed");
    w_expect(&w, "s2", "CLOSE");
}
END_TEST

START_TEST(failover_timeout_runs_from_the_disconnection)
{
    w_subscribe(&w, "s1", ",\"failover_timeout\":10,\"id\":{\"value\":\"mine\"}");
    master_framework_closed(w.m, (void *)"s1");
    w_pass(&w, 9 * W_SECOND);
    ck_assert_ptr_nonnull(w.m->frameworks);
    w_subscribe(&w, "s2", ",\"failover_timeout\":10,\"id\":{\"value\":\"mine\"}");
    w_pass(&w, 60 * W_SECOND);
    ck_assert_ptr_nonnull(w.m->frameworks);
    master_framework_closed(w.m, (void *)"s2");
    w_pass(&w, 11 * W_SECOND);
    ck_assert_ptr_null(w.m->frameworks);
}
END_TEST

START_TEST(completed_frameworks_have_a_limit)
{
    w_done(&w);
    w_init(&w, (const char *[]){"--max_completed_frameworks=2", NULL});
    for (int i = 0; i < 4; i++) {
        w_subscribe(&w, "s1", "");
        master_framework_closed(w.m, (void *)"s1");
    }
    ck_assert_uint_eq(w.m->n_completed_frameworks, 2);
    ck_assert_str_eq(w.m->completed_frameworks->next_completed->id, w.fid);
}
END_TEST

/* ---- the checks of calls ---- */

START_TEST(calls_are_checked_in_order)
{
    w_subscribe(&w, "s1", ",\"failover_timeout\":60");
    ck_assert_int_eq(w_call(&w, NULL, "REVIVE", ""), 400);   /* no stream id */
    ck_assert_int_eq(w_call(&w, "junk", "REVIVE", ""), 400); /* another's */
    ck_assert_int_eq(w_call(&w, "s1", "REVIVE", ""), 202);
    master_framework_closed(w.m, (void *)"s1");
    ck_assert_int_eq(w_call(&w, "s1", "REVIVE", ""), 403); /* known, not subscribed */
    fl_snprintf(w.fid, sizeof(w.fid), "nobody");
    ck_assert_int_eq(w_call(&w, "s1", "REVIVE", ""), 400); /* unknown */
}
END_TEST

/* ---- offers ---- */

START_TEST(an_offer_is_one_agent_and_one_role)
{
    const char *ev;

    w_subscribe(&w, "s1", "");
    w_register(&w, "a1");
    ev = w_expect(&w, "s1", "\"OFFERS\"");
    ck_assert_ptr_nonnull(strstr(ev, "\"hostname\":\"h1\""));
    ck_assert_ptr_nonnull(strstr(ev, "\"role\":\"*\""));
    ck_assert_ptr_nonnull(strstr(ev, "\"path\":\"/slave(1)\""));
    ck_assert_ptr_nonnull(strstr(ev, "\"ip\":\"10.0.0.1\""));
    ck_assert_ptr_null(strstr(ev, "allocation_info")); /* not MULTI_ROLE */
    ck_assert_msg(str_ends(w.oid, "-O0"), "%s", w.oid);
}
END_TEST

START_TEST(capabilities_shape_the_offer)
{
    const char *ev;

    w_subscribe(&w, "s1",
                ",\"roles\":[\"a\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":"
                "\"RESERVATION_REFINEMENT\"}]");
    w_register(&w, "a1");
    ev = w_expect(&w, "s1", "\"OFFERS\"");
    ck_assert_ptr_nonnull(strstr(ev, "\"allocation_info\":{\"role\":\"a\"}"));
    ck_assert_ptr_null(strstr(ev, "\"role\":\"*\""));
}
END_TEST

START_TEST(a_declined_offer_comes_back_after_its_filter)
{
    w_subscribe(&w, "s1", "");
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    ck_assert_int_eq(
        w_call(&w, "s1", "DECLINE", "\"decline\":{\"offer_ids\":[{\"value\":\"%s\"}]}", w.oid),
        202);
    ck_assert_ptr_null(w.m->offers);
    w_pass(&w, 4 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
    w_pass(&w, 3 * W_SECOND);
    w_expect(&w, "s1", "\"OFFERS\"");
}
END_TEST

START_TEST(revive_and_suppress)
{
    w_subscribe(&w, "s1", "");
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_call(&w, "s1", "DECLINE",
           "\"decline\":{\"offer_ids\":[{\"value\":\"%s\"}],\"filters\":{\"refuse_seconds\":1000}}",
           w.oid);
    w_pass(&w, 20 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
    ck_assert_int_eq(w_call(&w, "s1", "REVIVE", "\"revive\":{\"roles\":[\"foreign\"]}"), 202);
    w_pass(&w, 2 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
    w_call(&w, "s1", "REVIVE", "");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_call(&w, "s1", "SUPPRESS", "");
    ck_assert_uint_eq(w.m->frameworks->n_suppressed, 1);
    w_call(&w, "s1", "DECLINE",
           "\"decline\":{\"offer_ids\":[{\"value\":\"%s\"}],\"filters\":{\"refuse_seconds\":0}}",
           w.oid);
    w_pass(&w, 5 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
}
END_TEST

START_TEST(offer_timeout_rescinds)
{
    w_done(&w);
    w_init(&w, (const char *[]){"--offer_timeout=30secs", NULL});
    w_subscribe(&w, "s1", "");
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_pass(&w, 29 * W_SECOND);
    w_never(&w, "s1", "\"RESCIND\"");
    w_pass(&w, 2 * W_SECOND);
    w_expect(&w, "s1", "\"RESCIND\"");
}
END_TEST

START_TEST(a_gone_framework_leaves_its_offers_to_others)
{
    w_subscribe(&w, "s1", ",\"failover_timeout\":60");
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_subscribe(&w, "s2", "");
    w_never(&w, "s2", "\"OFFERS\"");
    master_framework_closed(w.m, (void *)"s1");
    w_pass(&w, 2 * W_SECOND);
    w_expect(&w, "s2", "\"OFFERS\"");
}
END_TEST

/* ---- UPDATE_FRAMEWORK ---- */

#define MULTI "\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"

START_TEST(update_moves_offers_to_the_new_roles)
{
    w_subscribe(&w, "s1", ",\"roles\":[\"a\"]," MULTI);
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    ck_assert_int_eq(
        w_call(
            &w, "s1", "UPDATE_FRAMEWORK",
            "\"update_framework\":{\"framework_info\":{\"user\":\"nobody\",\"name\":\"g\",\"id\":"
            "{\"value\":\"%s\"},\"roles\":[\"b\"]," MULTI "}}",
            w.fid),
        200);
    w_expect(&w, "s1", "\"RESCIND\"");
    w_pass(&w, 2 * W_SECOND);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"role\":\"b\""));
    ck_assert_str_eq(w.m->frameworks->info->name, "g");
}
END_TEST

START_TEST(update_refuses_another_user)
{
    w_subscribe(&w, "s1", "");
    ck_assert_int_eq(
        w_call(&w, "s1", "UPDATE_FRAMEWORK",
               "\"update_framework\":{\"framework_info\":{\"user\":\"other\",\"name\":\"g\",\"id\":"
               "{\"value\":\"%s\"}}}",
               w.fid),
        400);
    ck_assert_str_eq(w.m->frameworks->info->user, "nobody");
}
END_TEST

START_TEST(who_subscribes_again_is_connected_for_operators)
{
    const char *told;

    w.m->n_subscribers = 1;
    w_register(&w, "a1");
    w_subscribe(&w, "s1", ",\"failover_timeout\":60,\"id\":{\"value\":\"mine\"}");
    w_expect(&w, "operator", "FRAMEWORK_UPDATED");
    master_framework_closed(w.m, (void *)"s1");
    w_subscribe(&w, "s2", ",\"failover_timeout\":60,\"id\":{\"value\":\"mine\"}");
    told = w_expect(&w, "operator", "FRAMEWORK_UPDATED");
    ck_assert_msg(strstr(told, "\"connected\":true") != NULL, "%s", told);
    ck_assert_msg(strstr(told, "\"unregistered_time\":{\"nanoseconds\":0}") != NULL, "%s", told);
    ck_assert_msg(strstr(told, "resources") == NULL && strstr(told, "offer") == NULL, "%s", told);
    /* Its updates may wait there though nothing of it runs there. */
    w_expect(&w, "a1", "UpdateFrameworkMessage");
}
END_TEST

START_TEST(an_update_that_changes_nothing_is_not_told)
{
    w.m->n_subscribers = 1;
    w_subscribe(&w, "s1", "");
    ck_assert_int_eq(
        w_call(&w, "s1", "UPDATE_FRAMEWORK",
               "\"update_framework\":{\"framework_info\":{\"user\":\"nobody\",\"name\":"
               "\"f\",\"id\":{\"value\":\"%s\"}}}",
               w.fid),
        200);
    w_never(&w, "operator", "FRAMEWORK_UPDATED");
    ck_assert_int_eq(
        w_call(&w, "s1", "UPDATE_FRAMEWORK",
               "\"update_framework\":{\"framework_info\":{\"user\":\"nobody\",\"name\":"
               "\"g\",\"id\":{\"value\":\"%s\"}}}",
               w.fid),
        200);
    w_expect(&w, "operator", "FRAMEWORK_UPDATED");
}
END_TEST

START_TEST(operators_hear_of_frameworks)
{
    w.m->n_subscribers = 1;
    w_subscribe(&w, "s1", "");
    w_expect(&w, "operator", "FRAMEWORK_ADDED");
    w_call(&w, "s1", "TEARDOWN", "");
    w_expect(&w, "operator", "FRAMEWORK_REMOVED");
    w_expect(&w, "s1", "CLOSE");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("master frameworks");
    TCase *tc = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, subscribed_then_heartbeat_and_every_15_s);
    tcase_add_loop_test(tc, refusal_is_an_error_and_the_end, 0, ARRAY_SIZE(refused));
    tcase_add_test(tc, a_framework_may_choose_its_id);
    tcase_add_test(tc, subscribing_again_takes_over);
    tcase_add_test(tc, user_is_kept_and_principal_may_not_change);
    tcase_add_test(tc, without_failover_timeout_the_end_is_the_end);
    tcase_add_test(tc, failover_timeout_runs_from_the_disconnection);
    tcase_add_test(tc, completed_frameworks_have_a_limit);
    tcase_add_test(tc, calls_are_checked_in_order);
    tcase_add_test(tc, an_offer_is_one_agent_and_one_role);
    tcase_add_test(tc, capabilities_shape_the_offer);
    tcase_add_test(tc, a_declined_offer_comes_back_after_its_filter);
    tcase_add_test(tc, revive_and_suppress);
    tcase_add_test(tc, offer_timeout_rescinds);
    tcase_add_test(tc, a_gone_framework_leaves_its_offers_to_others);
    tcase_add_test(tc, update_moves_offers_to_the_new_roles);
    tcase_add_test(tc, update_refuses_another_user);
    tcase_add_test(tc, who_subscribes_again_is_connected_for_operators);
    tcase_add_test(tc, an_update_that_changes_nothing_is_not_told);
    tcase_add_test(tc, operators_hear_of_frameworks);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
