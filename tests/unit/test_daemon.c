/* Start-up of a daemon: what it answers by itself, its addresses, its limits. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/daemon.h"
#include "common/base/http_files.h"
#include "common/base/log.h"
#include "master/flags.h"

static struct master_flags m;
static struct fl_flags *f;
static struct fl_err err;

static void setup(void)
{
    clearenv();
    memset(&m, 0, sizeof(m));
    ck_assert_int_eq(master_flags_new(&m, &f, &err), 0);
}

static void teardown(void)
{
    fl_flags_free(f);
}

/* Runs the parse with an output redirected to a file; returns what it wrote there. */
static char *parse(int fd_no, bool want_go_on, int want_status, char *argument)
{
    char name[] = "/tmp/test_daemon.XXXXXX";
    char *argv[] = {"m", argument, NULL};
    int status = 77;
    fflush(NULL);
    int file = mkstemp(name), saved = fcntl(fd_no, F_DUPFD_CLOEXEC, 10);
    dup2(file, fd_no);
    bool go_on = fl_daemon_parse(f, "fairlead-master", 2, argv, &status);
    fflush(NULL);
    dup2(saved, fd_no);
    close(saved);
    ck_assert_int_eq(go_on, want_go_on);
    if (!go_on)
        ck_assert_int_eq(status, want_status);
    char *text = xcalloc(1, 65536);
    ck_assert_int_ge(pread(file, text, 65535, 0), 0);
    close(file);
    unlink(name);
    return text;
}

START_TEST(answers)
{
    _cleanup_free_ char *help = parse(STDOUT_FILENO, false, 0, "--help");
    ck_assert_ptr_nonnull(strstr(help, "--work_dir=VALUE"));
    ck_assert_ptr_null(strstr(help, "heartbeat_interval"));
    teardown();
    setup();
    _cleanup_free_ char *version = parse(STDOUT_FILENO, false, 0, "--version");
    ck_assert_ptr_nonnull(strstr(version, "fairlead-master " FL_VERSION));
    _cleanup_free_ char *bad = parse(STDERR_FILENO, false, 1, "--prot=1");
    ck_assert_str_eq(bad, "fairlead-master: unknown flag '--prot'; did you mean '--port'?\n");
    _cleanup_free_ char *extra = parse(STDERR_FILENO, false, 1, "5050");
    ck_assert_ptr_nonnull(strstr(extra, "unexpected argument '5050'"));
}
END_TEST

START_TEST(goes_on)
{
    _cleanup_free_ char *none = parse(STDERR_FILENO, true, 0, "--port=7");
    ck_assert_str_eq(none, "");
    ck_assert_uint_eq(m.port, 7);
    ck_assert_int_eq(fl_daemon_open_log("master", FL_DAEMON_LOG(&m), f, &err), 0);
    ck_assert_int_eq(fl_log_get_level(), FL_LOG_INFO);
}
END_TEST

/* What --log_dir names is made; its file is what is shown at /files, unless another is named. */
START_TEST(log_folder)
{
    char top[] = "/tmp/test_daemon.XXXXXX", path[96], *canonical;
    const char *virtual_path, *real;
    struct stat st;
    ck_assert_ptr_nonnull(mkdtemp(top));
    canonical = realpath(top, NULL);
    struct fl_daemon_log how = {.quiet = true, .logging_level = "INFO", .log_dir = path};
    struct http_files *files = http_files_new();
    ck_assert_int_eq(fl_snprintf(path, sizeof(path), "%s/a//b/", top), 0);
    ck_assert_int_eq(fl_daemon_open_log("d", how, f, &err), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0755);
    ck_assert_int_eq(fl_daemon_open_log("d", how, f, &err), 0); /* it may be there */
    fl_daemon_serve_log(files, "/d/log", NULL);
    ck_assert(http_files_root(files, "/d/log", &virtual_path, &real));
    ck_assert_str_eq(real, fl_log_path());
    fl_daemon_serve_log(files, "/d/log", top);
    ck_assert(http_files_root(files, "/d/log", &virtual_path, &real));
    ck_assert_str_eq(real, top);

    ck_assert_int_eq(fl_snprintf(path, sizeof(path), "%s/a/b/d.log/x", top), 0);
    ck_assert_int_lt(fl_daemon_open_log("d", how, f, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "--log_dir"));
    ck_assert_ptr_nonnull(strstr(err.msg, "d.log/x"));
    ck_assert_ptr_nonnull(fl_log_path()); /* the old one goes on */
    fl_log_close();
    fl_log_set_quiet(false);
    http_files_free(files);
    for (const char *const *n = (const char *const[]){"/a/b/d.log", "/a/b", "/a", "", NULL}; *n;
         n++) {
        ck_assert_int_eq(fl_snprintf(path, sizeof(path), "%s%s", canonical, *n), 0);
        ck_assert_int_eq(remove(path), 0);
    }
    free(canonical);
}
END_TEST

START_TEST(limits)
{
    _cleanup_free_ char *none = parse(STDERR_FILENO, true, 0, "--http_header_timeout=1.5secs");
    struct http_limits l = FL_DAEMON_HTTP_LIMITS(&m);
    ck_assert_uint_eq(l.header_timeout_s, 2);
    ck_assert_uint_eq(l.max_body, 64 << 20);
    ck_assert_uint_eq(l.max_connections, 100000);
}
END_TEST

START_TEST(addresses)
{
    struct fl_daemon_address a;
    struct fl_daemon_address_flags given = {.ip = "127.0.0.1", .hostname = "node7"};
    ck_assert_int_eq(fl_daemon_find_address(given, &a, &err), 0);
    ck_assert_str_eq(a.ip, "127.0.0.1");
    ck_assert_str_eq(a.advertised, "127.0.0.1");
    ck_assert_str_eq(a.hostname, "node7");

    struct fl_daemon_address_flags numbers = {.ip = "127.0.0.1", .advertise_ip = "10.9.8.7"};
    ck_assert_int_eq(fl_daemon_find_address(numbers, &a, &err), 0);
    ck_assert_str_eq(a.advertised, "10.9.8.7");
    ck_assert_str_eq(a.hostname, "10.9.8.7");

    struct fl_daemon_address_flags found = {.hostname_lookup = false};
    ck_assert_int_eq(fl_daemon_find_address(found, &a, &err), 0);
    ck_assert_str_eq(a.ip, "0.0.0.0");
    ck_assert_str_ne(a.advertised, "0.0.0.0");
    ck_assert_str_ne(a.advertised, "");
    ck_assert_str_eq(a.hostname, a.advertised);
}
END_TEST

START_TEST(discovery)
{
    struct fl_daemon_address a = {.ip = "untouched"};
    struct fl_daemon_address_flags good = {.ip_discovery_command = "echo 127.0.0.9; echo more"};
    struct fl_daemon_address_flags bad[] = {
        {.ip_discovery_command = "echo localhost"},
        {.ip_discovery_command = "echo 127.0.0.9; exit 3"},
        {.ip_discovery_command = "true"},
        {.ip = "127.0.0.256"},
        {.advertise_ip = "here"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_int_lt(fl_daemon_find_address(bad[i], &a, &err), 0);
        ck_assert_str_eq(a.ip, "untouched");
    }
    ck_assert_int_eq(fl_daemon_find_address(good, &a, &err), 0);
    ck_assert_str_eq(a.ip, "127.0.0.9");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("daemon");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, answers);
    tcase_add_test(t, goes_on);
    tcase_add_test(t, log_folder);
    tcase_add_test(t, limits);
    tcase_add_test(t, addresses);
    tcase_add_test(t, discovery);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
