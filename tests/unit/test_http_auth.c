/* Credentials, tokens, and what the server answers to requests with and without them. */
#include <sys/stat.h>

#include "common/base/http_auth.h"
#include "tests/unit/http_fixture.h"

/* ---- credentials ---- */

static const struct {
    const char *text, *principal, *secret;
    bool fits;
} fit_rows[] = {
    {"{\"credentials\":[{\"principal\":\"op\",\"secret\":\"s3\"}]}", "op", "s3", true},
    {"{\"credentials\":[{\"principal\":\"op\",\"secret\":\"s3\"}]}", "op", "s", false},
    {"{\"credentials\":[{\"principal\":\"op\",\"secret\":\"s3\"}]}", "op", "", false},
    {"{\"credentials\":[{\"principal\":\"op\",\"secret\":\"s3\"}]}", "po", "s3", false},
    {"{\"credentials\":[]}", "", "", false},
    {"op s3\nfw  fwpass \r\n\n", "op", "s3", true},
    {"op s3\nfw  fwpass \r\n\n", "fw", "fwpass", true},
    {"op s3\nfw  fwpass \r\n\n", "fw", "fwpass ", false},
    {"", "op", "s3", false},
};

START_TEST(test_credentials)
{
    _cleanup_(http_credentials_freep) struct http_credentials *c = NULL;
    struct fl_err err = {0};
    ck_assert_msg(http_credentials_parse(fit_rows[_i].text, &c, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(http_credentials_fit(c, fit_rows[_i].principal, fit_rows[_i].secret),
                     fit_rows[_i].fits);
}
END_TEST

/* What is refused, and never with the secret in the message. */
static const char *const bad_rows[] = {
    "{\"credentials\":{\"principal\":\"op\",\"secret\":\"TOPSECRET\"}}",
    "{\"credentials\":[{\"principal\":1,\"secret\":\"TOPSECRET\"}]}",
    "{\"credentials\":[{\"principal\":\"op\",\"secret\":[\"TOPSECRET\"]}]}",
    "{\"credentials\":[{\"principal\":\"a:b\",\"secret\":\"TOPSECRET\"}]}",
    "{\"credentials\":[{\"principal\":\"op\",\"secret\":\"TOPSECRET\"},"
    "{\"principal\":\"op\",\"secret\":\"x\"}]}",
    "{\"credentials\":[{\"principal\":\"op\",\"secret\":\"TOPSECRET\"",
    "{\"credentials\":[{\"principal\":\"op\",\"secret\": TOPSECRET}]}",
    "op",
    "op TOPSECRET more",
};

START_TEST(test_bad_credentials)
{
    struct http_credentials *c = NULL;
    struct fl_err err = {0};
    ck_assert_int_lt(http_credentials_parse(bad_rows[_i], &c, &err), 0);
    ck_assert_ptr_null(c);
    ck_assert(err.msg[0] != '\0');
    ck_assert_msg(!strstr(err.msg, "TOPSECRET"), "%s", err.msg);
}
END_TEST

static char *write_temp(const char *text, mode_t mode)
{
    char *path = xstrdup("/tmp/test_http_auth_XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

START_TEST(test_files)
{
    static const char *const forms[] = {"{\"principal\":\"op\",\"secret\":\"s3cret\"}",
                                        "op s3cret\n"};
    struct fl_err err = {0};
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        _cleanup_free_ char *path = write_temp(forms[i], 0600);
        struct http_credential c = {0};
        ck_assert_msg(http_credential_read(path, &c, &err) == 0, "%s", err.msg);
        ck_assert_str_eq(c.principal, "op");
        ck_assert_str_eq(c.secret, "s3cret");
        ck_assert_str_eq(c.header, "Basic b3A6czNjcmV0");
        http_credential_done(&c);
        ck_assert(!http_secret_is_exposed(path));
        unlink(path);
        ck_assert_int_lt(http_credential_read(path, &c, &err), 0);
    }
    _cleanup_free_ char *path = write_temp("key\r\n", 0644), *key = NULL;
    ck_assert_int_eq(http_secret_read(path, &key, &err), 0);
    ck_assert_str_eq(key, "key");
    ck_assert(http_secret_is_exposed(path));
    unlink(path);
    _cleanup_free_ char *empty = write_temp("\n", 0600);
    char *none = NULL;
    ck_assert_int_lt(http_secret_read(empty, &none, &err), 0);
    unlink(empty);
}
END_TEST

/* ---- tokens ---- */

START_TEST(test_token_round)
{
    static const struct http_claim claims[] = {{(char *)"fid", (char *)"f-1"},
                                               {(char *)"eid", (char *)"e/\"1"},
                                               {(char *)"cid", (char *)"c"}};
    _cleanup_free_ char *token = http_token_make(claims, ARRAY_SIZE(claims), "key");
    _cleanup_(http_principal_freep) struct http_principal *p = NULL;
    struct http_principal *no = NULL;
    struct fl_err err = {0};
    ck_assert_msg(http_token_check(token, "key", 0, &p, &err) == 0, "%s", err.msg);
    ck_assert_ptr_null(p->value);
    ck_assert_str_eq(http_principal_claim(p, "eid"), "e/\"1");
    ck_assert_ptr_null(http_principal_claim(p, "sub"));
    ck_assert_int_lt(http_token_check(token, "kez", 0, &no, &err), 0);
    /* Every character counts, but for the spare bits of the last one. */
    for (size_t i = 0; i + 1 < strlen(token); i++) {
        _cleanup_free_ char *bent = xstrdup(token);
        bent[i] = bent[i] == 'A' ? 'B' : 'A';
        ck_assert_msg(http_token_check(bent, "key", 0, &no, &err) < 0, "at %zu", i);
        ck_assert_int_eq(err.reason, FL_UNAUTHENTICATED);
    }
    ck_assert_ptr_null(no);
}
END_TEST

/* Made by another program: {"alg":"HS256","typ":"JWT"} {"sub":"1234567890","name":"John Doe","iat":1516239022}. */
#define FOREIGN                                                                                    \
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."                                                        \
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."                  \
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"

START_TEST(test_token_foreign)
{
    _cleanup_(http_principal_freep) struct http_principal *p = NULL;
    struct fl_err err = {0};
    ck_assert_msg(http_token_check(FOREIGN, "your-256-bit-secret", 0, &p, &err) == 0, "%s",
                  err.msg);
    ck_assert_str_eq(p->value, "1234567890");
    ck_assert_str_eq(http_principal_claim(p, "iat"), "1516239022");
}
END_TEST

/* Tokens signed with "key" (openssl dgst -sha256 -hmac key). */
static const struct {
    const char *token, *says;
} token_rows[] = {
    {"", "three parts"},
    {"a.b", "three parts"},
    {"a.b.c.d", "three parts"},
    {"!.b.c", "header"},
    /* {"alg":"none"} {"sub":"op"} */
    {"eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcCJ9.", "HS256"},
    /* {"alg":"HS256"} {"sub":"op"}, no signature */
    {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvcCJ9.", "signature"},
    /* {"alg":"HS256","crit":["x"]} */
    {"eyJhbGciOiJIUzI1NiIsImNyaXQiOlsieCJdfQ.eyJzdWIiOiJvcCJ9.", "crit"},
};

START_TEST(test_token_refused)
{
    struct http_principal *p = NULL;
    struct fl_err err = {0};
    ck_assert_int_lt(http_token_check(token_rows[_i].token, "key", 0, &p, &err), 0);
    ck_assert_ptr_null(p);
    ck_assert_msg(strstr(err.msg, token_rows[_i].says) != NULL, "%s", err.msg);
}
END_TEST

/* {"alg":"HS256"} {"sub":"op","exp":1000,"nbf":500}, key "key". */
#define TIMED                                                                                      \
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvcCIsImV4cCI6MTAwMCwibmJmIjo1MDB9."                           \
    "STeBsHkHJc1r86R7p2csnyErOBdTUccipnpYH6lw6JY"

START_TEST(test_token_time)
{
    static const struct {
        double now;
        bool good;
    } times[] = {{499, false}, {500, true}, {1000, true}, {1001, false}};
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        _cleanup_(http_principal_freep) struct http_principal *p = NULL;
        struct fl_err err = {0};
        int r = http_token_check(TIMED, "key", times[i].now, &p, &err);
        ck_assert_msg((r == 0) == times[i].good, "%g: %s", times[i].now, err.msg);
    }
}
END_TEST

/* ---- the server ---- */

static void who(struct http_exchange *ex, void *arg)
{
    const struct http_principal *p = http_exchange_principal(ex);
    http_respondf(ex, 200, "text/plain", "%s",
                  !p         ? "nobody"
                  : p->value ? p->value
                             : http_principal_claim(p, "eid"));
}

static const struct http_route routes[] = {
    {.path = "/open", .handler = who},
    {.path = "/basic", .handler = who, .realm = "r-basic"},
    {.path = "/jwt", .handler = who, .realm = "r-jwt"},
    {.path = "/both", .handler = who, .realm = "r-both"},
    {.path = "/maybe", .handler = who, .realm = "r-maybe"},
    {.path = "/off", .handler = who, .realm = "r-off"},
};

static bool before(struct http_exchange *ex, void *arg)
{
    return http_auth_refused(arg, ex);
}

#define OP       "Basic b3A6czNjcmV0"
#define WRONG    "Basic b3A6d3Jvbmc="
#define B_BASIC  "WWW-Authenticate: Basic realm=\"r-basic\"\r\n"
#define B_BEARER "WWW-Authenticate: Bearer realm=\"r-jwt\""

static const struct {
    const char *path, *authorization;
    int status;
    const char *has;
} server_rows[] = {
    {"/open", NULL, 200, "nobody"},
    {"/open", WRONG, 200, "nobody"},
    {"/off", OP, 200, "nobody"},
    {"/basic", NULL, 401, B_BASIC},
    {"/basic", WRONG, 401, B_BASIC},
    {"/basic", "Basic !!!", 401, B_BASIC},
    {"/basic", "Basic", 401, B_BASIC},
    {"/basic", "Basic ", 401, B_BASIC},
    {"/basic", "Basic b3A=", 401, B_BASIC},
    {"/basic", "Basic b3A6czNjcmV0AA==", 401, B_BASIC}, /* "op:s3cret\0" */
    {"/basic", "Bearer " FOREIGN, 401, B_BASIC},
    {"/basic", OP, 200, "op"},
    {"/basic/deeper", NULL, 401, B_BASIC},
    {"/slave(1)/basic", NULL, 401, B_BASIC},
    {"/slave%281%29/basic", NULL, 401, B_BASIC},
    {"//basic", NULL, 401, B_BASIC},
    {"/basic", "basic   b3A6czNjcmV0", 200, "op"},
    {"/jwt", NULL, 401, B_BEARER "\r\n"},
    {"/jwt", OP, 401, B_BEARER ", error=\"invalid_token\""},
    {"/jwt", "Bearer x.y.z", 401, "Invalid JWT"},
    {"/jwt", "Bearer @TOKEN@", 200, "e-1"},
    {"/both", NULL, 401, "WWW-Authenticate: Bearer realm=\"r-both\",Basic realm=\"r-both\"\r\n"},
    {"/both", OP, 200, "op"},
    {"/both", "Bearer @TOKEN@", 200, "e-1"},
    {"/maybe", NULL, 200, "nobody"},
    {"/maybe", OP, 200, "op"},
    {"/maybe", WRONG, 401, "r-maybe"},
};

static struct http_auth *make_auth(struct fl_loop *loop)
{
    static const struct http_auth_realm realms[] = {{"r-basic", "basic", false},
                                                    {"r-jwt", "jwt", false},
                                                    {"r-both", "jwt,basic", false},
                                                    {"r-maybe", "basic", true}};
    struct env env = env_from_loop(loop);
    struct http_credentials *c = NULL;
    struct fl_err err = {0};
    ck_assert_int_eq(http_credentials_parse("op s3cret", &c, &err), 0);
    struct http_auth *a = http_auth_new(&env, c, xstrdup("key"));
    for (size_t i = 0; i < ARRAY_SIZE(realms); i++)
        ck_assert_msg(http_auth_add(a, &realms[i], &err) == 0, "%s", err.msg);
    return a;
}

START_TEST(test_server)
{
    static const struct http_claim claims[] = {{(char *)"eid", (char *)"e-1"}};
    struct fixture f = {0};
    struct fl_err err = {0};
    ck_assert_int_eq(fl_loop_new(&f.loop, &err), 0);
    struct http_auth *a = make_auth(f.loop);
    struct http_server_config c = {.ip = "127.0.0.1",
                                   .process_id = "slave(1)",
                                   .io_threads = (unsigned)_i,
                                   .limits = http_limits_default,
                                   .routes = routes,
                                   .n_routes = ARRAY_SIZE(routes),
                                   .before = before,
                                   .arg = a};
    ck_assert_msg(http_server_new(f.loop, &c, &f.server, &err) == 0, "%s", err.msg);
    f.port = http_server_port(f.server);
    ck_assert_int_eq(pthread_create(&f.thread, NULL, fixture_run, &f), 0);
    _cleanup_free_ char *token = http_token_make(claims, 1, "key");
    for (size_t i = 0; i < ARRAY_SIZE(server_rows); i++) {
        _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
        const char *value = server_rows[i].authorization;
        char status[32];
        fl_buf_addf(&b, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", server_rows[i].path);
        if (value && str_ends(value, "@TOKEN@"))
            fl_buf_addf(&b, "Authorization: Bearer %s\r\n", token);
        else if (value)
            fl_buf_addf(&b, "Authorization: %s\r\n", value);
        fl_buf_adds(&b, "\r\n");
        _cleanup_free_ char *got = talk(f.port, b.data, b.len);
        fl_snprintf(status, sizeof status, "HTTP/1.1 %d ", server_rows[i].status);
        ck_assert_msg(str_starts(got, status) && strstr(got, server_rows[i].has), "%s with %s: %s",
                      server_rows[i].path, value ? value : "nothing", got);
    }
    fixture_stop(&f);
    http_auth_free(a);
}
END_TEST

START_TEST(test_realm_refused)
{
    static const struct http_auth_realm bad[] = {
        {"r", "", false}, {"r", "basic", false}, {"r", "jwt", false}, {"r", "digest", false}};
    struct fl_loop *loop = NULL;
    struct fl_err err = {0};
    ck_assert_int_eq(fl_loop_new(&loop, &err), 0);
    struct env env = env_from_loop(loop);
    struct http_auth *a = http_auth_new(&env, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_int_lt(http_auth_add(a, &bad[i], &err), 0);
    http_auth_free(a);
    http_auth_free(NULL);
    fl_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_auth");
    TCase *t = tcase_create("http_auth");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, test_credentials, 0, (int)ARRAY_SIZE(fit_rows));
    tcase_add_loop_test(t, test_bad_credentials, 0, (int)ARRAY_SIZE(bad_rows));
    tcase_add_test(t, test_files);
    tcase_add_test(t, test_token_round);
    tcase_add_test(t, test_token_foreign);
    tcase_add_loop_test(t, test_token_refused, 0, (int)ARRAY_SIZE(token_rows));
    tcase_add_test(t, test_token_time);
    tcase_add_loop_test(t, test_server, 0, 2);
    tcase_add_test(t, test_realm_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
