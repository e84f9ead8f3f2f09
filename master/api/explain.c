/* GET /explain?framework_id=ID[&agent_id=ID]: why the framework holds what it holds and is not offered the rest. The answer is the
 * allocator's (allocator.h, explain), which may be a module without one. */
#include "master/api/handlers.h"

static void explain(struct http_exchange *ex, const struct master *m, const char *framework_id,
                    const char *agent_id)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;

    m->alloc_ops->explain(m->alloc, framework_id, agent_id, env_now_us(&m->env->env), &out);
    http_respond_json(ex, 200, &out);
}

void explain_get(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const struct master *m = api->master;
    const char *query = http_exchange_request(ex)->query;
    _cleanup_free_ char *framework = http_query_get(query, "framework_id");
    _cleanup_free_ char *agent = http_query_get(query, "agent_id");

    if (!m->alloc_ops->explain)
        http_respondf(ex, 501, HTTP_TEXT, "The allocator '%s' does not explain itself",
                      m->alloc_ops->name);
    else if (!framework)
        http_respond(ex, 400, HTTP_TEXT, "Missing 'framework_id' query parameter");
    else if (!master_framework(m, framework))
        http_respondf(ex, 404, HTTP_TEXT, "No framework '%s' is subscribed", framework);
    else if (agent && !master_agent(m, agent))
        http_respondf(ex, 404, HTTP_TEXT, "No agent '%s' is registered", agent);
    else
        explain(ex, m, framework, agent);
}
