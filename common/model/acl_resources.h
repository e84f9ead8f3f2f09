/* What of resources may be seen by who sees only some roles (view_roles). An approver that is NULL sees everything. Any thread. */
#ifndef COMMON_MODEL_ACL_RESOURCES_H
#define COMMON_MODEL_ACL_RESOURCES_H

#include "common/model/acls.h"
#include "common/model/resources.h"

/* A resource is seen when all roles are that it is reserved for or allocated to. */
bool acl_sees_resource(const struct acl_approver *roles, const V1__Resource *r);
bool acl_sees_operation(const struct acl_approver *roles, const V1__Offer__Operation *op);
/* The resources that are seen become a list of its own in the arena. */
void acl_keep_resources(const struct acl_approver *roles, V1__Resource ***list, size_t *n,
                        struct fl_arena *arena);
/* What is seen of `from`: itself, or `room` (empty), which is filled. */
const struct resources *acl_visible_resources(const struct acl_approver *roles,
                                              const struct resources *from, struct resources *room);

#endif
