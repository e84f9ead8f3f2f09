/* Who fetches when: the agent's side of the fetchers, and of their cache, for every containerizer. The agent's thread.
 *
 *   WAITING   a URI is being put into the cache by another container
 *   QUEUED    --max_parallel_fetches fetchers run
 *   RUNNING   a fetcher of its own runs, or the launcher has been asked for it
 *
 * A container waits only for ones that came before it, and waits without a fetcher, so none waits for ever. */
#ifndef AGENT_CONTAINERIZER_FETCHES_H
#define AGENT_CONTAINERIZER_FETCHES_H

#include "agent/containerizer/launcher_client.h"
#include "proto/mesos.pb-c.h"

struct agent_flags;
struct containerizer_fetch_stats;
struct fetch;
struct fetches;

/* What is fetched for whom; all borrowed until it is over. */
struct fetch_spec {
    const char *id, *folder; /* the container; its runtime folder, which is there */
    const char *user;        /* NULL: the agent's */
    const char *sandbox;     /* where to */
    const V1__CommandInfo *command;
};
/* Once. why NULL: all is there; otherwise what to tell of the container's end. */
typedef void fetch_done_f(void *arg, const char *why_or_null);

/* The flags, `own_user` (the agent's; or NULL) and the launcher are borrowed. */
struct fetches *fetches_new(struct fl_loop *loop, const struct agent_flags *flags,
                            const char *own_user, struct launcher_client *launcher);
/* From then on no fetch is begun. Before the launcher's client goes. */
void fetches_close(struct fetches *f);
/* Every fetch is done or cancelled, and the launcher's client is gone. */
void fetches_free(struct fetches *f);
void fetches_stats(const struct fetches *f, struct containerizer_fetch_stats *out);

/* *handle is set first, and NULL again before `done` comes, which may be in the call. */
void fetch_begin(struct fetches *f, const struct fetch_spec *spec, fetch_done_f *done, void *arg,
                 struct fetch **handle);
/* Ends it (NULL: nothing); `done` does not come any more. False: the launcher is being asked for its fetcher, and `gone` (or NULL) comes
 * when that has ended, unless fetches_free() comes first. */
bool fetch_cancel(struct fetch *x, fl_callback_f *gone, void *arg);

#endif
