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
#include "isolators/container_usage.h"
#include "isolators/image_config.h"

struct
    launch_plan; /* isolators/launch_plan.h: namespaces, cgroups to join, mounts, rlimits, environment */

/* What an isolator that needs time calls when it is done, once: err NULL when it is well. Not from within prepare(). */
typedef void isolator_ready_f(void *arg, const char *container_id,
                              const struct fl_err *err_or_null);
#define ISOLATOR_WAIT 1

/* The agent's flags as far as isolators go by them; named as the flags. Borrowed for the isolators' life. */
struct isolator_config {
    const char *launcher;                                /* "linux" or "posix" */
    const char *isolation;                               /* the flag as it was given */
    const char *secret_resolver, *modules, *modules_dir; /* each may be NULL */
    const char *sandbox_directory; /* where a root file system shows the sandbox */
    const char *work_dir, *cgroups_hierarchy, *cgroups_root;
    bool cgroups_enable_cfs, cgroups_limit_swap, revocable_cpu_low_priority;
    bool cgroups_cpu_enable_pids_and_tids_count;
    const char *cgroups_net_cls_primary_handle, *cgroups_net_cls_secondary_handles; /* or NULL */
    const char *perf_events;                                                        /* or NULL */
    uint64_t perf_interval, perf_duration; /* microseconds */
    bool disallow_sharing_agent_pid_namespace, disallow_sharing_agent_ipc_namespace;
    bool enforce_container_disk_quota, docker_ignore_runtime;
    uint64_t container_disk_watch_interval; /* microseconds */
    uint64_t default_container_shm_size;    /* bytes; 0: the system's */
    isolator_ready_f *ready; /* with ready_arg, for those whose prepare() returned ISOLATOR_WAIT */
    void *ready_arg;
    const char *host_path_volume_force_creation; /* or NULL */
    const char *allowed_devices;                 /* JSON, or NULL */
    const char *resources, *default_role;        /* resources: or NULL */
    bool enforce_container_ports, check_agent_port_range_only;
    const char *container_ports_isolated_range;                   /* or NULL */
    uint64_t container_ports_watch_interval, disk_watch_interval; /* microseconds */
    const char *nvidia_gpu_devices;                               /* or NULL */
    const char *nvml_library, *nvidia_device_dir;
    const char *xfs_project_range;
    bool xfs_kill_containers;
    uint64_t xfs_quota_headroom;                                /* bytes */
    const char *effective_capabilities, *bounding_capabilities; /* JSON, or NULL */
    const char *seccomp_config_dir, *seccomp_profile_name;      /* or NULL */
    const char *runtime_dir, *launcher_dir;                     /* launcher_dir: or NULL */
    const char *network_cni_plugins_dir, *network_cni_config_dir,
        *default_container_dns; /* or NULL */
    bool network_cni_root_dir_persist, network_cni_metrics;
};

/* What an isolator is told of a container. */
struct isolated_container {
    const char *id;             /* "root.child" when nested */
    const char *root_id;        /* nested, else NULL */
    const char *parent_sandbox; /* nested, else NULL */
    const char *parent_rootfs;  /* nested, and its parent has one, else NULL */
    const char *root_sandbox;   /* nested, else NULL: its own lies below it */
    bool debug;                 /* nested, and in all namespaces of its parent */
    bool is_task;               /* a command task, which is its own executor */
    bool shares_cgroups;        /* nested, and in the cgroups of what it is nested in */
    const char *cgroup_id;      /* in whose cgroups it is: its own id unless it shares */
    const char *sandbox;
    const char *user;
    const V1__ContainerInfo *info; /* or NULL */
    const struct resources *resources;
    double cpu_limit, mem_limit;    /* as in container_spec */
    const V1__CommandInfo *command; /* NULL after a restart */
    /* Of images; all NULL when there are none, and after a restart but for rootfs. */
    const char *rootfs;               /* the container's own root, absolute; NULL: the machine's */
    const struct image_config *image; /* of rootfs */
    const char *const *volume_roots;  /* beside info->volumes: the root of the image, or NULL */
    /* Only in recover(): the plan it was launched by; plan_find() finds what an isolator wrote there. NULL, 0: none. */
    const char *plan;
    size_t plan_len;
};
enum isolator_limit { ISOLATOR_LIMIT_MEMORY, ISOLATOR_LIMIT_DISK, ISOLATOR_LIMIT_PORTS };
/* The container must be destroyed: its limit was hit. `message` has the usage; both are borrowed for the call. */
typedef void isolator_limit_f(void *arg, const char *container_id, enum isolator_limit limit,
                              const char *message, const V1__TaskResourceLimitation *limitation);

struct isolator; /* begins with its ops */
struct isolator_ops {
    const char *name; /* "cgroups/mem" */
    /* Checks the kernel has what it needs; FL_UNSUPPORTED says what is missing and what to do. */
    int (*create)(struct fl_loop *loop, const struct isolator_config *config,
                  isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err);
    void (*free)(struct isolator *i);
    /* Optional. ISOLATOR_WAIT: it goes on by itself (a program runs, ...) and calls config->ready; the isolators after it are asked only
     * then, and `plan` stays valid until then. It must limit its time; a container that is destroyed meanwhile waits for it. */
    int (*prepare)(struct isolator *i, const struct isolated_container *c, struct launch_plan *plan,
                   struct fl_err *err);
    int (*isolate)(struct isolator *i, const char *container_id, pid_t pid,
                   struct fl_err *err); /* optional */
    int (*recover)(struct isolator *i, const struct isolated_container *c, pid_t pid,
                   struct fl_err *err); /* optional */
    int (*update)(struct isolator *i, const struct isolated_container *c,
                  struct fl_err *err); /* optional */
    int (*usage)(struct isolator *i, const char *container_id,
                 struct container_usage *out); /* optional */
    /* Optional. The container ended by itself: the last chance to report a limit (before or after the kernel's own event). */
    void (*exited)(struct isolator *i, const char *container_id);
    /* Optional. Its processes are gone or dying; kills what is left. Idempotent: -EAGAIN means not all is gone yet, call again. */
    int (*cleanup)(struct isolator *i, const char *container_id);
    /* Optional. Recovery: the ids of containers it finds are passed to `found`. */
    void (*orphans)(struct isolator *i, void (*found)(void *arg, const char *container_id),
                    void *arg);
    /* Optional. Fills its part of the status (cgroup_info, ...) from the arena. */
    void (*status)(struct isolator *i, const char *container_id, struct fl_arena *arena,
                   V1__ContainerStatus *status);
};
struct isolator {
    const struct isolator_ops *ops;
};

/* Of a nested container, that in which it is; the caller's. */
static inline char *isolated_parent_id(const struct isolated_container *c)
{
    return xstrndup(c->id, (size_t)(strrchr(c->id, '.') - c->id));
}

const struct isolator_ops *isolator_find(const char *name);
/* Parses --isolation: order of features.md 5.1, adds what others need, refuses contradictions. */
int isolators_create(struct fl_loop *loop, const struct isolator_config *config,
                     const char *isolation, isolator_limit_f *limit, void *arg,
                     struct isolator ***ret, size_t *ret_n, struct fl_err *err);

#endif
