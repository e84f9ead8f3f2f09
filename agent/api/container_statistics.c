/* What the isolators measured, as the protocol's ResourceStatistics. */
#include "agent/api/handlers.h"

#define SET(s, field, v)                                                                           \
    do {                                                                                           \
        (s)->has_##field = true;                                                                   \
        (s)->field = (v);                                                                          \
    } while (0)

static void fill_memory(V1__ResourceStatistics *s, const struct container_usage *u)
{
    SET(s, mem_limit_bytes, u->mem_limit_bytes);
    SET(s, mem_rss_bytes, u->mem_rss_bytes);
    SET(s, mem_total_bytes, u->mem_total_bytes);
    if (u->mem_soft_limit_bytes)
        SET(s, mem_soft_limit_bytes, u->mem_soft_limit_bytes);
    if (u->mem_cache_bytes || u->has_mem_stat)
        SET(s, mem_cache_bytes, u->mem_cache_bytes);
    if (u->has_mem_stat) {
        SET(s, mem_file_bytes, u->mem_cache_bytes);
        SET(s, mem_anon_bytes, u->mem_rss_bytes);
        SET(s, mem_mapped_file_bytes, u->mem_mapped_file_bytes);
        SET(s, mem_swap_bytes, u->mem_swap_bytes);
        SET(s, mem_unevictable_bytes, u->mem_unevictable_bytes);
    }
    if (u->has_memsw)
        SET(s, mem_total_memsw_bytes, u->mem_memsw_bytes);
    if (u->has_kmem) {
        SET(s, mem_kmem_usage_bytes, u->mem_kmem_bytes);
        SET(s, mem_kmem_tcp_usage_bytes, u->mem_kmem_tcp_bytes);
    }
    if (u->has_pressure) {
        SET(s, mem_low_pressure_counter, u->mem_pressure[0]);
        SET(s, mem_medium_pressure_counter, u->mem_pressure[1]);
        SET(s, mem_critical_pressure_counter, u->mem_pressure[2]);
    }
}

static void fill_cpu(V1__ResourceStatistics *s, const struct container_usage *u)
{
    SET(s, cpus_limit, u->cpus_limit);
    SET(s, cpus_user_time_secs, u->cpus_user_s);
    SET(s, cpus_system_time_secs, u->cpus_system_s);
    if (u->has_counts) {
        SET(s, processes, u->processes);
        SET(s, threads, u->threads);
    }
    if (u->has_cfs) {
        SET(s, cpus_nr_periods, (uint32_t)u->cpus_nr_periods);
        SET(s, cpus_nr_throttled, (uint32_t)u->cpus_nr_throttled);
        SET(s, cpus_throttled_time_secs, u->cpus_throttled_s);
    }
}

static size_t fill_io_values(const uint64_t values[IO_OPS], unsigned has, struct fl_arena *arena,
                             V1__CgroupInfo__Blkio__Value ***ret)
{
    static const V1__CgroupInfo__Blkio__Operation ops[IO_OPS] = {
        [IO_TOTAL] = V1__CGROUP_INFO__BLKIO__OPERATION__TOTAL,
        [IO_READ] = V1__CGROUP_INFO__BLKIO__OPERATION__READ,
        [IO_WRITE] = V1__CGROUP_INFO__BLKIO__OPERATION__WRITE,
        [IO_SYNC] = V1__CGROUP_INFO__BLKIO__OPERATION__SYNC,
        [IO_ASYNC] = V1__CGROUP_INFO__BLKIO__OPERATION__ASYNC,
        [IO_DISCARD] = V1__CGROUP_INFO__BLKIO__OPERATION__DISCARD,
    };
    V1__CgroupInfo__Blkio__Value **v = fl_arena_alloc(arena, IO_OPS * sizeof(*v));
    size_t n = 0;

    for (size_t i = 0; i < IO_OPS; i++) {
        if (!(has & 1u << i))
            continue;
        v[n] = FL_ARENA_NEW(arena, V1__CgroupInfo__Blkio__Value, v1__cgroup_info__blkio__value);
        SET(v[n], op, ops[i]);
        SET(v[n], value, values[i]);
        n++;
    }
    *ret = v;
    return n;
}

static V1__CgroupInfo__Blkio__Throttling__Statistics *io_statistics(const struct io_usage *u,
                                                                    struct fl_arena *arena)
{
    V1__CgroupInfo__Blkio__Throttling__Statistics *t =
        FL_ARENA_NEW(arena, V1__CgroupInfo__Blkio__Throttling__Statistics,
                     v1__cgroup_info__blkio__throttling__statistics);

    if (!u->is_total) {
        t->device = FL_ARENA_NEW(arena, V1__Device__Number, v1__device__number);
        t->device->major_number = u->major;
        t->device->minor_number = u->minor;
    }
    t->n_io_serviced = fill_io_values(u->ops, u->has_ops, arena, &t->io_serviced);
    t->n_io_service_bytes = fill_io_values(u->bytes, u->has_bytes, arena, &t->io_service_bytes);
    return t;
}

/* As the reference has it since kernels have no CFQ: its two lists hold one empty total each. */
static void fill_io(V1__ResourceStatistics *s, const struct container_usage *u,
                    struct fl_arena *arena)
{
    V1__CgroupInfo__Blkio__Statistics *b =
        FL_ARENA_NEW(arena, V1__CgroupInfo__Blkio__Statistics, v1__cgroup_info__blkio__statistics);
    V1__CgroupInfo__Blkio__CFQ__Statistics *none = FL_ARENA_NEW(
        arena, V1__CgroupInfo__Blkio__CFQ__Statistics, v1__cgroup_info__blkio__cfq__statistics);

    b->cfq = fl_arena_alloc(arena, sizeof(*b->cfq));
    b->cfq[0] = none;
    b->cfq_recursive = b->cfq;
    b->n_cfq = b->n_cfq_recursive = 1;
    b->throttling = fl_arena_alloc(arena, u->n_io * sizeof(*b->throttling));
    for (size_t i = 0; i < u->n_io; i++)
        if (!u->io[i].is_total)
            b->throttling[b->n_throttling++] = io_statistics(&u->io[i], arena);
    for (size_t i = 0; i < u->n_io; i++)
        if (u->io[i].is_total)
            b->throttling[b->n_throttling++] = io_statistics(&u->io[i], arena);
    s->blkio_statistics = b;
}

static void fill_perf(V1__ResourceStatistics *s, const struct perf_usage *u, struct fl_arena *arena)
{
    const ProtobufCMessageDescriptor *d = &v1__perf_statistics__descriptor;
    V1__PerfStatistics *p = FL_ARENA_NEW(arena, V1__PerfStatistics, v1__perf_statistics);

    p->timestamp = u->timestamp;
    p->duration = u->duration;
    for (size_t i = 0; i < PERF_EVENTS; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i + 2];
        char *at = (char *)p + f->offset;
        if (!u->has[i])
            continue;
        *(protobuf_c_boolean *)((char *)p + f->quantifier_offset) = true;
        if (f->type == PROTOBUF_C_TYPE_DOUBLE)
            *(double *)(void *)at = u->value[i];
        else
            *(uint64_t *)(void *)at = (uint64_t)u->value[i];
    }
    s->perf = p;
}

static void fill_net(V1__ResourceStatistics *s, const struct net_usage *u)
{
    SET(s, net_rx_bytes, u->rx_bytes);
    SET(s, net_rx_packets, u->rx_packets);
    SET(s, net_rx_errors, u->rx_errors);
    SET(s, net_rx_dropped, u->rx_dropped);
    SET(s, net_tx_bytes, u->tx_bytes);
    SET(s, net_tx_packets, u->tx_packets);
    SET(s, net_tx_errors, u->tx_errors);
    SET(s, net_tx_dropped, u->tx_dropped);
}

static V1__DiskStatistics *add_disk(V1__ResourceStatistics *s, struct fl_arena *arena)
{
    V1__DiskStatistics *d = FL_ARENA_NEW(arena, V1__DiskStatistics, v1__disk_statistics);

    s->disk_statistics[s->n_disk_statistics++] = d;
    return d;
}

/* The volumes, then the sandbox, as the reference. */
static void fill_disk(V1__ResourceStatistics *s, const struct container_usage *u,
                      struct fl_arena *arena)
{
    s->disk_statistics = fl_arena_alloc(arena, (u->n_volumes + 1) * sizeof(*s->disk_statistics));
    for (size_t i = 0; i < u->n_volumes; i++) {
        const struct volume_usage *v = &u->volumes[i];
        V1__DiskStatistics *d = add_disk(s, arena);
        d->source = v->disk->source;
        d->persistence = v->disk->persistence;
        SET(d, limit_bytes, v->limit_bytes);
        if (v->has_used)
            SET(d, used_bytes, v->used_bytes);
    }
    if (!u->has_disk)
        return;
    V1__DiskStatistics *d = add_disk(s, arena);
    SET(s, disk_limit_bytes, u->disk_limit_bytes);
    SET(s, disk_used_bytes, u->disk_used_bytes);
    SET(d, limit_bytes, u->disk_limit_bytes);
    SET(d, used_bytes, u->disk_used_bytes);
}

V1__ResourceStatistics *agent_api_container_statistics(const struct agent_core *a, const char *id,
                                                       struct fl_arena *arena)
{
    struct containerizer *c = a->containerizer;
    struct container_usage u = {0};
    V1__ResourceStatistics *s;

    if (c->ops->usage(c, id, &u) < 0)
        return NULL;
    s = FL_ARENA_NEW(arena, V1__ResourceStatistics, v1__resource_statistics);
    s->timestamp = u.timestamp;
    fill_cpu(s, &u);
    fill_memory(s, &u);
    fill_disk(s, &u, arena);
    if (u.has_net)
        fill_net(s, &u.net);
    if (u.n_io)
        fill_io(s, &u, arena);
    if (u.perf)
        fill_perf(s, u.perf, arena);
    return s;
}
