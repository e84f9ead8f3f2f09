/* fairlead/scheduler.h - the scheduler of a framework: takes offers, launches tasks, hears what
 * became of them.
 *
 * A scheduler is made, started and lives until it is freed. It finds the leading master,
 * subscribes, and subscribes again by itself, with a growing random delay, whenever the connection
 * is lost; callbacks tell what happens.
 *
 * Threads. Callbacks come one at a time, from one of three places:
 *   fw_scheduler_run()      the calling thread runs the library's loop until the end;
 *   fw_scheduler_start()    a thread of the library's own runs it;
 *   fw_scheduler_fd() and fw_scheduler_dispatch()   any event loop of the caller's: wait until the
 * descriptor is readable, then dispatch;
 *   fw_loop_run_once()      one thread for many schedulers, made with fw_scheduler_new_on().
 * Calls (fw_accept() ...) may be made from any thread, in
 * callbacks as well. They are sent in order and never block; they return -ENOTCONN while not
 * subscribed: nothing was sent then, and nothing will be.
 *
 * Delivery. Calls are at most once: what a call achieved shows in status updates; fw_reconcile()
 * asks for what may have been missed. Status updates are at least once until acknowledged: the
 * library acknowledges after on_update returned unless fw_scheduler_set_explicit_acks() was called.
 */
#ifndef FAIRLEAD_SCHEDULER_H
#define FAIRLEAD_SCHEDULER_H

#include <fairlead/framework.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fw_scheduler fw_scheduler;

/* Every member may be NULL. Messages are borrowed for the callback. `arg` is fw_scheduler_new()'s.
 */
struct fw_scheduler_callbacks {
    size_t size; /* sizeof(struct fw_scheduler_callbacks), for later versions of this struct */
    /* Subscribed, the first time and again; `master` is "host:port". */
    void (*on_subscribed)(fw_scheduler *s, const char *framework_id, const char *master, void *arg);
    /* The connection is lost; tasks go on. on_subscribed follows, or on_error. */
    void (*on_disconnected)(fw_scheduler *s, const char *why, void *arg);
    void (*on_offers)(fw_scheduler *s, fw_offer **offers, size_t n, void *arg);
    void (*on_rescind)(fw_scheduler *s, const char *offer_id, void *arg);
    void (*on_inverse_offer)(fw_scheduler *s, const char *inverse_offer_id,
                             const char *agent_id_or_null, double start, double duration_or_minus_1,
                             void *arg);
    void (*on_rescind_inverse_offer)(fw_scheduler *s, const char *inverse_offer_id, void *arg);
    void (*on_update)(fw_scheduler *s, const fw_status *status, void *arg);
    void (*on_operation_status)(fw_scheduler *s, const char *operation_id, const char *state,
                                const char *message, void *arg);
    void (*on_message)(fw_scheduler *s, const char *agent_id, const char *executor_id,
                       const void *data, size_t n, void *arg);
    void (*on_agent_lost)(fw_scheduler *s, const char *agent_id, void *arg);
    void (*on_executor_lost)(fw_scheduler *s, const char *agent_id, const char *executor_id,
                             int wait_status, void *arg);
    void (*on_heartbeat)(fw_scheduler *s, void *arg);
    /* Fatal: the framework was refused, removed or taken over, or the master cannot be used. No
     * callback follows; the loop ends. */
    void (*on_error)(fw_scheduler *s, const char *message, void *arg);
    /* Every event as it came, a serialized mesos.v1.scheduler.Event, before the callback it belongs
     * to. */
    void (*on_event)(fw_scheduler *s, const void *event, size_t n, void *arg);
};

/* `master`: "host:port", a comma-separated list of them, or file:///path with either. Copies
 * everything. -EINVAL: `master` or `info` cannot be used. */
FW_PUBLIC int fw_scheduler_new(const char *master, const fw_info *info,
                               const struct fw_scheduler_callbacks *cb, void *arg,
                               fw_scheduler **ret_scheduler);
/* Ends the loop, closes the connection without TEARDOWN: the framework fails over or times out. Not
 * in a callback. */
FW_PUBLIC void fw_scheduler_free(fw_scheduler *s);
FW_PUBLIC void fw_scheduler_set_explicit_acks(fw_scheduler *s, bool on); /* before start */
/* HTTP basic authentication; before start. */
FW_PUBLIC int fw_scheduler_set_credential(fw_scheduler *s, const char *principal,
                                          const char *secret);
/* Roles that begin suppressed; before start. */
FW_PUBLIC int fw_scheduler_set_suppressed_roles(fw_scheduler *s, const char *const *roles,
                                                size_t n);

FW_PUBLIC int
fw_scheduler_run(fw_scheduler *s); /* until fw_scheduler_stop() or on_error: 0 or -ECONNABORTED */
FW_PUBLIC int fw_scheduler_start(fw_scheduler *s); /* in a thread */
FW_PUBLIC int fw_scheduler_join(fw_scheduler *s);  /* waits for it: as run */
/* For a loop of the caller's: starts, and gives the descriptor to wait on (owned by the scheduler).
 */
FW_PUBLIC int fw_scheduler_fd(fw_scheduler *s);
FW_PUBLIC int fw_scheduler_dispatch(
    fw_scheduler *s); /* runs due callbacks: how many, or -ECONNABORTED at the end */
/* Ends run(), join() and dispatch(). With teardown, the framework and its tasks are ended at the
 * master first. */
FW_PUBLIC void fw_scheduler_stop(fw_scheduler *s, bool teardown);
/* Many schedulers on one thread: each belongs to a loop, and needs no run, start, join, fd or dispatch (which answer -EINVAL). It
 * begins when the loop runs next, so settings come before that. Loop, schedulers, and callbacks are one thread's; calls may still
 * come from any. Schedulers are freed before their loop. */
typedef struct fw_loop fw_loop;
FW_PUBLIC fw_loop *fw_loop_new(void);
FW_PUBLIC void fw_loop_free(fw_loop *l);
FW_PUBLIC void fw_loop_run_once(fw_loop *l); /* what is due; waits for it, half a second at most */
FW_PUBLIC int fw_scheduler_new_on(fw_loop *loop, const char *master, const fw_info *info,
                                  const struct fw_scheduler_callbacks *cb, void *arg,
                                  fw_scheduler **ret_scheduler);
/* After fw_scheduler_stop(), once all is sent; after on_error. */
FW_PUBLIC bool fw_scheduler_ended(const fw_scheduler *s);
FW_PUBLIC const char *
fw_scheduler_framework_id(const fw_scheduler *s); /* "" before the first subscription */
FW_PUBLIC const char *fw_scheduler_last_error(const fw_scheduler *s); /* "" when there is none */

/* ---- calls ---- refuse_seconds < 0: the master's default (5 s) */
FW_PUBLIC int fw_accept(fw_scheduler *s, const char *const *offer_ids, size_t n_offers,
                        fw_task *const *tasks, size_t n_tasks, double refuse_seconds);
/* One offer: fills in the agent id of the tasks, and takes their plain amounts of what the offer has, what is reserved to the role
 * first. */
FW_PUBLIC int fw_launch(fw_scheduler *s, const fw_offer *offer, fw_task *const *tasks,
                        size_t n_tasks, double refuse_seconds);
FW_PUBLIC int fw_launch_group(fw_scheduler *s, const fw_offer *offer,
                              const fw_executor_info *executor, fw_task *const *tasks,
                              size_t n_tasks, double refuse_seconds);
FW_PUBLIC int fw_decline(fw_scheduler *s, const char *const *offer_ids, size_t n,
                         double refuse_seconds);
FW_PUBLIC int fw_accept_inverse(fw_scheduler *s, const char *inverse_offer_id,
                                double refuse_seconds);
FW_PUBLIC int fw_decline_inverse(fw_scheduler *s, const char *inverse_offer_id,
                                 double refuse_seconds);
FW_PUBLIC int fw_revive(fw_scheduler *s, const char *const *roles, size_t n); /* n 0: all roles */
FW_PUBLIC int fw_suppress(fw_scheduler *s, const char *const *roles, size_t n);
FW_PUBLIC int fw_kill(fw_scheduler *s, const char *task_id, const char *agent_id_or_null,
                      double grace_or_minus_1);
FW_PUBLIC int fw_shutdown_executor(fw_scheduler *s, const char *agent_id, const char *executor_id);
FW_PUBLIC int fw_acknowledge(fw_scheduler *s, const fw_status *status); /* with explicit acks */
/* n 0: all tasks of the framework. agent_ids may be NULL, or hold NULLs. */
FW_PUBLIC int fw_reconcile(fw_scheduler *s, const char *const *task_ids,
                           const char *const *agent_ids, size_t n);
FW_PUBLIC int fw_message(fw_scheduler *s, const char *agent_id, const char *executor_id,
                         const void *data, size_t n);
FW_PUBLIC int fw_request(fw_scheduler *s, const char *agent_id_or_null, const char *resources_text);
FW_PUBLIC int fw_update_framework(fw_scheduler *s, const fw_info *info);
/* Any call at all: a serialized mesos.v1.scheduler.Call (its framework_id is filled in when unset).
 */
FW_PUBLIC int fw_call(fw_scheduler *s, const void *call, size_t n);

#ifdef __cplusplus
}
#endif
#endif
