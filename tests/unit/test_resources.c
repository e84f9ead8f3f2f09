/* The resource algebra by literal examples: borders, formats, arithmetic, parts, operations. */
#include <check.h>
#include <pthread.h>

#include "common/model/intern.h"
#include "common/model/resources_internal.h"

static struct fl_arena *arena;

static void setup(void)
{
    arena = fl_arena_new(1024);
}

static void teardown(void)
{
    fl_arena_free(arena);
}

/* ---- building ---- */

static struct resources parse(const char *text)
{
    struct resources r = RESOURCES_INIT;
    struct fl_err err = {0};
    ck_assert_msg(resources_parse(text, "*", &r, &err) == 0, "'%s': %s", text, err.msg);
    return r;
}

static V1__Resource *message(const char *json)
{
    ProtobufCMessage *m;
    struct fl_err err = {0};
    int rc = fl_json_to_pb(json, strlen(json), &v1__resource__descriptor, 0,
                           fl_arena_allocator(arena), &m, &err);
    ck_assert_msg(rc == 0, "%s: %s", json, err.msg);
    return (V1__Resource *)m;
}

static struct resources from_json(const char *json)
{
    struct resources r = RESOURCES_INIT;
    struct fl_err err = {0};
    V1__Resource *pb = message(json);
    ck_assert_msg(resources_from_pb(&pb, 1, &r, &err) == 0, "%s: %s", json, err.msg);
    return r;
}

static void check_text(const struct resources *r, const char *want)
{
    struct fl_buf out = FL_BUF_INIT;
    resources_format(r, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), want);
    fl_buf_done(&out);
}

/* ---- text ---- */

static const struct {
    const char *text, *formatted; /* NULL: refused */
} text_rows[] = {
    {"cpus:4;mem:1024", "cpus(*):4; mem(*):1024"},
    {"cpus:0.1;cpus:0.2;cpus:0.333", "cpus(*):0.633"},
    {" cpus : 4 ; mem( web ):1024.5 ;", "cpus(*):4; mem(web):1024.5"},
    {"ports:[31000-32000]", "ports(*):[31000-32000]"},
    {"ports(a/b):[1-2,5-6,3-3]", "ports(a/b):[1-3, 5-6]"},
    {"zone:{b,a}", "zone(*):{a, b}"},
    {"cpus(*):1", "cpus(*):1"},
    {"cpus:0", "{}"},
    {"", "{}"},
    {"[]", "{}"},
    {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2}}]", "cpus(*):2"},
    {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"role\":\"r\"}]",
     "cpus(r):2"},
    {"cpus", NULL},
    {"cpus:", NULL},
    {":4", NULL},
    {"cpus:4:5", NULL},
    {"cpus:many", NULL},
    {"cpus:-1", NULL},
    {"cpus:nan", NULL},
    {"cpus(:4", NULL},
    {"cpus)(:4", NULL},
    {"cpus():4", NULL},
    {"cpus(/a):4", NULL},
    {"cpus:1;cpus:[1-2]", NULL},
    {"[{\"name\":\"cpus\"}]", NULL},
    {"[1,", NULL},
    {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"revocable\":{}}]", NULL},
    {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"role\":\"r\","
     "\"reservation\":{}}]",
     NULL},
    {"[{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":2},\"role\":\"r\","
     "\"disk\":{\"persistence\":{\"id\":\"x\"}}}]",
     NULL},
};

START_TEST(test_text)
{
    struct resources r = RESOURCES_INIT;
    struct fl_err err = {0};
    int rc = resources_parse(text_rows[_i].text, "*", &r, &err);
    if (text_rows[_i].formatted) {
        ck_assert_msg(rc == 0, "'%s': %s", text_rows[_i].text, err.msg);
        check_text(&r, text_rows[_i].formatted);
    } else {
        ck_assert_msg(rc < 0, "'%s' was taken", text_rows[_i].text);
        ck_assert_int_eq(err.reason, FL_INVALID);
        ck_assert(err.msg[0]);
    }
    resources_done(&r);
}
END_TEST

START_TEST(test_default_role)
{
    struct resources r = RESOURCES_INIT;
    ck_assert_int_eq(resources_parse("cpus:4;mem(*):1;disk(x):2", "web", &r, NULL), 0);
    check_text(&r, "cpus(web):4; mem(*):1; disk(x):2");
    resources_done(&r);
}
END_TEST

/* ---- messages that are refused ---- */

#define SCALAR1 "\"type\":\"SCALAR\",\"scalar\":{\"value\":1}"
#define CPU     "{\"name\":\"cpus\"," SCALAR1
#define DISK    "{\"name\":\"disk\"," SCALAR1
static const struct {
    const char *json, *part; /* of the complaint */
} refused_rows[] = {
    {"{\"name\":\"\"," SCALAR1 "}", "name is empty"},
    {"{\"name\":\"cpus\",\"type\":\"SCALAR\"}", "'scalar'"},
    {"{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":-1}}", "above zero"},
    {"{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.0001}}", "above zero"},
    {"{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":\"NaN\"}}", "finite"},
    {"{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":\"Infinity\"}}", "finite"},
    {"{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1e15}}", "too large"},
    {CPU ",\"set\":{\"item\":[\"a\"]}}", "no other value"},
    {"{\"name\":\"p\",\"type\":\"RANGES\"}", "'ranges'"},
    {"{\"name\":\"p\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":2,\"end\":1}]}}",
     "after its end"},
    {"{\"name\":\"p\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":3},{"
     "\"begin\":3,\"end\":4}]}}",
     "overlap"},
    {"{\"name\":\"z\",\"type\":\"SET\",\"set\":{\"item\":[\"a\",\"a\"]}}", "twice"},
    {"{\"name\":\"t\",\"type\":\"TEXT\"}", "not one of"},
    {CPU ",\"disk\":{}}", "only the resource 'disk'"},
    {DISK ",\"disk\":{\"source\":{\"type\":\"UNKNOWN\"}}}", "not known"},
    {DISK ",\"disk\":{\"source\":{\"type\":\"RAW\",\"mount\":{}}}}", "neither"},
    {CPU ",\"role\":\"a//b\"}", "two slashes"},
    {CPU ",\"reservation\":{}}", "cannot be reserved"},
    {CPU ",\"role\":\"*\",\"reservation\":{}}", "cannot be reserved"},
    {CPU ",\"role\":\"r\",\"reservation\":{\"type\":\"DYNAMIC\"}}", "'reservation.type'"},
    {CPU ",\"role\":\"r\",\"reservation\":{\"role\":\"r\"}}", "'reservation.role'"},
    {CPU ",\"reservations\":[{\"role\":\"r\"}]}", "'type'"},
    {CPU ",\"reservations\":[{\"type\":\"STATIC\"}]}", "'role'"},
    {CPU ",\"reservations\":[{\"type\":\"STATIC\",\"role\":\"*\"}]}", "cannot be reserved"},
    {CPU ",\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"},{\"type\":\"STATIC\",\"role\":"
         "\"a/b\"}]}",
     "must not be STATIC"},
    {CPU ",\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"},{\"type\":\"DYNAMIC\",\"role\":"
         "\"b\"}]}",
     "not below"},
    {CPU ",\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"},{\"type\":\"DYNAMIC\",\"role\":"
         "\"a\"}]}",
     "not below"},
    {CPU ",\"role\":\"b\",\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"}]}",
     "reserved to 'a'"},
    {CPU
     ",\"role\":\"a\",\"reservation\":{},\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"}]}",
     "STATIC"},
    {CPU ",\"role\":\"a\",\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"a\"}]}", "both"},
    {CPU ",\"role\":\"a\",\"reservation\":{\"principal\":\"x\"},\"reservations\":[{\"type\":"
         "\"DYNAMIC\",\"role\":"
         "\"a\",\"principal\":\"y\"}]}",
     "principals"},
    {CPU ",\"shared\":{}}", "only a disk"},
    {DISK ",\"shared\":{}}", "only persistent"},
};

START_TEST(test_refused)
{
    struct resources r = parse("mem:1");
    struct fl_err err = {0};
    V1__Resource *pb = message(refused_rows[_i].json);
    ck_assert_msg(resources_from_pb(&pb, 1, &r, &err) < 0, "taken: %s", refused_rows[_i].json);
    ck_assert_int_eq(err.reason, FL_INVALID);
    ck_assert_msg(strstr(err.msg, refused_rows[_i].part), "%s: %s", refused_rows[_i].json, err.msg);
    check_text(&r, "mem(*):1"); /* untouched */
    resources_done(&r);
}
END_TEST

/* ---- formats ---- */

#define RES(type, role, more) "{\"type\":\"" type "\",\"role\":\"" role "\"" more "}"
static const struct {
    const char *in, *pre, *post, *endpoint; /* pre NULL: cannot be said */
} format_rows[] = {
    {CPU "}", CPU ",\"role\":\"*\"}", CPU "}", CPU ",\"role\":\"*\"}"},
    {CPU ",\"role\":\"*\"}", CPU ",\"role\":\"*\"}", CPU "}", CPU ",\"role\":\"*\"}"},
    {CPU ",\"role\":\"a\"}", CPU ",\"role\":\"a\"}",
     CPU ",\"reservations\":[" RES("STATIC", "a", "") "]}",
     CPU ",\"role\":\"a\",\"reservations\":[" RES("STATIC", "a", "") "]}"},
    {CPU ",\"role\":\"a\",\"reservation\":{\"principal\":\"p\"}}",
     CPU ",\"role\":\"a\",\"reservation\":{\"principal\":\"p\"}}",
     CPU ",\"reservations\":[" RES("DYNAMIC", "a", ",\"principal\":\"p\"") "]}",
     CPU ",\"role\":\"a\",\"reservation\":{\"principal\":\"p\"},\"reservations\":[" RES(
         "DYNAMIC", "a", ",\"principal\":\"p\"") "]}"},
    {CPU ",\"reservations\":[" RES("STATIC", "a", "") "," RES("DYNAMIC", "a/b", "") "]}", NULL,
     CPU ",\"reservations\":[" RES("STATIC", "a", "") "," RES("DYNAMIC", "a/b", "") "]}",
     CPU ",\"reservations\":[" RES("STATIC", "a", "") "," RES("DYNAMIC", "a/b", "") "]}"},
    {CPU
     ",\"allocation_info\":{\"role\":\"x\"},\"revocable\":{},\"provider_id\":{\"value\":\"rp\"}}",
     CPU ",\"role\":\"*\",\"allocation_info\":{\"role\":\"x\"},\"revocable\":{},\"provider_id\":{"
         "\"value\":\"rp\"}}",
     CPU
     ",\"allocation_info\":{\"role\":\"x\"},\"revocable\":{},\"provider_id\":{\"value\":\"rp\"}}",
     CPU ",\"role\":\"*\",\"allocation_info\":{\"role\":\"x\"},\"revocable\":{},\"provider_id\":{"
         "\"value\":\"rp\"}}"},
};

static void check_format(const struct resources *r, enum resources_format format, const char *want)
{
    V1__Resource **pb;
    size_t n = resources_to_pb(r, format, true, arena, &pb);
    ck_assert_uint_eq(n, want ? 1 : 0);
    if (!want)
        return;
    struct fl_buf got = FL_BUF_INIT, expected = FL_BUF_INIT;
    fl_json_from_pb(&got, &pb[0]->base, 0);
    fl_json_from_pb(&expected, &message(want)->base, 0);
    ck_assert_str_eq(fl_buf_cstr(&got), fl_buf_cstr(&expected));
    fl_buf_done(&got);
    fl_buf_done(&expected);
    struct resources back = RESOURCES_INIT;
    ck_assert_int_eq(resources_from_pb(pb, n, &back, NULL), 0);
    ck_assert(resources_equal(r, &back));
    resources_done(&back);
}

START_TEST(test_formats)
{
    struct resources r = from_json(format_rows[_i].in);
    check_format(&r, RESOURCES_PRE_REFINEMENT, format_rows[_i].pre);
    check_format(&r, RESOURCES_POST_REFINEMENT, format_rows[_i].post);
    check_format(&r, RESOURCES_ENDPOINT, format_rows[_i].endpoint);
    resources_done(&r);
}
END_TEST

START_TEST(test_without_allocation)
{
    struct resources r = parse("cpus:1");
    resources_allocate(&r, "web");
    V1__Resource **pb;
    resources_to_pb(&r, RESOURCES_POST_REFINEMENT, false, arena, &pb);
    ck_assert_ptr_null(pb[0]->allocation_info);
    resources_to_pb(&r, RESOURCES_POST_REFINEMENT, true, arena, &pb);
    ck_assert_str_eq(pb[0]->allocation_info->role, "web");
    resources_done(&r);
}
END_TEST

/* ---- identity ---- */

/* Pairs that do or do not merge. */
#define PV(more) DISK ",\"role\":\"a\",\"disk\":{\"persistence\":{\"id\":\"v1\"" more "}}}"
static const struct {
    const char *a, *b;
    bool same, merge;
} identity_rows[] = {
    {CPU "}", CPU "}", true, true},
    {CPU "}", CPU ",\"role\":\"a\"}", false, false},
    {CPU ",\"role\":\"a\"}", CPU ",\"reservations\":[" RES("STATIC", "a", "") "]}", true, true},
    {CPU ",\"role\":\"a\"}", CPU ",\"reservations\":[" RES("DYNAMIC", "a", "") "]}", false, false},
    {CPU ",\"reservations\":[" RES("DYNAMIC", "a", "") "]}",
     CPU ",\"reservations\":[" RES("DYNAMIC", "a", ",\"principal\":\"p\"") "]}", false, false},
    {CPU ",\"reservations\":[" RES(
         "DYNAMIC", "a",
         ",\"labels\":{\"labels\":[{\"key\":\"k\"},{\"key\":\"l\",\"value\":\"1\"}]}") "]}",
     CPU ",\"reservations\":[" RES(
         "DYNAMIC", "a",
         ",\"labels\":{\"labels\":[{\"key\":\"l\",\"value\":\"1\"},{\"key\":\"k\"}]}") "]}",
     true, true},
    {CPU "}", CPU ",\"revocable\":{}}", false, false},
    {CPU "}", CPU ",\"allocation_info\":{\"role\":\"x\"}}", false, false},
    {CPU "}", CPU ",\"provider_id\":{\"value\":\"rp\"}}", false, false},
    {PV(""), PV(""), true, false},
    {PV(""), PV(",\"principal\":\"me\""), true, false},
    {PV(""),
     DISK ",\"role\":\"a\",\"disk\":{\"persistence\":{\"id\":\"v1\"},\"volume\":{\"container_"
          "path\":\"d\","
          "\"mode\":\"RW\"}}}",
     true, false},
    {PV(""), DISK ",\"role\":\"a\",\"disk\":{\"persistence\":{\"id\":\"v2\"}}}", false, false},
    {DISK ",\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/d\"}}}}",
     DISK ",\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/d\"}}}}", true, true},
    {DISK ",\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/d\"}}}}",
     DISK ",\"disk\":{\"source\":{\"type\":\"PATH\",\"path\":{\"root\":\"/e\"}}}}", false, false},
    {DISK ",\"disk\":{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/d\"}}}}",
     DISK ",\"disk\":{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/d\"}}}}", true, false},
    {DISK ",\"disk\":{\"source\":{\"type\":\"BLOCK\"}}}",
     DISK ",\"disk\":{\"source\":{\"type\":\"BLOCK\"}}}", true, false},
    {DISK ",\"disk\":{\"source\":{\"type\":\"RAW\"}}}",
     DISK ",\"disk\":{\"source\":{\"type\":\"RAW\"}}}", true, true},
    {DISK ",\"disk\":{\"source\":{\"type\":\"RAW\",\"id\":\"x\"}}}",
     DISK ",\"disk\":{\"source\":{\"type\":\"RAW\",\"id\":\"x\"}}}", true, false},
};

START_TEST(test_identity)
{
    struct resources a = from_json(identity_rows[_i].a), b = from_json(identity_rows[_i].b),
                     sum = RESOURCES_INIT;
    ck_assert_int_eq(resources_equal(&a, &b), identity_rows[_i].same);
    ck_assert_int_eq(resources_contains(&a, &b), identity_rows[_i].same);
    resources_copy(&sum, &a);
    resources_add(&sum, &b);
    ck_assert_uint_eq(sum.n, identity_rows[_i].merge ? 1 : 2);
    ck_assert(resources_contains(&sum, &a) && resources_contains(&sum, &b));
    ck_assert(!resources_contains(&a, &sum));
    resources_subtract(&sum, &b);
    ck_assert(resources_equal(&sum, &a));
    resources_done(&a);
    resources_done(&b);
    resources_done(&sum);
}
END_TEST

START_TEST(test_whole_only)
{
    struct resources a =
        from_json("{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":10},\"disk\":"
                  "{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/d\"}}}}");
    struct resources part =
        from_json("{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4},\"disk\":"
                  "{\"source\":{\"type\":\"MOUNT\",\"mount\":{\"root\":\"/d\"}}}}");
    ck_assert(!resources_contains(&a, &part));
    resources_subtract(&a, &part);
    ck_assert_int_eq(resources_scalar(&a, "disk"), 10 * MILLI_ONE);
    resources_done(&a);
    resources_done(&part);
}
END_TEST

#define SHARED_PV DISK ",\"role\":\"a\",\"shared\":{},\"disk\":{\"persistence\":{\"id\":\"v1\"}}}"
START_TEST(test_shared_copies)
{
    struct resources one = from_json(SHARED_PV), many = RESOURCES_INIT;
    for (int i = 0; i < 3; i++)
        resources_add(&many, &one);
    ck_assert_uint_eq(many.n, 1);
    ck_assert_uint_eq(many.items[0].copies, 3);
    ck_assert(resources_contains(&many, &one));
    ck_assert(!resources_contains(&one, &many));
    /* A volume that is shared counts its size once. */
    ck_assert_int_eq(resources_scalar(&many, "disk"), MILLI_ONE);
    for (int i = 0; i < 3; i++) {
        ck_assert(!resources_empty(&many));
        resources_subtract(&many, &one);
    }
    ck_assert(resources_empty(&many));
    resources_done(&one);
    resources_done(&many);
}
END_TEST

START_TEST(test_subtract_missing)
{
    struct resources a = parse("cpus:1;ports:[1-5]"), b = parse("cpus:4;mem:7;ports:[4-9]");
    resources_subtract(&a, &b);
    check_text(&a, "ports(*):[1-3]");
    resources_done(&a);
    resources_done(&b);
}
END_TEST

/* ---- allocation and parts ---- */

START_TEST(test_allocation)
{
    struct resources r = parse("cpus:1;mem:2"), more = parse("cpus:3");
    ck_assert_ptr_null(resources_allocation_role(&r));
    resources_allocate(&r, "a");
    ck_assert_ptr_eq(resources_allocation_role(&r), intern("a"));
    resources_allocate(&more, "b");
    resources_add(&r, &more);
    ck_assert_uint_eq(r.n, 3);
    ck_assert_ptr_null(resources_allocation_role(&r));
    resources_unallocate(&r);
    check_text(&r, "cpus(*):4; mem(*):2");
    resources_done(&r);
    resources_done(&more);
}
END_TEST

START_TEST(test_parts)
{
    struct resources r = parse("cpus:1;cpus(a):2;cpus(a/b):3;cpus(c):4;ports:[1-2]"),
                     part = RESOURCES_INIT;
    resources_unreserved(&r, &part);
    check_text(&part, "cpus(*):1; ports(*):[1-2]");
    resources_reserved_to(&r, NULL, &part);
    check_text(&part, "cpus(a):2; cpus(a/b):3; cpus(c):4");
    resources_reserved_to(&r, "a", &part);
    check_text(&part, "cpus(a):2");
    resources_allocatable_to(&r, "a/b", &part);
    check_text(&part, "cpus(*):1; cpus(a):2; cpus(a/b):3; ports(*):[1-2]");
    resources_allocatable_to(&r, "ab", &part);
    check_text(&part, "cpus(*):1; ports(*):[1-2]");
    resources_scalars(&r, &part);
    ck_assert_uint_eq(part.n, 4);
    const char **roles;
    ck_assert_uint_eq(resources_reservation_roles(&r, &roles), 3);
    ck_assert_str_eq(roles[0], "a");
    ck_assert_str_eq(roles[2], "c");
    free(roles);
    resources_unreserved(&r, &r); /* into itself */
    check_text(&r, "cpus(*):1; ports(*):[1-2]");
    resources_done(&r);
    resources_done(&part);
}
END_TEST

static void collect_role(const char *role, const struct resources *part, void *arg)
{
    struct fl_buf *out = arg;
    fl_buf_addf(out, "%s=%lld ", role ? role : "-", (long long)resources_scalar(part, "cpus"));
}

static void collect_scalar(const char *name, milli_t sum, void *arg)
{
    fl_buf_addf(arg, "%s=%lld ", name, (long long)sum);
}

START_TEST(test_sums)
{
    struct resources r = parse("cpus:1;cpus(a):2;mem:7;ports:[1-2]"), more = parse("cpus:0.5");
    struct fl_buf out = FL_BUF_INIT;
    resources_allocate(&more, "x");
    resources_add(&r, &more);
    resources_each_scalar(&r, collect_scalar, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), "cpus=3500 mem=7000 ");
    fl_buf_clear(&out);
    resources_by_role(&r, collect_role, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), "-=3000 x=500 ");
    fl_buf_done(&out);
    resources_done(&r);
    resources_done(&more);
}
END_TEST

START_TEST(test_summary)
{
    struct resources r =
        parse("cpus:8;cpus(a):0.5;mem:1024;ports:[31000-32000];ports(a):[5-5];zone:{b,a};tokens:3");
    struct resources rev = from_json(CPU ",\"revocable\":{}}");
    resources_add(&r, &rev);
    struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    resources_json_summary(&r, &j);
    ck_assert_str_eq(
        fl_buf_cstr(&out),
        "{\"cpus\":8.5,\"gpus\":0.0,\"mem\":1024.0,\"disk\":0.0,\"ports\":\"[5-5, 31000-32000]\","
        "\"zone\":\"{a, b}\",\"tokens\":3.0,\"cpus_revocable\":1.0}");
    fl_buf_done(&out);
    resources_done(&r);
    resources_done(&rev);
}
END_TEST

START_TEST(test_full)
{
    struct resources r = parse("cpus(a):0.5");
    struct fl_buf out = FL_BUF_INIT;
    struct json_out j = json_out_on(&out);
    resources_json_full(&r, &j, 0);
    ck_assert_str_eq(fl_buf_cstr(&out),
                     "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.5},"
                     "\"role\":\"a\",\"reservations\":[{\"role\":\"a\",\"type\":\"STATIC\"}]}]");
    fl_buf_done(&out);
    resources_done(&r);
}
END_TEST

START_TEST(test_find)
{
    struct resources pool = parse("cpus:2;cpus(a):1;mem:100;ports:[1-10]"),
                     want = parse("cpus(a):2;ports:[3-4]");
    struct resources found = RESOURCES_INIT;
    ck_assert(resources_find(&pool, &want, &found));
    check_text(&found, "cpus(a):1; cpus(*):1; ports(*):[3-4]");
    resources_done(&want);
    want = parse("cpus:4");
    ck_assert(!resources_find(&pool, &want, &found));
    resources_done(&want);
    want = parse("cpus:3");
    ck_assert(resources_find(&pool, &want, &found));
    check_text(&found, "cpus(*):2; cpus(a):1");
    resources_done(&pool);
    resources_done(&want);
    resources_done(&found);
}
END_TEST

START_TEST(test_kinds_go)
{
    size_t before = kind_count(), texts = intern_count();
    struct resources r = from_json(PV(",\"principal\":\"gone\""));
    resources_allocate(&r, "somebody");
    struct resources odd = parse("never-seen-before:1");
    resources_add(&r, &odd);
    resources_done(&odd);
    ck_assert_uint_gt(intern_count(), texts);
    ck_assert_uint_gt(kind_count(), before);
    resources_done(&r);
    ck_assert_uint_eq(kind_count(), before);
    ck_assert_uint_eq(intern_count(), texts);
}
END_TEST

static void *use_kinds(void *arg)
{
    unsigned n = (unsigned)(size_t)arg;
    for (unsigned i = 0; i < 2000; i++, n = n * 1103515245u + 12345u) {
        char text[64], role[8];
        fl_snprintf(text, sizeof(text), "cpus:1;odd%u:2;mem(r%u):3", n >> 16 & 3, n >> 20 & 3);
        fl_snprintf(role, sizeof(role), "a%u", n >> 18 & 3);
        struct resources r = RESOURCES_INIT, copy = RESOURCES_INIT;
        if (resources_parse(text, "*", &r, NULL) < 0)
            return arg;
        resources_allocate(&r, role);
        resources_copy(&copy, &r);
        resources_unallocate(&copy);
        resources_done(&r);
        resources_done(&copy);
    }
    return NULL;
}

/* Sets belong to one thread each, but kinds and names are common to all. */
START_TEST(test_threads)
{
    size_t kinds = kind_count(), texts = intern_count();
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_kinds, (void *)(i + 1)), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    ck_assert_uint_eq(kind_count(), kinds);
    ck_assert_uint_eq(intern_count(), texts);
}
END_TEST

START_TEST(test_too_many)
{
    struct resources r = RESOURCES_INIT;
    struct fl_err err = {0};
    V1__Resource *one = message(CPU "}"), *many[RESOURCES_PER_MESSAGE + 1];
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = one;
    ck_assert_int_eq(resources_from_pb(many, ARRAY_SIZE(many) - 1, &r, &err), 0);
    ck_assert_int_lt(resources_from_pb(many, ARRAY_SIZE(many), &r, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
    resources_done(&r);
}
END_TEST

/* The short way to pack a plain kind must give what protobuf-c gives, or one resource had two
 * kinds. */
START_TEST(test_plain_key)
{
    V1__Resource *plain = message(CPU ",\"revocable\":{}}"),
                 *same = message(CPU ",\"revocable\":{}}");
    const struct kind *k = kind_intern(plain);
    same->scalar = NULL;
    uint8_t packed[100];
    size_t n = v1__resource__pack(same, packed);
    ck_assert_uint_eq(k->key_len, n);
    ck_assert_mem_eq(k->key, packed, n);
    kind_unref(k);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("resources");
    TCase *t = tcase_create("resources");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_text, 0, ARRAY_SIZE(text_rows));
    tcase_add_test(t, test_default_role);
    tcase_add_loop_test(t, test_refused, 0, ARRAY_SIZE(refused_rows));
    tcase_add_loop_test(t, test_formats, 0, ARRAY_SIZE(format_rows));
    tcase_add_test(t, test_without_allocation);
    tcase_add_loop_test(t, test_identity, 0, ARRAY_SIZE(identity_rows));
    tcase_add_test(t, test_whole_only);
    tcase_add_test(t, test_shared_copies);
    tcase_add_test(t, test_subtract_missing);
    tcase_add_test(t, test_allocation);
    tcase_add_test(t, test_parts);
    tcase_add_test(t, test_sums);
    tcase_add_test(t, test_summary);
    tcase_add_test(t, test_full);
    tcase_add_test(t, test_find);
    tcase_add_test(t, test_kinds_go);
    tcase_add_test(t, test_too_many);
    tcase_add_test(t, test_threads);
    tcase_add_test(t, test_plain_key);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
