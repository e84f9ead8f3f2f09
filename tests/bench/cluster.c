/* See cluster.h. Included by benchmarks as a whole: each is one program of one file. */
#include "tests/bench/cluster.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { READY_S = 20, STOP_S = 20, MAX_DAEMONS = 8 };
#define CPUACCT "/sys/fs/cgroup/cpuacct"

extern char **environ;

static struct {
    char *dir, *bin;
    char *
        run; /* on a tmpfs where there is one, as /run is one on any other machine than a builder's */
    char *group; /* below CPUACCT, or NULL */
    struct bench_daemon *daemons[MAX_DAEMONS];
    size_t n;
    unsigned logs;
} cluster;

/* ---- ends ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void signal_all(int signo)
{
    for (size_t i = 0; i < cluster.n; i++)
        kill(cluster.daemons[i]->pid, signo);
}

void bench_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "; the logs are in '%s'\n", cluster.dir ? cluster.dir : "?");
    va_end(ap);
    signal_all(SIGTERM);
    exit(1);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

void bench_stop(struct bench_daemon *d)
{
    double end = bench_seconds() + STOP_S;

    for (size_t i = 0; i < cluster.n; i++) {
        if (cluster.daemons[i] == d)
            cluster.daemons[i] = cluster.daemons[--cluster.n];
    }
    kill(d->pid, SIGTERM);
    while (waitpid(d->pid, NULL, WNOHANG) == 0) {
        if (bench_seconds() > end)
            kill(d->pid, SIGKILL);
        nap();
    }
}

/* Groups of this name in every hierarchy, with the agents' own below them, which agents leave for their next start. */
static void remove_group(void)
{
    static const char *const levels[] = {"/sys/fs/cgroup/*/%s/*/", "/sys/fs/cgroup/*/%s/"};
    int fd = open(CPUACCT "/cgroup.procs", O_WRONLY | O_CLOEXEC);

    if (cluster.group && (fd < 0 || write(fd, "0", 1) != 1))
        fprintf(stderr, "bench: cannot leave cgroup '%s'\n", cluster.group);
    for (size_t i = 0; cluster.group && i < ARRAY_SIZE(levels); i++) {
        _cleanup_free_ char *pattern = xasprintf(levels[i], cluster.group);
        glob_t found = {0};
        if (glob(pattern, 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++)
                rmdir(found.gl_pathv[k]);
        }
        globfree(&found);
    }
    if (fd >= 0)
        close(fd);
}

void bench_close(void)
{
    while (cluster.n > 0)
        bench_stop(cluster.daemons[cluster.n - 1]);
    nftw(cluster.run, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    nftw(cluster.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    remove_group();
}

/* ---- beginnings ---- */

static void enter_group(const char *name)
{
    _cleanup_free_ char *group = xasprintf("fairlead-%s-%d", name, (int)getpid());
    _cleanup_free_ char *dir = xasprintf(CPUACCT "/%s", group);
    _cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", dir);
    int fd;

    if (geteuid() != 0 || mkdir(dir, 0755) < 0)
        return;
    fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "0", 1) == 1)
        cluster.group = TAKE_PTR(group);
    else
        rmdir(dir);
    if (fd >= 0)
        close(fd);
}

void bench_open(const char *name)
{
    const char *tmp = getenv("TMPDIR");
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n <= 0)
        bench_fail("cannot read /proc/self/exe");
    self[n] = '\0';
    /* build/tests/bench/bench_x -> build/bin */
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
    }
    cluster.bin = xasprintf("%s/bin", self);
    cluster.dir = xasprintf("%s/fairlead-%s-XXXXXX", tmp ? tmp : "/tmp", name);
    if (!mkdtemp(cluster.dir))
        bench_fail("cannot make a folder like '%s'", cluster.dir);
    cluster.run = xasprintf("/dev/shm/fairlead-%s-XXXXXX", name);
    if (!mkdtemp(cluster.run)) {
        free(cluster.run);
        cluster.run = xasprintf("%s/run", cluster.dir);
    }
    enter_group(name);
}

/* Nobody has it now. Somebody else could take it before the daemon does: then the daemon says so and the benchmark fails. */
static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        bench_fail("no free port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

static bool listens(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

    if (fd >= 0)
        close(fd);
    return yes;
}

static void start(struct bench_daemon *d, char *const argv[])
{
    _cleanup_free_ char *log = xasprintf("%s/%u.log", cluster.dir, cluster.logs++);
    double end = bench_seconds() + READY_S;
    posix_spawn_file_actions_t files;
    int r;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    r = posix_spawn(&d->pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (r != 0)
        bench_fail("cannot start '%s': %s; run `make` first", argv[0], strerror(r));
    cluster.daemons[cluster.n++] = d;
    while (!listens(d->port)) {
        if (bench_seconds() > end || waitpid(d->pid, NULL, WNOHANG) == d->pid)
            bench_fail("'%s' does not listen on port %u", argv[0], d->port);
        nap();
    }
}

static void prepare(struct bench_daemon *d)
{
    if (cluster.n == MAX_DAEMONS)
        bench_fail("more than %d daemons", MAX_DAEMONS);
    *d = (struct bench_daemon){.port = free_port()};
    fl_snprintf(d->address, sizeof(d->address), "127.0.0.1:%u", d->port);
}

void bench_master(struct bench_daemon *d)
{
    prepare(d);
    _cleanup_free_ char *program = xasprintf("%s/fairlead-master", cluster.bin);
    _cleanup_free_ char *port = xasprintf("--port=%u", d->port);
    _cleanup_free_ char *work = xasprintf("--work_dir=%s/%u", cluster.dir, d->port);

    start(d, (char *[]){program, (char *)"--ip=127.0.0.1", port, work,
                        (char *)"--hostname=127.0.0.1", NULL});
}

void bench_agent(struct bench_daemon *d, const struct bench_daemon *master, const char *resources,
                 const char *launcher, const char *isolation)
{
    prepare(d);
    _cleanup_free_ char *program = xasprintf("%s/fairlead-agent", cluster.bin);
    _cleanup_free_ char *port = xasprintf("--port=%u", d->port);
    _cleanup_free_ char *to = xasprintf("--master=%s", master->address);
    _cleanup_free_ char *work = xasprintf("--work_dir=%s/%u", cluster.dir, d->port);
    _cleanup_free_ char *runtime = xasprintf("--runtime_dir=%s/%u", cluster.run, d->port);
    _cleanup_free_ char *has = xasprintf("--resources=%s", resources);
    _cleanup_free_ char *by = xasprintf("--launcher=%s", launcher);
    _cleanup_free_ char *how = xasprintf("--isolation=%s", isolation);
    _cleanup_free_ char *root =
        xasprintf("--cgroups_root=%s%sa%u", cluster.group ? cluster.group : "",
                  cluster.group ? "/" : "fairlead-", d->port);

    start(d, (char *[]){program, (char *)"--ip=127.0.0.1", port, to, work, runtime, has, by, how,
                        root, (char *)"--hostname=127.0.0.1", NULL});
}

bool bench_containers_possible(void)
{
    return geteuid() == 0 && access("/sys/fs/cgroup/memory/cgroup.procs", W_OK) == 0;
}

/* ---- measuring ---- */

double bench_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bench_cpu_us(pid_t pid)
{
    clockid_t clock;
    struct timespec t;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        bench_fail("process %d has ended", (int)pid);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The first number behind `name` in a file, or -1. */
static double read_number(const char *path, const char *name)
{
    _cleanup_free_ char *line = NULL;
    FILE *f = fopen(path, "re");
    double value = -1;
    size_t cap = 0;

    while (f && value < 0 && getline(&line, &cap, f) > 0) {
        uint64_t n;
        char *digits = line + strlen(name);
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        digits += strspn(digits, " \t");
        digits[strspn(digits, "0123456789")] = '\0';
        if (fl_parse_u64(digits, &n) == 0)
            value = (double)n;
    }
    if (f)
        fclose(f);
    return value;
}

double bench_rss_bytes(pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)pid);
    double kib = read_number(path, "VmRSS:");

    if (kib < 0)
        bench_fail("process %d has ended", (int)pid);
    return kib * 1024;
}

double bench_all_cpu_us(void)
{
    _cleanup_free_ char *path = NULL;
    struct timespec own;
    double ns;

    if (!cluster.group)
        return -1;
    path = xasprintf(CPUACCT "/%s/cpuacct.usage", cluster.group);
    ns = read_number(path, "");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    return ns < 0 ? -1 : ns / 1e3 - (double)own.tv_sec * 1e6 - (double)own.tv_nsec / 1e3;
}

pid_t bench_only_child(pid_t pid)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/task/%d/children", (int)pid, (int)pid);

    return (pid_t)read_number(path, "");
}
