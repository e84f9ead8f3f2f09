/* Row 9 of the budgets: real containers through the containerizer itself, real exec, from launch() to the `started` callback.
 *   processes.started_s     plain processes (launcher posix), 64 launches at a time
 *   containers.started_s    cgroups (cpu, cpuacct, memory), pid and mount namespaces
 *   containers.p50_ms       one at a time
 *   containers.destroyed_s  from destroy() of all to the last `ended`, when nothing of them is left
 * Containers need root and cgroups; without them only the first line is printed.
 */
#include <stdio.h>
#include <sys/stat.h>

/* No test runs here that a passed check could be noted for. */
#include <check.h>
#define _mark_point(file, line) ((void)0)
#include "tests/unit/container_fixture.c"

enum { PROCESSES = 1000, CONTAINERS = 300, SINGLES = 60, RUNS = 5 };

static const char *const command[] = {"/bin/sleep", "1000", NULL};
static struct fixture f;
static char ids[PROCESSES][16];
static size_t started, ended, failed;

static void on_bench_started(void *arg, const char *id, pid_t pid)
{
    started++;
}

static void on_bench_ended(void *arg, const char *id, const struct container_end *end)
{
    ended++;
    if (end->reason != CONTAINER_DESTROYED && failed++ == 0)
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
    if (launcher_fork(&f.flags, &f.launcher_fd, &err) < 0 || fl_loop_new(&f.loop, &err) < 0 ||
        containerizer_new(f.loop, &f.flags, f.launcher_fd, &cb, &f.cz, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        fl_snprintf(ids[i], sizeof(ids[i]), "b%zu", i);
        _cleanup_free_ char *sandbox = sandbox_path(&f, ids[i]);
        mkdir(sandbox, 0755);
    }
}

static void launch(size_t i, const struct resources *res)
{
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
    cmd.value = (char *)(uintptr_t)command[0];
    cmd.arguments = (char **)(uintptr_t)command;
    cmd.n_arguments = 2;
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
        launch(i, res);
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

static double median_single(const struct resources *res)
{
    double ms[SINGLES];

    for (size_t i = 0; i < SINGLES; i++)
        ms[i] = 1000.0 / start_many(1, res), destroy_many(1);
    qsort(ms, SINGLES, sizeof(ms[0]), by_value);
    return ms[SINGLES / 2];
}

int main(void)
{
    _cleanup_resources_ struct resources res = RESOURCES_INIT;

    if (resources_parse("cpus:0.1;mem:32", "*", &res, NULL) < 0)
        abort();
    open_bench("posix", "posix/cpu,posix/mem");
    for (int i = 0; i < RUNS; i++) {
        printf("processes.started_s %.1f /s\n", start_many(PROCESSES, &res));
        destroy_many(PROCESSES);
    }
    fixture_close(&f);
    if (geteuid() != 0 || access("/sys/fs/cgroup/memory/cgroup.procs", W_OK) < 0)
        return failed != 0;
    open_bench("linux", "cgroups/cpu,cgroups/mem,namespaces/pid,filesystem/linux");
    for (int i = 0; i < RUNS; i++) {
        printf("containers.started_s %.1f /s\n", start_many(CONTAINERS, &res));
        printf("containers.destroyed_s %.1f /s\n", destroy_many(CONTAINERS));
    }
    for (int i = 0; i < RUNS; i++)
        printf("containers.p50_ms %.2f ms\n", median_single(&res));
    fixture_close(&f);
    return failed != 0;
}
