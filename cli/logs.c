/* `fairlead logs`: what a task wrote, from its sandbox; with --follow until the task has ended. */
#include <stdio.h>

#include "cli/sandbox.h"
#include "cli/task.h"

#define POLL_US 300000

struct logs {
    struct cli *cli;
    const char *task_id;
    bool keep; /* --follow, and the task has not ended */
    struct fl_loop *loop;
    struct fl_timer *timer;
    struct follow file;
};

static void out(const char *p, size_t n, void *arg)
{
    fwrite(p, 1, n, stdout);
    fflush(stdout);
}

static bool task_has_ended(struct logs *l)
{
    _cleanup_task_place_ struct task_place p = {0};
    struct fl_err err = {0};
    static const char *const live[] = {"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING",
                                       "TASK_KILLING"};

    if (task_find(l->cli, l->task_id, &p, &err) < 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        if (streq(jstr(p.task, "state"), live[i]))
            return false;
    return true;
}

static void turn(void *arg, bool more)
{
    struct logs *l = arg;

    if (more)
        follow_poll(&l->file);
    else if (!l->keep)
        fl_loop_stop(l->loop);
    else
        fl_timer_set(l->timer, POLL_US);
}

static void again(void *arg)
{
    struct logs *l = arg;

    if (task_has_ended(l))
        l->keep = false;
    follow_poll(&l->file);
}

int verb_logs(struct cli *c, int argc, char **argv)
{
    bool use_stderr = false, follow = false;
    const char *file = NULL;
    const struct opt opts[] = {
        {"--stderr", OPT_FLAG, &use_stderr, "what it wrote to stderr", 0},
        {"--file NAME", OPT_TEXT, &file, "another file of its sandbox", 0},
        {"--follow", OPT_FLAG, &follow, "go on until the task has ended", 'f'},
    };
    _cleanup_task_place_ struct task_place p = {0};
    struct fl_err err = {0};
    struct logs l = {.cli = c, .keep = false};
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 1, 1, &code);

    if (i < 0)
        return code;
    l.keep = follow;
    if (task_find(c, argv[i], &p, &err) < 0)
        return cli_fail(&err);
    l.task_id = jstr(p.task, "id");
    _cleanup_free_ char *directory =
        xasprintf("/frameworks/%s/executors/%s/runs/latest", p.framework_id, p.executor_id);
    if (fl_loop_new(&l.loop, &err) < 0)
        return cli_fail(&err);
    struct http_client *http = http_client_new(l.loop);
    l.timer = fl_timer_new(l.loop, again, &l);
    l.file.out = out;
    l.file.turn = turn;
    l.file.arg = &l;
    if (follow_init(&l.file, c, http, p.agent_id, p.agent_address, directory,
                    file         ? file
                    : use_stderr ? "stderr"
                                 : "stdout",
                    &err) == 0) {
        follow_poll(&l.file);
        fl_loop_run(l.loop);
    }
    struct answer last = {.status = l.file.status};
    follow_done(&l.file);
    fl_timer_free(l.timer);
    http_client_free(http);
    fl_loop_free(l.loop);
    if (last.status == 200)
        return CLI_OK;
    if (last.status == 0)
        return cli_fail_as(CLI_UNREACHABLE,
                           "neither the agent at '%s' nor the master gives the files of '%s'",
                           p.agent_address, l.task_id);
    cli_status_err(&last, "the agent", "the file; perhaps the sandbox is gone", &err);
    return cli_fail(&err);
}
