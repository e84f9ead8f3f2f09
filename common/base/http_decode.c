/* Whole requests on their way from the parser to the owner. What decodes a body for long would keep the requests of all other
 * connections of this I/O thread unread; so of the large ones one is decoded in a turn of the loop, the connections by turns.
 * Nothing more is read of a connection whose body waits. I/O side. */
#include "common/base/http_priv.h"

/* What is shorter takes less time than a turn of the loop is worth. */
#define LARGE_BODY (32 * 1024)

static void decode_body(struct http_exchange *ex)
{
    struct http_request *r = &ex->req;
    if (ex->body.len > 0) {
        r->body = fl_buf_cstr(&ex->body);
        r->body_len = ex->body.len;
    }
    if (!ex->route || !ex->route->decode)
        return;
    if (!ex->arena)
        ex->arena = fl_arena_new(ex->body.len + 1024);
    r->arena = ex->arena;
    r->decoded = ex->route->decode(r, &r->decode_err);
}

static void decode_one(void *arg)
{
    struct http_io *io = arg;
    struct http_conn *c = io->decode_first;
    io->decode_due = false;
    if (!c)
        return;
    struct http_exchange *ex = c->decoding;
    conn_forget_decode(c);
    if (io->decode_first) {
        io->decode_due = true;
        fl_loop_post(io->loop, decode_one, io);
    }
    decode_body(ex);
    conn_dispatch(c, ex);
    conn_unblock(c);
}

void conn_decode(struct http_conn *c, struct http_exchange *ex)
{
    struct http_io *io = c->io;
    if (ex->body.len < LARGE_BODY || !ex->route || !ex->route->decode) {
        decode_body(ex);
        conn_dispatch(c, ex);
        return;
    }
    c->decoding = ex;
    c->blocked = true;
    c->next_decoding = NULL;
    *io->decode_last = c;
    io->decode_last = &c->next_decoding;
    if (io->decode_due)
        return;
    io->decode_due = true;
    fl_loop_post(io->loop, decode_one, io);
}

void conn_forget_decode(struct http_conn *c)
{
    struct http_conn **at = &c->io->decode_first;
    if (!c->decoding)
        return;
    c->decoding = NULL;
    while (*at != c)
        at = &(*at)->next_decoding;
    *at = c->next_decoding;
    if (!*at)
        c->io->decode_last = at;
}
