/* Gang offers, ours alone (docs/gang-offers.md): a framework that needs many machines at once says so in a label of its
 * FrameworkInfo, and is offered agents of at least that much together, or nothing.
 *
 *     key "fairlead.gang", value "count=100 unit=cpus:8;gpus:8 same=zone hold=30secs role=eng"
 *
 *   total=AMOUNTS   the sum over all agents of one gang. This or `count`.
 *   unit=AMOUNTS    what one member needs on one agent; an agent counts as many whole units as it has free.
 *   count=N         so many units, on as many agents as it takes.
 *   same=region|zone|host|attribute:NAME    all agents of a gang agree in it; default: they may differ.
 *   hold=DURATION   how long free resources may be held back while the rest is gathered; 0secs: never, a gang is offered only
 *                   when all of it is free at once. Default 30secs, at most 10mins.
 *   role=ROLE       for offers of that role; default: all roles of the framework.
 *
 * A framework may have one such label for each role. Pure; not shared between threads.
 */
#ifndef COMMON_MODEL_GANG_H
#define COMMON_MODEL_GANG_H

#include "common/model/quantities.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

#define GANG_LABEL           "fairlead.gang"
#define GANG_MAX_COUNT       1000000
#define GANG_MAX_AMOUNTS     16
#define GANG_DEFAULT_HOLD_US (30ull * 1000000)
#define GANG_MAX_HOLD_US     (600ull * 1000000)

enum gang_same {
    GANG_ANYWHERE,
    GANG_SAME_REGION,
    GANG_SAME_ZONE,
    GANG_SAME_HOST,
    GANG_SAME_ATTRIBUTE
};

struct gang {
    struct quantities total; /* with `count`: unit times count */
    struct quantities unit;  /* empty: any amount counts */
    uint64_t count;          /* 0: stated as a total */
    enum gang_same same;
    char *attribute; /* of GANG_SAME_ATTRIBUTE; owned */
    uint64_t hold_us;
    char *role; /* owned; NULL: all roles */
};
void gang_done(struct gang *g);
#define _cleanup_gang_ _cleanup_(gang_done)
bool gang_equal(const struct gang *a, const struct gang *b);

int gang_parse(const char *text, struct gang *out, struct fl_err *err);
/* The gang that the framework wants for the role. 1: found, *out is filled; 0: none; FL_INVALID: a label that makes no sense. */
int gang_of_framework(const V1__FrameworkInfo *info, const char *role, struct gang *out,
                      struct fl_err *err);
/* Every such label makes sense, names a role of the framework, and no role is meant twice. */
int gang_validate_framework(const V1__FrameworkInfo *info, const char *const *roles, size_t n_roles,
                            struct fl_err *err);

#pragma GCC visibility pop

#endif
