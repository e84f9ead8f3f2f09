/* Asking a daemon and waiting: an HTTP call on a loop of its own. Finding the leader; asking agents. See connection.h. */
#include <ctype.h>
#include <errno.h>

#include "cli/connection_priv.h"

#define WAIT_S  15
#define PROBE_S 3

struct waiting {
    struct fl_loop *loop;
    struct answer *answer;
    char *location; /* of a redirection; owned */
    struct fl_err err;
    bool failed;
};

size_t cli_headers(const struct cli *c, const char *encoding, struct http_header headers[3])
{
    headers[0] = (struct http_header){"Content-Type", encoding};
    headers[1] = (struct http_header){"Accept", encoding};
    headers[2] = (struct http_header){"Authorization", c->connection->authorization};
    return c->connection->authorization ? 3 : 2;
}

void cli_fill_call(const struct cli *c, const struct peer *p, struct http_call_config *cfg)
{
    cfg->host = p->at.host;
    cfg->port = p->at.port;
    cfg->tls = p->at.tls ? c->connection->tls : NULL;
}

void answer_done(struct answer *a)
{
    free(a->body);
    *a = (struct answer){0};
}

void query_add(struct fl_buf *path, const char *name, const char *value)
{
    bool first = !path->len || !memchr(path->data, '?', path->len);

    fl_buf_addf(path, "%c%s=", first ? '?' : '&', name);
    for (const char *p = value; *p; p++) {
        if (isalnum((unsigned char)*p) || strchr("-_.~", *p))
            fl_buf_addc(path, *p);
        else
            fl_buf_addf(path, "%%%02X", (unsigned char)*p);
    }
}

/* ---- one request ---- */

static void done(struct http_call *call, const struct http_client_response *r,
                 const struct fl_err *err, void *arg)
{
    struct waiting *w = arg;

    if (r) {
        const char *location = http_response_header(r, "Location");
        w->answer->status = r->status;
        /* It may hold any byte. */
        w->answer->body = xcalloc(r->body_len + 1, 1);
        memcpy(w->answer->body, r->body ? r->body : "", r->body_len);
        w->answer->len = r->body_len;
        w->location = location ? xstrdup(location) : NULL;
    } else {
        w->failed = true;
        w->err = *err;
    }
    fl_loop_stop(w->loop);
}

/* *ret_location: of a redirection, the caller's; or NULL: none is followed. */
static int ask(struct cli *c, const struct peer *p, const char *method, const char *path,
               const char *body, unsigned timeout_s, struct answer *ret, char **ret_location,
               struct fl_err *err)
{
    static const struct http_call_ops ops = {.on_done = done};
    struct waiting w = {.answer = ret};
    struct http_header headers[3];
    _cleanup_free_ char *whole = xasprintf("%s%s", p->prefix, path);
    struct http_call_config cfg = {
        .method = method,
        .path = whole,
        .headers = headers,
        .n_headers = cli_headers(c, "application/json", headers),
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_s = timeout_s           ? timeout_s
                     : c->timeout_s >= 1 ? (unsigned)FL_MIN(c->timeout_s, 86400.0)
                                         : WAIT_S,
        .max_body = (size_t)4 << 30,
    };
    struct http_client *client;
    struct http_call *call;
    int r = fl_loop_new(&w.loop, err);

    if (r < 0)
        return r;
    cli_fill_call(c, p, &cfg);
    client = http_client_new(w.loop);
    r = http_client_call(client, &cfg, &ops, &w, &call, err);
    if (r == 0) {
        fl_loop_run(w.loop);
        if (w.failed) {
            *err = w.err;
            r = err->code < 0 ? err->code : -EIO;
        }
    }
    http_client_free(client);
    fl_loop_free(w.loop);
    if (ret_location)
        *ret_location = w.location;
    else
        free(w.location);
    return r;
}

int cli_peer_request(struct cli *c, const struct peer *p, const char *method, const char *path,
                     const char *body, unsigned timeout_s, struct answer *ret, struct fl_err *err)
{
    int r = ask(c, p, method, path, body, timeout_s, ret, NULL, err);

    return r < 0 ? fl_err_wrap(err, "asking %s", p->name) : 0;
}

/* ---- the leader ---- */

static struct peer peer_dup(const struct peer *p)
{
    return (struct peer){.at = {xstrdup(p->at.host), p->at.port, p->at.tls},
                         .prefix = xstrdup(p->prefix),
                         .name = xstrdup(p->name)};
}

static void set_leader(struct connection *n, const struct peer *p)
{
    if (n->leader.at.host && streq(n->leader.at.host, p->at.host) &&
        n->leader.at.port == p->at.port)
        return;
    peer_done(&n->leader);
    n->leader = peer_dup(p);
    n->leader_sure = false;
}

/* Where a redirection leads. Never from TLS to plain text. */
static int make_redirected(const struct connection *n, const struct peer *from,
                           const char *location, struct peer *ret, struct fl_err *err)
{
    struct peer p = {0};
    int r = address_parse(location, 5050, from->at.tls, &p.at, err);

    if (r < 0)
        return r;
    if (from->at.tls && !p.at.tls) {
        peer_done(&p);
        return fl_err_set(err, FL_FORBIDDEN, "%s sends us on without TLS, to '%.200s': refused",
                          from->name, location);
    }
    if (p.at.tls && !n->tls) {
        peer_done(&p);
        return fl_err_set(err, FL_INVALID, "%s sends us on to https: name the masters by https://",
                          from->name);
    }
    _cleanup_free_ char *text = address_text(&p.at);
    p.prefix = xstrdup("");
    p.name = xasprintf("the master at '%s'", text);
    *ret = p;
    return 0;
}

/* Asks one master, and the leader when it names that. */
static int ask_from(struct cli *c, const struct peer *first, const char *method, const char *path,
                    const char *body, struct answer *ret, struct fl_err *err)
{
    struct connection *n = c->connection;
    _cleanup_free_ char *location = NULL;
    _cleanup_peer_ struct peer next = {0};
    int r = ask(c, first, method, path, body, 0, ret, &location, err);

    if (r < 0)
        return r;
    if (ret->status != 307 || !location) {
        if (ret->status != 503)
            set_leader(n, first);
        return 0;
    }
    answer_done(ret);
    r = make_redirected(n, first, location, &next, err);
    if (r == 0)
        r = ask(c, &next, method, path, body, 0, ret, NULL, err);
    if (r < 0)
        return fl_err_wrap(err, "the leader that %s names", first->name);
    if (ret->status == 307)
        return fl_err_set(err, FL_UNAVAILABLE, "the masters do not agree on a leader: try again");
    set_leader(n, &next);
    return 0;
}

/* What did not reach a master may be asked of another one. */
static bool may_try_next(const char *method, int r, const struct fl_err *err)
{
    if (r == 0)
        return true;
    if (err->reason == FL_UNAVAILABLE)
        return true;
    return streq(method, "GET") &&
           (err->reason == FL_TIMEOUT || err->reason == FL_CLOSED || err->reason == FL_IO);
}

static int no_master(const struct connection *n, struct fl_err *err)
{
    _cleanup_free_ char *why = xstrdup(err->msg);

    if (err->reason != FL_UNAVAILABLE && err->reason != FL_TIMEOUT && err->reason != FL_CLOSED &&
        err->reason != FL_IO)
        return fl_err_wrap(err, "asking '%.200s'", n->text);
    return fl_err_set(err, err->reason == FL_TIMEOUT ? FL_TIMEOUT : FL_UNAVAILABLE,
                      "no master answers at '%.200s' (--master, FAIRLEAD_MASTER or `fairlead "
                      "config` name them): %s",
                      n->text, why);
}

int cli_request(struct cli *c, const char *method, const char *path, const char *body,
                struct answer *ret, struct fl_err *err)
{
    struct connection *n = c->connection;
    int r = -EHOSTUNREACH;

    if (n->leader.at.host) {
        _cleanup_peer_ struct peer last = peer_dup(&n->leader);
        r = ask_from(c, &last, method, path, body, ret, err);
        if (r == 0 && ret->status != 503)
            return 0;
        if (!may_try_next(method, r, err))
            return no_master(n, err);
    }
    for (size_t i = 0; i < n->n_masters; i++) {
        answer_done(ret);
        r = ask_from(c, &n->masters[i], method, path, body, ret, err);
        if (r == 0 && ret->status != 503)
            return 0;
        if (!may_try_next(method, r, err))
            break;
    }
    return r < 0 ? no_master(n, err) : 0;
}

int connection_leader(struct cli *c, const struct peer **ret, struct fl_err *err)
{
    _cleanup_answer_ struct answer a = {0};
    int r = 0;

    if (!c->connection->leader_sure) {
        /* Of the calls that only the leader answers, a small one. */
        r = cli_request(c, "GET", "/maintenance/schedule", NULL, &a, err);
        if (r == 0 && a.status != 200)
            r = cli_status_err(&a, "the master", "to say who leads", err);
        if (r < 0)
            return r;
    }
    c->connection->leader_sure = true;
    *ret = &c->connection->leader;
    return 0;
}

void connection_forget_leader(struct cli *c)
{
    peer_done(&c->connection->leader);
    c->connection->leader_sure = false;
}

/* ---- what answers mean ---- */

int cli_status_err(const struct answer *a, const char *who, const char *what, struct fl_err *err)
{
    enum fl_reason reason = FL_INVALID;
    const char *hint = "";

    switch (a->status) {
    case 401:
        reason = FL_UNAUTHENTICATED;
        hint = "; say who asks with --credential-file or --token-file";
        break;
    case 403:
        reason = FL_FORBIDDEN;
        break;
    case 404:
        reason = FL_NOT_FOUND;
        break;
    case 502:
    case 503:
    case 504:
        reason = FL_UNAVAILABLE;
        break;
    default:
        break;
    }
    if (a->status == 503 && a->len == 0)
        hint = ": it knows no leader now; try again";
    return fl_err_set(err, reason, "%s refuses %s (status %d)%s%.300s%s", who, what, a->status,
                      a->len ? ": " : "", a->body ? a->body : "", hint);
}

int cli_get_json(struct cli *c, const struct peer *p, const char *path, json_t **ret,
                 struct fl_err *err)
{
    _cleanup_answer_ struct answer a = {0};
    json_error_t why;
    int r = p ? cli_peer_request(c, p, "GET", path, NULL, 0, &a, err)
              : cli_request(c, "GET", path, NULL, &a, err);

    if (r < 0)
        return r;
    if (a.status != 200)
        return cli_status_err(&a, p ? p->name : "the master", path, err);
    json_t *j = json_loadb(a.body, a.len, JSON_DECODE_ANY, &why);
    if (!j)
        return fl_err_set(err, FL_INVALID, "what %s answered to %s is no JSON: %s",
                          p ? p->name : "the master", path, why.text);
    *ret = j;
    return 0;
}

int cli_get_list(struct cli *c, const char *path, const char *key, json_t **ret)
{
    struct fl_err err = {0};
    _cleanup_json_ json_t *all = NULL;
    json_t *list;

    if (cli_get_json(c, NULL, path, &all, &err) < 0)
        return cli_fail(&err);
    list = json_object_get(all, key);
    if (!json_is_array(list))
        return cli_failf("'%s' answered %s without '%s'", connection_masters(c), path, key);
    *ret = json_incref(list);
    return CLI_OK;
}

static int take_member(const struct answer *a, const char *type, const char *ret_key, json_t **ret)
{
    json_error_t why;
    _cleanup_json_ json_t *all = json_loadb(a->body, a->len, 0, &why);

    if (!all)
        return cli_failf("what the master answered to %s is no JSON: %s", type, why.text);
    *ret =
        json_object_get(all, ret_key) ? json_incref(json_object_get(all, ret_key)) : json_object();
    return CLI_OK;
}

int cli_call(struct cli *c, const char *type, const char *key, json_t *body, const char *ret_key,
             json_t **ret)
{
    _cleanup_json_ json_t *call = json_pack("{s:s}", "type", type);
    _cleanup_answer_ struct answer a = {0};
    struct fl_err err = {0};

    if (key && json_object_set_new(call, key, body) < 0)
        return cli_failf("something of what is asked is no UTF-8");
    _cleanup_free_ char *text = json_dumps(call, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (cli_request(c, "POST", "/api/v1", text, &a, &err) < 0)
        return cli_fail(&err);
    if (a.status != 200 && a.status != 202) {
        cli_status_err(&a, "the master", type, &err);
        return cli_fail(&err);
    }
    return ret_key ? take_member(&a, type, ret_key, ret) : CLI_OK;
}

/* ---- agents ---- */

int peer_via_master(struct cli *c, const char *agent_id, struct peer *ret, struct fl_err *err)
{
    const struct peer *leader;
    int r = connection_leader(c, &leader, err);

    if (r < 0)
        return r;
    *ret = (struct peer){.at = {xstrdup(leader->at.host), leader->at.port, leader->at.tls},
                         .prefix = xasprintf("/agent/%s", agent_id),
                         .name = xasprintf("the agent '%s' through the master", agent_id)};
    return 0;
}

/* An agent speaks TLS where its master does. */
int peer_direct(struct cli *c, const char *address, struct peer *ret, struct fl_err *err)
{
    bool tls = c->connection->leader.at.host ? c->connection->leader.at.tls
                                             : c->connection->masters[0].at.tls;
    struct peer p = {0};
    int r = address_parse(address, 5051, tls, &p.at, err);

    if (r < 0)
        return r;
    p.prefix = xstrdup("");
    p.name = xasprintf("the agent at '%s'", address);
    *ret = p;
    return 0;
}

int cli_agent_peer(struct cli *c, const char *agent_id, const char *agent_address, struct peer *ret,
                   struct fl_err *err)
{
    _cleanup_answer_ struct answer a = {0};
    int r;

    if (c->via_master)
        return peer_via_master(c, agent_id, ret, err);
    r = peer_direct(c, agent_address, ret, err);
    if (r < 0)
        return r;
    if (cli_peer_request(c, ret, "GET", "/health", NULL, PROBE_S, &a, err) == 0)
        return 0;
    peer_done(ret);
    return peer_via_master(c, agent_id, ret, err);
}
