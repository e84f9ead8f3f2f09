/* Operations on the agent's resources: applied, kept through a kill at any instant, told until acknowledged; volumes as folders. */
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

static void restart(void)
{
    struct fl_err err = {0};

    h_stop_agent(h);
    h->killed_after = 0;
    h_start_agent(h, H_RESOURCES);
    ck_assert_msg(agent_recover(h->a, &err) == 0, "%s", err.msg);
}

static void come_back(void)
{
    h_connect(h);
    h_reregister(h);
}

/* ---- asking ---- */

#define DYNAMIC(role) "\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"" role "\"}]"
#define SCALAR(name, amount)                                                                       \
    "\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" amount "}"
#define RESERVE(name, amount)                                                                      \
    "{\"type\":\"RESERVE\",\"reserve\":{\"resources\":[{" SCALAR(name,                             \
                                                                 amount) "," DYNAMIC("r") "}]}}"
#define VOLUME(id, amount)                                                                         \
    "{" SCALAR("disk", amount) "," DYNAMIC(                                                        \
        "r") ",\"disk\":{\"persistence\":{\"id\":\"" id                                            \
             "\"},\"volume\":{\"container_path\":\"data\",\"mode\":\"RW\"}}}"
#define CREATE(id, amount) "{\"type\":\"CREATE\",\"create\":{\"volumes\":[" VOLUME(id, amount) "]}}"
#define DESTROY(id, amount)                                                                        \
    "{\"type\":\"DESTROY\",\"destroy\":{\"volumes\":[" VOLUME(id, amount) "]}}"

/* Operation number n, whose uuid is n sixteen times. */
static void ask_version(unsigned n, const char *operation, const uint8_t *version)
{
    _cleanup_free_ char *json =
        xasprintf("{\"framework_id\":{\"value\":\"" H_FRAMEWORK "\"},\"operation_info\":%s,"
                  "\"operation_uuid\":{\"value\":\"\"},\"resource_version_uuid\":{\"uuid\":{"
                  "\"value\":\"\"}}}",
                  operation);
    ProtobufCMessage *m = NULL;
    Msg__ApplyOperationMessage *apply;
    uint8_t uuid[FL_UUID_LEN];
    struct fl_err err = {0};

    ck_assert_msg(fl_json_to_pb(json, strlen(json), &msg__apply_operation_message__descriptor, 0,
                                NULL, &m, &err) == 0,
                  "%s", err.msg);
    apply = (Msg__ApplyOperationMessage *)m;
    memset(uuid, (int)n, sizeof uuid);
    free(apply->operation_uuid->value.data);
    free(apply->resource_version_uuid->uuid->value.data);
    apply->operation_uuid->value = (ProtobufCBinaryData){FL_UUID_LEN, xmemdup(uuid, FL_UUID_LEN)};
    apply->resource_version_uuid->uuid->value =
        (ProtobufCBinaryData){FL_UUID_LEN, xmemdup(version, FL_UUID_LEN)};
    agent_master_message(h->a, m);
    fl_pb_free(m);
}

static void ask(unsigned n, const char *operation)
{
    ask_version(n, operation, h->a->resource_version);
}

static unsigned told(void)
{
    return h_count(h, &msg__update_operation_status_message__descriptor);
}

static const Msg__UpdateOperationStatusMessage *last_told(void)
{
    const Msg__UpdateOperationStatusMessage *m =
        h_sent(h, &msg__update_operation_status_message__descriptor);

    ck_assert_ptr_nonnull(m);
    return m;
}

static void ack_last(void)
{
    const Msg__UpdateOperationStatusMessage *m = last_told();
    Msg__AcknowledgeOperationStatusMessage ack = MSG__ACKNOWLEDGE_OPERATION_STATUS_MESSAGE__INIT;

    ck_assert_ptr_nonnull(m->status->uuid);
    ack.operation_uuid = m->operation_uuid;
    ack.status_uuid = m->status->uuid;
    agent_master_message(h->a, &ack.base);
}

static void turn(void)
{
    h_pass(h, 1);
}

static int reserved(const char *name)
{
    return (int)(resources_scalar(&h->a->checkpointed, name) / 1000);
}

/* ---- one operation ---- */

START_TEST(an_operation_is_told_when_it_is_on_disk)
{
    h->hold_jobs = true;
    ask(1, RESERVE("cpus", "3"));
    turn();
    ck_assert_int_eq(reserved("cpus"), 3);
    ck_assert_int_eq(resources_scalar(&h->a->total, "cpus"), 8000);
    ck_assert_uint_eq(told(), 0);
    ck_assert_ptr_nonnull(h_find_file(h, "/resources_and_operations.target"));
    ck_assert_ptr_null(h_find_file(h, "/resources_and_operations.state"));
    h_work(h);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_FINISHED);
    ck_assert_uint_eq(last_told()->status->uuid->value.len, FL_UUID_LEN);
    ck_assert_str_eq(last_told()->slave_id->value, H_AGENT_ID);
    ck_assert_ptr_null(h_find_file(h, "/resources_and_operations.target"));
    ck_assert_ptr_null(h_find_file(h, "/resources.target"));
    ck_assert_ptr_nonnull(h_find_file(h, "/resources_and_operations.state"));
    ck_assert_ptr_nonnull(h_find_file(h, "/resources.info"));
}
END_TEST

START_TEST(operations_of_one_turn_are_one_write)
{
    unsigned before = h->writes, n;

    for (unsigned i = 1; i <= 20; i++)
        ask(i, RESERVE("mem", "10"));
    turn();
    n = h->writes - before;
    ck_assert_uint_eq(told(), 20);
    ck_assert_uint_le(n, 6); /* two targets written and removed, two files */
    ck_assert_int_eq(reserved("mem"), 200);
}
END_TEST

static void pass_with_pings(unsigned seconds)
{
    Msg__PingSlaveMessage ping = MSG__PING_SLAVE_MESSAGE__INIT;

    ping.connected = true;
    for (unsigned i = 0; i < seconds; i += 10) {
        agent_master_message(h->a, &ping.base);
        h_pass(h, SECONDS(10));
    }
}

START_TEST(a_status_is_told_again_until_acknowledged)
{
    ask(1, RESERVE("cpus", "1"));
    turn();
    ck_assert_uint_eq(told(), 1);
    h_pass(h, SECONDS(10));
    ck_assert_uint_eq(told(), 2);
    pass_with_pings(10);
    h_pass(h, SECONDS(9));
    ck_assert_uint_eq(told(), 2);
    h_pass(h, SECONDS(1));
    ck_assert_uint_eq(told(), 3);
    pass_with_pings(3600);
    /* 40, 80, ..., then every 600 s */
    ck_assert_uint_ge(told(), 11);
    ck_assert_uint_le(told(), 14);
    ack_last();
    h_clear(&h->sent);
    pass_with_pings(3600);
    ck_assert_uint_eq(told(), 0);
    ck_assert_ptr_null(h->a->operations->all);
    restart();
    come_back();
    ck_assert_uint_eq(told(), 0);
}
END_TEST

START_TEST(a_wrong_acknowledgement_is_refused)
{
    Msg__AcknowledgeOperationStatusMessage ack = MSG__ACKNOWLEDGE_OPERATION_STATUS_MESSAGE__INIT;
    V1__UUID wrong = V1__UUID__INIT;
    uint8_t zero[FL_UUID_LEN] = {0};

    ask(1, RESERVE("cpus", "1"));
    turn();
    wrong.value = (ProtobufCBinaryData){FL_UUID_LEN, zero};
    ack.operation_uuid = last_told()->operation_uuid;
    ack.status_uuid = &wrong;
    agent_master_message(h->a, &ack.base);
    ck_assert_ptr_nonnull(h->a->operations->all);
    ack.operation_uuid = &wrong;
    agent_master_message(h->a, &ack.base);
    ck_assert_ptr_nonnull(h->a->operations->all);
}
END_TEST

START_TEST(acknowledged_while_the_disk_is_busy)
{
    ask(1, RESERVE("cpus", "1"));
    turn();
    h->hold_jobs = true;
    ask(2, RESERVE("cpus", "1"));
    turn();
    ack_last(); /* of the first */
    h_work(h);
    h->hold_jobs = false;
    turn();
    ack_last();
    turn();
    restart();
    ck_assert_ptr_null(h->a->operations->all);
    ck_assert_int_eq(reserved("cpus"), 2);
}
END_TEST

START_TEST(the_first_is_over_while_the_second_is_written)
{
    ask(1, RESERVE("cpus", "1"));
    turn();
    h->hold_jobs = true;
    ask(2, RESERVE("cpus", "1"));
    turn();
    ack_last(); /* of the first, which the write under way still has */
    h_work(h);
    turn();
    restart();
    ck_assert_uint_eq(HASH_COUNT(h->a->operations->all), 1);
}
END_TEST

START_TEST(the_same_operation_is_done_once)
{
    ask(1, RESERVE("cpus", "1"));
    ask(1, RESERVE("cpus", "1"));
    turn();
    ask(1, RESERVE("cpus", "1"));
    turn();
    ck_assert_int_eq(reserved("cpus"), 1);
    ck_assert_uint_eq(told(), 2);
}
END_TEST

START_TEST(an_operation_on_an_older_version_is_dropped)
{
    uint8_t old[FL_UUID_LEN] = {7};

    ask_version(1, RESERVE("cpus", "1"), old);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_DROPPED);
    ck_assert_ptr_null(last_told()->status->uuid);
    ck_assert_str_eq(last_told()->status->message, "Operation assumes outdated resource state");
    turn();
    ck_assert_int_eq(reserved("cpus"), 0);
}
END_TEST

/* The master booked something else than there is: it hears the truth, and what it sent meanwhile is void. */
START_TEST(an_impossible_operation_is_told_and_the_books_set_right)
{
    uint8_t old[FL_UUID_LEN];

    memcpy(old, h->a->resource_version, FL_UUID_LEN);
    ask(1, RESERVE("cpus", "99"));
    ck_assert_int_ne(memcmp(old, h->a->resource_version, FL_UUID_LEN), 0);
    turn();
    ck_assert_uint_eq(h_count(h, &msg__reregister_slave_message__descriptor), 1);
    h_reregister(h);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_ERROR);
    ck_assert_ptr_nonnull(last_told()->status->uuid);
    ask_version(2, RESERVE("cpus", "1"), old);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_DROPPED);
    ask(3, RESERVE("cpus", "1"));
    turn();
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_FINISHED);
}
END_TEST

/* ---- the master goes and comes ---- */

START_TEST(operations_are_reported_when_the_master_is_back)
{
    const Msg__UpdateSlaveMessage *m;

    ask(1, RESERVE("cpus", "2"));
    turn();
    agent_master_down(h->a);
    h->link_open = false;
    h_clear(&h->sent);
    h_pass(h, SECONDS(100));
    come_back();
    m = h_sent(h, &msg__update_slave_message__descriptor);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->operations->n_operations, 1);
    ck_assert_int_eq(m->operations->operations[0]->latest_status->state,
                     V1__OPERATION_STATE__OPERATION_FINISHED);
    ck_assert_uint_eq(told(), 1);
}
END_TEST

static void reconcile(unsigned n, bool of_framework)
{
    Msg__ReconcileOperationsMessage m = MSG__RECONCILE_OPERATIONS_MESSAGE__INIT;
    Msg__ReconcileOperationsMessage__Operation
        one = MSG__RECONCILE_OPERATIONS_MESSAGE__OPERATION__INIT,
        *list[] = {&one};
    V1__FrameworkID fid = V1__FRAMEWORK_ID__INIT;
    V1__UUID uuid = V1__UUID__INIT;
    uint8_t bytes[FL_UUID_LEN];

    memset(bytes, (int)n, sizeof bytes);
    uuid.value = (ProtobufCBinaryData){FL_UUID_LEN, bytes};
    one.operation_uuid = &uuid;
    fid.value = (char *)H_FRAMEWORK;
    m.framework_id = of_framework ? &fid : NULL;
    m.n_operations = 1;
    m.operations = list;
    agent_master_message(h->a, &m.base);
}

START_TEST(reconciliation_tells_what_is_true)
{
    ask(1, RESERVE("cpus", "2"));
    turn();
    reconcile(1, false);
    ck_assert_uint_eq(told(), 2);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_FINISHED);
    reconcile(9, false);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_DROPPED);
    reconcile(1, true);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_FINISHED);
    ck_assert_ptr_null(last_told()->status->uuid);
    reconcile(9, true);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_UNKNOWN);
}
END_TEST

/* ---- order ---- */

START_TEST(a_launch_waits_for_the_disk)
{
    h->hold_jobs = true;
    ask(1, RESERVE("cpus", "1"));
    h_run(h, "t", "", H_COMMAND);
    h_kill(h, "t", "");
    turn();
    ck_assert_ptr_null(h->containers);
    ck_assert_uint_eq(h->a->operations->n_held, 2);
    h_work(h);
    ck_assert_uint_eq(h->a->operations->n_held, 0);
    ck_assert_ptr_nonnull(h->containers); /* it ran, and the kill came after it */
    ck_assert(h_last(h)->destroyed || h_task(h, "t")->phase != AGENT_TASK_QUEUED);
}
END_TEST

START_TEST(what_waits_is_forgotten_with_the_connection)
{
    h->hold_jobs = true;
    ask(1, RESERVE("cpus", "1"));
    h_run(h, "t", "", H_COMMAND);
    turn();
    agent_master_down(h->a);
    h_work(h);
    ck_assert_ptr_null(h->containers);
    ck_assert_uint_eq(h->a->operations->n_held, 0);
}
END_TEST

/* ---- volumes ---- */

#define VOLUME_DIR "/w/volumes/roles/r/"

START_TEST(a_volume_is_a_folder_that_goes_with_it)
{
    ask(1, RESERVE("disk", "100"));
    ask(2, CREATE("v1", "64"));
    turn();
    ck_assert_ptr_nonnull(h_file(h, VOLUME_DIR "v1/."));
    h_write(h, VOLUME_DIR "v1/data", "x", 1, false, NULL);
    restart();
    come_back();
    ck_assert_ptr_nonnull(h_file(h, VOLUME_DIR "v1/data"));
    ask(3, DESTROY("v1", "64"));
    turn();
    ck_assert_ptr_null(h_file(h, VOLUME_DIR "v1/data"));
    ck_assert_ptr_null(h_file(h, VOLUME_DIR "v1/."));
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_FINISHED);
}
END_TEST

/* In one turn: the second volume of that name must not show the data of the first. */
START_TEST(a_volume_made_again_is_empty)
{
    ask(1, RESERVE("disk", "100"));
    ask(2, CREATE("v1", "64"));
    turn();
    h_write(h, VOLUME_DIR "v1/data", "x", 1, false, NULL);
    ask(3, DESTROY("v1", "64"));
    ask(4, CREATE("v1", "32"));
    ck_assert_uint_eq(h->a->operations->n_held, 1);
    turn();
    turn();
    ck_assert_uint_eq(told(), 4);
    ck_assert_ptr_null(h_file(h, VOLUME_DIR "v1/data"));
    ck_assert_ptr_nonnull(h_file(h, VOLUME_DIR "v1/."));
}
END_TEST

START_TEST(an_id_that_leads_elsewhere_is_refused)
{
    ask(1, RESERVE("disk", "100"));
    ask(2, CREATE("..", "64"));
    turn();
    h_reregister(h);
    ck_assert_int_eq(last_told()->status->state, V1__OPERATION_STATE__OPERATION_ERROR);
    ck_assert_int_eq(reserved("disk"), 100);
}
END_TEST

/* ---- killed at every instant ---- */

/* A history with every kind of change; each step is a turn. */
static void history(void)
{
    ask(1, RESERVE("disk", "100"));
    ask(2, RESERVE("cpus", "1"));
    turn();
    ask(3, CREATE("v1", "64"));
    turn();
    ask(4, CREATE("v2", "16"));
    ask(5, DESTROY("v1", "64"));
    turn();
    if (h_alive(h) && told() > 0)
        ack_last();
    ask(6, RESERVE("cpus", "2"));
    turn();
}

static bool has_volume(const char *id)
{
    _cleanup_resources_ struct resources v = RESOURCES_INIT;
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;

    resources_persistent_volumes(&h->a->checkpointed, &v);
    resources_format(&v, &text);
    return text.len > 0 && strstr(fl_buf_cstr(&text), id);
}

/* What must be the case however often and whenever it was killed. */
static void check_consistent(unsigned finished_before)
{
    bool v1 = has_volume("v1"), v2 = has_volume("v2");

    ck_assert_int_eq(v1, h_file(h, VOLUME_DIR "v1/.") != NULL);
    ck_assert_int_eq(v2, h_file(h, VOLUME_DIR "v2/.") != NULL);
    ck_assert(!(v1 && v2)); /* one turn: both or neither */
    ck_assert_ptr_null(h_find_file(h, ".target"));
    /* What was told as finished is there. */
    ck_assert_uint_ge((reserved("disk") > 0) * 2 + (v1 || v2) + v2 * 2 + (reserved("cpus") == 3),
                      finished_before);
}

/* Operations 1..6 that are in the agent's list. */
static unsigned known_operations(void)
{
    return HASH_COUNT(h->a->operations->all);
}

START_TEST(killed_after_any_write_nothing_is_lost_or_half)
{
    unsigned total;

    history();
    total = h->writes;
    ck_assert_uint_eq(told(), 6);
    teardown();
    for (unsigned k = 1; k <= total; k++) {
        unsigned finished, applied;

        setup();
        if (k <= h->writes) {
            teardown();
            continue;
        }
        h->killed_after = k;
        history();
        finished = told();
        restart();
        check_consistent(finished);
        /* Every operation that took effect is told, but for one that may have been acknowledged. */
        applied = (reserved("disk") > 0) * 2u + (unsigned)(has_volume("v1") || has_volume("v2")) +
                  (unsigned)has_volume("v2") * 2 + (unsigned)(reserved("cpus") == 3);
        ck_assert_uint_ge(known_operations() + 1, applied);
        ck_assert_uint_le(known_operations(), applied);
        come_back();
        ck_assert_uint_eq(told(), known_operations());
        /* And killed once more while it recovers. */
        restart();
        check_consistent(finished);
        teardown();
    }
    setup();
}
END_TEST

START_TEST(killed_while_recovering_at_any_write)
{
    for (unsigned k = 1; k < 12; k++) {
        h->hold_jobs = true;
        ask(1, RESERVE("disk", "100"));
        ask(2, CREATE("v1", "64"));
        turn();
        h_work(h);
        turn();
        h->hold_jobs = false;
        ask(3, DESTROY("v1", "64"));
        h->hold_jobs = true;
        turn(); /* the intent alone */
        h_stop_agent(h);
        h->killed_after = h->writes + k;
        h_start_agent(h, H_RESOURCES);
        ck_assert_int_eq(agent_recover(h->a, &(struct fl_err){0}), 0);
        h->hold_jobs = false;
        restart();
        ck_assert(!has_volume("v1"));
        ck_assert_ptr_null(h_file(h, VOLUME_DIR "v1/."));
        ck_assert_uint_eq(known_operations(), 3);
        teardown();
        setup();
    }
}
END_TEST

/* ---- files of others ---- */

START_TEST(reservations_outlive_the_identity)
{
    ask(1, RESERVE("cpus", "2"));
    turn();
    h_remove(h, "/w/meta/slaves", NULL);
    restart();
    ck_assert_int_eq(reserved("cpus"), 2);
    ck_assert_uint_eq(known_operations(), 0);
}
END_TEST

START_TEST(the_older_form_is_read)
{
    ask(1, RESERVE("cpus", "2"));
    turn();
    h_remove(h, "/w/meta/resources/resources_and_operations.state", NULL);
    restart();
    ck_assert_int_eq(reserved("cpus"), 2);
    ck_assert_ptr_nonnull(h_find_file(h, "/resources_and_operations.state"));
}
END_TEST

START_TEST(a_log_that_has_the_acknowledgement_is_believed)
{
    Msg__UpdateOperationStatusRecord rec = MSG__UPDATE_OPERATION_STATUS_RECORD__INIT;
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_free_ char *dir = NULL, *path = NULL;

    ask(1, RESERVE("cpus", "2"));
    turn();
    dir = agent_path_operation(h->a, h->a->operations->all->uuid);
    path = xasprintf("%s/operation.updates", dir);
    rec.type = MSG__UPDATE_OPERATION_STATUS_RECORD__TYPE__ACK;
    agent_record_add(&b, &rec.base);
    h_write(h, path, b.data, b.len, false, NULL);
    restart();
    ck_assert_uint_eq(known_operations(), 0);
    ck_assert_ptr_null(h_file(h, path));
    ck_assert_int_eq(reserved("cpus"), 2);
}
END_TEST

START_TEST(draining_waits_for_the_last_acknowledgement)
{
    ask(1, RESERVE("cpus", "1"));
    turn();
    h_deliver(h, &msg__drain_slave_message__descriptor, "{\"config\":{}}");
    ck_assert_ptr_nonnull(h->a->drain);
    restart();
    ck_assert_ptr_nonnull(h->a->drain);
    come_back();
    turn();
    ack_last();
    ck_assert_ptr_null(h->a->drain);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent operations");
    TCase *tc = tcase_create("all");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_operation_is_told_when_it_is_on_disk);
    tcase_add_test(tc, operations_of_one_turn_are_one_write);
    tcase_add_test(tc, a_status_is_told_again_until_acknowledged);
    tcase_add_test(tc, a_wrong_acknowledgement_is_refused);
    tcase_add_test(tc, acknowledged_while_the_disk_is_busy);
    tcase_add_test(tc, the_first_is_over_while_the_second_is_written);
    tcase_add_test(tc, the_same_operation_is_done_once);
    tcase_add_test(tc, an_operation_on_an_older_version_is_dropped);
    tcase_add_test(tc, an_impossible_operation_is_told_and_the_books_set_right);
    tcase_add_test(tc, operations_are_reported_when_the_master_is_back);
    tcase_add_test(tc, reconciliation_tells_what_is_true);
    tcase_add_test(tc, a_launch_waits_for_the_disk);
    tcase_add_test(tc, what_waits_is_forgotten_with_the_connection);
    tcase_add_test(tc, a_volume_is_a_folder_that_goes_with_it);
    tcase_add_test(tc, a_volume_made_again_is_empty);
    tcase_add_test(tc, an_id_that_leads_elsewhere_is_refused);
    tcase_add_test(tc, killed_after_any_write_nothing_is_lost_or_half);
    tcase_add_test(tc, killed_while_recovering_at_any_write);
    tcase_add_test(tc, reservations_outlive_the_identity);
    tcase_add_test(tc, the_older_form_is_read);
    tcase_add_test(tc, draining_waits_for_the_last_acknowledgement);
    tcase_add_test(tc, a_log_that_has_the_acknowledgement_is_believed);
    suite_add_tcase(s, tc);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
