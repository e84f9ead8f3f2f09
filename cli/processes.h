/* The processes that `fairlead up` started, remembered in <dir>/pids as lines "pid starttime name". A process is known by its pid
 * and the time it started, so a recycled pid is never taken for one of ours. */
#ifndef CLI_PROCESSES_H
#define CLI_PROCESSES_H

#include <sys/types.h>

#include "common/base/err.h"

struct process {
    pid_t pid;
    uint64_t start; /* clock ticks since boot: field 22 of /proc/PID/stat */
    char name[32];
    bool told; /* that it died */
};
struct processes {
    struct process *items;
    size_t n, cap;
};
int processes_add(struct processes *p, pid_t pid, const char *name, const char *dir,
                  struct fl_err *err);
const char *processes_first_dead(const struct processes *p); /* name, or NULL; borrowed */
/* One that died and was not told before, or NULL. */
const char *processes_next_dead(struct processes *p);
bool processes_running(const char *dir);
/* Agents first, then the master: SIGTERM, and SIGKILL after ten seconds. What containers of the agents are left is ended by them. */
void processes_stop(const char *dir);
/* Somebody is in processes_stop() for them. */
bool processes_being_stopped(const char *dir);
void processes_done(struct processes *p);

#endif
