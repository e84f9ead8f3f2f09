/* Validation of calls, frameworks, tasks and groups: rows of JSON with a part of the complaint. */
#include <check.h>

#include "common/model/validate.h"

static struct fl_arena *arena;

static void setup(void)
{
    arena = fl_arena_new(4096);
}

static void teardown(void)
{
    fl_arena_free(arena);
}

static void *message(const char *json, const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m;
    struct fl_err err = {0};
    int rc = fl_json_to_pb(json, strlen(json), d, 0, fl_arena_allocator(arena), &m, &err);
    ck_assert_msg(rc == 0, "%s: %s", json, err.msg);
    return m;
}

/* `part` NULL: valid. */
static void check_result(int rc, const struct fl_err *err, const char *part, const char *what)
{
    if (!part) {
        ck_assert_msg(rc == 0, "%s: %s", what, err->msg);
        return;
    }
    ck_assert_msg(rc < 0, "taken: %s", what);
    ck_assert_int_eq(err->reason, FL_INVALID);
    ck_assert_msg(strstr(err->msg, part), "%s: '%s' lacks '%s'", what, err->msg, part);
}

/* ---- ids ---- */

START_TEST(test_ids)
{
    char text[300];
    memset(text, 'x', sizeof(text));
    text[255] = 0;
    ck_assert_int_eq(validate_id(text, NULL), 0);
    text[255] = 'x';
    text[256] = 0;
    ck_assert_int_lt(validate_id(text, NULL), 0);
    static const char *const good[] = {"a", "a.b", "...", "task 1", "\xc3\xa4", "a:b"};
    static const char *const bad[] = {"", ".", "..", "a/b", "a\\b", "a\nb", "\x01", "\x7f"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        ck_assert_int_eq(validate_id(good[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_int_lt(validate_id(bad[i], NULL), 0);
}
END_TEST

/* ---- calls ---- */

#define FW   "\"framework_id\":{\"value\":\"f\"}"
#define INFO "\"framework_info\":{\"user\":\"u\",\"name\":\"n\""
#define UUID "\"AAECAwQFBgcICQoLDA0ODw==\""
static const struct {
    const char *json, *part;
} call_rows[] = {
    {"{}", "'type'"},
    {"{\"type\":\"SUBSCRIBE\"}", "'subscribe'"},
    {"{\"type\":\"SUBSCRIBE\",\"subscribe\":{" INFO "}}}", NULL},
    {"{\"type\":\"SUBSCRIBE\"," FW ",\"subscribe\":{" INFO "}}}", "differs"},
    {"{\"type\":\"SUBSCRIBE\"," FW ",\"subscribe\":{" INFO ",\"id\":{\"value\":\"f\"}}}}", NULL},
    {"{\"type\":\"SUBSCRIBE\",\"subscribe\":{" INFO ",\"id\":{\"value\":\"f\"}}}}", "differs"},
    {"{\"type\":\"TEARDOWN\"}", "'framework_id'"},
    {"{\"type\":\"TEARDOWN\"," FW "}", NULL},
    {"{\"type\":\"REVIVE\"," FW "}", NULL},
    {"{\"type\":\"SUPPRESS\"," FW "}", NULL},
    {"{\"type\":\"ACCEPT\"," FW "}", "'accept'"},
    {"{\"type\":\"ACCEPT\"," FW ",\"accept\":{}}", NULL},
    {"{\"type\":\"DECLINE\"," FW "}", "'decline'"},
    {"{\"type\":\"ACCEPT_INVERSE_OFFERS\"," FW "}", "'accept_inverse_offers'"},
    {"{\"type\":\"DECLINE_INVERSE_OFFERS\"," FW "}", "'decline_inverse_offers'"},
    {"{\"type\":\"KILL\"," FW "}", "'kill'"},
    {"{\"type\":\"SHUTDOWN\"," FW "}", "'shutdown'"},
    {"{\"type\":\"ACKNOWLEDGE\"," FW "}", "'acknowledge'"},
    {"{\"type\":\"ACKNOWLEDGE\"," FW
     ",\"acknowledge\":{\"agent_id\":{\"value\":\"a\"},\"task_id\":{\"value\":\"t\"},\"uuid\":" UUID
     "}}",
     NULL},
    {"{\"type\":\"ACKNOWLEDGE\"," FW ",\"acknowledge\":{\"agent_id\":{\"value\":\"a\"},\"task_id\":"
     "{\"value\":\"t\"},\"uuid\":\"AAEC\"}}",
     "16 bytes"},
    {"{\"type\":\"ACKNOWLEDGE_OPERATION_STATUS\"," FW
     ",\"acknowledge_operation_status\":{\"uuid\":" UUID ",\"operation_id\":{\"value\":\"o\"}}}",
     "'agent_id'"},
    {"{\"type\":\"RECONCILE\"," FW "}", "'reconcile'"},
    {"{\"type\":\"RECONCILE_OPERATIONS\"," FW "}", "'reconcile_operations'"},
    {"{\"type\":\"MESSAGE\"," FW "}", "'message'"},
    {"{\"type\":\"REQUEST\"," FW "}", "'request'"},
    {"{\"type\":\"UPDATE_FRAMEWORK\"," FW "}", "'update_framework'"},
    {"{\"type\":\"UPDATE_FRAMEWORK\"," FW ",\"update_framework\":{" INFO "}}}", "differs"},
    {"{\"type\":\"UPDATE_FRAMEWORK\"," FW ",\"update_framework\":{" INFO
     ",\"id\":{\"value\":\"f\"}}}}",
     NULL},
};

START_TEST(test_scheduler_call)
{
    struct fl_err err = {0};
    const Sched__Call *call = message(call_rows[_i].json, &sched__call__descriptor);
    check_result(validate_scheduler_call(call, &err), &err, call_rows[_i].part, call_rows[_i].json);
}
END_TEST

#define EXEC "\"executor_id\":{\"value\":\"e\"}," FW
#define STATUS(more)                                                                               \
    "{" EXEC ",\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"t\"}" more "}" \
    "}"                                                                                            \
    "}"
#define FROM_EXECUTOR ",\"source\":\"SOURCE_EXECUTOR\",\"state\":\"TASK_RUNNING\""
static const struct {
    const char *json, *part;
} executor_rows[] = {
    {"{" EXEC "}", "'type'"},
    {"{" EXEC ",\"type\":\"SUBSCRIBE\"}", "'subscribe'"},
    {"{" EXEC ",\"type\":\"SUBSCRIBE\",\"subscribe\":{}}", NULL},
    {"{" EXEC ",\"type\":\"HEARTBEAT\"}", NULL},
    {"{" EXEC ",\"type\":\"MESSAGE\"}", "'message'"},
    {"{" EXEC ",\"type\":\"UPDATE\"}", "'update'"},
    {STATUS(FROM_EXECUTOR), "'uuid'"},
    {STATUS(FROM_EXECUTOR ",\"uuid\":\"AA==\""), "16 bytes"},
    {STATUS(FROM_EXECUTOR ",\"uuid\":" UUID), NULL},
    {STATUS(FROM_EXECUTOR ",\"uuid\":" UUID ",\"executor_id\":{\"value\":\"e\"}"), NULL},
    {STATUS(FROM_EXECUTOR ",\"uuid\":" UUID ",\"executor_id\":{\"value\":\"x\"}"), "executor 'x'"},
    {STATUS(",\"state\":\"TASK_RUNNING\",\"uuid\":" UUID), "SOURCE_EXECUTOR"},
    {STATUS(",\"source\":\"SOURCE_MASTER\",\"state\":\"TASK_RUNNING\",\"uuid\":" UUID),
     "SOURCE_EXECUTOR"},
    {STATUS(",\"source\":\"SOURCE_EXECUTOR\",\"state\":\"TASK_STAGING\",\"uuid\":" UUID),
     "TASK_STAGING"},
    {STATUS(FROM_EXECUTOR ",\"check_status\":{},\"uuid\":" UUID), "'type'"},
    {STATUS(FROM_EXECUTOR ",\"check_status\":{\"type\":\"HTTP\"},\"uuid\":" UUID), "http"},
    {STATUS(FROM_EXECUTOR ",\"check_status\":{\"type\":\"HTTP\",\"http\":{}},\"uuid\":" UUID),
     NULL},
};

START_TEST(test_executor_call)
{
    struct fl_err err = {0};
    const Exec__Call *call = message(executor_rows[_i].json, &exec__call__descriptor);
    check_result(validate_executor_call(call, &err), &err, executor_rows[_i].part,
                 executor_rows[_i].json);
}
END_TEST

/* JSON has no name for it, protobuf takes any number. */
START_TEST(test_executor_state)
{
    struct fl_err err = {0};
    Exec__Call *call =
        (Exec__Call *)message(STATUS(FROM_EXECUTOR ",\"uuid\":" UUID), &exec__call__descriptor);

    call->update->status->state = (V1__TaskState)300;
    check_result(validate_executor_call(call, &err), &err, "unknown state 300", "state 300");
}
END_TEST

/* ---- frameworks ---- */

#define MULTI ",\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"
#define FILTER(q)                                                                                  \
    ",\"offer_filters\":{\"*\":{\"min_allocatable_resources\":{\"quantities\":[{\"quantities\":" q \
    "}]}}}"
static const struct {
    const char *more, *part;
} framework_rows[] = {
    {"", NULL},
    {",\"role\":\"a\"", NULL},
    {",\"role\":\"a/../b\"", "not a valid role"},
    {",\"roles\":[\"a\"]", "not MULTI_ROLE"},
    {MULTI, NULL},
    {MULTI ",\"roles\":[\"a\",\"b\"]", NULL},
    {MULTI ",\"roles\":[\"a\",\"b\",\"a\"]", "twice"},
    {MULTI ",\"roles\":[\"a\",\"/b\"]", "invalid role"},
    {MULTI ",\"role\":\"a\"", "MULTI_ROLE capable"},
    {MULTI ",\"role\":\"*\"", "MULTI_ROLE capable"},
    {",\"id\":{\"value\":\"\"}", NULL},
    {",\"id\":{\"value\":\"a/b\"}", "slash"},
    {",\"id\":{\"value\":\"..\"}", "not allowed"},
    {",\"failover_timeout\":0", NULL},
    {",\"failover_timeout\":9e9", NULL},
    {",\"failover_timeout\":-1", NULL},
    {",\"failover_timeout\":1e10", "failover_timeout"},
    {",\"failover_timeout\":\"NaN\"", "failover_timeout"},
    {",\"failover_timeout\":\"Infinity\"", "failover_timeout"},
    {FILTER("{\"cpus\":{\"value\":0.1}}"), NULL},
    {FILTER("{\"cpus\":{\"value\":-1}}"), "negative"},
    {FILTER("{\"cpus\":{\"value\":\"Infinity\"}}"), "infinite"},
    {FILTER("{\"cpus\":{\"value\":\"NaN\"}}"), "not a number"},
    {FILTER("{}"), "at least one"},
};

static V1__FrameworkInfo *framework(const char *more)
{
    char *json = xasprintf("{\"user\":\"u\",\"name\":\"n\"%s}", more);
    V1__FrameworkInfo *info = message(json, &v1__framework_info__descriptor);
    free(json);
    return info;
}

START_TEST(test_framework_info)
{
    struct fl_err err = {0};
    const V1__FrameworkInfo *info = framework(framework_rows[_i].more);
    check_result(validate_framework_info(info, NULL, 0, NULL, 0, &err), &err,
                 framework_rows[_i].part, framework_rows[_i].more);
}
END_TEST

START_TEST(test_whitelist_and_suppressed)
{
    static const char *const list[] = {"a", "b"};
    char *suppressed[] = {"a", "c"};
    struct fl_err err = {0};
    ck_assert_int_eq(validate_framework_info(framework(""), list, 2, NULL, 0, &err), 0);
    ck_assert_int_eq(validate_framework_info(framework(",\"role\":\"b\""), list, 2, NULL, 0, &err),
                     0);
    check_result(validate_framework_info(framework(",\"role\":\"c\""), list, 2, NULL, 0, &err),
                 &err, "'c'", "c");
    const V1__FrameworkInfo *info = framework(MULTI ",\"roles\":[\"a\"]");
    ck_assert_int_eq(validate_framework_info(info, NULL, 0, suppressed, 1, &err), 0);
    check_result(validate_framework_info(info, NULL, 0, suppressed, 2, &err), &err,
                 "suppressed role 'c'", "c");
}
END_TEST

START_TEST(test_framework_update)
{
    struct fl_err err = {0};
    const V1__FrameworkInfo *old = framework(",\"principal\":\"p\"");
    V1__FrameworkInfo *new_info = framework(",\"principal\":\"p\",\"failover_timeout\":7");
    ck_assert_int_eq(validate_framework_update(old, new_info, &err), 0);
    new_info->has_checkpoint = true;
    new_info->checkpoint = true;
    check_result(validate_framework_update(old, new_info, &err), &err, "checkpoint", "checkpoint");
    new_info->user = "other";
    check_result(validate_framework_update(old, new_info, &err), &err, "user", "user");
    check_result(validate_framework_update(old, framework(""), &err), &err, "principal",
                 "principal");
}
END_TEST

/* ---- tasks ---- */

#define ALLOC ",\"allocation_info\":{\"role\":\"*\"}"
#define R(name, n)                                                                                 \
    "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" n "}" ALLOC "}"
#define PORTS(b, e)                                                                                \
    "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":" b ",\"end\":" e   \
    "}]}" ALLOC "}"
#define TASK_OF(id, agent, resources, more)                                                        \
    "{\"name\":\"t\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"" agent          \
    "\"},\"resources\":[" resources "]" more "}"
#define CPU_MEM    R("cpus", "1") "," R("mem", "64")
#define TASK(more) TASK_OF("t1", "agent", CPU_MEM, more)
#define COMMAND    ",\"command\":{\"value\":\"true\"}"
#define EXECUTOR_OF(id, more)                                                                      \
    ",\"executor\":{\"executor_id\":{\"value\":\"" id "\"},\"command\":{\"value\":\"x\"}" more "}"
#define EXECUTOR(more) EXECUTOR_OF("e1", more)

static const char running_executor[] =
    "{\"executor_id\":{\"value\":\"running\"},\"framework_id\":{\"value\":\"f\"},"
    "\"command\":{\"value\":\"x\"},\"resources\":[" R("cpus", "0.5") "]}";

static const V1__ExecutorInfo *find_executor(const char *id, void *arg)
{
    return streq(id, "running") ? message(running_executor, &v1__executor_info__descriptor) : NULL;
}

static bool is_known(const char *id, void *arg)
{
    return streq(id, "known");
}

static struct resources parse_offered(const char *text)
{
    struct resources r = RESOURCES_INIT;
    ck_assert_int_eq(resources_parse(text, "*", &r, NULL), 0);
    resources_allocate(&r, "*");
    return r;
}

static struct validate_context context(const struct resources *offered)
{
    return (struct validate_context){.framework = framework(""),
                                     .framework_id = "f",
                                     .agent_id = "agent",
                                     .agent_has_task_limits = true,
                                     .offered = offered,
                                     .executor = find_executor,
                                     .task_known = is_known};
}

#define HEALTH(x) COMMAND ",\"health_check\":{" x "}"
#define CHECK(x)  COMMAND ",\"check\":{" x "}"
#define LIMITS(x) COMMAND ",\"limits\":{" x "}"
#define ENV(x)                                                                                     \
    ",\"command\":{\"value\":\"x\",\"environment\":{\"variables\":[{\"name\":\"N\"" x "}]}}"
#define VOLUME(x)                                                                                  \
    COMMAND ",\"container\":{\"type\":\"MESOS\",\"volumes\":[{\"container_path\":\"p\",\"mode\":"  \
            "\"RW\"" x "}]}"
static const struct {
    const char *json, *part, *needs;
} task_rows[] = {
    {TASK(COMMAND), NULL, "cpus(allocated: *):1; mem(allocated: *):64"},
    {TASK_OF("a/b", "agent", CPU_MEM, COMMAND), "slash", NULL},
    {TASK_OF("..", "agent", CPU_MEM, COMMAND), "not allowed", NULL},
    {TASK_OF("", "agent", CPU_MEM, COMMAND), "empty", NULL},
    {TASK_OF("known", "agent", CPU_MEM, COMMAND), "duplicate", NULL},
    {TASK_OF("t1", "other", CPU_MEM, COMMAND), "invalid agent", NULL},
    {TASK(COMMAND ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":-5}}"), "grace_period",
     NULL},
    {TASK(COMMAND ",\"kill_policy\":{\"grace_period\":{\"nanoseconds\":0}}"), NULL, NULL},
    {TASK(COMMAND ",\"max_completion_time\":{\"nanoseconds\":-1}"), "max_completion_time", NULL},
    {TASK_OF("t1", "agent", "", COMMAND), "no resources", NULL},
    {TASK_OF("t1", "agent", R("cpus", "-1"), COMMAND), "invalid resources", NULL},
    {TASK_OF("t1", "agent", R("gpus", "0.5"), COMMAND), "whole number", NULL},
    {TASK_OF("t1", "agent", "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}",
             COMMAND),
     "not allocated", NULL},
    {TASK_OF("t1", "agent",
             R("cpus", "1") ",{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},"
                            "\"allocation_info\":{\"role\":\"b\"}}",
             COMMAND),
     "two roles", NULL},
    {TASK_OF("t1", "agent",
             R("cpus", "1") ",{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},"
                            "\"revocable\":{}" ALLOC "}",
             COMMAND),
     "revocable", NULL},
    {TASK_OF(
         "t1", "agent",
         "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"role\":\"r\",\"disk\":"
         "{\"persistence\":{\"id\":\"v\"}}" ALLOC "}",
         COMMAND),
     "'volume'", NULL},
    {TASK_OF("t1", "agent", R("cpus", "5"), COMMAND), "more than available", NULL},
    {TASK_OF("t1", "agent", PORTS("31000", "31001"), COMMAND), NULL, NULL},
    {TASK_OF("t1", "agent", PORTS("30000", "31001"), COMMAND), "more than available", NULL},
    {TASK(""), "either", NULL},
    {TASK(COMMAND EXECUTOR("")), "either", NULL},
    {TASK(HEALTH("")), "'type'", NULL},
    {TASK(HEALTH("\"type\":\"HTTP\"")), "'http'", NULL},
    {TASK(HEALTH("\"type\":\"HTTP\",\"http\":{\"port\":1,\"path\":\"x\"}")), "start with '/'",
     NULL},
    {TASK(HEALTH("\"type\":\"HTTP\",\"http\":{\"port\":1,\"scheme\":\"ftp\"}")), "scheme", NULL},
    {TASK(HEALTH("\"type\":\"HTTP\",\"http\":{\"port\":1}")), NULL, NULL},
    {TASK(HEALTH("\"type\":\"TCP\",\"tcp\":{\"port\":1},\"delay_seconds\":-1")), "delay_seconds",
     NULL},
    {TASK(HEALTH("\"type\":\"COMMAND\",\"command\":{}")), "shell command", NULL},
    {TASK(CHECK("\"type\":\"COMMAND\",\"command\":{\"command\":{\"value\":\"x\"}}")), NULL, NULL},
    {TASK(CHECK("\"type\":\"TCP\"")), "'tcp'", NULL},
    {TASK(CHECK("\"type\":\"TCP\",\"tcp\":{\"port\":1},\"timeout_seconds\":-1")), "timeout_seconds",
     NULL},
    {TASK(LIMITS("\"mem\":{\"value\":64}")), NULL, NULL},
    {TASK(LIMITS("\"cpus\":{\"value\":\"Infinity\"}")), NULL, NULL},
    {TASK(LIMITS("\"mem\":{\"value\":8}")), "limit of 'mem'", NULL},
    {TASK(LIMITS("\"cpus\":{\"value\":0.01}")), "limit of 'cpus'", NULL},
    {TASK(LIMITS("\"disk\":{\"value\":1}")), "cpus and mem only", NULL},
    {TASK_OF("t1", "agent", R("cpus", "1"), LIMITS("\"mem\":{\"value\":8}")), "request", NULL},
    {TASK(ENV(",\"value\":\"v\"")), NULL, NULL},
    {TASK(ENV("")), "'N'", NULL},
    {TASK(ENV(",\"type\":\"SECRET\"")), "'secret'", NULL},
    {TASK(
         ENV(",\"type\":\"SECRET\",\"secret\":{\"type\":\"VALUE\",\"value\":{\"data\":\"YQBi\"}}")),
     "zero byte", NULL},
    {TASK(
         ENV(",\"type\":\"SECRET\",\"secret\":{\"type\":\"VALUE\",\"value\":{\"data\":\"YWI=\"}}")),
     NULL, NULL},
    {TASK(VOLUME("")), "exactly one", NULL},
    {TASK(VOLUME(",\"host_path\":\"/x\"")), NULL, NULL},
    {TASK(VOLUME(",\"source\":{\"type\":\"SANDBOX_PATH\"}")), "sandbox_path", NULL},
    {TASK(COMMAND ",\"container\":{\"type\":\"DOCKER\"}"), "'docker'", NULL},
    {TASK(COMMAND ",\"container\":{\"type\":\"MESOS\",\"linux_info\":{\"share_cgroups\":false}}"),
     "share_cgroups", NULL},
    {TASK(EXECUTOR("")), NULL, "cpus(allocated: *):1; mem(allocated: *):64"},
    {TASK(EXECUTOR(",\"resources\":[" R("cpus", "0.5") "]")), NULL,
     "cpus(allocated: *):1.5; mem(allocated: *):64"},
    {TASK(EXECUTOR(",\"resources\":[" R("cpus", "3.5") "]")), "more than available", NULL},
    {TASK(EXECUTOR(",\"type\":\"DEFAULT\"")), "must not be set", NULL},
    {TASK(EXECUTOR(",\"framework_id\":{\"value\":\"g\"}")), "framework 'g'", NULL},
    {TASK(EXECUTOR(",\"shutdown_grace_period\":{\"nanoseconds\":-1}")), "shutdown_grace_period",
     NULL},
    {TASK(EXECUTOR_OF("a/b", "")), "slash", NULL},
    {TASK(",\"executor\":{\"executor_id\":{\"value\":\"e1\"}}"), "'ExecutorInfo.command'", NULL},
    {TASK(EXECUTOR_OF("running", ",\"resources\":[" R("cpus", "0.5") "]")), NULL,
     "cpus(allocated: *):1; mem(allocated: *):64"},
    {TASK(EXECUTOR_OF("running", ",\"resources\":[" R("cpus", "0.6") "]")),
     "different ExecutorInfo", NULL},
    {TASK_OF("t1", "agent", PORTS("31000", "31005"),
             EXECUTOR(",\"resources\":[" PORTS("31005", "31009") "]")),
     "overlap", NULL},
};

START_TEST(test_task)
{
    struct resources offered = parse_offered("cpus:4;mem:128;disk:100;gpus:1;ports:[31000-32000]");
    struct resources needs = RESOURCES_INIT;
    struct validate_context c = context(&offered);
    struct fl_err err = {0};
    const V1__TaskInfo *task = message(task_rows[_i].json, &v1__task_info__descriptor);
    check_result(validate_task(task, &c, &needs, &err), &err, task_rows[_i].part,
                 task_rows[_i].json);
    if (task_rows[_i].needs) {
        struct fl_buf out = FL_BUF_INIT;
        resources_format(&needs, &out);
        ck_assert_str_eq(fl_buf_cstr(&out), task_rows[_i].needs);
        fl_buf_done(&out);
    }
    resources_done(&offered);
    resources_done(&needs);
}
END_TEST

START_TEST(test_limits_need_capability)
{
    struct resources offered = parse_offered("cpus:4;mem:128"), needs = RESOURCES_INIT;
    struct validate_context c = context(&offered);
    struct fl_err err = {0};
    c.agent_has_task_limits = false;
    const char *json = TASK(LIMITS("\"mem\":{\"value\":64}"));
    const V1__TaskInfo *task = message(json, &v1__task_info__descriptor);
    check_result(validate_task(task, &c, &needs, &err), &err, "not capable", json);
    resources_done(&offered);
}
END_TEST

/* ---- groups ---- */

#define SMALL R("cpus", "0.5") "," R("mem", "32") "," R("disk", "10")
#define DEFAULT_OF(r)                                                                              \
    "{\"type\":\"DEFAULT\",\"executor_id\":{\"value\":\"d\"},\"resources\":[" r "]}"
#define DEFAULT          DEFAULT_OF(SMALL)
#define MEMBER(id, more) TASK_OF(id, "agent", SMALL, more)
#define CGROUPS          ",\"container\":{\"type\":\"MESOS\",\"linux_info\":{\"share_cgroups\":false}}"
static const struct {
    const char *tasks, *executor, *part;
} group_rows[] = {
    {MEMBER("a", COMMAND) "," MEMBER("b", COMMAND), DEFAULT, NULL},
    {"", DEFAULT, "empty"},
    {MEMBER("a", COMMAND) "," MEMBER("a", COMMAND), DEFAULT, "twice"},
    {MEMBER("a", COMMAND) "," MEMBER("b/c", COMMAND), DEFAULT, "slash"},
    {MEMBER("a", COMMAND), DEFAULT_OF(R("cpus", "0.5") "," R("mem", "32")), "no disk"},
    {MEMBER("a", COMMAND), DEFAULT_OF(R("cpus", "0.001") "," R("mem", "32") "," R("disk", "1")),
     "cpus"},
    {MEMBER("a", COMMAND), DEFAULT_OF(R("cpus", "0.5") "," R("mem", "31") "," R("disk", "1")),
     "memory"},
    {MEMBER("a", COMMAND), "{\"executor_id\":{\"value\":\"d\"},\"resources\":[" SMALL "]}",
     "'ExecutorInfo.type'"},
    {MEMBER("a", COMMAND ",\"executor\":" DEFAULT), DEFAULT, NULL},
    {MEMBER("a", COMMAND EXECUTOR("")), DEFAULT, "different"},
    {MEMBER("a", COMMAND ",\"container\":{\"type\":\"DOCKER\",\"docker\":{\"image\":\"i\"}}"),
     DEFAULT, "Docker"},
    {MEMBER("a", LIMITS("\"mem\":{\"value\":64}")), DEFAULT, "share_cgroups"},
    {MEMBER("a", LIMITS("\"mem\":{\"value\":64}") CGROUPS), DEFAULT, NULL},
    {MEMBER("a", COMMAND CGROUPS) "," MEMBER("b", COMMAND), DEFAULT, "the same"},
    {MEMBER("a", COMMAND) "," MEMBER("b", COMMAND) "," MEMBER("c", COMMAND) "," MEMBER("d",
                                                                                       COMMAND),
     DEFAULT, "more than available"},
    {TASK_OF("a", "agent", PORTS("1", "2"), COMMAND) "," TASK_OF("b", "agent", PORTS("2", "3"),
                                                                 COMMAND),
     DEFAULT, "overlap"},
};

START_TEST(test_group)
{
    struct resources offered = parse_offered("cpus:4;mem:128;disk:100;ports:[1-9]"),
                     needs = RESOURCES_INIT;
    struct validate_context c = context(&offered);
    struct fl_err err = {0};
    char *json = xasprintf("{\"tasks\":[%s]}", group_rows[_i].tasks);
    const V1__TaskGroupInfo *group = message(json, &v1__task_group_info__descriptor);
    const V1__ExecutorInfo *executor =
        message(group_rows[_i].executor, &v1__executor_info__descriptor);
    check_result(validate_task_group(group, executor, &c, &needs, &err), &err, group_rows[_i].part,
                 json);
    if (!group_rows[_i].part)
        ck_assert_int_eq(resources_scalar(&needs, "cpus"), 500 * (milli_t)(group->n_tasks + 1));
    free(json);
    resources_done(&offered);
    resources_done(&needs);
}
END_TEST

START_TEST(test_inject)
{
    static const char json[] = "{\"type\":\"LAUNCH\",\"launch\":{\"task_infos\":[" TASK_OF(
        "t", "a", "{\"name\":\"x\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}," R("y", "1"),
        ",\"executor\":{\"executor_id\":{\"value\":\"e\"},\"resources\":[{\"name\":\"z\",\"type\":"
        "\"SCALAR\"}]}") "]}}";
    V1__Offer__Operation *op = message(json, &v1__offer__operation__descriptor);
    inject_allocation_role_operation(op, "web", arena);
    const V1__TaskInfo *task = op->launch->task_infos[0];
    ck_assert_str_eq(task->resources[0]->allocation_info->role, "web");
    ck_assert_str_eq(task->resources[1]->allocation_info->role, "*");
    ck_assert_str_eq(task->executor->resources[0]->allocation_info->role, "web");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("validate");
    TCase *t = tcase_create("validate");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_ids);
    tcase_add_loop_test(t, test_scheduler_call, 0, ARRAY_SIZE(call_rows));
    tcase_add_loop_test(t, test_executor_call, 0, ARRAY_SIZE(executor_rows));
    tcase_add_test(t, test_executor_state);
    tcase_add_loop_test(t, test_framework_info, 0, ARRAY_SIZE(framework_rows));
    tcase_add_test(t, test_whitelist_and_suppressed);
    tcase_add_test(t, test_framework_update);
    tcase_add_loop_test(t, test_task, 0, ARRAY_SIZE(task_rows));
    tcase_add_test(t, test_limits_need_capability);
    tcase_add_loop_test(t, test_group, 0, ARRAY_SIZE(group_rows));
    tcase_add_test(t, test_inject);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
