#include "agent/images/source.h"

#include <errno.h>
#include <inttypes.h>

#include "common/base/sha256.h"

#define MAX_INDEXES 4 /* an index may name another, but not for ever */

static int check_digest(const struct fl_buf *b, const char *digest, struct fl_err *err)
{
    char hex[FL_SHA256_HEX];
    const char *want;

    fl_sha256_of(b->data ? b->data : "", b->len, hex);
    if (image_digest_hex(digest, &want) < 0 || !streq(hex, want))
        return fl_err_set(err, FL_INVALID, "the manifest '%s' has the digest 'sha256:%s'", digest,
                          hex);
    return 0;
}

int source_describe(struct image_source *s,
                    int (*get)(struct image_source *s, const char *digest, struct fl_buf *out,
                               struct fl_err *err),
                    const char *wanted_digest, struct image_manifest *ret, char **ret_id,
                    struct fl_err *err)
{
    _cleanup_free_ char *digest = wanted_digest ? xstrdup(wanted_digest) : NULL;
    char hex[FL_SHA256_HEX];

    for (int i = 0; i < MAX_INDEXES; i++) {
        _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
        _cleanup_free_ char *other = NULL;
        int r = get(s, digest, &b, err);

        if (r == 0 && digest)
            r = check_digest(&b, digest, err);
        if (r == 0)
            r = image_manifest_parse(b.data ? b.data : "", b.len, ret, &other, err);
        if (r < 0)
            return r;
        if (!other) {
            fl_sha256_of(b.data, b.len, hex);
            *ret_id = xasprintf("sha256:%s", hex);
            return 0;
        }
        free(digest);
        digest = TAKE_PTR(other);
    }
    return fl_err_set(err, FL_INVALID, "the image's index names indexes without end");
}

int source_verify(int fd, const struct image_blob *b, struct fl_err *err)
{
    _cleanup_(fl_sha256_freep) struct fl_sha256 *h = fl_sha256_new();
    _cleanup_free_ char *buf = xmalloc(256 << 10);
    char hex[FL_SHA256_HEX];
    const char *want;
    uint64_t size = 0;
    ssize_t n;

    while ((n = read(fd, buf, 256 << 10)) > 0) {
        fl_sha256_add(h, buf, (size_t)n);
        size += (uint64_t)n;
    }
    if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return fl_err_errno(err, errno, "read the blob '%s'", b->digest);
    fl_sha256_hex(h, hex);
    if (image_digest_hex(b->digest, &want) < 0 || !streq(hex, want))
        return fl_err_set(err, FL_INVALID, "the blob '%s' has the digest 'sha256:%s'", b->digest,
                          hex);
    if (b->size && b->size != size)
        return fl_err_set(err, FL_INVALID,
                          "the blob '%s' has %" PRIu64 " bytes, its manifest says %" PRIu64,
                          b->digest, size, b->size);
    return 0;
}

int source_read_all(int fd, struct fl_buf *out, struct fl_err *err)
{
    ssize_t n;

    do {
        n = read(fd, fl_buf_reserve(out, 65536), 65536);
        if (n > 0)
            out->len += (size_t)n;
        if (out->len > IMAGE_MAX_MANIFEST)
            return fl_err_set(err, FL_TOO_LARGE,
                              "a manifest or configuration has more than %zu bytes",
                              IMAGE_MAX_MANIFEST);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? fl_err_errno(err, errno, "read a manifest or configuration") : 0;
}
