/* Values: literal tables of ranges, sets, scalars and their text. */
#include <check.h>

#include "common/model/resource_value.h"

static const V1__Value__Type RANGES = V1__VALUE__TYPE__RANGES;

static struct value parse(const char *text, V1__Value__Type want)
{
    struct value v;
    V1__Value__Type type;
    char *words = NULL;
    struct fl_err err = {0};
    int rc = value_parse(text, strlen(text), &type, &v, &words, &err);
    ck_assert_msg(rc == 0, "'%s': %s", text, err.msg);
    ck_assert_int_eq(type, want);
    return v;
}

static void check_text(const struct value *v, V1__Value__Type type, const char *want)
{
    struct fl_buf out = FL_BUF_INIT;
    value_format(v, type, &out);
    ck_assert_str_eq(fl_buf_cstr(&out), want);
    fl_buf_done(&out);
}

static const struct {
    const char *a, *b, *sum, *difference;
    bool a_contains_b;
} range_rows[] = {
    {"[1-10]", "[3-4]", "[1-10]", "[1-2, 5-10]", true},
    {"[1-10]", "[1-10]", "[1-10]", "[]", true},
    {"[1-10]", "[11-20]", "[1-20]", "[1-10]", false},
    {"[1-10]", "[12-20]", "[1-10, 12-20]", "[1-10]", false},
    {"[1-10]", "[5-15]", "[1-15]", "[1-4]", false},
    {"[5-15]", "[1-10]", "[1-15]", "[11-15]", false},
    {"[1-2,4-5,7-8]", "[2-7]", "[1-8]", "[1-1, 8-8]", false},
    {"[1-2,4-5,7-8]", "[4-4,8-8]", "[1-2, 4-5, 7-8]", "[1-2, 5-5, 7-7]", true},
    {"[1-100]", "[1-1,50-60,100-100]", "[1-100]", "[2-49, 61-99]", true},
    {"[0-0]", "[0-0]", "[0-0]", "[]", true},
    {"[18446744073709551610-18446744073709551615]", "[18446744073709551615-18446744073709551615]",
     "[18446744073709551610-18446744073709551615]", "[18446744073709551610-18446744073709551614]",
     true},
    {"[0-18446744073709551615]", "[5-5]", "[0-18446744073709551615]",
     "[0-4, 6-18446744073709551615]", true},
    {"[]", "[1-2]", "[1-2]", "[]", false},
    {"[1-2]", "[]", "[1-2]", "[1-2]", true},
};

START_TEST(test_range_arithmetic)
{
    struct value a = parse(range_rows[_i].a, RANGES), b = parse(range_rows[_i].b, RANGES), sum;
    ck_assert_int_eq(value_contains(&a, &b, RANGES), range_rows[_i].a_contains_b);
    value_copy(&sum, &a, RANGES);
    value_add(&sum, &b, RANGES);
    check_text(&sum, RANGES, range_rows[_i].sum);
    value_subtract(&a, &b, RANGES);
    check_text(&a, RANGES, range_rows[_i].difference);
    value_done(&a, RANGES);
    value_done(&b, RANGES);
    value_done(&sum, RANGES);
}
END_TEST

static const struct {
    const char *text;
    V1__Value__Type type;
    const char *formatted; /* NULL: refused */
} text_rows[] = {
    {"4", V1__VALUE__TYPE__SCALAR, "4"},
    {"0.1", V1__VALUE__TYPE__SCALAR, "0.1"},
    {" 1024.125 ", V1__VALUE__TYPE__SCALAR, "1024.125"},
    {"0.0005", V1__VALUE__TYPE__SCALAR, "0.001"},
    {"0.0004", V1__VALUE__TYPE__SCALAR, NULL},
    {"0", V1__VALUE__TYPE__SCALAR, "0"},
    {"1e-310", V1__VALUE__TYPE__SCALAR, NULL},
    {"1e300", V1__VALUE__TYPE__SCALAR, NULL},
    {"[3-5, 1-2]", V1__VALUE__TYPE__RANGES, "[1-5]"},
    {"[1-5, 3-9]", V1__VALUE__TYPE__RANGES, "[1-9]"},
    {"[5-1]", V1__VALUE__TYPE__RANGES, NULL},
    {"[1-2-3]", V1__VALUE__TYPE__RANGES, NULL},
    {"[a-b]", V1__VALUE__TYPE__RANGES, NULL},
    {"[1-99999999999999999999]", V1__VALUE__TYPE__RANGES, NULL},
    {"[1-2", V1__VALUE__TYPE__RANGES, NULL},
    {"1-2]", V1__VALUE__TYPE__RANGES, NULL},
    {"{b, a}", V1__VALUE__TYPE__SET, "{a, b}"},
    {"{}", V1__VALUE__TYPE__SET, "{}"},
    {"{a,a}", V1__VALUE__TYPE__SET, NULL},
    {"a{b}", V1__VALUE__TYPE__SET, NULL},
    {"{[1-2]}", V1__VALUE__TYPE__SET, NULL},
    {"", V1__VALUE__TYPE__TEXT, NULL},
    {"  ", V1__VALUE__TYPE__TEXT, NULL},
};

START_TEST(test_value_text)
{
    struct value v;
    V1__Value__Type type;
    char *words = NULL;
    struct fl_err err = {0};
    const char *text = text_rows[_i].text;
    int rc = value_parse(text, strlen(text), &type, &v, &words, &err);
    if (!text_rows[_i].formatted) {
        ck_assert_msg(rc < 0, "'%s' was taken", text);
        ck_assert_int_eq(err.reason, FL_INVALID);
        ck_assert(err.msg[0] != 0);
        return;
    }
    ck_assert_msg(rc == 0, "'%s': %s", text, err.msg);
    ck_assert_int_eq(type, text_rows[_i].type);
    check_text(&v, type, text_rows[_i].formatted);
    value_done(&v, type);
}
END_TEST

static const char *const words_rows[] = {"r1", "-3", "nan", "inf", "1.2.3", "0x10g"};

START_TEST(test_value_words)
{
    struct value v;
    V1__Value__Type type;
    char *words = NULL;
    const char *text = words_rows[_i];
    ck_assert_int_eq(value_parse(text, strlen(text), &type, &v, &words, NULL), 0);
    ck_assert_int_eq(type, V1__VALUE__TYPE__TEXT);
    ck_assert_str_eq(words, text);
    free(words);
}
END_TEST

START_TEST(test_range_messages)
{
    V1__Value__Range r[2] = {V1__VALUE__RANGE__INIT, V1__VALUE__RANGE__INIT};
    V1__Value__Range *p[2] = {&r[0], &r[1]};
    V1__Value__Ranges pb = V1__VALUE__RANGES__INIT;
    pb.n_range = 2;
    pb.range = p;
    struct value v;
    struct fl_err err = {0};

    r[0].begin = 5, r[0].end = 9, r[1].begin = 1, r[1].end = 4;
    ck_assert_int_eq(value_from_ranges(&pb, &v, &err), 0);
    check_text(&v, RANGES, "[1-9]");
    value_done(&v, RANGES);

    r[1].end = 5; /* touches 5 twice */
    ck_assert_int_lt(value_from_ranges(&pb, &v, &err), 0);
    ck_assert(strstr(err.msg, "overlap"));

    r[1].end = 0;
    ck_assert_int_lt(value_from_ranges(&pb, &v, &err), 0);
    ck_assert(strstr(err.msg, "begins after its end"));
}
END_TEST

START_TEST(test_sets)
{
    const V1__Value__Type type = V1__VALUE__TYPE__SET;
    struct value a = parse("{a,c,e}", type), b = parse("{b,c}", type), c = parse("{a,e}", type);
    ck_assert(!value_contains(&a, &b, type));
    ck_assert(value_contains(&a, &c, type));
    value_add(&a, &b, type);
    check_text(&a, type, "{a, b, c, e}");
    value_subtract(&a, &b, type);
    check_text(&a, type, "{a, e}");
    ck_assert(value_equal(&a, &c, type));
    value_done(&a, type);
    value_done(&b, type);
    value_done(&c, type);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ranges");
    TCase *t = tcase_create("values");
    tcase_add_loop_test(t, test_range_arithmetic, 0, ARRAY_SIZE(range_rows));
    tcase_add_loop_test(t, test_value_text, 0, ARRAY_SIZE(text_rows));
    tcase_add_loop_test(t, test_value_words, 0, ARRAY_SIZE(words_rows));
    tcase_add_test(t, test_range_messages);
    tcase_add_test(t, test_sets);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
