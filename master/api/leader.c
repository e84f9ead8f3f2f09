/* What a request meets before its handler: the guard (common/model/http_guard.h), and, on a master that does not lead, the way to the one
 * that does. Which routes are the leader's is a flag of their rows in routes.def. Core's thread. */
#include "master/api/handlers.h"

static void respond_location(struct http_exchange *ex, const V1__MasterInfo *leader,
                             const char *target)
{
    const char *host = leader->hostname;
    bool v6 = strchr(host, ':') && host[0] != '[';
    /* Protocol-relative, so that a client keeps http or https as it came. */
    _cleanup_free_ char *location = xasprintf("//%s%s%s:%u%s", v6 ? "[" : "", host, v6 ? "]" : "",
                                              (unsigned)leader->port, target);

    http_exchange_add_header(ex, "Location", location);
    http_respond(ex, 307, NULL, "");
}

/* NULL: nobody is known to lead. */
static const V1__MasterInfo *leader_of(const struct master_api *api)
{
    return api->standby ? api->leader : api->master->info;
}

static void respond_no_leader(struct http_exchange *ex)
{
    http_respond(ex, 503, HTTP_TEXT, "No leader elected; try again, or ask another master.");
}

void api_redirect(struct http_exchange *ex, const struct master_api *api)
{
    const struct http_request *r = http_exchange_request(ex);
    const V1__MasterInfo *leader = leader_of(api);

    if (leader)
        respond_location(ex, leader, r->target[0] == '/' ? r->target : r->path);
    else
        respond_no_leader(ex);
}

bool api_before(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const struct http_route *route = http_exchange_route(ex);

    if (http_guard_refused(api->guard, ex))
        return true;
    if (!api->standby || !route || !route->leader_only)
        return false;
    api_redirect(ex, api);
    return true;
}

void redirect_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const V1__MasterInfo *leader = leader_of(api);
    const char *path = http_exchange_request(ex)->path;

    /* "/redirect/" and all below it: a client that follows redirections would never end. */
    if (path[strlen(path) - 1] == '/')
        plain_not_found(ex, arg);
    else if (leader)
        respond_location(ex, leader, "");
    else
        respond_no_leader(ex);
}
