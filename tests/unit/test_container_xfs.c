/* disk/xfs on a file system of its own in a file, with real containers. As root; elsewhere every case passes by telling so. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "isolators/isolator.h"
#include "isolators/xfs_quota.h"
#include "tests/unit/container_fixture.c" /* a test program is one object */

static char place[64]; /* the folder of the image, and of where it is mounted */
static struct fixture f;
static bool open_now;

static int run(const char *const *argv)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], (char **)(uintptr_t)argv);
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    return status;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

/* In the process that outlives the cases, so that it is unmounted also when one of them crashes. */
static bool mount_it(void)
{
    static char mnt[80];

    fl_snprintf(place, sizeof(place), "/tmp/fl-xfs-XXXXXX");
    if (!mkdtemp(place) || chmod(place, 0755) < 0)
        return false;
    fl_snprintf(mnt, sizeof(mnt), "%s/m", place);
    _cleanup_free_ char *image = xasprintf("%s/image", place);
    _cleanup_close_ int fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    fixture_below(mnt);
    return fd >= 0 && ftruncate(fd, 320 << 20) == 0 && mkdir(mnt, 0755) == 0 &&
           RUN("mkfs.xfs", "-q", image) == 0 &&
           RUN("mount", "-o", "loop,prjquota", image, mnt) == 0;
}

static void unmount_it(void)
{
    _cleanup_free_ char *mnt = xasprintf("%s/m", place);

    umount2(mnt, MNT_DETACH);
    nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void open_with(const char *const *more)
{
    fixture_open(&f, "posix", "disk/xfs", more);
    open_now = true;
}

static void close_it(void)
{
    if (!open_now)
        return;
    open_now = false;
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
}

static off_t size_of(const char *id, const char *file)
{
    _cleanup_free_ char *dir = sandbox_path(&f, id), *path = xasprintf("%s/%s", dir, file);
    struct stat st;

    return stat(path, &st) < 0 ? -1 : st.st_size;
}

static int64_t project(const char *id)
{
    _cleanup_free_ char *dir = sandbox_path(&f, id);

    return xfs_project_of(dir);
}

#define WRITE(mb, file) "dd if=/dev/zero of=" file " bs=65536 count=$((16 * " #mb ")) 2>&1"

START_TEST(the_quota_stops_the_write)
{
    static const char *const more[] = {"--enforce_container_disk_quota",
                                       "--xfs_project_range=[100-199]", NULL};
    struct container_usage u;

    open_with(more);
    /* What is written to stdout counts as well: it waits until there is room again. */
    fixture_launch(
        &f, &(struct launch){
                .id = "c",
                .user = "nobody",
                .shell = "E=$(" WRITE(
                    5, "big") "); S=$(stat -c %s big); "
                              "sleep 0.1; rm big; echo $E; echo size $S ended; exec sleep 100",
                .resources = "cpus:0.1;mem:32;disk:2"});
    fixture_wait_started(&f, "c");
    _cleanup_free_ char *out = NULL;
    for (int i = 0; i < 500 && !(out && strstr(out, "ended")); i++) {
        free(out);
        fixture_run(&f, 10000);
        out = sandbox_read(&f, "c", "stdout");
    }
    ck_assert_msg(strstr(out, "No space left") || strstr(out, "quota exceeded"), "%s", out);
    int size = 0;
    ck_assert_int_eq(sscanf(strstr(out, "size "), "size %d", &size), 1);
    ck_assert_int_ge(size, (2 << 20) - (1 << 18));
    ck_assert_int_le(size, 2 << 20);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert_uint_eq(u.disk_limit_bytes, 2 << 20);
    ck_assert_uint_le(u.disk_used_bytes, 2 << 20);

    /* More is given, and can be used. */
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    ck_assert_int_eq(resources_parse("cpus:0.1;mem:32;disk:8", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "c", &res, -1, -1);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert_uint_eq(u.disk_limit_bytes, 8 << 20);
    f.cz->ops->destroy(f.cz, "c");
    ck_assert_int_eq(fixture_wait_ended(&f, "c")->reason, CONTAINER_DESTROYED);
}
END_TEST

START_TEST(without_enforcement_it_is_only_counted)
{
    static const char *const more[] = {"--xfs_project_range=[200-299]", NULL};
    uint64_t used = 0;

    open_with(more);
    const struct seen *s = fixture_finish(
        &f, &(struct launch){
                .id = "c", .shell = WRITE(4, "big"), .resources = "cpus:0.1;mem:32;disk:2"});
    ck_assert_int_eq(s->status, 0);
    ck_assert_int_eq(size_of("c", "big"), 4 << 20);
    ck_assert_int_ge(project("c"), 200);
    _cleanup_free_ char *dir = sandbox_path(&f, "c");
    ck_assert_int_eq(xfs_quota_used(dir, (uint32_t)project("c"), &used), 0);
    ck_assert_uint_ge(used, 4 << 20);
}
END_TEST

START_TEST(a_container_above_its_quota_is_killed)
{
    static const char *const more[] = {
        "--enforce_container_disk_quota", "--xfs_kill_containers",
        "--xfs_quota_headroom=4MB",       "--container_disk_watch_interval=20ms",
        "--xfs_project_range=[300-399]",  NULL};

    open_with(more);
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "c",
                                            .shell = WRITE(20, "big") "; exec sleep 100",
                                            .resources = "cpus:0.1;mem:32;disk:2"});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_DISK);
    ck_assert_msg(strstr(s->message, "Disk usage (") &&
                      strstr(s->message, ") exceeded quota (2MB)"),
                  "%s", s->message);
    ck_assert_int_le(size_of("c", "big"), 6 << 20); /* the headroom is the kernel's limit */
}
END_TEST

#define VOLUME .resources = "cpus:0.1;mem:32;disk:2", .volume_mb = 4

START_TEST(a_volume_is_measured_apart)
{
    static const char *const more[] = {"--enforce_container_disk_quota", NULL};

    open_with(more);
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "c",
                                            .shell = WRITE(3, "vol/a") " && " WRITE(
                                                1, "b") " && echo fits; " WRITE(2, "vol/c"),
                                            VOLUME});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_msg(strstr(out, "fits") != NULL, "%s %s", s->message, out);
    ck_assert_int_eq(size_of("c", "b"), 1 << 20);
    _cleanup_free_ char *vol = xasprintf("%s/work/volumes/roles/r/v", f.dir),
                        *full = xasprintf("%s/c", vol);
    struct stat st;
    ck_assert_int_eq(stat(full, &st), 0);
    ck_assert_int_le(st.st_size, 1 << 20);
    ck_assert_int_gt(xfs_project_of(vol), 0);
    ck_assert_int_ne(xfs_project_of(vol), project("c"));
}
END_TEST

static void remove_sandbox(const char *id)
{
    _cleanup_free_ char *dir = sandbox_path(&f, id);

    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

START_TEST(ids_are_given_back_with_their_folders)
{
    static const char *const more[] = {"--xfs_project_range=[700-701]", NULL};

    open_with(more);
    fixture_finish(&f, &(struct launch){.id = "a", .shell = "true"});
    fixture_finish(&f, &(struct launch){.id = "b", .shell = "true"});
    ck_assert_int_eq(project("a"), 700);
    ck_assert_int_eq(project("b"), 701);
    const struct seen *s = fixture_finish(&f, &(struct launch){.id = "c", .shell = "true"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "range exhausted"));
    remove_sandbox("a");
    s = fixture_finish(&f, &(struct launch){.id = "d", .shell = "true"});
    ck_assert_msg(s->reason == CONTAINER_EXITED, "%s", s->message);
    ck_assert_int_eq(project("d"), 700);
}
END_TEST

START_TEST(a_restarted_agent_knows_its_projects)
{
    static const char *const more[] = {"--enforce_container_disk_quota",
                                       "--xfs_project_range=[800-801]", NULL};
    const char *const ids[] = {"c"};
    struct container_usage u;
    struct fl_err err;

    open_with(more);
    fixture_launch(&f, &(struct launch){.id = "c",
                                        .checkpoint = true,
                                        .shell = "until [ -e go ]; do sleep 0.01; done; " WRITE(
                                            5, "big") "; exit 3",
                                        .resources = "cpus:0.1;mem:32;disk:2"});
    fixture_wait_started(&f, "c");
    _cleanup_free_ char *runs =
        xasprintf("%s/work/slaves/s/frameworks/f/executors/e/runs/old", f.dir);
    ck_assert_int_eq(RUN("mkdir", "-p", runs), 0);
    ck_assert_int_eq(xfs_project_set(runs, 801, &err), 0);
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, ids, 1);
    fixture_run(&f, 20000);
    ck_assert_int_eq(project("c"), 800);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert_uint_eq(u.disk_limit_bytes, 2 << 20);
    const struct seen *s = fixture_finish(&f, &(struct launch){.id = "d", .shell = "true"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED); /* an older sandbox has the other id */
    _cleanup_free_ char *dir = sandbox_path(&f, "c"), *go = xasprintf("%s/go", dir);
    _cleanup_close_ int fd = open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fixture_wait_ended(&f, "c")->status, 3 << 8);
    ck_assert_int_le(size_of("c", "big"), 2 << 20);
    f.cz->ops->forget(f.cz, "c");
}
END_TEST

START_TEST(other_file_systems_are_refused)
{
    struct isolator_config config = {
        .launcher = "posix", .work_dir = "/proc", .xfs_project_range = "[1-2]"};
    struct isolator **v;
    struct fl_err err;
    size_t n;

    ck_assert_int_lt(isolators_create(NULL, &config, "disk/xfs", NULL, NULL, &v, &n, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.msg, "'/proc' is not an XFS filesystem"));
}
END_TEST

START_TEST(bad_ranges_are_refused)
{
    _cleanup_free_ char *mnt = xasprintf("%s/m", place);
    struct isolator_config config = {.launcher = "posix", .work_dir = mnt};
    struct isolator **v;
    struct fl_err err;
    size_t n;

    static const char *const bad[] = {"5", "[0-5]", "{a}", "x", "[1-5000000]"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        config.xfs_project_range = bad[i];
        ck_assert_int_lt(isolators_create(NULL, &config, "disk/xfs", NULL, NULL, &v, &n, &err), 0);
        ck_assert_msg(strstr(err.msg, "--xfs_project_range") != NULL, "%s", err.msg);
    }
}
END_TEST

static Suite *suite(bool mounted)
{
    Suite *s = suite_create("container_xfs");
    TCase *t = tcase_create("xfs");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_it);
    if (geteuid() == 0)
        tcase_add_test(t, other_file_systems_are_refused);
    if (mounted) {
        tcase_add_test(t, the_quota_stops_the_write);
        tcase_add_test(t, without_enforcement_it_is_only_counted);
        tcase_add_test(t, a_container_above_its_quota_is_killed);
        tcase_add_test(t, a_volume_is_measured_apart);
        tcase_add_test(t, ids_are_given_back_with_their_folders);
        tcase_add_test(t, a_restarted_agent_knows_its_projects);
        tcase_add_test(t, bad_ranges_are_refused);
    } else {
        printf("no XFS with project quotas can be mounted here (as root, by a kernel with "
               "CONFIG_XFS_QUOTA): disk/xfs is not tested\n");
    }
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    bool mounted = geteuid() == 0 && mount_it();
    SRunner *r = srunner_create(suite(mounted));

    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    if (*place)
        unmount_it();
    return failed ? 1 : 0;
}
