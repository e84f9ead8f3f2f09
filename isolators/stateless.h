/* Isolators that keep nothing between containers: their object is the ops and the flags. */
#ifndef ISOLATORS_STATELESS_H
#define ISOLATORS_STATELESS_H

#include "isolators/isolators_priv.h"

struct stateless_isolator {
    struct isolator base; /* first */
    const struct isolator_config *config;
};

static inline struct isolator *stateless_new(const struct isolator_ops *ops,
                                             const struct isolator_config *config)
{
    struct stateless_isolator *s = xnew0(struct stateless_isolator);

    s->base.ops = ops;
    s->config = config;
    return &s->base;
}

static inline const struct isolator_config *stateless_config(const struct isolator *i)
{
    return ((const struct stateless_isolator *)i)->config;
}

static inline void stateless_free(struct isolator *i)
{
    free(i);
}

/* Namespaces and mounts are for root under --launcher=linux. */
static inline int need_linux(const struct isolator_config *config, struct fl_err *err)
{
    if (!streq(config->launcher, "linux"))
        return fl_err_set(err, FL_UNSUPPORTED, "it needs --launcher=linux");
    if (geteuid() != 0)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "it needs root; run the agent as root or leave it out");
    return 0;
}

#define STATELESS_CREATE(fn, ops, need)                                                            \
    static int fn(struct fl_loop *loop, const struct isolator_config *config,                      \
                  isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)   \
    {                                                                                              \
        int r = (need) ? need_linux(config, err) : 0;                                              \
        if (r == 0)                                                                                \
            *ret = stateless_new(&(ops), config);                                                  \
        return r;                                                                                  \
    }

#endif
