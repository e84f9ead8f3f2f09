/* Names of images, challenges of registries, credentials, manifests, configurations. */
#include <check.h>

#include "agent/images/auth.h"
#include "agent/images/http.h"
#include "agent/images/manifest.h"
#include "agent/images/reference.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HUB   "https://registry-1.docker.io"

/* ---- names ---- */

static const struct {
    const char *text, *registry, *repository, *tag, *digest, *again;
} name_rows[] = {
    {"busybox", NULL, "busybox", NULL, NULL, "busybox"},
    {"busybox:1.35", NULL, "busybox", "1.35", NULL, "busybox:1.35"},
    {"user/app", NULL, "user/app", NULL, NULL, "user/app"},
    {"localhost/app:x", "localhost", "app", "x", NULL, "localhost/app:x"},
    {"reg.example:5000/a/b:t", "reg.example:5000", "a/b", "t", NULL, "reg.example:5000/a/b:t"},
    {"reg.example:5000/a", "reg.example:5000", "a", NULL, NULL, "reg.example:5000/a"},
    {"a@sha256:" HEX_A, NULL, "a", NULL, "sha256:" HEX_A, "a@sha256:" HEX_A},
    {"a:t@sha256:" HEX_A, NULL, "a", "t", "sha256:" HEX_A, "a@sha256:" HEX_A},
};

START_TEST(test_name)
{
    _cleanup_image_ref_ struct image_ref r = {0};
    struct fl_err err = {0};

    ck_assert_msg(image_ref_parse(name_rows[_i].text, &r, &err) == 0, "%s", err.msg);
    ck_assert(streq(r.registry, name_rows[_i].registry));
    ck_assert_str_eq(r.repository, name_rows[_i].repository);
    ck_assert(streq(r.tag, name_rows[_i].tag));
    ck_assert(streq(r.digest, name_rows[_i].digest));
    _cleanup_free_ char *again = image_ref_text(&r);
    ck_assert_str_eq(again, name_rows[_i].again);
}
END_TEST

/* Names become paths and URLs. */
static const char *const bad_names[] = {"",
                                        ":tag",
                                        "a:",
                                        "../../etc/passwd",
                                        "../one",
                                        "..:80/one",
                                        "-a.b/c",
                                        "a..b/c",
                                        "a/../b",
                                        "a//b",
                                        "/a",
                                        "a b",
                                        "a?x=1",
                                        "a:../x",
                                        "a:..",
                                        "reg.example:99999/a",
                                        "reg.example:x/a",
                                        "a@sha256:123",
                                        "a@md5:" HEX_A,
                                        "a@sha256:" HEX_A "@sha256:" HEX_B,
                                        "a\nb",
                                        "a/./b"};

START_TEST(test_bad_name)
{
    struct image_ref r;
    struct fl_err err = {0};

    ck_assert_int_lt(image_ref_parse(bad_names[_i], &r, &err), 0);
    ck_assert_int_eq(err.reason, FL_INVALID);
}
END_TEST

static const struct {
    const char *text, *registry, *base, *repository;
} place_rows[] = {
    {"busybox", HUB, HUB, "library/busybox"},
    {"user/app", HUB, HUB, "user/app"},
    {"docker.io/busybox", HUB, HUB, "library/busybox"},
    {"busybox", "http://127.0.0.1:5000", "http://127.0.0.1:5000", "busybox"},
    {"busybox", "https://r.example/", "https://r.example", "busybox"},
    {"localhost:5000/a", HUB, "http://localhost:5000", "a"},
    {"127.0.0.1:5000/a", HUB, "http://127.0.0.1:5000", "a"},
    {"127.0.0.1:443/a", HUB, "https://127.0.0.1:443", "a"},
    {"r.example:80/a", HUB, "http://r.example:80", "a"},
    {"r.example/a", HUB, "https://r.example", "a"},
    {"r.example:5000/a", HUB, "https://r.example:5000", "a"},
    {"docker.io.evil.example/a", HUB, "https://docker.io.evil.example", "a"},
    {"r.example:5000/a", "http://r.example:5000", "http://r.example:5000", "a"},
};

START_TEST(test_place)
{
    _cleanup_image_ref_ struct image_ref r = {0};
    _cleanup_free_ char *base = NULL;
    struct fl_err err = {0};

    ck_assert_int_eq(image_ref_parse(place_rows[_i].text, &r, &err), 0);
    ck_assert_int_eq(image_ref_resolve(&r, place_rows[_i].registry, &base, &err), 0);
    ck_assert_str_eq(base, place_rows[_i].base);
    ck_assert_str_eq(r.repository, place_rows[_i].repository);
}
END_TEST

START_TEST(test_bad_place)
{
    _cleanup_image_ref_ struct image_ref r = {0};
    struct fl_err err = {0};
    char *base;

    ck_assert_int_eq(image_ref_parse("a", &r, &err), 0);
    ck_assert_int_lt(image_ref_resolve(&r, "hdfs://x/y", &base, &err), 0);
}
END_TEST

/* ---- challenges ---- */

static const struct {
    const char *value;
    enum auth_scheme scheme;
    const char *realm, *service, *scope;
} challenge_rows[] = {
    {"Basic realm=\"x\"", AUTH_BASIC, "x", NULL, NULL},
    {"bearer realm=\"https://t/\",service=\"s\",scope=\"repository:a:pull,push\"", AUTH_BEARER,
     "https://t/", "s", "repository:a:pull,push"},
    {"Basic realm=\"x\", Bearer realm=\"https://t/\"", AUTH_BEARER, "https://t/", NULL, NULL},
    {"Bearer realm=\"https://t/\", Basic realm=\"x\"", AUTH_BEARER, "https://t/", NULL, NULL},
    {"Negotiate, Basic realm=x", AUTH_BASIC, "x", NULL, NULL},
    {"Bearer realm=\"a\\\"b\"", AUTH_BEARER, "a\"b", NULL, NULL},
    {"Bearer realm=\"never ends", AUTH_BEARER, "never ends", NULL, NULL},
    {"Digest realm=\"x\"", AUTH_NONE, NULL, NULL, NULL},
    {"", AUTH_NONE, NULL, NULL, NULL},
    {"=,,=\"", AUTH_NONE, NULL, NULL, NULL},
};

START_TEST(test_challenge)
{
    _cleanup_auth_challenge_ struct auth_challenge c = {0};

    auth_challenge_parse(challenge_rows[_i].value, &c);
    ck_assert_int_eq(c.scheme, challenge_rows[_i].scheme);
    if (c.scheme == AUTH_NONE)
        return;
    ck_assert(streq(c.realm, challenge_rows[_i].realm));
    ck_assert(streq(c.service, challenge_rows[_i].service));
    ck_assert(streq(c.scope, challenge_rows[_i].scope));
}
END_TEST

START_TEST(test_token)
{
    struct auth_challenge c = {.realm = (char *)"https://t/x?y=1", .service = (char *)"a b"};
    _cleanup_free_ char *url = auth_token_url(&c, "lib/app"), *token = NULL;
    struct fl_err err = {0};

    ck_assert_str_eq(url, "https://t/x?y=1&scope=repository%3Alib%2Fapp%3Apull&service=a%20b");
    c.realm = NULL;
    ck_assert_ptr_null(auth_token_url(&c, "x"));
    ck_assert_int_eq(auth_token_parse("{\"access_token\":\"t1\"}", 21, &token, &err), 0);
    ck_assert_str_eq(token, "t1");
    /* It would end the header and begin another. */
    const char *evil = "{\"token\":\"a\\r\\nHost: x\"}";
    ck_assert_int_lt(auth_token_parse(evil, strlen(evil), &url, &err), 0);
    ck_assert_int_lt(auth_token_parse("[", 1, &url, &err), 0);
}
END_TEST

static const struct {
    const char *config, *host, *found;
} credential_rows[] = {
    {"{\"auths\":{\"r.example:5000\":{\"auth\":\"dXNlcjpwYXNz\"}}}", "r.example:5000", "user:pass"},
    {"{\"auths\":{\"https://r.example/v1/\":{\"auth\":\"dXNlcjpwYXNz\"}}}", "r.example",
     "user:pass"},
    {"{\"https://r.example\":{\"auth\":\"dXNlcjpwYXNz\"}}", "r.example", "user:pass"},
    {"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYXNz\"}}}",
     "registry-1.docker.io", "user:pass"},
    {"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYXNz\"}}}",
     "docker.io.evil.example", NULL},
    {"{\"auths\":{\"docker.io\":{\"auth\":\"dXNlcjpwYXNz\"}}}", "notdocker.io", NULL},
    {"{\"auths\":{\"docker.io\":{\"auth\":\"dXNlcjpwYXNz\"}}}", "index.docker.io:443", "user:pass"},
    {"{\"auths\":{\"r.example\":{\"username\":\"u\",\"password\":\"p\"}}}", "r.example", "u:p"},
    {"{\"auths\":{\"r.example\":{\"auth\":\"dXNlcjpwYXNz\"}}}", "r.example:5000", NULL},
    {"{\"auths\":{\"r.example\":{\"auth\":\"%%\"}}}", "r.example", NULL},
    {"{\"auths\":{}}", "r.example", NULL},
};

START_TEST(test_credentials)
{
    _cleanup_free_ char *found = NULL;
    struct fl_err err = {0};

    ck_assert_int_eq(
        auth_credentials_find(credential_rows[_i].config, credential_rows[_i].host, &found, &err),
        0);
    ck_assert(streq(found, credential_rows[_i].found));
    _cleanup_free_ char *basic = auth_basic("user:pass");
    ck_assert_str_eq(basic, "Basic dXNlcjpwYXNz");
    ck_assert_int_lt(auth_credentials_find("SECRET", "x", &found, &err), 0);
    ck_assert_ptr_null(strstr(err.msg, "SECRET"));
}
END_TEST

START_TEST(test_same_place)
{
    ck_assert(http_same_place("https://a/x", "https://A/y?z"));
    ck_assert(!http_same_place("https://a/x", "https://a:444/x"));
    ck_assert(!http_same_place("https://a/x", "http://a/x"));
    ck_assert(!http_same_place("https://a/x", "https://a.b/x"));
    ck_assert(!http_same_place("https://a", "a"));
}
END_TEST

/* ---- descriptions ---- */

#define BLOB(hex, size) "{\"digest\":\"sha256:" hex "\",\"size\":" size "}"

START_TEST(test_manifest)
{
    static const char text[] =
        "{\"schemaVersion\":2,\"config\":" BLOB(HEX_A, "7") ",\"layers\":[" BLOB(HEX_B, "9") "]}";
    _cleanup_image_manifest_ struct image_manifest m = {0};
    struct fl_err err = {0};
    char *other = NULL;

    ck_assert_int_eq(image_manifest_parse(text, strlen(text), &m, &other, &err), 0);
    ck_assert_ptr_null(other);
    ck_assert_str_eq(m.config.digest, "sha256:" HEX_A);
    ck_assert_uint_eq(m.n_layers, 1);
    ck_assert_uint_eq(m.layers[0].size, 9);
}
END_TEST

START_TEST(test_index)
{
    _cleanup_free_ char *other = NULL, *none = NULL;
    _cleanup_free_ char *text =
        xasprintf("{\"schemaVersion\":2,\"manifests\":["
                  "{\"digest\":\"sha256:" HEX_B
                  "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"vax\"}},"
                  "{\"digest\":\"sha256:" HEX_A
                  "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
                  image_architecture());
    static const char foreign[] = "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:" HEX_B
                                  "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"vax\"}}]}";
    struct image_manifest m;
    struct fl_err err = {0};

    ck_assert_int_eq(image_manifest_parse(text, strlen(text), &m, &other, &err), 0);
    ck_assert_str_eq(other, "sha256:" HEX_A);
    ck_assert_int_lt(image_manifest_parse(foreign, strlen(foreign), &m, &none, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
}
END_TEST

static const struct {
    const char *text, *says;
} bad_manifests[] = {
    {"{\"schemaVersion\":1,\"fsLayers\":[]}", "schema 1"},
    {"{}", "schema version 2"},
    {"[]", "schema version 2"},
    {"{", "no JSON"},
    {"{\"schemaVersion\":2}", "no layers"},
    {"{\"schemaVersion\":2,\"layers\":[{}]}", "configuration"},
    {"{\"schemaVersion\":2,\"config\":" BLOB(HEX_A, "1") ",\"layers\":[{\"digest\":\"x\"}]}",
     "no SHA-256"},
    {"{\"schemaVersion\":2,\"config\":" BLOB(HEX_A, "-1") ",\"layers\":[" BLOB(HEX_A, "1") "]}",
     "-1 bytes"},
    {"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:../../x\"},\"layers\":[1]}",
     "no SHA-256"},
};

START_TEST(test_bad_manifest)
{
    struct image_manifest m;
    struct fl_err err = {0};
    char *other;
    const char *text = bad_manifests[_i].text;

    ck_assert_int_lt(image_manifest_parse(text, strlen(text), &m, &other, &err), 0);
    ck_assert_msg(strstr(err.msg, bad_manifests[_i].says), "%s", err.msg);
}
END_TEST

START_TEST(test_saved)
{
    static const char text[] =
        "[{\"Config\":\"a.json\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"l1\",\"l2\"]},"
        "{\"Config\":\"b.json\",\"RepoTags\":[\"docker.io/library/"
        "y:latest\"],\"Layers\":[\"l3\"]}]";
    static const char *const y[] = {"y:latest", "docker.io/library/y:latest", NULL};
    static const char *const z[] = {"z:latest", NULL};
    _cleanup_image_manifest_ struct image_manifest m = {0};
    struct fl_err err = {0};

    ck_assert_int_lt(image_saved_find(text, strlen(text), z, &m, &err), 0);
    ck_assert_int_eq(image_saved_find(text, strlen(text), y, &m, &err), 0);
    ck_assert_str_eq(m.config.path, "b.json");
    ck_assert_str_eq(m.layers[0].path, "l3");
    ck_assert_ptr_null(m.layers[0].digest);
}
END_TEST

START_TEST(test_layout)
{
    static const char text[] =
        "{\"manifests\":[{\"digest\":\"sha256:" HEX_A
        "\",\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\"}},"
        "{\"digest\":\"sha256:" HEX_B
        "\",\"annotations\":{\"org.opencontainers.image.ref.name\":\"r/app:v2\"}}]}";
    _cleanup_free_ char *one = NULL, *two = NULL, *none = NULL;
    struct fl_err err = {0};

    ck_assert_int_eq(image_index_find(text, strlen(text), "v1", &one, &err), 0);
    ck_assert_str_eq(one, "sha256:" HEX_A);
    ck_assert_int_eq(image_index_find(text, strlen(text), "v2", &two, &err), 0);
    ck_assert_str_eq(two, "sha256:" HEX_B);
    ck_assert_int_lt(image_index_find(text, strlen(text), "v3", &none, &err), 0);
}
END_TEST

START_TEST(test_config)
{
    static const char text[] =
        "{\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/"
        "e\",\"x\"],\"Cmd\":null,\"Env\":[\"A=b\"],"
        "\"Labels\":{\"l\":\"v\",\"n\":1},"
        "\"WorkingDir\":\"/w\",\"User\":\"\"},\"rootfs\":{\"diff_ids\":[\"sha256:" HEX_A "\"]}}";
    json_t *j = NULL;
    char **ids = NULL;
    struct fl_err err = {0};

    ck_assert_int_eq(image_config_parse(text, strlen(text), &j, &ids, &err), 0);
    ck_assert_str_eq(ids[0], "sha256:" HEX_A);
    ck_assert_ptr_null(ids[1]);
    _cleanup_(image_config_freep) struct image_config *c = image_config_from_json(j);
    ck_assert_str_eq(c->entrypoint[1], "x");
    ck_assert_ptr_null(c->cmd);
    ck_assert_str_eq(c->env[0], "A=b");
    ck_assert_str_eq(c->working_dir, "/w");
    ck_assert_ptr_null(c->user);
    ck_assert_str_eq(c->labels[0], "l=v");
    ck_assert_ptr_null(c->labels[1]);
    json_decref(j);
    free(ids[0]);
    free(ids);
}
END_TEST

static const char *const bad_configs[] = {
    "{}",
    "{\"rootfs\":{\"diff_ids\":[]}}",
    "{\"rootfs\":{\"diff_ids\":[\"sha256:..\"]}}",
    "{\"rootfs\":{\"diff_ids\":[1]}}",
    "{\"os\":\"windows\",\"rootfs\":{\"diff_ids\":[\"sha256:" HEX_A "\"]}}",
};

START_TEST(test_bad_config)
{
    json_t *j;
    char **ids;
    struct fl_err err = {0};

    ck_assert_int_lt(image_config_parse(bad_configs[_i], strlen(bad_configs[_i]), &j, &ids, &err),
                     0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("image_names");
    TCase *t = tcase_create("image_names");

    tcase_add_loop_test(t, test_name, 0, (int)ARRAY_SIZE(name_rows));
    tcase_add_loop_test(t, test_bad_name, 0, (int)ARRAY_SIZE(bad_names));
    tcase_add_loop_test(t, test_place, 0, (int)ARRAY_SIZE(place_rows));
    tcase_add_test(t, test_bad_place);
    tcase_add_loop_test(t, test_challenge, 0, (int)ARRAY_SIZE(challenge_rows));
    tcase_add_test(t, test_token);
    tcase_add_loop_test(t, test_credentials, 0, (int)ARRAY_SIZE(credential_rows));
    tcase_add_test(t, test_same_place);
    tcase_add_test(t, test_manifest);
    tcase_add_test(t, test_index);
    tcase_add_loop_test(t, test_bad_manifest, 0, (int)ARRAY_SIZE(bad_manifests));
    tcase_add_test(t, test_saved);
    tcase_add_test(t, test_layout);
    tcase_add_test(t, test_config);
    tcase_add_loop_test(t, test_bad_config, 0, (int)ARRAY_SIZE(bad_configs));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
