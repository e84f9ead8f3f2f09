/* The agent's HTTP face: what every handler gets as its argument, and the table of routes (routes.def). Handlers run on the core's
 * thread, decode hooks on an I/O thread. */
#ifndef AGENT_API_API_H
#define AGENT_API_API_H

#include "agent/agent.h"
#include "agent/api/usage_round.h"
#include "common/base/http_files.h"
#include "common/base/http_v1.h"
#include "common/base/log_toggle.h"
#include "common/model/http_guard.h"

struct agent_api {
    struct agent_core *core;        /* borrowed */
    const struct fl_flags *flags;   /* borrowed: the parsed table, for /flags */
    struct http_files *files;       /* borrowed */
    struct log_toggle *log_toggle;  /* borrowed */
    const struct http_guard *guard; /* borrowed; NULL: everybody may do everything */
    struct usage_round *usage;      /* borrowed */
    struct http_times *times;       /* borrowed; or NULL */
};

#define AGENT_LOG_PATH        "/slave/log" /* of /files */
#define AGENT_REALM_READONLY  "mesos-agent-readonly"
#define AGENT_REALM_READWRITE "mesos-agent-readwrite"
#define AGENT_REALM_EXECUTOR  "mesos-agent-executor"

/* Made from routes.def; `arg` of the server is the struct agent_api. */
extern const struct http_route agent_routes[];
extern const size_t agent_routes_n;
/* The same rows, for people. */
struct api_doc;
extern const struct api_doc agent_api_doc;

/* For agent_io: `stream` as the executor API handed it to agent_executor_subscribe(). */
void agent_api_executor_send(void *stream, const Exec__Event *ev);
void agent_api_executor_close(void *stream);

#endif
