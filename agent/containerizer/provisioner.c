/* See provisioner.h. There is no provider of images yet: nobody gets a provisioner, and containers with images are refused. */
#include "agent/containerizer/provisioner.h"

#include <errno.h>

#include "agent/flags.h"

int provisioner_new(struct fl_loop *loop, const struct agent_flags *flags, struct provisioner **ret,
                    struct fl_err *err)
{
    *ret = NULL;
    return 0;
}

void provisioner_free(struct provisioner *p)
{
}

void provisioner_provision(struct provisioner *p, const char *container_id, const V1__Image *image,
                           provisioner_done_f *done, void *arg)
{
}

int provisioner_destroy(struct provisioner *p, const char *container_id)
{
    return 0;
}

void provisioner_each(struct provisioner *p, void (*found)(void *arg, const char *container_id),
                      void *arg)
{
}

int provisioner_prune(struct provisioner *p, const V1__Image *const *excluded, size_t n,
                      provisioner_pruned_f *done, void *arg, struct fl_err *err)
{
    return fl_err_set(err, FL_UNSUPPORTED, "this agent has no provider of images");
}
