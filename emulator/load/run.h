/* What the two files of a run share, and nobody else includes: phases.c and run.c. */
#ifndef EMULATOR_LOAD_RUN_H
#define EMULATOR_LOAD_RUN_H

#include "emulator/load/load.h"

#define RESYNC_EVERY_US 10000000ull

#define EACH_GROUP(l, g)                                                                           \
    for (struct load_group *g = (l)->groups; g < (l)->groups + (l)->n_groups; g++)
#define EACH_FRAMEWORK(g, f)                                                                       \
    for (struct load_framework *f = (g)->frameworks; f < (g)->frameworks + (g)->n_frameworks; f++)

/* ---- phases.c ---- */
void load_enter(struct load *l, enum load_phase phase);
void load_leaving(struct load *l); /* in LEAVING, now and then */
bool load_all_complete(const struct load *l);
void load_get_metrics(struct load *l, bool after);

/* ---- run.c ---- */
void load_start_due_groups(struct load *l);

#endif
