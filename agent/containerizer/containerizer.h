/* The containerizer: runs one process tree a container and keeps its exit status, whatever happens to the agent.
 *
 * Who runs what: the agent's thread calls this API and gets callbacks on its own loop; the *launcher* is a process without threads, forked
 * before the agent starts any, which clones the *shim* (fairlead-shim, one a container) into namespaces and cgroups; the shim is the
 * parent of the container's first process, forwards nothing, keeps stdout and stderr in files of the sandbox, and writes the exit status
 * durably into its runtime folder, so an agent that was away learns it. The core sees only this vtable; the emulator and the simulation have
 * fakes behind it.
 */
#ifndef AGENT_CONTAINERIZER_CONTAINERIZER_H
#define AGENT_CONTAINERIZER_CONTAINERIZER_H

#include "common/base/err.h"
#include "common/base/loop.h"
#include "common/model/resources.h"
#include "isolators/container_usage.h"
#include "proto/agent.pb-c.h"
#include "proto/internal.pb-c.h"

/* What to run. Borrowed for the call.
 *
 * Ids: a container of its own has a name without dots; one nested in it is "parent.name", and so on. A nested one must have a running
 * parent, whose checkpointing it shares; its sandbox is made below the parent's (sandbox NULL), its user is the parent's unless given,
 * it ends with its parent, and it lives in its parent's cgroups and namespaces as far as the isolators say. */
struct container_spec {
    const char *container_id;
    const V1__CommandInfo
        *command; /* what to exec: shell or argv, uris to fetch first, environment */
    const V1__ContainerInfo *container; /* or NULL: volumes, rlimits, linux_info, ... */
    const char *user;                   /* NULL: the agent's */
    const char *sandbox; /* existing folder, owned by user; the working directory; NULL: nested */
    const char *const *env;   /* "NAME=value" that the agent adds (MESOS_...); NULL-terminated */
    const V1__Labels *labels; /* of a command task, or NULL */
    const char *task_id;      /* of a command task; NULL: an executor, or nested, or standalone */
    const struct resources *resources; /* what it may use: requests */
    double cpu_limit,
        mem_limit;   /* TaskInfo.limits: cpus, MB; < 0 = none given, INFINITY = no limit */
    bool checkpoint; /* survives the agent; otherwise killed when the agent dies */
    bool task;       /* a command task, which is its own executor */
    bool standalone; /* no executor's: kept over restarts without being asked for */
    bool
        debug; /* nested: in all namespaces of its parent, with its environment; not kept over restarts */
};

enum container_end_reason {
    CONTAINER_EXITED,        /* by itself or by a signal; status is valid */
    CONTAINER_LAUNCH_FAILED, /* fetch, prepare, exec ... failed; message says what */
    CONTAINER_LIMIT_MEMORY,  /* killed for its memory (OOM); message with usage */
    CONTAINER_LIMIT_DISK,
    CONTAINER_LIMIT_PORTS, /* listened on ports it does not have */
    CONTAINER_DESTROYED,   /* by containerizer_destroy() */
    CONTAINER_LOST,        /* agent was away and nothing can be learnt (reboot) */
};
struct container_end {
    enum container_end_reason reason;
    bool has_status;
    int status;                                   /* wait(2) status */
    const char *message;                          /* or NULL */
    const V1__TaskResourceLimitation *limitation; /* or NULL */
};

struct containerizer_fetch_stats {
    uint64_t succeeded, failed; /* containers whose URIs were, or were not fetched */
    uint64_t cache_total_bytes, cache_used_bytes;
};

struct containerizer;
struct containerizer_callbacks {
    /* The container's first process runs (exec succeeded). */
    void (*started)(void *arg, const char *container_id, pid_t pid);
    /* Once a container; everything of it is gone (all processes, cgroups, mounts). */
    void (*ended)(void *arg, const char *container_id, const struct container_end *end);
    /* After recover(): containers found alive have been reported by `recovered`, ended ones by `ended`. */
    void (*recovered)(void *arg, const char *container_id, pid_t pid);
    void (*recovery_done)(void *arg, const struct fl_err *err_or_null);
    void *arg;
};
struct container_listener {
    /* fd 1 or 2; may be NULL. False: no more until it is attached anew, resumed or taken away. */
    bool (*output)(void *arg, int fd, const void *data, size_t n);
    void (*end)(void *arg);
    void *arg;
    void (*drained)(void *arg); /* or NULL: what was given to it as input has been taken */
};
typedef void containerizer_pruned_f(void *arg, const struct fl_err *err_or_null);
/* Borrowed until the next call. */
struct container_description {
    const char *inspection; /* JSON; NULL: not known */
    const char *ip_address; /* or NULL */
};
struct containerizer_ops {
    /* Starts; the outcome comes by `started` or `ended`. Only an impossible request fails here. */
    int (*launch)(struct containerizer *c, const struct container_spec *spec, struct fl_err *err);
    /* Sends a signal to the container's first process and its process group/session (kill escalation is the core's). */
    int (*signal)(struct containerizer *c, const char *container_id, int signo, struct fl_err *err);
    /* Kills everything in it; `ended` follows with CONTAINER_DESTROYED (or what it was doing). Idempotent. */
    void (*destroy)(struct containerizer *c, const char *container_id);
    /* New amounts for a running container (executor with more tasks). */
    void (*update)(struct containerizer *c, const char *container_id, const struct resources *res,
                   double cpu_limit, double mem_limit);
    int (*usage)(struct containerizer *c, const char *container_id, struct container_usage *out);
    /* Fills pid, cgroup and network parts of the status in the arena. */
    int (*status)(struct containerizer *c, const char *container_id, struct fl_arena *arena,
                  V1__ContainerStatus **ret);
    /* After a restart: `ids` are those the agent still wants; every other container found is destroyed, but for standalone ones and
     * what is nested in one that is wanted, which are reported like those. */
    void (*recover)(struct containerizer *c, const char *const *ids, size_t n);
    /* Forgets the kept exit status of an ended container (its terminal update is acknowledged) and of what was nested in it. */
    void (*forget)(struct containerizer *c, const char *container_id);
    void (*free)(struct containerizer *c); /* containers go on */
    /* Standard input and output of a session or of a container with a terminal. FL_NOT_FOUND: no such container; FL_INTERNAL: it has
     * neither. A listener is told what comes from then on, and once the end, unless it is taken away before. */
    int (*attach)(struct containerizer *c, const char *container_id,
                  const struct container_listener *l, struct fl_err *err);
    void (*detach)(struct containerizer *c, const char *container_id, const void *arg);
    void (*resume)(struct containerizer *c, const char *container_id);
    /* n 0: there is no more. 1: enough for now, go on when the listener is told `drained`. FL_LIMIT: it reads too slowly. */
    int (*input)(struct containerizer *c, const char *container_id, const void *data, size_t n,
                 struct fl_err *err);
    void (*window)(struct containerizer *c, const char *container_id, unsigned rows,
                   unsigned columns);
    /* Optional: who reads a task's status finds there what Docker says of its container. False: it is none of Docker's. Until `ended`
     * has returned. */
    bool (*describe)(struct containerizer *c, const char *container_id,
                     struct container_description *out);
    /* Optional, before recover(): has it a record of this container? */
    bool (*knows)(struct containerizer *c, const char *container_id);
    /* The ids of all that have not ended. */
    void (*each)(struct containerizer *c, void (*fn)(void *arg, const char *container_id),
                 void *arg);
    /* May be NULL. */
    void (*fetch_stats)(const struct containerizer *c, struct containerizer_fetch_stats *out);
    /* Removes the images that neither a container nor `excluded` needs; `done` comes when it returns 0, in the call or later. NULL: has
     * none. */
    int (*prune_images)(struct containerizer *c, const V1__Image *const *excluded, size_t n,
                        containerizer_pruned_f *done, void *arg, struct fl_err *err);
};
struct containerizer {
    const struct containerizer_ops *ops;
};

/* "a.b" as the protocol's message and back; the text is the caller's. */
V1__ContainerID *container_id_pb(struct fl_arena *arena, const char *id);
char *container_id_text(const V1__ContainerID *id);
/* Where the sandbox of a nested container is below that of its root: "containers/a/containers/b"; the caller's. */
char *container_nested_path(const char *id);
/* Opens a folder beneath `root` through no symbolic link; -errno. Any thread. */
int container_open_below(const char *root, const char *path);

/* The deepest nesting, and the longest name of one. */
#define CONTAINER_MAX_DEPTH 32
#define CONTAINER_MAX_NAME  242

struct agent_flags;
/* The real one. launcher_fd comes from launcher_fork(), called in main() before any thread. */
int containerizer_new(struct fl_loop *loop, const struct agent_flags *flags, int launcher_fd,
                      const struct containerizer_callbacks *cb, struct containerizer **ret,
                      struct fl_err *err);
/* What fetches URIs for every containerizer (fetches.h); the real one's, which must be freed after those that use it. */
struct fetches;
struct fetches *containerizer_fetches(struct containerizer *real);
/* Forks the launcher process; returns our end of its socket. */
int launcher_fork(const struct agent_flags *flags, int *ret_fd, struct fl_err *err);

#endif
