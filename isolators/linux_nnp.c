/* linux/nnp: no_new_privs for every process of every container, so that neither setuid files nor file capabilities give any of them more
 * than they have. Set by the shim. */
#include "isolators/stateless.h"

#include <errno.h>
#include <sys/prctl.h>

static int nnp_create(struct fl_loop *loop, const struct isolator_config *config,
                      isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0)
        return fl_err_errno(err, errno,
                            "ask the kernel for no_new_privs, which Linux has since 3.5");
    *ret = stateless_new(&isolator_linux_nnp, config);
    return 0;
}

static int nnp_prepare(struct isolator *i, const struct isolated_container *c,
                       struct launch_plan *plan, struct fl_err *err)
{
    plan->flags |= PLAN_NO_NEW_PRIVILEGES;
    return 0;
}

const struct isolator_ops isolator_linux_nnp = {
    .name = "linux/nnp",
    .create = nnp_create,
    .free = stateless_free,
    .prepare = nnp_prepare,
};
