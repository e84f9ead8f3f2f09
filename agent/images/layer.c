/* The streams of layer_unpack(): compressed bytes -> plain archive, which is hashed -> entries (layer_entry.c). */
#include "agent/images/layer.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/images/layer_priv.h"

#define MAX_ENTRIES 2000000

struct plain {
    struct archive *raw;
    struct fl_sha256 *hash;
    char buf[256 << 10];
};

static int failed(struct archive *a, struct fl_err *err)
{
    const char *why = archive_error_string(a);

    return fl_err_set(err, FL_INVALID, "the layer cannot be unpacked: %s",
                      why ? why : "it is damaged");
}

static la_ssize_t plain_read(struct archive *tar, void *arg, const void **ret)
{
    struct plain *p = arg;
    la_ssize_t n = archive_read_data(p->raw, p->buf, sizeof(p->buf));

    if (n < 0) {
        archive_set_error(tar, EINVAL, "%s", archive_error_string(p->raw));
        return -1;
    }
    fl_sha256_add(p->hash, p->buf, (size_t)n);
    *ret = p->buf;
    return n;
}

static int plain_open(struct plain *p, int fd, struct fl_err *err)
{
    struct archive_entry *e;

    archive_read_support_filter_gzip(p->raw);
    archive_read_support_filter_zstd(p->raw);
    archive_read_support_format_raw(p->raw);
    archive_read_support_format_empty(p->raw);
    if (archive_read_open_fd(p->raw, fd, 256 << 10) != ARCHIVE_OK)
        return failed(p->raw, err);
    int r = archive_read_next_header(p->raw, &e);
    return r == ARCHIVE_OK || r == ARCHIVE_EOF ? 0 : failed(p->raw, err);
}

static int unpack_entries(struct unpacking *u, struct fl_err *err)
{
    struct archive_entry *e;
    int r;

    while ((r = archive_read_next_header(u->tar, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
        if (++u->entries > u->limits.max_entries)
            return fl_err_set(err, FL_LIMIT, "the layer has more than %" PRIu64 " entries",
                              u->limits.max_entries);
        int k = layer_entry(u, e, err);
        if (k < 0)
            return k;
    }
    return r == ARCHIVE_EOF ? 0 : failed(u->tar, err);
}

/* What follows the end of the archive belongs to its digest. */
static int drain(struct plain *p, struct unpacking *u, struct fl_err *err)
{
    const void *ignored;
    la_ssize_t n;

    while ((n = plain_read(u->tar, p, &ignored)) > 0)
        ;
    return n < 0 ? failed(u->tar, err) : 0;
}

int layer_unpack(int fd, int root, enum layer_kind kind, const struct layer_limits *limits,
                 char ret_digest[FL_SHA256_HEX], struct fl_err *err)
{
    struct unpacking u = {.tar = archive_read_new(), .root = root, .kind = kind, .limits = *limits};
    struct plain *p = xnew0(struct plain);

    if (!u.limits.max_entries)
        u.limits.max_entries = MAX_ENTRIES;
    p->raw = archive_read_new();
    p->hash = fl_sha256_new();
    archive_read_support_format_tar(u.tar);
    archive_read_support_format_empty(u.tar);
    int r = plain_open(p, fd, err);
    if (r == 0 && archive_read_open(u.tar, p, NULL, plain_read, NULL) != ARCHIVE_OK)
        r = failed(u.tar, err);
    if (r == 0)
        r = unpack_entries(&u, err);
    if (r == 0)
        r = drain(p, &u, err);
    if (r == 0) {
        layer_set_times(&u);
        fl_sha256_hex(p->hash, ret_digest);
    }
    for (size_t i = 0; i < u.n_times; i++)
        free(u.times[i].path);
    free(u.times);
    archive_read_free(u.tar);
    archive_read_free(p->raw);
    fl_sha256_free(p->hash);
    free(p);
    return r;
}
