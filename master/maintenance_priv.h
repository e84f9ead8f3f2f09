/* What maintenance.c and maintenance_change.c share. */
#ifndef MASTER_MAINTENANCE_PRIV_H
#define MASTER_MAINTENANCE_PRIV_H

#include "master/core.h"
#include "master/maintenance.h"

/* A machine of the schedule. Those that are UP have no entry. */
struct machine {
    char *key;             /* owned: machine_key() */
    V1__MachineInfo *info; /* borrowed from maintenance->state */
    bool chosen;           /* by the change under way */
    void *status;          /* scratch of maintenance_status() */
    UT_hash_handle hh;
};

enum maintenance_kind { MAINTENANCE_UPDATE, MAINTENANCE_START, MAINTENANCE_STOP };

/* What an operator asks for. The messages are borrowed from the request, which lives until it is answered. */
struct maintenance_change {
    enum maintenance_kind kind;
    const Maint__Schedule *schedule;
    V1__MachineID *const *ids;
    size_t n_ids;
    Reg__Registry *next_state; /* owned, while it is being written */
    operator_done_f *done;
    void *arg;
    struct maintenance_change *next;
};

struct maintenance {
    Reg__Registry *
        state; /* owned: the record of the registry; machines and at most one schedule. NULL: none */
    struct machine *machines;
    struct maintenance_change *changes; /* the first is under way */
    unsigned n_changes;
};

/* In the arena. Hostnames compare in small letters; a field that is there but empty is not one that is missing. */
char *machine_key(const V1__MachineID *id, struct fl_arena *arena);
struct machine *machine_find(const struct master *m, const V1__MachineID *id,
                             struct fl_arena *arena);
struct machine *machine_of_agent(const struct master *m, const struct agent *a);
/* The schedule in force or NULL. */
Maint__Schedule *maintenance_current(const struct master *m);
/* Takes `state`: it holds from now on, and every agent is told what it means for it. */
void maintenance_apply(struct master *m, Reg__Registry *state);

/* Refusals as the protocol has them, and the machines that are meant are marked `chosen`. */
int maintenance_check(struct master *m, const struct maintenance_change *c, struct fl_err *err);

#endif
