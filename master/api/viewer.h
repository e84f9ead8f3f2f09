/* What one caller may see of the master's state: frameworks, tasks, executors, roles (view_... of the access rules). Core's thread. */
#ifndef MASTER_API_VIEWER_H
#define MASTER_API_VIEWER_H

#include "master/api/api.h"

/* Every function below takes NULL for who sees everything. */
struct viewer;
/* NULL when there are no rules. Borrows them. */
struct viewer *viewer_new(const struct master *m, const char *principal);
void viewer_free(struct viewer *v);
FL_DEFINE_CLEANUP(struct viewer *, viewer_free, viewer_freep)
#define _cleanup_viewer_ _cleanup_(viewer_freep)

bool viewer_sees_framework(const struct viewer *v, const V1__FrameworkInfo *info);
/* What belongs to a framework that is not seen is asked for as well: it is not seen. */
bool viewer_sees_task(struct viewer *v, const struct task *t);
bool viewer_sees_executor(const struct viewer *v, const struct executor *e);
bool viewer_sees_role(const struct viewer *v, const char *role);
bool viewer_sees_flags(const struct viewer *v);
/* By roles, as acl_resources.h has it. */
bool viewer_sees_operation(const struct viewer *v, const V1__Offer__Operation *op);
/* An agent as far as its resources are seen: itself, or a copy of its upper parts in the arena. */
V1__AgentInfo *viewer_agent_info(const struct viewer *v, V1__AgentInfo *info,
                                 struct fl_arena *arena);
Mapi__Response__GetAgents__Agent *
viewer_agent(const struct viewer *v, Mapi__Response__GetAgents__Agent *a, struct fl_arena *arena);
/* What is seen of `from`: itself, or `room` (empty), which is filled. */
const struct resources *viewer_resources(const struct viewer *v, const struct resources *from,
                                         struct resources *room);
/* A viewer that lasts remembers its last answers, of things that may be gone by now: before it is asked about the state again. */
void viewer_begin(struct viewer *v);
/* Of a framework's user, and a task's (NULL: it is no task) that are gone themselves. */
bool viewer_sees_users(const struct viewer *v, const char *framework_user, const char *user);
/* An event of the operators' stream. */
bool viewer_sees_event(struct viewer *v, const Mapi__Event *ev);

#endif
