/* How the kernel's word that it killed for memory reaches us, and what a user is told. See the top of cgroups_mem.c. */
#include "isolators/cgroups_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#define SWEEP_STEP_US 100000
#define SWEEP_STEPS   100

#define FIRST_LOOK_US 500
#define LAST_LOOK_US  1000000

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
bool mem_look(struct mem_entry *e)
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

    if (mem_look(e) || e->wait_us > LAST_LOOK_US)
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
        m->sweep_next = e->id.hh.next; /* what mem_look() brings about may drop the entry */
        if (e->swept) {
            left--;
            mem_look(e);
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

void mem_on_inotify(int fd, bool readable, bool writable, void *arg)
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
                mem_look((struct mem_entry *)e); /* which may drop it, and others */
            at += (ssize_t)sizeof(*ev) + ev->len;
        }
}

static int watch_v2(struct mem_isolator *m, struct mem_entry *e, struct fl_err *err)
{
    _cleanup_free_ char *path = cgroup_path(&m->cg.room, e->id.id, "memory.events");

    e->event = inotify_add_watch(m->inotify, path, IN_MODIFY);
    return e->event < 0 ? fl_err_errno(err, errno, "watch '%s'", path) : 0;
}

int mem_watch(struct mem_isolator *m, struct mem_entry *e, struct fl_err *err)
{
    return m->cg.room.v2 ? watch_v2(m, e, err) : watch_v1(m, e, err);
}

void mem_entry_drop(struct mem_isolator *m, struct mem_entry *e)
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
