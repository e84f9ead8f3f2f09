/* cgroups/perf_event: every --perf_interval the events of --perf_events are counted in each container for --perf_duration; the last
 * sample is ResourceStatistics.perf. The kernel is asked by perf_event_open(2), not by running perf.
 *
 * Counters cost a descriptor an event, processor and container, so with many containers they are sampled in parts, one after the other;
 * a round may then take longer than the interval. */
#include <errno.h>
#include <time.h>

#include "isolators/cgroup_isolator.h"
#include "isolators/id_map.h"
#include "isolators/perf_counter.h"

#define MAX_FDS 1024 /* at a time */

struct perf_entry {
    struct id_entry id;             /* first */
    struct perf_counters *counters; /* while it is sampled */
    double since;
    uint64_t round; /* when it was sampled last */
    bool has_usage;
    struct perf_usage usage;
};

struct perf_isolator {
    struct cgroup_isolator cg; /* first */
    struct fl_loop *loop;
    struct fl_timer *timer; /* NULL: no events are asked for */
    bool on[PERF_EVENTS], sampling;
    uint64_t interval, duration, round, round_began;
    struct id_map entries;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void take_sample(const struct perf_isolator *p, struct perf_entry *e)
{
    memset(&e->usage, 0, sizeof(e->usage));
    e->usage.timestamp = e->since;
    e->usage.duration = (double)p->duration / 1e6;
    perf_counters_read(e->counters, &e->usage);
    perf_counters_free(TAKE_PTR(e->counters));
    e->has_usage = true;
}

/* Begins with as many as fit of those that are still to be sampled in this round. */
static size_t begin_part(struct perf_isolator *p)
{
    size_t each = perf_counters_fds(p->on), room = FL_MAX((size_t)MAX_FDS, each), n = 0;
    struct id_entry *i, *next;

    HASH_ITER (hh, p->entries.head, i, next) {
        struct perf_entry *e = (struct perf_entry *)i;
        if (e->round == p->round || room < each)
            continue;
        _cleanup_free_ char *group = cgroup_path(&p->cg.room, e->id.id, "");
        e->round = p->round;
        e->since = now_s();
        e->counters = perf_counters_open(p->on, group);
        room -= each;
        n++;
    }
    return n;
}

static void on_timer(void *arg)
{
    struct perf_isolator *p = arg;
    struct id_entry *i, *next;

    if (!p->sampling) {
        p->round++;
        p->round_began = fl_loop_now_us(p->loop);
    }
    HASH_ITER (hh, p->entries.head, i, next) {
        if (((struct perf_entry *)i)->counters)
            take_sample(p, (struct perf_entry *)i);
    }
    p->sampling = begin_part(p) > 0;
    uint64_t spent = fl_loop_now_us(p->loop) - p->round_began;
    fl_timer_set(p->timer, p->sampling            ? p->duration
                           : spent >= p->interval ? 0
                                                  : p->interval - spent);
}

static void perf_free(struct isolator *i)
{
    struct perf_isolator *p = (struct perf_isolator *)i;
    struct id_entry *e, *next;

    HASH_ITER (hh, p->entries.head, e, next) {
        perf_counters_free(((struct perf_entry *)e)->counters);
    }
    id_map_done(&p->entries);
    fl_timer_free(p->timer);
    cgroup_isolator_free(i);
}

static int begin(struct perf_isolator *p, const struct isolator_config *config, struct fl_err *err)
{
    p->interval = config->perf_interval;
    p->duration = config->perf_duration;
    if (p->duration > p->interval || p->interval == 0)
        return fl_err_set(err, FL_INVALID,
                          "Sampling perf for a --perf_duration longer than the --perf_interval is "
                          "not supported");
    int r = perf_events_parse(config->perf_events, p->on, err);
    if (r == 0)
        r = perf_events_supported(p->on, err);
    if (r < 0 || perf_counters_fds(p->on) == 0)
        return r;
    p->timer = fl_timer_new(p->loop, on_timer, p);
    fl_timer_set(p->timer, 0);
    return 0;
}

static int perf_create(struct fl_loop *loop, const struct isolator_config *config,
                       isolator_limit_f *limit, void *arg, struct isolator **ret,
                       struct fl_err *err)
{
    struct cgroup_isolator *cg = NULL;
    int r = cgroup_isolator_new(&isolator_cgroups_perf_event, config, "perf_event",
                                sizeof(struct perf_isolator), &cg, err);

    if (r < 0)
        return r;
    struct perf_isolator *p = (struct perf_isolator *)cg;
    p->loop = loop;
    r = config->perf_events ? begin(p, config, err) : 0;
    if (r < 0) {
        perf_free(&cg->base);
        return r;
    }
    *ret = &cg->base;
    return 0;
}

static int perf_prepare(struct isolator *i, const struct isolated_container *c,
                        struct launch_plan *plan, struct fl_err *err)
{
    struct perf_isolator *p = (struct perf_isolator *)i;
    int r = cgroup_isolator_prepare(i, c, plan, err);

    if (r == 0 && !c->shares_cgroups)
        id_map_make(&p->entries, c->id, sizeof(struct perf_entry));
    return r;
}

static int perf_recover(struct isolator *i, const struct isolated_container *c, pid_t pid,
                        struct fl_err *err)
{
    if (pid > 0 && !c->shares_cgroups)
        id_map_make(&((struct perf_isolator *)i)->entries, c->id, sizeof(struct perf_entry));
    return 0;
}

static int perf_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    const struct perf_entry *e = id_map_get(&((struct perf_isolator *)i)->entries, id);

    if (e && e->has_usage)
        out->perf = &e->usage;
    return 0;
}

static int perf_cleanup(struct isolator *i, const char *id)
{
    struct perf_isolator *p = (struct perf_isolator *)i;
    struct perf_entry *e = id_map_get(&p->entries, id);

    if (e) {
        perf_counters_free(e->counters);
        id_map_drop(&p->entries, e);
    }
    return cgroup_remove(&p->cg.room, id);
}

const struct isolator_ops isolator_cgroups_perf_event = {
    .name = "cgroups/perf_event",
    .create = perf_create,
    .free = perf_free,
    .prepare = perf_prepare,
    .recover = perf_recover,
    .usage = perf_usage,
    .cleanup = perf_cleanup,
    .orphans = cgroup_isolator_orphans,
};
