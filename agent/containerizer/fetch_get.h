/* Getting what a URI names, and asking how large it is. The fetcher's process, with the rights of the container's user; blocks. */
#ifndef AGENT_CONTAINERIZER_FETCH_GET_H
#define AGENT_CONTAINERIZER_FETCH_GET_H

#include "agent/containerizer/fetch_beneath.h"
#include "agent/containerizer/fetch_uri.h"

struct agent_flags;

struct fetch_sink {
    int fd; /* borrowed; written at its offset */
    struct fetch_budget budget;
    bool failed; /* the fault is ours (full, too large), not that of who sent it; `err` says what */
    struct fl_err err;
};
int fetch_sink_put(struct fetch_sink *sink, const char *data, size_t n);

/* `sandbox`: where the hadoop client may write; the working directory. */
int fetch_get(const struct fetch_uri *u, const struct agent_flags *flags, int sandbox,
              struct fetch_sink *sink, struct fl_err *err);
int fetch_size(const struct fetch_uri *u, const struct agent_flags *flags, uint64_t *ret,
               struct fl_err *err);

/* A file, as it is copied from a path or from the cache. */
int fetch_copy(int in, struct fetch_sink *sink, struct fl_err *err);

/* fetch_hook.c: by the hadoop client, --hadoop_home/bin/hadoop, or $HADOOP_HOME's, or the one in PATH:
 * `hadoop fs -copyToLocal URI PATH`, `hadoop fs -du URI`. */
int fetch_hook_get(const char *uri, const struct agent_flags *flags, int sandbox,
                   struct fetch_sink *sink, struct fl_err *err);
int fetch_hook_size(const char *uri, const struct agent_flags *flags, uint64_t *ret,
                    struct fl_err *err);

#endif
