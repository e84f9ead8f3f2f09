/* Operations on resources: what they do to a total, and which are refused. */
#include <check.h>

#include "common/model/resources_internal.h"
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

static void add_json(struct resources *r, const char *json)
{
    struct fl_err err = {0};
    int rc = resources_add_pb(r, message(json, &v1__resource__descriptor), &err);
    ck_assert_msg(rc == 0, "%s: %s", json, err.msg);
}

static void check_text(const struct resources *r, const char *want)
{
    struct fl_buf out = FL_BUF_INIT;
    resources_format(r, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), want);
    fl_buf_done(&out);
}

#define SCALAR(name, n) "\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" n "}"
#define DYN(role)       "{\"type\":\"DYNAMIC\",\"role\":\"" role "\"}"
#define TO_A            ",\"reservations\":[" DYN("a") "]"
#define TO_AB           ",\"reservations\":[" DYN("a") "," DYN("a/b") "]"
#define V(id)                                                                                      \
    ",\"disk\":{\"persistence\":{\"id\":\"" id                                                     \
    "\"},\"volume\":{\"container_path\":\"d\",\"mode\":\"RW\"}}"
#define VOLUME(n) "{" SCALAR("disk", n) TO_A V("v") "}"
#define SHARED(n) "{" SCALAR("disk", n) TO_A V("v") ",\"shared\":{}}"
#define ON_PATH                                                                                    \
    ",\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/"                              \
    "p\"}},\"persistence\":{\"id\":\"v\"},\"volume\":{"                                            \
    "\"container_path\":\"d\",\"mode\":\"RW\"}}"
#define RESERVE(r)   "{\"type\":\"RESERVE\",\"reserve\":{\"resources\":[" r "]}}"
#define UNRESERVE(r) "{\"type\":\"UNRESERVE\",\"unreserve\":{\"resources\":[" r "]}}"
#define CREATE(r)    "{\"type\":\"CREATE\",\"create\":{\"volumes\":[" r "]}}"
#define DESTROY(r)   "{\"type\":\"DESTROY\",\"destroy\":{\"volumes\":[" r "]}}"

/* Each row is applied to the result of the one before that changed something. */
static const struct {
    const char *op, *after; /* NULL: refused */
} chain[] = {
    {RESERVE("{" SCALAR("cpus", "9") TO_A "}"), NULL},
    {RESERVE("{" SCALAR("cpus", "1") TO_A "},{" SCALAR("disk", "60") TO_A "}"),
     "cpus(*):3; disk(*):40; cpus(reservations: [(DYNAMIC,a)]):1; disk(reservations: "
     "[(DYNAMIC,a)]):60"},
    {RESERVE("{" SCALAR("cpus", "1") TO_AB "}"),
     "cpus(*):3; disk(*):40; disk(reservations: [(DYNAMIC,a)]):60; cpus(reservations: "
     "[(DYNAMIC,a),(DYNAMIC,a/b)]):1"},
    {UNRESERVE("{" SCALAR("cpus", "1") TO_A "}"), NULL},
    {UNRESERVE("{" SCALAR("cpus", "0.5") TO_AB "}"),
     "cpus(*):3; disk(*):40; disk(reservations: [(DYNAMIC,a)]):60; "
     "cpus(reservations: [(DYNAMIC,a),(DYNAMIC,a/b)]):0.5; cpus(reservations: [(DYNAMIC,a)]):0.5"},
    {UNRESERVE("{" SCALAR("cpus", "0.5") TO_AB "},{" SCALAR("cpus", "0.5") TO_A "}"),
     "cpus(*):3.5; disk(*):40; disk(reservations: [(DYNAMIC,a)]):60; cpus(reservations: "
     "[(DYNAMIC,a)]):0.5"},
    {CREATE(VOLUME("61")), NULL},
    {CREATE(VOLUME("50")),
     "cpus(*):3.5; disk(*):40; disk(reservations: [(DYNAMIC,a)]):10; "
     "cpus(reservations: [(DYNAMIC,a)]):0.5; disk(reservations: [(DYNAMIC,a)])[v:d]:50"},
    {"{\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" VOLUME("50") ",\"addition\":{" SCALAR(
         "disk", "10") TO_A "}}}",
     "cpus(*):3.5; disk(*):40; cpus(reservations: [(DYNAMIC,a)]):0.5; disk(reservations: "
     "[(DYNAMIC,a)])[v:d]:60"},
    {"{\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" VOLUME(
         "60") ",\"subtract\":{\"value\":60}}}",
     NULL},
    {"{\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" VOLUME(
         "60") ",\"subtract\":{\"value\":20.5}}}",
     "cpus(*):3.5; disk(*):40; cpus(reservations: [(DYNAMIC,a)]):0.5; disk(reservations: "
     "[(DYNAMIC,a)])[v:d]:39.5; "
     "disk(reservations: [(DYNAMIC,a)]):20.5"},
    {DESTROY(VOLUME("60")), NULL},
    {DESTROY(VOLUME("39.5")), "cpus(*):3.5; disk(*):40; cpus(reservations: [(DYNAMIC,a)]):0.5; "
                              "disk(reservations: [(DYNAMIC,a)]):60"},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"source\":[{" SCALAR("disk", "60") TO_A
     "}],\"resources\":[{" SCALAR("disk", "60") ",\"reservations\":[" DYN("z") "]}]}}",
     "cpus(*):3.5; disk(*):40; cpus(reservations: [(DYNAMIC,a)]):0.5; disk(reservations: "
     "[(DYNAMIC,z)]):60"},
    {"{\"type\":\"LAUNCH\",\"launch\":{}}", NULL},
    {"{\"type\":\"RESERVE\"}", NULL},
};

START_TEST(test_chain)
{
    struct resources total = RESOURCES_INIT, before = RESOURCES_INIT;
    ck_assert_int_eq(resources_parse("cpus:4;disk:100", "*", &total, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(chain); i++) {
        struct fl_err err = {0};
        resources_copy(&before, &total);
        int rc = resources_apply_operation(
            &total, message(chain[i].op, &v1__offer__operation__descriptor), &err);
        if (chain[i].after) {
            ck_assert_msg(rc == 0, "%s: %s", chain[i].op, err.msg);
            check_text(&total, chain[i].after);
            ck_assert_int_eq(resources_scalar(&total, "disk"), 100 * MILLI_ONE);
            ck_assert_int_eq(resources_scalar(&total, "cpus"), 4 * MILLI_ONE);
        } else {
            ck_assert_msg(rc < 0, "taken: %s", chain[i].op);
            ck_assert_int_eq(err.reason, FL_INVALID);
            ck_assert(resources_equal(&total, &before));
        }
    }
    resources_done(&total);
    resources_done(&before);
}
END_TEST

START_TEST(test_shared_volume)
{
    struct resources total = RESOURCES_INIT;
    struct fl_err err = {0};
    add_json(&total, "{" SCALAR("disk", "10") TO_A "}");
    ck_assert_int_eq(
        resources_apply_operation(
            &total, message(CREATE(SHARED("10")), &v1__offer__operation__descriptor), &err),
        0);
    add_json(&total, SHARED("10"));
    ck_assert_int_lt(
        resources_apply_operation(
            &total, message(DESTROY(SHARED("10")), &v1__offer__operation__descriptor), &err),
        0);
    ck_assert_msg(strstr(err.msg, "shared copies"), "%s", err.msg);
    resources_done(&total);
}
END_TEST

START_TEST(test_volume_on_path)
{
    struct resources total = RESOURCES_INIT;
    struct fl_err err = {0};
    add_json(&total, "{" SCALAR("disk", "10") TO_A
             ",\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/p\"}}}}");
    const char *json = CREATE("{" SCALAR("disk", "4") TO_A ON_PATH "}");
    int rc =
        resources_apply_operation(&total, message(json, &v1__offer__operation__descriptor), &err);
    ck_assert_msg(rc == 0, "%s", err.msg);
    check_text(&total, "disk(reservations: [(DYNAMIC,a)])[PATH:/p]:6; disk(reservations: "
                       "[(DYNAMIC,a)])[PATH:/p,v:d]:4");
    resources_done(&total);
}
END_TEST

/* ---- validation ---- */

#define AT(role) ",\"allocation_info\":{\"role\":\"" role "\"}"
#define BY(p)    ",\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"a\",\"principal\":\"" p "\"}]"
#define PV(more)                                                                                   \
    ",\"disk\":{\"persistence\":{\"id\":\"v\"" more                                                \
    "},\"volume\":{\"container_path\":\"d\",\"mode\":\"RW\"}}"
#define RAW(more) ",\"disk\":{\"source\":{\"type\":\"RAW\"" more "}}"
#define RP        ",\"provider_id\":{\"value\":\"rp\"}"
#define CREATE_DISK(source, more)                                                                  \
    "{\"type\":\"CREATE_DISK\",\"create_disk\":{\"source\":{" SCALAR("disk", "1") source "}" more  \
                                                                                         "}}"
#define DESTROY_DISK(source)                                                                       \
    "{\"type\":\"DESTROY_DISK\",\"destroy_disk\":{\"source\":{" SCALAR("disk", "1") source "}}}"
static const struct {
    const char *op;
    bool operator;
    const char *principal, *part;
} rows[] = {
    {"{}", false, NULL, "Unknown"},
    {"{\"type\":\"RESERVE\"}", false, NULL, "'reserve'"},
    {RESERVE(""), false, NULL, "no resources"},
    {RESERVE("{" SCALAR("cpus", "1") TO_A AT("a") "}"), false, NULL, NULL},
    {RESERVE("{" SCALAR("cpus", "1") TO_A "}"), false, NULL, "allocated"},
    {RESERVE("{" SCALAR("cpus", "1") TO_A "}"), true, NULL, NULL},
    {RESERVE("{" SCALAR("cpus", "1") TO_A AT("a") "}"), true, NULL, "unallocated"},
    {RESERVE("{" SCALAR("cpus", "1") TO_A AT("b") "}"), false, NULL, "cannot be reserved to 'a'"},
    {RESERVE("{" SCALAR("cpus", "1") ",\"reservations\":[" DYN("z") "]" AT("z") "}"), false, NULL,
     "one of its roles"},
    {RESERVE("{" SCALAR("cpus", "1") AT("a") "}"), false, NULL, "not dynamically reserved"},
    {RESERVE("{" SCALAR("cpus", "-1") TO_A AT("a") "}"), false, NULL, "invalid"},
    {RESERVE("{" SCALAR("cpus", "1") TO_A ",\"revocable\":{}" AT("a") "}"), false, NULL,
     "revocable"},
    {RESERVE("{" SCALAR("cpus", "1") TO_A AT("a") "}"), false, "me", "principal"},
    {RESERVE("{" SCALAR("cpus", "1") BY("you") AT("a") "}"), false, "me", "'you'"},
    {RESERVE("{" SCALAR("cpus", "1") BY("me") AT("a") "}"), false, "me", NULL},
    {RESERVE("{" SCALAR("cpus", "1") TO_A AT("a") RP "},{" SCALAR("mem", "1") TO_A AT("a") "}"),
     false, NULL, "provider"},
    {"{\"type\":\"RESERVE\",\"reserve\":{\"source\":[{" SCALAR(
         "cpus", "1") "}],\"resources\":[{" SCALAR("cpus", "2") TO_A "}]}}",
     true, NULL, "same amounts"},
    {UNRESERVE("{" SCALAR("cpus", "1") TO_A "}"), false, NULL, NULL},
    {UNRESERVE("{" SCALAR("cpus", "1") "}"), false, NULL, "not dynamically"},
    {UNRESERVE(VOLUME("1")), false, NULL, "destroyed before"},
    {CREATE("{" SCALAR("disk", "1") TO_A PV("") AT("a") "}"), false, NULL, NULL},
    {CREATE("{" SCALAR("disk", "1") TO_A PV("") "}"), true, NULL, NULL},
    {CREATE("{" SCALAR("disk", "1") PV("") "}"), true, NULL, "unreserved"},
    {CREATE("{" SCALAR("disk", "1") TO_A "}"), true, NULL, "not a persistent volume"},
    {CREATE("{" SCALAR("disk", "1") TO_A V("a/b") "}"), true, NULL, "slash"},
    {CREATE("{" SCALAR("disk", "1") TO_A V("old") "}"), true, NULL, "more than once"},
    {CREATE(VOLUME("1") "," VOLUME("2")), true, NULL, "more than once"},
    {CREATE("{" SCALAR("disk", "1") TO_A PV("") ",\"shared\":{}" AT("a") "}"), false, NULL,
     "SHARED_RESOURCES"},
    {CREATE(VOLUME("1")), true, "me", "principal"},
    {CREATE("{" SCALAR("disk", "1") TO_A PV(",\"principal\":\"you\"") "}"), true, "me", "'you'"},
    {DESTROY("{" SCALAR("disk", "5") TO_A V("old") "}"), true, NULL, NULL},
    {DESTROY("{" SCALAR("disk", "5") TO_A V("busy") "}"), true, NULL, "in use"},
    {DESTROY(VOLUME("5")), true, NULL, "not found"},
    {"{\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" VOLUME("5") ",\"addition\":{" SCALAR(
         "disk", "1") TO_A "}}}",
     false, NULL, NULL},
    {"{\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" VOLUME("5") ",\"addition\":{" SCALAR(
         "disk", "0") TO_A "}}}",
     false, NULL, "greater than zero"},
    {"{\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" VOLUME("5") ",\"addition\":{" SCALAR(
         "disk", "1") "}}}",
     false, NULL, "one disk"},
    {"{\"type\":\"GROW_VOLUME\",\"grow_volume\":{\"volume\":" SHARED("5") ",\"addition\":{" SCALAR(
         "disk", "1") TO_A "}}}",
     false, NULL, "shared"},
    {"{\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" VOLUME(
         "5") ",\"subtract\":{\"value\":4}}}",
     false, NULL, NULL},
    {"{\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" VOLUME(
         "5") ",\"subtract\":{\"value\":5}}}",
     false, NULL, "smaller"},
    {"{\"type\":\"SHRINK_VOLUME\",\"shrink_volume\":{\"volume\":" VOLUME(
         "5") ",\"subtract\":{\"value\":0}}}",
     false, NULL, "greater than zero"},
    {CREATE_DISK(RAW("") RP, ",\"target_type\":\"MOUNT\",\"target_profile\":\"p\""), false, NULL,
     NULL},
    {CREATE_DISK(RAW("") RP, ",\"target_type\":\"MOUNT\""), false, NULL, "target_profile"},
    {CREATE_DISK(RAW(",\"profile\":\"p\"") RP, ",\"target_type\":\"BLOCK\""), false, NULL, NULL},
    {CREATE_DISK(RAW(""), ",\"target_type\":\"BLOCK\""), false, NULL, "resource provider"},
    {CREATE_DISK(RAW("") RP, ",\"target_type\":\"RAW\",\"target_profile\":\"p\""), false, NULL,
     "target_type"},
    {DESTROY_DISK(RAW(",\"id\":\"x\"") RP), false, NULL, NULL},
    {DESTROY_DISK(RAW("") RP), false, NULL, "CSI"},
};

START_TEST(test_validate)
{
    struct resources total = RESOURCES_INIT, used = RESOURCES_INIT;
    add_json(&total, "{" SCALAR("disk", "5") TO_A V("old") "}");
    add_json(&total, "{" SCALAR("disk", "5") TO_A V("busy") "}");
    add_json(&used, "{" SCALAR("disk", "5") TO_A V("busy") "}");
    struct validate_context c = {.agent_total = &total, .agent_used = &used};
    if (!rows[_i].operator)
        c.framework = message(
            "{\"user\":\"u\",\"name\":\"n\",\"roles\":[\"a\",\"b\"],\"capabilities\":[{\"type\":"
            "\"MULTI_ROLE\"}]}",
            &v1__framework_info__descriptor);
    struct fl_err err = {0};
    int rc = validate_operation(message(rows[_i].op, &v1__offer__operation__descriptor), &c,
                                rows[_i].principal, &err);
    if (rows[_i].part) {
        ck_assert_msg(rc < 0, "taken: %s", rows[_i].op);
        ck_assert_msg(err.reason == FL_INVALID && strstr(err.msg, rows[_i].part), "%s: %s",
                      rows[_i].op, err.msg);
    } else {
        ck_assert_msg(rc == 0, "%s: %s", rows[_i].op, err.msg);
    }
    resources_done(&total);
    resources_done(&used);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("operations");
    TCase *t = tcase_create("operations");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_chain);
    tcase_add_test(t, test_shared_volume);
    tcase_add_test(t, test_volume_on_path);
    tcase_add_loop_test(t, test_validate, 0, ARRAY_SIZE(rows));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
