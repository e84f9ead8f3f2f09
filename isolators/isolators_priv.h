/* The isolators there are; rows of the table in isolators.c. */
#ifndef ISOLATORS_ISOLATORS_PRIV_H
#define ISOLATORS_ISOLATORS_PRIV_H

#include "isolators/isolator.h"
#include "isolators/launch_plan.h"

extern const struct isolator_ops isolator_posix_cpu, isolator_posix_mem, isolator_posix_rlimits;
extern const struct isolator_ops isolator_filesystem_posix, isolator_filesystem_linux;
extern const struct isolator_ops isolator_namespaces_pid, isolator_namespaces_ipc,
    isolator_namespaces_uts;
extern const struct isolator_ops isolator_volume_host_path, isolator_volume_sandbox_path,
    isolator_volume_image, isolator_volume_secret;
extern const struct isolator_ops isolator_environment_secret;
extern const struct isolator_ops isolator_disk_du, isolator_disk_xfs, isolator_network_ports;
extern const struct isolator_ops isolator_network_cni;
extern const struct isolator_ops isolator_cgroups_cpu, isolator_cgroups_mem, isolator_cgroups_pids;
extern const struct isolator_ops isolator_cgroups_cpuset, isolator_cgroups_blkio,
    isolator_cgroups_devices, isolator_cgroups_hugetlb, isolator_cgroups_net_cls,
    isolator_cgroups_net_prio, isolator_cgroups_perf_event;
extern const struct isolator_ops isolator_linux_launcher;
extern const struct isolator_ops isolator_docker_runtime;
extern const struct isolator_ops isolator_linux_capabilities, isolator_linux_devices,
    isolator_linux_nnp, isolator_linux_seccomp;
extern const struct isolator_ops isolator_gpu_nvidia;

#endif
