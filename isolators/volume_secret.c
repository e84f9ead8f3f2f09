/* volume/secret: a secret as a file, which lies in memory and is seen in the container's mounts only. It travels in the launch plan, from
 * which the shim wipes it once the file is there. */
#include "isolators/secret_resolver.h"
#include "isolators/volume.h"

#include <errno.h>

static int create(struct fl_loop *loop, const struct isolator_config *config,
                  isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    int r = need_linux(config, err);

    return r < 0 ? r : secret_isolator_new(&isolator_volume_secret, config, ret, err);
}

static int add_secret(const struct secret_isolator *x, const struct isolated_container *c,
                      const V1__Volume *v, struct launch_plan *plan, struct fl_err *err)
{
    unsigned options = v->mode == V1__VOLUME__MODE__RO ? PLAN_MOUNT_READ_ONLY : 0;
    const char *at = v->container_path;
    char *value = NULL;
    size_t n = 0;

    if (!v->source->secret)
        return fl_err_set(err, FL_INVALID, "volume.source.secret is not specified");
    int r = volume_target(c, &at, &options, err);
    if (r == 0)
        r = secret_resolve(&x->resolver, v->source->secret, &value, &n, err);
    if (r < 0)
        return r;
    launch_plan_secret(plan, at, options, value, n);
    secret_free(value, n);
    return 0;
}

static int prepare(struct isolator *i, const struct isolated_container *c, struct launch_plan *plan,
                   struct fl_err *err)
{
    int r = 0;

    for (size_t k = 0; c->info && !c->debug && k < c->info->n_volumes && r == 0; k++) {
        const V1__Volume *v = c->info->volumes[k];
        if (v->source && v->source->has_type && v->source->type == V1__VOLUME__SOURCE__TYPE__SECRET)
            r = add_secret((const struct secret_isolator *)i, c, v, plan, err);
    }
    return r;
}

const struct isolator_ops isolator_volume_secret = {
    .name = "volume/secret",
    .create = create,
    .free = secret_isolator_free,
    .prepare = prepare,
};
