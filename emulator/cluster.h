/* A cluster as its YAML file declares it (docs/emulator.md). */
#ifndef EMULATOR_CLUSTER_H
#define EMULATOR_CLUSTER_H

#include "emulator/workload.h"

struct emu_place {
    char *region, *zone; /* owned; both or neither */
    uint64_t count;
};
struct emu_group {
    char *name;
    unsigned line;
    uint64_t count;
    struct emu_place *places; /* at least one; their counts add up to `count` */
    size_t n_places;
    char *attributes; /* owned; as --attributes, or NULL */
    char *resources;  /* owned; as --resources */
    struct emu_workload tasks;
    struct emu_fault_plan faults;
};
struct emu_cluster {
    char *name; /* owned or NULL */
    uint64_t seed;
    struct emu_workload tasks;
    struct emu_fault_plan faults;
    struct emu_group *groups;
    size_t n_groups;
    char **agent_flags; /* owned, "--name=value" each */
    size_t n_agent_flags;
};

int emu_cluster_parse(const char *name, const char *text, size_t n, struct emu_cluster **ret,
                      struct fl_err *err);
int emu_cluster_load(const char *path, struct emu_cluster **ret, struct fl_err *err);
void emu_cluster_free(struct emu_cluster *c);
FL_DEFINE_CLEANUP(struct emu_cluster *, emu_cluster_free, emu_cluster_freep)
uint64_t emu_cluster_count(const struct emu_cluster *c);

#endif
