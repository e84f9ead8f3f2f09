/* Attributes of agents and offer constraints over them, by literal tables. */
#include <check.h>

#include "common/model/attributes.h"

static struct fl_arena *arena;

static void setup(void)
{
    arena = fl_arena_new(1024);
}

static void teardown(void)
{
    fl_arena_free(arena);
}

static const struct {
    const char *text, *json; /* NULL: refused */
} text_rows[] = {
    {"rack:r1;level:3;span:[10-20]", "{\"rack\":\"r1\",\"level\":3.0,\"span\":\"[10-20]\"}"},
    {"", "{}"},
    {"a:1\nb:x", "{\"a\":1.0,\"b\":\"x\"}"},
    {"url:http://host:80/", "{\"url\":\"http://host:80/\"}"},
    {"a:x;a:y", "{\"a\":\"y\"}"},
    {"level:-3", "{\"level\":\"-3\"}"},
    {"span:[5-6,1-2]", "{\"span\":\"[1-2, 5-6]\"}"},
    {"words:two words", "{\"words\":\"twowords\"}"},
    {"rack", NULL},
    {"rack:", NULL},
    {":r1", NULL},
    {"set:{a,b}", NULL},
    {"span:[2-1]", NULL},
    {"span:[1-2", NULL},
};

START_TEST(test_text)
{
    V1__Attribute **a;
    size_t n;
    struct fl_err err = {0};
    int rc = attributes_parse(text_rows[_i].text, arena, &a, &n, &err);
    if (!text_rows[_i].json) {
        ck_assert_msg(rc < 0, "'%s' was taken", text_rows[_i].text);
        ck_assert(err.reason == FL_INVALID && err.msg[0]);
        return;
    }
    ck_assert_msg(rc == 0, "'%s': %s", text_rows[_i].text, err.msg);
    struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    attributes_json(a, n, &j);
    ck_assert_str_eq(fl_buf_cstr(&out), text_rows[_i].json);
    fl_buf_done(&out);
}
END_TEST

static const struct {
    const char *a, *b;
    bool equal;
} equal_rows[] = {
    {"a:1;b:x", "b:x;a:1.0", true},
    {"a:1", "a:2", false},
    {"a:1", "a:1;b:2", false},
    {"a:x", "b:x", false},
    {"a:[1-2,3-4]", "a:[1-4]", true},
    {"a:[1-2]", "a:[1-3]", false},
    {"a:1", "a:x", false},
};

START_TEST(test_equal)
{
    V1__Attribute **a, **b;
    size_t na, nb;
    ck_assert_int_eq(attributes_parse(equal_rows[_i].a, arena, &a, &na, NULL), 0);
    ck_assert_int_eq(attributes_parse(equal_rows[_i].b, arena, &b, &nb, NULL), 0);
    ck_assert_int_eq(attributes_equal(a, na, b, nb), equal_rows[_i].equal);
}
END_TEST

/* ---- constraints ---- */

static Sched__OfferConstraints *constraints(const char *json)
{
    ProtobufCMessage *m;
    struct fl_err err = {0};
    int rc = fl_json_to_pb(json, strlen(json), &sched__offer_constraints__descriptor, 0,
                           fl_arena_allocator(arena), &m, &err);
    ck_assert_msg(rc == 0, "%s: %s", json, err.msg);
    return (Sched__OfferConstraints *)m;
}

static const V1__AgentInfo *agent(void)
{
    static const char json[] = "{\"hostname\":\"node7.example\",\"domain\":{\"fault_domain\":{"
                               "\"region\":{\"name\":\"eu\"},\"zone\":{\"name\":"
                               "\"z1\"}}},\"attributes\":[{\"name\":\"rack\",\"type\":\"TEXT\","
                               "\"text\":{\"value\":\"r12\"}},{\"name\":"
                               "\"level\",\"type\":\"SCALAR\",\"scalar\":{\"value\":3}}]}";
    ProtobufCMessage *m;
    struct fl_err err = {0};
    int rc = fl_json_to_pb(json, sizeof(json) - 1, &v1__agent_info__descriptor, 0,
                           fl_arena_allocator(arena), &m, &err);
    ck_assert_msg(rc == 0, "%s", err.msg);
    return (const V1__AgentInfo *)m;
}

#define RACK   "{\"attribute_name\":\"rack\"}"
#define LEVEL  "{\"attribute_name\":\"level\"}"
#define NONE   "{\"attribute_name\":\"none\"}"
#define HOST   "{\"pseudoattribute_type\":\"HOSTNAME\"}"
#define REGION "{\"pseudoattribute_type\":\"REGION\"}"
#define ZONE   "{\"pseudoattribute_type\":\"ZONE\"}"
static const struct {
    const char *selector, *predicate;
    bool pass;
} predicate_rows[] = {
    {RACK, "{\"exists\":{}}", true},
    {NONE, "{\"exists\":{}}", false},
    {RACK, "{\"not_exists\":{}}", false},
    {NONE, "{\"not_exists\":{}}", true},
    {RACK, "{\"text_equals\":{\"value\":\"r12\"}}", true},
    {RACK, "{\"text_equals\":{\"value\":\"r1\"}}", false},
    {NONE, "{\"text_equals\":{\"value\":\"r1\"}}", false},
    {LEVEL, "{\"text_equals\":{\"value\":\"3\"}}", true},
    {RACK, "{\"text_not_equals\":{\"value\":\"r12\"}}", false},
    {RACK, "{\"text_not_equals\":{\"value\":\"r1\"}}", true},
    {NONE, "{\"text_not_equals\":{\"value\":\"r1\"}}", true},
    {LEVEL, "{\"text_not_equals\":{\"value\":\"3\"}}", true},
    {RACK, "{\"text_matches\":{\"regex\":\"r[0-9]+\"}}", true},
    {RACK, "{\"text_matches\":{\"regex\":\"r[0-9]\"}}", false}, /* the whole text must match */
    {NONE, "{\"text_matches\":{\"regex\":\".*\"}}", false},
    {LEVEL, "{\"text_matches\":{\"regex\":\"x\"}}", true},
    {RACK, "{\"text_not_matches\":{\"regex\":\"r.*\"}}", false},
    {RACK, "{\"text_not_matches\":{\"regex\":\"q.*\"}}", true},
    {NONE, "{\"text_not_matches\":{\"regex\":\".*\"}}", true},
    {HOST, "{\"text_matches\":{\"regex\":\"node[0-9]\\\\.example\"}}", true},
    {REGION, "{\"text_equals\":{\"value\":\"eu\"}}", true},
    {ZONE, "{\"text_equals\":{\"value\":\"eu\"}}", false},
};

static int compile(const char *selector, const char *predicate, struct offer_constraints **ret,
                   struct fl_err *err)
{
    static const char *const roles[] = {"web", "db"};
    char *json = xasprintf(
        "{\"role_constraints\":{\"web\":{\"groups\":[{\"attribute_constraints\":[{\"selector\":%s,"
        "\"predicate\":%s}]}]}}}",
        selector, predicate);
    int rc = offer_constraints_new(constraints(json), roles, 2, NULL, ret, err);
    free(json);
    return rc;
}

START_TEST(test_predicate)
{
    struct offer_constraints *c;
    struct fl_err err = {0};
    int rc = compile(predicate_rows[_i].selector, predicate_rows[_i].predicate, &c, &err);
    ck_assert_msg(rc == 0, "%s", err.msg);
    ck_assert_msg(offer_constraints_pass(c, "web", agent()) == predicate_rows[_i].pass, "%s %s",
                  predicate_rows[_i].selector, predicate_rows[_i].predicate);
    ck_assert(offer_constraints_pass(c, "db", agent()));
    offer_constraints_free(c);
}
END_TEST

static const struct {
    const char *selector, *predicate;
} bad_rows[] = {
    {RACK, "{\"text_matches\":{\"regex\":\"([\"}}"},
    {RACK, "{\"text_matches\":{\"regex\":\"(a|b){1000}\"}}"},
    {RACK, "{\"text_not_matches\":{\"regex\":\"[a-z]{90}[0-9]{90}\"}}"},
    {RACK, "{}"},
    {"{}", "{\"exists\":{}}"},
    {"{\"pseudoattribute_type\":\"UNKNOWN\"}", "{\"exists\":{}}"},
};

START_TEST(test_bad_constraint)
{
    struct offer_constraints *c;
    struct fl_err err = {0};
    ck_assert_int_lt(compile(bad_rows[_i].selector, bad_rows[_i].predicate, &c, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    ck_assert_msg(strstr(err.msg, "'web'"), "%s", err.msg);
}
END_TEST

#define C(selector, predicate) "{\"selector\":" selector ",\"predicate\":" predicate "}"
START_TEST(test_groups)
{
    static const char *const roles[] = {"web"};
    struct offer_constraints *c;
    /* (rack = no AND host exists) OR (zone = z1) */
    const char *first =
        C(RACK, "{\"text_equals\":{\"value\":\"no\"}}") "," C(HOST, "{\"exists\":{}}");
    const char *second = C(ZONE, "{\"text_equals\":{\"value\":\"z1\"}}");
    char *json =
        xasprintf("{\"role_constraints\":{\"web\":{\"groups\":[{\"attribute_constraints\":[%s]},"
                  "{\"attribute_constraints\":[%s]}]}}}",
                  first, second);
    ck_assert_int_eq(offer_constraints_new(constraints(json), roles, 1, NULL, &c, NULL), 0);
    free(json);
    ck_assert(offer_constraints_pass(c, "web", agent()));
    offer_constraints_free(c);

    static const char *const refused[] = {
        "{\"role_constraints\":{\"web\":{\"groups\":[]}}}",
        "{\"role_constraints\":{\"web\":{\"groups\":[{\"attribute_constraints\":[]}]}}}",
        "{\"role_constraints\":{\"other\":{\"groups\":[{\"attribute_constraints\":[" C(
            RACK, "{\"exists\":{}}") "]}]}}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct fl_err err = {0};
        ck_assert_int_lt(offer_constraints_new(constraints(refused[i]), roles, 1, NULL, &c, &err),
                         0);
        ck_assert(err.msg[0]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("attributes");
    TCase *t = tcase_create("attributes");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_text, 0, ARRAY_SIZE(text_rows));
    tcase_add_loop_test(t, test_equal, 0, ARRAY_SIZE(equal_rows));
    tcase_add_loop_test(t, test_predicate, 0, ARRAY_SIZE(predicate_rows));
    tcase_add_loop_test(t, test_bad_constraint, 0, ARRAY_SIZE(bad_rows));
    tcase_add_test(t, test_groups);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
