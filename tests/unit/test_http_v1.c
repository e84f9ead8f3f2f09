/* What a client accepts, by the headers it sends. */
#include <check.h>

#include "common/base/http_priv.h"
#include "common/base/http_v1.h"

enum { NEITHER = -1 };

static const struct {
    const char *accept; /* NULL: no header */
    int wanted;
} accept_rows[] = {
    {NULL, API_JSON},
    {"*/*", API_JSON},
    {"application/*", API_JSON},
    {"application/json", API_JSON},
    {"APPLICATION/JSON", API_JSON},
    {"application/json; charset=utf-8", API_JSON},
    {"application/x-protobuf", API_PROTOBUF},
    {"application/x-protobuf, application/json", API_JSON},
    {"text/html, */*;q=0.1", API_JSON},
    {"text/html", NEITHER},
    {"application/recordio", NEITHER},
    {"*", NEITHER},
    {"*/*;q=0", NEITHER},
    {"application/json;q=0", NEITHER},
    {"application/json; q=0.0 , application/x-protobuf", API_PROTOBUF},
    /* What is refused by its name is not let in by what comes after. */
    {"application/json;q=0, */*", API_PROTOBUF},
    {"*/*, application/json;q=0", API_PROTOBUF},
    {"application/*;q=0, */*", NEITHER},
    {"application/json;q=x, application/x-protobuf", API_PROTOBUF},
};

START_TEST(accepts)
{
    struct http_header header = {.name = "Accept", .value = accept_rows[_i].accept};
    struct http_request r = {.headers = &header, .n_headers = header.value != NULL};
    enum api_encoding encoding = API_JSON;
    int got = api_accept(&r, &encoding) < 0 ? NEITHER : (int)encoding;

    ck_assert_msg(got == accept_rows[_i].wanted, "'%s' gives %d", accept_rows[_i].accept, got);
}
END_TEST

static const struct {
    const char *accept;
    bool gzip;
} coding_rows[] = {
    {NULL, false},         {"", false},      {"gzip", true},         {"GZIP", true},
    {"deflate", false},    {"*", true},      {"gzip;q=0", false},    {"gzip;q=0.5", true},
    {"*;q=0, gzip", true}, {"*;q=0", false}, {"gzip;q=0, *", false}, {"deflate, gzip", true},
};

START_TEST(codings)
{
    ck_assert_int_eq(http_accepts_coding(coding_rows[_i].accept, "gzip"), coding_rows[_i].gzip);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http v1");
    TCase *tc = tcase_create("headers");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_loop_test(tc, accepts, 0, ARRAY_SIZE(accept_rows));
    tcase_add_loop_test(tc, codings, 0, ARRAY_SIZE(coding_rows));
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
