/* Secrets: in the environment, as files, by value and from a folder (environment_secret, volume/secret). Without root, or without a static
 * busybox, every case passes by telling so. */
#include <check.h>

#include "isolators/secret_resolver.h"
#include "tests/unit/container_fixture.c" /* a test program is one object */

#include "tests/unit/rootfs_fixture.h"

static struct fixture f;
static bool open_now;

static void close_it(void)
{
    if (!open_now)
        return;
    open_now = false;
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
}

static V1__Volume volume(const char *container_path, char *host_path, V1__Volume__Mode mode)
{
    V1__Volume v = V1__VOLUME__INIT;

    v.container_path = (char *)(uintptr_t)container_path;
    v.host_path = host_path;
    v.mode = mode;
    return v;
}

static V1__Secret by_name(V1__Secret__Reference *r, const char *name, const char *key)
{
    V1__Secret s = V1__SECRET__INIT;

    v1__secret__reference__init(r);
    r->name = (char *)(uintptr_t)name;
    r->key = (char *)(uintptr_t)key;
    s.has_type = true;
    s.type = V1__SECRET__TYPE__REFERENCE;
    s.reference = r;
    return s;
}

static V1__Volume of_secret(V1__Volume__Source *src, V1__Secret *secret, const char *at)
{
    V1__Volume v = volume(at, NULL, V1__VOLUME__MODE__RO);

    v1__volume__source__init(src);
    src->has_type = true;
    src->type = V1__VOLUME__SOURCE__TYPE__SECRET;
    src->secret = secret;
    v.source = src;
    return v;
}

static void make_file(const char *dir, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* With a root of its own and without; nothing of them stays on disk. */
START_TEST(secrets_as_files)
{
    char dir[] = "/tmp/fl-secrets-XXXXXX";

    ck_assert_ptr_nonnull(mkdtemp(dir));
    make_file(dir, "pass", "by-name-5417");
    _cleanup_free_ char *modules =
        xasprintf("--modules={\"libraries\":[{\"modules\":[{\"name\":\"fairlead_"
                  "DirectorySecretResolver\",\"parameters\":[{\"key\":\"dir\",\"value\":\"%s\"}]}]"
                  "}]}",
                  dir);
    const char *const more[] = {"--secret_resolver=fairlead_DirectorySecretResolver", modules,
                                NULL};
    V1__Secret__Reference r;
    V1__Secret__Value val = V1__SECRET__VALUE__INIT;
    V1__Secret s1 = by_name(&r, "pass", NULL), s2 = V1__SECRET__INIT;
    V1__Volume__Source src[2];
    V1__Volume v[] = {of_secret(&src[0], &s1, "keys/a"),
                      of_secret(&src[1], &s2, _i ? "/run/secret" : "b")},
               *all[] = {&v[0], &v[1]};
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    val.data.data = (uint8_t *)(uintptr_t) "by-value-5417";
    val.data.len = 13;
    s2.has_type = true;
    s2.type = V1__SECRET__TYPE__VALUE;
    s2.value = &val;
    info.volumes = all;
    info.n_volumes = 2;
    fixture_open(&f, "linux", "namespaces/pid,filesystem/linux,volume/secret", more);
    open_now = true;
    _cleanup_free_ char *root = rootfs_make(f.dir, "root");
    fixture_launch(&f, &(struct launch){.id = "c",
                                        .info = &info,
                                        .user = "nobody",
                                        .shell = "cat keys/a b /run/secret 2>/dev/null; (echo > "
                                                 "keys/a) 2>/dev/null || echo ro; sleep 1000"});
    if (_i)
        rootfs_give(&f, "c", root);
    fixture_wait_started(&f, "c");
    _cleanup_free_ char *out = NULL;
    for (int i = 0; i < 500 && !(out && strstr(out, "ro\n")); i++) {
        free(out);
        fixture_run(&f, 10000);
        out = sandbox_read(&f, "c", "stdout");
    }
    ck_assert_str_eq(out, "by-name-5417by-value-5417ro\n");
    _cleanup_free_ char *on_disk = sandbox_read(&f, "c", "keys/a"),
                        *plan_file = xasprintf("%s/run/containers/c/plan", f.dir);
    ck_assert_str_eq(on_disk, "");
    char plan[65536];
    _cleanup_close_ int fd = open(plan_file, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n = read(fd, plan, sizeof(plan));
    ck_assert_int_gt(n, 100);
    ck_assert_ptr_null(memmem(plan, (size_t)n, "5417", 4));
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
    _cleanup_free_ char *pass = xasprintf("%s/pass", dir);
    unlink(pass);
    rmdir(dir);
}
END_TEST

START_TEST(secrets_in_the_environment)
{
    V1__Secret__Reference r;
    V1__Secret__Value val = V1__SECRET__VALUE__INIT;
    V1__Secret s1 = V1__SECRET__INIT, s2 = by_name(&r, "db", "user");
    V1__Environment__Variable v[] = {V1__ENVIRONMENT__VARIABLE__INIT,
                                     V1__ENVIRONMENT__VARIABLE__INIT},
                              *all[] = {&v[0], &v[1]};
    V1__Environment e = V1__ENVIRONMENT__INIT;

    val.data.data = (uint8_t *)(uintptr_t) "of-value";
    val.data.len = 8;
    s1.has_type = v[0].has_type = v[1].has_type = true;
    s1.type = V1__SECRET__TYPE__VALUE;
    s1.value = &val;
    v[0].name = (char *)(uintptr_t) "A";
    v[1].name = (char *)(uintptr_t) "B";
    v[0].type = v[1].type = V1__ENVIRONMENT__VARIABLE__TYPE__SECRET;
    v[0].secret = &s1;
    v[1].secret = &s2;
    e.variables = all;
    e.n_variables = 1;
    fixture_open(&f, "posix", "posix/cpu,posix/mem", NULL);
    open_now = true;
    fixture_finish(&f, &(struct launch){.id = "c", .environment = &e, .shell = "echo $A"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_str_eq(out, "of-value\n");
    e.n_variables = 2;
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "d", .environment = &e, .shell = "echo $B"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_msg(strstr(s->message, "Default secret resolver cannot resolve references") != NULL,
                  "%s", s->message);
    val.data.data = (uint8_t *)(uintptr_t) "of\0value";
    s = fixture_finish(&f, &(struct launch){.id = "e", .environment = &e, .shell = "true"});
    ck_assert_msg(strstr(s->message, "null bytes") != NULL, "%s", s->message);
}
END_TEST

/* What a name of a secret may lead to. */
START_TEST(secrets_of_a_folder)
{
    static const struct {
        const char *name, *key, *value;
    } cases[] = {{"db", "user", "u"}, {"plain", NULL, "p"},    {"within", NULL, "p"},
                 {"..", NULL, NULL},  {"db/user", NULL, NULL}, {"db", NULL, NULL},
                 {"", NULL, NULL},    {"outside", NULL, NULL}, {"no-such", NULL, NULL},
                 {"db", "..", NULL},  {"plain", "x", NULL},    {"pipe", NULL, NULL}};
    char dir[] = "/tmp/fl-secrets-XXXXXX";
    struct secret_resolver x;
    struct fl_err err;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    _cleanup_free_ char *db = xasprintf("%s/db", dir), *within = xasprintf("%s/within", dir),
                        *outside = xasprintf("%s/outside", dir), *pipe = xasprintf("%s/pipe", dir),
                        *modules = xasprintf(
                            "{\"libraries\":[{\"modules\":[{\"name\":\"directory\",\"parameters\":"
                            "[{\"key\":\"dir\",\"value\":\"%s\"}]}]}]}",
                            dir);
    const struct isolator_config config = {.secret_resolver = "directory", .modules = modules},
                                 bad = {.secret_resolver = "no_such", .modules = modules},
                                 none = {.secret_resolver = "directory"};
    ck_assert_int_eq(mkdir(db, 0700), 0);
    make_file(db, "user", "u");
    make_file(dir, "plain", "p");
    ck_assert_int_eq(symlink("plain", within), 0);
    ck_assert_int_eq(symlink("/etc/passwd", outside), 0);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    ck_assert_int_lt(secret_resolver_open(&bad, &x, &err), 0);
    ck_assert_int_lt(secret_resolver_open(&none, &x, &err), 0);
    ck_assert_int_eq(secret_resolver_open(&config, &x, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        V1__Secret__Reference r;
        V1__Secret s = by_name(&r, cases[i].name, cases[i].key);
        char *value = NULL;
        size_t n = 0;
        int got = secret_resolve(&x, &s, &value, &n, &err);
        ck_assert_msg((got == 0) == (cases[i].value != NULL), "%s", cases[i].name);
        if (got == 0)
            ck_assert_str_eq(value, cases[i].value);
        secret_free(value, n);
    }
    secret_resolver_close(&x);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
END_TEST

int main(void)
{
    if (geteuid() != 0 || access(BUSYBOX, X_OK) < 0) {
        printf("skipped: not root, or no " BUSYBOX "\n100%%: Checks: 0, Failures: 0, Errors: 0\n");
        return 0;
    }

    Suite *s = suite_create("container_secrets");
    TCase *t = tcase_create("secrets");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_it);
    tcase_add_loop_test(t, secrets_as_files, 0, 2);
    tcase_add_test(t, secrets_in_the_environment);
    tcase_add_test(t, secrets_of_a_folder);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
