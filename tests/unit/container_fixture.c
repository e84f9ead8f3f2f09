/* See container_fixture.h. */
#include "tests/unit/container_fixture.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

static char mark[64]; /* the last part of the open fixture's directory, which no other run has */

struct seen *fixture_seen(struct fixture *f, const char *id)
{
    for (size_t i = 0; i < f->n_seen; i++)
        if (streq(f->seen[i].id, id))
            return &f->seen[i];
    ck_assert_uint_lt(f->n_seen, ARRAY_SIZE(f->seen));
    struct seen *s = &f->seen[f->n_seen++];
    memset(s, 0, sizeof(*s));
    fl_snprintf(s->id, sizeof(s->id), "%s", id);
    return s;
}

static void on_started(void *arg, const char *id, pid_t pid)
{
    struct seen *s = fixture_seen(arg, id);

    s->started = true;
    s->n_started++;
    s->pid = pid;
}

static void on_ended(void *arg, const char *id, const struct container_end *end)
{
    struct seen *s = fixture_seen(arg, id);

    s->ended = true;
    s->n_ended++;
    s->reason = end->reason;
    s->has_status = end->has_status;
    s->status = end->status;
    fl_snprintf(s->message, sizeof(s->message), "%s", end->message ? end->message : "");
}

static void on_recovered(void *arg, const char *id, pid_t pid)
{
    struct seen *s = fixture_seen(arg, id);

    s->recovered = true;
    s->n_recovered++;
    s->pid = pid;
}

static void on_recovery_done(void *arg, const struct fl_err *err)
{
    struct fixture *f = arg;

    ck_assert_msg(!err || f->may_refuse, "%s", err ? err->msg : "");
    fl_snprintf(f->refusal, sizeof(f->refusal), "%s", err ? err->msg : "");
    f->recovery_done = true;
}

static const char *base = "/tmp";

void fixture_below(const char *folder)
{
    base = folder;
}

static void start(struct fixture *f)
{
    const struct containerizer_callbacks cb = {on_started, on_ended, on_recovered, on_recovery_done,
                                               f};
    struct fl_err err;

    ck_assert_msg(launcher_fork(&f->flags, &f->launcher_fd, &err) == 0, "%s", err.msg);
    ck_assert_msg(fl_loop_new(&f->loop, &err) == 0, "%s", err.msg);
    ck_assert_msg(containerizer_new(f->loop, &f->flags, f->launcher_fd, &cb, &f->cz, &err) == 0,
                  "%s", err.msg);
}

void fixture_open(struct fixture *f, const char *launcher, const char *isolation,
                  const char *const *more)
{
    char args[8][256];
    char *argv[24];
    int argc = 0, rest;
    bool help, version;
    struct fl_err err;

    memset(f, 0, sizeof(*f));
    fl_snprintf(f->dir, sizeof(f->dir), "%s/fl-container-XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    fl_snprintf(mark, sizeof(mark), "%s", strrchr(f->dir, '/') + 1);
    chmod(f->dir, 0755);
    fl_snprintf(args[0], sizeof(args[0]), "agent");
    fl_snprintf(args[1], sizeof(args[1]), "--work_dir=%s/work", f->dir);
    fl_snprintf(args[2], sizeof(args[2]), "--runtime_dir=%s/run", f->dir);
    fl_snprintf(args[3], sizeof(args[3]), "--launcher=%s", launcher ? launcher : "posix");
    fl_snprintf(args[4], sizeof(args[4]), "--isolation=%s", isolation);
    fl_snprintf(args[5], sizeof(args[5]), "--cgroups_root=%s", strrchr(f->dir, '/') + 1);
    fl_snprintf(args[6], sizeof(args[6]), "--master=127.0.0.1:1");
    while (argc < 7) {
        argv[argc] = args[argc];
        argc++;
    }
    for (; more && *more; more++)
        argv[argc++] = (char *)(uintptr_t)*more;
    argv[argc] = NULL;
    ck_assert_msg(agent_flags_new(&f->flags, &f->parsed, &err) == 0, "%s", err.msg);
    ck_assert_msg(fl_flags_parse(f->parsed, argc, argv, &rest, &help, &version, &err) == 0, "%s",
                  err.msg);
    start(f);
}

static void stop(struct fixture *f)
{
    f->cz->ops->free(f->cz);
    fl_loop_free(f->loop);
    f->cz = NULL;
    f->loop = NULL;
}

void fixture_reopen(struct fixture *f)
{
    if (f->cz)
        stop(f);
    f->n_seen = 0;
    f->recovery_done = false;
    start(f);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    remove(path);
    return 0;
}

static void remove_cgroups(const struct fixture *f)
{
    const char *name = strrchr(f->dir, '/') + 1;
    DIR *d = opendir("/sys/fs/cgroup");
    const struct dirent *e;
    char path[512];

    while (d && (e = readdir(d))) {
        fl_snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s", e->d_name, name);
        rmdir(path);
    }
    if (d)
        closedir(d);
}

void fixture_close(struct fixture *f)
{
    if (f->cz)
        stop(f);
    remove_cgroups(f);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    fl_flags_free(f->parsed);
}

char *sandbox_path(const struct fixture *f, const char *id)
{
    return xasprintf("%s/sandbox-%s", f->dir, id);
}

static void make_sandbox(const struct fixture *f, const struct launch *l)
{
    _cleanup_free_ char *path = sandbox_path(f, l->id);

    ck_assert_int_eq(mkdir(path, 0755), 0);
    const struct passwd *pw = l->user ? getpwnam(l->user) : NULL;
    if (pw)
        ck_assert_int_eq(chown(path, pw->pw_uid, pw->pw_gid), 0);
}

static void fill_command(V1__CommandInfo *cmd, const struct launch *l)
{
    cmd->has_shell = true;
    cmd->shell = !l->argv;
    cmd->environment = l->environment;
    cmd->value = (char *)(uintptr_t)(l->argv ? l->argv[0] : l->shell);
    if (l->argv) {
        cmd->arguments = (char **)(uintptr_t)l->argv;
        while (l->argv[cmd->n_arguments])
            cmd->n_arguments++;
    }
}

static void add_volume(struct resources *to, int mb)
{
    V1__Resource res = V1__RESOURCE__INIT, *v = &res;
    V1__Resource__ReservationInfo of = V1__RESOURCE__RESERVATION_INFO__INIT, *of_v = &of;
    V1__Resource__DiskInfo disk = V1__RESOURCE__DISK_INFO__INIT;
    V1__Resource__DiskInfo__Persistence persistence = V1__RESOURCE__DISK_INFO__PERSISTENCE__INIT;
    V1__Volume volume = V1__VOLUME__INIT;
    V1__Value__Scalar scalar = V1__VALUE__SCALAR__INIT;
    _cleanup_resources_ struct resources more = RESOURCES_INIT;

    res.name = (char *)(uintptr_t) "disk";
    res.type = V1__VALUE__TYPE__SCALAR;
    res.scalar = &scalar;
    scalar.value = mb;
    of.has_type = true;
    of.type = V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
    of.role = (char *)(uintptr_t) "r";
    res.reservations = &of_v;
    res.n_reservations = 1;
    res.disk = &disk;
    disk.persistence = &persistence;
    persistence.id = (char *)(uintptr_t) "v";
    disk.volume = &volume;
    volume.mode = V1__VOLUME__MODE__RW;
    volume.container_path = (char *)(uintptr_t) "vol";
    ck_assert_int_eq(resources_from_pb(&v, 1, &more, NULL), 0);
    resources_add(to, &more);
}

int fixture_try_launch(struct fixture *f, const struct launch *l, struct fl_err *err)
{
    _cleanup_resources_ struct resources res = RESOURCES_INIT;
    _cleanup_free_ char *sandbox = sandbox_path(f, l->id);
    V1__CommandInfo cmd = V1__COMMAND_INFO__INIT;
    V1__CommandInfo__URI uris[16], *uri_v[16];

    fill_command(&cmd, l);
    for (size_t i = 0; i < l->n_uris; i++) {
        uris[i] = l->uris[i];
        uri_v[i] = &uris[i];
    }
    cmd.uris = uri_v;
    cmd.n_uris = l->n_uris;
    make_sandbox(f, l);
    ck_assert_int_eq(
        resources_parse(l->resources ? l->resources : "cpus:0.1;mem:64;disk:100", "*", &res, NULL),
        0);
    if (l->volume_mb)
        add_volume(&res, l->volume_mb);
    const struct container_spec spec = {
        .container_id = l->id,
        .command = &cmd,
        .container = l->info,
        .user = l->user,
        .sandbox = sandbox,
        .env = l->env,
        .resources = &res,
        .cpu_limit = l->cpu_limit == 0 ? -1 : l->cpu_limit,
        .mem_limit = l->mem_limit == 0 ? -1 : l->mem_limit,
        .checkpoint = l->checkpoint,
        .debug = l->debug,
    };
    return f->cz->ops->launch(f->cz, &spec, err);
}

void fixture_launch(struct fixture *f, const struct launch *l)
{
    struct fl_err err;

    ck_assert_msg(fixture_try_launch(f, l, &err) == 0, "%s", err.msg);
}

static void wake(void *arg)
{
    (void)arg;
}

bool fixture_until(struct fixture *f, bool (*done)(void *arg), void *arg, uint64_t us)
{
    uint64_t end = fl_loop_now_us(f->loop) + us;
    struct fl_timer *t = fl_timer_new(f->loop, wake, NULL);
    bool ok;

    while (!(ok = done(arg)) && fl_loop_now_us(f->loop) < end) {
        fl_timer_set(t, 5000);
        fl_loop_run_once(f->loop);
    }
    fl_timer_free(t);
    return ok;
}

static bool is_started(void *arg)
{
    return ((struct seen *)arg)->started || ((struct seen *)arg)->ended;
}

static bool is_ended(void *arg)
{
    return ((struct seen *)arg)->ended;
}

static bool never(void *arg)
{
    return false;
}

void fixture_run(struct fixture *f, uint64_t us)
{
    fixture_until(f, never, NULL, us);
}

struct seen *fixture_wait_started(struct fixture *f, const char *id)
{
    struct seen *s = fixture_seen(f, id);

    ck_assert_msg(fixture_until(f, is_started, s, 10000000), "'%s' has not started", id);
    ck_assert_msg(s->started, "'%s' ended: %s", id, s->message);
    return s;
}

struct seen *fixture_wait_ended(struct fixture *f, const char *id)
{
    struct seen *s = fixture_seen(f, id);

    ck_assert_msg(fixture_until(f, is_ended, s, 15000000), "'%s' has not ended", id);
    ck_assert_int_eq(s->n_ended, 1);
    return s;
}

struct seen *fixture_finish(struct fixture *f, const struct launch *l)
{
    fixture_launch(f, l);
    return fixture_wait_ended(f, l->id);
}

char *sandbox_read(const struct fixture *f, const char *id, const char *file)
{
    _cleanup_free_ char *path = xasprintf("%s/sandbox-%s/%s", f->dir, id, file);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = xcalloc(1, 65536);

    if (fd >= 0 && read(fd, text, 65535) < 0)
        text[0] = '\0';
    return text;
}

/* Another run of these tests on the machine has processes of the same command lines: ours are those whose sandbox or
 * cgroup bears the fixture's name. */
static bool is_ours(const char *pid)
{
    char path[300], buf[4096];
    fl_snprintf(path, sizeof(path), "/proc/%s/cwd", pid);
    ssize_t n = readlink(path, buf, sizeof(buf));
    if (n > 0 && memmem(buf, (size_t)n, mark, strlen(mark)))
        return true;
    fl_snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
    return n > 0 && memmem(buf, (size_t)n, mark, strlen(mark));
}

int processes_with(const char *text)
{
    DIR *d = opendir("/proc");
    const struct dirent *e;
    char path[300], buf[4096];
    int found = 0;

    while ((e = readdir(d))) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9')
            continue;
        fl_snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
        if (n > 0 && memmem(buf, (size_t)n, text, strlen(text)) && is_ours(e->d_name))
            found++;
    }
    closedir(d);
    return found;
}

static int entries(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && (e->d_type == DT_DIR))
            n++;
    if (d)
        closedir(d);
    if (n)
        fprintf(stderr, "left in %s: %d\n", path, n);
    return n;
}

int fixture_leftovers(const struct fixture *f)
{
    _cleanup_free_ char *run = xasprintf("%s/run/containers", f->dir);
    const char *name = strrchr(f->dir, '/') + 1;
    int n = entries(run);
    DIR *d = opendir("/sys/fs/cgroup");
    const struct dirent *e;
    char path[512], line[4096];

    while (d && (e = readdir(d))) {
        fl_snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s", e->d_name, name);
        n += entries(path);
    }
    if (d)
        closedir(d);
    FILE *m = fopen("/proc/self/mountinfo", "re");
    while (m && fgets(line, sizeof(line), m))
        if (strstr(line, name)) {
            fprintf(stderr, "mount left: %s", line);
            n++;
        }
    if (m)
        fclose(m);
    return n;
}
