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
#include "isolators/cgroup_isolator.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "isolators/id_map.h"
#include "isolators/mem_pressure.h"

#define MEGA      ((uint64_t)1 << 20)
#define MIN_BYTES (32 * MEGA)
#define NO_LIMIT  UINT64_MAX
/* What the kernel shows for none: LONG_MAX rounded down to pages. */
#define V1_NO_LIMIT_FROM (1ull << 62)

struct mem_isolator {
    struct cgroup_isolator cg; /* first */
    struct fl_loop *loop;
    isolator_limit_f *limit;
    void *limit_arg;
    bool limit_swap;
    struct id_map entries;
    size_t n_pressure, most_pressure; /* containers whose pressure is counted */
    size_t n_events, most_events;     /* v1: containers with an eventfd */
    size_t n_swept;                   /* v1: those without */
    struct id_entry *sweep_next;      /* NULL: from the beginning */
    struct fl_timer *sweep;
    int inotify; /* v2; -EBADF */
    struct fl_watch *inotify_watch;
};

struct mem_entry {
    struct id_entry id; /* first */
    struct mem_isolator *mem;
    uint64_t soft, hard; /* as set */
    bool burstable;      /* its processes go first when the machine runs out */
    struct mem_pressure pressure;
    int event;  /* v1: eventfd; v2: watch number */
    bool swept; /* v1: there is none */
    struct fl_watch *watch;
    struct fl_timer *again; /* v1: between the kernel's notice and its counting of the kill */
    uint64_t wait_us;
};

#define SWEEP_STEP_US 100000
#define SWEEP_STEPS   100

#define FIRST_LOOK_US 500
#define LAST_LOOK_US  1000000

/* ---- running out ---- */

/* A number of a file of "key number" lines; 0 when it cannot be told. */
static uint64_t number_of(const struct mem_isolator *m, const char *id, const char *file,
                          const char *key)
{
    char text[512];
    uint64_t v = 0;

    return cgroup_read(&m->cg.room, id, file, text, sizeof(text)) >= 0 && cgroup_key(text, key, &v)
               ? v
               : 0;
}

/* Did the kernel kill here, because of our limit? On version 2 it counts in the groups above too, but that a limit was reached only where
 * the limit is. */
static bool oom_killed(const struct mem_isolator *m, const char *id)
{
    if (!m->cg.room.v2)
        return number_of(m, id, "memory.oom_control", "oom_kill") > 0;
    return number_of(m, id, "memory.events", "oom_kill") > 0 &&
           number_of(m, id, "memory.events.local", "oom") > 0;
}

/* What was asked for, what was used, what to change, and what the kernel counted. */
static void describe(const struct mem_entry *e, uint64_t max, char *buf, size_t size)
{
    const struct mem_isolator *m = e->mem;
    char stat[3072] = "";

    cgroup_read(&m->cg.room, e->id.id, "memory.stat", stat, sizeof(stat));
    if (e->hard == NO_LIMIT)
        fl_snprintf(buf, size,
                    "Memory limit exceeded: Requested: no limit Maximum Used: %" PRIu64
                    "MB\n\nThe machine, or what the container is nested in, ran out of memory; ask "
                    "for as much 'mem' as it needs.\n\nMEMORY STATISTICS: \n%s",
                    max / MEGA, stat);
    else
        fl_snprintf(buf, size,
                    "Memory limit exceeded: Requested: %" PRIu64 "MB Maximum Used: %" PRIu64
                    "MB\n\nRaise 'mem' of the task, or its limit, above %" PRIu64
                    "MB, or make it use less.\n\nMEMORY STATISTICS: \n%s",
                    e->hard / MEGA, max / MEGA, e->hard / MEGA, stat);
}

static void report(struct mem_entry *e)
{
    const struct mem_isolator *m = e->mem;
    V1__TaskResourceLimitation limitation = V1__TASK_RESOURCE_LIMITATION__INIT;
    V1__Resource res = V1__RESOURCE__INIT, *res_v = &res;
    V1__Value__Scalar scalar = V1__VALUE__SCALAR__INIT;
    char message[4096];
    uint64_t max = 0;

    cgroup_read_u64(&m->cg.room, e->id.id,
                    m->cg.room.v2 ? "memory.peak" : "memory.max_usage_in_bytes", &max);
    if (max == 0 && e->hard != NO_LIMIT)
        max = e->hard; /* kernels before 5.19 */
    describe(e, max, message, sizeof(message));
    res.name = (char *)(uintptr_t) "mem";
    res.type = V1__VALUE__TYPE__SCALAR;
    res.scalar = &scalar;
    scalar.value = (double)max / (double)MEGA;
    limitation.n_resources = 1;
    limitation.resources = &res_v;
    m->limit(m->limit_arg, e->id.id, ISOLATOR_LIMIT_MEMORY, message, &limitation);
}

/* False: nothing was killed, so far as can be seen. */
static bool look(struct mem_entry *e)
{
    bool killed = oom_killed(e->mem, e->id.id);

    if (killed)
        report(e);
    return killed;
}

/* The kernel gives notice first, then chooses and counts; when it chose not the first process, nothing else would bring us back. */
static void look_again(void *arg)
{
    struct mem_entry *e = arg;

    if (look(e) || e->wait_us > LAST_LOOK_US)
        return;
    fl_timer_set(e->again, e->wait_us);
    e->wait_us *= 2;
}

static void on_eventfd(int fd, bool readable, bool writable, void *arg)
{
    struct mem_entry *e = arg;
    uint64_t n;

    if (read(fd, &n, sizeof(n)) != sizeof(n))
        return;
    /* It also comes when the group is removed; then there is nothing to read any more. */
    if (!e->again)
        e->again = fl_timer_new(e->mem->loop, look_again, e);
    e->wait_us = FIRST_LOOK_US;
    look_again(e);
}

/* A step of the round of those that have no eventfd. */
static void on_sweep(void *arg)
{
    struct mem_isolator *m = arg;
    size_t left = m->n_swept / SWEEP_STEPS + 1;

    if (!m->sweep_next)
        m->sweep_next = m->entries.head;
    while (m->sweep_next && left > 0) {
        struct mem_entry *e = (struct mem_entry *)m->sweep_next;
        m->sweep_next = e->id.hh.next; /* what look() brings about may drop the entry */
        if (e->swept) {
            left--;
            look(e);
        }
    }
    if (m->n_swept)
        fl_timer_set(m->sweep, SWEEP_STEP_US);
}

static void sweep(struct mem_isolator *m)
{
    if (!m->sweep)
        m->sweep = fl_timer_new(m->loop, on_sweep, m);
    if (m->n_swept++ == 0)
        fl_timer_set(m->sweep, SWEEP_STEP_US);
}

static int watch_v1(struct mem_isolator *m, struct mem_entry *e, struct fl_err *err)
{
    if (m->n_events >= m->most_events) {
        e->swept = true;
        sweep(m);
        return 0;
    }
    _cleanup_free_ char *path = cgroup_path(&m->cg.room, e->id.id, "memory.oom_control");
    _cleanup_close_ int control = open(path, O_RDONLY | O_CLOEXEC);
    char text[32];

    e->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    m->n_events += e->event >= 0;
    if (control < 0 || e->event < 0)
        return fl_err_errno(err, errno, "open '%s'", path);
    fl_snprintf(text, sizeof(text), "%d %d", e->event, control);
    int r = cgroup_write(&m->cg.room, e->id.id, "cgroup.event_control", text, err);
    return r < 0 ? r : fl_watch_new(m->loop, e->event, true, false, on_eventfd, e, &e->watch, err);
}

static void on_inotify(int fd, bool readable, bool writable, void *arg)
{
    struct mem_isolator *m = arg;
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *ev = (const struct inotify_event *)(buf + at);
            struct id_entry *e = m->entries.head;
            while (e && ((struct mem_entry *)e)->event != ev->wd)
                e = e->hh.next;
            if (e)
                look((struct mem_entry *)e); /* which may drop it, and others */
            at += (ssize_t)sizeof(*ev) + ev->len;
        }
}

static int watch_v2(struct mem_isolator *m, struct mem_entry *e, struct fl_err *err)
{
    _cleanup_free_ char *path = cgroup_path(&m->cg.room, e->id.id, "memory.events");

    e->event = inotify_add_watch(m->inotify, path, IN_MODIFY);
    return e->event < 0 ? fl_err_errno(err, errno, "watch '%s'", path) : 0;
}

static int watch(struct mem_isolator *m, struct mem_entry *e, struct fl_err *err)
{
    return m->cg.room.v2 ? watch_v2(m, e, err) : watch_v1(m, e, err);
}

static void entry_drop(struct mem_isolator *m, struct mem_entry *e)
{
    fl_watch_free(e->watch);
    fl_timer_free(e->again);
    if (e->pressure.open) {
        mem_pressure_close(&e->pressure);
        m->n_pressure--;
    }
    if (m->sweep_next == &e->id)
        m->sweep_next = e->id.hh.next;
    if (m->cg.room.v2) {
        inotify_rm_watch(m->inotify, e->event);
    } else if (e->event >= 0) {
        close(e->event);
        m->n_events--;
    }
    m->n_swept -= e->swept;
    id_map_drop(&m->entries, e);
}

/* ---- life ---- */

static void mem_free(struct isolator *i)
{
    struct mem_isolator *m = (struct mem_isolator *)i;

    while (m->entries.head)
        entry_drop(m, (struct mem_entry *)m->entries.head);
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
                           : fl_watch_new(loop, m->inotify, true, false, on_inotify, m,
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
    return watch(m, e, err);
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
        look(e);
}

static int mem_cleanup(struct isolator *i, const char *id)
{
    struct mem_isolator *m = (struct mem_isolator *)i;
    struct mem_entry *e = id_map_get(&m->entries, id);

    if (e)
        entry_drop(m, e);
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
