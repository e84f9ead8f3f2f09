/* Checks and health checks of one task: when to probe, what a probe's result means, when there is news (features.md 5.2).
 *
 * A state machine over `struct env`. Who uses it (the agent's built-in command executor, the default executor) carries the probes
 * out and sends the updates. One thread. */
#ifndef COMMON_MODEL_CHECKS_H
#define COMMON_MODEL_CHECKS_H

#include "common/base/buf.h"
#include "common/base/env.h"
#include "common/base/net_probe.h"
#include "proto/mesos.pb-c.h"

/* What is asked. Borrowed from the task's info. */
struct check_target {
    V1__CheckInfo__Type kind;
    const V1__CommandInfo *command; /* COMMAND */
    struct net_target net;          /* HTTP, TCP: in the task's network */
};

struct checker;     /* one check or health check */
struct task_checks; /* those of a task */

struct task_checks_ops {
    /* Begin a probe. checker_answer() follows, never within this call, unless it is cancelled first. */
    void (*begin)(void *arg, struct checker *c);
    /* A probe that took too long, or whose task is over: its answer is not wanted any more. */
    void (*cancel)(void *arg, struct checker *c);
    /* There is news: an update with this reason is due (task_checks_fill() puts it in). With `kill` the task has been unhealthy too
     * often. The task_checks may be freed from here. */
    void (*changed)(void *arg, V1__TaskStatus__Reason reason, bool kill);
};

/* NULL when the task has neither. `check` and `health` are borrowed for its life. */
struct task_checks *task_checks_new(const struct env *env, const V1__CheckInfo *check_or_null,
                                    const V1__HealthCheck *health_or_null,
                                    const struct task_checks_ops *ops, void *arg);
/* The first probes begin after their delays. `last_or_null`: the newest status of a task that goes on after a restart; what it tells
 * is not news. */
void task_checks_start(struct task_checks *t, const V1__TaskStatus *last_or_null);
void task_checks_free(struct task_checks *t); /* cancels probes under way; takes NULL */
/* Sets check_status and healthy as they are known. The status owns heap memory. */
void task_checks_fill(const struct task_checks *t, V1__TaskStatus *status);
/* The check_status of a task of which no result is known yet, or which is over; heap memory. */
V1__CheckStatusInfo *check_status_empty(const V1__CheckInfo *check);

/* A check's command for a container nested in the task's: it runs where the task does, with the task's variables, `of_task`, unless the
 * check's own say otherwise. A session begins there by itself; else it begins in its own sandbox, which is containers/NAME below that
 * of the task. In the arena; borrows from all. */
V1__CommandInfo *check_command(const V1__CommandInfo *command, bool session,
                               const V1__Environment *of_task_or_null, struct fl_arena *arena);

const struct check_target *checker_target(const struct checker *c);
/* The outcome of the probe that was begun: exit code, HTTP status code, 1 or 0 for TCP. Not `known`: it could not be found out. */
void checker_answer(struct checker *c, bool known, int value);
/* The prober's own, NULL at first. */
void **checker_slot(struct checker *c);
bool checker_is_health(const struct checker *c);

#endif
