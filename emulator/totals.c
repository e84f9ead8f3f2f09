/* The workers' numbers, added up. See supervisor.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

#include "emulator/supervisor.h"

struct emu_worker_stats *emu_supervisor_stats(struct emu_supervisor *s, unsigned worker)
{
    return emu_stats_at(s->stats, s->kit->cluster->n_groups, worker);
}

double emu_supervisor_age(struct emu_supervisor *s)
{
    return (double)(fl_loop_now_us(s->loop) - s->began_us) / 1e6;
}

/* The n-th number after `skip`, from 0, of a line of numbers. */
static uint64_t field(const char *p, unsigned n)
{
    uint64_t v = 0;

    for (; n > 0 && *p; n--) {
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
    for (; *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    return v;
}

void emu_process_usage(pid_t pid, double *ret_cpu_s, uint64_t *ret_rss_kb)
{
    /* Fields after the name, which is in brackets and may hold anything: utime, stime, rss in pages (proc(5)). */
    enum { UTIME = 12, STIME = 13, RSS = 22 };
    _cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[1024];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *p;

    *ret_cpu_s = 0;
    *ret_rss_kb = 0;
    if (n <= 0)
        return;
    text[n] = '\0';
    p = strrchr(text, ')');
    if (!p)
        return;
    *ret_cpu_s = (double)(field(p, UTIME) + field(p, STIME)) / (double)sysconf(_SC_CLK_TCK);
    *ret_rss_kb = field(p, RSS) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

void emu_supervisor_group(struct emu_supervisor *s, size_t group, struct emu_group_stats *t)
{
    *t = (struct emu_group_stats){0};
    for (unsigned i = 0; i < s->n_workers; i++) {
        const struct emu_group_stats *g = &emu_supervisor_stats(s, i)->groups[group];

        t->agents += g->agents;
        t->registered += g->registered;
        t->running += g->running;
        for (unsigned k = 0; k < EMU_N_FAULTS; k++)
            t->faults[k] += g->faults[k];
    }
}

void emu_supervisor_totals(struct emu_supervisor *s, struct emu_totals *t)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    *t = (struct emu_totals){.master = ""};
    t->cpu_s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    for (unsigned i = 0; i < s->n_workers; i++) {
        const struct emu_worker_stats *w = emu_supervisor_stats(s, i);
        uint64_t rss_kb;
        double cpu_s;

        emu_process_usage(s->workers[i]->pid, &cpu_s, &rss_kb);
        t->cpu_s += cpu_s;
        t->rss_kb += rss_kb;
        t->agents += w->agents;
        t->registered += w->registered;
        t->disconnects += w->disconnects;
        t->restarts += w->restarts;
        t->finished += w->finished;
        t->failed += w->failed;
        t->killed += w->killed;
        if (*w->master)
            t->master = w->master;
    }
    for (size_t i = 0; i < s->kit->cluster->n_groups; i++) {
        struct emu_group_stats g;

        emu_supervisor_group(s, i, &g);
        t->running += g.running;
        for (unsigned k = 0; k < EMU_N_FAULTS; k++)
            t->faults[k] += g.faults[k];
    }
}
