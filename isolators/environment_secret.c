/* environment_secret: the values of environment variables that are secrets. Always on, as in the reference; they come before what the
 * command's own environment says plainly. */
#include "isolators/secret_resolver.h"

static int create(struct fl_loop *loop, const struct isolator_config *config,
                  isolator_limit_f *limit, void *arg, struct isolator **ret, struct fl_err *err)
{
    return secret_isolator_new(&isolator_environment_secret, config, ret, err);
}

static int add_variable(const struct secret_isolator *x, const V1__Environment__Variable *v,
                        struct launch_plan *plan, struct fl_err *err)
{
    char *value = NULL;
    size_t n = 0;

    if (!v->secret)
        return fl_err_set(err, FL_INVALID,
                          "Environment variable '%s' of type 'SECRET' must have a secret set",
                          v->name);
    if (v->value)
        return fl_err_set(err, FL_INVALID,
                          "Environment variable '%s' of type 'SECRET' must not have a value set",
                          v->name);
    if (!*v->name || strchr(v->name, '='))
        return fl_err_set(err, FL_INVALID, "'%s' cannot be the name of an environment variable",
                          v->name);
    int r = secret_resolve(&x->resolver, v->secret, &value, &n, err);
    if (r < 0)
        return fl_err_wrap(err, "environment variable '%s'", v->name);
    if (memchr(value, 0, n)) {
        r = fl_err_set(err, FL_INVALID,
                       "Environment variable '%s' specifies a secret containing null bytes, which "
                       "is not allowed in the environment",
                       v->name);
    } else {
        char *entry = xasprintf("%s=%s", v->name, value);
        launch_plan_env(plan, entry);
        secret_free(entry, strlen(entry));
    }
    secret_free(value, n);
    return r;
}

static int prepare(struct isolator *i, const struct isolated_container *c, struct launch_plan *plan,
                   struct fl_err *err)
{
    const V1__Environment *e = c->command->environment;
    int r = 0;

    for (size_t k = 0; e && k < e->n_variables && r == 0; k++) {
        const V1__Environment__Variable *v = e->variables[k];
        if (v->has_type && v->type == V1__ENVIRONMENT__VARIABLE__TYPE__SECRET)
            r = add_variable((const struct secret_isolator *)i, v, plan, err);
    }
    return r;
}

const struct isolator_ops isolator_environment_secret = {
    .name = "environment_secret",
    .create = create,
    .free = secret_isolator_free,
    .prepare = prepare,
};
