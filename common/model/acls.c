/* See acls.h. */
#include "common/model/acls.h"

#include <jansson.h>

enum acl_kind { ACL_VALUES, ACL_ROLES, ACL_PATHS, ACL_ALL };

static const struct {
    const char *key, *objects;
    enum acl_kind kind;
} actions[] = {
#define ACL_ACTION(name, key, objects, kind) {key, objects, kind},
#include "common/model/acl_actions.def"
#undef ACL_ACTION
};

static const char *const endpoints[] = {
    "/containers",     "/containerizer/debug", "/files/debug",
    "/logging/toggle", "/metrics/snapshot",    "/monitor/statistics",
};

enum entity_type { ENTITY_SOME, ENTITY_ANY, ENTITY_NONE };

struct entity {
    enum entity_type type;
    char **values; /* owned; sorted, whole texts */
    size_t n;
    char **prefixes; /* owned; "eng/" of the role pattern "eng/%" */
    size_t n_prefixes;
};

struct rule {
    struct entity principals, objects;
};

struct acls {
    bool permissive;
    struct rules {
        struct rule *items; /* owned */
        size_t n;
    } rules[ACL_N_ACTIONS];
};

const char *acl_action_name(enum acl_action action)
{
    return actions[action].key;
}

bool acl_is_endpoint(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
        if (streq(endpoints[i], path))
            return true;
    }
    return false;
}

/* ---- life ---- */

static void texts_free(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

static void entity_done(struct entity *e)
{
    texts_free(e->values, e->n);
    texts_free(e->prefixes, e->n_prefixes);
}

void acls_free(struct acls *a)
{
    if (!a)
        return;
    for (size_t k = 0; k < ACL_N_ACTIONS; k++) {
        for (size_t i = 0; i < a->rules[k].n; i++) {
            entity_done(&a->rules[k].items[i].principals);
            entity_done(&a->rules[k].items[i].objects);
        }
        free(a->rules[k].items);
    }
    free(a);
}

/* ---- parsing ---- */

/* Where in the text something is wrong. */
struct place {
    const char *action, *part;
    size_t index;
};

static int bad(const struct place *p, struct fl_err *err, const char *what)
{
    return fl_err_set(err, FL_INVALID, "'%s' of rule %zu of '%s' %s", p->part, p->index + 1,
                      p->action, what);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int parse_type(const json_t *type, const struct place *p, enum entity_type *ret,
                      struct fl_err *err)
{
    const char *text = json_string_value(type);

    if (!type)
        *ret = ENTITY_SOME;
    else if (streq(text, "SOME"))
        *ret = ENTITY_SOME;
    else if (streq(text, "ANY"))
        *ret = ENTITY_ANY;
    else if (streq(text, "NONE"))
        *ret = ENTITY_NONE;
    else
        return bad(p, err, "has a 'type' that is not SOME, ANY or NONE");
    return 0;
}

static int parse_values(const json_t *values, enum acl_kind kind, const struct place *p,
                        struct entity *e, struct fl_err *err)
{
    size_t n = json_array_size(values);

    if (values && !json_is_array(values))
        return bad(p, err, "has 'values' that are not a list");
    e->values = xcalloc(n + 1, sizeof(char *));
    e->prefixes = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        const char *v = json_string_value(json_array_get(values, i));
        if (!v)
            return bad(p, err, "has a value that is not a text");
        if (kind == ACL_PATHS && e->type == ENTITY_SOME && !acl_is_endpoint(v))
            return fl_err_set(err, FL_INVALID,
                              "'%s' in rule %zu of '%s' is not an endpoint that rules can be "
                              "written for",
                              v, p->index + 1, p->action);
        if (kind == ACL_ROLES && str_ends(v, "/%"))
            e->prefixes[e->n_prefixes++] = xstrndup(v, strlen(v) - 1);
        else
            e->values[e->n++] = xstrdup(v);
    }
    qsort(e->values, e->n, sizeof(char *), by_text);
    return 0;
}

static int parse_entity(const json_t *rule, enum acl_kind kind, const struct place *p,
                        struct entity *e, struct fl_err *err)
{
    const json_t *o = json_object_get(rule, p->part), *value;
    const char *key;
    int r;

    if (!json_is_object(o))
        return bad(p, err, o ? "is not an object" : "is missing");
    json_object_foreach((json_t *)o, key, value)
    {
        if (!streq(key, "type") && !streq(key, "values"))
            return bad(p, err, "has a key other than 'type' and 'values'");
    }
    r = parse_type(json_object_get(o, "type"), p, &e->type, err);
    if (r < 0)
        return r;
    if (kind == ACL_ALL && e->type == ENTITY_SOME)
        return bad(p, err, "must have the type ANY or NONE");
    return parse_values(json_object_get(o, "values"), kind, p, e, err);
}

static int parse_rule(const json_t *json, enum acl_action action, size_t index, struct rule *rule,
                      struct fl_err *err)
{
    struct place p = {actions[action].key, "principals", index};
    const json_t *value;
    const char *key;
    int r;

    if (!json_is_object(json))
        return fl_err_set(err, FL_INVALID, "rule %zu of '%s' is not an object", index + 1,
                          p.action);
    json_object_foreach((json_t *)json, key, value)
    {
        if (!streq(key, "principals") && !streq(key, actions[action].objects))
            return fl_err_set(err, FL_INVALID,
                              "rule %zu of '%s' has a '%s': 'principals' and '%s' are wanted",
                              index + 1, p.action, key, actions[action].objects);
    }
    r = parse_entity(json, ACL_VALUES, &p, &rule->principals, err);
    if (r < 0)
        return r;
    p.part = actions[action].objects;
    return parse_entity(json, actions[action].kind, &p, &rule->objects, err);
}

static int parse_action(struct acls *a, const char *key, const json_t *list, struct fl_err *err)
{
    size_t k = 0, n = json_array_size(list);

    while (k < ACL_N_ACTIONS && !streq(actions[k].key, key))
        k++;
    if (k == ACL_N_ACTIONS)
        return fl_err_set(err, FL_INVALID, "'%s' is not an action that rules can be written for",
                          key);
    if (!json_is_array(list))
        return fl_err_set(err, FL_INVALID, "'%s' is not a list of rules", key);
    a->rules[k].items = xcalloc(n + 1, sizeof(struct rule));
    while (a->rules[k].n < n) {
        size_t i = a->rules[k].n++;
        int r =
            parse_rule(json_array_get(list, i), (enum acl_action)k, i, &a->rules[k].items[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse(struct acls *a, json_t *root, struct fl_err *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(root))
        return fl_err_set(err, FL_INVALID, "it is not a JSON object");
    json_object_foreach(root, key, value)
    {
        int r = 0;
        if (!streq(key, "permissive"))
            r = parse_action(a, key, value, err);
        else if (!json_is_boolean(value))
            r = fl_err_set(err, FL_INVALID, "'permissive' is neither true nor false");
        else
            a->permissive = json_is_true(value);
        if (r < 0)
            return r;
    }
    return 0;
}

int acls_parse(const char *json, struct acls **ret_acls, struct fl_err *err)
{
    _cleanup_(acls_freep) struct acls *a = xnew0(struct acls);
    json_error_t why;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    int r;

    a->permissive = true;
    if (!root)
        return fl_err_set(err, FL_INVALID, "it is not JSON: line %d: %s", why.line, why.text);
    r = parse(a, root, err);
    json_decref(root);
    if (r < 0)
        return r;
    *ret_acls = TAKE_PTR(a);
    return 0;
}

/* ---- deciding ---- */

static bool matches(const struct entity *e, const char *value)
{
    if (e->type != ENTITY_SOME)
        return true;
    if (!value)
        return false;
    if (bsearch(&value, e->values, e->n, sizeof(char *), by_text))
        return true;
    for (size_t i = 0; i < e->n_prefixes; i++) {
        if (str_starts(value, e->prefixes[i]))
            return true;
    }
    return false;
}

struct acl_approver {
    bool otherwise;
    size_t n;
    const struct rule *rules[]; /* borrowed; those whose principals match */
};

static bool decide(const struct rule *rule)
{
    return rule->principals.type != ENTITY_NONE && rule->objects.type != ENTITY_NONE;
}

struct acl_approver *acl_approver_get(const struct acls *acls, enum acl_action action,
                                      const char *principal)
{
    const struct rules *all;
    struct acl_approver *a;

    if (!acls)
        return NULL;
    all = &acls->rules[action];
    a = xcalloc(1, sizeof(*a) + all->n * sizeof(a->rules[0]));
    a->otherwise = acls->permissive;
    for (size_t i = 0; i < all->n; i++) {
        if (matches(&all->items[i].principals, principal))
            a->rules[a->n++] = &all->items[i];
    }
    return a;
}

void acl_approver_free(struct acl_approver *a)
{
    free(a);
}

bool acl_approves(const struct acl_approver *a, const char *object)
{
    if (!a)
        return true;
    for (size_t i = 0; i < a->n; i++) {
        if (matches(&a->rules[i]->objects, object))
            return decide(a->rules[i]);
    }
    return a->otherwise;
}

bool acls_allow(const struct acls *acls, enum acl_action action, const char *principal,
                const char *object)
{
    const struct rules *all;

    if (!acls)
        return true;
    all = &acls->rules[action];
    for (size_t i = 0; i < all->n; i++) {
        const struct rule *rule = &all->items[i];
        if (matches(&rule->principals, principal) && matches(&rule->objects, object))
            return decide(rule);
    }
    return acls->permissive;
}

int acls_check(const struct acls *acls, enum acl_action action, const char *principal,
               const char *object, struct fl_err *err)
{
    if (acls_allow(acls, action, principal, object))
        return 0;
    return fl_err_set(err, FL_FORBIDDEN, "%s%s%s may not do '%s'%s%s%s",
                      principal ? "Principal '" : "Who is not authenticated",
                      principal ? principal : "", principal ? "'" : "", actions[action].key,
                      object ? " to '" : "", object ? object : "", object ? "'" : "");
}
