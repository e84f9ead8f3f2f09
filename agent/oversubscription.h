/* Oversubscription: what an agent offers beyond what it has, and what it takes back when that was too much.
 *
 * A *resource estimator* says how many revocable resources may still be given to tasks; a *QoS controller* says which executors must
 * be killed so that the others keep what they were promised. Both are chosen by name (--resource_estimator, --qos_controller) from the
 * tables in estimator.c and qos.c, with parameters from --modules as the reference writes them:
 *   {"libraries":[{"modules":[{"name":"org_apache_mesos_FixedResourceEstimator",
 *                              "parameters":[{"key":"resources","value":"cpus:4;mem:2048"}]}]}]}
 *
 * The vtables below are all that the core knows of them, so that one may come from a shared object, too: it would export a
 * `struct estimator_ops` or `struct qos_ops` whose `abi` is OVERSUBSCRIPTION_ABI. Everything runs on the core's thread and must not
 * block: one that measures does so on a thread of its own and answers with its last result.
 */
#ifndef AGENT_OVERSUBSCRIPTION_H
#define AGENT_OVERSUBSCRIPTION_H

#include "agent/module_params.h"
#include "common/base/err.h"
#include "common/model/resources.h"
#include "proto/internal.pb-c.h"

#define OVERSUBSCRIPTION_ABI 1u

/* ---- what modules see; borrowed for the call ---- */
struct oversub_executor {
    const char *framework_id;
    const char *executor_id;
    const char *container_id;
    struct resources allocated; /* its own and its tasks', allocated to a role */
};
struct oversub_usage {
    const struct resources *total;      /* of the agent, without what is revocable */
    struct oversub_executor *executors; /* those that have not ended */
    size_t n_executors;
    bool has_load; /* the machine's load averages are known */
    double load_5min, load_15min;
};

/* ---- modules ---- */
struct estimator_ops {
    unsigned abi;
    const char *name; /* as --resource_estimator names it */
    /* FL_INVALID names the parameter that is missing or wrong. */
    int (*create)(const struct module_parameters *p, void **ret_self, struct fl_err *err);
    /* What may be offered now beside the revocable resources that are in use: revocable, allocated to nobody. `ret` comes empty.
     * On failure the last estimate stays in force. */
    int (*estimate)(void *self, const struct oversub_usage *u, struct resources *ret,
                    struct fl_err *err);
    void (*destroy)(void *self);
};

struct qos_corrections; /* filled by qos_kill() */
struct qos_ops {
    unsigned abi;
    const char *name;
    int (*create)(const struct module_parameters *p, void **ret_self, struct fl_err *err);
    /* Calls qos_kill() for every executor that must go. On failure nothing is killed. */
    int (*correct)(void *self, const struct oversub_usage *u, struct qos_corrections *out,
                   struct fl_err *err);
    void (*destroy)(void *self);
};
void qos_kill(struct qos_corrections *out, const struct oversub_executor *e);

/* Built-in ones, by the reference's names and by short ones (`noop`, `fixed`, `load`); NULL: there is none. */
const struct estimator_ops *estimator_find(const char *name);
const struct qos_ops *qos_find(const char *name);

/* ---- the core's side ---- */
struct agent_core;
struct agent_flags;
struct agent_oversub;

/* Chooses by the flags. FL_INVALID says which flag or parameter is wrong. */
int agent_oversub_new(struct agent_core *a, struct agent_oversub **ret, struct fl_err *err);
void agent_oversub_free(struct agent_oversub *o);
/* Recovery is over: the first estimate, and the timers of both. */
void agent_oversub_start(struct agent_oversub *o);
/* Revocable resources as the master is told: those in use and those that may still be offered. */
const struct resources *agent_oversub_total(const struct agent_oversub *o);
/* Says in the message what the agent oversubscribes. The arena holds it. */
void agent_oversub_fill(const struct agent_oversub *o, struct fl_arena *arena,
                        Msg__UpdateSlaveMessage *m);

#endif
