/* The master's state as messages of the operator API (mesos.v1.master), built in an arena. A viewer sees his part of it. */
#ifndef MASTER_API_VIEWS_H
#define MASTER_API_VIEWS_H

#include "master/api/viewer.h"

Mapi__Response__GetAgents *view_agents(const struct master *m, struct viewer *viewer,
                                       struct fl_arena *arena);
Mapi__Response__GetFrameworks *view_frameworks(const struct master *m, struct viewer *v,
                                               struct fl_arena *arena);
Mapi__Response__GetExecutors *view_executors(const struct master *m, struct viewer *v,
                                             struct fl_arena *arena);
Mapi__Response__GetTasks *view_tasks(const struct master *m, struct viewer *v,
                                     struct fl_arena *arena);
Mapi__Response__GetState *view_state(const struct master *m, struct viewer *v,
                                     struct fl_arena *arena);

V1__TimeInfo *view_time(double seconds, struct fl_arena *arena);

#endif
