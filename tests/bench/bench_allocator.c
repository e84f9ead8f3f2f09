/* The allocator and its sorter: rows 3 and 4 of the budgets (docs/architecture.md). CPU time of this thread.
 *   alloc.full_ms      10,000 agents, 1,000 frameworks: one pass that makes an offer of every agent
 *   alloc.idle_us      a call with nothing touched
 *   alloc.one_us       one agent's resources come back and are offered again
 *   sorter.add_ns, sorter.remove_ns   1,000 clients, 50,000 allocations in and out, the first in order asked for after each
 */
#include <stdio.h>
#include <time.h>

#include "master/allocator/drf_sorter.h"
#include "tests/unit/allocator_harness.h"

enum { AGENTS = 10000, FRAMEWORKS = 1000, CLIENTS = 1000, ALLOCATIONS = 50000, RUNS = 7 };

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct made {
    size_t n;
    struct offer {
        char framework[16], agent[16];
    } offers[AGENTS];
};
static struct made made;
static struct resources agent_resources;

static void on_offer(void *arg, const char *framework_id, const char *role, const char *agent_id,
                     const struct resources *res)
{
    struct offer *o = &made.offers[made.n++ % AGENTS];

    memcpy(o->framework, framework_id, strlen(framework_id) + 1);
    memcpy(o->agent, agent_id, strlen(agent_id) + 1);
}

static double run_once(struct harness *h, bool all)
{
    double start = cpu_us();

    if (h->ops->run(h->a, h->now, UINT64_MAX, all) <= h->now)
        abort();
    return cpu_us() - start;
}

static void take_back(struct harness *h, size_t i)
{
    h->ops->recover(h->a, made.offers[i].framework, made.offers[i].agent, &agent_resources, NULL,
                    h->now);
}

static void fill(struct harness *h)
{
    struct allocator_options o = h_options();
    struct allocator_callbacks cb = {.offer = on_offer};
    char id[16];

    *h = (struct harness){.ops = allocator_builtin("HierarchicalDRF"), .now = SECOND};
    if (h->ops->create(&o, &cb, &h->a, NULL) < 0)
        abort();
    for (unsigned i = 0; i < FRAMEWORKS; i++) {
        fl_snprintf(id, sizeof(id), "framework-%u", i);
        h_add_framework(h, id, "*");
    }
    for (unsigned i = 0; i < AGENTS; i++) {
        fl_snprintf(id, sizeof(id), "agent-%u", i);
        h_add_agent(h, id, "cpus:16;mem:65536;disk:500000;ports:[31000-32000]");
    }
    agent_resources = h_res("cpus:16;mem:65536;disk:500000;ports:[31000-32000]");
    resources_allocate(&agent_resources, "*");
}

static void bench_allocator(void)
{
    struct harness h;

    fill(&h);
    for (int r = 0; r < RUNS; r++) {
        double us = run_once(&h, true);

        if (made.n != AGENTS)
            abort();
        printf("alloc.full_ms %.3f ms\n", us / 1e3);

        double start = cpu_us();
        for (int i = 0; i < 100000; i++)
            h.ops->run(h.a, h.now, UINT64_MAX, false);
        printf("alloc.idle_us %.4f us\n", (cpu_us() - start) / 100000);

        start = cpu_us();
        for (size_t i = 0; i < AGENTS; i++) {
            take_back(&h, i);
            made.n = i; /* the offer that follows is of the same agent */
            run_once(&h, false);
        }
        printf("alloc.one_us %.3f us\n", (cpu_us() - start) / AGENTS);
        for (size_t i = 0; i < AGENTS; i++)
            take_back(&h, i);
        made.n = 0;
    }
    h.ops->destroy(h.a);
    resources_done(&agent_resources);
}

static void bench_sorter(void)
{
    static struct drf_client c[CLIENTS];
    static char names[CLIENTS][16];
    struct drf_totals totals;
    struct drf_sorter s;
    _cleanup_vec_ struct drf_vec total = DRF_VEC_INIT, one = DRF_VEC_INIT;

    drf_totals_init(&totals);
    for (size_t d = 0; d < 3; d++) {
        static const char *const scalars[] = {"cpus", "mem", "disk"};

        drf_vec_add_at(&total, drf_scalar_id(&totals, scalars[d]), (milli_t)ALLOCATIONS * 64000);
        drf_vec_add_at(&one, d, (milli_t)(d + 1) * 1000);
    }
    drf_totals_add(&totals, &total);
    drf_sorter_init(&s, &totals);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fl_snprintf(names[i], sizeof(names[i]), "client-%u", i);
        drf_client_init(&c[i], names[i], 1.0);
        drf_sorter_activate(&s, &c[i]);
    }
    for (int r = 0; r < RUNS; r++) {
        double start = cpu_us();

        for (unsigned i = 0; i < ALLOCATIONS; i++) {
            drf_sorter_allocated(&s, &c[(i * 7919u) % CLIENTS], &one);
            (void)drf_sorter_first(&s);
        }
        printf("sorter.add_ns %.1f ns\n", (cpu_us() - start) * 1e3 / ALLOCATIONS);
        start = cpu_us();
        for (unsigned i = 0; i < ALLOCATIONS; i++) {
            drf_sorter_unallocated(&s, &c[(i * 7919u) % CLIENTS], &one);
            (void)drf_sorter_first(&s);
        }
        printf("sorter.remove_ns %.1f ns\n", (cpu_us() - start) * 1e3 / ALLOCATIONS);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        drf_sorter_deactivate(&s, &c[i]);
        drf_client_done(&c[i]);
    }
    drf_sorter_done(&s);
    drf_totals_done(&totals);
}

int main(void)
{
    bench_allocator();
    bench_sorter();
    return 0;
}
