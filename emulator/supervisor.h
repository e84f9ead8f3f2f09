/* The process that the user starts: it forks the workers, which carry the agents, gathers their numbers, takes commands (control.c) and
 * ends all of them together. One thread, no agent. A worker that dies is an error that ends the whole, not something to put right in
 * silence: its agents would come back without their tasks. */
#ifndef EMULATOR_SUPERVISOR_H
#define EMULATOR_SUPERVISOR_H

#include <sys/types.h>

#include "common/base/loop.h"
#include "emulator/shared.h"

struct emu_control;
struct emu_supervisor;

struct emu_worker {
    struct emu_supervisor *s;
    pid_t pid; /* 0: ended */
    int fd;
    struct fl_watch *watch;
};
struct emu_supervisor {
    const struct emu_kit *kit;
    struct emu_roster *roster;
    void *stats;
    sigset_t mask;                               /* as it was found: for workers */
    struct emu_worker *workers[EMU_MAX_WORKERS]; /* owned */
    unsigned n_workers;
    size_t capacity; /* agents of a worker */
    struct fl_loop *loop;
    int signal_fd;
    struct fl_watch *signals;
    struct fl_timer *report_timer, *end_timer;
    struct emu_control *control;
    uint64_t began_us, commands;
    bool told, ending;
    int status;
    struct fl_err why; /* status below 0 */
};

/* Until SIGTERM or SIGINT. */
int emu_supervise(const struct emu_cluster *cluster, const struct emu_options *options,
                  struct fl_err *err);
/* To all workers. *ret_n: how many nodes it concerns. Errors are the user's: nothing has changed. */
int emu_supervisor_command(struct emu_supervisor *s, const struct emu_command *c, uint64_t *ret_n,
                           struct fl_err *err);

struct emu_totals {
    uint64_t agents, registered, running, disconnects, restarts, finished, failed, killed;
    uint64_t faults[EMU_N_FAULTS];
    double cpu_s;
    uint64_t rss_kb; /* of all workers; what they share counts in each */
    const char *master;
};
void emu_supervisor_totals(struct emu_supervisor *s, struct emu_totals *t);
void emu_supervisor_group(struct emu_supervisor *s, size_t group, struct emu_group_stats *t);
struct emu_worker_stats *emu_supervisor_stats(struct emu_supervisor *s, unsigned worker);
double emu_supervisor_age(struct emu_supervisor *s); /* seconds */

/* ---- control.c ---- */
int emu_control_new(struct emu_supervisor *s, const char *address, struct emu_control **ret,
                    struct fl_err *err);
void emu_control_free(struct emu_control *c);

#endif
