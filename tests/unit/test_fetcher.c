/* Fetching, from a launch's point of view: every kind of URI and archive, and those that mean harm. */
#include <archive.h>
#include <archive_entry.h>
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

static struct fixture f;
static char src[96], cache[128], hadoop[128]; /* where the test puts what is fetched */

static void open_it(void)
{
    static char home[128];
    static char cache_flag[160], hadoop_flag[160];
    static const char *more[] = {
        home,        "--fetcher_stall_timeout=1secs", cache_flag, "--fetcher_cache_size=64KB",
        hadoop_flag, "--max_parallel_fetches=2",      NULL};

    fl_snprintf(src, sizeof(src), "/tmp/fl-fetch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(src));
    chmod(src, 0755);
    fl_snprintf(home, sizeof(home), "--frameworks_home=%s", src);
    fl_snprintf(cache, sizeof(cache), "%s/cache", src);
    fl_snprintf(cache_flag, sizeof(cache_flag), "--fetcher_cache_dir=%s", cache);
    fl_snprintf(hadoop, sizeof(hadoop), "%s/hadoop", src);
    fl_snprintf(hadoop_flag, sizeof(hadoop_flag), "--hadoop_home=%s", hadoop);
    fixture_open(&f, "posix", "posix/cpu", more);
}

static void close_it(void)
{
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
    nftw(src, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static char *src_file(const char *name, const char *content)
{
    char *path = xasprintf("%s/%s", src, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_int_eq(write(fd, content, strlen(content)), (int)strlen(content));
    close(fd);
    return path;
}

/* ---- archives ---- */

struct entry {
    const char *path, *content, *link, *hardlink;
    mode_t type; /* 0: a file */
    mode_t perm; /* 0: 0644 */
};

static char *make_archive(const char *name, const struct entry *v, size_t n)
{
    char *path = xasprintf("%s/%s", src, name);
    struct archive *a = archive_write_new();

    if (str_ends(name, ".zip"))
        archive_write_set_format_zip(a);
    else
        archive_write_set_format_pax_restricted(a);
    if (str_ends(name, "gz"))
        archive_write_add_filter_gzip(a);
    else if (str_ends(name, "bz2"))
        archive_write_add_filter_bzip2(a);
    else if (str_ends(name, "xz"))
        archive_write_add_filter_xz(a);
    else if (str_ends(name, "zst"))
        archive_write_add_filter_zstd(a);
    ck_assert_int_eq(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, v[i].path);
        archive_entry_set_filetype(e, v[i].type ? v[i].type : v[i].link ? AE_IFLNK : AE_IFREG);
        archive_entry_set_perm(e, v[i].perm ? v[i].perm : 0644);
        if (v[i].link)
            archive_entry_set_symlink(e, v[i].link);
        if (v[i].hardlink)
            archive_entry_set_hardlink(e, v[i].hardlink);
        archive_entry_set_size(e, v[i].content ? (int64_t)strlen(v[i].content) : 0);
        ck_assert_int_ge(archive_write_header(a, e), ARCHIVE_WARN);
        if (v[i].content)
            archive_write_data(a, v[i].content, strlen(v[i].content));
        archive_entry_free(e);
    }
    archive_write_free(a);
    return path;
}

static const struct seen *fetch(const char *uri, const char *output_file, int extract,
                                bool executable, const char *shell)
{
    V1__CommandInfo__URI u = V1__COMMAND_INFO__URI__INIT;

    u.value = (char *)(uintptr_t)uri;
    u.output_file = (char *)(uintptr_t)output_file;
    u.has_extract = extract >= 0;
    u.extract = extract > 0;
    u.has_executable = executable;
    u.executable = executable;
    return fixture_finish(&f, &(struct launch){.id = "c",
                                               .shell = shell,
                                               .uris = &u,
                                               .n_uris = 1,
                                               .user = geteuid() == 0 ? "nobody" : NULL});
}

static void ck_output(const struct seen *s, const char *want)
{
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout"),
                        *err = sandbox_read(&f, "c", "stderr");

    ck_assert_msg(s->reason == CONTAINER_EXITED && streq(out, want), "'%s' '%s' '%s'", s->message,
                  out, err);
}

static const char *const many[] = {"a.tar",    "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tbz2",
                                   "a.tar.xz", "a.txz",    "a.zip", "a.tar.zst", "a.tzst"};

START_TEST(archives_are_unpacked)
{
    _cleanup_free_ char *path = make_archive(
        many[_i],
        (struct entry[]){{.path = "sub/inner", .content = "from the archive\n"},
                         {.path = "sub/run", .content = "#!/bin/sh\necho ran\n", .perm = 0755},
                         {.path = "sub/link", .link = "inner"}},
        str_ends(many[_i], ".zip") ? 2 : 3);
    ck_output(fetch(path, NULL, -1, false, "cat sub/inner; sub/run"), "from the archive\nran\n");
}
END_TEST

START_TEST(archives_are_left_when_told)
{
    _cleanup_free_ char *path =
        make_archive("a.tar", (struct entry[]){{.path = "inner", .content = "x"}}, 1);
    ck_output(fetch(path, NULL, 0, false, "ls inner 2>/dev/null; ls a.tar"), "a.tar\n");
}
END_TEST

START_TEST(a_gzipped_file)
{
    _cleanup_free_ char *path = src_file("plain.txt", "zipped\n");
    _cleanup_free_ char *cmd = xasprintf("gzip %s", path), *gz = xasprintf("%s.gz", path);
    ck_assert_int_eq(system(cmd), 0);
    ck_output(fetch(gz, NULL, 1, false, "cat plain.txt"), "zipped\n");
}
END_TEST

START_TEST(files_by_every_path)
{
    _cleanup_free_ char *path = src_file("data.txt", "fetched-text\n");
    const char *const forms[] = {"file://%s/data.txt", "file://localhost%s/data.txt", "%s/data.txt",
                                 "data.txt"};
    _cleanup_free_ char *uri = _i == 3 ? xstrdup("data.txt") : xasprintf(forms[_i], src);
    ck_output(fetch(uri, NULL, -1, false,
                    "cat data.txt; stat -c %a data.txt; [ -O data.txt ] && echo mine"),
              "fetched-text\n644\nmine\n");
}
END_TEST

START_TEST(executable_and_output_file)
{
    _cleanup_free_ char *path = src_file("prog", "#!/bin/sh\necho ran\n");
    ck_output(fetch(path, "a/b/other", -1, true, "a/b/other"), "ran\n");
}
END_TEST

static const char *const bad_names[] = {"../evil", "a/../../evil", "/tmp/evil-fl", "a/..",
                                        ".",       "a//b"};

START_TEST(output_file_stays_inside)
{
    _cleanup_free_ char *path = src_file("prog", "x"), *evil = xasprintf("%s/evil", f.dir);
    const struct seen *s = fetch(path, bad_names[_i], -1, false, "true");
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "sandbox"));
    ck_assert_int_ne(access(evil, F_OK), 0);
    ck_assert_int_ne(access("/tmp/evil-fl", F_OK), 0);
}
END_TEST

/* Each tries to write `evil` beside the sandbox, or to read through it. */
START_TEST(harmful_archives_are_refused)
{
    _cleanup_free_ char *evil = xasprintf("%s/evil", f.dir);
    const struct entry rows[][3] = {
        {{.path = "../evil", .content = "x"}},
        {{.path = "a/../../evil", .content = "x"}},
        {{.path = evil, .content = "x"}},
        {{.path = "out", .link = ".."}, {.path = "out/evil", .content = "x"}},
        {{.path = "out", .link = f.dir}, {.path = "out/evil", .content = "x"}},
        {{.path = "h", .hardlink = "../../../../../../../etc/passwd"}},
        {{.path = "d", .link = f.dir}, {.path = "d/evil", .type = AE_IFDIR, .perm = 0755}},
    };
    size_t n = 0;
    while (n < 3 && rows[_i][n].path)
        n++;
    _cleanup_free_ char *path = make_archive("a.tar", rows[_i], n);
    chmod(f.dir, 0777); /* so that only the fetcher holds it back */
    const struct seen *s = fetch(path, NULL, -1, false, "true");
    ck_assert_int_ne(access(evil, F_OK), 0);
    /* libarchive may also replace the link by a folder of the sandbox, which is as good. */
    if (s->reason != CONTAINER_LAUNCH_FAILED)
        ck_assert_int_ge(_i, 3);
}
END_TEST

START_TEST(set_id_bits_and_devices_are_dropped)
{
    _cleanup_free_ char *path =
        make_archive("a.tar",
                     (struct entry[]){{.path = "su", .content = "x", .perm = 04755},
                                      {.path = "fifo", .type = AE_IFIFO},
                                      {.path = "dev", .type = AE_IFCHR}},
                     3);
    ck_output(fetch(path, NULL, -1, false, "stat -c %a su; ls fifo dev 2>/dev/null"), "755\n");
}
END_TEST

START_TEST(a_bomb_is_stopped)
{
    /* 1 MB of gzip that holds more than a gigabyte of zeros. */
    _cleanup_free_ char *cmd = xasprintf("cd %s && head -c 50000000 /dev/zero | gzip -1 > one && "
                                         "for i in $(seq 22); do cat one; done > bomb.gz",
                                         src),
                        *path = xasprintf("%s/bomb.gz", src);
    ck_assert_int_eq(system(cmd), 0);
    const struct seen *s = fetch(path, NULL, -1, false, "true");
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "unpacks to more than"));
}
END_TEST

static const struct bad_uri {
    const char *uri, *message;
} bad_uris[] = {
    {"file:///no/such/file", "read '/no/such/file': No such file or directory"},
    {"/tmp", "is not a file"},
    {"gopher://x/y", "need a Hadoop client"},
    {"-rm://x/y", "begins with no scheme"},
    {"file://relative/x", "only supports absolute"},
    {"http://127.0.0.1", "Malformed URI (missing path)"},
    {"http://127.0.0.1/it's", "Illegal characters"},
    {"/etc/passwd#sha256=12", "64 hexadecimal digits"},
    {"file:///etc/", "names no file"},
    {"no-such-relative", "No such file"},
};

START_TEST(what_cannot_be_fetched_fails_the_launch)
{
    const struct seen *s = fetch(bad_uris[_i].uri, NULL, -1, false, "true");
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_msg(strstr(s->message, bad_uris[_i].message) != NULL, "%s", s->message);
    ck_assert_int_eq(s->n_started, 0);
}
END_TEST

START_TEST(damaged_archives_fail_the_launch)
{
    static const char *const names[] = {"a.tar.gz", "a.zip", "a.gz", "a.txz"};
    _cleanup_free_ char *path =
        src_file(names[_i], "this is no archive at all, whatever its name says");
    ck_assert_int_eq(fetch(path, NULL, -1, false, "true")->reason, CONTAINER_LAUNCH_FAILED);
}
END_TEST

/* ---- a server of four answers ---- */

static void answer(int fd)
{
    char req[2048];
    ssize_t n = read(fd, req, sizeof(req) - 1);
    const char *resp = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

    req[n > 0 ? n : 0] = '\0';
    if (str_starts(req, "GET /ok"))
        resp = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
    else if (str_starts(req, "GET /moved"))
        resp = "HTTP/1.1 302 Found\r\nLocation: /ok.txt\r\nContent-Length: 0\r\nConnection: "
               "close\r\n\r\n";
    else if (str_starts(req, "GET /local"))
        resp = "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: "
               "0\r\nConnection: close\r\n\r\n";
    else if (str_starts(req, "GET /stall"))
        resp = "HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\nbeginning";
    if (write(fd, resp, strlen(resp)) < 0)
        return;
    if (str_starts(req, "GET /stall"))
        pause();
}

static pid_t serve(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    fflush(NULL);
    pid_t pid = fork();
    for (int c; pid == 0 && (c = accept(fd, NULL, NULL)) >= 0; close(c))
        answer(c);
    close(fd);
    return pid;
}

static const struct http_row {
    const char *path, *output, *message;
} http_rows[] = {
    {"ok.txt", "hello\n", NULL},       {"ok.txt?query=1#part", "hello\n", NULL},
    {"moved/ok.txt", "hello\n", NULL}, {"missing/ok.txt", NULL, "404"},
    {"local/ok.txt", NULL, "file"},    {"stall/ok.txt", NULL, "Operation too slow"},
};

START_TEST(http)
{
    const struct http_row *row = &http_rows[_i];
    int port;
    pid_t server = serve(&port);
    _cleanup_free_ char *uri = xasprintf("http://127.0.0.1:%d/%s", port, row->path);
    const struct seen *s = fetch(uri, NULL, -1, false, "cat ok.txt*");
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    if (row->output) {
        ck_output(s, row->output);
    } else {
        ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
        ck_assert_msg(strstr(s->message, row->message) != NULL, "%s", s->message);
    }
}
END_TEST

START_TEST(destroyed_while_it_fetches)
{
    int port;
    pid_t server = serve(&port);
    V1__CommandInfo__URI u = V1__COMMAND_INFO__URI__INIT;
    _cleanup_free_ char *uri = xasprintf("http://127.0.0.1:%d/stall/x", port);
    u.value = uri;
    fixture_launch(&f, &(struct launch){.id = "c", .shell = "true", .uris = &u, .n_uris = 1});
    fixture_run(&f, 100000);
    ck_assert(!fixture_seen(&f, "c")->ended);
    f.cz->ops->destroy(f.cz, "c");
    const struct seen *s = fixture_wait_ended(&f, "c");
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    ck_assert_int_eq(s->reason, CONTAINER_DESTROYED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fetcher");
    TCase *t = tcase_create("fetch");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, open_it, close_it);
    tcase_add_loop_test(t, archives_are_unpacked, 0, (int)ARRAY_SIZE(many));
    tcase_add_test(t, archives_are_left_when_told);
    tcase_add_test(t, a_gzipped_file);
    tcase_add_loop_test(t, files_by_every_path, 0, 4);
    tcase_add_test(t, executable_and_output_file);
    tcase_add_loop_test(t, output_file_stays_inside, 0, (int)ARRAY_SIZE(bad_names));
    tcase_add_loop_test(t, harmful_archives_are_refused, 0, 7);
    tcase_add_test(t, set_id_bits_and_devices_are_dropped);
    tcase_add_test(t, a_bomb_is_stopped);
    tcase_add_loop_test(t, what_cannot_be_fetched_fails_the_launch, 0, (int)ARRAY_SIZE(bad_uris));
    tcase_add_loop_test(t, damaged_archives_fail_the_launch, 0, 4);
    tcase_add_loop_test(t, http, 0, (int)ARRAY_SIZE(http_rows));
    tcase_add_test(t, destroyed_while_it_fetches);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
