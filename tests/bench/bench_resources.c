/* What the resource algebra costs on a typical agent of six items and a task of three: nanoseconds of CPU per call, and the bytes a
 * task's resources keep. */
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "common/model/resources.h"

enum { ROUNDS = 300000, RUNS = 5, KEPT = 20000 };

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct resources parse(const char *text)
{
    struct resources r = RESOURCES_INIT;
    if (resources_parse(text, "*", &r, NULL) < 0)
        abort();
    return r;
}

static void report(const char *key, double start)
{
    printf("resources.%s_ns %.1f ns\n", key, (cpu_ns() - start) / ROUNDS);
}

static void bench_algebra(struct resources *agent, const struct resources *task)
{
    size_t held = 0;
    double start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        held += resources_contains(agent, task);
    report("contains", start);
    if (held != ROUNDS)
        abort();

    double add = 0, subtract = 0;
    for (int i = 0; i < ROUNDS; i += 1000) { /* apart, without reading the clock at each */
        start = cpu_ns();
        for (int k = 0; k < 1000; k++)
            resources_add(agent, task);
        add += cpu_ns() - start;
        start = cpu_ns();
        for (int k = 0; k < 1000; k++)
            resources_subtract(agent, task);
        subtract += cpu_ns() - start;
    }
    printf("resources.add_ns %.1f ns\n", add / ROUNDS);
    printf("resources.subtract_ns %.1f ns\n", subtract / ROUNDS);
}

static void bench_copies(const struct resources *agent)
{
    struct resources copy = RESOURCES_INIT;
    double start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        resources_copy(&copy, agent);
    report("copy", start);
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        resources_allocate(&copy, i & 1 ? "web" : "batch");
    report("allocate", start);
    resources_done(&copy);
}

static void bench_messages(const struct resources *agent, const struct resources *task)
{
    struct fl_arena *arena = fl_arena_new(8192);
    V1__Resource **pb;
    double start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        fl_arena_reset(arena);
        resources_to_pb(agent, RESOURCES_POST_REFINEMENT, true, arena, &pb);
    }
    report("agent_to_pb", start);
    size_t n = resources_to_pb(task, RESOURCES_POST_REFINEMENT, true, arena, &pb);
    struct resources r = RESOURCES_INIT;
    start = cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        if (resources_from_pb(pb, n, &r, NULL) < 0)
            abort();
    report("task_from_pb", start);
    resources_done(&r);
    fl_arena_free(arena);
}

static void measure_bytes(const struct resources *task)
{
    struct resources *kept = calloc(KEPT, sizeof(*kept));
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < KEPT; i++)
        resources_copy(&kept[i], task);
    printf("resources.task_bytes %.0f B\n",
           (double)(mallinfo2().uordblks - before) / KEPT + sizeof(*kept));
    for (int i = 0; i < KEPT; i++)
        resources_done(&kept[i]);
    free(kept);
}

int main(void)
{
    struct resources agent =
        parse("cpus:64;mem:262144;disk:1000000;gpus:4;ports:[31000-32000];cpus(batch):8");
    struct resources task = parse("cpus:0.5;mem:128;disk:64");
    resources_allocate(&agent, "web");
    resources_allocate(&task, "web");
    for (int run = 0; run < RUNS; run++) {
        bench_algebra(&agent, &task);
        bench_copies(&agent);
        bench_messages(&agent, &task);
        measure_bytes(&task);
    }
    resources_done(&agent);
    resources_done(&task);
    return 0;
}
