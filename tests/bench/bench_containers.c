/* Row 9 of the budgets: real containers through the containerizer itself, real exec, from launch() to the `started` callback.
 *   processes.started_s     plain processes (launcher posix), all at once, --max_parallel_launches under way
 *   containers.started_s    cgroups (cpu, cpuacct, memory), pid and mount namespaces
 *   containers.p50_ms, containers.p99_ms, processes.p50_ms, ...  one at a time
 *   containers.destroyed_s, processes.destroyed_s  from destroy() of all to the last `ended`, when nothing of them is left
 *   *.cpu_us                CPU of a start and its end: of all processes, so it stays comparable when something else runs
 * The runtime folder is on a tmpfs, as /run is. Containers need root and cgroups; without them only plain processes are measured.
 */
#include <libgen.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* No test runs here that a passed check could be noted for. */
#include <check.h>
#define _mark_point(file, line) ((void)0)
#include "tests/unit/container_fixture.c"

#define CPUACCT "/sys/fs/cgroup/cpuacct"

enum { COUNT = 1000, SINGLES = 200, RUNS = 5 };

static char program[PATH_MAX];
static char *own_runtime; /* as the flags have it */
static char runtime[64], group[128];
static struct fixture f;
static char ids[COUNT][16];
static size_t started, ended, failed;

/* ---- CPU: of the group that we are in, and below which the containers' groups are ---- */

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");

    if (out) {
        fputs(text, out);
        fclose(out);
    }
}

static void join_group(void)
{
    fl_snprintf(group, sizeof(group), CPUACCT "/%s", f.flags.cgroups_root);
    mkdir(group, 0755);
    _cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", group);
    write_text(procs, "0");
}

/* Microseconds, 0 when nobody counts. */
static double cpu_us(void)
{
    _cleanup_free_ char *path = xasprintf("%s/cpuacct.usage", group);
    FILE *in = fopen(path, "re");
    double ns = 0;

    if (in) {
        if (fscanf(in, "%lf", &ns) != 1)
            ns = 0;
        fclose(in);
    }
    return ns / 1e3;
}

static void on_bench_started(void *arg, const char *id, pid_t pid)
{
    started++;
}

static void on_bench_ended(void *arg, const char *id, const struct container_end *end)
{
    ended++;
    bool well =
        end->reason == CONTAINER_DESTROYED || (end->reason == CONTAINER_EXITED && end->status == 0);

    if (!well && failed++ == 0)
        fprintf(stderr, "%s: %s\n", id, end->message ? end->message : "ended");
}

static void on_bench_recovered(void *arg, const char *id, pid_t pid)
{
}

static void on_bench_done(void *arg, const struct fl_err *err)
{
}

static void open_bench(const char *launcher, const char *isolation)
{
    const struct containerizer_callbacks cb = {on_bench_started, on_bench_ended, on_bench_recovered,
                                               on_bench_done, &f};
    struct fl_err err;

    fixture_open(&f, launcher, isolation, NULL);
    stop(&f);
    fl_snprintf(runtime, sizeof(runtime), "/dev/shm/fl-bench-XXXXXX");
    if (!mkdtemp(runtime))
        abort();
    own_runtime = f.flags.runtime_dir;
    f.flags.runtime_dir = runtime;
    join_group();
    if (launcher_fork(&f.flags, &f.launcher_fd, &err) < 0 || fl_loop_new(&f.loop, &err) < 0 ||
        containerizer_new(f.loop, &f.flags, f.launcher_fd, &cb, &f.cz, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    for (size_t i = 0; i < COUNT; i++) {
        fl_snprintf(ids[i], sizeof(ids[i]), "b%zu", i);
        _cleanup_free_ char *sandbox = sandbox_path(&f, ids[i]);
        mkdir(sandbox, 0755);
    }
}

static void launch(size_t i, const struct resources *res, bool ends)
{
    char *argv[] = {program, "end"};
    _cleanup_free_ char *sandbox = sandbox_path(&f, ids[i]);
    V1__CommandInfo cmd = V1__COMMAND_INFO__INIT;
    const struct container_spec spec = {.container_id = ids[i],
                                        .command = &cmd,
                                        .sandbox = sandbox,
                                        .resources = res,
                                        .cpu_limit = -1,
                                        .mem_limit = -1};
    struct fl_err err;

    cmd.has_shell = true;
    cmd.shell = false;
    cmd.value = program;
    cmd.arguments = argv;
    cmd.n_arguments = ends ? 2 : 1;
    if (f.cz->ops->launch(f.cz, &spec, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

static void wait_for(size_t *count, size_t n)
{
    while (*count < n)
        fl_loop_run_once(f.loop);
}

static double seconds_since(uint64_t start)
{
    return (double)(fl_loop_now_us(f.loop) - start) / 1e6;
}

static double start_many(size_t n, const struct resources *res)
{
    uint64_t start = fl_loop_now_us(f.loop);

    started = ended = 0;
    for (size_t i = 0; i < n; i++)
        launch(i, res, false);
    wait_for(&started, n);
    return (double)n / seconds_since(start);
}

static double destroy_many(size_t n)
{
    uint64_t start = fl_loop_now_us(f.loop);

    for (size_t i = 0; i < n; i++)
        f.cz->ops->destroy(f.cz, ids[i]);
    wait_for(&ended, n);
    return (double)n / seconds_since(start);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void singles(const char *what, const struct resources *res)
{
    double ms[SINGLES];

    for (size_t i = 0; i < SINGLES; i++)
        ms[i] = 1000.0 / start_many(1, res), destroy_many(1);
    qsort(ms, SINGLES, sizeof(ms[0]), by_value);
    printf("%s.p50_ms %.2f ms\n", what, ms[SINGLES / 2]);
    printf("%s.p99_ms %.2f ms\n", what, ms[SINGLES * 99 / 100]);
}

/* From launch() to the end of a program that ends at once, one at a time: what a runtime's `run` does. */
static void runs(const char *what, const struct resources *res)
{
    uint64_t start = fl_loop_now_us(f.loop);
    double cpu = cpu_us();

    for (size_t i = 0; i < SINGLES; i++) {
        ended = 0;
        launch(0, res, true);
        wait_for(&ended, 1);
    }
    printf("%s.run_ms %.2f ms\n", what, seconds_since(start) * 1e3 / SINGLES);
    printf("%s.run_cpu_us %.0f us\n", what, (cpu_us() - cpu) / SINGLES);
}

static void measure(const char *what, const struct resources *res)
{
    for (int i = 0; i < RUNS; i++) {
        double before = cpu_us();
        printf("%s.started_s %.1f /s\n", what, start_many(COUNT, res));
        printf("%s.destroyed_s %.1f /s\n", what, destroy_many(COUNT));
        printf("%s.cpu_us %.0f us\n", what, (cpu_us() - before) / COUNT);
    }
    for (int i = 0; i < RUNS; i++)
        singles(what, res);
    for (int i = 0; i < RUNS; i++)
        runs(what, res);
}

static void close_bench(void)
{
    _cleanup_free_ char *containers = xasprintf("%s/containers", runtime);

    write_text(CPUACCT "/cgroup.procs", "0");
    f.flags.runtime_dir = own_runtime;
    fixture_close(&f);
    if (rmdir(containers) < 0 || rmdir(runtime) < 0)
        fprintf(stderr, "something is left in %s\n", runtime);
}

/* Beside ourselves: build/tests/bench/pause. */
static void find_program(const char *argv0)
{
    _cleanup_free_ char *self = realpath(argv0, NULL);

    if (!self || fl_snprintf(program, sizeof(program), "%s/pause", dirname(self)) < 0)
        abort();
}

int main(int argc, char **argv)
{
    _cleanup_resources_ struct resources res = RESOURCES_INIT;

    find_program(argv[0]);
    if (resources_parse("cpus:0.1;mem:32", "*", &res, NULL) < 0)
        abort();
    open_bench("posix", "posix/cpu,posix/mem");
    measure("processes", &res);
    close_bench();
    if (geteuid() != 0 || access("/sys/fs/cgroup/memory/cgroup.procs", W_OK) < 0)
        return failed != 0;
    open_bench("linux", "cgroups/cpu,cgroups/mem,namespaces/pid,filesystem/linux");
    measure("containers", &res);
    close_bench();
    return failed != 0;
}
