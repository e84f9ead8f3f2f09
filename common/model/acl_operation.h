/* Which rules an operation on resources is subject to, and which a task (acls.h). Any thread. */
#ifndef COMMON_MODEL_ACL_OPERATION_H
#define COMMON_MODEL_ACL_OPERATION_H

#include "common/model/acls.h"
#include "proto/mesos.pb-c.h"

/* RESERVE .. DESTROY_DISK: each of its resources. FL_FORBIDDEN. */
int acl_check_operation(const struct acls *acls, const char *principal,
                        const V1__Offer__Operation *op, struct fl_err *err);
/* The user that it would run as: the command's, else its executor's, else the framework's. */
const char *acl_task_user(const V1__TaskInfo *t, const V1__FrameworkInfo *framework);
const char *acl_executor_user(const V1__ExecutorInfo *e, const V1__FrameworkInfo *framework);
int acl_check_task(const struct acls *acls, const V1__TaskInfo *t,
                   const V1__FrameworkInfo *framework, struct fl_err *err);
/* Every role of the framework, by its own principal. */
int acl_check_framework(const struct acls *acls, const V1__FrameworkInfo *info, struct fl_err *err);

#endif
