/* Emulated agents: many agent cores in one process and on one loop, each with its own connection to the master from an address of
 * its own, files in memory and a containerizer that only waits. Everything on the loop's thread.
 *
 * supervisor.c forks the workers. emulator.c is one: what its agents share (the master's address, the order of connecting, the counts);
 * node.c is one agent; faults.c is what goes wrong with it. */
#ifndef EMULATOR_EMULATOR_H
#define EMULATOR_EMULATOR_H

#include "agent/agent.h"
#include "common/base/loop.h"
#include "common/coord/detector.h"
#include "common/wire/wire.h"
#include "emulator/containers.h"
#include "emulator/files.h"
#include "emulator/shared.h"

struct emulator;
struct emu_job;
struct emu_faults;
struct emu_timed;

struct emu_node {
    struct emulator *emu;
    const struct emu_group *group;
    struct emu_group_stats *stats; /* borrowed: of its group in this worker */
    const V1__AgentInfo *pattern;  /* borrowed: of its group and place */
    struct emu_random random;      /* its own, so that other nodes do not change what it draws */
    uint32_t index;                /* in the whole cluster, from 0 */
    struct agent_env env;
    struct agent_core *core; /* NULL: ended, will be started again */
    struct emu_containers containers;
    struct emu_files files;
    struct wire_channel *channel;
    bool open, registered;
    bool wanted;  /* the core looks for the master */
    bool queued;  /* in emu->waiting */
    bool leaving; /* it ends for good */
    struct emu_job *jobs;
    struct emu_faults *faults;    /* NULL: none are declared */
    struct emu_node *prev, *next; /* emu->waiting */
};

/* One worker. */
struct emulator {
    const struct emu_kit *kit;
    struct emu_roster *roster; /* borrowed */
    unsigned index;            /* of the worker */
    int fd;                    /* borrowed: to the supervisor */
    struct emu_worker_stats *stats;
    struct fl_loop *loop;
    struct env env;
    struct metrics *metrics; /* one for all agents: their counters add up */
    struct emu_node **nodes; /* by the roster's index; NULL: another worker's, or gone */
    size_t n_nodes, cap_nodes;
    struct detector *detector;
    char *host; /* of the leading master or NULL */
    uint16_t port;
    struct emu_node *waiting; /* to connect, in order */
    struct fl_timer *pump_timer, *publish_timer;
    struct fl_signal *term;
    struct fl_watch *watch;
    struct emu_timed *timed;                 /* faults that end by themselves */
    uint64_t connecting, window, max_window; /* attempts under way, and how many may be */
    uint64_t hold_until_us, rate_from_us, rate_used;
    bool pump_set, told;
};

/* `roster` is the worker's own and has all nodes; `kit` outlives it. */
int emulator_new(const struct emu_kit *kit, struct emu_roster *roster, unsigned index,
                 struct emu_worker_stats *stats, int fd, struct emulator **ret, struct fl_err *err);
void emulator_run(struct emulator *e); /* until SIGTERM, or the supervisor is gone */
void emulator_free(struct emulator *e);
FL_DEFINE_CLEANUP(struct emulator *, emulator_free, emulator_freep)
/* Descriptors of a worker that are no connections. */
enum { EMU_OTHER_FDS = 64 };

/* ---- for node.c and faults.c ---- */
void emulator_connect_soon(struct emu_node *n); /* puts it in the queue */
void emulator_not_waiting(struct emu_node *n);
void emulator_attempt_over(struct emulator *e); /* one way or the other */
void emulator_attempt_worked(struct emulator *e);
void emulator_attempt_failed(struct emulator *e);
void emulator_registered(struct emu_node *n, bool registered);
void emulator_gone(struct emu_node *n); /* it has ended for good: frees it, later */

/* ---- node.c ---- */
int emu_node_start(struct emu_node *n, struct fl_err *err);
void emu_node_connect(struct emu_node *n); /* from the queue */
void emu_node_drop_channel(struct emu_node *n);
void emu_node_stop(struct emu_node *n);
/* As kill -9 of an agent: its containers and its disk stay. */
void emu_node_kill(struct emu_node *n);
void emu_node_start_again(struct emu_node *n);
/* Ends for good: says goodbye to the master first, or just goes with all that it ran. emulator_gone() follows, never within the call. */
void emu_node_leave(struct emu_node *n, bool kill);
void emu_node_deliver(struct emu_node *n, const ProtobufCMessage *m); /* to the core */
bool emu_node_send(struct emu_node *n, const ProtobufCMessage *m);    /* to the master */

/* ---- faults.c: what its group declares, or a command says, goes wrong with an agent ---- */
void emu_faults_new(struct emu_node *n); /* sets n->faults where there are any, and begins */
void emu_faults_free(struct emu_node *n);
/* `id` of the command: the fault is healed by it, or with all others. */
void emu_faults_set(struct emu_node *n, const struct emu_command *c, uint64_t id);
void emu_faults_heal(struct emu_node *n, uint64_t id_or_0);
bool emu_faults_away(const struct emu_node *n); /* it must not connect now */
bool emu_faults_dead(const struct emu_node *n); /* it must not run now */
/* True: taken, to be lost or delivered later. */
bool emu_faults_take(struct emu_node *n, const ProtobufCMessage *m, bool to_master);
/* The connection is gone, and what was under way on it. */
void emu_faults_forget(struct emu_node *n);

#endif
