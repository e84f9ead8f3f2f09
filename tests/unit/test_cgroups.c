/* Cgroup isolators with real containers: what each keeps out, where groups lie, what is left. Controllers that the machine has not mounted
 * are mounted for the test alone. Without root every case passes by telling so. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/unit/container_fixture.c" /* a test program is one object */

#define V2 "/sys/fs/cgroup/unified"

static struct fixture f;
static bool open_now;
static char mounted[64]; /* where a controller is mounted for the test; "" */
static const char *mounted_name;

static bool can(void)
{
    return geteuid() == 0 && access("/sys/fs/cgroup/memory/cgroup.procs", W_OK) == 0;
}

static bool have_v2(void)
{
    return access(V2 "/cgroup.procs", W_OK) == 0;
}

static const char *root(void)
{
    return strrchr(f.dir, '/') + 1;
}

static void open_with(const char *isolation, const char *const *more)
{
    fixture_open(&f, "linux", isolation, more);
    open_now = true;
}

/* In this process's mount namespace only. While it is there, the machine's version 2 hierarchy is without it: one test at a time. False
 * when groups of version 2 have the controller, which cannot be taken from them. */
static bool mount_controller(const char *name)
{
    int lock = open("/tmp/fairlead-test-cgroup.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_ge(lock, 0);
    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    fl_snprintf(mounted, sizeof(mounted), "/tmp/fl-cgroup-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(mounted));
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    mounted_name = name;
    if (mount("none", mounted, "cgroup", 0, name) == 0)
        return true;
    ck_assert_msg(errno == EBUSY, "mount '%s': %m", name);
    rmdir(mounted);
    *mounted = '\0';
    return false;
}

/* Is the controller anywhere but in the version 2 hierarchy? */
static bool is_bound(const char *name)
{
    FILE *p = fopen("/proc/cgroups", "re");
    char line[128], word[32];
    int hierarchy, found = 0;

    while (p && fgets(line, sizeof(line), p))
        if (sscanf(line, "%31s %d", word, &hierarchy) == 2 && streq(word, name))
            found = hierarchy;
    if (p)
        fclose(p);
    return found != 0;
}

static bool gone_soon(const char *name)
{
    for (int i = 0; i < 100 && is_bound(name); i++)
        poll(NULL, 0, 5);
    return !is_bound(name);
}

/* The kernel keeps a hierarchy for good whose groups were not quite gone when it was unmounted; another unmount ends it. */
static bool unmount_controller(void)
{
    umount(mounted);
    for (int i = 0; i < 10 && !gone_soon(mounted_name); i++)
        if (mount("none", mounted, "cgroup", 0, mounted_name) == 0)
            umount(mounted);
    rmdir(mounted);
    return gone_soon(mounted_name);
}

static void close_it(void)
{
    if (!open_now)
        return;
    open_now = false;
    int left = fixture_leftovers(&f);
    if (*mounted) {
        _cleanup_free_ char *group = xasprintf("%s/%s", mounted, root());
        left += rmdir(group) < 0;
    }
    fixture_close(&f);
    if (*mounted) {
        left += !unmount_controller();
    }
    ck_assert_int_eq(left, 0);
}

/* Of a group's file, the whole text; "" when there is none. */
static char *group_read(const char *mount_point, const char *path)
{
    _cleanup_free_ char *name = xasprintf("%s/%s/%s", mount_point, root(), path);
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
    char *text = xcalloc(1, 4096);

    if (fd >= 0 && read(fd, text, 4095) < 0)
        text[0] = '\0';
    return text;
}

static bool group_is(const char *mount_point, const char *path)
{
    _cleanup_free_ char *name = xasprintf("%s/%s/%s", mount_point, root(), path);

    return access(name, F_OK) == 0;
}

static void group_write(const char *mount_point, const char *path, const char *text)
{
    _cleanup_free_ char *name = xasprintf("%s/%s/%s", mount_point, root(), path);
    _cleanup_close_ int fd = open(name, O_WRONLY | O_CLOEXEC);

    ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) > 0, "write %s", name);
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

/* ---- devices ---- */

static const char *const hierarchies[] = {NULL, "--cgroups_hierarchy=" V2};

START_TEST(devices_are_kept_out)
{
    const char *const more[] = {
        "--allowed_devices={\"allowed_devices\": [{\"device\": {\"path\": \"/dev/kmsg\"}, "
        "\"access\": {\"read\": true}}]}",
        hierarchies[_i], NULL};

    if (hierarchies[_i] && !have_v2())
        return;
    open_with("cgroups/devices", more);
    const struct seen *s = fixture_finish(
        &f, &(struct launch){.id = "c",
                             .shell = "head -c1 /dev/urandom >/dev/null && echo usual; "
                                      "head -c1 /dev/zero >/dev/full || echo full; "
                                      "dd if=/dev/kmsg of=/dev/null bs=8192 count=1 "
                                      "iflag=nonblock && echo by-flag; "
                                      "true >/dev/kmsg || echo no-write; "
                                      "true </dev/loop-control || echo no-loop; "
                                      "mknod mem c 1 1 && echo made; true <mem || echo no-mem; "
                                      "mknod disk b 7 0 && true <disk || echo no-disk"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout"),
                        *err = sandbox_read(&f, "c", "stderr");
    ck_assert_msg(streq(out, "usual\nfull\nby-flag\nno-write\nno-loop\nmade\nno-mem\nno-disk\n"),
                  "%s%s%s", out, err, s->message);
    ck_assert_ptr_nonnull(strstr(err, "not permitted"));
}
END_TEST

/* ---- cpuset ---- */

START_TEST(a_cpu_set_is_not_left)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return;
    open_with("cgroups/cpuset", NULL);
    group_write("/sys/fs/cgroup/cpuset", "cpuset.cpus", "0");
    fixture_finish(
        &f, &(struct launch){.id = "c", .shell = "nproc; taskset -c 1 true || echo kept-in"});
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_str_eq(out, "1\nkept-in\n");
}
END_TEST

/* ---- blkio ---- */

static bool wrote(void *arg)
{
    struct container_usage *u = arg;

    if (f.cz->ops->usage(f.cz, "c", u) < 0)
        return false;
    ck_assert_uint_ge(u->n_io, 1);
    ck_assert(u->io[0].is_total);
    return u->io[0].bytes[IO_TOTAL] >= 2 << 20 && u->n_io > 1;
}

/* Newer kernels count on version 1 only where there is a rule. False when the disk takes none. */
static bool set_rule(void)
{
    _cleanup_free_ char *path =
        xasprintf("/sys/fs/cgroup/blkio/%s/c/blkio.throttle.write_bps_device", root());
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    struct stat st;
    char rule[64];

    ck_assert_int_eq(stat(f.dir, &st), 0);
    fl_snprintf(rule, sizeof(rule), "%u:%u 1099511627776", major(st.st_dev), minor(st.st_dev));
    return fd >= 0 && write(fd, rule, strlen(rule)) > 0;
}

START_TEST(what_is_written_is_counted)
{
    struct container_usage u = {0};

    open_with("cgroups/blkio", NULL);
    run_it(&(struct launch){.id = "c",
                            .shell = "while ! [ -e go ]; do sleep 0.02; done; dd "
                                     "if=/dev/zero of=big bs=1M count=2 oflag=direct; sleep 100"});
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert_uint_eq(u.n_io, 1);
    if (set_rule()) {
        _cleanup_free_ char *go = xasprintf("%s/sandbox-c/go", f.dir);
        ck_assert_int_eq(mkdir(go, 0755), 0);
        ck_assert(fixture_until(&f, wrote, &u, 5000000));
        const struct io_usage *d = &u.io[1];
        ck_assert(!d->is_total);
        ck_assert_uint_gt(d->ops[IO_WRITE], 0);
        ck_assert_uint_ge(d->bytes[IO_TOTAL], d->bytes[IO_WRITE]);
    }
    destroy("c");
}
END_TEST

/* ---- controllers that are not mounted on every machine ---- */

static const char *const plain[] = {"net_prio", "hugetlb"};

START_TEST(a_group_in_a_controller_of_its_own)
{
    _cleanup_free_ char *isolation = xasprintf("cgroups/%s", plain[_i]);

    if (!mount_controller(plain[_i]))
        return;
    open_with(isolation, NULL);
    run_it(&(struct launch){.id = "c", .shell = "exec sleep 100"});
    _cleanup_free_ char *procs = group_read(mounted, "c/cgroup.procs");
    ck_assert_str_ne(procs, "");
    destroy("c");
    ck_assert(!group_is(mounted, "c"));
}
END_TEST

/* A hybrid host: hugetlb is in the version 2 hierarchy beside the others of version 1. */
START_TEST(a_controller_of_version_2_on_a_hybrid_host)
{
    _cleanup_close_ int lock =
        open("/tmp/fairlead-test-cgroup.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char text[256] = "";
    _cleanup_close_ int fd = open(V2 "/cgroup.controllers", O_RDONLY | O_CLOEXEC);

    flock(lock, LOCK_EX);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || !strstr(text, "hugetlb"))
        return;
    open_with("cgroups/hugetlb,cgroups/mem", NULL);
    run_it(&(struct launch){.id = "c", .shell = "exec sleep 100"});
    _cleanup_free_ char *procs = group_read(V2, "c/leaf/cgroup.procs"),
                        *mem = group_read("/sys/fs/cgroup/memory", "c/cgroup.procs");
    ck_assert_str_ne(procs, "");
    ck_assert_str_eq(procs, mem);
    ck_assert(group_is(V2, "c/hugetlb.2MB.max") || group_is(V2, "c/hugetlb.1GB.max"));
    destroy("c");
}
END_TEST

static uint32_t classid_of(const char *id)
{
    struct fl_arena *arena = fl_arena_new(1024);
    V1__ContainerStatus *s = NULL;
    uint32_t v = 0;

    ck_assert_int_eq(f.cz->ops->status(f.cz, id, arena, &s), 0);
    if (s->cgroup_info && s->cgroup_info->net_cls)
        v = s->cgroup_info->net_cls->classid;
    fl_arena_free(arena);
    return v;
}

START_TEST(each_container_has_a_class_id)
{
    static const char *const more[] = {"--cgroups_net_cls_primary_handle=0x0012",
                                       "--cgroups_net_cls_secondary_handles=0x0005,0x0006", NULL};
    static const char *const kept[] = {"b"};

    ck_assert(mount_controller("net_cls"));
    open_with("cgroups/net_cls", more);
    run_it(&(struct launch){.id = "a", .shell = "exec sleep 100"});
    run_it(&(struct launch){.id = "b", .shell = "exec sleep 100", .checkpoint = true});
    ck_assert_uint_eq(classid_of("a"), 0x120005);
    ck_assert_uint_eq(classid_of("b"), 0x120006);
    _cleanup_free_ char *text = group_read(mounted, "b/net_cls.classid");
    ck_assert_str_eq(text, "1179654\n");
    const struct seen *s = fixture_finish(&f, &(struct launch){.id = "c", .shell = "true"});
    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert_ptr_nonnull(strstr(s->message, "No free handles"));
    destroy("a");

    /* After a restart it still has it, and nobody else gets it. */
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, kept, 1);
    while (!f.recovery_done)
        fixture_run(&f, 1000);
    ck_assert_uint_eq(classid_of("b"), 0x120006);
    run_it(&(struct launch){.id = "d", .shell = "exec sleep 100"});
    ck_assert_uint_eq(classid_of("d"), 0x120005);
    destroy("d");
    destroy("b");
    f.cz->ops->forget(f.cz, "b");
}
END_TEST

static bool sampled(void *arg)
{
    struct container_usage *u = arg;

    return f.cz->ops->usage(f.cz, "c", u) == 0 && u->perf && u->perf->value[11] > 0 &&
           u->perf->value[12] > 0;
}

static void count_events(const char *const *more)
{
    struct container_usage u = {0};

    open_with("cgroups/perf_event", more);
    run_it(&(struct launch){.id = "c", .shell = "while :; do /bin/true; done"});
    run_it(&(struct launch){.id = "d", .shell = "exec sleep 100"});
    ck_assert(fixture_until(&f, sampled, &u, 5000000));
    ck_assert(u.perf->has[12]);
    ck_assert(u.perf->duration > 0.04 && u.perf->duration < 0.06);
    ck_assert(u.perf->timestamp > 1e9);
    ck_assert_msg(u.perf->value[11] < 1000, "%f ms", u.perf->value[11]);
    /* What one does is not counted for another. */
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "d", &u), 0);
    ck_assert(!u.perf || u.perf->value[12] == 0);
    destroy("c");
    destroy("d");
}

#define PERF_FLAGS                                                                                 \
    "--perf_events=task-clock,page-faults,cycles", "--perf_interval=60ms", "--perf_duration=50ms"

START_TEST(events_are_counted)
{
    static const char *const more[] = {PERF_FLAGS, NULL};

    ck_assert(mount_controller("perf_event"));
    count_events(more);
}
END_TEST

START_TEST(events_are_counted_on_version_2)
{
    static const char *const more[] = {PERF_FLAGS, "--cgroups_hierarchy=" V2, NULL};
    _cleanup_close_ int lock =
        open("/tmp/fairlead-test-cgroup.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    flock(lock, LOCK_EX);
    if (have_v2())
        count_events(more);
}
END_TEST

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

/* ---- memory ---- */

#define EATER                                                                                      \
    "python3 -c \"\nimport time\nx=[]\nfor i in range(40): x.append(bytearray(4<<20))\n"           \
    "time.sleep(100)\""

/* The kernel kills a child, and the first process goes on: it is told all the same, with what to do. */
START_TEST(a_killed_child_is_told)
{
    open_with("cgroups/mem", NULL);
    const struct seen *s = fixture_finish(
        &f,
        &(struct launch){.id = "c", .shell = EATER "; sleep 100", .resources = "cpus:1;mem:48"});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_MEMORY);
    ck_assert_ptr_nonnull(strstr(s->message, "Requested: 48MB Maximum Used: 4"));
    ck_assert_ptr_nonnull(strstr(s->message, "Raise 'mem' of the task, or its limit, above 48MB"));
    ck_assert_ptr_nonnull(strstr(s->message, "\nrss "));
}
END_TEST

/* Those for which there is no descriptor to be told by are looked at in turn. */
START_TEST(a_killed_child_is_found_by_looking)
{
    const struct rlimit few = {.rlim_cur = 80, .rlim_max = 80};
    struct rlimit before;
    char id[16];

    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){few.rlim_cur, before.rlim_max});
    open_with("cgroups/mem", NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    for (rlim_t i = 0; i < few.rlim_cur / 4; i++) {
        fl_snprintf(id, sizeof(id), "c%d", (int)i);
        fixture_launch(&f, &(struct launch){.id = id, .shell = "exec sleep 100"});
        fixture_wait_started(&f, id);
    }
    const struct seen *s = fixture_finish(
        &f,
        &(struct launch){.id = "c", .shell = EATER "; sleep 100", .resources = "cpus:1;mem:48"});
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_MEMORY);
    for (rlim_t i = 0; i < few.rlim_cur / 4; i++) {
        fl_snprintf(id, sizeof(id), "c%d", (int)i);
        f.cz->ops->destroy(f.cz, id);
        ck_assert_int_eq(fixture_wait_ended(&f, id)->reason, CONTAINER_DESTROYED);
    }
}
END_TEST

static bool pressed(void *arg)
{
    struct container_usage *u = arg;

    return f.cz->ops->usage(f.cz, "c", u) == 0 && u->has_pressure && u->mem_pressure[0] > 0;
}

START_TEST(pressure_is_counted)
{
    struct container_usage u = {0};

    open_with("cgroups/mem", NULL);
    run_it(&(struct launch){.id = "c",
                            .shell = "while :; do dd if=/dev/zero of=big bs=1M count=100; done",
                            .resources = "cpus:1;mem:32"});
    ck_assert(fixture_until(&f, pressed, &u, 10000000));
    ck_assert_uint_ge(u.mem_pressure[0], u.mem_pressure[1]);
    ck_assert(u.has_mem_stat && u.has_kmem && u.mem_total_bytes > 0);
    destroy("c");
}
END_TEST

START_TEST(swap_is_limited_with_memory)
{
    static const char *const more[] = {"--cgroups_limit_swap", NULL};
    static const char mem[] = "/sys/fs/cgroup/memory";
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    struct container_usage u = {0};

    if (access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) < 0)
        return;
    open_with("cgroups/mem", more);
    run_it(&(struct launch){.id = "c", .shell = "exec sleep 100", .resources = "cpus:1;mem:48"});
    _cleanup_free_ char *before = group_read(mem, "c/memory.memsw.limit_in_bytes");
    ck_assert_str_eq(before, "50331648\n");
    ck_assert_int_eq(resources_parse("cpus:1;mem:64", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "c", &res, -1, -1);
    _cleanup_free_ char *swap = group_read(mem, "c/memory.memsw.limit_in_bytes"),
                        *hard = group_read(mem, "c/memory.limit_in_bytes");
    ck_assert_str_eq(swap, "67108864\n");
    ck_assert_str_eq(hard, "67108864\n");
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "c", &u), 0);
    ck_assert(u.has_memsw);
    f.cz->ops->update(f.cz, "c", &res, -1, INFINITY);
    _cleanup_free_ char *none = group_read(mem, "c/memory.limit_in_bytes");
    ck_assert_uint_gt(strlen(none), 18);
    ck_assert(!fixture_seen(&f, "c")->ended);
    destroy("c");
}
END_TEST

static int score_of(pid_t pid)
{
    char path[64], text[16] = "";

    fl_snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t v = -1;
    ck_assert(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    text[strcspn(text, "\n")] = '\0';
    ck_assert_int_eq(fl_parse_i64(text, &v), 0);
    return (int)v;
}

/* Who may use more than it asked for goes first when the machine runs out: nested ones and tasks, not executors of many. */
START_TEST(who_is_killed_first)
{
    open_with("cgroups/mem", NULL);
    run_it(&(struct launch){.id = "a", .shell = "exec sleep 100", .mem_limit = 256});
    run_it(&(struct launch){
        .id = "a.n", .shell = "exec sleep 100", .mem_limit = 128, .info = unshared(false)});
    run_it(&(struct launch){.id = "a.even", .shell = "exec sleep 100", .info = unshared(false)});
    ck_assert_int_eq(score_of(fixture_seen(&f, "a")->pid), 0);
    ck_assert_int_gt(score_of(fixture_seen(&f, "a.n")->pid), 900);
    ck_assert_int_eq(score_of(fixture_seen(&f, "a.even")->pid), 0);
    destroy("a");
}
END_TEST

/* ---- nested ---- */

START_TEST(nested_groups_lie_in_their_parents)
{
    static const char mem[] = "/sys/fs/cgroup/memory";
    struct container_usage u;

    open_with("cgroups/cpu,cgroups/mem,cgroups/pids", NULL);
    run_it(&(struct launch){.id = "a", .shell = "exec sleep 100", .resources = "cpus:1;mem:128"});
    run_it(&(struct launch){.id = "a.own",
                            .shell = "exec sleep 100",
                            .info = unshared(false),
                            .resources = "cpus:0.5;mem:48"});
    run_it(&(struct launch){.id = "a.shared", .shell = "exec sleep 100", .info = unshared(true)});
    run_it(&(struct launch){.id = "a.own.deep", .shell = "exec sleep 100", .info = unshared(true)});

    _cleanup_free_ char *limit = group_read(mem, "a/mesos/own/memory.limit_in_bytes"),
                        *above = group_read(mem, "a/memory.limit_in_bytes"),
                        *shares = group_read("/sys/fs/cgroup/cpu", "a/mesos/own/cpu.shares");
    ck_assert_str_eq(limit, "50331648\n");
    ck_assert_str_eq(above, "134217728\n");
    ck_assert_str_eq(shares, "512\n");
    ck_assert(!group_is(mem, "a.own") && !group_is(mem, "a/mesos/shared"));
    ck_assert(!group_is(mem, "a/mesos/own/mesos"));
    ck_assert_int_eq(f.cz->ops->usage(f.cz, "a.own", &u), 0);
    ck_assert_uint_eq(u.mem_limit_bytes, 48 << 20);
    /* a: shim and task of it and of the one that shares; a.own: the same */
    _cleanup_free_ char *in_a = group_read(mem, "a/cgroup.procs"),
                        *in_own = group_read(mem, "a/mesos/own/cgroup.procs");
    size_t n_a = 0, n_own = 0;
    for (const char *p = in_a; *p; p++)
        n_a += *p == '\n';
    for (const char *p = in_own; *p; p++)
        n_own += *p == '\n';
    ck_assert_uint_eq(n_a, 4);
    ck_assert_uint_eq(n_own, 4);
    destroy("a.own");
    ck_assert(!group_is(mem, "a/mesos") && group_is(mem, "a"));
    destroy("a");
}
END_TEST

START_TEST(nested_memory_is_limited_alone)
{
    open_with("cgroups/mem", NULL);
    run_it(&(struct launch){.id = "a", .shell = "exec sleep 100", .resources = "cpus:1;mem:256"});
    fixture_launch(&f, &(struct launch){.id = "a.own",
                                        .shell = "exec " EATER,
                                        .info = unshared(false),
                                        .resources = "cpus:0.5;mem:48"});
    ck_assert_int_eq(fixture_wait_ended(&f, "a.own")->reason, CONTAINER_LIMIT_MEMORY);
    ck_assert(!fixture_seen(&f, "a")->ended);
    /* And what shares its parent's is limited by that. */
    run_it(&(struct launch){.id = "b", .shell = "exec sleep 100", .resources = "cpus:1;mem:48"});
    fixture_launch(
        &f, &(struct launch){.id = "b.shared", .shell = "exec " EATER, .info = unshared(true)});
    ck_assert_int_eq(fixture_wait_ended(&f, "b")->reason, CONTAINER_LIMIT_MEMORY);
    destroy("a");
}
END_TEST

static bool nothing_left(void *arg)
{
    return !group_is("/sys/fs/cgroup/memory", "x") && !group_is("/sys/fs/cgroup/memory", "y");
}

/* Groups of which no folder tells, nested too, with processes in them. */
START_TEST(orphans_are_found_at_any_depth)
{
    static const char *const groups[] = {"x", "x/mesos", "x/mesos/n", "x/mesos/n/made-by-task",
                                         "y"};
    pid_t pids[2];
    int status;

    open_with("cgroups/mem", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        _cleanup_free_ char *top = xasprintf("/sys/fs/cgroup/memory/%s", root()),
                            *path = xasprintf("%s/%s", top, groups[i]);
        mkdir(top, 0755);
        ck_assert_int_eq(mkdir(path, 0755), 0);
    }
    for (int i = 0; i < 2; i++) {
        char text[16];
        pids[i] = fork();
        if (pids[i] == 0) {
            pause();
            _exit(0);
        }
        fl_snprintf(text, sizeof(text), "%d", pids[i]);
        group_write("/sys/fs/cgroup/memory",
                    i ? "x/mesos/n/made-by-task/cgroup.procs" : "x/mesos/n/cgroup.procs", text);
    }
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, NULL, 0);
    for (int i = 0; i < 2; i++) {
        while (waitpid(pids[i], &status, WNOHANG) == 0)
            fixture_run(&f, 1000);
        ck_assert_int_eq(status, SIGKILL);
    }
    ck_assert(fixture_until(&f, nothing_left, NULL, 5000000));
}
END_TEST

/* A task that is root may make groups of its own and hide in them. */
START_TEST(groups_that_a_task_made_go_too)
{
    open_with("cgroups/mem,cgroups/cpu", NULL);
    _cleanup_free_ char *shell = xasprintf(
        "g=/sys/fs/cgroup/memory/%s/c/own/deeper; mkdir -p $g; (echo 0 >$g/cgroup.procs; exec "
        "setsid sleep 72011.5) & sleep 0.1; exit 3",
        root());
    ck_assert_int_eq(fixture_finish(&f, &(struct launch){.id = "c", .shell = shell})->status,
                     3 << 8);
    ck_assert_int_eq(processes_with("72011.5"), 0);
}
END_TEST

START_TEST(all_means_all_that_is_there)
{
    open_with("cgroups/all", NULL);
    run_it(&(struct launch){.id = "c", .shell = "exec sleep 100"});
    static const char *const controllers[] = {"cpu",    "cpuacct", "memory", "pids",
                                              "cpuset", "blkio",   "devices"};
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        _cleanup_free_ char *mount_point = xasprintf("/sys/fs/cgroup/%s", controllers[i]);
        _cleanup_free_ char *top = xasprintf("%s/cgroup.procs", mount_point);
        _cleanup_free_ char *procs = group_read(mount_point, "c/cgroup.procs");
        if (access(top, F_OK) == 0)
            ck_assert_msg(*procs, "%s", controllers[i]);
    }
    destroy("c");
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
    TCase *t = tcase_create(name);

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, close_it);
    suite_add_tcase(s, t);
    return t;
}

int main(void)
{
    if (!can()) {
        printf("skipped: not root, or no cgroups of version 1 that can be written\n100%%: Checks: "
               "0, Failures: 0, Errors: 0\n");
        return 0;
    }

    Suite *s = suite_create("cgroups");
    TCase *t;

    t = add_case(s, "kept_out");
    tcase_add_loop_test(t, devices_are_kept_out, 0, (int)ARRAY_SIZE(hierarchies));
    tcase_add_test(t, a_cpu_set_is_not_left);
    tcase_add_test(t, what_is_written_is_counted);
    tcase_add_test(t, all_means_all_that_is_there);
    t = add_case(s, "mounted");
    tcase_add_loop_test(t, a_group_in_a_controller_of_its_own, 0, (int)ARRAY_SIZE(plain));
    tcase_add_test(t, a_controller_of_version_2_on_a_hybrid_host);
    tcase_add_test(t, each_container_has_a_class_id);
    tcase_add_test(t, events_are_counted);
    tcase_add_test(t, events_are_counted_on_version_2);
    t = add_case(s, "memory");
    tcase_add_test(t, a_killed_child_is_told);
    tcase_add_test(t, a_killed_child_is_found_by_looking);
    tcase_add_test(t, pressure_is_counted);
    tcase_add_test(t, swap_is_limited_with_memory);
    tcase_add_test(t, who_is_killed_first);
    t = add_case(s, "nested");
    tcase_add_test(t, nested_groups_lie_in_their_parents);
    tcase_add_test(t, nested_memory_is_limited_alone);
    tcase_add_test(t, orphans_are_found_at_any_depth);
    tcase_add_test(t, groups_that_a_task_made_go_too);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
