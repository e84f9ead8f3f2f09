/* See checks.h. */
#include "common/model/checks.h"

#include <string.h>

/* Defaults of the protocol, seconds. */
#define DELAY_S    15.0
#define INTERVAL_S 10.0
#define TIMEOUT_S  20.0
#define GRACE_S    10.0
#define FAILURES   3
/* Longest time that is taken as given. */
#define FOREVER_S (100.0 * 365 * 86400)

struct checker {
    struct task_checks *owner;
    bool health;
    struct check_target target;
    uint64_t delay_us, interval_us, timeout_us; /* timeout 0: none */
    struct env_timer *timer;                    /* to the next probe, or to its timeout */
    bool probing;
    void *slot;
};

struct task_checks {
    const struct env *env;
    const struct task_checks_ops *ops;
    void *arg;
    struct checker *check, *health; /* either may be NULL */
    /* Check: what was told last. */
    bool known;
    int value;
    /* Health check. */
    uint64_t grace_us, started_us;
    unsigned limit, failures;
    bool initializing; /* never healthy so far */
    bool told, healthy;
};

static uint64_t seconds(bool has, double value, double otherwise)
{
    double s = has ? value : otherwise;

    if (!(s > 0))
        return 0;
    return (uint64_t)((s > FOREVER_S ? FOREVER_S : s) * 1e6);
}

/* ---- results ---- */

static void check_answered(struct task_checks *t, bool known, int value)
{
    bool same = t->known == known && (!known || t->value == value);

    /* Before the first result nothing is known, and a probe that fails keeps it so: no news. */
    if (same)
        return;
    t->known = known;
    t->value = value;
    t->ops->changed(t->arg, V1__TASK_STATUS__REASON__REASON_TASK_CHECK_STATUS_UPDATED, false);
}

static bool means_healthy(const struct check_target *g, bool known, int value)
{
    if (!known)
        return false;
    if (g->kind == V1__CHECK_INFO__TYPE__COMMAND)
        return value == 0;
    if (g->kind == V1__CHECK_INFO__TYPE__HTTP)
        return value >= 200 && value < 400;
    return value == 1;
}

static void tell_health(struct task_checks *t, bool healthy, bool kill)
{
    t->told = true;
    t->healthy = healthy;
    t->ops->changed(t->arg, V1__TASK_STATUS__REASON__REASON_TASK_HEALTH_CHECK_STATUS_UPDATED, kill);
}

static void health_answered(struct task_checks *t, bool healthy)
{
    bool first = t->initializing;

    if (healthy) {
        bool news = first || t->failures > 0;

        t->initializing = false;
        t->failures = 0;
        if (news)
            tell_health(t, true, false);
        return;
    }
    if (first && t->grace_us > 0 && env_now_us(t->env) - t->started_us <= t->grace_us)
        return;
    t->failures++;
    tell_health(t, false, t->failures >= t->limit);
}

void checker_answer(struct checker *c, bool known, int value)
{
    struct task_checks *t = c->owner;

    if (!c->probing)
        return;
    c->probing = false;
    env_timer_set(t->env, c->timer, c->interval_us);
    /* Last: it may be freed from here. */
    if (c->health)
        health_answered(t, means_healthy(&c->target, known, value));
    else
        check_answered(t, known, value);
}

static void on_timer(void *arg)
{
    struct checker *c = arg;
    struct task_checks *t = c->owner;

    if (c->probing) {
        t->ops->cancel(t->arg, c);
        checker_answer(c, false, 0);
        return;
    }
    c->probing = true;
    if (c->timeout_us > 0)
        env_timer_set(t->env, c->timer, c->timeout_us);
    t->ops->begin(t->arg, c);
}

/* ---- life ---- */

static struct checker *checker_new(struct task_checks *t)
{
    struct checker *c = xnew0(struct checker);

    c->owner = t;
    c->timer = env_timer_new(t->env, on_timer, c);
    c->target.net.path = "/";
    return c;
}

static struct checker *check_new(struct task_checks *t, const V1__CheckInfo *i)
{
    struct checker *c = checker_new(t);

    c->target.kind = i->type;
    c->delay_us = seconds(i->has_delay_seconds, i->delay_seconds, DELAY_S);
    c->interval_us = seconds(i->has_interval_seconds, i->interval_seconds, INTERVAL_S);
    c->timeout_us = seconds(i->has_timeout_seconds, i->timeout_seconds, TIMEOUT_S);
    if (i->command)
        c->target.command = i->command->command;
    c->target.net.http = c->target.kind == V1__CHECK_INFO__TYPE__HTTP;
    if (i->http) {
        c->target.net.port = (uint16_t)i->http->port;
        if (i->http->path && *i->http->path)
            c->target.net.path = i->http->path;
    } else if (i->tcp) {
        c->target.net.port = (uint16_t)i->tcp->port;
    }
    return c;
}

static V1__CheckInfo__Type health_kind(const V1__HealthCheck *h)
{
    /* The two enums have the same values. */
    return (V1__CheckInfo__Type)h->type;
}

static struct checker *health_new(struct task_checks *t, const V1__HealthCheck *h)
{
    struct checker *c = checker_new(t);

    c->health = true;
    c->target.kind = health_kind(h);
    c->delay_us = seconds(h->has_delay_seconds, h->delay_seconds, DELAY_S);
    c->interval_us = seconds(h->has_interval_seconds, h->interval_seconds, INTERVAL_S);
    c->timeout_us = seconds(h->has_timeout_seconds, h->timeout_seconds, TIMEOUT_S);
    c->target.command = h->command;
    c->target.net.http = c->target.kind == V1__CHECK_INFO__TYPE__HTTP;
    if (h->http) {
        c->target.net.port = (uint16_t)h->http->port;
        if (h->http->path && *h->http->path)
            c->target.net.path = h->http->path;
        c->target.net.tls = streq(h->http->scheme, "https");
        c->target.net.ipv6 =
            h->http->has_protocol && h->http->protocol == V1__NETWORK_INFO__PROTOCOL__IPv6;
    } else if (h->tcp) {
        c->target.net.port = (uint16_t)h->tcp->port;
        c->target.net.ipv6 =
            h->tcp->has_protocol && h->tcp->protocol == V1__NETWORK_INFO__PROTOCOL__IPv6;
    }
    t->grace_us = seconds(h->has_grace_period_seconds, h->grace_period_seconds, GRACE_S);
    t->limit = h->has_consecutive_failures ? h->consecutive_failures : FAILURES;
    return c;
}

struct task_checks *task_checks_new(const struct env *env, const V1__CheckInfo *check,
                                    const V1__HealthCheck *health,
                                    const struct task_checks_ops *ops, void *arg)
{
    struct task_checks *t;

    if (!check && !health)
        return NULL;
    t = xnew0(struct task_checks);
    t->env = env;
    t->ops = ops;
    t->arg = arg;
    t->initializing = true;
    if (check)
        t->check = check_new(t, check);
    if (health)
        t->health = health_new(t, health);
    return t;
}

static void seed_check(struct task_checks *t, const V1__CheckStatusInfo *s)
{
    if (s->command && s->command->has_exit_code) {
        t->known = true;
        t->value = s->command->exit_code;
    } else if (s->http && s->http->has_status_code) {
        t->known = true;
        t->value = (int)s->http->status_code;
    } else if (s->tcp && s->tcp->has_succeeded) {
        t->known = true;
        t->value = s->tcp->succeeded;
    }
}

void task_checks_start(struct task_checks *t, const V1__TaskStatus *last)
{
    t->started_us = env_now_us(t->env);
    if (last && last->check_status)
        seed_check(t, last->check_status);
    if (last && last->has_healthy) {
        t->told = true;
        t->healthy = last->healthy;
        t->initializing = false;
        t->failures = last->healthy ? 0 : 1;
    }
    if (t->check)
        env_timer_set(t->env, t->check->timer, t->check->delay_us);
    if (t->health)
        env_timer_set(t->env, t->health->timer, t->health->delay_us);
}

static void checker_free(struct checker *c)
{
    if (!c)
        return;
    if (c->probing) {
        c->probing = false;
        c->owner->ops->cancel(c->owner->arg, c);
    }
    env_timer_free(c->owner->env, c->timer);
    free(c);
}

void task_checks_free(struct task_checks *t)
{
    if (!t)
        return;
    checker_free(t->check);
    checker_free(t->health);
    free(t);
}

/* ---- telling ---- */

static V1__CheckStatusInfo *make_status(V1__CheckInfo__Type kind, bool known, int value)
{
    V1__CheckStatusInfo s = V1__CHECK_STATUS_INFO__INIT;
    V1__CheckStatusInfo__Command command = V1__CHECK_STATUS_INFO__COMMAND__INIT;
    V1__CheckStatusInfo__Http http = V1__CHECK_STATUS_INFO__HTTP__INIT;
    V1__CheckStatusInfo__Tcp tcp = V1__CHECK_STATUS_INFO__TCP__INIT;

    s.has_type = true;
    s.type = kind;
    if (kind == V1__CHECK_INFO__TYPE__COMMAND) {
        command.has_exit_code = known;
        command.exit_code = value;
        s.command = &command;
    } else if (kind == V1__CHECK_INFO__TYPE__HTTP) {
        http.has_status_code = known;
        http.status_code = (uint32_t)value;
        s.http = &http;
    } else {
        tcp.has_succeeded = known;
        tcp.succeeded = value != 0;
        s.tcp = &tcp;
    }
    return FL_PB_DUP(&s);
}

V1__CheckStatusInfo *check_status_empty(const V1__CheckInfo *check)
{
    return make_status(check->type, false, 0);
}

void task_checks_fill(const struct task_checks *t, V1__TaskStatus *status)
{
    if (t->check) {
        fl_pb_free(status->check_status);
        status->check_status = make_status(t->check->target.kind, t->known, t->value);
    }
    if (t->told) {
        status->has_healthy = true;
        status->healthy = t->healthy;
    }
}

#define IN_TASK "export MESOS_SANDBOX=\"$PWD\"\n"
#define TO_TASK "cd -P ../.. || exit 127\n" IN_TASK
#define RUN_IT  "exec \"$@\""

static V1__Environment *join_env(const V1__Environment *a, const V1__Environment *b,
                                 struct fl_arena *arena)
{
    V1__Environment *e = FL_ARENA_NEW(arena, V1__Environment, v1__environment);
    size_t na = a ? a->n_variables : 0, nb = b ? b->n_variables : 0;

    e->variables = fl_arena_alloc(arena, (na + nb + 1) * sizeof(*e->variables));
    if (na > 0)
        memcpy(e->variables, a->variables, na * sizeof(*e->variables));
    if (nb > 0)
        memcpy(e->variables + na, b->variables, nb * sizeof(*e->variables));
    e->n_variables = na + nb;
    return e;
}

V1__CommandInfo *check_command(const V1__CommandInfo *command, bool session,
                               const V1__Environment *of_task, struct fl_arena *arena)
{
    char *const prefix[] = {"sh", "-c", session ? IN_TASK RUN_IT : TO_TASK RUN_IT, "sh"};
    const char *first = session ? IN_TASK : TO_TASK;
    V1__CommandInfo *c = FL_ARENA_NEW(arena, V1__CommandInfo, v1__command_info);
    const char *value = command->value ? command->value : "";

    *c = *command;
    c->environment = join_env(of_task, command->environment, arena);
    if (!command->has_shell || command->shell) {
        size_t n = strlen(first);
        char *text = fl_arena_alloc(arena, n + strlen(value) + 1);

        memcpy(text, first, n);
        memcpy(text + n, value, strlen(value) + 1);
        c->value = text;
        return c;
    }
    /* The first argument is the program's own name, for which the shell puts its path. */
    size_t own = command->n_arguments > 0 ? command->n_arguments - 1 : 0;
    c->value = "/bin/sh";
    c->arguments = fl_arena_alloc(arena, (ARRAY_SIZE(prefix) + 1 + own) * sizeof(char *));
    memcpy(c->arguments, prefix, sizeof(prefix));
    c->arguments[ARRAY_SIZE(prefix)] = (char *)(uintptr_t)value;
    if (own > 0)
        memcpy(c->arguments + ARRAY_SIZE(prefix) + 1, command->arguments + 1, own * sizeof(char *));
    c->n_arguments = ARRAY_SIZE(prefix) + 1 + own;
    return c;
}

const struct check_target *checker_target(const struct checker *c)
{
    return &c->target;
}

void **checker_slot(struct checker *c)
{
    return &c->slot;
}

bool checker_is_health(const struct checker *c)
{
    return c->health;
}
