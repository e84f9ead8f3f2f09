/* FrameworkInfo: roles, id, offer filters, failover timeout. Pure. The order of the checks is the protocol's. */
#include <math.h>

#include "common/model/gang.h"
#include "common/model/roles.h"
#include "common/model/validate.h"

/* A failover_timeout becomes nanoseconds in 64 bits. */
#define SECONDS_MAX ((double)INT64_MAX / 1e9)

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_duplicate(char *const *texts, size_t n, const char **ret_text)
{
    if (n < 2)
        return 0;
    _cleanup_free_ char **sorted = xmemdup(texts, n * sizeof(*texts));
    qsort(sorted, n, sizeof(*sorted), compare_text);
    for (size_t i = 1; i < n; i++) {
        if (streq(sorted[i - 1], sorted[i])) {
            *ret_text = sorted[i];
            return 1;
        }
    }
    return 0;
}

static int validate_multi_role(const V1__FrameworkInfo *info, struct fl_err *err)
{
    if (info->role && info->role != v1__framework_info__role__default_value)
        return fl_err_set(
            err, FL_INVALID,
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable");
    const char *twice;
    if (find_duplicate(info->roles, info->n_roles, &twice))
        return fl_err_set(err, FL_INVALID, "'FrameworkInfo.roles' has '%s' twice", twice);
    for (size_t i = 0; i < info->n_roles; i++) {
        int rc = role_validate(info->roles[i], err);
        if (rc < 0) {
            fl_err_wrap(err, "'FrameworkInfo.roles' has an invalid role");
            return rc;
        }
    }
    return 0;
}

static int validate_single_role(const V1__FrameworkInfo *info, struct fl_err *err)
{
    if (info->n_roles)
        return fl_err_set(
            err, FL_INVALID,
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable");
    int rc = role_validate(info->role ? info->role : "*", err);
    if (rc < 0)
        fl_err_wrap(err, "'FrameworkInfo.role' is not a valid role");
    return rc;
}

static int validate_quantity(const char *name, double v, struct fl_err *err)
{
    const char *what = NULL;
    switch (fpclassify(v)) {
    case FP_INFINITE:
        what = "infinite";
        break;
    case FP_NAN:
        what = "not a number";
        break;
    case FP_SUBNORMAL:
        what = "subnormal";
        break;
    default:
        if (v < 0)
            what = "negative";
    }
    return what ? fl_err_set(err, FL_INVALID, "the quantity of '%s' in 'offer_filters' is %s", name,
                             what)
                : 0;
}

static int validate_offer_filters(const V1__OfferFilters *filters, struct fl_err *err)
{
    const V1__OfferFilters__MinAllocatableResources *min = filters->min_allocatable_resources;
    for (size_t i = 0; min && i < min->n_quantities; i++) {
        const V1__OfferFilters__ResourceQuantities *q = min->quantities[i];
        if (q->n_quantities == 0)
            return fl_err_set(err, FL_INVALID,
                              "quantities in 'offer_filters' must name at least one resource");
        for (size_t k = 0; k < q->n_quantities; k++) {
            int rc = validate_quantity(q->quantities[k]->key, q->quantities[k]->value->value, err);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static bool contains(const char *const *texts, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (streq(texts[i], text))
            return true;
    return false;
}

/* Every role must be in the list that the operator gave with --roles. */
static int validate_whitelisted(const char *const *roles, size_t n_roles,
                                const char *const *whitelist, size_t n, struct fl_err *err)
{
    for (size_t i = 0; whitelist && i < n_roles; i++)
        if (!streq(roles[i], "*") && !contains(whitelist, n, roles[i]))
            return fl_err_set(err, FL_INVALID,
                              "role '%s' is not one of the roles this master was started with",
                              roles[i]);
    return 0;
}

static int validate_suppressed(const char *const *roles, size_t n_roles, char *const *suppressed,
                               size_t n, struct fl_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!contains(roles, n_roles, suppressed[i]))
            return fl_err_set(err, FL_INVALID,
                              "suppressed role '%s' is not a role of the framework", suppressed[i]);
    return 0;
}

static int validate_fields(const V1__FrameworkInfo *info, struct fl_err *err)
{
    bool multi = framework_has_capability(info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
    int rc = multi ? validate_multi_role(info, err) : validate_single_role(info, err);
    if (rc < 0)
        return rc;
    if (info->id && info->id->value[0]) {
        rc = validate_id(info->id->value, err);
        if (rc < 0) {
            fl_err_wrap(err, "'FrameworkInfo.id' is invalid");
            return rc;
        }
    }
    for (size_t i = 0; i < info->n_offer_filters; i++) {
        rc = validate_offer_filters(info->offer_filters[i]->value, err);
        if (rc < 0)
            return rc;
    }
    double timeout = info->failover_timeout;
    /* A negative one is none. */
    if (!isfinite(timeout) || timeout < -SECONDS_MAX || timeout > SECONDS_MAX)
        return fl_err_set(err, FL_INVALID,
                          "The framework failover_timeout (%g) is invalid: at most %g seconds",
                          timeout, SECONDS_MAX);
    return 0;
}

int validate_framework_info(const V1__FrameworkInfo *info, const char *const *role_whitelist,
                            size_t n_whitelist, char *const *suppressed, size_t n_suppressed,
                            struct fl_err *err)
{
    int rc = validate_fields(info, err);
    if (rc < 0)
        return rc;
    _cleanup_free_ const char **roles = NULL;
    size_t n = framework_roles(info, &roles);
    rc = validate_whitelisted(roles, n, role_whitelist, n_whitelist, err);
    if (rc == 0)
        rc = validate_suppressed(roles, n, suppressed, n_suppressed, err);
    if (rc == 0)
        rc = gang_validate_framework(info, roles, n, err);
    return rc;
}

int validate_framework_update(const V1__FrameworkInfo *old, const V1__FrameworkInfo *new_info,
                              struct fl_err *err)
{
    if (!streq(old->principal, new_info->principal))
        return fl_err_set(err, FL_INVALID, "Changing framework's principal is not allowed.");
    if (!streq(old->user, new_info->user))
        return fl_err_set(err, FL_INVALID,
                          "'FrameworkInfo.user' cannot be changed from '%s' to '%s'", old->user,
                          new_info->user);
    if (old->checkpoint != new_info->checkpoint)
        return fl_err_set(
            err, FL_INVALID, "'FrameworkInfo.checkpoint' cannot be changed from '%s' to '%s'",
            old->checkpoint ? "true" : "false", new_info->checkpoint ? "true" : "false");
    return 0;
}
