/* An isolator: one resource or namespace of a container behind one vtable (features.md 5.1; names are the reference's). Each is a file;
 * the table of all is isolators.c. They run in two places:
 *   prepare / cleanup / update / usage / watch  on the agent's thread, may touch cgroup files and must not block for long;
 *   what must happen inside the new container (mounts, rlimits, capabilities) is written by prepare into `struct launch_plan`, which
 *   the launcher carries out between clone and exec.
 */
#ifndef ISOLATORS_ISOLATOR_H
#define ISOLATORS_ISOLATOR_H

#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/loop.h"
#include "common/model/resources.h"

struct agent_flags;
struct container_usage;
struct launch_plan; /* isolators/launch_plan.h: namespaces, cgroups to join, mounts, rlimits, environment */

/* What an isolator is told of a container. */
struct isolated_container {
    const char *id;
    const char *sandbox;
    const char *user;
    const V1__ContainerInfo *info; /* or NULL */
    const struct resources *resources;
    double cpu_limit, mem_limit; /* as in container_spec */
};
/* The container must be destroyed: its limit was hit. */
typedef void isolator_limit_f(void *arg, const char *container_id, const V1__TaskResourceLimitation *limitation);

struct isolator; /* begins with its ops */
struct isolator_ops {
    const char *name; /* "cgroups/mem" */
    /* Checks the kernel has what it needs; FL_UNSUPPORTED says what is missing and what to do. */
    int (*create)(struct fl_loop *loop, const struct agent_flags *flags, isolator_limit_f *limit, void *arg,
                  struct isolator **ret, struct fl_err *err);
    void (*free)(struct isolator *i);
    int (*prepare)(struct isolator *i, const struct isolated_container *c, struct launch_plan *plan, struct fl_err *err);
    int (*isolate)(struct isolator *i, const char *container_id, pid_t pid, struct fl_err *err);     /* optional */
    int (*recover)(struct isolator *i, const struct isolated_container *c, pid_t pid, struct fl_err *err); /* optional */
    int (*update)(struct isolator *i, const struct isolated_container *c, struct fl_err *err);       /* optional */
    int (*usage)(struct isolator *i, const char *container_id, struct container_usage *out);         /* optional */
    void (*cleanup)(struct isolator *i, const char *container_id);                                   /* optional; idempotent */
};
struct isolator {
    const struct isolator_ops *ops;
};

const struct isolator_ops *isolator_find(const char *name);
/* Parses --isolation: order of features.md 5.1, adds what others need, refuses contradictions. */
int isolators_create(struct fl_loop *loop, const struct agent_flags *flags, const char *isolation,
                     isolator_limit_f *limit, void *arg, struct isolator ***ret, size_t *ret_n, struct fl_err *err);

#endif
