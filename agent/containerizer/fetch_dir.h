/* The folder of the fetcher's cache: --fetcher_cache_dir, in which nobody but the agent's user may write. The agent's thread. */
#ifndef AGENT_CONTAINERIZER_FETCH_DIR_H
#define AGENT_CONTAINERIZER_FETCH_DIR_H

#include "common/base/err.h"

struct fetch_dir {
    char *path; /* without links; owned. NULL: not open */
    int fd, lock_fd;
};

/* Makes it, removes what an earlier agent left in it, and keeps other agents out until it is closed. Refuses a folder, or one above it, in which
 * another user could put something else in its place. */
int fetch_dir_open(struct fetch_dir *d, const char *path, struct fl_err *err);
void fetch_dir_close(struct fetch_dir *d);
/* An empty file, 0600. */
int fetch_dir_make(struct fetch_dir *d, const char *file, struct fl_err *err);
void fetch_dir_remove(struct fetch_dir *d, const char *file);
/* -1: it is not there. */
int64_t fetch_dir_size(const struct fetch_dir *d, const char *file);

#endif
