/* What the files of the master's core share, and nobody else includes. All on the core's thread.
 *
 * Every entry from outside (message, call, timer, completed store) runs between core_enter() and
 * core_leave(): the scratch arena lives until the outermost leave, so whatever is built for one
 * event needs no free. State that stays is on the heap.
 */
#ifndef MASTER_CORE_H
#define MASTER_CORE_H

#include <utlist.h>

#include "common/base/log.h"
#include "common/model/validate.h"
#include "master/master.h"
#include "proto/registry.pb-c.h"

#define MASTER_MAGIC    0x4d535452u
#define AGENT_MAGIC     0x4147454eu
#define FRAMEWORK_MAGIC 0x4652414du

#define US_PER_S 1000000ull

#define AGENT_ID_SIZE 64 /* longer ones are not taken from agents */

/* One wire channel of an agent. */
struct link {
    void *peer;
    struct agent *agent; /* NULL until (re-)registered */
    UT_hash_handle hh;
    bool registering;     /* its registration waits for the registry */
    uint64_t answered_us; /* when its re-registration was answered; 0: not yet */
    char address[];
};

/* A request to leave an agent that will be unavailable: inverse_offers.c. */
struct inverse_offer {
    char id[64]; /* of the offers' counter */
    struct framework *framework;
    struct agent *agent;
    bool fresh; /* made in the allocation run under way, not sent yet */
    struct env_timer *timeout;
    UT_hash_handle hh;                                     /* core->inverse_offers */
    struct inverse_offer *agent_next, *agent_prev;         /* agent->inverse_offers */
    struct inverse_offer *framework_next, *framework_prev; /* framework->inverse_offers */
};

enum transition_kind {
    TRANSITION_ADMIT,       /* registration of a new agent */
    TRANSITION_READMIT,     /* re-registration of one that is not registered */
    TRANSITION_UPDATE,      /* re-registration of a registered one with another AgentInfo */
    TRANSITION_UNREACHABLE, /* leaves the registered ones */
    TRANSITION_REMOVE,      /* leaves the registry */
    TRANSITION_MARK,        /* draining or deactivated, or not any more; stays where it is */
    TRANSITION_GONE,        /* its id is never admitted again */
};

/* A change of an agent that waits for the registry; at most one an agent. */
struct transition {
    struct master *master;
    enum transition_kind kind;
    char id[64];
    void *peer;                  /* who asked; NULL when it has gone meanwhile */
    struct fl_arena *arena;      /* owned, of `msg`; or NULL */
    const ProtobufCMessage *msg; /* the (re-)registration: transition_keep() */
    char *why;                   /* owned: of a removal */
    uint64_t since_ns;
    struct metric *reason;         /* counted when done; or NULL */
    struct drain_request *request; /* owned: of MARK and GONE */
    V1__DrainInfo *drain_info;     /* owned: what MARK makes it; NULL: not draining */
    bool deactivated;
    UT_hash_handle hh;
};

struct core_metrics {
#define METRIC_COUNTER(field, ...) struct metric *field;
#define METRIC_PULL(...)
#define METRIC_NAME(...)
#include "master/metrics.def"
#undef METRIC_COUNTER
#undef METRIC_PULL
#undef METRIC_NAME
};

/* Sizes of the tables of counters: past the last number of each enum. */
enum { END_STATES = 16, END_SOURCES = 4, END_REASONS = 48 };

struct core {
    unsigned depth;           /* of core_enter() */
    struct fl_arena *scratch; /* of the event under way */
    struct link *links;
    struct transition *transitions;
    struct core_metrics c;
    unsigned task_count[32]; /* by TaskState */
    struct fl_buf pack;      /* reused */
    struct totals *totals;
    struct total_gauge *total_gauges;
    struct metric *ends[END_STATES][END_SOURCES][END_REASONS]; /* made when first needed */
    struct role_share *shares;
    struct operation *operations, *operations_by_id; /* of all agents, by uuid and by id_key */
    struct role *roles;                              /* roles.h: hash */
    struct flag_weight
        *flag_weights;      /* weights.c: of --weights, until the registry has been read */
    bool weights_recovered; /* the registry has some */
    struct quota_write *quota_writes; /* quota.c: on their way to the registry, oldest first */
    struct env_timer *hold_timer;     /* quota.c: no allocation until it or enough agents come */
    size_t hold_agents;
    struct metric *alloc_runs, *alloc_ms, *alloc_latency_ms;
    struct metric *offer_answer, *launch, *update_latency; /* histograms */
    uint64_t alloc_kicked_us;

    /* allocation */
    struct env_timer *alloc_timer, *alloc_interval_timer;
    bool alloc_kicked;
    bool alloc_running; /* inside run(): what it may not be told then waits in `returned` */
    struct returned {
        char *framework_id, *agent_id; /* in scratch */
        struct resources res;
        struct returned *next;
    } * returned;
    struct framework *pending;            /* those with pending_offers, by next_pending */
    struct inverse_offer *inverse_offers; /* hash */
    struct framework *inverse_pending;    /* those with fresh inverse offers */
    struct undelivered {
        char *framework_id, *agent_id; /* in scratch */
        struct undelivered *next;
    } * undelivered; /* inverse offers of this run that nobody can be told of */

    struct maintenance *maintenance;     /* maintenance_priv.h */
    struct drain_request *drain_waiting; /* until another change of their agents is through */
    struct env_timer *drain_timer;

    /* removals.c: agents on their way to unreachable, at most so many a time */
    uint64_t removal_period_us; /* 0: no limit */
    uint64_t removal_next_us;
    struct env_timer *removal_timer;
    struct removal *removals; /* waiting, oldest first */
    double recovery_limit;    /* share of the recovered agents that may stay away */

    struct agent *pings; /* by when they are due */
    struct env_timer *ping_timer;

    struct env_timer *recovery_timer; /* recovered agents that do not come back */
    size_t n_recovered_at_start;
    struct env_timer *gc_timer; /* of the registry's old entries */
    uint32_t generation;        /* for task->mark */
};

void core_enter(struct master *m);
void core_leave(struct master *m);
const struct env *core_env(const struct master *m);
uint64_t core_now(const struct master *m);
void *core_alloc(struct master *m, size_t n); /* zeroed, of the scratch arena */
#define core_new(m, type) ((type *)core_alloc(m, sizeof(type)))
char *core_printf(struct master *m, const char *fmt, ...) _printf_(2, 3); /* scratch */

/* ---- metrics.c ---- */
void core_metrics_init(struct master *m);

/* ---- framework_metrics.c: master/frameworks/NAME/ID/... ---- */
void framework_count_state(struct framework *f, V1__TaskState state, int by);
void framework_count_call(struct framework *f, Sched__Call__Type type);
void framework_count_event(struct framework *f, Sched__Event__Type type);
void framework_count_operation(struct framework *f, V1__Offer__Operation__Type type);
void frameworks_tell(const struct master *m, metric_tell_f *tell, void *to);

/* ---- totals.c: what the whole cluster has and uses, kept as it changes ---- */
extern const char *const totals_names[TOTALS_NAMES];
struct totals {
    const char *names[TOTALS_NAMES]; /* interned */
    struct scalar_sums total, used, offered;
    unsigned connected, active; /* agents */
};
void totals_init(struct master *m);
void totals_free(struct master *m);
/* `to` += or -= r, the agent's resources that are used or offered. */
void totals_change(struct agent *a, struct resources *to, const struct resources *r, bool add);
/* The agent's total changed. At its end with an empty total. */
void agents_total_changed(struct agent *a);
void agents_set_connected(struct agent *a, bool connected);
void agents_set_active(struct agent *a, bool active);

/* ---- counters.c ---- */
void counters_init(struct master *m);
void counters_free(struct master *m);
void count_end(struct master *m, V1__TaskState state, const V1__TaskStatus *st);
/* `from` == `to`: it is new, in that state. */
void count_operation(struct master *m, V1__Offer__Operation__Type type, V1__OperationState from,
                     V1__OperationState to);
/* master's part of allocator/mesos/roles/ROLE/shares/dominant, while a framework has the role. */
void shares_add(struct master *m, const struct framework *f);
void shares_remove(struct master *m, const struct framework *f);

/* ---- allocation.c ---- */
int allocation_new(struct master *m, const struct allocator_ops *ops, struct fl_err *err);
void allocation_free(struct master *m);
void allocation_kick(struct master *m); /* run soon */
void allocation_recover(struct master *m, const char *framework_id, const char *agent_id,
                        const struct resources *res, const V1__Filters *filters);
void allocation_add_framework(struct master *m, struct framework *f);
void allocation_update_framework(struct master *m, struct framework *f);
void allocation_add_agent(struct master *m, struct agent *a, bool is_update);

/* ---- offers.c ---- */
void offer_made(void *arg, const char *framework_id, const char *role, const char *agent_id,
                const struct resources *res); /* the allocator's callback */
void offers_flush(struct master *m);
V1__URL *agents_url(struct fl_arena *arena, const struct agent *a);
struct offer *offer_find(const struct master *m, const char *id);
void offer_answered(struct master *m, const struct offer *o); /* for the statistics */
/* Takes it off the books without giving anything to the allocator. */
void offer_remove(struct master *m, struct offer *o);
/* Gives the resources back; tells the framework when `rescind`. */
void offer_withdraw(struct master *m, struct offer *o, bool rescind, const V1__Filters *filters);

/* ---- inverse_offers.c ---- */
void inverse_offer_made(void *arg, const char *framework_id, const char *agent_id,
                        const V1__Unavailability *unavailability); /* the allocator's callback */
void inverse_offers_flush(struct master *m);                       /* after an allocation run */
void inverse_offers_withdraw_agent(struct master *m, struct agent *a);
void inverse_offers_withdraw_framework(struct master *m, struct framework *f, bool rescind);
/* Of an agent that the module no longer has. */
void inverse_offers_drop_agent(struct master *m, struct agent *a, bool rescind);
void framework_answer_inverse(struct master *m, struct framework *f, V1__OfferID *const *ids,
                              size_t n, bool accept, const V1__Filters *filters);

/* ---- maintenance.c ---- */
void maintenance_init(struct master *m);
void maintenance_free(struct master *m);
int maintenance_recover(struct master *m, const ProtobufCMessage *msg, struct fl_err *err);
/* Before the module hears of the agent: when it will be unavailable. */
void maintenance_agent_added(struct master *m, struct agent *a);
/* Is the machine of that hostname and address "ip:port" down? */
bool maintenance_down(struct master *m, const char *hostname, const char *address);
/* An agent on a machine that is down is shut down and removed; it may be gone afterwards. */
void maintenance_enforce(struct master *m, struct agent *a);

/* ---- drain.c, gone.c ---- */
void drain_free(struct master *m);
void drain_request_free(struct drain_request *r); /* unanswered: 503 */
/* Something that it waits for may have ended: soon looks whether the agent (or NULL) is drained. */
void drain_kick(struct master *m, struct agent *a);
void drain_tell(struct master *m, struct agent *a); /* a draining or drained agent that is back */
void drain_stored(struct master *m, struct transition *tr);
void gone_stored(struct master *m, struct transition *tr);
void gone_apply(struct master *m, struct transition *tr);
/* A change of the agent is through: the next may begin. */
void drain_next(struct master *m, const char *agent_id);
/* What tasks of the framework become. */
void gone_state(const struct framework *f, V1__TaskState *ret_state,
                V1__TaskStatus__Reason *ret_reason);

/* ---- usage.c: what is used and offered, on agents and of frameworks ---- */
struct usage *usage_of(struct agent *a, const char *framework_id, bool make);
void usage_add(struct agent *a, struct framework *f, const struct resources *r, bool offered);
void usage_subtract(struct agent *a, struct framework *f, const struct resources *r, bool offered);
void usages_free(struct agent *a);
void agents_put_total(struct agent *a); /* total from info and checkpointed resources */

/* ---- send.c ---- */
void framework_send(struct master *m, struct framework *f, const Sched__Event *ev);
void framework_error(struct master *m, void *stream, const char *why); /* ERROR, then close */
void agents_send(struct master *m, struct agent *a, const ProtobufCMessage *msg);
void agents_shutdown(struct master *m, void *peer, const char *why);
/* A status made by the master. Strings are borrowed. */
struct made_status {
    const char *task_id, *agent_id, *executor_id; /* the last two may be NULL */
    V1__TaskState state;
    V1__TaskStatus__Reason reason;
    const char *message;
    uint64_t unreachable_ns;    /* or 0 */
    const V1__TaskStatus *like; /* health, check and container status of this one; or NULL */
};
/* In the scratch arena. */
V1__TaskStatus *status_make(struct master *m, const struct made_status *s);
void status_send(struct master *m, struct framework *f, const V1__TaskStatus *st);
V1__TaskState state_told(const struct framework *f, V1__TaskState aware_state);
/* TASK_ERROR, TASK_LOST, ... for a task that never was; counted. */
void count_terminal(struct master *m,
                    V1__TaskState state); /* tasks.c: master/tasks_finished, ... */
void status_refuse(struct master *m, struct framework *f, const V1__TaskInfo *t,
                   V1__TaskState state, V1__TaskStatus__Reason reason, const char *why);

/* ---- tasks.c ---- */
/* Takes `res`, the task's own resources. They are not counted as used yet: the caller does that for
 * all tasks that it adds at once. */
struct task *task_add(struct master *m, struct framework *f, struct agent *a,
                      const V1__TaskInfo *info, struct resources *res);
struct task *task_add_known(struct master *m, struct framework *f, struct agent *a,
                            const V1__Task *t);
/* A status came or was made: state, history, resources, counters, operator event. */
void task_update(struct master *m, struct task *t, const V1__TaskStatus *st,
                 const V1__TaskState *latest_or_null);
/* From the agent's books to the framework's completed (or unreachable) ones. */
void task_remove(struct master *m, struct task *t, bool unreachable);
void task_complete_unreachable(struct master *m, struct task *t); /* unreachable -> completed */
void task_forget_unreachable(struct master *m, struct task *t);
bool task_is_completed(const struct framework *f, const char *task_id);
void tasks_forget_completed(struct framework *f, const char *task_id);
void task_free(struct task *t);
V1__TaskStatus *task_last_status(struct master *m, const struct task *t); /* scratch; NULL: none */
/* The completed ones over the limit go. */
void tasks_trim_completed(struct master *m, struct framework *f);
void task_append_completed(struct master *m, struct framework *f, struct task *t);

struct executor *executor_find(struct agent *a, const struct framework *f, const char *id);
struct executor *executor_add(struct master *m, struct framework *f, struct agent *a,
                              const V1__ExecutorInfo *info);
void executor_remove(struct master *m, struct executor *e);

/* ---- updates.c, reconcile.c ---- */
void agents_status_update(struct master *m, struct agent *a, const Msg__StatusUpdateMessage *msg);
void framework_reconcile(struct master *m, struct framework *f, const Sched__Call__Reconcile *call);
void reconcile_one(struct master *m, struct framework *f, const char *task_id,
                   const char *agent_id_or_null);

/* ---- accept.c, launch.c, operations.c ---- */
/* Filters as given, or the protocol's default of five seconds. */
const V1__Filters *filters_or_default(struct master *m, const V1__Filters *filters);
void framework_accept(struct master *m, struct framework *f, Sched__Call__Accept *call);
/* An ACCEPT under way: what is left of its offers. */
struct acceptance {
    struct master *m;
    struct framework *f;
    struct agent *a;
    const char *role;
    struct resources offered;   /* what the offers were */
    struct resources remaining; /* of it, not taken by a task yet */
    struct resources shared;    /* a copy of each shared volume: every task may take one */
    struct resources launched;
    struct resources to_book; /* of tasks that were added, not counted as used yet */
};
void accept_context(struct acceptance *acc, struct validate_context *ret_c);
void accept_launch(struct acceptance *acc, V1__Offer__Operation *op);
void accept_launch_group(struct acceptance *acc, V1__Offer__Operation *op);
void accept_operation(struct acceptance *acc, V1__Offer__Operation *op);

/* ---- operations.c ---- */
/* OPERATION_ERROR to a framework that asked for feedback by an operation id. */
void operation_refuse(struct master *m, struct framework *f, const V1__Offer__Operation *op,
                      const char *why);
/* Puts its resources into the newer format (in place, scratch). FL_INVALID names what is wrong with one. */
int operation_upgrade(struct master *m, V1__Offer__Operation *op, struct fl_err *err);
/* For validate_operation(): what of the agent the operation depends on. The resources are written into *total and *used
 * (initialised by the caller), which *c borrows. */
void operation_context(const struct agent *a, struct resources *total, struct resources *used,
                       struct validate_context *c);
/* What the operation takes out of `pool` and puts there instead; both replaced. FL_INVALID when `pool` does not have it. */
int operation_conversion(const struct resources *pool, const V1__Offer__Operation *op,
                         struct resources *from, struct resources *to, struct fl_err *err);
/* The allocator has converted `from` into `to`: the agent's total follows, and the agent is told. `f` is NULL for an operator. */
void operation_start(struct master *m, struct framework *f, struct agent *a,
                     V1__Offer__Operation *op, const struct resources *from,
                     const struct resources *to);
/* Sends an operation again to an agent that registered again without it; false: it cannot be done any more, or need not. */
bool operation_again(struct master *m, struct operation *o);
/* Offers that hold a volume which DESTROY names are taken back. */
void operation_rescind_destroyed(struct master *m, struct agent *a, const V1__Offer__Operation *op);
bool operation_room(const struct agent *a, struct fl_err *err);
struct operation *operation_known(struct master *m, struct agent *a, const V1__Operation *told);
struct operation *operation_find(struct master *m, const ProtobufCBinaryData *uuid);
struct operation *operation_find_by_id(struct master *m, const char *framework_id, const char *id);
void operation_free(struct master *m, struct operation *o);
/* The agent says that it failed: what it had changed in the books is undone, now or as soon as that is possible. */
void operation_undo(struct master *m, struct operation *o);
/* The agent's total was just replaced by what the agent told: nothing is ahead of it any more. */
void operations_total_told(struct master *m, struct agent *a);
void operations_drop(struct master *m, struct agent *a); /* of an agent that leaves the books */

/* ---- operations_status.c ---- */
bool operation_state_is_terminal(V1__OperationState s);
void operation_tell(struct master *m, struct framework *f, V1__OperationStatus *st);
void agents_operation_status(struct master *m, struct agent *a,
                             const Msg__UpdateOperationStatusMessage *msg);
/* All that the agent has: what the master does not know is put on the books, what the agent does not know is asked about. */
void operations_told(struct master *m, struct agent *a, V1__Operation *const *ops, size_t n);
/* The agent is unreachable or gone: the operations leave the books, and frameworks that wait for feedback are told `why` (NULL: they
 * are not told). */
void operations_lost(struct master *m, struct agent *a, V1__OperationState state, const char *why);
void framework_reconcile_operations(struct master *m, struct framework *f,
                                    const Sched__Call__ReconcileOperations *call);
void framework_ack_operation(struct master *m, struct framework *f,
                             const Sched__Call__AcknowledgeOperationStatus *ack);

/* ---- frameworks.c ---- */
struct framework *framework_add(struct master *m, const V1__FrameworkInfo *info);
/* Known through an agent only, after a restart of the master. */
struct framework *framework_recover(struct master *m, const V1__FrameworkInfo *info);
void framework_remove(struct master *m, struct framework *f);
void framework_free(struct framework *f);
bool framework_is_completed(const struct master *m, const char *id);
int framework_update(struct master *m, struct framework *f,
                     const Sched__Call__UpdateFramework *call, struct fl_err *err);

/* ---- agents.c: what an agent is ---- */
struct link *link_find(struct master *m, void *peer);
struct link *link_get(struct master *m, void *peer, const char *address);
/* From the table, as its agent (if any) has another or none; closes the channel when `close`. */
void link_drop(struct master *m, struct link *l, bool close);
struct agent *agents_new(struct master *m, const V1__AgentInfo *info, const char *pid);
void agents_free(struct master *m, struct agent *a);
char *agents_pid_of(const char *peer_address, const V1__AgentInfo *info); /* heap */
void agents_set_info(struct agent *a, const V1__AgentInfo *info);
void agents_set_pid(struct master *m, struct agent *a, const char *pid);
void agents_set_version(struct agent *a, const char *version,
                        V1__AgentInfo__Capability *const *caps, size_t n_caps,
                        const V1__UUID *resource_version);
void agents_set_checkpointed(struct agent *a, V1__Resource *const *r, size_t n);
bool agents_has_capability(const struct agent *a, V1__AgentInfo__Capability__Type type);
/* On the books, offered when active. The link may be NULL: then it is disconnected from the start. */
void agents_admit(struct master *m, struct agent *a, struct link *l);
void agents_attach(struct master *m, struct agent *a, struct link *l);

/* ---- register.c, reregister.c ---- */
void agents_register(struct master *m, struct link *l, const Msg__RegisterSlaveMessage *msg);
void agents_registered(struct master *m, struct transition *tr);
void agents_reregister(struct master *m, struct link *l, const Msg__ReregisterSlaveMessage *msg);
void agents_reregistered(struct master *m, struct transition *tr);
/* Version, domain, resources; FL_INVALID says what is wrong. */
int agents_check(struct master *m, const V1__AgentInfo *info, const char *version,
                 struct fl_err *err);
Msg__MasterSlaveConnection *agents_connection_pb(struct master *m); /* scratch */
void agents_update(struct master *m, struct agent *a, const Msg__UpdateSlaveMessage *msg);

/* ---- agents_leave.c: pings, disconnection, removal ---- */
void agents_start_pings(struct master *m, struct agent *a); /* by one at once */
void agents_stop_pings(struct master *m, struct agent *a);  /* takes one that has none, too */
void pings_init(struct master *m);
void pings_free(struct master *m);
void agents_pong(struct master *m, struct agent *a);
void agents_disconnected(struct master *m, struct agent *a);
void agents_deactivate(struct master *m,
                       struct agent *a); /* no more offers; those out are rescinded */
/* Through the registry; then its tasks are told about. */
void agents_mark_unreachable(struct master *m, struct agent *a, const char *why);
void agents_unregister(struct master *m, struct agent *a, const char *why, struct metric *reason);
/* The registry knows: off the books, tasks LOST / UNREACHABLE, FAILURE to frameworks. */
void agents_left(struct master *m, struct transition *tr);
void agents_exited_executor(struct master *m, struct agent *a,
                            const Msg__ExitedExecutorMessage *msg);
void agents_executor_message(struct master *m, struct agent *a,
                             const Msg__ExecutorToFrameworkMessage *msg);

/* ---- removals.c ---- */
/* Reads --agent_removal_rate_limit and --recovery_agent_removal_limit. */
int removals_init(struct master *m, struct fl_err *err);
void removals_free(struct master *m);
/* The agent (registered or recovered) goes unreachable as soon as the rate limit lets it, unless it
 * is heard of before. */
void removal_queue(struct master *m, const char *agent_id, const char *why);
void removal_cancel(struct master *m, struct agent *a);
/* Recovered agents have agent_reregister_timeout to come back. */
void recovery_watch_start(struct master *m);

/* ---- registry.c ---- */
struct transition *transition_find(struct master *m, const char *agent_id);
struct transition *transition_new(struct master *m, enum transition_kind kind,
                                  const char *agent_id);
/* Takes `tr`. Writes the records of its kind; then what its kind does. */
void transition_start(struct transition *tr, const V1__AgentInfo *info,
                      V1__DrainInfo *drain_or_null, bool deactivated);
/* A copy of the (re-)registration that it waits with. */
void transition_keep(struct transition *tr, const ProtobufCMessage *msg);
void transition_free(struct transition *tr);
struct known_agent *known_find(struct known_agent *list, const char *id);
struct known_agent *known_add(struct known_agent **list, const char *id);
void known_remove(struct master *m, struct known_agent **list, struct known_agent *k);
void registry_gc_start(struct master *m);
/* Writes records of other kinds ("quota/eng", "weight/eng", "maintenance") as one batch, all or nothing. `done` runs on the core's
 * thread when they are durable: only then the change may show. A failed write ends the process. What reads them at start is a
 * row of record_kinds[] in registry.c. */
struct registry_change {
    const char *key;
    const ProtobufCMessage *record; /* NULL deletes */
};
void registry_write(struct master *m, const struct registry_change *changes, size_t n,
                    void (*done)(struct master *m, void *arg), void *arg);

/* ---- publish.c: the operator's events; nothing is built while nobody listens ---- */
void publish_task_added(struct master *m, const struct task *t);
void publish_task_updated(struct master *m, const struct task *t, const V1__TaskStatus *st);
void publish_agent_added(struct master *m, const struct agent *a);
void publish_agent_removed(struct master *m, const char *agent_id);
void publish_framework(struct master *m, const struct framework *f, Mapi__Event__Type type);
void publish_framework_removed(struct master *m, const struct framework *f);

#endif
