/* What operators do to one agent: DRAIN_AGENT, DEACTIVATE_AGENT, REACTIVATE_AGENT, MARK_AGENT_GONE (features.md
 * 1.4, 3.5). Core's thread.
 *
 * Each is written to the registry first, beside the agent's own record, so it outlives the master, and goes with the
 * agent from admitted to unreachable and back. While another change of the agent is being written it waits.
 */
#ifndef MASTER_DRAIN_H
#define MASTER_DRAIN_H

#include "master/master.h"

/* `grace` is copied; NULL: each task's own kill policy. */
void drain_agent(struct master *m, const char *agent_id, const V1__DurationInfo *grace,
                 bool mark_gone, const char *principal, operator_done_f *done, void *arg);
void drain_deactivate(struct master *m, const char *agent_id, const char *principal,
                      operator_done_f *done, void *arg);
void drain_reactivate(struct master *m, const char *agent_id, const char *principal,
                      operator_done_f *done, void *arg);
void gone_mark(struct master *m, const char *agent_id, const char *principal, operator_done_f *done,
               void *arg);

#endif
