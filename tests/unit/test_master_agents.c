/* The master's core and agents: registration through the registry, pings, loss and return, restarts. */
#include "master/core.h"
#include "tests/unit/master_world.h"

static struct world w;
static const char aware[] = ",\"checkpoint\":true,\"failover_timeout\":10000,"
                            "\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]";

static void setup(void)
{
    w_init(&w, NULL);
}

static void teardown(void)
{
    w_done(&w);
}

static void run_task(const char *info)
{
    w_subscribe(&w, "s1", info);
    w_register(&w, "a1");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_status(&w, "a1", "t1", "TASK_RUNNING", W_UUID, NULL);
    w_expect(&w, "s1", "TASK_RUNNING");
}

/* What the agent says of t1 when it comes back. */
static char *with_task(const char *state)
{
    return xasprintf(
        ",\"tasks\":[{\"name\":\"t\",\"task_id\":{\"value\":\"t1\"},\"framework_id\":{\"value\":"
        "\"%s\"},\"agent_id\":{\"value\":\"%s\"},\"state\":\"%s\",\"resources\":[{\"name\":"
        "\"cpus\","
        "\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"allocation_info\":{\"role\":\"*\"}}]}],"
        "\"frameworks\":[{\"user\":\"nobody\",\"name\":\"f\",\"id\":{\"value\":\"%s\"},"
        "\"checkpoint\":"
        "true,\"failover_timeout\":10000,\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]}]",
        w.fid, w.aid, state, w.fid);
}

static void pong(const char *peer)
{
    w_agent(&w, peer, "", &msg__pong_slave_message__descriptor, "{}");
}

static bool on_disk(const char *kind, const char *id)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", kind, id);

    for (size_t i = 0; i < w.n_disk; i++) {
        if (streq(w.disk[i].key, key))
            return true;
    }
    return false;
}

static unsigned agents_on_disk(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < w.n_disk; i++)
        n += str_starts(w.disk[i].key, "agent/");
    return n;
}

/* ---- registration ---- */

START_TEST(the_registry_comes_first)
{
    _cleanup_pb_ ProtobufCMessage *m = NULL;
    static const char json[] = "{\"slave\":{\"hostname\":\"h\"},\"version\":\"1.11.0\"}";

    ck_assert_int_eq(fl_json_to_pb(json, sizeof(json) - 1, &msg__register_slave_message__descriptor,
                                   0, NULL, &m, NULL),
                     0);
    master_agent_message(w.m, (void *)"a1", "10.0.0.1:1", m);
    master_agent_message(w.m, (void *)"a1", "10.0.0.1:1", m); /* impatient */
    ck_assert_uint_eq(w.n_commits, 2);                        /* who leads, and the agent */
    w_never(&w, "a1", "Registered");
    ck_assert_ptr_null(w.m->agents);
    w_settle(&w);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "a1", "SlaveRegisteredMessage"),
                                 "\"total_ping_timeout_seconds\":75.0"));
    ck_assert_msg(str_ends(w.aid, "-S0"), "%s", w.aid);
    ck_assert(on_disk("agent", w.aid));
    ck_assert_str_eq(w.m->agents->pid, "slave(1)@10.0.0.1:5051");
    master_agent_message(w.m, (void *)"a1", "10.0.0.1:1", m); /* did not hear: once more */
    w_expect(&w, "a1", "SlaveRegisteredMessage");
    ck_assert_uint_eq(HASH_COUNT(w.m->agents), 1);
}
END_TEST

static const char *const bad_registrations[] = {
    "{\"slave\":{\"hostname\":\"h\"},\"version\":\"0.28.0\"}",
    "{\"slave\":{\"hostname\":\"h\"},\"version\":\"rubbish\"}",
    "{\"slave\":{\"hostname\":\"h\"}}",
    "{\"slave\":{\"hostname\":\"h\",\"domain\":{\"fault_domain\":{\"region\":{\"name\":\"r\"},"
    "\"zone\":{\"name\":\"z\"}}}},\"version\":\"1.11.0\"}",
    "{\"slave\":{\"hostname\":\"h\",\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\","
    "\"scalar\":{\"value\":-4}}]},\"version\":\"1.11.0\"}",
};

START_TEST(bad_registrations_are_ignored)
{
    w_agent(&w, "a1", "10.0.0.1:1", &msg__register_slave_message__descriptor, "%s",
            bad_registrations[_i]);
    ck_assert_ptr_null(w.m->agents);
    ck_assert_uint_eq(agents_on_disk(), 0);
}
END_TEST

START_TEST(a_new_agent_at_the_same_address_replaces_the_old)
{
    char old[128];

    w_register(&w, "a1");
    fl_snprintf(old, sizeof(old), "%s", w.aid);
    master_agent_closed(w.m, (void *)"a1");
    w_register(&w, "a2");
    ck_assert_str_ne(w.aid, old);
    ck_assert_uint_eq(HASH_COUNT(w.m->agents), 1);
    ck_assert(!on_disk("agent", old));
    ck_assert(on_disk("agent", w.aid));
}
END_TEST

START_TEST(an_agent_may_unregister)
{
    w_subscribe(&w, "s1", "");
    w_register(&w, "a1");
    w.m->n_subscribers = 1;
    w_agent(&w, "a1", "", &msg__unregister_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"}}", w.aid);
    ck_assert_ptr_null(w.m->agents);
    ck_assert_uint_eq(agents_on_disk(), 0);
    w_expect(&w, "s1", "\"RESCIND\"");
    w_expect(&w, "s1", "\"FAILURE\"");
    w_expect(&w, "operator", "AGENT_REMOVED");
}
END_TEST

START_TEST(a_registry_that_fails_ends_the_master)
{
    w.store_fails = true;
    w_register(&w, "a1");
    ck_assert_ptr_nonnull(strstr(w.fatal, "disk on fire"));
    ck_assert_ptr_null(w.m->agents);
}
END_TEST

/* ---- loss ---- */

START_TEST(unanswered_pings_make_it_unreachable)
{
    const char *ev;

    run_task(aware);
    for (int i = 0; i < 10; i++) {
        w_pass(&w, 15 * W_SECOND);
        w_expect(&w, "a1", "PingSlaveMessage {\"connected\":true}");
        pong("a1");
    }
    ck_assert_uint_eq(HASH_COUNT(w.m->agents), 1);
    w_pass(&w, 61 * W_SECOND); /* four missed */
    ck_assert_uint_eq(HASH_COUNT(w.m->agents), 1);
    w_pass(&w, 30 * W_SECOND);
    ck_assert_ptr_null(w.m->agents);
    ev = w_expect(&w, "s1", "TASK_UNREACHABLE");
    ck_assert_ptr_nonnull(strstr(ev, "REASON_AGENT_REMOVED"));
    ck_assert_ptr_nonnull(strstr(ev, "unreachable_time"));
    w_expect(&w, "s1", "\"FAILURE\"");
    w_expect(&w, "a1", "CLOSE"); /* so that it finds out */
    ck_assert(on_disk("unreachable", w.aid));
    ck_assert(!on_disk("agent", w.aid));
    ck_assert_uint_eq(HASH_COUNT(w.m->frameworks->unreachable_tasks), 1);
    ck_assert_uint_eq(master_task_count(w.m, V1__TASK_STATE__TASK_UNREACHABLE), 1);
    ck_assert_int_eq(resources_scalar(&w.m->frameworks->used, "cpus"), 0);
}
END_TEST

START_TEST(back_from_unreachable)
{
    _cleanup_free_ char *more = NULL;
    const char *ev;

    run_task(aware);
    w_pass(&w, 100 * W_SECOND);
    w_expect(&w, "s1", "TASK_UNREACHABLE");
    more = with_task("TASK_RUNNING");
    w_reregister(&w, "a2", more);
    ev = w_expect(&w, "s1", "REASON_AGENT_REREGISTERED");
    ck_assert_ptr_nonnull(strstr(ev, "TASK_RUNNING"));
    w_expect(&w, "a2", "SlaveReregisteredMessage");
    ck_assert_ptr_null(w.m->frameworks->unreachable_tasks);
    ck_assert_uint_eq(HASH_COUNT(w.m->frameworks->tasks), 1);
    ck_assert_int_eq(resources_scalar(&w.m->frameworks->used, "cpus"), 1000);
    ck_assert(on_disk("agent", w.aid));
    ck_assert(!on_disk("unreachable", w.aid));
    w_pass(&w, 2 * W_SECOND);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "\"value\":3.0"));
}
END_TEST

START_TEST(without_partition_aware_unreachable_is_lost)
{
    run_task(",\"checkpoint\":true,\"failover_timeout\":1000");
    w_pass(&w, 100 * W_SECOND);
    w_expect(&w, "s1", "TASK_LOST");
}
END_TEST

START_TEST(a_late_pong_saves_it_under_a_rate_limit)
{
    w_done(&w);
    w_init(&w, (const char *[]){"--agent_removal_rate_limit=1/10mins", NULL});
    w_register(&w, "a1");
    w_agent(&w, "b1", "10.0.0.2:1", &msg__register_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h2\"},\"version\":\"1.11.0\"}");
    w_pass(&w, 100 * W_SECOND);
    ck_assert_uint_eq(HASH_COUNT(w.m->agents), 1); /* one was removed, one waits */
    pong(w.m->agents->peer);
    w_pass(&w, 40 * W_SECOND);
    for (int i = 0; i < 100; i++) {
        pong(w.m->agents->peer);
        w_pass(&w, 14 * W_SECOND);
    }
    ck_assert_uint_eq(HASH_COUNT(w.m->agents), 1);
}
END_TEST

/* ---- a broken channel ---- */

START_TEST(a_broken_channel_takes_offers_back)
{
    run_task(aware);
    w_pass(&w, 6 * W_SECOND);
    w_expect(&w, "s1", "\"OFFERS\"");
    master_agent_closed(w.m, (void *)"a1");
    w_expect(&w, "s1", "\"RESCIND\"");
    ck_assert(!w.m->agents->connected && !w.m->agents->active);
    ck_assert_uint_eq(HASH_COUNT(w.m->frameworks->tasks), 1);
    w_pass(&w, 2 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
}
END_TEST

START_TEST(frameworks_without_checkpoint_lose_their_tasks)
{
    _cleanup_free_ char *more = NULL;

    run_task(",\"failover_timeout\":1000,\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]");
    master_agent_closed(w.m, (void *)"a1");
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "TASK_LOST"), "REASON_AGENT_DISCONNECTED"));
    ck_assert_ptr_null(w.m->frameworks->tasks);
    /* Only the connection broke: what was said to be lost must not run on behind everybody's back. */
    more = with_task("TASK_RUNNING");
    w_reregister(&w, "a2", more);
    w_expect(&w, "a2", "KillTaskMessage");
}
END_TEST

START_TEST(back_after_a_broken_channel)
{
    _cleanup_free_ char *more = NULL;

    run_task(aware);
    w_forget(&w);
    master_agent_closed(w.m, (void *)"a1");
    w_call(&w, "s1", "KILL", "\"kill\":{\"task_id\":{\"value\":\"t1\"}}"); /* remembered */
    more = with_task("TASK_RUNNING");
    w_reregister(&w, "a2", more);
    w_expect(&w, "a2", "SlaveReregisteredMessage");
    w_expect(&w, "a2", "KillTaskMessage");
    w_never(&w, "a2", "UpdateFrameworkMessage"); /* it knows the framework as it is */
    w_never(&w, "s1", "REASON_AGENT_REREGISTERED");
    ck_assert(w.m->agents->connected && w.m->agents->active);
    ck_assert_ptr_eq(w.m->agents->peer, "a2");
    w_pass(&w, 7 * W_SECOND);
    w_expect(&w, "s1", "\"OFFERS\"");
}
END_TEST

START_TEST(a_task_the_agent_does_not_know_is_asked_about)
{
    const char *said;

    run_task(aware);
    w_reregister(&w, "a2", "");
    said = w_expect(&w, "a2", "SlaveReregisteredMessage");
    ck_assert_ptr_nonnull(strstr(said, "\"reconciliations\":[{"));
    ck_assert_ptr_nonnull(strstr(said, "\"value\":\"t1\""));
    w_expect(&w, "a1", "CLOSE"); /* its old channel */
}
END_TEST

START_TEST(another_machine_may_not_take_the_id)
{
    w_register(&w, "a1");
    w_agent(&w, "b1", "10.9.9.9:1", &msg__reregister_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h1\",\"port\":5051,\"id\":{\"value\":\"%s\"}},\"version\":"
            "\"1.11.0\"}",
            w.aid);
    w_expect(&w, "b1", "ShutdownMessage");
    ck_assert_ptr_eq(w.m->agents->peer, "a1");
}
END_TEST

/* ---- a restarted master ---- */

START_TEST(a_restarted_master_knows_its_agents)
{
    _cleanup_free_ char *more = NULL;
    char fid[128];
    struct framework *f;

    run_task(aware);
    w_restart(&w);
    ck_assert_ptr_nonnull(w.m->recovered_agents);
    fl_snprintf(fid, sizeof(fid), "%s", w.fid);
    more = with_task("TASK_RUNNING");
    w_reregister(&w, "a2", more);
    w_expect(&w, "a2", "SlaveReregisteredMessage");
    ck_assert_ptr_null(w.m->recovered_agents);
    f = master_framework(w.m, fid);
    ck_assert(f && f->recovered && !f->connected && !f->active);
    ck_assert_uint_eq(HASH_COUNT(f->tasks), 1);
    _cleanup_free_ char *again = xasprintf("%s,\"id\":{\"value\":\"%s\"}", aware, fid);
    w_subscribe(&w, "s2", again);
    w_expect(&w, "s2", "SUBSCRIBED");
    ck_assert(!f->recovered && f->connected);
    ck_assert_uint_eq(HASH_COUNT(f->tasks), 1);
    w_never(&w, "s2", "REASON_AGENT_REREGISTERED");
}
END_TEST

/* What the agent says has ended there: tasks "c<from>" to "c<to - 1>". */
static char *with_history(const char *fid, unsigned from, unsigned to)
{
    struct fl_buf b = FL_BUF_INIT;

    fl_buf_addf(&b,
                ",\"frameworks\":[{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"%s\"}}],"
                "\"completed_frameworks\":[{\"framework_info\":{\"user\":\"u\",\"name\":\"f\","
                "\"id\":{\"value\":\"%s\"}},\"tasks\":[",
                fid, fid);
    for (unsigned i = from; i < to; i++)
        fl_buf_addf(&b,
                    "%s{\"name\":\"t\",\"task_id\":{\"value\":\"c%u\"},\"framework_id\":{"
                    "\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s\"},\"state\":"
                    "\"TASK_FINISHED\"}",
                    i > from ? "," : "", i, fid, w.aid);
    fl_buf_adds(&b, "]}]");
    return fl_buf_take(&b);
}

START_TEST(what_has_ended_is_told_by_the_agents)
{
    static const char fid[] = "0123-0000";
    _cleanup_free_ char *three = with_history(fid, 0, 3), *many = with_history(fid, 2, 2000);
    struct framework *f;

    w_register(&w, "a1");
    w_restart(&w);
    w_reregister(&w, "a2", three);
    f = master_framework(w.m, fid);
    ck_assert_uint_eq(f->n_completed, 3);
    master_agent_closed(w.m, (void *)"a2");
    w_reregister(&w, "a3", three);
    ck_assert_uint_eq(f->n_completed, 3); /* nothing of it twice */
    ck_assert_ptr_null(f->tasks);
    w_restart(&w);
    w_reregister(&w, "a4", many);
    f = master_framework(w.m, fid);
    ck_assert_uint_eq(f->n_completed, 1000); /* --max_completed_tasks_per_framework */
    ck_assert(task_is_completed(f, "c2"));
    ck_assert(task_is_completed(f, "c1001"));
    ck_assert(!task_is_completed(f, "c1002"));
    tasks_forget_completed(f, "c500");
    tasks_forget_completed(f, "c1002"); /* not there */
    ck_assert(!task_is_completed(f, "c500"));
    ck_assert_uint_eq(f->n_completed, 999);
}
END_TEST

START_TEST(a_registration_that_was_just_answered_is_not_taken_again)
{
    w_register(&w, "a1");
    w_restart(&w);
    w_reregister(&w, "a2", "");
    w_expect(&w, "a2", "SlaveReregisteredMessage");
    w_forget(&w);
    w_reregister(&w, "a2", ""); /* impatient */
    w_never(&w, "a2", "SlaveReregisteredMessage");
    w_pass(&w, 6 * W_SECOND);
    w_reregister(&w, "a2", ""); /* it means it anew */
    w_expect(&w, "a2", "SlaveReregisteredMessage");
    w_reregister(&w, "a3", ""); /* nor has another channel been answered */
    w_expect(&w, "a3", "SlaveReregisteredMessage");
}
END_TEST

START_TEST(agents_hear_only_of_frameworks_that_have_changed)
{
    static const char fid[] = "0123-0000";
    _cleanup_free_ char *more = with_history(fid, 0, 1);

    w_register(&w, "a1");
    w_restart(&w);
    w_reregister(&w, "a2", more);
    w_expect(&w, "a2", "SlaveReregisteredMessage");
    w_never(&w, "a2", "UpdateFrameworkMessage");
    w_subscribe(&w, "s1",
                ",\"roles\":[\"dev\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"}],"
                "\"id\":{\"value\":\"0123-0000\"}");
    w_expect(&w, "s1", "SUBSCRIBED");
    w_forget(&w);
    master_agent_closed(w.m, (void *)"a2");
    w_reregister(&w, "a3", more);
    w_expect(&w, "a3", "UpdateFrameworkMessage");
}
END_TEST

START_TEST(agents_that_stay_away_become_unreachable)
{
    w_register(&w, "a1");
    w_restart(&w);
    w_pass(&w, 599 * W_SECOND);
    ck_assert_ptr_nonnull(w.m->recovered_agents);
    w_pass(&w, 2 * W_SECOND);
    ck_assert_ptr_null(w.m->recovered_agents);
    ck_assert(on_disk("unreachable", w.aid));
    w_restart(&w);
    ck_assert_ptr_nonnull(w.m->unreachable_agents);
}
END_TEST

START_TEST(too_many_missing_agents_end_the_master)
{
    w_done(&w);
    w_init(&w, (const char *[]){"--recovery_agent_removal_limit=50%", NULL});
    w_register(&w, "a1");
    w_restart(&w);
    w_pass(&w, 601 * W_SECOND);
    ck_assert_ptr_nonnull(strstr(w.fatal, "recovery_agent_removal_limit"));
    ck_assert_ptr_nonnull(w.m->recovered_agents);
}
END_TEST

START_TEST(frameworks_that_are_over_are_shut_down_again)
{
    _cleanup_free_ char *more = NULL;

    run_task(aware);
    master_agent_closed(w.m, (void *)"a1");
    w_call(&w, "s1", "TEARDOWN", "");
    more = with_task("TASK_RUNNING");
    w_reregister(&w, "a2", more);
    w_expect(&w, "a2", "ShutdownFrameworkMessage");
    ck_assert_ptr_null(w.m->frameworks);
    ck_assert_int_eq(resources_scalar(&w.m->agents->used, "cpus"), 0);
}
END_TEST

START_TEST(rubbish_before_registration_is_dropped)
{
    w_agent(
        &w, "a1", "10.0.0.1:1", &msg__status_update_message__descriptor,
        "{\"update\":{\"framework_id\":{\"value\":\"f\"},\"status\":{\"task_id\":{\"value\":\"t\"},"
        "\"state\":\"TASK_RUNNING\"},\"timestamp\":1}}");
    w_agent(&w, "a1", "10.0.0.1:1", &msg__kill_task_message__descriptor,
            "{\"framework_id\":{\"value\":\"f\"},\"task_id\":{\"value\":\"t\"}}");
    w_agent(&w, "a1", "10.0.0.1:1", &msg__reregister_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h\"},\"version\":\"1.11.0\"}");
    ck_assert_ptr_null(w.m->agents);
    master_agent_closed(w.m, (void *)"a1");
    master_agent_closed(w.m, (void *)"nobody");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("master agents");
    TCase *tc = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_registry_comes_first);
    tcase_add_loop_test(tc, bad_registrations_are_ignored, 0, ARRAY_SIZE(bad_registrations));
    tcase_add_test(tc, a_new_agent_at_the_same_address_replaces_the_old);
    tcase_add_test(tc, an_agent_may_unregister);
    tcase_add_test(tc, a_registry_that_fails_ends_the_master);
    tcase_add_test(tc, unanswered_pings_make_it_unreachable);
    tcase_add_test(tc, back_from_unreachable);
    tcase_add_test(tc, without_partition_aware_unreachable_is_lost);
    tcase_add_test(tc, a_late_pong_saves_it_under_a_rate_limit);
    tcase_add_test(tc, a_broken_channel_takes_offers_back);
    tcase_add_test(tc, frameworks_without_checkpoint_lose_their_tasks);
    tcase_add_test(tc, back_after_a_broken_channel);
    tcase_add_test(tc, a_task_the_agent_does_not_know_is_asked_about);
    tcase_add_test(tc, another_machine_may_not_take_the_id);
    tcase_add_test(tc, a_restarted_master_knows_its_agents);
    tcase_add_test(tc, what_has_ended_is_told_by_the_agents);
    tcase_add_test(tc, a_registration_that_was_just_answered_is_not_taken_again);
    tcase_add_test(tc, agents_hear_only_of_frameworks_that_have_changed);
    tcase_add_test(tc, agents_that_stay_away_become_unreachable);
    tcase_add_test(tc, too_many_missing_agents_end_the_master);
    tcase_add_test(tc, frameworks_that_are_over_are_shut_down_again);
    tcase_add_test(tc, rubbish_before_registration_is_dropped);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
