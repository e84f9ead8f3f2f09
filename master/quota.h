/* Quota: what a top-level role is guaranteed, and what it and the roles below it may hold together. Kept in the registry, one record a
 * role ("quota/eng"); the allocator enforces it. A change shows once the registry has it. Core's thread.
 *
 * The facts are those of features.md 1.4 and 2.1: checks, their order, their texts.
 */
#ifndef MASTER_QUOTA_H
#define MASTER_QUOTA_H

#include "common/model/quantities.h"
#include "master/master.h"
#include "proto/quota.pb-c.h"

struct quota {
    struct quantities guarantees; /* no zeros */
    struct quantities limits;     /* a name that is missing has no limit; zero is one */
};
void quota_free(struct quota *q);
FL_DEFINE_CLEANUP(struct quota *, quota_free, quota_freep)

/* ---- what operators ask for ----
 * Negative: refused, and *err says why (FL_INVALID 400, FL_FORBIDDEN 403, FL_CONFLICT 409). 0: `done` is told when the registry has it and the allocator
 * knows. `principal` is who asks, or NULL. */
int master_update_quota(struct master *m, const Mapi__Call__UpdateQuota *call,
                        const char *principal, operator_done_f *done, void *arg,
                        struct fl_err *err);
/* The older form: the guarantee is the limit as well; only for a role that has no quota. */
int master_set_quota(struct master *m, const Quota__QuotaRequest *request, const char *principal,
                     operator_done_f *done, void *arg, struct fl_err *err);
int master_remove_quota(struct master *m, const char *role, const char *principal,
                        operator_done_f *done, void *arg, struct fl_err *err);
/* Those that `principal` may see, by role. In the arena; texts are borrowed. */
Quota__QuotaStatus *master_quota_status(const struct master *m, const char *principal,
                                        struct fl_arena *arena);

/* ---- for the core ---- */
int quota_recover(struct master *m, const ProtobufCMessage *record, struct fl_err *err);
/* The registry has been read. With quota nothing is allocated until --allocator_agent_recovery_factor of the recorded agents are back or
 * --allocator_recovery_timeout has passed: else roles would be given what is guaranteed to others, or too much. */
void quota_recovered(struct master *m);
void quota_agent_admitted(struct master *m);
void quota_done(struct master *m);

/* ---- for the files of this room ---- */
/* A change that waits for the registry. Owned by the list in core->quota_writes. */
struct quota_change {
    const char *role;    /* interned */
    struct quota *quota; /* owned; NULL: none any more */
};
enum quota_call { QUOTA_UPDATE, QUOTA_SET, QUOTA_REMOVE };
struct quota_write {
    struct master *master;
    enum quota_call call;
    struct quota_change *changes; /* owned; the last one of a role counts */
    size_t n;
    operator_done_f *done;
    void *arg;
    struct quota_write *next, *prev;
};
void quota_write_free(struct quota_write *w);

/* quota_check.c: fill `w` with what the call would change; *err says why not. */
int quota_check_update(const struct master *m, const Mapi__Call__UpdateQuota *call,
                       const char *principal, struct quota_write *w, struct fl_err *err);
int quota_check_set(const struct master *m, const Quota__QuotaRequest *request,
                    const char *principal, struct quota_write *w, struct fl_err *err);
int quota_check_remove(const struct master *m, const char *role, const char *principal,
                       struct quota_write *w, struct fl_err *err);
bool quota_within(const struct quantities *limits, const struct quantities *amounts);
bool quota_is_default(const struct quota *q); /* neither guarantees nor limits */
struct quota *quota_from_config(const Quota__QuotaConfig *config);

/* quota_rescind.c: offers are taken back so that the quota can take effect. As the reference does it: rather too many than too few, and
 * without knowing what the allocator has free. */
void quota_rescind_for_update(struct master *m, const char *role, const struct quota *q);
void quota_rescind_for_set(struct master *m, const char *role, const struct quota *q);

#endif
