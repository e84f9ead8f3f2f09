/* What the relay to agents lets through (master/api/relay.h): paths and headers. */
#include <check.h>

#include "master/api/relay.h"

static const struct {
    const char *rest;
    bool passes, reads;
} path_rows[] = {
    {"/state", true, true},
    {"/state.json", true, true},
    {"/files/read", true, true},
    {"/files/download.json", true, true},
    {"/metrics", true, true},
    {"/metrics/snapshot", true, true},
    {"/health", true, true},
    {"/api/v1", true, false},
    {"/api/v1/", false, false},
    {"/api/v1.json", false, false},
    {"/api/v1/executor", false, false},
    {"/state/", false, false},
    {"/state.jsonx", false, false},
    {"/stat", false, false},
    {"/files", false, false},
    {"/files/", false, false},
    {"/files/../wire", false, false},
    {"/wire", false, false},
    {"/logging/toggle", false, false},
    {"", false, false},
    {"/", false, false},
};

START_TEST(paths)
{
    bool reads = false;
    const char *path = relay_path(path_rows[_i].rest, &reads);

    ck_assert_int_eq(path != NULL, path_rows[_i].passes);
    if (path) {
        ck_assert_str_eq(path, path_rows[_i].rest);
        ck_assert_int_eq(reads, path_rows[_i].reads);
    }
}
END_TEST

static const struct {
    const char *name;
    bool passes;
} header_rows[] = {
    {"Authorization", true},   {"Accept", true},       {"Content-Type", true},
    {"X-Mine", true},          {"X-Mine-Too", true},   {"Message-Accept", true},
    {"Connection", false},     {"host", false},        {"Transfer-Encoding", false},
    {"CONTENT-LENGTH", false}, {"Upgrade", false},     {"Cookie", false},
    {"x-hop", false},          {"X-Other-Hop", false}, {"Proxy-Authorization", false},
};

START_TEST(request_headers)
{
    const struct http_header all[] = {
        {"Connection", "keep-alive, X-Hop"}, {"Host", "a"}, {"connection", "x-other-hop,close"}};
    const struct http_request r = {.headers = all, .n_headers = ARRAY_SIZE(all)};
    const struct http_header h = {header_rows[_i].name, "v"};

    ck_assert_int_eq(relay_passes_request_header(&r, &h), header_rows[_i].passes);
}
END_TEST

START_TEST(answer_headers)
{
    static const char *const yes[] = {"Content-Type", "content-disposition", "ETag",
                                      "WWW-Authenticate"};
    static const char *const no[] = {
        "Set-Cookie",       "Content-Security-Policy",     "Connection",
        "Location",         "Access-Control-Allow-Origin", "Strict-Transport-Security",
        "Transfer-Encoding"};

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        ck_assert_msg(relay_passes_answer_header(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        ck_assert_msg(!relay_passes_answer_header(no[i]), "%s", no[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("relay");
    TCase *t = tcase_create("rules");
    tcase_add_loop_test(t, paths, 0, (int)ARRAY_SIZE(path_rows));
    tcase_add_loop_test(t, request_headers, 0, (int)ARRAY_SIZE(header_rows));
    tcase_add_test(t, answer_headers);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
