/* A process of its own that writes one view of the state as it was when it was forked. Core's thread. */
#ifndef MASTER_API_STATE_FORK_H
#define MASTER_API_STATE_FORK_H

#include "master/api/state.h"

struct state_child;

struct state_child_result {
    struct fl_region *bytes; /* a reference for the callee to give back; NULL: it failed */
    bool gzipped;
    uint64_t write_us; /* what writing took */
};
typedef void state_child_done_f(void *arg, const struct state_child_result *r,
                                const struct fl_err *err);

struct state_child_config {
    struct fl_loop *loop;
    const struct master_api *api;
    const struct state_request *rq; /* borrowed for the call */
    struct task_writer *tasks;
    size_t max_bytes, gzip_min;
    unsigned timeout_s;
    _Atomic size_t *held;     /* bytes of results that are not yet given back; outlives them */
    state_child_done_f *done; /* once, from the loop */
    void *arg;
};
/* Memory that the child writes to, once it is done, and nothing else, is shared. FL_IO when there can be no child. */
int state_child_new(const struct state_child_config *c, struct state_child **ret,
                    struct fl_err *err);
/* Ends it if it still runs; done() does not follow if it was not called. Waits for the process to be gone. */
void state_child_free(struct state_child *c);
/* The process is gone: freeing does not wait. After done() that takes some milliseconds more. */
bool state_child_gone(struct state_child *c);

#endif
