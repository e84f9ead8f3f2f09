/* Answers that show the master's state: /state and its kin, GET_STATE and its parts, the beginning of SUBSCRIBE.
 *
 * Each is a view: a function that writes the answer from the state as it is while it runs. A view of few objects is written at once, on the
 * core's thread; one of many by a process of its own, forked for it, while the core goes on (state_snapshot.c). So a view may not change
 * the state, may not log, may not use descriptors, and knows the request only by what `struct state_request` keeps of it. */
#ifndef MASTER_API_STATE_H
#define MASTER_API_STATE_H

#include "common/base/json_put.h"
#include "master/api/handlers.h"
#include "master/api/task_writer.h"
#include "master/api/viewer.h"

struct state_out;
typedef void state_write_f(struct state_out *o);

struct state_view {
    const char *name; /* for messages */
    state_write_f
        *write;    /* a whole JSON document; of the operator API: in the encoding asked for */
    bool by_query; /* shows what the query or the rest of the path asks for */
};

/* What a view knows of the request. Requests that are equal may share an answer. */
struct state_request {
    const struct state_view *view;
    enum api_encoding encoding;
    bool gzip;       /* the answer may be compressed */
    char *query;     /* owned; "" unless by_query */
    char *path_rest; /* owned; the same */
    char *jsonp;     /* owned, or NULL */
    char *principal; /* owned, or NULL; only when there are rules */
};
void state_request_done(struct state_request *r);

struct state_out {
    const struct master_api *api;
    const struct master *m;
    const struct state_request *rq;
    struct viewer *viewer;
    struct task_writer *tasks; /* borrowed */
    struct fl_arena *arena;    /* for one object at a time */
    struct fl_buf buf;         /* what is not yet spilled */
    struct json_out j;         /* on buf */
    struct fl_buf head;        /* stands before everything; known when all is written */
    /* Where full buffers go: takes them and clears them. NULL: nowhere, all stays in buf. */
    void (*spill)(struct state_out *o);
    void *spill_arg;
    size_t spilled;
};
#define STATE_PIECE (256u * 1024)
/* After each object. */
static inline void state_step(struct state_out *o)
{
    if (o->spill && o->buf.len >= STATE_PIECE)
        o->spill(o);
}
static inline size_t state_pos(const struct state_out *o)
{
    return o->spilled + o->buf.len;
}
/* Before a value that is written without `j`. */
static inline void state_comma(struct state_out *o)
{
    if (o->j.need_comma)
        json_put_char(&o->buf, ',');
    o->j.need_comma = true;
}
/* Runs the view into an out whose api, rq, tasks and spill are set. */
void state_write(struct state_out *o);
void state_out_done(struct state_out *o);

/* Lists of tasks, over all frameworks or one; tasks that the viewer does not see are left out. */
enum task_list { TASKS_LIVE, TASKS_UNREACHABLE, TASKS_COMPLETED };
typedef void state_task_f(struct state_out *o, const struct task *t, void *arg);
void state_each_task(struct state_out *o, enum task_list list, state_task_f *fn, void *arg);
void state_each_task_of(struct state_out *o, const struct framework *f, enum task_list list,
                        state_task_f *fn, void *arg);

/* ---- answering ---- */
/* The older endpoints: ?jsonp=, gzip. */
void state_respond(struct http_exchange *ex, struct master_api *api, const struct state_view *view);
/* The operator API. */
void state_respond_call(struct http_exchange *ex, struct master_api *api,
                        const struct state_view *view, enum api_encoding encoding,
                        const char *principal);

/* For SUBSCRIBE: `taken` is called when the state of the view is what it will show, so that every event from there on belongs behind it;
 * `done` with the bytes, or NULL and why. Both perhaps before the call returns; nothing after state_cancel(). */
struct state_wish_ops {
    void (*taken)(void *arg);
    void (*done)(void *arg, struct fl_region *bytes, const struct fl_err *err);
};
struct state_wish;
struct state_wish *state_ask(struct master_api *api, struct fl_loop *loop,
                             const struct state_view *view, enum api_encoding encoding,
                             const char *principal, const struct state_wish_ops *ops, void *arg);
void state_cancel(struct state_wish *w);

/* Ends what is under way: requests are answered 503. */
void state_stop(struct master_api *api);
void state_free(struct master_api *api); /* when no connection is left */
void state_metrics(struct master_api *api);

/* ---- the views ---- */
extern const struct state_view state_view_state, state_view_slaves, state_view_frameworks,
    state_view_summary, state_view_tasks;
extern const struct state_view state_view_get_state, state_view_get_agents,
    state_view_get_frameworks, state_view_get_executors, state_view_get_tasks,
    state_view_subscribed;
#define STATE_HEARTBEAT_S 15 /* of the operators' event stream */

#endif
