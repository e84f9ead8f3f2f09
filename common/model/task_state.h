/* Task states and the reasons of status updates, each written once (task_states.def, task_reasons.def). */
#ifndef COMMON_MODEL_TASK_STATE_H
#define COMMON_MODEL_TASK_STATE_H

#include "common/base/util.h"
#include "proto/mesos.pb-c.h"

/* protobuf-c takes any number for a state: messages of peers are refused where they come in unless this holds. */
bool task_state_is_known(V1__TaskState s);
const char *task_state_name(V1__TaskState s);   /* "TASK_RUNNING" */
const char *task_state_metric(V1__TaskState s); /* "running": for master/tasks_running */
bool task_state_is_terminal(V1__TaskState s);   /* features.md 3.1; UNREACHABLE, UNKNOWN are not */
/* No longer holds resources: terminal or UNREACHABLE. */
bool task_state_is_released(V1__TaskState s);
/* What a framework without PARTITION_AWARE is told instead (TASK_LOST for DROPPED, UNREACHABLE, GONE, ...). */
V1__TaskState task_state_for_framework(V1__TaskState s, bool partition_aware);
size_t task_state_count(void); /* and the i-th, for counters in tables */
V1__TaskState task_state_at(size_t i);
const char *task_reason_name(V1__TaskStatus__Reason r); /* "REASON_TASK_INVALID" */

#endif
