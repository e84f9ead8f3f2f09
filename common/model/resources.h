/* The resource algebra (features.md 4.2): what an agent has, an offer holds and a task uses.
 *
 * A `struct resources` is a set of resources, normalised: two that can merge are merged, empty ones are gone.
 * Scalars are 64-bit integers in thousandths (the protocol compares and adds at three decimals). Names, roles,
 * principals are interned, so comparing is comparing pointers. Pure; not shared between threads.
 *
 * Identity: two resources merge iff name, type, reservation stack, allocation role, disk, revocable, shared and provider are
 * equal; persistent volumes and MOUNT/BLOCK disks never merge; shared ones are counted copies.
 */
#ifndef COMMON_MODEL_RESOURCES_H
#define COMMON_MODEL_RESOURCES_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "proto/mesos.pb-c.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

typedef int64_t milli_t; /* thousandths */
#define MILLI_ONE 1000
milli_t milli_from_double(double v); /* llround(v * 1000), clamped */
static inline double milli_to_double(milli_t m)
{
    return (double)m / 1000.0;
}

struct resource; /* one item; opaque outside common/model */
/* Copies share their items until one of them is changed: a copy costs no more than a reference. */
struct resources {
    struct resource *items; /* in a block that is counted by reference */
    uint32_t n, cap;        /* cap 0: of another set (resources_view()), or there is no block */
};
#define RESOURCES_INIT                                                                             \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
void resources_done(struct resources *r);
#define _cleanup_resources_ _cleanup_(resources_done)
void resources_copy(struct resources *dst,
                    const struct resources *src);                  /* dst initialised; replaced */
void resources_move(struct resources *dst, struct resources *src); /* src becomes empty */
/* Item `i` of it as a set by itself, to be read only while `r` is not changed: needs no resources_done(). */
struct resources resources_view(const struct resources *r, size_t i);
static inline bool resources_empty(const struct resources *r)
{
    return r->n == 0;
}

/* One copy for all who hold the same items in the same order: never changed, counted by reference. Takes the items over (r becomes
 * empty). Any thread may hold and release; every hold needs a release. NULL may be released. */
const struct resources *resources_hold(struct resources *r);
void resources_release(const struct resources *held);
size_t resources_held_count(void);   /* different ones */
void resources_fork_hold(bool hold); /* as intern_fork_hold(); with the lock of the kinds inside */

/* ---- borders ---- */
/* Checks every resource (name, type and value present and positive, ranges, sets, reservations well formed, either old or new
 * reservation format but not both) and converts any format. On failure *out is untouched; FL_INVALID names the resource. */
int resources_from_pb(V1__Resource *const *pb, size_t n, struct resources *out, struct fl_err *err);

enum resources_format {
    RESOURCES_PRE_REFINEMENT, /* `role` + `reservation`; refined ones cannot be said and are left out */
    RESOURCES_POST_REFINEMENT, /* `reservations` only, no `role` */
    RESOURCES_ENDPOINT,        /* both where possible, for the JSON endpoints */
};
/* An array of messages in the arena. `keep_allocation` false leaves allocation_info out. */
size_t resources_to_pb(const struct resources *r, enum resources_format format,
                       bool keep_allocation, struct fl_arena *arena, V1__Resource ***ret_pb);

/* "cpus:4;mem(role):1024;ports:[1-2,5-6];zone:{a,b}", or a JSON array of Resource. `default_role` is usually "*". */
int resources_parse(const char *text, const char *default_role, struct resources *out,
                    struct fl_err *err);
void resources_format(const struct resources *r,
                      struct fl_buf *out); /* "cpus(*):4; ports(*):[31000-32000]" */
/* The summary object of /state: {"cpus":1.0,"disk":..,"gpus":0.0,"mem":..,"ports":"[31000-32000]", "cpus_revocable":..};
 * cpus, disk, gpus, mem are always there. */
void resources_json_summary(const struct resources *r, struct json_out *j);
/* [{...}] of Resource messages in endpoint format, as *_resources_full wants. */
void resources_json_full(const struct resources *r, struct json_out *j, unsigned json_flags);

/* ---- algebra ---- */
void resources_add(struct resources *a, const struct resources *b);
/* What of b is not in a is ignored; call resources_contains() first where that would be our bug. */
void resources_subtract(struct resources *a, const struct resources *b);
bool resources_contains(const struct resources *a, const struct resources *b);
bool resources_equal(const struct resources *a, const struct resources *b);
/* Takes the quantities `want` (unallocated, possibly role-less) out of `pool` as concrete resources: for executors and
 * tests. False when they do not fit. */
bool resources_find(const struct resources *pool, const struct resources *want,
                    struct resources *ret_found);

/* ---- allocation ---- */
void resources_allocate(struct resources *r,
                        const char *role); /* sets allocation_info.role on all */
void resources_unallocate(struct resources *r);
/* The single allocation role, or NULL when there is none or several. */
const char *resources_allocation_role(const struct resources *r);

/* ---- parts (out is replaced; initialise it) ---- */
void resources_unreserved(const struct resources *r, struct resources *out);
void resources_without(const struct resources *r, const char *name, struct resources *out);
void resources_reserved_to(const struct resources *r, const char *role_or_null,
                           struct resources *out); /* NULL: any */
/* What a framework of `role` may be offered: unreserved, or reserved to the role or an ancestor of it. */
void resources_allocatable_to(const struct resources *r, const char *role, struct resources *out);
void resources_revocable(const struct resources *r, bool revocable, struct resources *out);
void resources_shared(const struct resources *r, bool shared, struct resources *out);
void resources_scalars(const struct resources *r, struct resources *out);
void resources_persistent_volumes(const struct resources *r, struct resources *out);
void resources_without_refined(const struct resources *r, struct resources *out);
/* Roles that something is reserved to, each once; borrowed interned strings, array owned by the caller. */
size_t resources_reservation_roles(const struct resources *r, const char ***ret_roles);
/* Calls fn once per allocation role with what is allocated to it (NULL: to none). */
void resources_by_role(const struct resources *r,
                       void (*fn)(const char *role, const struct resources *part, void *arg),
                       void *arg);

/* ---- quantities ---- */
milli_t resources_scalar(const struct resources *r,
                         const char *name); /* sum over all items of that name */
/* Calls fn once per scalar name with its sum over all items. */
void resources_each_scalar(const struct resources *r,
                           void (*fn)(const char *name, milli_t sum, void *arg), void *arg);
/* The same of what quota counts: scalars neither reserved nor revocable; a name may come more than once. */
void resources_each_open_scalar(const struct resources *r,
                                void (*fn)(const char *name, milli_t amount, void *arg), void *arg);
/* A part of `r`: of each scalar that is neither reserved nor revocable what `take` says (0 to `amount`; of what is `whole`, a MOUNT disk
 * say, all or nothing), and everything else. */
typedef milli_t resources_take_f(const char *name, milli_t amount, bool whole, void *arg);
void resources_chop(const struct resources *r, resources_take_f *take, void *arg,
                    struct resources *out);
/* Nothing in it is reserved, revocable or shared. */
bool resources_is_plain(const struct resources *r);
/* How often item `i` counts: a shared resource may be there in several copies, others are 1. */
uint32_t resources_copies_at(const struct resources *r, size_t i);
bool resources_has_revocable(const struct resources *r);
bool resources_has_refined(const struct resources *r);

/* ---- operations that change the shape (RESERVE, UNRESERVE, CREATE, DESTROY, GROW, SHRINK) ----
 * Applies a validated operation to `total` in place: FL_INVALID when the needed resources are not in it. */
int resources_apply_operation(struct resources *total, const V1__Offer__Operation *op,
                              struct fl_err *err);

#pragma GCC visibility pop

#endif
