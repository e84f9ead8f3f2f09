/* See digest.h. */
#include "common/base/digest.h"

#include <errno.h>
#include <openssl/evp.h>

#define READ_AT_ONCE (1u << 18)

size_t fl_digest_digits(const char *name)
{
    return streq(name, "sha256") ? 64 : streq(name, "sha512") ? 128 : 0;
}

static int digest_all(EVP_MD_CTX *ctx, int fd, struct fl_err *err)
{
    _cleanup_free_ unsigned char *buf = xmalloc(READ_AT_ONCE);
    off_t pos = 0;
    ssize_t n;

    while ((n = pread(fd, buf, READ_AT_ONCE, pos)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fl_err_errno(err, errno, "read a file for its digest");
        EVP_DigestUpdate(ctx, buf, (size_t)n);
        pos += n;
    }
    return 0;
}

int fl_digest_file(int fd, const char *name, char ret_hex[FL_DIGEST_HEX], struct fl_err *err)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_get_digestbyname(name), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        return fl_err_set(err, FL_UNSUPPORTED, "there is no digest '%s' here", name);
    }
    int r = digest_all(ctx, fd, err);
    EVP_DigestFinal_ex(ctx, raw, &n);
    EVP_MD_CTX_free(ctx);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < n; i++)
        fl_snprintf(ret_hex + (size_t)i * 2, 3, "%02x", raw[i]);
    return 0;
}
