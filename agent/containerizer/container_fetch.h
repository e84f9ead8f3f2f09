/* Who fetches when: the agent's side of the fetchers, and of their cache. The agent's thread.
 *
 *   WAITING   a URI is being put into the cache by another container
 *   QUEUED    --max_parallel_fetches fetchers run
 *   RUNNING   a fetcher of its own runs, or the launcher has been asked for it
 *
 * A container waits only for ones that came before it, and waits without a fetcher, so none waits for ever. */
#ifndef AGENT_CONTAINERIZER_CONTAINER_FETCH_H
#define AGENT_CONTAINERIZER_CONTAINER_FETCH_H

#include "common/base/err.h"

struct container;
struct fetches;
struct real_containerizer;
struct containerizer_fetch_stats;

struct fetches *fetches_new(struct real_containerizer *cz);
/* From then on no fetch is begun; those there are end with their containers. */
void fetches_close(struct fetches *f);
void fetches_free(struct fetches *f); /* no container is left */
void fetches_stats(const struct fetches *f, struct containerizer_fetch_stats *out);

/* Brings its URIs; container_launch() or container_end_with() follows. */
void container_fetch(struct container *c);
/* Whatever it does with the fetcher is over; the process itself is the caller's to end. */
void container_fetch_end(struct container *c);

#endif
