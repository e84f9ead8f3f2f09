/* fairlead-default-executor: runs task groups (pods). Started by the agent for executors of type DEFAULT; it takes no arguments, what it
 * must know is in its environment. */
#include <signal.h>
#include <stdio.h>

#include "executors/default/shell.h"

int main(int argc, char **argv)
{
    struct pod_shell shell;
    struct fl_err err;
    int status = 1;

    if (argc > 1) {
        fprintf(stderr, "usage: fairlead-default-executor\n\nRuns task groups; agents start it for "
                        "executors of type DEFAULT.\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (pod_shell_init(&shell, &err) < 0) {
        fprintf(stderr, "fairlead-default-executor: %s\n", err.msg);
    } else {
        fl_loop_run(shell.loop);
        status = shell.exit_status;
    }
    pod_shell_done(&shell);
    return status;
}
