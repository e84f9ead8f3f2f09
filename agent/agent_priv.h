/* What the files of the agent's core share with each other and with their tests. */
#ifndef AGENT_AGENT_PRIV_H
#define AGENT_AGENT_PRIV_H

#include "agent/agent.h"

/* ---- core.c ---- */
static inline const struct env *agent_time(const struct agent_core *a)
{
    return &a->env->env;
}
bool agent_send(struct agent_core *a, const ProtobufCMessage *m);
/* Delivers a message whatever is being held. */
void agent_dispatch(struct agent_core *a, const ProtobufCMessage *m);
/* The last framework has gone: forgets the identity and asks the shell to end. */
void agent_finish(struct agent_core *a, const char *why);

/* ---- frameworks.c ---- */
struct agent_framework *agent_framework_add(struct agent_core *a, const char *id,
                                            const V1__FrameworkInfo *info);
void agent_framework_update(struct agent_core *a, const Msg__UpdateFrameworkMessage *m);
void agent_framework_shutdown(struct agent_core *a, const char *id);
/* Moves an idle framework (no executors) to the completed ones. The pointer may be dead afterwards. */
void agent_framework_settle(struct agent_framework *f);
void agent_framework_free(struct agent_framework *f);
bool agent_framework_has(const struct agent_framework *f, V1__FrameworkInfo__Capability__Type c);

/* ---- executors.c ---- */
struct agent_executor *agent_executor_new(struct agent_framework *f, const V1__ExecutorInfo *info,
                                          const char *container_id_or_null, bool command);
void agent_executor_free(struct agent_executor *e);
/* Makes the sandbox, checkpoints, starts the container. On failure its tasks are ended and it is gone. */
void agent_executor_launch(struct agent_executor *e, const V1__TaskInfo *task_of_command_or_null);
void agent_executor_attach(struct agent_executor *e);
void agent_executor_resize(
    struct agent_executor *e); /* tells the containerizer the sum of its tasks */
void agent_executor_shutdown(struct agent_executor *e);         /* SHUTDOWN, grace, destroy */
bool agent_executor_has_queued(const struct agent_executor *e); /* a task that waits for it */
void agent_executor_destroy(struct agent_executor *e, V1__TaskState state,
                            V1__TaskStatus__Reason reason, const char *message);
void agent_executor_ended(struct agent_executor *e, const struct container_end *end);
/* ExitedExecutorMessage; `status` is wait(2)'s, -1 when there is none. */
void agent_tell_exited(struct agent_core *a, const char *framework_id, const char *executor_id,
                       int status);
/* Moves a terminated executor without unacknowledged tasks to the completed ones (and its framework, if idle). */
void agent_executor_settle(struct agent_executor *e);
bool agent_executor_has_tasks(const struct agent_executor *e); /* queued, launched or terminated */
/* environment.c */
char **agent_executor_env(struct agent_executor *e,
                          const char *role_or_null); /* free with agent_env_free() */
void agent_env_free(char **env);

/* ---- executor_link.c: the executor API ---- */
void agent_executor_send_event(struct agent_executor *e, const Exec__Event *ev);
void agent_executor_send_shutdown(struct agent_executor *e);
void agent_executor_deliver(
    struct agent_executor *e); /* queued tasks to a running custom executor */
void agent_executor_hang_up(struct agent_executor *e); /* closes its stream, if it has one */
bool agent_executor_is_default(const struct agent_executor *e); /* it runs pods (type DEFAULT) */

/* ---- tasks.c ---- */
void agent_run_task(struct agent_core *a, const Msg__RunTaskMessage *m);
void agent_run_task_group(struct agent_core *a, const Msg__RunTaskGroupMessage *m);
void agent_kill_task(struct agent_core *a, const Msg__KillTaskMessage *m);
/* KILL to the executor, or ends it when it was not delivered yet. NULL: the task's own policy. */
void agent_task_kill(struct agent_task *t, const V1__KillPolicy *policy_or_null);
struct agent_task *agent_task_add(struct agent_executor *e, const V1__TaskInfo *info,
                                  const void *group);
struct agent_task *agent_task_recover(struct agent_executor *e, const V1__Task *pb);
struct agent_task *agent_find_task(const struct agent_framework *f, const char *task_id);
void agent_task_free(struct agent_task *t);
/* task_record.c */
uint8_t *agent_pack(const ProtobufCMessage *m, uint32_t *ret_len); /* encoded, to the byte */
void agent_task_record(struct agent_task *t, const V1__Task *pb);  /* once, of a new task */
/* The task as one more element of m's repeated field of that name, encoded as it is kept: as an unknown field, for which there is room.
 * For a message that will be sent; who reads it there finds it only when it is decoded. */
void agent_task_put(const struct agent_task *t, const char *field, ProtobufCMessage *m,
                    struct fl_arena *arena);
/* What it becomes by an update: state, statuses (the newest of a run of equal states is kept). */
void agent_task_apply_status(struct agent_task *t, const V1__TaskStatus *status);
/* Of a command task only what is still to be done needs its info: checks and the longest time. */
void agent_task_keep_info(struct agent_task *t, const V1__TaskInfo *info);
void agent_task_launched(struct agent_task *t); /* QUEUED -> LAUNCHED, checkpointed */

/* ---- status.c ---- */
/* For an update and what is added to it: what malloc(3) still has at hand without searching. */
#define AGENT_UPDATE_ARENA 896
/* In the arena; the texts are borrowed. reason < 0: none. `message`, `executor_id` may be NULL. */
Msg__StatusUpdate *agent_update_new(struct agent_core *a, struct fl_arena *arena,
                                    const char *framework_id, const char *task_id,
                                    V1__TaskState state, V1__TaskStatus__Source source, int reason,
                                    const char *message, const char *executor_id);
/* Changes the task, keeps and forwards the update. `u` may be added to, in the arena. */
void agent_status_update(struct agent_core *a, struct fl_arena *arena, Msg__StatusUpdate *u,
                         bool from_executor);
/* An update for a task the agent has no record of. DROPPED (LOST for frameworks that are not partition-aware). */
void agent_drop_task(struct agent_core *a, const char *framework_id, const V1__FrameworkInfo *info,
                     const char *task_id, const char *executor_id, V1__TaskStatus__Reason reason,
                     const char *message);
void agent_task_phase_from_state(struct agent_task *t);
void agent_status_ack(struct agent_core *a, const Msg__StatusUpdateAcknowledgementMessage *m);
/* `t`: the task, where it is at hand. */
void agent_forward(struct agent_core *a, const Msg__StatusUpdate *u, struct agent_task *t_or_null);
void agent_task_put_away(struct agent_task *t); /* to the completed ones of its executor */
void agent_task_complete(struct agent_task *t); /* its terminal update is acknowledged */

/* ---- command.c: the built-in executor of command tasks ---- */
V1__ExecutorInfo *agent_command_executor_info(const V1__FrameworkInfo *framework,
                                              const V1__TaskInfo *task, struct fl_arena *arena);
void agent_command_started(struct agent_executor *e);
void agent_command_recovered(struct agent_executor *e); /* its container was found alive */
void agent_command_kill(struct agent_executor *e, uint64_t grace_us, bool by_max_time);
uint64_t agent_command_grace(const struct agent_task *t, const V1__KillPolicy *override_or_null);
void agent_command_ended(struct agent_executor *e, const struct container_end *end);
void agent_command_stop_timers(struct agent_executor *e);
/* A check or health check has news (common/model/checks.h). */
void agent_command_checked(struct agent_executor *e, V1__TaskStatus__Reason reason, bool kill);

/* ---- checks.c: probes of command tasks ---- */
/* `last_or_null`: the newest status of a task that was recovered. */
void agent_checks_start(struct agent_executor *e, const V1__TaskInfo *info,
                        const V1__TaskStatus *last_or_null);
void agent_checks_stop(struct agent_executor *e);

/* ---- updates.c: the status-update manager ---- */
struct agent_updates *agent_updates_new(struct agent_core *a);
void agent_updates_free(struct agent_updates *u);
enum agent_update_result { UPDATE_NEW, UPDATE_DUPLICATE, UPDATE_REFUSED };
/* Keeps (in `path`, unless NULL) and, when it is the first of its stream, forwards. The update is copied. */
enum agent_update_result agent_updates_handle(struct agent_updates *u, const Msg__StatusUpdate *up,
                                              const char *path, struct agent_task *t_or_null);
/* 0, or why it was refused (unknown stream, not the head's uuid). *ret_finished: the stream's terminal update is
 * acknowledged and the stream gone. */
int agent_updates_ack(struct agent_updates *u, const char *framework_id, const char *task_id,
                      const void *uuid, size_t uuid_len, bool *ret_finished, struct fl_err *err);
void agent_updates_pause(struct agent_updates *u);
void agent_updates_resume(struct agent_updates *u); /* sends every head again */
void agent_updates_resend(struct agent_updates *u, const char *framework_id); /* those of one */
void agent_updates_drop_framework(struct agent_updates *u, const char *framework_id);
/* From a log's bytes: *ret_valid is the length of its whole records. Calls fn for each UPDATE in order. */
typedef void agent_update_seen_f(const Msg__StatusUpdate *up, void *arg);
int agent_updates_recover(struct agent_updates *u, const char *framework_id, const char *task_id,
                          const char *path, const void *data, size_t n, agent_update_seen_f *fn,
                          void *arg, size_t *ret_valid, bool *ret_finished, struct fl_err *err);

/* ---- nested.c: containers that are no executor's ---- */
struct agent_nested_set *agent_nested_new(void);
void agent_nested_free(struct agent_core *a);
void agent_nested_started(struct agent_core *a, const char *id, pid_t pid);
void agent_nested_recovered(struct agent_core *a, const char *id, pid_t pid);
/* For every id: somebody may wait for the end of an executor's, and what is nested in it is forgotten. */
void agent_nested_ended(struct agent_core *a, const char *id, const struct container_end *end);

/* ---- checkpoint.c ---- */
/* Paths below meta/ (or below work_dir for sandboxes). The caller frees. */
char *agent_path_slave(const struct agent_core *a, bool meta);
char *agent_path_framework(const struct agent_framework *f, bool meta);
char *agent_path_executor(const struct agent_executor *e, bool meta);
char *agent_path_run(const struct agent_executor *e, bool meta);
char *agent_path_task(const struct agent_executor *e, const char *task_id, const char *file);
/* All of them, up to a NULL, one after another. */
char *agent_path_join(const char *first, ...) __attribute__((sentinel, malloc, returns_nonnull));
/* One record: u32 length in host order, then the message. */
void agent_record_add(struct fl_buf *out, const ProtobufCMessage *m);
/* The next whole record at *off: 1 and moves *off; 0 at the end or in a torn tail; negative when it does not decode. */
int agent_record_next(const void *data, size_t n, size_t *off, const ProtobufCMessageDescriptor *d,
                      ProtobufCMessage **ret_m, struct fl_err *err);
int agent_record_read(struct agent_core *a, const char *path, const ProtobufCMessageDescriptor *d,
                      ProtobufCMessage **ret_m, struct fl_err *err);
int agent_record_write(struct agent_core *a, const char *path, const ProtobufCMessage *m,
                       bool durable, struct fl_err *err);
int agent_checkpoint_info(struct agent_core *a, struct fl_err *err);
void agent_checkpoint_framework(struct agent_framework *f);
void agent_checkpoint_executor(struct agent_executor *e);
void agent_checkpoint_pid(struct agent_executor *e);
/* `info`: of a command task that is launched. */
void agent_checkpoint_task(struct agent_task *t, const V1__TaskInfo *info_or_null);
bool agent_checkpoints(const struct agent_framework *f);

/* ---- registration.c ---- */
void agent_registered(struct agent_core *a, const Msg__SlaveRegisteredMessage *m);
void agent_reregistered(struct agent_core *a, const Msg__SlaveReregisteredMessage *m);
void agent_ping(struct agent_core *a, const Msg__PingSlaveMessage *m);
/* Tells the master anew what the agent has, over the same connection. */
void agent_reregister(struct agent_core *a);

/* ---- recovery.c ---- */
void agent_recovery_containers_done(struct agent_core *a, const struct fl_err *err_or_null);
void agent_recovery_executor_back(struct agent_core *a);

/* ---- drain.c ---- */
void agent_drain(struct agent_core *a, const V1__DrainConfig *config);
void agent_drain_settle(struct agent_core *a); /* ends it when nothing is left */
int agent_drain_recover(struct agent_core *a, struct fl_err *err);
void agent_drain_resume(struct agent_core *a); /* when recovery is over */

/* ---- operations.c: what is asked of the agent's own resources, and telling what became of it ---- */
struct agent_commit;
struct agent_operation {
    uint8_t uuid[FL_UUID_LEN];
    V1__Operation *pb;   /* owned; as it is once it is on disk: terminal, with one status */
    uint64_t generation; /* the change of the checkpoint that brings it */
    bool committed;      /* on disk: its status may be told */
    struct agent_core *core;
    struct env_timer *timer; /* runs while the status waits for its acknowledgement */
    uint64_t interval_us;
    UT_hash_handle hh;
};
struct agent_operations {
    struct agent_core *core;
    struct agent_operation *all; /* hash by uuid; in order of arrival */
    bool paused;                 /* no master */
    /* operation_commit.c */
    struct resources on_disk; /* the reservations and volumes of the last whole checkpoint */
    uint64_t generation;      /* counts changes of a->checkpointed and of `all` that need a sync */
    uint64_t intended;        /* the newest that is in the target file */
    uint64_t committed;       /* the newest that is on disk */
    bool stale;               /* an acknowledged operation is still in the file */
    struct env_timer *turn;
    struct agent_commit *running;
    /* operation_hold.c */
    struct agent_held *held;
    size_t n_held;
};
struct agent_operations *agent_operations_new(struct agent_core *a);
void agent_operations_free(struct agent_operations *o);
void agent_apply_operation(struct agent_core *a, const Msg__ApplyOperationMessage *m);
void agent_checkpoint_resources_message(struct agent_core *a,
                                        const Msg__CheckpointResourcesMessage *m);
void agent_reconcile_operations(struct agent_core *a, const Msg__ReconcileOperationsMessage *m);
void agent_ack_operation(struct agent_core *a, const Msg__AcknowledgeOperationStatusMessage *m);
void agent_operations_pause(struct agent_operations *o);
void agent_operations_resume(struct agent_operations *o); /* tells every status again */
void agent_operations_resend(struct agent_operations *o, const char *framework_id);
/* Takes `pb`, of a checkpoint. */
void agent_operation_recover(struct agent_operations *o, V1__Operation *pb);
/* What it waits for is on disk: its status is told. */
void agent_operation_committed(struct agent_operation *op);
char *agent_path_operation(const struct agent_core *a, const uint8_t *uuid);
/* Total = what was given + what is checkpointed on top of it. */
int agent_resources_rebuild(struct agent_core *a, struct fl_err *err);

/* ---- operation_commit.c: what the checkpoint of resources and operations holds reaches the disk ---- */
/* a->checkpointed or the operations have changed: returns the generation, which will be on disk soon. */
uint64_t agent_commit_needed(struct agent_core *a);
/* An operation is over: the file may say so later. */
void agent_commit_later(struct agent_core *a);
/* From here on a kill of the process loses nothing of what was accepted. */
void agent_commit_intend(struct agent_core *a);
bool agent_commit_pending(const struct agent_operations *o);
void agent_commit_free(struct agent_operations *o);
/* Reads what there is, finishes what was begun. `operations`: this is the agent that they were asked of. */
int agent_recover_resources(struct agent_core *a, bool operations, struct fl_err *err);

/* ---- operation_hold.c: messages that build on operations wait until those are on disk ---- */
/* True: taken, and delivered again by agent_hold_release(). */
bool agent_hold(struct agent_core *a, const ProtobufCMessage *m);
void agent_hold_release(struct agent_core *a);
void agent_hold_drop(struct agent_operations *o);

/* ---- volumes.c ---- */
struct agent_volume {
    char *path;
    bool mount;
};
struct agent_volume_changes {
    struct agent_volume *made, *gone; /* owned */
    size_t n_made, n_gone;
};
int agent_volumes_compare(const struct agent_core *a, const struct resources *before,
                          const struct resources *after, struct agent_volume_changes *out,
                          struct fl_err *err);
void agent_volume_changes_done(struct agent_volume_changes *c);
int agent_volumes_carry_out(struct agent_env *env, const struct agent_volume_changes *c,
                            struct fl_err *err); /* any thread */
bool agent_volumes_must_wait(const struct agent_core *a, const struct resources *on_disk,
                             const V1__Offer__Operation *op);

/* ---- gc.c ---- */
struct agent_gc *agent_gc_new(struct agent_core *a);
void agent_gc_free(struct agent_gc *g);
/* Removes `path` after gc_delay, and detaches what /files shows of it. */
void agent_gc_schedule(struct agent_gc *g, const char *path, bool attached);
/* It is in use again. */
void agent_gc_unschedule(struct agent_gc *g, const char *path);
size_t agent_gc_pending(const struct agent_gc *g);

/* ---- metrics.c ---- */
enum agent_counter {
#define AGENT_COUNTER(name, ...) COUNT_##name,
#define AGENT_PULL(...)
#define METRIC_NAME(...)
#include "agent/metrics.def"
#undef AGENT_COUNTER
#undef AGENT_PULL
#undef METRIC_NAME
    AGENT_COUNTERS
};
struct agent_counters *agent_counters_new(struct agent_core *a);
void agent_counters_free(struct agent_counters *c);
void agent_count(struct agent_core *a, enum agent_counter c);
void agent_count_state(struct agent_core *a,
                       V1__TaskState state); /* slave/tasks_<terminal state> */

#endif
