/* cgroups/cpu: shares by the request, a hard quota by --cgroups_enable_cfs or a task's limit; usage from cpuacct (v1) or cpu.stat (v2).
 *
 *   v1: cpu.shares = max(2, 1024 x cpus), revocable cpus at low priority 10 x cpus; quota = max(1 ms, cpus x 100 ms) a 100 ms
 *   v2: cpu.weight = max(1, 100 x cpus), revocable 1 x cpus; the same quota in cpu.max
 */
#include "isolators/cgroup_isolator.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define PERIOD_US 100000

struct cpu_isolator {
    struct cgroup_isolator cg; /* first */
    struct cgroup_room acct;   /* v1 only */
    bool cfs, low_priority, count;
};

static void cpu_free(struct isolator *i)
{
    cgroup_room_done(&((struct cpu_isolator *)i)->acct);
    cgroup_isolator_free(i);
}

static int cpu_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    struct cgroup_isolator *cg = NULL;
    int r = cgroup_isolator_new(&isolator_cgroups_cpu, config, "cpu", sizeof(struct cpu_isolator),
                                &cg, err);

    if (r < 0)
        return r;
    struct cpu_isolator *c = (struct cpu_isolator *)cg;
    c->cfs = config->cgroups_enable_cfs;
    c->count = config->cgroups_cpu_enable_pids_and_tids_count;
    c->low_priority = config->revocable_cpu_low_priority;
    if (!c->cg.room.v2)
        r = cgroup_room_open(config, "cpuacct", &c->acct, err);
    if (r < 0) {
        cpu_free(&c->cg.base);
        return r;
    }
    *ret = &c->cg.base;
    return 0;
}

static bool on_revocable(const struct isolated_container *c)
{
    _cleanup_resources_ struct resources part = RESOURCES_INIT;

    if (!resources_has_revocable(c->resources))
        return false;
    resources_revocable(c->resources, true, &part);
    return resources_scalar(&part, "cpus") > 0;
}

static struct cgroup_value weight_of(const struct cpu_isolator *i,
                                     const struct isolated_container *c)
{
    double cpus = milli_to_double(resources_scalar(c->resources, "cpus"));
    bool low = i->low_priority && on_revocable(c);
    bool v2 = i->cg.room.v2;
    uint64_t v = v2 ? (uint64_t)FL_MIN(10000.0, FL_MAX(1.0, cpus * (low ? 1 : 100)))
                    : (uint64_t)FL_MIN(262144.0, FL_MAX(2.0, cpus * (low ? 10 : 1024)));
    struct cgroup_value r = {.name = v2 ? "cpu.weight" : "cpu.shares"};

    fl_snprintf(r.text, sizeof(r.text), "%" PRIu64, v);
    return r;
}

/* Microseconds a period; 0: no quota; < 0: a quota that was there goes. */
static int64_t quota_of(const struct cpu_isolator *i, const struct isolated_container *c)
{
    if (isinf(c->cpu_limit))
        return -1;
    double cpus = c->cpu_limit >= 0 ? c->cpu_limit
                  : i->cfs          ? milli_to_double(resources_scalar(c->resources, "cpus"))
                                    : 0;

    return cpus > 0 ? (int64_t)FL_MAX(1000.0, cpus * PERIOD_US) : 0;
}

/* Weight, then what the quota needs: up to three values. */
static size_t values_of(const struct cpu_isolator *i, const struct isolated_container *c,
                        struct cgroup_value v[3])
{
    int64_t quota = quota_of(i, c);
    size_t n = 0;

    v[n++] = weight_of(i, c);
    if (quota == 0)
        return n;
    if (i->cg.room.v2) {
        v[n].name = "cpu.max";
        if (quota < 0)
            fl_snprintf(v[n].text, sizeof(v[n].text), "max %d", PERIOD_US);
        else
            fl_snprintf(v[n].text, sizeof(v[n].text), "%" PRId64 " %d", quota, PERIOD_US);
        return n + 1;
    }
    v[n].name = "cpu.cfs_period_us";
    fl_snprintf(v[n++].text, sizeof(v[0].text), "%d", PERIOD_US);
    v[n].name = "cpu.cfs_quota_us";
    fl_snprintf(v[n++].text, sizeof(v[0].text), "%" PRId64, quota);
    return n;
}

static int cpu_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    struct cpu_isolator *ci = (struct cpu_isolator *)i;
    const char *id = c->cgroup_id;
    struct cgroup_value v[3];
    size_t n = values_of(ci, c, v);
    int r = 0;

    if (c->shares_cgroups)
        cgroup_isolator_join(&ci->cg, id, plan);
    else
        r = cgroup_isolator_make(&ci->cg, id, v, n, plan, err);
    if (r < 0 || ci->cg.room.v2 || streq(ci->acct.mount, ci->cg.room.mount))
        return r;
    if (!c->shares_cgroups)
        r = cgroup_make(&ci->acct, id, NULL, 0, err);
    if (r == 0) {
        _cleanup_free_ char *procs = cgroup_procs(&ci->acct, id);
        launch_plan_cgroup(plan, procs);
    }
    return r;
}

static int cpu_update(struct isolator *i, const struct isolated_container *c, struct fl_err *err)
{
    struct cpu_isolator *ci = (struct cpu_isolator *)i;
    struct cgroup_value v[3];
    size_t n = values_of(ci, c, v);
    int r = 0;

    for (size_t k = 0; k < n && r == 0; k++)
        r = cgroup_write(&ci->cg.room, c->id, v[k].name, v[k].text, err);
    return r;
}

static void usage_v1(struct cpu_isolator *ci, const char *id, struct container_usage *out)
{
    double tick = (double)sysconf(_SC_CLK_TCK);
    char text[512];
    uint64_t v;

    if (cgroup_read(&ci->acct, id, "cpuacct.stat", text, sizeof(text)) >= 0) {
        out->cpus_user_s = cgroup_key(text, "user", &v) ? (double)v / tick : 0;
        out->cpus_system_s = cgroup_key(text, "system", &v) ? (double)v / tick : 0;
    }
    if (cgroup_read(&ci->cg.room, id, "cpu.stat", text, sizeof(text)) >= 0 &&
        cgroup_key(text, "nr_periods", &v)) {
        out->cpus_nr_periods = v;
        out->has_cfs = v > 0;
        out->cpus_nr_throttled = cgroup_key(text, "nr_throttled", &v) ? v : 0;
        out->cpus_throttled_s = cgroup_key(text, "throttled_time", &v) ? (double)v / 1e9 : 0;
    }
}

static void usage_v2(struct cpu_isolator *ci, const char *id, struct container_usage *out)
{
    char text[1024];
    uint64_t v;

    if (cgroup_read(&ci->cg.room, id, "cpu.stat", text, sizeof(text)) < 0)
        return;
    out->cpus_user_s = cgroup_key(text, "user_usec", &v) ? (double)v / 1e6 : 0;
    out->cpus_system_s = cgroup_key(text, "system_usec", &v) ? (double)v / 1e6 : 0;
    if (cgroup_key(text, "nr_periods", &v)) {
        out->cpus_nr_periods = v;
        out->has_cfs = v > 0;
        out->cpus_nr_throttled = cgroup_key(text, "nr_throttled", &v) ? v : 0;
        out->cpus_throttled_s = cgroup_key(text, "throttled_usec", &v) ? (double)v / 1e6 : 0;
    }
}

/* The shim is in the groups; it is not one of the container's processes. */
static int cpu_usage(struct isolator *i, const char *id, struct container_usage *out)
{
    struct cpu_isolator *ci = (struct cpu_isolator *)i;

    if (ci->count) {
        uint32_t processes = cgroup_count(&ci->cg.room, id, false);
        uint32_t threads = cgroup_count(&ci->cg.room, id, true);
        out->has_counts = true;
        out->processes = processes - (processes > 0);
        out->threads = threads - (threads > 0);
    }
    if (ci->cg.room.v2)
        usage_v2(ci, id, out);
    else
        usage_v1(ci, id, out);
    return 0;
}

static int cpu_cleanup(struct isolator *i, const char *id)
{
    struct cpu_isolator *ci = (struct cpu_isolator *)i;
    int r = ci->acct.mount ? cgroup_remove(&ci->acct, id) : 0;

    return cgroup_remove(&ci->cg.room, id) < 0 ? -EAGAIN : r;
}

const struct isolator_ops isolator_cgroups_cpu = {
    .name = "cgroups/cpu",
    .create = cpu_create,
    .free = cpu_free,
    .prepare = cpu_prepare,
    .update = cpu_update,
    .usage = cpu_usage,
    .cleanup = cpu_cleanup,
    .orphans = cgroup_isolator_orphans,
};
