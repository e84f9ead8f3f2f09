/* What the two files of gang offers share (allocator_gang.c), and nobody else includes. */
#ifndef MASTER_ALLOCATOR_ALLOCATOR_GANG_H
#define MASTER_ALLOCATOR_ALLOCATOR_GANG_H

#include "master/allocator/allocator_priv.h"

bool gang_has_unit(const struct alloc_gang *g);
/* Whole units in the amounts; not for one without a unit. */
uint64_t gang_units_in(const struct alloc_gang *g, const struct drf_vec *v);
/* What counts of `v` is added to *sum: whole units of a gang that has units, else all that it names. */
void gang_add_useful(const struct alloc_gang *g, const struct drf_vec *v, struct drf_vec *sum);
/* What the gang could have of the agent now, unallocated. False: nothing. */
bool gang_portion(struct allocator *a, const struct alloc_gang *g, struct alloc_agent *ag,
                  struct resources *ret);

/* Agents that agree in what `same` names. */
struct gang_place {
    char *name;
    struct drf_vec free, capacity; /* useful parts of what is free, and of everything */
    UT_hash_handle hh;
};
/* On the heap; NULL: the agent has none and can be of no such gang. */
char *gang_place_of(const struct alloc_gang *g, const struct alloc_agent *ag);
/* Asks every agent. What the gang holds already counts where it is. */
void gang_survey(struct allocator *a, const struct alloc_gang *g, struct gang_place **places);
void gang_places_free(struct gang_place **places);
/* Of those where enough is free the one with the least. NULL: none. */
struct gang_place *gang_smallest_enough(const struct alloc_gang *g, struct gang_place *places);
/* Where the most of it is free, among places that could hold all of it. NULL: none could. */
struct gang_place *gang_best_to_gather(const struct alloc_gang *g, struct gang_place *places);
/* The place of the agent, if it could hold all of it. */
struct gang_place *gang_place_at(const struct alloc_gang *g, struct gang_place *places,
                                 const struct alloc_agent *ag);

#endif
