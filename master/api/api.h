/* The master's HTTP face: what every handler gets as its argument, and the table of routes
 * (routes.def). All handlers run on the core's thread; decode hooks on an I/O thread. */
#ifndef MASTER_API_API_H
#define MASTER_API_API_H

#include "common/base/flags.h"
#include "common/base/http.h"
#include "common/base/log_toggle.h"
#include "common/base/metrics.h"
#include "master/master.h"

struct api_subscriber;

struct master_api {
    struct master *master;              /* borrowed */
    const struct fl_flags *flags;       /* borrowed: the parsed table, for /flags */
    struct api_subscriber *subscribers; /* operator event streams; operator_stream.c */
    unsigned n_subscribers;
    struct log_toggle *log_toggle; /* owned by the shell */
    struct sched_api *sched;       /* scheduler.c's own */
};

/* Made from routes.def. */
extern const struct http_route master_routes[];
extern const size_t master_routes_n;

/* For master_io.publish: to every subscriber of the operator API's event stream. `ctx` is the
 * struct master_api. */
void api_publish(struct master_api *api, const Mapi__Event *ev);
/* Ends the event streams; at shutdown. */
void api_done(struct master_api *api);

/* ---- shared by handlers: v1 endpoints' bodies ---- */
enum api_encoding { API_JSON, API_PROTOBUF };

/* The Content-Type and body of a POST endpoint, checked and decoded on an I/O thread as the order
 * of features.md 1.0 wants it. */
struct api_call {
    struct fl_arena *arena;
    ProtobufCMessage *msg;
    enum api_encoding encoding;
};
void *api_decode(const struct http_request *r, const ProtobufCMessageDescriptor *desc,
                 struct fl_err *err);
void api_call_free(void *call);
/* What the client accepts: missing or any = JSON, both = JSON; negative when it accepts neither
 * (406). */
int api_accept(const struct http_request *r, enum api_encoding *ret_encoding);
const char *
api_content_type(enum api_encoding e); /* "application/json", "application/x-protobuf" */
/* 405 with `Allow: POST`, 400 and 415 as far as they come before the call's own validation; true
 * when it answered. */
bool api_refuse_early(struct http_exchange *ex);
void api_encode(struct fl_buf *out, const ProtobufCMessage *m, enum api_encoding e);

#endif
