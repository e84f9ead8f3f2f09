/* The agent's files on a real disk, in a folder of their own; and what it makes of --resources. */
#include "agent/disk.h"

#include <check.h>
#include <fcntl.h>
#include <pwd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/detect.h"
#include "agent/disk_thread.h"
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

START_TEST(a_sandbox_is_for_its_user)
{
    _cleanup_free_ char *box = in("mine");
    struct stat st;
    struct fl_err err;

    ck_assert_int_eq(agent_disk_mkdir(NULL, box, getpwuid(geteuid())->pw_name, &err), 0);
    ck_assert_int_eq(stat(box, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0750);
}
END_TEST

/* ---- emptying what a task left ---- */

static void make_dir(int at, const char *name, mode_t mode)
{
    ck_assert_int_eq(mkdirat(at, name, 0755), 0);
    ck_assert_int_eq(fchmodat(at, name, mode, 0), 0);
}

/* Folders in folders, deeper than PATH_MAX can say. */
static void dig(const char *top, unsigned levels)
{
    static const char name[] = "a-folder-with-a-name-of-some-length";
    int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (unsigned i = 0; i < levels && fd >= 0; i++) {
        int file = openat(fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), next = -1;

        if (file >= 0 && mkdirat(fd, name, 0755) == 0)
            next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(file);
        close(fd);
        fd = next;
    }
    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(empties_whatever_is_there)
{
    _cleanup_free_ char *top = in("volume"), *outside = in("outside"), *away = in("volume/away"),
                        *kept = in("outside/kept"), *dangling = in("volume/dangling"),
                        *taken = in("volume/.fairlead-removing-0");
    struct fl_err err = {0};
    int fd;

    ck_assert_int_eq(agent_disk_mkdir(NULL, top, NULL, &err), 0);
    ck_assert_int_eq(agent_disk_write(NULL, kept, "x", 1, false, &err), 0);
    ck_assert_int_eq(symlink(outside, away), 0);
    ck_assert_int_eq(symlink("/no/such/place", dangling), 0);
    ck_assert_int_eq(agent_disk_write(NULL, taken, "x", 1, false, &err), 0);
    fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_dir(fd, "closed", 0);
    make_dir(fd, "unwritable", 0755);
    make_dir(fd, "unwritable/inner", 0755);
    make_dir(fd, "unwritable/inner/most", 0);
    fchmodat(fd, "unwritable", 0555, 0);
    close(fd);
    dig(top, 400);
    ck_assert_msg(agent_disk_empty(NULL, top, false, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(rmdir(top), 0); /* it was empty */
    ck_assert_int_eq(access(kept, F_OK), 0);
}
END_TEST

START_TEST(emptying_removes_the_folder_only_when_asked)
{
    _cleanup_free_ char *top = in("volume"), *file = in("volume/f"), *link_path = in("link");
    struct fl_err err = {0};
    struct stat st;

    ck_assert_int_eq(agent_disk_empty(NULL, top, true, &err), 0); /* there is none */
    ck_assert_int_eq(agent_disk_write(NULL, file, "x", 1, false, &err), 0);
    ck_assert_int_eq(chmod(top, 0751), 0);
    ck_assert_int_eq(symlink(top, link_path), 0);
    ck_assert_int_lt(agent_disk_empty(NULL, link_path, true, &err), 0); /* not followed */
    ck_assert_int_eq(access(file, F_OK), 0);
    ck_assert_int_eq(agent_disk_empty(NULL, top, false, &err), 0);
    ck_assert_int_eq(stat(top, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0751);
    ck_assert_int_eq(agent_disk_empty(NULL, top, true, &err), 0);
    ck_assert_int_lt(access(top, F_OK), 0);
}
END_TEST

/* ---- the thread ---- */

struct steps {
    struct fl_loop *loop;
    pthread_t worker;
    unsigned worked, done;
};

static void work(void *arg)
{
    struct steps *s = arg;

    s->worker = pthread_self();
    s->worked++;
}

static void done(void *arg)
{
    struct steps *s = arg;

    ck_assert(pthread_equal(pthread_self(), s->worker) == 0);
    if (++s->done == 3)
        fl_loop_stop(s->loop);
}

START_TEST(jobs_run_elsewhere_and_report_here)
{
    struct steps s = {0};
    struct agent_disk_thread *t;
    struct fl_err err;

    ck_assert_int_eq(fl_loop_new(&s.loop, &err), 0);
    t = agent_disk_thread_new(s.loop);
    for (unsigned i = 0; i < 3; i++)
        agent_disk_thread_run(t, work, done, &s);
    ck_assert_uint_eq(s.done, 0); /* never within the call */
    fl_loop_run(s.loop);
    ck_assert_uint_eq(s.worked, 3);
    /* Freed with results under way: they are not delivered, and nothing is lost track of. */
    s.done = 0;
    for (unsigned i = 0; i < 3; i++)
        agent_disk_thread_run(t, work, done, &s);
    agent_disk_thread_free(t);
    fl_loop_free(s.loop);
    ck_assert_uint_eq(s.done, 0);
    agent_disk_thread_free(NULL);
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
    tcase_add_test(tc, a_sandbox_is_for_its_user);
    tcase_add_test(tc, empties_whatever_is_there);
    tcase_add_test(tc, emptying_removes_the_folder_only_when_asked);
    tcase_add_test(tc, jobs_run_elsewhere_and_report_here);
    tcase_add_test(tc, what_is_not_named_is_detected);
    tcase_add_test(tc, bad_descriptions_name_their_flag);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
