/* The program's verbs for a cluster that runs: `fairlead-emulator --at=ADDRESS status | grow GROUP N | ...`. */
#ifndef EMULATOR_VERBS_H
#define EMULATOR_VERBS_H

#include "common/base/err.h"

#define EMU_VERBS_HELP                                                                             \
    "       fairlead-emulator --at=ADDRESS VERB\n\n"                                               \
    "Verbs, for one that runs and said where it is controlled:\n"                                  \
    "  status                            numbers of the whole, of groups and of workers\n"         \
    "  grow GROUP N                      more agents\n"                                            \
    "  shrink GROUP N [how=kill]         fewer: they unregister, or just go\n"                     \
    "  fail HOW [group=G] [fraction=F | count=N | nodes=A,B] [for=30secs]\n"                       \
    "       HOW: flap [every=T] [away=T], lag [lag=T], lose [lose=P], partition, kill\n"           \
    "  heal [GROUP]                      ends what `fail` began\n"

/* Prints the answer; blocks. Negative: refused, or nobody answers. */
int emu_verb(const char *at, int argc, char **argv, struct fl_err *err);

#endif
