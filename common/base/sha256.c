/* See sha256.h. The context is OpenSSL's, which has the processor's own instructions for it. */
#include "common/base/sha256.h"

#include <openssl/evp.h>

struct fl_sha256 {
    EVP_MD_CTX *ctx;
};

struct fl_sha256 *fl_sha256_new(void)
{
    struct fl_sha256 *h = xnew0(struct fl_sha256);

    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
        abort(); /* out of memory */
    return h;
}

void fl_sha256_add(struct fl_sha256 *h, const void *p, size_t n)
{
    EVP_DigestUpdate(h->ctx, p, n);
}

void fl_sha256_hex(struct fl_sha256 *h, char out[FL_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char d[32];

    EVP_DigestFinal_ex(h->ctx, d, NULL);
    for (size_t i = 0; i < sizeof(d); i++) {
        out[2 * i] = digits[d[i] >> 4];
        out[2 * i + 1] = digits[d[i] & 15];
    }
    out[64] = '\0';
}

void fl_sha256_free(struct fl_sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

void fl_sha256_of(const void *p, size_t n, char out[FL_SHA256_HEX])
{
    _cleanup_(fl_sha256_freep) struct fl_sha256 *h = fl_sha256_new();

    fl_sha256_add(h, p, n);
    fl_sha256_hex(h, out);
}
