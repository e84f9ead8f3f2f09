/* The table of the master's endpoints, made from routes.def. */
#include "master/api/handlers.h"

#define ROUTE(p, h, d, opts, text)                                                                 \
    {                                                                                              \
        .path = (p),                                                                               \
        .handler = (h),                                                                            \
        .decode = (d),                                                                             \
        .decoded_free = api_call_free,                                                             \
        .json_alias = ((opts)&ROUTE_JSON_ALIAS) != 0,                                              \
        .exact = ((opts)&ROUTE_EXACT) != 0,                                                        \
        .side_body = ((opts)&ROUTE_SIDE) != 0,                                                     \
        .help = (text),                                                                            \
        .realm = ROUTE_REALM(opts),                                                                \
    },
const struct http_route master_routes[] = {
#include "master/api/routes.def"
};
const size_t master_routes_n = ARRAY_SIZE(master_routes);
