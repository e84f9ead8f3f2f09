/* Offer constraints of a framework, compiled once and asked for every agent: per role an OR of groups, in a group an AND
 * of constraints, each a predicate on one attribute or on the agent's host, region or zone. Pure. */
#include "common/model/attributes.h"
#include "common/model/regex.h"

#define SELECTOR(x)  SCHED__ATTRIBUTE_CONSTRAINT__SELECTOR__##x
#define PREDICATE(x) SCHED__ATTRIBUTE_CONSTRAINT__PREDICATE__PREDICATE_##x

struct constraint {
    char *attribute; /* NULL: the pseudo attribute */
    int pseudo;
    int predicate;
    char *text;             /* of the text predicates */
    struct fl_regex *regex; /* of the regular expressions */
};
struct group {
    struct constraint *constraints;
    size_t n;
};
struct role_constraints {
    char *role;
    struct group *groups;
    size_t n;
};
struct offer_constraints {
    struct role_constraints *roles;
    size_t n;
};

/* ---- making ---- */

static int compile_selector(const Sched__AttributeConstraint__Selector *s, struct constraint *c,
                            struct fl_err *err)
{
    switch (s->selector_case) {
    case SELECTOR(SELECTOR_ATTRIBUTE_NAME):
        c->attribute = xstrdup(s->attribute_name);
        return 0;
    case SELECTOR(SELECTOR_PSEUDOATTRIBUTE_TYPE):
        c->pseudo = (int)s->pseudoattribute_type;
        if (c->pseudo == SELECTOR(PSEUDOATTRIBUTE_TYPE__HOSTNAME) ||
            c->pseudo == SELECTOR(PSEUDOATTRIBUTE_TYPE__REGION) ||
            c->pseudo == SELECTOR(PSEUDOATTRIBUTE_TYPE__ZONE))
            return 0;
        return fl_err_set(err, FL_INVALID, "the pseudo attribute of a selector is not known");
    default:
        return fl_err_set(err, FL_INVALID,
                          "a selector must have 'attribute_name' or 'pseudoattribute_type'");
    }
}

static int compile_regex(const char *pattern, const struct fl_regex_limits *limits,
                         struct constraint *c, struct fl_err *err)
{
    char why[200];
    c->regex = fl_regex_new(pattern, limits, why, sizeof(why));
    if (!c->regex)
        return fl_err_set(err, FL_INVALID, "the regular expression '%.100s' cannot be used: %s",
                          pattern, why);
    return 0;
}

static int compile_predicate(const Sched__AttributeConstraint__Predicate *p,
                             const struct fl_regex_limits *limits, struct constraint *c,
                             struct fl_err *err)
{
    c->predicate = (int)p->predicate_case;
    switch (p->predicate_case) {
    case PREDICATE(EXISTS):
    case PREDICATE(NOT_EXISTS):
        return 0;
    case PREDICATE(TEXT_EQUALS):
        c->text = xstrdup(p->text_equals->value);
        return 0;
    case PREDICATE(TEXT_NOT_EQUALS):
        c->text = xstrdup(p->text_not_equals->value);
        return 0;
    case PREDICATE(TEXT_MATCHES):
        return compile_regex(p->text_matches->regex, limits, c, err);
    case PREDICATE(TEXT_NOT_MATCHES):
        return compile_regex(p->text_not_matches->regex, limits, c, err);
    default:
        return fl_err_set(err, FL_INVALID, "a predicate is not known");
    }
}

static int compile_group(const Sched__OfferConstraints__RoleConstraints__Group *pb,
                         const struct fl_regex_limits *limits, struct group *g, struct fl_err *err)
{
    if (pb->n_attribute_constraints == 0)
        return fl_err_set(err, FL_INVALID, "a group of constraints is empty");
    g->constraints = xcalloc(pb->n_attribute_constraints, sizeof(*g->constraints));
    for (size_t i = 0; i < pb->n_attribute_constraints; i++) {
        const Sched__AttributeConstraint *one = pb->attribute_constraints[i];
        struct constraint *c = &g->constraints[g->n++];
        int rc = compile_selector(one->selector, c, err);
        if (rc == 0)
            rc = compile_predicate(one->predicate, limits, c, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int compile_role(const Sched__OfferConstraints__RoleConstraintsEntry *pb,
                        const struct fl_regex_limits *limits, struct role_constraints *r,
                        struct fl_err *err)
{
    r->role = xstrdup(pb->key);
    if (pb->value->n_groups == 0)
        return fl_err_set(err, FL_INVALID, "there are no groups of constraints");
    r->groups = xcalloc(pb->value->n_groups, sizeof(*r->groups));
    for (size_t i = 0; i < pb->value->n_groups; i++) {
        int rc = compile_group(pb->value->groups[i], limits, &r->groups[r->n++], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_among(const char *const *roles, size_t n, const char *role)
{
    for (size_t i = 0; i < n; i++)
        if (streq(roles[i], role))
            return true;
    return false;
}

int offer_constraints_new(const Sched__OfferConstraints *pb, const char *const *roles,
                          size_t n_roles, const struct fl_regex_limits *limits,
                          struct offer_constraints **ret, struct fl_err *err)
{
    static const struct fl_regex_limits usual = FL_REGEX_LIMITS;
    _cleanup_(offer_constraints_freep) struct offer_constraints *c =
        xnew0(struct offer_constraints);
    c->roles = xcalloc(pb->n_role_constraints + 1, sizeof(*c->roles));
    for (size_t i = 0; i < pb->n_role_constraints; i++) {
        const Sched__OfferConstraints__RoleConstraintsEntry *entry = pb->role_constraints[i];
        if (!is_among(roles, n_roles, entry->key))
            return fl_err_set(
                err, FL_INVALID,
                "offer constraints are given for '%.100s', not a role of the framework",
                entry->key);
        int rc = compile_role(entry, limits ? limits : &usual, &c->roles[c->n++], err);
        if (rc < 0) {
            fl_err_wrap(err, "offer constraints for role '%.100s' are invalid", entry->key);
            return rc;
        }
    }
    *ret = TAKE_PTR(c);
    return 0;
}

static void group_done(struct group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        free(g->constraints[i].attribute);
        free(g->constraints[i].text);
        fl_regex_free(g->constraints[i].regex);
    }
    free(g->constraints);
}

void offer_constraints_free(struct offer_constraints *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        for (size_t k = 0; k < c->roles[i].n; k++)
            group_done(&c->roles[i].groups[k]);
        free(c->roles[i].groups);
        free(c->roles[i].role);
    }
    free(c->roles);
    free(c);
}

/* ---- asking ---- */

/* What a selector found: nothing, text, or something that is not text. */
struct found {
    bool exists;
    const char *text; /* NULL: not text */
};

static struct found found_text(const char *text)
{
    return (struct found){.exists = text != NULL, .text = text};
}

static struct found find_pseudo(int pseudo, const V1__AgentInfo *agent)
{
    if (pseudo == SELECTOR(PSEUDOATTRIBUTE_TYPE__HOSTNAME))
        return found_text(agent->hostname);
    const V1__DomainInfo__FaultDomain *d = agent->domain ? agent->domain->fault_domain : NULL;
    if (!d)
        return found_text(NULL);
    return found_text(pseudo == SELECTOR(PSEUDOATTRIBUTE_TYPE__REGION) ? d->region->name
                                                                       : d->zone->name);
}

static struct found find_selected(const struct constraint *c, const V1__AgentInfo *agent)
{
    if (!c->attribute)
        return find_pseudo(c->pseudo, agent);
    for (size_t i = 0; i < agent->n_attributes; i++) {
        const V1__Attribute *a = agent->attributes[i];
        if (!streq(a->name, c->attribute))
            continue;
        bool text = a->type == V1__VALUE__TYPE__TEXT && a->text;
        return (struct found){.exists = true, .text = text ? a->text->value : NULL};
    }
    return found_text(NULL);
}

static bool constraint_holds(const struct constraint *c, const V1__AgentInfo *agent)
{
    struct found f = find_selected(c, agent);
    bool negated =
        c->predicate == PREDICATE(TEXT_NOT_EQUALS) || c->predicate == PREDICATE(TEXT_NOT_MATCHES);
    if (c->predicate == PREDICATE(EXISTS))
        return f.exists;
    if (c->predicate == PREDICATE(NOT_EXISTS))
        return !f.exists;
    if (!f.exists)
        return negated;
    if (!f.text) /* predicates on text do not speak of numbers and ranges */
        return true;
    bool matches = c->regex ? fl_regex_matches_whole(c->regex, f.text) : streq(f.text, c->text);
    return matches != negated;
}

static bool group_holds(const struct group *g, const V1__AgentInfo *agent)
{
    for (size_t i = 0; i < g->n; i++)
        if (!constraint_holds(&g->constraints[i], agent))
            return false;
    return true;
}

bool offer_constraints_pass(const struct offer_constraints *c, const char *role,
                            const V1__AgentInfo *agent)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!streq(c->roles[i].role, role))
            continue;
        for (size_t k = 0; k < c->roles[i].n; k++)
            if (group_holds(&c->roles[i].groups[k], agent))
                return true;
        return false;
    }
    return true;
}
