/* Digests of files. Any thread; reads the file, so only where waiting for a disk is allowed. */
#ifndef COMMON_BASE_DIGEST_H
#define COMMON_BASE_DIGEST_H

#include "common/base/err.h"

#define FL_DIGEST_HEX 129 /* the longest digest in lower-case hexadecimal, with its NUL */

/* Hexadecimal digits of a digest by its name, "sha256" or "sha512"; 0: no digest that we know. */
size_t fl_digest_digits(const char *name);
/* Of the whole file open as fd, wherever its offset is. */
int fl_digest_file(int fd, const char *name, char ret_hex[FL_DIGEST_HEX], struct fl_err *err);

#endif
