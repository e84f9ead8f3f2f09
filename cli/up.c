/* `fairlead up` and `fairlead down`: a master and agents of this machine (or emulated ones) as children of one process that stays in the foreground.
 *
 * Everything it makes lies under one folder (--dir): work folders, logs, and `pids` with a line "pid starttime name" for each
 * process, so that `down` stops just those, even after this process was killed, and never a stranger that got a recycled pid. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/connection.h"
#include "cli/processes.h"

#define READY_S 30

extern char **environ;

struct up {
    struct cli *cli;
    const char *dir;
    char *dir_default;
    unsigned agents, port;
    const char *isolation, *launcher;
    const char *emulate; /* the file of a cluster, or NULL */
    char *domain;        /* of the master, as JSON; NULL: none */
    double cpus, mem, disk;
    struct opt_list master_flags, emulator_flags;
    bool detach;
    char *bin; /* folder of the daemons */
    char *address;
    struct processes started;
};

/* The daemons lie beside this program. */
static char *bin_folder(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;

    if (n <= 0)
        return xstrdup(".");
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    return xstrdup(path);
}

/* Beside us, or where an installation has its daemons. */
static char *program_path(const char *bin, const char *name)
{
    char *path = xasprintf("%s/%s", bin, name);

    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return xasprintf("%s/../sbin/%s", bin, name);
}

static int make_folder(const char *path, struct fl_err *err)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return fl_err_errno(err, errno, "make the folder '%s'", path);
    return 0;
}

static int spawn_daemon(struct up *u, const char *name, char *const argv[], struct fl_err *err)
{
    _cleanup_free_ char *log = xasprintf("%s/%s.log", u->dir, name);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    pid_t pid;
    int rc;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    /* A group of its own: an interrupt at the terminal reaches this process only, which then ends them in order. */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    /* What is blocked here (block_signals()) would be blocked there: it could not be asked to end. */
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    rc = posix_spawn(&pid, argv[0], &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    if (rc)
        return fl_err_errno(err, rc, "start '%s'", argv[0]);
    return processes_add(&u->started, pid, name, u->dir, err);
}

/* What the emulator prints about the file when it is given `option`, without the line's end. */
static int ask_emulator(struct up *u, const char *option, char **ret, struct fl_err *err)
{
    _cleanup_free_ char *program = program_path(u->bin, "fairlead-emulator");
    _cleanup_free_ char *path = xasprintf("%s/emulator.answer", u->dir);
    char *const argv[] = {program, (char *)u->emulate, (char *)option, NULL};
    posix_spawn_file_actions_t files;
    char text[1024];
    int rc, status, fd;
    ssize_t n;
    pid_t pid;

    unlink(path);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    rc = posix_spawn(&pid, program, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (rc)
        return fl_err_errno(err, rc, "start '%s'", program);
    if (waitpid(pid, &status, 0) < 0 || status != 0)
        return fl_err_set(err, FL_INVALID, "the emulator cannot use '%s'", u->emulate);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    unlink(path);
    if (n < 0)
        return fl_err_errno(err, errno, "read '%s'", path);
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    *ret = xstrdup(text);
    return 0;
}

/* The children inherit the limit of open files. A master that needs more than the hard limit gives its threads tables of their own,
 * and an emulator forks: each then has as many. */
static void raise_descriptors(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

static int prepare_emulation(struct up *u, struct fl_err *err)
{
    _cleanup_free_ char *count = NULL;
    uint64_t n;
    int r = ask_emulator(u, "--print_agents", &count, err);

    if (r == 0)
        r = ask_emulator(u, "--print_domain", &u->domain, err);
    if (r < 0)
        return r;
    if (fl_parse_u64(count, &n) < 0)
        return fl_err_set(err, FL_INVALID, "the emulator says '%s' where a number was wanted",
                          count);
    u->agents = (unsigned)n;
    raise_descriptors();
    return 0;
}

/* What the user gave for it goes last. */
static int spawn_with(struct up *u, const char *name, char *const own[], size_t n,
                      const struct opt_list *flags, struct fl_err *err)
{
    _cleanup_free_ char **argv = xcalloc(n + flags->n + 1, sizeof(char *));

    memcpy(argv, own, n * sizeof(char *));
    for (size_t i = 0; i < flags->n; i++)
        argv[n + i] = (char *)flags->items[i];
    return spawn_daemon(u, name, argv, err);
}

static int start_emulator(struct up *u, struct fl_err *err)
{
    _cleanup_free_ char *program = program_path(u->bin, "fairlead-emulator");
    _cleanup_free_ char *master = xasprintf("--master=%s", u->address);
    _cleanup_free_ char *control = xasprintf("--control=127.0.0.1:%u", u->port + 1);
    char *const argv[] = {program, (char *)u->emulate, master, control};

    return spawn_with(u, "emulator", argv, ARRAY_SIZE(argv), &u->emulator_flags, err);
}

/* spawn_daemon() writes the log; so told, the daemon serves it at /files, and the page shows it. */
static char *log_flag(const struct up *u, const char *name)
{
    return xasprintf("--external_log_file=%s/%s.log", u->dir, name);
}

static int start_master(struct up *u, struct fl_err *err)
{
    _cleanup_free_ char *domain =
        u->domain && *u->domain ? xasprintf("--domain=%s", u->domain) : NULL;
    _cleanup_free_ char *program = program_path(u->bin, "fairlead-master");
    _cleanup_free_ char *port = xasprintf("--port=%u", u->port);
    _cleanup_free_ char *work = xasprintf("--work_dir=%s/master", u->dir);
    _cleanup_free_ char *log = log_flag(u, "master");
    char *const argv[] = {program,
                          (char *)"--ip=127.0.0.1",
                          port,
                          work,
                          (char *)"--cluster=local",
                          (char *)"--hostname=127.0.0.1",
                          log,
                          domain};

    return spawn_with(u, "master", argv, ARRAY_SIZE(argv) - !domain, &u->master_flags, err);
}

/* An equal part of the machine each: together they offer what is there. */
static int start_agent(struct up *u, unsigned i, struct fl_err *err)
{
    _cleanup_free_ char *name = xasprintf("agent%u", i + 1);
    _cleanup_free_ char *program = program_path(u->bin, "fairlead-agent");
    _cleanup_free_ char *port = xasprintf("--port=%u", u->port + 1 + i);
    _cleanup_free_ char *master = xasprintf("--master=%s", u->address);
    _cleanup_free_ char *work = xasprintf("--work_dir=%s/%s", u->dir, name);
    _cleanup_free_ char *runtime = xasprintf("--runtime_dir=%s/%s/run", u->dir, name);
    _cleanup_free_ char *res =
        xasprintf("--resources=cpus:%g;mem:%.0f;disk:%.0f;ports:[%u-%u]", u->cpus, u->mem, u->disk,
                  31000 + 300 * i, 31299 + 300 * i);
    _cleanup_free_ char *attributes = xasprintf("--attributes=machine:%s", name);
    _cleanup_free_ char *launcher = u->launcher ? xasprintf("--launcher=%s", u->launcher) : NULL;
    _cleanup_free_ char *isolation =
        u->isolation ? xasprintf("--isolation=%s", u->isolation) : NULL;
    _cleanup_free_ char *root = xasprintf("--cgroups_root=fairlead-%u-%s", u->port, name);
    _cleanup_free_ char *log = log_flag(u, name);
    char *argv[16] = {
        program, (char *)"--ip=127.0.0.1",       port, master, work, runtime, res, attributes,
        root,    (char *)"--hostname=127.0.0.1", log};
    size_t n = 11;

    if (launcher)
        argv[n++] = launcher;
    if (isolation)
        argv[n++] = isolation;
    argv[n] = NULL;
    return spawn_daemon(u, name, argv, err);
}

static void machine_parts(struct up *u)
{
    double mem_mb = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 20);

    if (u->cpus <= 0)
        u->cpus = (double)sysconf(_SC_NPROCESSORS_ONLN) / u->agents;
    if (u->mem <= 0)
        u->mem = FL_MAX(128, (mem_mb > 2048 ? mem_mb - 1024 : mem_mb / 2) / u->agents);
    if (u->disk <= 0)
        u->disk = 10240;
}

static size_t agents_ready(struct cli *c)
{
    _cleanup_json_ json_t *all = NULL;
    struct fl_err err = {0};

    if (cli_get_json(c, NULL, "/metrics/snapshot", &all, &err) < 0)
        return 0;
    return (size_t)json_number_value(json_object_get(all, "master/slaves_active"));
}

/* Another cluster's master may have the port: it answers while ours finds out that it cannot listen. */
static bool is_ours(const struct up *u)
{
    _cleanup_json_ json_t *all = NULL;
    _cleanup_free_ char *work_dir = xasprintf("%s/master", u->dir);
    const char *told;
    struct fl_err err = {0};

    if (cli_get_json(u->cli, NULL, "/flags", &all, &err) < 0)
        return false;
    told = json_string_value(json_object_get(json_object_get(all, "flags"), "work_dir"));
    return told && streq(told, work_dir);
}

static int wait_ready(struct up *u, struct fl_err *err)
{
    /* Thousands of emulated agents need longer than a few real ones. */
    unsigned seconds = READY_S + u->agents / 500;

    for (unsigned tries = 0; tries < seconds * 10; tries++) {
        const char *dead = processes_first_dead(&u->started);
        if (dead)
            return fl_err_set(err, FL_UNAVAILABLE,
                              "the %s ended at once; its last words are in '%s/%s.log'", dead,
                              u->dir, dead);
        if (agents_ready(u->cli) >= u->agents && is_ours(u))
            return 0;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return fl_err_set(err, FL_TIMEOUT,
                      "the agents did not register within %u s; see the logs in '%s'", seconds,
                      u->dir);
}

static int start_all(struct up *u, struct fl_err *err)
{
    int r = make_folder(u->dir, err);

    if (r == 0 && processes_running(u->dir))
        r = fl_err_set(err, FL_CONFLICT,
                       "a cluster of '%s' runs already; `fairlead down --dir %s` stops it", u->dir,
                       u->dir);
    if (r == 0 && u->emulate)
        r = prepare_emulation(u, err);
    if (r == 0)
        r = start_master(u, err);
    if (r == 0 && u->emulate)
        r = start_emulator(u, err);
    for (unsigned i = 0; r == 0 && !u->emulate && i < u->agents; i++)
        r = start_agent(u, i, err);
    return r == 0 ? wait_ready(u, err) : r;
}

/* The cluster goes on without an agent, as clusters do: somebody may have taken it down on purpose. */
static bool goes_on(struct up *u)
{
    const char *dead;

    while ((dead = processes_next_dead(&u->started))) {
        if (processes_being_stopped(u->dir)) {
            printf("The cluster was stopped.\n");
            return false;
        }
        cli_failf("the %s has ended; its last words are in '%s/%s.log'", dead, u->dir, dead);
        if (streq(dead, "master") || streq(dead, "emulator"))
            return false;
    }
    return true;
}

static void wait_for_end(struct up *u)
{
    sigset_t set;
    int sig;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    do
        sig = sigwaitinfo(&set, NULL);
    while (sig != SIGINT && sig != SIGTERM && goes_on(u));
}

static void block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static char *default_dir(void)
{
    const char *state = getenv("XDG_RUNTIME_DIR");

    if (geteuid() != 0 && state)
        return xasprintf("%s/fairlead", state);
    return xasprintf("/tmp/fairlead-%u", (unsigned)geteuid());
}

static void tell(const struct up *u)
{
    if (u->emulate)
        printf("The cluster of '%s' runs: %u emulated agents.\n"
               "  page     http://%s/\n"
               "  logs     %s\n"
               "  status   %s/fairlead-emulator --at=127.0.0.1:%u status\n"
               "  change   the same with: grow GROUP N, shrink GROUP N, fail HOW, heal (--help)\n",
               u->emulate, u->agents, u->address, u->dir, u->bin, u->port + 1);
    else
        printf("The cluster runs: %u agents, each with %g cpus and %.0f MB.\n"
               "  page     http://%s/\n"
               "  logs     %s\n"
               "  try      %s/fairlead run --master %s -- sh -c 'echo hello; uname -n'\n",
               u->agents, u->cpus, u->mem, u->address, u->dir, u->bin, u->address);
    fflush(stdout);
}

static int up(struct up *u)
{
    struct fl_err err = {0};
    int r, code;

    u->bin = bin_folder();
    u->address = xasprintf("127.0.0.1:%u", u->port);
    u->cli->master = u->address;
    r = connection_new(u->cli, &u->cli->connection, &code);
    if (r < 0)
        return code;
    machine_parts(u);
    block_signals();
    r = start_all(u, &err);
    if (r < 0) {
        if (u->started.n) /* else what runs there is another's */
            processes_stop(u->dir);
        return cli_failf("%s", err.msg);
    }
    tell(u);
    if (u->detach)
        return CLI_OK;
    wait_for_end(u);
    processes_stop(u->dir);
    return CLI_OK;
}

int verb_up(struct cli *c, int argc, char **argv)
{
    struct up u = {.cli = c, .agents = 3, .port = 5050, .dir_default = default_dir()};
    const struct opt opts[] = {
        {"--agents N", OPT_COUNT, &u.agents, "how many agents share this machine (3)", 0},
        {"--port N", OPT_COUNT, &u.port, "of the master; the agents take the following ones (5050)",
         0},
        {"--cpus N", OPT_NUMBER, &u.cpus, "of each agent (an equal part of the machine's)", 0},
        {"--mem MB", OPT_NUMBER, &u.mem, "of each agent (an equal part of the machine's)", 0},
        {"--disk MB", OPT_NUMBER, &u.disk, "of each agent (10240)", 0},
        {"--isolation LIST", OPT_TEXT, &u.isolation, "isolators of the agents", 0},
        {"--launcher NAME", OPT_TEXT, &u.launcher, "linux or posix", 0},
        {"--emulate FILE", OPT_TEXT, &u.emulate,
         "instead of agents: those that FILE declares, by fairlead-emulator", 0},
        {"--master-flag FLAG", OPT_LIST, &u.master_flags,
         "for the master, as it takes it; may be given often", 0},
        {"--emulator-flag FLAG", OPT_LIST, &u.emulator_flags, "the same for the emulator", 0},
        {"--dir DIR", OPT_TEXT, &u.dir, "where everything lies (/tmp/fairlead-UID)", 0},
        {"--detach", OPT_FLAG, &u.detach, "return when it runs; `fairlead down` stops it", 0},
    };
    int code;

    if (opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code) >= 0) {
        if (!u.dir)
            u.dir = u.dir_default;
        code = up(&u);
    }
    processes_done(&u.started);
    free(u.master_flags.items);
    free(u.emulator_flags.items);
    free(u.bin);
    free(u.address);
    free(u.domain);
    free(u.dir_default);
    return code;
}

int verb_down(struct cli *c, int argc, char **argv)
{
    _cleanup_free_ char *standard = default_dir();
    const char *dir = standard;
    const struct opt opts[] = {
        {"--dir DIR", OPT_TEXT, &dir, "as given to `up` (/tmp/fairlead-UID)", 0}};
    int code;

    if (opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code) < 0)
        return code;
    if (!processes_running(dir))
        return cli_failf("no cluster of '%s' runs", dir);
    processes_stop(dir);
    return CLI_OK;
}
