/* The table of isolators and the reading of --isolation (features.md 5.1).
 *
 * Isolators prepare in the table's order, whatever the order in the flag, and clean up in reverse. Rules of the reference:
 * exactly one filesystem/...; names that stand for several; isolators that need another are refused without it.
 */
#include "isolators/isolators_priv.h"

#include <errno.h>

/* In order of preparing. */
static const struct isolator_ops *const table[] = {
    &isolator_posix_cpu,
    &isolator_posix_mem,
};

const struct isolator_ops *isolator_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (streq(table[i]->name, name))
            return table[i];
    return NULL;
}

struct chosen {
    bool on[ARRAY_SIZE(table)];
};

static bool choose(struct chosen *c, const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strlen(table[i]->name) == n && memcmp(table[i]->name, name, n) == 0) {
            c->on[i] = true;
            return true;
        }
    return false;
}

static int parse(const char *isolation, struct chosen *c, struct fl_err *err)
{
    for (const char *p = isolation; *p;) {
        size_t n = strcspn(p, ",");
        if (n && !choose(c, p, n))
            return fl_err_set(err, FL_INVALID, "--isolation: there is no isolator '%.*s'", (int)n,
                              p);
        p += n + (p[n] == ',');
    }
    return 0;
}

static void free_all(struct isolator **v, size_t n)
{
    while (n-- > 0)
        v[n]->ops->free(v[n]);
    free(v);
}

int isolators_create(struct fl_loop *loop, const struct isolator_config *config,
                     const char *isolation, isolator_limit_f *limit, void *arg,
                     struct isolator ***ret, size_t *ret_n, struct fl_err *err)
{
    struct chosen c = {{false}};
    struct isolator **v = xcalloc(ARRAY_SIZE(table), sizeof(*v));
    size_t n = 0;

    int r = parse(isolation, &c, err);
    for (size_t i = 0; i < ARRAY_SIZE(table) && r == 0; i++) {
        if (!c.on[i])
            continue;
        r = table[i]->create(loop, config, limit, arg, &v[n], err);
        if (r < 0)
            fl_err_wrap(err, "isolator '%s'", table[i]->name);
        else
            n++;
    }
    if (r < 0) {
        free_all(v, n);
        return r;
    }
    *ret = v;
    *ret_n = n;
    return 0;
}
