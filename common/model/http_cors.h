/* Pages of other origins that may read a daemon's answers (--http_cors_origins): off unless origins are named. Cookies and passwords that a
 * browser keeps are never asked for; a page sends its own Authorization header.
 *
 * Immutable once made. Owner loop of the HTTP server.
 */
#ifndef COMMON_MODEL_HTTP_CORS_H
#define COMMON_MODEL_HTTP_CORS_H

#include "common/base/http.h"

struct http_cors;

/* "https://a.example,http://b.example:8080": scheme, host and port as a browser sends them; "*": every origin. FL_INVALID. */
int http_cors_new(const char *origins, struct http_cors **ret_cors, struct fl_err *err);
void http_cors_free(struct http_cors *c);
FL_DEFINE_CLEANUP(struct http_cors *, http_cors_free, http_cors_freep)

/* May pages of that origin ("https://a.example") read answers? */
bool http_cors_allows(const struct http_cors *c, const char *origin);
/* Adds the headers that let the page read the answer. True when the request was a browser's question whether it may send another one, which
 * is answered. */
bool http_cors_answered(const struct http_cors *c, struct http_exchange *ex);

#endif
