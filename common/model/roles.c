/* Role names: '/' makes a tree, every component is a word. Pure. */
#include "common/model/roles.h"

static bool component_is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(s, word, n) == 0;
}

static int validate_component(const char *role, const char *s, size_t n, struct fl_err *err)
{
    static const char *const reserved[] = {".", "..", "*"};
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        if (component_is(s, n, reserved[i]))
            return fl_err_set(err, FL_INVALID, "role '%s' must not have '%s' as a component", role,
                              reserved[i]);
    if (s[0] == '-')
        return fl_err_set(err, FL_INVALID,
                          "role '%s' has the component '%.*s', which begins with a dash", role,
                          (int)n, s);
    for (size_t i = 0; i < n; i++)
        if (strchr("\t\n\v\f\r \x7f", s[i]))
            return fl_err_set(err, FL_INVALID, "role '%s' has blanks or control characters", role);
    return 0;
}

int role_validate(const char *role, struct fl_err *err)
{
    if (streq(role, "*"))
        return 0;
    size_t len = strlen(role);
    if (len == 0)
        return fl_err_set(err, FL_INVALID, "a role must not be empty");
    if (len > ROLE_MAX)
        return fl_err_set(err, FL_INVALID, "a role must have at most %d characters", ROLE_MAX);
    if (role[0] == '/')
        return fl_err_set(err, FL_INVALID, "role '%s' must not start with a slash", role);
    if (role[len - 1] == '/')
        return fl_err_set(err, FL_INVALID, "role '%s' must not end with a slash", role);
    if (strstr(role, "//"))
        return fl_err_set(err, FL_INVALID, "role '%s' must not have two slashes in a row", role);
    for (const char *p = role;;) {
        size_t n = strcspn(p, "/");
        int rc = validate_component(role, p, n, err);
        if (rc < 0)
            return rc;
        p += n;
        if (*p++ == 0)
            return 0;
    }
}

bool role_is_strict_subrole(const char *child, const char *parent)
{
    size_t n = strlen(parent);
    return strncmp(child, parent, n) == 0 && child[n] == '/';
}

size_t framework_roles(const V1__FrameworkInfo *info, const char ***ret_roles)
{
    bool multi = framework_has_capability(info, V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
    size_t n = multi ? info->n_roles : 1;
    const char **roles = xcalloc(n + 1, sizeof(*roles));
    for (size_t i = 0; multi && i < n; i++)
        roles[i] = info->roles[i];
    if (!multi)
        roles[0] = info->role ? info->role : "*";
    *ret_roles = roles;
    return n;
}

bool framework_has_capability(const V1__FrameworkInfo *info,
                              V1__FrameworkInfo__Capability__Type type)
{
    for (size_t i = 0; i < info->n_capabilities; i++)
        if (info->capabilities[i]->has_type && info->capabilities[i]->type == type)
            return true;
    return false;
}
