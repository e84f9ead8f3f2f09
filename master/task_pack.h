/* How a task is kept: what a struct task does not have in fields of its own is encoded, and only this
 * file knows how. The core writes, everybody may read (the core's thread).
 *
 * Three parts, so that a million tasks of a thousand jobs stay small:
 *   - the ids and the name: texts behind the struct, or interned (agent, executor);
 *   - what tasks of a job have in common: labels, discovery, container, user, health check, kill
 *     policy and limits, encoded together once for all tasks that have the same (`t->info`), and
 *     the resources (`t->resources`). Two tasks with the same pointer have the same contents, so a
 *     reader may keep what it made of one for the others;
 *   - the history of statuses: a small fixed head each, and what else a status says encoded.
 */
#ifndef MASTER_TASK_PACK_H
#define MASTER_TASK_PACK_H

#include "master/master.h"

/* ---- reading ---- */

const char *task_name(const struct task *t);
/* A V1__Task with labels, discovery, container, user, health_check, kill_policy and limits of the
 * task, in the arena; its other fields mean nothing. NULL: the task has none of them. */
V1__Task *task_info_pb(const struct task *t, struct fl_arena *arena);

/* One status of the history. Pointers are into the task's own memory: valid until it changes. */
struct task_status_view {
    V1__TaskState state;
    bool has_timestamp, has_source, has_reason, has_healthy, healthy;
    double timestamp;
    V1__TaskStatus__Source source;
    V1__TaskStatus__Reason reason;
    const uint8_t *uuid;     /* FL_UUID_LEN bytes; NULL: none */
    const char *agent_id;    /* NULL: the status names none */
    const char *executor_id; /* NULL: the status names none */
    /* What else it says (message, labels, container_status, unreachable_time, check_status,
     * limitation, or a field above that is out of its range): task_status_pb() has it.
     * False: the view is the whole status, with the task's own id. */
    bool has_more;
    const uint8_t *more; /* of this file */
    uint32_t n_more;
};
/* Walks the history, oldest first. `*at` is 0 before the first; false after the last. */
bool task_status_next(const struct task *t, uint32_t *at, struct task_status_view *ret);
/* The last one; false when there is none. */
bool task_status_last(const struct task *t, struct task_status_view *ret);
/* The whole message, in the arena. */
V1__TaskStatus *task_status_pb(const struct task *t, const struct task_status_view *v,
                               struct fl_arena *arena);
/* master_task_pb() of master.h is the whole task. */
/* The whole task encoded, appended: what protobuf-c would pack of master_task_pb(). Its resources are given as they stand in it
 * (heads of field 7 and messages), or left out. */
void task_encode(const struct task *t, const struct fl_buf *resources_or_null, struct fl_buf *b);

/* ---- writing: tasks.c only ---- */

/* Ids, name and info of `pb`; state, statuses and resources are set by others. */
struct task *task_pack_new(struct master *m, const V1__Task *pb, const char *agent_id);
void task_pack_free(struct task *t);
/* The history has one entry a state: a repeated state replaces the entry. True when it is new.
 * `data` is not kept. */
bool task_pack_status(struct master *m, struct task *t, const V1__TaskStatus *st);

#endif
