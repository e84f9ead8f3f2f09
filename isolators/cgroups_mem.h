/* cgroups/mem in two files: what is asked for and set (cgroups_mem.c), and the kernel's word that a container ran out
 * (cgroups_mem_oom.c). */
#ifndef ISOLATORS_CGROUPS_MEM_H
#define ISOLATORS_CGROUPS_MEM_H

#include "isolators/cgroup_isolator.h"
#include "isolators/id_map.h"
#include "isolators/mem_pressure.h"

#define MEGA     ((uint64_t)1 << 20)
#define NO_LIMIT UINT64_MAX

struct mem_isolator {
    struct cgroup_isolator cg; /* first */
    struct fl_loop *loop;
    isolator_limit_f *limit;
    void *limit_arg;
    bool limit_swap;
    struct id_map entries;
    size_t n_pressure, most_pressure; /* containers whose pressure is counted */
    size_t n_events, most_events;     /* v1: containers with an eventfd */
    size_t n_swept;                   /* v1: those without */
    struct id_entry *sweep_next;      /* NULL: from the beginning */
    struct fl_timer *sweep;
    int inotify; /* v2; -EBADF */
    struct fl_watch *inotify_watch;
};

struct mem_entry {
    struct id_entry id; /* first */
    struct mem_isolator *mem;
    uint64_t soft, hard; /* as set */
    bool burstable;      /* its processes go first when the machine runs out */
    struct mem_pressure pressure;
    int event;  /* v1: eventfd; v2: watch number */
    bool swept; /* v1: there is none */
    struct fl_watch *watch;
    struct fl_timer *again; /* v1: between the kernel's notice and its counting of the kill */
    uint64_t wait_us;
};

/* Begins to watch for the kernel's kills, and how the watch over all of version 2 is told of them. */
int mem_watch(struct mem_isolator *m, struct mem_entry *e, struct fl_err *err);
void mem_on_inotify(int fd, bool readable, bool writable, void *arg);
/* Reports it when the kernel has killed for memory; true when it did. */
bool mem_look(struct mem_entry *e);
/* Stops watching and forgets the entry. */
void mem_entry_drop(struct mem_isolator *m, struct mem_entry *e);

#endif
