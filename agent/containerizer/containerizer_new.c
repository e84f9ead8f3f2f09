/* The containerizer is made: its settings from the agent's flags, then each of its parts. */
#include "agent/containerizer/containerizer_priv.h"

#include <errno.h>
#include <pwd.h>

#include "common/base/json.h"

/* Once, at the start: name services may block. */
static char *own_user_name(void)
{
    struct passwd pw, *found = NULL;
    char buf[4096];

    if (getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) != 0 || !found)
        return NULL;
    return xstrdup(pw.pw_name);
}

static struct isolator_config config_of(const struct agent_flags *f)
{
    return (struct isolator_config){
        .launcher = f->launcher      ? f->launcher
                    : geteuid() == 0 ? "linux"
                                     : "posix",
        .isolation = f->isolation,
        .sandbox_directory = f->sandbox_directory,
        .secret_resolver = f->secret_resolver,
        .modules = f->modules,
        .modules_dir = f->modules_dir,
        .work_dir = f->work_dir,
        .runtime_dir = f->runtime_dir,
        .launcher_dir = f->launcher_dir,
        .network_cni_plugins_dir = f->network_cni_plugins_dir,
        .network_cni_config_dir = f->network_cni_config_dir,
        .network_cni_root_dir_persist = f->network_cni_root_dir_persist,
        .network_cni_metrics = f->network_cni_metrics,
        .default_container_dns = f->default_container_dns,
        .cgroups_hierarchy = f->cgroups_hierarchy,
        .cgroups_root = f->cgroups_root,
        .cgroups_enable_cfs = f->cgroups_enable_cfs,
        .cgroups_limit_swap = f->cgroups_limit_swap,
        .cgroups_cpu_enable_pids_and_tids_count = f->cgroups_cpu_enable_pids_and_tids_count,
        .cgroups_net_cls_primary_handle = f->cgroups_net_cls_primary_handle,
        .cgroups_net_cls_secondary_handles = f->cgroups_net_cls_secondary_handles,
        .perf_events = f->perf_events,
        .perf_interval = f->perf_interval,
        .perf_duration = f->perf_duration,
        .revocable_cpu_low_priority = f->revocable_cpu_low_priority,
        .disallow_sharing_agent_pid_namespace = f->disallow_sharing_agent_pid_namespace,
        .disallow_sharing_agent_ipc_namespace = f->disallow_sharing_agent_ipc_namespace,
        .enforce_container_disk_quota = f->enforce_container_disk_quota,
        .docker_ignore_runtime = f->docker_ignore_runtime,
        .container_disk_watch_interval = f->container_disk_watch_interval,
        .default_container_shm_size = f->default_container_shm_size,
        .host_path_volume_force_creation = f->host_path_volume_force_creation,
        .allowed_devices = f->allowed_devices,
        .resources = f->resources,
        .default_role = f->default_role,
        .enforce_container_ports = f->enforce_container_ports,
        .check_agent_port_range_only = f->check_agent_port_range_only,
        .container_ports_isolated_range = f->container_ports_isolated_range,
        .container_ports_watch_interval = f->container_ports_watch_interval,
        .disk_watch_interval = f->disk_watch_interval,
        .nvidia_gpu_devices = f->nvidia_gpu_devices,
        .nvml_library = f->nvml_library,
        .nvidia_device_dir = f->nvidia_device_dir,
        .xfs_project_range = f->xfs_project_range,
        .xfs_kill_containers = f->xfs_kill_containers,
        .xfs_quota_headroom = f->xfs_quota_headroom,
        .effective_capabilities = f->effective_capabilities,
        .bounding_capabilities = f->bounding_capabilities,
        .seccomp_config_dir = f->seccomp_config_dir,
        .seccomp_profile_name = f->seccomp_profile_name,
        .ready = container_ready,
    };
}

static int read_default_info(struct real_containerizer *cz, struct fl_err *err)
{
    const char *json = cz->flags->default_container_info;
    ProtobufCMessage *m = NULL;

    if (!json)
        return 0;
    int r = fl_json_to_pb(json, strlen(json), &v1__container_info__descriptor, 0, NULL, &m, err);
    if (r < 0)
        return fl_err_wrap(err, "--default_container_info");
    cz->default_info = (V1__ContainerInfo *)m;
    return 0;
}

static int fill(struct real_containerizer *cz, int launcher_fd, struct fl_err *err)
{
    const struct agent_flags *flags = cz->flags;

    cz->config = config_of(flags);
    cz->config.ready_arg = cz;
    cz->inherited_env = inherited_environment(flags, err);
    if (!cz->inherited_env)
        return err ? err->code : -EINVAL;
    int r = container_logs_init(&cz->logs, flags, err);
    if (r == 0)
        r = runtime_dir_prepare(flags->runtime_dir, err);
    if (r == 0)
        r = read_default_info(cz, err);
    if (r == 0)
        r = isolators_create(cz->loop, &cz->config, flags->isolation, container_limit, cz,
                             &cz->isolators, &cz->n_isolators, err);
    if (r == 0)
        r = provisioner_new(cz->loop, flags, &cz->provisioner, err);
    if (r == 0)
        r = launcher_client_new(cz->loop, launcher_fd, flags->max_parallel_launches, &cz->launcher,
                                err);
    if (r == 0)
        cz->fetches = fetches_new(cz->loop, flags, cz->own_user, cz->launcher);
    return r;
}

int containerizer_new(struct fl_loop *loop, const struct agent_flags *flags, int launcher_fd,
                      const struct containerizer_callbacks *cb, struct containerizer **ret,
                      struct fl_err *err)
{
    struct real_containerizer *cz = xnew0(struct real_containerizer);
    struct fl_err ignored;

    cz->base.ops = &containerizer_real_ops;
    cz->magic = CONTAINERIZER_MAGIC;
    cz->loop = loop;
    cz->flags = flags;
    cz->cb = *cb;
    cz->own_user = own_user_name();
    int r = fill(cz, launcher_fd, err ? err : &ignored);
    if (r < 0) {
        cz->base.ops->free(&cz->base);
        return r;
    }
    *ret = &cz->base;
    return 0;
}
