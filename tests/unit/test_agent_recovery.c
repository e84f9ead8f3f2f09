/* The agent dies and comes back: identity, tasks, updates, torn logs, executors; and its registration. */
#include "tests/unit/agent_harness.h"

static struct harness *h;

static void setup(void)
{
    h = h_new(NULL);
    h_write(h, "/proc/sys/kernel/random/boot_id", "boot-1\n", 7, false, NULL);
    h_register(h);
}

static void teardown(void)
{
    h_free(h);
}

/* kill -9 and a new process on the same files. */
static int restart_with(const char *resources, struct fl_err *err)
{
    h_stop_agent(h);
    h->finds = 0;
    h_start_agent(h, resources);
    return agent_recover(h->a, err);
}

static void restart(void)
{
    struct fl_err err = {0};

    ck_assert_msg(restart_with(H_RESOURCES, &err) == 0, "%s", err.msg);
}

/* Both as the containerizer will report it. */
static void survives(bool alive, int status)
{
    h->survivors[0] = (struct fake_survivor){h_last(h)->id, alive, status};
}

static const Msg__ReregisterSlaveMessage *reregistration(void)
{
    const Msg__ReregisterSlaveMessage *m;

    h_connect(h);
    m = h_sent(h, &msg__reregister_slave_message__descriptor);
    ck_assert_ptr_nonnull(m);
    return m;
}

START_TEST(a_running_command_runs_on_and_can_be_killed)
{
    const Msg__ReregisterSlaveMessage *m;

    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    ck_assert(h_last(h)->checkpoint);
    survives(true, 0);
    restart();
    ck_assert_uint_eq(h->finds, 1);
    m = reregistration();
    ck_assert_str_eq(m->slave->id->value, H_AGENT_ID);
    ck_assert_uint_eq(m->n_tasks, 1);
    ck_assert_str_eq(m->tasks[0]->task_id->value, "t");
    ck_assert_int_eq(m->tasks[0]->state, V1__TASK_STATE__TASK_RUNNING);
    ck_assert_uint_eq(m->n_executor_infos, 0);
    ck_assert_uint_eq(m->n_frameworks, 1);
    h_reregister(h);
    ck_assert_uint_eq(h_updates(h), 0);
    h_kill(h, "t", "");
    ck_assert_int_eq(h_last(h)->signals[0], SIGTERM);
    h_ended(h, CONTAINER_EXITED, SIGTERM);
    h_ack(h, "t", V1__TASK_STATE__TASK_KILLED);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

START_TEST(a_command_that_ended_meanwhile_tells_its_true_end)
{
    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    survives(false, 0);
    restart();
    reregistration();
    h_reregister(h);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
}
END_TEST

START_TEST(one_that_vanished_without_trace_has_failed)
{
    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    restart();
    reregistration();
    h_reregister(h);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED);
    h_ack(h, "t", V1__TASK_STATE__TASK_FAILED);
}
END_TEST

START_TEST(an_unacknowledged_update_is_sent_again_and_the_next_after_it)
{
    uint8_t uuid[FL_UUID_LEN];

    h_run(h, "t", H_CHECKPOINT, H_COMMAND);
    h_started(h);
    memcpy(uuid, h_update(h)->uuid.data, sizeof uuid);
    survives(true, 0);
    restart();
    reregistration();
    ck_assert_uint_eq(h_updates(h), 0); /* not before the master has us back */
    h_reregister(h);
    ck_assert_mem_eq(h_update(h)->uuid.data, uuid, sizeof uuid);
    h_ack(h, "t", V1__TASK_STATE__TASK_STARTING);
    h_ack(h, "t", V1__TASK_STATE__TASK_RUNNING);
    ck_assert_uint_eq(h_updates(h), 2);
}
END_TEST

START_TEST(died_between_start_and_first_update)
{
    h_run(h, "t", H_CHECKPOINT, H_COMMAND);
    survives(true, 0);
    restart();
    reregistration();
    h_reregister(h);
    h_ack(h, "t", V1__TASK_STATE__TASK_STARTING);
    h_ack(h, "t", V1__TASK_STATE__TASK_RUNNING);
}
END_TEST

START_TEST(without_checkpointing_nothing_is_kept)
{
    h_running(h, "t", "", H_COMMAND);
    ck_assert(!h_last(h)->checkpoint);
    ck_assert_ptr_null(h_find_file(h, "framework.info"));
    survives(true, 0);
    restart();
    ck_assert_uint_eq(reregistration()->n_tasks, 0);
}
END_TEST

START_TEST(layout_is_the_references)
{
    _cleanup_free_ char *run = NULL;
    static const char *const files[] = {"executor.info", "runs/latest", "framework.pid"};
    static const char *const in_run[] = {"pids/forked.pid", "tasks/t/task.info",
                                         "tasks/t/task.updates"};

    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    ck_assert_str_eq(h_file(h, "/w/meta/slaves/latest")->link, "/w/meta/slaves/" H_AGENT_ID);
    ck_assert_ptr_nonnull(h_file(h, "/w/meta/slaves/" H_AGENT_ID "/slave.info"));
    ck_assert_ptr_nonnull(h_file(h, "/w/meta/boot_id"));
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        ck_assert_ptr_nonnull(h_find_file(h, files[i]));
    run = xasprintf("/w/meta/slaves/" H_AGENT_ID "/frameworks/" H_FRAMEWORK "/executors/t/runs/%s",
                    h_last(h)->id);
    for (size_t i = 0; i < ARRAY_SIZE(in_run); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", run, in_run[i]);

        ck_assert_msg(h_file(h, path) != NULL, "no '%s'", path);
    }
    ck_assert_str_eq(fl_buf_cstr(&h_find_file(h, "forked.pid")->data), "777");
}
END_TEST

/* Whether the log is whole records to its end. */
static bool is_whole(const struct fl_buf *b)
{
    size_t off = 0;

    for (;;) {
        ProtobufCMessage *m = NULL;
        struct fl_err err;

        if (agent_record_next(b->data, b->len, &off, &msg__status_update_record__descriptor, &m,
                              &err) <= 0)
            return off == b->len;
        fl_pb_free(m);
    }
}

START_TEST(every_torn_tail_is_cut_off)
{
    _cleanup_free_ char *saved = NULL;
    struct fake_file *log;
    size_t whole, first;
    uint32_t len;

    h_run(h, "t", H_CHECKPOINT, H_COMMAND);
    h_started(h); /* two UPDATE records */
    log = h_find_file(h, "task.updates");
    whole = log->data.len;
    saved = xmemdup(log->data.data, whole);
    memcpy(&len, saved, sizeof len);
    first = sizeof len + len;
    survives(true, 0);
    for (size_t cut = whole; cut-- > 0;) {
        memcpy(log->data.data, saved, whole);
        log->data.len = cut;
        restart();
        ck_assert(is_whole(&log->data));
        if (cut >= first)
            ck_assert_mem_eq(log->data.data, saved, first);
        ck_assert_int_eq(h_task(h, "t")->state, V1__TASK_STATE__TASK_RUNNING); /* told anew */
    }
}
END_TEST

START_TEST(a_corrupt_log_stops_a_strict_agent)
{
    struct fake_file *log;
    struct fl_err err = {0};

    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    log = h_find_file(h, "task.updates");
    memset(log->data.data + 4, 0xff, 12);
    ck_assert_int_lt(restart_with(H_RESOURCES, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "task.updates"));
    h->flags.strict = false;
    restart();
    ck_assert_double_eq(metric_get(metrics_counter(h->metrics, "slave/recovery_errors")), 1);
}
END_TEST

START_TEST(acknowledged_to_the_end_is_over)
{
    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    h_ended(h, CONTAINER_EXITED, 0);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
    ck_assert_ptr_nonnull(h_find_file(h, "executor.sentinel"));
    restart();
    ck_assert_uint_eq(reregistration()->n_tasks, 0);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

START_TEST(terminal_but_unacknowledged_is_told_again)
{
    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    h_ended(h, CONTAINER_EXITED, 5 << 8);
    survives(false, 5 << 8);
    restart();
    ck_assert_int_eq(reregistration()->tasks[0]->state, V1__TASK_STATE__TASK_FAILED);
    h_reregister(h);
    ck_assert_str_eq(h_update(h)->status->message, "Command exited with status 5");
    h_ack(h, "t", V1__TASK_STATE__TASK_FAILED);
    ck_assert_uint_eq(h_updates(h), 1);
    ck_assert_ptr_null(h->a->frameworks);
}
END_TEST

/* ---- custom executors ---- */

static void subscribe(void *stream)
{
    Exec__Call__Subscribe sub = EXEC__CALL__SUBSCRIBE__INIT;

    agent_executor_subscribe(agent_find_executor(agent_find_framework(h->a, H_FRAMEWORK), "e1"),
                             stream, &sub);
}

static void running_executor(void)
{
    Exec__Call__Subscribe sub = EXEC__CALL__SUBSCRIBE__INIT;
    V1__TaskStatus s = V1__TASK_STATUS__INIT;
    V1__TaskID tid = V1__TASK_ID__INIT;
    uint8_t uuid[FL_UUID_LEN] = {9};
    struct agent_executor *e;
    static int stream;

    h_run(h, "t", H_CHECKPOINT, H_EXECUTOR);
    h_started(h);
    e = agent_find_executor(agent_find_framework(h->a, H_FRAMEWORK), "e1");
    agent_executor_subscribe(e, &stream, &sub);
    tid.value = (char *)"t";
    s.task_id = &tid;
    s.state = V1__TASK_STATE__TASK_RUNNING;
    s.has_uuid = true;
    s.uuid = (ProtobufCBinaryData){sizeof uuid, uuid};
    agent_executor_update(e, &s);
    h_ack(h, "t", V1__TASK_STATE__TASK_RUNNING);
    survives(true, 0);
}

START_TEST(an_executor_that_comes_back_in_time_goes_on)
{
    static int stream;
    Exec__Call call = EXEC__CALL__INIT;
    struct agent_executor *e;
    struct fl_err err;

    running_executor();
    restart();
    ck_assert_uint_eq(h->finds, 0);
    call.type = EXEC__CALL__TYPE__UPDATE;
    ck_assert_int_lt(agent_executor_check(h->a, &call, &e, &err), 0);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 503);
    h_pass(h, SECONDS(1));
    subscribe(&stream);
    ck_assert_uint_eq(h->finds, 1); /* nobody else is waited for */
    h_event(h, EXEC__EVENT__TYPE__SUBSCRIBED);
    ck_assert_uint_eq(reregistration()->n_executor_infos, 1);
    h_pass(h, SECONDS(10));
    ck_assert(!h_last(h)->destroyed);
}
END_TEST

/* Killed between the start of an executor and its first task. */
START_TEST(an_executor_without_any_task_is_shut_down)
{
    static int stream;

    h_run(h, "t", H_CHECKPOINT, H_EXECUTOR);
    h_started(h);
    survives(true, 0);
    restart();
    h_pass(h, SECONDS(1));
    subscribe(&stream);
    h_event(h, EXEC__EVENT__TYPE__SHUTDOWN);
    ck_assert_uint_eq(h->finds, 1);
    h_pass(h, SECONDS(6));
    ck_assert(h_last(h)->destroyed);
}
END_TEST

START_TEST(an_executor_that_stays_away_is_killed)
{
    running_executor();
    restart();
    h_pass(h, SECONDS(2) - 1);
    ck_assert_uint_eq(h->finds, 0);
    h_pass(h, 1);
    ck_assert_uint_eq(h->finds, 1);
    ck_assert(h_last(h)->destroyed);
    h_ended(h, CONTAINER_DESTROYED, 0);
    reregistration();
    h_reregister(h);
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_LOST);
    ck_assert_int_eq(h_update(h)->status->reason,
                     V1__TASK_STATUS__REASON__REASON_EXECUTOR_REREGISTRATION_TIMEOUT);
}
END_TEST

/* ---- identity ---- */

START_TEST(another_configuration_is_refused_with_advice)
{
    struct fl_err err = {0};

    ck_assert_int_lt(restart_with("cpus:4;mem:4096;disk:10000;ports:[31000-32000]", &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "resources"));
    ck_assert_ptr_nonnull(strstr(err.msg, "/w/meta/slaves/latest"));
}
END_TEST

START_TEST(more_resources_are_fine_with_the_additive_policy)
{
    struct fl_err err = {0};
    const char *more = "cpus:16;mem:4096;disk:10000;ports:[31000-32000];gpus:1";

    ck_assert_int_lt(restart_with(more, &err), 0);
    free(h->flags.reconfiguration_policy);
    h->flags.reconfiguration_policy = xstrdup("additive");
    ck_assert_msg(restart_with(more, &err) == 0, "%s", err.msg);
    ck_assert_str_eq(h->a->info->id->value, H_AGENT_ID);
    ck_assert_int_lt(restart_with("cpus:4;mem:4096;disk:10000;ports:[31000-32000]", &err), 0);
}
END_TEST

START_TEST(after_a_reboot_another_configuration_makes_another_agent)
{
    struct fl_err err = {0};

    h_write(h, "/proc/sys/kernel/random/boot_id", "boot-2\n", 7, false, NULL);
    ck_assert_msg(restart_with("cpus:4;mem:4096;disk:10000;ports:[31000-32000]", &err) == 0, "%s",
                  err.msg);
    ck_assert_ptr_null(h->a->info->id);
    /* Also when it is killed before it has a new identity. */
    ck_assert_msg(restart_with("cpus:4;mem:4096;disk:10000;ports:[31000-32000]", &err) == 0, "%s",
                  err.msg);
    ck_assert_ptr_null(h->a->info->id);
    h_connect(h);
    ck_assert_ptr_nonnull(h_sent(h, &msg__register_slave_message__descriptor));
}
END_TEST

START_TEST(reservations_survive)
{
    h_deliver(h, &msg__checkpoint_resources_message__descriptor,
              "{\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},"
              "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"r\",\"principal\":\"p\"}]}]}");
    h_pass(h, 1);
    restart();
    ck_assert_uint_eq(reregistration()->n_checkpointed_resources, 1);
    ck_assert_int_eq(resources_scalar(&h->a->total, "cpus"), 8000);
    ck_assert_int_eq(resources_scalar(&h->a->checkpointed, "cpus"), 2000);
}
END_TEST

/* ---- registration ---- */

START_TEST(tries_again_with_growing_waits)
{
    Msg__RegisterSlaveMessage const *m;
    unsigned first_minute, second_ten;

    h_stop_agent(h);
    h_remove(h, "/w", NULL);
    h->finds = 0;
    h_start_agent(h, H_RESOURCES);
    restart();
    h->link_open = true;
    agent_master_up(h->a, "127.0.0.1:5050");
    env_timer_stop(agent_time(h->a), h->a->link.ping_timer);
    h_pass(h, SECONDS(1));
    m = h_sent(h, &msg__register_slave_message__descriptor);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_ge(m->n_agent_capabilities, 7);
    ck_assert_uint_eq(m->resource_version_uuid->value.len, FL_UUID_LEN);
    h_pass(h, SECONDS(59));
    first_minute = h_count(h, &msg__register_slave_message__descriptor);
    ck_assert_uint_ge(first_minute, 4);
    ck_assert_uint_le(first_minute, 30);
    h_pass(h, SECONDS(600));
    second_ten = h_count(h, &msg__register_slave_message__descriptor) - first_minute;
    ck_assert_uint_ge(second_ten, 10); /* never more than a minute apart */
}
END_TEST

START_TEST(answers_pings_and_misses_them)
{
    h_deliver(h, &msg__ping_slave_message__descriptor, "{\"connected\":true}");
    ck_assert_uint_eq(h_count(h, &msg__pong_slave_message__descriptor), 1);
    h_pass(h, SECONDS(76) - 1); /* and one second for the last ping to arrive */
    ck_assert_uint_eq(h->resets, 0);
    h_pass(h, 1);
    ck_assert_uint_eq(h->resets, 1);
    ck_assert_int_eq(h->a->state, AGENT_DISCONNECTED);
}
END_TEST

START_TEST(a_ping_as_if_disconnected_registers_anew)
{
    h_deliver(h, &msg__ping_slave_message__descriptor, "{\"connected\":false}");
    ck_assert_uint_eq(h->resets, 1);
    ck_assert_int_eq(h->a->state, AGENT_DISCONNECTED);
    ck_assert_uint_eq(reregistration()->n_tasks, 0);
}
END_TEST

START_TEST(reconciles_what_only_the_master_knows)
{
    agent_master_down(h->a);
    h_connect(h);
    h_deliver(h, &msg__slave_reregistered_message__descriptor,
              "{\"slave_id\":{\"value\":\"" H_AGENT_ID
              "\"},\"reconciliations\":[{\"framework_id\":{\"value\":\"" H_FRAMEWORK
              "\"},\"framework\":{\"user\":\"u\",\"name\":\"f\",\"capabilities\":[{\"type\":"
              "\"PARTITION_AWARE\"}]},"
              "\"statuses\":[{\"task_id\":{\"value\":\"ghost\"},\"state\":\"TASK_RUNNING\"}]}]}");
    ck_assert_int_eq(h_update(h)->status->state, V1__TASK_STATE__TASK_DROPPED);
    ck_assert_int_eq(h_update(h)->status->reason, V1__TASK_STATUS__REASON__REASON_RECONCILIATION);
    ck_assert_uint_eq(h_update(h)->uuid.len, FL_UUID_LEN);
}
END_TEST

START_TEST(another_id_than_ours_ends_the_agent)
{
    agent_master_down(h->a);
    h_connect(h);
    h_deliver(h, &msg__slave_reregistered_message__descriptor,
              "{\"slave_id\":{\"value\":\"other\"}}");
    ck_assert_int_eq(h->exit_status, 1);
}
END_TEST

START_TEST(shutdown_by_the_master_ends_everything_and_forgets_the_id)
{
    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    h_deliver(h, &msg__shutdown_message__descriptor,
              "{\"message\":\"Agent has been marked gone\"}");
    ck_assert_int_eq(h->exit_status, -1);
    h_ended(h, CONTAINER_EXITED, SIGTERM);
    ck_assert_int_eq(h->exit_status, 0);
    ck_assert_ptr_null(h_file(h, "/w/meta/slaves/latest"));
    ck_assert_ptr_null(h_sent(h, &msg__unregister_slave_message__descriptor));
}
END_TEST

START_TEST(an_idle_agent_unregisters_and_ends)
{
    agent_shutdown(h->a, "Received SIGUSR1", true);
    ck_assert_ptr_nonnull(h_sent(h, &msg__unregister_slave_message__descriptor));
    ck_assert_int_eq(h->exit_status, 0);
}
END_TEST

START_TEST(sandboxes_go_after_the_delay)
{
    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    h_ended(h, CONTAINER_EXITED, 0);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
    env_timer_stop(agent_time(h->a), h->a->link.ping_timer);
    ck_assert_ptr_nonnull(h_find_file(h, "framework.info"));
    h_pass(h, h->flags.gc_delay);
    ck_assert_ptr_null(h_find_file(h, "framework.info"));
    ck_assert_uint_eq(agent_gc_pending(h->a->gc), 0);
}
END_TEST

START_TEST(a_framework_that_returns_keeps_its_folder_and_is_listed_once)
{
    env_timer_stop(agent_time(h->a), h->a->link.ping_timer);
    h_running(h, "t", H_CHECKPOINT, H_COMMAND);
    h_ended(h, CONTAINER_EXITED, 0);
    h_ack(h, "t", V1__TASK_STATE__TASK_FINISHED);
    ck_assert_uint_eq(h->a->n_completed_frameworks, 1);
    h_running(h, "u", H_CHECKPOINT, H_COMMAND);
    ck_assert_uint_eq(h->a->n_completed_frameworks, 0);
    ck_assert_uint_eq(agent_find_framework(h->a, H_FRAMEWORK)->n_completed, 1);
    h_pass(h, h->flags.gc_delay);
    ck_assert_ptr_nonnull(h_find_file(h, "framework.info"));
    ck_assert_ptr_nonnull(h_find_file(h, "executors/u/executor.info"));
    ck_assert_ptr_null(h_find_file(h, "executors/t/executor.info"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_recovery");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_running_command_runs_on_and_can_be_killed);
    tcase_add_test(tc, a_command_that_ended_meanwhile_tells_its_true_end);
    tcase_add_test(tc, one_that_vanished_without_trace_has_failed);
    tcase_add_test(tc, an_unacknowledged_update_is_sent_again_and_the_next_after_it);
    tcase_add_test(tc, died_between_start_and_first_update);
    tcase_add_test(tc, without_checkpointing_nothing_is_kept);
    tcase_add_test(tc, layout_is_the_references);
    tcase_add_test(tc, every_torn_tail_is_cut_off);
    tcase_add_test(tc, a_corrupt_log_stops_a_strict_agent);
    tcase_add_test(tc, acknowledged_to_the_end_is_over);
    tcase_add_test(tc, terminal_but_unacknowledged_is_told_again);
    tcase_add_test(tc, an_executor_that_comes_back_in_time_goes_on);
    tcase_add_test(tc, an_executor_that_stays_away_is_killed);
    tcase_add_test(tc, an_executor_without_any_task_is_shut_down);
    tcase_add_test(tc, another_configuration_is_refused_with_advice);
    tcase_add_test(tc, more_resources_are_fine_with_the_additive_policy);
    tcase_add_test(tc, after_a_reboot_another_configuration_makes_another_agent);
    tcase_add_test(tc, reservations_survive);
    tcase_add_test(tc, tries_again_with_growing_waits);
    tcase_add_test(tc, answers_pings_and_misses_them);
    tcase_add_test(tc, a_ping_as_if_disconnected_registers_anew);
    tcase_add_test(tc, reconciles_what_only_the_master_knows);
    tcase_add_test(tc, another_id_than_ours_ends_the_agent);
    tcase_add_test(tc, shutdown_by_the_master_ends_everything_and_forgets_the_id);
    tcase_add_test(tc, an_idle_agent_unregisters_and_ends);
    tcase_add_test(tc, sandboxes_go_after_the_delay);
    tcase_add_test(tc, a_framework_that_returns_keeps_its_folder_and_is_listed_once);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
