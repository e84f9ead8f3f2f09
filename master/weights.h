/* Weights of roles: how much of the cluster a role may have in comparison with its siblings. 1 where none was set. Kept in the registry,
 * one record a role ("weight/eng"); a change shows once the registry has it. Core's thread.
 *
 * --weights counts only while the registry has no weights at all; then it is written there. Later ones come by PUT /weights.
 */
#ifndef MASTER_WEIGHTS_H
#define MASTER_WEIGHTS_H

#include "master/master.h"

/* ---- what operators ask for: as in quota.h ---- */
/* All or none of them. */
int master_update_weights(struct master *m, V1__WeightInfo *const *infos, size_t n,
                          const char *principal, operator_done_f *done, void *arg,
                          struct fl_err *err);
/* Those that were set and that `principal` may see, by role. In the arena; texts are borrowed. */
size_t master_weights(const struct master *m, const char *principal, struct fl_arena *arena,
                      V1__WeightInfo ***ret_infos);

/* ---- for the core ---- */
int weights_init(struct master *m, struct fl_err *err); /* --weights */
int weight_recover(struct master *m, const ProtobufCMessage *record, struct fl_err *err);
void weights_recovered(struct master *m); /* the registry has been read */
void weights_done(struct master *m);

#endif
