/* See verbs.h. A process of its own: one request, one answer. */
#include "emulator/verbs.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/http.h"
#include "common/base/json.h"

struct asking {
    struct fl_loop *loop;
    struct fl_err *err;
    struct fl_buf answer;
    int status; /* of HTTP; 0: none */
};

static void on_done(struct http_call *c, const struct http_client_response *r,
                    const struct fl_err *err, void *arg)
{
    struct asking *a = arg;

    if (r) {
        a->status = r->status;
        fl_buf_add(&a->answer, r->body, r->body_len);
    } else {
        *a->err = *err;
    }
    fl_loop_stop(a->loop);
}

static int call(struct asking *a, struct http_client *client, struct http_call_config *cfg)
{
    static const struct http_call_ops ops = {.on_done = on_done};
    struct http_call *call;
    int r = http_client_call(client, cfg, &ops, a, &call, a->err);

    if (r < 0)
        return r;
    fl_loop_run(a->loop);
    if (a->status == 0)
        return -EIO;
    if (a->status == 200)
        return 0;
    while (a->answer.len > 0 && a->answer.data[a->answer.len - 1] == '\n')
        a->answer.len--;
    return fl_err_set(a->err, FL_INVALID, "%s", fl_buf_cstr(&a->answer));
}

/* `body` NULL: GET. */
static int ask(const char *at, const char *path, const struct fl_buf *body, struct fl_buf *answer,
               struct fl_err *err)
{
    static const struct http_header json = {"Content-Type", "application/json"};
    struct http_call_config cfg = {.method = body ? "POST" : "GET", .path = path};
    struct asking a = {.err = err, .answer = FL_BUF_INIT};
    struct http_client *client;
    _cleanup_free_ char *host = NULL;
    int r = http_parse_host_port(at, 0, &host, &cfg.port, err);

    if (r < 0)
        return fl_err_wrap(err, "--at");
    r = fl_loop_new(&a.loop, err);
    if (r < 0)
        return r;
    cfg.host = host;
    if (body) {
        cfg.headers = &json;
        cfg.n_headers = 1;
        cfg.body = body->data;
        cfg.body_len = body->len;
    }
    client = http_client_new(a.loop);
    r = call(&a, client, &cfg);
    http_client_free(client);
    fl_loop_free(a.loop);
    if (r == 0)
        *answer = a.answer;
    else
        fl_buf_done(&a.answer);
    return r < 0 && a.status == 0 ? fl_err_wrap(err, "ask '%s'", at) : r;
}

/* ---- status, for people ---- */

static long long number(const json_t *o, const char *key)
{
    return (long long)json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_faults(const json_t *o)
{
    json_t *faults = json_object_get(o, "faults"), *n;
    const char *key;

    json_object_foreach(faults, key, n)
    {
        if (json_number_value(n) > 0)
            printf(", %s %lld", key, (long long)json_number_value(n));
    }
    printf("\n");
}

static void print_status(const json_t *s)
{
    const json_t *tasks = json_object_get(s, "tasks");
    json_t *x;
    size_t i;

    printf("%s: %lld of %lld agents registered with %s, after %.0f s\n", text(s, "cluster"),
           number(s, "registered"), number(s, "agents"), text(s, "master"),
           json_number_value(json_object_get(s, "seconds")));
    printf("  tasks: %lld running, %lld finished, %lld failed, %lld killed\n",
           number(tasks, "running"), number(tasks, "finished"), number(tasks, "failed"),
           number(tasks, "killed"));
    printf("  connections lost %lld, restarts %lld", number(s, "connections_lost"),
           number(s, "restarts"));
    print_faults(s);
    json_array_foreach(json_object_get(s, "groups"), i, x)
    {
        printf("  group %s: %lld of %lld agents registered, %lld tasks", text(x, "name"),
               number(x, "registered"), number(x, "agents"), number(x, "tasks_running"));
        print_faults(x);
    }
    json_array_foreach(json_object_get(s, "workers"), i, x)
    {
        printf("  worker %zu: process %lld, %lld of %lld agents registered, cpu %.1f s, %lld MB\n",
               i + 1, number(x, "pid"), number(x, "registered"), number(x, "agents"),
               json_number_value(json_object_get(x, "cpu_seconds")), number(x, "memory_kb") / 1024);
    }
}

static int status(const char *at, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf b = FL_BUF_INIT;
    json_error_t why;
    json_t *s;
    int r = ask(at, "/status", NULL, &b, err);

    if (r < 0)
        return r;
    s = json_loadb(b.data, b.len, 0, &why);
    if (!s)
        return fl_err_set(err, FL_INVALID, "'%s' answers no JSON: %s", at, why.text);
    print_status(s);
    json_decref(s);
    return 0;
}

/* ---- commands ---- */

/* The words of a verb: those without '=' are its keys in this order. */
static const struct verb {
    const char *name, *keys[2];
    int needed;
} verbs[] = {
    {"grow", {"group", "count"}, 2},
    {"shrink", {"group", "count"}, 2},
    {"fail", {"how", NULL}, 1},
    {"heal", {"group", NULL}, 0},
};

static int make_body(const struct verb *v, int argc, char **argv, struct fl_buf *out,
                     struct fl_err *err)
{
    struct json_out j = json_out_on(out);
    int bare = 0;

    json_object(&j);
    for (int i = 0; i < argc; i++) {
        const char *eq = strchr(argv[i], '=');
        _cleanup_free_ char *key = eq ? xstrndup(argv[i], (size_t)(eq - argv[i])) : NULL;

        if (!eq && (bare == (int)ARRAY_SIZE(v->keys) || !v->keys[bare]))
            return fl_err_set(err, FL_INVALID, "'%s': what is '%s'? --help says more", v->name,
                              argv[i]);
        json_kstr(&j, key ? key : v->keys[bare++], eq ? eq + 1 : argv[i]);
    }
    json_end_object(&j);
    if (bare < v->needed)
        return fl_err_set(err, FL_INVALID, "'%s' needs '%s'; --help says more", v->name,
                          v->keys[bare]);
    return 0;
}

static int command(const char *at, const struct verb *v, int argc, char **argv, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT, answer = FL_BUF_INIT;
    _cleanup_free_ char *path = xasprintf("/%s", v->name);
    int r = make_body(v, argc, argv, &body, err);

    if (r == 0)
        r = ask(at, path, &body, &answer, err);
    if (r == 0)
        printf("%s\n", fl_buf_cstr(&answer));
    return r;
}

int emu_verb(const char *at, int argc, char **argv, struct fl_err *err)
{
    const char *name = argc > 0 ? argv[0] : "status";

    if (streq(name, "status"))
        return status(at, err);
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (streq(verbs[i].name, name))
            return command(at, &verbs[i], argc - 1, argv + 1, err);
    }
    return fl_err_set(err, FL_INVALID, "there is no verb '%s'; --help names all", name);
}
