/* The master's HTTP face: what every handler gets as its argument, and the table of routes
 * (routes.def). All handlers run on the core's thread; decode hooks on an I/O thread. */
#ifndef MASTER_API_API_H
#define MASTER_API_API_H

#include "common/base/flags.h"
#include "common/base/http_v1.h"
#include "common/base/log_toggle.h"
#include "common/base/metrics.h"
#include "common/model/http_guard.h"
#include "master/master.h"

struct api_doc;
struct http_cast;
struct http_files;
struct page_service;
struct relay_service;

/* All streams of one kind (state_stream.h) that hear of what happens, oldest first. */
struct state_streams {
    const struct state_stream_kind *kind;
    uint64_t limit; /* one more closes the oldest; 0: none */
    unsigned n;     /* in the list */
    unsigned n_all; /* with those whose view was not begun yet */
    struct state_stream *first;
    struct state_stream *direct; /* of them, those that are sent what happens one by one */
    struct http_cast *casts[2];  /* owned; the others, by encoding; NULL until there is one */
};

struct master_api {
    struct master *master;            /* borrowed */
    const struct fl_flags *flags;     /* borrowed: the parsed table, for /flags */
    struct state_streams subscribers; /* operator event streams; operator_stream.c */
    struct page_service *page;        /* page_stream.c's own */
    struct http_files *files;         /* owned by the shell */
    struct log_toggle *log_toggle;    /* owned by the shell */
    struct sched_api *sched;          /* scheduler.c's own */
    struct state_service *state;      /* state_answer.c's own */
    struct relay_service *relay;      /* owned by the shell */
    struct http_times *times;         /* owned by the shell; or NULL */
    const struct http_guard *guard;   /* borrowed; NULL: everybody may do everything */
    /* Another master leads, or nobody does: routes that are the leader's send clients there. */
    bool standby;
    const V1__MasterInfo
        *leader; /* borrowed; while standby: who leads, NULL when nobody is known to */
};

#define MASTER_LOG_PATH "/master/log" /* of /files */

/* Made from routes.def. */
extern const struct http_route master_routes[];
extern const size_t master_routes_n;
/* The same rows, for people. */
extern const struct api_doc master_api_doc;

/* For master_io.publish: to every subscriber of the operator API's event stream. `ctx` is the
 * struct master_api. */
void api_publish(struct master_api *api, const Mapi__Event *ev);
/* Ends the event streams; at shutdown. */
void api_done(struct master_api *api);

#endif
