/* fairlead-master: reads flags, wires the core to the loop, the HTTP server and the store, and runs until a
 * signal. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "common/model/http_times.h"
#include "common/base/http_files.h"
#include "common/base/log.h"
#include "common/base/tls.h"
#include "common/coord/store.h"
#include "master/api/handlers.h"
#include "master/api/relay.h"
#include "master/api/scheduler.h"
#include "master/api/state.h"
#include "master/shell.h"

#define PROGRAM    "fairlead-master"
#define PROCESS_ID "master"
#define DRAIN_MS   2000

/* ---- parts ---- */

/* Agents are not asked for credentials unless --authenticate_agents, but those they give must be right. */
static int make_guard(struct shell *s, struct fl_err *err)
{
    const struct master_flags *f = &s->flags;
    const char *frameworks =
        f->http_framework_authenticators ? f->http_framework_authenticators : "basic";
    const struct http_guard_realm realms[] = {
        {"authenticate_http_readonly",
         f->authenticate_http_readonly,
         {REALM_READONLY, f->http_authenticators, false}},
        {"authenticate_http_readwrite",
         f->authenticate_http_readwrite,
         {REALM_READWRITE, f->http_authenticators, false}},
        {"authenticate_http_frameworks",
         f->authenticate_http_frameworks,
         {REALM_FRAMEWORK, frameworks, false}},
        {"authenticate_agents",
         f->authenticate_agents || f->credentials,
         {REALM_AGENT, "basic", !f->authenticate_agents}},
    };
    const struct http_guard_config c = {
        .credentials = f->credentials,
        .token_key = f->jwt_secret_key,
        .acls = f->acls,
        .authorizer = f->authorizers,
        .firewall_rules = f->firewall_rules,
        .cors_origins = f->http_cors_origins,
        .process_id = PROCESS_ID,
        .realms = realms,
        .n_realms = ARRAY_SIZE(realms),
    };
    struct env env = env_from_loop(s->loop);

    fl_daemon_warn_of_secret(f->credentials);
    fl_daemon_warn_of_secret(f->jwt_secret_key);
    return http_guard_new(&env, &c, &s->guard, err);
}

static void answered(const struct http_route *route, int status, uint64_t us, void *arg)
{
    http_times_note(((struct master_api *)arg)->times, route, us);
}

static int listen_http(struct shell *s, struct fl_err *err)
{
    struct http_server_config c = {
        .ip = s->address.ip,
        .port = (uint16_t)s->flags.port,
        .process_id = PROCESS_ID,
        .io_threads = (unsigned)s->flags.http_io_threads,
        .limits = FL_DAEMON_HTTP_LIMITS(&s->flags),
        .tls = s->tls,
        .routes = master_routes,
        .fallback = page_get,
        .n_routes = master_routes_n,
        .arg = &s->api,
        .before = api_before,
        .answered = answered,
        .own_files = true, /* tens of thousands of agents */
    };

    s->api.guard = s->guard;
    return http_server_new(s->loop, &c, &s->http, err);
}

static int make_core(struct shell *s, struct fl_err *err)
{
    const struct allocator_ops *alloc;
    _cleanup_pb_ V1__MasterInfo *info = NULL;
    int r;

    r = shell_find_allocator(s->flags.allocator, s->flags.modules, &alloc, err);
    if (r < 0)
        return r;
    r = shell_master_info(s, http_server_port(s->http), &info, err);
    if (r < 0)
        return r;
    s->env.env = env_from_loop(s->loop);
    s->env.io = &shell_io;
    s->env.ctx = s;
    r = shell_allocator_log_open(s, err);
    if (r < 0)
        return r;
    r = master_new(&s->env, &s->flags, s->metrics, alloc, info, &s->master, err);
    if (r < 0)
        return r;
    s->master->acls = http_guard_acls(s->guard);
    s->api.master = s->master;
    s->api.flags = s->flags_table;
    s->api.sched = sched_api_new();
    s->api.relay = relay_service_new(&s->flags, s->client_tls, s->metrics);
    s->api.log_toggle = log_toggle_new(&s->env.env);
    s->api.files = http_files_new();
    fl_daemon_serve_log(s->api.files, MASTER_LOG_PATH, s->flags.external_log_file);
    s->whitelist = shell_whitelist_new(s);
    return 0;
}

/* ---- signals ---- */

static void on_drained(void *arg)
{
    struct shell *s = arg;

    fl_loop_stop(s->loop);
}

static void on_end_signal(void *arg)
{
    struct shell *s = arg;

    if (s->stopping) {
        fl_loop_stop(s->loop);
        return;
    }
    s->stopping = true;
    log_info("ending on a signal");
    api_done(&s->api);
    sched_api_close(s->api.sched);
    http_server_drain(s->http, DRAIN_MS, on_drained, s);
}

static void on_hangup(void *arg)
{
    fl_log_reopen();
}

static int watch_signals(struct shell *s, struct fl_err *err)
{
    int r;

    signal(SIGPIPE, SIG_IGN);
    r = fl_signal_new(s->loop, SIGTERM, on_end_signal, s, &s->on_term, err);
    if (r == 0)
        r = fl_signal_new(s->loop, SIGINT, on_end_signal, s, &s->on_int, err);
    if (r == 0)
        r = fl_signal_new(s->loop, SIGHUP, on_hangup, s, &s->on_hup, err);
    return r;
}

/* ---- all of it ---- */

/* A descriptor for each agent and each stream of events: the usual soft limit of 1,024 is for programs that call select(). The
 * master starts no other program that would inherit it. */
static void raise_descriptors(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &l) < 0)
        log_warning("cannot raise the limit of open files: %s", strerror(errno));
}

static int start(struct shell *s, struct fl_err *err)
{
    int r = fl_loop_new(&s->loop, err);

    raise_descriptors();
    if (r == 0)
        r = watch_signals(s, err);
    if (r == 0)
        r = fl_tls_from_env(&s->tls, &s->client_tls, err);
    if (r == 0)
        r = fl_daemon_find_address(FL_DAEMON_ADDRESS(&s->flags), &s->address, err);
    if (r == 0)
        r = make_guard(s, err);
    if (r == 0)
        r = listen_http(s, err);
    if (r == 0)
        r = shell_open_store(s, err);
    if (r < 0)
        return r;
    s->metrics = metrics_new();
    r = make_core(s, err);
    if (r < 0)
        return r;
    shell_metrics(s);
    s->delay = shell_delay_new(s);
    state_metrics(&s->api);
    page_metrics(&s->api);
    r = shell_recover(s, err);
    if (r == 0)
        log_info("master %s %s serves as %s", s->master->id, FL_VERSION, s->master->info->pid);
    return r;
}

static void stop(struct shell *s)
{
    shell_close_store(s); /* first: completes nothing afterwards */
    http_server_free(s->http);
    page_free(&s->api);
    state_free(&s->api);
    relay_service_free(s->api.relay);
    sched_api_free(s->api.sched);
    log_toggle_free(s->api.log_toggle);
    http_times_free(s->api.times);
    http_files_free(s->api.files);
    shell_whitelist_free(s->whitelist);
    shell_delay_free(s->delay);
    master_free(s->master);
    http_guard_free(s->guard);
    shell_allocator_log_close(s);
    metrics_free(s->metrics);
    fl_tls_free(s->tls);
    fl_tls_free(s->client_tls);
    fl_signal_free(s->on_term);
    fl_signal_free(s->on_int);
    fl_signal_free(s->on_hup);
    if (s->loop)
        fl_loop_free(s->loop);
    fl_flags_free(s->flags_table);
    fl_log_close();
}

int main(int argc, char **argv)
{
    struct shell s = {.exit_status = EXIT_SUCCESS};
    struct fl_err err = {0};
    int status = EXIT_FAILURE, r;

    r = master_flags_new(&s.flags, &s.flags_table, &err);
    if (r == 0 && !fl_daemon_parse(s.flags_table, PROGRAM, argc, argv, &status)) {
        stop(&s);
        return status;
    }
    if (r == 0)
        r = master_flags_finish(s.flags_table, &s.flags, &err);
    if (r == 0)
        r = fl_daemon_open_log(PROGRAM, FL_DAEMON_LOG(&s.flags), s.flags_table, &err);
    if (r == 0)
        r = start(&s, &err);
    if (r == 0) {
        fl_loop_run(s.loop);
        stop(&s);
        return s.exit_status;
    }
    stop(&s);
    return fl_daemon_fail(PROGRAM, &err);
}
