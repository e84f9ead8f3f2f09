/* Which changes of quota are refused, in the reference's order. What is compared against is what the registry will have when all changes
 * that are on their way have been written, so two requests at once cannot pass where one after the other would not.
 *
 * Quota is for top-level roles only, so the rule that a role's guarantees contain those of the roles below it cannot be broken, and the
 * total of the guarantees is their sum. */
#include <math.h>

#include "common/model/intern.h"
#include "common/model/roles.h"
#include "master/core.h"
#include "master/quota.h"
#include "master/roles.h"

/* ---- as it will be ---- */

struct planned {
    const char *role;          /* key */
    const struct quota *quota; /* borrowed; NULL: none */
    UT_hash_handle hh;
};

static void plan_one(struct planned **list, const char *role, const struct quota *q)
{
    struct planned *p;

    HASH_FIND_STR(*list, role, p);
    if (!p) {
        p = xnew0(struct planned);
        p->role = role;
        HASH_ADD_KEYPTR(hh, *list, p->role, strlen(p->role), p);
    }
    p->quota = q;
}

static void plan_write(struct planned **list, const struct quota_write *w)
{
    for (size_t i = 0; i < w->n; i++)
        plan_one(list, w->changes[i].role, w->changes[i].quota);
}

static struct planned *plan(const struct master *m)
{
    struct planned *list = NULL;
    const struct quota_write *w;

    for (const struct role *r = m->core->roles; r; r = r->hh.next)
        if (r->quota)
            plan_one(&list, r->name, r->quota);
    DL_FOREACH (m->core->quota_writes, w)
        plan_write(&list, w);
    return list;
}

static void plan_free(struct planned *list)
{
    struct planned *p, *tmp;

    HASH_ITER (hh, list, p, tmp) {
        HASH_DEL(list, p);
        free(p);
    }
}

static bool has_quota(const struct master *m, const char *role)
{
    struct planned *list = plan(m), *p;
    bool has;

    HASH_FIND_STR(list, role, p);
    has = p && p->quota;
    plan_free(list);
    return has;
}

/* All that is guaranteed once `w` is written too. */
static void total_guarantees(const struct master *m, const struct quota_write *w,
                             struct quantities *ret)
{
    struct planned *list = plan(m);

    plan_write(&list, w);
    for (const struct planned *p = list; p; p = p->hh.next)
        if (p->quota)
            quantities_add(ret, &p->quota->guarantees);
    plan_free(list);
}

/* Of all registered agents, disconnected ones too: that is mostly over soon. */
static void capacity(const struct master *m, struct quantities *ret)
{
    for (const struct agent *a = m->agents; a; a = a->hh.next) {
        _cleanup_resources_ struct resources firm = RESOURCES_INIT;
        resources_revocable(&a->total, false, &firm);
        quantities_add_resources(ret, &firm);
    }
}

/* ---- amounts ---- */

bool quota_within(const struct quantities *limits, const struct quantities *amounts)
{
    for (size_t i = 0; i < limits->n; i++)
        if (quantities_get(amounts, limits->items[i].name) > limits->items[i].amount)
            return false;
    return true;
}

bool quota_is_default(const struct quota *q)
{
    return q->guarantees.n == 0 && q->limits.n == 0;
}

struct quota *quota_from_config(const Quota__QuotaConfig *config)
{
    struct quota *q = xnew0(struct quota);

    for (size_t i = 0; i < config->n_guarantees; i++)
        quantities_set(&q->guarantees, config->guarantees[i]->key,
                       milli_from_double(config->guarantees[i]->value->value));
    for (size_t i = 0; i < config->n_limits; i++)
        quantities_set(&q->limits, config->limits[i]->key,
                       milli_from_double(config->limits[i]->value->value));
    quantities_drop_zeros(&q->guarantees);
    return q;
}

static int check_amount(const char *what, const char *name, double v, struct fl_err *err)
{
    static const double exabyte_in_mb = 1024.0 * 1024 * 1024 * 1024, trillion = 1e12;
    bool in_mb = streq(name, "mem") || streq(name, "disk");
    const char *why = NULL;

    if (v > (in_mb ? exabyte_in_mb : trillion) && !isinf(v))
        return fl_err_set(err, FL_INVALID,
                          "Invalid 'QuotaConfig.%ss': {'%.100s': %g} is invalid: values greater "
                          "than 1 %s are not supported",
                          what, name, v, in_mb ? "exabyte" : "trillion");
    switch (fpclassify(v)) {
    case FP_INFINITE:
        why = "Infinite values not supported";
        break;
    case FP_NAN:
        why = "NaN not supported";
        break;
    case FP_SUBNORMAL:
        why = "Subnormal values not supported";
        break;
    default:
        why = v < 0 ? "Negative values not supported" : NULL;
    }
    if (why)
        return fl_err_set(err, FL_INVALID, "Invalid %s configuration {'%.100s': %g}: %s", what,
                          name, v, why);
    return 0;
}

static int check_amounts(const Quota__QuotaConfig *c, struct fl_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->n_guarantees; i++)
        r = check_amount("guarantee", c->guarantees[i]->key, c->guarantees[i]->value->value, err);
    for (size_t i = 0; r == 0 && i < c->n_limits; i++)
        r = check_amount("limit", c->limits[i]->key, c->limits[i]->value->value, err);
    return r;
}

/* "cpus:1; mem:2" in the scratch arena */
static const char *text_of(const struct master *m, const struct quantities *q)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    quantities_format(q, &out);
    return fl_arena_strdup(m->core->scratch, fl_buf_cstr(&out));
}

/* ---- UPDATE_QUOTA ---- */

static int check_config(const struct master *m, const Quota__QuotaConfig *c, struct fl_err *err)
{
    int r;

    if (!role_is_whitelisted(m, c->role))
        return fl_err_set(err, FL_INVALID,
                          "Invalid QuotaConfig: '%.200s' is not on the roles whitelist", c->role);
    if (strchr(c->role, '/'))
        return fl_err_set(err, FL_INVALID,
                          "Updating quota on nested role '%.200s' is not supported yet", c->role);
    r = role_validate(c->role, err);
    if (r < 0) {
        fl_err_wrap(err, "Invalid 'QuotaConfig.role'");
        return fl_err_wrap(err, "Invalid QuotaConfig");
    }
    if (check_amounts(c, err) < 0)
        return fl_err_wrap(err, "Invalid QuotaConfig");
    _cleanup_(quota_freep) struct quota *q = quota_from_config(c);
    if (!quota_within(&q->limits, &q->guarantees))
        return fl_err_set(err, FL_INVALID,
                          "Invalid QuotaConfig: 'QuotaConfig.guarantees' '%.150s' is not contained "
                          "within the 'QuotaConfig.limits' '%.150s'",
                          text_of(m, &q->guarantees), text_of(m, &q->limits));
    return 0;
}

static int check_consumption(const struct master *m, const struct quota_change *c, bool force,
                             struct fl_err *err)
{
    _cleanup_quantities_ struct quantities consumed = QUANTITIES_INIT;

    role_consumed(role_find(m, c->role), &consumed);
    if (quota_within(&c->quota->limits, &consumed))
        return 0;
    if (force) {
        log_info("the limits of role '%s' are set below what it consumes, '%s': that is forced",
                 c->role, text_of(m, &consumed));
        return 0;
    }
    return fl_err_set(err, FL_INVALID,
                      "Invalid QuotaConfig: Role '%.100s' is already consuming '%.120s'; this is "
                      "more than the requested limits '%.120s' (use 'force' flag to bypass this "
                      "check)",
                      c->role, text_of(m, &consumed), text_of(m, &c->quota->limits));
}

/* Both amounts as text when more is guaranteed than there is. */
static bool overcommits(const struct master *m, const struct quota_write *w, const char **ret_total,
                        const char **ret_capacity)
{
    _cleanup_quantities_ struct quantities total = QUANTITIES_INIT, have = QUANTITIES_INIT;

    total_guarantees(m, w, &total);
    capacity(m, &have);
    if (quantities_contains(&have, &total))
        return false;
    *ret_total = text_of(m, &total);
    *ret_capacity = text_of(m, &have);
    return true;
}

int quota_check_update(const struct master *m, const Mapi__Call__UpdateQuota *call,
                       const char *principal, struct quota_write *w, struct fl_err *err)
{
    bool force = call->has_force && call->force;
    const char *total, *have;
    int r = 0;

    for (size_t i = 0; i < call->n_quota_configs; i++) {
        r = check_config(m, call->quota_configs[i], err);
        if (r < 0)
            return r;
    }
    w->changes = xcalloc(call->n_quota_configs + 1, sizeof(*w->changes));
    for (; w->n < call->n_quota_configs; w->n++)
        w->changes[w->n] = (struct quota_change){intern(call->quota_configs[w->n]->role),
                                                 quota_from_config(call->quota_configs[w->n])};
    for (size_t i = 0; i < w->n; i++) {
        r = check_consumption(m, &w->changes[i], force, err);
        if (r < 0)
            return r;
    }
    if (overcommits(m, w, &total, &have) && !force)
        return fl_err_set(err, FL_INVALID,
                          "Invalid QuotaConfig: total quota guarantees '%.150s' exceed cluster "
                          "capacity '%.150s' (use 'force' flag to bypass this check)",
                          total, have);
    for (size_t i = 0; r == 0 && i < w->n; i++)
        r = acls_check(m->acls, ACL_UPDATE_QUOTAS, principal, w->changes[i].role, err);
    return r;
}

/* ---- SET_QUOTA ---- */

static int check_guarantee(const V1__Resource *r, struct fl_err *err)
{
    if (r->n_reservations > 0 || r->reservation || (r->role && !streq(r->role, "*")))
        return fl_err_set(err, FL_INVALID, "QuotaInfo must not contain any ReservationInfo");
    if (r->disk)
        return fl_err_set(err, FL_INVALID, "QuotaInfo must not contain DiskInfo");
    if (r->revocable)
        return fl_err_set(err, FL_INVALID, "QuotaInfo must not contain RevocableInfo");
    if (r->type != V1__VALUE__TYPE__SCALAR || !r->scalar)
        return fl_err_set(err, FL_INVALID, "QuotaInfo must not include non-scalar resources");
    return 0;
}

static int check_request(const Quota__QuotaRequest *request, struct quantities *ret,
                         struct fl_err *err)
{
    _cleanup_resources_ struct resources valid = RESOURCES_INIT;

    if (resources_from_pb(request->guarantee, request->n_guarantee, &valid, err) < 0)
        return fl_err_wrap(err, "QuotaInfo with invalid resource");
    if (!request->role)
        return fl_err_set(err, FL_INVALID, "QuotaInfo must specify a role");
    if (role_validate(request->role, err) < 0)
        return fl_err_wrap(err, "QuotaInfo with invalid role");
    if (request->n_guarantee == 0)
        return fl_err_set(err, FL_INVALID, "QuotaInfo with empty 'guarantee'");
    for (size_t i = 0; i < request->n_guarantee; i++) {
        const V1__Resource *r = request->guarantee[i];
        if (check_guarantee(r, err) < 0)
            return err->code;
        if (quantities_find(ret, r->name))
            return fl_err_set(err, FL_INVALID,
                              "QuotaInfo contains duplicate resource name '%.100s'", r->name);
        quantities_set(ret, r->name, milli_from_double(r->scalar->value));
    }
    return 0;
}

int quota_check_set(const struct master *m, const Quota__QuotaRequest *request,
                    const char *principal, struct quota_write *w, struct fl_err *err)
{
    static const char failed[] = "Failed to validate set quota request";
    _cleanup_quantities_ struct quantities amounts = QUANTITIES_INIT;
    const char *total, *have;

    if (check_request(request, &amounts, err) < 0)
        return fl_err_wrap(err, failed);
    if (!role_is_whitelisted(m, request->role))
        return fl_err_set(err, FL_INVALID, "%s: Unknown role '%.200s'", failed, request->role);
    if (has_quota(m, request->role))
        return fl_err_set(err, FL_INVALID,
                          "%s: Cannot set quota for role '%.200s' which already has quota", failed,
                          request->role);
    if (strchr(request->role, '/'))
        return fl_err_set(err, FL_INVALID,
                          "Setting quota on nested role '%.200s' is not supported yet",
                          request->role);
    if (acls_check(m->acls, ACL_UPDATE_QUOTAS, principal, request->role, err) < 0)
        return err->code;
    w->changes = xcalloc(1, sizeof(*w->changes));
    w->n = 1;
    w->changes[0] = (struct quota_change){intern(request->role), xnew0(struct quota)};
    quantities_copy(&w->changes[0].quota->guarantees, &amounts);
    quantities_drop_zeros(&w->changes[0].quota->guarantees);
    quantities_copy(&w->changes[0].quota->limits, &amounts);
    if (!(request->has_force && request->force) && overcommits(m, w, &total, &have))
        return fl_err_set(
            err, FL_CONFLICT,
            "Quota guarantees overcommit the cluster (use 'force' to bypass this "
            "check): Total quota guarantees '%.150s' exceed cluster capacity '%.150s'",
            total, have);
    return 0;
}

/* ---- REMOVE_QUOTA ---- */

int quota_check_remove(const struct master *m, const char *role, const char *principal,
                       struct quota_write *w, struct fl_err *err)
{
    if (!role_is_whitelisted(m, role))
        return fl_err_set(err, FL_INVALID,
                          "Failed to validate remove quota request: Unknown role '%.200s'", role);
    if (!has_quota(m, role))
        return fl_err_set(err, FL_INVALID, "Failed to remove quota: Role '%.200s' has no quota set",
                          role);
    if (acls_check(m->acls, ACL_UPDATE_QUOTAS, principal, role, err) < 0)
        return err->code;
    w->changes = xcalloc(1, sizeof(*w->changes));
    w->n = 1;
    w->changes[0].role = intern(role);
    return 0;
}
