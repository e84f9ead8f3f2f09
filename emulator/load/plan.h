/* What schedulers do, as the list `workload:` of a cluster's file says it (docs/loadgen.md). Pure; what is random comes from the
 * caller's generator. */
#ifndef EMULATOR_LOAD_PLAN_H
#define EMULATOR_LOAD_PLAN_H

#include "common/base/buf.h"
#include "emulator/workload.h"

enum load_api { LOAD_LIBFRAMEWORK, LOAD_HTTP };
enum load_encoding { LOAD_PROTOBUF, LOAD_JSON };
enum load_place { LOAD_PACK, LOAD_SPREAD };

/* When jobs come: all at once, one after so long each, or as a Poisson process of so many a second. */
enum load_arrival_kind { LOAD_AT_ONCE, LOAD_EVERY, LOAD_POISSON };
struct load_arrival {
    enum load_arrival_kind kind;
    uint64_t every_us;
    double per_second;
};
/* Time of the next job after `at_us`. */
uint64_t load_arrival_next(const struct load_arrival *a, uint64_t at_us, struct emu_random *r);
int load_arrival_parse(const char *text, struct load_arrival *ret, struct fl_err *err);

enum { LOAD_MAX_SCALARS = 8, LOAD_MAX_ENTRIES = 64 };
struct load_scalar {
    char *name; /* owned */
    double amount;
};
struct load_need {
    struct load_scalar v[LOAD_MAX_SCALARS];
    size_t n;
};

struct load_entry {
    char *name; /* owned */
    unsigned line;
    uint64_t frameworks, jobs, tasks; /* of the entry; of the entry; of a job */
    enum load_api api;
    enum load_encoding encoding;
    char *role, *principal, *secret; /* owned; NULL: "*", none */
    struct load_need need;           /* of a task */
    struct load_arrival arrival;
    char *
        duration; /* owned; of tasks, as the label emulator.duration; NULL: as the cluster's file says */
    bool ends; /* tasks end by themselves, and all of them are waited for */
    bool gang;
    char *gang_same;       /* owned or NULL: of the gang's label */
    uint64_t gang_hold_us; /* 0: not said */
    uint64_t parallel;     /* tasks of a framework in flight; 0: any number */
    uint64_t per_offer;    /* tasks of an offer; 0: as many as fit */
    uint64_t hold;         /* unused offers that a framework keeps while it expects to need them */
    enum load_place place;
    bool keep, retry, measure, checkpoint;
    uint64_t refuse_us;
    uint64_t start_us; /* after the run's, or `after`'s, begin or end */
    char *after;       /* owned; name of an entry, or NULL */
};
struct load_plan {
    uint64_t seed;
    struct load_entry *entries; /* owned */
    size_t n_entries;
};

int load_plan_parse(const char *name, const char *text, size_t n, struct load_plan **ret,
                    struct fl_err *err);
int load_plan_load(const char *path, struct load_plan **ret, struct fl_err *err);
void load_plan_free(struct load_plan *p);
FL_DEFINE_CLEANUP(struct load_plan *, load_plan_free, load_plan_freep)

/* The value of the label fairlead.gang for the job of this entry. */
void load_gang_label(const struct load_entry *e, struct fl_buf *out);

#endif
