/* How long requests take, by route: the histograms http/request/ROUTE. Owner loop of the server. */
#ifndef COMMON_MODEL_HTTP_TIMES_H
#define COMMON_MODEL_HTTP_TIMES_H

#include "common/base/http.h"
#include "common/base/metrics.h"

struct http_times;

/* `m` and `routes` are borrowed. */
struct http_times *http_times_new(struct metrics *m, const struct http_route *routes, size_t n);
void http_times_free(struct http_times *t);
/* `t` may be NULL. */
void http_times_note(struct http_times *t, const struct http_route *route, uint64_t us);

/* The metrics http/open_connections and so on of the server `*s` (asked when they are read). */
void metrics_add_http(struct metrics *m, struct http_server *const *s);

#endif
