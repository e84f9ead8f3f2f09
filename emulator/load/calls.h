/* The calls and events of the scheduler API as a load generator needs them, written to and read from the bytes of protobuf without
 * a tree of messages in between: the generator shares its processors with the master that it measures. Pure. */
#ifndef EMULATOR_LOAD_CALLS_H
#define EMULATOR_LOAD_CALLS_H

#include "emulator/load/plan.h"
#include "proto/scheduler.pb-c.h"

struct load_bytes {
    const char *p;
    size_t n;
};

/* What all tasks of an entry have in common, encoded: fields of a TaskInfo without its ids. */
void load_call_pattern(struct fl_buf *out, const struct load_entry *e);

/* Each clears `out` and writes a mesos.v1.scheduler.Call, without the framework's id. */
void load_call_subscribe(struct fl_buf *out, const V1__FrameworkInfo *info,
                         char *const *suppressed_roles, size_t n_suppressed);
void load_call_decline(struct fl_buf *out, const char *const *offer_ids, size_t n,
                       double refuse_seconds);
void load_call_plain(struct fl_buf *out, Sched__Call__Type type); /* REVIVE, SUPPRESS, TEARDOWN */
void load_call_kill(struct fl_buf *out, const char *task_id);
void load_call_acknowledge(struct fl_buf *out, struct load_bytes agent_id,
                           struct load_bytes task_id, struct load_bytes uuid);
/* n 0: all tasks of the framework. */
void load_call_reconcile(struct fl_buf *out, const char *const *task_ids, size_t n);

/* An ACCEPT grows task by task, all on the agent of the offer. */
struct load_accept {
    struct fl_buf launch; /* owned: Launch, fields task_infos */
    size_t n;
};
void load_accept_add(struct load_accept *a, const char *task_id, const char *agent_id,
                     const struct fl_buf *pattern);
/* Writes the call and empties `a`, keeping its memory. */
void load_accept_end(struct load_accept *a, struct fl_buf *out, const char *offer_id,
                     double refuse_seconds);

/* A status update, borrowed from the event's bytes. What is absent is empty, or -1. */
struct load_update {
    struct load_bytes task_id, agent_id, uuid, message;
    int state, reason;
    double timestamp; /* seconds since 1970; 0 when absent */
};
/* True when `p` is an UPDATE event: fills *ret. False: another event, or no event at all. */
bool load_event_update(const void *p, size_t n, struct load_update *ret);

#endif
