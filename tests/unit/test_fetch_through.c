/* Fetching through the cache, through a Hadoop client, with checksums; many at a time, and ended in the middle. Real fetchers. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

static struct fixture f;
static char src[96];
static const char *user; /* NULL when the tests do not run as root */

/* A client that notes its calls in `calls`: hdfs://x/NAME is the file NAME beside it, and waits while `wait` is there. */
static const char client[] = "#!/bin/sh\n"
                             "here=%s\n"
                             "echo \"$*\" | sed 's/ [^ ]*fetching-.*//' >>$here/calls\n"
                             "name=${3##*/}\n"
                             "case $2 in\n"
                             "-du) [ -e $here/$name ] || exit 1\n"
                             "  echo log4j:WARN nothing; echo $(stat -c %%s $here/$name) $3;;\n"
                             "-copyToLocal) while [ -e $here/wait ]; do sleep 0.02; done\n"
                             "  cp $here/$name $4;;\n"
                             "esac\n";

static char *in_src(const char *name)
{
    return xasprintf("%s/%s", src, name);
}

static void src_file(const char *name, size_t size, mode_t mode, const char *text)
{
    _cleanup_free_ char *path = in_src(name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, mode);

    ck_assert_int_ge(fd, 0);
    if (text)
        ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
    if (size)
        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    fchmod(fd, mode);
    close(fd);
}

static void open_it(void)
{
    static char flags[3][160];
    static const char *more[] = {
        flags[0], flags[1], flags[2], "--fetcher_cache_size=64KB", "--max_parallel_fetches=2",
        NULL};

    user = geteuid() == 0 ? "nobody" : NULL;
    fl_snprintf(src, sizeof(src), "/tmp/fl-fetch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(src));
    chmod(src, 0755);
    fl_snprintf(flags[0], sizeof(flags[0]), "--frameworks_home=%s", src);
    fl_snprintf(flags[1], sizeof(flags[1]), "--fetcher_cache_dir=%s/cache", src);
    fl_snprintf(flags[2], sizeof(flags[2]), "--hadoop_home=%s", src);
    _cleanup_free_ char *bin = in_src("bin"), *text = xasprintf(client, src);
    mkdir(bin, 0755);
    src_file("bin/hadoop", 0, 0755, text);
    src_file("calls", 0, 0666, NULL);
    fixture_open(&f, "posix", "posix/cpu", more);
}

static void close_it(void)
{
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
    nftw(src, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static V1__CommandInfo__URI uri_of(const char *value, bool cache)
{
    V1__CommandInfo__URI u = V1__COMMAND_INFO__URI__INIT;

    u.value = (char *)(uintptr_t)value;
    u.has_cache = true;
    u.cache = cache;
    return u;
}

static void begin(const char *id, const V1__CommandInfo__URI *uris, size_t n, const char *shell)
{
    fixture_launch(
        &f, &(struct launch){.id = id, .shell = shell, .uris = uris, .n_uris = n, .user = user});
}

static void ck_said(const char *id, const char *want)
{
    const struct seen *s = fixture_wait_ended(&f, id);
    _cleanup_free_ char *out = sandbox_read(&f, id, "stdout");

    ck_assert_msg(s->reason == CONTAINER_EXITED && streq(out, want), "%s: '%s' '%s'", id,
                  s->message, out);
}

/* One URI, one container. */
static void ck_fetch(const char *id, const char *value, bool cache, const char *shell,
                     const char *want)
{
    const V1__CommandInfo__URI u = uri_of(value, cache);

    begin(id, &u, 1, shell);
    ck_said(id, want);
}

static void ck_calls(const char *want)
{
    _cleanup_free_ char *path = in_src("calls");
    char buf[1024] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(read(fd, buf, sizeof(buf) - 1), 0);
    close(fd);
    ck_assert_str_eq(buf, want);
}

static struct containerizer_fetch_stats stats(void)
{
    struct containerizer_fetch_stats s;

    f.cz->ops->fetch_stats(f.cz, &s);
    return s;
}

/* ---- the client ---- */

START_TEST(the_client_copies)
{
    src_file("data", 0, 0644, "from hadoop\n");
    ck_fetch("c", "hdfs://x/data", false, "cat data; ls -A | grep fetching", "from hadoop\n");
    ck_calls("fs -copyToLocal hdfs://x/data\n");
}
END_TEST

START_TEST(the_client_fails)
{
    const V1__CommandInfo__URI u = uri_of("s3a://bucket/none", false);

    begin("c", &u, 1, "true");
    const struct seen *s = fixture_wait_ended(&f, "c");
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_msg(str_starts(s->message, "Failed to fetch all URIs for container 'c': ") &&
                      strstr(s->message, "cp: cannot stat"),
                  "%s", s->message);
    _cleanup_free_ char *said = sandbox_read(&f, "c", "stderr");
    ck_assert_msg(str_starts(said, "Failed to fetch: "), "%s", said);
    ck_assert_uint_eq(stats().failed, 1);
}
END_TEST

START_TEST(the_client_ends_with_its_container)
{
    const V1__CommandInfo__URI u = uri_of("hdfs://x/data", false);
    _cleanup_free_ char *calls = in_src("calls"), *wait = in_src("wait");
    struct stat st = {.st_size = 0};

    src_file("data", 0, 0644, "x");
    src_file("wait", 0, 0644, NULL);
    begin("c", &u, 1, "true");
    for (int i = 0; i < 200 && st.st_size == 0; i++) {
        fixture_run(&f, 10000);
        stat(calls, &st);
    }
    ck_assert_int_gt(st.st_size, 0);
    ck_assert_int_gt(processes_with(src), 0);
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
    for (int i = 0; i < 200 && processes_with(src); i++)
        fixture_run(&f, 10000);
    ck_assert_int_eq(processes_with(src), 0);
    unlink(wait);
}
END_TEST

/* ---- checksums ---- */

#define DIGEST_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

START_TEST(a_checksum_that_is_right)
{
    _cleanup_free_ char *value = xasprintf("file://%s/abc#sha256=" DIGEST_OF_ABC, src);

    src_file("abc", 0, 0644, "abc");
    ck_fetch("c", value, _i, "cat abc", "abc");
    ck_fetch("d", value, _i, "cat abc", "abc");
}
END_TEST

START_TEST(a_checksum_that_is_wrong)
{
    _cleanup_free_ char *value = xasprintf("file://%s/abc#sha256=" DIGEST_OF_ABC, src);
    const V1__CommandInfo__URI u = uri_of(value, _i);

    src_file("abc", 0, 0644, "abd");
    begin("c", &u, 1, "true");
    const struct seen *s = fixture_wait_ended(&f, "c");
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_msg(strstr(s->message, "but should have " DIGEST_OF_ABC) != NULL, "%s", s->message);
    ck_assert_uint_eq(stats().cache_used_bytes, 0);
    src_file("abc", 0, 0644, "abc");
    ck_fetch("d", value, _i, "cat abc", "abc");
}
END_TEST

/* ---- the cache ---- */

START_TEST(the_second_comes_from_the_cache)
{
    src_file("data", 0, 0644, "first\n");
    ck_fetch("c", "hdfs://x/data", true, "cat data; stat -c %a data", "first\n644\n");
    src_file("data", 0, 0644, "second");
    ck_fetch("d", "hdfs://x/data", true, "cat data; [ -O data ] && echo mine", "first\nmine\n");
    ck_calls("fs -du hdfs://x/data\nfs -copyToLocal hdfs://x/data\n");
    ck_assert_uint_eq(stats().cache_used_bytes, 6);
    ck_assert_uint_eq(stats().cache_total_bytes, 65536);
    ck_assert_uint_eq(stats().succeeded, 2);
    /* A restarted agent begins with an empty one. */
    fixture_reopen(&f);
    ck_assert_uint_eq(stats().cache_used_bytes, 0);
    ck_fetch("e", "hdfs://x/data", true, "cat data", "second");
}
END_TEST

START_TEST(no_task_reads_or_writes_the_cache)
{
    _cleanup_free_ char *try =
        xasprintf("cat %s/cache/* 2>/dev/null; echo x >%s/cache/c1-data; ls %s/cache; echo done",
                  src, src, src);

    if (!user)
        return;
    src_file("data", 0, 0644, "secret");
    ck_fetch("c", "data", true, "true", "");
    ck_fetch("d", "data", true, try, "done\n");
    ck_fetch("e", "data", true, "cat data", "secret");
}
END_TEST

START_TEST(the_cache_is_each_users_own)
{
    const V1__CommandInfo__URI u = uri_of("data", true);

    if (!user)
        return;
    src_file("data", 0, 0600, "root's");
    fixture_launch(&f, &(struct launch){.id = "c", .shell = "cat data", .uris = &u, .n_uris = 1});
    ck_said("c", "root's");
    begin("d", &u, 1, "cat data");
    const struct seen *s = fixture_wait_ended(&f, "d");
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "Permission denied"));
}
END_TEST

START_TEST(archives_are_taken_out_of_the_cache)
{
    _cleanup_free_ char *make = xasprintf("cd %s && echo inner >inner && tar czf a.tgz inner && "
                                          "gzip -c inner >one.gz && rm inner",
                                          src);
    V1__CommandInfo__URI u[3] = {uri_of("a.tgz", true), uri_of("one.gz", true),
                                 uri_of("a.tgz", true)};

    ck_assert_int_eq(system(make), 0);
    u[2].output_file = "prog";
    u[2].has_executable = u[2].executable = true;
    begin("c", u, 3, "cat inner one; ls -A; stat -c %a prog");
    ck_said("c", "inner\ninner\ninner\none\nprog\nstderr\nstdout\n755\n");
    begin("d", u, 3, "cat inner one; ls -A");
    ck_said("d", "inner\ninner\ninner\none\nprog\nstderr\nstdout\n");
}
END_TEST

START_TEST(what_is_too_large_is_fetched_directly)
{
    src_file("data", 70000, 0644, NULL);
    ck_fetch("c", "data", true, "stat -c %s data", "70000\n");
    ck_assert_uint_eq(stats().cache_used_bytes, 0);
    src_file("one", 40000, 0644, NULL);
    src_file("two", 40000, 0644, NULL);
    ck_fetch("d", "one", true, "stat -c %s one", "40000\n");
    ck_fetch("e", "two", true, "stat -c %s two", "40000\n");
    ck_assert_uint_eq(stats().cache_used_bytes, 40000);
    src_file("empty", 0, 0644, NULL);
    ck_fetch("f", "empty", true, "stat -c %s empty", "0\n");
}
END_TEST

/* It says less than it has. */
START_TEST(what_grows_is_fetched_directly)
{
    _cleanup_free_ char *path = in_src("data"), *sed = NULL;

    src_file("data", 0, 0644, "0123456789");
    sed = xasprintf("sed -i 's/echo .(stat.*) /echo 5 /' %s/bin/hadoop", src);
    ck_assert_int_eq(system(sed), 0);
    const V1__CommandInfo__URI u[2] = {uri_of("hdfs://x/data", true),
                                       uri_of("hdfs://x/data", true)};
    begin("c", u, 2, "cat data");
    ck_said("c", "0123456789");
    ck_assert_uint_eq(stats().cache_used_bytes, 0);
    ck_fetch("d", "hdfs://x/data", true, "cat data", "0123456789");
}
END_TEST

START_TEST(a_damaged_cache_is_gone_around)
{
    _cleanup_free_ char *rm = xasprintf("rm %s/cache/c*", src);

    src_file("data", 0, 0644, "text");
    ck_fetch("c", "data", true, "cat data", "text");
    ck_assert_int_eq(system(rm), 0);
    ck_fetch("d", "data", true, "cat data", "text");
    ck_fetch("e", "data", true, "cat data", "text");
    ck_assert_uint_eq(stats().cache_used_bytes, 4);
}
END_TEST

/* ---- at a time ---- */

static bool three_ended(void *arg)
{
    return fixture_seen(&f, "a")->ended && fixture_seen(&f, "b")->ended &&
           fixture_seen(&f, "c")->ended;
}

START_TEST(those_who_want_the_same_wait_for_one)
{
    const V1__CommandInfo__URI u = uri_of("hdfs://x/data", true);
    _cleanup_free_ char *wait = in_src("wait");

    src_file("data", 0, 0644, "once");
    src_file("wait", 0, 0644, NULL);
    begin("a", &u, 1, "cat data");
    begin("b", &u, 1, "cat data");
    begin("c", &u, 1, "cat data");
    fixture_run(&f, 200000);
    unlink(wait);
    ck_assert(fixture_until(&f, three_ended, NULL, 10000000));
    ck_said("a", "once");
    ck_said("b", "once");
    ck_said("c", "once");
    ck_calls("fs -du hdfs://x/data\nfs -copyToLocal hdfs://x/data\n");
}
END_TEST

/* The first is destroyed at another moment each time; the one that waits for it gets the file all the same. */
START_TEST(who_is_destroyed_leaves_the_cache_whole)
{
    const V1__CommandInfo__URI u = uri_of("hdfs://x/data", true);
    _cleanup_free_ char *wait = in_src("wait");

    src_file("data", 0, 0644, "once");
    if (_i > 1)
        src_file("wait", 0, 0644, NULL);
    begin("a", &u, 1, "cat data");
    begin("b", &u, 1, "cat data");
    fixture_run(&f, (uint64_t)_i * _i * 3000 + 1);
    f.cz->ops->destroy(f.cz, "a");
    unlink(wait);
    ck_said("b", "once");
    ck_assert_int_eq(fixture_wait_ended(&f, "a")->reason == CONTAINER_DESTROYED, true);
    ck_fetch("c", "hdfs://x/data", true, "cat data", "once");
    ck_assert_uint_eq(stats().cache_used_bytes, 4);
}
END_TEST

START_TEST(so_many_at_a_time)
{
    const V1__CommandInfo__URI u = uri_of("hdfs://x/data", false);
    _cleanup_free_ char *wait = in_src("wait");

    src_file("data", 0, 0644, "x");
    src_file("wait", 0, 0644, NULL);
    begin("a", &u, 1, "cat data");
    begin("b", &u, 1, "cat data");
    begin("c", &u, 1, "cat data");
    begin("d", &u, 1, "cat data");
    fixture_run(&f, 300000);
    ck_calls("fs -copyToLocal hdfs://x/data\nfs -copyToLocal hdfs://x/data\n");
    f.cz->ops->destroy(f.cz, "d"); /* it waits */
    ck_assert_int_eq(fixture_wait_ended(&f, "d")->reason, CONTAINER_DESTROYED);
    unlink(wait);
    ck_said("a", "x");
    ck_said("b", "x");
    ck_said("c", "x");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fetch_through");
    TCase *t = tcase_create("fetch");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, open_it, close_it);
    tcase_add_test(t, the_client_copies);
    tcase_add_test(t, the_client_fails);
    tcase_add_test(t, the_client_ends_with_its_container);
    tcase_add_loop_test(t, a_checksum_that_is_right, 0, 2);
    tcase_add_loop_test(t, a_checksum_that_is_wrong, 0, 2);
    tcase_add_test(t, the_second_comes_from_the_cache);
    tcase_add_test(t, no_task_reads_or_writes_the_cache);
    tcase_add_test(t, the_cache_is_each_users_own);
    tcase_add_test(t, archives_are_taken_out_of_the_cache);
    tcase_add_test(t, what_is_too_large_is_fetched_directly);
    tcase_add_test(t, what_grows_is_fetched_directly);
    tcase_add_test(t, a_damaged_cache_is_gone_around);
    tcase_add_test(t, those_who_want_the_same_wait_for_one);
    tcase_add_loop_test(t, who_is_destroyed_leaves_the_cache_whole, 0, 6);
    tcase_add_test(t, so_many_at_a_time);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
