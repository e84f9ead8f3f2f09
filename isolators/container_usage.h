/* What a container uses and may use; filled by the isolators, each its part. Seconds and bytes; sums since the container began. */
#ifndef ISOLATORS_CONTAINER_USAGE_H
#define ISOLATORS_CONTAINER_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct container_usage {
    double timestamp, cpus_limit, cpus_user_s, cpus_system_s;
    uint64_t mem_limit_bytes, mem_soft_limit_bytes, mem_rss_bytes, mem_cache_bytes, mem_total_bytes;
    uint32_t processes, threads;
    uint64_t cpus_nr_periods, cpus_nr_throttled;
    double cpus_throttled_s;
    uint64_t disk_limit_bytes, disk_used_bytes;
    bool has_cfs, has_disk;
};

#endif
