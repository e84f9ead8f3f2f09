/* RecordIO, whole and in pieces, good and bad. */
#include <check.h>
#include <stdio.h>

#include "common/base/recordio.h"

struct got {
    struct fl_buf text; /* records, each ended by '|' */
    int n;
    int fail_at;
};

static int take(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct got *g = arg;
    if (++g->n == g->fail_at)
        return fl_err_set(err, FL_CONFLICT, "enough");
    fl_buf_add(&g->text, record, n);
    fl_buf_addc(&g->text, '|');
    return 0;
}

START_TEST(any_cut)
{
    struct fl_buf b = FL_BUF_INIT;
    recordio_add(&b, "hello", 5);
    recordio_add(&b, "", 0);
    recordio_add(&b, "7\nabc", 5);
    ck_assert_str_eq(fl_buf_cstr(&b), "5\nhello0\n5\n7\nabc");
    for (size_t cut = 1; cut <= b.len; cut++) {
        struct recordio_reader r;
        struct got g = {0};
        recordio_reader_init(&r, 100);
        for (size_t at = 0; at < b.len; at += cut) {
            size_t n = FL_MIN(cut, b.len - at);
            ck_assert_int_eq(recordio_feed(&r, b.data + at, n, take, &g, NULL), 0);
        }
        ck_assert_str_eq(fl_buf_cstr(&g.text), "hello||7\nabc|");
        ck_assert_uint_eq(r.buf.len, 0);
        recordio_reader_done(&r);
        fl_buf_done(&g.text);
    }
    fl_buf_done(&b);
}
END_TEST

START_TEST(bad_lengths)
{
    static const struct {
        const char *text;
        enum fl_reason reason;
    } rows[] = {
        {"x", FL_INVALID},
        {"-1\n", FL_INVALID},
        {" 1\na", FL_INVALID},
        {"\n", FL_INVALID},
        {"1 \na", FL_INVALID},
        {"0x1\na", FL_INVALID},
        {"101\n", FL_TOO_LARGE},
        {"18446744073709551615\n", FL_TOO_LARGE},
        {"18446744073709551616\n", FL_TOO_LARGE},
        {"99999999999999999999\n", FL_TOO_LARGE},
        {"000000000000000000001", FL_INVALID},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct recordio_reader r;
        struct got g = {0};
        struct fl_err err = {0};
        recordio_reader_init(&r, 100);
        ck_assert_int_lt(recordio_feed(&r, rows[i].text, strlen(rows[i].text), take, &g, &err), 0);
        ck_assert_msg(err.reason == rows[i].reason, "%s: %s", rows[i].text, err.msg);
        ck_assert_int_lt(recordio_feed(&r, "1\na", 3, take, &g, &err), 0);
        ck_assert_int_eq(g.n, 0);
        recordio_reader_done(&r);
    }
}
END_TEST

START_TEST(callback_stops)
{
    struct recordio_reader r;
    struct got g = {.fail_at = 2};
    struct fl_err err;
    recordio_reader_init(&r, 100);
    ck_assert_int_lt(recordio_feed(&r, "1\na1\nb1\nc", 9, take, &g, &err), 0);
    ck_assert_int_eq(err.reason, FL_CONFLICT);
    ck_assert_int_eq(g.n, 2);
    recordio_reader_done(&r);
    fl_buf_done(&g.text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recordio");
    TCase *t = tcase_create("recordio");
    tcase_add_test(t, any_cut);
    tcase_add_test(t, bad_lengths);
    tcase_add_test(t, callback_stops);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
