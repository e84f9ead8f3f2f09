/* Reservations and volumes by operators: RESERVE_RESOURCES, CREATE_VOLUMES, /reserve and their kin. Core's thread.
 */
#ifndef MASTER_OPERATOR_RESOURCES_H
#define MASTER_OPERATOR_RESOURCES_H

#include "master/master.h"

/* Does `op` (RESERVE .. SHRINK_VOLUME; its type and part set; completed in place, so in an arena that lives for the call) with
 * what nobody uses on the agent. Offers that hold what it needs are rescinded one by one until it fits, and their frameworks
 * do not get it back for five seconds; when it could not fit even then, none is. 0: the master has booked it and the agent
 * is told (202). FL_INVALID: no such agent, or not valid; FL_FORBIDDEN: the access rules; FL_CONFLICT: it does not fit, or the agent is not connected. */
int master_operator_resources(struct master *m, const char *agent_id, V1__Offer__Operation *op,
                              const char *principal_or_null, struct fl_err *err);

#endif
