/* --watch: a listing verb, again and again. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli/cli.h"

/* Runs the verb once, or until interrupted when its options say --watch. argv[0] is the verb. */
int watch_verb(struct cli *c, int argc, char **argv);

#endif
