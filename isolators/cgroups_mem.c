/* cgroups/mem: the request as soft limit, the task's limit or the request as hard one, neither below 32 MB; and the kernel's word when it
 * killed something for memory, which ends the container.
 *
 *   v1: memory.soft_limit_in_bytes, memory.limit_in_bytes (with --cgroups_limit_swap also memory.memsw.limit_in_bytes); an eventfd on
 *       memory.oom_control (cgroup.event_control); how often there was pressure
 *   v2: memory.low, memory.max; memory.events watched by one inotify descriptor for all
 *
 * A descriptor a container is what an agent with thousands of them has not: beyond a quarter of the limit of open files, containers are
 * looked at in turn, each once in ten seconds. It is only a kill of another than the first process that is noticed so late.
 *
 * A running container's hard limit is only ever raised: lowering it below what is used would kill. One that may use more than it asked
 * for is the first to be killed when the machine itself runs out.
 */
#include "isolators/cgroups_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sys/inotify.h>

#define MIN_BYTES (32 * MEGA)
/* What the kernel shows for none: LONG_MAX rounded down to pages. */
#define V1_NO_LIMIT_FROM (1ull << 62)

/* ---- life ---- */

static void mem_free(struct isolator *i)
{
    struct mem_isolator *m = (struct mem_isolator *)i;

    while (m->entries.head)
        mem_entry_drop(m, (struct mem_entry *)m->entries.head);
    fl_timer_free(m->sweep);
    fl_watch_free(m->inotify_watch);
    if (m->inotify >= 0)
        close(m->inotify);
    cgroup_isolator_free(i);
}

static int mem_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    struct cgroup_isolator *cg = NULL;
    int r = cgroup_isolator_new(&isolator_cgroups_mem, config, "memory",
                                sizeof(struct mem_isolator), &cg, err);

    if (r < 0)
        return r;
    struct mem_isolator *m = (struct mem_isolator *)cg;
    m->loop = loop;
    m->limit = limit;
    m->limit_arg = arg;
    m->limit_swap = config->cgroups_limit_swap && !m->cg.room.v2;
    m->most_pressure = m->cg.room.v2 ? 0 : mem_pressure_most();
    m->most_events = mem_events_most();
    m->inotify = -EBADF;
    if (m->cg.room.v2) {
        m->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        r = m->inotify < 0 ? fl_err_errno(err, errno, "watch memory events")
                           : fl_watch_new(loop, m->inotify, true, false, mem_on_inotify, m,
                                          &m->inotify_watch, err);
    }
    if (r < 0) {
        mem_free(&m->cg.base);
        return r;
    }
    *ret = &m->cg.base;
    return 0;
}

static uint64_t soft_of(const struct isolated_container *c)
{
    double mb = milli_to_double(resources_scalar(c->resources, "mem"));

    return FL_MAX(MIN_BYTES, (uint64_t)(mb * (double)MEGA));
}

static uint64_t hard_of(const struct isolated_container *c)
{
    if (isinf(c->mem_limit))
        return NO_LIMIT;
    if (c->mem_limit < 0)
        return soft_of(c);
    return FL_MAX(MIN_BYTES, (uint64_t)(c->mem_limit * (double)MEGA));
}

static void number(struct cgroup_value *v, const char *name, uint64_t n, const char *none)
{
    v->name = name;
    if (n == NO_LIMIT)
        fl_snprintf(v->text, sizeof(v->text), "%s", none);
    else
        fl_snprintf(v->text, sizeof(v->text), "%" PRIu64, n);
}

/* Up to three values; hard before swap, since swap's limit may not be below it. */
static size_t values_of(const struct mem_isolator *m, const struct isolated_container *c,
                        struct cgroup_value v[3])
{
    size_t n = 0;

    if (m->cg.room.v2) {
        number(&v[n++], "memory.low", soft_of(c), "max");
        number(&v[n++], "memory.max", hard_of(c), "max");
        return n;
    }
    number(&v[n++], "memory.soft_limit_in_bytes", soft_of(c), "-1");
    number(&v[n++], "memory.limit_in_bytes", hard_of(c), "-1");
    if (m->limit_swap)
        number(&v[n++], "memory.memsw.limit_in_bytes", hard_of(c), "-1");
    return n;
}

static int take_up(struct mem_isolator *m, const struct isolated_container *c, struct fl_err *err)
{
    struct mem_entry *e = id_map_make(&m->entries, c->id, sizeof(*e));

    e->mem = m;
    e->event = -EBADF;
    e->soft = soft_of(c);
    e->hard = hard_of(c);
    e->burstable = e->soft < e->hard && (c->is_task || c->root_id) && !c->debug;
    if (m->n_pressure < m->most_pressure) {
        mem_pressure_open(&e->pressure, &m->cg.room, c->id);
        m->n_pressure += e->pressure.open;
    }
    return mem_watch(m, e, err);
}

static int mem_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    struct mem_isolator *m = (struct mem_isolator *)i;
    struct cgroup_value v[3];
    size_t n = values_of(m, c, v);

    if (c->shares_cgroups) {
        cgroup_isolator_join(&m->cg, c->cgroup_id, plan);
        return 0;
    }
    int r = cgroup_isolator_make(&m->cg, c->id, v, n, plan, err);
    return r < 0 ? r : take_up(m, c, err);
}

/* The more of the machine it asked for, the less it is a candidate: a process that uses what was asked for, and a bit more, comes to 1000. */
static int oom_score(uint64_t soft)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    return soft >= machine ? 0 : (int)(1000 - 1000 * soft / machine);
}

static void set_score(pid_t pid, void *arg)
{
    char path[64];
    const char *text = arg;

    fl_snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        return; /* it has ended, or it is another's: the others are set all the same */
}

/* Its first process has begun and may have children: they take over what it has, so after the second time all have it. */
static int mem_isolate(struct isolator *i, const char *id, pid_t pid, struct fl_err *err)
{
    struct mem_isolator *m = (struct mem_isolator *)i;
    const struct mem_entry *e = id_map_get(&m->entries, id);
    char text[16];

    if (!e || !e->burstable)
        return 0;
    fl_snprintf(text, sizeof(text), "%d", oom_score(e->soft));
    for (int k = 0; k < 2; k++)
        cgroup_each_process(&m->cg.room, id, set_score, text);
    return 0;
}

static int mem_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                       struct fl_err *err)
{
    struct mem_isolator *m = (struct mem_isolator *)i;
    bool v2 = m->cg.room.v2;
    uint64_t v;

    if (pid <= 0 || c->shares_cgroups)
        return 0;
    int r = take_up(m, c, err);
    if (r < 0)
        return r;
    /* It may have been raised. */
    struct mem_entry *e = id_map_get(&m->entries, c->id);
    if (cgroup_read_u64(&m->cg.room, c->id, v2 ? "memory.max" : "memory.limit_in_bytes", &v) == 0)
        e->hard = v >= V1_NO_LIMIT_FROM ? NO_LIMIT : v;
    return 0;
}

static int mem_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct mem_isolator *m = (struct mem_isolator *)i;
    struct mem_entry *e = id_map_get(&m->entries, c->id);
    uint64_t hard = hard_of(c);
    struct cgroup_value v[3];
    size_t n = values_of(m, c, v);
    int r = 0;

    if (!e)
        return 0;
    if (hard > e->hard) {
        /* Swap's limit first when raising. */
        for (size_t k = n; k-- > 1 && r == 0;)
            r = cgroup_write(&m->cg.room, c->id, v[k].name, v[k].text, err);
        e->hard = hard;
    }
    e->soft = soft_of(c);
    return r < 0 ? r : cgroup_write(&m->cg.room, c->id, v[0].name, v[0].text, err);
}

static uint64_t key_or_0(const char *text, const char *key)
{
    uint64_t v;

    return cgroup_key(text, key, &v) ? v : 0;
}

static void usage_stat(struct mem_isolator *m, const char *id, struct container_usage *out)
{
    bool v2 = m->cg.room.v2;
    char text[4096];

    if (cgroup_read(&m->cg.room, id, "memory.stat", text, sizeof(text)) < 0)
        return;
    out->has_mem_stat = true;
    out->mem_rss_bytes = key_or_0(text, v2 ? "anon" : "total_rss");
    out->mem_cache_bytes = key_or_0(text, v2 ? "file" : "total_cache");
    out->mem_mapped_file_bytes = key_or_0(text, v2 ? "file_mapped" : "total_mapped_file");
    out->mem_unevictable_bytes = key_or_0(text, v2 ? "unevictable" : "total_unevictable");
    out->mem_swap_bytes = v2 ? 0 : key_or_0(text, "total_swap");
    if (v2) {
        out->has_kmem = true;
        out->mem_kmem_bytes = key_or_0(text, "kernel");
        out->mem_kmem_tcp_bytes = key_or_0(text, "sock");
    }
}

static uint64_t bytes_or_0(struct mem_isolator *m, const char *id, const char *file)
{
    uint64_t v;

    return cgroup_read_u64(&m->cg.room, id, file, &v) == 0 ? v : 0;
}

static int mem_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    struct mem_isolator *m = (struct mem_isolator *)i;
    struct mem_entry *e = id_map_get(&m->entries, id);

    if (!e)
        return -ENOENT;
    out->mem_limit_bytes = e->hard == NO_LIMIT ? 0 : e->hard;
    out->mem_soft_limit_bytes = e->soft;
    usage_stat(m, id, out);
    if (m->cg.room.v2) {
        out->mem_total_bytes = bytes_or_0(m, id, "memory.current");
        return 0;
    }
    out->mem_total_bytes = bytes_or_0(m, id, "memory.usage_in_bytes");
    out->has_kmem = true;
    out->mem_kmem_bytes = bytes_or_0(m, id, "memory.kmem.usage_in_bytes");
    out->mem_kmem_tcp_bytes = bytes_or_0(m, id, "memory.kmem.tcp.usage_in_bytes");
    if (m->limit_swap) {
        out->has_memsw = true;
        out->mem_memsw_bytes = bytes_or_0(m, id, "memory.memsw.usage_in_bytes");
    }
    if (e->pressure.open) {
        mem_pressure_read(&e->pressure);
        out->has_pressure = true;
        memcpy(out->mem_pressure, e->pressure.count, sizeof(out->mem_pressure));
    }
    return 0;
}

static void mem_exited(struct isolator *i, const char *id)
{
    struct mem_entry *e = id_map_get(&((struct mem_isolator *)i)->entries, id);

    if (e)
        mem_look(e);
}

static int mem_cleanup(struct isolator *i, const char *id)
{
    struct mem_isolator *m = (struct mem_isolator *)i;
    struct mem_entry *e = id_map_get(&m->entries, id);

    if (e)
        mem_entry_drop(m, e);
    return cgroup_remove(&m->cg.room, id);
}

const struct isolator_ops isolator_cgroups_mem = {
    .name = "cgroups/mem",
    .create = mem_create,
    .free = mem_free,
    .prepare = mem_prepare,
    .isolate = mem_isolate,
    .recover = mem_recover,
    .update = mem_update,
    .usage = mem_usage,
    .exited = mem_exited,
    .cleanup = mem_cleanup,
    .orphans = cgroup_isolator_orphans,
};
