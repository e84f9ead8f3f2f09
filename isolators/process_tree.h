/* What a process and all its descendants use, read from /proc. For containers without cgroups. */
#ifndef ISOLATORS_PROCESS_TREE_H
#define ISOLATORS_PROCESS_TREE_H

#include <stdint.h>
#include <sys/types.h>

struct tree_usage {
    uint32_t processes, threads;
    double user_s, system_s; /* with those of children that were waited for */
    uint64_t rss_bytes;
};

/* Calls fn with each descendant of `root`, not with itself; at most 10,000. */
void process_tree_each(pid_t root, void (*fn)(pid_t pid, void *arg), void *arg);

/* The descendants of `root`, without itself (the shim is not the task's). 0, or -ESRCH when there is no such process. Looks at no
 * more than 10,000 processes. */
int process_tree_usage(pid_t root, struct tree_usage *out);

#endif
