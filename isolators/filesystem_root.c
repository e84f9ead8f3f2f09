/* What filesystem/linux asks of the shim for a container with a root file system of its own, or below one that has. */
#include "isolators/filesystem_root.h"

#include <sched.h>
#include <sys/mount.h>

bool filesystem_is_fresh(const struct isolated_container *c)
{
    return c->root_id && !c->debug && (c->rootfs || c->parent_rootfs);
}

void filesystem_plan_shm(struct launch_plan *plan, const char *data)
{
    launch_plan_mount(plan, "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_STRICTATIME,
                      data, 0);
}

/* A container that is in the pid namespace of the agent by its own wish sees the machine anyway. */
static bool is_privileged(const struct isolated_container *c)
{
    const V1__LinuxInfo *li = c->info ? c->info->linux_info : NULL;

    return !c->root_id && li && li->has_share_pid_namespace && li->share_pid_namespace;
}

static bool has_network(const struct isolated_container *c)
{
    for (size_t i = 0; c->info && i < c->info->n_network_infos; i++) {
        if (c->info->network_infos[i]->name && *c->info->network_infos[i]->name)
            return true;
    }
    return false;
}

/* network/cni makes those of the containers that have a network of their own. */
static void plan_names(const struct isolated_container *c, struct launch_plan *plan)
{
    static const char *const files[] = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"};

    for (size_t i = 0; i < ARRAY_SIZE(files) && !has_network(c); i++) {
        if (c->root_id)
            launch_plan_borrow(plan, PLAN_BORROW_MOUNT, files[i], files[i]);
        else
            launch_plan_etc_file(plan, files[i], files[i]);
    }
}

void filesystem_plan_root(const struct isolator_config *config, const struct isolated_container *c,
                          struct launch_plan *plan)
{
    launch_plan_string(plan, PLAN_ROOTFS, c->rootfs);
    launch_plan_string(plan, PLAN_SANDBOX_TARGET, config->sandbox_directory);
    launch_plan_string(plan, PLAN_DIRECTORY, config->sandbox_directory);
    if (!is_privileged(c))
        plan->flags |= PLAN_MASK;
    if (!strstr(config->isolation, "namespaces/ipc"))
        filesystem_plan_shm(plan, "mode=1777");
    plan_names(c, plan);
}

void filesystem_plan_fresh(const struct isolator_config *config, const struct isolated_container *c,
                           struct launch_plan *plan)
{
    plan->clone_flags |= CLONE_NEWNS;
    launch_plan_borrow(plan, PLAN_BORROW_SANDBOX,
                       c->parent_rootfs ? config->sandbox_directory : c->parent_sandbox,
                       c->parent_sandbox);
}
