/* The workers' numbers, added up. See supervisor.h. */
#include "emulator/supervisor.h"
#include "emulator/usage.h"

struct emu_worker_stats *emu_supervisor_stats(struct emu_supervisor *s, unsigned worker)
{
    return emu_stats_at(s->stats, s->kit->cluster->n_groups, worker);
}

double emu_supervisor_age(struct emu_supervisor *s)
{
    return (double)(fl_loop_now_us(s->loop) - s->began_us) / 1e6;
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
    struct emu_usage u;

    emu_usage_self(&u);
    *t = (struct emu_totals){.master = "", .cpu_s = (double)u.cpu_us / 1e6};
    for (unsigned i = 0; i < s->n_workers; i++) {
        const struct emu_worker_stats *w = emu_supervisor_stats(s, i);

        emu_usage_read(s->workers[i]->pid, false, &u);
        t->cpu_s += (double)u.cpu_us / 1e6;
        t->rss_kb += u.rss / 1024;
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
