/* A server with /wire, and messages to send, on one loop. For tests/unit and tests/bench. */
#ifndef TESTS_UNIT_WIRE_HARNESS_H
#define TESTS_UNIT_WIRE_HARNESS_H

#include <stdio.h>

#include "common/wire/wire_priv.h"
#include "proto/internal.pb-c.h"

struct wire_server {
    struct fl_loop *loop;
    struct http_server *http;
    uint16_t port;
    struct wire_limits limits;
    const struct wire_ops *ops;
    void *arg;
    struct wire_channel *last; /* accepted last */
    unsigned accepted;
};

static inline void w_accepted(struct wire_channel *c, void *arg)
{
    struct wire_server *s = arg;

    s->accepted++;
    s->last = c;
    wire_set_ops(c, s->ops, s->arg);
}

static inline void w_handle(struct http_exchange *ex, void *arg)
{
    struct wire_server *s = arg;

    wire_accept(ex, &s->limits, w_accepted, s);
}

static const struct http_route w_routes[] = {
    {.path = "/wire", .handler = w_handle, .exact = true},
};

static inline void w_start(struct wire_server *s, unsigned io_threads, const struct wire_ops *ops,
                           void *arg)
{
    struct fl_err err;
    struct http_server_config cfg = {.ip = "127.0.0.1",
                                     .process_id = "master",
                                     .io_threads = io_threads,
                                     .limits = http_limits_default,
                                     .routes = w_routes,
                                     .n_routes = 1,
                                     .arg = s};

    *s = (struct wire_server){.limits = wire_limits_default, .ops = ops, .arg = arg};
    if (fl_loop_new(&s->loop, &err) < 0 || http_server_new(s->loop, &cfg, &s->http, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    s->port = http_server_port(s->http);
}

static inline void w_stop(struct wire_server *s)
{
    http_server_free(s->http);
    fl_loop_free(s->loop);
}

/* A status update of the size they have: about 250 bytes. */
struct w_update {
    Msg__StatusUpdateMessage msg;
    Msg__StatusUpdate update;
    V1__FrameworkID framework_id;
    V1__ExecutorID executor_id;
    V1__AgentID agent_id, status_agent_id;
    V1__TaskID task_id;
    V1__TaskStatus status;
    uint8_t uuid[16];
};

static inline void w_update_init(struct w_update *u)
{
    *u = (struct w_update){.msg = MSG__STATUS_UPDATE_MESSAGE__INIT,
                           .update = MSG__STATUS_UPDATE__INIT,
                           .framework_id = V1__FRAMEWORK_ID__INIT,
                           .executor_id = V1__EXECUTOR_ID__INIT,
                           .agent_id = V1__AGENT_ID__INIT,
                           .status_agent_id = V1__AGENT_ID__INIT,
                           .task_id = V1__TASK_ID__INIT,
                           .status = V1__TASK_STATUS__INIT,
                           .uuid = "0123456789abcde"};
    u->framework_id.value = (char *)"2e0e1d3a-7b1f-4d63-9a43-5a4a3d6a1d11-0000";
    u->executor_id.value = (char *)"task.4711";
    u->agent_id.value = (char *)"2e0e1d3a-7b1f-4d63-9a43-5a4a3d6a1d11-S17";
    u->status_agent_id.value = u->agent_id.value;
    u->task_id.value = (char *)"task.4711";
    u->status.task_id = &u->task_id;
    u->status.state = V1__TASK_STATE__TASK_RUNNING;
    u->status.agent_id = &u->status_agent_id;
    u->status.has_timestamp = true;
    u->status.timestamp = 1.7e9;
    u->status.executor_id = &u->executor_id;
    u->status.has_source = true;
    u->status.source = V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
    u->status.has_uuid = true;
    u->status.uuid = (ProtobufCBinaryData){sizeof(u->uuid), u->uuid};
    u->update.framework_id = &u->framework_id;
    u->update.executor_id = &u->executor_id;
    u->update.slave_id = &u->agent_id;
    u->update.status = &u->status;
    u->update.timestamp = 1.7e9;
    u->update.has_uuid = true;
    u->update.uuid = u->status.uuid;
    u->msg.update = &u->update;
}

#endif
