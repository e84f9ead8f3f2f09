/* See shell.h. Order of making: lock, loop, HTTP server, core, containerizer, recovery, master. Of ending: the reverse; containers of
 * checkpointing frameworks go on. */
#include "agent/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/containerizer/runtime_dir.h"
#include "agent/containers.h"
#include "agent/detect.h"
#include "agent/disk.h"
#include "agent/disk_trash.h"
#include "common/model/http_times.h"
#include "common/model/loop_delay.h"
#include "common/base/log.h"
#include "common/base/tls.h"
#include "common/model/plain_http.h"

#define PROCESS_ID "slave(1)"

/* ---- struct agent_io ---- */

static bool io_master_send(void *ctx, const ProtobufCMessage *m)
{
    struct agent_shell *s = ctx;

    return agent_link_send(s->link, m);
}

static void io_exit(void *ctx, int status, const char *why)
{
    struct agent_shell *s = ctx;

    if (status != 0)
        log_error("Ending: %s", why);
    else
        log_info("Ending: %s", why);
    s->exit_status = status;
    agent_link_reset(s->link, AGENT_LINK_STOP);
    fl_loop_stop(s->loop);
}

static void io_master_find(void *ctx)
{
    struct agent_shell *s = ctx;
    struct fl_err err;

    if (agent_link_start(s->link, &err) < 0)
        io_exit(ctx, 1, err.msg);
}

static void io_master_reset(void *ctx, enum agent_link_reset how)
{
    struct agent_shell *s = ctx;

    agent_link_reset(s->link, how);
}

static void io_executor_send(void *ctx, void *stream, const Exec__Event *ev)
{
    agent_api_executor_send(stream, ev);
}

static void io_executor_close(void *ctx, void *stream)
{
    agent_api_executor_close(stream);
}

static void io_attach(void *ctx, const char *virtual_path, const char *real)
{
    struct agent_shell *s = ctx;
    struct fl_err err;

    if (http_files_attach(s->files, virtual_path, real, &err) < 0)
        log_warning("Cannot serve '%s': %s, ignoring", virtual_path, err.msg);
}

static void io_detach(void *ctx, const char *real)
{
    struct agent_shell *s = ctx;

    http_files_detach_real(s->files, real);
}

static int io_discard(void *ctx, const char *path, struct fl_err *err)
{
    struct agent_shell *s = ctx;

    return agent_trash_put(s->trash, path, err);
}

static void io_background(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct agent_shell *s = ctx;

    agent_disk_thread_run(s->disk, work, done, arg);
}

static struct net_probe *io_probe(void *ctx, const struct net_target *target, pid_t pid,
                                  net_probe_f *fn, void *arg)
{
    struct agent_shell *s = ctx;

    return net_probe_begin(s->prober, target, pid, fn, arg);
}

static void io_probe_cancel(void *ctx, struct net_probe *p)
{
    net_probe_cancel(p);
}

static const struct agent_io io = {
    .master_send = io_master_send,
    .master_find = io_master_find,
    .master_reset = io_master_reset,
    .executor_send = io_executor_send,
    .executor_close = io_executor_close,
    .write = agent_disk_write,
    .append = agent_disk_append,
    .truncate = agent_disk_truncate,
    .read = agent_disk_read,
    .list = agent_disk_list,
    .mkdir = agent_disk_mkdir,
    .link = agent_disk_link,
    .readlink = agent_disk_readlink,
    .remove = agent_disk_remove,
    .discard = io_discard,
    .sync = agent_disk_sync,
    .empty = agent_disk_empty,
    .empty_below = agent_disk_empty_below,
    .background = io_background,
    .probe = io_probe,
    .probe_cancel = io_probe_cancel,
    .attach = io_attach,
    .detach = io_detach,
    .exit = io_exit,
};

/* ---- signals ---- */

static void on_term(void *arg)
{
    struct agent_shell *s = arg;

    log_info("Asked to end by a signal; what is checkpointed goes on");
    fl_loop_stop(s->loop);
}

static void on_usr1(void *arg)
{
    struct agent_shell *s = arg;

    agent_shutdown(s->core, "Received SIGUSR1", true);
}

static void on_hup(void *arg)
{
    fl_log_reopen();
}

static int watch_signals(struct agent_shell *s, struct fl_err *err)
{
    const struct {
        int signo;
        fl_callback_f *fn;
        struct fl_signal **slot;
    } rows[] = {
        {SIGTERM, on_term, &s->term},
        {SIGINT, on_term, &s->interrupt},
        {SIGUSR1, on_usr1, &s->usr1},
        {SIGHUP, on_hup, &s->hup},
    };

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = fl_signal_new(s->loop, rows[i].signo, rows[i].fn, s, rows[i].slot, err);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- making ---- */

/* Checkpoints have the environment of tasks in them, and with it their secrets. */
static int hide_checkpoints(const struct agent_flags *flags, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/meta", flags->work_dir);

    if ((mkdir(path, 0700) < 0 && errno != EEXIST) || chmod(path, 0700) < 0)
        return fl_err_errno(err, errno, "--work_dir: keep from others '%s'", path);
    return 0;
}

/* Two agents on one work_dir would each believe the other's containers orphans. */
static int lock_work_dir(struct agent_shell *s, struct fl_err *err)
{
    _cleanup_free_ char *path = xasprintf("%s/agent.lock", s->flags->work_dir);
    struct stat st;
    int r;

    if (stat(s->flags->work_dir, &st) < 0) {
        r = agent_disk_mkdir(NULL, s->flags->work_dir, NULL, err);
        if (r < 0)
            return fl_err_wrap(err, "--work_dir");
    }
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (s->lock_fd < 0)
        return fl_err_errno(err, errno, "--work_dir: open '%s'", path);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return fl_err_set(
            err, FL_CONFLICT,
            "another agent runs on the work_dir '%s'; end it, or give this one its own --work_dir",
            s->flags->work_dir);
    return hide_checkpoints(s->flags, err);
}

static bool before(struct http_exchange *ex, void *arg)
{
    const struct agent_api *api = arg;

    return http_guard_refused(api->guard, ex);
}

static int make_guard(struct agent_shell *s, struct fl_err *err)
{
    const struct agent_flags *f = s->flags;
    const char *given = f->http_authenticators;
    /* Executors show tokens, on both of their endpoints. */
    const char *operators = given ? given : f->authenticate_http_executors ? "basic,jwt" : "basic";
    const struct http_guard_realm realms[] = {
        {"authenticate_http_readonly",
         f->authenticate_http_readonly,
         {AGENT_REALM_READONLY, given ? given : "basic", false}},
        {"authenticate_http_readwrite",
         f->authenticate_http_readwrite,
         {AGENT_REALM_READWRITE, operators, false}},
        {"authenticate_http_executors",
         f->authenticate_http_executors,
         {AGENT_REALM_EXECUTOR, given ? given : "jwt", false}},
    };
    const struct http_guard_config c = {
        .credentials = f->http_credentials,
        .token_key = f->jwt_secret_key,
        .acls = f->acls,
        .authorizer = f->authorizer,
        .firewall_rules = f->firewall_rules,
        .cors_origins = f->http_cors_origins,
        .process_id = PROCESS_ID,
        .claims_below = "/api/v1",
        .realms = realms,
        .n_realms = ARRAY_SIZE(realms),
    };

    return http_guard_new(&s->env.env, &c, &s->guard, err);
}

static int read_secrets(struct agent_shell *s, struct fl_err *err)
{
    int r = 0;

    fl_daemon_warn_of_secret(s->flags->http_credentials);
    fl_daemon_warn_of_secret(s->flags->jwt_secret_key);
    fl_daemon_warn_of_secret(s->flags->credential);
    if (s->flags->jwt_secret_key)
        r = http_secret_read(s->flags->jwt_secret_key, &s->token_key, err);
    if (r == 0 && s->flags->credential)
        r = http_credential_read(s->flags->credential, &s->credential, err);
    return r < 0 ? r : make_guard(s, err);
}

static void answered(const struct http_route *route, int status, uint64_t us, void *arg)
{
    http_times_note(((struct agent_api *)arg)->times, route, us);
}

static int start_http(struct agent_shell *s, const struct fl_daemon_address *where,
                      struct fl_err *err)
{
    struct http_server_config config = {
        .ip = where->ip,
        .port = (uint16_t)s->flags->port,
        .process_id = PROCESS_ID,
        .io_threads = (unsigned)s->flags->http_io_threads,
        .limits = FL_DAEMON_HTTP_LIMITS(s->flags),
        .tls = s->tls_server,
        .routes = agent_routes,
        .n_routes = agent_routes_n,
        .arg = &s->api,
        .before = s->guard ? before : NULL,
        .fallback = plain_not_found,
        .answered = answered,
    };
    int r = http_server_new(s->loop, &config, &s->http, err);

    return r < 0 ? fl_err_wrap(err, "cannot serve HTTP on %s port %u", where->ip, config.port) : 0;
}

static int make_core(struct agent_shell *s, const struct fl_daemon_address *where,
                     struct fl_err *err)
{
    uint16_t port =
        s->flags->advertise_port ? (uint16_t)s->flags->advertise_port : http_server_port(s->http);
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(8192);
    struct machine machine = {0};
    char address[80];
    V1__AgentInfo *info;
    int r = agent_look_at_machine(s->flags->work_dir, &machine, err);

    if (r == 0)
        r = agent_describe(s->flags, &machine, where->hostname, port, arena, &info, err);
    if (r < 0)
        return r;
    snprintf(address, sizeof address, strchr(where->advertised, ':') ? "[%s]:%u" : "%s:%u",
             where->advertised, port);
    return agent_new(&s->env, s->flags, s->metrics, info, address, &s->core, err);
}

static double work_dir_bytes(const struct agent_shell *s, bool free_only)
{
    struct statvfs v;

    if (statvfs(s->flags->work_dir, &v) < 0)
        return 0;
    return (double)v.f_frsize * (double)(free_only ? v.f_bavail : v.f_blocks);
}

static double pull_disk_total(void *arg)
{
    return work_dir_bytes(arg, false);
}

static double pull_disk_free(void *arg)
{
    return work_dir_bytes(arg, true);
}

static void make_metrics(struct agent_shell *s)
{
    s->metrics = metrics_new();
    metrics_add_system(s->metrics);
    metrics_add_http(s->metrics, &s->http);
    metrics_pull(s->metrics, "slave/work_dir_total_bytes", pull_disk_total, s);
    metrics_pull(s->metrics, "slave/work_dir_free_bytes", pull_disk_free, s);
    s->delay = loop_delay_new(s->loop, s->metrics);
    s->times = http_times_new(s->metrics, agent_routes, agent_routes_n);
}

static int make_loop(struct agent_shell *s, struct fl_err *err)
{
    int r = fl_loop_new(&s->loop, err);

    if (r < 0)
        return r;
    s->env.env = env_from_loop(s->loop);
    s->env.io = &io;
    s->env.ctx = s;
    make_metrics(s);
    s->files = http_files_new();
    s->log_toggle = log_toggle_new(&s->env.env);
    s->link = agent_link_new(s);
    s->disk = agent_disk_thread_new(s->loop);
    s->trash = agent_trash_new(s->loop, s->flags->work_dir);
    s->prober = net_prober_new(s->loop);
    fl_daemon_serve_log(s->files, AGENT_LOG_PATH, s->flags->external_log_file);
    r = fl_tls_from_env(&s->tls_server, &s->tls_client, err);
    return r < 0 ? r : watch_signals(s, err);
}

static int make_containers(struct agent_shell *s, int launcher_fd, struct fl_err *err)
{
    struct containerizer_callbacks cb;
    int r;

    agent_containerizer_callbacks(s->core, &cb);
    r = agent_containers_new(s->loop, s->flags, launcher_fd, &cb, &s->containerizer, err);
    if (r < 0)
        return r;
    agent_set_containerizer(s->core, s->containerizer);
    return 0;
}

int agent_shell_init(struct agent_shell *s, const struct agent_flags *flags, struct fl_flags *table,
                     int launcher_fd, struct fl_err *err)
{
    struct fl_daemon_address where;
    int r;

    *s = (struct agent_shell){.flags = flags, .flag_table = table, .lock_fd = -EBADF};
    r = lock_work_dir(s, err);
    if (r == 0)
        r = make_loop(s, err);
    if (r == 0)
        r = fl_daemon_find_address(FL_DAEMON_ADDRESS(flags), &where, err);
    if (r == 0)
        r = read_secrets(s, err);
    s->api.guard = s->guard;
    if (r == 0)
        r = start_http(s, &where, err);
    if (r == 0)
        r = make_core(s, &where, err);
    if (r == 0)
        r = make_containers(s, launcher_fd, err);
    if (r < 0)
        return r;
    s->core->token_key = s->token_key;
    s->core->default_executor = s->default_executor =
        helper_path(flags, "fairlead-default-executor");
    s->api = (struct agent_api){.core = s->core,
                                .flags = table,
                                .files = s->files,
                                .log_toggle = s->log_toggle,
                                .guard = s->guard,
                                .times = s->times,
                                .usage = usage_round_new(s->loop, s->core)};
    return agent_recover(s->core, err);
}

void agent_shell_done(struct agent_shell *s)
{
    fl_signal_free(s->term);
    fl_signal_free(s->interrupt);
    fl_signal_free(s->usr1);
    fl_signal_free(s->hup);
    agent_link_free(s->link);
    usage_round_free(s->api.usage);
    if (s->http)
        http_server_free(s->http);
    if (s->containerizer)
        s->containerizer->ops->free(s->containerizer);
    if (s->core)
        agent_set_containerizer(s->core, NULL);
    agent_disk_thread_free(s->disk);
    agent_trash_free(s->trash);
    agent_free(s->core);
    net_prober_free(s->prober);
    http_guard_free(s->guard);
    free(s->default_executor);
    http_secret_free(s->token_key);
    http_credential_done(&s->credential);
    log_toggle_free(s->log_toggle);
    http_times_free(s->times);
    loop_delay_free(s->delay);
    http_files_free(s->files);
    metrics_free(s->metrics);
    fl_tls_free(s->tls_server);
    fl_tls_free(s->tls_client);
    fl_loop_free(s->loop);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
}
