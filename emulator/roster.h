/* Which nodes there are: those of the file, those that grew, those that went. The supervisor and each worker keep one and apply the same commands to it in
 * the same order, so a command is a few words whatever the number of nodes, and the same file gives the same cluster with any number of workers.
 * Pure: what is random is drawn from the cluster's seed. */
#ifndef EMULATOR_ROSTER_H
#define EMULATOR_ROSTER_H

#include "emulator/cluster.h"

/* Its index is its address, so a node that went leaves its place empty. */
struct emu_member {
    uint32_t number; /* in its group, from 1; never given twice */
    uint16_t group, place, worker;
    bool present;
};
struct emu_roster {
    const struct emu_cluster *cluster; /* borrowed */
    struct emu_member *all;
    size_t n, cap, present;
    struct emu_roster_group {
        uint64_t present;
        uint32_t last; /* number given last */
        uint64_t *at;  /* present nodes of each place */
    } * groups;
    size_t *load; /* present nodes of each worker */
    unsigned n_workers;
    struct emu_random random; /* for choices */
};
enum { EMU_MAX_WORKERS = 512, EMU_ALL_GROUPS = UINT16_MAX };

struct emu_roster *emu_roster_new(const struct emu_cluster *cluster, unsigned workers);
void emu_roster_free(struct emu_roster *r);
FL_DEFINE_CLEANUP(struct emu_roster *, emu_roster_free, emu_roster_freep)
/* One more worker, with nothing as yet. */
void emu_roster_add_worker(struct emu_roster *r);
/* Negative: there is no such group. */
int emu_roster_group(const struct emu_roster *r, const char *name);

typedef void emu_member_f(size_t index, void *arg);
/* New ones, each where its worker and its place have fewest. `fn` may be NULL. */
void emu_roster_grow(struct emu_roster *r, unsigned group, uint64_t count, emu_member_f *fn,
                     void *arg);
/* Those of the highest numbers go; returns how many. */
uint64_t emu_roster_shrink(struct emu_roster *r, unsigned group, uint64_t count, emu_member_f *fn,
                           void *arg);

/* Some of the nodes. */
struct emu_choice {
    unsigned group;    /* or EMU_ALL_GROUPS */
    double fraction;   /* of them, in (0, 1], rounded up; drawn */
    uint64_t count;    /* instead, when not 0 */
    const char *names; /* instead: "gpu-1,gpu-7"; or NULL, or "" */
};
/* How many; FL_NOT_FOUND names the name that nobody has. Only without an error are nodes told. */
int emu_roster_choose(struct emu_roster *r, const struct emu_choice *c, emu_member_f *fn, void *arg,
                      uint64_t *ret_n, struct fl_err *err);

/* "a100-0042": as many digits as the last of the file has. */
void emu_roster_name(const struct emu_cluster *c, const struct emu_member *m, char *buf,
                     size_t size);

#endif
