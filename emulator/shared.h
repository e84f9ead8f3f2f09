/* What the supervisor and its workers have in common: made before the workers are forked, and read only since; numbers in shared
 * memory, which one worker each writes; and commands, one a packet of a socket. */
#ifndef EMULATOR_SHARED_H
#define EMULATOR_SHARED_H

#include "agent/flags.h"
#include "emulator/roster.h"

struct emu_options {
    const char *master;        /* as --master of the agent */
    const char *first_address; /* of the first agent: the others follow */
    const char *control;       /* where commands are taken, "ip:port"; "": nowhere */
    uint64_t port;             /* what agents say they listen on */
    uint64_t connecting;       /* how many connect at a time */
    uint64_t connect_rate;     /* how many begin to connect a second; 0: no limit */
    uint64_t report_us;        /* between lines of numbers; 0: none */
    uint64_t workers;          /* 0: as many as it needs */
};

struct emu_kit {
    const struct emu_cluster *cluster; /* borrowed, as the texts of `options` */
    struct emu_options options;
    uint32_t first_ip;
    struct agent_flags flags;
    struct fl_flags *flag_table;
    V1__AgentInfo ***patterns; /* owned; [group][place] */
};
int emu_kit_new(const struct emu_cluster *cluster, const struct emu_options *options,
                struct emu_kit **ret, struct fl_err *err);
void emu_kit_free(struct emu_kit *k);
FL_DEFINE_CLEANUP(struct emu_kit *, emu_kit_free, emu_kit_freep)

/* ---- numbers ---- */

enum emu_fault {
#define EMU_FAULT(name, word, counted) EMU_##name,
#include "emulator/faults.def"
#undef EMU_FAULT
    EMU_N_FAULTS
};
struct emu_group_stats {
    uint64_t agents, registered, running; /* now */
    uint64_t faults[EMU_N_FAULTS];        /* so far */
};
/* Each number is written by one process, whole; readers may see one a little before another. */
struct emu_worker_stats {
    uint64_t agents, registered, disconnects, restarts;
    uint64_t finished, failed, killed; /* tasks, as of the last second */
    uint64_t applied;                  /* commands */
    char master[80];                   /* "host:port" once an agent was registered */
    struct emu_group_stats groups[];
};
/* Zeroed memory that children share; for ever. */
void *emu_stats_map(size_t n_groups, struct fl_err *err);
struct emu_worker_stats *emu_stats_at(void *map, size_t n_groups, unsigned worker);

/* ---- commands ---- */

enum emu_verb { EMU_GROW, EMU_SHRINK, EMU_FAIL, EMU_HEAL, EMU_NEW_WORKER };
struct emu_command {
    enum emu_verb verb;
    unsigned group; /* or, for EMU_FAIL and EMU_HEAL, EMU_ALL_GROUPS */
    uint64_t count; /* grow, shrink; fail: 0 for the fraction */
    bool kill;      /* shrink: the machines are gone; else their agents unregister */
    enum emu_fault fault;
    struct emu_fault_plan plan; /* of it, what the fault says */
    double fraction;
    uint64_t for_us; /* 0: until it is healed */
    char names[4000];
};

#endif
