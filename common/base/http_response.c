/* Heads and bodies of answers, made on the I/O side. */
#include <stdio.h>

#include <zlib.h>

#include "common/base/http_priv.h"

struct gzip {
    z_stream z;
};

size_t chunk_line(char out[20], size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char rev[16];
    size_t len = 0, at = 0;
    do
        rev[len++] = digits[n & 15];
    while (n >>= 4);
    while (len > 0)
        out[at++] = rev[--len];
    out[at++] = '\r';
    out[at++] = '\n';
    return at;
}

static const char *status_text(int status)
{
    switch (status) {
#define XX(num, name, string)                                                                      \
    case num:                                                                                      \
        return #string;
        HTTP_STATUS_MAP(XX)
#undef XX
    default:
        return "Unknown";
    }
}

static void add_length(struct fl_buf *out, size_t n)
{
    char digits[20];
    size_t len = 0;
    do
        digits[len++] = (char)('0' + n % 10);
    while (n /= 10);
    while (len > 0)
        fl_buf_addc(out, digits[--len]);
}

static void add_line(struct fl_buf *out, const char *name, const char *value)
{
    fl_buf_adds(out, name);
    fl_buf_adds(out, value);
    fl_buf_add(out, "\r\n", 2);
}

static void write_head(struct http_io *io, const struct http_exchange *ex,
                       const struct http_head *h, struct fl_buf *out)
{
    fl_buf_clear(out);
    fl_buf_reserve(out, 256);
    fl_buf_adds(out, "HTTP/1.1 ");
    add_length(out, (size_t)h->status);
    fl_buf_addc(out, ' ');
    add_line(out, status_text(h->status), "");
    add_line(out, "Date: ", io_date(io));
    if (h->headers && h->headers->len > 0)
        fl_buf_add(out, h->headers->data, h->headers->len);
    if (h->content_type)
        add_line(out, "Content-Type: ", h->content_type);
    if (h->gzip)
        fl_buf_adds(out, "Content-Encoding: gzip\r\n");
    if (h->chunked) {
        fl_buf_adds(out, "Transfer-Encoding: chunked\r\n");
    } else if (!h->raw && h->status >= 200 && h->status != 204 && h->status != 304) {
        fl_buf_adds(out, "Content-Length: ");
        add_length(out, h->content_length);
        fl_buf_add(out, "\r\n", 2);
    }
    if (!ex->keep_alive && h->status != 101)
        fl_buf_adds(out, "Connection: close\r\n");
    else if (ex->http10)
        fl_buf_adds(out, "Connection: keep-alive\r\n");
    fl_buf_add(out, "\r\n", 2);
}

/* The answer to nearly every call of a framework. */
static bool is_bare_accepted(const struct http_exchange *ex, const struct http_head *h)
{
    return h->status == 202 && !h->content_type && !(h->headers && h->headers->len) &&
           !h->content_length && !h->gzip && !h->chunked && !h->raw && ex->keep_alive &&
           !ex->http10;
}

const struct fl_buf *response_head(struct http_io *io, const struct http_exchange *ex,
                                   const struct http_head *h)
{
    if (!is_bare_accepted(ex, h)) {
        write_head(io, ex, h, &io->head);
        return &io->head;
    }
    io_date(io);
    if (io->accepted_s != io->date_s || !io->accepted.len) {
        write_head(io, ex, h, &io->accepted);
        io->accepted_s = io->date_s;
    }
    return &io->accepted;
}

bool response_gzip(struct http_io *io, const struct fl_buf *body, struct fl_buf *out)
{
    if (body->len > UINT32_MAX / 2)
        return false;
    if (!io->gzip) {
        io->gzip = xnew0(struct gzip);
        /* 16 more window bits mean a gzip header; the fastest level, for it is the daemon's time.
         */
        if (deflateInit2(&io->gzip->z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
            Z_OK) {
            free(TAKE_PTR(io->gzip));
            return false;
        }
    }
    z_stream *z = &io->gzip->z;
    deflateReset(z);
    uLong bound = deflateBound(z, (uLong)body->len);
    z->next_in = (Bytef *)body->data;
    z->avail_in = (uInt)body->len;
    z->next_out = (Bytef *)fl_buf_reserve(out, bound);
    z->avail_out = (uInt)bound;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return false;
    out->len += z->total_out;
    return true;
}

void gzip_free(struct gzip *z)
{
    if (!z)
        return;
    deflateEnd(&z->z);
    free(z);
}
