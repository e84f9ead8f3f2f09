/* Access rules (--acls, features.md section 7): who may do which action to what.
 *
 *     {"permissive": true,
 *      "run_tasks": [{"principals": {"values": ["ops"]}, "users": {"type": "ANY"}},
 *                    {"principals": {"type": "ANY"}, "users": {"values": ["root"]}}]}
 *
 * The first rule of the action whose principals and objects both match decides; when none matches, `permissive` does. ANY as well as
 * NONE match everybody (everything), NONE forbids. SOME, the default, names its `values`. Who is not authenticated, and an object that
 * has no name, match ANY and NONE only.
 *
 * Immutable once parsed: any thread.
 */
#ifndef COMMON_MODEL_ACLS_H
#define COMMON_MODEL_ACLS_H

#include "common/base/err.h"

enum acl_action {
#define ACL_ACTION(name, key, objects, kind) ACL_##name,
#include "common/model/acl_actions.def"
#undef ACL_ACTION
    ACL_N_ACTIONS
};

struct acls;

/* FL_INVALID names the rule that is wrong. Unknown actions are refused: a misspelled rule would permit what it should forbid. */
int acls_parse(const char *json, struct acls **ret_acls, struct fl_err *err);
void acls_free(struct acls *a);
FL_DEFINE_CLEANUP(struct acls *, acls_free, acls_freep)

/* One question. `acls` NULL: everything is allowed. `principal` NULL: not authenticated. `object` NULL: it has no name. */
bool acls_allow(const struct acls *acls, enum acl_action action, const char *principal,
                const char *object);
/* The same as a failure: FL_FORBIDDEN. */
int acls_check(const struct acls *acls, enum acl_action action, const char *principal,
               const char *object, struct fl_err *err);

/* Many questions of one principal about one action: the rules that can concern it, picked once. NULL (when `acls` is) approves
 * everything. Borrows `acls`. */
struct acl_approver;
struct acl_approver *acl_approver_get(const struct acls *acls, enum acl_action action,
                                      const char *principal);
void acl_approver_free(struct acl_approver *a);
FL_DEFINE_CLEANUP(struct acl_approver *, acl_approver_free, acl_approver_freep)
#define _cleanup_approver_ _cleanup_(acl_approver_freep)
bool acl_approves(const struct acl_approver *a, const char *object);

/* "run_tasks" */
const char *acl_action_name(enum acl_action action);
/* The endpoints that get_endpoints can close. */
bool acl_is_endpoint(const char *path);

#endif
