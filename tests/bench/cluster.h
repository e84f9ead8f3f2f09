/* Real daemons for benchmarks: a master, and agents if wanted, of the build this benchmark belongs to, on free ports of 127.0.0.1, with
 * their folders and logs below one temporary folder that is removed at the end. Whatever fails ends the benchmark with a line that
 * says what, and the daemons with it. */
#ifndef TESTS_BENCH_CLUSTER_H
#define TESTS_BENCH_CLUSTER_H

#include <sys/types.h>

#include "common/base/util.h"

struct bench_daemon {
    pid_t pid;
    uint16_t port;
    char address[32]; /* 127.0.0.1:port */
};

/* Once, before anything else. With CPU accounting by cgroups (v1, root) this process and all it starts are counted together. */
void bench_open(const char *name);
/* Ends what runs, removes the folder. */
void bench_close(void);
_Noreturn void bench_fail(const char *fmt, ...) _printf_(1, 2);

void bench_master(struct bench_daemon *d);
/* `resources` as --resources; launcher and isolation as the flags. */
void bench_agent(struct bench_daemon *d, const struct bench_daemon *master, const char *resources,
                 const char *launcher, const char *isolation);
void bench_stop(struct bench_daemon *d);
bool bench_containers_possible(void); /* root, and cgroups v1 that may be written */

double bench_seconds(void);        /* monotonic */
double bench_cpu_us(pid_t pid);    /* of a process and its threads, kernel included */
double bench_rss_bytes(pid_t pid); /* resident now */
double bench_all_cpu_us(void);     /* of everything but this process; negative: unknown */
pid_t bench_only_child(pid_t pid); /* the agent's launcher */

#endif
