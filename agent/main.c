/* fairlead-agent: flags, the launcher's fork before any thread, then the shell and its loop. */
#include "agent/shell.h"
#include "common/base/log.h"

#define PROGRAM "fairlead-agent"

static int run(const struct agent_flags *values, struct fl_flags *flags)
{
    struct agent_shell shell;
    struct fl_err err = {0};
    int launcher_fd = -1, status = 0;
    int r = fl_daemon_open_log(PROGRAM, FL_DAEMON_LOG(values), flags, &err);

    /* The launcher clones containers and must never have had a thread. */
    if (r == 0)
        r = launcher_fork(values, &launcher_fd, &err);
    if (r < 0)
        return fl_daemon_fail(PROGRAM, &err);
    r = agent_shell_init(&shell, values, flags, launcher_fd, &err);
    if (r < 0) {
        status = fl_daemon_fail(PROGRAM, &err);
    } else {
        fl_loop_run(shell.loop);
        status = shell.exit_status;
    }
    agent_shell_done(&shell);
    return status;
}

int main(int argc, char **argv)
{
    struct agent_flags values = {0};
    struct fl_flags *flags = NULL;
    struct fl_err err = {0};
    int status;

    if (agent_flags_new(&values, &flags, &err) < 0)
        return fl_daemon_fail(PROGRAM, &err);
    if (fl_daemon_parse(flags, PROGRAM, argc, argv, &status)) {
        status = agent_flags_finish(flags, &values, &err) < 0 ? fl_daemon_fail(PROGRAM, &err)
                                                              : run(&values, flags);
    }
    fl_flags_free(flags);
    return status;
}
