/* Virtual files: what is attached can be seen, and nothing else. */
#include "common/base/http_files.h"
#include "common/base/json.h"
#include "common/model/operator_files.h"

#include <check.h>
#include <stdio.h>
#include <sys/stat.h>

static char dir[64];
static struct http_files *files;

static void put(const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "we");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void in_dir(char *out, size_t size, const char *name)
{
    ck_assert_int_eq(fl_snprintf(out, size, "%s/%s", dir, name), 0);
}

static void setup(void)
{
    struct fl_err err;
    char path[128];

    snprintf(dir, sizeof dir, "/tmp/fl-files-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    in_dir(path, sizeof path, "box");
    ck_assert_int_eq(mkdir(path, 0755), 0);
    in_dir(path, sizeof path, "box2");
    ck_assert_int_eq(mkdir(path, 0755), 0);
    put("box/f", "0123456789");
    put("secret", "no");
    put("box2/s", "no");
    files = http_files_new();
    in_dir(path, sizeof path, "box");
    ck_assert_int_eq(http_files_attach(files, "/frameworks/f/latest", path, &err), 0);
}

static void teardown(void)
{
    static const char *const names[] = {"box/f", "box/out", "box/in", "box/fifo",
                                        "box",   "box2/s",  "box2",   "secret"};
    char path[128];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        in_dir(path, sizeof path, names[i]);
        remove(path);
    }
    rmdir(dir);
    http_files_free(files);
}

/* 0, or the HTTP status of the refusal. */
static int read_status(const char *path, uint64_t offset, uint64_t length, struct fl_buf *out,
                       uint64_t *size)
{
    struct fl_err err;

    out->len = 0;
    return http_files_get(files, path, offset, length, out, size, &err) == 0
               ? 0
               : fl_reason_http_status(err.reason);
}

START_TEST(reads_parts_and_tells_the_size)
{
    static const struct {
        uint64_t offset, length;
        const char *want;
    } rows[] = {{0, UINT64_MAX, "0123456789"},
                {3, 4, "3456"},
                {8, 100, "89"},
                {10, 5, ""},
                {50, 5, ""},
                {0, 0, ""}};
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    uint64_t size = 0;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_int_eq(
            read_status("/frameworks/f/latest/f", rows[i].offset, rows[i].length, &out, &size), 0);
        ck_assert_uint_eq(size, 10);
        ck_assert_uint_eq(out.len, strlen(rows[i].want));
        ck_assert(out.len == 0 || memcmp(out.data, rows[i].want, out.len) == 0);
    }
}
END_TEST

START_TEST(nothing_outside_is_seen)
{
    static const struct {
        const char *path;
        int status;
    } rows[] = {
        {"/frameworks/f/latest/../secret", 400},
        {"/frameworks/f/latest/../box2/s", 400}, /* begins like the root, but is another folder */
        {"/frameworks/f/latest/../../../../../../etc/passwd", 400},
        {"/frameworks/f/latest/out", 400}, /* a link out of the sandbox */
        {"/frameworks/f/latest/in", 0},    /* one that stays in it */
        {"/frameworks/f/latest/none", 404},
        {"/frameworks/f/latest/f/x", 404},
        {"/frameworks/f/latestx", 404},
        {"/frameworks/f", 404},
        {"/etc/passwd", 404},
        {"/frameworks/f/latest", 400}, /* a folder */
        {"/frameworks/f/latest/", 400},
        {"/frameworks/f/latest/fifo", 400},
        {"", 404},
        {"/", 404},
    };
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    char link_path[128], target[128];
    uint64_t size;

    in_dir(link_path, sizeof link_path, "box/out");
    in_dir(target, sizeof target, "secret");
    ck_assert_int_eq(symlink(target, link_path), 0);
    in_dir(link_path, sizeof link_path, "box/in");
    ck_assert_int_eq(symlink("f", link_path), 0);
    in_dir(link_path, sizeof link_path, "box/fifo");
    ck_assert_int_eq(mkfifo(link_path, 0644), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int status = read_status(rows[i].path, 0, 100, &out, &size);

        ck_assert_msg(status == rows[i].status, "'%s' is %d", rows[i].path, status);
    }
}
END_TEST

static void join(const struct http_file_info *info, void *arg)
{
    fl_buf_addf(arg, "%s ", info->path);
}

START_TEST(lists_with_virtual_names)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct fl_err err;

    ck_assert_int_eq(http_files_list(files, "/frameworks/f/latest/", join, &out, &err), 0);
    ck_assert_str_eq(fl_buf_cstr(&out), "/frameworks/f/latest/f ");
    ck_assert_int_lt(http_files_list(files, "/etc", join, &out, &err), 0);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 404);
}
END_TEST

/* LIST_FILES and READ_FILE of both daemons. */
START_TEST(messages_of_the_calls)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    V1__FileInfo **infos = NULL;
    ProtobufCBinaryData data = {0};
    struct fl_err err;
    char path[128];
    struct stat st;
    size_t n = 77;
    uint64_t size = 0;

    ck_assert_int_eq(operator_list_files(files, "/frameworks/f/latest", arena, &infos, &n, &err),
                     0);
    ck_assert_uint_eq(n, 1);
    in_dir(path, sizeof path, "box/f");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_str_eq(infos[0]->path, "/frameworks/f/latest/f");
    ck_assert_uint_eq(infos[0]->size, 10);
    ck_assert_uint_eq(infos[0]->mode, st.st_mode);
    ck_assert_int_eq(infos[0]->nlink, 1);
    ck_assert_int_eq(infos[0]->mtime->nanoseconds, (int64_t)st.st_mtime * 1000000000);
    ck_assert_int_eq(
        operator_read_file(files, "/frameworks/f/latest/f", 3, 4, arena, &data, &size, &err), 0);
    ck_assert_uint_eq(data.len, 4);
    ck_assert_mem_eq(data.data, "3456", 4);
    ck_assert_uint_eq(size, 10);

    n = 77;
    ck_assert_int_lt(operator_list_files(files, "/no", arena, &infos, &n, &err), 0);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 404);
    ck_assert_uint_eq(n, 77);
    ck_assert_int_lt(
        operator_read_file(files, "/frameworks/f/latest", 0, 4, arena, &data, &size, &err), 0);
    ck_assert_int_eq(fl_reason_http_status(err.reason), 400);
    ck_assert_str_eq(err.msg, "Cannot read a directory.");
}
END_TEST

START_TEST(what_is_detached_is_gone)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    struct fl_err err;
    char real[128];
    uint64_t size;

    in_dir(real, sizeof real, "box");
    ck_assert_int_eq(http_files_attach(files, "/also", real, &err), 0);
    ck_assert_int_eq(read_status("/also/f", 0, 9, &out, &size), 0);
    http_files_detach(files, "/also/");
    ck_assert_int_eq(read_status("/also/f", 0, 9, &out, &size), 404);
    ck_assert_int_eq(http_files_attach(files, "/also", real, &err), 0);
    http_files_detach_real(files, real);
    ck_assert_int_eq(read_status("/also/f", 0, 9, &out, &size), 404);
    ck_assert_int_eq(read_status("/frameworks/f/latest/f", 0, 9, &out, &size), 404);
    ck_assert_int_lt(http_files_attach(files, "/x", "/no/such/place", &err), 0);

    /* More names of what is attached under its own; they all go with it. */
    ck_assert_int_eq(http_files_attach(files, real, real, &err), 0);
    ck_assert_int_eq(http_files_attach(files, "/x/latest", real, &err), 0);
    ck_assert_int_eq(read_status("/x/latest/f", 0, 9, &out, &size), 0);
    http_files_detach_real(files, real);
    ck_assert_int_eq(read_status("/x/latest/f", 0, 9, &out, &size), 404);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http_files");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reads_parts_and_tells_the_size);
    tcase_add_test(tc, nothing_outside_is_seen);
    tcase_add_test(tc, lists_with_virtual_names);
    tcase_add_test(tc, messages_of_the_calls);
    tcase_add_test(tc, what_is_detached_is_gone);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
