/* The containerizer with --launcher=linux as root: cgroups, namespaces, volumes, disk. Without root every case passes by telling so. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "isolators/isolator.h"
#include "tests/unit/container_fixture.c" /* a test program is one object */

#define WHOLE                                                                                      \
    "cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid,namespaces/ipc,namespaces/uts,"           \
    "filesystem/linux,disk/du,posix/rlimits"

static struct fixture f;
static bool open_now;

static bool can(void)
{
    return geteuid() == 0 && (access("/sys/fs/cgroup/memory/cgroup.procs", W_OK) == 0 ||
                              access("/sys/fs/cgroup/cgroup.subtree_control", W_OK) == 0);
}

static void open_with(const char *isolation, const char *const *more)
{
    fixture_open(&f, "linux", isolation, more);
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

static const char *const isolations[] = {
    "cgroups/cpu,cgroups/mem",         "cgroups/all", "posix/cpu,posix/mem",
    "namespaces/pid,filesystem/linux", WHOLE,
};

START_TEST(every_isolation_runs_and_leaves_nothing)
{
    open_with(isolations[_i], NULL);
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "c", .shell = "echo hi; exit 3"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_msg(s->reason == CONTAINER_EXITED, "%s", s->message);
    ck_assert_int_eq(s->status, 3 << 8);
    ck_assert_str_eq(out, "hi\n");

    fixture_launch(&f,
                   &(struct launch){.id = "d", .shell = "setsid sleep 72001.5 & sleep 72001.5"});
    s = fixture_wait_started(&f, "d");
    ck_assert_int_gt(s->pid, 1);
    ck_assert_int_eq(kill(s->pid, 0), 0);
    f.cz->ops->destroy(f.cz, "d");
    ck_assert_int_eq(fixture_wait_ended(&f, "d")->reason, CONTAINER_DESTROYED);
    ck_assert_int_eq(processes_with("72001.5"), 0);
}
END_TEST

START_TEST(no_such_program)
{
    static const char *const argv[] = {"/no/such/program", NULL};
    open_with(WHOLE, NULL);
    const struct seen *s = fixture_finish(&f, &(struct launch){.id = "c", .argv = argv});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_str_eq(s->message, "cannot run '/no/such/program': No such file or directory");
}
END_TEST

#define EATER                                                                                      \
    "python3 -c \"\nimport time\nx=[]\nfor i in range(60): x.append(bytearray(4<<20)); "           \
    "time.sleep(0.01)\ntime.sleep(100)\""

static const char *const memory_isolations[] = {"cgroups/cpu,cgroups/mem", WHOLE};

START_TEST(too_much_memory_is_said_so)
{
    open_with(memory_isolations[_i], NULL);
    const struct seen *s = fixture_finish(
        &f, &(struct launch){.id = "c", .shell = EATER, .resources = "cpus:0.5;mem:48"});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_MEMORY);
    ck_assert_ptr_nonnull(strstr(s->message, "Memory limit exceeded: Requested: 48MB"));

    /* exec makes the killed process the first one, whose end and the kernel's notice race. */
    s = fixture_finish(
        &f, &(struct launch){.id = "d", .shell = "exec " EATER, .resources = "cpus:0.5;mem:48"});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_MEMORY);
}
END_TEST

START_TEST(limits_above_the_request)
{
    static const char *const more[] = {"--cgroups_cpu_enable_pids_and_tids_count", NULL};
    struct container_usage u;

    open_with(WHOLE, more);
    fixture_launch(
        &f, &(struct launch){
                .id = "c", .shell = "exec sleep 100", .mem_limit = 256, .cpu_limit = INFINITY});
    fixture_launch(&f, &(struct launch){.id = "d",
                                        .shell = "exec sleep 100",
                                        .mem_limit = INFINITY,
                                        .cpu_limit = 0.5,
                                        .resources = "cpus:0.2;mem:8"});
    fixture_wait_started(&f, "c");
    fixture_wait_started(&f, "d");
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert_uint_eq(u.mem_limit_bytes, 256 << 20);
    ck_assert_uint_eq(u.mem_soft_limit_bytes, 64 << 20);
    ck_assert_uint_eq(u.processes, 1);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "d", &u), 0);
    ck_assert_uint_eq(u.mem_limit_bytes, 0);
    ck_assert_uint_eq(u.mem_soft_limit_bytes, 32 << 20);

    /* An executor that gets more may use more; one that gets less keeps its hard limit. */
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    ck_assert_int_eq(resources_parse("cpus:1;mem:300", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "c", &res, -1, -1);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert_uint_eq(u.mem_limit_bytes, 300 << 20);
    ck_assert_int_eq(resources_parse("cpus:1;mem:100", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "c", &res, -1, -1);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert_uint_eq(u.mem_limit_bytes, 300 << 20);
    ck_assert_uint_eq(u.mem_soft_limit_bytes, 100 << 20);
    f.cz->ops->destroy(f.cz, "c");
    f.cz->ops->destroy(f.cz, "d");
    fixture_wait_ended(&f, "c");
    fixture_wait_ended(&f, "d");
}
END_TEST

static bool throttled(void *arg)
{
    struct container_usage *u = arg;

    return f.cz->ops->usage(f.cz, "c", u) == 0 && u->has_cfs && u->cpus_nr_throttled > 0 &&
           u->cpus_user_s > 0;
}

START_TEST(cfs_holds_back)
{
    static const char *const more[] = {"--cgroups_enable_cfs", NULL};
    struct container_usage u;

    open_with("cgroups/cpu", more);
    fixture_launch(&f, &(struct launch){.id = "c",
                                        .shell = "while :; do :; done",
                                        .resources = "cpus:0.1;mem:32"});
    fixture_wait_started(&f, "c");
    ck_assert(fixture_until(&f, throttled, &u, 10000000));
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
}
END_TEST

START_TEST(pids_are_limited)
{
    open_with("cgroups/pids,namespaces/pid,filesystem/linux", NULL);
    fixture_finish(
        &f, &(struct launch){.id = "c",
                             .shell = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo reached",
                             .resources = "cpus:0.1;mem:32;pids:5"});
    _cleanup_free_ char *err = sandbox_read(&f, "c", "stderr"),
                        *out = sandbox_read(&f, "c", "stdout");
    ck_assert_str_eq(out, "");
    ck_assert_ptr_nonnull(strstr(err, "fork"));
}
END_TEST

START_TEST(namespaces_hide_the_machine)
{
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    info.type = V1__CONTAINER_INFO__TYPE__MESOS;
    info.hostname = (char *)(uintptr_t) "inside";
    open_with(WHOLE, NULL);
    fixture_finish(&f, &(struct launch){.id = "c",
                                        .info = &info,
                                        .shell = "echo $$; ls /proc | grep -c '^[0-9]'; uname -n; "
                                                 "ls /proc/sysvipc >/dev/null && echo ok"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    int pid, n;
    char host[64];
    ck_assert_int_eq(sscanf(out, "%d %d %63s", &pid, &n, host), 3);
    ck_assert_int_eq(pid, 2);
    ck_assert_int_lt(n, 8);
    ck_assert_str_eq(host, "inside");
}
END_TEST

START_TEST(pid_namespace_reaps_and_ends_daemons)
{
    open_with(WHOLE, NULL);
    const struct seen *s = fixture_finish(
        &f, &(struct launch){
                .id = "c", .shell = "(setsid sh -c 'true & sleep 72002.5' &); sleep 0.1; exit 6"});
    ck_assert_int_eq(s->status, 6 << 8);
    ck_assert_int_eq(processes_with("72002.5"), 0);
}
END_TEST

START_TEST(volumes)
{
    _cleanup_free_ char *host = xasprintf("%s/host", f.dir);
    V1__Volume host_v = V1__VOLUME__INIT, ro_v = V1__VOLUME__INIT, sandbox_v = V1__VOLUME__INIT,
               abs_v = V1__VOLUME__INIT;
    V1__Volume *all[] = {&host_v, &ro_v, &sandbox_v, &abs_v};
    V1__Volume__Source src = V1__VOLUME__SOURCE__INIT;
    V1__Volume__Source__SandboxPath sp = V1__VOLUME__SOURCE__SANDBOX_PATH__INIT;
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    open_with(WHOLE, NULL);
    free(host);
    host = xasprintf("%s/host", f.dir);
    ck_assert_int_eq(mkdir(host, 0777), 0);
    host_v.host_path = ro_v.host_path = abs_v.host_path = host;
    host_v.container_path = (char *)(uintptr_t) "a/b";
    host_v.mode = V1__VOLUME__MODE__RW;
    ro_v.container_path = (char *)(uintptr_t) "ro";
    ro_v.mode = V1__VOLUME__MODE__RO;
    abs_v.container_path = (char *)(uintptr_t) "/mnt";
    abs_v.mode = V1__VOLUME__MODE__RW;
    src.has_type = true;
    src.type = V1__VOLUME__SOURCE__TYPE__SANDBOX_PATH;
    src.sandbox_path = &sp;
    sp.has_type = true;
    sp.type = V1__VOLUME__SOURCE__SANDBOX_PATH__TYPE__SELF;
    sp.path = (char *)(uintptr_t) "./keep";
    sandbox_v.source = &src;
    sandbox_v.container_path = (char *)(uintptr_t) "kept";
    sandbox_v.mode = V1__VOLUME__MODE__RW;
    info.volumes = all;
    info.n_volumes = ARRAY_SIZE(all);
    fixture_finish(
        &f, &(struct launch){.id = "c",
                             .info = &info,
                             .shell = "echo x > a/b/f; cat ro/f /mnt/f; touch ro/g 2>/dev/null || "
                                      "echo read-only; echo y > kept/z; cat keep/z"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout"),
                        *err = sandbox_read(&f, "c", "stderr");
    ck_assert_msg(streq(out, "x\nx\nread-only\ny\n"), "'%s' '%s' %s", out, err,
                  fixture_seen(&f, "c")->message);

    /* Out of the sandbox by ..: refused. */
    host_v.container_path = (char *)(uintptr_t) "../out";
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "d", .info = &info, .shell = "true"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "'../out'"));
}
END_TEST

START_TEST(rlimits)
{
    V1__RLimitInfo__RLimit nofile = V1__RLIMIT_INFO__RLIMIT__INIT, *v[] = {&nofile};
    V1__RLimitInfo rl = V1__RLIMIT_INFO__INIT;
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    nofile.has_type = nofile.has_soft = nofile.has_hard = true;
    nofile.type = V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NOFILE;
    nofile.soft = 77;
    nofile.hard = 99;
    rl.rlimits = v;
    rl.n_rlimits = 1;
    info.rlimit_info = &rl;
    open_with("posix/rlimits", NULL);
    fixture_finish(&f,
                   &(struct launch){.id = "c", .info = &info, .shell = "ulimit -Sn; ulimit -Hn"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_str_eq(out, "77\n99\n");
    nofile.has_hard = false;
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = "d", .info = &info, .shell = "true"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
}
END_TEST

START_TEST(disk_quota)
{
    static const char *const more[] = {"--enforce_container_disk_quota",
                                       "--container_disk_watch_interval=50ms", NULL};

    open_with(WHOLE, more);
    const struct seen *s = fixture_finish(
        &f, &(struct launch){.id = "c",
                             .shell = "dd if=/dev/zero of=big bs=1M count=4 2>/dev/null; sleep 100",
                             .resources = "cpus:0.1;mem:64;disk:2"});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_DISK);
    ck_assert_ptr_nonnull(strstr(s->message, "exceeds quota (2MB)"));
}
END_TEST

#define VOLUME         .resources = "cpus:0.1;mem:32;disk:2", .volume_mb = 4
#define FILL(mb, file) "dd if=/dev/zero of=" file " bs=1M count=" #mb " 2>/dev/null; "

static bool volume_measured(void *arg)
{
    struct container_usage u = {0};

    return f.cz->ops->usage(f.cz, arg, &u) == 0 && u.n_volumes == 1 && u.volumes[0].has_used &&
           u.volumes[0].used_bytes >= 3 << 20 && u.volumes[0].limit_bytes == 4 << 20 &&
           streq(u.volumes[0].disk->persistence->id, "v") && u.has_disk &&
           u.disk_limit_bytes == 2 << 20 && u.disk_used_bytes < 2 << 20;
}

START_TEST(volumes_are_measured_apart)
{
    static const char *const more[] = {"--enforce_container_disk_quota",
                                       "--container_disk_watch_interval=20ms", NULL};

    open_with("disk/du", more);
    fixture_launch(&f, &(struct launch){.id = "c",
                                        .shell = FILL(1, "small") FILL(3, "vol/a") "sleep 100",
                                        VOLUME});
    ck_assert(fixture_until(&f, volume_measured, (void *)(uintptr_t) "c", 10000000));
    ck_assert(!fixture_seen(&f, "c")->ended);
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
    const struct seen *s = fixture_finish(
        &f, &(struct launch){.id = "d", .shell = FILL(5, "vol/b") "sleep 100", VOLUME});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_DISK);
    ck_assert_ptr_nonnull(strstr(s->message, "exceeds quota (4MB)"));
}
END_TEST

START_TEST(freed_while_disks_are_measured)
{
    static const char *const more[] = {"--container_disk_watch_interval=1ms", NULL};

    open_with("disk/du,cgroups/cpu", more);
    fixture_launch(&f, &(struct launch){.id = "c", .shell = "sleep 100"});
    fixture_wait_started(&f, "c");
    fixture_run(&f, 20000);
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, NULL, 0);
    for (int i = 0; i < 500 && fixture_leftovers(&f); i++)
        fixture_run(&f, 10000);
}
END_TEST

START_TEST(contradictions_are_refused)
{
    static const char *const bad[] = {"no/such", "filesystem/linux,filesystem/posix",
                                      "namespaces/pid", "launcher/linux"};
    struct isolator_config config = {
        .launcher = "linux", .cgroups_hierarchy = "/sys/fs/cgroup", .cgroups_root = "x"};
    struct isolator **v;
    struct fl_err err;
    size_t n;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_int_lt(isolators_create(NULL, &config, bad[i], NULL, NULL, &v, &n, &err), 0);
        ck_assert_uint_gt(strlen(err.msg), 20);
    }
    config.launcher = "posix";
    ck_assert_int_lt(isolators_create(NULL, &config, "cgroups/mem", NULL, NULL, &v, &n, &err), 0);
    ck_assert_int_eq(err.reason, FL_UNSUPPORTED);
}
END_TEST

/* Version 2 without controllers, as far as a machine with both has it. */
START_TEST(version_2_kills_by_its_own_file)
{
    static const char *const more[] = {"--cgroups_hierarchy=/sys/fs/cgroup/unified", NULL};
    struct statfs st;

    if (statfs("/sys/fs/cgroup/unified", &st) < 0)
        return;
    open_with("posix/cpu", more);
    fixture_launch(&f,
                   &(struct launch){.id = "c", .shell = "setsid sleep 72003.5 & sleep 72003.5"});
    fixture_wait_started(&f, "c");
    _cleanup_free_ char *procs =
        xasprintf("/sys/fs/cgroup/unified/%s/c/cgroup.procs", strrchr(f.dir, '/') + 1);
    ck_assert_int_eq(access(procs, F_OK), 0);
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
    ck_assert_int_eq(processes_with("72003.5"), 0);
}
END_TEST

int main(void)
{
    if (!can()) {
        printf("skipped: not root, or no cgroups that can be written\n100%%: Checks: 0, Failures: "
               "0, Errors: 0\n");
        return 0;
    }

    Suite *s = suite_create("container_linux");
    TCase *t = tcase_create("linux");
    SRunner *r;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_it);
    tcase_add_loop_test(t, every_isolation_runs_and_leaves_nothing, 0, (int)ARRAY_SIZE(isolations));
    tcase_add_test(t, no_such_program);
    tcase_add_loop_test(t, too_much_memory_is_said_so, 0, (int)ARRAY_SIZE(memory_isolations));
    tcase_add_test(t, limits_above_the_request);
    tcase_add_test(t, cfs_holds_back);
    tcase_add_test(t, pids_are_limited);
    tcase_add_test(t, namespaces_hide_the_machine);
    tcase_add_test(t, pid_namespace_reaps_and_ends_daemons);
    tcase_add_test(t, volumes);
    tcase_add_test(t, rlimits);
    tcase_add_test(t, disk_quota);
    tcase_add_test(t, volumes_are_measured_apart);
    tcase_add_test(t, freed_while_disks_are_measured);
    tcase_add_test(t, contradictions_are_refused);
    tcase_add_test(t, version_2_kills_by_its_own_file);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
