/* The relay's door (relay.h), on the core's thread: what may be asked of an agent, by whom, and how many at once. */
#include "master/api/relay.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/websocket.h"
#include "master/api/handlers.h"

/* What of an agent can be reached. Each also as PATH.json when the agent has that name for it. */
static const struct {
    const char *path;
    bool json;
    bool calls; /* everything comes by one path: always in the realm of what changes something */
} paths[] = {
    {"/api/v1", false, true},
    {"/files/browse", true, false},
    {"/files/read", true, false},
    {"/files/download", true, false},
    {"/files/debug", true, false},
    {"/state", true, false},
    {"/containers", false, false},
    {"/monitor/statistics", true, false},
    {"/metrics/snapshot", false, false},
    {"/metrics", false, false},
    {"/flags", false, false},
    {"/version", false, false},
    {"/health", false, false},
};

/* ---- service ---- */

static double pull_active(void *arg)
{
    return atomic_load(&((struct relay_service *)arg)->active);
}

static double pull_refused(void *arg)
{
    return (double)atomic_load(&((struct relay_service *)arg)->refused);
}

static double pull_failed(void *arg)
{
    return (double)atomic_load(&((struct relay_service *)arg)->failed);
}

struct relay_service *relay_service_new(const struct master_flags *flags, struct fl_tls *tls,
                                        struct metrics *metrics)
{
    struct relay_service *s = xnew0(struct relay_service);

    s->enabled = flags->agent_relay;
    s->max = (unsigned)flags->max_agent_relays;
    s->begin_us = flags->agent_relay_timeout;
    s->idle_us = flags->http_idle_timeout;
    s->tls = tls;
    metrics_pull(metrics, "master/agent_relays", pull_active, s);
    metrics_pull(metrics, "master/agent_relays_refused", pull_refused, s);
    metrics_pull(metrics, "master/agent_relays_failed", pull_failed, s);
    return s;
}

void relay_service_free(struct relay_service *s)
{
    free(s);
}

/* ---- targets ---- */

void relay_target_done(struct relay_target *t)
{
    if (!t->service)
        return;
    atomic_fetch_sub(&t->service->active, 1);
    free(t->agent_id);
    free(t->host);
    *t = (struct relay_target){0};
}

char *relay_target_name(const struct relay_target *t)
{
    return xasprintf("Agent '%s' at %s:%u", t->agent_id, t->host, (unsigned)t->port);
}

/* False: it answered. */
static bool open_target(struct http_exchange *ex, const struct master_api *api, const char *id,
                        struct relay_target *ret)
{
    struct relay_service *s = api->relay;
    const struct agent *a = master_agent(api->master, id);
    const char *at = a ? strchr(a->pid, '@') : NULL;
    struct relay_target t = {.service = s};
    struct fl_err err;

    if (!a) {
        http_respondf(ex, 404, HTTP_TEXT,
                      "No agent '%s' is registered with this master; GET /slaves lists those that "
                      "are\n",
                      id);
        return false;
    }
    if (!at || http_parse_host_port(at + 1, 0, &t.host, &t.port, &err) < 0) {
        http_respondf(ex, 502, HTTP_TEXT, "Agent '%s' has no address that can be called: '%s'\n",
                      id, a->pid);
        return false;
    }
    if (atomic_fetch_add(&s->active, 1) >= s->max) {
        relay_target_done(&t);
        atomic_fetch_add(&s->refused, 1);
        http_respondf(ex, 503, HTTP_TEXT,
                      "Agent '%s' is not asked: %u requests to agents are under way already; try "
                      "again later, or raise --max_agent_relays\n",
                      id, s->max);
        return false;
    }
    t.agent_id = xstrdup(id);
    *ret = t;
    return true;
}

/* ---- requests ---- */

const char *relay_path(const char *rest, bool *ret_reads)
{
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        size_t n = strlen(paths[i].path);
        bool same = strncmp(rest, paths[i].path, n) == 0;

        if (!same || !(rest[n] == '\0' || (paths[i].json && streq(rest + n, ".json"))))
            continue;
        *ret_reads = !paths[i].calls;
        return rest;
    }
    return NULL;
}

static bool is_read(const struct http_request *r)
{
    return r->method == HTTP_M_GET || r->method == HTTP_M_HEAD;
}

static void pass_on(struct http_exchange *ex, const struct master_api *api, const char *id,
                    const char *rest)
{
    bool reads = false;
    const char *path = relay_path(rest, &reads);
    struct relay_target t;

    if (http_guard_refused_in(api->guard, ex,
                              reads && is_read(http_exchange_request(ex)) ? REALM_READONLY
                                                                          : REALM_READWRITE))
        return;
    if (!path) {
        http_respondf(ex, 403, HTTP_TEXT,
                      "'%s' of agent '%s' is not relayed; /files/*, /api/v1, /state and what tells "
                      "of the agent's health are (docs/security.md)\n",
                      rest, id);
        return;
    }
    if (api_refuse_unrecovered(ex, api) || !open_target(ex, api, id, &t))
        return;
    relay_pipe(ex, &t, path);
}

/* ---- shells ---- */

/* False: it answered. */
static bool read_size(struct http_exchange *ex, const char *name, unsigned *ret)
{
    _cleanup_free_ char *text = http_query_get(http_exchange_request(ex)->query, name);
    uint64_t n = 0;

    if (text && *text && (fl_parse_u64(text, &n) < 0 || n > 10000)) {
        http_respondf(ex, 400, HTTP_TEXT, "'%s=' is the size of a terminal, a number up to 10000\n",
                      name);
        return false;
    }
    *ret = (unsigned)n;
    return true;
}

/* A task's container and below it the new one's name; nothing of it may be empty. */
static bool is_nested_id(const char *id)
{
    size_t n = id ? strlen(id) : 0;

    for (size_t i = 0; i < n; i++)
        if (id[i] <= ' ' || id[i] > '~' || id[i] == '/')
            return false;

    return n > 0 && n < 4096 && strchr(id, '.') && id[0] != '.' && id[n - 1] != '.' &&
           !strstr(id, "..");
}

static void shell_get(struct http_exchange *ex, const struct master_api *api, const char *agent_id)
{
    const struct http_request *r = http_exchange_request(ex);
    const char *authorization = http_request_header(r, "Authorization");
    _cleanup_free_ char *id = http_query_get(r->query, "container_id");
    _cleanup_free_ char *command = http_query_get(r->query, "command");
    struct shell_request q = {0};

    if (http_guard_refused_in(api->guard, ex, REALM_READWRITE) || websocket_refused(ex) ||
        api_refuse_unrecovered(ex, api))
        return;
    if (!is_nested_id(id)) {
        http_respond(ex, 400, HTTP_TEXT,
                     "Say where: ?container_id=TASKS_CONTAINER.NEW_NAME (the first from the task's "
                     "status, the second is yours)\n");
        return;
    }
    if (!read_size(ex, "rows", &q.rows) || !read_size(ex, "columns", &q.columns) ||
        !open_target(ex, api, agent_id, &q.target))
        return;
    q.authorization = authorization ? xstrdup(authorization) : NULL;
    q.container_id = TAKE_PTR(id);
    q.command = command && *command ? TAKE_PTR(command) : xstrdup("/bin/sh");
    const char *principal = http_guard_principal(ex);
    /* Not the command, which may hold secrets. */
    log_info("%s%s at %s opens a shell, container '%s' of agent %s",
             principal ? "principal " : "somebody", principal ? principal : "", r->peer,
             q.container_id, agent_id);
    shell_open(ex, &q);
}

void agent_relay_any(struct http_exchange *ex, void *arg)
{
    const struct master_api *api = arg;
    const char *rest = http_exchange_request(ex)->path_rest;
    size_t n;

    if (!api->relay->enabled) {
        http_respond(ex, 403, HTTP_TEXT,
                     "This master relays nothing to agents (--agent_relay=false); ask the agent "
                     "itself\n");
        return;
    }
    rest += *rest == '/';
    n = strcspn(rest, "/");
    if (n == 0) {
        http_respond(ex, 404, HTTP_TEXT, "Say which agent: /agent/AGENT_ID/PATH\n");
        return;
    }
    _cleanup_free_ char *id = xstrndup(rest, n);
    if (streq(rest + n, "/shell"))
        shell_get(ex, api, id);
    else
        pass_on(ex, api, id, rest + n);
}
