/* Asking a daemon and waiting: an HTTP call on a loop of its own. */
#include <errno.h>

#include "cli/cli.h"

#define WAIT_S 15

struct waiting {
    struct fl_loop *loop;
    struct answer *answer;
    char *location; /* of a redirection; owned */
    struct fl_err err;
    bool failed;
};

struct http_credential cli_credential;

size_t cli_headers(const char *encoding, struct http_header headers[3])
{
    headers[0] = (struct http_header){"Content-Type", encoding};
    headers[1] = (struct http_header){"Accept", encoding};
    headers[2] = (struct http_header){"Authorization", cli_credential.header};
    return cli_credential.header ? 3 : 2;
}

void answer_done(struct answer *a)
{
    free(a->body);
    a->body = NULL;
}

static void done(struct http_call *c, const struct http_client_response *r,
                 const struct fl_err *err, void *arg)
{
    struct waiting *w = arg;

    if (r) {
        const char *location = http_response_header(r, "Location");
        w->answer->status = r->status;
        w->answer->body = xstrndup(r->body ? r->body : "", r->body_len);
        w->answer->len = r->body_len;
        w->location = location ? xstrdup(location) : NULL;
    } else {
        w->failed = true;
        w->err = *err;
    }
    fl_loop_stop(w->loop);
}

static int request_once(const char *host, uint16_t port, const char *method, const char *path,
                        const char *body, struct waiting *w, struct fl_err *err)
{
    static const struct http_call_ops ops = {.on_done = done};
    struct http_header headers[3];
    struct http_call_config cfg = {
        .method = method,
        .host = host,
        .port = port,
        .path = path,
        .headers = headers,
        .n_headers = cli_headers("application/json", headers),
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_s = WAIT_S,
        .max_body = 1u << 30,
    };
    struct http_client *client;
    struct http_call *call;
    int r;

    r = fl_loop_new(&w->loop, err);
    if (r < 0)
        return r;
    client = http_client_new(w->loop);
    r = http_client_call(client, &cfg, &ops, w, &call, err);
    if (r == 0) {
        fl_loop_run(w->loop);
        if (w->failed) {
            *err = w->err;
            r = err->code < 0 ? err->code : -EIO;
        }
    }
    http_client_free(client);
    fl_loop_free(w->loop);
    return r;
}

int cli_request(const char *address, const char *method, const char *path, const char *body,
                struct answer *ret, struct fl_err *err)
{
    _cleanup_free_ char *host = NULL;
    uint16_t port;
    int r = http_parse_host_port(address, 5050, &host, &port, err);

    for (int hops = 0; r == 0; hops++) {
        struct waiting w = {.answer = ret};
        r = request_once(host, port, method, path, body, &w, err);
        if (r < 0 || ret->status != 307 || !w.location || hops == 1) {
            free(w.location);
            break;
        }
        answer_done(ret);
        free(host);
        host = NULL;
        r = http_parse_host_port(w.location, 5050, &host, &port, err);
        free(w.location);
    }
    if (r < 0)
        fl_err_wrap(err, "asking '%s'", address);
    return r;
}

int cli_get_json(const char *address, const char *path, json_t **ret, struct fl_err *err)
{
    _cleanup_answer_ struct answer a = {0};
    json_error_t why;
    int r = cli_request(address, "GET", path, NULL, &a, err);

    if (r < 0)
        return r;
    if (a.status != 200)
        return fl_err_set(err, FL_IO, "'%s' answered %s with status %d: %.200s", address, path,
                          a.status, a.body);
    json_t *j = json_loadb(a.body, a.len, 0, &why);
    if (!j)
        return fl_err_set(err, FL_INVALID, "what '%s' answered to %s is no JSON: %s", address, path,
                          why.text);
    *ret = j;
    return 0;
}

int cli_get_list(struct cli *c, const char *path, const char *key, json_t **ret)
{
    struct fl_err err = {0};
    _cleanup_json_ json_t *all = NULL;
    json_t *list;

    if (cli_get_json(c->master, path, &all, &err) < 0)
        return cli_fail(&err);
    list = json_object_get(all, key);
    if (!json_is_array(list))
        return cli_failf("'%s' answered %s without '%s'", c->master, path, key);
    *ret = json_incref(list);
    return CLI_OK;
}

void cli_print_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    putchar('\n');
}
