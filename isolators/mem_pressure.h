/* How often a version 1 memory group came under pressure: low, medium, critical. The kernel adds up in a descriptor a level, which is
 * read when somebody asks; nobody is woken. */
#ifndef ISOLATORS_MEM_PRESSURE_H
#define ISOLATORS_MEM_PRESSURE_H

#include "isolators/cgroup.h"

struct mem_pressure {
    bool open;
    int fd[3];
    uint64_t count[3];
};

/* How many groups may be watched, so that most of the limit of open files is left for the rest: by three descriptors each, and, for
 * what the kernel kills, by one. */
size_t mem_pressure_most(void);
size_t mem_events_most(void);
/* Without success it stays closed. */
void mem_pressure_open(struct mem_pressure *p, const struct cgroup_room *r, const char *id);
void mem_pressure_read(struct mem_pressure *p);
void mem_pressure_close(struct mem_pressure *p);

#endif
