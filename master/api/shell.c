/* A shell into a task (relay.h), on the I/O thread of the client's connection: a WebSocket on one side, the requests of a session to
 * the agent on the other. From the client: binary messages are keys, text messages {"rows":n,"columns":n} the window's size. To it:
 * binary messages are output, and the last is text: {"exit": wait status} or {"error": "..."}.
 *
 * The container lives as long as both sides: the agent destroys it when the request that launched it is closed, which is the first
 * thing that happens when the client goes. */
#include <jansson.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/websocket.h"
#include "common/model/container_session.h"
#include "master/api/relay.h"

#define SHELL_MAGIC 0x5e110001
/* Bytes that wait for one side, over which the other is not read. */
#define WAITING_HIGH ((size_t)256 << 10)
#define MAX_MESSAGE  ((size_t)1 << 20)
#define PING_US      20000000u
#define SILENT_S     60
/* After the end of the output; by then the agent knows how it ended. */
#define EXIT_S 10

struct shell {
    unsigned magic;
    struct shell_request request;      /* owned */
    struct fl_loop *loop;              /* borrowed */
    struct websocket *ws;              /* owned */
    struct container_session *session; /* owned; NULL before and after */
    bool ws_paused, session_paused;
    struct shell *next, *prev; /* shells */
};

/* Of this thread, and the loop whose end they are to hear of. */
static _Thread_local struct shell *shells;
static _Thread_local struct fl_loop *hooked;

static void request_done(struct shell_request *r)
{
    relay_target_done(&r->target);
    free(r->authorization);
    free(r->container_id);
    free(r->command);
}

static void shell_free(struct shell *s)
{
    DL_DELETE(shells, s);
    container_session_free(s->session);
    websocket_free(s->ws);
    request_done(&s->request);
    s->magic = 0;
    free(s);
}

static void end_all(void *arg)
{
    while (shells)
        shell_free(shells);
    hooked = NULL;
}

/* ---- the last words ---- */

static void send_json(struct shell *s, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

    if (text)
        websocket_send(s->ws, true, text, strlen(text));
    free(text);
    json_decref(j);
}

static void end_session(struct shell *s)
{
    container_session_free(TAKE_PTR(s->session));
}

static void fail(struct shell *s, enum websocket_code code, const char *what)
{
    _cleanup_free_ char *name = relay_target_name(&s->request.target);
    _cleanup_free_ char *text = xasprintf("%s: %s", name, what);

    /* Words of an agent need not be UTF-8, which JSON and WebSockets are. */
    for (char *p = text; *p; p++)
        if ((unsigned char)*p >= 0x7f || (unsigned char)*p < ' ')
            *p = '?';
    end_session(s);
    send_json(s, json_pack("{s:s}", "error", text));
    websocket_close(s->ws, code, "");
}

/* ---- from the agent ---- */

static void on_started(struct container_session *session, void *arg)
{
    struct shell *s = FL_CAST(shell, SHELL_MAGIC, arg);

    if (s->ws_paused) {
        s->ws_paused = false;
        websocket_pause(s->ws, false);
    }
}

static void on_output(struct container_session *session, bool is_stderr, const void *p, size_t n,
                      void *arg)
{
    struct shell *s = FL_CAST(shell, SHELL_MAGIC, arg);

    websocket_send(s->ws, false, p, n);
    if (!s->session_paused && websocket_unsent(s->ws) > WAITING_HIGH) {
        s->session_paused = true;
        container_session_pause(session, true);
    }
}

static void on_input_room(struct container_session *session, void *arg)
{
    on_started(session, arg);
}

static void on_ended(struct container_session *session, int wait_status, const struct fl_err *err,
                     void *arg)
{
    struct shell *s = FL_CAST(shell, SHELL_MAGIC, arg);

    if (err) {
        atomic_fetch_add(&s->request.target.service->failed, 1);
        fail(s, WEBSOCKET_INTERNAL_ERROR, err->msg);
    } else if (wait_status < 0) {
        fail(s, WEBSOCKET_INTERNAL_ERROR, "the shell ended; how is not known");
    } else {
        end_session(s);
        send_json(s, json_pack("{s:i}", "exit", wait_status));
        websocket_close(s->ws, WEBSOCKET_NORMAL, "");
    }
}

static const struct container_session_ops session_ops = {
    .started = on_started, .output = on_output, .input_room = on_input_room, .ended = on_ended};

/* ---- from the client ---- */

static void set_window(struct shell *s, const char *p, size_t n)
{
    json_t *j = json_loadb(p, n, 0, NULL);
    json_int_t rows = json_integer_value(json_object_get(j, "rows"));
    json_int_t columns = json_integer_value(json_object_get(j, "columns"));

    json_decref(j);
    if (rows < 1 || columns < 1 || rows > 10000 || columns > 10000)
        fail(s, WEBSOCKET_UNSUPPORTED_DATA,
             "a text message is the window's size, {\"rows\":24,\"columns\":80}");
    else
        container_session_window(s->session, (unsigned)rows, (unsigned)columns);
}

static void on_message(struct websocket *w, bool text, const char *p, size_t n, void *arg)
{
    struct shell *s = FL_CAST(shell, SHELL_MAGIC, arg);

    if (!s->session || n == 0)
        return; /* no bytes would be the end of the input */
    if (text) {
        set_window(s, p, n);
        return;
    }
    container_session_input(s->session, p, n);
    if (!s->ws_paused && container_session_unsent(s->session) > WAITING_HIGH) {
        s->ws_paused = true;
        websocket_pause(w, true);
    }
}

static void on_room(struct websocket *w, void *arg)
{
    struct shell *s = FL_CAST(shell, SHELL_MAGIC, arg);

    if (!s->session_paused || !s->session)
        return;
    s->session_paused = false;
    container_session_pause(s->session, false);
}

static void on_closed(struct websocket *w, void *arg)
{
    shell_free(FL_CAST(shell, SHELL_MAGIC, arg));
}

static const struct websocket_ops ws_ops = {
    .message = on_message, .room = on_room, .closed = on_closed};

/* ---- the beginning ---- */

/* "parent.child", in the arena; no part is empty. */
static V1__ContainerID *parse_id(const char *text, struct fl_arena *arena)
{
    V1__ContainerID *id = NULL;

    while (*text) {
        size_t n = strcspn(text, ".");
        V1__ContainerID *child = fl_arena_alloc(arena, sizeof(*child));
        v1__container_id__init(child);
        child->value = fl_arena_alloc(arena, n + 1);
        memcpy(child->value, text, n);
        child->value[n] = '\0';
        child->parent = id;
        id = child;
        text += n + (text[n] == '.');
    }
    return id;
}

static int launch(struct shell *s, struct fl_err *err)
{
    struct shell_request *r = &s->request;
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(512);
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__LaunchNestedContainerSession l = AAPI__CALL__LAUNCH_NESTED_CONTAINER_SESSION__INIT;
    V1__CommandInfo command = V1__COMMAND_INFO__INIT;
    V1__Environment environment = V1__ENVIRONMENT__INIT;
    V1__Environment__Variable term = V1__ENVIRONMENT__VARIABLE__INIT, *variables[] = {&term};
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;
    V1__TTYInfo tty = V1__TTYINFO__INIT;
    V1__TTYInfo__WindowSize size = V1__TTYINFO__WINDOW_SIZE__INIT;
    const struct http_header authorization = {"Authorization", r->authorization};

    term.name = (char *)"TERM";
    term.value = (char *)"xterm-256color";
    environment.variables = variables;
    environment.n_variables = 1;
    command.has_shell = command.shell = true;
    command.value = r->command;
    command.environment = &environment;
    size.rows = r->rows;
    size.columns = r->columns;
    if (r->rows > 0 && r->columns > 0)
        tty.window_size = &size;
    info.type = V1__CONTAINER_INFO__TYPE__MESOS;
    info.tty_info = &tty;
    l.container_id = parse_id(r->container_id, arena);
    l.command = &command;
    l.container = &info;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION;
    call.launch_nested_container_session = &l;
    const struct relay_service *service = r->target.service;
    const struct container_session_config config = {
        .host = r->target.host,
        .port = r->target.port,
        .tls = service->tls,
        .headers = &authorization,
        .n_headers = r->authorization ? 1 : 0,
        .call = &call,
        .container = l.container_id,
        .input = true,
        .status = true,
        .exit_timeout_s = EXIT_S,
        .begin_timeout_s = (unsigned)(service->begin_us / 1000000 + 1),
        .silent_s = (unsigned)(service->idle_us / 1000000 + 1)};
    return container_session_new(s->loop, &config, &session_ops, s, &s->session, err);
}

static void on_taken(struct fl_stream *stream, void *arg)
{
    static const struct websocket_limits limits = {MAX_MESSAGE, PING_US, SILENT_S};
    struct shell *s = arg;
    struct fl_err err;

    s->loop = fl_stream_loop(stream);
    if (hooked != s->loop) {
        hooked = s->loop;
        fl_loop_at_end(hooked, end_all, NULL);
    }
    DL_APPEND(shells, s);
    s->ws = websocket_new(stream, &limits, &ws_ops, s);
    /* What is typed before the shell is there waits in the client's connection. */
    s->ws_paused = true;
    websocket_pause(s->ws, true);
    if (launch(s, &err) < 0)
        fail(s, WEBSOCKET_INTERNAL_ERROR, err.msg);
}

static void never(void *arg)
{
    struct shell *s = arg;

    request_done(&s->request);
    free(s);
}

void shell_open(struct http_exchange *ex, struct shell_request *r)
{
    struct shell *s = xnew0(struct shell);

    s->magic = SHELL_MAGIC;
    s->request = *r;
    websocket_accept(ex, on_taken, never, s);
}
