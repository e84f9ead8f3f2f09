/* See sandbox.h. A file that is not there yet is one without content. */
#include "cli/sandbox.h"

#include "cli/cli.h"

#include "proto/agent.pb-c.h"

#define PIECE 65536

int follow_init(struct follow *f, struct http_client *http, const char *agent_address,
                const char *directory, const char *file, struct fl_err *err)
{
    int r = http_parse_host_port(agent_address, 5051, &f->host, &f->port, err);

    if (r < 0)
        return r;
    f->http = http;
    f->path = xasprintf("%s/%s", directory, file);
    return 0;
}

void follow_done(struct follow *f)
{
    if (f->call)
        http_call_cancel(f->call);
    free(f->host);
    free(f->path);
    *f = (struct follow){0};
}

static void answered(struct http_call *c, const struct http_client_response *r,
                     const struct fl_err *err, void *arg)
{
    struct follow *f = arg;
    _cleanup_pb_ Aapi__Response *a = NULL;
    size_t n = 0;

    f->call = NULL;
    f->status = r ? r->status : 0;
    if (r && r->status == 200)
        a = aapi__response__unpack(NULL, r->body_len, (const uint8_t *)r->body);
    if (a && a->read_file && a->read_file->data.len) {
        n = a->read_file->data.len;
        f->offset += n;
        f->out((const char *)a->read_file->data.data, n, f->arg);
    }
    f->turn(f->arg, n > 0);
}

/* By the v1 call and not by /files/read: bytes that are no text come through unchanged. */
void follow_poll(struct follow *f)
{
    static const struct http_call_ops ops = {.on_done = answered};
    struct http_header headers[3];
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__ReadFile read_file = AAPI__CALL__READ_FILE__INIT;
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;

    if (f->call || !f->path)
        return;
    read_file.path = f->path;
    read_file.offset = f->offset;
    read_file.has_length = true;
    read_file.length = PIECE;
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__READ_FILE;
    call.read_file = &read_file;
    fl_buf_pack(&body, &call.base);
    struct http_call_config cfg = {
        .method = "POST",
        .host = f->host,
        .port = f->port,
        .path = "/api/v1",
        .headers = headers,
        .n_headers = cli_headers("application/x-protobuf", headers),
        .body = body.data,
        .body_len = body.len,
    };
    if (http_client_call(f->http, &cfg, &ops, f, &f->call, NULL) < 0)
        f->call = NULL;
}
