/* Tasks end to end: a real master, one real agent that is kept full of tasks of the command `true`, and a scheduler of libframework in
 * this process. A task counts when its TASK_FINISHED has come and its acknowledgement is on its way, after TASK_STARTING and
 * TASK_RUNNING, each acknowledged before the agent sends the next.
 *   tasks.processes_s     plain processes (launcher posix)
 *   tasks.containers_s    cgroups for CPU and memory, pid and mount namespaces (launcher linux); root only
 * and the CPU time of each such task:
 *   ..._master_us, ..._agent_us, ..._launcher_us   of the daemons themselves
 *   ..._cpu_us            of all together, shims, the tasks, and the kernel's share included; this process's not
 */
#include <poll.h>

#include "tests/bench/cluster.c"

#include "libframework/fairlead/scheduler.h"

enum { SLOTS = 64, WARM_UP = 128, RUNS = 5, TIMEOUT_S = 60 };

struct load {
    fw_scheduler *s;
    unsigned wanted, launched, finished, serial;
};

/* CPU clocks of the daemons, and of all. */
struct costs {
    double wall, master, agent, launcher, all;
};

static fw_task *make_task(struct load *l)
{
    static const char *const argv[] = {"/bin/true", NULL};
    char id[32];
    fw_task *t;

    fl_snprintf(id, sizeof(id), "t%u", l->serial++);
    t = fw_task_new(id, "bench");
    if (!t || fw_task_set_argv(t, argv) < 0 || fw_task_set_scalar(t, "cpus", 0.1) < 0 ||
        fw_task_set_scalar(t, "mem", 32) < 0)
        bench_fail("no memory for a task");
    return t;
}

static void on_offers(fw_scheduler *s, fw_offer **offers, size_t n, void *arg)
{
    struct load *l = arg;

    for (size_t i = 0; i < n; i++) {
        const char *id = fw_offer_id(offers[i]);
        double cpus = fw_offer_scalar(offers[i], "cpus");
        fw_task *tasks[SLOTS];
        size_t k = 0;

        while (k < SLOTS && l->launched < l->wanted && cpus > 0.0999) {
            tasks[k++] = make_task(l);
            l->launched++;
            cpus -= 0.1;
        }
        if (k > 0)
            fw_launch(s, offers[i], tasks, k, 0);
        else
            fw_decline(s, &id, 1, 3600);
        while (k > 0)
            fw_task_free(tasks[--k]);
    }
}

static void on_update(fw_scheduler *s, const fw_status *status, void *arg)
{
    struct load *l = arg;
    enum fw_task_state state = fw_status_state(status);

    if (!fw_task_state_is_terminal(state))
        return;
    if (state != FW_TASK_FINISHED)
        bench_fail("task %s is %s: %s", fw_status_task_id(status), fw_task_state_name(state),
                   fw_status_message(status));
    l->finished++;
}

static void on_error(fw_scheduler *s, const char *message, void *arg)
{
    bench_fail("the master says: %s", message);
}

static void run_tasks(struct load *l, unsigned n)
{
    double end = bench_seconds() + TIMEOUT_S;
    struct pollfd p = {.fd = fw_scheduler_fd(l->s), .events = POLLIN};

    l->wanted = n;
    l->launched = l->finished = 0;
    fw_revive(l->s, NULL, 0); /* what was declined for want of work; not subscribed yet: no need */
    while (l->finished < n) {
        if (bench_seconds() > end)
            bench_fail("%u of %u tasks finished, %u launched, after %d s", l->finished, n,
                       l->launched, TIMEOUT_S);
        poll(&p, 1, 1000);
        if (fw_scheduler_dispatch(l->s) < 0)
            bench_fail("the scheduler ended: %s", fw_scheduler_last_error(l->s));
    }
}

static struct costs read_costs(const struct bench_daemon *master, const struct bench_daemon *agent)
{
    return (struct costs){
        .wall = bench_seconds(),
        .master = bench_cpu_us(master->pid),
        .agent = bench_cpu_us(agent->pid),
        .launcher = bench_cpu_us(bench_only_child(agent->pid)),
        .all = bench_all_cpu_us(),
    };
}

static void report(const char *name, unsigned n, struct costs a, struct costs b)
{
    printf("tasks.%s_s %.1f /s\n", name, n / (b.wall - a.wall));
    printf("tasks.%s_master_us %.1f us\n", name, (b.master - a.master) / n);
    printf("tasks.%s_agent_us %.1f us\n", name, (b.agent - a.agent) / n);
    printf("tasks.%s_launcher_us %.1f us\n", name, (b.launcher - a.launcher) / n);
    if (a.all >= 0)
        printf("tasks.%s_cpu_us %.1f us\n", name, (b.all - a.all) / n);
    fflush(stdout);
}

static void bench_mode(const char *name, const char *launcher, const char *isolation, unsigned n)
{
    const struct fw_scheduler_callbacks cb = {
        .size = sizeof(cb), .on_offers = on_offers, .on_update = on_update, .on_error = on_error};
    struct bench_daemon master, agent;
    struct load load = {0};
    fw_info *info = fw_info_new("bench", NULL);

    bench_master(&master);
    bench_agent(&agent, &master, "cpus:6.4;mem:65536;disk:65536;ports:[31000-32000]", launcher,
                isolation);
    if (!info || fw_scheduler_new(master.address, info, &cb, &load, &load.s) < 0)
        bench_fail("no scheduler");
    run_tasks(&load, WARM_UP);
    for (int r = 0; r < RUNS; r++) {
        struct costs before = read_costs(&master, &agent);
        run_tasks(&load, n);
        report(name, n, before, read_costs(&master, &agent));
    }
    fw_scheduler_free(load.s);
    fw_info_free(info);
    bench_stop(&agent);
    bench_stop(&master);
}

int main(void)
{
    bench_open("bench_tasks");
    bench_mode("processes", "posix", "posix/cpu,posix/mem", 1000);
    if (bench_containers_possible())
        bench_mode("containers", "linux", "cgroups/cpu,cgroups/mem,namespaces/pid,filesystem/linux",
                   500);
    bench_close();
    return 0;
}
