/* `fairlead run`: see run.h. The library's callbacks and the reading of output share this program's one loop: the scheduler runs in
 * dispatch mode and its descriptor is watched. */
#include "cli/run.h"

#include <signal.h>
#include <stdio.h>

#include "proto/mesos.pb-c.h"

#define POLL_US     100000  /* of output, while tasks run */
#define HINT_US     3000000 /* without an offer that fits: say so */
#define EXIT_SIGNAL 128

/* ---- offers ---- */

/* Where the agent of an offer listens; owned text. The offer's url has the address, which need not resolve. */
static char *agent_address(const fw_offer *offer)
{
    _cleanup_pb_ V1__Offer *pb = NULL;
    _cleanup_free_ void *bytes = NULL;
    size_t n;

    if (fw_offer_encode(offer, &bytes, &n) < 0)
        return NULL;
    pb = v1__offer__unpack(NULL, n, bytes);
    if (pb && pb->url && pb->url->address) {
        const V1__Address *a = pb->url->address;
        return xasprintf("%s:%d", a->ip ? a->ip : a->hostname, a->port);
    }
    return xasprintf("%s:5051", fw_offer_hostname(offer));
}

static fw_task *make_task(struct run *r, struct instance *i)
{
    char id[160];
    fw_task *t;

    fl_snprintf(id, sizeof(id), "%s.%u", r->name, i->number);
    t = fw_task_new(id, r->name);
    fw_task_set_argv(t, (const char *const *)r->argv);
    fw_task_set_scalar(t, "cpus", r->cpus);
    fw_task_set_scalar(t, "mem", r->mem);
    if (r->disk > 0)
        fw_task_set_scalar(t, "disk", r->disk);
    if (r->gpus > 0)
        fw_task_set_scalar(t, "gpus", r->gpus);
    if (r->user)
        fw_task_set_user(t, r->user);
    for (size_t k = 0; k < r->env.n; k++) {
        const char *eq = strchr(r->env.items[k], '=');
        _cleanup_free_ char *name = xstrndup(r->env.items[k], (size_t)(eq - r->env.items[k]));
        fw_task_add_env(t, name, eq + 1);
    }
    for (size_t k = 0; k < r->uris.n; k++)
        fw_task_add_uri(t, r->uris.items[k], false, true);
    return t;
}

static bool fits(const struct run *r, const double left[4])
{
    return left[0] + 1e-9 >= r->cpus && left[1] + 1e-9 >= r->mem && left[2] + 1e-9 >= r->disk &&
           left[3] + 1e-9 >= r->gpus;
}

static void use_offer(struct run *r, fw_offer *offer)
{
    double left[4] = {fw_offer_scalar(offer, "cpus"), fw_offer_scalar(offer, "mem"),
                      fw_offer_scalar(offer, "disk"), fw_offer_scalar(offer, "gpus")};
    const double each[4] = {r->cpus, r->mem, r->disk, r->gpus};
    _cleanup_free_ fw_task **tasks = xcalloc(r->n + 1, sizeof(*tasks));
    const char *id = fw_offer_id(offer);
    size_t n = 0;

    for (unsigned k = 0; k < r->n && r->waiting && fits(r, left); k++) {
        struct instance *i = &r->instances[k];
        if (i->stage != INSTANCE_WAITING)
            continue;
        tasks[n++] = make_task(r, i);
        i->stage = INSTANCE_LAUNCHED;
        i->agent_address = agent_address(offer);
        i->agent_id = xstrdup(fw_offer_agent_id(offer));
        r->waiting--;
        for (size_t m = 0; m < ARRAY_SIZE(left); m++)
            left[m] -= each[m];
    }
    /* What does not fit now may fit when others have ended; what is not needed goes to others. */
    if (n == 0)
        fw_decline(r->scheduler, &id, 1, r->waiting ? 1 : 3600);
    else
        fw_launch(r->scheduler, offer, tasks, n, r->waiting ? 1 : 3600);
    for (size_t k = 0; k < n; k++)
        fw_task_free(tasks[k]);
}

static void on_offers(fw_scheduler *s, fw_offer **offers, size_t n, void *arg)
{
    for (size_t i = 0; i < n; i++)
        use_offer(arg, offers[i]);
}

/* ---- what becomes of instances ---- */

static int exit_code_of(const fw_status *status)
{
    const char *m = fw_status_message(status), *number;
    int64_t code;

    if (fw_status_state(status) == FW_TASK_FINISHED)
        return 0;
    number = strstr(m, "exited with status ");
    if (number) {
        char digits[8];
        fl_snprintf(digits, sizeof(digits), "%.*s", (int)strspn(number + 19, "0123456789"),
                    number + 19);
        if (fl_parse_i64(digits, &code) == 0)
            return (int)code;
    }
    for (int sig = 1; sig < NSIG; sig++) {
        const char *name = strsignal(sig);
        char text[80];
        fl_snprintf(text, sizeof(text), "terminated with signal %s", name ? name : "");
        if (name && strstr(m, text))
            return EXIT_SIGNAL + sig;
    }
    return CLI_FAILED;
}

static struct instance *instance_of(struct run *r, const char *task_id)
{
    const char *dot = strrchr(task_id, '.');
    uint64_t number;

    if (!dot || fl_parse_u64(dot + 1, &number) < 0 || number < 1 || number > r->n)
        return NULL;
    return &r->instances[number - 1];
}

static void on_update(fw_scheduler *s, const fw_status *status, void *arg)
{
    struct run *r = arg;
    struct instance *i = instance_of(r, fw_status_task_id(status));

    if (!i || i->stage != INSTANCE_LAUNCHED)
        return;
    /* A command task's executor has the task's own id. */
    output_begin(i, fw_scheduler_framework_id(s), fw_status_task_id(status));
    if (!fw_task_state_is_terminal(fw_status_state(status)))
        return;
    i->stage = INSTANCE_ENDED;
    i->exit_code = exit_code_of(status);
    if (!strstr(fw_status_message(status), "exited with status") &&
        fw_status_state(status) != FW_TASK_FINISHED)
        fl_snprintf(i->why, sizeof(i->why), "%s%s%s %s",
                    fw_task_state_name(fw_status_state(status)),
                    fw_status_reason(status)[0] ? " " : "", fw_status_reason(status),
                    fw_status_message(status));
    output_finish(i);
}

void run_instance_done(struct instance *i)
{
    struct run *r = i->run;

    if (i->reported)
        return;
    i->reported = true;
    if (i->why[0] && !r->interrupted)
        cli_failf("%s.%u: %s", r->name, i->number, i->why);
    if (--r->left == 0)
        fw_scheduler_stop(r->scheduler, true);
}

static void on_subscribed(fw_scheduler *s, const char *framework_id, const char *master, void *arg)
{
    struct run *r = arg;

    r->subscribed = true;
}

static void on_disconnected(fw_scheduler *s, const char *why, void *arg)
{
    struct run *r = arg;

    if (!r->cli->quiet)
        fprintf(stderr, "fairlead: the connection to the master is lost (%s), trying again\n", why);
}

static void on_error(fw_scheduler *s, const char *message, void *arg)
{
    struct run *r = arg;

    r->failed = true;
    cli_failf("%s", message);
    fl_loop_stop(r->loop);
}

/* ---- the loop ---- */

static void dispatch(int fd, bool readable, bool writable, void *arg)
{
    struct run *r = arg;

    if (fw_scheduler_dispatch(r->scheduler) < 0)
        fl_loop_stop(r->loop);
}

static void poll_output(void *arg)
{
    struct run *r = arg;

    output_poll(r);
    fl_timer_set(r->poll, POLL_US);
}

static void hint(void *arg)
{
    struct run *r = arg;

    if (!r->waiting || r->cli->quiet)
        return;
    if (r->subscribed)
        fprintf(stderr,
                "fairlead: waiting for offers with %g cpus and %g MB (%u of %u instances)\n",
                r->cpus, r->mem, r->waiting, r->n);
    else
        fprintf(stderr, "fairlead: waiting for the master at '%s'\n", r->master);
    fl_timer_set(r->hint, 10 * HINT_US);
}

static void interrupted(void *arg)
{
    struct run *r = arg;

    /* TEARDOWN kills the tasks. */
    r->interrupted = true;
    fw_scheduler_stop(r->scheduler, true);
}

static int start(struct run *r, struct fl_err *err)
{
    struct fw_scheduler_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_subscribed = on_subscribed,
        .on_disconnected = on_disconnected,
        .on_offers = on_offers,
        .on_update = on_update,
        .on_error = on_error,
    };
    fw_info *info = fw_info_new(r->name, NULL);
    int rc;

    fw_info_add_capability(info, "PARTITION_AWARE");
    fw_info_set_checkpoint(info, true); /* else an upgrade of the agent ends the tasks */
    if (r->gpus > 0)
        fw_info_add_capability(info, "GPU_RESOURCES");
    if (r->role)
        fw_info_add_role(info, r->role);
    rc = fw_scheduler_new(r->master, info, &callbacks, r, &r->scheduler);
    fw_info_free(info);
    if (rc == 0 && connection_principal(r->cli))
        rc = fw_scheduler_set_credential(r->scheduler, connection_principal(r->cli),
                                         connection_secret(r->cli));
    if (rc < 0)
        return fl_err_set(err, FL_INVALID, "'%s' cannot be used as a master: HOST:PORT is wanted",
                          r->master);
    rc = fw_scheduler_fd(r->scheduler);
    return rc < 0 ? fl_err_errno(err, -rc, "start the scheduler") : rc;
}

static int wait_for_end(struct run *r)
{
    struct fl_watch *watch = NULL;
    struct fl_signal *signals[2] = {NULL, NULL};
    struct fl_err err = {0};
    int fd, code = CLI_OK;

    if (fl_loop_new(&r->loop, &err) < 0)
        return cli_fail(&err);
    r->http = http_client_new(r->loop);
    fd = start(r, &err);
    if (fd < 0 || fl_watch_new(r->loop, fd, true, false, dispatch, r, &watch, &err) < 0 ||
        fl_signal_new(r->loop, SIGINT, interrupted, r, &signals[0], &err) < 0 ||
        fl_signal_new(r->loop, SIGTERM, interrupted, r, &signals[1], &err) < 0) {
        code = cli_fail(&err);
    } else {
        r->poll = fl_timer_new(r->loop, poll_output, r);
        r->hint = fl_timer_new(r->loop, hint, r);
        fl_timer_set(r->poll, POLL_US);
        fl_timer_set(r->hint, HINT_US);
        fl_loop_run(r->loop);
        fl_timer_free(r->poll);
        fl_timer_free(r->hint);
    }
    for (unsigned k = 0; k < r->n; k++) {
        follow_done(&r->instances[k].out);
        follow_done(&r->instances[k].err);
    }
    if (watch)
        fl_watch_free(watch);
    for (size_t k = 0; k < ARRAY_SIZE(signals); k++)
        if (signals[k])
            fl_signal_free(signals[k]);
    fw_scheduler_free(r->scheduler);
    http_client_free(r->http);
    fl_loop_free(r->loop);
    return code;
}

/* The first instance that failed decides. */
static int outcome(const struct run *r)
{
    if (r->interrupted)
        return EXIT_SIGNAL + SIGINT;
    if (r->failed)
        return CLI_FAILED;
    for (unsigned k = 0; k < r->n; k++) {
        if (r->instances[k].stage != INSTANCE_ENDED)
            return CLI_FAILED;
        if (r->instances[k].exit_code)
            return r->instances[k].exit_code;
    }
    return CLI_OK;
}

static int check_arguments(struct run *r, int argc, char **argv, int first)
{
    if (first >= argc)
        return cli_failf("what shall run? `fairlead run [OPTIONS] -- COMMAND...`"), CLI_USAGE;
    for (size_t k = 0; k < r->env.n; k++)
        if (!strchr(r->env.items[k], '=') || r->env.items[k][0] == '=')
            return cli_failf("--env takes NAME=VALUE, not '%s'", r->env.items[k]), CLI_USAGE;
    if (r->cpus <= 0 || r->mem <= 0)
        return cli_failf("--cpus and --mem must be more than zero"), CLI_USAGE;
    r->argv = argv + first;
    return CLI_OK;
}

static void instance_done(struct instance *i)
{
    free(i->agent_address);
    free(i->agent_id);
}

int verb_run(struct cli *c, int argc, char **argv)
{
    struct run r = {.cli = c, .name = "run", .cpus = 0.1, .mem = 32, .n = 1};
    const struct opt opts[] = {
        {"--cpus N", OPT_NUMBER, &r.cpus, "processors of each instance (0.1)", 0},
        {"--mem MB", OPT_NUMBER, &r.mem, "memory of each instance (32)", 0},
        {"--disk MB", OPT_NUMBER, &r.disk, "disk of each instance", 0},
        {"--gpus N", OPT_NUMBER, &r.gpus, "GPUs of each instance", 0},
        {"--env NAME=VALUE", OPT_LIST, &r.env, "environment variable; may be repeated", 0},
        {"--uri URI", OPT_LIST, &r.uris, "fetched into the sandbox and extracted; may be repeated",
         0},
        {"--instances N", OPT_COUNT, &r.n, "how many (1); their lines are prefixed with [number]",
         0},
        {"--user NAME", OPT_TEXT, &r.user, "run as this user", 0},
        {"--name NAME", OPT_TEXT, &r.name, "of the framework and its tasks (run)", 0},
        {"--role ROLE", OPT_TEXT, &r.role, "take offers of this role (*)", 0},
    };
    int code, first = opt_parse(c, opts, ARRAY_SIZE(opts), argc, argv, &code);

    if (first < 0)
        return code;
    code = check_arguments(&r, argc, argv, first);
    if (code == CLI_OK)
        code = run_check(&r);
    if (code == CLI_OK) {
        r.waiting = r.left = r.n;
        r.instances = xcalloc(r.n, sizeof(*r.instances));
        for (unsigned k = 0; k < r.n; k++)
            r.instances[k] = (struct instance){.run = &r, .number = k + 1};
        code = wait_for_end(&r);
        if (code == CLI_OK)
            code = outcome(&r);
        for (unsigned k = 0; k < r.n; k++)
            instance_done(&r.instances[k]);
        free(r.instances);
    }
    free(r.master);
    free(r.env.items);
    free(r.uris.items);
    return code;
}
