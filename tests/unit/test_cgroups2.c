/* Cgroup isolators where version 2 is all there is, with real containers. `make vm-cgroups2` runs it in a virtual machine that has nothing
 * else (tests/vm/cgroups2); elsewhere every case passes by telling so. Tasks are busybox's. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

#define TOP "/sys/fs/cgroup"

static struct fixture f;
static bool open_now;
static const char *above =
    ""; /* the group that --cgroups_hierarchy shows as its top: "/delegated" */

static bool can(void)
{
    struct statfs st;

    return geteuid() == 0 && statfs(TOP, &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC &&
           access(TOP "/cgroup.subtree_control", W_OK) == 0;
}

static char *in_group(const char *path)
{
    return xasprintf(TOP "%s/%s/%s", above, strrchr(f.dir, '/') + 1, path);
}

static void open_with(const char *isolation, const char *const *more)
{
    fixture_open(&f, "linux", isolation, more);
    open_now = true;
}

static int folders(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)))
        n += e->d_type == DT_DIR && e->d_name[0] != '.' && !streq(e->d_name, "agent");
    if (d)
        closedir(d);
    return n;
}

static void close_it(void)
{
    if (!open_now)
        return;
    open_now = false;
    _cleanup_free_ char *top = in_group(".");
    int left = folders(top);
    fixture_close(&f);
    top[strlen(top) - 2] = '\0';
    if (!*above && rmdir(top) < 0 && errno != ENOENT)
        ck_abort_msg("'%s' cannot be removed: %m", top);
    ck_assert_int_eq(left, 0);
}

/* The text of a group's file, without the last newline; "" when there is none. */
static const char *value(const char *path)
{
    static char text[4096];
    _cleanup_free_ char *name = in_group(path);
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    return text;
}

static size_t processes_in(const char *path)
{
    const char *text = value(path);
    size_t n = *text != '\0';

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static bool group_is(const char *path)
{
    _cleanup_free_ char *name = in_group(path);

    return access(name, F_OK) == 0;
}

static void set(const char *path, const char *text)
{
    _cleanup_free_ char *name = in_group(path);
    _cleanup_close_ int fd = open(name, O_WRONLY | O_CLOEXEC);

    ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) > 0, "write '%s' to '%s': %m", text,
                  name);
}

static void destroy(const char *id)
{
    f.cz->ops->destroy(f.cz, id);
    fixture_wait_ended(&f, id);
}

static void run_it(const struct launch *l)
{
    fixture_launch(&f, l);
    fixture_wait_started(&f, l->id);
}

static const V1__ContainerInfo *unshared(bool share)
{
    static V1__LinuxInfo li = V1__LINUX_INFO__INIT;
    static V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    li.has_share_cgroups = true;
    li.share_cgroups = share;
    info.type = V1__CONTAINER_INFO__TYPE__MESOS;
    info.linux_info = &li;
    return &info;
}

START_TEST(values_and_places)
{
    struct container_usage u;

    open_with("cgroups/all", NULL);
    run_it(&(struct launch){.id = "a",
                            .shell = "exec sleep 100",
                            .resources = "cpus:1.5;mem:64;pids:20",
                            .cpu_limit = 2,
                            .mem_limit = 128});
    ck_assert_str_eq(value("a/cpu.weight"), "150");
    ck_assert_str_eq(value("a/cpu.max"), "200000 100000");
    ck_assert_str_eq(value("a/memory.low"), "67108864");
    ck_assert_str_eq(value("a/memory.max"), "134217728");
    ck_assert_str_eq(value("a/pids.max"), "21");
    ck_assert_uint_eq(processes_in("a/cgroup.procs"), 0);
    ck_assert_uint_eq(processes_in("a/leaf/cgroup.procs"), 2);
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "a", &u), 0);
    ck_assert_uint_eq(u.mem_limit_bytes, 128 << 20);
    ck_assert(u.mem_total_bytes > 0 && u.has_mem_stat && u.has_kmem && !u.has_pressure);
    ck_assert_uint_ge(u.n_io, 1);

    run_it(&(struct launch){.id = "b",
                            .shell = "exec sleep 100",
                            .resources = "cpus:0.001;mem:8",
                            .cpu_limit = INFINITY,
                            .mem_limit = INFINITY});
    ck_assert_str_eq(value("b/cpu.weight"), "1");
    ck_assert_str_eq(value("b/cpu.max"), "max 100000");
    ck_assert_str_eq(value("b/memory.low"), "33554432");
    ck_assert_str_eq(value("b/memory.max"), "max");

    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    ck_assert_int_eq(resources_parse("cpus:1;mem:200", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "a", &res, -1, -1);
    ck_assert_str_eq(value("a/memory.max"), "209715200");
    ck_assert_str_eq(value("a/cpu.weight"), "100");
    ck_assert_int_eq(resources_parse("cpus:1;mem:50", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "a", &res, -1, -1);
    ck_assert_str_eq(value("a/memory.max"), "209715200");
    ck_assert_str_eq(value("a/memory.low"), "52428800");
    destroy("a");
    destroy("b");
}
END_TEST

/* Takes 100 MB at once. */
#define EATER "dd if=/dev/zero of=/dev/null bs=100M count=1"

START_TEST(too_much_memory)
{
    open_with("cgroups/cpu,cgroups/mem", NULL);
    const struct seen *s = fixture_finish(
        &f, &(struct launch){.id = "c", .shell = "exec " EATER, .resources = "cpus:1;mem:32"});
    ck_assert_msg(s->reason == CONTAINER_LIMIT_MEMORY, "%d '%s'", (int)s->reason, s->message);
    ck_assert_ptr_nonnull(strstr(s->message, "Requested: 32MB Maximum Used: 3"));
    s = fixture_finish(
        &f,
        &(struct launch){.id = "d", .shell = EATER "; sleep 100", .resources = "cpus:1;mem:32"});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_MEMORY);
    s = fixture_finish(&f,
                       &(struct launch){.id = "e", .shell = EATER, .resources = "cpus:1;mem:160"});
    ck_assert_int_eq(s->reason, CONTAINER_EXITED);
    ck_assert_int_eq(s->status, 0);
}
END_TEST

START_TEST(nested)
{
    open_with("cgroups/cpu,cgroups/mem,cgroups/pids", NULL);
    run_it(&(struct launch){.id = "a", .shell = "exec sleep 100", .resources = "cpus:1;mem:160"});
    run_it(&(struct launch){.id = "a.own",
                            .shell = "exec sleep 100",
                            .info = unshared(false),
                            .resources = "cpus:0.5;mem:48"});
    run_it(&(struct launch){.id = "a.shared", .shell = "exec sleep 100", .info = unshared(true)});
    ck_assert_str_eq(value("a/mesos/own/memory.max"), "50331648");
    ck_assert_str_eq(value("a/mesos/own/cpu.weight"), "50");
    ck_assert_str_eq(value("a/mesos/shared/memory.max"), "max");
    ck_assert_uint_eq(processes_in("a/leaf/cgroup.procs"), 2);
    ck_assert_uint_eq(processes_in("a/mesos/own/leaf/cgroup.procs"), 2);
    ck_assert_uint_eq(processes_in("a/mesos/shared/leaf/cgroup.procs"), 2);
    destroy("a.shared");
    ck_assert(!group_is("a/mesos/shared") && group_is("a/mesos/own"));
    destroy("a.own");
    ck_assert(!group_is("a/mesos") && group_is("a"));

    /* One that runs out alone takes only itself; one that shares, what it is nested in. */
    fixture_launch(&f, &(struct launch){.id = "a.eater",
                                        .shell = "exec " EATER,
                                        .info = unshared(false),
                                        .resources = "cpus:0.5;mem:48"});
    ck_assert_int_eq(fixture_wait_ended(&f, "a.eater")->reason, CONTAINER_LIMIT_MEMORY);
    fixture_run(&f, 100000);
    ck_assert(!fixture_seen(&f, "a")->ended);
    run_it(&(struct launch){.id = "b", .shell = "exec sleep 100", .resources = "cpus:1;mem:48"});
    fixture_launch(
        &f, &(struct launch){.id = "b.eater", .shell = "exec " EATER, .info = unshared(true)});
    ck_assert_int_eq(fixture_wait_ended(&f, "b")->reason, CONTAINER_LIMIT_MEMORY);
    destroy("a");
}
END_TEST

START_TEST(processes_are_limited)
{
    open_with("cgroups/pids", NULL);
    fixture_finish(&f, &(struct launch){.id = "c",
                                        .shell = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; "
                                                 "echo reached",
                                        .resources = "cpus:0.1;mem:32;pids:5"});
    _cleanup_free_ char *err = sandbox_read(&f, "c", "stderr"),
                        *out = sandbox_read(&f, "c", "stdout");
    ck_assert_msg(!strstr(out, "reached") && strstr(err, "fork"), "'%s' '%s'", out, err);
}
END_TEST

START_TEST(devices_are_kept_out)
{
    static const char *const more[] = {
        "--allowed_devices={\"allowed_devices\": [{\"device\": {\"path\": \"/dev/kmsg\"}, "
        "\"access\": {\"read\": true}}]}",
        NULL};

    open_with("cgroups/devices", more);
    fixture_finish(&f, &(struct launch){.id = "c",
                                        .shell = "head -c1 /dev/urandom >/dev/null && echo usual; "
                                                 "(true </dev/kmsg) && echo by-flag; "
                                                 "(true >/dev/kmsg) || echo no-write; "
                                                 "mknod mem c 1 1 && echo made; "
                                                 "(true <mem) || echo no-mem"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout"),
                        *err = sandbox_read(&f, "c", "stderr");
    ck_assert_msg(streq(out, "usual\nby-flag\nno-write\nmade\nno-mem\n"), "%s%s", out, err);
}
END_TEST

static bool throttled(void *arg)
{
    struct container_usage *u = arg;

    return f.cz->ops->usage(f.cz, "c", u) == 0 && u->has_cfs && u->cpus_nr_throttled > 0 &&
           u->cpus_throttled_s > 0 && u->cpus_user_s > 0;
}

START_TEST(cpu_is_held_back)
{
    static const char *const more[] = {"--cgroups_enable_cfs",
                                       "--cgroups_cpu_enable_pids_and_tids_count", NULL};
    struct container_usage u = {0};

    open_with("cgroups/cpu", more);
    run_it(&(struct launch){
        .id = "c", .shell = "while :; do :; done", .resources = "cpus:0.1;mem:32"});
    ck_assert_str_eq(value("c/cpu.max"), "10000 100000");
    ck_assert(fixture_until(&f, throttled, &u, 20000000));
    ck_assert(u.has_counts);
    ck_assert_uint_eq(u.processes, 1);
    destroy("c");
}
END_TEST

START_TEST(a_cpu_set_is_not_left)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return;
    open_with("cgroups/cpuset", NULL);
    set("cpuset.cpus", "0");
    fixture_finish(&f,
                   &(struct launch){.id = "c", .shell = "nproc; taskset 2 true || echo kept-in"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_str_eq(out, "1\nkept-in\n");
}
END_TEST

static bool sampled(void *arg)
{
    struct container_usage *u = arg;

    return f.cz->ops->usage(f.cz, "c", u) == 0 && u->perf && u->perf->value[12] > 0;
}

START_TEST(events_are_counted)
{
    static const char *const more[] = {"--perf_events=task-clock,page-faults",
                                       "--perf_interval=300ms", "--perf_duration=200ms", NULL};
    struct container_usage u = {0};

    open_with("cgroups/perf_event", more);
    run_it(&(struct launch){.id = "c", .shell = "while :; do /bin/true; done"});
    ck_assert(fixture_until(&f, sampled, &u, 20000000));
    destroy("c");
}
END_TEST

static bool has_read(void *arg)
{
    struct container_usage *u = arg;

    return f.cz->ops->usage(f.cz, "c", u) == 0 && u->n_io > 1 && u->io[1].bytes[IO_READ] >= 2 << 20;
}

START_TEST(what_is_read_is_counted)
{
    struct container_usage u = {0};
    struct stat st;

    if (stat("/dev/ram0", &st) < 0)
        return;
    open_with("cgroups/io", NULL);
    run_it(&(struct launch){
        .id = "c",
        .shell = "dd if=/dev/ram0 of=/dev/null bs=1M count=2 iflag=direct; exec sleep 100"});
    ck_assert(fixture_until(&f, has_read, &u, 20000000));
    ck_assert_uint_eq(u.io[1].major, major(st.st_rdev));
    ck_assert_uint_gt(u.io[1].ops[IO_READ], 0);
    ck_assert_uint_eq(u.io[1].bytes[IO_WRITE], 0);
    ck_assert_uint_eq(u.io[0].bytes[IO_TOTAL], u.io[1].bytes[IO_TOTAL]);
    ck_assert(u.io[0].is_total);
    destroy("c");
}
END_TEST

START_TEST(whatever_a_task_does_it_goes)
{
    open_with("cgroups/mem", NULL);
    _cleanup_free_ char *made = in_group("c/leaf/own/deeper");
    _cleanup_free_ char *shell =
        xasprintf("mkdir -p %s; (echo 0 >%s/cgroup.procs; exec setsid sleep 72021.5) & "
                  "(setsid sh -c 'sleep 72021.5 & sleep 72021.5' &); sleep 1; exec sleep 72021.5",
                  made, made);
    run_it(&(struct launch){.id = "c", .shell = shell});
    fixture_run(&f, 1500000);
    ck_assert_int_ge(processes_with("72021.5"), 3);
    destroy("c");
    ck_assert_int_eq(processes_with("72021.5"), 0);
}
END_TEST

static bool nothing_left(void *arg)
{
    return !group_is("x") && !group_is("y");
}

START_TEST(orphans_are_found)
{
    static const char *const groups[] = {
        "", "x", "x/leaf", "x/mesos", "x/mesos/n", "x/mesos/n/leaf", "y"};
    int status;
    char text[16];

    open_with("cgroups/mem", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        _cleanup_free_ char *path = in_group(groups[i]);
        mkdir(path, 0755);
    }
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    fl_snprintf(text, sizeof(text), "%d", pid);
    set("x/mesos/n/leaf/cgroup.procs", text);
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, NULL, 0);
    while (waitpid(pid, &status, WNOHANG) == 0)
        fixture_run(&f, 10000);
    ck_assert_int_eq(status, SIGKILL);
    ck_assert(fixture_until(&f, nothing_left, NULL, 10000000));
}
END_TEST

START_TEST(the_agent_restarts)
{
    static const char *const kept[] = {"c"};

    open_with("cgroups/cpu,cgroups/mem,cgroups/devices", NULL);
    run_it(&(struct launch){.id = "c",
                            .shell = "while ! [ -e go ]; do sleep 0.1; done; " EATER "; sleep 100",
                            .resources = "cpus:1;mem:40",
                            .checkpoint = true});
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, kept, 1);
    while (!f.recovery_done)
        fixture_run(&f, 1000);
    ck_assert(fixture_seen(&f, "c")->recovered);
    _cleanup_free_ char *go = xasprintf("%s/sandbox-c/go", f.dir);
    ck_assert_int_eq(mkdir(go, 0755), 0);
    ck_assert_int_eq(fixture_wait_ended(&f, "c")->reason, CONTAINER_LIMIT_MEMORY);
    f.cz->ops->forget(f.cz, "c");
}
END_TEST

/* As in a container, or a slice that systemd delegates: we are in the group that must pass controllers on. */
START_TEST(the_agent_steps_aside)
{
    static const char *const more[] = {"--cgroups_hierarchy=/tmp/delegated", NULL};
    char text[256] = "";

    above = "/delegated";
    ck_assert_int_eq(mkdir(TOP "/delegated", 0755), 0);
    int fd = open(TOP "/delegated/cgroup.procs", O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "0", 1), 1);
    close(fd);
    fd = open(TOP "/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
    ck_assert_int_gt(write(fd, "+memory +pids", 13), 0);
    close(fd);
    ck_assert_int_eq(unshare(CLONE_NEWCGROUP), 0);
    ck_assert_int_eq(mkdir("/tmp/delegated", 0755), 0);
    ck_assert_int_eq(mount("none", "/tmp/delegated", "cgroup2", 0, NULL), 0);
    open_with("cgroups/mem,cgroups/pids", more);
    _cleanup_free_ char *expected = xasprintf("0::/%s/agent/leaf\n", strrchr(f.dir, '/') + 1);
    fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    ck_assert_str_eq(text, expected);
    run_it(&(struct launch){.id = "c", .shell = "exec sleep 100", .resources = "cpus:1;mem:40"});
    ck_assert_str_eq(value("c/memory.max"), "41943040");
    destroy("c");
    /* What takes the name of the agent's group is refused. */
    const struct seen *s = fixture_finish(&f, &(struct launch){.id = "agent", .shell = "true"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
}
END_TEST

int main(void)
{
    if (!can()) {
        printf("skipped: not root, or /sys/fs/cgroup is not version 2 of cgroups\n100%%: Checks: "
               "0, Failures: 0, Errors: 0\n");
        return 0;
    }

    Suite *s = suite_create("cgroups2");
    TCase *t = tcase_create("cgroups2");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, NULL, close_it);
    tcase_add_test(t, values_and_places);
    tcase_add_test(t, too_much_memory);
    tcase_add_test(t, nested);
    tcase_add_test(t, processes_are_limited);
    tcase_add_test(t, devices_are_kept_out);
    tcase_add_test(t, cpu_is_held_back);
    tcase_add_test(t, a_cpu_set_is_not_left);
    tcase_add_test(t, events_are_counted);
    tcase_add_test(t, what_is_read_is_counted);
    tcase_add_test(t, whatever_a_task_does_it_goes);
    tcase_add_test(t, orphans_are_found);
    tcase_add_test(t, the_agent_restarts);
    tcase_add_test(t, the_agent_steps_aside);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
