/* Operations on resources in the master's core: what is refused, what is booked and told, how statuses and acknowledgements
 * travel, what happens when an agent fails, forgets or is lost; the operator's calls. */
#include "tests/unit/master_world.h"

#include "master/operator_resources.h"

static struct world w;

#define FRAMEWORK_CAPS                                                                             \
    "\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":\"RESERVATION_REFINEMENT\"},{\"type\":" \
    "\"SHARED_RESOURCES\"},{\"type\":\"PARTITION_AWARE\"}]"
#define RESOURCES                                                                                  \
    "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4}},"                           \
    "{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1024}},"                          \
    "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":100}}]"
#define CAPS_OLD "{\"type\":\"MULTI_ROLE\"}"
#define CAPS_PLAIN                                                                                 \
    CAPS_OLD ",{\"type\":\"RESOURCE_PROVIDER\"},{\"type\":\"AGENT_OPERATION_FEEDBACK\"}"
#define CAPS_ALL                                                                                   \
    CAPS_PLAIN ",{\"type\":\"HIERARCHICAL_ROLE\"},{\"type\":\"RESERVATION_REFINEMENT\"},"          \
               "{\"type\":\"RESIZE_VOLUME\"}"
#define VERSION ",\"resource_version_uuid\":{\"value\":\"" W_UUID "\"}"

static void register_with(const char *caps, const char *version)
{
    w_agent(&w, "a1", "10.0.0.1:40000", &msg__register_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h1\",\"port\":5051,\"resources\":" RESOURCES
            "},\"version\":\"1.11.0\",\"agent_capabilities\":[%s]%s}",
            caps, version);
}

static void subscribe(const char *stream, const char *role)
{
    _cleanup_free_ char *info =
        xasprintf(",\"roles\":[\"%s\"],\"failover_timeout\":10000," FRAMEWORK_CAPS, role);

    w_subscribe(&w, stream, info);
}

static void setup(void)
{
    w_init(&w, NULL);
    subscribe("s1", "a");
    register_with(CAPS_ALL, VERSION);
    w_expect(&w, "s1", "\"OFFERS\"");
}

static void teardown(void)
{
    w_done(&w);
}

static void begin_with_agent(const char *caps, const char *version)
{
    w_done(&w);
    w_init(&w, NULL);
    subscribe("s1", "a");
    register_with(caps, version);
    w_expect(&w, "s1", "\"OFFERS\"");
}

/* ---- words ---- */

#define SCALAR(name, n) "\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" n "}"
#define TO(role)        ",\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"" role "\"}]"
#define TO_AB                                                                                      \
    ",\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"a\"},{\"type\":\"DYNAMIC\",\"role\":"     \
    "\"a/b\"}]"
#define VOLUME_OF(id)                                                                              \
    ",\"disk\":{\"persistence\":{\"id\":\"" id                                                     \
    "\"},\"volume\":{\"container_path\":\"d\",\"mode\":\"RW\"}}"
#define CPUS(n)   "{" SCALAR("cpus", n) TO("a") "}"
#define DISK(n)   "{" SCALAR("disk", n) TO("a") "}"
#define VOLUME(n) "{" SCALAR("disk", n) TO("a") VOLUME_OF("v") "}"
#define SHARED(n) "{" SCALAR("disk", n) TO("a") VOLUME_OF("v") ",\"shared\":{}}"
#define ID        "\"id\":{\"value\":\"op\"},"
#define OP(id, type, part, list, what)                                                             \
    "{" id "\"type\":\"" type "\",\"" part "\":{\"" list "\":[" what "]}}"
#define RESERVE(id, what)   OP(id, "RESERVE", "reserve", "resources", what)
#define UNRESERVE(id, what) OP(id, "UNRESERVE", "unreserve", "resources", what)
#define CREATE(id, what)    OP(id, "CREATE", "create", "volumes", what)
#define DESTROY(id, what)   OP(id, "DESTROY", "destroy", "volumes", what)
#define GROW(id, volume, more)                                                                     \
    "{" id "\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" volume ",\"addition\":" more "}}"
#define SHRINK(id, volume, n)                                                                      \
    "{" id "\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" volume                      \
    ",\"subtract\":{\"value\":" n "}}}"

static void accept_ops(const char *stream, const char *ops)
{
    ck_assert_int_eq(w_call(&w, stream, "ACCEPT",
                            "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[%s],"
                            "\"filters\":{\"refuse_seconds\":0}}",
                            w.oid, ops),
                     202);
}

static int operate(const char *json, const char *principal, struct fl_err *err)
{
    struct fl_arena *arena = fl_arena_new(4096);
    ProtobufCMessage *m = NULL;
    int r;

    ck_assert_msg(fl_json_to_pb(json, strlen(json), &v1__offer__operation__descriptor, 0,
                                fl_arena_allocator(arena), &m, err) == 0,
                  "%s in %s", err->msg, json);
    r = master_operator_resources(w.m, w.aid, (V1__Offer__Operation *)m, principal, err);
    fl_arena_free(arena);
    w_settle(&w);
    return r;
}

static void operate_fine(const char *json)
{
    struct fl_err err = {0};

    ck_assert_msg(operate(json, NULL, &err) == 0, "%s", err.msg);
}

static void check_total(const char *want)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;

    resources_format(&w.m->agents->total, &text);
    ck_assert_str_eq(fl_buf_cstr(&text), want);
}

#define TOTAL "cpus(*):4; mem(*):1024; disk(*):100"

/* The uuid of the agent's i-th operation, as JSON has it. */
static char *uuid_of(unsigned i)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    struct json_out j = json_out_on(&text);
    const struct operation *o = w.m->agents->operations;

    while (i-- > 0)
        o = o->next;
    ck_assert(o != NULL);
    json_base64(&j, o->uuid, sizeof(o->uuid));
    return xstrdup(fl_buf_cstr(&text));
}

#define STATUS_UUID "BBBBBBBBBBBBBBBBBBBBBA=="

/* What the agent says of an operation; with a uuid it wants to be acknowledged. */
static void say(const char *uuid, const char *state, const char *framework, bool reliably)
{
    _cleanup_free_ char *id = framework && *framework
                                  ? xasprintf("\"framework_id\":{\"value\":\"%s\"},", framework)
                                  : xstrdup("");

    w_agent(&w, "a1", "10.0.0.1:40000", &msg__update_operation_status_message__descriptor,
            "{%s\"slave_id\":{\"value\":\"%s\"},\"status\":{\"state\":\"%s\"%s},"
            "\"operation_uuid\":{\"value\":%s}}",
            id, w.aid, state, reliably ? ",\"uuid\":{\"value\":\"" STATUS_UUID "\"}" : "", uuid);
}

static void ack(const char *uuid)
{
    ck_assert_int_eq(
        w_call(&w, "s1", "ACKNOWLEDGE_OPERATION_STATUS",
               "\"acknowledge_operation_status\":{\"agent_id\":{\"value\":\"%s\"},\"uuid\":\"%s\","
               "\"operation_id\":{\"value\":\"op\"}}",
               w.aid, uuid),
        202);
}

struct wanted {
    const char *name;
    double value;
};

static void pick(const char *name, double value, void *arg)
{
    struct wanted *wanted = arg;

    if (streq(name, wanted->name))
        wanted->value = value;
}

static double metric(const char *name)
{
    struct wanted wanted = {name, -1};

    metrics_each(w.metrics, pick, &wanted);
    ck_assert_msg(wanted.value >= 0, "no metric %s", name);
    return wanted.value;
}

/* ---- refusals to frameworks ---- */

static const struct {
    const char *ops, *part;
} refused[] = {
    {RESERVE(ID, "{" SCALAR("cpus", "5") TO("a") "}"), "does not contain"},
    {RESERVE(ID, "{" SCALAR("cpus", "1") TO("b") "}"), "cannot be reserved to 'b'"},
    {RESERVE(ID, "{" SCALAR("cpus", "1") "}"), "not dynamically reserved"},
    {RESERVE(ID, "{" SCALAR("cpus", "-1") TO("a") "}"), "attempted with invalid resources"},
    {RESERVE(ID, "{" SCALAR("cpus", "1") TO("*") "}"), "cannot be reserved"},
    {"{" ID "\"type\":\"RESERVE\",\"reserve\":{\"source\":[{" SCALAR(
         "cpus", "1") "}],\"resources\":[" CPUS("1") "]}}",
     "operator"},
    {UNRESERVE(ID, CPUS("1")), "does not contain"},
    {UNRESERVE(ID, VOLUME("1")), "destroyed before"},
    {CREATE(ID, VOLUME("1")), "does not contain"},
    {CREATE(ID, "{" SCALAR("disk", "1") VOLUME_OF("v") "}"), "unreserved"},
    {CREATE(ID, VOLUME("1") "," VOLUME("2")), "more than once"},
    {DESTROY(ID, VOLUME("1")), "not found"},
    {GROW(ID, VOLUME("1"), DISK("1")), "does not contain"},
    {SHRINK(ID, VOLUME("1"), "1"), "smaller"},
    {"{" ID "\"type\":\"DESTROY_DISK\",\"destroy_disk\":{\"source\":{" SCALAR("disk", "1") "}}}",
     "resource provider"},
    {"{" ID "\"type\":\"CREATE_DISK\",\"create_disk\":{\"source\":{" SCALAR(
         "disk", "1") "},\"target_type\":\"MOUNT\"}}",
     "resource provider"},
    {"{" ID "\"type\":\"RESERVE\"}", "'reserve'"},
};

START_TEST(an_operation_is_refused_with_a_reason)
{
    const char *said;

    accept_ops("s1", refused[_i].ops);
    said = w_expect(&w, "s1", "OPERATION_ERROR");
    ck_assert_msg(strstr(said, refused[_i].part) != NULL, "%s", said);
    ck_assert_ptr_nonnull(strstr(said, "\"operation_id\":{\"value\":\"op\"}"));
    ck_assert_ptr_null(strstr(said, "uuid"));
    w_never(&w, "a1", "ApplyOperationMessage");
    check_total(TOTAL);
    ck_assert_ptr_null(w.m->agents->operations);
    w_pass(&w, 2 * W_SECOND);
    w_expect(&w, "s1", "\"OFFERS\""); /* and what was offered comes back */
}
END_TEST

START_TEST(without_an_id_nothing_is_told)
{
    accept_ops("s1", UNRESERVE("", CPUS("1")));
    w_never(&w, "s1", "UPDATE_OPERATION_STATUS");
    ck_assert(metric("master/operations/unreserve/error") == 1);
}
END_TEST

static const struct {
    const char *caps, *op, *part;
} lacking[] = {
    {CAPS_OLD, RESERVE(ID, CPUS("1")), "RESOURCE_PROVIDER"},
    {CAPS_OLD ",{\"type\":\"RESOURCE_PROVIDER\"}", RESERVE(ID, CPUS("1")),
     "AGENT_OPERATION_FEEDBACK"},
    {CAPS_PLAIN ",{\"type\":\"HIERARCHICAL_ROLE\"}", RESERVE(ID, "{" SCALAR("cpus", "1") TO_AB "}"),
     "RESERVATION_REFINEMENT"},
    {CAPS_PLAIN ",{\"type\":\"RESERVATION_REFINEMENT\"}",
     RESERVE(ID, "{" SCALAR("cpus", "1") TO("a/b") "}"), "HIERARCHICAL_ROLE"},
    {CAPS_PLAIN,
     RESERVE("", DISK("2")) "," CREATE("", VOLUME("1")) "," GROW(ID, VOLUME("1"), DISK("1")),
     "RESIZE_VOLUME"},
    {CAPS_PLAIN,
     RESERVE("", DISK("2")) "," CREATE("", VOLUME("2")) "," SHRINK(ID, VOLUME("2"), "1"),
     "RESIZE_VOLUME"},
};

START_TEST(an_agent_that_cannot_is_not_asked)
{
    const char *said;

    begin_with_agent(lacking[_i].caps, VERSION);
    accept_ops("s1", lacking[_i].op);
    said = w_expect(&w, "s1", "OPERATION_ERROR");
    ck_assert_msg(strstr(said, lacking[_i].part) != NULL, "%s", said);
}
END_TEST

START_TEST(a_used_offer_refuses_the_operation)
{
    accept_ops("s1", "");
    accept_ops("s1", RESERVE(ID, CPUS("1")));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "OPERATION_ERROR"), "no longer valid"));
}
END_TEST

START_TEST(the_principal_of_the_framework_reserves)
{
    w_done(&w);
    w_init(&w, NULL);
    w_subscribe(&w, "s1", ",\"roles\":[\"a\"],\"principal\":\"me\"," FRAMEWORK_CAPS);
    register_with(CAPS_ALL, VERSION);
    accept_ops("s1", RESERVE(ID, CPUS("1")));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "OPERATION_ERROR"), "principal"));
    w_pass(&w, 2 * W_SECOND);
    accept_ops("s1", RESERVE(ID, "{" SCALAR("cpus", "1") ",\"reservations\":[{\"type\":\"DYNAMIC\","
                                                         "\"role\":\"a\",\"principal\":\"me\"}]}"));
    w_expect(&w, "a1", "ApplyOperationMessage");
}
END_TEST

/* ---- what is done ---- */

START_TEST(operations_of_one_call_see_each_other)
{
    const char *said;

    accept_ops("s1", RESERVE(ID, CPUS("1") "," DISK("30")) "," CREATE("", VOLUME("10")) "," GROW(
                         "", VOLUME("10"), DISK("5")) "," SHRINK("", VOLUME("15"), "3"));
    w_never(&w, "s1", "OPERATION_ERROR");
    said = w_expect(&w, "a1", "\"RESERVE\"");
    ck_assert_ptr_nonnull(strstr(said, "ApplyOperationMessage"));
    ck_assert_ptr_nonnull(strstr(said, "\"operation_uuid\""));
    ck_assert_ptr_nonnull(strstr(said, w.fid));
    w_expect(&w, "a1", "\"CREATE\"");
    w_expect(&w, "a1", "\"GROW_VOLUME\"");
    w_expect(&w, "a1", "\"SHRINK_VOLUME\"");
    check_total("cpus(*):3; mem(*):1024; disk(*):70; cpus(reservations: [(DYNAMIC,a)]):1; "
                "disk(reservations: [(DYNAMIC,a)]):18; disk(reservations: "
                "[(DYNAMIC,a)])[v:d]:12");
    said = w_expect(&w, "s1", "\"OFFERS\"");
    ck_assert_ptr_nonnull(strstr(said, "\"persistence\":{\"id\":\"v\"}"));
    ck_assert(metric("master/operations/pending") == 4);
}
END_TEST

START_TEST(a_reservation_is_refined_and_undone)
{
    w_done(&w);
    w_init(&w, NULL);
    subscribe("s1", "a/b");
    register_with(CAPS_ALL, VERSION);
    operate_fine(RESERVE("", CPUS("2")));
    w_pass(&w, 6 * W_SECOND);
    accept_ops("s1", RESERVE(ID, "{" SCALAR("cpus", "1") TO_AB "}"));
    w_never(&w, "s1", "OPERATION_ERROR");
    check_total("cpus(*):2; mem(*):1024; disk(*):100; cpus(reservations: [(DYNAMIC,a)]):1; "
                "cpus(reservations: [(DYNAMIC,a),(DYNAMIC,a/b)]):1");
    accept_ops("s1", UNRESERVE(ID, "{" SCALAR("cpus", "1") TO_AB "}"));
    check_total("cpus(*):2; mem(*):1024; disk(*):100; cpus(reservations: [(DYNAMIC,a)]):2");
}
END_TEST

START_TEST(the_older_format_becomes_the_newer)
{
    const char *said;

    accept_ops("s1", RESERVE("", "{" SCALAR("cpus", "1") ",\"role\":\"a\",\"reservation\":{}}"));
    said = w_expect(&w, "a1", "ApplyOperationMessage");
    ck_assert_ptr_nonnull(strstr(said, "\"reservations\":[{"));
    ck_assert_ptr_null(strstr(said, "\"reservation\":{"));
}
END_TEST

START_TEST(an_old_agent_is_told_what_to_keep)
{
    const char *said;

    begin_with_agent(CAPS_OLD, "");
    accept_ops("s1", RESERVE("", CPUS("1")));
    said = w_expect(&w, "a1", "CheckpointResourcesMessage");
    ck_assert_ptr_nonnull(strstr(said, "\"role\":\"a\""));
    ck_assert_ptr_nonnull(strstr(said, "\"reservation\":{}"));
    ck_assert_ptr_null(strstr(said, "\"mem\""));
    ck_assert_ptr_null(w.m->agents->operations);
}
END_TEST

START_TEST(destroying_rescinds_and_needs_a_volume_that_is_not_in_use)
{
    accept_ops("s1", RESERVE("", CPUS("1") "," DISK("10")) "," CREATE("", VOLUME("10")));
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", "{" SCALAR("cpus", "0.5") "},{" SCALAR("mem", "64") "}," VOLUME("10"));
    w_expect(&w, "a1", "RunTaskMessage");
    accept_ops("s1", DESTROY(ID, VOLUME("10")));
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "OPERATION_ERROR"), "in use"));
}
END_TEST

START_TEST(a_shared_volume_is_taken_out_of_other_offers)
{
    char first[128];

    accept_ops("s1", RESERVE("", DISK("10")) "," CREATE("", SHARED("10")));
    w_expect(&w, "s1", "\"OFFERS\"");
    w_launch(&w, "s1", "t1", W_CPUS("1"));
    w_pass(&w, 2 * W_SECOND);
    w_expect(&w, "s1", "\"shared\"");
    fl_snprintf(first, sizeof(first), "%s", w.fid);
    subscribe("s2", "a");
    fl_snprintf(w.fid, sizeof(w.fid), "%s", first);
    w_status(&w, "a1", "t1", "TASK_FINISHED", W_UUID, NULL);
    w_pass(&w, 2 * W_SECOND);
    w_expect(&w, "s2", "\"shared\""); /* each has a copy */
    operate_fine(DESTROY("", SHARED("10")));
    w_expect(&w, "s1", "RESCIND");
    w_expect(&w, "s2", "RESCIND");
}
END_TEST

#define TASK(id, more)                                                                             \
    "{\"name\":\"t\",\"task_id\":{\"value\":\"" id                                                 \
    "\"},\"agent_id\":{\"value\":\"%s\"},\"command\":{"                                            \
    "\"value\":\"true\"},\"resources\":[" W_CPUS("0.5") "," more "]}"

START_TEST(tasks_of_one_call_share_a_volume)
{
    const struct agent *a;

    accept_ops("s1", RESERVE("", DISK("10")) "," CREATE("", SHARED("10")));
    w_expect(&w, "s1", "\"OFFERS\"");
    w_call(&w, "s1", "ACCEPT",
           "\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{\"type\":\"LAUNCH\","
           "\"launch\":{\"task_infos\":[" TASK("t1", SHARED("10")) "," TASK("t2",
                                                                            SHARED("10")) "]}}]}",
           w.oid, w.aid, w.aid);
    w_never(&w, "s1", "TASK_ERROR");
    a = w.m->agents;
    w_expect(&w, "a1", "RunTaskMessage");
    w_expect(&w, "a1", "RunTaskMessage");
    ck_assert_int_eq(resources_scalar(&a->total, "disk"), 100000);
    w_status(&w, "a1", "t1", "TASK_FINISHED", W_UUID, NULL);
    ck_assert(!resources_empty(&a->used)); /* the other's copy */
    w_status(&w, "a1", "t2", "TASK_FINISHED", W_UUID, NULL);
    ck_assert(resources_empty(&a->used));
    w_pass(&w, 6 * W_SECOND);
    w_forget(&w);
    operate_fine(DESTROY("", SHARED("10")));
    operate_fine(UNRESERVE("", DISK("10")));
    check_total(TOTAL);
}
END_TEST

/* ---- feedback ---- */

START_TEST(a_status_waits_for_its_acknowledgement)
{
    _cleanup_free_ char *uuid = NULL;
    const char *said;

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    uuid = uuid_of(0);
    say(uuid, "OPERATION_FINISHED", w.fid, true);
    said = w_expect(&w, "s1", "OPERATION_FINISHED");
    ck_assert_ptr_nonnull(strstr(said, STATUS_UUID));
    ck_assert_ptr_nonnull(strstr(said, "\"operation_id\":{\"value\":\"op\"}"));
    ck_assert_ptr_nonnull(strstr(said, w.aid));
    say(uuid, "OPERATION_FINISHED", w.fid, true); /* repeated: told again, counted once */
    w_expect(&w, "s1", "OPERATION_FINISHED");
    ck_assert(metric("master/operations/reserve/finished") == 1);
    ck_assert(metric("master/operations/reserve/pending") == 0);
    ack(W_UUID);
    w_never(&w, "a1", "AcknowledgeOperationStatusMessage");
    ck_assert_ptr_nonnull(w.m->agents->operations);
    ack(STATUS_UUID);
    said = w_expect(&w, "a1", "AcknowledgeOperationStatusMessage");
    ck_assert_ptr_nonnull(strstr(said, STATUS_UUID));
    ck_assert_ptr_nonnull(strstr(said, uuid));
    ck_assert_ptr_null(w.m->agents->operations);
    ack(STATUS_UUID);
    ck_assert(metric("master/invalid_operation_status_update_acknowledgements") == 2);
    ck_assert(metric("master/valid_operation_status_update_acknowledgements") == 1);
}
END_TEST

START_TEST(a_status_without_uuid_is_told_once)
{
    _cleanup_free_ char *uuid = NULL;

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    uuid = uuid_of(0);
    say(uuid, "OPERATION_FINISHED", w.fid, false);
    w_expect(&w, "s1", "OPERATION_FINISHED");
    ck_assert_ptr_null(w.m->agents->operations);
}
END_TEST

START_TEST(the_master_acknowledges_when_nobody_else_does)
{
    _cleanup_free_ char *uuid = NULL;

    accept_ops("s1", RESERVE("", CPUS("1")));
    uuid = uuid_of(0);
    say(uuid, "OPERATION_FINISHED", w.fid, true);
    w_never(&w, "s1", "UPDATE_OPERATION_STATUS");
    w_expect(&w, "a1", "AcknowledgeOperationStatusMessage");
    ck_assert_ptr_null(w.m->agents->operations);
}
END_TEST

START_TEST(a_status_waits_for_an_absent_framework_until_it_is_over)
{
    _cleanup_free_ char *uuid = NULL, *fid = xstrdup(w.fid);
    struct fl_err err = {0};

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    uuid = uuid_of(0);
    master_framework_closed(w.m, (void *)"s1");
    say(uuid, "OPERATION_FINISHED", fid, true);
    w_never(&w, "s1", "UPDATE_OPERATION_STATUS");
    w_never(&w, "a1", "AcknowledgeOperationStatusMessage");
    ck_assert_int_eq(master_teardown(w.m, fid, &err), 0);
    say(uuid, "OPERATION_FINISHED", fid, true);
    w_expect(&w, "a1", "AcknowledgeOperationStatusMessage");
    ck_assert_ptr_null(w.m->agents->operations);
}
END_TEST

/* The agent comes back to a master that has restarted, and tells of an operation. */
static void come_back(const char *uuid)
{
    w_agent(&w, "a1", "10.0.0.1:40001", &msg__reregister_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h1\",\"port\":5051,\"id\":{\"value\":\"%s\"},"
            "\"resources\":" RESOURCES "},\"version\":\"1.11.0\",\"agent_capabilities\":[" CAPS_ALL
            "],"
            "\"checkpointed_resources\":[" CPUS("1") "]" VERSION "}",
            w.aid);
    w_agent(&w, "a1", "10.0.0.1:40001", &msg__update_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"},\"operations\":{\"operations\":[{\"framework_id\":"
            "{\"value\":\"%s\"},\"agent_id\":{\"value\":\"%s\"},\"info\":%s,\"latest_status\":{"
            "\"state\":\"OPERATION_FINISHED\",\"operation_id\":{\"value\":\"op\"},\"uuid\":{"
            "\"value\":\"" STATUS_UUID "\"}},\"uuid\":{\"value\":%s}}]}}",
            w.aid, w.fid, w.aid, RESERVE(ID, CPUS("1")), uuid);
}

static void stay(uint64_t seconds)
{
    for (uint64_t s = 0; s < seconds; s += 10) {
        w_pass(&w, 10 * W_SECOND);
        w_agent(&w, "a1", "10.0.0.1:40001", &msg__pong_slave_message__descriptor, "{}");
    }
}

START_TEST(an_orphan_is_adopted_after_ten_minutes)
{
    _cleanup_free_ char *uuid = NULL;

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    uuid = uuid_of(0);
    w_restart(&w);
    come_back(uuid);
    ck_assert_ptr_nonnull(w.m->agents->operations);
    stay(590);
    say(uuid, "OPERATION_FINISHED", w.fid, true);
    w_never(&w, "a1", "AcknowledgeOperationStatusMessage");
    stay(20);
    say(uuid, "OPERATION_FINISHED", w.fid, true);
    w_expect(&w, "a1", "AcknowledgeOperationStatusMessage");
    ck_assert_ptr_null(w.m->agents->operations);
}
END_TEST

/* ---- the agent does not do it ---- */

START_TEST(what_the_agent_fails_is_taken_back)
{
    _cleanup_free_ char *first = NULL, *second = NULL;

    accept_ops("s1", RESERVE(ID, CPUS("1") "," DISK("10")) "," CREATE("", VOLUME("10")));
    w_expect(&w, "s1", "\"OFFERS\"");
    first = uuid_of(0);
    second = uuid_of(1);
    say(first, "OPERATION_ERROR", w.fid, true); /* the volume still stands on it */
    ck_assert_ptr_nonnull(w.m->agents->undos);
    say(second, "OPERATION_ERROR", w.fid, true);
    check_total(TOTAL);
    ck_assert_ptr_null(w.m->agents->undos);
    w_expect(&w, "s1", "RESCIND");
    w_expect(&w, "s1", "OPERATION_ERROR");
    w_pass(&w, W_SECOND);
    ck_assert_ptr_null(strstr(w_expect(&w, "s1", "\"OFFERS\""), "DYNAMIC"));
    ck_assert(metric("master/operations/error") == 2);
}
END_TEST

START_TEST(the_agents_total_ends_what_was_to_be_taken_back)
{
    _cleanup_free_ char *uuid = NULL;

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    uuid = uuid_of(0);
    master_agent_closed(w.m, (void *)"a1");
    come_back(uuid);
    say(uuid, "OPERATION_ERROR", w.fid, true);
    /* The agent says that it has the reservation, so something else made it. */
    check_total("cpus(*):3; mem(*):1024; disk(*):100; cpus(reservations: [(DYNAMIC,a)]):1");
}
END_TEST

START_TEST(what_the_agent_never_had_is_asked_about)
{
    _cleanup_free_ char *uuid = NULL;
    const char *said;

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    uuid = uuid_of(0);
    w_agent(&w, "a1", "10.0.0.1:40000", &msg__update_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"},\"operations\":{}}", w.aid);
    said = w_expect(&w, "a1", "ReconcileOperationsMessage");
    ck_assert_ptr_nonnull(strstr(said, uuid));
    say(uuid, "OPERATION_DROPPED", NULL, false);
    ck_assert_ptr_nonnull(
        strstr(w_expect(&w, "s1", "OPERATION_DROPPED"), "\"operation_id\":{\"value\":\"op\"}"));
    ck_assert_ptr_null(w.m->agents->operations);
    check_total(TOTAL);
}
END_TEST

/* The agent was killed before it read them; `kept`: what it has checkpointed. */
static void come_back_without(const char *kept)
{
    master_agent_closed(w.m, (void *)"a1");
    w_agent(&w, "a1", "10.0.0.1:40001", &msg__reregister_slave_message__descriptor,
            "{\"slave\":{\"hostname\":\"h1\",\"port\":5051,\"id\":{\"value\":\"%s\"},"
            "\"resources\":" RESOURCES "},\"version\":\"1.11.0\",\"agent_capabilities\":[" CAPS_ALL
            "],\"checkpointed_resources\":[%s]" VERSION "}",
            w.aid, kept);
    w_agent(&w, "a1", "10.0.0.1:40001", &msg__update_slave_message__descriptor,
            "{\"slave_id\":{\"value\":\"%s\"},\"operations\":{}}", w.aid);
}

START_TEST(what_was_on_its_way_is_sent_again)
{
    accept_ops("s1", RESERVE("", DISK("10")) "," CREATE(ID, VOLUME("10")));
    w_expect(&w, "a1", "ApplyOperationMessage");
    w_expect(&w, "a1", "ApplyOperationMessage");
    come_back_without("");
    w_expect(&w, "a1", "ApplyOperationMessage");
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "a1", "ApplyOperationMessage"), "persistence"));
    w_never(&w, "a1", "ReconcileOperationsMessage");
    ck_assert_uint_eq(w.m->agents->n_operations, 2);
    w_pass(&w, W_SECOND);
    ck_assert_ptr_nonnull(strstr(w_expect(&w, "s1", "\"OFFERS\""), "persistence"));
}
END_TEST

START_TEST(what_cannot_be_any_more_is_not_sent_again)
{
    accept_ops("s1", RESERVE(ID, CPUS("1")));
    w_expect(&w, "a1", "ApplyOperationMessage");
    come_back_without(CPUS("4"));
    w_expect(&w, "a1", "ReconcileOperationsMessage");
    w_never(&w, "a1", "ApplyOperationMessage");
}
END_TEST

START_TEST(operations_of_a_lost_agent_are_unreachable)
{
    const char *said;

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    w_pass(&w, 90 * W_SECOND);
    said = w_expect(&w, "s1", "OPERATION_UNREACHABLE");
    ck_assert_ptr_nonnull(strstr(said, "\"operation_id\":{\"value\":\"op\"}"));
    ck_assert(metric("master/operations/pending") == 0);
    ck_assert(metric("master/operations/unreachable") == 1);
}
END_TEST

/* ---- RECONCILE_OPERATIONS ---- */

static void reconcile(const char *id, const char *agent)
{
    _cleanup_free_ char *at =
        agent ? xasprintf(",\"agent_id\":{\"value\":\"%s\"}", agent) : xstrdup("");

    w_call(&w, "s1", "RECONCILE_OPERATIONS",
           "\"reconcile_operations\":{\"operations\":[{\"operation_id\":{\"value\":\"%s\"}%s}]}",
           id, at);
}

START_TEST(reconciliation_has_an_answer_for_every_case)
{
    _cleanup_free_ char *uuid = NULL;

    accept_ops("s1", RESERVE(ID, CPUS("1")));
    reconcile("op", NULL);
    w_expect(&w, "s1", "OPERATION_PENDING");
    uuid = uuid_of(0);
    say(uuid, "OPERATION_FINISHED", w.fid, true);
    w_expect(&w, "s1", "OPERATION_FINISHED");
    reconcile("op", "whatever");
    ck_assert_ptr_null(strstr(w_expect(&w, "s1", "OPERATION_FINISHED"), "uuid"));
    w_call(&w, "s1", "RECONCILE_OPERATIONS", "\"reconcile_operations\":{}");
    ck_assert_ptr_null(strstr(w_expect(&w, "s1", "OPERATION_FINISHED"), "uuid"));
    reconcile("none", w.aid);
    w_expect(&w, "s1", "Operation is unknown\"");
    reconcile("none", "nobody");
    w_expect(&w, "s1", "Both operation and agent are unknown");
    reconcile("none", NULL);
    w_expect(&w, "s1", "no 'agent_id' was provided");
    w_pass(&w, 90 * W_SECOND);
    w_expect(&w, "s1", "OPERATION_UNREACHABLE");
    reconcile("none", w.aid);
    w_expect(&w, "s1", "Agent is unreachable");
}
END_TEST

START_TEST(a_recovered_agent_is_waited_for)
{
    w_restart(&w);
    subscribe("s1", "a");
    reconcile("op", w.aid);
    w_expect(&w, "s1", "OPERATION_RECOVERING");
}
END_TEST

/* ---- operators ---- */

START_TEST(an_operator_reserves_makes_and_undoes)
{
    _cleanup_free_ char *uuid = NULL;
    const char *said;

    operate_fine(RESERVE("", DISK("50")));
    w_expect(&w, "s1", "RESCIND");
    said = w_expect(&w, "a1", "ApplyOperationMessage");
    ck_assert_ptr_null(strstr(said, "framework_id"));
    uuid = uuid_of(0);
    say(uuid, "OPERATION_FINISHED", NULL, true);
    w_expect(&w, "a1", "AcknowledgeOperationStatusMessage");
    operate_fine(CREATE("", VOLUME("20")));
    operate_fine(GROW("", VOLUME("20"), DISK("10")));
    operate_fine(SHRINK("", VOLUME("30"), "5"));
    check_total("cpus(*):4; mem(*):1024; disk(*):50; disk(reservations: [(DYNAMIC,a)]):25; "
                "disk(reservations: [(DYNAMIC,a)])[v:d]:25");
    operate_fine(DESTROY("", VOLUME("25")));
    operate_fine(UNRESERVE("", DISK("50")));
    check_total("cpus(*):4; mem(*):1024; disk(*):100");
}
END_TEST

START_TEST(an_operator_moves_a_reservation)
{
    operate_fine(RESERVE("", CPUS("2")));
    operate_fine("{\"type\":\"RESERVE\",\"reserve\":{\"source\":[" CPUS(
        "1") "],\"resources\":[{" SCALAR("cpus", "1") TO("z") "}]}}");
    check_total("cpus(*):2; mem(*):1024; disk(*):100; cpus(reservations: [(DYNAMIC,a)]):1; "
                "cpus(reservations: [(DYNAMIC,z)]):1");
}
END_TEST

static const struct {
    const char *op, *principal, *part;
    enum fl_reason reason;
} not_for_operators[] = {
    {RESERVE("", "{" SCALAR("cpus", "1") "}"), NULL, "not dynamically reserved", FL_INVALID},
    {RESERVE("", ""), NULL, "no resources", FL_INVALID},
    {RESERVE("", CPUS("-1")), NULL, "invalid", FL_INVALID},
    {RESERVE("", CPUS("1")), "me", "principal", FL_INVALID},
    {RESERVE("", "{" SCALAR("cpus", "1") TO("a") ",\"allocation_info\":{\"role\":\"a\"}}"), NULL,
     "unallocated", FL_INVALID},
    {RESERVE("", CPUS("5")), NULL, "does not contain", FL_CONFLICT},
    {UNRESERVE("", CPUS("1")), NULL, "does not contain", FL_CONFLICT},
    {CREATE("", VOLUME("1")), NULL, "does not contain", FL_CONFLICT},
    {DESTROY("", VOLUME("1")), NULL, "not found", FL_INVALID},
    {GROW("", VOLUME("1"), DISK("1")), NULL, "does not contain", FL_CONFLICT},
    {SHRINK("", VOLUME("2"), "1"), NULL, "does not contain", FL_CONFLICT},
};

START_TEST(an_operator_is_refused_with_a_reason)
{
    struct fl_err err = {0};

    ck_assert_int_lt(operate(not_for_operators[_i].op, not_for_operators[_i].principal, &err), 0);
    ck_assert_msg(strstr(err.msg, not_for_operators[_i].part) != NULL, "%s", err.msg);
    ck_assert_int_eq(err.reason, not_for_operators[_i].reason);
    w_never(&w, "s1", "RESCIND"); /* nothing is gained by it */
    check_total(TOTAL);
}
END_TEST

START_TEST(an_operator_needs_an_agent_that_is_there)
{
    struct fl_err err = {0};

    master_agent_closed(w.m, (void *)"a1");
    ck_assert_int_lt(operate(RESERVE("", CPUS("1")), NULL, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT);
    fl_snprintf(w.aid, sizeof(w.aid), "nobody");
    ck_assert_int_lt(operate(RESERVE("", CPUS("1")), NULL, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.msg, "No agent found"));
}
END_TEST

START_TEST(what_tasks_use_is_not_the_operators)
{
    struct fl_err err = {0};

    w_launch(&w, "s1", "t1", "{" SCALAR("cpus", "3") "},{" SCALAR("mem", "64") "}");
    w_expect(&w, "a1", "RunTaskMessage");
    w_pass(&w, 2 * W_SECOND);
    ck_assert_int_lt(operate(RESERVE("", CPUS("2")), NULL, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT);
    w_never(&w, "s1", "RESCIND");
    operate_fine(RESERVE("", CPUS("1")));
    w_expect(&w, "s1", "RESCIND");
}
END_TEST

#define SOME(role) "{" SCALAR("cpus", "1") TO(role) "},{" SCALAR("mem", "64") TO(role) "}"

START_TEST(only_offers_that_are_needed_are_rescinded)
{
    operate_fine(RESERVE("", SOME("a")));
    w_expect(&w, "s1", "RESCIND");
    operate_fine(RESERVE("", SOME("z")));
    subscribe("s2", "z");
    w_pass(&w, 8 * W_SECOND);
    w_expect(&w, "s2", "\"OFFERS\"");
    w_expect(&w, "s1", "\"OFFERS\"");
    w_forget(&w);
    operate_fine(UNRESERVE("", SOME("z")));
    w_expect(&w, "s2", "RESCIND");
    w_never(&w, "s1", "RESCIND");
}
END_TEST

START_TEST(who_lost_an_offer_does_not_get_it_back_at_once)
{
    operate_fine(RESERVE("", "{" SCALAR("cpus", "1") TO("z") "}"));
    w_expect(&w, "s1", "RESCIND");
    w_pass(&w, 4 * W_SECOND);
    w_never(&w, "s1", "\"OFFERS\"");
    w_pass(&w, 3 * W_SECOND);
    w_expect(&w, "s1", "\"OFFERS\"");
}
END_TEST

START_TEST(the_access_rules_are_asked)
{
    static const char rules[] =
        "{\"reserve_resources\":[{\"principals\":{\"values\":[\"me\"]},\"roles\":{\"values\":["
        "\"a\"]}},"
        "{\"principals\":{\"type\":\"ANY\"},\"roles\":{\"type\":\"NONE\"}}]}";
    struct acls *acls = NULL;
    struct fl_err err = {0};

    ck_assert_int_eq(acls_parse(rules, &acls, &err), 0);
    w.m->acls = acls;
    ck_assert_int_lt(operate(RESERVE("", CPUS("1")), NULL, &err), 0);
    ck_assert_int_eq(err.reason, FL_FORBIDDEN);
    /* What is not valid is told first. */
    ck_assert_int_lt(operate(RESERVE("", "{" SCALAR("cpus", "1") "}"), NULL, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    accept_ops("s1", RESERVE(ID, CPUS("1")));
    w_expect(&w, "s1", "OPERATION_ERROR");
    check_total(TOTAL);
    ck_assert_int_eq(
        operate(RESERVE("", "{" SCALAR("cpus",
                                       "1") ",\"reservations\":[{\"type\":"
                                            "\"DYNAMIC\",\"role\":\"a\",\"principal\":\"me\"}]}"),
                "me", &err),
        0);
    w.m->acls = NULL;
    acls_free(acls);
}
END_TEST

/* ---- limits ---- */

START_TEST(a_flood_of_unacknowledged_operations_is_refused)
{
    struct fl_err err = {0};
    int r = 0;

    for (unsigned i = 0; i < 10001 && r == 0; i++) {
        r = operate(i % 2 ? UNRESERVE("", CPUS("1")) : RESERVE("", CPUS("1")), NULL, &err);
        w_forget(&w);
    }
    ck_assert_int_lt(r, 0);
    ck_assert_int_eq(err.reason, FL_LIMIT);
    ck_assert_uint_eq(w.m->agents->n_operations, 10000);
}
END_TEST

static TCase *frameworks(void)
{
    TCase *tc = tcase_create("frameworks");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, an_operation_is_refused_with_a_reason, 0, ARRAY_SIZE(refused));
    tcase_add_test(tc, without_an_id_nothing_is_told);
    tcase_add_loop_test(tc, an_agent_that_cannot_is_not_asked, 0, ARRAY_SIZE(lacking));
    tcase_add_test(tc, a_used_offer_refuses_the_operation);
    tcase_add_test(tc, the_principal_of_the_framework_reserves);
    tcase_add_test(tc, operations_of_one_call_see_each_other);
    tcase_add_test(tc, a_reservation_is_refined_and_undone);
    tcase_add_test(tc, the_older_format_becomes_the_newer);
    tcase_add_test(tc, an_old_agent_is_told_what_to_keep);
    tcase_add_test(tc, destroying_rescinds_and_needs_a_volume_that_is_not_in_use);
    tcase_add_test(tc, a_shared_volume_is_taken_out_of_other_offers);
    tcase_add_test(tc, tasks_of_one_call_share_a_volume);
    tcase_add_test(tc, a_status_waits_for_its_acknowledgement);
    tcase_add_test(tc, a_status_without_uuid_is_told_once);
    tcase_add_test(tc, the_master_acknowledges_when_nobody_else_does);
    tcase_add_test(tc, a_status_waits_for_an_absent_framework_until_it_is_over);
    tcase_add_test(tc, an_orphan_is_adopted_after_ten_minutes);
    tcase_add_test(tc, what_the_agent_fails_is_taken_back);
    tcase_add_test(tc, the_agents_total_ends_what_was_to_be_taken_back);
    tcase_add_test(tc, what_the_agent_never_had_is_asked_about);
    tcase_add_test(tc, what_was_on_its_way_is_sent_again);
    tcase_add_test(tc, what_cannot_be_any_more_is_not_sent_again);
    tcase_add_test(tc, operations_of_a_lost_agent_are_unreachable);
    tcase_add_test(tc, reconciliation_has_an_answer_for_every_case);
    tcase_add_test(tc, a_recovered_agent_is_waited_for);
    return tc;
}

static TCase *operators(void)
{
    TCase *tc = tcase_create("operators");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_operator_reserves_makes_and_undoes);
    tcase_add_test(tc, an_operator_moves_a_reservation);
    tcase_add_loop_test(tc, an_operator_is_refused_with_a_reason, 0, ARRAY_SIZE(not_for_operators));
    tcase_add_test(tc, an_operator_needs_an_agent_that_is_there);
    tcase_add_test(tc, what_tasks_use_is_not_the_operators);
    tcase_add_test(tc, only_offers_that_are_needed_are_rescinded);
    tcase_add_test(tc, who_lost_an_offer_does_not_get_it_back_at_once);
    tcase_add_test(tc, the_access_rules_are_asked);
    tcase_add_test(tc, a_flood_of_unacknowledged_operations_is_refused);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("master operations");
    SRunner *r;
    int failed;

    suite_add_tcase(s, frameworks());
    suite_add_tcase(s, operators());
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
