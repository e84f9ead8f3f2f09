/* namespaces/pid, namespaces/ipc, namespaces/uts: what a container no longer sees of the machine. */
#include "isolators/filesystem_root.h"
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
        if (filesystem_is_fresh(c))
            launch_plan_borrow(plan, PLAN_BORROW_MOUNT, "/proc", "/proc");
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
    if (!c->rootfs) /* which has one */
        launch_plan_mount(plan, "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, 0);
    return 0;
}

/* The size of a /dev/shm of its own as an option of tmpfs. */
static void shm_data(const struct isolator_config *config, const V1__LinuxInfo *li, char data[64])
{
    uint64_t size =
        li && li->has_shm_size ? (uint64_t)li->shm_size << 20 : config->default_container_shm_size;

    if (size)
        fl_snprintf(data, 64, "mode=1777,size=%" PRIu64, size);
    else
        fl_snprintf(data, 64, "mode=1777");
}

/* Of the parent's namespace; a container with a root has a /dev/shm of its own unless it asks for its parent's. */
static void ipc_join(const struct isolated_container *c, bool share, struct launch_plan *plan)
{
    plan->join |= CLONE_NEWIPC;
    if (share && filesystem_is_fresh(c))
        launch_plan_borrow(plan, PLAN_BORROW_MOUNT, "/dev/shm", "/dev/shm");
    else if (c->rootfs)
        filesystem_plan_shm(plan, "mode=1777");
}

static int ipc_of_agent(const struct isolator_config *config, const struct isolated_container *c,
                        struct launch_plan *plan, struct fl_err *err)
{
    if (config->disallow_sharing_agent_ipc_namespace)
        return fl_err_set(err, FL_FORBIDDEN,
                          "sharing the agent's IPC namespace is disallowed by "
                          "--disallow_sharing_agent_ipc_namespace");
    if (c->rootfs)
        launch_plan_mount(plan, "/dev/shm", "/dev/shm", NULL, MS_BIND, NULL, 0);
    return 0;
}

static int ipc_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    const V1__LinuxInfo *li = linux_info(c);
    const struct isolator_config *config = stateless_config(i);
    bool has_mode = li && li->has_ipc_mode,
         private = has_mode && li->ipc_mode == V1__LINUX_INFO__IPC_MODE__PRIVATE,
         share = has_mode && li->ipc_mode == V1__LINUX_INFO__IPC_MODE__SHARE_PARENT;
    char data[64];

    if (li && li->has_shm_size && !private)
        return fl_err_set(err, FL_INVALID,
                          "the size of /dev/shm can be given only with the IPC mode PRIVATE");
    if (c->debug && private)
        return fl_err_set(err, FL_INVALID,
                          "a session in a container cannot have the IPC mode PRIVATE");
    if (c->root_id && !private) {
        ipc_join(c, share, plan);
        return 0;
    }
    if (share)
        return ipc_of_agent(config, c, plan, err);
    plan->clone_flags |= CLONE_NEWIPC;
    if (!private && !c->rootfs && !config->disallow_sharing_agent_ipc_namespace)
        return 0; /* the namespace alone, as ever; the machine's /dev/shm */
    shm_data(config, li, data);
    filesystem_plan_shm(plan, data);
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
