/* One item of a set of resources, and what the files of the algebra share. Internal to
 * common/model. */
#ifndef COMMON_MODEL_RESOURCES_INTERNAL_H
#define COMMON_MODEL_RESOURCES_INTERNAL_H

#include "common/model/resource_kind.h"
#include "common/model/resource_value.h"
#include "common/model/resources.h"

/* The algebra walks whole sets, so a peer's list must end somewhere. No agent has a hundredth of this. */
#define RESOURCES_PER_MESSAGE 10000

struct resource {
    const struct kind *kind; /* a reference is owned */
    struct value value;      /* owned */
    uint32_t copies;         /* of a shared resource; 1 for others */
};

/* Adds one item, merging; empty ones vanish. Takes nothing over. */
void resources_add_item(struct resources *a, const struct kind *kind, const struct value *value,
                        uint32_t copies);
/* Appends an item as it is, merging nothing: for parts of a set that is normalised. */
void resources_append_copy(struct resources *a, const struct resource *item);
void resources_remove_at(struct resources *a, size_t i);
/* The item, to be changed: the set has it for itself from now on, and items of it that were looked at before are elsewhere. */
struct resource *resources_own_at(struct resources *a, size_t i);
void resources_subtract_item(struct resources *a, const struct resource *item);
/* a and b are of one identity: may be merged into one / b may be taken out of a. */
bool resource_addable(const struct resource *a, const struct resource *b);
bool resource_subtractable(const struct resource *a, const struct resource *b);
bool resource_contains(const struct resource *a, const struct resource *b);

_Static_assert(sizeof(struct resource) == 24, "the budget of a task counts on it");

static inline bool resource_empty(const struct resource *r)
{
    return r->copies == 0 || value_empty(&r->value, r->kind->type);
}

/* resources_parts.c: the same items with changed reservations. */
void resources_to_unreserved(const struct resources *r, struct resources *out);
bool resources_pop_reservation(const struct resources *r,
                               struct resources *out); /* false: one had none */

/* resources_check.c: one message by itself. The message after "Resource 'x' is invalid: ". */
int resource_check(const V1__Resource *r, struct fl_err *err);
/* resources_pb.c: one checked message into `out`. */
int resources_add_pb(struct resources *out, const V1__Resource *pb, struct fl_err *err);
V1__Resource *resource_to_pb(const struct resource *r, enum resources_format format,
                             bool keep_allocation, struct fl_arena *arena);

#endif
