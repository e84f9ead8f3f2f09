/* namespaces/pid, namespaces/ipc, namespaces/uts: what a container no longer sees of the machine. */
#include "isolators/stateless.h"

#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>

static const V1__LinuxInfo *linux_info(const struct isolated_container *c)
{
    return c->info ? c->info->linux_info : NULL;
}

STATELESS_CREATE(pid_create, isolator_namespaces_pid, true)
STATELESS_CREATE(ipc_create, isolator_namespaces_ipc, true)
STATELESS_CREATE(uts_create, isolator_namespaces_uts, true)

static int pid_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    const V1__LinuxInfo *li = linux_info(c);

    if (c->root_id &&
        (c->debug || (li && li->has_share_pid_namespace && li->share_pid_namespace))) {
        plan->join |= CLONE_NEWPID;
        return 0;
    }
    if (li && li->has_share_pid_namespace && li->share_pid_namespace) {
        if (stateless_config(i)->disallow_sharing_agent_pid_namespace)
            return fl_err_set(err, FL_FORBIDDEN,
                              "sharing the agent's pid namespace is disallowed by "
                              "--disallow_sharing_agent_pid_namespace");
        return 0;
    }
    plan->clone_flags |= CLONE_NEWPID;
    launch_plan_mount(plan, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0);
    return 0;
}

static int ipc_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    const V1__LinuxInfo *li = linux_info(c);
    const struct isolator_config *config = stateless_config(i);
    bool has_mode = li && li->has_ipc_mode,
         private = has_mode && li->ipc_mode == V1__LINUX_INFO__IPC_MODE__PRIVATE;
    uint64_t size = config->default_container_shm_size;
    char data[64] = "mode=1777";

    if (li && li->has_shm_size && !private)
        return fl_err_set(err, FL_INVALID,
                          "the size of /dev/shm can be given only with the IPC mode PRIVATE");
    if (c->root_id && (c->debug || !private)) {
        if (c->debug && private)
            return fl_err_set(err, FL_INVALID,
                              "a session in a container cannot have the IPC mode PRIVATE");
        plan->join |= CLONE_NEWIPC;
        return 0;
    }
    if (has_mode && li->ipc_mode == V1__LINUX_INFO__IPC_MODE__SHARE_PARENT) {
        if (config->disallow_sharing_agent_ipc_namespace)
            return fl_err_set(err, FL_FORBIDDEN,
                              "sharing the agent's IPC namespace is disallowed by "
                              "--disallow_sharing_agent_ipc_namespace");
        return 0;
    }
    plan->clone_flags |= CLONE_NEWIPC;
    if (!private && !config->disallow_sharing_agent_ipc_namespace)
        return 0; /* the namespace alone, as ever; the machine's /dev/shm */
    if (li && li->has_shm_size)
        size = (uint64_t)li->shm_size << 20;
    if (size)
        fl_snprintf(data, sizeof(data), "mode=1777,size=%" PRIu64, size);
    launch_plan_mount(plan, "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_STRICTATIME,
                      data, 0);
    return 0;
}

static int uts_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    if (c->root_id) {
        plan->join |= CLONE_NEWUTS;
        return 0;
    }
    plan->clone_flags |= CLONE_NEWUTS;
    if (c->info && c->info->hostname)
        launch_plan_string(plan, PLAN_HOSTNAME, c->info->hostname);
    return 0;
}

const struct isolator_ops isolator_namespaces_pid = {
    .name = "namespaces/pid",
    .create = pid_create,
    .free = stateless_free,
    .prepare = pid_prepare,
};
const struct isolator_ops isolator_namespaces_ipc = {
    .name = "namespaces/ipc",
    .create = ipc_create,
    .free = stateless_free,
    .prepare = ipc_prepare,
};
const struct isolator_ops isolator_namespaces_uts = {
    .name = "namespaces/uts",
    .create = uts_create,
    .free = stateless_free,
    .prepare = uts_prepare,
};
