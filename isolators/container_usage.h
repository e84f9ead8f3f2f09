/* What a container uses and may use; filled by the isolators, each its part. Seconds and bytes; sums since the container began. What is
 * pointed to belongs to the isolator and holds until the next call of usage() or turn of the loop. */
#ifndef ISOLATORS_CONTAINER_USAGE_H
#define ISOLATORS_CONTAINER_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mesos.pb-c.h"

enum io_op { IO_TOTAL, IO_READ, IO_WRITE, IO_SYNC, IO_ASYNC, IO_DISCARD, IO_OPS };
struct io_usage {
    bool is_total; /* of all devices, which has no numbers */
    uint32_t major, minor;
    uint64_t ops[IO_OPS], bytes[IO_OPS];
    uint8_t has_ops, has_bytes; /* bit 1 << IO_... */
};

/* One number an event, in the order of the fields of PerfStatistics after timestamp and duration. */
#define PERF_EVENTS 51
struct perf_usage {
    double timestamp, duration;
    bool has[PERF_EVENTS];
    double value[PERF_EVENTS]; /* cpu_clock and task_clock are milliseconds */
};

/* Of all interfaces of the container. */
struct net_usage {
    uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
    uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

/* Of one persistent volume, which the container's own numbers do not have. */
struct volume_usage {
    const V1__Resource__DiskInfo *disk;
    uint64_t limit_bytes, used_bytes;
    bool has_used;
};

struct container_usage {
    double timestamp, cpus_limit, cpus_user_s, cpus_system_s;
    uint64_t mem_limit_bytes, mem_soft_limit_bytes, mem_rss_bytes, mem_cache_bytes, mem_total_bytes;
    uint32_t processes, threads;
    uint64_t cpus_nr_periods, cpus_nr_throttled;
    double cpus_throttled_s;
    uint64_t disk_limit_bytes, disk_used_bytes;
    uint64_t mem_mapped_file_bytes, mem_swap_bytes, mem_unevictable_bytes, mem_memsw_bytes;
    uint64_t mem_kmem_bytes, mem_kmem_tcp_bytes;
    uint64_t mem_pressure[3]; /* low, medium, critical: how often */
    struct net_usage net;
    bool has_cfs, has_disk, has_net, has_mem_stat, has_memsw, has_kmem, has_pressure;
    bool has_counts; /* processes and threads */
    const struct io_usage *io;
    size_t n_io;
    const struct perf_usage *perf; /* or NULL */
    const struct volume_usage *volumes;
    size_t n_volumes;
};

#endif
