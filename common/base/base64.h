/* base64, RFC 4648 section 4. Apart from json_text.h for files that read JSON with jansson, whose names json.h takes. Any thread. */
#ifndef COMMON_BASE_BASE64_H
#define COMMON_BASE_BASE64_H

#include "common/base/buf.h"

void json_text_base64(struct fl_buf *b, const void *p, size_t n); /* with quotes around */
/* Decodes `n` characters into `out`, which has room for n / 4 * 3 + 3 bytes. As lenient as the
 * protocol's own reader: blanks are skipped, '=' ends the text, missing padding is no error. 0 or
 * -EINVAL. */
int json_base64_decode(const char *s, size_t n, uint8_t *out, size_t *ret_n);

#endif
