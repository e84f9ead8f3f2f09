/* What containers may not do, tried by processes in them: this program itself is the command, run as `probe WHAT...`, and says how each try
 * went. As root with --launcher=linux; else every case passes by telling so. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "isolators/isolator.h"
#include "isolators/launch_plan.h"
#include "isolators/seccomp_profile.h"
#include "tests/unit/container_fixture.c" /* a test program is one object */

#include "tests/unit/rootfs_fixture.h"

/* ---- in the container ---- */

static int try_mount(void)
{
    return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static int try_keyctl(void)
{
    return (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
}

static int try_ptrace(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    int r = (int)ptrace(PTRACE_ATTACH, pid, NULL, NULL), errnum = errno;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL);
    errno = errnum;
    return r;
}

static int try_raw(void)
{
    return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}

static int try_mknod(void)
{
    return mknod("node", S_IFCHR | 0600, makedev(1, 3));
}

static int try_chown(void)
{
    _cleanup_close_ int fd = open("owned", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    return fd < 0 ? -1 : fchown(fd, 12345, 12345);
}

static int try_low_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(1)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static void say_status(void)
{
    static const char *const wanted[] = {"CapPrm", "CapEff",     "CapBnd",  "CapAmb",
                                         "Uid",    "NoNewPrivs", "Seccomp:"};
    FILE *s = fopen("/proc/self/status", "re");
    char line[256];

    while (s && fgets(line, sizeof(line), s))
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
            if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
                fputs(line, stdout);
    if (s)
        fclose(s);
}

static void say_limits(void)
{
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit l;
        getrlimit((__rlimit_resource_t)i, &l);
        printf("%d:%lld/%lld\n", i, (long long)l.rlim_cur, (long long)l.rlim_max);
    }
}

static const struct {
    const char *name;
    int (*fn)(void);
} tries[] = {{"mount", try_mount}, {"keyctl", try_keyctl}, {"ptrace", try_ptrace}, {"raw", try_raw},
             {"mknod", try_mknod}, {"chown", try_chown},   {"port", try_low_port}};

/* In a child, for what is looked at are all processes of a container. */
static int probe_listen(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    uint64_t n = 0;

    fl_parse_u64(port, &n);
    a.sin_port = htons((uint16_t)n);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        puts(bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0 ? "no" : "yes");
        fflush(stdout);
        pause();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return 0;
}

static int probe(int argc, char **argv)
{
    if (argc == 4 && streq(argv[2], "listen"))
        return probe_listen(argv[3]);
    for (int i = 2; i < argc; i++) {
        if (streq(argv[i], "status"))
            say_status();
        if (streq(argv[i], "limits"))
            say_limits();
        for (size_t k = 0; k < ARRAY_SIZE(tries); k++)
            if (streq(argv[i], tries[k].name))
                printf("%s: %s\n", argv[i], tries[k].fn() < 0 ? strerrorname_np(errno) : "done");
    }
    fflush(stdout);
    return 0;
}

/* ---- outside ---- */

static struct fixture f;
static bool open_now;
static char program[128]; /* a copy of this one that any user may run */

static void copy_program(void)
{
    _cleanup_close_ int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int out = open(program, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    struct stat st;
    off_t at = 0;

    ck_assert(in >= 0 && out >= 0 && fstat(in, &st) == 0);
    while (at < st.st_size)
        ck_assert_int_gt(copy_file_range(in, &at, out, NULL, (size_t)(st.st_size - at), 0), 0);
    ck_assert_int_eq(fchmod(out, 0755), 0);
}

static void open_with(const char *isolation, const char *const *more)
{
    fixture_open(&f, "linux", isolation, more);
    open_now = true;
    fl_snprintf(program, sizeof(program), "%s/probe", f.dir);
    copy_program();
}

static void close_it(void)
{
    if (!open_now)
        return;
    open_now = false;
    ck_assert_int_eq(fixture_leftovers(&f), 0);
    fixture_close(&f);
}

/* In a build with sanitizers the program looks for leaks at its end by ptrace, which is what it may not do, and has no core dumps. */
static const char *const environment[] = {"ASAN_OPTIONS=detect_leaks=0:disable_coredump=0", NULL};

/* Runs `probe WHAT...` to its end; what it said, the caller's. */
static char *probed(const char *id, const char *user, const V1__ContainerInfo *info,
                    const char *const *what)
{
    const char *argv[12] = {program, "probe"};

    for (size_t i = 0; what[i]; i++)
        argv[i + 2] = what[i];
    const struct seen *s = fixture_finish(
        &f,
        &(struct launch){.id = id, .user = user, .info = info, .argv = argv, .env = environment});
    ck_assert_msg(s->reason == CONTAINER_EXITED && s->status == 0, "%s, status %d", s->message,
                  s->status);
    return sandbox_read(&f, id, "stdout");
}

#define TRY(...) ((const char *const[]){__VA_ARGS__, NULL})

static void says(const char *text, const char *line)
{
    ck_assert_msg(strstr(text, line) != NULL, "'%s' is missing in:\n%s", line, text);
}

static uint64_t set_in(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    uint64_t v = 0;

    ck_assert_msg(at != NULL, "%s", text);
    ck_assert_int_eq(sscanf(at + strlen(name), ": %" SCNx64, &v), 1);
    return v;
}

/* ---- capabilities ---- */

#define CAP(name) V1__CAPABILITY_INFO__CAPABILITY__##name
#define BIT(name) (1ull << (CAP(name) - CAP(CHOWN)))

struct wish {
    V1__CapabilityInfo effective, bounding;
    V1__CapabilityInfo__Capability e[4], b[4];
    V1__SeccompInfo seccomp;
    V1__LinuxInfo li;
    V1__ContainerInfo info;
};

static void wish_init(struct wish *w)
{
    *w = (struct wish){.effective = V1__CAPABILITY_INFO__INIT,
                       .bounding = V1__CAPABILITY_INFO__INIT,
                       .seccomp = V1__SECCOMP_INFO__INIT,
                       .li = V1__LINUX_INFO__INIT,
                       .info = V1__CONTAINER_INFO__INIT};
    w->effective.capabilities = w->e;
    w->bounding.capabilities = w->b;
    w->info.type = V1__CONTAINER_INFO__TYPE__MESOS;
    w->info.linux_info = &w->li;
}

START_TEST(another_user_has_the_capabilities_it_asks_for)
{
    struct wish w;

    wish_init(&w);
    w.li.effective_capabilities = &w.effective;
    w.e[0] = CAP(NET_RAW);
    w.e[1] = CAP(NET_BIND_SERVICE);
    w.effective.n_capabilities = 2;
    open_with("linux/capabilities", NULL);
    _cleanup_free_ char *out =
        probed("c", "nobody", &w.info, TRY("status", "raw", "port", "chown", "mknod", "mount"));
    const uint64_t set = BIT(NET_RAW) | BIT(NET_BIND_SERVICE);
    ck_assert_uint_eq(set_in(out, "CapEff"), set);
    ck_assert_uint_eq(set_in(out, "CapAmb"), set);
    ck_assert_uint_eq(set_in(out, "CapBnd"), set);
    says(out, "Uid:\t65534\t65534\t65534\t65534\n");
    says(out, "raw: done\nport: done\nchown: EPERM\nmknod: EPERM\nmount: EPERM\n");

    /* The older field means the same. */
    w.li.effective_capabilities = NULL;
    w.li.capability_info = &w.effective;
    _cleanup_free_ char *old = probed("d", "nobody", &w.info, TRY("status"));
    ck_assert_uint_eq(set_in(old, "CapEff"), set);
}
END_TEST

START_TEST(root_has_no_more_than_the_bounding_set)
{
    struct wish w;

    wish_init(&w);
    w.li.effective_capabilities = &w.effective; /* none */
    open_with("linux/capabilities", NULL);
    _cleanup_free_ char *out =
        probed("c", NULL, &w.info, TRY("status", "mount", "mknod", "chown", "raw"));
    ck_assert_uint_eq(set_in(out, "CapEff"), 0);
    ck_assert_uint_eq(set_in(out, "CapBnd"), 0);
    says(out, "mount: EPERM\nmknod: EPERM\nchown: EPERM\nraw: EPERM\n");

    w.li.effective_capabilities = NULL;
    w.li.bounding_capabilities = &w.bounding;
    w.b[0] = CAP(CHOWN);
    w.bounding.n_capabilities = 1;
    _cleanup_free_ char *two = probed("d", NULL, &w.info, TRY("status", "chown", "mount"));
    ck_assert_uint_eq(set_in(two, "CapEff"), BIT(CHOWN));
    says(two, "chown: done\nmount: EPERM\n");

    /* Another user has none of them, though it could get that one by a file. */
    _cleanup_free_ char *three = probed("e", "nobody", &w.info, TRY("status", "chown"));
    ck_assert_uint_eq(set_in(three, "CapEff"), 0);
    ck_assert_uint_eq(set_in(three, "CapPrm"), 0);
    ck_assert_uint_eq(set_in(three, "CapBnd"), BIT(CHOWN));
    says(three, "chown: EPERM\n");
}
END_TEST

static const char *refusal(const char *id, const V1__ContainerInfo *info)
{
    const struct seen *s =
        fixture_finish(&f, &(struct launch){.id = id, .info = info, .shell = "true"});

    ck_assert_int_eq(s->reason, CONTAINER_LAUNCH_FAILED);
    ck_assert(!s->started);
    return s->message;
}

START_TEST(the_operator_sets_the_bounds)
{
    static const char *const more[] = {
        "--bounding_capabilities={\"capabilities\": [\"CHOWN\", \"NET_RAW\"]}",
        "--effective_capabilities={\"capabilities\": [\"NET_RAW\"]}", NULL};
    struct wish w;

    wish_init(&w);
    open_with("linux/capabilities", more);
    _cleanup_free_ char *out = probed("c", "nobody", NULL, TRY("status"));
    ck_assert_uint_eq(set_in(out, "CapEff"), BIT(NET_RAW));
    ck_assert_uint_eq(set_in(out, "CapBnd"), BIT(NET_RAW) | BIT(CHOWN));

    w.li.effective_capabilities = &w.effective;
    w.e[0] = CAP(SYS_ADMIN);
    w.e[1] = CAP(CHOWN);
    w.effective.n_capabilities = 2;
    says(refusal("d", &w.info), "Requested capabilities '{ CHOWN, SYS_ADMIN }', but only '{ CHOWN, "
                                "NET_RAW }' are allowed");
    w.li.effective_capabilities = NULL;
    w.li.bounding_capabilities = &w.effective;
    says(refusal("e", &w.info), "Bounding capabilities '{ CHOWN, SYS_ADMIN }', but only '{ CHOWN, "
                                "NET_RAW }' are allowed");
    w.li.capability_info = w.li.effective_capabilities = &w.effective;
    says(refusal("g", &w.info),
         "Only one of 'capability_info' or 'effective_capabilities' is allowed");
}
END_TEST

static int nested(const char *id, bool debug, const V1__ContainerInfo *info, const char *text)
{
    V1__CommandInfo cmd = V1__COMMAND_INFO__INIT;
    _cleanup_resources_ struct resources none = RESOURCES_INIT;
    struct fl_err err;

    cmd.value = (char *)(uintptr_t)text;
    const struct container_spec spec = {.container_id = id,
                                        .command = &cmd,
                                        .container = info,
                                        .resources = &none,
                                        .cpu_limit = -1,
                                        .mem_limit = -1,
                                        .debug = debug};
    int r = f.cz->ops->launch(f.cz, &spec, &err);
    ck_assert_msg(r == 0, "%s", err.msg);
    fixture_wait_ended(&f, id);
    return fixture_seen(&f, id)->status;
}

START_TEST(a_session_has_what_its_container_has)
{
    static const char *const more[] = {"--no-switch_user", NULL};
    struct wish w;

    wish_init(&w);
    w.li.effective_capabilities = &w.effective;
    open_with("linux/capabilities,linux/nnp", more);
    fixture_launch(&f,
                   &(struct launch){
                       .id = "c", .info = &w.info, .shell = "exec sleep 100", .checkpoint = true});
    fixture_wait_started(&f, "c");
    const char *text = "grep -q 'CapEff:.*0000000000000000' /proc/self/status && "
                       "grep -q 'NoNewPrivs:.*1' /proc/self/status";
    ck_assert_int_eq(nested("c.s", true, NULL, text), 0);
    ck_assert_int_ne(nested("c.t", false, NULL, text), 0); /* the operator's: all */
    ck_assert_int_eq(nested("c.u", false, &w.info, text), 0);

    /* Also when the agent is another one by now. */
    fixture_reopen(&f);
    const char *const ids[] = {"c"};
    f.cz->ops->recover(f.cz, ids, 1);
    fixture_run(&f, 30000);
    ck_assert_int_eq(nested("c.v", true, NULL, text), 0);
    f.cz->ops->destroy(f.cz, "c");
    fixture_wait_ended(&f, "c");
    f.cz->ops->forget(f.cz, "c");
}
END_TEST

/* ---- resource limits ---- */

static const struct {
    V1__RLimitInfo__RLimit__Type type;
    int resource;
    uint64_t soft, hard; /* 0, 0: none */
} limits[] = {
#define LIMIT(name, soft, hard)                                                                    \
    {                                                                                              \
        V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_##name, RLIMIT_##name, soft, hard                      \
    }
#ifdef __SANITIZE_ADDRESS__ /* which takes terabytes of addresses */
    LIMIT(AS, 0, 0),
#else
    LIMIT(AS, 8ull << 30, 9ull << 30),
#endif
    LIMIT(CORE, 1, 2),
    LIMIT(CPU, 1000, 1001),
#ifdef __SANITIZE_ADDRESS__
    LIMIT(DATA, 0, 0),
#else
    LIMIT(DATA, 8ull << 30, 9ull << 30),
#endif
    LIMIT(FSIZE, 1000000, 2000000),
    LIMIT(LOCKS, 10, 11),
    LIMIT(MEMLOCK, 0, 0),
    LIMIT(MSGQUEUE, 12, 13),
    LIMIT(NICE, 14, 15),
    LIMIT(NOFILE, 50, 60),
    LIMIT(NPROC, 10000, 10001),
    LIMIT(RSS, 0, 0),
    LIMIT(RTPRIO, 16, 17),
    LIMIT(RTTIME, 0, 0),
    LIMIT(SIGPENDING, 18, 19),
    LIMIT(STACK, 1 << 20, 0x7fffffff),
#undef LIMIT
};

START_TEST(every_resource_limit_is_set)
{
    V1__RLimitInfo__RLimit v[ARRAY_SIZE(limits)], *p[ARRAY_SIZE(limits)];
    V1__RLimitInfo rl = V1__RLIMIT_INFO__INIT;
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        struct rlimit now;
        ck_assert_int_eq(getrlimit((__rlimit_resource_t)limits[i].resource, &now), 0);
        p[i] = &v[i];
        v1__rlimit_info__rlimit__init(p[i]);
        v[i].has_type = true;
        v[i].type = limits[i].type;
        /* Where root may not raise limits, they are what they were at most. */
        v[i].has_soft = v[i].has_hard = limits[i].hard > 0 || now.rlim_max != RLIM_INFINITY;
        v[i].hard = FL_MIN(limits[i].hard, (uint64_t)now.rlim_max);
        v[i].soft = FL_MIN(limits[i].soft, v[i].hard);
    }
    rl.rlimits = p;
    rl.n_rlimits = ARRAY_SIZE(p);
    info.rlimit_info = &rl;
    open_with("posix/rlimits", NULL);
    _cleanup_free_ char *out = probed("c", "nobody", &info, TRY("limits"));
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        char line[80];
        fl_snprintf(line, sizeof(line), "%d:%lld/%lld\n", limits[i].resource,
                    v[i].has_hard ? (long long)v[i].soft : -1,
                    v[i].has_hard ? (long long)v[i].hard : -1);
        says(out, line);
    }

    /* More files than the kernel lets even root have. */
    v[0].type = V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NOFILE;
    v[0].has_soft = v[0].has_hard = true;
    v[0].soft = 1;
    v[0].hard = 1ull << 40;
    rl.n_rlimits = 1;
    says(refusal("d", &info),
         "cannot set the resource limit 'RLMT_NOFILE': Operation not permitted");
    v[0].soft = v[0].hard + 1;
    says(refusal("e", &info), "Invalid rlimit values");
    v[0].has_hard = false;
    says(refusal("g", &info), "Invalid rlimit values");
}
END_TEST

/* ---- devices ---- */

START_TEST(allowed_devices_are_made)
{
    struct isolator_config config = {
        .launcher = "linux",
        .allowed_devices = "{\"allowed_devices\": [{\"device\": {\"path\": \"/dev/null\"}, "
                           "\"access\": {\"read\": true}}]}"};
    _cleanup_launch_plan_ struct launch_plan plan = {0}, none = {0};
    struct isolated_container c = {.id = "c", .rootfs = "/r"};
    struct plan_record r;
    struct plan_node node;
    struct isolator *x;
    struct fl_err err;

    launch_plan_init(&plan);
    launch_plan_init(&none);
    const struct isolator_ops *ops = isolator_find("linux/devices");
    ck_assert_int_eq(ops->create(NULL, &config, NULL, NULL, &x, &err), 0);
    ck_assert_int_eq(ops->prepare(x, &c, &plan, &err), 0);
    ck_assert(plan_find(plan.buf, plan.len, PLAN_NODE, &r));
    memcpy(&node, r.data, sizeof(node));
    ck_assert_str_eq(r.data + sizeof(node), "/dev/null");
    ck_assert_uint_eq(node.mode, S_IFCHR | 0644);
    ck_assert_uint_eq(makedev(node.major, node.minor), makedev(1, 3));
    c.rootfs = NULL;
    ck_assert_int_eq(ops->prepare(x, &c, &none, &err), 0);
    ck_assert(!plan_find(none.buf, none.len, PLAN_NODE, &r));
    ops->free(x);

    config.allowed_devices =
        "{\"allowed_devices\": [{\"device\": {\"path\": \"/etc/passwd\"}, \"access\": {}}]}";
    ck_assert_int_lt(ops->create(NULL, &config, NULL, NULL, &x, &err), 0);
    says(err.msg, "'/etc/passwd' is not a block or character device");
}
END_TEST

START_TEST(a_container_with_a_root_has_those_devices_and_no_others)
{
    static char folder_of[64] = "/tmp/fl-device-XXXXXX", flag[300];
    const char *const more[] = {flag, NULL};

    if (access(BUSYBOX, X_OK) < 0)
        return;
    ck_assert_ptr_nonnull(mkdtemp(folder_of));
    _cleanup_free_ char *node = xasprintf("%s/node", folder_of);
    ck_assert_int_eq(mknod(node, S_IFCHR | 0600, makedev(1, 5)), 0);
    fl_snprintf(flag, sizeof(flag),
                "--allowed_devices={\"allowed_devices\": [{\"device\": {\"path\": \"%s\"}, "
                "\"access\": {\"read\": true}}]}",
                node);
    open_with("linux/devices,filesystem/linux,linux/capabilities", more);
    ck_assert_int_eq(unlink(node) + rmdir(folder_of), 0);
    _cleanup_free_ char *root = rootfs_make(f.dir, "root");
    _cleanup_free_ char *shell = xasprintf(
        "head -c 3 /dev%s | wc -c; echo x 2>/dev/null >/dev%s || echo denied; ls /dev | wc -l",
        node, node);
    fixture_launch(&f, &(struct launch){.id = "c", .user = "nobody", .shell = shell});
    rootfs_give(&f, "c", root);
    const struct seen *s = fixture_wait_ended(&f, "c");
    _cleanup_free_ char *out = sandbox_read(&f, "c", "stdout");
    ck_assert_msg(streq(out, "3\ndenied\n14\n"), "%s: %s", s->message, out);
}
END_TEST

/* ---- no_new_privs ---- */

START_TEST(a_setuid_file_gives_nothing)
{
    open_with("linux/nnp", NULL);
    ck_assert_int_eq(chmod(program, 04755), 0);
    _cleanup_free_ char *out = probed("c", "nobody", NULL, TRY("status", "chown"));
    says(out, "Uid:\t65534\t65534\t65534\t65534\n");
    says(out, "NoNewPrivs:\t1\n");
    says(out, "chown: EPERM\n");
    close_it();

    /* It would without. */
    open_with("posix/cpu", NULL);
    ck_assert_int_eq(chmod(program, 04755), 0);
    _cleanup_free_ char *other = probed("c", "nobody", NULL, TRY("status", "chown"));
    says(other, "Uid:\t65534\t0\t0\t0\n");
    says(other, "chown: done\n");
}
END_TEST

/* ---- seccomp ---- */

/* Allows all but what is named, as far as the container has not the capability for it. */
#define DENYING                                                                                    \
    "{\"defaultAction\": \"SCMP_ACT_ALLOW\","                                                      \
    " \"archMap\": [{\"architecture\": \"SCMP_ARCH_X86_64\", \"subArchitectures\": "               \
    "[\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"]},"                                                     \
    "  {\"architecture\": \"SCMP_ARCH_AARCH64\", \"subArchitectures\": [\"SCMP_ARCH_ARM\"]}],"     \
    " \"syscalls\": ["                                                                             \
    "  {\"names\": [\"keyctl\", \"ptrace\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": []},"       \
    "  {\"names\": [\"mount\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38, "                \
    "\"args\": null,"                                                                              \
    "   \"includes\": {}, \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}},"                         \
    "  {\"names\": [\"socket\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 97,"                \
    "   \"args\": [{\"index\": 1, \"value\": 15, \"valueTwo\": 3, "                                \
    "\"op\": \"SCMP_CMP_MASKED_EQ\"}]}]}"

static char folder[64];

static void put_profile(const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    FILE *out = fopen(path, "we");

    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

static void profiles_made(void)
{
    fl_snprintf(folder, sizeof(folder), "/tmp/fl-profiles-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void profiles_gone(void)
{
    if (*folder)
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    folder[0] = '\0';
}

static void open_seccomp(const char *isolation, const char *profile)
{
    static char dir[128], name[128];
    const char *more[] = {dir, name, NULL};

    fl_snprintf(dir, sizeof(dir), "--seccomp_config_dir=%s", folder);
    fl_snprintf(name, sizeof(name), "--seccomp_profile_name=%s", profile ? profile : "");
    if (!profile)
        more[1] = NULL;
    open_with(isolation, more);
}

static const char *const with_seccomp[] = {"linux/seccomp", "linux/seccomp,linux/nnp",
                                           "linux/seccomp,linux/capabilities",
                                           "linux/seccomp,linux/capabilities,linux/nnp"};

START_TEST(calls_are_denied)
{
    static const char *const users[] = {NULL, "nobody"};

    put_profile("p.json", DENYING);
    open_seccomp(with_seccomp[_i], "p.json");
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        const char *id = users[i] ? "user" : "root";
        _cleanup_free_ char *out =
            probed(id, users[i], NULL, TRY("status", "keyctl", "ptrace", "raw", "chown"));
        says(out, "Seccomp:\t2\n");
        says(out, "keyctl: EPERM\nptrace: EPERM\nraw: EAFNOSUPPORT\n");
        says(out, users[i] ? "chown: EPERM\n" : "chown: done\n");
        ck_assert_uint_eq(set_in(out, "CapEff"), users[i] ? 0 : set_in(out, "CapBnd"));
    }
}
END_TEST

START_TEST(rules_go_by_capabilities)
{
    struct wish w;

    wish_init(&w);
    w.li.bounding_capabilities = &w.bounding;
    w.b[0] = CAP(CHOWN);
    w.bounding.n_capabilities = 1;
    put_profile("p.json", DENYING);
    open_seccomp("linux/seccomp,linux/capabilities", "p.json");
    _cleanup_free_ char *out = probed("c", NULL, &w.info, TRY("mount"));
    says(out, "mount: ENOSYS\n"); /* without CAP_SYS_ADMIN the rule counts */
    w.b[0] = CAP(SYS_ADMIN);
    _cleanup_free_ char *other = probed("d", "nobody", &w.info, TRY("mount"));
    says(other, "mount: EPERM\n"); /* the kernel's own answer */
}
END_TEST

START_TEST(a_container_names_its_profile)
{
    struct wish w;

    wish_init(&w);
    w.li.seccomp = &w.seccomp;
    put_profile("p.json", DENYING);
    put_profile("mine.json", "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
                             "{\"names\": [\"mknod\", \"mknodat\"], \"action\": \"SCMP_ACT_KILL\", "
                             "\"includes\": {\"minKernel\": \"3.5\"}},"
                             "{\"names\": [\"keyctl\"], \"action\": \"SCMP_ACT_KILL\", "
                             "\"includes\": {\"minKernel\": \"999.0\"}}]}");
    open_seccomp("linux/seccomp", "p.json");
    w.seccomp.has_unconfined = w.seccomp.unconfined = true;
    _cleanup_free_ char *out = probed("c", NULL, &w.info, TRY("status", "keyctl"));
    says(out, "Seccomp:\t0\n");
    says(out, "keyctl: done\n");

    w.seccomp.profile_name = (char *)(uintptr_t) "mine.json";
    says(refusal("d", &w.info), "Invalid Seccomp configuration: 'profile_name' given even though "
                                "'unconfined' Seccomp setting is enabled");
    w.seccomp.unconfined = false;
    const struct seen *s = fixture_finish(
        &f, &(struct launch){
                .id = "e", .info = &w.info, .argv = TRY(program, "probe", "keyctl", "mknod")});
    ck_assert(s->has_status && WIFSIGNALED(s->status) && WTERMSIG(s->status) == SIGSYS);
    w.seccomp.profile_name = (char *)(uintptr_t) "../passwd";
    says(refusal("g", &w.info), "Failed to read Seccomp profile file");
    w.seccomp.profile_name = NULL;
    says(refusal("h", &w.info), "Missing Seccomp profile name");
    w.seccomp.profile_name = (char *)(uintptr_t) "bad.json";
    put_profile("bad.json", "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}");
    says(refusal("i", &w.info), "Failed to parse Seccomp profile");
}
END_TEST

#define RULE(text) "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [" text "]}"
static const struct {
    const char *text, *message;
} bad_profiles[] = {
    {"{", "line 1"},
    {"[]", "no JSON object"},
    {"{\"syscalls\": []}", "'defaultAction' is missing"},
    {"{\"defaultAction\": \"ALLOW\", \"syscalls\": []}", "Unknown syscall action: 'ALLOW'"},
    {"{\"defaultAction\": \"SCMP_ACT_ALLOW\"}", "'syscalls' is missing"},
    {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [], \"archMap\": "
     "[{\"architecture\": \"SCMP_ARCH_PDP11\"}]}",
     "Unknown architecture: 'SCMP_ARCH_PDP11'"},
    {RULE("{\"names\": [\"open\", \"opne\"], \"action\": \"SCMP_ACT_ALLOW\"}"),
     "item 0 of 'syscalls': Unrecognized syscall 'opne'"},
    {RULE("{\"names\": [], \"action\": \"SCMP_ACT_ALLOW\"}"), "Syscall 'names' list is empty"},
    {RULE("{\"names\": [\"open\"]}"), "'action' is missing"},
    {RULE("{\"names\": [\"open\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": "
          "[\"CAP_FLY\"]}}"),
     "Unknown capability: 'CAP_FLY'"},
    {RULE("{\"names\": [\"open\"], \"action\": \"SCMP_ACT_ALLOW\", \"excludes\": {\"arches\": "
          "[\"pdp11\"]}}"),
     "Unknown architecture: 'pdp11'"},
    {RULE("{\"names\": [\"open\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 7, "
          "\"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}"),
     "no argument 7"},
    {RULE("{\"names\": [\"open\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 1, "
          "\"value\": 1, \"op\": \"EQ\"}]}"),
     "Unknown operator: 'EQ'"},
    {RULE("{\"names\": [\"open\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": "
          "{\"minKernel\": \"new\"}}"),
     "'minKernel' is no version"},
    {RULE("{\"names\": [\"open\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 1}]}"),
     "'value' of an item of 'args'"},
};

START_TEST(bad_profiles_are_refused)
{
    struct seccomp_profile *p;
    struct fl_err err;
    const char *text = bad_profiles[_i].text;

    ck_assert_int_lt(seccomp_profile_parse(text, strlen(text), &p, &err), 0);
    says(err.msg, bad_profiles[_i].message);
}
END_TEST

START_TEST(an_agent_does_not_start_with_a_bad_profile)
{
    struct isolator_config config = {.launcher = "linux",
                                     .cgroups_hierarchy = "/sys/fs/cgroup",
                                     .cgroups_root = "x",
                                     .seccomp_config_dir = folder,
                                     .seccomp_profile_name = "bad.json"};
    struct isolator **v;
    struct fl_err err;
    size_t n;

    put_profile("bad.json", bad_profiles[6].text);
    ck_assert_int_lt(isolators_create(NULL, &config, "linux/seccomp", NULL, NULL, &v, &n, &err), 0);
    says(err.msg, "isolator 'linux/seccomp': Failed to parse Seccomp profile '");
    says(err.msg, "Unrecognized syscall 'opne'");
    config.seccomp_config_dir = NULL;
    ck_assert_int_lt(isolators_create(NULL, &config, "linux/seccomp", NULL, NULL, &v, &n, &err), 0);
    says(err.msg, "Missing required `--seccomp_config_dir` flag");
    config.bounding_capabilities = "{\"capabilities\": [\"CHOWN\"]}";
    config.effective_capabilities = "{\"capabilities\": [\"KILL\"]}";
    ck_assert_int_lt(
        isolators_create(NULL, &config, "linux/capabilities", NULL, NULL, &v, &n, &err), 0);
    says(err.msg, "not all among");
}
END_TEST

/* ---- ports ---- */

static int listen_on(uint16_t port)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A port that nobody has: made here, where it shows that nobody has it, and given up. */
static uint16_t free_port(void)
{
    struct sockaddr_in6 a;
    socklen_t n = sizeof(a);
    _cleanup_close_ int fd = listen_on(0);

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin6_port);
}

static const struct seen *listening(const char *id, uint16_t port, const char *resources)
{
    static char text[16];
    const struct launch l = {
        .id = id, .argv = TRY(program, "probe", "listen", text), .resources = resources};

    fl_snprintf(text, sizeof(text), "%u", port);
    fixture_launch(&f, &l);
    fixture_wait_started(&f, id);
    for (int i = 0; i < 500; i++) {
        _cleanup_free_ char *out = sandbox_read(&f, id, "stdout");
        if (*out || fixture_seen(&f, id)->ended)
            break;
        fixture_run(&f, 2000);
    }
    return fixture_seen(&f, id);
}

static void end(const char *id)
{
    f.cz->ops->destroy(f.cz, id);
    ck_assert_int_eq(fixture_wait_ended(&f, id)->reason, CONTAINER_DESTROYED);
}

#define EVERY "--container_ports_watch_interval=10ms"

START_TEST(listeners_on_ports_of_others_are_killed)
{
    static const char *const more[] = {EVERY, "--enforce_container_ports", NULL};
    uint16_t port = free_port();
    _cleanup_free_ char *own = xasprintf("cpus:0.1;mem:32;ports:[%u-%u]", port, port);

    open_with("network/ports", more);
    listening("a", port, own);
    fixture_run(&f, 60000);
    ck_assert(!fixture_seen(&f, "a")->ended);
    end("a");
    listening("b", port, "cpus:0.1;mem:32;ports:[1-2]");
    const struct seen *s = fixture_wait_ended(&f, "b");
    ck_assert_int_eq(s->reason, CONTAINER_LIMIT_PORTS);
    _cleanup_free_ char *message =
        xasprintf("Container b is listening on unallocated port(s): [%u-%u]", port, port);
    ck_assert_str_eq(s->message, message);
    ck_assert_int_ge(close(listen_on(port)), 0);

    /* What a container loses it may not listen on any more. */
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    listening("c", port, own);
    ck_assert_int_eq(resources_parse("cpus:0.1;mem:32", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "c", &res, -1, -1);
    ck_assert_int_eq(fixture_wait_ended(&f, "c")->reason, CONTAINER_LIMIT_PORTS);
}
END_TEST

START_TEST(only_some_ports_are_minded)
{
    uint16_t port = free_port();
    _cleanup_free_ char *range = xasprintf("--container_ports_isolated_range=[%u-%u]", port, port);
    const char *more[][5] = {
        {EVERY, NULL}, /* not enforced */
        {EVERY, "--enforce_container_ports", "--container_ports_isolated_range=[1-2]", NULL},
        {EVERY, "--enforce_container_ports", "--check_agent_port_range_only",
         "--resources=ports:[3-4]", NULL},
        {EVERY, "--enforce_container_ports", range, NULL}};

    open_with("network/ports", more[_i]);
    const struct seen *s = listening("a", port, "cpus:0.1;mem:32");
    if (_i < 3) {
        fixture_run(&f, 60000);
        ck_assert(!s->ended);
        end("a");
    } else {
        ck_assert_int_eq(fixture_wait_ended(&f, "a")->reason, CONTAINER_LIMIT_PORTS);
    }
}
END_TEST

START_TEST(ports_are_minded_after_a_restart)
{
    static const char *const more[] = {EVERY, "--enforce_container_ports", NULL};
    static const char *const ids[] = {"a"};
    uint16_t port = free_port();
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    char text[16];

    open_with("network/ports", more);
    fl_snprintf(text, sizeof(text), "%u", port);
    _cleanup_free_ char *own = xasprintf("cpus:0.1;mem:32;ports:[%u-%u]", port, port);
    fixture_launch(&f, &(struct launch){.id = "a",
                                        .argv = TRY(program, "probe", "listen", text),
                                        .resources = own,
                                        .checkpoint = true});
    fixture_wait_started(&f, "a");
    fixture_reopen(&f);
    f.cz->ops->recover(f.cz, ids, 1);
    fixture_run(&f, 60000);
    ck_assert(!fixture_seen(&f, "a")->ended);
    ck_assert_int_eq(resources_parse("cpus:0.1;mem:32", "*", &res, NULL), 0);
    f.cz->ops->update(f.cz, "a", &res, -1, -1);
    ck_assert_int_eq(fixture_wait_ended(&f, "a")->reason, CONTAINER_LIMIT_PORTS);
    f.cz->ops->forget(f.cz, "a");
}
END_TEST

static bool can(void)
{
    return geteuid() == 0 && access("/sys/fs/cgroup/freezer/cgroup.procs", W_OK) == 0;
}

static Suite *suite(void)
{
    Suite *s = suite_create("container_rights");
    TCase *t = tcase_create("profiles");

    tcase_add_loop_test(t, bad_profiles_are_refused, 0, ARRAY_SIZE(bad_profiles));
    suite_add_tcase(s, t);
    if (!can()) {
        printf("not root, or no cgroups: what containers are kept from is not tested\n");
        return s;
    }
    t = tcase_create("rights");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, profiles_made, profiles_gone);
    tcase_add_checked_fixture(t, NULL, close_it);
    tcase_add_test(t, another_user_has_the_capabilities_it_asks_for);
    tcase_add_test(t, root_has_no_more_than_the_bounding_set);
    tcase_add_test(t, the_operator_sets_the_bounds);
    tcase_add_test(t, a_session_has_what_its_container_has);
    tcase_add_test(t, every_resource_limit_is_set);
    tcase_add_test(t, allowed_devices_are_made);
    tcase_add_test(t, a_container_with_a_root_has_those_devices_and_no_others);
    tcase_add_test(t, a_setuid_file_gives_nothing);
    tcase_add_loop_test(t, calls_are_denied, 0, ARRAY_SIZE(with_seccomp));
    tcase_add_test(t, rules_go_by_capabilities);
    tcase_add_test(t, a_container_names_its_profile);
    tcase_add_test(t, an_agent_does_not_start_with_a_bad_profile);
    tcase_add_test(t, listeners_on_ports_of_others_are_killed);
    tcase_add_loop_test(t, only_some_ports_are_minded, 0, 4);
    tcase_add_test(t, ports_are_minded_after_a_restart);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    if (argc > 1 && streq(argv[1], "probe"))
        return probe(argc, argv);
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
