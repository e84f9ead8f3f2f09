/* The isolators there are; rows of the table in isolators.c. */
#ifndef ISOLATORS_ISOLATORS_PRIV_H
#define ISOLATORS_ISOLATORS_PRIV_H

#include "isolators/isolator.h"
#include "isolators/launch_plan.h"

extern const struct isolator_ops isolator_posix_cpu, isolator_posix_mem;

#endif
