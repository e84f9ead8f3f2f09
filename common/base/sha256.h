/* SHA-256, piece by piece. One owner at a time. */
#ifndef COMMON_BASE_SHA256_H
#define COMMON_BASE_SHA256_H

#include "common/base/util.h"

#define FL_SHA256_HEX 65 /* with its NUL */

struct fl_sha256;
struct fl_sha256 *fl_sha256_new(void);
void fl_sha256_add(struct fl_sha256 *h, const void *p, size_t n);
void fl_sha256_hex(struct fl_sha256 *h, char out[FL_SHA256_HEX]); /* once, at the end */
void fl_sha256_free(struct fl_sha256 *h);
FL_DEFINE_CLEANUP(struct fl_sha256 *, fl_sha256_free, fl_sha256_freep)
/* Of what is in memory. */
void fl_sha256_of(const void *p, size_t n, char out[FL_SHA256_HEX]);

#endif
