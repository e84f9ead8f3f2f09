/* Role names and the tree they make on '/' (features.md 4.1). Pure. */
#ifndef COMMON_MODEL_ROLES_H
#define COMMON_MODEL_ROLES_H

#include "common/base/err.h"
#include "proto/mesos.pb-c.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

/* The protocol knows no limit. This one is far above any file name that a role becomes part of, and bounds the tree that '/' makes. */
#define ROLE_MAX 1024
int role_validate(const char *role, struct fl_err *err);
bool role_is_strict_subrole(const char *child,
                            const char *parent); /* "a/b" of "a"; not of itself */
/* The roles of a framework: `roles` with MULTI_ROLE, else the one `role` ("*" when unset). Borrowed strings in an array of
 * the caller's. */
size_t framework_roles(const V1__FrameworkInfo *info, const char ***ret_roles);
bool framework_has_capability(const V1__FrameworkInfo *info,
                              V1__FrameworkInfo__Capability__Type type);

#pragma GCC visibility pop

#endif
