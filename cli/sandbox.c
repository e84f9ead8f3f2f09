/* See sandbox.h. A file that is not there yet is one without content. */
#include "cli/sandbox.h"

#include "proto/agent.pb-c.h"

#define PIECE 65536

int follow_init(struct follow *f, struct cli *c, struct http_client *http, const char *agent_id,
                const char *agent_address, const char *directory, const char *file,
                struct fl_err *err)
{
    int r = c->via_master ? peer_via_master(c, agent_id, &f->peer, err)
                          : peer_direct(c, agent_address, &f->peer, err);

    if (r < 0)
        return r;
    f->cli = c;
    f->http = http;
    f->via_master = c->via_master;
    f->agent_id = xstrdup(agent_id);
    f->path = xasprintf("%s/%s", directory, file);
    return 0;
}

void follow_done(struct follow *f)
{
    if (f->call)
        http_call_cancel(f->call);
    peer_done(&f->peer);
    free(f->agent_id);
    free(f->path);
    *f = (struct follow){0};
}

/* From now on; what was read stays read. */
static bool go_via_master(struct follow *f)
{
    struct peer other;

    f->via_master = true;
    if (peer_via_master(f->cli, f->agent_id, &other, NULL) < 0)
        return false;
    peer_done(&f->peer);
    f->peer = other;
    return true;
}

static void answered(struct http_call *c, const struct http_client_response *r,
                     const struct fl_err *err, void *arg)
{
    struct follow *f = arg;
    _cleanup_pb_ Aapi__Response *a = NULL;
    size_t n = 0;

    f->call = NULL;
    if (!r && !f->via_master && go_via_master(f)) {
        follow_poll(f);
        return;
    }
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
    _cleanup_free_ char *path = xasprintf("%s/api/v1", f->peer.prefix);
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
        .path = path,
        .headers = headers,
        .n_headers = cli_headers(f->cli, "application/x-protobuf", headers),
        .body = body.data,
        .body_len = body.len,
        .timeout_s = f->via_master ? 30 : 5,
    };
    cli_fill_call(f->cli, &f->peer, &cfg);
    if (http_client_call(f->http, &cfg, &ops, f, &f->call, NULL) < 0)
        f->call = NULL;
}
