/* Attributes of agents: "rack:r1;level:3;span:[10-20]" (features.md 4.2), and offer constraints over them. Pure. */
#ifndef COMMON_MODEL_ATTRIBUTES_H
#define COMMON_MODEL_ATTRIBUTES_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "proto/scheduler.pb-c.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

/* Messages in the arena. */
int attributes_parse(const char *text, struct fl_arena *arena, V1__Attribute ***ret_attributes,
                     size_t *ret_n, struct fl_err *err);
/* {"rack":"r1","level":3.0,"span":"[10-20]"} as in /state. */
void attributes_json(V1__Attribute *const *a, size_t n, struct json_out *j);
bool attributes_equal(V1__Attribute *const *a, size_t na, V1__Attribute *const *b, size_t nb);

/* What the attribute of that name says, a text or a number, on the heap; NULL: there is none, or it is ranges. */
char *attribute_text(V1__Attribute *const *a, size_t n, const char *name);

/* Offer constraints of a framework, compiled: regular expressions of RE2's semantics, each within `limits` (NULL: the protocol's). */
struct offer_constraints;
struct fl_regex_limits;
int offer_constraints_new(const Sched__OfferConstraints *pb, const char *const *roles,
                          size_t n_roles, const struct fl_regex_limits *limits,
                          struct offer_constraints **ret, struct fl_err *err);
void offer_constraints_free(struct offer_constraints *c);
FL_DEFINE_CLEANUP(struct offer_constraints *, offer_constraints_free, offer_constraints_freep)
/* Whether resources of this agent may be offered to `role`. Roles without constraints pass. */
bool offer_constraints_pass(const struct offer_constraints *c, const char *role,
                            const V1__AgentInfo *agent);

#pragma GCC visibility pop

#endif
