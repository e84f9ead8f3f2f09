/* What the files of HTTP authentication share. */
#ifndef COMMON_BASE_HTTP_AUTH_PRIV_H
#define COMMON_BASE_HTTP_AUTH_PRIV_H

#include "common/base/http_auth.h"

/* Overwrites the text before its memory is given back. Takes NULL. */
void http_secret_free(char *text);

#endif
