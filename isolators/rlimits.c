/* posix/rlimits: ContainerInfo.rlimit_info, set by the shim between fork and exec. */
#include "isolators/stateless.h"

#include <inttypes.h>
#include <sys/resource.h>

/* By RLimitInfo.RLimit.Type; its UNKNOWN is 0. */
static const int kinds[] = {
    -1,           RLIMIT_AS,      RLIMIT_CORE,     RLIMIT_CPU,        RLIMIT_DATA,   RLIMIT_FSIZE,
    RLIMIT_LOCKS, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE,       RLIMIT_NOFILE, RLIMIT_NPROC,
    RLIMIT_RSS,   RLIMIT_RTPRIO,  RLIMIT_RTTIME,   RLIMIT_SIGPENDING, RLIMIT_STACK,
};

STATELESS_CREATE(rlimits_create, isolator_posix_rlimits, false)

static int add(const V1__RLimitInfo__RLimit *l, struct launch_plan *plan, struct fl_err *err)
{
    if (!l->has_type || l->type <= 0 || (size_t)l->type >= ARRAY_SIZE(kinds))
        return fl_err_set(err, FL_INVALID, "a resource limit of an unknown type");
    if (l->has_soft != l->has_hard)
        return fl_err_set(
            err, FL_INVALID,
            "Invalid rlimit values: a limit needs both soft and hard, or neither for none");
    if (l->has_soft && l->soft > l->hard)
        return fl_err_set(err, FL_INVALID,
                          "Invalid rlimit values: soft %" PRIu64 " is above hard %" PRIu64, l->soft,
                          l->hard);
    launch_plan_rlimit(plan, kinds[l->type], l->has_soft ? l->soft : RLIM_INFINITY,
                       l->has_hard ? l->hard : RLIM_INFINITY);
    return 0;
}

static int rlimits_prepare(struct isolator *i, const struct isolated_container *c,
                           struct launch_plan *plan, struct fl_err *err)
{
    const V1__RLimitInfo *info = c->info ? c->info->rlimit_info : NULL;
    int r = 0;

    for (size_t k = 0; info && k < info->n_rlimits && r == 0; k++)
        r = add(info->rlimits[k], plan, err);
    return r;
}

const struct isolator_ops isolator_posix_rlimits = {
    .name = "posix/rlimits",
    .create = rlimits_create,
    .free = stateless_free,
    .prepare = rlimits_prepare,
};
