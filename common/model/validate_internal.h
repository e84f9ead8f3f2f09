/* Checks that the files of validation share. Internal to common/model. Each fails with FL_INVALID and one sentence. */
#ifndef COMMON_MODEL_VALIDATE_INTERNAL_H
#define COMMON_MODEL_VALIDATE_INTERNAL_H

#include "common/model/resources_internal.h"
#include "common/model/validate.h"

/* ---- validate_resources.c: sets of resources ---- */
/* Converts, and checks what every use of resources asks: whole gpus, proper volumes, no reserved revocable ones. */
int validate_and_convert(V1__Resource *const *pb, size_t n, struct resources *ret,
                         struct fl_err *err);
int validate_unique_persistence(const struct resources *r, struct fl_err *err);
int validate_one_allocation(V1__Resource *const *pb, size_t n, struct fl_err *err);
int validate_not_mixed_revocable(const struct resources *r, struct fl_err *err);
int validate_one_provider(V1__Resource *const *pb, size_t n, struct fl_err *err);
int validate_volumes(V1__Resource *const *pb, size_t n, struct fl_err *err);
/* Whether ranges or sets of b are in a already. */
bool resources_overlap(const struct resources *a, const struct resources *b);

/* ---- validate_parts.c: parts of tasks and executors ---- */
int validate_command(const V1__CommandInfo *command, struct fl_err *err);
int validate_container(const V1__ContainerInfo *container, struct fl_err *err);
int validate_check(const V1__CheckInfo *check, struct fl_err *err);
int validate_health_check(const V1__HealthCheck *check, struct fl_err *err);
bool container_shares_cgroups(const V1__ContainerInfo *container); /* the default is yes */

/* ---- validate_executor.c ---- */
/* *ret_resources: what the executor asks for; *ret_known: it runs already. */
int validate_executor(const V1__ExecutorInfo *executor, const struct validate_context *c,
                      struct resources *ret_resources, bool *ret_known, struct fl_err *err);
bool executors_equal(const V1__ExecutorInfo *a, const V1__ExecutorInfo *b);

/* ---- validate_task.c ---- */
/* What a task of either launch must be, apart from its executor. */
int validate_task_alone(const V1__TaskInfo *task, const struct validate_context *c,
                        struct resources *ret_resources, struct fl_err *err);
/* That `needs` is in what is left of the offers. */
int validate_fits(const struct resources *needs, const struct resources *offered, const char *whose,
                  struct fl_err *err);

#endif
