/* One run of the fetcher, for a containerizer that has no shim: asked of the launcher, heard of by its socket, killed by its pidfd. The
 * agent's thread. */
#ifndef AGENT_CONTAINERIZER_FETCHING_H
#define AGENT_CONTAINERIZER_FETCHING_H

#include "agent/containerizer/launcher_client.h"
#include "proto/mesos.pb-c.h"

struct fetching;
/* err NULL: all is there. Once, never within fetching_begin(), and not after fetching_cancel(). */
typedef void fetching_done_f(void *arg, const struct fl_err *err_or_null);

/* Brings command->uris into `sandbox` as `user` (NULL: the agent's). `folder`: a runtime folder, which is there. */
int fetching_begin(struct fl_loop *loop, struct launcher_client *launcher, const char *folder,
                   const char *user, const char *sandbox, const V1__CommandInfo *command,
                   fetching_done_f *fn, void *arg, struct fetching **ret, struct fl_err *err);
/* Ends it. NULL: nothing. */
void fetching_cancel(struct fetching *f);
/* The same once the launcher's client is gone. */
void fetching_free(struct fetching *f);

#endif
