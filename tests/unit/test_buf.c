/* Buffers, the arena, numbers, errors, copies of messages. */
#include <check.h>
#include <errno.h>

#include "common/base/buf.h"
#include "common/base/json.h"
#include "proto/mesos.pb-c.h"
#include "proto/scheduler.pb-c.h"

START_TEST(buf_grows_and_drains)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_free_ char *taken = NULL;

    ck_assert_str_eq(fl_buf_cstr(&b), "");
    for (int i = 0; i < 1000; i++)
        fl_buf_addf(&b, "%d,", i);
    ck_assert_uint_eq(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    fl_buf_drain(&b, b.len - 4);
    ck_assert_str_eq(fl_buf_cstr(&b), "999,");
    fl_buf_drain(&b, 0);
    ck_assert_uint_eq(b.len, 4);
    fl_buf_add(&b, NULL, 0);
    fl_buf_adds(&b, "x");
    fl_buf_addc(&b, 'y');
    taken = fl_buf_take(&b);
    ck_assert_str_eq(taken, "999,xy");
    ck_assert_ptr_null(b.data);
    ck_assert_uint_eq(b.cap, 0);
}
END_TEST

START_TEST(buf_addf_longer_than_its_first_guess)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    char big[5000];

    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    fl_buf_addf(&b, "<%s>", big);
    ck_assert_uint_eq(b.len, sizeof big + 1);
    ck_assert_int_eq(b.data[0], '<');
    ck_assert_int_eq(b.data[b.len - 1], '>');
    fl_buf_clear(&b);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_uint_ge(b.cap, sizeof big);
}
END_TEST

START_TEST(arena_aligns_counts_and_resets)
{
    struct fl_arena *a = fl_arena_new(0);
    char *first = fl_arena_alloc(a, 1), *big, *again;

    *first = 'x';
    ck_assert_uint_eq((uintptr_t)first % 16, 0);
    for (size_t n = 0; n < 3000; n += 7) {
        char *p = fl_arena_alloc(a, n);

        ck_assert_uint_eq((uintptr_t)p % 16, 0);
        memset(p, 0xee, n);
    }
    big = fl_arena_alloc(a, 3u << 20);
    memset(big, 0x11, 3u << 20);
    ck_assert_str_eq(fl_arena_strdup(a, "text"), "text");
    ck_assert_int_eq(*first, 'x');
    ck_assert_uint_gt(fl_arena_used(a), 3u << 20);
    fl_arena_reset(a);
    ck_assert_uint_eq(fl_arena_used(a), 0);
    again = fl_arena_alloc(a, 1);
    ck_assert_ptr_eq(again, first);
    fl_arena_free(a);
    fl_arena_free(NULL);
}
END_TEST

static const struct {
    const char *text;
    int r;
    int64_t value;
} i64_rows[] = {
    {"0", 0, 0},
    {"-1", 0, -1},
    {"007", 0, 7},
    {"9223372036854775807", 0, INT64_MAX},
    {"-9223372036854775808", 0, INT64_MIN},
    {"9223372036854775808", -ERANGE, 0},
    {"-9223372036854775809", -ERANGE, 0},
    {"99999999999999999999999", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"-", -EINVAL, 0},
    {"--1", -EINVAL, 0},
    {"+1", -EINVAL, 0},
    {" 1", -EINVAL, 0},
    {"1 ", -EINVAL, 0},
    {"0x1", -EINVAL, 0},
    {"99999999999999999999999x", -EINVAL, 0},
};

START_TEST(parses_integers)
{
    int64_t v = 77;
    int r = fl_parse_i64(i64_rows[_i].text, &v);

    ck_assert_int_eq(r, i64_rows[_i].r);
    ck_assert_int_eq(v, r == 0 ? i64_rows[_i].value : 77);
}
END_TEST

START_TEST(parses_unsigned_and_fractions)
{
    uint64_t u = 5;
    double f = 5;

    ck_assert_int_eq(fl_parse_u64("18446744073709551615", &u), 0);
    ck_assert_uint_eq(u, UINT64_MAX);
    ck_assert_int_eq(fl_parse_u64("18446744073709551616", &u), -ERANGE);
    ck_assert_int_eq(fl_parse_u64("-1", &u), -EINVAL);
    ck_assert_int_eq(fl_parse_f64("-1.5e3", &f), 0);
    ck_assert_double_eq(f, -1500);
    ck_assert_int_eq(fl_parse_f64("1e999", &f), -ERANGE);
    ck_assert_int_eq(fl_parse_f64("inf", &f), -EINVAL);
    ck_assert_int_eq(fl_parse_f64("nan", &f), -EINVAL);
    ck_assert_int_eq(fl_parse_f64("0x10", &f), -EINVAL);
    ck_assert_int_eq(fl_parse_f64("1.2.3", &f), -EINVAL);
    ck_assert_int_eq(fl_parse_f64("", &f), -EINVAL);
    ck_assert_int_eq(fl_parse_f64(" 1", &f), -EINVAL);
    ck_assert_double_eq(f, -1500);
}
END_TEST

START_TEST(xgrow_doubles)
{
    size_t cap = 0;
    int *list = xgrow(NULL, &cap, 1, sizeof *list), *same;

    ck_assert_uint_ge(cap, 1);
    same = xgrow(list, &cap, cap, sizeof *list);
    ck_assert_ptr_eq(same, list);
    list = xgrow(list, &cap, 1000, sizeof *list);
    ck_assert_uint_ge(cap, 1000);
    ck_assert_uint_lt(cap, 2000);
    list[999] = 1;
    free(list);
}
END_TEST

START_TEST(errors_say_what_and_keep_the_first_code)
{
    struct fl_err e;

    ck_assert_int_eq(fl_err_set(&e, FL_NOT_FOUND, "agent '%s'\nis unknown", "S1"), -ENOENT);
    ck_assert_str_eq(e.msg, "agent 'S1' is unknown");
    ck_assert_int_eq(fl_reason_http_status(e.reason), 404);
    ck_assert_int_eq(fl_err_wrap(&e, "call %d", 3), -ENOENT);
    ck_assert_str_eq(e.msg, "call 3: agent 'S1' is unknown");
    ck_assert_int_eq(fl_err_errno(&e, ECONNRESET, "read"), -ECONNRESET);
    ck_assert_int_eq(e.reason, FL_CLOSED);
    ck_assert_str_eq(e.msg, "read: Connection reset by peer");
    ck_assert_int_eq(fl_err_errno(&e, EACCES, "open"), -EACCES);
    ck_assert_int_eq(e.reason, FL_IO);
    ck_assert_int_eq(fl_err_set(NULL, FL_LIMIT, "x"), -EAGAIN);
    ck_assert_str_eq(fl_reason_name(FL_INVALID), "INVALID");
}
END_TEST

/* Nested, repeated, bytes with a zero byte, a shared default, a field that nobody knows. */
static const uint8_t task_bytes[] = {
    0x0a, 0x01, 'n',                                        /* name */
    0x12, 0x03, 0x0a, 0x01, 't',                            /* task_id */
    0x1a, 0x03, 0x0a, 0x01, 'a',                            /* agent_id */
    0x22, 0x08, 0x0a, 0x04, 'c', 'p', 'u', 's', 0x10, 0x00, /* resources: cpus, SCALAR, no role */
    0x32, 0x02, 0x00, 0xff,                                 /* data */
    0xfa, 0x3f, 0x02, 'u',  'u',                            /* field 1023 */
};

static V1__TaskInfo *sample_task(ProtobufCAllocator *alloc)
{
    ProtobufCMessage *m = NULL;
    struct fl_err e;

    ck_assert_int_eq(
        fl_pb_decode(task_bytes, sizeof task_bytes, &v1__task_info__descriptor, alloc, &m, &e), 0);
    return (V1__TaskInfo *)m;
}

START_TEST(dup_is_deep_and_equal)
{
    struct fl_arena *a = fl_arena_new(64);
    V1__TaskInfo *t = sample_task(fl_arena_allocator(a));
    V1__TaskInfo *copy = FL_PB_DUP(t),
                 *inner = (V1__TaskInfo *)fl_pb_dup(&copy->base, fl_arena_allocator(a));
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;

    ck_assert(fl_pb_equal(&t->base, &copy->base));
    ck_assert(fl_pb_equal(&t->base, &inner->base));
    ck_assert_ptr_eq(copy->resources[0]->role, t->resources[0]->role);
    t->name[0] = 'z';
    t->data.data[0] = 1;
    t->task_id->value[0] = 'z';
    t->base.unknown_fields[0].data[0] = 0;
    ck_assert(!fl_pb_equal(&t->base, &copy->base));
    fl_arena_free(a);

    fl_buf_pack(&b, &copy->base);
    ck_assert_uint_eq(b.len, sizeof task_bytes);
    ck_assert_mem_eq(b.data, task_bytes, sizeof task_bytes);
    fl_pb_free(copy);
    fl_pb_free(NULL);
}
END_TEST

START_TEST(dup_of_a_oneof)
{
    Sched__AttributeConstraint__Selector s = SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__INIT;
    _cleanup_pb_ Sched__AttributeConstraint__Selector *a = NULL, *b = NULL, *none = FL_PB_DUP(&s);
    char name[] = "rack";

    ck_assert_int_eq(none->selector_case, SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR__NOT_SET);
    s.selector_case = SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR_ATTRIBUTE_NAME;
    s.attribute_name = name;
    a = FL_PB_DUP(&s);
    ck_assert_str_eq(a->attribute_name, "rack");
    ck_assert_ptr_ne(a->attribute_name, name);
    s.selector_case = SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__SELECTOR_PSEUDOATTRIBUTE_TYPE;
    s.pseudoattribute_type = SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__PSEUDOATTRIBUTE_TYPE__HOSTNAME;
    b = FL_PB_DUP(&s);
    ck_assert_int_eq(b->pseudoattribute_type, s.pseudoattribute_type);
    ck_assert(!fl_pb_equal(&a->base, &b->base));
    ck_assert(!fl_pb_equal(&a->base, NULL));
    ck_assert(fl_pb_equal(NULL, NULL));
}
END_TEST

/* Bytes of a ContainerID whose parents are `depth` deep. */
static void nest_container_id(struct fl_buf *b, int depth)
{
    static const char value[] = "\x0a\x01x";
    char head[16];

    fl_buf_add(b, value, 3);
    for (int i = 1; i < depth; i++) {
        _cleanup_buf_ struct fl_buf inner = *b;
        size_t n = 0, len = inner.len;

        *b = (struct fl_buf)FL_BUF_INIT;
        fl_buf_add(b, value, 3);
        head[n++] = 0x12;
        for (; len >= 128; len >>= 7)
            head[n++] = (char)(len | 128);
        head[n++] = (char)len;
        fl_buf_add(b, head, n);
        fl_buf_add(b, inner.data, inner.len);
    }
}

START_TEST(decode_limits_nesting)
{
    _cleanup_buf_ struct fl_buf shallow = FL_BUF_INIT, deep = FL_BUF_INIT;
    struct fl_arena *a = fl_arena_new(0);
    ProtobufCMessage *m = NULL;
    struct fl_err e;

    nest_container_id(&shallow, 60);
    ck_assert_int_eq(
        fl_pb_decode(shallow.data, shallow.len, &v1__container_id__descriptor, NULL, &m, &e), 0);
    fl_pb_free(m);
    m = NULL;
    nest_container_id(&deep, 5000);
    ck_assert_int_eq(fl_pb_decode(deep.data, deep.len, &v1__container_id__descriptor, NULL, &m, &e),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(e.msg, "nested too deeply"));
    ck_assert_int_eq(fl_pb_decode(deep.data, deep.len, &v1__container_id__descriptor,
                                  fl_arena_allocator(a), &m, &e),
                     -EINVAL);
    ck_assert_ptr_null(m);
    fl_arena_free(a);
}
END_TEST

START_TEST(decode_refuses_what_is_cut_or_incomplete)
{
    ProtobufCMessage *m = NULL;
    struct fl_err e;

    for (size_t n = 0; n < sizeof task_bytes; n++) {
        /* Cut behind the required fields and between two others is a message of its own. */
        bool whole = n == 13 || n == 23 || n == 27;

        ck_assert_int_eq(fl_pb_decode(task_bytes, n, &v1__task_info__descriptor, NULL, &m, &e),
                         whole ? 0 : -EINVAL);
        if (whole)
            fl_pb_free(m);
        else
            ck_assert_ptr_nonnull(strstr(e.msg, "mesos.v1.TaskInfo"));
    }
}
END_TEST

/* Over-long tags of field 0: protobuf-c would take them and write what it cannot read. */
START_TEST(decode_refuses_field_zero)
{
    static const struct {
        uint8_t bytes[24];
        size_t n;
        int r;
    } rows[] = {
        {{0x80, 0x00, 0x01}, 3, -EINVAL},
        {{0x80, 0x80, 0x80, 0x00, 0x01}, 5, -EINVAL},
        {{0x82, 0x00, 0x01, 'x'}, 4, -EINVAL},
        {{0x82, 0x00, 0x01, 'x', 0x0a, 0x03, 0x0a, 0x01, 'a'}, 9, -EINVAL},
        {{0x0a, 0x05, 0x0a, 0x01, 'a', 0x80, 0x80, 0x00, 0x01, 0x0a, 0x00}, 11, -EINVAL},
        /* in a nested message, behind eight bytes of another field, and where a word ends */
        {{0x0a, 0x08, 0x0a, 0x03, 'a', 'b', 'c', 0x80, 0x00, 0x01}, 10, -EINVAL},
        {{0x0a, 0x07, 0x0a, 0x02, 'a', 'b', 0x80, 0x00, 0x01}, 9, -EINVAL},
        {{0x0a, 0x06, 0x0a, 0x01, 'a', 0x80, 0x00, 0x01}, 8, -EINVAL},
        {{0x0a, 0x05, 0x0a, 0x00, 0x80, 0x00, 0x01}, 7, -EINVAL},
        /* an over-long tag of field 1, an over-long value, text that looks like one */
        {{0x8a, 0x00, 0x03, 0x0a, 0x01, 'a'}, 6, 0},
        {{0x0a, 0x03, 0x0a, 0x01, 'a', 0x98, 0x06, 0x80, 0x00}, 9, 0},
        {{0x0a, 0x04, 0x0a, 0x02, 0x80, 0x00}, 6, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ uint8_t *exact = xmemdup(rows[i].bytes, rows[i].n);
        ProtobufCMessage *m = NULL;
        int r = fl_pb_decode(exact, rows[i].n, &v1__labels__descriptor, NULL, &m, NULL);

        ck_assert_msg(r == rows[i].r, "row %zu: %d", i, r);
        fl_pb_free(m);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("buf");
    TCase *t = tcase_create("all");
    SRunner *r;
    int failed;

    tcase_add_test(t, buf_grows_and_drains);
    tcase_add_test(t, buf_addf_longer_than_its_first_guess);
    tcase_add_test(t, arena_aligns_counts_and_resets);
    tcase_add_loop_test(t, parses_integers, 0, ARRAY_SIZE(i64_rows));
    tcase_add_test(t, parses_unsigned_and_fractions);
    tcase_add_test(t, xgrow_doubles);
    tcase_add_test(t, errors_say_what_and_keep_the_first_code);
    tcase_add_test(t, dup_is_deep_and_equal);
    tcase_add_test(t, dup_of_a_oneof);
    tcase_add_test(t, decode_limits_nesting);
    tcase_add_test(t, decode_refuses_what_is_cut_or_incomplete);
    tcase_add_test(t, decode_refuses_field_zero);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
