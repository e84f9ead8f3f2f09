/* Containers with a root file system of their own (filesystem/linux, namespaces): what they see, and what they must not.
 * Without root, or without a static busybox, every case passes by telling so. */
#include <check.h>
#include <sys/mount.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

#include "tests/unit/rootfs_fixture.h"

#define ISOLATION "namespaces/pid,namespaces/ipc,namespaces/uts,filesystem/linux"

static struct fixture f;
static bool open_now;
static char *root;

static void open_root(const char *const *more)
{
    fixture_open(&f, "linux", ISOLATION, more);
    open_now = true;
    root = rootfs_make(f.dir, "root");
}

static void close_it(void)
{
    if (!open_now)
        return;
    open_now = false;
    free(root);
    root = NULL;
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
}

/* The output of a shell in `root`; the caller's. */
static char *run(const char *id, const char *shell, const V1__ContainerInfo *info)
{
    fixture_launch(&f, &(struct launch){.id = id, .shell = shell, .info = info});
    rootfs_give(&f, id, root);
    const struct seen *s = fixture_wait_ended(&f, id);
    ck_assert_msg(s->reason == CONTAINER_EXITED, "%s", s->message);
    return sandbox_read(&f, id, "stdout");
}

START_TEST(the_image_is_the_root)
{
    open_root(NULL);
    _cleanup_free_ char *out = run(
        "c", "ls /; pwd; echo $MESOS_SANDBOX; ls; echo x > made; readlink /proc/self/root", NULL);
    ck_assert_str_eq(out, "bin\ndev\netc\nimage-file\nmnt\nproc\nsys\n/mnt/mesos/sandbox\n"
                          "/mnt/mesos/sandbox\nstderr\nstdout\n/\n");
    _cleanup_free_ char *made = sandbox_read(&f, "c", "made");
    ck_assert_str_eq(made, "x\n");
}
END_TEST

/* Everything of the machine is out of reach: names, processes, kept descriptors, the way up. */
START_TEST(the_machine_is_not_seen)
{
    open_root(NULL);
    _cleanup_free_ char *shell =
        xasprintf("test -e %s && echo sandbox; test -e /usr/bin/env && echo usr;"
                  "ls /proc/self/fd | tr '\\n' ' '; echo; ls -l /proc/self/fd | grep -c %s;"
                  "ls -d /proc/[0-9]* | wc -l; cd ../../../../../..; ls -d bin usr 2>/dev/null;"
                  "awk '{print $5}' /proc/self/mountinfo | grep -c -e /sys/fs/cgroup/memory -e %s;"
                  "ls -l /proc/1/fd/ 2>&1 | grep -o -e '-> /.*' | grep -v -e /dev/null -e sandbox",
                  f.dir, f.dir, f.dir);
    _cleanup_free_ char *out = run("c", shell, NULL);
    ck_assert_str_eq(out, "0 1 2 3 \n0\n4\nbin\n0\n-> /\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("container_rootfs");
    TCase *t = tcase_create("rootfs");
    SRunner *r;
    int failed;

    if (geteuid() != 0 || access(BUSYBOX, X_OK) < 0) {
        printf("skipped: not root, or no " BUSYBOX "\n100%%: Checks: 0, Failures: 0, Errors: 0\n");
        return 0;
    }
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_it);
    tcase_add_test(t, the_image_is_the_root);
    tcase_add_test(t, the_machine_is_not_seen);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
