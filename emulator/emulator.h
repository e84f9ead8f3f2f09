/* Emulated agents: many agent cores in one process and on one loop, each with its own connection to the master from an address of
 * its own, files in memory and a containerizer that only waits. Everything on the loop's thread.
 *
 * emulator.c has what they share (the master's address, the order of connecting, the counts); node.c is one agent. */
#ifndef EMULATOR_EMULATOR_H
#define EMULATOR_EMULATOR_H

#include "agent/agent.h"
#include "common/base/loop.h"
#include "common/coord/detector.h"
#include "common/wire/wire.h"
#include "emulator/cluster.h"
#include "emulator/containers.h"
#include "emulator/files.h"

struct emulator;
struct emu_job;
struct emu_faults;

struct emu_node {
    struct emulator *emu;
    const struct emu_group *group;
    const V1__AgentInfo *pattern; /* borrowed: of its group and place */
    uint32_t index;               /* in the whole cluster, from 0 */
    uint32_t number;              /* in its group, from 1 */
    struct agent_env env;
    struct agent_core *core; /* NULL: ended, will be started again */
    struct emu_containers containers;
    struct emu_files files;
    struct wire_channel *channel;
    bool open, registered;
    bool wanted; /* the core looks for the master */
    bool queued; /* in emu->waiting */
    struct emu_job *jobs;
    struct emu_faults *faults;    /* NULL: none are declared */
    struct emu_node *prev, *next; /* emu->waiting */
};

struct emu_options {
    const char *master;        /* as --master of the agent */
    const char *first_address; /* of the first agent: the others follow */
    uint64_t port;             /* what agents say they listen on */
    uint64_t connecting;       /* how many connect at a time */
    uint64_t report_us;        /* between lines of numbers; 0: none */
};

struct emulator {
    struct fl_loop *loop;
    struct env env;
    struct emu_options options;
    const struct emu_cluster *cluster;
    struct agent_flags flags;
    struct fl_flags *flag_table;
    struct metrics *metrics; /* one for all agents: their counters add up */
    struct emu_random random;
    uint32_t first_ip;
    struct emu_node *nodes;
    size_t n_nodes;
    V1__AgentInfo **patterns; /* owned; one a group and place */
    size_t n_patterns;
    struct detector *detector;
    char *host; /* of the leading master or NULL */
    uint16_t port;
    struct emu_node *waiting; /* to connect, in order */
    struct fl_timer *pump_timer, *report_timer;
    struct fl_signal *term, *interrupt;
    uint64_t connecting, registered, running, restarts, disconnects, lost;
    uint64_t began_us;
    bool all_told, pump_set;
};

/* `cluster` and the texts of `options` outlive it. */
int emulator_new(const struct emu_cluster *cluster, const struct emu_options *options,
                 struct emulator **ret, struct fl_err *err);
void emulator_run(struct emulator *e); /* until SIGTERM or SIGINT */
void emulator_free(struct emulator *e);
FL_DEFINE_CLEANUP(struct emulator *, emulator_free, emulator_freep)

/* ---- for node.c ---- */
void emulator_connect_soon(struct emu_node *n); /* puts it in the queue */
void emulator_not_waiting(struct emu_node *n);
void emulator_connected(struct emulator *e); /* an attempt is over, one way or the other */
void emulator_registered(struct emulator *e);

/* ---- node.c ---- */
int emu_node_start(struct emu_node *n, struct fl_err *err);
void emu_node_connect(struct emu_node *n); /* from the queue */
void emu_node_drop_channel(struct emu_node *n);
void emu_node_stop(struct emu_node *n);
void emu_node_deliver(struct emu_node *n, const ProtobufCMessage *m); /* to the core */
bool emu_node_send(struct emu_node *n, const ProtobufCMessage *m);    /* to the master */

/* ---- faults.c: what its group declares goes wrong on the way between an agent and the master ---- */
void emu_faults_new(struct emu_node *n); /* sets n->faults where there are any, and begins */
void emu_faults_free(struct emu_node *n);
bool emu_faults_away(const struct emu_node *n); /* it must not connect now */
/* True: taken, to be lost or delivered later. */
bool emu_faults_take(struct emu_node *n, const ProtobufCMessage *m, bool to_master);
void emu_faults_forget(
    struct emu_node *n); /* the connection is gone, and what was under way on it */

#endif
