/* Flags from files: a file with lines, a directory with files, what wins over what, and files that are wrong or hostile. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/base/flags.h"
#include "master/flags.h"

struct values {
    bool on;
    int64_t number;
    uint64_t count;
    char *text;
    char *attributes;
    char *file;
    char *dir;
};

#define ROW(name, type, def, opts, ...)                                                            \
    FL_FLAG_ROW(struct values, name, type, name, def, opts, "Help.", ##__VA_ARGS__)
static const struct fl_flag rows[] = {
    ROW(on, FLAG_BOOL, "false", 0)                                         /**/
    ROW(number, FLAG_INT, "-3", 0)                                         /**/
    ROW(count, FLAG_UINT, "5", 0, .alias = "old_count", .check = "1..100") /**/
    ROW(text, FLAG_STRING, NULL, FLAG_REQUIRED)                            /**/
    ROW(attributes, FLAG_PATH_OR_TEXT, NULL, 0)                            /**/
    ROW(file, FLAG_PATH, NULL, FLAG_SOURCE_FILE)                           /**/
    ROW(dir, FLAG_PATH, NULL, FLAG_SOURCE_DIR)                             /**/
};

static struct values v;
static struct fl_flags *f;
static struct fl_err err;
static int rest;
static bool help, version;
static char room[64], file_flag[128], dir_flag[128];

static void setup(void)
{
    clearenv();
    memset(&v, 0, sizeof(v));
    memset(&err, 0, sizeof(err));
    ck_assert_int_eq(fl_flags_new("prog", NULL, rows, ARRAY_SIZE(rows), &v, &f, &err), 0);
    (void)fl_snprintf(room, sizeof(room), "/tmp/test_flags_files.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(room));
    (void)fl_snprintf(file_flag, sizeof(file_flag), "--file=%s/conf", room);
    (void)fl_snprintf(dir_flag, sizeof(dir_flag), "--dir=%s/d", room);
}

static void teardown(void)
{
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", room);
    FILE *p = popen(command, "re");
    ck_assert_ptr_nonnull(p);
    pclose(p);
    fl_flags_free(f);
    f = NULL;
}

static void put_n(const char *name, const char *text, size_t n)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", room, name);
    for (char *slash = path + strlen(room) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        ck_assert(mkdir(path, 0755) == 0 || access(path, X_OK) == 0);
        *slash = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
    close(fd);
}

static void put(const char *name, const char *text)
{
    put_n(name, text, strlen(text));
}

#define PARSE(...)                                                                                 \
    ({                                                                                             \
        char *argv[] = {"prog", ##__VA_ARGS__, NULL};                                              \
        fl_flags_parse(f, (int)ARRAY_SIZE(argv) - 1, argv, &rest, &help, &version, &err);          \
    })
#define PARSES(...) ck_assert_msg(PARSE(__VA_ARGS__) == 0, "%s", err.msg)
#define FAILS(part, ...)                                                                           \
    do {                                                                                           \
        ck_assert_int_lt(PARSE(__VA_ARGS__), 0);                                                   \
        ck_assert_msg(strstr(err.msg, part), "no '%s' in: %s", part, err.msg);                     \
        ck_assert_int_eq(v.number, -3);                                                            \
        ck_assert_ptr_null(v.text);                                                                \
    } while (0)

START_TEST(lines)
{
    put("conf", "# a comment\r\n\n  number = 7 \n--COUNT=9\n\ton\r\ntext=a = b # \"c\" ");
    PARSES(file_flag);
    ck_assert(v.on);
    ck_assert_int_eq(v.number, 7);
    ck_assert_uint_eq(v.count, 9);
    ck_assert_str_eq(v.text, "a = b # \"c\"");
    ck_assert(fl_flags_given(f, "number"));
    put("conf", "no-on\ntext=\nattributes=file:///etc/hostname");
    PARSES(file_flag);
    ck_assert(!v.on);
    ck_assert_str_eq(v.text, "");
    ck_assert_int_ne(v.attributes[0], '/');
}
END_TEST

START_TEST(a_file_a_flag)
{
    put("d/number", "8\n");
    put("d/text", " {\"two\":\n \"lines\"}\n\n");
    put("d/?on", "");
    put("d/old_count", "11");
    put("d/attributes/rack", "a7\n");
    put("d/attributes/zone", " z1 ");
    put("d/attributes/zone~", "z2");
    put("d/.hidden", "1");
    put("d/number.dpkg-old", "1");
    put("d/text~", "1");
    PARSES(dir_flag);
    ck_assert(v.on);
    ck_assert_int_eq(v.number, 8);
    ck_assert_uint_eq(v.count, 11);
    ck_assert_str_eq(v.text, "{\"two\":\n \"lines\"}");
    ck_assert_str_eq(v.attributes, "rack:a7;zone:z1");
    put("d/?no-on", "");
    ck_assert_int_lt(PARSE(dir_flag), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "/d/?no-on' and"));
    ck_assert_ptr_nonnull(strstr(err.msg, "/d/?on'"));
}
END_TEST

START_TEST(what_wins)
{
    put("conf", "number=1\ncount=2\ntext=file\n");
    put("d/attributes", "a:b");
    put("d/text", "directory");
    put("d/count", "11");
    setenv("MESOS_COUNT", "3", 1);
    setenv("FAIRLEAD_NUMBER", "4", 1);
    PARSES("--number=5", file_flag, dir_flag);
    ck_assert_int_eq(v.number, 5);
    ck_assert_uint_eq(v.count, 3);
    ck_assert_str_eq(v.text, "directory");
    ck_assert_str_eq(v.attributes, "a:b");
}
END_TEST

START_TEST(named_by_the_environment)
{
    put("conf", "number=1\ntext=x\n");
    setenv("FAIRLEAD_FILE", file_flag + strlen("--file="), 1);
    PARSES();
    ck_assert_int_eq(v.number, 1);
}
END_TEST

START_TEST(mistakes_are_placed)
{
    put("conf", "text=x\n\nnubmer=1\n");
    FAILS("/conf:3: unknown flag '--nubmer'; did you mean '--number'?", file_flag);
    put("conf", "text=x\nnumber=1\nnumber=2\n");
    FAILS("/conf:2' and '", file_flag);
    FAILS("/conf:3'", file_flag);
    put("conf", "text=x\nnumber=many\n");
    FAILS("/conf:2': 'many' is not a whole number", file_flag);
    put("conf", "count=0\n");
    FAILS("/conf:1': '0' is not between 1 and 100", file_flag);
    put("conf", "number\n");
    FAILS("/conf:1", file_flag);
    FAILS("has no value", file_flag);
    put("conf", "number 7\n");
    FAILS("/conf:1: 'number 7' is no name of a flag; write name=value", file_flag);
    put("conf", "=7\n");
    FAILS("/conf:1: '' is no name", file_flag);
    put("conf", "file=/etc/passwd\n");
    FAILS("/conf:1: flag '--file' cannot be set in a file", file_flag);
    put("conf", "help\n");
    FAILS("/conf:1: flag '--help' cannot be set in a file", file_flag);
    put("conf", "number=1\n");
    FAILS("flag '--text' is required", file_flag);
    put("conf", "number=1\ntext=x");
    put("d/number", "1");
    put("d/NUMBER", "1");
    FAILS("/d/NUMBER' and '", file_flag, dir_flag);
    put("d/NUMBER~", "");
    _cleanup_free_ char *twice = xasprintf("%s/d/NUMBER", room);
    ck_assert_int_eq(unlink(twice), 0);
    put("d/number", "");
    FAILS("/d/number", dir_flag);
    put("d/number", "x");
    FAILS("/d/number': 'x' is not a whole number", dir_flag);
    put("d/number", "1");
    put("d/whatever_else", "1");
    FAILS("/d/whatever_else: unknown flag", dir_flag);
}
END_TEST

START_TEST(hostile_files)
{
    _cleanup_free_ char *big = xcalloc(1, 5 << 20), *path = xasprintf("%s/conf", room);
    FAILS("/conf': No such file", file_flag);
    FAILS("/d': No such file", dir_flag);
    put_n("conf", "number=1\0\n", 10);
    FAILS("zero byte", file_flag);
    memset(big, '\n', 5 << 20);
    put_n("conf", big, 5 << 20);
    FAILS("too large", file_flag);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    FAILS("no regular file", file_flag);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    FAILS("no regular file", file_flag);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    FAILS("no regular file", file_flag);
    put("d/?on", "false");
    FAILS("must be empty", dir_flag);
    put("d/?on", "");
    put("d/attributes/deep/er", "1");
    FAILS("/d/attributes/deep' is no regular file", dir_flag);
}
END_TEST

START_TEST(help_reads_no_file)
{
    PARSES("--help", file_flag, dir_flag);
    ck_assert(help);
}
END_TEST

START_TEST(daemons_have_them)
{
    struct master_flags m = {0};
    struct fl_flags *g = NULL;
    _cleanup_free_ char *flag = xasprintf("--flags_%s", file_flag + 2);
    put("conf", "work_dir=/w\nslave_ping_timeout=2secs\nquorum=2\n");
    ck_assert_int_eq(master_flags_new(&m, &g, &err), 0);
    char *argv[] = {"m", flag, NULL};
    ck_assert_msg(fl_flags_parse(g, 2, argv, &rest, &help, &version, &err) == 0, "%s", err.msg);
    ck_assert_str_eq(m.work_dir, "/w");
    ck_assert_uint_eq(m.agent_ping_timeout, 2000000);
    fl_flags_free(g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flags_files");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, lines);
    tcase_add_test(t, a_file_a_flag);
    tcase_add_test(t, what_wins);
    tcase_add_test(t, named_by_the_environment);
    tcase_add_test(t, mistakes_are_placed);
    tcase_add_test(t, hostile_files);
    tcase_add_test(t, help_reads_no_file);
    tcase_add_test(t, daemons_have_them);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
