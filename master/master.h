/* The master's core: one single-threaded state machine. Messages of agents, calls of frameworks and operators, timers and completed
 * stores come in; messages, events, stores and timers go out through `struct master_env`. It touches no clock, socket, disk
 * or random source by itself, so a simulation can drive it.
 *
 * Rooms: agents.c frameworks.c offers.c accept.c tasks.c reconcile.c registry.c ... are the core; master/api turns HTTP into the calls
 * below and state into JSON; master/main.c is the shell. All of this runs on the core's thread.
 *
 * The structs are open to master/ and master/api for reading. Only core files write them.
 *
 * Names: functions that begin with agent_ belong to agent/ (agent/agent.h). The simulation links both cores into one program, so what is
 * not static here and concerns agents begins with master_agent_.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <uthash.h>

#include "common/base/env.h"
#include "common/base/metrics.h"
#include "common/coord/store.h"
#include "common/model/acls.h"
#include "common/model/attributes.h"
#include "common/model/resources.h"
#include "common/model/task_state.h"
#include "master/allocator/allocator.h"
#include "master/changes.h"
#include "master/flags.h"
#include "proto/internal.pb-c.h"
#include "proto/master.pb-c.h"
#include "proto/scheduler.pb-c.h"

struct master;
struct framework;
struct agent;
struct offer;
struct task;
struct executor;
struct inverse_offer; /* core.h */
struct allocator_sink;

/* ---- the world as the core sees it ---- */
struct master_env {
    struct env env;
    const struct master_io *io;
    void *ctx;
    const struct allocator_sink *allocator_log; /* --allocator_log; or NULL */
};
struct master_io {
    /* `peer` is what master_agent_message() was called with (a wire channel). Never blocks; a dead peer is reported by
     * master_agent_closed() later, not from inside. */
    void (*agent_send)(void *ctx, void *peer, const ProtobufCMessage *m);
    void (*agent_close)(
        void *ctx, void *peer); /* after what was sent; master_agent_closed() does not follow */
    /* `stream` is what master_subscribe() was called with. */
    void (*framework_send)(void *ctx, void *stream, const Sched__Event *ev);
    void (*framework_close)(
        void *ctx,
        void *stream); /* after what was sent; master_framework_closed() does not follow */
    void (*publish)(void *ctx, const Mapi__Event *ev); /* to the operator API's subscribers */
    void (*store)(void *ctx, const struct store_op *ops, size_t n, store_done_f *done, void *arg);
    void (*fatal)(void *ctx, const char *why); /* registry lost: the process must end */
};

/* ---- state ---- */

/* What a task is, kept small: what decisions need is in fields, the rest is encoded, shared with
 * other tasks where it is the same, and read through task_pack.h or as a whole by master_task_pb(). */
struct task {
    /* What is seldom looked at comes first, so that what every update needs lies with the key. */
    const char
        *user; /* interned, a reference is owned; NULL: none of its own, or there are no rules */
    const char *info;         /* the same, no text: task_pack.h; or NULL */
    const char *executor_id;  /* the same; NULL for a command task */
    double first_status_time; /* seconds; orders /tasks */
    uint32_t mark;            /* scratch of a re-registration */
    uint32_t name_at;         /* task_pack.h */
    union {
        struct task *next_completed; /* framework->completed_tasks, oldest first */
        uint64_t launched_us;        /* before: when it was accepted; 0: elsewhere, or it has run */
    };
    struct task *agent_next,
        *agent_prev;             /* agent->tasks list, or known_agent->tasks while unreachable */
    struct framework *framework; /* borrowed */
    struct agent
        *agent; /* borrowed; NULL when the agent is not registered (unreachable, completed) */
    const char *agent_id;              /* interned, a reference is owned */
    const struct resources *resources; /* a reference is owned; with allocation_info; never NULL */
    uint8_t *statuses;                 /* owned: task_pack.h */
    uint32_t statuses_len, n_statuses;
    V1__TaskState state;               /* latest known on the agent */
    V1__TaskState last_status_state;   /* of the last of `statuses` */
    V1__TaskState status_update_state; /* of what was last forwarded to the framework */
    uint8_t status_update_uuid[FL_UUID_LEN];
    bool has_status_update, has_status_update_uuid;
    bool released;       /* resources were given back to the allocator */
    bool kill_requested; /* KILL came: repeated when the agent comes back with it */
    struct change_mark change;
    UT_hash_handle hh; /* framework->tasks, ->unreachable_tasks or ->completed_by_id */
    char id[];         /* the key; what follows it is task_pack.h's */
};

struct executor {
    char *id; /* borrowed from info */
    struct framework *framework;
    struct agent *agent;
    V1__ExecutorInfo *info; /* owned */
    struct resources resources;
    struct executor *next, *prev; /* agent->executors */
};

/* An operation (RESERVE .. DESTROY_DISK) that the agent was told of and whose last status is not acknowledged yet. */
struct operation {
    uint8_t uuid[FL_UUID_LEN];
    struct agent *agent;
    V1__Operation
        *pb;      /* owned; as operators see it. framework_id only when a framework asked for it */
    char *id_key; /* owned: "FRAMEWORK_ID OPERATION_ID"; NULL when nobody asked for feedback */
    bool told;    /* scratch of operations_told() */
    /* What it changed in agent->total before the agent had done it; empty when there is nothing to take back. */
    struct resources from, to;
    struct operation *next, *prev; /* agent->operations */
    UT_hash_handle hh, hh_id;      /* the core's tables by uuid and by id_key */
};

/* An operation that failed on the agent and whose result could not be taken out of agent->total yet. */
struct operation_undo {
    struct resources from, to;
    struct operation_undo *next;
};

struct offer {
    char id[64]; /* "<master id>-O12"; key in master->offers */
    struct framework *framework;
    struct agent *agent;
    const char *role; /* interned */
    struct resources resources;
    uint64_t made_us;
    struct env_timer *timeout;
    UT_hash_handle hh;
    struct offer *agent_next, *agent_prev;         /* agent->offers */
    struct offer *framework_next, *framework_prev; /* framework->offers */
};

/* What a framework uses or is offered on one agent, or in all. */
struct usage {
    const char *framework_id; /* borrowed from the framework; or agent id */
    struct resources used;
    struct resources offered;
    struct usage *next;
};

/* Amounts of the scalars that metrics name. */
enum { TOTALS_NAMES = 4 }; /* cpus, gpus, mem, disk */
struct scalar_sums {
    milli_t of[2][TOTALS_NAMES]; /* [1]: what is revocable of it, [0]: the rest */
};

struct agent {
    unsigned magic;
    struct master *master; /* borrowed */
    const char *id;        /* interned, a reference is owned: "<master id>-S0" */
    V1__AgentInfo *info;   /* owned: agent_info_keep() */
    char *pid;             /* "slave(1)@127.0.0.1:5051" */
    const char *version;   /* interned, a reference is owned */
    const V1__AgentInfo__Capability__Type *capabilities; /* the same, no text: known ones */
    size_t n_capabilities;
    uint8_t resource_version[FL_UUID_LEN];
    bool has_resource_version;
    void *peer; /* wire channel; NULL while disconnected */
    bool connected;
    bool active;      /* may be offered: connected, not draining, not deactivated */
    bool deactivated; /* by the operator */
    struct resources total, used, offered; /* used and offered carry allocation_info */
    const struct resources
        *told_total; /* a reference is owned: of info, often as of other agents */
    struct resources booked_reservations; /* of `total`, as roles.c last saw it */
    struct scalar_sums booked_total;      /* of `total`, as totals.c last saw it */
    struct usage *usages;                 /* per framework */
    struct task *tasks;                   /* list by agent_next */
    unsigned n_tasks;                     /* in it */
    struct executor *executors;
    struct offer *offers;
    struct inverse_offer *inverse_offers;
    struct operation *operations;
    unsigned n_operations;
    struct operation_undo *undos;
    double registered_time, reregistered_time; /* seconds since 1970; 0 = never */
    unsigned missed_pings;
    bool pong_missing;   /* the last ping is not answered yet */
    bool removing;       /* on its way to unreachable or removed: the registry is being told */
    bool removal_queued; /* waits for agent_removal_rate_limit */
    struct env_timer *reregister_timer;
    uint64_t ping_due_us;                /* agents_leave.c */
    struct agent *ping_next, *ping_prev; /* core->pings */
    V1__DrainInfo *drain_info;           /* owned or NULL */
    double drain_start_time;
    bool drain_due; /* drain.c will look whether it is drained */
    struct change_mark change;
    V1__Unavailability *unavailability; /* owned or NULL */
    V1__Resource **checkpointed; /* owned array of owned messages: as last told by the agent */
    size_t n_checkpointed;
    UT_hash_handle hh;     /* master->agents, by id */
    UT_hash_handle hh_pid; /* master->agents_by_pid */
};

/* An agent that is not registered: from the registry (recovered, unreachable, gone). */
struct known_agent {
    const char *id;      /* interned, a reference is owned */
    V1__AgentInfo *info; /* owned: agent_info_keep(); NULL where a registry has the id alone */
    uint64_t since_ns;   /* unreachable or gone: wall time */
    struct task *tasks;  /* unreachable ones of frameworks: list by agent_next */
    V1__DrainInfo *drain_info; /* owned or NULL */
    bool deactivated;
    struct change_mark change;
    UT_hash_handle hh;
};

/* What has happened with a framework: framework_metrics.c. Numbers of enums are the index. */
struct framework_counts {
    uint64_t calls[20], events[16], ended[16], operations[16];
    uint64_t sent, accepted, declined, rescinded; /* offers */
    unsigned tasks[16];                           /* now, by state */
};

struct framework {
    unsigned magic;
    char *id;
    V1__FrameworkInfo *info; /* owned; id set */
    const char **roles;      /* interned; owned array */
    size_t n_roles;
    char **suppressed; /* owned */
    size_t n_suppressed;
    Sched__OfferConstraints *constraints_pb; /* owned or NULL */
    struct offer_constraints *constraints;
    char *principal; /* authenticated principal or NULL */
    void *stream;    /* NULL while disconnected */
    char stream_id[FL_UUID_STR];
    bool connected, active, recovered;
    bool cap_partition_aware, cap_task_killing, cap_multi_role, cap_refinement;
    double registered_time, reregistered_time, unregistered_time;
    struct task *tasks;                            /* hash by id */
    struct task *unreachable_tasks;                /* hash by id */
    struct task *completed_tasks, *completed_tail; /* oldest first */
    struct task *completed_by_id; /* the same as a hash; an id may be there twice */
    unsigned n_completed;
    struct offer *offers;
    struct resources used, offered; /* sums over agents, with allocation_info */
    struct master *master;          /* borrowed */
    struct env_timer *failover_timer, *heartbeat_timer;
    uint64_t heartbeat_due_us;
    V1__Offer **pending_offers; /* of the allocation run under way; in the scratch arena */
    size_t n_pending, cap_pending;
    struct framework *next_pending;
    struct inverse_offer *inverse_offers;
    bool inverse_pending; /* some of them are not sent yet */
    struct framework *next_inverse_pending;
    struct change_mark change;
    struct framework_counts counts;
    UT_hash_handle hh; /* master->frameworks */
    struct framework *next_completed;
};

struct master {
    unsigned magic;
    struct master_env *env; /* borrowed */
    const struct master_flags *flags;
    struct metrics *metrics;
    char id[FL_UUID_STR];
    V1__MasterInfo *
        info; /* owned; ip as in the reference, port, hostname, pid, version, domain, capabilities */
    double start_time, elected_time;
    bool recovered; /* the registry has been read: calls are served */
    const struct allocator_ops *alloc_ops;
    struct allocator *alloc;
    struct framework *frameworks;           /* hash */
    struct framework *completed_frameworks; /* oldest first, at most max_completed_frameworks */
    unsigned n_completed_frameworks;
    struct agent *agents; /* hash: registered ones, connected or not */
    struct agent *agents_by_pid;
    struct known_agent *recovered_agents; /* admitted, not yet back after a restart */
    struct known_agent *unreachable_agents;
    struct known_agent *gone_agents;
    struct offer *offers; /* hash */
    uint64_t next_framework, next_agent, next_offer;
    unsigned
        n_subscribers; /* of the operator's event stream; written by master/api. 0: events are not made */
    struct changes *changes;          /* changes.h: NULL while nobody watches */
    uint64_t last_key, last_task_key; /* given to things, changes.h */
    const char **role_whitelist;      /* interned, from --roles; NULL when not given */
    size_t n_role_whitelist;
    const struct acls *acls; /* borrowed, set once by the shell; NULL: everything is allowed */
    struct core *core;       /* core.h: of the core's files only */
};

/* ---- life ---- */
/* `env`, `flags`, `metrics` outlive it. `info` is copied; its id is made here. */
int master_new(struct master_env *env, const struct master_flags *flags, struct metrics *metrics,
               const struct allocator_ops *alloc, const V1__MasterInfo *info, struct master **ret,
               struct fl_err *err);
void master_free(struct master *m);
/* One record of the registry, at start; then master_recovered(). */
int master_recover_record(struct master *m, const char *key, const void *data, size_t len,
                          struct fl_err *err);
void master_recovered(struct master *m);

/* ---- agents ---- */
/* Any message of the wire. `peer` is new or known; `peer_address` "ip:port" of the connection. */
void master_agent_message(struct master *m, void *peer, const char *peer_address,
                          const ProtobufCMessage *msg);
void master_agent_closed(struct master *m, void *peer);

/* ---- frameworks ---- */
/* SUBSCRIBE that passed the HTTP checks; answers by events on `stream` (also refusals: ERROR, then close). `stream_id` is the new
 * Mesos-Stream-Id. */
void master_subscribe(struct master *m, void *stream, const char *stream_id,
                      const Sched__Call *call, const char *principal);
/* The framework of this stream does not read: `waiting` bytes of events wait for it. For the log and the counter; the stream's end
 * is told by master_framework_closed(), later. */
void master_framework_too_slow(struct master *m, const void *stream, size_t waiting);
void master_framework_closed(struct master *m, void *stream);
/* Any other call: the checks that need state (unknown framework 400, principal 400, not subscribed 403, stream id 400), then its
 * effect. The call is in an arena: it is
 * completed in place (allocation roles, executors' framework ids). Returns the HTTP status; *err says why when it is no success. */
int master_call(struct master *m, const Sched__Call *call, const char *stream_id_or_null,
                const char *principal, struct fl_err *err);

/* ---- operators ----
 * What an operator asks for comes in through functions of the room that does it (master/quota.h, master/maintenance.h,
 * master/operator_resources.h, ...), with the principal that was authenticated, or NULL. What must first reach the registry is
 * answered through a function, once, perhaps before the call returns: 200 or 202 with no error, or the error whose reason
 * says the status. The request and its arena live until then. */
typedef void operator_done_f(void *arg, int status, const struct fl_err *err_or_null);
/* Agents that may be offered: host names, one a line. NULL: all of them, as from the start. */
void master_set_whitelist(struct master *m, const char *text_or_null);
int master_teardown(struct master *m, const char *framework_id, struct fl_err *err);

/* ---- reading, for master/api ---- */
/* The whole Task message, in the arena. */
V1__Task *master_task_pb(const struct task *t, struct fl_arena *arena);
/* FrameworkInfo etc. in operator form. */
struct framework *master_framework(const struct master *m, const char *id);
struct agent *master_agent(const struct master *m, const char *id);
/* The messages of the operator API, in the arena; parts that live as long as the object are borrowed from it. */
Mapi__Response__GetAgents__Agent *master_agent_pb(const struct master *m, const struct agent *a,
                                                  struct fl_arena *arena);
Mapi__Response__GetFrameworks__Framework *
master_framework_pb(const struct master *m, const struct framework *f, struct fl_arena *arena);
/* The offer as the framework was sent it (its resource format), or with allocation_info for operators. */
V1__Offer *master_offer_pb(const struct master *m, const struct offer *o, bool for_operator,
                           struct fl_arena *arena);
/* How many tasks are in that state now: counted as they change. */
unsigned master_task_count(const struct master *m, V1__TaskState state);

#endif
