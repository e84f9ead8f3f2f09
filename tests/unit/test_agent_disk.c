/* The agent's files on a real disk, in a folder of their own; and what it makes of --resources. */
#include "agent/disk.h"

#include <check.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/detect.h"
#include "common/model/resources.h"

static char dir[64];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/fl-disk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    struct fl_err err;

    ck_assert_int_eq(agent_disk_remove(NULL, dir, &err), 0);
    ck_assert_int_lt(access(dir, F_OK), 0);
}

static char *in(const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

START_TEST(writes_appends_reads_and_cuts)
{
    _cleanup_free_ char *path = in("a/b/c/log");
    _cleanup_free_ char *none = in("none");
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    struct fl_err err;

    ck_assert_int_eq(agent_disk_write(NULL, path, "one", 3, true, &err), 0);
    ck_assert_int_eq(agent_disk_append(NULL, path, "two", 3, &err), 0);
    ck_assert_int_eq(agent_disk_truncate(NULL, path, 5, &err), 0);
    ck_assert_int_eq(agent_disk_read(NULL, path, &b, &err), 0);
    ck_assert_str_eq(fl_buf_cstr(&b), "onetw");
    ck_assert_int_eq(agent_disk_write(NULL, path, "new", 3, false, &err), 0);
    b.len = 0;
    ck_assert_int_eq(agent_disk_read(NULL, path, &b, &err), 0);
    ck_assert_str_eq(fl_buf_cstr(&b), "new");
    ck_assert_int_lt(agent_disk_read(NULL, none, &b, &err), 0);
    ck_assert_int_eq(err.reason, FL_NOT_FOUND);
}
END_TEST

static void count(const char *name, void *arg)
{
    ++*(unsigned *)arg;
}

START_TEST(links_folders_and_lists)
{
    _cleanup_free_ char *link_path = in("x/y/latest"), *folder = in("x/y/z"), *list = in("x/y"),
                        *file = in("f");
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    _cleanup_free_ char *below = in("f/below");
    struct fl_err err;
    unsigned n = 0;

    ck_assert_int_eq(agent_disk_link(NULL, "/first", link_path, &err), 0);
    ck_assert_int_eq(agent_disk_link(NULL, "/second", link_path, &err), 0);
    ck_assert_int_eq(agent_disk_readlink(NULL, link_path, &b, &err), 0);
    ck_assert_str_eq(fl_buf_cstr(&b), "/second");
    ck_assert_int_eq(agent_disk_mkdir(NULL, folder, NULL, &err), 0);
    ck_assert_int_eq(agent_disk_mkdir(NULL, folder, NULL, &err), 0);
    ck_assert_int_eq(agent_disk_list(NULL, list, count, &n, &err), 0);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_lt(agent_disk_mkdir(NULL, folder, "no-such-user-here", &err), 0);
    ck_assert_int_eq(agent_disk_write(NULL, file, "", 0, false, &err), 0);
    ck_assert_int_lt(agent_disk_mkdir(NULL, below, NULL, &err), 0);
    ck_assert_int_lt(agent_disk_write(NULL, below, "", 0, false, &err), 0);
}
END_TEST

START_TEST(removing_does_not_follow_links)
{
    _cleanup_free_ char *kept = in("kept/f"), *box = in("box"), *kept_dir = in("kept"),
                        *out = in("box/out");
    struct fl_err err;

    ck_assert_int_eq(agent_disk_write(NULL, kept, "x", 1, false, &err), 0);
    ck_assert_int_eq(agent_disk_link(NULL, kept_dir, out, &err), 0);
    ck_assert_int_eq(agent_disk_remove(NULL, box, &err), 0);
    ck_assert_int_eq(access(kept, F_OK), 0);
    ck_assert_int_eq(agent_disk_remove(NULL, box, &err), 0);
}
END_TEST

START_TEST(what_is_not_named_is_detected)
{
    static const struct {
        const char *given;
        struct machine machine;
        double cpus, mem, disk;
    } rows[] = {
        {NULL, {8, 16ull << 30, 100ull << 30}, 8, 15 * 1024, 95 * 1024},
        {NULL, {1, 1ull << 30, 8ull << 30}, 1, 512, 4096},
        {"cpus:4;mem:100", {8, 16ull << 30, 100ull << 30}, 4, 100, 95 * 1024},
        {"cpus(r):2;disk:7", {8, 16ull << 30, 100ull << 30}, 2, 15 * 1024, 7},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct agent_flags flags = {.resources = (char *)rows[i].given,
                                    .default_role = (char *)"*"};
        _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
        _cleanup_resources_ struct resources r = RESOURCES_INIT;
        V1__AgentInfo *info;
        struct fl_err err;

        ck_assert_int_eq(agent_describe(&flags, &rows[i].machine, "h", 5051, arena, &info, &err),
                         0);
        ck_assert_int_eq(resources_from_pb(info->resources, info->n_resources, &r, &err), 0);
        ck_assert_double_eq_tol(milli_to_double(resources_scalar(&r, "cpus")), rows[i].cpus, 1e-9);
        ck_assert_double_eq_tol(milli_to_double(resources_scalar(&r, "mem")), rows[i].mem, 1e-9);
        ck_assert_double_eq_tol(milli_to_double(resources_scalar(&r, "disk")), rows[i].disk, 1e-9);
    }
}
END_TEST

START_TEST(bad_descriptions_name_their_flag)
{
    static const struct {
        struct agent_flags flags;
        const char *flag;
    } rows[] = {
        {{.resources = (char *)"cpus:many"}, "--resources"},
        {{.attributes = (char *)"rack"}, "--attributes"},
        {{.domain = (char *)"{\"fault_domain\":3}"}, "--domain"},
    };
    const struct machine machine = {1, 1ull << 30, 1ull << 30};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
        struct agent_flags flags = rows[i].flags;
        V1__AgentInfo *info;
        struct fl_err err;

        flags.default_role = (char *)"*";
        ck_assert_int_lt(agent_describe(&flags, &machine, "h", 1, arena, &info, &err), 0);
        ck_assert_msg(strstr(err.msg, rows[i].flag) != NULL, "'%s'", err.msg);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_disk");
    TCase *tc = tcase_create("all");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, writes_appends_reads_and_cuts);
    tcase_add_test(tc, links_folders_and_lists);
    tcase_add_test(tc, removing_does_not_follow_links);
    tcase_add_test(tc, what_is_not_named_is_detected);
    tcase_add_test(tc, bad_descriptions_name_their_flag);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
