/* The reference's benchmark MultiFrameworkAllocations: 80 agents of 64 processors; 4 frameworks like Marathon with 4,000 small tasks
 * each, 500 like Jenkins with 5, 50 like Spark's dispatcher with 20: 19,500 tasks. Each pass makes offers; each framework fills
 * what it is offered up to its limit an offer and gives the rest back without a filter. Frameworks that are done keep being offered
 * agents, and come first where they hold little, so not all tasks run in the end; a hundred passes are made.
 *   mirror.multi_framework.pass_ms   CPU time in the allocator, of one pass and its answers
 *   mirror.multi_framework.tasks     how many run after them
 */
#include <time.h>

#include "tests/unit/allocator_harness.h"

enum { AGENTS = 80, FRAMEWORKS = 554, PASSES = 100 };

static const struct profile {
    const char *name;
    unsigned instances, tasks, per_offer;
    const char *task;
    bool own_role; /* each instance has a role of its own */
} profiles[] = {
    {"Marathon", 4, 4000, 100, "cpus:0.07;mem:400", true},
    {"Jenkins", 500, 5, 1, "cpus:0.1;mem:4000", false},
    {"SparkDispatcher", 50, 20, 5, "cpus:1;mem:1000", true},
};

static unsigned launched[FRAMEWORKS];
static const struct profile *profile_of[FRAMEWORKS];

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fill(struct harness *h)
{
    unsigned n = 0;
    char id[16], role[64];

    h_init(h);
    for (size_t p = 0; p < ARRAY_SIZE(profiles); p++)
        for (unsigned i = 0; i < profiles[p].instances; i++) {
            fl_snprintf(id, sizeof(id), "%u", n);
            fl_snprintf(role, sizeof(role), "%s-%u", profiles[p].name,
                        profiles[p].own_role ? i : 0);
            h_add_framework(h, id, role);
            profile_of[n++] = &profiles[p];
        }
    for (unsigned i = 0; i < AGENTS; i++) {
        fl_snprintf(id, sizeof(id), "agent-%u", i);
        h_add_agent(h, id, "cpus:64;mem:488000");
    }
}

/* How many tasks of the offer run; the rest comes back. */
static unsigned answer(struct harness *h, const struct h_offer *o, double *ret_us)
{
    uint64_t f;
    _cleanup_resources_ struct resources rest = RESOURCES_INIT, task = RESOURCES_INIT;
    unsigned n = 0;
    double start;

    if (fl_parse_u64(o->framework, &f) < 0 || f >= FRAMEWORKS)
        abort();
    task = h_res(profile_of[f]->task);
    resources_allocate(&task, o->role);
    resources_copy(&rest, &o->res);
    while (n < profile_of[f]->per_offer && launched[f] < profile_of[f]->tasks &&
           resources_contains(&rest, &task)) {
        resources_subtract(&rest, &task);
        launched[f]++;
        n++;
    }
    start = now_us();
    h->ops->recover(h->a, o->framework, o->agent, &rest, NULL, h->now);
    *ret_us += now_us() - start;
    return n;
}

int main(void)
{
    struct harness h;
    double us = 0;
    unsigned tasks = 0;

    fill(&h);
    for (unsigned i = 0; i < PASSES; i++) {
        double start = now_us();

        h.now += SECOND;
        h_run_all(&h, true, NULL);
        us += now_us() - start;
        for (size_t k = 0; k < h.n; k++)
            tasks += answer(&h, &h.offers[k], &us);
        h_forget(&h);
    }
    printf("mirror.multi_framework.pass_ms %.4f ms\n", us / 1e3 / PASSES);
    printf("mirror.multi_framework.tasks %u tasks\n", tasks);
    h_done(&h);
    return 0;
}
