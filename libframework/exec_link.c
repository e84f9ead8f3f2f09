/* An executor's way to its agent (exec_link.h). */
#include "libframework/exec_link.h"

#include "common/base/flags.h"

#define API_PATH     "/api/v1/executor"
#define DEFAULT_PORT 5051
/* Defaults of the agent's flags, for what it did not say. */
#define RECOVERY_US (15 * 60 * 1000000ull)
#define BACKOFF_US  2000000ull

/* ---- the environment ---- */

uint64_t exec_link_duration(const char *variable, uint64_t otherwise_us)
{
    const char *text = getenv(variable);
    uint64_t us;

    return text && fl_duration_parse(text, &us, NULL) == 0 ? us : otherwise_us;
}

int exec_link_read_environment(struct exec_link *l, struct exec_config *config, struct fl_err *err)
{
    const char *endpoint = getenv("MESOS_AGENT_ENDPOINT");
    const char *token = getenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN");

    *config = (struct exec_config){
        .framework_id = getenv("MESOS_FRAMEWORK_ID"),
        .executor_id = getenv("MESOS_EXECUTOR_ID"),
        .checkpoint = streq(getenv("MESOS_CHECKPOINT"), "1"),
        .recovery_timeout_us = exec_link_duration("MESOS_RECOVERY_TIMEOUT", RECOVERY_US),
        .max_backoff_us = exec_link_duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", BACKOFF_US),
    };
    if (!endpoint || !config->framework_id || !config->executor_id)
        return fl_err_set(err, FL_INVALID,
                          "MESOS_AGENT_ENDPOINT, MESOS_FRAMEWORK_ID and MESOS_EXECUTOR_ID must be "
                          "set: this program is started by an agent");
    if (token && *token)
        l->authorization = xasprintf("Bearer %s", token);
    return http_parse_host_port(endpoint, DEFAULT_PORT, &l->host, &l->port, err);
}

/* ---- the stream ---- */

static void stream_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct exec_link *l = arg;

    exec_core_headers(l->core, r->status, r->body, r->body_len);
}

static void stream_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    struct exec_link *l = arg;

    exec_core_data(l->core, p, n);
}

static void stream_done(struct http_call *c, const struct http_client_response *r,
                        const struct fl_err *err, void *arg)
{
    struct exec_link *l = arg;

    l->stream = NULL;
    exec_core_stream_ended(l->core, err ? err->msg : "the agent closed the stream");
}

void exec_link_subscribe(struct exec_link *l, const void *body, size_t n)
{
    static const struct http_call_ops ops = {stream_headers, stream_data, stream_done, NULL};
    struct fl_err err = {0};

    if (fw_open_stream(l->http, l->host, l->port, API_PATH, l->authorization, body, n, &ops, l,
                       &l->stream, &err) < 0)
        exec_core_stream_ended(l->core, err.msg);
}

void exec_link_close_stream(struct exec_link *l)
{
    if (l->stream)
        http_call_cancel(TAKE_PTR(l->stream));
    fw_sender_clear(&l->sender);
}

void exec_link_call(struct exec_link *l, const void *body, size_t n)
{
    fw_sender_push(&l->sender, l->host, l->port, NULL, body, n);
}

/* ---- life ---- */

void exec_link_init(struct exec_link *l, struct fl_loop *loop, fw_answered_f *answered, void *arg)
{
    l->http = http_client_new(loop);
    l->sender = (struct fw_sender){.loop = loop,
                                   .path = API_PATH,
                                   .authorization = l->authorization,
                                   .answered = answered,
                                   .arg = arg};
}

void exec_link_done(struct exec_link *l)
{
    fw_sender_clear(&l->sender);
    if (l->http)
        http_client_free(l->http);
    free(l->host);
    free(l->authorization);
    *l = (struct exec_link){.core = NULL};
}
