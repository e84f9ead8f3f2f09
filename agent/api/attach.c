/* The calls about standard input and output: LAUNCH_NESTED_CONTAINER_SESSION, ATTACH_CONTAINER_OUTPUT, ATTACH_CONTAINER_INPUT.
 *
 * Output is a stream of ProcessIO records until the container ends or the client goes; with the client of a session its container goes.
 * Input is a request of records, which is answered when it or the container ends. An object here lives as long as its HTTP stream or
 * exchange, and while the containerizer has it as a listener; each of the two tells when it ends first, and then the other is told. */
#include "agent/api/handlers.h"
#include "common/base/log.h"
#include "common/base/recordio.h"

#define TYPE_RECORDIO "application/recordio"
#define OUTPUT_MAGIC  0x414f5554
#define INPUT_MAGIC   0x41494e50
#define MAX_RECORD    (1u << 20)
#define UNSENT_HIGH   ((size_t)4 << 20) /* a client that is further behind makes the container wait */

/* ---- what is accepted ---- */

bool agent_is_recordio(const struct http_request *r)
{
    return streq(http_request_header(r, "Content-Type"), TYPE_RECORDIO);
}

static int encoding_of(const char *type, enum api_encoding *ret)
{
    for (int e = API_JSON; e <= API_PROTOBUF; e++) {
        if (streq(type, api_content_type(e))) {
            *ret = e;
            return 0;
        }
    }
    return -1;
}

int agent_stream_accept(struct http_exchange *ex, struct agent_stream_type *ret)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *accept = http_request_header(r, "Accept");
    const char *message = http_request_header(r, "Message-Accept");

    ret->encoding = API_JSON;
    ret->recordio = accept && strstr(accept, TYPE_RECORDIO) != NULL;
    if (api_accept(r, &ret->encoding) == 0)
        ret->recordio = false;
    if (!ret->recordio) {
        if (api_accept(r, &ret->encoding) == 0 && !message)
            return 0;
        http_respond(ex, 406, HTTP_TEXT,
                     message ? "Expecting 'Message-Accept' to be not set for a non-streaming "
                               "response"
                             : "Expecting 'Accept' to allow application/json or "
                               "application/x-protobuf or application/recordio");
        return -1;
    }
    if (!message || !*message || strstr(message, "*/*"))
        return 0;
    if (strstr(message, api_content_type(API_JSON)))
        ret->encoding = API_JSON;
    else if (strstr(message, api_content_type(API_PROTOBUF)))
        ret->encoding = API_PROTOBUF;
    else {
        http_respond(ex, 406, HTTP_TEXT,
                     "Expecting 'Message-Accept' to allow application/json or "
                     "application/x-protobuf");
        return -1;
    }
    return 0;
}

/* ---- output ---- */

struct output {
    unsigned magic;
    struct agent_api *api;
    char *id;
    bool session;
    struct agent_stream_type type;
    struct http_exchange *ex; /* until it is a stream */
    struct http_stream *http;
    struct fl_timer *heartbeat;
};

static void output_free(struct output *o)
{
    fl_timer_free(o->heartbeat);
    o->magic = 0;
    free(o->id);
    free(o);
}

static void send_io(struct output *o, const Aapi__ProcessIO *io)
{
    _cleanup_buf_ struct fl_buf record = FL_BUF_INIT, out = FL_BUF_INIT;

    api_encode(&record, &io->base, o->type.encoding);
    recordio_add(&out, record.data, record.len);
    if (!http_stream_write_buf(o->http, &out))
        log_warning("The client that is attached to container '%s' does not read, closing its "
                    "connection",
                    o->id);
}

static void on_heartbeat(void *arg)
{
    struct output *o = FL_CAST(output, OUTPUT_MAGIC, arg);
    uint64_t interval = o->api->core->flags->http_heartbeat_interval;
    Aapi__ProcessIO io = AAPI__PROCESS_IO__INIT;
    Aapi__ProcessIO__Control control = AAPI__PROCESS_IO__CONTROL__INIT;
    Aapi__ProcessIO__Control__Heartbeat beat = AAPI__PROCESS_IO__CONTROL__HEARTBEAT__INIT;
    V1__DurationInfo duration = V1__DURATION_INFO__INIT;

    duration.nanoseconds = (int64_t)(interval * 1000);
    beat.interval = &duration;
    control.has_type = io.has_type = true;
    control.type = AAPI__PROCESS_IO__CONTROL__TYPE__HEARTBEAT;
    control.heartbeat = &beat;
    io.type = AAPI__PROCESS_IO__TYPE__CONTROL;
    io.control = &control;
    fl_timer_set(o->heartbeat, interval);
    send_io(o, &io);
}

static void on_drained(struct http_stream *st, void *arg)
{
    struct output *o = FL_CAST(output, OUTPUT_MAGIC, arg);
    struct containerizer *c = o->api->core->containerizer;

    c->ops->resume(c, o->id);
}

static bool on_output(void *arg, int fd, const void *data, size_t n)
{
    struct output *o = FL_CAST(output, OUTPUT_MAGIC, arg);
    Aapi__ProcessIO io = AAPI__PROCESS_IO__INIT;
    Aapi__ProcessIO__Data d = AAPI__PROCESS_IO__DATA__INIT;

    d.has_type = d.has_data = io.has_type = true;
    d.type = fd == 1 ? AAPI__PROCESS_IO__DATA__TYPE__STDOUT : AAPI__PROCESS_IO__DATA__TYPE__STDERR;
    d.data.data = (uint8_t *)(uintptr_t)data;
    d.data.len = n;
    io.type = AAPI__PROCESS_IO__TYPE__DATA;
    io.data = &d;
    send_io(o, &io);
    if (http_stream_unsent(o->http) < UNSENT_HIGH)
        return true;
    http_stream_on_drained(o->http, on_drained);
    return false;
}

static void on_output_end(void *arg)
{
    struct output *o = FL_CAST(output, OUTPUT_MAGIC, arg);

    http_stream_end(o->http);
    output_free(o);
}

static void on_client_gone(struct http_stream *st, void *arg)
{
    struct output *o = FL_CAST(output, OUTPUT_MAGIC, arg);
    struct containerizer *c = o->api->core->containerizer;

    c->ops->detach(c, o->id, o);
    if (o->session)
        agent_nested_destroy(o->api->core, o->id);
    output_free(o);
}

static struct output *output_new(struct http_exchange *ex, struct agent_api *api, const char *id,
                                 const struct agent_stream_type *type, bool session)
{
    struct output *o = xnew0(struct output);

    o->magic = OUTPUT_MAGIC;
    o->api = api;
    o->id = xstrdup(id);
    o->type = *type;
    o->session = session;
    o->ex = ex;
    return o;
}

/* The exchange becomes the stream; takes `o`, on failure only when it returns 0. */
static int output_begin(struct output *o, struct fl_err *err)
{
    struct containerizer *c = o->api->core->containerizer;
    const struct container_listener l = {on_output, on_output_end, o, NULL};
    struct fl_loop *loop = http_exchange_loop(o->ex);
    int r = c->ops->attach(c, o->id, &l, err);

    if (r < 0)
        return r;
    if (o->type.recordio)
        http_exchange_add_header(o->ex, "Message-Content-Type", api_content_type(o->type.encoding));
    o->http = http_respond_stream(
        TAKE_PTR(o->ex), 200, o->type.recordio ? TYPE_RECORDIO : api_content_type(o->type.encoding),
        on_client_gone, o);
    o->heartbeat = fl_timer_new(loop, on_heartbeat, o);
    fl_timer_set(o->heartbeat, o->api->core->flags->http_heartbeat_interval);
    return 0;
}

int agent_attach_output(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *call,
                        const struct agent_stream_type *type, struct fl_err *err)
{
    _cleanup_free_ char *id = container_id_text(call->attach_container_output->container_id);
    const struct agent_container_acl acl = {ACL_ATTACH_OUTPUT, ACL_ATTACH_OUTPUT, ACL_ATTACH_OUTPUT,
                                            NULL};
    int r = agent_container_allowed(api, ex, id, &acl, err);

    if (r < 0)
        return r;
    struct output *o = output_new(ex, api, id, type, false);
    r = output_begin(o, err);
    if (r < 0)
        output_free(o);
    return r;
}

/* ---- sessions ---- */

static void session_started(void *arg, const struct container_end *end)
{
    struct output *o = FL_CAST(output, OUTPUT_MAGIC, arg);
    struct fl_err err;

    if (end)
        http_respond(o->ex, 400, HTTP_TEXT,
                     end->message ? end->message : "Container launch failed");
    else if (output_begin(o, &err) == 0)
        return;
    else {
        agent_nested_destroy(o->api->core, o->id);
        http_respond_err(o->ex, &err);
    }
    output_free(o);
}

int agent_session(struct http_exchange *ex, struct agent_api *api, const Aapi__Call *call,
                  const struct agent_stream_type *type, struct fl_err *err)
{
    static const V1__CommandInfo nothing = V1__COMMAND_INFO__INIT;
    const Aapi__Call__LaunchNestedContainerSession *c = call->launch_nested_container_session;
    const struct agent_container_acl acl = {ACL_LAUNCH_SESSION_UNDER_PARENT, ACL_LAUNCH_STANDALONE,
                                            ACL_LAUNCH_SESSION_AS_USER, c->command};
    const struct resources none = RESOURCES_INIT;
    _cleanup_free_ char *id = container_id_text(c->container_id);
    int r = agent_container_allowed(api, ex, id, &acl, err);

    if (r < 0)
        return r;
    const struct agent_nested_launch l = {.container_id = id,
                                          .command = c->command ? c->command : &nothing,
                                          .container = c->container,
                                          .user = c->command ? c->command->user : NULL,
                                          .resources = &none,
                                          .cpu_limit = -1,
                                          .mem_limit = -1,
                                          .debug = true};
    struct output *o = output_new(ex, api, id, type, true);
    r = agent_nested_launch(api->core, &l, session_started, o, err);
    if (r == 0)
        return 0;
    output_free(o);
    if (err->reason == FL_CONFLICT) {
        http_respond(ex, 202, NULL, "");
        return 0;
    }
    err->reason = FL_INVALID;
    return r;
}

/* ---- input ---- */

struct input {
    unsigned magic;
    struct agent_api *api;
    struct http_exchange *ex; /* NULL: answered */
    enum api_encoding encoding;
    struct recordio_reader reader;
    char *id;  /* once the first record is there */
    bool full; /* the container has enough for now */
};

static void on_input(struct http_exchange *ex, const char *p, size_t n, void *arg);

static void input_free(struct input *in)
{
    recordio_reader_done(&in->reader);
    in->magic = 0;
    free(in->id);
    free(in);
}

/* Answers, once; what else comes of the request is not looked at. */
static void input_answer(struct input *in, const struct fl_err *err)
{
    struct containerizer *c = in->api->core->containerizer;

    if (in->id)
        c->ops->detach(c, in->id, in);
    if (err)
        http_respond_err(in->ex, err);
    else
        http_respond(in->ex, 200, NULL, "");
    input_free(in);
}

static void on_container_end(void *arg)
{
    struct input *in = FL_CAST(input, INPUT_MAGIC, arg);

    http_respond(in->ex, 200, NULL, "");
    input_free(in);
}

static void on_input_drained(void *arg)
{
    struct input *in = FL_CAST(input, INPUT_MAGIC, arg);

    if (in->full) {
        in->full = false;
        http_on_body(in->ex, on_input, in);
    }
}

static int first_record(struct input *in, const Aapi__Call *c, struct fl_err *err)
{
    const Aapi__Call__AttachContainerInput *a = c->attach_container_input;
    const struct agent_container_acl acl = {ACL_ATTACH_INPUT, ACL_ATTACH_INPUT, ACL_ATTACH_INPUT,
                                            NULL};
    const struct container_listener l = {NULL, on_container_end, in, on_input_drained};
    struct containerizer *cz = in->api->core->containerizer;
    int r;

    if (!a->has_type || a->type != AAPI__CALL__ATTACH_CONTAINER_INPUT__TYPE__CONTAINER_ID ||
        !a->container_id)
        return fl_err_set(err, FL_INVALID,
                          "Expecting 'attach_container_input.type' to be CONTAINER_ID");
    r = agent_container_id_check(a->container_id, "attach_container_input", err);
    if (r < 0)
        return r;
    _cleanup_free_ char *id = container_id_text(a->container_id);
    r = agent_container_allowed(in->api, in->ex, id, &acl, err);
    if (r == 0)
        r = cz->ops->attach(cz, id, &l, err);
    if (r == 0)
        in->id = TAKE_PTR(id);
    return r;
}

static int take_data(struct input *in, const ProtobufCBinaryData *data, struct fl_err *err)
{
    struct containerizer *cz = in->api->core->containerizer;
    int r = cz->ops->input(cz, in->id, data->data, data->len, err);

    in->full = in->full || r > 0;
    return FL_MIN(r, 0);
}

static int next_record(struct input *in, const Aapi__Call *c, struct fl_err *err)
{
    const Aapi__ProcessIO *io = c->attach_container_input->process_io;
    struct containerizer *cz = in->api->core->containerizer;
    const V1__TTYInfo *tty;

    if (!io || !io->has_type)
        return fl_err_set(err, FL_INVALID,
                          "Expecting 'attach_container_input.process_io' to be present");
    if (io->type == AAPI__PROCESS_IO__TYPE__DATA) {
        if (!io->data || !io->data->has_type ||
            io->data->type != AAPI__PROCESS_IO__DATA__TYPE__STDIN)
            return fl_err_set(err, FL_INVALID, "Expecting 'process_io.data.type' to be STDIN");
        return take_data(in, &io->data->data, err);
    }
    tty = io->control ? io->control->tty_info : NULL;
    if (tty && tty->window_size)
        cz->ops->window(cz, in->id, tty->window_size->rows, tty->window_size->columns);
    return 0;
}

static int on_record(void *arg, const char *record, size_t n, struct fl_err *err)
{
    struct input *in = FL_CAST(input, INPUT_MAGIC, arg);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(n + 1024);
    ProtobufCMessage *m = NULL;
    int r = in->encoding == API_JSON ? fl_json_to_pb(record, n, &aapi__call__descriptor, 0,
                                                     fl_arena_allocator(arena), &m, err)
                                     : fl_pb_decode(record, n, &aapi__call__descriptor,
                                                    fl_arena_allocator(arena), &m, err);
    const Aapi__Call *c = (const Aapi__Call *)m;

    if (r < 0)
        return r;
    if (!c->has_type || c->type != AAPI__CALL__TYPE__ATTACH_CONTAINER_INPUT)
        return fl_err_set(err, FL_UNSUPPORTED,
                          "Streaming 'Content-Type' application/recordio is supported for "
                          "ATTACH_CONTAINER_INPUT calls only");
    if (!c->attach_container_input)
        return fl_err_set(err, FL_INVALID,
                          "Failed to validate agent::Call: Expecting 'attach_container_input' to "
                          "be present");
    return in->id ? next_record(in, c, err) : first_record(in, c, err);
}

static void on_input(struct http_exchange *ex, const char *p, size_t n, void *arg)
{
    struct input *in = FL_CAST(input, INPUT_MAGIC, arg);
    const struct fl_err nothing = {.reason = FL_INVALID,
                                   .msg = "Received EOF while reading request body"};
    struct fl_err err;

    if (p && recordio_feed(&in->reader, p, n, on_record, in, &err) < 0)
        input_answer(in, &err);
    else if (p && in->full)
        http_hold_body(ex);
    else if (!p && n == 0)
        input_answer(in, in->id ? NULL : &nothing);
    else if (!p)
        input_answer(in, NULL); /* the client has gone */
}

void agent_attach_input(struct http_exchange *ex, struct agent_api *api)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *type = http_request_header(r, "Message-Content-Type");
    enum api_encoding encoding = API_JSON;

    if (r->method != HTTP_M_POST) {
        api_refuse_early(ex);
        return;
    }
    if (!type || encoding_of(type, &encoding) < 0) {
        http_respond(ex, type ? 415 : 400, HTTP_TEXT,
                     type ? "Expecting 'Message-Content-Type' of application/json or "
                            "application/x-protobuf"
                          : "Expecting 'Message-Content-Type' to be set for a streaming request");
        return;
    }
    struct input *in = xnew0(struct input);
    in->magic = INPUT_MAGIC;
    in->api = api;
    in->ex = ex;
    in->encoding = encoding;
    recordio_reader_init(&in->reader, MAX_RECORD);
    http_on_body(ex, on_input, in);
}
