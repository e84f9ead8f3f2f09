/* The face for people and scripts while the cluster runs: GET /status, and POST /grow, /shrink, /fail and /heal with a mapping in JSON,
 * which is read as YAML is in the cluster's file. On the supervisor's loop. */
#include <stdio.h>

#include "common/base/http.h"
#include "common/base/json.h"
#include "emulator/supervisor.h"
#include "emulator/usage.h"

enum { MAX_BODY = 65536, MAX_GROW = 1000000 };

struct emu_control {
    struct emu_supervisor *s;
    struct http_server *server;
    char *address; /* "ip:port" */
};

/* ---- status ---- */

static void put_faults(struct json_out *j, const uint64_t *n)
{
    static const char *const words[] = {
#define EMU_FAULT(name, word, counted) [EMU_##name] = word,
#include "emulator/faults.def"
#undef EMU_FAULT
    };

    json_kobject(j, "faults");
    for (unsigned i = 0; i < EMU_N_FAULTS; i++)
        json_kuint(j, words[i], n[i]);
    json_end_object(j);
}

static void put_groups(struct emu_supervisor *s, struct json_out *j)
{
    json_karray(j, "groups");
    for (size_t i = 0; i < s->kit->cluster->n_groups; i++) {
        struct emu_group_stats g;

        emu_supervisor_group(s, i, &g);
        json_object(j);
        json_kstr(j, "name", s->kit->cluster->groups[i].name);
        json_kuint(j, "agents", s->roster->groups[i].present);
        json_kuint(j, "registered", g.registered);
        json_kuint(j, "tasks_running", g.running);
        put_faults(j, g.faults);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_workers(struct emu_supervisor *s, struct json_out *j)
{
    json_karray(j, "workers");
    for (unsigned i = 0; i < s->n_workers; i++) {
        const struct emu_worker_stats *w = emu_supervisor_stats(s, i);
        struct emu_usage u;

        emu_usage_read(s->workers[i]->pid, false, &u);
        json_object(j);
        json_kint(j, "pid", s->workers[i]->pid);
        json_kuint(j, "agents", s->roster->load[i]);
        json_kuint(j, "registered", w->registered);
        json_kuint(j, "commands", w->applied);
        json_kdouble(j, "cpu_seconds", (double)u.cpu_us / 1e6);
        json_kuint(j, "memory_kb", u.rss / 1024);
        json_end_object(j);
    }
    json_end_array(j);
}

static void status(struct http_exchange *ex, void *arg)
{
    struct emu_supervisor *s = ((struct emu_control *)arg)->s;
    struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);
    struct emu_totals t;

    emu_supervisor_totals(s, &t);
    json_object(&j);
    json_kstr(&j, "cluster", s->kit->cluster->name ? s->kit->cluster->name : "cluster");
    json_kstr(&j, "master", t.master);
    json_kdouble(&j, "seconds", emu_supervisor_age(s));
    json_kuint(&j, "agents", s->roster->present);
    json_kuint(&j, "registered", t.registered);
    json_kobject(&j, "tasks");
    json_kuint(&j, "running", t.running);
    json_kuint(&j, "finished", t.finished);
    json_kuint(&j, "failed", t.failed);
    json_kuint(&j, "killed", t.killed);
    json_end_object(&j);
    json_kuint(&j, "connections_lost", t.disconnects);
    json_kuint(&j, "restarts", t.restarts);
    put_faults(&j, t.faults);
    json_kuint(&j, "commands", s->commands);
    json_kdouble(&j, "cpu_seconds", t.cpu_s);
    json_kuint(&j, "memory_kb", t.rss_kb);
    put_groups(s, &j);
    put_workers(s, &j);
    json_end_object(&j);
    http_respond_json(ex, 200, &b);
}

/* ---- what is asked ---- */

struct request {
    struct emu_command c;
    char *group, *how;
    struct fl_buf names;
    struct emu_time lasts;
};

/* A list, or words with commas between. */
static int take_nodes(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct fl_buf *b = into;

    if (v->kind == YAML_TEXT && *v->text) {
        fl_buf_adds(b, v->text);
        return 0;
    }
    if (v->kind != YAML_LIST || v->n == 0)
        return yaml_bad(r, v, "'nodes' is a list of names");
    for (size_t i = 0; i < v->n; i++) {
        if (v->items[i]->kind != YAML_TEXT)
            return yaml_bad(r, v->items[i], "a name is wanted here");
        fl_buf_addf(b, "%s%s", i ? "," : "", v->items[i]->text);
    }
    return 0;
}

static int take_lasts(const struct yaml_reader *r, const struct yaml_node *v, void *into)
{
    struct emu_time *t = into;
    int rc = emu_time_take(r, v, t);

    if (rc == 0 && t->shape == EMU_FOREVER)
        *t = (struct emu_time){0};
    else if (rc == 0 && (t->shape != EMU_FIXED || t->a_us == 0))
        return yaml_bad(r, v, "'for' is one time, such as 30secs");
    return rc;
}

#define AT(field) offsetof(struct request, field)
static const struct yaml_row grow_rows[] = {
    {"group", yaml_take_text, AT(group), true},
    {"count", yaml_take_count, AT(c.count), true},
};
static const struct yaml_row shrink_rows[] = {
    {"group", yaml_take_text, AT(group), true},
    {"count", yaml_take_count, AT(c.count), true},
    {"how", yaml_take_text, AT(how), false},
};
static const struct yaml_row fail_rows[] = {
    {"how", yaml_take_text, AT(how), true},
    {"group", yaml_take_text, AT(group), false},
    {"fraction", emu_probability_take, AT(c.fraction), false},
    {"count", yaml_take_count, AT(c.count), false},
    {"nodes", take_nodes, AT(names), false},
    {"for", take_lasts, AT(lasts), false},
    {"every", emu_time_take, AT(c.plan.flap_every), false},
    {"away", emu_time_take, AT(c.plan.flap_away), false},
    {"lag", emu_time_take, AT(c.plan.lag), false},
    {"lose", emu_probability_take, AT(c.plan.lose), false},
};
static const struct yaml_row heal_rows[] = {
    {"group", yaml_take_text, AT(group), false},
};
#undef AT

static int check_grow(struct request *q, struct fl_err *err)
{
    if (q->c.count == 0 || q->c.count > MAX_GROW)
        return fl_err_set(err, FL_INVALID, "'count' must be 1 to %d", MAX_GROW);
    return 0;
}

static int check_shrink(struct request *q, struct fl_err *err)
{
    if (q->how && !streq(q->how, "kill") && !streq(q->how, "unregister"))
        return fl_err_set(err, FL_INVALID, "'how' is unregister or kill, not '%s'", q->how);
    q->c.kill = q->how && streq(q->how, "kill");
    return check_grow(q, err);
}

static int find_fault(struct request *q, struct fl_err *err)
{
#define EMU_FAULT(name, word, counted)                                                             \
    if (streq(q->how, word)) {                                                                     \
        q->c.fault = EMU_##name;                                                                   \
        return 0;                                                                                  \
    }
#include "emulator/faults.def"
#undef EMU_FAULT
    return fl_err_set(err, FL_INVALID, "'how' is flap, kill, lag, lose or partition, not '%s'",
                      q->how);
}

static int check_fail(struct request *q, struct fl_err *err)
{
    const struct emu_time *every = &q->c.plan.flap_every;

    if (q->c.fraction <= 0)
        return fl_err_set(err, FL_INVALID, "'fraction' must be above 0");
    if (every->shape != EMU_FOREVER && every->a_us < 1000)
        return fl_err_set(err, FL_INVALID, "'every' must be 1ms or more");
    if (q->c.plan.lag.shape == EMU_FOREVER)
        return fl_err_set(err, FL_INVALID, "a message cannot be late for ever");
    if (q->names.len >= sizeof q->c.names)
        return fl_err_set(err, FL_TOO_LARGE, "'nodes' has more than %zu characters",
                          sizeof q->c.names - 1);
    if (q->names.len)
        memcpy(q->c.names, q->names.data, q->names.len);
    q->c.for_us = q->lasts.a_us;
    return find_fault(q, err);
}

static int check_heal(struct request *q, struct fl_err *err)
{
    return 0;
}

static const struct verb {
    const char *name;
    enum emu_verb verb;
    const struct yaml_row *rows;
    size_t n_rows;
    int (*check)(struct request *q, struct fl_err *err);
} verbs[] = {
    {"grow", EMU_GROW, grow_rows, ARRAY_SIZE(grow_rows), check_grow},
    {"shrink", EMU_SHRINK, shrink_rows, ARRAY_SIZE(shrink_rows), check_shrink},
    {"fail", EMU_FAIL, fail_rows, ARRAY_SIZE(fail_rows), check_fail},
    {"heal", EMU_HEAL, heal_rows, ARRAY_SIZE(heal_rows), check_heal},
};

/* What a fault is where nothing more is said. */
static void set_defaults(struct emu_command *c)
{
    c->group = EMU_ALL_GROUPS;
    c->fraction = 1;
    c->plan = (struct emu_fault_plan){
        .flap_every = {.shape = EMU_EXPONENTIAL, .a_us = 10000000},
        .flap_away = {.shape = EMU_UNIFORM, .a_us = 1000000, .b_us = 5000000},
        .lag = {.shape = EMU_UNIFORM, .a_us = 50000, .b_us = 200000},
        .lose = 0.1,
    };
}

static int read_request(const struct verb *v, const struct http_request *http, struct request *q,
                        struct fl_err *err)
{
    _cleanup_(yaml_freep) struct yaml_node *root = NULL;
    const struct yaml_reader r = {v->name, err};
    int rc;

    q->c.verb = v->verb;
    set_defaults(&q->c);
    rc = yaml_parse(v->name, http->body_len ? http->body : "{}",
                    http->body_len ? http->body_len : 2, &root, err);
    if (rc == 0)
        rc = yaml_map(&r, root, "the request", v->rows, v->n_rows, q);
    return rc == 0 ? v->check(q, err) : rc;
}

static int find_group(const struct emu_supervisor *s, struct request *q, struct fl_err *err)
{
    int i = q->group ? emu_roster_group(s->roster, q->group) : EMU_ALL_GROUPS;

    if (i < 0)
        return fl_err_set(err, FL_NOT_FOUND, "there is no group '%s'", q->group);
    q->c.group = (unsigned)i;
    return 0;
}

static void answer(struct http_exchange *ex, const struct emu_supervisor *s, uint64_t n)
{
    struct fl_buf b = FL_BUF_INIT;
    struct json_out j = json_out_on(&b);

    json_object(&j);
    json_kuint(&j, "nodes", n);
    json_kuint(&j, "agents", s->roster->present);
    json_kuint(&j, "commands", s->commands);
    json_end_object(&j);
    http_respond_json(ex, 200, &b);
}

static void command(struct http_exchange *ex, void *arg)
{
    struct emu_supervisor *s = ((struct emu_control *)arg)->s;
    const struct http_request *http = http_exchange_request(ex);
    const char *type = http_request_header(http, "Content-Type");
    _cleanup_free_ struct request *q = xnew0(struct request);
    const struct verb *v = verbs;
    struct fl_err err = {0};
    uint64_t n = 0;
    int r;

    while (!streq(v->name, http_exchange_route(ex)->path + 1))
        v++;
    if (http->method != HTTP_M_POST) {
        http_respondf(ex, 405, HTTP_TEXT, "/%s takes a POST with JSON.\n", v->name);
        return;
    }
    /* Pages of a browser cannot send this without asking first, and are not answered when they ask. */
    if (!type || !str_starts(type, "application/json")) {
        http_respondf(ex, 415, HTTP_TEXT, "/%s takes Content-Type: application/json.\n", v->name);
        return;
    }
    r = read_request(v, http, q, &err);
    if (r == 0)
        r = find_group(s, q, &err);
    if (r == 0)
        r = emu_supervisor_command(s, &q->c, &n, &err);
    if (r == 0)
        answer(ex, s, n);
    else
        http_respond_err(ex, &err);
    free(q->group);
    free(q->how);
    fl_buf_done(&q->names);
}

/* ---- life ---- */

static const struct http_route routes[] = {
    {.path = "/status", .handler = status, .exact = true},
    {.path = "/grow", .handler = command, .exact = true},
    {.path = "/shrink", .handler = command, .exact = true},
    {.path = "/fail", .handler = command, .exact = true},
    {.path = "/heal", .handler = command, .exact = true},
};

/* Port 0, which is no place to connect to, is one to listen at. */
static int split_address(const char *address, char **ret_host, uint16_t *ret_port,
                         struct fl_err *err)
{
    if (!str_ends(address, ":0"))
        return http_parse_host_port(address, 0, ret_host, ret_port, err);
    *ret_host = xstrndup(address, strlen(address) - 2);
    *ret_port = 0;
    return 0;
}

int emu_control_new(struct emu_supervisor *s, const char *address, struct emu_control **ret,
                    struct fl_err *err)
{
    struct http_server_config cfg = {
        .limits = http_limits_default, .routes = routes, .n_routes = ARRAY_SIZE(routes)};
    _cleanup_free_ char *host = NULL;
    struct emu_control *c;
    uint16_t port;
    int r = split_address(address, &host, &port, err);

    if (r < 0)
        return fl_err_wrap(err, "--control");
    c = xnew0(struct emu_control);
    c->s = s;
    cfg.ip = host;
    cfg.port = port;
    cfg.process_id = "emulator";
    cfg.arg = c;
    cfg.limits.max_body = MAX_BODY;
    cfg.limits.max_connections = 32;
    r = http_server_new(s->loop, &cfg, &c->server, err);
    if (r < 0) {
        free(c);
        return fl_err_wrap(err, "--control=%s", address);
    }
    c->address = xasprintf("%s:%u", host, http_server_port(c->server));
    printf("Control at %s.\n", c->address);
    fflush(stdout);
    *ret = c;
    return 0;
}

void emu_control_free(struct emu_control *c)
{
    if (!c)
        return;
    http_server_free(c->server);
    free(c->address);
    free(c);
}
