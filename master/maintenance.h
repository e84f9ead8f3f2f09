/* The maintenance schedule: which machines will be unavailable when, which are down. What the operator's
 * calls and the older endpoints do (features.md 1.4, 2.1). Core's thread.
 *
 * A machine is named by hostname and ip as the agent has both; the hostname in any case. Each change is written to
 * the registry first. Changes run one after another, each checked against what the ones before it left.
 */
#ifndef MASTER_MAINTENANCE_H
#define MASTER_MAINTENANCE_H

#include "master/master.h"
#include "proto/maintenance.pb-c.h"

/* The schedule is replaced whole: what is new in it is DRAINING, what is not in it any more is UP. */
void maintenance_update(struct master *m, const Maint__Schedule *schedule, const char *principal,
                        operator_done_f *done, void *arg);
/* DRAINING -> DOWN: the agents there are shut down and removed, and none is let in. */
void maintenance_start(struct master *m, V1__MachineID *const *ids, size_t n, const char *principal,
                       operator_done_f *done, void *arg);
/* DOWN -> UP: out of the schedule. */
void maintenance_stop(struct master *m, V1__MachineID *const *ids, size_t n, const char *principal,
                      operator_done_f *done, void *arg);

/* In the arena; parts are borrowed until the next change. */
Maint__Schedule *maintenance_schedule(const struct master *m, const char *principal,
                                      struct fl_arena *arena);
/* The machines that are draining, with what frameworks answered to inverse offers there, and those that are down. */
Maint__ClusterStatus *maintenance_status(const struct master *m, const char *principal,
                                         struct fl_arena *arena);
/* Is the agent's machine in the schedule? */
bool maintenance_scheduled(const struct master *m, const struct agent *a);

#endif
