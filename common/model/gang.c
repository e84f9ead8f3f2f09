/* The label that asks for gang offers (gang.h), read and checked. */
#include "common/model/gang.h"

#include "common/base/flags.h"
#include "common/model/roles.h"

void gang_done(struct gang *g)
{
    quantities_done(&g->total);
    quantities_done(&g->unit);
    free(g->attribute);
    free(g->role);
    *g = (struct gang){.hold_us = 0};
}

bool gang_equal(const struct gang *a, const struct gang *b)
{
    return quantities_equal(&a->total, &b->total) && quantities_equal(&a->unit, &b->unit) &&
           a->count == b->count && a->same == b->same && streq(a->attribute, b->attribute) &&
           a->hold_us == b->hold_us && streq(a->role, b->role);
}

/* ---- one setting ---- */

static int read_amounts(const char *value, struct quantities *out, struct fl_err *err)
{
    int r = quantities_parse(value, out, err);

    if (r < 0)
        return r;
    for (size_t i = out->n; i > 0; i--) {
        if (out->items[i - 1].amount == 0)
            return fl_err_set(err, FL_INVALID, "an amount of 0 of '%s' asks for nothing",
                              out->items[i - 1].name);
    }
    if (out->n == 0 || out->n > GANG_MAX_AMOUNTS)
        return fl_err_set(err, FL_INVALID,
                          "'%s' has to name 1 to %d amounts, as in 'cpus:8;mem:64'", value,
                          GANG_MAX_AMOUNTS);
    return 0;
}

static int read_total(struct gang *g, const char *value, struct fl_err *err)
{
    return read_amounts(value, &g->total, err);
}

static int read_unit(struct gang *g, const char *value, struct fl_err *err)
{
    return read_amounts(value, &g->unit, err);
}

static int read_count(struct gang *g, const char *value, struct fl_err *err)
{
    if (fl_parse_u64(value, &g->count) < 0 || g->count == 0 || g->count > GANG_MAX_COUNT)
        return fl_err_set(err, FL_INVALID, "'count=%s' is no number from 1 to %d", value,
                          GANG_MAX_COUNT);
    return 0;
}

static int read_same(struct gang *g, const char *value, struct fl_err *err)
{
    static const struct {
        const char *name;
        enum gang_same same;
    } kinds[] = {{"region", GANG_SAME_REGION}, {"zone", GANG_SAME_ZONE}, {"host", GANG_SAME_HOST}};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (streq(kinds[i].name, value)) {
            g->same = kinds[i].same;
            return 0;
        }
    }
    if (!str_starts(value, "attribute:") || !value[strlen("attribute:")])
        return fl_err_set(err, FL_INVALID,
                          "'same=%s' is none of region, zone, host, attribute:NAME", value);
    g->same = GANG_SAME_ATTRIBUTE;
    g->attribute = xstrdup(value + strlen("attribute:"));
    return 0;
}

static int read_hold(struct gang *g, const char *value, struct fl_err *err)
{
    int r = fl_duration_parse(value, &g->hold_us, err);

    if (r < 0)
        return r;
    if (g->hold_us > GANG_MAX_HOLD_US)
        return fl_err_set(err, FL_INVALID, "'hold=%s' is over 10mins", value);
    return 0;
}

static int read_role(struct gang *g, const char *value, struct fl_err *err)
{
    int r = role_validate(value, err);

    if (r == 0)
        g->role = xstrdup(value);
    return r;
}

static const struct {
    const char *key;
    int (*read)(struct gang *g, const char *value, struct fl_err *err);
} settings[] = {
    {"total", read_total}, {"unit", read_unit}, {"count", read_count},
    {"same", read_same},   {"hold", read_hold}, {"role", read_role},
};

static int read_setting(struct gang *g, char *word, unsigned *seen, struct fl_err *err)
{
    char *eq = strchr(word, '=');

    if (eq) {
        *eq = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
            if (!streq(settings[i].key, word))
                continue;
            if (*seen & (1u << i))
                return fl_err_set(err, FL_INVALID, "'%s' is given twice", word);
            *seen |= 1u << i;
            return settings[i].read(g, eq + 1, err);
        }
    }
    return fl_err_set(err, FL_INVALID,
                      "'%s' is none of total=, unit=, count=, same=, hold=, role=", word);
}

/* ---- the whole ---- */

static int complete(struct gang *g, struct fl_err *err)
{
    if ((g->count != 0) == (g->total.n != 0))
        return fl_err_set(err, FL_INVALID, "say either 'total=' or 'count='");
    if (g->count == 0)
        return 0;
    if (g->unit.n == 0)
        return fl_err_set(err, FL_INVALID, "'count=' needs 'unit='");
    for (size_t i = 0; i < g->unit.n; i++) {
        milli_t sum;
        if (__builtin_mul_overflow(g->unit.items[i].amount, (milli_t)g->count, &sum))
            return fl_err_set(err, FL_INVALID, "so much of '%s' is in no cluster",
                              g->unit.items[i].name);
        quantities_set(&g->total, g->unit.items[i].name, sum);
    }
    return 0;
}

static int read_words(struct gang *g, const char *text, struct fl_err *err)
{
    unsigned seen = 0;

    for (const char *p = text + strspn(text, " "); *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        _cleanup_free_ char *word = xstrndup(p, n);
        int r = read_setting(g, word, &seen, err);

        if (r < 0)
            return r;
        p += n;
    }
    return complete(g, err);
}

int gang_parse(const char *text, struct gang *out, struct fl_err *err)
{
    struct gang g = {.hold_us = GANG_DEFAULT_HOLD_US};
    int r = read_words(&g, text, err);

    if (r < 0) {
        gang_done(&g);
        return fl_err_wrap(err, "label '%s' with '%s'", GANG_LABEL, text);
    }
    gang_done(out);
    *out = g;
    return 0;
}

/* ---- of a framework ---- */

/* The next label that asks for a gang, from number *i on. 1: *out is filled; 0: there is none; or what is wrong with it. */
static int next_gang(const V1__FrameworkInfo *info, size_t *i, struct gang *out, struct fl_err *err)
{
    while (info->labels && *i < info->labels->n_labels) {
        const V1__Label *l = info->labels->labels[(*i)++];
        int r;

        if (!l->key || !streq(l->key, GANG_LABEL))
            continue;
        r = gang_parse(l->value ? l->value : "", out, err);
        return r < 0 ? r : 1;
    }
    return 0;
}

int gang_of_framework(const V1__FrameworkInfo *info, const char *role, struct gang *out,
                      struct fl_err *err)
{
    _cleanup_gang_ struct gang g = {.count = 0};
    size_t i = 0;
    int r;

    while ((r = next_gang(info, &i, &g, err)) > 0) {
        if (g.role && !streq(g.role, role))
            continue;
        gang_done(out);
        *out = g;
        g = (struct gang){.count = 0};
        return 1;
    }
    return r;
}

static int check_role(const struct gang *g, const char *const *roles, size_t n_roles,
                      struct fl_err *err)
{
    for (size_t i = 0; i < n_roles; i++)
        if (streq(roles[i], g->role))
            return 0;
    return fl_err_set(err, FL_INVALID,
                      "label '%s' is for role '%s', which the framework does not have", GANG_LABEL,
                      g->role);
}

int gang_validate_framework(const V1__FrameworkInfo *info, const char *const *roles, size_t n_roles,
                            struct fl_err *err)
{
    _cleanup_free_ char *seen = xcalloc(n_roles + 1, 1);

    _cleanup_gang_ struct gang g = {.count = 0};
    size_t i = 0;
    int r;

    while ((r = next_gang(info, &i, &g, err)) > 0) {
        if (g.role)
            r = check_role(&g, roles, n_roles, err);
        if (r < 0)
            return r;
        for (size_t k = 0; k < n_roles; k++) {
            if (g.role && !streq(g.role, roles[k]))
                continue;
            if (seen[k]++)
                return fl_err_set(err, FL_INVALID, "role '%s' has more than one label '%s'",
                                  roles[k], GANG_LABEL);
        }
    }
    return r;
}
