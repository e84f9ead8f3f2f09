/* The agent's core: one single-threaded state machine. Messages of the master, calls of executors, events of the containerizer and
 * timers come in; messages, events, checkpoints and timers go out through `struct agent_env` and the containerizer's vtable. It touches no
 * clock, socket, disk or random source by itself, so a simulation and the emulator can drive it.
 *
 * Rooms: core.c frameworks.c executors.c executor_link.c tasks.c task_record.c command.c updates.c registration.c checkpoint.c recovery.c
 * operations.c operation_commit.c operation_hold.c volumes.c gc.c oversubscription.c are the core; agent/api turns HTTP into the calls
 * below and state into JSON; shell.c, disk*.c and main.c are the shell.
 *
 * The structs are open to agent/ and agent/api for reading. Only core files write them. Names begin with agent_ because the
 * simulation holds the master's structs beside these.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <uthash.h>

#include "agent/containerizer/containerizer.h"
#include "agent/flags.h"
#include "common/base/env.h"
#include "common/base/metrics.h"
#include "common/model/checks.h"
#include "common/model/resources.h"
#include "common/model/task_state.h"
#include "proto/executor.pb-c.h"
#include "proto/internal.pb-c.h"

struct agent_core;
struct agent_updates;
struct agent_oversub;
struct agent_operations;
struct agent_nested_set;

/* ---- the world as the core sees it ---- */
struct agent_env {
    struct env env;
    const struct agent_io *io;
    void *ctx;
};
enum agent_link_reset {
    AGENT_LINK_RETRY, /* close the connection and find the leading master again */
    AGENT_LINK_STOP,  /* close it for good: the agent is ending */
};
struct agent_io {
    /* The master. Never blocks; false when there is no open connection. */
    bool (*master_send)(void *ctx, const ProtobufCMessage *m);
    /* Recovery is over: begin looking for the master (agent_master_up() follows). */
    void (*master_find)(void *ctx);
    void (*master_reset)(void *ctx,
                         enum agent_link_reset how); /* agent_master_down() does not follow */

    /* Executors. `stream` is what agent_executor_subscribe() was called with. */
    void (*executor_send)(void *ctx, void *stream, const Exec__Event *ev);
    void (*executor_close)(
        void *ctx, void *stream); /* after what was sent; agent_executor_closed() does not follow */

    /* Files. Paths are absolute; missing parent folders are made by write, append, mkdir and link. */
    int (*write)(void *ctx, const char *path, const void *p, size_t n, bool durable,
                 struct fl_err *err); /* whole or not */
    int (*append)(void *ctx, const char *path, const void *p, size_t n, struct fl_err *err);
    int (*truncate)(void *ctx, const char *path, size_t n, struct fl_err *err);
    int (*read)(void *ctx, const char *path, struct fl_buf *out,
                struct fl_err *err); /* FL_NOT_FOUND */
    int (*list)(void *ctx, const char *path, void (*fn)(const char *name, void *arg), void *arg,
                struct fl_err *err);
    int (*mkdir)(void *ctx, const char *path, const char *user_or_null,
                 struct fl_err *err); /* 0755; with a user: his, 0750 */
    int (*link)(void *ctx, const char *target, const char *path,
                struct fl_err *err); /* symlink; replaces */
    int (*readlink)(void *ctx, const char *path, struct fl_buf *out, struct fl_err *err);
    int (*remove)(void *ctx, const char *path,
                  struct fl_err *err); /* a whole tree; no error when there is none */
    /* The same for what may be large: the name is free at once, the rest takes its time. */
    int (*discard)(void *ctx, const char *path, struct fl_err *err);
    /* What was written to the file, or the names in the folder, outlive a power failure once this returns. */
    int (*sync)(void *ctx, const char *path, struct fl_err *err);
    /* Removes what is in a folder, whatever its users made of it, and with `root` the folder. No error when there is none. */
    int (*empty)(void *ctx, const char *path, bool root, struct fl_err *err);

    /* The same with the folder itself, for one beneath `base` whose path belongs to its users: reached through no symbolic link. */
    int (*empty_below)(void *ctx, const char *base, const char *path, struct fl_err *err);

    /* Runs work(arg) on a thread of its own and then done(arg) on the core's, never within this call. One after another, in the order
     * given. `work` may only use the file functions above. */
    void (*background)(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg);

    /* Asks a port of a task (net_probe.h). */
    struct net_probe *(*probe)(void *ctx, const struct net_target *target, pid_t pid,
                               net_probe_f *fn, void *arg);
    void (*probe_cancel)(void *ctx, struct net_probe *p);

    /* What /files serves: `virtual_path` shows `real`. */
    void (*attach)(void *ctx, const char *virtual_path, const char *real);
    void (*detach)(void *ctx, const char *real); /* every virtual path that shows it */

    /* The process must end: status 0 after an orderly shutdown. */
    void (*exit)(void *ctx, int status, const char *why);
};

/* ---- state ---- */
enum agent_state { AGENT_RECOVERING, AGENT_DISCONNECTED, AGENT_RUNNING, AGENT_TERMINATING };

enum agent_task_phase {
    AGENT_TASK_QUEUED,     /* waits for its executor */
    AGENT_TASK_LAUNCHED,   /* handed to it, not terminal */
    AGENT_TASK_TERMINATED, /* terminal, its last update not yet acknowledged */
    AGENT_TASK_COMPLETED,
};

struct agent_task {
    char *id; /* owned; key in framework->tasks unless completed */
    struct agent_executor *executor;
    enum agent_task_phase phase;
    V1__TaskState state;
    /* What was last sent to the framework. */
    bool told;
    V1__TaskState told_state;
    uint8_t told_uuid[FL_UUID_LEN];
    bool has_grace; /* a grace period in its kill policy */
    int64_t grace_ns;
    double cpu_limit, mem_limit; /* < 0: it has none */
    /* An encoded V1__Task, to be read by agent_task_pb(): first what it was launched as, then its statuses. There may be a million
     * of them in a process. */
    uint8_t *record;                  /* owned */
    uint32_t record_len, last_status; /* the last of the statuses begins here; 0: there is none */
    V1__TaskInfo *
        info; /* owned; NULL once delivered to a custom executor, or where a command task needs no more of it */
    const void *group; /* tasks of one LAUNCH_GROUP share it; NULL = alone */
    struct resources resources;
    UT_hash_handle hh;              /* framework->tasks */
    struct agent_task *prev, *next; /* executor->tasks or ->completed */
};

enum agent_executor_state {
    EXECUTOR_REGISTERING,
    EXECUTOR_RUNNING,
    EXECUTOR_TERMINATING,
    EXECUTOR_TERMINATED
};

/* What tasks get to hear when the executor's end was our decision. */
struct agent_pending_end {
    bool set;
    V1__TaskState state;
    V1__TaskStatus__Reason reason;
    char *message; /* owned */
};

struct agent_executor {
    unsigned magic;
    char *id; /* owned; key in framework->executors */
    struct agent_core *core;
    struct agent_framework *framework;
    V1__ExecutorInfo *info; /* owned; NULL for a command task: agent_executor_info() */
    uint8_t *packed;        /* owned: the same, encoded, for a command task */
    uint32_t packed_len;
    char container_id[FL_UUID_STR];
    char *user;        /* owned or NULL: the agent's own */
    uint64_t grace_us; /* from SHUTDOWN until it is destroyed */
    enum agent_executor_state state;
    bool command;   /* no process of its own: the agent runs the one task (command.c) */
    bool sent_task; /* a task has been handed to it */
    bool contained; /* the containerizer has it and has not yet said `ended` */
    bool recovered; /* from a checkpoint, not yet back */
    pid_t pid;
    void *stream; /* the executor's subscription or NULL */
    uint64_t last_heartbeat_us;
    struct agent_task *tasks;     /* in order of arrival; every phase but COMPLETED */
    struct agent_task *completed; /* oldest first */
    unsigned n_completed;
    struct resources resources; /* its own, without tasks; with allocation_info */
    struct agent_pending_end pending_end;
    struct env_timer *registration_timer, *shutdown_timer, *heartbeat_timer;
    struct {
        bool killed, killed_by_max_time, unhealthy; /* unhealthy: why it is killed */
        uint64_t kill_start_us, kill_at_us;
        struct env_timer *kill_timer, *max_timer;
        struct task_checks *checks; /* NULL: it has none, or is ending */
    } cmd;
    UT_hash_handle hh;                  /* framework->executors */
    UT_hash_handle hh_container;        /* core->containers */
    struct agent_executor *prev, *next; /* framework->completed */
};

struct agent_framework {
    unsigned magic;
    char *id;
    struct agent_core *core;
    V1__FrameworkInfo *info; /* owned; id set */
    bool terminating;
    struct agent_executor *executors;
    struct agent_task *tasks;         /* hash by id: those of all executors, not completed */
    struct agent_executor *completed; /* oldest first */
    unsigned n_completed;
    UT_hash_handle hh;
    struct agent_framework *prev, *next; /* core->completed_frameworks */
};

enum agent_nested_phase { AGENT_NESTED_STARTING, AGENT_NESTED_RUNNING, AGENT_NESTED_ENDED };
struct agent_nested_waiter;
/* A nested or standalone container. */
struct agent_nested {
    char *id; /* owned: "root.child", or without dots when standalone */
    enum agent_nested_phase phase;
    bool executor; /* an executor's own: here only because somebody waits for its end */
    bool debug;
    pid_t pid;
    struct container_end end; /* ENDED */
    char *message;            /* of `end`; owned, as is the next */
    V1__TaskResourceLimitation *limitation;
    struct agent_nested_waiter *waits;
    UT_hash_handle hh;
    struct agent_nested *prev, *next; /* those that ended */
};

struct agent_counters; /* metrics.c */

struct agent_core {
    unsigned magic;
    struct agent_env *env; /* borrowed */
    const struct agent_flags *flags;
    struct metrics *metrics;
    struct agent_counters *counters;
    struct containerizer *containerizer; /* borrowed; set by agent_set_containerizer() */
    enum agent_state state;
    bool containers_recovered; /* the executor API may be served */
    bool cleanup;              /* --recover=cleanup: ends when everything recovered has ended */
    V1__AgentInfo *info;       /* owned; id when registered once */
    char *pid;                 /* "slave(1)@127.0.0.1:5051" */
    char *endpoint;            /* "127.0.0.1:5051" */
    char *ip;
    char *work_dir, *meta_dir;
    const char *
        token_key; /* borrowed, set by the shell: signs the executors' tokens; NULL: there are none */
    const char *
        default_executor; /* borrowed, set by the shell: the program for pods; NULL: there is none */
    struct resources total;        /* with reservations applied */
    struct resources checkpointed; /* dynamic reservations and volumes; may be ahead of the disk */
    uint8_t resource_version[FL_UUID_LEN];
    double start_time, registered_time;
    char *master_address; /* "ip:port" of the connection or NULL */
    struct agent_framework *frameworks;
    struct agent_framework *completed_frameworks;
    unsigned n_completed_frameworks;
    unsigned n_tasks;                  /* in every phase but COMPLETED */
    struct agent_executor *containers; /* hash by container id: those the containerizer has */
    struct agent_updates *updates;
    struct agent_operations *operations;
    struct agent_nested_set *nested;
    struct agent_gc *gc;
    struct agent_oversub *oversub;
    V1__DrainConfig *drain; /* owned or NULL */
    double drain_start_time;
    struct {
        bool up; /* connection open */
        struct env_timer *register_timer, *ping_timer, *recover_timer;
        uint64_t backoff_us;
        uint64_t ping_timeout_us;
    } link;
};
#define AGENT_CORE_MAGIC      0x41474e43
#define AGENT_FRAMEWORK_MAGIC 0x41474657
#define AGENT_EXECUTOR_MAGIC  0x41474558

/* ---- life ---- */
/* `env`, `flags`, `metrics` outlive it. `info` (hostname, port, resources, attributes) is copied; `address` is "ip:port". */
int agent_new(struct agent_env *env, const struct agent_flags *flags, struct metrics *metrics,
              const V1__AgentInfo *info, const char *address, struct agent_core **ret,
              struct fl_err *err);
void agent_free(struct agent_core *a);
/* Callbacks to give to the containerizer, then the containerizer itself (not owned). */
void agent_containerizer_callbacks(struct agent_core *a, struct containerizer_callbacks *ret);
void agent_set_containerizer(struct agent_core *a, struct containerizer *c);
/* Reads the checkpoints; ends in env->io->master_find(), at once or after the containerizer and executors have reported. */
int agent_recover(struct agent_core *a, struct fl_err *err);
/* Ends every framework, forgets the agent's identity, exits; `unregister` tells the master first (SIGUSR1). SIGTERM needs no call:
 * what is checkpointed goes on. */
void agent_shutdown(struct agent_core *a, const char *why, bool unregister);

/* ---- the master's side ---- */
void agent_master_up(struct agent_core *a, const char *address);
void agent_master_down(struct agent_core *a);
void agent_master_message(struct agent_core *a, const ProtobufCMessage *msg);

/* ---- the executors' side ---- */
/* The checks that need state, in the protocol's order; *ret_executor for the calls below. Negative errno, err->reason has the status. */
int agent_executor_check(struct agent_core *a, const Exec__Call *call,
                         struct agent_executor **ret_executor, struct fl_err *err);
void agent_executor_subscribe(struct agent_executor *e, void *stream,
                              const Exec__Call__Subscribe *sub);
void agent_executor_closed(struct agent_executor *e, void *stream);
void agent_executor_update(struct agent_executor *e, const V1__TaskStatus *status);
void agent_executor_message(struct agent_executor *e, const ProtobufCBinaryData *data);

/* ---- operators ---- */
/* A signal to the first process of a container and its group. FL_NOT_FOUND: the agent runs none of that id. */
int agent_signal_container(struct agent_core *a, const char *container_id, int signo,
                           struct fl_err *err);

/* ---- nested and standalone containers (nested.c) ---- */
/* What to start; borrowed for the call. Amounts as in struct container_spec. */
struct agent_nested_launch {
    const char *container_id;
    const V1__CommandInfo *command;
    const V1__ContainerInfo *container; /* or NULL */
    const char *user;                   /* NULL: the parent's, or the agent's */
    const struct resources *resources;
    double cpu_limit, mem_limit;
    bool debug;
};
/* `end` NULL: it runs. Borrowed for the call. */
typedef void agent_nested_f(void *arg, const struct container_end *end);
typedef void agent_nested_removed_f(void *arg, const struct fl_err *err_or_null);
/* `fn` comes once: when it runs, or with the end of what could not be started. FL_CONFLICT: one of that id runs. */
int agent_nested_launch(struct agent_core *a, const struct agent_nested_launch *l,
                        agent_nested_f *fn, void *arg, struct fl_err *err);
/* `fn` comes once, maybe within the call; also for the container of an executor. FL_NOT_FOUND. */
int agent_nested_wait(struct agent_core *a, const char *id, agent_nested_f *fn, void *arg,
                      struct fl_err *err);
int agent_nested_kill(struct agent_core *a, const char *id, int signo, struct fl_err *err);
void agent_nested_destroy(struct agent_core *a, const char *id); /* if it is there */
/* Forgets one that ended and removes its sandbox; `fn` comes later, once. */
int agent_nested_remove(struct agent_core *a, const char *id, agent_nested_removed_f *fn, void *arg,
                        struct fl_err *err);
struct agent_nested *agent_find_nested(const struct agent_core *a, const char *id);
const struct agent_nested *agent_nested_first(const struct agent_core *a); /* by hh.next */
/* Whose root it is below; NULL: a standalone container's, or none. */
struct agent_executor *agent_nested_executor(const struct agent_core *a, const char *id);

/* ---- reading, for agent/api ---- */
/* As operators see it, in the arena: state and statuses included. */
V1__Task *agent_task_pb(const struct agent_task *t, struct fl_arena *arena);
const V1__ExecutorInfo *agent_executor_info(const struct agent_executor *e, struct fl_arena *arena);
char *agent_executor_directory(const struct agent_executor *e); /* the sandbox; the caller frees */
struct agent_framework *agent_find_framework(const struct agent_core *a, const char *id);
struct agent_executor *agent_find_executor(const struct agent_framework *f, const char *id);
struct agent_executor *agent_find_container(const struct agent_core *a, const char *container_id);
/* Sum of what the executor and its live tasks hold. `out` is replaced. */
void agent_executor_allocated(const struct agent_executor *e, struct resources *out);
void agent_allocated(const struct agent_core *a, struct resources *out);
const char *agent_state_name(enum agent_state s);
/* The operations that are not over, as the protocol has them, in the arena. */
size_t agent_operations_pb(const struct agent_core *a, struct fl_arena *arena,
                           V1__Operation ***ret);
/* What the agent says it can do, in the arena. */
size_t agent_capabilities(struct fl_arena *arena, V1__AgentInfo__Capability ***ret);

#endif
