/* `fairlead events`: the master's stream of events (v1 SUBSCRIBE), a line each. The stream begins with the whole state, which is only
 * counted. When it ends, another master is asked, as long as --follow wants it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "cli/connection.h"
#include "common/base/recordio.h"

#define MAX_RECORD ((size_t)2 << 30)
#define AGAIN_US   1000000

struct events {
    struct cli *cli;
    struct fl_loop *loop;
    struct http_client *http;
    struct http_call *call;
    struct fl_timer *timer;
    struct recordio_reader reader;
    struct fl_buf refusal;
    int status;
    /* what was asked */
    struct opt_list types;
    bool follow, heartbeats;
    unsigned count; /* 0: without end */
    /* how it goes */
    unsigned seen;
    bool connected_once, over;
    int code;
};

static bool is_type(const char *is, const char *wanted)
{
    size_t n = strlen(wanted);

    return strcasecmp(is, wanted) == 0 ||
           (strncasecmp(is, wanted, n) == 0 && is[n] == '_'); /* "task": all TASK_... */
}

static bool is_wanted(const struct events *e, const char *type)
{
    if (!e->types.n)
        return e->heartbeats || !streq(type, "HEARTBEAT");
    for (size_t i = 0; i < e->types.n; i++)
        if (is_type(type, e->types.items[i]))
            return true;
    return false;
}

static void finish(struct events *e, int code)
{
    e->over = true;
    e->code = code;
    fl_loop_stop(e->loop);
}

/* ---- in words ---- */

static void describe_subscribed(const json_t *event, struct fl_buf *out)
{
    const json_t *s = jpath(event, "subscribed.get_state");

    fl_buf_addf(out, "agents=%zu frameworks=%zu tasks=%zu",
                json_array_size(jpath(s, "get_agents.agents")),
                json_array_size(jpath(s, "get_frameworks.frameworks")),
                json_array_size(jpath(s, "get_tasks.tasks")));
}

static void describe_task(const json_t *event, struct fl_buf *out)
{
    const json_t *t = jpath(event, "task_added.task"), *u = json_object_get(event, "task_updated"),
                 *s = json_object_get(u, "status");

    if (t)
        fl_buf_addf(out, "task=%s state=%s framework=%s agent=%s name=%s", jid(t, "task_id"),
                    jstr(t, "state"), jid(t, "framework_id"), jid(t, "agent_id"), jstr(t, "name"));
    else
        fl_buf_addf(out, "task=%s state=%s framework=%s agent=%s%s%s%s%s", jid(s, "task_id"),
                    jstr(u, "state"), jid(u, "framework_id"), jid(s, "agent_id"),
                    *jstr(s, "reason") ? " " : "", jstr(s, "reason"),
                    *jstr(s, "message") ? " " : "", jstr(s, "message"));
}

static void describe_framework(const json_t *event, const char *key, struct fl_buf *out)
{
    const json_t *o = json_object_get(event, key), *f = json_object_get(o, "framework"),
                 *info = f ? json_object_get(f, "framework_info")
                           : json_object_get(o, "framework_info");

    fl_buf_addf(out, "framework=%s name=%s", jid(info, "id"), jstr(info, "name"));
}

static void describe(const json_t *event, const char *type, struct fl_buf *out)
{
    const json_t *agent = jpath(event, "agent_added.agent");

    if (streq(type, "SUBSCRIBED"))
        describe_subscribed(event, out);
    else if (str_starts(type, "TASK_"))
        describe_task(event, out);
    else if (streq(type, "AGENT_ADDED"))
        fl_buf_addf(out, "agent=%s host=%s", jid(json_object_get(agent, "agent_info"), "id"),
                    jstr(json_object_get(agent, "agent_info"), "hostname"));
    else if (streq(type, "AGENT_REMOVED"))
        fl_buf_addf(out, "agent=%s", jid(json_object_get(event, "agent_removed"), "agent_id"));
    else if (streq(type, "FRAMEWORK_ADDED"))
        describe_framework(event, "framework_added", out);
    else if (streq(type, "FRAMEWORK_UPDATED"))
        describe_framework(event, "framework_updated", out);
    else if (streq(type, "FRAMEWORK_REMOVED"))
        describe_framework(event, "framework_removed", out);
}

static void print(const struct events *e, const json_t *event, const char *type)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    char at[32];
    time_t now = time(NULL);
    struct tm tm;

    if (e->cli->json) {
        json_dumpf(event, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        describe(event, type, &text);
        _cleanup_free_ char *clean = text_clean(fl_buf_cstr(&text));
        localtime_r(&now, &tm);
        strftime(at, sizeof(at), "%H:%M:%S", &tm);
        printf("%s %-17s %s\n", at, type, clean);
    }
    fflush(stdout);
}

/* ---- the stream ---- */

static int on_record(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct events *e = arg;
    json_error_t why;
    _cleanup_json_ json_t *event = NULL;

    if (e->over)
        return 0;
    event = json_loadb(record, n, 0, &why);
    if (!event)
        return fl_err_set(err, FL_INVALID, "the master sent an event that is no JSON: %s",
                          why.text);
    const char *type = jstr(event, "type");
    if (is_wanted(e, type)) {
        print(e, event, type);
        e->seen++;
    }
    if (ferror(stdout))
        finish(e, CLI_FAILED);
    else if ((e->count && e->seen >= e->count) || (!e->follow && !e->count))
        finish(e, CLI_OK);
    return 0;
}

static void on_headers(struct http_call *c, const struct http_client_response *r, void *arg)
{
    struct events *e = arg;

    e->status = r->status;
    e->connected_once = e->connected_once || r->status == 200;
}

static void on_data(struct http_call *c, const char *p, size_t n, void *arg)
{
    struct events *e = arg;
    struct fl_err err = {0};

    if (e->status != 200)
        fl_buf_add(&e->refusal, p, FL_MIN(n, (size_t)1000));
    else if (!e->over && recordio_feed(&e->reader, p, n, on_record, e, &err) < 0)
        finish(e, cli_fail(&err));
}

static void on_done(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *why, void *arg)
{
    struct events *e = arg;
    struct fl_err err = {0};

    e->call = NULL;
    if (e->over)
        return;
    if (r && r->status != 200 && r->status != 307 && r->status != 503) {
        const struct answer a = {r->status, fl_buf_cstr(&e->refusal), e->refusal.len};
        cli_status_err(&a, "the master", "SUBSCRIBE", &err);
        finish(e, cli_fail(&err));
        return;
    }
    if (!e->cli->quiet)
        cli_failf("the stream of events ended%s%s; asking again", why ? ": " : "",
                  why ? why->msg : "");
    fl_timer_set(e->timer, AGAIN_US);
}

static void start(void *arg)
{
    static const struct http_call_ops ops = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done};
    static const char body[] = "{\"type\":\"SUBSCRIBE\"}";
    struct events *e = arg;
    struct http_header headers[3];
    const struct peer *leader;
    struct fl_err err = {0};

    if (connection_leader(e->cli, &leader, &err) < 0) {
        if (!e->connected_once || err.reason == FL_UNAUTHENTICATED || err.reason == FL_FORBIDDEN)
            finish(e, cli_fail(&err));
        else
            fl_timer_set(e->timer, AGAIN_US);
        return;
    }
    recordio_reader_done(&e->reader);
    recordio_reader_init(&e->reader, MAX_RECORD);
    fl_buf_clear(&e->refusal);
    struct http_call_config cfg = {
        .method = "POST",
        .path = "/api/v1",
        .headers = headers,
        .n_headers = cli_headers(e->cli, "application/json", headers),
        .body = body,
        .body_len = sizeof(body) - 1,
        .streaming = true,
        .own_connection = true,
        .timeout_s = 60,
        .idle_timeout_s = 90, /* heartbeats come every 15 s */
    };
    cli_fill_call(e->cli, leader, &cfg);
    if (http_client_call(e->http, &cfg, &ops, e, &e->call, &err) < 0)
        finish(e, cli_fail(&err));
    /* Should it end, the leader may be another. */
    connection_forget_leader(e->cli);
}

static void interrupted(void *arg)
{
    finish(arg, CLI_INTERRUPTED);
}

static int run(struct events *e)
{
    struct fl_signal *signals[2] = {NULL, NULL};
    struct fl_err err = {0};

    if (fl_loop_new(&e->loop, &err) < 0)
        return cli_fail(&err);
    e->http = http_client_new(e->loop);
    e->timer = fl_timer_new(e->loop, start, e);
    recordio_reader_init(&e->reader, MAX_RECORD);
    if (fl_signal_new(e->loop, SIGINT, interrupted, e, &signals[0], &err) < 0 ||
        fl_signal_new(e->loop, SIGTERM, interrupted, e, &signals[1], &err) < 0) {
        e->code = cli_fail(&err);
    } else {
        start(e);
        if (!e->over)
            fl_loop_run(e->loop);
    }
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (signals[i])
            fl_signal_free(signals[i]);
    if (e->call)
        http_call_cancel(e->call);
    fl_timer_free(e->timer);
    recordio_reader_done(&e->reader);
    fl_buf_done(&e->refusal);
    http_client_free(e->http);
    fl_loop_free(e->loop);
    return e->code;
}

int verb_events(struct cli *c, int argc, char **argv)
{
    struct events e = {.cli = c};
    const struct opt opts[] = {
        {"--follow", OPT_FLAG, &e.follow, "go on until interrupted; else only what there is", 'f'},
        {"--type TYPE", OPT_LIST, &e.types,
         "only these: TASK_UPDATED, or all of task, agent, framework; may be repeated", 't'},
        {"--count N", OPT_COUNT, &e.count, "end after so many", 'n'},
        {"--heartbeats", OPT_FLAG, &e.heartbeats, "show these, too", 0},
    };
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 0, 0, &code);

    if (i >= 0)
        code = run(&e);
    free(e.types.items);
    return code;
}
